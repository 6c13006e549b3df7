//! The pipelines with their stages.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::model::number;
use crate::model::pipeline::Stage;
use crate::sources::hubspot::client::Client;
use crate::sources::source::SourceError;
use crate::sources::wire::{Id, said};

/// The pipeline of a deal that names none.
pub(super) const DEFAULT: &str = "default";

#[derive(Deserialize)]
struct Answer {
    results: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pipeline {
    id: Id,
    label: Option<Box<RawValue>>,
    display_order: Option<Box<RawValue>>,
    stages: Option<Vec<Box<RawValue>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PipelineStage {
    id: Id,
    label: Option<Box<RawValue>>,
    display_order: Option<Box<RawValue>>,
    metadata: Option<Metadata>,
}

/// Texts in the documents' examples, numbers and truths in their tables.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    is_closed: Option<Box<RawValue>>,
    probability: Option<Box<RawValue>>,
}

/// All pipelines of the account.
#[derive(Debug, Default)]
pub(super) struct Pipelines {
    /// Their stages in order, pipeline after pipeline.
    pub(super) stages: Vec<Stage>,
    /// Their labels by id.
    pub(super) labels: HashMap<String, String>,
    /// Pipelines and stages that have no label, or cannot be read at all.
    pub(super) odd: u64,
}

impl Pipelines {
    /// Asks for all pipelines; there is no paging.
    pub(super) async fn ask(client: &Client) -> Result<Self, SourceError> {
        client.get::<Answer>(client.paths.pipelines, &[]).await.map(Self::from)
    }
}

impl From<Answer> for Pipelines {
    /// One by one: one that cannot be read does not hide the others.
    fn from(Answer { results }: Answer) -> Self {
        let mut pipelines = Self::default();
        for pipeline in in_order(results, &mut pipelines.odd, |pipeline: &Pipeline| &pipeline.display_order) {
            let Pipeline { id: Id(id), label, stages, .. } = pipeline;
            let label = label_or_id(label.as_deref(), &id, &mut pipelines.odd);
            let stages =
                in_order(stages.unwrap_or_default(), &mut pipelines.odd, |stage: &PipelineStage| &stage.display_order);
            for (order, stage) in (0..).zip(stages) {
                let stage_label = label_or_id(stage.label.as_deref(), &stage.id.0, &mut pipelines.odd);
                pipelines.stages.push(stage.into_stage((&id, &label), stage_label, order));
            }
            pipelines.labels.insert(id, label);
        }
        pipelines
    }
}

/// Those that can be read, in the order they are shown.
fn in_order<T: DeserializeOwned>(
    results: Vec<Box<RawValue>>,
    odd: &mut u64,
    order: impl Fn(&T) -> &Option<Box<RawValue>>,
) -> Vec<T> {
    let all = results.len();
    let read = results.into_iter().filter_map(|json| serde_json::from_str::<T>(json.get()).ok());
    let mut read: Vec<T> = read.collect();
    *odd += (all - read.len()) as u64;
    read.sort_by_key(|one| said(order(one).as_deref()).and_then(|order| order.parse::<i64>().ok()).unwrap_or_default());
    read
}

fn label_or_id(label: Option<&RawValue>, id: &str, odd: &mut u64) -> String {
    said(label).unwrap_or_else(|| {
        *odd += 1;
        id.to_owned()
    })
}

impl PipelineStage {
    /// Won is closed at probability 1: the stage's id says nothing, for customers rename and add stages.
    fn into_stage(self, (pipeline_id, pipeline): (&str, &str), label: String, order: u32) -> Stage {
        let metadata = self.metadata.unwrap_or_default();
        let probability = said(metadata.probability.as_deref()).and_then(|text| number::rounded(&text, 6));
        let is_closed = said(metadata.is_closed.as_deref()).is_some_and(|text| text == "true");
        Stage {
            pipeline: pipeline.to_owned(),
            pipeline_id: pipeline_id.to_owned(),
            id: self.id.0,
            label,
            order,
            probability,
            is_closed,
            is_won: is_closed && probability == Some(1.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"results": [
        {"id": "7654321", "label": "Partner", "displayOrder": 1, "stages": [
            {"id": "1048577", "label": "Closed Won", "displayOrder": 1, "metadata": {"isClosed": true, "probability": 1.0}},
            {"id": "1048576", "label": "Talk", "displayOrder": 0, "metadata": {"isClosed": "false", "probability": 0.5}},
            {"id": "shared", "label": "Shared by partners", "displayOrder": 2}]},
        {"id": "default", "label": "Sales Pipeline", "displayOrder": 0, "archived": false, "stages": [
            {"id": "closedwon", "label": "Closed Won", "displayOrder": 5, "metadata": {"isClosed": "true", "probability": "1.0"}},
            {"id": "shared", "label": "Shared", "displayOrder": 2, "metadata": {"isClosed": "false", "probability": "0.2"}},
            {"id": "closedlost", "label": "Closed Lost", "displayOrder": 6, "metadata": {"isClosed": "true", "probability": "0.0"}}]}]}"#;

    fn pipelines() -> Pipelines {
        serde_json::from_str::<Answer>(ANSWER).unwrap().into()
    }

    #[test]
    fn stages_stand_in_the_order_shown_and_won_is_told_by_metadata_not_by_id() {
        let stages = pipelines().stages;
        let ids: Vec<(&str, &str, u32)> =
            stages.iter().map(|stage| (stage.pipeline.as_str(), stage.id.as_str(), stage.order)).collect();
        assert_eq!(
            ids,
            [
                ("Sales Pipeline", "shared", 0),
                ("Sales Pipeline", "closedwon", 1),
                ("Sales Pipeline", "closedlost", 2),
                ("Partner", "1048576", 0),
                ("Partner", "1048577", 1),
                ("Partner", "shared", 2),
            ]
        );
        let of = |id: &str| stages.iter().find(|stage| stage.id == id).unwrap();
        assert!(of("1048577").is_won && of("1048577").is_closed);
        assert!(of("closedlost").is_closed && !of("closedlost").is_won);
        assert_eq!(of("1048576").probability.map(number::text).as_deref(), Some("0.5"));
    }

    #[test]
    fn an_odd_pipeline_or_stage_loses_no_other() {
        let odd = r#"{"results": [null, {"label": "no id"}, {"id": "empty", "label": "Empty", "stages": null},
            {"id": "default", "label": null, "displayOrder": null, "stages": [7, {"id": "a", "label": "", "metadata": null},
                {"id": "b", "label": "B", "displayOrder": "-1", "metadata": {"isClosed": null, "probability": {}}}]}]}"#;
        let pipelines: Pipelines = serde_json::from_str::<Answer>(odd).unwrap().into();
        let labels: Vec<&str> = pipelines.stages.iter().map(|stage| stage.label.as_str()).collect();
        assert_eq!((labels, pipelines.odd), (vec!["B", "a"], 5), "two pipelines, a label, a stage, a label");
        assert_eq!((pipelines.labels["empty"].as_str(), pipelines.labels["default"].as_str()), ("Empty", "default"));
    }
}
