//! The built program in its own folder: run to its end, or started, waited for by its log lines, and signalled.
//!
//! Apart because every topic that needs a process needs the same: an empty environment, no sleeps, and nothing left
//! running when a test fails.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// What a test waits for comes within this time, or the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that cannot be waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Whether only a sample is to be tested.
pub(crate) fn is_quick() -> bool {
    std::env::var_os("PIPELINE_TEST_QUICK").is_some()
}

/// Whether the long forms are wanted as well.
pub(crate) fn is_long() -> bool {
    std::env::var_os("PIPELINE_TEST_LONG").is_some()
}

/// Whether the tests run as root, who may mount and unshare.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Prints a figure, past the harness that hides what a passing test prints.
pub(crate) fn print_figure(figure: &str) {
    let line = format!("FIGURE: {figure}\n");
    std::io::stderr().lock().write_all(line.as_bytes()).expect("the tests' standard error is open");
}

/// Waits until `found` finds something; fails with `what` after [`PATIENCE`].
pub(crate) fn wait_for<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, found)
}

fn wait_within<T>(patience: Duration, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(LOOK_AGAIN);
    }
}

/// A working directory for the program.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
}

impl Folder {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("the temporary folder can be written") }
    }

    /// One with everything that `other` holds.
    pub(crate) fn copy_of(other: &Self) -> Self {
        let copy = Self::new();
        copy_files(other.path(), copy.path());
        copy
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path of `name` in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file that only its owner can write; makes the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder can be made");
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o640).open(&path).expect("a file can be made");
        file.write_all(text.as_bytes()).expect("a file can be written");
        path
    }

    /// Writes the config that the program finds by itself.
    pub(crate) fn write_config(&self, text: &str) {
        self.write("config/sales-pipeline.toml", text);
    }

    /// A file's text; fails where there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.join(name)).unwrap_or_else(|error| panic!("read {name}: {error}"))
    }

    /// A file's JSON.
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap_or_else(|error| panic!("parse {name}: {error}"))
    }

    /// The names of a place's snapshots, oldest first; `place` is a folder in the cache, or empty.
    pub(crate) fn snapshots(&self, place: &str) -> Vec<String> {
        let mut names = names(&self.join("output/sales_cache").join(place));
        names.retain(|name| {
            name.strip_prefix("sales_pipeline_").is_some_and(|rest| rest.strip_suffix(".json").is_some())
        });
        names.sort_by_key(|name| age_order(name));
        names
    }

    /// The program with these words, to be changed before it runs.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        self.command_under(&[], words)
    }

    /// The same under another program, such as `strace`.
    pub(crate) fn command_under(&self, wrapper: &[&str], words: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_sales-pipeline");
        let all: Vec<&str> = wrapper.iter().copied().chain([program]).chain(words.iter().copied()).collect();
        let mut command = Command::new(all[0]);
        command.args(&all[1..]).current_dir(self.path()).env_clear().stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Outcome {
        run(self.command(words))
    }

    /// Starts the program.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running::start(self.command(words))
    }
}

/// Sorts `…_2.json` behind `….json` and before `…_10.json`.
fn age_order(name: &str) -> (String, u32) {
    let stem = name.trim_end_matches(".json");
    let number = stem.get(31..).and_then(|number| number.parse().ok());
    (stem.chars().take(30).collect(), number.unwrap_or(1))
}

/// The names in a folder, in order; none where there is no folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

fn copy_files(from: &Path, to: &Path) {
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            fs::create_dir(&to).expect("a folder can be made");
            copy_files(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a file can be copied");
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The exit code; `None` if a signal killed it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether SIGKILL ended it.
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw())
    }

    /// Everything a person reads, the folder's path and what differs from run to run taken out.
    pub(crate) fn told(&self, folder: &Folder) -> String {
        let mut told =
            format!("exit code {}\n", self.code().map_or_else(|| "none".to_owned(), |code| code.to_string()));
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            for line in text.lines() {
                told.extend([name, ": ", &redact(line, folder), "\n"]);
            }
        }
        told
    }

    /// Fails with everything it said unless it ended with `code`.
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code(), Some(code), "{self:#?}");
        self
    }
}

/// Takes out of a line what differs from run to run: the folder, times, process numbers.
pub(crate) fn redact(line: &str, folder: &Folder) -> String {
    let line = line.replace(&folder.path().display().to_string(), "[folder]");
    let mut redacted = String::new();
    let mut digits = String::new();
    for character in line.chars().chain(['\0']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        // Figures are short; years, times in names and process numbers are long.
        redacted.push_str(if digits.len() >= 5 { "[number]" } else { &digits });
        digits.clear();
        redacted.push(character);
    }
    redacted.trim_end_matches('\0').to_owned()
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Outcome {
    Running::start(command).outcome()
}

/// What a process has said so far.
#[derive(Debug, Default)]
struct Said {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().expect("no reader panics")
    }

    fn listen(self: Arc<Self>, stream: impl Read + Send + 'static) -> JoinHandle<()> {
        thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { break };
                self.lock().lines.push(line);
                self.more.notify_all();
            }
            self.lock().ended = true;
            self.more.notify_all();
        })
    }
}

/// A started program; killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// What it wrote to its standard error: the log.
    log: Arc<Said>,
    listening: Option<JoinHandle<()>>,
    stdout: Option<JoinHandle<String>>,
    /// Up to which line of the log it was waited for.
    seen: usize,
}

impl Running {
    /// Starts a command, listening to all it says.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let log = Arc::new(Said::default());
        let listening = Arc::clone(&log).listen(child.stderr.take().expect("it is piped"));
        let mut stdout = child.stdout.take().expect("it is piped");
        let stdout = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stdout.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, log, listening: Some(listening), stdout: Some(stdout), seen: 0 }
    }

    /// Its process number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next log line that holds `text`, behind those waited for before, and gives it.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut log = self.log.lock();
        loop {
            if let Some(at) = log.lines[self.seen..].iter().position(|line| line.contains(text)) {
                self.seen += at + 1;
                return log.lines[self.seen - 1].clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || log.ended {
                let said = log.lines.join("\n");
                drop(log);
                panic!("waited in vain for `{text}` in:\n{said}");
            }
            log = self.log.more.wait_timeout(log, left).expect("no reader panics").0;
        }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().lines.join("\n")
    }

    /// Sends a signal; one that has ended already gets none.
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.id(), signal);
    }

    /// Waits until it catches TERM, INT, HUP and USR1.
    pub(crate) fn wait_for_handlers(&mut self) {
        let id = self.id();
        wait_for("the handlers of the signals", || catches_all(id).then_some(()));
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Waits for its end.
    pub(crate) fn outcome(self) -> Outcome {
        self.outcome_within(PATIENCE)
    }

    /// Waits for its end, which may take longer than usual.
    pub(crate) fn outcome_within(mut self, patience: Duration) -> Outcome {
        let ended = || self.child.try_wait().expect("it is our child");
        let status = wait_within(patience, "the end of the program", ended);
        self.listening.take().map(JoinHandle::join);
        let stdout = self.stdout.take().and_then(|stdout| stdout.join().ok()).unwrap_or_default();
        Outcome { status, stdout, stderr: self.log() }
    }

    /// Tells it to end and waits until it has.
    pub(crate) fn stop(self) -> Outcome {
        self.signal(Signal::TERM);
        self.outcome()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub(crate) fn send(process: u32, signal: Signal) {
    let process = Pid::from_raw(i32::try_from(process).expect("a process number is small")).expect("it is not 0");
    // A process that has ended needs no signal.
    let _ = kill_process(process, signal);
}

/// Whether the kernel says that a process catches TERM, INT, HUP and USR1.
pub(crate) fn catches_all(process: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) else { return false };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let wanted = [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1];
    wanted.iter().all(|signal| caught & (1 << (signal.as_raw() - 1)) != 0)
}

/// Does `work` for every item, on as many threads as there are processors.
pub(crate) fn for_each_in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}
