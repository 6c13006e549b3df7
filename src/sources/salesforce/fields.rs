//! Makes a deal from a row: reads each column into the field that the mapping names.
//!
//! A value that does not fit is left empty and counted; nothing is guessed, and no deal is dropped for it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde_json::value::{RawValue, to_raw_value};

use crate::model::deal::{Deal, Status, UNTITLED};
use crate::model::finding::{Findings, Rule};
use crate::model::money::Currency;
use crate::model::pipeline::Stage;
use crate::sources::salesforce::columns::Columns;
use crate::sources::salesforce::describe::Kind;
use crate::sources::salesforce::id::long;
use crate::sources::salesforce::mapping::Mapping;
use crate::sources::salesforce::rows::Row;
use crate::sources::values::cast::Unit;
use crate::sources::values::dates;
use crate::sources::values::record_reader::{RecordReader, status_of};
use crate::sources::wire::text;

/// What a row is read with.
pub(super) struct Reader<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) columns: &'a Columns,
    /// By API name.
    pub(super) stages: HashMap<&'a str, &'a Stage>,
    /// The names of record types by id.
    pub(super) record_types: &'a BTreeMap<String, String>,
    /// The organization's.
    pub(super) currency: Option<Currency>,
    /// The address of the organization's web pages.
    pub(super) origin: &'a str,
}

/// What a row is.
pub(super) enum Read {
    /// A deal.
    Deal(Box<Deal>),
    /// A deal in the recycle bin, by its id.
    Deleted(String),
    /// One without an id.
    Unreadable,
}

impl Reader<'_> {
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
        let code = reading.field("currency");
        reading.money(&mut deal, code.as_deref(), self.currency);
        deal.probability = reading.probability();
        reading.people(&mut deal);
        reading.plain_fields(&mut deal);
        reading.closed_at(&mut deal);
        deal.url = Some(format!("{}/lightning/r/Opportunity/{id}/view", self.origin));
        reading.custom(&mut deal);
        Read::Deal(Box::new(deal))
    }
}

/// One row being read; findings are counted under its id.
struct Reading<'a> {
    reader: &'a Reader<'a>,
    row: &'a Row,
    id: &'a str,
    findings: &'a mut Findings,
}

impl RecordReader for Reading<'_> {
    fn find(&mut self, rule: Rule, field: &str) {
        self.findings.add(rule, field, self.id);
    }

    fn field(&mut self, field: &str) -> Option<String> {
        let reader = self.reader;
        self.column(reader.mapping.properties.get(field)?, field)
    }

    fn day_zone(&self) -> Tz {
        self.reader.mapping.zone
    }

    fn instant(&self, text: &str) -> Option<DateTime<Utc>> {
        dates::instant(text, self.day_zone())
    }
}

impl<'a> Reading<'a> {
    fn cell(&self, path: &str) -> Option<(&'a RawValue, Kind)> {
        let place = self.reader.columns.place(path)?;
        Some((self.row.cell(place)?, self.reader.columns.fields()[place].kind))
    }

    /// A column as text, for `field`.
    fn column(&mut self, path: &str, field: &str) -> Option<String> {
        let (cell, _) = self.cell(path)?;
        self.text_of(cell, field)
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

    /// Stage and record type, by label. An unlisted stage keeps its API name.
    fn place(&mut self, deal: &mut Deal) -> Option<&'a Stage> {
        let reader = self.reader;
        deal.stage_id = self.column("StageName", "stage_id");
        let stage = deal.stage_id.as_deref().and_then(|name| reader.stages.get(name).copied());
        if deal.stage_id.is_some() && stage.is_none() && !reader.stages.is_empty() {
            self.find(Rule::R09, "stage");
        }
        deal.stage = match reader.mapping.properties.get("stage") {
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

    /// The deal's own flags, else the stage's.
    fn status(&mut self, stage: Option<&Stage>) -> Option<Status> {
        let won = self.truth("IsWon", "status").or_else(|| stage.map(|stage| stage.is_won));
        let closed = self.truth("IsClosed", "status").or_else(|| stage.map(|stage| stage.is_closed));
        Some(status_of(won?, closed?))
    }

    /// A percent column is 0 to 100, any other 0 to 1.
    fn probability(&mut self) -> Option<Decimal> {
        let path = self.reader.mapping.properties.get("probability")?;
        let is_percent = self.cell(path).is_some_and(|(_, kind)| kind == Kind::Percent);
        let text = self.field("probability")?;
        self.chance(&text, if is_percent { Unit::Percent } else { Unit::Fraction })
    }

    /// The names of company and owner; a missing one is a finding.
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

    fn closed_at(&mut self, deal: &mut Deal) {
        if !matches!(deal.status, Some(Status::Won | Status::Lost)) {
            return;
        }
        if self.reader.mapping.named("closed_at").is_some() {
            deal.closed_at = self.read("closed_at", Self::instant);
            return;
        }
        for path in ["LastStageChangeDate", "CloseDate"] {
            let text = self.column(path, "closed_at");
            deal.closed_at = deal.closed_at.or_else(|| self.instant(&text?));
        }
    }

    /// Custom fields as exact JSON, null if empty; instants as RFC 3339.
    fn custom(&mut self, deal: &mut Deal) {
        let mapping = self.reader.mapping;
        mapping.fill_custom(deal, |path, field| self.exact(path, field));
    }

    fn exact(&mut self, path: &str, field: &str) -> Option<Box<RawValue>> {
        let text = self.column(path, field)?;
        let (cell, kind) = self.cell(path)?;
        let at = if kind == Kind::Instant { dates::instant(&text, Tz::UTC) } else { None };
        match at {
            Some(at) => to_raw_value(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true)).ok(),
            None => Some(cell.to_owned()),
        }
    }
}
