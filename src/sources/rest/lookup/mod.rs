//! Tables that turn a CRM's keys into names; `[sources.x.lookup.<name>]`.
//!
//! A table is a list, is read by ids, is a part of each page, or is written in the configuration. It has one column for
//! its `value`, and one for each other value that a field takes from it.

mod ids;
mod list;
mod rows;
mod table;
mod written;

pub(super) use crate::sources::rest::lookup::rows::{Missing, column};
pub(super) use crate::sources::rest::lookup::table::{About, Lookup, Lookups, Mode};
