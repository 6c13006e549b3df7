//! The second pass of a pull: the spool in id order becomes totals, completeness and the lines of a file.

use std::fs::File;
use std::io::{self, BufWriter};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use rust_decimal::Decimal;

use crate::advice::Advice;
use crate::analysis::totals::{Figured, Fold, Overflow};
use crate::jobs::{Target, names};
use crate::model::deal::Figures;
use crate::model::finding::Findings;
use crate::model::money::{Currency, Rates};
use crate::model::snapshot::{Completeness, Head, Quality, Run, SCHEMA_VERSION};
use crate::sources::fetch::{Fetched, FieldCoverage};
use crate::sources::source::{End, MissingPathCounts, Names, RulePathCoverage};
use crate::store::error::StoreError;
use crate::store::format::lead_line;
use crate::store::index::Lines;
use crate::store::spool::{Sorted, Spool};

/// By how much the clocks of a CRM and of this machine may differ.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// Why what was fetched makes no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The spool cannot be read or the lines cannot be written.
    #[error("assemble the snapshot")]
    Io(#[from] io::Error),
    /// A file cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sum has no exact figure.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// Fewer or more deals came than the CRM says there are.
    #[error("the CRM says there are {expected} deals, and {fetched} came")]
    Incomplete {
        /// What the CRM says; a range where it changed while it was read.
        expected: String,
        /// How many different ones came.
        fetched: u64,
    },
}

impl AssembleError {
    /// What to do.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Io(error) => Advice::on_io(error),
            Self::Store(error) => error.advice(),
            Self::Overflow(_) => Advice::CheckMapping,
            Self::Incomplete { .. } => Advice::CheckPaging,
        }
    }
}

/// A snapshot that only lacks its name.
#[derive(Debug)]
pub struct Assembled {
    /// The head.
    pub head: Head,
    /// The lines of the leads.
    pub leads: File,
    /// The lines of the index.
    pub index: File,
    /// What the gate judges beside the head.
    pub evidence: Evidence,
}

/// What was seen on the way that the head does not hold.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Different records that came and could be read, before the configuration left any out, less those that the
    /// CRM's count leaves out.
    pub readable: u64,
    /// Of these, those that say that they are deleted.
    pub deleted: u64,
    /// How many there are, by the CRM's own count.
    pub counted: Option<u64>,
    /// Where the CRM's own total is another than that of the deals: currency, its total, that of the deals.
    pub unlike: Vec<(Currency, Decimal, Decimal)>,
    /// In how many records each field had something.
    pub coverage: FieldCoverage,
    /// Where the ways to fields ended before a value.
    pub missing_paths: MissingPathCounts,
    /// What decided over records beside the fields.
    pub rule_paths: RulePathCoverage,
    /// How the end of the list is known.
    pub end: End,
}

/// Where the CRM's own totals, taken at the start, are others than those of the deals. Nothing where a deal was changed
/// since, or so shortly before that clocks decide: totals that moved prove nothing.
fn unlike(fetched: &Fetched) -> Vec<(Currency, Decimal, Decimal)> {
    let is_still = fetched.changed_at.is_none_or(|changed| changed < fetched.started_at - CLOCKS_DIFFER);
    let told = fetched.opened.worth.as_ref().filter(|_| is_still);
    told.map(|told| fetched.tally.worth.unlike(told)).unwrap_or_default()
}

/// Assembles a snapshot of `target` as of `now`, into two empty files: for its leads and for their index.
pub fn assemble(
    target: &Target,
    rates: &Rates,
    spool: Spool,
    fetched: Fetched,
    [leads, index]: [File; 2],
    now: DateTime<Utc>,
) -> Result<Assembled, AssembleError> {
    let sorted = spool.sort()?;
    let completeness = judge(&sorted, &fetched)?;
    let evidence = Evidence {
        readable: readable(&sorted, &fetched),
        deleted: fetched.tally.deleted,
        counted: fetched.counted.or(fetched.listed.map(|(least, _)| least)),
        unlike: unlike(&fetched),
        coverage: fetched.coverage,
        missing_paths: fetched.tally.missing_paths,
        rule_paths: fetched.tally.rule_paths,
        end: fetched.end,
    };
    let mut findings = fetched.tally.findings;
    let (mut index, mut fold) = (Lines::into(index), Fold::default());
    fold.begin_account(fetched.opened.rates);
    let leads = write_leads(sorted, leads, &fetched.names, &mut findings, |lead| {
        let figures: Figures<'_> = serde_json::from_slice(lead).map_err(io::Error::from)?;
        fold.add(&figures)?;
        Ok(index.add(&figures)?)
    })?;
    let index = index.finish()?;
    let figures = fold.finish(rates, fetched.opened.currency, &fetched.opened.stages)?;
    let head = Head {
        account: fetched.opened.account,
        demo: target.built.demo,
        schema_version: SCHEMA_VERSION,
        stages: fetched.opened.stages,
        completeness,
        quality: Quality { findings: findings.into_list(), warnings: fetched.opened.warnings },
        run: Some(Run {
            started_at: fetched.started_at,
            finished_at: fetched.finished_at,
            requests: fetched.requests,
            scope_hash: target.built.scope_hash.clone(),
        }),
        ..head_of(figures, target.name.to_string(), now)
    };
    Ok(Assembled { head, leads, index, evidence })
}

/// A head with its figures; everything else empty.
pub fn head_of(figures: Figured, source: String, timestamp: DateTime<Utc>) -> Head {
    Head {
        // As precise as the file, so that a head in memory equals one that was read.
        timestamp: timestamp.trunc_subsecs(6),
        total_leads: figures.total_leads,
        total_value: figures.total_value,
        weighted_value: figures.weighted_value,
        stage_breakdown: figures.stage_breakdown,
        source,
        account: None,
        demo: false,
        schema_version: SCHEMA_VERSION,
        currency: figures.currency,
        fx: figures.fx,
        totals: figures.totals,
        stages: Vec::new(),
        completeness: Completeness::default(),
        quality: Quality::default(),
        run: None,
        sources: Vec::new(),
        leads_omitted: None,
    }
}

/// Passes every record once through names into its line, and shows each to `each`.
pub fn write_leads(
    sorted: Sorted,
    leads: File,
    names: &Names,
    findings: &mut Findings,
    mut each: impl FnMut(&[u8]) -> Result<(), AssembleError>,
) -> Result<File, AssembleError> {
    let mut out = BufWriter::with_capacity(64 << 10, leads);
    let mut first = true;
    sorted.for_each::<AssembleError>(|record| {
        let lead = names::lead(record, names, findings)?;
        each(&lead)?;
        lead_line(&mut out, &lead, first)?;
        first = false;
        Ok(())
    })?;
    Ok(out.into_inner().map_err(io::IntoInnerError::into_error)?)
}

/// Different records that could be read, less those that the CRM's count leaves out. Where it leaves any out, each
/// record that came twice is one of them: it was seen before it was archived, and again after.
fn readable(sorted: &Sorted, fetched: &Fetched) -> u64 {
    let uncounted = sorted.duplicates.max(fetched.tally.uncounted);
    fetched.fetched.saturating_sub(uncounted).saturating_sub(fetched.tally.skipped.count)
}

/// The proof of completeness: the list has ended, or there would be nothing to assemble; the list's own count, where
/// it gives one, must match the different records that came. A count by another query is judged by the gate.
pub fn judge(sorted: &Sorted, fetched: &Fetched) -> Result<Completeness, AssembleError> {
    let different = fetched.fetched - sorted.duplicates;
    let readable = readable(sorted, fetched);
    let end = match fetched.end {
        End::Unproven { .. } if fetched.counted != Some(readable) => "nothing says whether that is all",
        End::Said | End::Unproven { .. } => "cursor exhausted",
        End::Counted => "ended at the list's own count",
        End::OneAnswer => "one answer",
    };
    let count = match (fetched.listed, fetched.counted) {
        (Some((least, most)), _) if !(least..=most).contains(&different) => {
            let expected = if least == most { least.to_string() } else { format!("{least} to {most}") };
            return Err(AssembleError::Incomplete { expected, fetched: different });
        }
        (Some((least, most)), _) if least < most => format!("; count {least} to {most} while it was read"),
        (None, Some(counted)) if counted != readable => format!("; {readable} came, and the CRM counts {counted}"),
        (None, None) => String::new(),
        _ if fetched.end == End::Counted => String::new(),
        _ => "; count matches".to_owned(),
    };
    let skipped = if fetched.tally.skipped.count > 0 {
        format!("; {} skipped", fetched.tally.skipped.count)
    } else {
        String::new()
    };
    Ok(complete(sorted, fetched, format!("{end}{count}{skipped}")))
}

fn complete(sorted: &Sorted, fetched: &Fetched, proof: String) -> Completeness {
    Completeness {
        complete: true,
        proof,
        pages: fetched.pages,
        expected: fetched.listed.map(|(_, most)| most).or(fetched.counted),
        fetched: fetched.fetched,
        written: sorted.len() as u64,
        filtered: fetched.tally.filtered,
        skipped: fetched.tally.skipped.count,
        duplicates: sorted.duplicates,
        vanished: fetched.vanished,
    }
}
