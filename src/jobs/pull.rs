//! A pull, from the lock to the latest file. A complete snapshot is published or none at all.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::Instrument;

use crate::advice::Advice;
use crate::analysis::gate::{self, Allowed, Candidate, Hold};
use crate::jobs::assemble::{AssembleError, Assembled, Evidence, assemble};
use crate::jobs::names::record;
use crate::jobs::{Jobs, Target, summarize, vanished};
use crate::model::deal::Deal;
use crate::model::finding::{Finding, Rule};
use crate::model::snapshot::Head;
use crate::sources::fetch::{FetchError, Fetched, Progress, fetch};
use crate::sources::source::{End, Mapped};
use crate::store::error::StoreError;
use crate::store::layout::{Place, SnapshotId};
use crate::store::spool::Spool;
use crate::store::state::DutyState;
use crate::telemetry::in_one_line;

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PullFailure {
    /// Another process pulls this source.
    #[error("another process is pulling this source")]
    Busy,
    /// Another process pulled this source while this one waited, and it failed.
    #[error("another process pulled it meanwhile: {0}")]
    Elsewhere(String),
    /// The source could not be read to its end.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What came makes no snapshot.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// A file cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A complete pull that the gate stopped: set aside, and the last good data stays.
    #[error("held: {}", reasons(holds))]
    Held {
        /// The name of what was set aside.
        snapshot: SnapshotId,
        /// Why.
        holds: Vec<Hold>,
    },
    /// The task died; nothing was published.
    #[error("the pull ended in a panic")]
    Panicked,
}

impl PullFailure {
    /// What to do.
    pub fn advice(&self) -> Option<Advice> {
        match self {
            Self::Busy => Some(Advice::StopOtherInstance),
            Self::Fetch(error) => error.advice(),
            Self::Assemble(error) => Some(error.advice()),
            Self::Store(error) => Some(error.advice()),
            Self::Held { .. } => Some(Advice::AcceptOrMend),
            Self::Panicked | Self::Elsewhere(_) => None,
        }
    }
}

fn reasons(holds: &[Hold]) -> String {
    holds.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A published snapshot.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its name.
    pub id: SnapshotId,
    /// Its head.
    pub head: Arc<Head>,
    /// From the first request to the last rename.
    pub took: Duration,
}

/// Pulls one source and publishes its snapshot. With one source in the configuration, summary and latest file follow
/// at once; with several the caller refreshes them when the runs due together have ended.
pub async fn pull(
    jobs: &Arc<Jobs>,
    target: &Arc<Target>,
    due: Option<DateTime<Utc>>,
    progress: impl Fn(Progress),
) -> Result<Published, PullFailure> {
    let _lock = jobs.store.lock_source(&target.name)?.ok_or(PullFailure::Busy)?;
    let begun = jobs.clock.now();
    let before = jobs.store.duties(&target.place).remove(&target.duty()).unwrap_or_default();
    remember(jobs, target, move |state| state.begin(due, begun)).await?;
    // Whatever is logged on the way says of which source.
    let span = tracing::error_span!("pull", source.name = %target.name);
    let ended = pull_and_publish(jobs, target, progress).instrument(span).await;
    let now = jobs.clock.now();
    let remembered = match &ended {
        Ok(_) => remember(jobs, target, move |state| state.succeed(now)).await,
        // A stop is nobody's failure: as if it had not begun, so that the next start catches up.
        Err(PullFailure::Fetch(FetchError::Stopped)) => remember(jobs, target, move |state| *state = before).await,
        Err(PullFailure::Held { snapshot, holds }) => {
            let (snapshot, reasons) = (snapshot.to_string(), holds.iter().map(ToString::to_string).collect());
            remember(jobs, target, move |state| state.hold(snapshot, reasons, now)).await
        }
        Err(failure) => {
            let (error, advice) = (in_one_line(failure), failure.advice().map(|advice| advice.to_string()));
            remember(jobs, target, move |state| state.fail(now, error, advice)).await
        }
    };
    // What became of the pull is told whether or not it could be noted down.
    if let Err(error) = remembered {
        tracing::error!(source.name = %target.name, error = in_one_line(&error), "The end of a pull could not be noted down");
    }
    ended
}

/// Notes down a failure that the pull itself could not: a panic.
pub async fn note_failure(jobs: &Arc<Jobs>, target: &Arc<Target>, failure: &PullFailure) {
    let (now, error) = (jobs.clock.now(), in_one_line(failure));
    if let Err(error) = remember(jobs, target, move |state| state.fail(now, error, None)).await {
        tracing::error!(source.name = %target.name, error = in_one_line(&error), "A panic could not be noted down");
    }
}

/// Notes down what the duty did, off the runtime's thread: the write lock may be another process's for a while, and
/// signals and schedule must go on meanwhile.
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

async fn pull_and_publish(
    jobs: &Arc<Jobs>,
    target: &Arc<Target>,
    progress: impl Fn(Progress),
) -> Result<Published, PullFailure> {
    let begun = jobs.clock.instant();
    let mut spool = jobs.store.spool()?;
    let sink = |deals: &[Deal]| deals.iter().try_for_each(|deal| spool_deal(&mut spool, deal));
    let mut fetched = fetch(&target.built, jobs.pull_deadline, jobs.clock.as_ref(), &jobs.stop, sink, progress).await?;
    fetched.vanished = vanished::count(jobs, target, &mut fetched, begun + jobs.pull_deadline.0).await;
    let (jobs, target, now) = (Arc::clone(jobs), Arc::clone(target), jobs.clock.now());
    let (id, head) = {
        let jobs = Arc::clone(&jobs);
        // One thread from sorting to the last rename: other sources go on meanwhile.
        tokio::task::spawn_blocking(move || publish(&jobs, &target, spool, fetched, now))
            .await
            .map_err(|_| PullFailure::Panicked)??
    };
    Ok(Published { id, head, took: jobs.clock.instant() - begun })
}

fn spool_deal(spool: &mut Spool, deal: &Deal) -> io::Result<()> {
    spool.push(&deal.id, deal.updated_at, &record(deal)?)
}

/// The first live snapshot in a folder moves invented ones out of the way, and says so.
pub(super) fn set_demo_aside(jobs: &Jobs, target: &Target) -> Result<(), StoreError> {
    if target.built.demo || jobs.demo_aside.get().is_some() {
        return Ok(());
    }
    let _lock = jobs.store.lock_write()?;
    let mut moved = 0;
    for place in jobs.store.places()? {
        if jobs.board.newest(&jobs.store, &place, jobs.clock.now())?.is_some_and(|newest| newest.head.demo) {
            moved += jobs.store.set_demo_aside(&place)?;
        }
    }
    if moved > 0 {
        let folder = jobs.store.layout.demo();
        tracing::warn!(moved, folder = %folder.display(), "Moved {moved} demo snapshots aside: live data begins here");
    }
    let _ = jobs.demo_aside.set(());
    Ok(())
}

/// Judges what was assembled against the last good data: reasons to hold it. What is odd besides is noted in it.
fn audit(target: &Target, assembled: &mut Assembled, last_good: Option<&Head>) -> Vec<Hold> {
    let Evidence { readable, deleted, counted, unlike, matched, gaps, deciding, end } = &assembled.evidence;
    let absent: Vec<(&str, &str)> = deciding.absent().collect();
    let mapping = target.built.source.mapping();
    let found = |mapped: Mapped| matched.of(&mapped.field).map(|found| (mapped.field, found));
    let found: Vec<(String, u64)> = mapping.into_iter().filter_map(found).collect();
    let told = |field: &str| gaps.of(field).iter().map(|(why, count)| format!("{why} in {count}")).collect::<Vec<_>>();
    let gaps: Vec<(String, String)> = found.iter().map(|(field, _)| (field.clone(), told(field).join(", "))).collect();
    let candidate = Candidate {
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
        records: matched.records,
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
    // Fields of which the same is to be said stand together: an account may use few of them.
    let mut fields: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for remark in empty {
        fields.entry(&remark.message).or_default().push(format!("`{}`", remark.field));
    }
    for (message, fields) in fields {
        tracing::warn!(source.name = %target.name, "{}: {message} (R07)", fields.join(", "));
    }
}

/// Assembles, and asks the gate: what it stops is set aside. Then writes snapshot, summary and latest file, in this
/// order: whoever reads the latest finds the rest.
fn publish(
    jobs: &Jobs,
    target: &Target,
    spool: Spool,
    fetched: Fetched,
    now: DateTime<Utc>,
) -> Result<(SnapshotId, Arc<Head>), PullFailure> {
    let mut assembled =
        assemble(target, &jobs.rates, spool, fetched, [jobs.store.scratch()?, jobs.store.scratch()?], now)?;
    let last_good = jobs.last_good(target)?.map(|newest| newest.head);
    let last_good = last_good.as_deref();
    let holds = audit(target, &mut assembled, last_good);
    if assembled.head.account.is_none() {
        // The account that was last known is what the next pull is held against.
        assembled.head.account = last_good.and_then(|head| head.account.clone());
    }
    if !holds.is_empty() {
        let _lock = jobs.store.lock_write()?;
        let snapshot = jobs.store.hold(&target.name, &assembled.head, &mut assembled.leads)?;
        return Err(PullFailure::Held { snapshot, holds });
    }
    set_demo_aside(jobs, target)?;
    if let Place::Folder(name) = &target.place
        && jobs.is_first_publish(target)
    {
        let _lock = jobs.store.lock_write()?;
        let adopted = jobs.store.adopt(name)?;
        if adopted > 0 {
            tracing::info!(source.name = %name, adopted, "Moved {adopted} earlier snapshots into the source's folder");
        }
    }
    let id = {
        let _lock = jobs.store.lock_write()?;
        jobs.store.publish(&target.place, &assembled.head, &mut assembled.leads, &mut assembled.index)?
    };
    let head = Arc::new(assembled.head);
    jobs.board.published(&target.place, id, Arc::clone(&head));
    if jobs.targets.len() == 1 {
        summarize::refresh(jobs, now)?;
    }
    Ok((id, head))
}
