//! `summary`: rebuilt from the newest snapshots, and printed.

use std::io::{self, Write};

use tokio_util::sync::CancellationToken;

use crate::analysis::summary::markdown;
use crate::app;
use crate::commands::exit::Exit;
use crate::commands::{complain, load_or_demo};
use crate::config::Inputs;
use crate::jobs::summarize;
use crate::telemetry::in_one_line;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Md)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// As `daily_summary.json` holds it
    Json,
    /// A table in Markdown
    Md,
}

pub(super) fn run(inputs: Inputs, arguments: &Arguments, out: &mut impl Write) -> io::Result<Exit> {
    let (inputs, config) = match load_or_demo(inputs) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let jobs = app::jobs(&config, &inputs, &CancellationToken::new());
    if let Err(error) = jobs.store.prepare() {
        return Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite));
    }
    match summarize::refresh(&jobs, inputs.clock.now()) {
        Ok(Some(summary)) => {
            match arguments.format {
                Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&summary)?)?,
                Format::Md => write!(out, "{}", markdown(&summary))?,
            }
            Ok(Exit::Ok)
        }
        Ok(None) => Ok(complain("there is no snapshot yet: run `sales-pipeline pull` first", None, Exit::Unavailable)),
        Err(error) => Ok(complain(&in_one_line(&error), None, Exit::CannotWrite)),
    }
}
