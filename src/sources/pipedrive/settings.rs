//! What a section with `kind = "pipedrive"` says: credentials, address, what is read beside the usual; and the paths.

use reqwest::Url;
use serde::Deserialize;

use crate::secret::Secret;
use crate::settings::{Problem, Section};
use crate::sources::credentials::{Credentials, Given};
use crate::sources::source::SourceError;

/// The host for everybody; a company's own is the same (contract §2).
const ENDPOINT: &str = "https://api.pipedrive.com";
/// Where an app's tokens are given.
const ACCOUNTS: &str = "https://oauth.pipedrive.com";

/// A path, and what the CRM counts for one request against its limit for the day (contract §3, in tokens).
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    pub(super) text: &'static str,
    pub(super) tokens: u64,
    /// What an app needs for it (contract §2).
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
/// One of them, by its id behind a slash, counts 2.
pub(super) const USERS: Path = Path { text: "/v1/users", tokens: 20, scope: "users:read" };
/// Of the host of [`Address::accounts`].
pub(super) const TOKEN: &str = "/oauth/token";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
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

/// What the section says, checked.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) credentials: Credentials,
    /// Whether archived deals are read too.
    pub(super) archived: bool,
    /// Whether the deals are held against the CRM's own summary.
    pub(super) verify: bool,
}

impl Settings {
    /// Reads the keys; `also` are those of the same table that others read.
    pub(super) fn read(section: &Section, also: &[&str]) -> Result<Self, Vec<Problem>> {
        let Asked { api_key, client_id, client_secret, refresh_token, archived, verify } = section.read(also)?;
        let given = Given { api_key, client_id, client_secret, refresh_token };
        Ok(Self { credentials: given.credentials("the personal API token of a user")?, archived, verify })
    }
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// The origin that is asked until an app's token names the company's own.
    pub(super) deals: String,
    /// The origin that gives tokens.
    pub(super) accounts: String,
    /// Whether these are Pipedrive's own hosts, rather than a proxy or a test.
    is_vendors: bool,
}

impl Address {
    /// The configured address, of which the origin counts; Pipedrive's own without one.
    pub(super) fn new(given: Option<&str>) -> Self {
        let given = given.unwrap_or(ENDPOINT);
        let origin = match Url::parse(given) {
            Ok(url) if url.has_host() && url.username().is_empty() && url.password().is_none() => {
                url.origin().ascii_serialization()
            }
            // The client says what is wrong with it.
            _ => given.to_owned(),
        };
        let is_vendors = is_vendors(&origin);
        let accounts = if is_vendors { ACCOUNTS.to_owned() } else { origin.clone() };
        Self { deals: origin, accounts, is_vendors }
    }

    /// The origin to ask with a token whose answer named `domain`. A token goes to Pipedrive's own hosts, or to the
    /// one host that the configuration names, and to no other.
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
        assert!(matches!(settings.credentials, Credentials::Key(_)) && settings.verify && !settings.archived);
        let app = "client_id = 'i'\nclient_secret = 's'\nrefresh_token = 't'\nverify = false\narchived = true";
        let settings = read(app).unwrap();
        assert!(matches!(settings.credentials, Credentials::OAuth(_)) && !settings.verify && settings.archived);
        let problems = read("api_key = 'k'\nclient_id = 'i'").unwrap_err();
        assert_eq!(problems.len(), 1);
    }
}
