//! Some CRMs answer 200 and say in the body that they failed; `[sources.x.success]`.

use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::rest::json::{Json, Node};
use crate::sources::rest::path::Path;
use crate::sources::source::SourceError;
use crate::sources::values::scalar::Constant;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    path: Path,
    equals: Option<Constant>,
    #[serde(default)]
    absent: bool,
}

/// What a success looks like.
#[derive(Debug)]
pub(super) struct Success {
    path: Path,
    look: Look,
}

#[derive(Debug)]
enum Look {
    Equals(Constant),
    /// Null or missing.
    Absent,
}

impl Success {
    pub(super) fn read(section: &Section) -> Result<Option<Self>, Vec<Problem>> {
        if section.0.is_empty() {
            return Ok(None);
        }
        let keys: Keys = section.read(&[])?;
        let look = match (keys.equals, keys.absent) {
            (Some(value), false) => Look::Equals(value),
            (None, true) => Look::Absent,
            (None, false) => {
                return Err(vec![
                    Problem::at("equals", "is missing").hint("the value that means success; or `absent = true`"),
                ]);
            }
            (Some(_), true) => {
                return Err(vec![Problem::at("equals", "cannot be combined with `absent`").hint("use one of the two")]);
            }
        };
        Ok(Some(Self { path: keys.path, look }))
    }

    /// Fails unless the answer says that it is a success. The error never quotes the answer.
    pub(super) fn check(&self, document: &Node<'_>) -> Result<(), SourceError> {
        let found = self.path.find(document);
        let is_success = match &self.look {
            Look::Equals(wanted) => found.and_then(Json::scalar).is_some_and(|value| value.is(&wanted.0)),
            Look::Absent => found.is_none(),
        };
        if is_success {
            return Ok(());
        }
        let what = format!("the CRM says in its answer that it failed: `{}` {}", self.path, self.look.missed());
        Err(SourceError::Failed { what })
    }
}

impl Look {
    fn missed(&self) -> String {
        match self {
            Self::Equals(wanted) => format!("is not `{}`", wanted.0.text().unwrap_or_default()),
            Self::Absent => "is there".to_owned(),
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
    }

    #[test]
    fn one_of_two_looks_decides() {
        for toml in ["path = 'a'", "path = 'a'\nequals = 1\nabsent = true"] {
            assert!(Success::read(&section(toml)).is_err(), "{toml}");
        }
        assert!(Success::read(&Section::default()).unwrap().is_none());
    }
}
