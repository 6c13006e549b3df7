//! Finds out why deals of an earlier pull are missing.
//!
//! Pipedrive lists deleted deals by their status for 30 days, and archived deals on their own list. A merged deal leaves
//! nothing to ask for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::sources::pipedrive::client::Client;
use crate::sources::pipedrive::settings::{ARCHIVED, DEALS};
use crate::sources::pipedrive::wire::PAGE;
use crate::sources::source::{MissingDealOutcome, SourceError};
use crate::sources::wire::Id;

/// The most deals of one batch.
pub(super) const AT_ONCE: usize = 100;
const ANY: &str = "open,won,lost,deleted";

#[derive(Deserialize)]
struct Found {
    id: Id,
    status: Option<String>,
    is_deleted: Option<bool>,
}

impl Found {
    fn outcome(&self) -> MissingDealOutcome {
        let is_deleted = self.is_deleted == Some(true) || self.status.as_deref() == Some("deleted");
        if is_deleted { MissingDealOutcome::Archived } else { MissingDealOutcome::OutOfScope }
    }
}

/// Why these deals are missing, at most [`AT_ONCE`] deals. Asks for archived deals only if some are still unknown.
pub(super) async fn resolve_missing(
    client: &Client,
    ids: &BTreeSet<String>,
) -> Result<BTreeMap<String, MissingDealOutcome>, SourceError> {
    // Pipedrive's ids are numbers.
    let is_number = |id: &String| id.bytes().all(|byte| byte.is_ascii_digit());
    let (mut open, mut foreign): (BTreeSet<String>, BTreeSet<String>) = ids.iter().cloned().partition(is_number);
    let mut outcomes = BTreeMap::new();
    for path in [DEALS, ARCHIVED] {
        if open.is_empty() {
            break;
        }
        let wanted = open.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let query = [("limit", PAGE), ("ids", &wanted), ("status", ANY)];
        for record in client.page(path, &query).await?.records {
            let Ok(found) = serde_json::from_str::<Found>(record.get()) else { continue };
            outcomes.extend(open.take(&found.id.0).map(|id| (id, found.outcome())));
        }
    }
    foreign.extend(open);
    outcomes.extend(foreign.into_iter().map(|id| (id, MissingDealOutcome::Unknown)));
    Ok(outcomes)
}
