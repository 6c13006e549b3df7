//! What was odd about single deals: counted by rule and field, with a few ids to look at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many ids a finding shows.
const SAMPLE: usize = 20;

/// A rule of the catalogue; the ids are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// A probability outside 0 to 1, set to null.
    D06,
    /// A currency that is missing or not ISO 4217.
    D09,
    /// A number or date that cannot be read, or a value that is nested too deep, set to null.
    D26,
    /// Several companies, and which one counts is not certain.
    D28,
    /// A local time that the clocks showed twice or never.
    D29,
    /// Nothing says whether the deal is open, won or lost.
    D30,
    /// Another number of deals came than an independent query counted.
    R02,
    /// Records that came more than once: the list moved while it was read.
    R06,
    /// A mapped field that matches nothing.
    R07,
    /// A look-up that does not know a key.
    R09,
}

impl Rule {
    /// Whether a value came and could not be used: left empty.
    pub fn is_cast(self) -> bool {
        matches!(self, Self::D06 | Self::D26)
    }

    /// What the rule says, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::D06 => "probability outside 0 to 1, left empty",
            Self::D09 => "currency missing or not ISO 4217",
            Self::D26 => "value that cannot be read, left empty",
            Self::D28 => "several companies, and which one is primary is not certain",
            Self::D29 => "local time that the change of the clocks makes doubtful; the earlier, or the shifted one",
            Self::D30 => "neither open, won nor lost: in none of their totals",
            Self::R02 => "another number of deals came than the CRM counts",
            Self::R06 => "came more than once: the list moved while it was read, or is in no stable order",
            Self::R07 => "empty in every deal: renamed, hidden from this key, of another form, or not used",
            Self::R09 => "key that its look-up does not know",
        }
    }
}

/// One rule on one field: how often, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: Rule,
    /// The field it was found in.
    pub field: String,
    /// What it means.
    pub message: String,
    /// In how many deals.
    pub count: u64,
    /// Up to twenty ids of such deals.
    pub sample_ids: Vec<String>,
}

impl Finding {
    /// What is odd about a whole pull, rather than about single deals; `count` is in how many.
    pub fn of_pull(rule: Rule, field: &str, message: String, count: u64) -> Self {
        Self { rule, field: field.to_owned(), message, count, sample_ids: Vec::new() }
    }
}

/// All findings of a pull.
#[derive(Debug, Clone, Default)]
pub struct Findings(BTreeMap<(Rule, String), Finding>);

impl Findings {
    /// Counts one deal.
    pub fn add(&mut self, rule: Rule, field: &str, deal: &str) {
        let finding = self.0.entry((rule, field.to_owned())).or_insert_with(|| Finding {
            rule,
            field: field.to_owned(),
            message: rule.meaning().to_owned(),
            count: 0,
            sample_ids: Vec::new(),
        });
        finding.count += 1;
        if finding.sample_ids.len() < SAMPLE {
            finding.sample_ids.push(deal.to_owned());
        }
    }

    /// Takes in another page's findings.
    pub fn merge(&mut self, other: Self) {
        for (key, finding) in other.0 {
            match self.0.get_mut(&key) {
                None => {
                    self.0.insert(key, finding);
                }
                Some(known) => {
                    known.count += finding.count;
                    let room = SAMPLE - known.sample_ids.len();
                    known.sample_ids.extend(finding.sample_ids.into_iter().take(room));
                }
            }
        }
    }

    /// The findings by rule, then field.
    pub fn into_list(self) -> Vec<Finding> {
        self.0.into_values().collect()
    }
}
