//! Asks the CRM: a request with its credentials, and what makes an answer a whole one.
//!
//! No text of an answer and no secret is ever part of an error.

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use crate::clock::Clock;
use crate::http::{Http, Reply, Request};
use crate::secret::{Keyring, Secret};
use crate::settings::Problem;
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
        Answer::of(url, reply)
    }
}

impl Answer {
    fn of(url: Url, reply: Reply) -> Result<Self, SourceError> {
        if reply.status == 204 || reply.body.is_empty() {
            return Ok(Self { url, text: String::new() });
        }
        match reply.header(CONTENT_TYPE.as_str()).map(essence).as_deref() {
            Some("text/html" | "application/xhtml+xml") => {
                return Err(SourceError::Malformed("the answer is an HTML page, not JSON".to_owned()));
            }
            Some(kind) if !is_json(kind) => {
                return Err(SourceError::Malformed("the answer is not labelled as JSON".to_owned()));
            }
            _ => {}
        }
        let text =
            String::from_utf8(reply.body).map_err(|_| SourceError::Malformed("the answer is not UTF-8".to_owned()))?;
        Ok(Self { url, text })
    }

    /// Whether the CRM had nothing to say: 204, or no body.
    pub(super) fn is_nothing(&self) -> bool {
        self.text.is_empty()
    }

    /// The answer as JSON.
    pub(super) fn document(&self) -> Result<Node<'_>, SourceError> {
        if self.is_nothing() {
            return Ok(Node::nothing());
        }
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        Node::document(text).map_err(|error| {
            // The error's own words may quote the answer.
            if error.is_eof() {
                SourceError::Cut(format!("its JSON ends in the middle, after {} bytes", text.len()))
            } else if error.is_data() {
                SourceError::TooManyParts(MAX_PARTS)
            } else {
                SourceError::Malformed(format!(
                    "the answer is not JSON (line {}, column {})",
                    error.line(),
                    error.column()
                ))
            }
        })
    }
}

/// A media type without its parameters.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(essence: &str) -> bool {
    essence.rsplit(['/', '+']).next().is_some_and(|kind| kind == "json")
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    fn answer(status: u16, content_type: &'static str, body: &str) -> Result<Answer, SourceError> {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let url: Url = "https://crm.example".parse().unwrap();
        Answer::of(url.clone(), Reply { status, headers, body: body.as_bytes().to_vec(), url })
    }

    #[test]
    fn json_is_known_by_its_label() {
        for kind in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
            "application/vnd.api+json",
            "text/json",
            "",
        ] {
            assert!(answer(200, kind, "{}").unwrap().document().is_ok(), "{kind}");
        }
        for kind in ["text/plain", "application/xml", "application/jsonp"] {
            assert!(matches!(answer(200, kind, "{}"), Err(SourceError::Malformed(_))), "{kind}");
        }
        let page = answer(200, "text/html; charset=utf-8", "<html>canary</html>").unwrap_err();
        assert_eq!(page.to_string(), "the answer is an HTML page, not JSON");
    }

    #[test]
    fn an_answer_that_ends_in_the_middle_is_worth_another_try_and_one_that_is_no_json_is_not() {
        let cut = answer(200, "application/json", "{\"data\": [1, \"canary").unwrap().document().err().unwrap();
        assert!(matches!(cut, SourceError::Cut(_)) && cut.is_transient() && !cut.to_string().contains("canary"));
        let other = answer(200, "application/json", "canary").unwrap().document().err().unwrap();
        assert!(!other.is_transient() && !other.to_string().contains("canary"));
    }

    #[test]
    fn nothing_and_a_byte_order_mark_are_no_reason_to_fail() {
        assert!(answer(204, "", "").unwrap().is_nothing());
        assert!(answer(200, "text/html", "").unwrap().document().is_ok());
        assert!(answer(200, "application/json", "\u{feff}[1]").unwrap().document().unwrap().items().is_some());
    }
}
