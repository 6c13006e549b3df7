//! Lists whose answers name the next page: by a cursor in the body, in a header, or in the last record.

use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::Value;

use crate::settings::{Problem, Section};
use crate::sources::rest::headers::NO_HEADER_NAME;
use crate::sources::rest::json::{Json, Node};
use crate::sources::rest::paging::answer::PageAnswer;
use crate::sources::rest::paging::pager::{Next, NextPageMarker, Pager};
use crate::sources::rest::paging::place::{In, Place};
use crate::sources::rest::path::Path;
use crate::sources::rest::request::PageOverrides;
use crate::sources::values::scalar::Scalar;

/// Pages by cursor.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    place: Place,
    from: From,
}

#[derive(Debug, Clone)]
enum From {
    Body(Path),
    Header(String),
    LastRecord(Path),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    cursor: String,
    param: String,
    #[serde(default)]
    cursor_from: FromKey,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum FromKey {
    #[default]
    Body,
    Header,
    LastRecord,
}

impl Cursor {
    /// Reads what only `cursor` has.
    pub(super) fn read(section: &Section, also: &[&str], place: In) -> Result<Self, Vec<Problem>> {
        let Keys { cursor, param, cursor_from } = section.read(also)?;
        let path = || cursor.parse::<Path>().map_err(|why| vec![Problem::at("cursor", format!("is no path: {why}"))]);
        let from = match cursor_from {
            FromKey::Body => From::Body(path()?),
            FromKey::LastRecord => From::LastRecord(path()?),
            FromKey::Header if cursor.parse::<HeaderName>().is_ok() => From::Header(cursor.clone()),
            FromKey::Header => return Err(vec![Problem::at("cursor", NO_HEADER_NAME)]),
        };
        Ok(Self { place: Place::new(place, param, "param").map_err(|problem| vec![problem])?, from })
    }
}

impl Pager for Cursor {
    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }

    fn set(&self, after: Option<&str>, request: &mut PageOverrides) {
        if let Some(after) = after {
            self.place.put(request, Value::from(after));
        }
    }

    /// A cursor in the last record is not a marker: only an empty page is the end.
    fn marker(&self) -> Option<NextPageMarker<'_>> {
        match &self.from {
            From::Body(path) => Some(NextPageMarker::Path(path)),
            From::Header(name) => Some(NextPageMarker::Header(name)),
            From::LastRecord(_) => None,
        }
    }

    fn next(&self, answer: &PageAnswer<'_, '_>) -> Result<Option<Next>, String> {
        let next = match &self.from {
            From::Body(path) => named(path, answer),
            From::Header(name) => {
                let next = answer.headers.get(name.as_str()).and_then(|value| value.to_str().ok());
                agreed(next.map(str::trim).filter(|next| !next.is_empty()).map(str::to_owned), name, answer)
            }
            From::LastRecord(path) => last(path, answer),
        };
        Ok(next?.map(Next::Position))
    }
}

/// The cursor in the last record. Only an empty page is the end: servers send short pages in the middle.
fn last(path: &Path, answer: &PageAnswer<'_, '_>) -> Result<Option<String>, String> {
    if answer.says_more() == Some(false) {
        return Ok(None);
    }
    let Some(record) = answer.records.last() else { return Ok(None) };
    let value = record.resolve(path).map_err(|miss| path.describe_miss(miss))?;
    value.text().map(|text| Some(text.to_owned())).ok_or_else(|| format!("`{path}`: neither text nor number"))
}

/// A cursor or address that the answer names. Null, absent, empty and false are the end.
pub(super) fn named(path: &Path, answer: &PageAnswer<'_, '_>) -> Result<Option<String>, String> {
    agreed(single(path, answer.document)?, &path.to_string(), answer)
}

fn single(path: &Path, document: &Node<'_>) -> Result<Option<String>, String> {
    match path.find(document).and_then(Json::scalar) {
        None | Some(Scalar::Bool(false)) => Ok(None),
        Some(Scalar::Text(text) | Scalar::Number(text)) => Ok((!text.is_empty()).then(|| text.into_owned())),
        Some(Scalar::Bool(true) | Scalar::Other(_)) => Err(format!("`{path}`: neither text nor number")),
    }
}

/// A promise of more without a next page fails the pull.
pub(super) fn agreed(next: Option<String>, place: &str, answer: &PageAnswer<'_, '_>) -> Result<Option<String>, String> {
    match (answer.has_more, answer.says_more()) {
        (_, Some(false)) => Ok(None),
        (Some(has_more), Some(true)) if next.is_none() => {
            Err(format!("`{has_more}` says there is more, and `{place}` names no next page"))
        }
        _ => Ok(next),
    }
}
