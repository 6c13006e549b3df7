//! Keeps the fake HubSpot honest: HubSpot's own client must read from it the deals that we say must be published, and
//! its rules must be those of the contract.

use chrono_tz::Tz;
use reqwest::{Client, Method, StatusCode};
use sales_pipeline::http::Clients;
use serde_json::{Value, json};

use crate::fake_hubspot::{FakeHubspot, Route, TOKEN, deals};

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
