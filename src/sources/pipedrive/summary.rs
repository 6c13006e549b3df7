//! The CRM's own totals of its deals: a query that shares nothing with the list (contract §3.8).

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

/// What the deals come to.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// How many they are.
    pub(super) count: u64,
    /// What they are worth. Currencies of the account's own making, which are none of ISO 4217, are not among it.
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

/// What the deals in the pipelines of these ids come to, all deals if none is named. Archived ones are not among them.
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
