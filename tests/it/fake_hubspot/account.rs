//! What a HubSpot account holds, what can happen to it, and how its deals must be published.
//!
//! Apart from the server, so that what must come out is said without a word of HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use sales_pipeline::model::deal::{self, Status};

/// The account's id.
pub(crate) const PORTAL: u64 = 12_345_678;
/// The first id of an invented deal; above 2^32, as real ones are.
const FIRST_DEAL: u64 = 38_124_407_001;
/// The first id of an invented company.
const FIRST_COMPANY: u64 = 27_712_345_001;

/// The deal properties that every account defines, and their types.
const DEFINED: [(&str, &str); 24] = [
    ("amount", "number"),
    ("amount_in_home_currency", "number"),
    ("closed_lost_reason", "string"),
    ("closedate", "datetime"),
    ("createdate", "datetime"),
    ("deal_currency_code", "enumeration"),
    ("dealname", "string"),
    ("dealstage", "enumeration"),
    ("dealtype", "enumeration"),
    ("hs_createdate", "datetime"),
    ("hs_deal_stage_probability", "number"),
    ("hs_is_closed", "bool"),
    ("hs_is_closed_lost", "bool"),
    ("hs_is_closed_won", "bool"),
    ("hs_lastmodifieddate", "datetime"),
    ("hs_manual_forecast_category", "enumeration"),
    ("hs_merged_object_ids", "enumeration"),
    ("hs_object_id", "number"),
    ("hs_primary_associated_company", "number"),
    ("hs_v2_date_entered_current_stage", "datetime"),
    ("hubspot_owner_id", "enumeration"),
    ("notes_last_updated", "datetime"),
    ("notes_next_activity_date", "datetime"),
    ("pipeline", "enumeration"),
];

/// A record's own values; `None` is null.
pub(crate) type Properties = BTreeMap<String, Option<String>>;

/// A company that a deal belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) company: u64,
    pub(crate) primary: bool,
    pub(crate) label: Option<(u32, String)>,
}

/// A plain association with a company.
pub(crate) fn link(company: u64) -> Link {
    Link { company, primary: false, label: None }
}

impl Link {
    /// The deal's primary company.
    pub(crate) fn primary(mut self) -> Self {
        self.primary = true;
        self
    }

    /// A label that the account made up.
    pub(crate) fn labelled(mut self, type_id: u32, label: &str) -> Self {
        self.label = Some((type_id, label.to_owned()));
        self
    }
}

/// A deal as HubSpot stores it. Calculated properties are not stored, unless a test says what they are.
#[derive(Debug, Clone)]
pub(crate) struct Deal {
    pub(crate) id: u64,
    pub(crate) properties: Properties,
    pub(crate) companies: Vec<Link>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) archived_at: Option<DateTime<Utc>>,
}

/// A deal with nothing but an id, in the first stage of the default pipeline.
pub(crate) fn bare_deal(id: u64) -> Deal {
    let created_at = beginning() - TimeDelta::days(200);
    let deal = Deal {
        id,
        properties: Properties::new(),
        companies: Vec::new(),
        created_at,
        updated_at: created_at,
        archived_at: None,
    };
    deal.with("pipeline", "default").with("dealstage", "appointmentscheduled")
}

impl Deal {
    /// Sets a property.
    pub(crate) fn with(mut self, property: &str, value: &str) -> Self {
        self.properties.insert(property.to_owned(), Some(value.to_owned()));
        self
    }

    /// Makes a property null.
    pub(crate) fn without(mut self, property: &str) -> Self {
        self.properties.insert(property.to_owned(), None);
        self
    }

    /// Replaces its companies.
    pub(crate) fn linked(mut self, companies: &[Link]) -> Self {
        self.companies = companies.to_vec();
        self
    }
}

/// A company; `merged` are the ids of those it has taken in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Company {
    pub(crate) name: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) merged: BTreeSet<u64>,
}

/// A user that deals can belong to.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) id: u64,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) email: Option<String>,
    pub(crate) queue: bool,
    pub(crate) archived: bool,
}

/// An active owner.
pub(crate) fn owner(id: u64, first_name: &str, last_name: &str) -> Owner {
    let email = Some(format!("owner{id}@example.com"));
    let (first_name, last_name) = (first_name.to_owned(), last_name.to_owned());
    Owner { id, first_name, last_name, email, queue: false, archived: false }
}

/// A stage; its probability is text on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) probability: String,
    pub(crate) closed: bool,
}

/// A stage: open unless its probability is 0 or 1.
pub(crate) fn stage(id: &str, label: &str, probability: &str) -> Stage {
    let closed = matches!(probability, "0.0" | "1.0");
    Stage { id: id.to_owned(), label: label.to_owned(), probability: probability.to_owned(), closed }
}

/// A pipeline and its stages in order.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) stages: Vec<Stage>,
}

/// A pipeline.
pub(crate) fn pipeline(id: &str, label: &str, stages: Vec<Stage>) -> Pipeline {
    Pipeline { id: id.to_owned(), label: label.to_owned(), stages }
}

/// All deals by id, archived ones too.
pub(crate) type Deals = Arc<BTreeMap<u64, Arc<Deal>>>;

/// The account. Its deals are shared with what the search index still remembers.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) portal: u64,
    pub(crate) currency: String,
    pub(crate) additional_currencies: Vec<String>,
    /// The worth of one unit in the account's currency.
    pub(crate) rates: BTreeMap<String, Decimal>,
    pub(crate) deals: Deals,
    pub(crate) companies: BTreeMap<u64, Company>,
    pub(crate) owners: BTreeMap<u64, Owner>,
    pub(crate) pipelines: Vec<Pipeline>,
    /// Whether deals come with their address.
    pub(crate) shows_deals: bool,
    /// Deals that come without an id.
    pub(crate) unreadable: BTreeSet<u64>,
    /// Deal properties beside the ones that every account defines, and their types.
    pub(crate) custom: BTreeMap<String, &'static str>,
    /// The highest id a deal ever had.
    last_id: u64,
    /// What time it is there; every change takes a second and a millisecond.
    pub(crate) now: DateTime<Utc>,
}

/// The time in a new account.
pub(crate) fn beginning() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// So many deals as a company has them: every stage of two pipelines, amounts in every notation, owners and companies
/// of every sort.
pub(crate) fn deals(count: u64) -> Vec<Deal> {
    (0..count).map(invented).collect()
}

fn invented(number: u64) -> Deal {
    let in_default = number % 3 != 2;
    let (pipeline, stages): (_, &[&str]) = if in_default {
        ("default", &["appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "closedwon", "closedlost"])
    } else {
        ("7654321", &["1048576", "1048577", "1048578"])
    };
    let stage = stages[usize::try_from(number).unwrap() % stages.len()];
    let mut deal = bare_deal(FIRST_DEAL + number * 7)
        .with("dealname", &format!("Deal {number} – ünïcode 🦀"))
        .with("pipeline", pipeline)
        .with("dealstage", stage)
        .with("amount", &amount(number))
        .with("closedate", &format!("2026-12-{:02}T22:59:59.999Z", number % 28 + 1))
        .with("hubspot_owner_id", &format!("{}", 41_629_770 + number % 5));
    deal.created_at += TimeDelta::minutes(i64::try_from(number).unwrap());
    deal.updated_at = deal.created_at + TimeDelta::milliseconds(118);
    if number % 4 != 3 {
        deal = deal.with("deal_currency_code", ["USD", "EUR", "GBP"][usize::try_from(number).unwrap() % 3]);
    }
    if number % 10 == 9 {
        deal = deal.without("amount");
    }
    if number % 6 == 5 {
        deal = deal.with("dealtype", "newbusiness").with("hs_manual_forecast_category", "COMMIT");
    }
    let company = FIRST_COMPANY + number % 50;
    deal.linked(&match number % 5 {
        0 => vec![link(company).primary(), link(company + 1)],
        1 => vec![link(company)],
        2 => vec![link(company + 2).labelled(37, "Reseller"), link(company)],
        3 => vec![link(company).primary()],
        _ => Vec::new(),
    })
}

/// An amount in one of the notations that HubSpot uses, to the cent.
fn amount(number: u64) -> String {
    match number % 6 {
        0 => format!("{}.50", number * 125),
        1 => format!("{number}"),
        2 => format!("{}.00", number * 10),
        3 => format!("{number}.25E2"),
        4 => "0".to_owned(),
        _ => format!("{}.07", number * 1000),
    }
}

impl Account {
    /// An account that holds these deals, fifty-three companies, five owners and two pipelines.
    pub(crate) fn new(deals: Vec<Deal>) -> Self {
        let last_id = deals.iter().map(|deal| deal.id).max().unwrap_or(FIRST_DEAL);
        let deals = deals.into_iter().map(|deal| (deal.id, Arc::new(deal))).collect();
        let companies = (0..53).map(|number| (FIRST_COMPANY + number, invented_company(number))).collect();
        let mut owners = vec![
            owner(41_629_770, "Ann", "Lee"),
            owner(41_629_771, "Bo", ""),
            owner(41_629_772, "", ""),
            owner(41_629_773, "", ""),
            owner(41_629_774, "Eve", "Øst"),
        ];
        owners[3].email = None;
        owners[4].archived = true;
        Self {
            portal: PORTAL,
            currency: "USD".to_owned(),
            additional_currencies: vec!["EUR".to_owned()],
            rates: [("USD".to_owned(), Decimal::ONE), ("EUR".to_owned(), Decimal::new(11, 1))].into(),
            deals: Arc::new(deals),
            companies,
            owners: owners.into_iter().map(|owner| (owner.id, owner)).collect(),
            pipelines: vec![sales(), renewals()],
            shows_deals: true,
            unreadable: BTreeSet::new(),
            custom: BTreeMap::new(),
            last_id,
            now: beginning(),
        }
    }

    /// The type of a property of deals; `None` where it is not defined.
    pub(crate) fn kind(&self, property: &str) -> Option<&'static str> {
        let own = DEFINED.iter().find(|(name, _)| *name == property).map(|(_, kind)| *kind);
        own.or_else(|| self.custom.get(property).copied())
    }

    /// Every property of deals and its type.
    pub(crate) fn defined(&self) -> Vec<(String, &'static str)> {
        let own = DEFINED.iter().map(|(name, kind)| ((*name).to_owned(), *kind));
        own.chain(self.custom.iter().map(|(name, kind)| (name.clone(), *kind))).collect()
    }

    /// A deal's property as it goes over the wire: stored, else calculated; `None` is null.
    pub(crate) fn value(&self, deal: &Deal, property: &str) -> Option<String> {
        if let Some(stored) = deal.properties.get(property) {
            return stored.clone();
        }
        let stage = self.stage_of(deal).map(|(_, stage)| stage);
        let truth = |truth: bool| Some(truth.to_string());
        match property {
            "hs_object_id" => Some(deal.id.to_string()),
            "createdate" | "hs_createdate" => Some(written(deal.created_at)),
            "hs_lastmodifieddate" => Some(written(deal.updated_at)),
            "hs_deal_stage_probability" => stage.map(|stage| expanded(&stage.probability)),
            "hs_is_closed" => truth(stage?.closed),
            "hs_is_closed_won" => truth(stage?.is_won()),
            "hs_is_closed_lost" => truth(stage?.closed && !stage?.is_won()),
            "hs_primary_associated_company" => {
                deal.companies.iter().find(|link| link.primary).map(|link| link.company.to_string())
            }
            "amount_in_home_currency" => {
                let currency = self.text(deal, "deal_currency_code").unwrap_or_else(|| self.currency.clone());
                Some((exact(&self.text(deal, "amount")?)? * self.rates.get(&currency)?).to_string())
            }
            _ => None,
        }
    }

    /// The same, where an empty text is nothing.
    fn text(&self, deal: &Deal, property: &str) -> Option<String> {
        self.value(deal, property).filter(|text| !text.is_empty())
    }

    /// The stage as people know it: by pipeline and id, then by id alone.
    fn stage_of(&self, deal: &Deal) -> Option<(&Pipeline, &Stage)> {
        let stored = |property: &str| deal.properties.get(property).cloned().flatten();
        let (in_pipeline, id) = (stored("pipeline"), stored("dealstage")?);
        let all =
            || self.pipelines.iter().flat_map(|pipeline| pipeline.stages.iter().map(move |stage| (pipeline, stage)));
        let in_its_own = all()
            .find(|(pipeline, stage)| stage.id == id && in_pipeline.as_deref().unwrap_or("default") == pipeline.id);
        in_its_own.or_else(|| all().find(|(_, stage)| stage.id == id))
    }
}

impl Stage {
    fn is_won(&self) -> bool {
        self.closed && exact(&self.probability) == Some(Decimal::ONE)
    }
}

fn invented_company(number: u64) -> Company {
    let name = (number % 11 != 10).then(|| format!("Company {number} GmbH & Co. <KG>"));
    Company { name, domain: (number % 22 != 21).then(|| format!("company{number}.example")), merged: BTreeSet::new() }
}

fn sales() -> Pipeline {
    let stages = vec![
        stage("appointmentscheduled", "Appointment scheduled", "0.2"),
        stage("qualifiedtobuy", "Qualified to buy", "0.4"),
        stage("presentationscheduled", "Presentation scheduled", "0.6"),
        stage("decisionmakerboughtin", "Decision maker bought-in", "0.8"),
        stage("contractsent", "Contract sent", "0.9"),
        stage("closedwon", "Closed Won", "1.0"),
        stage("closedlost", "Closed Lost", "0.0"),
    ];
    pipeline("default", "Sales Pipeline", stages)
}

/// The second pipeline: ids that are numbers, labels that the first one has too.
fn renewals() -> Pipeline {
    let stages = vec![
        stage("1048576", "Qualified to buy", "0.1"),
        stage("1048577", "Closed Won", "1.0"),
        stage("1048578", "Closed Lost", "0.0"),
    ];
    pipeline("7654321", "Renewals", stages)
}

/// What can happen to an account. Archiving and associations do not count as changes of a deal.
impl Account {
    fn tick(&mut self) -> DateTime<Utc> {
        self.now += TimeDelta::milliseconds(1001);
        self.now
    }

    /// Changes a deal that is there; whether it counts as a change is `counts`.
    fn change(&mut self, id: u64, counts: bool, change: impl FnOnce(&mut Deal)) {
        let now = self.tick();
        let deal = Arc::make_mut(&mut self.deals).get_mut(&id).map(Arc::make_mut);
        let deal = deal.unwrap_or_else(|| panic!("there is no deal {id}"));
        change(deal);
        if counts {
            deal.updated_at = now;
        }
    }

    /// The ids of the deals that are not archived.
    pub(crate) fn live(&self) -> Vec<u64> {
        self.deals.values().filter(|deal| deal.archived_at.is_none()).map(|deal| deal.id).collect()
    }

    /// A new deal; its id is above all that ever were, unless it brings one (0: none).
    pub(crate) fn create(&mut self, mut deal: Deal) -> u64 {
        let now = self.tick();
        if deal.id == 0 {
            deal.id = self.last_id + 1;
        }
        self.last_id = self.last_id.max(deal.id);
        (deal.created_at, deal.updated_at) = (now, now);
        let id = deal.id;
        Arc::make_mut(&mut self.deals).insert(id, Arc::new(deal));
        id
    }

    /// Puts a deal into the recycle bin.
    pub(crate) fn archive(&mut self, id: u64) {
        let now = self.now;
        self.change(id, false, |deal| deal.archived_at = Some(now));
    }

    /// Makes one deal, with an id of its own, out of two that vanish.
    pub(crate) fn merge(&mut self, winner: u64, loser: u64) -> u64 {
        let taken = [winner, loser].map(|id| {
            let deal = Arc::make_mut(&mut self.deals).remove(&id);
            Arc::unwrap_or_clone(deal.unwrap_or_else(|| panic!("there is no deal {id}")))
        });
        let [mut merged, other] = taken;
        for link in other.companies {
            if merged.companies.iter().all(|own| own.company != link.company) {
                merged.companies.push(Link { primary: false, ..link });
            }
        }
        merged.id = 0;
        self.create(merged.with("hs_merged_object_ids", &format!("{winner};{loser}")))
    }

    /// Moves a deal to a stage, perhaps of another pipeline.
    pub(crate) fn move_stage(&mut self, id: u64, pipeline: &str, stage: &str) {
        let entered = written(self.now);
        self.change(id, true, |deal| {
            for calculated in ["hs_deal_stage_probability", "hs_is_closed", "hs_is_closed_won", "hs_is_closed_lost"] {
                deal.properties.remove(calculated);
            }
            for (property, value) in
                [("pipeline", pipeline), ("dealstage", stage), ("hs_v2_date_entered_current_stage", &entered)]
            {
                deal.properties.insert(property.to_owned(), Some(value.to_owned()));
            }
        });
    }

    /// Gives a deal's property another value.
    pub(crate) fn set(&mut self, id: u64, property: &str, value: &str) {
        self.change(id, true, |deal| drop(deal.properties.insert(property.to_owned(), Some(value.to_owned()))));
    }

    /// Replaces a deal's companies.
    pub(crate) fn relink(&mut self, id: u64, companies: &[Link]) {
        self.change(id, false, |deal| deal.companies = companies.to_vec());
    }

    /// Gives a company another name.
    pub(crate) fn rename_company(&mut self, id: u64, name: &str) {
        self.tick();
        self.companies.get_mut(&id).expect("the company is there").name = Some(name.to_owned());
    }

    /// Deletes a company; deals still name it.
    pub(crate) fn delete_company(&mut self, id: u64) {
        self.tick();
        self.companies.remove(&id);
    }

    /// Lets one company take in another: deals move over, and who asks for the old id gets the new one.
    pub(crate) fn merge_companies(&mut self, winner: u64, loser: u64) {
        self.tick();
        let gone = self.companies.remove(&loser).expect("the company is there");
        let merged = &mut self.companies.get_mut(&winner).expect("the company is there").merged;
        merged.extend(gone.merged);
        merged.insert(loser);
        for deal in Arc::make_mut(&mut self.deals).values_mut() {
            if deal.companies.iter().all(|link| link.company != loser) {
                continue;
            }
            let companies = &mut Arc::make_mut(deal).companies;
            companies.iter_mut().filter(|link| link.company == loser).for_each(|link| link.company = winner);
            companies.sort_by_key(|link| (link.company, !link.primary));
            companies.dedup_by_key(|link| link.company);
        }
    }

    /// The company of an id, were it one that another has taken in.
    pub(crate) fn company(&self, id: u64) -> Option<(u64, &Company)> {
        let own = self.companies.get_key_value(&id);
        let found = own.or_else(|| self.companies.iter().find(|(_, company)| company.merged.contains(&id)));
        found.map(|(id, company)| (*id, company))
    }

    /// Deactivates an owner, whose name HubSpot may then forget.
    pub(crate) fn archive_owner(&mut self, id: u64) {
        self.tick();
        self.owners.get_mut(&id).expect("the owner is there").archived = true;
    }

    /// Gives a stage another label; no deal changes.
    pub(crate) fn rename_stage(&mut self, pipeline: &str, stage: &str, label: &str) {
        self.tick();
        let stages = self.pipelines.iter_mut().filter(|own| own.id == pipeline).flat_map(|own| &mut own.stages);
        stages.filter(|own| own.id == stage).for_each(|own| label.clone_into(&mut own.label));
    }

    /// Deletes a stage. Its deals keep the id and whether they are closed, and lose their probability.
    pub(crate) fn delete_stage(&mut self, pipeline: &str, stage: &str) {
        self.tick();
        let keeps = |account: &Self, deal: &Deal| {
            let kept = ["hs_is_closed", "hs_is_closed_won", "hs_is_closed_lost"]
                .map(|name| (name.to_owned(), account.value(deal, name)));
            kept.into_iter().chain([("hs_deal_stage_probability".to_owned(), None)]).collect::<Vec<_>>()
        };
        let is_in = |deal: &Deal, property: &str, value: &str| {
            deal.properties.get(property).is_some_and(|own| own.as_deref() == Some(value))
        };
        let kept: Vec<_> = self
            .deals
            .values()
            .filter(|deal| is_in(deal, "dealstage", stage) && is_in(deal, "pipeline", pipeline))
            .map(|deal| (deal.id, keeps(self, deal)))
            .collect();
        let deals = Arc::make_mut(&mut self.deals);
        for (id, properties) in kept {
            deals.get_mut(&id).map(Arc::make_mut).expect("it was found above").properties.extend(properties);
        }
        self.pipelines.iter_mut().filter(|own| own.id == pipeline).for_each(|own| {
            own.stages.retain(|own| own.id != stage);
        });
    }
}

/// A deal as it must stand in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) company: Option<String>,
    pub(crate) stage: Option<String>,
    pub(crate) value: Option<Decimal>,
    pub(crate) probability: Option<Decimal>,
    pub(crate) owner: Option<String>,
    pub(crate) created_at: Option<DateTime<Utc>>,
    pub(crate) updated_at: Option<DateTime<Utc>>,
    pub(crate) status: Status,
    pub(crate) currency: String,
    pub(crate) pipeline: String,
    pub(crate) pipeline_id: String,
    pub(crate) stage_id: Option<String>,
    pub(crate) close_date: Option<NaiveDate>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
    pub(crate) stage_entered_at: Option<DateTime<Utc>>,
    pub(crate) owner_id: Option<String>,
    pub(crate) forecast_category: Option<String>,
    pub(crate) deal_type: Option<String>,
    pub(crate) lost_reason: Option<String>,
    pub(crate) url: String,
}

impl Published {
    /// A deal as it was published, names filled in; a field that must be there and is not is empty.
    pub(crate) fn of(deal: &deal::Deal) -> Self {
        Self {
            id: deal.id.clone(),
            name: deal.name.clone(),
            company: deal.company.clone(),
            stage: deal.stage.clone(),
            value: deal.value,
            probability: deal.probability,
            owner: deal.owner.clone(),
            created_at: deal.created_at,
            updated_at: deal.updated_at,
            status: deal.status.expect("HubSpot always knows"),
            currency: deal.currency.map(|currency| currency.to_string()).unwrap_or_default(),
            pipeline: deal.pipeline.clone().unwrap_or_default(),
            pipeline_id: deal.pipeline_id.clone().unwrap_or_default(),
            stage_id: deal.stage_id.clone(),
            close_date: deal.close_date,
            closed_at: deal.closed_at,
            stage_entered_at: deal.stage_entered_at,
            owner_id: deal.owner_id.clone(),
            forecast_category: deal.forecast_category.clone(),
            deal_type: deal.deal_type.clone(),
            lost_reason: deal.lost_reason.clone(),
            url: deal.url.clone().unwrap_or_default(),
        }
    }
}

impl Account {
    /// All deals as they must be published now, in the byte order of their ids; days are days in `zone`.
    pub(crate) fn model(&self, zone: Tz) -> Vec<Published> {
        let live = self.deals.values().filter(|deal| deal.archived_at.is_none());
        let mut model: Vec<Published> = live.map(|deal| self.published(deal, zone)).collect();
        model.sort_by(|one, other| one.id.cmp(&other.id));
        model
    }

    fn published(&self, deal: &Deal, zone: Tz) -> Published {
        let text = |property: &str| self.text(deal, property);
        let stage = self.stage_of(deal);
        let is = |property: &str, fallback: bool| text(property).map_or(fallback, |truth| truth == "true");
        let closed = is("hs_is_closed", stage.is_some_and(|(_, stage)| stage.closed));
        let won = is("hs_is_closed_won", stage.is_some_and(|(_, stage)| stage.is_won()));
        let status = match (closed, won) {
            (_, true) => Status::Won,
            (true, false) => Status::Lost,
            (false, false) => Status::Open,
        };
        let pipeline_id = text("pipeline").unwrap_or_else(|| "default".to_owned());
        let pipeline = self.pipelines.iter().find(|pipeline| pipeline.id == pipeline_id);
        let closing = text("closedate").and_then(|text| instant(&text));
        let probability =
            text("hs_deal_stage_probability").or_else(|| stage.map(|(_, stage)| stage.probability.clone()));
        Published {
            id: deal.id.to_string(),
            name: text("dealname").filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "(untitled)".to_owned()),
            company: self.company_of(deal),
            stage: stage.map(|(_, stage)| stage.label.clone()).or_else(|| text("dealstage")),
            value: text("amount").and_then(|amount| exact(&amount)),
            probability: probability.and_then(|chance| fraction(&chance)),
            owner: text("hubspot_owner_id").map(|id| self.owner_name(&id)),
            created_at: Some(deal.created_at),
            updated_at: Some(deal.updated_at),
            status,
            currency: text("deal_currency_code").unwrap_or_else(|| self.currency.clone()),
            pipeline: pipeline.map_or_else(|| pipeline_id.clone(), |pipeline| pipeline.label.clone()),
            pipeline_id,
            stage_id: text("dealstage"),
            close_date: closing.map(|closing| closing.with_timezone(&zone).date_naive()),
            closed_at: closing.filter(|_| status != Status::Open),
            stage_entered_at: text("hs_v2_date_entered_current_stage").and_then(|text| instant(&text)),
            owner_id: text("hubspot_owner_id"),
            forecast_category: text("hs_manual_forecast_category"),
            deal_type: text("dealtype"),
            lost_reason: text("closed_lost_reason"),
            url: self::url(deal.id),
        }
    }

    /// The association marked primary wins, then the property, then the only or lowest one.
    fn company_of(&self, deal: &Deal) -> Option<String> {
        let marked = deal.companies.iter().find(|link| link.primary).map(|link| link.company.to_string());
        let lowest = || deal.companies.iter().map(|link| link.company).min().map(|id| id.to_string());
        let id = marked.or_else(|| self.text(deal, "hs_primary_associated_company")).or_else(lowest)?;
        let company = id.parse().ok().and_then(|id| self.company(id));
        let name = company.and_then(|(_, company)| company.name.clone().or_else(|| company.domain.clone()));
        Some(name.unwrap_or(id))
    }

    fn owner_name(&self, id: &str) -> String {
        let Some(owner) = id.parse().ok().and_then(|id: u64| self.owners.get(&id)) else { return id.to_owned() };
        let name = format!("{} {}", owner.first_name, owner.last_name).trim().to_owned();
        let named = (!name.is_empty()).then_some(name).or_else(|| owner.email.clone());
        named.unwrap_or_else(|| format!("Owner {id}"))
    }
}

/// Where people see a deal.
pub(super) fn url(deal: u64) -> String {
    format!("https://app.hubspot.com/contacts/{PORTAL}/record/0-3/{deal}")
}

/// An instant as HubSpot writes it.
pub(super) fn written(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An instant in any of HubSpot's notations.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    match text.parse::<i64>() {
        Ok(milliseconds) => DateTime::from_timestamp_millis(milliseconds),
        Err(_) => DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc()),
    }
}

/// A number in any of HubSpot's notations, exact.
fn exact(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
}

fn fraction(text: &str) -> Option<Decimal> {
    let chance = Decimal::from_f64(f64::from_str(text).ok()?)?.round_dp(6).normalize();
    (Decimal::ZERO..=Decimal::ONE).contains(&chance).then_some(chance)
}

/// A fraction as HubSpot sends it: every digit of the nearest double.
fn expanded(fraction: &str) -> String {
    let nearest = f64::from_str(fraction).expect("a stage's probability is a number");
    let digits = format!("{nearest:.60}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}
