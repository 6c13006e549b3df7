//! Values beside the records of an answer: the next page, the count.

use serde_json::Value;

use crate::sources::probe::question::Answer;
use crate::sources::probe::records::{Found, path_of};
use crate::sources::probe::words::normal;

/// A value of the answer outside of its records.
pub(super) struct Sign<'a> {
    pub(super) keys: Vec<String>,
    pub(super) value: &'a Value,
}

impl Sign<'_> {
    /// The last key, normalized like the names in `words`.
    pub(super) fn name(&self) -> String {
        self.keys.last().map(|key| normal(key)).unwrap_or_default()
    }

    /// Whether a key on its path contains a word.
    pub(super) fn says(&self, word: &str) -> bool {
        self.keys.iter().any(|key| normal(key).split('_').any(|part| part == word))
    }

    pub(super) fn path(&self) -> String {
        path_of(&self.keys)
    }

    /// The whole number it is, also as text.
    pub(super) fn count(&self) -> Option<u64> {
        self.value.as_u64().or_else(|| self.value.as_str()?.parse().ok())
    }

    /// The text or number it is.
    pub(super) fn text(&self) -> Option<String> {
        match self.value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

/// Every value of the answer outside of its records.
pub(super) fn signs<'a>(answer: &'a Answer, found: &Found) -> Vec<Sign<'a>> {
    fn gather<'a>(value: &'a Value, keys: &mut Vec<String>, found: &Found, signs: &mut Vec<Sign<'a>>) {
        match value {
            Value::Object(members) if keys.len() < 4 => {
                for (key, value) in members {
                    keys.push(key.clone());
                    if !found.is_inside(keys) {
                        gather(value, keys, found, signs);
                    }
                    keys.pop();
                }
            }
            Value::Object(_) | Value::Array(_) => {}
            _ => signs.push(Sign { keys: keys.clone(), value }),
        }
    }
    let mut signs = Vec::new();
    gather(&answer.body, &mut Vec::new(), found, &mut signs);
    signs
}
