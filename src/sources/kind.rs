//! The kinds of sources: one row each in [`KINDS`], and how a section becomes a source.

use figment::value::Value;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::secret::Secret;
use crate::settings::{Problem, Section};
use crate::sources::common::{Built, Context, OWN_KEYS};
use crate::sources::{demo, hubspot, pipedrive, rest, salesforce};

/// A kind of source: its word in the config, and how its section becomes one.
pub struct Kind {
    /// The word after `kind =`.
    pub name: &'static str,
    /// What it reads, in a few words.
    pub about: &'static str,
    /// Which keys of the short form it takes; `None`: it needs a section.
    pub short: Option<&'static [&'static str]>,
    build: fn(Section, &Context) -> Result<Built, Vec<Problem>>,
}

/// Every kind there is.
pub const KINDS: [Kind; 5] = [
    Kind { name: "demo", about: "five invented deals", short: Some(&[]), build: demo::build },
    Kind { name: "hubspot", about: "HubSpot", short: Some(&["api_key", "endpoint"]), build: hubspot::build },
    Kind { name: "salesforce", about: "Salesforce", short: Some(&["api_key", "endpoint"]), build: salesforce::build },
    Kind { name: "pipedrive", about: "Pipedrive", short: Some(&["api_key", "endpoint"]), build: pipedrive::build },
    Kind { name: "rest", about: "any REST CRM, by configuration alone", short: None, build: rest::build },
];

/// Keys that say how to ask, not what for: they are not part of the scope.
const NOT_SCOPE: [&str; 21] = [
    "allow_empty",
    "allow_unmatched",
    "bulk_above",
    "client_id",
    "client_secret",
    "login_url",
    "private_key",
    "refresh_token",
    "schedule",
    "auth",
    "api_key",
    "api_version",
    "headers",
    "timeout",
    "max_body",
    "allow_http",
    "proxy",
    "ca_file",
    "rate",
    "retry",
    "verify",
];

/// Builds the source of a section, without a request; all problems at once.
pub fn build(section: &Section, context: &Context) -> Result<Built, Vec<Problem>> {
    let word = section.text("kind").unwrap_or_default();
    let Some(kind) = KINDS.iter().find(|kind| kind.name == word) else {
        let known = KINDS.map(|kind| kind.name).join(", ");
        let message = if section.0.contains_key("kind") { "unknown kind of source" } else { "is missing" };
        return Err(vec![Problem::at("kind", message).hint(format!("one of {known}"))]);
    };
    let mut own = section.clone();
    let _ = own.split_off(&OWN_KEYS);
    let mut built = (kind.build)(own, context)?;
    built.scope_hash = scope_hash(section);
    Ok(built)
}

/// The keys of a section whose value is a secret, whatever the kind.
const SECRETS: [&str; 7] =
    ["api_key", "client_id", "client_secret", "refresh_token", "username", "password", "private_key"];

/// The secrets that a section which cannot be built points at, as far as its keys tell, so that they are checked
/// together with what is wrong with it. A literal points at nothing.
pub fn named_secrets(section: &Section) -> Vec<(String, Secret)> {
    let pointed =
        |value: &Value| Secret::deserialize(value).ok().filter(|secret| !matches!(secret, Secret::Literal(_)));
    let own = section.0.iter().filter(|(key, _)| SECRETS.contains(&key.as_str()));
    let own = own.filter_map(|(key, value)| Some((key.clone(), pointed(value)?)));
    let auth = section.0.get("auth").and_then(Value::as_dict).into_iter().flatten();
    own.chain(auth.filter_map(|(key, value)| Some((format!("auth.{key}"), pointed(value)?)))).collect()
}

fn scope_hash(section: &Section) -> String {
    let mut asked = section.clone();
    let _ = asked.split_off(&NOT_SCOPE);
    let text = serde_json::to_vec(&asked.0).expect("a table of texts, numbers and tables is JSON");
    Sha256::digest(text)[..8].iter().fold(String::new(), |hash, byte| hash + &format!("{byte:02x}"))
}
