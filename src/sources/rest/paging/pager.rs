//! What each kind of paging does.

use reqwest::header::HeaderMap;

use crate::sources::link::relation;
use crate::sources::rest::paging::answer::PageAnswer;
use crate::sources::rest::paging::place::Place;
use crate::sources::rest::path::Path;
use crate::sources::rest::request::PageOverrides;
use crate::sources::source::End;

/// One kind of paging.
pub(super) trait Pager: Send + Sync {
    /// Sets the page's own part of the request; `after` is `None` for the first page.
    fn set(&self, after: Option<&str>, request: &mut PageOverrides);

    /// The next page, or `None` at the end.
    fn next(&self, answer: &PageAnswer<'_, '_>) -> Result<Option<Next>, String>;

    /// The place that this sets in a request, so that nothing else may.
    fn place(&self) -> Option<&Place> {
        None
    }

    /// What names the next page in an answer, if anything does.
    fn marker(&self) -> Option<NextPageMarker<'_>> {
        None
    }

    /// Says why an answer neither names a next page nor ends the list.
    fn describe_missing_marker(&self, answer: &PageAnswer<'_, '_>) -> Option<String> {
        let mut missing = Vec::new();
        for marker in answer.has_more.map(NextPageMarker::Path).into_iter().chain(self.marker()) {
            missing.push(marker.describe_missing(answer)?);
        }
        (!missing.is_empty()).then(|| missing.join(", "))
    }

    /// The total that this kind of paging reads by itself.
    fn total(&self, _headers: &HeaderMap) -> Option<u64> {
        None
    }

    /// How the end is known at an answer without a next page.
    fn end(&self, _answer: &PageAnswer<'_, '_>) -> End {
        End::Said
    }
}

/// Where the next page is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sources::rest) enum Next {
    /// A position that the pager understands.
    Position(String),
    /// An address as the server gives it, absolute or relative.
    Link(String),
}

/// What names the next page in an answer.
pub(super) enum NextPageMarker<'a> {
    /// The next page, or whether there is one.
    Path(&'a Path),
    /// A header that holds nothing else.
    Header(&'a str),
    /// A relation in `Link`.
    Relation(&'a str),
}

impl NextPageMarker<'_> {
    /// Describes what is missing, or `None` if the answer has the marker. Null is a marker: it says that no page follows.
    pub(super) fn describe_missing(&self, answer: &PageAnswer<'_, '_>) -> Option<String> {
        match self {
            Self::Path(path) => path
                .resolve(answer.document)
                .err()
                .filter(|miss| !miss.null)
                .map(|miss| format!("{} in it", path.describe_miss(miss))),
            Self::Header(name) => {
                (!answer.headers.contains_key(*name)).then(|| format!("the header `{name}` is missing"))
            }
            Self::Relation(rel) => {
                relation(answer.headers, rel).is_none().then(|| format!("its `Link` names no `{rel}` page"))
            }
        }
    }
}
