//! How many records a page may be asked for.

use crate::sources::probe::PAGE;
use crate::sources::probe::paging::Paging;
use crate::sources::probe::question::Question;

/// Parameters that sizes of pages go by.
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

/// How many records a page may be asked for.
#[derive(Debug, Clone)]
pub(super) struct Sizes {
    left: Vec<String>,
    chosen: Option<(String, u64)>,
}

impl Sizes {
    /// The parameters to try; none where the request says it already, or where it could not be seen.
    pub(super) fn new(asked: &Question, records: usize, paging: Option<&Paging>) -> Self {
        let said = asked.params().into_iter().find_map(|(key, value)| {
            let size = value.parse::<u64>().ok().filter(|size| *size > 0 && SIZES.contains(&key.as_str()))?;
            Some((key, size))
        });
        let is_of_use = records > 1 && paging.is_some() && said.is_none();
        let left = if is_of_use { SIZES.map(ToOwned::to_owned).to_vec() } else { Vec::new() };
        Self { left, chosen: said.filter(|_| paging.is_some()) }
    }

    /// The request for a page of one record.
    pub(super) fn question(&self, asked: &Question) -> Option<Question> {
        self.left.first().map(|param| asked.with(param, 1))
    }

    /// Takes in how many records came; `None` where none was to be had. Whether the parameter works.
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
