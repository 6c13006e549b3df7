//! Deals that a pull does not find any more: the CRM is asked what became of them, and of nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::fake_hubspot::{
    Account, CLIENT_ID, CLIENT_SECRET, FakeHubspot, Fault, Habit, REFRESH_TOKEN, Route, TOKEN, deals,
};
use crate::fake_rest::{FakeRest, Paging};
use crate::program::{Folder, Outcome, names};

/// A folder whose one source is this account, pulled once.
fn pulled_once(crm: &FakeHubspot, more: &str) -> Folder {
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}\n{more}\n", crm.section()));
    folder.run(&["pull"]).assert_code(0);
    assert_eq!(vanished(&folder), Value::Null, "nothing was there before");
    folder
}

fn vanished(folder: &Folder) -> Value {
    folder.json("output/sales_pipeline.json")["completeness"]["vanished"].clone()
}

fn counted(archived: u64, merged: u64, out_of_scope: u64, unknown: u64, not_asked: u64) -> Value {
    json!({"archived": archived, "merged": merged, "out_of_scope": out_of_scope, "unknown": unknown, "not_asked": not_asked})
}

/// How often deals were asked for by their ids: in batches, and alone.
fn asked_by_id(crm: &FakeHubspot) -> (usize, usize) {
    (crm.requests_of(Route::BatchDeals), crm.requests_of(Route::OneDeal))
}

fn purge(account: &mut Account, id: u64) {
    Arc::make_mut(&mut account.deals).remove(&id);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_vanished_deal_is_explained_and_what_nobody_can_explain_is_said() {
    let crm = FakeHubspot::start(deals(120)).await;
    let folder = pulled_once(&crm, "");
    folder.run(&["pull"]).assert_code(0);
    assert_eq!((vanished(&folder), asked_by_id(&crm)), (Value::Null, (0, 0)), "nothing vanished, so nothing is asked");
    let mut purged = 0;
    crm.change(|account| {
        let live = account.live();
        account.archive(live[0]);
        account.merge(live[1], live[2]);
        purge(account, live[3]);
        purged = live[3];
    });
    let pull = folder.run(&["pull"]);
    pull.assert_code(0);
    assert_eq!(vanished(&folder), counted(1, 2, 0, 1, 0));
    assert_eq!(asked_by_id(&crm), (2, 3), "the recycle bin, the others, and alone what neither knows");
    assert!(pull.stdout.contains("; 1 deal is gone, and the CRM knows nothing of it"), "{pull:#?}");
    assert!(pull.stderr.contains(&format!("knows nothing of it: {purged}")), "{pull:#?}");
    let status = folder.run(&["status"]);
    assert!(status.stdout.contains("crm: 1 deal is gone, and the CRM knows nothing of it"), "{status:#?}");
    let requests = folder.json("output/sales_pipeline.json")["run"]["requests"].as_u64().unwrap();
    let before = crm.requests().len() as u64;
    folder.run(&["pull"]).assert_code(0);
    assert_eq!(crm.requests().len() as u64 - before + 5, requests, "the questions count");
    assert_eq!((vanished(&folder), asked_by_id(&crm)), (Value::Null, (2, 3)), "said once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_went_to_another_pipeline_is_there_and_out_of_scope() {
    let crm = FakeHubspot::start(deals(3_000)).await;
    let folder = pulled_once(&crm, "pipelines = [\"Renewals\"]");
    assert_eq!(crm.requests_of(Route::List), 0, "found by the search");
    crm.change(|account| {
        let live = account.live();
        let in_pipeline = |id: &u64| account.deals[id].properties["pipeline"].as_deref() == Some("7654321");
        let moved = live.into_iter().find(in_pipeline).unwrap();
        account.move_stage(moved, "default", "qualifiedtobuy");
    });
    folder.run(&["pull"]).assert_code(0);
    assert_eq!((vanished(&folder), asked_by_id(&crm)), (counted(0, 0, 1, 0, 0), (2, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_very_many_some_are_asked_for_and_the_rest_is_counted() {
    let crm = FakeHubspot::start(deals(400)).await;
    let folder = pulled_once(&crm, "");
    crm.change(|account| account.live().into_iter().take(205).for_each(|id| account.archive(id)));
    folder.run(&["pull"]).assert_code(0);
    assert_eq!((vanished(&folder), asked_by_id(&crm)), (counted(200, 0, 0, 0, 5), (2, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_is_whole_without_the_explanation() {
    let crm = FakeHubspot::start(deals(30)).await.fail_at(Route::BatchDeals, 1, Fault::Status(403));
    let folder = pulled_once(&crm, "");
    crm.change(|account| account.archive(account.live()[0]));
    let pull = folder.run(&["pull"]);
    pull.assert_code(0);
    assert!(pull.stderr.contains("What became of the vanished deals is not known"), "{pull:#?}");
    assert_eq!(vanished(&folder), counted(0, 0, 0, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_scope_has_nothing_to_do_with_the_one_before() {
    let crm = FakeHubspot::start(deals(30)).await;
    let folder = pulled_once(&crm, "");
    folder.write_config(&format!("[sources.crm]\n{}\npipelines = [\"Renewals\"]\n", crm.section()));
    folder.run(&["pull"]).assert_code(0);
    assert_eq!((vanished(&folder), asked_by_id(&crm)), (Value::Null, (0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crm_that_does_not_tell_is_not_asked() {
    let crm = FakeRest::start(crate::fake_rest::deals(30)).await;
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}\n", crm.section(Paging::Cursor)));
    folder.run(&["pull"]).assert_code(0);
    crm.hold("deals", crate::fake_rest::deals(28));
    let pull = folder.run(&["pull"]);
    pull.assert_code(0);
    assert_eq!(vanished(&folder), counted(0, 0, 0, 0, 2));
    assert!(!pull.stdout.contains("gone"), "{pull:#?}");
}

/// The index of a folder's newest snapshot.
fn index(folder: &Folder) -> String {
    let newest = folder.snapshots("crm").pop().unwrap();
    format!("output/sales_cache/crm/.{}", newest.replace(".json", ".index"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_lost_cut_or_of_another_file_is_made_anew() {
    let crm = FakeHubspot::start(deals(40)).await;
    let folder = pulled_once(&crm, "");
    for round in 0..4_u64 {
        let good = folder.read(&index(&folder));
        assert_eq!(good.lines().count() as u64, 41 - round, "a heading and a line a deal");
        match round {
            0 => std::fs::remove_file(folder.join(&index(&folder))).unwrap(),
            1 => drop(folder.write(&index(&folder), &good[..good.len() / 2])),
            2 => drop(folder.write(&index(&folder), "{}\n")),
            _ => {
                let snapshot = folder.snapshots("crm").pop().unwrap();
                // As restored from a backup: the same file at another time.
                let file =
                    std::fs::File::options().write(true).open(folder.join("output/sales_cache/crm").join(snapshot));
                file.unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
            }
        }
        crm.change(|account| account.archive(account.live()[0]));
        folder.run(&["status"]).assert_code(0);
        let lost = index(&folder);
        folder.run(&["pull"]).assert_code(0);
        assert_eq!(vanished(&folder), counted(1, 0, 0, 0, 0), "round {round}");
        let deals = |text: &str| text.lines().skip(1).map(ToOwned::to_owned).collect::<Vec<_>>();
        assert_eq!(deals(&folder.read(&lost)), deals(&good), "round {round}: made anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_goes_with_its_snapshot_and_is_in_no_list() {
    let crm = FakeHubspot::start(deals(5)).await;
    let folder = pulled_once(&crm, "[retention]\ndays = 1\nkeep_at_least = 1");
    let cache = folder.join("output/sales_cache/crm");
    let rename = |to: &str| {
        let newest = folder.snapshots("crm").pop().unwrap();
        for (from, to) in [
            (newest.clone(), format!("{to}.json")),
            (format!(".{newest}").replace(".json", ".index"), format!(".{to}.index")),
        ] {
            std::fs::rename(cache.join(from), cache.join(to)).unwrap();
        }
    };
    rename("sales_pipeline_20250101_000000");
    folder.run(&["pull"]).assert_code(0);
    rename("sales_pipeline_20250101_000001");
    folder.run(&["pull"]).assert_code(0);
    let list = folder.run(&["snapshots", "list"]);
    assert_eq!(list.assert_code(0).stdout.lines().count(), 4, "a heading and three snapshots: {list:#?}");
    assert_eq!(folder.run(&["snapshots", "prune"]).assert_code(0).stdout, "deleted 2 of 3 snapshots\n");
    let indexes = || names(&cache).into_iter().filter(|name| name.starts_with(".sales_pipeline_")).collect::<Vec<_>>();
    assert_eq!(indexes().len(), 1);
    // A snapshot that somebody deleted by hand: its index goes at the next start.
    rename("sales_pipeline_20250101_000002");
    std::fs::remove_file(cache.join(folder.snapshots("crm").pop().unwrap())).unwrap();
    let orphan = indexes();
    folder.run(&["pull"]).assert_code(0);
    assert!(indexes().len() == 1 && indexes() != orphan, "{:?}", indexes());
}

fn said(outcome: &Outcome) -> String {
    format!("{}{}", outcome.stdout, outcome.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_refresh_token_is_kept_where_only_its_owner_reads_it() {
    let crm = FakeHubspot::start(deals(3)).await.habit(Habit::RotatesTokens);
    let folder = Folder::new();
    let app = format!(
        "client_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\nrefresh_token = \"{REFRESH_TOKEN}\""
    );
    let section = crm.section().replace(&format!("api_key = \"{TOKEN}\""), &app);
    folder.write_config(&format!("[sources.crm]\n{section}\n"));
    let cache = folder.join("output/sales_cache/crm");
    // Each is asked with the token that the one before was given: it is kept also where nothing else is.
    for (words, is_trial) in
        [(&["check", "--connect"][..], true), (&["pull", "--dry-run"], true), (&["pull"], false), (&["pull"], false)]
    {
        let outcome = folder.run(words);
        outcome.assert_code(0);
        assert!(!said(&outcome).contains("canary"), "{outcome:#?}");
        assert_eq!(names(&cache) == [".memory-refresh_token"], is_trial, "{words:?} {:?}", names(&cache));
    }
    let holds: BTreeMap<String, u32> = names(&cache)
        .into_iter()
        .filter(|name| std::fs::read_to_string(cache.join(name)).unwrap().contains("canary"))
        .map(|name| (name.clone(), std::fs::metadata(cache.join(name)).unwrap().permissions().mode() & 0o777))
        .collect();
    assert_eq!(holds, BTreeMap::from([(".memory-refresh_token".to_owned(), 0o600)]));
    let output: BTreeSet<String> = names(&folder.join("output")).into_iter().collect();
    let files = output.iter().filter(|name| folder.join("output").join(name).is_file());
    assert_eq!(files.filter(|name| folder.read(&format!("output/{name}")).contains("canary")).count(), 0);
}
