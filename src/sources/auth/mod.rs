//! Credentials: how a request shows the CRM who asks. All kinds of sources use this module.
//!
//! 1. `credentials`: [`Auth`], as configured; `client_keys` reads the keys that HubSpot and Pipedrive share;
//! 2. `authenticator`: puts the credentials on a request; `headers`: headers that hold secrets;
//! 3. `oauth`: caches and renews access tokens; `refresh_token`: the one in use; `jwt`: tokens that the program signs.

mod authenticator;
mod client_keys;
mod credentials;
mod headers;
mod jwt;
mod oauth;
mod refresh_token;

pub(super) use crate::sources::auth::authenticator::Authenticator;
pub(super) use crate::sources::auth::client_keys::RawCredentials;
pub(super) use crate::sources::auth::credentials::{Auth, ClientIn, Grant, Proof, TokenEndpoint, TokenResponse};
pub(super) use crate::sources::auth::headers::{set_basic, set_bearer, set_secret_header};
pub(super) use crate::sources::auth::oauth::Token;
