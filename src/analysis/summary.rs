//! The day's figures out of the snapshots' heads, as `daily_summary.json` holds them.

use std::collections::BTreeMap;
use std::fmt::Write;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;

use crate::model::finding::Finding;
use crate::model::money::Currency;
use crate::model::name::SourceName;
use crate::model::number;
use crate::model::snapshot::{self, Head, StageBreakdown, StatusTotals};

/// A source and its newest snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Newest<'a> {
    /// The source.
    pub name: &'a SourceName,
    /// The head of its newest snapshot; `None` before the first one.
    pub head: Option<&'a Head>,
    /// Since when its pulls fail or are held, UTC.
    pub stale_since: Option<DateTime<Utc>>,
    /// Why: held or failing, and what for.
    pub stale_because: Option<&'a str>,
}

/// Deals of one status in the summary's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Block {
    /// How many.
    pub count: u64,
    /// What the priced ones are worth.
    #[serde(with = "number")]
    pub value: Decimal,
    /// The same, weighted.
    #[serde(with = "number")]
    pub weighted: Decimal,
    /// The currency of both.
    pub currency: Option<Currency>,
    /// Those without a value or without a rate.
    #[serde(skip_serializing_if = "snapshot::is_zero")]
    pub unpriced: u64,
}

impl Block {
    /// The deals of one status, in the currency of the totals.
    pub fn of(totals: &StatusTotals, currency: Option<Currency>) -> Self {
        let StatusTotals { count, value, weighted, unpriced, .. } = *totals;
        Self { count, value, weighted, currency, unpriced }
    }
}

/// One source in the summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceBlock {
    /// The instant of its snapshot.
    pub timestamp: Option<DateTime<Utc>>,
    /// All its deals.
    pub total_leads: u64,
    /// Its pipeline.
    pub open: Block,
    /// Whether its snapshot is complete.
    pub complete: bool,
    /// How we know.
    pub proof: String,
    /// Since when its pulls fail or are held, UTC.
    pub stale_since: Option<DateTime<Utc>>,
    /// Why: held or failing, and what for.
    pub stale_because: Option<String>,
}

/// What was odd, over all sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct QualityBlock {
    /// Findings by source.
    pub findings: BTreeMap<SourceName, Vec<Finding>>,
    /// By source: what it did without, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub warnings: BTreeMap<SourceName, Vec<String>>,
}

/// Our block of `daily_summary.json`. The first four keys are the original's, over all deals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// All deals.
    pub total_leads: u64,
    /// What the priced ones are worth.
    #[serde(with = "number")]
    pub total_value: Decimal,
    /// The same, weighted.
    #[serde(with = "number")]
    pub weighted_value: Decimal,
    /// The instant of the data, UTC.
    #[serde(serialize_with = "snapshot::microseconds")]
    pub timestamp: DateTime<Utc>,
    /// The currency of the totals.
    pub currency: Option<Currency>,
    /// The pipeline.
    pub open: Block,
    /// Closed and won.
    pub won: Block,
    /// Closed and lost.
    pub lost: Block,
    /// Counted, not priced.
    pub unpriced: u64,
    /// Of these, those with a value in a currency that has no rate.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub without_rate: BTreeMap<Currency, u64>,
    /// Priced, without a probability.
    pub unweighted: u64,
    /// Deals by stage.
    pub stage_breakdown: StageBreakdown,
    /// Whether every source is there and complete.
    pub complete: bool,
    /// Whether these are invented deals.
    pub demo: bool,
    /// Each source.
    pub sources: BTreeMap<SourceName, SourceBlock>,
    /// What was odd.
    pub quality: QualityBlock,
}

/// The summary of `whole` (the one snapshot, or all of them joined) and of each source in it.
pub fn summarize(whole: &Head, newest: &[Newest<'_>]) -> Summary {
    let block = |totals: &StatusTotals| Block::of(totals, whole.currency);
    Summary {
        total_leads: whole.total_leads,
        total_value: whole.total_value,
        weighted_value: whole.weighted_value,
        timestamp: whole.timestamp,
        currency: whole.currency,
        open: block(&whole.totals.open),
        won: block(&whole.totals.won),
        lost: block(&whole.totals.lost),
        unpriced: whole.totals.unpriced,
        without_rate: whole.totals.without_rate.clone(),
        unweighted: whole.totals.unweighted,
        stage_breakdown: whole.stage_breakdown.clone(),
        complete: newest.iter().all(|source| source.head.is_some_and(is_complete)),
        demo: whole.demo,
        sources: newest.iter().map(|source| (source.name.clone(), source_block(source))).collect(),
        quality: QualityBlock {
            findings: newest
                .iter()
                .filter_map(|source| Some((source.name.clone(), source.head?.quality.findings.clone())))
                .filter(|(_, findings)| !findings.is_empty())
                .collect(),
            warnings: newest
                .iter()
                .filter_map(|source| Some((source.name.clone(), source.head?.quality.warnings.clone())))
                .filter(|(_, warnings)| !warnings.is_empty())
                .collect(),
        },
    }
}

/// A file of the original format has no proof; it was published as it is.
fn is_complete(head: &Head) -> bool {
    head.completeness.complete || head.is_original_format()
}

fn source_block(source: &Newest<'_>) -> SourceBlock {
    let empty = StatusTotals::default();
    let (open, currency) = source.head.map_or((&empty, None), |head| (&head.totals.open, head.currency));
    SourceBlock {
        timestamp: source.head.map(|head| head.timestamp),
        total_leads: source.head.map_or(0, |head| head.total_leads),
        open: Block::of(open, currency),
        complete: source.head.is_some_and(is_complete),
        proof: source.head.map_or_else(|| "no snapshot yet".to_owned(), |head| head.completeness.proof.clone()),
        stale_since: source.stale_since,
        stale_because: source.stale_because.map(str::to_owned),
    }
}

/// The summary in Markdown, for people.
pub fn markdown(summary: &Summary) -> String {
    let currency = summary.currency.map_or_else(String::new, |currency| format!(" {currency}"));
    // No value without how many deals are missing from it.
    let without = |unpriced: u64| if unpriced == 0 { String::new() } else { format!(" ({unpriced} not priced)") };
    let mut text = format!("# Sales pipeline, {}\n\n", summary.timestamp.format("%Y-%m-%d %H:%M UTC"));
    if summary.demo {
        text.push_str("**Demo data: these deals are invented.**\n\n");
    }
    text.push_str("| | deals | value | weighted |\n| --- | ---: | ---: | ---: |\n");
    for (label, block) in [("Open", &summary.open), ("Won", &summary.won), ("Lost", &summary.lost)] {
        let (value, weighted) = (number::text(block.value), number::text(block.weighted));
        let unpriced = without(block.unpriced);
        let _ = writeln!(text, "| {label} | {} | {value}{currency}{unpriced} | {weighted}{currency} |", block.count);
    }
    let unpriced = without(summary.unpriced);
    let (value, weighted) = (number::text(summary.total_value), number::text(summary.weighted_value));
    let count = summary.total_leads;
    let _ = writeln!(text, "| All in the file | {count} | {value}{currency}{unpriced} | {weighted}{currency} |");
    if let Some(noted) = snapshot::not_in_totals(summary.unpriced, &summary.without_rate, summary.unweighted) {
        let _ = writeln!(text, "\n{noted}.");
    }
    text.push_str("\n| source | snapshot | deals | open value | complete |\n| --- | --- | ---: | ---: | --- |\n");
    for (name, source) in &summary.sources {
        let at =
            source.timestamp.map_or_else(|| "none yet".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string());
        let currency = source.open.currency.map_or_else(String::new, |currency| format!(" {currency}"));
        let stale = source.stale_since.map_or_else(String::new, |since| {
            let because = source.stale_because.as_deref().unwrap_or("no new data");
            format!("; since {} {because}", since.format("%Y-%m-%d %H:%M UTC"))
        });
        let complete = if source.complete { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "| {name} | {at} | {} | {}{currency}{} | {complete}: {}{stale} |",
            source.total_leads,
            number::text(source.open.value),
            without(source.open.unpriced),
            source.proof,
        );
    }
    let warnings =
        summary.quality.warnings.iter().flat_map(|(name, warnings)| warnings.iter().map(move |text| (name, text)));
    for (name, warning) in warnings {
        let _ = writeln!(text, "\n{name}: {warning}.");
    }
    text
}
