//! One table, whatever its mode.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::rest::auth::Nothing;
use crate::sources::rest::client::Client;
use crate::sources::rest::json::Node;
use crate::sources::rest::list::List;
use crate::sources::rest::lookup::ids::{self, ByIds};
use crate::sources::rest::lookup::list::{self, ListTable};
use crate::sources::rest::lookup::rows::{Column, Missing, ROW_KEYS, Rows};
use crate::sources::rest::lookup::written;
use crate::sources::rest::path::Path;
use crate::sources::source::{Names, SourceError};

/// Where a table comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::sources::rest) enum Mode {
    /// A list, read to its end before the first page.
    #[default]
    List,
    /// Read after the last page, by the keys in the deals.
    Ids,
    /// A part of each page.
    Page,
    /// Written in the configuration or a file.
    Static,
}

/// The properties of a table that fields depend on.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sources::rest) struct About {
    /// What an unknown key becomes, unless the field says otherwise.
    pub(in crate::sources::rest) missing: Missing,
    /// Where it comes from.
    pub(in crate::sources::rest) mode: Mode,
}

pub(in crate::sources::rest) struct Lookup {
    pub(in crate::sources::rest) about: About,
    table: Table,
}

enum Table {
    Static(Names),
    Page(Box<Rows>),
    List(Box<ListTable>),
    Ids(Box<ByIds>),
}

#[derive(Deserialize)]
struct ModeKey {
    mode: Option<Mode>,
}

impl Lookup {
    /// Reads the section; `mode` decides which keys it has, and `entries` or `file` alone mean `static`.
    pub(in crate::sources::rest) fn read(name: &str, mut section: Section) -> Result<Self, Vec<Problem>> {
        let ModeKey { mode } = section.split_off(&["mode"]).read(&[])?;
        let is_written = ["entries", "file"].iter().any(|key| section.0.contains_key(*key));
        let mode = mode.unwrap_or(if is_written { Mode::Static } else { Mode::List });
        if mode == Mode::Static {
            let (names, missing) = written::read(name, &section)?;
            return Ok(Self { about: About { missing, mode }, table: Table::Static(names) });
        }
        let mut problems = Vec::new();
        let rows = Rows::read(name, &mut section).map_err(|found| problems.extend(found)).ok();
        let missing = rows.as_ref().map(|(_, missing)| *missing).unwrap_or_default();
        let table = match mode {
            Mode::Page => section.read(&ROW_KEYS).map(|Nothing {}| None),
            Mode::Ids => ids::Keys::read(&mut section, &ROW_KEYS).map(|keys| Some(Asked::Ids(Box::new(keys)))),
            _ => list::Keys::read(&mut section, &ROW_KEYS).map(|keys| Some(Asked::List(Box::new(keys)))),
        };
        let table = table.map_err(|found| problems.extend(found)).ok();
        let (Some((rows, _)), Some(table)) = (rows, table) else { return Err(problems) };
        let table = match table {
            None => Table::Page(Box::new(rows.beside_a_page())),
            Some(Asked::Ids(keys)) => Table::Ids(Box::new(keys.table(rows)?)),
            Some(Asked::List(keys)) => Table::List(Box::new(keys.table(rows)?)),
        };
        if problems.is_empty() { Ok(Self { about: About { missing, mode }, table }) } else { Err(problems) }
    }

    /// Takes in another value of its rows that a field asks for.
    pub(in crate::sources::rest) fn add_column(&mut self, name: String, paths: Vec<Path>) {
        let rows = match &mut self.table {
            Table::Static(_) => return,
            Table::Page(rows) => rows,
            Table::List(table) => &mut table.rows,
            Table::Ids(table) => &mut table.rows,
        };
        if !rows.columns.iter().any(|column| column.name == name) {
            rows.columns.push(Column { name, paths });
        }
    }

    /// The list behind it, if it has one.
    pub(in crate::sources::rest) fn list(&self) -> Option<&List> {
        match &self.table {
            Table::Static(_) | Table::Page(_) => None,
            Table::List(table) => Some(&table.list),
            Table::Ids(table) => Some(&table.list),
        }
    }

    /// What is known before the first page, and what is odd about it: the whole table, or nothing yet.
    pub(in crate::sources::rest) async fn fetch(&self, client: &Client) -> Result<(Names, Vec<String>), SourceError> {
        match &self.table {
            Table::Static(names) => Ok((names.clone(), Vec::new())),
            Table::List(table) => table.fetch(client).await,
            Table::Page(_) | Table::Ids(_) => Ok((Names::default(), Vec::new())),
        }
    }

    /// What a page says beside its records.
    pub(in crate::sources::rest) fn of_page(&self, document: &Node<'_>, names: &mut Names) -> Result<(), SourceError> {
        let Table::Page(rows) = &self.table else { return Ok(()) };
        rows.take(&rows.records.all(document)?, names);
        Ok(())
    }

    /// How many keys are asked for at once.
    pub(in crate::sources::rest) fn at_once(&self) -> Option<usize> {
        match &self.table {
            Table::Ids(table) => Some(table.chunk),
            _ => None,
        }
    }

    /// The names of some keys.
    pub(in crate::sources::rest) async fn names_of(
        &self,
        client: &Client,
        keys: impl Iterator<Item = &String> + Send,
    ) -> Result<Names, SourceError> {
        match &self.table {
            Table::Ids(table) => table.fetch(client, keys.cloned().collect()).await,
            _ => Ok(Names::default()),
        }
    }
}

/// How a table's rows are asked for.
enum Asked {
    List(Box<list::Keys>),
    Ids(Box<ids::Keys>),
}

/// The tables there are, by name.
pub(in crate::sources::rest) type Lookups = BTreeMap<String, Lookup>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;
    use crate::sources::rest::lookup::rows::is_empty;

    fn entry(toml: &str, row: &str) -> Option<String> {
        let toml = format!("mode = 'page'\nrecords = '$.rows'\nkey = '$.id'\n{toml}");
        let mut lookup = Lookup::read("t", section(&toml)).unwrap();
        lookup.add_column("t $.n".to_owned(), vec!["$.n".parse().unwrap()]);
        let mut names = Names::default();
        let document = format!(r#"{{"rows": [{row}]}}"#);
        lookup.of_page(&Node::document(&document).unwrap(), &mut names).unwrap();
        let shown = names
            .0
            .iter()
            .flat_map(|(column, names)| names.iter().map(move |(key, name)| format!("{column}: {key}={name}")));
        let shown: Vec<String> = shown.collect();
        (!shown.is_empty()).then(|| shown.join(", "))
    }

    #[test]
    fn a_name_is_joined_of_the_parts_that_are_there_and_other_values_stand_in_columns_of_their_own() {
        let toml = "value = ['$.first', '$.last']";
        assert_eq!(entry(toml, r#"{"id": 7, "first": "Ann", "last": "Lee"}"#).as_deref(), Some("t: 7=Ann Lee"));
        assert_eq!(entry(toml, r#"{"id": "7", "first": null, "last": "Lee"}"#).as_deref(), Some("t: 7=Lee"));
        assert_eq!(entry(toml, r#"{"id": 0, "first": "Ann", "n": 30}"#).as_deref(), Some("t: 0=Ann, t $.n: 0=30"));
        assert_eq!(entry(toml, r#"{"id": 7}"#), None);
        assert_eq!(entry(toml, r#"{"first": "Ann"}"#), None);
        let active = "value = '$.first'\nwhere = [{ path = '$.active', op = 'eq', value = true }]";
        assert_eq!(entry(active, r#"{"id": 7, "first": "Ann", "active": false}"#), None);
    }

    #[test]
    fn a_page_without_its_table_has_an_empty_one() {
        let lookup = Lookup::read("t", section("mode = 'page'\nrecords = '$.users'\nkey = 'id'\nvalue = 'n'")).unwrap();
        let mut names = Names::default();
        for document in ["{}", r#"{"users": null}"#] {
            lookup.of_page(&Node::document(document).unwrap(), &mut names).unwrap();
        }
        assert!(is_empty(&names));
        assert!(lookup.of_page(&Node::document(r#"{"users": 7}"#).unwrap(), &mut names).is_err());
    }

    #[test]
    fn everything_wrong_with_a_table_is_told_at_once() {
        let told = |toml: &str| {
            let problems = Lookup::read("t", section(toml)).err().unwrap();
            problems.iter().map(|problem| problem.path.join(".")).collect::<Vec<_>>()
        };
        assert_eq!(
            told("key = '$['\npaging = { type = 'page', size = 2 }"),
            ["key", "value", "paging.size_param", "path"]
        );
        assert_eq!(told("records = '$['\nkey = 'id'\nvalue = 'n'\npath = '/t'"), ["records"]);
        assert_eq!(told("mode = 'static'\nentries = {}"), ["entries"]);
        assert_eq!(told("entries = { a = 'x' }\nkey = 'id'"), ["key"]);
        assert_eq!(told("mode = 'idz'"), ["mode"]);
        assert_eq!(told("mode = 'ids'\npath = '/t'\nkey = 'id'\nvalue = 'n'"), ["ids_param"]);
        assert_eq!(told("mode = 'ids'\npath = '/t'\nkey = 'id'\nvalue = 'n'\nids_param = 'ids'\nchunk = 0"), ["chunk"]);
        assert_eq!(told("mode = 'page'\nkey = 'id'\nvalue = 'n'\npath = '/t'"), ["path"]);
        assert_eq!(told("path = '/t'\nkey = 'id'\nvalue = 'n'\nttl = 'soon'"), ["ttl"]);
    }
}
