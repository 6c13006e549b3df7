//! What Pipedrive answers: which path belongs to which route, what it costs, and errors in Pipedrive's own words.
//!
//! Bodies have the shape of the contract's §2 and §6; those of the lists stand in `version1` and `version2`.

use std::collections::BTreeMap;

use axum::http::Method;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::limits::Refusal;
use super::wish::Wish;
use super::{Asked, Fault, Habit, Hub, Route};

/// A record whose numbers are the texts that are stored.
pub(super) type Record = BTreeMap<String, Box<RawValue>>;

/// An answer before it goes over the wire.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) refused: Option<Refusal>,
    pub(super) body: String,
}

impl Answer {
    fn text(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, headers: Vec::new(), refused: None, body }
    }

    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).expect("it has only texts as keys");
        Self::text(status, "application/json; charset=utf-8", body)
    }
}

/// An error of Pipedrive's common shape.
pub(super) fn error(status: u16, message: &str) -> Answer {
    let info = "Please check developers.pipedrive.com";
    let body = json!({"success": false, "error": message, "error_info": info, "data": null, "additional_data": null});
    Answer::json(status, &body)
}

pub(super) fn invalid(message: &str) -> Answer {
    error(400, message)
}

pub(super) fn unauthorized() -> Answer {
    let body = json!({"success": false, "error": "unauthorized access", "errorCode": 401,
        "error_info": "Please check developers.pipedrive.com"});
    let mut answer = Answer::json(401, &body);
    answer.headers.push(("x-401-by-gw", "true".to_owned()));
    answer
}

/// 403 of an app that was not granted what it asks for.
pub(super) fn missing_scope() -> Answer {
    Answer::json(
        403,
        &json!({"success": false, "error": "Scope and URL mismatch", "errorCode": 403,
        "error_info": "Please check developers.pipedrive.com"}),
    )
}

/// 429, or the wall behind it.
pub(super) fn limit(refusal: Refusal) -> Answer {
    let mut answer = match refusal {
        Refusal::Blocked => html(403),
        _ => Answer::json(429, &json!({"success": false, "error": "request over limit", "code": 429})),
    };
    answer.refused = Some(refusal);
    answer
}

fn html(status: u16) -> Answer {
    let page = "<!DOCTYPE html><html><head><title>Access denied | canary</title></head><body>canary</body></html>";
    Answer::text(status, "text/html; charset=UTF-8", page.to_owned())
}

/// The answer of a fault that needs no account; `None` where the right answer is to be spoilt.
pub(super) fn fault(fault: &Fault) -> Option<Answer> {
    Some(match fault {
        Fault::Status(status) => error(*status, "canary of the body"),
        Fault::Says(status, json) => Answer::text(*status, "application/json; charset=utf-8", json.clone()),
        Fault::Unauthorized => unauthorized(),
        Fault::Limit(refusal) => limit(*refusal),
        Fault::Html(status) => html(*status),
        Fault::Unsuccessful => error(200, "canary of the body"),
        Fault::NullBody => Answer::json(200, &Value::Null),
        Fault::Redirect(to) => {
            let mut answer = Answer::text(302, "text/html", String::new());
            answer.headers.push(("location", to.clone()));
            answer
        }
        _ => return None,
    })
}

/// The scope that an app needs for a route.
pub(super) fn scope(route: Route) -> &'static str {
    match route {
        Route::Me | Route::Currencies => "base",
        Route::Users | Route::User => "users:read",
        Route::Organizations => "contacts:read",
        _ => "deals:read",
    }
}

/// How many of the day's tokens a request costs.
pub(super) fn cost(route: Route) -> u64 {
    match route {
        Route::Deals | Route::Organizations | Route::DealFields => 10,
        Route::ArchivedDeals | Route::Users | Route::Currencies => 20,
        Route::Stages | Route::Pipelines => 5,
        Route::Me | Route::User => 2,
        Route::Summary => 40,
        Route::Token => 0,
    }
}

/// What a path asks for: version 2 below `/api/v2` alone, version 1 with or without `/api`.
pub(super) fn route(method: &Method, path: &str) -> Option<Route> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let posts = *method == Method::POST;
    Some(match (posts, parts.as_slice()) {
        (true, ["oauth", "token"]) => Route::Token,
        (false, ["api", "v2", rest @ ..]) => match rest {
            ["deals"] => Route::Deals,
            ["deals", "archived"] => Route::ArchivedDeals,
            ["dealFields"] => Route::DealFields,
            ["stages"] => Route::Stages,
            ["pipelines"] => Route::Pipelines,
            ["organizations"] => Route::Organizations,
            _ => return None,
        },
        (false, ["v1", rest @ ..] | ["api", "v1", rest @ ..]) => match rest {
            ["users"] => Route::Users,
            ["users", "me"] => Route::Me,
            ["users", _] => Route::User,
            ["currencies"] => Route::Currencies,
            ["deals", "summary"] => Route::Summary,
            _ => return None,
        },
        _ => return None,
    })
}

impl Hub {
    /// The right answer, or what a fault makes of it.
    pub(super) fn ask(&mut self, route: Route, asked: &Asked, fault: Option<&Fault>) -> Answer {
        let wish = Wish::of(asked);
        let answer = match route {
            Route::Deals => self.deals(&wish, false, fault),
            Route::ArchivedDeals => self.deals(&wish, true, fault),
            Route::DealFields => self.deal_fields(&wish, fault),
            Route::Stages => self.stages(&wish, fault),
            Route::Pipelines => self.pipelines(&wish, fault),
            Route::Organizations => self.organizations(&wish, fault),
            Route::Users => Ok(self.users()),
            Route::User => self.user(&asked.path),
            Route::Me => Ok(self.me()),
            Route::Currencies => Ok(self.currencies()),
            Route::Summary => self.summary(&wish),
            Route::Token => unreachable!("tokens are given before anybody may ask"),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    pub(super) fn omits_nulls(&self) -> bool {
        self.has(Habit::OmitsNulls)
    }

    pub(super) fn envelope(&self, data: &impl Serialize, is_empty: bool) -> Record {
        let mut envelope = record(json!({"success": true}), false);
        let data = if is_empty && self.has(Habit::SendsNullLists) { raw(&()) } else { raw(data) };
        envelope.insert("data".to_owned(), data);
        if self.has(Habit::AddsKeys) {
            envelope.insert("canary_data".to_owned(), number("[1, 2, 3]"));
        }
        envelope
    }

    pub(super) fn ok(&self, data: &impl Serialize) -> Answer {
        Answer::json(200, &self.envelope(data, false))
    }
}

/// A record of values as they stand; nulls are left out where that is the habit.
pub(super) fn record(values: Value, omits_nulls: bool) -> Record {
    let Value::Object(values) = values else { unreachable!("records are objects") };
    let kept = values.into_iter().filter(|(_, value)| !(omits_nulls && value.is_null()));
    kept.map(|(key, value)| (key, raw(&value))).collect()
}

/// A number as it is stored.
pub(super) fn number(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|error| panic!("{text} is no JSON: {error}"))
}

/// A value as it stands.
pub(super) fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("it has only texts as keys")
}
