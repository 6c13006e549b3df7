//! Secrets: where they are, and reading them at each use, so that a rotated file needs no restart.
//!
//! Nothing here prints a secret, whatever the error.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::advice::Advice;

/// The longest secret that is read from a file, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Where a secret is, in one of the four forms of the config.
#[derive(Clone)]
pub enum Secret {
    /// `api_key = "…"`: in the config itself, which `check` warns of.
    Literal(SecretString),
    /// `{ env = "X" }`: a variable of the environment or of `.env.local`.
    Env(String),
    /// `{ file = "…" }`: a file, less one trailing newline.
    File(PathBuf),
    /// `{ credential = "name" }`: a file in `$CREDENTIALS_DIRECTORY` (systemd's `LoadCredential=`).
    Credential(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => formatter.write_str("Literal(***)"),
            Self::Env(name) => write!(formatter, "Env({name})"),
            Self::File(path) => write!(formatter, "File({})", path.display()),
            Self::Credential(name) => write!(formatter, "Credential({name})"),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = Secret;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a secret: text, { env = \"X\" }, { file = \"…\" } or { credential = \"name\" }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::Literal(SecretString::from(text)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
                let refused = || de::Error::custom("a secret has exactly one of `env`, `file`, `credential`");
                let (form, place) = map.next_entry::<String, String>()?.ok_or_else(refused)?;
                if map.next_key::<String>()?.is_some() {
                    return Err(refused());
                }
                match form.as_str() {
                    "env" => Ok(Secret::Env(place)),
                    "file" => Ok(Secret::File(PathBuf::from(place))),
                    "credential" => Ok(Secret::Credential(place)),
                    _ => Err(refused()),
                }
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

/// Words that names of secrets end with.
const WORDS: [&str; 8] = ["key", "token", "secret", "password", "passwd", "auth", "authorization", "signature"];
/// Names that look like those of secrets but are not: a page token, a sort key.
const OTHER_WORDS: [&str; 9] =
    ["page", "cursor", "next", "continuation", "sort", "order", "group", "primary", "foreign"];

/// Whether a value with this name is probably a secret: `api_key`, `accessToken`, `X-Auth`.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    let is_secret = |part: &str| WORDS.iter().any(|word| part.ends_with(word));
    name.split(['_', '-', '.']).any(is_secret) && !OTHER_WORDS.iter().any(|word| name.contains(word))
}

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("variable `{0}` is not set")]
    Unset(String),
    /// `$CREDENTIALS_DIRECTORY` is not set.
    #[error("credential `{0}` needs $CREDENTIALS_DIRECTORY, which systemd sets (LoadCredential=)")]
    NoCredentials(String),
    /// A credential's name is a path.
    #[error("credential name must be a plain file name")]
    NotAName,
    /// The file cannot be read.
    #[error("read secret file `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds nothing.
    #[error("secret file `{}` is empty", .0.display())]
    Empty(PathBuf),
    /// The file is not a secret.
    #[error("secret file `{}` is larger than 64 KiB or not UTF-8", .0.display())]
    NotASecret(PathBuf),
    /// A key that is to sign cannot.
    #[error("the private key is not an RSA key in PEM format with 2048 bits or more")]
    NotAPrivateKey,
    /// The secret cannot be sent.
    #[error("the secret for header `{0}` holds characters that no header can carry")]
    NoHeader(String),
}

impl SecretError {
    /// What to do.
    pub fn advice(&self) -> Advice {
        Advice::ProvideSecret
    }
}

/// Where secrets are looked up: the environment as read at start, `.env.local` below it.
#[derive(Clone, Default)]
pub struct Keyring {
    /// Variables by name.
    pub environment: BTreeMap<String, String>,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keyring(***)")
    }
}

impl Keyring {
    /// Reads the secret now.
    pub fn reveal(&self, secret: &Secret) -> Result<SecretString, SecretError> {
        match secret {
            Secret::Literal(text) => Ok(text.clone()),
            Secret::Env(name) => match self.environment.get(name) {
                Some(text) if !text.is_empty() => Ok(SecretString::from(text.as_str())),
                _ => Err(SecretError::Unset(name.clone())),
            },
            Secret::File(path) => read(path),
            Secret::Credential(name) => {
                if name.is_empty() || name.contains('/') || name.starts_with('.') {
                    return Err(SecretError::NotAName);
                }
                let directory = self.credentials.as_ref().ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
                read(&directory.join(name))
            }
        }
    }
}

fn read(path: &Path) -> Result<SecretString, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    match file.take(MAX_BYTES + 1).read_to_string(&mut text) {
        Ok(bytes) if bytes as u64 > MAX_BYTES => return Err(SecretError::NotASecret(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(SecretError::NotASecret(path.to_owned()));
        }
        other => other.map_err(unreadable)?,
    };
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() { Err(SecretError::Empty(path.to_owned())) } else { Ok(SecretString::from(secret)) }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_file_is_read_again_at_each_use_without_the_last_newline() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let keyring = Keyring::default();
        let secret = Secret::File(path.clone());
        assert!(matches!(keyring.reveal(&secret), Err(SecretError::Unreadable { .. })));
        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(keyring.reveal(&secret).unwrap().expose_secret(), "one");
        std::fs::write(&path, "two\n\n").unwrap();
        assert_eq!(keyring.reveal(&secret).unwrap().expose_secret(), "two\n");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(keyring.reveal(&secret), Err(SecretError::Empty(_))));
    }

    #[test]
    fn a_credential_is_a_name_and_never_a_path() {
        let keyring = Keyring { credentials: Some(PathBuf::from("/etc")), ..Keyring::default() };
        for name in ["../etc/passwd", "a/b", "", ".hidden"] {
            let secret = Secret::Credential(name.to_owned());
            assert!(matches!(keyring.reveal(&secret), Err(SecretError::NotAName)), "{name}");
        }
    }

    #[test]
    fn a_name_tells_what_is_likely_a_secret() {
        for name in ["api_key", "apikey", "accessToken", "X-Auth", "Authorization", "client.secret", "sig_signature"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["sort", "sort_key", "orderKey", "page_token", "nextPageToken", "author", "keyword", "tokens_used"]
        {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_secret_is_never_in_its_debug_form() {
        let shown = format!("{:?} {:?}", Secret::Literal(SecretString::from("canary")), Keyring::default());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
