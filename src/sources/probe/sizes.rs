//! How many records a page may be asked for.

use crate::sources::probe::question::Question;

/// Parameters that set the page size.
const SIZES: [&str; 12] = [
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
    "first",
];

/// How many records the proposed page size asks for.
const PAGE: u64 = 100;

/// How many records a page may be asked for.
#[derive(Debug, Clone)]
pub(super) struct Sizes {
    left: Vec<String>,
    chosen: Option<(String, u64)>,
}

impl Sizes {
    /// The parameters to test; none if the request sets one already, or if the effect could not be seen.
    pub(super) fn new(asked: &Question, records: usize, is_paged: bool) -> Self {
        let said = asked.params().into_iter().find_map(|(key, value)| {
            let size = value.parse::<u64>().ok().filter(|size| *size > 0 && SIZES.contains(&key.as_str()))?;
            Some((key, size))
        });
        let is_of_use = records > 1 && is_paged && said.is_none();
        let left = if is_of_use { SIZES.map(ToOwned::to_owned).to_vec() } else { Vec::new() };
        Self { left, chosen: said.filter(|_| is_paged) }
    }

    /// The request for a page of one record.
    pub(super) fn question(&self, asked: &Question) -> Option<Question> {
        self.left.first().map(|param| asked.with(param, 1))
    }

    /// Takes the number of records that came; `None`: the request failed. Returns whether the parameter works.
    pub(super) fn learn(&mut self, records: Option<usize>) -> bool {
        if self.left.is_empty() {
            return false;
        }
        let param = self.left.remove(0);
        let works = records == Some(1);
        if works {
            self.left.clear();
            self.chosen = Some((param, PAGE));
        }
        works
    }

    /// The parameter that works, and the size to ask for.
    pub(super) fn chosen(&self) -> Option<(&str, u64)> {
        self.chosen.as_ref().map(|(param, size)| (param.as_str(), *size))
    }
}
