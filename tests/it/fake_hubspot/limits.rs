//! How often HubSpot lets itself be asked: a rolling window, another for searches, and a day's quota.
//!
//! Apart, so that windows can be as short as a test likes; the rules are those of the contract's §4.

use std::time::Duration;

use tokio::time::Instant;

use crate::window::Window;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    TenSecondly,
    Secondly,
    Daily,
}

/// The limits of the account. Refused requests do not count.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) burst: Window,
    pub(super) search: Window,
    pub(super) daily: Option<u64>,
    pub(super) today: u64,
    pub(super) refused: u64,
}

impl Default for Limits {
    /// Wide enough not to be felt.
    fn default() -> Self {
        Self {
            burst: Window::new(100_000, Duration::from_secs(10)),
            search: Window::new(100_000, Duration::from_secs(1)),
            daily: None,
            today: 0,
            refused: 0,
        }
    }
}

impl Limits {
    /// Lets a request pass or says which limit it runs into. Searches do not fill the ten-second window.
    pub(super) fn admit(&mut self, is_search: bool, now: Instant) -> Result<(), Refusal> {
        let spent = self.daily.is_some_and(|daily| self.today >= daily);
        let window = if is_search { &mut self.search } else { &mut self.burst };
        let refusal = match (spent, is_search) {
            (true, _) => Some(Refusal::Daily),
            (false, true) => (!window.admit(now)).then_some(Refusal::Secondly),
            (false, false) => (!window.admit(now)).then_some(Refusal::TenSecondly),
        };
        match refusal {
            None => self.today += 1,
            Some(_) => self.refused += 1,
        }
        refusal.map_or(Ok(()), Err)
    }

    /// What an answer says about the limits; a search's says nothing about the ten-second window.
    pub(super) fn headers(&self, is_search: bool) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if !is_search {
            headers.push(("x-hubspot-ratelimit-max", self.burst.requests.to_string()));
            headers.push(("x-hubspot-ratelimit-remaining", self.burst.remaining().to_string()));
            headers.push(("x-hubspot-ratelimit-interval-milliseconds", self.burst.per.as_millis().to_string()));
        }
        if let Some(daily) = self.daily {
            headers.push(("x-hubspot-ratelimit-daily", daily.to_string()));
            headers.push(("x-hubspot-ratelimit-daily-remaining", daily.saturating_sub(self.today).to_string()));
        }
        headers
    }
}
