//! Credentials that several CRMs share: a key as a bearer token, and OAuth: a refresh token, the client's own
//! credentials, or a token that the client signs.
//!
//! An access token is kept until shortly before it ends and renewed by one request at a time, however many ask for it.

mod jwt;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use form_urlencoded::Serializer;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::http::{self, Http, Reply, Request};
use crate::memory::Memory;
use crate::secret::{Keyring, Secret, SecretError};
use crate::sources::answer;
use crate::sources::common::Context;
use crate::sources::source::SourceError;

/// How long before its end a token is renewed: no request is to meet a token that ends on the way.
const MARGIN: Duration = Duration::from_secs(90);

/// No token is kept longer, whatever its answer says: clocks overflow beyond.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The class of an answer of the token endpoint that refuses nothing and is no 2xx.
pub(super) type Class = fn(&Reply, DateTime<Utc>) -> SourceError;

/// Puts a token on a request, marked as sensitive.
pub(super) fn bear(headers: &mut HeaderMap, token: &SecretString) -> Result<(), SecretError> {
    authorize(headers, "Bearer", token.expose_secret())
}

/// Puts a user and a password on a request (RFC 7617), marked as sensitive.
pub(super) fn basic(headers: &mut HeaderMap, user: &str, password: &str) -> Result<(), SecretError> {
    authorize(headers, "Basic", &BASE64_STANDARD.encode(format!("{user}:{password}")))
}

fn authorize(headers: &mut HeaderMap, scheme: &str, credentials: &str) -> Result<(), SecretError> {
    carry(headers, AUTHORIZATION.as_str(), &format!("{scheme} {credentials}"))
}

/// Puts a header on a request, marked as sensitive.
pub(super) fn carry(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), SecretError> {
    let (name, value) = http::sensitive(name, value).ok_or_else(|| SecretError::NoHeader(name.to_owned()))?;
    headers.insert(name, value);
    Ok(())
}

/// A number that changes with the secret, is the same in every process, and tells nobody what the secret is: what is
/// remembered of one account must not be taken for another's.
pub(super) fn fingerprint(secret: &SecretString) -> u64 {
    let digest = Sha256::digest(secret.expose_secret());
    digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A refresh token: the configured one, or the one that the CRM gave in its place. That one outlives the process and
/// holds until another one is configured.
pub(super) struct RefreshToken {
    configured: Secret,
    keyring: Arc<Keyring>,
    memory: Arc<dyn Memory>,
}

impl RefreshToken {
    /// Where the replaced one is remembered.
    const KEY: &str = "refresh_token";

    /// The token that the configuration points at, or what has replaced it.
    pub(super) fn new(configured: Secret, keyring: Arc<Keyring>, memory: Arc<dyn Memory>) -> Self {
        Self { configured, keyring, memory }
    }

    /// The one that holds now.
    pub(super) fn current(&self) -> Result<SecretString, SecretError> {
        let configured = self.keyring.reveal(&self.configured)?;
        let text = self.memory.get(Self::KEY).unwrap_or_default();
        let anchor = format!("{:016x}", fingerprint(&configured));
        let replaced = text.split_once(' ').filter(|(instead_of, token)| *instead_of == anchor && !token.is_empty());
        Ok(replaced.map_or(configured, |(_, token)| SecretString::from(token)))
    }

    /// The CRM gave another one: the old one may not be accepted again.
    pub(super) fn replace(&self, given: &SecretString) -> Result<(), SecretError> {
        let configured = self.keyring.reveal(&self.configured)?;
        self.memory.replace(Self::KEY, &format!("{:016x} {}", fingerprint(&configured), given.expose_secret()));
        Ok(())
    }
}

/// OAuth's refresh token and what it is exchanged with (RFC 6749 §6), as configured.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) client_id: Secret,
    pub(super) client_secret: Secret,
    pub(super) refresh_token: Secret,
}

/// Where an app's own credentials stand in the request for a token (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientIn {
    /// In the form.
    Form,
    /// In the header, as a user and a password.
    Header,
}

/// An app as configured, and by what it is given tokens.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) client_id: Secret,
    pub(super) keys: Keys,
}

/// What an app shows for a token.
#[derive(Debug, Clone)]
pub(super) enum Keys {
    /// A refresh token (RFC 6749 §6); some apps have no secret.
    Refresh { client_secret: Option<Secret>, refresh_token: Secret },
    /// Its own credentials (RFC 6749 §4.4).
    Client { client_secret: Secret },
    /// A token signed by its private key, RSA in PEM, that names the user it acts for (RFC 7523 §2.1).
    Signed { username: String, private_key: Secret, audience: String },
}

impl From<Grant> for App {
    fn from(grant: Grant) -> Self {
        let keys = Keys::Refresh { client_secret: Some(grant.client_secret), refresh_token: grant.refresh_token };
        Self { client_id: grant.client_id, keys }
    }
}

impl App {
    /// The secrets and their keys. A literal client id is no secret, so it is none to warn of.
    pub(super) fn secrets(&self) -> Vec<(String, Secret)> {
        let named = |key: &str, secret: &Secret| (key.to_owned(), secret.clone());
        let id = Some(named("client_id", &self.client_id)).filter(|(_, id)| !matches!(id, Secret::Literal(_)));
        let keys = match &self.keys {
            Keys::Refresh { client_secret, refresh_token } => {
                let secret = client_secret.iter().map(|secret| named("client_secret", secret));
                secret.chain([named("refresh_token", refresh_token)]).collect()
            }
            Keys::Client { client_secret } => vec![named("client_secret", client_secret)],
            Keys::Signed { private_key, .. } => vec![named("private_key", private_key)],
        };
        id.into_iter().chain(keys).collect()
    }

    /// Its secret, if it has one.
    fn client_secret(&self) -> Option<&Secret> {
        match &self.keys {
            Keys::Refresh { client_secret, .. } => client_secret.as_ref(),
            Keys::Client { client_secret } => Some(client_secret),
            Keys::Signed { .. } => None,
        }
    }

    /// What tells this app's account from another's.
    pub(super) fn identity(&self) -> &Secret {
        match &self.keys {
            Keys::Refresh { refresh_token, .. } => refresh_token,
            Keys::Client { client_secret } => client_secret,
            Keys::Signed { private_key, .. } => private_key,
        }
    }
}

/// The access tokens of an app; the client's credentials go into the form.
pub(super) struct OAuth {
    app: App,
    client_in: ClientIn,
    refresh_token: Option<RefreshToken>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    class: Class,
    held: Mutex<Held>,
}

/// What is known beside the configuration.
#[derive(Default)]
pub(super) struct Held {
    token: Option<Token>,
    renewals: u64,
}

/// An access token.
#[derive(Clone)]
pub(super) struct Token {
    /// The token itself.
    pub(super) text: SecretString,
    /// Where the CRM says that the account is (`api_domain`, `instance_url`). Nobody has checked yet whose address that is.
    pub(super) domain: Option<String>,
    /// When it ends, where the CRM tells: else it holds until it is refused.
    ends: Option<Instant>,
    number: u64,
}

/// The answer of the token endpoint (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds.
    expires_in: Option<u64>,
    refresh_token: Option<String>,
    #[serde(alias = "instance_url")]
    api_domain: Option<String>,
}

/// Why there is no token (RFC 6749 §5.2), of the words that CRMs use: no other is repeated.
#[derive(Deserialize)]
struct Denied {
    error: String,
}

/// The words for a client, a user or a token that is not accepted.
const DENIALS: [&str; 10] = [
    "invalid_grant",
    "invalid_client",
    "invalid_client_id",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "access_denied",
    "inactive_user",
    "inactive_org",
];
/// The word for too many tokens, and for how long none is given (contracts/salesforce.md §1.2).
const TOO_MANY: (&str, Duration) = ("rate_limit_exceeded", Duration::from_secs(3600));

impl OAuth {
    /// No token yet.
    pub(super) fn new(app: impl Into<App>, client_in: ClientIn, context: &Context) -> Self {
        let (app, keyring) = (app.into(), Arc::clone(&context.keyring));
        let refresh_token = match &app.keys {
            Keys::Refresh { refresh_token, .. } => {
                let memory = Arc::clone(&context.memory);
                Some(RefreshToken::new(refresh_token.clone(), Arc::clone(&keyring), memory))
            }
            Keys::Client { .. } | Keys::Signed { .. } => None,
        };
        let (clock, class) = (Arc::clone(&context.clock), SourceError::of_reply);
        Self { app, client_in, refresh_token, keyring, clock, class, held: Mutex::default() }
    }

    /// With the classes of a CRM that says more than the status does.
    pub(super) fn classing(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// A token that holds for a while yet. `refused` is one that the CRM did not accept: it is not given again.
    pub(super) async fn token(&self, http: &Http, url: Url, refused: Option<&Token>) -> Result<Token, SourceError> {
        // Whoever waits here finds the token that the one before it has renewed.
        let mut held = self.held.lock().await;
        let now = self.clock.instant();
        let is_good = |token: &&Token| {
            token.ends.is_none_or(|ends| now < ends) && refused.is_none_or(|refused| refused.number != token.number)
        };
        if let Some(token) = held.token.as_ref().filter(is_good) {
            return Ok(token.clone());
        }
        let granted = self.renew(http, url).await.map_err(answer::part("renew the access token"))?;
        held.renewals += 1;
        let lasts = granted.expires_in.map(|seconds| Duration::from_secs(seconds).min(LONGEST));
        let token = Token {
            text: SecretString::from(granted.access_token),
            domain: granted.api_domain,
            ends: lasts.map(|lasts| self.clock.instant() + lasts.saturating_sub(MARGIN).max(lasts / 2)),
            number: held.renewals,
        };
        held.token = Some(token.clone());
        Ok(token)
    }

    async fn renew(&self, http: &Http, url: Url) -> Result<Granted, SourceError> {
        let Some(refresh_token) = &self.refresh_token else { return self.exchange(None, http, url).await };
        let mut current = refresh_token.current()?;
        let mut granted = self.exchange(Some(&current), http, url.clone()).await;
        if granted.as_ref().is_err_and(|error| matches!(error.root(), SourceError::Refused { .. })) {
            // Another process may have exchanged it meanwhile; then what it was given is there by now.
            let newer = refresh_token.current()?;
            if newer.expose_secret() != current.expose_secret() {
                granted = self.exchange(Some(&newer), http, url).await;
                current = newer;
            }
        }
        let granted = granted?;
        if let Some(given) = &granted.refresh_token
            && given != current.expose_secret()
        {
            refresh_token.replace(&SecretString::from(given.as_str()))?;
        }
        Ok(granted)
    }

    async fn exchange(
        &self,
        refresh_token: Option<&SecretString>,
        http: &Http,
        url: Url,
    ) -> Result<Granted, SourceError> {
        let form = self.form(refresh_token)?;
        let mut request = Request::post(url, "application/x-www-form-urlencoded", form);
        if let (ClientIn::Header, Some(secret)) = (self.client_in, self.app.client_secret()) {
            let (id, secret) = (self.keyring.reveal(&self.app.client_id)?, self.keyring.reveal(secret)?);
            basic(&mut request.headers, id.expose_secret(), secret.expose_secret())?;
        }
        let reply = http.send(request).await?;
        if !reply.is_success() {
            return Err(self.denied(&reply));
        }
        let text = answer::text(reply)?;
        serde_json::from_str(&text).map_err(|error| answer::not_json(&error, text.len()))
    }

    /// What is shown for a token, as the token endpoint takes it.
    fn form(&self, refresh_token: Option<&SecretString>) -> Result<Vec<u8>, SourceError> {
        let reveal = |secret: &Secret| self.keyring.reveal(secret);
        let id = reveal(&self.app.client_id)?;
        let mut form = Serializer::new(String::new());
        let mut add = |key: &str, value: &str| {
            form.append_pair(key, value);
        };
        if let (ClientIn::Form, Some(secret)) = (self.client_in, self.app.client_secret()) {
            add("client_secret", reveal(secret)?.expose_secret());
        }
        if self.client_in == ClientIn::Form && !matches!(self.app.keys, Keys::Signed { .. }) {
            add("client_id", id.expose_secret());
        }
        match &self.app.keys {
            Keys::Refresh { refresh_token: configured, .. } => {
                add("grant_type", "refresh_token");
                let token = refresh_token.map_or_else(|| reveal(configured), |token| Ok(token.clone()))?;
                add("refresh_token", token.expose_secret());
            }
            Keys::Client { .. } => add("grant_type", "client_credentials"),
            Keys::Signed { username, private_key, audience } => {
                let claims = jwt::Claims {
                    iss: id.expose_secret(),
                    sub: username,
                    aud: audience,
                    exp: self.clock.now().timestamp() + jwt::LASTS,
                };
                add("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                add("assertion", jwt::signed(&claims, &reveal(private_key)?)?.expose_secret());
            }
        }
        Ok(form.finish().into_bytes())
    }

    fn denied(&self, reply: &Reply) -> SourceError {
        let status = reply.status;
        let word = serde_json::from_slice::<Denied>(&reply.body).map(|denied| denied.error).unwrap_or_default();
        if word == TOO_MANY.0 {
            return SourceError::Limit { status, wait: Some(TOO_MANY.1) };
        }
        // 400 is what the RFC wants for what is wrong, revoked or expired.
        let refused = match status {
            400 | 401 | 403 => SourceError::Refused { status },
            _ => (self.class)(reply, self.clock.now()),
        };
        match DENIALS.iter().find(|known| **known == word) {
            Some(word) => answer::part(word)(refused),
            None => refused,
        }
    }
}
