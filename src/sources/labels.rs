//! What the stages and pipelines of deals are called, also those that are gone: a source remembers all that it has ever
//! seen, also in a process before.
//!
//! Nothing is wrong without them, only less well named.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::memory::Memory;
use crate::model::pipeline::Stage;

/// Every stage and pipeline seen so far, by this process or another: a CRM deletes them for good, and deals go on naming
/// them.
pub(super) struct StageHistory {
    labels: Mutex<Arc<Labels>>,
    memory: Arc<dyn Memory>,
}

/// Stages by pipeline and id, and the labels of pipelines by id.
#[derive(Debug, Default)]
pub(super) struct Labels {
    pub(super) stages: BTreeMap<(String, String), Stage>,
    pub(super) pipelines: BTreeMap<String, String>,
}

/// The labels as they are remembered, and whose they are.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Remembered {
    account: Option<String>,
    stages: Vec<Stage>,
    pipelines: BTreeMap<String, String>,
}

impl StageHistory {
    /// Where the labels are remembered.
    const KEY: &str = "labels";

    /// What is remembered.
    pub(super) fn new(memory: Arc<dyn Memory>) -> Self {
        Self { labels: Mutex::default(), memory }
    }

    /// Takes note of the stages and pipelines that there are now. Those of another account are forgotten, since ids are
    /// an account's own; an account that is not told is taken for the one before.
    pub(super) fn note(&self, account: Option<&str>, stages: &[Stage], pipelines: &HashMap<String, String>) {
        let before = self.memory.get(Self::KEY).and_then(|text| serde_json::from_str::<Remembered>(&text).ok());
        let before = before.unwrap_or_default();
        let is_anothers = before.account.as_deref().zip(account).is_some_and(|(before, now)| before != now);
        let mut labels = Labels::default();
        if !is_anothers {
            labels.add(before.stages.iter().cloned(), before.pipelines.clone());
        }
        labels.add(stages.iter().cloned(), pipelines.clone());
        let now = Remembered {
            account: account.map(ToOwned::to_owned).or_else(|| before.account.clone()),
            stages: labels.stages.values().cloned().collect(),
            pipelines: labels.pipelines.clone(),
        };
        if now != before {
            self.memory.put(Self::KEY, &serde_json::to_string(&now).expect("texts and numbers are JSON"));
        }
        *self.locked() = Arc::new(labels);
    }

    /// All that was ever noted.
    pub(super) fn labels(&self) -> Arc<Labels> {
        Arc::clone(&self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Arc<Labels>> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Labels {
    fn add(&mut self, stages: impl IntoIterator<Item = Stage>, pipelines: impl IntoIterator<Item = (String, String)>) {
        let keyed = stages.into_iter().map(|stage| ((stage.pipeline_id.clone(), stage.id.clone()), stage));
        self.stages.extend(keyed);
        self.pipelines.extend(pipelines);
    }
}

/// The stages a deal can be in: those that are listed, and those that were.
pub(super) struct StageIndex<'a> {
    by_pipeline: HashMap<(&'a str, &'a str), KnownStage<'a>>,
    by_stage: HashMap<&'a str, KnownStage<'a>>,
    pipelines: &'a Labels,
}

/// A stage, and whether it is still listed.
#[derive(Clone, Copy)]
pub(super) struct KnownStage<'a> {
    pub(super) stage: &'a Stage,
    pub(super) is_listed: bool,
}

impl<'a> StageIndex<'a> {
    /// Labels are unique within a pipeline only, and ids mostly within the account.
    pub(super) fn new(listed: &'a [Stage], seen: &'a Labels) -> Self {
        let listed = listed.iter().map(|stage| KnownStage { stage, is_listed: true });
        let gone = seen.stages.values().map(|stage| KnownStage { stage, is_listed: false });
        let mut known = Self { by_pipeline: HashMap::new(), by_stage: HashMap::new(), pipelines: seen };
        for place in listed.chain(gone) {
            let stage = place.stage;
            known.by_pipeline.entry((&stage.pipeline_id, &stage.id)).or_insert(place);
            known.by_stage.entry(&stage.id).or_insert(place);
        }
        known
    }

    /// Whether the account lists any stage.
    pub(super) fn has_listed(&self) -> bool {
        self.by_stage.values().any(|place| place.is_listed)
    }

    /// The stage by pipeline and id, else by its id alone.
    pub(super) fn find(&self, pipeline: &str, stage: &str) -> Option<KnownStage<'a>> {
        self.by_pipeline.get(&(pipeline, stage)).copied().or_else(|| self.by_id(stage))
    }

    /// The stage by its id, where that is unique in the account.
    pub(super) fn by_id(&self, stage: &str) -> Option<KnownStage<'a>> {
        self.by_stage.get(stage).copied()
    }

    /// What a pipeline is or was called.
    pub(super) fn pipeline(&self, id: &str) -> Option<&'a str> {
        self.pipelines.pipelines.get(id).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::InProcess;

    fn stage(pipeline: &str, id: &str, label: &str) -> Stage {
        Stage {
            pipeline: pipeline.to_uppercase(),
            pipeline_id: pipeline.to_owned(),
            id: id.to_owned(),
            label: label.to_owned(),
            order: 0,
            probability: "0.4".parse().ok(),
            is_closed: false,
            is_won: false,
        }
    }

    fn note(seen: &StageHistory, account: Option<&str>, stages: &[Stage]) {
        let pipelines = stages.iter().map(|stage| (stage.pipeline_id.clone(), stage.pipeline.clone()));
        seen.note(account, stages, &pipelines.collect());
    }

    #[test]
    fn stages_that_are_gone_are_remembered_for_their_account_alone() {
        let memory: Arc<dyn Memory> = Arc::new(InProcess::default());
        let (gone, new) = ([stage("sales", "1", "Gone")], [stage("sales", "2", "New")]);
        let labels = |account| {
            let seen = StageHistory::new(Arc::clone(&memory));
            note(&seen, account, &new);
            seen.labels().stages.values().map(|stage| stage.label.clone()).collect::<Vec<_>>()
        };
        note(&StageHistory::new(Arc::clone(&memory)), Some("1"), &gone);
        for account in [Some("1"), None] {
            assert_eq!(labels(account), ["Gone", "New"], "{account:?}");
        }
        assert_eq!(labels(Some("2")), ["New"]);
        memory.put(StageHistory::KEY, "no such thing");
        assert_eq!(labels(Some("1")), ["New"]);
    }

    #[test]
    fn a_stage_is_found_in_its_pipeline_then_by_its_id_and_also_once_it_is_deleted() {
        let mut listed = vec![
            stage("sales", "shared", "Shared"),
            stage("sales", "won", "Won"),
            stage("partner", "shared", "Shared by partners"),
            stage("sales", "lost", "Lost"),
        ];
        let seen = StageHistory::new(Arc::new(InProcess::default()));
        note(&seen, None, &listed);
        listed.pop();
        let labels = seen.labels();
        let known = StageIndex::new(&listed, &labels);
        let shown = |place: Option<KnownStage<'_>>| place.map(|place| (place.stage.label.clone(), place.is_listed));
        let expected = |label: &str, is_listed| Some((label.to_owned(), is_listed));
        assert_eq!(shown(known.find("sales", "shared")), expected("Shared", true));
        assert_eq!(
            shown(known.find("partner", "shared")),
            expected("Shared by partners", true),
            "one id in two pipelines"
        );
        assert_eq!(shown(known.find("partner", "won")), expected("Won", true), "the stage alone");
        assert_eq!(shown(known.find("sales", "lost")), expected("Lost", false), "remembered");
        assert_eq!(shown(known.by_id("lost")), expected("Lost", false));
        assert_eq!(shown(known.find("sales", "unheard")), None);
        assert_eq!(known.pipeline("partner"), Some("PARTNER"));
    }
}
