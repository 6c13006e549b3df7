//! Which property fills which field, by default and by `[sources.x.fields]` (contract §9, product B2).

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use figment::value::Value;

use crate::settings::{Problem, Section};
use crate::sources::pipedrive::custom::{self, Fields, Property};
use crate::sources::source::Mapped;

/// The fields that a property fills, and which one unless the configuration names another. An empty one is not a
/// property's by default.
const FIELDS: [(&str, &str); 17] = [
    ("name", "title"),
    ("company", ""),
    ("stage", ""),
    ("value", "value"),
    ("probability", ""),
    ("owner", ""),
    ("created_at", "add_time"),
    ("updated_at", "update_time"),
    ("currency", "currency"),
    ("close_date", "expected_close_date"),
    ("closed_at", ""),
    ("stage_entered_at", "stage_change_time"),
    ("forecast_category", ""),
    ("last_activity_at", ""),
    ("next_activity_at", ""),
    ("deal_type", ""),
    ("lost_reason", "lost_reason"),
];

/// The fields that are Pipedrive's own and no property's.
const FIXED: [(&str, &str); 7] = [
    ("id", "id"),
    ("status", "status"),
    ("pipeline", "name of pipeline_id"),
    ("pipeline_id", "pipeline_id"),
    ("stage_id", "stage_id"),
    ("owner_id", "owner_id"),
    ("url", "company_domain, id"),
];

/// Where fields come from that need more than one property.
const ORIGINS: [(&str, &str); 5] = [
    ("company", "name of org_id"),
    ("stage", "name of stage_id"),
    ("probability", "won 1, lost 0, probability, else the stage's"),
    ("owner", "name of owner_id"),
    ("closed_at", "won_time or lost_time, else close_time"),
];

/// Beyond so many fields of the account's own the list cannot be asked for them alone (contract §3.1).
const MOST_KEYS: usize = 15;

/// How records become deals; `[sources.x.fields]`.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Field → property, for the fields that have one.
    pub(super) properties: BTreeMap<&'static str, Property>,
    /// Custom field → property.
    pub(super) custom: BTreeMap<String, Property>,
    /// What the configuration names: field and property.
    named: Vec<(String, Property)>,
    /// Where days are days.
    pub(super) zone: Tz,
}

impl Mapping {
    /// Reads the table; every key that is no field of a deal is a custom one.
    pub(super) fn read(table: Section, zone: Tz) -> Result<Self, Vec<Problem>> {
        let defaults = FIELDS.iter().filter(|(_, property)| !property.is_empty());
        let mut mapping = Self {
            properties: defaults.map(|(field, property)| (*field, Property::new(property))).collect(),
            custom: BTreeMap::new(),
            named: Vec::new(),
            zone,
        };
        let mut problems = Vec::new();
        for (field, value) in table.0 {
            if let Err(problem) = mapping.name(&field, &value) {
                problems.push(problem.under(&[&field]));
            }
        }
        if problems.is_empty() { Ok(mapping) } else { Err(problems) }
    }

    fn name(&mut self, field: &str, value: &Value) -> Result<(), Problem> {
        if FIXED.iter().any(|(fixed, _)| *fixed == field) || field == "custom" {
            return Err(Problem::at("", "is Pipedrive's own and no property's").hint("name a field of your own"));
        }
        let Some(text) = value.as_str().map(str::trim).filter(|text| !text.is_empty()) else {
            let problem = Problem::at("", "expected a field of Pipedrive's deals");
            return Err(
                problem.hint("its name as people see it, its key of 40 letters and digits, or a word such as `arr`")
            );
        };
        let property = Property::new(text);
        match FIELDS.iter().find(|(known, _)| *known == field) {
            Some((known, _)) => drop(self.properties.insert(known, property.clone())),
            None => drop(self.custom.insert(field.to_owned(), property.clone())),
        }
        self.named.push((field.to_owned(), property));
        Ok(())
    }

    /// The fields that the configuration names, with their properties.
    pub(super) fn named(&self) -> &[(String, Property)] {
        &self.named
    }

    /// Whether it names any field of the account's own.
    pub(super) fn needs_fields(&self) -> bool {
        self.named.iter().any(|(_, property)| property.needs_fields())
    }

    /// The keys of the account's own fields that are needed, joined by commas; nothing where all of them come anyway.
    pub(super) fn requested(&self, fields: &Fields) -> Option<String> {
        let keys: BTreeSet<&str> = self
            .named
            .iter()
            .filter_map(|(_, property)| property.key(fields))
            .filter(|key| custom::is_key(key))
            .collect();
        let fits = !keys.is_empty() && keys.len() <= MOST_KEYS;
        fits.then(|| keys.into_iter().collect::<Vec<_>>().join(","))
    }

    /// Whether the company is that of the organization, rather than a property's text.
    pub(super) fn wants_companies(&self) -> bool {
        !self.properties.contains_key("company")
    }

    /// Which field comes from where.
    pub(super) fn origins(&self) -> Vec<Mapped> {
        let mapped = |field: &str, from: &str| Mapped { field: field.to_owned(), from: from.to_owned() };
        let said = |field: &str| self.named.iter().find(|(named, _)| named == field).map(|(_, from)| from.shown());
        let composed = |field: &str| ORIGINS.iter().find(|(composed, _)| *composed == field).map(|(_, from)| *from);
        let from = |field: &str, usual: &'static str| match usual {
            "" => composed(field).unwrap_or("nothing, unless `fields` names it"),
            usual => usual,
        };
        let fields = FIELDS.iter().map(|(field, usual)| mapped(field, said(field).unwrap_or(from(field, usual))));
        let fixed = FIXED.iter().map(|(field, from)| mapped(field, from));
        let custom = self.custom.iter().map(|(field, from)| mapped(&format!("custom.{field}"), from.shown()));
        fields.chain(fixed).chain(custom).collect()
    }
}
