//! The credentials of a section with one key, or with the three keys of an OAuth app.

use super::credentials::{Auth, ClientIn, Grant, Proof, SECTION_KEY};
use crate::secret::Secret;
use crate::settings::Problem;

/// The keys of a section, not yet checked.
#[derive(Debug)]
pub(crate) struct RawCredentials {
    pub(crate) api_key: Option<Secret>,
    pub(crate) client_id: Option<Secret>,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) refresh_token: Option<Secret>,
}

impl RawCredentials {
    /// The credentials, if they are complete. `key_name` is what the CRM calls its key; `fixed` places it in a request.
    pub(crate) fn check(
        self,
        key_name: &str,
        fixed: fn(Secret) -> Auth,
        placement: ClientIn,
    ) -> Result<Auth, Vec<Problem>> {
        match (self.api_key, self.client_id, self.client_secret, self.refresh_token) {
            (Some(key), None, None, None) => Ok(fixed(key)),
            (None, Some(client_id), Some(client_secret), Some(refresh_token)) => {
                let proof = Proof::RefreshToken(refresh_token);
                Ok(Auth::App(Box::new(Grant::new(client_id, Some(client_secret), proof, placement))))
            }
            (None, None, None, None) => {
                let problem = Problem::at(SECTION_KEY, "is missing");
                let hint = format!("{key_name}; or `client_id`, `client_secret` and `refresh_token` of an app");
                Err(vec![problem.hint(hint)])
            }
            (Some(_), ..) => {
                let problem = Problem::at(SECTION_KEY, "cannot be combined with the keys of an app");
                Err(vec![problem.hint("either it, or `client_id`, `client_secret` and `refresh_token`")])
            }
            (None, id, secret, token) => {
                let hint = "`client_id`, `client_secret` and `refresh_token` go together";
                let mut problems = Vec::new();
                for (key, given) in [("client_id", id), ("client_secret", secret), ("refresh_token", token)] {
                    if given.is_none() {
                        problems.push(Problem::at(key, "is missing").hint(hint));
                    }
                }
                Err(problems)
            }
        }
    }
}
