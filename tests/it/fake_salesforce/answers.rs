//! What Salesforce answers to each route, and its errors in its own words.
//!
//! Bodies have the shape of the contract's §1 and §3; which path belongs to which route is decided here too.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use chrono::DateTime;
use serde_json::{Map, Value, json};

use super::query::Style;
use super::schema::{Field, Kind};
use super::{Cursor, Fault, Habit, Refusal, Route, Salesforce, id, params, soql};

/// The versions on offer; the ones before are retired, the ones behind do not exist yet.
const VERSIONS: std::ops::RangeInclusive<u32> = 31..=68;
/// What JSON is called here; clients choose their reader by it.
const JSON: &str = "application/json;charset=UTF-8";
/// How many records a page holds where nobody says, which is also the most.
const PAGE: usize = 2_000;
/// The least that may be asked for.
const LEAST: usize = 200;
/// The most parts of a composite request, and of those the most queries.
const PARTS: usize = 25;
const QUERIES: usize = 5;

/// An answer before it goes over the wire.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, ..Self::raw(body.to_string()) }
    }

    fn raw(body: String) -> Self {
        Self { status: 200, content_type: JSON, headers: Vec::new(), body }
    }

    pub(super) fn text(status: u16, content_type: &'static str, body: &str) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.to_owned() }
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// An error of the data endpoints: an array.
pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!([{"message": message, "errorCode": code}]))
}

/// 400 with this code.
pub(super) fn refused(code: &str, message: &str) -> Answer {
    error(400, code, message)
}

pub(super) fn not_found() -> Answer {
    error(404, "NOT_FOUND", "The requested resource does not exist")
}

pub(super) fn expired() -> Answer {
    error(401, "INVALID_SESSION_ID", "Session expired or invalid")
}

fn limit(refusal: Refusal) -> Answer {
    let message = match refusal {
        Refusal::Total => "TotalRequests Limit exceeded.",
        Refusal::Concurrent => "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        Refusal::LongTransactions => "ConcurrentPerOrgLongTxn Limit exceeded",
    };
    error(403, "REQUEST_LIMIT_EXCEEDED", message)
}

pub(super) fn html(status: u16) -> Answer {
    let page = "<html><head><title>canary</title></head><body><h1>We are setting things up…</h1></body></html>";
    Answer::text(status, "text/html; charset=UTF-8", page)
}

/// The answer of a fault that needs no org; `None` where the right answer is to be spoilt.
pub(super) fn fault(fault: &Fault) -> Option<Answer> {
    Some(match fault {
        Fault::Error(status, code) => error(*status, code, "canary of the body"),
        Fault::Expired => expired(),
        Fault::NotForRest => error(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API"),
        Fault::Limit(refusal) => limit(*refusal),
        Fault::Oauth(code, description) => Answer::json(400, &json!({"error": code, "error_description": description})),
        Fault::Empty(status) => Answer::text(*status, "text/plain", ""),
        Fault::Html(status) => html(*status),
        Fault::Wait(status, wait) => error(*status, "SERVER_UNAVAILABLE", "canary").header("retry-after", wait),
        Fault::LostCursor => lost_cursor(),
        _ => return None,
    })
}

fn lost_cursor() -> Answer {
    refused("INVALID_QUERY_LOCATOR", "invalid query locator")
}

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) route: Route,
    /// As `v66.0`; empty where the path has none.
    pub(super) version: String,
    /// The part of the path that names one thing: an object, a locator, a job.
    pub(super) key: String,
}

/// What a path asks for, a slash behind it or not; `None` where there is nothing.
pub(super) fn place(method: &Method, path: &str) -> Option<Place> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (version, rest) = match parts.as_slice() {
        ["services", "oauth2", "token"] if *method == Method::POST => return Some(place_of(Route::Token, "", "")),
        ["services", "data"] if *method == Method::GET => return Some(place_of(Route::Versions, "", "")),
        ["services", "data", version, rest @ ..] => (*version, rest),
        _ => return None,
    };
    let (route, key) = match (method.as_str(), rest) {
        ("GET", ["sobjects", object, "describe"]) => (Route::Describe, *object),
        ("GET", ["query"]) => (Route::Query, ""),
        ("GET", ["queryAll"]) => (Route::QueryAll, ""),
        ("GET", ["query" | "queryAll", locator]) => (Route::More, *locator),
        ("POST", ["composite"]) => (Route::Composite, ""),
        ("GET", ["limits"]) => (Route::Limits, ""),
        ("POST", ["jobs", "query"]) => (Route::CreateJob, ""),
        ("GET", ["jobs", "query", job]) => (Route::Job, *job),
        ("GET", ["jobs", "query", job, "results"]) => (Route::Results, *job),
        ("GET", ["jobs", "query", job, "resultPages"]) => (Route::ResultPages, *job),
        ("PATCH", ["jobs", "query", job]) => (Route::AbortJob, *job),
        ("DELETE", ["jobs", "query", job]) => (Route::DeleteJob, *job),
        _ => return None,
    };
    Some(place_of(route, version, key))
}

fn place_of(route: Route, version: &str, key: &str) -> Place {
    Place { route, version: version.to_owned(), key: key.to_owned() }
}

/// Why a version cannot be used; `None` if it can.
pub(super) fn refused_version(version: &str) -> Option<Answer> {
    let number = version.strip_prefix('v').and_then(|number| number.strip_suffix(".0")).and_then(|n| n.parse().ok());
    match number {
        Some(number) if VERSIONS.contains(&number) => None,
        Some(number) if number < *VERSIONS.start() => {
            Some(error(410, "UNSUPPORTED_API_VERSION", "This API version has been retired."))
        }
        _ => Some(not_found()),
    }
}

/// What a request says, or a part of a composite one.
pub(super) struct Wish<'a> {
    pub(super) place: Place,
    pub(super) params: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: &'a str,
    pub(super) fault: Option<&'a Fault>,
}

impl Wish<'_> {
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn json(&self) -> Result<Value, Answer> {
        serde_json::from_str(self.body).map_err(|_| refused("JSON_PARSER_ERROR", "Unexpected character canary"))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, Answer> {
        let number = self.param(name).map(str::parse).transpose();
        number.map_err(|_| refused("INVALID_QUERY_VALUE", &format!("{name} must be a number")))
    }

    /// How many records a page is to hold.
    fn page_size(&self) -> Result<usize, Answer> {
        let Some(options) = self.header("sforce-query-options") else { return Ok(PAGE) };
        let size = options.trim().strip_prefix("batchSize=").and_then(|size| size.parse().ok());
        size.filter(|size| (LEAST..=PAGE).contains(size))
            .ok_or_else(|| refused("INVALID_BATCH_SIZE", "batchSize must be 200 to 2000"))
    }
}

impl Salesforce {
    /// The right answer, or what a fault makes of it.
    pub(super) fn serve(&mut self, wish: &Wish<'_>) -> Answer {
        let answer = match wish.place.route {
            Route::Versions => Ok(versions()),
            Route::Describe => self.describe(wish),
            Route::Query => self.query(wish, false),
            Route::QueryAll => self.query(wish, true),
            Route::More => self.more(wish),
            Route::Composite => self.composite(wish),
            Route::Limits => Ok(self.quota.answer()),
            Route::CreateJob => self.create_job(wish),
            Route::Job => self.job(wish),
            Route::Results => self.results(wish),
            Route::ResultPages => self.result_pages(wish),
            Route::AbortJob => self.abort_job(wish),
            Route::DeleteJob => self.delete_job(wish),
            Route::Token => unreachable!("tokens are given before anybody may ask"),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    pub(super) fn style(&self, version: &str) -> Style {
        let (plain, extra_keys) = (self.has(Habit::WritesPlainNumbers), self.has(Habit::AddsKeys));
        Style { version: version.to_owned(), plain, extra_keys }
    }

    fn query(&mut self, wish: &Wish<'_>, all: bool) -> Result<Answer, Answer> {
        let text = wish.param("q").ok_or_else(|| refused("MALFORMED_QUERY", "unexpected token: '<EOF>'"))?;
        let query = soql::read(text, &self.org)?;
        let size = wish.page_size()?.min(self.page_size);
        let ids = self.org.find(&query, all);
        if query.select.is_none() {
            return Ok(Answer::raw(format!(r#"{{"totalSize":{},"done":true,"records":[]}}"#, ids.len())));
        }
        self.cursors_made += 1;
        let locator = id("0r8", self.cursors_made);
        self.cursors.insert(locator.clone(), Cursor { query, all, ids, size });
        self.page(wish, &locator, 0)
    }

    fn more(&self, wish: &Wish<'_>) -> Result<Answer, Answer> {
        let (locator, offset) = wish.place.key.split_once('-').ok_or_else(lost_cursor)?;
        self.page(wish, locator, offset.parse().map_err(|_| lost_cursor())?)
    }

    /// A part of a stored result. What has been deleted since is not in it, and what has changed is as it is now.
    fn page(&self, wish: &Wish<'_>, locator: &str, offset: usize) -> Result<Answer, Answer> {
        let cursor = self.cursors.get(locator).filter(|cursor| offset <= cursor.ids.len()).ok_or_else(lost_cursor)?;
        let Cursor { query, all, ids, size } = cursor;
        let size = if wish.fault == Some(&Fault::ShortPage) { size.div_ceil(2) } else { *size };
        let until = (offset + size).min(ids.len());
        let (paths, style) = (query.select.as_deref().unwrap_or_default(), self.style(&wish.place.version));
        let there = ids[offset..until].iter().filter(|id| self.org.is_there(query.object, id, *all));
        let records = there.map(|id| self.org.json(query.object, id, paths, &style)).collect();
        let address = |offset: usize| format!("/services/data/{}/query/{locator}-{offset}", style.version);
        let next = (until < ids.len()).then(|| address(until));
        let spoilt = Spoilt { total: ids.len(), records, next }.by(wish.fault, address(offset));
        let text = spoilt.text(self.has(Habit::OmitsDone), style.extra_keys);
        let total = format!("\"totalSize\":{},", spoilt.total);
        Ok(Answer::raw(if self.has(Habit::OmitsTotal) { text.replace(&total, "") } else { text }))
    }

    /// The fields that the user may see; nothing if nothing has changed since the client last asked.
    fn describe(&self, wish: &Wish<'_>) -> Result<Answer, Answer> {
        let object = self.org.object(&wish.place.key).ok_or_else(not_found)?;
        let changed = |since: &str| DateTime::parse_from_rfc2822(since).is_ok_and(|since| self.org.defined_at > since);
        let written = self.org.defined_at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if wish.header("if-modified-since").is_some_and(|since| !changed(since)) {
            return Ok(Answer::text(304, JSON, "").header("last-modified", &written));
        }
        let fields: Vec<Value> =
            self.org.fields(object).into_iter().map(|field| self.described(object, field)).collect();
        let types = self.org.table("RecordType").iter().map(|(id, record)| {
            json!({"recordTypeId": id, "name": record["Name"].as_text(), "active": true, "master": false,
                "developerName": record["DeveloperName"].as_text()})
        });
        let body = json!({"name": object, "label": object, "queryable": true, "replicateable": true, "fields": fields,
            "recordTypeInfos": types.collect::<Vec<_>>()});
        Ok(Answer::json(200, &body).header("last-modified", &written))
    }

    fn described(&self, object: &str, field: Field) -> Value {
        let (kind, soap) = match field.kind {
            Kind::Id => ("id", "tns:ID"),
            Kind::Reference { .. } => ("reference", "tns:ID"),
            Kind::Text => ("string", "xsd:string"),
            Kind::LongText => ("textarea", "xsd:string"),
            Kind::Picklist => ("picklist", "xsd:string"),
            Kind::Currency => ("currency", "xsd:double"),
            Kind::Percent => ("percent", "xsd:double"),
            Kind::Double => ("double", "xsd:double"),
            Kind::Int => ("int", "xsd:int"),
            Kind::Truth => ("boolean", "xsd:boolean"),
            Kind::Day => ("date", "xsd:date"),
            Kind::Instant => ("datetime", "xsd:dateTime"),
        };
        let (to, relationship) = match field.kind {
            Kind::Reference { object, relationship } => (vec![object], Some(relationship)),
            _ => (Vec::new(), None),
        };
        let values: Vec<Value> = if (object, field.name) == ("Opportunity", "StageName") {
            let stages = self.org.table("OpportunityStage").values();
            stages
                .map(|stage| {
                    json!({"active": true, "defaultValue": false, "validFor": null,
                "label": stage["MasterLabel"].as_text(), "value": stage["ApiName"].as_text()})
                })
                .collect()
        } else {
            Vec::new()
        };
        json!({"name": field.name, "label": field.name, "type": kind, "soapType": soap, "referenceTo": to,
            "relationshipName": relationship, "picklistValues": values, "custom": field.name.ends_with("__c"),
            "calculated": false, "nillable": !matches!(field.name, "Id" | "Name" | "StageName" | "CloseDate")})
    }

    /// The parts one by one; the whole is one request, and 200 whatever becomes of them.
    fn composite(&mut self, wish: &Wish<'_>) -> Result<Answer, Answer> {
        let body = wish.json()?;
        let parts = body["compositeRequest"].as_array().ok_or_else(|| bad_part("compositeRequest is required"))?;
        let places = parts.iter().map(|part| part_place(part, &wish.place.version)).collect::<Result<Vec<_>, _>>()?;
        let queries = places.iter().filter(|(place, _)| place.route.is_query()).count();
        if parts.len() > PARTS || queries > QUERIES {
            return Err(refused("LIMIT_EXCEEDED", "The composite request holds too many subrequests"));
        }
        let names: BTreeSet<&str> = parts.iter().filter_map(|part| part["referenceId"].as_str()).collect();
        if names.len() < parts.len() {
            return Err(bad_part("referenceId is required and must be unique"));
        }
        let mut answers = Vec::new();
        for (nth, ((place, query), part)) in places.into_iter().zip(parts).enumerate() {
            let fault = match wish.fault {
                Some(Fault::Part(spoilt, status, code)) if *spoilt == nth => Some(&Fault::Error(*status, code)),
                fault => fault.filter(|_| nth == 0),
            };
            let wish = Wish { place, params: params(&query), headers: part_headers(part), body: "", fault };
            let answer = fault.and_then(self::fault).unwrap_or_else(|| self.serve(&wish));
            answers.push(part_answer(&answer, &part["referenceId"]));
        }
        Ok(Answer::raw(format!(r#"{{"compositeResponse":[{}]}}"#, answers.join(","))))
    }
}

fn bad_part(message: &str) -> Answer {
    refused("INVALID_INPUT", message)
}

/// What a part asks for, and its query.
fn part_place(part: &Value, version: &str) -> Result<(Place, String), Answer> {
    let (method, url) = (part["method"].as_str().unwrap_or_default(), part["url"].as_str().unwrap_or_default());
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| bad_part("method is required"))?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let place = place(&method, path).filter(|place| place.route.is_part()).ok_or_else(|| bad_part("url is invalid"))?;
    if place.version != version {
        return Err(bad_part("All subrequests must have the version of the request"));
    }
    Ok((place, query.to_owned()))
}

fn part_headers(part: &Value) -> HeaderMap {
    let headers = part["httpHeaders"].as_object().into_iter().flatten();
    let header = |(name, value): (&String, &Value)| Some((name.parse().ok()?, value.as_str()?.parse().ok()?));
    headers.filter_map(header).collect::<Vec<(HeaderName, HeaderValue)>>().into_iter().collect()
}

fn part_answer(answer: &Answer, name: &Value) -> String {
    let headers: Map<String, Value> =
        answer.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let body = if answer.body.is_empty() { "null" } else { &answer.body };
    format!(
        r#"{{"body":{body},"httpHeaders":{},"httpStatusCode":{},"referenceId":{}}}"#,
        Value::Object(headers),
        answer.status,
        name
    )
}

fn versions() -> Answer {
    let version = |number: u32| {
        json!({"label": format!("Release {number}"), "url": format!("/services/data/v{number}.0"),
            "version": format!("{number}.0")})
    };
    Answer::json(200, &VERSIONS.map(version).collect())
}

/// A page before it is written, and what a fault makes of it.
struct Spoilt {
    total: usize,
    records: Vec<String>,
    next: Option<String>,
}

impl Spoilt {
    fn by(mut self, fault: Option<&Fault>, here: String) -> Self {
        match fault {
            Some(Fault::WrongTotal) => self.total += 1,
            Some(Fault::LostRecord) => self.records.truncate(self.records.len().saturating_sub(1)),
            Some(Fault::DuplicateRecord) => self.records.extend(self.records.last().cloned()),
            Some(Fault::EmptyPage) => {
                self.records.clear();
                self.next = Some(here);
            }
            Some(Fault::RepeatedCursor) => self.next = Some(here),
            Some(Fault::ForeignCursor(address)) => self.next = Some((*address).to_owned()),
            _ => {}
        }
        self
    }

    fn text(&self, omits_done: bool, extra_keys: bool) -> String {
        let done = match &self.next {
            Some(next) => format!(r#""done":false,"nextRecordsUrl":{},"#, json!(next)),
            None if omits_done => String::new(),
            None => r#""done":true,"#.to_owned(),
        };
        let extra = if extra_keys { r#""canary":{"a":[]},"# } else { "" };
        format!(r#"{{"totalSize":{},{done}{extra}"records":[{}]}}"#, self.total, self.records.join(","))
    }
}
