//! Salesforce over real HTTP: an org that changes while it is read, behind Salesforce's own rules.
//!
//! It is a state machine, not a set of fixtures: a test says what the org holds, what happens to it and what goes
//! wrong, reads afterwards what was asked, and compares what was published with [`FakeSalesforce::model`]. The rules are
//! those of the contract (`contracts/salesforce.md`); SOQL that it does not know is refused, never passed over.

mod access;
mod answers;
mod bulk;
mod model;
mod org;
mod query;
mod schema;
mod soql;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use chrono_tz::Tz;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) use self::bulk::JobState;
pub(crate) use self::model::Published;
pub(crate) use self::org::*;
pub(crate) use self::schema::{Cell, Kind};

use self::access::{Access, Quota};
use self::answers::{Answer, Place, Wish};
use self::bulk::Job;
use crate::fake::{Faults, Way, sent};

/// A session that is there from the start.
pub(crate) const TOKEN: &str = "00D5g0000001canary!AQ4AQ.static";
/// The refresh token, and the app it belongs to.
pub(crate) const REFRESH_TOKEN: &str = "5Aep861canary0000";
pub(crate) const CLIENT_ID: &str = "3MVG9canary.consumer.key";
pub(crate) const CLIENT_SECRET: &str = "1A2Bcanary";
/// The user that the app speaks for, and the key it signs with.
pub(crate) const USERNAME: &str = "integration@acme.example";
pub(crate) const PRIVATE_KEY: &str = include_str!("fake_salesforce/app-key.pem");
/// The longest address, headers included.
const LONGEST_HEAD: usize = 16_384;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Route {
    Token,
    Versions,
    Describe,
    Query,
    QueryAll,
    /// A further page of either.
    More,
    Composite,
    Limits,
    CreateJob,
    Job,
    Results,
    ResultPages,
    AbortJob,
    DeleteJob,
}

impl Route {
    /// Whether it counts among the queries of a composite request.
    fn is_query(self) -> bool {
        matches!(self, Self::Query | Self::QueryAll | Self::More)
    }

    /// Whether it can be a part of a composite request.
    fn is_part(self) -> bool {
        self.is_query() || matches!(self, Self::Describe | Self::Limits)
    }
}

/// Which limit a request ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The day's.
    Total,
    Concurrent,
    LongTransactions,
}

/// What one answer can be instead of the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status with this code, and nothing else to go by.
    Error(u16, &'static str),
    /// The same for the part at this place of a composite request.
    Part(usize, u16, &'static str),
    /// 401: the session is over, though it is good.
    Expired,
    /// 401: the session is good for other things only.
    NotForRest,
    /// 403 of one of three kinds.
    Limit(Refusal),
    /// 400 of the token endpoint: an object with this error and this description.
    Oauth(&'static str, &'static str),
    /// This status with nothing behind it.
    Empty(u16),
    /// This status with a page for people.
    Html(u16),
    /// This status, and `Retry-After` in seconds.
    Wait(u16, &'static str),
    /// The stored result is gone.
    LostCursor,
    /// The page is half as long as it should be, and the next one begins where it ends.
    ShortPage,
    /// An empty page that leads to itself.
    EmptyPage,
    /// The page, or the bulk result, names itself as the next one.
    RepeatedCursor,
    /// The page leads there.
    ForeignCursor(&'static str),
    /// The page holds its last record twice.
    DuplicateRecord,
    /// The page lacks its last record.
    LostRecord,
    /// The page counts one record more than there are.
    WrongTotal,
    /// The job ends so.
    JobEnds(JobState),
    /// The list of a bulk result's pages holds none, nor the word for them.
    NoPages,
    /// The bulk result does not say whether it goes on.
    NoLocator,
    /// The right answer, less its second half: the connection ends.
    Cut,
    /// The first half of the right answer, and then nothing for as long as the client waits.
    Stall,
    /// The connection ends before the first byte of an answer.
    Reset,
}

/// How all answers can be odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Habit {
    /// Amounts are `50000.00` and never `1.0E7`.
    WritesPlainNumbers,
    /// Records and answers have keys that nobody knows.
    AddsKeys,
    /// The last page does not say that it is the last.
    OmitsDone,
    /// Nothing says how many records there are.
    OmitsTotal,
    /// Answers are not packed, whoever asks.
    NeverPacks,
    /// The quota's header says more than the day's usage.
    CountsBursts,
    /// A new refresh token comes with each access token that one has bought.
    RotatesTokens,
    /// No new session is ever good.
    IssuesDeadSessions,
    /// Only the first page of a bulk result has a header.
    WritesOneHeader,
    /// The list of a bulk result's pages goes on at `nextRecordUrl`.
    NamesOneRecord,
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

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

type Change = Box<dyn FnMut(&mut Org, Route) + Send>;

/// A stored result.
#[derive(Debug)]
struct Cursor {
    query: soql::Query,
    all: bool,
    ids: Vec<String>,
    size: usize,
}

/// The org and everything around it.
struct Salesforce {
    org: Org,
    access: Access,
    quota: Quota,
    /// Where people sign in, and where the org lives; the two part when it moves.
    login: String,
    instance: String,
    cursors: HashMap<String, Cursor>,
    cursors_made: u64,
    jobs: HashMap<String, Job>,
    jobs_made: u64,
    /// How many records a page holds at most, whatever is asked for.
    page_size: usize,
    /// How many records a page of a bulk result holds at most.
    result_page: usize,
    /// How often a job is asked for in vain.
    polls: usize,
    habits: HashSet<Habit>,
    faults: Faults<Route, Fault>,
    after_each: Option<Change>,
    asked: Vec<Asked>,
}

/// Salesforce; it ends when it is dropped.
pub(crate) struct FakeSalesforce {
    salesforce: Arc<Mutex<Salesforce>>,
    endpoint: String,
    servers: Vec<JoinHandle<()>>,
}

impl Drop for FakeSalesforce {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

fn serve(listener: TcpListener, salesforce: Arc<Mutex<Salesforce>>) -> JoinHandle<()> {
    let router = Router::new().fallback(answer).with_state(salesforce);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

impl FakeSalesforce {
    /// An org that holds these deals and what [`Org::new`] puts beside them.
    pub(crate) async fn start(deals: Vec<Deal>) -> Self {
        let (listener, endpoint) = listen().await;
        let salesforce = Arc::new(Mutex::new(Salesforce {
            org: Org::new(deals),
            access: Access::default(),
            quota: Quota { most: 100_000, used: 0 },
            login: endpoint.clone(),
            instance: endpoint.clone(),
            cursors: HashMap::new(),
            cursors_made: 0,
            jobs: HashMap::new(),
            jobs_made: 0,
            page_size: usize::MAX,
            result_page: 50_000,
            polls: 0,
            habits: HashSet::new(),
            faults: Faults::default(),
            after_each: None,
            asked: Vec::new(),
        }));
        let servers = vec![serve(listener, salesforce.clone())];
        Self { salesforce, endpoint, servers }
    }

    fn salesforce(&self) -> MutexGuard<'_, Salesforce> {
        self.salesforce.lock().unwrap()
    }

    /// What the org is like beside its deals.
    pub(crate) fn with(self, change: impl FnOnce(&mut Org)) -> Self {
        self.change(change);
        self
    }

    /// Something happens to the org now.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Org)) {
        change(&mut self.salesforce().org);
    }

    /// What happens to the org after each good answer, which it is told.
    pub(crate) fn after_each(self, change: impl FnMut(&mut Org, Route) + Send + 'static) -> Self {
        self.salesforce().after_each = Some(Box::new(change));
        self
    }

    /// What all answers are like.
    pub(crate) fn habit(self, habit: Habit) -> Self {
        self.salesforce().habits.insert(habit);
        self
    }

    /// The next request fails so; called again, the one after it.
    pub(crate) fn fail(self, fault: Fault) -> Self {
        self.salesforce().faults.add(fault);
        self
    }

    /// The request to `route` that is the `nth` since the start, counted from 1, fails so.
    pub(crate) fn fail_at(self, route: Route, nth: usize, fault: Fault) -> Self {
        self.plan(route, nth, fault);
        self
    }

    /// The same for a fake that is in use already.
    pub(crate) fn plan(&self, route: Route, nth: usize, fault: Fault) {
        self.salesforce().faults.plan(route, nth, fault);
    }

    /// At most so many requests a day.
    pub(crate) fn daily(self, requests: u64) -> Self {
        self.salesforce().quota.most = requests;
        self
    }

    /// The day's quota begins again.
    pub(crate) fn next_day(&self) {
        self.salesforce().quota.used = 0;
    }

    /// Pages hold so many records at most, as they do when records are large.
    pub(crate) fn page_size(self, records: usize) -> Self {
        self.salesforce().page_size = records;
        self
    }

    /// Pages of bulk results hold so many records at most.
    pub(crate) fn result_page(self, records: usize) -> Self {
        self.salesforce().result_page = records;
        self
    }

    /// A job is asked for so often before it is done.
    pub(crate) fn polls(self, polls: usize) -> Self {
        self.salesforce().polls = polls;
        self
    }

    /// Each new session is good for so many requests.
    pub(crate) fn sessions_good_for(self, requests: usize) -> Self {
        self.salesforce().access.good_for = requests;
        self
    }

    /// Every session so far is over.
    pub(crate) fn end_sessions(&self) {
        self.salesforce().access.end_sessions();
    }

    /// Salesforce's clock is so many seconds ahead of this machine's.
    pub(crate) fn clock_ahead(self, seconds: i64) -> Self {
        self.salesforce().access.clock_ahead = seconds;
        self
    }

    /// The org moves to another host, which new sessions name; what asks the old one is sent there.
    pub(crate) async fn move_away(&mut self) {
        let (listener, instance) = listen().await;
        self.salesforce().instance = instance;
        self.servers.push(serve(listener, self.salesforce.clone()));
    }

    /// All deals as they must be published now; days are days in `zone`.
    pub(crate) fn model(&self, zone: Tz) -> Vec<Published> {
        let salesforce = self.salesforce();
        salesforce.org.model(zone, &salesforce.instance)
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.salesforce().asked.clone()
    }

    /// How often a route was asked for, good answer or not.
    pub(crate) fn requests_of(&self, route: Route) -> usize {
        self.salesforce().asked.iter().filter(|asked| asked.route == Some(route)).count()
    }

    /// How many bulk jobs nobody has deleted.
    pub(crate) fn jobs_left(&self) -> usize {
        self.salesforce().jobs.len()
    }

    /// The address for the configuration.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// The keys of a section that reads all deals; they can stand under any `[sources.<name>]`.
    pub(crate) fn section(&self) -> String {
        format!(
            r#"
kind = "salesforce"
endpoint = "{}"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
closed_within = "all"
retry = {{ base = "1ms", max = "2ms" }}
"#,
            self.endpoint
        )
    }
}

fn params(query: &str) -> Vec<(String, String)> {
    let uri: Option<Uri> = format!("http://localhost/?{query}").parse().ok();
    uri.and_then(|uri| Query::try_from_uri(&uri).ok()).map(|Query(params)| params).unwrap_or_default()
}

async fn answer(State(salesforce): State<Arc<Mutex<Salesforce>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 16 << 20).await.unwrap_or_default();
    let place = answers::place(&head.method, head.uri.path());
    let asked = Asked {
        route: place.as_ref().map(|place| place.route),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        status: 0,
    };
    salesforce.lock().unwrap().respond(&asked, place)
}

impl Salesforce {
    fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }

    fn fault(&mut self, route: Option<Route>) -> Option<Fault> {
        let nth = self.asked.iter().filter(|asked| asked.route == route).count();
        self.faults.due(route.as_ref(), nth)
    }

    fn respond(&mut self, asked: &Asked, place: Option<Place>) -> Response {
        let number = self.asked.len();
        self.asked.push(asked.clone());
        let fault = self.fault(asked.route);
        let mut answer = self.decide(asked, place, fault.as_ref());
        self.asked[number].status = answer.status;
        if !matches!(asked.route, None | Some(Route::Token | Route::Versions)) {
            answer.headers.push(("sforce-limit-info", self.usage()));
        }
        if answer.status < 300
            && let (Some(route), Some(mut then)) = (asked.route, self.after_each.take())
        {
            then(&mut self.org, route);
            self.after_each = Some(then);
        }
        self.send(answer, asked, fault.as_ref())
    }

    fn usage(&self) -> String {
        let usage = format!("api-usage={}/{}", self.quota.used, self.quota.most);
        if self.has(Habit::CountsBursts) { usage + "; api-bursts=1/750" } else { usage }
    }

    /// What is answered: a fault that needs no org, a refusal, or what was asked for.
    fn decide(&mut self, asked: &Asked, place: Option<Place>, fault: Option<&Fault>) -> Answer {
        if fault == Some(&Fault::LostCursor) {
            self.cursors.clear();
        }
        if let Some(answer) = fault.and_then(answers::fault) {
            return answer;
        }
        let Some(place) = place else { return answers::not_found() };
        if place.route == Route::Token {
            return self.token(asked.header(header::CONTENT_TYPE), asked.header(header::AUTHORIZATION), &asked.body);
        }
        if let Some(refused) = self.refusal(asked, &place) {
            return refused;
        }
        let (params, headers) = (params(&asked.query), asked.headers.clone());
        self.serve(&Wish { place, params, headers, body: &asked.body, fault })
    }

    /// What stands before the org: the length of the head, the host, the version, the session, the quota.
    fn refusal(&mut self, asked: &Asked, place: &Place) -> Option<Answer> {
        let address = asked.path.len() + asked.query.len();
        let headers: usize = asked.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if address + headers > LONGEST_HEAD {
            return Some(answers::html(if address > LONGEST_HEAD { 414 } else { 431 }));
        }
        if !self.instance.ends_with(asked.header(header::HOST)) {
            let moved = format!("{}{}?{}", self.instance, asked.path, asked.query);
            return Some(Answer::text(301, "text/html", "").header("location", &moved));
        }
        if place.route == Route::Versions {
            return None;
        }
        if let Some(refused) = answers::refused_version(&place.version) {
            return Some(refused);
        }
        if !self.access.admits(asked.header(header::AUTHORIZATION)) {
            return Some(answers::expired());
        }
        (!self.quota.admit()).then(|| answers::fault(&Fault::Limit(Refusal::Total))).flatten()
    }

    /// Turns an answer into what goes over the wire, faults of the wire included.
    fn send(&self, answer: Answer, asked: &Asked, fault: Option<&Fault>) -> Response {
        let way = match fault {
            Some(Fault::Cut) => Way::Cut,
            Some(Fault::Stall) => Way::Stall,
            Some(Fault::Reset) => Way::Reset,
            _ => Way::Whole,
        };
        let packs = asked.header(header::ACCEPT_ENCODING).contains("gzip") && !self.has(Habit::NeverPacks);
        let packs = packs && !answer.body.is_empty();
        sent((answer.status, answer.content_type), answer.headers, answer.body, packs, way)
    }
}
