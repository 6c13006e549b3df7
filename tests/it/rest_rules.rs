//! What real list APIs taught, a line each, over real HTTP.

use std::fs;

use sales_pipeline::model::finding::Rule;
use serde_json::json;

use sales_pipeline::sources::source::Attempt;

use crate::fake_rest::{FakeRest, Fault, Habit, Paging, deal, deals};
use crate::program::Folder;
use crate::rest::{built, failure, ids, pulled, told, with};

/// The section with other keys of `paging`.
fn paged(crm: &FakeRest, paging: Paging, keys: &str) -> String {
    with(&crm.section(paging), "paging", &format!("paging = {{ {keys} }}"))
}

/// The section whose records have only what the test asks of them.
fn bare(crm: &FakeRest, fields: &str) -> String {
    let section = with(&crm.section(Paging::None), "fields", &format!("fields = {{ id = \"$.id\", {fields} }}"));
    with(&with(&with(&section, "lookup.stages", ""), "lookup.users", ""), "status", "status = { path = \"$.status\" }")
}

#[tokio::test]
async fn a_cursor_is_read_from_a_header() {
    let crm = FakeRest::start(deals(12)).await.page_size(5);
    assert_eq!(pulled(&crm.section(Paging::CursorHeader)).await.unwrap().0.len(), 12);
}

#[tokio::test]
async fn places_in_a_body_go_through_lists_and_counts_are_numbers_there() {
    let crm = FakeRest::start(deals(12)).await.page_size(5);
    pulled(&crm.section(Paging::BodyPage)).await.unwrap();
    let bodies: Vec<String> =
        crm.requests().into_iter().filter(|asked| asked.method == "POST").map(|asked| asked.body).collect();
    assert_eq!(bodies[1], r#"{"page":{"number":2,"size":5}}"#);
    assert_eq!(bodies.len(), 4);

    let line = r#"request = { method = "POST", path = "/graphql/deals", body = { params = ["deals", { all = true }], variables = { first = 5 } } }"#;
    let section = with(&crm.section(Paging::GraphQl), "request", line);
    let keys = r#"type = "cursor", in = "body", cursor = "$.meta.next", param = "params[1].after", has_more = "$.meta.has_more""#;
    failure(&with(&section, "paging", &format!("paging = {{ {keys} }}"))).await;
    let body = crm.requests().into_iter().rev().find(|asked| asked.method == "POST").unwrap().body;
    assert_eq!(body, r#"{"params":["deals",{"after":"c+/=&5","all":true}],"variables":{"first":5}}"#);
}

#[tokio::test]
async fn a_date_given_in_parts_is_read_to_the_microsecond() {
    let at = json!({"year": 2026, "month": 3, "day": 9, "hour": 7, "minute": 5, "second": 4, "microsecond": 90});
    let crm = FakeRest::start(vec![json!({"id": 1, "at": at}).to_string()]).await;
    let parts = r#"created_at = { parts = ["$.at.year", "$.at.month", "$.at.day", "$.at.hour", "$.at.minute", "$.at.second", "$.at.microsecond"] }"#;
    let (deals, _) = pulled(&bare(&crm, parts)).await.unwrap();
    assert_eq!(deals[0].created_at.unwrap().to_rfc3339(), "2026-03-09T07:05:04.000090+00:00");
}

#[tokio::test]
async fn an_answer_of_200_with_errors_beside_its_data_is_a_failure() {
    for (line, fault, why) in [
        (r#"success = { path = "$.errors", absent = true }"#, Fault::SaysNoBesideData, "`$.errors` is"),
        (r#"success = { path = "$.success", equals = true }"#, Fault::SaysNo, "`$.success` is not `true`"),
    ] {
        let crm = FakeRest::start(deals(3)).await;
        let section = format!("{}\n{line}", crm.section(Paging::Page));
        assert_eq!(pulled(&section).await.unwrap().0.len(), 3);
        let crm = FakeRest::start(deals(3)).await.fail_always(fault);
        let told = failure(&format!("{}\n{line}", crm.section(Paging::Page))).await;
        assert!(told.contains("the CRM says in its answer that it failed:") && told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn a_list_is_cut_by_ranges_and_its_total_read_from_them() {
    let crm = FakeRest::start(deals(12)).await.page_size(5);
    let (pulled_once, fetched) = pulled(&crm.section(Paging::Range)).await.unwrap();
    assert_eq!((pulled_once.len(), fetched.listed, fetched.pages), (12, Some((12, 12)), 3));
    assert_eq!(crm.requests().last().unwrap().headers["range"], "records=10-14");
    let crm = FakeRest::start(deals(10)).await.page_size(5).habit(Habit::CountsNoParts);
    let (all, fetched) = pulled(&crm.section(Paging::Range)).await.unwrap();
    assert_eq!((all.len(), fetched.listed), (10, None), "416 is behind the end");
    let exclusive = r#"type = "range", unit = "records", size = 5, end = "exclusive""#;
    let crm = FakeRest::start(deals(3)).await.page_size(9);
    pulled(&paged(&crm, Paging::Range, exclusive)).await.unwrap();
    assert_eq!(crm.requests().last().unwrap().headers["range"], "records=0-5");
}

#[tokio::test]
async fn an_address_that_says_there_is_more_is_as_good_as_true() {
    let crm = FakeRest::start(deals(12)).await.page_size(5);
    let keys = r#"type = "offset", size_param = "limit", size = 5, has_more = "$.meta.next_url""#;
    let (all, fetched) = pulled(&paged(&crm, Paging::Offset, keys)).await.unwrap();
    assert_eq!((all.len(), fetched.pages), (12, 3));
}

#[tokio::test]
async fn a_total_in_a_header_may_be_wrong_by_the_tolerance() {
    let crm = FakeRest::start(deals(12)).await.page_size(5);
    let keys = format!("{}, total_header = \"X-Total-Count\"", Paging::Cursor.keys(5));
    assert_eq!(pulled(&paged(&crm, Paging::Cursor, &keys)).await.unwrap().1.listed, Some((12, 12)));
    let keys = format!("{keys}, total_tolerance = 2");
    assert_eq!(pulled(&paged(&crm, Paging::Cursor, &keys)).await.unwrap().1.listed, Some((10, 14)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_total_nothing_but_the_end_of_the_list_is_claimed() {
    let crm = FakeRest::start(deals(12)).await.page_size(5);
    for (total, proof) in [("", "cursor exhausted"), (", total = \"$.meta.total\"", "cursor exhausted; count matches")]
    {
        let folder = Folder::new();
        let keys = format!("{}{total}", Paging::Cursor.keys(5));
        folder.write_config(&format!("[sources.crm]\n{}", paged(&crm, Paging::Cursor, &keys)));
        folder.run(&["pull"]).assert_code(0);
        assert_eq!(folder.json("output/sales_pipeline.json")["completeness"]["proof"], proof);
    }
}

#[tokio::test]
async fn a_total_counts_what_came_before_the_filter() {
    let crm = FakeRest::start(deals(12)).await.page_size(5);
    let keys = format!("{}, total = \"$.meta.total\"", Paging::Cursor.keys(5));
    let line = r#"records = { path = "$.data", where = [{ path = "$.owner_id", op = "eq", value = 2 }] }"#;
    let (all, fetched) = pulled(&with(&paged(&crm, Paging::Cursor, &keys), "records", line)).await.unwrap();
    assert_eq!((all.len(), fetched.tally.filtered, fetched.fetched, fetched.listed), (4, 8, 12, Some((12, 12))));
}

#[tokio::test]
async fn a_local_time_that_comes_twice_or_never_is_the_earlier_or_the_shifted_one_and_counted() {
    let rows = ["2026-10-25 02:30:00", "2026-03-29 02:30:00", "2026-07-01 12:00:00"];
    let rows = rows.iter().enumerate().map(|(id, at)| json!({"id": id, "at": at}).to_string()).collect();
    let crm = FakeRest::start(rows).await;
    let field = r#"created_at = { path = "$.at", timezone = "Europe/Berlin" }"#;
    let (all, fetched) = pulled(&bare(&crm, field)).await.unwrap();
    let at: Vec<String> = all.iter().map(|deal| deal.created_at.unwrap().to_rfc3339()).collect();
    assert_eq!(at, ["2026-10-25T00:30:00+00:00", "2026-03-29T01:30:00+00:00", "2026-07-01T10:00:00+00:00"]);
    let found = fetched.tally.findings.into_list();
    assert_eq!((found.len(), found[0].rule, found[0].count), (1, Rule::D29, 2));
}

#[tokio::test]
async fn a_look_up_knows_its_total_and_one_that_is_cut_is_no_table() {
    let crm = FakeRest::start(deals(4)).await;
    crm.hold("users", deals(9));
    let table = |keys: &str| {
        let line = format!(
            r#"lookup.users = {{ path = "/offset/users", paging = {{ {keys} }}, records = "$.data", key = "$.id", value = "$.title" }}"#
        );
        with(&crm.section(Paging::Page), "lookup.users", &line)
    };
    let whole = table(r#"type = "offset", size_param = "limit", size = 4, total = "$.meta.total""#);
    pulled(&whole).await.unwrap();
    assert_eq!(crm.requests_of("/v1/offset/users"), 3);
    let cut =
        table(r#"type = "none", total_header = "X-Total-Count""#).replace("/offset/users", "/offset/users?limit=4");
    assert!(failure(&cut).await.contains("read look-up `users`: the table ends after 4 of 9 rows"));
    let linked = with(
        &crm.section(Paging::Page),
        "lookup.users",
        r#"lookup.users = { path = "/link_header/users?limit=4", records = "$.data", key = "$.id", value = "$.title" }"#,
    );
    assert!(failure(&linked).await.contains("its `Link` names a next one"));

    crm.hold("users", deals(100));
    let unsaid = with(
        &crm.section(Paging::Page),
        "lookup.users",
        r#"lookup.users = { path = "/none/users", records = "$.data", key = "$.id", value = "$.title" }"#,
    );
    let (_, fetched) = pulled(&unsaid).await.unwrap();
    assert_eq!(
        fetched.opened.warnings,
        ["Look-up `users` may be cut: 100 records came in one answer, as many as a page may hold, and no `paging` is \
          configured: are these all?"]
    );
    crm.hold("users", vec![r#"{"id": 1, "title": "Ann"}"#.to_owned(), r#"{"id": 1, "title": "Bo"}"#.to_owned()]);
    let (_, fetched) = pulled(&unsaid).await.unwrap();
    assert_eq!(
        fetched.opened.warnings,
        ["Look-up `users` gives keys another name later, 1 in all: the last one counts"]
    );
}

#[tokio::test]
async fn a_relative_address_is_resolved_against_the_request_and_sent_as_it_is() {
    let crm = FakeRest::start(deals(12)).await.page_size(5).habit(Habit::LinksRelatively);
    let line = r#"request = { path = "/link_header/deals", query = { view = "all" } }"#;
    pulled(&with(&crm.section(Paging::Link), "request", line)).await.unwrap();
    let queries: Vec<String> =
        crm.requests().into_iter().filter(|asked| asked.path.ends_with("/deals")).map(|asked| asked.query).collect();
    assert_eq!(queries, ["view=all&limit=5", "skip=5&sort=a,b%20c", "skip=10&sort=a,b%20c"]);
}

#[tokio::test]
async fn a_next_address_is_requested_with_the_method_body_and_headers_of_the_first() {
    let line = r#"request = { method = "POST", path = "/next_url/deals", body = { open = true }, headers = { Prefer = "maxpagesize=5" } }"#;
    let crm = FakeRest::start(deals(12)).await.page_size(5);
    let (all, _) = pulled(&with(&crm.section(Paging::NextUrl), "request", line)).await.unwrap();
    assert_eq!(all.len(), 12);
    let last = crm.requests().pop().unwrap();
    assert_eq!((last.method.as_str(), last.body.as_str()), ("POST", r#"{"open":true}"#));
    assert!(last.headers.contains_key("prefer"));
}

#[tokio::test]
async fn a_cursor_in_the_last_record_ends_at_the_empty_page() {
    let crm = FakeRest::start(deals(10)).await.page_size(5);
    let (all, fetched) = pulled(&crm.section(Paging::LastRecord)).await.unwrap();
    assert_eq!((all.len(), fetched.pages), (10, 3));
}

#[tokio::test]
async fn a_plain_answer_that_is_labelled_gzip_is_read_as_it_is() {
    let crm = FakeRest::start(deals(5)).await.habit(Habit::LabelsPlainAsPacked);
    assert_eq!(pulled(&crm.section(Paging::None)).await.unwrap().0.len(), 5);
}

#[tokio::test]
async fn null_and_secrets_stand_anywhere_in_body_query_and_headers() {
    let crm = FakeRest::start(deals(3)).await;
    let line = r#"request = { method = "POST", path = "/none/deals", body = { key = { env = "TOKEN" }, after = { null = true }, list = [{ env = "TOKEN" }] }, query = { a = [1, 2], k = { env = "TOKEN" }, none = { null = true } }, headers = { X-Key = { env = "TOKEN" } } }"#;
    let toml = with(&crm.section(Paging::None), "request", line);
    pulled(&toml).await.unwrap();
    let asked = crm.requests().pop().unwrap();
    assert_eq!(asked.body, r#"{"after":null,"key":"canary","list":["canary"]}"#);
    assert_eq!((asked.query.as_str(), &asked.headers["x-key"]), ("a=1&a=2&k=canary", &"canary".parse().unwrap()));
    let mut secrets: Vec<String> = built(&toml).secrets.into_iter().map(|(key, _)| key).collect();
    secrets.sort();
    assert_eq!(secrets, ["request.body.key", "request.body.list.0", "request.headers.X-Key", "request.query.k"]);
    let crm = FakeRest::start(vec![deal(1)]).await.fail_always(Fault::Status(400));
    failure(&with(&crm.section(Paging::None), "request", line)).await;
}

#[tokio::test]
async fn a_secret_in_the_query_that_a_next_address_echoes_is_sent_once_and_stands_in_no_position() {
    let crm = FakeRest::start(deals(12)).await.page_size(5).habit(Habit::EchoesQuery).require_param("k", "canary");
    let line = r#"request = { path = "/next_url/deals", query = { k = { env = "TOKEN" } } }"#;
    let mut toml = with(&crm.section(Paging::NextUrl), "request", line);
    for table in ["stages", "users"] {
        toml = with(&toml, &format!("lookup.{table}"), &format!("lookup.{table} = {{ entries = {{ a = \"b\" }} }}"));
    }
    assert_eq!(pulled(&toml).await.unwrap().0.len(), 12);
    assert!(crm.requests().iter().all(|asked| asked.query.matches("k=").count() == 1));
    let source = built(&toml).source;
    let session = source.open(Attempt::First).await.unwrap();
    assert!(!format!("{:?}", session.page(None).await.unwrap()).contains("canary"));
}

#[tokio::test]
async fn a_list_of_graphql_is_walked_by_its_variables() {
    let crm = FakeRest::start(deals(12)).await.page_size(5);
    let line = r#"request = { method = "POST", path = "/graphql/deals", body = { query = "query($after: String) { deals(after: $after) { id } }", variables = {} } }"#;
    let toml = format!(
        "{}\nsuccess = {{ path = \"$.errors\", absent = true }}",
        with(&crm.section(Paging::GraphQl), "request", line)
    );
    assert_eq!(pulled(&toml).await.unwrap().0.len(), 12);
    let body: serde_json::Value = serde_json::from_str(&crm.requests().pop().unwrap().body).unwrap();
    assert_eq!(body["variables"], json!({"after": "c+/=&10", "first": 5}));
}

#[tokio::test]
async fn names_are_asked_for_by_ids_many_at_a_time_and_only_those_that_are_wanted() {
    for (keys, request) in [
        (r#"mode = "ids", path = "/none/users", ids_param = "ids", chunk = 2"#, "ids=0%2C1"),
        (
            r#"mode = "ids", path = "/none/users", ids_param = "id[]", join = "repeat", chunk = 2"#,
            "id%5B%5D=0&id%5B%5D=1",
        ),
    ] {
        let crm = FakeRest::start(deals(9)).await.page_size(4);
        let line = format!(
            r#"lookup.users = {{ {keys}, records = "$.data", key = "$.id", value = ["$.first_name", "$.last_name"] }}"#
        );
        let (all, fetched) = pulled(&with(&crm.section(Paging::Page), "lookup.users", &line)).await.unwrap();
        assert_eq!(all[0].owner_id.as_deref(), Some("1"));
        assert_eq!(fetched.names.get("users", "1"), Some("Bo Ek"));
        let asked: Vec<_> = crm.requests().into_iter().filter(|asked| asked.path.ends_with("/users")).collect();
        assert_eq!((asked.len(), asked[0].query.as_str()), (2, request));
    }
    // What the CRM cuts into pages is read to its end.
    let crm = FakeRest::start(deals(9)).await.page_size(2);
    let line = r#"lookup.users = { mode = "ids", path = "/cursor/users", paging = { type = "cursor", cursor = "$.meta.next", param = "cursor" }, ids_param = "ids", records = "$.data", key = "$.id", value = "$.first_name" }"#;
    let (_, fetched) = pulled(&with(&crm.section(Paging::Page), "lookup.users", line)).await.unwrap();
    assert_eq!(["0", "1", "2"].map(|id| fetched.names.get("users", id)), [Some("Ann"), Some("Bo"), Some("Cy")]);
    let asked: Vec<_> = crm.requests().into_iter().filter(|asked| asked.path.ends_with("/users")).collect();
    assert!(asked.len() == 2 && asked.iter().all(|asked| asked.query.contains("ids=0%2C1%2C2")), "{asked:?}");
    let crm = FakeRest::start(deals(3)).await;
    let line = r#"lookup.users = { mode = "ids", method = "POST", path = "/none/users", body = { filter = {} }, in = "body", ids_param = "filter.ids", join = "repeat", records = "$.data", key = "$.id", value = "$.first_name" }"#;
    pulled(&with(&crm.section(Paging::Page), "lookup.users", line)).await.unwrap();
    assert_eq!(crm.requests().pop().unwrap().body, r#"{"filter":{"ids":["0","1","2"]}}"#);
}

#[tokio::test]
async fn tables_stand_beside_the_records_in_files_and_hold_for_a_while() {
    let crm = FakeRest::start(deals(4)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.csv");
    fs::write(&file, "0,Zoe\n1,\"Ek, Bo\"\n2,Cy\n").unwrap();
    let line = format!("lookup.users = {{ file = {file:?} }}");
    let stages = r#"lookup.stages = { mode = "page", records = "$.data", key = "$.stage_id", value = "$.title" }"#;
    let toml = with(&with(&crm.section(Paging::Page), "lookup.users", &line), "lookup.stages", stages);
    let (all, _) = pulled(&toml).await.unwrap();
    assert_eq!((all[0].owner.as_deref(), all[0].stage.as_deref()), (Some("Ek, Bo"), Some("Deal 1")));

    let line =
        r#"lookup.stages = { path = "/none/stages", records = "$.data", key = "$.id", value = "$.name", ttl = "1h" }"#;
    let source = built(&with(&crm.section(Paging::Page), "lookup.stages", line)).source;
    for _ in 0..3 {
        let session = source.open(Attempt::First).await.unwrap();
        let page = session.page(None).await.unwrap();
        assert!(page.deals.iter().any(|deal| deal.stage.as_deref() == Some("Proposal")));
    }
    assert_eq!((crm.requests_of("/v1/none/stages"), crm.requests_of("/v1/none/users")), (1, 3));
}

#[tokio::test]
async fn the_limits_of_the_crm_are_kept_and_obeyed() {
    let crm = FakeRest::start(deals(12)).await.page_size(3).send_header("x-left", "5");
    let toml =
        format!("{}\nrate = {{ quota = {{ remaining_header = \"X-Left\", floor = 6 }} }}", crm.section(Paging::Page));
    assert!(failure(&toml).await.contains("the CRM leaves 5 requests, and 6 are kept for others"));
    assert_eq!(crm.requests().len(), 1, "nothing is asked after that");
    let few = toml.replace("floor = 6", "floor = 5");
    assert_eq!(pulled(&few).await.unwrap().0.len(), 12);

    let crm = FakeRest::start(deals(2)).await.fail(Fault::Block);
    let toml = format!(
        "{}\nrate = {{ giveup = {{ status = 403, content_type = \"text/html\", cooloff = \"15m\" }} }}",
        crm.section(Paging::Page)
    );
    let source = built(&toml).source;
    for _ in 0..2 {
        let refused = source.open(Attempt::First).await.err().unwrap();
        assert!(told(&refused).contains("the CRM answered 403 and is left alone until"), "{}", told(&refused));
    }
    assert_eq!(crm.requests().len(), 1, "the second time it is not even asked");
}

#[tokio::test]
async fn how_often_and_after_what_a_request_is_tried_again_can_be_said() {
    let tries = |crm: &FakeRest, retry: &str| {
        with(&with(&crm.section(Paging::Page), "retry", ""), "rate", &format!("rate = {{ retry = {{ {retry} }} }}"))
    };
    for (fault, retry, requests) in [
        (Fault::Status(503), r#"attempts = 3, base = "1ms", max = "2ms""#, 3),
        (Fault::Status(503), r#"base = "1ms", max = "2ms", statuses = [429]"#, 1),
        (Fault::Status(409), r#"base = "1ms", max = "2ms", statuses = [409]"#, 4),
        (Fault::Status(503), r#"attempts = 9, base = "1s", total = "500ms""#, 1),
        (Fault::Limit("5"), r#"total = "4s""#, 1),
    ] {
        let crm = FakeRest::start(deals(2)).await.fail_always(fault);
        failure(&tries(&crm, retry)).await;
        assert_eq!(crm.requests().len(), requests, "{retry}");
    }
    let crm = FakeRest::start(deals(2)).await.fail_always(Fault::Limit("660"));
    failure(&with(&crm.section(Paging::Page), "retry", "")).await;
    assert_eq!(crm.requests().len(), 1);
}

#[tokio::test]
async fn a_program_may_be_told_to_name_itself_otherwise() {
    let crm = FakeRest::start(deals(2)).await.require_header("user-agent", "ours/7");
    let toml = format!("{}\nheaders = {{ User-Agent = \"ours/7\" }}", crm.section(Paging::Page));
    assert_eq!(pulled(&toml).await.unwrap().0.len(), 2);
}

#[tokio::test]
async fn words_named_once_stand_where_the_requests_ask_for_them() {
    let crm = FakeRest::start(deals(2)).await;
    let line = r#"request = { path = "/{way}/deals", query = { view = "{view}" } }
vars = { way = "none", view = 7 }"#;
    pulled(&with(&crm.section(Paging::None), "request", line)).await.unwrap();
    assert_eq!(crm.requests().pop().unwrap().query, "view=7");
}

#[tokio::test]
async fn numbers_are_read_as_this_crm_writes_them() {
    let rows = vec![
        json!({"id": 1, "v": "1.234,50 EUR", "p": "30%", "c": 123_450, "m": "1234500000"}).to_string(),
        json!({"id": 2, "v": "12.34", "p": "130%", "c": null, "m": ""}).to_string(),
    ];
    let crm = FakeRest::start(rows).await;
    let fields = r#"value = { path = "$.v", decimal = ",", thousands = ".", strip = "[^0-9,.-]" }, currency = { value = "EUR" }, probability = { path = "$.p", unit = "percent", strip = "[% ]" }, custom.cents = { path = "$.c", cast = "money", scale = "0.01" }, custom.micros = { path = "$.m", cast = "money", scale = 0.000001 }"#;
    let (all, fetched) = pulled(&bare(&crm, fields)).await.unwrap();
    assert_eq!(all[0].value.map(|value| value.to_string()).as_deref(), Some("1234.5"));
    assert_eq!(all[0].probability.map(|chance| chance.normalize().to_string()).as_deref(), Some("0.3"));
    assert_eq!((all[0].custom["cents"].get(), all[0].custom["micros"].get()), ("1234.5", "1234.5"));
    assert_eq!((all[1].value, all[1].probability), (None, None));
    let rules: Vec<Rule> = fetched.tally.findings.into_list().into_iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, [Rule::D06, Rule::D26]);
}

#[tokio::test]
async fn an_error_names_the_path_the_step_and_how_many_records_end_there() {
    let rows = vec![
        json!({"id": 1, "account": {"name": "A"}}).to_string(),
        json!({"id": 2, "account": null}).to_string(),
        json!({"id": 3, "account": null}).to_string(),
    ];
    let crm = FakeRest::start(rows).await;
    let required = bare(&crm, r#"company = { path = "$.account.name", required = true }"#);
    let why = "field `company` is not there: `$.account.name`: `account` is null, in 2 of 3 records of the page, first in record 2";
    assert!(failure(&required).await.contains(why));
    let (_, fetched) = pulled(&bare(&crm, r#"company = "$.account.name", stage = "$.stage.label""#)).await.unwrap();
    assert_eq!(fetched.tally.missing_paths.of("company"), [("`$.account.name`: `account` is null", 2)]);
    assert_eq!(fetched.tally.missing_paths.of("stage"), [("`$.stage.label`: `stage` is missing", 3)]);
}

#[tokio::test]
async fn records_are_unwrapped_and_nested() {
    let crm = FakeRest::start(vec![
        json!({"data": {"id": 1, "stages": [{"id": 7, "name": "New"}]}}).to_string(),
        json!({"data": {"id": 2, "stages": [{"id": 8, "name": "Old"}], "title": false}}).to_string(),
    ])
    .await;
    let unwrapped = with(
        &bare(&crm, r#"name = "$.title""#),
        "records",
        r#"records = { path = "$.data", unwrap = "$.data", false_is_null = true }"#,
    );
    let (all, _) = pulled(&unwrapped).await.unwrap();
    assert_eq!((ids(&all), all[1].name.as_str()), ([1, 2].into(), "(untitled)"));
    let nested = format!(
        "{}\nlookup.stages = {{ path = \"/none/deals\", records = [\"$.data\", \"$.data.stages\"], key = \"$.id\", value = \"$.name\" }}",
        with(
            &unwrapped,
            "fields",
            r#"fields = { id = "$.id", stage = { path = "$.stages[0].id", lookup = "stages" } }"#
        )
    );
    let (all, _) = pulled(&nested).await.unwrap();
    assert_eq!(all.iter().map(|deal| deal.stage.as_deref().unwrap()).collect::<Vec<_>>(), ["New", "Old"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_configuration_and_the_same_answers_give_the_same_deals_to_the_byte() {
    let crm = FakeRest::start(deals(40)).await.page_size(7);
    let leads = |paging: Paging| {
        let folder = Folder::new();
        folder.write_config(&format!("[sources.crm]\n{}", crm.section(paging)));
        folder.run(&["pull"]).assert_code(0);
        let text = folder.read("output/sales_pipeline.json");
        let from = text.find("\"leads\"").unwrap();
        let to = text.find("\"source\": \"crm\"").or_else(|| text.find("\"source\":\"crm\"")).unwrap();
        text[from..to].to_owned()
    };
    let once = leads(Paging::Cursor);
    assert!(once.len() > 4_000);
    assert_eq!(leads(Paging::Cursor), once);
    for paging in Paging::ALL {
        assert_eq!(leads(paging), once, "{paging:?}: the way is no part of a deal");
    }
}
