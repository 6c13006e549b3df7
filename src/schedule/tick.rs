//! Wakes the loop each minute or each second. The only home of `tokio-cron-scheduler`.
//!
//! Apart because the library keeps one promise well, to call a job in UTC about when its cron says so, and breaks
//! others (`docs/schedules.md`): when it is fixed upstream, only this file changes.

use std::error::Error;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tracing::error;

use crate::schedule::planner::Cadence;

/// Why there is no tick.
#[derive(Debug, thiserror::Error)]
enum TickError {
    #[error("start the runtime of the tick")]
    Runtime(#[from] std::io::Error),
    #[error("register the tick with the cron library")]
    Refused(#[from] JobSchedulerError),
    #[error("register the tick with the cron library: no answer within {} s", ANSWER.as_secs())]
    Silent,
}

/// How long the library may take to accept the tick: less than a millisecond, or for ever, for its list of additions
/// can die.
const ANSWER: Duration = Duration::from_secs(5);

/// Begins a tick, which ends when the receiver is dropped. A beat that finds the last one not yet taken is dropped, for
/// it says nothing new.
///
/// If the tick cannot be started, the error is logged and no beat comes; the loop misses it and begins another.
pub fn ticks(cadence: Cadence) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    let beaten = std::thread::Builder::new().name("tick".into()).spawn(move || {
        if let Err(error) = beat(cadence, &sender) {
            error!(error = &error as &dyn Error, "The tick did not start.");
        }
    });
    if let Err(error) = beaten {
        error!(error = &error as &dyn Error, "The tick did not start.");
    }
    receiver
}

/// Beats until the receiver is gone.
///
/// On a separate runtime: the library's shutdown leaves eleven tasks behind, which end with the runtime.
fn beat(cadence: Cadence, sender: &mpsc::Sender<()>) -> Result<(), TickError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let beats = sender.clone();
        let job = Job::new_async(expression(cadence), move |_, _| {
            let _ = beats.try_send(());
            Box::pin(async {})
        })?;
        let scheduler = JobScheduler::new().await?;
        timeout(ANSWER, scheduler.add(job)).await.map_err(|_| TickError::Silent)??;
        scheduler.start().await?;
        sender.closed().await;
        Ok(())
    })
}

/// In the library's dialect, with the second first.
fn expression(cadence: Cadence) -> &'static str {
    match cadence {
        Cadence::Minute => "0 * * * * *",
        Cadence::Second => "* * * * * *",
    }
}
