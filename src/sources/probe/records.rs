//! The lists of an answer, and the columns of their records.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::sources::probe::words::{ENVELOPES, normal};

/// The deepest level that is searched for lists and columns.
const DEEPEST: usize = 4;
/// The most records that are inspected.
const MOST: usize = 500;
/// The longest sample that is shown, in characters.
const SAMPLE: usize = 32;

/// A list of records.
#[derive(Debug)]
pub(super) struct Found {
    /// Its path, as a `rest` section has it.
    pub(super) path: String,
    pub(super) count: usize,
    pub(super) columns: Vec<Column>,
    /// The keys down to the list.
    keys: Vec<String>,
    /// The key of the record in each item.
    wrapper: Option<String>,
}

/// One path through all records.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// As a `rest` section has it.
    pub(super) path: String,
    /// Normalized like the names in `words`.
    pub(super) name: String,
    /// The values that are present and not null.
    pub(super) values: Vec<Leaf>,
    pub(super) records: usize,
}

/// A single value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leaf {
    Text(String),
    Number(String),
    Bool(bool),
}

impl Leaf {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Number(number) => Some(Self::Number(number.to_string())),
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
        }
    }
}

impl Column {
    /// The values that are not blank.
    pub(super) fn non_blank(&self) -> impl Iterator<Item = &Leaf> {
        self.values.iter().filter(|leaf| !leaf.text().trim().is_empty())
    }

    /// Whether it has values and all of them pass the test.
    pub(super) fn is_all(&self, test: impl Fn(&Leaf) -> bool) -> bool {
        self.non_blank().next().is_some() && self.non_blank().all(test)
    }

    /// The same with texts in place of its values.
    pub(super) fn mapped(&self, text: impl Fn(&str) -> String) -> Self {
        let values = self.values.iter().map(|leaf| Leaf::Text(text(leaf.text()))).collect();
        Self { values, ..self.clone() }
    }

    /// Whether all its values are text.
    pub(super) fn is_text(&self) -> bool {
        self.is_all(|leaf| matches!(leaf, Leaf::Text(_)))
    }

    /// The different values, in order.
    pub(super) fn distinct(&self) -> BTreeSet<&str> {
        self.non_blank().map(Leaf::text).collect()
    }

    /// Whether each record has a different value.
    pub(super) fn is_unique(&self) -> bool {
        self.values.len() == self.records && self.distinct().len() == self.records
    }

    /// How many records have a value, and an example.
    pub(super) fn reason(&self) -> String {
        let told = self.non_blank().count();
        match self.non_blank().next() {
            Some(leaf) => format!("in {told} of {}, such as {}", self.records, shown(leaf.text())),
            None => format!("in none of {}", self.records),
        }
    }
}

/// A value, cut to the length of a sample.
pub(super) fn shown(text: &str) -> String {
    if text.chars().count() > SAMPLE { text.chars().take(SAMPLE - 1).chain(['…']).collect() } else { text.to_owned() }
}

/// Every list of objects in an answer, in order.
pub(super) fn lists(body: &Value) -> Vec<Found> {
    let mut lists = Vec::new();
    gather(body, &mut Vec::new(), &mut lists);
    lists.into_iter().filter_map(|(keys, list)| describe(keys, list)).collect()
}

fn gather<'a>(value: &'a Value, keys: &mut Vec<String>, lists: &mut Vec<(Vec<String>, &'a Vec<Value>)>) {
    match value {
        Value::Array(list) => lists.push((keys.clone(), list)),
        Value::Object(members) if keys.len() < DEEPEST => {
            for (key, value) in members {
                keys.push(key.clone());
                gather(value, keys, lists);
                keys.pop();
            }
        }
        _ => {}
    }
}

fn describe(keys: Vec<String>, list: &[Value]) -> Option<Found> {
    if list.is_empty() || !list.iter().all(Value::is_object) {
        return None;
    }
    let wrapper = ENVELOPES
        .iter()
        .map(|key| (*key).to_owned())
        .find(|key| list.iter().all(|item| item[key.as_str()].is_object() && item.get("id").is_none()));
    let each = wrapper.as_deref().map(|wrapper| format!("[*]{}", step(wrapper))).unwrap_or_default();
    let path = path_of(&keys) + &each;
    let mut found = Found { path, count: list.len(), columns: Vec::new(), keys, wrapper };
    let records: Vec<&Value> = list.iter().take(MOST).map(|item| found.unwrap(item)).collect();
    found.columns = columns(&records);
    Some(found)
}

impl Found {
    fn unwrap<'a>(&self, item: &'a Value) -> &'a Value {
        self.wrapper.as_ref().map_or(item, |wrapper| &item[wrapper.as_str()])
    }

    /// The records at the same place of another answer.
    pub(super) fn records<'a>(&self, body: &'a Value) -> Vec<&'a Value> {
        let list = self.keys.iter().fold(body, |value, key| &value[key.as_str()]);
        list.as_array().map(|list| list.iter().map(|item| self.unwrap(item)).collect()).unwrap_or_default()
    }

    /// The values at a path of another answer's records; `None` if it has no such list.
    pub(super) fn column(&self, body: &Value, path: &str) -> Option<Vec<String>> {
        let list = self.keys.iter().try_fold(body, |value, key| value.get(key))?;
        let records: Vec<&Value> = list.as_array()?.iter().map(|item| self.unwrap(item)).collect();
        let column = columns(&records).into_iter().find(|column| column.path == path);
        let values = column.map(|column| column.values.iter().map(|leaf| leaf.text().to_owned()).collect());
        Some(values.unwrap_or_default())
    }

    /// Whether a path of the answer leads into the list.
    pub(super) fn is_inside(&self, keys: &[String]) -> bool {
        keys.starts_with(&self.keys) && (!self.keys.is_empty() || keys.is_empty())
    }

    pub(super) fn reason(&self) -> String {
        format!("{} objects that look like deals", self.count)
    }
}

/// Every path through the records, in order.
fn columns(records: &[&Value]) -> Vec<Column> {
    let mut columns: BTreeMap<String, Column> = BTreeMap::new();
    for record in records {
        let mut leaves = Vec::new();
        leaves_of(record, &mut Place::default(), &mut leaves);
        for (place, leaf) in leaves {
            let column = columns.entry(place.path.clone()).or_insert_with(|| Column {
                path: format!("${}", place.path),
                name: place.name,
                values: Vec::new(),
                records: records.len(),
            });
            column.values.push(leaf);
        }
    }
    columns.into_values().collect()
}

/// The place of a value in its record, as a path and as a name.
#[derive(Debug, Clone, Default)]
struct Place {
    path: String,
    name: String,
    depth: usize,
}

impl Place {
    fn below(&self, key: &str) -> Self {
        let word = normal(key);
        let wraps = self.name.is_empty() && ENVELOPES.contains(&word.as_str());
        let name = match (wraps, self.name.as_str()) {
            (true, _) => String::new(),
            (false, "") => word,
            (false, above) => format!("{above}.{word}"),
        };
        Self { path: format!("{}{}", self.path, step(key)), name, depth: self.depth + 1 }
    }

    fn item(&self, index: usize) -> Self {
        let path = format!("{}[{index}]", self.path);
        Self { path, name: format!("{}[{index}]", self.name), depth: self.depth + 1 }
    }
}

fn leaves_of(value: &Value, place: &mut Place, leaves: &mut Vec<(Place, Leaf)>) {
    match value {
        Value::Object(members) if place.depth < DEEPEST => {
            for (key, value) in members {
                leaves_of(value, &mut place.below(key), leaves);
            }
        }
        // A key and its name, as Odoo sends them; a list of versions, as Attio does.
        Value::Array(items) if items.len() == 2 && items[0].is_number() && items[1].is_string() => {
            for (index, item) in items.iter().enumerate() {
                leaves_of(item, &mut place.item(index), leaves);
            }
        }
        Value::Array(items) if items.first().is_some_and(Value::is_object) && place.depth < DEEPEST => {
            leaves_of(&items[0], &mut place.item(0), leaves);
        }
        _ => leaves.extend(Leaf::of(value).map(|leaf| (place.clone(), leaf))),
    }
}

/// Keys as a path.
pub(super) fn path_of(keys: &[String]) -> String {
    keys.iter().fold("$".to_owned(), |path, key| path + &step(key))
}

/// One step of a path: `.name`, or `['any name']`.
fn step(key: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || character == '_' || !character.is_ascii();
    let starts_well = key.chars().next().is_some_and(|first| !first.is_ascii_digit());
    if starts_well && key.chars().all(is_plain) {
        format!(".{key}")
    } else {
        let json = Value::from(key).to_string();
        format!("['{}']", json[1..json.len() - 1].replace("\\\"", "\"").replace('\'', "\\'"))
    }
}
