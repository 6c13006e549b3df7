//! Any REST CRM, by configuration alone.
//!
//! The rooms, in the order a page passes them:
//!
//! 1. `list`: the request of a page, paged by `paging`, sent by `client` with the credentials of `auth`;
//! 2. `records`: which values of the answer are records (by `path`, over the borrowed texts of `json`);
//! 3. `fields`: what becomes of them, by `casts` and the tables of `lookup`;
//! 4. `status`: whether a deal is open, won, lost or gone.
//!
//! Whatever can be found wrong without a request is found when the configuration is read, all at once.

mod auth;
mod casts;
mod client;
mod fields;
mod json;
mod list;
mod lookup;
mod paging;
mod path;
mod records;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use figment::value::Value;
use serde::Deserialize;

use crate::http::{Http, Pace};
use crate::model::finding::Findings;
use crate::secret::Secret;
use crate::settings::{Problem, Section, Span};
use crate::sources::rest::auth::{Auth, Nothing};
use crate::sources::rest::client::{Client, Headers, check_headers};
use crate::sources::rest::fields::{Mapping, Refusal};
use crate::sources::rest::json::{MAX_PARTS, Node};
use crate::sources::rest::list::{List, Request};
use crate::sources::rest::lookup::{Lookup, fingerprint};
use crate::sources::rest::paging::Paging;
use crate::sources::rest::records::Keys as RecordsKeys;
use crate::sources::rest::status::StatusRule;
use crate::sources::source::{Mapped, Names, Opened, Page, Source, SourceError};
use crate::sources::{Built, COMMON_KEYS, Common, Context, OWN_KEYS};

/// The tables of a `rest` section; `headers` beside them.
const TABLES: [&str; 9] = ["auth", "request", "paging", "records", "fields", "lookup", "status", "rate", "headers"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderKeys {
    #[serde(default)]
    headers: Headers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateKeys {
    requests: u32,
    per: Span,
}

/// Everything a section says, checked.
struct Settings {
    auth: Auth,
    headers: Headers,
    /// Whether the section says anything of paging.
    is_paging_said: bool,
    deals: List,
    mapping: Mapping,
    lookups: BTreeMap<String, Lookup>,
    status: Option<StatusRule>,
    pace: Option<Pace>,
}

/// Builds the source; everything wrong with its section at once.
pub(super) fn build(mut section: Section, context: &Context) -> Result<Built, Vec<Problem>> {
    let mut problems = Vec::new();
    let common = keep(Common::split_off(&mut section), &mut problems);
    let settings = read(&mut section, context, &mut problems);
    let also: Vec<&str> = OWN_KEYS.iter().chain(&COMMON_KEYS).chain(&TABLES).copied().collect();
    keep(section.read::<Nothing>(&also), &mut problems);
    let pace = settings.as_ref().and_then(|settings| settings.pace);
    let http = common.as_ref().and_then(|common| keep(connect(common, pace, context), &mut problems));
    let (Some(common), Some(http), Some(settings)) = (common, http, settings) else { return Err(problems) };
    problems.extend(wrong_addresses(&settings, &http));
    if !common.scope.pipelines.is_empty() && !settings.mapping.has_pipeline() {
        let problem = Problem::at("pipelines", "no deal would be left: the fields say nothing of pipelines");
        problems.push(problem.hint("map `fields.pipeline` or `fields.pipeline_id`"));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let (secrets, warnings) = (secrets(&settings), warnings(&settings));
    let Settings { auth, headers, deals, mapping, lookups, status, .. } = settings;
    let client = Client { http, auth, headers, keyring: context.keyring.clone(), clock: context.clock.clone() };
    Ok(Built {
        source: Arc::new(Rest { client, deals, mapping, lookups, status }),
        scope: common.scope,
        retry: common.retry,
        allow: common.allow.clone(),
        scope_hash: String::new(),
        demo: false,
        secrets,
        warnings,
    })
}

fn connect(common: &Common, pace: Option<Pace>, context: &Context) -> Result<Http, Vec<Problem>> {
    let Some(endpoint) = &common.endpoint else {
        return Err(vec![Problem::at("endpoint", "is missing").hint("for instance https://api.mycrm.example/v2")]);
    };
    Http::new(&context.clients, endpoint, &common.http, pace).map_err(|problem| vec![problem])
}

/// Takes a part that is right, or notes what is wrong with it.
fn keep<T>(part: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    part.map_err(|found| problems.extend(found)).ok()
}

/// Reads one table of the section, its problems under the table's name.
fn part<T>(
    section: &mut Section,
    key: &str,
    problems: &mut Vec<Problem>,
    read: impl FnOnce(Section) -> Result<T, Vec<Problem>>,
) -> Option<T> {
    let table = keep(section.table(key), problems)?;
    let read = read(table).map_err(|found| found.into_iter().map(|problem| problem.under(&[key])).collect());
    keep(read, problems)
}

fn read(section: &mut Section, context: &Context, problems: &mut Vec<Problem>) -> Option<Settings> {
    let auth = part(section, "auth", problems, Auth::read);
    let headers = keep(read_headers(section), problems);
    let request = part(section, "request", problems, |table| table.read::<Request>(&[]));
    let is_paging_said = section.0.contains_key("paging");
    let paging = part(section, "paging", problems, Paging::read);
    let records = part(section, "records", problems, |table| table.read::<RecordsKeys>(&[])?.check());
    let deals = request.zip(paging).zip(records).and_then(|((request, paging), records)| {
        let list = List::new(request, paging, records);
        let under = |found: Vec<Problem>| found.into_iter().map(|problem| problem.under(&["request"])).collect();
        keep(list.map_err(under), problems)
    });
    let names: Vec<String> = match section.0.get("lookup") {
        Some(Value::Dict(_, tables)) => tables.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let lookups = part(section, "lookup", problems, read_lookups);
    // A table with mistakes of its own is there nonetheless.
    let missing = |name: &String| lookups.as_ref().and_then(|lookups| lookups.get(name)).map(|lookup| lookup.missing);
    let tables = names.into_iter().map(|name| (name.clone(), missing(&name).unwrap_or_default())).collect();
    let mapping = part(section, "fields", problems, |table| Mapping::read(table, &tables, context.zone));
    let status = read_status(section, mapping.as_ref(), problems);
    let pace = part(section, "rate", problems, |table| read_rate(&table));
    Some(Settings {
        auth: auth?,
        headers: headers?,
        is_paging_said,
        deals: deals?,
        mapping: mapping?,
        lookups: lookups?,
        status,
        pace: pace?,
    })
}

fn read_headers(section: &mut Section) -> Result<Headers, Vec<Problem>> {
    let HeaderKeys { headers } = section.split_off(&["headers"]).read(&[])?;
    let problems = check_headers(&headers);
    if problems.is_empty() { Ok(headers) } else { Err(problems) }
}

fn read_lookups(section: Section) -> Result<BTreeMap<String, Lookup>, Vec<Problem>> {
    let mut lookups = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, value) in section.0 {
        let read = match value {
            Value::Dict(_, table) => Lookup::read(Section(table)),
            _ => Err(vec![Problem::at("", "expected a table")]),
        };
        let under = |found: Vec<Problem>| found.into_iter().map(|problem| problem.under(&[&name])).collect();
        if let Some(lookup) = keep(read.map_err(under), &mut problems) {
            lookups.insert(name, lookup);
        }
    }
    if problems.is_empty() { Ok(lookups) } else { Err(problems) }
}

fn read_status(section: &mut Section, mapping: Option<&Mapping>, problems: &mut Vec<Problem>) -> Option<StatusRule> {
    if !section.0.contains_key("status") {
        return None;
    }
    let rule = part(section, "status", problems, |table| StatusRule::read(&table))?;
    if rule.is_by_stage() && mapping.is_some_and(|mapping| !mapping.has_stage()) {
        let problem = Problem::at("status", "goes by the stage, and the fields say nothing of it");
        problems.push(problem.hint("map `fields.stage`, or set `status.path`"));
    }
    Some(rule)
}

fn read_rate(section: &Section) -> Result<Option<Pace>, Vec<Problem>> {
    if section.0.is_empty() {
        return Ok(None);
    }
    let RateKeys { requests, per } = section.read(&[])?;
    match (requests, per.0.is_zero()) {
        (0, _) => Err(vec![Problem::at("requests", "must be at least 1")]),
        (_, true) => Err(vec![Problem::at("per", "must be longer than nothing")]),
        _ => Ok(Some(Pace { requests, per: per.0 })),
    }
}

fn wrong_addresses(settings: &Settings, http: &Http) -> Vec<Problem> {
    let deals = settings.deals.check_address(http).map(|problem| problem.under(&["request"]));
    let tables = settings
        .lookups
        .iter()
        .filter_map(|(name, lookup)| Some(lookup.list()?.check_address(http)?.under(&["lookup", name])));
    deals.into_iter().chain(tables).collect()
}

/// The secrets and their keys. A header's literal is mostly no secret, so it is none to warn of.
fn secrets(settings: &Settings) -> Vec<(String, Secret)> {
    let mut secrets = settings.auth.secrets();
    let mut add = |place: &str, headers: &Headers| {
        let kept = headers.iter().filter(|(_, value)| !matches!(value, Secret::Literal(_)));
        secrets.extend(kept.map(|(name, value)| (format!("{place}headers.{name}"), value.clone())));
    };
    add("", &settings.headers);
    add("request.", settings.deals.headers());
    for (name, lookup) in &settings.lookups {
        if let Some(list) = lookup.list() {
            add(&format!("lookup.{name}."), list.headers());
        }
    }
    secrets
}

fn warnings(settings: &Settings) -> Vec<Problem> {
    let mut warnings = Vec::new();
    if settings.status.is_none() {
        let warning = Problem::at("status", "is not set: its deals count in none of open, won and lost");
        warnings.push(warning.hint("say which stages or values are won and lost; `status = {}` if all deals are open"));
    }
    if !settings.is_paging_said {
        let warning = Problem::at("paging", "is not set: only one answer is read");
        warnings.push(warning.hint("`paging = { type = \"none\" }` if this CRM sends all deals at once"));
    }
    if settings.mapping.lacks_currency() {
        let warning = Problem::at("fields.currency", "is not mapped: deals are counted and not priced");
        warnings.push(warning.hint("a path, or `{ value = \"EUR\" }` if all deals are in one currency"));
    }
    for name in settings.lookups.keys().filter(|name| !settings.mapping.lookups().contains(*name)) {
        warnings.push(Problem::at("", "no field looks into it, so it is not read").under(&["lookup", name]));
    }
    warnings
}

struct Rest {
    client: Client,
    deals: List,
    mapping: Mapping,
    lookups: BTreeMap<String, Lookup>,
    status: Option<StatusRule>,
}

#[async_trait]
impl Source for Rest {
    async fn open(&self) -> Result<Opened, SourceError> {
        let mut names = Names::default();
        for (name, lookup) in &self.lookups {
            if !self.mapping.lookups().contains(name) {
                continue;
            }
            let table = lookup.fetch(&self.client).await.map_err(|source| SourceError::Part {
                part: format!("read look-up `{name}`"),
                source: Box::new(source),
            })?;
            names.0.insert(name.clone(), table);
        }
        Ok(Opened { names, ..Opened::default() })
    }

    async fn page(&self, opened: &Opened, after: Option<&str>) -> Result<Page, SourceError> {
        let answer = self.deals.ask(&self.client, after).await?;
        let document = answer.document()?;
        let batch = self.deals.split(&self.client, &answer, &document, after)?;
        let mut page = Page { total: batch.total, next: batch.next, ..Page::default() };
        for (index, record) in batch.records.into_iter().enumerate() {
            let node = Node::of(record);
            if node.is_too_large() {
                return Err(SourceError::TooManyParts(MAX_PARTS));
            }
            let id = self
                .take(&node, opened, &mut page)
                .map_err(|why| SourceError::Mapping(format!("record {} of the page: {why}", index + 1)))?;
            page.ids.push(id.or_else(|| self.mapping.id(&node)).unwrap_or_else(|| fingerprint(record)));
        }
        Ok(page)
    }

    fn mapping(&self) -> Vec<Mapped> {
        self.mapping.origins()
    }

    fn requests(&self) -> u64 {
        self.client.http.requests()
    }
}

impl Rest {
    /// Puts a record where it belongs: among the deals, the filtered or the skipped. The id of a deal.
    fn take(&self, record: &Node<'_>, opened: &Opened, page: &mut Page) -> Result<Option<String>, String> {
        if !self.deals.records.wants(record) {
            page.filtered += 1;
            return Ok(None);
        }
        let mut findings = Findings::default();
        let mut deal = match self.mapping.deal(record, &opened.names, &mut findings) {
            Ok(deal) => deal,
            Err(Refusal::Skip) => {
                page.skipped += 1;
                return Ok(None);
            }
            Err(Refusal::Fail(why)) => return Err(why),
        };
        let id = deal.id.clone();
        if self.status.as_ref().is_none_or(|status| status.apply(record, &mut deal)) {
            page.findings.merge(findings);
            page.deals.push(deal);
        } else {
            page.filtered += 1;
        }
        Ok(Some(id))
    }
}
