//! The account's currencies and what they were worth, from day to day where it keeps track of that.

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::money::{Currency, OwnRates};
use crate::model::number;

/// Asks for the currencies.
pub(super) const CURRENCIES: &str = "SELECT IsoCode, ConversionRate, IsCorporate FROM CurrencyType";
/// Asks for the rates by day.
pub(super) const DATED: &str = "SELECT IsoCode, ConversionRate, StartDate FROM DatedConversionRate";

/// A currency: how many units one unit of the account's is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CurrencyType {
    iso_code: String,
    conversion_rate: Box<RawValue>,
    is_corporate: bool,
}

/// The same from a day on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DatedRate {
    iso_code: String,
    conversion_rate: Box<RawValue>,
    start_date: String,
}

/// The account's own currency, and the rates of the others.
pub(super) fn rates(currencies: &[CurrencyType], dated: &[DatedRate], now: DateTime<Utc>) -> Option<OwnRates> {
    let corporate = corporate(currencies)?;
    let standing = currencies.iter().filter_map(|one| Some((code(&one.iso_code)?, rate(&one.conversion_rate)?)));
    let dated = dated.iter().filter_map(|one| {
        let day: NaiveDate = one.start_date.parse().ok()?;
        Some((code(&one.iso_code)?, day, rate(&one.conversion_rate)?))
    });
    Some(OwnRates::new(corporate, now.trunc_subsecs(0), standing, dated))
}

/// The account's own currency.
pub(super) fn corporate(currencies: &[CurrencyType]) -> Option<Currency> {
    code(&currencies.iter().find(|one| one.is_corporate)?.iso_code)
}

fn code(text: &str) -> Option<Currency> {
    text.parse().ok()
}

fn rate(value: &RawValue) -> Option<Decimal> {
    number::exact(value.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_units_for_one_of_the_accounts_currency_and_holds_from_its_day_on() {
        let currencies: Vec<CurrencyType> = serde_json::from_str(
            r#"[{"IsoCode": "EUR", "ConversionRate": 1, "IsCorporate": true},
                {"IsoCode": "USD", "ConversionRate": 1.25, "IsCorporate": false},
                {"IsoCode": "JPY", "ConversionRate": 1.6E2, "IsCorporate": false}]"#,
        )
        .unwrap();
        let dated: Vec<DatedRate> = serde_json::from_str(
            r#"[{"IsoCode": "USD", "ConversionRate": 1.20, "StartDate": "2026-07-01"},
                {"IsoCode": "USD", "ConversionRate": 2, "StartDate": "no day"}]"#,
        )
        .unwrap();
        let now = "2026-11-22T08:00:00Z".parse().unwrap();
        let rates = rates(&currencies, &dated, now).unwrap();
        let currency = |code: &str| code.parse().unwrap();
        let worth = |code: &str, day: &str| {
            let period = rates.period(day.parse().ok());
            rates.convert(Decimal::from(480), currency(code), currency("EUR"), period).map(|worth| worth.normalize())
        };
        assert_eq!(worth("USD", "2026-06-30"), Some(Decimal::from(384)));
        assert_eq!(worth("USD", "2026-07-01"), Some(Decimal::from(400)));
        assert_eq!(worth("JPY", "2026-07-01"), Some(Decimal::from(3)));
        assert_eq!(worth("GBP", "2026-07-01"), None);
        assert!(super::rates(&currencies[1..], &[], now).is_none(), "nobody says what the rates are of");
    }
}
