//! Bad input of every kind gets a clear error or is left alone; nothing is lost.
//!
//! What a person reads stands in `snapshots/`. The secret in the configs is in none of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;

use crate::fake_rest::{FakeRest, Paging, deals};
use crate::program::{Folder, Outcome, Signal, is_root, names, run};
use crate::skip::could_not_run;

/// Stands in every config as a secret, and must never be printed.
const CANARY: &str = "canary-4711";
/// Debian's `nobody`.
const NOBODY: u32 = 65534;

/// What a person reads, after a look for the canary.
#[track_caller]
fn told(folder: &Folder, ended: &Outcome, code: i32) -> String {
    ended.assert_code(code);
    assert!(!ended.stdout.contains(CANARY) && !ended.stderr.contains(CANARY), "{ended:#?}");
    ended.told(folder)
}

#[test]
fn every_problem_of_a_config_is_told_at_once_with_its_line() {
    let folder = Folder::new();
    folder.write_config(&format!(
        "shedule = \"@hourly\"\n\
         api_key = \"{CANARY}\"\n\
         timezone = \"Europe/{CANARY}\"\n\
         [retention]\n\
         days = \"{CANARY}\"\n\
         [sources.a]\n\
         kind = \"demo\"\n\
         apikey = \"{CANARY}\"\n\
         [sources.b]\n\
         kind = \"{CANARY}\"\n\
         [sources.c]\n\
         kind = \"demo\"\n\
         schedule = [\"{CANARY}\"]\n"
    ));
    insta::assert_snapshot!("problems_of_a_config", told(&folder, &folder.run(&["check"]), 78));
    for words in [["run"].as_slice(), &["pull"], &["status"], &["snapshots", "list"], &["summary"]] {
        let refused = told(&folder, &folder.run(words), 78);
        assert!(refused.contains("config/sales-pipeline.toml:1: shedule"), "{words:?}: {refused}");
    }
    assert_eq!(names(folder.path()), ["config"], "nothing is written");
}

#[test]
fn a_config_that_is_no_toml_names_the_line_and_shows_nothing_of_it() {
    let folder = Folder::new();
    folder.write_config(&format!("currency = \"EUR\"\napi_key = {CANARY}\n"));
    insta::assert_snapshot!("no_toml", told(&folder, &folder.run(&["check"]), 78));
}

#[test]
fn problems_of_env_local_and_the_environment_name_their_places() {
    let folder = Folder::new();
    folder.write(
        ".env.local",
        &format!("SALES_PIPELINE_SOURCE=demo\nSALES_PIPELINE_API_KEY={CANARY}\nSALES_PIPELINE_CASH=x\n"),
    );
    let mut command = folder.command(&["check"]);
    command.env("SALES_PIPELINE_RETENTION__DAYS", CANARY);
    insta::assert_snapshot!("problems_of_the_environment", told(&folder, &run(command), 78));
}

#[test]
fn neither_a_config_nor_demo_tells_the_two_ways_out() {
    let folder = Folder::new();
    insta::assert_snapshot!("no_source", told(&folder, &folder.run(&["pull"]), 78));
}

#[test]
fn a_source_that_nobody_configured_is_named_beside_those_there_are() {
    let folder = Folder::new();
    insta::assert_snapshot!("no_such_source", told(&folder, &folder.run(&["pull", "--demo", "hubspot"]), 64));
}

#[test]
fn a_config_that_others_can_write_is_not_used() {
    let folder = Folder::new();
    folder.write_config("source = \"demo\"\n");
    fs::set_permissions(folder.join("config/sales-pipeline.toml"), Permissions::from_mode(0o666)).unwrap();
    insta::assert_snapshot!("writable_config", told(&folder, &folder.run(&["check"]), 78));
    folder.run(&["check", "--config", "config/sales-pipeline.toml"]).assert_code(0);
}

#[test]
fn a_config_of_somebody_else_is_not_used() {
    if !is_root() {
        could_not_run("a config of somebody else", "only root can give a file away");
        return;
    }
    let folder = Folder::new();
    folder.write_config("source = \"demo\"\n");
    chown(folder.join("config/sales-pipeline.toml"), Some(NOBODY), None).unwrap();
    insta::assert_snapshot!("foreign_config", told(&folder, &folder.run(&["check"]), 78));
}

#[test]
fn a_cache_of_somebody_else_is_not_written() {
    if !is_root() {
        could_not_run("a cache of somebody else", "only root can give a folder away");
        return;
    }
    let folder = Folder::new();
    folder.run(&["pull", "--demo"]).assert_code(0);
    chown(folder.join("output/sales_cache"), Some(NOBODY), None).unwrap();
    let before = folder.snapshots("");
    insta::assert_snapshot!("foreign_cache", told(&folder, &folder.run(&["pull", "--demo"]), 73));
    for words in [
        ["run", "--demo"].as_slice(),
        &["snapshots", "prune", "--demo"],
        &["summary", "--demo"],
        &["check", "--demo", "--connect"],
    ] {
        folder.run(words).assert_code(73);
    }
    assert_eq!(folder.snapshots(""), before);
}

/// The program as somebody who is not root, in a folder of theirs; nothing where that cannot be.
fn as_nobody(folder: &Folder, words: &[&str]) -> Option<Command> {
    if !is_root() {
        return Some(folder.command(words));
    }
    chown(folder.path(), Some(NOBODY), None).unwrap();
    let wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut probe = folder.command_under(&wrapper, &["--version"]);
    if probe.output().is_ok_and(|output| output.status.success()) {
        return Some(folder.command_under(&wrapper, words));
    }
    could_not_run(
        "a folder that cannot be written",
        "root can always write, and setpriv cannot run the program as nobody",
    );
    None
}

#[test]
fn a_folder_that_cannot_be_written_is_told_by_its_name() {
    let folder = Folder::new();
    folder.write("output/daily_summary.json", "{}");
    fs::set_permissions(folder.join("output"), Permissions::from_mode(0o555)).unwrap();
    let Some(pull) = as_nobody(&folder, &["pull", "--demo"]) else { return };
    insta::assert_snapshot!("unwritable_folder", told(&folder, &run(pull), 73));
    let Some(daemon) = as_nobody(&folder, &["run", "--demo"]) else { return };
    run(daemon).assert_code(73);
}

#[test]
fn an_output_that_is_a_file_is_told_and_left_alone() {
    let folder = Folder::new();
    folder.write("output", "mine");
    insta::assert_snapshot!("output_is_a_file", told(&folder, &folder.run(&["pull", "--demo"]), 73));
    assert_eq!(folder.read("output"), "mine");
}

#[test]
fn a_folder_in_a_files_place_is_told_to_be_in_the_way() {
    let folder = Folder::new();
    folder.write("output/sales_pipeline.json/mine", "mine");
    let pull = folder.run(&["pull", "--demo"]);
    let said = told(&folder, &pull, 73);
    assert!(said.contains("explain wrong-file-type"), "{said}");
    assert_eq!(folder.read("output/sales_pipeline.json/mine"), "mine");
}

#[test]
fn a_list_in_csv_is_read_back_whatever_the_folder_is_called() {
    let folder = Folder::new();
    let output = "=a,\"b\"\nc";
    folder.run(&["pull", "--demo", "--output", output]).assert_code(0);
    let list = folder.run(&["snapshots", "list", "--demo", "--output", output, "--format", "csv"]);
    let mut table = csv::Reader::from_reader(list.assert_code(0).stdout.as_bytes());
    assert_eq!(
        table.headers().unwrap(),
        ["source", "snapshot", "deals", "value", "currency", "state", "path"].as_slice()
    );
    let row = table.records().next().unwrap().unwrap();
    assert_eq!(
        row.iter().take(6).map(|cell| if cell.starts_with("20") { "time" } else { cell }).collect::<Vec<_>>(),
        ["demo", "time", "5", "462000.0", "USD", "complete"]
    );
    assert!(row[6].contains(output) && folder.join(&row[6]).is_file(), "{row:?}");
}

#[test]
fn a_broken_summary_is_set_aside_publishing_goes_on_and_status_says_so() {
    for broken in ["", "{\"weather\": ", "[1, 2]", "\0\u{1}"] {
        let folder = Folder::new();
        folder.write("output/daily_summary.json", broken);
        folder.run(&["pull", "--demo"]).assert_code(0);
        assert_eq!(folder.json("output/daily_summary.json")["sales_pipeline_summary"]["total_leads"], 5);
        let aside: Vec<String> = names(&folder.join("output"))
            .into_iter()
            .filter(|name| name.starts_with("daily_summary.json.broken-"))
            .collect();
        let [aside] = &aside[..] else { panic!("set aside for {broken:?}: {aside:?}") };
        assert_eq!(folder.read(&format!("output/{aside}")), broken, "it is kept to the letter");
        let status = folder.run(&["status", "--demo"]);
        let said = format!(
            "warning: a summary could not be read and was set aside as {}",
            folder.join("output").join(aside).display()
        );
        assert!(status.assert_code(0).stdout.contains(&said), "{status:#?}");
    }
}

#[test]
fn a_snapshot_cut_short_is_passed_over_said_once_and_left_alone() {
    let folder = Folder::new();
    folder.run(&["pull", "--demo"]).assert_code(0);
    folder.run(&["pull", "--demo"]).assert_code(0);
    let [good, cut] = folder.snapshots("").try_into().unwrap();
    let (good, cut) = (format!("output/sales_cache/{good}"), format!("output/sales_cache/{cut}"));
    let half = folder.read(&cut)[..1000].to_owned();
    folder.write(&cut, &half);

    let mut daemon = folder.start(&["run", "--demo"]);
    daemon.wait_for("A snapshot cannot be read and is passed over");
    daemon.wait_for("\"Running\"");
    // Until a pull publishes, the newest good one is the latest; by then a scheduled one may have.
    if folder.snapshots("").len() == 2 {
        assert_eq!(folder.read("output/sales_pipeline.json"), folder.read(&good));
    }
    daemon.signal(Signal::USR1);
    daemon.wait_for("Published 5 deals");
    let ended = daemon.stop();
    ended.assert_code(0);
    assert_eq!(ended.stderr.matches("passed over").count(), 1, "{ended:#?}");
    assert_eq!(folder.read(&cut), half, "it is left alone");
    let list = folder.run(&["snapshots", "list", "--demo"]);
    assert_eq!(list.assert_code(0).stdout.matches("unreadable").count(), 1, "{list:#?}");
}

#[test]
fn what_is_not_exactly_ours_is_neither_listed_nor_pruned_nor_swept() {
    let folder = Folder::new();
    folder.write_config("source = \"demo\"\nretention = { days = 1, keep_at_least = 1 }\n");
    folder.run(&["pull"]).assert_code(0);
    let snapshot = folder.read(&format!("output/sales_cache/{}", folder.snapshots("")[0]));
    folder.write("elsewhere.json", &snapshot);
    let cache = |name: &str| format!("output/sales_cache/{name}");
    let old = cache("sales_pipeline_20250101_000000.json");
    folder.write(&old, &snapshot);

    for foreign in [
        "notes.txt",
        "sales_pipeline_20250101_000001.json.bak",
        "sales_pipeline_20250101.json",
        "sales_pipeline_20250101_000001_1.json",
    ] {
        folder.write(&cache(foreign), "theirs");
    }
    folder.write(&cache("sales_pipeline_20250101_000002.json/theirs"), "theirs");
    folder.write(&cache(".tmp-folder/theirs"), "theirs");
    for link in ["sales_pipeline_20250101_000003.json", ".tmp-link"] {
        symlink(folder.join("elsewhere.json"), folder.join(&cache(link))).unwrap();
    }
    let before = names(&folder.join("output/sales_cache"));

    let list = folder.run(&["snapshots", "list"]);
    assert_eq!(list.assert_code(0).stdout.lines().count(), 3, "a heading and two snapshots: {list:#?}");
    let planned = folder.run(&["snapshots", "prune", "--dry-run"]);
    assert_eq!(planned.assert_code(0).stdout.lines().count(), 2, "{planned:#?}");
    assert!(planned.stdout.contains("sales_pipeline_20250101_000000.json  delete: "), "{planned:#?}");
    assert_eq!(names(&folder.join("output/sales_cache")), before, "a rehearsal deletes nothing");

    assert_eq!(folder.run(&["snapshots", "prune"]).assert_code(0).stdout, "deleted 1 of 2 snapshots\n");
    folder.run(&["pull"]).assert_code(0);
    let after = names(&folder.join("output/sales_cache"));
    let gone: Vec<&String> = before.iter().filter(|name| !after.contains(name)).collect();
    assert_eq!(gone, ["sales_pipeline_20250101_000000.json"]);
    assert_eq!(folder.read("elsewhere.json"), snapshot);
}

/// A `rest` source whose key is in one of the forms of a secret.
fn rest_source(name: &str, key: &str) -> String {
    format!(
        "[sources.{name}]\nkind = \"rest\"\nendpoint = \"http://127.0.0.1:9\"\nrequest = {{ path = \"/deals\" }}\n\
         auth = {{ type = \"bearer\", token = {key} }}\nrecords = {{ path = \"$.data\" }}\n\
         fields = {{ id = \"$.id\", name = \"$.name\", stage = \"$.stage\", value = \"$.amount\" }}\n"
    )
}

#[test]
fn a_secret_that_is_not_there_is_told_before_anything_is_pulled() {
    let folder = Folder::new();
    folder.write("empty", "");
    let sources = [
        ("a", "{ env = \"NO_SUCH_VARIABLE\" }".to_owned()),
        ("b", format!("{{ file = \"{}\" }}", folder.join("no-such-file").display())),
        ("c", format!("{{ file = \"{}\" }}", folder.join("empty").display())),
        ("d", "{ credential = \"no-such-credential\" }".to_owned()),
        ("e", format!("\"{CANARY}\"")),
    ];
    folder.write_config(&sources.map(|(name, key)| rest_source(name, &key)).concat());
    insta::assert_snapshot!("missing_secrets", told(&folder, &folder.run(&["check"]), 78));
    told(&folder, &folder.run(&["pull"]), 78);
    assert!(!folder.join("output").exists(), "nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_reached_is_told_without_its_secret_and_the_data_stays() {
    let folder = Folder::new();
    let fails_once = format!(
        "{}retry = {{ attempts = 1, base = \"1ms\", max = \"1ms\" }}\n",
        rest_source("a", &format!("\"{CANARY}\""))
    );
    let crm = FakeRest::start(deals(3)).await;
    folder.write_config(&format!("{fails_once}[sources.b]\n{}\n", crm.section(Paging::Cursor)));
    insta::assert_snapshot!("unreachable_source", told(&folder, &folder.run(&["pull"]), 69));
    assert_eq!(folder.snapshots("b").len(), 1, "the other source is published all the same");
    let status = folder.run(&["status"]);
    assert!(told(&folder, &status, 0).contains("a: failing since "), "{status:#?}");
}
