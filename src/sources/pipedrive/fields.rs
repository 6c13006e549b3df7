//! Makes a deal from a record: reads each property into the field that the mapping names.
//!
//! A value that does not fit is left empty and counted; nothing is guessed, and no deal is dropped for it.

use std::collections::{HashMap, HashSet};

use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::model::deal::{Deal, MissingName, NameField, Status, UNTITLED, WantedName};
use crate::model::finding::{Findings, Rule};
use crate::model::money::Currency;
use crate::model::pipeline::Stage;
use crate::sources::labels::StageIndex;
use crate::sources::pipedrive::custom::{self, Fields, Label, Property};
use crate::sources::pipedrive::mapping::Mapping;
use crate::sources::pipedrive::wire::Record;
use crate::sources::values::cast::Unit;
use crate::sources::values::record_reader::RecordReader;
use crate::sources::wire::{Unreadable, text};

/// The table of `Deal::wanted` that holds the names of organizations.
pub(super) const COMPANIES: &str = "companies";
/// The table that holds the names of users.
const OWNERS: &str = "owners";

/// What is known of the account before the first page.
#[derive(Debug, Clone, Default)]
pub(super) struct ReferenceData {
    pub(super) currency: Option<Currency>,
    /// Names of the listed users by id.
    pub(super) owners: HashMap<String, String>,
    /// Names of the pipelines by id.
    pub(super) pipelines: HashMap<String, String>,
    /// The ids of pipelines whose deals may have their own probability.
    pub(super) with_probability: HashSet<String>,
    /// The company's subdomain.
    pub(super) domain: Option<String>,
    pub(super) fields: Fields,
}

/// What a record is read with.
pub(super) struct Reader<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) reference: &'a ReferenceData,
    pub(super) stages: StageIndex<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn deal(&self, id: &str, record: &Record, findings: &mut Findings) -> Deal {
        let (mapping, reference) = (self.mapping, self.reference);
        // There can be a hundred, most of them null: read them only if one is wanted.
        let custom = record.get("custom_fields").filter(|_| mapping.needs_fields());
        let custom = custom.and_then(|fields| serde_json::from_str(fields.get()).ok());
        let mut reading = Reading { id, record, custom: custom.unwrap_or_default(), mapping, reference, findings };
        let mut deal = Deal { id: id.to_owned(), ..Deal::default() };
        deal.name = reading.field("name").unwrap_or_else(|| UNTITLED.to_owned());
        let stage = self.place(&mut deal, &mut reading);
        deal.status = reading.status();
        let code = reading.currency_code();
        reading.money(&mut deal, code.as_deref(), reference.currency);
        deal.probability = reading.probability(&deal, stage);
        self.owner(&mut deal, &mut reading);
        Self::company(&mut deal, &mut reading);
        reading.plain_fields(&mut deal);
        reading.closed_at(&mut deal);
        deal.url = reference.domain.as_ref().map(|domain| format!("https://{domain}.pipedrive.com/deal/{id}"));
        reading.custom(&mut deal);
        deal
    }

    /// Pipeline and stage, by name. An unlisted one is a finding and keeps its last known name, else its id. Returns the
    /// stage if it is listed.
    fn place(&self, deal: &mut Deal, reading: &mut Reading<'_>) -> Option<&'a Stage> {
        deal.pipeline_id = reading.own("pipeline_id", "pipeline_id");
        deal.stage_id = reading.own("stage_id", "stage_id");
        let pipeline = deal.pipeline_id.as_deref().and_then(|id| self.stages.pipeline(id));
        let place = deal.stage_id.as_deref().and_then(|id| self.stages.by_id(id));
        let listed = place.filter(|place| place.is_listed).map(|place| place.stage);
        if deal.pipeline_id.as_deref().is_some_and(|id| !self.reference.pipelines.contains_key(id)) {
            reading.find(Rule::R09, "pipeline");
        }
        if deal.stage_id.is_some() && listed.is_none() {
            reading.find(Rule::R09, "stage");
        }
        deal.pipeline = pipeline.map(ToOwned::to_owned).or_else(|| deal.pipeline_id.clone());
        deal.stage = if self.mapping.properties.contains_key("stage") {
            reading.field("stage")
        } else {
            place.map(|place| place.stage.label.clone()).or_else(|| deal.stage_id.clone())
        };
        listed
    }

    /// The owner's name; looked up after the last page if the list of users lacks it. A text property is copied.
    fn owner(&self, deal: &mut Deal, reading: &mut Reading<'_>) {
        deal.owner_id = reading.own("owner_id", "owner_id");
        if self.mapping.properties.contains_key("owner") {
            deal.owner = reading.field("owner");
            return;
        }
        let Some(owner) = deal.owner_id.clone() else { return };
        match self.reference.owners.get(&owner) {
            Some(name) => deal.owner = Some(name.clone()),
            None => deal.wanted.push(late(NameField::Owner, OWNERS, owner)),
        }
    }

    /// The organization's name, looked up after the last page; empty if it is deleted or hidden from these credentials.
    fn company(deal: &mut Deal, reading: &mut Reading<'_>) {
        if !reading.mapping.wants_companies() {
            deal.company = reading.field("company");
        } else if let Some(organization) = reading.own("org_id", "company") {
            deal.wanted.push(late(NameField::Company, COMPANIES, organization));
        }
    }
}

fn late(field: NameField, table: &'static str, key: String) -> WantedName {
    WantedName { field, table: table.into(), key, missing: MissingName::Null }
}

/// A custom amount, time or place: the value and what belongs to it.
#[derive(Deserialize)]
struct Compound {
    value: Option<Box<RawValue>>,
    currency: Option<String>,
}

/// One record being read; findings are counted under its id.
struct Reading<'a> {
    id: &'a str,
    record: &'a Record,
    custom: HashMap<String, Box<RawValue>>,
    mapping: &'a Mapping,
    reference: &'a ReferenceData,
    findings: &'a mut Findings,
}

impl RecordReader for Reading<'_> {
    fn find(&mut self, rule: Rule, field: &str) {
        self.findings.add(rule, field, self.id);
    }

    fn field(&mut self, field: &str) -> Option<String> {
        let mapping = self.mapping;
        self.text(mapping.properties.get(field)?, field)
    }

    fn day_zone(&self) -> Tz {
        self.mapping.zone
    }
}

impl Reading<'_> {
    /// A key of the record itself as text, for `field`.
    fn own(&mut self, key: &str, field: &str) -> Option<String> {
        let value = self.record.get(key)?;
        self.text_of(value, field)
    }

    /// The JSON of a property, and its key.
    fn raw(&self, property: &Property) -> Option<(String, Box<RawValue>)> {
        let key = property.key(&self.reference.fields)?;
        let from = if custom::is_key(key) { &self.custom } else { self.record };
        Some((key.to_owned(), from.get(key)?.clone()))
    }

    /// A property as text: choices by their labels, a compound by its value.
    fn text(&mut self, property: &Property, field: &str) -> Option<String> {
        let (key, value) = self.raw(property)?;
        if let Ok(chosen) = serde_json::from_str::<Vec<Box<RawValue>>>(value.get()) {
            let labels: Vec<String> = chosen.iter().filter_map(|one| self.label(&key, one, field)).collect();
            return Some(labels.join(", ")).filter(|labels| !labels.is_empty());
        }
        match serde_json::from_str::<Compound>(value.get()) {
            Ok(Compound { value: Some(value), .. }) => self.label(&key, &value, field),
            Ok(Compound { value: None, .. }) => None,
            Err(_) => self.label(&key, &value, field),
        }
    }

    /// One value as text; a choice by its label, or by its id if the option is unknown.
    fn label(&mut self, key: &str, value: &RawValue, field: &str) -> Option<String> {
        let shown = self.text_of(value, field)?;
        match self.reference.fields.label(key, &shown) {
            Label::NoChoice => Some(shown),
            Label::Known(label) => Some(label.to_owned()),
            Label::Unknown => {
                self.find(Rule::R09, field);
                Some(shown)
            }
        }
    }

    fn status(&mut self) -> Option<Status> {
        match self.own("status", "status")?.as_str() {
            "open" => Some(Status::Open),
            "won" => Some(Status::Won),
            "lost" => Some(Status::Lost),
            _ => {
                self.find(Rule::R09, "status");
                None
            }
        }
    }

    /// The currency's code; a monetary custom field brings its own.
    fn currency_code(&mut self) -> Option<String> {
        let mapping = self.mapping;
        let value = mapping.properties.get("value").and_then(|property| self.raw(property));
        let compound = value.and_then(|(_, value)| serde_json::from_str::<Compound>(value.get()).ok());
        compound.and_then(|compound| compound.currency).or_else(|| self.field("currency"))
    }

    /// Won 1, lost 0; else the deal's own where its pipeline allows one; else the stage's.
    fn probability(&mut self, deal: &Deal, stage: Option<&Stage>) -> Option<Decimal> {
        match deal.status {
            Some(Status::Won) => return Some(Decimal::ONE),
            Some(Status::Lost) => return Some(Decimal::ZERO),
            Some(Status::Open) | None => {}
        }
        let is_allowed = deal.pipeline_id.as_deref().is_some_and(|id| self.reference.with_probability.contains(id));
        let own = if self.mapping.properties.contains_key("probability") {
            self.field("probability")
        } else if is_allowed {
            self.own("probability", "probability")
        } else {
            None
        };
        let Some(own) = own else { return stage.and_then(|stage| stage.probability) };
        self.chance(&own, Unit::Percent)
    }

    fn closed_at(&mut self, deal: &mut Deal) {
        let closing = match deal.status {
            Some(Status::Won) => "won_time",
            Some(Status::Lost) => "lost_time",
            Some(Status::Open) | None => return,
        };
        if self.mapping.properties.contains_key("closed_at") {
            deal.closed_at = self.read("closed_at", Self::instant);
        } else if let Some(text) = self.own(closing, "closed_at").or_else(|| self.own("close_time", "closed_at")) {
            deal.closed_at = self.convert(&text, "closed_at", Self::instant);
        }
    }

    /// Custom fields as exact JSON, choices by their labels; null if empty.
    fn custom(&mut self, deal: &mut Deal) {
        let mapping = self.mapping;
        mapping.fill_custom(deal, |property, field| self.exact(property, field));
    }

    /// A property's exact JSON, choices by their labels; `None` if it is empty.
    fn exact(&mut self, property: &Property, field: &str) -> Option<Box<RawValue>> {
        let (key, value) = self.raw(property)?;
        if self.reference.fields.has_options(&key) {
            let chosen = serde_json::from_str::<Vec<Box<RawValue>>>(value.get());
            let Ok(chosen) = chosen else { return to_raw_value(&self.label(&key, &value, field)?).ok() };
            let labels: Vec<String> = chosen.iter().filter_map(|one| self.label(&key, one, field)).collect();
            return to_raw_value(&labels).ok();
        }
        let compound = serde_json::from_str::<Record>(value.get()).ok();
        if compound.is_some_and(|parts| parts.get("value").is_some_and(|value| value.get() == "null")) {
            // An empty amount has neither value nor currency.
            return None;
        }
        match text(&value) {
            Ok(None) => None,
            Err(Unreadable) if value.get().starts_with('"') => {
                self.find(Rule::D26, field);
                None
            }
            Ok(Some(_)) | Err(Unreadable) => Some(value),
        }
    }
}
