//! Finds out why deals of an earlier pull are missing.
//!
//! The recycle bin is asked first, then those who are still there, both in a batch; what neither knows is asked for
//! alone, since only so a deal that was merged answers, as the one it is now.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::hubspot::batch::{self, Wish};
use crate::sources::hubspot::client::Client;
use crate::sources::source::{MissingDealOutcome, SourceError};
use crate::sources::wire::Id;

#[derive(serde::Deserialize)]
struct Alone {
    id: Id,
}

/// Why these deals are missing, at most [`batch::AT_ONCE`] deals.
pub(super) async fn resolve_missing(
    client: &Client,
    ids: &BTreeSet<String>,
) -> Result<BTreeMap<String, MissingDealOutcome>, SourceError> {
    // Text that is not a number was never a HubSpot id and must not become part of an address.
    let is_number = |id: &String| id.bytes().all(|byte| byte.is_ascii_digit());
    let (mut open, foreign): (BTreeSet<String>, BTreeSet<String>) = ids.iter().cloned().partition(is_number);
    let mut outcomes: BTreeMap<String, MissingDealOutcome> =
        foreign.into_iter().map(|id| (id, MissingDealOutcome::Unknown)).collect();
    for (archived, outcome) in [(true, MissingDealOutcome::Archived), (false, MissingDealOutcome::OutOfScope)] {
        if open.is_empty() {
            break;
        }
        let wish = Wish { path: client.paths.deals_by_id, properties: &[], archived };
        for record in batch::read(client, wish, &open).await?.records {
            if let Some(id) = open.take(&record.id.0) {
                outcomes.insert(id, outcome.clone());
            }
        }
    }
    for id in open {
        let outcome = alone(client, &id).await?;
        outcomes.insert(id, outcome);
    }
    Ok(outcomes)
}

async fn alone(client: &Client, id: &str) -> Result<MissingDealOutcome, SourceError> {
    let path = format!("{}/{id}", client.paths.deals);
    match client.get::<Alone>(&path, &[]).await {
        Ok(deal) if deal.id.0 == id => Ok(MissingDealOutcome::OutOfScope),
        Ok(deal) => Ok(MissingDealOutcome::Merged { into: deal.id.0 }),
        Err(SourceError::Unexpected { status: 404, .. }) => Ok(MissingDealOutcome::Unknown),
        Err(error) => Err(error),
    }
}
