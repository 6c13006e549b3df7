//! The CRMs: one folder each, one row each in [`KINDS`], and `fetch`, the loop that reads them all.

mod answer;
mod auth;
mod common;
mod day;
pub mod demo;
pub mod fetch;
pub mod hubspot;
mod kept;
mod kind;
mod labels;
mod link;
pub mod pipedrive;
pub mod probe;
pub mod raw;
pub mod rest;
pub mod salesforce;
pub mod source;
mod values;
mod wire;

pub use crate::sources::common::{Allow, Built, COMMON_KEYS, Common, Context, OWN_KEYS, Retry, Scope};
pub use crate::sources::kind::{KINDS, Kind, build, named_secrets};
