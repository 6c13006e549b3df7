//! JSON as it came: borrowed texts, split only as deep as a path goes, every number as it was written.
//!
//! A tree of values for each record costs two to three times as much, passes numbers through `f64`, and one number
//! that no `f64` holds would lose the whole page.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::sources::values::scalar::Scalar;

/// The most members of an object or items of a list. A page of that many deals fits into a small container beside the
/// answer it came in; one of twenty million empty objects would not.
pub(super) const MAX_IN_ONE: usize = 50_000;

/// A value as text, known to be well-formed.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct Json<'a>(#[serde(borrow)] &'a RawValue);

impl<'a> Json<'a> {
    /// The text, without blanks around it.
    pub(super) fn text(self) -> &'a str {
        self.0.get()
    }

    pub(super) fn is_null(self) -> bool {
        self.text() == "null"
    }

    /// The value, unless it is null.
    pub(super) fn scalar(self) -> Option<Scalar<'a>> {
        let text = self.text();
        Some(match text.as_bytes().first()? {
            b'n' => return None,
            b't' => Scalar::Bool(true),
            b'f' => Scalar::Bool(false),
            // A text with half a surrogate pair is well-formed JSON and no text.
            b'"' => serde_json::from_str::<Text>(text).map_or(Scalar::Other(text), |text| Scalar::Text(text.0)),
            b'{' | b'[' => Scalar::Other(text),
            _ => Scalar::Number(Cow::Borrowed(text)),
        })
    }
}

/// A text that borrows where it holds no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value that is split when a path first goes through it, and only once: twenty fields below one object cost one
/// reading of it.
pub(super) struct Node<'a> {
    /// `None` for a whole answer, of which only the parts are known.
    json: Option<Json<'a>>,
    parts: OnceCell<Parts<'a>>,
}

enum Parts<'a> {
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
    List(Vec<Node<'a>>),
    Neither,
    /// An object or list of more than [`MAX_IN_ONE`].
    TooMany,
}

impl<'a> Node<'a> {
    /// What an answer without a body holds.
    pub(super) fn nothing() -> Self {
        Self { json: None, parts: OnceCell::from(Parts::Neither) }
    }

    /// A whole answer; this is where all of it is checked to be JSON. An error about its data, not its syntax, means
    /// more than [`MAX_IN_ONE`].
    pub(super) fn document(text: &'a str) -> Result<Self, serde_json::Error> {
        Ok(Self { json: None, parts: OnceCell::from(split(text)?) })
    }

    /// One value of it.
    pub(super) fn of(json: Json<'a>) -> Self {
        Self { json: Some(json), parts: OnceCell::new() }
    }

    /// The value itself.
    pub(super) fn json(&self) -> Option<Json<'a>> {
        self.json
    }

    fn parts(&self) -> &Parts<'a> {
        let read = |json: Json<'a>| match split(json.text()) {
            Ok(parts) => parts,
            Err(error) if error.is_data() => Parts::TooMany,
            Err(_) => Parts::Neither,
        };
        self.parts.get_or_init(|| self.json.map_or(Parts::Neither, read))
    }

    /// Whether it has more parts than fit into memory; it is then neither object nor list.
    pub(super) fn is_too_large(&self) -> bool {
        matches!(self.parts(), Parts::TooMany)
    }

    /// The member of an object; of two with the same key, the last.
    pub(super) fn member(&self, key: &str) -> Option<&Node<'a>> {
        let Parts::Object(members) = self.parts() else { return None };
        members.iter().rfind(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The item of a list; from the end if negative.
    pub(super) fn item(&self, index: i64) -> Option<&Node<'a>> {
        let Parts::List(items) = self.parts() else { return None };
        let place = usize::try_from(index.unsigned_abs()).ok()?;
        items.get(if index < 0 { items.len().checked_sub(place)? } else { place })
    }

    /// All items, if it is a list.
    pub(super) fn items(&self) -> Option<Vec<Json<'a>>> {
        let Parts::List(items) = self.parts() else { return None };
        Some(items.iter().filter_map(|item| item.json).collect())
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Json::deserialize(deserializer).map(Self::of)
    }
}

fn split(text: &str) -> Result<Parts<'_>, serde_json::Error> {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => serde_json::from_str::<Members>(text).map(|members| Parts::Object(members.0)),
        Some(b'[') => serde_json::from_str::<Items>(text).map(|items| Parts::List(items.0)),
        _ => serde_json::from_str::<&RawValue>(text).map(|_| Parts::Neither),
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((key, value)) = map.next_entry::<Text<'de>, Node<'de>>()? {
                    check_room(members.len())?;
                    members.push((key.0, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

struct Items<'a>(Vec<Node<'a>>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Items<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    check_room(items.len())?;
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(All)
    }
}

fn check_room<E: de::Error>(parts: usize) -> Result<(), E> {
    if parts < MAX_IN_ONE { Ok(()) } else { Err(E::custom("too many parts")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stays_as_it_was_written() {
        let node =
            Node::document(r#"{"id": 90071992547409931, "value": 1e400, "half": "\ud800", "a\u0062": 1, "ab": 2}"#)
                .unwrap();
        let text = |key: &str| node.member(key)?.json()?.scalar();
        assert_eq!(text("id"), Some(Scalar::Number("90071992547409931".into())));
        assert_eq!(text("value"), Some(Scalar::Number("1e400".into())));
        assert!(matches!(text("half"), Some(Scalar::Other(_))));
        assert_eq!(text("ab"), Some(Scalar::Number("2".into())), "escapes in keys are read, the last of two wins");
    }

    #[test]
    fn what_is_cut_or_followed_by_more_is_no_document() {
        for text in ["", "{", "[1,", "{\"a\":1", "nul"] {
            assert!(Node::document(text).is_err_and(|error| error.is_eof()), "{text}");
        }
        for text in ["{} {}", "<html>", "[1,]", "\u{feff}{}"] {
            assert!(Node::document(text).is_err_and(|error| !error.is_eof()), "{text}");
        }
    }

    #[test]
    fn a_page_of_more_parts_than_fit_into_memory_is_no_document() {
        let list = |items: usize| format!("[{}0]", "0,".repeat(items - 1));
        let object = |members: usize| format!("{{{}\"k\":0}}", "\"k\":0,".repeat(members - 1));
        for text in [list(MAX_IN_ONE), object(MAX_IN_ONE)] {
            assert!(Node::document(&text).is_ok());
        }
        for text in [list(MAX_IN_ONE + 1), object(MAX_IN_ONE + 1)] {
            assert!(Node::document(&text).is_err_and(|error| error.is_data()));
            let inside = format!("{{\"data\":{text}}}");
            let inside = Node::document(&inside).unwrap();
            assert!(inside.member("data").is_some_and(Node::is_too_large));
        }
    }

    #[test]
    fn more_to_come_is_said_by_value_and_not_by_presence() {
        let truthy = |text: &str| {
            let json: Json = serde_json::from_str(text).unwrap();
            json.scalar().is_some_and(|value| value.is_truthy())
        };
        for text in ["true", "1", "\"https://crm.example/next\"", "{}"] {
            assert!(truthy(text), "{text}");
        }
        for text in ["false", "0", "\"\"", "null", "-1"] {
            assert!(!truthy(text), "{text}");
        }
    }
}
