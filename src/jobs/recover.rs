//! Finishes or forgets what a killed process left: drafts are swept, and summary and latest file follow the newest
//! snapshots.

use chrono::{DateTime, Utc};
use tracing::{error, info};

use crate::jobs::assemble::AssembleError;
use crate::jobs::{Jobs, summarize};
use crate::store::error::StoreError;
use crate::telemetry::in_one_line;

/// Whether the configured sources are a demo, and the folder holds live data: nothing may be written then.
pub fn is_demo_over_live(jobs: &Jobs) -> Result<bool, StoreError> {
    if !jobs.targets.values().all(|target| target.built.demo) {
        return Ok(false);
    }
    let now = jobs.clock.now();
    for place in jobs.store.places()? {
        if jobs.board.newest(&jobs.store, &place, now)?.is_some_and(|newest| !newest.head.demo) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Brings the folders into order at start; a failure is logged, for the next publish tries again.
pub fn recover(jobs: &Jobs, now: DateTime<Utc>) {
    if let Err(error) = bring_into_order(jobs, now) {
        error!(error = in_one_line(&error), "Startup recovery failed");
    }
}

fn bring_into_order(jobs: &Jobs, now: DateTime<Utc>) -> Result<(), AssembleError> {
    let swept = jobs.store.sweep()?;
    if swept > 0 {
        info!(swept, "Removed {swept} unfinished files of a process that was killed");
    }
    if !is_in_order(jobs)? {
        summarize::refresh(jobs, now)?;
    }
    Ok(())
}

/// Whether the one source's newest snapshot is the latest file already. Of several sources that cannot be seen.
fn is_in_order(jobs: &Jobs) -> Result<bool, StoreError> {
    let mut targets = jobs.targets.values();
    let (Some(target), None) = (targets.next(), targets.next()) else { return Ok(false) };
    let newest = jobs.newest(target)?;
    Ok(newest.is_some_and(|newest| jobs.store.is_latest(&target.place, newest.id)))
}
