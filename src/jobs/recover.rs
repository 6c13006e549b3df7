//! Finishes or forgets what a killed process left: drafts are swept, and summary and latest file follow the newest
//! snapshots.

use chrono::{DateTime, Utc};
use tracing::{error, info};

use crate::jobs::assemble::AssembleError;
use crate::jobs::{Jobs, summarize};
use crate::telemetry::in_one_line;

/// Brings the folders into order at start; a failure is logged, for the next publish tries again.
pub fn recover(jobs: &Jobs, now: DateTime<Utc>) {
    if let Err(error) = bring_into_order(jobs, now) {
        error!(error = in_one_line(&error), "What a killed process left could not be brought into order");
    }
}

fn bring_into_order(jobs: &Jobs, now: DateTime<Utc>) -> Result<(), AssembleError> {
    let swept = {
        let _lock = jobs.store.lock_write()?;
        jobs.store.sweep()?
    };
    if swept > 0 {
        info!(swept, "Removed {swept} unfinished files of a process that was killed");
    }
    summarize::refresh(jobs, now)?;
    Ok(())
}
