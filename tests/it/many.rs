//! Several CRMs of several kinds at once: what each publishes is what its server holds, whichever of them is cut off.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};

use chrono::DateTime;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use sales_pipeline::model::deal::{Deal, Status};
use sales_pipeline::model::number;
use serde_json::Value;

use crate::fake_hubspot::{self, FakeHubspot};
use crate::fake_pipedrive::{self, FakePipedrive};
use crate::fake_rest::{self, FakeRest, Paging};
use crate::fake_salesforce::{self, FakeSalesforce};
use crate::program::{Folder, wait_for};
use crate::schema::assert_schema;

/// A server of one kind.
trait Crm {
    /// The keys of its section.
    fn section(&self) -> String;
    /// Its address.
    fn endpoint(&self) -> String;
    /// Fails unless these deals are those that it holds, as they must be published.
    fn assert_published(&self, deals: &[Deal]);
    /// Somebody works there: there is one deal more.
    fn grow(&self);
}

impl Crm for FakeHubspot {
    fn section(&self) -> String {
        self.section()
    }

    fn endpoint(&self) -> String {
        self.endpoint()
    }

    fn assert_published(&self, deals: &[Deal]) {
        let published: Vec<_> = deals.iter().map(fake_hubspot::Published::of).collect();
        assert_eq!(published, self.model(Tz::UTC));
    }

    fn grow(&self) {
        self.change(|account| {
            account.create(fake_hubspot::bare_deal(0).with("amount", "1234.56"));
        });
    }
}

impl Crm for FakePipedrive {
    fn section(&self) -> String {
        self.section()
    }

    fn endpoint(&self) -> String {
        self.endpoint()
    }

    fn assert_published(&self, deals: &[Deal]) {
        let published: Vec<_> = deals.iter().map(fake_pipedrive::Published::of).collect();
        assert_eq!(published, self.model());
    }

    fn grow(&self) {
        self.change(|account| {
            account.create(fake_pipedrive::bare_deal(0));
        });
    }
}

impl Crm for FakeSalesforce {
    fn section(&self) -> String {
        self.section()
    }

    fn endpoint(&self) -> String {
        self.endpoint()
    }

    fn assert_published(&self, deals: &[Deal]) {
        let published: Vec<_> = deals.iter().map(fake_salesforce::Published::of).collect();
        assert_eq!(published, self.model(Tz::UTC));
    }

    fn grow(&self) {
        self.change(|org| {
            org.create(fake_salesforce::bare_deal("").with("Amount", fake_salesforce::Cell::number("1234.56")));
        });
    }
}

/// A REST CRM and the deals that it holds; it has no model of its own.
struct Rest {
    crm: FakeRest,
    deals: std::cell::Cell<u64>,
}

impl Rest {
    async fn start(deals: u64) -> Self {
        Self { crm: FakeRest::start(fake_rest::deals(deals)).await, deals: deals.into() }
    }
}

impl Crm for Rest {
    fn section(&self) -> String {
        self.crm.section(Paging::Cursor)
    }

    fn endpoint(&self) -> String {
        self.crm.endpoint()
    }

    fn assert_published(&self, deals: &[Deal]) {
        let mut ids: Vec<u64> = (1..=self.deals.get()).collect();
        ids.sort_by_key(ToString::to_string);
        assert_eq!(deals.len(), ids.len());
        for (deal, id) in deals.iter().zip(ids) {
            let id_of = |count: u64| usize::try_from(id % count).unwrap();
            let status = [Status::Open, Status::Open, Status::Won, Status::Lost][id_of(4)];
            let chance = match status {
                Status::Open => Decimal::from(id * 10 % 101) / Decimal::ONE_HUNDRED,
                Status::Won => Decimal::ONE,
                Status::Lost => Decimal::ZERO,
            };
            assert_eq!(deal.id, id.to_string());
            assert_eq!(deal.name, format!("Deal {id}"));
            assert_eq!(deal.company, Some(format!("Company {}", id % 9)));
            assert_eq!(deal.stage.as_deref(), Some(["New", "Proposal", "Closed Won", "Closed Lost"][id_of(4)]));
            assert_eq!(deal.owner.as_deref(), Some(["Ann Lee", "Bo Ek", "Cy Poe"][id_of(3)]));
            assert_eq!(deal.value.map(number::text), Some(format!("{}.5", id * 100)));
            assert_eq!((deal.status, deal.probability.map(number::text)), (Some(status), Some(number::text(chance))));
        }
    }

    fn grow(&self) {
        self.deals.set(self.deals.get() + 1);
        self.crm.hold("deals", fake_rest::deals(self.deals.get()));
    }
}

/// One server of each kind, by the name of its source.
async fn servers() -> BTreeMap<&'static str, Box<dyn Crm>> {
    BTreeMap::from([
        ("hubspot", Box::new(FakeHubspot::start(fake_hubspot::deals(250)).await) as Box<dyn Crm>),
        ("pipedrive", Box::new(FakePipedrive::start(fake_pipedrive::deals(600)).await)),
        ("rest", Box::new(Rest::start(120).await)),
        ("salesforce", Box::new(FakeSalesforce::start(fake_salesforce::deals(2_100)).await)),
    ])
}

fn folder_of(servers: &BTreeMap<&'static str, Box<dyn Crm>>) -> Folder {
    let folder = Folder::new();
    let rates = "currency = \"EUR\"\n[fx]\nrates = { USD = 0.92, GBP = 1.19 }\n";
    let sections = servers.iter().map(|(name, crm)| format!("[sources.{name}]\n{}\n", crm.section()));
    folder.write_config(&format!("{rates}{}", sections.collect::<String>()));
    folder
}

/// The deals of a file, as they stand there.
fn leads(file: &Value) -> Vec<Value> {
    file["leads"].as_array().unwrap().clone()
}

/// The newest snapshot of a source.
fn newest(folder: &Folder, name: &str) -> Value {
    let snapshot = folder.snapshots(name).pop().unwrap_or_else(|| panic!("{name} has a snapshot"));
    folder.json(&format!("output/sales_cache/{name}/{snapshot}"))
}

/// Fails unless a source's newest snapshot is what its server holds.
fn assert_published(folder: &Folder, name: &str, crm: &dyn Crm) {
    let deals: Vec<Deal> =
        leads(&newest(folder, name)).into_iter().map(|lead| serde_json::from_value(lead).unwrap()).collect();
    crm.assert_published(&deals);
}

/// Fails unless the joined file holds every source's newest deals, each with its source and nothing else.
fn assert_joined<'a>(folder: &Folder, names: impl Iterator<Item = &'a str>) {
    assert_schema(&folder.join("output/sales_pipeline.json"));
    let joined = folder.json("output/sales_pipeline.json");
    let mut expected = Vec::new();
    for name in names {
        for mut lead in leads(&newest(folder, name)) {
            lead["source"] = name.into();
            expected.push(lead);
        }
    }
    expected.sort_by_key(|lead| ["id", "source"].map(|key| lead[key].as_str().unwrap().to_owned()));
    assert_eq!(leads(&joined), expected);
    assert_eq!(joined["total_leads"], expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_config_pulls_every_kind_of_crm_at_once_and_publishes_what_each_holds() {
    let servers = servers().await;
    let folder = folder_of(&servers);
    folder.run(&["pull"]).assert_code(0);
    for (name, crm) in &servers {
        assert_published(&folder, name, crm.as_ref());
    }
    assert_joined(&folder, servers.keys().copied());
    let joined = folder.json("output/sales_pipeline.json");
    let sources = joined["sources"].as_array().unwrap();
    assert!(sources.iter().all(|source| source["complete"] == true && source["stale_since"].is_null()), "{sources:?}");
}

/// In place of a server, somebody who takes calls and never answers.
fn silence(crm: Box<dyn Crm>) -> TcpListener {
    let address: SocketAddr = crm.endpoint().split('/').nth(2).unwrap().parse().unwrap();
    drop(crm);
    wait_for("the server's address to be free", || TcpListener::bind(address).ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crm_that_is_cut_off_holds_nobody_up_and_is_named_with_its_age() {
    for cut in servers().await.into_keys() {
        let mut servers = servers().await;
        let folder = folder_of(&servers);
        folder.run(&["pull"]).assert_code(0);
        let before = newest(&folder, cut);
        for crm in servers.values() {
            crm.grow();
        }
        let silent = silence(servers.remove(cut).unwrap());

        let pulling = folder.start(&["pull"]);
        // The others are published while nobody knows yet what becomes of this one.
        for name in servers.keys() {
            wait_for("a second snapshot", || (folder.snapshots(name).len() == 2).then_some(()));
        }
        drop(silent);
        let pulled = pulling.outcome();
        pulled.assert_code(69);
        for (name, crm) in &servers {
            assert_published(&folder, name, crm.as_ref());
        }
        assert_eq!(newest(&folder, cut), before, "{cut}: the last good deals stay");
        assert_joined(&folder, servers.keys().copied().chain([cut]));
        let joined = folder.json("output/sales_pipeline.json");
        for source in joined["sources"].as_array().unwrap() {
            let is_cut = source["name"] == cut;
            assert_eq!(source["stale_since"].is_string(), is_cut, "{source}");
            assert_eq!(source["stale_because"].as_str().is_some_and(|why| why.starts_with("failing: ")), is_cut);
            if is_cut {
                let at = |time: &Value| DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap();
                assert_eq!(at(&source["timestamp"]), at(&before["timestamp"]), "as old as its last snapshot");
                assert!(at(&source["stale_since"]) > at(&before["timestamp"]));
            }
        }
        let last = pulled.stdout.lines().last().unwrap();
        assert!(last.contains(cut) && last.contains(" old"), "{last}");
    }
}
