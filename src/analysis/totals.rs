//! The totals of a snapshot, one deal at a time. Money is added only to its like and converted once, at the end.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;

use crate::model::deal::{Figures, Status};
use crate::model::money::{Currency, Rates};
use crate::model::number;
use crate::model::ordered::Ordered;
use crate::model::pipeline::Stage;
use crate::model::snapshot::{CurrencyTotals, NO_STAGE, StageBreakdown, StatusTotals, Totals};

/// A sum left the range of exact decimals (28 digits): better no figure than a wrong one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the sum of the deals' values has more than 28 digits")]
pub struct Overflow;

/// An exact sum: one that would have to be rounded, or could not be read back from its text, is an overflow.
fn sum(one: Decimal, other: Decimal) -> Result<Decimal, Overflow> {
    let (one, other) = (one.normalize(), other.normalize());
    let sum = one.checked_add(other).ok_or(Overflow)?;
    let is_exact = sum.scale() >= one.scale().max(other.scale()) && number::is_bounded(&sum);
    if is_exact { Ok(sum) } else { Err(Overflow) }
}

/// A count of deals by status and currency, being filled.
#[derive(Debug, Default)]
pub struct Fold {
    leads: u64,
    groups: BTreeMap<Option<Status>, Group>,
    stages: HashMap<String, usize>,
    breakdown: Vec<(String, u64)>,
}

/// The deals of one status.
#[derive(Debug, Default)]
struct Group {
    count: u64,
    by_currency: BTreeMap<Currency, Native>,
    /// Deals without a value or a currency.
    unpriced: u64,
}

/// The priced deals of one status and currency, native.
#[derive(Debug, Default, Clone, Copy)]
struct Native {
    count: u64,
    value: Decimal,
    weighted: Decimal,
    unweighted: u64,
}

/// The figures of a whole snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figured {
    /// All deals.
    pub total_leads: u64,
    /// What the priced ones are worth, in `currency`.
    pub total_value: Decimal,
    /// The same, weighted by probability.
    pub weighted_value: Decimal,
    /// By stage.
    pub stage_breakdown: StageBreakdown,
    /// By status.
    pub totals: Totals,
    /// The currency of the totals.
    pub currency: Option<Currency>,
}

impl Fold {
    /// Takes in one deal.
    pub fn add(&mut self, deal: &Figures<'_>) -> Result<(), Overflow> {
        self.leads += 1;
        self.count_stage(deal.stage.as_deref().unwrap_or(NO_STAGE));
        let group = self.groups.entry(deal.status).or_default();
        group.count += 1;
        let (Some(value), Some(currency)) = (deal.value(), deal.currency) else {
            group.unpriced += 1;
            return Ok(());
        };
        let native = group.by_currency.entry(currency).or_default();
        native.count += 1;
        native.value = sum(native.value, value)?;
        match deal.probability() {
            None => native.unweighted += 1,
            Some(probability) => {
                let weighted = value.checked_mul(probability).ok_or(Overflow)?;
                native.weighted = sum(native.weighted, weighted)?;
            }
        }
        Ok(())
    }

    fn count_stage(&mut self, label: &str) {
        if let Some(index) = self.stages.get(label) {
            self.breakdown[*index].1 += 1;
        } else {
            self.stages.insert(label.to_owned(), self.breakdown.len());
            self.breakdown.push((label.to_owned(), 1));
        }
    }

    /// The figures in the base currency: the configured one, else the account's, else the one most deals are in.
    pub fn finish(mut self, rates: &Rates, account: Option<Currency>, stages: &[Stage]) -> Result<Figured, Overflow> {
        let base = rates.base.or(account).or_else(|| self.commonest());
        let mut all = StatusTotals::default();
        let mut totals = Totals::default();
        for (status, group) in &self.groups {
            let priced = group.price(base, rates)?;
            totals.unpriced += priced.unpriced;
            totals.unweighted += priced.unweighted;
            all.value = sum(all.value, priced.totals.value)?;
            all.weighted = sum(all.weighted, priced.totals.weighted)?;
            match status {
                Some(Status::Open) => totals.open = priced.totals,
                Some(Status::Won) => totals.won = priced.totals,
                Some(Status::Lost) => totals.lost = priced.totals,
                None => {}
            }
        }
        let order: HashMap<&str, usize> =
            stages.iter().enumerate().rev().map(|(index, stage)| (stage.label.as_str(), index)).collect();
        // Stable: stages that no pipeline lists stay as first met, after the listed ones.
        self.breakdown.sort_by_key(|(label, _)| order.get(label.as_str()).copied().unwrap_or(usize::MAX));
        Ok(Figured {
            total_leads: self.leads,
            total_value: all.value,
            weighted_value: all.weighted,
            stage_breakdown: Ordered(self.breakdown),
            totals,
            currency: base,
        })
    }

    /// The currency that most priced deals are in; of equals the first by code.
    fn commonest(&self) -> Option<Currency> {
        let mut counts: BTreeMap<Currency, u64> = BTreeMap::new();
        for (currency, native) in self.groups.values().flat_map(|group| &group.by_currency) {
            *counts.entry(*currency).or_default() += native.count;
        }
        counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(currency, _)| currency)
    }
}

struct Priced {
    totals: StatusTotals,
    unpriced: u64,
    unweighted: u64,
}

impl Group {
    fn price(&self, base: Option<Currency>, rates: &Rates) -> Result<Priced, Overflow> {
        let mut totals = StatusTotals { count: self.count, ..StatusTotals::default() };
        let (mut unpriced, mut unweighted) = (self.unpriced, 0);
        for (currency, native) in &self.by_currency {
            totals.by_currency.insert(
                *currency,
                CurrencyTotals {
                    count: native.count,
                    value: currency.round(native.value),
                    weighted: currency.round(native.weighted),
                },
            );
            unweighted += native.unweighted;
            let in_base = |amount| base.and_then(|base| rates.convert(amount, *currency, base));
            let (Some(value), Some(weighted)) = (in_base(native.value), in_base(native.weighted)) else {
                unpriced += native.count;
                continue;
            };
            totals.value = sum(totals.value, value)?;
            totals.weighted = sum(totals.weighted, weighted)?;
        }
        if let Some(base) = base {
            totals.value = base.round(totals.value);
            totals.weighted = base.round(totals.weighted);
        }
        Ok(Priced { totals, unpriced, unweighted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figured(leads: &[&str], rates: &Rates, account: Option<&str>) -> Figured {
        let mut fold = Fold::default();
        for lead in leads {
            fold.add(&serde_json::from_str(lead).unwrap()).unwrap();
        }
        fold.finish(rates, account.map(|code| code.parse().unwrap()), &[]).unwrap()
    }

    const MIXED: [&str; 4] = [
        r#"{"stage": "New", "value": 100.10, "probability": 0.5, "status": "open", "currency": "EUR"}"#,
        r#"{"stage": "New", "value": 200, "probability": 1, "status": "won", "currency": "USD"}"#,
        r#"{"stage": null, "value": 300, "status": "open", "currency": "GBP"}"#,
        r#"{"stage": "Old", "value": null, "probability": 0.5, "status": "open", "currency": "EUR"}"#,
    ];

    #[test]
    fn dollars_are_never_added_to_euros_without_a_rate() {
        let figures = figured(&MIXED, &Rates::default(), Some("EUR"));
        assert_eq!(figures.total_value.to_string(), "100.1");
        assert_eq!((figures.totals.unpriced, figures.totals.unweighted), (3, 1));
        assert_eq!(figures.totals.open.by_currency.len(), 2, "the native sums are there all the same");
        assert_eq!(figures.totals.won.count, 1, "a deal that cannot be priced is counted");
    }

    #[test]
    fn with_rates_the_total_is_in_the_base_currency() {
        let base: Currency = "EUR".parse().unwrap();
        let worth = [("USD", "0.92"), ("GBP", "1.15")];
        let worth = worth.map(|(code, rate)| (code.parse().unwrap(), rate.parse().unwrap()));
        let figures = figured(&MIXED, &Rates { base: Some(base), worth: worth.into() }, None);
        assert_eq!(figures.total_value.to_string(), "629.1");
        assert_eq!(figures.totals.open.value.to_string(), "445.1");
        assert_eq!(figures.totals.unpriced, 1);
    }

    #[test]
    fn without_any_base_the_commonest_currency_is_taken_and_the_rest_stays_unpriced() {
        let figures = figured(&[MIXED[1], MIXED[1], MIXED[0]], &Rates::default(), None);
        assert_eq!(figures.currency.map(|currency| currency.to_string()).as_deref(), Some("USD"));
        assert_eq!((figures.total_value.to_string().as_str(), figures.totals.unpriced), ("400", 1));
    }

    #[test]
    fn a_null_stage_is_counted_by_name() {
        let figures = figured(&MIXED, &Rates::default(), None);
        let expected = [("New", 2), ("(no stage)", 1), ("Old", 1)];
        assert_eq!(figures.stage_breakdown.0, expected.map(|(label, count)| (label.to_owned(), count)));
    }

    #[test]
    fn a_sum_beyond_exact_decimals_is_an_error_and_no_figure() {
        let mut fold = Fold::default();
        let lead = r#"{"value": 9000000000000000000000000000, "status": "open", "currency": "EUR"}"#;
        let lead: Figures<'_> = serde_json::from_str(lead).unwrap();
        assert_eq!(fold.add(&lead), Ok(()));
        assert_eq!(fold.add(&lead), Err(Overflow));
    }
}
