//! What a section with `kind = "salesforce"` says: credentials, addresses, version, filters.

use reqwest::Url;
use serde::Deserialize;

use crate::secret::Secret;
use crate::settings::{Problem, Section};
use crate::sources::auth::{Auth, ClientIn, Grant, Proof};
use crate::sources::salesforce::filter::{Asked as AskedFilter, Filter};

/// The audience of tokens for production and for sandboxes, whatever host issues them.
const PRODUCTION: &str = "https://login.salesforce.com";
const SANDBOX: &str = "https://test.salesforce.com";
/// The first version with all that is asked here (contract, head).
const OLDEST: u32 = 58;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    api_key: Option<Secret>,
    client_id: Option<Secret>,
    client_secret: Option<Secret>,
    refresh_token: Option<Secret>,
    username: Option<String>,
    private_key: Option<Secret>,
    login_url: Option<String>,
    #[serde(default = "default_version")]
    api_version: String,
    #[serde(default = "default_bulk_above")]
    bulk_above: u64,
    #[serde(default, rename = "where")]
    filters: Vec<AskedFilter>,
}

fn default_version() -> String {
    "66.0".to_owned()
}

fn default_bulk_above() -> u64 {
    50_000
}

/// What the section says, checked.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) auth: Auth,
    /// Where everything is asked, until a token says otherwise.
    pub(super) endpoint: String,
    /// Where tokens are given.
    pub(super) login: String,
    /// As in `66.0`.
    pub(super) version: String,
    /// Above this many deals, read an export.
    pub(super) bulk_above: u64,
    pub(super) filters: Vec<Filter>,
}

impl Settings {
    /// Reads the keys; `also` are those of the same table that others read, the endpoint among them.
    pub(super) fn read(section: &Section, endpoint: Option<&str>, also: &[&str]) -> Result<Self, Vec<Problem>> {
        let asked: Asked = section.read(also)?;
        let mut problems = Vec::new();
        let endpoint = endpoint.map_or_else(
            || {
                let problem = Problem::at("endpoint", "is missing");
                problems.push(problem.hint("your My Domain, for instance https://acme.my.salesforce.com"));
                String::new()
            },
            origin,
        );
        let login = asked.login_url.as_deref().map_or_else(|| endpoint.clone(), origin);
        if !is_version(&asked.api_version) {
            let problem = Problem::at("api_version", "is no version that this program speaks");
            problems.push(problem.hint(format!("\"{OLDEST}.0\" or later, with its `.0`")));
        }
        let (filters, wrong) = Filter::all(&asked.filters);
        problems.extend(wrong);
        let (version, bulk_above) = (asked.api_version.clone(), asked.bulk_above);
        if asked.wants_client_credentials() && [PRODUCTION, SANDBOX].contains(&login.as_str()) {
            problems.push(if asked.login_url.is_some() {
                let problem = Problem::at("login_url", "gives no tokens for client credentials");
                problem.hint("leave it out: they are given by your My Domain, which is the endpoint")
            } else {
                let problem =
                    Problem::at("endpoint", "is where people sign in, and gives no tokens for client credentials");
                problem.hint("your My Domain, for instance https://acme.my.salesforce.com")
            });
        }
        match asked.auth(&login) {
            Ok(auth) if problems.is_empty() => Ok(Self { auth, endpoint, login, version, bulk_above, filters }),
            auth => {
                problems.extend(auth.err().into_iter().flatten());
                Err(problems)
            }
        }
    }
}

fn is_version(text: &str) -> bool {
    let number = text.strip_suffix(".0").filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    number.and_then(|number| number.parse::<u32>().ok()).is_some_and(|number| (OLDEST..1_000).contains(&number))
}

/// A full address is cut to its origin; the client says what is wrong with one that has none.
fn origin(given: &str) -> String {
    match Url::parse(given) {
        Ok(url) if url.has_host() && url.username().is_empty() && url.password().is_none() => {
            url.origin().ascii_serialization()
        }
        _ => given.to_owned(),
    }
}

/// Whom a signed token is meant for: production or sandboxes, whatever host it is shown to.
fn audience(login: &str) -> String {
    let host = Url::parse(login).ok().and_then(|url| url.host_str().map(ToOwned::to_owned)).unwrap_or_default();
    let is_sandbox = host == "test.salesforce.com" || host.ends_with(".sandbox.my.salesforce.com");
    if is_sandbox { SANDBOX } else { PRODUCTION }.to_owned()
}

impl Asked {
    /// Whether a client's id and secret alone are the credentials, which only My Domain takes.
    fn wants_client_credentials(&self) -> bool {
        self.client_secret.is_some() && self.refresh_token.is_none() && self.username.is_none()
    }

    fn auth(self, login: &str) -> Result<Auth, Vec<Problem>> {
        let Self { api_key, client_id, client_secret, refresh_token, username, private_key, .. } = self;
        let app = client_id.is_some()
            || client_secret.is_some()
            || refresh_token.is_some()
            || username.is_some()
            || private_key.is_some();
        let Some(client_id) = client_id else {
            return match (api_key, app) {
                (Some(key), false) => Ok(Auth::bearer(key)),
                (Some(_), true) => Err(vec![beside()]),
                (None, true) => Err(vec![missing("client_id")]),
                (None, false) => Err(vec![Problem::at("client_id", "is missing").hint(
                    "of an external client app, with `client_secret`, or with `username` and `private_key`; or an \
                         access token as `api_key`",
                )]),
            };
        };
        if api_key.is_some() {
            return Err(vec![beside()]);
        }
        let proof = match (&client_secret, refresh_token, username, private_key) {
            (_, Some(refresh_token), None, None) => Proof::RefreshToken(refresh_token),
            (Some(_), None, None, None) => Proof::ClientCredentials,
            (None, None, Some(username), Some(private_key)) => {
                Proof::SignedToken { username, private_key, audience: audience(login) }
            }
            (_, _, Some(_), None) => return Err(vec![missing("private_key")]),
            (_, _, None, Some(_)) => return Err(vec![missing("username")]),
            (None, None, None, None) => return Err(vec![missing("client_secret")]),
            (..) => {
                let problem = Problem::at("username", "stands beside `client_secret` or `refresh_token`");
                return Err(vec![problem.hint(TOGETHER)]);
            }
        };
        Ok(Auth::App(Box::new(Grant::new(client_id, client_secret, proof, ClientIn::Form))))
    }
}

const TOGETHER: &str = "`client_id` goes with `client_secret`, or with `username` and `private_key`, or with \
                        `refresh_token` (and `client_secret`)";

fn missing(key: &str) -> Problem {
    Problem::at(key, "is missing").hint(TOGETHER)
}

fn beside() -> Problem {
    Problem::at("api_key", "stands beside the keys of an app").hint("either it, or those")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    const ENDPOINT: Option<&str> = Some("https://acme.my.salesforce.com/services/data");

    fn read(toml: &str) -> Result<Settings, Vec<String>> {
        let told = |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.path.join(".")).collect();
        Settings::read(&section(toml), ENDPOINT, &[]).map_err(told)
    }

    #[test]
    fn there_are_four_ways_to_say_who_one_is_and_nothing_between() {
        let keys = |toml: &str| match read(toml).unwrap().auth {
            Auth::App(grant) => match grant.proof {
                Proof::RefreshToken(_) => "refresh",
                Proof::ClientCredentials => "client",
                Proof::SignedToken { .. } => "signed",
            },
            _ => "key",
        };
        assert_eq!(keys("api_key = 'k'"), "key");
        assert_eq!(keys("client_id = 'i'\nclient_secret = 's'"), "client");
        assert_eq!(keys("client_id = 'i'\nusername = 'u'\nprivate_key = 'p'"), "signed");
        assert_eq!(keys("client_id = 'i'\nrefresh_token = 'r'"), "refresh");
        assert_eq!(keys("client_id = 'i'\nclient_secret = 's'\nrefresh_token = 'r'"), "refresh");
        for (toml, place) in [
            ("", "client_id"),
            ("client_secret = 's'", "client_id"),
            ("client_id = 'i'", "client_secret"),
            ("client_id = 'i'\nusername = 'u'", "private_key"),
            ("client_id = 'i'\nprivate_key = 'p'", "username"),
            ("client_id = 'i'\napi_key = 'k'", "api_key"),
            ("client_secret = 'i'\napi_key = 'k'", "api_key"),
            ("client_id = 'i'\nusername = 'u'\nprivate_key = 'p'\nclient_secret = 's'", "username"),
        ] {
            assert_eq!(read(toml).unwrap_err(), [place], "{toml}");
        }
    }

    #[test]
    fn the_address_is_needed_and_cut_to_its_origin_and_a_sandbox_has_its_own_audience() {
        let settings = read("api_key = 'k'").unwrap();
        assert_eq!(settings.endpoint, "https://acme.my.salesforce.com");
        assert_eq!(
            (settings.login, settings.version.as_str(), settings.bulk_above),
            (settings.endpoint, "66.0", 50_000)
        );
        let problems = Settings::read(&section("api_key = 'k'"), None, &[]).unwrap_err();
        assert_eq!(problems[0].path, ["endpoint"]);
        for (login, expected) in [
            ("https://acme.my.salesforce.com", PRODUCTION),
            ("https://login.salesforce.com", PRODUCTION),
            ("http://127.0.0.1:1", PRODUCTION),
            ("https://test.salesforce.com", SANDBOX),
            ("https://acme--full.sandbox.my.salesforce.com", SANDBOX),
            ("https://sandbox.my.salesforce.com.evil.example", PRODUCTION),
        ] {
            assert_eq!(audience(login), expected, "{login}");
        }
    }

    #[test]
    fn client_credentials_are_no_ones_at_the_login_hosts_of_all() {
        for host in ["login", "test"] {
            let at =
                |keys: &str| read(&format!("client_id = 'i'\n{keys}\nlogin_url = 'https://{host}.salesforce.com/'"));
            assert_eq!(at("client_secret = 's'").unwrap_err(), ["login_url"], "{host}");
            assert!(at("client_secret = 's'\nrefresh_token = 'r'").is_ok() && at("refresh_token = 'r'").is_ok());
            assert!(at("username = 'u'\nprivate_key = 'p'").is_ok(), "{host}");
        }
        assert!(read("client_id = 'i'\nclient_secret = 's'\nlogin_url = 'https://acme.my.salesforce.com'").is_ok());
        let endpoint = Some("https://login.salesforce.com");
        let problems = Settings::read(&section("client_id = 'i'\nclient_secret = 's'"), endpoint, &[]).unwrap_err();
        assert_eq!(problems[0].path, ["endpoint"], "no `login_url` is there to be left out");
    }

    #[test]
    fn a_version_that_lacks_what_is_asked_is_a_problem() {
        for version in ["58.0", "66.0", "101.0"] {
            assert!(read(&format!("api_key = 'k'\napi_version = '{version}'")).is_ok(), "{version}");
        }
        for version in ["57.0", "66", "v66.0", "latest", "66.0/../..", ".0", "+66.0"] {
            let toml = format!("api_key = 'k'\napi_version = '{version}'");
            assert_eq!(read(&toml).unwrap_err(), ["api_version"], "{version}");
        }
    }
}
