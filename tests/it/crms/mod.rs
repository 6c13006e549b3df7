//! The CRMs of `config/examples`, each as a served model of its documented shape: what the example pulls is what the
//! model holds, field by field and to the cent.
//!
//! A model knows sales; each CRM writes them its own way. What no model can prove is that the vendor writes them so.

mod attio;
mod capsule;
mod close;
mod copper;
mod dynamics365;
mod freshsales;
mod odoo;
mod pipedrive;
mod sales;
mod served;
mod twenty;
mod zendesk_sell;
mod zoho;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sales_pipeline::model::number;
use serde_json::Value;

use crate::crms::sales::{Sale, sales};
use crate::crms::served::{Asked, Reply, Served};
use crate::program::{Folder, run};

/// What stands for every secret; a model refuses whoever does not send it where it belongs.
const SECRET: &str = "canary";

/// A CRM: its example, how it answers, and what a sale of it becomes.
struct Crm {
    /// The name of the example.
    name: &'static str,
    /// The variables of its secrets.
    variables: &'static [&'static str],
    /// How many sales it holds: more than a page of the example.
    count: u64,
    /// How it answers.
    answer: fn(&[Sale], &Asked) -> Reply,
    /// The deal that a sale becomes: the fields that the example maps.
    deal: fn(&Sale) -> Value,
    /// The paths that the walk asks for, and how often at least: its pages and those of its look-ups.
    pages: &'static [(&'static str, usize)],
}

const CRMS: [Crm; 11] = [
    attio::CRM,
    capsule::CRM,
    close::CRM,
    copper::CRM,
    dynamics365::CRM,
    freshsales::CRM,
    odoo::CRM,
    pipedrive::CRM,
    twenty::CRM,
    zendesk_sell::CRM,
    zoho::CRM,
];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples")
}

fn example(name: &str) -> String {
    fs::read_to_string(examples().join(format!("{name}.toml"))).unwrap()
}

/// The example with every host replaced by the model's.
fn on(origin: &str, example: &str) -> String {
    let mut parts = example.split("\"https://");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let host_ends = part.find(['/', '"']).unwrap();
        text += &format!("\"{origin}{}", &part[host_ends..]);
    }
    text
}

fn with_secrets(crm: &Crm, mut command: Command) -> Command {
    command.envs(crm.variables.iter().map(|name| (name, SECRET)));
    // Closed deals of any age.
    command.env(format!("SALES_PIPELINE_SOURCES__{}__CLOSED_WITHIN", crm.name.to_uppercase()), "all");
    command
}

/// Pulls what the model holds, and compares every deal.
async fn assert_pulled(crm: &Crm) {
    let sales = sales(crm.count);
    let served = Served::start(sales.clone(), crm.answer).await;
    let folder = Folder::new();
    folder.write_config(&on(&served.origin(), &example(crm.name)));
    let checked = run(with_secrets(crm, folder.command(&["check"])));
    assert!(checked.assert_code(0).stderr.is_empty() && !checked.stdout.contains("warning"), "{}", checked.stdout);
    let pulled = run(with_secrets(crm, folder.command(&["pull"])));
    assert_eq!(pulled.code(), Some(0), "{}: {}", crm.name, pulled.stderr);
    let latest = folder.json("output/sales_pipeline.json");
    let leads = latest["leads"].as_array().unwrap();
    assert_eq!(leads.len(), sales.len(), "{}", crm.name);
    for sale in &sales {
        let deal = (crm.deal)(sale);
        let lead = leads.iter().find(|lead| lead["id"] == deal["id"]).unwrap_or_else(|| panic!("no deal {deal}"));
        for (field, expected) in deal.as_object().unwrap() {
            assert_eq!(&lead[field], expected, "{} of {lead} in {}", field, crm.name);
        }
        assert_eq!(lead["value"].to_string(), number::text(sale.value()), "{}", crm.name);
        assert_eq!(lead["name"], sale.name());
        assert_eq!(lead["status"], sale.status());
    }
    let quality = &latest["quality"];
    assert_eq!(quality["findings"].as_array().map_or(0, Vec::len), 0, "{}: {quality}", crm.name);
    for (path, pages) in crm.pages {
        let asked = served.requests_of(path);
        assert!(asked >= *pages, "{}: {path} was asked {asked} times, not {pages}", crm.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_pulls_what_its_crm_holds_field_by_field_and_to_the_cent() {
    for crm in &CRMS {
        assert_pulled(crm).await;
    }
}

/// What a probe of the list proposes reads every deal and its value.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_of_these_lists_finds_their_paging_and_their_amounts() {
    for (crm, address, words, lines) in [
        (
            attio::CRM,
            "/v2/objects/deals/records/query",
            &["--bearer", "--body", r#"{"sorts": [{"attribute": "created_at", "direction": "asc"}]}"#][..],
            &["method = \"POST\"", "in = \"body\"", "param = \"offset\"", "size_param = \"limit\""][..],
        ),
        (
            capsule::CRM,
            "/api/v2/opportunities?embed=party,milestone",
            &["--bearer"],
            &["type = \"link_header\"", "size_param = \"perPage\"", "won = [\"Won\"]"],
        ),
        (
            pipedrive::CRM,
            "/api/v2/deals?sort_by=id",
            &["--header", "x-api-token"],
            &["cursor = \"$.additional_data.next_cursor\"", "path = \"$.data\"", "path = \"$.status\""],
        ),
        (
            twenty::CRM,
            "/rest/opportunities?depth=1",
            &["--bearer"],
            &["param = \"starting_after\"", "has_more = \"$.pageInfo.hasNextPage\"", "scale = \"0.000001\""],
        ),
        (
            zendesk_sell::CRM,
            "/v2/deals?sort_by=id",
            &["--bearer"],
            &["next = \"$.meta.links.next_page\"", "path = \"$.items[*].data\"", "# company = "],
        ),
    ] {
        let sales = sales(crm.count);
        let served = Served::start(sales.clone(), crm.answer).await;
        let folder = Folder::new();
        let address = format!("{}{address}", served.origin());
        let with_key = |words: &[&str]| {
            let mut command = folder.command(words);
            command.env("MYCRM_API_KEY", SECRET).env("SALES_PIPELINE_SOURCES__MYCRM__CLOSED_WITHIN", "all");
            run(command)
        };
        let probed = with_key(&[&["probe", &address], words].concat());
        assert_eq!(probed.code(), Some(0), "{}: {}\n{}", crm.name, probed.stderr, probed.stdout);
        for line in lines {
            assert!(probed.stdout.contains(line), "{}: {line} in\n{}", crm.name, probed.stdout);
        }
        folder.write_config(&probed.stdout);
        with_key(&["pull"]).assert_code(0);
        let latest = folder.json("output/sales_pipeline.json");
        let mut values: Vec<String> =
            latest["leads"].as_array().unwrap().iter().map(|lead| lead["value"].to_string()).collect();
        let mut expected: Vec<String> = sales.iter().map(|sale| number::text(sale.value())).collect();
        values.sort_unstable();
        expected.sort_unstable();
        assert_eq!(values, expected, "{}", crm.name);
    }
}

#[test]
fn every_example_has_its_model_and_its_line_on_the_page_of_sources() {
    let files = fs::read_dir(examples()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.collect();
    let modelled: BTreeSet<String> = CRMS.iter().map(|crm| format!("{}.toml", crm.name)).collect();
    assert_eq!(files, modelled);
    let page = fs::read_to_string(examples().join("../../docs/sources.md")).unwrap();
    for file in files {
        assert!(page.contains(&format!("(../config/examples/{file})")), "{file}");
    }
}
