//! A pipeline's stages in their order.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::model::number;

/// One stage of one pipeline, as the CRM defines it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The pipeline's label.
    pub pipeline: String,
    /// The pipeline's id.
    pub pipeline_id: String,
    /// The stage's id, unique within its pipeline.
    pub id: String,
    /// What people read.
    pub label: String,
    /// Its place in the pipeline, from 0.
    pub order: u32,
    /// The stage's own chance to win, 0 to 1.
    #[serde(with = "number::optional")]
    pub probability: Option<Decimal>,
    /// Whether a deal in it is closed.
    pub is_closed: bool,
    /// Whether a deal in it is won.
    pub is_won: bool,
}
