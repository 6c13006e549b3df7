//! Keeps the fake HubSpot honest: HubSpot's own client must read from it the deals that we say must be published, and
//! its rules must be those of the contract.

use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use reqwest::{Client, Method, StatusCode};
use sales_pipeline::http::Clients;
use sales_pipeline::model::deal::Status;
use sales_pipeline::model::number;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fake_hubspot::{
    CLIENT_ID, CLIENT_SECRET, FakeHubspot, Fault, Habit, Published, REFRESH_TOKEN, Refusal, Route, TOKEN, bare_deal,
    deals, link,
};
use crate::skip::could_not_run;

/// A deal as HubSpot's client reads it: texts as they came over the wire, names looked up.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    name: Option<String>,
    company: Option<String>,
    stage: Option<String>,
    pipeline: Option<String>,
    amount: Option<String>,
    currency: Option<String>,
    probability: Option<String>,
    owner: Option<String>,
    closed: Option<String>,
    won: Option<String>,
    closes: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What the client found out, by every way of reading deals that HubSpot has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is a comparison of its own")]
struct Read {
    deals: Vec<Row>,
    get_all_agrees: bool,
    batch_agrees: bool,
    search_agrees: bool,
    associations_agree: bool,
}

/// Reads the account with HubSpot's client; `None` where that is not installed.
async fn read_with_hubspots_client(crm: &FakeHubspot) -> Option<Read> {
    let what = "the fake HubSpot against HubSpot's own client";
    if std::env::var_os("PIPELINE_TEST_NODE_MODULES").is_none() {
        could_not_run(what, "its npm package is not installed (tests/run installs it)");
        return None;
    }
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/hubspot.mjs");
    let mut command = Command::new("node");
    command.args([program, &crm.endpoint(), TOKEN]);
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
        "created_at": deal.created_at, "updated_at": deal.updated_at})
}

/// The same, as HubSpot's client has it, in an account whose own currency is `home`.
fn as_read(row: Row, home: &str) -> Value {
    let is = |text: Option<String>| text.as_deref() == Some("true");
    let status = match (is(row.closed), is(row.won)) {
        (_, true) => Status::Won,
        (true, false) => Status::Lost,
        (false, false) => Status::Open,
    };
    let amount = row.amount.map(|amount| number::exact(&amount).map(number::text).unwrap());
    let probability = row.probability.map(|chance| number::rounded(&chance, 6).map(number::text).unwrap());
    json!({"id": row.id, "name": row.name.unwrap_or_else(|| "(untitled)".to_owned()), "company": row.company,
        "stage": row.stage, "pipeline": row.pipeline, "value": amount, "owner": row.owner,
        "currency": row.currency.unwrap_or_else(|| home.to_owned()), "probability": probability, "status": status,
        "close_date": row.closes.map(|closes| closes.date_naive()), "created_at": row.created_at,
        "updated_at": row.updated_at})
}

#[tokio::test]
async fn hubspots_own_client_reads_the_deals_that_must_be_published() {
    let crm = FakeHubspot::start(deals(450)).await.with(|account| {
        account.create(bare_deal(0).with("amount", "").with("hubspot_owner_id", "999").linked(&[link(404)]));
        account.archive(account.live()[17]);
        let live = account.live();
        account.merge(live[3], live[8]);
        account.delete_stage("7654321", "1048576");
        account.archive_owner(41_629_770);
        account.rename_company(27_712_345_001, "Nordwind \"Ü\" AG");
    });
    let Some(read) = read_with_hubspots_client(&crm).await else { return };
    let read_deals: Vec<Value> = read.deals.into_iter().map(|row| as_read(row, "USD")).collect();
    let model: Vec<Value> = crm.model(Tz::UTC).iter().map(modelled).collect();
    assert_eq!(model.len(), 449);
    for (read, modelled) in read_deals.iter().zip(&model) {
        assert_eq!(read, modelled);
    }
    assert_eq!(read_deals.len(), model.len());
    assert!(read.get_all_agrees, "getAll reads what getPage reads");
    assert!(read.batch_agrees, "batches read what the list reads");
    assert!(read.search_agrees, "the search finds what the list reads");
    assert!(read.associations_agree, "the associations are those that the list has inside");
}

async fn ask(crm: &FakeHubspot, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    // Installs the cryptography that any client needs, though this one speaks plain http.
    let _ = Clients::new();
    let url = format!("{}{path}", crm.endpoint());
    let mut request = Client::builder().no_proxy().build().unwrap().request(method, url).bearer_auth(TOKEN);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

async fn get(crm: &FakeHubspot, path: &str) -> (StatusCode, Value) {
    ask(crm, Method::GET, path, None).await
}

async fn post(crm: &FakeHubspot, path: &str, body: Value) -> (StatusCode, Value) {
    ask(crm, Method::POST, path, Some(body)).await
}

#[tokio::test]
async fn both_families_of_paths_list_the_same_deals_page_by_page() {
    let crm = FakeHubspot::start(deals(250)).await;
    for list in ["/crm/objects/2026-09/deals", "/crm/v3/objects/deals", "/crm/v3/objects/0-3"] {
        let mut ids = Vec::new();
        let mut after = String::new();
        loop {
            let (status, page) = get(&crm, &format!("{list}?limit=100&associations=companies{after}")).await;
            assert_eq!(status, 200);
            ids.extend(page["results"].as_array().unwrap().iter().map(|deal| deal["id"].as_str().unwrap().to_owned()));
            match page["paging"]["next"]["after"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let model: Vec<String> = crm.model(Tz::UTC).into_iter().map(|deal| deal.id).collect();
        assert_eq!(ids, model, "{list}");
    }
    assert_eq!(crm.requests_of(Route::List), 9);
    let (status, error) = get(&crm, "/crm/objects/2026-09/deals?limit=101").await;
    assert_eq!((status, &error["category"]), (StatusCode::BAD_REQUEST, &json!("VALIDATION_ERROR")));
    let (status, found) = post(&crm, "/crm/objects/2026-09/deals/search", json!({"limit": 1})).await;
    assert_eq!((status, &found["total"]), (StatusCode::OK, &json!(250)));
}

const LIST: &str = "/crm/objects/2026-09/deals";
const SEARCH: &str = "/crm/objects/2026-09/deals/search";
const ASSOCIATIONS: &str = "/crm/associations/2026-09/deals/companies/batch/read";

fn inputs(ids: impl IntoIterator<Item = u64>) -> Value {
    json!({"inputs": ids.into_iter().map(|id| json!({"id": id.to_string()})).collect::<Vec<_>>()})
}

fn ids(page: &Value) -> Vec<u64> {
    page["results"].as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn what_hubspot_refuses_is_refused() {
    let crm = FakeHubspot::start(deals(5)).await;
    let filter = json!({"propertyName": "pipeline", "operator": "EQ", "value": "default"});
    let groups = |groups: usize, filters: usize| json!({"filterGroups": vec![json!({"filters": vec![&filter; filters]}); groups]});
    let by = |operator: &str, value: Value| json!({"filterGroups": [{"filters": [{"propertyName": "amount", "operator": operator, "value": value}]}]});
    for (path, body) in [
        (SEARCH, json!({"limit": 201})),
        (SEARCH, json!({"limit": 0})),
        (SEARCH, json!({"after": "x"})),
        (SEARCH, json!({"after": "10000"})),
        (SEARCH, json!({"after": "9801", "limit": 200})),
        (SEARCH, json!({"sorts": ["hs_object_id", "amount"]})),
        (SEARCH, json!({"sorts": ["no_such_property"]})),
        (SEARCH, groups(6, 1)),
        (SEARCH, groups(1, 7)),
        (SEARCH, groups(5, 4)),
        (SEARCH, by("EQUALS", json!("1"))),
        (SEARCH, by("EQ", json!(1))),
        ("/crm/objects/2026-09/deals/batch/read", inputs(0..101)),
        ("/crm/objects/2026-09/companies/batch/read", inputs(0..101)),
        (ASSOCIATIONS, inputs(0..1001)),
    ] {
        let (status, error) = post(&crm, path, body.clone()).await;
        assert_eq!((status.as_u16(), &error["category"]), (400, &json!("VALIDATION_ERROR")), "{path} {body}");
    }
    for path in ["?limit=101", "?limit=0", "?limit=51&propertiesWithHistory=amount", "?archived=maybe", "?after=x"] {
        assert_eq!(get(&crm, &format!("{LIST}{path}")).await.0, 400, "{path}");
    }
    for path in
        ["/crm/objects/2026-03/deals", "/crm/owners/2026-09/", "/crm/v4/objects/deals", "/crm/v3/objects/tickets"]
    {
        assert_eq!(get(&crm, path).await.0, 404, "{path}");
    }
    let crm = crm.scopes(&["crm.objects.deals.read"]);
    let (status, error) = get(&crm, "/crm/v3/owners/").await;
    assert_eq!(status, 403);
    assert_eq!(error["errors"][0]["context"]["requiredGranularScopes"], json!(["crm.objects.owners.read"]));
    crm.expire_tokens();
    let (status, error) = get(&crm, LIST).await;
    assert_eq!((status.as_u16(), &error["category"]), (401, &json!("EXPIRED_AUTHENTICATION")));
}

#[tokio::test]
async fn a_search_filters_sorts_and_pages_by_offset() {
    let odd = [("amount", "30"), ("amount", "4"), ("amount", "1.5E1"), ("dealname", "blue whale")];
    let held = odd.iter().zip(1_u64..).map(|((property, value), id)| bare_deal(id).with(property, value)).collect();
    let crm = FakeHubspot::start(held).await.with(|account| account.archive(2));
    for (operator, rest, expected) in [
        ("GT", json!({"value": "4"}), vec![1, 3]),
        ("BETWEEN", json!({"value": "15", "highValue": "30"}), vec![1, 3]),
        ("IN", json!({"values": ["30", "4"]}), vec![1]),
        ("HAS_PROPERTY", json!({}), vec![1, 3]),
        ("NOT_HAS_PROPERTY", json!({}), vec![4]),
        ("NEQ", json!({"value": "30"}), vec![3, 4]),
    ] {
        let mut filter = rest;
        filter["propertyName"] = json!("amount");
        filter["operator"] = json!(operator);
        let (_, found) = post(&crm, SEARCH, json!({"filterGroups": [{"filters": [filter]}]})).await;
        assert_eq!(ids(&found), expected, "{operator}");
    }
    for (sorts, expected) in [
        (json!(["-hs_object_id"]), [4, 3, 1]),
        (json!([{"propertyName": "amount", "direction": "DESCENDING"}]), [1, 3, 4]),
    ] {
        assert_eq!(ids(&post(&crm, SEARCH, json!({"sorts": sorts})).await.1), expected);
    }
    let (_, first) = post(&crm, SEARCH, json!({"limit": 2})).await;
    assert_eq!((&first["total"], &first["paging"]["next"]["after"]), (&json!(3), &json!("2")));
    assert_eq!(ids(&post(&crm, SEARCH, json!({"limit": 2, "after": "2"})).await.1), [4]);
}

#[tokio::test]
async fn the_search_index_lags_behind_and_the_list_does_not() {
    let crm = FakeHubspot::start(deals(3)).await.index_lag(2);
    crm.change(|account| {
        account.create(bare_deal(0));
    });
    let (_, before) = post(&crm, SEARCH, json!({})).await;
    let (_, listed) = get(&crm, LIST).await;
    let (_, after) = post(&crm, SEARCH, json!({})).await;
    assert_eq!((ids(&before).len(), ids(&listed).len(), ids(&after).len()), (3, 4, 4));
}

#[tokio::test]
async fn companies_of_a_deal_come_in_pages_and_their_absence_is_an_error_item() {
    let many = [link(1), link(2).primary(), link(3).labelled(37, "Reseller")];
    let crm = FakeHubspot::start(vec![bare_deal(7).linked(&many), bare_deal(8)]).await.association_page(2);
    let (status, first) = post(&crm, ASSOCIATIONS, inputs([7, 8, 9])).await;
    assert_eq!(status, 200);
    assert_eq!(first["numErrors"], 2);
    assert_eq!(first["errors"][0]["subCategory"], "crm.associations.NO_ASSOCIATIONS_FOUND");
    assert_eq!(first["results"][0]["to"][1]["associationTypes"][0]["typeId"], 5);
    let after = &first["results"][0]["paging"]["next"]["after"];
    let (_, rest) = post(&crm, ASSOCIATIONS, json!({"inputs": [{"id": "7", "after": after}]})).await;
    assert_eq!(rest["results"][0]["to"][0]["toObjectId"], 3);
    assert_eq!(rest["results"][0]["paging"], Value::Null);
    let old = "/crm/v4/associations/deals/companies/batch/read";
    assert_eq!(post(&crm, old, inputs([7, 8])).await.0, 207);
    let (_, listed) = get(&crm, &format!("{LIST}?associations=companies")).await;
    let inline = &listed["results"][0]["associations"]["companies"];
    let kinds: Vec<_> = inline["results"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["deal_to_company_unlabeled", "deal_to_company", "deal_to_company_unlabeled"]);
    assert_eq!(&inline["paging"]["next"]["after"], after);
    assert_eq!(listed["results"][1].get("associations"), None);
}

#[tokio::test]
async fn merged_records_answer_to_their_old_ids() {
    let crm = FakeHubspot::start(vec![bare_deal(1), bare_deal(2).linked(&[link(27_712_345_002)])]).await;
    crm.change(|account| {
        assert_eq!(account.merge(1, 2), 3);
        account.merge_companies(27_712_345_001, 27_712_345_002);
    });
    let (_, deal) = get(&crm, "/crm/objects/2026-09/deals/2?properties=hs_merged_object_ids").await;
    assert_eq!((&deal["id"], &deal["properties"]["hs_merged_object_ids"]), (&json!("3"), &json!("1;2")));
    let (status, companies) =
        post(&crm, "/crm/objects/2026-09/companies/batch/read", inputs([27_712_345_002, 27_712_345_900])).await;
    assert_eq!((status.as_u16(), ids(&companies)), (200, vec![27_712_345_001]));
    assert_eq!(companies["errors"][0]["context"]["ids"], json!(["27712345900"]));
    assert_eq!(crm.model(Tz::UTC)[0].company.as_deref(), Some("Company 0 GmbH & Co. <KG>"));
}

#[tokio::test]
async fn each_limit_refuses_in_its_own_words_and_counts_again_when_its_time_is_over() {
    let span = Duration::from_secs(600);
    let crm = FakeHubspot::start(deals(1)).await.limit(2, span).search_limit(1, span).daily(5);
    for (path, body, message) in [
        (LIST, None, None),
        (LIST, None, None),
        (LIST, None, Some("You have reached your ten_secondly_rolling limit.")),
        (SEARCH, Some(json!({})), None),
        (SEARCH, Some(json!({})), Some("You have reached your secondly limit.")),
    ] {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let (status, answer) = ask(&crm, method, path, body).await;
        assert_eq!(status.as_u16(), if message.is_some() { 429 } else { 200 });
        assert_eq!(answer["message"].as_str(), message);
    }
    crm.pass(span);
    assert_eq!(get(&crm, LIST).await.0, 200);
    assert_eq!(get(&crm, LIST).await.0, 200);
    let (status, answer) = post(&crm, SEARCH, json!({})).await;
    assert_eq!((status.as_u16(), &answer["policyName"]), (429, &json!("DAILY")));
    assert_eq!(crm.refused(), 3);
    crm.next_day();
    assert_eq!(post(&crm, SEARCH, json!({})).await.0, 200);
}

#[tokio::test]
async fn what_goes_wrong_goes_wrong_once_and_where_it_was_planned() {
    for (fault, expected) in [
        (Fault::Status(500), 500),
        (Fault::Expired, 401),
        (Fault::MissingScopes("crm.objects.deals.read"), 403),
        (Fault::Locked, 423),
        (Fault::Limit(Refusal::Daily), 429),
        (Fault::Cloudflare, 429),
        (Fault::Migration("3600"), 477),
        (Fault::Html(502), 502),
    ] {
        let crm = FakeHubspot::start(deals(1)).await.fail_at(Route::List, 2, fault.clone());
        let mut statuses = Vec::new();
        for path in [LIST, "/crm/pipelines/2026-09/deals", LIST, LIST] {
            statuses.push(get(&crm, path).await.0.as_u16());
        }
        assert_eq!(statuses, [200, 200, expected, 200], "{fault:?}");
    }
    let crm = FakeHubspot::start(deals(9)).await.fail(Fault::EmptyPage).fail(Fault::RepeatedCursor);
    let (_, empty) = get(&crm, LIST).await;
    let after = empty["paging"]["next"]["after"].as_str().unwrap();
    let (_, page) = get(&crm, &format!("{LIST}?limit=4&after={after}")).await;
    assert_eq!((ids(&empty).len(), ids(&page).len()), (0, 4));
    assert_eq!(page["paging"]["next"]["after"], json!(ids(&page)[0].to_string()));
}

#[tokio::test]
async fn an_answer_can_end_or_stand_still_in_the_middle() {
    for fault in [Fault::Cut, Fault::Reset, Fault::Stall] {
        let crm = FakeHubspot::start(deals(9)).await.fail(fault.clone());
        let _ = Clients::new();
        let client = Client::builder().no_proxy().read_timeout(Duration::from_millis(100)).build().unwrap();
        let whole = match client.get(crm.endpoint() + LIST).bearer_auth(TOKEN).send().await {
            Ok(head) => head.bytes().await.is_ok(),
            Err(_) => false,
        };
        assert!(!whole, "{fault:?}");
        assert_eq!(get(&crm, LIST).await.0, 200, "{fault:?}");
    }
}

#[tokio::test]
async fn a_refresh_token_buys_access_and_may_be_used_up_by_it() {
    let crm = FakeHubspot::start(deals(1)).await.habit(Habit::RotatesTokens);
    let _ = Clients::new();
    let form = |refresh: &str| {
        format!("grant_type=refresh_token&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&refresh_token={refresh}")
    };
    let mut statuses = Vec::new();
    for refresh in [REFRESH_TOKEN, REFRESH_TOKEN, "canary-refresh-0002"] {
        let url = format!("{}/oauth/2026-09/token", crm.endpoint());
        let client = Client::builder().no_proxy().build().unwrap();
        let answer = client.post(url).body(form(refresh)).send().await.unwrap();
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses, [200, 400, 200]);
    crm.expire_tokens();
    assert_eq!(get(&crm, LIST).await.0, 401);
}
