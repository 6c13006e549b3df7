//! Keeps the fake Pipedrive honest: Pipedrive's own client must read from it the deals that we say must be published, and
//! its rules must be those of the contract.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::Command;
use std::time::Duration;

use flate2::read::GzDecoder;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use rust_decimal::Decimal;
use sales_pipeline::http::Clients;
use sales_pipeline::model::deal::Status;
use sales_pipeline::model::number;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fake_pipedrive::{
    CLIENT_ID, CLIENT_SECRET, Currency, FIRST_ORGANIZATION, FakePipedrive, Fault, Habit, Published, REFRESH_TOKEN,
    Refusal, Route, TOKEN, bare_deal, deals, field, organization, user,
};
use crate::skip::could_not_run;

/// What the client found out, by every way of reading deals that Pipedrive has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    deals: Vec<Value>,
    archived: Vec<Value>,
    deleted: Vec<u64>,
    /// When the deals were updated, as they came by `update_time`, newest first.
    newest: Vec<String>,
    /// Whether the other ways of reading them gave the same.
    agrees: BTreeMap<String, bool>,
    custom: Vec<Value>,
    fields: usize,
    currencies: BTreeMap<String, u32>,
    count: usize,
    values: BTreeMap<String, String>,
    is_admin: bool,
    refused: Value,
}

/// Reads the account with Pipedrive's client; `None` where that is not installed.
async fn read_with_pipedrives_client(crm: &FakePipedrive) -> Option<Read> {
    let what = "the fake Pipedrive against Pipedrive's own client";
    if std::env::var_os("PIPELINE_TEST_NODE_MODULES").is_none() {
        could_not_run(what, "its npm package is not installed (tests/run installs it)");
        return None;
    }
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/pipedrive.mjs");
    let mut command = Command::new("node");
    command.args([program, &crm.endpoint(), TOKEN, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let Ok(output) = output else {
        could_not_run(what, "there is no `node` (Debian: nodejs)");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// What both know of a deal, as the model has it.
fn modelled(deal: &Published) -> Value {
    json!({"id": deal.id, "name": deal.name, "company": deal.company, "stage": deal.stage, "pipeline": deal.pipeline,
        "value": deal.value.map(number::text), "currency": deal.currency, "owner": deal.owner,
        "probability": deal.probability.map(number::text), "status": deal.status, "close_date": deal.close_date,
        "closed_at": deal.closed_at, "stage_entered_at": deal.stage_entered_at, "lost_reason": deal.lost_reason,
        "created_at": deal.created_at, "updated_at": deal.updated_at, "url": deal.url})
}

/// The same, as Pipedrive's client has it.
fn as_read(mut row: Value) -> Value {
    let percent = row.as_object_mut().unwrap().remove("percent").unwrap();
    let chance = percent.as_number().map(|percent| number::exact(&percent.to_string()).unwrap() / Decimal::ONE_HUNDRED);
    row["probability"] = json!(chance.map(number::text));
    row["value"] = json!(row["value"].as_str().map(|value| number::exact(value).map(number::text).unwrap()));
    row
}

/// Pipedrive lists by number, the files by text.
fn in_text_order(rows: Vec<Value>) -> Vec<Value> {
    let mut rows: Vec<Value> = rows.into_iter().map(as_read).collect();
    rows.sort_by_key(|row| row["id"].as_str().unwrap().to_owned());
    rows
}

/// An account in which everything has happened that can.
async fn lively_account() -> FakePipedrive {
    FakePipedrive::start(deals(450)).await.with(|account| {
        let [size, industry] = [field(1, "Deal size", "monetary"), field(2, "Industries", "set")];
        let (size_code, industry_code) = (size.code.clone(), industry.code.clone());
        account.fields = vec![size, industry];
        account.fields[1].options = vec![(31, "Cranes".to_owned()), (32, "Forklifts".to_owned())];
        account.fields.extend((3..120).map(|number| field(number, &format!("Field {number}"), "varchar")));
        let mut odd = bare_deal(0);
        (odd.title, odd.owner, odd.organization) = (Some("  ".to_owned()), Some(999), Some(404));
        odd.custom.insert(size_code, json!({"value": 500, "currency": "USD"}));
        odd.custom.insert(industry_code, json!([31, 32]));
        account.create(odd);
        let live = account.live();
        account.archive(live[17]);
        account.archive(live[18]);
        account.archive(live[19]);
        account.delete(live[20]);
        account.merge(live[3], live[8]);
        account.move_stage(live[30], 6);
        account.close(live[31], Status::Won);
        account.close(live[32], Status::Lost);
        account.close(live[33], Status::Open);
        account.update(live[34], |deal| deal.currency = Some("GBP".to_owned()));
        account.delete_stage(4);
        account.deactivate_user(9);
        account.rename_organization(FIRST_ORGANIZATION + 1, "Nordwind \"Ü\" AG");
        account.delete_organization(FIRST_ORGANIZATION + 2);
    })
}

#[tokio::test]
async fn pipedrives_own_client_reads_the_deals_that_must_be_published() {
    let crm = lively_account().await;
    let Some(read) = read_with_pipedrives_client(&crm).await else { return };
    let (model, with_archived) = (crm.model(), crm.model_with_archived());
    assert_eq!((model.len(), with_archived.len(), read.deleted.len()), (446, 449, 1));
    let read_deals = in_text_order(read.deals);
    assert_eq!(read_deals, model.iter().map(modelled).collect::<Vec<_>>());
    let archived = with_archived.iter().filter(|deal| !model.contains(deal));
    assert_eq!(in_text_order(read.archived), archived.map(modelled).collect::<Vec<_>>());
    assert!(read.newest.is_sorted_by(|one, other| one >= other));
    assert_eq!(read.agrees.len(), 5);
    assert!(read.agrees.values().all(|agrees| *agrees), "{:?}", read.agrees);
    assert_eq!(read.fields, 8 + 119, "built-in ones and custom ones beyond the first page");
    assert_eq!(read.custom.len(), 1);
    let set = &read.custom[0][format!("{:040x}", 2)];
    assert_eq!(set, &json!([{"id": 31, "label": "Cranes"}, {"id": 32, "label": "Forklifts"}]));
    assert_eq!((read.currencies["JPY"], read.currencies["EUR"], read.is_admin), (0, 2, true));
    assert_eq!(read.refused["errorCode"], 401);
    let mut sums = BTreeMap::<String, Decimal>::new();
    for deal in &model {
        *sums.entry(deal.currency.clone()).or_default() += deal.value.unwrap_or_default();
    }
    let values = read.values.into_iter().map(|(code, value)| (code, number::exact(&value).unwrap()));
    assert_eq!((read.count, values.collect::<BTreeMap<_, _>>()), (model.len(), sums));
}

fn client() -> Client {
    // Installs the cryptography that any client needs, though this one speaks plain http.
    let _ = Clients::new();
    Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap()
}

async fn send(request: RequestBuilder) -> (StatusCode, HeaderMap, Value) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    (status, headers, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

async fn get(crm: &FakePipedrive, path: &str) -> (u16, Value) {
    let (status, _, body) = send(client().get(crm.endpoint() + path).header("x-api-token", TOKEN)).await;
    (status.as_u16(), body)
}

const DEALS: &str = "/api/v2/deals";

fn ids(page: &Value) -> Vec<u64> {
    page["data"].as_array().unwrap().iter().map(|record| record["id"].as_u64().unwrap()).collect()
}

/// Every id of a list, and how many pages it took.
async fn walk(crm: &FakePipedrive, path: &str) -> (Vec<u64>, usize) {
    let (mut all, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let (status, page) = get(crm, &format!("{path}{after}")).await;
        assert_eq!(status, 200, "{page}");
        all.extend(ids(&page));
        pages += 1;
        assert!(pages < 100, "{path} has no end");
        match page["additional_data"]["next_cursor"].as_str() {
            Some(next) => after = format!("&cursor={next}"),
            None => return (all, pages),
        }
    }
}

#[tokio::test]
async fn what_pipedrive_refuses_is_refused() {
    let crm = FakePipedrive::start(deals(5)).await;
    let many = |count: u64| (0..count).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    for query in [
        "limit=abc".to_owned(),
        "limit=0".to_owned(),
        "status=all".to_owned(),
        "status=open,closed".to_owned(),
        "sort_by=title".to_owned(),
        "sort_direction=up".to_owned(),
        "cursor=nonsense".to_owned(),
        "updated_since=yesterday".to_owned(),
        "pipeline_id=EU".to_owned(),
        "filter_id=1".to_owned(),
        "include_option_labels=maybe".to_owned(),
        format!("ids={}", many(101)),
        format!("custom_fields={}", many(16)),
    ] {
        let (status, error) = get(&crm, &format!("{DEALS}?{query}")).await;
        assert_eq!((status, &error["success"]), (400, &json!(false)), "{query}");
    }
    assert_eq!(get(&crm, &format!("/api/v2/organizations?ids={}", many(101))).await.0, 400);
    assert_eq!(get(&crm, "/v1/deals/summary?status=deleted").await.0, 400);
    for path in ["/v2/deals", "/api/v2/users", "/v1/deals", "/v1/users/999", "/api/v2/deals/search"] {
        assert_eq!(get(&crm, path).await.0, 404, "{path}");
    }
    for path in ["/v1/users", "/api/v1/users", "/v1/users/me", "/v1/users/8", "/v1/currencies"] {
        assert_eq!(get(&crm, path).await.0, 200, "{path}");
    }
    let (status, _, error) = send(client().get(format!("{}{DEALS}?api_token={TOKEN}", crm.endpoint()))).await;
    assert_eq!((status, &error["errorCode"]), (StatusCode::UNAUTHORIZED, &json!(401)), "a token in the query is none");
}

#[tokio::test]
async fn a_list_is_walked_by_the_id_of_the_next_record_whatever_happens_meanwhile() {
    let crm = FakePipedrive::start(deals(1_001)).await;
    let (all, pages) = walk(&crm, &format!("{DEALS}?limit=5000")).await;
    assert_eq!((all.len(), pages, all.is_sorted()), (1_001, 3, true), "no page holds more than five hundred");
    let (down, _) = walk(&crm, &format!("{DEALS}?limit=400&sort_direction=desc")).await;
    assert_eq!(down, all.iter().rev().copied().collect::<Vec<_>>());
    let (_, first) = get(&crm, &format!("{DEALS}?limit=500")).await;
    crm.change(|account| {
        for place in [2, 500, 600] {
            account.delete(all[place]);
        }
        account.create(bare_deal(0));
    });
    let next = first["additional_data"]["next_cursor"].as_str().unwrap();
    let (_, rest) = get(&crm, &format!("{DEALS}?limit=500&cursor={next}")).await;
    let expected = [&all[501..600], &all[601..], &[all[1_000] + 1]].concat();
    assert_eq!(ids(&rest), expected, "none is skipped, none comes twice");
    assert_eq!(get(&crm, &format!("{DEALS}?cursor={next}&sort_by=update_time")).await.0, 400);
    assert_eq!(walk(&crm, &format!("{DEALS}?status=deleted")).await.0, [all[2], all[500], all[600]]);
    crm.change(|account| account.now += chrono::TimeDelta::days(31));
    assert!(walk(&crm, &format!("{DEALS}?status=deleted")).await.0.is_empty(), "after thirty days they are gone");
}

#[tokio::test]
async fn filters_choose_and_everything_is_listed_by_pages() {
    let crm = FakePipedrive::start(deals(60)).await;
    let model = crm.model();
    let count = |wanted: &dyn Fn(&Published) -> bool| model.iter().filter(|deal| wanted(deal)).count();
    for (query, expected) in [
        ("pipeline_id=2", count(&|deal| deal.pipeline_id == "2")),
        ("stage_id=3", count(&|deal| deal.stage_id.as_deref() == Some("3"))),
        ("owner_id=9", count(&|deal| deal.owner_id.as_deref() == Some("9"))),
        ("org_id=9001", count(&|deal| deal.company.as_deref() == Some("Company 0 GmbH & Co. <KG>"))),
        ("status=won,lost", count(&|deal| deal.status != Status::Open)),
    ] {
        let (found, _) = walk(&crm, &format!("{DEALS}?limit=7&{query}")).await;
        assert_eq!((found.len(), expected > 0), (expected, true), "{query}");
        if query.starts_with("pipeline_id") {
            let (_, summary) = get(&crm, &format!("/v1/deals/summary?{query}")).await;
            assert_eq!(summary["data"]["total_count"], expected);
        }
    }
    assert_eq!(walk(&crm, "/api/v2/stages?limit=2&pipeline_id=1").await, (vec![1, 2, 3, 4], 2));
    assert_eq!(walk(&crm, "/api/v2/stages?sort_by=order_nr").await.0, [1, 5, 2, 6, 3, 4]);
    assert_eq!(walk(&crm, "/api/v2/pipelines?limit=1").await, (vec![1, 2], 2));
    assert_eq!(walk(&crm, "/api/v2/organizations?limit=25").await.1, 3);
    assert_eq!(walk(&crm, "/api/v2/organizations?ids=9001,9060,404").await.0, [9001, 9060]);
    crm.change(|account| account.rename_organization(FIRST_ORGANIZATION, "Renamed"));
    let renamed = "/api/v2/organizations?updated_since=2026-11-20T12:00:01Z&sort_by=update_time";
    assert_eq!(walk(&crm, renamed).await.0, [FIRST_ORGANIZATION]);
    let (_, summary) = get(&crm, "/v1/deals/summary?user_id=9&status=won").await;
    let won = count(&|deal| deal.owner_id.as_deref() == Some("9") && deal.status == Status::Won);
    assert_eq!(summary["data"]["total_count"], won);
}

#[tokio::test]
async fn ids_and_amounts_are_exact_on_the_wire() {
    let mut deal = bare_deal(9_007_199_254_740_993);
    deal.value = Some("12345678901234567.89".to_owned());
    let mut custom = bare_deal(5);
    (custom.value, custom.currency) = (Some("7".to_owned()), Some("TOKENS".to_owned()));
    let crm = FakePipedrive::start(vec![deal, custom]).await.with(|account| {
        let tokens = Currency { decimals: 4, is_active: true, is_custom: true, rate: Some(Decimal::TWO) };
        account.currencies.insert("TOKENS".to_owned(), tokens);
    });
    for path in [DEALS, "/v1/deals/summary"] {
        let answer = client().get(crm.endpoint() + path).header("x-api-token", TOKEN).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(text.contains("\"value\":12345678901234567.89"), "{text}");
    }
    assert_eq!(walk(&crm, DEALS).await.0, [5, 9_007_199_254_740_993]);
    let (_, currencies) = get(&crm, "/v1/currencies").await;
    assert!(currencies["data"].as_array().unwrap().iter().any(|one| one["is_custom_flag"] == true));
    let model = crm.model();
    assert_eq!((model[0].value, model[0].currency.as_str()), (None, ""), "nobody can price it");
    assert_eq!(
        (model[1].value.unwrap().to_string(), model[1].id.as_str()),
        ("12345678901234567.89".to_owned(), "9007199254740993")
    );
}

#[tokio::test]
async fn a_user_sees_what_is_theirs_and_what_is_shown_to_all() {
    let crm = FakePipedrive::start(deals(40)).await.with(|account| {
        account.users.insert(12, user("Newcomer"));
        account.me = 12;
        let ids = account.live();
        account.update(ids[0], |deal| deal.visible_to = 1);
        account.update(ids[1], |deal| (deal.visible_to, deal.owner) = (1, Some(12)));
        let mut hidden = organization("Hidden");
        hidden.visible_to = 1;
        account.organizations.insert(FIRST_ORGANIZATION + 1, hidden);
    });
    let (seen, _) = walk(&crm, DEALS).await;
    assert_eq!((seen.len(), crm.model().len()), (39, 39));
    assert_eq!(crm.model().iter().find(|deal| deal.id == seen[0].to_string()).unwrap().company, None);
    let (_, summary) = get(&crm, "/v1/deals/summary").await;
    assert_eq!(summary["data"]["total_count"], 39);
    let (_, me) = get(&crm, "/v1/users/me").await;
    assert_eq!((&me["data"]["name"], &me["data"]["access"][1]["admin"]), (&json!("Newcomer"), &json!(false)));
    crm.change(|account| account.me = 7);
    assert_eq!(walk(&crm, DEALS).await.0.len(), 40);
}

#[tokio::test]
async fn pipelines_and_stages_that_are_deleted_are_known_only_where_lists_hold_them() {
    let crm = FakePipedrive::start(vec![bare_deal(1)]).await.with(|account| {
        account.delete_stage(1);
        account.pipelines.get_mut(&1).unwrap().is_deleted = true;
    });
    let shown = |deal: &Published| (deal.stage.clone().unwrap(), deal.pipeline.clone(), deal.probability);
    assert_eq!(shown(&crm.model()[0]), ("1".to_owned(), "1".to_owned(), None));
    assert_eq!(walk(&crm, "/api/v2/stages?limit=9").await.0, [2, 3, 4, 5, 6]);
    crm.change(|account| account.lists_deleted = true);
    assert_eq!(shown(&crm.model()[0]), ("Qualified".to_owned(), "EU sales".to_owned(), Some(Decimal::new(2, 1))));
    let (_, pipelines) = get(&crm, "/api/v2/pipelines").await;
    assert_eq!(pipelines["data"][0]["is_deleted"], true);
}

async fn answered(crm: &FakePipedrive, path: &str) -> (u16, BTreeMap<String, String>) {
    let (status, headers, _) = send(client().get(crm.endpoint() + path).header("x-api-token", TOKEN)).await;
    let told = |name: &str| name.contains("ratelimit") || name == "retry-after";
    let kept = headers.iter().filter(|(name, _)| told(name.as_str()));
    (status.as_u16(), kept.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect())
}

#[tokio::test]
async fn the_two_limits_differ_in_what_is_left_and_who_does_not_listen_is_shut_out() {
    let span = Duration::from_secs(600);
    let crm = FakePipedrive::start(deals(1)).await.limit(2, span).daily(45);
    let (status, told) = answered(&crm, DEALS).await;
    assert_eq!((status, told["x-ratelimit-limit"].as_str(), told["x-ratelimit-remaining"].as_str()), (200, "2", "1"));
    assert_eq!(told["x-daily-ratelimit-token-remaining"], "35");
    assert_eq!(answered(&crm, "/v1/users").await.0, 200);
    let (status, told) = answered(&crm, DEALS).await;
    assert_eq!((status, told["x-ratelimit-remaining"].as_str()), (429, "0"));
    assert_eq!(told["x-daily-ratelimit-token-remaining"], "15", "a refused request costs nothing");
    crm.pass(span);
    let (status, told) = answered(&crm, "/v1/users").await;
    assert_eq!((status, told["x-daily-ratelimit-token-remaining"].as_str()), (429, "0"));
    assert_eq!(told["retry-after"], "3");
    assert_ne!(told["x-ratelimit-remaining"], "0", "of requests there are some left");
    assert_eq!((crm.spent(), crm.refused()), (30, 2));
    crm.next_day();
    assert_eq!(answered(&crm, "/v1/users").await.0, 200);
    assert_eq!(answered(&crm, DEALS).await.0, 200);
    for _ in 0..10 {
        assert_eq!(answered(&crm, DEALS).await.0, 429);
    }
    crm.pass(span);
    let (status, headers, body) = send(client().get(crm.endpoint() + DEALS).header("x-api-token", TOKEN)).await;
    assert_eq!((status.as_u16(), body), (403, Value::Null));
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/html"));
}

#[tokio::test]
async fn what_goes_wrong_goes_wrong_once_and_where_it_was_planned() {
    for (fault, expected) in [
        (Fault::Status(402), 402),
        (Fault::Unauthorized, 401),
        (Fault::Limit(Refusal::Burst), 429),
        (Fault::Limit(Refusal::Daily), 429),
        (Fault::Limit(Refusal::Blocked), 403),
        (Fault::Html(524), 524),
        (Fault::Redirect("https://elsewhere.example/".to_owned()), 302),
        (Fault::NullBody, 200),
        (Fault::Unsuccessful, 200),
    ] {
        let crm = FakePipedrive::start(deals(1)).await.fail_at(Route::Deals, 2, fault.clone());
        let mut statuses = Vec::new();
        for path in [DEALS, "/api/v2/pipelines", DEALS, DEALS] {
            let (status, body) = get(&crm, path).await;
            statuses.push((status, body["success"] == true));
        }
        assert_eq!(statuses, [(200, true), (200, true), (expected, false), (200, true)], "{fault:?}");
    }
    let crm = FakePipedrive::start(deals(9)).await.fail(Fault::EmptyPage).fail(Fault::RepeatedCursor);
    let (_, empty) = get(&crm, DEALS).await;
    let next = empty["additional_data"]["next_cursor"].as_str().unwrap();
    let (_, page) = get(&crm, &format!("{DEALS}?limit=4&cursor={next}")).await;
    assert_eq!((ids(&empty).len(), ids(&page).len()), (0, 4));
    let again = page["additional_data"]["next_cursor"].as_str().unwrap();
    assert_eq!(ids(&get(&crm, &format!("{DEALS}?limit=4&cursor={again}")).await.1), ids(&page));
    let crm = crm.fail(Fault::DuplicateRecord).fail(Fault::Disorder);
    assert_eq!(ids(&get(&crm, DEALS).await.1).len(), 10);
    assert!(ids(&get(&crm, DEALS).await.1).is_sorted_by(|one, other| one > other));
}

#[tokio::test]
async fn an_answer_can_end_or_stand_still_in_the_middle() {
    for fault in [Fault::Cut, Fault::Reset, Fault::Stall, Fault::CutJson] {
        let crm = FakePipedrive::start(deals(9)).await.fail(fault.clone());
        let _ = Clients::new();
        let client = Client::builder().no_proxy().read_timeout(Duration::from_millis(100)).build().unwrap();
        let bytes = match client.get(crm.endpoint() + DEALS).header("x-api-token", TOKEN).send().await {
            Ok(head) => head.bytes().await.ok(),
            Err(_) => None,
        };
        let whole = bytes.is_some_and(|bytes| serde_json::from_slice::<Value>(&bytes).is_ok());
        assert!(!whole, "{fault:?}");
        assert_eq!(get(&crm, DEALS).await.0, 200, "{fault:?}");
    }
}

#[tokio::test]
async fn each_habit_shows_in_the_answers() {
    let crm = FakePipedrive::start(deals(4)).await.habit(Habit::OmitsNulls).habit(Habit::AddsKeys);
    let (_, page) = get(&crm, DEALS).await;
    let deal = page["data"][0].as_object().unwrap();
    assert!(deal.values().all(|value| !value.is_null()) && deal.contains_key("canary"));
    assert_eq!((page["additional_data"].get("next_cursor"), page.get("canary_data").is_some()), (None, true));
    let crm = FakePipedrive::start(vec![]).await.habit(Habit::SendsNullLists);
    assert_eq!(get(&crm, DEALS).await.1["data"], Value::Null);
    let crm = FakePipedrive::start(deals(4)).await.habit(Habit::EndsWithEmptyPage);
    assert_eq!(walk(&crm, &format!("{DEALS}?limit=2")).await.1, 3);
    assert_eq!(walk(&crm, &format!("{DEALS}?limit=3")).await.1, 2);
    let crm = FakePipedrive::start(deals(4)).await.habit(Habit::WritesOldTimes).habit(Habit::HidesLimits);
    assert_eq!(get(&crm, DEALS).await.1["data"][0]["add_time"], "2026-05-04 12:00:00");
    assert_eq!(answered(&crm, DEALS).await.1, BTreeMap::new());
    let crm = FakePipedrive::start(deals(4)).await.habit(Habit::HidesInactiveUsers);
    assert_eq!(ids(&get(&crm, "/v1/users").await.1), [7, 9, 10, 11]);
    assert_eq!(get(&crm, "/v1/users/8").await.1["data"]["name"], "Old Rep");
    let crm = FakePipedrive::start(deals(4)).await.habit(Habit::Packs);
    let answer = client().get(crm.endpoint() + DEALS).header("x-api-token", TOKEN).send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let mut text = String::new();
    GzDecoder::new(&answer.bytes().await.unwrap()[..]).read_to_string(&mut text).unwrap();
    assert_eq!(ids(&serde_json::from_str(&text).unwrap()).len(), 4);
}

#[tokio::test]
async fn something_can_happen_after_each_answer() {
    let crm = FakePipedrive::start(deals(9)).await.after_each(|account, route| {
        if route == Route::Deals {
            account.create(bare_deal(0));
        }
    });
    assert_eq!(
        walk(&crm, &format!("{DEALS}?limit=4")).await,
        ((0..9).map(|number| 99_950 + number * 7).chain([100_007, 100_008]).collect(), 3)
    );
    assert_eq!(crm.requests_of(Route::Deals), 3);
    let asked = crm.requests();
    assert_eq!((asked[0].param("limit").as_deref(), asked[0].status), (Some("4"), 200));
    assert!(asked[1].query.contains("cursor=") && asked[1].headers.contains_key("x-api-token"));
}

#[tokio::test]
async fn an_app_gets_access_by_its_refresh_token_and_only_to_what_it_was_granted() {
    let crm = FakePipedrive::start(deals(1)).await.api_domain("https://acme.pipedrive.com").scopes(&["base"]);
    let form = |refresh: &str| format!("grant_type=refresh_token&refresh_token={refresh}");
    let token = |secret: &'static str, refresh: &str| {
        let request = client().post(format!("{}/oauth/token", crm.endpoint()));
        request.basic_auth(CLIENT_ID, Some(secret)).body(form(refresh))
    };
    assert_eq!(send(token("wrong", REFRESH_TOKEN)).await.0, 401);
    assert_eq!(send(token(CLIENT_SECRET, "revoked")).await.0, 400);
    let (status, _, granted) = send(token(CLIENT_SECRET, REFRESH_TOKEN)).await;
    assert_eq!((status.as_u16(), &granted["api_domain"]), (200, &json!("https://acme.pipedrive.com")));
    assert_eq!((&granted["refresh_token"], &granted["scope"]), (&json!(REFRESH_TOKEN), &json!("base")));
    let access = granted["access_token"].as_str().unwrap();
    let ask = |path: &str| send(client().get(crm.endpoint() + path).bearer_auth(access));
    assert_eq!(ask("/v1/users/me").await.0, 200);
    assert_eq!(ask(DEALS).await.0, 403);
    crm.expire_tokens();
    assert_eq!(ask("/v1/users/me").await.0, 401);
    assert!(crm.requests()[0].body.contains("grant_type") && crm.requests_of(Route::Token) == 3);
}
