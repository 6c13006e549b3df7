//! Request rate, and when to back off; `[sources.x.rate]`.
//!
//! Requests wait for their turn beforehand. Limits that the CRM reports are obeyed; none is guessed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderName};
use serde::Deserialize;

use crate::http::{Pace, Pacer, Reply};
use crate::memory::Memory;
use crate::settings::{Problem, Section, Span};
use crate::sources::common::Retry;
use crate::sources::rest::headers::NO_HEADER_NAME;
use crate::sources::source::SourceError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    requests: Option<u32>,
    per: Option<Span>,
    reset_header: Option<Header>,
    reset_unit: Option<ResetUnit>,
    quota: Option<Quota>,
    giveup: Option<GiveUp>,
}

/// A header's name.
#[derive(Debug, Clone)]
struct Header(HeaderName);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map(Self).map_err(|_| serde::de::Error::custom(NO_HEADER_NAME))
    }
}

/// What the number in `reset_header` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ResetUnit {
    /// Seconds from now.
    Seconds,
    /// Seconds since 1970.
    EpochS,
    /// Milliseconds since 1970.
    EpochMs,
}

/// How many requests are left to others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quota {
    remaining_header: Header,
    floor: u64,
}

/// An answer after which no request is sent for a while.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct GiveUp {
    status: u16,
    content_type: Option<String>,
    cooloff: Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusKeys {
    statuses: Option<BTreeSet<u16>>,
}

/// Attempts of a failed request, and the statuses to retry after; `None` means the default ones.
struct Tries {
    retry: Retry,
    statuses: Option<BTreeSet<u16>>,
}

/// Valid statuses (RFC 9110 §15).
const STATUSES: std::ops::Range<u16> = 100..600;
/// Statuses that can be a failure.
const FAILURES: std::ops::Range<u16> = 400..600;

/// The limits of one CRM.
pub(super) struct Limits {
    /// Requests in a span of time.
    pace: Option<Pace>,
    reset: Option<(HeaderName, ResetUnit)>,
    quota: Option<Quota>,
    giveup: Option<GiveUp>,
    tries: Option<Tries>,
    /// How many requests were left at the last answer.
    left: Mutex<Option<u64>>,
    memory: Arc<dyn Memory>,
}

/// The key under which the end of the cool-down is remembered.
const LEFT_ALONE: &str = "left_alone";

impl Limits {
    pub(super) fn read(mut section: Section, memory: Arc<dyn Memory>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let tries = read_tries(&mut section).map_err(|found| problems.extend(found)).unwrap_or_default();
        let keys: Keys = match section.read(&["retry"]) {
            Ok(keys) => keys,
            Err(found) => return Err(problems.into_iter().chain(found).collect()),
        };
        let pace = match (keys.requests, keys.per) {
            (Some(0), _) => Err(Problem::at("requests", "must be at least 1")),
            (_, Some(Span(per))) if per.is_zero() => Err(Problem::at("per", "must be longer than nothing")),
            (Some(requests), Some(Span(per))) => Ok(Some(Pace { requests, per })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Problem::at("per", "is missing").hint("in how long, for instance `\"2s\"`")),
            (None, Some(_)) => Err(Problem::at("requests", "is missing").hint("how many in that time")),
        };
        let pace = pace.map_err(|problem| problems.push(problem)).unwrap_or_default();
        if keys.giveup.as_ref().is_some_and(|giveup| !STATUSES.contains(&giveup.status)) {
            problems.push(Problem::at("giveup.status", "is no status of HTTP").hint("for instance 403"));
        }
        let reset = match (keys.reset_header, keys.reset_unit) {
            (Some(Header(name)), Some(unit)) => Some((name, unit)),
            (None, None) => None,
            (Some(_), None) => {
                let problem = Problem::at("reset_unit", "is missing: its number could be seconds or a point in time");
                problems.push(problem.hint("`seconds`, `epoch_s` or `epoch_ms`"));
                None
            }
            (None, Some(_)) => {
                problems.push(Problem::at("reset_header", "is missing"));
                None
            }
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { pace, reset, quota: keys.quota, giveup: keys.giveup, tries, left: Mutex::default(), memory })
    }

    /// The retries, if they are configured here.
    pub(super) fn retry(&self) -> Option<Retry> {
        self.tries.as_ref().map(|tries| tries.retry)
    }

    /// Sets the pace of an address.
    pub(super) fn pace(&self, pacer: &Pacer) {
        self.pace.into_iter().for_each(|pace| pacer.set(pace));
    }

    /// Starts a pull: forgets the quota that was left in the last one.
    pub(super) fn begin(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Refuses the next request during a cool-down, or if the quota is used up.
    pub(super) fn check(&self, now: DateTime<Utc>) -> Result<(), SourceError> {
        if let Some((status, until)) = self.left_alone(now) {
            return Err(SourceError::LeftAlone { status, until });
        }
        let left = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((left, Quota { floor, .. })) = left.zip(self.quota.as_ref())
            && left < *floor
        {
            return Err(SourceError::Quota { left, floor: *floor });
        }
        Ok(())
    }

    /// Records what an answer says about the limits. Fails if a cool-down starts.
    pub(super) fn follow(&self, reply: &Reply, now: DateTime<Utc>) -> Result<(), SourceError> {
        if let Some(quota) = &self.quota {
            let left = reply.header(quota.remaining_header.0.as_str()).and_then(|text| text.trim().parse().ok());
            let mut known = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            *known = left.or(*known);
        }
        let Some(giveup) = self.giveup.as_ref().filter(|giveup| giveup.fits(reply)) else { return Ok(()) };
        let until = now + TimeDelta::from_std(giveup.cooloff.0).unwrap_or(TimeDelta::MAX);
        self.memory
            .put(LEFT_ALONE, &format!("{} {}", reply.status, until.to_rfc3339_opts(SecondsFormat::Millis, true)));
        Err(SourceError::LeftAlone { status: reply.status, until })
    }

    /// The end of the cool-down and the status that started it, in this process or another one.
    fn left_alone(&self, now: DateTime<Utc>) -> Option<(u16, DateTime<Utc>)> {
        let giveup = self.giveup.as_ref()?;
        let text = self.memory.get(LEFT_ALONE)?;
        let (status, until) = text.split_once(' ')?;
        let until: DateTime<Utc> = until.parse().ok()?;
        // A later time was written while the clock was wrong.
        let is_near = (until - now).to_std().is_ok_and(|left| !left.is_zero() && left <= giveup.cooloff.0);
        is_near.then_some((status.parse().ok()?, until))
    }

    /// The error of an answer that is not 2xx, with the wait that `reset_header` asks for.
    pub(super) fn refusal(&self, reply: &Reply, now: DateTime<Utc>) -> SourceError {
        match self.class(reply, now) {
            SourceError::Limit { status, wait: None } => SourceError::Limit { status, wait: self.reset(reply, now) },
            SourceError::Server { status, wait: None } => SourceError::Server { status, wait: self.reset(reply, now) },
            other => other,
        }
    }

    /// The error of an answer that is not 2xx; `statuses` decides whether to retry.
    fn class(&self, reply: &Reply, now: DateTime<Utc>) -> SourceError {
        let (usual, status) = (SourceError::of_reply(reply, now), reply.status);
        let own = self.tries.as_ref().and_then(|tries| tries.statuses.as_ref());
        match own.map(|statuses| statuses.contains(&status)) {
            Some(true) if !usual.is_transient() => SourceError::Server { status, wait: reply.retry_after(now) },
            Some(false) if usual.is_transient() => SourceError::Unexpected { status, category: None },
            _ => usual,
        }
    }

    fn reset(&self, reply: &Reply, now: DateTime<Utc>) -> Option<Duration> {
        let (name, unit) = self.reset.as_ref()?;
        let number: i64 = reply.header(name.as_str())?.trim().parse().ok()?;
        let until = match unit {
            ResetUnit::Seconds => return u64::try_from(number).ok().map(Duration::from_secs),
            ResetUnit::EpochS => DateTime::from_timestamp(number, 0)?,
            ResetUnit::EpochMs => DateTime::from_timestamp_millis(number)?,
        };
        (until - now).to_std().ok()
    }
}

/// Reads `retry` with `statuses`, which only `rest` has.
fn read_tries(section: &mut Section) -> Result<Option<Tries>, Vec<Problem>> {
    if !section.0.contains_key("retry") {
        return Ok(None);
    }
    let mut own = section.table("retry")?;
    let statuses = own.split_off(&["statuses"]).read::<StatusKeys>(&[]).and_then(|StatusKeys { statuses }| {
        let is_right = statuses.iter().flatten().all(|status| FAILURES.contains(status));
        let wrong = || Problem::at("statuses", "holds what is no failure").hint("statuses of 400 to 599");
        if is_right { Ok(statuses) } else { Err(vec![wrong()]) }
    });
    match (own.read::<Retry>(&["statuses"]), statuses) {
        (Ok(retry), Ok(statuses)) => Ok(Some(Tries { retry, statuses })),
        (retry, statuses) => {
            let found = [retry.err(), statuses.err()].into_iter().flatten().flatten();
            Err(found.map(|problem| problem.under(&["retry"])).collect())
        }
    }
}

impl GiveUp {
    fn fits(&self, reply: &Reply) -> bool {
        let is_of_kind = |wanted: &str| {
            let given = reply.header(CONTENT_TYPE.as_str()).unwrap_or_default();
            given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
        };
        reply.status == self.status && self.content_type.as_deref().is_none_or(is_of_kind)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::memory::InProcess;
    use crate::settings::section;

    fn read(toml: &str) -> Result<Limits, Vec<Problem>> {
        Limits::read(section(toml), Arc::new(InProcess::default()))
    }

    fn reply(status: u16, headers: &[(&'static str, &'static str)]) -> Reply {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Reply { status, headers, body: Vec::new(), url: "https://crm.example".parse().unwrap() }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-22T08:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_wait_stands_in_a_header_of_the_crms_own_where_it_sends_no_retry_after() {
        let wait = |unit: &str, value: &'static str, more: &[(&'static str, &'static str)]| {
            let limits = read(&format!("reset_header = 'X-Reset'\nreset_unit = '{unit}'")).unwrap();
            let headers: Vec<_> = [("x-reset", value)].into_iter().chain(more.iter().copied()).collect();
            limits.refusal(&reply(429, &headers), now()).wait().map(|wait| wait.as_secs())
        };
        assert_eq!(wait("seconds", "7", &[]), Some(7));
        assert_eq!(wait("epoch_s", "1795334430", &[]), Some(30));
        assert_eq!(wait("epoch_ms", "1795334430000", &[]), Some(30));
        assert_eq!(wait("seconds", "7", &[("retry-after", "2")]), Some(2));
        assert_eq!(wait("seconds", "soon", &[]), None);
        assert_eq!(wait("epoch_s", "1795334300", &[]), None, "past");
    }

    #[test]
    fn which_statuses_are_tried_again_can_be_said() {
        let usual = read("retry = { attempts = 2 }").unwrap();
        let own = read("retry = { statuses = [409, 429] }").unwrap();
        let tried = |limits: &Limits, status| limits.refusal(&reply(status, &[("retry-after", "7")]), now());
        for (status, by_usual, by_own) in
            [(409, false, true), (429, true, true), (500, true, false), (404, false, false)]
        {
            assert_eq!(tried(&usual, status).is_transient(), by_usual, "{status}");
            assert_eq!(tried(&own, status).is_transient(), by_own, "{status}");
        }
        assert_eq!(tried(&own, 409).wait(), Some(Duration::from_secs(7)));
        assert_eq!((usual.retry().unwrap().attempts, read("").unwrap().retry().is_none()), (2, true));
    }

    #[test]
    fn what_others_need_of_the_quota_is_left_to_them() {
        let limits = read("quota = { remaining_header = 'X-Left', floor = 100 }").unwrap();
        limits.follow(&reply(200, &[("x-left", "100")]), now()).unwrap();
        assert!(limits.check(now()).is_ok());
        limits.follow(&reply(200, &[("x-left", "99")]), now()).unwrap();
        assert!(matches!(limits.check(now()), Err(SourceError::Quota { left: 99, floor: 100 })));
        limits.begin();
        assert!(limits.check(now()).is_ok(), "the next pull sends requests again");
    }

    #[test]
    fn after_a_block_page_the_crm_is_left_alone_for_a_while() {
        let toml = "giveup = { status = 403, content_type = 'text/html', cooloff = '15m' }";
        let limits = read(toml).unwrap();
        assert!(limits.follow(&reply(403, &[("content-type", "application/json")]), now()).is_ok());
        let blocked = limits.follow(&reply(403, &[("content-type", "text/html; charset=utf-8")]), now());
        assert!(matches!(blocked, Err(SourceError::LeftAlone { status: 403, .. })));
        limits.begin();
        assert!(limits.check(now() + TimeDelta::minutes(14)).is_err());
        assert!(limits.check(now() + TimeDelta::minutes(15)).is_ok());
    }

    #[test]
    fn keys_that_need_each_other_are_asked_for_together() {
        for (toml, key) in [
            ("requests = 0\nper = '1s'", "requests"),
            ("requests = 1", "per"),
            ("per = '1s'", "requests"),
            ("requests = 1\nper = '0s'", "per"),
            ("reset_header = 'X'", "reset_unit"),
            ("reset_unit = 'seconds'", "reset_header"),
            ("quota = { floor = 1 }", "quota"),
            ("giveup = { status = 403 }", "giveup"),
            ("retry = 3", "retry"),
            ("retry = { attempt = 3 }", "retry"),
            ("retry = { statuses = [200] }", "retry"),
        ] {
            let problems = read(toml).err().unwrap();
            assert_eq!(problems[0].path[0], key, "{toml}: {problems:?}");
        }
    }
}
