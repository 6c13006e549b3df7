//! The pipelines and their stages, and whether a pipeline's deals may have their own probability.

use std::collections::{HashMap, HashSet};

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::number;
use crate::model::pipeline::Stage;
use crate::sources::pipedrive::client::Client;
use crate::sources::pipedrive::settings::{PIPELINES, STAGES};
use crate::sources::source::SourceError;
use crate::sources::wire::{Id, Unreadable, text};

#[derive(Deserialize)]
struct PipelineRecord {
    id: Id,
    name: Option<String>,
    order_nr: Option<i64>,
    is_deal_probability_enabled: Option<bool>,
}

#[derive(Deserialize)]
struct StageRecord {
    id: Id,
    pipeline_id: Id,
    name: Option<String>,
    order_nr: Option<i64>,
    deal_probability: Option<Box<RawValue>>,
}

/// All pipelines of the account.
#[derive(Debug, Default)]
pub(super) struct Pipelines {
    /// The stages in order, pipeline by pipeline.
    pub(super) stages: Vec<Stage>,
    /// Names by id.
    pub(super) labels: HashMap<String, String>,
    /// Ids of pipelines whose deals may have their own probability.
    pub(super) with_probability: HashSet<String>,
    pub(super) warnings: Vec<String>,
}

impl Pipelines {
    /// Asks for all pipelines and all stages.
    pub(super) async fn ask(client: &Client) -> Result<Self, SourceError> {
        let pipelines = client.all(PIPELINES).await?;
        Ok(Self::of(pipelines, client.all(STAGES).await?))
    }

    fn of(mut pipelines: Vec<PipelineRecord>, mut stages: Vec<StageRecord>) -> Self {
        pipelines.sort_by_key(|pipeline| pipeline.order_nr);
        stages.sort_by_key(|stage| stage.order_nr);
        let mut all = Self::default();
        let mut shown: Vec<(String, String)> = Vec::new();
        for PipelineRecord { id: Id(id), name, is_deal_probability_enabled, .. } in pipelines {
            let label = name.unwrap_or_else(|| id.clone());
            if is_deal_probability_enabled == Some(true) {
                all.with_probability.insert(id.clone());
            }
            all.labels.insert(id.clone(), label.clone());
            shown.push((id, label));
        }
        for Id(id) in stages.iter().map(|stage| &stage.pipeline_id) {
            // The pipeline is not listed, but the stage still has a name and a probability.
            if shown.iter().all(|(known, _)| known != id) {
                shown.push((id.clone(), id.clone()));
            }
        }
        for (id, label) in shown {
            let own = stages.iter().filter(|stage| stage.pipeline_id.0 == id);
            all.stages.extend((0..).zip(own).map(|(order, stage)| stage.stage(&label, order)));
        }
        all.warnings = stages.iter().filter_map(StageRecord::warning).collect();
        all
    }
}

impl StageRecord {
    /// Stages are never closed: a deal can be won or lost in any stage.
    fn stage(&self, pipeline: &str, order: u32) -> Stage {
        Stage {
            pipeline: pipeline.to_owned(),
            pipeline_id: self.pipeline_id.0.clone(),
            id: self.id.0.clone(),
            label: self.name.clone().unwrap_or_else(|| self.id.0.clone()),
            order,
            probability: self.percent().and_then(|percent| fraction(&percent)).filter(is_probability),
            is_closed: false,
            is_won: false,
        }
    }

    fn percent(&self) -> Option<String> {
        text(self.deal_probability.as_deref()?).unwrap_or_else(|Unreadable| Some(String::new()))
    }

    /// A warning if the stage's probability is unusable.
    fn warning(&self) -> Option<String> {
        let chance = fraction(&self.percent()?).filter(is_probability);
        let told =
            || format!("The probability of stage {} is not between 0 and 100 percent: its deals have none", self.id.0);
        chance.is_none().then(told)
    }
}

/// Percent as a fraction; `None` if it is not a number.
pub(super) fn fraction(percent: &str) -> Option<Decimal> {
    // Rounded once: 20 digits leave every tie of the last step where it was.
    Some((number::rounded(percent, 20)? / Decimal::ONE_HUNDRED).round_dp(6).normalize())
}

/// Whether a fraction is a probability.
pub(super) fn is_probability(fraction: &Decimal) -> bool {
    (Decimal::ZERO..=Decimal::ONE).contains(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_stand_in_the_order_shown_under_their_pipeline_though_their_names_repeat() {
        let pipelines = r#"[
            {"id": 2, "name": "Renewals", "order_nr": 2, "is_deleted": false, "is_deal_probability_enabled": false},
            {"id": 1, "name": "EU sales", "order_nr": 1, "is_deal_probability_enabled": true},
            {"id": 3, "name": null}]"#;
        let stages = r#"[
            {"id": 9007199254740993, "order_nr": 2, "name": "Proposal", "pipeline_id": 1, "deal_probability": 60},
            {"id": 4, "order_nr": 1, "name": "Qualified", "pipeline_id": 1, "deal_probability": 33},
            {"id": 5, "order_nr": 1, "name": "Qualified", "pipeline_id": 2, "deal_probability": null},
            {"id": 6, "name": null, "pipeline_id": 3, "deal_probability": 101}, {"id": 7, "pipeline_id": 99, "deal_probability": 5}]"#;
        let all = Pipelines::of(serde_json::from_str(pipelines).unwrap(), serde_json::from_str(stages).unwrap());
        let shown: Vec<_> = all
            .stages
            .iter()
            .map(|stage| {
                let chance = stage.probability.map(number::text);
                (stage.pipeline.as_str(), stage.id.as_str(), stage.label.as_str(), stage.order, chance)
            })
            .collect();
        let chance = |text: &str| Some(text.to_owned());
        assert_eq!(
            shown,
            [
                ("3", "6", "6", 0, None),
                ("EU sales", "4", "Qualified", 0, chance("0.33")),
                ("EU sales", "9007199254740993", "Proposal", 1, chance("0.6")),
                ("Renewals", "5", "Qualified", 0, None),
                ("99", "7", "7", 0, chance("0.05")),
            ]
        );
        assert!(!all.labels.contains_key("99"), "nobody lists it");
        let told = "The probability of stage 6 is not between 0 and 100 percent: its deals have none";
        assert_eq!(all.warnings, [told]);
        assert!(all.with_probability.contains("1") && all.with_probability.len() == 1);
    }
}
