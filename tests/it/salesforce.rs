//! The `salesforce` source against an org over real HTTP: what is pulled is what the org holds, in as few requests as it
//! takes, or the pull fails and says why.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono_tz::Tz;
use figment::providers::{Format, Toml};
use figment::{Profile, Provider};
use sales_pipeline::advice::Advice;
use sales_pipeline::clock::SystemClock;
use sales_pipeline::http::Clients;
use sales_pipeline::jobs::assemble::judge;
use sales_pipeline::jobs::names;
use sales_pipeline::memory::InProcess;
use sales_pipeline::model::deal::Deal;
use sales_pipeline::model::finding::{Finding, Rule};
use sales_pipeline::secret::Keyring;
use sales_pipeline::settings::{Section, Span};
use sales_pipeline::sources::fetch::{FetchError, Fetched, fetch};
use sales_pipeline::sources::source::End;
use sales_pipeline::sources::{Built, Context, build};
use sales_pipeline::store::spool::Spool;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::fake_salesforce::{
    CLIENT_ID, CLIENT_SECRET, Cell, FakeSalesforce, Fault, Habit, JobState, Kind, Org, PRIVATE_KEY, Published,
    REFRESH_TOKEN, Refusal, Route, TOKEN, USERNAME, account_id, bare_deal, deal_id, deals, org_id, record_type_id,
    user_id,
};
use crate::program::{Folder, is_quick};
use crate::skip::is_left_out;

const ZONE: Tz = Tz::Europe__Berlin;

fn context() -> Context {
    Context {
        clients: Clients::new(),
        keyring: Arc::new(Keyring::default()),
        clock: Arc::new(SystemClock),
        zone: ZONE,
        memory: Arc::new(InProcess::default()),
    }
}

fn built(toml: &str) -> Built {
    built_in(toml, &context())
}

fn built_in(toml: &str, context: &Context) -> Built {
    let section = Section(Toml::string(toml).data().unwrap().remove(&Profile::Default).unwrap());
    build(&section, context).unwrap_or_else(|problems| panic!("{problems:#?}\n{toml}"))
}

/// A section with more keys.
fn section(crm: &FakeSalesforce, more: &str) -> String {
    format!("{}\n{more}\n", crm.section())
}

/// A section with other credentials.
fn with_keys(crm: &FakeSalesforce, keys: &str) -> String {
    let app = format!("client_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\n");
    crm.section().replace(&app, keys)
}

/// A section with an access token.
fn with_token(crm: &FakeSalesforce) -> String {
    with_keys(crm, &format!("api_key = \"{TOKEN}\"\n"))
}

/// A pull as it would be published.
struct Pulled {
    deals: Vec<Deal>,
    findings: Vec<Finding>,
    fetched: Fetched,
    /// Whether what came is all there is, as it is judged before anything is published.
    is_whole: bool,
}

impl Pulled {
    fn published(&self) -> Vec<Published> {
        self.deals.iter().map(Published::of).collect()
    }

    fn found(&self) -> BTreeSet<(Rule, &str)> {
        self.findings.iter().map(|finding| (finding.rule, finding.field.as_str())).collect()
    }

    fn warnings(&self) -> String {
        self.fetched.opened.warnings.join("\n")
    }
}

async fn pulled(built: &Built) -> Result<Pulled, FetchError> {
    let mut taken: Vec<Deal> = Vec::new();
    let sink = |deals: &[Deal]| {
        taken.extend_from_slice(deals);
        Ok(())
    };
    let deadline = Span(Duration::from_secs(60));
    let mut fetched = fetch(built, deadline, &SystemClock, &CancellationToken::new(), sink, |_| ()).await?;
    let mut spool = Spool::create_in(&std::env::temp_dir()).unwrap();
    for deal in &taken {
        spool.push(&deal.id, deal.updated_at, &names::record(deal).unwrap()).unwrap();
    }
    let is_whole = judge(&spool.sort().unwrap(), &fetched).is_ok();
    let mut findings = std::mem::take(&mut fetched.tally.findings);
    let named = |deal: &Deal| {
        let record = names::record(deal).unwrap();
        let lead = names::lead(&record, &fetched.names, &mut findings).unwrap();
        serde_json::from_slice::<Deal>(&lead).unwrap()
    };
    let mut deals: Vec<Deal> = taken.iter().map(named).collect();
    deals.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Pulled { deals, findings: findings.into_list(), fetched, is_whole })
}

async fn pulled_from(crm: &FakeSalesforce) -> Pulled {
    pulled(&built(&crm.section())).await.unwrap_or_else(|error| panic!("{}", told(&error)))
}

/// An error with its causes, in one line.
fn told(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// How a pull fails: in words, with a cure, and without a word of an answer or a secret.
async fn failure(built: &Built) -> (String, Advice) {
    let error = pulled(built).await.err().expect("the pull fails");
    let shown = format!("{} {error:?}", told(&error));
    assert!(!shown.contains("canary"), "{shown}");
    (told(&error), error.advice().expect("an advice"))
}

fn asked(crm: &FakeSalesforce, route: Route) -> u64 {
    crm.requests_of(route) as u64
}

/// Whether deals were read from an export.
fn is_exported(crm: &FakeSalesforce) -> bool {
    asked(crm, Route::Results) > 0
}

#[test]
fn the_document_shows_sections_that_are_accepted_and_every_field_that_is_read() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/crm/salesforce.md")).unwrap();
    let blocks = document.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let all = Toml::string(&blocks.collect::<String>()).data().unwrap().remove(&Profile::Default).unwrap();
    let sections = all["sources"].as_dict().unwrap();
    assert!(sections.len() >= 3, "one for each way to sign in");
    for section in sections.values() {
        let section = Section(section.as_dict().unwrap().clone());
        build(&section, &context()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    }
    let crm = "api_key = \"k\"\nkind = \"salesforce\"\nendpoint = \"https://acme.my.salesforce.com\"";
    for mapped in built(crm).source.mapping() {
        assert!(document.contains(&format!("`{}`", mapped.field)), "{}", mapped.field);
        for field in
            mapped.from.split([',', ' ']).filter(|word| word.starts_with(|first: char| first.is_ascii_uppercase()))
        {
            assert!(document.contains(&format!("`{field}`")), "{field}");
        }
    }
}

#[tokio::test]
async fn every_deal_comes_once_with_names_and_figures_in_no_more_requests_than_it_takes() {
    for count in [0, 1, 1_999, 2_000, 2_001, 4_000, 4_001] {
        let crm = FakeSalesforce::start(deals(count)).await;
        let source = built(&crm.section());
        let first = pulled(&source).await.unwrap();
        assert_eq!(first.published(), crm.model(ZONE), "{count} deals");
        assert_eq!((first.fetched.listed, first.fetched.fetched), (Some((count, count)), count));
        let pages = count.div_ceil(2_000).max(1);
        assert_eq!(first.fetched.requests, 1 + 1 + pages, "{count}: token, description, pages");
        assert_eq!((asked(&crm, Route::Composite), asked(&crm, Route::More)), (1, pages - 1));
        let second = pulled(&source).await.unwrap();
        assert_eq!(second.fetched.requests, pages, "{count}: the description is known for a day");
        assert_eq!(second.published(), crm.model(ZONE));
        let cost = second.fetched.opened.cost.unwrap();
        assert_eq!((cost.requests, cost.daily_limit), (pages, Some(100_000)));
        assert_eq!(second.fetched.opened.account, Some(org_id()));
    }
}

#[tokio::test]
async fn above_the_threshold_an_export_is_ordered_read_and_deleted() {
    for (count, pages) in [(11, 2), (20, 2), (21, 3)] {
        let crm = FakeSalesforce::start(deals(count)).await.polls(2).result_page(10);
        let source = built(&section(&crm, "bulk_above = 10"));
        let pulled = pulled(&source).await.unwrap();
        assert_eq!((pulled.published(), pulled.fetched.listed), (crm.model(ZONE), Some((count, count))));
        let (created, looks) = (asked(&crm, Route::CreateJob), asked(&crm, Route::Job));
        let (read, deleted) = (asked(&crm, Route::Results), asked(&crm, Route::DeleteJob));
        assert_eq!((created, looks, read, deleted, crm.jobs_left()), (1, 3, pages, 1, 0), "{count}");
        assert_eq!(pulled.fetched.requests, 1 + 1 + 1 + created + looks + read + deleted, "and what opens every pull");
        assert_eq!(asked(&crm, Route::More), 0);
        let order = crm.requests().iter().find(|asked| asked.route == Some(Route::CreateJob)).unwrap().json();
        assert!(!order["query"].as_str().unwrap().contains("ORDER BY"), "it would end the reading in pieces");
    }
    let crm = FakeSalesforce::start(deals(10)).await;
    pulled(&built(&section(&crm, "bulk_above = 10"))).await.unwrap();
    assert_eq!(asked(&crm, Route::CreateJob), 0, "at the threshold it is a list");
}

#[tokio::test]
async fn fifty_thousand_deals_are_one_page_of_an_export_and_one_more_is_two() {
    if is_left_out("fifty thousand deals of Salesforce, as one page and as two") {
        return;
    }
    for (count, way, lists, pages) in [(50_000, "", 0, 0), (50_000, "bulk_above = 49999", 0, 1), (50_001, "", 1, 2)] {
        let crm = FakeSalesforce::start(deals(count)).await;
        let pulled = pulled(&built(&section(&crm, way))).await.unwrap();
        assert!(pulled.published() == crm.model(ZONE), "{count} deals");
        assert_eq!((asked(&crm, Route::ResultPages), asked(&crm, Route::Results)), (lists, pages), "{count} deals");
        assert_eq!((asked(&crm, Route::More), crm.jobs_left()), (if pages == 0 { 24 } else { 0 }, 0));
        let cost = pulled.fetched.opened.cost.unwrap();
        assert_eq!(cost.requests, pulled.fetched.requests, "{count} deals");
    }
}

#[tokio::test]
async fn the_pages_of_a_large_export_are_read_two_at_a_time_and_one_by_one_where_nobody_tells_them() {
    if is_left_out("the pages of a large export of Salesforce") {
        return;
    }
    let export = || async { FakeSalesforce::start(deals(50_001)).await.result_page(8_000) };
    let whole = |crm: FakeSalesforce| async move {
        let pulled = pulled_from(&crm).await;
        assert!(pulled.published() == crm.model(ZONE));
        (asked(&crm, Route::ResultPages), crm)
    };
    let (lists, crm) = whole(export().await.habit(Habit::NamesOneRecord).fail_at(Route::Results, 1, Fault::Cut)).await;
    let read: Vec<String> = crm
        .requests()
        .into_iter()
        .filter(|asked| asked.route == Some(Route::Results))
        .map(|asked| asked.query)
        .collect();
    assert_eq!((lists, read.len()), (2, 8), "seven pages, five in a list; one was asked for twice");
    assert!(read[0] != read[1], "the second was asked for with the first");
    for odd in [Fault::Error(404, "NOT_FOUND"), Fault::Html(200), Fault::NoPages] {
        let (lists, crm) = whole(export().await.fail_at(Route::ResultPages, 1, odd.clone())).await;
        assert_eq!((lists, asked(&crm, Route::Results)), (1, 7), "{odd:?}");
    }
}

#[tokio::test]
async fn an_export_holds_what_the_list_holds_to_the_letter_custom_fields_too() {
    let fields = "fields = { text = \"Text__c\", note = \"Description\", score = \"Score__c\", at = \"At__c\", \
                  hot = \"Hot__c\", firm = \"Account.Name\", who = \"Owner.Name\", amount = \"Amount\" }";
    let mut all = deals(40);
    all[0] = all[0].clone().with("Text__c", Cell::text("50000.0")).with("Score__c", Cell::number("1.5"));
    all[1] = all[1].clone().with("At__c", Cell::Instant("2026-11-22T08:00:00Z".parse().unwrap()));
    all[2] = all[2].clone().with("Hot__c", Cell::Truth(true)).with("Text__c", Cell::text("a \"b\"\n,c\r\n;"));
    for habit in [None, Some(Habit::WritesPlainNumbers), Some(Habit::WritesOneHeader)] {
        let crm = FakeSalesforce::start(all.clone()).await.result_page(7).with(|org| {
            for (name, kind) in
                [("Text__c", Kind::Text), ("Score__c", Kind::Double), ("At__c", Kind::Instant), ("Hot__c", Kind::Truth)]
            {
                org.add_field(name, kind);
            }
        });
        let crm = habit.into_iter().fold(crm, FakeSalesforce::habit);
        let text = |pulled: &Pulled| serde_json::to_string(&pulled.deals).unwrap();
        let list = pulled(&built(&section(&crm, fields))).await.unwrap();
        let export = pulled(&built(&section(&crm, &format!("{fields}\nbulk_above = 1")))).await.unwrap();
        assert!(is_exported(&crm));
        assert_eq!(text(&list), text(&export), "{habit:?}");
        let lead: Value = serde_json::from_str(&text(&list)).unwrap();
        assert_eq!(lead[0]["custom"]["text"], "50000.0");
        assert_eq!(lead[0]["custom"]["score"], 1.5);
        assert_eq!(lead[1]["custom"]["at"], "2026-11-22T08:00:00Z");
        assert_eq!(lead[2]["custom"]["hot"], true);
    }
}

#[tokio::test]
async fn bytes_of_zero_in_an_export_are_left_out() {
    let crm = FakeSalesforce::start(vec![bare_deal(&deal_id(1)).with("Name", Cell::text("\0Nord\0wind"))]).await;
    let pulled = pulled(&built(&section(&crm, "bulk_above = 0"))).await.unwrap();
    assert_eq!((is_exported(&crm), pulled.deals[0].name.as_str()), (true, "Nordwind"));
}

#[tokio::test]
async fn an_export_without_a_word_of_where_it_goes_on_ends_there() {
    let crm = FakeSalesforce::start(deals(5)).await.fail_at(Route::Results, 1, Fault::NoLocator);
    let pulled = pulled(&built(&section(&crm, "bulk_above = 1"))).await.unwrap();
    assert_eq!(pulled.published(), crm.model(ZONE));
}

#[tokio::test]
async fn a_job_is_deleted_whatever_becomes_of_the_pull() {
    for (route, fault, words) in [
        (Route::Job, Fault::JobEnds(JobState::Aborted), "the CRM's export job ended as Aborted"),
        (Route::Job, Fault::Error(403, "INSUFFICIENT_ACCESS"), "may not read this"),
        (Route::Results, Fault::Error(400, "canary"), "answers 400"),
        (Route::Results, Fault::LostRecord, "not as many as it says"),
    ] {
        let crm =
            (1..=8).fold(FakeSalesforce::start(deals(30)).await, |crm, nth| crm.fail_at(route, nth, fault.clone()));
        let (told, _) = failure(&built(&section(&crm, "bulk_above = 1"))).await;
        assert!(told.contains(words), "{fault:?}: {told}");
        assert_eq!((crm.jobs_left(), asked(&crm, Route::CreateJob)), (0, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn an_export_that_failed_is_read_by_the_list_and_its_code_is_told_where_there_is_none() {
    let crm = FakeSalesforce::start(deals(30)).await.fail_at(Route::Job, 1, Fault::JobEnds(JobState::Failed));
    let pulled = pulled(&built(&section(&crm, "bulk_above = 1"))).await.unwrap();
    assert_eq!((pulled.published(), pulled.fetched.listed), (crm.model(ZONE), Some((30, 30))));
    assert_eq!((crm.jobs_left(), asked(&crm, Route::CreateJob), asked(&crm, Route::Results)), (0, 1, 0));
    let slow = || Fault::Part(0, 400, "QUERY_TIMEOUT");
    let crm = FakeSalesforce::start(deals(30)).await.fail_at(Route::Composite, 1, slow());
    let crm = crm.fail_at(Route::Composite, 2, slow()).fail_at(Route::Job, 1, Fault::JobEnds(JobState::Failed));
    let (told, _) = failure(&built(&crm.section())).await;
    assert!(told.ends_with("the CRM's export job ended as Failed (QUERY_TIMEOUT)"), "{told}");
}

#[tokio::test]
async fn an_export_of_which_the_limit_of_the_day_lets_no_more_be_read_is_deleted_all_the_same() {
    let crm = FakeSalesforce::start(deals(30)).await.daily(10).result_page(5);
    let (told, _) = failure(&built(&section(&crm, "bulk_above = 1"))).await;
    assert!(told.contains("9 of the account's 10 requests a day are used"), "{told}");
    assert_eq!((crm.jobs_left(), asked(&crm, Route::DeleteJob)), (0, 1));
}

#[tokio::test]
async fn an_export_that_was_ordered_before_a_failure_is_not_ordered_again() {
    for (route, fault) in [
        (Route::Job, Fault::Error(503, "SERVER_UNAVAILABLE")),
        (Route::Job, Fault::Reset),
        (Route::Results, Fault::Cut),
        (Route::Results, Fault::LostRecord),
    ] {
        let crm = FakeSalesforce::start(deals(30)).await.result_page(10).fail_at(route, 1, fault.clone());
        let pulled = pulled(&built(&section(&crm, "bulk_above = 1"))).await.unwrap();
        assert_eq!(pulled.published(), crm.model(ZONE), "{fault:?}");
        assert_eq!((crm.jobs_left(), asked(&crm, Route::CreateJob)), (0, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn an_account_without_exports_is_read_by_the_list_and_a_limit_is_no_reason_to() {
    for status in [400, 403] {
        let lacking = Fault::Error(status, "FeatureNotEnabled");
        let crm = FakeSalesforce::start(deals(30)).await.fail_at(Route::CreateJob, 1, lacking);
        let source = built(&section(&crm, "bulk_above = 1"));
        assert_eq!(pulled(&source).await.unwrap().published(), crm.model(ZONE), "{status}");
        pulled(&source).await.unwrap();
        assert!(!is_exported(&crm));
        assert_eq!(asked(&crm, Route::CreateJob), 1, "asked once");
    }
    let crm = FakeSalesforce::start(deals(30)).await.fail_at(Route::CreateJob, 1, Fault::Limit(Refusal::Total));
    let (told, advice) = failure(&built(&section(&crm, "bulk_above = 1"))).await;
    assert!(told.contains("its limit for the day is reached") && advice == Advice::WaitForLimit, "{told}");
    assert_eq!(asked(&crm, Route::More), 0);
}

#[tokio::test]
async fn an_export_whose_order_is_not_taken_is_read_by_the_list() {
    for code in ["INVALIDJOB", "LIMIT_EXCEEDED"] {
        let refused = Fault::Error(400, code);
        let crm = FakeSalesforce::start(deals(30)).await.fail_at(Route::CreateJob, 1, refused);
        let source = built(&section(&crm, "bulk_above = 1"));
        assert_eq!(pulled(&source).await.unwrap().published(), crm.model(ZONE), "{code}");
        pulled(&source).await.unwrap();
        assert!(is_exported(&crm), "{code}: another one may be taken");
    }
}

#[tokio::test]
async fn a_list_that_took_too_long_is_tried_by_the_next_pull_where_exports_are_no_better() {
    let slow = || Fault::Part(0, 400, "QUERY_TIMEOUT");
    for (route, fault) in [
        (Route::CreateJob, Fault::Error(400, "FeatureNotEnabled")),
        (Route::CreateJob, Fault::Error(400, "INVALIDJOB")),
        (Route::Job, Fault::JobEnds(JobState::Failed)),
    ] {
        let crm = FakeSalesforce::start(deals(30)).await.fail_at(Route::Composite, 1, slow());
        let crm = crm.fail_at(Route::Composite, 2, slow()).fail_at(route, 1, fault.clone());
        let source = built(&crm.section());
        failure(&source).await;
        let next = pulled(&source).await.unwrap_or_else(|error| panic!("{fault:?}: {}", told(&error)));
        assert_eq!((next.published(), is_exported(&crm)), (crm.model(ZONE), false), "{fault:?}");
    }
}

#[tokio::test]
async fn after_two_queries_that_took_too_long_an_export_is_ordered() {
    let crm = FakeSalesforce::start(deals(30)).await;
    let slow = || Fault::Part(0, 400, "QUERY_TIMEOUT");
    let crm = crm.fail_at(Route::Composite, 1, slow()).fail_at(Route::Composite, 2, slow());
    let pulled = pulled_from(&crm).await;
    assert_eq!((pulled.published(), is_exported(&crm)), (crm.model(ZONE), true));
    assert_eq!((asked(&crm, Route::Composite), crm.jobs_left()), (3, 0));
}

#[tokio::test]
async fn all_four_ways_to_sign_in_read_the_same_deals() {
    let key = PRIVATE_KEY.replace('\n', "\\n");
    for keys in [
        format!("client_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\n"),
        format!("client_id = \"{CLIENT_ID}\"\nusername = \"{USERNAME}\"\nprivate_key = \"{key}\"\n"),
        format!(
            "client_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\nrefresh_token = \"{REFRESH_TOKEN}\"\n"
        ),
        format!("api_key = \"{TOKEN}\"\n"),
    ] {
        let crm = FakeSalesforce::start(deals(12)).await;
        let pulled = pulled(&built(&with_keys(&crm, &keys))).await.unwrap_or_else(|error| panic!("{}", told(&error)));
        assert_eq!(pulled.published(), crm.model(ZONE));
        assert_eq!(asked(&crm, Route::Token), u64::from(!keys.starts_with("api_key")));
    }
}

#[tokio::test]
async fn one_token_serves_all_who_ask_and_is_renewed_once_when_its_session_ends() {
    let crm = FakeSalesforce::start(deals(4_500)).await;
    let source = built(&crm.section());
    let (one, other) = tokio::join!(pulled(&source), pulled(&source));
    assert_eq!(one.unwrap().published(), other.unwrap().published());
    assert_eq!(asked(&crm, Route::Token), 1);
    crm.end_sessions();
    assert_eq!(pulled(&source).await.unwrap().published(), crm.model(ZONE));
    assert_eq!(asked(&crm, Route::Token), 2);
    let crm = FakeSalesforce::start(deals(4_500)).await.fail_at(Route::More, 1, Fault::Expired);
    assert_eq!(pulled_from(&crm).await.published(), crm.model(ZONE), "in the middle of a walk");
    assert_eq!((asked(&crm, Route::Token), asked(&crm, Route::More)), (2, 3));
}

#[tokio::test]
async fn a_session_that_stays_refused_ends_the_pull_and_there_is_no_loop() {
    let crm = FakeSalesforce::start(deals(3)).await.habit(Habit::IssuesDeadSessions);
    let (told, advice) = failure(&built(&crm.section())).await;
    assert!(told.contains("does not accept the credentials") && advice == Advice::RenewCredentials, "{told}");
    assert_eq!((asked(&crm, Route::Token), asked(&crm, Route::Describe)), (2, 2));
    let crm = FakeSalesforce::start(deals(3)).await.fail_at(Route::Describe, 1, Fault::NotForRest);
    failure(&built(&crm.section())).await;
    assert_eq!((asked(&crm, Route::Token), asked(&crm, Route::Describe)), (1, 1), "another one would be no better");
    let crm = FakeSalesforce::start(deals(3)).await;
    crm.end_sessions();
    failure(&built(&with_token(&crm))).await;
    assert_eq!(asked(&crm, Route::Describe), 1, "an access token by itself cannot be renewed");
}

#[tokio::test]
async fn what_the_token_endpoint_refuses_is_said_in_its_own_known_word() {
    for (error, description, words, cure) in [
        ("invalid_grant", "expired access/refresh token", "invalid_grant", Advice::RenewCredentials),
        ("invalid_grant", "user hasn't approved this consumer", "invalid_grant", Advice::RenewCredentials),
        ("invalid_client", "invalid client credentials", "invalid_client", Advice::RenewCredentials),
        ("invalid_client_id", "client identifier invalid", "invalid_client_id", Advice::RenewCredentials),
        ("unsupported_grant_type", "canary", "unsupported_grant_type", Advice::RenewCredentials),
        ("inactive_user", "canary", "inactive_user", Advice::RenewCredentials),
        ("inactive_org", "canary", "inactive_org", Advice::RenewCredentials),
        ("canary", "canary", "answers 400", Advice::RenewCredentials),
        ("rate_limit_exceeded", "canary", "too many requests", Advice::WaitForLimit),
    ] {
        let crm = FakeSalesforce::start(deals(3)).await.fail_at(Route::Token, 1, Fault::Oauth(error, description));
        let (told, advice) = failure(&built(&crm.section())).await;
        assert!(told.contains("renew the access token") && told.contains(words), "{error}: {told}");
        assert_eq!((advice, crm.requests().len()), (cure, 1), "{error}");
    }
}

#[tokio::test]
async fn a_signature_is_refused_where_clocks_differ_and_a_key_that_is_none_never_leaves() {
    let key = |key: &str| {
        format!(
            "client_id = \"{CLIENT_ID}\"\nusername = \"{USERNAME}\"\nprivate_key = \"{}\"\n",
            key.replace('\n', "\\n")
        )
    };
    let crm = FakeSalesforce::start(deals(3)).await.clock_ahead(600);
    let (told, advice) = failure(&built(&with_keys(&crm, &key(PRIVATE_KEY)))).await;
    assert!(told.contains("invalid_grant") && advice == Advice::RenewCredentials, "{told}");
    let crm = FakeSalesforce::start(deals(3)).await;
    let (told, advice) = failure(&built(&with_keys(&crm, &key("canary")))).await;
    assert!(told.contains("not an RSA key in PEM") && advice == Advice::ProvideSecret, "{told}");
    assert_eq!(crm.requests().len(), 0);
}

#[tokio::test]
async fn a_refresh_token_that_is_replaced_is_the_one_that_is_used_from_then_on() {
    let crm = FakeSalesforce::start(deals(3)).await.habit(Habit::RotatesTokens);
    let keys = format!(
        "client_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\nrefresh_token = \"{REFRESH_TOKEN}\"\n"
    );
    let source = built(&with_keys(&crm, &keys));
    for _ in 0..3 {
        pulled(&source).await.unwrap();
        crm.end_sessions();
    }
    assert_eq!(asked(&crm, Route::Token), 3);
}

#[tokio::test]
async fn an_org_that_moves_is_asked_where_its_new_sessions_say() {
    let mut crm = FakeSalesforce::start(deals(12)).await;
    let source = built(&crm.section());
    pulled(&source).await.unwrap();
    crm.move_away().await;
    crm.end_sessions();
    let moved = pulled(&source).await.unwrap();
    assert_eq!(moved.published(), crm.model(ZONE), "links lead to the new host too");
    assert_eq!(moved.fetched.requests, 3, "one is sent elsewhere, and a new session says where");
    let mut crm = FakeSalesforce::start(deals(3)).await;
    crm.move_away().await;
    let (told, advice) = failure(&built(&with_token(&crm))).await;
    assert!(told.contains("answers 301") && advice == Advice::CheckAddress, "no token is sent elsewhere: {told}");
}

#[tokio::test]
async fn a_hidden_field_leaves_its_column_empty_and_everything_else_as_it_is() {
    for (field, words) in [
        ("Probability", "`probability` stays empty"),
        ("Type", "`deal_type` stays empty"),
        ("LastActivityDate", "`last_activity_at` stays empty"),
        ("ForecastCategoryName", "`forecast_category` stays empty"),
        ("Amount", "`value` stays empty"),
        ("LastStageChangeDate", "`stage_entered_at`"),
        ("CreatedDate", "`created_at` stays empty"),
    ] {
        let crm = FakeSalesforce::start(deals(30)).await.with(|org| org.hide("Opportunity", field));
        let pulled = pulled_from(&crm).await;
        assert_eq!(pulled.published(), crm.model(ZONE), "{field}");
        assert!(pulled.warnings().contains(&format!("may not read `{field}`")), "{field}: {}", pulled.warnings());
        assert!(pulled.warnings().contains(words), "{field}: {}", pulled.warnings());
        assert_eq!(pulled.fetched.requests, 3, "{field}: nothing was tried in vain");
    }
}

#[tokio::test]
async fn names_of_parents_that_may_not_be_read_are_empty_and_counted() {
    for (object, field, name) in [("Account", "company", "Account.Name"), ("User", "owner", "Owner.Name")] {
        let crm = FakeSalesforce::start(deals(30)).await.with(|org| org.hide_object(object));
        let source = built(&crm.section());
        let first = pulled(&source).await.unwrap_or_else(|error| panic!("{object}: {}", told(&error)));
        assert_eq!(first.published(), crm.model(ZONE), "{object}");
        assert!(first.warnings().contains(&format!("may not read `{name}`")), "{object}: {}", first.warnings());
        assert!(first.found().contains(&(Rule::R09, field)), "{object}");
        assert_eq!(
            (first.fetched.requests, pulled(&source).await.unwrap().fetched.requests),
            (4, 1),
            "known for a day"
        );
    }
}

#[tokio::test]
async fn a_name_of_a_parent_that_is_hidden_alone_is_empty_and_the_deals_own_name_stays() {
    for (object, name) in [("Account", "Account.Name"), ("User", "Owner.Name")] {
        let crm = FakeSalesforce::start(deals(30)).await.with(|org| org.hide(object, "Name"));
        let pulled = pulled_from(&crm).await;
        assert_eq!(pulled.published(), crm.model(ZONE), "{object}");
        assert!(pulled.warnings().contains(&format!("may not read `{name}`")), "{object}: {}", pulled.warnings());
    }
}

#[tokio::test]
async fn a_field_that_is_hidden_during_the_day_is_noticed_at_the_next_pull() {
    let crm = FakeSalesforce::start(deals(30)).await;
    let source = built(&crm.section());
    assert_eq!(pulled(&source).await.unwrap().warnings(), "");
    crm.change(|org| org.hide("Opportunity", "Type"));
    let pulled = pulled(&source).await.unwrap();
    assert_eq!(pulled.published(), crm.model(ZONE));
    assert!(pulled.warnings().contains("`deal_type` stays empty"), "{}", pulled.warnings());
}

#[tokio::test]
async fn without_name_or_stage_there_are_no_deals_to_publish() {
    for field in ["Name", "StageName"] {
        let crm = FakeSalesforce::start(deals(3)).await.with(|org| org.hide("Opportunity", field));
        let (told, advice) = failure(&built(&crm.section())).await;
        assert!(
            told.contains(&format!("to read `Opportunity.{field}`")) && advice == Advice::GrantPermission,
            "{told}"
        );
    }
}

#[tokio::test]
async fn stages_and_organization_that_may_not_be_read_are_done_without_and_told() {
    let crm = FakeSalesforce::start(deals(30)).await.with(|org| org.hide_object("OpportunityStage"));
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model(ZONE), "stages stand as their API names");
    assert!(pulled.warnings().contains("The stages cannot be read"), "{}", pulled.warnings());
    let crm = FakeSalesforce::start(deals(30)).await.with(Org::without_stages);
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model(ZONE), "and so they do where there are none");
    assert!(pulled.warnings().contains("lists no stages"), "{}", pulled.warnings());
    let crm = FakeSalesforce::start(deals(30)).await.with(|org| org.hide("Organization", "DefaultCurrencyIsoCode"));
    let pulled = pulled_from(&crm).await;
    assert_eq!((&pulled.fetched.opened.account, pulled.fetched.opened.currency), (&Some(org_id()), None));
    assert!(pulled.warnings().contains("The organization's currency cannot be read"), "{}", pulled.warnings());
    let crm = FakeSalesforce::start(deals(30)).await.with(|org| org.hide_object("Organization"));
    let pulled = pulled_from(&crm).await;
    assert_eq!((&pulled.fetched.opened.account, pulled.fetched.opened.currency), (&None, None));
    assert!(pulled.warnings().contains("The organization cannot be read"), "{}", pulled.warnings());
    assert!(pulled.found().contains(&(Rule::D09, "currency")), "no deal is priced by guess");
}

#[tokio::test]
async fn a_stage_is_called_by_its_label_and_one_that_is_gone_by_its_value() {
    let crm = FakeSalesforce::start(deals(30)).await;
    let before = pulled_from(&crm).await;
    assert!(before.deals.iter().any(|deal| deal.stage.as_deref() == Some("Angebot \"fest\"")));
    crm.change(|org| org.relabel_stage("Prospecting", "Prospektion"));
    crm.change(|org| org.rename_stage("Negotiation/Review", "Verhandlung"));
    crm.change(|org| org.delete_stage("Proposal/Price Quote"));
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model(ZONE));
    assert!(pulled.deals.iter().any(|deal| deal.stage.as_deref() == Some("Proposal/Price Quote")));
    assert_eq!(pulled.found(), [(Rule::R09, "stage")].into());
}

#[tokio::test]
async fn without_a_count_of_the_list_nothing_is_said_to_be_proven() {
    let pulled = pulled_from(&FakeSalesforce::start(deals(40)).await.habit(Habit::OmitsTotal)).await;
    assert_eq!(pulled.fetched.listed, None);
    assert!(matches!(&pulled.fetched.end, End::Unproven { why, .. } if why.contains("`totalSize` is missing")));
    let counted = pulled_from(&FakeSalesforce::start(deals(40)).await).await;
    assert_eq!(counted.fetched.end, End::Said);
}

#[tokio::test]
async fn several_currencies_come_with_the_orgs_own_rates_of_each_day() {
    let crm = FakeSalesforce::start(deals(40)).await.with(|org| {
        org.multi_currency = true;
        org.date_rate("USD", "1.25", "2026-01-01", "2026-07-01");
        org.date_rate("USD", "1.5", "2026-07-01", "9999-12-31");
    });
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model(ZONE));
    assert_eq!((asked(&crm, Route::Composite), pulled.fetched.requests), (1, 3), "all five queries in one request");
    let rates = pulled.fetched.opened.rates.unwrap();
    let worth = |code: &str, day: &str| {
        let period = rates.period(Some(day.parse().unwrap()));
        rates.convert(300.into(), code.parse().unwrap(), "EUR".parse().unwrap(), period).map(|worth| worth.normalize())
    };
    assert_eq!((worth("USD", "2026-06-30"), worth("USD", "2026-07-01")), (Some(240.into()), Some(200.into())));
    assert_eq!(worth("JPY", "2026-07-01").map(|worth| worth.round_dp(2).to_string()).as_deref(), Some("1.87"));
    let crm = FakeSalesforce::start(deals(40)).await.with(|org| org.multi_currency = true);
    let pulled = pulled_from(&crm).await;
    assert!(pulled.warnings().is_empty() && !pulled.fetched.opened.rates.unwrap().are_dated());
    let multiple = FakeSalesforce::start(deals(40)).await.with(|org| org.multi_currency = true);
    let crm = multiple.fail_at(Route::Composite, 1, Fault::Part(4, 403, "INSUFFICIENT_ACCESS"));
    let pulled = pulled_from(&crm).await;
    assert!(pulled.warnings().contains("the standing ones are used for every day"), "{}", pulled.warnings());
    assert!(!pulled.fetched.opened.rates.unwrap().are_dated());
    let crm = FakeSalesforce::start(deals(40)).await.with(|org| {
        org.multi_currency = true;
        org.hide_object("CurrencyType");
    });
    let pulled = pulled_from(&crm).await;
    assert!(pulled.warnings().contains("exchange rates are not known"), "{}", pulled.warnings());
    assert_eq!(pulled.fetched.opened.rates, None);
}

#[tokio::test]
async fn odd_but_honest_answers_are_read() {
    for habit in [
        Habit::WritesPlainNumbers,
        Habit::AddsKeys,
        Habit::OmitsDone,
        Habit::NeverPacks,
        Habit::CountsBursts,
        Habit::WritesOneHeader,
    ] {
        let crm = FakeSalesforce::start(deals(2_100)).await.habit(habit);
        assert_eq!(pulled_from(&crm).await.published(), crm.model(ZONE), "{habit:?}");
    }
}

#[tokio::test]
async fn pages_may_be_shorter_than_asked_for() {
    let crm = FakeSalesforce::start(deals(901)).await.page_size(200).fail_at(Route::More, 2, Fault::ShortPage);
    let pulled = pulled_from(&crm).await;
    assert_eq!((pulled.published(), pulled.is_whole), (crm.model(ZONE), true));
    let crm = FakeSalesforce::start(deals(30)).await.page_size(4);
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model(ZONE), "the stages are six");
    assert_eq!(pulled.fetched.opened.stages.iter().filter(|stage| stage.pipeline_id.is_empty()).count(), 6);
}

#[tokio::test]
async fn what_passes_is_tried_again_and_nothing_is_lost_or_doubled() {
    for fault in [
        Fault::Error(500, "UNKNOWN_EXCEPTION"),
        Fault::Error(500, "UNABLE_TO_LOCK_ROW"),
        Fault::Error(503, "SERVER_UNAVAILABLE"),
        Fault::Error(400, "QUERY_TIMEOUT"),
        Fault::Empty(406),
        Fault::Html(502),
        Fault::Html(503),
        Fault::Html(504),
        Fault::Cut,
        Fault::Reset,
        Fault::Stall,
    ] {
        for route in [Route::Describe, Route::Composite, Route::More] {
            let crm = FakeSalesforce::start(deals(250)).await.page_size(200).fail_at(route, 1, fault.clone());
            let source = built(&section(&crm, "timeout = \"300ms\""));
            let pulled = pulled(&source).await.unwrap_or_else(|error| panic!("{fault:?}, {route:?}: {}", told(&error)));
            assert_eq!(pulled.published(), crm.model(ZONE), "{fault:?}, {route:?}");
        }
    }
}

#[tokio::test]
async fn what_does_not_pass_ends_the_pull_at_once_in_words() {
    for (fault, words, cure) in [
        (Fault::Error(400, "MALFORMED_QUERY"), "a filter of `where`, or a field, does not fit", Advice::CheckMapping),
        (Fault::Error(400, "INVALID_FIELD"), "may not read one of the fields", Advice::CheckMapping),
        (Fault::Error(400, "QUERY_TOO_COMPLICATED"), "too many of them are formulas", Advice::CheckMapping),
        (Fault::Error(400, "OPERATION_TOO_LARGE"), "View All", Advice::GrantPermission),
        (Fault::Error(400, "EXCEEDED_ID_LIMIT"), "answers 400 (EXCEEDED_ID_LIMIT)", Advice::CheckAddress),
        (Fault::Error(400, "NUMBER_OUTSIDE_VALID_RANGE"), "answers 400 (NUMBER_OUTSIDE", Advice::CheckAddress),
        (Fault::Limit(Refusal::Total), "its limit for the day is reached", Advice::WaitForLimit),
        (Fault::Error(403, "INSUFFICIENT_ACCESS"), "may not read this", Advice::GrantPermission),
        (Fault::Error(403, "API_DISABLED_FOR_ORG"), "API Enabled", Advice::GrantPermission),
        (Fault::Error(403, "TXN_SECURITY_METERING_ERROR"), "Transaction Security", Advice::GrantPermission),
        (Fault::Error(404, "NOT_FOUND"), "answers 404 (NOT_FOUND)", Advice::CheckAddress),
        (Fault::Error(409, "canary"), "answers 409", Advice::CheckAddress),
        (Fault::Error(410, "UNSUPPORTED_API_VERSION"), "set `api_version`", Advice::CheckAddress),
        (Fault::Html(414), "the fields are too many", Advice::CheckMapping),
        (Fault::Html(431), "the fields are too many", Advice::CheckMapping),
        (Fault::Html(420), "moving this account", Advice::WaitForMove),
    ] {
        let crm = FakeSalesforce::start(deals(250)).await.page_size(200).fail_at(Route::More, 1, fault.clone());
        let (told, advice) = failure(&built(&crm.section())).await;
        assert!(told.contains("read page 2") && told.contains(words), "{fault:?}: {told}");
        assert_eq!((advice, asked(&crm, Route::More)), (cure, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_part_of_the_first_request_that_fails_is_told_like_a_whole_one() {
    for (part, fault, words, cure) in [
        (0, Fault::Part(0, 403, "INSUFFICIENT_ACCESS"), "may not read this", Advice::GrantPermission),
        (0, Fault::Part(0, 400, "MALFORMED_QUERY"), "a filter of `where`", Advice::CheckMapping),
        (1, Fault::Part(1, 400, "MALFORMED_QUERY"), "a filter of `where`", Advice::CheckMapping),
        (2, Fault::Part(2, 404, "NOT_FOUND"), "answers 404 (NOT_FOUND)", Advice::CheckAddress),
    ] {
        let crm = FakeSalesforce::start(deals(3)).await.fail_at(Route::Composite, 1, fault);
        let (told, advice) = failure(&built(&crm.section())).await;
        assert!(told.contains(words) && advice == cure, "{part}: {told}");
    }
}

#[tokio::test]
async fn what_is_left_of_a_list_that_the_crm_forgot_is_asked_for_anew_and_only_once() {
    for nth in 1..=3 {
        let crm = FakeSalesforce::start(deals(650)).await.page_size(200).fail_at(Route::More, nth, Fault::LostCursor);
        let crm = crm.after_each(|org, route| {
            if route == Route::More {
                org.delete(&deal_id(640));
            }
        });
        let pulled = pulled_from(&crm).await;
        assert_eq!((pulled.published(), pulled.is_whole), (crm.model(ZONE), true), "page {}", nth + 1);
        assert_eq!((asked(&crm, Route::Composite), pulled.fetched.fetched), (2, 650), "none came twice");
    }
    let crm = FakeSalesforce::start(deals(650)).await.page_size(200);
    let crm = crm.fail_at(Route::More, 1, Fault::LostCursor).fail_at(Route::More, 2, Fault::LostCursor);
    let (told, advice) = failure(&built(&crm.section())).await;
    assert!(told.contains("no longer knows the place") && advice == Advice::CheckPaging, "{told}");
    assert_eq!(asked(&crm, Route::Composite), 2);
}

#[tokio::test]
async fn pages_that_do_not_add_up_fail_the_pull_or_are_never_whole() {
    for (fault, words) in [
        (Fault::RepeatedCursor, "the next page is one that was read already"),
        (Fault::ForeignCursor("https://evil.example/services/data/v66.0/query/1-2"), "the address is not on"),
        (Fault::ForeignCursor("//evil.example/services/data/v66.0/query/1-2"), "the address is not on"),
    ] {
        let crm = FakeSalesforce::start(deals(450)).await.page_size(200).fail_at(Route::More, 1, fault.clone());
        let (told, advice) = failure(&built(&crm.section())).await;
        assert!(told.contains(words), "{fault:?}: {told}");
        assert_eq!(advice, Advice::CheckPaging, "{fault:?}");
    }
    let crm = FakeSalesforce::start(deals(450)).await.page_size(200).fail_at(Route::More, 2, Fault::LostRecord);
    assert!(!pulled_from(&crm).await.is_whole);
    let crm = FakeSalesforce::start(deals(450)).await.page_size(200).fail_at(Route::More, 1, Fault::DuplicateRecord);
    assert!(pulled_from(&crm).await.is_whole, "one that came twice counts once");
}

#[tokio::test]
async fn when_nine_tenths_of_the_day_are_used_the_rest_is_left_to_others() {
    let crm = FakeSalesforce::start(deals(4_500)).await.daily(20);
    let context = context();
    let source = built_in(&crm.section(), &context);
    let mut told = String::new();
    for _ in 0..7 {
        told = match pulled(&source).await {
            Ok(_) => continue,
            Err(error) => self::told(&error),
        };
        break;
    }
    assert!(told.contains("18 of the account's 20 requests a day are used"), "{told}");
    let sent = crm.requests().len();
    for source in [source, built_in(&crm.section(), &context)] {
        let (again, advice) = failure(&source).await;
        assert!(again.contains("18 of the account's 20 requests a day are used: the rest is left to"), "{again}");
        assert_eq!(advice, Advice::WaitForLimit);
        assert_eq!(crm.requests().len(), sent, "not one more request, not even by the next process");
    }
}

#[tokio::test]
async fn a_limit_of_the_day_that_a_part_of_an_answer_tells_is_kept_to() {
    let part = Fault::Part(0, 403, "REQUEST_LIMIT_EXCEEDED");
    let crm = FakeSalesforce::start(deals(3)).await.fail_at(Route::Composite, 1, part);
    let source = built(&crm.section());
    let (told, _) = failure(&source).await;
    assert!(told.contains("its limit for the day is reached"), "{told}");
    let sent = crm.requests().len();
    failure(&source).await;
    assert_eq!(crm.requests().len(), sent, "not one more request");
}

#[tokio::test]
async fn filters_reach_the_crm_as_conditions_and_texts_stay_in_their_quotes() {
    let mut all = deals(60);
    all.push(bare_deal(&deal_id(900)).with("Name", Cell::text("O'Neill \\ \"x\"")).with("Amount", Cell::number("7")));
    let crm = FakeSalesforce::start(all).await;
    let ids = |pulled: Pulled| pulled.deals.into_iter().map(|deal| deal.id).collect::<Vec<_>>();
    let of = |filter: &str| built(&section(&crm, &format!("where = [{filter}]")));
    let exact = pulled(&of(r#"{ field = "Name", value = "O'Neill \\ \"x\"" }"#)).await.unwrap();
    assert_eq!(ids(exact), [deal_id(900)]);
    let injected = pulled(&of(r#"{ field = "Name", value = "' OR Name != '" }"#)).await.unwrap();
    assert_eq!(ids(injected), Vec::<String>::new());
    let both = r#"{ field = "amount", op = ">", value = 100000 }, { field = "IsClosed", value = false }"#;
    let large = pulled(&of(both)).await.unwrap();
    let model: Vec<String> = crm
        .model(ZONE)
        .into_iter()
        .filter(|deal| deal.value > Some(100_000.into()) && deal.closed_at.is_none())
        .map(|deal| deal.id)
        .collect();
    assert!(!model.is_empty());
    assert_eq!(ids(large), model);
    let (told, advice) = failure(&of(r#"{ field = "Secret__c", value = "x" }"#)).await;
    assert!(told.contains("`where` names `Secret__c`") && advice == Advice::CheckMapping, "{told}");
}

#[tokio::test]
async fn record_types_are_pipelines_by_name_or_by_either_form_of_their_id() {
    let crm = FakeSalesforce::start(deals(90)).await;
    let model: Vec<Published> =
        crm.model(ZONE).into_iter().filter(|deal| deal.pipeline.as_deref() == Some("Renewals")).collect();
    assert_eq!(model.len(), 30);
    let id = record_type_id(1);
    for wanted in ["Renewals", id.as_str(), &id[..15]] {
        let pulled = pulled(&built(&section(&crm, &format!("pipelines = [\"{wanted}\"]")))).await.unwrap();
        assert_eq!((pulled.published() == model, pulled.fetched.fetched), (true, 30), "{wanted}: only those are sent");
    }
    let (told, _) = failure(&built(&section(&crm, "pipelines = [\"Renewal\"]"))).await;
    assert!(told.contains("the account has no pipeline `Renewal`"), "{told}");
    let pulled = pulled_from(&crm).await;
    let stages = &pulled.fetched.opened.stages;
    assert_eq!(stages.iter().filter(|stage| stage.pipeline == "Renewals").count(), 6);
    let crm = FakeSalesforce::start(deals(9)).await.with(Org::without_record_types);
    let pulled = pulled_from(&crm).await;
    assert_eq!((pulled.published(), pulled.warnings()), (crm.model(ZONE), String::new()));
}

#[tokio::test]
async fn deals_closed_long_ago_are_not_even_sent_and_none_that_is_wanted_is_missing() {
    let crm = FakeSalesforce::start(deals(300)).await;
    let all = pulled_from(&crm).await;
    for days in [1, 30, 200, 290, 299, 301] {
        let source = built(&crm.section().replace("\"all\"", &format!("\"{days}d\"")));
        let pulled = pulled(&source).await.unwrap();
        let wanted: Vec<&str> = all
            .deals
            .iter()
            .filter(|deal| source.scope.wants(deal, pulled.fetched.started_at))
            .map(|deal| deal.id.as_str())
            .collect();
        let ids: Vec<&str> = pulled.deals.iter().map(|deal| deal.id.as_str()).collect();
        assert_eq!(ids, wanted, "{days} days");
        assert!(pulled.fetched.fetched <= all.fetched.fetched && pulled.is_whole);
    }
}

#[tokio::test]
async fn mapped_fields_come_as_they_are_through_parents_too_and_those_that_do_not_exist_are_told() {
    let deal = bare_deal(&deal_id(1))
        .with("ARR__c", Cell::number("12.50"))
        .with("Chance__c", Cell::number("40"))
        .with("AccountId", Cell::text(account_id(3)));
    let crm = FakeSalesforce::start(vec![deal]).await.with(|org| {
        org.add_field("ARR__c", Kind::Currency);
        org.add_field("Chance__c", Kind::Percent);
    });
    let fields = "fields = { value = \"arr__c\", probability = \"Chance__c\", typo = \"Segmnt__c\", \
                  changed = \"Account.SystemModstamp\", boss = \"Owner.Manager.Name\" }";
    let source = built(&section(&crm, fields));
    let first = pulled(&source).await.unwrap();
    let lead = serde_json::to_value(&first.deals[0]).unwrap();
    assert_eq!((&lead["value"], &lead["probability"]), (&12.5.into(), &0.4.into()));
    assert_eq!((&lead["custom"]["changed"], &lead["custom"]["typo"]), (&"2026-11-20T12:00:00Z".into(), &Value::Null));
    for part in ["`Segmnt__c`", "`custom.typo` stays empty", "`Owner.Manager.Name`", "`custom.boss` stays empty"] {
        assert!(first.warnings().contains(part), "no {part} in {}", first.warnings());
    }
    pulled(&source).await.unwrap();
    assert_eq!(asked(&crm, Route::Describe), 3, "deals, accounts and users, once a day");
}

#[tokio::test]
async fn nothing_and_everything_in_a_deal_is_read() {
    let bare = bare_deal(&deal_id(1)).with("Amount", Cell::Null).with("Probability", Cell::number("150"));
    let bare = bare.with("Name", Cell::text(" "));
    let mut ids: Vec<String> = Vec::new();
    // Two ids that differ in the case of one letter alone.
    for number in [2, 3] {
        ids.push(deal_id(number));
    }
    let crm = FakeSalesforce::start([vec![bare], ids.iter().map(|id| bare_deal(id)).collect()].concat()).await;
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model(ZONE));
    assert_eq!(pulled.deals.len(), 3);
    assert!(pulled.found().contains(&(Rule::D06, "probability")), "never rescaled by guess");
    assert!(pulled.deals.iter().all(|deal| deal.id.len() == 18 && deal.owner_id == Some(user_id(0))));
}

#[tokio::test]
async fn what_is_deleted_is_left_out_and_what_comes_back_is_there_again() {
    let crm = FakeSalesforce::start(deals(30)).await;
    let gone = deal_id(3);
    crm.change(|org| org.delete(&gone));
    let without = pulled_from(&crm).await;
    assert_eq!(without.published(), crm.model(ZONE));
    assert_eq!((without.deals.len(), without.fetched.tally.filtered, without.is_whole), (29, 1, true));
    crm.change(|org| org.undelete(&gone));
    assert_eq!(pulled_from(&crm).await.published(), crm.model(ZONE));
    let reopened = deal_id(4);
    crm.change(|org| org.move_stage(&reopened, "Prospecting"));
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model(ZONE));
}

#[tokio::test]
async fn where_no_deal_says_that_it_is_deleted_the_recycle_bin_is_not_asked() {
    for way in ["", "bulk_above = 1"] {
        let crm = FakeSalesforce::start(deals(30)).await.with(|org| {
            org.hide("Opportunity", "IsDeleted");
            org.delete(&deal_id(3));
        });
        let pulled = pulled(&built(&section(&crm, way))).await.unwrap();
        assert_eq!((pulled.published(), pulled.is_whole), (crm.model(ZONE), true), "{way}");
        assert!(pulled.warnings().contains("may not read `IsDeleted`"), "{}", pulled.warnings());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deals_that_are_gone_are_explained_by_one_question_and_only_once() {
    let crm = FakeSalesforce::start(deals(40)).await;
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}", crm.section()));
    folder.run(&["pull"]).assert_code(0);
    crm.change(|org| {
        org.delete(&deal_id(1));
        org.delete(&deal_id(2));
        org.purge(&deal_id(3));
    });
    let vanished = |folder: &Folder| folder.json("output/sales_pipeline.json")["completeness"]["vanished"].clone();
    folder.run(&["pull"]).assert_code(0);
    let told = vanished(&folder);
    assert_eq!(
        (&told["archived"], &told["unknown"], &told["out_of_scope"]),
        (&2.into(), &1.into(), &0.into()),
        "{told}"
    );
    assert_eq!(asked(&crm, Route::Composite), 3, "two to open, one to ask what became of them");
    folder.run(&["pull"]).assert_code(0);
    assert_eq!((vanished(&folder), asked(&crm, Route::Composite)), (Value::Null, 4));
}

/// Runs the program with the four variables of `.env.local`, and more.
async fn program(folder: &Path, crm: &FakeSalesforce, key: &str, arguments: &'static [&'static str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sales-pipeline"));
    command.args(arguments).current_dir(folder).env_clear();
    command.env("SALES_PIPELINE_SOURCE", "salesforce").env("SALES_PIPELINE_API_KEY", key);
    command.env("SALES_PIPELINE_ENDPOINT", format!("{}/services/data/v66.0/query", crm.endpoint()));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn four_variables_are_enough_to_publish_an_org_priced_by_its_own_rates() {
    let crm = FakeSalesforce::start(deals(120)).await.with(|org| org.multi_currency = true);
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path(), &crm, TOKEN, &["pull"]).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !said.contains("canary"), "{said}");
    let latest = std::fs::read_to_string(folder.path().join("output/sales_pipeline.json")).unwrap();
    assert!(!latest.contains("canary"));
    let latest: Value = serde_json::from_str(&latest).unwrap();
    assert_eq!((&latest["source"], &latest["account"]), (&"salesforce".into(), &org_id().into()));
    assert_eq!(latest["completeness"]["proof"], "cursor exhausted; count matches");
    assert_eq!((&latest["currency"], &latest["fx"]["source"]), (&"EUR".into(), &"crm".into()));
    assert_eq!(latest["fx"]["rates"]["USD"], 0.909_090_909_1);
    let open: Vec<Published> = crm.model(Tz::UTC).into_iter().filter(|deal| deal.closed_at.is_none()).collect();
    let units = |code: &str| match code {
        "USD" => "1.1",
        "JPY" => "160.5",
        "KWD" => "0.33",
        _ => "1",
    };
    let worth = |deal: &Published| {
        deal.value.map(|value| value / units(&deal.currency).parse::<rust_decimal::Decimal>().unwrap())
    };
    let sum: rust_decimal::Decimal = open.iter().filter_map(worth).sum();
    let total = latest["totals"]["open"]["value"].to_string().parse::<rust_decimal::Decimal>().unwrap();
    assert_eq!(total.normalize(), sum.round_dp(2).normalize(), "to the cent");
    let connected = program(folder.path(), &crm, TOKEN, &["check", "--connect"]).await;
    let said = String::from_utf8_lossy(&connected.stdout).into_owned();
    for part in [
        "currency EUR",
        "80 records, 0 left out by the configuration, 0 skipped, all there are",
        "Probability / 100",
        "requests a run",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    let refused = program(folder.path(), &crm, "canary-wrong", &["pull"]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(77), "{said}");
    assert!(said.contains("renew the key") && !said.contains("canary"), "{said}");
}

/// A small generator, so that a seed tells the whole run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let place = self.below(from.len() as u64);
        from[usize::try_from(place).unwrap()].clone()
    }
}

/// Something that happens to an org; what was deleted before may come back.
fn happens(org: &mut Org, deleted: &mut Vec<String>, dice: &mut Dice) {
    let live = org.live();
    let id = dice.pick(&live);
    match dice.below(9) {
        0 => drop(org.create(bare_deal("").with("Amount", Cell::number("7")))),
        1 => {
            org.delete(&id);
            deleted.push(id);
        }
        2 => deleted.pop().into_iter().for_each(|id| org.undelete(&id)),
        3 => org.move_stage(&id, "Closed Won"),
        4 => org.move_stage(&id, "Prospecting"),
        5 => org.rename_account(&account_id(dice.below(53)), "Renamed"),
        6 => org.merge_accounts(&account_id(dice.below(20)), &account_id(30 + dice.below(20))),
        7 if dice.below(4) == 0 => org.purge(&id),
        _ => org.set(&id, "Amount", Cell::number("1.0")),
    }
}

#[tokio::test]
async fn whatever_happens_between_pages_each_deal_is_as_it_was_at_some_moment_and_none_is_lost() {
    let seeds = if is_quick() { 20 } else { 200 };
    let (mut whole, mut exported) = (0, 0);
    for seed in 0..seeds {
        let moments: Arc<Mutex<Vec<Vec<Published>>>> = Arc::default();
        let (noted, mut dice, mut deleted) = (Arc::clone(&moments), Dice(seed), Vec::new());
        let crm = FakeSalesforce::start(deals(110)).await.page_size(20).result_page(20);
        let instance = crm.endpoint();
        crm.change(|org| moments.lock().unwrap().push(org.model(ZONE, &instance)));
        let crm = crm.after_each(move |org, _| {
            for _ in 0..dice.below(4) {
                happens(org, &mut deleted, &mut dice);
                noted.lock().unwrap().push(org.model(ZONE, &instance));
            }
        });
        let crm = if seed % 4 == 1 { crm.fail_at(Route::More, 3, Fault::LostCursor) } else { crm };
        let source = built(&section(&crm, if seed % 4 == 3 { "bulk_above = 1" } else { "" }));
        let pulled = pulled(&source).await.unwrap_or_else(|error| panic!("seed {seed}: {}", told(&error)));
        if !pulled.is_whole {
            continue;
        }
        whole += 1;
        exported += usize::from(is_exported(&crm));
        let (published, moments) = (pulled.published(), moments.lock().unwrap());
        for deal in &published {
            let was = moments.iter().flatten().any(|moment| moment == deal);
            assert!(was, "seed {seed}: {deal:?}");
        }
        let ids: BTreeSet<&str> = published.iter().map(|deal| deal.id.as_str()).collect();
        assert_eq!(ids.len(), published.len(), "seed {seed}: each once");
        for deal in &moments[0] {
            let throughout = moments.iter().all(|model| model.iter().any(|moment| moment.id == deal.id));
            assert!(!throughout || ids.contains(deal.id.as_str()), "seed {seed}: {} was there all along", deal.id);
        }
    }
    assert!(whole * 2 > seeds && exported > 0, "{whole} of {seeds} were whole, {exported} of them exports");
}
