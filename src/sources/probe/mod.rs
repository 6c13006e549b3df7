//! Proposes a `rest` section for a list of deals. Guessing happens here and nowhere else.
//!
//! Everything is pure except `asking`. The modules, in the order of the work:
//!
//! 1. `asking`: sends one `question`, with its credentials;
//! 2. `records`: the lists of an answer and their columns;
//! 3. `roles`: which column is which field, by the names in `words`; which list looks most like deals;
//! 4. `paging`: candidates from the `signs` of more pages, each tested before it is proposed; `sizes` and `totals`;
//! 5. `fields`, `amounts`, `dates`, `status` and `lookups`: what each column means, and which tables name the ids;
//! 6. `proposal`: which request comes next, and the finished `section` as TOML.

mod amounts;
pub mod asking;
mod dates;
mod fields;
mod lookups;
mod paging;
pub mod proposal;
pub mod question;
mod records;
mod roles;
mod section;
mod signs;
mod sizes;
mod status;
mod totals;
mod words;
