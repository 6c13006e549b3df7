//! Which property fills which field, by default and by `[sources.x.fields]`.

use std::collections::BTreeSet;

use figment::value::Value;

use crate::settings::Problem;
use crate::sources::pipedrive::custom::{self, Fields, Property};
use crate::sources::values::field_map::{FieldMap, FieldTable};

/// The most custom fields that the list of deals can be limited to.
const MAX_KEYS: usize = 15;

const UNMAPPED: &str = "nothing, unless `fields` names it";

/// Pipedrive's field table.
#[derive(Debug)]
pub(super) struct PipedriveFields;

pub(super) type Mapping = FieldMap<PipedriveFields>;

impl FieldTable for PipedriveFields {
    type Property = Property;

    const CRM: &'static str = "Pipedrive";
    const FIELDS: [(&'static str, &'static str, &'static str); 17] = [
        ("name", "title", ""),
        ("company", "", "name of org_id"),
        ("stage", "", "name of stage_id"),
        ("value", "value", ""),
        ("probability", "", "won 1, lost 0, probability, else the stage's"),
        ("owner", "", "name of owner_id"),
        ("created_at", "add_time", ""),
        ("updated_at", "update_time", ""),
        ("currency", "currency", ""),
        ("close_date", "expected_close_date", ""),
        ("closed_at", "", "won_time or lost_time, else close_time"),
        ("stage_entered_at", "stage_change_time", ""),
        ("forecast_category", "", UNMAPPED),
        ("last_activity_at", "", UNMAPPED),
        ("next_activity_at", "", UNMAPPED),
        ("deal_type", "", UNMAPPED),
        ("lost_reason", "lost_reason", ""),
    ];
    const FIXED: [(&'static str, &'static str); 7] = [
        ("id", "id"),
        ("status", "status"),
        ("pipeline", "name of pipeline_id"),
        ("pipeline_id", "pipeline_id"),
        ("stage_id", "stage_id"),
        ("owner_id", "owner_id"),
        ("url", "company_domain, id"),
    ];

    fn property(value: &Value) -> Result<Property, Problem> {
        match value.as_str().map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => Ok(text.into()),
            None => Err(Problem::at("", "expected a field of Pipedrive's deals")
                .hint("its name as people see it, its key of 40 letters and digits, or a word such as `arr`")),
        }
    }
}

impl Mapping {
    /// Whether the configuration names any custom field of the account.
    pub(super) fn needs_fields(&self) -> bool {
        self.named.iter().any(|(_, property)| property.needs_fields())
    }

    /// The keys of the custom fields to request, joined by commas; `None` if the list sends all of them anyway.
    pub(super) fn requested(&self, fields: &Fields) -> Option<String> {
        let keys: BTreeSet<&str> = self
            .named
            .iter()
            .filter_map(|(_, property)| property.key(fields))
            .filter(|key| custom::is_key(key))
            .collect();
        let fits = !keys.is_empty() && keys.len() <= MAX_KEYS;
        fits.then(|| keys.into_iter().collect::<Vec<_>>().join(","))
    }
}
