//! The fields of a deal that a mapping can fill.

use chrono::{DateTime, Utc};

use crate::model::deal::Deal;

pub(super) type TextOf = fn(&mut Deal) -> &mut Option<String>;
pub(super) type InstantOf = fn(&mut Deal) -> &mut Option<DateTime<Utc>>;

pub(super) const TEXTS: [(&str, TextOf); 11] = [
    ("company", |deal| &mut deal.company),
    ("stage", |deal| &mut deal.stage),
    ("owner", |deal| &mut deal.owner),
    ("pipeline", |deal| &mut deal.pipeline),
    ("pipeline_id", |deal| &mut deal.pipeline_id),
    ("stage_id", |deal| &mut deal.stage_id),
    ("owner_id", |deal| &mut deal.owner_id),
    ("forecast_category", |deal| &mut deal.forecast_category),
    ("deal_type", |deal| &mut deal.deal_type),
    ("lost_reason", |deal| &mut deal.lost_reason),
    ("url", |deal| &mut deal.url),
];

pub(super) const INSTANTS: [(&str, InstantOf); 6] = [
    ("created_at", |deal| &mut deal.created_at),
    ("updated_at", |deal| &mut deal.updated_at),
    ("closed_at", |deal| &mut deal.closed_at),
    ("stage_entered_at", |deal| &mut deal.stage_entered_at),
    ("last_activity_at", |deal| &mut deal.last_activity_at),
    ("next_activity_at", |deal| &mut deal.next_activity_at),
];

pub(super) const OTHERS: [&str; 7] = ["id", "name", "value", "currency", "probability", "close_date", "custom"];
