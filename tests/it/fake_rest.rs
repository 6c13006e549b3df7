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
use axum::http::request::Parts;
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
    /// The next address in `Link`.
    Link,
    /// The next cursor in a header.
    CursorHeader,
    /// Parts, by `Range`.
    Range,
    /// The number of the page in the body of a POST.
    BodyPage,
    /// The cursor among the variables of a GraphQL query.
    GraphQl,
    /// The offset in a header.
    HeaderOffset,
    /// What is behind the last record.
    LastRecord,
}

impl Paging {
    pub(crate) const ALL: [Self; 12] = [
        Self::None,
        Self::Page,
        Self::Offset,
        Self::Cursor,
        Self::NextUrl,
        Self::Link,
        Self::CursorHeader,
        Self::Range,
        Self::BodyPage,
        Self::GraphQl,
        Self::HeaderOffset,
        Self::LastRecord,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Page => "page",
            Self::Offset => "offset",
            Self::Cursor => "cursor",
            Self::NextUrl => "next_url",
            Self::Link => "link_header",
            Self::CursorHeader => "cursor_header",
            Self::Range => "range",
            Self::BodyPage => "body_page",
            Self::GraphQl => "graphql",
            Self::HeaderOffset => "header_offset",
            Self::LastRecord => "last_record",
        }
    }

    fn is_post(self) -> bool {
        matches!(self, Self::BodyPage | Self::GraphQl)
    }

    /// The keys of `paging` for pages of this size.
    pub(crate) fn keys(self, size: usize) -> String {
        match self {
            Self::None => r#"type = "none""#.to_owned(),
            Self::Page => format!(r#"type = "page", size_param = "per_page", size = {size}"#),
            Self::Offset => format!(r#"type = "offset", size_param = "limit", size = {size}"#),
            Self::Cursor => {
                format!(
                    r#"type = "cursor", cursor = "$.meta.next", param = "cursor", size_param = "limit", size = {size}"#
                )
            }
            Self::NextUrl => r#"type = "next_url", next = "$.meta.next_url""#.to_owned(),
            Self::Link => format!(r#"type = "link_header", size_param = "limit", size = {size}"#),
            Self::CursorHeader => {
                r#"type = "cursor", cursor = "X-Next", cursor_from = "header", param = "cursor""#.to_owned()
            }
            Self::Range => format!(r#"type = "range", unit = "records", size = {size}"#),
            Self::BodyPage => {
                format!(r#"type = "page", in = "body", param = "page.number", size_param = "page.size", size = {size}"#)
            }
            Self::GraphQl => format!(
                r#"type = "cursor", in = "body", cursor = "$.meta.next", param = "variables.after", size_param = "variables.first", size = {size}"#
            ),
            Self::HeaderOffset => {
                format!(r#"type = "offset", in = "header", param = "X-Offset", size_param = "X-Limit", size = {size}"#)
            }
            Self::LastRecord => {
                r#"type = "cursor", cursor = "$.id", cursor_from = "last_record", param = "after_id""#.to_owned()
            }
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
    /// 403 with a page for people: a block.
    Block,
    /// Status 200, and a failure in the body.
    SaysNo,
    /// Status 200, and a failure beside the data.
    SaysNoBesideData,
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
    /// What should be the number of deals is that of the page.
    CountsThePage,
    /// Only the first page says how many deals there are.
    CountsOnce,
    /// The second page is 200 without a body.
    LosesSecondBody,
    /// JSON is labelled as plain text.
    LabelsAsText,
    /// The next link carries the newest token.
    LinksWithToken,
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
    /// Answers are labelled gzip and are not packed.
    LabelsPlainAsPacked,
    /// 404 behind the last page.
    MissesBehindTheEnd,
    /// Every page but the first is one record further than asked for.
    LosesARecord,
    /// Parts are not counted.
    CountsNoParts,
    /// The same part whatever is asked for.
    IgnoresRanges,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) method: String,
    pub(crate) body: String,
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
    sends: Vec<(&'static str, String)>,
    tokens: Option<Tokens>,
    asked: Vec<Asked>,
}

/// What the token endpoint gives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tokens {
    /// The refresh token that it takes next; empty: it takes client credentials.
    pub(crate) refresh: String,
    /// Whether each exchange replaces the refresh token.
    pub(crate) rotates: bool,
    /// How long a token holds, in seconds.
    pub(crate) expires_in: u64,
    /// After how many requests a token is refused; 0: never.
    pub(crate) revoked_after: usize,
    /// The address that tokens are good for.
    pub(crate) endpoint: Option<String>,
    /// How many have been given.
    pub(crate) given: usize,
    /// How many requests the newest has been on.
    pub(crate) used: usize,
}

impl Tokens {
    /// One exchange: the answer, or 400 to what is not a grant.
    fn exchange(&mut self, form: &[(String, String)]) -> Option<Value> {
        let word = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let is_good = match word("grant_type") {
            Some("client_credentials") => self.refresh.is_empty(),
            Some("refresh_token") => word("refresh_token") == Some(&self.refresh),
            _ => false,
        };
        if !is_good {
            return None;
        }
        self.given += 1;
        self.used = 0;
        let mut answer =
            json!({"access_token": format!("canary-access-{}", self.given), "expires_in": self.expires_in});
        if self.rotates {
            self.refresh = format!("canary-refresh-{}", self.given);
            answer["refresh_token"] = json!(self.refresh);
        }
        if let Some(endpoint) = &self.endpoint {
            answer["api_domain"] = json!(endpoint);
        }
        Some(answer)
    }

    /// Whether the newest token is on the request, and still good.
    fn admits(&mut self, headers: &HeaderMap) -> bool {
        self.used += 1;
        let wanted = format!("Bearer canary-access-{}", self.given);
        let is_worn = self.revoked_after > 0 && self.used > self.revoked_after;
        self.given > 0 && !is_worn && headers.get(header::AUTHORIZATION).is_some_and(|sent| sent == wanted.as_str())
    }
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

    /// A header that every answer has.
    pub(crate) fn send_header(self, name: &'static str, value: &str) -> Self {
        self.crm().sends.push((name, value.to_owned()));
        self
    }

    /// Only the tokens of `/oauth/token` are let in.
    pub(crate) fn require_token(self, tokens: Tokens) -> Self {
        self.crm().tokens = Some(tokens);
        self
    }

    /// The address without a path.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
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
        let keys = paging.keys(self.crm().page_size);
        let method = if paging.is_post() { "method = \"POST\", " } else { "" };
        format!(
            r#"
kind = "rest"
endpoint = "{endpoint}"
retry = {{ base = "1ms", max = "2ms" }}
closed_within = "all"
request = {{ {method}path = "/{word}/deals" }}
paging = {{ {keys} }}
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
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let (response, wait) = respond(&mut crm.lock().unwrap(), &head, &String::from_utf8_lossy(&body));
    if let Some(wait) = wait {
        tokio::time::sleep(wait).await;
    }
    response
}

fn respond(crm: &mut Crm, request: &Parts, body: &str) -> (Response, Option<Duration>) {
    let uri = &request.uri;
    let query = uri.query().unwrap_or_default().to_owned();
    let (path, headers, method) = (uri.path().to_owned(), request.headers.clone(), request.method.to_string());
    crm.asked.push(Asked { path, query: query.clone(), headers, method, body: body.to_owned() });
    if uri.path() == "/oauth/token" {
        return (crm.token(body), None);
    }
    let fault = crm.faults.pop_front().or_else(|| crm.always.clone());
    match &fault {
        Some(Fault::Status(status)) => return (plain(*status, "text/plain", "canary of the body"), None),
        Some(Fault::Limit(wait)) => return (limit(wait), None),
        Some(Fault::Html) => return (plain(200, "text/html; charset=utf-8", "<html>canary</html>"), None),
        Some(Fault::NotJson) => return (plain(200, "application/json", "canary, not JSON"), None),
        Some(Fault::Redirect) => return (plain(301, "text/plain", ""), None),
        Some(Fault::Block) => return (plain(403, "text/html; charset=utf-8", "<html>canary</html>"), None),
        Some(Fault::SaysNo) => {
            return (plain(200, "application/json", r#"{"success": false, "error": "maintenance", "data": []}"#), None);
        }
        Some(Fault::Cut | Fault::Slow(_) | Fault::SaysNoBesideData) | None => {}
    }
    let params = params(&query);
    if !crm.admits(&request.headers, &params) {
        return (plain(401, "application/json", "{\"error\": \"canary\"}"), None);
    }
    let Some(mut page) = crm.page(request, &params, body) else { return (plain(404, "application/json", "{}"), None) };
    if fault == Some(Fault::Cut) {
        page.body.truncate(page.body.len() / 2);
    }
    if fault == Some(Fault::SaysNoBesideData) {
        page.body = page.body.replacen('{', r#"{"errors": [{"message": "canary"}],"#, 1);
    }
    let wait = if let Some(Fault::Slow(wait)) = fault { Some(wait) } else { None };
    (crm.pack(page), wait)
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

/// An answer with a page, before it is packed.
struct Paged {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Crm {
    fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }

    fn admits(&mut self, headers: &HeaderMap, params: &[(String, String)]) -> bool {
        let has_header = |(name, value): &(&str, String)| headers.get(*name).is_some_and(|sent| sent == value.as_str());
        let has_param = |(name, value): &(&str, String)| params.last() == Some(&((*name).to_owned(), value.clone()));
        self.header.as_ref().is_none_or(has_header)
            && self.param.as_ref().is_none_or(has_param)
            && self.tokens.as_mut().is_none_or(|tokens| tokens.admits(headers))
    }

    fn token(&mut self, form: &str) -> Response {
        let granted = self.tokens.as_mut().and_then(|tokens| tokens.exchange(&params(form)));
        let status = if granted.is_some() { 200 } else { 400 };
        let answer = granted.unwrap_or_else(|| json!({"error": "invalid_grant canary"}));
        let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
        response.body(Body::from(answer.to_string())).unwrap()
    }

    /// A page; an empty body for 204, `None` where there is no such list.
    fn page(&mut self, request: &Parts, params: &[(String, String)], body: &str) -> Option<Paged> {
        let uri = &request.uri;
        let (way, list) = uri.path().strip_prefix("/v1/")?.split_once('/')?;
        let rows = self.lists.get(list)?.clone();
        let is_deals = list == "deals";
        let params = asked_for(way, request, params, body, &rows);
        let mut cut = self.cut(way, &params, &rows);
        if is_deals && self.has(Habit::MissesBehindTheEnd) && cut.from >= rows.len() && cut.number > 1 {
            return None;
        }
        if is_deals && self.has(Habit::LosesARecord) && cut.from > 0 {
            cut.from += 1;
        }
        let mut until = (cut.from + cut.size).min(rows.len());
        let second = is_deals && cut.number == 2 && until < rows.len();
        if second && self.has(Habit::ShortensSecondPage) {
            until -= 1;
        }
        let mut page: Vec<String> = rows[cut.from.min(rows.len())..until.max(cut.from.min(rows.len()))].to_vec();
        if is_deals && self.has(Habit::Overlaps) && cut.from > 0 && !page.is_empty() {
            page.insert(0, rows[cut.from - 1].clone());
        }
        if is_deals && self.has(Habit::EmptiesSecondPage) && cut.number == 2 {
            until = cut.from;
            page.clear();
        }
        let (status, headers) = self.head(request, way, &cut, until, rows.len());
        if is_deals && page.is_empty() && self.has(Habit::SaysNothingWhenEmpty) {
            return Some(Paged { status: 204, headers, body: String::new() });
        }
        if is_deals && self.has(Habit::LosesSecondBody) && cut.number == 2 {
            return Some(Paged { status: 200, headers: Vec::new(), body: String::new() });
        }
        let meta = self.meta(uri, &cut, until, rows.len());
        if is_deals && let Some(change) = &mut self.change {
            change(self.lists.get_mut(list).expect("it was there above"));
        }
        let data =
            if is_deals && self.has(Habit::SendsNull) { "null".to_owned() } else { format!("[{}]", page.join(",")) };
        let mark = if self.has(Habit::MarksByteOrder) { "\u{feff}" } else { "" };
        Some(Paged { status, headers, body: format!("{mark}{{\"data\":{data},\"meta\":{meta},\"success\":true}}") })
    }

    /// The status of a page, and the headers that say how to go on.
    fn head(
        &self,
        request: &Parts,
        way: &str,
        cut: &Cut,
        until: usize,
        total: usize,
    ) -> (u16, Vec<(&'static str, String)>) {
        let mut headers = vec![("x-total-count", self.told(cut, until, total).to_string())];
        let next = self.next(&request.uri, cut, until, total);
        match way {
            "link_header" => {
                let links = [
                    Some(format!("<{}>; title=\"a, b; c\"; rel=\"first\"", request.uri.path())),
                    next.map(|next| format!("<{}>; REL=\"prefetch Next\"", self.link(&request.uri, cut, next))),
                    Some(format!("<{}?ids=1,2>;rel=last", request.uri.path())),
                ];
                headers.push(("link", links.into_iter().flatten().collect::<Vec<_>>().join(", ")));
            }
            "cursor_header" => headers.extend(next.map(|next| ("x-next", format!("c+/=&{next}")))),
            "range" => {
                let total = if self.has(Habit::CountsNoParts) { "*".to_owned() } else { total.to_string() };
                if cut.from >= until {
                    headers.push(("content-range", format!("records */{total}")));
                    return (416, headers);
                }
                let from = if self.has(Habit::IgnoresRanges) { 0 } else { cut.from };
                headers.push(("content-range", format!("records {from}-{}/{total}", until - 1)));
                return (206, headers);
            }
            _ => {}
        }
        (200, headers)
    }

    fn cut(&self, way: &str, params: &[(String, String)], rows: &[String]) -> Cut {
        let text = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let count = |name: &str| text(name).and_then(|value| value.parse::<usize>().ok());
        let by_page = matches!(way, "page" | "body_page");
        let asked = count(if by_page { "per_page" } else { "limit" });
        let size = asked.map_or(self.page_size, |asked| asked.min(self.page_size)).max(1);
        let mut from = match way {
            "none" => return Cut { from: 0, size: rows.len().max(1), number: 1 },
            _ if by_page => (count("page").unwrap_or(1).max(1) - 1) * size,
            "offset" | "header_offset" | "last_record" => count("offset").unwrap_or(0),
            "cursor" | "cursor_header" | "graphql" => {
                text("cursor").map_or(0, |cursor| cursor.trim_start_matches("c+/=&").parse().unwrap_or(0))
            }
            _ => count("skip").unwrap_or(0),
        };
        let number = if by_page { count("page").unwrap_or(1) } else { from / size + 1 };
        if self.has(Habit::RepeatsLastPage) && from >= rows.len() && !rows.is_empty() {
            from = (rows.len() - 1) / size * size;
        }
        Cut { from, size, number }
    }

    /// From where the next page is; `None` at the end.
    fn next(&self, uri: &Uri, cut: &Cut, until: usize, total: usize) -> Option<usize> {
        if self.has(Habit::CyclesCursors) {
            return Some(if cut.from == 0 { cut.size } else { 0 });
        }
        Some(self.after(uri, cut, until)).filter(|after| *after < total)
    }

    /// An emptied page says how to go on behind it.
    fn after(&self, uri: &Uri, cut: &Cut, until: usize) -> usize {
        let emptied = self.has(Habit::EmptiesSecondPage) && cut.number == 2;
        if emptied && uri.path().contains("page/") { until + cut.size } else { until }
    }

    fn meta(&self, uri: &Uri, cut: &Cut, until: usize, total: usize) -> Value {
        let next = self.next(uri, cut, until, total);
        let cursor =
            next.map(|next| if self.has(Habit::NumbersCursors) { json!(next) } else { json!(format!("c+/=&{next}")) });
        let number =
            |count: usize| if self.has(Habit::CountsInTexts) { json!(count.to_string()) } else { json!(count) };
        let is_silent = self.has(Habit::CountsOnce) && cut.number > 1;
        json!({
            "total": (!is_silent).then(|| number(self.told(cut, until, total))), "total_pages": number(total.div_ceil(cut.size)),
            "has_more": self.after(uri, cut, until) < total,
            "next": cursor, "next_url": next.map(|next| self.link(uri, cut, next)),
        })
    }

    /// How many deals there are, as it says.
    fn told(&self, cut: &Cut, until: usize, total: usize) -> usize {
        if self.has(Habit::CountsThePage) { until.saturating_sub(cut.from) } else { total }
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
            () if self.has(Habit::LinksWithToken) => {
                let given = self.tokens.as_ref().map_or(0, |tokens| tokens.given);
                format!("{path}?skip={next}&access_token=canary-access-{given}")
            }
            () => format!("{path}?skip={next}"),
        }
    }

    fn pack(&self, page: Paged) -> Response {
        let mut response = Response::builder().status(page.status);
        for (name, value) in page.headers.into_iter().chain(self.sends.iter().cloned()) {
            response = response.header(name, value);
        }
        if page.body.is_empty() {
            return response.body(Body::empty()).unwrap();
        }
        let kind = if self.has(Habit::LabelsAsText) { "text/plain" } else { "application/json; charset=utf-8" };
        let response = response.header(header::CONTENT_TYPE, kind);
        if self.has(Habit::LabelsPlainAsPacked) {
            return response.header(header::CONTENT_ENCODING, "gzip").body(Body::from(page.body)).unwrap();
        }
        if !self.has(Habit::Packs) {
            return response.body(Body::from(page.body)).unwrap();
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(page.body.as_bytes()).unwrap();
        response.header(header::CONTENT_ENCODING, "gzip").body(Body::from(encoder.finish().unwrap())).unwrap()
    }
}

/// The parameters of a page, wherever the way has them.
fn asked_for(
    way: &str,
    request: &Parts,
    params: &[(String, String)],
    body: &str,
    rows: &[String],
) -> Vec<(String, String)> {
    let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let of_body =
        |place: &str| body.pointer(place).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    let pairs = match way {
        "body_page" => vec![("page", of_body("/page/number")), ("per_page", of_body("/page/size"))],
        "graphql" => vec![("cursor", of_body("/variables/after")), ("limit", of_body("/variables/first"))],
        "header_offset" => vec![("offset", header("x-offset")), ("limit", header("x-limit"))],
        "range" => {
            let range = header("range").unwrap();
            let (first, last) = range.strip_prefix("records=").unwrap().split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            vec![("skip", Some(first.to_string())), ("limit", Some((last + 1 - first).to_string()))]
        }
        "last_record" => {
            let after: Option<u64> = params.first().and_then(|(_, value)| value.parse().ok());
            let id = |row: &String| serde_json::from_str::<Value>(row).unwrap()["id"].as_u64().unwrap();
            let offset = after.map_or(0, |after| rows.iter().take_while(|row| id(row) <= after).count());
            vec![("offset", Some(offset.to_string()))]
        }
        _ => return params.to_vec(),
    };
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
