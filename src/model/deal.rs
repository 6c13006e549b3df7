//! One deal as every source gives it and every file holds it.
//!
//! The file format calls it a lead; the keys, their order and their meaning are a contract.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::model::money::Currency;
use crate::model::number;

/// Where a deal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Still in the pipeline.
    Open,
    /// Closed and won.
    Won,
    /// Closed and lost.
    Lost,
}

/// A name that is looked up once all pages are in, so that each is asked for once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedName {
    /// The field it belongs in.
    pub field: NameField,
    /// The source's table.
    pub table: Cow<'static, str>,
    /// The CRM's key.
    pub key: String,
    /// What stands in the field if nobody knows the key; it is a finding all the same.
    pub missing: MissingName,
}

/// A field that is filled by a late look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameField {
    /// `company`
    Company,
    /// `owner`
    Owner,
}

impl NameField {
    /// The key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Company => "company",
            Self::Owner => "owner",
        }
    }
}

/// What stands for a name that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingName {
    /// The CRM's key.
    Key,
    /// Nothing.
    Null,
}

/// A deal's name where the CRM has none.
pub const UNTITLED: &str = "(untitled)";

/// The fields beside the id that no deal can be without (rule R07).
pub const MANDATORY: [&str; 3] = ["name", "stage", "value"];

/// What may match nothing beside a field: the way to a list's next page.
pub const PAGING: &str = "paging";

/// The tests that leave records out, where a source has them.
pub const WHERE: &str = "where";

/// What says whether a deal is won or lost, where that is configured.
pub const STATUS: &str = "status";

/// One opportunity, normalised. The first nine fields are the original format's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Deal {
    /// The CRM's id, as text; exact however large the number.
    pub id: String,
    /// The name, `(untitled)` where the CRM has none.
    pub name: String,
    /// The company's name.
    pub company: Option<String>,
    /// The stage's label.
    pub stage: Option<String>,
    /// The amount in `currency`; `None` is unpriced, never 0.
    #[serde(with = "number::optional")]
    pub value: Option<Decimal>,
    /// The chance to win, 0 to 1.
    #[serde(with = "number::optional")]
    pub probability: Option<Decimal>,
    /// The owner's name.
    pub owner: Option<String>,
    /// When the deal was created, UTC.
    #[serde(serialize_with = "instant")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the CRM last changed it, UTC.
    #[serde(serialize_with = "instant")]
    pub updated_at: Option<DateTime<Utc>>,
    /// Open, won or lost; `None` where the source cannot say.
    pub status: Option<Status>,
    /// The currency of `value`; `None` is the account's own, filled in before the file is written, unless the deal is
    /// [`in_unknown_currency`](Self::in_unknown_currency).
    pub currency: Option<Currency>,
    /// The pipeline's label.
    pub pipeline: Option<String>,
    /// The pipeline's id.
    pub pipeline_id: Option<String>,
    /// The stage's id.
    pub stage_id: Option<String>,
    /// The expected closing day, in the configured zone.
    pub close_date: Option<NaiveDate>,
    /// When it was won or lost, UTC.
    #[serde(serialize_with = "instant")]
    pub closed_at: Option<DateTime<Utc>>,
    /// When it entered its stage, UTC.
    #[serde(serialize_with = "instant")]
    pub stage_entered_at: Option<DateTime<Utc>>,
    /// The owner's id.
    pub owner_id: Option<String>,
    /// The forecast category, as the CRM names it.
    pub forecast_category: Option<String>,
    /// The last activity, UTC.
    #[serde(serialize_with = "instant")]
    pub last_activity_at: Option<DateTime<Utc>>,
    /// The next planned activity, UTC.
    #[serde(serialize_with = "instant")]
    pub next_activity_at: Option<DateTime<Utc>>,
    /// New business, renewal, …, as the CRM names it.
    pub deal_type: Option<String>,
    /// Why it was lost, as the CRM names it.
    pub lost_reason: Option<String>,
    /// Where to see it in the CRM.
    pub url: Option<String>,
    /// Fields mapped by the configuration, exact JSON each.
    pub custom: BTreeMap<String, Box<RawValue>>,
    /// Whether the CRM names a currency outside ISO 4217, so that the account's own does not apply.
    #[serde(skip)]
    pub in_unknown_currency: bool,
    /// Names to be filled in once all pages are in.
    #[serde(skip)]
    pub wanted: Vec<WantedName>,
}

impl Deal {
    /// Whether the name of this field is still to be looked up.
    pub fn wants(&self, field: NameField) -> bool {
        self.wanted.iter().any(|name| name.field == field)
    }
}

/// What totals need of a lead, borrowed from its JSON. Also reads a lead of the original format.
#[derive(Debug, Deserialize)]
pub struct Figures<'a> {
    /// The CRM's id.
    #[serde(borrow, default)]
    pub id: Cow<'a, str>,
    /// The stage's label.
    #[serde(borrow, default)]
    pub stage: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    probability: Option<&'a RawValue>,
    /// When the CRM last changed it: its JSON.
    #[serde(borrow, default)]
    pub updated_at: Option<&'a RawValue>,
    /// Open, won or lost.
    #[serde(default)]
    pub status: Option<Status>,
    /// The currency of the value.
    #[serde(default)]
    pub currency: Option<Currency>,
    #[serde(borrow, default)]
    close_date: Option<&'a RawValue>,
}

impl<'a> Figures<'a> {
    /// The amount's JSON.
    pub fn raw_value(&self) -> Option<&'a RawValue> {
        self.value
    }

    /// The amount, exact.
    pub fn value(&self) -> Option<Decimal> {
        number::exact(self.value?.get())
    }

    /// The chance to win, 0 to 1.
    pub fn probability(&self) -> Option<Decimal> {
        number::exact(self.probability?.get())
    }

    /// The expected closing day; `None` for text that is not a day, since other programs' files may hold anything.
    pub fn close_date(&self) -> Option<NaiveDate> {
        self.close_date?.get().trim_matches('"').parse().ok()
    }
}

/// A deal's instants are RFC 3339 with `Z` and as many decimals as they need.
#[expect(clippy::ref_option, reason = "the signature serde asks for")]
fn instant<S: Serializer>(value: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.serialize_str(&value.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        None => serializer.serialize_none(),
    }
}
