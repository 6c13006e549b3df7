//! The stages a source has ever seen.
//!
//! They are lost with the process; nothing is wrong without them, only less well named.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::pipeline::Stage;
use crate::sources::hubspot::pipelines::Pipelines;

/// Every stage and pipeline seen so far: HubSpot deletes them for good, and deals go on naming them.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Labels>);

/// Stages by pipeline and id, and the labels of pipelines by id.
#[derive(Debug, Default)]
pub(super) struct Labels {
    pub(super) stages: BTreeMap<(String, String), Stage>,
    pub(super) pipelines: BTreeMap<String, String>,
}

impl Seen {
    /// Takes note of the stages and pipelines that there are now.
    pub(super) fn note(&self, pipelines: &Pipelines) {
        let mut labels = self.labels();
        let key = |stage: &Stage| (stage.pipeline_id.clone(), stage.id.clone());
        labels.stages.extend(pipelines.stages.iter().map(|stage| (key(stage), stage.clone())));
        labels.pipelines.extend(pipelines.labels.clone());
    }

    /// All that was ever noted.
    pub(super) fn labels(&self) -> MutexGuard<'_, Labels> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
