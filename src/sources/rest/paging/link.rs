//! Lists whose answers give the next page's address: in the body or in `Link` (RFC 8288).

use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::link::relation;
use crate::sources::rest::paging::answer::PageAnswer;
use crate::sources::rest::paging::cursor::{agreed, named};
use crate::sources::rest::paging::pager::{Next, NextPageMarker, Pager};
use crate::sources::rest::path::Path;
use crate::sources::rest::request::PageOverrides;

/// Pages by address.
#[derive(Debug, Clone)]
pub(super) enum Link {
    /// At a path of the answer.
    Path(Path),
    /// A relation in `Link`.
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
}

impl Pager for Link {
    fn set(&self, after: Option<&str>, request: &mut PageOverrides) {
        request.link = after.map(str::to_owned);
    }

    fn marker(&self) -> Option<NextPageMarker<'_>> {
        Some(match self {
            Self::Path(path) => NextPageMarker::Path(path),
            Self::Relation(rel) => NextPageMarker::Relation(rel),
        })
    }

    fn next(&self, answer: &PageAnswer<'_, '_>) -> Result<Option<Next>, String> {
        let next = match self {
            Self::Path(path) => named(path, answer),
            Self::Relation(rel) => agreed(relation(answer.headers, rel), "Link", answer),
        };
        Ok(next?.map(Next::Link))
    }
}
