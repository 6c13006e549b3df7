//! One duty in the plan: when it is due next, and when that run starts.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::cron::Cron;
use crate::schedule::planner::{Due, Planned, Reason};

/// A duty with its place in the plan.
#[derive(Debug, Clone)]
pub struct CronJob {
    /// The name it was planned under.
    pub name: String,
    /// When it is due.
    pub schedule: Cron,
    /// The due time to come, UTC; in the past while a missed run waits to be started.
    pub next: DateTime<Utc>,
    /// When that run starts: `next`, or now for a missed one, plus its share of the jitter.
    pub starts_at: DateTime<Utc>,
    /// How many due times passed while its last run had not ended.
    pub skipped: u64,
    missed: bool,
    pub(super) wanted: Option<Reason>,
}

impl CronJob {
    pub(super) fn new(now: DateTime<Utc>, jitter: Duration, planned: Planned) -> Self {
        let Planned { name, schedule, last, at_start } = planned;
        let wanted = (at_start && last.is_none()).then_some(Reason::First);
        let mut job = Self { name, schedule, next: now, starts_at: now, skipped: 0, missed: false, wanted };
        job.plan(last.unwrap_or(now).min(now), now, jitter);
        job
    }

    /// A duty with another schedule is still the one that somebody asked for.
    pub(super) fn heir_of(self, known: Option<Self>) -> Self {
        let Some(known) = known else { return self };
        Self { skipped: known.skipped, wanted: known.wanted.or(self.wanted), ..self }
    }

    /// The next due time is the first after `last`; one that has passed at `now` is caught up.
    pub(super) fn plan(&mut self, last: DateTime<Utc>, now: DateTime<Utc>, jitter: Duration) {
        self.next = self.schedule.next_after(last).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.missed = self.next <= now;
        self.starts_at = start(&self.name, self.next, now, jitter);
    }

    /// Gives a due time to come its share of another jitter.
    pub(super) fn spread(mut self, now: DateTime<Utc>, jitter: Duration) -> Self {
        if self.next > now {
            self.starts_at = start(&self.name, self.next, now, jitter);
        }
        self
    }

    /// Hands out the present due time and goes on to the next. A run out of turn serves a due time that has passed and
    /// only waits for its share of the jitter.
    pub(super) fn pass(&mut self, now: DateTime<Utc>, jitter: Duration, wanted: Option<Reason>) -> Due {
        let name = self.name.clone();
        if self.next > now {
            return Due { name, due_at: now, reason: wanted.unwrap_or(Reason::Scheduled) };
        }
        let due_at = self.next;
        let missed = self.missed || self.schedule.next_after(due_at).is_some_and(|second| second <= now);
        let by_schedule = if missed { Reason::Missed } else { Reason::Scheduled };
        self.plan(now, now, jitter);
        Due { name, due_at, reason: wanted.unwrap_or(by_schedule) }
    }
}

fn start(name: &str, next: DateTime<Utc>, now: DateTime<Utc>, jitter: Duration) -> DateTime<Utc> {
    let from = next.max(now);
    from.checked_add_signed(delay(name, next, jitter)).unwrap_or(from)
}

/// A run's share of the jitter, in whole seconds: the same for the same name and due time, spread evenly over many.
pub(super) fn delay(name: &str, due_at: DateTime<Utc>, jitter: Duration) -> TimeDelta {
    let mut hasher = DefaultHasher::new();
    (name, due_at).hash(&mut hasher);
    let seconds = hasher.finish() % jitter.as_secs().max(1);
    TimeDelta::try_seconds(i64::try_from(seconds).unwrap_or(0)).unwrap_or_default()
}
