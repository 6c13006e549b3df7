//! Lists whose answers name the next page: by a cursor in the body, in a header, or in the last record.

use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::Value;

use crate::settings::{Problem, Section};
use crate::sources::rest::headers::NO_HEADER_NAME;
use crate::sources::rest::json::{Json, Node};
use crate::sources::rest::paging::end::Lead;
use crate::sources::rest::paging::place::{In, Place, Turn};
use crate::sources::rest::paging::{Answered, says_more};
use crate::sources::rest::path::Path;
use crate::sources::values::scalar::Scalar;

/// A walk along cursors.
#[derive(Debug, Clone)]
pub(in crate::sources::rest) struct Cursor {
    pub(super) place: Place,
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

    /// Says which page is wanted.
    pub(super) fn ask(&self, after: Option<&str>, turn: &mut Turn) {
        if let Some(after) = after {
            self.place.put(turn, Value::from(after));
        }
    }

    /// What leads on: nothing where the last record does, for then only an empty page is the end.
    pub(super) fn lead(&self) -> Option<Lead<'_>> {
        match &self.from {
            From::Body(path) => Some(Lead::Path(path)),
            From::Header(name) => Some(Lead::Header(name)),
            From::LastRecord(_) => None,
        }
    }

    /// The next cursor; `None` at the end.
    pub(super) fn next(&self, seen: &Answered<'_, '_>) -> Result<Option<String>, String> {
        match &self.from {
            From::Body(path) => named(path, seen),
            From::Header(name) => {
                let next = seen.headers.get(name.as_str()).and_then(|value| value.to_str().ok());
                agreed(next.map(str::trim).filter(|next| !next.is_empty()).map(str::to_owned), name, seen)
            }
            From::LastRecord(path) => last(path, seen),
        }
    }
}

/// What stands in the last record. Only an empty page is the end (contract §8.14).
fn last(path: &Path, seen: &Answered<'_, '_>) -> Result<Option<String>, String> {
    if seen.has_more.is_some_and(|has_more| !says_more(has_more, seen.document)) {
        return Ok(None);
    }
    let Some(record) = seen.records.last() else { return Ok(None) };
    let value = record.reach(path).map_err(|stop| path.ends(stop))?;
    value.text().map(|text| Some(text.to_owned())).ok_or_else(|| format!("`{path}`: neither text nor number"))
}

/// A cursor or address that the answer names. Null, absent, empty and false are the end.
pub(super) fn named(path: &Path, seen: &Answered<'_, '_>) -> Result<Option<String>, String> {
    agreed(single(path, seen.document)?, &path.to_string(), seen)
}

fn single(path: &Path, document: &Node<'_>) -> Result<Option<String>, String> {
    match path.find(document).and_then(Json::scalar) {
        None | Some(Scalar::Bool(false)) => Ok(None),
        Some(Scalar::Text(text) | Scalar::Number(text)) => Ok((!text.is_empty()).then(|| text.into_owned())),
        Some(Scalar::Bool(true) | Scalar::Other(_)) => Err(format!("`{path}`: neither text nor number")),
    }
}

/// A promise of more without a next page is no end but a hole.
pub(super) fn agreed(next: Option<String>, place: &str, seen: &Answered<'_, '_>) -> Result<Option<String>, String> {
    let more = seen.has_more.map(|path| (path, says_more(path, seen.document)));
    match (next, more) {
        (_, Some((_, false))) => Ok(None),
        (None, Some((has_more, true))) => {
            Err(format!("`{has_more}` says there is more, and `{place}` names no next page"))
        }
        (next, _) => Ok(next),
    }
}
