//! Caches and renews access tokens: a token is renewed shortly before it ends, by one request at a time.

use std::sync::Arc;
use std::time::Duration;

use form_urlencoded::{Serializer, byte_serialize};
use reqwest::Url;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::credentials::{ClientIn, Grant, Proof, TokenResponse};
use super::headers::set_basic;
use super::jwt;
use super::refresh_token::RefreshToken;
use crate::clock::Clock;
use crate::http::{self, Http, Reply, Request};
use crate::secret::{Keyring, SecretError};
use crate::settings::Problem;
use crate::sources::answer;
use crate::sources::common::Context;
use crate::sources::source::SourceError;

/// How long before its end a token is renewed, or half its lifetime if that is shorter.
const MARGIN: Duration = Duration::from_secs(60);
/// The longest lifetime that is used: clocks overflow beyond.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// The access tokens of an app.
pub(super) struct OAuth {
    grant: Grant,
    url: Url,
    http: Http,
    refresh_token: Option<RefreshToken>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    state: Mutex<TokenState>,
}

#[derive(Default)]
struct TokenState {
    token: Option<Token>,
    renewals: u64,
}

/// An access token.
#[derive(Clone)]
pub(crate) struct Token {
    pub(super) text: SecretString,
    /// The address that the CRM says it is for; unchecked.
    pub(crate) endpoint: Option<String>,
    /// Without an end, it is used until it is refused.
    ends: Option<Instant>,
    number: u64,
}

/// An error of the token endpoint (RFC 6749 §5.2).
#[derive(Default, Deserialize)]
struct TokenError {
    error: String,
}

/// The codes for a client, a user or a token that is not accepted; no other code is repeated.
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
/// Salesforce's code for too many tokens, and for how long it gives none.
const TOO_MANY: (&str, Duration) = ("rate_limit_exceeded", Duration::from_secs(3600));

impl OAuth {
    pub(super) fn new(grant: Grant, settings: &http::Settings, context: &Context) -> Result<Self, Problem> {
        let url: Url = grant.token_url.parse().map_err(|_| Problem::at("token_url", "is not a URL"))?;
        let http = Http::new(&context.clients, &url.origin().ascii_serialization(), settings, None)?;
        let keyring = Arc::clone(&context.keyring);
        let refresh_token = match &grant.proof {
            Proof::RefreshToken(configured) => {
                let memory = Arc::clone(&context.memory);
                Some(RefreshToken::new(configured.clone(), Arc::clone(&keyring), memory))
            }
            Proof::ClientCredentials | Proof::SignedToken { .. } => None,
        };
        let clock = Arc::clone(&context.clock);
        Ok(Self { grant, url, http, refresh_token, keyring, clock, state: Mutex::default() })
    }

    pub(super) fn requests(&self) -> u64 {
        self.http.requests()
    }

    /// A token that is valid for some time. `refused` is one that the CRM did not accept: it is not given again.
    pub(super) async fn token(&self, refused: Option<&Token>) -> Result<Token, SourceError> {
        // Whoever waits here finds the token that the one before renewed.
        let mut state = self.state.lock().await;
        let now = self.clock.instant();
        if let Some(token) = &state.token
            && token.ends.is_none_or(|ends| now < ends)
            && refused.is_none_or(|refused| refused.number != token.number)
        {
            return Ok(token.clone());
        }
        let response = self.renew().await.map_err(answer::part("renew the access token"))?;
        state.renewals += 1;
        let lifetime = response.lifetime.map(|lifetime| lifetime.min(LONGEST));
        let token = Token {
            text: response.access_token,
            endpoint: response.endpoint,
            ends: lifetime.map(|lifetime| self.clock.instant() + lifetime.saturating_sub(MARGIN.min(lifetime / 2))),
            number: state.renewals,
        };
        state.token = Some(token.clone());
        Ok(token)
    }

    async fn renew(&self) -> Result<TokenResponse, SourceError> {
        let Some(refresh_token) = &self.refresh_token else { return self.exchange(None).await };
        let mut current = refresh_token.current()?;
        let mut response = self.exchange(Some(&current)).await;
        if response.as_ref().is_err_and(|error| matches!(error.root(), SourceError::Refused { .. })) {
            // Another process may have exchanged it meanwhile; then its replacement is remembered by now.
            let newer = refresh_token.current()?;
            if newer.expose_secret() != current.expose_secret() {
                response = self.exchange(Some(&newer)).await;
                current = newer;
            }
        }
        let response = response?;
        if let Some(given) = &response.refresh_token
            && given.expose_secret() != current.expose_secret()
        {
            refresh_token.replace(given)?;
        }
        Ok(response)
    }

    async fn exchange(&self, refresh_token: Option<&SecretString>) -> Result<TokenResponse, SourceError> {
        let reply = self.http.send(self.request(refresh_token)?).await?;
        if reply.is_success() { self.grant.endpoint.read(reply) } else { Err(self.denied(&reply)) }
    }

    fn request(&self, refresh_token: Option<&SecretString>) -> Result<Request, SecretError> {
        let Grant { client_id, client_secret, proof, placement, endpoint, .. } = &self.grant;
        let id = self.keyring.reveal(client_id)?;
        let secret = client_secret.as_ref().map(|secret| self.keyring.reveal(secret)).transpose()?;
        let mut form = Serializer::new(String::new());
        match proof {
            Proof::RefreshToken(_) => {
                form.append_pair("grant_type", "refresh_token");
                form.extend_pairs(refresh_token.map(|token| ("refresh_token", token.expose_secret())));
            }
            Proof::ClientCredentials => {
                form.append_pair("grant_type", "client_credentials");
            }
            Proof::SignedToken { username, private_key, audience } => {
                let exp = self.clock.now().timestamp() + jwt::LASTS;
                let claims = jwt::Claims { iss: id.expose_secret(), sub: username, aud: audience, exp };
                let assertion = jwt::signed(&claims, &self.keyring.reveal(private_key)?)?;
                form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                form.append_pair("assertion", assertion.expose_secret());
            }
        }
        form.extend_pairs(endpoint.extra(&self.keyring)?);
        let in_form = *placement == ClientIn::Form && !matches!(proof, Proof::SignedToken { .. });
        if in_form {
            form.append_pair("client_id", id.expose_secret());
            form.extend_pairs(secret.as_ref().map(|secret| ("client_secret", secret.expose_secret())));
        }
        let body = form.finish().into_bytes();
        let mut request = Request::post(self.url.clone(), "application/x-www-form-urlencoded", body);
        if *placement == ClientIn::Header {
            let secret = secret.as_ref().map_or("", |secret| secret.expose_secret());
            set_client(&mut request.headers, id.expose_secret(), secret)?;
        }
        Ok(request)
    }

    fn denied(&self, reply: &Reply) -> SourceError {
        let status = reply.status;
        let TokenError { error: code } = serde_json::from_slice(&reply.body).unwrap_or_default();
        if code == TOO_MANY.0 {
            return SourceError::Limit { status, wait: Some(TOO_MANY.1) };
        }
        // RFC 6749 §5.2 has 400 for what is wrong, revoked or expired.
        let refused = match status {
            400 | 401 | 403 => SourceError::Refused { status },
            _ => self.grant.endpoint.classify(reply, self.clock.now()),
        };
        match DENIALS.iter().find(|known| **known == code) {
            Some(code) => answer::part(code)(refused),
            None => refused,
        }
    }
}

/// Both are form-encoded before they are joined (RFC 6749 §2.3.1).
fn set_client(headers: &mut HeaderMap, id: &str, secret: &str) -> Result<(), SecretError> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    set_basic(headers, &encoded(id), &encoded(secret))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use reqwest::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn oauth_form_encodes_the_client_before_it_joins_id_and_secret() {
        for (id, secret, joined) in [("id", "secret", "id:secret"), ("a:b", "c d%", "a%3Ab:c+d%25")] {
            let mut headers = HeaderMap::new();
            set_client(&mut headers, id, secret).unwrap();
            assert_eq!(headers[AUTHORIZATION], format!("Basic {}", BASE64_STANDARD.encode(joined)));
        }
    }
}
