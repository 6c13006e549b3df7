//! How a pull ended: published, held or failed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::advice::Advice;
use crate::analysis::gate::Hold;
use crate::jobs::assemble::AssembleError;
use crate::jobs::board::Newest;
use crate::model::finding::Finding;
use crate::model::snapshot::Head;
use crate::sources::fetch::FetchError;
use crate::store::error::StoreError;
use crate::store::layout::SnapshotId;

/// Why a pull failed; nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PullFailure {
    /// Another process is pulling this source.
    #[error("another process is pulling this source")]
    Busy,
    /// Another process pulled this source while this one waited, and it failed.
    #[error("another process pulled it meanwhile: {0}")]
    Elsewhere(String),
    /// The source could not be read to its end.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The records do not make a snapshot.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// A file cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task panicked.
    #[error("the pull ended in a panic")]
    Panicked,
}

impl PullFailure {
    /// The suggested fix.
    pub fn advice(&self) -> Option<Advice> {
        match self {
            Self::Busy => Some(Advice::StopOtherInstance),
            Self::Fetch(error) => error.advice(),
            Self::Assemble(error) => Some(error.advice()),
            Self::Store(error) => Some(error.advice()),
            Self::Panicked | Self::Elsewhere(_) => None,
        }
    }
}

/// A published snapshot.
#[derive(Debug, Clone)]
pub struct Published {
    /// The last good snapshot before this one.
    pub before: Option<Newest>,
    /// Its id.
    pub id: SnapshotId,
    /// Its head, with the findings.
    pub head: Arc<Head>,
    /// From the first request to the last rename.
    pub took: Duration,
}

/// A complete pull that the gate stopped: it is set aside, and the last good snapshot stays the latest.
#[derive(Debug, Clone)]
pub struct Held {
    /// The last good snapshot.
    pub before: Option<Newest>,
    /// The id of the held snapshot.
    pub id: SnapshotId,
    /// Its head, with the findings.
    pub head: Arc<Head>,
    /// The reasons.
    pub holds: Vec<Hold>,
}

impl fmt::Display for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "held: {}", self.reasons().join("; "))
    }
}

impl Held {
    /// The reasons in words.
    pub fn reasons(&self) -> Vec<String> {
        self.holds.iter().map(ToString::to_string).collect()
    }
}

/// How a pull ended.
#[derive(Debug)]
pub enum Outcome {
    /// The snapshot is the latest.
    Published(Published),
    /// The snapshot is set aside.
    Held(Held),
    /// There is no snapshot.
    Failed(PullFailure),
}

impl Outcome {
    /// What the gate noted in the new snapshot.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Published(published) => &published.head.quality.findings,
            Self::Held(held) => &held.head.quality.findings,
            Self::Failed(_) => &[],
        }
    }
}
