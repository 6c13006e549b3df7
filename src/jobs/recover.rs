//! Finishes or forgets what a killed process left: drafts are swept, and summary and latest file follow the newest
//! snapshots.

use chrono::{DateTime, Utc};
use tracing::info;

use crate::jobs::assemble::AssembleError;
use crate::jobs::{Jobs, summarize};

/// Brings the folders into order at start.
pub fn recover(jobs: &Jobs, now: DateTime<Utc>) -> Result<(), AssembleError> {
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
