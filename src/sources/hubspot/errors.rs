//! The meaning of HubSpot answers that are not 2xx; see docs/crm/hubspot.md.
//!
//! Of its text only two things are repeated, and only in the letters they can have: the names of scopes and HubSpot's
//! own category.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::http::Reply;
use crate::sources::source::SourceError;

/// The window of the usual limit.
pub(super) const TEN_SECONDS: Duration = Duration::from_secs(10);
/// The longest wait that a 429 is believed; HubSpot documents none for it.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long a lock lasts.
const LOCKED: Duration = Duration::from_secs(2);
/// Larger bodies are not HubSpot errors.
const MAX_BODY: usize = 64 << 10;

/// The class of an answer, and what HubSpot says about it.
pub(super) fn refusal(reply: &Reply, is_search: bool, now: DateTime<Utc>) -> SourceError {
    let (status, asked) = (reply.status, reply.retry_after(now));
    let said = Said::of(&reply.body);
    match status {
        // Cloudflare answers 530 to a token that names no data centre.
        401 | 530 => SourceError::Refused { status },
        403 => SourceError::Forbidden { status, lacking: said.scopes() },
        414 => {
            SourceError::Mapping("the CRM answers 414: the fields name more properties than an address holds".into())
        }
        423 => SourceError::Server { status, wait: Some(asked.unwrap_or(LOCKED)) },
        429 => limit(reply, &said, is_search, asked),
        477 => SourceError::Moving { status, wait: asked },
        525 | 526 => SourceError::Server { status, wait: asked },
        _ => match SourceError::of_reply(reply, now) {
            SourceError::Unexpected { status, .. } => SourceError::Unexpected { status, category: said.category() },
            other => other,
        },
    }
}

/// Both families of 429, and Cloudflare's, which is not JSON.
fn limit(reply: &Reply, said: &Said, is_search: bool, asked: Option<Duration>) -> SourceError {
    let status = reply.status;
    let policy = said.policy();
    if policy.contains("daily") {
        return SourceError::DailyLimit { status, resets: None };
    }
    let is_secondly = policy.contains("secondly") && !policy.contains("ten_secondly");
    let wait = match asked {
        Some(asked) => Some(asked.min(LONGEST_WAIT)),
        // Second by second: the usual, growing wait between tries.
        None if is_secondly || (is_search && policy.is_empty()) => None,
        None => Some(window(reply).unwrap_or(TEN_SECONDS)),
    };
    SourceError::Limit { status, wait }
}

/// The window that an answer's headers name.
pub(super) fn window(reply: &Reply) -> Option<Duration> {
    let milliseconds = reply.header("x-hubspot-ratelimit-interval-milliseconds")?.parse().ok()?;
    Some(Duration::from_millis(milliseconds)).filter(|window| !window.is_zero() && *window <= LONGEST_WAIT)
}

/// What the body says, if it is HubSpot's.
struct Said(Value);

impl Said {
    fn of(body: &[u8]) -> Self {
        let body = if body.len() > MAX_BODY { &[] } else { body };
        Self(serde_json::from_slice(body).unwrap_or_default())
    }

    /// `policyName`, else the message, which both name the limit.
    fn policy(&self) -> String {
        let text = |key: &str| self.0[key].as_str().map(str::to_ascii_lowercase).filter(|text| !text.trim().is_empty());
        text("policyName").or_else(|| text("message")).unwrap_or_default()
    }

    fn category(&self) -> Option<String> {
        let word = self.0["category"].as_str()?;
        let is_word = word.len() <= 40 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        (is_word && !word.is_empty()).then(|| word.to_owned())
    }

    /// The scopes of which one is required, of the kinds that reading deals can take; none unless a scope is missing.
    fn scopes(&self) -> Vec<String> {
        let is_scope = |scope: &str| {
            let is_word =
                |word: &str| word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            scope == "oauth"
                || (scope.starts_with("crm.") && scope.split('.').count() <= 6 && scope.split('.').all(is_word))
        };
        if self.0["category"] != "MISSING_SCOPES" {
            return Vec::new();
        }
        let errors = self.0["errors"].as_array().into_iter().flatten();
        let named = errors.filter_map(|error| error["context"]["requiredGranularScopes"].as_array()).flatten();
        let scopes = named.filter_map(Value::as_str).filter(|scope| is_scope(scope));
        let scopes: Vec<String> = scopes.take(10).map(ToOwned::to_owned).collect();
        if scopes.is_empty() { vec!["a scope that it does not name".to_owned()] } else { scopes }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;
    use crate::advice::Advice;

    fn reply(status: u16, body: &str) -> Reply {
        let url = "https://api.hubapi.com/".parse().unwrap();
        Reply { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec(), url }
    }

    fn class(status: u16, body: &str) -> SourceError {
        refusal(&reply(status, body), false, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn each_status_has_its_class_and_its_fix_and_none_repeats_the_body() {
        for (status, transient, advice) in [
            (400, false, Advice::CheckAddress),
            (401, false, Advice::RenewCredentials),
            (403, false, Advice::GrantPermission),
            (404, false, Advice::CheckAddress),
            (414, false, Advice::CheckMapping),
            (423, true, Advice::CheckNetwork),
            (429, true, Advice::WaitForLimit),
            (477, false, Advice::WaitForMove),
            (500, true, Advice::CheckNetwork),
            (502, true, Advice::CheckNetwork),
            (503, true, Advice::CheckNetwork),
            (504, true, Advice::CheckNetwork),
            (521, true, Advice::CheckNetwork),
            (522, true, Advice::CheckNetwork),
            (523, true, Advice::CheckNetwork),
            (524, true, Advice::CheckNetwork),
            (525, true, Advice::CheckNetwork),
            (526, true, Advice::CheckNetwork),
            (530, false, Advice::RenewCredentials),
        ] {
            for body in ["", "<html>canary</html>", r#"{"category":"canary","message":"canary","errors":"canary"}"#] {
                let error = class(status, body);
                assert_eq!((error.is_transient(), error.advice()), (transient, advice), "{status} {body}");
                assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
                assert!(error.to_string().contains(&status.to_string()), "{error}");
            }
        }
    }

    #[test]
    fn both_families_of_429_and_the_one_without_json_are_distinguished() {
        let wait = |body: &str, is_search: bool| match refusal(&reply(429, body), is_search, DateTime::UNIX_EPOCH) {
            SourceError::Limit { wait, .. } => Some(wait.map(|wait| wait.as_secs())),
            SourceError::DailyLimit { .. } => None,
            other => panic!("{other:?}"),
        };
        let ten_secondly = r#"{"message":"You have reached your ten_secondly_rolling limit.","errorType":"RATE_LIMIT","policyName":"TEN_SECONDLY_ROLLING"}"#;
        let daily = r#"{"message":"You have reached your daily limit.","errorType":"RATE_LIMIT","policyName":"DAILY"}"#;
        let secondly = r#"{"message":"You have reached your secondly limit.","category":"RATE_LIMITS"}"#;
        assert_eq!(wait(ten_secondly, false), Some(Some(10)));
        assert_eq!(wait(daily, false), None);
        assert_eq!(wait(r#"{"message":"You have reached your daily limit."}"#, true), None);
        assert_eq!(wait(r#"{"message":"You have reached your daily limit.","policyName":""}"#, false), None);
        assert_eq!(wait(secondly, true), Some(None), "the search's: the usual wait between tries");
        assert_eq!(wait("error code: 1015", false), Some(Some(10)));
        assert_eq!(wait("error code: 1015", true), Some(None));
        let mut asked = reply(429, ten_secondly);
        asked.headers.insert("retry-after", HeaderValue::from_static("3600"));
        assert_eq!(refusal(&asked, false, DateTime::UNIX_EPOCH).wait(), Some(LONGEST_WAIT));
        let mut named = reply(429, ten_secondly);
        named.headers.insert("x-hubspot-ratelimit-interval-milliseconds", HeaderValue::from_static("4000"));
        assert_eq!(refusal(&named, false, DateTime::UNIX_EPOCH).wait(), Some(Duration::from_secs(4)));
    }

    #[test]
    fn missing_scopes_and_hubspots_own_words_are_named() {
        let scopes = r#"{"status":"error","message":"canary","correlationId":"canary","category":"MISSING_SCOPES",
            "errors":[{"message":"canary","context":{"requiredGranularScopes":["crm.objects.deals.read","<b>canary</b>"]}}]}"#;
        assert_eq!(
            class(403, scopes).to_string(),
            "the CRM answers 403: the credentials may not read this; it needs crm.objects.deals.read"
        );
        let unnamed = class(403, r#"{"category":"MISSING_SCOPES","message":"canary"}"#).to_string();
        assert!(unnamed.ends_with("; it needs a scope that it does not name"), "{unnamed}");
        let banned = class(403, &scopes.replace("MISSING_SCOPES", "BANNED")).to_string();
        assert_eq!(banned, "the CRM answers 403: the credentials may not read this");
        assert_eq!(
            class(400, r#"{"category":"VALIDATION_ERROR","message":"canary"}"#).to_string(),
            "the CRM answers 400 (VALIDATION_ERROR), which is no answer to this request"
        );
    }

    #[test]
    fn an_account_that_is_moved_ends_the_pull_and_says_how_long() {
        let mut moving = reply(477, "");
        moving.headers.insert("retry-after", HeaderValue::from_static("7200"));
        let error = refusal(&moving, false, DateTime::UNIX_EPOCH);
        assert_eq!(error.to_string(), "the CRM answers 477: it is moving this account and asks to wait 2h");
        assert!(!error.is_transient());
        moving.headers.insert("retry-after", HeaderValue::from_static("18446744073709551615"));
        let error = refusal(&moving, false, DateTime::UNIX_EPOCH);
        assert!(error.to_string().ends_with("and asks to wait longer than a day"), "{error}");
    }
}
