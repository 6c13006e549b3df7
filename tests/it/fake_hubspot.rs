//! HubSpot over real HTTP: an account that changes while it is read, behind HubSpot's own rules.
//!
//! It is a state machine, not a set of fixtures: a test says what the account holds, what happens to it and what goes
//! wrong, reads afterwards what was asked, and compares what was published with [`FakeHubspot::model`]. The rules are
//! those of the contract (`contracts/hubspot.md`), in the dated and in the v3/v4 family of paths.

mod account;
mod answers;
mod limits;
mod search;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use chrono_tz::Tz;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use self::account::*;
pub(crate) use self::limits::Refusal;

use self::answers::{Answer, error};
use self::limits::Limits;
use crate::fake::{Faults, Way, sent};
use crate::window::Window;

/// The token that the account accepts.
pub(crate) const TOKEN: &str = "pat-na1-canary-0001";
/// The refresh token, and the client it belongs to.
pub(crate) const REFRESH_TOKEN: &str = "canary-refresh-0001";
pub(crate) const CLIENT_ID: &str = "4d3c2b1a-client";
pub(crate) const CLIENT_SECRET: &str = "canary-client-secret";

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Route {
    /// The list of deals.
    List,
    Search,
    BatchDeals,
    OneDeal,
    Pipelines,
    Owners,
    /// The companies of many deals.
    Associations,
    /// The companies of one deal.
    DealCompanies,
    Companies,
    Properties,
    Account,
    Usage,
    Token,
}

/// What one answer can be instead of the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Another status, with a JSON body of HubSpot's shape and nothing in it to go by.
    Status(u16),
    /// 401 whose category says that the token is too old.
    Expired,
    /// 403 that names the scope.
    MissingScopes(&'static str),
    /// 423, for two seconds.
    Locked,
    /// 429 of one of the three kinds.
    Limit(Refusal),
    /// 429 from the proxy in front: text, no JSON.
    Cloudflare,
    /// 477: the account is being moved; `Retry-After` in seconds.
    Migration(&'static str),
    /// This status with a page for people.
    Html(u16),
    /// The right answer, less its second half: the connection ends.
    Cut,
    /// The right answer, less its second half, as if it were whole.
    CutJson,
    /// The first half of the right answer, and then nothing for as long as the client waits.
    Stall,
    /// The connection ends before the first byte of an answer.
    Reset,
    /// An empty page that names a next one.
    EmptyPage,
    /// The page names itself as the next one.
    RepeatedCursor,
    /// The page holds its last record twice.
    DuplicateRecord,
    /// The page's records stand in reverse order.
    Disorder,
    /// A batch that is not done yet.
    Pending,
}

/// How all answers can be odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Habit {
    /// Properties without a value are left out.
    OmitsNulls,
    /// Properties without a value are `""`.
    SendsEmptyTexts,
    /// Partial answers of the dated family are 207 too.
    SaysMultiStatus,
    /// `toObjectId` is text.
    WritesIdsAsText,
    /// Records and answers have keys that nobody knows.
    AddsKeys,
    /// The archived owners' list holds the active ones too.
    MixesOwners,
    /// Answers are packed with gzip.
    Packs,
    /// A new refresh token comes with each access token.
    RotatesTokens,
    /// Access tokens end in half an eternity.
    GrantsForEver,
    /// A batch leaves out what is missing, and says nothing of it.
    HidesMissing,
    /// A batch says that something is missing, and not what.
    NamesNoMissing,
}

/// One request as it came, and how it was answered.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) route: Option<Route>,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) status: u16,
}

impl Asked {
    /// A parameter, decoded.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        params(&self.query).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The body, as JSON; null where it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

type Change = Box<dyn FnMut(&mut Account, Route) + Send>;

/// Who may ask: the tokens that are good, and what they are good for.
struct Access {
    tokens: HashSet<String>,
    expired: HashSet<String>,
    refresh_token: String,
    issued: u32,
    scopes: Vec<String>,
}

/// The account and everything around it.
struct Hub {
    account: Account,
    access: Access,
    limits: Limits,
    /// How far the limits' clock is ahead of the real one.
    passed: Duration,
    habits: HashSet<Habit>,
    faults: Faults<Route, Fault>,
    after_each: Option<Change>,
    /// By how many requests the search index lags behind, and what the deals were before each change.
    lag: usize,
    past: VecDeque<(usize, Deals)>,
    /// How many associations of one deal an answer holds at most.
    association_page: usize,
    asked: Vec<Asked>,
}

/// HubSpot; it ends when it is dropped.
pub(crate) struct FakeHubspot {
    hub: Arc<Mutex<Hub>>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for FakeHubspot {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeHubspot {
    /// An account that holds these deals and what [`Account::new`] puts beside them.
    pub(crate) async fn start(deals: Vec<Deal>) -> Self {
        let scopes = ["crm.objects.deals.read", "crm.objects.companies.read", "crm.objects.owners.read", "oauth"];
        let access = Access {
            tokens: HashSet::from([TOKEN.to_owned()]),
            expired: HashSet::new(),
            refresh_token: REFRESH_TOKEN.to_owned(),
            issued: 0,
            scopes: scopes.map(ToOwned::to_owned).to_vec(),
        };
        let hub = Arc::new(Mutex::new(Hub {
            account: Account::new(deals),
            access,
            limits: Limits::default(),
            passed: Duration::ZERO,
            habits: HashSet::new(),
            faults: Faults::default(),
            after_each: None,
            lag: 0,
            past: VecDeque::new(),
            association_page: 500,
            asked: Vec::new(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(hub.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { hub, address, server }
    }

    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap()
    }

    /// What the account is like beside its deals.
    pub(crate) fn with(self, change: impl FnOnce(&mut Account)) -> Self {
        self.change(change);
        self
    }

    /// Something happens to the account now.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Account)) {
        self.hub().change(change);
    }

    /// What happens to the account after each good answer, which it is told.
    pub(crate) fn after_each(self, change: impl FnMut(&mut Account, Route) + Send + 'static) -> Self {
        self.hub().after_each = Some(Box::new(change));
        self
    }

    /// What all answers are like.
    pub(crate) fn habit(self, habit: Habit) -> Self {
        self.hub().habits.insert(habit);
        self
    }

    /// The next request fails so; called again, the one after it.
    pub(crate) fn fail(self, fault: Fault) -> Self {
        self.hub().faults.add(fault);
        self
    }

    /// The request to `route` that is the `nth` since the start, counted from 1, fails so.
    pub(crate) fn fail_at(self, route: Route, nth: usize, fault: Fault) -> Self {
        self.hub().faults.plan(route, nth, fault);
        self
    }

    /// The scopes of the token.
    pub(crate) fn scopes(self, scopes: &[&str]) -> Self {
        self.hub().access.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self
    }

    /// At most so many requests, other than searches, in any span of this length (HubSpot's is ten seconds).
    pub(crate) fn limit(self, requests: usize, per: Duration) -> Self {
        self.hub().limits.burst = Window::new(requests, per);
        self
    }

    /// At most so many searches in any span of this length (HubSpot's is one second).
    pub(crate) fn search_limit(self, requests: usize, per: Duration) -> Self {
        self.hub().limits.search = Window::new(requests, per);
        self
    }

    /// For the limits, so much time passes at once.
    pub(crate) fn pass(&self, time: Duration) {
        self.hub().passed += time;
    }

    /// At most so many requests until [`Self::next_day`].
    pub(crate) fn daily(self, requests: u64) -> Self {
        self.hub().limits.daily = Some(requests);
        self
    }

    /// The daily quota begins again.
    pub(crate) fn next_day(&self) {
        self.hub().limits.today = 0;
    }

    /// Searches see the account as it was so many requests ago.
    pub(crate) fn index_lag(self, requests: usize) -> Self {
        self.hub().lag = requests;
        self
    }

    /// How many companies of one deal an answer holds at most; the rest is on further pages.
    pub(crate) fn association_page(self, size: usize) -> Self {
        self.hub().association_page = size;
        self
    }

    /// Every token so far is too old from now on.
    pub(crate) fn expire_tokens(&self) {
        let access = &mut self.hub().access;
        let good = std::mem::take(&mut access.tokens);
        access.expired.extend(good);
    }

    /// All deals as they must be published now; days are days in `zone`.
    pub(crate) fn model(&self, zone: Tz) -> Vec<Published> {
        self.hub().account.model(zone)
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.hub().asked.clone()
    }

    /// How often a route was asked for, good answer or not.
    pub(crate) fn requests_of(&self, route: Route) -> usize {
        self.hub().asked.iter().filter(|asked| asked.route == Some(route)).count()
    }

    /// How many requests ran into a limit.
    pub(crate) fn refused(&self) -> u64 {
        self.hub().limits.refused
    }

    /// The address for the configuration.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The keys of a section that reads all deals; they can stand under any `[sources.<name>]`.
    pub(crate) fn section(&self) -> String {
        format!(
            r#"
kind = "hubspot"
endpoint = "{}"
api_key = "{TOKEN}"
closed_within = "all"
retry = {{ base = "1ms", max = "2ms" }}
"#,
            self.endpoint()
        )
    }
}

fn params(query: &str) -> Vec<(String, String)> {
    let uri: Uri = format!("http://localhost/?{query}").parse().unwrap();
    Query::try_from_uri(&uri).map(|Query(params)| params).unwrap_or_default()
}

async fn answer(State(hub): State<Arc<Mutex<Hub>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 16 << 20).await.unwrap_or_default();
    let asked = Asked {
        route: answers::route(&head.method, head.uri.path()),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        status: 0,
    };
    hub.lock().unwrap().respond(&asked)
}

impl Hub {
    fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }

    fn change(&mut self, change: impl FnOnce(&mut Account)) {
        let before = self.account.deals.clone();
        change(&mut self.account);
        if self.lag > 0 && !Arc::ptr_eq(&before, &self.account.deals) {
            self.past.push_back((self.asked.len(), before));
        }
    }

    /// The deals as the search index knows them.
    fn indexed(&self) -> Deals {
        let seen = self.asked.len().saturating_sub(self.lag);
        let then = self.past.iter().find(|(changed, _)| *changed >= seen && self.lag > 0);
        then.map_or(&self.account.deals, |(_, before)| before).clone()
    }

    fn fault(&mut self, route: Option<Route>) -> Option<Fault> {
        let nth = self.asked.iter().filter(|asked| asked.route == route).count();
        self.faults.due(route.as_ref(), nth)
    }

    fn respond(&mut self, asked: &Asked) -> Response {
        let (route, place) = (asked.route, self.asked.len());
        self.asked.push(asked.clone());
        let fault = self.fault(route);
        let mut answer = self.decide(asked, fault.as_ref());
        self.asked[place].status = answer.status;
        if route != Some(Route::Token) {
            answer.headers.extend(self.limits.headers(route == Some(Route::Search)));
        }
        if answer.status < 300
            && let (Some(route), Some(mut then)) = (route, self.after_each.take())
        {
            self.change(|account| then(account, route));
            self.after_each = Some(then);
        }
        self.send(answer, fault.as_ref())
    }

    /// What is answered: a fault that needs no account, a refusal, or what was asked for.
    fn decide(&mut self, asked: &Asked, fault: Option<&Fault>) -> Answer {
        if let Some(answer) = fault.and_then(answers::fault) {
            return answer;
        }
        let Some(route) = asked.route else { return error(404, "OBJECT_NOT_FOUND", "resource not found") };
        if route == Route::Token {
            return self.token(asked);
        }
        if let Some(refused) = self.refusal(asked, route) {
            return refused;
        }
        if let Err(refusal) = self.limits.admit(route == Route::Search, Instant::now() + self.passed) {
            return answers::limit(refusal);
        }
        self.ask(route, asked, fault)
    }

    /// 401 and 403.
    fn refusal(&self, asked: &Asked, route: Route) -> Option<Answer> {
        let sent = asked.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = sent.and_then(|sent| sent.strip_prefix("Bearer ")).unwrap_or_default();
        if self.access.expired.contains(token) {
            return Some(answers::expired());
        }
        if !self.access.tokens.contains(token) {
            return Some(answers::unauthenticated());
        }
        let needed = answers::scope(route);
        let granted = self.access.scopes.iter().any(|scope| scope == needed);
        (!granted).then(|| answers::missing_scopes(needed))
    }

    /// A new access token for the refresh token, sent as a form.
    fn token(&mut self, asked: &Asked) -> Answer {
        let form: BTreeMap<String, String> = params(&asked.body).into_iter().collect();
        let has = |key: &str, value: &str| form.get(key).is_some_and(|sent| sent == value);
        if !has("grant_type", "refresh_token") || !has("client_id", CLIENT_ID) || !has("client_secret", CLIENT_SECRET) {
            return Answer::json(400, &json!({"status": "BAD_CLIENT_ID", "message": "missing or unknown client id"}));
        }
        if !has("refresh_token", &self.access.refresh_token) {
            return Answer::json(
                400,
                &json!({"error": "invalid_grant", "error_description": "refresh token is invalid, expired or revoked",
                    "status": "BAD_REFRESH_TOKEN", "message": "refresh token is invalid, expired or revoked"}),
            );
        }
        self.access.issued += 1;
        let lasts = if self.has(Habit::GrantsForEver) { u64::MAX } else { 1800 };
        let token = format!("canary-access-{:04}", self.access.issued);
        self.access.tokens.insert(token.clone());
        if self.has(Habit::RotatesTokens) {
            self.access.refresh_token = format!("canary-refresh-{:04}", self.access.issued + 1);
        }
        Answer::json(
            200,
            &json!({"token_type": "bearer", "token_use": "access_token", "access_token": token,
                "refresh_token": self.access.refresh_token, "expires_in": lasts, "hub_id": PORTAL, "user_id": 4242,
                "scopes": self.access.scopes}),
        )
    }

    /// Turns an answer into what goes over the wire, faults of the wire included.
    fn send(&self, answer: Answer, fault: Option<&Fault>) -> Response {
        let way = match fault {
            Some(Fault::CutJson) => Way::Half,
            Some(Fault::Cut) => Way::Cut,
            Some(Fault::Stall) => Way::Stall,
            Some(Fault::Reset) => Way::Reset,
            _ => Way::Whole,
        };
        let packs = self.has(Habit::Packs);
        sent((answer.status, answer.content_type), answer.headers, answer.body, packs, way)
    }
}
