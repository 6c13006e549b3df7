//! Which records are wanted: the tests of `where`.

use std::cmp::Ordering;

use chrono_tz::Tz;
use serde::Deserialize;

use crate::sources::rest::json::Node;
use crate::sources::rest::path::Path;
use crate::sources::rest::record::Record;
use crate::sources::values::dates;
use crate::sources::values::scalar::{Constants, Scalar};

/// One test of `where`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
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
pub(super) struct Condition {
    path: Path,
    op: Op,
    values: Vec<Scalar<'static>>,
}

impl Condition {
    /// Checks that the test has the value its operation needs.
    pub(super) fn new(keys: Keys) -> Result<Self, &'static str> {
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

    /// The path, if a record without it is filtered out.
    pub(super) fn needs(&self) -> Option<&Path> {
        let is_needed = !matches!(self.op, Op::Ne | Op::NotIn | Op::Exists | Op::Missing);
        is_needed.then_some(&self.path)
    }

    pub(super) fn holds(&self, record: &Record<'_>) -> bool {
        let value = record.value(&self.path);
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
            Op::Exists => value.is_some(),
            Op::Missing => value.is_none(),
            Op::Contains => match self.path.find(&record.node).and_then(|found| Node::of(found).items()) {
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
    let (Scalar::Text(value), Scalar::Text(other)) = (value, other) else { return None };
    match (dates::instant(value, Tz::UTC), dates::instant(other, Tz::UTC)) {
        (Some(value), Some(other)) => Some(value.cmp(&other)),
        _ => Some(value.cmp(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;
    use crate::sources::rest::records;

    const RECORD: &str = r#"{"n": 7, "t": "7", "big": 90071992547409931, "name": "Acme Ltd", "on": true, "none": null,
        "at": "2026-01-31T10:00:00+02:00", "tags": ["a", 2]}"#;

    fn holds(condition: &str) -> bool {
        let keys = section(&format!("where = [{{ {condition} }}]")).read::<records::Keys>(&[]).unwrap();
        keys.check().unwrap().wants(&Record::of(serde_json::from_str(RECORD).unwrap()))
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
            let keys = section(&format!("where = [{{ {condition} }}]")).read::<records::Keys>(&[]).unwrap();
            assert_eq!(keys.check().unwrap_err()[0].path, ["where", "0", "value"], "{condition}");
        }
        assert!(section("where = [{ path = 'n', op = 'like', value = 1 }]").read::<records::Keys>(&[]).is_err());
    }
}
