//! In how many records of a pull each field had something.

use std::collections::BTreeMap;

use crate::model::deal::{Deal, NameField, UNTITLED};

/// In how many records each field had something (rule R07).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldCoverage {
    /// Records that became deals, before the configuration left any out.
    pub records: u64,
    own: [u64; FIELDS.len()],
    custom: BTreeMap<String, u64>,
}

/// Whether a deal has something in a field.
type Has = fn(&Deal) -> bool;

/// The fields of a deal that a CRM can leave empty. A name that a look-up will fill is not empty.
const FIELDS: [(&str, Has); 22] = [
    ("name", |deal| deal.name != UNTITLED),
    ("company", |deal| deal.company.is_some() || deal.wants(NameField::Company)),
    ("stage", |deal| deal.stage.is_some()),
    ("value", |deal| deal.value.is_some()),
    ("probability", |deal| deal.probability.is_some()),
    ("owner", |deal| deal.owner.is_some() || deal.wants(NameField::Owner)),
    ("created_at", |deal| deal.created_at.is_some()),
    ("updated_at", |deal| deal.updated_at.is_some()),
    ("status", |deal| deal.status.is_some()),
    ("currency", |deal| deal.currency.is_some()),
    ("pipeline", |deal| deal.pipeline.is_some()),
    ("pipeline_id", |deal| deal.pipeline_id.is_some()),
    ("stage_id", |deal| deal.stage_id.is_some()),
    ("close_date", |deal| deal.close_date.is_some()),
    ("closed_at", |deal| deal.closed_at.is_some()),
    ("stage_entered_at", |deal| deal.stage_entered_at.is_some()),
    ("owner_id", |deal| deal.owner_id.is_some()),
    ("forecast_category", |deal| deal.forecast_category.is_some()),
    ("last_activity_at", |deal| deal.last_activity_at.is_some()),
    ("next_activity_at", |deal| deal.next_activity_at.is_some()),
    ("deal_type", |deal| deal.deal_type.is_some()),
    ("lost_reason", |deal| deal.lost_reason.is_some()),
];

impl FieldCoverage {
    pub(super) fn add(&mut self, deal: &Deal) {
        self.records += 1;
        for (count, (_, has)) in self.own.iter_mut().zip(FIELDS) {
            *count += u64::from(has(deal));
        }
        for (field, _) in deal.custom.iter().filter(|(_, value)| value.get() != "null") {
            if let Some(count) = self.custom.get_mut(field) {
                *count += 1;
            } else {
                self.custom.insert(field.clone(), 1);
            }
        }
    }

    /// In how many records `field` had something, `custom.x` for a mapped one; `None` for one that is never empty.
    pub fn of(&self, field: &str) -> Option<u64> {
        if let Some(custom) = field.strip_prefix("custom.") {
            return Some(self.custom.get(custom).copied().unwrap_or_default());
        }
        FIELDS.iter().position(|(own, _)| *own == field).map(|place| self.own[place])
    }
}
