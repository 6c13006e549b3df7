//! The only place that asks what time it is; everything below `jobs` takes `now` as a value.
//!
//! Wall clock and monotonic clock come from one object, so that a simulated day moves both.

use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// A wall clock (UTC) and the monotonic clock that timers hang on.
pub trait Clock: Send + Sync {
    /// The wall clock, in UTC. It can jump either way.
    fn now(&self) -> DateTime<Utc>;

    /// The monotonic clock of the runtime; it never jumps back.
    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may ask")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A wall clock that hangs on tokio's (paused) time and can be made to jump, for tests and rehearsals.
#[derive(Debug)]
pub struct SimulatedClock {
    started: Instant,
    wall_at_start: Mutex<DateTime<Utc>>,
}

impl SimulatedClock {
    /// A clock that shows `now` and goes on with tokio's time.
    pub fn starting_at(now: DateTime<Utc>) -> Self {
        Self { started: Instant::now(), wall_at_start: Mutex::new(now) }
    }

    /// Moves the wall clock by `by` without moving the monotonic one, as an operator or NTP would.
    pub fn jump(&self, by: TimeDelta) {
        let mut wall = self.wall_at_start.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *wall += by;
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> DateTime<Utc> {
        let elapsed: Duration = self.started.elapsed();
        let wall = *self.wall_at_start.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        wall + TimeDelta::from_std(elapsed).unwrap_or(TimeDelta::MAX)
    }
}
