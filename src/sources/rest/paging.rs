//! How a list is cut into pages: what the next request asks for, and which answer was the last.
//!
//! Pure. A short page is no sign of the end unless the configuration says so, because servers send them in the middle
//! (contract §1.1, 1). Where an answer says whether there is more, it is believed before anything is counted.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::rest::auth::{Nothing, unknown_type};
use crate::sources::rest::json::{Json, Node, Scalar};
use crate::sources::rest::path::Path;

/// How one list is paged; `[sources.x.paging]`.
#[derive(Debug, Clone)]
pub(super) enum Paging {
    /// One answer holds everything.
    None,
    /// Pages or records are counted.
    Counted(Counted),
    /// Each answer names the next cursor.
    Cursor(Cursor),
    /// Each answer names the next URL.
    NextUrl(NextUrl),
}

/// `page` and `offset`.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    param: String,
    start: u64,
    advance: Advance,
    size: Option<PageSize>,
    total: Option<Path>,
    total_pages: Option<Path>,
    has_more: Option<Path>,
    short_page_is_end: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Advance {
    Page,
    Records,
    Size(u64),
}

#[derive(Debug, Clone)]
struct PageSize {
    param: String,
    size: u64,
}

/// `cursor`.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    path: Path,
    param: String,
    size: Option<PageSize>,
    total: Option<Path>,
    has_more: Option<Path>,
}

/// `next_url`.
#[derive(Debug, Clone)]
pub(super) struct NextUrl {
    next: Path,
    total: Option<Path>,
    has_more: Option<Path>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageKeys {
    #[serde(default = "page")]
    param: String,
    #[serde(default = "one")]
    start: u64,
    size_param: Option<String>,
    size: Option<u64>,
    total: Option<Path>,
    total_pages: Option<Path>,
    has_more: Option<Path>,
    #[serde(default)]
    short_page_is_end: bool,
}

fn page() -> String {
    "page".to_owned()
}

fn one() -> u64 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OffsetKeys {
    #[serde(default = "offset")]
    param: String,
    #[serde(default)]
    start: u64,
    size_param: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    step: OffsetStep,
    total: Option<Path>,
    has_more: Option<Path>,
    #[serde(default)]
    short_page_is_end: bool,
}

fn offset() -> String {
    "offset".to_owned()
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum OffsetStep {
    #[default]
    Records,
    Size,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CursorKeys {
    cursor: Path,
    param: String,
    size_param: Option<String>,
    size: Option<u64>,
    total: Option<Path>,
    has_more: Option<Path>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NextUrlKeys {
    next: Path,
    total: Option<Path>,
    has_more: Option<Path>,
}

const TYPES: [&str; 5] = ["none", "page", "offset", "cursor", "next_url"];

/// What an answer said, as far as paging asks.
pub(super) struct Seen<'n, 'a> {
    /// The answer.
    pub(super) document: &'n Node<'a>,
    /// How many records it held.
    pub(super) records: u64,
    /// The position it was asked for; `None` for the first.
    pub(super) after: Option<&'n str>,
}

/// Where the next page is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// A position that `query` turns into parameters.
    Position(String),
    /// An address as the server gives it, absolute or relative.
    Link(String),
}

impl Paging {
    /// Reads the section; `type` decides which keys it has.
    pub(super) fn read(mut section: Section) -> Result<Self, Vec<Problem>> {
        if section.0.is_empty() {
            return Ok(Self::None);
        }
        let kind = section.split_off(&["type"]);
        let also = &["type"];
        match kind.text("type") {
            Some("none") => section.read(also).map(|Nothing {}| Self::None),
            Some("page") => section.read(also).and_then(Counted::by_page).map(Self::Counted),
            Some("offset") => section.read(also).and_then(Counted::by_offset).map(Self::Counted),
            Some("cursor") => section.read(also).and_then(Cursor::new).map(Self::Cursor),
            Some("next_url") => {
                let NextUrlKeys { next, total, has_more } = section.read(also)?;
                Ok(Self::NextUrl(NextUrl { next, total, has_more }))
            }
            other => Err(vec![unknown_type(other, &TYPES)]),
        }
    }

    /// The parameters that this sets, so that nothing else may.
    pub(super) fn params(&self) -> Vec<&str> {
        let (param, size) = match self {
            Self::None | Self::NextUrl(_) => return Vec::new(),
            Self::Counted(counted) => (&counted.param, &counted.size),
            Self::Cursor(cursor) => (&cursor.param, &cursor.size),
        };
        std::iter::once(param.as_str()).chain(size.iter().map(|size| size.param.as_str())).collect()
    }

    /// The parameters of the request for the page at `after`; `None` is the first page.
    pub(super) fn query(&self, after: Option<&str>) -> Vec<(String, String)> {
        let mut query = Vec::new();
        let size = match self {
            Self::None | Self::NextUrl(_) => &None,
            Self::Counted(counted) => {
                query.push((counted.param.clone(), counted.position(after).place.to_string()));
                &counted.size
            }
            Self::Cursor(cursor) => {
                query.extend(after.map(|after| (cursor.param.clone(), after.to_owned())));
                &cursor.size
            }
        };
        query.extend(size.iter().map(|size| (size.param.clone(), size.size.to_string())));
        query
    }

    /// How many records the CRM says there are in all.
    pub(super) fn total(&self, document: &Node<'_>) -> Option<u64> {
        let path = match self {
            Self::None => None,
            Self::Counted(counted) => counted.total.as_ref(),
            Self::Cursor(cursor) => cursor.total.as_ref(),
            Self::NextUrl(next_url) => next_url.total.as_ref(),
        };
        count_at(path?, document)
    }

    /// Where the next page is; `None` at the end.
    pub(super) fn next(&self, seen: &Seen<'_, '_>) -> Result<Option<Next>, String> {
        match self {
            Self::None => Ok(None),
            Self::Counted(counted) => Ok(counted.next(seen).map(|position| Next::Position(position.to_string()))),
            Self::Cursor(Cursor { path, has_more, .. }) => {
                named(path, has_more.as_ref(), seen.document).map(|next| next.map(Next::Position))
            }
            Self::NextUrl(NextUrl { next, has_more, .. }) => {
                named(next, has_more.as_ref(), seen.document).map(|next| next.map(Next::Link))
            }
        }
    }
}

fn count_at(path: &Path, document: &Node<'_>) -> Option<u64> {
    u64::try_from(path.find(document)?.scalar()?.number()?.normalize()).ok()
}

fn says_more(path: &Path, document: &Node<'_>) -> bool {
    path.find(document).and_then(Json::scalar).is_some_and(|value| value.is_truthy())
}

/// A cursor or URL that the answer names. Null, absent, empty and false are the end; a promise of more without a next
/// one is no end but a hole.
fn named(path: &Path, has_more: Option<&Path>, document: &Node<'_>) -> Result<Option<String>, String> {
    let more = has_more.map(|path| (path, says_more(path, document)));
    if let Some((_, false)) = more {
        return Ok(None);
    }
    let next = match path.find(document).and_then(Json::scalar) {
        None | Some(Scalar::Bool(false)) => None,
        Some(Scalar::Text(text) | Scalar::Number(text)) => (!text.is_empty()).then(|| text.into_owned()),
        Some(Scalar::Bool(true) | Scalar::Other(_)) => return Err(format!("`{path}`: neither text nor number")),
    };
    match (next, more) {
        (None, Some((has_more, true))) => {
            Err(format!("`{has_more}` says there is more, and `{path}` names no next page"))
        }
        (next, _) => Ok(next),
    }
}

/// Where a counted walk stands: what the parameter says, and how many records it has covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    place: u64,
    covered: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.place, self.covered)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (place, covered) = text.split_once('/').ok_or(())?;
        Ok(Self { place: place.parse().map_err(drop)?, covered: covered.parse().map_err(drop)? })
    }
}

impl Counted {
    fn by_page(keys: PageKeys) -> Result<Self, Vec<Problem>> {
        let size = page_size(keys.size_param, keys.size, keys.short_page_is_end)?;
        Ok(Self {
            param: keys.param,
            start: keys.start,
            advance: Advance::Page,
            size,
            total: keys.total,
            total_pages: keys.total_pages,
            has_more: keys.has_more,
            short_page_is_end: keys.short_page_is_end,
        })
    }

    fn by_offset(keys: OffsetKeys) -> Result<Self, Vec<Problem>> {
        let size = page_size(keys.size_param, keys.size, keys.short_page_is_end)?;
        let advance = match (keys.step, &size) {
            (OffsetStep::Records, _) => Advance::Records,
            (OffsetStep::Size, Some(size)) => Advance::Size(size.size),
            (OffsetStep::Size, None) => {
                return Err(vec![Problem::at("step", "`size` needs `size` and `size_param`")]);
            }
        };
        Ok(Self {
            param: keys.param,
            start: keys.start,
            advance,
            size,
            total: keys.total,
            total_pages: None,
            has_more: keys.has_more,
            short_page_is_end: keys.short_page_is_end,
        })
    }

    fn position(&self, after: Option<&str>) -> Position {
        // Only positions of our own come back.
        after.and_then(|after| after.parse().ok()).unwrap_or(Position { place: self.start, covered: 0 })
    }

    fn next(&self, seen: &Seen<'_, '_>) -> Option<Position> {
        let here = self.position(seen.after);
        let (step, covered) = match self.advance {
            Advance::Page => (1, seen.records),
            Advance::Records => (seen.records, seen.records),
            Advance::Size(size) => (size, size),
        };
        let next = Position { place: here.place + step, covered: here.covered + covered };
        self.goes_on(seen, next).then_some(next)
    }

    /// `has_more` decides where it is configured, then `total_pages`, then `total`, then the empty page.
    fn goes_on(&self, seen: &Seen<'_, '_>, next: Position) -> bool {
        if let Some(has_more) = &self.has_more {
            return says_more(has_more, seen.document);
        }
        if let Some(pages) = self.total_pages.as_ref().and_then(|path| count_at(path, seen.document)) {
            return next.place - self.start < pages;
        }
        // A total of 0 beside records is a server that does not count.
        let total = self.total.as_ref().and_then(|path| count_at(path, seen.document)).filter(|total| *total > 0);
        if total.is_some_and(|total| next.covered >= total) {
            return false;
        }
        let is_short = self.size.as_ref().is_some_and(|size| seen.records < size.size);
        seen.records > 0 && !(self.short_page_is_end && is_short)
    }
}

impl Cursor {
    fn new(keys: CursorKeys) -> Result<Self, Vec<Problem>> {
        let size = page_size(keys.size_param, keys.size, false)?;
        Ok(Self { path: keys.cursor, param: keys.param, size, total: keys.total, has_more: keys.has_more })
    }
}

fn page_size(param: Option<String>, size: Option<u64>, is_needed: bool) -> Result<Option<PageSize>, Vec<Problem>> {
    match (param, size) {
        (_, Some(0)) => Err(vec![Problem::at("size", "must be at least 1")]),
        (Some(param), Some(size)) => Ok(Some(PageSize { param, size })),
        (None, None) if is_needed => Err(vec![Problem::at("short_page_is_end", "needs `size` and `size_param`")]),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(vec![Problem::at("size_param", "is missing").hint("the name of the parameter that carries `size`")])
        }
        (Some(_), None) => Err(vec![Problem::at("size", "is missing").hint("how many records a page is to hold")]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    fn paging(toml: &str) -> Paging {
        Paging::read(section(toml)).unwrap()
    }

    fn next(paging: &Paging, after: Option<&str>, records: u64, document: &str) -> Result<Option<Next>, String> {
        let document = Node::document(document).unwrap();
        paging.next(&Seen { document: &document, records, after })
    }

    fn position(text: &str) -> Next {
        Next::Position(text.to_owned())
    }

    fn query(paging: &Paging, after: Option<&str>) -> String {
        let pairs: Vec<String> = paging.query(after).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join("&")
    }

    #[test]
    fn pages_are_counted_until_the_empty_one() {
        let paging = paging("type = 'page'\nsize_param = 'per_page'\nsize = 2");
        assert_eq!(query(&paging, None), "page=1&per_page=2");
        assert_eq!(query(&paging, Some("3/4")), "page=3&per_page=2");
        assert_eq!(next(&paging, None, 2, "{}"), Ok(Some(position("2/2"))));
        assert_eq!(next(&paging, Some("2/2"), 1, "{}"), Ok(Some(position("3/3"))), "a short page is no end");
        assert_eq!(next(&paging, Some("3/3"), 0, "{}"), Ok(None));
    }

    #[test]
    fn the_number_of_pages_and_the_total_end_a_walk_without_an_empty_page() {
        let by_pages = paging("type = 'page'\nstart = 0\ntotal_pages = '$.pages'");
        assert_eq!(next(&by_pages, None, 2, r#"{"pages": "2"}"#), Ok(Some(position("1/2"))));
        assert_eq!(next(&by_pages, Some("1/2"), 2, r#"{"pages": 2}"#), Ok(None));
        assert_eq!(
            next(&by_pages, Some("1/2"), 0, r#"{"pages": 5}"#),
            Ok(Some(position("2/2"))),
            "an empty page in the middle"
        );
        assert_eq!(next(&by_pages, Some("1/2"), 2, r#"{"pages": null}"#), Ok(Some(position("2/4"))));
        let by_total = paging("type = 'page'\ntotal = '$.total'");
        assert_eq!(next(&by_total, Some("2/2"), 1, r#"{"total": "3"}"#), Ok(None));
        assert_eq!(next(&by_total, Some("2/2"), 1, r#"{"total": 4}"#), Ok(Some(position("3/3"))));
        assert_eq!(
            next(&by_total, None, 2, r#"{"total": 0}"#),
            Ok(Some(position("2/2"))),
            "0 beside records is no count"
        );
    }

    #[test]
    fn offsets_go_on_by_the_records_received_or_by_the_size() {
        let by_records = paging("type = 'offset'\nsize_param = 'limit'\nsize = 100");
        assert_eq!(query(&by_records, None), "offset=0&limit=100");
        assert_eq!(next(&by_records, Some("100/100"), 49, "{}"), Ok(Some(position("149/149"))));
        let by_size =
            paging("type = 'offset'\nstart = 1\nstep = 'size'\nsize_param = 'limit'\nsize = 50\ntotal = '$.n'");
        assert_eq!(next(&by_size, None, 49, r#"{"n": 100}"#), Ok(Some(position("51/50"))));
        assert_eq!(next(&by_size, Some("51/50"), 50, r#"{"n": 100}"#), Ok(None));
    }

    #[test]
    fn an_answer_that_says_there_is_more_is_believed_before_anything_is_counted() {
        let paging = paging("type = 'offset'\nhas_more = '$.more'\ntotal = '$.total'");
        assert_eq!(next(&paging, None, 2, r#"{"more": true, "total": 2}"#), Ok(Some(position("2/2"))));
        assert_eq!(next(&paging, None, 2, r#"{"more": 0, "total": 9}"#), Ok(None));
        assert_eq!(next(&paging, None, 2, "{}"), Ok(None), "absent is no more");
    }

    #[test]
    fn a_short_page_ends_the_walk_only_where_the_configuration_says_so() {
        let paging = paging("type = 'offset'\nsize_param = 'limit'\nsize = 2\nshort_page_is_end = true");
        assert_eq!(next(&paging, None, 2, "{}"), Ok(Some(position("2/2"))));
        assert_eq!(next(&paging, Some("2/2"), 1, "{}"), Ok(None));
    }

    #[test]
    fn a_cursor_goes_on_as_text_or_number_until_there_is_none() {
        let paging = paging("type = 'cursor'\ncursor = '$.next'\nparam = 'after'\nsize_param = 'limit'\nsize = 2");
        assert_eq!(query(&paging, None), "limit=2");
        assert_eq!(query(&paging, Some("a+/=&")), "after=a+/=&&limit=2");
        assert_eq!(
            next(&paging, None, 0, r#"{"next": 12345678901234567890}"#),
            Ok(Some(position("12345678901234567890")))
        );
        assert_eq!(next(&paging, None, 2, r#"{"next": "x"}"#), Ok(Some(position("x"))));
        for end in [r#"{"next": null}"#, r#"{"next": ""}"#, r#"{"next": false}"#, "{}"] {
            assert_eq!(next(&paging, None, 2, end), Ok(None), "{end}");
        }
        assert!(next(&paging, None, 2, r#"{"next": {}}"#).is_err());
    }

    #[test]
    fn a_promise_of_more_without_a_cursor_is_a_hole_and_no_end() {
        let paging = paging("type = 'cursor'\ncursor = '$.next'\nparam = 'after'\nhas_more = '$.more'");
        assert_eq!(next(&paging, None, 2, r#"{"next": "x", "more": false}"#), Ok(None));
        let why = next(&paging, None, 2, r#"{"next": null, "more": true}"#).unwrap_err();
        assert_eq!(why, "`$.more` says there is more, and `$.next` names no next page");
    }

    #[test]
    fn keys_that_need_each_other_are_asked_for_together() {
        for (toml, key) in [
            ("type = 'page'\nsize = 2", "size_param"),
            ("type = 'page'\nsize_param = 'limit'", "size"),
            ("type = 'offset'\nsize = 0\nsize_param = 'limit'", "size"),
            ("type = 'offset'\nstep = 'size'", "step"),
            ("type = 'offset'\nshort_page_is_end = true", "short_page_is_end"),
            ("type = 'cursor'\nparam = 'x'", "cursor"),
            ("type = 'next_url'\nnext = '$.a['", "next"),
            ("type = 'pages'", "type"),
            ("size = 2", "type"),
            ("type = 'none'\nsize = 2", "size"),
        ] {
            let problems = Paging::read(section(toml)).unwrap_err();
            assert_eq!(problems[0].path, [key], "{toml}: {problems:?}");
        }
    }
}
