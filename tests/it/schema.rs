//! What the program writes is what its schemas say, and the schemas are strict enough to notice a fault.
//!
//! Apart, so that every test that makes a file can hold it against its schema by [`assert_schema`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jsonschema::Validator;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_sales-pipeline");

/// Fails unless the file matches its schema: that of the summary for `daily_summary.json`, else that of a snapshot.
pub(crate) fn assert_schema(path: &Path) {
    let faults = faults(&validator(path), &json(path));
    assert!(faults.is_empty(), "`{}`:\n{}", path.display(), faults.join("\n"));
}

/// The schema of the file at `path`.
fn validator(path: &Path) -> Validator {
    let is_summary = path.file_name().is_some_and(|name| name == "daily_summary.json");
    let schema = schema(if is_summary { "summary" } else { "snapshot" });
    jsonschema::draft202012::new(&schema).expect("the schema can be compiled")
}

/// What a schema finds wrong with `content`.
fn faults(validator: &Validator, content: &Value) -> Vec<String> {
    validator.iter_errors(content).map(|fault| format!("{}: {fault}", fault.instance_path())).collect()
}

fn schema(name: &str) -> Value {
    json(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schema/{name}.schema.json")))
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("read `{}`: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

/// Runs `pull` with `arguments` in `folder`, in an environment of nothing.
fn pull(folder: &Path, arguments: &[&str]) {
    let output = Command::new(BINARY).arg("pull").args(arguments).current_dir(folder).env_clear().output();
    let output = output.expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The files of the demo, pulled into a new folder: the latest, the summary and the snapshot.
fn demo() -> (tempfile::TempDir, [PathBuf; 3]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    pull(folder.path(), &["--demo"]);
    let output = folder.path().join("output");
    let snapshot = snapshots(&output.join("sales_cache")).remove(0);
    (folder, [output.join("sales_pipeline.json"), output.join("daily_summary.json"), snapshot])
}

/// A folder with two named sources, of which `pulled` have been pulled.
fn two_sources(pulled: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("config")).expect("a folder for the config");
    let config = "[sources.north]\nkind = \"demo\"\n\n[sources.south]\nkind = \"demo\"\n";
    fs::write(folder.path().join("config/sales-pipeline.toml"), config).expect("a config");
    pull(folder.path(), pulled);
    folder
}

fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("list `{}`: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|kind| kind == "json") && !is_hidden(path)).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Every object in the schema's tree, with its place.
fn objects<'a>(place: &str, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(members) => {
            found.push((place.to_owned(), value));
            for (key, member) in members {
                objects(&format!("{place}/{key}"), member, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(&format!("{place}/{index}"), item, found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_schemas_are_schemas_and_every_key_they_require_is_described() {
    for name in ["snapshot", "summary"] {
        let schema = schema(name);
        jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let mut found = Vec::new();
        objects("", &schema, &mut found);
        for (place, object) in found {
            // The branches of a condition speak of keys that the trunk describes.
            let (Some(Value::Array(required)), Some(properties)) = (object.get("required"), object.get("properties"))
            else {
                continue;
            };
            if place.starts_with("/then") {
                continue;
            }
            for key in required {
                assert!(properties.get(key.as_str().unwrap_or_default()).is_some(), "{name}{place}: {key}");
            }
        }
    }
}

#[test]
fn snapshot_latest_file_and_summary_of_one_source_match_their_schemas() {
    let (_folder, files) = demo();
    for file in &files {
        assert_schema(file);
    }
}

#[test]
fn joined_files_match_their_schemas_with_and_without_all_sources() {
    for pulled in [&[] as &[&str], &["south"]] {
        let folder = two_sources(pulled);
        let output = folder.path().join("output");
        for file in ["sales_pipeline.json", "daily_summary.json"] {
            assert_schema(&output.join(file));
        }
        for source in if pulled.is_empty() { ["north", "south"].as_slice() } else { pulled } {
            for snapshot in snapshots(&output.join("sales_cache").join(source)) {
                assert_schema(&snapshot);
            }
        }
        let latest = json(&output.join("sales_pipeline.json"));
        assert_eq!(latest["source"], "all");
        assert_eq!(latest["completeness"]["complete"], pulled.is_empty());
        assert_eq!(latest["sources"][0]["timestamp"].is_null(), !pulled.is_empty(), "north");
    }
}

#[test]
fn a_missing_key_anywhere_is_noticed() {
    let (_folder, files) = demo();
    for path in &files {
        let (validator, good) = (validator(path), json(path));
        let mut pointers = Vec::new();
        let mut found = Vec::new();
        objects("", &good, &mut found);
        for (place, object) in found {
            // These three hold whatever the CRM and the configuration call them.
            if place.ends_with("/stage_breakdown") || place.ends_with("/by_currency") || place.ends_with("/sources") {
                continue;
            }
            pointers.extend(
                object.as_object().into_iter().flat_map(|keys| keys.keys()).map(|key| (place.clone(), key.clone())),
            );
        }
        assert!(pointers.len() > 30, "{}", path.display());
        for (place, key) in pointers {
            let mut bad = good.clone();
            let object = bad.pointer_mut(&place).and_then(Value::as_object_mut).expect("it was just found");
            object.remove(&key);
            assert!(!faults(&validator, &bad).is_empty(), "`{}`: {place}/{key} is missed by nobody", path.display());
        }
    }
}

#[test]
fn values_of_a_wrong_type_are_noticed() {
    let (_folder, [latest, summary, _]) = demo();
    for (path, place, wrong) in [
        (&latest, "/leads/0/value", Value::from("150000.0")),
        (&latest, "/leads/0/id", Value::from(1)),
        (&latest, "/leads/0/probability", Value::from(30)),
        (&latest, "/leads/0/status", Value::from("Open")),
        (&latest, "/leads/0/created_at", Value::from("2025-11-15T10:00:00+00:00")),
        (&latest, "/leads/0/close_date", Value::from("31.01.2026")),
        (&latest, "/leads/0/currency", Value::from("usd")),
        (&latest, "/leads/0/source", Value::from("demo")),
        (&latest, "/leads/0/valeu", Value::from(1)),
        (&latest, "/total_value", Value::from("462000.0")),
        (&latest, "/timestamp", Value::from("2025-12-10T20:21:45Z")),
        (&latest, "/totals/open/value", Value::Null),
        (&latest, "/totals/open/by_currency/USD/count", Value::from(-1)),
        (&latest, "/completeness/complete", Value::from(false)),
        (&latest, "/run", Value::Null),
        (&latest, "/source", Value::from("all")),
        (&summary, "/sales_pipeline_summary/open/value", Value::from("405000.0")),
        (&summary, "/sales_pipeline_summary/sources/demo/timestamp", Value::from(0)),
        (&summary, "/metadata/sales_pipeline_enabled", Value::from(false)),
    ] {
        let mut bad = json(path);
        let (parent, key) = place.rsplit_once('/').expect("a pointer begins with a slash");
        bad.pointer_mut(parent).expect("the parent is there")[key] = wrong;
        assert!(!faults(&validator(path), &bad).is_empty(), "{place}");
    }
}

#[test]
fn new_keys_at_the_top_and_keys_of_other_programs_are_welcome() {
    let (_folder, [latest, summary, _]) = demo();
    for (path, parent) in
        [(&latest, ""), (&summary, ""), (&summary, "/metadata"), (&summary, "/sales_pipeline_summary")]
    {
        let mut more = json(path);
        more.pointer_mut(parent).expect("the parent is there")["weather"] = Value::from("fair");
        assert_eq!(faults(&validator(path), &more), Vec::<String>::new(), "{parent}");
    }
}
