//! Puts a source's credentials on its requests. A secret is read at each request, so that a rotated file needs no
//! restart.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::credentials::Auth;
use super::headers::{fingerprint, set_authorization, set_basic, set_secret_header};
use super::oauth::{OAuth, Token};
use crate::http::{self, Request};
use crate::secret::Keyring;
use crate::settings::Problem;
use crate::sources::common::Context;
use crate::sources::source::SourceError;

/// The credentials of one source, and its access tokens.
pub(crate) struct Authenticator {
    auth: Auth,
    tokens: Option<OAuth>,
    keyring: Arc<Keyring>,
}

impl Authenticator {
    /// Sends nothing yet; a problem is one of the token URL.
    pub(crate) fn new(auth: Auth, settings: &http::Settings, context: &Context) -> Result<Self, Problem> {
        let tokens = match &auth {
            Auth::App(grant) => Some(OAuth::new((**grant).clone(), settings, context)?),
            _ => None,
        };
        Ok(Self { auth, tokens, keyring: Arc::clone(&context.keyring) })
    }

    /// An access token that is valid for some time, where the credentials are OAuth's. `refused` is not given again.
    pub(crate) async fn token(&self, refused: Option<&Token>) -> Result<Option<Token>, SourceError> {
        match &self.tokens {
            Some(tokens) => tokens.token(refused).await.map(Some),
            None => Ok(None),
        }
    }

    /// Puts the credentials on a request; a parameter of the URL comes last.
    pub(crate) fn apply(&self, request: &mut Request, token: Option<&Token>) -> Result<(), SourceError> {
        let headers = &mut request.headers;
        match &self.auth {
            Auth::None => {}
            Auth::Bearer { token, scheme } => {
                set_authorization(headers, scheme, self.keyring.reveal(token)?.expose_secret())?;
            }
            Auth::Header { name, value, prefix } => {
                let value = self.keyring.reveal(value)?;
                set_secret_header(headers, name, &format!("{prefix}{}", value.expose_secret()))?;
            }
            Auth::Basic { username, password } => {
                let username = self.keyring.reveal(username)?;
                let password = match password {
                    Some(password) => self.keyring.reveal(password)?,
                    None => SecretString::default(),
                };
                set_basic(headers, username.expose_secret(), password.expose_secret())?;
            }
            Auth::Query { param, value } => {
                let value = self.keyring.reveal(value)?;
                request.url.query_pairs_mut().append_pair(param, value.expose_secret());
            }
            Auth::App(grant) => {
                if let Some(token) = token {
                    set_authorization(headers, &grant.scheme, token.text.expose_secret())?;
                }
            }
        }
        Ok(())
    }

    /// A number that differs for other credentials, which can be another account's.
    pub(crate) fn identity(&self) -> Result<u64, SourceError> {
        match self.auth.identity() {
            Some(secret) => Ok(fingerprint(&self.keyring.reveal(secret)?)),
            None => Ok(0),
        }
    }

    /// The parameter of the URL that holds the secret.
    pub(crate) fn param(&self) -> Option<&str> {
        match &self.auth {
            Auth::Query { param, .. } => Some(param),
            _ => None,
        }
    }

    /// Whether a token's answer names the address that it is for.
    pub(crate) fn names_address(&self) -> bool {
        matches!(&self.auth, Auth::App(grant) if grant.endpoint.names_address())
    }

    pub(crate) fn is_oauth(&self) -> bool {
        self.tokens.is_some()
    }

    /// How many requests for tokens were sent since the start.
    pub(crate) fn requests(&self) -> u64 {
        self.tokens.as_ref().map_or(0, OAuth::requests)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reqwest::header::HeaderMap;

    use super::*;
    use crate::secret::Secret;

    fn applied(auth: Auth) -> (String, HeaderMap) {
        let authenticator = Authenticator { auth, tokens: None, keyring: Arc::new(Keyring::default()) };
        let mut request = Request::get("https://crm.example/deals?a=1".parse().unwrap());
        authenticator.apply(&mut request, None).unwrap();
        (request.url.to_string(), request.headers)
    }

    fn secret(text: &str) -> Secret {
        Secret::Literal(SecretString::from(text))
    }

    #[test]
    fn each_type_puts_its_secret_where_the_crm_looks_for_it() {
        let header = |name: &str, prefix: &str| {
            let (name, prefix) = (name.to_owned(), prefix.to_owned());
            Auth::Header { name, value: secret("canary"), prefix }
        };
        let basic = |username, password| Auth::Basic { username: secret(username), password };
        for (auth, name, value) in [
            (Auth::bearer(secret("canary")), "authorization", "Bearer canary"),
            (
                Auth::Bearer { token: secret("canary"), scheme: "Zoho-oauthtoken".to_owned() },
                "authorization",
                "Zoho-oauthtoken canary",
            ),
            (header("X-Key", ""), "x-key", "canary"),
            (header("Authorization", "Token token="), "authorization", "Token token=canary"),
            (basic("canary", None), "authorization", "Basic Y2FuYXJ5Og=="),
            (basic("a", Some(secret("b"))), "authorization", "Basic YTpi"),
        ] {
            let (url, headers) = applied(auth);
            assert_eq!(headers[name], value);
            assert!(headers[name].is_sensitive());
            assert_eq!(url, "https://crm.example/deals?a=1");
        }
        let (url, headers) = applied(Auth::Query { param: "api_key".to_owned(), value: secret("a+b") });
        assert_eq!((url.as_str(), headers.len()), ("https://crm.example/deals?a=1&api_key=a%2Bb", 0));
    }
}
