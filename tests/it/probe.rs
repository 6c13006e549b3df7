//! `probe`: what it prints, put into a file, is accepted and pulls what the CRM holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::{Json, Router};
use sales_pipeline::model::number;
use sales_pipeline::store::format::read_head;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fake_rest::{FakeRest, Fault, Habit, Paging, deals};
use crate::program::{Folder, Outcome, run};
use crate::servers::{RealServer, worth};

/// The fields that need no look-up.
const FIELDS: [&str; 9] =
    ["id", "name", "company", "value", "currency", "probability", "created_at", "updated_at", "close_date"];

fn address(crm: &FakeRest, way: &str) -> String {
    format!("{}/{way}/deals", crm.endpoint())
}

fn probe(folder: &Folder, words: &[&str]) -> Outcome {
    let mut command = folder.command(&[&["probe"], words].concat());
    command.env("MYCRM_API_KEY", "canary");
    let told = run(command);
    assert!(!told.stdout.contains("canary") && !told.stderr.contains("canary"), "{}", told.stderr);
    told
}

/// The deals that a config pulls, by those fields, and the proof that they are all.
pub(crate) fn pulled(folder: &Folder, config: &str) -> (Vec<Value>, String) {
    folder.write_config(config);
    let mut check = folder.command(&["check"]);
    run({
        check.env("MYCRM_API_KEY", "canary");
        check
    })
    .assert_code(0);
    let mut pull = folder.command(&["pull"]);
    run({
        pull.env("MYCRM_API_KEY", "canary");
        pull
    })
    .assert_code(0);
    let latest = folder.json("output/sales_pipeline.json");
    let fields = |lead: &Value| FIELDS.iter().map(|field| lead[*field].clone()).collect();
    let leads = latest["leads"].as_array().unwrap().iter().map(fields).collect();
    (leads, latest["completeness"]["proof"].as_str().unwrap().to_owned())
}

/// Closed deals of any age.
pub(crate) fn of_all_ages(section: &str) -> String {
    section.replacen("kind = \"rest\"", "kind = \"rest\"\nclosed_within = \"all\"", 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_proposes_pulls_every_deal_whatever_the_paging() {
    for (paging, way) in [
        (Paging::None, "none"),
        (Paging::Page, "page"),
        (Paging::Offset, "offset"),
        (Paging::Cursor, "cursor"),
        (Paging::NextUrl, "next_url"),
    ] {
        let crm = FakeRest::start(deals(23)).await.page_size(10).require_header("authorization", "Bearer canary");
        let folder = Folder::new();
        let told = probe(&folder, &[&address(&crm, way), "--bearer"]);
        told.assert_code(0);
        let (proposed, proof) = pulled(&folder, &of_all_ages(&told.stdout));
        let bearer = "auth = { type = \"bearer\", token = { env = \"MYCRM_API_KEY\" } }";
        let known = format!("[sources.crm]\n{bearer}\n{}", crm.section(paging));
        assert_eq!(proposed, pulled(&Folder::new(), &known).0, "{way}:\n{}", told.stdout);
        assert_eq!(proposed.len(), 23);
        assert!(way == "none" || proof.contains("count matches"), "{way}: {proof}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_counts_the_page_is_not_proposed_as_the_number_of_all() {
    for way in ["page", "offset", "cursor"] {
        let crm = FakeRest::start(deals(25)).await.page_size(10).habit(Habit::CountsThePage);
        let folder = Folder::new();
        let section = probe(&folder, &[&address(&crm, way)]).assert_code(0).stdout.clone();
        let (all, proof) = pulled(&folder, &of_all_ages(&section));
        assert_eq!(all.len(), 25, "{way}:\n{section}");
        assert!(!section.contains("total = ") && !proof.contains("count matches"), "{way}: {proof}\n{section}");
    }
    // The number of a list that fits into one answer is one if it stays when less is asked for.
    let crm = FakeRest::start(deals(4)).await;
    assert!(probe(&Folder::new(), &[&address(&crm, "offset")]).stdout.contains("total = \"$.meta.total\""));
}

/// A server that answers the questions of a probe by their path and parameters; its address, and how many came.
async fn serve(
    answer: impl Fn(&str, &[(String, String)], usize) -> Result<Value, StatusCode> + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(answer));
    let count = Arc::clone(&asked);
    let router = Router::new().fallback(move |uri: Uri| {
        let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
        async move {
            let params = Query::<Vec<(String, String)>>::try_from_uri(&uri).unwrap().0;
            match answer(uri.path(), &params, count.fetch_add(1, Ordering::Relaxed)) {
                Ok(body) => Json(body).into_response(),
                Err(status) => (status, [("retry-after", "0")]).into_response(),
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v1/deals", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, asked)
}

fn param<'a>(params: &'a [(String, String)], name: &str) -> Option<&'a str> {
    params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Deals by number, as many as a page holds, from one on.
fn page_from(first: u64, size: u64, count: u64) -> Vec<Value> {
    let deal = |id: u64| json!({"id": id, "title": format!("Deal {id}"), "amount": id * 100, "owner_id": id % 3, "stage_id": id % 4, "org_id": id % 5});
    (first..(first + size).min(count + 1)).map(deal).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_goes_on_behind_its_last_record_is_found_out() {
    let (address, _) = serve(|path, params, _| {
        let after = param(params, "starting_after").map_or(0, |id| id.parse::<u64>().unwrap());
        if path != "/v1/deals" {
            return Err(StatusCode::NOT_FOUND);
        }
        Ok(json!({"data": page_from(after + 1, 5, 12), "has_more": after + 5 < 12}))
    })
    .await;
    let folder = Folder::new();
    let told = probe(&folder, &[&address]);
    assert!(told.assert_code(0).stdout.contains("cursor_from = \"last_record\""), "{}", told.stdout);
    assert_eq!(pulled(&folder, &of_all_ages(&told.stdout)).0.len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_longer_than_one_answer_is_never_proposed_as_one() {
    for (more, line) in
        [(json!({"has_more": true}), "has_more = \"$.has_more\""), (json!({"total": 12}), "total = \"$.total\"")]
    {
        let (address, _) = serve(move |path, _, _| {
            let mut body = json!({"data": page_from(1, 7, 12)});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            if path == "/v1/deals" { Ok(body) } else { Err(StatusCode::NOT_FOUND) }
        })
        .await;
        let folder = Folder::new();
        let told = probe(&folder, &[&address]);
        assert!(told.stdout.contains("type = \"none\"") && told.stdout.contains(line), "{}", told.stdout);
        folder.write_config(&told.stdout);
        folder.run(&["pull"]).assert_code(69);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_reached_is_waited_for() {
    let (address, _) = serve(|path, params, count| {
        let page = param(params, "page").map_or(1, |page| page.parse::<u64>().unwrap());
        match path {
            "/v1/deals" if count % 3 != 1 => Ok(json!({"data": page_from(page * 5 - 4, 5, 12)})),
            "/v1/deals" => Err(StatusCode::TOO_MANY_REQUESTS),
            _ => Err(StatusCode::NOT_FOUND),
        }
    })
    .await;
    let told = probe(&Folder::new(), &[&address]);
    assert!(told.stdout.contains("type = \"page\""), "{}\n{}", told.stdout, told.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lets_nothing_be_left_out_is_asked_as_often_as_is_said_and_no_oftener() {
    // Every sign is a false one, the last way of all is right, no size is, and each table is there.
    let (address, asked) = serve(|path, params, _| {
        let named = |name: &str| (0..5).map(|id| json!({"id": id, "name": format!("{name} {id}")})).collect::<Vec<_>>();
        Ok(match path {
            "/v1/deals" => {
                let start = param(params, "start").map_or(0, |start| start.parse::<u64>().unwrap());
                json!({"data": page_from(start + 1, 6, 20), "cursor": "a", "after": "b", "page_token": "c"})
            }
            _ => json!({"data": named(path)}),
        })
    })
    .await;
    let told = probe(&Folder::new(), &[&address]);
    assert!(told.assert_code(0).stdout.contains("param = \"start\""), "{}", told.stdout);
    assert_eq!(told.stdout.matches("[sources.mycrm.lookup.").count(), 3, "{}", told.stdout);
    assert_eq!(asked.load(Ordering::Relaxed), 46);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_never_asks_more_often_than_it_says() {
    for way in ["none", "page", "offset", "cursor", "next_url"] {
        for size in [10, 100] {
            let crm = FakeRest::start(deals(23)).await.page_size(size);
            probe(&Folder::new(), &[&address(&crm, way)]).assert_code(0);
            assert!(crm.requests().len() <= 46, "{way}: {}", crm.requests().len());
        }
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sources.md")).unwrap();
    assert!(page.contains("never more than 46"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_stands_with_its_reason() {
    let crm = FakeRest::start(deals(23)).await.page_size(10);
    let told = probe(&Folder::new(), &[&address(&crm, "cursor"), "--name", "acme"]);
    told.assert_code(0);
    let address = crm.endpoint();
    insta::assert_snapshot!(format!("{}\n{}", told.stdout, told.stderr).replace(&address, "http://[crm]/v1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_fits_into_one_answer_is_paged_all_the_same() {
    for way in ["cursor", "page", "offset"] {
        let crm = FakeRest::start(deals(4)).await;
        let folder = Folder::new();
        let section = probe(&folder, &[&address(&crm, way)]).stdout;
        assert!(section.contains(&format!("type = \"{way}\"")), "{way}:\n{section}");
        assert_eq!(pulled(&folder, &of_all_ages(&section)).0.len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_where_it_is_wanted_and_is_never_printed() {
    let folder = Folder::new();
    let key = folder.write("key", "canary");
    let crm = FakeRest::start(deals(12)).await.page_size(5).require_header("x-api-key", "canary");
    let told = probe(&folder, &[&address(&crm, "page"), "--header", "X-API-Key", "--file", key.to_str().unwrap()]);
    assert!(told.assert_code(0).stdout.contains("value = { file = "));
    assert_eq!(pulled(&folder, &of_all_ages(&told.stdout)).0.len(), 12);
    // Every record holds what it was asked with.
    let told = deals(12).into_iter().map(|deal| deal.replace("Deal ", "canary of deal "));
    let crm =
        FakeRest::start(told.collect()).await.page_size(5).require_param("key", "canary").habit(Habit::EchoesQuery);
    let told = probe(&Folder::new(), &[&address(&crm, "next_url"), "--query", "key"]);
    assert!(told.assert_code(0).stdout.contains("param = \"key\""));
    assert!(told.stdout.contains("type = \"next_url\""), "{}", told.stdout);
    assert!(told.stdout.contains("such as *** of deal 1"), "{}", told.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_behind_a_post_is_asked_for_by_its_body() {
    let crm = FakeRest::start(deals(23)).await.page_size(10);
    let folder = Folder::new();
    let query = r#"{"query": "query($after: String) { deals(after: $after) { id } }"}"#;
    let told = probe(&folder, &[&address(&crm, "graphql"), "--body", query]);
    for line in
        ["method = \"POST\"", "param = \"variables.after\"", "size_param = \"variables.first\"", "absent = true"]
    {
        assert!(told.assert_code(0).stdout.contains(line), "{line} in\n{}", told.stdout);
    }
    assert_eq!(pulled(&folder, &of_all_ages(&told.stdout)).0.len(), 23);
    probe(&folder, &[&address(&crm, "graphql"), "--body", "[1]"]).assert_code(64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_and_a_password_or_a_key_in_the_users_place_are_sent_as_basic() {
    for (word, header, lines) in [
        ("--basic", "Basic Y2FuYXJ5Og==", &["username = { env = \"MYCRM_API_KEY\" }"][..]),
        ("--basic=ann", "Basic YW5uOmNhbmFyeQ==", &["username = \"ann\"", "password = { env = \"MYCRM_API_KEY\" }"]),
    ] {
        let crm = FakeRest::start(deals(12)).await.page_size(5).require_header("authorization", header);
        let folder = Folder::new();
        let told = probe(&folder, &[&address(&crm, "page"), word]);
        for line in lines {
            assert!(told.assert_code(0).stdout.contains(line), "{line} in\n{}", told.stdout);
        }
        assert_eq!(pulled(&folder, &of_all_ages(&told.stdout)).0.len(), 12);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_plain_http_and_own_authorities_stand_in_the_section_too() {
    // To a proxy the whole address is sent, of which the server takes the path.
    let proxy = FakeRest::start(deals(12)).await.page_size(5);
    let folder = Folder::new();
    let words = ["--proxy", &proxy.origin(), "--allow-http"];
    let told = probe(&folder, &[&["http://crm.example/v1/page/deals"][..], &words].concat());
    assert!(told.assert_code(0).stdout.contains("allow_http = true\nproxy = \"http://127.0.0.1"), "{}", told.stdout);
    assert_eq!(pulled(&folder, &of_all_ages(&told.stdout)).0.len(), 12);
    let file = folder.write("own.pem", "no certificate");
    let told = probe(&folder, &["https://crm.example/deals", "--ca-file", file.to_str().unwrap()]);
    assert!(told.assert_code(64).stderr.contains("--ca-file: "), "{}", told.stderr);
    probe(&folder, &["https://crm.example/deals", "--proxy", "http://ann:canary@proxy"]).assert_code(64);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_named_by_the_tables_beside_the_list_and_few_requests_look_for_them() {
    let crm = FakeRest::start(deals(23)).await.page_size(10);
    let folder = Folder::new();
    let told = probe(&folder, &[&address(&crm, "cursor")]);
    folder.write_config(&of_all_ages(&told.assert_code(0).stdout));
    folder.run(&["pull"]).assert_code(0);
    let latest = folder.json("output/sales_pipeline.json");
    for lead in latest["leads"].as_array().unwrap() {
        let id: usize = lead["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(lead["owner"], ["Ann Lee", "Bo Ek", "Cy Poe"][id % 3]);
        assert_eq!(lead["stage"], ["New", "Proposal", "Closed Won", "Closed Lost"][id % 4]);
    }
    let elsewhere = FakeRest::start(deals(23)).await.page_size(10);
    for table in ["users", "stages"] {
        elsewhere.hold(
            table,
            vec![json!({"id": 700, "name": "A"}).to_string(), json!({"id": 701, "name": "B"}).to_string()],
        );
    }
    let told = probe(&Folder::new(), &[&address(&elsewhere, "cursor")]);
    assert!(told.assert_code(0).stdout.contains("# owner = "), "{}", told.stdout);
    let tables = elsewhere.requests().iter().filter(|asked| !asked.path.ends_with("/deals")).count();
    assert_eq!(tables, 3, "users, owners, stages");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_proposed_is_said_with_what_to_do() {
    let folder = Folder::new();
    let crm = FakeRest::start(Vec::new()).await;
    let told = probe(&folder, &[&address(&crm, "cursor")]);
    assert!(
        told.assert_code(69).stderr.contains("contains an empty list: probe again when the CRM has deals"),
        "{}",
        told.stderr
    );
    let crm = FakeRest::start(vec![json!({"title": "A"}).to_string(), json!({"title": "A"}).to_string()]).await;
    let told = probe(&folder, &[&address(&crm, "cursor")]);
    assert!(told.assert_code(69).stderr.contains("looks like an id"), "{}", told.stderr);
    let refusing = FakeRest::start(deals(3)).await.fail_always(Fault::Status(401));
    probe(&folder, &[&address(&refusing, "page")]).assert_code(77);
    let moved = FakeRest::start(deals(3)).await.fail_always(Fault::Redirect);
    let told = probe(&folder, &[&address(&moved, "page")]);
    assert!(told.assert_code(69).stderr.contains("with a final slash"), "{}", told.stderr);
    folder.run(&["probe", &address(&crm, "page"), "--bearer"]).assert_code(78);
    for wrong in [
        "crm.example/deals",
        "http://crm.example/deals",
        "https://ann:canary@crm.example/deals",
        "https://crm.example/deals?api_key=canary",
        "https://crm.example/deals?accessToken=canary",
    ] {
        let told = probe(&folder, &[wrong]);
        told.assert_code(64);
    }
    probe(&folder, &["https://crm.example", "--bearer", "--header", "X"]).assert_code(64);
    probe(&folder, &["https://crm.example", "--bearer", "--basic"]).assert_code(64);
}

/// Probes a real server and pulls by what was proposed, unchanged except for the age of closed deals: every deal, to the cent.
fn assert_probed(server: &RealServer, path: &str, count: u64, lines: &[&str]) {
    let folder = Folder::new();
    let told = probe(&folder, &[&format!("{}{path}", server.origin()), "--bearer"]);
    told.assert_code(0);
    for line in lines {
        assert!(told.stdout.contains(line), "{line} in\n{}", told.stdout);
    }
    // A question that only a person can answer.
    let section = of_all_ages(&told.stdout).replace("# currency = { value", "currency = { value");
    let (deals, _) = pulled(&folder, &section);
    assert_eq!(deals.len() as u64, count, "{section}");
    let head = read_head(&folder.join("output/sales_pipeline.json")).unwrap();
    assert_eq!(number::text(head.total_value), number::text(worth(count, |_| true)));
    assert_eq!(number::text(head.totals.won.value), number::text(worth(count, |id| id % 3 == 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn datasette_is_probed_and_pulled_to_the_cent() {
    let folder = Folder::new();
    let Some(server) = RealServer::datasette(&folder, 250) else { return };
    let lines = ["type = \"link_header\"", "size_param = \"_size\"", "total = \"$.filtered_table_rows_count\""];
    assert_probed(&server, "/crm/deals.json?_shape=objects", 250, &lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_server_is_probed_and_pulled_to_the_cent() {
    let Some(server) = RealServer::json_server(250) else { return };
    assert_probed(&server, "/deals", 250, &["type = \"none\""]);
    let lines = ["type = \"link_header\"", "size = 40", "total_header = \"x-total-count\""];
    assert_probed(&server, "/deals?_page=1&_limit=40", 250, &lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn django_rest_framework_is_probed_and_pulled_to_the_cent() {
    let Some(server) = RealServer::django(250) else { return };
    for (way, lines) in [
        ("page", &["next = \"$.next\"", "total = \"$.count\"", "size_param = \"page_size\""][..]),
        ("offset", &["next = \"$.next\"", "total = \"$.count\"", "size_param = \"limit\""]),
        ("cursor", &["next = \"$.next\""]),
    ] {
        assert_probed(&server, &format!("/{way}/deals/"), 250, lines);
    }
}

/// The ten lines of docs/sources.md, except the daemon at the end.
#[tokio::test(flavor = "multi_thread")]
async fn the_ten_lines_of_the_page_on_sources_lead_from_an_address_to_a_snapshot() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sources.md")).unwrap();
    let lines = page.split_once("## Let `probe` write the section").unwrap().1.split_once("```sh\n").unwrap().1;
    let lines = lines.split_once("```").unwrap().0;
    assert_eq!(lines.lines().count(), 10);
    let (lines, daemon) = lines.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(daemon, "sales-pipeline run");
    let crm = FakeRest::start(deals(23)).await.page_size(10).require_header("authorization", "Bearer canary");
    let address = address(&crm, "cursor");
    let script = lines.replace("https://api.mycrm.example/v2/deals", &address).replace('…', "canary");
    assert!(script.contains(&address) && script.contains("=canary"));
    let folder = Folder::new();
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_sales-pipeline")).parent().unwrap();
    let mut shell = folder.command_under(&["sh", "-e", "-c", &script], &[]);
    shell.env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap())).env("EDITOR", "true");
    run(shell).assert_code(0);
    assert_eq!(folder.snapshots("mycrm").len(), 1);
}
