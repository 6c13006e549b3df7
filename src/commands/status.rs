//! `status`: each source's data, judged by its own schedule; works with and without the daemon.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::advice::Advice;
use crate::analysis::summary::Block;
use crate::app;
use crate::commands::exit::Exit;
use crate::commands::table::{self, Lean};
use crate::commands::{complain, left_out, load_or_demo, vanished_in_words};
use crate::config::{Config, Inputs, Scheduled};
use crate::jobs::Jobs;
use crate::jobs::board::is_from_future;
use crate::model::money::Currency;
use crate::model::snapshot::{Head, not_in_totals};
use crate::schedule::freshness::{Freshness, freshness};
use crate::store::error::StoreError;
use crate::store::state::{AcceptedState, DutyState, HeldState};
use crate::store::summary::broken;
use crate::telemetry::{Escaped, in_one_line};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// End with 1 if a source's data is missing or too old: for health checks
    #[arg(long)]
    exit_code: bool,
}

/// How a source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    /// Its data is as young as its schedule promises.
    Ok,
    /// The last pull failed, and there is time until two have been missed.
    Failing,
    /// The same, and the last pull is held.
    Held,
    /// The first pull has not ended yet.
    Waiting,
    /// Two runs and the deadline have passed since its data.
    Stale,
    /// There is no data, and the first pull's deadline has passed.
    Missing,
}

impl Health {
    fn is_ready(self) -> bool {
        matches!(self, Self::Ok | Self::Failing | Self::Held | Self::Waiting)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Held => "held",
            Self::Waiting => "waiting",
            Self::Stale => "stale",
            Self::Missing => "missing",
        }
    }
}

/// One source.
#[derive(Debug, Serialize)]
struct SourceStatus {
    source: String,
    health: Health,
    snapshot: Option<String>,
    timestamp: Option<DateTime<Utc>>,
    age_seconds: Option<i64>,
    total_leads: Option<u64>,
    open: Option<Block>,
    proof: Option<String>,
    unpriced: Option<u64>,
    unweighted: Option<u64>,
    without_rate: BTreeMap<Currency, u64>,
    skipped: Option<u64>,
    filtered: Option<u64>,
    demo: bool,
    schedule: String,
    next_run: Option<DateTime<Utc>>,
    last_attempt: Option<DateTime<Utc>>,
    last_success: Option<DateTime<Utc>>,
    failures: u32,
    failing_since: Option<DateTime<Utc>>,
    error: Option<String>,
    advice: Option<String>,
    hold: Option<HeldState>,
    accepted: Option<AcceptedState>,
    warnings: Vec<String>,
    /// What the last pull did without, and why.
    without: Vec<String>,
}

/// Everything.
#[derive(Debug, Serialize)]
struct Status {
    at: DateTime<Utc>,
    daemon: Option<u32>,
    ready: bool,
    writable: bool,
    output: String,
    cache: String,
    sources: Vec<SourceStatus>,
    /// Summaries that could not be read and were set aside.
    set_aside: Vec<String>,
}

pub(super) fn run(inputs: Inputs, arguments: &Arguments, out: &mut impl Write) -> io::Result<Exit> {
    let (inputs, config) = match load_or_demo(inputs) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let jobs = app::jobs(&config, &inputs, &CancellationToken::new());
    let status = match look(&config, &jobs) {
        Ok(status) => status,
        Err(error) => return Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite)),
    };
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?;
    } else {
        write_status(&status, out)?;
    }
    Ok(if arguments.exit_code && !status.ready { Exit::Stale } else { Exit::Ok })
}

fn look(config: &Config, jobs: &Jobs) -> Result<Status, StoreError> {
    let now = jobs.clock.now();
    let layout = &jobs.store.layout;
    let sources: Vec<SourceStatus> =
        config.sources.values().map(|source| look_at(source, jobs, now)).collect::<Result<_, _>>()?;
    // A folder that is not there yet is made by the first pull.
    let writable = !layout.cache.exists() || rustix::fs::access(&layout.cache, rustix::fs::Access::WRITE_OK).is_ok();
    Ok(Status {
        at: now,
        daemon: jobs.store.daemon(),
        ready: writable && sources.iter().all(|source| source.health.is_ready()),
        writable,
        output: layout.output.display().to_string(),
        cache: layout.cache.display().to_string(),
        sources,
        set_aside: broken(layout).iter().map(|path| path.display().to_string()).collect(),
    })
}

fn look_at(source: &Scheduled, jobs: &Jobs, now: DateTime<Utc>) -> Result<SourceStatus, StoreError> {
    let target = &source.target;
    let newest = jobs.newest(target)?;
    let state = jobs.store.duties(&target.place).remove(&target.duty()).unwrap_or_default();
    let head = newest.as_ref().map(|newest| newest.head.as_ref());
    let good = head.map(|head| head.timestamp);
    let first_tried = state.stale_since().or(state.last_attempt);
    let judged = freshness(&source.schedule, good, first_tried, jobs.pull_deadline.0, now);
    Ok(SourceStatus {
        source: target.name.to_string(),
        health: health(judged, &state),
        snapshot: newest.as_ref().map(|newest| newest.id.to_string()),
        timestamp: good,
        age_seconds: good.map(|good| (now - good).num_seconds()),
        total_leads: head.map(|head| head.total_leads),
        open: head.map(|head| Block::of(&head.totals.open, head.currency)),
        proof: head.map(|head| head.completeness.proof.clone()),
        unpriced: head.map(|head| head.totals.unpriced),
        unweighted: head.map(|head| head.totals.unweighted),
        without_rate: head.map(|head| head.totals.without_rate.clone()).unwrap_or_default(),
        skipped: head.map(|head| head.completeness.skipped),
        filtered: head.map(|head| head.completeness.filtered),
        demo: target.built.demo,
        schedule: source.schedule.to_string(),
        next_run: source.schedule.next_after(now),
        last_attempt: state.last_attempt,
        last_success: state.last_success,
        failures: state.failures,
        failing_since: state.failing_since,
        error: state.error,
        advice: state.advice,
        hold: state.hold,
        accepted: state.accepted,
        warnings: warnings(source, jobs, now, head)?,
        without: head.map(|head| head.quality.warnings.clone()).unwrap_or_default(),
    })
}

/// What the configuration warns of, snapshots that are passed over, and deals that nobody can explain.
fn warnings(
    source: &Scheduled,
    jobs: &Jobs,
    now: DateTime<Utc>,
    newest: Option<&Head>,
) -> Result<Vec<String>, StoreError> {
    let target = &source.target;
    let mut warnings: Vec<String> = target.built.warnings.iter().map(ToString::to_string).collect();
    let ahead = jobs.store.list(&target.place)?.into_iter().filter(|id| is_from_future(*id, now));
    warnings
        .extend(ahead.map(|id| format!("snapshot {id} is from the future and is passed over: set the clock right")));
    warnings.extend(newest.and_then(vanished_in_words));
    Ok(warnings)
}

fn health(judged: Freshness, state: &DutyState) -> Health {
    match judged {
        Freshness::Stale { .. } => Health::Stale,
        Freshness::Missing => Health::Missing,
        Freshness::Fresh | Freshness::Waiting if state.failures > 0 => Health::Failing,
        Freshness::Fresh | Freshness::Waiting if state.hold.is_some() => Health::Held,
        Freshness::Waiting => Health::Waiting,
        Freshness::Fresh => Health::Ok,
    }
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
        writeln!(out, "  hint: {}", Advice::InspectSetAside.text())?;
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
        writeln!(out, "  hint: {}", Advice::AcceptOrMend.text())?;
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
