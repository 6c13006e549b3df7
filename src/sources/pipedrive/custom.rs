//! Custom fields of deals: their keys by name, and the labels of their options.
//!
//! Keys are hashes that differ between accounts, and the value of a choice is the id of an option. So we read the list
//! of fields once a day if the configuration names any.

use std::collections::HashMap;

use serde::Deserialize;

use crate::sources::pipedrive::client::Client;
use crate::sources::pipedrive::settings::DEAL_FIELDS;
use crate::sources::source::SourceError;
use crate::sources::wire::Id;

/// A property of a deal, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Property {
    /// A key of the record itself.
    Own(String),
    /// The key of a custom field.
    Key(String),
    /// A field by its displayed name.
    Called(String),
}

/// The keys of a record, except custom fields.
const OWN: [&str; 35] = [
    "acv",
    "add_time",
    "archive_time",
    "arr",
    "channel",
    "channel_id",
    "close_time",
    "creator_user_id",
    "currency",
    "expected_close_date",
    "id",
    "is_archived",
    "is_deleted",
    "label_ids",
    "local_close_date",
    "local_lost_date",
    "local_won_date",
    "lost_reason",
    "lost_time",
    "mrr",
    "org_id",
    "origin",
    "origin_id",
    "owner_id",
    "person_id",
    "pipeline_id",
    "probability",
    "stage_change_time",
    "stage_id",
    "status",
    "title",
    "update_time",
    "value",
    "visible_to",
    "won_time",
];

impl From<&str> for Property {
    fn from(text: &str) -> Self {
        if is_key(text) {
            Self::Key(text.to_owned())
        } else if OWN.contains(&text) {
            Self::Own(text.to_owned())
        } else {
            Self::Called(text.to_owned())
        }
    }
}

impl AsRef<str> for Property {
    fn as_ref(&self) -> &str {
        match self {
            Self::Own(text) | Self::Key(text) | Self::Called(text) => text,
        }
    }
}

impl Property {
    /// Whether the list of fields is needed to read it.
    pub(super) fn needs_fields(&self) -> bool {
        !matches!(self, Self::Own(_))
    }

    /// The key in a record; `None` if the account has no field of that name.
    pub(super) fn key<'a>(&'a self, fields: &'a Fields) -> Option<&'a str> {
        match self {
            Self::Own(key) | Self::Key(key) => Some(key),
            Self::Called(name) => fields.keys.get(name).map(String::as_str),
        }
    }
}

/// Whether a key is that of a custom field: 40 hexadecimal digits.
pub(super) fn is_key(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The label of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label<'a> {
    /// The field has no options; the value is its own label.
    NoChoice,
    Known(&'a str),
    /// An option that the field no longer has.
    Unknown,
}

#[derive(Deserialize)]
struct Field {
    #[serde(rename = "field_name")]
    name: Option<String>,
    #[serde(rename = "field_code")]
    code: String,
    options: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    id: Id,
    label: Option<String>,
}

/// The fields that the configuration names.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    /// Keys by name.
    keys: HashMap<String, String>,
    /// Labels by key and option id.
    options: HashMap<String, HashMap<String, String>>,
    /// Fields that do not exist or are ambiguous.
    pub(super) warnings: Vec<String>,
}

impl Fields {
    /// Asks for the fields; `named` are the configured fields with their properties.
    pub(super) async fn ask(client: &Client, named: &[(String, Property)]) -> Result<Self, SourceError> {
        match client.all::<Field>(DEAL_FIELDS).await {
            Ok(known) => Ok(Self::of(&known, named)),
            Err(error @ SourceError::Forbidden { .. }) => Ok(Self {
                warnings: vec![format!(
                    "The names and options of the account's own fields are unknown: {error}. Those named by a key hold the \
                     ids of options, those named by a name stay empty"
                )],
                ..Self::default()
            }),
            Err(error) => Err(error),
        }
    }

    fn of(known: &[Field], named: &[(String, Property)]) -> Self {
        let mut fields = Self::default();
        for (field, property) in named.iter().filter(|(_, property)| property.needs_fields()) {
            let wanted = property.as_ref();
            let is_called =
                |known: &&Field| matches!(property, Property::Called(name) if known.name.as_ref() == Some(name));
            let mut found: Vec<&Field> = known.iter().filter(is_called).collect();
            if found.is_empty() {
                // A built-in field that is not in `OWN` can be named by its key.
                found = known.iter().filter(|known| known.code == wanted).collect();
            }
            let [found] = found.as_slice() else {
                let why = if found.is_empty() { "no field" } else { "several fields" };
                let hint = if found.is_empty() { "" } else { "; name one of them by its key" };
                fields
                    .warnings
                    .push(format!("The account's deals have {why} `{wanted}`: `fields.{field}` stays empty{hint}"));
                continue;
            };
            if let Property::Called(name) = property {
                fields.keys.insert(name.clone(), found.code.clone());
            }
            for choice in found.options.iter().flatten() {
                let label = choice.label.clone().unwrap_or_else(|| choice.id.0.clone());
                fields.options.entry(found.code.clone()).or_default().insert(choice.id.0.clone(), label);
            }
        }
        fields
    }

    /// The label of `value` of the field with this key.
    pub(super) fn label(&self, key: &str, value: &str) -> Label<'_> {
        match self.options.get(key) {
            None => Label::NoChoice,
            Some(options) => options.get(value).map_or(Label::Unknown, |label| Label::Known(label)),
        }
    }

    /// Whether the values of the field with this key are ids of options.
    pub(super) fn has_options(&self, key: &str) -> bool {
        self.options.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "3f1c000000000000000000000000000000000abc";

    fn fields(named: &[(&str, &str)]) -> Fields {
        let known = format!(
            r#"[{{"field_name": "Segment", "field_code": "{KEY}", "field_type": "enum", "is_custom_field": true,
                "options": [{{"id": 12, "label": "SMB", "color": null}}, {{"id": 13, "label": null}}]}},
            {{"field_name": "Channel", "field_code": "channel", "options": [{{"id": "web", "label": "Web"}}]}},
            {{"field_name": "Label", "field_code": "label"}},
            {{"field_name": "Twice", "field_code": "{}"}}, {{"field_name": "Twice", "field_code": "{}"}}]"#,
            "a".repeat(40),
            "b".repeat(40),
        );
        let known: Vec<Field> = serde_json::from_str(&known).unwrap();
        let named: Vec<_> = named.iter().map(|(field, text)| ((*field).to_owned(), Property::from(*text))).collect();
        Fields::of(&known, &named)
    }

    #[test]
    fn a_field_is_named_by_its_key_or_by_what_people_call_it_and_its_options_have_labels() {
        for text in [KEY, "Segment"] {
            let fields = fields(&[("segment", text)]);
            assert_eq!(fields.warnings, Vec::<String>::new());
            assert_eq!(Property::from(text).key(&fields), Some(KEY));
            assert_eq!(fields.label(KEY, "12"), Label::Known("SMB"));
            assert_eq!(fields.label(KEY, "13"), Label::Known("13"));
            assert_eq!(fields.label(KEY, "99"), Label::Unknown, "an option that is gone");
        }
        let channel = fields(&[("channel", "Channel")]);
        assert_eq!(Property::from("Channel").key(&channel), Some("channel"), "a built-in one has a key that is a word");
        assert_eq!(channel.label("channel", "web"), Label::Known("Web"), "and its options have texts as ids");
        assert_eq!(channel.label("value", "1"), Label::NoChoice);
        let label = fields(&[("label", "label")]);
        assert_eq!(
            (Property::from("label").key(&label), label.warnings.len()),
            (Some("label"), 0),
            "a word not known here"
        );
    }

    #[test]
    fn a_field_that_is_not_there_or_there_twice_stays_empty_and_is_told() {
        let missing = "c".repeat(40);
        let fields = fields(&[("a", "Segmnt"), ("b", &missing), ("c", "Twice"), ("d", "arr")]);
        assert_eq!(
            fields.warnings,
            [
                "The account's deals have no field `Segmnt`: `fields.a` stays empty".to_owned(),
                format!("The account's deals have no field `{missing}`: `fields.b` stays empty"),
                "The account's deals have several fields `Twice`: `fields.c` stays empty; name one of them by its key"
                    .to_owned(),
            ]
        );
        assert_eq!(Property::from("Twice").key(&fields), None);
        assert_eq!(Property::from("arr"), Property::Own("arr".to_owned()));
    }
}
