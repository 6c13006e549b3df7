//! The shapes that several answers share: a page of records, a deal, and times as HubSpot writes them.
//!
//! Unknown keys are ignored.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::sources::values::dates;
use crate::sources::values::moment::is_likely;
use crate::sources::wire::Id;

/// The id of a record: digits alone. It stands in logs and addresses, and ids are compared as numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Number(pub(super) String);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Id(text) = Id::deserialize(deserializer)?;
        // As many as 64 bits take.
        let is_number = text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Ok(Self(text)) } else { Err(de::Error::custom("an id that is not a number")) }
    }
}

/// A list: its records unread, so that one that cannot be read loses no other.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) results: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(super) total: Option<u64>,
    #[serde(default)]
    paging: Option<Paging>,
}

impl Listed {
    /// The cursor of the next page. HubSpot gives a link too, which can lead anywhere and is not followed.
    pub(super) fn next(&self) -> Option<&str> {
        self.paging.as_ref()?.after()
    }
}

/// Where the next page is.
#[derive(Debug, Deserialize)]
pub(super) struct Paging {
    #[serde(default)]
    next: Option<Next>,
}

#[derive(Debug, Deserialize)]
struct Next {
    after: Id,
}

impl Paging {
    /// The cursor, unless this is the last page.
    pub(super) fn after(&self) -> Option<&str> {
        self.next.as_ref().map(|next| next.after.0.as_str())
    }
}

/// A deal as HubSpot sends it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) id: Number,
    pub(super) properties: HashMap<String, Box<RawValue>>,
    pub(super) created_at: Option<Box<RawValue>>,
    pub(super) updated_at: Option<Box<RawValue>>,
    archived: Option<bool>,
    pub(super) url: Option<Box<RawValue>>,
    associations: Option<Associations>,
}

/// What a list gives beside the properties.
#[derive(Debug, Deserialize)]
struct Associations {
    companies: Option<Inline>,
}

impl Record {
    /// Whether the deal is in the recycle bin.
    pub(super) fn is_archived(&self) -> bool {
        self.archived == Some(true)
    }

    /// The companies that came with the deal; nothing where it has none.
    pub(super) fn companies(&self) -> Option<&Inline> {
        self.associations.as_ref()?.companies.as_ref()
    }
}

/// One company of a deal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) company: String,
    pub(super) is_primary: bool,
}

/// The companies that come with a deal of a list. The primary one comes twice, once as such.
#[derive(Debug, Deserialize)]
pub(super) struct Inline {
    results: Option<Vec<InlineLink>>,
    paging: Option<Paging>,
}

#[derive(Debug, Deserialize)]
struct InlineLink {
    id: Number,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Inline {
    /// Whether there are more than these.
    pub(super) fn is_cut(&self) -> bool {
        self.paging.as_ref().is_some_and(|paging| paging.after().is_some())
    }

    /// The companies.
    pub(super) fn links(&self) -> Vec<Link> {
        let is_primary =
            |link: &InlineLink| matches!(link.kind.as_deref(), Some("deal_to_company" | "deal_to_primary_company"));
        let links = self.results.iter().flatten();
        links.map(|link| Link { company: link.id.0.clone(), is_primary: is_primary(link) }).collect()
    }
}

/// An instant: RFC 3339, a day (its midnight, UTC), or milliseconds since 1970.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    let digits = text.trim().strip_prefix('-').unwrap_or(text.trim());
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return dates::instant(text, Tz::UTC);
    }
    DateTime::from_timestamp_millis(text.trim().parse().ok()?).filter(|at| is_likely(at.date_naive()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_record_is_digits_alone() {
        for (json, is_number) in [
            ("\"38124407712\"", true),
            ("18446744073709551615", true),
            ("\"1 2\"", false),
            ("\"\\u001b[31m\"", false),
            ("\"-5\"", false),
            ("-5", false),
            ("\"000000000000000000001\"", false),
        ] {
            assert_eq!(serde_json::from_str::<Number>(json).is_ok(), is_number, "{json}");
        }
    }

    #[test]
    fn the_next_page_is_told_by_the_cursor_alone() {
        let next = |json: &str| serde_json::from_str::<Listed>(json).unwrap().next().map(ToOwned::to_owned);
        let link = r#"{"results":[],"paging":{"next":{"after":200,"link":"https://evil.example/"}},"unknown":1}"#;
        assert_eq!(next(link).as_deref(), Some("200"));
        assert_eq!(next(r#"{"results":[{}]}"#), None);
        assert_eq!(next(r#"{"results":[],"paging":null}"#), None);
        assert_eq!(next(r#"{"results":[],"paging":{}}"#), None);
        assert!(serde_json::from_str::<Listed>("{}").is_err(), "a missing list is not an empty list");
    }
}
