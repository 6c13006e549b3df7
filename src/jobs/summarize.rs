//! Brings `daily_summary.json` and the latest file up to the newest snapshots, the latest file last.

use std::io;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::warn;

use crate::advice::Advice;
use crate::analysis::summary::{self, Summary};
use crate::analysis::totals::{Fold, Overflow};
use crate::jobs::assemble::{AssembleError, head_of, write_leads};
use crate::jobs::board::Newest;
use crate::jobs::{Jobs, Target};
use crate::model::deal::Figures;
use crate::model::finding::Findings;
use crate::model::snapshot::{Completeness, Head, JoinedSource};
use crate::sources::source::Names;
use crate::store::error::StoreError;
use crate::store::format;
use crate::store::layout::SnapshotId;
use crate::store::spool::Spool;
use crate::store::summary::{Merged, Object, merge, set};

/// Above this many deals a joined file holds no leads.
const MAX_JOINED: u64 = 250_000;

/// A source with its newest snapshot.
struct Part<'a> {
    target: &'a Target,
    newest: Option<Newest>,
    stale_since: Option<DateTime<Utc>>,
    stale_because: Option<String>,
}

/// Writes summary and latest file from the newest snapshots, if there are any. Returns what was written.
pub fn refresh(jobs: &Jobs, now: DateTime<Utc>) -> Result<Option<Summary>, AssembleError> {
    let _lock = jobs.store.lock_write()?;
    let parts = parts(jobs)?;
    match &parts[..] {
        [Part { newest: None, .. }] => Ok(None),
        [Part { newest: Some(newest), target, .. }] => {
            let summary = write_summary(jobs, &newest.head, &parts, now)?;
            jobs.store.copy_to_latest(&target.place, newest.id)?;
            Ok(Some(summary))
        }
        several if several.iter().all(|part| part.newest.is_none()) => Ok(None),
        several => {
            let (head, mut leads) = join(jobs, several, now)?;
            let summary = write_summary(jobs, &head, &parts, now)?;
            jobs.store.replace_latest(&head, &mut leads)?;
            Ok(Some(summary))
        }
    }
}

fn parts(jobs: &Jobs) -> Result<Vec<Part<'_>>, StoreError> {
    let mut parts = Vec::with_capacity(jobs.targets.len());
    for target in jobs.targets.values() {
        let newest = jobs.newest(target)?;
        let state = jobs.store.duties(&target.place).remove(&target.duty()).unwrap_or_default();
        // What was published since is fresh: its own pull has only not been noted down yet.
        let is_older = |since: &DateTime<Utc>| newest.as_ref().is_none_or(|newest| newest.head.timestamp < *since);
        let stale_since = state.stale_since().filter(is_older);
        let stale_because = stale_since.and_then(|_| state.stale_because());
        parts.push(Part { target, newest, stale_since, stale_because });
    }
    Ok(parts)
}

/// What the file says of itself beside our block.
fn metadata(summary: &Summary) -> io::Result<Object> {
    let mut metadata = Object::default();
    set(&mut metadata, "sales_pipeline_enabled", &true)?;
    set(&mut metadata, "demo", &summary.demo)?;
    set(&mut metadata, "sales_pipeline_version", &env!("CARGO_PKG_VERSION"))?;
    Ok(metadata)
}

fn write_summary(jobs: &Jobs, whole: &Head, parts: &[Part<'_>], now: DateTime<Utc>) -> Result<Summary, AssembleError> {
    let newest: Vec<summary::Newest<'_>> = parts
        .iter()
        .map(|part| summary::Newest {
            name: &part.target.name,
            head: part.newest.as_ref().map(|newest| newest.head.as_ref()),
            stale_since: part.stale_since,
            stale_because: part.stale_because.as_deref(),
        })
        .collect();
    let summary = summary::summarize(whole, &newest);
    if let Merged::SetAside(path) = merge(&jobs.store.layout, &metadata(&summary)?, &summary, now)? {
        let advice = Advice::InspectSetAside.text();
        warn!(path = %path.display(), advice, "The summary could not be read; it was set aside and begun anew");
    }
    Ok(summary)
}

/// One lead of a joined file: as it was, and whose it is.
#[derive(Serialize)]
struct JoinedLead<'a> {
    source: &'a str,
}

/// Joins the newest snapshots: all leads in id order, each with its source, priced by `[fx]`, else by the rates of its
/// own CRM, as its snapshot holds them.
fn join(jobs: &Jobs, parts: &[Part<'_>], now: DateTime<Utc>) -> Result<(Head, std::fs::File), AssembleError> {
    let (mut spool, mut fold) = (jobs.store.spool()?, Fold::default());
    for part in parts {
        let Some(newest) = &part.newest else { continue };
        fold.begin_account(newest.head.fx.as_ref().and_then(|fx| fx.crm.clone()));
        add_part(jobs, part, newest.id, &mut fold, &mut spool)?;
    }
    let (scratch, mut findings, names) = (jobs.store.scratch()?, Findings::default(), Names::default());
    let leads = write_leads(spool.sort()?, scratch, &names, &mut findings, |_| Ok(()))?;
    let figures = fold.finish(&jobs.rates, None, &[])?;
    let too_many = figures.total_leads > MAX_JOINED;
    // The instant of the newest data in it; each source's own stands in `sources`.
    let timestamp = parts.iter().filter_map(|part| Some(part.newest.as_ref()?.head.timestamp)).max().unwrap_or(now);
    let head = Head {
        demo: parts.iter().filter_map(|part| part.newest.as_ref()).any(|newest| newest.head.demo),
        completeness: completeness(parts, figures.total_leads),
        sources: parts.iter().map(joined_source).collect(),
        leads_omitted: too_many
            .then(|| format!("more than {MAX_JOINED} deals: `leads` is empty here; each source's own file has them")),
        ..head_of(figures, "all".to_owned(), timestamp)
    };
    Ok((head, if too_many { jobs.store.scratch()? } else { leads }))
}

/// Takes the leads of one part into the totals and among all leads.
fn add_part(
    jobs: &Jobs,
    part: &Part<'_>,
    id: SnapshotId,
    fold: &mut Fold,
    spool: &mut Spool,
) -> Result<(), AssembleError> {
    let name = &part.target.name;
    let tail = serde_json::to_string(&JoinedLead { source: name.as_str() }).map_err(io::Error::from)?;
    let path = jobs.store.layout.snapshot(&part.target.place, id);
    let mut overflow: Option<Overflow> = None;
    format::read(&path, &mut |lead| {
        let figures: Figures<'_> = serde_json::from_str(lead.get())?;
        if let Err(error) = fold.add(&figures) {
            overflow = Some(error);
        }
        let id = identity(lead)?;
        spool.push(&format!("{id}\0{name}"), None, joined(lead, &tail).as_bytes())
    })
    .map_err(StoreError::on("read snapshot", &path))?;
    overflow.map_or(Ok(()), |overflow| Err(overflow.into()))
}

fn identity(lead: &RawValue) -> io::Result<String> {
    #[derive(serde::Deserialize)]
    struct Identity {
        id: String,
    }
    Ok(serde_json::from_str::<Identity>(lead.get())?.id)
}

/// The lead's own text with its source behind the last key.
fn joined(lead: &RawValue, tail: &str) -> String {
    // A file of the original format may be indented; a line feed stands in JSON only between values.
    let own = lead.get().replace(['\n', '\r'], " ");
    let own = own.strip_suffix('}').unwrap_or(&own).trim_end();
    format!("{own},{}", &tail[1..])
}

fn joined_source(part: &Part<'_>) -> JoinedSource {
    JoinedSource {
        name: part.target.name.to_string(),
        timestamp: part.newest.as_ref().map(|newest| newest.head.timestamp),
        deals: part.newest.as_ref().map_or(0, |newest| newest.head.total_leads),
        complete: part.newest.is_some(),
        fx: part.newest.as_ref().and_then(|newest| newest.head.fx.clone()),
        stale_since: part.stale_since,
        stale_because: part.stale_because.clone(),
    }
}

fn completeness(parts: &[Part<'_>], written: u64) -> Completeness {
    let heads: Vec<&Head> = parts.iter().filter_map(|part| Some(part.newest.as_ref()?.head.as_ref())).collect();
    let sum = |count: fn(&Completeness) -> u64| heads.iter().map(|head| count(&head.completeness)).sum();
    Completeness {
        complete: heads.len() == parts.len(),
        proof: format!("{} of {} sources have a complete snapshot", heads.len(), parts.len()),
        pages: sum(|one| one.pages),
        expected: None,
        fetched: sum(|one| one.fetched),
        written,
        filtered: sum(|one| one.filtered),
        skipped: sum(|one| one.skipped),
        duplicates: sum(|one| one.duplicates),
        vanished: None,
    }
}
