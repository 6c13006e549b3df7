//! Credentials that several CRMs share: a key as a bearer token, and OAuth's refresh token.
//!
//! An access token is kept until shortly before it ends and renewed by one request at a time, however many ask for it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
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
use crate::sources::source::SourceError;
use crate::sources::{Context, answer};

/// How long before its end a token is renewed: no request is to meet a token that ends on the way.
const MARGIN: Duration = Duration::from_secs(90);

/// No token is kept longer, whatever its answer says: clocks overflow beyond.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The class of an answer of the token endpoint that refuses nothing and is no 2xx.
pub(super) type Class = fn(&Reply, DateTime<Utc>) -> SourceError;

/// Puts a token on a request, marked as sensitive.
pub(super) fn bear(headers: &mut HeaderMap, token: &SecretString) -> Result<(), SecretError> {
    let value = format!("Bearer {}", token.expose_secret());
    let (name, value) = http::sensitive(AUTHORIZATION.as_str(), &value)
        .ok_or_else(|| SecretError::NoHeader(AUTHORIZATION.as_str().to_owned()))?;
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
        self.memory.put(Self::KEY, &format!("{:016x} {}", fingerprint(&configured), given.expose_secret()));
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

/// The access tokens of a refresh token; the client's credentials go into the form.
pub(super) struct OAuth {
    client_id: Secret,
    client_secret: Secret,
    refresh_token: RefreshToken,
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
    pub(super) fn new(grant: Grant, context: &Context) -> Self {
        let (keyring, memory) = (Arc::clone(&context.keyring), Arc::clone(&context.memory));
        Self {
            client_id: grant.client_id,
            client_secret: grant.client_secret,
            refresh_token: RefreshToken::new(grant.refresh_token, Arc::clone(&keyring), memory),
            keyring,
            clock: Arc::clone(&context.clock),
            class: SourceError::of_status,
            held: Mutex::default(),
        }
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
        let mut current = self.refresh_token.current()?;
        let mut granted = self.exchange(&current, http, url.clone()).await;
        if let Err(SourceError::Refused { .. }) = granted {
            // Another process may have exchanged it meanwhile; then what it was given is there by now.
            let newer = self.refresh_token.current()?;
            if newer.expose_secret() != current.expose_secret() {
                granted = self.exchange(&newer, http, url).await;
                current = newer;
            }
        }
        let granted = granted?;
        if let Some(given) = granted.refresh_token.map(SecretString::from)
            && given.expose_secret() != current.expose_secret()
        {
            self.refresh_token.replace(&given)?;
        }
        let lasts = Duration::from_secs(granted.expires_in).min(LONGEST);
        held.renewals += 1;
        Ok(Token {
            text: SecretString::from(granted.access_token),
            ends: self.clock.instant() + lasts.saturating_sub(MARGIN).max(lasts / 2),
            number: held.renewals,
        })
    }

    async fn exchange(&self, refresh_token: &SecretString, http: &Http, url: Url) -> Result<Granted, SourceError> {
        let form = {
            let id = self.keyring.reveal(&self.client_id)?;
            let secret = self.keyring.reveal(&self.client_secret)?;
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
            _ if !reply.is_success() => return Err((self.class)(&reply, self.clock.now())),
            _ => {}
        }
        let text = answer::text(reply)?;
        serde_json::from_str(&text).map_err(|error| answer::not_json(&error, text.len()))
    }
}
