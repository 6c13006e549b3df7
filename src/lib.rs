//! `sales-pipeline` pulls the sales pipeline out of every configured CRM on a schedule and publishes a complete
//! snapshot or none at all.
//!
//! A module imports only from layers below its own; `tests/it/layers.rs` checks it, `docs/architecture.md` lists them.
//! A pull, in the order to read it:
//!
//! 1. [`commands`]: one file per command;
//! 2. [`config`]: layers of configuration become typed settings, all problems at once as `file:line`;
//! 3. [`app`]: builds every part from the config, spawns, waits for stop;
//! 4. [`schedule`]: decides what is due now (pure), and the tick;
//! 5. [`jobs::pull`]: a pull from top to bottom;
//! 6. [`sources::fetch`]: open → page … page, the one loop with retry, limits, deadline and guards;
//! 7. [`store::spool`]: keeps the pages until the list is complete;
//! 8. [`jobs::assemble`]: id order, duplicates, totals, lines;
//! 9. [`store`]: the snapshot, never overwritten;
//! 10. [`jobs::summarize`]: summary, and the latest file last.
//!
//! [`model`] has the shared types: deal, money, snapshot.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

pub mod commands;

pub mod app;

pub mod config;

pub mod schedule;

pub mod jobs;

pub mod analysis;
pub mod sources;
pub mod store;

pub mod advice;
pub mod clock;
pub mod cron;
pub mod http;
pub mod memory;
pub mod model;
pub mod redact;
pub mod secret;
pub mod settings;
pub mod signals;
pub mod telemetry;
