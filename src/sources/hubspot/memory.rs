//! What a source remembers from pull to pull: answers that are good for a day, and the stages it has ever seen.
//!
//! It is lost with the process; nothing is wrong without it, only dearer or less well named.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::memory::Memory;
use crate::model::money::Currency;
use crate::model::pipeline::Stage;
use crate::sources::hubspot::pipelines::Pipelines;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An answer that is good for a day, for one account.
#[derive(Debug)]
pub(super) struct ForADay<T>(Mutex<Option<Kept<T>>>);

#[derive(Debug)]
struct Kept<T> {
    since: Instant,
    account: u64,
    answer: T,
}

impl<T> Default for ForADay<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> ForADay<T> {
    /// The answer, if it is this account's and from today.
    pub(super) fn get(&self, account: u64, now: Instant) -> Option<T> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |kept: &&Kept<T>| kept.account == account && now.duration_since(kept.since) < DAY;
        kept.as_ref().filter(is_good).map(|kept| kept.answer.clone())
    }

    /// Keeps an answer.
    pub(super) fn put(&self, account: u64, now: Instant, answer: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept { since: now, account, answer });
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_good_for_a_day_and_for_one_account() {
        let kept = ForADay::default();
        kept.put(1, Instant::now(), "answer");
        assert_eq!(kept.get(1, Instant::now()), Some("answer"));
        assert_eq!(kept.get(2, Instant::now()), None);
        tokio::time::advance(DAY).await;
        assert_eq!(kept.get(1, Instant::now()), None);
    }
}
