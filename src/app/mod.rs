//! Builds every part from the config, spawns, waits for stop, and joins with a deadline.

mod duties;
mod systemd;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::advice::Advice;
use crate::app::duties::Duties;
use crate::config::{self, Config, Inputs};
use crate::jobs::board::Board;
use crate::jobs::{Jobs, recover};
use crate::schedule::planner::{Planned, Planner};
use crate::schedule::run::{Event, Scheduler};
use crate::schedule::tick;
use crate::settings::Span;
use crate::signals::Request;
use crate::store::error::StoreError;
use crate::store::layout::Place;
use crate::store::lock::Lock;
use crate::store::state::DutyState;
use crate::store::{NotOurs, Store};
use crate::telemetry::in_one_line;

/// The duty that closes the day.
pub const SUMMARY: &str = "summary";
/// The duty that deletes old snapshots.
pub const PRUNE: &str = "prune";
/// How the duties of the sources begin.
pub const PULL: &str = "pull:";

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The folders cannot be used.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// The lock cannot be taken.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folders hold live data, and this is a demo.
    #[error("`{cache}` holds live data")]
    DemoOverLive {
        /// The cache.
        cache: String,
    },
    /// Another daemon works in the same folders.
    #[error("another `run` works in `{cache}`{holder}")]
    AlreadyRunning {
        /// The cache.
        cache: String,
        /// The process that holds the lock, in words.
        holder: String,
    },
}

impl RunError {
    /// What to do.
    pub fn advice(&self) -> Advice {
        match self {
            Self::NotOurs(error) => error.advice(),
            Self::Store(error) => error.advice(),
            Self::DemoOverLive { .. } => Advice::KeepDemoApart,
            Self::AlreadyRunning { .. } => Advice::StopOtherInstance,
        }
    }
}

/// What the duties of a configuration work with.
pub fn jobs(config: &Config, inputs: &Inputs, stop: &CancellationToken) -> Jobs {
    Jobs {
        store: Store::new(config.layout.clone()),
        targets: config.sources.clone(),
        rates: config.rates.clone(),
        retention: config.retention,
        pull_deadline: config.limits.pull_deadline,
        slots: Arc::new(Semaphore::new(config.limits.parallel as usize)),
        clock: Arc::clone(&inputs.clock),
        stop: stop.clone(),
        board: Board::default(),
        demo_aside: OnceLock::new(),
    }
}

/// Every duty of a configuration, with what is remembered of its last run.
pub fn planned(config: &Config, store: &Store) -> Vec<Planned> {
    let own = store.duties(&Place::Flat);
    let house =
        [(SUMMARY, &config.summary_schedule), (PRUNE, &config.prune_schedule)].map(|(name, schedule)| Planned {
            name: name.to_owned(),
            schedule: schedule.clone(),
            last: own.get(name).and_then(DutyState::last),
            at_start: false,
        });
    let pulls = config.sources.values().map(|target| {
        let duty = target.duty();
        Planned {
            last: store.duties(&target.place).get(&duty).and_then(DutyState::last),
            name: duty,
            schedule: target.schedule.clone(),
            at_start: true,
        }
    });
    pulls.chain(house).collect()
}

/// Runs until TERM or INT. `requests` brings the signals; the config was read from `inputs` and is good.
pub async fn run(inputs: Inputs, config: Config, mut requests: UnboundedReceiver<Request>) -> Result<(), RunError> {
    let store = Store::new(config.layout.clone());
    store.prepare()?;
    let _lock = hold(&store)?;
    let stop = CancellationToken::new();
    let jobs = Arc::new(jobs(&config, &inputs, &stop));
    refuse_demo_over_live(&jobs)?;
    let Some(early) = recover_first(&jobs, &mut requests).await else { return Ok(()) };
    let (events, received) = mpsc::channel(64);
    let planner = Planner::new(inputs.clock.now(), config.limits.jitter.0, planned(&config, &store));
    let scheduler = Scheduler { planner, clock: Arc::clone(&inputs.clock), events: received };
    let duties = Duties {
        jobs: Arc::new(Mutex::new(jobs)),
        tracker: TaskTracker::new(),
        running: Arc::new(watch::channel(0).0),
        untold: Arc::new(watch::channel(0).0),
    };
    duties.tracker.spawn(duties.clone().tell(stop.clone()));
    info!(sources = config.sources.len(), cache = %store.layout.cache.display(), "Running");
    let mut daemon = Daemon { inputs, config, events, duties: duties.clone(), stop };
    let mut heartbeat = systemd::Heartbeat::default();
    let scheduling =
        scheduler.run(tick::ticks, |due, running| duties.start(due, running), |planner| heartbeat.beat(planner));
    tokio::pin!(scheduling);
    systemd::ready();
    daemon.serve(&mut scheduling, early, requests).await;
    daemon.end().await;
    Ok(())
}

/// Refuses to write invented deals over live ones.
pub fn refuse_demo_over_live(jobs: &Jobs) -> Result<(), RunError> {
    let refused = recover::is_demo_over_live(jobs)?;
    let cache = jobs.store.layout.cache.display().to_string();
    if refused { Err(RunError::DemoOverLive { cache }) } else { Ok(()) }
}

/// Brings the folders into order, off this thread: a lock may be another process's for a while. Gives what was asked
/// in the meantime, or nothing if that was to end.
async fn recover_first(jobs: &Arc<Jobs>, requests: &mut UnboundedReceiver<Request>) -> Option<Vec<Request>> {
    let recovering = {
        let jobs = Arc::clone(jobs);
        tokio::task::spawn_blocking(move || recover::recover(&jobs, jobs.clock.now()))
    };
    tokio::pin!(recovering);
    let mut early = Vec::new();
    loop {
        tokio::select! {
            _ = &mut recovering => return Some(early),
            request = requests.recv() => match request.unwrap_or(Request::Stop) {
                Request::Stop => return None,
                request => early.push(request),
            },
        }
    }
}

/// Takes the lock that `run` holds for life.
fn hold(store: &Store) -> Result<Lock, RunError> {
    store.lock_run()?.ok_or_else(|| RunError::AlreadyRunning {
        cache: store.layout.cache.display().to_string(),
        holder: store.daemon().map_or_else(String::new, |process| format!(" (process {process})")),
    })
}

struct Daemon {
    inputs: Inputs,
    config: Config,
    events: mpsc::Sender<Event>,
    duties: Duties,
    stop: CancellationToken,
}

impl Daemon {
    /// Follows the signals, those that came `early` first, until one says stop.
    async fn serve(
        &mut self,
        scheduling: &mut (impl Future<Output = ()> + Unpin),
        early: Vec<Request>,
        mut requests: UnboundedReceiver<Request>,
    ) {
        let mut early = early.into_iter();
        loop {
            let request = if let Some(request) = early.next() {
                request
            } else {
                tokio::select! {
                    () = &mut *scheduling => return,
                    request = requests.recv() => request.unwrap_or(Request::Stop),
                }
            };
            let event = match request {
                Request::Stop => return,
                Request::Reload => self.reload(),
                Request::Pull => {
                    info!("Asked to pull every source now");
                    Some(Event::RequestAll(PULL.to_owned()))
                }
            };
            if let Some(event) = event {
                tokio::select! {
                    () = &mut *scheduling => return,
                    _ = self.events.send(event) => {}
                }
            }
        }
    }

    /// Reads the configuration again: a good one is used, a bad one changes nothing. Running pulls keep theirs.
    fn reload(&mut self) -> Option<Event> {
        systemd::reloading();
        let event = self.follow_new_config();
        systemd::ready();
        event
    }

    fn follow_new_config(&mut self) -> Option<Event> {
        let (config, report) = config::load(&self.inputs);
        let Some(config) = config else {
            for problem in &report.problems {
                error!(problem = %problem, "The new configuration is wrong; the old one stays");
            }
            return None;
        };
        if (&config.layout.output, &config.layout.cache) != (&self.config.layout.output, &self.config.layout.cache) {
            error!("`output` and `cache` change only with a restart; the old configuration stays");
            return None;
        }
        report.warnings.iter().for_each(|warning| warn!(%warning, "Configuration"));
        let mut jobs = jobs(&config, &self.inputs, &self.stop);
        if config.limits.parallel == self.config.limits.parallel {
            // What runs already counts.
            jobs.slots = Arc::clone(&self.current().slots);
        }
        if let Err(error) = refuse_demo_over_live(&jobs) {
            error!(error = in_one_line(&error), "The old configuration stays");
            return None;
        }
        let jobs = Arc::new(jobs);
        let planned = planned(&config, &jobs.store);
        let jitter = config.limits.jitter.0;
        info!(sources = config.sources.len(), "Following the new configuration");
        *self.duties.jobs.lock().unwrap_or_else(PoisonError::into_inner) = jobs;
        self.config = config;
        Some(Event::Reload { jitter, planned })
    }

    /// What new runs work with.
    fn current(&self) -> Arc<Jobs> {
        Arc::clone(&self.duties.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes no new work and gives what runs the time it is granted.
    async fn end(self) {
        let Span(grace) = self.config.limits.grace;
        systemd::stopping(grace);
        self.stop.cancel();
        self.duties.tracker.close();
        info!(running = *self.duties.running.borrow(), "Ending");
        if tokio::time::timeout(grace, self.duties.tracker.wait()).await.is_err() {
            warn!(grace_s = grace.as_secs(), "Pulls that still ran were cut; nothing half is published");
        }
    }
}
