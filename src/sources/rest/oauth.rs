//! OAuth 2: client credentials and refresh tokens (RFC 6749 §4.4, §6), with the shapes that CRMs give them.
//!
//! The token's own address is the one origin beside the CRM's that secrets go to. A token is renewed by one request at
//! a time, however many ask for it (contract §8.11).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::Serializer;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::http::{self, Http, Request};
use crate::secret::{Keyring, Secret};
use crate::settings::{Problem, Section};
use crate::sources::answer;
use crate::sources::auth::RefreshToken;
use crate::sources::common::Context;
use crate::sources::rest::headers::insert;
use crate::sources::rest::json::{Json, Node};
use crate::sources::rest::path::Path;
use crate::sources::rest::template::Template;
use crate::sources::source::SourceError;

/// How long before its end a token is renewed; half its life where that is shorter.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a token is kept whose answer does not say; a refusal renews it before that.
const UNSAID: Duration = Duration::from_secs(3600);
/// No token is kept longer: clocks overflow beyond.
const LONGEST: u64 = 366 * 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    grant: Kind,
    token_url: String,
    client_id: Secret,
    client_secret: Option<Secret>,
    refresh_token: Option<Secret>,
    scope: Option<String>,
    audience: Option<String>,
    #[serde(default)]
    extra: BTreeMap<String, Template>,
    #[serde(default)]
    client_auth: ClientAuth,
    #[serde(default = "access_token")]
    token_path: Path,
    #[serde(default = "bearer")]
    scheme: String,
    endpoint_path: Option<Path>,
}

fn access_token() -> Path {
    "$.access_token".parse().expect("it is a path")
}

fn bearer() -> String {
    "Bearer".to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ClientCredentials,
    RefreshToken,
}

/// Where the client's own id and secret stand (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClientAuth {
    #[default]
    Basic,
    Body,
}

/// What is exchanged for tokens; `[sources.x.auth]` with `type = "oauth2"`.
pub(super) struct Grant(Keys);

impl Grant {
    /// Reads the section.
    pub(super) fn read(section: &Section, also: &[&str]) -> Result<Self, Vec<Problem>> {
        let keys: Keys = section.read(also)?;
        let mut problems = Vec::new();
        match (keys.grant, &keys.refresh_token) {
            (Kind::RefreshToken, None) => problems.push(Problem::at("refresh_token", "is missing")),
            (Kind::ClientCredentials, Some(_)) => {
                problems.push(Problem::at("refresh_token", "is of use only to `grant = \"refresh_token\"`"));
            }
            _ => {}
        }
        if keys.client_secret.is_none() && (keys.grant, keys.client_auth) != (Kind::RefreshToken, ClientAuth::Body) {
            let problem = Problem::at("client_secret", "is missing");
            problems.push(problem.hint("an app without one: a refresh token and `client_auth = \"body\"`"));
        }
        let wrong = keys.extra.iter().filter(|(_, value)| !value.is_single());
        problems.extend(wrong.map(|(name, _)| {
            let path = vec!["extra".to_owned(), name.clone()];
            Problem { path, message: "expected a text, a number or a secret".to_owned(), hint: None }
        }));
        if problems.is_empty() { Ok(Self(keys)) } else { Err(problems) }
    }

    /// The secrets and their keys. A literal client id is no secret, so it is none to warn of.
    pub(super) fn secrets(&self) -> Vec<(String, Secret)> {
        let Keys { client_id, client_secret, refresh_token, extra, .. } = &self.0;
        let id = (!matches!(client_id, Secret::Literal(_))).then(|| ("client_id".to_owned(), client_id.clone()));
        let mut found: Vec<(String, Secret)> = id.into_iter().collect();
        for (key, secret) in [("client_secret", client_secret), ("refresh_token", refresh_token)] {
            found.extend(secret.iter().map(|secret| (key.to_owned(), secret.clone())));
        }
        for (key, value) in extra {
            value.secrets(&format!("extra.{key}"), &mut found);
        }
        found
    }

    /// Makes it ready to be used, without a request.
    pub(super) fn connect(self, settings: &http::Settings, context: &Context) -> Result<OAuth, Problem> {
        let Self(mut keys) = self;
        let wrong = |message: &str| Problem::at("auth.token_url", message.to_owned());
        let url: Url = keys.token_url.parse().map_err(|_| wrong("is no URL"))?;
        let http = Http::new(&context.clients, &url.origin().ascii_serialization(), settings, None)
            .map_err(|problem| wrong(&problem.message).hint(problem.hint.unwrap_or_default()))?;
        let refresh_token = keys.refresh_token.take();
        let (keyring, clock) = (Arc::clone(&context.keyring), Arc::clone(&context.clock));
        let refresh_token = refresh_token
            .map(|configured| RefreshToken::new(configured, Arc::clone(&keyring), Arc::clone(&context.memory)));
        Ok(OAuth { keys, url, http, refresh_token, keyring, clock, held: Mutex::default() })
    }
}

/// The tokens of a grant.
pub(super) struct OAuth {
    keys: Keys,
    url: Url,
    http: Http,
    refresh_token: Option<RefreshToken>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Token>,
    renewals: u64,
}

/// An access token.
#[derive(Clone)]
pub(super) struct Token {
    text: SecretString,
    /// The address that it is good for, where its answer names one.
    pub(super) endpoint: Option<String>,
    ends: Instant,
    number: u64,
}

impl OAuth {
    /// How many requests have been sent for tokens.
    pub(super) fn requests(&self) -> u64 {
        self.http.requests()
    }

    /// Whether the token's answer names the address that it is good for.
    pub(super) fn names_endpoint(&self) -> bool {
        self.keys.endpoint_path.is_some()
    }

    /// Puts a token on a request. `refused` is one that the CRM did not accept: it is not given again.
    pub(super) async fn apply(&self, headers: &mut HeaderMap, refused: Option<&Token>) -> Result<Token, SourceError> {
        let token = self.token(refused).await?;
        let value = format!("{} {}", self.keys.scheme, token.text.expose_secret());
        insert(headers, AUTHORIZATION.as_str(), &value)?;
        Ok(token)
    }

    /// A token that holds for a while yet.
    pub(super) async fn token(&self, refused: Option<&Token>) -> Result<Token, SourceError> {
        // Whoever waits here finds the token that the one before it has renewed.
        let mut held = self.held.lock().await;
        let now = self.clock.instant();
        let is_good = |token: &&Token| now < token.ends && refused.is_none_or(|refused| refused.number != token.number);
        if let Some(token) = held.token.as_ref().filter(is_good) {
            return Ok(token.clone());
        }
        let part = |source| SourceError::Part { part: "renew the access token".to_owned(), source: Box::new(source) };
        held.renewals += 1;
        let token = self.renew(held.renewals).await.map_err(part)?;
        held.token = Some(token.clone());
        Ok(token)
    }

    async fn renew(&self, number: u64) -> Result<Token, SourceError> {
        let Some(refresh_token) = &self.refresh_token else { return Ok(self.exchange(None, number).await?.0) };
        let mut current = refresh_token.current()?;
        let mut granted = self.exchange(Some(&current), number).await;
        if let Err(SourceError::Refused { .. }) = granted {
            // Another process may have exchanged it meanwhile; then what it was given is there by now.
            let newer = refresh_token.current()?;
            if newer.expose_secret() != current.expose_secret() {
                granted = self.exchange(Some(&newer), number).await;
                current = newer;
            }
        }
        let (token, given) = granted?;
        if let Some(given) = given.filter(|given| given.expose_secret() != current.expose_secret()) {
            refresh_token.replace(&given)?;
        }
        Ok(token)
    }

    /// One exchange: the access token, and the refresh token that the answer gives.
    async fn exchange(
        &self,
        refresh_token: Option<&SecretString>,
        number: u64,
    ) -> Result<(Token, Option<SecretString>), SourceError> {
        let reply = self.http.send(self.request(refresh_token)?).await?;
        match reply.status {
            // 400 is what the RFC wants for a grant that is revoked or expired.
            status @ (400 | 401 | 403) => return Err(SourceError::Refused { status }),
            _ if !reply.is_success() => return Err(SourceError::of_reply(&reply, self.clock.now())),
            _ => {}
        }
        let text = answer::any_text(reply)?;
        answer::check_parts(&text)?;
        let document = Node::document(&text).map_err(|error| answer::not_json(&error, text.len()))?;
        let word = |path: &Path| path.find(&document).and_then(Json::scalar)?.text().map(str::to_owned);
        let Some(access) = word(&self.keys.token_path).filter(|access| !access.is_empty()) else {
            // Zoho says 200 to a grant that it does not accept.
            return Err(SourceError::Refused { status: 200 });
        };
        let seconds = document.member("expires_in").and_then(Node::json).and_then(Json::scalar);
        let seconds = seconds.and_then(|seconds| seconds.text()?.parse::<u64>().ok());
        let lasts = seconds.map_or(UNSAID, |seconds| Duration::from_secs(seconds.min(LONGEST)));
        let token = Token {
            text: SecretString::from(access),
            endpoint: self.keys.endpoint_path.as_ref().and_then(word),
            ends: self.clock.instant() + lasts.saturating_sub(MARGIN.min(lasts / 2)),
            number,
        };
        let given = document.member("refresh_token").and_then(Node::json).and_then(Json::scalar);
        Ok((token, given.and_then(|given| given.text().map(SecretString::from))))
    }

    fn request(&self, refresh_token: Option<&SecretString>) -> Result<Request, SourceError> {
        let (mut form, mut headers) = (Serializer::new(String::new()), HeaderMap::new());
        let id = self.keyring.reveal(&self.keys.client_id)?;
        let secret = self.keys.client_secret.as_ref().map(|secret| self.keyring.reveal(secret)).transpose()?;
        match refresh_token {
            Some(token) => {
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose_secret())
            }
            None => form.append_pair("grant_type", "client_credentials"),
        };
        let words = [("scope", &self.keys.scope), ("audience", &self.keys.audience)];
        for (key, word) in words.into_iter().filter_map(|(key, word)| Some((key, word.as_ref()?))) {
            form.append_pair(key, word);
        }
        for (key, value) in &self.keys.extra {
            form.extend_pairs(value.texts(&self.keyring)?.iter().map(|text| (key, text)));
        }
        match (self.keys.client_auth, &secret) {
            (ClientAuth::Body, secret) => {
                form.append_pair("client_id", id.expose_secret());
                form.extend_pairs(secret.iter().map(|secret| ("client_secret", secret.expose_secret())));
            }
            (ClientAuth::Basic, secret) => {
                let secret = secret.as_ref().map_or("", |secret| secret.expose_secret());
                let both = format!("{}:{secret}", id.expose_secret());
                insert(&mut headers, AUTHORIZATION.as_str(), &format!("Basic {}", STANDARD.encode(both)))?;
            }
        }
        let body = form.finish().into_bytes();
        let mut request = Request::post(self.url.clone(), "application/x-www-form-urlencoded", body);
        request.headers.extend(headers);
        Ok(request)
    }
}
