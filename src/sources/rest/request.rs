//! What is asked for: a request as the configuration writes it, and with a page's own part put into it.

use std::collections::BTreeMap;

use form_urlencoded::Serializer;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::http::{Http, HttpError};
use crate::secret::{Keyring, SecretError, is_secret_name};
use crate::settings::Problem;
use crate::sources::rest::headers::{Headers, Secrets, check_headers, header_secrets, insert};
use crate::sources::rest::paging::Turn;
use crate::sources::rest::path::Path;
use crate::sources::rest::template::{Template, put, with_secrets};
use crate::sources::source::SourceError;
use crate::telemetry::Escaped;

/// The keys of a request.
pub(super) const KEYS: [&str; 7] = ["method", "path", "query", "array", "headers", "body", "form"];

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
    array: Array,
    #[serde(default)]
    headers: Headers,
    body: Option<Template>,
    form: Option<BTreeMap<String, Template>>,
}

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    #[default]
    Get,
    Post,
    /// Only of a count: the answer has no body.
    Head,
}

/// How a list stands in a query: `a=1&a=2`, `a=1,2` or `a[]=1&a[]=2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Array {
    #[default]
    Repeat,
    Comma,
    Brackets,
}

/// A request, checked.
pub(super) struct Request {
    method: Method,
    path: String,
    query: BTreeMap<String, Template>,
    array: Array,
    headers: Headers,
    payload: Payload,
}

enum Payload {
    None,
    Json(Template),
    Form(BTreeMap<String, Template>),
}

/// A request that is ready to be sent, but for its credentials.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) method: Method,
    /// Without secrets: relative links are resolved against it.
    pub(super) url: Url,
    /// Parameters that are secret; they come last, and never stand in a position.
    pub(super) hidden: Vec<(String, SecretString)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
    /// Statuses that say that the page is behind the last one.
    pub(super) ends: Vec<u16>,
    /// Whether a part was asked for, so that 206 is its answer.
    pub(super) is_part: bool,
}

impl Keys {
    /// Checks the parts against each other.
    pub(super) fn check(self) -> Result<Request, Vec<Problem>> {
        let mut problems = check_headers(&self.headers);
        problems.extend(key_in(&self.path));
        let verb = self.method;
        let payload = match (self.body, self.form) {
            (Some(_), Some(_)) => {
                problems.push(Problem::at("form", "stands beside `body`").hint("one of the two"));
                Payload::None
            }
            (Some(_), None) if verb != Verb::Post => {
                problems.push(Problem::at("body", "needs `method = \"POST\"`"));
                Payload::None
            }
            (None, Some(_)) if verb != Verb::Post => {
                problems.push(Problem::at("form", "needs `method = \"POST\"`"));
                Payload::None
            }
            (Some(body), None) => Payload::Json(body.with_secrets("")),
            (None, Some(form)) => Payload::Form(with_secrets(form)),
            (None, None) if verb == Verb::Post => Payload::Json(Template::empty()),
            (None, None) => Payload::None,
        };
        problems.extend(wrong_values("query", &self.query));
        if let Payload::Form(form) = &payload {
            problems.extend(wrong_values("form", form));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let method = match verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Head => Method::HEAD,
        };
        let query = with_secrets(self.query);
        Ok(Request { method, path: self.path, query, array: self.array, headers: self.headers, payload })
    }
}

/// A key has no place in an address, which stands in logs.
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
    /// Whether the request's address is one of this CRM.
    pub(super) fn check_address(&self, http: &Http) -> Option<Problem> {
        match http.url(&self.path) {
            Ok(_) => None,
            Err(HttpError::ForeignOrigin { .. }) => {
                Some(Problem::at("path", "is on another host than `endpoint`").hint("credentials go nowhere else"))
            }
            Err(_) => Some(Problem::at("path", "makes no URL")),
        }
    }

    /// Whether it asks for nothing but a head.
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Whether something can be put into its body.
    pub(super) fn has_body(&self) -> bool {
        !matches!(self.payload, Payload::None)
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
        match &self.payload {
            Payload::None => false,
            Payload::Json(body) => body.holds(place),
            Payload::Form(form) => form.contains_key(&place.to_string()),
        }
    }

    /// Whether a value can be put at a place of the body.
    pub(super) fn takes_place(&self, place: &Path) -> bool {
        match &self.payload {
            Payload::None => false,
            Payload::Json(body) => put(&mut body.shape(), place, Value::Null),
            Payload::Form(_) => true,
        }
    }

    /// The secrets and their keys.
    pub(super) fn secrets(&self) -> Secrets {
        let mut found = header_secrets(&self.headers);
        let mut of = |place: &str, values: &BTreeMap<String, Template>| {
            for (key, value) in values {
                value.secrets(&format!("{place}.{key}"), &mut found);
            }
        };
        of("query", &self.query);
        match &self.payload {
            Payload::None => {}
            Payload::Form(form) => of("form", form),
            Payload::Json(body) => body.secrets("body", &mut found),
        }
        found
    }

    /// The names of parameters that hold secrets: what a server echoes of them is taken out of its links.
    pub(super) fn hidden(&self) -> impl Iterator<Item = &str> {
        self.query.iter().filter(|(_, value)| value.is_secret()).map(|(key, _)| key.as_str())
    }

    /// The request for one page; `extra` are the source's own headers.
    pub(super) fn draft(
        &self,
        http: &Http,
        keyring: &Keyring,
        extra: &Headers,
        turn: &Turn,
    ) -> Result<Draft, SourceError> {
        let hidden = self.revealed_params(keyring)?;
        let url = match &turn.link {
            // Letter by letter as the server gave it.
            Some(link) => self.linked(http.url(link)?, keyring, turn)?,
            None => self.url(http, keyring, turn)?,
        };
        let is_kept = turn.link.is_none() || turn.along.body;
        let (method, mut headers, body) = match &self.payload {
            Payload::Json(body) if is_kept => {
                (self.method.clone(), content("application/json"), Some(json(body, keyring, turn)?))
            }
            Payload::Form(form) if is_kept => {
                let kind = content("application/x-www-form-urlencoded");
                (self.method.clone(), kind, Some(encode(form, keyring, turn)?))
            }
            Payload::None if is_kept => (self.method.clone(), HeaderMap::new(), None),
            _ => (Method::GET, HeaderMap::new(), None),
        };
        let own = self.headers.iter().filter(|_| turn.link.is_none() || turn.along.headers);
        for (name, value) in extra.iter().chain(own) {
            insert(&mut headers, name, keyring.reveal(value)?.expose_secret())?;
        }
        for (name, value) in &turn.headers {
            insert(&mut headers, name, value)?;
        }
        Ok(Draft { method, url, hidden, headers, body, ends: turn.ends.clone(), is_part: turn.is_part })
    }

    fn url(&self, http: &Http, keyring: &Keyring, turn: &Turn) -> Result<Url, SourceError> {
        let mut url = http.url(&self.path)?;
        add(&mut url, self.pairs(keyring, turn)?);
        Ok(url)
    }

    /// A next address, with the parameters of the first request that it lacks where those are to go along.
    fn linked(&self, mut link: Url, keyring: &Keyring, turn: &Turn) -> Result<Url, SourceError> {
        if turn.along.query {
            let there: Vec<String> = link.query_pairs().map(|(key, _)| key.into_owned()).collect();
            let mut pairs = self.pairs(keyring, turn)?;
            pairs.retain(|(key, _)| !there.contains(key));
            add(&mut link, pairs);
        }
        Ok(link)
    }

    /// The parameters that are no secrets, the page's own last.
    fn pairs(&self, keyring: &Keyring, turn: &Turn) -> Result<Vec<(String, String)>, SourceError> {
        let mut pairs = Vec::new();
        for (key, value) in self.query.iter().filter(|(_, value)| !value.is_secret()) {
            let texts = value.texts(keyring)?;
            pairs.extend(self.array.pairs(key, texts, matches!(value, Template::List(_))));
        }
        pairs.extend(turn.query.iter().cloned());
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

impl Array {
    /// The pairs of a query for one key.
    pub(super) fn pairs(self, key: &str, texts: Vec<String>, is_list: bool) -> Vec<(String, String)> {
        match self {
            Self::Comma if is_list => vec![(key.to_owned(), texts.join(","))],
            Self::Brackets if is_list => texts.into_iter().map(|text| (format!("{key}[]"), text)).collect(),
            _ => texts.into_iter().map(|text| (key.to_owned(), text)).collect(),
        }
    }
}

fn add(url: &mut Url, pairs: Vec<(String, String)>) {
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
}

fn content(kind: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
}

fn json(body: &Template, keyring: &Keyring, turn: &Turn) -> Result<Vec<u8>, SourceError> {
    let mut body = body.reveal(keyring)?;
    for (place, value) in &turn.body {
        if !put(&mut body, place, value.clone()) {
            return Err(SourceError::Paging(format!("`{place}` is no place in the body")));
        }
    }
    Ok(serde_json::to_vec(&body).expect("texts, numbers and lists are JSON"))
}

fn encode(form: &BTreeMap<String, Template>, keyring: &Keyring, turn: &Turn) -> Result<Vec<u8>, SourceError> {
    let mut encoded = Serializer::new(String::new());
    for (key, value) in form {
        encoded.extend_pairs(value.texts(keyring)?.iter().map(|text| (key, text)));
    }
    for (place, value) in &turn.body {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        encoded.append_pair(&place.to_string(), &text);
    }
    Ok(encoded.finish().into_bytes())
}
