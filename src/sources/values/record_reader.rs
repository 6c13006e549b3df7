//! Reads the fields that the built-in CRMs have in common.
//!
//! A value that does not fit is left empty and counted; nothing is guessed, and no deal is dropped for it.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::model::deal::{Deal, Status};
use crate::model::finding::Rule;
use crate::model::money::Currency;
use crate::model::number;
use crate::sources::values::cast::{Cast, Casting, Target, Unit};
use crate::sources::values::dates;
use crate::sources::values::numbers::Chance;
use crate::sources::values::scalar::Scalar;
use crate::sources::wire::{Unreadable, text};

/// One record being read.
pub(crate) trait RecordReader {
    /// Counts a finding under the record's id.
    fn find(&mut self, rule: Rule, field: &str);

    /// The property of a field as text.
    fn field(&mut self, field: &str) -> Option<String>;

    /// The zone of days.
    fn day_zone(&self) -> Tz;

    /// An instant as the CRM writes it.
    fn instant(&self, text: &str) -> Option<DateTime<Utc>> {
        dates::instant(text, Tz::UTC)
    }

    /// A value as text; a list or an object is a finding.
    fn text_of(&mut self, value: &RawValue, field: &str) -> Option<String> {
        text(value).unwrap_or_else(|Unreadable| {
            self.find(Rule::D26, field);
            None
        })
    }

    /// The property of a field as another type; an unreadable one is a finding.
    fn read<T>(&mut self, field: &str, read: impl FnOnce(&Self, &str) -> Option<T>) -> Option<T> {
        let text = self.field(field)?;
        self.convert(&text, field, read)
    }

    /// A text as another type; an unreadable one is a finding.
    fn convert<T>(&mut self, text: &str, field: &str, read: impl FnOnce(&Self, &str) -> Option<T>) -> Option<T> {
        let value = read(self, text);
        if value.is_none() {
            self.find(Rule::D26, field);
        }
        value
    }

    /// The day of a text that names a day or an instant.
    fn day(&self, text: &str) -> Option<NaiveDate> {
        let zone = self.day_zone();
        dates::day(text, zone).or_else(|| Some(self.instant(text)?.with_timezone(&zone).date_naive()))
    }

    /// Amount and currency. An amount in an unknown currency is left empty.
    fn money(&mut self, deal: &mut Deal, code: Option<&str>, of_account: Option<Currency>) {
        deal.value = self.read("value", |_, text| number::exact(text));
        deal.currency = code.and_then(|code| code.parse().ok());
        deal.in_unknown_currency = code.is_some() && deal.currency.is_none();
        if deal.in_unknown_currency || (deal.value.is_some() && deal.currency.or(of_account).is_none()) {
            self.find(Rule::D09, "currency");
        }
        if deal.in_unknown_currency {
            deal.value = None;
        }
    }

    /// The probability that a text states, 0 to 1.
    fn chance(&mut self, text: &str, unit: Unit) -> Option<Decimal> {
        let casting = Casting { unit, ..Casting::of(Some(Cast::Decimal), Tz::UTC) };
        match Chance::of(&Scalar::Text(text.into()), &casting) {
            Ok(chance) => chance.map(|chance| chance.0),
            Err(fault) => {
                self.find(fault.rule(), "probability");
                None
            }
        }
    }

    /// The texts and times that need nothing but their own property.
    fn plain_fields(&mut self, deal: &mut Deal) {
        deal.forecast_category = self.field("forecast_category");
        deal.deal_type = self.field("deal_type");
        deal.lost_reason = self.field("lost_reason");
        deal.created_at = self.read("created_at", Self::instant);
        deal.updated_at = self.read("updated_at", Self::instant);
        deal.close_date = self.read("close_date", Self::day);
        deal.stage_entered_at = self.read("stage_entered_at", Self::instant);
        deal.last_activity_at = self.read("last_activity_at", Self::instant);
        deal.next_activity_at = self.read("next_activity_at", Self::instant);
    }
}

/// The status that a CRM's two flags mean.
pub(crate) fn status_of(is_won: bool, is_closed: bool) -> Status {
    match (is_won, is_closed) {
        (true, _) => Status::Won,
        (false, true) => Status::Lost,
        (false, false) => Status::Open,
    }
}
