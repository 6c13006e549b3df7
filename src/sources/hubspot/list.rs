//! All deals by the list: in the order of ids, companies inline, archived ones left out.

use crate::sources::hubspot::client::Client;
use crate::sources::hubspot::mapping::Mapping;
use crate::sources::hubspot::records::Records;
use crate::sources::hubspot::wire::Inline;
use crate::sources::hubspot::wire::{Listed, Record};
use crate::sources::source::SourceError;

/// The most deals of one page.
pub(super) const PAGE: u64 = 100;

/// A page of deals, and where the next one is.
pub(super) async fn page(
    client: &Client,
    mapping: &Mapping,
    after: Option<&str>,
) -> Result<(Records, Option<String>), SourceError> {
    let (last, cursor) = after.and_then(|after| after.split_once(' ')).unzip();
    let (size, properties) = (PAGE.to_string(), mapping.requested());
    let mut query = vec![("limit", size.as_str()), ("archived", "false"), ("properties", &properties)];
    query.extend(mapping.wants_companies().then_some(("associations", "companies")));
    query.extend(cursor.map(|cursor| ("after", cursor)));
    let listed: Listed = client.get(client.paths.deals, &query).await?;
    let mut records = Records::after(last.unwrap_or_default());
    records.add(&listed)?;
    let cut = records.all.iter().filter(|record| is_cut(record)).map(|record| record.id.0.clone()).collect();
    records.links_of(client, cut).await?;
    // The cursor is HubSpot's; the last id goes with it, so that the next page can be held against it.
    let next = listed.next().map(|next| format!("{} {next}", records.last));
    Ok((records, next))
}

fn is_cut(record: &Record) -> bool {
    record.companies().is_some_and(Inline::is_cut)
}
