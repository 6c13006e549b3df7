//! What a Pipedrive account holds, and what can happen to it.
//!
//! Apart from the server, which only shows it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use rust_decimal::Decimal;
use sales_pipeline::model::deal::Status;
use serde_json::{Value, json};

/// The account's subdomain.
pub(crate) const COMPANY_DOMAIN: &str = "acme";
/// The first id of an invented deal: the ninth has a digit more, so that the order of texts is not that of numbers.
const FIRST_DEAL: u64 = 99_950;
/// The first id of an invented organization.
pub(crate) const FIRST_ORGANIZATION: u64 = 9_001;
/// How long a deleted deal can still be listed.
const RECYCLED: TimeDelta = TimeDelta::days(30);

/// A deal as Pipedrive stores it. Numbers are JSON as it goes over the wire, since it has several notations.
#[derive(Debug, Clone)]
pub(crate) struct Deal {
    pub(crate) id: u64,
    pub(crate) title: Option<String>,
    pub(crate) owner: Option<u64>,
    pub(crate) organization: Option<u64>,
    pub(crate) pipeline: u64,
    pub(crate) stage: u64,
    pub(crate) value: Option<String>,
    pub(crate) currency: Option<String>,
    pub(crate) status: Status,
    /// Percent.
    pub(crate) probability: Option<String>,
    pub(crate) lost_reason: Option<String>,
    pub(crate) expected_close: Option<NaiveDate>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
    pub(crate) stage_changed_at: Option<DateTime<Utc>>,
    pub(crate) added_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) archived_at: Option<DateTime<Utc>>,
    pub(crate) deleted_at: Option<DateTime<Utc>>,
    /// 1: its owner alone; 3: the whole company. Administrators see all.
    pub(crate) visible_to: u8,
    /// By the hash of the field.
    pub(crate) custom: BTreeMap<String, Value>,
}

/// An open deal with nothing but an id and an owner, in the first stage of the first pipeline.
pub(crate) fn bare_deal(id: u64) -> Deal {
    let added_at = beginning() - TimeDelta::days(200);
    Deal {
        id,
        title: None,
        owner: Some(7),
        organization: None,
        pipeline: 1,
        stage: 1,
        value: None,
        currency: Some("EUR".to_owned()),
        status: Status::Open,
        probability: None,
        lost_reason: None,
        expected_close: None,
        closed_at: None,
        stage_changed_at: None,
        added_at,
        updated_at: added_at,
        archived_at: None,
        deleted_at: None,
        visible_to: 3,
        custom: BTreeMap::new(),
    }
}

/// A company that deals belong to.
#[derive(Debug, Clone)]
pub(crate) struct Organization {
    pub(crate) name: String,
    pub(crate) owner: u64,
    pub(crate) visible_to: u8,
    pub(crate) is_deleted: bool,
    pub(crate) updated_at: DateTime<Utc>,
}

/// An organization that everybody sees.
pub(crate) fn organization(name: &str) -> Organization {
    Organization { name: name.to_owned(), owner: 7, visible_to: 3, is_deleted: false, updated_at: beginning() }
}

/// Somebody who works there, or did.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) is_active: bool,
    pub(crate) is_admin: bool,
    pub(crate) currency: String,
}

/// An active user who is not an administrator.
pub(crate) fn user(name: &str) -> User {
    User { name: name.to_owned(), is_active: true, is_admin: false, currency: "EUR".to_owned() }
}

/// A pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) name: String,
    /// Whether deals may have a probability of their own.
    pub(crate) has_probability: bool,
    pub(crate) is_deleted: bool,
}

/// A stage of a pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) pipeline: u64,
    /// Its place in the pipeline.
    pub(crate) order: u64,
    /// Percent.
    pub(crate) probability: Option<u8>,
    pub(crate) is_deleted: bool,
}

/// A currency that the account knows.
#[derive(Debug, Clone)]
pub(crate) struct Currency {
    pub(crate) decimals: u32,
    pub(crate) is_active: bool,
    /// Made up by the account.
    pub(crate) is_custom: bool,
    /// The worth of one unit in the account's own currency; old currencies have none.
    pub(crate) rate: Option<Decimal>,
}

/// A custom field of deals.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) code: String,
    pub(crate) name: String,
    /// `varchar`, `enum`, `set`, `monetary`, …
    pub(crate) kind: &'static str,
    pub(crate) options: Vec<(u64, String)>,
}

/// A custom field without options; its code is made up from a number.
pub(crate) fn field(number: u64, name: &str, kind: &'static str) -> Field {
    Field { code: format!("{number:040x}"), name: name.to_owned(), kind, options: Vec::new() }
}

/// The account.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) deals: BTreeMap<u64, Deal>,
    pub(crate) organizations: BTreeMap<u64, Organization>,
    pub(crate) users: BTreeMap<u64, User>,
    /// Whose token it is.
    pub(crate) me: u64,
    pub(crate) pipelines: BTreeMap<u64, Pipeline>,
    pub(crate) stages: BTreeMap<u64, Stage>,
    /// Whether lists hold deleted pipelines and stages too; nobody documents it.
    pub(crate) lists_deleted: bool,
    pub(crate) currencies: BTreeMap<String, Currency>,
    pub(crate) fields: Vec<Field>,
    /// The highest id a deal ever had.
    last_id: u64,
    /// What time it is there; every change takes a second.
    pub(crate) now: DateTime<Utc>,
}

/// The time in a new account.
pub(crate) fn beginning() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// So many deals as a company has them: every stage of two pipelines, every status, amounts in every notation.
pub(crate) fn deals(count: u64) -> Vec<Deal> {
    (0..count).map(invented).collect()
}

fn invented(number: u64) -> Deal {
    let (pipeline, stage) = if number % 3 == 2 { (2, 5 + number % 2) } else { (1, 1 + number % 4) };
    let mut deal = bare_deal(FIRST_DEAL + number * 7);
    deal.title = Some(format!("Deal {number} – ünïcode 🦀"));
    (deal.pipeline, deal.stage) = (pipeline, stage);
    deal.owner = Some(7 + number % 4);
    deal.organization = (number % 5 != 4).then_some(FIRST_ORGANIZATION + number % 50);
    deal.value = amount(number);
    deal.currency = Some(["EUR", "USD", "JPY", "GBP"][usize::try_from(number).unwrap() % 4].to_owned());
    deal.probability = (number % 7 < 2).then(|| (number % 101).to_string());
    deal.added_at += TimeDelta::minutes(i64::try_from(number).unwrap());
    deal.updated_at = deal.added_at + TimeDelta::seconds(118);
    if number % 6 != 5 {
        deal.stage_changed_at = Some(deal.updated_at);
        deal.expected_close = NaiveDate::from_ymd_opt(2026, 12, u32::try_from(number % 28).unwrap() + 1);
    }
    (deal.status, deal.lost_reason) = match number % 10 {
        3 => (Status::Won, None),
        6 => (Status::Lost, None),
        8 => (Status::Lost, Some("Price, \"too high\"".to_owned())),
        _ => (Status::Open, None),
    };
    deal.closed_at = (deal.status != Status::Open).then_some(deal.updated_at);
    deal
}

/// An amount in one of JSON's notations.
fn amount(number: u64) -> Option<String> {
    Some(match number % 7 {
        0 => format!("{}.5", number * 125),
        1 => format!("{number}"),
        2 => format!("{}.00", number * 10),
        3 => format!("{number}.25E2"),
        4 => "0".to_owned(),
        5 => format!("{}.07", number * 1000),
        _ => return None,
    })
}

impl Account {
    /// An account that holds these deals, sixty organizations, five users, two pipelines and five currencies; the token
    /// is an administrator's.
    pub(crate) fn new(deals: Vec<Deal>) -> Self {
        let last_id = deals.iter().map(|deal| deal.id).max().unwrap_or(FIRST_DEAL);
        let company =
            |number| (FIRST_ORGANIZATION + number, organization(&format!("Company {number} GmbH & Co. <KG>")));
        let mut users: BTreeMap<u64, User> =
            (7..).zip(["Aino Salo", "Old Rep", "Bo Østergård", "Cy", "Never Sold"].map(user)).collect();
        users.get_mut(&7).unwrap().is_admin = true;
        users.get_mut(&8).unwrap().is_active = false;
        Self {
            deals: deals.into_iter().map(|deal| (deal.id, deal)).collect(),
            organizations: (0..60).map(company).collect(),
            users,
            me: 7,
            pipelines: [(1, pipeline("EU sales", true)), (2, pipeline("Renewals", false))].into(),
            stages: stages(),
            lists_deleted: false,
            currencies: currencies(),
            fields: Vec::new(),
            last_id,
            now: beginning(),
        }
    }

    /// Whether the token's user sees what belongs to `owner` and is shown to `visible_to`.
    pub(super) fn sees(&self, owner: Option<u64>, visible_to: u8) -> bool {
        visible_to == 3 || owner == Some(self.me) || self.me().is_admin
    }

    /// Whose token it is.
    pub(super) fn me(&self) -> &User {
        &self.users[&self.me]
    }

    /// Every deal that can be listed at all, archived and lately deleted ones too, in the order of ids.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Deal> {
        let recycled = move |deal: &Deal| deal.deleted_at.is_none_or(|deleted| self.now - deleted < RECYCLED);
        self.deals.values().filter(move |deal| self.sees(deal.owner, deal.visible_to) && recycled(deal))
    }

    /// The organizations that can be read.
    pub(super) fn visible_organizations(&self) -> impl Iterator<Item = (u64, &Organization)> {
        let own = self.organizations.iter().map(|(id, organization)| (*id, organization));
        own.filter(|(_, one)| !one.is_deleted && self.sees(Some(one.owner), one.visible_to))
    }

    /// The pipelines that are listed.
    pub(super) fn listed_pipelines(&self) -> impl Iterator<Item = (u64, &Pipeline)> {
        let own = self.pipelines.iter().map(|(id, pipeline)| (*id, pipeline));
        own.filter(|(_, pipeline)| self.lists_deleted || !pipeline.is_deleted)
    }

    /// The stages that are listed.
    pub(super) fn listed_stages(&self) -> impl Iterator<Item = (u64, &Stage)> {
        let own = self.stages.iter().map(|(id, stage)| (*id, stage));
        own.filter(|(_, stage)| self.lists_deleted || !stage.is_deleted)
    }
}

fn pipeline(name: &str, has_probability: bool) -> Pipeline {
    Pipeline { name: name.to_owned(), has_probability, is_deleted: false }
}

/// Two pipelines' stages; one name stands in both.
fn stages() -> BTreeMap<u64, Stage> {
    let stage = |name: &str, pipeline, order, probability| Stage {
        name: name.to_owned(),
        pipeline,
        order,
        probability: Some(probability),
        is_deleted: false,
    };
    let all = [
        stage("Qualified", 1, 1, 20),
        stage("Contact made", 1, 2, 35),
        stage("Proposal made", 1, 3, 60),
        stage("Negotiations", 1, 4, 80),
        stage("Qualified", 2, 1, 10),
        stage("Renewal sent", 2, 2, 100),
    ];
    (1..).zip(all).collect()
}

fn currencies() -> BTreeMap<String, Currency> {
    let known = [
        ("EUR", 2, Some(Decimal::ONE)),
        ("GBP", 2, Some(Decimal::new(119, 2))),
        ("JPY", 0, Some(Decimal::new(61, 4))),
        ("USD", 2, Some(Decimal::new(92, 2))),
        ("HRK", 2, None),
    ];
    let currency =
        |decimals, rate: Option<Decimal>| Currency { decimals, is_active: rate.is_some(), is_custom: false, rate };
    known.into_iter().map(|(code, decimals, rate)| (code.to_owned(), currency(decimals, rate))).collect()
}

/// What can happen to an account. Archiving does not count as a change of a deal.
impl Account {
    fn tick(&mut self) -> DateTime<Utc> {
        self.now += TimeDelta::seconds(1);
        self.now
    }

    /// The ids of the deals that are listed by default: neither deleted nor archived.
    pub(crate) fn live(&self) -> Vec<u64> {
        let live = self.visible().filter(|deal| deal.deleted_at.is_none() && deal.archived_at.is_none());
        live.map(|deal| deal.id).collect()
    }

    /// A new deal; its id is above all that ever were, unless it brings one (0: none).
    pub(crate) fn create(&mut self, mut deal: Deal) -> u64 {
        let now = self.tick();
        if deal.id == 0 {
            deal.id = self.last_id + 1;
        }
        self.last_id = self.last_id.max(deal.id);
        (deal.added_at, deal.updated_at) = (now, now);
        let id = deal.id;
        self.deals.insert(id, deal);
        id
    }

    /// Somebody edits a deal.
    pub(crate) fn update(&mut self, id: u64, change: impl FnOnce(&mut Deal)) {
        let now = self.tick();
        let deal = self.deals.get_mut(&id).unwrap_or_else(|| panic!("there is no deal {id}"));
        change(deal);
        deal.updated_at = now;
    }

    /// Deletes a deal: it can be listed as such for a while.
    pub(crate) fn delete(&mut self, id: u64) {
        let now = self.now;
        self.update(id, |deal| deal.deleted_at = Some(now));
    }

    /// Takes a deal out of the way; it is listed apart.
    pub(crate) fn archive(&mut self, id: u64) {
        let now = self.tick();
        self.deals.get_mut(&id).expect("the deal is there").archived_at = Some(now);
    }

    /// Merges one deal into another, which stays; the first vanishes without a trace.
    pub(crate) fn merge(&mut self, loser: u64, winner: u64) {
        let gone = self.deals.remove(&loser).expect("the deal is there");
        self.update(winner, |deal| deal.organization = deal.organization.or(gone.organization));
    }

    /// Moves a deal to a stage, perhaps of another pipeline.
    pub(crate) fn move_stage(&mut self, id: u64, stage: u64) {
        let (now, pipeline) = (self.now, self.stages[&stage].pipeline);
        self.update(id, |deal| {
            (deal.pipeline, deal.stage, deal.stage_changed_at) = (pipeline, stage, Some(now));
        });
    }

    /// Wins, loses or reopens a deal.
    pub(crate) fn close(&mut self, id: u64, status: Status) {
        let now = self.now;
        self.update(id, |deal| (deal.status, deal.closed_at) = (status, (status != Status::Open).then_some(now)));
    }

    /// Gives an organization another name.
    pub(crate) fn rename_organization(&mut self, id: u64, name: &str) {
        let updated_at = self.tick();
        let organization = self.organizations.get_mut(&id).expect("the organization is there");
        *organization = Organization { name: name.to_owned(), updated_at, ..organization.clone() };
    }

    /// Deletes an organization; deals still name it.
    pub(crate) fn delete_organization(&mut self, id: u64) {
        self.organizations.get_mut(&id).expect("the organization is there").is_deleted = true;
    }

    /// Somebody leaves; deals still name them.
    pub(crate) fn deactivate_user(&mut self, id: u64) {
        self.users.get_mut(&id).expect("the user is there").is_active = false;
    }

    /// Deletes a stage; deals still name it.
    pub(crate) fn delete_stage(&mut self, id: u64) {
        self.stages.get_mut(&id).expect("the stage is there").is_deleted = true;
    }
}

impl Field {
    /// A value as it is shown with its options' labels.
    pub(super) fn labelled(&self, value: &Value) -> Value {
        let label = |id: &Value| {
            let option = self.options.iter().find(|(option, _)| Some(*option) == id.as_u64());
            option.map_or(Value::Null, |(id, label)| json!({"id": id, "label": label}))
        };
        match (self.kind, value) {
            ("enum", id) => label(id),
            ("set", Value::Array(ids)) => ids.iter().map(label).collect(),
            _ => value.clone(),
        }
    }
}

/// An instant as version 2 writes it.
pub(super) fn written(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// An instant as version 1 writes it: in UTC, and it does not say so.
pub(super) fn old_time(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// The status as Pipedrive says it.
pub(super) fn status(deal: &Deal) -> &'static str {
    match (deal.deleted_at, deal.status) {
        (Some(_), _) => "deleted",
        (None, Status::Open) => "open",
        (None, Status::Won) => "won",
        (None, Status::Lost) => "lost",
    }
}
