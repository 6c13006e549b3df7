//! A CRM's daily limit: once it is reached, no process sends requests until the count resets.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::memory::Memory;
use crate::sources::source::SourceError;

/// Where the pause is remembered.
const KEY: &str = "day_limit";
/// Behind an end that is only a pause of ours.
const PAUSE: &str = " pause";
/// Before how much was used of how much, where the rest is left to others.
const SPARED: &str = " of ";
/// A pause beyond a day, with an hour's change of the clocks, was noted by a clock that was wrong.
const LONGEST: TimeDelta = TimeDelta::hours(25);

/// The pause of one source; `identity` is the fingerprint of the credentials: other credentials may belong to
/// another account.
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
            Some((until, why)) if now < until && until - now <= LONGEST => Err(match why {
                Why::Told => SourceError::DailyLimit { status: 429, resets: Some(until) },
                Why::Pause => SourceError::DailyLimit { status: 429, resets: None },
                Why::Spared { used, limit } => SourceError::Spared { used, limit, resets: until },
            }),
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

    /// So much of the limit is used that the rest is left to others: nothing is asked before `until`, UTC.
    pub(super) fn spare(&self, identity: u64, until: DateTime<Utc>, used: u64, limit: u64) {
        self.note(identity, until, &format!("{SPARED}{used}/{limit}"));
    }

    fn note(&self, identity: u64, until: DateTime<Utc>, mark: &str) {
        let until = until.to_rfc3339_opts(SecondsFormat::Millis, true);
        self.memory.put(KEY, &format!("{identity:016x} {until}{mark}"));
    }

    /// Until when nothing is asked, and why.
    fn noted(&self, identity: u64) -> Option<(DateTime<Utc>, Why)> {
        let text = self.memory.get(KEY)?;
        let (whose, until) = text.split_once(' ')?;
        let (until, why) = if let Some(until) = until.strip_suffix(PAUSE) {
            (until, Why::Pause)
        } else if let Some((until, usage)) = until.split_once(SPARED) {
            let (used, limit) = usage.split_once('/')?;
            (until, Why::Spared { used: used.parse().ok()?, limit: limit.parse().ok()? })
        } else {
            (until, Why::Told)
        };
        (whose == format!("{identity:016x}")).then_some((until.parse().ok()?, why))
    }
}

/// Why nothing is asked.
enum Why {
    /// The limit is reached, and the CRM says until when.
    Told,
    /// The limit is reached, and nobody says until when.
    Pause,
    /// The rest of the limit is left to others.
    Spared { used: u64, limit: u64 },
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
        next_process.spare(1, resets, 95, 100);
        let spared = next_process.check(1, now).unwrap_err().to_string();
        assert!(spared.starts_with("95 of the account's 100 requests a day are used"), "nobody refused: {spared}");
        memory.put(KEY, "no such thing");
        assert!(next_process.check(1, now).is_ok());
    }
}
