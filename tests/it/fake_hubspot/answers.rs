//! What HubSpot answers to each route, and its errors in its own words.
//!
//! Bodies have the shape of the contract's §3 and §5; which path belongs to which route is decided here too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::account::{self, Account, Company, Deal, Link, written};
use super::limits::Refusal;
use super::{Asked, Fault, Habit, Hub, Route, params};

/// What deals come with where nobody says which properties.
const DEFAULT_PROPERTIES: [&str; 5] = ["amount", "closedate", "dealname", "dealstage", "pipeline"];
/// What deals come with whatever was asked for.
const ALWAYS: [&str; 3] = ["createdate", "hs_lastmodifieddate", "hs_object_id"];

/// An answer before it goes over the wire.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        let content_type = "application/json;charset=utf-8";
        Self { status, content_type, headers: Vec::new(), body: body.to_string() }
    }

    fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    fn text(status: u16, content_type: &'static str, body: &str) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.to_owned() }
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// An error of HubSpot's common shape.
pub(super) fn error(status: u16, category: &str, message: &str) -> Answer {
    let body = json!({"status": "error", "message": message, "category": category,
        "correlationId": "c93e0d6f-0a6b-4c1e-9c57-canary000001"});
    Answer::json(status, &body)
}

fn invalid(message: &str) -> Answer {
    error(400, "VALIDATION_ERROR", message)
}

pub(super) fn unauthenticated() -> Answer {
    let message = "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find \
        more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview";
    error(401, "INVALID_AUTHENTICATION", message)
}

pub(super) fn expired() -> Answer {
    error(401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired 7 second(s) ago.")
}

pub(super) fn missing_scopes(scope: &str) -> Answer {
    let body = json!({"status": "error", "category": "MISSING_SCOPES",
        "message": "This app hasn't been granted all required scopes to make this call. Read more about required \
            scopes here: https://developers.hubspot.com/scopes.",
        "correlationId": "c93e0d6f-0a6b-4c1e-9c57-canary000002",
        "errors": [{"message": "One or more of the following scopes are required.",
            "context": {"requiredGranularScopes": [scope]}}],
        "links": {"scopes": "https://developers.hubspot.com/scopes"}});
    Answer::json(403, &body)
}

/// 429: two families of bodies, and no `Retry-After`.
pub(super) fn limit(refusal: Refusal) -> Answer {
    let mut body = json!({"status": "error", "correlationId": "c93e0d6f-0a6b-4c1e-9c57-canary000003"});
    let (message, more) = match refusal {
        Refusal::TenSecondly => (
            "You have reached your ten_secondly_rolling limit.",
            json!({"errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING",
                "groupName": "publicapi:private-app-api-calls-ten-secondly:12345678"}),
        ),
        Refusal::Daily => (
            "You have reached your daily limit.",
            json!({"errorType": "RATE_LIMIT", "policyName": "DAILY", "requestId": "3d3e35b7-0dae-4b9f-a6e3-9c230cbcf8dd"}),
        ),
        Refusal::Secondly => ("You have reached your secondly limit.", json!({"category": "RATE_LIMITS"})),
    };
    body["message"] = json!(message);
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    Answer::json(429, &body)
}

/// The answer of a fault that needs no account; `None` where the right answer is to be spoilt.
pub(super) fn fault(fault: &Fault) -> Option<Answer> {
    Some(match fault {
        Fault::Status(status) => error(*status, "", "canary of the body"),
        Fault::Expired => expired(),
        Fault::MissingScopes(scope) => missing_scopes(scope),
        Fault::Locked => error(423, "LOCKED", "canary: the resource is locked"),
        Fault::Limit(refusal) => limit(*refusal),
        Fault::Cloudflare => Answer::text(429, "text/plain; charset=UTF-8", "error code: 1015 canary"),
        Fault::Migration(wait) => error(477, "MIGRATION_IN_PROGRESS", "canary").header("retry-after", wait),
        Fault::Html(status) => {
            let page = "<html><head><title>canary</title></head><body>canary</body></html>";
            Answer::text(*status, "text/html", page)
        }
        _ => return None,
    })
}

/// The scope that a route needs.
pub(super) fn scope(route: Route) -> &'static str {
    match route {
        Route::Companies => "crm.objects.companies.read",
        Route::Owners => "crm.objects.owners.read",
        Route::Account | Route::Usage => "oauth",
        _ => "crm.objects.deals.read",
    }
}

/// Whether a path is of the dated family.
fn is_dated(path: &str) -> bool {
    path.contains("/2026-09")
}

/// What a path of either family asks for.
pub(super) fn route(method: &Method, path: &str) -> Option<Route> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    // The dated family names the version behind the area, the old one before it.
    let (area, rest) = match parts.as_slice() {
        ["crm", area, "2026-09", rest @ ..]
        | ["crm", "v3", area @ ("objects" | "pipelines" | "owners" | "properties"), rest @ ..]
        | ["crm", "v4", area @ "associations", rest @ ..]
        | [area @ "account-info", "2026-09" | "v3", rest @ ..]
        | [area @ "oauth", "2026-09" | "v1", rest @ ..] => (*area, rest),
        ["crm", "v4", "objects", rest @ ..] if rest.contains(&"associations") => ("objects", rest),
        _ => return None,
    };
    let posts = *method == Method::POST;
    Some(match (posts, area, rest) {
        (false, "objects", ["deals" | "deal" | "0-3"]) => Route::List,
        (true, "objects", ["deals" | "deal" | "0-3", "search"]) => Route::Search,
        (true, "objects", ["deals" | "deal" | "0-3", "batch", "read"]) => Route::BatchDeals,
        (true, "objects", ["companies" | "company" | "0-2", "batch", "read"]) => Route::Companies,
        (false, "objects", ["deals" | "deal" | "0-3", _, "associations", "companies" | "company" | "0-2"]) => {
            Route::DealCompanies
        }
        (false, "objects", ["deals" | "deal" | "0-3", _]) => Route::OneDeal,
        (true, "associations", ["deals" | "deal" | "0-3", "companies" | "company" | "0-2", "batch", "read"]) => {
            Route::Associations
        }
        (false, "pipelines", ["deals" | "deal" | "0-3"]) => Route::Pipelines,
        (false, "properties", ["deals" | "deal" | "0-3"]) => Route::Properties,
        (false, "owners", []) => Route::Owners,
        // The official client sends a slash behind it.
        (false, "owners", [""]) if !is_dated(path) => Route::Owners,
        (false, "account-info", ["details"]) => Route::Account,
        (false, "account-info", ["api-usage", "daily", "private-apps"]) => Route::Usage,
        (true, "oauth", ["token"]) => Route::Token,
        _ => return None,
    })
}

/// What a request says, read once.
pub(super) struct Wish {
    params: Vec<(String, String)>,
    pub(super) body: Value,
    dated: bool,
}

impl Wish {
    fn of(asked: &Asked) -> Result<Self, Answer> {
        let body = if asked.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&asked.body).map_err(|_| invalid("Invalid input JSON on line 1, column 2: canary"))?
        };
        Ok(Self { params: params(&asked.query), body, dated: is_dated(&asked.path) })
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A list: the key repeated, or its values joined by commas.
    fn list(&self, name: &str) -> Vec<String> {
        let values = self.params.iter().filter(|(key, _)| key == name);
        values.flat_map(|(_, value)| value.split(',').map(ToOwned::to_owned)).collect()
    }

    fn truth(&self, name: &str) -> Result<bool, Answer> {
        match self.param(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(invalid(&format!("{name} must be true or false"))),
        }
    }

    fn limit(&self, default: usize, most: usize) -> Result<usize, Answer> {
        let limit = self.param("limit").map_or(Ok(default), str::parse).unwrap_or(0);
        if (1..=most).contains(&limit) { Ok(limit) } else { Err(invalid(&format!("limit must be 1 to {most}"))) }
    }

    /// The ids of a batch and where each is to go on.
    fn inputs(&self, most: usize) -> Result<Vec<(String, Option<String>)>, Answer> {
        let inputs = self.body["inputs"].as_array().ok_or_else(|| invalid("inputs is missing"))?;
        if inputs.len() > most {
            return Err(invalid(&format!("The maximum number of inputs supported in a batch request is {most}.")));
        }
        let text = |input: &Value, key: &str| input[key].as_str().map(ToOwned::to_owned);
        let read = |input: &Value| Some((text(input, "id")?, text(input, "after")));
        inputs.iter().map(read).collect::<Option<_>>().ok_or_else(|| invalid("id must be a string"))
    }

    pub(super) fn properties(&self) -> Vec<String> {
        let own = self.body["properties"].as_array().into_iter().flatten();
        let own: Vec<String> = own.filter_map(|name| name.as_str().map(ToOwned::to_owned)).collect();
        if self.body.is_null() { self.list("properties") } else { own }
    }
}

impl Hub {
    /// The right answer, or what a fault makes of it.
    pub(super) fn ask(&mut self, route: Route, asked: &Asked, fault: Option<&Fault>) -> Answer {
        let answer = Wish::of(asked).and_then(|wish| match route {
            Route::List => self.list(&wish, fault),
            Route::Search => self.search(&wish, fault),
            Route::BatchDeals => self.batch_deals(&wish, fault),
            Route::OneDeal => self.one_deal(&wish, &asked.path),
            Route::Pipelines => Ok(self.pipelines()),
            Route::Owners => self.owners(&wish),
            Route::Associations => self.associations(&wish, fault),
            Route::DealCompanies => self.deal_companies(&wish, &asked.path),
            Route::Companies => self.companies(&wish, fault),
            Route::Properties => Ok(self.defined_properties()),
            Route::Account => Ok(self.details()),
            Route::Usage => Ok(self.usage()),
            Route::Token => unreachable!("tokens are given before anybody may ask"),
        });
        answer.unwrap_or_else(|refusal| refusal)
    }

    fn list(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
        let with_history = !wish.list("propertiesWithHistory").is_empty();
        let limit = wish.limit(10, if with_history { 50 } else { 100 })?;
        let archived = wish.truth("archived")?;
        let inline = match wish.list("associations").as_slice() {
            [] => false,
            [one] if matches!(one.as_str(), "companies" | "company" | "0-2") => true,
            _ => return Err(invalid("canary: no such object type")),
        };
        let after = wish.param("after").map_or(Ok(0), str::parse::<u64>);
        let after = after.map_err(|_| invalid("after is no id"))?;
        let mut found = self
            .account
            .deals
            .range(after..)
            .map(|(_, deal)| deal)
            .filter(|deal| deal.archived_at.is_some() == archived);
        let mut page: Vec<&Arc<Deal>> = found.by_ref().take(limit).collect();
        let mut next = found.next().map(|deal| deal.id);
        match fault {
            Some(Fault::EmptyPage) => {
                // An id between the last page and this one leads to the same records.
                next = page.first().map(|deal| deal.id - 1);
                page.clear();
            }
            Some(Fault::RepeatedCursor) => next = page.first().map(|deal| deal.id),
            Some(Fault::DuplicateRecord) => page.extend(page.last().copied()),
            Some(Fault::Disorder) => page.reverse(),
            _ => {}
        }
        let properties = wish.properties();
        let results: Vec<Value> = page.into_iter().map(|deal| self.deal(deal, &properties, inline)).collect();
        Ok(Answer::ok(&self.page(&results, next.map(|next| next.to_string()))))
    }

    /// A page; its link leads to HubSpot itself, wherever it was asked for.
    pub(super) fn page(&self, results: &[Value], next: Option<String>) -> Value {
        let mut page = json!({"results": results});
        if let Some(after) = next {
            let link = format!("https://api.hubapi.com/crm/objects/v3/0-420?after={after}");
            page["paging"] = json!({"next": {"after": after, "link": link}});
        }
        if self.has(Habit::AddsKeys) {
            page["context"] = json!({"canary": [1, 2, 3]});
        }
        page
    }

    /// A deal as the list, the search and the batches show it.
    pub(super) fn deal(&self, deal: &Deal, wanted: &[String], inline: bool) -> Value {
        let defaults = || DEFAULT_PROPERTIES.map(ToOwned::to_owned).to_vec();
        let wanted = if wanted.is_empty() { defaults() } else { wanted.to_vec() };
        let names: BTreeSet<&str> = ALWAYS.into_iter().chain(wanted.iter().map(String::as_str)).collect();
        let mut properties = Map::new();
        for name in names.into_iter().filter(|name| self.account.kind(name).is_some()) {
            let value = self.account.value(deal, name);
            let value = match value {
                None if self.has(Habit::OmitsNulls) => continue,
                None if self.has(Habit::SendsEmptyTexts) => json!(""),
                value => json!(value),
            };
            properties.insert(name.to_owned(), value);
        }
        let mut record = json!({"id": deal.id.to_string(), "properties": properties,
            "createdAt": written(deal.created_at), "updatedAt": written(deal.updated_at),
            "archived": deal.archived_at.is_some(), "url": account::url(deal.id)});
        if let Some(archived_at) = deal.archived_at {
            record["archivedAt"] = json!(written(archived_at));
        }
        if inline && !deal.companies.is_empty() {
            record["associations"] = json!({"companies": self.inline(deal)});
        }
        if self.has(Habit::AddsKeys) {
            record["objectWriteTraceId"] = json!("canary");
        }
        if !self.account.shows_deals {
            record["url"] = Value::Null;
        }
        if self.account.unreadable.contains(&deal.id) {
            record["id"] = Value::Null;
        }
        record
    }

    /// The companies inside a deal of the list: the primary one twice.
    fn inline(&self, deal: &Deal) -> Value {
        let (links, next) = self.association_page_of(deal, None);
        let types = |link: &Link| {
            let primary = link.primary.then(|| "deal_to_company".to_owned());
            let label = link.label.as_ref().map(|(_, label)| label.to_lowercase());
            primary.into_iter().chain([String::from("deal_to_company_unlabeled")]).chain(label).collect::<Vec<_>>()
        };
        let results: Vec<Value> = links
            .iter()
            .flat_map(|link| types(link).into_iter().map(|kind| json!({"id": link.company.to_string(), "type": kind})))
            .collect();
        self.page(&results, next)
    }

    /// Companies of a deal from where `after` says, and how it goes on; the cursor is nothing that can be counted up.
    fn association_page_of<'a>(&self, deal: &'a Deal, after: Option<&str>) -> (&'a [Link], Option<String>) {
        let from = after.and_then(|after| u64::from_str_radix(after, 36).ok()).map_or(0, |after| after ^ deal.id);
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(deal.companies.len());
        let until = (from + self.association_page).min(deal.companies.len());
        let next = (until < deal.companies.len()).then(|| in_base_36(until as u64 ^ deal.id));
        (&deal.companies[from..until], next)
    }

    fn batch_deals(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
        let with_history = wish.body["propertiesWithHistory"].as_array().is_some_and(|names| !names.is_empty());
        let inputs = wish.inputs(if with_history { 50 } else { 100 })?;
        let archived = wish.truth("archived")?;
        let properties = wish.properties();
        let find = |id: &str| {
            let deal = self.account.deals.get(&id.parse().ok()?)?;
            (deal.archived_at.is_some() == archived).then(|| (deal.id, self.deal(deal, &properties, false)))
        };
        Ok(self.batch(wish, &inputs, "DEAL", fault, find))
    }

    fn companies(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
        let inputs = wish.inputs(100)?;
        let properties = wish.properties();
        let find = |id: &str| {
            let (id, company) = self.account.company(id.parse().ok()?)?;
            Some((id, company_record(id, company, &properties)))
        };
        Ok(self.batch(wish, &inputs, "COMPANY", fault, find))
    }

    /// A batch: each record once, in no order of the inputs', and an error for the ids that nobody knows.
    fn batch(
        &self,
        wish: &Wish,
        inputs: &[(String, Option<String>)],
        kind: &str,
        fault: Option<&Fault>,
        find: impl Fn(&str) -> Option<(u64, Value)>,
    ) -> Answer {
        let mut found = BTreeMap::new();
        let mut missing = BTreeSet::new();
        for (id, _) in inputs {
            match find(id) {
                Some((id, record)) => drop(found.insert(id, record)),
                None => drop(missing.insert(id.clone())),
            }
        }
        let message =
            format!("Could not get some {kind} objects, they may be deleted or not exist. Check that ids are valid.");
        let is_said = !missing.is_empty() && !self.has(Habit::HidesMissing);
        let errors = is_said.then(|| {
            let mut error = json!({"status": "error", "category": "OBJECT_NOT_FOUND", "message": message});
            if !self.has(Habit::NamesNoMissing) {
                error["context"] = json!({"ids": missing});
            }
            error
        });
        let results: Vec<Value> = found.into_values().rev().collect();
        self.partial(wish, &results, errors.as_slice(), fault)
    }

    /// What a batch answers: 207 in the old family if something is missing.
    fn partial(&self, wish: &Wish, results: &[Value], errors: &[Value], fault: Option<&Fault>) -> Answer {
        let status = if fault == Some(&Fault::Pending) { "PENDING" } else { "COMPLETE" };
        let mut body = json!({"status": status, "results": results,
            "startedAt": written(self.account.now), "completedAt": written(self.account.now)});
        if errors.is_empty() {
            return Answer::ok(&body);
        }
        body["numErrors"] = json!(errors.len());
        body["errors"] = json!(errors);
        let multi = !wish.dated || self.has(Habit::SaysMultiStatus);
        Answer::json(if multi { 207 } else { 200 }, &body)
    }

    /// One deal; who asks for one that was merged gets the one it is now.
    fn one_deal(&self, wish: &Wish, path: &str) -> Result<Answer, Answer> {
        let id = path.rsplit('/').next().unwrap_or_default();
        let took_in = |deal: &Arc<Deal>| {
            let merged = deal.properties.get("hs_merged_object_ids").cloned().flatten();
            merged.is_some_and(|ids| ids.split(';').any(|merged| merged == id))
        };
        let own = id.parse().ok().and_then(|id: u64| self.account.deals.get(&id));
        let found = own.or_else(|| self.account.deals.values().find(|deal| took_in(deal)));
        let archived = wish.truth("archived")?;
        let found = found.filter(|deal| deal.archived_at.is_some() == archived);
        let deal = found.ok_or_else(|| error(404, "OBJECT_NOT_FOUND", "resource not found"))?;
        Ok(Answer::ok(&self.deal(deal, &wish.properties(), !wish.list("associations").is_empty())))
    }

    fn associations(&self, wish: &Wish, fault: Option<&Fault>) -> Result<Answer, Answer> {
        let mut results = Vec::new();
        let mut errors = Vec::new();
        for (id, after) in wish.inputs(1000)? {
            let deal = id.parse().ok().and_then(|id: u64| self.account.deals.get(&id));
            match deal.filter(|deal| !deal.companies.is_empty()) {
                None => errors.push(no_company(&id)),
                Some(deal) => {
                    let (links, next) = self.association_page_of(deal, after.as_deref());
                    let mut result = self.page(&[], next);
                    result["from"] = json!({"id": id});
                    result["to"] = links.iter().map(|link| self.association(link)).collect();
                    result.as_object_mut().expect("a page is an object").remove("results");
                    results.push(result);
                }
            }
        }
        Ok(self.partial(wish, &results, &errors, fault))
    }

    fn association(&self, link: &Link) -> Value {
        let id = if self.has(Habit::WritesIdsAsText) { json!(link.company.to_string()) } else { json!(link.company) };
        let mut types = Vec::new();
        if link.primary {
            types.push(json!({"category": "HUBSPOT_DEFINED", "typeId": 5, "label": "Primary"}));
        }
        types.push(json!({"category": "HUBSPOT_DEFINED", "typeId": 341, "label": null}));
        if let Some((type_id, label)) = &link.label {
            types.push(json!({"category": "USER_DEFINED", "typeId": type_id, "label": label}));
        }
        json!({"toObjectId": id, "associationTypes": types})
    }

    fn deal_companies(&self, wish: &Wish, path: &str) -> Result<Answer, Answer> {
        let id = path.rsplit('/').nth(2).unwrap_or_default();
        let deal = id.parse().ok().and_then(|id: u64| self.account.deals.get(&id));
        let deal = deal.ok_or_else(|| error(404, "OBJECT_NOT_FOUND", "resource not found"))?;
        let (links, next) = self.association_page_of(deal, wish.param("after"));
        let results: Vec<Value> = links.iter().map(|link| self.association(link)).collect();
        Ok(Answer::ok(&self.page(&results, next)))
    }

    fn pipelines(&self) -> Answer {
        // The default pipeline is as old as time itself.
        let born = |mut own: Value| {
            own["archived"] = json!(false);
            own["createdAt"] = json!("1970-01-01T00:00:00Z");
            own["updatedAt"] = json!("1970-01-01T00:00:00Z");
            own
        };
        let stage = |(order, stage): (usize, &account::Stage)| {
            born(json!({"id": stage.id, "label": stage.label, "displayOrder": order,
                "metadata": {"isClosed": stage.closed.to_string(), "probability": stage.probability},
                "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT"}))
        };
        let pipeline = |(order, pipeline): (usize, &account::Pipeline)| {
            let stages: Vec<Value> = pipeline.stages.iter().enumerate().map(stage).collect();
            born(json!({"id": pipeline.id, "label": pipeline.label, "displayOrder": order, "stages": stages}))
        };
        let results: Vec<Value> = self.account.pipelines.iter().enumerate().map(pipeline).collect();
        Answer::ok(&json!({"results": results}))
    }

    fn owners(&self, wish: &Wish) -> Result<Answer, Answer> {
        let limit = wish.limit(100, 500)?;
        let archived = wish.truth("archived")?;
        let from = wish.param("after").map_or(Some(0), |after| after.strip_prefix("owner-")?.parse().ok());
        let from: u64 = from.ok_or_else(|| invalid("after is no cursor"))?;
        let mixes = archived && self.has(Habit::MixesOwners);
        let mut found = self
            .account
            .owners
            .range(from..)
            .map(|(_, owner)| owner)
            .filter(|owner| mixes || owner.archived == archived);
        let results: Vec<Value> = found.by_ref().take(limit).map(owner_record).collect();
        let next = found.next().map(|owner| format!("owner-{}", owner.id));
        Ok(Answer::ok(&self.page(&results, next)))
    }

    fn defined_properties(&self) -> Answer {
        let property = |(name, kind): (String, &str)| {
            json!({"name": name, "label": name, "type": kind, "fieldType": "text", "groupName": "dealinformation",
                "archived": false, "hidden": false})
        };
        let results: Vec<Value> = self.account.defined().into_iter().map(property).collect();
        Answer::ok(&json!({"results": results}))
    }

    fn details(&self) -> Answer {
        let Account { portal, currency, additional_currencies, .. } = &self.account;
        Answer::ok(&json!({"portalId": portal, "accountType": "STANDARD", "timeZone": "US/Eastern",
            "companyCurrency": currency, "additionalCurrencies": additional_currencies, "utcOffset": "-05:00",
            "utcOffsetMilliseconds": -18_000_000, "uiDomain": "app-eu1.hubspot.com", "dataHostingLocation": "na1"}))
    }

    fn usage(&self) -> Answer {
        let usage = json!({"name": "private-apps-api-calls-daily", "usageLimit": self.limits.daily.unwrap_or(250_000),
            "currentUsage": self.limits.today, "collectedAt": written(self.account.now), "fetchStatus": "SUCCESS",
            "resetsAt": "2026-11-21T05:00:00Z"});
        Answer::ok(&json!({"results": [usage]}))
    }
}

fn company_record(id: u64, company: &Company, wanted: &[String]) -> Value {
    let merged = company.merged.iter().map(ToString::to_string).collect::<Vec<_>>().join(";");
    let mut properties = json!({"createdate": "2024-05-01T08:00:00.000Z", "hs_object_id": id.to_string(),
        "hs_lastmodifieddate": "2026-11-01T10:00:00.000Z"});
    let values = [
        ("name", company.name.clone()),
        ("domain", company.domain.clone()),
        ("hs_merged_object_ids", (!merged.is_empty()).then_some(merged)),
    ];
    for (name, value) in
        values.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|own| own == name))
    {
        properties[name] = json!(value);
    }
    json!({"id": id.to_string(), "properties": properties, "createdAt": "2024-05-01T08:00:00.000Z",
        "updatedAt": "2026-11-01T10:00:00.000Z", "archived": false})
}

/// An owner; one that is archived has lost its user's number.
fn owner_record(owner: &account::Owner) -> Value {
    let user = owner.id % 10_000_000;
    let mut record = json!({"id": owner.id.to_string(), "email": owner.email, "firstName": owner.first_name,
        "lastName": owner.last_name, "type": if owner.queue { "QUEUE" } else { "PERSON" },
        "userId": user, "userIdIncludingInactive": user, "archived": owner.archived,
        "createdAt": "2023-12-25T13:01:35.228Z", "updatedAt": "2026-08-22T13:40:26.790Z"});
    if owner.archived {
        record["userId"] = Value::Null;
    } else {
        record["teams"] = json!([{"id": "368389", "name": "Sales", "primary": true}]);
    }
    record
}

fn no_company(deal: &str) -> Value {
    json!({"status": "error", "category": "OBJECT_NOT_FOUND", "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": format!("No company is associated with deal {deal}."),
        "context": {"fromObjectId": [deal], "fromObjectType": ["deal"], "toObjectType": ["company"]}})
}

fn in_base_36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        digits.push(char::from_digit(u32::try_from(number % 36).unwrap(), 36).unwrap());
        number /= 36;
    }
    digits.into_iter().rev().collect()
}
