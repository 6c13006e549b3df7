//! JSON of a request, as the configuration writes it, with secrets in it.
//!
//! `{ null = true }` is null, which TOML does not have; `{ env | file | credential = "…" }` is a secret, revealed at
//! each request and nowhere else.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::secret::{Keyring, Secret, SecretError, is_secret_name};
use crate::sources::rest::path::{Path, Step};

/// JSON of the configuration.
#[derive(Debug, Clone)]
pub(super) enum Template {
    /// Null, a truth value, a number or a text.
    Plain(Value),
    Secret(Secret),
    List(Vec<Template>),
    Object(BTreeMap<String, Template>),
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::of)
    }
}

impl Template {
    fn of(value: Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.into_iter().map(Self::of).collect()),
            Value::Object(members) if members.len() == 1 && members.get("null") == Some(&Value::Bool(true)) => {
                Self::Plain(Value::Null)
            }
            Value::Object(members) => match secret(&members) {
                Some(secret) => Self::Secret(secret),
                None => Self::Object(members.into_iter().map(|(key, value)| (key, Self::of(value))).collect()),
            },
            plain => Self::Plain(plain),
        }
    }

    /// An empty object: the default body of a POST.
    pub(super) fn empty() -> Self {
        Self::Object(BTreeMap::new())
    }

    /// Takes every text under a secret's name for a secret; `name` is this template's own name.
    pub(super) fn with_secrets(self, name: &str) -> Self {
        match self {
            Self::Plain(Value::String(text)) if is_secret_name(name) => Self::Secret(Secret::Literal(text.into())),
            Self::Object(members) => Self::Object(with_secrets(members)),
            Self::List(items) => Self::List(items.into_iter().map(|item| item.with_secrets("")).collect()),
            other => other,
        }
    }

    /// Whether it is a single value, as a parameter is.
    pub(super) fn is_single(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Secret(_))
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    /// Every secret in it, with its key below `place`.
    pub(super) fn secrets(&self, place: &str, found: &mut Vec<(String, Secret)>) {
        match self {
            Self::Plain(_) => {}
            Self::Secret(secret) => found.push((place.to_owned(), secret.clone())),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.secrets(&format!("{place}.{index}"), found);
                }
            }
            Self::Object(members) => {
                for (key, member) in members {
                    member.secrets(&format!("{place}.{key}"), found);
                }
            }
        }
    }

    /// The JSON to send, with its secrets.
    pub(super) fn reveal(&self, keyring: &Keyring) -> Result<Value, SecretError> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Secret(secret) => Value::from(keyring.reveal(secret)?.expose_secret()),
            Self::List(items) => items.iter().map(|item| item.reveal(keyring)).collect::<Result<Vec<_>, _>>()?.into(),
            Self::Object(members) => {
                let revealed = members.iter().map(|(key, member)| Ok((key.clone(), member.reveal(keyring)?)));
                Value::Object(revealed.collect::<Result<_, SecretError>>()?)
            }
        })
    }

    /// The texts of a single value or of a list, as parameters carry them; null has none.
    pub(super) fn texts(&self, keyring: &Keyring) -> Result<Vec<String>, SecretError> {
        Ok(match self.reveal(keyring)? {
            Value::Array(items) => items.iter().filter_map(text).collect(),
            single => text(&single).into_iter().collect(),
        })
    }

    /// The JSON without its secrets, to check its shape before there is a keyring.
    pub(super) fn shape(&self) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Secret(_) => Value::from(""),
            Self::List(items) => items.iter().map(Self::shape).collect(),
            Self::Object(members) => members.iter().map(|(key, member)| (key.clone(), member.shape())).collect(),
        }
    }

    /// Whether a place holds something other than null.
    pub(super) fn holds(&self, place: &Path) -> bool {
        let mut here = self;
        for step in place.steps() {
            let next = match (here, step) {
                (Self::Object(members), Step::Key(key)) => members.get(key),
                (Self::List(items), Step::Index(index)) => usize::try_from(*index).ok().and_then(|at| items.get(at)),
                _ => None,
            };
            let Some(next) = next else { return false };
            here = next;
        }
        !matches!(here, Self::Plain(Value::Null))
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn secret(members: &serde_json::Map<String, Value>) -> Option<Secret> {
    let (form, place) = members.iter().next().filter(|_| members.len() == 1)?;
    let place = place.as_str()?.to_owned();
    match form.as_str() {
        "env" => Some(Secret::Env(place)),
        "file" => Some(Secret::File(place.into())),
        "credential" => Some(Secret::Credential(place)),
        _ => None,
    }
}

/// Puts a value at a place of a body. Creates missing objects; an item of a list must exist or be the next one.
/// Returns whether there is such a place.
pub(super) fn put(body: &mut Value, place: &Path, value: Value) -> bool {
    let mut here = body;
    for step in place.steps() {
        here = match step {
            Step::Key(key) => {
                if here.is_null() {
                    *here = Value::Object(serde_json::Map::new());
                }
                let Some(members) = here.as_object_mut() else { return false };
                members.entry(key.clone()).or_insert(Value::Null)
            }
            Step::Index(index) => {
                let (Some(items), Ok(index)) = (here.as_array_mut(), usize::try_from(*index)) else { return false };
                if index == items.len() {
                    items.push(Value::Null);
                }
                let Some(item) = items.get_mut(index) else { return false };
                item
            }
        };
    }
    *here = value;
    true
}

/// Takes values under a secret's name for secrets.
pub(super) fn with_secrets(values: BTreeMap<String, Template>) -> BTreeMap<String, Template> {
    values
        .into_iter()
        .map(|(name, value)| {
            let value = value.with_secrets(&name);
            (name, value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::section;

    fn template(toml: &str) -> Template {
        #[derive(Deserialize)]
        struct Keys {
            body: Template,
        }
        section(&format!("body = {toml}")).read::<Keys>(&[]).unwrap().body
    }

    #[test]
    fn null_and_secrets_stand_anywhere_in_a_body_and_a_text_of_digits_stays_a_text() {
        let body =
            template(r#"{ a = { null = true }, b = [{ env = "T" }, 1.5, "007", true], c = { env = "T", x = 1 } }"#);
        let keyring = Keyring { environment: [("T".to_owned(), "canary".to_owned())].into(), ..Keyring::default() };
        let expected = json!({"a": null, "b": ["canary", 1.5, "007", true], "c": {"env": "T", "x": 1}});
        assert_eq!(body.reveal(&keyring).unwrap(), expected);
        let mut found = Vec::new();
        body.secrets("request.body", &mut found);
        assert_eq!(found[0].0, "request.body.b.0");
        assert!(body.reveal(&Keyring::default()).is_err());
        assert!(!format!("{body:?}").contains("canary"));
    }

    #[test]
    fn a_value_is_put_where_the_path_says_also_into_lists() {
        let put_at = |body: Value, place: &str| {
            let mut body = body;
            put(&mut body, &place.parse().unwrap(), json!(7)).then_some(body)
        };
        assert_eq!(put_at(json!({}), "page.after"), Some(json!({"page": {"after": 7}})));
        assert_eq!(put_at(json!({"params": [1, {"a": 0}]}), "params[1].a"), Some(json!({"params": [1, {"a": 7}]})));
        assert_eq!(put_at(json!({"params": [1]}), "params[1]"), Some(json!({"params": [1, 7]})));
        assert_eq!(put_at(json!({"v": null}), "v.after"), Some(json!({"v": {"after": 7}})));
        assert_eq!(put_at(json!({"params": [1]}), "params[5]"), None);
        assert_eq!(put_at(json!({"a": 1}), "a.b"), None);
    }
}
