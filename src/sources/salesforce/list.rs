//! The deals page by page, from a result that Salesforce stores: what was deleted meanwhile still comes, and says so.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::finding::Findings;
use crate::sources::salesforce::client::read;
use crate::sources::salesforce::fields::{Read, Reader};
use crate::sources::salesforce::rows::Row;
use crate::sources::source::{End, Page, SourceError};

/// The most deals of one page; there may be fewer.
pub(super) const PAGE: u64 = 2_000;

/// A page, its records unread, so that one that cannot be read loses no other.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    records: Vec<Box<RawValue>>,
    /// Without it a lost page could not be noticed.
    total_size: Option<u64>,
    done: Option<bool>,
    next_records_url: Option<String>,
}

/// How many deals there are, of whatever page.
pub(super) fn total(page: &str) -> Result<Option<u64>, SourceError> {
    Ok(read::<Answer>(page)?.total_size)
}

/// Reads a page. `next` is an address, not yet judged.
pub(super) fn page(text: &str, reader: &Reader<'_>) -> Result<Page, SourceError> {
    let answer: Answer = read(text)?;
    let mut page = Page { total: answer.total_size, ..Page::default() };
    let mut findings = Findings::default();
    for (place, json) in (1..).zip(&answer.records) {
        let row = Row::of_json(json, reader.columns);
        let read = row.map_or(Read::Unreadable, |row| reader.read(&row, &mut findings));
        take(read, place, &mut page);
    }
    page.tally.findings = findings;
    page.next = match (answer.done, answer.next_records_url) {
        (Some(false), None) => {
            return Err(SourceError::Paging("there are more deals, and no word of where the next page is".to_owned()));
        }
        // An answer without rows may lack `done`.
        (Some(true), _) => None,
        (_, next) => next,
    };
    if page.next.is_none() && page.total.is_none() {
        let why = "`totalSize` is missing: nothing proves that all deals came".to_owned();
        page.end = End::Unproven { why, blocks_publish: false };
    }
    Ok(page)
}

/// Puts a record where it belongs; `place` is where it stood.
pub(super) fn take(read: Read, place: u64, page: &mut Page) {
    match read {
        Read::Deal(deal) => {
            page.ids.push(deal.id.clone());
            page.deals.push(*deal);
        }
        Read::Deleted(id) => {
            page.deleted.insert(id.clone());
            page.ids.push(id);
            page.tally.filtered += 1;
        }
        Read::Unreadable => page.tally.skipped.add(place),
    }
}
