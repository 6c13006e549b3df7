//! `pull --dry-run`: what a new user sees of the mapping, deal beside record, and of the requests.

use serde_json::Value;

use crate::fake_hubspot::{self, FakeHubspot};
use crate::fake_pipedrive::{self, FakePipedrive};
use crate::fake_rest::{FakeRest, Fault, Habit, Paging, Tokens, deals};
use crate::fake_salesforce::{self, FakeSalesforce};
use crate::program::{Folder, Outcome};

fn folder_of(crm: &FakeRest, paging: Paging) -> Folder {
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}", crm.section(paging)));
    folder
}

fn run(folder: &Folder, words: &[&str]) -> Outcome {
    let told = folder.run(&[&["pull", "--dry-run"], words].concat());
    assert!(!folder.join("output").exists(), "nothing is written");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn mapped_deals_are_shown_beside_their_records_and_nothing_is_written() {
    let broken = deals(30).into_iter().map(|deal| deal.replace("\"200.50\"", "\"much\""));
    let crm = FakeRest::start(broken.collect()).await.page_size(20);
    let told = run(&folder_of(&crm, Paging::Cursor), &["crm", "--limit", "2"]);
    told.assert_code(0);
    insta::assert_snapshot!(told.stdout);
    assert_eq!(told.stderr, "");
    assert_eq!(crm.requests_of("/v1/cursor/deals"), 1, "one page and no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_json_every_number_stands_as_it_came_and_as_it_is_written() {
    let exact = deals(3).into_iter().map(|deal| deal.replace("\"300.50\"", "12345678901234567.80"));
    let crm = FakeRest::start(exact.collect()).await.page_size(2);
    let told = run(&folder_of(&crm, Paging::Offset), &["--limit", "3", "--format", "json"]);
    told.assert_code(0);
    for part in ["\"value\":12345678901234567.8,", "\"amount\":12345678901234567.80,"] {
        assert!(told.stdout.contains(part), "{part} in {}", told.stdout);
    }
    let samples: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(samples[0]["deals"].as_array().unwrap().len(), 3, "a second page is read for the third deal");
    assert_eq!((&samples[0]["pages"], &samples[0]["more"]), (&2.into(), &true.into()));
    for shown in samples[0]["deals"].as_array().unwrap() {
        assert_eq!(shown["deal"]["id"], shown["raw"]["id"].to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_shown_on_demand_and_no_secret_wherever_it_comes_back() {
    let crm = FakeRest::start(deals(5)).await.page_size(2).habit(Habit::EchoesQuery);
    let crm = crm.require_param("key", "canary of key");
    let folder = folder_of(&crm, Paging::NextUrl);
    let key =
        "auth = { type = \"query\", param = \"key\", value = { env = \"KEY\" } }\nheaders = { X-Team = \"sales\" }";
    folder.write_config(&format!("[sources.crm]\n{}{key}\n", crm.section(Paging::NextUrl)));
    let mut command = folder.command(&["pull", "--dry-run", "--show-http", "--limit", "3"]);
    command.env("KEY", "canary of key");
    let told = crate::program::run(command);
    told.assert_code(0);
    assert!(!told.stderr.contains("canary") && !told.stdout.contains("canary"), "{}", told.stderr);
    let shown: Vec<&str> = told.stderr.lines().filter(|line| line.starts_with("> GET ")).collect();
    assert_eq!(shown.len(), crm.requests().len());
    assert!(shown[2].ends_with("/v1/next_url/deals?key=***"), "{shown:?}");
    assert!(told.stderr.contains(">   x-team: ***\n< 200, "), "{}", told.stderr);
}

/// The dry run of a CRM that sends back, in every deal, the key it was asked with.
async fn echoed(key: &str, deal: &str, words: &[&str]) -> Outcome {
    let crm = FakeRest::start(vec![deal.to_owned()]).await;
    let folder = folder_of(&crm, Paging::Cursor);
    let auth = "auth = { type = \"header\", name = \"X-Key\", value = { env = \"KEY\" } }";
    folder.write_config(&format!("[sources.crm]\n{}{auth}\n", crm.section(Paging::Cursor)));
    let mut command = folder.command(&[&["pull", "--dry-run", "--show-http"], words].concat());
    command.env("KEY", key);
    let told = crate::program::run(command);
    told.assert_code(0);
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_comes_back_is_hidden_in_record_and_deal_however_it_is_escaped() {
    let key = "canary\"k/ü";
    for echo in [r#"canary\"k/ü"#, r#"canary\"k\/\u00fc"#, r"\u0063anary\u0022k\/\u00FC"] {
        let deal =
            format!(r#"{{"id": 1, "title": "it is {echo}", "note": ["{echo}"], "amount": 5, "currency": "EUR"}}"#);
        for format in ["table", "json"] {
            let told = echoed(key, &deal, &["--format", format]).await;
            for part in ["canary", "anary", "k/ü", "u00fc", "u00FC"] {
                assert!(!told.stdout.contains(part) && !told.stderr.contains(part), "{part} in {}", told.stdout);
            }
            assert!(told.stdout.matches("***").count() >= 3, "name, title and note: {}", told.stdout);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_figures_that_comes_back_as_a_number_is_hidden_and_what_is_printed_stays_json() {
    let deal = r#"{"id": 1, "title": "Deal", "amount": 7142, "currency": "EUR", "account_no": 7142.0}"#;
    let told = echoed("7142", deal, &["--format", "json"]).await;
    let samples: Value = serde_json::from_str(&told.stdout).unwrap();
    let shown = &samples[0]["deals"][0];
    assert_eq!((&shown["deal"]["value"], &shown["raw"]["amount"]), (&"***".into(), &"***".into()));
    assert!(!echoed("7142", deal, &[]).await.stdout.contains("7142"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_goes_by_the_name_of_a_secret_is_warned_of_and_hidden_as_one() {
    let deal = r#"{"id": 1, "title": "canary-2", "amount": 5, "currency": "EUR", "note": "canary-1"}"#;
    let crm = FakeRest::start(vec![deal.to_owned()]).await;
    let folder = folder_of(&crm, Paging::Cursor);
    let section = folder.read("config/sales-pipeline.toml").replace(
        "request = { ",
        "headers = { X-Api-Key = \"canary-2\" }\nrequest = { query = { api_key = \"canary-1\", sort_key = \"id\" }, ",
    );
    folder.write_config(&section);
    let checked = folder.run(&["check", "--connect"]);
    for key in ["request.query.api_key", "headers.X-Api-Key"] {
        let warning = format!("sources.crm.{key}: the secret stands in the file; move it out");
        assert!(checked.assert_code(0).stdout.contains(&warning), "{}", checked.stdout);
    }
    assert!(!checked.stdout.contains("sort_key") && !checked.stdout.contains("canary"), "{}", checked.stdout);
    let told = run(&folder, &["--show-http"]);
    told.assert_code(0);
    assert!(told.stderr.contains("deals?sort_key=id&limit=100&api_key=***\n"), "{}", told.stderr);
    assert!(!told.stdout.contains("canary") && !told.stderr.contains("canary"), "{}{}", told.stdout, told.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_crm_issued_is_hidden_wherever_it_comes_back() {
    let told = deals(4).into_iter().map(|deal| deal.replace("Deal ", "canary-access-1 of deal "));
    let crm = FakeRest::start(told.collect()).await.page_size(2).habit(Habit::LinksWithToken);
    let crm = crm.require_token(Tokens { expires_in: 3600, ..Tokens::default() });
    let folder = folder_of(&crm, Paging::NextUrl);
    let auth = format!(
        "auth = {{ type = \"oauth2\", grant = \"client_credentials\", token_url = \"{}/oauth/token\", \
         client_id = \"app\", client_secret = {{ env = \"KEY\" }} }}",
        crm.origin()
    );
    folder.write_config(&format!("[sources.crm]\n{}{auth}\n", crm.section(Paging::NextUrl)));
    let mut command = folder.command(&["pull", "--dry-run", "--show-http", "--limit", "4"]);
    command.env("KEY", "secret of the app");
    let told = crate::program::run(command);
    told.assert_code(0);
    assert!(told.stderr.contains("/v1/next_url/deals?skip=2&access_token=***\n"), "{}", told.stderr);
    assert!(told.stdout.contains("*** of deal 4"), "{}", told.stdout);
    assert!(!told.stderr.contains("canary") && !told.stdout.contains("canary"), "{}{}", told.stderr, told.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_any_depth_and_length_is_shown_as_far_as_a_screen_goes() {
    let nested = format!("{}1{}", "{\"a\": ".repeat(9_000), "}".repeat(9_000));
    let wide: Vec<String> = (0..9_000).map(|number| format!("\"key {number}\": {number}")).collect();
    for value in [nested, format!("{{{}}}", wide.join(", "))] {
        let crm = FakeRest::start(vec![format!(r#"{{"id": 1, "title": "Deal", "x": {value}}}"#)]).await;
        let told = run(&folder_of(&crm, Paging::Cursor), &[]);
        told.assert_code(0);
        assert!(told.stdout.contains('…') && told.stdout.lines().count() < 80, "{}", told.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_is_shown_too() {
    let crm = FakeRest::start(deals(5)).await.fail_always(Fault::Status(401));
    let told = run(&folder_of(&crm, Paging::Page), &["--show-http"]);
    told.assert_code(77);
    assert!(told.stderr.contains("< 401, "), "{}", told.stderr);
}

#[test]
fn the_demo_has_no_record_behind_its_deals() {
    let folder = Folder::new();
    let told = run(&folder, &["--demo", "--limit", "1"]);
    told.assert_code(0);
    insta::assert_snapshot!(told.stdout);
    folder.run(&["pull", "--limit", "1"]).assert_code(64);
}

/// The first twelve deals that a dry run shows, each beside its record.
fn shown(section: &str) -> (Vec<Value>, Outcome) {
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{section}"));
    let told = run(&folder, &["crm", "--limit", "12", "--format", "json", "--show-http"]);
    told.assert_code(0);
    assert!(told.stderr.contains(">   authorization: ***\n") || told.stderr.contains("x-api-token: ***\n"));
    let samples: Value = serde_json::from_str(&told.stdout).unwrap();
    let deals = samples[0]["deals"].as_array().unwrap().clone();
    assert_eq!(deals.len(), 12);
    (deals, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_source_shows_its_records_without_doing_anything_for_it() {
    let crm = FakeHubspot::start(fake_hubspot::deals(12)).await;
    let (deals, told) = shown(&crm.section());
    assert!(!told.stderr.contains(fake_hubspot::TOKEN));
    for shown in deals {
        assert_eq!(shown["deal"]["id"], shown["raw"]["id"]);
        assert_eq!(shown["deal"]["name"], shown["raw"]["properties"]["dealname"]);
    }
    let crm = FakePipedrive::start(fake_pipedrive::deals(12)).await;
    let (deals, told) = shown(&crm.section());
    assert!(!told.stderr.contains(fake_pipedrive::TOKEN));
    for shown in deals {
        assert_eq!(shown["deal"]["id"], shown["raw"]["id"].to_string());
        assert_eq!(shown["deal"]["name"], shown["raw"]["title"]);
    }
    for way in ["", "bulk_above = 1"] {
        let crm = FakeSalesforce::start(fake_salesforce::deals(12)).await.page_size(10).result_page(10);
        let (deals, told) = shown(&format!("{}{way}\n", crm.section()));
        assert!(!told.stderr.contains(fake_salesforce::CLIENT_SECRET));
        for shown in deals {
            assert_eq!(shown["deal"]["id"], shown["raw"]["Id"], "{way}");
            assert_eq!(shown["deal"]["stage_id"], shown["raw"]["StageName"], "{way}");
        }
        assert_eq!(crm.jobs_left(), 0, "an export that was ordered is deleted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kind_of_source_writes_anything_when_it_is_tried() {
    let hubspot = FakeHubspot::start(fake_hubspot::deals(3)).await;
    let salesforce = FakeSalesforce::start(fake_salesforce::deals(3)).await;
    let pipedrive = FakePipedrive::start(fake_pipedrive::deals(3)).await;
    let rest = FakeRest::start(deals(3)).await;
    let folder = folder_of(&rest, Paging::Cursor);
    let sections = format!(
        "{}\n[sources.hubspot]\n{}\n[sources.salesforce]\n{}\n[sources.pipedrive]\n{}\n",
        folder.read("config/sales-pipeline.toml"),
        hubspot.section(),
        salesforce.section(),
        pipedrive.section()
    );
    folder.write_config(&sections);
    run(&folder, &[]).assert_code(0);
    folder.run(&["check", "--connect"]).assert_code(0);
    assert!(!folder.join("output").exists(), "nothing is written");
    folder.run(&["pull"]).assert_code(0);
    assert!(folder.join("output/sales_cache/hubspot/.memory-labels").exists(), "a pull remembers");
}
