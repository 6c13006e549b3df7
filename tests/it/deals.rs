//! `deals`: lists and exports the deals of the newest snapshots.

use serde_json::Value;

use crate::program::Folder;

/// The ids that `deals` prints for these options, in order.
fn ids(folder: &Folder, options: &[&str]) -> Vec<String> {
    let mut arguments = vec!["--demo", "deals", "--format", "json"];
    arguments.extend(options);
    let printed = folder.run(&arguments);
    let deals: Value = serde_json::from_str(&printed.assert_code(0).stdout).unwrap();
    let deals = deals.as_array().unwrap();
    deals.iter().map(|deal| deal["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn deals_are_filtered_by_stage_owner_and_status() {
    let folder = Folder::new();
    folder.run(&["--demo", "pull"]).assert_code(0);
    let all = ids(&folder, &[]);
    assert_eq!(all.len(), 5);
    assert_eq!(ids(&folder, &["--stage", " qualification "]), ids(&folder, &["--stage", "Qualification"]));
    assert_eq!(ids(&folder, &["--stage", "Qualification"]).len(), 2);
    assert_eq!(ids(&folder, &["--status", "won"]).len(), 1);
    assert_eq!(ids(&folder, &["--status", "open", "--status", "won"]), all);
    assert_eq!(ids(&folder, &["--owner", "nobody"]), Vec::<String>::new());
    assert_eq!(ids(&folder, &["demo"]), all);
}

#[test]
fn a_source_or_status_that_does_not_exist_is_a_usage_error() {
    let folder = Folder::new();
    folder.run(&["--demo", "pull"]).assert_code(0);
    folder.run(&["--demo", "deals", "nobody"]).assert_code(64);
    folder.run(&["--demo", "deals", "--status", "closed"]).assert_code(64);
}

#[test]
fn the_csv_export_has_one_row_per_deal_and_exact_amounts() {
    let folder = Folder::new();
    folder.run(&["--demo", "pull"]).assert_code(0);
    let printed = folder.run(&["--demo", "deals", "--format", "csv"]);
    let lines: Vec<&str> = printed.assert_code(0).stdout.lines().collect();
    assert_eq!(lines.len(), 6);
    assert!(lines[0].starts_with("source,id,name,company,pipeline,stage,status,value,currency"), "{}", lines[0]);
    assert!(lines[1].starts_with("demo,lead-001,Enterprise Integration Project,TechCorp Solutions,"), "{}", lines[1]);
    assert!(lines[1].contains(",Qualification,open,150000.0,USD,0.3,"), "{}", lines[1]);
}
