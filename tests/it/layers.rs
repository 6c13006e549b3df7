//! The layers: a module imports only from layers below its own, siblings do not import each other, and
//! nothing is imported through the crate's root.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules by layer, the lowest first.
const LAYERS: [&[&str]; 8] = [
    &["advice", "clock", "cron", "http", "memory", "model", "redact", "secret", "settings", "signals", "telemetry"],
    &["analysis", "sources", "store"],
    &["jobs"],
    &["schedule"],
    &["config"],
    &["app"],
    &["commands"],
    &["main"],
];

/// Imports inside the lowest layer, whose modules are tools and not siblings.
const IN_THE_LOWEST: [(&str, &str); 4] =
    [("secret", "advice"), ("http", "settings"), ("redact", "model"), ("redact", "secret")];

fn layer(module: &str) -> usize {
    LAYERS.iter().position(|modules| modules.contains(&module)).unwrap_or_else(|| panic!("`{module}` is in no layer"))
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

/// Every `from -> to` between modules that the source has, and where.
fn imports() -> Vec<(String, String, PathBuf)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    let mut imports = Vec::new();
    for path in found {
        let inner = path.strip_prefix(&source).unwrap();
        let module =
            inner.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if module == "lib" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split("crate::").skip(1).chain(text.split("sales_pipeline::").skip(1)) {
            let to: String = part.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect();
            // `use crate::{…}` names no module and is in no layer.
            if to != module {
                imports.push((module.clone(), to, path.clone()));
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
            let in_the_lowest = IN_THE_LOWEST.contains(&(from.as_str(), to.as_str()));
            layer(to) >= layer(from) && !in_the_lowest
        })
        .map(|(from, to, path)| format!("{from} imports {to} in {}", path.display()))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}
