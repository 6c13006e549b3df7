//! Builds the mapping field by field; a configured field that is not built is unknown.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::model::deal::{MissingName, NameField, WantedName};
use crate::settings::{Problem, nearest_key};
use crate::sources::rest::fields::field::{Field, OnError, Origin};
use crate::sources::rest::fields::keys::{Asked, CUSTOM, Check, Columns};
use crate::sources::rest::fields::names::{INSTANTS, OTHERS, TEXTS};
use crate::sources::rest::lookup::{Missing, Mode};
use crate::sources::rest::path::Path;
use crate::sources::rest::record::Record;
use crate::sources::values::cast::Target;

/// By the fields' numbers: the name, and the path that its gaps are reported with.
pub(super) type Ways = Vec<(String, Option<Path>)>;

/// A name that is looked up by ids, once all pages are in.
pub(super) struct Late {
    pub(super) field: NameField,
    pub(super) origin: Origin,
    pub(super) table: String,
    pub(super) missing: MissingName,
}

impl Late {
    pub(super) fn of(&self, record: &Record<'_>) -> Option<WantedName> {
        let key = self.origin.given(record).filter(|key| !key.is_blank())?;
        let key = key.text()?.to_owned();
        Some(WantedName { field: self.field, table: Cow::Owned(self.table.clone()), key, missing: self.missing })
    }
}

/// A label's field, and the field that keeps its key.
const LABELS: [(&str, &str); 3] = [("stage", "stage_id"), ("owner", "owner_id"), ("pipeline", "pipeline_id")];

/// A label that is looked up leaves its key in the field beside it, unless that is mapped to something else.
fn keep_keys_of_labels(asked: &mut BTreeMap<String, Asked>) {
    for (label, key) in LABELS {
        if let Some(kept) = asked.get(label).and_then(Asked::key_of_label) {
            asked.entry(key.to_owned()).or_insert(kept);
        }
    }
}

/// What is asked for and not built yet.
pub(super) struct Builder<'c> {
    asked: BTreeMap<String, Asked>,
    check: Check<'c>,
    ways: Ways,
}

impl<'c> Builder<'c> {
    pub(super) fn new(mut asked: BTreeMap<String, Asked>, check: Check<'c>) -> Self {
        keep_keys_of_labels(&mut asked);
        Self { asked, check, ways: Ways::new() }
    }

    /// The id, which no deal is without.
    pub(super) fn id(&mut self) -> Option<Field<String>> {
        let Some(asked) = self.asked.get("id") else {
            // A field with errors is not missing.
            if !self.check.problems.iter().any(|problem| problem.path.first().is_some_and(|key| key == "id")) {
                self.check.problems.push(Problem::at("id", "is missing").hint("for instance `id = \"$.id\"`"));
            }
            return None;
        };
        for (key, is_set) in [
            ("value", asked.is_constant()),
            ("lookup", asked.table().is_some()),
            ("default", asked.keys.default.is_some()),
            ("on_error", asked.keys.on_error == Some(OnError::Null)),
        ] {
            if is_set {
                let problem = Problem::at(key, "cannot be had here: every deal has an id of its own");
                self.check.problems.push(problem.under(&["id"]));
            }
        }
        self.field("id")
    }

    /// The names that are looked up by ids.
    pub(super) fn late(&mut self) -> Vec<Late> {
        let fields = [("company", NameField::Company), ("owner", NameField::Owner)];
        let late = fields.into_iter().filter_map(|(name, field)| {
            let table = self.asked.get(name)?.table()?.to_owned();
            if self.check.lookups.get(&table)?.mode != Mode::Ids {
                return None;
            }
            let (origin, missing) = self.check.late(self.asked.remove(name)?)?;
            let missing = if missing == Missing::Keep { MissingName::Key } else { MissingName::Null };
            Some(Late { field, origin, table, missing })
        });
        late.collect()
    }

    /// The fields of the user's own.
    pub(super) fn custom(&mut self) -> Vec<(String, Field<Box<RawValue>>)> {
        let names: Vec<String> = self.asked.keys().filter(|name| name.starts_with(CUSTOM)).cloned().collect();
        names.into_iter().filter_map(|name| Some((name[CUSTOM.len()..].to_owned(), self.field(&name)?))).collect()
    }

    /// A field, if it is asked for and right.
    pub(super) fn field<T: Target>(&mut self, name: &str) -> Option<Field<T>> {
        let asked = self.asked.remove(name)?;
        let field: Field<T> = self.check.field(name, self.ways.len(), asked)?;
        self.ways.push((name.to_owned(), field.from.origin.path().cloned()));
        Some(field)
    }

    /// The columns that the fields look into, their ways, and what is wrong: fields that nobody built are unknown.
    pub(super) fn end(mut self) -> (Columns, Ways, Vec<Problem>) {
        self.refuse_the_rest();
        (self.check.columns, self.ways, self.check.problems)
    }

    fn refuse_the_rest(&mut self) {
        let known: Vec<&str> =
            TEXTS.iter().map(|text| text.0).chain(INSTANTS.iter().map(|instant| instant.0)).chain(OTHERS).collect();
        for (name, asked) in std::mem::take(&mut self.asked) {
            let hint = nearest_key(&name, known.iter())
                .unwrap_or_else(|| format!("anything else is a custom field: `\"custom.{name}\"`"));
            let message = "unknown field".to_owned();
            self.check.problems.push(Problem { path: asked.place, message, hint: Some(hint) });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sources::rest::fields::tried::read;

    #[test]
    fn everything_wrong_with_the_fields_is_told_at_once() {
        let problems = read(
            "name = '$.a['\nvalue = { path = 'v', cast = 'datetime' }\nprobability = 'p'\nstage = { path = 's', lookup = 'stagse' }\n\
            owner = { value = 'x', path = 'y' }\ncurency = 'k'\ncurrency = { value = 'Euro' }\nclose_date = { path = 'd', unit = 'percent' }\n\
            created_at = { path = 'c', cast = 'epoch_s', format = '%Y%m%d' }\nupdated_at = { path = 'c', timezone = 'Berlin' }\n\
            closed_at = { path = 'c', format = '%!' }\nurl = { path = 'u', required = true, on_error = 'null' }\ncompany = { lookup = 'users' }\n\
            lost_reason = { path = 'l', missing = 'null' }\ndeal_type = { path = 'd', vars = 1 }\nowner_id = 7\n\
            pipeline = { path = 'p', lookup = 'orgs' }\npipeline_id = { path = 'p', lookup = 'words', value = '$.n' }\n\
            forecast_category = { path = 'f', scale = 2, map_default = 'null' }\nstage_id = { parts = ['a'] }\n\
            stage_entered_at = { parts = ['a'], format = '%Y%m%d' }\nlast_activity_at = { path = 'l', fallback = { lookup = 'users' } }\n[custom]\nx = '$.1'",
        )
        .err()
        .unwrap();
        let shown: Vec<String> = problems
            .iter()
            .map(|problem| {
                format!("{}: {}; {}", problem.path.join("."), problem.message, problem.hint.as_deref().unwrap_or(""))
            })
            .collect();
        let shown = shown.join("\n");
        for part in [
            "id: is missing",
            "name: is no path: expected a whole number or a name in quotes at column 5",
            "value.cast: `datetime` does not fit this field; one of money, decimal, int",
            "probability.unit: is missing",
            "stage.lookup: no look-up has this name; did you mean `stages`?",
            "owner.value: stands beside `path`",
            "curency: unknown field; did you mean `currency`?",
            "currency.value: does not fit the field",
            "close_date.unit: is of use only to probability",
            "created_at.format: is of use only to the casts datetime and date",
            "updated_at.timezone: expected a time zone",
            "closed_at.format: expected a pattern",
            "url.on_error: `null` contradicts `required`",
            "company.path: is missing",
            "lost_reason.missing: is of use only beside `lookup`",
            "deal_type.vars: unknown key",
            "owner_id: expected a path in quotes or a table",
            "pipeline.lookup: is asked for by ids",
            "pipeline_id.value: a table that is written down has one name",
            "forecast_category.scale: is of use only to numbers",
            "forecast_category.map_default: is of use only beside `map`",
            "stage_id.parts: is of use only to the casts datetime and date",
            "stage_entered_at.format: is of use only to a date in one text",
            "last_activity_at.fallback.path: is missing",
            "custom.x: is no path",
        ] {
            assert!(shown.contains(part), "no `{part}` in\n{shown}");
        }
        for toml in ["id = { value = 1 }", "id = { path = 'i', default = 1 }", "id = { path = 'i', on_error = 'null' }"]
        {
            assert!(read(toml).is_err(), "{toml}");
        }
    }
}
