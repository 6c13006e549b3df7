//! Which column fills which field, by default and by `[sources.x.fields]`.

use std::collections::HashSet;

use figment::value::Value;

use crate::settings::Problem;
use crate::sources::salesforce::api_name::is_path;
use crate::sources::values::field_map::{FieldMap, FieldTable};

/// Columns that every query needs, and the fields that they fill.
const ALWAYS: [(&str, &str); 12] = [
    ("Id", "id"),
    ("Name", "name"),
    ("StageName", "stage"),
    ("AccountId", ""),
    ("OwnerId", "owner_id"),
    ("IsClosed", ""),
    ("IsWon", ""),
    ("IsDeleted", ""),
    ("CloseDate", "closed_at"),
    ("LastStageChangeDate", "closed_at"),
    ("RecordTypeId", "pipeline_id"),
    ("RecordType.Name", "pipeline"),
];

/// The longest list of columns: a query holds 100,000 characters, and filters need some of them.
const MAX_COLUMNS: usize = 50_000;

/// Salesforce's field table.
#[derive(Debug)]
pub(super) struct SalesforceFields;

pub(super) type Mapping = FieldMap<SalesforceFields>;

impl FieldTable for SalesforceFields {
    type Property = String;

    const CRM: &'static str = "Salesforce";
    const FIELDS: [(&'static str, &'static str, &'static str); 17] = [
        ("name", "Name", ""),
        ("company", "Account.Name", ""),
        ("stage", "", "label of StageName"),
        ("value", "Amount", ""),
        ("probability", "Probability", "Probability / 100"),
        ("owner", "Owner.Name", ""),
        ("created_at", "CreatedDate", ""),
        ("updated_at", "LastModifiedDate", ""),
        ("currency", "CurrencyIsoCode", ""),
        ("close_date", "CloseDate", ""),
        ("closed_at", "", "LastStageChangeDate, else CloseDate"),
        ("stage_entered_at", "LastStageChangeDate", ""),
        ("forecast_category", "ForecastCategoryName", ""),
        ("last_activity_at", "LastActivityDate", ""),
        ("next_activity_at", "", "nothing"),
        ("deal_type", "Type", ""),
        ("lost_reason", "", "nothing"),
    ];
    const FIXED: [(&'static str, &'static str); 7] = [
        ("id", "Id"),
        ("status", "IsWon, IsClosed, else the stage"),
        ("pipeline", "RecordType.Name"),
        ("pipeline_id", "RecordTypeId"),
        ("stage_id", "StageName"),
        ("owner_id", "OwnerId"),
        ("url", "Id"),
    ];

    fn property(value: &Value) -> Result<String, Problem> {
        value.as_str().filter(|path| is_path(path)).map(ToOwned::to_owned).ok_or_else(|| {
            let problem = Problem::at("", "expected the API name of a field");
            problem.hint("as in `ARR__c`, or through a parent as in `Account.Industry`")
        })
    }

    fn fits(map: &Mapping) -> bool {
        map.paths().iter().map(|path| path.len() + 2).sum::<usize>() <= MAX_COLUMNS
    }
}

impl Mapping {
    /// Every column that is wanted, once.
    pub(super) fn paths(&self) -> Vec<&str> {
        let mut paths = Vec::new();
        let mut seen = HashSet::new();
        let mapped = self.properties.values().chain(self.custom.values()).map(String::as_str);
        for path in ALWAYS.iter().map(|(path, _)| *path).chain(mapped) {
            if seen.insert(path.to_ascii_lowercase()) {
                paths.push(path);
            }
        }
        paths
    }

    /// Whether the configuration names a column.
    pub(super) fn names(&self, path: &str) -> bool {
        self.named.iter().any(|(_, named)| named.eq_ignore_ascii_case(path))
    }

    /// The fields that a column fills.
    pub(super) fn fed_by(&self, path: &str) -> Vec<String> {
        let mut fields = Vec::new();
        for (field, own) in &self.properties {
            if own.eq_ignore_ascii_case(path) {
                fields.push((*field).to_owned());
            }
        }
        for (own, field) in ALWAYS {
            if own.eq_ignore_ascii_case(path) && !field.is_empty() && !self.properties.contains_key(field) {
                fields.push(field.to_owned());
            }
        }
        for (field, own) in &self.custom {
            if own.eq_ignore_ascii_case(path) {
                fields.push(format!("custom.{field}"));
            }
        }
        fields
    }
}
