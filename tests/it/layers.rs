//! The floors of the house: a room imports only from floors below its own, siblings do not import each other, and
//! nothing is imported through the crate's root.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms by floor, the ground first.
const FLOORS: [&[&str]; 8] = [
    &["advice", "clock", "cron", "http", "memory", "model", "redact", "secret", "settings", "signals", "telemetry"],
    &["analysis", "sources", "store"],
    &["jobs"],
    &["schedule"],
    &["config"],
    &["app"],
    &["commands"],
    &["main"],
];

/// Imports between rooms of the ground, which is not a floor of siblings but of tools.
const ON_THE_GROUND: [(&str, &str); 4] =
    [("secret", "advice"), ("http", "settings"), ("redact", "model"), ("redact", "secret")];

fn floor(room: &str) -> usize {
    FLOORS.iter().position(|rooms| rooms.contains(&room)).unwrap_or_else(|| panic!("`{room}` is on no floor"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every `from -> to` between rooms that the source has, and where.
fn imports() -> Vec<(String, String, PathBuf)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    let mut imports = Vec::new();
    for path in found {
        let inner = path.strip_prefix(&source).unwrap();
        let room = inner.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if room == "lib" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split("crate::").skip(1).chain(text.split("sales_pipeline::").skip(1)) {
            let to: String = part.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect();
            // `use crate::{…}` gives no name and is on no floor.
            if to != room {
                imports.push((room.clone(), to, path.clone()));
            }
        }
    }
    imports
}

#[test]
fn every_import_points_downward() {
    let imports = imports();
    assert!(imports.len() > 100, "the imports are found at all: {}", imports.len());
    let wrong: Vec<String> = imports
        .iter()
        .filter(|(from, to, _)| {
            let on_the_ground = ON_THE_GROUND.contains(&(from.as_str(), to.as_str()));
            floor(to) >= floor(from) && !on_the_ground
        })
        .map(|(from, to, path)| format!("{from} imports {to} in {}", path.display()))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}
