//! What a source is: three questions to a CRM, none of which retries, paces or remembers.
//!
//! Whatever is the same for all CRMs (retry, limits, deadline, cursor guards) stands once, in `sources::pull`.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};

use crate::advice::Advice;
use crate::http::{HttpError, Reply};
use crate::model::deal::Deal;
use crate::model::finding::Findings;
use crate::model::money::{Currency, OwnRates};
use crate::model::pipeline::Stage;
use crate::secret::SecretError;
use crate::settings::Span;
use crate::telemetry::in_one_line;

/// A CRM account that can be read. No state but a token cache and what is good for longer than a pull.
#[async_trait]
pub trait Source: Send + Sync {
    /// A walk begins: called once before it, where [`open`](Self::open) is called again after it failed. A source that
    /// counts nothing within a walk need not answer.
    fn begin(&self) {}

    /// Finds out what there is to read: account, stages, look-ups that must be known before the first page.
    async fn open(&self) -> Result<Opened, SourceError>;

    /// Reads one page; `after` is the `next` of the page before, `None` for the first.
    async fn page(&self, opened: &Opened, after: Option<&str>) -> Result<Page, SourceError>;

    /// Looks up the names that the pages left open, after the last page. A source that leaves none need not answer.
    async fn names(&self, _opened: &Opened, _wanted: &Wanted) -> Result<Names, SourceError> {
        Ok(Names::default())
    }

    /// Ends what the walk began in the CRM, whatever became of the walk: called once after it. A source that begins
    /// nothing there need not answer.
    async fn close(&self, _opened: &Opened) {}

    /// How long the list may be before the walk is taken for one without an end.
    fn bounds(&self) -> Bounds {
        Bounds::default()
    }

    /// How many keys of `table` one call of [`names`](Self::names) takes: a failure repeats no more than that.
    fn names_at_once(&self, _table: &str) -> usize {
        usize::MAX
    }

    /// Says what became of deals that a pull before found and this one did not, each with its fate.
    async fn fates(&self, _ids: &BTreeSet<String>) -> Result<BTreeMap<String, Fate>, SourceError> {
        Ok(BTreeMap::new())
    }

    /// How many ids one call of [`fates`](Self::fates) takes; 0: the CRM does not tell.
    fn fates_at_once(&self) -> usize {
        0
    }

    /// Which field comes from where, in the CRM's words: for `check --connect`.
    fn mapping(&self) -> Vec<Mapped>;

    /// How many requests this source has sent since the start.
    fn requests(&self) -> u64;
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
    /// What a whole pull costs, where it can be told beforehand.
    pub cost: Option<Cost>,
    /// Look-up tables: table → key → name.
    pub names: Names,
    /// Which way the deals are read, where the source has several: its own word.
    pub way: &'static str,
    /// What the source does without, and why: the pull logs it, `check --connect` shows it.
    pub warnings: Vec<String>,
    /// The CRM's own exchange rates, where it has some.
    pub rates: Option<OwnRates>,
    /// What the source itself keeps for this one walk; nobody else reads it.
    pub own: Option<Arc<dyn Any + Send + Sync>>,
}

/// A count of all deals, taken before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// How many.
    pub count: u64,
    /// Whether the list and the count are one and the same query. A count of its own may lag behind, and is judged with
    /// a tolerance (rule R02).
    pub exact: bool,
}

/// What a whole pull costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Requests.
    pub requests: u64,
    /// What they count against the limit of the day, where that is no number of requests: Pipedrive's tokens.
    pub tokens: Option<u64>,
    /// How many requests, or tokens, the CRM allows in a day.
    pub daily_limit: Option<u64>,
}

/// What became of a deal that is not in the list any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was deleted, and can be restored yet.
    Archived,
    /// It is part of another one now.
    Merged {
        /// The other one's id.
        into: String,
    },
    /// It is there, but not among those that were asked for.
    OutOfScope,
    /// The CRM knows nothing of it.
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
    /// Records that the configuration leaves out (`where`, deleted ones).
    pub filtered: u64,
    /// Records that cannot be read.
    pub skipped: u64,
    /// The ids of records that came and say that they are deleted: those deals are gone.
    pub deleted: BTreeSet<String>,
    /// Of all these, records that [`Opened::expected`] does not count: archived ones, those of other pipelines.
    pub uncounted: u64,
    /// What was odd.
    pub findings: Findings,
    /// Where the ways to fields end before a value.
    pub gaps: Gaps,
    /// How many deals the CRM says there are in all.
    pub total: Option<u64>,
    /// By how many `total` may be wrong.
    pub total_tolerance: u64,
    /// Where the next page is; `None` at the end.
    pub next: Option<String>,
    /// At the end: how it is known.
    pub end: End,
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
    Doubtful {
        /// What is odd, in words.
        why: String,
        /// Whether it is too odd to publish.
        is_grave: bool,
    },
}

/// In how many records a field has nothing, by field and by where the way to it ends, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gaps(pub BTreeMap<(String, String), u64>);

impl Gaps {
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

impl Page {
    /// Records received.
    pub fn fetched(&self) -> u64 {
        self.deals.len() as u64 + self.filtered + self.skipped
    }
}

/// Why a CRM did not answer as it should. The variants are the pull's decisions.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A secret is not there.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// 429: too many requests.
    #[error("the CRM answers {status}: too many requests")]
    Limit {
        /// The status code.
        status: u16,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// 429 until the day ends: no other try before that.
    #[error("the CRM answers {status}: its limit for the day is reached{}", until(*.resets))]
    DailyLimit {
        /// The status code.
        status: u16,
        /// When the CRM counts anew, where that is known, UTC.
        resets: Option<DateTime<Utc>>,
    },
    /// An answer after which the configuration leaves the CRM alone for a while.
    #[error("the CRM answered {status} and is left alone until {}", until.to_rfc3339_opts(SecondsFormat::Secs, true))]
    LeftAlone {
        /// The status code.
        status: u16,
        /// Until when, UTC.
        until: DateTime<Utc>,
    },
    /// The configuration leaves so many requests to others.
    #[error("the CRM leaves {left} requests, and {floor} are kept for others")]
    Quota {
        /// How many are left.
        left: u64,
        /// How many are to be left.
        floor: u64,
    },
    /// An answer of 2xx that says in its body that it is a failure.
    #[error("{what}")]
    Failed {
        /// What it says, in words of the configuration.
        what: String,
        /// Whether another try may help.
        passes: bool,
    },
    /// So much of the day's limit is used that the rest is left to others.
    #[error("{used} of the account's {limit} requests a day are used: the rest is left to others{}", until(Some(*.resets)))]
    Spared {
        /// Requests of all programs in the last 24 hours.
        used: u64,
        /// How many there may be.
        limit: u64,
        /// Before this nothing is asked, UTC.
        resets: DateTime<Utc>,
    },
    /// The CRM moves the account's data from one place to another.
    #[error("the CRM answers {status}: it is moving this account{}", asking(*.wait))]
    Moving {
        /// The status code.
        status: u16,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// A failure of the server's own: worth another try.
    #[error("the CRM answers {status}: a failure of its own")]
    Server {
        /// The status code.
        status: u16,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// 401: it does not know the credentials.
    #[error("the CRM answers {status}: it does not accept the credentials")]
    Refused {
        /// The status code.
        status: u16,
    },
    /// 402: the account is not paid for.
    #[error("the CRM answers {status}: the account is not paid for")]
    Unpaid {
        /// The status code.
        status: u16,
    },
    /// The proxy in front of the CRM lets nobody of the account through: every further try makes it longer.
    #[error("the CRM answers {status}: it blocks this account's requests{}", until(*.ends))]
    Blocked {
        /// The status code.
        status: u16,
        /// Until when nothing is asked, UTC.
        ends: Option<DateTime<Utc>>,
    },
    /// 403: it knows them, and they may not.
    #[error("the CRM answers {status}: the credentials may not read this{}", listed(.lacking))]
    Forbidden {
        /// The status code.
        status: u16,
        /// The permissions of which one is needed, where the CRM names them.
        lacking: Vec<String>,
    },
    /// Any other status.
    #[error("the CRM answers {status}{}, which is no answer to this request", bracketed(.category.as_deref()))]
    Unexpected {
        /// The status code.
        status: u16,
        /// The CRM's own word for it, where that is one of a known list.
        category: Option<String>,
    },
    /// An answer that was cut in the middle: worth another try.
    #[error("the answer is cut: {0}")]
    Cut(String),
    /// An answer that is not what this CRM sends.
    #[error("{0}")]
    Malformed(String),
    /// An answer of so many records and keys that it would not fit into memory.
    #[error("the answer has more than {0} parts")]
    TooManyParts(usize),
    /// The pages do not add up.
    #[error("{0}")]
    Paging(String),
    /// A field does not fit the mapping, and the configuration wants that to fail.
    #[error("{0}")]
    Mapping(String),
    /// Several parts of a step failed, each for want of a permission: all of them, so that they are granted at once.
    #[error("{}", together(.0))]
    Several(Vec<Self>),
    /// A part of a step failed: a look-up, a count.
    #[error("{part}")]
    Part {
        /// What was being read.
        part: String,
        /// Why it failed.
        source: Box<Self>,
    },
}

fn until(resets: Option<DateTime<Utc>>) -> String {
    resets.map(|at| format!(", until {}", at.to_rfc3339_opts(SecondsFormat::Secs, true))).unwrap_or_default()
}

fn asking(wait: Option<Duration>) -> String {
    match wait {
        None => String::new(),
        Some(wait) if wait > Duration::from_secs(24 * 3600) => " and asks to wait longer than a day".to_owned(),
        Some(wait) => format!(" and asks to wait {}", Span(wait)),
    }
}

fn listed(lacking: &[String]) -> String {
    match lacking {
        [] => String::new(),
        [one] => format!("; it needs {one}"),
        several => format!("; it needs one of {}", several.join(", ")),
    }
}

fn together(errors: &[SourceError]) -> String {
    errors.iter().map(|error| in_one_line(error)).collect::<Vec<_>>().join("; and ")
}

fn bracketed(category: Option<&str>) -> String {
    category.map(|category| format!(" ({category})")).unwrap_or_default()
}

impl SourceError {
    /// The class of an answer that is not 2xx.
    pub fn of_status(reply: &Reply, now: DateTime<Utc>) -> Self {
        let (status, wait) = (reply.status, reply.retry_after(now));
        match status {
            401 => Self::Refused { status },
            403 => Self::Forbidden { status, lacking: Vec::new() },
            429 => Self::Limit { status, wait },
            408 | 423 | 425 | 500 | 502..=504 | 520..=524 => Self::Server { status, wait },
            _ => Self::Unexpected { status, category: None },
        }
    }

    /// Several failures as one.
    pub fn together(mut errors: Vec<Self>) -> Self {
        match errors.pop() {
            Some(only) if errors.is_empty() => only,
            last => Self::Several(errors.into_iter().chain(last).collect()),
        }
    }

    /// The part of the step that failed, where it has several.
    pub fn part(&self) -> Option<&str> {
        match self {
            Self::Part { part, .. } => Some(part),
            _ => None,
        }
    }

    /// The failure itself, below the parts it happened in; of several the first.
    pub fn root(&self) -> &Self {
        match self {
            Self::Part { source, .. } => source.root(),
            Self::Several(errors) => errors.first().map_or(self, Self::root),
            itself => itself,
        }
    }

    /// Whether another try may help.
    pub fn is_transient(&self) -> bool {
        match self.root() {
            Self::Http(error) => {
                matches!(error, HttpError::Broken(_) | HttpError::Incomplete(_) | HttpError::TimedOut(_))
            }
            Self::Limit { .. } | Self::Server { .. } | Self::Cut(_) | Self::Failed { passes: true, .. } => true,
            _ => false,
        }
    }

    /// How long the CRM asks to wait.
    pub fn wait(&self) -> Option<Duration> {
        match self.root() {
            Self::Limit { wait, .. } | Self::Server { wait, .. } => *wait,
            _ => None,
        }
    }

    /// What to do.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Http(HttpError::Broken(_) | HttpError::Incomplete(_) | HttpError::TimedOut(_))
            | Self::Server { .. }
            | Self::Cut(_) => Advice::CheckNetwork,
            Self::Http(HttpError::Certificate(_)) => Advice::CheckCertificate,
            Self::Http(HttpError::TooLarge(_)) => Advice::RaiseCap,
            Self::TooManyParts(_) => Advice::AskForLess,
            Self::Http(HttpError::ForeignOrigin { .. } | HttpError::NotAUrl) | Self::Paging(_) => Advice::CheckPaging,
            Self::Secret(error) => error.advice(),
            Self::Limit { .. }
            | Self::DailyLimit { .. }
            | Self::Spared { .. }
            | Self::LeftAlone { .. }
            | Self::Quota { .. } => Advice::WaitForLimit,
            Self::Moving { .. } => Advice::WaitForMove,
            Self::Unpaid { .. } => Advice::PayAccount,
            Self::Blocked { .. } => Advice::WaitForBlock,
            Self::Refused { .. } => Advice::RenewCredentials,
            Self::Forbidden { .. } | Self::Several(_) => Advice::GrantPermission,
            Self::Unexpected { .. } | Self::Malformed(_) | Self::Failed { .. } => Advice::CheckAddress,
            Self::Mapping(_) => Advice::CheckMapping,
            Self::Part { source, .. } => source.advice(),
        }
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
