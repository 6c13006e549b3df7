//! A source's name: a word of the config that is safe as a folder's name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `[a-z][a-z0-9]*(_[a-z0-9]+)*`, neither `all` nor `held`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceName(String);

/// Why a text is not a source's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a source's name is lowercase letters and digits, words joined by one `_`, and neither `all` nor `held`")]
pub struct NotASourceName;

impl SourceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SourceName {
    type Err = NotASourceName;

    fn from_str(text: &str) -> Result<Self, NotASourceName> {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let reserved = matches!(text, "all" | "held");
        let starts = text.starts_with(|first: char| first.is_ascii_lowercase());
        // A folder's name may have 255 bytes; a lock's is a little longer than the source's.
        let fits = text.len() <= 200;
        if starts && fits && !reserved && text.split('_').all(is_word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotASourceName)
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for SourceName {
    type Error = NotASourceName;

    fn try_from(text: String) -> Result<Self, NotASourceName> {
        text.parse()
    }
}

impl From<SourceName> for String {
    fn from(name: SourceName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_as_a_folder() {
        for name in ["hubspot", "hubspot_eu", "crm2_a1"] {
            assert!(name.parse::<SourceName>().is_ok(), "{name}");
        }
        for name in ["", "all", "held", "HubSpot", "a__b", "_a", "a_", "2crm", "../etc", "a/b", "a.b", ".a", "ä"] {
            assert!(name.parse::<SourceName>().is_err(), "{name}");
        }
    }
}
