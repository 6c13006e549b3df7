//! What `status`, the summary and the health check report: one definition of fresh, stale, failing and held.
//!
//! It looks back at what was published and needs no plan, so it works without the daemon.
//!
//! - A source is *fresh* while its last snapshot is newer than its last-but-one due time plus the pull deadline, then
//!   *stale*. Without a snapshot it is *waiting* until the first pull's deadline, then *missing*.
//! - It is *failing* or *held* if the last pull failed or was held, while its data is not stale yet.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::analysis::summary::Block;
use crate::cron::Cron;
use crate::jobs::board::is_from_future;
use crate::jobs::{Jobs, Target};
use crate::model::money::Currency;
use crate::model::snapshot::Head;
use crate::store::error::StoreError;
use crate::store::state::{AcceptedState, DutyState, HeldState};
use crate::store::summary::broken;

/// The health of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Its data is fresh.
    Ok,
    /// The last pull failed; the data is not stale yet.
    Failing,
    /// The last pull was held; the data is not stale yet.
    Held,
    /// There is no snapshot yet, and the first pull still has time.
    Waiting,
    /// Two due times and the pull deadline have passed since its last snapshot.
    Stale,
    /// There is no snapshot, and the first pull's deadline has passed.
    Missing,
}

impl Health {
    /// Whether `status --exit-code` and `/readyz` pass.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Ok | Self::Failing | Self::Held | Self::Waiting)
    }

    /// The word that `status` prints.
    pub fn word(self) -> &'static str {
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

/// The state of one source.
#[derive(Debug, Serialize)]
pub struct SourceStatus {
    /// The source's name.
    pub source: String,
    /// Its health.
    pub health: Health,
    /// The id of the last snapshot.
    pub snapshot: Option<String>,
    /// When the last snapshot was taken, UTC.
    pub timestamp: Option<DateTime<Utc>>,
    /// The age of the last snapshot.
    pub age_seconds: Option<i64>,
    /// Deals in the last snapshot.
    pub total_leads: Option<u64>,
    /// Count, value and weighted value of the open deals.
    pub open: Option<Block>,
    /// Why the pull is complete.
    pub proof: Option<String>,
    /// Deals without a value or without a rate.
    pub unpriced: Option<u64>,
    /// Priced deals without a probability.
    pub unweighted: Option<u64>,
    /// Deals in a currency without a rate, by currency.
    pub without_rate: BTreeMap<Currency, u64>,
    /// Records that could not be read.
    pub skipped: Option<u64>,
    /// Records that the configuration left out.
    pub filtered: Option<u64>,
    /// Whether the deals are invented.
    pub demo: bool,
    /// The cron text.
    pub schedule: String,
    /// The next due time, UTC.
    pub next_run: Option<DateTime<Utc>>,
    /// When the last pull began, UTC.
    pub last_attempt: Option<DateTime<Utc>>,
    /// When the last pull was published, UTC.
    pub last_success: Option<DateTime<Utc>>,
    /// Failures in a row.
    pub failures: u32,
    /// When the first failure in a row began, UTC.
    pub failing_since: Option<DateTime<Utc>>,
    /// Why the last pull failed.
    pub error: Option<String>,
    /// The suggested fix.
    pub advice: Option<String>,
    /// The held pull, while nothing newer was published.
    pub hold: Option<HeldState>,
    /// The held snapshot that was accepted last.
    pub accepted: Option<AcceptedState>,
    /// From the configuration, and about snapshots and deals.
    pub warnings: Vec<String>,
    /// What the last pull had to leave out, and why.
    pub without: Vec<String>,
}

/// The state of every source and of the folders.
#[derive(Debug, Serialize)]
pub struct Status {
    /// When this was read, UTC.
    pub at: DateTime<Utc>,
    /// The process id of the daemon, if it runs.
    pub daemon: Option<u32>,
    /// What `status --exit-code` reports.
    pub ready: bool,
    /// Whether the cache can be written.
    pub writable: bool,
    /// The output folder.
    pub output: String,
    /// The cache folder.
    pub cache: String,
    /// Every source, by name.
    pub sources: Vec<SourceStatus>,
    /// Summaries that could not be read and were renamed.
    pub set_aside: Vec<String>,
}

/// Reads the state of every source.
pub fn read(jobs: &Jobs) -> Result<Status, StoreError> {
    let now = jobs.clock.now();
    let layout = &jobs.store.layout;
    let sources: Vec<SourceStatus> =
        jobs.targets.values().map(|target| read_source(target, jobs, now)).collect::<Result<_, _>>()?;
    // The first pull makes a missing folder.
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

fn read_source(target: &Target, jobs: &Jobs, now: DateTime<Utc>) -> Result<SourceStatus, StoreError> {
    let newest = jobs.newest(target)?;
    let state = jobs.store.duties(&target.place).remove(&target.duty()).unwrap_or_default();
    let head = newest.as_ref().map(|newest| newest.head.as_ref());
    let good = head.map(|head| head.timestamp);
    let first_tried = state.stale_since().or(state.last_attempt);
    let judged = freshness(&target.schedule, good, first_tried, jobs.pull_deadline.0, now);
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
        schedule: target.schedule.to_string(),
        next_run: target.schedule.next_after(now),
        last_attempt: state.last_attempt,
        last_success: state.last_success,
        failures: state.failures,
        failing_since: state.failing_since,
        error: state.error,
        advice: state.advice,
        hold: state.hold,
        accepted: state.accepted,
        warnings: warnings(target, jobs, now, head)?,
        without: head.map(|head| head.quality.warnings.clone()).unwrap_or_default(),
    })
}

/// Warnings of the configuration, skipped snapshots, and deals that disappeared without an explanation.
fn warnings(
    target: &Target,
    jobs: &Jobs,
    now: DateTime<Utc>,
    newest: Option<&Head>,
) -> Result<Vec<String>, StoreError> {
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

/// Reports deals that disappeared without an explanation from the CRM, if there are any.
pub fn vanished_in_words(head: &Head) -> Option<String> {
    match head.completeness.vanished?.unknown {
        0 => None,
        1 => Some("1 deal is gone, and the CRM knows nothing of it".to_owned()),
        count => Some(format!("{count} deals are gone, and the CRM knows nothing of them")),
    }
}

/// The age of a source's data, measured by the source's own schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The last good snapshot is newer than the last-but-one due time.
    Fresh,
    /// Two due times and the deadline have passed since the last good snapshot.
    Stale {
        /// When it became so, UTC.
        since: DateTime<Utc>,
    },
    /// There is no good snapshot yet, and the first pull still has time.
    Waiting,
    /// There is no good snapshot, and the first pull is past its deadline.
    Missing,
}

/// Judges the data of one source at `now`.
///
/// Data is stale once two pulls are missed or failed and the second has had its `deadline`. `last_good` is the time of
/// the last published snapshot, `first_tried` the time of the first attempt ever; a source that was never tried is
/// waiting.
pub fn freshness(
    schedule: &Cron,
    last_good: Option<DateTime<Utc>>,
    first_tried: Option<DateTime<Utc>>,
    deadline: Duration,
    now: DateTime<Utc>,
) -> Freshness {
    let Some(last_good) = last_good else {
        let in_time = first_tried.is_none_or(|tried| now <= later(tried, deadline));
        return if in_time { Freshness::Waiting } else { Freshness::Missing };
    };
    let second = schedule.next_after(last_good).and_then(|first| schedule.next_after(first));
    match second.map(|second| later(second, deadline)) {
        Some(since) if now > since => Freshness::Stale { since },
        _ => Freshness::Fresh,
    }
}

fn later(instant: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| instant.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30 * 60);

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn of(schedule: &str, last_good: &str, now: &str) -> Freshness {
        let schedule = Cron::parse(schedule, Tz::Europe__Berlin).unwrap();
        freshness(&schedule, Some(at(last_good)), None, DEADLINE, at(now))
    }

    fn without_snapshot(first_tried: Option<&str>, now: &str) -> Freshness {
        let schedule = Cron::parse("@hourly", Tz::UTC).unwrap();
        freshness(&schedule, None, first_tried.map(at), DEADLINE, at(now))
    }

    #[test]
    fn one_missed_pull_is_still_fresh_and_the_second_is_stale_after_the_deadline() {
        assert_eq!(of("@hourly", "2026-01-05T10:00:40Z", "2026-01-05T11:59:00Z"), Freshness::Fresh);
        assert_eq!(of("@hourly", "2026-01-05T10:00:40Z", "2026-01-05T12:30:00Z"), Freshness::Fresh);
        assert_eq!(
            of("@hourly", "2026-01-05T10:00:40Z", "2026-01-05T12:30:01Z"),
            Freshness::Stale { since: at("2026-01-05T12:30:00Z") }
        );
    }

    #[test]
    fn a_schedule_of_working_days_is_not_stale_over_the_weekend() {
        assert_eq!(of("0 7 * * MON-FRI", "2026-01-09T06:01:00Z", "2026-01-13T06:29:00Z"), Freshness::Fresh);
        assert_eq!(
            of("0 7 * * MON-FRI", "2026-01-09T06:01:00Z", "2026-01-13T07:00:00Z"),
            Freshness::Stale { since: at("2026-01-13T06:30:00Z") }
        );
    }

    #[test]
    fn a_snapshot_from_the_future_is_fresh() {
        assert_eq!(of("@hourly", "2036-01-01T00:00:00Z", "2026-01-05T12:30:01Z"), Freshness::Fresh);
        assert_eq!(of("@hourly", "9999-01-01T00:00:00Z", "2026-01-05T12:30:01Z"), Freshness::Fresh);
    }

    #[test]
    fn a_first_pull_waits_within_its_deadline_and_is_missing_after_it() {
        assert_eq!(without_snapshot(None, "2026-01-05T12:00:00Z"), Freshness::Waiting);
        assert_eq!(without_snapshot(Some("2026-01-05T12:00:00Z"), "2026-01-05T12:30:00Z"), Freshness::Waiting);
        assert_eq!(without_snapshot(Some("2026-01-05T12:00:00Z"), "2026-01-05T12:30:01Z"), Freshness::Missing);
    }
}
