//! The objects and fields that an org has, and what of them the running user may see.
//!
//! Apart from the records, so that describe, SOQL and the wire agree on one list.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use rust_decimal::Decimal;

use super::org::Org;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Id,
    /// The id of another object's record, and the name of the way there.
    Reference {
        object: &'static str,
        relationship: &'static str,
    },
    Text,
    /// A text of many lines, which no condition may name.
    LongText,
    Picklist,
    Currency,
    Percent,
    Double,
    Int,
    Truth,
    Day,
    Instant,
}

/// A field of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

const fn reference(name: &'static str, object: &'static str, relationship: &'static str) -> Field {
    Field { name, kind: Kind::Reference { object, relationship } }
}

const OPPORTUNITY: [Field; 26] = [
    field("Id", Kind::Id),
    field("IsDeleted", Kind::Truth),
    reference("AccountId", "Account", "Account"),
    reference("RecordTypeId", "RecordType", "RecordType"),
    field("IsPrivate", Kind::Truth),
    field("Name", Kind::Text),
    field("Description", Kind::LongText),
    field("StageName", Kind::Picklist),
    field("Amount", Kind::Currency),
    field("Probability", Kind::Percent),
    field("CloseDate", Kind::Day),
    field("Type", Kind::Picklist),
    field("LeadSource", Kind::Picklist),
    field("IsClosed", Kind::Truth),
    field("IsWon", Kind::Truth),
    field("ForecastCategory", Kind::Picklist),
    field("ForecastCategoryName", Kind::Picklist),
    field("CurrencyIsoCode", Kind::Picklist),
    reference("OwnerId", "User", "Owner"),
    field("CreatedDate", Kind::Instant),
    reference("CreatedById", "User", "CreatedBy"),
    field("LastModifiedDate", Kind::Instant),
    reference("LastModifiedById", "User", "LastModifiedBy"),
    field("SystemModstamp", Kind::Instant),
    field("LastActivityDate", Kind::Day),
    field("LastStageChangeDate", Kind::Instant),
];
const ACCOUNT: [Field; 5] = [
    field("Id", Kind::Id),
    field("IsDeleted", Kind::Truth),
    field("Name", Kind::Text),
    field("LastModifiedDate", Kind::Instant),
    field("SystemModstamp", Kind::Instant),
];
const USER: [Field; 5] = [
    field("Id", Kind::Id),
    field("Name", Kind::Text),
    field("IsActive", Kind::Truth),
    field("LastModifiedDate", Kind::Instant),
    field("SystemModstamp", Kind::Instant),
];
const RECORD_TYPE: [Field; 5] = [
    field("Id", Kind::Id),
    field("Name", Kind::Text),
    field("DeveloperName", Kind::Text),
    field("SobjectType", Kind::Picklist),
    field("IsActive", Kind::Truth),
];
const OPPORTUNITY_STAGE: [Field; 11] = [
    field("Id", Kind::Id),
    field("ApiName", Kind::Text),
    field("MasterLabel", Kind::Text),
    field("IsActive", Kind::Truth),
    field("IsClosed", Kind::Truth),
    field("IsWon", Kind::Truth),
    field("ForecastCategory", Kind::Picklist),
    field("ForecastCategoryName", Kind::Picklist),
    field("DefaultProbability", Kind::Percent),
    field("SortOrder", Kind::Int),
    field("SystemModstamp", Kind::Instant),
];
const ORGANIZATION: [Field; 6] = [
    field("Id", Kind::Id),
    field("Name", Kind::Text),
    field("DefaultCurrencyIsoCode", Kind::Picklist),
    field("InstanceName", Kind::Text),
    field("IsSandbox", Kind::Truth),
    field("OrganizationType", Kind::Picklist),
];
const CURRENCY_TYPE: [Field; 6] = [
    field("Id", Kind::Id),
    field("IsoCode", Kind::Picklist),
    field("ConversionRate", Kind::Double),
    field("DecimalPlaces", Kind::Int),
    field("IsActive", Kind::Truth),
    field("IsCorporate", Kind::Truth),
];
const DATED_CONVERSION_RATE: [Field; 5] = [
    field("Id", Kind::Id),
    field("IsoCode", Kind::Picklist),
    field("ConversionRate", Kind::Double),
    field("StartDate", Kind::Day),
    field("NextStartDate", Kind::Day),
];

/// Every object there can be, and its fields.
const OBJECTS: [(&str, &[Field]); 8] = [
    ("Opportunity", &OPPORTUNITY),
    ("Account", &ACCOUNT),
    ("User", &USER),
    ("RecordType", &RECORD_TYPE),
    ("OpportunityStage", &OPPORTUNITY_STAGE),
    ("Organization", &ORGANIZATION),
    ("CurrencyType", &CURRENCY_TYPE),
    ("DatedConversionRate", &DATED_CONVERSION_RATE),
];

/// One value of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Text(Cow<'static, str>),
    Number(Decimal),
    Truth(bool),
    Day(NaiveDate),
    Instant(DateTime<Utc>),
}

impl Cell {
    /// A text, or an id.
    pub(crate) fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Text(text.into())
    }

    /// A number, as a person writes it.
    pub(crate) fn number(text: &str) -> Self {
        Self::Number(text.parse().unwrap_or_else(|_| panic!("{text} is no number")))
    }

    /// A day, as a person writes it.
    pub(crate) fn day(text: &str) -> Self {
        Self::Day(text.parse().unwrap_or_else(|_| panic!("{text} is no day")))
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// As JSON: numbers as Java writes its doubles, instants with `+0000`.
    pub(super) fn json(&self, kind: Kind, plain: bool) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Number(_) | Self::Truth(_) => self.written(kind, plain),
            Self::Instant(instant) => format!("\"{}+0000\"", instant.format("%Y-%m-%dT%H:%M:%S%.3f")),
            Self::Text(_) | Self::Day(_) => serde_json::to_string(&self.written(kind, plain)).unwrap(),
        }
    }

    /// As a CSV value: nothing for null, instants with `Z`.
    pub(super) fn csv(&self, kind: Kind, plain: bool) -> String {
        format!("\"{}\"", self.written(kind, plain).replace('"', "\"\""))
    }

    fn written(&self, kind: Kind, plain: bool) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) => text.clone().into_owned(),
            Self::Number(number) if kind == Kind::Int => number.normalize().to_string(),
            Self::Number(number) if plain && number.normalize().scale() < 2 => format!("{number:.2}"),
            Self::Number(number) if plain => number.to_string(),
            Self::Number(number) => as_java(*number),
            Self::Truth(truth) => truth.to_string(),
            Self::Day(day) => day.to_string(),
            Self::Instant(instant) => instant.to_rfc3339_opts(SecondsFormat::Millis, true),
        }
    }
}

/// A number as Java writes a double: `50000.0`, from ten million on `1.0E7`.
fn as_java(number: Decimal) -> String {
    let number = number.normalize();
    let digits = number.mantissa().unsigned_abs().to_string();
    let exponent = i64::try_from(digits.len()).unwrap() - 1 - i64::from(number.scale());
    if number.is_zero() || (-3..7).contains(&exponent) {
        return if number.scale() == 0 { format!("{number}.0") } else { number.to_string() };
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let rest = digits[1..].trim_end_matches('0');
    format!("{sign}{}.{}E{exponent}", &digits[..1], if rest.is_empty() { "0" } else { rest })
}

impl Org {
    /// The object of that name in any case; `None` where there is none, or the user may not read it.
    pub(super) fn object(&self, name: &str) -> Option<&'static str> {
        let found = OBJECTS.iter().map(|(own, _)| *own).find(|own| own.eq_ignore_ascii_case(name))?;
        let exists = match found {
            "CurrencyType" => self.multi_currency,
            "DatedConversionRate" => self.dated_rates,
            _ => true,
        };
        (exists && !self.hidden.contains(&(found, ""))).then_some(found)
    }

    /// The fields of an object that the user may see.
    pub(super) fn fields(&self, object: &str) -> Vec<Field> {
        let own = OBJECTS.iter().filter(|(name, _)| *name == object).flat_map(|(_, fields)| fields.iter().copied());
        let custom = self.custom.iter().copied().filter(|_| object == "Opportunity");
        let is_there = |field: &Field| match field.name {
            "CurrencyIsoCode" => self.multi_currency,
            "RecordTypeId" => !self.table("RecordType").is_empty(),
            _ => true,
        };
        own.chain(custom).filter(|field| is_there(field) && self.sees(object, field.name)).collect()
    }

    /// Whether field-level security lets the user see a field.
    pub(super) fn sees(&self, object: &str, field: &str) -> bool {
        !self.hidden.iter().any(|(on, hidden)| *on == object && *hidden == field)
    }
}
