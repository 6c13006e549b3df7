//! Filters of the configuration as SOQL: fields the user may read, operators of a list, values in their own spelling.
//!
//! No value is inserted unchanged: text is escaped; numbers, days and instants are parsed and formatted.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use figment::value::Value;
use serde::Deserialize;

use crate::model::number;
use crate::settings::Problem;
use crate::sources::salesforce::api_name::is_path;
use crate::sources::salesforce::describe::{Described, Kind};
use crate::sources::source::SourceError;

/// The longest text in a condition.
const MAX_TEXT: usize = 4_000;

/// One of `where`, as configured.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    field: String,
    #[serde(default = "equal")]
    op: String,
    value: Value,
}

fn equal() -> String {
    "=".to_owned()
}

/// A condition that every deal must meet.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// The way to the field.
    pub(super) field: String,
    operator: Operator,
    values: Vec<Written>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Compare(&'static str),
    Like,
    In(&'static str),
}

/// A value as the configuration writes it.
#[derive(Debug, Clone)]
enum Written {
    Text(String),
    Number(String),
    Truth(bool),
}

const OPERATORS: [(&str, Operator); 9] = [
    ("=", Operator::Compare("=")),
    ("!=", Operator::Compare("!=")),
    ("<", Operator::Compare("<")),
    ("<=", Operator::Compare("<=")),
    (">", Operator::Compare(">")),
    (">=", Operator::Compare(">=")),
    ("like", Operator::Like),
    ("in", Operator::In("IN")),
    ("not in", Operator::In("NOT IN")),
];

impl Filter {
    /// All that can be read, and what is wrong with the others.
    pub(super) fn all(asked: &[Asked]) -> (Vec<Self>, Vec<Problem>) {
        let (mut filters, mut problems) = (Vec::new(), Vec::new());
        for asked in asked {
            match Self::read(asked) {
                Ok(filter) => filters.push(filter),
                Err(problem) => problems.push(problem),
            }
        }
        (filters, problems)
    }

    fn read(asked: &Asked) -> Result<Self, Problem> {
        let wrong = |message: String| Problem::at("where", message);
        if !is_path(&asked.field) {
            let problem = wrong("names a `field` that is no field's API name".to_owned());
            return Err(problem.hint("as in `Amount`, `Region__c` or `Account.Industry`"));
        }
        let Some((_, operator)) = OPERATORS.iter().find(|(word, _)| *word == asked.op) else {
            let known = OPERATORS.map(|(word, _)| word).join(", ");
            return Err(wrong(format!("has an unknown `op` for `{}`", asked.field)).hint(format!("one of {known}")));
        };
        let values = match &asked.value {
            Value::Array(_, values) if matches!(operator, Operator::In(_)) => {
                values.iter().map(written).collect::<Option<Vec<_>>>().filter(|values| !values.is_empty())
            }
            _ if matches!(operator, Operator::In(_)) => None,
            value => written(value).map(|value| vec![value]),
        };
        let values = values.ok_or_else(|| {
            wrong(format!("has no such `value` as `{}` takes for `{}`", asked.op, asked.field))
                .hint("a text, a number or a truth; for `in` and `not in` a list of them")
        })?;
        Ok(Self { field: asked.field.clone(), operator: *operator, values })
    }

    /// The condition, for a field that the user may read and that takes such values.
    pub(super) fn condition(&self, described: &Described) -> Result<String, SourceError> {
        let wrong = |what: &str| SourceError::Mapping(format!("`where` names `{}`, {what}", self.field));
        let field = described
            .field(&self.field)
            .ok_or_else(|| wrong("which is no field of the deals that the user may read"))?;
        let spelt: Option<Vec<String>> = self.values.iter().map(|value| value.spell(field.kind)).collect();
        let spelt = spelt.ok_or_else(|| wrong("which does not take such a value"))?;
        match self.operator {
            Operator::Like if field.kind != Kind::Text => Err(wrong("and only a text can be `like` another")),
            Operator::Like => Ok(format!("{} LIKE {}", field.path, spelt[0])),
            Operator::Compare("<" | "<=" | ">" | ">=") if field.kind == Kind::Truth => {
                Err(wrong("and a truth is neither more nor less than another"))
            }
            Operator::Compare(operator) => Ok(format!("{} {operator} {}", field.path, spelt[0])),
            Operator::In(operator) => Ok(format!("{} {operator} ({})", field.path, spelt.join(", "))),
        }
    }
}

fn written(value: &Value) -> Option<Written> {
    match value {
        Value::String(_, text) => Some(Written::Text(text.clone())),
        Value::Num(_, number) => {
            let text = number.to_i128().map(|number| number.to_string());
            Some(Written::Number(text.or_else(|| number.to_u128().map(|number| number.to_string())).or_else(|| {
                let float = number.to_f64()?;
                Some(float.to_string())
            })?))
        }
        Value::Bool(_, truth) => Some(Written::Truth(*truth)),
        _ => None,
    }
}

impl Written {
    /// The value formatted for a type of field; `None` if it does not fit the type.
    fn spell(&self, kind: Kind) -> Option<String> {
        let text = match self {
            Self::Text(text) | Self::Number(text) => text.as_str(),
            Self::Truth(true) => "true",
            Self::Truth(false) => "false",
        };
        match kind {
            Kind::Text => quoted(text),
            Kind::Number | Kind::Percent => {
                let number = number::exact(text)?.normalize();
                Some(number.to_string())
            }
            Kind::Truth => match text {
                "true" => Some("TRUE".to_owned()),
                "false" => Some("FALSE".to_owned()),
                _ => None,
            },
            Kind::Day => Some(text.parse::<NaiveDate>().ok()?.to_string()),
            Kind::Instant => Some(instant(DateTime::parse_from_rfc3339(text).ok()?.to_utc())),
            Kind::Opaque => None,
        }
    }
}

/// An instant as SOQL writes it: without a `+`, which would have to be escaped in an address.
pub(super) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A text between quotes. Any other control character has no spelling.
pub(super) fn quoted(text: &str) -> Option<String> {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for letter in text.chars() {
        match letter {
            '\\' => quoted.push_str("\\\\"),
            '\'' => quoted.push_str("\\'"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            letter if letter.is_control() => return None,
            letter => quoted.push(letter),
        }
    }
    quoted.push('\'');
    (text.chars().count() <= MAX_TEXT).then_some(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    #[derive(Deserialize)]
    struct Table {
        filter: Asked,
    }

    fn read(toml: &str) -> Result<Filter, Problem> {
        let table: Table = section(&format!("filter = {{ {toml} }}")).read(&[]).unwrap();
        Filter::read(&table.filter)
    }

    fn condition(toml: &str) -> Result<String, String> {
        let described = Described::of(&[
            ("Name", "string"),
            ("Amount", "currency"),
            ("IsPrivate", "boolean"),
            ("CloseDate", "date"),
            ("CreatedDate", "datetime"),
            ("Place__c", "location"),
        ]);
        read(toml).unwrap().condition(&described).map_err(|error| error.to_string())
    }

    #[test]
    fn a_filter_is_compiled_for_the_kind_of_its_field() {
        for (toml, soql) in [
            ("field = 'amount', op = '>=', value = 5000", "Amount >= 5000"),
            ("field = 'Amount', op = '<', value = 0.1", "Amount < 0.1"),
            ("field = 'Amount', op = '>', value = '1.0E7'", "Amount > 10000000"),
            ("field = 'IsPrivate', value = false", "IsPrivate = FALSE"),
            ("field = 'CloseDate', op = '>', value = '2026-01-31'", "CloseDate > 2026-01-31"),
            (
                "field = 'CreatedDate', op = '>', value = '2026-01-31T01:00:00+01:00'",
                "CreatedDate > 2026-01-31T00:00:00Z",
            ),
            ("field = 'Name', op = 'like', value = 'A%_'", "Name LIKE 'A%_'"),
            ("field = 'Name', op = 'not in', value = ['a', 7]", "Name NOT IN ('a', '7')"),
        ] {
            assert_eq!(condition(toml).as_deref(), Ok(soql), "{toml}");
        }
    }

    #[test]
    fn no_text_ever_leaves_its_quotes() {
        for (text, soql) in [
            ("O'Neill", r"'O\'Neill'"),
            (r"\' OR Name != '", r"'\\\' OR Name != \''"),
            ("a\nb\t\"c\"", r#"'a\nb\t\"c\"'"#),
            ("' OR IsDeleted = TRUE OR Name = '", r"'\' OR IsDeleted = TRUE OR Name = \''"),
        ] {
            assert_eq!(quoted(text).as_deref(), Some(soql));
        }
        assert_eq!(quoted("\0"), None);
        assert_eq!(quoted(&"a".repeat(MAX_TEXT + 1)), None);
    }

    #[test]
    fn what_is_no_filter_is_a_problem_before_anything_is_asked() {
        for toml in [
            "field = 'Amount > 0 OR Name', value = 1",
            "field = '', value = 1",
            "field = 'Amount', op = 'or', value = 1",
            "field = 'Amount', op = 'in', value = 1",
            "field = 'Amount', op = 'in', value = []",
            "field = 'Amount', value = [1]",
            "field = 'Amount', value = { a = 1 }",
        ] {
            assert_eq!(read(toml).unwrap_err().path, ["where"], "{toml}");
        }
    }

    #[test]
    fn a_filter_that_the_field_does_not_take_fails_and_is_not_left_out() {
        for (toml, words) in [
            ("field = 'Secret__c', value = 1", "no field of the deals that the user may read"),
            ("field = 'Amount', value = '1 OR 2'", "does not take such a value"),
            ("field = 'CloseDate', value = 'TODAY'", "does not take such a value"),
            ("field = 'IsPrivate', value = 1", "does not take such a value"),
            ("field = 'IsPrivate', op = '<', value = true", "neither more nor less"),
            ("field = 'Amount', op = 'like', value = 1", "only a text"),
            ("field = 'Place__c', value = 'x'", "does not take such a value"),
        ] {
            assert!(condition(toml).unwrap_err().contains(words), "{toml}");
        }
    }
}
