//! OAuth of the `rest` source over real HTTP: tokens are kept, renewed in time and once, and remembered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sales_pipeline::clock::{Clock, SystemClock};
use sales_pipeline::sources::source::Attempt;
use sales_pipeline::sources::{Context, build};
use tokio::time::Instant;

use crate::fake_rest::{FakeRest, Paging, Tokens, deals};
use crate::rest::{built, context, failure, pulled, section};

/// A section whose tokens come from the CRM's own token endpoint.
fn with_grant(crm: &FakeRest, grant: &str) -> String {
    let endpoint = format!("{}/oauth/token", crm.origin());
    format!(
        "{}\nauth = {{ type = \"oauth2\", token_url = \"{endpoint}\", client_id = \"app\", client_secret = {{ env = \"TOKEN\" }}, {grant} }}",
        crm.section(Paging::Page)
    )
}

const CREDENTIALS: &str = r#"grant = "client_credentials""#;
const REFRESH: &str = r#"grant = "refresh_token", refresh_token = "canary-first", client_auth = "body""#;

fn hourly() -> Tokens {
    Tokens { expires_in: 3600, ..Tokens::default() }
}

#[tokio::test]
async fn client_credentials_are_exchanged_once_for_a_token_that_every_request_carries() {
    let crm = FakeRest::start(deals(12)).await.page_size(5).require_token(hourly());
    let toml = with_grant(
        &crm,
        &format!(
            r#"{CREDENTIALS}, scope = "read all", audience = "crm", extra = {{ tenant = 7, pin = {{ env = "TOKEN" }} }}"#
        ),
    );
    let (all, fetched) = pulled(&toml).await.unwrap();
    assert_eq!((all.len(), fetched.requests), (12, 7), "the token's request is counted");
    let exchange = &crm.requests()[0];
    assert_eq!(exchange.headers["authorization"], "Basic YXBwOmNhbmFyeQ==");
    assert_eq!(exchange.body, "grant_type=client_credentials&scope=read+all&audience=crm&pin=canary&tenant=7");
    assert_eq!(crm.requests_of("/oauth/token"), 1);
    let mut secrets: Vec<String> = built(&toml).secrets.into_iter().map(|(key, _)| key).collect();
    secrets.sort();
    assert_eq!(secrets, ["auth.client_secret", "auth.extra.pin"]);
}

/// A clock that a test sets.
#[derive(Debug)]
struct SetClock {
    began: Instant,
    seconds: AtomicU64,
}

impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now()
    }

    fn instant(&self) -> Instant {
        self.began + Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_token_is_renewed_a_minute_before_its_end_and_a_short_lived_one_at_half_its_life() {
    for (expires_in, kept, renewed) in [(3600, 3539, 3541), (100, 49, 51), (0, 0, 0)] {
        let crm = FakeRest::start(deals(1)).await.require_token(Tokens { expires_in, ..Tokens::default() });
        let clock = Arc::new(SetClock { began: Instant::now(), seconds: AtomicU64::new(0) });
        let context = Context { clock: clock.clone(), ..context() };
        let built = build(&section(&with_grant(&crm, CREDENTIALS)), &context).unwrap_or_else(|_| panic!("it is right"));
        built.source.open(Attempt::First).await.unwrap();
        let begun = crm.requests_of("/oauth/token");
        clock.seconds.store(kept, Ordering::Relaxed);
        built.source.open(Attempt::First).await.unwrap();
        assert_eq!(crm.requests_of("/oauth/token") == begun, expires_in > 0, "{expires_in}");
        let before = crm.requests_of("/oauth/token");
        clock.seconds.store(renewed, Ordering::Relaxed);
        built.source.open(Attempt::First).await.unwrap();
        assert!(crm.requests_of("/oauth/token") > before, "{expires_in}");
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_renews_the_token_once_and_repeats_that_one_request() {
    let tokens = Tokens { revoked_after: 3, ..hourly() };
    let crm = FakeRest::start(deals(12)).await.page_size(5).require_token(tokens);
    assert_eq!(pulled(&with_grant(&crm, CREDENTIALS)).await.unwrap().0.len(), 12);
    assert_eq!(crm.requests_of("/oauth/token"), 2);
    assert_eq!(crm.requests_of("/v1/page/deals"), 5, "four pages, one of them twice");

    let crm = FakeRest::start(deals(1)).await.require_header("authorization", "nobody has it");
    let toml = with_grant(&crm, CREDENTIALS);
    assert!(failure(&toml).await.contains("renew the access token: the CRM answers 400"), "no tokens are given here");
}

#[tokio::test]
async fn a_replaced_refresh_token_is_used_from_then_on_also_by_the_next_process_until_another_is_configured() {
    let tokens = Tokens { refresh: "canary-first".to_owned(), rotates: true, ..hourly() };
    let crm = FakeRest::start(deals(3)).await.require_token(tokens);
    let context = context();
    let build = |toml: &str| build(&section(toml), &context).unwrap_or_else(|_| panic!("{toml}"));
    build(&with_grant(&crm, REFRESH)).source.open(Attempt::First).await.unwrap();
    let exchange = &crm.requests()[0].body;
    assert!(exchange.starts_with("grant_type=refresh_token&refresh_token=canary-first&client_id=app"), "{exchange}");
    // Another process: the same memory, nothing else.
    build(&with_grant(&crm, REFRESH)).source.open(Attempt::First).await.unwrap();
    let exchanges: Vec<String> =
        crm.requests().into_iter().filter(|asked| asked.path == "/oauth/token").map(|asked| asked.body).collect();
    assert!(exchanges[1].contains("refresh_token=canary-refresh-1"), "{exchanges:?}");
    let changed = with_grant(&crm, &REFRESH.replace("canary-first", "canary-other"));
    let refused = build(&changed).source.open(Attempt::First).await.err().unwrap();
    assert!(crm.requests().last().unwrap().body.contains("refresh_token=canary-other"));
    assert!(!format!("{refused} {refused:?}").contains("canary"));
}

#[tokio::test]
async fn a_token_may_name_the_address_that_it_is_good_for() {
    let data = FakeRest::start(deals(4)).await;
    let tokens = Tokens { endpoint: Some(format!("{}/v1", data.origin())), ..hourly() };
    let login = FakeRest::start(Vec::new()).await.require_token(tokens);
    let toml = with_grant(&login, &format!(r#"{CREDENTIALS}, endpoint_path = "$.api_domain""#));
    let (all, fetched) = pulled(&toml).await.unwrap();
    assert_eq!((all.len(), fetched.requests), (4, 5));
    assert_eq!((login.requests().len(), data.requests().len()), (1, 4));
}

#[tokio::test]
async fn a_grant_that_is_refused_is_told_and_none_of_it_repeated() {
    let crm = FakeRest::start(deals(1)).await.require_token(Tokens { refresh: "other".to_owned(), ..hourly() });
    let told = failure(&with_grant(&crm, REFRESH)).await;
    assert!(told.contains("renew the access token: the CRM answers 400: it does not accept the credentials"), "{told}");
}
