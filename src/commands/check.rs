//! `check`: the configuration, without the network.

use std::io::{self, Write};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::app::{self, PRUNE, SUMMARY};
use crate::commands::exit::Exit;
use crate::commands::targets::choose;
use crate::commands::{complain, connect, tell_problems};
use crate::config::report::Report;
use crate::config::{self, Config, Inputs};
use crate::cron::Cron;
use crate::http::Clients;
use crate::telemetry::in_one_line;

/// How many runs of each schedule are shown.
const RUNS: usize = 5;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Also try the sources: credentials, account, first page, and what each field holds [default: all]
    #[arg(long, value_name = "SOURCE", num_args = 0..)]
    connect: Option<Vec<String>>,
}

pub(super) fn run(inputs: &Inputs, arguments: &Arguments, out: &mut impl Write) -> io::Result<Exit> {
    // What is sent says which tokens the CRM issued meanwhile.
    let clients = Clients::recording();
    let inputs = &Inputs { clients: Arc::clone(&clients), ..inputs.clone() };
    let (config, report) = config::load(inputs);
    write_files(&report, out)?;
    for warning in &report.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    let Some(config) = config else {
        out.flush()?;
        tell_problems(&report);
        return Ok(Exit::Config);
    };
    writeln!(out, "output:  {}", config.layout.output.display())?;
    writeln!(out, "cache:   {}", config.layout.cache.display())?;
    let count = config.sources.len();
    writeln!(out, "ok:      {count} {}", if count == 1 { "source" } else { "sources" })?;
    write_schedules(&config, inputs.clock.now(), out)?;
    let Some(wanted) = &arguments.connect else { return Ok(Exit::Ok) };
    let jobs = app::jobs(&config, inputs, &CancellationToken::new());
    // A refresh token that the CRM replaces is kept.
    if let Err(error) = jobs.store.refuse_foreign() {
        return Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite));
    }
    match choose(&jobs, wanted) {
        Ok(targets) => connect::run(&jobs, &targets, &config.keyring, &clients, out),
        Err(exit) => Ok(exit),
    }
}

fn write_files(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let files: Vec<String> = report.files.iter().map(|path| path.display().to_string()).collect();
    let files = if files.is_empty() { "none (compiled-in defaults)".to_owned() } else { files.join(", ") };
    writeln!(out, "files:   {files}")
}

fn write_schedules(config: &Config, now: DateTime<Utc>, out: &mut impl Write) -> io::Result<()> {
    let pulls = config.sources.values().map(|target| (target.duty(), &target.schedule));
    let house = [(SUMMARY.to_owned(), &config.summary_schedule), (PRUNE.to_owned(), &config.prune_schedule)];
    let duties: Vec<(String, &Cron)> = pulls.chain(house).collect();
    let zone = config.prune_schedule.zone();
    writeln!(out, "\nnext {RUNS} runs, {zone} (zone data {}):", chrono_tz::IANA_TZDB_VERSION)?;
    let wide = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let names = wide(&mut duties.iter().map(|(name, _)| name.len()));
    let texts = wide(&mut duties.iter().map(|(_, schedule)| schedule.text().len()));
    for (name, schedule) in duties {
        writeln!(out, "  {name:names$}  {:texts$}  {}", schedule.text(), runs(schedule, now))?;
    }
    Ok(())
}

/// The next runs: the first with its day, each further one with what changes.
fn runs(schedule: &Cron, now: DateTime<Utc>) -> String {
    let zone = schedule.zone();
    let mut at = now;
    let mut shown: Vec<String> = Vec::new();
    let mut day = None;
    while let Some(next) = schedule.next_after(at).filter(|_| shown.len() < RUNS) {
        let local = next.with_timezone(&zone);
        let clock = if schedule.names_seconds() { "%H:%M:%S" } else { "%H:%M" };
        let text = if day == Some(local.date_naive()) {
            local.format(clock).to_string()
        } else {
            local.format(&format!("%a %Y-%m-%d {clock}")).to_string()
        };
        day = Some(local.date_naive());
        shown.push(text);
        at = next;
    }
    shown.join(", ")
}
