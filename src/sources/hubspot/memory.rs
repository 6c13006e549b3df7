//! The stages a source has ever seen, also in a process before.
//!
//! Nothing is wrong without them, only less well named.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::memory::Memory;
use crate::model::money::Currency;
use crate::model::pipeline::Stage;
use crate::sources::hubspot::pipelines::Pipelines;

/// The account's currency, as it was last told to these credentials, for the day they may not ask.
pub(super) struct LastCurrency(Arc<dyn Memory>);

impl LastCurrency {
    /// Where it is remembered.
    const KEY: &str = "account_currency";

    /// What is remembered.
    pub(super) fn new(memory: Arc<dyn Memory>) -> Self {
        Self(memory)
    }

    /// It is told: nothing is written where it is the same.
    pub(super) fn note(&self, identity: u64, currency: Currency) {
        if self.last(identity) != Some(currency) {
            self.0.put(Self::KEY, &format!("{identity:016x} {currency}"));
        }
    }

    /// What was last told.
    pub(super) fn last(&self, identity: u64) -> Option<Currency> {
        let text = self.0.get(Self::KEY)?;
        let (whose, currency) = text.split_once(' ')?;
        if whose == format!("{identity:016x}") { currency.parse().ok() } else { None }
    }
}

/// Every stage and pipeline seen so far, by this process or another: HubSpot deletes them for good, and deals go on
/// naming them.
pub(super) struct Seen {
    labels: Mutex<Labels>,
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

impl Seen {
    /// Where the labels are remembered.
    const KEY: &str = "labels";

    /// What is remembered.
    pub(super) fn new(memory: Arc<dyn Memory>) -> Self {
        Self { labels: Mutex::default(), memory }
    }

    /// Takes note of the stages and pipelines that there are now. Those of another account are forgotten, since ids are
    /// an account's own; an account that is not told is taken for the one before.
    pub(super) fn note(&self, account: Option<&str>, pipelines: &Pipelines) {
        let before = self.memory.get(Self::KEY).and_then(|text| serde_json::from_str::<Remembered>(&text).ok());
        let before = before.unwrap_or_default();
        let is_anothers = before.account.as_deref().zip(account).is_some_and(|(before, now)| before != now);
        let mut labels = Labels::default();
        if !is_anothers {
            labels.add(before.stages.iter().cloned(), before.pipelines.clone());
        }
        labels.add(pipelines.stages.iter().cloned(), pipelines.labels.clone());
        let now = Remembered {
            account: account.map(ToOwned::to_owned).or_else(|| before.account.clone()),
            stages: labels.stages.values().cloned().collect(),
            pipelines: labels.pipelines.clone(),
        };
        if now != before {
            self.memory.put(Self::KEY, &serde_json::to_string(&now).expect("texts and numbers are JSON"));
        }
        *self.labels() = labels;
    }

    /// All that was ever noted.
    pub(super) fn labels(&self) -> MutexGuard<'_, Labels> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::InProcess;

    fn pipelines(stage: &str) -> Pipelines {
        let stage = Stage {
            pipeline: "Sales".to_owned(),
            pipeline_id: "default".to_owned(),
            id: stage.to_owned(),
            label: stage.to_uppercase(),
            order: 0,
            probability: "0.4".parse().ok(),
            is_closed: false,
            is_won: false,
        };
        Pipelines { labels: [("default".to_owned(), "Sales".to_owned())].into(), stages: vec![stage], odd: 0 }
    }

    fn labels(seen: &Seen) -> Vec<String> {
        seen.labels().stages.values().map(|stage| stage.label.clone()).collect()
    }

    #[test]
    fn stages_that_are_gone_are_remembered_for_their_account_alone() {
        let memory: Arc<dyn Memory> = Arc::new(InProcess::default());
        let next = || Seen::new(Arc::clone(&memory));
        next().note(Some("1"), &pipelines("gone"));
        for account in [Some("1"), None] {
            let seen = next();
            seen.note(account, &pipelines("new"));
            assert_eq!(labels(&seen), ["GONE", "NEW"], "{account:?}");
        }
        let seen = next();
        seen.note(Some("2"), &pipelines("new"));
        assert_eq!(labels(&seen), ["NEW"]);
        memory.put(Seen::KEY, "no such thing");
        let seen = next();
        seen.note(Some("1"), &pipelines("new"));
        assert_eq!(labels(&seen), ["NEW"]);
    }
}
