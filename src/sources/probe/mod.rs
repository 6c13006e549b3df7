//! Proposes a `rest` section for a list that nobody has described yet. Guessing happens here, and nowhere else.
//!
//! Pure but for `asking`: it says which request would tell more, learns from the answer, and in the end writes the section with a reason
//! beside each line. The rooms, in the order of the work:
//!
//! 1. `asking`: one `question`, with its credentials;
//! 2. `records`: which list of the answer holds the deals, and what stands in its columns;
//! 3. `paging` by the `signs` of more pages, each of which is tried before it is believed, and its `sizes`;
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
mod words;

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::http;
use crate::sources::probe::asking::Credentials;
use crate::sources::probe::fields::{Fields, role};
use crate::sources::probe::lookups::Lookups;
use crate::sources::probe::paging::{Judged, Paging, Seen, Way};
use crate::sources::probe::question::Question;
use crate::sources::probe::records::{Found, find};
use crate::sources::probe::section::{Line, Section};
use crate::sources::probe::sizes::Sizes;

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
    #[error("the answer holds no list of records")]
    NoList,
    /// A list of objects none of whose values could be an id.
    #[error("no value of the records is there in all of them and different in each, as an id is")]
    NoId,
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
    lookups: Lookups,
}

impl Probe {
    /// Looks at the first answer.
    pub fn new(first: Answer) -> Result<Self, Nothing> {
        let found = find(&first.body).ok_or(Nothing::NoList)?;
        let id = role(&found.columns, "id").ok_or(Nothing::NoId)?;
        let (id, ids) = (id.path.clone(), id.values.iter().map(|leaf| leaf.text().to_owned()).collect());
        let ways = paging::ways(&first, &found);
        let lookups = Lookups::new(&first.asked, &found.columns);
        let mut probe = Self { first, found, id, ids, ways, paging: None, sizes: None, lookups };
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
                sizes.learn(answer.map(|answer| self.found.records(&answer.body).len()));
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
        let ids = self.found.column(&answer.body, &self.id);
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
        section.table("paging", paging::lines(paging, self.sizes.as_ref(), &self.first, &self.found));
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
