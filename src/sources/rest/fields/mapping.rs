//! Makes a deal from a record: reads each mapped field.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde_json::value::RawValue;

use crate::model::deal::{Deal, UNTITLED};
use crate::model::money::Currency;
use crate::settings::{Problem, Section};
use crate::sources::rest::fields::builder::{Builder, Late, Ways};
use crate::sources::rest::fields::field::{Field, Gap, Gaps, Reading, Refusal};
use crate::sources::rest::fields::keys::{Asked, Check, Columns, ask, tables};
use crate::sources::rest::fields::names::{INSTANTS, InstantOf, TEXTS, TextOf};
use crate::sources::rest::lookup::About;
use crate::sources::rest::path::Path;
use crate::sources::rest::record::Record;
use crate::sources::source::{self, Mapped};
use crate::sources::values::cast::Target;
use crate::sources::values::numbers::{Amount, Chance};

/// How records become deals; `[sources.x.fields]`.
pub(in crate::sources::rest) struct Mapping {
    id: Field<String>,
    name: Option<Field<String>>,
    texts: Vec<(Field<String>, TextOf)>,
    instants: Vec<(Field<DateTime<Utc>>, InstantOf)>,
    value: Option<Field<Amount>>,
    currency: Option<Field<Currency>>,
    probability: Option<Field<Chance>>,
    close_date: Option<Field<NaiveDate>>,
    custom: Vec<(String, Field<Box<RawValue>>)>,
    late: Vec<Late>,
    columns: Columns,
    origins: Vec<Mapped>,
    ways: Ways,
}

impl Mapping {
    /// Reads the section. `lookups` are the tables there are, `day_zone` is where days are days.
    pub(in crate::sources::rest) fn read(
        section: Section,
        lookups: &BTreeMap<String, About>,
        day_zone: Tz,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let asked = ask(section, &mut problems);
        let origin = |(name, asked): (&String, &Asked)| Mapped { field: name.clone(), from: asked.origin() };
        let origins = asked.iter().map(origin).collect();
        let check = Check { lookups, day_zone, columns: Columns::new(), problems };
        let mut builder = Builder::new(asked, check);
        let id = builder.id();
        let late = builder.late();
        let name = builder.field("name");
        let texts = TEXTS.iter().filter_map(|(name, of)| Some((builder.field(name)?, *of))).collect();
        let instants = INSTANTS.iter().filter_map(|(name, of)| Some((builder.field(name)?, *of))).collect();
        let value = builder.field("value");
        let currency = builder.field("currency");
        let probability = builder.field("probability");
        let close_date = builder.field("close_date");
        let custom = builder.custom();
        let (columns, ways, problems) = builder.end();
        let Some(id) = id.filter(|_| problems.is_empty()) else { return Err(problems) };
        Ok(Self {
            id,
            name,
            texts,
            instants,
            value,
            currency,
            probability,
            close_date,
            custom,
            late,
            columns,
            origins,
            ways,
        })
    }

    /// Which field comes from which path.
    pub(in crate::sources::rest) fn origins(&self) -> Vec<Mapped> {
        self.origins.clone()
    }

    /// The tables that fields look into.
    pub(in crate::sources::rest) fn tables(&self) -> BTreeSet<&str> {
        tables(&self.columns)
    }

    /// The columns beside a table's own: name, table and paths.
    pub(in crate::sources::rest) fn columns(&self) -> impl Iterator<Item = (&String, &String, &Vec<Path>)> {
        self.columns.iter().filter_map(|(name, (table, paths))| Some((name, table, paths.as_ref()?)))
    }

    /// Whether the deal has a stage, by label or id.
    pub(in crate::sources::rest) fn has_stage(&self) -> bool {
        self.has_text("stage") || self.has_text("stage_id")
    }

    /// Whether the deal has a pipeline, by label or id.
    pub(in crate::sources::rest) fn has_pipeline(&self) -> bool {
        self.has_text("pipeline") || self.has_text("pipeline_id")
    }

    /// Whether deals have an amount and nothing says in which currency.
    pub(in crate::sources::rest) fn lacks_currency(&self) -> bool {
        self.value.is_some() && self.currency.is_none()
    }

    fn has_text(&self, name: &str) -> bool {
        self.texts.iter().any(|(field, _)| field.name == name)
    }

    /// The id alone, if it can be read.
    pub(in crate::sources::rest) fn id(&self, record: &Record<'_>) -> Option<String> {
        let value = self.id.from.origin.given(record)?;
        String::of(&value, &self.id.casting).ok().flatten()
    }

    /// One record as a deal, its status still open to `status`.
    pub(in crate::sources::rest) fn deal(&self, reading: &mut Reading<'_, '_>) -> Result<Deal, Refusal> {
        let record = reading.record;
        let Some(id) = self.id.read(reading)? else { return Err(self.id.refusal(&self.id.missing(record))) };
        reading.id.clone_from(&id);
        let mut deal = Deal { id, ..Deal::default() };
        deal.name = reading.maybe(self.name.as_ref())?.unwrap_or_else(|| UNTITLED.to_owned());
        for (field, of) in &self.texts {
            *of(&mut deal) = field.read(reading)?;
        }
        for (field, of) in &self.instants {
            *of(&mut deal) = field.read(reading)?;
        }
        deal.value = reading.maybe(self.value.as_ref())?.map(|amount| amount.0);
        deal.currency = reading.maybe(self.currency.as_ref())?;
        deal.probability = reading.maybe(self.probability.as_ref())?.map(|chance| chance.0);
        deal.close_date = reading.maybe(self.close_date.as_ref())?;
        for (name, field) in &self.custom {
            let json = field.read(reading)?.unwrap_or_else(|| RawValue::NULL.to_owned());
            deal.custom.insert(name.clone(), json);
        }
        deal.wanted.extend(self.late.iter().filter_map(|late| late.of(record)));
        Ok(deal)
    }

    /// Where the ways to fields end, in words.
    pub(in crate::sources::rest) fn told(&self, gaps: &Gaps) -> source::MissingPathCounts {
        let told = gaps.iter().filter_map(|((number, gap), count)| {
            let (field, path) = self.ways.get(*number)?;
            let path = path.as_ref()?;
            let why = match gap {
                Gap::Ends(miss) => path.describe_miss(*miss),
                Gap::Unfit(fault) => format!("`{path}` {fault}"),
            };
            Some(((field.clone(), why), *count))
        });
        source::MissingPathCounts(told.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Findings;
    use crate::sources::rest::fields::tried::{good, read};
    use crate::sources::source::Names;

    #[test]
    fn every_field_of_a_deal_can_be_mapped() {
        let toml = "name = 't'\ncompany = 'account.name'\nstage = 's'\nvalue = 'v'\nprobability = { path = 'p', unit = 'percent' }\n\
            owner = 'o'\ncreated_at = 'c'\nupdated_at = { path = 'u', cast = 'epoch_s' }\ncurrency = { path = 'k', default = 'EUR' }\n\
            pipeline = 's'\npipeline_id = 's'\nstage_id = 's'\nclose_date = 'u2'\nclosed_at = 'c'\nowner_id = 'o'\nstage_entered_at = 'c'\n\
            forecast_category = 's'\nurl = 's'\nlast_activity_at = 'c'\nnext_activity_at = 'c'\ndeal_type = 's'\nlost_reason = 's'\n\
            'custom.segment' = 'x'\n[custom]\ntags = { path = 'y' }";
        let deal = good(
            toml,
            r#"{"id": 90071992547409931, "t": "Big", "account": {"name": "Acme"}, "s": 3, "v": 1234.50, "p": 30,
                "o": "Ann", "c": "2026-01-31T10:00:00Z", "u": "1700000000", "u2": "2026-01-31T23:30:00Z", "x": 1.10, "y": [1, 2]}"#,
        );
        assert_eq!((deal.id.as_str(), deal.name.as_str()), ("90071992547409931", "Big"));
        let json = serde_json::to_string(&deal).unwrap();
        for part in [
            r#""company":"Acme","stage":"3","value":1234.5,"probability":0.3,"owner":"Ann""#,
            r#""created_at":"2026-01-31T10:00:00Z","updated_at":"2023-11-14T22:13:20Z""#,
            r#""currency":"EUR","pipeline":"3","pipeline_id":"3","stage_id":"3","close_date":"2026-02-01""#,
            r#""forecast_category":"3""#,
            r#""custom":{"segment":1.10,"tags":[1,2]}"#,
        ] {
            assert!(json.contains(part), "no {part} in {json}");
        }
        assert!(deal.stage_entered_at.is_some() && deal.next_activity_at.is_some() && deal.url.is_some());
    }

    #[test]
    fn a_deal_without_a_name_is_untitled_and_an_empty_text_is_no_value() {
        for record in [r#"{"id": "a"}"#, r#"{"id": "a", "t": null, "s": ""}"#, r#"{"id": "a", "t": "  "}"#] {
            let deal = good("name = 't'\nstage = 's'\nvalue = 's'", record);
            assert_eq!((deal.name.as_str(), deal.stage, deal.value), (UNTITLED, None, None));
        }
    }

    #[test]
    fn where_the_way_to_a_field_ends_is_counted_by_step() {
        let mapping = read("id = 'id'\ncompany = '$.account.name'").unwrap();
        let (names, page, mut findings, mut gaps) =
            (Names::default(), Names::default(), Findings::default(), Gaps::new());
        for record in [r#"{"id": 1, "account": null}"#, r#"{"id": 2, "account": null}"#, r#"{"id": 3}"#] {
            let record = Record::of(serde_json::from_str(record).unwrap());
            let (id, findings, gaps) = (String::new(), &mut findings, &mut gaps);
            let reading = &mut Reading { record: &record, names: &names, page: &page, id, findings, gaps };
            mapping.deal(reading).unwrap();
        }
        let told = mapping.told(&gaps).0;
        assert_eq!(told[&("company".to_owned(), "`$.account.name`: `account` is null".to_owned())], 2);
        assert_eq!(told[&("company".to_owned(), "`$.account.name`: `account` is missing".to_owned())], 1);
    }

    #[test]
    fn a_value_that_does_not_fit_is_told_apart_from_one_that_is_not_there() {
        let mapping = read("id = 'id'\nvalue = 'v'").unwrap();
        let (names, page, mut findings, mut gaps) =
            (Names::default(), Names::default(), Findings::default(), Gaps::new());
        let record = Record::of(serde_json::from_str(r#"{"id": 1, "v": "1,000"}"#).unwrap());
        let (findings, id) = (&mut findings, String::new());
        mapping
            .deal(&mut Reading { record: &record, names: &names, page: &page, id, findings, gaps: &mut gaps })
            .unwrap();
        assert_eq!(mapping.told(&gaps).of("value"), [("`v` cannot be read", 1)]);
    }

    #[test]
    fn a_name_by_ids_is_left_open_and_its_key_kept() {
        let deal = good("owner = { path = 'o', lookup = 'orgs' }", r#"{"id": 1, "o": 7}"#);
        assert_eq!((deal.owner, deal.owner_id.as_deref()), (None, Some("7")));
        assert_eq!((deal.wanted[0].table.as_ref(), deal.wanted[0].key.as_str()), ("orgs", "7"));
        assert!(good("owner = { path = 'o', lookup = 'orgs' }", r#"{"id": 1, "o": " "}"#).wanted.is_empty());
    }
}
