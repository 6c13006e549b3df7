//! Currencies, and amounts that meet only their like.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::number;

/// An ISO 4217 code in capitals, as `EUR`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Why a text is not a currency.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a currency is three letters of ISO 4217, such as EUR")]
pub struct NotACurrency;

impl Currency {
    /// The code, three capitals.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("built only from ASCII letters")
    }

    /// How many decimals the currency's minor unit has (ISO 4217: JPY 0, EUR 2, BHD 3).
    pub fn minor_digits(self) -> u32 {
        match self.code() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
            | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            "CLF" | "UYW" => 4,
            _ => 2,
        }
    }

    /// Rounds an amount of this currency half-even to its minor unit: the only rounding money gets, at output.
    pub fn round(self, amount: Decimal) -> Decimal {
        amount.round_dp_with_strategy(self.minor_digits(), RoundingStrategy::MidpointNearestEven)
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        let bytes: [u8; 3] = text.trim().as_bytes().try_into().map_err(|_| NotACurrency)?;
        if bytes.iter().all(u8::is_ascii_alphabetic) {
            Ok(Self(bytes.map(|byte| byte.to_ascii_uppercase())))
        } else {
            Err(NotACurrency)
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What one unit of each currency is worth in the base currency, as configured under `[fx]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rates {
    /// The base currency of totals; `None`: the account's own.
    pub base: Option<Currency>,
    /// The worth of one unit in `base`.
    pub worth: BTreeMap<Currency, Decimal>,
}

impl Rates {
    /// What `amount` is worth in `base`; `None` where there is no rate: counted, never priced at a guess.
    pub fn convert(&self, amount: Decimal, currency: Currency, base: Currency) -> Option<Decimal> {
        if currency == base {
            return Some(amount);
        }
        if self.base != Some(base) {
            return None;
        }
        amount.checked_mul(*self.worth.get(&currency)?)
    }
}

/// How precise a converted amount is before it is rounded to its minor unit, in decimals.
const CONVERTED_DIGITS: u32 = 10;

/// A CRM's own rates: how many units of a currency one unit of the account's is, perhaps from day to day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenRates", into = "WrittenRates")]
pub struct OwnRates {
    /// The currency that the others are measured by.
    base: Currency,
    /// When they were read, UTC.
    as_of: DateTime<Utc>,
    /// The rate of a currency where no day has one.
    standing: BTreeMap<Currency, Decimal>,
    /// The rates of a currency by the day from which they hold.
    dated: BTreeMap<Currency, BTreeMap<NaiveDate, Decimal>>,
    /// The days on which any rate changes.
    changes: Vec<NaiveDate>,
}

impl OwnRates {
    /// Rates in units for one unit of `base`; rates of zero or below are dropped.
    pub fn new(
        base: Currency,
        as_of: DateTime<Utc>,
        standing: impl IntoIterator<Item = (Currency, Decimal)>,
        dated: impl IntoIterator<Item = (Currency, NaiveDate, Decimal)>,
    ) -> Self {
        let mut by_day: BTreeMap<Currency, BTreeMap<NaiveDate, Decimal>> = BTreeMap::new();
        for (currency, day, rate) in dated.into_iter().filter(|(_, _, rate)| *rate > Decimal::ZERO) {
            by_day.entry(currency).or_default().insert(day, rate);
        }
        let changes: BTreeSet<NaiveDate> = by_day.values().flat_map(BTreeMap::keys).copied().collect();
        Self {
            base,
            as_of,
            standing: standing.into_iter().filter(|(_, rate)| *rate > Decimal::ZERO).collect(),
            dated: by_day,
            changes: changes.into_iter().collect(),
        }
    }

    /// When they were read, UTC.
    pub fn as_of(&self) -> DateTime<Utc> {
        self.as_of
    }

    /// Whether rates differ from day to day.
    pub fn are_dated(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Days between which no rate changes are one period; no day counts as today.
    pub fn period(&self, day: Option<NaiveDate>) -> usize {
        let day = day.unwrap_or_else(|| self.as_of.date_naive());
        self.changes.partition_point(|change| *change <= day)
    }

    /// These rates, of these currencies only.
    #[must_use]
    pub fn only(&self, currencies: &BTreeSet<Currency>) -> Self {
        let standing = self.standing.iter().map(|(currency, rate)| (*currency, *rate));
        let dated =
            self.dated.iter().flat_map(|(currency, days)| days.iter().map(|(day, rate)| (*currency, *day, *rate)));
        Self::new(
            self.base,
            self.as_of,
            standing.filter(|(currency, _)| currencies.contains(currency)),
            dated.filter(|(currency, ..)| currencies.contains(currency)),
        )
    }

    /// What `amount` is worth in `base` in a period; `None` where there is no rate.
    pub fn convert(&self, amount: Decimal, currency: Currency, base: Currency, period: usize) -> Option<Decimal> {
        if currency == base {
            return Some(amount);
        }
        let day = period.checked_sub(1).and_then(|last| self.changes.get(last)).copied();
        let (from, into) = (self.units(currency, day)?, self.units(base, day)?);
        Some(amount.checked_mul(into)?.checked_div(from)?.round_dp(CONVERTED_DIGITS).normalize())
    }

    fn units(&self, currency: Currency, day: Option<NaiveDate>) -> Option<Decimal> {
        if currency == self.base {
            return Some(Decimal::ONE);
        }
        let dated = day.and_then(|day| self.dated.get(&currency)?.range(..=day).next_back());
        dated.map(|(_, rate)| *rate).or_else(|| self.standing.get(&currency).copied())
    }
}

/// A CRM's own rates as a file holds them.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct WrittenRates {
    base: Currency,
    as_of: DateTime<Utc>,
    standing: BTreeMap<Currency, Rate>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    dated: BTreeMap<Currency, BTreeMap<NaiveDate, Rate>>,
}

impl From<WrittenRates> for OwnRates {
    fn from(written: WrittenRates) -> Self {
        let standing = written.standing.into_iter().map(|(currency, rate)| (currency, rate.0));
        let dated = written
            .dated
            .into_iter()
            .flat_map(|(currency, days)| days.into_iter().map(move |(day, rate)| (currency, day, rate.0)));
        Self::new(written.base, written.as_of, standing, dated)
    }
}

impl From<OwnRates> for WrittenRates {
    fn from(own: OwnRates) -> Self {
        let rates =
            |days: BTreeMap<NaiveDate, Decimal>| days.into_iter().map(|(day, rate)| (day, Rate(rate))).collect();
        Self {
            base: own.base,
            as_of: own.as_of,
            standing: own.standing.into_iter().map(|(currency, rate)| (currency, Rate(rate))).collect(),
            dated: own.dated.into_iter().map(|(currency, days)| (currency, rates(days))).collect(),
        }
    }
}

/// The rates by which a snapshot's totals were converted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fx {
    /// `config`, `crm`, `crm by close date`, or two of them with `and` between.
    pub source: String,
    /// When the CRM's were read, UTC; `None` where all are configured.
    pub as_of: Option<DateTime<Utc>>,
    /// What one unit is worth in the snapshot's currency; of dated rates that of `as_of`. A currency that several
    /// sources of a joined file price differently stands with each of them instead.
    pub rates: BTreeMap<Currency, Rate>,
    /// The CRM's own rates as it keeps them, so that every total can be computed again from the file alone; `None`
    /// where none was used, and in a joined file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crm: Option<OwnRates>,
}

/// What some deals are worth, by currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Worth(BTreeMap<Currency, Decimal>);

impl Worth {
    /// A difference of sums that binary fractions alone can make, in units of a currency.
    const ROUNDING: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

    /// Adds an amount.
    pub fn add(&mut self, currency: Currency, amount: Decimal) {
        let sum = self.0.entry(currency).or_default();
        *sum = sum.saturating_add(amount);
    }

    /// Adds what others are worth.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(currency, amount)| self.add(*currency, *amount));
    }

    /// Where `told` is another sum by more than a cent: currency, what is told, what these are worth.
    pub fn unlike(&self, told: &Self) -> Vec<(Currency, Decimal, Decimal)> {
        let of = |worth: &Self, currency: &Currency| worth.0.get(currency).copied().unwrap_or_default();
        let currencies: BTreeSet<&Currency> = self.0.keys().chain(told.0.keys()).collect();
        let both = currencies.into_iter().map(|currency| (*currency, of(told, currency), of(self, currency)));
        both.filter(|(_, told, own)| told.saturating_sub(*own).abs() > Self::ROUNDING).collect()
    }
}

/// How much of one currency a unit of another is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(#[serde(with = "number")] pub Decimal);

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn a_crms_rates_hold_from_their_day_to_the_next_and_go_through_the_accounts_currency() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let (eur, usd, gbp, jpy) = (currency("EUR"), currency("USD"), currency("GBP"), currency("JPY"));
        let rates = OwnRates::new(
            eur,
            "2026-11-22T08:00:00Z".parse().unwrap(),
            [(usd, Decimal::new(110, 2)), (gbp, Decimal::new(8, 1)), (jpy, Decimal::ZERO)],
            [(usd, day("2026-01-01"), Decimal::new(120, 2)), (usd, day("2026-07-01"), Decimal::new(125, 2))],
        );
        let convert = |from, into, on: Option<&str>| {
            let converted = rates.convert(Decimal::from(300), from, into, rates.period(on.map(day)));
            converted.map(|amount| amount.to_string())
        };
        for (from, into, on, worth) in [
            (usd, eur, Some("2026-06-30"), Some("250")),
            (usd, eur, Some("2026-07-01"), Some("240")),
            (usd, eur, None, Some("240")),
            (usd, eur, Some("2025-12-31"), Some("272.7272727273")),
            (usd, gbp, Some("2026-07-01"), Some("192")),
            (eur, usd, Some("2026-07-01"), Some("375")),
            (gbp, gbp, None, Some("300")),
            (jpy, eur, None, None),
            (eur, jpy, None, None),
        ] {
            assert_eq!(convert(from, into, on).as_deref(), worth, "{from} to {into} on {on:?}");
        }
        assert!(rates.are_dated() && rates.period(Some(day("2026-06-30"))) == 1);
    }

    #[test]
    fn a_crms_rates_come_back_from_a_file_as_they_were() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let (eur, usd, gbp, jpy) = (currency("EUR"), currency("USD"), currency("GBP"), currency("JPY"));
        let rates = OwnRates::new(
            eur,
            "2026-11-22T08:00:00Z".parse().unwrap(),
            [(usd, Decimal::new(110, 2)), (gbp, Decimal::new(8, 1)), (jpy, Decimal::from(160))],
            [(usd, day("2026-01-01"), Decimal::new(120, 2)), (gbp, day("2026-07-01"), Decimal::new(85, 2))],
        );
        let text = serde_json::to_string(&rates).unwrap();
        assert_eq!(serde_json::from_str::<OwnRates>(&text).unwrap(), rates, "{text}");
        let only = serde_json::to_string(&rates.only(&BTreeSet::from([usd]))).unwrap();
        assert_eq!(
            only,
            r#"{"base":"EUR","as_of":"2026-11-22T08:00:00Z","standing":{"USD":1.1},"dated":{"USD":{"2026-01-01":1.2}}}"#
        );
    }

    #[test]
    fn a_currency_without_a_rate_has_no_price() {
        let eur: Currency = "EUR".parse().unwrap();
        let usd: Currency = "usd".parse().unwrap();
        let gbp: Currency = "GBP".parse().unwrap();
        let rates = Rates { base: Some(eur), worth: BTreeMap::from([(usd, Decimal::new(92, 2))]) };
        assert_eq!(rates.convert(Decimal::from(100), usd, eur), Some(Decimal::from(92)));
        assert_eq!(rates.convert(Decimal::from(100), gbp, eur), None);
        assert_eq!(rates.convert(Decimal::from(100), usd, gbp), None, "rates are into the base only");
    }

    #[test]
    fn money_is_rounded_to_the_minor_unit_of_its_currency() {
        let amount = Decimal::new(123_456, 4);
        for (code, expected) in [("JPY", "12"), ("EUR", "12.35"), ("BHD", "12.346")] {
            let currency: Currency = code.parse().unwrap();
            assert_eq!(currency.round(amount).to_string(), expected);
        }
    }

    #[test]
    fn sums_are_unlike_by_more_than_a_cent_in_any_currency_of_either() {
        let worth = |amounts: &[(&str, &str)]| {
            let mut worth = Worth::default();
            for (currency, amount) in amounts {
                worth.add(currency.parse().unwrap(), amount.parse().unwrap());
            }
            worth
        };
        let own = worth(&[("EUR", "10.10"), ("EUR", "0.20"), ("USD", "5")]);
        assert!(own.unlike(&worth(&[("EUR", "10.3000000004"), ("USD", "5")])).is_empty());
        let told =
            |worth: &Worth| own.unlike(worth).iter().map(|(currency, ..)| currency.to_string()).collect::<Vec<_>>();
        assert_eq!(told(&worth(&[("EUR", "10.32"), ("USD", "5")])), ["EUR"]);
        assert_eq!(told(&worth(&[("EUR", "10.3"), ("GBP", "1")])), ["GBP", "USD"]);
    }
}
