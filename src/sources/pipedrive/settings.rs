//! The settings of a section with `kind = "pipedrive"`, and the API's paths with their costs.

use reqwest::Url;
use serde::Deserialize;

use crate::secret::Secret;
use crate::settings::{Problem, Section};
use crate::sources::auth::{Auth, ClientIn, RawCredentials};
use crate::sources::source::SourceError;

/// The host for all companies; a company's own host gives the same answers.
const ENDPOINT: &str = "https://api.pipedrive.com";
/// The host that issues the tokens of an app.
const ACCOUNTS: &str = "https://oauth.pipedrive.com";

/// A path, and what one request costs of the daily limit, in tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    pub(super) text: &'static str,
    pub(super) tokens: u64,
    /// The OAuth scope that an app needs for it.
    pub(super) scope: &'static str,
}

pub(super) const ARCHIVED: Path = Path { text: "/api/v2/deals/archived", tokens: 20, scope: "deals:read" };
pub(super) const CURRENCIES: Path = Path { text: "/v1/currencies", tokens: 20, scope: "base" };
pub(super) const DEALS: Path = Path { text: "/api/v2/deals", tokens: 10, scope: "deals:read" };
pub(super) const DEAL_FIELDS: Path = Path { text: "/api/v2/dealFields", tokens: 10, scope: "deals:read" };
pub(super) const ME: Path = Path { text: "/v1/users/me", tokens: 2, scope: "base" };
pub(super) const ORGANIZATIONS: Path = Path { text: "/api/v2/organizations", tokens: 10, scope: "contacts:read" };
pub(super) const PIPELINES: Path = Path { text: "/api/v2/pipelines", tokens: 5, scope: "deals:read" };
pub(super) const STAGES: Path = Path { text: "/api/v2/stages", tokens: 5, scope: "deals:read" };
pub(super) const SUMMARY: Path = Path { text: "/v1/deals/summary", tokens: 40, scope: "deals:read" };
/// A request for one user by id costs 2.
pub(super) const USERS: Path = Path { text: "/v1/users", tokens: 20, scope: "users:read" };
/// A path on [`Address::accounts`].
pub(super) const TOKEN: &str = "/oauth/token";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    api_key: Option<Secret>,
    client_id: Option<Secret>,
    client_secret: Option<Secret>,
    refresh_token: Option<Secret>,
    #[serde(default)]
    archived: bool,
    #[serde(default = "yes")]
    verify: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) auth: Auth,
    /// Whether archived deals are read too.
    pub(super) archived: bool,
    /// Whether to compare the deals with Pipedrive's own totals.
    pub(super) verify: bool,
}

impl Settings {
    /// Reads the keys; `also` are keys of the same table that others read.
    pub(super) fn read(section: &Section, also: &[&str]) -> Result<Self, Vec<Problem>> {
        let Keys { api_key, client_id, client_secret, refresh_token, archived, verify } = section.read(also)?;
        let raw = RawCredentials { api_key, client_id, client_secret, refresh_token };
        Ok(Self {
            auth: raw.check("the personal API token of a user", key_header, ClientIn::Header)?,
            archived,
            verify,
        })
    }
}

/// The header of a user's API token.
fn key_header(key: Secret) -> Auth {
    Auth::Header { name: "x-api-token".to_owned(), value: key, prefix: String::new() }
}

/// The hosts to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// The origin of the API, until a token names the company's own.
    pub(super) deals: String,
    /// The origin that issues tokens.
    pub(super) accounts: String,
    /// Whether these are Pipedrive's hosts, not a proxy or a test.
    is_vendors: bool,
}

impl Address {
    /// The origin of the configured address; Pipedrive's if none is configured.
    pub(super) fn new(given: Option<&str>) -> Self {
        let given = given.unwrap_or(ENDPOINT);
        let origin = match Url::parse(given) {
            Ok(url) if url.has_host() && url.username().is_empty() && url.password().is_none() => {
                url.origin().ascii_serialization()
            }
            // The client reports what is wrong with it.
            _ => given.to_owned(),
        };
        let is_vendors = is_vendors(&origin);
        let accounts = if is_vendors { ACCOUNTS.to_owned() } else { origin.clone() };
        Self { deals: origin, accounts, is_vendors }
    }

    /// The origin to ask with a token whose answer named `domain`. A token is sent only to Pipedrive's hosts or to the
    /// configured host.
    pub(super) fn of_company(&self, domain: Option<&str>) -> Result<String, SourceError> {
        match domain {
            Some(domain) if self.is_vendors => Url::parse(domain)
                .ok()
                .filter(|url| url.username().is_empty() && url.password().is_none())
                .map(|url| url.origin().ascii_serialization())
                .filter(|origin| is_vendors(origin))
                .ok_or_else(|| {
                    SourceError::Malformed("the answer names an `api_domain` that is not Pipedrive's".to_owned())
                }),
            _ => Ok(self.deals.clone()),
        }
    }
}

fn is_vendors(origin: &str) -> bool {
    origin.strip_prefix("https://").is_some_and(|host| host.ends_with(".pipedrive.com"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    #[test]
    fn an_address_is_cut_to_its_origin_and_tokens_are_given_by_pipedrives_own_host() {
        for (given, deals, accounts) in [
            (None, "https://api.pipedrive.com", ACCOUNTS),
            (Some("https://acme.pipedrive.com/api/v2/deals?limit=1"), "https://acme.pipedrive.com", ACCOUNTS),
            (Some("http://127.0.0.1:4320/v1/deals"), "http://127.0.0.1:4320", "http://127.0.0.1:4320"),
            (
                Some("https://pipedrive.com.evil.example"),
                "https://pipedrive.com.evil.example",
                "https://pipedrive.com.evil.example",
            ),
            (Some("acme.pipedrive.com"), "acme.pipedrive.com", "acme.pipedrive.com"),
        ] {
            let address = Address::new(given);
            assert_eq!((address.deals.as_str(), address.accounts.as_str()), (deals, accounts), "{given:?}");
        }
    }

    #[test]
    fn the_domain_that_a_token_names_is_asked_if_it_is_pipedrives_and_never_another() {
        let vendors = Address::new(None);
        assert_eq!(vendors.of_company(None).unwrap(), "https://api.pipedrive.com");
        assert_eq!(vendors.of_company(Some("https://acme.pipedrive.com")).unwrap(), "https://acme.pipedrive.com");
        for domain in [
            "https://evil.example",
            "http://acme.pipedrive.com",
            "https://acme.pipedrive.com:8443",
            "https://acme.pipedrive.com@evil.example",
            "https://user:pass@acme.pipedrive.com",
            "https://acmepipedrive.com",
            "https://acme.pipedrive.com.evil.example",
            "acme.pipedrive.com",
            "",
        ] {
            let refused = vendors.of_company(Some(domain)).unwrap_err().to_string();
            assert_eq!(refused, "the answer names an `api_domain` that is not Pipedrive's", "{domain}");
        }
        let proxy = Address::new(Some("https://proxy.example"));
        for domain in ["https://acme.pipedrive.com", "https://evil.example"] {
            assert_eq!(proxy.of_company(Some(domain)).unwrap(), "https://proxy.example", "what is configured is asked");
        }
    }

    #[test]
    fn a_token_or_the_three_of_an_app_and_verified_unless_told_otherwise() {
        let read = |toml: &str| Settings::read(&section(toml), &[]);
        let settings = read("api_key = 'k'").unwrap();
        assert!(matches!(settings.auth, Auth::Header { .. }) && settings.verify && !settings.archived);
        let app = "client_id = 'i'\nclient_secret = 's'\nrefresh_token = 't'\nverify = false\narchived = true";
        let settings = read(app).unwrap();
        assert!(matches!(settings.auth, Auth::App(_)) && !settings.verify && settings.archived);
        let problems = read("api_key = 'k'\nclient_id = 'i'").unwrap_err();
        assert_eq!(problems.len(), 1);
    }
}
