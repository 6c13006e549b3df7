//! What is known of a list so far: which request would tell more, and the section that is proposed in the end.

use serde_json::Value;

use crate::http;
use crate::redact::Redactor;
use crate::sources::probe::asking::Credentials;
use crate::sources::probe::fields::Fields;
use crate::sources::probe::lookups::Lookups;
use crate::sources::probe::paging::{Candidate, Compared, Paging, Verdict};
use crate::sources::probe::question::{Answer, Question};
use crate::sources::probe::records::Found;
use crate::sources::probe::roles::{find, role};
use crate::sources::probe::section::{Line, Section};
use crate::sources::probe::sizes::Sizes;
use crate::sources::probe::totals::Totals;
use crate::sources::probe::{paging, section, status};

/// Why there is nothing to propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoProposal {
    /// No list of objects.
    #[error("the answer contains no list of records: use the address that lists the deals")]
    NoList,
    /// A list without records, and no other.
    #[error("the answer contains an empty list: probe again when the CRM has deals, or use an address without filters")]
    Empty,
    /// An object whose members are the records, perhaps below some keys.
    #[error(
        "the answer holds an object of records, which a rest source cannot read: look for an address that answers \
         with a list"
    )]
    Keyed,
    /// A list of objects without a field that could be an id.
    #[error("no field of the records looks like an id: present in every record and different in each")]
    NoId,
}

impl NoProposal {
    /// Why no list was found in it.
    fn of(body: &Value) -> Self {
        let inside: Vec<&Value> = match body {
            Value::Object(members) => members.values().collect(),
            _ => Vec::new(),
        };
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        let is_keyed = |value: &Value| {
            let records = value.as_object().filter(|records| !records.is_empty());
            records.is_some_and(|records| records.values().all(Value::is_object))
        };
        let is_any = |test: &dyn Fn(&Value) -> bool| test(body) || inside.iter().any(|value| test(value));
        if is_any(&is_empty) {
            Self::Empty
        } else if is_any(&is_keyed) {
            Self::Keyed
        } else {
            Self::NoList
        }
    }
}

/// Collects what is known about a list; says which request would tell more.
pub struct Probe {
    first: Answer,
    found: Found,
    id: String,
    ids: Vec<String>,
    candidates: Vec<Candidate>,
    paging: Option<Paging>,
    sizes: Option<Sizes>,
    totals: Totals,
    lookups: Lookups,
    redactor: Redactor,
}

impl Probe {
    /// Inspects the first answer. Values that the redactor hides never reach the section.
    pub fn new(first: Answer, redactor: Redactor) -> Result<Self, NoProposal> {
        let found = find(&redactor.value(&first.body)).ok_or_else(|| NoProposal::of(&first.body))?;
        let id = role(&found.columns, "id").ok_or(NoProposal::NoId)?;
        let (id, ids) = (id.path.clone(), id.values.iter().map(|leaf| leaf.text().to_owned()).collect());
        let candidates = paging::candidates(&first, &found);
        let totals = Totals::of(&first, &found);
        let lookups = Lookups::new(&first.asked, &found.columns);
        let mut probe =
            Self { first, found, id, ids, candidates, paging: None, sizes: None, totals, lookups, redactor };
        probe.settle();
        Ok(probe)
    }

    /// Which request would tell more; `None` once there is nothing left to ask.
    pub fn question(&self) -> Option<Question> {
        match (&self.sizes, self.candidates.first()) {
            (Some(sizes), _) => sizes.question(&self.first.asked).or_else(|| self.lookups.question()),
            (None, Some(candidate)) => candidate.question(&self.first),
            (None, None) => None,
        }
    }

    /// Learns from the answer to the question; `None`: the CRM refused it.
    pub fn learn(&mut self, answer: Option<&Answer>) {
        if let Some(sizes) = &mut self.sizes {
            if sizes.question(&self.first.asked).is_some() {
                let is_found = sizes.learn(answer.map(|answer| self.found.records(&answer.body).len()));
                if let Some(answer) = answer.filter(|_| is_found) {
                    self.totals.learn(answer, &self.found);
                }
            } else {
                self.lookups.learn(answer);
            }
            return;
        }
        let seen = answer.map_or(Compared::Refused, |answer| self.compare(answer));
        let Some(candidate) = self.candidates.first_mut() else { return };
        match candidate.judge(seen) {
            Verdict::AskAgain => return,
            Verdict::No => {
                self.candidates.remove(0);
            }
            Verdict::Yes(paging) => {
                if let Some(answer) = answer {
                    self.totals.learn(answer, &self.found);
                }
                self.paging = Some(paging);
                self.candidates.clear();
            }
        }
        self.settle();
    }

    /// Continues with the sizes once no candidate is left to test. A candidate that cannot be tested is still proposed:
    /// a wrong one fails loudly, and none at all would lose deals in silence.
    fn settle(&mut self) {
        if let Some(candidate) = self.candidates.first().filter(|candidate| candidate.question(&self.first).is_none()) {
            self.paging = Some(candidate.unproven());
            self.candidates.clear();
        }
        if self.candidates.is_empty() {
            self.sizes = Some(Sizes::new(&self.first.asked, self.found.count, self.paging.is_some()));
        }
    }

    /// Compares another answer's records with those of the first.
    fn compare(&self, answer: &Answer) -> Compared {
        let ids = self.found.column(&self.redactor.value(&answer.body), &self.id);
        match ids {
            None => Compared::Refused,
            Some(ids) if ids.is_empty() => Compared::Empty,
            Some(ids) if ids.iter().all(|id| !self.ids.contains(id)) => Compared::Others,
            Some(ids) if ids.first() == self.ids.get(1) => Compared::ShiftedByOne,
            Some(ids) if ids.first() == self.ids.first() => Compared::Same,
            Some(_) => Compared::Mixed,
        }
    }

    /// The finished section as TOML.
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
            lines.push(Line::question("query", "{ sort = \"id\" }".to_owned(), format!("as this CRM calls it: {why}")));
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
            (json!({"data": []}), NoProposal::Empty),
            (json!([]), NoProposal::Empty),
            (json!({"data": {"7": {"name": "A"}, "8": {"name": "B"}}, "total": 2}), NoProposal::Keyed),
            (json!({"7": {"name": "A"}}), NoProposal::Keyed),
            (json!({"data": {}, "error": "none"}), NoProposal::NoList),
            (json!("a"), NoProposal::NoList),
        ] {
            assert_eq!(NoProposal::of(&body), nothing, "{body}");
        }
    }
}
