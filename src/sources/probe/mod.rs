//! Proposes a `rest` section for a list that nobody has described yet. Guessing happens here, and nowhere else.
//!
//! Pure but for `asking`: it says which request would tell more, learns from the answer, and in the end writes the section with a reason
//! beside each line. The rooms, in the order of the work:
//!
//! 1. `asking`: one request, with its credentials;
//! 2. `records`: which list of the answer holds the deals, and what stands in its columns;
//! 3. `paging` by the `signs` of more pages, each of which is tried before it is believed, and its `sizes`;
//! 4. `fields` by the names in `words`, `dates` and `status`: what the columns may mean;
//! 5. `section`: all of it as TOML.

pub mod asking;
mod dates;
mod fields;
mod paging;
mod records;
mod section;
mod signs;
mod sizes;
mod status;
mod words;

use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::sources::probe::asking::Credentials;
use crate::sources::probe::fields::{Fields, role};
use crate::sources::probe::paging::{Judged, Paging, Seen, Way};
use crate::sources::probe::records::{Found, find};
use crate::sources::probe::section::{Line, Section};
use crate::sources::probe::sizes::Sizes;

/// How many records a page is asked for where the CRM lets itself be asked.
const PAGE: u64 = 100;

/// An answer of the CRM.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was asked, without credentials.
    pub url: Url,
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
}

impl Probe {
    /// Looks at the first answer.
    pub fn new(first: Answer) -> Result<Self, Nothing> {
        let found = find(&first.body).ok_or(Nothing::NoList)?;
        let id = role(&found.columns, "id").ok_or(Nothing::NoId)?;
        let (id, ids) = (id.path.clone(), id.values.iter().map(|leaf| leaf.text().to_owned()).collect());
        let ways = paging::ways(&first, &found);
        let mut probe = Self { first, found, id, ids, ways, paging: None, sizes: None };
        probe.settle();
        Ok(probe)
    }

    /// Which request would tell more; `None` once there is nothing left to ask.
    pub fn question(&self) -> Option<Url> {
        match (&self.sizes, self.ways.first()) {
            (Some(sizes), _) => sizes.question(&self.first.url),
            (None, Some(way)) => way.question(&self.first),
            (None, None) => None,
        }
    }

    /// Takes in the answer to the question; `None` where the CRM refused it.
    pub fn learn(&mut self, answer: Option<&Answer>) {
        if let Some(sizes) = &mut self.sizes {
            sizes.learn(answer.map(|answer| self.found.records(&answer.body).len()));
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
            self.sizes = Some(Sizes::new(&self.first.url, self.found.count, self.paging.as_ref()));
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

    /// The section, for a source of this name.
    pub fn section(&self, name: &str, credentials: &Credentials) -> String {
        let fields = Fields::of(&self.found.columns);
        let mut section = Section::new(name, &self.first.url, self.found.count);
        section.table("auth", section::auth(credentials));
        let paging = self.paging.as_ref();
        section.table("request", self.request(paging));
        section.table("paging", paging::lines(paging, self.sizes.as_ref(), &self.first, &self.found));
        section.table("records", vec![Line::new("path", section::quoted(&self.found.path), self.found.reason())]);
        section.table("fields", fields.lines());
        section.table("status", status::lines(&self.found.columns));
        section.text()
    }

    fn request(&self, paging: Option<&Paging>) -> Vec<Line> {
        let (_, path) = section::split_address(&self.first.url);
        let mut lines = vec![Line::new("path", section::quoted(&path), String::new())];
        let size = self.sizes.as_ref().and_then(Sizes::chosen);
        let own = [paging.and_then(Paging::param), size.map(|(param, _)| param)];
        let mut query: Vec<(String, String)> = self.first.url.query_pairs().into_owned().collect();
        query.retain(|(key, _)| !own.contains(&Some(key.as_str())));
        if !query.is_empty() {
            lines.push(Line::new("query", section::query(&query), String::new()));
        }
        if paging.is_some_and(Paging::is_counted) {
            let why = "deals move between pages while they are read unless the list is sorted by id";
            lines.push(Line::asleep("query", "{ sort = \"id\" }".to_owned(), format!("as this CRM calls it: {why}")));
        }
        lines
    }
}
