//! Accepts a held snapshot: a person looked at it and gives the reason.

use chrono::{DateTime, Utc};

use crate::advice::Advice;
use crate::jobs::assemble::AssembleError;
use crate::jobs::outcome::Published;
use crate::jobs::publish::{Candidate, publish};
use crate::jobs::{Jobs, Target};
use crate::store::error::StoreError;
use crate::store::layout::SnapshotId;

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Nothing is held, or nothing of that name.
    #[error("no such snapshot of `{source_name}` is held{held}")]
    NotHeld {
        /// The source.
        source_name: String,
        /// What is held instead, in words.
        held: String,
    },
    /// What was published since would stay the latest.
    #[error("snapshot {newest} is newer than the held one")]
    Outdated {
        /// The newest good one.
        newest: SnapshotId,
    },
    /// A pull of the source is running.
    #[error("the source is being pulled")]
    Busy,
    /// A file cannot be moved or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The snapshot, the summary or the latest file cannot be written.
    #[error(transparent)]
    Publish(#[from] AssembleError),
}

impl AcceptError {
    /// What to do, where it is not plain.
    pub fn advice(&self) -> Option<Advice> {
        match self {
            Self::NotHeld { .. } | Self::Outdated { .. } => None,
            Self::Busy => Some(Advice::StopOtherInstance),
            Self::Store(error) => Some(error.advice()),
            Self::Publish(error) => Some(error.advice()),
        }
    }
}

/// Publishes the held snapshot `id` (default: the newest) of `target`, with a note of why it is right.
pub fn accept(
    jobs: &Jobs,
    target: &Target,
    id: Option<&str>,
    note: &str,
    now: DateTime<Utc>,
) -> Result<Published, AcceptError> {
    let _lock = jobs.store.lock_source(&target.name)?.ok_or(AcceptError::Busy)?;
    let held = jobs.store.list_held(&target.name)?;
    let chosen = held.iter().rev().find(|held| id.is_none_or(|id| held.to_string() == id)).copied();
    let chosen = chosen.ok_or_else(|| not_held(target, &held))?;
    let candidate = jobs.store.held_head(&target.name, chosen)?;
    let before = jobs.last_good(target)?;
    if let Some(newest) = before.as_ref().filter(|newest| newest.head.timestamp >= candidate.timestamp) {
        return Err(AcceptError::Outdated { newest: newest.id });
    }
    Ok(publish(jobs, target, Candidate::Accepted { held: chosen, head: candidate.into(), note }, before, now)?)
}

fn not_held(target: &Target, held: &[SnapshotId]) -> AcceptError {
    let held: Vec<String> = held.iter().map(ToString::to_string).collect();
    let held = if held.is_empty() { String::new() } else { format!("; held are {}", held.join(", ")) };
    AcceptError::NotHeld { source_name: target.name.to_string(), held }
}
