//! Currencies, and amounts that meet only their like.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 code in capitals, as `EUR`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Why a text is no currency.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
