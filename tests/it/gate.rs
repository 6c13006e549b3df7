//! The first gate: a complete pull that cannot be right is held, said, and accepted only by a person.

use std::time::Duration;

use serde_json::Value;

use crate::fake_rest::{FakeRest, Fault, Paging, deals};
use crate::program::{Folder, wait_for};

/// A folder whose one source reads the fake CRM, and was pulled once.
async fn pulled_once(count: u64, more: &str) -> (Folder, FakeRest) {
    let crm = FakeRest::start(deals(count)).await;
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}\n{more}\n", crm.section(Paging::Cursor)));
    folder.run(&["pull"]).assert_code(0);
    (folder, crm)
}

fn status(folder: &Folder) -> Value {
    let status: Value = serde_json::from_str(&folder.run(&["status", "--json"]).stdout).unwrap();
    status["sources"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_is_held_and_the_last_good_data_stays() {
    let (folder, crm) = pulled_once(30, "").await;
    let good = folder.read("output/sales_pipeline.json");
    crm.hold("deals", Vec::new());
    insta::assert_snapshot!(folder.run(&["pull"]).told(&folder));
    assert_eq!(folder.read("output/sales_pipeline.json"), good);
    assert_eq!(folder.snapshots("crm").len(), 1);
    assert_eq!(folder.snapshots("held/crm").len(), 1);
    let held = status(&folder);
    assert_eq!((&held["health"], &held["failures"]), (&"held".into(), &0.into()));
    assert_eq!(held["hold"]["reasons"][0], "no deals came, and there were 30 (R04)");
    folder.run(&["status", "--exit-code"]).assert_code(0);

    // The next good pull ends it.
    crm.hold("deals", deals(31));
    folder.run(&["pull"]).assert_code(0);
    assert_eq!(status(&folder)["hold"], Value::Null);
    folder.run(&["snapshots", "accept", "crm", "--note", "too late"]).assert_code(64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_published_once_a_person_says_why() {
    let (folder, crm) = pulled_once(30, "").await;
    crm.hold("deals", Vec::new());
    folder.run(&["pull"]).assert_code(65);
    folder.run(&["snapshots", "accept", "crm"]).assert_code(64);
    folder.run(&["snapshots", "accept", "crm", "--note", " "]).assert_code(64);
    folder.run(&["snapshots", "accept", "crm", "20200101_000000", "--note", "x"]).assert_code(64);
    folder.run(&["snapshots", "accept", "crm", "--note", "the year was closed"]).assert_code(0);
    assert_eq!(folder.json("output/sales_pipeline.json")["total_leads"], 0);
    assert!(folder.run(&["status"]).stdout.contains("s ago: the year was closed"));
    let accepted = status(&folder);
    assert_eq!((&accepted["health"], &accepted["accepted"]["note"]), (&"ok".into(), &"the year was closed".into()));
    // What was accepted is the last good one now.
    folder.run(&["pull"]).assert_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_may_be_allowed() {
    let (folder, crm) = pulled_once(30, "allow_empty = true").await;
    crm.hold("deals", Vec::new());
    folder.run(&["pull"]).assert_code(0);
    assert_eq!(folder.json("output/daily_summary.json")["sales_pipeline_summary"]["total_leads"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_was_renamed_in_the_crm_holds_the_pull() {
    let (folder, crm) = pulled_once(30, "").await;
    let renamed = deals(30).into_iter().map(|deal| deal.replace("\"amount\"", "\"amount_eur\"")).collect();
    crm.hold("deals", renamed);
    let told = folder.run(&["pull"]);
    told.assert_code(65);
    assert!(told.stderr.contains("`value` is empty in all 30 deals"), "{}", told.stderr);

    let (folder, crm) = pulled_once(30, "allow_unmatched = [\"value\"]").await;
    crm.hold("deals", deals(30).into_iter().map(|deal| deal.replace("\"amount\"", "\"amount_eur\"")).collect());
    folder.run(&["pull"]).assert_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_never_stands_over_live_data_and_live_data_moves_a_demo_aside() {
    let (folder, _crm) = pulled_once(30, "").await;
    let live = folder.read("output/sales_pipeline.json");
    insta::assert_snapshot!(folder.run(&["pull", "--demo"]).told(&folder));
    folder.run(&["run", "--demo"]).assert_code(78);
    assert_eq!(folder.read("output/sales_pipeline.json"), live);

    let crm = FakeRest::start(deals(30)).await;
    let folder = Folder::new();
    folder.run(&["pull", "--demo"]).assert_code(0);
    folder.write_config(&format!("[sources.crm]\n{}", crm.section(Paging::Cursor)));
    folder.run(&["pull"]).assert_code(0);
    assert_eq!(folder.json("output/sales_pipeline.json")["demo"], false);
    assert_eq!((folder.snapshots("").len(), folder.snapshots(".demo").len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_waits_for_a_pull_that_runs() {
    let (folder, crm) = pulled_once(30, "").await;
    crm.hold("deals", Vec::new());
    folder.run(&["pull"]).assert_code(65);
    let before = crm.requests().len();
    crm.then_fail(Fault::Slow(Duration::from_secs(1)));
    let running = folder.start(&["pull"]);
    wait_for("a request", || (crm.requests().len() > before).then_some(()));
    folder.run(&["snapshots", "accept", "crm", "--note", "the year was closed"]).assert_code(0);
    running.outcome().assert_code(65);
    assert_eq!(folder.json("output/sales_pipeline.json")["total_leads"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_pull_that_fails_or_is_held_is_not_just_waited_for() {
    let crm = FakeRest::start(deals(30)).await;
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}", crm.section(Paging::Cursor)));
    (0..4).for_each(|_| crm.then_fail(Fault::Status(500)));
    folder.run(&["pull"]).assert_code(69);
    assert_eq!(status(&folder)["health"], "failing");
    crm.hold("deals", deals(30).into_iter().map(|deal| deal.replace("\"title\"", "\"headline\"")).collect());
    folder.run(&["pull"]).assert_code(65);
    assert_eq!(status(&folder)["health"], "held");
    folder.run(&["status", "--exit-code"]).assert_code(0);
}
