//! The credentials of a source, as configured.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::AUTHORIZATION;
use secrecy::SecretString;
use serde::Deserialize;

use crate::http::Reply;
use crate::secret::{Keyring, Secret, SecretError};
use crate::sources::answer;
use crate::sources::source::SourceError;

/// The key of a built-in CRM's section that holds a fixed secret.
pub(crate) const SECTION_KEY: &str = "api_key";

/// Where a request carries the secret.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    None,
    /// `Authorization: <scheme> <token>`.
    Bearer {
        token: Secret,
        scheme: String,
    },
    Header {
        name: String,
        value: Secret,
        prefix: String,
    },
    /// Either of the two can be the key.
    Basic {
        username: Secret,
        password: Option<Secret>,
    },
    /// A parameter of the URL.
    Query {
        param: String,
        value: Secret,
    },
    /// An OAuth app, which exchanges what it has for access tokens.
    App(Box<Grant>),
}

impl Auth {
    pub(crate) fn bearer(token: Secret) -> Self {
        Self::Bearer { token, scheme: "Bearer".to_owned() }
    }

    /// The name of the header that it sends.
    pub(crate) fn header(&self) -> Option<&str> {
        match self {
            Self::None | Self::Query { .. } => None,
            Self::Header { name, .. } => Some(name),
            Self::Bearer { .. } | Self::Basic { .. } | Self::App(_) => Some(AUTHORIZATION.as_str()),
        }
    }

    /// The secrets and their keys in the table `auth`.
    pub(crate) fn secrets(&self) -> Vec<(String, Secret)> {
        let named = |key: &str, secret: &Secret| (key.to_owned(), secret.clone());
        match self {
            Self::None => Vec::new(),
            Self::Bearer { token, .. } => vec![named("token", token)],
            Self::Header { value, .. } | Self::Query { value, .. } => vec![named("value", value)],
            // With a password, a literal user name is not a secret; alone it usually is the key.
            Self::Basic { username: Secret::Literal(_), password: Some(password) } => vec![named("password", password)],
            Self::Basic { username, password: None } => vec![named("username", username)],
            Self::Basic { username, password: Some(password) } => {
                vec![named("username", username), named("password", password)]
            }
            Self::App(grant) => grant.secrets(),
        }
    }

    /// The secrets and their keys in the section of a built-in CRM.
    pub(crate) fn section_secrets(&self) -> Vec<(String, Secret)> {
        let mut secrets = self.secrets();
        if !matches!(self, Self::App(_)) {
            for (key, _) in &mut secrets {
                SECTION_KEY.clone_into(key);
            }
        }
        secrets
    }

    /// The secret that tells this account from another.
    pub(crate) fn identity(&self) -> Option<&Secret> {
        match self {
            Self::None => None,
            Self::Bearer { token: secret, .. }
            | Self::Header { value: secret, .. }
            | Self::Query { value: secret, .. } => Some(secret),
            Self::Basic { username, password } => Some(password.as_ref().unwrap_or(username)),
            Self::App(grant) => grant.identity(),
        }
    }

    pub(crate) fn with_token_url(self, url: String) -> Self {
        self.with_token_endpoint(url, Arc::new(StandardEndpoint))
    }

    pub(crate) fn with_token_endpoint(mut self, url: String, endpoint: Arc<dyn TokenEndpoint>) -> Self {
        if let Self::App(grant) = &mut self {
            (grant.token_url, grant.endpoint) = (url, endpoint);
        }
        self
    }
}

/// An OAuth app, and what it exchanges for access tokens.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) client_id: Secret,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) proof: Proof,
    pub(crate) placement: ClientIn,
    /// The word before the token in `Authorization`.
    pub(crate) scheme: String,
    pub(crate) token_url: String,
    pub(crate) endpoint: Arc<dyn TokenEndpoint>,
}

/// What an app exchanges for an access token.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// RFC 6749 §6; some apps have no secret.
    RefreshToken(Secret),
    /// The client's own id and secret (RFC 6749 §4.4).
    ClientCredentials,
    /// A token signed by its private key, RSA in PEM, that names the user it acts for (RFC 7523 §2.1).
    SignedToken { username: String, private_key: Secret, audience: String },
}

/// Where a request for a token has the client's id and secret (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientIn {
    Form,
    /// As a user and a password.
    Header,
}

impl Grant {
    /// A grant as RFC 6749 has it; `token_url` is set later.
    pub(crate) fn new(client_id: Secret, client_secret: Option<Secret>, proof: Proof, placement: ClientIn) -> Self {
        let (scheme, token_url, endpoint) = ("Bearer".to_owned(), String::new(), Arc::new(StandardEndpoint));
        Self { client_id, client_secret, proof, placement, scheme, token_url, endpoint }
    }

    /// The secrets and their keys. A literal client id is not a secret, so nobody is warned of it.
    fn secrets(&self) -> Vec<(String, Secret)> {
        let mut secrets = Vec::new();
        let mut add = |key: &str, secret: &Secret| secrets.push((key.to_owned(), secret.clone()));
        if !matches!(self.client_id, Secret::Literal(_)) {
            add("client_id", &self.client_id);
        }
        if let Some(secret) = &self.client_secret {
            add("client_secret", secret);
        }
        match &self.proof {
            Proof::RefreshToken(token) => add("refresh_token", token),
            Proof::SignedToken { private_key, .. } => add("private_key", private_key),
            Proof::ClientCredentials => {}
        }
        secrets.extend(self.endpoint.extra_secrets());
        secrets
    }

    fn identity(&self) -> Option<&Secret> {
        match &self.proof {
            Proof::RefreshToken(secret) | Proof::SignedToken { private_key: secret, .. } => Some(secret),
            Proof::ClientCredentials => self.client_secret.as_ref(),
        }
    }
}

/// What differs between token endpoints.
pub(crate) trait TokenEndpoint: fmt::Debug + Send + Sync {
    /// More parameters of the form.
    fn extra(&self, _keyring: &Keyring) -> Result<Vec<(String, String)>, SecretError> {
        Ok(Vec::new())
    }

    /// The secrets among them, and their keys.
    fn extra_secrets(&self) -> Vec<(String, Secret)> {
        Vec::new()
    }

    /// Reads a 2xx answer.
    fn read(&self, reply: Reply) -> Result<TokenResponse, SourceError> {
        #[derive(Deserialize)]
        struct Standard {
            access_token: String,
            expires_in: Option<u64>,
            refresh_token: Option<String>,
            #[serde(alias = "instance_url")]
            api_domain: Option<String>,
        }
        let text = answer::text(reply)?;
        let Standard { access_token, expires_in, refresh_token, api_domain } =
            serde_json::from_str(&text).map_err(|error| answer::not_json(&error, text.len()))?;
        Ok(TokenResponse {
            access_token: SecretString::from(access_token),
            lifetime: expires_in.map(Duration::from_secs),
            refresh_token: refresh_token.map(SecretString::from),
            endpoint: api_domain,
        })
    }

    /// The error of an answer that is neither a 2xx nor a refusal (400, 401, 403).
    fn classify(&self, reply: &Reply, now: DateTime<Utc>) -> SourceError {
        SourceError::of_reply(reply, now)
    }

    /// Whether the answer names the address that the token is for.
    fn names_address(&self) -> bool {
        true
    }
}

/// A token endpoint as RFC 6749 §5 has it.
#[derive(Debug)]
pub(crate) struct StandardEndpoint;

impl TokenEndpoint for StandardEndpoint {}

/// The answer of a token endpoint (RFC 6749 §5.1).
pub(crate) struct TokenResponse {
    pub(crate) access_token: SecretString,
    /// Without one, the token is used until it is refused.
    pub(crate) lifetime: Option<Duration>,
    pub(crate) refresh_token: Option<SecretString>,
    /// The address that the token is for; unchecked.
    pub(crate) endpoint: Option<String>,
}
