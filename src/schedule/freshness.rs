//! Judges whether a source's data is as young as its own schedule promises.
//!
//! Apart from the planner, which looks forward: this looks back, and needs no plan, so `status` can ask it without the
//! daemon.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::schedule::cron::Cron;

/// How a source's data stands.
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
/// One missed or failed pull makes nothing stale, the second does, once it has had the time `deadline` that a pull may
/// take. `last_good` is the time of the last published snapshot, `first_tried` that of the first attempt ever; a source
/// that was never tried is waiting.
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
