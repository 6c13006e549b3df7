//! What the deals say: pure, fed by `jobs` with leads and heads.

pub mod gate;
pub mod summary;
pub mod totals;
