//! Proposes a `rest` section for a list that nobody has described yet. Guessing happens here, and nowhere else.
//!
//! Pure but for `asking`: it says which request would tell more, learns from the answer, and in the end writes the section with a reason
//! beside each line. The rooms, in the order of the work:
//!
//! 1. `asking`: one `question`, with its credentials;
//! 2. `records`: which list of the answer holds the deals, and what stands in its columns;
//! 3. `paging` by the `signs` of more pages, each of which is tried before it is believed, its `sizes` and `totals`;
//! 4. `fields` by the names in `words`, `dates` and `status`: what the columns may mean, and `lookups`: which tables
//!    name their ids;
//! 5. `section`: all of it as TOML.

pub mod asking;
mod dates;
mod fields;
mod lookups;
mod paging;
pub mod question;
mod records;
mod section;
mod signs;
mod sizes;
mod status;
mod totals;
mod words;

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::http;
use crate::redact::Redactor;
use crate::sources::probe::asking::Credentials;
use crate::sources::probe::fields::{Fields, role};
use crate::sources::probe::lookups::Lookups;
use crate::sources::probe::paging::{Judged, Paging, Seen, Way};
use crate::sources::probe::question::Question;
use crate::sources::probe::records::{Found, find};
use crate::sources::probe::section::{Line, Section};
use crate::sources::probe::sizes::Sizes;
use crate::sources::probe::totals::Totals;

/// How many records a page is asked for where the CRM lets itself be asked.
const PAGE: u64 = 100;

/// An answer of the CRM.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was asked.
    pub asked: Question,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its JSON.
    pub body: Value,
}

/// Why there is nothing to propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    /// No list of objects.
    #[error("the answer holds no list of records: give the address that lists the deals")]
    NoList,
    /// A list without records, and no other.
    #[error("the answer holds an empty list: probe once the CRM has deals, or an address that leaves none out")]
    Empty,
    /// An object whose members are the records, perhaps below some keys.
    #[error(
        "the answer holds no list, but an object of records: write the section by hand, with `keyed = true` under \
         `records` and `id = \"$key\"` under `fields` (docs/rest.md)"
    )]
    Keyed,
    /// A list of objects none of whose values could be an id.
    #[error("no value of the records is there in all of them and different in each, as an id is")]
    NoId,
}

impl Nothing {
    /// Why no list was found in it.
    fn of(body: &Value) -> Self {
        let inside: Vec<&Value> = match body {
            Value::Object(members) => members.values().collect(),
            _ => Vec::new(),
        };
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        let is_keyed = |value: &Value| {
            let records = value.as_object().filter(|records| !records.is_empty());
            records.is_some_and(|records| records.values().all(serde_json::Value::is_object))
        };
        let is_any = |test: &dyn Fn(&Value) -> bool| test(body) || inside.iter().any(|value| test(value));
        match () {
            () if is_any(&is_empty) => Self::Empty,
            () if is_any(&is_keyed) => Self::Keyed,
            () => Self::NoList,
        }
    }
}

/// What is known of a list so far.
pub struct Probe {
    first: Answer,
    found: Found,
    id: String,
    ids: Vec<String>,
    ways: Vec<Way>,
    paging: Option<Paging>,
    sizes: Option<Sizes>,
    totals: Totals,
    lookups: Lookups,
    redactor: Redactor,
}

impl Probe {
    /// Looks at the first answer. What the redactor hides of its records is in no line of the section.
    pub fn new(first: Answer, redactor: Redactor) -> Result<Self, Nothing> {
        let found = find(&redactor.value(&first.body)).ok_or_else(|| Nothing::of(&first.body))?;
        let id = role(&found.columns, "id").ok_or(Nothing::NoId)?;
        let (id, ids) = (id.path.clone(), id.values.iter().map(|leaf| leaf.text().to_owned()).collect());
        let ways = paging::ways(&first, &found);
        let totals = Totals::of(&first, &found);
        let lookups = Lookups::new(&first.asked, &found.columns);
        let mut probe = Self { first, found, id, ids, ways, paging: None, sizes: None, totals, lookups, redactor };
        probe.settle();
        Ok(probe)
    }

    /// Which request would tell more; `None` once there is nothing left to ask.
    pub fn question(&self) -> Option<Question> {
        match (&self.sizes, self.ways.first()) {
            (Some(sizes), _) => sizes.question(&self.first.asked).or_else(|| self.lookups.question()),
            (None, Some(way)) => way.question(&self.first),
            (None, None) => None,
        }
    }

    /// Takes in the answer to the question; `None` where the CRM refused it.
    pub fn learn(&mut self, answer: Option<&Answer>) {
        if let Some(sizes) = &mut self.sizes {
            if sizes.question(&self.first.asked).is_some() {
                let is_found = sizes.learn(answer.map(|answer| self.found.records(&answer.body).len()));
                answer.filter(|_| is_found).into_iter().for_each(|answer| self.totals.learn(answer, &self.found));
            } else {
                self.lookups.learn(answer);
            }
            return;
        }
        let seen = answer.map_or(Seen::Refused, |answer| self.compare(answer));
        let Some(way) = self.ways.first_mut() else { return };
        match way.judge(seen) {
            Judged::GoOn => return,
            Judged::No => {
                self.ways.remove(0);
            }
            Judged::Yes(paging) => {
                if let Some(answer) = answer {
                    self.totals.learn(answer, &self.found);
                }
                self.paging = Some(paging);
                self.ways.clear();
            }
        }
        self.settle();
    }

    /// Goes on to the sizes once no way is left to try. A way that cannot be tried fails loudly if it is wrong, and
    /// none at all would lose deals in silence.
    fn settle(&mut self) {
        if let Some(way) = self.ways.first().filter(|way| way.question(&self.first).is_none()) {
            self.paging = Some(way.unproven());
            self.ways.clear();
        }
        if self.ways.is_empty() {
            self.sizes = Some(Sizes::new(&self.first.asked, self.found.count, self.paging.as_ref()));
        }
    }

    /// How another answer's records stand to those of the first.
    fn compare(&self, answer: &Answer) -> Seen {
        let ids = self.found.column(&self.redactor.value(&answer.body), &self.id);
        match ids {
            None => Seen::Refused,
            Some(ids) if ids.is_empty() => Seen::Empty,
            Some(ids) if ids.iter().all(|id| !self.ids.contains(id)) => Seen::Others,
            Some(ids) if ids.first() == self.ids.get(1) => Seen::OneFurther,
            Some(ids) if ids.first() == self.ids.first() => Seen::Same,
            Some(_) => Seen::Mixed,
        }
    }

    /// The section, for a source of this name that is asked in this way.
    pub fn section(&self, name: &str, credentials: &Credentials, settings: &http::Settings) -> String {
        let fields = Fields::of(&self.found.columns, &self.lookups.found);
        let mut section = Section::new(name, &self.first.asked.url, self.found.count, settings);
        section.table("auth", section::auth(credentials));
        let paging = self.paging.as_ref();
        section.table("request", self.request(paging));
        section.table("paging", self.paging_lines());
        section.table("records", vec![Line::new("path", section::quoted(&self.found.path), self.found.reason())]);
        if self.first.asked.is_graphql() {
            section.table("success", section::without_errors());
        }
        section.table("fields", fields.lines());
        for table in &self.lookups.found {
            section.table(&format!("lookup.{}", table.name), table.lines());
        }
        section.table("status", status::lines(&self.found.columns));
        section.text()
    }

    fn paging_lines(&self) -> Vec<Line> {
        paging::lines(self.paging.as_ref(), self.sizes.as_ref(), &self.totals, &self.first, &self.found)
    }

    fn request(&self, paging: Option<&Paging>) -> Vec<Line> {
        let (_, path) = section::split_address(&self.first.asked.url);
        let mut lines = vec![Line::new("path", section::quoted(&path), String::new())];
        let size = self.sizes.as_ref().and_then(Sizes::chosen);
        let own: Vec<&str> =
            [paging.and_then(Paging::param), size.map(|(param, _)| param)].into_iter().flatten().collect();
        let Question { url, body } = self.first.asked.without(&own);
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        if !query.is_empty() {
            lines.push(Line::new("query", section::query(&query), String::new()));
        }
        if let Some(body) = body {
            lines.insert(0, Line::new("method", "\"POST\"".to_owned(), String::new()));
            lines.push(Line::new("body", section::json(&body.into()), String::new()));
        }
        if paging.is_some_and(Paging::is_counted) && self.first.asked.body.is_none() {
            let why = "deals move between pages while they are read unless the list is sorted by id";
            lines.push(Line::asleep("query", "{ sort = \"id\" }".to_owned(), format!("as this CRM calls it: {why}")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_no_list_is_found_it_is_said_what_there_is() {
        for (body, nothing) in [
            (json!({"data": []}), Nothing::Empty),
            (json!([]), Nothing::Empty),
            (json!({"data": {"7": {"name": "A"}, "8": {"name": "B"}}, "total": 2}), Nothing::Keyed),
            (json!({"7": {"name": "A"}}), Nothing::Keyed),
            (json!({"data": {}, "error": "none"}), Nothing::NoList),
            (json!("a"), Nothing::NoList),
        ] {
            assert_eq!(Nothing::of(&body), nothing, "{body}");
        }
    }
}
