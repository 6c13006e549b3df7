//! The documents say what the program does: headings, commands, links, output and examples are held against it.
//!
//! Apart from the program's own tests: a document is wrong as soon as the program changes without it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sales_pipeline::advice::Advice;
use sales_pipeline::config::DEFAULTS;
use sales_pipeline::sources::{COMMON_KEYS, OWN_KEYS};

const BINARY: &str = env!("CARGO_BIN_EXE_sales-pipeline");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("read `{}`: {error}", file.display()))
}

fn document(name: &str) -> String {
    text_of(&root().join(name))
}

/// Runs the program in `folder`, in an environment of nothing but `variables`.
fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).current_dir(folder).env_clear().envs(variables.iter().copied());
    command.output().expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn help(words: &[&str]) -> String {
    let arguments = [words, &["--help"]].concat();
    let output = run(root(), &arguments, &[]);
    assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    stdout(&output)
}

fn folder_with(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("config.toml"), config).expect("a config");
    folder
}

/// `check` of a config, in its own folder.
fn check(config: &str, variables: &[(&str, &str)]) -> Output {
    let folder = folder_with(config);
    run(folder.path(), &["check", "--config", "config.toml"], variables)
}

/// The text of the first block in `language` after `heading`.
fn block<'a>(document: &'a str, heading: &str, language: &str) -> &'a str {
    let after = document.split_once(heading).unwrap_or_else(|| panic!("no `{heading}`")).1;
    let begun = after.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no block of {language}")).1;
    begun.split_once("```").expect("the block ends").0
}

/// The lines outside of blocks of code.
fn prose(document: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    document.lines().filter(move |line| {
        let fence = line.starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    })
}

/// What stands between backquotes in a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The rules that the code knows: variants such as `R02`.
fn rules() -> BTreeSet<String> {
    let code = document("src/model/finding.rs") + &document("src/analysis/gate.rs");
    let variants = code.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(','));
    let is_rule = |name: &&str| name.len() == 3 && name.starts_with(['D', 'R']);
    variants.filter(is_rule).map(ToOwned::to_owned).collect()
}

#[test]
fn every_advice_and_every_rule_has_one_entry_in_the_runbook_and_explain_prints_it() {
    let runbook = document("docs/runbook.md");
    let headings = prose(&runbook).filter_map(|line| line.strip_prefix("## "));
    let written: Vec<String> = headings.map(|line| line.split(':').next().unwrap_or(line).to_owned()).collect();
    let rules = rules();
    assert!(rules.len() > 8, "{rules:?}");
    let known: BTreeSet<String> = Advice::slugs().map(ToOwned::to_owned).chain(rules.iter().cloned()).collect();
    assert_eq!(written.iter().cloned().collect::<BTreeSet<_>>(), known);
    assert_eq!(written.len(), known.len(), "two entries have the same code");
    let list = stdout(&run(root(), &["explain"], &[]));
    for code in known {
        let output = run(root(), &["explain", &code.to_lowercase()], &[]);
        let text = stdout(&output);
        assert!(text.starts_with(&format!("{code}: ")) && list.contains(&code), "{code}: {text}");
        let parts = ["Means:", "Look at:", "Do:", "Exit code:"];
        let wanted = if rules.contains(&code) { &["Means:", "Do:"][..] } else { &parts };
        for part in wanted {
            assert!(text.contains(part), "{part} in:\n{text}");
        }
    }
    let refused = run(root(), &["explain", "disk-ful"], &[]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(stderr(&refused).contains("did you mean `disk-full`?"), "{}", stderr(&refused));
}

#[test]
fn every_documented_command_and_option_exists_and_every_command_is_documented() {
    let page = document("docs/cli.md");
    let table =
        page.split_once("## Commands\n").expect("the commands").1.split_once("\n\n`--config").expect("a table").0;
    let mut described = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let mut words = quoted(row);
        let command: Vec<&str> = words.next().expect("a command").split(' ').collect();
        let help = help(&command);
        for option in words.filter_map(|word| word.split(' ').next()).filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "{command:?} has no {option}");
        }
        described.insert(command[0].to_owned());
    }
    let help = help(&[]);
    let listed = help.split_once("Commands:\n").expect("commands").1.split_once("\n\n").expect("an end").0;
    let listed: BTreeSet<String> = listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(ToOwned::to_owned))
        .filter(|name| name != "help")
        .collect();
    assert_eq!(described, listed);
}

#[test]
fn the_documented_exit_codes_are_those_of_the_help() {
    let page = document("docs/cli.md");
    let table =
        page.split_once("| exit code | means |\n").expect("the exit codes").1.split_once("\n\n").expect("an end").0;
    let documented: Vec<&str> = table.lines().skip(1).filter_map(|row| row.split('|').nth(1)).map(str::trim).collect();
    let help = help(&[]);
    let codes = help.split_once("Exit codes: ").expect("exit codes").1;
    let numbers = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let in_help: Vec<&str> = codes.split_whitespace().filter(|word| numbers(word)).collect();
    assert_eq!(documented, in_help);
}

#[test]
fn the_output_in_the_readme_is_what_the_program_prints() {
    let readme = document("README.md");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path().canonicalize().expect("a folder that is there");
    let mut compared = 0;
    for shown in block(&readme, "# sales-pipeline", "console").split("$ ").skip(1) {
        let (line, expected) = shown.split_once('\n').expect("a command and its output");
        let arguments: Vec<&str> = line.split(' ').skip(1).collect();
        let output = run(&here, &arguments, &[]);
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        let printed = stdout(&output).replace(&*here.to_string_lossy(), "/srv/crm");
        assert_eq!(timeless(&printed), timeless(expected), "{line}");
        compared += 1;
    }
    assert_eq!(compared, 3);
    let latest = text_of(&here.join("output/sales_pipeline.json"));
    let shown = block(&readme, "## What you get", "json");
    assert!(shown.lines().count() >= 10);
    for part in shown.lines().filter_map(|line| line.split("… }").next()) {
        assert!(latest.contains(part.trim_end_matches([' ', ','])), "`{part}` is not in the latest file");
    }
}

/// The words of a text, line by line, without what changes from run to run: instants, names of snapshots, ages.
fn timeless(text: &str) -> Vec<String> {
    let is_time = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        digits >= 6 && word.bytes().all(|byte| byte.is_ascii_digit() || b"-:_Z".contains(&byte))
    };
    let lines = text.trim_end().lines().map(|line| {
        let words = line.split_whitespace().map(|word| if is_time(word) { "TIME" } else { word });
        words.collect::<Vec<_>>().join(" ")
    });
    lines.map(|line| without_age(&line)).collect()
}

/// The age stands behind the instant of the last snapshot.
fn without_age(line: &str) -> String {
    let Some((before, after)) = line.split_once("TIME TIME ") else { return line.to_owned() };
    let rest = after.split_once(" s ").map_or(after, |(_, rest)| rest);
    format!("{before}TIME AGE {rest}")
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut followed = 0;
    for file in documents() {
        let text = text_of(&file);
        for link in prose(&text).flat_map(links) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { file.clone() } else { file.parent().expect("a folder").join(path) };
            assert!(target.exists(), "`{}` links to {link}", file.display());
            if !anchor.is_empty() {
                let headings = text_of(&target);
                let known = prose(&headings).filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor);
                assert!(known, "`{}` links to {link}", file.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 15, "only {followed} links were found");
}

/// Every document of the repository.
fn documents() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/adr", "docs/crm"].map(|folder| root().join(folder));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder of the repository"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect()
}

fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
}

/// A heading's anchor, as the usual renderers make it.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect()
}

#[test]
fn the_defaults_are_accepted_as_they_are() {
    let output = check(&format!("{DEFAULTS}\n[sources.demo]\nkind = \"demo\"\n"), &[]);
    assert!(output.status.success() && stderr(&output).is_empty(), "{}", stderr(&output));
}

/// The keys of the short form, which does not stand beside `[sources.*]`.
const SHORT_FORM: [&str; 3] = ["source", "api_key", "endpoint"];

#[test]
fn every_example_in_the_defaults_is_a_real_key() {
    let examples = uncommented(&|key, table| !(table.is_empty() && SHORT_FORM.contains(&key)));
    for key in ["cache = ", "currency = ", "[sources.mycrm]", "retry "] {
        assert!(examples.contains(&format!("\n{key}")), "{key} is not uncommented:\n{examples}");
    }
    assert_eq!(unknown_keys(&check(&examples, &[])), Vec::<String>::new());
    let misspelt = examples.replace("\ncache = ", "\ncahce = ");
    assert_eq!(unknown_keys(&check(&misspelt, &[])).len(), 1, "a key that is none is noticed");
}

#[test]
fn the_short_form_in_the_defaults_is_accepted() {
    let short = uncommented(&|key, table| table.is_empty() && SHORT_FORM.contains(&key));
    let output = check(&short, &[("MY_CRM_KEY", "secret")]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn the_defaults_show_every_key_that_all_sources_have() {
    for key in OWN_KEYS.iter().chain(&COMMON_KEYS) {
        let shown = DEFAULTS.lines().any(|line| line.strip_prefix("# ").and_then(key_of) == Some(key));
        assert!(shown, "{key}");
    }
}

/// The defaults with those commented examples uncommented that `wanted` says yes to, by key and table.
fn uncommented(wanted: &dyn Fn(&str, &str) -> bool) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut table = "";
    for line in DEFAULTS.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let is_example = bare != line;
        if bare.starts_with('[') && bare.ends_with(']') {
            table = bare;
            lines.push(if is_example && !wanted("", table) { line } else { bare });
            continue;
        }
        match key_of(bare) {
            Some(key) if is_example && wanted(key, table) => {
                // An example stands in place of the default above it.
                if lines.last().and_then(|last| key_of(last)) == Some(key) {
                    lines.pop();
                }
                lines.push(bare);
            }
            _ => lines.push(line),
        }
    }
    lines.join("\n")
}

/// The key that a line of TOML sets.
fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim_end();
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_key.then_some(key)
}

fn unknown_keys(output: &Output) -> Vec<String> {
    let said = stderr(output);
    assert!(!said.contains("TOML") && !said.contains("duplicate"), "{said}");
    said.lines().filter(|line| line.contains("unknown key")).map(ToOwned::to_owned).collect()
}

#[test]
fn the_sections_in_the_documents_are_accepted_without_a_warning() {
    let sections = [
        ("README.md", "## First real source"),
        ("docs/sources.md", "## Any REST API"),
        ("docs/rest.md", "## An example"),
    ];
    for (file, heading) in sections {
        let document = document(file);
        let variables = [("MYCRM_API_KEY", "secret-key"), ("HUBSPOT_KEY", "secret-key")];
        let output = check(block(&document, heading, "toml"), &variables);
        assert!(output.status.success(), "{file}: {}", stderr(&output));
        let said = stdout(&output) + &stderr(&output);
        assert!(!said.contains("warning"), "{file}: {said}");
    }
}

#[test]
fn every_key_of_the_files_is_in_their_description() {
    let description = document("docs/files.md");
    let described: BTreeSet<&str> = description.lines().flat_map(quoted).collect();
    for name in ["snapshot", "summary"] {
        let schema: serde_json::Value =
            serde_json::from_str(&document(&format!("docs/schema/{name}.schema.json"))).expect("a schema is JSON");
        let parts = [&schema, &schema["$defs"]["lead"], &schema["properties"]["sales_pipeline_summary"]];
        for key in parts.into_iter().filter_map(|part| part["properties"].as_object()).flat_map(|keys| keys.keys()) {
            assert!(described.contains(key.as_str()), "{name}: {key}");
        }
    }
}

/// The declarations of a source file that others can see, by name.
fn declares(file: &str, name: &str) -> bool {
    let text = document(file);
    ["fn ", "struct ", "enum ", "trait ", "const ", "type "].iter().any(|kind| {
        text.lines().any(|line| {
            let after = line.trim_start().strip_prefix("pub").and_then(|line| line.split_once(kind));
            let name_there =
                after.map(|(_, rest)| rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_'));
            name_there.and_then(|mut words| words.next()) == Some(name)
        })
    }) || hands_on(&text, name)
}

/// Whether a room hands on a name that one of its own rooms declares.
fn hands_on(text: &str, name: &str) -> bool {
    let exports = text.lines().filter(|line| line.starts_with("pub"));
    let handed = exports.filter_map(|line| Some(&line[line.find("use ")?..])).flat_map(imported);
    handed
        .filter(|(_, own)| own == name)
        .any(|(room, _)| declares(&format!("src/{}.rs", room.replace("::", "/")), name))
}

/// The names that a line `use crate::a::b::{C, d};` imports, each with the path before it.
fn imported(line: &str) -> Vec<(String, String)> {
    let Some(path) = line.strip_prefix("use crate::").and_then(|rest| rest.strip_suffix(';')) else {
        return Vec::new();
    };
    let (room, names) = path.rsplit_once("::").filter(|_| !path.contains('{')).unwrap_or_else(|| {
        let (room, names) = path.split_once("::{").expect("one name or several");
        (room, names.trim_end_matches('}'))
    });
    names.split(", ").map(|name| (room.to_owned(), name.to_owned())).collect()
}

#[test]
fn the_page_on_adding_a_crm_uses_names_and_signatures_that_the_code_has() {
    let page = document("docs/add-a-crm.md");
    let code = block(&page, "## 1. The file", "rust");
    let mut found = 0;
    for (room, name) in code.lines().flat_map(imported) {
        let folder = format!("src/{}", room.replace("::", "/"));
        let files = [format!("{folder}.rs"), format!("{folder}/mod.rs")].into_iter();
        let file = files.clone().find(|file| root().join(file).exists()).unwrap_or_else(|| panic!("no room {room}"));
        let is_room = root().join(format!("{folder}/{name}.rs")).exists();
        assert!(is_room || declares(&file, &name), "{file} has no `{name}`");
        found += 1;
    }
    assert!(found > 20, "only {found} names were found");
    let seam = document("src/sources/source.rs");
    for line in code.lines().map(str::trim).filter(|line| line.starts_with("async fn ") && line.contains("&self")) {
        let is_own = line.contains("async fn list");
        let signature = line.trim_end_matches(" {").replace("_attempt", "attempt");
        assert!(is_own || seam.contains(&format!("{signature};")), "the trait has no `{signature}`");
    }
    for method in ["fn mapping(&self) -> Vec<Mapped>", "fn requests(&self) -> u64"] {
        assert!(seam.contains(method) && code.contains(method), "{method}");
    }
    for path in prose(&page)
        .flat_map(quoted)
        .filter(|word| Path::new(word).extension().is_some_and(|kind| kind == "rs") && word.contains('/'))
    {
        let is_example = path.ends_with("/close.rs");
        let places = [path.to_owned(), format!("src/sources/{path}")];
        assert!(is_example || places.iter().any(|place| root().join(place).exists()), "there is no {path}");
    }
}
