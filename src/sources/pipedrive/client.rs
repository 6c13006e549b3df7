//! Asks Pipedrive: credentials, host, pace and the class of a refusal, the same for every request.
//!
//! Whoever goes on asking after a refusal is shut out with all that the account runs, so the pace is half of what is
//! allowed, a few refusals end the pull, and the next process also respects a daily limit or a block.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::http::{self, Clients, Http, Pace, Reply, Request};
use crate::settings::Problem;
use crate::sources::answer;
use crate::sources::auth::{Auth, Authenticator, Token};
use crate::sources::common::Context;
use crate::sources::day::DayLimit;
use crate::sources::pipedrive::block::Block;
use crate::sources::pipedrive::errors::{WINDOW, number, refusal};
use crate::sources::pipedrive::settings::{Address, Path, TOKEN};
use crate::sources::pipedrive::wire::{self, Answer, EndMarker};
use crate::sources::source::SourceError;

/// Half of the smallest limit there is, until an answer names the account's own.
const FIRST_PACE: Pace = Pace { requests: 10, per: WINDOW };
/// How many refusals for too many requests at once one pull waits out.
const MOST_WAITS: u32 = 3;
/// How long nothing is asked after the limit of the day: nobody says when the day ends.
const DAILY_PAUSE: TimeDelta = TimeDelta::minutes(30);
/// The most pages of a list beside the deals.
const MOST_PAGES: usize = 200;

/// One Pipedrive account, asked with its credentials.
pub(super) struct Client {
    auth: Authenticator,
    address: Address,
    /// Every origin that was ever asked for deals, the configured one first.
    hosts: Mutex<Vec<(String, Arc<Http>)>>,
    clients: Arc<Clients>,
    http: http::Settings,
    clock: Arc<dyn Clock>,
    day_limit: DayLimit,
    block: Block,
    /// Refusals for too many requests since the pull began.
    refused: AtomicU32,
    /// What all requests so far have counted, in tokens.
    tokens: AtomicU64,
    /// What the account may spend in a day, in tokens; 0: unknown.
    daily_limit: AtomicU64,
}

impl Client {
    /// A client for what the section says.
    pub(super) fn new(address: Address, http: &http::Settings, auth: Auth, context: &Context) -> Result<Self, Problem> {
        let clients = &context.clients;
        let first = Http::new(clients, &address.deals, http, Some(FIRST_PACE))?;
        let auth = auth.with_token_url(format!("{}{TOKEN}", address.accounts));
        Ok(Self {
            auth: Authenticator::new(auth, http, context)?,
            hosts: Mutex::new(vec![(address.deals.clone(), Arc::new(first))]),
            address,
            clients: Arc::clone(clients),
            http: http.clone(),
            clock: Arc::clone(&context.clock),
            day_limit: DayLimit::new(Arc::clone(&context.memory)),
            block: Block::new(Arc::clone(&context.memory)),
            refused: AtomicU32::new(0),
            tokens: AtomicU64::new(0),
            daily_limit: AtomicU64::new(0),
        })
    }

    /// A pull starts: it may be refused a few times.
    pub(super) fn reset_refusals(&self) {
        self.refused.store(0, Ordering::Relaxed);
    }

    /// How many requests have been sent since the start.
    pub(super) fn requests(&self) -> u64 {
        self.auth.requests() + self.hosts().iter().map(|(_, http)| http.requests()).sum::<u64>()
    }

    /// What they have counted, in tokens.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// What the account may spend in a day, in tokens, where an answer said so.
    pub(super) fn daily_limit(&self) -> Option<u64> {
        Some(self.daily_limit.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    /// A number that is another one for other credentials, which can be another account's.
    pub(super) fn identity(&self) -> Result<u64, SourceError> {
        self.auth.identity()
    }

    /// One thing.
    pub(super) async fn one<T: DeserializeOwned>(&self, path: Path, below: &str) -> Result<T, SourceError> {
        self.get(path, below, &[]).await?.data()
    }

    /// One thing that is asked for with a query.
    pub(super) async fn one_of<T: DeserializeOwned>(
        &self,
        path: Path,
        query: &[(&str, &str)],
    ) -> Result<T, SourceError> {
        self.get(path, "", query).await?.data()
    }

    /// One page of a list. An empty list can be null.
    pub(super) async fn page(&self, path: Path, query: &[(&str, &str)]) -> Result<Listed, SourceError> {
        let Answer { data, next, end } = self.get::<Vec<Box<RawValue>>>(path, "", query).await?;
        if next.is_none() && end == EndMarker::Contradicted {
            let what = "the list continues, but the answer names no next page";
            return Err(SourceError::Paging(what.to_owned()));
        }
        Ok(Listed { records: data.unwrap_or_default(), next, is_end_said: end == EndMarker::Explicit })
    }

    /// All of a list of version 1, which comes whole and knows no parameters.
    pub(super) async fn whole<T: DeserializeOwned>(&self, path: Path) -> Result<Vec<T>, SourceError> {
        let records = self.get::<Vec<Box<RawValue>>>(path, "", &[]).await?.data.unwrap_or_default();
        Ok(records.iter().filter_map(|record| serde_json::from_str(record.get()).ok()).collect())
    }

    /// All of a list, as far as its records can be read.
    pub(super) async fn all<T: DeserializeOwned>(&self, path: Path) -> Result<Vec<T>, SourceError> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let mut query = vec![("limit", wire::PAGE)];
            query.extend(after.as_deref().map(|after| ("cursor", after)));
            let Listed { records, next, .. } = self.page(path, &query).await?;
            all.extend(records.iter().filter_map(|record| serde_json::from_str(record.get()).ok()));
            if next.is_none() {
                return Ok(all);
            }
            if next == after {
                break;
            }
            after = next;
        }
        Err(SourceError::Paging("the pages of a list beside the deals do not end".to_owned()))
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: Path,
        below: &str,
        query: &[(&str, &str)],
    ) -> Result<Answer<T>, SourceError> {
        let (identity, now) = (self.identity()?, self.clock.now());
        self.day_limit.check(identity, now)?;
        self.block.check(identity, now)?;
        let (mut reply, token) = self.send(path, below, query, None).await?;
        if reply.status == 401 && token.is_some() {
            // Once: a token can be revoked before it ends.
            (reply, _) = self.send(path, below, query, token.as_ref()).await?;
        }
        if !reply.is_success() {
            return Err(self.refused(identity, path, &reply));
        }
        wire::read(&answer::text(reply)?)
    }

    async fn send(
        &self,
        path: Path,
        below: &str,
        query: &[(&str, &str)],
        refused: Option<&Token>,
    ) -> Result<(Reply, Option<Token>), SourceError> {
        let token = self.auth.token(refused).await?;
        let http = match &token {
            Some(token) => self.host(&self.address.of_company(token.endpoint.as_deref())?)?,
            None => Arc::clone(&self.hosts()[0].1),
        };
        let mut url = http.url(&format!("{}{below}", path.text))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = Request::get(url);
        self.auth.apply(&mut request, token.as_ref())?;
        self.tokens.fetch_add(path.tokens, Ordering::Relaxed);
        let reply = http.send(request).await?;
        self.follow(&http, &reply);
        Ok((reply, token))
    }

    fn hosts(&self) -> MutexGuard<'_, Vec<(String, Arc<Http>)>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client of an origin, made when it is first asked.
    fn host(&self, origin: &str) -> Result<Arc<Http>, SourceError> {
        let mut hosts = self.hosts();
        if let Some((_, http)) = hosts.iter().find(|(known, _)| known == origin) {
            return Ok(Arc::clone(http));
        }
        let http = Http::new(&self.clients, origin, &self.http, Some(FIRST_PACE))
            .map_err(|_| SourceError::Malformed("the answer names an `api_domain` that is no address".to_owned()))?;
        let http = Arc::new(http);
        hosts.push((origin.to_owned(), Arc::clone(&http)));
        Ok(http)
    }

    /// Takes over what the answer says of the limits; each of these headers can be missing.
    fn follow(&self, http: &Http, reply: &Reply) {
        if let Some(limit) = number(reply, "x-ratelimit-limit").and_then(|limit| u32::try_from(limit).ok()) {
            http.pacer().set(half(limit));
            if number(reply, "x-ratelimit-remaining") == Some(0) && reply.is_success() {
                // Others use the same token: wait for some of theirs to leave the window.
                http.pacer().hold(WINDOW / 4);
            }
        }
        if let Some(limit) = number(reply, "x-daily-ratelimit-token-limit") {
            self.daily_limit.store(limit, Ordering::Relaxed);
        }
    }

    /// The class of a refusal; one that lasts is kept to.
    fn refused(&self, identity: u64, path: Path, reply: &Reply) -> SourceError {
        let now = self.clock.now();
        match refusal(reply, now) {
            SourceError::Limit { status, .. } if self.refused.fetch_add(1, Ordering::Relaxed) >= MOST_WAITS => {
                self.day_limit.pause(identity, now + DAILY_PAUSE);
                SourceError::DailyLimit { status, resets: None }
            }
            SourceError::DailyLimit { status, .. } => {
                self.day_limit.pause(identity, now + DAILY_PAUSE);
                SourceError::DailyLimit { status, resets: None }
            }
            SourceError::Blocked { status, .. } => {
                SourceError::Blocked { status, ends: Some(self.block.begins(identity, now)) }
            }
            // A user's own token has no scopes.
            SourceError::Forbidden { status, .. } if self.auth.is_oauth() => {
                SourceError::Forbidden { status, lacking: vec![format!("the scope `{}`", path.scope)] }
            }
            other => other,
        }
    }
}

/// One page of a list.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) records: Vec<Box<RawValue>>,
    pub(super) next: Option<String>,
    /// Whether a page without a next one says that it is the last.
    pub(super) is_end_said: bool,
}

/// Half of a limit: the rest is for whatever else uses the same token.
fn half(limit: u32) -> Pace {
    Pace { requests: (limit / 2).max(1), per: WINDOW }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_pace_is_half_of_what_the_account_may_send() {
        for (limit, kept) in [(0, 1), (1, 1), (20, 10), (80, 40), (480, 240)] {
            assert_eq!(half(limit), Pace { requests: kept, per: Duration::from_secs(2) });
        }
        assert_eq!(half(20), FIRST_PACE, "the smallest plan's");
    }
}
