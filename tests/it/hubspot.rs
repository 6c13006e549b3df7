//! The `hubspot` source against an account over real HTTP: what is pulled is what the account holds, in as few requests
//! as it takes, or the pull fails and says why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use figment::providers::{Format, Toml};
use figment::{Profile, Provider};
use sales_pipeline::advice::Advice;
use sales_pipeline::clock::SystemClock;
use sales_pipeline::http::Clients;
use sales_pipeline::jobs::names;
use sales_pipeline::memory::{InProcess, Memory};
use sales_pipeline::model::deal::Deal;
use sales_pipeline::model::finding::{Finding, Rule};
use sales_pipeline::secret::Keyring;
use sales_pipeline::settings::{Section, Span};
use sales_pipeline::sources::fetch::{FetchError, Fetched, fetch};
use sales_pipeline::sources::{Built, Context, build};
use tokio_util::sync::CancellationToken;

use crate::fake_hubspot::{
    Account, CLIENT_ID, CLIENT_SECRET, FakeHubspot, Fault, Habit, Link, Published, REFRESH_TOKEN, Refusal, Route,
    TOKEN, bare_deal, deals, link,
};

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
    remembering(toml, &(Arc::new(InProcess::default()) as Arc<dyn Memory>))
}

/// As the next process would build it that has the same files.
fn remembering(toml: &str, memory: &Arc<dyn Memory>) -> Built {
    let section = Section(Toml::string(toml).data().unwrap().remove(&Profile::Default).unwrap());
    let context = Context { memory: Arc::clone(memory), ..context() };
    build(&section, &context).unwrap_or_else(|problems| panic!("{problems:#?}\n{toml}"))
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
    let named = |deal: &Deal| {
        let record = names::record(deal).unwrap();
        let lead = names::lead(&record, &fetched.names, &mut findings).unwrap();
        serde_json::from_slice::<Deal>(&lead).unwrap()
    };
    let mut deals: Vec<Deal> = taken.iter().map(named).collect();
    deals.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Pulled { deals, findings: findings.into_list(), fetched })
}

async fn pulled_from(crm: &FakeHubspot) -> Pulled {
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

fn asked(crm: &FakeHubspot, route: Route) -> u64 {
    crm.requests_of(route) as u64
}

/// The section of an app instead of a key.
fn app(crm: &FakeHubspot) -> String {
    let app = format!(
        "client_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\nrefresh_token = \"{REFRESH_TOKEN}\""
    );
    crm.section().replace(&format!("api_key = \"{TOKEN}\""), &app)
}

#[test]
fn the_document_shows_sections_that_are_accepted_and_every_property_that_is_read() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/crm/hubspot.md")).unwrap();
    let blocks = document.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let all = Toml::string(&blocks.collect::<String>()).data().unwrap().remove(&Profile::Default).unwrap();
    let section = all["sources"].find_ref("hubspot").and_then(|section| section.as_dict()).unwrap().clone();
    let source = build(&Section(section), &context()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(source.warnings.is_empty());
    let crm = "api_key = \"k\"\nkind = \"hubspot\"";
    for mapped in built(crm).source.mapping() {
        assert!(document.contains(&format!("`{}`", mapped.field)), "{}", mapped.field);
        for property in mapped.from.split([',', ' ']).filter(|word| word.contains('_') || word.ends_with("date")) {
            assert!(document.contains(&format!("`{property}`")), "{property}");
        }
    }
}

#[tokio::test]
async fn every_deal_comes_once_with_names_and_figures_in_no_more_requests_than_it_takes() {
    for count in [0, 1, 99, 100, 101] {
        let crm = FakeHubspot::start(deals(count)).await;
        let source = built(&crm.section());
        let first = pulled(&source).await.unwrap();
        assert_eq!(first.published(), crm.model(ZONE), "{count} deals");
        assert_eq!((first.fetched.counted, first.fetched.fetched), (Some(count), count));
        let company = |deal: &Deal| deal.company.is_some();
        let companies = u64::from(first.deals.iter().any(company));
        // Every fifth deal is of an owner who has left.
        let owners = 1 + u64::from(count >= 5);
        let pages = count.div_ceil(100).max(1);
        let expected = 1 + 1 + owners + 1 + pages + companies;
        assert_eq!(first.fetched.requests, expected, "{count}: account, pipelines, owners, count, pages, companies");
        assert_eq!(asked(&crm, Route::List), pages);
        let second = pulled(&source).await.unwrap();
        assert_eq!(second.fetched.requests, expected - 1, "the account is known for a day");
        assert_eq!(second.published(), crm.model(ZONE));
        assert!(first.fetched.opened.cost.unwrap().requests >= expected - owners - companies);
    }
}

#[tokio::test]
async fn ten_thousand_deals_and_one_more_are_no_limit_of_the_list() {
    for count in [10_000, 10_001] {
        let crm = FakeHubspot::start(deals(count)).await;
        let pulled = pulled_from(&crm).await;
        assert_eq!(pulled.published(), crm.model(ZONE));
        assert_eq!(pulled.fetched.requests, 1 + 1 + 2 + 1 + count.div_ceil(100) + 1);
    }
}

#[tokio::test]
async fn the_older_family_of_paths_gives_the_same_deals() {
    let crm = FakeHubspot::start(deals(120)).await;
    let source = built(&format!("{}\napi_version = \"v3\"", crm.section()));
    assert_eq!(pulled(&source).await.unwrap().published(), crm.model(ZONE));
    assert!(crm.requests().iter().all(|asked| asked.status == 200 && !asked.path.contains("2026-09")));
    let few = built(&format!("{}\napi_version = \"v3\"\npipelines = [\"Renewals\"]", crm.section()));
    pulled(&few).await.unwrap();
    let associations = FakeHubspot::start(deals(9)).await.association_page(1);
    let source = built(&format!("{}\napi_version = \"v3\"", associations.section()));
    assert_eq!(pulled(&source).await.unwrap().published(), associations.model(ZONE), "partial answers are 207 there");
}

/// A portal most of whose deals nobody wants.
async fn portal(habits: &[Habit]) -> FakeHubspot {
    let mut all = deals(3_000);
    // Never with its own pipeline: it counts as one of the default pipeline.
    all.push(bare_deal(1).without("pipeline").linked(&[link(27_712_345_009), link(27_712_345_010)]));
    let mut crm = FakeHubspot::start(all).await;
    for habit in habits {
        crm = crm.habit(*habit);
    }
    crm
}

#[tokio::test]
async fn a_few_pipelines_of_many_are_searched_for_and_give_the_same_deals_as_the_list() {
    for (wanted, id, count) in [("Renewals", "7654321", 1_000), ("default", "default", 2_001)] {
        let crm = portal(&[]).await;
        let source = built(&format!("{}\npipelines = [\"{wanted}\"]", crm.section()));
        let first = pulled(&source).await.unwrap();
        let model: Vec<Published> = crm.model(ZONE).into_iter().filter(|deal| deal.pipeline_id == id).collect();
        assert_eq!((model.len() as u64, first.published() == model), (count, true), "{wanted}");
        assert_eq!(first.fetched.counted, Some(count));
        let (searches, associations) = (count.div_ceil(200), count.div_ceil(1_000));
        assert_eq!(asked(&crm, Route::Search), 2 + searches, "how many there are, and of the portal, once a day");
        assert_eq!((asked(&crm, Route::List), asked(&crm, Route::Associations)), (0, associations));
        let second = pulled(&source).await.unwrap();
        assert_eq!(second.fetched.requests + 2, first.fetched.requests);
        assert_eq!(second.published(), model);
    }
}

#[tokio::test]
async fn most_pipelines_are_read_by_the_list() {
    let crm = FakeHubspot::start(deals(300)).await;
    let source = built(&format!("{}\npipelines = [\"Renewals\"]", crm.section()));
    let pulled = pulled(&source).await.unwrap();
    let model: Vec<Published> = crm.model(ZONE).into_iter().filter(|deal| deal.pipeline == "Renewals").collect();
    assert_eq!(pulled.published(), model, "three pages cost less than the searches and their associations");
    assert_eq!((asked(&crm, Route::List), pulled.fetched.counted), (3, Some(300)));
    assert_eq!((pulled.fetched.fetched, pulled.fetched.tally.filtered), (300, 200));
}

#[tokio::test]
async fn a_search_in_another_order_fails_the_pull_and_the_next_one_reads_the_list() {
    let crm = portal(&[]).await.fail_at(Route::Search, 4, Fault::Disorder);
    let source = built(&format!("{}\npipelines = [\"Renewals\"]", crm.section()));
    let (told, advice) = failure(&source).await;
    assert!(told.contains("do not grow") && advice == Advice::CheckPaging, "{told}");
    assert_eq!(asked(&crm, Route::List), 0);
    let second = pulled(&source).await.unwrap();
    assert!(asked(&crm, Route::List) > 0 && second.deals.len() == 1_000);
}

#[tokio::test]
async fn odd_but_honest_answers_are_read() {
    for habit in [
        Habit::OmitsNulls,
        Habit::SendsEmptyTexts,
        Habit::SaysMultiStatus,
        Habit::WritesIdsAsText,
        Habit::AddsKeys,
        Habit::MixesOwners,
        Habit::Packs,
    ] {
        let crm = FakeHubspot::start(deals(130)).await.habit(habit).association_page(1);
        assert_eq!(pulled_from(&crm).await.published(), crm.model(ZONE), "{habit:?}");
    }
    let crm = portal(&[Habit::SaysMultiStatus, Habit::WritesIdsAsText]).await.association_page(1);
    let source = built(&format!("{}\npipelines = [\"Renewals\"]", crm.section()));
    let model: Vec<Published> = crm.model(ZONE).into_iter().filter(|deal| deal.pipeline == "Renewals").collect();
    assert_eq!(pulled(&source).await.unwrap().published(), model, "companies in pages, of a search");
}

#[tokio::test]
async fn what_passes_is_tried_again_and_nothing_is_lost_or_doubled() {
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Html(502),
        Fault::Html(504),
        Fault::Html(524),
        Fault::Limit(Refusal::Secondly),
        Fault::Cut,
        Fault::CutJson,
        Fault::Reset,
        Fault::Stall,
    ] {
        for route in [Route::Pipelines, Route::Owners, Route::Search, Route::List, Route::Companies] {
            let crm = FakeHubspot::start(deals(120)).await.fail_at(route, 1, fault.clone());
            // A limit asks for a second, a fault for a millisecond.
            let source = built(&format!("{}\ntimeout = \"300ms\"", crm.section()));
            let pulled = pulled(&source).await.unwrap_or_else(|error| panic!("{fault:?}, {route:?}: {}", told(&error)));
            assert_eq!(pulled.published(), crm.model(ZONE), "{fault:?}, {route:?}");
        }
    }
}

#[tokio::test]
async fn a_batch_that_is_still_pending_is_asked_for_again() {
    let crm = FakeHubspot::start(deals(120)).await.fail_at(Route::Companies, 1, Fault::Pending);
    assert_eq!(pulled_from(&crm).await.published(), crm.model(ZONE));
    let crm = FakeHubspot::start(deals(20)).await.association_page(1).fail_at(Route::Associations, 1, Fault::Pending);
    assert_eq!(pulled_from(&crm).await.published(), crm.model(ZONE));
}

#[tokio::test]
async fn an_empty_page_that_names_a_next_one_is_not_the_end() {
    let crm = FakeHubspot::start(deals(250)).await.fail_at(Route::List, 2, Fault::EmptyPage);
    assert_eq!(pulled_from(&crm).await.published(), crm.model(ZONE));
    let crm = portal(&[]).await.fail_at(Route::Search, 4, Fault::EmptyPage);
    let source = built(&format!("{}\npipelines = [\"Renewals\"]", crm.section()));
    assert_eq!(pulled(&source).await.unwrap().deals.len(), 1_000);
}

#[tokio::test]
async fn pages_that_do_not_add_up_fail_the_pull() {
    for fault in [Fault::RepeatedCursor, Fault::DuplicateRecord, Fault::Disorder] {
        let crm = FakeHubspot::start(deals(250)).await.fail_at(Route::List, 2, fault.clone());
        let (told, advice) = failure(&built(&crm.section())).await;
        assert!(told.contains("the ids of the deals do not grow"), "{fault:?}: {told}");
        assert_eq!(advice, Advice::CheckPaging);
    }
}

#[tokio::test]
async fn what_does_not_pass_ends_the_pull_at_once_in_words() {
    for (fault, words, cure) in [
        (Fault::Status(400), "answers 400", Advice::CheckAddress),
        (Fault::Status(401), "does not accept the credentials", Advice::RenewCredentials),
        (Fault::MissingScopes("crm.objects.deals.read"), "it needs crm.objects.deals.read", Advice::GrantPermission),
        (Fault::Status(404), "answers 404", Advice::CheckAddress),
        (Fault::Html(414), "more properties than an address holds", Advice::CheckMapping),
        (Fault::Migration("7200"), "moving this account and asks to wait 2h", Advice::WaitForMove),
        (Fault::Html(530), "does not accept the credentials", Advice::RenewCredentials),
        (Fault::Html(200), "an HTML page, not JSON", Advice::CheckAddress),
        (Fault::Limit(Refusal::Daily), "its limit for the day is reached, until", Advice::WaitForLimit),
    ] {
        let crm = FakeHubspot::start(deals(120)).await.fail_at(Route::List, 2, fault.clone());
        let (told, advice) = failure(&built(&crm.section())).await;
        assert!(told.contains(words) && told.starts_with("read page 2: "), "{fault:?}: {told}");
        assert_eq!(advice, cure, "{fault:?}");
        assert_eq!(crm.requests_of(Route::List), 2, "{fault:?}: no other try");
    }
}

#[tokio::test]
async fn missing_scopes_are_named_whatever_was_asked_for() {
    for (granted, missing, part) in [
        (&["crm.objects.deals.read", "oauth"][..], "crm.objects.owners.read", "read the owners"),
        (
            &["crm.objects.deals.read", "crm.objects.owners.read", "oauth"],
            "crm.objects.companies.read",
            "read the companies",
        ),
        (
            &["crm.objects.owners.read", "crm.objects.companies.read", "oauth"],
            "crm.objects.deals.read",
            "read the pipelines",
        ),
    ] {
        let crm = FakeHubspot::start(deals(3)).await.scopes(granted);
        let (told, advice) = failure(&built(&crm.section())).await;
        assert!(told.contains(part) && told.contains(missing), "{told}");
        assert_eq!(advice, Advice::GrantPermission);
    }
}

#[tokio::test]
async fn a_key_that_may_not_ask_for_the_account_reads_the_deals_and_says_what_it_lacks() {
    let scopes = ["crm.objects.deals.read", "crm.objects.companies.read", "crm.objects.owners.read"];
    let crm = FakeHubspot::start(deals(8)).await.scopes(&scopes);
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.deals.len(), 8);
    let opened = &pulled.fetched.opened;
    assert_eq!((&opened.account, opened.currency), (&None, None));
    assert!(opened.warnings.iter().any(|warning| warning.contains("it needs oauth")), "{:?}", opened.warnings);
    assert!(pulled.found().contains(&(Rule::D09, "currency")), "no deal is priced by guess");
}

#[tokio::test]
async fn only_a_key_that_may_not_ask_for_the_account_does_without_and_no_failure_is_kept() {
    let crm = FakeHubspot::start(deals(8)).await.fail_at(Route::Account, 1, Fault::Html(403));
    let source = built(&crm.section());
    let (told, advice) = failure(&source).await;
    assert!(told.contains("read the account: the CRM answers 403"), "{told}");
    assert_eq!(advice, Advice::GrantPermission);
    let known = Some("12345678".to_owned());
    assert_eq!(pulled(&source).await.unwrap().fetched.opened.account, known);
    for denied in [Fault::MissingScopes("oauth"), Fault::Status(401), Fault::Status(404)] {
        let crm = FakeHubspot::start(deals(8)).await.fail_at(Route::Account, 1, denied.clone());
        let source = built(&crm.section());
        let opened = pulled(&source).await.unwrap().fetched.opened;
        assert!(opened.account.is_none() && opened.warnings.len() == 1, "{denied:?}: {:?}", opened.warnings);
        assert_eq!(pulled(&source).await.unwrap().fetched.opened.account, known, "{denied:?}: asked again");
    }
}

#[tokio::test]
async fn a_currency_that_was_told_once_is_the_accounts_while_it_may_not_be_asked_for() {
    let crm = FakeHubspot::start(vec![bare_deal(1).with("amount", "5")]).await;
    let crm = crm.fail_at(Route::Account, 2, Fault::MissingScopes("oauth"));
    let memory: Arc<dyn Memory> = Arc::new(InProcess::default());
    for _ in 0..2 {
        let pulled = pulled(&remembering(&crm.section(), &memory)).await.unwrap();
        assert_eq!(pulled.deals[0].currency.map(|code| code.to_string()).as_deref(), Some("USD"));
        let is_said = pulled.fetched.opened.warnings.iter().any(|warning| warning.contains("in USD, as last known"));
        assert_eq!(is_said, pulled.fetched.opened.account.is_none());
    }
}

#[tokio::test]
async fn an_account_without_a_currency_says_so() {
    let crm = FakeHubspot::start(deals(3)).await.with(|account| account.currency = "EURO".to_owned());
    let opened = pulled_from(&crm).await.fetched.opened;
    assert!(opened.warnings.iter().any(|warning| warning.contains("no currency of ISO 4217")), "{:?}", opened.warnings);
}

#[tokio::test]
async fn whether_properties_exist_is_asked_again_until_it_is_known() {
    let crm = FakeHubspot::start(vec![bare_deal(1)]).await;
    let crm = crm.fail_at(Route::Properties, 1, Fault::MissingScopes("crm.schemas.deals.read"));
    let source = built(&format!("{}\nfields = {{ typo = \"segmnt\" }}", crm.section()));
    for part in ["unknown: the CRM answers 403", "no property `segmnt`"] {
        let opened = pulled(&source).await.unwrap().fetched.opened;
        assert!(opened.warnings.iter().any(|warning| warning.contains(part)), "{part}: {:?}", opened.warnings);
    }
}

#[tokio::test]
async fn after_the_daily_limit_nothing_is_asked_until_the_accounts_day_ends() {
    let crm = FakeHubspot::start(deals(250)).await.daily(6);
    let memory: Arc<dyn Memory> = Arc::new(InProcess::default());
    let source = remembering(&crm.section(), &memory);
    let (told, advice) = failure(&source).await;
    assert!(told.contains("its limit for the day is reached, until 20"), "{told}");
    assert_eq!(advice, Advice::WaitForLimit);
    let sent = crm.requests().len();
    for source in [source, remembering(&crm.section(), &memory)] {
        let (again, _) = failure(&source).await;
        assert!(again.contains("its limit for the day is reached"), "{again}");
        assert_eq!(crm.requests().len(), sent, "not one more request, not by the next process either");
    }
}

#[tokio::test]
async fn the_ten_second_limit_is_waited_for_as_long_as_its_window_is() {
    let crm = FakeHubspot::start(deals(120)).await.limit(1_000, Duration::from_millis(200));
    let crm =
        crm.fail_at(Route::List, 1, Fault::Limit(Refusal::TenSecondly)).fail_at(Route::Companies, 1, Fault::Cloudflare);
    let begun = Instant::now();
    assert_eq!(pulled_from(&crm).await.published(), crm.model(ZONE));
    assert!(begun.elapsed() >= Duration::from_secs(2), "a second each, the least that is waited");
}

#[tokio::test]
async fn the_pace_follows_what_the_answers_allow_and_no_request_is_refused() {
    // One deal with many companies, one to a page: many small requests.
    let companies: Vec<Link> = (0..150).map(|number| link(27_712_345_001 + number)).collect();
    let crm = FakeHubspot::start(vec![bare_deal(1).linked(&companies)]).await;
    let crm = crm.limit(20, Duration::from_millis(200)).association_page(1);
    let begun = Instant::now();
    pulled_from(&crm).await;
    let sent = crm.requests().len() - crm.requests_of(Route::Search);
    assert!(sent > 150);
    assert_eq!(crm.refused(), 0, "of {sent}");
    assert!(begun.elapsed() >= Duration::from_millis(200) * 7, "19 in each window");
}

#[tokio::test]
async fn searches_keep_to_their_own_limit() {
    let crm = portal(&[]).await.search_limit(5, Duration::from_secs(1));
    let source = built(&format!("{}\npipelines = [\"default\"]", crm.section()));
    pulled(&source).await.unwrap();
    assert_eq!((crm.requests_of(Route::Search), crm.refused()), (13, 0));
}

#[tokio::test]
async fn an_app_renews_its_token_once_however_many_ask_and_again_when_it_is_refused() {
    let crm = FakeHubspot::start(deals(250)).await.habit(Habit::RotatesTokens);
    let source = built(&app(&crm));
    let (one, other) = tokio::join!(pulled(&source), pulled(&source));
    assert_eq!(one.unwrap().published(), other.unwrap().published());
    assert_eq!(crm.requests_of(Route::Token), 1);
    crm.expire_tokens();
    assert_eq!(pulled(&source).await.unwrap().published(), crm.model(ZONE));
    assert_eq!(crm.requests_of(Route::Token), 2, "by the refresh token that came with the first");
}

#[tokio::test]
async fn a_refresh_token_that_was_replaced_outlives_the_process_until_another_is_configured() {
    let crm = FakeHubspot::start(deals(3)).await.habit(Habit::RotatesTokens);
    let memory: Arc<dyn Memory> = Arc::new(InProcess::default());
    for process in 1..=3 {
        pulled(&remembering(&app(&crm), &memory)).await.unwrap();
        assert_eq!(crm.requests_of(Route::Token), process);
    }
    let (told, _) = failure(&built(&app(&crm))).await;
    assert!(
        told.contains("renew the access token: invalid_grant: the CRM answers 400"),
        "the configured one is used up: {told}"
    );
    let newly_configured = app(&crm).replace(REFRESH_TOKEN, "canary-refresh-0004");
    pulled(&remembering(&newly_configured, &memory)).await.unwrap();
    pulled(&remembering(&newly_configured, &memory)).await.unwrap();
}

/// A memory in which another process notes something between the first look and the second.
struct NotedMeanwhile {
    noted: InProcess,
    is_first_look: AtomicBool,
}

impl Memory for NotedMeanwhile {
    fn get(&self, key: &'static str) -> Option<String> {
        if key == "refresh_token" && self.is_first_look.swap(false, Ordering::Relaxed) {
            return None;
        }
        self.noted.get(key)
    }

    fn put(&self, key: &'static str, text: &str) {
        self.noted.put(key, text);
    }

    fn replace(&self, key: &'static str, text: &str) {
        self.put(key, text);
    }
}

#[tokio::test]
async fn a_refresh_token_that_another_process_has_just_used_up_is_followed_by_the_one_it_was_given() {
    let crm = FakeHubspot::start(deals(3)).await.habit(Habit::RotatesTokens);
    let memory = Arc::new(NotedMeanwhile { noted: InProcess::default(), is_first_look: AtomicBool::new(false) });
    let shared: Arc<dyn Memory> = memory.clone();
    pulled(&remembering(&app(&crm), &shared)).await.unwrap();
    memory.is_first_look.store(true, Ordering::Relaxed);
    pulled(&remembering(&app(&crm), &shared)).await.unwrap();
    assert_eq!(crm.requests_of(Route::Token), 3, "one of them refused");
}

#[tokio::test]
async fn a_token_that_ends_on_the_way_is_renewed_and_one_that_stays_refused_ends_the_pull() {
    let crm = FakeHubspot::start(deals(250)).await.fail_at(Route::List, 2, Fault::Expired);
    assert_eq!(pulled(&built(&app(&crm))).await.unwrap().published(), crm.model(ZONE));
    assert_eq!((crm.requests_of(Route::Token), crm.requests_of(Route::List)), (2, 4));
    let crm = FakeHubspot::start(deals(3)).await.fail_at(Route::Pipelines, 1, Fault::Expired).fail_at(
        Route::Pipelines,
        2,
        Fault::Expired,
    );
    let (told, advice) = failure(&built(&app(&crm))).await;
    assert!(told.contains("does not accept the credentials") && advice == Advice::RenewCredentials, "{told}");
    assert_eq!(crm.requests_of(Route::Pipelines), 2);
}

#[tokio::test]
async fn a_refresh_token_that_is_revoked_is_refused_like_a_key() {
    let crm = FakeHubspot::start(deals(3)).await;
    let source = built(&app(&crm).replace(REFRESH_TOKEN, "canary-revoked"));
    let (told, advice) = failure(&source).await;
    assert!(told.contains("renew the access token: invalid_grant: the CRM answers 400"), "{told}");
    assert_eq!((advice, crm.requests().len()), (Advice::RenewCredentials, 1));
}

#[tokio::test]
async fn companies_are_asked_for_once_each_and_found_when_merged_renamed_or_without_a_name() {
    const FIRST: u64 = 27_712_345_001;
    let crm = FakeHubspot::start(deals(200)).await.after_each(|account, route| {
        if route == Route::List && account.company(FIRST).is_some_and(|(id, _)| id == FIRST) {
            account.merge_companies(FIRST + 1, FIRST);
            account.delete_company(FIRST + 5);
            account.rename_company(FIRST + 6, "Renamed – ünïcode 🦀");
        }
    });
    let pulled = pulled_from(&crm).await;
    let names = |published: &[Published]| -> Vec<Option<String>> {
        published.iter().map(|deal| deal.company.clone()).collect()
    };
    assert_eq!(names(&pulled.published()), names(&crm.model(ZONE)));
    assert!(pulled.found().contains(&(Rule::R09, "company")), "a deleted one stands as its id");
    let batches: Vec<Vec<String>> = crm
        .requests()
        .iter()
        .filter(|asked| asked.route == Some(Route::Companies))
        .map(|asked| {
            let inputs = asked.json()["inputs"].as_array().unwrap().clone();
            inputs.iter().map(|input| input["id"].as_str().unwrap().to_owned()).collect()
        })
        .collect();
    assert_eq!(batches.len(), 2, "the merged one alone, since nothing says whose answer it was");
    assert_eq!(batches[0].iter().collect::<BTreeSet<_>>().len(), batches[0].len());
}

#[tokio::test]
async fn companies_that_are_gone_cost_no_pull_however_little_is_said_of_them() {
    const FIRST: u64 = 27_712_345_001;
    for habit in [None, Some(Habit::HidesMissing), Some(Habit::NamesNoMissing)] {
        let crm = FakeHubspot::start(deals(200)).await.after_each(|account, route| {
            if route == Route::List && account.company(FIRST).is_some_and(|(id, _)| id == FIRST) {
                account.merge_companies(FIRST + 1, FIRST);
                account.merge_companies(FIRST + 1, FIRST + 2);
                (10..20).for_each(|number| account.delete_company(FIRST + number));
            }
        });
        let crm = match habit {
            Some(habit) => crm.habit(habit),
            None => crm,
        };
        let pulled = pulled_from(&crm).await;
        let names = |published: &[Published]| -> Vec<Option<String>> {
            published.iter().map(|deal| deal.company.clone()).collect()
        };
        assert_eq!(names(&pulled.published()), names(&crm.model(ZONE)), "{habit:?}");
        assert!(pulled.found().contains(&(Rule::R09, "company")));
        assert!(asked(&crm, Route::Companies) <= 16, "{habit:?}: {}", asked(&crm, Route::Companies));
    }
}

#[tokio::test]
async fn a_pull_has_only_so_many_tries_in_all() {
    let mut crm = FakeHubspot::start(deals(6_000)).await;
    for nth in (1..200).step_by(2) {
        crm = crm.fail_at(Route::List, nth, Fault::Status(503));
    }
    let (told, _) = failure(&built(&crm.section())).await;
    assert!(told.contains("answers 503"), "{told}");
    let sent = crm.requests().len();
    assert!((20..=30).contains(&sent), "ten, and one for each ten requests: {sent}");
}

#[tokio::test]
async fn a_step_of_several_requests_has_its_tries_for_each() {
    let mut crm = FakeHubspot::start(deals(3)).await;
    for route in [Route::Account, Route::Pipelines, Route::Owners, Route::Search] {
        crm = crm.fail_at(route, 1, Fault::Status(503));
    }
    let source = built(&crm.section().replace("base =", "attempts = 2, base ="));
    assert_eq!(pulled(&source).await.unwrap().published(), crm.model(ZONE));
}

#[tokio::test]
async fn a_token_that_lasts_for_ever_is_kept_for_a_day() {
    let crm = FakeHubspot::start(deals(3)).await.habit(Habit::GrantsForEver);
    assert_eq!(pulled(&built(&app(&crm))).await.unwrap().published(), crm.model(ZONE));
}

#[tokio::test]
async fn the_daily_limit_is_known_by_the_answer_for_a_token_too() {
    let crm = FakeHubspot::start(deals(3)).await.fail_at(Route::Token, 1, Fault::Limit(Refusal::Daily));
    let source = built(&app(&crm));
    for _ in 0..2 {
        let (told, advice) = failure(&source).await;
        assert!(told.ends_with("its limit for the day is reached"), "no end that nobody told: {told}");
        assert_eq!((advice, crm.requests().len()), (Advice::WaitForLimit, 1));
    }
}

#[tokio::test]
async fn all_scopes_that_are_missing_are_named_at_once() {
    let crm = FakeHubspot::start(deals(3)).await.scopes(&["oauth"]);
    let (told, advice) = failure(&built(&crm.section())).await;
    for part in [
        "read the pipelines: the CRM answers 403: the credentials may not read this; it needs crm.objects.deals.read",
        "; and read the owners: the CRM answers 403: the credentials may not read this; it needs crm.objects.owners.read",
        "; and read the companies: the CRM answers 403: the credentials may not read this; it needs crm.objects.companies.read",
    ] {
        assert!(told.contains(part), "no `{part}` in {told}");
    }
    assert_eq!(advice, Advice::GrantPermission);
}

#[tokio::test]
async fn a_deal_is_shown_where_its_account_is() {
    let crm = FakeHubspot::start(vec![bare_deal(1)]).await;
    crm.change(|account| account.shows_deals = false);
    let url = pulled_from(&crm).await.deals[0].url.clone();
    assert_eq!(url.as_deref(), Some("https://app-eu1.hubspot.com/contacts/12345678/record/0-3/1"));
}

#[tokio::test]
async fn a_deal_of_several_companies_none_of_them_primary_takes_the_lowest_id_and_says_so() {
    let crm = FakeHubspot::start(vec![
        bare_deal(1).linked(&[link(27_712_345_010), link(27_712_345_009)]),
        bare_deal(2)
            .linked(&[link(27_712_345_010), link(27_712_345_009)])
            .with("hs_primary_associated_company", "27712345010"),
        bare_deal(3)
            .linked(&[link(27_712_345_010).primary(), link(27_712_345_009)])
            .with("hs_primary_associated_company", "27712345009"),
        bare_deal(4),
    ])
    .await;
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model(ZONE));
    let doubtful = pulled.findings.iter().find(|finding| finding.rule == Rule::D28).unwrap();
    assert_eq!(doubtful.sample_ids, ["1", "3"]);
}

#[tokio::test]
async fn a_stage_that_is_deleted_keeps_its_label_also_over_a_restart() {
    let crm = FakeHubspot::start(deals(40)).await;
    let memory: Arc<dyn Memory> = Arc::new(InProcess::default());
    let source = remembering(&crm.section(), &memory);
    let before = pulled(&source).await.unwrap();
    assert!(!before.found().contains(&(Rule::R09, "stage")));
    crm.change(|account| account.delete_stage("default", "qualifiedtobuy"));
    let stages =
        |pulled: &Pulled| -> Vec<Option<String>> { pulled.deals.iter().map(|deal| deal.stage.clone()).collect() };
    for source in [source, remembering(&crm.section(), &memory)] {
        let after = pulled(&source).await.unwrap();
        assert_eq!(stages(&after), stages(&before));
        assert!(after.found().contains(&(Rule::R09, "stage")), "and says that nobody lists it");
    }
    let fresh = pulled_from(&crm).await;
    assert_eq!(fresh.published(), crm.model(ZONE), "without a memory it stands as its id");
}

#[tokio::test]
async fn mapped_properties_come_as_they_are_and_those_that_do_not_exist_are_told() {
    let crm =
        FakeHubspot::start(vec![bare_deal(1).with("arr", "12.50").with("segment", "SMB")]).await.with(|account| {
            account.custom.insert("arr".to_owned(), "number");
            account.custom.insert("segment".to_owned(), "string");
        });
    let toml = format!("{}\nfields = {{ value = \"arr\", segment = \"segment\", typo = \"segmnt\" }}", crm.section());
    let source = built(&toml);
    let first = pulled(&source).await.unwrap();
    let lead = serde_json::to_string(&first.deals[0]).unwrap();
    assert!(lead.contains(r#""value":12.5"#) && lead.contains(r#""custom":{"segment":"SMB","typo":null}"#), "{lead}");
    assert_eq!(
        first.fetched.opened.warnings,
        ["The account's deals have no property `segmnt`: `fields.typo` stays empty"]
    );
    pulled(&source).await.unwrap();
    assert_eq!(crm.requests_of(Route::Properties), 1, "known for a day");
}

#[tokio::test]
async fn a_company_of_a_property_needs_neither_associations_nor_names() {
    let crm = FakeHubspot::start(vec![bare_deal(1).with("firm", "Nordwind").linked(&[link(27_712_345_001).primary()])]);
    let crm = crm.await.with(|account| account.custom.extend([("firm".to_owned(), "string")]));
    let source = built(&format!("{}\nfields = {{ company = \"firm\" }}", crm.section()));
    let pulled = pulled(&source).await.unwrap();
    assert_eq!(pulled.deals[0].company.as_deref(), Some("Nordwind"));
    assert_eq!(crm.requests_of(Route::Companies), 0);
    assert!(crm.requests().iter().all(|asked| asked.param("associations").is_none()));
}

#[tokio::test]
async fn a_pipeline_that_the_account_does_not_have_fails_the_pull() {
    let crm = FakeHubspot::start(deals(3)).await;
    let source = built(&format!("{}\npipelines = [\"Renewal\"]", crm.section()));
    let (told, _) = failure(&source).await;
    assert!(told.contains("the account has no pipeline `Renewal`"), "{told}");
}

#[tokio::test]
async fn what_merged_deals_absorbed_stands_beside_them() {
    let crm = FakeHubspot::start(deals(5)).await;
    crm.change(|account| {
        let live = account.live();
        account.merge(live[0], live[1]);
    });
    let pulled = pulled_from(&crm).await;
    assert_eq!(pulled.published(), crm.model(ZONE));
    let merged = pulled.deals.iter().find_map(|deal| deal.custom.get("hs_merged_object_ids")).unwrap();
    assert_eq!(merged.get(), "\"38124407001;38124407008\"");
}

/// Runs the program with the four variables of `.env.local`.
async fn program(folder: &Path, crm: &FakeHubspot, key: &str, arguments: &'static [&'static str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sales-pipeline"));
    command.args(arguments).current_dir(folder).env_clear();
    command.env("SALES_PIPELINE_SOURCE", "hubspot").env("SALES_PIPELINE_API_KEY", key);
    command.env("SALES_PIPELINE_ENDPOINT", format!("{}/crm/v3/objects/deals", crm.endpoint()));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn four_variables_are_enough_to_publish_an_account() {
    let crm = FakeHubspot::start(deals(120)).await;
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path(), &crm, TOKEN, &["pull"]).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !said.contains("canary"), "{said}");
    let latest = std::fs::read_to_string(folder.path().join("output/sales_pipeline.json")).unwrap();
    assert!(!latest.contains("canary"));
    let latest: serde_json::Value = serde_json::from_str(&latest).unwrap();
    let recent = crm.model(Tz::UTC).into_iter().map(|deal| deal.id).collect::<BTreeSet<_>>();
    let leads: BTreeSet<String> =
        latest["leads"].as_array().unwrap().iter().map(|lead| lead["id"].as_str().unwrap().to_owned()).collect();
    assert!(leads.is_subset(&recent) && leads.len() > 50, "{} leads", leads.len());
    assert_eq!((&latest["source"], &latest["account"]), (&"hubspot".into(), &"12345678".into()));
    assert_eq!(latest["completeness"]["proof"], "cursor exhausted; count matches");
    let connected = program(folder.path(), &crm, TOKEN, &["check", "--connect"]).await;
    let said = String::from_utf8_lossy(&connected.stdout).into_owned();
    for part in ["account      12345678, currency USD", "first page   100 records", "hs_deal_stage_probability"] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    let refused = program(folder.path(), &crm, "pat-na1-canary-wrong", &["pull"]).await;
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

/// Something that happens to an account.
fn happens(account: &mut Account, dice: &mut Dice) {
    let (live, companies) = (account.live(), account.companies.keys().copied().collect::<Vec<u64>>());
    if live.len() < 3 {
        return;
    }
    let id = dice.pick(&live);
    match dice.below(8) {
        0 => drop(account.create(bare_deal(0).with("amount", "7").linked(&[link(dice.pick(&companies))]))),
        1 => account.archive(id),
        2 => {
            let other = dice.pick(&live);
            if other != id {
                account.merge(id, other);
            }
        }
        3 => account.move_stage(id, "default", "closedwon"),
        4 => account.move_stage(id, "7654321", "1048576"),
        5 => account.rename_company(dice.pick(&companies), "Renamed"),
        6 => account.rename_stage("default", "qualifiedtobuy", "Renamed"),
        _ => account.relink(id, &[link(dice.pick(&companies)).primary()]),
    }
}

/// Everything that was true at some moment of a pull.
#[derive(Default)]
struct Moments {
    models: Vec<Vec<Published>>,
    /// The companies of each deal, and the names of each company.
    companies: BTreeMap<String, BTreeSet<u64>>,
    names: BTreeMap<u64, BTreeSet<String>>,
    /// The labels of each stage.
    labels: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Moments {
    fn note(&mut self, account: &Account) {
        self.models.push(account.model(ZONE));
        for deal in account.deals.values() {
            let companies = self.companies.entry(deal.id.to_string()).or_default();
            companies.extend(deal.companies.iter().map(|link| link.company));
        }
        for id in self.companies.values().flatten() {
            let company = account.company(*id).map(|(_, company)| company);
            let name = company.and_then(|company| company.name.clone().or_else(|| company.domain.clone()));
            self.names.entry(*id).or_default().insert(name.unwrap_or_else(|| id.to_string()));
        }
        for (pipeline, stage) in
            account.pipelines.iter().flat_map(|own| own.stages.iter().map(move |stage| (own, stage)))
        {
            let key = (pipeline.id.clone(), stage.id.clone());
            self.labels.entry(key).or_default().insert(stage.label.clone());
        }
    }

    /// Whether a published deal is as it was at one moment, and its names are what they were called at another: a name
    /// is asked for in another request than the deal.
    fn holds(&self, deal: &Published) -> bool {
        let nameless = |deal: &Published| Published { company: None, stage: None, ..deal.clone() };
        let was = self.models.iter().flatten().any(|moment| moment.id == deal.id && nameless(moment) == nameless(deal));
        let company = deal
            .company
            .as_ref()
            .is_none_or(|name| self.companies[&deal.id].iter().any(|company| self.names[company].contains(name)));
        let key = (deal.pipeline_id.clone(), deal.stage_id.clone().unwrap_or_default());
        let stage = deal.stage.as_ref().is_some_and(|label| self.labels[&key].contains(label));
        was && company && stage
    }
}

#[tokio::test]
async fn whatever_happens_between_pages_each_deal_is_as_it_was_at_some_moment_and_none_is_lost() {
    let seeds = if crate::program::is_quick() { 20 } else { 200 };
    for seed in 0..seeds {
        let moments = Arc::new(Mutex::new(Moments::default()));
        let (noted, mut dice) = (Arc::clone(&moments), Dice(seed));
        let crm = FakeHubspot::start(deals(110)).await;
        crm.change(|account| moments.lock().unwrap().note(account));
        let crm = crm.after_each(move |account, _| {
            for _ in 0..dice.below(4) {
                happens(account, &mut dice);
                noted.lock().unwrap().note(account);
            }
        });
        let published = pulled_from(&crm).await.published();
        let moments = moments.lock().unwrap();
        for deal in &published {
            assert!(moments.holds(deal), "seed {seed}: {deal:?}");
        }
        let ids: BTreeSet<&str> = published.iter().map(|deal| deal.id.as_str()).collect();
        assert_eq!(ids.len(), published.len(), "seed {seed}: each once");
        for deal in &moments.models[0] {
            let is_there = |model: &Vec<Published>| model.iter().any(|moment| moment.id == deal.id);
            let throughout = moments.models.iter().all(is_there);
            assert!(!throughout || ids.contains(deal.id.as_str()), "seed {seed}: {} was there all along", deal.id);
        }
    }
}
