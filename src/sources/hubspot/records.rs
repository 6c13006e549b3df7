//! The records of a page: read one by one, in the order of their ids, with the companies of each.

use std::collections::HashMap;

use crate::model::finding::Findings;
use crate::sources::hubspot::associations;
use crate::sources::hubspot::client::Client;
use crate::sources::hubspot::fields::Reader;
use crate::sources::hubspot::wire::{Inline, Link, Listed, Record};
use crate::sources::source::{Page, Skipped, SourceError, Tally};
use crate::sources::wire::by_number;

/// What came, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) all: Vec<Record>,
    /// Records that cannot be read.
    pub(super) skipped: Skipped,
    /// The highest id so far, of this page or the ones before.
    pub(super) last: String,
    /// Companies by deal, of those deals whose record does not tell them all.
    links: HashMap<String, Vec<Link>>,
}

impl Records {
    /// None yet; all will have ids above `last`.
    pub(super) fn after(last: &str) -> Self {
        Self { last: last.to_owned(), ..Self::default() }
    }

    /// Adds what a list or a search answers. Ids only ever grow, whatever happens to the deals meanwhile: anything
    /// else is a page that came before, or an order that nobody asked for.
    pub(super) fn add(&mut self, listed: &Listed) -> Result<(), SourceError> {
        for (place, json) in (1..).zip(&listed.results) {
            let Ok(record) = serde_json::from_str::<Record>(json.get()) else {
                self.skipped.add(place);
                continue;
            };
            if by_number(&self.last, &record.id.0).is_ge() {
                return Err(SourceError::Paging("the ids of the deals do not grow from page to page".to_owned()));
            }
            self.last.clone_from(&record.id.0);
            self.all.push(record);
        }
        Ok(())
    }

    /// Reads the companies of those deals.
    pub(super) async fn links_of(&mut self, client: &Client, deals: Vec<String>) -> Result<(), SourceError> {
        self.links = associations::of_deals(client, deals).await?;
        Ok(())
    }

    /// The page they make.
    pub(super) fn into_page(self, reader: &Reader<'_>, next: Option<String>) -> Page {
        let mut findings = Findings::default();
        let ids = self.all.iter().map(|record| record.id.0.clone()).collect();
        let (archived, wanted): (Vec<Record>, Vec<Record>) = self.all.into_iter().partition(Record::is_archived);
        let deal = |record: &Record| {
            let inline = || record.companies().map(Inline::links);
            let links = self.links.get(&record.id.0).cloned().or_else(inline).unwrap_or_default();
            reader.deal(record, &links, &mut findings)
        };
        Page {
            deals: wanted.iter().map(deal).collect(),
            ids,
            tally: Tally { filtered: archived.len() as u64, skipped: self.skipped, findings, ..Tally::default() },
            next,
            ..Page::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(ids: &[&str]) -> Listed {
        let records: Vec<String> =
            ids.iter().map(|id| format!(r#"{{"id": {id}, "properties": {{}}, "archived": false}}"#)).collect();
        serde_json::from_str(&format!(r#"{{"results": [{}]}}"#, records.join(","))).unwrap()
    }

    #[test]
    fn ids_that_do_not_grow_are_an_error_on_one_page_and_from_page_to_page() {
        let mut records = Records::default();
        records.add(&listed(&["\"9\"", "10", "\"9007199254740992\"", "\"9007199254740993\""])).unwrap();
        assert_eq!(records.last, "9007199254740993");
        for ids in [&["9007199254740993"][..], &["11"], &["9007199254740995", "9007199254740994"]] {
            let mut page = Records::after(&records.last);
            assert!(matches!(page.add(&listed(ids)), Err(SourceError::Paging(_))), "{ids:?}");
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_is_counted_and_loses_no_other() {
        let mut records = Records::default();
        let json = r#"{"results": [{"id": "1", "properties": {}}, {"id": "2", "properties": []}, {"properties": {}}, null,
            {"id": "3\u001b[31m", "properties": {}}, {"id": "4 4", "properties": {}},
            {"id": "5", "properties": {}, "archived": null, "associations": null},
            {"id": "6", "properties": {}, "associations": {"companies": {"results": [{"id": "9", "type": null}]}}},
            {"id": "7", "properties": {}, "unknown": {"a": [1]}}]}"#;
        records.add(&serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!((records.all.len(), records.skipped.count, records.last.as_str()), (4, 5, "7"));
    }
}
