//! The loop that follows the plan: it wakes, looks at the clock, starts what is due, and sleeps again.
//!
//! Apart from the planner because it has to do with time as it passes, and from the tick so that a test can fire ticks
//! by hand. No work is done on the loop itself: it hands each run to whoever starts it and goes on.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::schedule::planner::{Cadence, Due, Planned, Planner, Reason};

/// The loop wakes at least this often, by a clock that no one can set.
const PULSE: Duration = Duration::from_secs(10);

/// Wall clock and monotonic clock may part by this much between two wake-ups; more is a jump.
const JUMP: TimeDelta = TimeDelta::seconds(5);

/// How many ended runs are taken note of in one wake-up.
const ENDED_AT_ONCE: usize = 1024;

/// What others ask of the loop.
#[derive(Debug)]
pub enum Event {
    /// Run every duty whose name begins so, now: `pull:` is every source.
    RequestAll(String),
    /// Follow a new configuration; what runs goes on.
    Reload {
        /// The starts are spread over this time.
        jitter: Duration,
        /// All duties.
        planned: Vec<Planned>,
    },
}

/// Stands for one run; the run has ended when this is dropped, so a panic or an abort ends it as well.
#[derive(Debug)]
pub struct Running {
    name: String,
    ended: mpsc::UnboundedSender<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody listens any more once the loop has stopped.
        let _ = self.ended.send(std::mem::take(&mut self.name));
    }
}

/// The loop and what it follows.
pub struct Scheduler {
    /// The plan to follow.
    pub planner: Planner,
    /// The clock the plan is held against.
    pub clock: Arc<dyn Clock>,
    /// Where others ask.
    pub events: mpsc::Receiver<Event>,
}

impl Scheduler {
    /// Follows the plan until nobody can ask anything of it any more.
    ///
    /// `ticks` begins a tick of a cadence (in the daemon [`crate::schedule::tick::ticks`]); it is called again when the
    /// cadence changes, after the wall clock jumped, and when ticks stay away. `start` begins a run and returns at once;
    /// it keeps the [`Running`] until the run has ended. `heartbeat` is called once per wake-up, at least every ten
    /// seconds, after what is due was started.
    pub async fn run(
        self,
        mut ticks: impl FnMut(Cadence) -> mpsc::Receiver<()>,
        mut start: impl FnMut(Due, Running),
        mut heartbeat: impl FnMut(&Planner),
    ) {
        let Self { mut planner, clock, mut events } = self;
        let (ended, mut endings) = mpsc::unbounded_channel();
        let mut watch = Watch::new(clock.as_ref(), planner.cadence());
        let mut tick = ticks(watch.cadence);
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = clock.now();
            if let Some(by) = watch.jump(now, clock.instant()) {
                warn!(clock.jump_s = by.num_seconds(), "The clock jumped by {} s; planned anew.", by.num_seconds());
                planner.replan(now);
            }
            if watch.wants_new_tick(planner.cadence()) {
                tick = ticks(watch.cadence);
            }
            for due in begin(&mut planner, now) {
                let running = Running { name: due.name.clone(), ended: ended.clone() };
                start(due, running);
            }
            heartbeat(&planner);

            let mut names = Vec::new();
            tokio::select! {
                event = events.recv() => match event {
                    Some(Event::RequestAll(prefix)) => planner.request_all(&prefix),
                    Some(Event::Reload { jitter, planned }) => planner.reload(clock.now(), jitter, planned),
                    None => return,
                },
                _ = endings.recv_many(&mut names, ENDED_AT_ONCE) => for name in names {
                    planner.finished(&name);
                },
                Some(()) = tick.recv() => watch.ticked(clock.instant()),
                _ = pulse.tick() => {}
            }
        }
    }
}

/// Takes what is due out of the plan and says what is out of the ordinary.
fn begin(planner: &mut Planner, now: DateTime<Utc>) -> Vec<Due> {
    let round = planner.due(now);
    for due in &round.skipped {
        warn!(job.name = %due.name, job.due_at = %due.due_at, "Skipped `{}`: its last run has not ended.", due.name);
    }
    for due in round.start.iter().filter(|due| due.reason == Reason::Missed) {
        info!(job.name = %due.name, job.due_at = %due.due_at, "Catching up `{}`, missed at {}.", due.name, due.due_at);
    }
    round.start
}

/// Holds the wall clock and the ticks against the monotonic clock.
struct Watch {
    wall: DateTime<Utc>,
    instant: Instant,
    cadence: Cadence,
    last_tick: Instant,
    jumped: bool,
}

impl Watch {
    fn new(clock: &dyn Clock, cadence: Cadence) -> Self {
        let (wall, instant) = (clock.now(), clock.instant());
        Self { wall, instant, cadence, last_tick: instant, jumped: false }
    }

    /// How far the wall clock jumped since the last look, if it did.
    fn jump(&mut self, wall: DateTime<Utc>, instant: Instant) -> Option<TimeDelta> {
        let passed = TimeDelta::from_std(instant - self.instant).unwrap_or(TimeDelta::MAX);
        let by = (wall - self.wall) - passed;
        (self.wall, self.instant) = (wall, instant);
        self.jumped = by.abs() > JUMP;
        self.jumped.then_some(by)
    }

    fn ticked(&mut self, instant: Instant) {
        self.last_tick = instant;
    }

    /// Whether the tick must be restarted: the library is silent after a jump back until the old time is reached.
    fn wants_new_tick(&mut self, cadence: Cadence) -> bool {
        let patience = PULSE.max(2 * self.cadence.period());
        let silent = self.instant - self.last_tick > patience;
        if silent {
            warn!("No tick for {} s; the tick is begun anew.", patience.as_secs());
        }
        let wanted = silent || self.jumped || cadence != self.cadence;
        if wanted {
            (self.cadence, self.last_tick) = (cadence, self.instant);
        }
        wanted
    }
}
