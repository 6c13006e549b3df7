//! The search: how many deals there are, and those of a few pipelines where that is cheaper than reading them all.
//!
//! A query gives 10,000 results at most, so every request is a separate query for the ids above the last one.
//! Nothing promises that ids are compared as numbers: the records' order is checked.

use serde::Serialize;
use serde_json::{Value, json};

use crate::sources::hubspot::client::Client;
use crate::sources::hubspot::list;
use crate::sources::hubspot::mapping::Mapping;
use crate::sources::hubspot::pipelines::DEFAULT;
use crate::sources::hubspot::records::Records;
use crate::sources::hubspot::wire::Listed;
use crate::sources::source::SourceError;

/// The most deals of one request.
const PAGE: u64 = 200;
/// Deals of one page of ours: as many as one batch of associations takes.
const DEALS: u64 = 1_000;
/// Answers without a deal that name a next one, in a row.
const EMPTY_ANSWERS: u32 = 4;
/// The most properties, in characters, that leave the body short enough.
const MAX_PROPERTIES: usize = 2_000;

/// How many requests a search of `deals` takes, companies included.
pub(super) fn requests(deals: u64, mapping: &Mapping) -> u64 {
    let associations = if mapping.wants_companies() { deals.div_ceil(DEALS) } else { 0 };
    deals.div_ceil(PAGE).max(1) + associations
}

/// Whether reading the `wanted` of `all` deals by the search is clearly cheaper than listing them all: less than half
/// the requests, since the list shows deals as they are and the index lags.
pub(super) fn is_cheaper(wanted: u64, all: u64, mapping: &Mapping) -> bool {
    mapping.requested().len() <= MAX_PROPERTIES && 2 * requests(wanted, mapping) < all.div_ceil(list::PAGE)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    filter_groups: Vec<Group>,
    sorts: [Value; 1],
    properties: Vec<&'a str>,
    limit: u64,
    after: &'a str,
}

#[derive(Serialize)]
struct Group {
    filters: Vec<Value>,
}

/// The deals of these pipelines (all pipelines if the list is empty) with ids above `last`. Groups are joined by "or": a deal
/// without a pipeline is one of the default pipeline.
fn groups(pipelines: &[String], last: &str) -> Vec<Group> {
    let above = json!({"propertyName": "hs_object_id", "operator": "GT", "value": last});
    if pipelines.is_empty() {
        return vec![Group { filters: vec![above] }];
    }
    let named = json!({"propertyName": "pipeline", "operator": "IN", "values": pipelines});
    let mut groups = vec![Group { filters: vec![named, above.clone()] }];
    if pipelines.iter().any(|pipeline| pipeline == DEFAULT) {
        let none = json!({"propertyName": "pipeline", "operator": "NOT_HAS_PROPERTY"});
        groups.push(Group { filters: vec![none, above] });
    }
    groups
}

/// The deals of one query: those of `pipelines` with ids above `last`.
struct Query<'a> {
    pipelines: &'a [String],
    last: &'a str,
    properties: &'a str,
    limit: u64,
    /// HubSpot's own cursor in the results of this query.
    after: &'a str,
}

impl Query<'_> {
    async fn ask(&self, client: &Client) -> Result<Listed, SourceError> {
        let question = Question {
            filter_groups: groups(self.pipelines, self.last),
            sorts: [json!({"propertyName": "hs_object_id", "direction": "ASCENDING"})],
            properties: self.properties.split(',').collect(),
            limit: self.limit,
            after: self.after,
        };
        client.search(&question).await
    }
}

/// How many deals there are in these pipelines; in all pipelines if the list is empty.
pub(super) async fn count(client: &Client, pipelines: &[String]) -> Result<u64, SourceError> {
    let query = Query { pipelines, last: "0", properties: "hs_object_id", limit: 1, after: "0" };
    let total = query.ask(client).await?.total;
    total.ok_or_else(|| SourceError::Malformed("the search does not say how many deals there are".to_owned()))
}

/// The next deals of these pipelines, and the id after which to go on.
pub(super) async fn page(
    client: &Client,
    mapping: &Mapping,
    pipelines: &[String],
    after: Option<&str>,
) -> Result<(Records, Option<String>), SourceError> {
    let properties = mapping.requested();
    let mut records = Records::after(after.unwrap_or("0"));
    let mut is_end = false;
    while !is_end && (records.all.len() as u64) < DEALS {
        is_end = more(client, &properties, pipelines, &mut records).await?;
    }
    if mapping.wants_companies() {
        let deals = records.all.iter().map(|record| record.id.0.clone()).collect();
        records.links_of(client, deals).await?;
    }
    let next = (!is_end).then(|| records.last.clone());
    Ok((records, next))
}

/// Adds the deals of one query; whether they were the last. An empty answer with a next cursor is not the end.
async fn more(
    client: &Client,
    properties: &str,
    pipelines: &[String],
    records: &mut Records,
) -> Result<bool, SourceError> {
    let last = records.last.clone();
    let mut after = "0".to_owned();
    for _ in 0..EMPTY_ANSWERS {
        let query = Query { pipelines, last: &last, properties, limit: PAGE, after: &after };
        let found = query.ask(client).await?;
        records.add(&found)?;
        match found.next() {
            None => return Ok(true),
            Some(_) if records.last != last => return Ok(false),
            Some(next) => next.clone_into(&mut after),
        }
    }
    Err(SourceError::Paging("the search goes on and on, and names no deal".to_owned()))
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::settings::{Section, section};

    #[test]
    fn the_search_is_chosen_where_it_takes_less_than_half_the_requests() {
        let mapping = Mapping::read(Section::default(), Tz::UTC).unwrap();
        let company = Mapping::read(section("company = 'firm'"), Tz::UTC).unwrap();
        for (wanted, all, cheaper) in [
            (0, 0, false),
            (1, 100, false),
            (1, 500, true),
            (1_000, 1_000, false),
            (8_000, 10_000, true),
            (8_400, 10_000, false),
            (100_000, 1_000_000, true),
        ] {
            assert_eq!(is_cheaper(wanted, all, &mapping), cheaper, "{wanted} of {all}");
        }
        assert!(is_cheaper(9_700, 10_000, &company), "without associations it is cheaper still");
    }

    #[test]
    fn a_deal_without_a_pipeline_is_searched_for_with_those_of_the_default_one() {
        let filters = |pipelines: &[&str]| {
            let pipelines: Vec<String> = pipelines.iter().map(|name| (*name).to_owned()).collect();
            groups(&pipelines, "7").iter().map(|group| group.filters.len()).collect::<Vec<_>>()
        };
        assert_eq!(filters(&[]), [1]);
        assert_eq!(filters(&["7654321"]), [2]);
        assert_eq!(filters(&["7654321", "default"]), [2, 2]);
    }
}
