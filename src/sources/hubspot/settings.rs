//! What a section with `kind = "hubspot"` says: credentials, address, family of paths.

use reqwest::Url;
use serde::Deserialize;

use crate::secret::Secret;
use crate::settings::{Problem, Section};
use crate::sources::auth::{Auth, ClientIn, RawCredentials};

const ENDPOINT: &str = "https://api.hubapi.com";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    api_key: Option<Secret>,
    client_id: Option<Secret>,
    client_secret: Option<Secret>,
    refresh_token: Option<Secret>,
    #[serde(default)]
    api_version: Version,
}

/// What the section says, checked.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) auth: Auth,
    pub(super) version: Version,
}

impl Settings {
    /// Reads the keys; `also` are those of the same table that others read.
    pub(super) fn read(section: &Section, also: &[&str]) -> Result<Self, Vec<Problem>> {
        let asked: Asked = section.read(also)?;
        let Asked { api_key, client_id, client_secret, refresh_token, api_version: version } = asked;
        let raw = RawCredentials { api_key, client_id, client_secret, refresh_token };
        Ok(Self { auth: raw.check("a service key", Auth::bearer, ClientIn::Form)?, version })
    }
}

/// The address to ask: a full deals URL is cut to its origin, and the host of the documents means that of the API.
pub(super) fn endpoint(given: Option<&str>) -> String {
    let Some(given) = given else { return ENDPOINT.to_owned() };
    match Url::parse(given) {
        Ok(mut url) if url.has_host() && url.username().is_empty() && url.password().is_none() => {
            if url.host_str() == Some("api.hubspot.com") {
                // The host is a valid one, and https has one.
                let _ = url.set_host(Some("api.hubapi.com"));
            }
            url.origin().ascii_serialization()
        }
        // The client says what is wrong with it.
        _ => given.to_owned(),
    }
}

/// A family of paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Version {
    /// The dated ones, supported until March 2028.
    #[default]
    #[serde(rename = "2026-09")]
    Dated,
    /// The ones before, of which HubSpot has announced the end: v4 associations 2027-03-30, the others September 2027.
    #[serde(rename = "v3")]
    V3,
}

/// Where everything is.
pub(super) struct Paths {
    pub(super) account: &'static str,
    pub(super) associations: &'static str,
    pub(super) companies: &'static str,
    pub(super) deals: &'static str,
    pub(super) deals_by_id: &'static str,
    pub(super) owners: &'static str,
    pub(super) pipelines: &'static str,
    pub(super) properties: &'static str,
    pub(super) search: &'static str,
    pub(super) token: &'static str,
}

impl Version {
    /// The family's paths.
    pub(super) fn paths(self) -> &'static Paths {
        match self {
            Self::Dated => &Paths {
                account: "/account-info/2026-09/details",
                associations: "/crm/associations/2026-09/deals/companies/batch/read",
                companies: "/crm/objects/2026-09/companies/batch/read",
                deals: "/crm/objects/2026-09/deals",
                deals_by_id: "/crm/objects/2026-09/deals/batch/read",
                owners: "/crm/owners/2026-09",
                pipelines: "/crm/pipelines/2026-09/deals",
                properties: "/crm/properties/2026-09/deals",
                search: "/crm/objects/2026-09/deals/search",
                token: "/oauth/2026-09/token",
            },
            Self::V3 => &Paths {
                account: "/account-info/v3/details",
                associations: "/crm/v4/associations/deals/companies/batch/read",
                companies: "/crm/v3/objects/companies/batch/read",
                deals: "/crm/v3/objects/deals",
                deals_by_id: "/crm/v3/objects/deals/batch/read",
                owners: "/crm/v3/owners",
                pipelines: "/crm/v3/pipelines/deals",
                properties: "/crm/v3/properties/deals",
                search: "/crm/v3/objects/deals/search",
                token: "/oauth/v1/token",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    #[test]
    fn whatever_address_is_given_the_origin_of_the_api_is_asked() {
        for (given, expected) in [
            (None, "https://api.hubapi.com"),
            (Some("https://api.hubapi.com/"), "https://api.hubapi.com"),
            (Some("https://api.hubspot.com"), "https://api.hubapi.com"),
            (Some("https://api.hubapi.com/crm/v3/objects/deals?limit=100"), "https://api.hubapi.com"),
            (Some("https://api.hubspot.com/crm/objects/2026-09/deals"), "https://api.hubapi.com"),
            (Some("http://127.0.0.1:4020/crm/v3/objects/deals"), "http://127.0.0.1:4020"),
            (Some("https://user:pass@proxy.example"), "https://user:pass@proxy.example"),
            (Some("api.hubapi.com"), "api.hubapi.com"),
        ] {
            assert_eq!(endpoint(given), expected, "{given:?}");
        }
    }

    #[test]
    fn a_key_or_the_three_of_an_app_and_nothing_between() {
        let read = |toml: &str| Settings::read(&section(toml), &[]);
        let paths = |toml: &str| -> Vec<String> {
            read(toml).unwrap_err().into_iter().map(|problem| problem.path.join(".")).collect()
        };
        assert!(matches!(read("api_key = 'k'").unwrap().auth, Auth::Bearer { .. }));
        let app = "client_id = 'i'\nclient_secret = 's'\nrefresh_token = { env = 'T' }";
        let secrets: Vec<String> = read(app).unwrap().auth.section_secrets().into_iter().map(|(key, _)| key).collect();
        assert_eq!(secrets, ["client_secret", "refresh_token"]);
        assert_eq!(paths(""), ["api_key"]);
        assert_eq!(paths("client_id = 'i'"), ["client_secret", "refresh_token"]);
        assert_eq!(paths("api_key = 'k'\nclient_id = 'i'"), ["api_key"]);
        assert_eq!(paths("api_key = 'k'\napi_version = 'v4'"), ["api_version"]);
        assert_eq!(read("api_key = 'k'\napi_version = 'v3'").unwrap().version, Version::V3);
    }
}
