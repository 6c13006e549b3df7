//! The totals of a snapshot, one deal at a time. Money is added only to its like and converted once, at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::model::deal::{Figures, Status};
use crate::model::money::{Currency, Fx, OwnRates, Rate, Rates};
use crate::model::number;
use crate::model::ordered::Ordered;
use crate::model::pipeline::Stage;
use crate::model::snapshot::{CurrencyTotals, NO_STAGE, StageBreakdown, StatusTotals, Totals};

/// A sum left the range of exact decimals (28 digits): better no figure than a wrong one.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
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
    /// Each account's own rates, for currencies that the configuration names none for; the last is that of the deals
    /// being added.
    accounts: Vec<Option<OwnRates>>,
    leads: u64,
    groups: BTreeMap<Option<Status>, Group>,
    stages: HashMap<String, usize>,
    breakdown: Vec<(String, u64)>,
}

/// Deals of one currency that have one rate: those of an account whose closing days no change of rates parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Period {
    account: usize,
    period: usize,
}

/// The deals of one status.
#[derive(Debug, Default)]
struct Group {
    count: u64,
    by_currency: BTreeMap<Currency, BTreeMap<Period, Native>>,
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
    /// The rates of the totals, where deals of other currencies were converted.
    pub fx: Option<Fx>,
}

impl Native {
    fn add(&mut self, other: &Self) -> Result<(), Overflow> {
        self.count += other.count;
        self.unweighted += other.unweighted;
        self.value = sum(self.value, other.value)?;
        self.weighted = sum(self.weighted, other.weighted)?;
        Ok(())
    }
}

impl Fold {
    /// The following deals belong to an account with these rates.
    pub fn begin_account(&mut self, own_rates: Option<OwnRates>) {
        self.accounts.push(own_rates);
    }

    /// Takes in one deal of the account that was begun last.
    pub fn add(&mut self, deal: &Figures<'_>) -> Result<(), Overflow> {
        self.leads += 1;
        self.count_stage(deal.stage.as_deref().unwrap_or(NO_STAGE));
        let period = self.period(deal);
        let group = self.groups.entry(deal.status).or_default();
        group.count += 1;
        let (Some(value), Some(currency)) = (deal.value(), deal.currency) else {
            group.unpriced += 1;
            return Ok(());
        };
        let native = group.by_currency.entry(currency).or_default().entry(period).or_default();
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

    fn period(&self, deal: &Figures<'_>) -> Period {
        let own = self.accounts.last().and_then(Option::as_ref);
        Period {
            account: self.accounts.len().saturating_sub(1),
            period: own.map_or(0, |own| own.period(deal.close_date())),
        }
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
        let exchange = base.map(|base| Exchange { base, rates, accounts: &self.accounts });
        let mut all = StatusTotals::default();
        let mut totals = Totals::default();
        for (status, group) in &self.groups {
            let priced = group.price(exchange)?;
            totals.unpriced += priced.totals.unpriced;
            for (currency, count) in priced.without_rate {
                *totals.without_rate.entry(currency).or_default() += count;
            }
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
            fx: exchange.and_then(|exchange| exchange.told(&self.groups)),
        })
    }

    /// The currency that most priced deals are in; of equals the first by code.
    fn commonest(&self) -> Option<Currency> {
        let mut counts: BTreeMap<Currency, u64> = BTreeMap::new();
        for (currency, periods) in self.groups.values().flat_map(|group| &group.by_currency) {
            *counts.entry(*currency).or_default() += periods.values().map(|native| native.count).sum::<u64>();
        }
        counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(currency, _)| currency)
    }
}

struct Priced {
    totals: StatusTotals,
    without_rate: BTreeMap<Currency, u64>,
    unweighted: u64,
}

/// The ways from a currency into that of the totals: the configured rates first, else the account's own.
#[derive(Clone, Copy)]
struct Exchange<'a> {
    base: Currency,
    rates: &'a Rates,
    accounts: &'a [Option<OwnRates>],
}

impl<'a> Exchange<'a> {
    fn convert(&self, amount: Decimal, currency: Currency, period: Period) -> Option<Decimal> {
        let configured = self.rates.convert(amount, currency, self.base);
        configured.or_else(|| self.own(period)?.convert(amount, currency, self.base, period.period))
    }

    fn own(&self, period: Period) -> Option<&'a OwnRates> {
        self.accounts.get(period.account)?.as_ref()
    }

    /// The rates of all currencies that deals are in; nothing where all are in that of the totals.
    fn told(&self, groups: &BTreeMap<Option<Status>, Group>) -> Option<Fx> {
        let (mut told, mut met) = (Told::default(), BTreeSet::from([self.base]));
        for (currency, periods) in groups.values().flat_map(|group| &group.by_currency) {
            met.insert(*currency);
            for period in periods.keys().filter(|_| *currency != self.base) {
                if let Some(rate) = self.rates.convert(Decimal::ONE, *currency, self.base) {
                    told.tell("config", *currency, rate);
                } else if let Some(own) = self.own(*period)
                    && let Some(rate) = own.convert(Decimal::ONE, *currency, self.base, own.period(None))
                {
                    told.tell(if own.are_dated() { "crm by close date" } else { "crm" }, *currency, rate);
                    told.as_of = told.as_of.into_iter().chain([own.as_of()]).min();
                }
            }
        }
        let only = match self.accounts {
            [Some(own)] if told.as_of.is_some() => Some(own.only(&met)),
            _ => None,
        };
        told.into_fx(only)
    }
}

/// The rates that were used, being gathered.
#[derive(Default)]
struct Told {
    sources: BTreeSet<&'static str>,
    /// The oldest of the accounts' own.
    as_of: Option<DateTime<Utc>>,
    rates: BTreeMap<Currency, BTreeSet<Decimal>>,
}

impl Told {
    fn tell(&mut self, source: &'static str, currency: Currency, rate: Decimal) {
        self.sources.insert(source);
        self.rates.entry(currency).or_default().insert(rate);
    }

    fn into_fx(self, crm: Option<OwnRates>) -> Option<Fx> {
        let source = self.sources.into_iter().collect::<Vec<_>>().join(" and ");
        let one = |(currency, rates): (Currency, BTreeSet<Decimal>)| match rates.into_iter().collect::<Vec<_>>()[..] {
            [rate] => Some((currency, Rate(rate))),
            _ => None,
        };
        let is_any = !self.rates.is_empty();
        let rates = self.rates.into_iter().filter_map(one).collect();
        is_any.then_some(Fx { source, as_of: self.as_of, rates, crm })
    }
}

impl Group {
    fn price(&self, exchange: Option<Exchange<'_>>) -> Result<Priced, Overflow> {
        let mut totals = StatusTotals { count: self.count, unpriced: self.unpriced, ..StatusTotals::default() };
        let (mut unweighted, mut without_rate) = (0, BTreeMap::new());
        for (currency, periods) in &self.by_currency {
            let mut whole = Native::default();
            for (period, native) in periods {
                whole.add(native)?;
                let in_base = |amount| exchange.and_then(|exchange| exchange.convert(amount, *currency, *period));
                let (Some(value), Some(weighted)) = (in_base(native.value), in_base(native.weighted)) else {
                    totals.unpriced += native.count;
                    *without_rate.entry(*currency).or_default() += native.count;
                    continue;
                };
                totals.value = sum(totals.value, value)?;
                totals.weighted = sum(totals.weighted, weighted)?;
                unweighted += native.unweighted;
            }
            totals.by_currency.insert(
                *currency,
                CurrencyTotals {
                    count: whole.count,
                    value: currency.round(whole.value),
                    weighted: currency.round(whole.weighted),
                },
            );
        }
        if let Some(Exchange { base, .. }) = exchange {
            totals.value = base.round(totals.value);
            totals.weighted = base.round(totals.weighted);
        }
        Ok(Priced { totals, without_rate, unweighted })
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
        assert_eq!(
            (figures.totals.unpriced, figures.totals.unweighted),
            (3, 0),
            "one that is not priced is not unweighted"
        );
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
        assert_eq!((figures.totals.unpriced, figures.totals.unweighted), (1, 1));
    }

    #[test]
    fn the_crms_own_rates_price_what_the_configuration_has_no_rate_for_each_deal_by_its_closing_day() {
        let code = |code: &str| code.parse::<Currency>().unwrap();
        let day = |day: &str| day.parse().unwrap();
        let own = OwnRates::new(
            code("EUR"),
            "2026-11-22T08:00:00Z".parse().unwrap(),
            [(code("GBP"), Decimal::new(8, 1))],
            [(code("USD"), day("2026-01-01"), Decimal::new(125, 2)), (code("USD"), day("2026-07-01"), Decimal::TWO)],
        );
        let leads = [
            r#"{"value": 100, "probability": 0.5, "status": "open", "currency": "USD", "close_date": "2026-06-30"}"#,
            r#"{"value": 100, "status": "open", "currency": "USD", "close_date": "2026-07-01"}"#,
            r#"{"value": 100, "status": "open", "currency": "USD", "close_date": null}"#,
            r#"{"value": 8, "status": "won", "currency": "GBP", "close_date": "no day"}"#,
            r#"{"value": 7, "status": "won", "currency": "CHF"}"#,
        ];
        let finished = |rates: &Rates| {
            let mut fold = Fold::default();
            fold.begin_account(Some(own.clone()));
            for lead in leads {
                fold.add(&serde_json::from_str(lead).unwrap()).unwrap();
            }
            fold.finish(rates, Some(code("EUR")), &[]).unwrap()
        };
        let figures = finished(&Rates::default());
        assert_eq!((figures.totals.open.value, figures.totals.open.weighted), (Decimal::from(180), Decimal::from(40)));
        assert_eq!((figures.totals.won.value, figures.totals.unpriced), (Decimal::from(10), 1));
        assert_eq!(figures.totals.open.by_currency[&code("USD")].value, Decimal::from(300), "natively in one sum");
        let fx = figures.fx.unwrap();
        assert_eq!(fx.crm.as_ref(), Some(&own), "all of them were used");
        let told = |fx: &Fx| fx.rates.iter().map(|(code, worth)| format!("{code} {}", worth.0)).collect::<Vec<_>>();
        assert_eq!((fx.source.as_str(), told(&fx)), ("crm by close date", vec!["GBP 1.25".into(), "USD 0.5".into()]));
        let configured = Rates { base: Some(code("EUR")), worth: [(code("USD"), Decimal::ONE)].into() };
        let figures = finished(&configured);
        assert_eq!(figures.totals.open.value, Decimal::from(300), "the configured rate goes before");
        assert_eq!(figures.fx.unwrap().source, "config and crm by close date");
    }

    #[test]
    fn deals_of_several_accounts_are_priced_each_by_the_rates_of_its_own() {
        let code = |code: &str| code.parse::<Currency>().unwrap();
        let account = |rate: i64| {
            let as_of = format!("2026-11-22T0{rate}:00:00Z").parse().unwrap();
            let rates = [(code("USD"), Decimal::from(rate)), (code("GBP"), Decimal::new(8, 1))];
            OwnRates::new(code("EUR"), as_of, rates, [])
        };
        let mut fold = Fold::default();
        for own in [Some(account(2)), Some(account(4)), None] {
            fold.begin_account(own);
            for lead in [
                r#"{"value": 100, "status": "open", "currency": "USD"}"#,
                r#"{"value": 80, "status": "won", "currency": "GBP"}"#,
            ] {
                fold.add(&serde_json::from_str(lead).unwrap()).unwrap();
            }
        }
        let rates = Rates { base: Some(code("EUR")), worth: BTreeMap::new() };
        let figures = fold.finish(&rates, None, &[]).unwrap();
        assert_eq!((figures.totals.open.value, figures.totals.won.value), (Decimal::from(75), Decimal::from(200)));
        let without: Vec<String> =
            figures.totals.without_rate.iter().map(|(code, count)| format!("{count} {code}")).collect();
        assert_eq!((figures.totals.unpriced, without), (2, vec!["1 GBP".to_owned(), "1 USD".to_owned()]));
        let fx = figures.fx.unwrap();
        assert_eq!(fx.rates.keys().collect::<Vec<_>>(), [&code("GBP")], "they do not agree on dollars");
        assert_eq!((fx.source.as_str(), fx.as_of, fx.crm), ("crm", Some(account(2).as_of()), None));
    }

    #[test]
    fn where_all_deals_are_in_the_currency_of_the_totals_no_rate_is_told() {
        assert_eq!(figured(&MIXED[..1], &Rates::default(), Some("EUR")).fx, None);
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
