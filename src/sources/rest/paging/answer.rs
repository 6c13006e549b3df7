//! What paging reads of one answer.

use reqwest::header::HeaderMap;

use crate::sources::rest::json::{Json, Node};
use crate::sources::rest::path::Path;
use crate::sources::rest::record::Record;

/// The page sizes that servers use by default.
const PAGE_SIZES: [u64; 12] = [10, 15, 20, 25, 30, 50, 60, 100, 200, 250, 500, 1000];

/// One answer, with the configured values that every pager reads.
pub(in crate::sources::rest) struct PageAnswer<'n, 'a> {
    pub(super) document: &'n Node<'a>,
    pub(super) status: u16,
    pub(super) headers: &'n HeaderMap,
    pub(super) records: &'n [Record<'a>],
    /// The position that was requested; `None` for the first page.
    pub(super) after: Option<&'n str>,
    /// How many records the answer says there are in all.
    pub(super) total: Option<u64>,
    pub(super) has_more: Option<&'n Path>,
}

impl PageAnswer<'_, '_> {
    /// How many records there are in all, by the answer.
    pub(in crate::sources::rest) fn total(&self) -> Option<u64> {
        self.total
    }

    pub(super) fn rows(&self) -> u64 {
        self.records.len() as u64
    }

    /// What `has_more` says; `None` if it is not configured.
    pub(super) fn says_more(&self) -> Option<bool> {
        let value = self.has_more?.find(self.document).and_then(Json::scalar);
        Some(value.is_some_and(|value| value.is_truthy()))
    }
}

/// Whether a server may have cut a page of this many records by its default.
pub(super) fn is_usual_size(rows: u64) -> bool {
    PAGE_SIZES.contains(&rows)
}
