//! The mapping: which value of a record becomes which field of a deal.
//!
//! Whatever does not fit is counted, refused or fails the pull, as the field says; nothing is guessed.

mod field;
mod keys;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde_json::value::RawValue;

use crate::model::deal::{Deal, MissingName, NameField, UNTITLED, WantedName};
use crate::model::money::Currency;
use crate::settings::{Problem, Section, nearest_key};
use crate::sources::rest::casts::Target;
use crate::sources::rest::casts::numbers::{Amount, Chance};
use crate::sources::rest::fields::field::{Field, OnError, Origin};
pub(super) use crate::sources::rest::fields::field::{Gaps, Reading, Refusal};
use crate::sources::rest::fields::keys::{Asked, CUSTOM, Check, Columns, ask, tables};
use crate::sources::rest::lookup::{About, Missing, Mode};
use crate::sources::rest::path::Path;
use crate::sources::rest::records::Record;
use crate::sources::source::{self, Mapped};

type TextOf = fn(&mut Deal) -> &mut Option<String>;
type InstantOf = fn(&mut Deal) -> &mut Option<DateTime<Utc>>;

const TEXTS: [(&str, TextOf); 11] = [
    ("company", |deal| &mut deal.company),
    ("stage", |deal| &mut deal.stage),
    ("owner", |deal| &mut deal.owner),
    ("pipeline", |deal| &mut deal.pipeline),
    ("pipeline_id", |deal| &mut deal.pipeline_id),
    ("stage_id", |deal| &mut deal.stage_id),
    ("owner_id", |deal| &mut deal.owner_id),
    ("forecast_category", |deal| &mut deal.forecast_category),
    ("deal_type", |deal| &mut deal.deal_type),
    ("lost_reason", |deal| &mut deal.lost_reason),
    ("url", |deal| &mut deal.url),
];

const INSTANTS: [(&str, InstantOf); 6] = [
    ("created_at", |deal| &mut deal.created_at),
    ("updated_at", |deal| &mut deal.updated_at),
    ("closed_at", |deal| &mut deal.closed_at),
    ("stage_entered_at", |deal| &mut deal.stage_entered_at),
    ("last_activity_at", |deal| &mut deal.last_activity_at),
    ("next_activity_at", |deal| &mut deal.next_activity_at),
];

const OTHERS: [&str; 7] = ["id", "name", "value", "currency", "probability", "close_date", "custom"];

/// A label's field, and the field that keeps its key.
const LABELS: [(&str, &str); 3] = [("stage", "stage_id"), ("owner", "owner_id"), ("pipeline", "pipeline_id")];

/// How records become deals; `[sources.x.fields]`.
pub(super) struct Mapping {
    id: Field<String>,
    name: Option<Field<String>>,
    texts: Vec<(Field<String>, TextOf)>,
    instants: Vec<(Field<DateTime<Utc>>, InstantOf)>,
    value: Option<Field<Amount>>,
    currency: Option<Field<Currency>>,
    probability: Option<Field<Chance>>,
    close_date: Option<Field<NaiveDate>>,
    custom: Vec<(String, Field<Box<RawValue>>)>,
    late: Vec<Late>,
    columns: Columns,
    origins: Vec<Mapped>,
    /// By the fields' numbers: the name, and the path that its gaps are told by.
    ways: Vec<(String, Option<Path>)>,
}

/// A name that is looked up by ids, once all pages are in.
struct Late {
    field: NameField,
    origin: Origin,
    table: String,
    missing: MissingName,
}

impl Mapping {
    /// Reads the section. `lookups` are the tables there are, `day_zone` is where days are days.
    pub(super) fn read(
        section: Section,
        lookups: &BTreeMap<String, About>,
        day_zone: Tz,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut asked = ask(section, &mut problems);
        let origin = |(name, asked): (&String, &Asked)| Mapped { field: name.clone(), from: asked.origin() };
        let origins = asked.iter().map(origin).collect();
        keep_keys_of_labels(&mut asked);
        let check = Check { lookups, day_zone, columns: Columns::new(), problems };
        let mut builder = Builder { asked, check, ways: Vec::new() };
        let id = builder.id();
        let late = builder.late();
        let name = builder.field("name");
        let texts = TEXTS.iter().filter_map(|(name, of)| Some((builder.field(name)?, *of))).collect();
        let instants = INSTANTS.iter().filter_map(|(name, of)| Some((builder.field(name)?, *of))).collect();
        let value = builder.field("value");
        let currency = builder.field("currency");
        let probability = builder.field("probability");
        let close_date = builder.field("close_date");
        let custom = builder.custom();
        builder.refuse_the_rest();
        let Builder { check: Check { columns, problems, .. }, ways, .. } = builder;
        let Some(id) = id.filter(|_| problems.is_empty()) else { return Err(problems) };
        Ok(Self {
            id,
            name,
            texts,
            instants,
            value,
            currency,
            probability,
            close_date,
            custom,
            late,
            columns,
            origins,
            ways,
        })
    }

    /// Which field comes from which path.
    pub(super) fn origins(&self) -> Vec<Mapped> {
        self.origins.clone()
    }

    /// The tables that fields look into.
    pub(super) fn tables(&self) -> BTreeSet<&str> {
        tables(&self.columns)
    }

    /// The columns beside a table's own: name, table and paths.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&String, &String, &Vec<Path>)> {
        self.columns.iter().filter_map(|(name, (table, paths))| Some((name, table, paths.as_ref()?)))
    }

    /// Whether the deal has a stage, by label or id.
    pub(super) fn has_stage(&self) -> bool {
        self.has_text("stage") || self.has_text("stage_id")
    }

    /// Whether the deal has a pipeline, by label or id.
    pub(super) fn has_pipeline(&self) -> bool {
        self.has_text("pipeline") || self.has_text("pipeline_id")
    }

    /// Whether deals have an amount and nothing says in which currency.
    pub(super) fn lacks_currency(&self) -> bool {
        self.value.is_some() && self.currency.is_none()
    }

    fn has_text(&self, name: &str) -> bool {
        self.texts.iter().any(|(field, _)| field.name == name)
    }

    /// The id alone, if it can be read.
    pub(super) fn id(&self, record: &Record<'_>) -> Option<String> {
        let value = self.id.from.origin.given(record)?;
        String::of(&value, &self.id.casting).ok().flatten()
    }

    /// One record as a deal, its status still open to `status`.
    pub(super) fn deal(&self, reading: &mut Reading<'_, '_>) -> Result<Deal, Refusal> {
        let record = reading.record;
        let Some(id) = self.id.read(reading)? else { return Err(self.id.refusal(&self.id.missing(record))) };
        reading.id.clone_from(&id);
        let mut deal = Deal { id, ..Deal::default() };
        deal.name = reading.maybe(self.name.as_ref())?.unwrap_or_else(|| UNTITLED.to_owned());
        for (field, of) in &self.texts {
            *of(&mut deal) = field.read(reading)?;
        }
        for (field, of) in &self.instants {
            *of(&mut deal) = field.read(reading)?;
        }
        deal.value = reading.maybe(self.value.as_ref())?.map(|amount| amount.0);
        deal.currency = reading.maybe(self.currency.as_ref())?;
        deal.probability = reading.maybe(self.probability.as_ref())?.map(|chance| chance.0);
        deal.close_date = reading.maybe(self.close_date.as_ref())?;
        for (name, field) in &self.custom {
            let json = field.read(reading)?.unwrap_or_else(|| RawValue::NULL.to_owned());
            deal.custom.insert(name.clone(), json);
        }
        deal.wanted.extend(self.late.iter().filter_map(|late| late.of(record)));
        Ok(deal)
    }

    /// Where the ways to fields end, in words.
    pub(super) fn told(&self, gaps: &Gaps) -> source::Gaps {
        let told = gaps.iter().filter_map(|((number, stop), count)| {
            let (field, path) = self.ways.get(*number)?;
            Some(((field.clone(), path.as_ref()?.ends(*stop)), *count))
        });
        source::Gaps(told.collect())
    }
}

impl Late {
    fn of(&self, record: &Record<'_>) -> Option<WantedName> {
        let key = self.origin.given(record).filter(|key| !key.is_blank())?;
        let key = key.text()?.to_owned();
        Some(WantedName { field: self.field, table: Cow::Owned(self.table.clone()), key, missing: self.missing })
    }
}

/// A label that is looked up leaves its key in the field beside it, unless that is mapped to something else.
fn keep_keys_of_labels(asked: &mut BTreeMap<String, Asked>) {
    for (label, key) in LABELS {
        if let Some(kept) = asked.get(label).and_then(Asked::key_of_label) {
            asked.entry(key.to_owned()).or_insert(kept);
        }
    }
}

struct Builder<'c> {
    asked: BTreeMap<String, Asked>,
    check: Check<'c>,
    ways: Vec<(String, Option<Path>)>,
}

impl Builder<'_> {
    fn id(&mut self) -> Option<Field<String>> {
        let Some(asked) = self.asked.get("id") else {
            // A field with mistakes of its own is not missing.
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
    fn late(&mut self) -> Vec<Late> {
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

    fn custom(&mut self) -> Vec<(String, Field<Box<RawValue>>)> {
        let names: Vec<String> = self.asked.keys().filter(|name| name.starts_with(CUSTOM)).cloned().collect();
        names.into_iter().filter_map(|name| Some((name[CUSTOM.len()..].to_owned(), self.field(&name)?))).collect()
    }

    fn field<T: Target>(&mut self, name: &str) -> Option<Field<T>> {
        let asked = self.asked.remove(name)?;
        let field: Field<T> = self.check.field(name, self.ways.len(), asked)?;
        self.ways.push((name.to_owned(), field.from.origin.path().cloned()));
        Some(field)
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
    use std::collections::HashMap;

    use super::*;
    use crate::model::finding::{Finding, Findings, Rule};
    use crate::settings::section;
    use crate::sources::source::Names;

    fn tables() -> BTreeMap<String, About> {
        let about = |missing, mode| About { missing, mode };
        [
            ("stages", about(Missing::Keep, Mode::List)),
            ("users", about(Missing::Null, Mode::List)),
            ("orgs", about(Missing::Keep, Mode::Ids)),
            ("words", about(Missing::Keep, Mode::Static)),
        ]
        .map(|(name, about)| (name.to_owned(), about))
        .into()
    }

    fn read(toml: &str) -> Result<Mapping, Vec<Problem>> {
        Mapping::read(section(toml), &tables(), Tz::Europe__Berlin)
    }

    fn deal_of(toml: &str, record: &str) -> (Result<Deal, Refusal>, Vec<Finding>) {
        let stages = HashMap::from([("0".to_owned(), "New".to_owned()), ("7".to_owned(), "Won".to_owned())]);
        let chances = HashMap::from([("7".to_owned(), "70".to_owned())]);
        let tables = [("stages", stages), ("stages $.chance", chances), ("users", HashMap::new())];
        let names = Names(tables.map(|(name, names)| (name.to_owned(), names)).into());
        let mut findings = Findings::default();
        let mapping = read(&format!("id = '$.id'\n{toml}")).unwrap();
        (mapped(&mapping, record, &names, &mut findings), findings.into_list())
    }

    fn mapped(mapping: &Mapping, record: &str, names: &Names, findings: &mut Findings) -> Result<Deal, Refusal> {
        let record = Record::of(serde_json::from_str(record).unwrap());
        let (page, mut gaps) = (Names::default(), Gaps::new());
        let (id, gaps) = (String::new(), &mut gaps);
        mapping.deal(&mut Reading { record: &record, names, page: &page, id, findings, gaps })
    }

    fn good(toml: &str, record: &str) -> Deal {
        let (deal, findings) = deal_of(toml, record);
        assert!(findings.is_empty(), "{findings:?}");
        deal.unwrap()
    }

    #[test]
    fn every_field_of_a_deal_can_be_mapped() {
        let toml = "name = 't'\ncompany = 'account.name'\nstage = 's'\nvalue = 'v'\nprobability = { path = 'p', unit = 'percent' }\n\
            owner = 'o'\ncreated_at = 'c'\nupdated_at = { path = 'u', cast = 'epoch_s' }\ncurrency = { path = 'k', default = 'EUR' }\n\
            pipeline = 's'\npipeline_id = 's'\nstage_id = 's'\nclose_date = 'u2'\nclosed_at = 'c'\nowner_id = 'o'\nstage_entered_at = 'c'\n\
            forecast_category = 's'\nurl = 's'\nlast_activity_at = 'c'\nnext_activity_at = 'c'\ndeal_type = 's'\nlost_reason = 's'\n\
            'custom.segment' = 'x'\n[custom]\ntags = { path = 'y' }";
        let deal = good(
            toml,
            r#"{"id": 90071992547409931, "t": "Big", "account": {"name": "Acme"}, "s": 3, "v": 1234.50, "p": 30,
                "o": "Ann", "c": "2026-01-31T10:00:00Z", "u": "1700000000", "u2": "2026-01-31T23:30:00Z", "x": 1.10, "y": [1, 2]}"#,
        );
        assert_eq!((deal.id.as_str(), deal.name.as_str()), ("90071992547409931", "Big"));
        let json = serde_json::to_string(&deal).unwrap();
        for part in [
            r#""company":"Acme","stage":"3","value":1234.5,"probability":0.3,"owner":"Ann""#,
            r#""created_at":"2026-01-31T10:00:00Z","updated_at":"2023-11-14T22:13:20Z""#,
            r#""currency":"EUR","pipeline":"3","pipeline_id":"3","stage_id":"3","close_date":"2026-02-01""#,
            r#""forecast_category":"3""#,
            r#""custom":{"segment":1.10,"tags":[1,2]}"#,
        ] {
            assert!(json.contains(part), "no {part} in {json}");
        }
        assert!(deal.stage_entered_at.is_some() && deal.next_activity_at.is_some() && deal.url.is_some());
    }

    #[test]
    fn a_deal_without_a_name_is_untitled_and_an_empty_text_is_no_value() {
        for record in [r#"{"id": "a"}"#, r#"{"id": "a", "t": null, "s": ""}"#, r#"{"id": "a", "t": "  "}"#] {
            let deal = good("name = 't'\nstage = 's'\nvalue = 's'", record);
            assert_eq!((deal.name.as_str(), deal.stage, deal.value), (UNTITLED, None, None));
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_empty_and_counted() {
        let toml = "value = 'v'\nprobability = { path = 'p', unit = 'fraction' }\ncurrency = 'k'\ncreated_at = 'c'";
        let (deal, findings) = deal_of(toml, r#"{"id": 1, "v": 1e400, "p": 30, "k": "Euro", "c": "soon"}"#);
        let deal = deal.unwrap();
        assert_eq!((deal.value, deal.probability, deal.currency, deal.created_at), (None, None, None, None));
        let found: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.field.as_str())).collect();
        assert_eq!(
            found,
            [(Rule::D06, "probability"), (Rule::D09, "currency"), (Rule::D26, "created_at"), (Rule::D26, "value")]
        );
        assert_eq!(findings[0].sample_ids, ["1"]);
    }

    #[test]
    fn a_field_can_fail_the_pull_or_leave_the_record_out() {
        let refused = |toml: &str, record: &str| deal_of(toml, record).0.unwrap_err();
        let fail = "value = { path = 'v', on_error = 'fail' }";
        assert_eq!(
            refused(fail, r#"{"id": 1, "v": "canary"}"#),
            Refusal::Fail("field `value` cannot be read".to_owned())
        );
        assert_eq!(refused("value = { path = 'v', on_error = 'skip' }", r#"{"id": 1, "v": "x"}"#), Refusal::Skip);
        let required = "stage = { path = 's', required = true }";
        assert_eq!(
            refused(required, r#"{"id": 1}"#),
            Refusal::Fail("field `stage` is not there: `s`: `s` is missing".to_owned())
        );
        for record in ["{}", r#"{"id": null}"#, r#"{"id": ""}"#, r#"{"id": [1]}"#, "7"] {
            assert!(matches!(refused("", record), Refusal::Fail(_)), "{record}");
        }
        let mapping = read("id = { path = 'id', on_error = 'skip' }").unwrap();
        let refused = mapped(&mapping, "{}", &Names::default(), &mut Findings::default());
        assert_eq!(refused.unwrap_err(), Refusal::Skip);
    }

    #[test]
    fn a_look_up_knows_keys_as_number_and_text_and_leaves_the_key_beside_the_label() {
        let toml = "stage = { path = 's', lookup = 'stages' }";
        for record in [r#"{"id": 1, "s": 7}"#, r#"{"id": 1, "s": "7"}"#] {
            let deal = good(toml, record);
            assert_eq!((deal.stage.as_deref(), deal.stage_id.as_deref()), (Some("Won"), Some("7")));
        }
        assert_eq!(good(toml, r#"{"id": 1, "s": 0}"#).stage.as_deref(), Some("New"), "0 is a key");
        assert_eq!(good(toml, r#"{"id": 1, "s": null}"#).stage, None);
        let own_id = format!("{toml}\nstage_id = 'other'");
        assert_eq!(good(&own_id, r#"{"id": 1, "s": 7, "other": "x"}"#).stage_id.as_deref(), Some("x"));
    }

    #[test]
    fn a_key_that_the_table_does_not_know_is_kept_dropped_or_refused_and_counted() {
        let (kept, findings) = deal_of("stage = { path = 's', lookup = 'stages' }", r#"{"id": 1, "s": 8}"#);
        assert_eq!(kept.unwrap().stage.as_deref(), Some("8"));
        assert_eq!((findings[0].rule, findings[0].field.as_str()), (Rule::R09, "stage"));
        let (dropped, findings) = deal_of("owner = { path = 's', lookup = 'users' }", r#"{"id": 1, "s": 8}"#);
        let dropped = dropped.unwrap();
        assert_eq!((dropped.owner, dropped.owner_id.as_deref()), (None, Some("8")), "the table's own `missing`");
        assert_eq!(findings.len(), 1);
        let (refused, _) =
            deal_of("stage = { path = 's', lookup = 'stages', missing = 'fail' }", r#"{"id": 1, "s": "canary"}"#);
        assert!(matches!(refused, Err(Refusal::Fail(why)) if !why.contains("canary")));
    }

    #[test]
    fn a_value_is_the_first_that_is_there_or_joined_or_mapped() {
        let toml = "name = { path = ['note', 'lead'] }\ncompany = { path = 'party.name', join = ['first', 'last'] }\n\
            owner = { join = ['last', 'first'], sep = ', ' }\nstage = { path = 's', map = { 3 = 'Proposal' }, map_default = 'null' }\n\
            deal_type = { path = 's', map = { 4 = 'x' } }";
        let deal = good(toml, r#"{"id": 1, "note": " ", "lead": "L", "first": "Ann", "last": null, "s": 3}"#);
        assert_eq!(
            (deal.name.as_str(), deal.company.as_deref(), deal.owner.as_deref()),
            ("L", Some("Ann"), Some("Ann"))
        );
        assert_eq!((deal.stage.as_deref(), deal.deal_type.as_deref()), (Some("Proposal"), Some("3")));
        assert_eq!(good(toml, r#"{"id": 1, "s": 5, "first": "A", "last": "B"}"#).owner.as_deref(), Some("B, A"));
        assert_eq!(good(toml, r#"{"id": 1, "s": 5}"#).stage, None);
        let strict = "stage = { path = 's', map = { 3 = 'x' }, map_default = 'fail', on_error = 'fail' }";
        let (refused, _) = deal_of(strict, r#"{"id": 1, "s": "canary"}"#);
        assert!(matches!(refused, Err(Refusal::Fail(why)) if !why.contains("canary")));
    }

    #[test]
    fn an_empty_value_falls_back_to_another_column_of_a_table_by_the_same_unit() {
        let toml = "probability = { path = 'p', unit = 'percent', fallback = { path = 's', lookup = 'stages', value = '$.chance' } }";
        let chance = |record: &str| good(toml, record).probability.map(|chance| chance.normalize().to_string());
        assert_eq!(chance(r#"{"id": 1, "p": 30, "s": 7}"#).as_deref(), Some("0.3"));
        assert_eq!(chance(r#"{"id": 1, "p": null, "s": 7}"#).as_deref(), Some("0.7"));
        let (unknown, findings) = deal_of(toml, r#"{"id": 1, "s": 8}"#);
        assert_eq!((unknown.unwrap().probability, findings[0].rule), (None, Rule::R09), "a key is no chance");
    }

    #[test]
    fn a_date_in_parts_is_read_without_a_pattern_and_its_missing_parts_are_zero() {
        let toml = "created_at = { parts = ['d.year', 'd.month', 'd.day', 'd.hour', 'd.minute', 'd.second', 'd.us'] }\n\
            close_date = { parts = ['d.year', 'd.month', 'd.day'] }";
        let deal = good(
            toml,
            r#"{"id": 1, "d": {"year": 2026, "month": 3, "day": 9, "hour": 7, "minute": 5, "second": 4, "us": 90}}"#,
        );
        assert_eq!(deal.created_at.unwrap().to_rfc3339(), "2026-03-09T07:05:04.000090+00:00");
        assert_eq!(deal.close_date.unwrap().to_string(), "2026-03-09");
        let deal = good(toml, r#"{"id": 1, "d": {"year": "2026", "month": 12, "day": 31}}"#);
        assert_eq!(deal.created_at.unwrap().to_rfc3339(), "2026-12-31T00:00:00+00:00");
        assert_eq!(good(toml, r#"{"id": 1, "d": null}"#).created_at, None);
        let (odd, findings) = deal_of(toml, r#"{"id": 1, "d": {"year": 2026, "month": 13, "day": "x"}}"#);
        assert_eq!((odd.unwrap().created_at, findings.len()), (None, 2));
        let (doubtful, findings) =
            deal_of(toml, r#"{"id": 1, "d": {"year": 2026, "month": 3, "day": null, "hour": 5}}"#);
        let doubtful = doubtful.unwrap();
        assert_eq!((doubtful.created_at, findings.len()), (None, 1), "an hour of no day");
        assert_eq!(doubtful.close_date.unwrap().to_string(), "2026-03-01");
    }

    #[test]
    fn a_local_time_that_the_clocks_showed_twice_or_never_is_counted() {
        let toml = "created_at = { path = 'c', timezone = 'Europe/Berlin' }";
        for (given, count) in [("2026-10-25T02:30:00", 1), ("2026-03-29T02:30:00", 1), ("2026-03-29T03:30:00", 0)] {
            let (deal, findings) = deal_of(toml, &format!(r#"{{"id": 1, "c": "{given}"}}"#));
            assert!(deal.unwrap().created_at.is_some());
            assert_eq!(findings.iter().filter(|finding| finding.rule == Rule::D29).count(), count, "{given}");
        }
    }

    #[test]
    fn where_the_way_to_a_field_ends_is_counted_by_step() {
        let mapping = read("id = 'id'\ncompany = '$.account.name'").unwrap();
        let (names, page, mut findings, mut gaps) =
            (Names::default(), Names::default(), Findings::default(), Gaps::new());
        for record in [r#"{"id": 1, "account": null}"#, r#"{"id": 2, "account": null}"#, r#"{"id": 3}"#] {
            let record = Record::of(serde_json::from_str(record).unwrap());
            let (id, findings, gaps) = (String::new(), &mut findings, &mut gaps);
            let reading = &mut Reading { record: &record, names: &names, page: &page, id, findings, gaps };
            mapping.deal(reading).unwrap();
        }
        let told = mapping.told(&gaps).0;
        assert_eq!(told[&("company".to_owned(), "`$.account.name`: `account` is null".to_owned())], 2);
        assert_eq!(told[&("company".to_owned(), "`$.account.name`: `account` is missing".to_owned())], 1);
    }

    #[test]
    fn a_name_by_ids_is_left_open_and_its_key_kept() {
        let deal = good("owner = { path = 'o', lookup = 'orgs' }", r#"{"id": 1, "o": 7}"#);
        assert_eq!((deal.owner, deal.owner_id.as_deref()), (None, Some("7")));
        assert_eq!((deal.wanted[0].table.as_ref(), deal.wanted[0].key.as_str()), ("orgs", "7"));
        assert!(good("owner = { path = 'o', lookup = 'orgs' }", r#"{"id": 1, "o": " "}"#).wanted.is_empty());
    }

    #[test]
    fn everything_wrong_with_the_fields_is_told_at_once() {
        let problems = read(
            "name = '$.a['\nvalue = { path = 'v', cast = 'datetime' }\nprobability = 'p'\nstage = { path = 's', lookup = 'stagse' }\n\
            owner = { value = 'x', path = 'y' }\ncurency = 'k'\ncurrency = { value = 'Euro' }\nclose_date = { path = 'd', unit = 'percent' }\n\
            created_at = { path = 'c', cast = 'epoch_s', format = '%Y' }\nupdated_at = { path = 'c', timezone = 'Berlin' }\n\
            closed_at = { path = 'c', format = '%!' }\nurl = { path = 'u', required = true, on_error = 'null' }\ncompany = { lookup = 'users' }\n\
            lost_reason = { path = 'l', missing = 'null' }\ndeal_type = { path = 'd', vars = 1 }\nowner_id = 7\n\
            pipeline = { path = 'p', lookup = 'orgs' }\npipeline_id = { path = 'p', lookup = 'words', value = '$.n' }\n\
            forecast_category = { path = 'f', scale = 2, map_default = 'null' }\nstage_id = { parts = ['a'] }\n\
            stage_entered_at = { parts = ['a'], format = '%Y' }\nlast_activity_at = { path = 'l', fallback = { lookup = 'users' } }\n[custom]\nx = '$.1'",
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
