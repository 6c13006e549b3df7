//! The gate: whether a complete pull may be published, judged against the last good one. Pure.
//!
//! What it stops is held: set aside with its reason, while the last good data stays (product C3).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::snapshot::Head;

/// Below this many records a field that matches nothing may be chance.
const ENOUGH_RECORDS: u64 = 20;
/// A count of its own may be short by this many deals …
const COUNT_TOLERANCE: u64 = 5;
/// … or by one in so many, whichever is more (0.5 %).
const COUNT_TOLERANCE_SHARE: u64 = 200;

/// A rule of the gate; the ids are stable (product C2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateRule {
    /// Fewer deals came than an independent query counted.
    R02,
    /// No deals, where there were some.
    R04,
    /// A field that no deal can be without matched nothing.
    R07,
    /// The account is another one.
    R10,
}

/// Why a pull is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The rule.
    pub rule: GateRule,
    /// What was found, in words.
    pub reason: String,
}

impl fmt::Display for Hold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({:?})", self.reason, self.rule)
    }
}

/// A complete pull that wants to be published.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its head.
    pub head: &'a Head,
    /// Different records that came, before the configuration left any out.
    pub fetched: u64,
    /// How many an independent query counted.
    pub counted: Option<u64>,
    /// The fields that no deal can be without, and in how many of `records` each was found.
    pub matched: &'a [(&'static str, u64)],
    /// Where the ways to those fields end, in words; empty where a source cannot tell.
    pub gaps: &'a [(&'a str, String)],
    /// Records that became deals, before the configuration left any out.
    pub records: u64,
}

/// What the configuration lets pass.
#[derive(Debug, Clone, Copy)]
pub struct Allowed<'a> {
    /// No deals at all.
    pub empty: bool,
    /// Fields that may match nothing.
    pub unmatched: &'a [String],
}

/// Every reason to hold the candidate; none: it may be published. `last_good` is what it would take the place of.
pub fn judge(candidate: &Candidate<'_>, last_good: Option<&Head>, allowed: Allowed<'_>) -> Vec<Hold> {
    let empty = if allowed.empty { None } else { is_empty(candidate, last_good) };
    [is_short(candidate), empty, another_account(candidate, last_good)]
        .into_iter()
        .flatten()
        .chain(unmatched(candidate, allowed.unmatched))
        .collect()
}

fn is_short(candidate: &Candidate<'_>) -> Option<Hold> {
    let counted = candidate.counted?;
    let missing = counted.saturating_sub(candidate.fetched);
    let reason = format!("{} deals came, and the CRM counts {counted}", candidate.fetched);
    (missing > COUNT_TOLERANCE.max(counted / COUNT_TOLERANCE_SHARE)).then_some(Hold { rule: GateRule::R02, reason })
}

fn is_empty(candidate: &Candidate<'_>, last_good: Option<&Head>) -> Option<Hold> {
    let before = last_good.map_or(0, |head| head.total_leads);
    let reason = format!("no deals came, and there were {before}");
    (candidate.head.total_leads == 0 && before > 0).then_some(Hold { rule: GateRule::R04, reason })
}

/// Judged whatever the scope: the same settings on another account are another company's data.
fn another_account(candidate: &Candidate<'_>, last_good: Option<&Head>) -> Option<Hold> {
    let (now, before) = (candidate.head.account.as_ref()?, last_good?.account.as_ref()?);
    let reason = format!("the account is {now}, and the last good data is from {before}");
    (now != before).then_some(Hold { rule: GateRule::R10, reason })
}

fn unmatched<'a>(candidate: &'a Candidate<'a>, allowed: &'a [String]) -> impl Iterator<Item = Hold> + 'a {
    let enough = candidate.records >= ENOUGH_RECORDS;
    candidate
        .matched
        .iter()
        .filter(move |(field, found)| enough && *found == 0 && !allowed.iter().any(|name| name == field))
        .map(|(field, _)| {
            let gap = candidate.gaps.iter().find(|(gap, why)| gap == field && !why.is_empty());
            let why = gap.map(|(_, why)| format!(" ({why})")).unwrap_or_default();
            let records = candidate.records;
            let reason = format!("`{field}` is empty in all {records} deals{why}: renamed, or hidden from this key");
            Hold { rule: GateRule::R07, reason }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW_NOTHING: Allowed<'_> = Allowed { empty: false, unmatched: &[] };

    fn head(leads: u64, account: Option<&str>) -> Head {
        let text = format!(
            r#"{{"timestamp": "2026-11-22T08:00:00+00:00", "total_leads": {leads}, "total_value": 0, "weighted_value": 0,
                "stage_breakdown": {{}}, "source": "x", "account": {}}}"#,
            account.map_or_else(|| "null".to_owned(), |account| format!("\"{account}\"")),
        );
        serde_json::from_str(&text).unwrap()
    }

    fn rules(candidate: &Candidate<'_>, last_good: Option<&Head>, allowed: Allowed<'_>) -> Vec<GateRule> {
        judge(candidate, last_good, allowed).iter().map(|hold| hold.rule).collect()
    }

    fn candidate(head: &Head) -> Candidate<'_> {
        Candidate { head, fetched: head.total_leads, counted: None, matched: &[], gaps: &[], records: head.total_leads }
    }

    #[test]
    fn a_pull_that_lacks_more_than_the_tolerance_is_held() {
        let head = head(1_000, None);
        for (counted, held) in [(1_000, false), (1_005, false), (1_006, true), (900, false)] {
            let candidate = Candidate { counted: Some(counted), ..candidate(&head) };
            assert_eq!(!rules(&candidate, None, ALLOW_NOTHING).is_empty(), held, "{counted}");
        }
        let large = Candidate { fetched: 100_000, counted: Some(100_400), ..candidate(&head) };
        assert_eq!(rules(&large, None, ALLOW_NOTHING), [], "0.5 % of many is more than five");
    }

    #[test]
    fn an_empty_answer_is_held_where_there_were_deals_unless_it_is_allowed() {
        let (empty, full) = (head(0, None), head(7, None));
        assert_eq!(rules(&candidate(&empty), Some(&full), ALLOW_NOTHING), [GateRule::R04]);
        assert_eq!(rules(&candidate(&empty), None, ALLOW_NOTHING), [], "a new account may be empty");
        let allowed = Allowed { empty: true, ..ALLOW_NOTHING };
        assert_eq!(rules(&candidate(&empty), Some(&full), allowed), []);
    }

    #[test]
    fn a_field_that_matches_nothing_in_twenty_deals_is_held_unless_it_is_allowed() {
        let head = head(20, None);
        let matched = [("name", 20), ("stage", 0), ("value", 0)];
        let twenty = Candidate { matched: &matched, ..candidate(&head) };
        assert_eq!(rules(&twenty, None, ALLOW_NOTHING), [GateRule::R07, GateRule::R07]);
        let few = Candidate { records: 19, ..twenty };
        assert_eq!(rules(&few, None, ALLOW_NOTHING), []);
        let unmatched = ["stage".to_owned(), "value".to_owned()];
        assert_eq!(rules(&twenty, None, Allowed { unmatched: &unmatched, ..ALLOW_NOTHING }), []);
    }

    #[test]
    fn another_account_is_held_whatever_is_allowed() {
        let (old, new) = (head(5, Some("1")), head(5, Some("2")));
        assert_eq!(rules(&candidate(&new), Some(&old), Allowed { empty: true, unmatched: &[] }), [GateRule::R10]);
        assert_eq!(rules(&candidate(&new), Some(&head(5, None)), ALLOW_NOTHING), [], "it was not known before");
    }
}
