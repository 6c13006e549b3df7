//! A request as it is sent, and an answer read whole.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url};

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
