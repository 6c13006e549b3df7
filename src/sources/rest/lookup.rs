//! Tables that turn a CRM's keys into what people read: lists of their own, or written in the configuration.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::pull::Guards;
use crate::sources::rest::client::Client;
use crate::sources::rest::json::{Constant, Json, Node, Scalar};
use crate::sources::rest::list::{List, Request};
use crate::sources::rest::paging::Paging;
use crate::sources::rest::path::{ListPath, Path, Paths};
use crate::sources::rest::records::{ConditionKeys, Records};
use crate::sources::source::SourceError;

/// What becomes of a key that the table does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Missing {
    /// The key itself stands for the name; counted.
    #[default]
    Keep,
    /// No name; counted.
    Null,
    /// The pull fails.
    Fail,
}

/// One table; `[sources.x.lookup.<name>]`.
pub(super) struct Lookup {
    /// What becomes of unknown keys, where the field does not say.
    pub(super) missing: Missing,
    table: Table,
}

enum Table {
    Static(HashMap<String, String>),
    List(Box<ListTable>),
}

struct ListTable {
    list: List,
    key: Path,
    value: Vec<Path>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListKeys {
    #[serde(default = "ListPath::root")]
    records: ListPath,
    #[serde(default)]
    null_is_empty: bool,
    #[serde(default, rename = "where")]
    conditions: Vec<ConditionKeys>,
    key: Path,
    value: Paths,
    #[serde(default)]
    missing: Missing,
}

const REQUEST_KEYS: [&str; 3] = ["path", "query", "headers"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StaticKeys {
    entries: BTreeMap<String, Constant>,
    #[serde(default)]
    missing: Missing,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    List,
    Static,
}

#[derive(Deserialize)]
struct ModeKey {
    mode: Option<Mode>,
}

impl Lookup {
    /// Reads the section; `mode` decides which keys it has, and `entries` alone mean `static`.
    pub(super) fn read(mut section: Section) -> Result<Self, Vec<Problem>> {
        let ModeKey { mode } = section.split_off(&["mode"]).read(&[])?;
        let has_entries = section.0.contains_key("entries");
        match mode.unwrap_or(if has_entries { Mode::Static } else { Mode::List }) {
            Mode::Static => Self::read_static(&section),
            Mode::List => Self::read_list(section),
        }
    }

    fn read_static(section: &Section) -> Result<Self, Vec<Problem>> {
        let StaticKeys { entries, missing } = section.read(&["mode"])?;
        if entries.is_empty() {
            return Err(vec![Problem::at("entries", "is empty")]);
        }
        let text = |(key, value): (String, Constant)| Some((key, value.0.text()?.to_owned()));
        Ok(Self { missing, table: Table::Static(entries.into_iter().filter_map(text).collect()) })
    }

    fn read_list(mut section: Section) -> Result<Self, Vec<Problem>> {
        let under = |key: &'static str| {
            move |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.under(&[key])).collect::<Vec<_>>()
        };
        let paging = section.table("paging").and_then(|section| Paging::read(section).map_err(under("paging")));
        let request = section.split_off(&REQUEST_KEYS);
        let request = if request.0.contains_key("path") {
            request.read::<Request>(&[])
        } else {
            Err(vec![Problem::at("path", "is missing").hint("where the table is, or `entries` for one written here")])
        };
        let also = ["mode", "entries", "paging", "path", "query", "headers"];
        let own = section.read::<ListKeys>(&also).and_then(|keys| {
            let records = Records::new(keys.records, keys.null_is_empty, keys.conditions)?;
            Ok((records, keys.key, keys.value.0, keys.missing))
        });
        match (paging, request, own) {
            (Ok(paging), Ok(request), Ok((records, key, value, missing))) => {
                let list = List::new(request, paging, records)?;
                Ok(Self { missing, table: Table::List(Box::new(ListTable { list, key, value })) })
            }
            (paging, request, own) => {
                Err([paging.err(), request.err(), own.err()].into_iter().flatten().flatten().collect())
            }
        }
    }

    /// The list behind it, if it has one.
    pub(super) fn list(&self) -> Option<&List> {
        match &self.table {
            Table::Static(_) => None,
            Table::List(table) => Some(&table.list),
        }
    }

    /// The whole table: it is read to its end or fails.
    pub(super) async fn fetch(&self, client: &Client) -> Result<HashMap<String, String>, SourceError> {
        match &self.table {
            Table::Static(names) => Ok(names.clone()),
            Table::List(table) => table.fetch(client).await,
        }
    }
}

impl ListTable {
    async fn fetch(&self, client: &Client) -> Result<HashMap<String, String>, SourceError> {
        let mut guards = Guards::default();
        let mut names = HashMap::new();
        let mut rows = 0;
        let mut after: Option<String> = None;
        loop {
            let answer = self.list.ask(client, after.as_deref()).await?;
            let document = answer.document()?;
            let batch = self.list.split(client, &answer, &document, after.as_deref())?;
            let prints: Vec<String> = batch.records.iter().map(|row| fingerprint(*row)).collect();
            rows += prints.len() as u64;
            guards.check(&prints, prints.len() as u64, batch.next.as_deref()).map_err(SourceError::Paging)?;
            names.extend(batch.records.into_iter().filter_map(|row| self.entry(row)));
            after = batch.next;
            if after.is_some() {
                continue;
            }
            if let Some(total) = batch.total.filter(|total| rows < *total) {
                return Err(SourceError::Paging(format!("the table ends after {rows} of {total} rows")));
            }
            return if names.is_empty() {
                Err(SourceError::Mapping("the table is empty".to_owned()))
            } else {
                Ok(names)
            };
        }
    }

    /// A row's key and name; a row without either names nothing.
    fn entry(&self, row: Json<'_>) -> Option<(String, String)> {
        let row = Node::of(row);
        if !self.list.records.wants(&row) {
            return None;
        }
        let key = self.key.find(&row)?.scalar()?.text()?.to_owned();
        let parts: Vec<Scalar<'_>> = self.value.iter().filter_map(|path| path.find(&row)?.scalar()).collect();
        let parts: Vec<&str> = parts.iter().filter(|part| !part.is_blank()).filter_map(Scalar::text).collect();
        (!parts.is_empty()).then(|| (key, parts.join(" ")))
    }
}

/// What tells one record from another where its id cannot be read.
pub(super) fn fingerprint(record: Json<'_>) -> String {
    let mut hasher = DefaultHasher::new();
    record.text().hash(&mut hasher);
    format!("#{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    fn entry(toml: &str, row: &str) -> Option<(String, String)> {
        let lookup = Lookup::read(section(&format!("path = '/users'\nkey = '$.id'\n{toml}"))).unwrap();
        let Table::List(table) = lookup.table else { panic!("a list was asked for") };
        table.entry(serde_json::from_str(row).unwrap())
    }

    #[test]
    fn a_name_is_joined_of_the_parts_that_are_there() {
        let toml = "value = ['$.first', '$.last']";
        let named = |row| entry(toml, row).map(|(key, name)| format!("{key}={name}"));
        assert_eq!(named(r#"{"id": 7, "first": "Ann", "last": "Lee"}"#).as_deref(), Some("7=Ann Lee"));
        assert_eq!(named(r#"{"id": "7", "first": null, "last": "Lee"}"#).as_deref(), Some("7=Lee"));
        assert_eq!(named(r#"{"id": 0, "first": "Ann", "last": ""}"#).as_deref(), Some("0=Ann"));
        assert_eq!(named(r#"{"id": 7}"#), None);
        assert_eq!(named(r#"{"first": "Ann"}"#), None);
        let active = "value = '$.first'\nwhere = [{ path = '$.active', op = 'eq', value = true }]";
        assert_eq!(entry(active, r#"{"id": 7, "first": "Ann", "active": false}"#), None);
    }

    #[test]
    fn everything_wrong_with_a_table_is_told_at_once() {
        let told = |toml: &str| {
            let problems = Lookup::read(section(toml)).err().unwrap();
            problems.iter().map(|problem| problem.path.join(".")).collect::<Vec<_>>()
        };
        assert_eq!(
            told("key = '$['\npaging = { type = 'page', size = 2 }"),
            ["paging.size_param", "path", "key", "value"]
        );
        assert_eq!(told("mode = 'static'\nentries = {}"), ["entries"]);
        assert_eq!(told("entries = { a = 'x' }\nkey = 'id'"), ["key"]);
        assert_eq!(told("mode = 'ids'"), ["mode"]);
    }
}
