//! The only path that makes a snapshot the latest, used by a pull and by `snapshots accept`.
//!
//! `publish` writes the snapshot, then the summary, then the latest file: a reader of the latest file finds the rest.
//! `after_publish` follows every outcome; history, outbox and metrics attach there.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::jobs::assemble::{AssembleError, Assembled};
use crate::jobs::board::Newest;
use crate::jobs::outcome::{Outcome, Published};
use crate::jobs::{Jobs, Target, summarize};
use crate::model::snapshot::Head;
use crate::store::error::StoreError;
use crate::store::layout::{Place, SnapshotId};
use crate::store::state::AcceptedState;

/// A snapshot that may become the latest.
pub(super) enum Candidate<'a> {
    /// A pull that passed the gate.
    Pulled(Box<Assembled>),
    /// A held snapshot that a person accepts, with the reason.
    Accepted {
        /// The id of the held snapshot.
        held: SnapshotId,
        /// Its head.
        head: Box<Head>,
        /// The reason.
        note: &'a str,
    },
}

/// Makes `candidate` the latest snapshot of its source. Blocks.
///
/// With one source in the configuration, summary and latest file follow at once; with several, the caller of a pull
/// refreshes them when the runs due together have ended.
pub(super) fn publish(
    jobs: &Jobs,
    target: &Target,
    candidate: Candidate<'_>,
    before: Option<Newest>,
    now: DateTime<Utc>,
) -> Result<Published, AssembleError> {
    set_demo_aside(jobs, target)?;
    let accepted = matches!(candidate, Candidate::Accepted { .. });
    adopt(jobs, target, accepted)?;
    let (id, head) = match candidate {
        Candidate::Pulled(mut assembled) => {
            let Assembled { head, leads, index, .. } = assembled.as_mut();
            (jobs.store.publish(&target.place, head, leads, index)?, Arc::new(assembled.head))
        }
        Candidate::Accepted { held, head, note } => {
            let id = jobs.store.accept(&target.name, &target.place, held)?;
            jobs.store.remember(&target.place, &target.duty(), |state| {
                state.succeed(now);
                state.accepted = Some(AcceptedState { snapshot: id.to_string(), note: note.to_owned(), at: now });
            })?;
            (id, Arc::from(head))
        }
    };
    jobs.board.published(&target.place, id, Arc::clone(&head));
    if accepted || jobs.targets.len() == 1 {
        summarize::refresh(jobs, now)?;
    }
    Ok(Published { before, id, head, took: Duration::ZERO })
}

/// Follows an outcome: logs what was published. The caller reports what was not.
pub async fn after_publish(target: &Target, outcome: &Outcome) {
    let Outcome::Published(published) = outcome else { return };
    let (name, deals) = (&target.name, published.head.total_leads);
    tracing::info!(
        source.name = %name,
        snapshot.id = %published.id,
        deals,
        requests = published.head.run.as_ref().map_or(0, |run| run.requests),
        duration_ms = u64::try_from(published.took.as_millis()).unwrap_or(u64::MAX),
        "Published {deals} deals of `{name}`"
    );
}

/// Moves the snapshots that a source wrote before it had a folder into its folder.
fn adopt(jobs: &Jobs, target: &Target, always: bool) -> Result<(), StoreError> {
    let Place::Folder(name) = &target.place else { return Ok(()) };
    if always || jobs.is_first_publish(target) {
        let adopted = jobs.store.adopt(name)?;
        if adopted > 0 {
            tracing::info!(source.name = %name, adopted, "Moved {adopted} earlier snapshots into the source's folder");
        }
    }
    Ok(())
}

/// Moves demo snapshots out of the folder before the first live one is published.
fn set_demo_aside(jobs: &Jobs, target: &Target) -> Result<(), StoreError> {
    if target.built.demo || jobs.demo_aside.get().is_some() {
        return Ok(());
    }
    let mut moved = 0;
    for place in jobs.store.places()? {
        if jobs.board.newest(&jobs.store, &place, jobs.clock.now())?.is_some_and(|newest| newest.head.demo) {
            moved += jobs.store.set_demo_aside(&place)?;
        }
    }
    if moved > 0 {
        let folder = jobs.store.layout.demo();
        tracing::warn!(moved, folder = %folder.display(), "Moved {moved} demo snapshots aside: live data begins here");
    }
    let _ = jobs.demo_aside.set(());
    Ok(())
}
