//! Keeps a pace by waiting before a request.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

/// At most this many requests in this time, kept by waiting beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many.
    pub requests: u32,
    /// In how long.
    pub per: Duration,
}

/// Keeps a pace by waiting before a request; requests of their own limit have a pacer of their own.
#[derive(Debug, Default)]
pub struct Pacer {
    pace: Mutex<Option<Pace>>,
    held_until: Mutex<Option<Instant>>,
    sent: AsyncMutex<VecDeque<Instant>>,
}

impl Pacer {
    /// A pacer that keeps `pace`; without one it never waits.
    pub fn new(pace: Option<Pace>) -> Self {
        Self { pace: Mutex::new(pace), ..Self::default() }
    }

    /// The pace that is kept.
    pub fn pace(&self) -> Option<Pace> {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps another pace from the next request on: what the server last said it allows.
    pub fn set(&self, pace: Pace) {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Some(pace);
    }

    /// Sends nothing for a while, whatever the pace.
    pub fn hold(&self, wait: Duration) {
        *self.held_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + wait);
    }

    /// Waits until another request is within the pace, in any window of its length.
    pub async fn wait(&self) {
        let Some(pace) = self.pace() else { return };
        let mut sent = self.sent.lock().await;
        let held = self.held_until.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(until) = held {
            tokio::time::sleep_until(until).await;
        }
        let now = Instant::now();
        while sent.front().is_some_and(|at| now.duration_since(*at) >= pace.per) {
            sent.pop_front();
        }
        if sent.len() >= pace.requests as usize {
            tokio::time::sleep_until(sent[sent.len() - pace.requests as usize] + pace.per).await;
        }
        sent.push_back(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more_requests_than_the_pace_allows_also_when_it_changes() {
        let pacer = Pacer::new(Some(Pace { requests: 10, per: Duration::from_secs(10) }));
        let begun = Instant::now();
        let mut sent = Vec::new();
        for number in 0..60 {
            if number == 30 {
                pacer.set(Pace { requests: 5, per: Duration::from_secs(10) });
            }
            pacer.wait().await;
            sent.push(begun.elapsed().as_millis());
        }
        for window in sent[..30].windows(11) {
            assert!(window[10] - window[0] >= 10_000, "{window:?}");
        }
        for window in sent[30..].windows(6) {
            assert!(window[5] - window[0] >= 10_000, "{window:?}");
        }
        assert!(sent[59] < 90_000, "it waits no longer than it must: {sent:?}");
    }
}
