//! The one loop that reads a source: retry, limits, deadline and cursor guards stand here, once.
//!
//! A page that fails fails the pull. What it cannot prove, it does not claim.

mod coverage;
mod guards;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::advice::Advice;
use crate::clock::Clock;
use crate::model::deal::Deal;
use crate::model::snapshot::Vanished;
use crate::settings::Span;
use crate::sources::common::{Built, Retry, Scope};
pub use crate::sources::fetch::coverage::FieldCoverage;
pub(super) use crate::sources::fetch::guards::Guards;
use crate::sources::source::{
    Attempt, End, MissingDealOutcome, Names, Opened, Page, Session, SourceError, Tally, Wanted,
};
use crate::telemetry::in_one_line;

/// The longest wait that a server may ask for.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);
/// How many tries a pull may have beside the first of each request …
const RETRIES: u64 = 10;
/// … and one more per this many requests, so that a failing CRM is not flooded.
const RETRIES_SHARE: u64 = 10;
/// What a request in flight may still take once the program is to end.
const END_OF_PAGE: Duration = Duration::from_secs(2);

/// Why a pull did not end.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The CRM did not answer as it should.
    #[error("{step}")]
    Source {
        /// What was being read.
        step: String,
        /// Why it failed.
        source: SourceError,
    },
    /// The deadline passed.
    #[error("the pull took longer than {0}")]
    Deadline(Span),
    /// The program is to end.
    #[error("the program was told to end")]
    Stopped,
    /// The spool cannot be written.
    #[error("write the spool")]
    Spool(#[source] io::Error),
}

impl FetchError {
    /// What to do; a stop needs nothing.
    pub fn advice(&self) -> Option<Advice> {
        match self {
            Self::Source { source, .. } => Some(source.advice()),
            Self::Deadline(_) => Some(Advice::RaiseDeadline),
            Self::Spool(error) => Some(Advice::on_io(error)),
            Self::Stopped => None,
        }
    }
}

/// How far a pull is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pages read.
    pub pages: u64,
    /// Records received.
    pub fetched: u64,
    /// How many there are, where the CRM says.
    pub expected: Option<u64>,
}

/// What a pull read, beside the deals that went to the sink.
#[derive(Debug)]
pub struct Fetched {
    /// What was known before the first page.
    pub opened: Opened,
    /// Pages read.
    pub pages: u64,
    /// Records received.
    pub fetched: u64,
    /// What was counted over all pages.
    pub tally: Tally,
    /// The least and the most that the list itself said there are, while it was read.
    pub listed: Option<(u64, u64)>,
    /// The result of a separate count, before the first page.
    pub counted: Option<u64>,
    /// In how many records each field had something.
    pub coverage: FieldCoverage,
    /// When the last of the deals was changed, UTC.
    pub changed_at: Option<DateTime<Utc>>,
    /// The names that the pages left open.
    pub names: Names,
    /// The ids of all records.
    pub seen: IdSet,
    /// What became of the deals that a pull before found and this one did not.
    pub vanished: Option<Vanished>,
    /// How the end of the list is known.
    pub end: End,
    /// When the first request was sent, UTC.
    pub started_at: DateTime<Utc>,
    /// When the last page was in, UTC.
    pub finished_at: DateTime<Utc>,
    /// Requests sent, retries included.
    pub requests: u64,
}

/// The ids of all records of a pull, wanted or not, in eight bytes each.
#[derive(Debug, Default)]
pub struct IdSet(Vec<u64>);

impl IdSet {
    /// Takes note of ids; [`sort`](Self::sort) comes after the last.
    fn add<'a>(&mut self, ids: impl Iterator<Item = &'a String>) {
        self.0.extend(ids.map(|id| Self::hash(id)));
    }

    fn sort(&mut self) {
        self.0.sort_unstable();
    }

    /// Whether a record had this id. Of a million others one has the same hash once in twenty million million pulls.
    pub fn has(&self, id: &str) -> bool {
        self.0.binary_search(&Self::hash(id)).is_ok()
    }

    fn hash(id: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        hasher.finish()
    }
}

/// Reads all deals of a source once, page by page, into `sink`; nothing is kept here but what the guards need.
pub async fn fetch(
    built: &Built,
    deadline: Span,
    clock: &dyn Clock,
    stop: &CancellationToken,
    sink: impl FnMut(&[Deal]) -> io::Result<()>,
    progress: impl Fn(Progress),
) -> Result<Fetched, FetchError> {
    let ends_at = clock.instant() + deadline.0;
    let run = PullRun::new(built, clock, ends_at, stop);
    let ended = tokio::time::timeout_at(ends_at, run.run(sink, progress)).await;
    if let Some(session) = run.session.get() {
        // Courtesy to the CRM: nothing of the pull depends on it.
        let _ = tokio::time::timeout(END_OF_PAGE, session.close()).await;
    }
    let mut fetched = ended.unwrap_or(Err(FetchError::Deadline(deadline)))?;
    fetched.requests = built.source.requests() - run.sent_before;
    Ok(fetched)
}

/// Asks the CRM until `ends_at` why deals are missing. On an error `outcomes` holds the answers so far.
pub async fn resolve_missing(
    built: &Built,
    ids: &BTreeSet<String>,
    ends_at: Instant,
    clock: &dyn Clock,
    stop: &CancellationToken,
    outcomes: &mut BTreeMap<String, MissingDealOutcome>,
) -> Result<(), FetchError> {
    let at_once = built.source.missing_at_once();
    if at_once == 0 {
        return Ok(());
    }
    let run = PullRun::new(built, clock, ends_at, stop);
    let ids: Vec<&String> = ids.iter().collect();
    for piece in ids.chunks(at_once) {
        let piece: BTreeSet<String> = piece.iter().copied().cloned().collect();
        outcomes.extend(run.step("ask what became of vanished deals", || built.source.missing(&piece)).await?);
    }
    Ok(())
}

struct PullRun<'a> {
    built: &'a Built,
    clock: &'a dyn Clock,
    ends_at: Instant,
    stop: &'a CancellationToken,
    /// Closed at the end.
    session: OnceLock<Box<dyn Session + 'a>>,
    /// Requests that the source had sent before.
    sent_before: u64,
    /// Tries beside the first of each request.
    retries: AtomicU64,
}

impl<'a> PullRun<'a> {
    fn new(built: &'a Built, clock: &'a dyn Clock, ends_at: Instant, stop: &'a CancellationToken) -> Self {
        let (sent_before, retries) = (built.source.requests(), AtomicU64::new(0));
        Self { built, clock, ends_at, stop, session: OnceLock::new(), sent_before, retries }
    }

    async fn run(
        &self,
        mut sink: impl FnMut(&[Deal]) -> io::Result<()>,
        progress: impl Fn(Progress),
    ) -> Result<Fetched, FetchError> {
        let started_at = self.clock.now();
        let source = &self.built.source;
        let mut attempt = Attempt::First;
        let opening = || source.open(std::mem::replace(&mut attempt, Attempt::Retry));
        let opened = self.step("open the source", opening).await?;
        let session = self.session.get_or_init(|| opened);
        let opened = session.opened().clone();
        opened.warnings.iter().for_each(|warning| warn!("{warning}"));
        let mut guards = Guards::new(source.bounds());
        let mut fetched = Fetched {
            listed: opened.expected.filter(|expected| expected.exact).map(|expected| (expected.count, expected.count)),
            counted: opened.expected.filter(|expected| !expected.exact).map(|expected| expected.count),
            coverage: FieldCoverage::default(),
            changed_at: None,
            names: Names::default(),
            opened,
            pages: 0,
            fetched: 0,
            tally: Tally::default(),
            seen: IdSet::default(),
            vanished: None,
            end: End::default(),
            started_at,
            finished_at: started_at,
            requests: 0,
        };
        let mut wanted = Wanted::default();
        let mut unreadable: Option<(u64, u64)> = None;
        let mut after: Option<String> = None;
        loop {
            let step = format!("read page {}", fetched.pages + 1);
            let page = self.step(&step, || session.page(after.as_deref())).await?;
            let wrong = |what: String| FetchError::Source { step: step.clone(), source: SourceError::Paging(what) };
            guards.check(&page.ids, page.fetched(), page.next.as_deref()).map_err(wrong)?;
            after.clone_from(&page.next);
            unreadable = unreadable.or_else(|| Some((page.tally.skipped.first?, fetched.pages + 1)));
            self.take(page, &mut fetched, &mut wanted, &mut sink)?;
            progress(Progress {
                pages: fetched.pages,
                fetched: fetched.fetched,
                expected: fetched.listed.map(|(_, most)| most).or(fetched.counted),
            });
            if after.is_none() {
                break;
            }
            if self.stop.is_cancelled() {
                return Err(FetchError::Stopped);
            }
        }
        for piece in wanted.pieces(|table| source.names_at_once(table)) {
            fetched.names.extend(self.step("look up names", || session.names(&piece)).await?);
            if self.stop.is_cancelled() {
                return Err(FetchError::Stopped);
            }
        }
        if fetched.listed.is_some() {
            fetched.end = fetched.end.counted();
        }
        if let Some((place, page)) = unreadable {
            // Once, however many they are. An error's own words may quote a record, so none are repeated.
            let (count, records) =
                (fetched.tally.skipped.count, if fetched.tally.skipped.count == 1 { "record" } else { "records" });
            warn!("Left out {count} {records} that cannot be read; the first is record {place} of page {page}");
        }
        fetched.seen.sort();
        fetched.finished_at = self.clock.now();
        Ok(fetched)
    }

    /// Counts the page and hands the wanted deals to the sink.
    fn take(
        &self,
        mut page: Page,
        fetched: &mut Fetched,
        wanted: &mut Wanted,
        sink: &mut impl FnMut(&[Deal]) -> io::Result<()>,
    ) -> Result<(), FetchError> {
        fetched.pages += 1;
        fetched.seen.add(page.ids.iter().filter(|id| !page.deleted.contains(*id)));
        fetched.fetched += page.fetched();
        if let Some(total) = page.total {
            let (fewest, most) =
                (total.saturating_sub(page.total_tolerance), total.saturating_add(page.total_tolerance));
            let (least, greatest) = fetched.listed.unwrap_or((fewest, most));
            fetched.listed = Some((least.min(fewest), greatest.max(most)));
        }
        let (coverage, changed_at) = (&mut fetched.coverage, &mut fetched.changed_at);
        apply_scope(&mut page, &self.built.scope, &fetched.opened, fetched.started_at, |deal| {
            coverage.add(deal);
            *changed_at = (*changed_at).max(deal.updated_at);
        });
        page.tally.deleted = page.deleted.len() as u64;
        fetched.tally.merge(page.tally);
        page.deals.iter().for_each(|deal| wanted.add(deal));
        if fetched.end.doubt().is_none() {
            fetched.end = page.end;
        }
        sink(&page.deals).map_err(FetchError::Spool)
    }

    /// One step, tried again while that may help, ended soon after a stop.
    async fn step<T, F, Answer>(&self, step: &str, mut ask: F) -> Result<T, FetchError>
    where
        F: FnMut() -> Answer,
        Answer: Future<Output = Result<T, SourceError>>,
    {
        let asking = async {
            let began = self.clock.instant();
            let mut waits = waits(self.built.retry);
            let mut failed_part = None;
            loop {
                let error = match ask().await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
                let part = error.part().map(ToOwned::to_owned);
                if part != failed_part {
                    // Another request of the step: what failed before has been answered.
                    waits = self::waits(self.built.retry);
                    failed_part = part;
                }
                let Some(wait) = waits.next().and_then(|wait| self.wait(&error, wait, began)) else {
                    return Err(error);
                };
                self.retries.fetch_add(1, Ordering::Relaxed);
                let (error, wait_ms) = (in_one_line(&error), u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                warn!(error, wait_ms, "Trying again: {step}");
                tokio::time::sleep(wait).await;
            }
        };
        let stopped = async {
            self.stop.cancelled().await;
            tokio::time::sleep(END_OF_PAGE).await;
        };
        tokio::select! {
            answer = asking => answer.map_err(|source| FetchError::Source { step: step.to_owned(), source }),
            () = stopped => Err(FetchError::Stopped),
        }
    }

    /// The wait before the next try, if one may help: what the CRM asks for and a little more, so that not all who wait
    /// come back at once, if the deadline and what one request may take leave that much. `began` is its first try.
    fn wait(&self, error: &SourceError, backoff: Duration, began: Instant) -> Option<Duration> {
        if !error.is_transient() || self.stop.is_cancelled() {
            return None;
        }
        let sent = self.built.source.requests() - self.sent_before;
        if self.retries.load(Ordering::Relaxed) >= RETRIES + sent / RETRIES_SHARE {
            warn!("No other try: this pull has had as many as it may");
            return None;
        }
        let now = self.clock.instant();
        let tried = now.saturating_duration_since(began);
        let in_all = |wait: &Duration| self.built.retry.total.is_none_or(|total| tried + *wait <= total.0);
        let Some(asked) = error.wait() else { return Some(backoff).filter(in_all) };
        let asked = Some(asked.max(Duration::from_secs(1))).filter(|asked| *asked <= MAX_WAIT)?;
        let wait = asked + jittered(asked / 10);
        let left = self.ends_at.saturating_duration_since(now);
        Some(wait).filter(|wait| *wait < left).filter(in_all)
    }
}

/// The waits between the tries of one request: each about twice as long as the one before.
fn waits(Retry { attempts, base, max, .. }: Retry) -> impl Iterator<Item = Duration> {
    let waits = ExponentialBuilder::default().with_min_delay(base.0).with_max_delay(max.0).with_jitter();
    // The jitter goes on top of the longest.
    waits.with_max_times(attempts.saturating_sub(1)).build().map(move |wait| wait.min(max.0))
}

/// Between once and twice as long.
fn jittered(wait: Duration) -> Duration {
    ExponentialBuilder::default().with_min_delay(wait).with_jitter().build().next().unwrap_or(wait)
}

/// Puts the account's own currency where the CRM says nothing of a deal's, and leaves out what the configuration does;
/// `each` sees every deal before.
pub fn apply_scope(page: &mut Page, scope: &Scope, opened: &Opened, now: DateTime<Utc>, mut each: impl FnMut(&Deal)) {
    let received = page.deals.len();
    for deal in &mut page.deals {
        if !deal.in_unknown_currency {
            deal.currency = deal.currency.or(opened.currency);
        }
        each(deal);
    }
    page.deals.retain(|deal| scope.wants(deal, now));
    page.tally.filtered += (received - page.deals.len()) as u64;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn waits_grow_are_never_longer_than_the_longest_and_never_the_same_for_everybody() {
        let seconds = |seconds| Span(Duration::from_secs(seconds));
        let retry = Retry { attempts: 9, base: seconds(1), max: seconds(60), total: None };
        let mut firsts = HashSet::new();
        for _ in 0..20 {
            let waits: Vec<Duration> = waits(retry).collect();
            assert_eq!(waits.len(), 8);
            assert!(waits.iter().all(|wait| (seconds(1).0..=seconds(60).0).contains(wait)), "{waits:?}");
            assert!(waits[3] >= seconds(8).0 && waits[7] == seconds(60).0, "{waits:?}");
            firsts.insert(waits[0]);
        }
        assert!(firsts.len() > 1, "{firsts:?}");
        let asked: HashSet<Duration> = (0..20).map(|_| jittered(seconds(1).0)).collect();
        assert!(asked.len() > 1 && asked.iter().all(|wait| (seconds(1).0..=seconds(2).0).contains(wait)), "{asked:?}");
    }
}
