//! Asks the CRM: a request with its credentials, and what makes an answer a whole one.
//!
//! No text of an answer and no secret is ever part of an error.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;

use crate::clock::Clock;
use crate::http::{self, Clients, Http, HttpError, Reply, Request};
use crate::secret::Keyring;
use crate::settings::Problem;
use crate::sources::answer;
use crate::sources::auth::{Authenticator, Token};
use crate::sources::rest::auth::strip;
use crate::sources::rest::headers::Headers;
use crate::sources::rest::json::{MAX_IN_ONE, Node};
use crate::sources::rest::limits::Limits;
use crate::sources::rest::request::Draft;
use crate::sources::rest::success::Success;
use crate::sources::source::SourceError;

/// How often a request is sent on by redirects.
const MAX_HOPS: usize = 5;

/// One CRM account, asked with its credentials.
pub(super) struct Client {
    pub(super) connector: Connector,
    pub(super) http: Arc<Http>,
    /// The addresses that tokens were good for.
    pub(super) told: Mutex<Vec<(String, Arc<Http>)>>,
    pub(super) credentials: Authenticator,
    pub(super) headers: Headers,
    pub(super) limits: Limits,
    pub(super) success: Option<Success>,
    pub(super) follow_redirects: bool,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What an address is connected with.
pub(super) struct Connector {
    pub(super) clients: Arc<Clients>,
    pub(super) settings: http::Settings,
}

impl Connector {
    /// A client of one address.
    pub(super) fn connect(&self, endpoint: &str) -> Result<Http, Problem> {
        Http::new(&self.clients, endpoint, &self.settings, None)
    }
}

/// A whole answer: JSON, or nothing at all.
#[derive(Debug)]
pub(super) struct Answer {
    /// Who was asked.
    pub(super) http: Arc<Http>,
    /// What was asked, without credentials: relative links are resolved against it.
    pub(super) url: Url,
    /// Its status.
    pub(super) status: u16,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Whether it says that the page is behind the last one.
    pub(super) is_end: bool,
    text: String,
}

impl Client {
    /// How many requests have been sent since the start.
    pub(super) fn requests(&self) -> u64 {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told: u64 = told.iter().map(|(_, http)| http.requests()).sum();
        self.http.requests() + told + self.credentials.requests()
    }

    /// The address to be asked: the configured one, or the one that the token is good for.
    pub(super) async fn http(&self) -> Result<Arc<Http>, SourceError> {
        if !self.credentials.names_address() {
            return Ok(Arc::clone(&self.http));
        }
        let token = self.credentials.token(None).await?;
        let Some(endpoint) = token.and_then(|token| token.endpoint) else { return Ok(Arc::clone(&self.http)) };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, http)) = told.iter().find(|(known, _)| *known == endpoint) {
            return Ok(Arc::clone(http));
        }
        let wrong = |_| SourceError::Malformed("the token's answer names an address that is none".to_owned());
        let http = Arc::new(self.connector.connect(&endpoint).map_err(wrong)?);
        self.limits.pace(http.pacer());
        told.push((endpoint, Arc::clone(&http)));
        Ok(http)
    }

    /// Sends the request. A token that is refused is renewed, once.
    pub(super) async fn send(&self, http: &Arc<Http>, draft: &Draft) -> Result<Answer, SourceError> {
        let (mut reply, mut url, token) = self.follow(http, draft, None).await?;
        if reply.status == 401 && token.is_some() {
            (reply, url, _) = self.follow(http, draft, token.as_ref()).await?;
        }
        let http = Arc::clone(http);
        if draft.ends.contains(&reply.status) {
            let Reply { status, headers, .. } = reply;
            return Ok(Answer { http, url, status, headers, is_end: true, text: String::new() });
        }
        let is_part = reply.status == 206 && draft.is_part;
        if !(reply.is_success() || is_part) {
            return Err(self.limits.refusal(&reply, self.clock.now()));
        }
        let (status, headers) = (reply.status, reply.headers.clone());
        Ok(Answer { http, url, status, headers, is_end: false, text: answer::any_text(reply)? })
    }

    /// Sends the request on where it is redirected to, if that is wanted and on the same origin.
    async fn follow(
        &self,
        http: &Http,
        draft: &Draft,
        refused: Option<&Token>,
    ) -> Result<(Reply, Url, Option<Token>), SourceError> {
        let mut draft = draft.clone();
        for _ in 0..=MAX_HOPS {
            let mut request = Request {
                method: draft.method.clone(),
                url: draft.url.clone(),
                headers: draft.headers.clone(),
                body: draft.body.clone(),
                only_asks: true,
            };
            for (key, value) in &draft.hidden {
                request.url.query_pairs_mut().append_pair(key, value.expose_secret());
            }
            self.limits.check(self.clock.now())?;
            let token = self.credentials.token(refused).await?;
            self.credentials.apply(&mut request, token.as_ref())?;
            let reply = http.send(request).await?;
            self.limits.follow(&reply, self.clock.now())?;
            match self.redirected(http, &draft, &reply)? {
                None => return Ok((reply, draft.url, token)),
                Some(next) => draft = next,
            }
        }
        Err(SourceError::Malformed(format!("the CRM redirects more than {MAX_HOPS} times")))
    }

    /// The request that a redirect asks for. Only 307 and 308 keep a body, so only they are followed with one.
    fn redirected(&self, http: &Http, draft: &Draft, reply: &Reply) -> Result<Option<Draft>, HttpError> {
        let is_plain = draft.method != Method::POST;
        let is_followed = match reply.status {
            307 | 308 => self.follow_redirects,
            301..=303 => self.follow_redirects && is_plain,
            _ => false,
        };
        let Some(location) = reply.header(LOCATION.as_str()).filter(|_| is_followed) else { return Ok(None) };
        let mut url = http.join(&draft.url, location)?;
        let own: Vec<&str> = draft.hidden.iter().map(|(key, _)| key.as_str()).chain(self.credentials.param()).collect();
        strip(&mut url, &own);
        Ok(Some(Draft { url, ..draft.clone() }))
    }

    /// An error where the answer itself says that it is a failure.
    pub(super) fn check(&self, document: &Node<'_>) -> Result<(), SourceError> {
        self.success.as_ref().map_or(Ok(()), |success| success.check(document))
    }
}

impl Answer {
    /// Whether the CRM had nothing to say: 204, no body, or a status that means the end.
    pub(super) fn is_nothing(&self) -> bool {
        self.text.is_empty()
    }

    /// The answer as JSON.
    pub(super) fn document(&self) -> Result<Node<'_>, SourceError> {
        document(&self.text)
    }
}

fn document(text: &str) -> Result<Node<'_>, SourceError> {
    if text.is_empty() {
        return Ok(Node::nothing());
    }
    Node::document(text).map_err(|error| {
        if error.is_data() { SourceError::TooManyParts(MAX_IN_ONE) } else { answer::not_json(&error, text.len()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Advice;

    fn refusal(text: &str) -> Option<SourceError> {
        document(text).err()
    }

    #[test]
    fn an_answer_that_ends_in_the_middle_is_worth_another_try_and_one_that_is_no_json_is_not() {
        let cut = refusal("{\"data\": [1, \"canary").unwrap();
        assert!(matches!(cut, SourceError::Cut(_)) && cut.is_transient() && !cut.to_string().contains("canary"));
        let other = refusal("canary").unwrap();
        assert!(!other.is_transient() && !other.to_string().contains("canary"));
        assert!(refusal("").is_none() && refusal("[1]").is_none());
    }

    #[test]
    fn too_many_records_in_one_answer_are_told_with_what_helps() {
        let many = format!("[{}0]", "0,".repeat(MAX_IN_ONE));
        let error = refusal(&many).unwrap();
        assert_eq!(
            (error.to_string(), error.advice()),
            ("the answer has more than 50000 parts".to_owned(), Advice::AskForLess)
        );
    }
}
