//! Which property fills which field, by default and by `[sources.x.fields]`.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use figment::value::Value;

use crate::settings::{Problem, Section};
use crate::sources::source::Mapped;

/// The company that HubSpot itself takes for the deal's.
pub(super) const PRIMARY_COMPANY: &str = "hs_primary_associated_company";
/// The deals that a merged one absorbed.
pub(super) const MERGED: &str = "hs_merged_object_ids";

/// The fields that a property fills, and which one unless the configuration names another. `None`: no
/// property's by default.
const FIELDS: [(&str, Option<&str>); 17] = [
    ("name", Some("dealname")),
    ("company", None),
    ("stage", None),
    ("value", Some("amount")),
    ("probability", Some("hs_deal_stage_probability")),
    ("owner", Some("hubspot_owner_id")),
    ("created_at", None),
    ("updated_at", None),
    ("currency", Some("deal_currency_code")),
    ("close_date", Some("closedate")),
    ("closed_at", Some("closedate")),
    ("stage_entered_at", Some("hs_v2_date_entered_current_stage")),
    ("forecast_category", Some("hs_manual_forecast_category")),
    ("last_activity_at", Some("notes_last_updated")),
    ("next_activity_at", Some("notes_next_activity_date")),
    ("deal_type", Some("dealtype")),
    ("lost_reason", Some("closed_lost_reason")),
];

/// The fields that are HubSpot's own and no property's.
const FIXED: [(&str, &str); 7] = [
    ("id", "id"),
    ("status", "hs_is_closed_won, hs_is_closed, else the stage"),
    ("pipeline", "label of pipeline"),
    ("pipeline_id", "pipeline"),
    ("stage_id", "dealstage"),
    ("owner_id", "hubspot_owner_id"),
    ("url", "url"),
];

/// Where fields come from that need more than one property.
const ORIGINS: [(&str, &str); 6] = [
    ("company", "name of the primary company"),
    ("stage", "label of dealstage"),
    ("probability", "hs_deal_stage_probability, else the stage's"),
    ("owner", "name of hubspot_owner_id"),
    ("created_at", "createdAt, else createdate"),
    ("updated_at", "updatedAt, else hs_lastmodifieddate"),
];

/// Properties that are read whatever the configuration names.
const ALWAYS: [&str; 9] = [
    "createdate",
    "dealstage",
    "hs_is_closed",
    "hs_is_closed_won",
    "hs_lastmodifieddate",
    MERGED,
    PRIMARY_COMPANY,
    "hubspot_owner_id",
    "pipeline",
];

/// The longest list of properties that is asked for: an address holds about 8,000 characters.
const MAX_PROPERTIES: usize = 6_000;

/// How records become deals; `[sources.x.fields]`.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Field → property, for the fields that have one.
    pub(super) properties: BTreeMap<&'static str, String>,
    /// Custom field → property.
    pub(super) custom: BTreeMap<String, String>,
    /// What the configuration names: field and property.
    named: Vec<(String, String)>,
    /// Where days are days.
    pub(super) zone: Tz,
}

impl Mapping {
    /// Reads the table; a key that is not a field of a deal becomes a custom field.
    pub(super) fn read(table: Section, zone: Tz) -> Result<Self, Vec<Problem>> {
        let defaults = FIELDS.iter().filter_map(|(field, property)| Some((*field, (*property)?.to_owned())));
        let mut mapping = Self { properties: defaults.collect(), custom: BTreeMap::new(), named: Vec::new(), zone };
        let mut problems = Vec::new();
        for (field, value) in table.0 {
            if let Err(problem) = mapping.name(&field, &value) {
                problems.push(problem.under(&[&field]));
            }
        }
        if mapping.requested().len() > MAX_PROPERTIES {
            problems.push(Problem::at("", "names more properties than one request holds"));
        }
        if problems.is_empty() { Ok(mapping) } else { Err(problems) }
    }

    fn name(&mut self, field: &str, value: &Value) -> Result<(), Problem> {
        if FIXED.iter().any(|(fixed, _)| *fixed == field) || field == "custom" {
            return Err(Problem::at("", "is HubSpot's own and no property's").hint("name a field of your own"));
        }
        let is_property = |name: &&str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        let Some(property) = value.as_str().filter(is_property) else {
            let problem = Problem::at("", "expected the internal name of a property");
            return Err(problem.hint("lowercase letters, digits and `_`, as the property's settings show it"));
        };
        match FIELDS.iter().find(|(known, _)| *known == field) {
            Some((known, _)) => drop(self.properties.insert(known, property.to_owned())),
            None => drop(self.custom.insert(field.to_owned(), property.to_owned())),
        }
        self.named.push((field.to_owned(), property.to_owned()));
        Ok(())
    }

    /// The fields that the configuration names, with their properties.
    pub(super) fn named(&self) -> &[(String, String)] {
        &self.named
    }

    /// Every property that is asked for, joined by commas.
    pub(super) fn requested(&self) -> String {
        let all: BTreeSet<&str> =
            self.properties.values().chain(self.custom.values()).map(String::as_str).chain(ALWAYS).collect();
        all.into_iter().collect::<Vec<_>>().join(",")
    }

    /// Whether the company is that of an association, rather than a property's text.
    pub(super) fn wants_companies(&self) -> bool {
        !self.properties.contains_key("company")
    }

    /// Which field comes from where.
    pub(super) fn origins(&self) -> Vec<Mapped> {
        let mapped = |field: &str, from: &str| Mapped { field: field.to_owned(), from: from.to_owned() };
        let said =
            |field: &str| self.named.iter().find(|(named, _)| named == field).map(|(_, property)| property.as_str());
        let composed = |field: &str| ORIGINS.iter().find(|(composed, _)| *composed == field).map(|(_, from)| *from);
        let fields = FIELDS.iter().map(|(field, property)| {
            mapped(field, said(field).or_else(|| composed(field)).or(*property).unwrap_or(""))
        });
        let fixed = FIXED.iter().map(|(field, from)| mapped(field, from));
        let custom = self.custom.iter().map(|(field, property)| mapped(&format!("custom.{field}"), property));
        fields.chain(fixed).chain(custom).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    #[test]
    fn a_field_that_is_hubspots_own_or_a_name_that_is_not_a_property_is_a_problem() {
        let toml = "id = 'x'\nstatus = 'x'\ncustom = 'x'\nsegment = 'Industry Segment'\nseats = 7\nok = 'ok'";
        let problems = Mapping::read(section(toml), Tz::UTC).unwrap_err();
        let places: Vec<String> = problems.iter().map(|problem| problem.path.join(".")).collect();
        assert_eq!(places, ["custom", "id", "seats", "segment", "status"]);
        let many: Vec<String> =
            (0..200).map(|number| format!("f{number} = 'a_rather_long_property_name_{number}'")).collect();
        assert_eq!(Mapping::read(section(&many.join("\n")), Tz::UTC).unwrap_err().len(), 1);
    }
}
