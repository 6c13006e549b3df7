//! The integration tests: one binary, since each one links every dependency anew. One module a topic.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::format_push_string, reason = "tests build texts piece by piece")]

mod bad_input;
mod config;
mod connect;
mod daemon;
mod documents;
mod fake_hubspot;
mod fake_hubspot_honest;
mod fake_rest;
mod gate;
mod hostile;
mod hubspot;
mod kill;
mod layers;
mod life;
mod packaging;
mod program;
mod rest;
mod schedule;
mod schedule_dst;
mod schedule_library;
mod schema;
mod skip;
mod together;
mod vanished;
