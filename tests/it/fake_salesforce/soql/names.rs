//! What the names of a query mean in an org, and whether its conditions suit them.
//!
//! Apart from the grammar, since `INVALID_FIELD` is another matter than `MALFORMED_QUERY`.

use super::{Answer, Condition, Field, Kind, Literal, Name, Operator, Order, Org, Path, Query, Step, wrong};
use crate::fake_salesforce::suffixed;

/// Finds out what the names of a query mean.
pub(super) struct Names<'a> {
    pub(super) soql: &'a str,
    pub(super) org: &'a Org,
    pub(super) object: &'static str,
}

impl Names<'_> {
    fn wrong(&self, at: usize, reason: &str) -> Answer {
        wrong("INVALID_FIELD", self.soql, at, reason)
    }

    fn path(&self, name: &Name) -> Result<Path, Answer> {
        let mut object = self.object;
        let mut steps = Vec::new();
        let mut parts: Vec<&str> = name.text.split('.').collect();
        let last = parts.pop().expect("a name has a part");
        for part in parts {
            let step = self.step(object, part).ok_or_else(|| {
                let reason = format!(
                    "Didn't understand relationship '{part}' in field path. If you are attempting to use a custom \
                     relationship, be sure to append the '__r' after the custom relationship name. Please reference \
                     your WSDL or the describe call for the appropriate names."
                );
                self.wrong(name.at, &reason)
            })?;
            object = step.object;
            steps.push(step);
        }
        let found = self.org.fields(object).into_iter().find(|field| field.name.eq_ignore_ascii_case(last));
        let field = found.ok_or_else(|| {
            let reason = format!(
                "No such column '{last}' on entity '{object}'. If you are attempting to use a custom field, be sure \
                 to append the '__c' after the custom field name. Please reference your WSDL or the describe call \
                 for the appropriate names."
            );
            self.wrong(name.at, &reason)
        })?;
        Ok(Path { steps, field })
    }

    fn step(&self, object: &str, part: &str) -> Option<Step> {
        let step = |by: Field| match by.kind {
            Kind::Reference { object, relationship } if relationship.eq_ignore_ascii_case(part) => {
                self.org.object(object).map(|object| Step { by, relationship, object })
            }
            _ => None,
        };
        self.org.fields(object).into_iter().find_map(step)
    }

    fn condition(&self, condition: Condition<Name>) -> Result<Condition<Path>, Answer> {
        let all = |inner: Vec<Condition<Name>>| {
            inner.into_iter().map(|one| self.condition(one)).collect::<Result<Vec<_>, Answer>>()
        };
        Ok(match condition {
            Condition::All(inner) => Condition::All(all(inner)?),
            Condition::Any(inner) => Condition::Any(all(inner)?),
            Condition::Not(inner) => Condition::Not(Box::new(self.condition(*inner)?)),
            Condition::Holds { path: name, operator, values } => {
                let path = self.path(&name)?;
                for value in &values {
                    self.admits(&name, path.field.kind, operator, value)?;
                }
                Condition::Holds { path, operator, values }
            }
        })
    }

    /// Whether a field of this kind can be compared so.
    fn admits(&self, name: &Name, kind: Kind, operator: Operator, value: &Literal) -> Result<(), Answer> {
        let is_text = matches!(kind, Kind::Text | Kind::Picklist);
        let compares = matches!(operator, Operator::Less | Operator::AtMost | Operator::More | Operator::AtLeast);
        if kind == Kind::LongText {
            let reason = format!("field '{}' can not be filtered in a query call", name.text);
            return Err(self.wrong(name.at, &reason));
        }
        if (operator == Operator::Like && !is_text)
            || (compares && matches!(kind, Kind::Truth | Kind::Reference { .. }))
        {
            return Err(wrong("INVALID_QUERY_FILTER_OPERATOR", self.soql, name.at, "invalid operator on this field"));
        }
        let (fits, expected) = match kind {
            Kind::Text | Kind::Picklist | Kind::LongText => (matches!(value, Literal::Text(_)), "string"),
            Kind::Id | Kind::Reference { .. } => (matches!(value, Literal::Text(_)), "ID"),
            Kind::Currency | Kind::Percent | Kind::Double => (matches!(value, Literal::Number(_)), "double"),
            Kind::Int => (matches!(value, Literal::Number(_)), "int"),
            Kind::Truth => (matches!(value, Literal::Truth(_)), "boolean"),
            Kind::Day => (matches!(value, Literal::Day(_)), "date"),
            Kind::Instant => (matches!(value, Literal::Instant(_)), "dateTime"),
        };
        if !fits && *value != Literal::Null {
            let quotes = if matches!(expected, "string" | "ID") { "should" } else { "should not" };
            let reason = format!(
                "value of filter criterion for field '{}' must be of type {expected} and {quotes} be enclosed in quotes",
                name.text
            );
            return Err(self.wrong(name.at, &reason));
        }
        match value {
            Literal::Text(text) if expected == "ID" && !is_id(text) => {
                let reason = format!("invalid ID field: {text}");
                Err(wrong("INVALID_QUERY_FILTER_OPERATOR", self.soql, name.at, &reason))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn query(&self, raw: Query<Name>) -> Result<Query, Answer> {
        let select = raw.select.map(|names| self.select(&names)).transpose()?;
        let condition = raw.condition.map(|condition| self.condition(condition)).transpose()?;
        let order = |order: Order<Name>| {
            let path = self.path(&order.path)?;
            if path.field.kind == Kind::LongText {
                let reason = format!("field '{}' can not be sorted in a query call", order.path.text);
                return Err(wrong("MALFORMED_QUERY", self.soql, order.path.at, &reason));
            }
            Ok(Order { path, descends: order.descends, nulls_last: order.nulls_last })
        };
        let order = raw.order.into_iter().map(order).collect::<Result<_, Answer>>()?;
        let (object, limit, offset) = (raw.object, raw.limit, raw.offset);
        Ok(Query { select, object, condition, order, limit, offset })
    }

    fn select(&self, names: &[Name]) -> Result<Vec<Path>, Answer> {
        let mut paths: Vec<Path> = Vec::new();
        for name in names {
            let path = self.path(name)?;
            if paths.contains(&path) {
                let reason = format!("duplicate field selected: {}", path.name());
                return Err(wrong("MALFORMED_QUERY", self.soql, name.at, &reason));
            }
            paths.push(path);
        }
        Ok(paths)
    }
}

/// 15 characters, or 18 whose last three fit.
fn is_id(text: &str) -> bool {
    let letters = text.bytes().all(|letter| letter.is_ascii_alphanumeric());
    letters && (text.len() == 15 || (text.len() == 18 && suffixed(&text[..15]) == text))
}
