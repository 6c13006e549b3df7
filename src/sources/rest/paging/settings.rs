//! What a section says of its paging, checked: `type` decides which keys there are.

use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::rest::auth::{Nothing, unknown_type};
use crate::sources::rest::paging::counted::Counted;
use crate::sources::rest::paging::cursor::Cursor;
use crate::sources::rest::paging::link::Link;
use crate::sources::rest::paging::place::{Along, In, PageSize};
use crate::sources::rest::paging::range::Range;
use crate::sources::rest::paging::{Paging, Way, total};
use crate::sources::rest::path::Path;
use crate::sources::source::Bounds;

/// What several ways have in common.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SharedKeys {
    #[serde(default, rename = "in")]
    place: In,
    size_param: Option<String>,
    size: Option<u64>,
    total_header: Option<String>,
    total_tolerance: Option<u64>,
    has_more: Option<Path>,
    #[serde(default)]
    end_statuses: Vec<u16>,
    #[serde(default = "everything")]
    keep: Vec<Kept>,
    #[serde(default)]
    merge_query: bool,
    max_pages: Option<u64>,
    max_records: Option<u64>,
}

/// What goes with a next address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Headers,
    Body,
}

fn everything() -> Vec<Kept> {
    vec![Kept::Headers, Kept::Body]
}

/// The ways, and which of the common keys each has.
const WAYS: [(&str, &[&[&str]]); 7] = [
    ("none", &[&TOTAL, &["max_records", "has_more"]]),
    ("page", &[&TOTAL, &BOUNDS, &PLACED, &["end_statuses"]]),
    ("offset", &[&TOTAL, &BOUNDS, &PLACED, &["end_statuses"]]),
    ("cursor", &[&TOTAL, &BOUNDS, &PLACED, &["end_statuses"]]),
    ("next_url", &[&TOTAL, &BOUNDS, &PLACED, &["keep", "merge_query"]]),
    ("link_header", &[&TOTAL, &BOUNDS, &PLACED, &["keep"]]),
    ("range", &[&TOTAL, &BOUNDS]),
];

const TOTAL: [&str; 3] = ["total", "total_header", "total_tolerance"];
const BOUNDS: [&str; 2] = ["max_pages", "max_records"];
const PLACED: [&str; 4] = ["in", "size_param", "size", "has_more"];

impl Paging {
    /// Reads the section; `type` decides which keys it has.
    pub(in crate::sources::rest) fn read(mut section: Section) -> Result<Self, Vec<Problem>> {
        if section.0.is_empty() {
            return Ok(Self { way: Way::Unsaid, ..Self::default() });
        }
        let kind = section.split_off(&["type"]);
        let known = WAYS.map(|(name, _)| name);
        let word = kind.text("type");
        let Some((word, shared)) = WAYS.iter().find(|(name, _)| Some(*name) == word) else {
            return Err(vec![unknown_type(word, &known)]);
        };
        let shared = shared.concat();
        let mut common = section.split_off(&shared);
        let said_total = common.0.remove("total");
        let also: Vec<&str> = shared.iter().copied().chain(["type"]).collect();
        let mut problems = Vec::new();
        let keys = common.read::<SharedKeys>(&[]).map_err(|found| problems.extend(found)).unwrap_or_default();
        let size = PageSize::new(keys.place, keys.size_param, keys.size);
        let size = size.map_err(|problem| problems.push(problem)).unwrap_or_default();
        let bounds = bounds(keys.max_pages, keys.max_records);
        let bounds = bounds.map_err(|problem| problems.push(problem)).unwrap_or_default();
        let total = total::read(said_total, keys.total_header);
        let total = total.map_err(|found| problems.extend(found)).unwrap_or_default();
        if keys.end_statuses.iter().any(|status| !(400..500).contains(status)) {
            problems.push(Problem::at("end_statuses", "expected statuses from 400 to 499").hint("such as [404]"));
        }
        // Parts by `Range` have a total of their own.
        if keys.total_tolerance.is_some() && total.is_none() && *word != "range" {
            problems.push(Problem::at("total_tolerance", "is of use only beside `total` or `total_header`"));
        }
        let way = match *word {
            "none" => section.read(&also).map(|Nothing {}| Way::One),
            "page" => Counted::by_page(&section, &also, keys.place, size.as_ref()).map(Way::Counted),
            "offset" => Counted::by_offset(&section, &also, keys.place, size.as_ref()).map(Way::Counted),
            "cursor" => Cursor::read(&section, &also, keys.place).map(Way::Cursor),
            "next_url" => Link::by_url(&section, &also).map(Way::Link),
            "link_header" => Link::by_header(&section, &also).map(Way::Link),
            _ => Range::read(&section, &also).map(Way::Range),
        };
        let way = way.map_err(|found| problems.extend(found)).unwrap_or_default();
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            way,
            size,
            total,
            total_tolerance: keys.total_tolerance.unwrap_or(0),
            has_more: keys.has_more,
            end_statuses: keys.end_statuses,
            along: Along {
                headers: keys.keep.contains(&Kept::Headers),
                body: keys.keep.contains(&Kept::Body),
                query: keys.merge_query,
            },
            bounds,
        })
    }
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
            ("type = 'next_url'\nnext_header = 'a b'", "next_header"),
            ("type = 'link_header'\nend_statuses = [404]", "end_statuses"),
            ("type = 'cursor'\ncursor = 'a b'\nparam = 'x'\ncursor_from = 'header'", "cursor"),
            ("type = 'page'\nin = 'body'\nparam = 'page..number'", "param"),
            ("type = 'page'\nin = 'header'\nparam = 'X Page'", "param"),
            ("type = 'page'\ntotal = '$.n'\ntotal_header = 'X-Total'", "total_header"),
            ("type = 'page'\ntotal = { path = '/count' }", "total"),
            ("type = 'page'\ntotal = { path = '/count', method = 'HEAD', value = '$.n' }", "total"),
            ("type = 'page'\ntotal_tolerance = 2", "total_tolerance"),
            ("type = 'page'\nkeep = ['body']", "keep"),
            ("type = 'page'\nend_statuses = [404, 200]", "end_statuses"),
            ("type = 'page'\nmax_pages = 0", "max_pages"),
            ("type = 'none'\nmax_records = 0", "max_records"),
            ("type = 'none'\nmax_pages = 5", "max_pages"),
            ("type = 'link_header'\nmerge_query = true", "merge_query"),
        ] {
            let problems = Paging::read(section(toml)).err().unwrap();
            assert_eq!(problems[0].path[0], key, "{toml}: {problems:?}");
        }
    }
}
