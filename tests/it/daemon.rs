//! The daemon on real input: a server that others wrote, and a CRM that changes while it is paged and fails on demand.

use sales_pipeline::model::number;
use serde_json::Value;

use crate::fake_rest::{FakeRest, Fault, Paging, deal, deals};
use crate::program::{Folder, Signal, is_quick, wait_for};
use crate::schema::assert_schema;
use crate::servers::{RealServer, worth};

/// How many deals Datasette publishes.
const PUBLISHED: u64 = 2_500;

fn section(datasette: &RealServer) -> String {
    format!(
        r#"
[sources.datasette]
kind     = "rest"
endpoint = "{}/crm"
auth     = {{ type = "none" }}
request  = {{ path = "/deals.json", query = {{ _shape = "objects", _size = 100 }} }}
paging   = {{ type = "next_url", next = "$.next_url", total = "$.filtered_table_rows_count" }}
records  = {{ path = "$.rows" }}
status   = {{ path = "$.state", won = ["won"], lost = ["lost"] }}
closed_within = "all"
[sources.datasette.fields]
id          = "$.id"
name        = "$.title"
stage       = "$.stage"
value       = "$.amount"
currency    = {{ value = "EUR" }}
probability = {{ path = "$.chance", unit = "percent" }}
created_at  = "$.created"
"#,
        datasette.origin()
    )
}

fn joined(folder: &Folder) -> Option<Value> {
    let text = std::fs::read_to_string(folder.join("output/sales_pipeline.json")).ok()?;
    serde_json::from_str(&text).ok()
}

fn source<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["sources"].as_array().unwrap().iter().find(|source| source["source"] == name).unwrap()
}

fn status(folder: &Folder) -> Value {
    serde_json::from_str(&folder.run(&["status", "--json"]).stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_and_a_failing_crm_are_pulled_on_a_schedule_of_seconds() {
    let folder = Folder::new();
    let Some(datasette) = RealServer::datasette(&folder, PUBLISHED) else { return };
    // Each page read makes one more deal at the end: the walk sees it or not, and nothing else is lost or doubled.
    let mut next = 250;
    let crm = FakeRest::start(deals(250)).await.page_size(100).between_pages(move |deals| {
        next += 1;
        deals.push(deal(next));
    });
    folder.write_config(&format!(
        "schedule = \"*/1 * * * * *\"\n{}\n[sources.crm]\n{}",
        section(&datasette),
        crm.section(Paging::Cursor)
    ));
    let daemon = folder.start(&["run"]);

    let latest =
        wait_for("a joined file of both", || joined(&folder).filter(|file| file["completeness"]["complete"] == true));
    let of =
        |name: &str| latest["leads"].as_array().unwrap().iter().filter(|lead| lead["source"] == name).count() as u64;
    assert_eq!(of("datasette"), PUBLISHED);
    assert!(of("crm") >= 250, "every deal that was there throughout");
    assert_schema(&folder.join("output/sales_pipeline.json"));
    assert_schema(&folder.join("output/daily_summary.json"));
    assert_exact_totals(&folder);

    // The CRM fails for longer than it is asked again: its last good deals stay, and nobody else is held up.
    let before = folder.snapshots("datasette").len();
    (0..40).for_each(|_| crm.then_fail(Fault::Status(503)));
    let failing = wait_for("a failing source", || {
        Some(status(&folder)).filter(|status| source(status, "crm")["failures"].as_u64() >= Some(1))
    });
    assert_eq!(source(&failing, "crm")["health"], "failing");
    assert_eq!(source(&failing, "datasette")["health"], "ok");
    wait_for("another snapshot of the real server", || (folder.snapshots("datasette").len() > before).then_some(()));
    wait_for("the CRM's recovery", || (source(&status(&folder), "crm")["failures"] == 0).then_some(()));

    daemon.signal(Signal::TERM);
    daemon.outcome().assert_code(0);
}

/// The real server's figures, to the cent, from its newest snapshot.
fn assert_exact_totals(folder: &Folder) {
    let newest = folder.snapshots("datasette").pop().unwrap();
    let path = folder.join("output/sales_cache/datasette").join(newest);
    let head = sales_pipeline::store::format::read_head(&path).unwrap();
    let sum = |wanted| worth(PUBLISHED, wanted);
    assert_eq!(number::text(head.totals.open.value), number::text(sum(|id| id % 3 != 2)));
    assert_eq!(number::text(head.totals.won.value), number::text(sum(|id| id % 3 == 2)));
    assert_eq!(number::text(head.total_value), number::text(sum(|_| true)));
    assert_eq!(head.completeness.proof, "cursor exhausted; count matches");
    assert_eq!((head.completeness.pages, head.run.unwrap().requests), (25, 25));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sources_are_read_listed_and_planned() {
    let count = if is_quick() { 100 } else { 1_000 };
    let folder = Folder::new();
    let mut config = "schedule = \"0 0 1 1 *\"\n".to_owned();
    (0..count).for_each(|index| config += &format!("[sources.s{index}]\nkind = \"demo\"\n"));
    folder.write_config(&config);
    folder.run(&["check"]).assert_code(0);
    let pulled = folder.run(&["pull"]);
    pulled.assert_code(0);
    assert_eq!(pulled.stdout.lines().count(), count + 1, "and one of all");
    let latest = joined(&folder).unwrap();
    assert_eq!(latest["total_leads"], 5 * count);
    assert_eq!(status(&folder)["sources"].as_array().unwrap().len(), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_term_cuts_short_is_caught_up_at_the_next_start() {
    let crm = FakeRest::start(deals(30)).await.fail(Fault::Slow(std::time::Duration::from_secs(60)));
    let folder = Folder::new();
    let limits = "schedule = \"0 0 1 1 *\"\n[limits]\ngrace = \"10s\"\n";
    folder.write_config(&format!("{limits}[sources.crm]\n{}", crm.section(Paging::Cursor)));
    let daemon = folder.start(&["run"]);
    wait_for("a request", || (!crm.requests().is_empty()).then_some(()));
    daemon.stop().assert_code(0);
    assert!(folder.snapshots("crm").is_empty(), "nothing half");

    let daemon = folder.start(&["run"]);
    wait_for("the pull that was cut", || (!folder.snapshots("crm").is_empty()).then_some(()));
    daemon.stop().assert_code(0);
}
