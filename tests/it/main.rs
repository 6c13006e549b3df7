//! The integration tests: one binary, since each one links every dependency anew. One module a topic.

mod layers;
mod packaging;
mod schedule;
mod schedule_dst;
mod schedule_library;
mod skip;
