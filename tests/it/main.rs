//! The integration tests: one binary, since each one links every dependency anew. One module a topic.

mod bad_input;
mod kill;
mod life;
mod packaging;
mod program;
mod schedule;
mod schedule_dst;
mod schedule_library;
mod skip;
