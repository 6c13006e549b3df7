//! Which property fills which field, by default and by `[sources.x.fields]`.

use std::collections::BTreeSet;

use figment::value::Value;

use crate::settings::Problem;
use crate::sources::values::field_map::{FieldMap, FieldTable};

/// The deal's company according to HubSpot.
pub(super) const PRIMARY_COMPANY: &str = "hs_primary_associated_company";
/// The deals that were merged into this one.
pub(super) const MERGED: &str = "hs_merged_object_ids";

/// Properties that every request needs.
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

/// The longest list of properties, in characters: an address holds about 8,000.
const MAX_PROPERTIES: usize = 6_000;

/// HubSpot's field table.
#[derive(Debug)]
pub(super) struct HubSpotFields;

pub(super) type Mapping = FieldMap<HubSpotFields>;

impl FieldTable for HubSpotFields {
    type Property = String;

    const CRM: &'static str = "HubSpot";
    const FIELDS: [(&'static str, &'static str, &'static str); 17] = [
        ("name", "dealname", ""),
        ("company", "", "name of the primary company"),
        ("stage", "", "label of dealstage"),
        ("value", "amount", ""),
        ("probability", "hs_deal_stage_probability", "hs_deal_stage_probability, else the stage's"),
        ("owner", "hubspot_owner_id", "name of hubspot_owner_id"),
        ("created_at", "", "createdAt, else createdate"),
        ("updated_at", "", "updatedAt, else hs_lastmodifieddate"),
        ("currency", "deal_currency_code", ""),
        ("close_date", "closedate", ""),
        ("closed_at", "closedate", ""),
        ("stage_entered_at", "hs_v2_date_entered_current_stage", ""),
        ("forecast_category", "hs_manual_forecast_category", ""),
        ("last_activity_at", "notes_last_updated", ""),
        ("next_activity_at", "notes_next_activity_date", ""),
        ("deal_type", "dealtype", ""),
        ("lost_reason", "closed_lost_reason", ""),
    ];
    const FIXED: [(&'static str, &'static str); 7] = [
        ("id", "id"),
        ("status", "hs_is_closed_won, hs_is_closed, else the stage"),
        ("pipeline", "label of pipeline"),
        ("pipeline_id", "pipeline"),
        ("stage_id", "dealstage"),
        ("owner_id", "hubspot_owner_id"),
        ("url", "url"),
    ];

    fn property(value: &Value) -> Result<String, Problem> {
        let is_property = |name: &&str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        value.as_str().filter(is_property).map(ToOwned::to_owned).ok_or_else(|| {
            let problem = Problem::at("", "expected the internal name of a property");
            problem.hint("lowercase letters, digits and `_`, as the property's settings show it")
        })
    }

    fn fits(map: &Mapping) -> bool {
        map.requested().len() <= MAX_PROPERTIES
    }
}

impl Mapping {
    /// Every requested property, joined by commas.
    pub(super) fn requested(&self) -> String {
        let all: BTreeSet<&str> =
            self.properties.values().chain(self.custom.values()).map(String::as_str).chain(ALWAYS).collect();
        all.into_iter().collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

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
