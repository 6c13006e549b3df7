//! The lists of version 2: deals, their fields, stages, pipelines and organizations.
//!
//! Bodies have the shape of the contract's §3.1 to §3.5 and §3.10.

use chrono::{DateTime, Utc};
use sales_pipeline::model::deal::Status;
use serde_json::{Map, Value, json};

use super::account::{Deal, Field, Organization, Pipeline, Stage, old_time, status, written};
use super::answers::{Answer, Record, number, raw, record};
use super::paging::{Paged, Place, page};
use super::wish::{Selection, Wish};
use super::{Fault, Habit, Hub};

/// The fields that every account has; the first ones of them, for the list is long.
const OWN_FIELDS: [(&str, &str, &str); 8] = [
    ("id", "ID", "int"),
    ("title", "Title", "varchar"),
    ("value", "Value", "monetary"),
    ("currency", "Currency of value", "varchar"),
    ("stage_id", "Stage", "stage"),
    ("status", "Status", "status"),
    ("expected_close_date", "Expected close date", "date"),
    ("org_id", "Organization", "org"),
];

impl Hub {
    pub(super) fn deals(&self, wish: &Wish, archived: bool, fault: Option<&Fault>) -> Result<Answer, Answer> {
        let selection = Selection::of(wish)?;
        let custom = wish.list("custom_fields", 15)?;
        let labels = wish.truth("include_option_labels")? && !archived;
        let deals = self.account.visible().filter(|deal| deal.archived_at.is_some() == archived);
        let place = |deal: &&Deal, field: &str| {
            let by = match field {
                "id" => Place::Number(deal.id),
                "add_time" => Place::Text(written(deal.added_at)),
                "update_time" => Place::Text(written(deal.updated_at)),
                _ => return None,
            };
            Some((by, deal.id))
        };
        let found = deals.filter(|deal| selection.holds(deal));
        let page = page(found, wish, place, self.has(Habit::EndsWithEmptyPage))?;
        Ok(self.list(page, |deal| self.deal(deal, custom.as_deref(), labels), fault))
    }

    /// A page on the wire, or what a fault makes of it.
    fn list<T>(&self, page: Paged<T>, show: impl Fn(T) -> Record, fault: Option<&Fault>) -> Answer {
        let Paged { items, here, mut next } = page;
        let mut data: Vec<Record> = items.into_iter().map(show).collect();
        match fault {
            Some(Fault::EmptyPage) => {
                next = here.map(|here| here.before());
                data.clear();
            }
            Some(Fault::RepeatedCursor) => next = here,
            Some(Fault::DuplicateRecord) => data.extend(data.last().cloned()),
            Some(Fault::Disorder) => data.reverse(),
            _ => {}
        }
        let next = json!({"next_cursor": next.map(|next| next.text())});
        let mut answer = self.envelope(&data, data.is_empty());
        answer.insert("additional_data".to_owned(), raw(&record(next, self.omits_nulls())));
        Answer::json(200, &answer)
    }

    /// An instant of version 2, which may be written as version 1 does.
    fn time(&self, instant: Option<DateTime<Utc>>) -> Option<String> {
        instant.map(|instant| if self.has(Habit::WritesOldTimes) { old_time(instant) } else { written(instant) })
    }

    fn deal(&self, deal: &Deal, custom: Option<&[&str]>, labels: bool) -> Record {
        let closed = |status| self.time(deal.closed_at.filter(|_| deal.status == status));
        let mut shown = record(
            json!({"id": deal.id, "title": deal.title, "creator_user_id": 7, "owner_id": deal.owner, "person_id": null,
            "org_id": deal.organization, "pipeline_id": deal.pipeline, "stage_id": deal.stage, "value": null,
            "currency": deal.currency, "add_time": self.time(Some(deal.added_at)),
            "update_time": self.time(Some(deal.updated_at)), "stage_change_time": self.time(deal.stage_changed_at),
            "archive_time": self.time(deal.archived_at), "is_archived": deal.archived_at.is_some(),
            "is_deleted": deal.deleted_at.is_some(), "status": status(deal), "probability": null,
            "lost_reason": deal.lost_reason, "visible_to": deal.visible_to, "close_time": self.time(deal.closed_at),
            "won_time": closed(Status::Won), "lost_time": closed(Status::Lost), "local_won_date": null,
            "local_lost_date": null, "local_close_date": null, "expected_close_date": deal.expected_close,
            "label_ids": [], "origin": "ManuallyCreated", "origin_id": null, "channel": null, "channel_id": null,
            "arr": null, "mrr": null, "acv": null, "custom_fields": self.custom_fields(deal, custom, labels)}),
            self.omits_nulls(),
        );
        for (key, text) in [("value", &deal.value), ("probability", &deal.probability)] {
            shown.extend(text.as_deref().map(|text| (key.to_owned(), number(text))));
        }
        if self.has(Habit::AddsKeys) {
            shown.insert("canary".to_owned(), number("{\"a\": [null]}"));
        }
        shown
    }

    /// The custom fields: all of them, null where a deal has none, or those that were asked for.
    fn custom_fields(&self, deal: &Deal, wanted: Option<&[&str]>, labels: bool) -> Map<String, Value> {
        let is_wanted = |field: &&Field| wanted.is_none_or(|wanted| wanted.contains(&field.code.as_str()));
        let shown = |field: &Field| {
            let value = deal.custom.get(&field.code).unwrap_or(&Value::Null);
            (field.code.clone(), if labels { field.labelled(value) } else { value.clone() })
        };
        self.account.fields.iter().filter(is_wanted).map(shown).collect()
    }

    pub(super) fn deal_fields(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
        let own = OWN_FIELDS.map(|(code, name, kind)| {
            json!({"field_code": code, "field_name": name, "field_type": kind, "is_custom_field": false,
                "is_optional_response_field": false, "options": null, "subfields": null})
        });
        let custom = self.account.fields.iter().map(|field| {
            let option = |(id, label): &(u64, String)| json!({"id": id, "label": label, "color": null});
            let options: Vec<Value> = field.options.iter().map(option).collect();
            json!({"field_code": field.code, "field_name": field.name, "field_type": field.kind,
                "is_custom_field": true, "is_optional_response_field": false, "subfields": null,
                "options": if options.is_empty() { Value::Null } else { json!(options) }})
        });
        let numbered = (1..).zip(own.into_iter().chain(custom));
        let place =
            |(number, _): &(u64, Value), field: &str| (field == "id").then_some((Place::Number(*number), *number));
        let page = page(numbered, wish, place, self.has(Habit::EndsWithEmptyPage))?;
        Ok(self.list(page, |(_, field)| record(field, self.omits_nulls()), fault))
    }

    pub(super) fn stages(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
        let pipeline = wish.number("pipeline_id")?;
        let found = self.account.listed_stages();
        let found = found.filter(|(_, stage)| pipeline.is_none_or(|pipeline| pipeline == stage.pipeline));
        let place = |(id, stage): &(u64, &Stage), field: &str| match field {
            "id" => Some((Place::Number(*id), *id)),
            "order_nr" => Some((Place::Number(stage.order), *id)),
            _ => None,
        };
        let page = page(found, wish, place, self.has(Habit::EndsWithEmptyPage))?;
        let show = |(id, stage): (u64, &Stage)| {
            let shown = json!({"id": id, "order_nr": stage.order, "name": stage.name, "is_deleted": stage.is_deleted,
                "deal_probability": stage.probability, "pipeline_id": stage.pipeline, "is_deal_rot_enabled": true,
                "days_to_rotten": 14, "add_time": "2024-01-01T00:00:00Z", "update_time": "2024-05-01T00:00:00Z"});
            record(shown, self.omits_nulls())
        };
        Ok(self.list(page, show, fault))
    }

    pub(super) fn pipelines(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
        let place = |(id, _): &(u64, &Pipeline), field: &str| (field == "id").then_some((Place::Number(*id), *id));
        let page = page(self.account.listed_pipelines(), wish, place, self.has(Habit::EndsWithEmptyPage))?;
        let show = |(id, pipeline): (u64, &Pipeline)| {
            let shown = json!({"id": id, "name": pipeline.name, "order_nr": id, "is_deleted": pipeline.is_deleted,
                "is_deal_probability_enabled": pipeline.has_probability, "add_time": "2024-01-01T00:00:00Z",
                "update_time": "2024-01-01T00:00:00Z"});
            record(shown, self.omits_nulls())
        };
        Ok(self.list(page, show, fault))
    }

    pub(super) fn organizations(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
        let (ids, since, until) = (wish.ids()?, wish.instant("updated_since")?, wish.instant("updated_until")?);
        let found = self.account.visible_organizations().filter(|(id, organization)| {
            ids.as_ref().is_none_or(|ids| ids.contains(id))
                && since.is_none_or(|since| organization.updated_at >= since)
                && until.is_none_or(|until| organization.updated_at < until)
        });
        let place = |(id, organization): &(u64, &Organization), field: &str| match field {
            "id" => Some((Place::Number(*id), *id)),
            "update_time" => Some((Place::Text(written(organization.updated_at)), *id)),
            _ => None,
        };
        let page = page(found, wish, place, self.has(Habit::EndsWithEmptyPage))?;
        let show = |(id, organization): (u64, &Organization)| {
            let shown = json!({"id": id, "name": organization.name, "owner_id": organization.owner,
                "add_time": "2024-02-02T08:00:00Z", "update_time": self.time(Some(organization.updated_at)),
                "is_deleted": false, "visible_to": organization.visible_to, "address": null, "label_ids": [],
                "website": null, "linkedin": null, "industry": null, "annual_revenue": null, "employee_count": null,
                "custom_fields": {}});
            record(shown, self.omits_nulls())
        };
        Ok(self.list(page, show, fault))
    }
}
