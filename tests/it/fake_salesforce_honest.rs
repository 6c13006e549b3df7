//! Keeps the fake Salesforce honest: clients that others wrote must read from it the deals that we say must be
//! published, and its rules must be those of the contract.

mod access;
mod bulk;
mod faults;
mod org;
mod soql;

use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::DateTime;
use chrono_tz::Tz;
use reqwest::{Client, Method, RequestBuilder, Response, Url, redirect};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use sales_pipeline::clock::{Clock, SystemClock};
use sales_pipeline::http::Clients;
use sales_pipeline::model::deal::{self, Status};
use sales_pipeline::model::number;
use serde_json::{Value, json};

use crate::fake_salesforce::{
    CLIENT_ID, CLIENT_SECRET, Cell, Deal, FakeSalesforce, Fault, Habit, JobState, Kind, PRIVATE_KEY, Published,
    REFRESH_TOKEN, Refusal, Route, TOKEN, USERNAME, account_id, bare_deal, deal_id, deals, record_type_id, suffixed,
    user_id,
};
use crate::program::{Folder, run};
use crate::skip::could_not_run;

/// What the clients are told to read of each deal.
const FIELDS: [&str; 22] = [
    "Id",
    "Name",
    "Account.Name",
    "StageName",
    "Amount",
    "Probability",
    "Owner.Name",
    "OwnerId",
    "CurrencyIsoCode",
    "RecordType.Name",
    "RecordTypeId",
    "IsClosed",
    "IsWon",
    "CloseDate",
    "CreatedDate",
    "LastModifiedDate",
    "LastStageChangeDate",
    "LastActivityDate",
    "ForecastCategoryName",
    "Type",
    "Description",
    "IsDeleted",
];

/// An org in which everything has happened that can happen to it, and what the user may not see is hidden.
async fn eventful() -> FakeSalesforce {
    FakeSalesforce::start(deals(650)).await.with(|org| {
        org.multi_currency = true;
        let live = org.live();
        org.create(bare_deal("").with("Amount", Cell::number("9999999999.99")).with("OwnerId", Cell::Null));
        org.delete(&live[17]);
        org.delete(&live[18]);
        org.undelete(&live[18]);
        org.purge(&live[19]);
        org.move_stage(&live[20], "Closed Won");
        org.move_stage(&live[23], "Prospecting");
        org.set(&live[21], "Probability", Cell::number("62.5"));
        org.rename_account(&account_id(1), "Nordwind \"Ü\" AG");
        org.merge_accounts(&account_id(2), &account_id(3));
        org.rename_user(&user_id(1), "Bo Derek");
        org.rename_record_type(&record_type_id(1), "Verlängerung");
        org.relabel_stage("Prospecting", "Kontakt");
        org.rename_stage("Negotiation/Review", "Verhandlung");
        org.delete_stage("Proposal/Price Quote");
        org.hide("Opportunity", "LeadSource");
        org.add_field("Segment__c", Kind::Text);
        org.add_field("Secret__c", Kind::Text);
        org.hide("Opportunity", "Secret__c");
    })
}

/// Runs a client of somebody else's with the app's credentials and the fields; `None` where it cannot run.
async fn ran(what: &str, mut command: Command, crm: &FakeSalesforce, more: &[&str]) -> Option<Value> {
    command.args([&crm.endpoint(), CLIENT_ID, CLIENT_SECRET]).args(more).args(FIELDS);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let Ok(output) = output else {
        could_not_run(what, "its interpreter cannot be started");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

async fn read_with_simple_salesforce(crm: &FakeSalesforce) -> Option<Value> {
    let what = "the fake Salesforce against simple-salesforce";
    let Some(python) = std::env::var_os("PIPELINE_TEST_SALESFORCE_PYTHON") else {
        could_not_run(what, "its package of PyPI is not installed (tests/run installs it)");
        return None;
    };
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/salesforce.py"));
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fake_salesforce/app-key.pem");
    ran(what, command, crm, &[USERNAME, key]).await
}

async fn read_with_jsforce(crm: &FakeSalesforce) -> Option<Value> {
    let what = "the fake Salesforce against jsforce";
    if std::env::var_os("PIPELINE_TEST_NODE_MODULES").is_none() {
        could_not_run(what, "its npm package is not installed (tests/run installs it)");
        return None;
    }
    let mut command = Command::new("node");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/salesforce.mjs"));
    ran(what, command, crm, &[]).await
}

/// What both know of a deal, as the model has it.
fn modelled(deal: &Published) -> Value {
    json!({"id": deal.id, "name": deal.name, "company": deal.company, "stage": deal.stage, "pipeline": deal.pipeline,
        "value": deal.value.map(number::text), "currency": deal.currency, "owner": deal.owner,
        "owner_id": deal.owner_id, "pipeline_id": deal.pipeline_id, "stage_id": deal.stage_id,
        "probability": deal.probability.map(number::text), "status": deal.status, "close_date": deal.close_date,
        "created_at": deal.created_at, "updated_at": deal.updated_at, "stage_entered_at": deal.stage_entered_at,
        "last_activity_at": deal.last_activity_at.map(|instant| instant.date_naive()),
        "forecast_category": deal.forecast_category, "deal_type": deal.deal_type})
}

/// A number as a client gives it, exact; its hundredth where it is a percentage.
fn exact(value: &Value, is_percent: bool) -> Option<String> {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let number = number::exact(&text)?;
    Some(number::text(if is_percent { number / rust_decimal::Decimal::ONE_HUNDRED } else { number }))
}

/// The same, as a client has it.
fn as_read(row: &Value, stages: &Value) -> Value {
    let instant = |field: &str| {
        let text = row[field].as_str()?;
        Some(DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").unwrap().to_utc())
    };
    let status = match (row["IsClosed"].as_bool().unwrap(), row["IsWon"].as_bool().unwrap()) {
        (_, true) => Status::Won,
        (true, false) => Status::Lost,
        (false, false) => Status::Open,
    };
    let stage = row["StageName"].as_str().unwrap();
    json!({"id": row["Id"], "name": row["Name"], "company": row["Account.Name"], "owner": row["Owner.Name"],
        "stage": stages.get(stage).and_then(Value::as_str).unwrap_or(stage), "stage_id": stage,
        "pipeline": row["RecordType.Name"], "pipeline_id": row["RecordTypeId"], "owner_id": row["OwnerId"],
        "value": exact(&row["Amount"], false), "probability": exact(&row["Probability"], true),
        "currency": row["CurrencyIsoCode"], "status": status, "close_date": row["CloseDate"],
        "created_at": instant("CreatedDate"), "updated_at": instant("LastModifiedDate"),
        "stage_entered_at": instant("LastStageChangeDate"), "last_activity_at": row["LastActivityDate"],
        "forecast_category": row["ForecastCategoryName"], "deal_type": row["Type"]})
}

#[track_caller]
fn assert_is_the_model(read: &Value, crm: &FakeSalesforce) {
    let model: Vec<Value> = crm.model(Tz::UTC).iter().map(modelled).collect();
    let deals = read["deals"].as_array().unwrap();
    for (deal, modelled) in deals.iter().zip(&model) {
        assert_eq!(as_read(deal, &read["stages"]), *modelled);
    }
    assert_eq!((deals.len(), model.len()), (649, 649));
    // The deleted one is still in the recycle bin.
    assert_eq!(read["everything"], 650);
    assert_eq!(read["hidden"], "INVALID_FIELD");
    let described: Vec<&str> = read["described"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (field, visible) in [("Amount", true), ("Segment__c", true), ("Secret__c", false), ("LeadSource", false)] {
        assert_eq!(described.contains(&field), visible, "{field}");
    }
}

#[tokio::test]
async fn simple_salesforce_reads_the_deals_that_must_be_published() {
    let crm = eventful().await.page_size(250).result_page(200).polls(1).fail_at(Route::More, 1, Fault::Expired);
    let Some(read) = read_with_simple_salesforce(&crm).await else { return };
    assert_is_the_model(&read, &crm);
    assert_eq!((&read["bulkAgrees"], &read["bulkPages"]), (&json!(true), &json!(4)), "bulk results are the same deals");
    assert_eq!(read["signedIn"], 649, "a signed assertion buys a session");
    assert!(read["remaining"].as_u64() < Some(100_000));
    assert_eq!(crm.requests_of(Route::Token), 3, "the first session was renewed; the assertion bought one of its own");
}

#[tokio::test]
async fn jsforce_reads_the_deals_that_must_be_published() {
    let crm = eventful().await.page_size(250).sessions_good_for(5).habit(Habit::CountsBursts);
    let Some(read) = read_with_jsforce(&crm).await else { return };
    assert_is_the_model(&read, &crm);
    assert_eq!(read["refusedPart"], 400);
    assert!(read["used"].as_u64() > Some(5));
    assert!(crm.requests_of(Route::Token) > 1, "sessions that end are renewed");
}

#[tokio::test]
async fn the_program_publishes_what_the_clients_read_by_pages_and_by_a_bulk_job() {
    for (above, jobs) in [("", 0), ("bulk_above = 300\n", 1)] {
        let crm = eventful().await.page_size(250).result_page(200);
        let folder = Folder::new();
        folder.write_config(&format!("[sources.salesforce]\n{}{above}", crm.section()));
        let command = folder.command(&["pull"]);
        tokio::task::spawn_blocking(move || run(command)).await.unwrap().assert_code(0);
        let leads: Vec<deal::Deal> =
            serde_json::from_value(folder.json("output/sales_pipeline.json")["leads"].take()).unwrap();
        let published: Vec<Published> = leads.iter().map(Published::of).collect();
        let model = crm.model(Tz::UTC);
        for (published, modelled) in published.iter().zip(&model) {
            assert_eq!(published, modelled);
        }
        assert_eq!((published.len(), model.len()), (649, 649));
        assert_eq!((crm.requests_of(Route::CreateJob), crm.jobs_left()), (jobs, 0));
    }
}

const BASE: &str = "/services/data/v66.0";

fn client() -> Client {
    // Installs the cryptography that any client needs, though this one speaks plain http.
    let _ = Clients::new();
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none());
    client.read_timeout(Duration::from_millis(500)).build().unwrap()
}

fn request(crm: &FakeSalesforce, method: Method, path: &str) -> RequestBuilder {
    client().request(method, format!("{}{path}", crm.endpoint())).bearer_auth(TOKEN)
}

async fn answered(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

async fn ask(crm: &FakeSalesforce, method: Method, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    answered(request(crm, method, path).body(body).send().await.unwrap()).await
}

async fn get(crm: &FakeSalesforce, path: &str) -> (u16, Value) {
    ask(crm, Method::GET, path, Value::Null).await
}

/// The path of a query.
fn path(resource: &str, soql: &str) -> String {
    let url = Url::parse_with_params("http://localhost", [("q", soql)]).unwrap();
    format!("{BASE}/{resource}?{}", url.query().unwrap())
}

async fn query(crm: &FakeSalesforce, soql: &str) -> (u16, Value) {
    get(crm, &path("query", soql)).await
}

fn ids(page: &Value) -> Vec<String> {
    let records = page["records"].as_array().unwrap_or_else(|| panic!("{page}"));
    records.iter().map(|record| record["Id"].as_str().unwrap().to_owned()).collect()
}

fn code(answer: &Value) -> &str {
    answer[0]["errorCode"].as_str().unwrap_or_default()
}

/// A composite request of these paths.
fn parts(paths: &[String]) -> Value {
    let part = |(nth, path): (usize, &String)| json!({"method": "GET", "referenceId": format!("p{nth}"), "url": path});
    json!({"compositeRequest": paths.iter().enumerate().map(part).collect::<Vec<_>>()})
}

/// The fields of a form, on their way to the token endpoint.
async fn sign_in(crm: &FakeSalesforce, fields: &[(&str, &str)]) -> (u16, Value) {
    let form = Url::parse_with_params("http://localhost", fields).unwrap().query().unwrap_or_default().to_owned();
    let request = client().post(format!("{}/services/oauth2/token", crm.endpoint()));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    answered(request.send().await.unwrap()).await
}

const CLIENT: [(&str, &str); 2] = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
