//! What happens when a duty is due: the job is started, its end is logged once, and summary and latest file follow.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::advice::Advice;
use crate::app::{PRUNE, PULL, SUMMARY};
use crate::jobs::outcome::{Outcome, PullFailure};
use crate::jobs::{Jobs, Target, prune, pull, summarize};
use crate::schedule::planner::{Due, Reason};
use crate::schedule::run::Running;
use crate::sources::fetch::FetchError;
use crate::store::layout::Place;
use crate::telemetry::in_one_line;

/// Joined files are written at most this often.
const JOIN_EVERY: Duration = Duration::from_secs(5);
/// How long a joined file waits for the slowest of the runs due together.
const JOIN_AFTER: Duration = Duration::from_secs(30);

/// Starts duties with the configuration of the moment.
#[derive(Clone)]
pub(super) struct Duties {
    /// What new runs work with; a reload replaces it.
    pub(super) jobs: Arc<Mutex<Arc<Jobs>>>,
    /// Everything that runs.
    pub(super) tracker: TaskTracker,
    /// How many pulls run or wait for a slot.
    pub(super) running: Arc<watch::Sender<usize>>,
    /// Counts the ends of pulls that summary and latest file do not tell of yet.
    pub(super) untold: Arc<watch::Sender<u64>>,
}

impl Duties {
    /// Starts what is due and returns at once; `running` is dropped when it has ended.
    pub(super) fn start(&self, due: Due, running: Running) {
        let jobs = Arc::clone(&self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        match due.name.as_str() {
            SUMMARY => self.spawn_house(jobs, due, running, |jobs, now| {
                summarize::refresh(jobs, now).map(|_| ()).map_err(|error| in_one_line(&error))
            }),
            PRUNE => self.spawn_house(jobs, due, running, prune_and_log),
            name => {
                let target = name.strip_prefix(PULL).and_then(|name| jobs.targets.get(&name.parse().ok()?)).cloned();
                // A duty that a reload has just dropped has no source any more.
                let Some(target) = target else { return };
                let duties = self.clone();
                self.tracker.spawn(async move {
                    duties.pull(jobs, target, &due).await;
                    drop(running);
                });
            }
        }
    }

    /// Runs a job on files, off the loop's thread.
    fn spawn_house(
        &self,
        jobs: Arc<Jobs>,
        due: Due,
        running: Running,
        work: impl FnOnce(&Jobs, DateTime<Utc>) -> Result<(), String> + Send + 'static,
    ) {
        self.tracker.spawn_blocking(move || {
            let now = jobs.clock.now();
            let remembered = jobs.store.remember(&Place::Flat, &due.name, |state| state.begin(Some(due.due_at), now));
            let ended = remembered.map_err(|error| in_one_line(&error)).and_then(|()| work(&jobs, now));
            let remembered = jobs.store.remember(&Place::Flat, &due.name, |state| match &ended {
                Ok(()) => state.succeed(jobs.clock.now()),
                Err(error) => state.fail(jobs.clock.now(), error.clone(), None),
            });
            if let Err(error) = ended.and(remembered.map_err(|error| in_one_line(&error))) {
                error!(job.name = due.name, error, "`{}` failed", due.name);
            }
            drop(running);
        });
    }

    async fn pull(&self, jobs: Arc<Jobs>, target: Arc<Target>, due: &Due) {
        self.running.send_modify(|count| *count += 1);
        // A requested run does not serve a due time: the next one stays planned.
        let due_at = if due.reason == Reason::Requested { None } else { Some(due.due_at) };
        let outcome = pull::pull(&jobs, &target, due_at, |_| ()).await;
        self.running.send_modify(|count| *count -= 1);
        log(&target, &outcome);
        if is_untold(&outcome, jobs.targets.len()) {
            self.untold.send_modify(|count| *count += 1);
        }
    }

    /// Writes summary and latest file once the runs due together have ended, not too often, and once more before the
    /// end if something happened since.
    pub(super) async fn tell(self, stop: CancellationToken) {
        let (mut running, mut untold) = (self.running.subscribe(), self.untold.subscribe());
        loop {
            let stopping = tokio::select! {
                _ = untold.changed() => false,
                () = stop.cancelled() => true,
            };
            let quiet = running.wait_for(|count| *count == 0);
            if stopping {
                let _ = quiet.await;
            } else {
                tokio::select! {
                    _ = tokio::time::timeout(JOIN_AFTER, quiet) => {}
                    () = stop.cancelled() => continue,
                }
            }
            if !stopping || untold.has_changed().unwrap_or(false) {
                untold.mark_unchanged();
                self.join_now().await;
            }
            if stopping {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(JOIN_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn join_now(&self) {
        let jobs = Arc::clone(&self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || {
            let now = jobs.clock.now();
            summarize::refresh(&jobs, now).map_err(|error| in_one_line(&error))
        });
        match joined.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => error!(error, "Summary and latest file could not be written; the old ones stay"),
            Err(_) => error!("Writing summary and latest file ended in a panic; the old ones stay"),
        }
    }
}

/// Whether a pull's end is yet to be told in summary and latest file. One source's publish writes both itself; of
/// several, and when a pull fails or is held, whoever reads them must learn how old they are.
fn is_untold(outcome: &Outcome, sources: usize) -> bool {
    match outcome {
        Outcome::Published(_) => sources > 1,
        Outcome::Failed(PullFailure::Busy | PullFailure::Fetch(FetchError::Stopped)) => false,
        Outcome::Held(_) | Outcome::Failed(_) => true,
    }
}

fn log(target: &Target, outcome: &Outcome) {
    let name = &target.name;
    let (error, advice) = match outcome {
        Outcome::Published(_) => return,
        Outcome::Failed(PullFailure::Busy) => {
            return info!(source.name = %name, "Skipped `{name}`: another process is pulling it");
        }
        Outcome::Failed(PullFailure::Fetch(FetchError::Stopped)) => {
            return warn!(source.name = %name, "Stopped pulling `{name}`");
        }
        Outcome::Held(held) => (held.to_string(), Some(Advice::AcceptOrMend.text())),
        Outcome::Failed(failure) => (in_one_line(failure), failure.advice().map(Advice::text)),
    };
    error!(source.name = %name, error, advice, "Pulling `{name}` failed; the last good snapshot stays");
}

fn prune_and_log(jobs: &Jobs, now: DateTime<Utc>) -> Result<(), String> {
    let pruned = prune::prune(jobs, now, false).map_err(|error| in_one_line(&error))?;
    for (place, plan) in &pruned.plans {
        if let Some(doubt) = plan.doubt {
            let folder = jobs.store.layout.folder(place);
            warn!(folder = %folder.display(), "Nothing is deleted: {doubt}; if the clock is right: `snapshots prune --force`");
        }
    }
    info!(removed = pruned.removed, "Deleted {} expired snapshots", pruned.removed);
    match pruned.errors.first() {
        None => Ok(()),
        Some(error) => {
            Err(format!("{} snapshots could not be deleted, such as: {}", pruned.errors.len(), in_one_line(error)))
        }
    }
}
