//! One request of a probe, with its credentials.

use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::clock::Clock;
use crate::http::{self, Http, Request};
use crate::secret::{Keyring, Secret, SecretError};
use crate::sources::answer;
use crate::sources::auth::{set_basic, set_bearer, set_secret_header};
use crate::sources::probe::question::{Answer, Question};
use crate::sources::source::SourceError;

/// How the probe authenticates.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// No credentials.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// A header of this name.
    Header(String, Secret),
    /// `Authorization: Basic …`: the password of this user, or, without one, a key in place of the user's name.
    Basic(Option<String>, Secret),
    /// A parameter of the URL.
    Query(String, Secret),
}

impl Credentials {
    /// The secret among them.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::None => None,
            Self::Bearer(secret) | Self::Header(_, secret) | Self::Basic(_, secret) | Self::Query(_, secret) => {
                Some(secret)
            }
        }
    }
}

/// Sends the probe's requests.
pub struct Client {
    /// The HTTP client for the CRM's origin.
    pub http: Http,
    /// Time-out, size limit, proxy and certificates.
    pub settings: http::Settings,
    /// The credentials to send.
    pub credentials: Credentials,
    /// Reads the secret.
    pub keyring: Keyring,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Client {
    /// Sends one request with the credentials; the answer must be JSON.
    pub async fn ask(&self, asked: &Question) -> Result<Answer, SourceError> {
        let url = asked.url.clone();
        let mut request = match &asked.body {
            None => Request::get(url),
            Some(body) => {
                let body = serde_json::to_vec(body).expect("JSON that was read can be written");
                Request::post(url, "application/json", body)
            }
        };
        self.sign(&mut request)?;
        let reply = self.http.send(request).await?;
        if !reply.is_success() {
            return Err(SourceError::of_reply(&reply, self.clock.now()));
        }
        let headers = reply.headers.clone();
        let text = answer::any_text(reply)?;
        answer::check_parts(&text)?;
        let body = if text.is_empty() { "null" } else { &text };
        let body = serde_json::from_str(body).map_err(|error| answer::not_json(&error, text.len()))?;
        Ok(Answer { asked: asked.clone(), headers, body })
    }

    fn sign(&self, request: &mut Request) -> Result<(), SecretError> {
        match &self.credentials {
            Credentials::None => {}
            Credentials::Bearer(secret) => set_bearer(&mut request.headers, &self.keyring.reveal(secret)?)?,
            Credentials::Header(name, secret) => {
                let secret = self.keyring.reveal(secret)?;
                set_secret_header(&mut request.headers, name, secret.expose_secret())?;
            }
            Credentials::Basic(user, secret) => {
                let secret = self.keyring.reveal(secret)?;
                let secret = secret.expose_secret();
                let (user, password) = user.as_ref().map_or((secret, ""), |user| (user.as_str(), secret));
                set_basic(&mut request.headers, user, password)?;
            }
            Credentials::Query(name, secret) => {
                let secret = self.keyring.reveal(secret)?;
                request.url.query_pairs_mut().append_pair(name, secret.expose_secret());
            }
        }
        Ok(())
    }
}
