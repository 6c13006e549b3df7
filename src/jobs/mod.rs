//! The duties: pull, summarize, prune, and the recovery at start. Each file is one story, top to bottom.

pub mod accept;
pub mod assemble;
pub mod board;
pub mod names;
pub mod outcome;
pub mod prune;
pub mod publish;
pub mod pull;
pub mod recover;
pub mod status;
pub mod summarize;
mod vanished;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::cron::Cron;
use crate::jobs::board::{Board, Newest, is_from_future};
use crate::model::money::Rates;
use crate::model::name::SourceName;
use crate::model::snapshot::Head;
use crate::settings::Span;
use crate::sources::Built;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::layout::Place;
use crate::store::retention::Policy;

/// A configured source: its name, its snapshots' folder, its schedule and its CRM.
#[derive(Clone)]
pub struct Target {
    /// Its name.
    pub name: SourceName,
    /// Where its snapshots are.
    pub place: Place,
    /// When it is pulled.
    pub schedule: Cron,
    /// The CRM behind it.
    pub built: Built,
}

impl Target {
    /// The name of its duty, as `check`, `status` and the state files have it.
    pub fn duty(&self) -> String {
        format!("pull:{}", self.name)
    }
}

/// What every duty works with: one configuration's worth.
pub struct Jobs {
    /// The files.
    pub store: Store,
    /// The configured sources.
    pub targets: BTreeMap<SourceName, Arc<Target>>,
    /// The base currency and the rates into it.
    pub rates: Rates,
    /// How long snapshots are kept.
    pub retention: Policy,
    /// How long a pull may take.
    pub pull_deadline: Span,
    /// How many pulls run at once.
    pub slots: Arc<Semaphore>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Raised when the program is to end.
    pub stop: CancellationToken,
    /// What the newest snapshots say.
    pub board: Board,
    /// Whether invented snapshots were looked for and set aside.
    pub demo_aside: OnceLock<()>,
}

impl Jobs {
    /// The newest snapshot of a source. Invented deals are never taken for a live source's, nor the reverse.
    pub fn newest(&self, target: &Target) -> Result<Option<Newest>, StoreError> {
        let newest = self.board.newest(&self.store, &target.place, self.clock.now())?;
        Ok(newest.filter(|newest| newest.head.demo == target.built.demo))
    }

    /// What a pull of the source takes the place of: its newest snapshot, be it a flat one that is yet to be adopted.
    pub fn last_good(&self, target: &Target) -> Result<Option<Newest>, StoreError> {
        let own = self.newest(target)?;
        let Place::Folder(name) = &target.place else { return Ok(own) };
        if !self.is_first_publish(target) {
            return Ok(own);
        }
        let is_its = |head: &Head| head.source == name.as_str() && head.demo == target.built.demo;
        let now = self.clock.now();
        let flat = self.store.list(&Place::Flat)?.into_iter().rev().filter(|id| !is_from_future(*id, now));
        let heads = flat.filter_map(|id| Some((id, self.store.head(&Place::Flat, id).ok()?)));
        let mut to_adopt = heads.filter(|(_, head)| is_its(head)).map(|(id, head)| Newest { id, head: Arc::new(head) });
        Ok([own, to_adopt.next()].into_iter().flatten().max_by_key(|newest| newest.id))
    }

    /// Whether the source has published nothing yet. The folder does not tell: a kill may have cut an adoption short.
    pub fn is_first_publish(&self, target: &Target) -> bool {
        self.store.duties(&target.place).get(&target.duty()).is_none_or(|state| state.last_success.is_none())
    }
}
