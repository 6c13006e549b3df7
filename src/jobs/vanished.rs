//! Deals that the last good snapshot has and a pull has not: the CRM is asked what became of them.
//!
//! They are told, and nothing is held for them here. That they cannot be explained fails no pull, which is whole
//! without it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use crate::jobs::{Jobs, Target};
use crate::model::snapshot::{Head, Vanished};
use crate::sources::fetch::{Fetched, IdSet, resolve_missing};
use crate::sources::source::MissingDealOutcome;
use crate::store::error::StoreError;
use crate::telemetry::in_one_line;

/// About how many deals a CRM is asked; of more, the rest is only counted.
const ASKED_AT_MOST: usize = 200;
/// How many ids the log names.
const NAMED_AT_MOST: usize = 5;

/// What is gone.
struct Gone {
    /// The first of them in id order.
    ids: BTreeSet<String>,
    /// How many there are beside these.
    more: u64,
}

/// Counts the outcomes of vanished deals until `ends_at`; `None` if no deal vanished or the CRM cannot tell.
pub(super) async fn count(
    jobs: &Arc<Jobs>,
    target: &Arc<Target>,
    fetched: &mut Fetched,
    ends_at: Instant,
) -> Option<Vanished> {
    let gone = {
        let (jobs, target) = (Arc::clone(jobs), Arc::clone(target));
        let (seen, account) = (std::mem::take(&mut fetched.seen), fetched.opened.account.clone());
        tokio::task::spawn_blocking(move || find(&jobs, &target, &seen, account.as_deref())).await
    };
    let gone = match gone.ok()? {
        Ok(gone) if gone.ids.is_empty() => return None,
        Ok(gone) => gone,
        Err(error) => {
            tracing::warn!(source.name = %target.name, error = in_one_line(&error), "Vanished deals cannot be told");
            return None;
        }
    };
    let (source, mut outcomes) = (&target.built.source, BTreeMap::new());
    let before = source.requests();
    let (clock, stop) = (jobs.clock.as_ref(), &jobs.stop);
    if let Err(error) = resolve_missing(&target.built, &gone.ids, ends_at, clock, stop, &mut outcomes).await {
        let error = in_one_line(&error);
        tracing::warn!(source.name = %target.name, error, "What became of the vanished deals is not known");
    }
    fetched.requests += source.requests() - before;
    let unknown: Vec<&str> = outcomes
        .iter()
        .filter(|(_, outcome)| **outcome == MissingDealOutcome::Unknown)
        .map(|(id, _)| id.as_str())
        .collect();
    if !unknown.is_empty() {
        let count = unknown.len();
        let ids = unknown[..count.min(NAMED_AT_MOST)].join(", ");
        let more = if count > NAMED_AT_MOST { ", …" } else { "" };
        let (deals, them) =
            if count == 1 { ("1 deal is".to_owned(), "it") } else { (format!("{count} deals are"), "them") };
        tracing::warn!(source.name = %target.name, count, "{deals} gone, and the CRM knows nothing of {them}: {ids}{more}");
    }
    Some(by_outcome(&outcomes, gone.ids.len() as u64 + gone.more))
}

/// The deals of the newest snapshot that the pull has not seen, if both were asked for the same of the same account.
fn find(jobs: &Jobs, target: &Target, seen: &IdSet, account: Option<&str>) -> Result<Gone, StoreError> {
    let mut gone = Gone { ids: BTreeSet::new(), more: 0 };
    let is_alike = |head: &Head| {
        let same_scope = head.run.as_ref().is_some_and(|run| run.scope_hash == target.built.scope_hash);
        // An account that is not told is taken for the one before, as the gate does.
        same_scope && (account.is_none() || head.account.as_deref() == account)
    };
    let Some(newest) = jobs.newest(target)?.filter(|newest| is_alike(&newest.head)) else { return Ok(gone) };
    jobs.store.with_index(&target.place, newest.id, |entries| {
        gone = Gone { ids: BTreeSet::new(), more: 0 };
        for entry in entries {
            let id = entry?.id;
            if seen.has(&id) {
                continue;
            }
            if gone.ids.len() < ASKED_AT_MOST {
                gone.ids.insert(id);
            } else {
                gone.more += 1;
            }
        }
        Ok(())
    })?;
    Ok(gone)
}

fn by_outcome(outcomes: &BTreeMap<String, MissingDealOutcome>, all: u64) -> Vanished {
    let mut vanished = Vanished { not_asked: all - outcomes.len() as u64, ..Vanished::default() };
    for outcome in outcomes.values() {
        *match outcome {
            MissingDealOutcome::Archived => &mut vanished.archived,
            MissingDealOutcome::Merged { .. } => &mut vanished.merged,
            MissingDealOutcome::OutOfScope => &mut vanished.out_of_scope,
            MissingDealOutcome::Unknown => &mut vanished.unknown,
        } += 1;
    }
    vanished
}
