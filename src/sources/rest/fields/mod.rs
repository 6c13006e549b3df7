//! The mapping: which value of a record becomes which field of a deal.
//!
//! A value that does not fit is counted, drops its record or fails the pull, as the field says; nothing is guessed.

mod builder;
mod field;
mod keys;
mod mapping;
mod names;
#[cfg(test)]
mod tried;

pub(super) use crate::sources::rest::fields::field::{Gaps, Reading, Refusal};
pub(super) use crate::sources::rest::fields::mapping::Mapping;
