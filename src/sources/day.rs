//! A CRM's limit for the day: once it is reached nothing is asked until it counts anew, not even by the next process.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::memory::Memory;
use crate::sources::source::SourceError;

/// Where the pause is remembered.
const KEY: &str = "day_limit";
/// Behind an end that is only a pause of ours.
const PAUSE: &str = " pause";
/// A pause beyond a day, with an hour's change of the clocks, was noted by a clock that was wrong.
const LONGEST: TimeDelta = TimeDelta::hours(25);

/// The pause of one source; `identity` is of the credentials ([`fingerprint`](super::auth::fingerprint)): others may
/// be another account's.
pub(super) struct DayLimit {
    memory: Arc<dyn Memory>,
}

impl DayLimit {
    /// The pause that is remembered, if there is one.
    pub(super) fn new(memory: Arc<dyn Memory>) -> Self {
        Self { memory }
    }

    /// Refuses to ask while the limit is reached.
    pub(super) fn check(&self, identity: u64, now: DateTime<Utc>) -> Result<(), SourceError> {
        match self.noted(identity) {
            Some((until, is_told)) if now < until && until - now <= LONGEST => {
                Err(SourceError::DailyLimit { status: 429, resets: is_told.then_some(until) })
            }
            _ => Ok(()),
        }
    }

    /// The limit is reached: nothing is asked before `resets`, UTC.
    pub(super) fn reached(&self, identity: u64, resets: DateTime<Utc>) {
        self.note(identity, resets, "");
    }

    /// The limit is reached, and nobody knows for how long: nothing is asked before `until`, UTC, which is told to nobody
    /// as the end of it.
    pub(super) fn pause(&self, identity: u64, until: DateTime<Utc>) {
        self.note(identity, until, PAUSE);
    }

    fn note(&self, identity: u64, until: DateTime<Utc>, mark: &str) {
        let until = until.to_rfc3339_opts(SecondsFormat::Millis, true);
        self.memory.put(KEY, &format!("{identity:016x} {until}{mark}"));
    }

    /// Until when nothing is asked, and whether that is when the limit ends.
    fn noted(&self, identity: u64) -> Option<(DateTime<Utc>, bool)> {
        let text = self.memory.get(KEY)?;
        let (whose, until) = text.split_once(' ')?;
        let told = until.strip_suffix(PAUSE);
        let until = told.unwrap_or(until).parse().ok()?;
        (whose == format!("{identity:016x}")).then_some((until, told.is_none()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::InProcess;

    #[test]
    fn nothing_is_asked_until_the_day_ends_by_these_credentials() {
        let memory: Arc<dyn Memory> = Arc::new(InProcess::default());
        let now: DateTime<Utc> = "2026-11-22T15:00:00Z".parse().unwrap();
        let resets = now + TimeDelta::hours(14);
        assert!(DayLimit::new(Arc::clone(&memory)).check(1, now).is_ok());
        DayLimit::new(Arc::clone(&memory)).reached(1, resets);
        let next_process = DayLimit::new(Arc::clone(&memory));
        let refused = next_process.check(1, now).unwrap_err().to_string();
        assert_eq!(refused, "the CRM answers 429: its limit for the day is reached, until 2026-11-23T05:00:00Z");
        assert!(next_process.check(2, now).is_ok(), "other credentials");
        assert!(next_process.check(1, resets).is_ok(), "a new day");
        assert!(next_process.check(1, now - TimeDelta::days(2)).is_ok(), "noted by a clock that was wrong");
        next_process.pause(1, resets);
        let refused = next_process.check(1, now).unwrap_err().to_string();
        assert_eq!(refused, "the CRM answers 429: its limit for the day is reached", "no end that nobody told");
        memory.put(KEY, "no such thing");
        assert!(next_process.check(1, now).is_ok());
    }
}
