//! The integration tests: one binary, since each one links every dependency anew. One module a topic.

mod kill;
mod packaging;
mod program;
mod schedule;
mod schedule_dst;
mod schedule_library;
mod skip;
