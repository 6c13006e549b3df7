//! What a Salesforce org holds, and what can happen to it.
//!
//! Apart from the server, so that a test speaks of deals, stages and accounts without a word of HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use super::schema::{Cell, Field, Kind};

/// A record's own values; what is not there is null.
pub(crate) type Record = BTreeMap<&'static str, Cell>;

/// The records of an object by their ids of 18 characters, deleted ones too.
pub(super) type Table = BTreeMap<String, Arc<Record>>;

/// An id of 18 characters: the object's prefix, the org's pod, a number.
pub(crate) fn id(prefix: &str, number: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digit = |place: u32| char::from(DIGITS[usize::try_from(number / 62_u64.pow(place) % 62).unwrap()]);
    let number: String = (0..9).rev().map(digit).collect();
    suffixed(&format!("{prefix}5g0{number}"))
}

/// An id of 15 characters, whose case counts, with the three that make up for case.
pub(crate) fn suffixed(short: &str) -> String {
    const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let check = |group: &[u8]| {
        let capitals = group.iter().enumerate().filter(|(_, letter)| letter.is_ascii_uppercase());
        char::from(SUFFIX[capitals.map(|(place, _)| 1 << place).sum::<usize>()])
    };
    assert_eq!(short.len(), 15, "{short} is no short id");
    short.chars().chain(short.as_bytes().chunks(5).map(check)).collect()
}

/// The id of an invented deal. That of the third differs from that of the first in the case of one letter only.
pub(crate) fn deal_id(number: u64) -> String {
    id("006", 199_999_999_972 + 13 * number)
}

/// The id of an invented account.
pub(crate) fn account_id(number: u64) -> String {
    id("001", 100_000 + number)
}

/// The id of an invented user; the last one has left.
pub(crate) fn user_id(number: u64) -> String {
    id("005", 7_000 + number)
}

/// The id of a record type: 0 is New Business, 1 is Renewals.
pub(crate) fn record_type_id(number: u64) -> String {
    id("012", 30 + number)
}

/// The org's own id.
pub(crate) fn org_id() -> String {
    id("00D", 4_711)
}

/// The time in a new org.
pub(crate) fn beginning() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// A deal: its id and its fields.
#[derive(Debug, Clone)]
pub(crate) struct Deal {
    pub(crate) id: String,
    pub(crate) record: Record,
}

/// A deal with what the platform requires: a name, the first stage, a closing day, an owner.
pub(crate) fn bare_deal(id: &str) -> Deal {
    let created = Cell::Instant(beginning() - TimeDelta::days(200));
    let deal = Deal { id: id.to_owned(), record: Record::new() };
    let deal = deal
        .with("Name", Cell::text("A deal"))
        .with("CloseDate", Cell::day("2026-12-31"))
        .with("OwnerId", Cell::text(user_id(0)))
        .with("CurrencyIsoCode", Cell::text("EUR"))
        .with("IsPrivate", Cell::Truth(false))
        .with("IsDeleted", Cell::Truth(false));
    let dated = ["CreatedDate", "LastModifiedDate", "SystemModstamp"];
    let deal = dated.into_iter().fold(deal, |deal, field| deal.with(field, created.clone()));
    let by = ["CreatedById", "LastModifiedById"];
    let deal = by.into_iter().fold(deal, |deal, field| deal.with(field, Cell::text(user_id(0))));
    deal.staged(&stages()[0])
}

impl Deal {
    /// Sets a field.
    pub(crate) fn with(mut self, field: &'static str, cell: Cell) -> Self {
        self.record.insert(field, cell);
        self
    }

    /// Puts it into a stage, with all that follows from it.
    fn staged(mut self, stage: &Stage) -> Self {
        self.record.extend(stage.to_deal());
        self
    }
}

/// A stage that deals can be in.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) api_name: &'static str,
    pub(crate) label: &'static str,
    /// In percent.
    pub(crate) probability: u32,
    pub(crate) closed: bool,
    pub(crate) won: bool,
    pub(crate) forecast: (&'static str, &'static str),
}

impl Stage {
    /// What a deal has from its stage.
    fn to_deal(&self) -> [(&'static str, Cell); 6] {
        [
            ("StageName", Cell::text(self.api_name)),
            ("Probability", Cell::Number(self.probability.into())),
            ("IsClosed", Cell::Truth(self.closed)),
            ("IsWon", Cell::Truth(self.won)),
            ("ForecastCategory", Cell::text(self.forecast.0)),
            ("ForecastCategoryName", Cell::text(self.forecast.1)),
        ]
    }
}

/// The stages of a new org: one label differs from its name in the interface.
fn stages() -> [Stage; 6] {
    let open = |api_name, label, probability, forecast| Stage {
        api_name,
        label,
        probability,
        closed: false,
        won: false,
        forecast,
    };
    let closed = |api_name, won| {
        let (probability, forecast) = if won { (100, ("Closed", "Closed")) } else { (0, ("Omitted", "Omitted")) };
        Stage { api_name, label: api_name, probability, closed: true, won, forecast }
    };
    [
        open("Prospecting", "Prospecting", 10, ("Pipeline", "Pipeline")),
        open("Proposal/Price Quote", "Angebot \"fest\"", 65, ("BestCase", "Best Case")),
        open("Negotiation/Review", "Negotiation/Review", 90, ("Forecast", "Commit")),
        closed("Closed Won", true),
        closed("Closed Lost", false),
        open("Value Proposition", "Value Proposition", 50, ("Pipeline", "Pipeline")),
    ]
}

/// So many deals as a company has them: every stage, both record types and none, amounts of every size and currency,
/// owners and accounts of every sort.
pub(crate) fn deals(count: u64) -> Vec<Deal> {
    (0..count).map(invented).collect()
}

fn invented(number: u64) -> Deal {
    let pick = usize::try_from(number).unwrap();
    let currency = ["EUR", "USD", "JPY", "KWD"][pick % 4];
    let created = beginning() - TimeDelta::days(300) + TimeDelta::minutes(i64::try_from(number).unwrap());
    let entered = created + TimeDelta::hours(30);
    let mut deal = bare_deal(&deal_id(number))
        .staged(&stages()[pick % 5])
        .with("Name", Cell::text(name(number)))
        .with("Description", Cell::text(format!("First line,\nsecond; \"third\" of {number}\r\n")))
        .with("CurrencyIsoCode", Cell::text(currency))
        .with("Amount", amount(number, currency))
        .with("OwnerId", Cell::text(user_id(number % 5)))
        .with("CloseDate", Cell::day(&format!("2026-{:02}-{:02}", number % 6 + 7, number % 30 + 1)))
        .with("CreatedDate", Cell::Instant(created))
        .with("LastModifiedDate", Cell::Instant(entered))
        .with("SystemModstamp", Cell::Instant(entered + TimeDelta::seconds(7)))
        .with("LastStageChangeDate", if number % 6 == 5 { Cell::Null } else { Cell::Instant(entered) });
    if number % 5 != 4 {
        deal = deal.with("AccountId", Cell::text(account_id(number % 53)));
    }
    if number % 3 != 2 {
        deal = deal.with("RecordTypeId", Cell::text(record_type_id(number % 3)));
    }
    if number % 7 == 6 {
        deal = deal.with("Probability", Cell::Null);
    }
    if number % 7 == 5 {
        deal = deal.with("Probability", Cell::number("33"));
    }
    if number % 4 == 1 {
        deal = deal.with("Type", Cell::text("New Customer")).with("LastActivityDate", Cell::day("2026-11-03"));
    }
    deal
}

fn name(number: u64) -> String {
    match number % 4 {
        0 => format!("=Deal {number}, \"quoted\" – ünïcode 🦀"),
        1 => format!("Deal {number} 'single' \\ slash"),
        _ => format!("Deal {number}"),
    }
}

/// An amount to the minor unit of its currency, or none.
fn amount(number: u64, currency: &str) -> Cell {
    let scale = match currency {
        "JPY" => 0,
        "KWD" => 3,
        _ => 2,
    };
    let number = i64::try_from(number).unwrap();
    match number % 10 {
        9 => Cell::Null,
        8 => Cell::Number(Decimal::from(10_000_000 * (number + 1))),
        7 => Cell::Number(Decimal::ZERO),
        6 => Cell::Number(Decimal::new(-number * 101, scale)),
        _ => Cell::Number(Decimal::new(number * 12_345 + 7, scale)),
    }
}

/// The org.
#[derive(Debug, Clone)]
pub(crate) struct Org {
    tables: BTreeMap<&'static str, Table>,
    /// Whether deals have a currency of their own.
    pub(crate) multi_currency: bool,
    /// Whether rates have dates (advanced currency management).
    pub(crate) dated_rates: bool,
    /// What the user may not see: an object's field, or with an empty name the whole object.
    pub(super) hidden: BTreeSet<(&'static str, &'static str)>,
    /// Fields of deals that the org made up.
    pub(super) custom: Vec<Field>,
    /// When fields were last made up, hidden or shown.
    pub(super) defined_at: DateTime<Utc>,
    last_number: u64,
    /// What time it is there; every change takes a second.
    pub(crate) now: DateTime<Utc>,
}

impl Org {
    /// An org of one currency that holds these deals, fifty-three accounts, five users, two record types, six stages.
    pub(crate) fn new(deals: Vec<Deal>) -> Self {
        let mut org = Self {
            tables: BTreeMap::new(),
            multi_currency: false,
            dated_rates: false,
            hidden: BTreeSet::new(),
            custom: Vec::new(),
            defined_at: beginning() - TimeDelta::days(400),
            last_number: 900_000_000_000,
            now: beginning(),
        };
        let deals = deals.into_iter().map(|deal| (deal.id, Arc::new(deal.record)));
        org.tables.insert("Opportunity", deals.collect());
        org.furnish();
        org
    }

    fn furnish(&mut self) {
        for number in 0..53 {
            let name =
                if number == 7 { "Ann \"Annie\" Person".to_owned() } else { format!("Account {number} GmbH, & Co.") };
            self.put("Account", account_id(number), [("Name", Cell::text(name)), ("IsDeleted", Cell::Truth(false))]);
        }
        for (number, name) in (0..).zip(["Ann Lee", "Bo", "Öla Ünal", "Дана Ivanova", "Eve Gone"]) {
            let active = Cell::Truth(number != 4);
            self.put("User", user_id(number), [("Name", Cell::text(name)), ("IsActive", active)]);
        }
        for (number, name) in (0..).zip(["New Business", "Renewals"]) {
            let developer = Cell::text(name.replace(' ', "_"));
            let fields = [("Name", Cell::text(name)), ("DeveloperName", developer)];
            let more = [("SobjectType", Cell::text("Opportunity")), ("IsActive", Cell::Truth(true))];
            self.put("RecordType", record_type_id(number), fields.into_iter().chain(more));
        }
        for (place, stage) in (0_u32..).zip(stages()) {
            self.put_stage(place, &stage);
        }
        let name = [("Name", Cell::text("Acme AG")), ("DefaultCurrencyIsoCode", Cell::text("EUR"))];
        let more = [("InstanceName", Cell::text("EU51")), ("IsSandbox", Cell::Truth(false))];
        let kind = [("OrganizationType", Cell::text("Enterprise Edition"))];
        self.put("Organization", org_id(), name.into_iter().chain(more).chain(kind));
        for (code, rate, places) in
            [("EUR", "1", "2"), ("USD", "1.1", "2"), ("JPY", "160.5", "0"), ("KWD", "0.33", "3")]
        {
            self.put_currency(code, rate, places);
        }
    }

    fn put_stage(&mut self, place: u32, stage: &Stage) {
        let own = [
            ("ApiName", Cell::text(stage.api_name)),
            ("MasterLabel", Cell::text(stage.label)),
            ("IsActive", Cell::Truth(true)),
            ("DefaultProbability", Cell::Number(stage.probability.into())),
            ("SortOrder", Cell::Number((place + 1).into())),
        ];
        let shared = stage.to_deal().into_iter().filter(|(name, _)| !["StageName", "Probability"].contains(name));
        self.put("OpportunityStage", id("01J", u64::from(place)), own.into_iter().chain(shared));
    }

    fn put_currency(&mut self, code: &'static str, rate: &str, places: &str) {
        let fields = [
            ("IsoCode", Cell::text(code)),
            ("ConversionRate", Cell::number(rate)),
            ("DecimalPlaces", Cell::number(places)),
            ("IsActive", Cell::Truth(true)),
            ("IsCorporate", Cell::Truth(code == "EUR")),
        ];
        let number = self.fresh_number();
        self.put("CurrencyType", id("01L", number), fields);
    }

    fn fresh_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn put(&mut self, object: &'static str, id: String, fields: impl IntoIterator<Item = (&'static str, Cell)>) {
        let mut record: Record = fields.into_iter().collect();
        let now = Cell::Instant(self.now);
        record.extend([("LastModifiedDate", now.clone()), ("SystemModstamp", now)]);
        self.tables.entry(object).or_default().insert(id, Arc::new(record));
    }

    pub(super) fn table(&self, object: &str) -> &Table {
        static NONE: Table = Table::new();
        self.tables.get(object).unwrap_or(&NONE)
    }

    /// A record's field; its id is one of them.
    pub(super) fn cell(&self, object: &str, id: &str, field: Field) -> Cell {
        if field.kind == Kind::Id {
            return Cell::text(id.to_owned());
        }
        self.table(object).get(id).and_then(|record| record.get(field.name)).cloned().unwrap_or(Cell::Null)
    }

    /// Whether a record is in the recycle bin.
    pub(super) fn is_deleted(record: &Record) -> bool {
        record.get("IsDeleted") == Some(&Cell::Truth(true))
    }

    /// The org's own currency.
    pub(super) fn currency(&self) -> &str {
        let organization = self.table("Organization").values().next().expect("there is one organization");
        organization["DefaultCurrencyIsoCode"].as_text().expect("it has a currency")
    }
}

/// What can happen to an org. Each change takes a second; `SystemModstamp` follows all of them, `LastModifiedDate` only
/// what a person did to the record itself.
impl Org {
    fn tick(&mut self) -> DateTime<Utc> {
        self.now += TimeDelta::seconds(1);
        self.now
    }

    fn edit(&mut self, object: &str, id: &str, by_hand: bool, change: impl FnOnce(&mut Record)) {
        let now = Cell::Instant(self.tick());
        let record = self.tables.get_mut(object).and_then(|table| table.get_mut(id)).map(Arc::make_mut);
        let record = record.unwrap_or_else(|| panic!("there is no {object} {id}"));
        change(record);
        if by_hand {
            record.insert("LastModifiedDate", now.clone());
        }
        record.insert("SystemModstamp", now);
    }

    /// The ids of the deals that are not deleted.
    pub(crate) fn live(&self) -> Vec<String> {
        let live = self.table("Opportunity").iter().filter(|(_, record)| !Self::is_deleted(record));
        live.map(|(id, _)| id.clone()).collect()
    }

    /// Sets a field of a deal.
    pub(crate) fn set(&mut self, deal: &str, field: &'static str, cell: Cell) {
        self.edit("Opportunity", deal, true, |record| {
            record.insert(field, cell);
        });
    }

    /// A new deal; its id is above all that ever were, unless it brings one (an empty one is none).
    pub(crate) fn create(&mut self, mut deal: Deal) -> String {
        let now = Cell::Instant(self.tick());
        if deal.id.is_empty() {
            deal.id = id("006", self.fresh_number());
        }
        for field in ["CreatedDate", "LastModifiedDate", "SystemModstamp"] {
            deal.record.insert(field, now.clone());
        }
        self.tables.entry("Opportunity").or_default().insert(deal.id.clone(), Arc::new(deal.record));
        deal.id
    }

    /// Puts a deal into the recycle bin.
    pub(crate) fn delete(&mut self, deal: &str) {
        self.set(deal, "IsDeleted", Cell::Truth(true));
    }

    /// Takes a deal out of the recycle bin.
    pub(crate) fn undelete(&mut self, deal: &str) {
        self.set(deal, "IsDeleted", Cell::Truth(false));
    }

    /// Deletes a deal for good; nothing tells of it.
    pub(crate) fn purge(&mut self, deal: &str) {
        self.tick();
        self.tables.get_mut("Opportunity").and_then(|table| table.remove(deal)).expect("the deal is there");
    }

    /// Moves a deal to another stage, which may close it or open it again.
    pub(crate) fn move_stage(&mut self, deal: &str, api_name: &str) {
        let now = self.now;
        let stage = self.stage(api_name).expect("the stage is there");
        let taken = ["IsClosed", "IsWon", "ForecastCategory", "ForecastCategoryName"];
        let mut taken: Record = taken.into_iter().map(|field| (field, stage[field].clone())).collect();
        taken.insert("StageName", stage["ApiName"].clone());
        taken.insert("Probability", stage["DefaultProbability"].clone());
        taken.insert("LastStageChangeDate", Cell::Instant(now));
        self.edit("Opportunity", deal, true, |record| record.extend(taken));
    }

    /// The stage that deals name so.
    pub(super) fn stage(&self, api_name: &str) -> Option<&Record> {
        let named = |record: &&Arc<Record>| record["ApiName"].as_text() == Some(api_name);
        self.table("OpportunityStage").values().find(named).map(AsRef::as_ref)
    }

    fn stage_id(&self, api_name: &str) -> String {
        let named = |(_, record): &(&String, &Arc<Record>)| record["ApiName"].as_text() == Some(api_name);
        self.table("OpportunityStage").iter().find(named).expect("the stage is there").0.clone()
    }

    /// Gives a stage another label; no deal changes.
    pub(crate) fn relabel_stage(&mut self, api_name: &str, label: &'static str) {
        let stage = self.stage_id(api_name);
        self.edit("OpportunityStage", &stage, true, |record| {
            record.insert("MasterLabel", Cell::text(label));
        });
    }

    /// Gives a stage another value: its deals are rewritten, and nobody did it by hand.
    pub(crate) fn rename_stage(&mut self, api_name: &str, to: &'static str) {
        let stage = self.stage_id(api_name);
        self.edit("OpportunityStage", &stage, true, |record| {
            record.insert("ApiName", Cell::text(to));
        });
        for deal in self.in_stage(api_name) {
            self.edit("Opportunity", &deal, false, |record| {
                record.insert("StageName", Cell::text(to));
            });
        }
    }

    fn in_stage(&self, api_name: &str) -> Vec<String> {
        let is_in = |record: &Record| record["StageName"].as_text() == Some(api_name);
        self.table("Opportunity").iter().filter(|(_, record)| is_in(record)).map(|(id, _)| id.clone()).collect()
    }

    /// Deletes a stage; its deals keep the value and all they had from it.
    pub(crate) fn delete_stage(&mut self, api_name: &str) {
        self.tick();
        let stage = self.stage_id(api_name);
        self.tables.get_mut("OpportunityStage").and_then(|table| table.remove(&stage)).expect("it was found above");
    }

    /// Deletes every stage.
    pub(crate) fn without_stages(&mut self) {
        for stage in stages() {
            self.delete_stage(stage.api_name);
        }
    }

    /// Gives an account another name; its deals do not notice.
    pub(crate) fn rename_account(&mut self, account: &str, name: &'static str) {
        self.edit("Account", account, true, |record| {
            record.insert("Name", Cell::text(name));
        });
    }

    /// Gives a user another name; its deals do not notice.
    pub(crate) fn rename_user(&mut self, user: &str, name: &'static str) {
        self.edit("User", user, true, |record| {
            record.insert("Name", Cell::text(name));
        });
    }

    /// Gives a record type another name; its deals do not notice.
    pub(crate) fn rename_record_type(&mut self, record_type: &str, name: &'static str) {
        self.edit("RecordType", record_type, true, |record| {
            record.insert("Name", Cell::text(name));
        });
    }

    /// Lets one account take in another, whose deals move over.
    pub(crate) fn merge_accounts(&mut self, winner: &str, loser: &str) {
        self.edit("Account", loser, true, |record| {
            record.insert("IsDeleted", Cell::Truth(true));
        });
        let belongs = |record: &Record| record.get("AccountId").and_then(Cell::as_text) == Some(loser);
        let deals = self.table("Opportunity").iter().filter(|(_, record)| belongs(record));
        for deal in deals.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.edit("Opportunity", &deal, false, |record| {
                record.insert("AccountId", Cell::text(winner.to_owned()));
            });
        }
    }

    /// Removes the record types: the org never had any.
    pub(crate) fn without_record_types(&mut self) {
        self.define(|org| {
            org.tables.remove("RecordType");
        });
        for deal in self.tables.get_mut("Opportunity").into_iter().flat_map(Table::values_mut) {
            Arc::make_mut(deal).remove("RecordTypeId");
        }
    }

    /// What one corporate unit is worth in `code` from one day until another.
    pub(crate) fn date_rate(&mut self, code: &'static str, rate: &str, from: &str, until: &str) {
        self.dated_rates = true;
        let number = self.fresh_number();
        let fields = [("IsoCode", Cell::text(code)), ("ConversionRate", Cell::number(rate))];
        let days = [("StartDate", Cell::day(from)), ("NextStartDate", Cell::day(until))];
        self.put("DatedConversionRate", id("04w", number), fields.into_iter().chain(days));
    }

    /// Makes up a field of deals.
    pub(crate) fn add_field(&mut self, name: &'static str, kind: Kind) {
        self.define(|org| org.custom.push(Field { name, kind }));
    }

    /// Hides a field from the user.
    pub(crate) fn hide(&mut self, object: &'static str, field: &'static str) {
        self.define(|org| {
            org.hidden.insert((object, field));
        });
    }

    /// Hides a whole object from the user.
    pub(crate) fn hide_object(&mut self, object: &'static str) {
        self.hide(object, "");
    }

    fn define(&mut self, change: impl FnOnce(&mut Self)) {
        self.defined_at = self.tick();
        change(self);
    }
}
