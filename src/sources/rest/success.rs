//! Whether an answer of 200 is one: some CRMs say in its body that they failed; `[sources.x.success]`.

use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::rest::json::{Json, Node};
use crate::sources::rest::path::Path;
use crate::sources::source::SourceError;
use crate::sources::values::scalar::{Constant, Constants};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    path: Path,
    equals: Option<Constant>,
    #[serde(default)]
    absent: bool,
    #[serde(default)]
    empty: bool,
    error_message: Option<Path>,
    retry: Option<Constants>,
}

/// What a success looks like.
#[derive(Debug)]
pub(super) struct Success {
    path: Path,
    look: Look,
    error_message: Option<Path>,
    /// Messages that pass: another try may help.
    passing: Vec<Constant>,
}

#[derive(Debug)]
enum Look {
    /// This value.
    Equals(Constant),
    /// Null, or nothing.
    Absent,
    /// The same, or an empty text, list or object.
    Empty,
}

impl Success {
    /// Reads the section.
    pub(super) fn read(section: &Section) -> Result<Option<Self>, Vec<Problem>> {
        if section.0.is_empty() {
            return Ok(None);
        }
        let keys: Keys = section.read(&[])?;
        let look = match (keys.equals, keys.absent, keys.empty) {
            (Some(value), false, false) => Look::Equals(value),
            (None, true, false) => Look::Absent,
            (None, false, true) => Look::Empty,
            (None, false, false) => {
                return Err(vec![
                    Problem::at("equals", "is missing").hint("what a success says; or `absent = true`, `empty = true`"),
                ]);
            }
            _ => return Err(vec![Problem::at("equals", "only one of `equals`, `absent` and `empty` can decide")]),
        };
        if keys.retry.is_some() && keys.error_message.is_none() {
            return Err(vec![Problem::at("error_message", "is missing: `retry` lists what stands there")]);
        }
        let passing = keys.retry.map(|retry| retry.all().to_vec()).unwrap_or_default();
        Ok(Some(Self { path: keys.path, look, error_message: keys.error_message, passing }))
    }

    /// An error unless the answer says that it is a success. Only words of the configuration are repeated.
    pub(super) fn check(&self, document: &Node<'_>) -> Result<(), SourceError> {
        let found = self.path.find(document);
        let is_success = match &self.look {
            Look::Equals(wanted) => found.and_then(Json::scalar).is_some_and(|value| value.is(&wanted.0)),
            Look::Absent => found.is_none(),
            Look::Empty => found.is_none_or(is_empty),
        };
        if is_success {
            return Ok(());
        }
        let what = format!("the CRM says in its answer that it failed: `{}` {}", self.path, self.look.missed());
        let message = self.error_message.as_ref().and_then(|path| path.find(document)).and_then(Json::scalar);
        let known = self.passing.iter().find(|known| message.as_ref().is_some_and(|message| message.is(&known.0)));
        Err(match known.and_then(|known| known.0.text()) {
            Some(known) => SourceError::Failed { what: format!("{what} (`{known}`)"), passes: true },
            None => SourceError::Failed { what, passes: false },
        })
    }
}

/// A text, list or object with nothing but blanks in it.
fn is_empty(found: Json<'_>) -> bool {
    let inside = found.text().strip_prefix(['[', '{', '"']).and_then(|text| text.strip_suffix([']', '}', '"']));
    inside.is_some_and(|inside| inside.trim().is_empty())
}

impl Look {
    fn missed(&self) -> String {
        match self {
            Self::Equals(wanted) => format!("is not `{}`", wanted.0.text().unwrap_or_default()),
            Self::Absent => "is there".to_owned(),
            Self::Empty => "is not empty".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    fn failure(toml: &str, document: &str) -> Option<SourceError> {
        let success = Success::read(&section(toml)).unwrap().unwrap();
        success.check(&Node::document(document).unwrap()).err()
    }

    #[test]
    fn a_failure_with_status_200_is_known_by_what_the_answer_says() {
        let equals = "path = '$.success'\nequals = true";
        assert!(failure(equals, r#"{"success": true}"#).is_none());
        for document in [r#"{"success": false}"#, "{}", "[]", r#"{"success": null}"#] {
            assert!(failure(equals, document).is_some(), "{document}");
        }
        let absent = "path = '$.errors'\nabsent = true";
        assert!(failure(absent, r#"{"data": {}}"#).is_none() && failure(absent, r#"{"errors": null}"#).is_none());
        assert!(failure(absent, r#"{"data": {}, "errors": []}"#).is_some());
        let empty = "path = '$.errors'\nempty = true";
        for document in ["{}", r#"{"errors": []}"#, r#"{"errors": { }}"#, r#"{"errors": ""}"#] {
            assert!(failure(empty, document).is_none(), "{document}");
        }
        assert!(failure(empty, r#"{"errors": [[]]}"#).is_some_and(|error| !error.is_transient()));
    }

    #[test]
    fn only_a_message_that_the_configuration_knows_is_repeated_and_tried_again() {
        let toml = "path = 'ok'\nequals = true\nerror_message = 'error'\nretry = ['maintenance', 503]";
        let passing = failure(toml, r#"{"ok": false, "error": "maintenance"}"#).unwrap();
        assert!(passing.is_transient() && passing.to_string().ends_with("`ok` is not `true` (`maintenance`)"));
        let other = failure(toml, r#"{"ok": false, "error": "canary"}"#).unwrap();
        assert!(!other.is_transient() && !other.to_string().contains("canary"));
    }

    #[test]
    fn one_of_three_looks_decides() {
        for toml in ["path = 'a'", "path = 'a'\nequals = 1\nabsent = true", "path = 'a'\nempty = true\nretry = ['x']"] {
            assert!(Success::read(&section(toml)).is_err(), "{toml}");
        }
        assert!(Success::read(&Section::default()).unwrap().is_none());
    }
}
