//! The integration tests: one binary, since each one links every dependency anew. One module a topic.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_input;
mod config;
mod daemon;
mod documents;
mod fake_rest;
mod gate;
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
