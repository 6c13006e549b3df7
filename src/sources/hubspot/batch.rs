//! Many ids in one question: each is found, or reported missing, or, where it was merged, answers under another id.
//!
//! 200 or 207 with the same shape, depending on the family of paths.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::sources::hubspot::client::Client;
use crate::sources::hubspot::wire::Number;
use crate::sources::source::SourceError;
use crate::sources::wire::{Id, said};

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

/// The question of a batch; one for associations names no properties.
#[derive(Serialize)]
pub(super) struct Question<'a> {
    pub(super) inputs: &'a [Input],
    #[serde(flatten)]
    pub(super) properties: Option<Properties<'a>>,
}

/// One id, and where to go on with it.
#[derive(Debug, Serialize)]
pub(super) struct Input {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
}

/// The properties of each record.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Properties<'a> {
    properties: &'a [&'a str],
    properties_with_history: [&'static str; 0],
}

/// The answer of a batch: its results unread, so that one that cannot be read loses no other.
#[derive(Deserialize)]
pub(super) struct Answer {
    status: String,
    results: Vec<Box<RawValue>>,
    errors: Option<Vec<Missing>>,
}

/// A record that was found.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    /// Its id: another one than was asked for where two were merged.
    pub(super) id: Number,
    properties: Option<HashMap<String, Box<RawValue>>>,
}

impl Record {
    /// A property's text; nothing where it has none.
    pub(super) fn property(&self, name: &str) -> Option<String> {
        said(self.properties.as_ref()?.get(name).map(AsRef::as_ref))
    }
}

/// An id that has no answer is an "error" of the batch, and no failure.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Missing {
    category: Option<String>,
    sub_category: Option<String>,
    context: Option<Context>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    ids: Option<Vec<Id>>,
    from_object_id: Option<Vec<Id>>,
}

impl Missing {
    /// Whether there merely is nothing to answer: the record is gone by now, or has no company.
    fn is_none(&self) -> bool {
        match &self.sub_category {
            Some(word) => word.ends_with("NO_ASSOCIATIONS_FOUND") || word.ends_with("NOT_FOUND"),
            None => self.category.as_deref() == Some("OBJECT_NOT_FOUND"),
        }
    }
}

/// What came of a batch.
#[derive(Debug)]
pub(super) struct Found {
    /// The records, in no order.
    pub(super) records: Vec<Record>,
    /// The ids that were neither found nor reported missing: a record that was merged answers under the other's id, and
    /// nothing says whose answer it is.
    pub(super) silent: BTreeSet<String>,
}

/// Reads at most [`AT_ONCE`] records.
pub(super) async fn read(client: &Client, wish: Wish<'_>, ids: &BTreeSet<String>) -> Result<Found, SourceError> {
    let inputs: Vec<Input> = ids.iter().map(|id| Input { id: id.clone(), after: None }).collect();
    let properties = Properties { properties: wish.properties, properties_with_history: [] };
    let question = Question { inputs: &inputs, properties: Some(properties) };
    let query: &[(&str, &str)] = if wish.archived { &[("archived", "true")] } else { &[] };
    client.post_with::<Answer>(wish.path, query, &question).await?.into_found(ids)
}

impl Answer {
    /// The results, and the ids that are reported missing. Any other error is the batch's own, and a failure.
    pub(super) fn open(self) -> Result<(Vec<Box<RawValue>>, Vec<String>), SourceError> {
        if self.status != "COMPLETE" {
            return Err(SourceError::Cut("the batch is not complete".to_owned()));
        }
        let errors = self.errors.unwrap_or_default();
        if !errors.iter().all(Missing::is_none) {
            return Err(SourceError::Malformed("the batch itself has an error".to_owned()));
        }
        let contexts = errors.into_iter().filter_map(|missing| missing.context);
        let ids = contexts.flat_map(|context| [context.ids, context.from_object_id]).flatten().flatten();
        Ok((self.results, ids.map(|id| id.0).collect()))
    }

    fn into_found(self, asked: &BTreeSet<String>) -> Result<Found, SourceError> {
        let (results, missing) = self.open()?;
        let read = results.into_iter().filter_map(|json| serde_json::from_str::<Record>(json.get()).ok());
        let records: Vec<Record> = read.collect();
        let told: BTreeSet<&String> = records.iter().map(|record| &record.id.0).chain(&missing).collect();
        let silent = asked.iter().filter(|id| !told.contains(id)).cloned().collect();
        Ok(Found { records, silent })
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
        assert_eq!(
            (ids, found.silent),
            (vec!["1", "7"], ["5".to_owned()].into()),
            "it may have been merged into the 7"
        );
        assert_eq!(found.records[0].property("name").as_deref(), Some("Nordwind GmbH"));
        assert_eq!((found.records[0].property("domain"), found.records[0].property("other")), (None, None));
    }

    #[test]
    fn an_odd_record_costs_its_own_name_and_no_other() {
        let odd = r#"{"status": "COMPLETE", "results": [null, {"id": "1", "properties": null}, {"id": "x"},
            {"id": "2", "properties": {"name": "Two"}}],
            "errors": [{"category": "OBJECT_NOT_FOUND", "context": null}, {"subCategory": "crm.NOT_FOUND", "context": {"ids": null}}]}"#;
        let found = found(odd, &["1", "2", "3"]).unwrap();
        let names: Vec<Option<String>> = found.records.iter().map(|record| record.property("name")).collect();
        assert_eq!((names, found.silent), (vec![None, Some("Two".to_owned())], ["3".to_owned()].into()));
    }

    #[test]
    fn a_batch_that_is_not_complete_or_reports_an_error_is_a_failure() {
        assert!(found(r#"{"status": "PENDING", "results": []}"#, &[]).unwrap_err().is_transient());
        let other = ANSWER.replace("OBJECT_NOT_FOUND", "RATE_LIMITS");
        assert!(found(r#"{"status": "COMPLETE", "results": [], "errors": null}"#, &[]).is_ok());
        assert!(matches!(found(&other, &["1"]), Err(SourceError::Malformed(_))));
    }
}
