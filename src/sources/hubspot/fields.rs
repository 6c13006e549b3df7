//! Makes a deal from a record: reads each property into the field that the mapping names.
//!
//! A value that does not fit is left empty and counted; nothing is guessed, and no deal is dropped for it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::model::deal::{Deal, MissingName, NameField, Status, UNTITLED, WantedName};
use crate::model::finding::{Findings, Rule};
use crate::model::money::Currency;
use crate::sources::hubspot::associations::{Choice, choose};
use crate::sources::hubspot::mapping::{MERGED, Mapping, PRIMARY_COMPANY};
use crate::sources::hubspot::pipelines::DEFAULT;
use crate::sources::hubspot::wire::{Link, Record, instant};
use crate::sources::labels::{KnownStage, StageIndex};
use crate::sources::values::cast::Unit;
use crate::sources::values::record_reader::{RecordReader, status_of};
use crate::sources::wire::said;

/// The table of `Deal::wanted` that holds the names of companies.
pub(super) const COMPANIES: &str = "companies";
/// The table that holds the names of owners.
pub(super) const OWNERS: &str = "owners";

/// What is known of the account before the first page.
#[derive(Debug, Clone, Default)]
pub(super) struct ReferenceData {
    pub(super) currency: Option<Currency>,
    /// Names of active owners by id.
    pub(super) owners: HashMap<String, String>,
    /// Labels of pipelines by id.
    pub(super) pipelines: HashMap<String, String>,
    /// The address of a deal in HubSpot, without its id.
    pub(super) deal_pages: Option<String>,
}

/// What a record is read with.
pub(super) struct Reader<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) reference: &'a ReferenceData,
    pub(super) stages: StageIndex<'a>,
}

impl Reader<'_> {
    /// One record as a deal; `links` are the companies it is associated with.
    pub(super) fn deal(&self, record: &Record, links: &[Link], findings: &mut Findings) -> Deal {
        let mut reading = Reading { record, mapping: self.mapping, findings };
        let mut deal = Deal { id: record.id.0.clone(), ..Deal::default() };
        deal.name = reading.field("name").unwrap_or_else(|| UNTITLED.to_owned());
        let place = self.place(&mut deal, &mut reading);
        deal.status = reading.status(place);
        let code = reading.field("currency");
        reading.money(&mut deal, code.as_deref(), self.reference.currency);
        deal.probability = reading.probability(place);
        self.owner(&mut deal, &mut reading);
        Self::company(&mut deal, links, &mut reading);
        reading.plain_fields(&mut deal);
        reading.times(&mut deal);
        deal.url = self.url(&mut reading);
        reading.custom(&mut deal);
        deal
    }

    /// Pipeline and stage, by label. An unlisted one is a finding and keeps its last known label, else its id.
    fn place(&self, deal: &mut Deal, reading: &mut Reading<'_>) -> Option<KnownStage<'_>> {
        let pipeline = reading.property("pipeline", "pipeline_id").unwrap_or_else(|| DEFAULT.to_owned());
        let stage = reading.property("dealstage", "stage_id");
        let place = stage.as_deref().and_then(|stage| self.stages.find(&pipeline, stage));
        if stage.is_some() && place.is_none_or(|place| !place.is_listed) {
            reading.find(Rule::R09, "stage");
        }
        if !self.reference.pipelines.contains_key(&pipeline) {
            reading.find(Rule::R09, "pipeline");
        }
        deal.pipeline = Some(self.stages.pipeline(&pipeline).unwrap_or(&pipeline).to_owned());
        deal.stage = match self.mapping.properties.get("stage") {
            Some(property) => reading.property(property, "stage"),
            None => place.map(|place| place.stage.label.clone()).or_else(|| stage.clone()),
        };
        deal.pipeline_id = Some(pipeline);
        deal.stage_id = stage;
        place
    }

    /// The owner's name; looked up after the last page if not among the active owners. A text property is copied.
    fn owner(&self, deal: &mut Deal, reading: &mut Reading<'_>) {
        deal.owner_id = reading.property("hubspot_owner_id", "owner_id");
        let Some(owner) = reading.field("owner") else { return };
        if let Some(name) = self.reference.owners.get(&owner) {
            deal.owner = Some(name.clone());
        } else if owner.bytes().all(|byte| byte.is_ascii_digit()) {
            deal.wanted.push(late(NameField::Owner, OWNERS, owner));
        } else {
            deal.owner = Some(owner);
        }
    }

    /// The company: the association marked primary; the primary property where none is; the only one; the lowest id.
    fn company(deal: &mut Deal, links: &[Link], reading: &mut Reading<'_>) {
        if !reading.mapping.wants_companies() {
            deal.company = reading.field("company");
            return;
        }
        let property = reading.property(PRIMARY_COMPANY, "company");
        let Some(Choice { company, is_doubtful }) = choose(links, property.as_deref()) else { return };
        if is_doubtful {
            reading.find(Rule::D28, "company");
        }
        deal.wanted.push(late(NameField::Company, COMPANIES, company.to_owned()));
    }

    fn url(&self, reading: &mut Reading<'_>) -> Option<String> {
        let given = said(reading.record.url.as_deref()).filter(|url| url.starts_with("https://"));
        given.or_else(|| Some(format!("{}{}", self.reference.deal_pages.as_ref()?, reading.record.id.0)))
    }
}

fn late(field: NameField, table: &'static str, key: String) -> WantedName {
    WantedName { field, table: table.into(), key, missing: MissingName::Key }
}

/// One record being read; findings are counted under its id.
struct Reading<'a> {
    record: &'a Record,
    mapping: &'a Mapping,
    findings: &'a mut Findings,
}

impl RecordReader for Reading<'_> {
    fn find(&mut self, rule: Rule, field: &str) {
        self.findings.add(rule, field, &self.record.id.0);
    }

    fn field(&mut self, field: &str) -> Option<String> {
        let mapping = self.mapping;
        self.property(mapping.properties.get(field)?, field)
    }

    fn day_zone(&self) -> Tz {
        self.mapping.zone
    }

    fn instant(&self, text: &str) -> Option<DateTime<Utc>> {
        instant(text)
    }
}

impl Reading<'_> {
    /// A property as text, for `field`.
    fn property(&mut self, property: &str, field: &str) -> Option<String> {
        let value = self.record.properties.get(property)?;
        self.text_of(value, field)
    }

    /// HubSpot's flags, else the stage's. A deal without a status is in no total: a finding.
    fn status(&mut self, place: Option<KnownStage<'_>>) -> Option<Status> {
        let is_won = self.property("hs_is_closed_won", "status");
        let is_closed = self.property("hs_is_closed", "status");
        let of_stage = place.map(|KnownStage { stage, .. }| status_of(stage.is_won, stage.is_closed));
        let status = match (is_won.as_deref(), is_closed.as_deref()) {
            (Some("true"), _) => Some(Status::Won),
            (_, Some("false")) => Some(Status::Open),
            (Some("false"), Some("true")) => Some(Status::Lost),
            // Closed; only the stage says how.
            (_, Some("true")) => of_stage.filter(|status| *status != Status::Open),
            _ => of_stage,
        };
        if status.is_none() {
            self.find(Rule::D30, "status");
        }
        status
    }

    /// The deal's own probability; the stage's if it has none.
    fn probability(&mut self, place: Option<KnownStage<'_>>) -> Option<Decimal> {
        let own = self.field("probability");
        let Some(own) = own else { return place.and_then(|place| place.stage.probability) };
        self.chance(&own, Unit::Fraction)
    }

    fn times(&mut self, deal: &mut Deal) {
        let (created, updated) = (&self.record.created_at, &self.record.updated_at);
        if !self.mapping.properties.contains_key("created_at") {
            deal.created_at = self.stamp("created_at", created.as_deref(), "createdate");
        }
        if !self.mapping.properties.contains_key("updated_at") {
            deal.updated_at = self.stamp("updated_at", updated.as_deref(), "hs_lastmodifieddate");
        }
        if matches!(deal.status, Some(Status::Won | Status::Lost)) {
            deal.closed_at = self.read("closed_at", Self::instant);
        }
    }

    /// The record's own stamp, else the property that holds the same.
    fn stamp(&mut self, field: &str, own: Option<&RawValue>, property: &str) -> Option<DateTime<Utc>> {
        if let Some(stamp) = said(own).as_deref().and_then(instant) {
            return Some(stamp);
        }
        let text = self.property(property, field)?;
        self.convert(&text, field, Self::instant)
    }

    /// Custom fields as exact JSON, null if empty; also the ids of deals that were merged into this one.
    fn custom(&mut self, deal: &mut Deal) {
        let mapping = self.mapping;
        mapping.fill_custom(deal, |property, field| self.exact(property, field));
        if let Some(merged) = self.exact(MERGED, "custom") {
            deal.custom.insert(MERGED.to_owned(), merged);
        }
    }

    /// A property's JSON as it is, unless it is empty or no single value.
    fn exact(&mut self, property: &str, field: &str) -> Option<Box<RawValue>> {
        self.property(property, field)?;
        self.record.properties.get(property).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::number;
    use crate::model::pipeline::Stage;
    use crate::settings::section;
    use crate::sources::labels::Labels;

    fn mapping(toml: &str) -> Mapping {
        Mapping::read(section(toml), Tz::Europe__Berlin).unwrap()
    }

    fn stage(pipeline: &str, id: &str, label: &str, probability: Option<i64>, is_closed: bool) -> Stage {
        let probability = probability.map(|percent| Decimal::new(percent, 2));
        Stage {
            pipeline: format!("Pipeline {pipeline}"),
            pipeline_id: pipeline.to_owned(),
            id: id.to_owned(),
            label: label.to_owned(),
            order: 0,
            probability,
            is_closed,
            is_won: is_closed && probability == Some(Decimal::ONE),
        }
    }

    fn stages() -> Vec<Stage> {
        vec![
            stage("default", "new", "New", Some(20), false),
            stage("default", "won", "Signed", Some(100), true),
            stage("default", "lost", "Lost", Some(0), true),
        ]
    }

    fn reference() -> ReferenceData {
        let names = |pairs: &[(&str, &str)]| pairs.iter().map(|(id, name)| ((*id).into(), (*name).into())).collect();
        ReferenceData {
            currency: "USD".parse().ok(),
            owners: names(&[("41629779", "Ann Lee")]),
            pipelines: names(&[("default", "Sales")]),
            deal_pages: Some("https://app.hubspot.com/contacts/12345678/record/0-3/".to_owned()),
        }
    }

    /// A deal with these properties, and what was odd about it.
    fn read_with(mapping: &Mapping, reference: &ReferenceData, properties: &str) -> (Deal, Vec<(Rule, String)>) {
        let json = format!(r#"{{"id": "1", "properties": {properties}, "unknown": [{{}}]}}"#);
        let record: Record = serde_json::from_str(&json).unwrap();
        let mut seen = Labels::default();
        seen.pipelines.insert("default".to_owned(), "Sales".to_owned());
        let stages = stages();
        let reader = Reader { mapping, reference, stages: StageIndex::new(&stages, &seen) };
        let mut findings = Findings::default();
        let deal = reader.deal(&record, &[], &mut findings);
        (deal, findings.into_list().into_iter().map(|finding| (finding.rule, finding.field)).collect())
    }

    /// The same of an open deal.
    fn read(properties: &str) -> (Deal, Vec<(Rule, String)>) {
        read_with(&mapping(""), &reference(), &open(properties))
    }

    fn open(properties: &str) -> String {
        let rest = properties.trim_start_matches('{');
        format!(r#"{{"hs_is_closed": "false"{}{rest}"#, if rest == "}" { "" } else { ", " })
    }

    fn status(properties: &str) -> (Option<Status>, bool) {
        let (deal, findings) = read_with(&mapping(""), &reference(), properties);
        (deal.status, findings.contains(&(Rule::D30, "status".to_owned())))
    }

    fn is(rule: Rule, field: &str) -> Vec<(Rule, String)> {
        vec![(rule, field.to_owned())]
    }

    #[test]
    fn amounts_are_exact_in_every_notation_and_nothing_is_not_zero() {
        for (json, value) in [
            (r#""12500.50""#, Some("12500.5")),
            (r#""0""#, Some("0.0")),
            (r#""-5""#, Some("-5.0")),
            (r#""1.5E3""#, Some("1500.0")),
            ("99.10", Some("99.1")),
            (r#""""#, None),
            ("null", None),
        ] {
            let (deal, findings) = read(&format!(r#"{{"amount": {json}}}"#));
            assert_eq!(deal.value.map(number::text).as_deref(), value, "{json}");
            assert!(findings.is_empty(), "{json}: {findings:?}");
        }
        assert_eq!(read("{}").0.value, None, "a property that is left out is empty");
        for json in [r#""1,500""#, r#""a;b""#, "[1]", r#""1e400""#, r#""\ud800""#] {
            let (deal, findings) = read(&format!(r#"{{"amount": {json}}}"#));
            assert_eq!((deal.value, findings), (None, is(Rule::D26, "value")), "{json}");
        }
    }

    #[test]
    fn a_probability_of_any_length_is_read_and_a_missing_one_is_the_stages() {
        let chance = |json: &str| {
            let (deal, findings) = read(&format!(r#"{{"dealstage": "new", "hs_deal_stage_probability": {json}}}"#));
            (deal.probability.map(number::text), findings)
        };
        let expanded = r#""0.59999999999999997779553950749686919152736663818359375""#;
        assert_eq!(chance(expanded), (Some("0.6".to_owned()), Vec::new()));
        assert_eq!(chance(r#""1.0""#), (Some("1.0".to_owned()), Vec::new()));
        assert_eq!(chance("null"), (Some("0.2".to_owned()), Vec::new()));
        assert_eq!(chance(r#""""#), (Some("0.2".to_owned()), Vec::new()));
        assert_eq!(chance(r#""30""#), (None, is(Rule::D06, "probability")), "never rescaled by guess");
        assert_eq!(chance(r#""likely""#), (None, is(Rule::D26, "probability")));
        let (deal, _) = read(r#"{"dealstage": "unheard", "hs_is_closed": "false"}"#);
        assert_eq!(deal.probability, None, "an open deal of a stage that is gone");
    }

    #[test]
    fn times_are_read_with_and_without_milliseconds_and_as_numbers() {
        for (text, instant) in [
            ("2026-12-31T22:59:59.999Z", "2026-12-31T22:59:59.999Z"),
            ("2026-12-31T22:59:59Z", "2026-12-31T22:59:59Z"),
            ("1798757999999", "2026-12-31T22:59:59.999Z"),
            ("2026-12-31", "2026-12-31T00:00:00Z"),
        ] {
            let (deal, findings) = read(&format!(r#"{{"hs_v2_date_entered_current_stage": "{text}"}}"#));
            let expected = instant.parse::<DateTime<Utc>>().unwrap();
            assert_eq!((deal.stage_entered_at, findings), (Some(expected), Vec::new()), "{text}");
        }
        let (deal, findings) = read(r#"{"hs_v2_date_entered_current_stage": "soon"}"#);
        assert_eq!((deal.stage_entered_at, findings), (None, is(Rule::D26, "stage_entered_at")));
    }

    #[test]
    fn the_closing_day_is_a_day_in_the_configured_zone_and_a_closed_deal_was_closed_then() {
        let (deal, _) =
            read(r#"{"closedate": "2026-01-31T23:30:00Z", "hs_is_closed": "true", "hs_is_closed_won": "true"}"#);
        assert_eq!(deal.close_date.map(|day| day.to_string()).as_deref(), Some("2026-02-01"));
        assert_eq!(deal.closed_at.map(|at| at.to_rfc3339()).as_deref(), Some("2026-01-31T23:30:00+00:00"));
        let (deal, _) = read(r#"{"closedate": "2026-01-31", "dealstage": "new"}"#);
        assert_eq!(deal.close_date.map(|day| day.to_string()).as_deref(), Some("2026-01-31"));
        assert_eq!(deal.closed_at, None);
    }

    #[test]
    fn the_deals_own_word_on_being_closed_goes_before_the_stages() {
        for (properties, status) in [
            (r#"{"dealstage": "new", "hs_is_closed": "true", "hs_is_closed_won": "true"}"#, Some(Status::Won)),
            (r#"{"dealstage": "new", "hs_is_closed": "true", "hs_is_closed_won": "false"}"#, Some(Status::Lost)),
            (r#"{"dealstage": "won", "hs_is_closed": "false", "hs_is_closed_won": "false"}"#, Some(Status::Open)),
            (r#"{"dealstage": "won"}"#, Some(Status::Won)),
            (r#"{"dealstage": "lost", "hs_is_closed": ""}"#, Some(Status::Lost)),
            (r#"{"dealstage": "new"}"#, Some(Status::Open)),
            (r#"{"dealstage": "unheard"}"#, None),
            (r#"{"dealstage": "closedwon"}"#, None),
            ("{}", None),
            (r#"{"dealstage": "won", "hs_is_closed": "true", "hs_is_closed_won": null}"#, Some(Status::Won)),
            (r#"{"dealstage": "lost", "hs_is_closed": "true", "hs_is_closed_won": ""}"#, Some(Status::Lost)),
            (r#"{"dealstage": "new", "hs_is_closed": "true"}"#, None),
            (r#"{"dealstage": "unheard", "hs_is_closed": "true"}"#, None),
        ] {
            assert_eq!(self::status(properties), (status, status.is_none()), "{properties}");
        }
    }

    #[test]
    fn what_nobody_lists_stands_as_its_id_and_is_a_finding_and_no_pipeline_is_the_default_one() {
        let (deal, findings) = read(r#"{"dealstage": "1048576", "pipeline": "7654321", "dealname": " "}"#);
        assert_eq!((deal.stage.as_deref(), deal.pipeline.as_deref()), (Some("1048576"), Some("7654321")));
        assert_eq!(findings, [(Rule::R09, "pipeline".to_owned()), (Rule::R09, "stage".to_owned())]);
        assert_eq!(deal.name, UNTITLED);
        let (deal, findings) = read(r#"{"dealstage": "new", "pipeline": null}"#);
        assert_eq!((deal.pipeline_id.as_deref(), deal.pipeline.as_deref()), (Some("default"), Some("Sales")));
        assert_eq!((deal.stage.as_deref(), findings.len()), (Some("New"), 0));
        assert_eq!(read("{}").0.stage, None, "a missing stage is counted, not reported");
    }

    #[test]
    fn an_amount_without_a_currency_is_in_the_accounts_and_one_in_an_unknown_currency_is_empty() {
        let money = |reference: &ReferenceData, properties: &str| {
            let (deal, findings) = read_with(&mapping(""), reference, &open(properties));
            (deal.value.is_some(), deal.currency.map(|currency| currency.to_string()), findings)
        };
        let known = reference();
        let unknown = ReferenceData { currency: None, ..reference() };
        assert_eq!(money(&known, r#"{"amount": "1", "deal_currency_code": null}"#), (true, None, Vec::new()));
        let outside = r#"{"amount": "1", "deal_currency_code": "chf"}"#;
        assert_eq!(money(&known, outside), (true, Some("CHF".to_owned()), Vec::new()), "not one of the account's list");
        let none = r#"{"amount": "1", "deal_currency_code": "EURO"}"#;
        assert_eq!(money(&known, none), (false, None, is(Rule::D09, "currency")));
        assert_eq!(money(&unknown, r#"{"amount": "1"}"#), (true, None, is(Rule::D09, "currency")));
    }

    #[test]
    fn an_owner_is_known_or_looked_up_late_or_a_text_property() {
        let (deal, _) = read(r#"{"hubspot_owner_id": "41629779"}"#);
        assert_eq!((deal.owner.as_deref(), deal.owner_id.as_deref()), (Some("Ann Lee"), Some("41629779")));
        let (deal, _) = read(r#"{"hubspot_owner_id": "7"}"#);
        assert_eq!((deal.owner, deal.wanted[0].key.as_str()), (None, "7"));
        let (deal, _) = read(r#"{"hubspot_owner_id": ""}"#);
        assert_eq!((deal.owner, deal.owner_id, deal.wanted.len()), (None, None, 0));
        let (deal, _) = read_with(&mapping("owner = 'rep'"), &reference(), r#"{"hubspot_owner_id": "7", "rep": "Bo"}"#);
        assert_eq!((deal.owner.as_deref(), deal.owner_id.as_deref()), (Some("Bo"), Some("7")));
    }

    #[test]
    fn a_configured_property_fills_a_field_and_any_other_name_is_a_custom_field_as_it_came() {
        let mapping =
            mapping("value = 'arr'\nsegment = 'industry_segment'\nseats = 'seats'\nnone = 'none'\nlist = 'list'");
        let properties = r#"{"amount": "1", "arr": "2", "industry_segment": "a \"b\" \n🚀", "seats": 7, "none": "",
            "list": ["x"], "hs_merged_object_ids": "38;39"}"#;
        let (deal, findings) = read_with(&mapping, &reference(), &open(properties));
        assert_eq!(deal.value, Some(Decimal::TWO));
        let custom: Vec<(&str, &str)> = deal.custom.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
        assert_eq!(
            custom,
            [
                ("hs_merged_object_ids", "\"38;39\""),
                ("list", "null"),
                ("none", "null"),
                ("seats", "7"),
                ("segment", r#""a \"b\" \n🚀""#),
            ]
        );
        assert_eq!(findings, is(Rule::D26, "custom.list"));
        for property in ["arr", "industry_segment", "closedate", "hs_is_closed_won"] {
            assert!(mapping.requested().split(',').any(|requested| requested == property), "{property}");
        }
        assert!(!mapping.requested().split(',').any(|requested| requested == "amount"));
        let origins = mapping.origins();
        let from = |field: &str| origins.iter().find(|mapped| mapped.field == field).map(|mapped| mapped.from.as_str());
        assert_eq!((from("value"), from("custom.segment")), (Some("arr"), Some("industry_segment")));
        assert_eq!(from("probability"), Some("hs_deal_stage_probability, else the stage's"));
    }

    #[test]
    fn a_deal_can_be_opened_in_hubspot() {
        let (deal, _) = read("{}");
        assert_eq!(deal.url.as_deref(), Some("https://app.hubspot.com/contacts/12345678/record/0-3/1"));
        let unknown = ReferenceData { currency: reference().currency, ..ReferenceData::default() };
        assert_eq!(read_with(&mapping(""), &unknown, "{}").0.url, None);
    }
}
