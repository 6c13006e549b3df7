//! The CRM's own count of its deals: a query that shares nothing with the list (contract §3.8).

use serde::Deserialize;

use crate::sources::pipedrive::client::Client;
use crate::sources::pipedrive::settings::SUMMARY;
use crate::sources::source::SourceError;

#[derive(Deserialize)]
struct Summary {
    total_count: u64,
}

/// How many deals there are in the pipelines of these ids, in all if none is named. Archived ones are not counted.
pub(super) async fn count(client: &Client, pipelines: &[String]) -> Result<u64, SourceError> {
    if pipelines.is_empty() {
        return Ok(client.one_of::<Summary>(SUMMARY, &[]).await?.total_count);
    }
    let mut count = 0;
    for pipeline in pipelines {
        let summary: Summary = client.one_of(SUMMARY, &[("pipeline_id", pipeline.as_str())]).await?;
        count += summary.total_count;
    }
    Ok(count)
}
