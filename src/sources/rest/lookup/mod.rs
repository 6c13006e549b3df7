//! Tables that turn a CRM's keys into what people read; `[sources.x.lookup.<name>]`.
//!
//! A table is a list of its own, asked for by ids, a part of each page, or written in the configuration. It has one
//! column for its `value`, and one for each other value that a field asks it for.

mod ids;
mod list;
mod written;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::settings::{Problem, Section, both};
use crate::sources::rest::auth::Nothing;
use crate::sources::rest::client::Client;
use crate::sources::rest::json::Node;
use crate::sources::rest::list::List;
use crate::sources::rest::lookup::ids::ByIds;
use crate::sources::rest::lookup::list::ListTable;
use crate::sources::rest::path::{Path, Paths};
use crate::sources::rest::record::Record;
use crate::sources::rest::records::{self, Records};
use crate::sources::source::{Names, SourceError};
use crate::sources::values::scalar::Scalar;

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

/// How a table is come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// A list, read to its end before the first page.
    #[default]
    List,
    /// Asked for once all pages are in, by the keys that stand in them.
    Ids,
    /// A part of each page.
    Page,
    /// Written in the configuration or a file.
    Static,
}

/// What fields need to know of a table.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About {
    /// What becomes of unknown keys, where the field does not say.
    pub(super) missing: Missing,
    /// How it is come by.
    pub(super) mode: Mode,
}

/// One table.
pub(super) struct Lookup {
    /// What fields need to know of it.
    pub(super) about: About,
    table: Table,
}

enum Table {
    Static(Names),
    Page(Box<Rows>),
    List(Box<ListTable>),
    Ids(Box<ByIds>),
}

/// Where a table's rows are, and what is taken of them.
struct Rows {
    records: Records,
    key: Path,
    columns: Vec<Column>,
}

/// One value of each row: its name among all look-ups, and the paths whose values are joined by a blank.
struct Column {
    name: String,
    paths: Vec<Path>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowKeys {
    key: Path,
    value: Paths,
    #[serde(default)]
    missing: Missing,
}

const ROW_KEYS: [&str; 3] = ["key", "value", "missing"];

#[derive(Deserialize)]
struct ModeKey {
    mode: Option<Mode>,
}

/// What a column is called: the table's own, or one for other paths of its rows.
pub(super) fn column(table: &str, paths: Option<&[Path]>) -> String {
    let Some(paths) = paths else { return table.to_owned() };
    let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
    format!("{table} {}", paths.join(" "))
}

impl Lookup {
    /// Reads the section; `mode` decides which keys it has, and `entries` or `file` alone mean `static`.
    pub(super) fn read(name: &str, mut section: Section) -> Result<Self, Vec<Problem>> {
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
    pub(super) fn add_column(&mut self, name: String, paths: Vec<Path>) {
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
    pub(super) fn list(&self) -> Option<&List> {
        match &self.table {
            Table::Static(_) | Table::Page(_) => None,
            Table::List(table) => Some(&table.list),
            Table::Ids(table) => Some(&table.list),
        }
    }

    /// What is known before the first page, and what is odd about it: the whole table, or nothing yet.
    pub(super) async fn fetch(&self, client: &Client) -> Result<(Names, Vec<String>), SourceError> {
        match &self.table {
            Table::Static(names) => Ok((names.clone(), Vec::new())),
            Table::List(table) => table.fetch(client).await,
            Table::Page(_) | Table::Ids(_) => Ok((Names::default(), Vec::new())),
        }
    }

    /// What a page says beside its records.
    pub(super) fn of_page(&self, document: &Node<'_>, names: &mut Names) -> Result<(), SourceError> {
        let Table::Page(rows) = &self.table else { return Ok(()) };
        rows.take(&rows.records.all(document)?, names);
        Ok(())
    }

    /// How many keys are asked for at once.
    pub(super) fn at_once(&self) -> Option<usize> {
        match &self.table {
            Table::Ids(table) => Some(table.chunk),
            _ => None,
        }
    }

    /// The names of some keys.
    pub(super) async fn names_of(
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

impl Rows {
    /// Splits off what a section says of rows; what becomes of unknown keys beside it.
    fn read(name: &str, section: &mut Section) -> Result<(Self, Missing), Vec<Problem>> {
        let mut where_rows_are = section.split_off(&records::KEYS);
        where_rows_are.0.extend(section.0.remove("records").map(|path| ("path".to_owned(), path)));
        let records = where_rows_are.read::<records::Keys>(&[]).and_then(records::Keys::check).map_err(|problems| {
            let named = |mut problem: Problem| {
                problem.path.iter_mut().take(1).filter(|key| *key == "path").for_each(|key| "records".clone_into(key));
                problem
            };
            problems.into_iter().map(named).collect::<Vec<_>>()
        });
        let own = section.split_off(&ROW_KEYS).read::<RowKeys>(&[]);
        let (records, RowKeys { key, value, missing }) = both(records, own)?;
        let columns = vec![Column { name: column(name, None), paths: value.0 }];
        Ok((Self { records, key, columns }, missing))
    }

    fn beside_a_page(self) -> Self {
        Self { records: self.records.that_may_be_missing(), ..self }
    }

    /// Takes in the keys and values of rows; a row without either names nothing.
    fn take(&self, rows: &[Record<'_>], names: &mut Names) -> Taken {
        let mut taken = Taken { rows: rows.len(), ..Taken::default() };
        for row in rows.iter().filter(|row| self.records.wants(row)) {
            let key = row.resolve(&self.key);
            let Some(key) = key.as_ref().ok().and_then(Scalar::text) else {
                taken.gap.get_or_insert_with(|| gap(&self.key, row));
                continue;
            };
            for column in &self.columns {
                let parts: Vec<Scalar<'_>> = column.paths.iter().filter_map(|path| row.value(path)).collect();
                let parts: Vec<&str> = parts.iter().filter(|part| !part.is_blank()).filter_map(Scalar::text).collect();
                if parts.is_empty() {
                    taken.gap = taken.gap.or_else(|| column.paths.first().map(|path| gap(path, row)));
                    continue;
                }
                let name = parts.join(" ");
                let table = names.0.entry(column.name.clone()).or_default();
                let before = table.insert(key.to_owned(), name.clone());
                taken.renamed += u64::from(before.is_some_and(|before| before != name));
            }
        }
        taken
    }
}

/// Why a row gives nothing at a path.
fn gap(path: &Path, row: &Record<'_>) -> String {
    row.resolve(path).err().map_or_else(|| format!("`{path}` is no name"), |miss| path.describe_miss(miss))
}

/// What came of rows.
#[derive(Debug, Default)]
struct Taken {
    rows: usize,
    /// Keys that had another name before.
    renamed: u64,
    /// Why the first row without a key or a name has none.
    gap: Option<String>,
}

impl Taken {
    fn add(&mut self, more: Self) {
        self.rows += more.rows;
        self.renamed += more.renamed;
        self.gap = self.gap.take().or(more.gap);
    }

    /// Why a table of these is empty.
    fn nothing(&self) -> String {
        match (self.rows, &self.gap) {
            (0, _) => "the table is empty".to_owned(),
            (rows, Some(gap)) => format!("none of its {rows} rows gives a key and a name: {gap}"),
            (rows, None) => format!("none of its {rows} rows is wanted by `where`"),
        }
    }
}

/// Whether a table knows nothing.
fn is_empty(names: &Names) -> bool {
    names.0.values().all(std::collections::HashMap::is_empty)
}

/// The tables there are, by name.
pub(super) type Lookups = BTreeMap<String, Lookup>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

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
