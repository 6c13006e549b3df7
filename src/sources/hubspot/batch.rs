//! Records by their ids, a batch at once: each is found, or reported missing, or answers under another id.
//!
//! 200 or 207 with the same shape, depending on the family of paths (contract §1, §3.3).

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::sources::hubspot::client::Client;
use crate::sources::source::SourceError;
use crate::sources::wire::{Id, text};

/// The most records of one batch.
pub(super) const AT_ONCE: usize = 100;

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    /// The batch's path.
    pub(super) path: &'a str,
    /// The properties of each record.
    pub(super) properties: &'a [&'a str],
    /// Those in the recycle bin instead of the others.
    pub(super) archived: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    inputs: Vec<Input<'a>>,
    properties: &'a [&'a str],
    properties_with_history: [&'static str; 0],
}

#[derive(Serialize)]
struct Input<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    results: Vec<Record>,
    #[serde(default)]
    errors: Vec<Missing>,
}

/// A record that was found.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    /// Its id: another one than was asked for where two were merged.
    pub(super) id: Id,
    #[serde(default)]
    properties: HashMap<String, Box<RawValue>>,
}

impl Record {
    /// A property's text; nothing where it has none.
    pub(super) fn property(&self, name: &str) -> Option<String> {
        self.properties.get(name).and_then(|value| text(value).ok().flatten())
    }
}

#[derive(Deserialize)]
struct Missing {
    category: Option<String>,
    #[serde(default)]
    context: Context,
}

#[derive(Default, Deserialize)]
struct Context {
    #[serde(default)]
    ids: Vec<Id>,
}

/// What came of a batch.
#[derive(Debug)]
pub(super) struct Found {
    /// The records, in no order.
    pub(super) records: Vec<Record>,
    /// The ids that were neither found nor reported missing: a record that was merged answers under the other's id, and
    /// nothing says whose answer it is.
    pub(super) silent: Vec<String>,
}

/// Reads at most [`AT_ONCE`] records.
pub(super) async fn read(client: &Client, wish: Wish<'_>, ids: &BTreeSet<String>) -> Result<Found, SourceError> {
    let inputs = ids.iter().map(|id| Input { id }).collect();
    let question = Question { inputs, properties: wish.properties, properties_with_history: [] };
    let query: &[(&str, &str)] = if wish.archived { &[("archived", "true")] } else { &[] };
    client.post_with::<Answer>(wish.path, query, &question).await?.into_found(ids)
}

impl Answer {
    fn into_found(self, asked: &BTreeSet<String>) -> Result<Found, SourceError> {
        if self.status != "COMPLETE" {
            return Err(SourceError::Cut("the batch is not complete".to_owned()));
        }
        let mut silent = asked.clone();
        for missing in &self.errors {
            if missing.category.as_deref() != Some("OBJECT_NOT_FOUND") {
                return Err(SourceError::Malformed("the batch has an error of its own".to_owned()));
            }
            for id in &missing.context.ids {
                silent.remove(&id.0);
            }
        }
        for record in &self.results {
            silent.remove(&record.id.0);
        }
        Ok(Found { records: self.results, silent: silent.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str, ids: &[&str]) -> Result<Found, SourceError> {
        let asked = ids.iter().map(|id| (*id).to_owned()).collect();
        serde_json::from_str::<Answer>(json).unwrap().into_found(&asked)
    }

    const ANSWER: &str = r#"{"status": "COMPLETE", "results": [
            {"id": "1", "properties": {"name": "Nordwind GmbH", "domain": null}}, {"id": 7, "properties": {}}],
        "numErrors": 1, "errors": [{"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": ["4"]}}]}"#;

    #[test]
    fn each_id_is_found_or_missing_or_silent() {
        let found = found(ANSWER, &["1", "4", "5"]).unwrap();
        let ids: Vec<&str> = found.records.iter().map(|record| record.id.0.as_str()).collect();
        assert_eq!((ids, found.silent), (vec!["1", "7"], vec!["5".to_owned()]), "it may have been merged into the 7");
        assert_eq!(found.records[0].property("name").as_deref(), Some("Nordwind GmbH"));
        assert_eq!((found.records[0].property("domain"), found.records[0].property("other")), (None, None));
    }

    #[test]
    fn a_batch_that_is_not_complete_or_has_an_error_of_its_own_is_a_failure() {
        assert!(found(r#"{"status": "PENDING", "results": []}"#, &[]).unwrap_err().is_transient());
        let other = ANSWER.replace("OBJECT_NOT_FOUND", "RATE_LIMITS");
        assert!(matches!(found(&other, &["1"]), Err(SourceError::Malformed(_))));
    }
}
