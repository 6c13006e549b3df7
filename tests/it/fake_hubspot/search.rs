//! Searching deals: filters, one sort, pages by offset, ten thousand at most, and an index that lags behind.
//!
//! Apart, because these rules are HubSpot's strangest, and nothing else shares them.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::account::{Account, Deal, instant};
use super::answers::{Answer, Wish, error};
use super::{Fault, Hub};

/// The most results of one query, over all its pages.
const MOST: usize = 10_000;

fn invalid(message: &str) -> Answer {
    error(400, "VALIDATION_ERROR", message)
}

/// One condition.
struct Filter {
    property: String,
    operator: String,
    value: Option<String>,
    high: Option<String>,
    values: Vec<String>,
}

impl Filter {
    fn read(filter: &Value, account: &Account) -> Result<Self, Answer> {
        let text = |key: &str| filter[key].as_str().map(ToOwned::to_owned);
        let property = text("propertyName").ok_or_else(|| invalid("propertyName is missing"))?;
        if account.kind(&property).is_none() {
            return Err(invalid(&format!("There was a problem with the request: canary {property} does not exist")));
        }
        if ["value", "highValue"].iter().any(|key| filter.get(*key).is_some_and(|value| !value.is_string())) {
            return Err(invalid("value must be a string"));
        }
        let values = filter["values"].as_array().into_iter().flatten();
        let values = values.filter_map(|value| value.as_str().map(ToOwned::to_owned)).collect();
        let operator = text("operator").unwrap_or_default();
        let own = Self { property, operator, value: text("value"), high: text("highValue"), values };
        let complete = match own.operator.as_str() {
            "EQ" | "NEQ" | "GT" | "GTE" | "LT" | "LTE" | "CONTAINS_TOKEN" | "NOT_CONTAINS_TOKEN" => own.value.is_some(),
            "BETWEEN" => own.value.is_some() && own.high.is_some(),
            "IN" | "NOT_IN" => !own.values.is_empty(),
            "HAS_PROPERTY" | "NOT_HAS_PROPERTY" => true,
            _ => false,
        };
        if complete { Ok(own) } else { Err(invalid("a filter has no such operator, or lacks its value")) }
    }

    fn admits(&self, deal: &Deal, account: &Account) -> bool {
        let own = account.value(deal, &self.property).filter(|value| !value.is_empty());
        let Some(own) = own else { return matches!(self.operator.as_str(), "NOT_HAS_PROPERTY" | "NEQ" | "NOT_IN") };
        let kind = account.kind(&self.property).unwrap_or("string");
        let against = |other: &Option<String>| compare(kind, &own, other.as_deref().unwrap_or_default());
        let word = || own.split_whitespace().any(|word| Some(word) == self.value.as_deref());
        let in_values = || self.values.iter().any(|value| compare(kind, &own, value).is_eq());
        match self.operator.as_str() {
            "EQ" => against(&self.value).is_eq(),
            "NEQ" => against(&self.value).is_ne(),
            "GT" => against(&self.value).is_gt(),
            "GTE" => against(&self.value).is_ge(),
            "LT" => against(&self.value).is_lt(),
            "LTE" => against(&self.value).is_le(),
            "BETWEEN" => against(&self.value).is_ge() && against(&self.high).is_le(),
            "IN" => in_values(),
            "NOT_IN" => !in_values(),
            "CONTAINS_TOKEN" => word(),
            "NOT_CONTAINS_TOKEN" => !word(),
            operator => operator == "HAS_PROPERTY",
        }
    }
}

/// Numbers as numbers, instants as instants, all else letter by letter.
fn compare(kind: &str, one: &str, other: &str) -> Ordering {
    let numbers = || Some(one.parse::<Decimal>().ok()?.cmp(&other.parse::<Decimal>().ok()?));
    let instants = || Some(instant(one)?.cmp(&instant(other)?));
    let known = match kind {
        "number" => numbers(),
        "datetime" => instants(),
        _ => None,
    };
    known.unwrap_or_else(|| one.cmp(other))
}

/// What a search asks for.
struct Query {
    groups: Vec<Vec<Filter>>,
    sort: (String, bool),
    limit: usize,
    from: usize,
}

impl Query {
    fn read(body: &Value, account: &Account) -> Result<Self, Answer> {
        let groups = body["filterGroups"].as_array().cloned().unwrap_or_default();
        let filters = |group: &Value| group["filters"].as_array().cloned().unwrap_or_default();
        let counts: Vec<usize> = groups.iter().map(|group| filters(group).len()).collect();
        if groups.len() > 5 || counts.iter().any(|count| *count > 6) || counts.iter().sum::<usize>() > 18 {
            return Err(invalid("There are too many filter groups or filters"));
        }
        let read = |group: &Value| filters(group).iter().map(|filter| Filter::read(filter, account)).collect();
        let groups = groups.iter().map(read).collect::<Result<Vec<Vec<Filter>>, _>>()?;
        let limit = body.get("limit").map_or(Some(10), Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.filter(|limit| (1..=200).contains(limit)).ok_or_else(|| invalid("limit must be 1 to 200"))?;
        let from = match &body["after"] {
            Value::Null => Some(0),
            Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|from| usize::try_from(from).ok()),
        };
        let from = from.ok_or_else(|| invalid("after must be an integer"))?;
        if from + limit > MOST && from > MOST - limit {
            return Err(invalid("canary: paging beyond 10,000 results is not supported"));
        }
        Ok(Self { groups, sort: sort(&body["sorts"], account)?, limit, from })
    }

    fn admits(&self, deal: &Deal, account: &Account) -> bool {
        let admitted = |group: &Vec<Filter>| group.iter().all(|filter| filter.admits(deal, account));
        deal.archived_at.is_none() && (self.groups.is_empty() || self.groups.iter().any(admitted))
    }
}

/// The one sort, as text (`-createdate`) or as an object; whether it descends.
fn sort(sorts: &Value, account: &Account) -> Result<(String, bool), Answer> {
    let (property, descends) = match sorts.as_array().map(Vec::as_slice) {
        None | Some([]) => ("createdate".to_owned(), false),
        Some([Value::String(text)]) => (text.trim_start_matches('-').to_owned(), text.starts_with('-')),
        Some([Value::Object(sort)]) => {
            let text = |key: &str| sort.get(key).and_then(Value::as_str).unwrap_or_default();
            (text("propertyName").to_owned(), text("direction") == "DESCENDING")
        }
        Some(_) => return Err(invalid("Only one sort is supported")),
    };
    if account.kind(&property).is_none() {
        return Err(invalid("canary: no such property to sort by"));
    }
    Ok((property, descends))
}

impl Hub {
    pub(super) fn search(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
        let query = Query::read(&wish.body, &self.account)?;
        let indexed = self.indexed();
        let mut found: Vec<&Deal> =
            indexed.values().map(AsRef::as_ref).filter(|deal| query.admits(deal, &self.account)).collect();
        let (property, descends) = &query.sort;
        // The index is in the order of ids already, and each value below is worked out once.
        if property != "hs_object_id" {
            let kind = self.account.kind(property).unwrap_or("string");
            let key = |deal: &&Deal| self.account.value(deal, property).unwrap_or_default();
            let mut keyed: Vec<(String, &Deal)> = found.iter().map(|deal| (key(deal), *deal)).collect();
            keyed.sort_by(|(one, _), (other, _)| compare(kind, one, other));
            found = keyed.into_iter().map(|(_, deal)| deal).collect();
        }
        if *descends {
            found.reverse();
        }
        let total = found.len();
        let until = (query.from + query.limit).min(total);
        let mut page = found.get(query.from..until).unwrap_or_default().to_vec();
        let mut next = (until < total).then(|| until.to_string());
        match fault {
            Some(Fault::EmptyPage) => {
                // Another text for the same offset.
                next = Some(format!("0{}", query.from));
                page.clear();
            }
            Some(Fault::RepeatedCursor) => next = Some(query.from.to_string()),
            Some(Fault::DuplicateRecord) => page.extend(page.last().copied()),
            Some(Fault::Disorder) => page.reverse(),
            _ => {}
        }
        let properties = wish.properties();
        let results: Vec<Value> = page.into_iter().map(|deal| self.deal(deal, &properties, false)).collect();
        let mut body = self.page(&results, next);
        body["total"] = json!(total);
        Ok(Answer::json(200, &body))
    }
}
