//! Finds out why deals of an earlier pull are missing: deleted, no longer in scope, or purged.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::sources::salesforce::client::Client;
use crate::sources::salesforce::composite::{self, Query};
use crate::sources::salesforce::filter::quoted;
use crate::sources::salesforce::id::long;
use crate::sources::source::{MissingDealOutcome, SourceError};

/// The most deals of one request.
pub(super) const AT_ONCE: usize = 200;

const DEALS: &str = "deals";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    id: String,
    is_deleted: bool,
}

/// Why these deals are missing, at most [`AT_ONCE`]. A purged deal and one that the user may no longer see are unknown.
pub(super) async fn resolve_missing(
    client: &Client,
    ids: &BTreeSet<String>,
) -> Result<BTreeMap<String, MissingDealOutcome>, SourceError> {
    let mut outcomes: BTreeMap<String, MissingDealOutcome> =
        ids.iter().map(|id| (id.clone(), MissingDealOutcome::Unknown)).collect();
    let is_id = |id: &&String| id.len() == 18 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let quoted: Vec<String> = ids.iter().filter(is_id).filter_map(|id| quoted(id)).collect();
    if quoted.is_empty() {
        return Ok(outcomes);
    }
    let soql = format!("SELECT Id, IsDeleted FROM Opportunity WHERE Id IN ({})", quoted.join(", "));
    // In a body: a URL would be too long for this many ids.
    let answers = composite::ask(client, vec![Query { name: DEALS, soql, with_deleted: true }]).await?;
    let (found, _) = answers.records::<Found>(DEALS).map_err(|refusal| refusal.error)?;
    for Found { id, is_deleted } in found {
        let outcome = if is_deleted { MissingDealOutcome::Archived } else { MissingDealOutcome::OutOfScope };
        outcomes.entry(long(&id)).and_modify(|known| *known = outcome);
    }
    Ok(outcomes)
}
