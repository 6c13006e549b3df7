//! The `pipedrive` source against an account over real HTTP: what is pulled is what the account holds, in as few requests
//! as it takes, or the pull fails and says why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use figment::providers::{Format, Toml};
use figment::{Profile, Provider};
use rust_decimal::Decimal;
use sales_pipeline::advice::Advice;
use sales_pipeline::clock::{Clock, SystemClock};
use sales_pipeline::http::Clients;
use sales_pipeline::jobs::names;
use sales_pipeline::memory::InProcess;
use sales_pipeline::model::deal::{Deal, Status};
use sales_pipeline::model::finding::{Finding, Rule};
use sales_pipeline::secret::Keyring;
use sales_pipeline::settings::{Section, Span};
use sales_pipeline::sources::fetch::{FetchError, Fetched, fetch};
use sales_pipeline::sources::source::End;
use sales_pipeline::sources::{Built, Context, build};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::fake_pipedrive::{
    self, Account, CLIENT_ID, CLIENT_SECRET, Currency, FIRST_ORGANIZATION, FakePipedrive, Fault, Habit, Published,
    REFRESH_TOKEN, Refusal, Route, TOKEN, bare_deal, deals, field, organization, user,
};
use crate::program::Folder;

fn context() -> Context {
    Context {
        clients: Clients::new(),
        keyring: Arc::new(Keyring::default()),
        clock: Arc::new(SystemClock),
        zone: Tz::UTC,
        memory: Arc::new(InProcess::default()),
    }
}

fn built_in(toml: &str, context: &Context) -> Built {
    let section = Section(Toml::string(toml).data().unwrap().remove(&Profile::Default).unwrap());
    build(&section, context).unwrap_or_else(|problems| panic!("{problems:#?}\n{toml}"))
}

fn built(toml: &str) -> Built {
    built_in(toml, &context())
}

/// The section of a fake with more keys.
fn with(crm: &FakePipedrive, keys: &str) -> Built {
    built(&format!("{}\n{keys}", crm.section()))
}

/// A pull as it would be published.
struct Pulled {
    deals: Vec<Deal>,
    findings: Vec<Finding>,
    fetched: Fetched,
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

    fn deal(&self, id: &str) -> &Deal {
        self.deals.iter().find(|deal| deal.id == id).unwrap_or_else(|| panic!("there is no deal {id}"))
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
    let mut findings = std::mem::take(&mut fetched.tally.findings);
    let mut by_id: BTreeMap<String, Deal> = BTreeMap::new();
    for deal in taken {
        let record = names::record(&deal).unwrap();
        let lead = names::lead(&record, &fetched.names, &mut findings).unwrap();
        by_id.insert(deal.id, serde_json::from_slice::<Deal>(&lead).unwrap());
    }
    Ok(Pulled { deals: by_id.into_values().collect(), findings: findings.into_list(), fetched })
}

async fn pulled_from(crm: &FakePipedrive) -> Pulled {
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

fn asked(crm: &FakePipedrive, route: Route) -> u64 {
    crm.requests_of(route) as u64
}

/// The section of an app instead of a user's token.
fn app(crm: &FakePipedrive) -> String {
    let app = format!(
        "client_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\nrefresh_token = \"{REFRESH_TOKEN}\""
    );
    crm.section().replace(&format!("api_key = \"{TOKEN}\""), &app)
}

/// An account whose deals are of so many companies, of so many that there are.
async fn companies(deals: u64, wanted: u64, all: u64) -> FakePipedrive {
    let of = |number: u64| {
        let mut deal = bare_deal(number + 1);
        deal.organization = Some(FIRST_ORGANIZATION + number % wanted * (all / wanted));
        deal
    };
    let crm = FakePipedrive::start((0..deals).map(of).collect()).await;
    crm.with(|account| {
        account.organizations = (0..all).map(|n| (FIRST_ORGANIZATION + n, organization(&format!("No {n}")))).collect();
    })
}

#[test]
fn the_document_shows_sections_that_are_accepted_and_every_property_that_is_read() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/crm/pipedrive.md")).unwrap();
    let blocks = document.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let all = Toml::string(&blocks.collect::<String>()).data().unwrap().remove(&Profile::Default).unwrap();
    let section = all["sources"].find_ref("pipedrive").and_then(|section| section.as_dict()).unwrap().clone();
    let source = build(&Section(section), &context()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(source.warnings.is_empty());
    for mapped in built("api_key = \"k\"\nkind = \"pipedrive\"").source.mapping() {
        assert!(document.contains(&format!("`{}`", mapped.field)), "{}", mapped.field);
        for property in mapped.from.split([',', ' ']).filter(|word| word.contains('_')) {
            assert!(document.contains(&format!("`{property}`")), "{property}");
        }
    }
}

#[tokio::test]
async fn every_deal_comes_once_with_names_and_figures_in_no_more_requests_than_it_takes() {
    for count in [0, 1, 499, 500, 501, 1_000, 1_001] {
        let crm = FakePipedrive::start(deals(count)).await;
        let source = built(&crm.section());
        let first = pulled(&source).await.unwrap_or_else(|error| panic!("{}", told(&error)));
        assert_eq!(first.published(), crm.model(), "{count} deals");
        assert_eq!((first.fetched.counted, first.fetched.fetched), (Some(count), count));
        let (pages, organizations) = (count.div_ceil(500).max(1), u64::from(count > 0));
        let expected = pages + 3 + organizations + 2 + 1;
        assert_eq!(first.fetched.requests, expected, "{count}: deals, lists, organizations, account, summary");
        assert_eq!(asked(&crm, Route::Deals), pages);
        let second = pulled(&source).await.unwrap();
        assert_eq!(second.fetched.requests, expected - 2, "user and currencies are known for a day");
        assert_eq!(second.published(), crm.model());
        let cost = first.fetched.opened.cost.unwrap();
        assert!(cost.requests >= expected && cost.tokens.unwrap() >= crm.spent() / 2, "{cost:?}");
    }
}

#[tokio::test]
async fn what_a_pull_says_it_costs_in_tokens_is_what_pipedrive_counts() {
    let crm = FakePipedrive::start(deals(501)).await;
    let first = pulled_from(&crm).await;
    let (batches_not_taken, owners_not_asked_for) = (10 * (501_u64.div_ceil(100) - 1), 2 * 100);
    let tokens = first.fetched.opened.cost.unwrap().tokens;
    assert_eq!(tokens, Some(crm.spent() + batches_not_taken + owners_not_asked_for));
}

#[tokio::test]
async fn companies_are_read_by_the_list_or_in_batches_whichever_is_less_and_by_that_from_the_second_pull_on() {
    for (wanted, all, first, later) in [
        // Two pages of the list, seven batches.
        (700, 1_000, 2, 2),
        // Two batches, of six pages: two pages in vain, then the batches.
        (101, 3_000, 4, 2),
        (100, 3_000, 2, 1),
        (1, 501, 2, 1),
        (101, 1_000, 2, 2),
        (500, 2_500, 5, 5),
        (501, 3_006, 12, 6),
    ] {
        let crm = companies(wanted, wanted, all).await;
        let source = built(&crm.section());
        let mut sent = 0;
        for expected in [first, later, later] {
            let pulled = pulled(&source).await.unwrap();
            let now = asked(&crm, Route::Organizations);
            assert!(pulled.published() == crm.model(), "{wanted} of {all}");
            assert!(now - sent <= expected, "{wanted} of {all}: {} rather than {expected}", now - sent);
            let best = wanted.div_ceil(100).min(all.div_ceil(500));
            assert!(expected == first || expected == best, "{wanted} of {all}: {best}");
            assert!(now - sent <= 2 * best, "{wanted} of {all}");
            sent = now;
        }
    }
}

#[tokio::test]
async fn a_look_up_of_companies_that_is_cut_goes_on_where_it_was() {
    let crm = companies(700, 700, 5_000).await.fail_at(Route::Organizations, 4, Fault::Reset);
    let crm = crm.fail_at(Route::Organizations, 10, Fault::Html(502));
    assert_eq!(pulled_from(&crm).await.published(), crm.model());
    let without_faults = companies(700, 700, 5_000).await;
    pulled_from(&without_faults).await;
    assert_eq!(crm.requests_of(Route::Organizations), without_faults.requests_of(Route::Organizations) + 2);
}

#[tokio::test]
async fn an_organization_that_is_deleted_or_not_seen_is_no_company_and_the_deal_stays() {
    let crm = FakePipedrive::start(deals(60)).await;
    crm.change(|account| account.delete_organization(FIRST_ORGANIZATION));
    let pulled = pulled_from(&crm).await;
    assert_eq!((pulled.published(), pulled.deals.len()), (crm.model(), 60));
    let missing = pulled.findings.iter().find(|finding| finding.field == "company").unwrap();
    assert_eq!((missing.rule, missing.count), (Rule::R09, 2));
}

#[tokio::test]
async fn odd_but_honest_answers_are_read() {
    for habit in [
        Habit::OmitsNulls,
        Habit::AddsKeys,
        Habit::SendsNullLists,
        Habit::EndsWithEmptyPage,
        Habit::WritesOldTimes,
        Habit::HidesInactiveUsers,
        Habit::Packs,
    ] {
        for count in [0, 500, 620] {
            let crm = FakePipedrive::start(deals(count)).await.habit(habit);
            assert_eq!(pulled_from(&crm).await.published(), crm.model(), "{habit:?}, {count}");
        }
    }
}

#[tokio::test]
async fn a_full_last_page_that_names_an_empty_next_one_is_followed_and_a_short_page_is_not_the_end() {
    let crm = FakePipedrive::start(deals(500)).await.habit(Habit::EndsWithEmptyPage);
    assert_eq!(pulled_from(&crm).await.deals.len(), 500);
    assert_eq!(crm.requests_of(Route::Deals), 2);
    let crm = FakePipedrive::start(deals(700)).await.fail_at(Route::Deals, 2, Fault::EmptyPage);
    assert_eq!(pulled_from(&crm).await.published(), crm.model());
}

#[tokio::test]
async fn headers_of_the_limits_that_are_missing_are_no_reason_to_fail() {
    let crm = FakePipedrive::start(deals(3)).await.habit(Habit::HidesLimits);
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model());
    assert_eq!(pulled.fetched.opened.cost.unwrap().daily_limit, None);
}

#[tokio::test]
async fn an_owner_whom_the_list_of_users_leaves_out_is_asked_for_by_the_id() {
    let crm = FakePipedrive::start(deals(40)).await.habit(Habit::HidesInactiveUsers);
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model());
    assert_eq!(crm.requests_of(Route::User), 1, "once, not once a deal");
}

#[tokio::test]
async fn an_owner_whom_nobody_knows_has_no_name_and_is_counted() {
    let mut deal = bare_deal(1);
    deal.owner = Some(4_711);
    let crm = FakePipedrive::start(vec![deal]).await;
    let pulled = pulled_from(&crm).await;
    assert_eq!((&pulled.deals[0].owner, pulled.deals[0].owner_id.as_deref()), (&None, Some("4711")));
    assert!(pulled.found().contains(&(Rule::R09, "owner")));
}

#[tokio::test]
async fn an_owner_who_may_not_be_read_has_no_name_and_is_not_asked_for_again_that_day_not_even_by_the_next_process() {
    for status in [400, 403, 404] {
        let mut deal = bare_deal(1);
        deal.owner = Some(4_711);
        let crm = FakePipedrive::start(vec![deal]).await.fail_at(Route::User, 1, Fault::Status(status));
        let context = context();
        for _ in 0..2 {
            let pulled = pulled(&built_in(&crm.section(), &context)).await.unwrap();
            assert_eq!(pulled.deals[0].owner, None, "{status}");
            assert!(pulled.found().contains(&(Rule::R09, "owner")), "{status}");
            assert_eq!(crm.requests_of(Route::User), 1, "{status}");
        }
    }
}

#[tokio::test]
async fn a_hundred_owners_whom_nobody_lists_are_asked_for_in_a_pull_and_no_more() {
    let owned = |id| {
        let mut deal = bare_deal(id);
        deal.owner = Some(10_000 + id);
        deal
    };
    let crm = FakePipedrive::start((1..=130).map(owned).collect()).await;
    let source = built(&crm.section());
    let first = pulled(&source).await.unwrap();
    assert_eq!((first.deals.len(), asked(&crm, Route::User)), (130, 100));
    let cost = first.fetched.opened.cost.unwrap();
    assert!(cost.requests >= first.fetched.requests && cost.tokens.unwrap() >= crm.spent(), "{cost:?}");
    pulled(&source).await.unwrap();
    assert_eq!(asked(&crm, Route::User), 130, "the first hundred are known to be unknown");
}

#[tokio::test]
async fn the_token_stands_in_a_header_and_never_in_an_address() {
    let crm = FakePipedrive::start(deals(10)).await;
    pulled_from(&crm).await;
    for asked in crm.requests() {
        assert_eq!(asked.headers["x-api-token"], TOKEN, "{}", asked.path);
        assert!(!asked.query.contains("token") && asked.headers.get("authorization").is_none(), "{}", asked.query);
    }
}

#[tokio::test]
async fn deals_are_asked_for_by_id_five_hundred_at_a_time_and_in_version_2() {
    let crm = FakePipedrive::start(deals(501)).await;
    pulled_from(&crm).await;
    for asked in crm.requests().iter().filter(|asked| asked.route == Some(Route::Deals)) {
        assert!(asked.path.starts_with("/api/v2/"), "{}", asked.path);
        let params = ["limit", "sort_by", "sort_direction"].map(|name| asked.param(name).unwrap());
        assert_eq!(params, ["500", "id", "asc"]);
        assert_eq!(asked.param("filter_id"), None, "it would silently switch the others off");
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_and_nothing_is_lost_or_doubled() {
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Html(502),
        Fault::Html(503),
        Fault::Html(504),
        Fault::Html(520),
        Fault::Html(524),
        Fault::NullBody,
        Fault::Cut,
        Fault::CutJson,
        Fault::Reset,
        Fault::Stall,
    ] {
        for route in [
            Route::Me,
            Route::Currencies,
            Route::Pipelines,
            Route::Stages,
            Route::Users,
            Route::Summary,
            Route::Deals,
            Route::Organizations,
        ] {
            let crm = FakePipedrive::start(deals(60)).await.fail_at(route, 1, fault.clone());
            let pulled = pulled(&with(&crm, "timeout = \"300ms\"")).await;
            let pulled = pulled.unwrap_or_else(|error| panic!("{fault:?}, {route:?}: {}", told(&error)));
            assert_eq!(pulled.published(), crm.model(), "{fault:?}, {route:?}");
        }
    }
}

#[tokio::test]
async fn pages_that_do_not_add_up_fail_the_pull() {
    let out_of_order = "the ids of the deals do not grow";
    for (fault, words) in [
        (Fault::RepeatedCursor, "the next page is one that was read already"),
        (Fault::DuplicateRecord, out_of_order),
        (Fault::Disorder, out_of_order),
    ] {
        let crm = FakePipedrive::start(deals(1_200)).await.fail_at(Route::Deals, 2, fault.clone());
        let (told, advice) = failure(&built(&crm.section())).await;
        assert!(told.contains(words), "{fault:?}: {told}");
        assert_eq!(advice, Advice::CheckPaging);
    }
    let crm = companies(300, 300, 1_500).await.fail_at(Route::Organizations, 1, Fault::RepeatedCursor);
    assert_eq!(pulled_from(&crm).await.published(), crm.model(), "a page of organizations twice is none the worse");
}

#[tokio::test]
async fn a_cursor_that_repeats_while_the_ids_grow_fails_the_pull() {
    let mut crm = FakePipedrive::start(deals(3)).await;
    for nth in 1..=5_usize {
        let page = json!({"success": true, "data": [{"id": nth}], "additional_data": {"next_cursor": "same"}});
        crm = crm.fail_at(Route::Deals, nth, Fault::Says(200, page.to_string()));
    }
    let (told, advice) = failure(&built(&crm.section())).await;
    assert!(told.contains("the next page is one that was read already"), "{told}");
    assert_eq!((advice, asked(&crm, Route::Deals)), (Advice::CheckPaging, 2));
}

/// A page of so many deals that has this beside them.
fn page(count: u64, beside: &serde_json::Value) -> Fault {
    let deals: Vec<_> = (1..=count).map(|id| json!({"id": id, "pipeline_id": 1, "stage_id": 1})).collect();
    Fault::Says(200, json!({"success": true, "data": deals, "additional_data": beside}).to_string())
}

#[tokio::test]
async fn a_full_page_that_says_nothing_of_a_next_one_is_doubted_unless_the_count_proves_it_the_last() {
    let nothing = json!({});
    for (there, came, more, is_doubted) in [
        (700, 500, "", true),
        (700, 500, "verify = false", true),
        (500, 500, "verify = false", true),
        (500, 500, "", false),
        (499, 499, "verify = false", false),
    ] {
        let crm = FakePipedrive::start(deals(there)).await.fail_at(Route::Deals, 1, page(came, &nothing));
        let fetched = pulled(&with(&crm, more)).await.unwrap().fetched;
        let doubt = matches!(fetched.end, End::Unproven { blocks_publish: true, .. });
        assert_eq!(doubt, is_doubted, "{came} of {there}, {more}: {:?}", fetched.end);
    }
    let crm = FakePipedrive::start(deals(700)).await.fail_at(Route::Deals, 1, page(500, &nothing));
    let fetched = pulled(&with(&crm, "archived = true")).await.unwrap().fetched;
    assert!(fetched.end.doubt().is_some(), "the list of archived deals behind it is not doubted");
}

#[tokio::test]
async fn a_page_that_says_in_other_words_that_there_is_more_is_not_the_last() {
    for beside in [
        json!({"pagination": {"start": 0, "limit": 500, "more_items_in_collection": true, "next_start": 500}}),
        json!({"pagination": {"next_cursor": "eyJ9"}}),
        json!({"next_cursor": null, "more_items_in_collection": true}),
    ] {
        let crm = FakePipedrive::start(deals(3)).await.fail_at(Route::Deals, 1, page(3, &beside));
        let (told, advice) = failure(&with(&crm, "verify = false")).await;
        assert!(told.contains("the answer names no next page") && advice == Advice::CheckPaging, "{told}");
    }
}

#[tokio::test]
async fn currencies_that_may_not_be_read_are_done_without_and_told() {
    for status in [403, 404] {
        let crm = FakePipedrive::start(deals(30)).await.fail_at(Route::Currencies, 1, Fault::Status(status));
        let pulled = pulled_from(&crm).await;
        assert_eq!(pulled.published(), crm.model(), "{status}");
        assert!(pulled.warnings().contains("The currencies of the account's own are unknown"), "{}", pulled.warnings());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pull_logs_on_its_way_says_of_which_source_and_comes_once() {
    let mut all: Vec<_> = (1..=3).map(bare_deal).collect();
    all.iter_mut().zip(10_001..).for_each(|(deal, owner)| deal.owner = Some(owner));
    let crm = FakePipedrive::start(all).await.fail_at(Route::Deals, 1, Fault::Status(500));
    crm.change(|account| account.users.get_mut(&7).unwrap().is_admin = false);
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}", crm.section()));
    let told = folder.run(&["pull"]);
    told.assert_code(0);
    for part in ["Trying again", "is no administrator", "has no name"] {
        let lines: Vec<&str> = told.stderr.lines().filter(|line| line.contains(part)).collect();
        assert_eq!(lines.len(), 1, "{part} in\n{}", told.stderr);
        assert!(lines[0].contains(r#""source.name":"crm""#), "{}", lines[0]);
    }
}

#[tokio::test]
async fn each_error_ends_the_pull_at_once_in_words_that_say_what_to_do() {
    for (fault, words, cure) in [
        (Fault::Unsuccessful, "an error, though its status says otherwise", Advice::CheckAddress),
        (Fault::Status(400), "answers 400", Advice::CheckAddress),
        (Fault::Unauthorized, "does not accept the credentials", Advice::RenewCredentials),
        (Fault::Status(402), "the account is not paid for", Advice::PayAccount),
        (Fault::Status(403), "may not read this", Advice::GrantPermission),
        (Fault::Html(403), "blocks this account's requests, until 20", Advice::WaitForBlock),
        (Fault::Status(404), "answers 404", Advice::CheckAddress),
        (Fault::Status(410), "answers 410", Advice::CheckAddress),
        (Fault::Status(415), "answers 415", Advice::CheckAddress),
        (Fault::Status(501), "answers 501", Advice::CheckAddress),
        (Fault::Limit(Refusal::Daily), "its limit for the day is reached", Advice::WaitForLimit),
        (Fault::Limit(Refusal::Blocked), "blocks this account's requests, until 20", Advice::WaitForBlock),
        (Fault::Redirect("https://evil.example/".to_owned()), "answers 302", Advice::CheckAddress),
        (Fault::Html(200), "an HTML page, not JSON", Advice::CheckAddress),
    ] {
        let crm = FakePipedrive::start(deals(620)).await.fail_at(Route::Deals, 2, fault.clone());
        let (told, advice) = failure(&built(&crm.section())).await;
        assert!(told.contains(words) && told.starts_with("read page 2: "), "{fault:?}: {told}");
        assert_eq!(advice, cure, "{fault:?}");
        assert_eq!(crm.requests_of(Route::Deals), 2, "{fault:?}: no other try");
    }
}

#[tokio::test]
async fn a_burst_is_waited_out_and_the_pull_goes_on() {
    let crm = FakePipedrive::start(deals(620)).await.fail_at(Route::Deals, 2, Fault::Limit(Refusal::Burst));
    let begun = Instant::now();
    assert_eq!(pulled_from(&crm).await.published(), crm.model());
    assert!(begun.elapsed() >= Duration::from_secs(2), "the window of the limit");
}

#[tokio::test]
async fn three_bursts_are_waited_out_in_a_pull_wherever_they_are_and_the_fourth_is_the_end_of_the_day() {
    let mut crm = FakePipedrive::start(deals(3)).await;
    for route in [Route::Pipelines, Route::Users] {
        for nth in [1, 2] {
            crm = crm.fail_at(route, nth, Fault::Limit(Refusal::Burst));
        }
    }
    let context = context();
    let (told, _) = failure(&built_in(&crm.section(), &context)).await;
    assert!(told.ends_with("read the users: the CRM answers 429: its limit for the day is reached"), "{told}");
    let sent = crm.requests().len();
    let (told, _) = failure(&built_in(&crm.section(), &context)).await;
    assert!(told.contains("limit for the day") && crm.requests().len() == sent, "it is kept to: {told}");
}

#[tokio::test]
async fn after_the_limit_of_the_day_nothing_is_asked_for_a_while_not_even_by_the_next_process() {
    let crm = FakePipedrive::start(deals(620)).await.daily(110);
    let context = context();
    let (told, advice) = failure(&built_in(&crm.section(), &context)).await;
    assert!(told.contains("its limit for the day is reached"), "{told}");
    assert_eq!((advice, crm.refused()), (Advice::WaitForLimit, 1), "it is not asked again");
    let (again, _) = failure(&built_in(&crm.section(), &context)).await;
    assert!(again.ends_with("its limit for the day is reached"), "nobody said until when: {again}");
    assert_eq!(crm.refused(), 1, "not one more request");
}

#[tokio::test]
async fn after_a_block_nothing_is_asked_for_a_quarter_of_an_hour_not_even_by_the_next_process() {
    let crm = FakePipedrive::start(deals(620)).await.fail_at(Route::Stages, 1, Fault::Limit(Refusal::Blocked));
    let context = context();
    let (told, advice) = failure(&built_in(&crm.section(), &context)).await;
    assert!(told.contains("read the pipelines: the CRM answers 403: it blocks"), "{told}");
    let sent = crm.requests().len();
    let (again, _) = failure(&built_in(&crm.section(), &context)).await;
    assert!(again.contains("blocks this account's requests, until 20"), "{again}");
    assert_eq!((advice, crm.requests().len()), (Advice::WaitForBlock, sent), "not one more request");
    let other = crm.section().replace(TOKEN, "canary-other-token");
    let (told, _) = failure(&built_in(&other, &context)).await;
    assert!(told.contains("does not accept the credentials"), "other credentials are asked with: {told}");
}

#[tokio::test]
async fn the_pace_is_half_of_what_the_answers_allow_and_no_request_is_refused() {
    let crm = companies(30, 30, 30).await.limit(20, Duration::from_secs(2));
    let crm = crm.with(|account| {
        account.users.retain(|id, _| *id == 7);
        for (number, deal) in (100..).zip(account.deals.values_mut()) {
            deal.owner = Some(number);
        }
    });
    let begun = Instant::now();
    pulled_from(&crm).await;
    let sent = crm.requests().len();
    assert!(sent > 30 && crm.refused() == 0, "{} of {sent}", crm.refused());
    assert!(begun.elapsed() >= Duration::from_secs(6), "10 in two seconds");
}

#[tokio::test]
async fn a_token_whose_user_is_no_administrator_sees_a_part_and_the_pull_says_so() {
    let crm = FakePipedrive::start(deals(40)).await;
    assert_eq!(pulled_from(&crm).await.warnings(), "");
    crm.change(|account| {
        account.users.get_mut(&7).unwrap().is_admin = false;
        for deal in account.deals.values_mut().filter(|deal| deal.owner == Some(9)) {
            deal.visible_to = 1;
        }
    });
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model());
    assert!(pulled.deals.len() < 40 && pulled.warnings().contains("no administrator"), "{}", pulled.warnings());
    assert_eq!(pulled.fetched.counted, Some(pulled.deals.len() as u64), "no count tells what is hidden");
}

#[tokio::test]
async fn archived_deals_come_on_request_and_are_counted_apart() {
    let crm = FakePipedrive::start(deals(620)).await;
    crm.change(|account| account.live().into_iter().step_by(3).for_each(|id| account.archive(id)));
    let without = pulled_from(&crm).await;
    assert_eq!(without.published(), crm.model());
    assert_eq!(asked(&crm, Route::ArchivedDeals), 0);
    let all = pulled(&with(&crm, "archived = true")).await.unwrap();
    assert_eq!((all.published(), all.deals.len()), (crm.model_with_archived(), 620));
    assert_eq!((all.fetched.counted, all.fetched.tally.uncounted), (Some(413), 207), "the summary leaves them out");
    assert_eq!(asked(&crm, Route::ArchivedDeals), 1);
}

#[tokio::test]
async fn a_deal_that_is_archived_on_the_way_comes_all_the_same_where_archived_ones_are_wanted() {
    let crm = FakePipedrive::start(deals(620)).await.after_each(|account, route| {
        if route == Route::Deals {
            let live = account.live();
            account.archive(live[0]);
            account.archive(live[live.len() - 1]);
        }
    });
    let all = pulled(&with(&crm, "archived = true")).await.unwrap();
    assert_eq!(all.deals.len(), 620);
}

#[tokio::test]
async fn deleted_deals_are_left_out_and_so_are_merged_ones() {
    let crm = FakePipedrive::start(deals(30)).await;
    crm.change(|account| {
        let live = account.live();
        account.delete(live[3]);
        account.merge(live[5], live[6]);
    });
    let pulled = pulled_from(&crm).await;
    assert_eq!((pulled.published(), pulled.deals.len()), (crm.model(), 28));
}

#[tokio::test]
async fn one_pipeline_is_asked_for_alone_and_several_are_picked_from_the_whole_list() {
    let crm = FakePipedrive::start(deals(620)).await;
    for (pipelines, count, pages) in
        [("[\"Renewals\"]", 206, 1), ("[\"2\"]", 206, 1), ("[\"EU sales\", \"Renewals\"]", 620, 2)]
    {
        let (before, summaries) = (asked(&crm, Route::Deals), asked(&crm, Route::Summary));
        let pulled = pulled(&with(&crm, &format!("pipelines = {pipelines}"))).await.unwrap();
        let is_wanted = |deal: &Published| pipelines.contains(&deal.pipeline) || pipelines.contains(&deal.pipeline_id);
        let model: Vec<Published> = crm.model().into_iter().filter(is_wanted).collect();
        assert!(pulled.published() == model, "{pipelines}");
        assert_eq!((pulled.deals.len(), pulled.fetched.tally.filtered), (count, 0), "{pipelines}");
        assert_eq!(pulled.fetched.counted, Some(count as u64));
        assert_eq!(asked(&crm, Route::Deals) - before, pages);
        assert_eq!(asked(&crm, Route::Summary) - summaries, pipelines.split(',').count() as u64);
    }
    let (told, advice) = failure(&with(&crm, "pipelines = [\"Renewal\"]")).await;
    assert!(told.contains("the account has no pipeline `Renewal`") && advice == Advice::CheckMapping, "{told}");
}

#[tokio::test]
async fn the_count_of_several_pipelines_is_held_against_their_deals_alone() {
    let crm = FakePipedrive::start(deals(620)).await;
    crm.change(|account| {
        let third = crate::fake_pipedrive::Pipeline { name: "Third".to_owned(), ..account.pipelines[&2].clone() };
        account.pipelines.insert(3, third);
    });
    let pulled = pulled(&with(&crm, "pipelines = [\"Renewals\", \"Third\"]")).await.unwrap();
    assert_eq!((pulled.fetched.counted, pulled.fetched.fetched), (Some(206), 620));
    assert_eq!(pulled.fetched.tally.uncounted, 620 - 206);
}

#[tokio::test]
async fn without_verify_no_summary_is_asked_for() {
    let crm = FakePipedrive::start(deals(3)).await;
    let pulled = pulled(&with(&crm, "verify = false")).await.unwrap();
    assert_eq!((pulled.fetched.counted, asked(&crm, Route::Summary)), (None, 0));
}

#[tokio::test]
async fn the_four_steps_to_a_probability() {
    let deal = |id, status, pipeline, stage, probability: Option<&str>| {
        let mut deal = bare_deal(id);
        (deal.status, deal.pipeline, deal.stage) = (status, pipeline, stage);
        deal.probability = probability.map(ToOwned::to_owned);
        deal
    };
    let crm = FakePipedrive::start(vec![
        deal(1, Status::Won, 1, 1, Some("30")),
        deal(2, Status::Lost, 1, 1, Some("30")),
        deal(3, Status::Open, 1, 1, Some("33")),
        deal(4, Status::Open, 1, 1, None),
        deal(5, Status::Open, 2, 5, Some("33")),
        deal(6, Status::Open, 1, 3, Some("0")),
        deal(7, Status::Open, 1, 3, Some("101")),
        deal(8, Status::Open, 2, 6, None),
    ])
    .await;
    crm.change(|account| account.stages.get_mut(&6).unwrap().probability = None);
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model());
    let chances: Vec<Option<Decimal>> = pulled.deals.iter().map(|deal| deal.probability).collect();
    let percent = |percent: i64| Some(Decimal::new(percent, 2).normalize());
    let expected = [percent(100), percent(0), percent(33), percent(20), percent(10), percent(0), None, None];
    assert_eq!(chances, expected, "won, lost, its own, the stage's, its own switched off, zero, impossible, none");
    assert!(pulled.found().contains(&(Rule::D06, "probability")));
}

#[tokio::test]
async fn amounts_are_exact_in_every_currency_and_none_is_not_zero() {
    let codes = ["JPY", "CLP", "EUR", "USD", "BHD", "KWD", "CLF"];
    let amounts = [Some("0.30000000000000004"), Some("1.0E7"), Some("0"), Some("123456789012345.67"), None];
    let all = codes.iter().flat_map(|code| amounts.iter().map(move |amount| (*code, *amount)));
    let deals = (1..).zip(all).map(|(id, (code, amount))| {
        let mut deal = bare_deal(id);
        (deal.currency, deal.value) = (Some(code.to_owned()), amount.map(ToOwned::to_owned));
        deal
    });
    let crm = FakePipedrive::start(deals.collect()).await;
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model());
    assert_eq!(pulled.deal("1").value.map(|value| value.to_string()).as_deref(), Some("0.30000000000000004"));
}

#[tokio::test]
async fn a_currency_of_the_accounts_own_is_told_and_its_amounts_are_not_priced() {
    let mut deal = bare_deal(1);
    (deal.currency, deal.value) = (Some("POINT".to_owned()), Some("7".to_owned()));
    let crm = FakePipedrive::start(vec![deal]).await.with(|account| {
        let own = Currency { decimals: 0, is_active: true, is_custom: true, rate: None };
        account.currencies.insert("POINT".to_owned(), own);
    });
    let pulled = pulled_from(&crm).await;
    assert_eq!((pulled.deals[0].value, pulled.found().contains(&(Rule::D09, "currency"))), (None, true));
    assert_eq!(pulled.published(), crm.model(), "it is in none of ours, and not in the account's own");
    assert!(pulled.warnings().contains("`POINT` is no ISO 4217 code"), "{}", pulled.warnings());
}

#[tokio::test]
async fn a_stage_that_is_gone_stands_as_its_id_and_one_that_is_listed_as_deleted_has_its_name() {
    let crm = FakePipedrive::start(deals(40)).await;
    crm.change(|account| account.delete_stage(3));
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model());
    assert!(pulled.found().contains(&(Rule::R09, "stage")));
    assert!(pulled.deals.iter().any(|deal| deal.stage.as_deref() == Some("3")));
    crm.change(|account| account.lists_deleted = true);
    assert_eq!(pulled_from(&crm).await.published(), crm.model());
}

#[tokio::test]
async fn a_stage_has_its_name_and_its_chance_though_nobody_lists_its_pipeline() {
    let crm = FakePipedrive::start(deals(40)).await;
    crm.change(|account| account.pipelines.get_mut(&2).unwrap().is_deleted = true);
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model());
    assert_eq!(pulled.found(), [(Rule::R09, "pipeline")].into());
}

#[tokio::test]
async fn a_chance_of_a_stage_that_is_none_is_empty_and_told() {
    let mut deal = bare_deal(1);
    deal.pipeline = 2;
    deal.stage = 5;
    let crm = FakePipedrive::start(vec![deal]).await;
    crm.change(|account| account.stages.get_mut(&5).unwrap().probability = Some(150));
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.deals[0].probability, None);
    assert!(pulled.warnings().contains("The probability of stage 5 is not between"), "{}", pulled.warnings());
}

#[tokio::test]
async fn organizations_of_which_none_comes_while_many_deals_name_one_fail_the_pull() {
    let crm = companies(250, 250, 250).await;
    crm.change(|account| account.organizations.clear());
    let (told, advice) = failure(&built(&crm.section())).await;
    assert!(told.contains("lists no organization, and the deals are of 250"), "{told}");
    assert_eq!(advice, Advice::CheckAddress);
    let crm = companies(19, 19, 19).await;
    crm.change(|account| account.organizations.clear());
    assert_eq!(pulled_from(&crm).await.published(), crm.model(), "these may all be deleted");
}

#[tokio::test]
async fn every_property_of_the_record_itself_can_be_named_without_asking_for_the_fields() {
    let crm = FakePipedrive::start(deals(3)).await;
    let keys = ["is_archived", "org_id", "probability", "pipeline_id", "visible_to"];
    let fields: Vec<String> = keys.iter().map(|key| format!("my_{key} = \"{key}\"")).collect();
    let pulled = pulled(&with(&crm, &format!("fields = {{ {} }}", fields.join(", ")))).await.unwrap();
    let custom = &pulled.deals[0].custom;
    assert_eq!((custom["my_is_archived"].get(), custom["my_org_id"].get()), ("false", "9001"));
    assert_eq!((pulled.warnings().as_str(), asked(&crm, Route::DealFields)), ("", 0));
}

#[tokio::test]
async fn a_stage_that_is_gone_keeps_its_name_also_in_the_next_process_and_no_chance() {
    let crm = FakePipedrive::start(deals(40)).await;
    let context = context();
    let before = pulled(&built_in(&crm.section(), &context)).await.unwrap();
    crm.change(|account| account.delete_stage(3));
    let after = pulled(&built_in(&crm.section(), &context)).await.unwrap();
    let stages = |pulled: &Pulled| pulled.deals.iter().map(|deal| deal.stage.clone()).collect::<Vec<_>>();
    assert_eq!(stages(&after), stages(&before));
    assert!(after.found().contains(&(Rule::R09, "stage")));
    let chances = |deals: &[Published]| deals.iter().map(|deal| deal.probability).collect::<Vec<_>>();
    assert_eq!(chances(&after.published()), chances(&crm.model()), "what the stage says no more is not said");
}

#[tokio::test]
async fn a_list_of_stages_that_is_empty_while_deals_stand_in_some_fails_the_pull() {
    let crm = FakePipedrive::start(deals(4)).await.with(|account| account.stages.clear());
    let (told, _) = failure(&built(&crm.section())).await;
    assert!(told.contains("lists no stage, and the deals stand in some"), "{told}");
    let crm = FakePipedrive::start(deals(4)).await.with(|account| account.pipelines.clear());
    let (told, _) = failure(&built(&crm.section())).await;
    assert!(told.contains("lists no pipeline, and the deals stand in some"), "{told}");
}

#[tokio::test]
async fn ids_beyond_what_a_double_holds_are_exact() {
    let large = 9_007_199_254_740_993;
    let crm = FakePipedrive::start(vec![bare_deal(large - 1), bare_deal(large), bare_deal(u64::MAX)]).await;
    crm.change(|account| {
        account.organizations.insert(large, organization("Nordwind"));
        account.users.insert(large, user("Bo"));
        account.update(large, |deal| (deal.organization, deal.owner) = (Some(large), Some(large)));
    });
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model());
    let deal = pulled.deal("9007199254740993");
    assert_eq!((deal.company.as_deref(), deal.owner.as_deref()), (Some("Nordwind"), Some("Bo")));
}

#[tokio::test]
async fn fields_of_the_accounts_own_come_by_key_or_name_with_the_labels_of_their_options() {
    let mut own = bare_deal(1);
    let (segment, arr, tags, seats) = (
        field(1, "Segment", "enum"),
        field(2, "Yearly", "monetary"),
        field(3, "Tags", "set"),
        field(4, "Seats", "double"),
    );
    let options = |ids: &[(u64, &str)]| ids.iter().map(|(id, label)| (*id, (*label).to_owned())).collect();
    let segment = crate::fake_pipedrive::Field { options: options(&[(12, "SMB"), (13, "Enterprise")]), ..segment };
    let tags = crate::fake_pipedrive::Field { options: options(&[(1, "hot"), (2, "late")]), ..tags };
    (own.value, own.currency) = (Some("1".to_owned()), Some("EUR".to_owned()));
    own.custom.insert(segment.code.clone(), json!(12));
    own.custom.insert(arr.code.clone(), json!({"value": 500.5, "currency": "USD"}));
    own.custom.insert(tags.code.clone(), json!([2, 1]));
    own.custom.insert(seats.code.clone(), json!(7));
    let keys = format!(
        "[fields]\nvalue = \"Yearly\"\nforecast_category = \"{}\"\nsegment = \"Segment\"\ntags = \"Tags\"\nseats = \"{}\"\n\
         yearly = \"{}\"\ntypo = \"Segmnt\"\norigin = \"origin\"",
        segment.code, seats.code, arr.code
    );
    let mut empty = bare_deal(2);
    empty.custom.insert(arr.code.clone(), json!({"value": null, "currency": null}));
    let crm = FakePipedrive::start(vec![own, empty]).await;
    crm.change(|account| account.fields = vec![segment, arr, tags, seats]);
    let source = with(&crm, &keys);
    let first = pulled(&source).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    let deal = &first.deals[0];
    let shown =
        (deal.value.unwrap().to_string(), deal.currency.unwrap().to_string(), deal.forecast_category.as_deref());
    assert_eq!(shown, ("500.5".to_owned(), "USD".to_owned(), Some("SMB")));
    let custom: Vec<(&str, &str)> = deal.custom.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
    assert_eq!(
        custom,
        [
            ("origin", "\"ManuallyCreated\""),
            ("seats", "7"),
            ("segment", "\"SMB\""),
            ("tags", "[\"late\",\"hot\"]"),
            ("typo", "null"),
            ("yearly", "{\"currency\":\"USD\",\"value\":500.5}"),
        ]
    );
    assert!(first.deals[1].value.is_none() && first.deals[1].custom["segment"].get() == "null");
    assert_eq!(first.deals[1].custom["yearly"].get(), "null", "an amount of nothing");
    assert_eq!(first.warnings(), "The account's deals have no field `Segmnt`: `fields.typo` stays empty");
    let listed = crm.requests().into_iter().find(|asked| asked.route == Some(Route::Deals)).unwrap();
    assert_eq!(listed.param("custom_fields").unwrap().split(',').count(), 4, "and no others");
    pulled(&source).await.unwrap();
    assert_eq!(crm.requests_of(Route::DealFields), 1, "known for a day");
}

#[tokio::test]
async fn more_than_fifteen_fields_of_the_accounts_own_come_without_being_named() {
    let mut deal = bare_deal(1);
    let fields: Vec<_> = (1..=16).map(|number| field(number, &format!("Field {number}"), "double")).collect();
    deal.custom = fields.iter().map(|field| (field.code.clone(), json!(1))).collect();
    let names: Vec<String> = (1..=16).map(|number| format!("f{number} = \"Field {number}\"")).collect();
    let crm = FakePipedrive::start(vec![deal]).await;
    crm.change(|account| account.fields = fields);
    let pulled = pulled(&with(&crm, &format!("[fields]\n{}", names.join("\n")))).await.unwrap();
    assert!(pulled.deals[0].custom.len() == 16 && pulled.deals[0].custom.values().all(|value| value.get() == "1"));
    let listed = crm.requests().into_iter().find(|asked| asked.route == Some(Route::Deals)).unwrap();
    assert_eq!(listed.param("custom_fields"), None);
}

#[tokio::test]
async fn fields_beyond_the_first_page_of_their_list_are_found() {
    let crm = FakePipedrive::start(vec![bare_deal(1)]).await;
    crm.change(|account| account.fields = (1..=700).map(|n| field(n, &format!("Field {n}"), "double")).collect());
    let pulled = pulled(&with(&crm, "fields = { last = \"Field 700\" }")).await.unwrap();
    assert_eq!((pulled.warnings().as_str(), crm.requests_of(Route::DealFields)), ("", 2));
}

#[tokio::test]
async fn a_company_of_a_field_needs_no_organizations() {
    let crm = FakePipedrive::start(deals(10)).await;
    let pulled = pulled(&with(&crm, "fields = { company = \"title\" }")).await.unwrap();
    assert_eq!(pulled.deals[0].company.as_ref(), Some(&pulled.deals[0].name));
    assert_eq!(crm.requests_of(Route::Organizations), 0);
}

#[tokio::test]
async fn an_app_renews_its_token_once_however_many_ask_and_again_when_it_is_refused() {
    let crm = FakePipedrive::start(deals(250)).await;
    let source = built(&app(&crm));
    let (one, other) = tokio::join!(pulled(&source), pulled(&source));
    assert_eq!(one.unwrap().published(), other.unwrap().published());
    assert_eq!(crm.requests_of(Route::Token), 1);
    crm.expire_tokens();
    let third = pulled(&source).await.unwrap();
    assert_eq!(third.published(), crm.model());
    assert_eq!(crm.requests_of(Route::Token), 2);
    let bearing = crm.requests().into_iter().filter(|asked| asked.route == Some(Route::Deals));
    assert!(bearing.into_iter().all(|asked| asked.headers["authorization"].to_str().unwrap().starts_with("Bearer ")));
}

#[tokio::test]
async fn an_app_that_stays_refused_ends_the_pull_after_one_renewal() {
    let crm = FakePipedrive::start(deals(3)).await;
    let crm = crm.fail_at(Route::Stages, 1, Fault::Unauthorized).fail_at(Route::Stages, 2, Fault::Unauthorized);
    let (told, advice) = failure(&built(&app(&crm))).await;
    assert!(told.contains("does not accept the credentials") && advice == Advice::RenewCredentials, "{told}");
    assert_eq!((crm.requests_of(Route::Stages), crm.requests_of(Route::Token)), (2, 2));
    let revoked = built(&app(&crm).replace(REFRESH_TOKEN, "canary-revoked"));
    let (told, advice) = failure(&revoked).await;
    assert!(told.contains("renew the access token: invalid_grant: the CRM answers 400"), "{told}");
    assert_eq!(advice, Advice::RenewCredentials);
}

#[tokio::test]
async fn an_app_that_may_not_read_something_is_refused_in_words() {
    for (granted, part, scope) in [
        (&["deals:read", "contacts:read", "users:read"][..], "read the account", "base"),
        (&["base", "contacts:read", "users:read"], "read the pipelines", "deals:read"),
        (&["base", "deals:read", "contacts:read"], "read the users", "users:read"),
        (&["base", "deals:read", "users:read"], "read the organizations", "contacts:read"),
    ] {
        let crm = FakePipedrive::start(deals(3)).await.scopes(granted);
        let (told, advice) = failure(&built(&app(&crm))).await;
        assert!(told.contains(part) && told.contains("may not read this"), "{told}");
        assert!(told.ends_with(&format!("it needs the scope `{scope}`")), "{told}");
        assert_eq!(advice, Advice::GrantPermission);
    }
}

#[tokio::test]
async fn a_token_of_an_app_goes_to_the_configured_host_and_nowhere_else() {
    let elsewhere = FakePipedrive::start(deals(1)).await;
    let crm = FakePipedrive::start(deals(5)).await.api_domain(&elsewhere.endpoint());
    assert_eq!(pulled(&built(&app(&crm))).await.unwrap().published(), crm.model());
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn four_variables_are_enough_to_publish_an_account_and_check_shows_what_a_run_costs() {
    let crm = FakePipedrive::start(deals(120)).await.daily(30_000);
    let folder = Folder::new();
    let variables = |key: &str| {
        let endpoint = format!("{}/api/v2/deals", crm.endpoint());
        format!("SALES_PIPELINE_SOURCE=pipedrive\nSALES_PIPELINE_API_KEY={key}\nSALES_PIPELINE_ENDPOINT={endpoint}\n")
    };
    folder.write(".env.local", &variables(TOKEN));
    let told = folder.run(&["pull"]);
    told.assert_code(0);
    assert!(!format!("{}{}", told.stdout, told.stderr).contains("canary"), "{told:?}");
    let latest = folder.json("output/sales_pipeline.json");
    assert!(!latest.to_string().contains("canary"));
    assert_eq!((&latest["source"], &latest["account"]), (&"pipedrive".into(), &"4242424".into()));
    assert_eq!(latest["completeness"]["proof"], "cursor exhausted; count matches");
    let connected = folder.run(&["check", "--connect"]);
    connected.assert_code(0);
    for part in ["account      4242424, currency EUR", "first page   120 records", "tokens", "of the 30000 a day"] {
        assert!(connected.stdout.contains(part), "no `{part}` in\n{}", connected.stdout);
    }
    folder.write(".env.local", &variables("canary-wrong"));
    let refused = folder.run(&["pull"]);
    refused.assert_code(77);
    assert!(refused.stderr.contains("renew the key") && !refused.stderr.contains("canary"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_vanished_is_explained_as_deleted_archived_or_gone() {
    let crm = FakePipedrive::start(deals(60)).await;
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}", crm.section()));
    folder.run(&["pull"]).assert_code(0);
    let before = crm.requests().len();
    folder.run(&["pull"]).assert_code(0);
    assert_eq!(crm.requests().len() - before, before, "nothing vanished, so nothing is asked");
    crm.change(|account| {
        let live = account.live();
        account.delete(live[0]);
        account.archive(live[1]);
        account.merge(live[2], live[3]);
    });
    folder.run(&["pull"]).assert_code(0);
    let vanished = folder.json("output/sales_pipeline.json")["completeness"]["vanished"].clone();
    let expected = json!({"archived": 1, "merged": 0, "out_of_scope": 1, "unknown": 1, "not_asked": 0});
    assert_eq!(vanished, expected, "a merged one leaves nothing to ask for");
    assert_eq!(crm.requests_of(Route::ArchivedDeals), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_that_lost_deals_is_held_by_the_crms_own_count() {
    let mut is_lost = false;
    let crm = FakePipedrive::start(deals(600)).await.after_each(move |account, route| {
        // Somebody takes the rights of the token's user away between the count and the list.
        if route == Route::Summary && !std::mem::replace(&mut is_lost, true) {
            account.users.get_mut(&7).unwrap().is_admin = false;
            account.deals.values_mut().filter(|deal| deal.owner != Some(7)).for_each(|deal| deal.visible_to = 1);
        }
    });
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}", crm.section()));
    let told = folder.run(&["pull"]);
    told.assert_code(65);
    assert!(told.stderr.contains("150 deals came, and the CRM counts 600 (R02)"), "{}", told.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_total_than_the_crms_own_is_marked_unless_a_deal_has_just_changed() {
    let marked = |change: fn(&mut fake_pipedrive::Deal)| async move {
        let crm = FakePipedrive::start(deals(30)).await.after_each(move |account, route| {
            if route == Route::Summary {
                account.deals.values_mut().take(1).for_each(change);
            }
        });
        let folder = Folder::new();
        folder.write_config(&format!("[sources.crm]\n{}", crm.section()));
        let pull = folder.run(&["pull"]);
        pull.assert_code(0);
        let findings = folder.json("output/sales_pipeline.json")["quality"]["findings"].clone();
        let mut findings = findings.as_array().unwrap().clone();
        findings.retain(|finding| finding["rule"] == "R02");
        assert_eq!(pull.stderr.contains("the CRM's own total is"), !findings.is_empty(), "{}", pull.stderr);
        findings
    };
    assert_eq!(marked(|_| ()).await, Vec::<serde_json::Value>::new());
    let found = marked(|deal| deal.value = Some("999999.5".to_owned())).await;
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.starts_with("these deals make ") && message.contains(", and the CRM's own total is "), "{message}");
    assert_eq!((found.len(), found[0]["field"].as_str()), (1, Some("value")));
    let just_now = |deal: &mut fake_pipedrive::Deal| {
        deal.value = Some("999999.5".to_owned());
        deal.updated_at = SystemClock.now();
    };
    assert_eq!(marked(just_now).await, Vec::<serde_json::Value>::new(), "totals that move prove nothing");
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

/// Something that happens to an account.
fn happens(account: &mut Account, dice: &mut Dice) {
    let (live, companies) = (account.live(), account.organizations.keys().copied().collect::<Vec<u64>>());
    let id = dice.pick(&live);
    match dice.below(10) {
        0 => {
            let mut new = bare_deal(0);
            new.organization = Some(dice.pick(&companies));
            account.create(new);
        }
        1 => account.archive(id),
        2 => {
            let other = dice.pick(&live);
            if other != id {
                account.merge(id, other);
            }
        }
        3 => account.delete(id),
        4 => account.move_stage(id, 1 + dice.below(6)),
        5 => account.close(id, dice.pick(&[Status::Won, Status::Lost, Status::Open])),
        6 => account.rename_organization(dice.pick(&companies), "Renamed"),
        7 => account.deactivate_user(8 + dice.below(3)),
        8 => account.update(id, |deal| (deal.value, deal.currency) = (Some("7.5".to_owned()), Some("USD".to_owned()))),
        _ => {
            let company = dice.pick(&companies);
            account.update(id, |deal| deal.organization = Some(company));
        }
    }
}

/// Everything that was true at some moment of a pull.
#[derive(Default)]
struct Moments {
    models: Vec<BTreeMap<String, Published>>,
    /// The companies of each deal, and the names of each company.
    companies: BTreeMap<String, BTreeSet<u64>>,
    names: BTreeMap<u64, BTreeSet<String>>,
}

impl Moments {
    fn note(&mut self, account: &Account, with_archived: bool) {
        self.models.push(account.model(with_archived).into_iter().map(|deal| (deal.id.clone(), deal)).collect());
        for deal in account.deals.values() {
            self.companies.entry(deal.id.to_string()).or_default().extend(deal.organization);
        }
        for (id, organization) in &account.organizations {
            self.names.entry(*id).or_default().insert(organization.name.clone());
        }
    }

    /// Whether a published deal is as it was at one moment, and its company is called what it was at another: names are
    /// asked for in another request than deals.
    fn holds(&self, deal: &Published) -> bool {
        let nameless = |deal: &Published| Published { company: None, ..deal.clone() };
        let own = nameless(deal);
        let was = self.models.iter().filter_map(|model| model.get(&deal.id)).any(|moment| nameless(moment) == own);
        let company = deal
            .company
            .as_ref()
            .is_none_or(|name| self.companies[&deal.id].iter().any(|company| self.names[company].contains(name)));
        was && company
    }
}

#[tokio::test]
async fn whatever_happens_between_pages_each_deal_is_as_it_was_at_some_moment_and_none_is_lost() {
    let seeds = if crate::program::is_quick() { 20 } else { 200 };
    for seed in 0..seeds {
        let with_archived = seed % 4 == 3;
        let moments = Arc::new(Mutex::new(Moments::default()));
        let (noted, mut dice) = (Arc::clone(&moments), Dice(seed));
        let crm = FakePipedrive::start(deals(510)).await;
        crm.change(|account| moments.lock().unwrap().note(account, with_archived));
        let crm = crm.after_each(move |account, _| {
            for _ in 0..dice.below(4) {
                happens(account, &mut dice);
                noted.lock().unwrap().note(account, with_archived);
            }
        });
        let source = with(&crm, &format!("archived = {with_archived}"));
        let published = pulled(&source).await.unwrap_or_else(|error| panic!("{}", told(&error))).published();
        let moments = moments.lock().unwrap();
        for deal in &published {
            assert!(moments.holds(deal), "seed {seed}: {deal:?}");
        }
        let ids: BTreeSet<&str> = published.iter().map(|deal| deal.id.as_str()).collect();
        for id in moments.models[0].keys() {
            let throughout = moments.models.iter().all(|model| model.contains_key(id));
            assert!(!throughout || ids.contains(id.as_str()), "seed {seed}: {id} was there all along");
        }
    }
}
