//! Headers as the configuration writes them.

use std::collections::BTreeMap;

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use crate::secret::{Secret, is_secret_name};
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
