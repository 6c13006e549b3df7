//! The fields as the configuration writes them, and everything that can be wrong about one.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use figment::value::Value;
use serde::Deserialize;

use crate::settings::{Problem, Section, nearest_key};
use crate::sources::rest::fields::field::{Field, From, MapDefault, OnError, Origin};
use crate::sources::rest::lookup::{About, Missing, Mode, column};
use crate::sources::rest::path::{Path, Paths};
use crate::sources::values::cast::{Cast, Casting, Target, Unit};
use crate::sources::values::moment::{Format, Zone};
use crate::sources::values::scalar::{Constant, Constants};
use crate::sources::values::separators::{Characters, Factor, Separators};

/// What a field can say in its long form; the short form is the path alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    path: Option<Paths>,
    join: Option<Paths>,
    sep: Option<String>,
    parts: Option<Paths>,
    value: Option<Constants>,
    lookup: Option<String>,
    missing: Option<Missing>,
    map: Option<BTreeMap<String, Constant>>,
    map_default: Option<MapDefault>,
    fallback: Option<FallbackKeys>,
    cast: Option<Cast>,
    scale: Option<Factor>,
    decimal: Option<char>,
    thousands: Option<char>,
    strip: Option<Characters>,
    format: Option<Format>,
    timezone: Option<Zone>,
    pub(super) unit: Option<Unit>,
    pub(super) default: Option<Constant>,
    #[serde(default)]
    required: bool,
    pub(super) on_error: Option<OnError>,
}

/// Where a value comes from if its own place is empty; it is read as the field says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FallbackKeys {
    path: Option<Paths>,
    join: Option<Paths>,
    sep: Option<String>,
    value: Option<Constants>,
    lookup: Option<String>,
    missing: Option<Missing>,
    map: Option<BTreeMap<String, Constant>>,
    map_default: Option<MapDefault>,
}

/// A field as the configuration has it: where it stands there, and what it says.
pub(super) struct Asked {
    pub(super) place: Vec<String>,
    pub(super) keys: Keys,
}

/// The columns that fields look into: name, table, and the paths where they are not the table's own.
pub(super) type Columns = BTreeMap<String, (String, Option<Vec<Path>>)>;

impl Asked {
    /// The key of a looked-up label, as a separate field.
    pub(super) fn key_of_label(&self) -> Option<Self> {
        let Keys { path, join, sep, lookup, .. } = &self.keys;
        lookup.as_ref()?;
        let keys = Keys { path: path.clone(), join: join.clone(), sep: sep.clone(), ..Keys::default() };
        Some(Self { place: self.place.clone(), keys })
    }

    /// The table that this field looks into.
    pub(super) fn table(&self) -> Option<&str> {
        self.keys.lookup.as_deref()
    }

    /// Whether the field gives every deal the same.
    pub(super) fn is_constant(&self) -> bool {
        self.keys.value.is_some() && self.keys.lookup.is_none()
    }

    /// Where the field comes from, for people.
    pub(super) fn origin(&self) -> String {
        let Keys { path, join, parts, .. } = &self.keys;
        let listed = |paths: &Option<Paths>, between: &str| {
            let paths = paths.as_ref().map(|paths| &paths.0[..]).unwrap_or_default();
            paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
        };
        let ways = [listed(path, ", "), listed(join, " + "), listed(parts, " ")];
        let ways: Vec<String> = ways.into_iter().filter(|way| !way.is_empty()).collect();
        if ways.is_empty() { "(constant)".to_owned() } else { ways.join(", ") }
    }
}

/// What a constant of each type of field looks like.
const FITTING: &str = "for instance `1200.50` for money, `EUR` for a currency, `2026-11-22` for a day";

/// Reads every field on its own, so that one mistake hides no other.
pub(super) fn ask(section: Section, problems: &mut Vec<Problem>) -> BTreeMap<String, Asked> {
    let mut asked = BTreeMap::new();
    let mut add = |name: String, place: Vec<String>, value: Value| {
        let keys = match value {
            _ if name.is_empty() || name == CUSTOM => {
                Err(vec![Problem::at("", "has no name").hint("for instance `region = \"$.region\"`")])
            }
            Value::String(_, text) => match text.parse::<Path>() {
                Ok(path) => Ok(Keys { path: Some(Paths(vec![path])), ..Keys::default() }),
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

/// The prefix of a custom field's name.
pub(super) const CUSTOM: &str = "custom.";

/// Puts a problem where its field stands.
pub(super) fn moved(problem: Problem, place: &[String]) -> Problem {
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    problem.under(&place)
}

/// What a field is checked against, and what is found.
pub(super) struct Check<'c> {
    pub(super) lookups: &'c BTreeMap<String, About>,
    pub(super) day_zone: Tz,
    pub(super) columns: Columns,
    pub(super) problems: Vec<Problem>,
}

impl Check<'_> {
    /// One field with everything wrong about it.
    pub(super) fn field<T: Target>(&mut self, name: &str, number: usize, asked: Asked) -> Option<Field<T>> {
        let Asked { place, keys } = asked;
        let before = self.problems.len();
        let mut wrong = Vec::new();
        wrong_keys::<T>(name, &keys, &mut wrong);
        let casting = Casting {
            cast: keys.cast.or(T::DEFAULT),
            separators: Separators { decimal: keys.decimal, thousands: keys.thousands, strip: keys.strip.clone() },
            scale: keys.scale.map(|factor| factor.0),
            unit: keys.unit.unwrap_or(Unit::Fraction),
            format: keys.format.clone(),
            zone: keys.timezone.map(|zone| zone.0),
            day_zone: self.day_zone,
        };
        // A default is the field's own final form, whatever the CRM's values look like.
        let plain = Casting::of(T::DEFAULT, self.day_zone);
        let default = keys.default.as_ref().map(|default| T::of(&default.0, &plain));
        if !matches!(default, None | Some(Ok(Some(_)))) {
            wrong.push(Problem::at("default", "does not fit the field").hint(FITTING));
        }
        let from = self.from::<T>(Source::of(&keys), false, &mut wrong);
        if let Some(From { origin: Origin::Constant(value), .. }) = &from
            && !matches!(T::of(value, &casting), Ok(Some(_)))
        {
            wrong.push(Problem::at("value", "does not fit the field").hint(FITTING));
        }
        let fallback = keys.fallback.as_ref().map(|fallback| {
            let mut inside = Vec::new();
            let from = self.from::<T>(Source::of_fallback(fallback), false, &mut inside);
            wrong.extend(inside.into_iter().map(|problem| problem.under(&["fallback"])));
            from
        });
        self.problems.extend(wrong.into_iter().map(|problem| moved(problem, &place)));
        let must = keys.required || name == "id";
        (self.problems.len() == before).then_some(())?;
        Some(Field {
            name: name.to_owned(),
            number,
            from: from?,
            fallback: fallback.flatten(),
            casting,
            default: default.and_then(Result::ok).flatten(),
            required: keys.required,
            on_error: keys.on_error.unwrap_or(if must { OnError::Fail } else { OnError::Null }),
        })
    }

    /// A name that is looked up by ids, once all pages are in: where its key is, and what stands for unknown ones.
    pub(super) fn late(&mut self, asked: Asked) -> Option<(Origin, Missing)> {
        let Asked { place, keys } = asked;
        let mut wrong = Vec::new();
        let extra = [
            ("value", keys.value.is_some()),
            ("map", keys.map.is_some()),
            ("fallback", keys.fallback.is_some()),
            ("cast", keys.cast.is_some()),
            ("default", keys.default.is_some()),
            ("required", keys.required),
            ("on_error", keys.on_error.is_some()),
        ];
        for (key, _) in extra.into_iter().filter(|(_, is_set)| *is_set) {
            let problem = Problem::at(key, "cannot be had beside a look-up by ids: it is read after the deals");
            wrong.push(problem.hint("a look-up of `mode = \"list\"`"));
        }
        let from = self.from::<String>(Source { value: None, map: None, ..Source::of(&keys) }, true, &mut wrong);
        if from.as_ref().is_some_and(|from| matches!(from.lookup, Some((_, Missing::Fail)))) {
            wrong.push(Problem::at("missing", "`fail` cannot be had of a look-up by ids: it is read after the deals"));
        }
        let is_right = wrong.is_empty();
        self.problems.extend(wrong.into_iter().map(|problem| moved(problem, &place)));
        let From { origin, lookup, .. } = from.filter(|_| is_right)?;
        Some((origin, lookup?.1))
    }

    fn from<T: Target>(&mut self, source: Source<'_>, is_late: bool, wrong: &mut Vec<Problem>) -> Option<From> {
        let before = wrong.len();
        let origin = source.origin(wrong);
        let lookup = source.lookup.and_then(|table| self.lookup::<T>(table, &source, is_late, wrong));
        let map = source.map.map(|map| {
            let labels = map.iter().map(|(key, label)| (key.clone(), label.0.clone())).collect();
            (labels, source.map_default.unwrap_or_default())
        });
        for (key, is_alone) in [
            ("missing", source.missing.is_some() && source.lookup.is_none()),
            ("map_default", source.map_default.is_some() && source.map.is_none()),
            ("sep", source.sep.is_some() && source.join.is_none()),
        ] {
            if is_alone {
                let beside = if key == "missing" { "lookup" } else { key.split('_').next().unwrap_or(key) };
                let beside = if key == "sep" { "join" } else { beside };
                wrong.push(Problem::at(key, format!("is of use only beside `{beside}`")));
            }
        }
        if source.map.is_some_and(BTreeMap::is_empty) {
            wrong.push(Problem::at("map", "is empty"));
        }
        (wrong.len() == before).then_some(())?;
        Some(From { origin: origin?, lookup, map })
    }

    /// The column that a field looks into, and what becomes of keys that it does not know.
    fn lookup<T: Target>(
        &mut self,
        table: &str,
        source: &Source<'_>,
        is_late: bool,
        wrong: &mut Vec<Problem>,
    ) -> Option<(String, Missing)> {
        let Some(about) = self.lookups.get(table) else {
            let known: Vec<&str> = self.lookups.keys().map(String::as_str).collect();
            let hint = nearest_key(table, known.iter());
            let hint = hint.unwrap_or_else(|| "define it under `lookup` of this source".to_owned());
            wrong.push(Problem::at("lookup", "no look-up has this name").hint(hint));
            return None;
        };
        if about.mode == Mode::Ids && !is_late {
            let problem = Problem::at("lookup", "is asked for by ids, which serves `company` and `owner` alone");
            wrong.push(problem.hint("a look-up of `mode = \"list\"`"));
        }
        let paths = source.value.map(|value| paths_of(value, wrong));
        if paths.is_some() && about.mode == Mode::Static {
            let problem = Problem::at("value", "a table that is written down has one name for each key");
            wrong.push(problem.hint("leave `value` out"));
        }
        // A key is not an amount, a date, or a substitute for another column.
        let can_keep = T::IS_TEXT && paths.is_none();
        if source.missing == Some(Missing::Keep) && !can_keep {
            wrong.push(Problem::at("missing", "`keep`: a key cannot stand here").hint("`null` or `fail`"));
        }
        let missing = source.missing.unwrap_or(about.missing);
        let missing = if missing == Missing::Keep && !can_keep { Missing::Null } else { missing };
        let name = column(table, paths.as_deref());
        self.columns.insert(name.clone(), (table.to_owned(), paths));
        Some((name, missing))
    }
}

/// Texts of the configuration as paths.
fn paths_of(value: &Constants, wrong: &mut Vec<Problem>) -> Vec<Path> {
    let mut paths = Vec::new();
    for constant in value.all() {
        match constant.0.text().unwrap_or_default().parse::<Path>() {
            Ok(path) => paths.push(path),
            Err(why) => wrong.push(Problem::at("value", format!("is no path: {why}"))),
        }
    }
    paths
}

/// What a field and its fallback say of their source.
#[derive(Clone, Copy)]
struct Source<'k> {
    path: Option<&'k Paths>,
    join: Option<&'k Paths>,
    sep: Option<&'k String>,
    parts: Option<&'k Paths>,
    value: Option<&'k Constants>,
    lookup: Option<&'k str>,
    missing: Option<Missing>,
    map: Option<&'k BTreeMap<String, Constant>>,
    map_default: Option<MapDefault>,
}

impl<'k> Source<'k> {
    fn of(keys: &'k Keys) -> Self {
        Self {
            path: keys.path.as_ref(),
            join: keys.join.as_ref(),
            sep: keys.sep.as_ref(),
            parts: keys.parts.as_ref(),
            value: keys.value.as_ref(),
            lookup: keys.lookup.as_deref(),
            missing: keys.missing,
            map: keys.map.as_ref(),
            map_default: keys.map_default,
        }
    }

    fn of_fallback(keys: &'k FallbackKeys) -> Self {
        Self {
            path: keys.path.as_ref(),
            join: keys.join.as_ref(),
            sep: keys.sep.as_ref(),
            parts: None,
            value: keys.value.as_ref(),
            lookup: keys.lookup.as_deref(),
            missing: keys.missing,
            map: keys.map.as_ref(),
            map_default: keys.map_default,
        }
    }

    fn origin(&self, wrong: &mut Vec<Problem>) -> Option<Origin> {
        let constant = self.value.filter(|_| self.lookup.is_none());
        let has_paths = self.path.is_some() || self.join.is_some();
        match (constant, self.parts, has_paths) {
            (None, None, false) => {
                wrong.push(Problem::at("path", "is missing").hint("`path`, or `value` for a constant"));
                None
            }
            (Some(_), _, true) | (Some(_), Some(_), _) => {
                wrong.push(Problem::at("value", "stands beside `path`").hint("one of the two"));
                None
            }
            (_, Some(_), true) => {
                wrong.push(Problem::at("parts", "stands beside `path`").hint("one of the two"));
                None
            }
            (Some(_), None, false) if self.map.is_some() => {
                wrong.push(Problem::at("map", "is of no use to a constant"));
                None
            }
            (Some(Constants::One(constant)), None, false) => Some(Origin::Constant(constant.0.clone())),
            (Some(Constants::List(_)), None, false) => {
                wrong.push(Problem::at("value", "expected a single value"));
                None
            }
            (None, Some(parts), false) => self.dated(parts, wrong),
            (None, None, true) => {
                let listed = |paths: Option<&Paths>| paths.map(|paths| paths.0.clone()).unwrap_or_default();
                if [self.path, self.join].into_iter().flatten().any(|paths| paths.0.is_empty()) {
                    wrong.push(Problem::at("path", "is an empty list"));
                    return None;
                }
                let separator = self.sep.cloned().unwrap_or_else(|| " ".to_owned());
                Some(Origin::Paths { first: listed(self.path), join: listed(self.join), separator })
            }
        }
    }

    fn dated(&self, parts: &Paths, wrong: &mut Vec<Problem>) -> Option<Origin> {
        if self.lookup.is_some() || self.map.is_some() {
            wrong.push(Problem::at("parts", "are of a date, which no table and no map knows"));
            return None;
        }
        if !(1..=7).contains(&parts.0.len()) {
            let hint = "year, month, day, hour, minute, second, microsecond; the last ones may be left out";
            wrong.push(Problem::at("parts", "expected one to seven paths").hint(hint));
            return None;
        }
        Some(Origin::Parts(parts.0.clone()))
    }
}

/// Tells every key that does not go with the others.
fn wrong_keys<T: Target>(name: &str, keys: &Keys, wrong: &mut Vec<Problem>) {
    if let Some(cast) = keys.cast.filter(|cast| !T::CASTS.contains(cast)) {
        let known: Vec<String> = T::CASTS.iter().map(ToString::to_string).collect();
        let problem = Problem::at("cast", format!("`{cast}` does not fit this field"));
        wrong.push(problem.hint(format!("one of {}", known.join(", "))));
    }
    let cast = keys.cast.or(T::DEFAULT);
    let reads_dates = cast.is_some_and(Cast::reads_dates);
    let reads_numbers = cast.is_some_and(Cast::reads_numbers);
    let mut only = |key: &str, is_set: bool, fits: bool, to: &str| {
        if is_set && !fits {
            wrong.push(Problem::at(key, format!("is of use only to {to}")));
        }
    };
    only("format", keys.format.is_some(), reads_dates, "the casts datetime and date");
    only("timezone", keys.timezone.is_some(), reads_dates, "the casts datetime and date");
    only("parts", keys.parts.is_some(), reads_dates, "the casts datetime and date");
    only("format", keys.format.is_some() && reads_dates, keys.parts.is_none(), "a date in one text");
    only("scale", keys.scale.is_some(), reads_numbers, "numbers");
    only("decimal", keys.decimal.is_some(), reads_numbers, "numbers");
    only("thousands", keys.thousands.is_some(), reads_numbers, "numbers");
    only("strip", keys.strip.is_some(), reads_numbers, "numbers");
    only("unit", keys.unit.is_some(), name == "probability", "probability");
    if keys.thousands.is_some_and(|thousands| thousands == keys.decimal.unwrap_or('.')) {
        wrong.push(
            Problem::at("thousands", "is the same as `decimal`").hint("`decimal` is `.` where nothing else is said"),
        );
    }
    if keys.required && keys.on_error == Some(OnError::Null) {
        wrong.push(Problem::at("on_error", "`null` contradicts `required`"));
    }
    if keys.required && keys.default.is_some() {
        wrong.push(Problem::at("required", "can never fail beside `default`").hint("one of the two"));
    }
    if name == "probability" && keys.unit.is_none() {
        let problem = Problem::at("unit", "is missing: 1 could be 1 % or 100 %");
        wrong.push(problem.hint("`percent` for 0 to 100, `fraction` for 0 to 1"));
    }
}

/// The tables that fields look into, by name.
pub(super) fn tables(columns: &Columns) -> BTreeSet<&str> {
    columns.values().map(|(table, _)| table.as_str()).collect()
}
