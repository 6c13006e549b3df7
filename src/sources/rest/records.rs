//! Which values of an answer are records: where they are, what is unwrapped, what counts as nothing.

use serde::Deserialize;

use crate::settings::Problem;
use crate::sources::rest::conditions::{self, Condition};
use crate::sources::rest::json::{Json, MAX_IN_ONE, Node};
use crate::sources::rest::list_path::{Leniency, ListPath};
use crate::sources::rest::path::Path;
use crate::sources::rest::record::Record;
use crate::sources::source::SourceError;

/// Where the records are and which count; `[sources.x.records]`, and the same keys of a look-up.
#[derive(Debug, Clone)]
pub(super) struct Records {
    path: ListPath,
    unwrap: Option<Path>,
    lenient: Leniency,
    false_is_null: bool,
    conditions: Vec<Condition>,
}

/// The keys of `[sources.x.records]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    #[serde(default = "ListPath::root")]
    path: ListPath,
    unwrap: Option<Path>,
    #[serde(default)]
    null_is_empty: bool,
    #[serde(default)]
    false_is_null: bool,
    #[serde(default, rename = "where")]
    conditions: Vec<conditions::Keys>,
}

/// The keys beside the path, which a look-up has too.
pub(super) const KEYS: [&str; 4] = ["unwrap", "null_is_empty", "false_is_null", "where"];

impl Keys {
    /// Checks that every test has the value its operation needs.
    pub(super) fn check(self) -> Result<Records, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut checked = Vec::new();
        for (index, keys) in self.conditions.into_iter().enumerate() {
            match Condition::new(keys) {
                Ok(condition) => checked.push(condition),
                Err(message) => problems.push(Problem::at(&format!("where.{index}.value"), message)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Records {
            path: self.path,
            unwrap: self.unwrap,
            lenient: Leniency { null: self.null_is_empty, missing: false },
            false_is_null: self.false_is_null,
            conditions: checked,
        })
    }
}

impl Records {
    /// Treats a missing list as empty, for a look-up table inside a page.
    pub(super) fn that_may_be_missing(mut self) -> Self {
        self.lenient = Leniency { null: true, missing: true };
        self
    }

    /// All records of an answer, before `where`.
    pub(super) fn all<'a>(&self, document: &Node<'a>) -> Result<Vec<Record<'a>>, SourceError> {
        let items = self.path.records(document, self.lenient)?;
        items.into_iter().map(|json| self.record(json)).collect()
    }

    fn record<'a>(&self, json: Json<'a>) -> Result<Record<'a>, SourceError> {
        let outer = Node::of(json);
        if outer.is_too_large() {
            return Err(SourceError::TooManyParts(MAX_IN_ONE));
        }
        let node = match &self.unwrap {
            None => outer,
            Some(path) => {
                Node::of(path.resolve(&outer).map_err(|miss| SourceError::Mapping(path.describe_miss(miss)))?)
            }
        };
        Ok(Record { node, json, false_is_null: self.false_is_null })
    }

    /// The paths without which a record is filtered out.
    pub(super) fn needs(&self) -> impl Iterator<Item = &Path> {
        self.conditions.iter().filter_map(Condition::needs)
    }

    pub(super) fn wants(&self, record: &Record<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    fn ids(toml: &str, document: &str) -> Result<Vec<Option<String>>, String> {
        let records = section(toml).read::<Keys>(&[]).unwrap().check().unwrap();
        let node = Node::document(document).unwrap();
        let id: Path = "$.id".parse().unwrap();
        let all = records.all(&node).map_err(|error| error.to_string())?;
        let shown = |record: &Record<'_>| record.value(&id)?.text().map(str::to_owned);
        Ok(all.iter().map(shown).collect())
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn records_are_unwrapped() {
        let wrapped = r#"{"items": [{"data": {"id": 1}}, {"data": {"id": 2}}]}"#;
        assert_eq!(
            ids(
                "path = 'items'
unwrap = 'data'",
                wrapped
            ),
            Ok(some(&["1", "2"]))
        );
        let broken = ids(
            "path = 'items'
unwrap = '$.date.x'",
            wrapped,
        )
        .unwrap_err();
        assert_eq!(broken, "`$.date.x`: `date` is missing");
    }

    #[test]
    fn false_stands_for_null_where_the_crm_means_it() {
        let document = r#"[{"id": false}, {"id": 7}]"#;
        assert_eq!(ids("false_is_null = true", document), Ok(vec![None, Some("7".to_owned())]));
        assert_eq!(ids("", document), Ok(some(&["false", "7"])));
    }
}
