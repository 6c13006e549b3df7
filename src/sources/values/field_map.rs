//! Which property of a built-in CRM fills which field: its usual one, or the one that `[sources.x.fields]` names.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use figment::value::Value;
use serde_json::value::RawValue;

use crate::model::deal::Deal;
use crate::settings::{Problem, Section};
use crate::sources::source::Mapped;

/// The field table of a built-in CRM.
pub(crate) trait FieldTable: Sized {
    type Property: Clone + AsRef<str> + for<'a> From<&'a str>;

    /// The CRM's name.
    const CRM: &'static str;
    /// The fields that a property fills: the name, the usual property or "", and where the value comes from if that is
    /// more than the usual property.
    const FIELDS: [(&'static str, &'static str, &'static str); 17];
    /// The fields that cannot be mapped, and where they come from.
    const FIXED: [(&'static str, &'static str); 7];

    /// The property that a value of the configuration names.
    fn property(value: &Value) -> Result<Self::Property, Problem>;

    /// Whether all properties fit into one request.
    fn fits(_map: &FieldMap<Self>) -> bool {
        true
    }
}

/// How records become deals.
#[derive(Debug)]
pub(crate) struct FieldMap<T: FieldTable> {
    /// Field → property, for the fields that have one.
    pub(crate) properties: BTreeMap<&'static str, T::Property>,
    /// Custom field → property.
    pub(crate) custom: BTreeMap<String, T::Property>,
    /// The fields that the configuration names, with their properties.
    pub(crate) named: Vec<(String, T::Property)>,
    /// The zone of days.
    pub(crate) zone: Tz,
}

impl<T: FieldTable> FieldMap<T> {
    /// Reads the table; a key that is not a field of a deal becomes a custom field.
    pub(crate) fn read(table: Section, zone: Tz) -> Result<Self, Vec<Problem>> {
        let mut map = Self { properties: BTreeMap::new(), custom: BTreeMap::new(), named: Vec::new(), zone };
        for (field, usual, _) in T::FIELDS {
            if !usual.is_empty() {
                map.properties.insert(field, usual.into());
            }
        }
        let mut problems = Vec::new();
        for (field, value) in table.0 {
            if let Err(problem) = map.add(&field, &value) {
                problems.push(problem.under(&[&field]));
            }
        }
        if !T::fits(&map) {
            problems.push(Problem::at("", "names more properties than one request holds"));
        }
        if problems.is_empty() { Ok(map) } else { Err(problems) }
    }

    fn add(&mut self, field: &str, value: &Value) -> Result<(), Problem> {
        if T::FIXED.iter().any(|(fixed, _)| *fixed == field) || field == "custom" {
            let problem = Problem::at("", format!("is set by {} and cannot be mapped", T::CRM));
            return Err(problem.hint("give a custom field another name"));
        }
        let property = T::property(value)?;
        match T::FIELDS.iter().find(|(known, ..)| *known == field) {
            Some((known, ..)) => drop(self.properties.insert(known, property.clone())),
            None => drop(self.custom.insert(field.to_owned(), property.clone())),
        }
        self.named.push((field.to_owned(), property));
        Ok(())
    }

    /// The property that the configuration names for a field.
    pub(crate) fn named(&self, field: &str) -> Option<&T::Property> {
        self.named.iter().find(|(named, _)| named == field).map(|(_, property)| property)
    }

    /// Whether the company is looked up, rather than copied from a text property.
    pub(crate) fn wants_companies(&self) -> bool {
        !self.properties.contains_key("company")
    }

    /// Where each field comes from.
    pub(crate) fn origins(&self) -> Vec<Mapped> {
        let mut origins = Vec::new();
        let mut add = |field: &str, from: &str| origins.push(Mapped { field: field.to_owned(), from: from.to_owned() });
        for (field, usual, composed) in T::FIELDS {
            let usual = if composed.is_empty() { usual } else { composed };
            add(field, self.named(field).map_or(usual, AsRef::as_ref));
        }
        for (field, from) in T::FIXED {
            add(field, from);
        }
        for (field, property) in &self.custom {
            add(&format!("custom.{field}"), property.as_ref());
        }
        origins
    }

    /// Fills the custom fields; one without a value is null.
    pub(crate) fn fill_custom(
        &self,
        deal: &mut Deal,
        mut read: impl FnMut(&T::Property, &str) -> Option<Box<RawValue>>,
    ) {
        for (field, property) in &self.custom {
            let value = read(property, &format!("custom.{field}"));
            deal.custom.insert(field.clone(), value.unwrap_or_else(|| RawValue::NULL.to_owned()));
        }
    }
}
