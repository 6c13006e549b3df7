//! Headers as the configuration writes them, and how one is put on a request.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use crate::http;
use crate::secret::{Secret, SecretError, is_secret_name};
use crate::settings::Problem;

/// Extra headers, each of which can be a secret.
pub(super) type Headers = BTreeMap<String, Secret>;

/// Secrets and their keys.
pub(super) type Secrets = Vec<(String, Secret)>;

/// What is wrong with a header's name, and what one looks like.
pub(super) const NO_HEADER_NAME: &str = "is no name of a header; letters, digits and hyphens, such as `X-Api-Key`";

/// Finds headers that could never be sent.
pub(super) fn check_headers(headers: &Headers) -> Vec<Problem> {
    let wrong = |name: &String, message: &str| {
        Some(Problem { path: vec!["headers".to_owned(), name.clone()], message: message.to_owned(), hint: None })
    };
    headers
        .iter()
        .filter_map(|(name, value)| match value {
            _ if name.parse::<HeaderName>().is_err() => wrong(name, NO_HEADER_NAME),
            Secret::Literal(text) if HeaderValue::from_str(text.expose_secret()).is_err() => {
                wrong(name, "holds characters that no header can carry")
            }
            _ => None,
        })
        .collect()
}

/// The headers that hold secrets, with their keys. A literal is mostly none, unless its name says so.
pub(super) fn header_secrets(headers: &Headers) -> Secrets {
    let kept = headers.iter().filter(|(name, value)| !matches!(value, Secret::Literal(_)) || is_secret_name(name));
    kept.map(|(name, value)| (format!("headers.{name}"), value.clone())).collect()
}

/// Adds a header that may hold a secret.
pub(super) fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), SecretError> {
    let (name, value) = http::sensitive(name, value).ok_or_else(|| SecretError::NoHeader(name.to_owned()))?;
    headers.insert(name, value);
    Ok(())
}
