//! Credentials that several CRMs share: a key as a bearer token, and OAuth's refresh token.
//!
//! An access token is kept until shortly before it ends and renewed by one request at a time, however many ask for it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::http::{self, Http, Request};
use crate::secret::{Keyring, Secret, SecretError};
use crate::sources::answer;
use crate::sources::source::SourceError;

/// How long before its end a token is renewed: no request is to meet a token that ends on the way.
const MARGIN: Duration = Duration::from_secs(90);

/// Puts a token on a request, marked as sensitive.
pub(super) fn bear(headers: &mut HeaderMap, token: &SecretString) -> Result<(), SecretError> {
    let value = format!("Bearer {}", token.expose_secret());
    let (name, value) = http::sensitive(AUTHORIZATION.as_str(), &value)
        .ok_or_else(|| SecretError::NoHeader(AUTHORIZATION.as_str().to_owned()))?;
    headers.insert(name, value);
    Ok(())
}

/// A number that changes with the secret and tells nobody what it is: what is remembered of one account must not be
/// taken for another's.
pub(super) fn fingerprint(secret: &SecretString) -> u64 {
    let mut hasher = DefaultHasher::new();
    secret.expose_secret().hash(&mut hasher);
    hasher.finish()
}

/// OAuth's refresh token and what it is exchanged with (RFC 6749 §6), as configured.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) client_id: Secret,
    pub(super) client_secret: Secret,
    pub(super) refresh_token: Secret,
}

/// The access tokens of a refresh token; the client's credentials go into the form.
pub(super) struct OAuth {
    grant: Grant,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

/// What is known beside the configuration.
#[derive(Default)]
pub(super) struct Held {
    token: Option<Token>,
    renewals: u64,
    /// The configured refresh token, and the one that the CRM gave in its place.
    replaced: Option<(SecretString, SecretString)>,
}

/// An access token.
#[derive(Clone)]
pub(super) struct Token {
    /// The token itself.
    pub(super) text: SecretString,
    ends: Instant,
    number: u64,
}

/// The answer of the token endpoint (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds.
    expires_in: u64,
    refresh_token: Option<String>,
}

impl OAuth {
    /// No token yet.
    pub(super) fn new(grant: Grant, keyring: Arc<Keyring>, clock: Arc<dyn Clock>) -> Self {
        Self { grant, keyring, clock, held: Mutex::default() }
    }

    /// A token that holds for a while yet. `refused` is one that the CRM did not accept: it is not given again.
    pub(super) async fn token(&self, http: &Http, url: Url, refused: Option<&Token>) -> Result<Token, SourceError> {
        // Whoever waits here finds the token that the one before it has renewed.
        let mut held = self.held.lock().await;
        let now = self.clock.instant();
        let is_good = |token: &&Token| now < token.ends && refused.is_none_or(|refused| refused.number != token.number);
        if let Some(token) = held.token.as_ref().filter(is_good) {
            return Ok(token.clone());
        }
        let part = |source| SourceError::Part { part: "renew the access token".to_owned(), source: Box::new(source) };
        let token = self.renew(&mut held, http, url).await.map_err(part)?;
        held.token = Some(token.clone());
        Ok(token)
    }

    async fn renew(&self, held: &mut Held, http: &Http, url: Url) -> Result<Token, SourceError> {
        let configured = self.keyring.reveal(&self.grant.refresh_token)?;
        let replaced = held.replaced.take().filter(|(from, _)| from.expose_secret() == configured.expose_secret());
        let current = replaced.as_ref().map_or(&configured, |(_, to)| to);
        let granted = self.exchange(current, http, url).await?;
        held.replaced = match granted.refresh_token.map(SecretString::from) {
            Some(given) if given.expose_secret() != current.expose_secret() => {
                tracing::warn!("The CRM replaced the refresh token; the new one is kept until this process ends");
                Some((configured, given))
            }
            _ => replaced,
        };
        let lasts = Duration::from_secs(granted.expires_in);
        held.renewals += 1;
        Ok(Token {
            text: SecretString::from(granted.access_token),
            ends: self.clock.instant() + lasts.saturating_sub(MARGIN).max(lasts / 2),
            number: held.renewals,
        })
    }

    async fn exchange(&self, refresh_token: &SecretString, http: &Http, url: Url) -> Result<Granted, SourceError> {
        let form = {
            let id = self.keyring.reveal(&self.grant.client_id)?;
            let secret = self.keyring.reveal(&self.grant.client_secret)?;
            let mut form = Url::parse("form:").expect("a scheme alone is a URL");
            form.query_pairs_mut()
                .append_pair("grant_type", "refresh_token")
                .append_pair("client_id", id.expose_secret())
                .append_pair("client_secret", secret.expose_secret())
                .append_pair("refresh_token", refresh_token.expose_secret());
            form.query().unwrap_or_default().as_bytes().to_vec()
        };
        let reply = http.send(Request::post(url, "application/x-www-form-urlencoded", form)).await?;
        match reply.status {
            // 400 is what the RFC wants for a refresh token that is revoked or expired.
            status @ (400 | 401 | 403) => return Err(SourceError::Refused { status }),
            _ if !reply.is_success() => return Err(SourceError::of_status(&reply, self.clock.now())),
            _ => {}
        }
        let text = answer::text(reply)?;
        serde_json::from_str(&text).map_err(|error| answer::not_json(&error, text.len()))
    }
}
