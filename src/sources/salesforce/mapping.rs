//! Which column fills which field, by default and by `[sources.x.fields]` (contract §6, product B2).

use std::collections::BTreeMap;

use chrono_tz::Tz;
use figment::value::Value;

use crate::settings::{Problem, Section};
use crate::sources::salesforce::api_name::is_path;
use crate::sources::source::Mapped;

/// The fields that a column fills, and which one unless the configuration names another. An empty one has none.
const FIELDS: [(&str, &str); 17] = [
    ("name", "Name"),
    ("company", "Account.Name"),
    ("stage", ""),
    ("value", "Amount"),
    ("probability", "Probability"),
    ("owner", "Owner.Name"),
    ("created_at", "CreatedDate"),
    ("updated_at", "LastModifiedDate"),
    ("currency", "CurrencyIsoCode"),
    ("close_date", "CloseDate"),
    ("closed_at", ""),
    ("stage_entered_at", "LastStageChangeDate"),
    ("forecast_category", "ForecastCategoryName"),
    ("last_activity_at", "LastActivityDate"),
    ("next_activity_at", ""),
    ("deal_type", "Type"),
    ("lost_reason", ""),
];

/// The fields that are Salesforce's own and no column's.
const FIXED: [(&str, &str); 7] = [
    ("id", "Id"),
    ("status", "IsWon, IsClosed, else the stage"),
    ("pipeline", "RecordType.Name"),
    ("pipeline_id", "RecordTypeId"),
    ("stage_id", "StageName"),
    ("owner_id", "OwnerId"),
    ("url", "Id"),
];

/// Where fields come from that need more than one column, or that Salesforce has none for.
const ORIGINS: [(&str, &str); 5] = [
    ("stage", "label of StageName"),
    ("probability", "Probability / 100"),
    ("closed_at", "LastStageChangeDate, else CloseDate"),
    ("next_activity_at", "nothing"),
    ("lost_reason", "nothing"),
];

/// Columns that are read whatever the configuration names, and the fields that need them.
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

/// How rows become deals; `[sources.x.fields]`.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Field → the way to its column, for the fields that have one.
    pub(super) paths: BTreeMap<&'static str, String>,
    /// Custom field → the way to its column.
    pub(super) custom: BTreeMap<String, String>,
    /// What the configuration names: field and column.
    named: Vec<(String, String)>,
    /// Where days are days.
    pub(super) zone: Tz,
}

impl Mapping {
    /// Reads the table; every key that is no field of a deal is a custom one.
    pub(super) fn read(table: Section, zone: Tz) -> Result<Self, Vec<Problem>> {
        let defaults = FIELDS.iter().filter(|(_, path)| !path.is_empty());
        let mut mapping = Self {
            paths: defaults.map(|(field, path)| (*field, (*path).to_owned())).collect(),
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
        if mapping.paths().map(|path| path.len() + 2).sum::<usize>() > MAX_COLUMNS {
            problems.push(Problem::at("", "names more fields than one query holds"));
        }
        if problems.is_empty() { Ok(mapping) } else { Err(problems) }
    }

    fn name(&mut self, field: &str, value: &Value) -> Result<(), Problem> {
        if FIXED.iter().any(|(fixed, _)| *fixed == field) || field == "custom" {
            return Err(Problem::at("", "is Salesforce's own and no field's").hint("name a field of your own"));
        }
        let Some(path) = value.as_str().filter(|path| is_path(path)) else {
            let problem = Problem::at("", "expected the API name of a field");
            return Err(problem.hint("as in `ARR__c`, or through a parent as in `Account.Industry`"));
        };
        match FIELDS.iter().find(|(known, _)| *known == field) {
            Some((known, _)) => drop(self.paths.insert(known, path.to_owned())),
            None => drop(self.custom.insert(field.to_owned(), path.to_owned())),
        }
        self.named.push((field.to_owned(), path.to_owned()));
        Ok(())
    }

    /// Every column that is wanted, once.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> + Clone {
        let always = ALWAYS.iter().map(|(path, _)| *path);
        let all: Vec<&str> =
            always.chain(self.paths.values().chain(self.custom.values()).map(String::as_str)).collect();
        let is_first = |place: usize, path: &str| all[..place].iter().all(|other| !other.eq_ignore_ascii_case(path));
        let places: Vec<&str> =
            all.iter().enumerate().filter(|(place, path)| is_first(*place, path)).map(|(_, path)| *path).collect();
        places.into_iter()
    }

    /// The paths that the configuration names: it wants those to be there.
    pub(super) fn names(&self, path: &str) -> bool {
        self.named.iter().any(|(_, named)| named.eq_ignore_ascii_case(path))
    }

    /// Whether the configuration has a column of its own for a field.
    pub(super) fn has_own(&self, field: &str) -> bool {
        self.named.iter().any(|(named, _)| named == field)
    }

    /// The fields that a column fills.
    pub(super) fn fed_by<'a>(&'a self, path: &'a str) -> impl Iterator<Item = String> + 'a {
        let is_it = move |own: &str| own.eq_ignore_ascii_case(path);
        let fields = self.paths.iter().filter(move |(_, own)| is_it(own)).map(|(field, _)| (*field).to_owned());
        let fixed = ALWAYS
            .iter()
            .filter(move |(own, field)| is_it(own) && !field.is_empty() && !self.paths.contains_key(field));
        let custom = self.custom.iter().filter(move |(_, own)| is_it(own)).map(|(field, _)| format!("custom.{field}"));
        fields.chain(fixed.map(|(_, field)| (*field).to_owned())).chain(custom)
    }

    /// Which field comes from where.
    pub(super) fn origins(&self) -> Vec<Mapped> {
        let mapped = |field: &str, from: &str| Mapped { field: field.to_owned(), from: from.to_owned() };
        let said = |field: &str| self.named.iter().find(|(named, _)| named == field).map(|(_, path)| path.as_str());
        let composed = |field: &str| ORIGINS.iter().find(|(composed, _)| *composed == field).map(|(_, from)| *from);
        let fields =
            FIELDS.iter().map(|(field, path)| mapped(field, said(field).or_else(|| composed(field)).unwrap_or(path)));
        let fixed = FIXED.iter().map(|(field, from)| mapped(field, from));
        let custom = self.custom.iter().map(|(field, path)| mapped(&format!("custom.{field}"), path));
        fields.chain(fixed).chain(custom).collect()
    }
}
