//! Lists whose answers give the next page's address: in the body, in a header of its own, or in `Link` (RFC 8288).

use reqwest::header::HeaderName;
use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::link::relation;
use crate::sources::rest::headers::NO_HEADER_NAME;
use crate::sources::rest::paging::Answered;
use crate::sources::rest::paging::cursor::{agreed, named};
use crate::sources::rest::paging::end::Lead;
use crate::sources::rest::path::Path;

/// A walk along addresses.
#[derive(Debug, Clone)]
pub(in crate::sources::rest) enum Link {
    /// At a path of the answer.
    Path(Path),
    /// In a header that holds nothing else.
    Header(String),
    /// In `Link`, by its relation.
    Relation(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UrlKeys {
    next: Option<Path>,
    next_header: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderKeys {
    #[serde(default = "next")]
    rel: String,
}

fn next() -> String {
    "next".to_owned()
}

impl Link {
    /// Reads what only `next_url` has.
    pub(super) fn by_url(section: &Section, also: &[&str]) -> Result<Self, Vec<Problem>> {
        let UrlKeys { next, next_header } = section.read(also)?;
        match (next, next_header) {
            (Some(path), None) => Ok(Self::Path(path)),
            (None, Some(name)) if name.parse::<HeaderName>().is_ok() => Ok(Self::Header(name)),
            (None, Some(_)) => Err(vec![Problem::at("next_header", NO_HEADER_NAME)]),
            (None, None) => {
                Err(vec![Problem::at("next", "is missing").hint("the path of the next address, or `next_header`")])
            }
            (Some(_), Some(_)) => Err(vec![Problem::at("next_header", "stands beside `next`").hint("one of the two")]),
        }
    }

    /// Reads what only `link_header` has.
    pub(super) fn by_header(section: &Section, also: &[&str]) -> Result<Self, Vec<Problem>> {
        let HeaderKeys { rel } = section.read(also)?;
        if rel.is_empty() || rel.contains(char::is_whitespace) {
            return Err(vec![Problem::at("rel", "expected one word such as `next`")]);
        }
        Ok(Self::Relation(rel))
    }

    /// What leads on.
    pub(super) fn lead(&self) -> Lead<'_> {
        match self {
            Self::Path(path) => Lead::Path(path),
            Self::Header(name) => Lead::Header(name),
            Self::Relation(rel) => Lead::Relation(rel),
        }
    }

    /// The next address as the server gives it; `None` at the end.
    pub(super) fn next(&self, seen: &Answered<'_, '_>) -> Result<Option<String>, String> {
        match self {
            Self::Path(path) => named(path, seen),
            Self::Header(name) => {
                let next = seen.headers.get(name.as_str()).and_then(|value| value.to_str().ok());
                agreed(next.map(str::trim).filter(|next| !next.is_empty()).map(str::to_owned), name, seen)
            }
            Self::Relation(rel) => agreed(relation(seen.headers, rel), "Link", seen),
        }
    }
}
