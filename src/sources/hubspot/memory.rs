//! The account's currency, also from a process before.
//!
//! Nothing is wrong without it, only fewer deals are priced.

use std::sync::Arc;

use crate::memory::Memory;
use crate::model::money::Currency;

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
