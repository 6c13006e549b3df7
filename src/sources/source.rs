//! The `Source` trait and its session: what `sources::fetch` reads.
//!
//! Retry, limits, deadline and pagination guards are the same for all CRMs. They live in `sources::fetch`.

mod error;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;

use crate::model::deal::Deal;
use crate::model::finding::Findings;
use crate::model::money::{Currency, OwnRates, Worth};
use crate::model::pipeline::Stage;
pub use crate::sources::source::error::SourceError;

/// A CRM account. It keeps nothing but an access token and what stays valid longer than one pull.
#[async_trait]
pub trait Source: Send + Sync {
    /// Starts a session: reads the account, its stages and the tables that are needed before the first page.
    async fn open(&self, attempt: Attempt) -> Result<Box<dyn Session + '_>, SourceError>;

    /// How long the list may be. A longer list is an error.
    fn bounds(&self) -> Bounds {
        Bounds::default()
    }

    /// How many keys of `table` one call of [`Session::names`] takes.
    fn names_at_once(&self, _table: &str) -> usize {
        usize::MAX
    }

    /// Asks the CRM why deals of an earlier pull are missing.
    async fn missing(&self, _ids: &BTreeSet<String>) -> Result<BTreeMap<String, MissingDealOutcome>, SourceError> {
        Ok(BTreeMap::new())
    }

    /// How many ids one call of [`missing`](Self::missing) takes; 0: the CRM cannot answer.
    fn missing_at_once(&self) -> usize {
        0
    }

    /// Which CRM field fills which field, for `check --connect`.
    fn mapping(&self) -> Vec<Mapped>;

    /// Requests sent since the start of the program.
    fn requests(&self) -> u64;
}

/// One pull of a source, with the state that only this pull needs.
#[async_trait]
pub trait Session: Send + Sync {
    /// What is known before the first page.
    fn opened(&self) -> &Opened;

    /// Reads one page; `after` is the `next` of the page before, `None` for the first.
    async fn page(&self, after: Option<&str>) -> Result<Page, SourceError>;

    /// Looks up the names that the pages left open, after the last page.
    async fn names(&self, _wanted: &Wanted) -> Result<Names, SourceError> {
        Ok(Names::default())
    }

    /// Deletes what the session created in the CRM. Called once, also after a failed pull.
    async fn close(&self) {}
}

/// Whether [`Source::open`] starts a pull or repeats a failed start. Limits per pull are reset only by the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The pull starts.
    First,
    /// The same pull tries again.
    Retry,
}

/// How long a list may be: a longer one is a list without an end, or one that nobody meant to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most pages.
    pub pages: u64,
    /// The most records.
    pub records: u64,
}

impl Default for Bounds {
    /// As `rest`'s contract (§2.1) has them.
    fn default() -> Self {
        Self { pages: 10_000, records: 1_000_000 }
    }
}

/// What is known before the first page.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// The account's id in the CRM: another one is another company's data.
    pub account: Option<String>,
    /// The account's own currency: a deal without one is in this.
    pub currency: Option<Currency>,
    /// The stages of all pipelines, in order; empty where the CRM lists none.
    pub stages: Vec<Stage>,
    /// How many deals there are, where the CRM says so beforehand.
    pub expected: Option<Expected>,
    /// What the CRM itself says its deals are worth, where it says so beforehand: of those that `expected` counts.
    pub worth: Option<Worth>,
    /// What a whole pull costs, where it can be told beforehand.
    pub cost: Option<Cost>,
    /// What the source does without, and why: the pull logs it, `check --connect` shows it.
    pub warnings: Vec<String>,
    /// The CRM's own exchange rates, where it has some.
    pub rates: Option<OwnRates>,
}

/// A count of all deals, taken before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// How many.
    pub count: u64,
    /// Whether list and count come from one query. A separate count may lag behind and is judged with
    /// a tolerance (rule R02).
    pub exact: bool,
}

/// What a whole pull costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Requests.
    pub requests: u64,
    /// What they cost if the daily limit does not count requests: Pipedrive's tokens.
    pub tokens: Option<u64>,
    /// How many requests, or tokens, the CRM allows in a day.
    pub daily_limit: Option<u64>,
}

/// Why a deal of an earlier pull is not in the list any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingDealOutcome {
    /// It was deleted and can still be restored.
    Archived,
    /// It was merged into another deal.
    Merged {
        /// The other deal's id.
        into: String,
    },
    /// It exists, but the configuration leaves it out.
    OutOfScope,
    /// The CRM does not know it.
    Unknown,
}

/// A field and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// The deal's field, `custom.x` for a mapped one.
    pub field: String,
    /// The CRM's word for it.
    pub from: String,
}

/// Keys by table whose names are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted(pub BTreeMap<String, BTreeSet<String>>);

impl Wanted {
    /// Pieces of one table each, of at most `at_once(table)` keys.
    pub fn pieces(self, at_once: impl Fn(&str) -> usize) -> Vec<Self> {
        let mut pieces = Vec::new();
        for (table, mut keys) in self.0 {
            let most = at_once(&table).max(1);
            while !keys.is_empty() {
                let rest = keys.iter().nth(most).cloned().map(|first| keys.split_off(&first)).unwrap_or_default();
                pieces.push(Self(BTreeMap::from([(table.clone(), std::mem::replace(&mut keys, rest))])));
            }
        }
        pieces
    }

    /// Takes in the names that a deal leaves open.
    pub fn add(&mut self, deal: &Deal) {
        for name in &deal.wanted {
            self.0.entry(name.table.to_string()).or_default().insert(name.key.clone());
        }
    }
}

/// Look-up tables by name, each from a CRM's key to what people read.
#[derive(Debug, Clone, Default)]
pub struct Names(pub BTreeMap<String, HashMap<String, String>>);

impl Names {
    /// What `key` is called in `table`.
    pub fn get(&self, table: &str, key: &str) -> Option<&str> {
        self.0.get(table)?.get(key).map(String::as_str)
    }

    /// Takes in more names.
    pub fn extend(&mut self, other: Self) {
        for (table, names) in other.0 {
            self.0.entry(table).or_default().extend(names);
        }
    }
}

/// One page of deals, normalised.
#[derive(Debug, Default)]
pub struct Page {
    /// The deals that the configuration wants.
    pub deals: Vec<Deal>,
    /// The ids of all records received, wanted or not, in the page's order: what tells a repeated page.
    pub ids: Vec<String>,
    /// The ids of records that came and say that they are deleted: those deals are gone.
    pub deleted: BTreeSet<String>,
    /// What is counted over its records.
    pub tally: Tally,
    /// How many deals the CRM says there are in all.
    pub total: Option<u64>,
    /// By how many `total` may be wrong.
    pub total_tolerance: u64,
    /// Where the next page is; `None` at the end.
    pub next: Option<String>,
    /// At the end: how it is known.
    pub end: End,
}

/// What is counted over the records of a page, or of a whole pull.
#[derive(Debug, Default)]
pub struct Tally {
    /// Records that the configuration leaves out (`where`, deleted ones).
    pub filtered: u64,
    /// Records that cannot be read.
    pub skipped: Skipped,
    /// Records that the CRM marks as deleted; [`fetch`](crate::sources::fetch) counts them.
    pub deleted: u64,
    /// Records that [`Opened::expected`] does not count: archived ones, those of other pipelines.
    pub uncounted: u64,
    /// The sum of the deals that [`Opened::expected`] counts, for the comparison with [`Opened::worth`].
    pub worth: Worth,
    /// What was odd.
    pub findings: Findings,
    /// Per field, how many records lacked a value and at which path step.
    pub missing_paths: MissingPathCounts,
    /// Whether each path used by `where` and `status` appeared in any record.
    pub rule_paths: RulePathCoverage,
}

impl Tally {
    /// Adds the next page.
    pub fn merge(&mut self, page: Self) {
        self.filtered += page.filtered;
        self.skipped.count += page.skipped.count;
        self.skipped.first = self.skipped.first.or(page.skipped.first);
        self.deleted += page.deleted;
        self.uncounted += page.uncounted;
        self.worth.merge(&page.worth);
        self.findings.merge(page.findings);
        self.missing_paths.merge(page.missing_paths);
        self.rule_paths.merge(page.rule_paths);
    }
}

/// Records that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// Where the first of them stands on its page, from 1.
    pub first: Option<u64>,
}

impl Skipped {
    /// One more, at `place` of its page.
    pub fn add(&mut self, place: u64) {
        self.first.get_or_insert(place);
        self.count += 1;
    }
}

/// How the end of a list is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum End {
    /// The answer says so, or nothing came any more.
    #[default]
    Said,
    /// As many came as the list itself counts, and nobody looked behind.
    Counted,
    /// The list is one answer.
    OneAnswer,
    /// Nothing says that there is more, and nothing that there is not: what was configured to say so is not there.
    Unproven {
        /// What is odd, in words.
        why: String,
        /// Whether it is too odd to publish.
        blocks_publish: bool,
    },
}

impl End {
    /// What is odd about it.
    pub fn doubt(&self) -> Option<&str> {
        match self {
            Self::Unproven { why, .. } => Some(why),
            _ => None,
        }
    }

    /// The same where the list itself counts: as many as it says must have come, so that no doubt is left.
    #[must_use]
    pub fn counted(self) -> Self {
        if matches!(self, Self::Unproven { .. }) { Self::Said } else { self }
    }
}

/// In how many records a field has nothing, by field and by where the way to it ends, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingPathCounts(pub BTreeMap<(String, String), u64>);

impl MissingPathCounts {
    /// Takes in another page's gaps.
    pub fn merge(&mut self, other: Self) {
        for (gap, count) in other.0 {
            *self.0.entry(gap).or_default() += count;
        }
    }

    /// Where the way to a field ends, in how many records, most first.
    pub fn of(&self, field: &str) -> Vec<(&str, u64)> {
        let of_field = self.0.iter().filter(|((name, _), _)| name == field);
        let mut gaps: Vec<(&str, u64)> = of_field.map(|((_, why), count)| (why.as_str(), *count)).collect();
        gaps.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        gaps
    }
}

/// Places of a record by which the configuration decides over it, each with the key that names it, and whether any
/// record had it; always the same ones of a source, in the same order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RulePathCoverage(pub Vec<(&'static str, String, bool)>);

impl RulePathCoverage {
    /// Takes in another page's.
    pub fn merge(&mut self, other: Self) {
        if self.0.is_empty() {
            self.0 = other.0;
        } else {
            self.0.iter_mut().zip(other.0).for_each(|((_, _, found), (_, _, there))| *found |= there);
        }
    }

    /// The keys and places that no record had.
    pub fn absent(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().filter(|(_, _, found)| !found).map(|(key, place, _)| (*key, place.as_str()))
    }
}

impl Page {
    /// Records received.
    pub fn fetched(&self) -> u64 {
        self.deals.len() as u64 + self.tally.filtered + self.tally.skipped.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_names_are_asked_for_in_pieces_of_what_the_source_takes() {
        let keys = |range: std::ops::Range<u32>| range.map(|key| format!("{key:03}")).collect::<BTreeSet<_>>();
        let wanted = Wanted([("companies".to_owned(), keys(0..250)), ("owners".to_owned(), keys(0..150))].into());
        let pieces = wanted.pieces(|table| if table == "companies" { 100 } else { usize::MAX });
        let sizes: Vec<(&str, usize)> =
            pieces.iter().flat_map(|piece| piece.0.iter().map(|(table, keys)| (table.as_str(), keys.len()))).collect();
        assert_eq!(sizes, [("companies", 100), ("companies", 100), ("companies", 50), ("owners", 150)]);
        assert_eq!(pieces[1].0["companies"], keys(100..200));
    }
}
