//! What is known before the first page, in one request: account, stages, currencies, and the first page itself.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::money::{Currency, OwnRates};
use crate::model::number;
use crate::model::pipeline::Stage;
use crate::sources::salesforce::client::Client;
use crate::sources::salesforce::composite::{self, Answers, Query};
use crate::sources::salesforce::errors::{Named, Refusal};
use crate::sources::salesforce::id::long;
use crate::sources::salesforce::rates::{self, CurrencyType, DatedRate};
use crate::sources::source::SourceError;

const DEALS: &str = "deals";
const STAGES: &str = "stages";
const ORGANIZATION: &str = "organization";
const CURRENCIES: &str = "currencies";
const DATED_RATES: &str = "rates";
/// The column of the organization's own currency.
const OWN_CURRENCY: &str = "DefaultCurrencyIsoCode";

/// Everything about the account.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) account: Option<String>,
    pub(super) currency: Option<Currency>,
    stages: Vec<StageRow>,
    pub(super) rates: Option<OwnRates>,
    /// What cannot be had.
    pub(super) warnings: Vec<String>,
}

/// What is asked for.
pub(super) struct Wanted {
    /// The query of the deals, unless they come as an export.
    pub(super) deals: Option<Query>,
    pub(super) with_currencies: bool,
}

/// A stage, of all pipelines alike.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StageRow {
    api_name: String,
    master_label: String,
    is_closed: bool,
    is_won: bool,
    default_probability: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Organization {
    id: String,
    #[serde(default)]
    default_currency_iso_code: Option<String>,
}

impl Opening {
    /// Asks for all of it, with the first page of the deals as it comes; `now` is when the rates are of.
    pub(super) async fn ask(
        client: &Client,
        wanted: Wanted,
        now: DateTime<Utc>,
    ) -> Result<(Self, Option<Result<String, Refusal>>), SourceError> {
        let has_deals = wanted.deals.is_some();
        let answers = composite::ask(client, queries(wanted)).await?;
        let deals = has_deals.then(|| answers.of(DEALS).map(|page| page.get().to_owned()));
        let mut opening = Self::default();
        opening.read_stages(client, &answers).await?;
        opening.read_organization(client, &answers).await?;
        opening.read_currencies(client, &answers, now).await?;
        Ok((opening, deals))
    }

    async fn read_stages(&mut self, client: &Client, answers: &Answers) -> Result<(), SourceError> {
        let lost = "The stages cannot be read: they stand as their API names";
        let Some((stages, next)) = self.or_without(answers.records(STAGES), lost)? else { return Ok(()) };
        self.stages = stages;
        self.stages.extend(composite::rest(client, next).await?);
        if self.stages.is_empty() {
            self.warnings.push("The account lists no stages: they stand as their API names".to_owned());
        }
        Ok(())
    }

    async fn read_organization(&mut self, client: &Client, answers: &Answers) -> Result<(), SourceError> {
        let mut answer = answers.records::<Organization>(ORGANIZATION);
        let alone;
        if let Err(Refusal { name: Some(Named { name, .. }), .. }) = &answer
            && name.eq_ignore_ascii_case(OWN_CURRENCY)
        {
            self.warnings
                .push("The organization's currency cannot be read: deals without one are not priced".to_owned());
            alone = composite::ask(client, vec![look_up(ORGANIZATION, "SELECT Id FROM Organization")]).await?;
            answer = alone.records(ORGANIZATION);
        }
        let lost = "The organization cannot be read: deals without a currency are not priced, and another \
                    organization's credentials would not be noticed";
        let organization = self.or_without(answer, lost)?;
        if let Some(own) = organization.and_then(|(found, _)| found.into_iter().next()) {
            self.account = Some(long(&own.id));
            self.currency = own.default_currency_iso_code.and_then(|code| code.parse().ok());
        }
        Ok(())
    }

    async fn read_currencies(
        &mut self,
        client: &Client,
        answers: &Answers,
        now: DateTime<Utc>,
    ) -> Result<(), SourceError> {
        if !answers.has(CURRENCIES) {
            return Ok(());
        }
        let lost = "The currencies cannot be read: the account's own exchange rates are not known";
        let found = self.or_without(answers.records::<CurrencyType>(CURRENCIES), lost)?;
        let Some((mut currencies, next)) = found else { return Ok(()) };
        currencies.extend(composite::rest(client, next).await?);
        let dated = match answers.records::<DatedRate>(DATED_RATES) {
            Ok((mut dated, next)) => {
                dated.extend(composite::rest(client, next).await?);
                dated
            }
            // Only accounts that keep track of rates by day have this.
            Err(refusal) if refusal.code == Some("INVALID_TYPE") => Vec::new(),
            refused => {
                let lost = "The exchange rates by day cannot be read: the standing ones are used for every day";
                self.or_without(refused.map(|_| ()), lost)?;
                Vec::new()
            }
        };
        self.currency = rates::corporate(&currencies).or(self.currency);
        self.rates = rates::rates(&currencies, &dated, now);
        Ok(())
    }

    /// What an answer holds; where the user may not have it, nothing, which is told.
    fn or_without<T>(&mut self, answer: Result<T, Refusal>, lost: &str) -> Result<Option<T>, SourceError> {
        match answer {
            Ok(found) => Ok(Some(found)),
            Err(refusal) if is_absent(&refusal) => {
                self.warnings.push(lost.to_owned());
                Ok(None)
            }
            Err(refusal) => Err(refusal.error),
        }
    }

    /// The stages in order, for the deals without a record type and for those of each; Salesforce has them in one list,
    /// and does not tell here which record type leaves some of them out.
    pub(super) fn stages_of(&self, record_types: &BTreeMap<String, String>) -> Vec<Stage> {
        let pipelines = record_types.iter().map(|(id, name)| (id.as_str(), name.as_str()));
        let stages = |(id, name)| {
            (0..).zip(&self.stages).map(move |(order, stage): (u32, &StageRow)| stage.in_pipeline(id, name, order))
        };
        std::iter::once(("", "")).chain(pipelines).flat_map(stages).collect()
    }
}

impl StageRow {
    fn in_pipeline(&self, id: &str, name: &str, order: u32) -> Stage {
        let percent = self.default_probability.as_deref().and_then(|value| number::rounded(value.get(), 4));
        Stage {
            pipeline: name.to_owned(),
            pipeline_id: id.to_owned(),
            id: self.api_name.clone(),
            label: self.master_label.clone(),
            order,
            probability: percent.and_then(|percent| percent.checked_div(Decimal::ONE_HUNDRED)),
            is_closed: self.is_closed,
            is_won: self.is_won,
        }
    }
}

fn is_absent(refusal: &Refusal) -> bool {
    matches!(refusal.code, Some("INVALID_TYPE" | "INVALID_FIELD" | "INSUFFICIENT_ACCESS"))
}

/// The first page of a query of deals, as it comes.
pub(super) async fn deals(client: &Client, query: Query) -> Result<String, SourceError> {
    let answers = composite::ask(client, vec![query]).await?;
    answers.of(DEALS).map(|page| page.get().to_owned()).map_err(|refusal| refusal.error)
}

/// The query of the deals, with those of the recycle bin where each says that it is there.
pub(super) fn of_deals(soql: String, with_deleted: bool) -> Query {
    Query { name: DEALS, soql, with_deleted }
}

fn look_up(name: &'static str, soql: &str) -> Query {
    Query { name, soql: soql.to_owned(), with_deleted: false }
}

fn queries(wanted: Wanted) -> Vec<Query> {
    let mut queries: Vec<Query> = wanted.deals.into_iter().collect();
    queries.extend([
        look_up(
            STAGES,
            "SELECT ApiName, MasterLabel, IsClosed, IsWon, DefaultProbability FROM OpportunityStage ORDER BY SortOrder",
        ),
        look_up(ORGANIZATION, &format!("SELECT Id, {OWN_CURRENCY} FROM Organization")),
    ]);
    if wanted.with_currencies {
        queries.push(look_up(CURRENCIES, rates::CURRENCIES));
        queries.push(look_up(DATED_RATES, rates::DATED));
    }
    queries
}
