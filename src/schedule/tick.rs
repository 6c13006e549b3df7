//! Wakes the loop each minute or each second. The only home of `tokio-cron-scheduler`.
//!
//! Apart because the library keeps one promise well, to call a job in UTC about when its cron says so, and breaks
//! others (`docs/schedules.md`): the day it is mended upstream, this is the file to change.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tracing::error;

use crate::schedule::planner::Cadence;

/// Why there is no tick.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    /// The library refused.
    #[error("register the tick with the cron library")]
    Refused(#[from] JobSchedulerError),
    /// The library did not answer: its list of additions can die and then waits for ever.
    #[error("register the tick with the cron library: no answer within {} s", ANSWER.as_secs())]
    Silent,
}

/// How long the library may take to accept the tick; it takes less than a millisecond.
const ANSWER: Duration = Duration::from_secs(5);

/// A running tick.
pub struct Ticker {
    scheduler: JobScheduler,
}

impl Ticker {
    /// Sends `()` to `sender` at each beat; a beat that finds the channel full is dropped, for it says nothing new.
    ///
    /// # Errors
    /// The library refused, or did not answer within five seconds.
    pub async fn start(cadence: Cadence, sender: mpsc::Sender<()>) -> Result<Self, TickError> {
        let scheduler = JobScheduler::new().await?;
        let job = Job::new_async(expression(cadence), move |_, _| {
            let sender = sender.clone();
            // Full means that the loop has not seen the last beat yet, closed that it has gone.
            Box::pin(async move {
                let _ = sender.try_send(());
            })
        })?;
        timeout(ANSWER, scheduler.add(job)).await.map_err(|_| TickError::Silent)??;
        scheduler.start().await?;
        Ok(Self { scheduler })
    }

    /// Ends the tick; a beat on its way may still come.
    pub async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            error!(%error, "The tick did not stop.");
        }
    }
}

/// In the library's dialect, with the second first.
fn expression(cadence: Cadence) -> &'static str {
    match cadence {
        Cadence::Minute => "0 * * * * *",
        Cadence::Second => "* * * * * *",
    }
}

/// A tick that stops when its receiver is dropped. If it cannot be started the error is logged, and no tick comes: the
/// loop misses it and asks again.
pub fn ticks(cadence: Cadence) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        match Ticker::start(cadence, sender.clone()).await {
            Ok(ticker) => {
                sender.closed().await;
                ticker.stop().await;
            }
            Err(error) => error!(error = &error as &dyn std::error::Error, "The tick did not start."),
        }
    });
    receiver
}
