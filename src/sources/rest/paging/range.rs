//! Lists that are cut by the `Range` header: `Range: records=0-99`, `Content-Range: records 0-99/700`.

use reqwest::header::{CONTENT_RANGE, HeaderMap};
use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::rest::paging::answer::PageAnswer;
use crate::sources::rest::paging::counted::Position;
use crate::sources::rest::paging::pager::{Next, Pager};
use crate::sources::rest::request::PageOverrides;

/// 416: the range starts after the last record.
const NOT_SATISFIABLE: u16 = 416;

/// Pages by `Range`.
#[derive(Debug, Clone)]
pub(super) struct Range {
    unit: String,
    size: u64,
    end: End,
}

/// Whether the last number of a range is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    /// As in HTTP.
    #[default]
    Inclusive,
    Exclusive,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default = "items")]
    unit: String,
    size: u64,
    #[serde(default)]
    end: End,
}

fn items() -> String {
    "items".to_owned()
}

/// The range of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    /// `None` in an answer of 416.
    first: Option<u64>,
    /// `None` if the server does not count.
    total: Option<u64>,
}

impl Range {
    /// Reads what only `range` has.
    pub(super) fn read(section: &Section, also: &[&str]) -> Result<Self, Vec<Problem>> {
        let Keys { unit, size, end } = section.read(also)?;
        if size == 0 {
            return Err(vec![Problem::at("size", "must be at least 1")]);
        }
        if unit.is_empty() || !unit.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') {
            return Err(vec![Problem::at("unit", "expected a word such as `items`")]);
        }
        Ok(Self { unit, size, end })
    }
}

impl Pager for Range {
    fn set(&self, after: Option<&str>, request: &mut PageOverrides) {
        let from = Position::of(after, 0).place;
        let to = from + self.size - u64::from(self.end == End::Inclusive);
        request.headers.push(("Range".to_owned(), format!("{}={from}-{to}", self.unit)));
        request.ends.push(NOT_SATISFIABLE);
        request.is_part = true;
    }

    fn total(&self, headers: &HeaderMap) -> Option<u64> {
        part(headers)?.total
    }

    fn next(&self, answer: &PageAnswer<'_, '_>) -> Result<Option<Next>, String> {
        let here = Position::of(answer.after, 0);
        let records = answer.rows();
        let Some(part) = part(answer.headers) else {
            return match (answer.after, answer.status) {
                // Without `Content-Range`, 200 is the whole list (RFC 9110 §14.2).
                (None, 200 | 204) => Ok(None),
                _ => Err("the answer does not say which part of the list it is".to_owned()),
            };
        };
        if part.first.is_some_and(|first| first != here.place) {
            return Err("the answer is another part of the list than the one asked for".to_owned());
        }
        let (place, covered) = (here.place.saturating_add(records), here.covered.saturating_add(records));
        let next = Position { place, covered, ..here };
        let is_all = answer.total.or(part.total).is_some_and(|total| next.covered >= total);
        Ok((records > 0 && !is_all).then(|| Next::Position(next.to_string())))
    }
}

fn part(headers: &HeaderMap) -> Option<Part> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.rsplit_once('/')?;
    let range = range.trim().rsplit(' ').next()?;
    let first = range.split_once('-').and_then(|(first, _)| first.parse().ok());
    (first.is_some() || range == "*").then(|| Part { first, total: total.trim().parse().ok() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    fn asked(toml: &str, after: Option<&str>) -> String {
        let mut request = PageOverrides::default();
        Range::read(&section(toml), &[]).unwrap().set(after, &mut request);
        request.headers[0].1.clone()
    }

    #[test]
    fn a_range_names_its_last_record_or_the_one_behind_it() {
        assert_eq!(asked("unit = 'records'\nsize = 100", None), "records=0-99");
        assert_eq!(asked("unit = 'records'\nsize = 100", Some("100/100/0/0")), "records=100-199");
        assert_eq!(asked("size = 100\nend = 'exclusive'", Some("100/100/0/0")), "items=100-200");
        for toml in ["size = 0", "size = 1\nunit = 'a b'", "size = 1\nend = 'half'", ""] {
            assert!(Range::read(&section(toml), &[]).is_err(), "{toml}");
        }
    }

    #[test]
    fn content_range_names_the_part_and_the_total() {
        let read = |text: &'static str| part(&HeaderMap::from_iter([(CONTENT_RANGE, text.parse().unwrap())]));
        let is = |first, total| Some(Part { first, total });
        assert_eq!(read("records 0-99/700"), is(Some(0), Some(700)));
        assert_eq!(read("0-99/*"), is(Some(0), None));
        assert_eq!(read("records */700"), is(None, Some(700)));
        assert_eq!(read("*/0"), is(None, Some(0)));
        assert_eq!(read("records"), None);
    }
}
