//! All sources together in one line: what they are worth, and which of them is not up to date.

use chrono::{DateTime, TimeDelta, Utc};

use crate::analysis::summary::{SourceBlock, Summary};
use crate::commands::table;
use crate::model::snapshot::not_in_totals;

/// How much older than the newest data is worth a word, though nothing failed.
const OLDER: TimeDelta = TimeDelta::hours(1);

/// How many sources that lag are named: `status` lists them all.
const NAMED: usize = 10;

/// `all: 2 of 3 sources, 12 deals; open 5 deals, 1,000.00 EUR, …; crm is 3 h old (failing)`.
pub(super) fn line(summary: &Summary, now: DateTime<Utc>) -> String {
    let open = &summary.open;
    let there = summary.sources.values().filter(|source| source.timestamp.is_some()).count();
    let mut parts = vec![
        format!("all: {there} of {} sources, {} deals", summary.sources.len(), summary.total_leads),
        format!(
            "open {} deals, {}, weighted {}",
            open.count,
            table::money(open.value, open.currency),
            table::money(open.weighted, open.currency)
        ),
    ];
    parts.extend(not_in_totals(summary.unpriced, &summary.without_rate, summary.unweighted));
    let lag = |(name, source)| Some(format!("{name} {}", lag(source, summary.timestamp, now)?));
    let lagging: Vec<String> = summary.sources.iter().filter_map(lag).collect();
    parts.extend(lagging.iter().take(NAMED).cloned());
    if lagging.len() > NAMED {
        parts.push(format!("and {} more", lagging.len() - NAMED));
    }
    let demo = if summary.demo { " (invented deals)" } else { "" };
    format!("{}{demo}", parts.join("; "))
}

/// How a source lags behind; the whole reason stands where its own pull is told.
fn lag(source: &SourceBlock, newest: DateTime<Utc>, now: DateTime<Utc>) -> Option<String> {
    let because = source.stale_because.as_deref().and_then(|because| because.split(':').next());
    match (source.timestamp, because) {
        (None, None) => Some("has no snapshot yet".to_owned()),
        (None, Some(because)) => Some(format!("has no snapshot yet ({because})")),
        (Some(at), None) => (newest - at > OLDER).then(|| format!("is {} old", table::age(at, now))),
        (Some(at), Some(because)) => Some(format!("is {} old ({because})", table::age(at, now))),
    }
}
