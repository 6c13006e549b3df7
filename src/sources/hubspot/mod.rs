//! HubSpot.
//!
//! The modules, in the order a pull uses them:
//!
//! 1. `source`: builds the source and runs a session with the modules below;
//! 2. `settings`: reads the section; `client` sends requests with its credentials and pace, `errors` classifies refusals;
//! 3. `account`, `pipelines`, `names`: what is known before the first page; `memory` keeps what stays valid longer;
//! 4. `list` or `search`: the pages, whichever needs fewer requests; `wire` and `records` read them;
//! 5. `mapping`, `fields`: turn a record into a deal; `associations` finds its company;
//! 6. `names` again: companies and former owners, after the last page; `vanished`: why deals are missing. Both read
//!    records by id, in a `batch`.

mod account;
mod associations;
mod batch;
mod client;
mod errors;
mod fields;
mod list;
mod mapping;
mod memory;
mod names;
mod pipelines;
mod records;
mod search;
mod settings;
mod source;
mod vanished;
mod wire;

pub(super) use crate::sources::hubspot::source::build;
