//! Names of owners: from the list of users, else one by one.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;

use crate::memory::Memory;
use crate::sources::pipedrive::client::Client;
use crate::sources::pipedrive::settings::{Path, USERS};
use crate::sources::source::SourceError;
use crate::sources::wire::Id;

/// One user, by its id.
pub(super) const USER: Path = Path { tokens: 2, ..USERS };
/// The most users that one pull asks for one by one.
pub(super) const MOST: u64 = 100;
const KEY: &str = "unknown_users";
/// How long an unknown id is not asked for again.
const DAY: TimeDelta = TimeDelta::hours(24);

#[derive(Deserialize)]
struct User {
    id: Id,
    name: Option<String>,
    email: Option<String>,
}

impl User {
    /// The name, else the address.
    fn name(self) -> Option<(String, String)> {
        let is_said = |text: &String| !text.trim().is_empty();
        let name = self.name.filter(is_said).or(self.email.filter(is_said))?;
        Some((self.id.0, name))
    }
}

/// The names of all listed users. The token's own user must be among them.
pub(super) async fn all(client: &Client) -> Result<HashMap<String, String>, SourceError> {
    let users: Vec<User> = client.whole(USERS).await?;
    if users.is_empty() {
        return Err(SourceError::Malformed("the answer lists no user, but the key belongs to one".to_owned()));
    }
    Ok(users.into_iter().filter_map(User::name).collect())
}

/// Looks up owners absent from the user list, such as deactivated ones; unknown ids are cached for 24 h.
pub(super) struct Unlisted {
    memory: Arc<dyn Memory>,
}

/// What one pull has asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    owners: AtomicU64,
    /// Whether one without a name was logged.
    has_logged: AtomicBool,
}

/// Unknown ids, the credentials that asked for them, and when to ask again, UTC.
struct Unknown {
    identity: u64,
    until: DateTime<Utc>,
    ids: BTreeSet<String>,
}

impl Unlisted {
    pub(super) fn new(memory: Arc<dyn Memory>) -> Self {
        Self { memory }
    }

    /// The names of the users that exist.
    pub(super) async fn names(
        &self,
        client: &Client,
        wanted: &BTreeSet<String>,
        asked: &Asked,
        now: DateTime<Utc>,
    ) -> Result<HashMap<String, String>, SourceError> {
        let mut names = HashMap::new();
        let mut unknown = self.unknown(client.identity()?, now);
        let is_id = |id: &&String| id.bytes().all(|byte| byte.is_ascii_digit());
        for id in wanted.iter().filter(is_id) {
            if unknown.ids.contains(id) || !asked.may_ask() {
                continue;
            }
            match client.one::<User>(USER, &format!("/{id}")).await {
                Ok(user) => names.extend(user.name().map(|(_, name)| (id.clone(), name))),
                Err(error) if is_unknown(&error) => {
                    asked.log(id, &error);
                    unknown.ids.insert(id.clone());
                    self.memory.put(KEY, &unknown.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(names)
    }

    fn unknown(&self, identity: u64, now: DateTime<Utc>) -> Unknown {
        let noted = self.memory.get(KEY).and_then(|text| Unknown::read(&text));
        let is_good = |noted: &Unknown| noted.identity == identity && now < noted.until && noted.until <= now + DAY;
        noted.filter(is_good).unwrap_or_else(|| Unknown { identity, until: now + DAY, ids: BTreeSet::new() })
    }
}

impl Asked {
    /// Logs the first unknown owner of a pull; a finding counts the others.
    fn log(&self, id: &str, error: &SourceError) {
        if !self.has_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!("The owner {id} has no name: {error}. A finding counts the deals of other such owners");
        }
    }

    fn may_ask(&self) -> bool {
        let asked = self.owners.fetch_add(1, Ordering::Relaxed);
        if asked == MOST {
            tracing::warn!("Asked for {MOST} owners that are not in the list of users; the others have no name");
        }
        asked < MOST
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.until.to_rfc3339_opts(SecondsFormat::Millis, true);
        write!(formatter, "{:016x} {until}", self.identity)?;
        self.ids.iter().try_for_each(|id| write!(formatter, " {id}"))
    }
}

impl Unknown {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let identity = u64::from_str_radix(words.next()?, 16).ok()?;
        let until = words.next()?.parse().ok()?;
        Some(Self { identity, until, ids: words.map(ToOwned::to_owned).collect() })
    }
}

/// Whether the user does not exist or is hidden from these credentials. Neither fails the pull.
fn is_unknown(error: &SourceError) -> bool {
    matches!(error, SourceError::Unexpected { status: 400 | 404, .. } | SourceError::Forbidden { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_called_by_name_then_address_and_only_the_id_must_be_there() {
        for (json, name) in [
            (r#"{"id": 7, "name": "Aino Salo", "email": "a@acme.example", "origin": "nova"}"#, Some("Aino Salo")),
            (r#"{"id": "7", "name": " ", "email": "a@acme.example"}"#, Some("a@acme.example")),
            (r#"{"id": 7, "name": null}"#, None),
            (r#"{"id": 7}"#, None),
        ] {
            let user: User = serde_json::from_str(json).unwrap();
            assert_eq!(user.name().map(|(_, name)| name).as_deref(), name, "{json}");
        }
    }
}
