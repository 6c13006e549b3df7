//! The columns of the query: the mapping's, except those that the user may not read.
//!
//! An unreadable field drops its column and adds a warning.

use std::collections::HashMap;

use crate::sources::salesforce::api_name::OPPORTUNITY;
use crate::sources::salesforce::describe::{Described, Field};
use crate::sources::salesforce::errors::Named;
use crate::sources::salesforce::mapping::Mapping;
use crate::sources::source::SourceError;

/// Without these there is no deal.
const NEEDED: [&str; 3] = ["Id", "Name", "StageName"];
/// Columns that many organizations do not have; a missing one is not reported.
const OPTIONAL: [&str; 3] = ["CurrencyIsoCode", "RecordTypeId", "RecordType.Name"];
/// The names of parents. Their objects are not described, so only the query shows whether they are readable.
const PARENTS: [(&str, &str); 3] =
    [("Account.Name", "Account"), ("Owner.Name", "Owner"), ("RecordType.Name", "RecordType")];

/// Whether `path` is the name of a parent, for which that parent is not described.
pub(super) fn is_name_of_parent(path: &str) -> bool {
    PARENTS.iter().any(|(parent, _)| path.eq_ignore_ascii_case(parent))
}

/// The columns, in the order they are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    fields: Vec<Field>,
    /// By path in lowercase.
    places: HashMap<String, usize>,
}

impl Columns {
    /// The readable columns of `mapping`, and a warning for each of the others.
    pub(super) fn choose(mapping: &Mapping, described: &Described) -> Result<(Self, Vec<String>), SourceError> {
        let (mut columns, mut warnings) = (Self::default(), Vec::new());
        for path in mapping.paths() {
            let parent = PARENTS.iter().find(|(parent, _)| path.eq_ignore_ascii_case(parent));
            let field = match parent {
                Some((_, relationship)) => described.name_of(relationship),
                None => described.field(path),
            };
            match field {
                Some(field) => columns.add(field),
                None if NEEDED.contains(&path) => return Err(needed(path)),
                None if OPTIONAL.contains(&path) && !mapping.names(path) => {}
                None => warnings.push(lost(path, mapping)),
            }
        }
        Ok((columns, warnings))
    }

    fn add(&mut self, field: Field) {
        let place = self.fields.len();
        self.places.insert(field.path.to_ascii_lowercase(), place);
        self.fields.push(field);
    }

    /// Removes the columns that the CRM refused; returns a warning for each.
    pub(super) fn refuse(&mut self, refused: &Named, mapping: &Mapping) -> Result<Vec<String>, SourceError> {
        let (meant, kept): (Vec<Field>, Vec<Field>) =
            std::mem::take(&mut self.fields).into_iter().partition(|field| is_meant(field, refused));
        self.places.clear();
        for field in kept {
            self.add(field);
        }
        if let Some(field) = meant.iter().find(|field| NEEDED.contains(&field.path.as_str())) {
            return Err(needed(&field.path));
        }
        Ok(meant.iter().map(|field| lost(&field.path, mapping)).collect())
    }

    /// The position of a field in each row; `None` if it cannot be read.
    pub(super) fn place(&self, path: &str) -> Option<usize> {
        self.places.get(&path.to_ascii_lowercase()).copied()
    }

    /// The fields, in the order of the columns.
    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Whether the organization has several currencies: then, and only then, deals name theirs.
    pub(super) fn has_currencies(&self) -> bool {
        self.place("CurrencyIsoCode").is_some()
    }

    /// Whether a deal says that it is in the recycle bin: where none does, that bin must not be asked.
    pub(super) fn tell_deleted(&self) -> bool {
        self.place("IsDeleted").is_some()
    }

    /// The columns as SOQL lists them.
    pub(super) fn list(&self) -> String {
        self.fields.iter().map(|field| field.path.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// Whether the CRM's refusal means this column: a field of the named object, or one behind a relationship.
fn is_meant(field: &Field, Named { name, object }: &Named) -> bool {
    let is_name = |step: &str| step.eq_ignore_ascii_case(name);
    let Some(object) = object else { return field.path.split('.').any(is_name) };
    // A relationship to one of several objects can mean any object except the deal.
    let is_there = match &field.object {
        Some(own) => own.eq_ignore_ascii_case(object),
        None => !object.eq_ignore_ascii_case(OPPORTUNITY),
    };
    let whole = object.eq_ignore_ascii_case(OPPORTUNITY) && is_name(&field.path);
    whole || (is_there && field.path.rsplit('.').next().is_some_and(is_name))
}

fn needed(path: &str) -> SourceError {
    SourceError::Forbidden { status: 200, lacking: vec![format!("to read `Opportunity.{path}`")] }
}

/// The warning for a column that cannot be read.
fn lost(path: &str, mapping: &Mapping) -> String {
    let fields: Vec<String> = mapping.fed_by(path).iter().map(|field| format!("`{field}`")).collect();
    let lost = match &fields[..] {
        [] => "it is done without".to_owned(),
        [one] => format!("{one} stays empty"),
        several => format!("{} stay empty", several.join(", ")),
    };
    format!("The user may not read `{path}` of the deals, or there is no such field: {lost}")
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::settings::section;
    use crate::sources::salesforce::describe::Kind;

    fn mapping(toml: &str) -> Mapping {
        Mapping::read(section(toml), Tz::UTC).unwrap()
    }

    const ALL: [(&str, &str); 13] = [
        ("Id", "id"),
        ("Name", "string"),
        ("StageName", "picklist"),
        ("Probability", "percent"),
        ("CreatedDate", "datetime"),
        ("LastModifiedDate", "datetime"),
        ("IsClosed", "boolean"),
        ("IsWon", "boolean"),
        ("IsDeleted", "boolean"),
        ("CloseDate", "date"),
        ("OwnerId", "reference"),
        ("AccountId", "reference"),
        ("LastStageChangeDate", "datetime"),
    ];

    #[test]
    fn a_hidden_field_costs_its_column_and_says_so() {
        let (columns, warnings) = Columns::choose(&mapping("segment = 'Segment__c'"), &Described::of(&ALL)).unwrap();
        assert!(columns.place("probability").is_some() && columns.place("Amount").is_none());
        let told = |part: &str| warnings.iter().filter(|warning| warning.contains(part)).count();
        assert_eq!(told("`Amount` of the deals, or there is no such field: `value` stays empty"), 1, "{warnings:?}");
        assert_eq!(told("`custom.segment` stays empty"), 1, "{warnings:?}");
        assert_eq!((told("CurrencyIsoCode"), told("RecordType")), (0, 0), "no organization needs those");
        assert!(!columns.has_currencies());
    }

    #[test]
    fn without_id_name_or_stage_there_is_no_deal() {
        for needed in NEEDED {
            let fields: Vec<(&str, &str)> = ALL.into_iter().filter(|(name, _)| *name != needed).collect();
            let error = Columns::choose(&mapping(""), &Described::of(&fields)).unwrap_err();
            assert!(error.to_string().ends_with(&format!("it needs to read `Opportunity.{needed}`")), "{error}");
        }
    }

    #[test]
    fn what_the_crm_refuses_by_name_is_taken_out_with_all_that_is_behind_it() {
        for (name, object) in [("account", None), ("Name", Some("Account"))] {
            let mut columns = with_account("Name");
            let before = columns.fields().len();
            let lost = columns.refuse(&named(name, object), &mapping("")).unwrap();
            assert!(lost[0].contains("`company` stays empty"), "{lost:?}");
            assert_eq!((columns.fields().len(), columns.place("Account.Name")), (before - 1, None));
            let place = columns.fields().iter().position(|field| field.path == "StageName");
            assert_eq!(columns.place("StageName"), place);
            assert!(columns.refuse(&named("StageName", Some("Opportunity")), &mapping("")).is_err());
        }
    }

    #[test]
    fn a_field_of_a_parent_that_is_refused_costs_none_of_the_same_name() {
        let mut columns = with_account("Probability");
        columns.refuse(&named("Probability", Some("Account")), &mapping("")).unwrap();
        assert!(columns.place("Probability").is_some() && columns.place("Account.Probability").is_none());
        let mut columns = with_account("Probability");
        columns.refuse(&named("Probability", Some("Opportunity")), &mapping("")).unwrap();
        assert!(columns.place("Probability").is_none() && columns.place("Account.Probability").is_some());
    }

    fn with_account(field: &str) -> Columns {
        let (mut columns, _) = Columns::choose(&mapping(""), &Described::of(&ALL)).unwrap();
        columns.add(Field { path: format!("Account.{field}"), kind: Kind::Text, object: Some("Account".to_owned()) });
        columns
    }

    fn named(name: &str, object: Option<&str>) -> Named {
        Named { name: name.to_owned(), object: object.map(ToOwned::to_owned) }
    }
}
