//! The integration tests: one binary, since each one links every dependency anew. One module a topic.

mod packaging;
mod skip;
