//! What an answer outside 2xx means.
//!
//! Errors never repeat its text; the body only shows whether it is JSON or an HTML page.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::CONTENT_TYPE;

use crate::http::Reply;
use crate::sources::source::SourceError;

/// The window of the burst limit.
pub(super) const WINDOW: Duration = Duration::from_secs(2);
/// The longest wait of a 429: some answers have an unusable `retry-after`.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The error of an answer.
pub(super) fn refusal(reply: &Reply, now: DateTime<Utc>) -> SourceError {
    let status = reply.status;
    match status {
        402 => SourceError::Unpaid { status },
        403 if !is_json(reply) => SourceError::Blocked { status, ends: None },
        429 => limit(reply, now),
        _ => SourceError::of_reply(reply, now),
    }
}

/// Both kinds of 429 have the same body. Only the headers differ, and they may be missing.
fn limit(reply: &Reply, now: DateTime<Utc>) -> SourceError {
    let status = reply.status;
    let is_spent = number(reply, "x-daily-ratelimit-token-remaining") == Some(0);
    let is_burst_left = number(reply, "x-ratelimit-remaining").is_some_and(|left| left > 0);
    if is_spent || is_burst_left {
        return SourceError::DailyLimit { status, resets: None };
    }
    let window = number(reply, "x-ratelimit-reset").map_or(WINDOW, Duration::from_secs);
    let wait = reply.retry_after(now).unwrap_or_default().max(window).max(WINDOW).min(LONGEST_WAIT);
    SourceError::Limit { status, wait: Some(wait) }
}

/// A header that is a whole number. Some accounts lack some headers.
pub(super) fn number(reply: &Reply, name: &str) -> Option<u64> {
    reply.header(name)?.trim().parse().ok()
}

/// Whether Pipedrive itself answered, not the proxy in front of it.
fn is_json(reply: &Reply) -> bool {
    let labelled = reply.header(CONTENT_TYPE.as_str()).is_none_or(|kind| kind.to_ascii_lowercase().contains("json"));
    labelled && reply.body.trim_ascii_start().first() == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::advice::Advice;

    const JSON: &str = r#"{"success":false,"error":"canary","errorCode":401,"code":"canary"}"#;
    const PAGE: &str = "<!DOCTYPE html><html>canary</html>";

    fn reply(status: u16, body: &str, headers: &[(&'static str, &'static str)]) -> Reply {
        let url = "https://acme.pipedrive.com/".parse().unwrap();
        let kind = if body.starts_with('<') { "text/html; charset=UTF-8" } else { "application/json; charset=utf-8" };
        let headers = [("content-type", kind)].into_iter().chain(headers.iter().copied());
        let headers: HeaderMap =
            headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        Reply { status, headers, body: body.as_bytes().to_vec(), url }
    }

    fn class(status: u16, body: &str) -> SourceError {
        refusal(&reply(status, body, &[]), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn each_status_has_its_class_and_its_cure_and_none_repeats_the_body() {
        for (status, transient, advice) in [
            (400, false, Advice::CheckAddress),
            (401, false, Advice::RenewCredentials),
            (402, false, Advice::PayAccount),
            (404, false, Advice::CheckAddress),
            (410, false, Advice::CheckAddress),
            (415, false, Advice::CheckAddress),
            (429, true, Advice::WaitForLimit),
            (500, true, Advice::CheckNetwork),
            (501, false, Advice::CheckAddress),
            (502, true, Advice::CheckNetwork),
            (503, true, Advice::CheckNetwork),
            (504, true, Advice::CheckNetwork),
            (520, true, Advice::CheckNetwork),
            (521, true, Advice::CheckNetwork),
            (522, true, Advice::CheckNetwork),
            (523, true, Advice::CheckNetwork),
            (524, true, Advice::CheckNetwork),
            (302, false, Advice::CheckAddress),
        ] {
            for body in ["", PAGE, JSON] {
                let error = class(status, body);
                assert_eq!((error.is_transient(), error.advice()), (transient, advice), "{status} {body}");
                assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
                assert!(error.to_string().contains(&status.to_string()), "{error}");
            }
        }
    }

    #[test]
    fn a_403_that_is_no_json_is_a_block_and_one_that_is_is_a_permission() {
        assert_eq!(class(403, JSON).advice(), Advice::GrantPermission);
        for body in [PAGE, "", "error code: 1020"] {
            let error = class(403, body);
            assert_eq!((error.is_transient(), error.advice()), (false, Advice::WaitForBlock), "{body}");
        }
    }

    #[test]
    fn the_burst_limit_is_waited_for_and_the_days_is_not() {
        let wait = |headers: &[(&'static str, &'static str)]| match refusal(
            &reply(429, JSON, headers),
            DateTime::UNIX_EPOCH,
        ) {
            SourceError::Limit { wait, .. } => wait.map(|wait| wait.as_secs()),
            SourceError::DailyLimit { .. } => None,
            other => panic!("{other:?}"),
        };
        let (burst, none_left) = (("x-ratelimit-remaining", "0"), ("x-daily-ratelimit-token-remaining", "0"));
        assert_eq!(wait(&[burst, ("x-ratelimit-reset", "2")]), Some(2));
        assert_eq!(wait(&[burst, ("x-ratelimit-reset", "5")]), Some(5));
        assert_eq!(wait(&[burst, ("x-daily-ratelimit-token-remaining", "17")]), Some(2));
        assert_eq!(wait(&[("x-ratelimit-remaining", "17"), none_left, ("retry-after", "3")]), None);
        assert_eq!(wait(&[none_left]), None);
        assert_eq!(wait(&[("x-ratelimit-remaining", "17")]), None, "something else than the burst refuses");
        assert_eq!(wait(&[]), Some(2), "no header need be there");
        assert_eq!(wait(&[("x-ratelimit-remaining", "many"), ("x-ratelimit-reset", "-1")]), Some(2));
        assert_eq!(wait(&[("retry-after", "3")]), Some(3));
        assert_eq!(wait(&[("retry-after", "86400")]), Some(10));
    }
}
