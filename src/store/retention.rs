//! Decides which snapshots to delete. Pure: deleting them is the store's work.
//!
//! The time in the name decides, for a file's own time is altered by every restore. What is kept says why.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use crate::store::layout::SnapshotId;

/// How long snapshots are kept; `[retention]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Days, by the time in the name.
    pub days: u32,
    /// The newest that stay however old they are.
    pub keep_at_least: u32,
}

/// What becomes of a snapshot, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Younger than the retention.
    Young {
        /// Its age in whole days.
        days: i64,
    },
    /// One of the newest few.
    AmongNewest,
    /// The newest that can be read, whatever its age.
    LastGood,
    /// The clock looks wrong, so nothing goes.
    ClockSuspect,
    /// Older than the retention.
    Expired {
        /// Its age in whole days.
        days: i64,
    },
}

impl Verdict {
    /// Whether it goes.
    pub fn goes(self) -> bool {
        matches!(self, Self::Expired { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Young { days } => write!(formatter, "keep: {days} days old"),
            Self::AmongNewest => formatter.write_str("keep: one of the newest"),
            Self::LastGood => formatter.write_str("keep: the last good one"),
            Self::ClockSuspect => formatter.write_str("keep: the clock looks wrong"),
            Self::Expired { days } => write!(formatter, "delete: {days} days old"),
        }
    }
}

/// Why the clock looks wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockDoubt {
    /// The newest snapshot is in the future.
    NewestInFuture,
    /// Since the newest snapshot more than half the retention has passed.
    LongSilence,
}

impl fmt::Display for ClockDoubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NewestInFuture => "the newest snapshot is in the future",
            Self::LongSilence => "more than half the retention has passed since the newest snapshot",
        })
    }
}

/// The plan for one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Each snapshot with its verdict, oldest first.
    pub verdicts: Vec<(SnapshotId, Verdict)>,
    /// Set where the clock looks wrong; nothing goes then.
    pub doubt: Option<ClockDoubt>,
}

impl Policy {
    /// Plans one folder, whose newest readable snapshot is `last_good`. `force` says that the clock is right, whatever
    /// it looks like.
    pub fn plan(
        &self,
        snapshots: &[SnapshotId],
        last_good: Option<SnapshotId>,
        now: DateTime<Utc>,
        force: bool,
    ) -> Plan {
        let mut ordered = snapshots.to_vec();
        ordered.sort_unstable();
        ordered.dedup();
        let doubt = if force { None } else { self.doubt(ordered.last(), now) };
        let newest = ordered.len().saturating_sub(self.keep_at_least as usize);
        let verdict = |(index, id): (usize, SnapshotId)| {
            let age = now - id.time;
            let verdict = match doubt {
                Some(_) => Verdict::ClockSuspect,
                None if age <= self.retention() => Verdict::Young { days: age.num_days() },
                None if index >= newest => Verdict::AmongNewest,
                None if last_good == Some(id) => Verdict::LastGood,
                None => Verdict::Expired { days: age.num_days() },
            };
            (id, verdict)
        };
        Plan { verdicts: ordered.into_iter().enumerate().map(verdict).collect(), doubt }
    }

    fn retention(self) -> TimeDelta {
        TimeDelta::from_std(Duration::from_secs(u64::from(self.days) * 86_400)).unwrap_or(TimeDelta::MAX)
    }

    fn doubt(self, newest: Option<&SnapshotId>, now: DateTime<Utc>) -> Option<ClockDoubt> {
        let age = now - newest?.time;
        if age < TimeDelta::zero() {
            Some(ClockDoubt::NewestInFuture)
        } else if age > (self.retention() / 2).max(TimeDelta::days(2)) {
            Some(ClockDoubt::LongSilence)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: Policy = Policy { days: 30, keep_at_least: 2 };

    fn now() -> DateTime<Utc> {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    /// All can be read.
    fn plan(policy: Policy, snapshots: &[SnapshotId], force: bool) -> Plan {
        policy.plan(snapshots, snapshots.iter().max().copied(), now(), force)
    }

    fn aged(days: &[i64]) -> Vec<SnapshotId> {
        days.iter().map(|days| SnapshotId::first_of(now() - TimeDelta::days(*days))).collect()
    }

    fn deleted(plan: &Plan) -> Vec<i64> {
        plan.verdicts.iter().filter(|(_, verdict)| verdict.goes()).map(|(id, _)| (now() - id.time).num_days()).collect()
    }

    #[test]
    fn what_is_older_than_the_retention_goes() {
        assert_eq!(deleted(&plan(POLICY, &aged(&[40, 31, 30, 1, 0]), false)), [40, 31]);
    }

    #[test]
    fn the_newest_few_stay_however_old() {
        assert_eq!(deleted(&plan(POLICY, &aged(&[400, 300, 200]), true)), [400]);
        let policy = Policy { days: 1, keep_at_least: 0 };
        assert_eq!(deleted(&plan(policy, &aged(&[400, 300]), true)), [400], "the last good one stays");
        let broken_newest = policy.plan(&aged(&[400, 300, 200]), aged(&[300]).first().copied(), now(), true);
        assert_eq!(deleted(&broken_newest), [400, 200], "and it is not the newest one if that cannot be read");
    }

    #[test]
    fn nothing_goes_while_the_clock_looks_wrong() {
        let future = plan(POLICY, &aged(&[400, 31, -1]), false);
        assert_eq!((future.doubt, deleted(&future)), (Some(ClockDoubt::NewestInFuture), vec![]));
        let silent = plan(POLICY, &aged(&[400, 31, 16]), false);
        assert_eq!((silent.doubt, deleted(&silent)), (Some(ClockDoubt::LongSilence), vec![]));
        assert_eq!(deleted(&plan(POLICY, &aged(&[400, 31, 16]), true)), [400], "unless it is forced");
    }

    proptest! {
        #[test]
        fn kept_and_deleted_are_all_the_newest_stays_and_order_does_not_matter(
            mut days in prop::collection::vec(-5_i64..500, 0..40), keep_at_least in 0_u32..5, force: bool
        ) {
            let policy = Policy { days: 30, keep_at_least };
            let planned = plan(policy, &aged(&days), force);
            days.reverse();
            prop_assert_eq!(&planned, &plan(policy, &aged(&days), force));
            days.sort_unstable();
            days.dedup();
            prop_assert_eq!(planned.verdicts.len(), days.len());
            if let Some((_, newest)) = planned.verdicts.last() {
                prop_assert!(!newest.goes());
            }
            let kept = planned.verdicts.iter().filter(|(_, verdict)| !verdict.goes()).count();
            prop_assert!(kept >= days.len().min(keep_at_least as usize));
            let remaining: Vec<_> = planned.verdicts.iter().filter(|(_, verdict)| !verdict.goes()).map(|(id, _)| *id).collect();
            let again = plan(policy, &remaining, force);
            prop_assert!(again.verdicts.iter().all(|(_, verdict)| !verdict.goes()), "a second run finds nothing");
        }
    }
}
