use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::clock::Clock;
use crate::settings::{Problem, Section};
use crate::sources::answer::{part, pipeline_ids};
use crate::sources::common::{Built, Context, read_section};
use crate::sources::hubspot::account::{Account, Checked};
use crate::sources::hubspot::client::Client;
use crate::sources::hubspot::fields::{COMPANIES, Reader, ReferenceData};
use crate::sources::hubspot::mapping::Mapping;
use crate::sources::hubspot::memory::LastCurrency;
use crate::sources::hubspot::pipelines::Pipelines;
use crate::sources::hubspot::settings::Settings;
use crate::sources::hubspot::{account, batch, list, names, search, settings, vanished};
use crate::sources::kept::DailyCache;
use crate::sources::labels::{StageHistory, StageIndex};
use crate::sources::source::{
    Attempt, Cost, Expected, Mapped, MissingDealOutcome, Names, Opened, Page, Session, Source, SourceError, Wanted,
};

/// Builds the source; everything wrong with its section at once.
pub(in crate::sources) fn build(section: Section, context: &Context) -> Result<Built, Vec<Problem>> {
    let read_mapping = |table| Mapping::read(table, context.zone);
    let (mapping, common, settings) = read_section(section, read_mapping, Settings::read)?;
    let secrets = settings.auth.section_secrets();
    let endpoint = settings::endpoint(common.endpoint.as_deref());
    let client = Client::new(&endpoint, &common.http, settings, context).map_err(|problem| vec![problem])?;
    let source = HubSpot {
        client,
        mapping,
        pipelines: common.scope.pipelines.clone(),
        clock: context.clock.clone(),
        account: DailyCache::default(),
        currency: LastCurrency::new(context.memory.clone()),
        unknown: DailyCache::default(),
        all_deals: DailyCache::default(),
        seen: StageHistory::new(context.memory.clone()),
        is_search_unfit: AtomicBool::new(false),
    };
    Ok(common.into_built(Arc::new(source), secrets))
}

struct HubSpot {
    client: Client,
    mapping: Mapping,
    /// The wanted pipelines, by id or label; none: all.
    pipelines: Vec<String>,
    clock: Arc<dyn Clock>,
    account: DailyCache<Account>,
    currency: LastCurrency,
    unknown: DailyCache<Vec<String>>,
    all_deals: DailyCache<u64>,
    seen: StageHistory,
    /// Whether a search once came in another order than it was asked for.
    is_search_unfit: AtomicBool,
}

/// How the deals are read.
enum Strategy {
    /// All deals, by the list.
    List,
    /// The deals of these pipelines, by the search.
    Search(Vec<String>),
}

/// How the deals are read, and how many there are.
struct Plan {
    strategy: Strategy,
    /// Deals that the strategy reads.
    expected: u64,
    /// Deals of the wanted pipelines.
    wanted: u64,
}

#[async_trait]
impl Source for HubSpot {
    async fn open(&self, _attempt: Attempt) -> Result<Box<dyn Session + '_>, SourceError> {
        let before = self.client.requests();
        let identity = self.client.identity()?;
        let account = self.account(identity).await.map_err(part("read the account"))?;
        self.client.set_zone(account.zone);
        let mut denied = Vec::new();
        let pipelines = Pipelines::ask(&self.client).await.map_err(part("read the pipelines"));
        let pipelines = unless_denied(pipelines, &mut denied)?;
        let owners = names::active_owners(&self.client).await.map_err(part("read the owners"));
        let owners = unless_denied(owners, &mut denied)?;
        let plan = match &pipelines {
            Some(pipelines) => {
                let plan = self.plan(identity, pipelines).await.map_err(part("count the deals"));
                unless_denied(plan, &mut denied)?
            }
            None => None,
        };
        let (Some(pipelines), Some(owners), Some(plan)) = (pipelines, owners, plan) else {
            denied.extend(self.denied_companies().await);
            return Err(SourceError::together(denied));
        };
        self.seen.note(account.id.as_deref(), &pipelines.stages, &pipelines.labels);
        let unknown = self.unknown_properties(identity).await.map_err(part("read the properties"))?;
        let spent = self.client.requests() - before;
        let odd = (pipelines.odd > 0).then(|| {
            format!("{} pipelines and stages have no label or cannot be read: their ids stand instead", pipelines.odd)
        });
        let cost = self.cost(&plan, spent);
        let reference = ReferenceData {
            currency: account.currency,
            owners,
            pipelines: pipelines.labels,
            deal_pages: account.pages,
        };
        let opened = Opened {
            cost: Some(cost),
            account: account.id,
            currency: account.currency,
            stages: pipelines.stages,
            expected: Some(Expected { count: plan.expected, exact: false }),
            warnings: account.warning.into_iter().chain(odd).chain(unknown).collect(),
            ..Opened::default()
        };
        Ok(Box::new(HubSpotSession { source: self, opened, reference, strategy: plan.strategy }))
    }

    fn names_at_once(&self, table: &str) -> usize {
        if table == COMPANIES { batch::AT_ONCE } else { usize::MAX }
    }

    async fn missing(&self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, MissingDealOutcome>, SourceError> {
        vanished::resolve_missing(&self.client, ids).await
    }

    fn missing_at_once(&self) -> usize {
        batch::AT_ONCE
    }

    fn mapping(&self) -> Vec<Mapped> {
        self.mapping.origins()
    }

    fn requests(&self) -> u64 {
        self.client.requests()
    }
}

/// One pull.
struct HubSpotSession<'a> {
    source: &'a HubSpot,
    opened: Opened,
    reference: ReferenceData,
    strategy: Strategy,
}

#[async_trait]
impl Session for HubSpotSession<'_> {
    fn opened(&self) -> &Opened {
        &self.opened
    }

    async fn page(&self, after: Option<&str>) -> Result<Page, SourceError> {
        let HubSpot { client, mapping, .. } = self.source;
        let read = match &self.strategy {
            Strategy::List => list::page(client, mapping, after).await,
            Strategy::Search(pipelines) => search::page(client, mapping, pipelines, after).await,
        };
        if let (Strategy::Search(_), Err(SourceError::Paging(_))) = (&self.strategy, &read) {
            // The next pull reads the list instead.
            self.source.is_search_unfit.store(true, Ordering::Relaxed);
        }
        let (records, next) = read?;
        let seen = self.source.seen.labels();
        let stages = StageIndex::new(&self.opened.stages, &seen);
        Ok(records.into_page(&Reader { mapping, reference: &self.reference, stages }, next))
    }

    async fn names(&self, wanted: &Wanted) -> Result<Names, SourceError> {
        let client = &self.source.client;
        let mut names = Names::default();
        for (table, keys) in &wanted.0 {
            let found = match table.as_str() {
                COMPANIES => names::companies(client, keys).await.map_err(part("read the companies"))?,
                _ => names::archived_owners(client, keys).await.map_err(part("read the former owners"))?,
            };
            names.0.insert(table.clone(), found);
        }
        Ok(names)
    }
}

impl HubSpot {
    /// The account, known for a day. Where the credentials may not ask for it, a pull does without, and asks next time.
    async fn account(&self, identity: u64) -> Result<Account, SourceError> {
        let now = self.clock.instant();
        if let Some(account) = self.account.get(identity, now) {
            return Ok(account);
        }
        let account = match Account::ask(&self.client).await {
            Err(error) if Account::is_denied(&error) => {
                return Ok(Account::unknown(&error, self.currency.last(identity)));
            }
            asked => asked?,
        };
        if let Some(currency) = account.currency {
            self.currency.note(identity, currency);
        }
        self.account.put(identity, now, account.clone());
        Ok(account)
    }

    /// Checks company access early so that all missing scopes are reported together.
    async fn denied_companies(&self) -> Option<SourceError> {
        if !self.mapping.wants_companies() {
            return None;
        }
        let any = BTreeSet::from(["1".to_owned()]);
        let asked = names::companies(&self.client, &any).await.map_err(part("read the companies"));
        asked.err().filter(|error| matches!(error.root(), SourceError::Forbidden { .. }))
    }

    /// What is wrong with the properties that the configuration names; nothing is asked where it names none.
    async fn unknown_properties(&self, identity: u64) -> Result<Vec<String>, SourceError> {
        let now = self.clock.instant();
        if self.mapping.named.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(unknown) = self.unknown.get(identity, now) {
            return Ok(unknown);
        }
        match account::unknown_properties(&self.client, &self.mapping.named).await? {
            Checked::Known(unknown) => {
                self.unknown.put(identity, now, unknown.clone());
                Ok(unknown)
            }
            Checked::Denied(why) => Ok(vec![why]),
        }
    }

    /// Counts the deals and chooses the way. The total is counted again only if all deals are read.
    async fn plan(&self, identity: u64, pipelines: &Pipelines) -> Result<Plan, SourceError> {
        if self.pipelines.is_empty() {
            let all = search::count(&self.client, &[]).await?;
            return Ok(Plan { strategy: Strategy::List, expected: all, wanted: all });
        }
        let ids = pipeline_ids(&pipelines.labels, &self.pipelines)?;
        let wanted = search::count(&self.client, &ids).await?;
        let now = self.clock.instant();
        let is_fit = !self.is_search_unfit.load(Ordering::Relaxed);
        let is_cheaper = |all: u64| is_fit && search::is_cheaper(wanted, all, &self.mapping);
        if self.all_deals.get(identity, now).is_some_and(is_cheaper) {
            return Ok(Plan { strategy: Strategy::Search(ids), expected: wanted, wanted });
        }
        let all = search::count(&self.client, &[]).await?;
        self.all_deals.put(identity, now, all);
        if is_cheaper(all) {
            return Ok(Plan { strategy: Strategy::Search(ids), expected: wanted, wanted });
        }
        Ok(Plan { strategy: Strategy::List, expected: all, wanted })
    }

    /// The most requests if every deal has a different company; `spent` have been sent.
    fn cost(&self, plan: &Plan, spent: u64) -> Cost {
        let pages = match plan.strategy {
            Strategy::Search(_) => search::requests(plan.expected, &self.mapping),
            Strategy::List => plan.expected.div_ceil(list::PAGE).max(1),
        };
        let companies = if self.mapping.wants_companies() { plan.wanted.div_ceil(batch::AT_ONCE as u64) } else { 0 };
        Cost { requests: spent + pages + companies, tokens: None, daily_limit: self.client.daily_limit() }
    }
}

/// Collects a refused permission, so that all missing ones are reported together. Other errors are returned.
fn unless_denied<T>(answer: Result<T, SourceError>, denied: &mut Vec<SourceError>) -> Result<Option<T>, SourceError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.root(), SourceError::Forbidden { .. }) => {
            denied.push(error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
