//! Names of companies, with as few requests as possible: all organizations as a list, 500 a page, or the wanted ones by
//! id, 100 a batch.
//!
//! The API does not say how many organizations there are. Until we know, we read as many pages as the batches would
//! take; if the list is longer, batches fetch the rest. This costs at most twice the minimum, and the next pull knows
//! the better strategy.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use crate::sources::pipedrive::client::{Client, Listed};
use crate::sources::pipedrive::settings::ORGANIZATIONS;
use crate::sources::pipedrive::wire::PAGE;
use crate::sources::source::SourceError;
use crate::sources::wire::Id;

/// The most organizations of one batch.
pub(super) const BATCH: usize = 100;

/// If deals name this many organizations and none comes, the answer is wrong. Fewer may all be deleted.
const ENOUGH: usize = 20;

#[derive(Deserialize)]
struct Organization {
    id: Id,
    name: Option<String>,
}

/// The list's length, and an interrupted look-up.
#[derive(Default)]
pub(super) struct Organizations {
    length: Mutex<Length>,
    begun: Mutex<Option<(u64, Lookup)>>,
}

/// The number of pages of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Exactly(usize),
    MoreThan(usize),
}

impl Default for Length {
    fn default() -> Self {
        Self::MoreThan(0)
    }
}

/// A look-up in progress.
#[derive(Debug, Default)]
struct Lookup {
    names: HashMap<String, String>,
    /// Ids without a name so far.
    missing: BTreeSet<String>,
    pages: usize,
    cursor: Option<String>,
    cursors: HashSet<String>,
    is_list_done: bool,
    /// Whether any organization came.
    has_any: bool,
}

impl Organizations {
    /// The names of the wanted organizations; deleted and hidden ones have none. After an error, the next call for the
    /// same ids continues.
    pub(super) async fn names(
        &self,
        client: &Client,
        wanted: &BTreeSet<String>,
    ) -> Result<HashMap<String, String>, SourceError> {
        let which = hash(wanted);
        let begun = lock(&self.begun).take().filter(|(whose, _)| *whose == which).map(|(_, lookup)| lookup);
        let mut lookup = begun.unwrap_or_else(|| Lookup { missing: wanted.clone(), ..Lookup::default() });
        let done = self.look_up(client, wanted.len().div_ceil(BATCH), &mut lookup).await;
        match done {
            Ok(()) if !lookup.has_any && wanted.len() >= ENOUGH => Err(SourceError::Malformed(format!(
                "the answer lists no organization, and the deals are of {}",
                wanted.len()
            ))),
            Ok(()) => Ok(lookup.names),
            Err(error) => {
                *lock(&self.begun) = Some((which, lookup));
                Err(error)
            }
        }
    }

    async fn look_up(&self, client: &Client, batches: usize, lookup: &mut Lookup) -> Result<(), SourceError> {
        let length = *lock(&self.length);
        while !lookup.is_list_done && !lookup.missing.is_empty() && length.is_worth_a_page(batches, lookup.pages) {
            lookup.read_page(client).await?;
            *lock(&self.length) = length.learn(lookup);
        }
        if lookup.is_list_done {
            // The rest is deleted or hidden.
            return Ok(());
        }
        while let Some(batch) = lookup.next_batch() {
            lookup.read_batch(client, batch).await?;
        }
        Ok(())
    }
}

impl Length {
    /// Whether to read another page after `pages`, if batches alone would take `batches` requests.
    fn is_worth_a_page(self, batches: usize, pages: usize) -> bool {
        match self {
            Self::Exactly(length) => length <= batches,
            Self::MoreThan(least) => least < batches && pages < batches,
        }
    }

    /// Updates the length from a look-up.
    fn learn(self, lookup: &Lookup) -> Self {
        match self {
            _ if lookup.is_list_done => Self::Exactly(lookup.pages),
            Self::Exactly(length) if lookup.pages < length => self,
            Self::MoreThan(least) if lookup.pages < least => self,
            _ => Self::MoreThan(lookup.pages),
        }
    }
}

impl Lookup {
    async fn read_page(&mut self, client: &Client) -> Result<(), SourceError> {
        let mut query = vec![("limit", PAGE), ("sort_by", "id"), ("sort_direction", "asc")];
        query.extend(self.cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = client.page(ORGANIZATIONS, &query).await?;
        self.take(&page);
        self.pages += 1;
        if let Some(next) = &page.next
            && !self.cursors.insert(next.clone())
        {
            return Err(SourceError::Paging("the list of organizations repeats a cursor".to_owned()));
        }
        self.is_list_done = page.next.is_none();
        self.cursor = page.next;
        Ok(())
    }

    /// The next ids to ask for; `None` at the end.
    fn next_batch(&self) -> Option<Vec<String>> {
        Some(self.missing.iter().take(BATCH).cloned().collect::<Vec<_>>()).filter(|batch| !batch.is_empty())
    }

    async fn read_batch(&mut self, client: &Client, batch: Vec<String>) -> Result<(), SourceError> {
        let ids = batch.join(",");
        // One page holds a whole batch.
        let page = client.page(ORGANIZATIONS, &[("limit", PAGE), ("ids", &ids)]).await?;
        self.take(&page);
        for id in &batch {
            self.missing.remove(id);
        }
        Ok(())
    }

    fn take(&mut self, page: &Listed) {
        let found = page.records.iter().filter_map(|record| serde_json::from_str::<Organization>(record.get()).ok());
        for Organization { id: Id(id), name } in found {
            self.has_any = true;
            if self.missing.remove(&id) {
                self.names.extend(name.filter(|name| !name.trim().is_empty()).map(|name| (id, name)));
            }
        }
    }
}

fn hash(wanted: &BTreeSet<String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    hasher.finish()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many requests a pull sends for companies whose ids are spread over `pages` pages, and what it learns.
    fn spent(known: Length, batches: usize, pages: usize) -> (usize, Length) {
        let (mut lookup, mut length) = (Lookup::default(), known);
        while !lookup.is_list_done && known.is_worth_a_page(batches, lookup.pages) {
            lookup.pages += 1;
            lookup.is_list_done = lookup.pages == pages;
            length = known.learn(&lookup);
        }
        (lookup.pages + if lookup.is_list_done { 0 } else { batches }, length)
    }

    #[test]
    fn the_first_pull_takes_at_most_twice_the_better_way_and_the_next_one_takes_that() {
        for batches in 1..60 {
            for pages in 1..60 {
                let best = batches.min(pages);
                let (first, learnt) = spent(Length::default(), batches, pages);
                assert!(first <= 2 * best, "{first} for {batches} or {pages}");
                let (second, _) = spent(learnt, batches, pages);
                assert_eq!(second, best, "{batches} or {pages}, after {learnt:?}");
            }
        }
    }

    #[test]
    fn more_companies_than_last_time_are_worth_another_look_at_the_list() {
        let (_, learnt) = spent(Length::default(), 3, 10);
        assert_eq!(learnt, Length::MoreThan(3));
        let (third, learnt) = spent(learnt, 12, 10);
        assert_eq!((third, learnt), (10, Length::Exactly(10)));
    }
}
