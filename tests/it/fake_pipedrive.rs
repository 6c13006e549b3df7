//! Pipedrive over real HTTP: an account that changes while it is read, behind Pipedrive's own rules.
//!
//! It is a state machine, not a set of fixtures: a test says what the account holds, what happens to it and what goes
//! wrong, reads afterwards what was asked, and compares what was published with [`FakePipedrive::model`]. The rules are
//! those of the contract (`contracts/pipedrive.md`): version 2 for deals and what they name, version 1 for the rest.

mod account;
mod answers;
mod limits;
mod model;
mod paging;
mod version1;
mod version2;
mod wish;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use self::account::*;
pub(crate) use self::limits::Refusal;
pub(crate) use self::model::Published;

use self::answers::Answer;
use self::limits::Limits;
use crate::fake::{Faults, Way, sent};
use crate::window::Window;

/// The API token that the account accepts.
pub(crate) const TOKEN: &str = "canary0123456789abcdef0123456789abcdef01";
/// The refresh token, and the app it belongs to.
pub(crate) const REFRESH_TOKEN: &str = "4242:canary:refresh";
pub(crate) const CLIENT_ID: &str = "5d4c3b2a-client";
pub(crate) const CLIENT_SECRET: &str = "canary-client-secret";

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Route {
    /// The list of deals that are not archived.
    Deals,
    ArchivedDeals,
    DealFields,
    Stages,
    Pipelines,
    Organizations,
    Users,
    /// One user.
    User,
    /// Whose token it is.
    Me,
    Currencies,
    Summary,
    Token,
}

/// What one answer can be instead of the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Another status, with a JSON body of Pipedrive's shape.
    Status(u16),
    /// This status and this JSON.
    Says(u16, String),
    /// 401, of a token that is too old or none.
    Unauthorized,
    /// 429 of one of the two kinds, or the wall behind them.
    Limit(Refusal),
    /// This status with a page for people.
    Html(u16),
    /// 200 that says `success: false`.
    Unsuccessful,
    /// 200 and `null`.
    NullBody,
    /// 302 to somewhere else.
    Redirect(String),
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
}

/// How all answers can be odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Habit {
    /// What is null is left out, the cursor of the last page too.
    OmitsNulls,
    /// Records and answers have keys that nobody knows.
    AddsKeys,
    /// A list that holds nothing is null.
    SendsNullLists,
    /// A last page that is full names a next one, which is empty.
    EndsWithEmptyPage,
    /// Times of version 2 are written as version 1 writes them.
    WritesOldTimes,
    /// The list of users holds the active ones alone.
    HidesInactiveUsers,
    /// No answer says a word of the limits.
    HidesLimits,
    /// Answers are packed with gzip.
    Packs,
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

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

type Change = Box<dyn FnMut(&mut Account, Route) + Send>;

/// Who may ask: the access tokens of the app, and what it was granted. The API token may ask for anything.
struct Access {
    tokens: HashSet<String>,
    issued: u32,
    scopes: Vec<String>,
    /// Where the token endpoint says that the account is.
    api_domain: String,
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
    asked: Vec<Asked>,
}

/// Pipedrive; it ends when it is dropped.
pub(crate) struct FakePipedrive {
    hub: Arc<Mutex<Hub>>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for FakePipedrive {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakePipedrive {
    /// An account that holds these deals and what [`Account::new`] puts beside them.
    pub(crate) async fn start(deals: Vec<Deal>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scopes = ["base", "deals:read", "contacts:read", "users:read"];
        let access = Access {
            tokens: HashSet::new(),
            issued: 0,
            scopes: scopes.map(ToOwned::to_owned).to_vec(),
            api_domain: format!("http://{address}"),
        };
        let hub = Arc::new(Mutex::new(Hub {
            account: Account::new(deals),
            access,
            limits: Limits::default(),
            passed: Duration::ZERO,
            habits: HashSet::new(),
            faults: Faults::default(),
            after_each: None,
            asked: Vec::new(),
        }));
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
        change(&mut self.hub().account);
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

    /// What the app was granted.
    pub(crate) fn scopes(self, scopes: &[&str]) -> Self {
        self.hub().access.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self
    }

    /// Where the token endpoint says that the account is.
    pub(crate) fn api_domain(self, origin: &str) -> Self {
        origin.clone_into(&mut self.hub().access.api_domain);
        self
    }

    /// At most so many requests in any span of this length (Pipedrive's is two seconds).
    pub(crate) fn limit(self, requests: usize, per: Duration) -> Self {
        self.hub().limits.burst = Window::new(requests, per);
        self
    }

    /// For the limits, so much time passes at once.
    pub(crate) fn pass(&self, time: Duration) {
        self.hub().passed += time;
    }

    /// At most so many tokens until [`Self::next_day`].
    pub(crate) fn daily(self, tokens: u64) -> Self {
        self.hub().limits.daily = Some(tokens);
        self
    }

    /// The daily tokens are given again.
    pub(crate) fn next_day(&self) {
        self.hub().limits.spent = 0;
    }

    /// The app's access tokens so far are too old from now on.
    pub(crate) fn expire_tokens(&self) {
        self.hub().access.tokens.clear();
    }

    /// The deals as they must be published now, archived ones left out.
    pub(crate) fn model(&self) -> Vec<Published> {
        self.hub().account.model(false)
    }

    /// The same, with the archived ones.
    pub(crate) fn model_with_archived(&self) -> Vec<Published> {
        self.hub().account.model(true)
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.hub().asked.clone()
    }

    /// How often a route was asked for, good answer or not.
    pub(crate) fn requests_of(&self, route: Route) -> usize {
        self.hub().asked.iter().filter(|asked| asked.route == Some(route)).count()
    }

    /// The daily tokens that all good answers have cost.
    pub(crate) fn spent(&self) -> u64 {
        self.hub().limits.spent
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
kind = "pipedrive"
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
        if route != Some(Route::Token) && answer.status != 401 && !self.has(Habit::HidesLimits) {
            answer.headers.extend(self.limits.headers(answer.refused));
        }
        if answer.status < 300
            && let (Some(route), Some(mut then)) = (route, self.after_each.take())
        {
            then(&mut self.account, route);
            self.after_each = Some(then);
        }
        self.send(answer, fault.as_ref())
    }

    /// What is answered: a fault that needs no account, a refusal, or what was asked for.
    fn decide(&mut self, asked: &Asked, fault: Option<&Fault>) -> Answer {
        if let Some(answer) = fault.and_then(answers::fault) {
            return answer;
        }
        let Some(route) = asked.route else { return answers::error(404, "Unknown method .") };
        if route == Route::Token {
            return self.token(asked);
        }
        if let Some(refused) = self.refusal(asked, route) {
            return refused;
        }
        if let Err(refusal) = self.limits.admit(answers::cost(route), Instant::now() + self.passed) {
            return answers::limit(refusal);
        }
        self.ask(route, asked, fault)
    }

    /// 401 and 403. A token in the query is none.
    fn refusal(&self, asked: &Asked, route: Route) -> Option<Answer> {
        if asked.header("x-api-token") == TOKEN {
            return None;
        }
        let token = asked.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        if !self.access.tokens.contains(token) {
            return Some(answers::unauthorized());
        }
        let granted = self.access.scopes.iter().any(|scope| scope == answers::scope(route));
        (!granted).then(answers::missing_scope)
    }

    /// A new access token for the refresh token, which stays the same.
    fn token(&mut self, asked: &Asked) -> Answer {
        let client = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
        if asked.header("authorization") != format!("Basic {client}") {
            return Answer::json(401, &json!({"success": false, "error": "invalid_client", "message": "canary"}));
        }
        let form: BTreeMap<String, String> = params(&asked.body).into_iter().collect();
        let has = |key: &str, value: &str| form.get(key).is_some_and(|sent| sent == value);
        if !has("grant_type", "refresh_token") || !has("refresh_token", REFRESH_TOKEN) {
            return Answer::json(400, &json!({"success": false, "error": "invalid_grant", "message": "canary"}));
        }
        self.access.issued += 1;
        let token = format!("4242:canary:access:{}", self.access.issued);
        self.access.tokens.insert(token.clone());
        Answer::json(
            200,
            &json!({"access_token": token, "token_type": "Bearer", "refresh_token": REFRESH_TOKEN,
                "scope": self.access.scopes.join(" "), "expires_in": 3600, "api_domain": self.access.api_domain}),
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
