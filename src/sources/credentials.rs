//! The credentials that a section names: one key, or the three of an OAuth app.
//!
//! Apart from the sources, since several CRMs take either.

use crate::secret::Secret;
use crate::settings::Problem;
use crate::sources::auth::Grant;

/// Who the program is to a CRM.
#[derive(Debug)]
pub(super) enum Credentials {
    /// A key that is valid until somebody rotates it.
    Key(Secret),
    /// An app's refresh token.
    OAuth(Grant),
}

/// The keys of a section, as they stand there.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) api_key: Option<Secret>,
    pub(super) client_id: Option<Secret>,
    pub(super) client_secret: Option<Secret>,
    pub(super) refresh_token: Option<Secret>,
}

impl Given {
    /// The credentials, if they are whole; `key` is what the CRM calls its key.
    pub(super) fn credentials(self, key: &str) -> Result<Credentials, Vec<Problem>> {
        match (self.api_key, self.client_id, self.client_secret, self.refresh_token) {
            (Some(key), None, None, None) => Ok(Credentials::Key(key)),
            (None, Some(client_id), Some(client_secret), Some(refresh_token)) => {
                Ok(Credentials::OAuth(Grant { client_id, client_secret, refresh_token }))
            }
            (None, None, None, None) => {
                let problem = Problem::at("api_key", "is missing");
                let hint = format!("{key}; or `client_id`, `client_secret` and `refresh_token` of an app");
                Err(vec![problem.hint(hint)])
            }
            (Some(_), ..) => {
                let problem = Problem::at("api_key", "stands beside the keys of an app");
                Err(vec![problem.hint("either it, or `client_id`, `client_secret` and `refresh_token`")])
            }
            (None, id, secret, token) => {
                let keys = [("client_id", id), ("client_secret", secret), ("refresh_token", token)];
                let missing = keys.into_iter().filter(|(_, given)| given.is_none());
                let hint = "`client_id`, `client_secret` and `refresh_token` go together";
                Err(missing.map(|(key, _)| Problem::at(key, "is missing").hint(hint)).collect())
            }
        }
    }
}

impl Credentials {
    /// The secrets and their keys. A literal client id is no secret, so it is none to warn of.
    pub(super) fn secrets(&self) -> Vec<(String, Secret)> {
        let named = |key: &str, secret: &Secret| (key.to_owned(), secret.clone());
        match self {
            Self::Key(key) => vec![named("api_key", key)],
            Self::OAuth(Grant { client_id, client_secret, refresh_token }) => {
                let id = Some(named("client_id", client_id)).filter(|(_, id)| !matches!(id, Secret::Literal(_)));
                let rest = [named("client_secret", client_secret), named("refresh_token", refresh_token)];
                id.into_iter().chain(rest).collect()
            }
        }
    }
}
