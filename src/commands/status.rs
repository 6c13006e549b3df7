//! `status`: each source's data, judged by its own schedule; works with and without the daemon.

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::advice::Advice;
use crate::analysis::summary::Block;
use crate::app;
use crate::commands::exit::Exit;
use crate::commands::table::{self, Format, Lean, Output};
use crate::commands::targets::choose;
use crate::commands::{complain, left_out, load_or_demo};
use crate::config::Inputs;
use crate::jobs::status::{self, SourceStatus, Status};
use crate::model::number;
use crate::model::snapshot::not_in_totals;
use crate::telemetry::{Escaped, in_one_line};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The sources to show [default: all]
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    #[command(flatten)]
    output: Output,
    /// Exit with 1 if data is missing or too old, for health checks
    #[arg(long)]
    exit_code: bool,
}

pub(super) fn run(inputs: Inputs, arguments: &Arguments, out: &mut impl Write) -> io::Result<Exit> {
    let (inputs, config) = match load_or_demo(inputs) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let jobs = app::jobs(&config, &inputs, &CancellationToken::new());
    let targets = match choose(&jobs, &arguments.sources) {
        Ok(targets) => targets,
        Err(exit) => return Ok(exit),
    };
    let mut status = match status::read(&jobs) {
        Ok(status) => status,
        Err(error) => return Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite)),
    };
    status.sources.retain(|source| targets.iter().any(|target| target.name.as_str() == source.source));
    match arguments.output.format() {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?,
        Format::Csv => write_csv(&status, out)?,
        Format::Table => write_status(&status, out)?,
    }
    Ok(if arguments.exit_code && !status.ready { Exit::Stale } else { Exit::Ok })
}

fn write_csv(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let headings = ["source", "health", "timestamp", "deals", "open", "open_value", "weighted", "currency", "next_run"];
    let mut rows = Vec::new();
    for source in &status.sources {
        let open = |text: fn(&Block) -> String| source.open.as_ref().map(text).unwrap_or_default();
        rows.push(vec![
            source.source.clone(),
            source.health.word().to_owned(),
            source.timestamp.map(table::instant).unwrap_or_default(),
            source.total_leads.map(|deals| deals.to_string()).unwrap_or_default(),
            open(|open| open.count.to_string()),
            open(|open| number::text(open.value)),
            open(|open| number::text(open.weighted)),
            open(|open| open.currency.map(|currency| currency.to_string()).unwrap_or_default()),
            source.next_run.map(table::instant).unwrap_or_default(),
        ]);
    }
    table::write_csv(&headings, &rows, out)
}

fn write_status(status: &Status, out: &mut impl Write) -> io::Result<()> {
    match status.daemon {
        Some(process) => writeln!(out, "daemon:  running (process {process})")?,
        None => writeln!(out, "daemon:  not running")?,
    }
    writeln!(out, "output:  {}", status.output)?;
    if !status.writable {
        writeln!(out, "warning: {} cannot be written", status.cache)?;
    }
    writeln!(out)?;
    let headings = [
        ("SOURCE", Lean::Left),
        ("HEALTH", Lean::Left),
        ("LAST SNAPSHOT", Lean::Left),
        ("AGE", Lean::Right),
        ("DEALS", Lean::Right),
        ("OPEN", Lean::Right),
        ("OPEN VALUE", Lean::Right),
        ("WEIGHTED", Lean::Right),
        ("NEXT RUN", Lean::Left),
    ];
    let rows: Vec<Vec<String>> = status.sources.iter().map(|source| row(source, status.at)).collect();
    table::write(&headings, &rows, out)?;
    for source in &status.sources {
        write_notes(source, status.at, out)?;
    }
    for path in &status.set_aside {
        writeln!(out, "\nwarning: a summary could not be read and was set aside as {path}")?;
        writeln!(out, "  hint: {}", Advice::InspectSetAside)?;
    }
    Ok(())
}

fn row(source: &SourceStatus, now: DateTime<Utc>) -> Vec<String> {
    let none = || "-".to_owned();
    let open = |text: fn(&Block) -> String| source.open.as_ref().map_or_else(none, text);
    vec![
        source.source.clone(),
        source.health.word().to_owned(),
        source.timestamp.map_or_else(none, table::instant),
        source.timestamp.map_or_else(none, |at| table::age(at, now)),
        source.total_leads.map_or_else(none, |leads| leads.to_string()),
        open(|open| open.count.to_string()),
        open(|open| table::money(open.value, open.currency)),
        open(|open| table::money(open.weighted, open.currency)),
        source.next_run.map_or_else(none, table::instant),
    ]
}

fn write_notes(source: &SourceStatus, now: DateTime<Utc>, out: &mut impl Write) -> io::Result<()> {
    let name = &source.source;
    if source.demo {
        writeln!(out, "\n{name}: these deals are invented")?;
    }
    for warning in &source.warnings {
        writeln!(out, "\n{name}: {warning}")?;
    }
    for without in &source.without {
        writeln!(out, "\n{name}: {}", Escaped(without))?;
    }
    if let Some(words) =
        not_in_totals(source.unpriced.unwrap_or(0), &source.without_rate, source.unweighted.unwrap_or(0))
    {
        writeln!(out, "\n{name}: {words}")?;
    }
    if let Some(words) = left_out(source.filtered.unwrap_or(0)) {
        writeln!(out, "\n{name}: {words}")?;
    }
    if let Some(skipped) = source.skipped.filter(|count| *count > 0) {
        writeln!(out, "\n{name}: {skipped} skipped: they could not be read")?;
    }
    if let Some(hold) = &source.hold {
        let (since, reasons) = (table::age(hold.since, now), hold.reasons.join("; "));
        writeln!(out, "\n{name}: held since {since} ago ({}): {}", hold.snapshot, Escaped(&reasons))?;
        writeln!(out, "  hint: {}", Advice::AcceptOrMend)?;
    }
    if let Some(accepted) = &source.accepted {
        let (since, note) = (table::age(accepted.at, now), Escaped(&accepted.note));
        writeln!(out, "\n{name}: {} was accepted {since} ago: {note}", accepted.snapshot)?;
    }
    if let (Some(error), Some(since)) = (&source.error, source.failing_since) {
        writeln!(
            out,
            "\n{name}: failing since {} ago ({} in a row): {error}",
            table::age(since, now),
            source.failures
        )?;
        if let Some(advice) = &source.advice {
            writeln!(out, "  hint: {advice}")?;
        }
    }
    Ok(())
}
