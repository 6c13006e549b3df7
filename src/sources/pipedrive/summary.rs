//! Pipedrive's own totals of its deals, from a query that is independent of the list.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::money::{Currency, Worth};
use crate::model::number;
use crate::sources::pipedrive::client::Client;
use crate::sources::pipedrive::settings::SUMMARY;
use crate::sources::source::SourceError;

#[derive(Deserialize)]
struct Summary {
    total_count: u64,
    /// An object by currency; an empty one can be a list.
    values_total: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Value {
    value: Box<RawValue>,
}

#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) count: u64,
    /// Excludes custom currencies, which have no ISO 4217 code.
    pub(super) worth: Worth,
}

impl Totals {
    fn add(&mut self, summary: &Summary) {
        self.count += summary.total_count;
        let values = summary.values_total.as_ref().map_or("", |values| values.get());
        for (code, Value { value }) in serde_json::from_str::<BTreeMap<String, Value>>(values).unwrap_or_default() {
            if let (Ok(currency), Some(value)) = (code.parse::<Currency>(), number::exact(value.get())) {
                self.worth.add(currency, value);
            }
        }
    }
}

/// The totals of the deals in these pipelines, or of all deals if none is named. Archived deals are excluded.
pub(super) async fn totals(client: &Client, pipelines: &[String]) -> Result<Totals, SourceError> {
    let mut totals = Totals::default();
    if pipelines.is_empty() {
        totals.add(&client.one_of(SUMMARY, &[]).await?);
    }
    for pipeline in pipelines {
        totals.add(&client.one_of(SUMMARY, &[("pipeline_id", pipeline.as_str())]).await?);
    }
    Ok(totals)
}
