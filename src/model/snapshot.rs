//! A snapshot's head: everything a file holds beside the leads.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};

use crate::model::finding::Finding;
use crate::model::money::{Currency, Fx};
use crate::model::number;
use crate::model::ordered::Ordered;
use crate::model::pipeline::Stage;

/// The version of the additive part of the format.
pub const SCHEMA_VERSION: u32 = 1;

/// How a null stage is counted.
pub const NO_STAGE: &str = "(no stage)";

/// How many deals stand in each stage, in the pipeline's order, then as first met.
pub type StageBreakdown = Ordered<u64>;

/// Deals of one currency: how many, what they are worth natively, and weighted by their chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrencyTotals {
    /// How many deals.
    pub count: u64,
    /// The sum of their values, native.
    #[serde(with = "number")]
    pub value: Decimal,
    /// The sum of value times probability, native.
    #[serde(with = "number")]
    pub weighted: Decimal,
}

/// Deals of one status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusTotals {
    /// How many deals, priced or not.
    pub count: u64,
    /// What the priced ones are worth in the snapshot's currency.
    #[serde(with = "number")]
    pub value: Decimal,
    /// The same, weighted.
    #[serde(with = "number")]
    pub weighted: Decimal,
    /// Those without a value or without a rate.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced: u64,
    /// The priced ones natively.
    pub by_currency: BTreeMap<Currency, CurrencyTotals>,
}

/// Whether a count is left out of a file because there is nothing to count.
pub fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Totals by status. A deal without a status is in none of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The pipeline: what pages, alerts and trends use.
    pub open: StatusTotals,
    /// Closed and won.
    pub won: StatusTotals,
    /// Closed and lost.
    pub lost: StatusTotals,
    /// Deals without a value or without a rate: counted, not priced.
    pub unpriced: u64,
    /// Of these, those with a value in a currency that has no rate.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub without_rate: BTreeMap<Currency, u64>,
    /// Priced deals without a probability.
    pub unweighted: u64,
}

/// How many deals the totals lack, in words: those without a price, and which currencies lack a rate, and those that are
/// in no weighted value for want of a probability; nothing where all have both.
pub fn not_in_totals(unpriced: u64, without_rate: &BTreeMap<Currency, u64>, unweighted: u64) -> Option<String> {
    let lacking: Vec<String> = without_rate.iter().map(|(currency, count)| format!("{count} in {currency}")).collect();
    let not_priced = match (unpriced, &lacking[..]) {
        (0, _) => None,
        (_, []) => Some(format!("{unpriced} not priced")),
        (_, lacking) => Some(format!("{unpriced} not priced (no rate for {})", lacking.join(", "))),
    };
    let not_weighted = (unweighted > 0).then(|| format!("{unweighted} without a probability"));
    let both: Vec<String> = not_priced.into_iter().chain(not_weighted).collect();
    (!both.is_empty()).then(|| both.join(", "))
}

/// Whether all deals are there, and how we know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// Only complete snapshots are published.
    pub complete: bool,
    /// How we know, in words.
    pub proof: String,
    /// Pages read.
    pub pages: u64,
    /// How many the CRM said there are, where it says.
    pub expected: Option<u64>,
    /// Records received: `written + filtered + skipped + duplicates`.
    pub fetched: u64,
    /// Deals in the file.
    pub written: u64,
    /// Records left out by the configuration.
    pub filtered: u64,
    /// Records that could not be read.
    pub skipped: u64,
    /// Records that a newer one of the same id replaced.
    pub duplicates: u64,
    /// The deals of the previous snapshot that are missing; `None` without a previous snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vanished: Option<Vanished>,
}

/// Deals that were in the snapshot before, of the same scope and account, and are not in the CRM's list any more: how
/// many, by what the CRM says of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vanished {
    /// Deleted, and can be restored yet.
    pub archived: u64,
    /// Part of another deal now.
    pub merged: u64,
    /// There, but not among those that were asked for.
    pub out_of_scope: u64,
    /// The CRM knows nothing of them.
    pub unknown: u64,
    /// The CRM does not tell, or was not asked.
    pub not_asked: u64,
}

/// What was odd about single deals, and about the pull.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// By rule and field; empty where nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What the source did without, and why; empty where it had everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// How the pull went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When the first request was sent, UTC.
    pub started_at: DateTime<Utc>,
    /// When the last page was in, UTC.
    pub finished_at: DateTime<Utc>,
    /// Requests sent, retries included.
    pub requests: u64,
    /// What the source was asked for, hashed: kind, endpoint, filters, mapping. A change starts a new baseline.
    pub scope_hash: String,
}

/// One source of a joined file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedSource {
    /// The source's name.
    pub name: String,
    /// The instant of its snapshot; `None` before the first one.
    pub timestamp: Option<DateTime<Utc>>,
    /// Its deals in this file.
    pub deals: u64,
    /// Whether its snapshot is there and complete.
    pub complete: bool,
    /// The rates behind its totals, if deals in other currencies were converted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fx: Option<Fx>,
    /// Since when its pulls fail or are held, UTC.
    pub stale_since: Option<DateTime<Utc>>,
    /// Why: held or failing, and what for.
    #[serde(default)]
    pub stale_because: Option<String>,
}

/// Everything a snapshot file holds beside its leads, in the file's order (`leads` stand after `stage_breakdown`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The instant, UTC, microseconds.
    #[serde(serialize_with = "microseconds")]
    pub timestamp: DateTime<Utc>,
    /// All deals in the file.
    pub total_leads: u64,
    /// The value of all priced deals, in `currency`.
    #[serde(with = "number")]
    pub total_value: Decimal,
    /// The same, weighted.
    #[serde(with = "number")]
    pub weighted_value: Decimal,
    /// Deals by stage label.
    pub stage_breakdown: StageBreakdown,
    /// The source's name; `all` in a joined file.
    pub source: String,
    /// The account's id in the CRM, as it was last told: the next pull is held against it. `None` where it never was.
    #[serde(default)]
    pub account: Option<String>,
    /// Whether these are invented deals.
    #[serde(default)]
    pub demo: bool,
    /// 0 for a file in the original format.
    #[serde(default)]
    pub schema_version: u32,
    /// The currency of the totals; `None` where no deal has one.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The rates of the totals, where deals of other currencies were converted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fx: Option<Fx>,
    /// By status; all zero for a file in the original format.
    #[serde(default)]
    pub totals: Totals,
    /// The pipelines' stages, where the CRM lists them.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// The proof; a file in the original format has none.
    #[serde(default)]
    pub completeness: Completeness,
    /// What was odd.
    #[serde(default)]
    pub quality: Quality,
    /// How it was pulled.
    #[serde(default)]
    pub run: Option<Run>,
    /// Each source of a joined file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<JoinedSource>,
    /// Set where a joined file would hold too many leads and holds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leads_omitted: Option<String>,
}

impl Head {
    /// Whether the file is one of the original format, which knew neither status nor currency.
    pub fn is_original_format(&self) -> bool {
        self.schema_version == 0
    }
}

/// RFC 3339 with six decimals and `+00:00`, as the original format has it.
pub fn microseconds<S: Serializer>(value: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_rfc3339_opts(SecondsFormat::Micros, false))
}
