//! What the running user may read: a field that is hidden from him is not described, and one that was never there
//! neither.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::sources::answer::part;
use crate::sources::salesforce::api_name::OPPORTUNITY;
use crate::sources::salesforce::client::Client;
use crate::sources::salesforce::id::long;
use crate::sources::source::SourceError;

/// The longest way from one object to another (SOQL's own limit).
const MAX_STEPS: usize = 5;

/// What a field holds, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    /// A number of which 100 is the whole.
    Percent,
    Truth,
    Day,
    Instant,
    /// Text that no filter can be written for: compound, encrypted or binary ones.
    Opaque,
}

impl Kind {
    fn of(word: &str) -> Self {
        match word {
            "currency" | "double" | "int" | "long" => Self::Number,
            "percent" => Self::Percent,
            "boolean" => Self::Truth,
            "date" => Self::Day,
            "datetime" => Self::Instant,
            "address" | "location" | "base64" | "encryptedstring" | "complexvalue" | "anyType" | "time" => Self::Opaque,
            _ => Self::Text,
        }
    }
}

/// A field that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// The way to it in the letters of the CRM, as `Account.Industry`.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// The object whose field it is; nothing where the way leads to one of several.
    pub(super) object: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    fields: Vec<AnswerField>,
    #[serde(default)]
    record_type_infos: Vec<RecordType>,
}

/// A record type: what Salesforce has for pipelines.
#[derive(Deserialize)]
struct RecordType {
    #[serde(rename = "recordTypeId")]
    id: String,
    name: String,
    /// The one of the deals that have none.
    #[serde(default)]
    master: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerField {
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    relationship_name: Option<String>,
    #[serde(default)]
    reference_to: Vec<String>,
}

/// One object's fields, by their names in lowercase: SOQL does not tell capitals either.
#[derive(Debug)]
struct Object {
    fields: HashMap<String, (String, Kind)>,
    /// A relationship's name, and the object it leads to.
    relationships: HashMap<String, (String, Option<String>)>,
}

/// The objects that were described, the deals' own first.
#[derive(Debug)]
pub(super) struct Described {
    objects: BTreeMap<String, Object>,
    /// The names of the record types by id.
    record_types: BTreeMap<String, String>,
}

impl Described {
    /// Describes the deals, and what other objects `paths` lead through.
    pub(super) async fn ask<'a>(
        client: &Client,
        paths: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Self, SourceError> {
        let answer = describe(client, OPPORTUNITY).await?;
        let record_types = answer.record_type_infos.iter().filter(|one| !one.master);
        let record_types = record_types.map(|one| (long(&one.id), one.name.clone())).collect();
        let mut described = Self { objects: BTreeMap::new(), record_types };
        described.objects.insert(OPPORTUNITY.to_owned(), Object::from(answer));
        while let Some(object) = paths.clone().find_map(|path| described.lacks(path)) {
            let known = match describe(client, &object).await {
                Ok(answer) => Object::from(answer),
                // An object that may not be read has no fields.
                Err(error)
                    if matches!(
                        error.root(),
                        SourceError::Unexpected { status: 404, .. } | SourceError::Forbidden { .. }
                    ) =>
                {
                    Object { fields: HashMap::new(), relationships: HashMap::new() }
                }
                Err(error) => return Err(error),
            };
            described.objects.insert(object, known);
        }
        Ok(described)
    }

    /// The names of the record types by id; none in many organizations.
    pub(super) fn record_types(self) -> BTreeMap<String, String> {
        self.record_types
    }

    /// The object on the way of `path` that is not described yet.
    fn lacks(&self, path: &str) -> Option<String> {
        let mut object = OPPORTUNITY;
        let mut steps: Vec<&str> = path.split('.').collect();
        steps.pop();
        for step in steps.into_iter().take(MAX_STEPS) {
            let (_, target) = self.objects.get(object)?.relationships.get(&step.to_ascii_lowercase())?;
            object = target.as_deref()?;
            if !self.objects.contains_key(object) {
                return Some(object.to_owned());
            }
        }
        None
    }

    /// The field at the end of `path`, if it may be read.
    pub(super) fn field(&self, path: &str) -> Option<Field> {
        let (mut object, mut written) = (OPPORTUNITY, String::new());
        let mut steps: Vec<&str> = path.split('.').collect();
        let last = steps.pop()?;
        for step in steps {
            let (name, target) = self.objects.get(object)?.relationships.get(&step.to_ascii_lowercase())?;
            written.push_str(name);
            written.push('.');
            object = target.as_deref()?;
        }
        let (name, kind) = self.objects.get(object)?.fields.get(&last.to_ascii_lowercase())?;
        Some(Field { path: written + name, kind: *kind, object: Some(object.to_owned()) })
    }

    /// The name of a parent, if the deals lead to one: whether the parent may be read is only known when it is asked for.
    pub(super) fn name_of(&self, relationship: &str) -> Option<Field> {
        let own = self.objects.get(OPPORTUNITY)?;
        let (name, object) = own.relationships.get(&relationship.to_ascii_lowercase())?;
        Some(Field { path: format!("{name}.Name"), kind: Kind::Text, object: object.clone() })
    }
}

impl From<Answer> for Object {
    fn from(answer: Answer) -> Self {
        let relationships = answer.fields.iter().filter_map(|field| {
            let name = field.relationship_name.clone()?;
            // One that leads to several objects has only what they share.
            let target = if let [one] = &field.reference_to[..] { Some(one.clone()) } else { None };
            Some((name.to_ascii_lowercase(), (name, target)))
        });
        Self {
            relationships: relationships.collect(),
            fields: answer
                .fields
                .into_iter()
                .map(|field| (field.name.to_ascii_lowercase(), (field.name, Kind::of(&field.kind))))
                .collect(),
        }
    }
}

#[cfg(test)]
impl Described {
    /// Deals with these fields, by name and type.
    pub(super) fn of(fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, kind)| ((*name).to_owned(), *kind));
        let fields = fields.map(|(name, kind)| (name.to_ascii_lowercase(), (name, Kind::of(kind)))).collect();
        let deals = Object { fields, relationships: HashMap::new() };
        Self { objects: [(OPPORTUNITY.to_owned(), deals)].into(), record_types: BTreeMap::new() }
    }
}

async fn describe(client: &Client, object: &str) -> Result<Answer, SourceError> {
    client.get(&client.path(&format!("sobjects/{object}/describe"))).await.map_err(part("read which fields there are"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> Described {
        let deals = r#"{"fields": [{"name": "Amount", "type": "currency"}, {"name": "Name", "type": "string"},
            {"name": "AccountId", "type": "reference", "relationshipName": "Account", "referenceTo": ["Account"]},
            {"name": "WhoId", "type": "reference", "relationshipName": "Who", "referenceTo": ["Contact", "Lead"]}]}"#;
        let accounts = r#"{"fields": [{"name": "Industry", "type": "picklist"}]}"#;
        let object = |json: &str| Object::from(serde_json::from_str::<Answer>(json).unwrap());
        let objects = [(OPPORTUNITY.to_owned(), object(deals)), ("Account".to_owned(), object(accounts))];
        Described { objects: objects.into(), record_types: BTreeMap::new() }
    }

    #[test]
    fn a_field_is_found_in_any_letters_and_through_its_parents() {
        let described = described();
        let path = |path: &str| described.field(path).map(|field| field.path);
        assert_eq!(path("amount").as_deref(), Some("Amount"));
        assert_eq!(path("account.industry").as_deref(), Some("Account.Industry"));
        for hidden in ["Secret__c", "Account.Secret__c", "Owner.Name", "Who.Name", "", "Account.", "Amount.Name"] {
            assert_eq!(path(hidden), None, "{hidden}");
        }
        assert_eq!(described.name_of("account").map(|field| field.path).as_deref(), Some("Account.Name"));
        assert_eq!(described.name_of("Owner"), None);
    }

    #[test]
    fn only_objects_on_the_way_are_described_and_each_once() {
        let mut described = described();
        assert_eq!(described.lacks("Account.Industry"), None);
        assert_eq!(described.lacks("Amount"), None);
        assert_eq!(described.lacks("Nobody.Name"), None, "no such relationship");
        described.objects.remove("Account");
        assert_eq!(described.lacks("Account.Industry").as_deref(), Some("Account"));
    }
}
