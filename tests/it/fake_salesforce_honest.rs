//! Keeps the fake Salesforce honest: clients that others wrote must read from it the deals that we say must be
//! published, and its rules must be those of the contract.

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
use sales_pipeline::model::deal::Status;
use sales_pipeline::model::number;
use serde_json::{Value, json};

use crate::fake_salesforce::{
    CLIENT_ID, CLIENT_SECRET, Cell, Deal, FakeSalesforce, Fault, Habit, JobState, Kind, PRIVATE_KEY, Published,
    REFRESH_TOKEN, Refusal, Route, TOKEN, USERNAME, account_id, bare_deal, deal_id, deals, record_type_id, suffixed,
    user_id,
};
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

#[tokio::test]
async fn soql_that_is_not_known_is_refused_and_never_passed_over() {
    let crm = FakeSalesforce::start(deals(3)).await.with(|org| {
        org.hide("Opportunity", "Amount");
        org.hide_object("Account");
    });
    let long = "x".repeat(4_001);
    let where_clauses = [
        ("", "MALFORMED_QUERY"),
        ("Name", "MALFORMED_QUERY"),
        ("Name = ", "MALFORMED_QUERY"),
        ("Name = 'a", "MALFORMED_QUERY"),
        ("Name = 'a\\x'", "MALFORMED_QUERY"),
        ("Name = \"a\"", "MALFORMED_QUERY"),
        ("Name = 'a' AND IsWon = true OR IsClosed = true", "MALFORMED_QUERY"),
        ("Name = 'a' OR IsWon = true AND IsClosed = true", "MALFORMED_QUERY"),
        ("(Name = 'a'", "MALFORMED_QUERY"),
        ("Name = 'a')", "MALFORMED_QUERY"),
        ("Name IN 'a'", "MALFORMED_QUERY"),
        ("Name IN ()", "MALFORMED_QUERY"),
        ("Name NOT LIKE 'a'", "MALFORMED_QUERY"),
        ("Name CONTAINS 'a'", "MALFORMED_QUERY"),
        ("CreatedDate = LAST_N_DAYS:30", "MALFORMED_QUERY"),
        ("CreatedDate >= 2026-11-20T12:00:00 00:00", "MALFORMED_QUERY"),
        ("CreatedDate >= 2026-13-20T12:00:00Z", "MALFORMED_QUERY"),
        ("AccountId IN (SELECT Id FROM Account)", "MALFORMED_QUERY"),
        ("Name = 'a' WITH SECURITY_ENFORCED", "MALFORMED_QUERY"),
        ("Name = 'a' ALL ROWS", "MALFORMED_QUERY"),
        ("Name = 'a' GROUP BY Name", "MALFORMED_QUERY"),
        (&format!("Name = '{long}'"), "MALFORMED_QUERY"),
        ("Nothing = 'a'", "INVALID_FIELD"),
        ("Amount > 5", "INVALID_FIELD"),
        ("Account.Name = 'a'", "INVALID_FIELD"),
        ("Probability = '5'", "INVALID_FIELD"),
        ("Name = 5", "INVALID_FIELD"),
        ("IsWon = 'true'", "INVALID_FIELD"),
        ("CloseDate > 2026-11-20T12:00:00Z", "INVALID_FIELD"),
        ("CreatedDate > 2026-11-20", "INVALID_FIELD"),
        ("Description = 'a'", "INVALID_FIELD"),
        ("IsWon > true", "INVALID_QUERY_FILTER_OPERATOR"),
        ("Probability LIKE '5%'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("Id = '0065g'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("OwnerId = '0055g00000XyZ12AAA'", "INVALID_QUERY_FILTER_OPERATOR"),
    ];
    let queries = [
        ("SELECT FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT Id, FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT * FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT FIELDS(ALL) FROM Opportunity LIMIT 200", "MALFORMED_QUERY"),
        ("SELECT toLabel(StageName) FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT COUNT(Id) FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT Id, id FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT Id Name FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity o", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity ORDER Id", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity ORDER BY Id NULLS", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity ORDER BY Description", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity LIMIT -1", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity LIMIT 1.5", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity FOR VIEW", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
        ("SELECT Id, CurrencyIsoCode FROM Opportunity", "INVALID_FIELD"),
        ("SELECT Id, Owner.Nothing FROM Opportunity", "INVALID_FIELD"),
        ("SELECT Id, Amount FROM Opportunity", "INVALID_FIELD"),
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Id FROM Account", "INVALID_TYPE"),
        ("SELECT Id FROM CurrencyType", "INVALID_TYPE"),
        ("SELECT Id FROM DatedConversionRate", "INVALID_TYPE"),
    ];
    let all = where_clauses.map(|(clause, code)| (format!("SELECT Id FROM Opportunity WHERE {clause}"), code));
    let all = all.into_iter().chain(queries.map(|(query, code)| (query.to_owned(), code)));
    for (soql, expected) in all {
        let (status, answer) = query(&crm, &soql).await;
        assert_eq!((status, code(&answer)), (400, expected), "{soql}: {answer}");
    }
    let (_, answer) = query(&crm, "SELECT Id, Amount FROM Opportunity").await;
    let told = answer[0]["message"].as_str().unwrap();
    assert!(told.contains("ERROR at Row:1:Column:12\nNo such column 'Amount' on entity 'Opportunity'."), "{told}");
    assert_eq!(get(&crm, &format!("{BASE}/query")).await.0, 400);
}

/// Deals with ids of their own, so that answers can be written down.
fn held() -> Vec<Deal> {
    let deal = |number: u64| bare_deal(&deal_id(number));
    let day = |day: &str| Cell::Instant(DateTime::parse_from_rfc3339(day).unwrap().to_utc());
    vec![
        deal(0).with("Name", Cell::text("Blue whale's 100% \\ day")).with("Amount", Cell::number("30")),
        deal(1).with("Name", Cell::text("blue_whale")).with("AccountId", Cell::text(account_id(4))),
        deal(2).with("Name", Cell::text("Red")).with("Amount", Cell::number("4.5")).with("Type", Cell::text("New")),
        deal(3).with("CreatedDate", day("2026-11-20T11:00:00+00:00")).with("OwnerId", Cell::text(user_id(4))),
    ]
}

#[tokio::test]
async fn a_query_finds_what_its_conditions_say_in_the_order_it_names() {
    let crm = FakeSalesforce::start(held()).await.with(|org| org.delete(&deal_id(2)));
    let fifth = format!("Id = '{}'", &deal_id(3)[..15]);
    for (clause, expected) in [
        ("Name = 'BLUE WHALE\\'S 100% \\\\ DAY'", vec![0]),
        ("Name LIKE 'blue%'", vec![0, 1]),
        ("Name LIKE '%100\\%%'", vec![0]),
        ("Name LIKE 'blue\\_whale'", vec![1]),
        ("Name LIKE 'blue_whale%'", vec![0, 1]),
        ("Name IN ('blue_whale', 'Red', 'A deal')", vec![1, 3]),
        ("Name NOT IN ('blue_whale')", vec![0, 3]),
        ("Amount = 30.00", vec![0]),
        ("Amount != 30", vec![1, 3]),
        ("Amount <> 30", vec![1, 3]),
        ("Amount > 29.99", vec![0]),
        ("Amount <= 3E1", vec![0]),
        ("Amount < 30", vec![]),
        ("Amount = null", vec![1, 3]),
        ("Amount != NULL", vec![0]),
        ("Account.Name = 'Account 4 GmbH, & Co.'", vec![1]),
        ("AccountId = null AND Owner.IsActive = false", vec![3]),
        ("CreatedDate >= 2026-11-20T12:00:00+01:00", vec![3]),
        ("CreatedDate < 2026-11-20T11:00:00Z", vec![0, 1]),
        ("CloseDate = 2026-12-31", vec![0, 1, 3]),
        (fifth.as_str(), vec![3]),
        ("NOT (Amount = 30 OR Owner.Name = 'eve gone')", vec![1]),
        ("(Amount = 30 OR Name = 'A deal') AND (NOT IsClosed = true)", vec![0, 3]),
        ("IsDeleted = true", vec![]),
    ] {
        let (status, found) = query(&crm, &format!("SELECT Id FROM Opportunity WHERE {clause} ORDER BY Id")).await;
        assert_eq!(status, 200, "{clause}: {found}");
        assert_eq!(ids(&found), expected.iter().map(|number| deal_id(*number)).collect::<Vec<_>>(), "{clause}");
        assert_eq!(found["totalSize"], expected.len());
    }
    for (order, expected) in [
        ("ORDER BY Amount, Id DESC", vec![3, 1, 0]),
        ("ORDER BY Amount DESC NULLS LAST, Name ASC", vec![0, 3, 1]),
        ("ORDER BY Amount NULLS FIRST, Account.Name NULLS LAST LIMIT 2", vec![1, 3]),
        ("ORDER BY Id LIMIT 1 OFFSET 1", vec![1]),
    ] {
        let (_, found) = query(&crm, &format!("select id from opportunity {order}")).await;
        assert_eq!(ids(&found), expected.iter().map(|number| deal_id(*number)).collect::<Vec<_>>(), "{order}");
    }
    let (_, counted) = query(&crm, "SELECT COUNT() FROM Opportunity WHERE Name LIKE '%whale%'").await;
    assert_eq!(counted, json!({"totalSize": 2, "done": true, "records": []}));
    let (_, all) = get(&crm, &path("queryAll", "SELECT Id FROM Opportunity WHERE IsDeleted = true")).await;
    assert_eq!(ids(&all), [deal_id(2)]);
    let many = FakeSalesforce::start(deals(50)).await;
    let (_, found) = query(&many, "SELECT Id FROM Opportunity").await;
    assert!(!ids(&found).is_sorted(), "nobody has promised an order that was not asked for");
}

#[tokio::test]
async fn a_record_has_the_keys_of_the_query_and_values_in_salesforces_notation() {
    let deal = bare_deal(&deal_id(0))
        .with("Amount", Cell::number("10000000"))
        .with("Probability", Cell::number("62.5"))
        .with("AccountId", Cell::text(account_id(0)));
    let crm = FakeSalesforce::start(vec![deal, bare_deal(&deal_id(1)).with("Amount", Cell::number("-0.05"))]).await;
    let soql = "SELECT Name, Owner.Name, Amount, Account.Name, Account.Id, Probability, IsWon, CreatedDate, CloseDate \
        FROM Opportunity ORDER BY Id LIMIT 1";
    let text = request(&crm, Method::GET, &path("query", soql)).send().await.unwrap().text().await.unwrap();
    let expected = format!(
        r#"{{"totalSize":1,"done":true,"records":[{{"attributes":{{"type":"Opportunity","url":"{BASE}/sobjects/Opportunity/{}"}},"Name":"A deal","Owner":{{"attributes":{{"type":"User","url":"{BASE}/sobjects/User/{}"}},"Name":"Ann Lee"}},"Amount":1.0E7,"Account":{{"attributes":{{"type":"Account","url":"{BASE}/sobjects/Account/{}"}},"Name":"Account 0 GmbH, & Co.","Id":"{}"}},"Probability":62.5,"IsWon":false,"CreatedDate":"2026-05-04T12:00:00.000+0000","CloseDate":"2026-12-31"}}]}}"#,
        deal_id(0),
        user_id(0),
        account_id(0),
        account_id(0),
    );
    assert_eq!(text, expected);
    let (_, found) = query(&crm, "SELECT Account.Name, Amount FROM Opportunity ORDER BY Id DESC LIMIT 1").await;
    assert_eq!((&found["records"][0]["Account"], &found["records"][0]["Amount"]), (&Value::Null, &json!(-0.05)));
    let crm = crm.habit(Habit::WritesPlainNumbers).habit(Habit::AddsKeys).habit(Habit::OmitsDone);
    let soql = "SELECT Amount FROM Opportunity ORDER BY Id LIMIT 1";
    let text = request(&crm, Method::GET, &path("query", soql)).send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#""Amount":10000000.00,"Canary__x":"#) && !text.contains("done"), "{text}");
    for (short, whole) in [("0065g00000XyZ12", "0065g00000XyZ12AAF"), ("ABCDEaBcDe00000", "ABCDEaBcDe000005KA")] {
        assert_eq!(suffixed(short), whole);
    }
    let neighbours = [deal_id(0), deal_id(2)].map(|id| id[..15].to_lowercase());
    assert_eq!(neighbours[0], neighbours[1], "ids of 15 characters may differ in case alone");
}

#[tokio::test]
async fn pages_follow_each_other_while_the_org_changes() {
    let mut pages = 0;
    let crm = FakeSalesforce::start(deals(7)).await.page_size(3).after_each(move |org, _| {
        pages += 1;
        if pages == 1 {
            org.set(&deal_id(3), "Amount", Cell::number("1"));
            org.purge(&deal_id(4));
            org.delete(&deal_id(5));
        }
    });
    for (resource, left) in [("query", vec![3]), ("queryAll", vec![3, 5])] {
        let soql = "SELECT Id, Amount FROM Opportunity ORDER BY Id";
        let (_, first) = get(&crm, &path(resource, soql)).await;
        let next = first["nextRecordsUrl"].as_str().unwrap();
        assert!(next.starts_with(&format!("{BASE}/query/0r8")) && next.ends_with("-3"), "{next}");
        if resource == "query" {
            let (_, second) = get(&crm, next).await;
            assert_eq!(ids(&second), left.iter().map(|number| deal_id(*number)).collect::<Vec<_>>());
            assert_eq!((&second["totalSize"], &second["records"][0]["Amount"]), (&json!(7), &json!(1.0)));
            let (_, third) =
                get(&crm, &second["nextRecordsUrl"].as_str().unwrap().replace("/query/", "/queryAll/")).await;
            assert_eq!((ids(&third).len(), &third["done"]), (1, &json!(true)));
        } else {
            assert_eq!((&first["totalSize"], ids(&first).len()), (&json!(6), 3));
            let (_, second) = get(&crm, next).await;
            assert_eq!(ids(&second), [deal_id(3), deal_id(5), deal_id(6)]);
        }
    }
    let sized = |options: &'static str| {
        let soql = path("query", "SELECT Id FROM Opportunity");
        request(&crm, Method::GET, &soql).header("sforce-query-options", options).send()
    };
    for (options, expected) in
        [("batchSize=200", 200), ("batchSize=199", 400), ("batchSize=2001", 400), ("size=5", 400)]
    {
        assert_eq!(sized(options).await.unwrap().status().as_u16(), expected, "{options}");
    }
    for locator in ["0r85g0000000099AAA-0", "0r85g0000000000AAA-99", "0r85g0000000000AAA-x", "x"] {
        let (status, answer) = get(&crm, &format!("{BASE}/query/{locator}")).await;
        assert_eq!((status, code(&answer)), (400, "INVALID_QUERY_LOCATOR"), "{locator}");
    }
}

/// A composite request of these paths.
fn parts(paths: &[String]) -> Value {
    let part = |(nth, path): (usize, &String)| json!({"method": "GET", "referenceId": format!("p{nth}"), "url": path});
    json!({"compositeRequest": paths.iter().enumerate().map(part).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_composite_request_answers_part_by_part_and_counts_once() {
    let crm = FakeSalesforce::start(deals(5)).await.page_size(2);
    let composite = format!("{BASE}/composite/");
    let describe = format!("{BASE}/sobjects/Opportunity/describe");
    let paths =
        [path("query", "SELECT Id FROM Opportunity"), path("query", "SELECT Id FROM Nothing"), describe.clone()];
    let (status, answer) = ask(&crm, Method::POST, &composite, parts(&paths)).await;
    let answers = &answer["compositeResponse"];
    let statuses: Vec<_> = answers.as_array().unwrap().iter().map(|part| &part["httpStatusCode"]).collect();
    assert_eq!((status, statuses), (200, vec![&json!(200), &json!(400), &json!(200)]));
    assert_eq!((&answers[1]["referenceId"], code(&answers[1]["body"])), (&json!("p1"), "INVALID_TYPE"));
    assert_eq!(answers[0]["body"]["records"].as_array().unwrap().len(), 2);
    let (_, rest) = get(&crm, answers[0]["body"]["nextRecordsUrl"].as_str().unwrap()).await;
    assert_eq!(ids(&rest).len(), 2);
    let (_, limits) = get(&crm, &format!("{BASE}/limits")).await;
    assert_eq!(limits["DailyApiRequests"], json!({"Max": 100_000, "Remaining": 100_000 - 3}));

    let last = answers[2]["httpHeaders"]["last-modified"].as_str().unwrap();
    let mut again = parts(&[describe]);
    again["compositeRequest"][0]["httpHeaders"] = json!({"If-Modified-Since": last});
    let (_, answer) = ask(&crm, Method::POST, &composite, again.clone()).await;
    assert_eq!(answer["compositeResponse"][0]["httpStatusCode"], 304);
    crm.change(|org| org.hide("Opportunity", "Amount"));
    let (_, answer) = ask(&crm, Method::POST, &composite, again).await;
    assert_eq!(answer["compositeResponse"][0]["httpStatusCode"], 200);

    let one = path("query", "SELECT Id FROM Opportunity");
    let mut twice = parts(&[one.clone(), one.clone()]);
    twice["compositeRequest"][1]["referenceId"] = json!("p0");
    let limits = format!("{BASE}/limits");
    for body in [
        parts(&vec![one.clone(); 6]),
        parts(&vec![limits; 26]),
        parts(&[one.replace("v66", "v65")]),
        parts(&[format!("{BASE}/jobs/query")]),
        twice,
        json!({}),
        json!("x"),
    ] {
        let (status, answer) = ask(&crm, Method::POST, &composite, body.clone()).await;
        assert_eq!(status, 400, "{body}: {answer}");
    }
    let crm = crm.fail_at(Route::Composite, 12, Fault::Part(1, 500, "UNKNOWN_EXCEPTION"));
    for expected in [200, 500, 200] {
        let (_, answer) = ask(&crm, Method::POST, &composite, parts(&[one.clone(), one.clone()])).await;
        let parts = &answer["compositeResponse"];
        assert_eq!((&parts[0]["httpStatusCode"], &parts[1]["httpStatusCode"]), (&json!(200), &json!(expected)));
    }
}

#[tokio::test]
async fn describe_shows_what_the_user_may_see() {
    let crm = FakeSalesforce::start(deals(1)).await.with(|org| {
        org.add_field("Segment__c", Kind::Picklist);
        org.hide("Opportunity", "Probability");
    });
    let describe = |object: &str| format!("{BASE}/sobjects/{object}/describe");
    let (_, described) = get(&crm, &describe("Opportunity")).await;
    let field =
        |name: &str| described["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).cloned();
    assert_eq!(field("Amount").unwrap()["type"], "currency");
    assert_eq!(field("Segment__c").unwrap()["custom"], true);
    assert_eq!(field("OwnerId").unwrap()["referenceTo"], json!(["User"]));
    assert_eq!(field("StageName").unwrap()["picklistValues"][1]["label"], "Angebot \"fest\"");
    assert_eq!(described["recordTypeInfos"][1]["developerName"], "Renewals");
    assert_eq!(field("Probability").or_else(|| field("CurrencyIsoCode")), None);
    crm.change(|org| {
        org.multi_currency = true;
        org.without_record_types();
    });
    let (_, described) = get(&crm, &describe("Opportunity")).await;
    let names: Vec<_> = described["fields"].as_array().unwrap().iter().map(|field| &field["name"]).collect();
    assert!(names.contains(&&json!("CurrencyIsoCode")) && !names.contains(&&json!("RecordTypeId")));
    assert_eq!(get(&crm, &describe("Nothing")).await.0, 404);
    crm.change(|org| org.date_rate("USD", "1.08", "2026-01-01", "9999-12-31"));
    let dated = "SELECT IsoCode, ConversionRate FROM DatedConversionRate WHERE StartDate <= 2026-05-01 AND NextStartDate > 2026-05-01";
    let (_, rates) = query(&crm, dated).await;
    assert_eq!(
        (&rates["records"][0]["IsoCode"], &rates["records"][0]["ConversionRate"]),
        (&json!("USD"), &json!(1.08))
    );
    let (_, currencies) =
        query(&crm, "SELECT IsoCode, DecimalPlaces, IsCorporate FROM CurrencyType ORDER BY IsoCode").await;
    assert_eq!((&currencies["totalSize"], &currencies["records"][1]["DecimalPlaces"]), (&json!(4), &json!(0)));
    let (_, organization) = query(&crm, "SELECT Id, Name, DefaultCurrencyIsoCode FROM Organization").await;
    assert_eq!(organization["records"][0]["DefaultCurrencyIsoCode"], "EUR");
}

#[tokio::test]
async fn the_model_says_nothing_of_what_is_hidden_and_takes_the_orgs_own_currency() {
    let held = deals(8);
    let crm = FakeSalesforce::start(held).await;
    let one = |crm: &FakeSalesforce, number: usize| crm.model(Tz::Europe__Berlin).remove(number);
    let won = one(&crm, 3);
    assert_eq!((won.status, won.currency.as_str()), (Status::Won, "EUR"), "one currency is the org's own");
    assert_eq!((won.pipeline.as_deref(), won.closed_at), (Some("New Business"), won.stage_entered_at));
    assert_eq!(won.url, format!("{}/lightning/r/Opportunity/{}/view", crm.endpoint(), deal_id(3)));
    assert_eq!(one(&crm, 1).stage.as_deref(), Some("Angebot \"fest\""));
    crm.change(|org| {
        org.multi_currency = true;
        org.set(&deal_id(3), "LastStageChangeDate", Cell::Null);
        org.set(&deal_id(3), "CloseDate", Cell::day("2026-07-01"));
        org.set(&deal_id(3), "Name", Cell::text(" "));
        org.set(&deal_id(3), "Probability", Cell::number("101"));
        org.hide("Opportunity", "Amount");
        org.hide("Opportunity", "AccountId");
        org.hide_object("OpportunityStage");
        org.hide_object("User");
    });
    let (deal, other) = (one(&crm, 3), one(&crm, 1));
    assert_eq!((deal.name.as_str(), deal.currency.as_str(), deal.probability), ("(untitled)", "KWD", None));
    assert_eq!(deal.closed_at.unwrap().to_rfc3339(), "2026-06-30T22:00:00+00:00", "the day begins in the zone");
    assert_eq!((deal.value, deal.company, deal.owner), (None, None, None));
    assert_eq!((deal.owner_id, other.stage.as_deref()), (Some(user_id(3)), Some("Proposal/Price Quote")));
}

/// The fields of a form, on their way to the token endpoint.
async fn sign_in(crm: &FakeSalesforce, fields: &[(&str, &str)]) -> (u16, Value) {
    let form = Url::parse_with_params("http://localhost", fields).unwrap().query().unwrap_or_default().to_owned();
    let request = client().post(format!("{}/services/oauth2/token", crm.endpoint()));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    answered(request.send().await.unwrap()).await
}

const CLIENT: [(&str, &str); 2] = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];

#[tokio::test]
async fn client_credentials_and_refresh_tokens_buy_sessions_and_wrong_ones_do_not() {
    let crm = FakeSalesforce::start(deals(1)).await.habit(Habit::RotatesTokens).sessions_good_for(2);
    let grant = |kind: &'static str| ("grant_type", kind);
    let (status, answer) = sign_in(&crm, &[grant("client_credentials"), CLIENT[0], CLIENT[1]]).await;
    assert_eq!((status, &answer["instance_url"]), (200, &json!(crm.endpoint())));
    assert_eq!((answer.get("refresh_token"), answer.get("expires_in")), (None, None));
    let token = answer["access_token"].as_str().unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let request = client().get(format!("{}{BASE}/limits/", crm.endpoint())).bearer_auth(token);
        statuses.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 401], "a session ends");
    let form = client().post(format!("{}/services/oauth2/token", crm.endpoint()));
    let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    let form = form.header("authorization", format!("Basic {basic}"));
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("grant_type=client_credentials");
    assert_eq!(form.send().await.unwrap().status().as_u16(), 200, "credentials may stand in the header");

    let refresh = [grant("refresh_token"), CLIENT[0], CLIENT[1], ("refresh_token", REFRESH_TOKEN)];
    let (_, answer) = sign_in(&crm, &refresh).await;
    let rotated = answer["refresh_token"].as_str().unwrap();
    assert_eq!(sign_in(&crm, &refresh).await.1["error"], "invalid_grant", "the old one is dead");
    let (status, _) = sign_in(&crm, &[refresh[0], refresh[1], refresh[2], ("refresh_token", rotated)]).await;
    assert_eq!(status, 200);

    for (fields, error) in [
        (vec![], "unsupported_grant_type"),
        (vec![grant("password"), CLIENT[0], CLIENT[1]], "unsupported_grant_type"),
        (vec![grant("client_credentials"), CLIENT[0], ("client_secret", "x")], "invalid_client"),
        (vec![grant("client_credentials"), ("client_id", "x"), CLIENT[1]], "invalid_client_id"),
        (vec![grant("refresh_token"), CLIENT[0], CLIENT[1], ("refresh_token", "x")], "invalid_grant"),
    ] {
        let (status, answer) = sign_in(&crm, &fields).await;
        assert_eq!((status, &answer["error"]), (400, &json!(error)), "{fields:?}");
    }
    let crm = crm.habit(Habit::IssuesDeadSessions);
    let (_, answer) = sign_in(&crm, &[grant("client_credentials"), CLIENT[0], CLIENT[1]]).await;
    let request = client().get(format!("{}{BASE}/limits", crm.endpoint()));
    let request = request.bearer_auth(answer["access_token"].as_str().unwrap());
    assert_eq!(answered(request.send().await.unwrap()).await.1[0]["errorCode"], "INVALID_SESSION_ID");
    crm.end_sessions();
    assert_eq!(get(&crm, &format!("{BASE}/limits")).await.0, 401);
}

/// A signed assertion with these claims.
fn assertion(claims: &Value) -> String {
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encoded(&json!({"alg": "RS256"})), encoded(claims));
    let key = PrivatePkcs8KeyDer::from_pem_slice(PRIVATE_KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn an_assertion_counts_if_the_key_signed_it_and_every_claim_holds() {
    let crm = FakeSalesforce::start(deals(1)).await;
    let now = SystemClock.now().timestamp();
    let good = json!({"iss": CLIENT_ID, "sub": USERNAME, "aud": "https://login.salesforce.com", "exp": now + 120});
    let changed = |claim: &str, value: Value| {
        let mut claims = good.clone();
        claims[claim] = value;
        assertion(&claims)
    };
    let whole = assertion(&good);
    let forged =
        format!("{}.{}", whole.rsplit_once('.').unwrap().0, changed("sub", json!("x")).rsplit_once('.').unwrap().1);
    for (assertion, expected) in [
        (whole.clone(), None),
        (changed("aud", json!(crm.endpoint())), None),
        (forged, Some("invalid assertion")),
        ("x".to_owned(), Some("invalid assertion")),
        (changed("iss", json!("x")), Some("client identifier invalid")),
        (changed("sub", json!("x")), Some("user hasn't approved this consumer")),
        (changed("aud", json!("https://example.com")), Some("audience is invalid")),
        (changed("exp", json!((now + 120).to_string())), None),
        (changed("exp", json!(now - 1)), Some("expired authorization code")),
        (changed("exp", json!(now + 400)), Some("expired authorization code")),
        (changed("exp", json!((now + 120) * 1000)), Some("expired authorization code")),
    ] {
        let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let (status, answer) = sign_in(&crm, &[grant, ("assertion", &assertion)]).await;
        assert_eq!(status, if expected.is_some() { 400 } else { 200 }, "{answer}");
        assert_eq!(answer["error_description"].as_str(), expected);
    }
    let crm = crm.clock_ahead(600);
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!(sign_in(&crm, &[grant, ("assertion", &whole)]).await.0, 400, "clocks must agree");
}

/// A job's id.
async fn job(crm: &FakeSalesforce, operation: &str, soql: &str) -> String {
    let body = json!({"operation": operation, "query": soql, "contentType": "CSV", "columnDelimiter": "COMMA",
        "lineEnding": "LF"});
    let (status, job) = ask(crm, Method::POST, &format!("{BASE}/jobs/query"), body).await;
    assert_eq!((status, &job["state"]), (200, &json!("UploadComplete")), "{job}");
    job["id"].as_str().unwrap().to_owned()
}

/// A page of a result, and what its headers say of its length and the next one.
async fn result(crm: &FakeSalesforce, path: &str) -> (String, String, Option<String>) {
    let response = request(crm, Method::GET, path).send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (count, locator) = (header("sforce-numberofrecords").unwrap_or_default(), header("sforce-locator"));
    (response.text().await.unwrap(), count, locator)
}

#[tokio::test]
async fn a_bulk_job_is_made_polled_read_page_by_page_and_deleted() {
    let crm = FakeSalesforce::start(deals(25)).await.with(|org| org.delete(&deal_id(4))).polls(2).result_page(4);
    let job = job(&crm, "queryAll", "SELECT Id, Account.Name, Amount, CreatedDate FROM Opportunity").await;
    let at = |rest: &str| format!("{BASE}/jobs/query/{job}{rest}");
    assert_eq!(get(&crm, &at("/results")).await.0, 400, "there is no result yet");
    assert_eq!(ask(&crm, Method::DELETE, &at(""), Value::Null).await.0, 400, "it runs still");
    for state in ["InProgress", "InProgress", "JobComplete", "JobComplete"] {
        assert_eq!(get(&crm, &at("")).await.1["state"], state);
    }
    let (_, shown) = get(&crm, &at("")).await;
    assert_eq!((&shown["numberRecordsProcessed"], &shown["apiVersion"]), (&json!(25), &json!(66.0)));

    let (first, count, locator) = result(&crm, &at("/results?maxRecords=3")).await;
    assert_eq!((first.lines().count(), count.as_str()), (4, "3"));
    assert_eq!(first.lines().next(), Some(r#""Id","Account.Name","Amount","CreatedDate""#));
    let (again, _, _) = result(&crm, &at(&format!("/results?maxRecords=3&locator={}", locator.unwrap()))).await;
    assert_ne!(again, first);

    let (mut lines, mut pages) = (Vec::new(), at("/resultPages"));
    loop {
        let (_, named) = get(&crm, &pages).await;
        for page in named["resultPages"].as_array().unwrap() {
            let (text, _, _) = result(&crm, page["resultUrl"].as_str().unwrap()).await;
            lines.extend(text.lines().skip(1).map(ToOwned::to_owned));
        }
        match named["nextRecordsUrl"].as_str() {
            Some(next) => pages = next.to_owned(),
            None => break,
        }
    }
    lines.sort();
    let expected = format!(r#""{}","Account 0 GmbH, & Co.","0.07","2026-01-24T12:00:00.000Z""#, deal_id(0));
    assert_eq!((lines.len(), &lines[0]), (25, &expected));
    assert!(lines[9].ends_with(r#","","","2026-01-24T12:09:00.000Z""#), "{}", lines[9]);
    let (_, _, end) = result(&crm, &at("/results?maxRecords=4&locator=MjQ")).await;
    assert_eq!(end.as_deref(), Some("null"), "the last page says so in a word");

    assert_eq!(get(&crm, &at("").replace("v66", "v65")).await.0, 409);
    assert_eq!(get(&crm, &at("/results?locator=x")).await.0, 400);
    assert_eq!(crm.jobs_left(), 1);
    assert_eq!(ask(&crm, Method::DELETE, &at(""), Value::Null).await.0, 204);
    assert_eq!((crm.jobs_left(), get(&crm, &at("")).await.0), (0, 404));
}

#[tokio::test]
async fn a_bulk_job_can_end_badly_and_its_result_can_be_odd() {
    let crm = FakeSalesforce::start(deals(6)).await.result_page(3);
    let soql = "SELECT Id FROM Opportunity";
    for (state, message) in [(JobState::Failed, true), (JobState::Aborted, false)] {
        let nth = crm.requests_of(Route::Job) + 1;
        let crm = &crm;
        crm.plan(Route::Job, nth, Fault::JobEnds(state));
        let job = job(crm, "query", soql).await;
        let (_, shown) = get(crm, &format!("{BASE}/jobs/query/{job}")).await;
        assert_eq!(shown["state"], format!("{state:?}"));
        assert_eq!(shown.get("errorMessage").is_some(), message);
    }
    let aborted = job(&crm, "query", soql).await;
    let at = format!("{BASE}/jobs/query/{aborted}");
    assert_eq!(ask(&crm, Method::PATCH, &at, json!({"state": "Open"})).await.0, 400);
    assert_eq!(ask(&crm, Method::PATCH, &at, json!({"state": "Aborted"})).await.1["state"], "Aborted");

    let crm = crm.habit(Habit::WritesOneHeader).habit(Habit::NamesOneRecord).result_page(1);
    let done = job(&crm, "query", soql).await;
    let at = format!("{BASE}/jobs/query/{done}");
    get(&crm, &at).await;
    for (fault, lines, locator) in [
        (None, 2, Some("MQ")),
        (Some(Fault::NoLocator), 2, None),
        (Some(Fault::RepeatedCursor), 2, Some("MA")),
        (Some(Fault::LostRecord), 1, Some("MQ")),
    ] {
        let nth = crm.requests_of(Route::Results) + 1;
        fault.into_iter().for_each(|fault| crm.plan(Route::Results, nth, fault));
        let (text, count, next) = result(&crm, &format!("{at}/results")).await;
        assert_eq!((text.lines().count(), count.as_str(), next.as_deref()), (lines, "1", locator));
    }
    let (second, _, _) = result(&crm, &format!("{at}/results?locator=MQ")).await;
    assert_eq!(second.lines().count(), 1, "no header");
    let (_, pages) = get(&crm, &format!("{at}/resultPages")).await;
    assert!(pages["nextRecordUrl"].is_string() && pages.get("nextRecordsUrl").is_none());

    for (soql, operation) in [
        ("SELECT COUNT() FROM Opportunity", "query"),
        ("SELECT Id FROM Opportunity OFFSET 5", "query"),
        ("SELECT Id FROM", "query"),
        ("SELECT Id FROM Opportunity", "insert"),
    ] {
        let body = json!({"operation": operation, "query": soql});
        assert_eq!(ask(&crm, Method::POST, &format!("{BASE}/jobs/query"), body).await.0, 400, "{soql}");
    }
}

#[tokio::test]
async fn what_stands_before_the_org_refuses_in_its_own_words() {
    let mut crm = FakeSalesforce::start(deals(1)).await.daily(2).habit(Habit::CountsBursts);
    for (path, status, expected) in [
        ("/services/data/v66.0/limits", 200, ""),
        ("/services/data/v30.0/limits", 410, "UNSUPPORTED_API_VERSION"),
        ("/services/data/v99.0/limits", 404, "NOT_FOUND"),
        ("/services/data/latest/limits", 404, "NOT_FOUND"),
        ("/services/data/v66.0/nothing", 404, "NOT_FOUND"),
        ("/services/data/v66.0/limits/", 200, ""),
        ("/services/data/v66.0/limits", 403, "REQUEST_LIMIT_EXCEEDED"),
    ] {
        let response = request(&crm, Method::GET, path).send().await.unwrap();
        let usage = response.headers().get("sforce-limit-info").map(|value| value.to_str().unwrap().to_owned());
        let (answered, body) = answered(response).await;
        assert_eq!((answered, code(&body)), (status, expected), "{path}");
        assert_eq!(
            usage.is_some_and(|usage| usage.starts_with("api-usage=") && usage.ends_with("; api-bursts=1/750")),
            !path.contains("nothing"),
            "{path}"
        );
    }
    crm.next_day();
    let versions = client().get(format!("{}/services/data/", crm.endpoint())).send().await.unwrap();
    assert!(!versions.headers().contains_key("sforce-limit-info"), "they are for everybody");
    assert!(answered(versions).await.1.as_array().unwrap().iter().any(|version| version["version"] == "66.0"));
    for (path, expected) in [("x".repeat(16_400), 414), ("x".repeat(16_300), 431)] {
        assert_eq!(query(&crm, &path).await.0, expected);
    }
    let long = format!("SELECT Id FROM Opportunity WHERE Name = 'x'{}", " ".repeat(100_000));
    let body = json!({"operation": "query", "query": long});
    assert_eq!(code(&ask(&crm, Method::POST, &format!("{BASE}/jobs/query"), body).await.1), "MALFORMED_QUERY");

    crm.move_away().await;
    let old = request(&crm, Method::GET, &format!("{BASE}/limits")).send().await.unwrap();
    let (_, answer) = sign_in(&crm, &[("grant_type", "client_credentials"), CLIENT[0], CLIENT[1]]).await;
    let instance = answer["instance_url"].as_str().unwrap();
    assert_ne!(instance, crm.endpoint());
    assert_eq!(old.status().as_u16(), 301);
    assert!(old.headers()["location"].to_str().unwrap().starts_with(instance));
    let there = client().get(format!("{instance}{BASE}/limits")).bearer_auth(TOKEN);
    assert_eq!(there.send().await.unwrap().status().as_u16(), 200);
    assert!(crm.model(Tz::UTC)[0].url.starts_with(instance));
}

#[tokio::test]
async fn what_goes_wrong_goes_wrong_once_and_where_it_was_planned() {
    let soql = path("query", "SELECT Id FROM Opportunity");
    for (fault, status, expected) in [
        (Fault::Error(503, "SERVER_UNAVAILABLE"), 503, "SERVER_UNAVAILABLE"),
        (Fault::Error(500, "UNABLE_TO_LOCK_ROW"), 500, "UNABLE_TO_LOCK_ROW"),
        (Fault::Expired, 401, "INVALID_SESSION_ID"),
        (Fault::NotForRest, 401, "INVALID_SESSION_ID"),
        (Fault::Limit(Refusal::Total), 403, "REQUEST_LIMIT_EXCEEDED"),
        (Fault::Limit(Refusal::Concurrent), 403, "REQUEST_LIMIT_EXCEEDED"),
        (Fault::Limit(Refusal::LongTransactions), 403, "REQUEST_LIMIT_EXCEEDED"),
        (Fault::Wait(503, "3"), 503, "SERVER_UNAVAILABLE"),
        (Fault::Empty(406), 406, ""),
        (Fault::Html(420), 420, ""),
    ] {
        let crm = FakeSalesforce::start(deals(1)).await.fail_at(Route::Query, 2, fault.clone());
        let mut answers = Vec::new();
        for path in [&soql, &format!("{BASE}/limits"), &soql, &soql] {
            answers.push(get(&crm, path).await);
        }
        assert_eq!((answers[2].0, code(&answers[2].1)), (status, expected), "{fault:?}");
        answers.remove(2);
        assert!(answers.iter().all(|(status, _)| *status == 200), "{fault:?}");
        assert_eq!(crm.requests()[2].status, status);
        assert_eq!(crm.requests()[2].param("q").as_deref(), Some("SELECT Id FROM Opportunity"));
    }
    let crm = FakeSalesforce::start(deals(1)).await.fail(Fault::Oauth("inactive_org", "canary"));
    let (status, answer) = sign_in(&crm, &[("grant_type", "client_credentials"), CLIENT[0], CLIENT[1]]).await;
    assert_eq!((status, &answer["error"]), (400, &json!("inactive_org")));
    assert_eq!(crm.requests()[0].route, Some(Route::Token));
    for fault in [Fault::Cut, Fault::Reset, Fault::Stall] {
        let crm = FakeSalesforce::start(deals(9)).await.fail(fault.clone()).habit(Habit::NeverPacks);
        let whole = match request(&crm, Method::GET, &soql).header("accept-encoding", "gzip").send().await {
            Ok(head) => head.bytes().await.is_ok(),
            Err(_) => false,
        };
        assert!(!whole, "{fault:?}");
        let plain = request(&crm, Method::GET, &soql).header("accept-encoding", "gzip").send().await.unwrap();
        assert!(!plain.headers().contains_key("content-encoding"));
    }
    let crm = FakeSalesforce::start(deals(1)).await;
    let packed = request(&crm, Method::GET, &soql).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    ask(&crm, Method::POST, &format!("{BASE}/composite"), parts(&[soql])).await;
    assert!(crm.requests()[1].json()["compositeRequest"].is_array());
}

#[tokio::test]
async fn a_page_can_be_odd_in_every_way_that_a_reader_must_notice() {
    let soql = path("query", "SELECT Id FROM Opportunity ORDER BY Id");
    for (fault, total, records, next) in [
        (Fault::ShortPage, 9, 2, Some("-2")),
        (Fault::EmptyPage, 9, 0, Some("-0")),
        (Fault::RepeatedCursor, 9, 4, Some("-0")),
        (Fault::ForeignCursor("https://example.com/steal"), 9, 4, Some("https://example.com/steal")),
        (Fault::DuplicateRecord, 9, 5, Some("-4")),
        (Fault::LostRecord, 9, 3, Some("-4")),
        (Fault::WrongTotal, 10, 4, Some("-4")),
    ] {
        let crm = FakeSalesforce::start(deals(9)).await.page_size(4).fail(fault.clone());
        let (_, page) = get(&crm, &soql).await;
        let found = page["nextRecordsUrl"].as_str().unwrap_or_default();
        assert_eq!((&page["totalSize"], ids(&page).len()), (&json!(total), records), "{fault:?}");
        assert!(next.is_some_and(|next| found.ends_with(next)), "{fault:?}: {found}");
    }
    let crm = FakeSalesforce::start(deals(9)).await.page_size(4).fail_at(Route::More, 1, Fault::LostCursor);
    let (_, page) = get(&crm, &soql).await;
    for _ in 0..2 {
        let (status, answer) = get(&crm, page["nextRecordsUrl"].as_str().unwrap()).await;
        assert_eq!((status, code(&answer)), (400, "INVALID_QUERY_LOCATOR"), "what is lost stays lost");
    }
}
