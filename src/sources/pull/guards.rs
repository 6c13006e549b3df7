//! What tells a walk over pages that goes in circles, or without end, from one that goes on.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The most pages of one pull.
const MAX_PAGES: u64 = 10_000;
/// The most records of one pull.
const MAX_RECORDS: u64 = 1_000_000;
/// Empty pages in a row that still name a next one.
const MAX_EMPTY_PAGES: u32 = 3;
/// What tells a walk that goes in circles from one that goes on.
#[derive(Default)]
pub(in crate::sources) struct Guards {
    cursors: HashSet<String>,
    seen: HashSet<u64>,
    pages: u64,
    records: u64,
    empty: u32,
}

impl Guards {
    /// Judges one page: the ids of its records, how many there were, and where it says the next one is.
    pub(in crate::sources) fn check(&mut self, ids: &[String], records: u64, next: Option<&str>) -> Result<(), String> {
        self.pages += 1;
        self.records += records;
        if self.records > MAX_RECORDS {
            return Err(format!("the list is longer than {MAX_RECORDS} records"));
        }
        self.empty = if records == 0 { self.empty + 1 } else { 0 };
        // Of a page on which no id can be read, only the cursor tells it from another.
        if !ids.is_empty() {
            let mut hasher = DefaultHasher::new();
            ids.hash(&mut hasher);
            if !self.seen.insert(hasher.finish()) {
                return Err("the same page came twice".to_owned());
            }
        }
        let Some(next) = next else { return Ok(()) };
        if self.empty > MAX_EMPTY_PAGES {
            return Err(format!("{MAX_EMPTY_PAGES} empty pages in a row, and each names a next one"));
        }
        if self.pages >= MAX_PAGES {
            return Err(format!("the list is longer than {MAX_PAGES} pages"));
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
        let mut guards = Guards::default();
        for page in 0..10 {
            guards.check(&[], 100, Some(&page.to_string())).unwrap();
        }
        assert!((10..20).any(|page: u32| guards.check(&[], 0, Some(&page.to_string())).is_err()));
    }
}
