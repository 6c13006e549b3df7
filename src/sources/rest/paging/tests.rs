use reqwest::header::HeaderMap;

use super::*;
use crate::settings::section;
use crate::sources::rest::json::Node;
use crate::sources::rest::record::Record;
use crate::sources::rest::request::PageOverrides;

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
    paging.next(&paging.answer(&document, (200, headers), &records, after))
}

fn position(text: &str) -> Next {
    Next::Position(text.to_owned())
}

fn query(paging: &Paging, after: Option<&str>) -> String {
    let pairs: Vec<String> =
        paging.overrides(after).query.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
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
        let set = paging.overrides(Some(&behind));
        assert!(set.ends.contains(&404) && !set.ends.contains(&429), "{toml}: it may be refused");
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
    let by_size = paging("type = 'offset'\nstart = 1\nstep = 'size'\nsize_param = 'limit'\nsize = 50\ntotal = '$.n'");
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
    assert_eq!(next(&paging, None, 0, r#"{"next": 12345678901234567890}"#), Ok(Some(position("12345678901234567890"))));
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
    let shown = |set: PageOverrides| {
        set.body.iter().map(|(place, value)| format!("{place}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(in_body.overrides(Some("10/10/0/5"))), "page.skip=10 page.take=5");
    let cursor = paging("type = 'cursor'\nin = 'body'\ncursor = '$.next'\nparam = 'variables.after'");
    assert_eq!(shown(cursor.overrides(Some("7"))), "variables.after=\"7\"");
    assert_eq!(shown(cursor.overrides(None)), "");
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
    let part = |text: &'static str| HeaderMap::from_iter([("content-range".parse().unwrap(), text.parse().unwrap())]);
    assert_eq!(answered(&paging, None, 2, "{}", &part("records 0-1/5")), Ok(Some(position("2/2/0/0"))));
    assert_eq!(answered(&paging, Some("4/4/0/0"), 1, "{}", &part("records 4-4/5")), Ok(None));
    assert_eq!(answered(&paging, Some("4/4/0/0"), 1, "{}", &part("records 4-4/*")), Ok(Some(position("5/5/0/0"))));
    assert_eq!(answered(&paging, Some("5/5/0/0"), 0, "{}", &part("records */*")), Ok(None));
    assert!(answered(&paging, Some("4/4/0/0"), 2, "{}", &part("records 0-1/5")).is_err());
    assert_eq!(next(&paging, None, 9, "{}"), Ok(None), "the whole list");
    assert!(next(&paging, Some("2/2/0/0"), 9, "{}").is_err());
}
