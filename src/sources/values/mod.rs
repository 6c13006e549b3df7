//! Readers of the values in a record: text, exact numbers, probabilities, currencies, instants and days.

pub(crate) mod cast;
pub(crate) mod dates;
pub(crate) mod field_map;
pub(crate) mod moment;
pub(crate) mod numbers;
pub(crate) mod record_reader;
pub(crate) mod scalar;
pub(crate) mod separators;
mod text;
