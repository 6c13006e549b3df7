//! One field of a deal: from where, through which table, into what.
//!
//! In this order: path, look-up, map, fallback, scale, cast, unit, default.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::finding::{Findings, Rule};
use crate::sources::rest::lookup::Missing;
use crate::sources::rest::path::{Path, PathMiss};
use crate::sources::rest::record::Record;
use crate::sources::source::Names;
use crate::sources::values::cast::{Casting, Fault, Target};
use crate::sources::values::scalar::Scalar;

/// What a value that does not fit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnError {
    /// It fails the pull.
    Fail,
    /// The field is empty, and a finding counts it.
    Null,
    /// The record is left out and counted as skipped.
    Skip,
}

/// What a value becomes that the map does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MapDefault {
    /// It stays.
    #[default]
    Keep,
    /// Nothing.
    Null,
    /// The pull fails.
    Fail,
}

/// Why a record became no deal.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sources::rest) enum Refusal {
    /// It is left out.
    Skip,
    /// The pull fails, and this is why.
    Fail(String),
}

/// One field, checked.
pub(super) struct Field<T> {
    pub(super) name: String,
    /// Which one it is among all, for its gaps.
    pub(super) number: usize,
    pub(super) from: From,
    pub(super) fallback: Option<From>,
    pub(super) casting: Casting,
    pub(super) default: Option<T>,
    pub(super) required: bool,
    pub(super) on_error: OnError,
}

/// Where a value comes from.
pub(super) struct From {
    pub(super) origin: Origin,
    /// The column of a look-up, and what becomes of keys it does not know.
    pub(super) lookup: Option<(String, Missing)>,
    pub(super) map: Option<(BTreeMap<String, Scalar<'static>>, MapDefault)>,
}

pub(super) enum Origin {
    Constant(Scalar<'static>),
    /// The first path that leads to a value; where none does, the values of others, joined.
    Paths {
        first: Vec<Path>,
        join: Vec<Path>,
        separator: String,
    },
    /// A date in parts: year, month, day, hour, minute, second, microsecond.
    Parts(Vec<Path>),
}

/// Why fields have nothing, by field, and in how many records.
pub(in crate::sources::rest) type Gaps = BTreeMap<(usize, Gap), u64>;

/// Why a field has nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sources::rest) enum Gap {
    /// The way to it ends early.
    Ends(PathMiss),
    /// What is there does not fit.
    Unfit(Fault),
}

/// One record while it is read.
pub(in crate::sources::rest) struct Reading<'r, 'a> {
    pub(in crate::sources::rest) record: &'r Record<'a>,
    /// The tables read before the first page.
    pub(in crate::sources::rest) names: &'r Names,
    /// The tables of this page.
    pub(in crate::sources::rest) page: &'r Names,
    /// The record's id, once it is known.
    pub(in crate::sources::rest) id: String,
    pub(in crate::sources::rest) findings: &'r mut Findings,
    pub(in crate::sources::rest) gaps: &'r mut Gaps,
}

impl Reading<'_, '_> {
    /// Reads a field that may not be mapped.
    pub(super) fn maybe<T: Target>(&mut self, field: Option<&Field<T>>) -> Result<Option<T>, Refusal> {
        field.map_or(Ok(None), |field| field.read(self))
    }
}

impl Origin {
    /// The value as the record has it.
    pub(super) fn given<'a>(&self, record: &Record<'a>) -> Option<Scalar<'a>> {
        match self {
            Self::Constant(constant) => Some(constant.clone()),
            Self::Parts(parts) => date_in_parts(parts, record),
            Self::Paths { first, join, separator } => {
                let found = first.iter().filter_map(|path| record.value(path)).find(|value| !value.is_blank());
                found.or_else(|| joined(join, separator, record)).or_else(|| {
                    // A text of blanks is a value to those who want the exact JSON.
                    first.iter().find_map(|path| record.value(path))
                })
            }
        }
    }

    /// The path that an error names.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Constant(_) => None,
            Self::Parts(parts) => parts.first(),
            Self::Paths { first, join, .. } => first.first().or(join.first()),
        }
    }
}

fn joined<'a>(join: &[Path], separator: &str, record: &Record<'a>) -> Option<Scalar<'a>> {
    let parts: Vec<Scalar<'_>> = join.iter().filter_map(|path| record.value(path)).collect();
    let parts: Vec<&str> = parts.iter().filter(|part| !part.is_blank()).filter_map(Scalar::text).collect();
    (!parts.is_empty()).then(|| Scalar::Text(parts.join(separator).into()))
}

/// The date in ISO 8601, with every part padded: as text it has only one reading. Missing parts behind the day are
/// zero; a part that is not a whole number, or is missing before one that is there, makes the text unreadable, so that it is
/// counted and not guessed.
fn date_in_parts<'a>(parts: &[Path], record: &Record<'a>) -> Option<Scalar<'a>> {
    let year = record.value(parts.first()?)?;
    let given: Vec<Option<Scalar<'_>>> = parts.iter().map(|path| record.value(path)).collect();
    let last = given.iter().rposition(Option::is_some).unwrap_or_default();
    let part = |index: usize, least: u32| match given.get(index).and_then(Option::as_ref) {
        None if index < last => None,
        None => Some(least),
        Some(value) => value.text()?.parse::<u32>().ok(),
    };
    let text = year.text().and_then(|year| year.parse::<u16>().ok()).and_then(|year| {
        let (month, day) = (part(1, 1)?, part(2, 1)?);
        let (hour, minute, second, microsecond) = (part(3, 0)?, part(4, 0)?, part(5, 0)?, part(6, 0)?);
        (microsecond < 1_000_000)
            .then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{microsecond:06}"))
    });
    Some(text.map_or(Scalar::Other("[]"), |text| Scalar::Text(text.into())))
}

impl<T: Target> Field<T> {
    /// The field's value in a record.
    pub(super) fn read(&self, reading: &mut Reading<'_, '_>) -> Result<Option<T>, Refusal> {
        let mut value = self.find(&self.from, reading)?;
        if let Some(fallback) = &self.fallback
            && value.as_ref().is_none_or(Scalar::is_blank)
        {
            value = self.find(fallback, reading)?;
        }
        if value.is_none() {
            self.note_gap(reading);
        }
        let read = value.as_ref().map_or(Ok(None), |value| T::of(value, &self.casting));
        match read {
            Ok(None) if self.default.is_some() => Ok(self.default.clone()),
            Ok(None) if self.required => Err(self.refusal(&self.missing(reading.record))),
            Ok(read) => {
                if value.is_some_and(|value| T::is_doubtful(&value, &self.casting)) {
                    reading.findings.add(Rule::D29, &self.name, &reading.id);
                }
                Ok(read)
            }
            Err(fault) if self.on_error == OnError::Null => {
                reading.findings.add(fault.rule(), &self.name, &reading.id);
                *reading.gaps.entry((self.number, Gap::Unfit(fault))).or_default() += 1;
                Ok(None)
            }
            Err(fault) => Err(self.refusal(&fault.to_string())),
        }
    }

    fn find<'r>(&self, from: &From, reading: &mut Reading<'r, '_>) -> Result<Option<Scalar<'r>>, Refusal> {
        let Some(given) = from.origin.given(reading.record) else { return Ok(None) };
        let Some(value) = self.look_up(from, given, reading)? else { return Ok(None) };
        let Some((map, otherwise)) = &from.map else { return Ok(Some(value)) };
        if value.is_blank() {
            return Ok(None);
        }
        match (value.text().and_then(|text| map.get(text)), otherwise) {
            (Some(label), _) => Ok(Some(label.clone())),
            (None, MapDefault::Keep) => Ok(Some(value)),
            (None, MapDefault::Null) => Ok(None),
            (None, MapDefault::Fail) => Err(self.refusal("holds a value that its map does not know")),
        }
    }

    /// What the table says about the key; a field without a table keeps its value.
    fn look_up<'r>(
        &self,
        from: &From,
        key: Scalar<'r>,
        reading: &mut Reading<'r, '_>,
    ) -> Result<Option<Scalar<'r>>, Refusal> {
        let Some((column, missing)) = &from.lookup else { return Ok(Some(key)) };
        if key.is_blank() {
            return Ok(None);
        }
        let (page, names) = (reading.page, reading.names);
        if let Some(name) = key.text().and_then(|key| page.get(column, key).or_else(|| names.get(column, key))) {
            return Ok(Some(Scalar::Text(name.into())));
        }
        if *missing == Missing::Fail {
            let table = column.split(' ').next().unwrap_or_default();
            return Err(Refusal::Fail(format!("field `{}`: look-up `{table}` does not know the key", self.name)));
        }
        reading.findings.add(Rule::R09, &self.name, &reading.id);
        Ok((*missing == Missing::Keep).then_some(key))
    }

    fn note_gap(&self, reading: &mut Reading<'_, '_>) {
        let Some(path) = self.from.origin.path() else { return };
        if let Err(miss) = reading.record.resolve(path) {
            *reading.gaps.entry((self.number, Gap::Ends(miss))).or_default() += 1;
        }
    }

    /// Where the way to a value that must be there ends.
    pub(super) fn missing(&self, record: &Record<'_>) -> String {
        let way = self.from.origin.path().and_then(|path| Some(path.describe_miss(record.resolve(path).err()?)));
        way.map_or_else(|| "is empty".to_owned(), |way| format!("is not there: {way}"))
    }

    /// What a value that does not fit does to its record.
    pub(super) fn refusal(&self, what: &str) -> Refusal {
        match self.on_error {
            OnError::Skip => Refusal::Skip,
            _ => Refusal::Fail(format!("field `{}` {what}", self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Rule;
    use crate::sources::rest::fields::tried::{deal_of, good, mapped, read};
    use crate::sources::source::Names;

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
}
