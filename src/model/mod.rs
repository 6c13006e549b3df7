//! Deal, money, snapshot. No I/O, no async, and nothing specific to a CRM.

pub mod deal;
pub mod finding;
pub mod money;
pub mod name;
pub mod number;
pub mod ordered;
pub mod pipeline;
pub mod snapshot;
