//! What Pipedrive answers to each route, and its errors in its own words.
//!
//! Bodies have the shape of the contract's §2, §3 and §6; which path belongs to which route is decided here too.

use std::collections::BTreeMap;

use axum::http::Method;
use chrono::{DateTime, Utc};
use sales_pipeline::model::deal::Status;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::account::{COMPANY_DOMAIN, Deal, Field, Organization, Pipeline, Stage, User, written};
use super::limits::Refusal;
use super::paging::{Paged, Place, page};
use super::{Asked, Fault, Habit, Hub, Route, params};

/// A record whose numbers are the texts that are stored.
type Record = BTreeMap<String, Box<RawValue>>;

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

/// An answer before it goes over the wire.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) refused: Option<Refusal>,
    pub(super) body: String,
}

impl Answer {
    fn text(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, headers: Vec::new(), refused: None, body }
    }

    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).expect("it has only texts as keys");
        Self::text(status, "application/json; charset=utf-8", body)
    }
}

/// An error of Pipedrive's common shape.
pub(super) fn error(status: u16, message: &str) -> Answer {
    let info = "Please check developers.pipedrive.com";
    let body = json!({"success": false, "error": message, "error_info": info, "data": null, "additional_data": null});
    Answer::json(status, &body)
}

pub(super) fn invalid(message: &str) -> Answer {
    error(400, message)
}

pub(super) fn unauthorized() -> Answer {
    let body = json!({"success": false, "error": "unauthorized access", "errorCode": 401,
        "error_info": "Please check developers.pipedrive.com"});
    let mut answer = Answer::json(401, &body);
    answer.headers.push(("x-401-by-gw", "true".to_owned()));
    answer
}

/// 403 of an app that was not granted what it asks for.
pub(super) fn missing_scope() -> Answer {
    Answer::json(
        403,
        &json!({"success": false, "error": "Scope and URL mismatch", "errorCode": 403,
        "error_info": "Please check developers.pipedrive.com"}),
    )
}

/// 429, or the wall behind it.
pub(super) fn limit(refusal: Refusal) -> Answer {
    let mut answer = match refusal {
        Refusal::Blocked => html(403),
        _ => Answer::json(429, &json!({"success": false, "error": "request over limit", "code": 429})),
    };
    answer.refused = Some(refusal);
    answer
}

fn html(status: u16) -> Answer {
    let page = "<!DOCTYPE html><html><head><title>Access denied | canary</title></head><body>canary</body></html>";
    Answer::text(status, "text/html; charset=UTF-8", page.to_owned())
}

/// The answer of a fault that needs no account; `None` where the right answer is to be spoilt.
pub(super) fn fault(fault: &Fault) -> Option<Answer> {
    Some(match fault {
        Fault::Status(status) => error(*status, "canary of the body"),
        Fault::Unauthorized => unauthorized(),
        Fault::Limit(refusal) => limit(*refusal),
        Fault::Html(status) => html(*status),
        Fault::Unsuccessful => error(200, "canary of the body"),
        Fault::NullBody => Answer::json(200, &Value::Null),
        Fault::Redirect(to) => {
            let mut answer = Answer::text(302, "text/html", String::new());
            answer.headers.push(("location", to.clone()));
            answer
        }
        _ => return None,
    })
}

/// The scope that an app needs for a route.
pub(super) fn scope(route: Route) -> &'static str {
    match route {
        Route::Me | Route::Currencies => "base",
        Route::Users | Route::User => "users:read",
        Route::Organizations => "contacts:read",
        _ => "deals:read",
    }
}

/// How many of the day's tokens a request costs.
pub(super) fn cost(route: Route) -> u64 {
    match route {
        Route::Deals | Route::Organizations | Route::DealFields => 10,
        Route::ArchivedDeals | Route::Users | Route::Currencies => 20,
        Route::Stages | Route::Pipelines => 5,
        Route::Me | Route::User => 2,
        Route::Summary => 40,
        Route::Token => 0,
    }
}

/// What a path asks for: version 2 below `/api/v2` alone, version 1 with or without `/api`.
pub(super) fn route(method: &Method, path: &str) -> Option<Route> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let posts = *method == Method::POST;
    Some(match (posts, parts.as_slice()) {
        (true, ["oauth", "token"]) => Route::Token,
        (false, ["api", "v2", rest @ ..]) => match rest {
            ["deals"] => Route::Deals,
            ["deals", "archived"] => Route::ArchivedDeals,
            ["dealFields"] => Route::DealFields,
            ["stages"] => Route::Stages,
            ["pipelines"] => Route::Pipelines,
            ["organizations"] => Route::Organizations,
            _ => return None,
        },
        (false, ["v1", rest @ ..] | ["api", "v1", rest @ ..]) => match rest {
            ["users"] => Route::Users,
            ["users", "me"] => Route::Me,
            ["users", _] => Route::User,
            ["currencies"] => Route::Currencies,
            ["deals", "summary"] => Route::Summary,
            _ => return None,
        },
        _ => return None,
    })
}

/// What a request says, read once.
pub(super) struct Wish {
    params: Vec<(String, String)>,
}

impl Wish {
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Answer> {
        let number = |text: &str| text.parse().map_err(|_| invalid(&format!("{name} must be a number")));
        self.param(name).map(number).transpose()
    }

    /// A list joined by commas, of no more than `most`.
    fn list(&self, name: &str, most: usize) -> Result<Option<Vec<&str>>, Answer> {
        let list: Option<Vec<&str>> = self.param(name).map(|text| text.split(',').collect());
        if list.as_ref().is_some_and(|list| list.len() > most) {
            return Err(invalid(&format!("{name} must not hold more than {most}")));
        }
        Ok(list)
    }

    fn ids(&self) -> Result<Option<Vec<u64>>, Answer> {
        let id = |text: &str| text.parse().map_err(|_| invalid("ids must be numbers"));
        self.list("ids", 100)?.map(|list| list.into_iter().map(id).collect()).transpose()
    }

    fn instant(&self, name: &str) -> Result<Option<DateTime<Utc>>, Answer> {
        let instant = |text: &str| {
            let read = DateTime::parse_from_rfc3339(text).map_err(|_| invalid(&format!("{name} must be a date")))?;
            Ok(read.to_utc())
        };
        self.param(name).map(instant).transpose()
    }

    fn truth(&self, name: &str) -> Result<bool, Answer> {
        match self.param(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(invalid(&format!("{name} must be true or false"))),
        }
    }
}

/// Which deals are wanted.
struct Selection<'a> {
    ids: Option<Vec<u64>>,
    owner: Option<u64>,
    organization: Option<u64>,
    pipeline: Option<u64>,
    stage: Option<u64>,
    /// `None`: those that are not deleted.
    statuses: Option<Vec<&'a str>>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl<'a> Selection<'a> {
    fn of(wish: &'a Wish) -> Result<Self, Answer> {
        if wish.param("filter_id").is_some() {
            return Err(invalid("no such filter"));
        }
        let statuses = wish.list("status", 4)?;
        let known = |status: &&str| ["open", "won", "lost", "deleted"].contains(status);
        if !statuses.iter().flatten().all(known) {
            return Err(invalid("status must be one of [open, won, lost, deleted]"));
        }
        Ok(Self {
            ids: wish.ids()?,
            owner: wish.number("owner_id")?,
            organization: wish.number("org_id")?,
            pipeline: wish.number("pipeline_id")?,
            stage: wish.number("stage_id")?,
            statuses,
            since: wish.instant("updated_since")?,
            until: wish.instant("updated_until")?,
        })
    }

    fn holds(&self, deal: &Deal) -> bool {
        let is = |wanted: Option<u64>, own: Option<u64>| wanted.is_none_or(|wanted| own == Some(wanted));
        let status = match &self.statuses {
            Some(statuses) => statuses.contains(&status(deal)),
            None => deal.deleted_at.is_none(),
        };
        status
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&deal.id))
            && is(self.owner, deal.owner)
            && is(self.organization, deal.organization)
            && is(self.pipeline, Some(deal.pipeline))
            && is(self.stage, Some(deal.stage))
            && self.since.is_none_or(|since| deal.updated_at >= since)
            && self.until.is_none_or(|until| deal.updated_at < until)
    }
}

fn status(deal: &Deal) -> &'static str {
    match (deal.deleted_at, deal.status) {
        (Some(_), _) => "deleted",
        (None, Status::Open) => "open",
        (None, Status::Won) => "won",
        (None, Status::Lost) => "lost",
    }
}

/// A record of values as they stand; nulls are left out where that is the habit.
fn record(values: Value, omits_nulls: bool) -> Record {
    let Value::Object(values) = values else { unreachable!("records are objects") };
    let kept = values.into_iter().filter(|(_, value)| !(omits_nulls && value.is_null()));
    kept.map(|(key, value)| (key, to_raw_value(&value).expect("it is JSON"))).collect()
}

fn number(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|error| panic!("{text} is no JSON: {error}"))
}

impl Hub {
    /// The right answer, or what a fault makes of it.
    pub(super) fn ask(&mut self, route: Route, asked: &Asked, fault: Option<&Fault>) -> Answer {
        let wish = Wish { params: params(&asked.query) };
        let answer = match route {
            Route::Deals => self.deals(&wish, false, fault),
            Route::ArchivedDeals => self.deals(&wish, true, fault),
            Route::DealFields => self.deal_fields(&wish, fault),
            Route::Stages => self.stages(&wish, fault),
            Route::Pipelines => self.pipelines(&wish, fault),
            Route::Organizations => self.organizations(&wish, fault),
            Route::Users => Ok(self.users()),
            Route::User => self.user(&asked.path),
            Route::Me => Ok(self.me()),
            Route::Currencies => Ok(self.currencies()),
            Route::Summary => self.summary(&wish),
            Route::Token => unreachable!("tokens are given before anybody may ask"),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    fn deals(&self, wish: &Wish, archived: bool, fault: Option<&Fault>) -> Result<Answer, Answer> {
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
        answer
            .insert("additional_data".to_owned(), to_raw_value(&record(next, self.omits_nulls())).expect("it is JSON"));
        Answer::json(200, &answer)
    }

    fn omits_nulls(&self) -> bool {
        self.has(Habit::OmitsNulls)
    }

    fn envelope(&self, data: &impl Serialize, is_empty: bool) -> Record {
        let mut envelope = record(json!({"success": true}), false);
        let data = if is_empty && self.has(Habit::SendsNullLists) { to_raw_value(&()) } else { to_raw_value(data) };
        envelope.insert("data".to_owned(), data.expect("it is JSON"));
        if self.has(Habit::AddsKeys) {
            envelope.insert("canary_data".to_owned(), number("[1, 2, 3]"));
        }
        envelope
    }

    fn ok(&self, data: &impl Serialize) -> Answer {
        Answer::json(200, &self.envelope(data, false))
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

    fn deal_fields(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
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
            |(number, _): &(u64, Value), field: &str| (field == "id").then(|| (Place::Number(*number), *number));
        let page = page(numbered, wish, place, self.has(Habit::EndsWithEmptyPage))?;
        Ok(self.list(page, |(_, field)| record(field, self.omits_nulls()), fault))
    }

    fn stages(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
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

    fn pipelines(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
        let place = |(id, _): &(u64, &Pipeline), field: &str| (field == "id").then(|| (Place::Number(*id), *id));
        let page = page(self.account.listed_pipelines(), wish, place, self.has(Habit::EndsWithEmptyPage))?;
        let show = |(id, pipeline): (u64, &Pipeline)| {
            let shown = json!({"id": id, "name": pipeline.name, "order_nr": id, "is_deleted": pipeline.is_deleted,
                "is_deal_probability_enabled": pipeline.has_probability, "add_time": "2024-01-01T00:00:00Z",
                "update_time": "2024-01-01T00:00:00Z"});
            record(shown, self.omits_nulls())
        };
        Ok(self.list(page, show, fault))
    }

    fn organizations(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
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

    fn show_user(&self, id: u64, user: &User) -> Value {
        let access = |app: &str| json!({"app": app, "admin": user.is_admin, "permission_set_id": "62cc4d7f-canary"});
        json!({"id": id, "name": user.name, "email": format!("user{id}@acme.example"),
            "default_currency": user.currency, "locale": "fi_FI", "lang": 1, "phone": null, "activated": true,
            "active_flag": user.is_active, "is_deleted": !user.is_active, "is_you": id == self.account.me, "role_id": 1,
            "icon_url": null, "timezone_name": "Europe/Helsinki", "timezone_offset": "+02:00",
            "last_login": old_time(self.account.now), "created": "2020-11-13 09:16:26", "modified": null,
            "has_created_company": false, "access": [access("sales"), access("global")]})
    }

    fn users(&self) -> Answer {
        let hides = self.has(Habit::HidesInactiveUsers);
        let listed = self.account.users.iter().filter(|(_, user)| user.is_active || !hides);
        let users: Vec<Value> = listed.map(|(id, user)| self.show_user(*id, user)).collect();
        self.ok(&users)
    }

    fn user(&self, path: &str) -> Result<Answer, Answer> {
        let id = path.rsplit('/').next().and_then(|id| id.parse().ok());
        let user = id.and_then(|id: u64| self.account.users.get_key_value(&id));
        let (id, user) = user.ok_or_else(|| error(404, "User not found"))?;
        Ok(self.ok(&self.show_user(*id, user)))
    }

    fn me(&self) -> Answer {
        let mut shown = self.show_user(self.account.me, self.account.me());
        for (key, value) in [
            ("company_id", json!(4_242_424)),
            ("company_name", json!("Acme")),
            ("company_domain", json!(COMPANY_DOMAIN)),
            ("company_country", json!("FI")),
            ("company_industry", json!(null)),
            ("language", json!({"language_code": "fi", "country_code": "FI"})),
        ] {
            shown[key] = value;
        }
        self.ok(&shown)
    }

    fn currencies(&self) -> Answer {
        let show = |(number, (code, currency)): (u64, (&String, &super::account::Currency))| {
            json!({"id": number, "code": code, "name": code, "decimal_points": currency.decimals, "symbol": code,
                "active_flag": currency.is_active, "is_custom_flag": currency.is_custom})
        };
        let all: Vec<Value> = (1..).zip(&self.account.currencies).map(show).collect();
        self.ok(&all)
    }

    fn summary(&self, wish: &Wish) -> Result<Answer, Answer> {
        let mut selection = Selection::of(wish)?;
        selection.owner = wish.number("user_id")?;
        if selection.statuses.as_ref().is_some_and(|statuses| statuses.len() != 1 || statuses[0] == "deleted") {
            return Err(invalid("status must be one of [open, won, lost]"));
        }
        let live = self.account.visible().filter(|deal| deal.archived_at.is_none());
        let sums = self.account.summary(live.filter(|deal| selection.holds(deal)));
        let rate = |code: &String| self.account.currencies.get(code).and_then(|currency| currency.rate);
        let (mut values, mut weighted) = (BTreeMap::new(), BTreeMap::new());
        let mut converted = [rust_decimal::Decimal::ZERO; 2];
        for (code, (count, total, chance)) in &sums {
            let rate = rate(code).unwrap_or_default();
            converted[0] += total * rate;
            converted[1] += chance * rate;
            let shown = |total: &rust_decimal::Decimal| {
                let mut shown = record(json!({"count": count, "value_formatted": format!("{code} {total}")}), false);
                shown.insert("value".to_owned(), number(&total.to_string()));
                shown
            };
            let mut value = shown(total);
            value.insert("value_converted".to_owned(), number(&(total * rate).to_string()));
            values.insert(code, value);
            weighted.insert(code, shown(chance));
        }
        let count: u64 = sums.values().map(|(count, ..)| count).sum();
        let mut data = record(json!({"total_count": count}), false);
        for (key, value) in
            [("values_total", to_raw_value(&values)), ("weighted_values_total", to_raw_value(&weighted))]
        {
            data.insert(key.to_owned(), value.expect("it is JSON"));
        }
        for (key, value) in [
            ("total_currency_converted_value", converted[0]),
            ("total_weighted_currency_converted_value", converted[1]),
        ] {
            data.insert(key.to_owned(), number(&value.to_string()));
        }
        Ok(self.ok(&data))
    }
}

/// An instant as version 1 writes it: in UTC, and it does not say so.
fn old_time(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M:%S").to_string()
}
