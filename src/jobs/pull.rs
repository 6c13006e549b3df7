//! A pull: slot, lock, fetch, assemble, gate, publish or hold, record. A complete snapshot is published or none at all.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::Instrument;

use crate::analysis::gate::{self, Allowed, Candidate as Judged, Hold};
use crate::jobs::assemble::{Assembled, Evidence, assemble};
use crate::jobs::names::record;
use crate::jobs::outcome::{Held, Outcome, PullFailure};
use crate::jobs::publish::{Candidate, after_publish, publish};
use crate::jobs::{Jobs, Target, vanished};
use crate::model::deal::Deal;
use crate::model::finding::{Finding, Rule};
use crate::model::snapshot::Head;
use crate::sources::fetch::{FetchError, Fetched, Progress, fetch};
use crate::sources::source::{End, Mapped};
use crate::store::spool::Spool;
use crate::store::state::DutyState;
use crate::telemetry::in_one_line;

/// Pulls one source once a slot is free, for the daemon and the command line, and records the outcome.
///
/// `due` is the due time that this run serves, if any.
pub async fn pull(
    jobs: &Arc<Jobs>,
    target: &Arc<Target>,
    due: Option<DateTime<Utc>>,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Outcome {
    let slot = tokio::select! {
        slot = jobs.slots.acquire() => slot,
        () = jobs.stop.cancelled() => return Outcome::Failed(PullFailure::Fetch(FetchError::Stopped)),
    };
    // A separate task, so that a panic becomes an outcome.
    let task = {
        let (jobs, target) = (Arc::clone(jobs), Arc::clone(target));
        tokio::spawn(async move { pull_locked(&jobs, &target, due, progress).await })
    };
    let outcome = if let Ok(ended) = task.await {
        ended.unwrap_or_else(Outcome::Failed)
    } else {
        let outcome = Outcome::Failed(PullFailure::Panicked);
        record_outcome(jobs, target, &outcome, DutyState::default()).await;
        outcome
    };
    drop(slot);
    after_publish(target, &outcome).await;
    outcome
}

async fn pull_locked(
    jobs: &Arc<Jobs>,
    target: &Arc<Target>,
    due: Option<DateTime<Utc>>,
    progress: impl Fn(Progress),
) -> Result<Outcome, PullFailure> {
    let _lock = jobs.store.lock_source(&target.name)?.ok_or(PullFailure::Busy)?;
    let begun = jobs.clock.now();
    let before = jobs.store.duties(&target.place).remove(&target.duty()).unwrap_or_default();
    remember(jobs, target, move |state| state.begin(due, begun)).await?;
    // Every line logged on the way names the source.
    let span = tracing::error_span!("pull", source.name = %target.name);
    let ended = fetch_and_publish(jobs, target, progress).instrument(span).await;
    let outcome = ended.unwrap_or_else(Outcome::Failed);
    record_outcome(jobs, target, &outcome, before).await;
    Ok(outcome)
}

/// Saves the outcome in the duty's state, which was `before` when the pull began.
async fn record_outcome(jobs: &Arc<Jobs>, target: &Arc<Target>, outcome: &Outcome, before: DutyState) {
    let now = jobs.clock.now();
    let recorded = match outcome {
        Outcome::Published(_) => remember(jobs, target, move |state| state.succeed(now)).await,
        // A stop is not a failure: the next start catches up.
        Outcome::Failed(PullFailure::Fetch(FetchError::Stopped)) => {
            remember(jobs, target, move |state| *state = before).await
        }
        Outcome::Held(held) => {
            let (snapshot, reasons) = (held.id.to_string(), held.reasons());
            remember(jobs, target, move |state| state.hold(snapshot, reasons, now)).await
        }
        Outcome::Failed(failure) => {
            let (error, advice) = (in_one_line(failure), failure.advice().map(|advice| advice.to_string()));
            remember(jobs, target, move |state| state.fail(now, error, advice)).await
        }
    };
    if let Err(error) = recorded {
        tracing::error!(source.name = %target.name, error = in_one_line(&error), "Could not save the result of the pull");
    }
}

/// Changes the duty's state off the runtime's thread: another process may hold the write lock for a while.
async fn remember(
    jobs: &Arc<Jobs>,
    target: &Arc<Target>,
    change: impl FnOnce(&mut DutyState) + Send + 'static,
) -> Result<(), PullFailure> {
    let (jobs, target) = (Arc::clone(jobs), Arc::clone(target));
    tokio::task::spawn_blocking(move || jobs.store.remember(&target.place, &target.duty(), change))
        .await
        .map_err(|_| PullFailure::Panicked)?
        .map_err(PullFailure::Store)
}

async fn fetch_and_publish(
    jobs: &Arc<Jobs>,
    target: &Arc<Target>,
    progress: impl Fn(Progress),
) -> Result<Outcome, PullFailure> {
    let begun = jobs.clock.instant();
    let mut spool = jobs.store.spool()?;
    let sink = |deals: &[Deal]| deals.iter().try_for_each(|deal| spool_deal(&mut spool, deal));
    let mut fetched = fetch(&target.built, jobs.pull_deadline, jobs.clock.as_ref(), &jobs.stop, sink, progress).await?;
    fetched.vanished = vanished::count(jobs, target, &mut fetched, begun + jobs.pull_deadline.0).await;
    let (jobs, target) = (Arc::clone(jobs), Arc::clone(target));
    // One thread from sorting to the last rename: other sources go on meanwhile.
    tokio::task::spawn_blocking(move || publish_or_hold(&jobs, &target, spool, fetched, begun))
        .await
        .map_err(|_| PullFailure::Panicked)?
}

fn spool_deal(spool: &mut Spool, deal: &Deal) -> io::Result<()> {
    spool.push(&deal.id, deal.updated_at, &record(deal)?)
}

/// Judges the snapshot against the last good one: returns the reasons to hold it, and adds other findings to it.
fn audit(target: &Target, assembled: &mut Assembled, last_good: Option<&Head>) -> Vec<Hold> {
    let Evidence { readable, deleted, counted, unlike, coverage, missing_paths, rule_paths, end } = &assembled.evidence;
    let absent: Vec<(&str, &str)> = rule_paths.absent().collect();
    let mapping = target.built.source.mapping();
    let found = |mapped: Mapped| coverage.of(&mapped.field).map(|found| (mapped.field, found));
    let found: Vec<(String, u64)> = mapping.into_iter().filter_map(found).collect();
    let told = |field: &str| {
        missing_paths.of(field).iter().map(|(why, count)| format!("{why} in {count}")).collect::<Vec<_>>()
    };
    let gaps: Vec<(String, String)> = found.iter().map(|(field, _)| (field.clone(), told(field).join(", "))).collect();
    let candidate = Judged {
        head: &assembled.head,
        readable: *readable,
        deleted: *deleted,
        skipped: assembled.head.completeness.skipped,
        counted: *counted,
        unlike,
        matched: &found,
        gaps: &gaps,
        absent: &absent,
        doubt: match end {
            End::Unproven { why, blocks_publish } => Some((why.as_str(), *blocks_publish)),
            _ => None,
        },
        records: coverage.records,
    };
    let allowed = Allowed { empty: target.built.allow.empty, unmatched: &target.built.allow.unmatched };
    let (holds, remarks) = (gate::judge(&candidate, last_good, allowed), gate::remark(&candidate));
    if holds.is_empty() {
        say_what_is_new(target, &remarks, last_good);
    }
    let findings = &mut assembled.head.quality.findings;
    findings.extend(remarks);
    findings.sort_by(|one, other| (one.rule, &one.field).cmp(&(other.rule, &other.field)));
    holds
}

/// Logs what the last good snapshot did not say already.
fn say_what_is_new(target: &Target, remarks: &[Finding], last_good: Option<&Head>) {
    let said = last_good.map_or(&[][..], |head| &head.quality.findings);
    let is_new =
        |remark: &&Finding| !said.iter().any(|known| (known.rule, &known.field) == (remark.rule, &remark.field));
    let (empty, others): (Vec<&Finding>, Vec<&Finding>) =
        remarks.iter().filter(is_new).partition(|remark| remark.rule == Rule::R07);
    for remark in others {
        tracing::warn!(source.name = %target.name, "{} ({:?})", remark.message, remark.rule);
    }
    // Fields with the same message share one line: an account may leave many fields empty.
    let mut fields: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for remark in empty {
        fields.entry(&remark.message).or_default().push(format!("`{}`", remark.field));
    }
    for (message, fields) in fields {
        tracing::warn!(source.name = %target.name, "{}: {message} (R07)", fields.join(", "));
    }
}

/// Assembles the snapshot and asks the gate: it is published, or set aside if the gate holds it.
fn publish_or_hold(
    jobs: &Jobs,
    target: &Target,
    spool: Spool,
    fetched: Fetched,
    begun: Instant,
) -> Result<Outcome, PullFailure> {
    let now = jobs.clock.now();
    let mut assembled =
        assemble(target, &jobs.rates, spool, fetched, [jobs.store.scratch()?, jobs.store.scratch()?], now)?;
    let before = jobs.last_good(target)?;
    let last_good = before.as_ref().map(|before| before.head.as_ref());
    let holds = audit(target, &mut assembled, last_good);
    if assembled.head.account.is_none() {
        // The next pull is compared with the last known account.
        assembled.head.account = last_good.and_then(|head| head.account.clone());
    }
    if !holds.is_empty() {
        let id = jobs.store.hold(&target.name, &assembled.head, &mut assembled.leads)?;
        return Ok(Outcome::Held(Held { before, id, head: Arc::new(assembled.head), holds }));
    }
    let mut published = publish(jobs, target, Candidate::Pulled(Box::new(assembled)), before, now)?;
    published.took = jobs.clock.instant() - begun;
    Ok(Outcome::Published(published))
}
