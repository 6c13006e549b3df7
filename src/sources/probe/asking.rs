//! One request of a probe, with its credentials.

use std::sync::Arc;

use reqwest::Url;
use secrecy::ExposeSecret;

use crate::clock::Clock;
use crate::http::{self, Http, Request};
use crate::secret::{Keyring, Secret, SecretError};
use crate::sources::probe::Answer;
use crate::sources::source::SourceError;
use crate::sources::{answer, auth};

/// Who the program is to this CRM.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nobody asks.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// A header of this name.
    Header(String, Secret),
    /// A parameter of the URL.
    Query(String, Secret),
}

/// Asks one CRM.
pub struct Client {
    /// Its origin.
    pub http: Http,
    /// Who asks.
    pub credentials: Credentials,
    /// Where secrets are.
    pub keyring: Keyring,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Client {
    /// GETs the URL, which holds no credentials; the answer is JSON.
    pub async fn ask(&self, url: &Url) -> Result<Answer, SourceError> {
        let mut request = Request::get(url.clone());
        self.sign(&mut request)?;
        let reply = self.http.send(request).await?;
        if !reply.is_success() {
            return Err(SourceError::of_status(&reply, self.clock.now()));
        }
        let headers = reply.headers.clone();
        let text = answer::any_text(reply)?;
        answer::check_parts(&text)?;
        let body = if text.is_empty() { "null" } else { &text };
        let body = serde_json::from_str(body).map_err(|error| answer::not_json(&error, text.len()))?;
        Ok(Answer { url: url.clone(), headers, body })
    }

    fn sign(&self, request: &mut Request) -> Result<(), SecretError> {
        match &self.credentials {
            Credentials::None => {}
            Credentials::Bearer(secret) => auth::bear(&mut request.headers, &self.keyring.reveal(secret)?)?,
            Credentials::Header(name, secret) => {
                let secret = self.keyring.reveal(secret)?;
                let header = http::sensitive(name, secret.expose_secret());
                let (name, value) = header.ok_or_else(|| SecretError::NoHeader(name.clone()))?;
                request.headers.insert(name, value);
            }
            Credentials::Query(name, secret) => {
                let secret = self.keyring.reveal(secret)?;
                request.url.query_pairs_mut().append_pair(name, secret.expose_secret());
            }
        }
        Ok(())
    }
}
