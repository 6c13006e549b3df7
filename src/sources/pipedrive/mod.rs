//! Pipedrive.
//!
//! The modules, in the order a pull uses them:
//!
//! 1. `source`: builds the source and runs a session with the modules below;
//! 2. `settings`: reads the section; `client` sends requests with its credentials and pace, `errors` classifies refusals,
//!    `block` remembers a long-lasting one;
//! 3. `account`, `pipelines`, `users`, `custom`, `summary`: what is known before the first page;
//! 4. `deals`: the pages; `wire` reads their envelope, `mapping` and `fields` turn a record into a deal;
//! 5. `organizations`, and `users` again: companies and unlisted owners, after the last page;
//! 6. `vanished`: why deals are missing.

mod account;
mod block;
mod client;
mod custom;
mod deals;
mod errors;
mod fields;
mod mapping;
mod organizations;
mod pipelines;
mod settings;
mod source;
mod summary;
mod users;
mod vanished;
mod wire;

pub(super) use crate::sources::pipedrive::source::build;
