//! `sales-pipeline` pulls the sales pipeline out of every configured CRM on a schedule and publishes a complete
//! snapshot or none at all.
//!
//! The floors of the house; a room imports only from floors below its own (`tests/it/layers.rs` holds it so).
//! The way of a pull, in the order to read it:
//!
//! 1. [`config`]: layers of configuration become typed settings, all problems at once as `file:line`;
//! 2. [`app`]: builds every part from the config, spawns, waits for stop;
//! 3. [`schedule`]: what is due now (pure), and the tick;
//! 4. [`jobs::pull`]: the whole story of a pull, top to bottom;
//! 5. [`sources::pull`]: open → page … page, the one loop with retry, limits, deadline and guards;
//! 6. [`store::spool`]: where the pages wait;
//! 7. [`jobs::assemble`]: id order, duplicates, totals, body;
//! 8. [`store`]: snapshot, summary, latest last.
//!
//! [`commands`] are the words on the command line; [`model`] is the ground: deal, money, snapshot.

pub mod clock;
pub mod schedule;
pub mod advice;
pub mod http;
pub mod model;
pub mod secret;
pub mod settings;
pub mod sources;
pub mod signals;
pub mod store;
pub mod telemetry;
