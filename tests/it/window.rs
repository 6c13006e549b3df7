//! How often a server lets itself be asked: so many requests in any span of a length.
//!
//! Apart because more than one fake counts so.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// So many requests in any span of this length.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) requests: usize,
    pub(crate) per: Duration,
    sent: VecDeque<Instant>,
}

impl Window {
    /// One that nothing was sent in yet.
    pub(crate) fn new(requests: usize, per: Duration) -> Self {
        Self { requests, per, sent: VecDeque::new() }
    }

    /// Lets a request pass and counts it, or refuses it.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        while self.sent.front().is_some_and(|sent| now.duration_since(*sent) >= self.per) {
            self.sent.pop_front();
        }
        let free = self.sent.len() < self.requests;
        if free {
            self.sent.push_back(now);
        }
        free
    }

    /// How many more it would have let pass when it was last asked.
    pub(crate) fn remaining(&self) -> usize {
        self.requests.saturating_sub(self.sent.len())
    }
}
