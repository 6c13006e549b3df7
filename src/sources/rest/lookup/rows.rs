//! The rows of a table: their keys and the values of each column.

use serde::Deserialize;

use crate::settings::{Problem, Section, both};
use crate::sources::rest::path::{Path, Paths};
use crate::sources::rest::record::Record;
use crate::sources::rest::records::{self, Records};
use crate::sources::source::Names;
use crate::sources::values::scalar::Scalar;

/// What an unknown key becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::sources::rest) enum Missing {
    /// Itself; counted.
    #[default]
    Keep,
    /// Null; counted.
    Null,
    /// The pull fails.
    Fail,
}

/// Where a table's rows are, and what is taken of them.
pub(super) struct Rows {
    pub(super) records: Records,
    key: Path,
    pub(super) columns: Vec<Column>,
}

/// One value of each row: its name among all look-ups, and the paths whose values are joined by a blank.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) paths: Vec<Path>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowKeys {
    key: Path,
    value: Paths,
    #[serde(default)]
    missing: Missing,
}

pub(super) const ROW_KEYS: [&str; 3] = ["key", "value", "missing"];

/// What a column is called: the table's own, or one for other paths of its rows.
pub(in crate::sources::rest) fn column(table: &str, paths: Option<&[Path]>) -> String {
    let Some(paths) = paths else { return table.to_owned() };
    let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
    format!("{table} {}", paths.join(" "))
}

impl Rows {
    /// Splits off what a section says of rows; what becomes of unknown keys beside it.
    pub(super) fn read(name: &str, section: &mut Section) -> Result<(Self, Missing), Vec<Problem>> {
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

    pub(super) fn beside_a_page(self) -> Self {
        Self { records: self.records.that_may_be_missing(), ..self }
    }

    /// Takes in the keys and values of rows; a row without either names nothing.
    pub(super) fn take(&self, rows: &[Record<'_>], names: &mut Names) -> Taken {
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
pub(super) struct Taken {
    rows: usize,
    /// Keys that had another name before.
    pub(super) renamed: u64,
    /// Why the first row without a key or a name has none.
    gap: Option<String>,
}

impl Taken {
    pub(super) fn add(&mut self, more: Self) {
        self.rows += more.rows;
        self.renamed += more.renamed;
        self.gap = self.gap.take().or(more.gap);
    }

    /// Why a table of these is empty.
    pub(super) fn nothing(&self) -> String {
        match (self.rows, &self.gap) {
            (0, _) => "the table is empty".to_owned(),
            (rows, Some(gap)) => format!("none of its {rows} rows gives a key and a name: {gap}"),
            (rows, None) => format!("none of its {rows} rows is wanted by `where`"),
        }
    }
}

/// Whether a table knows nothing.
pub(super) fn is_empty(names: &Names) -> bool {
    names.0.values().all(std::collections::HashMap::is_empty)
}
