//! How the deals of a Pipedrive account must be published, and what they come to.
//!
//! Apart from the server, so that what must come out is said without a word of HTTP.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use sales_pipeline::model::deal::{self, Status};
use sales_pipeline::model::money;

use super::account::{Account, COMPANY_DOMAIN, Deal};

/// A deal as it must stand in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) company: Option<String>,
    pub(crate) stage: Option<String>,
    pub(crate) value: Option<Decimal>,
    pub(crate) probability: Option<Decimal>,
    pub(crate) owner: Option<String>,
    pub(crate) created_at: Option<DateTime<Utc>>,
    pub(crate) updated_at: Option<DateTime<Utc>>,
    pub(crate) status: Status,
    pub(crate) currency: String,
    pub(crate) pipeline: String,
    pub(crate) pipeline_id: String,
    pub(crate) stage_id: Option<String>,
    pub(crate) close_date: Option<NaiveDate>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
    pub(crate) stage_entered_at: Option<DateTime<Utc>>,
    pub(crate) owner_id: Option<String>,
    pub(crate) lost_reason: Option<String>,
    pub(crate) url: String,
}

impl Published {
    /// A deal as it was published, names filled in; a field that must be there and is not is empty.
    pub(crate) fn of(deal: &deal::Deal) -> Self {
        Self {
            id: deal.id.clone(),
            name: deal.name.clone(),
            company: deal.company.clone(),
            stage: deal.stage.clone(),
            value: deal.value,
            probability: deal.probability,
            owner: deal.owner.clone(),
            created_at: deal.created_at,
            updated_at: deal.updated_at,
            status: deal.status.expect("Pipedrive always knows"),
            currency: deal.currency.map(|currency| currency.to_string()).unwrap_or_default(),
            pipeline: deal.pipeline.clone().unwrap_or_default(),
            pipeline_id: deal.pipeline_id.clone().unwrap_or_default(),
            stage_id: deal.stage_id.clone(),
            close_date: deal.close_date,
            closed_at: deal.closed_at,
            stage_entered_at: deal.stage_entered_at,
            owner_id: deal.owner_id.clone(),
            lost_reason: deal.lost_reason.clone(),
            url: deal.url.clone().unwrap_or_default(),
        }
    }
}

impl Account {
    /// The deals as they must be published now, in the byte order of their ids; archived ones only on request.
    pub(crate) fn model(&self, with_archived: bool) -> Vec<Published> {
        let live = self.visible().filter(|deal| deal.deleted_at.is_none());
        let wanted = live.filter(|deal| with_archived || deal.archived_at.is_none());
        let mut model: Vec<Published> = wanted.map(|deal| self.published(deal)).collect();
        model.sort_by(|one, other| one.id.cmp(&other.id));
        model
    }

    fn published(&self, deal: &Deal) -> Published {
        let pipeline = self.listed_pipelines().find(|(id, _)| *id == deal.pipeline);
        let stage = self.listed_stages().find(|(id, _)| *id == deal.stage);
        let is_known = |code: &String| code.parse::<money::Currency>().is_ok();
        let own = || self.me().currency.clone();
        Published {
            id: deal.id.to_string(),
            name: deal
                .title
                .clone()
                .filter(|title| !title.trim().is_empty())
                .unwrap_or_else(|| "(untitled)".to_owned()),
            company: self.company_of(deal).map(ToOwned::to_owned),
            stage: Some(stage.map_or_else(|| deal.stage.to_string(), |(_, stage)| stage.name.clone())),
            // An amount in a currency that is not an ISO code can be priced by nobody.
            value: deal.value.as_deref().filter(|_| deal.currency.as_ref().is_none_or(is_known)).and_then(exact),
            probability: self.probability(deal),
            owner: deal.owner.and_then(|id| self.users.get(&id)).map(|user| user.name.clone()),
            created_at: Some(deal.added_at),
            updated_at: Some(deal.updated_at),
            status: deal.status,
            // None where it is nobody's, and the account's own only where the deal has none.
            currency: deal.currency.clone().map_or_else(own, |code| if is_known(&code) { code } else { String::new() }),
            pipeline: pipeline.map_or_else(|| deal.pipeline.to_string(), |(_, pipeline)| pipeline.name.clone()),
            pipeline_id: deal.pipeline.to_string(),
            stage_id: Some(deal.stage.to_string()),
            close_date: deal.expected_close,
            closed_at: deal.closed_at.filter(|_| deal.status != Status::Open),
            stage_entered_at: deal.stage_changed_at,
            owner_id: deal.owner.map(|id| id.to_string()),
            lost_reason: deal.lost_reason.clone(),
            url: format!("https://{COMPANY_DOMAIN}.pipedrive.com/deal/{}", deal.id),
        }
    }

    fn company_of(&self, deal: &Deal) -> Option<&str> {
        let organization = self.organizations.get(&deal.organization?)?;
        let seen = !organization.is_deleted && self.sees(Some(organization.owner), organization.visible_to);
        seen.then_some(organization.name.as_str())
    }

    /// The four steps: what came of it, its own where the pipeline allows one, the stage's, none.
    fn probability(&self, deal: &Deal) -> Option<Decimal> {
        match deal.status {
            Status::Won => return Some(Decimal::ONE),
            Status::Lost => return Some(Decimal::ZERO),
            Status::Open => {}
        }
        let allows = self.listed_pipelines().any(|(id, pipeline)| id == deal.pipeline && pipeline.has_probability);
        let own = deal.probability.as_deref().filter(|_| allows);
        let stage = || self.listed_stages().find(|(id, _)| *id == deal.stage)?.1.probability;
        let percent = own.map_or_else(|| stage().map(Decimal::from), exact)?;
        let chance = (percent / Decimal::ONE_HUNDRED).round_dp(6).normalize();
        (Decimal::ZERO..=Decimal::ONE).contains(&chance).then_some(chance)
    }

    /// What the deals of a summary come to, by currency.
    pub(super) fn summary<'a>(&self, deals: impl Iterator<Item = &'a Deal>) -> BTreeMap<String, Sum> {
        let mut sums = BTreeMap::<String, Sum>::new();
        for deal in deals {
            let value = deal.value.as_deref().and_then(exact).unwrap_or_default();
            let sum = sums.entry(deal.currency.clone().unwrap_or_default()).or_default();
            sum.count += 1;
            sum.value += value;
            sum.weighted += value * self.probability(deal).unwrap_or_default();
        }
        sums
    }
}

/// What some deals come to.
#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) value: Decimal,
    /// Each value times its probability.
    pub(super) weighted: Decimal,
}

/// A number in any of JSON's notations, exact; anything else is none.
fn exact(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
}
