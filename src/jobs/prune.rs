//! Deletes expired snapshots, folder by folder.

use chrono::{DateTime, Utc};

use crate::jobs::Jobs;
use crate::store::error::StoreError;
use crate::store::layout::Place;
use crate::store::retention::Plan;

/// What a prune found and did.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Each place with its plan.
    pub plans: Vec<(Place, Plan)>,
    /// How many snapshots were deleted.
    pub removed: u64,
    /// What could not be deleted; the rest went on.
    pub errors: Vec<StoreError>,
}

/// What would be deleted at `now`, and why the rest stays; `force` overrides a doubtful clock.
pub fn plan(jobs: &Jobs, now: DateTime<Utc>, force: bool) -> Result<Vec<(Place, Plan)>, StoreError> {
    let mut plans = Vec::new();
    for place in jobs.store.places()? {
        let snapshots = jobs.store.list(&place)?;
        if !snapshots.is_empty() {
            let last_good = jobs.board.newest(&jobs.store, &place, now)?.map(|newest| newest.id);
            plans.push((place, jobs.retention.plan(&snapshots, last_good, now, force)));
        }
    }
    Ok(plans)
}

/// Deletes what [`plan`] marks as expired, under the write lock.
pub fn prune(jobs: &Jobs, now: DateTime<Utc>, force: bool) -> Result<Pruned, StoreError> {
    let _lock = jobs.store.lock_write()?;
    let mut pruned = Pruned { plans: plan(jobs, now, force)?, ..Pruned::default() };
    for (place, plan) in &pruned.plans {
        let going = plan.verdicts.iter().filter(|(_, verdict)| verdict.goes()).map(|(id, _)| *id);
        let (removed, errors) = jobs.store.remove(place, going);
        pruned.removed += removed;
        pruned.errors.extend(errors);
    }
    Ok(pruned)
}
