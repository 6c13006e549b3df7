//! Sales, before any CRM writes them its own way.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use rust_decimal::Decimal;

/// How many companies there are: more than a page of any look-up.
pub(super) const COMPANIES: u64 = 510;
/// How many people sell: more than a page of a look-up of people.
pub(super) const PEOPLE: u64 = 210;

/// Where a sale stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    New,
    Proposal,
    Won,
    Lost,
}

/// One sale.
#[derive(Debug, Clone)]
pub(super) struct Sale {
    pub(super) number: u64,
}

/// So many sales, from number 1.
pub(super) fn sales(count: u64) -> Vec<Sale> {
    (1..=count).map(|number| Sale { number }).collect()
}

impl Sale {
    pub(super) fn name(&self) -> String {
        format!("Sale {} – ä \"quoted\"", self.number)
    }

    pub(super) fn phase(&self) -> Phase {
        [Phase::New, Phase::Proposal, Phase::Won, Phase::Lost][self.phase_number()]
    }

    /// 0 to 3.
    pub(super) fn phase_number(&self) -> usize {
        usize::try_from(self.number % 4).unwrap()
    }

    pub(super) fn status(&self) -> &'static str {
        match self.phase() {
            Phase::New | Phase::Proposal => "open",
            Phase::Won => "won",
            Phase::Lost => "lost",
        }
    }

    pub(super) fn cents(&self) -> u64 {
        self.number * 12_345 + self.number % 100
    }

    pub(super) fn value(&self) -> Decimal {
        Decimal::new(self.cents().cast_signed(), 2)
    }

    /// The value as a JSON number.
    pub(super) fn number_of_value(&self) -> serde_json::Value {
        serde_json::from_str(&format!("{}.{:02}", self.cents() / 100, self.cents() % 100)).unwrap()
    }

    /// The value as a text.
    pub(super) fn text_of_value(&self) -> String {
        self.value().to_string()
    }

    /// The chance that the CRM keeps, in per cent.
    pub(super) fn percent(&self) -> u64 {
        self.number % 101
    }

    /// The chance in the file: won is certain, and so is lost.
    pub(super) fn chance(&self, percent: u64) -> f64 {
        match self.phase() {
            Phase::Won => 1.0,
            Phase::Lost => 0.0,
            Phase::New | Phase::Proposal => f64::from(u32::try_from(percent).unwrap()) / 100.0,
        }
    }

    /// 0 to [`COMPANIES`] - 1.
    pub(super) fn company(&self) -> u64 {
        self.number % COMPANIES
    }

    /// 0 to [`PEOPLE`] - 1.
    pub(super) fn owner(&self) -> u64 {
        self.number % PEOPLE
    }

    pub(super) fn created(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap() + TimeDelta::hours(self.number.cast_signed())
    }

    pub(super) fn updated(&self) -> DateTime<Utc> {
        self.created() + TimeDelta::days(40)
    }

    pub(super) fn closes(&self) -> NaiveDate {
        self.created().date_naive() + TimeDelta::days(90)
    }

    /// When it was won or lost.
    pub(super) fn closed(&self) -> Option<DateTime<Utc>> {
        matches!(self.phase(), Phase::Won | Phase::Lost).then(|| self.updated())
    }
}

/// A company's name.
pub(super) fn company(number: u64) -> String {
    format!("Company {number} & Söhne")
}

/// A person's first and last name.
pub(super) fn person(number: u64) -> (String, String) {
    (format!("Ann-{number}"), "Lee".to_owned())
}

/// A person's whole name.
pub(super) fn person_name(number: u64) -> String {
    let (first, last) = person(number);
    format!("{first} {last}")
}

/// An instant as the file has it.
pub(super) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
