use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::settings::{Problem, Section};
use crate::sources::answer::{part, pipeline_ids};
use crate::sources::common::{Built, Context, read_section};
use crate::sources::kept::DailyCache;
use crate::sources::labels::{StageHistory, StageIndex};
use crate::sources::pipedrive::account::Account;
use crate::sources::pipedrive::client::Client;
use crate::sources::pipedrive::custom::Fields;
use crate::sources::pipedrive::deals::{DealScope, DealsRead};
use crate::sources::pipedrive::fields::{COMPANIES, Reader, ReferenceData};
use crate::sources::pipedrive::mapping::Mapping;
use crate::sources::pipedrive::organizations::Organizations;
use crate::sources::pipedrive::pipelines::Pipelines;
use crate::sources::pipedrive::settings::{Address, DEALS, ORGANIZATIONS, Settings};
use crate::sources::pipedrive::summary::Totals;
use crate::sources::pipedrive::users::{Asked, USER, Unlisted};
use crate::sources::pipedrive::{deals, organizations, summary, users, vanished};
use crate::sources::source::{
    Attempt, Cost, Expected, Mapped, MissingDealOutcome, Names, Opened, Page, Session, Source, SourceError, Wanted,
};

/// Builds the source; everything wrong with its section at once.
pub(in crate::sources) fn build(section: Section, context: &Context) -> Result<Built, Vec<Problem>> {
    let read_mapping = |table| Mapping::read(table, context.zone);
    let (mapping, common, settings) = read_section(section, read_mapping, Settings::read)?;
    let secrets = settings.auth.section_secrets();
    let address = Address::new(common.endpoint.as_deref());
    let client = Client::new(address, &common.http, settings.auth, context).map_err(|problem| vec![problem])?;
    let source = Pipedrive {
        client,
        mapping,
        pipelines: common.scope.pipelines.clone(),
        archived: settings.archived,
        verify: settings.verify,
        clock: context.clock.clone(),
        account: DailyCache::default(),
        fields: DailyCache::default(),
        organizations: Organizations::default(),
        unlisted: Unlisted::new(Arc::clone(&context.memory)),
        seen: StageHistory::new(context.memory.clone()),
    };
    Ok(common.into_built(Arc::new(source), secrets))
}

struct Pipedrive {
    client: Client,
    mapping: Mapping,
    /// The wanted pipelines, by id or name; none: all.
    pipelines: Vec<String>,
    archived: bool,
    verify: bool,
    clock: Arc<dyn Clock>,
    account: DailyCache<Account>,
    fields: DailyCache<Fields>,
    organizations: Organizations,
    unlisted: Unlisted,
    seen: StageHistory,
}

#[async_trait]
impl Source for Pipedrive {
    async fn open(&self, attempt: Attempt) -> Result<Box<dyn Session + '_>, SourceError> {
        if attempt == Attempt::First {
            self.client.reset_refusals();
        }
        let before = (self.client.requests(), self.client.tokens());
        let identity = self.client.identity()?;
        let account = self.account(identity).await.map_err(part("read the account"))?;
        let pipelines = Pipelines::ask(&self.client).await.map_err(part("read the pipelines"))?;
        self.seen.note(account.id.as_deref(), &pipelines.stages, &pipelines.labels);
        let owners = users::all(&self.client).await.map_err(part("read the users"))?;
        let mut fields = self.fields(identity).await.map_err(part("read the fields of deals"))?;
        let wanted = pipeline_ids(&pipelines.labels, &self.pipelines)?;
        let totals = self.totals(&wanted).await.map_err(part("count the deals"))?;
        let counted = totals.as_ref().map(|totals| totals.count);
        let spent = (self.client.requests() - before.0, self.client.tokens() - before.1);
        let warnings =
            account.warnings.into_iter().chain(std::mem::take(&mut fields.warnings)).chain(pipelines.warnings);
        let reference = ReferenceData {
            currency: account.currency,
            owners,
            pipelines: pipelines.labels,
            with_probability: pipelines.with_probability,
            domain: account.domain,
            fields,
        };
        let opened = Opened {
            account: account.id,
            currency: account.currency,
            stages: pipelines.stages,
            cost: counted.map(|count| self.cost(count, spent)),
            expected: counted.map(|count| Expected { count, exact: false }),
            worth: totals.map(|totals| totals.worth),
            warnings: warnings.collect(),
            ..Opened::default()
        };
        Ok(Box::new(PipedriveSession {
            source: self,
            opened,
            reference,
            scope: DealScope { archived: self.archived, pipelines: wanted },
            read: DealsRead::default(),
            asked: Asked::default(),
        }))
    }

    /// Which way the organizations are read depends on how many there are, so they are asked for at once.
    fn names_at_once(&self, table: &str) -> usize {
        if table == COMPANIES { usize::MAX } else { 1 }
    }

    async fn missing(&self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, MissingDealOutcome>, SourceError> {
        vanished::resolve_missing(&self.client, ids).await
    }

    fn missing_at_once(&self) -> usize {
        vanished::AT_ONCE
    }

    fn mapping(&self) -> Vec<Mapped> {
        self.mapping.origins()
    }

    fn requests(&self) -> u64 {
        self.client.requests()
    }
}

/// One pull.
struct PipedriveSession<'a> {
    source: &'a Pipedrive,
    opened: Opened,
    reference: ReferenceData,
    scope: DealScope,
    read: DealsRead,
    asked: Asked,
}

#[async_trait]
impl Session for PipedriveSession<'_> {
    fn opened(&self) -> &Opened {
        &self.opened
    }

    async fn page(&self, after: Option<&str>) -> Result<Page, SourceError> {
        let Pipedrive { client, mapping, seen, .. } = self.source;
        let seen = seen.labels();
        let stages = StageIndex::new(&self.opened.stages, &seen);
        let reader = Reader { mapping, reference: &self.reference, stages };
        let expected = self.opened.expected.map(|expected| expected.count);
        deals::page(client, &reader, &self.scope, (&self.read, expected), after).await
    }

    async fn names(&self, wanted: &Wanted) -> Result<Names, SourceError> {
        let Pipedrive { client, organizations, unlisted, clock, .. } = self.source;
        let mut names = Names::default();
        for (table, keys) in &wanted.0 {
            let found = match table.as_str() {
                COMPANIES => organizations.names(client, keys).await.map_err(part("read the organizations"))?,
                _ => unlisted.names(client, keys, &self.asked, clock.now()).await.map_err(part("read a user"))?,
            };
            names.0.insert(table.clone(), found);
        }
        Ok(names)
    }
}

impl Pipedrive {
    async fn account(&self, identity: u64) -> Result<Account, SourceError> {
        let now = self.clock.instant();
        if let Some(account) = self.account.get(identity, now) {
            return Ok(account);
        }
        let account = Account::ask(&self.client).await?;
        self.account.put(identity, now, account.clone());
        Ok(account)
    }

    /// What is known of the fields that the configuration names; nothing is asked where it names none.
    async fn fields(&self, identity: u64) -> Result<Fields, SourceError> {
        let now = self.clock.instant();
        if !self.mapping.needs_fields() {
            return Ok(Fields::default());
        }
        if let Some(fields) = self.fields.get(identity, now) {
            return Ok(fields);
        }
        let fields = Fields::ask(&self.client, &self.mapping.named).await?;
        self.fields.put(identity, now, fields.clone());
        Ok(fields)
    }

    async fn totals(&self, wanted: &[String]) -> Result<Option<Totals>, SourceError> {
        if !self.verify {
            return Ok(None);
        }
        summary::totals(&self.client, wanted).await.map(Some)
    }

    /// The most requests and tokens if every deal has a different company and an unlisted owner, and none
    /// archived or of another pipeline; what has been sent for it is in `spent`.
    fn cost(&self, count: u64, (requests, tokens): (u64, u64)) -> Cost {
        let pages = count.div_ceil(deals::AT_ONCE).max(1);
        let batches = if self.mapping.wants_companies() { count.div_ceil(organizations::BATCH as u64) } else { 0 };
        let owners = count.min(users::MOST);
        let more = pages * DEALS.tokens + batches * ORGANIZATIONS.tokens + owners * USER.tokens;
        Cost {
            requests: requests + pages + batches + owners,
            tokens: Some(tokens + more),
            daily_limit: self.client.daily_limit(),
        }
    }
}
