//! Names of owners: all users come at once; those who are missing there are asked for one by one.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use crate::sources::pipedrive::client::Client;
use crate::sources::pipedrive::settings::{Path, USERS};
use crate::sources::source::SourceError;
use crate::sources::wire::Id;

/// One user, by its id.
const USER: Path = Path { tokens: 2, ..USERS };

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

/// The names of all users that are listed. Whose token it is must be among them.
pub(super) async fn all(client: &Client) -> Result<HashMap<String, String>, SourceError> {
    let users: Vec<User> = client.whole(USERS).await?;
    if users.is_empty() {
        return Err(SourceError::Malformed("the answer lists no user, and the key is one's".to_owned()));
    }
    Ok(users.into_iter().filter_map(User::name).collect())
}

/// The names of those who are not listed: some accounts leave out whom they deactivated (contract §3.6).
pub(super) async fn unlisted(
    client: &Client,
    wanted: &BTreeSet<String>,
) -> Result<HashMap<String, String>, SourceError> {
    let mut names = HashMap::new();
    let is_id = |id: &&String| id.bytes().all(|byte| byte.is_ascii_digit());
    for id in wanted.iter().filter(is_id) {
        match client.one::<User>(USER, &format!("/{id}")).await {
            Ok(user) => names.extend(user.name().map(|(_, name)| (id.clone(), name))),
            Err(SourceError::Unexpected { status: 404, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(names)
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
