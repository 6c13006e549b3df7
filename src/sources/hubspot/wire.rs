//! The shapes that several answers share: ids, pages, and values that may be anything.
//!
//! HubSpot documents values as texts and sends numbers in places, so both are read; unknown keys are ignored.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An id, text or number on the wire; numbers above 2^53 exact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Id;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an id")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
                if text.is_empty() { Err(E::custom("an empty id")) } else { Ok(Id(text.to_owned())) }
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Id, E> {
                Ok(Id(number.to_string()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The id of a record: digits alone. It stands in logs and addresses, and ids are compared as numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Number(pub(super) String);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Id(text) = Id::deserialize(deserializer)?;
        // As many as 64 bits take.
        let is_number = text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Ok(Self(text)) } else { Err(de::Error::custom("an id that is no number")) }
    }
}

/// The order of ids as numbers, whatever their length.
pub(super) fn by_number(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
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

/// A value is neither text, number nor truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// A value that may be left out, be null or be anything, as text; nothing where it is none.
pub(super) fn said(value: Option<&RawValue>) -> Option<String> {
    value.and_then(|value| text(value).ok().flatten())
}

/// A value as text; nothing for null, the empty text and blanks, which all mean that there is none (contract §3.1).
pub(super) fn text(value: &RawValue) -> Result<Option<String>, Unreadable> {
    let json = value.get();
    let text = match json.as_bytes().first() {
        Some(b'n') => return Ok(None),
        // Half a surrogate pair is well-formed JSON and no text.
        Some(b'"') => serde_json::from_str::<String>(json).map_err(|_| Unreadable)?,
        Some(b'{' | b'[') | None => return Err(Unreadable),
        Some(_) => json.to_owned(),
    };
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_texts_or_numbers_and_exact_beyond_what_a_double_holds() {
        for (json, id) in [
            ("\"38124407712\"", Some("38124407712")),
            ("27712345001", Some("27712345001")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("9007199254740993", Some("9007199254740993")),
            ("\"\"", None),
            ("1.5", None),
            ("null", None),
        ] {
            assert_eq!(serde_json::from_str::<Id>(json).ok().map(|id| id.0).as_deref(), id, "{json}");
        }
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
        assert_eq!(by_number("9", "10"), Ordering::Less);
        assert_eq!(by_number("9007199254740993", "9007199254740992"), Ordering::Greater);
    }

    #[test]
    fn null_blank_and_empty_mean_that_there_is_none() {
        let read = |json: &str| text(&RawValue::from_string(json.to_owned()).unwrap());
        for json in ["null", "\"\"", "\"  \""] {
            assert_eq!(read(json), Ok(None), "{json}");
        }
        assert_eq!(read("\"0\""), Ok(Some("0".to_owned())));
        assert_eq!(read("12.50"), Ok(Some("12.50".to_owned())));
        assert_eq!(read("\"\\ud83d\\ude80 \\u05d0\\n\""), Ok(Some("🚀 א\n".to_owned())));
        for json in ["{}", "[1]", "\"\\ud800\""] {
            assert_eq!(read(json), Err(Unreadable), "{json}");
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
        assert!(serde_json::from_str::<Listed>("{}").is_err(), "no list is no empty list");
    }
}
