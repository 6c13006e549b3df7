//! What became of deals that were there before and are not any more: deleted, no longer asked for, or gone for good.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::sources::salesforce::client::Client;
use crate::sources::salesforce::composite::{self, Query};
use crate::sources::salesforce::filter::quoted;
use crate::sources::salesforce::id::long;
use crate::sources::source::{Fate, SourceError};

/// The most deals of one request.
pub(super) const AT_ONCE: usize = 200;

const DEALS: &str = "deals";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    id: String,
    is_deleted: bool,
}

/// The fates of at most [`AT_ONCE`] deals. One that was purged, and one that the user may no longer see, are both unknown.
pub(super) async fn ask(client: &Client, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Fate>, SourceError> {
    let mut fates: BTreeMap<String, Fate> = ids.iter().map(|id| (id.clone(), Fate::Unknown)).collect();
    let is_id = |id: &&String| id.len() == 18 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let quoted: Vec<String> = ids.iter().filter(is_id).filter_map(|id| quoted(id)).collect();
    if quoted.is_empty() {
        return Ok(fates);
    }
    let soql = format!("SELECT Id, IsDeleted FROM Opportunity WHERE Id IN ({})", quoted.join(", "));
    // In a body: so many ids are too long for an address.
    let answers = composite::ask(client, vec![Query { name: DEALS, soql, with_deleted: true }]).await?;
    let (found, _) = answers.records::<Found>(DEALS).map_err(|refusal| refusal.error)?;
    for Found { id, is_deleted } in found {
        let fate = if is_deleted { Fate::Archived } else { Fate::OutOfScope };
        fates.entry(long(&id)).and_modify(|known| *known = fate);
    }
    Ok(fates)
}
