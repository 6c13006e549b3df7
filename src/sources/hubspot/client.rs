//! Asks HubSpot: credentials, pace and the class of a refusal, the same for every request.
//!
//! The pace follows what the latest answer allows and stays below it. Searches have a limit of their own, which all
//! apps of an account share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::http::{self, Http, Pace, Pacer, Reply, Request};
use crate::settings::Problem;
use crate::sources::answer;
use crate::sources::auth::{Authenticator, Token, TokenEndpoint};
use crate::sources::common::Context;
use crate::sources::day::DayLimit;
use crate::sources::hubspot::errors::{TEN_SECONDS, refusal, window};
use crate::sources::hubspot::settings::{Paths, Settings};
use crate::sources::source::SourceError;

/// The smallest limit there is, until an answer names the account's own.
const FIRST_PACE: Pace = Pace { requests: below(100), per: TEN_SECONDS };
/// Of 5 searches a second: evenly, so that no second holds more than 5.
const SEARCH_PACE: Pace = Pace { requests: 1, per: Duration::from_millis(215) };
/// How long no request is sent after the daily limit, where nobody knows when the account's day ends.
const DAILY_PAUSE: TimeDelta = TimeDelta::hours(1);

/// 95 % of a limit: the rest is for requests that are late on their way.
const fn below(limit: u32) -> u32 {
    let kept = limit - limit.div_ceil(20);
    if kept == 0 { 1 } else { kept }
}

/// One HubSpot account, asked with its credentials.
pub(super) struct Client {
    http: Http,
    auth: Authenticator,
    clock: Arc<dyn Clock>,
    search: Pacer,
    /// What the account may send in a day; 0: unknown.
    daily_limit: AtomicU64,
    day_limit: DayLimit,
    /// The zone in which the account's day ends.
    zone: Mutex<Option<Tz>>,
    /// Where everything is.
    pub(super) paths: &'static Paths,
}

/// The token endpoint answers with HubSpot's own errors.
#[derive(Debug)]
pub(super) struct HubspotTokens;

impl TokenEndpoint for HubspotTokens {
    fn classify(&self, reply: &Reply, now: DateTime<Utc>) -> SourceError {
        refusal(reply, false, now)
    }
}

impl Client {
    /// A client for what the section says.
    pub(super) fn new(
        endpoint: &str,
        http: &http::Settings,
        settings: Settings,
        context: &Context,
    ) -> Result<Self, Problem> {
        let paths = settings.version.paths();
        let auth = settings.auth.with_token_endpoint(format!("{endpoint}{}", paths.token), Arc::new(HubspotTokens));
        Ok(Self {
            http: Http::new(&context.clients, endpoint, http, Some(FIRST_PACE))?,
            auth: Authenticator::new(auth, http, context)?,
            clock: context.clock.clone(),
            search: Pacer::new(Some(SEARCH_PACE)),
            daily_limit: AtomicU64::new(0),
            day_limit: DayLimit::new(context.memory.clone()),
            zone: Mutex::default(),
            paths,
        })
    }

    /// How many requests have been sent since the start.
    pub(super) fn requests(&self) -> u64 {
        self.http.requests() + self.auth.requests()
    }

    /// What the account may send in a day, where an answer said so.
    pub(super) fn daily_limit(&self) -> Option<u64> {
        Some(self.daily_limit.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    /// The account's day ends at midnight of this zone.
    pub(super) fn set_zone(&self, zone: Option<Tz>) {
        *self.zone.lock().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    /// A number that is another one for other credentials, which can be another account's.
    pub(super) fn identity(&self) -> Result<u64, SourceError> {
        self.auth.identity()
    }

    /// GETs a path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, SourceError> {
        let mut url = self.http.url(path)?;
        url.query_pairs_mut().extend_pairs(query);
        self.ask(Request::get(url), false).await
    }

    /// POSTs a question: nothing is written by it.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, SourceError> {
        self.post_with(path, &[], body).await
    }

    /// The same with parameters in the address.
    pub(super) async fn post_with<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &impl Serialize,
    ) -> Result<T, SourceError> {
        let mut request = self.question(path, body)?;
        if !query.is_empty() {
            request.url.query_pairs_mut().extend_pairs(query);
        }
        self.ask(request, false).await
    }

    /// The same, of the search, which has its own limit.
    pub(super) async fn search<T: DeserializeOwned>(&self, body: &impl Serialize) -> Result<T, SourceError> {
        self.ask(self.question(self.paths.search, body)?, true).await
    }

    fn question(&self, path: &str, body: &impl Serialize) -> Result<Request, SourceError> {
        let body = serde_json::to_vec(body).expect("texts, numbers and lists are JSON");
        Ok(Request::question(self.http.url(path)?, "application/json", body))
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request, is_search: bool) -> Result<T, SourceError> {
        // Nothing is asked until the account's new day begins.
        self.day_limit.check(self.identity()?, self.clock.now())?;
        let (mut reply, token) = self.send(&request, is_search, None).await?;
        if reply.status == 401 && token.is_some() {
            // Once: HubSpot says that a 401 need not mean that the token has ended.
            (reply, _) = self.send(&request, is_search, token.as_ref()).await?;
        }
        if !reply.is_success() {
            return Err(self.note_day_limit(refusal(&reply, is_search, self.clock.now())));
        }
        let text = answer::text(reply)?;
        answer::check_parts(&text)?;
        serde_json::from_str(&text).map_err(|error| answer::not_json(&error, text.len()))
    }

    async fn send(
        &self,
        request: &Request,
        is_search: bool,
        refused: Option<&Token>,
    ) -> Result<(Reply, Option<Token>), SourceError> {
        let mut request = request.clone();
        let token = self.auth.token(refused).await.map_err(|error| self.note_day_limit(error))?;
        self.auth.apply(&mut request, token.as_ref())?;
        let pacer = if is_search { &self.search } else { self.http.pacer() };
        let reply = self.http.send_at(pacer, request).await?;
        self.follow(&reply);
        Ok((reply, token))
    }

    /// Takes over what the answer says of the limits; a search's says nothing of the usual one.
    fn follow(&self, reply: &Reply) {
        let number = |name: &str| reply.header(name)?.parse::<u32>().ok();
        if let (Some(limit @ 1..), Some(per)) = (number("x-hubspot-ratelimit-max"), window(reply)) {
            self.http.pacer().set(Pace { requests: below(limit), per });
            if number("x-hubspot-ratelimit-remaining") == Some(0) {
                // Others use the same key: wait for some of theirs to leave the window.
                self.http.pacer().hold(per / 10);
            }
        }
        if let Some(limit) = number("x-hubspot-ratelimit-daily") {
            self.daily_limit.store(limit.into(), Ordering::Relaxed);
        }
    }

    /// Notes the limit of the day, so that nothing is asked before it ends, and says when that is, where it is known.
    fn note_day_limit(&self, error: SourceError) -> SourceError {
        match error {
            SourceError::DailyLimit { status, .. } => {
                let now = self.clock.now();
                let zone = *self.zone.lock().unwrap_or_else(PoisonError::into_inner);
                let resets = zone.and_then(|zone| midnight_after(now, zone));
                if let Ok(identity) = self.identity() {
                    match resets {
                        Some(resets) => self.day_limit.reached(identity, resets),
                        None => self.day_limit.pause(identity, now + DAILY_PAUSE),
                    }
                }
                SourceError::DailyLimit { status, resets }
            }
            SourceError::Part { part, source } => {
                SourceError::Part { part, source: Box::new(self.note_day_limit(*source)) }
            }
            other => other,
        }
    }
}

/// When the day after `now` begins in `zone`; `None` where no clock there shows that midnight.
fn midnight_after(now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
    let tomorrow = now.with_timezone(&zone).date_naive().succ_opt()?;
    Some(tomorrow.and_time(chrono::NaiveTime::MIN).and_local_timezone(zone).earliest()?.to_utc())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn the_pace_stays_below_the_limit_and_reaches_nine_tenths_of_it() {
        for limit in [10, 100, 110, 190, 250] {
            let kept = below(limit);
            assert!(kept < limit && kept * 10 >= limit * 9, "{kept} of {limit}");
        }
        assert_eq!(below(1), 1);
        let (each, second) = (SEARCH_PACE.per.as_millis(), 1_000);
        assert!(second / each < 5 && second * 10 / each >= 45, "at least 4.5 and less than 5 in a second");
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_limit_nine_tenths_are_reached_and_hardly_a_request_is_refused() {
        for (limit, window) in
            [(100, Duration::from_secs(10)), (190, Duration::from_secs(10)), (5, Duration::from_secs(1))]
        {
            let is_search = limit == 5;
            let pace = if is_search { SEARCH_PACE } else { Pace { requests: below(limit), per: window } };
            let (pacer, begun) = (Pacer::new(Some(pace)), Instant::now());
            let (mut admitted, mut refused) = (VecDeque::new(), 0);
            for number in 0..4_000_u64 {
                pacer.wait().await;
                // On its way for 5 to 34 ms, and answered as soon.
                let on_its_way = Duration::from_millis(5 + number * 7 % 30);
                tokio::time::sleep(on_its_way).await;
                admitted.retain(|at: &Instant| at.elapsed() < window);
                if admitted.len() < limit as usize { admitted.push_back(Instant::now()) } else { refused += 1 }
            }
            let reached = 4_000.0 / begun.elapsed().as_secs_f64() / (f64::from(limit) / window.as_secs_f64());
            assert!(reached >= 0.9, "{reached} of {limit}");
            assert!(refused <= 4, "{refused} of 4,000 at {limit}");
        }
    }

    #[test]
    fn the_daily_limit_ends_at_the_accounts_midnight() {
        let midnight = |now: &str, zone| midnight_after(now.parse().unwrap(), zone).unwrap().to_rfc3339();
        assert_eq!(midnight("2026-11-22T15:00:00Z", Tz::US__Eastern), "2026-11-23T05:00:00+00:00");
        assert_eq!(midnight("2026-11-22T03:00:00Z", Tz::US__Eastern), "2026-11-22T05:00:00+00:00");
        assert_eq!(midnight("2026-07-01T12:00:00Z", Tz::Europe__Berlin), "2026-07-01T22:00:00+00:00");
    }
}
