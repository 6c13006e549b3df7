//! The block that the proxy in front of Pipedrive puts on those who went on asking: nothing is asked while it lasts, not
//! even by the next process (contract §6).

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::memory::Memory;
use crate::sources::source::SourceError;

/// Where the block is remembered.
const KEY: &str = "block";
/// How long nothing is asked. Nobody documents how long a block lasts.
const LASTS: TimeDelta = TimeDelta::minutes(15);

/// The block of one source's credentials, if there is one.
pub(super) struct Block {
    memory: Arc<dyn Memory>,
}

impl Block {
    /// The block that is remembered.
    pub(super) fn new(memory: Arc<dyn Memory>) -> Self {
        Self { memory }
    }

    /// Refuses to ask while it lasts.
    pub(super) fn check(&self, identity: u64, now: DateTime<Utc>) -> Result<(), SourceError> {
        // One that ends later than it can was noted by a clock that was wrong.
        match self.until(identity).filter(|until| now < *until && *until - now <= LASTS) {
            Some(until) => Err(SourceError::Blocked { status: 403, ends: Some(until) }),
            None => Ok(()),
        }
    }

    /// It begins; when it ends, UTC.
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
