//! How often Pipedrive lets itself be asked: a rolling window, a day's tokens, and a wall for those who do not listen.
//!
//! Apart, so that windows can be as short as a test likes; the rules are those of the contract's §5.

use std::time::Duration;

use tokio::time::Instant;

use crate::window::Window;

/// So many refused requests without an admitted one between, and the account is shut out.
const IGNORED: u32 = 10;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Too many in two seconds.
    Burst,
    /// The day's tokens are spent.
    Daily,
    /// The proxy in front lets nobody of the account through.
    Blocked,
}

/// The limits of the account. Refused requests cost nothing.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) burst: Window,
    /// The tokens of a day.
    pub(super) daily: Option<u64>,
    /// The tokens spent today; they are counted even where there is no limit.
    pub(super) spent: u64,
    pub(super) refused: u64,
    ignored: u32,
}

impl Default for Limits {
    /// Wide enough not to be felt.
    fn default() -> Self {
        let burst = Window::new(100_000, Duration::from_secs(2));
        Self { burst, daily: None, spent: 0, refused: 0, ignored: 0 }
    }
}

impl Limits {
    /// Lets a request that costs so many tokens pass, or says which limit it runs into.
    pub(super) fn admit(&mut self, cost: u64, now: Instant) -> Result<(), Refusal> {
        let refusal = if self.ignored >= IGNORED {
            Some(Refusal::Blocked)
        } else if self.daily.is_some_and(|daily| self.spent + cost > daily) {
            Some(Refusal::Daily)
        } else {
            (!self.burst.admit(now)).then_some(Refusal::Burst)
        };
        let Some(refusal) = refusal else {
            self.spent += cost;
            self.ignored = 0;
            return Ok(());
        };
        self.refused += 1;
        self.ignored += 1;
        Err(refusal)
    }

    /// What an answer says about the limits; one that is refused shows which of them it was.
    pub(super) fn headers(&self, refused: Option<Refusal>) -> Vec<(&'static str, String)> {
        if refused == Some(Refusal::Blocked) {
            return Vec::new();
        }
        let left = match refused {
            Some(Refusal::Burst) => 0,
            Some(_) => self.burst.remaining().max(1),
            None => self.burst.remaining(),
        };
        let mut headers = vec![
            ("x-ratelimit-limit", self.burst.requests.to_string()),
            ("x-ratelimit-remaining", left.to_string()),
            ("x-ratelimit-reset", self.burst.per.as_secs().max(1).to_string()),
        ];
        let is_spent = refused == Some(Refusal::Daily);
        if let Some(daily) = self.daily.or(is_spent.then_some(30_000)) {
            let rest = if is_spent { 0 } else { daily.saturating_sub(self.spent) };
            headers.push(("x-daily-ratelimit-token-limit", daily.to_string()));
            headers.push(("x-daily-ratelimit-token-remaining", rest.to_string()));
        }
        if is_spent {
            // Sent, and of no use.
            headers.push(("retry-after", "3".to_owned()));
        }
        headers
    }
}
