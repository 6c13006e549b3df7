//! Reads the pages of deals in the order of their ids, which is stable: new deals come last.
//!
//! Archived deals have their own list, which is read second. A deal that is archived during the pull comes twice rather
//! than not at all.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::deal::Deal;
use crate::model::finding::Findings;
use crate::sources::pipedrive::client::Client;
use crate::sources::pipedrive::fields::Reader;
use crate::sources::pipedrive::settings::{ARCHIVED, DEALS};
use crate::sources::pipedrive::wire::{PAGE, Record};
use crate::sources::source::{End, Page, Skipped, SourceError};
use crate::sources::wire::{Id, by_number};

/// The most deals of one page.
pub(super) const AT_ONCE: u64 = 500;

/// Which deals are read.
pub(super) struct DealScope {
    /// Whether archived deals are read too.
    pub(super) archived: bool,
    /// The ids of the wanted pipelines; empty for all. The API filters by one pipeline at most.
    pub(super) pipelines: Vec<String>,
}

/// How far one pull has read, kept between its pages.
#[derive(Debug, Default)]
pub(super) struct DealsRead(Mutex<SoFar>);

#[derive(Debug, Clone, Default)]
struct SoFar {
    /// The highest id so far; later ids must be higher.
    last: String,
    /// The number of records that the summary counts too.
    counted: u64,
}

impl DealsRead {
    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a page begins, as `Page::next` holds it. It contains only list and cursor, so that a repeated cursor is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    archived: bool,
    cursor: Option<String>,
}

const LIVE_WORD: &str = "live";
const ARCHIVED_WORD: &str = "archived";

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = if self.archived { ARCHIVED_WORD } else { LIVE_WORD };
        write!(formatter, "{list} {}", self.cursor.as_deref().unwrap_or_default())
    }
}

impl Place {
    fn first(archived: bool) -> Self {
        Self { archived, cursor: None }
    }

    fn read(text: Option<&str>) -> Self {
        let Some((list, cursor)) = text.and_then(|text| text.split_once(' ')) else { return Self::first(false) };
        let cursor = Some(cursor.to_owned()).filter(|cursor| !cursor.is_empty());
        Self { archived: list == ARCHIVED_WORD, cursor }
    }
}

/// Reads a page of deals.
pub(super) async fn page(
    client: &Client,
    reader: &Reader<'_>,
    scope: &DealScope,
    (read, expected): (&DealsRead, Option<u64>),
    after: Option<&str>,
) -> Result<Page, SourceError> {
    let place = Place::read(after);
    let keys = reader.mapping.requested(&reader.reference.fields);
    let mut query = vec![("limit", PAGE), ("sort_by", "id"), ("sort_direction", "asc")];
    query.extend(keys.as_deref().map(|keys| ("custom_fields", keys)));
    if let [pipeline] = scope.pipelines.as_slice() {
        query.push(("pipeline_id", pipeline.as_str()));
    }
    query.extend(place.cursor.as_deref().map(|cursor| ("cursor", cursor)));
    let listed = client.page(if place.archived { ARCHIVED } else { DEALS }, &query).await?;
    let before = read.so_far().clone();
    let last = if place.cursor.is_some() { before.last } else { String::new() };
    let mut records = Records { last, ..Records::default() };
    for (number, json) in (1..).zip(&listed.records) {
        records.add(json.get(), number)?;
    }
    let is_doubtful = listed.next.is_none() && !listed.is_end_said && listed.records.len() as u64 >= AT_ONCE;
    let next = match listed.next {
        Some(cursor) => Some(Place { cursor: Some(cursor), ..place }),
        None if scope.archived && !place.archived => Some(Place::first(true)),
        None => None,
    };
    let last = records.last.clone();
    let mut page = records.into_page(reader, scope, place.archived, next.map(|next| next.to_string()))?;
    let counted = before.counted + page.fetched().saturating_sub(page.tally.uncounted);
    // The list is complete if it has as many deals as the summary.
    let is_proven = !place.archived && expected.is_some_and(|expected| expected <= counted);
    if is_doubtful && !is_proven {
        let why = "a full page has no `next_cursor`, not even null".to_owned();
        page.end = End::Unproven { why, blocks_publish: true };
    }
    *read.so_far() = SoFar { last, counted };
    Ok(page)
}

/// The readable records of a page.
#[derive(Default)]
struct Records {
    all: Vec<(String, Record)>,
    skipped: Skipped,
    /// The highest id so far, of this page or the ones before.
    last: String,
}

impl Records {
    /// Adds a record. Ids must increase; if not, a page was repeated or the order is wrong.
    fn add(&mut self, json: &str, number: u64) -> Result<(), SourceError> {
        let record = serde_json::from_str::<Record>(json).ok();
        let id = record.as_ref().and_then(|record| serde_json::from_str::<Id>(record.get("id")?.get()).ok());
        let (Some(record), Some(Id(id))) = (record, id) else {
            self.skipped.add(number);
            return Ok(());
        };
        if by_number(&self.last, &id).is_ge() {
            return Err(SourceError::Paging("the ids of the deals do not grow from page to page".to_owned()));
        }
        self.last.clone_from(&id);
        self.all.push((id, record));
        Ok(())
    }

    fn into_page(
        self,
        reader: &Reader<'_>,
        scope: &DealScope,
        archived: bool,
        next: Option<String>,
    ) -> Result<Page, SourceError> {
        let mut page = Page { next, ..Page::default() };
        page.tally.skipped = self.skipped;
        let mut findings = Findings::default();
        for (id, record) in &self.all {
            page.ids.push(id.clone());
            if is_gone(record, archived) {
                page.tally.filtered += 1;
                page.tally.uncounted += 1;
                continue;
            }
            let deal = reader.deal(id, record, &mut findings);
            let is_counted = scope.pipelines.is_empty()
                || deal.pipeline_id.as_ref().is_some_and(|pipeline| scope.pipelines.contains(pipeline));
            page.tally.uncounted += u64::from(archived || !is_counted);
            if let (Some(currency), Some(value)) = (deal.currency, deal.value)
                && is_counted
                && !archived
            {
                page.tally.worth.add(currency, value);
            }
            check_lists(reader, &deal)?;
            page.deals.push(deal);
        }
        page.tally.findings = findings;
        Ok(page)
    }
}

/// Returns an error if deals name a stage or pipeline but the list of those came back empty.
fn check_lists(reader: &Reader<'_>, deal: &Deal) -> Result<(), SourceError> {
    for (what, is_named, is_listed) in [
        ("stage", deal.stage_id.is_some(), reader.stages.has_listed()),
        ("pipeline", deal.pipeline_id.is_some(), !reader.reference.pipelines.is_empty()),
    ] {
        if is_named && !is_listed {
            return Err(SourceError::Malformed(format!("the answer lists no {what}, and the deals stand in some")));
        }
    }
    Ok(())
}

/// Whether a deal is deleted, or is archived although this is not the archive's list.
fn is_gone(record: &Record, archived: bool) -> bool {
    let is = |key: &str, json: &str| record.get(key).is_some_and(|value| value.get() == json);
    is("is_deleted", "true") || is("status", "\"deleted\"") || (!archived && is("is_archived", "true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for place in [
            Place { archived: false, cursor: Some("eyJ9 x".to_owned()) },
            Place { archived: true, cursor: Some("eyJ9".to_owned()) },
            Place::first(true),
        ] {
            assert_eq!(Place::read(Some(&place.to_string())), place);
        }
        assert_eq!(Place::read(None), Place::first(false));
    }

    #[test]
    fn ids_that_do_not_grow_are_an_error_on_one_page_and_from_page_to_page() {
        let add = |last: &str, ids: &[&str]| {
            let mut records = Records { last: last.to_owned(), ..Records::default() };
            ids.iter().try_for_each(|id| records.add(&format!(r#"{{"id": {id}}}"#), 1)).map(|()| records.last)
        };
        assert_eq!(add("", &["9", "10", "9007199254740992", "9007199254740993"]).unwrap(), "9007199254740993");
        for ids in [&["9007199254740993"][..], &["11"], &["9007199254740995", "9007199254740994"]] {
            assert!(matches!(add("9007199254740993", ids), Err(SourceError::Paging(_))), "{ids:?}");
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_is_counted_and_loses_no_other() {
        let mut records = Records::default();
        for json in
            [r#"{"id": 1}"#, r#"{"id": null}"#, "[]", "null", "{}", r#"{"id": -1}"#, r#"{"id": 3, "new": {"a": [1]}}"#]
        {
            records.add(json, 1).unwrap();
        }
        assert_eq!((records.all.len(), records.skipped.count, records.last.as_str()), (2, 5, "3"));
    }
}
