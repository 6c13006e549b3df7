//! The daemon and its commands: signals first, then the words on the command line.

use std::process::ExitCode;

use sales_pipeline::commands;
use sales_pipeline::signals::Handlers;

fn main() -> ExitCode {
    // Before anything else: a signal that finds no handler kills.
    let handlers = Handlers::register();
    commands::run(handlers)
}
