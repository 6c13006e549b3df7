//! Which column plays which role of a deal, and which list looks most like deals.

use rust_decimal::Decimal;
use serde_json::Value;

use crate::model::money::Currency;
use crate::model::number;
use crate::sources::probe::amounts::Amounts;
use crate::sources::probe::dates;
use crate::sources::probe::records::{Column, Found, Leaf, lists};
use crate::sources::probe::words::ROLES;

/// The fields that hold an instant or a day.
pub(super) const DATES: [&str; 7] =
    ["created_at", "updated_at", "close_date", "closed_at", "stage_entered_at", "last_activity_at", "next_activity_at"];

/// The list whose columns play the most roles; among equals the longest, then the first.
pub(super) fn find(body: &Value) -> Option<Found> {
    // `max_by_key` takes the last of equal ones.
    lists(body).into_iter().rev().max_by_key(|found| (score(&found.columns), found.count))
}

/// The column that plays a role: by the most likely name; among equal names, the one with the shortest path.
pub(super) fn role<'a>(columns: &'a [Column], role: &str) -> Option<&'a Column> {
    let words = ROLES.iter().find(|known| known.name == role)?.words;
    let named = |word: &&str| {
        let fitting = columns.iter().filter(|column| column.name == **word && fits(column, role));
        fitting.min_by_key(|column| column.path.len())
    };
    let any_id = || columns.iter().find(|column| role == "id" && column.name.ends_with("id") && fits(column, role));
    words.iter().find_map(named).or_else(any_id)
}

/// Whether the values of a column fit the role.
fn fits(column: &Column, role: &str) -> bool {
    match role {
        "id" => column.is_unique() && column.is_all(|leaf| !matches!(leaf, Leaf::Bool(_))),
        "name" | "company" | "stage" | "owner" | "pipeline" => column.is_text(),
        "value" => Amounts::of(column).is_some(),
        "currency" => column.is_all(|leaf| leaf.text().parse::<Currency>().is_ok()),
        "probability" => column.is_all(|leaf| {
            number::exact(leaf.text()).is_some_and(|chance| (Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(&chance))
        }),
        "status" => column.non_blank().next().is_some() && column.distinct().len() <= 12,
        _ if DATES.contains(&role) => dates::kind(column).is_some(),
        _ => column.is_all(|leaf| !matches!(leaf, Leaf::Bool(_))),
    }
}

/// How many roles the columns play: how much a list looks like deals.
fn score(columns: &[Column]) -> usize {
    ROLES.iter().filter(|known| role(columns, known.name).is_some()).count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_list_that_looks_like_deals_is_found_among_longer_ones() {
        let users = json!([{"id": 1, "login": "a"}, {"id": 2, "login": "b"}, {"id": 3, "login": "c"}]);
        let deals = json!([{"id": 7, "name": "A", "amount": 1}, {"id": 8, "name": "B", "amount": 2}]);
        for (body, path) in [
            (deals.clone(), "$"),
            (json!({"users": users, "deals": deals}), "$.deals"),
            (json!({"data": {"some-deals": deals}, "users": users}), "$.data['some-deals']"),
            (json!({"items": [{"data": {"id": 7, "name": "A"}, "meta": {}}]}), "$.items[*].data"),
        ] {
            assert_eq!(find(&body).map(|found| found.path).as_deref(), Some(path));
        }
        for body in [json!({}), json!([]), json!([1, 2]), json!({"data": null}), json!("a")] {
            assert!(find(&body).is_none(), "{body}");
        }
    }

    #[test]
    fn a_column_is_named_without_what_only_wraps_it() {
        let body = json!([{"id": 1, "attributes": {"Deal_Name": "A", "owner": {"fullName": "B"}}, "stage_id": [3, "New"],
                           "values": {"value": [{"currency_value": 5}]}}]);
        let columns = find(&body).unwrap().columns;
        let told: Vec<_> = columns.iter().map(|column| (column.path.as_str(), column.name.as_str())).collect();
        assert_eq!(
            told,
            [
                ("$.attributes.Deal_Name", "name"),
                ("$.attributes.owner.fullName", "owner.full_name"),
                ("$.id", "id"),
                ("$.stage_id[0]", "stage_id[0]"),
                ("$.stage_id[1]", "stage_id[1]"),
                ("$.values.value[0].currency_value", "value[0].currency_value"),
            ]
        );
    }
}
