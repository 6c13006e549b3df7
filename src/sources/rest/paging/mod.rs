//! How a list is cut into pages: what the next request asks for, and which answer was the last.
//!
//! Pure. A short page is no sign of the end unless the configuration says so, because servers send them in the middle
//! (contract §1.1, 1). Where an answer says whether there is more, it is believed before anything is counted.

mod counted;
mod cursor;
mod end;
mod link;
mod place;
mod range;
mod settings;
mod total;

use reqwest::header::HeaderMap;

use crate::sources::link::relation;
use crate::sources::rest::json::{Json, Node};
use crate::sources::rest::paging::counted::Counted;
use crate::sources::rest::paging::cursor::Cursor;
use crate::sources::rest::paging::link::Link;
pub(super) use crate::sources::rest::paging::place::Turn;
use crate::sources::rest::paging::place::{PageSize, Place};
use crate::sources::rest::paging::range::Range;
use crate::sources::rest::paging::total::Spot;
use crate::sources::rest::path::Path;
use crate::sources::rest::record::Record;
use crate::sources::source::Bounds;

/// How one list is paged; `[sources.x.paging]`.
#[derive(Default)]
pub(super) struct Paging {
    way: Way,
    size: Option<PageSize>,
    total: Option<Spot>,
    total_tolerance: u64,
    has_more: Option<Path>,
    bounds: Bounds,
}

#[derive(Default)]
enum Way {
    /// One answer holds everything, as the configuration says.
    One,
    /// Pages or records are counted.
    Counted(Counted),
    /// Each answer names the next cursor.
    Cursor(Cursor),
    /// Each answer names the next address.
    Link(Link),
    /// Each request names a range.
    Range(Range),
    /// One answer is taken for everything, because nothing is said.
    #[default]
    Unsaid,
}

/// What an answer said, as far as paging asks.
pub(super) struct Seen<'n, 'a> {
    /// The answer.
    pub(super) document: &'n Node<'a>,
    /// Its status.
    pub(super) status: u16,
    /// Its headers.
    pub(super) headers: &'n HeaderMap,
    /// Its records.
    pub(super) records: &'n [Record<'a>],
    /// The position it was asked for; `None` for the first.
    pub(super) after: Option<&'n str>,
}

/// The same, with what the configuration makes of it.
struct Answered<'n, 'a> {
    document: &'n Node<'a>,
    status: u16,
    headers: &'n HeaderMap,
    records: &'n [Record<'a>],
    after: Option<&'n str>,
    total: Option<u64>,
    has_more: Option<&'n Path>,
}

/// Where the next page is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// A position that `turn` understands.
    Position(String),
    /// An address as the server gives it, absolute or relative.
    Link(String),
}

impl Paging {
    /// The places that this sets, so that nothing else may.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        let own = match &self.way {
            Way::Counted(counted) => Some(&counted.place),
            Way::Cursor(cursor) => Some(&cursor.place),
            _ => None,
        };
        own.into_iter().chain(self.size.iter().map(|size| &size.place))
    }

    /// A page's own part of the request; `None` is the first page.
    pub(super) fn turn(&self, after: Option<&str>) -> Turn {
        let mut turn = Turn::default();
        match &self.way {
            Way::One | Way::Unsaid => {}
            Way::Counted(counted) => counted.ask(after, &mut turn),
            Way::Cursor(cursor) => cursor.ask(after, &mut turn),
            Way::Link(_) => turn.link = after.map(str::to_owned),
            Way::Range(range) => range.ask(after, &mut turn),
        }
        // An address from the server has the query of its own.
        if let Some(size) = &self.size
            && (turn.link.is_none() || !matches!(size.place, Place::Query(_)))
        {
            size.ask(&mut turn);
        }
        turn
    }

    /// How long the list may be.
    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// By how many records the total may be wrong.
    pub(super) fn total_tolerance(&self) -> u64 {
        self.total_tolerance
    }

    /// How many records the answer says there are in all.
    pub(super) fn total(&self, document: &Node<'_>, headers: &HeaderMap) -> Option<u64> {
        match (&self.total, &self.way) {
            (Some(spot), _) => spot.read(document, headers),
            (None, Way::Range(_)) => range::total(headers),
            _ => None,
        }
    }

    /// Where the next page is; `None` at the end.
    pub(super) fn next(&self, seen: &Seen<'_, '_>) -> Result<Option<Next>, String> {
        let Seen { document, status, headers, records, after } = *seen;
        let total = self.total(document, headers);
        let seen = Answered { document, status, headers, records, after, total, has_more: self.has_more.as_ref() };
        match &self.way {
            Way::One | Way::Unsaid if relation(headers, "next").is_some() => {
                Err("the answer is one page of several: its `Link` names a next one".to_owned())
            }
            Way::One | Way::Unsaid => match seen.has_more.filter(|path| says_more(path, document)) {
                Some(more) => Err(format!("the answer is one page of several: `{more}` says there is more")),
                None => Ok(None),
            },
            Way::Counted(counted) => counted.next(&seen).map(|next| next.map(Next::Position)),
            Way::Cursor(cursor) => cursor.next(&seen).map(|next| next.map(Next::Position)),
            Way::Link(link) => link.next(&seen).map(|next| next.map(Next::Link)),
            Way::Range(_) => Range::next(&seen).map(|next| next.map(Next::Position)),
        }
    }
}

fn says_more(path: &Path, document: &Node<'_>) -> bool {
    path.find(document).and_then(Json::scalar).is_some_and(|value| value.is_truthy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    fn paging(toml: &str) -> Paging {
        Paging::read(section(toml)).unwrap()
    }

    fn next(paging: &Paging, after: Option<&str>, records: usize, document: &str) -> Result<Option<Next>, String> {
        answered(paging, after, records, document, &HeaderMap::new())
    }

    fn answered(
        paging: &Paging,
        after: Option<&str>,
        records: usize,
        document: &str,
        headers: &HeaderMap,
    ) -> Result<Option<Next>, String> {
        let document = Node::document(document).unwrap();
        let records: Vec<Record<'_>> =
            (0..records).map(|_| Record::of(serde_json::from_str(r#"{"id": "z9"}"#).unwrap())).collect();
        paging.next(&Seen { document: &document, status: 200, headers, records: &records, after })
    }

    fn position(text: &str) -> Next {
        Next::Position(text.to_owned())
    }

    fn query(paging: &Paging, after: Option<&str>) -> String {
        let pairs: Vec<String> =
            paging.turn(after).query.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join("&")
    }

    #[test]
    fn pages_are_counted_until_the_empty_one() {
        let paging = paging("type = 'page'\nsize_param = 'per_page'\nsize = 2");
        assert_eq!(query(&paging, None), "page=1&per_page=2");
        assert_eq!(query(&paging, Some("3/4/0/2")), "page=3&per_page=2");
        assert_eq!(next(&paging, None, 2, "{}"), Ok(Some(position("2/2/0/2"))));
        assert_eq!(next(&paging, Some("2/2/0/2"), 1, "{}"), Ok(Some(position("3/3/0/2"))), "a short page is no end");
        assert_eq!(next(&paging, Some("3/3/0/2"), 0, "{}"), Ok(None));
    }

    #[test]
    fn the_number_of_pages_and_the_total_end_a_walk_without_an_empty_page() {
        let by_pages = paging("type = 'page'\nstart = 0\ntotal_pages = '$.pages'");
        assert_eq!(next(&by_pages, None, 2, r#"{"pages": "2"}"#), Ok(Some(position("1/2/0/2"))));
        assert_eq!(next(&by_pages, Some("1/2/0/2"), 2, r#"{"pages": 2}"#), Ok(None));
        assert_eq!(
            next(&by_pages, Some("1/2/0/2"), 0, r#"{"pages": 5}"#),
            Ok(Some(position("2/2/0/2"))),
            "an empty page in the middle"
        );
        assert_eq!(next(&by_pages, Some("1/2/0/2"), 2, r#"{"pages": null}"#), Ok(Some(position("2/4/0/2"))));
        let by_total = paging("type = 'page'\ntotal = '$.total'");
        assert_eq!(next(&by_total, Some("2/2/3/2"), 1, r#"{"total": "3"}"#), Ok(None));
        assert_eq!(next(&by_total, Some("2/2/0/2"), 1, r#"{"total": 4}"#), Ok(Some(position("3/3/4/2"))));
        let shrunk = next(&by_total, Some("2/2/7/2"), 2, r#"{"total": 2}"#);
        assert_eq!(shrunk, Ok(Some(position("3/4/7/2"))), "a total that shrinks ends nothing");
        assert_eq!(
            next(&by_total, None, 2, r#"{"total": 0}"#),
            Ok(Some(position("2/2/0/2"))),
            "0 beside records is no count"
        );
    }

    #[test]
    fn a_count_that_ends_the_list_with_a_full_first_page_is_looked_behind() {
        for (toml, answer) in [("total = '$.n'", r#"{"n": 2}"#), ("total_pages = '$.n'", r#"{"n": 1}"#)] {
            let paging = paging(&format!("type = 'page'\nsize_param = 'per_page'\nsize = 2\n{toml}"));
            let Ok(Some(Next::Position(behind))) = next(&paging, None, 2, answer) else { panic!("{toml}") };
            let turn = paging.turn(Some(&behind));
            assert!(turn.ends.contains(&404) && !turn.ends.contains(&429), "{toml}: it may be refused");
            assert_eq!(next(&paging, Some(&behind), 0, "{}"), Ok(None), "{toml}");
            let why = next(&paging, Some(&behind), 1, answer).unwrap_err();
            assert!(why.ends_with("the second holds records: is it the count of a page?"), "{why}");
            assert_eq!(next(&paging, None, 1, r#"{"n": 1}"#), Ok(None), "{toml}: no full page");
        }
        let capped = paging("type = 'offset'\nsize_param = 'limit'\nsize = 500\ntotal = '$.n'");
        assert!(matches!(next(&capped, None, 100, r#"{"n": 100}"#), Ok(Some(_))), "the server may hold pages short");
        let told = paging("type = 'page'\nsize_param = 'per_page'\nsize = 2\nhas_more = '$.more'\ntotal = '$.n'");
        assert_eq!(next(&told, None, 2, r#"{"more": false, "n": 2}"#), Ok(None), "it says that there is no more");
    }

    #[test]
    fn offsets_go_on_by_the_records_received_or_by_the_size() {
        let by_records = paging("type = 'offset'\nsize_param = 'limit'\nsize = 100");
        assert_eq!(query(&by_records, None), "offset=0&limit=100");
        assert_eq!(next(&by_records, Some("100/100/0/100"), 49, "{}"), Ok(Some(position("149/149/0/100"))));
        let by_size =
            paging("type = 'offset'\nstart = 1\nstep = 'size'\nsize_param = 'limit'\nsize = 50\ntotal = '$.n'");
        assert_eq!(next(&by_size, None, 49, r#"{"n": 100}"#), Ok(Some(position("51/50/100/49"))));
        assert_eq!(next(&by_size, Some("51/50/100/49"), 50, r#"{"n": 100}"#), Ok(None));
        let capped = next(&by_size, Some("51/50/0/49"), 49, "{}").unwrap_err();
        assert_eq!(capped, "no page holds more than 49 records, so that steps of 50 leave some out");
    }

    #[test]
    fn an_answer_that_says_there_is_more_is_believed_before_anything_is_counted() {
        let paging = paging("type = 'offset'\nhas_more = '$.more'\ntotal = '$.total'");
        assert_eq!(next(&paging, None, 2, r#"{"more": true, "total": 2}"#), Ok(Some(position("2/2/2/2"))));
        assert_eq!(next(&paging, None, 2, r#"{"more": 0, "total": 9}"#), Ok(None));
        assert_eq!(next(&paging, None, 2, "{}"), Ok(None), "absent is no more");
    }

    #[test]
    fn a_short_page_ends_the_walk_only_where_the_configuration_says_so() {
        let paging = paging("type = 'offset'\nsize_param = 'limit'\nsize = 2\nshort_page_is_end = true");
        assert_eq!(next(&paging, None, 2, "{}"), Ok(Some(position("2/2/0/2"))));
        assert_eq!(next(&paging, Some("2/2/0/2"), 1, "{}"), Ok(None));
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
    fn a_cursor_may_stand_in_a_header_or_in_the_last_record() {
        let in_header = paging("type = 'cursor'\ncursor = 'X-Next'\ncursor_from = 'header'\nparam = 'after'");
        let headers = HeaderMap::from_iter([("x-next".parse().unwrap(), "a b".parse().unwrap())]);
        assert_eq!(answered(&in_header, None, 1, "{}", &headers), Ok(Some(position("a b"))));
        assert_eq!(next(&in_header, None, 1, "{}"), Ok(None));
        let in_record = paging("type = 'cursor'\ncursor = '$.id'\ncursor_from = 'last_record'\nparam = 'after'");
        assert_eq!(next(&in_record, None, 2, "{}"), Ok(Some(position("z9"))));
        assert_eq!(next(&in_record, Some("z9"), 0, "{}"), Ok(None), "only the empty page is the end");
        let nowhere = paging("type = 'cursor'\ncursor = '$.seq'\ncursor_from = 'last_record'\nparam = 'after'");
        assert_eq!(next(&nowhere, None, 2, "{}"), Err("`$.seq`: `seq` is missing".to_owned()));
    }

    #[test]
    fn positions_stand_in_the_body_as_numbers_and_cursors_as_texts() {
        let in_body = paging("type = 'offset'\nin = 'body'\nparam = 'page.skip'\nsize_param = 'page.take'\nsize = 5");
        let shown = |turn: Turn| {
            turn.body.iter().map(|(place, value)| format!("{place}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(in_body.turn(Some("10/10/0/5"))), "page.skip=10 page.take=5");
        let cursor = paging("type = 'cursor'\nin = 'body'\ncursor = '$.next'\nparam = 'variables.after'");
        assert_eq!(shown(cursor.turn(Some("7"))), "variables.after=\"7\"");
        assert_eq!(shown(cursor.turn(None)), "");
    }

    #[test]
    fn one_answer_that_names_a_next_page_is_not_everything() {
        let headers = HeaderMap::from_iter([("link".parse().unwrap(), "</d?page=2>; rel=next".parse().unwrap())]);
        for paging in [paging(""), paging("type = 'none'")] {
            assert!(answered(&paging, None, 1, "{}", &headers).is_err());
            assert_eq!(answered(&paging, None, 1, "{}", &HeaderMap::new()), Ok(None));
        }
        let told = paging("type = 'none'\nhas_more = '$.more'");
        assert!(next(&told, None, 1, r#"{"more": true}"#).is_err());
        assert_eq!(next(&told, None, 1, r#"{"more": false}"#), Ok(None));
    }

    #[test]
    fn a_part_of_a_list_is_followed_by_the_next_and_another_part_than_the_one_asked_for_is_none() {
        let paging = paging("type = 'range'\nunit = 'records'\nsize = 2");
        let part =
            |text: &'static str| HeaderMap::from_iter([("content-range".parse().unwrap(), text.parse().unwrap())]);
        assert_eq!(answered(&paging, None, 2, "{}", &part("records 0-1/5")), Ok(Some(position("2/2/0/0"))));
        assert_eq!(answered(&paging, Some("4/4/0/0"), 1, "{}", &part("records 4-4/5")), Ok(None));
        assert_eq!(answered(&paging, Some("4/4/0/0"), 1, "{}", &part("records 4-4/*")), Ok(Some(position("5/5/0/0"))));
        assert_eq!(answered(&paging, Some("5/5/0/0"), 0, "{}", &part("records */*")), Ok(None));
        assert!(answered(&paging, Some("4/4/0/0"), 2, "{}", &part("records 0-1/5")).is_err());
        assert_eq!(next(&paging, None, 9, "{}"), Ok(None), "the whole list");
        assert!(next(&paging, Some("2/2/0/0"), 9, "{}").is_err());
    }
}
