//! Headers that hold secrets; each is marked as sensitive, so that nothing prints it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::http;
use crate::secret::SecretError;

pub(crate) fn set_bearer(headers: &mut HeaderMap, token: &SecretString) -> Result<(), SecretError> {
    set_authorization(headers, "Bearer", token.expose_secret())
}

/// RFC 7617.
pub(crate) fn set_basic(headers: &mut HeaderMap, user: &str, password: &str) -> Result<(), SecretError> {
    set_authorization(headers, "Basic", &BASE64_STANDARD.encode(format!("{user}:{password}")))
}

pub(super) fn set_authorization(headers: &mut HeaderMap, scheme: &str, value: &str) -> Result<(), SecretError> {
    set_secret_header(headers, AUTHORIZATION.as_str(), &format!("{scheme} {value}"))
}

pub(crate) fn set_secret_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), SecretError> {
    let (name, value) = http::sensitive(name, value).ok_or_else(|| SecretError::NoHeader(name.to_owned()))?;
    headers.insert(name, value);
    Ok(())
}

/// A number that depends on the secret, is the same in every process, and does not reveal it. It separates what is
/// remembered of one account from another's.
pub(crate) fn fingerprint(secret: &SecretString) -> u64 {
    let digest = Sha256::digest(secret.expose_secret());
    digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
