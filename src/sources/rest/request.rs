//! A request as the configuration writes it, and with a page's own part put into it.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::http::{Http, HttpError};
use crate::secret::{Keyring, SecretError, is_secret_name};
use crate::settings::Problem;
use crate::sources::auth::set_secret_header;
use crate::sources::rest::headers::{Headers, Secrets, check_headers, header_secrets};
use crate::sources::rest::path::Path;
use crate::sources::rest::template::{Template, put, with_secrets};
use crate::sources::source::SourceError;
use crate::telemetry::Escaped;

/// The keys of a request.
pub(super) const KEYS: [&str; 5] = ["method", "path", "query", "headers", "body"];

/// The keys of `[sources.x.request]`, and the same of a look-up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    #[serde(default)]
    method: Verb,
    #[serde(default)]
    path: String,
    #[serde(default)]
    query: BTreeMap<String, Template>,
    #[serde(default)]
    headers: Headers,
    body: Option<Template>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    #[default]
    Get,
    Post,
}

pub(super) struct Request {
    method: Method,
    path: String,
    query: BTreeMap<String, Template>,
    headers: Headers,
    body: Option<Template>,
}

/// A page's own part of a request.
#[derive(Debug, Default)]
pub(super) struct PageOverrides {
    /// The whole address, if the server gave one.
    pub(super) link: Option<String>,
    /// Parameters added to the request's own.
    pub(super) query: Vec<(String, String)>,
    /// Headers added to the request's own.
    pub(super) headers: Vec<(String, String)>,
    /// Values at places of its body.
    pub(super) body: Vec<(Path, Value)>,
    /// Statuses that mean that the page is after the last one.
    pub(super) ends: Vec<u16>,
    /// Whether the request names a range, so that 206 is its answer.
    pub(super) is_part: bool,
}

/// A request that is ready to be sent, except for its credentials.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) method: Method,
    /// Without secrets: relative links are resolved against it.
    pub(super) url: Url,
    /// Parameters that are secret; they come last, and are never in a position.
    pub(super) hidden: Vec<(String, SecretString)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
    /// Statuses that mean that the page is after the last one.
    pub(super) ends: Vec<u16>,
    /// Whether the request names a range, so that 206 is its answer.
    pub(super) is_part: bool,
}

impl Keys {
    /// Checks the parts against each other.
    pub(super) fn check(self) -> Result<Request, Vec<Problem>> {
        let mut problems = check_headers(&self.headers);
        problems.extend(key_in(&self.path));
        let verb = self.method;
        if self.body.is_some() && verb != Verb::Post {
            problems.push(Problem::at("body", "needs `method = \"POST\"`"));
        }
        let body = match self.body {
            Some(body) => Some(body.with_secrets("")),
            None => (verb == Verb::Post).then(Template::empty),
        };
        problems.extend(wrong_values("query", &self.query));
        if !problems.is_empty() {
            return Err(problems);
        }
        let method = match verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
        };
        let query = with_secrets(self.query);
        Ok(Request { method, path: self.path, query, headers: self.headers, body })
    }
}

/// An address must not hold a key, because it is logged.
fn key_in(path: &str) -> Option<Problem> {
    let (_, query) = path.split_once('?')?;
    let (name, _) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| is_secret_name(name))?;
    let problem = Problem::at("path", format!("holds what may be a key in `{}`", Escaped(&name)));
    Some(problem.hint(format!("put it under `query`: {} = {{ env = \"…\" }}", Escaped(&name))))
}

/// Parameters carry single values or lists of them.
fn wrong_values(place: &str, values: &BTreeMap<String, Template>) -> Vec<Problem> {
    let is_right = |value: &Template| match value {
        Template::List(items) => items.iter().all(|item| item.is_single() && !item.is_secret()),
        single => single.is_single(),
    };
    let wrong = values.iter().filter(|(_, value)| !is_right(value));
    wrong
        .map(|(key, _)| Problem {
            path: vec![place.to_owned(), key.clone()],
            message: "expected a text, a number, true or false, a secret, or a list of values".to_owned(),
            hint: None,
        })
        .collect()
}

impl Request {
    /// Reports an address that is not one of this CRM.
    pub(super) fn check_address(&self, http: &Http) -> Option<Problem> {
        match http.url(&self.path) {
            Ok(_) => None,
            Err(HttpError::ForeignOrigin { .. }) => {
                Some(Problem::at("path", "is on another host than `endpoint`").hint("credentials go nowhere else"))
            }
            Err(_) => Some(Problem::at("path", "makes no URL")),
        }
    }

    /// Whether something can be put into its body.
    pub(super) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// Whether a parameter of the query is set here.
    pub(super) fn sets_param(&self, name: &str) -> bool {
        self.query.contains_key(name)
    }

    /// Whether a header is set here.
    pub(super) fn sets_header(&self, name: &str) -> bool {
        self.headers.keys().any(|set| set.eq_ignore_ascii_case(name))
    }

    /// Whether a place of the body is set here.
    pub(super) fn sets_place(&self, place: &Path) -> bool {
        self.body.as_ref().is_some_and(|body| body.holds(place))
    }

    /// Whether a value can be put at a place of the body.
    pub(super) fn takes_place(&self, place: &Path) -> bool {
        self.body.as_ref().is_some_and(|body| put(&mut body.shape(), place, Value::Null))
    }

    /// The secrets and their keys.
    pub(super) fn secrets(&self) -> Secrets {
        let mut found = header_secrets(&self.headers);
        for (key, value) in &self.query {
            value.secrets(&format!("query.{key}"), &mut found);
        }
        if let Some(body) = &self.body {
            body.secrets("body", &mut found);
        }
        found
    }

    /// The names of parameters that hold secrets; they are removed from links that echo them.
    pub(super) fn hidden(&self) -> impl Iterator<Item = &str> {
        self.query.iter().filter(|(_, value)| value.is_secret()).map(|(key, _)| key.as_str())
    }

    /// The request for one page; `extra` are the source's own headers.
    pub(super) fn draft(
        &self,
        http: &Http,
        keyring: &Keyring,
        extra: &Headers,
        page: &PageOverrides,
    ) -> Result<Draft, SourceError> {
        let hidden = self.revealed_params(keyring)?;
        let url = match &page.link {
            // Exactly as the server gave it.
            Some(link) => http.url(link)?,
            None => self.url(http, keyring, page)?,
        };
        let mut headers = HeaderMap::new();
        let mut body = None;
        if let Some(template) = &self.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            body = Some(json(template, keyring, page)?);
        }
        for (name, value) in extra.iter().chain(&self.headers) {
            set_secret_header(&mut headers, name, keyring.reveal(value)?.expose_secret())?;
        }
        for (name, value) in &page.headers {
            set_secret_header(&mut headers, name, value)?;
        }
        let method = self.method.clone();
        Ok(Draft { method, url, hidden, headers, body, ends: page.ends.clone(), is_part: page.is_part })
    }

    fn url(&self, http: &Http, keyring: &Keyring, page: &PageOverrides) -> Result<Url, SourceError> {
        let mut url = http.url(&self.path)?;
        let pairs = self.pairs(keyring, page)?;
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        Ok(url)
    }

    /// The parameters without secrets, the page's own last.
    fn pairs(&self, keyring: &Keyring, page: &PageOverrides) -> Result<Vec<(String, String)>, SourceError> {
        let mut pairs = Vec::new();
        for (key, value) in self.query.iter().filter(|(_, value)| !value.is_secret()) {
            let texts = value.texts(keyring)?;
            pairs.extend(texts.into_iter().map(|text| (key.clone(), text)));
        }
        pairs.extend(page.query.iter().cloned());
        Ok(pairs)
    }

    fn revealed_params(&self, keyring: &Keyring) -> Result<Vec<(String, SecretString)>, SecretError> {
        let secret = |(key, value): (&String, &Template)| match value {
            Template::Secret(secret) => Some(keyring.reveal(secret).map(|secret| (key.clone(), secret))),
            _ => None,
        };
        self.query.iter().filter_map(secret).collect()
    }
}

fn json(body: &Template, keyring: &Keyring, page: &PageOverrides) -> Result<Vec<u8>, SourceError> {
    let mut body = body.reveal(keyring)?;
    for (place, value) in &page.body {
        if !put(&mut body, place, value.clone()) {
            return Err(SourceError::Paging(format!("`{place}` is no place in the body")));
        }
    }
    Ok(serde_json::to_vec(&body).expect("texts, numbers and lists are JSON"))
}
