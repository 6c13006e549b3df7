//! The first gate: a complete pull that cannot be right is held, said, and accepted only by a person.

use std::time::Duration;

use serde_json::Value;

use crate::fake_hubspot::{self, FakeHubspot, Route, bare_deal};
use crate::fake_pipedrive::{self, FakePipedrive};
use crate::fake_rest::{FakeRest, Fault, Habit, Paging, deals};
use crate::fake_salesforce::{self, FakeSalesforce};
use crate::program::{Folder, Outcome, run, wait_for};
use crate::rest::with;
use crate::schema::assert_schema;

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
async fn what_the_configuration_leaves_out_and_what_it_lacks_is_said() {
    let crm = FakeRest::start(deals(20)).await;
    let folder = Folder::new();
    let section = crm.section(Paging::Cursor).replace("status = {", "#").replace(
        "records = { path",
        "records = { where = [{ path = \"$.status\", op = \"eq\", value = \"won\" }], path",
    );
    folder.write_config(&format!("[sources.crm]\n{section}"));
    let pulled = folder.run(&["pull"]);
    assert!(pulled.assert_code(0).stdout.contains("; 15 left out by the configuration"), "{}", pulled.stdout);
    let told = folder.run(&["status"]).stdout;
    let warning = "crm: status: is not set: its deals count in none of open, won and lost; say which stages or values";
    assert!(told.contains("\ncrm: 15 left out by the configuration\n") && told.contains(warning), "{told}");
    assert_eq!(status(&folder)["filtered"], 15);

    // What it recommends for a list of open deals needs no stage.
    let open = section.replace("stage = { path = \"$.stage_id\", lookup = \"stages\" }, ", "");
    folder.write_config(&format!("[sources.crm]\n{open}\nstatus = {{}}\nvars = {{ view = 7 }}\n"));
    let checked = folder.run(&["check"]);
    assert!(
        checked.assert_code(0).stdout.contains("sources.crm.vars.view: stands in no request"),
        "{}",
        checked.stdout
    );
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
    assert!(
        told.stderr.contains("`value` is empty in all 30 deals (`$.amount`: `amount` is missing in 30): renamed"),
        "{}",
        told.stderr
    );

    let (folder, crm) = pulled_once(30, "allow_unmatched = [\"value\"]").await;
    crm.hold("deals", deals(30).into_iter().map(|deal| deal.replace("\"amount\"", "\"amount_eur\"")).collect());
    folder.run(&["pull"]).assert_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_page_that_says_nothing_of_a_next_one_is_held_and_one_that_does_is_not() {
    let crm = FakeRest::start(deals(30)).await.page_size(5);
    let folder = Folder::new();
    let section = |cursor: &str, more: &str| {
        let keys = crm.section(Paging::Cursor).replace("$.meta.next", cursor);
        format!("[sources.crm]\n{keys}\n{more}\n")
    };
    folder.write_config(&section("$.meta.next", ""));
    folder.run(&["pull"]).assert_code(0);
    let good = folder.read("output/sales_pipeline.json");
    folder.write_config(&section("$.meta.weiter", ""));
    let told = folder.run(&["pull"]);
    told.assert_code(65);
    insta::assert_snapshot!(told.told(&folder));
    assert_eq!(folder.read("output/sales_pipeline.json"), good);
    let tried = folder.run(&["check", "--connect"]);
    assert!(
        tried.stdout.contains("perhaps all there are") && tried.stdout.contains("`weiter` is missing"),
        "{}",
        tried.stdout
    );
    folder.write_config(&section("$.meta.weiter", "allow_unmatched = [\"paging\"]"));
    folder.run(&["pull"]).assert_code(0);
    assert_eq!(folder.json("output/sales_pipeline.json")["total_leads"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_is_named_where_it_ended_the_walk_and_missed_where_no_answer_has_it() {
    let crm = FakeRest::start(deals(30)).await.page_size(5);
    let folder = Folder::new();
    let section = |total: &str| {
        let keys = Paging::Page.keys(5);
        let section = crm.section(Paging::Page).replace(&keys, &format!("{keys}, total = \"{total}\""));
        format!("[sources.crm]\n{section}\n")
    };
    folder.write_config(&section("$.meta.total"));
    folder.run(&["pull"]).assert_code(0);
    assert_eq!(folder.json("output/sales_pipeline.json")["completeness"]["proof"], "ended at the list's own count");
    folder.write_config(&section("$.meta.totl"));
    let told = folder.run(&["pull"]);
    told.assert_code(65);
    assert!(told.stderr.contains("`$.meta.totl` is no count in any answer (R07)"), "{}", told.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_rests_on_an_answer_without_a_body_is_held() {
    for paging in [Paging::Page, Paging::Cursor, Paging::Link] {
        let crm = FakeRest::start(deals(30)).await.page_size(5).habit(Habit::LosesSecondBody);
        let folder = Folder::new();
        let configure = |more: &str| folder.write_config(&format!("[sources.crm]\n{}\n{more}\n", crm.section(paging)));
        configure("");
        let told = folder.run(&["pull"]);
        told.assert_code(65);
        assert!(told.stderr.contains("the last answer has no body: is that the end? (R07)"), "{}", told.stderr);
        configure("allow_unmatched = [\"paging\"]");
        let told = folder.run(&["pull"]);
        told.assert_code(0);
        assert!(told.stdout.contains("nothing says whether that is all"), "{}", told.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_decides_over_records_and_is_in_none_of_them_holds_the_pull() {
    let tests = r#"records = { path = "$.data", where = [{ path = "$.status", op = "in", value = ["open", "won"] }] }"#;
    for (line, told) in [
        ("", "`status` goes by `$.status`, which is in none of 30 records: renamed, or mistyped (R07)"),
        (tests, "`where` goes by `$.status`, which is in none of 30 records: renamed, or mistyped (R07)"),
    ] {
        let crm = FakeRest::start(deals(30)).await;
        let section = crm.section(Paging::Cursor);
        let section = if line.is_empty() { section } else { with(&section, "records", line) };
        let folder = Folder::new();
        folder.write_config(&format!("[sources.crm]\n{section}\n"));
        folder.run(&["pull"]).assert_code(0);
        let renamed = |deal: String| deal.replace("\"status\"", "\"state\"");
        crm.hold("deals", deals(30).into_iter().map(renamed).collect());
        let pulled = folder.run(&["pull"]);
        pulled.assert_code(65);
        assert!(pulled.stderr.contains(told), "{}", pulled.stderr);
        let tried = folder.run(&["check", "--connect"]).stdout;
        assert!(tried.contains("goes by `$.status`, which is in no record"), "{tried}");
        // An account may have nothing of it, and somebody who knows.
        folder.write_config(&format!(
            "[sources.crm]\n{section}\nallow_empty = true\nallow_unmatched = [\"where\", \"status\"]\n"
        ));
        folder.run(&["pull"]).assert_code(0);
        crm.hold("deals", deals(19).into_iter().map(renamed).collect());
        folder.write_config(&format!("[sources.crm]\n{section}\n"));
        folder.run(&["pull"]).assert_code(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_overlap_are_held_for_what_they_may_leave_out() {
    let crm = FakeRest::start(deals(60)).await.page_size(5);
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}", crm.section(Paging::Cursor)));
    folder.run(&["pull"]).assert_code(0);
    let crm = crm.habit(Habit::Overlaps);
    let told = folder.run(&["pull"]);
    told.assert_code(65);
    assert!(told.stderr.contains("records came more than once: the pages overlap (R06)"), "{}", told.stderr);
    drop(crm);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_does_without_stands_in_the_file_the_summary_and_the_status() {
    let crm = FakePipedrive::start(fake_pipedrive::deals(40)).await;
    let crm = crm.with(|account| account.users.get_mut(&7).unwrap().is_admin = false);
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}", crm.section()));
    folder.run(&["pull"]).assert_code(0);
    let told = |text: &str| assert!(text.contains("no administrator"), "{text}");
    told(&folder.json("output/sales_pipeline.json")["quality"]["warnings"][0].to_string());
    assert_schema(&folder.join("output/sales_pipeline.json"));
    assert_schema(&folder.join("output/daily_summary.json"));
    told(&folder.json("output/daily_summary.json")["sales_pipeline_summary"]["quality"]["warnings"]["crm"].to_string());
    told(&folder.run(&["status"]).stdout);
    told(&folder.run(&["summary", "--format", "md"]).stdout);
    told(&status(&folder)["without"][0].to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_deals_are_all_deleted_is_held_like_an_empty_one() {
    let crm = FakeSalesforce::start(fake_salesforce::deals(30)).await;
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}", crm.section()));
    folder.run(&["pull"]).assert_code(0);
    crm.change(|org| (0..30).for_each(|index| org.delete(&fake_salesforce::deal_id(index))));
    let told = folder.run(&["pull"]);
    told.assert_code(65);
    assert!(told.stderr.contains("no deals came, and there were"), "{}", told.stderr);
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
async fn a_first_live_pull_that_is_held_leaves_the_demo_where_it_is_until_it_is_accepted() {
    let renamed = deals(30).into_iter().map(|deal| deal.replace("\"amount\"", "\"amount_eur\"")).collect();
    let crm = FakeRest::start(renamed).await;
    let folder = Folder::new();
    folder.run(&["pull", "--demo"]).assert_code(0);
    folder.write_config(&format!("[sources.crm]\n{}", crm.section(Paging::Cursor)));
    folder.run(&["pull"]).assert_code(65);
    assert_eq!(folder.json("output/sales_pipeline.json")["demo"], true);
    assert_eq!((folder.snapshots("").len(), folder.snapshots(".demo").len()), (1, 0));
    folder.run(&["snapshots", "accept", "crm", "--note", "no amounts yet"]).assert_code(0);
    assert_eq!(folder.json("output/sales_pipeline.json")["demo"], false);
    assert_eq!((folder.snapshots("").len(), folder.snapshots(".demo").len()), (0, 1));
}

/// A folder whose one source reads the account.
fn reading(crm: &FakeHubspot, more: &str) -> Folder {
    let folder = Folder::new();
    configure(&folder, crm, more);
    folder
}

fn configure(folder: &Folder, crm: &FakeHubspot, more: &str) {
    folder.write_config(&format!("[sources.hubspot]\n{}\n{more}\n", crm.section()));
}

fn assert_held(pulled: &Outcome, reason: &str) {
    pulled.assert_code(65);
    assert!(pulled.stderr.contains(reason), "no `{reason}` in\n{}", pulled.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_read_prove_nothing_and_a_few_of_them_are_said() {
    let crm = FakeHubspot::start(fake_hubspot::deals(250)).await;
    crm.change(|account| account.unreadable = account.live().into_iter().collect());
    let folder = reading(&crm, "");
    let pulled = folder.run(&["pull"]);
    assert_held(&pulled, "0 deals could be read, and the CRM counts 250 (R02)");
    assert_held(&pulled, "`id` cannot be read in any of 250 records: renamed, or another answer (R07)");
    let left_out = "Left out 250 records that cannot be read; the first is record 1 of page 1";
    assert_eq!(pulled.stderr.matches(left_out).count(), 1, "once, not once a page: {}", pulled.stderr);
    assert!(!folder.join("output/sales_pipeline.json").exists());

    crm.change(|account| account.unreadable = account.live().into_iter().take(3).collect());
    let pulled = folder.run(&["pull"]);
    pulled.assert_code(0);
    let proof = "cursor exhausted; 247 came, and the CRM counts 250; 3 skipped";
    assert!(pulled.stdout.contains(proof), "{}", pulled.stdout);
    let shown = folder.run(&["status"]).stdout;
    assert!(shown.contains("hubspot: 3 skipped"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_priced_is_said_by_status() {
    let crm = FakeHubspot::start(vec![bare_deal(1), bare_deal(2)]).await;
    let folder = reading(&crm, "");
    folder.run(&["pull"]).assert_code(0);
    let shown = folder.run(&["status"]).stdout;
    assert!(shown.contains("hubspot: 2 not priced"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deals_that_no_weighted_value_holds_are_told_beside_it() {
    let crm = FakeRest::start(deals(4)).await;
    let folder = Folder::new();
    let whole = crm.section(Paging::Page);
    let section = whole.replace("probability = { path = \"$.win_pct\", unit = \"percent\" }, ", "");
    assert!(section != whole);
    folder.write_config(&format!("[sources.crm]\n{section}\n"));
    let pulled = folder.run(&["pull"]);
    pulled.assert_code(0);
    let unweighted = folder.json("output/sales_pipeline.json")["totals"]["unweighted"].as_u64().unwrap();
    assert!(unweighted > 0, "{}", pulled.stdout);
    let said = format!("{unweighted} without a probability");
    assert!(pulled.stdout.contains(&said), "{}", pulled.stdout);
    let status = folder.run(&["status"]).stdout;
    assert!(status.contains(&said), "{status}");
    let status: Value = serde_json::from_str(&folder.run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["sources"][0]["unweighted"], unweighted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_lacks_deals_which_the_crm_counts_is_held_and_a_small_difference_is_said() {
    // The search still counts what is gone from the list.
    let crm = FakeHubspot::start(fake_hubspot::deals(120)).await.index_lag(10_000);
    crm.change(|account| account.live().into_iter().take(2).for_each(|id| account.archive(id)));
    let folder = reading(&crm, "");
    let pulled = folder.run(&["pull"]);
    pulled.assert_code(0);
    assert!(pulled.stdout.contains("118 came, and the CRM counts 120"), "{}", pulled.stdout);
    assert!(pulled.stderr.contains("118 came, and the CRM counts 120 (R02)"), "{}", pulled.stderr);
    let latest = folder.json("output/sales_pipeline.json");
    let is_said = |finding: &Value| finding["rule"] == "R02" && finding["count"] == 2;
    assert!(latest["quality"]["findings"].as_array().unwrap().iter().any(is_said), "{}", latest["quality"]);

    crm.change(|account| account.live().into_iter().take(10).for_each(|id| account.archive(id)));
    assert_held(&folder.run(&["pull"]), "108 deals came, and the CRM counts 120 (R02)");
    assert_eq!(folder.json("output/sales_pipeline.json"), latest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_matches_nothing_is_said_once_and_holds_nothing() {
    let crm = FakeHubspot::start(fake_hubspot::deals(120)).await;
    let folder = reading(&crm, "");
    let said = "empty in every deal: renamed, hidden from this key, of another form, or not used (R07)";
    let pulled = folder.run(&["pull"]);
    pulled.assert_code(0);
    let line = pulled.stderr.lines().find(|line| line.contains(said)).unwrap_or_default();
    assert!(line.contains("`lost_reason`"), "{}", pulled.stderr);
    let latest = folder.json("output/sales_pipeline.json");
    let is_said = |finding: &Value| finding["rule"] == "R07" && finding["field"] == "lost_reason";
    assert!(latest["quality"]["findings"].as_array().unwrap().iter().any(is_said), "{}", latest["quality"]);
    let pulled = folder.run(&["pull"]);
    pulled.assert_code(0);
    assert!(!pulled.stderr.contains(said), "{}", pulled.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_way_to_a_field_ends_is_said_once_in_the_log_and_in_the_snapshot() {
    let crm = FakeRest::start(deals(30)).await;
    let folder = Folder::new();
    let section = crm.section(Paging::Page).replace("$.account.name", "$.account.title");
    folder.write_config(&format!("[sources.crm]\n{section}"));
    let pulled = folder.run(&["pull"]);
    pulled.assert_code(0);
    let said: Vec<&str> = pulled.stderr.lines().filter(|line| line.contains("`$.account.title`")).collect();
    assert_eq!(said.len(), 1, "{}", pulled.stderr);
    assert!(said[0].contains("`company`: empty in every deal") && said[0].contains(" in 30) (R07)"), "{said:?}");
    let findings = folder.json("output/sales_pipeline.json")["quality"]["findings"].clone();
    let company = findings.as_array().unwrap().iter().find(|finding| finding["field"] == "company").unwrap();
    assert!(company["message"].as_str().unwrap().contains("`$.account.title`"), "{company}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_is_held_also_after_a_pull_that_could_not_tell() {
    let crm = FakeHubspot::start(fake_hubspot::deals(30)).await;
    let crm = crm.fail_at(Route::Account, 2, fake_hubspot::Fault::MissingScopes("oauth"));
    let folder = reading(&crm, "");
    for _ in 0..2 {
        folder.run(&["pull"]).assert_code(0);
        assert_eq!(folder.json("output/sales_pipeline.json")["account"], "12345678");
    }
    crm.change(|account| account.portal = 999);
    assert_held(&folder.run(&["pull"]), "the account is 999, and the last good data is from 12345678 (R10)");
    folder.run(&["snapshots", "accept", "hubspot", "--note", "we moved"]).assert_code(0);
    folder.run(&["pull"]).assert_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_source_is_held_against_what_it_wrote_before_it_had_a_name() {
    let crm = FakeHubspot::start(fake_hubspot::deals(30)).await;
    let folder = Folder::new();
    let mut command = folder.command(&["pull"]);
    command.env("SALES_PIPELINE_SOURCE", "hubspot").env("SALES_PIPELINE_API_KEY", fake_hubspot::TOKEN);
    command.env("SALES_PIPELINE_ENDPOINT", crm.endpoint());
    run(command).assert_code(0);
    crm.change(|account| account.portal = 999);
    configure(&folder, &crm, "");
    assert_held(&folder.run(&["pull"]), "the account is 999, and the last good data is from 12345678 (R10)");
    assert_eq!((folder.snapshots("").len(), folder.snapshots("hubspot").len()), (1, 0), "nothing is adopted yet");
    crm.change(|account| account.portal = 12_345_678);
    folder.run(&["pull"]).assert_code(0);
    assert_eq!((folder.snapshots("").len(), folder.snapshots("hubspot").len()), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_is_what_the_crm_sends_and_not_what_the_configuration_leaves_of_it() {
    let crm = FakeHubspot::start(fake_hubspot::deals(30)).await;
    let folder = reading(&crm, "");
    folder.run(&["pull"]).assert_code(0);
    // Another scope is a new baseline.
    configure(&folder, &crm, "pipelines = [\"Empty\"]");
    crm.change(|account| account.pipelines.push(fake_hubspot::pipeline("77", "Empty", Vec::new())));
    folder.run(&["pull"]).assert_code(0);
    assert_eq!(folder.json("output/sales_pipeline.json")["total_leads"], 0);
    // All came, and all were won long ago.
    configure(&folder, &crm, "");
    folder.run(&["pull"]).assert_code(0);
    let section = crm.section().replace("closed_within = \"all\"", "closed_within = \"1d\"");
    folder.write_config(&format!("[sources.hubspot]\n{section}"));
    folder.run(&["pull"]).assert_code(0);
    crm.change(|account| {
        for id in account.live() {
            account.move_stage(id, "default", "closedwon");
            account.set(id, "closedate", "2020-01-01T00:00:00Z");
        }
    });
    let pulled = folder.run(&["pull"]);
    pulled.assert_code(0);
    assert!(pulled.stdout.contains(": 0 deals"), "{}", pulled.stdout);
    crm.change(|account| account.live().into_iter().for_each(|id| account.archive(id)));
    assert_held(&folder.run(&["pull"]), "no deals came, and there were 30 (R04)");
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
