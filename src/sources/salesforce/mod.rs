//! Salesforce.
//!
//! The modules, in the order a pull uses them:
//!
//! 1. `source`: builds the source and opens a session; `session` reads one pull with the modules below;
//! 2. `settings`, `filter`: read the section; `client` sends requests with its credentials to the account's host and within
//!    its limit (`usage`), `errors` classifies refusals;
//! 3. `describe`, `columns`, `query`: which fields the user may read, and the query for them;
//! 4. `composite`, `opening`, `rates`: what is known before the first page, in one request together with that page;
//! 5. `list` or `bulk`: the pages, or an export if there are very many deals;
//! 6. `rows`, `mapping`, `fields`, `id`: turn a record into a deal; `missing`: why deals are missing.

mod api_name;
mod bulk;
mod client;
mod columns;
mod composite;
mod describe;
mod errors;
mod fields;
mod filter;
mod id;
mod list;
mod mapping;
mod missing;
mod opening;
mod query;
mod rates;
mod rows;
mod session;
mod settings;
mod source;
mod usage;

pub(super) use crate::sources::salesforce::source::build;
