//! OAuth as `[sources.x.auth]` with `type = "oauth2"` describes it: client credentials and refresh tokens (RFC 6749 §4.4,
//! §6), with more parameters and answers of other shapes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use crate::http::Reply;
use crate::secret::{Keyring, Secret, SecretError};
use crate::settings::{Problem, Section};
use crate::sources::answer;
use crate::sources::auth::{ClientIn, Grant, Proof, TokenEndpoint, TokenResponse};
use crate::sources::rest::json::{Json, Node};
use crate::sources::rest::path::Path;
use crate::sources::rest::template::Template;
use crate::sources::source::SourceError;

/// The lifetime of a token whose answer names none; a refusal renews it before that.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    grant: Kind,
    token_url: String,
    client_id: Secret,
    client_secret: Option<Secret>,
    refresh_token: Option<Secret>,
    scope: Option<String>,
    audience: Option<String>,
    #[serde(default)]
    extra: BTreeMap<String, Template>,
    #[serde(default)]
    client_auth: ClientAuth,
    #[serde(default = "access_token")]
    token_path: Path,
    #[serde(default = "bearer")]
    scheme: String,
    endpoint_path: Option<Path>,
}

fn access_token() -> Path {
    "$.access_token".parse().expect("it is a path")
}

fn bearer() -> String {
    "Bearer".to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ClientCredentials,
    RefreshToken,
}

/// Where the client's id and secret are (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClientAuth {
    #[default]
    Basic,
    Body,
}

/// Reads the section; `also` are keys of the same table that others read.
pub(super) fn read(section: &Section, also: &[&str]) -> Result<Grant, Vec<Problem>> {
    let keys: Keys = section.read(also)?;
    let mut problems = Vec::new();
    match (keys.grant, &keys.refresh_token) {
        (Kind::RefreshToken, None) => problems.push(Problem::at("refresh_token", "is missing")),
        (Kind::ClientCredentials, Some(_)) => {
            problems.push(Problem::at("refresh_token", "is of use only to `grant = \"refresh_token\"`"));
        }
        _ => {}
    }
    if keys.client_secret.is_none() && (keys.grant, keys.client_auth) != (Kind::RefreshToken, ClientAuth::Body) {
        let problem = Problem::at("client_secret", "is missing");
        problems.push(problem.hint("an app without one: a refresh token and `client_auth = \"body\"`"));
    }
    for name in keys.extra.iter().filter(|(_, value)| !value.is_single()).map(|(name, _)| name) {
        let path = vec!["extra".to_owned(), name.clone()];
        let message = "expected a text, a number or a secret".to_owned();
        problems.push(Problem { path, message, hint: None });
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(keys.grant())
}

impl Keys {
    fn grant(self) -> Grant {
        let proof = self.refresh_token.map_or(Proof::ClientCredentials, Proof::RefreshToken);
        let placement = match self.client_auth {
            ClientAuth::Basic => ClientIn::Header,
            ClientAuth::Body => ClientIn::Form,
        };
        let endpoint = Endpoint {
            scope: self.scope,
            audience: self.audience,
            extra: self.extra,
            token: self.token_path,
            address: self.endpoint_path,
        };
        Grant {
            scheme: self.scheme,
            token_url: self.token_url,
            endpoint: Arc::new(endpoint),
            ..Grant::new(self.client_id, self.client_secret, proof, placement)
        }
    }
}

/// More parameters, and where the answer has its values.
#[derive(Debug)]
struct Endpoint {
    scope: Option<String>,
    audience: Option<String>,
    extra: BTreeMap<String, Template>,
    token: Path,
    address: Option<Path>,
}

impl TokenEndpoint for Endpoint {
    fn extra(&self, keyring: &Keyring) -> Result<Vec<(String, String)>, SecretError> {
        let mut pairs = Vec::new();
        for (key, word) in [("scope", &self.scope), ("audience", &self.audience)] {
            pairs.extend(word.iter().map(|word| (key.to_owned(), word.clone())));
        }
        for (key, value) in &self.extra {
            pairs.extend(value.texts(keyring)?.into_iter().map(|text| (key.clone(), text)));
        }
        Ok(pairs)
    }

    fn extra_secrets(&self) -> Vec<(String, Secret)> {
        let mut found = Vec::new();
        for (key, value) in &self.extra {
            value.secrets(&format!("extra.{key}"), &mut found);
        }
        found
    }

    fn read(&self, reply: Reply) -> Result<TokenResponse, SourceError> {
        let text = answer::any_text(reply)?;
        answer::check_parts(&text)?;
        let document = Node::document(&text).map_err(|error| answer::not_json(&error, text.len()))?;
        let word = |path: &Path| path.find(&document).and_then(Json::scalar)?.text().map(str::to_owned);
        let Some(access_token) = word(&self.token).filter(|token| !token.is_empty()) else {
            // Zoho answers 200 to a grant that it does not accept.
            return Err(SourceError::Refused { status: 200 });
        };
        let seconds = document.member("expires_in").and_then(Node::json).and_then(Json::scalar);
        let seconds = seconds.and_then(|seconds| seconds.text()?.parse().ok());
        let refresh_token = document.member("refresh_token").and_then(Node::json).and_then(Json::scalar);
        Ok(TokenResponse {
            access_token: SecretString::from(access_token),
            lifetime: Some(seconds.map_or(DEFAULT_LIFETIME, Duration::from_secs)),
            refresh_token: refresh_token.and_then(|token| token.text().map(SecretString::from)),
            endpoint: self.address.as_ref().and_then(word),
        })
    }

    fn names_address(&self) -> bool {
        self.address.is_some()
    }
}
