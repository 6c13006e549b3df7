//! Finds the tables that name the ids of the deals: requests them at likely addresses, and accepts one only if it
//! contains the ids that were seen.

use std::collections::BTreeSet;

use reqwest::Url;

use crate::sources::probe::question::{Answer, Question};
use crate::sources::probe::records::{Column, Leaf};
use crate::sources::probe::roles::{find, role};
use crate::sources::probe::section::{Line, list, quoted, split_address};
use crate::sources::probe::words::COMPANY_IDS;

/// The most requests for tables.
const MOST: usize = 4;
/// Keys that hold a name in a table of people or things.
const NAMES: [&str; 6] = ["name", "full_name", "display_name", "label", "title", "email"];

/// The tables to try, and those that were found.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    left: Vec<Candidate>,
    pub(super) found: Vec<Table>,
}

/// A table that may contain an id of the deals.
#[derive(Debug, Clone)]
struct Candidate {
    field: &'static str,
    table: String,
    url: Url,
    keys: BTreeSet<String>,
}

/// A table that contains ids of the deals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// The deal's field whose ids it names.
    pub(super) field: &'static str,
    pub(super) name: String,
    path: String,
    records: String,
    key: String,
    value: Vec<String>,
    /// How many of the different ids it contains, and how many there are.
    known: (usize, usize),
}

impl Lookups {
    /// Likely tables beside a list that is read by GET, owners first.
    pub(super) fn new(asked: &Question, columns: &[Column]) -> Self {
        if asked.body.is_some() {
            return Self::default();
        }
        let company = || COMPANY_IDS.iter().find_map(|name| columns.iter().find(|column| column.name == *name));
        let ids = [("owner", role(columns, "owner_id")), ("stage", role(columns, "stage_id")), ("company", company())];
        let mut left = Vec::new();
        for (field, column) in ids {
            let Some(column) = column.filter(|_| role(columns, field).is_none()) else { continue };
            let keys: BTreeSet<String> = column.distinct().into_iter().map(ToOwned::to_owned).collect();
            for table in tables(field, &column.name).into_iter().filter(|_| !keys.is_empty()) {
                let url = beside(&asked.url, &table);
                left.push(Candidate { field, table, url, keys: keys.clone() });
            }
        }
        left.truncate(MOST);
        Self { left, found: Vec::new() }
    }

    /// The request for a table that may be there.
    pub(super) fn question(&self) -> Option<Question> {
        self.left.first().map(|candidate| Question { url: candidate.url.clone(), body: None })
    }

    /// Learns from the answer to the question; `None`: the CRM refused it.
    pub(super) fn learn(&mut self, answer: Option<&Answer>) {
        if self.left.is_empty() {
            return;
        }
        let candidate = self.left.remove(0);
        if let Some(table) = answer.and_then(|answer| candidate.judge(answer)) {
            self.left.retain(|other| other.field != table.field);
            self.found.push(table);
        }
    }
}

impl Candidate {
    /// The table, if it contains at least half of the ids.
    fn judge(&self, answer: &Answer) -> Option<Table> {
        let found = find(&answer.body)?;
        let key = role(&found.columns, "id")?;
        let held: BTreeSet<&str> = key.values.iter().map(Leaf::text).collect();
        let known = self.keys.iter().filter(|id| held.contains(id.as_str())).count();
        let value = names(&found.columns)?;
        (known * 2 >= self.keys.len()).then(|| Table {
            field: self.field,
            name: self.table.clone(),
            path: split_address(&self.url).1,
            records: found.path.clone(),
            key: key.path.clone(),
            value,
            known: (known, self.keys.len()),
        })
    }
}

impl Table {
    /// The lines of its section.
    pub(super) fn lines(&self) -> Vec<Line> {
        let line = |key, value: String| Line::new(key, value, String::new());
        let value = match &self.value[..] {
            [one] => quoted(one),
            several => list(several),
        };
        vec![
            Line::new("path", quoted(&self.path), self.reason()),
            line("records", quoted(&self.records)),
            line("key", quoted(&self.key)),
            line("value", value),
        ]
    }

    pub(super) fn reason(&self) -> String {
        let (known, all) = self.known;
        format!("it names {known} of the {all} ids that were seen")
    }
}

/// The columns that hold a name.
fn names(columns: &[Column]) -> Option<Vec<String>> {
    let named = |name: &str| columns.iter().find(|column| column.name == name && column.is_text());
    if let (Some(first), Some(last)) = (named("first_name"), named("last_name")) {
        return Some(vec![first.path.clone(), last.path.clone()]);
    }
    NAMES.iter().find_map(|name| named(name)).map(|column| vec![column.path.clone()])
}

/// The tables that a key of this name may belong to.
fn tables(field: &str, column: &str) -> Vec<String> {
    match (field, column.trim_end_matches("_id")) {
        ("owner", "owner") => vec!["users".to_owned(), "owners".to_owned()],
        ("owner", _) => vec!["users".to_owned()],
        ("stage", _) => vec!["stages".to_owned()],
        (_, "org") => vec!["organizations".to_owned()],
        (_, "company") => vec!["companies".to_owned()],
        (_, word) => vec![format!("{word}s")],
    }
}

/// The address of a table beside the list: the last path segment is replaced, its slash or extension kept.
fn beside(url: &Url, table: &str) -> Url {
    let (_, last) = split_address(url);
    let end = match last.trim_start_matches('/').split_once('.') {
        Some((_, extension)) => format!(".{extension}"),
        None if last.ends_with('/') => "/".to_owned(),
        None => String::new(),
    };
    let mut beside = url.clone();
    let start = url.path().len() - last.len();
    beside.set_path(&format!("{}/{table}{end}", &url.path()[..start]));
    beside.set_query(None);
    beside
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::{Value, json};

    use super::*;

    fn asked(url: &str) -> Question {
        Question { url: url.parse().unwrap(), body: None }
    }

    fn deals() -> Vec<Column> {
        let deals = json!([{"id": 1, "owner_id": 7, "stage_id": 1, "org_id": 3, "amount": 1},
                           {"id": 2, "owner_id": 8, "stage_id": 2, "org_id": 3, "amount": 2}]);
        find(&deals).unwrap().columns
    }

    /// What is asked, and what is proposed where these are the answers.
    fn tried(mut answers: impl FnMut(&str) -> Option<Value>) -> (Vec<String>, Vec<String>) {
        let mut lookups = Lookups::new(&asked("https://crm.example/v1/deals?a=1"), &deals());
        let mut urls = Vec::new();
        while let Some(question) = lookups.question() {
            let answer = answers(question.url.path());
            urls.push(question.url.to_string());
            let answer = answer.map(|body| Answer { asked: question, headers: HeaderMap::new(), body });
            lookups.learn(answer.as_ref());
        }
        let lines = lookups.found.iter().map(|table| {
            let lines = table.lines().iter().map(|line| line.text(0)).collect::<Vec<_>>().join(", ");
            format!("{}: {lines}", table.name)
        });
        (urls, lines.collect())
    }

    #[test]
    fn a_table_is_asked_for_beside_the_list_and_believed_if_it_knows_the_ids() {
        let (urls, found) = tried(|path| {
            (path == "/v1/users").then(|| json!({"data": [{"id": "7", "firstName": "A", "lastName": "B"}, {"id": 8, "firstName": "C", "lastName": "D"}]}))
        });
        assert_eq!(urls, ["users", "stages", "organizations"].map(|table| format!("https://crm.example/v1/{table}")));
        assert_eq!(
            found,
            [
                "users: path = \"/users\"  # it names 2 of the 2 ids that were seen, records = \"$.data\", key = \"$.id\", value = [\"$.firstName\", \"$.lastName\"]"
            ]
        );
    }

    #[test]
    fn a_list_with_other_ids_or_without_names_is_not_a_table() {
        for body in [
            json!([{"id": 70, "name": "A"}, {"id": 80, "name": "B"}]),
            json!([{"id": 7}, {"id": 8}]),
            json!({"error": "no such thing"}),
        ] {
            let (urls, found) = tried(|_| Some(body.clone()));
            assert_eq!((urls.len(), found.len()), (MOST, 0), "{body}");
        }
    }

    #[test]
    fn the_address_keeps_its_slash_or_extension() {
        for (url, expected) in [
            ("https://crm.example/api/opportunity/", "https://crm.example/api/users/"),
            ("https://crm.example/deals.json?x=1", "https://crm.example/users.json"),
            ("https://crm.example/deals", "https://crm.example/users"),
        ] {
            assert_eq!(beside(&url.parse().unwrap(), "users").as_str(), expected);
        }
    }
}
