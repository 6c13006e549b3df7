//! How an org's deals must be published.
//!
//! Apart from the records, since it is the judge: it says what comes out by the design's table, not by a query.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use sales_pipeline::model::deal::{self, Status};

use super::org::{Org, Record};
use super::schema::Cell;

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
    pub(crate) pipeline: Option<String>,
    pub(crate) pipeline_id: Option<String>,
    pub(crate) stage_id: Option<String>,
    pub(crate) close_date: Option<NaiveDate>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
    pub(crate) stage_entered_at: Option<DateTime<Utc>>,
    pub(crate) owner_id: Option<String>,
    pub(crate) forecast_category: Option<String>,
    pub(crate) last_activity_at: Option<DateTime<Utc>>,
    pub(crate) deal_type: Option<String>,
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
            status: deal.status.expect("Salesforce always knows"),
            currency: deal.currency.map(|currency| currency.to_string()).unwrap_or_default(),
            pipeline: deal.pipeline.clone(),
            pipeline_id: deal.pipeline_id.clone(),
            stage_id: deal.stage_id.clone(),
            close_date: deal.close_date,
            closed_at: deal.closed_at,
            stage_entered_at: deal.stage_entered_at,
            owner_id: deal.owner_id.clone(),
            forecast_category: deal.forecast_category.clone(),
            last_activity_at: deal.last_activity_at,
            deal_type: deal.deal_type.clone(),
            url: deal.url.clone().unwrap_or_default(),
        }
    }
}

/// A deal's fields as the user may see them.
struct Seen<'a> {
    org: &'a Org,
    record: &'a Record,
}

impl Seen<'_> {
    fn cell(&self, field: &str) -> Option<&Cell> {
        self.record.get(field).filter(|_| self.org.sees("Opportunity", field))
    }

    fn text(&self, field: &str) -> Option<String> {
        self.cell(field)?.as_text().map(ToOwned::to_owned)
    }

    fn number(&self, field: &str) -> Option<Decimal> {
        if let Cell::Number(number) = self.cell(field)? { Some(*number) } else { None }
    }

    fn day(&self, field: &str) -> Option<NaiveDate> {
        if let Cell::Day(day) = self.cell(field)? { Some(*day) } else { None }
    }

    fn instant(&self, field: &str) -> Option<DateTime<Utc>> {
        if let Cell::Instant(instant) = self.cell(field)? { Some(*instant) } else { None }
    }

    fn is(&self, field: &str) -> bool {
        self.cell(field) == Some(&Cell::Truth(true))
    }

    /// The name of the record that a field leads to.
    fn name_of(&self, object: &str, field: &str) -> Option<String> {
        let to = self.text(field).filter(|_| self.org.object(object).is_some() && self.org.sees(object, "Name"))?;
        self.org.table(object).get(&to)?.get("Name")?.as_text().map(ToOwned::to_owned)
    }

    fn status(&self) -> Status {
        match (self.is("IsClosed"), self.is("IsWon")) {
            (_, true) => Status::Won,
            (true, false) => Status::Lost,
            (false, false) => Status::Open,
        }
    }
}

/// The day's first instant in `zone`.
fn morning(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_local_timezone(zone).earliest().expect("a day has a first hour here").to_utc()
}

impl Org {
    /// All deals as they must be published now, in the byte order of their ids; days are days in `zone`, and people
    /// see deals at `instance`.
    pub(crate) fn model(&self, zone: Tz, instance: &str) -> Vec<Published> {
        let live = self.table("Opportunity").iter().filter(|(_, record)| !Self::is_deleted(record));
        live.map(|(id, record)| self.published(id, record, zone, instance)).collect()
    }

    fn published(&self, id: &str, record: &Record, zone: Tz, instance: &str) -> Published {
        let seen = Seen { org: self, record };
        let status = seen.status();
        let stage_id = seen.text("StageName");
        let label = |api_name: &String| {
            self.object("OpportunityStage").and(self.stage(api_name))?["MasterLabel"].as_text().map(ToOwned::to_owned)
        };
        let chance = seen.number("Probability").map(|percent| (percent / Decimal::ONE_HUNDRED).round_dp(6).normalize());
        let closed_at = || {
            let entered = seen.instant("LastStageChangeDate");
            entered.or_else(|| seen.day("CloseDate").map(|day| morning(day, zone)))
        };
        Published {
            id: id.to_owned(),
            name: seen.text("Name").filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "(untitled)".to_owned()),
            company: seen.name_of("Account", "AccountId"),
            stage: stage_id.as_ref().and_then(label).or_else(|| stage_id.clone()),
            value: seen.number("Amount"),
            probability: chance.filter(|chance| (Decimal::ZERO..=Decimal::ONE).contains(chance)),
            owner: seen.name_of("User", "OwnerId"),
            created_at: seen.instant("CreatedDate"),
            updated_at: seen.instant("LastModifiedDate"),
            status,
            currency: self.currency_of(&seen),
            pipeline: seen.name_of("RecordType", "RecordTypeId"),
            pipeline_id: seen.text("RecordTypeId"),
            stage_id,
            close_date: seen.day("CloseDate"),
            closed_at: (status != Status::Open).then(closed_at).flatten(),
            stage_entered_at: seen.instant("LastStageChangeDate"),
            owner_id: seen.text("OwnerId"),
            forecast_category: seen.text("ForecastCategoryName"),
            last_activity_at: seen.day("LastActivityDate").map(|day| morning(day, zone)),
            deal_type: seen.text("Type"),
            url: format!("{instance}/lightning/r/Opportunity/{id}/view"),
        }
    }

    fn currency_of(&self, seen: &Seen<'_>) -> String {
        let own = seen.text("CurrencyIsoCode").filter(|_| self.multi_currency);
        own.unwrap_or_else(|| self.currency().to_owned())
    }
}
