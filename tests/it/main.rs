//! The integration tests: one binary, since each one links every dependency anew. One module a topic.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod config;
mod documents;
mod fake_hubspot;
mod fake_hubspot_honest;
mod fake_rest;
mod hubspot;
mod layers;
mod packaging;
mod rest;
mod schedule;
mod schedule_dst;
mod schedule_library;
mod schema;
mod skip;
