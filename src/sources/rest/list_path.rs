//! Where the records of an answer are: a list, or the lists inside one list.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::sources::rest::json::{Json, MAX_IN_ONE, Node};
use crate::sources::rest::path::{Path, PathMiss, through_a_list};
use crate::sources::source::SourceError;

/// A path to a list, or through one list (`$.items[*].data`, `["$.items", "$.data"]`).
#[derive(Debug, Clone)]
pub(super) struct ListPath {
    text: String,
    list: Path,
    each: Option<Path>,
}

/// What counts as an empty list.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Leniency {
    pub(super) null: bool,
    pub(super) missing: bool,
}

impl ListPath {
    /// The whole answer is the list.
    pub(super) fn root() -> Self {
        Self::parse("$").expect("the root is a path")
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (list, each) = through_a_list(text).map_err(|why| format!("is no path: {why}"))?;
        Ok(Self { text: text.to_owned(), list, each })
    }

    /// The records, or an error that names the step that is not a list.
    pub(super) fn records<'a>(&self, document: &Node<'a>, lenient: Leniency) -> Result<Vec<Json<'a>>, SourceError> {
        let Some(each) = &self.each else { return self.list_at(&self.list, self.list.follow(document), lenient) };
        let outer = self.list_at(&self.list, self.list.follow(document), lenient)?;
        let mut records = Vec::with_capacity(outer.len());
        for item in outer {
            let item = Node::of(item);
            match each.follow(&item).map(Node::json) {
                Ok(Some(found)) if !found.is_null() && !found.text().starts_with('[') => {
                    records.push(found);
                }
                _ => records.extend(self.list_at(each, each.follow(&item), lenient)?),
            }
            if records.len() > MAX_IN_ONE {
                return Err(SourceError::TooManyParts(MAX_IN_ONE));
            }
        }
        Ok(records)
    }

    fn list_at<'a>(
        &self,
        path: &Path,
        found: Result<&Node<'a>, PathMiss>,
        lenient: Leniency,
    ) -> Result<Vec<Json<'a>>, SourceError> {
        let last = path.step_name(path.steps().len().saturating_sub(1));
        match found {
            Ok(found) if found.json().is_some_and(Json::is_null) => {
                if lenient.null {
                    Ok(Vec::new())
                } else {
                    Err(self.wrong(&last, "is null"))
                }
            }
            Ok(found) if found.is_too_large() => Err(SourceError::TooManyParts(MAX_IN_ONE)),
            Ok(found) => found.items().ok_or_else(|| self.wrong(&last, "is not a list")),
            Err(PathMiss { null: true, .. }) if lenient.null => Ok(Vec::new()),
            Err(PathMiss { null: false, .. }) if lenient.missing => Ok(Vec::new()),
            Err(PathMiss { step, null }) => {
                Err(self.wrong(&path.step_name(step), if null { "is null" } else { "is missing" }))
            }
        }
    }

    fn wrong(&self, step: &str, what: &str) -> SourceError {
        SourceError::Mapping(format!("`{}`: `{step}` {what}", self.text))
    }
}

impl<'de> Deserialize<'de> for ListPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = ListPath;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a path, or two: of a list, and of the list in each of its items")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ListPath, E> {
                ListPath::parse(text).map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<ListPath, A::Error> {
                let two = || de::Error::custom("expected two paths: of a list, and of the list in each of its items");
                let outer: Path = items.next_element()?.ok_or_else(two)?;
                let inner: Path = items.next_element()?.ok_or_else(two)?;
                if items.next_element::<Path>()?.is_some() {
                    return Err(two());
                }
                let text = format!("{outer}[*]{}", inner.to_string().trim_start_matches('$'));
                Ok(ListPath { text, list: outer, each: Some(inner) })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, document: &str, lenient: Leniency) -> Result<Vec<String>, String> {
        let node = Node::document(document).unwrap();
        let path: ListPath = serde_json::from_str(path).map_err(|error| error.to_string())?;
        let records = path.records(&node, lenient).map_err(|error| error.to_string())?;
        Ok(records.iter().map(|record| record.text().to_owned()).collect())
    }

    fn records(path: &str, document: &str, null: bool) -> Result<Vec<String>, String> {
        read(&format!("{path:?}"), document, Leniency { null, missing: false })
    }

    #[test]
    fn two_paths_lead_through_a_list() {
        let nested = r#"[{"stages": [1, 2]}, {"stages": [3]}]"#;
        assert_eq!(read(r#"["$", "$.stages"]"#, nested, Leniency::default()).unwrap(), ["1", "2", "3"]);
        for path in [r#"["$"]"#, r#"["$", "$.a", "$.b"]"#, r#""$.a[*].b[*]""#, r#""$[*]x""#] {
            assert!(read(path, "[]", Leniency::default()).is_err(), "{path}");
        }
        let missing = Leniency { null: false, missing: true };
        assert_eq!(read(r#""$.users""#, "{}", missing), Ok(Vec::new()));
    }

    #[test]
    fn records_are_found_at_the_root_below_and_through_one_list() {
        for (path, document) in [
            ("$", "[1,2]"),
            ("$[*]", "[1,2]"),
            ("$.data", r#"{"data":[1,2]}"#),
            ("$.data.items[*]", r#"{"data":{"items":[1,2]}}"#),
            ("$.items[*].data", r#"{"items":[{"data":1},{"data":2}]}"#),
            ("$.groups[*].deals", r#"{"groups":[{"deals":[1]},{"deals":[]},{"deals":[2]}]}"#),
        ] {
            assert_eq!(records(path, document, false), Ok(vec!["1".to_owned(), "2".to_owned()]), "{path}");
        }
    }

    #[test]
    fn a_list_that_is_not_there_names_the_step() {
        for (path, document, why) in [
            ("$.data.items", r#"{"data":null}"#, "`$.data.items`: `data` is null"),
            ("$.data.items", r#"{"data":{"items":null}}"#, "`$.data.items`: `items` is null"),
            ("$.data.items", r#"{"date":{}}"#, "`$.data.items`: `data` is missing"),
            ("$.data.items", r#"{"data":{}}"#, "`$.data.items`: `items` is missing"),
            ("$.data", r#"{"data":{}}"#, "`$.data`: `data` is not a list"),
            ("$", r#"{"data":[]}"#, "`$`: `$` is not a list"),
            ("$.items[*].data", r#"{"items":[{}]}"#, "`$.items[*].data`: `data` is missing"),
        ] {
            assert_eq!(records(path, document, false).unwrap_err(), why);
        }
        for document in [r#"{"data":null}"#, r#"{"data":{"items":null}}"#] {
            assert_eq!(records("$.data.items", document, true), Ok(Vec::new()));
        }
        assert!(records("$.data.items", "{}", true).is_err(), "missing is never empty");
    }
}
