//! The mapping: which column of a row becomes which field of a deal (contract §6, product B2).
//!
//! A value that does not fit is left empty and counted; nothing is guessed, and no deal is dropped for it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use figment::value::Value;
use rust_decimal::Decimal;
use serde_json::value::{RawValue, to_raw_value};

use crate::model::deal::{Deal, Status, UNTITLED};
use crate::model::finding::{Findings, Rule};
use crate::model::money::Currency;
use crate::model::number;
use crate::model::pipeline::Stage;
use crate::settings::{Problem, Section};
use crate::sources::salesforce::columns::{Columns, is_path};
use crate::sources::salesforce::describe::Kind;
use crate::sources::salesforce::id::long;
use crate::sources::salesforce::rows::{Row, instant};
use crate::sources::source::Mapped;
use crate::sources::wire::{Unreadable, text};

/// The fields that a column fills, and which one unless the configuration names another. An empty one has none.
const FIELDS: [(&str, &str); 17] = [
    ("name", "Name"),
    ("company", "Account.Name"),
    ("stage", ""),
    ("value", "Amount"),
    ("probability", "Probability"),
    ("owner", "Owner.Name"),
    ("created_at", "CreatedDate"),
    ("updated_at", "LastModifiedDate"),
    ("currency", "CurrencyIsoCode"),
    ("close_date", "CloseDate"),
    ("closed_at", ""),
    ("stage_entered_at", "LastStageChangeDate"),
    ("forecast_category", "ForecastCategoryName"),
    ("last_activity_at", "LastActivityDate"),
    ("next_activity_at", ""),
    ("deal_type", "Type"),
    ("lost_reason", ""),
];

/// The fields that are Salesforce's own and no column's.
const FIXED: [(&str, &str); 7] = [
    ("id", "Id"),
    ("status", "IsWon, IsClosed, else the stage"),
    ("pipeline", "RecordType.Name"),
    ("pipeline_id", "RecordTypeId"),
    ("stage_id", "StageName"),
    ("owner_id", "OwnerId"),
    ("url", "Id"),
];

/// Where fields come from that need more than one column, or that Salesforce has none for.
const ORIGINS: [(&str, &str); 5] = [
    ("stage", "label of StageName"),
    ("probability", "Probability / 100"),
    ("closed_at", "LastStageChangeDate, else CloseDate"),
    ("next_activity_at", "nothing"),
    ("lost_reason", "nothing"),
];

/// Columns that are read whatever the configuration names, and the fields that need them.
const ALWAYS: [(&str, &str); 12] = [
    ("Id", "id"),
    ("Name", "name"),
    ("StageName", "stage"),
    ("AccountId", ""),
    ("OwnerId", "owner_id"),
    ("IsClosed", ""),
    ("IsWon", ""),
    ("IsDeleted", ""),
    ("CloseDate", "closed_at"),
    ("LastStageChangeDate", "closed_at"),
    ("RecordTypeId", "pipeline_id"),
    ("RecordType.Name", "pipeline"),
];

/// The longest list of columns: a query holds 100,000 characters, and filters need some of them.
const MAX_COLUMNS: usize = 50_000;

/// How rows become deals; `[sources.x.fields]`.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Field → the way to its column, for the fields that have one.
    paths: BTreeMap<&'static str, String>,
    /// Custom field → the way to its column.
    custom: BTreeMap<String, String>,
    /// What the configuration names: field and column.
    named: Vec<(String, String)>,
    /// Where days are days.
    zone: Tz,
}

impl Mapping {
    /// Reads the table; every key that is no field of a deal is a custom one.
    pub(super) fn read(table: Section, zone: Tz) -> Result<Self, Vec<Problem>> {
        let defaults = FIELDS.iter().filter(|(_, path)| !path.is_empty());
        let mut mapping = Self {
            paths: defaults.map(|(field, path)| (*field, (*path).to_owned())).collect(),
            custom: BTreeMap::new(),
            named: Vec::new(),
            zone,
        };
        let mut problems = Vec::new();
        for (field, value) in table.0 {
            if let Err(problem) = mapping.name(&field, &value) {
                problems.push(problem.under(&[&field]));
            }
        }
        if mapping.paths().map(|path| path.len() + 2).sum::<usize>() > MAX_COLUMNS {
            problems.push(Problem::at("", "names more fields than one query holds"));
        }
        if problems.is_empty() { Ok(mapping) } else { Err(problems) }
    }

    fn name(&mut self, field: &str, value: &Value) -> Result<(), Problem> {
        if FIXED.iter().any(|(fixed, _)| *fixed == field) || field == "custom" {
            return Err(Problem::at("", "is Salesforce's own and no field's").hint("name a field of your own"));
        }
        let Some(path) = value.as_str().filter(|path| is_path(path)) else {
            let problem = Problem::at("", "expected the API name of a field");
            return Err(problem.hint("as in `ARR__c`, or through a parent as in `Account.Industry`"));
        };
        match FIELDS.iter().find(|(known, _)| *known == field) {
            Some((known, _)) => drop(self.paths.insert(known, path.to_owned())),
            None => drop(self.custom.insert(field.to_owned(), path.to_owned())),
        }
        self.named.push((field.to_owned(), path.to_owned()));
        Ok(())
    }

    /// Every column that is wanted, once.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> + Clone {
        let always = ALWAYS.iter().map(|(path, _)| *path);
        let all: Vec<&str> =
            always.chain(self.paths.values().chain(self.custom.values()).map(String::as_str)).collect();
        let is_first = |place: usize, path: &str| all[..place].iter().all(|other| !other.eq_ignore_ascii_case(path));
        let places: Vec<&str> =
            all.iter().enumerate().filter(|(place, path)| is_first(*place, path)).map(|(_, path)| *path).collect();
        places.into_iter()
    }

    /// The paths that the configuration names: it wants those to be there.
    pub(super) fn names(&self, path: &str) -> bool {
        self.named.iter().any(|(_, named)| named.eq_ignore_ascii_case(path))
    }

    /// Whether the configuration has a column of its own for a field.
    pub(super) fn has_own(&self, field: &str) -> bool {
        self.named.iter().any(|(named, _)| named == field)
    }

    /// The fields that a column fills.
    pub(super) fn fed_by<'a>(&'a self, path: &'a str) -> impl Iterator<Item = String> + 'a {
        let is_it = move |own: &str| own.eq_ignore_ascii_case(path);
        let fields = self.paths.iter().filter(move |(_, own)| is_it(own)).map(|(field, _)| (*field).to_owned());
        let fixed = ALWAYS
            .iter()
            .filter(move |(own, field)| is_it(own) && !field.is_empty() && !self.paths.contains_key(field));
        let custom = self.custom.iter().filter(move |(_, own)| is_it(own)).map(|(field, _)| format!("custom.{field}"));
        fields.chain(fixed.map(|(_, field)| (*field).to_owned())).chain(custom)
    }

    /// Which field comes from where.
    pub(super) fn origins(&self) -> Vec<Mapped> {
        let mapped = |field: &str, from: &str| Mapped { field: field.to_owned(), from: from.to_owned() };
        let said = |field: &str| self.named.iter().find(|(named, _)| named == field).map(|(_, path)| path.as_str());
        let composed = |field: &str| ORIGINS.iter().find(|(composed, _)| *composed == field).map(|(_, from)| *from);
        let fields =
            FIELDS.iter().map(|(field, path)| mapped(field, said(field).or_else(|| composed(field)).unwrap_or(path)));
        let fixed = FIXED.iter().map(|(field, from)| mapped(field, from));
        let custom = self.custom.iter().map(|(field, path)| mapped(&format!("custom.{field}"), path));
        fields.chain(fixed).chain(custom).collect()
    }
}

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
