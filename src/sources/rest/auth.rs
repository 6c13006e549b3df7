//! How the program shows who it is; a secret is read at each request and goes nowhere else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::http::{self, Request};
use crate::secret::{Keyring, Secret, SecretError};
use crate::settings::{Problem, Section, nearest_key};
use crate::sources::common::Context;
use crate::sources::rest::headers::{NO_HEADER_NAME, insert};
use crate::sources::rest::oauth::{Grant, OAuth, Token};
use crate::sources::source::SourceError;

/// Who the program is to this CRM; `[sources.x.auth]`.
pub(super) enum Auth {
    /// A secret that is sent as it is.
    Fixed(Fixed),
    /// One that is exchanged for tokens.
    OAuth(Box<Grant>),
}

/// A secret and its place in a request.
#[derive(Debug, Clone)]
pub(super) enum Fixed {
    /// Nobody asks.
    None,
    /// `Authorization: <scheme> <token>`.
    Bearer { token: Secret, scheme: String },
    /// A header of any name.
    Header { name: String, value: Secret, prefix: String },
    /// A user name and password, either of which can be the key.
    Basic { username: Secret, password: Option<Secret> },
    /// A parameter of the URL.
    Query { param: String, value: Secret },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bearer {
    token: Secret,
    #[serde(default = "bearer")]
    scheme: String,
}

fn bearer() -> String {
    "Bearer".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    value: Secret,
    #[serde(default)]
    prefix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Basic {
    username: Secret,
    password: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    param: String,
    value: Secret,
}

const TYPES: [&str; 6] = ["none", "bearer", "header", "basic", "query", "oauth2"];

impl Auth {
    /// Makes them ready to be sent, without a request.
    pub(super) fn connect(self, settings: &http::Settings, context: &Context) -> Result<Credentials, Problem> {
        match self {
            Self::Fixed(fixed) => Ok(Credentials::Fixed(fixed)),
            Self::OAuth(grant) => grant.connect(settings, context).map(Box::new).map(Credentials::OAuth),
        }
    }

    /// Reads the section; `type` decides which keys it has.
    pub(super) fn read(mut section: Section) -> Result<Self, Vec<Problem>> {
        if section.0.is_empty() {
            return Ok(Self::Fixed(Fixed::None));
        }
        let kind = section.split_off(&["type"]);
        match kind.text("type") {
            Some("oauth2") => Grant::read(&section, &["type"]).map(Box::new).map(Self::OAuth),
            word => Fixed::read(&section, word).map(Self::Fixed),
        }
    }

    /// The header that it sends.
    pub(super) fn header(&self) -> Option<&str> {
        match self {
            Self::Fixed(Fixed::None | Fixed::Query { .. }) => None,
            Self::Fixed(Fixed::Header { name, .. }) => Some(name),
            Self::Fixed(Fixed::Bearer { .. } | Fixed::Basic { .. }) | Self::OAuth(_) => Some(AUTHORIZATION.as_str()),
        }
    }

    /// The secrets and their keys.
    pub(super) fn secrets(&self) -> Vec<(String, Secret)> {
        match self {
            Self::Fixed(fixed) => fixed.secrets(),
            Self::OAuth(grant) => grant.secrets(),
        }
    }
}

impl Fixed {
    fn read(section: &Section, word: Option<&str>) -> Result<Self, Vec<Problem>> {
        let also = &["type"];
        match word {
            Some("none") => section.read::<Nothing>(also).map(|Nothing {}| Self::None),
            Some("bearer") => section.read(also).map(|Bearer { token, scheme }| Self::Bearer { token, scheme }),
            Some("header") => {
                let Header { name, value, prefix } = section.read(also)?;
                if name.parse::<HeaderName>().is_err() {
                    return Err(vec![Problem::at("name", NO_HEADER_NAME)]);
                }
                Ok(Self::Header { name, value, prefix })
            }
            Some("basic") => section.read(also).map(|Basic { username, password }| Self::Basic { username, password }),
            Some("query") => section.read(also).map(|Query { param, value }| Self::Query { param, value }),
            other => Err(vec![unknown_type(other, &TYPES)]),
        }
    }

    fn secrets(&self) -> Vec<(String, Secret)> {
        let named = |key: &str, secret: &Secret| (key.to_owned(), secret.clone());
        match self {
            Self::None => Vec::new(),
            Self::Bearer { token, .. } => vec![named("token", token)],
            Self::Header { value, .. } | Self::Query { value, .. } => vec![named("value", value)],
            // Beside a password a user name that stands in the file is none; alone it is mostly the key.
            Self::Basic { username: Secret::Literal(_), password: Some(password) } => vec![named("password", password)],
            Self::Basic { username, password } => {
                let password = password.iter().map(|password| named("password", password));
                std::iter::once(named("username", username)).chain(password).collect()
            }
        }
    }

    /// Puts the secret on a request; a parameter of the URL comes last.
    fn apply(&self, keyring: &Keyring, url: &mut Url, headers: &mut HeaderMap) -> Result<(), SecretError> {
        match self {
            Self::None => Ok(()),
            Self::Bearer { token, scheme } => {
                let token = keyring.reveal(token)?;
                insert(headers, "authorization", &format!("{scheme} {}", token.expose_secret()))
            }
            Self::Header { name, value, prefix } => {
                let value = keyring.reveal(value)?;
                insert(headers, name, &format!("{prefix}{}", value.expose_secret()))
            }
            Self::Basic { username, password } => {
                let username = keyring.reveal(username)?;
                let password = password
                    .as_ref()
                    .map_or_else(|| Ok(SecretString::default()), |password| keyring.reveal(password))?;
                let both = format!("{}:{}", username.expose_secret(), password.expose_secret());
                insert(headers, "authorization", &format!("Basic {}", STANDARD.encode(both)))
            }
            Self::Query { param, value } => {
                let value = keyring.reveal(value)?;
                url.query_pairs_mut().append_pair(param, value.expose_secret());
                Ok(())
            }
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Query { param, .. } => Some(param),
            _ => None,
        }
    }
}

/// Who the program is, ready to be sent.
pub(super) enum Credentials {
    /// A secret that is sent as it is.
    Fixed(Fixed),
    /// One that is exchanged for tokens.
    OAuth(Box<OAuth>),
}

impl Credentials {
    /// Puts them on a request; the token, where there is one. `refused` is one that the CRM did not accept.
    pub(super) async fn apply(
        &self,
        keyring: &Keyring,
        request: &mut Request,
        refused: Option<&Token>,
    ) -> Result<Option<Token>, SourceError> {
        match self {
            Self::Fixed(fixed) => {
                fixed.apply(keyring, &mut request.url, &mut request.headers)?;
                Ok(None)
            }
            Self::OAuth(oauth) => oauth.apply(&mut request.headers, refused).await.map(Some),
        }
    }

    /// The parameter of the URL that they add.
    pub(super) fn param(&self) -> Option<&str> {
        match self {
            Self::Fixed(fixed) => fixed.param(),
            Self::OAuth(_) => None,
        }
    }

    /// How many requests they have cost.
    pub(super) fn requests(&self) -> u64 {
        match self {
            Self::Fixed(_) => 0,
            Self::OAuth(oauth) => oauth.requests(),
        }
    }
}

/// Takes our own parameters out of a URL that a server echoes, and leaves all else letter by letter as it is.
pub(super) fn strip(url: &mut Url, own: &[&str]) {
    if !url.query_pairs().any(|(key, _)| own.contains(&&*key)) {
        return;
    }
    let written = url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let others = written.zip(url.query_pairs()).filter(|(_, (key, _))| !own.contains(&&**key));
    let kept: Vec<&str> = others.map(|(written, _)| written).collect();
    let kept = (!kept.is_empty()).then(|| kept.join("&"));
    url.set_query(kept.as_deref());
}

/// A table without keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// What is wrong with a `type`.
pub(super) fn unknown_type(given: Option<&str>, known: &[&str]) -> Problem {
    let message = if given.is_some() { "unknown word" } else { "is missing" };
    let near = given.and_then(|given| nearest_key(given, known.iter()));
    Problem::at("type", message).hint(near.unwrap_or_else(|| format!("one of {}", known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    fn applied(toml: &str) -> (String, HeaderMap) {
        let Auth::Fixed(auth) = Auth::read(section(toml)).unwrap() else { panic!("no exchange was asked for") };
        let mut url = "https://crm.example/deals?a=1".parse().unwrap();
        let mut headers = HeaderMap::new();
        auth.apply(&Keyring::default(), &mut url, &mut headers).unwrap();
        (url.to_string(), headers)
    }

    #[test]
    fn each_type_puts_its_secret_where_the_crm_looks_for_it() {
        for (toml, name, value) in [
            ("type = 'bearer'\ntoken = 'canary'", "authorization", "Bearer canary"),
            (
                "type = 'bearer'\ntoken = 'canary'\nscheme = 'Zoho-oauthtoken'",
                "authorization",
                "Zoho-oauthtoken canary",
            ),
            ("type = 'header'\nname = 'X-Key'\nvalue = 'canary'", "x-key", "canary"),
            (
                "type = 'header'\nname = 'Authorization'\nvalue = 'canary'\nprefix = 'Token token='",
                "authorization",
                "Token token=canary",
            ),
            ("type = 'basic'\nusername = 'canary'", "authorization", "Basic Y2FuYXJ5Og=="),
            ("type = 'basic'\nusername = 'a'\npassword = 'b'", "authorization", "Basic YTpi"),
        ] {
            let (url, headers) = applied(toml);
            assert_eq!(headers[name], value);
            assert!(headers[name].is_sensitive());
            assert_eq!(url, "https://crm.example/deals?a=1");
        }
        let (url, headers) = applied("type = 'query'\nparam = 'api_key'\nvalue = 'a+b'");
        assert_eq!((url.as_str(), headers.len()), ("https://crm.example/deals?a=1&api_key=a%2Bb", 0));
    }

    #[test]
    fn a_key_of_another_type_is_unknown() {
        for toml in [
            "type = 'bearer'\ntoken = 'x'\nusername = 'y'",
            "type = 'none'\ntoken = 'x'",
            "token = 'x'",
            "type = 'bearr'",
        ] {
            assert!(Auth::read(section(toml)).is_err(), "{toml}");
        }
    }

    #[test]
    fn a_key_that_a_server_echoes_is_taken_out_and_the_rest_stays_as_written() {
        for (echoed, kept) in [
            ("https://crm.example/d?$skip=2&key=canary&a=%2c+b", "https://crm.example/d?$skip=2&a=%2c+b"),
            ("https://crm.example/d?key=canary", "https://crm.example/d"),
            ("https://crm.example/d?&a=~", "https://crm.example/d?&a=~"),
        ] {
            let mut url = echoed.parse().unwrap();
            strip(&mut url, &["key"]);
            assert_eq!(url.as_str(), kept);
        }
    }
}
