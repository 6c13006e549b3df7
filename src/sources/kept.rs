//! What a source keeps from pull to pull: answers that are good for a day.
//!
//! They are lost with the process; nothing is wrong without them, only dearer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An answer that is good for a day, for one account.
#[derive(Debug)]
pub(super) struct DailyCache<T>(Mutex<Option<Kept<T>>>);

#[derive(Debug)]
struct Kept<T> {
    since: Instant,
    account: u64,
    answer: T,
}

impl<T> Default for DailyCache<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> DailyCache<T> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_good_for_a_day_and_for_one_account() {
        let kept = DailyCache::default();
        kept.put(1, Instant::now(), "answer");
        assert_eq!(kept.get(1, Instant::now()), Some("answer"));
        assert_eq!(kept.get(2, Instant::now()), None);
        tokio::time::advance(DAY).await;
        assert_eq!(kept.get(1, Instant::now()), None);
    }
}
