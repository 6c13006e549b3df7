//! Where a request says which page it wants: in its query, a header or its body.

use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::Value;

use crate::settings::Problem;
use crate::sources::rest::headers::NO_HEADER_NAME;
use crate::sources::rest::path::Path;
use crate::sources::rest::request::PageOverrides;

/// `in` of a paging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::sources::rest) enum In {
    #[default]
    Query,
    Body,
    Header,
}

#[derive(Debug, Clone)]
pub(in crate::sources::rest) enum Place {
    Query(String),
    Header(String),
    /// A place of the body, such as `page.after` or `params[1]`.
    Body(Path),
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

    /// Puts a value there; a body holds counts as numbers.
    pub(super) fn put(&self, request: &mut PageOverrides, value: Value) {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match self {
            Self::Query(name) => request.query.push((name.clone(), text(value))),
            Self::Header(name) => request.headers.push((name.clone(), text(value))),
            Self::Body(path) => request.body.push((path.clone(), value)),
        }
    }
}

/// How many records a page is to hold, and where the request says so.
#[derive(Debug, Clone)]
pub(in crate::sources::rest) struct PageSize {
    pub(super) place: Place,
    pub(super) size: u64,
}

impl PageSize {
    pub(super) fn set(&self, request: &mut PageOverrides) {
        self.place.put(request, Value::from(self.size));
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
