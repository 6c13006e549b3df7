//! The mapping: which value of a record becomes which field of a deal.
//!
//! In this order: path, look-up, cast, unit, default. Whatever does not fit is counted, refused or fails the pull, as
//! the field says; nothing is guessed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use figment::value::Value;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::deal::{Deal, UNTITLED};
use crate::model::finding::{Findings, Rule};
use crate::model::money::Currency;
use crate::settings::{Problem, Section, nearest_key};
use crate::sources::rest::casts::{Amount, Cast, Casting, Chance, Format, Target, Unit, Zone};
use crate::sources::rest::json::{Constant, Json, Node, Scalar};
use crate::sources::rest::lookup::Missing;
use crate::sources::rest::path::Path;
use crate::sources::source::{Mapped, Names};

/// What a field can say in its long form; the short form is the path alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    path: Option<Path>,
    value: Option<Constant>,
    lookup: Option<String>,
    missing: Option<Missing>,
    cast: Option<Cast>,
    format: Option<Format>,
    timezone: Option<Zone>,
    unit: Option<Unit>,
    default: Option<Constant>,
    #[serde(default)]
    required: bool,
    on_error: Option<OnError>,
}

/// What a value that does not fit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnError {
    /// It fails the pull.
    Fail,
    /// The field is empty, and a finding counts it.
    Null,
    /// The record is left out and counted as skipped.
    Skip,
}

/// Why a record became no deal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is left out.
    Skip,
    /// The pull fails, and this is why.
    Fail(String),
}

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

/// The prefix of a custom field's name.
const CUSTOM: &str = "custom.";

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
    lookups: BTreeSet<String>,
    origins: Vec<Mapped>,
}

impl Mapping {
    /// Reads the section. `lookups` are the tables there are, `day_zone` is where days are days.
    pub(super) fn read(
        section: Section,
        lookups: &BTreeMap<String, Missing>,
        day_zone: Tz,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut asked = ask(section, &mut problems);
        let origins = asked.iter().map(|(name, asked)| asked.origin(name)).collect();
        keep_keys_of_labels(&mut asked);
        let mut builder = Builder { asked, lookups, day_zone, used: BTreeSet::new(), problems };
        let id = builder.id();
        let name = builder.field("name");
        let texts = TEXTS.iter().filter_map(|(name, of)| Some((builder.field(name)?, *of))).collect();
        let instants = INSTANTS.iter().filter_map(|(name, of)| Some((builder.field(name)?, *of))).collect();
        let value = builder.field("value");
        let currency = builder.field("currency");
        let probability = builder.probability();
        let close_date = builder.field("close_date");
        let custom = builder.custom();
        builder.refuse_the_rest();
        match id {
            Some(id) if builder.problems.is_empty() => {
                let lookups = builder.used;
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
                    lookups,
                    origins,
                })
            }
            _ => Err(builder.problems),
        }
    }

    /// Which field comes from which path.
    pub(super) fn origins(&self) -> Vec<Mapped> {
        self.origins.clone()
    }

    /// The tables that fields look into.
    pub(super) fn lookups(&self) -> &BTreeSet<String> {
        &self.lookups
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
    pub(super) fn id(&self, record: &Node<'_>) -> Option<String> {
        let value = self.id.given(record)?;
        String::of(&value, &self.id.casting).ok().flatten()
    }

    /// One record as a deal, its status still open to `status`.
    pub(super) fn deal(&self, record: &Node<'_>, names: &Names, findings: &mut Findings) -> Result<Deal, Refusal> {
        let mut reading = Reading { record, names, id: String::new(), findings };
        let Some(id) = self.id.read(&mut reading)? else { return Err(self.id.refusal("is missing")) };
        reading.id.clone_from(&id);
        let mut deal = Deal { id, ..Deal::default() };
        deal.name = reading.maybe(self.name.as_ref())?.unwrap_or_else(|| UNTITLED.to_owned());
        for (field, of) in &self.texts {
            *of(&mut deal) = field.read(&mut reading)?;
        }
        for (field, of) in &self.instants {
            *of(&mut deal) = field.read(&mut reading)?;
        }
        deal.value = reading.maybe(self.value.as_ref())?.map(|amount| amount.0);
        deal.currency = reading.maybe(self.currency.as_ref())?;
        deal.probability = reading.maybe(self.probability.as_ref())?.map(|chance| chance.0);
        deal.close_date = reading.maybe(self.close_date.as_ref())?;
        for (name, field) in &self.custom {
            let json = field.read(&mut reading)?.unwrap_or_else(|| RawValue::NULL.to_owned());
            deal.custom.insert(name.clone(), json);
        }
        Ok(deal)
    }
}

/// A field as the configuration has it: where it stands there, and what it says.
struct Asked {
    place: Vec<String>,
    keys: Keys,
}

impl Asked {
    /// Where the field comes from, for people.
    fn origin(&self, field: &str) -> Mapped {
        let from = self.keys.path.as_ref().map_or_else(|| "(constant)".to_owned(), ToString::to_string);
        Mapped { field: field.to_owned(), from }
    }
}

/// Reads every field on its own, so that one mistake hides no other.
fn ask(section: Section, problems: &mut Vec<Problem>) -> BTreeMap<String, Asked> {
    let mut asked = BTreeMap::new();
    let mut add = |name: String, place: Vec<String>, value: Value| {
        let keys = match value {
            Value::String(_, text) => match text.parse::<Path>() {
                Ok(path) => Ok(Keys { path: Some(path), ..Keys::default() }),
                Err(why) => Err(vec![Problem::at("", format!("is no path: {why}"))]),
            },
            Value::Dict(_, table) => Section(table).read::<Keys>(&[]),
            _ => Err(vec![Problem::at("", "expected a path in quotes or a table")]),
        };
        match keys {
            Ok(keys) => drop(asked.insert(name, Asked { place, keys })),
            Err(found) => problems.extend(found.into_iter().map(|problem| moved(problem, &place))),
        }
    };
    for (key, value) in section.0 {
        match value {
            Value::Dict(_, fields) if key == "custom" => {
                for (name, value) in fields {
                    add(format!("{CUSTOM}{name}"), vec![key.clone(), name], value);
                }
            }
            value => add(key.clone(), vec![key], value),
        }
    }
    asked
}

fn moved(problem: Problem, place: &[String]) -> Problem {
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    problem.under(&place)
}

/// A label that is looked up leaves its key in the field beside it, unless that is mapped to something else.
fn keep_keys_of_labels(asked: &mut BTreeMap<String, Asked>) {
    for (label, key) in LABELS {
        let Some(Asked { place, keys: Keys { path: Some(path), lookup: Some(_), .. } }) = asked.get(label) else {
            continue;
        };
        let keys = Keys { path: Some(path.clone()), ..Keys::default() };
        let kept = Asked { place: place.clone(), keys };
        asked.entry(key.to_owned()).or_insert(kept);
    }
}

struct Builder<'a> {
    asked: BTreeMap<String, Asked>,
    lookups: &'a BTreeMap<String, Missing>,
    day_zone: Tz,
    used: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Builder<'_> {
    fn id(&mut self) -> Option<Field<String>> {
        let Some(asked) = self.asked.get("id") else {
            // A field with mistakes of its own is not missing.
            if !self.problems.iter().any(|problem| problem.path.first().is_some_and(|key| key == "id")) {
                self.problems.push(Problem::at("id", "is missing").hint("for instance `id = \"$.id\"`"));
            }
            return None;
        };
        let keys = &asked.keys;
        for (key, is_set) in [
            ("value", keys.value.is_some()),
            ("lookup", keys.lookup.is_some()),
            ("default", keys.default.is_some()),
            ("on_error", keys.on_error == Some(OnError::Null)),
        ] {
            if is_set {
                let problem = Problem::at(key, "cannot be had here: every deal has an id of its own");
                self.problems.push(problem.under(&["id"]));
            }
        }
        self.field("id")
    }

    fn probability(&mut self) -> Option<Field<Chance>> {
        let asked = self.asked.get("probability")?;
        if asked.keys.unit.is_none() {
            let problem = Problem::at("probability.unit", "is missing: 1 could be 1 % or 100 %");
            self.problems.push(problem.hint("`percent` for 0 to 100, `fraction` for 0 to 1"));
        }
        self.field("probability")
    }

    fn custom(&mut self) -> Vec<(String, Field<Box<RawValue>>)> {
        let names: Vec<String> = self.asked.keys().filter(|name| name.starts_with(CUSTOM)).cloned().collect();
        names.into_iter().filter_map(|name| Some((name[CUSTOM.len()..].to_owned(), self.field(&name)?))).collect()
    }

    /// One field with everything wrong about it.
    fn field<T: Target>(&mut self, name: &str) -> Option<Field<T>> {
        let Asked { place, keys } = self.asked.remove(name)?;
        let mut wrong = |key: &str, message: &str, hint: Option<String>| {
            let problem = Problem { hint, ..Problem::at(key, message) };
            self.problems.push(moved(problem, &place));
        };
        let is_right = wrong_keys::<T>(name, &keys, self.lookups, &mut wrong);
        let casting = Casting {
            cast: keys.cast.or(T::DEFAULT),
            format: keys.format,
            zone: keys.timezone.map(|zone| zone.0),
            day_zone: self.day_zone,
            unit: keys.unit.unwrap_or(Unit::Fraction),
        };
        // A default is the field's own final form, whatever the CRM's values look like.
        let plain =
            Casting { cast: T::DEFAULT, format: None, zone: None, day_zone: self.day_zone, unit: Unit::Fraction };
        let default = keys.default.map(|default| T::of(&default.0, &plain));
        if !matches!(default, None | Some(Ok(Some(_)))) {
            wrong("default", "does not fit the field", None);
            return None;
        }
        if keys.lookup.is_none()
            && keys.value.as_ref().is_some_and(|value| !matches!(T::of(&value.0, &casting), Ok(Some(_))))
        {
            wrong("value", "does not fit the field", None);
            return None;
        }
        let origin = match (keys.path, keys.value) {
            (Some(path), None) => Origin::Path(path),
            (None, Some(constant)) => Origin::Constant(constant.0),
            _ => return None,
        };
        if !is_right {
            return None;
        }
        let lookup = keys.lookup.map(|table| {
            let missing = keys.missing.or_else(|| self.lookups.get(&table).copied()).unwrap_or_default();
            self.used.insert(table.clone());
            (table, missing)
        });
        let must = keys.required || name == "id";
        let on_error = keys.on_error.unwrap_or(if must { OnError::Fail } else { OnError::Null });
        let default = default.and_then(Result::ok).flatten();
        Some(Field { name: name.to_owned(), origin, lookup, casting, default, required: keys.required, on_error })
    }

    fn refuse_the_rest(&mut self) {
        let known: Vec<&str> =
            TEXTS.iter().map(|text| text.0).chain(INSTANTS.iter().map(|instant| instant.0)).chain(OTHERS).collect();
        for (name, asked) in std::mem::take(&mut self.asked) {
            let hint = nearest_key(&name, known.iter())
                .unwrap_or_else(|| format!("anything else is a custom field: `\"custom.{name}\"`"));
            let message = "unknown field".to_owned();
            self.problems.push(Problem { path: asked.place, message, hint: Some(hint) });
        }
    }
}

/// Tells every key that does not go with the others; whether there was none.
fn wrong_keys<T: Target>(
    name: &str,
    keys: &Keys,
    lookups: &BTreeMap<String, Missing>,
    wrong: &mut impl FnMut(&str, &str, Option<String>),
) -> bool {
    let mut is_right = true;
    let mut wrong = |key: &str, message: &str, hint: Option<String>| {
        is_right = false;
        wrong(key, message, hint);
    };
    match (&keys.path, &keys.value) {
        (None, None) => wrong("path", "is missing", Some("`path`, or `value` for a constant".to_owned())),
        (Some(_), Some(_)) => wrong("value", "stands beside `path`", Some("one of the two".to_owned())),
        _ => {}
    }
    if let Some(cast) = keys.cast.filter(|cast| !T::CASTS.contains(cast)) {
        let known: Vec<String> = T::CASTS.iter().map(ToString::to_string).collect();
        wrong("cast", &format!("`{cast}` does not fit this field"), Some(format!("one of {}", known.join(", "))));
    }
    let reads_dates = keys.cast.or(T::DEFAULT).is_some_and(Cast::reads_dates);
    for (key, is_set) in [("format", keys.format.is_some()), ("timezone", keys.timezone.is_some())] {
        if is_set && !reads_dates {
            wrong(key, "is of use only to the casts datetime and date", None);
        }
    }
    if keys.unit.is_some() && name != "probability" {
        wrong("unit", "is of use only to probability", None);
    }
    if keys.required && keys.on_error == Some(OnError::Null) {
        wrong("on_error", "`null` contradicts `required`", None);
    }
    match &keys.lookup {
        Some(table) if !lookups.contains_key(table) => {
            let known: Vec<&str> = lookups.keys().map(String::as_str).collect();
            let hint = nearest_key(table, known.iter());
            let hint = hint.unwrap_or_else(|| "define it under `lookup` of this source".to_owned());
            wrong("lookup", "no look-up has this name", Some(hint));
        }
        None if keys.missing.is_some() => wrong("missing", "is of use only beside `lookup`", None),
        _ => {}
    }
    is_right
}

/// One field, checked.
struct Field<T> {
    name: String,
    origin: Origin,
    lookup: Option<(String, Missing)>,
    casting: Casting,
    default: Option<T>,
    required: bool,
    on_error: OnError,
}

enum Origin {
    Path(Path),
    Constant(Scalar<'static>),
}

/// One record while it is read.
struct Reading<'r, 'a> {
    record: &'r Node<'a>,
    names: &'r Names,
    id: String,
    findings: &'r mut Findings,
}

impl Reading<'_, '_> {
    fn maybe<T: Target>(&mut self, field: Option<&Field<T>>) -> Result<Option<T>, Refusal> {
        field.map_or(Ok(None), |field| field.read(self))
    }
}

impl<T: Target> Field<T> {
    fn given<'a>(&self, record: &Node<'a>) -> Option<Scalar<'a>> {
        match &self.origin {
            Origin::Path(path) => path.find(record).and_then(Json::scalar),
            Origin::Constant(constant) => Some(constant.clone()),
        }
    }

    fn read(&self, reading: &mut Reading<'_, '_>) -> Result<Option<T>, Refusal> {
        let value = match self.given(reading.record) {
            Some(given) => self.look_up(given, reading)?,
            None => None,
        };
        match value.map_or(Ok(None), |value| T::of(&value, &self.casting)) {
            Ok(None) if self.default.is_some() => Ok(self.default.clone()),
            Ok(None) if self.required => Err(self.refusal("is missing")),
            Ok(read) => Ok(read),
            Err(fault) if self.on_error == OnError::Null => {
                reading.findings.add(fault.rule(), &self.name, &reading.id);
                Ok(None)
            }
            Err(fault) => Err(self.refusal(&fault.to_string())),
        }
    }

    /// What the table says about the key; a field without a table keeps its value.
    fn look_up<'r>(&self, key: Scalar<'r>, reading: &mut Reading<'r, '_>) -> Result<Option<Scalar<'r>>, Refusal> {
        let Some((table, missing)) = &self.lookup else { return Ok(Some(key)) };
        if key.is_blank() {
            return Ok(None);
        }
        if let Some(name) = key.text().and_then(|key| reading.names.get(table, key)) {
            return Ok(Some(Scalar::Text(name.into())));
        }
        if *missing == Missing::Fail {
            return Err(Refusal::Fail(format!("field `{}`: look-up `{table}` does not know the key", self.name)));
        }
        reading.findings.add(Rule::R09, &self.name, &reading.id);
        Ok((*missing == Missing::Keep).then_some(key))
    }

    fn refusal(&self, what: &str) -> Refusal {
        match self.on_error {
            OnError::Skip => Refusal::Skip,
            _ => Refusal::Fail(format!("field `{}` {what}", self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::model::finding::Finding;
    use crate::settings::section;

    fn tables() -> BTreeMap<String, Missing> {
        BTreeMap::from([("stages".to_owned(), Missing::Keep), ("users".to_owned(), Missing::Null)])
    }

    fn read(toml: &str) -> Result<Mapping, Vec<Problem>> {
        Mapping::read(section(toml), &tables(), Tz::Europe__Berlin)
    }

    fn deal(toml: &str, record: &str) -> (Result<Deal, Refusal>, Vec<Finding>) {
        let stages = HashMap::from([("0".to_owned(), "New".to_owned()), ("7".to_owned(), "Won".to_owned())]);
        let names = Names(BTreeMap::from([("stages".to_owned(), stages), ("users".to_owned(), HashMap::new())]));
        let mut findings = Findings::default();
        let mapping = read(&format!("id = '$.id'\n{toml}")).unwrap();
        let deal = mapping.deal(&Node::document(record).unwrap(), &names, &mut findings);
        (deal, findings.into_list())
    }

    fn good(toml: &str, record: &str) -> Deal {
        let (deal, findings) = deal(toml, record);
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
        let (deal, findings) = deal(toml, r#"{"id": 1, "v": 1e400, "p": 30, "k": "Euro", "c": "soon"}"#);
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
        let refused = |toml: &str, record: &str| deal(toml, record).0.unwrap_err();
        let fail = "value = { path = 'v', on_error = 'fail' }";
        assert_eq!(
            refused(fail, r#"{"id": 1, "v": "canary"}"#),
            Refusal::Fail("field `value` cannot be read".to_owned())
        );
        assert_eq!(refused("value = { path = 'v', on_error = 'skip' }", r#"{"id": 1, "v": "x"}"#), Refusal::Skip);
        let required = "stage = { path = 's', required = true }";
        assert_eq!(refused(required, r#"{"id": 1}"#), Refusal::Fail("field `stage` is missing".to_owned()));
        for record in ["{}", r#"{"id": null}"#, r#"{"id": ""}"#, r#"{"id": [1]}"#, "7"] {
            assert!(matches!(refused("", record), Refusal::Fail(_)), "{record}");
        }
        let mapping = read("id = { path = 'id', on_error = 'skip' }").unwrap();
        let refused = mapping.deal(&Node::document("{}").unwrap(), &Names::default(), &mut Findings::default());
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
        let (kept, findings) = deal("stage = { path = 's', lookup = 'stages' }", r#"{"id": 1, "s": 8}"#);
        assert_eq!(kept.unwrap().stage.as_deref(), Some("8"));
        assert_eq!((findings[0].rule, findings[0].field.as_str()), (Rule::R09, "stage"));
        let (dropped, findings) = deal("owner = { path = 's', lookup = 'users' }", r#"{"id": 1, "s": 8}"#);
        let dropped = dropped.unwrap();
        assert_eq!((dropped.owner, dropped.owner_id.as_deref()), (None, Some("8")), "the table's own `missing`");
        assert_eq!(findings.len(), 1);
        let (refused, _) =
            deal("stage = { path = 's', lookup = 'stages', missing = 'fail' }", r#"{"id": 1, "s": "canary"}"#);
        assert!(matches!(refused, Err(Refusal::Fail(why)) if !why.contains("canary")));
    }

    #[test]
    fn everything_wrong_with_the_fields_is_told_at_once() {
        let problems = read(
            "name = '$.a['\nvalue = { path = 'v', cast = 'datetime' }\nprobability = 'p'\nstage = { path = 's', lookup = 'stagse' }\n\
            owner = { value = 'x', path = 'y' }\ncurency = 'k'\ncurrency = { value = 'Euro' }\nclose_date = { path = 'd', unit = 'percent' }\n\
            created_at = { path = 'c', cast = 'epoch_s', format = '%Y' }\nupdated_at = { path = 'c', timezone = 'Berlin' }\n\
            closed_at = { path = 'c', format = '%!' }\nurl = { path = 'u', required = true, on_error = 'null' }\ncompany = { lookup = 'users' }\n\
            lost_reason = { path = 'l', missing = 'null' }\ndeal_type = { path = 'd', vars = 1 }\nowner_id = 7\n[custom]\nx = '$.1'",
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
