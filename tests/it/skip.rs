//! Says that a test could not run here, and fails where that must not happen.
//!
//! Apart, so that every topic that needs a part of the host (a tool, root, a file system) says it in the same words,
//! which `tests/run` gathers.

use std::io::Write;

/// Reports that `what` could not be tested, and `why`; with `CI=true` that is a failure.
pub(crate) fn could_not_run(what: &str, why: &str) {
    let line = format!("COULD NOT RUN: {what}: {why}\n");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{line}");
    // Not `eprintln!`, which the test harness hides when the test passes.
    std::io::stderr().lock().write_all(line.as_bytes()).expect("the tests' standard error is open");
}
