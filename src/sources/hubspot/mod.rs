//! HubSpot.
//!
//! The rooms, in the order a pull passes them:
//!
//! 1. `settings`: what the section says; `client` asks with its credentials and pace, `errors` classes what is refused;
//! 2. `account`, `pipelines`, `names`: what is known before the first page, `memory` keeps what is good for longer;
//! 3. `list` or `search`: the pages, whichever is clearly cheaper; `wire` and `records` read them;
//! 4. `mapping`, `fields`: what becomes of a record, `associations` whose deal it is;
//! 5. `names` again: companies and former owners, once all deals are in; `vanished`: what became of those that are not.
//!    Both read records by id, in a `batch`.

mod account;
mod associations;
mod batch;
mod client;
mod errors;
mod fields;
mod list;
mod mapping;
mod memory;
mod names;
mod pipelines;
mod records;
mod search;
mod settings;
mod vanished;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::clock::Clock;
use crate::settings::{Problem, Section};
use crate::sources::answer::{part, pipeline_ids};
use crate::sources::hubspot::account::{Account, Checked};
use crate::sources::hubspot::client::Client;
use crate::sources::hubspot::fields::{COMPANIES, DEALS, OWNERS, PAGES, PIPELINES, Reader};
use crate::sources::hubspot::mapping::Mapping;
use crate::sources::hubspot::memory::LastCurrency;
use crate::sources::hubspot::pipelines::Pipelines;
use crate::sources::hubspot::records::Records;
use crate::sources::hubspot::settings::Settings;
use crate::sources::kept::ForADay;
use crate::sources::labels::{Known, Seen};
use crate::sources::source::{Cost, Expected, Fate, Mapped, Names, Opened, Page, Source, SourceError, Wanted};
use crate::sources::{Built, COMMON_KEYS, Common, Context, OWN_KEYS};

/// All deals by the list.
const LIST: &str = "list";
/// Those of the wanted pipelines by the search.
const SEARCH: &str = "search";

/// Builds the source; everything wrong with its section at once.
pub(super) fn build(mut section: Section, context: &Context) -> Result<Built, Vec<Problem>> {
    let mut problems = Vec::new();
    let under = |found: Vec<Problem>| found.into_iter().map(|problem| problem.under(&["fields"])).collect();
    let mapping = section.table("fields").and_then(|table| Mapping::read(table, context.zone).map_err(under));
    let common = Common::split_off(&mut section);
    let also: Vec<&str> = OWN_KEYS.iter().chain(&COMMON_KEYS).chain(&["fields"]).copied().collect();
    let settings = Settings::read(&section, &also);
    let mut keep = |found: Vec<Problem>| problems.extend(found);
    let mapping = mapping.map_err(&mut keep).ok();
    let common = common.map_err(&mut keep).ok();
    let settings = settings.map_err(&mut keep).ok();
    let (Some(mapping), Some(common), Some(settings)) = (mapping, common, settings) else { return Err(problems) };
    let secrets = settings.credentials.secrets();
    let endpoint = settings::endpoint(common.endpoint.as_deref());
    let client = Client::new(&endpoint, &common.http, settings, context).map_err(|problem| vec![problem])?;
    let source = HubSpot {
        client,
        mapping,
        pipelines: common.scope.pipelines.clone(),
        clock: context.clock.clone(),
        account: ForADay::default(),
        currency: LastCurrency::new(context.memory.clone()),
        unknown: ForADay::default(),
        all_deals: ForADay::default(),
        seen: Seen::new(context.memory.clone()),
        is_search_unfit: AtomicBool::new(false),
    };
    Ok(Built {
        source: Arc::new(source),
        scope: common.scope,
        retry: common.retry,
        allow: common.allow,
        scope_hash: String::new(),
        demo: false,
        secrets,
        warnings: Vec::new(),
    })
}

struct HubSpot {
    client: Client,
    mapping: Mapping,
    /// The wanted pipelines, by id or label; none: all.
    pipelines: Vec<String>,
    clock: Arc<dyn Clock>,
    account: ForADay<Account>,
    currency: LastCurrency,
    unknown: ForADay<Vec<String>>,
    all_deals: ForADay<u64>,
    seen: Seen,
    /// Whether a search once came in another order than it was asked for.
    is_search_unfit: AtomicBool,
}

/// Which way the deals are read, and how many there are on it.
struct Plan {
    way: &'static str,
    /// On the way chosen.
    expected: u64,
    /// Of the wanted pipelines.
    wanted: u64,
}

#[async_trait]
impl Source for HubSpot {
    async fn open(&self) -> Result<Opened, SourceError> {
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
        let pages = account.pages.map(|pages| (DEALS.to_owned(), pages)).into_iter().collect();
        let odd = (pipelines.odd > 0).then(|| {
            format!("{} pipelines and stages have no label or cannot be read: their ids stand instead", pipelines.odd)
        });
        Ok(Opened {
            cost: Some(self.cost(&plan, spent)),
            account: account.id,
            currency: account.currency,
            stages: pipelines.stages,
            expected: Some(Expected { count: plan.expected, exact: false }),
            names: Names(
                [(OWNERS.to_owned(), owners), (PIPELINES.to_owned(), pipelines.labels), (PAGES.to_owned(), pages)]
                    .into(),
            ),
            way: plan.way,
            warnings: account.warning.into_iter().chain(odd).chain(unknown).collect(),
            ..Opened::default()
        })
    }

    async fn page(&self, opened: &Opened, after: Option<&str>) -> Result<Page, SourceError> {
        let (records, next) = if opened.way == SEARCH {
            self.search(opened, after).await?
        } else {
            list::page(&self.client, &self.mapping, after).await?
        };
        let seen = self.seen.labels();
        let reader = Reader { mapping: &self.mapping, opened, stages: Known::new(&opened.stages, &seen) };
        Ok(records.into_page(&reader, next))
    }

    async fn names(&self, _opened: &Opened, wanted: &Wanted) -> Result<Names, SourceError> {
        let mut names = Names::default();
        for (table, keys) in &wanted.0 {
            let found = match table.as_str() {
                COMPANIES => names::companies(&self.client, keys).await.map_err(part("read the companies"))?,
                _ => names::archived_owners(&self.client, keys).await.map_err(part("read the former owners"))?,
            };
            names.0.insert(table.clone(), found);
        }
        Ok(names)
    }

    fn names_at_once(&self, table: &str) -> usize {
        if table == COMPANIES { batch::AT_ONCE } else { usize::MAX }
    }

    async fn fates(&self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Fate>, SourceError> {
        vanished::fates(&self.client, ids).await
    }

    fn fates_at_once(&self) -> usize {
        batch::AT_ONCE
    }

    fn mapping(&self) -> Vec<Mapped> {
        self.mapping.origins()
    }

    fn requests(&self) -> u64 {
        self.client.requests()
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

    /// The refusal of the companies' names, were they asked for: they come last, and what is to be granted is told at once.
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
        if self.mapping.named().is_empty() {
            return Ok(Vec::new());
        }
        if let Some(unknown) = self.unknown.get(identity, now) {
            return Ok(unknown);
        }
        match account::unknown_properties(&self.client, self.mapping.named()).await? {
            Checked::Known(unknown) => {
                self.unknown.put(identity, now, unknown.clone());
                Ok(unknown)
            }
            Checked::Denied(why) => Ok(vec![why]),
        }
    }

    /// Counts the deals and chooses the way. How many there are in all is counted anew only where all are read.
    async fn plan(&self, identity: u64, pipelines: &Pipelines) -> Result<Plan, SourceError> {
        if self.pipelines.is_empty() {
            let all = search::count(&self.client, &[]).await?;
            return Ok(Plan { way: LIST, expected: all, wanted: all });
        }
        let ids = pipeline_ids(&pipelines.labels, &self.pipelines)?;
        let wanted = search::count(&self.client, &ids).await?;
        let now = self.clock.instant();
        let is_fit = !self.is_search_unfit.load(Ordering::Relaxed);
        let is_cheaper = |all: u64| is_fit && search::is_cheaper(wanted, all, &self.mapping);
        if self.all_deals.get(identity, now).is_some_and(is_cheaper) {
            return Ok(Plan { way: SEARCH, expected: wanted, wanted });
        }
        let all = search::count(&self.client, &[]).await?;
        self.all_deals.put(identity, now, all);
        let (way, expected) = if is_cheaper(all) { (SEARCH, wanted) } else { (LIST, all) };
        Ok(Plan { way, expected, wanted })
    }

    /// At most so many requests, were every deal of another company; `spent` have been sent.
    fn cost(&self, plan: &Plan, spent: u64) -> Cost {
        let pages = match plan.way {
            SEARCH => search::requests(plan.expected, &self.mapping),
            _ => plan.expected.div_ceil(list::PAGE).max(1),
        };
        let companies = if self.mapping.wants_companies() { plan.wanted.div_ceil(batch::AT_ONCE as u64) } else { 0 };
        Cost { requests: spent + pages + companies, tokens: None, daily_limit: self.client.daily_limit() }
    }

    async fn search(&self, opened: &Opened, after: Option<&str>) -> Result<(Records, Option<String>), SourceError> {
        let none = HashMap::new();
        let ids = pipeline_ids(opened.names.0.get(PIPELINES).unwrap_or(&none), &self.pipelines)?;
        let found = search::page(&self.client, &self.mapping, &ids, after).await;
        if let Err(SourceError::Paging(_)) = found {
            // The next pull reads the list instead.
            self.is_search_unfit.store(true, Ordering::Relaxed);
        }
        found
    }
}

/// Sets a refusal of permission aside, so that all that lack one are told at once; whatever else fails, fails.
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
