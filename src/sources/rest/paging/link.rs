//! Lists whose answers give the next page's address: in the body, in a header of its own, or in `Link` (RFC 8288).

use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::link::relation;
use crate::sources::rest::paging::Answered;
use crate::sources::rest::paging::cursor::{agreed, named};
use crate::sources::rest::paging::end::Lead;
use crate::sources::rest::path::Path;

/// A walk along addresses.
#[derive(Debug, Clone)]
pub(in crate::sources::rest) enum Link {
    /// At a path of the answer.
    Path(Path),
    /// In `Link`, by its relation.
    Relation(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UrlKeys {
    next: Path,
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
        section.read(also).map(|UrlKeys { next }| Self::Path(next))
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
            Self::Relation(rel) => Lead::Relation(rel),
        }
    }

    /// The next address as the server gives it; `None` at the end.
    pub(super) fn next(&self, seen: &Answered<'_, '_>) -> Result<Option<String>, String> {
        match self {
            Self::Path(path) => named(path, seen),
            Self::Relation(rel) => agreed(relation(seen.headers, rel), "Link", seen),
        }
    }
}
