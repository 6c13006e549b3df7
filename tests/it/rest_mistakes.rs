//! More than fifty mistakes in a `rest` section: each is found by `check`, without a request, with its line and what to do.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use serde::Deserialize;

use crate::program::{Folder, for_each_in_parallel};
use crate::rest::with;

/// A section without a mistake.
const RIGHT: &str = r#"kind = "rest"
endpoint = "https://api.mycrm.example/v2"
request = { path = "/deals" }
paging = { type = "cursor", cursor = "$.next", param = "cursor" }
records = { path = "$.data" }
fields = { id = "$.id", name = "$.name" }
status = { path = "$.status", won = ["won"], lost = ["lost"] }
"#;

#[derive(Deserialize)]
struct Mistakes {
    case: Vec<Mistake>,
}

#[derive(Deserialize)]
struct Mistake {
    name: String,
    lines: String,
}

impl Mistake {
    fn config(&self) -> String {
        let replaced = self.lines.trim().lines().fold(RIGHT.to_owned(), |section, line| {
            let key = line.split(" = ").next().unwrap();
            with(&section, key, line)
        });
        let lines: Vec<&str> = replaced.lines().filter(|line| !line.is_empty()).collect();
        format!("[sources.crm]\n{}\n", lines.join("\n"))
    }
}

fn mistakes() -> Vec<Mistake> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/rest_mistakes.toml");
    let text = fs::read_to_string(path).unwrap();
    figment::Figment::from(<figment::providers::Toml as figment::providers::Format>::string(&text))
        .extract::<Mistakes>()
        .unwrap()
        .case
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_to_do() {
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{RIGHT}"));
    folder.run(&["check"]).assert_code(0);
    let told = Mutex::new(Vec::new());
    let mistakes = mistakes();
    for_each_in_parallel(&mistakes, |mistake| {
        let folder = Folder::new();
        folder.write_config(&mistake.config());
        let ended = folder.run(&["check"]);
        ended.assert_code(78);
        assert!(!ended.stderr.contains("canary") && !ended.stdout.contains("canary"), "{}", ended.stderr);
        let problems: Vec<&str> =
            ended.stderr.lines().filter(|line| line.contains("config/sales-pipeline.toml:")).collect();
        assert!(!problems.is_empty(), "{}: {}", mistake.name, ended.stderr);
        for problem in &problems {
            // A key, what is wrong there, and what to do: behind a semicolon, or told by what is expected.
            let says_what_to_do = ["; ", "expected ", "must be ", "needs ", "is of use only "];
            assert!(says_what_to_do.iter().any(|mark| problem.contains(mark)), "{}: {problem}", mistake.name);
        }
        told.lock().unwrap().push(format!("{}\n  {}", mistake.name, problems.join("\n  ")));
    });
    let mut told = told.into_inner().unwrap();
    told.sort();
    assert_eq!(told.len(), mistakes.len());
    insta::assert_snapshot!(told.join("\n"));
}
