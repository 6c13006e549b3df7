//! The `rest` source against a CRM over real HTTP: what is pulled is what is served, or the pull fails and says why.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use figment::providers::{Format, Toml};
use figment::{Profile, Provider};
use sales_pipeline::clock::SystemClock;
use sales_pipeline::http::Clients;
use sales_pipeline::memory::InProcess;
use sales_pipeline::model::deal::{Deal, Status};
use sales_pipeline::model::finding::Rule;
use sales_pipeline::secret::Keyring;
use sales_pipeline::settings::{Problem, Section, Span};
use sales_pipeline::sources::fetch::{FetchError, Fetched, fetch};
use sales_pipeline::sources::source::Attempt;
use sales_pipeline::sources::{Built, Context, build};
use tokio_util::sync::CancellationToken;

use crate::fake_rest::{FakeRest, Fault, Habit, Paging, deal, deals};

pub(crate) fn section(toml: &str) -> Section {
    Section(Toml::string(toml).data().unwrap().remove(&Profile::Default).unwrap())
}

pub(crate) fn context() -> Context {
    let keyring = Keyring { environment: [("TOKEN".to_owned(), "canary".to_owned())].into(), ..Keyring::default() };
    Context {
        clients: Clients::new(),
        keyring: Arc::new(keyring),
        clock: Arc::new(SystemClock),
        zone: Tz::Europe__Berlin,
        memory: Arc::new(InProcess::default()),
    }
}

pub(crate) fn built(toml: &str) -> Built {
    build(&section(toml), &context()).unwrap_or_else(|problems| panic!("{problems:#?}\n{toml}"))
}

pub(crate) async fn pulled(toml: &str) -> Result<(Vec<Deal>, Fetched), FetchError> {
    let mut taken = Vec::new();
    let sink = |deals: &[Deal]| {
        taken.extend_from_slice(deals);
        Ok(())
    };
    let deadline = Span(Duration::from_secs(30));
    let fetched = fetch(&built(toml), deadline, &SystemClock, &CancellationToken::new(), sink, |_| ()).await?;
    Ok((taken, fetched))
}

pub(crate) fn ids(deals: &[Deal]) -> BTreeSet<u64> {
    deals.iter().map(|deal| deal.id.parse().unwrap()).collect()
}

/// An error with its causes, in one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

pub(crate) async fn failure(toml: &str) -> String {
    let error = pulled(toml).await.unwrap_err();
    let shown = format!("{} {error:?}", told(&error));
    assert!(!shown.contains("canary"), "{shown}");
    assert!(error.advice().is_some());
    told(&error)
}

/// The section with one key's line replaced.
pub(crate) fn with(section: &str, key: &str, line: &str) -> String {
    let start = format!("{key} = ");
    let kept: Vec<&str> = section.lines().filter(|kept| !kept.starts_with(&start)).collect();
    format!("{}\n{line}\n", kept.join("\n"))
}

#[tokio::test]
async fn whatever_the_paging_all_deals_are_pulled_at_every_edge_of_a_page() {
    for paging in Paging::ALL {
        for count in [0, 1, 4, 5, 6, 23] {
            let crm = FakeRest::start(deals(count)).await.page_size(5);
            let (deals, fetched) = pulled(&crm.section(paging)).await.unwrap();
            assert_eq!(ids(&deals), (1..=count).collect(), "{paging:?}, {count} deals");
            assert_eq!((fetched.fetched, fetched.tally.filtered, fetched.tally.skipped.count), (count, 0, 0));
        }
    }
}

#[tokio::test]
async fn a_deal_arrives_with_every_field_that_is_mapped() {
    let crm = FakeRest::start(vec![deal(3), deal(2)]).await;
    let (deals, fetched) = pulled(&crm.section(Paging::Cursor)).await.unwrap();
    let lost = serde_json::to_string(&deals[0]).unwrap();
    for part in [
        r#""id":"3","name":"Deal 3","company":"Company 3","stage":"Closed Lost","value":300.5,"probability":0.0,"owner":"Ann Lee""#,
        r#""created_at":"2023-11-14T22:13:23Z","updated_at":"2026-01-31T10:00:00.123456Z","status":"lost","currency":"EUR""#,
        r#""stage_id":"3","close_date":"2026-03-31""#,
        r#""owner_id":"0""#,
    ] {
        assert!(lost.contains(part), "no {part} in {lost}");
    }
    assert_eq!(
        (deals[1].status, deals[1].probability.map(|chance| chance.to_string())),
        (Some(Status::Won), Some("1".to_owned()))
    );
    assert!(fetched.tally.findings.into_list().is_empty());
}

#[tokio::test]
async fn each_stop_rule_ends_the_walk_with_the_last_deal() {
    let crm = FakeRest::start(deals(12)).await.page_size(5).habit(Habit::CountsInTexts);
    for (paging, line, requests) in [
        (Paging::Page, r#"paging = { type = "page", total_pages = "$.meta.total_pages" }"#, 3),
        (Paging::Page, r#"paging = { type = "page", total = "$.meta.total" }"#, 3),
        (Paging::Page, r#"paging = { type = "page", has_more = "$.meta.has_more" }"#, 3),
        (Paging::Page, r#"paging = { type = "page", size = 5, size_param = "per_page", short_page_is_end = true }"#, 3),
        (Paging::Page, r#"paging = { type = "page" }"#, 4),
        (Paging::Offset, r#"paging = { type = "offset", total = "$.meta.total" }"#, 3),
        (Paging::Offset, r#"paging = { type = "offset", step = "size", size = 5, size_param = "limit" }"#, 4),
        (Paging::Offset, r#"paging = { type = "offset", has_more = "$.meta.has_more" }"#, 3),
        (
            Paging::Cursor,
            r#"paging = { type = "cursor", cursor = "$.meta.next", param = "cursor", total = "$.meta.total", has_more = "$.meta.has_more" }"#,
            3,
        ),
        (Paging::NextUrl, r#"paging = { type = "next_url", next = "$.meta.next_url", total = "$.meta.total" }"#, 3),
    ] {
        let (deals, fetched) = pulled(&with(&crm.section(paging), "paging", line)).await.unwrap();
        assert_eq!(ids(&deals).len(), 12, "{line}");
        // The look-ups are two more.
        assert_eq!(fetched.requests, requests + 2, "{line}");
        assert_eq!(fetched.listed, line.contains(" total = ").then_some((12, 12)), "{line}");
    }
}

#[tokio::test]
async fn a_short_page_in_the_middle_is_not_the_end() {
    for paging in [Paging::Offset, Paging::Cursor, Paging::NextUrl] {
        let crm = FakeRest::start(deals(23)).await.page_size(5).habit(Habit::ShortensSecondPage);
        let (deals, _) = pulled(&crm.section(paging)).await.unwrap();
        assert_eq!(ids(&deals).len(), 23, "{paging:?}");
    }
}

#[tokio::test]
async fn an_empty_page_in_the_middle_is_not_the_end_where_the_crm_says_there_is_more() {
    let crm = FakeRest::start(deals(23)).await.page_size(5).habit(Habit::EmptiesSecondPage);
    for line in [
        r#"paging = { type = "page", has_more = "$.meta.has_more" }"#,
        r#"paging = { type = "page", total_pages = "$.meta.total_pages" }"#,
    ] {
        let (deals, _) = pulled(&with(&crm.section(Paging::Page), "paging", line)).await.unwrap();
        assert_eq!(ids(&deals).len(), 18, "the five of the empty page are nowhere else");
    }
}

#[tokio::test]
async fn a_walk_in_circles_is_an_error_and_never_a_snapshot() {
    for (habit, paging, why) in [
        (Habit::RepeatsLastPage, Paging::Page, "the same page came twice"),
        (Habit::RepeatsLastPage, Paging::Offset, "the same page came twice"),
        (Habit::CyclesCursors, Paging::Cursor, "the same page came twice"),
        (Habit::LinksToItself, Paging::NextUrl, "the same page came twice"),
        (Habit::LinksElsewhere, Paging::NextUrl, "the address is not on http://127.0.0.1"),
        (Habit::SendsNull, Paging::Cursor, "`$.data`: `data` is null"),
    ] {
        let crm = FakeRest::start(deals(12)).await.page_size(5).habit(habit);
        let told = failure(&crm.section(paging)).await;
        assert!(told.contains(why), "{habit:?}, {paging:?}: {told}");
        assert!(crm.requests().len() < 8, "it ends soon");
    }
}

#[tokio::test]
async fn odd_but_honest_answers_are_read() {
    for (habit, paging) in [
        (Habit::LinksRelatively, Paging::NextUrl),
        (Habit::NumbersCursors, Paging::Cursor),
        (Habit::SaysNothingWhenEmpty, Paging::Page),
        (Habit::SaysNothingWhenEmpty, Paging::Offset),
        (Habit::Packs, Paging::Page),
        (Habit::MarksByteOrder, Paging::Cursor),
        (Habit::Overlaps, Paging::Cursor),
    ] {
        let crm = FakeRest::start(deals(12)).await.page_size(5).habit(habit);
        let (deals, _) =
            pulled(&crm.section(paging)).await.unwrap_or_else(|error| panic!("{habit:?}: {}", told(&error)));
        assert_eq!(ids(&deals).len(), 12, "{habit:?}, {paging:?}");
    }
    let crm = FakeRest::start(Vec::new()).await.habit(Habit::SendsNull);
    let null = with(&crm.section(Paging::Cursor), "records", r#"records = { path = "$.data", null_is_empty = true }"#);
    assert_eq!(pulled(&null).await.unwrap().0.len(), 0);
}

#[tokio::test]
async fn a_relative_next_link_is_followed_letter_by_letter() {
    let crm = FakeRest::start(deals(12)).await.page_size(5).habit(Habit::LinksRelatively);
    pulled(&crm.section(Paging::NextUrl)).await.unwrap();
    let queries: Vec<String> = crm.requests().into_iter().skip(2).map(|asked| asked.query).collect();
    assert_eq!(queries, ["", "skip=5&sort=a,b%20c", "skip=10&sort=a,b%20c"]);
}

#[tokio::test]
async fn a_cursor_of_any_characters_goes_back_as_it_came() {
    let crm = FakeRest::start(deals(12)).await.page_size(5);
    pulled(&crm.section(Paging::Cursor)).await.unwrap();
    let cursors: Vec<_> = crm.requests().iter().skip(2).map(|asked| asked.param("cursor")).collect();
    assert_eq!(cursors, [None, Some("c+/=&5".to_owned()), Some("c+/=&10".to_owned())]);
}

#[tokio::test]
async fn deals_that_come_and_go_between_pages_neither_stop_a_cursor_nor_pass_unseen() {
    let mut id = 100;
    let crm = FakeRest::start(deals(12)).await.page_size(5).between_pages(move |deals| {
        id += 1;
        deals.push(deal(id));
    });
    let line = r#"paging = { type = "cursor", cursor = "$.meta.next", param = "cursor", total = "$.meta.total" }"#;
    let (deals, fetched) = pulled(&with(&crm.section(Paging::Cursor), "paging", line)).await.unwrap();
    assert!((1..=12).all(|id| ids(&deals).contains(&id)));
    assert_eq!(fetched.listed, Some((12, 14)), "the least and the most there were");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_will_not_is_told_at_once() {
    for (fault, paging) in [
        (Fault::Status(500), Paging::Page),
        (Fault::Status(503), Paging::Cursor),
        (Fault::Cut, Paging::NextUrl),
        (Fault::Slow(Duration::from_millis(5)), Paging::None),
    ] {
        let crm = FakeRest::start(deals(12)).await.page_size(5).fail(fault.clone()).fail(fault.clone());
        let (deals, _) =
            pulled(&crm.section(paging)).await.unwrap_or_else(|error| panic!("{fault:?}: {}", told(&error)));
        assert_eq!(ids(&deals).len(), 12, "{fault:?}");
    }
    for (fault, why) in [
        (Fault::Status(401), "it does not accept the credentials"),
        (Fault::Status(403), "the credentials may not read this"),
        (Fault::Status(404), "no answer to this request"),
        (Fault::Redirect, "the CRM answers 301"),
        (Fault::Html, "the answer is an HTML page, not JSON"),
        (Fault::NotJson, "the answer is not JSON (line 1, column 1)"),
    ] {
        let crm = FakeRest::start(deals(12)).await.fail_always(fault.clone());
        let told = failure(&crm.section(Paging::Page)).await;
        assert!(told.contains(why), "{fault:?}: {told}");
        assert_eq!(crm.requests().len(), 1, "{fault:?}");
    }
    let crm = FakeRest::start(deals(12)).await.fail_always(Fault::Status(503));
    assert!(failure(&crm.section(Paging::Page)).await.contains("a failure of its own"));
    assert_eq!(crm.requests().len(), 4, "four tries");
}

#[tokio::test]
async fn a_limit_that_asks_for_longer_than_the_deadline_is_told_at_once() {
    for wait in ["3600", "18446744073709551615"] {
        let crm = FakeRest::start(deals(2)).await.fail_always(Fault::Limit(wait));
        assert!(failure(&crm.section(Paging::Page)).await.contains("too many requests"));
        assert_eq!(crm.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_timeout_is_one_of_the_tries() {
    let crm = FakeRest::start(deals(2)).await.fail(Fault::Slow(Duration::from_secs(20)));
    let (deals, _) = pulled(&format!("{}\ntimeout = \"200ms\"", crm.section(Paging::Page))).await.unwrap();
    assert_eq!(deals.len(), 2);
}

#[tokio::test]
async fn every_request_carries_the_credentials_and_the_headers_of_the_source() {
    let auth = |crm: &FakeRest, auth: &str| {
        let headers = "headers = { X-Tenant = { env = \"TOKEN\" } }";
        let request =
            r#"request = { path = "/next_url/deals", query = { a = "b c", id = [1, 2] }, headers = { X-View = "7" } }"#;
        with(&format!("{}\n{auth}\n{headers}", crm.section(Paging::NextUrl)), "request", request)
    };
    for (line, value) in [
        (r#"auth = { type = "bearer", token = { env = "TOKEN" } }"#, "Bearer canary"),
        (
            r#"auth = { type = "header", name = "Authorization", prefix = "Token token=", value = { env = "TOKEN" } }"#,
            "Token token=canary",
        ),
        (r#"auth = { type = "basic", username = { env = "TOKEN" } }"#, "Basic Y2FuYXJ5Og=="),
    ] {
        let crm = FakeRest::start(deals(12)).await.page_size(5).require_header("authorization", value);
        let (deals, _) = pulled(&auth(&crm, line)).await.unwrap();
        assert_eq!(deals.len(), 12, "{line}");
        for asked in crm.requests() {
            assert_eq!(asked.headers["x-tenant"], "canary");
            assert_eq!(asked.headers.contains_key("x-view"), asked.path.ends_with("/deals"));
        }
        assert_eq!(crm.requests()[2].query, "a=b+c&id=1&id=2");
        failure(&auth(&crm, r#"auth = { type = "bearer", token = "another canary" }"#)).await;
    }
}

#[tokio::test]
async fn a_key_in_the_query_comes_last_is_never_doubled_and_never_part_of_a_position() {
    let crm =
        FakeRest::start(deals(12)).await.page_size(5).habit(Habit::EchoesQuery).require_param("api_key", "canary");
    let toml = format!(
        "{}\nauth = {{ type = \"query\", param = \"api_key\", value = \"canary\" }}",
        crm.section(Paging::NextUrl)
    );
    let (deals, _) = pulled(&toml).await.unwrap();
    assert_eq!(deals.len(), 12);
    assert!(crm.requests().iter().all(|asked| asked.query.matches("api_key").count() == 1));
    let built = built(&toml);
    let session = built.source.open(Attempt::First).await.unwrap();
    let page = session.page(None).await.unwrap();
    assert!(!format!("{:?} {page:?}", session.opened()).contains("canary"));
    let crm = FakeRest::start(vec![deal(1)]).await.fail_always(Fault::Status(500));
    let toml = format!(
        "{}\nauth = {{ type = \"query\", param = \"api_key\", value = \"canary\" }}",
        crm.section(Paging::NextUrl)
    );
    failure(&toml).await;
    drop(crm);
    failure(&toml).await;
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_told_before_anything_is_sent() {
    let crm = FakeRest::start(deals(1)).await;
    let toml =
        format!("{}\nauth = {{ type = \"bearer\", token = {{ env = \"NO_SUCH\" }} }}", crm.section(Paging::Page));
    assert!(failure(&toml).await.contains("variable `NO_SUCH` is not set"));
    assert_eq!(crm.requests().len(), 0);
    let secrets = built(&toml).secrets;
    assert_eq!(secrets.len(), 1);
    assert_eq!(secrets[0].0, "auth.token");
}

#[tokio::test]
async fn a_look_up_is_a_walk_of_its_own_read_once_and_to_the_end() {
    let crm = FakeRest::start(deals(12)).await.page_size(2);
    let line = r#"lookup.stages = { path = "/cursor/stages", paging = { type = "cursor", cursor = "$.meta.next", param = "cursor" }, records = "$.data", key = "$.id", value = "$.name" }"#;
    let toml = with(&crm.section(Paging::Page), "lookup.stages", line);
    let (deals, _) = pulled(&toml).await.unwrap();
    assert!(deals.iter().all(|deal| deal.stage.as_ref().is_some_and(|stage| stage.len() > 2)));
    assert!(deals.iter().any(|deal| deal.stage.as_deref() == Some("Closed Lost")));
    assert_eq!((crm.requests_of("/v1/cursor/stages"), crm.requests_of("/v1/none/users")), (2, 1));

    let crm = FakeRest::start(vec![deal(1), deal(2)]).await.page_size(2).habit(Habit::CyclesCursors);
    let told = failure(&with(&crm.section(Paging::None), "lookup.stages", line)).await;
    assert!(told.contains("read look-up `stages`: the same page came twice"), "{told}");
}

#[tokio::test]
async fn an_empty_table_fails_the_pull_and_an_unknown_key_is_counted() {
    let crm = FakeRest::start(deals(4)).await;
    crm.hold("users", vec![r#"{"id": 1, "first_name": "Bo", "last_name": null}"#.to_owned()]);
    let (deals, fetched) = pulled(&crm.section(Paging::Page)).await.unwrap();
    let owners: Vec<_> = deals.iter().map(|deal| deal.owner.as_deref().unwrap()).collect();
    assert_eq!(owners, ["Bo", "2", "0", "Bo"]);
    let findings = fetched.tally.findings.into_list();
    assert_eq!((findings[0].rule, findings[0].count, findings[0].field.as_str()), (Rule::R09, 2, "owner"));

    crm.hold("users", Vec::new());
    let told = failure(&crm.section(Paging::Page)).await;
    assert!(told.contains("read look-up `users`: the table is empty"), "{told}");

    crm.hold("users", vec![r#"{"uid": 1, "first_name": "Bo"}"#.to_owned(), r#"{"uid": 2}"#.to_owned()]);
    let told = failure(&crm.section(Paging::Page)).await;
    let why = "read look-up `users`: none of its 2 rows gives a key and a name: `$.id`: `id` is missing";
    assert!(told.contains(why), "{told}");
}

#[tokio::test]
async fn a_table_written_in_the_configuration_costs_no_request() {
    let crm = FakeRest::start(deals(4)).await;
    let line = r#"lookup.users = { entries = { 0 = "Zoe", 1 = "Bo" }, missing = "null" }"#;
    let (deals, _) = pulled(&with(&crm.section(Paging::Page), "lookup.users", line)).await.unwrap();
    assert_eq!(
        deals.iter().map(|deal| deal.owner.as_deref()).collect::<Vec<_>>(),
        [Some("Bo"), None, Some("Zoe"), Some("Bo")]
    );
    assert_eq!(crm.requests_of("/v1/none/users"), 0);
}

#[tokio::test]
async fn every_record_is_counted_once_as_pulled_filtered_or_skipped() {
    let mut rows = deals(12);
    rows.push(r#"{"id": null, "status": "open"}"#.to_owned());
    rows.push(r#"{"id": 99, "status": "deleted"}"#.to_owned());
    let crm = FakeRest::start(rows).await.page_size(5);
    let mut toml =
        crm.section(Paging::Offset).replace("id = \"$.id\"", "id = { path = \"$.id\", on_error = \"skip\" }");
    toml = with(
        &toml,
        "status",
        r#"status = { path = "$.status", won = ["won"], lost = ["lost"], deleted = ["deleted"] }"#,
    );
    toml = with(
        &toml,
        "records",
        r#"records = { path = "$.data", where = [{ path = "$.owner_id", op = "ne", value = 2 }] }"#,
    );
    let (deals, fetched) = pulled(&toml).await.unwrap();
    assert_eq!((deals.len(), fetched.tally.filtered, fetched.tally.skipped.count, fetched.fetched), (8, 5, 1, 14));
}

#[tokio::test]
async fn one_bad_number_costs_one_value_and_not_the_page() {
    let rows = vec![
        r#"{"id": 123456789012345678901234567890, "amount": 1e400, "currency": "EUR", "win_pct": 130, "modified": "soon"}"#.to_owned(),
        r#"{"id": "90071992547409931", "amount": 0.1, "currency": "EURO", "win_pct": 30.0000001}"#.to_owned(),
    ];
    let crm = FakeRest::start(rows).await;
    let (deals, fetched) = pulled(&crm.section(Paging::Page)).await.unwrap();
    assert_eq!(deals[0].id, "123456789012345678901234567890");
    assert_eq!((deals[0].value, deals[0].probability, deals[0].name.as_str()), (None, None, "(untitled)"));
    assert_eq!(deals[1].value.map(|value| value.to_string()).as_deref(), Some("0.1"));
    assert_eq!(deals[1].probability.map(|chance| chance.normalize().to_string()).as_deref(), Some("0.3"));
    let found: Vec<_> = fetched.tally.findings.into_list().into_iter().map(|found| (found.rule, found.field)).collect();
    let expected =
        [(Rule::D06, "probability"), (Rule::D09, "currency"), (Rule::D26, "updated_at"), (Rule::D26, "value")];
    assert_eq!(found, expected.map(|(rule, field)| (rule, field.to_owned())));
}

#[tokio::test]
async fn a_record_without_an_id_fails_the_pull_and_says_which() {
    let crm = FakeRest::start(vec![deal(1), r#"{"title": "canary"}"#.to_owned()]).await;
    let told = failure(&crm.section(Paging::Page)).await;
    assert!(told.contains(
            "read page 1: field `id` is not there: `$.id`: `id` is missing, in 1 of 2 records of the page, first in record 2"
        ), "{told}");
}

#[tokio::test]
async fn without_a_status_rule_deals_have_no_status_and_the_user_is_told() {
    let crm = FakeRest::start(deals(4)).await;
    let toml = with(&crm.section(Paging::Page), "status", "");
    assert!(pulled(&toml).await.unwrap().0.iter().all(|deal| deal.status.is_none()));
    let warnings = built(&toml).warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].path, ["status"]);
    assert!(built(&crm.section(Paging::None)).warnings.is_empty(), "who says `none` knows");
    let unpaged = with(&crm.section(Paging::None), "paging", "");
    let unused = with(&unpaged, "fields", "fields = { id = \"$.id\", value = \"$.amount\" }");
    let warned: Vec<String> = built(&unused).warnings.iter().map(|warning| warning.path.join(".")).collect();
    assert_eq!(warned, ["paging", "fields.currency", "lookup.stages", "lookup.users"]);
}

#[tokio::test]
async fn the_pace_is_kept_by_waiting_beforehand() {
    let crm = FakeRest::start(deals(12)).await.page_size(3);
    let toml = format!("{}\nrate = {{ requests = 2, per = \"40ms\" }}", crm.section(Paging::Page));
    let begun = tokio::time::Instant::now();
    let (_, fetched) = pulled(&toml).await.unwrap();
    assert_eq!(fetched.requests, 7);
    assert!(begun.elapsed() >= Duration::from_millis(120), "seven requests are three full spans apart");
}

#[test]
fn everything_wrong_with_a_section_is_told_at_once_and_without_a_request() {
    let toml = r#"
        kind = "rest"
        endpoint = "http://crm.example"
        pagign = 1
        vars = [1]
        headers = { "X Y" = "canary" }
        auth = { type = "bearer", tokn = "canary" }
        request = { path = "/deals", method = "PUT", query = { limit = 5 } }
        paging = { type = "cursor", cursor = "$.next[", param = "cursor", size = 5 }
        records = { path = "$.a[*].b[*]" }
        fields = { name = "$.n", probability = "$.p", stage = { path = "$.s", lookup = "stagse" } }
        status = { won = "Won", lst = "Lost" }
        lookup.stages = { records = "$.data", key = "$.id" }
        rate = { requests = 0, per = "1s" }
    "#;
    let problems = build(&section(toml), &context()).err().unwrap();
    let shown: Vec<String> =
        problems.iter().map(|Problem { path, message, .. }| format!("{}: {message}", path.join("."))).collect();
    let shown = shown.join("\n");
    for part in [
        "endpoint: is plain http to another machine",
        "pagign: unknown key",
        "vars: expected a table",
        "headers.X Y: is no name of a header",
        "auth.tokn: unknown key",
        "auth.token: is missing",
        "request.method: unknown word",
        "paging.cursor: is no path: expected a whole number or a name in quotes at column 8",
        "records.path: is no path: expected one `[*]` at most, since one list holds the records, at column 9",
        "fields.id: is missing",
        "fields.probability.unit: is missing",
        "fields.stage.lookup: no look-up has this name",
        "status.lst: unknown key",
        "lookup.stages.path: is missing",
        "lookup.stages.value: is missing",
        "rate.requests: must be at least 1",
    ] {
        assert!(shown.contains(part), "no `{part}` in\n{shown}");
    }
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn what_only_the_whole_section_shows_is_told_too() {
    let crm = r#"
        kind = "rest"
        endpoint = "https://crm.example/v2"
        fields = { id = "$.id" }
    "#;
    for (line, key) in [
        ("request = { path = \"https://other.example/deals\" }", "request.path"),
        ("request = { query = { page = 1 } }\npaging = { type = \"page\" }", "request.query.page"),
        ("lookup.a = { path = \"http://crm.example/a\", key = \"$.id\", value = \"$.n\" }", "lookup.a.path"),
        ("pipelines = [\"default\"]", "pipelines"),
        ("status = { won = [\"Won\"] }", "status"),
        ("endpoint_ = 1", "endpoint_"),
        ("schedule = 1\nfeilds = 1", "feilds"),
    ] {
        let problems = build(&section(&format!("{crm}{line}")), &context()).err().unwrap();
        assert_eq!(problems[0].path.join("."), key, "{problems:?}");
    }
    let no_endpoint = "kind = \"rest\"\nfields = { id = \"$.id\" }";
    assert_eq!(build(&section(no_endpoint), &context()).err().unwrap()[0].path, ["endpoint"]);
    assert!(build(&section(crm), &context()).is_ok());
}
