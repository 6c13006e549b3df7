//! The integration tests: one binary, since each one links every dependency anew. One module a topic.

mod fake_rest;
mod packaging;
mod rest;
mod schedule;
mod schedule_dst;
mod schedule_library;
mod skip;
