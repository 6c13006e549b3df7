//! Says that a test could not run here, and fails where that must not happen.
//!
//! Apart, so that every topic that needs a part of the host (a tool, root, a file system) says it in the same words,
//! which `tests/run` gathers.

use std::io::Write;

use crate::program::is_quick;

/// Whether `what` is left out since only a sample is to be tested; it says so.
pub(crate) fn is_left_out(what: &str) -> bool {
    if is_quick() {
        say(&format!("COULD NOT RUN: {what}: only a sample is tested (`tests/run` without `quick` does)\n"));
    }
    is_quick()
}

/// Reports that `what` could not be tested, and `why`; with `CI=true` that is a failure.
pub(crate) fn could_not_run(what: &str, why: &str) {
    let line = format!("COULD NOT RUN: {what}: {why}\n");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{line}");
    say(&line);
}

fn say(line: &str) {
    // Not `eprintln!`, which the test harness hides when the test passes.
    std::io::stderr().lock().write_all(line.as_bytes()).expect("the tests' standard error is open");
}
