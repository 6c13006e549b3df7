//! Reads `[sources.x.auth]`.

use reqwest::Url;
use reqwest::header::HeaderName;
use serde::Deserialize;

use crate::secret::Secret;
use crate::settings::{Problem, Section, nearest_key};
use crate::sources::auth::Auth;
use crate::sources::rest::headers::NO_HEADER_NAME;
use crate::sources::rest::oauth;

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

/// Reads the section; `type` decides which keys it has.
pub(super) fn read(mut section: Section) -> Result<Auth, Vec<Problem>> {
    if section.0.is_empty() {
        return Ok(Auth::None);
    }
    let kind = section.split_off(&["type"]);
    let also = &["type"];
    match kind.text("type") {
        Some("none") => section.read::<Nothing>(also).map(|Nothing {}| Auth::None),
        Some("bearer") => section.read(also).map(|Bearer { token, scheme }| Auth::Bearer { token, scheme }),
        Some("header") => {
            let Header { name, value, prefix } = section.read(also)?;
            if name.parse::<HeaderName>().is_err() {
                return Err(vec![Problem::at("name", NO_HEADER_NAME)]);
            }
            Ok(Auth::Header { name, value, prefix })
        }
        Some("basic") => section.read(also).map(|Basic { username, password }| Auth::Basic { username, password }),
        Some("query") => section.read(also).map(|Query { param, value }| Auth::Query { param, value }),
        Some("oauth2") => oauth::read(&section, also).map(Box::new).map(Auth::App),
        other => Err(vec![unknown_type(other, &TYPES)]),
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

    #[test]
    fn a_key_of_another_type_is_unknown() {
        for toml in [
            "type = 'bearer'\ntoken = 'x'\nusername = 'y'",
            "type = 'none'\ntoken = 'x'",
            "token = 'x'",
            "type = 'bearr'",
        ] {
            assert!(read(section(toml)).is_err(), "{toml}");
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
