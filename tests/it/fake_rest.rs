//! A REST CRM over real HTTP: it holds deals and tables, and speaks every way of paging at once.
//!
//! A test says beforehand what is true there and what is to go wrong, and reads afterwards what was asked.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The ways of paging, each below its own path: `/v1/<way>/deals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paging {
    None,
    Page,
    Offset,
    Cursor,
    NextUrl,
}

impl Paging {
    pub(crate) const ALL: [Self; 5] = [Self::None, Self::Page, Self::Offset, Self::Cursor, Self::NextUrl];

    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Page => "page",
            Self::Offset => "offset",
            Self::Cursor => "cursor",
            Self::NextUrl => "next_url",
        }
    }
}

/// What one answer can be instead of the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Another status, with a body that nobody may repeat.
    Status(u16),
    /// 429 with `Retry-After`.
    Limit(&'static str),
    /// A page for people, with status 200.
    Html,
    /// Words, labelled JSON.
    NotJson,
    /// The right answer, less its second half.
    Cut,
    /// The right answer, after a while.
    Slow(Duration),
    /// 301 to the same list elsewhere.
    Redirect,
}

/// How all answers can be odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Habit {
    /// Past the end, the last page comes again.
    RepeatsLastPage,
    /// Two cursors that name each other.
    CyclesCursors,
    /// The next link names the page it stands on.
    LinksToItself,
    /// The next link is on another host.
    LinksElsewhere,
    /// The next link is a query alone.
    LinksRelatively,
    /// The next link repeats the caller's whole query, credentials too.
    EchoesQuery,
    /// Cursors are numbers.
    NumbersCursors,
    /// Counts are texts.
    CountsInTexts,
    /// The list is null.
    SendsNull,
    /// 204 for an empty page.
    SaysNothingWhenEmpty,
    /// The second page is one record short.
    ShortensSecondPage,
    /// The second page is empty, and there are more.
    EmptiesSecondPage,
    /// Every page begins with the last record of the one before.
    Overlaps,
    /// Answers are packed with gzip.
    Packs,
    /// Answers begin with a byte order mark.
    MarksByteOrder,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
}

impl Asked {
    /// A parameter, decoded.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        params(&self.query).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

type Change = Box<dyn FnMut(&mut Vec<String>) + Send>;

#[derive(Default)]
struct Crm {
    lists: BTreeMap<String, Vec<String>>,
    page_size: usize,
    habits: HashSet<Habit>,
    faults: VecDeque<Fault>,
    always: Option<Fault>,
    header: Option<(&'static str, String)>,
    param: Option<(&'static str, String)>,
    change: Option<Change>,
    asked: Vec<Asked>,
}

/// The CRM; it ends when it is dropped.
pub(crate) struct FakeRest {
    crm: Arc<Mutex<Crm>>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for FakeRest {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A deal as this CRM has it.
pub(crate) fn deal(id: u64) -> String {
    let status = match id % 4 {
        2 => "won",
        3 => "lost",
        _ => "open",
    };
    json!({
        "id": id, "title": format!("Deal {id}"), "account": {"name": format!("Company {}", id % 9)},
        "stage_id": id % 4, "amount": format!("{}.50", id * 100), "currency": "EUR", "win_pct": (id * 10) % 101,
        "owner_id": id % 3, "status": status,
        "created": 1_700_000_000 + id, "modified": "2026-01-31T10:00:00.123456Z", "closes": "2026-03-31",
    })
    .to_string()
}

/// So many deals, from id 1.
pub(crate) fn deals(count: u64) -> Vec<String> {
    (1..=count).map(deal).collect()
}

impl FakeRest {
    /// A CRM that holds these deals, JSON each, and the tables `stages` and `users`.
    pub(crate) async fn start(deals: Vec<String>) -> Self {
        let stages = ["New", "Proposal", "Closed Won", "Closed Lost"];
        let stages = stages.iter().enumerate().map(|(id, name)| json!({"id": id, "name": name}).to_string()).collect();
        let users = [("Ann", "Lee"), ("Bo", "Ek"), ("Cy", "Poe")];
        let user = |(id, (first, last)): (usize, &(&str, &str))| {
            json!({"id": id.to_string(), "first_name": first, "last_name": last}).to_string()
        };
        let users = users.iter().enumerate().map(user).collect();
        let lists = [("deals", deals), ("stages", stages), ("users", users)];
        let lists = lists.into_iter().map(|(name, rows)| (name.to_owned(), rows)).collect();
        let crm = Arc::new(Mutex::new(Crm { lists, page_size: 100, ..Crm::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(crm.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { crm, address, server }
    }

    fn crm(&self) -> MutexGuard<'_, Crm> {
        self.crm.lock().unwrap()
    }

    /// How many records a page holds at most.
    pub(crate) fn page_size(self, size: usize) -> Self {
        self.crm().page_size = size;
        self
    }

    /// What all answers are like.
    pub(crate) fn habit(self, habit: Habit) -> Self {
        self.crm().habits.insert(habit);
        self
    }

    /// The next request fails so; called again, the one after it.
    pub(crate) fn fail(self, fault: Fault) -> Self {
        self.then_fail(fault);
        self
    }

    /// The next request that no other fault waits for fails so.
    pub(crate) fn then_fail(&self, fault: Fault) {
        self.crm().faults.push_back(fault);
    }

    /// Every request fails so.
    pub(crate) fn fail_always(self, fault: Fault) -> Self {
        self.crm().always = Some(fault);
        self
    }

    /// Who lacks this header is refused.
    pub(crate) fn require_header(self, name: &'static str, value: &str) -> Self {
        self.crm().header = Some((name, value.to_owned()));
        self
    }

    /// Who lacks this parameter is refused.
    pub(crate) fn require_param(self, name: &'static str, value: &str) -> Self {
        self.crm().param = Some((name, value.to_owned()));
        self
    }

    /// What happens to the deals after each page of them.
    pub(crate) fn between_pages(self, change: impl FnMut(&mut Vec<String>) + Send + 'static) -> Self {
        self.crm().change = Some(Box::new(change));
        self
    }

    /// Replaces the rows of a list: `deals`, `stages`, `users`, or a new one.
    pub(crate) fn hold(&self, list: &str, rows: Vec<String>) {
        self.crm().lists.insert(list.to_owned(), rows);
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.crm().asked.clone()
    }

    /// How often a path was asked for.
    pub(crate) fn requests_of(&self, path: &str) -> usize {
        self.crm().asked.iter().filter(|asked| asked.path == path).count()
    }

    /// The address for the configuration.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The keys of a section that reads these deals, each on one line; they can stand under any `[sources.<name>]`.
    pub(crate) fn section(&self, paging: Paging) -> String {
        let size = self.crm().page_size;
        let keys = match paging {
            Paging::None => String::new(),
            Paging::Page => format!(r#", size_param = "per_page", size = {size}"#),
            Paging::Offset => format!(r#", size_param = "limit", size = {size}"#),
            Paging::Cursor => {
                format!(r#", cursor = "$.meta.next", param = "cursor", size_param = "limit", size = {size}"#)
            }
            Paging::NextUrl => r#", next = "$.meta.next_url""#.to_owned(),
        };
        format!(
            r#"
kind = "rest"
endpoint = "{endpoint}"
retry = {{ base = "1ms", max = "2ms" }}
closed_within = "all"
request = {{ path = "/{word}/deals" }}
paging = {{ type = "{word}"{keys} }}
records = {{ path = "$.data" }}
fields = {{ id = "$.id", name = "$.title", company = "$.account.name", stage = {{ path = "$.stage_id", lookup = "stages" }}, value = "$.amount", currency = "$.currency", probability = {{ path = "$.win_pct", unit = "percent" }}, owner = {{ path = "$.owner_id", lookup = "users" }}, created_at = {{ path = "$.created", cast = "epoch_s" }}, updated_at = "$.modified", close_date = "$.closes" }}
status = {{ path = "$.status", won = ["won"], lost = ["lost"] }}
lookup.stages = {{ path = "/none/stages", records = "$.data", key = "$.id", value = "$.name" }}
lookup.users = {{ path = "/none/users", records = "$.data", key = "$.id", value = ["$.first_name", "$.last_name"] }}
"#,
            endpoint = self.endpoint(),
            word = paging.word(),
        )
    }
}

fn params(query: &str) -> Vec<(String, String)> {
    let uri: Uri = format!("http://localhost/?{query}").parse().unwrap();
    Query::try_from_uri(&uri).map(|Query(params)| params).unwrap_or_default()
}

async fn answer(State(crm): State<Arc<Mutex<Crm>>>, request: Request) -> Response {
    let (response, wait) = respond(&mut crm.lock().unwrap(), &request);
    if let Some(wait) = wait {
        tokio::time::sleep(wait).await;
    }
    response
}

fn respond(crm: &mut Crm, request: &Request) -> (Response, Option<Duration>) {
    let uri = request.uri();
    let query = uri.query().unwrap_or_default().to_owned();
    crm.asked.push(Asked { path: uri.path().to_owned(), query: query.clone(), headers: request.headers().clone() });
    let fault = crm.faults.pop_front().or_else(|| crm.always.clone());
    match &fault {
        Some(Fault::Status(status)) => return (plain(*status, "text/plain", "canary of the body"), None),
        Some(Fault::Limit(wait)) => return (limit(wait), None),
        Some(Fault::Html) => return (plain(200, "text/html; charset=utf-8", "<html>canary</html>"), None),
        Some(Fault::NotJson) => return (plain(200, "application/json", "canary, not JSON"), None),
        Some(Fault::Redirect) => return (plain(301, "text/plain", ""), None),
        Some(Fault::Cut | Fault::Slow(_)) | None => {}
    }
    let params = params(&query);
    if !crm.admits(request.headers(), &params) {
        return (plain(401, "application/json", "{\"error\": \"canary\"}"), None);
    }
    let Some(mut body) = crm.page(uri, &params) else { return (plain(404, "application/json", "{}"), None) };
    if fault == Some(Fault::Cut) {
        body.truncate(body.len() / 2);
    }
    let wait = if let Some(Fault::Slow(wait)) = fault { Some(wait) } else { None };
    (crm.pack(body), wait)
}

fn plain(status: u16, kind: &str, body: &'static str) -> Response {
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, kind);
    response.header(header::LOCATION, "/v1/none/deals").body(Body::from(body)).unwrap()
}

fn limit(wait: &str) -> Response {
    let response = Response::builder().status(StatusCode::TOO_MANY_REQUESTS);
    response.header(header::RETRY_AFTER, wait).body(Body::empty()).unwrap()
}

/// One page: from where, how many, and what the caller sent to get it.
struct Cut {
    from: usize,
    size: usize,
    number: usize,
}

impl Crm {
    fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }

    fn admits(&self, headers: &HeaderMap, params: &[(String, String)]) -> bool {
        let has_header = |(name, value): &(&str, String)| headers.get(*name).is_some_and(|sent| sent == value.as_str());
        let has_param = |(name, value): &(&str, String)| params.last() == Some(&((*name).to_owned(), value.clone()));
        self.header.as_ref().is_none_or(has_header) && self.param.as_ref().is_none_or(has_param)
    }

    /// The body of a page; empty for 204, `None` where there is no such list.
    fn page(&mut self, uri: &Uri, params: &[(String, String)]) -> Option<String> {
        let (way, list) = uri.path().strip_prefix("/v1/")?.split_once('/')?;
        let rows = self.lists.get(list)?.clone();
        let is_deals = list == "deals";
        let cut = self.cut(way, params, &rows);
        let mut until = (cut.from + cut.size).min(rows.len());
        let second = is_deals && cut.number == 2 && until < rows.len();
        if second && self.has(Habit::ShortensSecondPage) {
            until -= 1;
        }
        let mut page: Vec<String> = rows[cut.from.min(rows.len())..until].to_vec();
        if is_deals && self.has(Habit::Overlaps) && cut.from > 0 && !page.is_empty() {
            page.insert(0, rows[cut.from - 1].clone());
        }
        if is_deals && self.has(Habit::EmptiesSecondPage) && cut.number == 2 {
            until = cut.from;
            page.clear();
        }
        if is_deals && page.is_empty() && self.has(Habit::SaysNothingWhenEmpty) {
            return Some(String::new());
        }
        let meta = self.meta(uri, &cut, until, rows.len());
        if is_deals && let Some(change) = &mut self.change {
            change(self.lists.get_mut(list).expect("it was there above"));
        }
        let data =
            if is_deals && self.has(Habit::SendsNull) { "null".to_owned() } else { format!("[{}]", page.join(",")) };
        let mark = if self.has(Habit::MarksByteOrder) { "\u{feff}" } else { "" };
        Some(format!("{mark}{{\"data\":{data},\"meta\":{meta}}}"))
    }

    fn cut(&self, way: &str, params: &[(String, String)], rows: &[String]) -> Cut {
        let text = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let count = |name: &str| text(name).and_then(|value| value.parse::<usize>().ok());
        let asked = count(if way == "page" { "per_page" } else { "limit" });
        let size = asked.map_or(self.page_size, |asked| asked.min(self.page_size)).max(1);
        let mut from = match way {
            "none" => return Cut { from: 0, size: rows.len().max(1), number: 1 },
            "page" => (count("page").unwrap_or(1).max(1) - 1) * size,
            "offset" => count("offset").unwrap_or(0),
            "cursor" => text("cursor").map_or(0, |cursor| cursor.trim_start_matches("c+/=&").parse().unwrap_or(0)),
            _ => count("skip").unwrap_or(0),
        };
        let number = if way == "page" { count("page").unwrap_or(1) } else { from / size + 1 };
        if self.has(Habit::RepeatsLastPage) && from >= rows.len() && !rows.is_empty() {
            from = (rows.len() - 1) / size * size;
        }
        Cut { from, size, number }
    }

    fn meta(&self, uri: &Uri, cut: &Cut, until: usize, total: usize) -> Value {
        // An emptied page says how to go on behind it.
        let emptied = self.has(Habit::EmptiesSecondPage) && cut.number == 2;
        let after = if emptied && uri.path().contains("/page/") { until + cut.size } else { until };
        let mut next = (after < total).then_some(after);
        if self.has(Habit::CyclesCursors) {
            next = Some(if cut.from == 0 { cut.size } else { 0 });
        }
        let cursor =
            next.map(|next| if self.has(Habit::NumbersCursors) { json!(next) } else { json!(format!("c+/=&{next}")) });
        let number =
            |count: usize| if self.has(Habit::CountsInTexts) { json!(count.to_string()) } else { json!(count) };
        json!({
            "total": number(total), "total_pages": number(total.div_ceil(cut.size)), "has_more": after < total,
            "next": cursor, "next_url": next.map(|next| self.link(uri, cut, next)),
        })
    }

    fn link(&self, uri: &Uri, cut: &Cut, next: usize) -> String {
        let path = uri.path();
        match () {
            () if self.has(Habit::LinksToItself) => format!("{path}?skip={}", cut.from),
            () if self.has(Habit::LinksElsewhere) => format!("http://localhost:1{path}?skip={next}"),
            () if self.has(Habit::LinksRelatively) => format!("?skip={next}&sort=a,b%20c"),
            () if self.has(Habit::EchoesQuery) => {
                let query = uri.query().unwrap_or_default();
                let echoed: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("skip=")).collect();
                format!("{path}?skip={next}&{}", echoed.join("&"))
            }
            () => format!("{path}?skip={next}"),
        }
    }

    fn pack(&self, body: String) -> Response {
        if body.is_empty() {
            return Response::builder().status(StatusCode::NO_CONTENT).body(Body::empty()).unwrap();
        }
        let response = Response::builder().header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        if !self.has(Habit::Packs) {
            return response.body(Body::from(body)).unwrap();
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body.as_bytes()).unwrap();
        response.header(header::CONTENT_ENCODING, "gzip").body(Body::from(encoder.finish().unwrap())).unwrap()
    }
}
