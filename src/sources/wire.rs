//! The values that CRMs send: ids of any length, and texts that may be numbers.

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

/// The order of ids as numbers, whatever their length.
pub(super) fn by_number(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// A value is neither text, number nor truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// A value as text; `None` for null, empty text and blanks.
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

/// An optional value of any type as text; `None` if it has none.
pub(super) fn said(value: Option<&RawValue>) -> Option<String> {
    value.and_then(|value| text(value).ok().flatten())
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
}
