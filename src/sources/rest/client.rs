//! Asks the CRM: a request with its credentials, and what makes an answer a whole one.
//!
//! No text of an answer and no secret is ever part of an error.

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::error::Category;

use crate::clock::Clock;
use crate::http::{Http, Request};
use crate::secret::{Keyring, Secret};
use crate::settings::Problem;
use crate::sources::answer;
use crate::sources::rest::auth::{self, Auth};
use crate::sources::rest::json::{MAX_PARTS, Node};
use crate::sources::source::SourceError;

/// Extra headers, each of which can be a secret.
pub(super) type Headers = std::collections::BTreeMap<String, Secret>;

/// Finds headers that could never be sent.
pub(super) fn check_headers(headers: &Headers) -> Vec<Problem> {
    let wrong = |name: &String, message: &str| {
        Some(Problem { path: vec!["headers".to_owned(), name.clone()], message: message.to_owned(), hint: None })
    };
    headers
        .iter()
        .filter_map(|(name, value)| match value {
            _ if name.parse::<HeaderName>().is_err() => wrong(name, "is no name of a header"),
            Secret::Literal(text) if HeaderValue::from_str(text.expose_secret()).is_err() => {
                wrong(name, "holds characters that no header can carry")
            }
            _ => None,
        })
        .collect()
}

/// One CRM account, asked with its credentials.
pub(super) struct Client {
    pub(super) http: Http,
    pub(super) auth: Auth,
    pub(super) headers: Headers,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clock: Arc<dyn Clock>,
}

/// A whole answer: JSON, or nothing at all.
#[derive(Debug)]
pub(super) struct Answer {
    /// What was asked, without credentials: relative links are resolved against it.
    pub(super) url: Url,
    text: String,
}

impl Client {
    /// GETs `url`; `headers` go on top of the source's own, the credentials on top of both.
    pub(super) async fn get(&self, url: Url, headers: &Headers) -> Result<Answer, SourceError> {
        let mut request = Request::get(url.clone());
        for (name, value) in self.headers.iter().chain(headers) {
            let value = self.keyring.reveal(value)?;
            auth::insert(&mut request.headers, name, value.expose_secret())?;
        }
        self.auth.apply(&self.keyring, &mut request.url, &mut request.headers)?;
        let reply = self.http.send(request).await?;
        if !reply.is_success() {
            return Err(SourceError::of_status(&reply, self.clock.now()));
        }
        Ok(Answer { url, text: answer::text(reply)? })
    }
}

impl Answer {
    /// Whether the CRM had nothing to say: 204, or no body.
    pub(super) fn is_nothing(&self) -> bool {
        self.text.is_empty()
    }

    /// The answer as JSON.
    pub(super) fn document(&self) -> Result<Node<'_>, SourceError> {
        if self.is_nothing() {
            return Ok(Node::nothing());
        }
        Node::document(&self.text).map_err(|error| match error.classify() {
            Category::Data => SourceError::TooManyParts(MAX_PARTS),
            _ => answer::not_json(&error, self.text.len()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<SourceError> {
        let url = "https://crm.example".parse().unwrap();
        Answer { url, text: text.to_owned() }.document().err()
    }

    #[test]
    fn an_answer_that_ends_in_the_middle_is_worth_another_try_and_one_that_is_no_json_is_not() {
        let cut = refusal("{\"data\": [1, \"canary").unwrap();
        assert!(matches!(cut, SourceError::Cut(_)) && cut.is_transient() && !cut.to_string().contains("canary"));
        let other = refusal("canary").unwrap();
        assert!(!other.is_transient() && !other.to_string().contains("canary"));
        assert!(refusal("").is_none() && refusal("[1]").is_none());
    }
}
