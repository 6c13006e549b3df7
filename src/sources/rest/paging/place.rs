//! Where a request says which page it wants: in its query, a header or its body.

use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::Value;

use crate::settings::Problem;
use crate::sources::rest::headers::NO_HEADER_NAME;
use crate::sources::rest::path::Path;
use crate::sources::rest::request::Request;

/// `in` of a paging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::sources::rest) enum In {
    #[default]
    Query,
    Body,
    Header,
}

/// One place.
#[derive(Debug, Clone)]
pub(in crate::sources::rest) enum Place {
    /// A parameter.
    Query(String),
    /// A header.
    Header(String),
    /// A place of the body, such as `page.after` or `params[1]`.
    Body(Path),
}

/// A page's own part of a request.
#[derive(Debug, Default)]
pub(in crate::sources::rest) struct Turn {
    /// The whole address, where the server gave one.
    pub(in crate::sources::rest) link: Option<String>,
    /// Parameters on top of the request's own.
    pub(in crate::sources::rest) query: Vec<(String, String)>,
    /// Headers on top of the request's own.
    pub(in crate::sources::rest) headers: Vec<(String, String)>,
    /// Values in its body.
    pub(in crate::sources::rest) body: Vec<(Path, Value)>,
    /// Statuses that mean that this page is behind the last one.
    pub(in crate::sources::rest) ends: Vec<u16>,
    /// Whether a part is asked for, which 206 answers.
    pub(in crate::sources::rest) is_part: bool,
}

impl Place {
    /// The place that a name means; `key` is what the configuration calls it.
    pub(super) fn new(kind: In, name: String, key: &str) -> Result<Self, Problem> {
        match kind {
            In::Query => Ok(Self::Query(name)),
            In::Header if name.parse::<HeaderName>().is_ok() => Ok(Self::Header(name)),
            In::Header => Err(Problem::at(key, NO_HEADER_NAME)),
            In::Body => match name.parse::<Path>() {
                Ok(path) => Ok(Self::Body(path)),
                Err(why) => Err(Problem::at(key, format!("is no place in a body: {why}"))),
            },
        }
    }

    /// Puts a value there; a count is a number where the place knows numbers.
    pub(super) fn put(&self, turn: &mut Turn, value: Value) {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match self {
            Self::Query(name) => turn.query.push((name.clone(), text(value))),
            Self::Header(name) => turn.headers.push((name.clone(), text(value))),
            Self::Body(path) => turn.body.push((path.clone(), value)),
        }
    }

    /// Why the request cannot carry this: it sets the same itself, or has no such place.
    pub(in crate::sources::rest) fn clashes(&self, request: &Request) -> Option<Problem> {
        let at = |table: &str, name: String| vec![table.to_owned(), name];
        let (path, is_set) = match self {
            Self::Query(name) => (at("query", name.clone()), request.sets_param(name)),
            Self::Header(name) => (at("headers", name.clone()), request.sets_header(name)),
            Self::Body(_) if !request.has_body() => {
                let problem = Problem::at("paging.in", "`body` needs a request with a body");
                return Some(problem.hint("`method = \"POST\"` of the request, or `in = \"query\"`"));
            }
            Self::Body(place) if !request.takes_place(place) => {
                let message = format!("has no place `{place}`, which `paging` sets");
                let hint = Some("write the table or list there that is to hold it".to_owned());
                return Some(Problem { path: vec!["body".to_owned()], message, hint });
            }
            Self::Body(place) => (at("body", place.to_string()), request.sets_place(place)),
        };
        is_set.then(|| Problem {
            path,
            message: "is set by `paging` too".to_owned(),
            hint: Some("one of the two".to_owned()),
        })
    }
}

/// How many records a page is to hold, and where the request says so.
#[derive(Debug, Clone)]
pub(in crate::sources::rest) struct PageSize {
    pub(super) place: Place,
    pub(super) size: u64,
}

impl PageSize {
    /// Says how many are wanted.
    pub(super) fn ask(&self, turn: &mut Turn) {
        self.place.put(turn, Value::from(self.size));
    }

    /// Both keys or neither.
    pub(super) fn new(kind: In, param: Option<String>, size: Option<u64>) -> Result<Option<Self>, Problem> {
        match (param, size) {
            (_, Some(0)) => Err(Problem::at("size", "must be at least 1")),
            (Some(param), Some(size)) => Ok(Some(Self { place: Place::new(kind, param, "size_param")?, size })),
            (None, None) => Ok(None),
            (None, Some(_)) => {
                Err(Problem::at("size_param", "is missing").hint("the name of the parameter that carries `size`"))
            }
            (Some(_), None) => Err(Problem::at("size", "is missing").hint("how many records a page is to hold")),
        }
    }
}
