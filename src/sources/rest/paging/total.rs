//! How many records the CRM says there are: in its answers, or by a request of its own.

use std::fmt;

use figment::value::Value;
use reqwest::header::{HeaderMap, HeaderName};
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::rest::headers::NO_HEADER_NAME;
use crate::sources::rest::json::{Json, Node};
use crate::sources::rest::path::Path;
use crate::sources::rest::request::{self, Request};

/// Where the total is.
pub(in crate::sources::rest) enum Total {
    /// In each answer.
    InAnswer(Spot),
    /// Behind a request of its own, sent before the walk.
    Asked(Box<Count>),
}

/// A place in an answer.
#[derive(Debug, Clone)]
pub(in crate::sources::rest) enum Spot {
    Path(Path),
    Header(String),
}

/// A request that counts.
pub(in crate::sources::rest) struct Count {
    pub(in crate::sources::rest) request: Request,
    pub(in crate::sources::rest) spot: Spot,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CountKeys {
    header: Option<String>,
    value: Option<Path>,
}

impl fmt::Display for Spot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(formatter),
            Self::Header(name) => formatter.write_str(name),
        }
    }
}

impl Spot {
    /// A header's place.
    pub(super) fn header(name: String, key: &str) -> Result<Self, Problem> {
        match name.parse::<HeaderName>() {
            Ok(_) => Ok(Self::Header(name)),
            Err(_) => Err(Problem::at(key, NO_HEADER_NAME)),
        }
    }

    /// The number there, as number or text; of `records 0-99/700` the last.
    pub(in crate::sources::rest) fn read(&self, document: &Node<'_>, headers: &HeaderMap) -> Option<u64> {
        match self {
            Self::Path(path) => count_at(path, document),
            Self::Header(name) => {
                let text = headers.get(name.as_str())?.to_str().ok()?;
                text.rsplit('/').next()?.trim().parse().ok()
            }
        }
    }
}

/// A whole number at a path, as number or text.
pub(super) fn count_at(path: &Path, document: &Node<'_>) -> Option<u64> {
    let number: Decimal = path.find(document).and_then(Json::scalar)?.number()?;
    u64::try_from(number.normalize()).ok()
}

/// Reads `total` and `total_header`.
pub(super) fn read(total: Option<Value>, header: Option<String>) -> Result<Option<Total>, Vec<Problem>> {
    let under = |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.under(&["total"])).collect();
    match (total, header) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(vec![Problem::at("total_header", "stands beside `total`").hint("one of the two")]),
        (None, Some(name)) => {
            Spot::header(name, "total_header").map(|spot| Some(Total::InAnswer(spot))).map_err(|problem| vec![problem])
        }
        (Some(Value::String(_, text)), None) => match text.parse() {
            Ok(path) => Ok(Some(Total::InAnswer(Spot::Path(path)))),
            Err(why) => Err(vec![Problem::at("total", format!("is no path: {why}"))]),
        },
        (Some(Value::Dict(_, table)), None) => {
            read_count(Section(table)).map(|count| Some(Total::Asked(Box::new(count)))).map_err(under)
        }
        (Some(_), None) => Err(vec![Problem::at("total", "expected a path in quotes, or a table: a request")]),
    }
}

fn read_count(mut section: Section) -> Result<Count, Vec<Problem>> {
    let request = section.split_off(&request::KEYS).read::<request::Keys>(&[]).and_then(request::Keys::check);
    let keys = section.read::<CountKeys>(&request::KEYS);
    let (request, keys) = match (request, keys) {
        (Ok(request), Ok(keys)) => (request, keys),
        (request, keys) => return Err([request.err(), keys.err()].into_iter().flatten().flatten().collect()),
    };
    let spot = match (keys.header, keys.value) {
        (Some(name), None) => Spot::header(name, "header").map_err(|problem| vec![problem])?,
        (None, Some(_)) if request.is_head() => {
            return Err(vec![Problem::at("value", "is in the body, and HEAD has none").hint("`header`")]);
        }
        (None, Some(path)) => Spot::Path(path),
        (None, None) => {
            return Err(vec![Problem::at("value", "is missing").hint("the path of the count, or `header`")]);
        }
        (Some(_), Some(_)) => {
            return Err(vec![Problem::at("header", "stands beside `value`").hint("one of the two")]);
        }
    };
    Ok(Count { request, spot })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spot: &Spot, document: &str, header: &'static str) -> Option<u64> {
        let headers = HeaderMap::from_iter([("x-total".parse().unwrap(), header.parse().unwrap())]);
        spot.read(&Node::document(document).unwrap(), &headers)
    }

    #[test]
    fn a_total_is_a_number_or_a_text_in_the_body_or_a_header() {
        let path = Spot::Path("$.n".parse().unwrap());
        assert_eq!(read(&path, r#"{"n": 7.0}"#, ""), Some(7));
        assert_eq!(read(&path, r#"{"n": "7"}"#, ""), Some(7));
        assert_eq!(read(&path, r#"{"n": -1}"#, ""), None);
        let header = Spot::header("X-Total".to_owned(), "header").unwrap();
        assert_eq!(read(&header, "{}", "700"), Some(700));
        assert_eq!(read(&header, "{}", "records 0-99/700"), Some(700));
        assert_eq!(read(&header, "{}", "records 0-99/*"), None);
        assert!(Spot::header("X Total".to_owned(), "header").is_err());
    }
}
