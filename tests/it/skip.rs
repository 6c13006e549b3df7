//! Reports that a test could not run here, and fails where that must not happen.
//!
//! Tests that need a part of the host (a tool, root, a file system) report it here, and `tests/run` lists the reports.

use std::fs::OpenOptions;
use std::io::Write;

use crate::program::is_quick;

/// Whether `what` is left out because only a sample is tested; reports it.
pub(crate) fn is_left_out(what: &str) -> bool {
    if is_quick() {
        report(what, "only a sample is tested (`tests/run` without `quick` tests all)");
    }
    is_quick()
}

/// Reports that `what` could not be tested, and `why`; with `CI=true` that is a failure.
pub(crate) fn could_not_run(what: &str, why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "COULD NOT RUN: {what}: {why}");
    report(what, why);
}

fn report(what: &str, why: &str) {
    // Not `eprintln!`, which the test harness hides when the test passes.
    let line = format!("COULD NOT RUN: {what}: {why}\n");
    std::io::stderr().lock().write_all(line.as_bytes()).expect("standard error is open");
    if let Some(file) = std::env::var_os("PIPELINE_TEST_COULD_NOT_RUN") {
        let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the file of tests/run opens");
        file.write_all(format!("{what}: {why}\n").as_bytes()).expect("the file of tests/run is written");
    }
}
