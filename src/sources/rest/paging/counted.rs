//! Lists whose pages or records are counted: `page` and `offset`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;

use crate::settings::{Problem, Section};
use crate::sources::rest::paging::answer::{PageAnswer, is_usual_size};
use crate::sources::rest::paging::pager::{Next, Pager};
use crate::sources::rest::paging::place::{In, PageSize, Place};
use crate::sources::rest::paging::total::count_at;
use crate::sources::rest::path::Path;
use crate::sources::rest::request::PageOverrides;
use crate::sources::source::End;

/// Statuses with which servers answer a page after the last one.
const BEHIND_THE_END: [u16; 5] = [400, 404, 410, 416, 422];

/// Marks a position after the end.
const BEHIND: &str = "/behind";

/// Pages by number or offset.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    place: Place,
    start: u64,
    advance: Advance,
    size: Option<u64>,
    total_pages: Option<Path>,
    short_page_is_end: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Advance {
    Page,
    Records,
    Size(u64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageKeys {
    #[serde(default = "page")]
    param: String,
    #[serde(default = "one")]
    start: u64,
    total_pages: Option<Path>,
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
    #[serde(default)]
    step: OffsetStep,
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

/// The position of the next page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The value of the parameter.
    pub(super) place: u64,
    /// How many records the pages so far cover.
    pub(super) covered: u64,
    /// The greatest total that an answer named.
    pub(super) total: u64,
    /// How many records the longest page held.
    pub(super) longest: u64,
    /// Whether the list ended before this position, by its own count.
    pub(super) is_behind: bool,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, covered, total, longest, is_behind } = self;
        let behind = if *is_behind { BEHIND } else { "" };
        write!(formatter, "{place}/{covered}/{total}/{longest}{behind}")
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (numbers, is_behind) = text.strip_suffix(BEHIND).map_or((text, false), |numbers| (numbers, true));
        let mut numbers = numbers.split('/').map(|number| number.parse::<u64>().map_err(drop));
        let mut next = || numbers.next().ok_or(())?;
        Ok(Self { place: next()?, covered: next()?, total: next()?, longest: next()?, is_behind })
    }
}

impl Position {
    /// Reads a position that this pager wrote.
    pub(super) fn of(after: Option<&str>, start: u64) -> Self {
        after.and_then(|after| after.parse().ok()).unwrap_or(Self { place: start, ..Self::default() })
    }

    /// Whether as many records came as the list ever counted. A total that shrinks does not end the list. A total of 0 beside
    /// records means that the server does not count.
    fn is_all(self) -> bool {
        self.total > 0 && self.covered >= self.total
    }
}

impl Counted {
    /// Reads what only `page` has.
    pub(super) fn by_page(
        section: &Section,
        also: &[&str],
        place: In,
        size: Option<&PageSize>,
    ) -> Result<Self, Vec<Problem>> {
        let keys: PageKeys = section.read(also)?;
        let short = needs_size(keys.short_page_is_end, size)?;
        Ok(Self {
            place: Place::new(place, keys.param, "param").map_err(|problem| vec![problem])?,
            start: keys.start,
            advance: Advance::Page,
            size: size.map(|size| size.size),
            total_pages: keys.total_pages,
            short_page_is_end: short,
        })
    }

    /// Reads what only `offset` has.
    pub(super) fn by_offset(
        section: &Section,
        also: &[&str],
        place: In,
        size: Option<&PageSize>,
    ) -> Result<Self, Vec<Problem>> {
        let keys: OffsetKeys = section.read(also)?;
        let short = needs_size(keys.short_page_is_end, size)?;
        let advance = match (keys.step, size) {
            (OffsetStep::Records, _) => Advance::Records,
            (OffsetStep::Size, Some(size)) => Advance::Size(size.size),
            (OffsetStep::Size, None) => {
                return Err(vec![Problem::at("step", "`size` needs `size` and `size_param`")]);
            }
        };
        Ok(Self {
            place: Place::new(place, keys.param, "param").map_err(|problem| vec![problem])?,
            start: keys.start,
            advance,
            size: size.map(|size| size.size),
            total_pages: None,
            short_page_is_end: short,
        })
    }

    /// Fetches one more page when a full first page claims to be complete: the configured count may be that of the page.
    fn looks_behind(&self, answer: &PageAnswer<'_, '_>) -> bool {
        let records = answer.rows();
        let is_full = self.size.is_some_and(|size| records >= size) || is_usual_size(records);
        answer.has_more.is_none() && answer.after.is_none() && is_full
    }

    /// The position after a page of `records` records.
    fn behind(&self, after: Option<&str>, records: u64, total: Option<u64>) -> Position {
        let here = Position::of(after, self.start);
        let (step, covered) = match self.advance {
            Advance::Page => (1, records),
            Advance::Records => (records, records),
            Advance::Size(size) => (size, size),
        };
        Position {
            place: here.place.saturating_add(step),
            covered: here.covered.saturating_add(covered),
            total: here.total.max(total.unwrap_or_default()),
            longest: here.longest.max(records),
            is_behind: false,
        }
    }

    /// Whether the list's own count ends it at this page.
    fn ends_by_count(&self, answer: &PageAnswer<'_, '_>) -> bool {
        let records = answer.rows();
        self.total_pages.is_none() && records > 0 && self.behind(answer.after, records, answer.total).is_all()
    }

    /// `has_more` decides first, then `total_pages`, then `total`, then the empty page.
    fn goes_on(&self, answer: &PageAnswer<'_, '_>, next: Position) -> bool {
        if let Some(says_more) = answer.says_more() {
            return says_more;
        }
        if let Some(pages) = self.total_pages.as_ref().and_then(|path| count_at(path, answer.document)) {
            return next.place - self.start < pages;
        }
        if next.is_all() {
            return false;
        }
        let records = answer.rows();
        let is_short = self.size.is_some_and(|size| records < size);
        records > 0 && !(self.short_page_is_end && is_short)
    }
}

impl Pager for Counted {
    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }

    fn set(&self, after: Option<&str>, request: &mut PageOverrides) {
        let here = Position::of(after, self.start);
        if here.is_behind {
            request.ends.extend(BEHIND_THE_END);
        }
        self.place.put(request, Value::from(here.place));
    }

    fn next(&self, answer: &PageAnswer<'_, '_>) -> Result<Option<Next>, String> {
        let records = answer.rows();
        let next = self.behind(answer.after, records, answer.total);
        if Position::of(answer.after, self.start).is_behind && records > 0 {
            let why = "by the list's own count the first page is all, and the second holds records";
            return Err(format!("{why}: is it the count of a page?"));
        }
        if let Advance::Size(size) = self.advance
            && answer.after.is_some()
            && records > 0
            && next.longest < size
        {
            let longest = next.longest;
            return Err(format!("no page holds more than {longest} records, so that steps of {size} leave some out"));
        }
        if self.goes_on(answer, next) {
            return Ok(Some(Next::Position(next.to_string())));
        }
        let behind = Position { is_behind: true, ..next };
        Ok(self.looks_behind(answer).then(|| Next::Position(behind.to_string())))
    }

    fn end(&self, answer: &PageAnswer<'_, '_>) -> End {
        if answer.has_more.is_none() && self.ends_by_count(answer) { End::Counted } else { End::Said }
    }
}

fn needs_size(is_wanted: bool, size: Option<&PageSize>) -> Result<bool, Vec<Problem>> {
    if is_wanted && size.is_none() {
        return Err(vec![Problem::at("short_page_is_end", "needs `size` and `size_param`")]);
    }
    Ok(is_wanted)
}
