//! The gate: whether a complete pull may be published, judged against the last good one. Pure.
//!
//! A doubtful pull is held: set aside with its reason. The last good data stays.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::model::deal::{MANDATORY, PAGING};
use crate::model::finding::{Finding, Rule};
use crate::model::money::Currency;
use crate::model::snapshot::Head;
use crate::telemetry::Escaped;

/// Below this many records a field that matches nothing may be chance.
const ENOUGH_RECORDS: u64 = 20;
/// A separate count may be short by this many deals …
const COUNT_TOLERANCE: u64 = 5;
/// … or by one deal in this many, whichever is more (0.5 %).
const COUNT_TOLERANCE_SHARE: u64 = 200;

/// A rule of the gate; the ids are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateRule {
    /// Fewer deals came than an independent query counted.
    R02,
    /// No deals, where there were some.
    R04,
    /// Too many records came more than once: pages overlap, so others may be missing between them.
    R06,
    /// A field that no deal can be without, or what says where the next page is, which records count and which deals are
    /// won, matched nothing.
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
    /// Different records that came and could be read, before the configuration left any out.
    pub readable: u64,
    /// Of these, those that say that they are deleted.
    pub deleted: u64,
    /// Records that could not be read.
    pub skipped: u64,
    /// How many there are, by the CRM's own count.
    pub counted: Option<u64>,
    /// Where the CRM's own total is another than that of the deals: currency, its total, that of the deals.
    pub unlike: &'a [(Currency, Decimal, Decimal)],
    /// The mapped fields, and in how many of `records` each was found.
    pub matched: &'a [(String, u64)],
    /// Where the ways to those fields end, in words; empty where a source cannot tell.
    pub gaps: &'a [(String, String)],
    /// What was to decide over records and is in none: the key that names the place, and the place.
    pub absent: &'a [(&'a str, &'a str)],
    /// Why this may not be the whole list, and whether that is too odd to publish.
    pub doubt: Option<(&'a str, bool)>,
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
    let doubtful = doubtful(candidate).filter(|_| !allowed.unmatched.iter().any(|name| name == PAGING));
    [is_short(candidate), empty, overlaps(candidate), another_account(candidate, last_good), without_id(candidate)]
        .into_iter()
        .flatten()
        .chain(doubtful)
        .chain(unmatched(candidate, allowed.unmatched))
        .chain(undecided(candidate, allowed.unmatched))
        .collect()
}

/// What is odd about a candidate and holds nothing: a count that differs, records that came twice, fields that match
/// nothing, an end of the list that nothing proves.
pub fn remark(candidate: &Candidate<'_>) -> Vec<Finding> {
    let counted = candidate.counted.filter(|counted| *counted != candidate.readable).map(|counted| {
        let message = format!("{} came, and the CRM counts {counted}", candidate.readable);
        Finding::of_pull(Rule::R02, "id", message, counted.abs_diff(candidate.readable))
    });
    // With another number of deals, other totals say nothing new.
    let unlike = candidate.unlike.iter().filter(|_| counted.is_none()).map(|(currency, told, came)| {
        let message = format!("these deals make {came} {currency}, and the CRM's own total is {told}");
        Finding::of_pull(Rule::R02, "value", message, candidate.readable)
    });
    let unlike: Vec<Finding> = unlike.collect();
    let empty = candidate.empty_fields().filter(|field| !MANDATORY.contains(field));
    let empty = empty.map(|field| {
        let message = format!("{}{}", Rule::R07.meaning(), candidate.why_empty(field));
        Finding::of_pull(Rule::R07, field, message, candidate.records)
    });
    let doubt = candidate
        .doubt
        .filter(|_| !candidate.is_proven())
        .map(|(why, _)| Finding::of_pull(Rule::R07, PAGING, why.to_owned(), candidate.records));
    let absent = candidate.absent_places().map(|(key, place)| {
        let records = candidate.head.completeness.fetched;
        Finding::of_pull(Rule::R07, key, format!("`{place}` is in no record"), records)
    });
    let duplicates = candidate.head.completeness.duplicates;
    let twice = (duplicates > 0).then(|| Finding::of_pull(Rule::R06, "id", Rule::R06.meaning().to_owned(), duplicates));
    counted.into_iter().chain(unlike).chain(twice).chain(doubt).chain(absent).chain(empty).collect()
}

impl<'a> Candidate<'a> {
    /// Whether a count says that as many came as there are.
    fn is_proven(&self) -> bool {
        self.counted == Some(self.readable)
    }

    /// The mapped fields that are empty in enough records for that to be no chance.
    fn empty_fields(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let enough = self.records >= ENOUGH_RECORDS;
        self.matched.iter().filter(move |(_, found)| enough && *found == 0).map(|(field, _)| field.as_str())
    }

    /// Paths of `where` and `status` that no record has, in more records than chance explains, each with its key.
    fn absent_places(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let enough = self.head.completeness.fetched >= ENOUGH_RECORDS;
        self.absent.iter().filter(move |_| enough).copied()
    }

    /// In how many deals a field holds what does not fit it.
    fn unreadable(&self, field: &str) -> u64 {
        let findings = self.head.quality.findings.iter();
        findings.filter(|finding| finding.field == field && finding.rule.is_cast()).map(|finding| finding.count).sum()
    }

    /// Where the way to an empty field ends, in brackets; nothing where the source cannot tell.
    fn why_empty(&self, field: &str) -> String {
        let gap = self.gaps.iter().find(|(gap, why)| gap == field && !why.is_empty());
        gap.map(|(_, why)| format!(" ({why})")).unwrap_or_default()
    }
}

/// A short one is held beyond the tolerance, and where nothing came at all of what there is.
fn is_short(candidate: &Candidate<'_>) -> Option<Hold> {
    let (readable, counted) = (candidate.readable, candidate.counted?);
    let missing = counted.saturating_sub(readable);
    let is_short = missing > COUNT_TOLERANCE.max(counted / COUNT_TOLERANCE_SHARE) || (readable == 0 && counted > 0);
    let came = if candidate.skipped > 0 { "deals could be read" } else { "deals came" };
    let reason = format!("{readable} {came}, and the CRM counts {counted}");
    is_short.then_some(Hold { rule: GateRule::R02, reason })
}

/// Judged by what came, not by what the configuration leaves of it. Another scope is a new baseline.
fn is_empty(candidate: &Candidate<'_>, last_good: Option<&Head>) -> Option<Hold> {
    let last_good = last_good.filter(|head| is_same_scope(candidate.head, head))?;
    let completeness = &last_good.completeness;
    // A file of the original format does not say what came.
    let before = last_good.total_leads.max(completeness.written + completeness.filtered);
    let reason = format!("no deals came, and there were {before}");
    let there = candidate.readable.saturating_sub(candidate.deleted);
    (there == 0 && candidate.records == 0 && before > 0).then_some(Hold { rule: GateRule::R04, reason })
}

/// A record that moves while pages are read comes twice; where many do and no count proves that all came, others were
/// passed over. The tolerance is that of a count, so that one edit in a small account holds nothing.
fn overlaps(candidate: &Candidate<'_>) -> Option<Hold> {
    let completeness = &candidate.head.completeness;
    let (duplicates, fetched) = (completeness.duplicates, completeness.fetched);
    let reason = format!("{duplicates} of {fetched} records came more than once: the pages overlap");
    let are_many = duplicates > COUNT_TOLERANCE.max(fetched / COUNT_TOLERANCE_SHARE);
    (are_many && !candidate.is_proven()).then_some(Hold { rule: GateRule::R06, reason })
}

/// Nothing of what was configured to say where the list ends was in the answers, and no count proves that all came.
fn doubtful(candidate: &Candidate<'_>) -> Option<Hold> {
    let (why, _) = candidate.doubt.filter(|(_, blocks_publish)| *blocks_publish && !candidate.is_proven())?;
    Some(Hold { rule: GateRule::R07, reason: why.to_owned() })
}

fn is_same_scope(one: &Head, other: &Head) -> bool {
    let hash = |head: &Head| head.run.as_ref().map(|run| run.scope_hash.clone());
    hash(one).zip(hash(other)).is_none_or(|(one, other)| one == other)
}

/// No record became a deal: their ids are not where they were.
fn without_id(candidate: &Candidate<'_>) -> Option<Hold> {
    let Candidate { skipped, records, .. } = candidate;
    let reason = format!("`id` cannot be read in any of {skipped} records: renamed, or another answer");
    (*records == 0 && *skipped >= ENOUGH_RECORDS).then_some(Hold { rule: GateRule::R07, reason })
}

/// Judged whatever the scope: the same settings on another account are another company's data.
fn another_account(candidate: &Candidate<'_>, last_good: Option<&Head>) -> Option<Hold> {
    let (now, before) = (candidate.head.account.as_ref()?, last_good?.account.as_ref()?);
    let reason = format!("the account is {}, and the last good data is from {}", Escaped(now), Escaped(before));
    (now != before).then_some(Hold { rule: GateRule::R10, reason })
}

fn unmatched<'a>(candidate: &'a Candidate<'a>, allowed: &'a [String]) -> impl Iterator<Item = Hold> + 'a {
    let is_mandatory = |field: &&str| MANDATORY.contains(field) && !allowed.iter().any(|name| name == field);
    candidate.empty_fields().filter(is_mandatory).map(|field| {
        let (records, why) = (candidate.records, candidate.why_empty(field));
        let reason = match candidate.unreadable(field) {
            0 => format!("`{field}` is empty in all {records} deals{why}: renamed, or hidden from this key"),
            count => format!("`{field}` cannot be read in {count} of {records} deals{why}, and is in no other"),
        };
        Hold { rule: GateRule::R07, reason }
    })
}

fn undecided<'a>(candidate: &Candidate<'a>, allowed: &'a [String]) -> impl Iterator<Item = Hold> + use<'a> {
    let records = candidate.head.completeness.fetched;
    candidate.absent_places().filter(|(key, _)| !allowed.iter().any(|name| name == key)).map(move |(key, place)| {
        let reason = format!("`{key}` goes by `{place}`, which is in none of {records} records: renamed, or mistyped");
        Hold { rule: GateRule::R07, reason }
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::model::snapshot::Run;

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
        let records = head.total_leads;
        Candidate {
            head,
            readable: records,
            deleted: 0,
            skipped: 0,
            counted: None,
            unlike: &[],
            matched: &[],
            gaps: &[],
            absent: &[],
            doubt: None,
            records,
        }
    }

    fn of_scope(leads: u64, scope_hash: &str) -> Head {
        let (started_at, scope_hash) = (DateTime::UNIX_EPOCH, scope_hash.to_owned());
        Head { run: Some(Run { started_at, finished_at: started_at, requests: 1, scope_hash }), ..head(leads, None) }
    }

    #[test]
    fn a_pull_that_lacks_more_than_the_tolerance_is_held() {
        let head = head(1_000, None);
        for (counted, held) in [(1_000, false), (1_005, false), (1_006, true), (900, false)] {
            let candidate = Candidate { counted: Some(counted), ..candidate(&head) };
            assert_eq!(!rules(&candidate, None, ALLOW_NOTHING).is_empty(), held, "{counted}");
        }
        let large = Candidate { readable: 100_000, counted: Some(100_400), ..candidate(&head) };
        assert_eq!(rules(&large, None, ALLOW_NOTHING), [], "0.5 % of many is more than five");
        let none = Candidate { readable: 0, counted: Some(3), ..candidate(&head) };
        assert_eq!(rules(&none, None, ALLOW_NOTHING), [GateRule::R02], "nothing of three is within no tolerance");
        let none = Candidate { counted: Some(0), ..none };
        assert_eq!(rules(&none, None, ALLOW_NOTHING), []);
    }

    #[test]
    fn a_count_that_differs_within_the_tolerance_is_said_with_both_numbers() {
        let head = head(98, None);
        for (counted, said) in [(98, None), (100, Some(2)), (97, Some(1))] {
            let remarks = remark(&Candidate { counted: Some(counted), ..candidate(&head) });
            assert_eq!(remarks.first().map(|remark| remark.count), said, "{counted}");
            assert!(remarks.iter().all(|remark| remark.message == format!("98 came, and the CRM counts {counted}")));
        }
    }

    #[test]
    fn records_that_cannot_be_read_prove_nothing() {
        let head = head(0, None);
        let unreadable = Candidate { skipped: 250, ..candidate(&head) };
        assert_eq!(rules(&unreadable, None, ALLOW_NOTHING), [GateRule::R07]);
        let counted = Candidate { counted: Some(250), ..unreadable };
        let holds = judge(&counted, None, ALLOW_NOTHING);
        assert_eq!(holds[0].reason, "0 deals could be read, and the CRM counts 250");
        let few = Candidate { skipped: 19, ..unreadable };
        assert_eq!(rules(&few, None, ALLOW_NOTHING), []);
    }

    #[test]
    fn many_records_that_came_twice_are_held_unless_a_count_proves_that_all_came() {
        let mut head = head(1_000, None);
        for (duplicates, counted, held) in
            [(5, None, false), (6, None, true), (6, Some(1_000), false), (6, Some(999), true)]
        {
            head.completeness.duplicates = duplicates;
            head.completeness.fetched = 1_000 + duplicates;
            let candidate = Candidate { counted, ..candidate(&head) };
            let rules = rules(&candidate, None, ALLOW_NOTHING);
            assert_eq!(rules, if held { vec![GateRule::R06] } else { Vec::new() }, "{duplicates} {counted:?}");
            assert!(remark(&candidate).iter().any(|finding| (finding.rule, finding.count) == (Rule::R06, duplicates)));
        }
    }

    #[test]
    fn an_end_that_nobody_told_is_held_where_it_is_grave_and_not_allowed_and_always_said() {
        let head = head(20, None);
        let doubtful = |blocks_publish| Candidate { doubt: Some(("is that all?", blocks_publish)), ..candidate(&head) };
        assert_eq!(judge(&doubtful(true), None, ALLOW_NOTHING)[0].reason, "is that all?");
        let counted = Candidate { counted: Some(20), ..doubtful(true) };
        assert_eq!((rules(&counted, None, ALLOW_NOTHING), remark(&counted)), (vec![], vec![]), "a count proves it");
        let allowed = [PAGING.to_owned()];
        assert_eq!(rules(&doubtful(true), None, Allowed { unmatched: &allowed, ..ALLOW_NOTHING }), []);
        assert_eq!(rules(&doubtful(false), None, ALLOW_NOTHING), []);
        for blocks_publish in [true, false] {
            assert_eq!(remark(&doubtful(blocks_publish))[0].message, "is that all?");
        }
    }

    #[test]
    fn an_empty_answer_is_held_where_there_were_deals_unless_it_is_allowed() {
        let (empty, full) = (head(0, None), head(7, None));
        assert_eq!(rules(&candidate(&empty), Some(&full), ALLOW_NOTHING), [GateRule::R04]);
        assert_eq!(rules(&candidate(&empty), None, ALLOW_NOTHING), [], "a new account may be empty");
        let allowed = Allowed { empty: true, ..ALLOW_NOTHING };
        assert_eq!(rules(&candidate(&empty), Some(&full), allowed), []);
        let filtered = Candidate { readable: 7, ..candidate(&empty) };
        assert_eq!(
            rules(&filtered, Some(&full), ALLOW_NOTHING),
            [],
            "they came, and the configuration leaves them out"
        );
        let deleted = Candidate { deleted: 7, records: 0, ..filtered };
        assert_eq!(rules(&deleted, Some(&full), ALLOW_NOTHING), [GateRule::R04], "they came, and say they are deleted");
    }

    #[test]
    fn another_scope_is_a_new_baseline_and_another_account_is_held_all_the_same() {
        let (empty, full) = (of_scope(0, "new"), of_scope(7, "old"));
        assert_eq!(rules(&candidate(&empty), Some(&full), ALLOW_NOTHING), []);
        assert_eq!(rules(&candidate(&of_scope(0, "old")), Some(&full), ALLOW_NOTHING), [GateRule::R04]);
        let of_account = |head: Head, account: &str| Head { account: Some(account.to_owned()), ..head };
        let (empty, full) = (of_account(empty, "2"), of_account(full, "1"));
        assert_eq!(rules(&candidate(&empty), Some(&full), ALLOW_NOTHING), [GateRule::R10]);
    }

    #[test]
    fn a_field_that_matches_nothing_in_twenty_deals_is_held_unless_it_is_allowed() {
        let head = head(20, None);
        let matched =
            [("name", 20), ("stage", 0), ("value", 0), ("owner", 0)].map(|(field, found)| (field.to_owned(), found));
        let twenty = Candidate { matched: &matched, ..candidate(&head) };
        assert_eq!(rules(&twenty, None, ALLOW_NOTHING), [GateRule::R07, GateRule::R07]);
        let few = Candidate { records: 19, ..twenty };
        assert_eq!(rules(&few, None, ALLOW_NOTHING), []);
        let warned: Vec<String> = remark(&twenty).into_iter().map(|finding| finding.field).collect();
        assert_eq!(warned, ["owner"], "any other field only warns");
        assert!(remark(&few).is_empty());
        let gaps = [("owner", "`$.owner.name`: `owner` is missing in 20"), ("stage", "`$.stage` is null in 20")];
        let gaps = gaps.map(|(field, why)| (field.to_owned(), why.to_owned()));
        let told = Candidate { gaps: &gaps, ..twenty };
        assert_eq!(remark(&told)[0].message, format!("{} ({})", Rule::R07.meaning(), gaps[0].1));
        assert!(judge(&told, None, ALLOW_NOTHING)[0].reason.contains(&gaps[1].1));
        let mut read = head.clone();
        read.quality.findings = vec![Finding::of_pull(Rule::D26, "value", String::new(), 20)];
        let holds = judge(&Candidate { head: &read, ..twenty }, None, ALLOW_NOTHING);
        assert!(holds.iter().any(|hold| hold.reason == "`value` cannot be read in 20 of 20 deals, and is in no other"));
        let unmatched = ["stage".to_owned(), "value".to_owned()];
        assert_eq!(rules(&twenty, None, Allowed { unmatched: &unmatched, ..ALLOW_NOTHING }), []);
    }

    #[test]
    fn another_total_is_remarked_where_the_number_of_deals_is_the_same() {
        let head = head(2, None);
        let unlike = [("EUR".parse().unwrap(), Decimal::from(20), Decimal::from(10))];
        let other = Candidate { unlike: &unlike, counted: Some(2), ..candidate(&head) };
        let told = remark(&other);
        assert_eq!((told.len(), told[0].rule, told[0].field.as_str()), (1, Rule::R02, "value"));
        assert_eq!(told[0].message, "these deals make 10 EUR, and the CRM's own total is 20");
        let short = remark(&Candidate { counted: Some(3), ..other });
        assert_eq!(short.iter().map(|finding| finding.field.as_str()).collect::<Vec<_>>(), ["id"]);
        assert_eq!(rules(&other, None, ALLOW_NOTHING), []);
    }

    #[test]
    fn another_account_is_held_whatever_is_allowed() {
        let (old, new) = (head(5, Some("1")), head(5, Some("2")));
        assert_eq!(rules(&candidate(&new), Some(&old), Allowed { empty: true, unmatched: &[] }), [GateRule::R10]);
        assert_eq!(rules(&candidate(&new), Some(&head(5, None)), ALLOW_NOTHING), [], "it was not known before");
    }
}
