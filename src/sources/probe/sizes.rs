//! How many records a page may be asked for.

use reqwest::Url;

use crate::sources::probe::PAGE;
use crate::sources::probe::paging::{Paging, with};

/// Parameters that sizes of pages go by.
const SIZES: [&str; 11] = [
    "limit",
    "per_page",
    "page_size",
    "_limit",
    "_size",
    "perPage",
    "pageSize",
    "size",
    "count",
    "$top",
    "max_results",
];

/// How many records a page may be asked for.
#[derive(Debug, Clone)]
pub(super) struct Sizes {
    left: Vec<String>,
    chosen: Option<(String, u64)>,
}

impl Sizes {
    /// The parameters to try; none where the URL says it already, or where it could not be seen.
    pub(super) fn new(url: &Url, records: usize, paging: Option<&Paging>) -> Self {
        let in_url = url.query_pairs().find_map(|(key, value)| {
            let size = value.parse::<u64>().ok().filter(|size| *size > 0 && SIZES.contains(&key.as_ref()))?;
            Some((key.into_owned(), size))
        });
        let is_of_use = records > 1 && paging.is_some() && in_url.is_none();
        let left = if is_of_use { SIZES.map(ToOwned::to_owned).to_vec() } else { Vec::new() };
        Self { left, chosen: in_url.filter(|_| paging.is_some()) }
    }

    /// The request for a page of one record.
    pub(super) fn question(&self, url: &Url) -> Option<Url> {
        self.left.first().map(|param| with(url, param, "1"))
    }

    /// Takes in how many records came; `None` where none was to be had.
    pub(super) fn learn(&mut self, records: Option<usize>) {
        if self.left.is_empty() {
            return;
        }
        let param = self.left.remove(0);
        if records == Some(1) {
            self.left.clear();
            self.chosen = Some((param, PAGE));
        }
    }

    /// The parameter that works, and the size to ask for.
    pub(super) fn chosen(&self) -> Option<(&str, u64)> {
        self.chosen.as_ref().map(|(param, size)| (param.as_str(), *size))
    }
}
