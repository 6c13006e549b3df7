//! The program against a hostile CRM: whatever it sends, the pull ends in the right words and in time, the old snapshot
//! stays, memory stays small, and the credentials go nowhere else.
//!
//! The bad answers stand in `hostile_cases.toml`, the kinds of source in `hostile/kinds.rs`: every kind meets every
//! answer. The real binary is run, so that all it prints, logs and writes can be searched for the credentials.

mod case;
mod container;
mod kinds;
mod server;
mod template;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::case::{Case, Class};
use self::container::Ended;
use self::kinds::{KINDS, Kind};
use self::server::{Foreign, Hostile, WELL};
use crate::skip::is_left_out;

/// What must be found nowhere: bad answers hold it too.
const CANARY: &[u8] = b"canary";
/// What is sent to the CRM, and to nobody else.
const TOKEN: &str = "canary-token-7f3a";
/// How many programs run at once.
const AT_ONCE: usize = 4;
/// The memory of the container, in bytes, and the most that may be resident in it, in KiB.
const CONTAINER: u64 = 192 << 20;
const MOST_RESIDENT: u64 = 128 << 10;
/// The longest any of these pulls may take, all tries included.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a source of any kind has beside its own keys.
const SHARED: &str = r#"
endpoint = "http://127.0.0.1:1"
closed_within = "all"
retry = { attempts = 2, base = "1ms", max = "2ms" }
"#;

/// A folder with the configuration and the snapshot of a better day.
struct Bench(TempDir);

impl Bench {
    /// Pulls once while the CRM is well.
    async fn new(kind: &'static Kind) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let config = format!("[sources.crm]\nkind = \"{}\"\n{SHARED}\n{}", kind.name, kind.section);
        fs::write(bench.path("config.toml"), config).unwrap();
        let foreign = Foreign::start().await;
        let crm = Hostile::start(kind, Case::well(WELL), foreign.address).await;
        let ended = bench.pull(&crm, &foreign, &Case::well(""), Class::Read).await;
        assert!(ended.output.status.success(), "{}: {}", kind.name, String::from_utf8_lossy(&ended.output.stderr));
        // As they are, or as a user without a password.
        let as_user = BASE64_STANDARD.encode(format!("{TOKEN}:"));
        assert!(crm.was_sent(TOKEN) || crm.was_sent(&as_user), "{}: the credentials are sent at all", kind.name);
        bench
    }

    /// The same once more, to be spoilt.
    fn copy(&self) -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        copy_folder(self.0.path(), copy.0.path());
        copy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `pull` with every log line there is; the environment names a proxy that must not be used.
    async fn pull(&self, crm: &Hostile, foreign: &Foreign, case: &Case, class: Class) -> Ended {
        let timeout = if class == Class::TimedOut { "1s" } else { "1m" };
        let elsewhere = format!("http://{}", foreign.address);
        let mut command = Command::new(env!("CARGO_BIN_EXE_sales-pipeline"));
        command.arg("--config").arg(self.path("config.toml")).arg("--output").arg(self.path("output")).arg("pull");
        for (name, value) in [
            ("CRM_TOKEN", TOKEN),
            ("SALES_PIPELINE_LOG", "trace"),
            ("SALES_PIPELINE_SOURCES__CRM__ENDPOINT", &format!("http://{}", crm.address)),
            ("SALES_PIPELINE_SOURCES__CRM__TIMEOUT", timeout),
            ("SALES_PIPELINE_LIMITS__PULL_DEADLINE", &case.deadline),
            ("HTTP_PROXY", &elsewhere),
            ("http_proxy", &elsewhere),
            ("ALL_PROXY", &elsewhere),
        ] {
            command.env(name, value);
        }
        let limit = case.heavy.then_some(CONTAINER);
        let scratch = self.0.path().to_owned();
        tokio::task::spawn_blocking(move || container::run(&command, limit, &scratch)).await.unwrap()
    }

    /// What other programs read: every file that does not start with a dot, is not held and is not a lock.
    fn published(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let is_hidden =
            |path: &Path| path.iter().any(|part| part == "held" || part.as_encoded_bytes().starts_with(b"."));
        let is_lock = |path: &Path| path.extension().is_some_and(|kind| kind == "lock");
        let output = self.path("output");
        let files =
            files(&output).into_iter().filter(|path| !is_lock(path) && !is_hidden(path.strip_prefix(&output).unwrap()));
        files.map(|path| (path.strip_prefix(&output).unwrap().to_owned(), lasting(&path))).collect()
    }
}

/// What of a published file a failure must leave as it is: of the summary, everything but the notice of the failure.
fn lasting(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    if !path.ends_with("daily_summary.json") {
        return bytes;
    }
    let mut summary: Value = serde_json::from_slice(&bytes).unwrap();
    for (_, source) in summary["sales_pipeline_summary"]["sources"].as_object_mut().unwrap() {
        source.as_object_mut().unwrap().retain(|key, _| !key.starts_with("stale_"));
    }
    serde_json::to_vec(&summary).unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Lets the program meet one bad answer; what went otherwise than it must, in words.
async fn meet(kind: &'static Kind, case: Case, bench: Bench) -> Vec<String> {
    let class = case.class(kind.name);
    let foreign = Foreign::start().await;
    let crm = Hostile::start(kind, case.clone(), foreign.address).await;
    if class == Class::Held {
        // What is held is held against the same settings, of which the address is one.
        crm.be_well(true);
        bench.pull(&crm, &foreign, &Case::well(""), Class::Read).await;
        crm.be_well(false);
    }
    let before = bench.published();
    let begun = Instant::now();
    let ended = bench.pull(&crm, &foreign, &case, class).await;
    let mut wrong = wrong_ending(class, &ended);
    if begun.elapsed() > PATIENCE {
        wrong.push(format!("it took {:?}", begun.elapsed()));
    }
    if let Some(memory) = ended.memory.filter(|memory| *memory > MOST_RESIDENT) {
        wrong.push(format!("{memory} KiB were resident"));
    }
    if foreign.asked() > 0 {
        wrong.push("another host was asked".to_owned());
    }
    let after = bench.published();
    match class {
        Class::Read => wrong.extend(wrong_count(&after, case.deals)),
        _ if after != before => wrong.push("what was published has changed".to_owned()),
        _ => {}
    }
    for (place, bytes) in [("standard output", &ended.output.stdout), ("standard error", &ended.output.stderr)] {
        if holds(bytes, CANARY) {
            wrong.push(format!("{place} tells a secret: {}", String::from_utf8_lossy(bytes)));
        }
    }
    let written = files(&bench.path("output"));
    wrong.extend(
        written
            .iter()
            .filter(|path| holds(&fs::read(path).unwrap(), CANARY))
            .map(|path| format!("{} tells a secret", path.display())),
    );
    wrong.into_iter().map(|what| format!("{}: {}: {what}", kind.name, case.name)).collect()
}

fn wrong_ending(class: Class, ended: &Ended) -> Vec<String> {
    let (code, told) = (ended.output.status.code(), String::from_utf8_lossy(&ended.output.stderr));
    let (expected, words) = match class.ending() {
        None => (0, Vec::new()),
        Some((code, words, advice)) => (code, vec![words, advice.text()]),
    };
    // The last lines are the program's own; those before them are its log.
    let said: Vec<&str> = told.lines().filter(|line| line.starts_with("error") || line.starts_with("hint")).collect();
    let right = code == Some(expected) && words.iter().all(|words| said.iter().any(|line| line.contains(words)));
    if right { Vec::new() } else { vec![format!("it ended {:?} with {said:#?}, not {class:?}", ended.output.status)] }
}

fn wrong_count(published: &BTreeMap<PathBuf, Vec<u8>>, deals: Option<u64>) -> Option<String> {
    let latest: Value = serde_json::from_slice(&published[Path::new("sales_pipeline.json")]).unwrap();
    let count = latest["total_leads"].as_u64();
    (count != deals).then(|| format!("the snapshot holds {count:?} deals, not {deals:?}"))
}

#[test]
fn the_list_holds_sixty_bad_answers_and_more() {
    let cases = Case::all();
    for kind in &KINDS {
        let bad = cases.iter().filter(|case| case.class(kind.name) != Class::Read).count();
        assert!(bad >= 60, "{}: {bad}", kind.name);
    }
    for case in &cases {
        assert_eq!(case.deals.is_some(), case.may_be_read(), "{}", case.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_answer_ends_in_the_right_words_and_leaves_the_old_snapshot_and_tells_no_secret() {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for kind in &KINDS {
        let bench = Bench::new(kind).await;
        for case in Case::all().into_iter().filter(|case| !case.heavy) {
            let (slots, bench) = (Arc::clone(&slots), bench.copy());
            running.spawn(async move {
                let _slot = slots.acquire().await.unwrap();
                meet(kind, case, bench).await
            });
        }
    }
    let wrong: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heavy_answer_fits_into_a_small_container() {
    if is_left_out("heavy answers in a small container") {
        return;
    }
    let mut wrong = Vec::new();
    for kind in &KINDS {
        let bench = Bench::new(kind).await;
        for case in Case::all().into_iter().filter(|case| case.heavy) {
            wrong.extend(meet(kind, case, bench.copy()).await);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
