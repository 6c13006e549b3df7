//! Reads and checks the keys of `paging`; `type` decides which keys there are.

use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::rest::auth::{Nothing, unknown_type};
use crate::sources::rest::paging::counted::Counted;
use crate::sources::rest::paging::cursor::Cursor;
use crate::sources::rest::paging::link::Link;
use crate::sources::rest::paging::pager::Pager;
use crate::sources::rest::paging::place::{In, PageSize};
use crate::sources::rest::paging::plan::Paging;
use crate::sources::rest::paging::range::Range;
use crate::sources::rest::paging::single::Single;
use crate::sources::rest::paging::total::Spot;
use crate::sources::rest::path::Path;
use crate::sources::source::Bounds;

/// The keys that several types share.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SharedKeys {
    #[serde(default, rename = "in")]
    place: In,
    size_param: Option<String>,
    size: Option<u64>,
    total: Option<Path>,
    total_header: Option<String>,
    total_tolerance: Option<u64>,
    has_more: Option<Path>,
    max_pages: Option<u64>,
    max_records: Option<u64>,
}

/// The types, and which of the shared keys each has.
const TYPES: [(&str, &[&[&str]]); 7] = [
    ("none", &[&TOTAL, &["max_records", "has_more"]]),
    ("page", &[&TOTAL, &BOUNDS, &PLACED]),
    ("offset", &[&TOTAL, &BOUNDS, &PLACED]),
    ("cursor", &[&TOTAL, &BOUNDS, &PLACED]),
    ("next_url", &[&TOTAL, &BOUNDS, &PLACED]),
    ("link_header", &[&TOTAL, &BOUNDS, &PLACED]),
    ("range", &[&TOTAL, &BOUNDS]),
];

const TOTAL: [&str; 3] = ["total", "total_header", "total_tolerance"];
const BOUNDS: [&str; 2] = ["max_pages", "max_records"];
const PLACED: [&str; 4] = ["in", "size_param", "size", "has_more"];

impl Paging {
    pub(in crate::sources::rest) fn read(mut section: Section) -> Result<Self, Vec<Problem>> {
        if section.0.is_empty() {
            return Ok(Self {
                pager: Box::new(Single { is_configured: false }),
                size: None,
                total: None,
                total_tolerance: 0,
                has_more: None,
                bounds: Bounds::default(),
            });
        }
        let kind = section.split_off(&["type"]);
        let known = TYPES.map(|(name, _)| name);
        let word = kind.text("type");
        let Some((word, shared)) = TYPES.iter().find(|(name, _)| Some(*name) == word) else {
            return Err(vec![unknown_type(word, &known)]);
        };
        let shared = shared.concat();
        let common = section.split_off(&shared);
        let also: Vec<&str> = shared.iter().copied().chain(["type"]).collect();
        let mut problems = Vec::new();
        let keys = common.read::<SharedKeys>(&[]).map_err(|found| problems.extend(found)).unwrap_or_default();
        let size = PageSize::new(keys.place, keys.size_param, keys.size);
        let size = size.map_err(|problem| problems.push(problem)).unwrap_or_default();
        let bounds = bounds(keys.max_pages, keys.max_records);
        let bounds = bounds.map_err(|problem| problems.push(problem)).unwrap_or_default();
        let total = Spot::new(keys.total, keys.total_header);
        let total = total.map_err(|problem| problems.push(problem)).unwrap_or_default();
        // `Content-Range` has the total.
        if keys.total_tolerance.is_some() && total.is_none() && *word != "range" {
            problems.push(Problem::at("total_tolerance", "is of use only beside `total` or `total_header`"));
        }
        let pager = match *word {
            "none" => section.read(&also).map(|Nothing {}| boxed(Single { is_configured: true })),
            "page" => Counted::by_page(&section, &also, keys.place, size.as_ref()).map(boxed),
            "offset" => Counted::by_offset(&section, &also, keys.place, size.as_ref()).map(boxed),
            "cursor" => Cursor::read(&section, &also, keys.place).map(boxed),
            "next_url" => Link::by_url(&section, &also).map(boxed),
            "link_header" => Link::by_header(&section, &also).map(boxed),
            _ => Range::read(&section, &also).map(boxed),
        };
        let pager = match pager {
            Ok(pager) if problems.is_empty() => pager,
            Ok(_) => return Err(problems),
            Err(found) => return Err(problems.into_iter().chain(found).collect()),
        };
        Ok(Self {
            pager,
            size,
            total,
            total_tolerance: keys.total_tolerance.unwrap_or(0),
            has_more: keys.has_more,
            bounds,
        })
    }
}

fn boxed(pager: impl Pager + 'static) -> Box<dyn Pager> {
    Box::new(pager)
}

fn bounds(pages: Option<u64>, records: Option<u64>) -> Result<Bounds, Problem> {
    let usual = Bounds::default();
    match (pages, records) {
        (Some(0), _) => Err(Problem::at("max_pages", "must be at least 1")),
        (_, Some(0)) => Err(Problem::at("max_records", "must be at least 1")),
        _ => Ok(Bounds { pages: pages.unwrap_or(usual.pages), records: records.unwrap_or(usual.records) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

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
            ("type = 'range'\nsize = 0", "size"),
            ("type = 'range'\nsize = 2\nhas_more = '$.more'", "has_more"),
            ("type = 'next_url'", "next"),
            ("type = 'cursor'\ncursor = 'a b'\nparam = 'x'\ncursor_from = 'header'", "cursor"),
            ("type = 'page'\nin = 'body'\nparam = 'page..number'", "param"),
            ("type = 'page'\nin = 'header'\nparam = 'X Page'", "param"),
            ("type = 'page'\ntotal = '$.n'\ntotal_header = 'X-Total'", "total_header"),
            ("type = 'page'\ntotal = { path = '/count' }", "total"),
            ("type = 'page'\ntotal_tolerance = 2", "total_tolerance"),
            ("type = 'page'\nmax_pages = 0", "max_pages"),
            ("type = 'none'\nmax_records = 0", "max_records"),
            ("type = 'none'\nmax_pages = 5", "max_pages"),
        ] {
            let problems = Paging::read(section(toml)).err().unwrap();
            assert_eq!(problems[0].path[0], key, "{toml}: {problems:?}");
        }
    }
}
