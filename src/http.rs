//! The one HTTP client: bounded in time and bytes, no redirects, and no credential ever leaves the source's origin.
//!
//! `reqwest` has no timeouts and no size limit by default, obeys the environment's proxies and follows redirects with
//! custom headers; every one of these is closed here (`reliability.md` §3). Retries are the pull's, not the client's, but
//! for a request that only met the end of a connection kept from the answer before.

mod body;
mod record;

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, Proxy, Url};
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;
use tracing::debug;

use crate::http::body::Body;
pub use crate::http::record::Exchange;
use crate::http::record::Record;
use crate::settings::{Problem, Size, Span};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const POOL_IDLE: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("sales-pipeline/", env!("CARGO_PKG_VERSION"));

/// How a source's requests are sent; keys of every source's section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How long one request may take, head to last byte.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// The largest answer, counted after decompression.
    #[serde(default = "default_max_body")]
    pub max_body: Size,
    /// Plain http to other hosts than this machine.
    #[serde(default)]
    pub allow_http: bool,
    /// A proxy's URL; the environment's proxies are ignored.
    pub proxy: Option<String>,
    /// Authorities to trust beside the system's, PEM.
    pub ca_file: Option<PathBuf>,
}

fn default_timeout() -> Span {
    Span(Duration::from_secs(120))
}

fn default_max_body() -> Size {
    Size(64 << 20)
}

/// At most this many requests in this time, kept by waiting beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many.
    pub requests: u32,
    /// In how long.
    pub per: Duration,
}

/// Keeps a pace by waiting before a request; requests of their own limit have a pacer of their own.
#[derive(Debug, Default)]
pub struct Pacer {
    pace: Mutex<Option<Pace>>,
    held_until: Mutex<Option<Instant>>,
    sent: AsyncMutex<VecDeque<Instant>>,
}

impl Pacer {
    /// A pacer that keeps `pace`; without one it never waits.
    pub fn new(pace: Option<Pace>) -> Self {
        Self { pace: Mutex::new(pace), ..Self::default() }
    }

    /// The pace that is kept.
    pub fn pace(&self) -> Option<Pace> {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps another pace from the next request on: what the server last said it allows.
    pub fn set(&self, pace: Pace) {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Some(pace);
    }

    /// Sends nothing for a while, whatever the pace.
    pub fn hold(&self, wait: Duration) {
        *self.held_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + wait);
    }

    /// Waits until another request is within the pace, in any window of its length.
    pub async fn wait(&self) {
        let Some(pace) = self.pace() else { return };
        let mut sent = self.sent.lock().await;
        let held = self.held_until.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(until) = held {
            tokio::time::sleep_until(until).await;
        }
        let now = Instant::now();
        while sent.front().is_some_and(|at| now.duration_since(*at) >= pace.per) {
            sent.pop_front();
        }
        if sent.len() >= pace.requests as usize {
            tokio::time::sleep_until(sent[sent.len() - pace.requests as usize] + pace.per).await;
        }
        sent.push_back(Instant::now());
    }
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Refused, reset, no such host, or cut in the middle: worth another try.
    #[error("no complete answer")]
    Broken(#[source] reqwest::Error),
    /// An answer that may be cut, or whose packing is broken: worth another try.
    #[error("no complete answer: {0}")]
    Incomplete(&'static str),
    /// It took longer than its timeout: worth another try.
    #[error("no answer within {0}")]
    TimedOut(Span),
    /// The certificate is not trusted: another try changes nothing.
    #[error("the server's certificate is not trusted")]
    Certificate(#[source] reqwest::Error),
    /// More bytes than allowed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    /// A URL on another host, scheme or port: no credential goes there.
    #[error("the address is not on {origin}")]
    ForeignOrigin {
        /// The source's own origin.
        origin: String,
    },
    /// A path that makes no URL.
    #[error("the address is no URL")]
    NotAUrl,
}

/// A request: built by a source, sent once.
#[derive(Debug, Clone)]
pub struct Request {
    /// GET, POST or HEAD.
    pub method: Method,
    /// Where to; checked against the source's origin.
    pub url: Url,
    /// Headers, secrets marked sensitive.
    pub headers: HeaderMap,
    /// A body, with its content type in `headers`.
    pub body: Option<Vec<u8>>,
    /// Whether it changes nothing at the server, whatever its method: it may be sent twice.
    pub only_asks: bool,
}

impl Request {
    /// A GET of `url`.
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: None, only_asks: true }
    }

    /// A POST of `body`, which is of the media type `kind`.
    pub fn post(url: Url, kind: &'static str, body: Vec<u8>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        Self { method: Method::POST, url, headers, body: Some(body), only_asks: false }
    }

    /// A POST whose `body` is a question, such as a search.
    pub fn question(url: Url, kind: &'static str, body: Vec<u8>) -> Self {
        Self { only_asks: true, ..Self::post(url, kind, body) }
    }
}

/// An answer of any status, read whole.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Vec<u8>,
    /// What was asked.
    pub url: Url,
}

impl Reply {
    /// Whether the status is 2xx, other than 206: a part that nobody asked for.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status) && self.status != 206
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// How long the server asks to wait: `Retry-After` in seconds or as a date, judged at `now`.
    pub fn retry_after(&self, now: DateTime<Utc>) -> Option<Duration> {
        let text = self.header(RETRY_AFTER.as_str())?.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        (DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now).to_std().ok()
    }
}

/// The clients there are, shared by sources with the same proxy and authorities: each loads all certificates anew.
#[derive(Debug, Default)]
pub struct Clients {
    clients: Mutex<HashMap<Trust, Client>>,
    record: Option<Arc<Record>>,
}

/// What tells two clients apart: the proxy and the file of authorities.
type Trust = (Option<String>, Option<PathBuf>);

impl Clients {
    /// No clients yet.
    pub fn new() -> Arc<Self> {
        // Taken by the first caller; later ones find it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Arc::new(Self::default())
    }

    /// No clients yet; what they exchange is kept until [`taken`](Self::taken).
    pub fn recording() -> Arc<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Arc::new(Self { clients: Mutex::default(), record: Some(Arc::default()) })
    }

    /// What was exchanged since this was last asked, in the order of the answers; nothing where nothing is kept.
    pub fn taken(&self) -> Vec<Exchange> {
        self.record.as_ref().map(|record| record.take()).unwrap_or_default()
    }

    fn client(&self, settings: &Settings) -> Result<Client, Problem> {
        let key = (settings.proxy.clone(), settings.ca_file.clone());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(settings)?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(settings: &Settings) -> Result<Client, Problem> {
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .http1_only()
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_max_idle_per_host(2)
        .pool_idle_timeout(POOL_IDLE);
    if let Some(proxy) = &settings.proxy {
        let proxy = Proxy::all(proxy).map_err(|_| Problem::at("proxy", "is no proxy URL"))?;
        builder = builder.proxy(proxy);
    }
    if let Some(path) = &settings.ca_file {
        for certificate in authorities(path).map_err(|why| Problem::at("ca_file", why.to_string()))? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|_| {
        Problem::at("ca_file", "no certificates to trust were found on this machine")
            .hint("install the package `ca-certificates`")
    })
}

fn authorities(path: &PathBuf) -> io::Result<Vec<Certificate>> {
    let found = Certificate::from_pem_bundle(&fs::read(path)?).map_err(io::Error::other)?;
    if found.is_empty() { Err(io::Error::other("holds no certificate in PEM")) } else { Ok(found) }
}

/// A source's own client: one origin, its timeouts and caps, its pace, its count of requests.
#[derive(Debug)]
pub struct Http {
    client: Client,
    endpoint: Url,
    timeout: Span,
    max_body: u64,
    pacer: Pacer,
    requests: AtomicU64,
    /// Whether an answer came since a connection was last found to have ended.
    is_answered: AtomicBool,
    record: Option<Arc<Record>>,
}

impl Http {
    /// A client for one endpoint. Plain http only to this machine or where the settings allow it.
    pub fn new(clients: &Clients, endpoint: &str, settings: &Settings, pace: Option<Pace>) -> Result<Self, Problem> {
        let endpoint = parse_endpoint(endpoint, settings.allow_http)?;
        Ok(Self {
            client: clients.client(settings)?,
            endpoint,
            timeout: settings.timeout,
            max_body: settings.max_body.0,
            pacer: Pacer::new(pace),
            requests: AtomicU64::new(0),
            is_answered: AtomicBool::new(false),
            record: clients.record.clone(),
        })
    }

    /// How many requests have been sent since the start.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The URL of a path below the endpoint, or of an absolute URL on the same origin.
    pub fn url(&self, path: &str) -> Result<Url, HttpError> {
        let url = if path.starts_with("http://") || path.starts_with("https://") {
            Url::parse(path).map_err(|_| HttpError::NotAUrl)?
        } else {
            let base = self.endpoint.as_str().trim_end_matches('/');
            let slash = if path.is_empty() || path.starts_with(['/', '?']) { "" } else { "/" };
            Url::parse(&format!("{base}{slash}{path}")).map_err(|_| HttpError::NotAUrl)?
        };
        self.own(url)
    }

    /// A URL as a server gives it: relative to the request it answers, or absolute; always on the same origin.
    pub fn join(&self, request: &Url, next: &str) -> Result<Url, HttpError> {
        self.own(request.join(next).map_err(|_| HttpError::NotAUrl)?)
    }

    fn own(&self, url: Url) -> Result<Url, HttpError> {
        let same = url.origin() == self.endpoint.origin() && url.username().is_empty() && url.password().is_none();
        if same {
            Ok(url)
        } else {
            Err(HttpError::ForeignOrigin { origin: self.endpoint.origin().ascii_serialization() })
        }
    }

    /// The pacer of all requests that name none of their own.
    pub fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    /// Sends the request and reads the answer whole, whatever its status. A question that meets the end of a kept
    /// connection is asked once more, on another.
    pub async fn send(&self, request: Request) -> Result<Reply, HttpError> {
        self.send_at(&self.pacer, request).await
    }

    /// The same, at a pace of its own.
    pub async fn send_at(&self, pacer: &Pacer, mut request: Request) -> Result<Reply, HttpError> {
        request.url = self.own(request.url)?;
        let again = request.only_asks.then(|| request.clone());
        match (self.attempt(pacer, request).await, again) {
            (Err(HttpError::Broken(error)), Some(request)) if self.has_kept_too_long(&error) => {
                debug!("The server had ended the connection: asking again on another");
                self.attempt(pacer, request).await
            }
            (answer, _) => answer,
        }
    }

    /// Whether nothing is wrong but that the server gave up a connection while it was kept for the next request, which
    /// many do without a word. An answer must have come over it: a server that ends one after another is unwell.
    fn has_kept_too_long(&self, error: &reqwest::Error) -> bool {
        has_ended_unanswered(error) && self.is_answered.swap(false, Ordering::Relaxed)
    }

    async fn attempt(&self, pacer: &Pacer, request: Request) -> Result<Reply, HttpError> {
        pacer.wait().await;
        let Some(record) = &self.record else { return self.exchange(request).await };
        let (asked, begun) = (Exchange::asked(&request), Instant::now());
        let answer = self.exchange(request).await;
        record.add(asked.answered(&answer, begun.elapsed()));
        answer
    }

    async fn exchange(&self, request: Request) -> Result<Reply, HttpError> {
        let (url, has_body) = (request.url, request.method != Method::HEAD);
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut builder = self
            .client
            .request(request.method, url.clone())
            .timeout(self.timeout.0)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))
            .headers(request.headers);
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let mut response = builder.send().await.map_err(|error| self.classify(error))?;
        let status = response.status().as_u16();
        let mut body = Body::new(response.headers(), self.max_body);
        while let Some(chunk) = response.chunk().await.map_err(|error| self.classify(error))? {
            body.take(&chunk)?;
        }
        self.is_answered.store(true, Ordering::Relaxed);
        let reply = Reply { status, headers: response.headers().clone(), body: body.end()?, url };
        if (200..300).contains(&status) && has_body && !body::has_known_end(status, &reply.headers) {
            return Err(HttpError::Incomplete("nothing says where it ends"));
        }
        Ok(reply)
    }

    fn classify(&self, error: reqwest::Error) -> HttpError {
        // The URL can hold a token in its query.
        let error = error.without_url();
        if error.is_timeout() {
            HttpError::TimedOut(self.timeout)
        } else if is_certificate(&error) {
            HttpError::Certificate(error)
        } else {
            HttpError::Broken(error)
        }
    }
}

fn parse_endpoint(text: &str, allow_http: bool) -> Result<Url, Problem> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
        .ok_or_else(|| {
            Problem::at("endpoint", "is no http or https URL").hint("for instance https://api.mycrm.example/v2")
        })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::at("endpoint", "holds a user name or password").hint("put it under `auth`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Problem::at("endpoint", "holds a query").hint("put it under `request.query`"));
    }
    if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
        return Err(Problem::at("endpoint", "is plain http to another machine: the key would be readable on the way")
            .hint("use https, or set `allow_http = true`"));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// rustls' own error stands somewhere in the chain where a certificate was the matter.
fn is_certificate(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause.is::<rustls::Error>() || inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
    })
}

/// Whether the connection was there and ended before the head of an answer. hyper itself asks again only where not a
/// byte of the request had been written.
fn has_ended_unanswered(error: &reqwest::Error) -> bool {
    let is_end = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
            || io.is_some_and(|kind| ENDS.contains(&kind))
    };
    error.is_request() && !error.is_connect() && causes(error).any(is_end)
}

/// How the system says that the other side ended a connection.
const ENDS: [ErrorKind; 4] = [
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
    // TLS, without a farewell.
    ErrorKind::UnexpectedEof,
];

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
}

/// A header that holds a secret: marked, so that nothing prints it.
pub fn sensitive(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = name.parse::<HeaderName>().ok()?;
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(endpoint: &str) -> Http {
        let settings = Settings {
            timeout: default_timeout(),
            max_body: default_max_body(),
            allow_http: false,
            proxy: None,
            ca_file: None,
        };
        Http::new(&Clients::new(), endpoint, &settings, None).unwrap()
    }

    #[test]
    fn a_next_link_to_another_origin_is_refused_whatever_its_disguise() {
        let http = http("https://api.example.com/v2");
        let asked = http.url("/deals").unwrap();
        assert_eq!(asked.as_str(), "https://api.example.com/v2/deals");
        for next in [
            "https://evil.example/deals",
            "//evil.example/deals",
            "http://api.example.com/v2/deals",
            "https://api.example.com:8443/deals",
            "https://api.example.com@evil.example/deals",
            "https://user:pass@api.example.com/deals",
        ] {
            assert!(matches!(http.join(&asked, next), Err(HttpError::ForeignOrigin { .. })), "{next}");
        }
        assert_eq!(http.join(&asked, "?page=2").unwrap().as_str(), "https://api.example.com/v2/deals?page=2");
    }

    #[test]
    fn plain_http_goes_to_this_machine_only() {
        for endpoint in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://crm.example"] {
            assert!(parse_endpoint(endpoint, false).is_ok(), "{endpoint}");
        }
        for endpoint in [
            "http://crm.example",
            "http://127.0.0.1.evil.example",
            "ftp://crm.example",
            "crm.example",
            "https://a:b@crm.example",
        ] {
            assert!(parse_endpoint(endpoint, false).is_err(), "{endpoint}");
        }
        assert!(parse_endpoint("http://crm.example", true).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more_requests_than_the_pace_allows_also_when_it_changes() {
        let pacer = Pacer::new(Some(Pace { requests: 10, per: Duration::from_secs(10) }));
        let begun = Instant::now();
        let mut sent = Vec::new();
        for number in 0..60 {
            if number == 30 {
                pacer.set(Pace { requests: 5, per: Duration::from_secs(10) });
            }
            pacer.wait().await;
            sent.push(begun.elapsed().as_millis());
        }
        for window in sent[..30].windows(11) {
            assert!(window[10] - window[0] >= 10_000, "{window:?}");
        }
        for window in sent[30..].windows(6) {
            assert!(window[5] - window[0] >= 10_000, "{window:?}");
        }
        assert!(sent[59] < 90_000, "it waits no longer than it must: {sent:?}");
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = "2026-11-22T08:00:00Z".parse().unwrap();
        let mut reply = Reply {
            status: 429,
            headers: HeaderMap::new(),
            body: Vec::new(),
            url: "http://localhost".parse().unwrap(),
        };
        for (text, seconds) in [
            ("2", Some(2)),
            ("Sun, 22 Nov 2026 08:00:05 GMT", Some(5)),
            ("soon", None),
            ("-4", None),
            ("Sun, 22 Nov 2020 08:00:05 GMT", None),
        ] {
            reply.headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            assert_eq!(reply.retry_after(now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
