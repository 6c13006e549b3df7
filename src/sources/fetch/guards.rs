//! What tells a walk over pages that goes in circles, or without end, from one that goes on.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::sources::source::Bounds;

/// Empty pages in a row that still name a next one.
const MAX_EMPTY_PAGES: u32 = 3;

/// What tells a walk that goes in circles from one that goes on.
pub(in crate::sources) struct Guards {
    bounds: Bounds,
    cursors: HashSet<String>,
    seen: HashSet<u64>,
    pages: u64,
    records: u64,
    empty: u32,
}

impl Guards {
    /// For a walk that has not begun.
    pub(in crate::sources) fn new(bounds: Bounds) -> Self {
        Self { bounds, cursors: HashSet::new(), seen: HashSet::new(), pages: 0, records: 0, empty: 0 }
    }

    /// Judges one page: the ids of its records, how many there were, and where it says the next one is.
    pub(in crate::sources) fn check(&mut self, ids: &[String], records: u64, next: Option<&str>) -> Result<(), String> {
        self.pages += 1;
        self.records += records;
        if self.records > self.bounds.records {
            return Err(format!("the list is longer than {} records", self.bounds.records));
        }
        self.empty = if records == 0 { self.empty + 1 } else { 0 };
        // Of a page on which no id can be read, only the cursor tells it from another.
        if !ids.is_empty() {
            let mut hasher = DefaultHasher::new();
            // Some servers that ignore the page send the same one in another order.
            let ids: BTreeSet<&String> = ids.iter().collect();
            ids.hash(&mut hasher);
            if !self.seen.insert(hasher.finish()) {
                return Err("the same page came twice".to_owned());
            }
        }
        let Some(next) = next else { return Ok(()) };
        if self.empty > MAX_EMPTY_PAGES {
            return Err(format!("{MAX_EMPTY_PAGES} empty pages in a row, and each names a next one"));
        }
        if self.pages >= self.bounds.pages {
            return Err(format!("the list is longer than {} pages", self.bounds.pages));
        }
        if !self.cursors.insert(next.to_owned()) {
            return Err("the next page is one that was read already".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_on_which_no_id_can_be_read_is_no_empty_one() {
        let mut guards = Guards::new(Bounds::default());
        for page in 0..10 {
            guards.check(&[], 100, Some(&page.to_string())).unwrap();
        }
        assert!((10..20).any(|page: u32| guards.check(&[], 0, Some(&page.to_string())).is_err()));
    }
}
