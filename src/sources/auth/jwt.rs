//! Tokens that an app signs itself (RFC 7515, RFC 7519): RS256, as a CRM that holds the certificate accepts them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::secret::SecretError;

/// How long such a token holds, in seconds: the longest that every CRM accepts.
pub(super) const LASTS: i64 = 180;

/// What a token says.
#[derive(Serialize)]
pub(super) struct Claims<'a> {
    /// The app.
    pub(super) iss: &'a str,
    /// The user it acts for.
    pub(super) sub: &'a str,
    /// Who is to accept it.
    pub(super) aud: &'a str,
    /// When it ends, seconds since 1970.
    pub(super) exp: i64,
}

/// The claims, signed by an RSA key in PEM: PKCS#8 or PKCS#1.
pub(super) fn signed(claims: &Claims<'_>, key: &SecretString) -> Result<SecretString, SecretError> {
    let key = read(key.expose_secret()).ok_or(SecretError::NotAPrivateKey)?;
    let claims = serde_json::to_vec(claims).expect("texts and numbers are JSON");
    let text = format!("{}.{}", BASE64.encode(r#"{"alg":"RS256","typ":"JWT"}"#), BASE64.encode(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| SecretError::NotAPrivateKey)?;
    Ok(SecretString::from(format!("{text}.{}", BASE64.encode(signature))))
}

fn read(pem: &str) -> Option<RsaKeyPair> {
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok(),
        _ => None,
    }
}
