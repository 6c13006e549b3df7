//! A row as a deal: each column read into the field that the mapping gives it (contract §6, product B2).
//!
//! A value that does not fit is left empty and counted; nothing is guessed, and no deal is dropped for it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde_json::value::{RawValue, to_raw_value};

use crate::model::deal::{Deal, Status, UNTITLED};
use crate::model::finding::{Findings, Rule};
use crate::model::money::Currency;
use crate::model::number;
use crate::model::pipeline::Stage;
use crate::sources::salesforce::columns::Columns;
use crate::sources::salesforce::describe::Kind;
use crate::sources::salesforce::id::long;
use crate::sources::salesforce::mapping::Mapping;
use crate::sources::salesforce::rows::{Row, instant};
use crate::sources::wire::{Unreadable, text};

/// What a row is read with.
pub(super) struct Reader<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) columns: &'a Columns,
    /// By API name.
    pub(super) stages: HashMap<&'a str, &'a Stage>,
    /// The names of record types by id.
    pub(super) record_types: &'a BTreeMap<String, String>,
    /// The organization's own.
    pub(super) currency: Option<Currency>,
    /// Where people see the deals.
    pub(super) origin: &'a str,
}

/// A row as it counts.
pub(super) enum Read {
    /// A deal.
    Deal(Box<Deal>),
    /// One that is in the recycle bin, by its id.
    Deleted(String),
    /// One without an id.
    Unreadable,
}

impl Reader<'_> {
    /// One row as a deal.
    pub(super) fn read(&self, row: &Row, findings: &mut Findings) -> Read {
        let id = self.columns.place("Id").and_then(|place| row.cell(place)).and_then(|id| text(id).ok().flatten());
        let Some(id) = id.map(|id| long(&id)) else { return Read::Unreadable };
        let mut reading = Reading { reader: self, row, id: &id, findings };
        if reading.truth("IsDeleted", "status") == Some(true) {
            return Read::Deleted(id);
        }
        let mut deal = Deal { id: id.clone(), ..Deal::default() };
        deal.name = reading.field("name").unwrap_or_else(|| UNTITLED.to_owned());
        let stage = reading.place(&mut deal);
        deal.status = reading.status(stage);
        reading.money(&mut deal);
        deal.probability = reading.probability();
        reading.people(&mut deal);
        reading.times(&mut deal);
        deal.forecast_category = reading.field("forecast_category");
        deal.deal_type = reading.field("deal_type");
        deal.lost_reason = reading.field("lost_reason");
        deal.url = Some(format!("{}/lightning/r/Opportunity/{id}/view", self.origin));
        reading.custom(&mut deal);
        Read::Deal(Box::new(deal))
    }
}

/// One row being read: what is odd about it is counted under its id.
struct Reading<'a> {
    reader: &'a Reader<'a>,
    row: &'a Row,
    id: &'a str,
    findings: &'a mut Findings,
}

impl<'a> Reading<'a> {
    fn find(&mut self, rule: Rule, field: &str) {
        self.findings.add(rule, field, self.id);
    }

    fn cell(&self, path: &str) -> Option<(&'a RawValue, Kind)> {
        let place = self.reader.columns.place(path)?;
        Some((self.row.cell(place)?, self.reader.columns.fields()[place].kind))
    }

    /// A column as text, for `field`; a parent or a list is none.
    fn column(&mut self, path: &str, field: &str) -> Option<String> {
        let (cell, _) = self.cell(path)?;
        text(cell).unwrap_or_else(|Unreadable| {
            self.find(Rule::D26, field);
            None
        })
    }

    /// The column of a field as text.
    fn field(&mut self, field: &str) -> Option<String> {
        let reader = self.reader;
        self.column(reader.mapping.paths.get(field)?, field)
    }

    /// The column of a field as something else; what cannot be read is a finding.
    fn as_a<T>(&mut self, field: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.field(field)?;
        let read = read(&text);
        if read.is_none() {
            self.find(Rule::D26, field);
        }
        read
    }

    fn truth(&mut self, path: &str, field: &str) -> Option<bool> {
        match self.column(path, field)?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.find(Rule::D26, field);
                None
            }
        }
    }

    /// Stage and record type, by label. A stage that nobody lists any more stands as it is (contract §6).
    fn place(&mut self, deal: &mut Deal) -> Option<&'a Stage> {
        let reader = self.reader;
        deal.stage_id = self.column("StageName", "stage_id");
        let stage = deal.stage_id.as_deref().and_then(|name| reader.stages.get(name).copied());
        if deal.stage_id.is_some() && stage.is_none() && !reader.stages.is_empty() {
            self.find(Rule::R09, "stage");
        }
        deal.stage = match reader.mapping.paths.get("stage") {
            Some(path) => self.column(path, "stage"),
            None => stage.map(|stage| stage.label.clone()).or_else(|| deal.stage_id.clone()),
        };
        deal.pipeline_id = self.column("RecordTypeId", "pipeline_id").map(|id| long(&id));
        let name = self.column("RecordType.Name", "pipeline");
        if let Some(id) = &deal.pipeline_id {
            let name = name.or_else(|| reader.record_types.get(id).cloned());
            if name.is_none() {
                self.find(Rule::R09, "pipeline");
            }
            deal.pipeline = name.or_else(|| deal.pipeline_id.clone());
        }
        stage
    }

    /// The deal's own word, else the stage's.
    fn status(&mut self, stage: Option<&Stage>) -> Option<Status> {
        let won = self.truth("IsWon", "status").or_else(|| stage.map(|stage| stage.is_won));
        let closed = self.truth("IsClosed", "status").or_else(|| stage.map(|stage| stage.is_closed));
        Some(match (won?, closed?) {
            (true, _) => Status::Won,
            (false, true) => Status::Lost,
            (false, false) => Status::Open,
        })
    }

    /// Amount and currency. An amount in something that is no currency is none.
    fn money(&mut self, deal: &mut Deal) {
        deal.value = self.as_a("value", number::exact);
        if let Some(code) = self.field("currency") {
            deal.currency = code.parse().ok();
            deal.in_unknown_currency = deal.currency.is_none();
            if deal.in_unknown_currency {
                deal.value = None;
                self.find(Rule::D09, "currency");
            }
        } else if deal.value.is_some() && self.reader.currency.is_none() {
            self.find(Rule::D09, "currency");
        }
    }

    /// Percent as a fraction; outside of 0 to 1 nothing.
    fn probability(&mut self) -> Option<Decimal> {
        let path = self.reader.mapping.paths.get("probability")?;
        let is_percent = self.cell(path).is_some_and(|(_, kind)| kind == Kind::Percent);
        let digits = if is_percent { 4 } else { 6 };
        let told = self.as_a("probability", |text| number::rounded(text, digits))?;
        let chance = if is_percent { told.checked_div(Decimal::ONE_HUNDRED)? } else { told };
        if (Decimal::ZERO..=Decimal::ONE).contains(&chance) {
            return Some(chance);
        }
        self.find(Rule::D06, "probability");
        None
    }

    /// The names of company and owner; one that cannot be read is nothing, and a finding.
    fn people(&mut self, deal: &mut Deal) {
        deal.company = self.field("company");
        if deal.company.is_none() && self.column("AccountId", "company").is_some() {
            self.find(Rule::R09, "company");
        }
        deal.owner_id = self.column("OwnerId", "owner_id").map(|id| long(&id));
        deal.owner = self.field("owner");
        if deal.owner.is_none() && deal.owner_id.is_some() {
            self.find(Rule::R09, "owner");
        }
    }

    fn times(&mut self, deal: &mut Deal) {
        let zone = self.reader.mapping.zone;
        let moment = |text: &str| instant(text).or_else(|| Some(start_of(day_of(text)?, zone)));
        deal.created_at = self.as_a("created_at", moment);
        deal.updated_at = self.as_a("updated_at", moment);
        deal.close_date = self
            .as_a("close_date", |text| day_of(text).or_else(|| Some(instant(text)?.with_timezone(&zone).date_naive())));
        deal.stage_entered_at = self.as_a("stage_entered_at", moment);
        deal.last_activity_at = self.as_a("last_activity_at", moment);
        deal.next_activity_at = self.as_a("next_activity_at", moment);
        if matches!(deal.status, Some(Status::Won | Status::Lost)) {
            deal.closed_at = if self.reader.mapping.has_own("closed_at") {
                self.as_a("closed_at", moment)
            } else {
                let told = |reading: &mut Self, path| reading.column(path, "closed_at").as_deref().and_then(moment);
                told(self, "LastStageChangeDate").or_else(|| told(self, "CloseDate"))
            };
        }
    }

    /// Custom fields as Salesforce has them, null where it has nothing; instants in one spelling.
    fn custom(&mut self, deal: &mut Deal) {
        for (field, path) in &self.reader.mapping.custom {
            let value = self.exact(path, &format!("custom.{field}"));
            deal.custom.insert(field.clone(), value.unwrap_or_else(|| RawValue::NULL.to_owned()));
        }
    }

    fn exact(&mut self, path: &str, field: &str) -> Option<Box<RawValue>> {
        let text = self.column(path, field)?;
        let (cell, kind) = self.cell(path)?;
        let at = if kind == Kind::Instant { instant(&text) } else { None };
        match at {
            Some(at) => to_raw_value(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true)).ok(),
            None => Some(cell.to_owned()),
        }
    }
}

fn day_of(text: &str) -> Option<NaiveDate> {
    text.trim().parse::<NaiveDate>().ok().filter(|day| (0..=9999).contains(&day.year()))
}

/// When a day begins in a zone; where the clocks skip that moment, when it begins in UTC.
fn start_of(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    midnight.and_local_timezone(zone).earliest().map_or_else(|| midnight.and_utc(), |at| at.to_utc())
}
