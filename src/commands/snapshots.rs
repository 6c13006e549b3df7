//! `snapshots`: lists snapshots, accepts held ones, deletes expired ones.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::advice::Advice;
use crate::app;
use crate::commands::exit::Exit;
use crate::commands::pull::TRY_AGAIN;
use crate::commands::table::{self, Format, Lean, Output};
use crate::commands::targets::choose;
use crate::commands::{complain, load_or_demo};
use crate::config::Inputs;
use crate::jobs::accept::{AcceptError, accept};
use crate::jobs::outcome::{Outcome, Published};
use crate::jobs::publish::after_publish;
use crate::jobs::{Jobs, Target, prune};
use crate::model::number;
use crate::model::snapshot::Head;
use crate::store::error::StoreError;
use crate::store::layout::{Place, SnapshotId};
use crate::telemetry::in_one_line;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List snapshots, oldest first
    List {
        /// The sources to list [default: all]
        #[arg(value_name = "SOURCE")]
        sources: Vec<String>,
        /// List held snapshots instead
        #[arg(long)]
        held: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Publish a held snapshot
    Accept {
        /// The source
        source: String,
        /// The held snapshot to publish [default: the newest]
        snapshot: Option<String>,
        /// Say why it is right; `status` shows it
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        note: String,
    },
    /// Delete snapshots that are older than the retention
    Prune {
        /// Delete nothing; print for each file what would happen and why
        #[arg(long)]
        dry_run: bool,
        /// Delete even though the clock looks wrong
        #[arg(long)]
        force: bool,
    },
}

fn not_blank(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() { Err("say why it is right") } else { Ok(text.to_owned()) }
}

/// One snapshot as it is listed.
#[derive(Debug, Serialize)]
struct Row {
    source: String,
    snapshot: String,
    deals: Option<u64>,
    #[serde(with = "number::optional")]
    value: Option<rust_decimal::Decimal>,
    currency: Option<String>,
    state: String,
    path: String,
}

pub(super) fn run(inputs: Inputs, command: &Command, out: &mut impl Write) -> io::Result<Exit> {
    let (inputs, config) = match load_or_demo(inputs) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let jobs = app::jobs(&config, &inputs, &CancellationToken::new());
    match command {
        Command::List { sources, held, output } => {
            let targets = match choose(&jobs, sources) {
                Ok(targets) => targets,
                Err(exit) => return Ok(exit),
            };
            let rows = if *held { held_rows(&jobs, &targets) } else { rows(&jobs) };
            match rows {
                Ok(mut rows) => {
                    rows.retain(|row| {
                        sources.is_empty() || targets.iter().any(|target| target.name.as_str() == row.source)
                    });
                    list(&rows, output.format(), out).map(|()| Exit::Ok)
                }
                Err(error) => Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite)),
            }
        }
        Command::Accept { source, snapshot, note } => accept_held(&jobs, source, snapshot.as_deref(), note, out),
        Command::Prune { dry_run, force } => prune_now(&jobs, *dry_run, *force, out),
    }
}

fn accept_held(
    jobs: &Jobs,
    source: &str,
    snapshot: Option<&str>,
    note: &str,
    out: &mut impl Write,
) -> io::Result<Exit> {
    let target = match choose(jobs, &[source.to_owned()]) {
        Ok(targets) => targets.into_iter().next(),
        Err(exit) => return Ok(exit),
    };
    let Some(target) = target else { return Ok(Exit::Usage) };
    if let Err(error) = jobs.store.prepare() {
        return Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite));
    }
    match accept_or_wait(jobs, &target, snapshot, note) {
        Ok(published) => {
            let (accepted, head, before) = (published.id, published.head.clone(), published.before.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(after_publish(&target, &Outcome::Published(published)));
            writeln!(out, "accepted {accepted} of {source}")?;
            writeln!(out, "  before: {}", figures(before.as_ref().map(|before| before.head.as_ref())))?;
            writeln!(out, "  after:  {}", figures(Some(&head)))?;
            Ok(Exit::Ok)
        }
        Err(error) => {
            let exit = match &error {
                AcceptError::NotHeld { .. } | AcceptError::Outdated { .. } => Exit::Usage,
                AcceptError::Busy => Exit::Busy,
                AcceptError::Store(_) | AcceptError::Publish(_) => Exit::CannotWrite,
            };
            Ok(complain(&in_one_line(&error), error.advice(), exit))
        }
    }
}

/// The size of a snapshot: `5 deals, 462,000.00 USD`.
fn figures(head: Option<&Head>) -> String {
    let Some(head) = head else { return "no snapshot".to_owned() };
    let deals = if head.total_leads == 1 { "deal" } else { "deals" };
    format!("{} {deals}, {}", head.total_leads, table::money(head.total_value, head.currency))
}

/// Accepts, once no pull of this source is running any more.
fn accept_or_wait(jobs: &Jobs, target: &Target, snapshot: Option<&str>, note: &str) -> Result<Published, AcceptError> {
    let patience = jobs.clock.instant() + jobs.pull_deadline.0;
    loop {
        match accept(jobs, target, snapshot, note, jobs.clock.now()) {
            Err(AcceptError::Busy) if jobs.clock.instant() < patience => std::thread::sleep(TRY_AGAIN),
            ended => return ended,
        }
    }
}

fn rows(jobs: &Jobs) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    for place in jobs.store.places()? {
        for id in jobs.store.list(&place)? {
            rows.push(row(jobs, &place, id));
        }
    }
    Ok(rows)
}

fn held_rows(jobs: &Jobs, targets: &[Arc<Target>]) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    for target in targets {
        for id in jobs.store.list_held(&target.name)? {
            let head = jobs.store.held_head(&target.name, id).ok();
            let path = jobs.store.layout.held(&target.name).join(id.file_name());
            rows.push(Row::new(target.name.to_string(), id, head.as_ref(), |_| "held", &path));
        }
    }
    Ok(rows)
}

fn row(jobs: &Jobs, place: &Place, id: SnapshotId) -> Row {
    let folder = match place {
        Place::Flat => "-".to_owned(),
        Place::Folder(name) => name.to_string(),
    };
    let head = jobs.store.head(place, id).ok();
    Row::new(folder, id, head.as_ref(), state, &jobs.store.layout.snapshot(place, id))
}

impl Row {
    fn new(folder: String, id: SnapshotId, head: Option<&Head>, state: fn(&Head) -> &'static str, path: &Path) -> Self {
        Self {
            source: head.map_or(folder, |head| head.source.clone()),
            snapshot: id.to_string(),
            deals: head.map(|head| head.total_leads),
            value: head.map(|head| head.total_value),
            currency: head.and_then(|head| head.currency).map(|currency| currency.to_string()),
            state: head.map_or("unreadable", state).to_owned(),
            path: path.display().to_string(),
        }
    }
}

fn state(head: &Head) -> &'static str {
    if head.is_original_format() {
        "original format"
    } else if head.completeness.complete {
        "complete"
    } else {
        "incomplete"
    }
}

fn list(rows: &[Row], format: Format, out: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(rows)?),
        Format::Csv => {
            let headings = ["source", "snapshot", "deals", "value", "currency", "state", "path"];
            let cells = rows.iter().map(|row| {
                vec![
                    row.source.clone(),
                    row.snapshot.clone(),
                    row.deals.map(|deals| deals.to_string()).unwrap_or_default(),
                    row.value.map(number::text).unwrap_or_default(),
                    row.currency.clone().unwrap_or_default(),
                    row.state.clone(),
                    row.path.clone(),
                ]
            });
            table::write_csv(&headings, &cells.collect::<Vec<_>>(), out)
        }
        Format::Table => {
            let headings = [
                ("SOURCE", Lean::Left),
                ("SNAPSHOT (UTC)", Lean::Left),
                ("DEALS", Lean::Right),
                ("VALUE", Lean::Right),
                ("STATE", Lean::Left),
            ];
            let cells: Vec<Vec<String>> = rows
                .iter()
                .map(|row| {
                    let currency = row.currency.as_deref().and_then(|code| code.parse().ok());
                    vec![
                        row.source.clone(),
                        row.snapshot.clone(),
                        row.deals.map_or_else(|| "-".to_owned(), |deals| deals.to_string()),
                        row.value.map_or_else(|| "-".to_owned(), |value| table::money(value, currency)),
                        row.state.clone(),
                    ]
                })
                .collect();
            table::write(&headings, &cells, out)
        }
    }
}

fn prune_now(jobs: &Jobs, dry_run: bool, force: bool, out: &mut impl Write) -> io::Result<Exit> {
    let now = jobs.clock.now();
    if dry_run {
        return match prune::plan(jobs, now, force) {
            Ok(plans) => write_plans(jobs, &plans, out).map(|()| Exit::Ok),
            Err(error) => Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite)),
        };
    }
    if let Err(error) = jobs.store.prepare() {
        return Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite));
    }
    let pruned = match prune::prune(jobs, now, force) {
        Ok(pruned) => pruned,
        Err(error) => return Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite)),
    };
    writeln!(
        out,
        "deleted {} of {} snapshots",
        pruned.removed,
        pruned.plans.iter().map(|(_, plan)| plan.verdicts.len()).sum::<usize>()
    )?;
    for (place, plan) in &pruned.plans {
        if let Some(doubt) = plan.doubt {
            let folder = jobs.store.layout.folder(place);
            complain(
                &format!("nothing is deleted in `{}`: {doubt}", folder.display()),
                Some(Advice::CheckClock),
                Exit::Ok,
            );
        }
    }
    let mut exit = Exit::Ok;
    for error in &pruned.errors {
        exit = complain(&in_one_line(error), Some(error.advice()), Exit::CannotWrite);
    }
    Ok(exit)
}

fn write_plans(jobs: &Jobs, plans: &[(Place, crate::store::retention::Plan)], out: &mut impl Write) -> io::Result<()> {
    for (place, plan) in plans {
        if let Some(doubt) = plan.doubt {
            writeln!(out, "# {}: {doubt}", jobs.store.layout.folder(place).display())?;
        }
        for (id, verdict) in &plan.verdicts {
            writeln!(out, "{}  {verdict}", jobs.store.layout.snapshot(place, *id).display())?;
        }
    }
    Ok(())
}
