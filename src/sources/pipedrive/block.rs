//! Pipedrive's proxy blocks clients that ignore its rate limit. We send nothing while a block lasts, also after a
//! restart.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::memory::Memory;
use crate::sources::source::SourceError;

const KEY: &str = "block";
/// How long we wait. Pipedrive does not document how long a block lasts.
const LASTS: TimeDelta = TimeDelta::minutes(15);

/// Remembers a block of one source's credentials.
pub(super) struct Block {
    memory: Arc<dyn Memory>,
}

impl Block {
    pub(super) fn new(memory: Arc<dyn Memory>) -> Self {
        Self { memory }
    }

    /// Returns an error while the block lasts.
    pub(super) fn check(&self, identity: u64, now: DateTime<Utc>) -> Result<(), SourceError> {
        // A later end was written by a wrong clock.
        match self.until(identity).filter(|until| now < *until && *until - now <= LASTS) {
            Some(until) => Err(SourceError::Blocked { status: 403, ends: Some(until) }),
            None => Ok(()),
        }
    }

    /// Starts a block; returns its end, UTC.
    pub(super) fn begins(&self, identity: u64, now: DateTime<Utc>) -> DateTime<Utc> {
        let until = now + LASTS;
        self.memory.put(KEY, &format!("{identity:016x} {}", until.to_rfc3339_opts(SecondsFormat::Millis, true)));
        until
    }

    fn until(&self, identity: u64) -> Option<DateTime<Utc>> {
        let text = self.memory.get(KEY)?;
        let (whose, until) = text.split_once(' ')?;
        if whose == format!("{identity:016x}") { until.parse().ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::InProcess;

    #[test]
    fn nothing_is_asked_for_a_quarter_of_an_hour_by_these_credentials() {
        let memory: Arc<dyn Memory> = Arc::new(InProcess::default());
        let now: DateTime<Utc> = "2026-11-22T15:00:00Z".parse().unwrap();
        assert!(Block::new(Arc::clone(&memory)).check(1, now).is_ok());
        Block::new(Arc::clone(&memory)).begins(1, now);
        let next_process = Block::new(Arc::clone(&memory));
        let refused = next_process.check(1, now).unwrap_err();
        assert!(
            refused.to_string().ends_with("blocks this account's requests, until 2026-11-22T15:15:00Z"),
            "{refused}"
        );
        assert!(next_process.check(2, now).is_ok(), "other credentials");
        assert!(next_process.check(1, now + LASTS).is_ok(), "it is over");
        assert!(next_process.check(1, now - TimeDelta::hours(1)).is_ok(), "noted by a clock that was wrong");
        memory.put(KEY, "no such thing");
        assert!(next_process.check(1, now).is_ok());
    }
}
