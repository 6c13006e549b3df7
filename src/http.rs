//! The one HTTP client: bounded in time and bytes, no redirects, and no credential ever leaves the source's origin.
//!
//! `reqwest` has no timeouts and no size limit by default, obeys the environment's proxies and follows redirects with
//! custom headers; each of these is closed here. Retries belong to the pull, not to the client, except
//! for a request that only met the end of a connection kept from the answer before.

mod body;
mod clients;
mod error;
mod message;
mod pace;
mod record;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue};
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use tokio::time::Instant;
use tracing::debug;

use crate::http::body::Body;
pub use crate::http::clients::Clients;
pub use crate::http::error::HttpError;
use crate::http::error::{has_ended_unanswered, is_certificate};
pub use crate::http::message::{Reply, Request, sensitive};
pub use crate::http::pace::{Pace, Pacer};
pub use crate::http::record::Exchange;
use crate::http::record::Record;
use crate::settings::{Problem, Size, Span};

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

    /// The same client with its own pace.
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

    /// Whether the only problem is that the server closed a connection while it was kept for the next request, which
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
            Problem::at("endpoint", "is not an http or https URL").hint("for instance https://api.mycrm.example/v2")
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
}
