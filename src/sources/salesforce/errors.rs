//! The meaning of Salesforce answers that are not 2xx; see docs/crm/salesforce.md.
//!
//! Of its text only two things are repeated: an error code of the list below, and the name of a field, in the letters
//! it can have.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::http::Reply;
use crate::sources::answer::part;
use crate::sources::salesforce::api_name::{OPPORTUNITY, is_path};
use crate::sources::source::SourceError;

/// The wait after a limit on concurrent requests; 30 to 120 s are enough.
const TOO_MANY_AT_ONCE: Duration = Duration::from_secs(30);
/// The longest wait that Salesforce is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Larger bodies are not Salesforce errors.
const MAX_BODY: usize = 64 << 10;

/// The code of a query that took longer than the two minutes it may.
pub(super) const TIMEOUT: &str = "QUERY_TIMEOUT";

/// The codes of a stored result that is gone.
const LOST_PLACE: &str = "the CRM no longer knows the place in its list where the next page begins";

/// The answers if an account or its deals cannot be exported: a code, or words of a message.
const WITHOUT_EXPORTS: [&str; 4] = ["FeatureNotEnabled", "INVALIDENTITY", "InvalidEntity", NOT_IN_BULK];
const NOT_IN_BULK: &str = "not supported by the Bulk API";

/// The codes that are known, so that no other word of an answer is repeated.
const CODES: [&str; 32] = [
    "API_CURRENTLY_DISABLED",
    "API_DISABLED_FOR_ORG",
    "EXCEEDED_ID_LIMIT",
    "EXCEEDED_MAX_SIZE_REQUEST",
    "FUNCTIONALITY_NOT_ENABLED",
    "FeatureNotEnabled",
    "INSUFFICIENT_ACCESS",
    "INVALIDENTITY",
    "INVALID_AUTH_HEADER",
    "INVALID_BATCH_SIZE",
    "INVALID_FIELD",
    "INVALID_QUERY_FILTER_OPERATOR",
    "INVALID_QUERY_LOCATOR",
    "INVALID_QUERY_SCOPE",
    "INVALID_REPLICATION_DATE",
    "INVALID_SESSION_ID",
    "INVALID_TYPE",
    "InvalidBatch",
    "InvalidEntity",
    "MALFORMED_QUERY",
    "NOT_FOUND",
    "NUMBER_OUTSIDE_VALID_RANGE",
    "OPERATION_TOO_LARGE",
    "ORG_IN_MAINTENANCE",
    TIMEOUT,
    "QUERY_TOO_COMPLICATED",
    "REQUEST_LIMIT_EXCEEDED",
    "SERVER_UNAVAILABLE",
    "TXN_SECURITY_METERING_ERROR",
    "UNABLE_TO_LOCK_ROW",
    "UNKNOWN_EXCEPTION",
    "UNSUPPORTED_API_VERSION",
];

/// An error as data endpoints send it, in a list; that of the token endpoint is another.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(default)]
    message: String,
    #[serde(default)]
    error_code: String,
}

/// What a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// A field, a relationship or an object.
    pub(super) name: String,
    /// The object that lacks the field; nothing where the message is of a relationship or of an object.
    pub(super) object: Option<String>,
}

impl Named {
    /// As the deals lead to it.
    fn shown(&self) -> String {
        match &self.object {
            Some(object) if !object.eq_ignore_ascii_case(OPPORTUNITY) => format!("{object}.{}", self.name),
            _ => self.name.clone(),
        }
    }
}

/// What a refusal says.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Its class.
    pub(super) error: SourceError,
    /// Salesforce's code, if it is one of those that are known.
    pub(super) code: Option<&'static str>,
    /// The field or relationship that does not exist for this user.
    pub(super) name: Option<Named>,
    /// Whether a new session may help.
    pub(super) is_expired: bool,
}

impl Refusal {
    /// Of a whole answer.
    pub(super) fn of(reply: &Reply, now: DateTime<Utc>) -> Self {
        let wait = reply.retry_after(now).map(|wait| wait.min(LONGEST_WAIT));
        Self::read(reply.status, &reply.body, wait)
    }

    /// Of a status and a body, which may be those of a part.
    pub(super) fn read(status: u16, body: &[u8], wait: Option<Duration>) -> Self {
        let body = if body.len() > MAX_BODY { &[] } else { body };
        let told: Vec<Told> = serde_json::from_slice(body).unwrap_or_default();
        let code = told.iter().find_map(|told| CODES.into_iter().find(|code| *code == told.error_code));
        let message = told.first().map(|told| told.message.as_str()).unwrap_or_default();
        let name = matches!(code, Some("INVALID_FIELD" | "INVALID_TYPE")).then(|| named(message)).flatten();
        // A valid session of the wrong type: a new one would be of the same type.
        let is_expired = status == 401 && code == Some("INVALID_SESSION_ID") && !message.contains("not valid for use");
        let shown = name.as_ref().map(Named::shown);
        let error = class(status, code, message, shown.as_deref(), wait);
        let error = if code == Some(TIMEOUT) { part("the query took too long")(error) } else { error };
        Self { error, code, name, is_expired }
    }
}

fn class(
    status: u16,
    code: Option<&'static str>,
    message: &str,
    name: Option<&str>,
    wait: Option<Duration>,
) -> SourceError {
    let forbidden = |needed: &[&str]| SourceError::Forbidden {
        status,
        lacking: needed.iter().map(|needed| (*needed).to_owned()).collect(),
    };
    let mapping = |what: String| SourceError::Mapping(format!("the CRM answers {status}: {what}"));
    let unexpected = |category: Option<&str>| SourceError::Unexpected { status, category: category.map(str::to_owned) };
    match (status, code) {
        (_, Some("REQUEST_LIMIT_EXCEEDED")) if message.contains("oncurrent") => {
            SourceError::Limit { status, wait: Some(wait.unwrap_or(TOO_MANY_AT_ONCE)) }
        }
        (_, Some("REQUEST_LIMIT_EXCEEDED")) => SourceError::DailyLimit { status, resets: None },
        (_, Some(TIMEOUT | "UNABLE_TO_LOCK_ROW" | "SERVER_UNAVAILABLE" | "ORG_IN_MAINTENANCE")) | (406, _) => {
            SourceError::Server { status, wait }
        }
        (_, Some(code)) if WITHOUT_EXPORTS.contains(&code) => unexpected(Some(code)),
        _ if message.contains(NOT_IN_BULK) => unexpected(Some(NOT_IN_BULK)),
        (_, Some("INVALID_QUERY_LOCATOR")) => SourceError::Paging(LOST_PLACE.to_owned()),
        (_, Some("INVALID_FIELD" | "INVALID_TYPE")) => mapping(match name {
            Some(name) => format!("the user may not read `{name}`, or there is no such field"),
            None => "the user may not read one of the fields, or it does not exist".to_owned(),
        }),
        (_, Some("MALFORMED_QUERY" | "INVALID_QUERY_FILTER_OPERATOR")) => {
            mapping("it does not take the query: a filter of `where`, or a field, does not fit".to_owned())
        }
        (_, Some("QUERY_TOO_COMPLICATED")) | (414 | 431, _) => {
            mapping("the fields are too many, or too many of them are formulas, for one query".to_owned())
        }
        (_, Some("OPERATION_TOO_LARGE")) => forbidden(&["the permission View All on opportunities and accounts"]),
        (_, Some("API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED")) => {
            forbidden(&["an edition with access to the API, and the permission API Enabled"])
        }
        (403, Some("TXN_SECURITY_METERING_ERROR")) => forbidden(&["the permission Exempt from Transaction Security"]),
        (_, Some("INSUFFICIENT_ACCESS" | "FUNCTIONALITY_NOT_ENABLED" | "TXN_SECURITY_METERING_ERROR")) => {
            forbidden(&[])
        }
        (410, _) | (_, Some("UNSUPPORTED_API_VERSION")) => {
            unexpected(Some("it no longer has this version; set `api_version` to a newer one"))
        }
        (420, _) => SourceError::Moving { status, wait },
        (_, code) => match SourceError::of_status(status, wait) {
            SourceError::Unexpected { .. } => unexpected(code),
            other => other,
        },
    }
}

/// Whether the account cannot export. A limit does not count: pages would cost even more.
pub(super) fn is_without_exports(error: &SourceError) -> bool {
    let SourceError::Unexpected { category: Some(told), .. } = error.root() else { return false };
    WITHOUT_EXPORTS.contains(&told.as_str())
}

/// The code that a message begins with, if it is one of those that are known.
pub(super) fn code_of(message: &str) -> Option<&'static str> {
    let word = message.trim_start().split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()?;
    CODES.into_iter().find(|code| *code == word)
}

/// Whether a stored result is gone; a new query can read the rest.
pub(super) fn is_lost_place(error: &SourceError) -> bool {
    matches!(error.root(), SourceError::Paging(told) if told == LOST_PLACE)
}

/// What a message names, if it is a name: the message quotes the query too.
fn named(message: &str) -> Option<Named> {
    let marks = ["No such column '", "Didn't understand relationship '", "sObject type '", "No such relation '"];
    let (mark, behind) = marks.iter().find_map(|mark| Some((*mark, message.split_once(mark)?.1)))?;
    let (name, behind) = behind.split_once('\'')?;
    let object = behind.strip_prefix(" on entity '").and_then(|behind| behind.split('\'').next());
    let object = object.filter(|object| mark == marks[0] && is_path(object)).map(ToOwned::to_owned);
    is_path(name).then(|| Named { name: name.to_owned(), object })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Advice;

    fn read(status: u16, code: &str, message: &str) -> Refusal {
        let body = format!(r#"[{{"message": "{message}", "errorCode": "{code}"}}]"#);
        Refusal::read(status, body.as_bytes(), None)
    }

    #[test]
    fn each_row_of_the_table_has_its_class_and_its_cure_and_none_repeats_the_body() {
        for (status, code, message, transient, advice) in [
            (400, "MALFORMED_QUERY", "canary", false, Advice::CheckMapping),
            (400, "INVALID_FIELD", "canary", false, Advice::CheckMapping),
            (400, "INVALID_TYPE", "sObject type 'canary x' is not supported", false, Advice::CheckMapping),
            (400, "INVALID_QUERY_LOCATOR", "canary", false, Advice::CheckPaging),
            (400, "QUERY_TIMEOUT", "Your query request was running for too long.", true, Advice::CheckNetwork),
            (400, "QUERY_TOO_COMPLICATED", "canary", false, Advice::CheckMapping),
            (400, "OPERATION_TOO_LARGE", "canary", false, Advice::GrantPermission),
            (400, "EXCEEDED_ID_LIMIT", "canary", false, Advice::CheckAddress),
            (400, "INVALID_REPLICATION_DATE", "canary", false, Advice::CheckAddress),
            (400, "NUMBER_OUTSIDE_VALID_RANGE", "canary", false, Advice::CheckAddress),
            (401, "INVALID_SESSION_ID", "Session expired or invalid", false, Advice::RenewCredentials),
            (401, "INVALID_AUTH_HEADER", "canary", false, Advice::RenewCredentials),
            (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", false, Advice::WaitForLimit),
            (403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded.", true, Advice::WaitForLimit),
            (403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded", true, Advice::WaitForLimit),
            (403, "REQUEST_LIMIT_EXCEEDED", "canary", false, Advice::WaitForLimit),
            (403, "INSUFFICIENT_ACCESS", "canary", false, Advice::GrantPermission),
            (403, "API_DISABLED_FOR_ORG", "canary", false, Advice::GrantPermission),
            (403, "FUNCTIONALITY_NOT_ENABLED", "canary", false, Advice::GrantPermission),
            (403, "TXN_SECURITY_METERING_ERROR", "canary", false, Advice::GrantPermission),
            (400, "TXN_SECURITY_METERING_ERROR", "canary", false, Advice::GrantPermission),
            (404, "NOT_FOUND", "The requested resource does not exist", false, Advice::CheckAddress),
            (406, "", "", true, Advice::CheckNetwork),
            (409, "canary", "canary", false, Advice::CheckAddress),
            (410, "UNSUPPORTED_API_VERSION", "canary", false, Advice::CheckAddress),
            (414, "", "", false, Advice::CheckMapping),
            (431, "", "", false, Advice::CheckMapping),
            (420, "", "", false, Advice::WaitForMove),
            (429, "", "", true, Advice::WaitForLimit),
            (500, "UNKNOWN_EXCEPTION", "canary", true, Advice::CheckNetwork),
            (500, "UNABLE_TO_LOCK_ROW", "canary", true, Advice::CheckNetwork),
            (502, "", "", true, Advice::CheckNetwork),
            (503, "SERVER_UNAVAILABLE", "canary", true, Advice::CheckNetwork),
            (503, "ORG_IN_MAINTENANCE", "canary", true, Advice::CheckNetwork),
            (504, "", "", true, Advice::CheckNetwork),
        ] {
            let error = read(status, code, message).error;
            assert_eq!((error.is_transient(), error.advice()), (transient, advice), "{status} {code} {message}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn what_an_account_without_exports_says_is_told_from_a_limit() {
        for (status, code, message) in [
            (403, "FeatureNotEnabled", "canary"),
            (400, "INVALIDENTITY", "canary"),
            (400, "API_ERROR", "Entity 'Opportunity' is not supported by the Bulk API."),
        ] {
            let error = read(status, code, message).error;
            assert!(is_without_exports(&error) && !error.to_string().contains("canary"), "{error}");
        }
        for (status, code) in [(403, "REQUEST_LIMIT_EXCEEDED"), (403, "INSUFFICIENT_ACCESS"), (400, "API_ERROR")] {
            assert!(!is_without_exports(&read(status, code, "canary").error), "{code}");
        }
        assert_eq!(code_of("InvalidBatch : Field canary"), Some("InvalidBatch"));
        assert_eq!((code_of("canary: QUERY_TIMEOUT"), code_of("")), (None, None));
    }

    #[test]
    fn no_body_makes_the_reader_fail() {
        for body in ["", "<h1>Bad Message 431</h1>", "null", "{}", "[]", "[null]", r#"{"error": "canary"}"#, "[[[["] {
            let error = Refusal::read(400, body.as_bytes(), None).error;
            assert!(matches!(error, SourceError::Unexpected { status: 400, category: None }), "{body}");
        }
    }

    #[test]
    fn the_hidden_field_is_named_and_nothing_else_of_the_message() {
        let columns = r"\nId, Name, Secret__c FROM Opportunity\n          ^\nERROR at Row:1:Column:18\nNo such column 'Secret__c' on entity 'Opportunity'. If you are canary";
        let refusal = read(400, "INVALID_FIELD", columns);
        let named = |name: &str, object: Option<&str>| {
            Some(Named { name: name.to_owned(), object: object.map(ToOwned::to_owned) })
        };
        assert_eq!(refusal.name, named("Secret__c", Some("Opportunity")));
        assert_eq!(
            refusal.error.to_string(),
            "the CRM answers 400: the user may not read `Secret__c`, or there is no such field"
        );
        let relationship = "Didn't understand relationship 'Account' in field path. canary";
        assert_eq!(read(400, "INVALID_FIELD", relationship).name, named("Account", None));
        let of_parent = read(400, "INVALID_FIELD", "No such column 'Name' on entity 'Account'. If you are canary");
        assert_eq!(of_parent.name, named("Name", Some("Account")));
        assert!(of_parent.error.to_string().contains("may not read `Account.Name`"), "{}", of_parent.error);
        assert_eq!(read(400, "INVALID_FIELD", "No such column 'a canary' on").name, None);
    }

    #[test]
    fn only_a_session_that_has_ended_is_worth_a_new_one() {
        assert!(read(401, "INVALID_SESSION_ID", "Session expired or invalid").is_expired);
        assert!(!read(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API").is_expired);
        assert!(!read(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE").is_expired);
        assert!(!Refusal::read(401, b"", None).is_expired);
    }

    #[test]
    fn too_many_requests_at_once_are_waited_for_as_long_as_asked() {
        let limit = |wait| {
            let body = br#"[{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "ConcurrentRequests Limit exceeded."}]"#;
            Refusal::read(403, body, wait).error.wait()
        };
        assert_eq!(limit(None), Some(TOO_MANY_AT_ONCE));
        assert_eq!(limit(Some(Duration::from_secs(2))), Some(Duration::from_secs(2)));
    }
}
