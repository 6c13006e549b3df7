//! Any REST CRM, by configuration alone.
//!
//! The modules, in the order in which a page passes them:
//!
//! 1. `settings` reads the section; `vars` are values for `{name}` in requests;
//! 2. `list`: the `request` of a page, its body a `template`, cut by `paging`, sent by `client` with the credentials of
//!    `auth` and `oauth` within the `limits`; `success` says whether its answer is one;
//! 3. `records`: which values of the answer are records, by `list_path` and `conditions` over the borrowed texts of
//!    `json`;
//! 4. `fields` maps them, by `path`, `casts` and the tables of `lookup`;
//! 5. `status`: whether a deal is open, won, lost or deleted.
//!
//! All mistakes that need no request are reported at once, when the configuration is read.

mod auth;
mod client;
mod conditions;
mod examples;
mod fields;
mod headers;
mod json;
mod limits;
mod list;
mod list_path;
mod lookup;
mod oauth;
mod paging;
mod path;
mod record;
mod records;
mod request;
mod settings;
mod status;
mod success;
mod template;
mod vars;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::http::Http;
use crate::model::deal::{STATUS, WHERE};
use crate::model::finding::Findings;
use crate::settings::{Problem, Section, Span};
use crate::sources::auth::Authenticator;
use crate::sources::common::{Built, COMMON_KEYS, Common, Context, OWN_KEYS, Retry};
use crate::sources::rest::auth::Nothing;
use crate::sources::rest::client::{Client, Connector};
use crate::sources::rest::fields::{Gaps, Mapping, Reading, Refusal};
use crate::sources::rest::json::Node;
use crate::sources::rest::list::List;
use crate::sources::rest::lookup::Lookups;
use crate::sources::rest::path::Path;
use crate::sources::rest::record::Record;
use crate::sources::rest::settings::{KEYS, Settings, keep};
use crate::sources::rest::status::StatusRule;
use crate::sources::source::{
    Attempt, Bounds, Mapped, Names, Opened, Page, RulePathCoverage, Session, Source, SourceError, Wanted,
};

/// The time limit of all attempts of one request, unless the section sets one.
const MOST_TRYING: Span = Span(Duration::from_secs(600));

/// Builds the source, or reports all problems of its section at once.
pub(super) fn build(section: Section, context: &Context) -> Result<Built, Vec<Problem>> {
    built(section, context).map_err(|problems| problems.into_iter().map(examples::shown).collect())
}

fn built(mut section: Section, context: &Context) -> Result<Built, Vec<Problem>> {
    let mut problems = Vec::new();
    let is_retry_common = section.0.contains_key("retry");
    let common = keep(Common::split_off(&mut section), &mut problems);
    let settings = Settings::read(&mut section, context, &mut problems);
    let also: Vec<&str> = OWN_KEYS.iter().chain(&COMMON_KEYS).chain(&KEYS).copied().collect();
    keep(section.read::<Nothing>(&also), &mut problems);
    let connected = common.as_ref().and_then(|common| keep(connect(common, context), &mut problems));
    let (Some(common), Some(settings), Some(connected)) = (common, settings, connected) else { return Err(problems) };
    if !common.scope.pipelines.is_empty() && !settings.mapping.has_pipeline() {
        let problem = Problem::at("pipelines", "no deal would be left: the fields say nothing of pipelines");
        problems.push(problem.hint("map `fields.pipeline` or `fields.pipeline_id`"));
    }
    if is_retry_common && settings.limits.retry().is_some() {
        problems.push(Problem::at("rate.retry", "cannot be combined with `retry`").hint("use one of the two"));
    }
    let retry = settings.limits.retry().unwrap_or(common.retry);
    let retry = Retry { total: retry.total.or(Some(MOST_TRYING)), ..retry };
    let (secrets, warnings) = (settings.secrets(), settings.warnings());
    let rest = Rest::new(settings, connected, context).map_err(|found| problems.extend(found)).ok();
    let Some(rest) = rest.filter(|_| problems.is_empty()) else { return Err(problems) };
    let built = common.into_built(Arc::new(rest), secrets);
    Ok(Built { retry, warnings, ..built })
}

/// A client of the configured address, and the connector for other addresses.
fn connect(common: &Common, context: &Context) -> Result<(Connector, Http), Vec<Problem>> {
    let Some(endpoint) = &common.endpoint else {
        return Err(vec![Problem::at("endpoint", "is missing").hint("for instance https://api.mycrm.example/v2")]);
    };
    let connector = Connector { clients: Arc::clone(&context.clients), settings: common.http.clone() };
    let http = connector.connect(endpoint).map_err(|problem| vec![problem])?;
    Ok((connector, http))
}

struct Rest {
    client: Arc<Client>,
    deals: List,
    mapping: Mapping,
    lookups: Lookups,
    status: Option<StatusRule>,
}

impl Rest {
    fn new(settings: Settings, (connector, http): (Connector, Http), context: &Context) -> Result<Self, Vec<Problem>> {
        let mut problems = settings.wrong_addresses(&http);
        let Settings { auth, headers, follow_redirects, deals, mapping, lookups, status, success, limits, .. } =
            settings;
        let credentials = match Authenticator::new(auth, &connector.settings, context) {
            Ok(credentials) if problems.is_empty() => credentials,
            credentials => {
                let path = vec!["auth".to_owned(), "token_url".to_owned()];
                problems.extend(credentials.err().map(|problem| Problem { path, ..problem }));
                return Err(problems);
            }
        };
        limits.pace(http.pacer());
        let client = Client {
            connector,
            http: Arc::new(http),
            told: Mutex::default(),
            credentials,
            headers,
            limits,
            success,
            follow_redirects,
            keyring: Arc::clone(&context.keyring),
            clock: Arc::clone(&context.clock),
        };
        Ok(Self { client: Arc::new(client), deals, mapping, lookups, status })
    }
}

#[async_trait]
impl Source for Rest {
    async fn open(&self, attempt: Attempt) -> Result<Box<dyn Session + '_>, SourceError> {
        if attempt == Attempt::First {
            self.client.limits.begin();
        }
        let (names, warnings) = self.tables().await?;
        let opened = Opened { warnings, ..Opened::default() };
        Ok(Box::new(RestSession { rest: self, opened, names }))
    }

    fn bounds(&self) -> Bounds {
        self.deals.paging().bounds()
    }

    fn names_at_once(&self, table: &str) -> usize {
        self.lookups.get(table).and_then(lookup::Lookup::at_once).unwrap_or(usize::MAX)
    }

    fn mapping(&self) -> Vec<Mapped> {
        self.mapping.origins()
    }

    fn requests(&self) -> u64 {
        self.client.requests()
    }
}

/// One pull, with the look-up tables that were read before the first page.
struct RestSession<'a> {
    rest: &'a Rest,
    opened: Opened,
    names: Names,
}

#[async_trait]
impl Session for RestSession<'_> {
    fn opened(&self) -> &Opened {
        &self.opened
    }

    async fn page(&self, after: Option<&str>) -> Result<Page, SourceError> {
        let answer = self.rest.deals.ask(&self.rest.client, after).await?;
        let document = answer.document()?;
        let batch = self.rest.deals.split(&self.rest.client, &answer, &document, after)?;
        let mut reader =
            Reader { rest: self.rest, names: &self.names, tables: self.rest.beside(&document)?, gaps: Gaps::new() };
        let total_tolerance = self.rest.deals.paging().total_tolerance();
        let mut page =
            Page { total: batch.total, total_tolerance, next: batch.next, end: batch.end, ..Page::default() };
        let mut refusals = Refusals::default();
        page.tally.rule_paths = self.rest.deciding(&batch.records);
        for (index, record) in batch.records.iter().enumerate() {
            let id = reader.take(record, &mut page).unwrap_or_else(|why| {
                refusals.add(why, index);
                None
            });
            page.ids.push(id.or_else(|| self.rest.mapping.id(record)).unwrap_or_else(|| record.fingerprint()));
        }
        refusals.end(batch.records.len())?;
        page.tally.missing_paths = self.rest.mapping.told(&reader.gaps);
        Ok(page)
    }

    async fn names(&self, wanted: &Wanted) -> Result<Names, SourceError> {
        let mut names = Names::default();
        for (table, keys) in &wanted.0 {
            if let Some(lookup) = self.rest.lookups.get(table) {
                names.extend(part(table, lookup.names_of(&self.rest.client, keys.iter()).await)?);
            }
        }
        Ok(names)
    }
}

/// Names the look-up in which a step failed.
fn part<T>(name: &str, read: Result<T, SourceError>) -> Result<T, SourceError> {
    read.map_err(|source| SourceError::Part { part: format!("read look-up `{name}`"), source: Box::new(source) })
}

impl Rest {
    /// The tables that are read before the first page, with warnings about them.
    async fn tables(&self) -> Result<(Names, Vec<String>), SourceError> {
        let used = self.mapping.tables();
        let mut names = Names::default();
        let mut warnings = BTreeSet::new();
        for (name, lookup) in &self.lookups {
            if used.contains(name.as_str()) {
                let (table, odd) = part(name, lookup.fetch(&self.client).await)?;
                names.extend(table);
                warnings.extend(odd.into_iter().map(|odd| format!("Look-up `{name}` {odd}")));
            }
        }
        Ok((names, warnings.into_iter().collect()))
    }

    /// Whether each path used by `where` and `status` appears in any of these records.
    fn deciding(&self, records: &[Record<'_>]) -> RulePathCoverage {
        let tests = self.deals.records.needs().map(|path| (WHERE, path));
        let status = self.status.as_ref().and_then(StatusRule::path).map(|path| (STATUS, path));
        let found =
            |(key, path): (&'static str, &Path)| (key, path.to_string(), records.iter().any(|record| record.has(path)));
        RulePathCoverage(tests.chain(status).map(found).collect())
    }

    /// The look-up tables inside a page.
    fn beside(&self, document: &Node<'_>) -> Result<Names, SourceError> {
        let used = self.mapping.tables();
        let mut names = Names::default();
        for (name, lookup) in self.lookups.iter().filter(|(name, _)| used.contains(name.as_str())) {
            part(name, lookup.of_page(document, &mut names))?;
        }
        Ok(names)
    }
}

/// Why a page fails: the first reason, its record, and how many records share it.
#[derive(Default)]
struct Refusals(Option<(String, usize, usize)>);

impl Refusals {
    fn add(&mut self, why: String, index: usize) {
        match &mut self.0 {
            None => self.0 = Some((why, index, 1)),
            Some((first, _, count)) if *first == why => *count += 1,
            Some(_) => {}
        }
    }

    fn end(self, records: usize) -> Result<(), SourceError> {
        self.0.map_or(Ok(()), |(why, index, count)| {
            let place =
                if records == 1 { "in the only record".to_owned() } else { format!("in {count} of {records} records") };
            let first = if records == 1 { String::new() } else { format!(", first in record {}", index + 1) };
            Err(SourceError::Mapping(format!("{why}, {place} of the page{first}")))
        })
    }
}

/// Reads the records of one page.
struct Reader<'r> {
    rest: &'r Rest,
    names: &'r Names,
    tables: Names,
    gaps: Gaps,
}

impl Reader<'_> {
    /// Adds a record to the deals, or counts it as filtered or skipped. Returns the id of a deal.
    fn take(&mut self, record: &Record<'_>, page: &mut Page) -> Result<Option<String>, String> {
        if !self.rest.deals.records.wants(record) {
            page.tally.filtered += 1;
            return Ok(None);
        }
        let mut findings = Findings::default();
        let mut reading = Reading {
            record,
            names: self.names,
            page: &self.tables,
            id: String::new(),
            findings: &mut findings,
            gaps: &mut self.gaps,
        };
        let mut deal = match self.rest.mapping.deal(&mut reading) {
            Ok(deal) => deal,
            Err(Refusal::Skip) => {
                page.tally.skipped.add(page.fetched() + 1);
                return Ok(None);
            }
            Err(Refusal::Fail(why)) => return Err(why),
        };
        let id = deal.id.clone();
        if self.rest.status.as_ref().is_none_or(|status| status.apply(record, &mut deal)) {
            page.tally.findings.merge(findings);
            page.deals.push(deal);
        } else {
            page.tally.filtered += 1;
        }
        Ok(Some(id))
    }
}
