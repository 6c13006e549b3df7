//! What the daemon costs while nothing is due: resident memory and wake-ups, with 1 and with 1,000 sources.
//!
//! `cargo bench --bench idle [SECONDS]`, default 20 seconds of watching each.

#![expect(clippy::print_stdout, reason = "a benchmark prints figures, small ones")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(20);
    println!("idle for {seconds} s:");
    for sources in [1, 1_000] {
        watch(sources, Duration::from_secs(seconds));
    }
}

fn watch(sources: usize, long: Duration) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("config.toml");
    let mut text = String::from("schedule = \"0 0 1 1 *\"\n");
    for source in 0..sources {
        let _ = writeln!(text, "[sources.s{source}]\nkind = \"demo\"");
    }
    fs::write(&config, text).expect("the configuration is written");
    let output = folder.path().join("output");
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_sales-pipeline"))
        .args(["--config", config.to_str().expect("text"), "--output", output.to_str().expect("text"), "run"])
        .stderr(Stdio::null())
        .spawn()
        .expect("the daemon starts");
    settle(&output, sources);
    let (before, begun) = (Figures::of(&daemon), Instant::now());
    thread::sleep(long);
    let (after, seconds) = (Figures::of(&daemon), begun.elapsed().as_secs_f64());
    println!(
        "  {sources:5} sources: {:.1} MB resident, {:.2} wake-ups a second, {:.2} ms of CPU a minute, {} threads",
        after.memory_kb / 1024.0,
        after.switches_since(&before) / seconds,
        (after.cpu_ticks - before.cpu_ticks) * 10.0 * 60.0 / seconds,
        after.threads,
    );
    daemon.kill().expect("the daemon ends");
    daemon.wait().expect("the daemon ends");
}

/// Waits until every source has its first snapshot and the joined file is there, and then a little.
fn settle(output: &Path, sources: usize) {
    let latest = output.join("sales_pipeline.json");
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let text = fs::read_to_string(&latest).unwrap_or_default();
        let deals = text.lines().filter(|line| line.trim_start().starts_with("{\"id\"")).count();
        if deals == sources * 5 {
            break;
        }
        assert!(Instant::now() < deadline, "the first pulls have not ended: {deals} deals");
        thread::sleep(Duration::from_millis(500));
    }
    // Threads for blocking work end after ten idle seconds.
    thread::sleep(Duration::from_secs(12));
}

struct Figures {
    memory_kb: f64,
    /// Voluntary switches by thread.
    switches: BTreeMap<OsString, f64>,
    cpu_ticks: f64,
    threads: usize,
}

impl Figures {
    fn of(daemon: &Child) -> Self {
        let process = format!("/proc/{}", daemon.id());
        let field = |text: &str, name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells");
            line.trim_start_matches(':').trim().trim_end_matches(" kB").trim().parse().expect("a number")
        };
        let tasks: Vec<_> = fs::read_dir(format!("{process}/task")).expect("tasks").filter_map(Result::ok).collect();
        let switches = tasks
            .iter()
            .filter_map(|task| {
                let status = fs::read_to_string(task.path().join("status")).ok()?;
                Some((task.file_name(), field(&status, "voluntary_ctxt_switches")))
            })
            .collect();
        let stat = fs::read_to_string(format!("{process}/stat")).expect("the kernel tells");
        let times: Vec<f64> = stat
            .rsplit(')')
            .next()
            .expect("fields")
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse().ok())
            .collect();
        Self {
            memory_kb: field(&fs::read_to_string(format!("{process}/status")).expect("the kernel tells"), "VmRSS"),
            switches,
            cpu_ticks: times.iter().sum(),
            threads: tasks.len(),
        }
    }

    /// Wake-ups since `before`, of the threads that were there then and now.
    fn switches_since(&self, before: &Self) -> f64 {
        let both = self.switches.iter().filter_map(|(thread, now)| Some(now - before.switches.get(thread)?));
        both.sum()
    }
}
