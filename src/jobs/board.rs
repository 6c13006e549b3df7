//! The status board: the head of each source's newest readable snapshot, read once.
//!
//! Other processes publish and prune beside us, so the folder is listed at every look; a file is read only if its
//! name is new, for a published file never changes.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tracing::error;

use crate::model::snapshot::Head;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::layout::{Place, SnapshotId};
use crate::telemetry::in_one_line;

/// How far a snapshot may be ahead of the clock.
const AHEAD: TimeDelta = TimeDelta::minutes(10);

/// Whether a snapshot's name says a time that has not come: some clock was wrong.
pub fn is_from_future(id: SnapshotId, now: DateTime<Utc>) -> bool {
    id.time > now + AHEAD
}

/// A source's newest snapshot.
#[derive(Debug, Clone)]
pub struct Newest {
    /// Its name.
    pub id: SnapshotId,
    /// Its head.
    pub head: Arc<Head>,
}

/// Heads by file: `None` for a file that cannot be read, so that it is said once.
type Heads = HashMap<(Place, SnapshotId), Option<Arc<Head>>>;

/// The heads that were read.
#[derive(Debug, Default)]
pub struct Board(Mutex<Heads>);

impl Board {
    /// The newest snapshot of a place that can be read. A broken one is passed over, and said once; so is one from the
    /// future, which would else stay the newest until then.
    pub fn newest(&self, store: &Store, place: &Place, now: DateTime<Utc>) -> Result<Option<Newest>, StoreError> {
        let mut found = None;
        for id in store.list(place)?.into_iter().rev().filter(|id| !is_from_future(*id, now)) {
            if let Some(head) = self.head(store, place, id)? {
                found = Some(Newest { id, head });
                break;
            }
        }
        self.forget_older(place, found.as_ref().map(|newest| newest.id));
        Ok(found)
    }

    /// Takes note of a snapshot that was just published, so that it need not be read back.
    pub fn published(&self, place: &Place, id: SnapshotId, head: Arc<Head>) {
        self.lock().insert((place.clone(), id), Some(head));
    }

    /// A file that is not a snapshot never becomes one. A file that cannot be read just now (no more open files, a bad disk)
    /// may be the newest all the same, so nothing older is put in its place.
    fn head(&self, store: &Store, place: &Place, id: SnapshotId) -> Result<Option<Arc<Head>>, StoreError> {
        let key = (place.clone(), id);
        if let Some(known) = self.lock().get(&key) {
            return Ok(known.clone());
        }
        let head = match store.head(place, id) {
            Ok(head) => Some(Arc::new(head)),
            Err(error) => match error.kind() {
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                    let error = in_one_line(&error);
                    error!(error, snapshot.id = %id, "A snapshot cannot be read and is passed over");
                    None
                }
                // Pruned since it was listed.
                ErrorKind::NotFound => return Ok(None),
                _ => return Err(error),
            },
        };
        self.lock().insert(key, head.clone());
        Ok(head)
    }

    fn forget_older(&self, place: &Place, newest: Option<SnapshotId>) {
        self.lock().retain(|(known, id), _| known != place || newest.is_none_or(|newest| *id >= newest));
    }

    fn lock(&self) -> MutexGuard<'_, Heads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
