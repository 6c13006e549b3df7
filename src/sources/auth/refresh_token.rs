//! OAuth's refresh token, which some CRMs replace at each use.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::headers::fingerprint;
use crate::memory::Memory;
use crate::secret::{Keyring, Secret, SecretError};

/// The configured refresh token, or the one that the CRM gave in its place. The replacement outlives the process; it is
/// used until another token is configured.
pub(super) struct RefreshToken {
    configured: Secret,
    keyring: Arc<Keyring>,
    memory: Arc<dyn Memory>,
}

impl RefreshToken {
    /// Where the replacement is remembered.
    const KEY: &str = "refresh_token";

    pub(super) fn new(configured: Secret, keyring: Arc<Keyring>, memory: Arc<dyn Memory>) -> Self {
        Self { configured, keyring, memory }
    }

    pub(super) fn current(&self) -> Result<SecretString, SecretError> {
        let configured = self.keyring.reveal(&self.configured)?;
        let text = self.memory.get(Self::KEY).unwrap_or_default();
        let anchor = format!("{:016x}", fingerprint(&configured));
        Ok(match text.split_once(' ') {
            Some((replaces, token)) if replaces == anchor && !token.is_empty() => SecretString::from(token),
            _ => configured,
        })
    }

    /// Remembers the token that the CRM gave: it may not accept the old one again.
    pub(super) fn replace(&self, given: &SecretString) -> Result<(), SecretError> {
        let configured = self.keyring.reveal(&self.configured)?;
        self.memory.replace(Self::KEY, &format!("{:016x} {}", fingerprint(&configured), given.expose_secret()));
        Ok(())
    }
}
