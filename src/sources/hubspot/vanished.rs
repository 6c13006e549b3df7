//! What became of deals that were there before and are not any more.
//!
//! The recycle bin is asked first, then those who are still there, both in a batch; what neither knows is asked for
//! alone, since only so a deal that was merged answers, as the one it is now (contract §3.3, §6).

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::hubspot::batch::{self, Wish};
use crate::sources::hubspot::client::Client;
use crate::sources::hubspot::wire::Id;
use crate::sources::source::{Fate, SourceError};

#[derive(serde::Deserialize)]
struct Alone {
    id: Id,
}

/// The fates of at most [`batch::AT_ONCE`] deals.
pub(super) async fn fates(client: &Client, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Fate>, SourceError> {
    // What is no number was never an id of HubSpot's, and must not become part of an address.
    let is_number = |id: &String| id.bytes().all(|byte| byte.is_ascii_digit());
    let (mut open, foreign): (BTreeSet<String>, BTreeSet<String>) = ids.iter().cloned().partition(is_number);
    let mut fates: BTreeMap<String, Fate> = foreign.into_iter().map(|id| (id, Fate::Unknown)).collect();
    for (archived, fate) in [(true, Fate::Archived), (false, Fate::OutOfScope)] {
        if open.is_empty() {
            break;
        }
        let wish = Wish { path: client.paths.deals_by_id, properties: &[], archived };
        for record in batch::read(client, wish, &open).await?.records {
            if let Some(id) = open.take(&record.id.0) {
                fates.insert(id, fate.clone());
            }
        }
    }
    for id in open {
        let fate = alone(client, &id).await?;
        fates.insert(id, fate);
    }
    Ok(fates)
}

async fn alone(client: &Client, id: &str) -> Result<Fate, SourceError> {
    let path = format!("{}/{id}", client.paths.deals);
    match client.get::<Alone>(&path, &[]).await {
        Ok(deal) if deal.id.0 == id => Ok(Fate::OutOfScope),
        Ok(deal) => Ok(Fate::Merged { into: deal.id.0 }),
        Err(SourceError::Unexpected { status: 404, .. }) => Ok(Fate::Unknown),
        Err(error) => Err(error),
    }
}
