//! Which values of an answer are records, and which of them are wanted.

use std::cmp::Ordering;

use serde::Deserialize;

use crate::settings::Problem;
use crate::sources::rest::casts;
use crate::sources::rest::json::{Constants, Json, Node, Scalar};
use crate::sources::rest::path::{ListPath, Path};
use crate::sources::source::SourceError;

/// Where the records are and which count; `[sources.x.records]`, and the same keys of a look-up.
#[derive(Debug, Clone)]
pub(super) struct Records {
    path: ListPath,
    null_is_empty: bool,
    conditions: Vec<Condition>,
}

/// The keys of `[sources.x.records]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    #[serde(default = "ListPath::root")]
    path: ListPath,
    #[serde(default)]
    null_is_empty: bool,
    #[serde(default, rename = "where")]
    conditions: Vec<ConditionKeys>,
}

/// One test of `where`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionKeys {
    path: Path,
    op: Op,
    value: Option<Constants>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Eq,
    Ne,
    In,
    NotIn,
    Lt,
    Le,
    Gt,
    Ge,
    Exists,
    Missing,
    Contains,
    StartsWith,
}

#[derive(Debug, Clone)]
struct Condition {
    path: Path,
    op: Op,
    values: Vec<Scalar<'static>>,
}

impl Keys {
    pub(super) fn check(self) -> Result<Records, Vec<Problem>> {
        Records::new(self.path, self.null_is_empty, self.conditions)
    }
}

impl Records {
    /// Checks that every test has the value its operation needs.
    pub(super) fn new(
        path: ListPath,
        null_is_empty: bool,
        conditions: Vec<ConditionKeys>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut checked = Vec::new();
        for (index, keys) in conditions.into_iter().enumerate() {
            match Condition::new(keys) {
                Ok(condition) => checked.push(condition),
                Err(message) => problems.push(Problem::at(&format!("where.{index}.value"), message)),
            }
        }
        if problems.is_empty() { Ok(Self { path, null_is_empty, conditions: checked }) } else { Err(problems) }
    }

    /// All records of an answer, wanted or not.
    pub(super) fn all<'a>(&self, document: &Node<'a>) -> Result<Vec<Json<'a>>, SourceError> {
        self.path.records(document, self.null_is_empty)
    }

    /// Whether every test holds for the record.
    pub(super) fn wants(&self, record: &Node<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(record))
    }
}

impl Condition {
    fn new(keys: ConditionKeys) -> Result<Self, &'static str> {
        match (keys.op, &keys.value) {
            (Op::Exists | Op::Missing, Some(_)) => return Err("is of no use to this `op`"),
            (Op::Exists | Op::Missing, None) | (Op::In | Op::NotIn, Some(Constants::List(_))) => {}
            (Op::In | Op::NotIn, _) => return Err("expected a list in [ ]"),
            (_, Some(Constants::One(_))) => {}
            (_, None) => return Err("is missing"),
            (_, Some(Constants::List(_))) => return Err("expected a single value"),
        }
        let values = keys.value.map(|value| value.all().iter().map(|constant| constant.0.clone()).collect());
        Ok(Self { path: keys.path, op: keys.op, values: values.unwrap_or_default() })
    }

    fn holds(&self, record: &Node<'_>) -> bool {
        let found = self.path.find(record);
        let value = found.and_then(Json::scalar);
        let is_listed = || value.as_ref().is_some_and(|value| self.values.iter().any(|listed| value.is(listed)));
        let compares = |wanted: fn(Ordering) -> bool| {
            value.as_ref().zip(self.values.first()).and_then(|(value, other)| compare(value, other)).is_some_and(wanted)
        };
        match self.op {
            Op::Eq | Op::In => is_listed(),
            Op::Ne | Op::NotIn => !is_listed(),
            Op::Lt => compares(Ordering::is_lt),
            Op::Le => compares(Ordering::is_le),
            Op::Gt => compares(Ordering::is_gt),
            Op::Ge => compares(Ordering::is_ge),
            Op::Exists => found.is_some(),
            Op::Missing => found.is_none(),
            Op::Contains => match found.and_then(|found| Node::of(found).items()) {
                Some(items) => items.iter().filter_map(|item| item.scalar()).any(|item| item.is(&self.values[0])),
                None => self.tries(value.as_ref(), |text, part| text.contains(part)),
            },
            Op::StartsWith => self.tries(value.as_ref(), |text, part| text.starts_with(part)),
        }
    }

    fn tries(&self, value: Option<&Scalar<'_>>, test: fn(&str, &str) -> bool) -> bool {
        let texts = value.and_then(Scalar::text).zip(self.values.first().and_then(Scalar::text));
        texts.is_some_and(|(text, part)| test(text, part))
    }
}

/// Numbers as numbers, dates as instants, all else as texts.
fn compare(value: &Scalar<'_>, other: &Scalar<'_>) -> Option<Ordering> {
    if let Some((value, other)) = value.number().zip(other.number()) {
        return Some(value.cmp(&other));
    }
    if let Some((value, other)) = casts::instant(value).zip(casts::instant(other)) {
        return Some(value.cmp(&other));
    }
    match (value, other) {
        (Scalar::Text(value), Scalar::Text(other)) => Some(value.cmp(other)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    const RECORD: &str = r#"{"n": 7, "t": "7", "big": 90071992547409931, "name": "Acme Ltd", "on": true, "none": null,
        "at": "2026-01-31T10:00:00+02:00", "tags": ["a", 2]}"#;

    fn holds(condition: &str) -> bool {
        let keys = section(&format!("where = [{{ {condition} }}]")).read::<Keys>(&[]).unwrap();
        keys.check().unwrap().wants(&Node::document(RECORD).unwrap())
    }

    #[test]
    fn every_operation_knows_numbers_texts_and_dates() {
        for condition in [
            "path = 'n', op = 'eq', value = 7",
            "path = 'n', op = 'eq', value = '7'",
            "path = 'n', op = 'eq', value = 7.0",
            "path = 't', op = 'eq', value = 7",
            "path = 'big', op = 'eq', value = 90071992547409931",
            "path = 'on', op = 'eq', value = true",
            "path = 'on', op = 'ne', value = false",
            "path = 'none', op = 'ne', value = 1",
            "path = 'n', op = 'in', value = [1, 7]",
            "path = 'absent', op = 'not_in', value = [1, 7]",
            "path = 'n', op = 'lt', value = 10",
            "path = 't', op = 'lt', value = 10",
            "path = 'n', op = 'ge', value = 7",
            "path = 'at', op = 'lt', value = '2026-01-31T09:00:00Z'",
            "path = 'at', op = 'gt', value = '2026-01-31'",
            "path = 'name', op = 'gt', value = 'Aaa'",
            "path = 'name', op = 'contains', value = 'me L'",
            "path = 'tags', op = 'contains', value = 2",
            "path = 'name', op = 'starts_with', value = 'Acme'",
            "path = 'none', op = 'missing'",
            "path = 'on', op = 'exists'",
        ] {
            assert!(holds(condition), "{condition}");
        }
        for condition in [
            "path = 't', op = 'eq', value = '07'",
            "path = 'big', op = 'eq', value = 90071992547409932",
            "path = 'on', op = 'eq', value = false",
            "path = 'absent', op = 'lt', value = 10",
            "path = 'name', op = 'lt', value = 10",
            "path = 'tags', op = 'contains', value = 'b'",
            "path = 'absent', op = 'contains', value = 'b'",
            "path = 'none', op = 'exists'",
        ] {
            assert!(!holds(condition), "{condition}");
        }
    }

    #[test]
    fn a_test_without_the_value_it_needs_is_a_problem() {
        for condition in [
            "path = 'n', op = 'eq'",
            "path = 'n', op = 'in', value = 1",
            "path = 'n', op = 'lt', value = [1]",
            "path = 'n', op = 'exists', value = 1",
        ] {
            let keys = section(&format!("where = [{{ {condition} }}]")).read::<Keys>(&[]).unwrap();
            assert_eq!(keys.check().unwrap_err()[0].path, ["where", "0", "value"], "{condition}");
        }
        assert!(section("where = [{ path = 'n', op = 'like', value = 1 }]").read::<Keys>(&[]).is_err());
    }
}
