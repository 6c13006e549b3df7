//! The day's figures out of the newest snapshots' heads, as `daily_summary.json` holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;

use crate::model::finding::Finding;
use crate::model::money::{Currency, Rates};
use crate::model::name::SourceName;
use crate::model::number;
use crate::model::snapshot::{self, CurrencyTotals, Head, StageBreakdown, StatusTotals, Totals};

/// A source and its newest snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Newest<'a> {
    /// The source.
    pub name: &'a SourceName,
    /// The head of its newest snapshot; `None` before the first one.
    pub head: Option<&'a Head>,
    /// Since when its pulls fail, UTC.
    pub stale_since: Option<DateTime<Utc>>,
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
    /// Since when its pulls fail.
    pub stale_since: Option<DateTime<Utc>>,
}

/// What was odd, over all sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct QualityBlock {
    /// Findings by source.
    pub findings: BTreeMap<SourceName, Vec<Finding>>,
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
    /// The instant of the newest snapshot in it.
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

/// The summary of the newest snapshots; `None` while there is none.
pub fn summarize(newest: &[Newest<'_>], rates: &Rates) -> Option<Summary> {
    let heads: Vec<&Head> = newest.iter().filter_map(|source| source.head).collect();
    let timestamp = heads.iter().map(|head| head.timestamp).max()?;
    let joined = join(&heads, rates);
    let block = |totals: &StatusTotals| block(totals, joined.currency);
    Some(Summary {
        total_leads: heads.iter().map(|head| head.total_leads).sum(),
        total_value: joined.total_value,
        weighted_value: joined.weighted_value,
        timestamp,
        currency: joined.currency,
        open: block(&joined.totals.open),
        won: block(&joined.totals.won),
        lost: block(&joined.totals.lost),
        unpriced: joined.totals.unpriced,
        unweighted: joined.totals.unweighted,
        stage_breakdown: joined.stage_breakdown,
        complete: newest.iter().all(|source| source.head.is_some_and(is_complete)),
        demo: heads.iter().any(|head| head.demo),
        sources: newest.iter().map(|source| (source.name.clone(), source_block(source))).collect(),
        quality: QualityBlock {
            findings: newest
                .iter()
                .filter_map(|source| Some((source.name.clone(), source.head?.quality.findings.clone())))
                .filter(|(_, findings)| !findings.is_empty())
                .collect(),
        },
    })
}

/// A file of the original format has no proof; it was published as it is.
fn is_complete(head: &Head) -> bool {
    head.completeness.complete || head.is_original_format()
}

fn block(totals: &StatusTotals, currency: Option<Currency>) -> Block {
    Block { count: totals.count, value: totals.value, weighted: totals.weighted, currency }
}

fn source_block(source: &Newest<'_>) -> SourceBlock {
    let empty = StatusTotals::default();
    let (open, currency) = source.head.map_or((&empty, None), |head| (&head.totals.open, head.currency));
    SourceBlock {
        timestamp: source.head.map(|head| head.timestamp),
        total_leads: source.head.map_or(0, |head| head.total_leads),
        open: block(open, currency),
        complete: source.head.is_some_and(is_complete),
        proof: source.head.map_or_else(|| "no snapshot yet".to_owned(), |head| head.completeness.proof.clone()),
        stale_since: source.stale_since,
    }
}

/// The figures of several heads in one currency.
struct Joined {
    total_value: Decimal,
    weighted_value: Decimal,
    currency: Option<Currency>,
    totals: Totals,
    stage_breakdown: StageBreakdown,
}

/// Joins heads. One alone keeps its figures; of several the native sums are converted, and what has no rate into the
/// common currency is counted, not priced.
fn join(heads: &[&Head], rates: &Rates) -> Joined {
    if let [head] = heads {
        return Joined {
            total_value: head.total_value,
            weighted_value: head.weighted_value,
            currency: head.currency,
            totals: head.totals.clone(),
            stage_breakdown: head.stage_breakdown.clone(),
        };
    }
    let currencies: BTreeSet<Currency> = heads.iter().filter_map(|head| head.currency).collect();
    let base = rates.base.or_else(|| if currencies.len() == 1 { currencies.first().copied() } else { None });
    let mut joined = Joined {
        total_value: Decimal::ZERO,
        weighted_value: Decimal::ZERO,
        currency: base,
        totals: Totals::default(),
        stage_breakdown: StageBreakdown::default(),
    };
    for head in heads {
        let priced = head.currency == base && base.is_some();
        let rate = |amount: Decimal| base.zip(head.currency).and_then(|(base, own)| rates.convert(amount, own, base));
        match (rate(head.total_value), rate(head.weighted_value)) {
            (Some(value), Some(weighted)) => {
                joined.total_value += value;
                joined.weighted_value += weighted;
            }
            _ => joined.totals.unpriced += head.total_leads - head.totals.unpriced.min(head.total_leads),
        }
        let _ = priced;
        joined.totals.unpriced += head.totals.unpriced;
        joined.totals.unweighted += head.totals.unweighted;
        add(&mut joined.totals.open, &head.totals.open, &rate);
        add(&mut joined.totals.won, &head.totals.won, &rate);
        add(&mut joined.totals.lost, &head.totals.lost, &rate);
        for (label, count) in &head.stage_breakdown.0 {
            match joined.stage_breakdown.0.iter_mut().find(|(known, _)| known == label) {
                Some((_, known)) => *known += count,
                None => joined.stage_breakdown.0.push((label.clone(), *count)),
            }
        }
    }
    joined
}

fn add(sum: &mut StatusTotals, part: &StatusTotals, rate: &impl Fn(Decimal) -> Option<Decimal>) {
    sum.count += part.count;
    if let (Some(value), Some(weighted)) = (rate(part.value), rate(part.weighted)) {
        sum.value += value;
        sum.weighted += weighted;
    }
    for (currency, native) in &part.by_currency {
        let known = sum.by_currency.entry(*currency).or_insert(CurrencyTotals::default());
        known.count += native.count;
        known.value += native.value;
        known.weighted += native.weighted;
    }
}

/// The summary in Markdown, for people.
pub fn markdown(summary: &Summary) -> String {
    let currency = summary.currency.map_or_else(String::new, |currency| format!(" {currency}"));
    let mut text = format!("# Sales pipeline, {}\n\n", summary.timestamp.format("%Y-%m-%d %H:%M UTC"));
    if summary.demo {
        text.push_str("**Demo data: these deals are invented.**\n\n");
    }
    text.push_str("| | deals | value | weighted |\n| --- | ---: | ---: | ---: |\n");
    for (label, block) in [("Open", &summary.open), ("Won", &summary.won), ("Lost", &summary.lost)] {
        let (value, weighted) = (number::text(block.value), number::text(block.weighted));
        let _ = writeln!(text, "| {label} | {} | {value}{currency} | {weighted}{currency} |", block.count);
    }
    let (value, weighted) = (number::text(summary.total_value), number::text(summary.weighted_value));
    let _ = writeln!(text, "| All in the file | {} | {value}{currency} | {weighted}{currency} |", summary.total_leads);
    if summary.unpriced + summary.unweighted > 0 {
        let _ = writeln!(text, "\n{} not priced, {} without a probability.", summary.unpriced, summary.unweighted);
    }
    text.push_str("\n| source | snapshot | deals | open value | complete |\n| --- | --- | ---: | ---: | --- |\n");
    for (name, source) in &summary.sources {
        let at = source.timestamp.map_or_else(|| "none yet".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string());
        let currency = source.open.currency.map_or_else(String::new, |currency| format!(" {currency}"));
        let stale = source.stale_since.map_or_else(String::new, |since| format!(", failing since {}", since.format("%Y-%m-%d %H:%M UTC")));
        let complete = if source.complete { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "| {name} | {at} | {} | {}{currency} | {complete}: {}{stale} |",
            source.total_leads,
            number::text(source.open.value),
            source.proof,
        );
    }
    text
}
