//! Which records a query finds, in which order, and how each looks as JSON and as CSV.
//!
//! Apart from the reading of SOQL, which it takes as a tree whose every name is known.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::org::{Org, suffixed};
use super::schema::{Cell, Kind};
use super::soql::{Condition, Literal, Operator, Order, Path, Query, Step};

/// How records are written.
#[derive(Debug, Clone)]
pub(super) struct Style {
    /// The version in the records' own addresses, as `v66.0`.
    pub(super) version: String,
    /// Numbers with two decimals and never with an exponent.
    pub(super) plain: bool,
    /// With a key that nobody asked for.
    pub(super) extra_keys: bool,
}

impl Org {
    /// The ids that a query finds, in its order; deleted ones too with `all`.
    pub(super) fn find(&self, query: &Query, all: bool) -> Vec<String> {
        let admits = |id: &str| query.condition.as_ref().is_none_or(|condition| self.admits(query, id, condition));
        let found = self.table(query.object).iter().filter(|(_, record)| all || !Self::is_deleted(record));
        let mut found: Vec<&String> = found.map(|(id, _)| id).filter(|id| admits(id)).collect();
        if query.order.is_empty() {
            // Nobody has promised any order.
            found.sort_by_cached_key(|id| scrambled(id));
        } else {
            let key = |id: &str| query.order.iter().map(|order| self.value(query.object, id, &order.path)).collect();
            let mut keyed: Vec<(Vec<Cell>, &String)> = found.into_iter().map(|id| (key(id), id)).collect();
            keyed.sort_by(|(one, _), (other, _)| ordered(&query.order, one, other));
            found = keyed.into_iter().map(|(_, id)| id).collect();
        }
        found.into_iter().skip(query.offset).take(query.limit.unwrap_or(usize::MAX)).cloned().collect()
    }

    /// The id at the end of a way; `None` where it ends before.
    fn follow(&self, object: &'static str, id: &str, steps: &[Step]) -> Option<(&'static str, String)> {
        steps.iter().try_fold((object, id.to_owned()), |(object, id), step| {
            let next = self.cell(object, &id, step.by).as_text()?.to_owned();
            self.table(step.object).contains_key(&next).then_some((step.object, next))
        })
    }

    fn value(&self, object: &'static str, id: &str, path: &Path) -> Cell {
        let end = self.follow(object, id, &path.steps);
        end.map_or(Cell::Null, |(object, id)| self.cell(object, &id, path.field))
    }

    fn admits(&self, query: &Query, id: &str, condition: &Condition<Path>) -> bool {
        match condition {
            Condition::All(inner) => inner.iter().all(|one| self.admits(query, id, one)),
            Condition::Any(inner) => inner.iter().any(|one| self.admits(query, id, one)),
            Condition::Not(inner) => !self.admits(query, id, inner),
            Condition::Holds { path, operator, values } => {
                let own = self.value(query.object, id, path);
                holds(&own, path.field.kind, *operator, values)
            }
        }
    }

    /// Whether a record is still there for a stored result.
    pub(super) fn is_there(&self, object: &str, id: &str, all: bool) -> bool {
        self.table(object).get(id).is_some_and(|record| all || !Self::is_deleted(record))
    }

    /// A record as a query's answer shows it: keys in the order of the query, parents inside.
    pub(super) fn json(&self, object: &'static str, id: &str, paths: &[Path], style: &Style) -> String {
        let paths: Vec<(&[Step], &Path)> = paths.iter().map(|path| (path.steps.as_slice(), path)).collect();
        self.json_of(object, id, &paths, style)
    }

    fn json_of(&self, object: &'static str, id: &str, paths: &[(&[Step], &Path)], style: &Style) -> String {
        let address = format!("/services/data/{}/sobjects/{object}/{id}", style.version);
        let mut text = format!(r#"{{"attributes":{{"type":"{object}","url":"{address}"}}"#);
        let mut written = BTreeSet::new();
        for (steps, path) in paths {
            let Some((first, _)) = steps.split_first() else {
                let cell = self.cell(object, id, path.field).json(path.field.kind, style.plain);
                text += &format!(r#","{}":{cell}"#, path.field.name);
                continue;
            };
            if !written.insert(first.relationship) {
                continue;
            }
            let leads_there = |(steps, _): &&(&[Step], &Path)| steps.first() == Some(first);
            let inner: Vec<_> = paths.iter().filter(leads_there).map(|(steps, path)| (&steps[1..], *path)).collect();
            let parent = self.follow(object, id, &[*first]);
            let parent =
                parent.map_or_else(|| "null".to_owned(), |(object, id)| self.json_of(object, &id, &inner, style));
            text += &format!(r#","{}":{parent}"#, first.relationship);
        }
        if style.extra_keys {
            text += r#","Canary__x":[1,{"a":null}]"#;
        }
        text + "}"
    }

    /// A record as a line of a bulk result.
    pub(super) fn csv(&self, query: &Query, id: &str, plain: bool) -> String {
        let paths = query.select.iter().flatten();
        let cells = paths.map(|path| self.value(query.object, id, path).csv(path.field.kind, plain));
        cells.collect::<Vec<_>>().join(",") + "\n"
    }
}

fn scrambled(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

fn ordered(order: &[Order<Path>], one: &[Cell], other: &[Cell]) -> Ordering {
    let mut steps = order.iter().zip(one.iter().zip(other));
    let found = steps.find_map(|(order, (one, other))| {
        let compared = match (one == &Cell::Null, other == &Cell::Null) {
            (true, true) => Ordering::Equal,
            (true, false) if order.nulls_last => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, true) if order.nulls_last => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) if order.descends => compare(other, one),
            (false, false) => compare(one, other),
        };
        compared.is_ne().then_some(compared)
    });
    found.unwrap_or(Ordering::Equal)
}

/// Two values of one field, neither of them null.
fn compare(one: &Cell, other: &Cell) -> Ordering {
    match (one, other) {
        (Cell::Text(one), Cell::Text(other)) => one.cmp(other),
        (Cell::Number(one), Cell::Number(other)) => one.cmp(other),
        (Cell::Truth(one), Cell::Truth(other)) => one.cmp(other),
        (Cell::Day(one), Cell::Day(other)) => one.cmp(other),
        (Cell::Instant(one), Cell::Instant(other)) => one.cmp(other),
        pair => unreachable!("a field holds values of one kind: {pair:?}"),
    }
}

/// A field against the values of a condition. What is null is unequal to all else and in no order with it.
fn holds(own: &Cell, kind: Kind, operator: Operator, values: &[Literal]) -> bool {
    let is = |value: &Literal| against(own, kind, value).is_some_and(Ordering::is_eq);
    let stands = |wanted: fn(Ordering) -> bool| against(own, kind, &values[0]).is_some_and(wanted);
    match operator {
        Operator::Equal | Operator::In => values.iter().any(is),
        Operator::Unequal | Operator::NotIn => !values.iter().any(is),
        Operator::Less => stands(Ordering::is_lt),
        Operator::AtMost => stands(Ordering::is_le),
        Operator::More => stands(Ordering::is_gt),
        Operator::AtLeast => stands(Ordering::is_ge),
        Operator::Like => match (own, &values[0]) {
            (Cell::Text(own), Literal::Text(pattern)) => is_like(
                &own.to_lowercase().chars().collect::<Vec<_>>(),
                &pattern.to_lowercase().chars().collect::<Vec<_>>(),
            ),
            _ => false,
        },
    }
}

fn against(own: &Cell, kind: Kind, value: &Literal) -> Option<Ordering> {
    let is_id = matches!(kind, Kind::Id | Kind::Reference { .. });
    Some(match (own, value) {
        (Cell::Null, Literal::Null) => Ordering::Equal,
        (Cell::Text(own), Literal::Text(value)) if is_id && value.len() == 15 => {
            own.as_ref().cmp(suffixed(value).as_str())
        }
        (Cell::Text(own), Literal::Text(value)) if is_id => own.as_ref().cmp(value),
        (Cell::Text(own), Literal::Text(value)) => own.to_lowercase().cmp(&value.to_lowercase()),
        (Cell::Number(own), Literal::Number(value)) => own.cmp(value),
        (Cell::Truth(own), Literal::Truth(value)) => own.cmp(value),
        (Cell::Day(own), Literal::Day(value)) => own.cmp(value),
        (Cell::Instant(own), Literal::Instant(value)) => own.cmp(value),
        _ => return None,
    })
}

/// Whether a text has the form of a pattern: `%` is any letters, `_` is one, a backslash takes that away.
fn is_like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skipped| is_like(&text[skipped..], rest)),
        ['\\', letter @ ('%' | '_'), rest @ ..] => {
            text.split_first().is_some_and(|(own, left)| own == letter && is_like(left, rest))
        }
        ['_', rest @ ..] => text.split_first().is_some_and(|(_, left)| is_like(left, rest)),
        [letter, rest @ ..] => text.split_first().is_some_and(|(own, left)| own == letter && is_like(left, rest)),
    }
}
