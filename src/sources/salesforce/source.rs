use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::settings::{Problem, Section};
use crate::sources::answer::{part, pipeline_ids};
use crate::sources::common::{Built, Context, read_section};
use crate::sources::kept::DailyCache;
use crate::sources::salesforce::bulk::Export;
use crate::sources::salesforce::client::Client;
use crate::sources::salesforce::columns::{Columns, is_name_of_parent};
use crate::sources::salesforce::composite::Query;
use crate::sources::salesforce::describe::Described;
use crate::sources::salesforce::errors::{Refusal, TIMEOUT};
use crate::sources::salesforce::filter::Filter;
use crate::sources::salesforce::id::long;
use crate::sources::salesforce::mapping::Mapping;
use crate::sources::salesforce::opening::{Opening, Wanted};
use crate::sources::salesforce::query::Order;
use crate::sources::salesforce::session::{SalesforceSession, Strategy};
use crate::sources::salesforce::settings::Settings;
use crate::sources::salesforce::{bulk, list, missing, opening, query};
use crate::sources::source::{
    Attempt, Cost, Expected, Mapped, MissingDealOutcome, Opened, Session, Source, SourceError,
};

/// After this many slow queries, order an export, which has no time limit.
const TOO_SLOW: u32 = 2;

/// Builds the source; everything wrong with its section at once.
pub(in crate::sources) fn build(section: Section, context: &Context) -> Result<Built, Vec<Problem>> {
    let endpoint = section.text("endpoint").map(ToOwned::to_owned);
    let read_mapping = |table| Mapping::read(table, context.zone);
    let (mapping, mut common, settings) =
        read_section(section, read_mapping, |section, known| Settings::read(section, endpoint.as_deref(), known))?;
    let client = Client::new(&common.http, &settings, context).map_err(|problem| vec![problem])?;
    // Deals have ids of 18 characters, whatever the configuration writes.
    common.scope.pipelines.iter_mut().filter(|name| name.starts_with("012")).for_each(|name| *name = long(name));
    let secrets = settings.auth.section_secrets();
    let source = Salesforce {
        client,
        mapping,
        filters: settings.filters,
        pipelines: common.scope.pipelines.clone(),
        closed_within: common.scope.closed_within,
        bulk_above: settings.bulk_above,
        first_wait: common.retry.base.0,
        clock: context.clock.clone(),
        known: DailyCache::default(),
        timeouts: AtomicU32::new(0),
        has_no_exports: AtomicBool::new(false),
    };
    Ok(common.into_built(Arc::new(source), secrets))
}

pub(super) struct Salesforce {
    pub(super) client: Client,
    pub(super) mapping: Mapping,
    filters: Vec<Filter>,
    /// The wanted record types, by id or name; none: all deals.
    pipelines: Vec<String>,
    closed_within: Option<Duration>,
    bulk_above: u64,
    /// Before the second look at an export; each further wait is twice as long.
    pub(super) first_wait: Duration,
    clock: Arc<dyn Clock>,
    known: DailyCache<Arc<Known>>,
    /// Queries in a row that took too long.
    pub(super) timeouts: AtomicU32,
    /// Whether the account once said that it has none.
    pub(super) has_no_exports: AtomicBool,
}

/// What is known of the account's fields, for a day.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) columns: Columns,
    /// The configured filters.
    conditions: Vec<String>,
    /// The names of the record types by id.
    pub(super) record_types: BTreeMap<String, String>,
    warnings: Vec<String>,
}

/// What the first request answers.
struct First {
    known: Arc<Known>,
    opening: Opening,
    /// The first page, as it came; nothing where it was not asked for.
    page: Option<String>,
}

#[async_trait]
impl Source for Salesforce {
    async fn open(&self, _attempt: Attempt) -> Result<Box<dyn Session + '_>, SourceError> {
        let before = self.client.requests();
        let First { known, opening, page: first } = self.first_answer().await?;
        let total = first.as_deref().map(list::total).transpose()?.flatten();
        let has_exports = !self.has_no_exports.load(Ordering::Relaxed);
        let is_large = has_exports && total.is_some_and(|total| total > self.bulk_above);
        let strategy = if first.is_none() || is_large { Strategy::Export } else { Strategy::List };
        let spent = self.client.requests() - before;
        let stages = opening.stages_of(&known.record_types);
        let opened = Opened {
            account: opening.account,
            currency: opening.currency,
            stages,
            // An export counts by itself, and later.
            expected: total.map(|count| Expected { count, exact: strategy == Strategy::List }),
            cost: total.map(|total| self.cost(strategy, total, spent)),
            warnings: known.warnings.iter().cloned().chain(opening.warnings).collect(),
            rates: opening.rates,
            ..Opened::default()
        };
        let export = Export::new(self.soql(&known, Order::Any)?, known.columns.tell_deleted());
        Ok(Box::new(SalesforceSession::new(self, opened, strategy, known, first, export)))
    }

    async fn missing(&self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, MissingDealOutcome>, SourceError> {
        missing::resolve_missing(&self.client, ids).await
    }

    fn missing_at_once(&self) -> usize {
        missing::AT_ONCE
    }

    fn mapping(&self) -> Vec<Mapped> {
        self.mapping.origins()
    }

    fn requests(&self) -> u64 {
        self.client.requests()
    }
}

impl Salesforce {
    /// What the user may read, as known since today or as described now, with whether it is new.
    async fn known(&self, identity: u64) -> Result<(Arc<Known>, bool), SourceError> {
        match self.known.get(identity, self.clock.instant()) {
            Some(known) => Ok((known, false)),
            None => Ok((self.described(identity).await?, true)),
        }
    }

    async fn described(&self, identity: u64) -> Result<Arc<Known>, SourceError> {
        let through_parents =
            self.mapping.paths().into_iter().filter(|path| path.contains('.') && !is_name_of_parent(path));
        let filtered = self.filters.iter().map(|filter| filter.field.as_str());
        let described = Described::ask(&self.client, through_parents.chain(filtered)).await?;
        let (columns, warnings) = Columns::choose(&self.mapping, &described)?;
        let conditions = self.filters.iter().map(|filter| filter.condition(&described)).collect::<Result<_, _>>()?;
        let known = Arc::new(Known { columns, conditions, record_types: described.record_types(), warnings });
        self.keep(identity, &known);
        Ok(known)
    }

    fn keep(&self, identity: u64, known: &Arc<Known>) {
        self.known.put(identity, self.clock.instant(), Arc::clone(known));
    }

    /// Asks for everything at once. A field that is refused by name after all, a parent's or one hidden since, is done
    /// without.
    async fn first_answer(&self) -> Result<First, SourceError> {
        let identity = self.client.identity()?;
        let (mut known, mut is_new) = self.known(identity).await?;
        loop {
            let deals = if self.is_too_slow() { None } else { Some(self.query(&known, Order::ById)?) };
            let wanted = Wanted { deals, with_currencies: known.columns.has_currencies() };
            let answer = Opening::ask(&self.client, wanted, self.clock.now()).await;
            let (opening, deals) = answer.map_err(part("read the account and the first deals"))?;
            let refusal = match deals {
                None => return Ok(First { known, opening, page: None }),
                Some(Ok(page)) => {
                    self.timeouts.store(0, Ordering::Relaxed);
                    return Ok(First { known, opening, page: Some(page) });
                }
                Some(Err(refusal)) => refusal,
            };
            if !is_new && refusal.name.is_some() {
                (known, is_new) = (self.described(identity).await?, true);
                continue;
            }
            known = Arc::new(self.without(&known, refusal).map_err(part("read the first deals"))?);
            self.keep(identity, &known);
        }
    }

    /// The same less what a refusal names; if it names nothing that can be done without, that is its error.
    fn without(&self, known: &Known, refusal: Refusal) -> Result<Known, SourceError> {
        if refusal.code == Some(TIMEOUT) {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        let mut less = known.clone();
        let lost = match &refusal.name {
            Some(name) => less.columns.refuse(name, &self.mapping)?,
            None => Vec::new(),
        };
        if lost.is_empty() {
            return Err(refusal.error);
        }
        less.warnings.extend(lost);
        Ok(less)
    }

    pub(super) fn query(&self, known: &Known, order: Order<'_>) -> Result<Query, SourceError> {
        Ok(opening::of_deals(self.soql(known, order)?, known.columns.tell_deleted()))
    }

    fn is_too_slow(&self) -> bool {
        self.timeouts.load(Ordering::Relaxed) >= TOO_SLOW && !self.has_no_exports.load(Ordering::Relaxed)
    }

    fn soql(&self, known: &Known, order: Order<'_>) -> Result<String, SourceError> {
        let ids = pipeline_ids(&known.record_types.clone().into_iter().collect(), &self.pipelines)?;
        let recent = query::recent(&known.columns, &self.mapping, self.closed_within, self.clock.now());
        let mut conditions = known.conditions.clone();
        conditions.extend(recent.into_iter().chain(query::of_record_types(&ids)));
        let soql = query::soql(&known.columns, &conditions, order);
        if soql.len() > query::MAX_QUERY {
            return Err(SourceError::Mapping("`fields` and `where` are longer than one query holds".to_owned()));
        }
        Ok(soql)
    }

    /// The number of requests; `spent` have been sent.
    fn cost(&self, strategy: Strategy, total: u64, spent: u64) -> Cost {
        let more = match strategy {
            // To order it, to look at it once, and to delete it.
            Strategy::Export => 3 + bulk::requests(total),
            Strategy::List => total.div_ceil(list::PAGE).saturating_sub(1),
        };
        Cost { requests: spent + more, tokens: None, daily_limit: self.client.daily_limit() }
    }
}
