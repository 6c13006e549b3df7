//! The files after a death or a failure at any point: nothing acknowledged is lost, nothing is torn, and the next start
//! puts everything in order.
//!
//! `strace` kills (or fails) the program at the n-th call of one kind. It counts by thread, so the calls that several
//! threads make are not all reached by following the whole program: the thread that publishes in the daemon is traced
//! alone as well.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::Value;

use crate::program::{
    Folder, Outcome, Running, Signal, for_each_in_parallel, is_quick, is_root, names, print_figure, run, wait_for,
};
use crate::skip::could_not_run;

/// Every call that changes files or what others see of them; `?` where not every machine has it.
const CALLS: &str = "trace=?open,openat,?creat,write,?writev,?pwrite64,?copy_file_range,?sendfile,?splice,fsync,\
    ?fdatasync,?rename,?renameat,?renameat2,?link,?linkat,?unlink,unlinkat,?mkdir,mkdirat,ftruncate,?fallocate,flock,\
    ?chmod,fchmod,fchmodat,exit_group";

/// What another program keeps in the summary.
const FOREIGN: &str = r#""weather": {"t": 1.10e2}"#;

/// Two named sources beside each other; the first adopts what the demo wrote before it had a section.
const TWO_SOURCES: &str = "[sources.demo]\nkind = \"demo\"\n[sources.other]\nkind = \"demo\"\n";

/// The n-th call of its kind in any one thread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    call: String,
    number: usize,
}

impl Point {
    fn inject(&self, what: &str) -> String {
        format!("inject={}:{what}:when={}", self.call, self.number)
    }
}

fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !found {
        could_not_run("death at every call of a publish", "strace is not installed (Debian: strace)");
    }
    found
}

/// The points of a traced run, from its first call on the folder on (what is before only loads the program).
/// `of_folder` leaves out the calls on anything else.
fn points(trace: &str, folder: &Path, of_folder: bool) -> Vec<Point> {
    let folder = folder.display().to_string();
    let (mut counts, mut points, mut begun) = (HashMap::new(), BTreeSet::new(), false);
    for line in trace.lines() {
        let call_at = line.find(|character: char| character.is_ascii_alphabetic() || character == '<').unwrap_or(0);
        let (thread, call) = line.split_at(call_at);
        let Some((call, _)) = call.split_once('(').filter(|(call, _)| !call.starts_with('<')) else { continue };
        let number = counts.entry((thread.trim(), call)).and_modify(|number| *number += 1).or_insert(1);
        begun |= line.contains(&folder);
        if begun && (!of_folder || line.contains(&folder)) {
            points.insert(Point { call: call.to_owned(), number: *number });
        }
    }
    points.into_iter().collect()
}

/// Counts the points of a command that runs to its end.
fn count(folder: &Folder, command: impl FnOnce(&[&str]) -> Command, of_folder: bool) -> Vec<Point> {
    let file = folder.join("trace");
    let path = file.display().to_string();
    run(command(&["strace", "-f", "-y", "-o", &path, "-e", CALLS])).assert_code(0);
    points(&folder.read("trace"), folder.path(), of_folder)
}

/// All points, or a sample of about `quick` where only that is wanted.
fn sample(points: Vec<Point>, quick: usize) -> Vec<Point> {
    let step = if is_quick() { points.len().div_ceil(quick) } else { 1 };
    points.into_iter().step_by(step.max(1)).collect()
}

/// Snapshots by their bytes, for a source may move its own into its folder.
type Snapshots = HashMap<Vec<u8>, PathBuf>;

fn snapshots_anywhere(folder: &Folder) -> Snapshots {
    let files = files(&folder.join("output")).into_iter().filter(|path| name_of(path).starts_with("sales_pipeline_"));
    files.map(|path| (fs::read(&path).expect("a snapshot can be read"), path)).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names(folder) {
        let path = folder.join(name);
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn name_of(path: &Path) -> String {
    path.file_name().expect("it has a name").to_string_lossy().into_owned()
}

/// What is wrong with the published files, right after a death: torn, lost, or foreign keys gone.
fn problems(folder: &Folder, acknowledged: &Snapshots) -> Vec<String> {
    let mut problems = Vec::new();
    for path in files(&folder.join("output")) {
        let name = name_of(&path);
        if path.extension().is_none_or(|extension| extension != "json") || name.starts_with(".tmp-") {
            continue;
        }
        match fs::read(&path).map(|bytes| serde_json::from_slice::<Value>(&bytes)) {
            Ok(Ok(document)) if !name.starts_with("sales_pipeline") || is_whole(&document) => {}
            torn => problems.push(format!("{name} is torn: {torn:?}")),
        }
    }
    if !folder.join("output/sales_pipeline.json").exists() {
        problems.push("there is no latest file".to_owned());
    }
    if !fs::read_to_string(folder.join("output/daily_summary.json")).is_ok_and(|text| text.contains(FOREIGN)) {
        problems.push("the summary lost another program's key".to_owned());
    }
    let there = snapshots_anywhere(folder);
    let lost = acknowledged.iter().filter(|(bytes, _)| !there.contains_key(*bytes));
    problems.extend(lost.map(|(_, path)| format!("{} is lost", path.display())));
    problems
}

/// Judged without the program's own reader: as many leads as it says, worth as much as it says.
fn is_whole(snapshot: &Value) -> bool {
    let Some(leads) = snapshot["leads"].as_array() else { return false };
    let value: f64 = leads.iter().filter_map(|lead| lead["value"].as_f64()).sum();
    snapshot["total_leads"].as_u64() == u64::try_from(leads.len()).ok()
        && snapshot["total_value"].as_f64() == Some(value)
        && snapshot["completeness"]["complete"] == true
}

/// What is wrong once the next start has put everything in order.
fn problems_in_order(folder: &Folder, acknowledged: &Snapshots) -> Vec<String> {
    let mut problems = problems(folder, acknowledged);
    for path in files(folder.path()).iter().filter(|path| name_of(path).starts_with(".tmp-")) {
        problems.push(format!("{} was left over", path.display()));
    }
    let latest = folder.json("output/sales_pipeline.json");
    let newest = |place: &str| {
        let name = folder.snapshots(place).pop().unwrap_or_default();
        folder.json(&format!("output/sales_cache/{place}/{name}"))
    };
    match latest["sources"].as_array() {
        None if latest != newest("") => problems.push("the latest file is not the newest snapshot".to_owned()),
        None => {}
        Some(sources) => {
            for source in sources {
                let newest = newest(source["name"].as_str().expect("a source has a name"));
                if instant(&source["timestamp"]) != instant(&newest["timestamp"]) {
                    problems.push(format!("the latest file has not the newest of {}", source["name"]));
                }
            }
            if !folder.snapshots("").is_empty() {
                problems.push("a source adopted only some of its earlier snapshots".to_owned());
            }
        }
    }
    let summary = &folder.json("output/daily_summary.json")["sales_pipeline_summary"];
    if (&summary["timestamp"], &summary["total_value"]) != (&latest["timestamp"], &latest["total_value"]) {
        problems.push(format!("the summary says {summary} beside the latest of {}", latest["timestamp"]));
    }
    problems
}

fn instant(value: &Value) -> Option<chrono::DateTime<chrono::Utc>> {
    value.as_str()?.parse().ok()
}

/// A folder with one acknowledged pull of the demo and another program's key in the summary.
fn after_one_pull() -> Folder {
    let folder = Folder::new();
    folder.write("output/daily_summary.json", &format!("{{{FOREIGN}}}"));
    folder.run(&["pull", "--demo"]).assert_code(0);
    assert!(problems(&folder, &Snapshots::new()).is_empty());
    folder
}

/// Two snapshots of the demo, then sections that adopt them.
fn before_two_sources() -> Folder {
    let folder = after_one_pull();
    folder.run(&["pull", "--demo"]).assert_code(0);
    folder.write_config(TWO_SOURCES);
    folder
}

/// Starts the daemon until it has put things in order, and ends it.
fn start_and_stop(folder: &Folder, words: &[&str]) -> Outcome {
    let mut daemon = folder.start(words);
    daemon.wait_for("\"Running\"");
    daemon.stop()
}

/// Kills a `pull` at one point. Which thread makes which call differs from run to run, so it is tried a few times.
fn kill_pull(before: &Folder, words: &[&str], point: &Point) -> (Folder, Outcome) {
    let (kill, trace) = (point.inject("signal=SIGKILL"), format!("trace={}", point.call));
    let wrapper = ["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &kill];
    let attempt = || {
        let folder = Folder::copy_of(before);
        let died = run(folder.command_under(&wrapper, words));
        (folder, died)
    };
    (0..4).map(|_| attempt()).find(|(_, died)| died.was_killed()).unwrap_or_else(attempt)
}

/// Kills `pull` at every point and judges; gives how many points there were and how many of them were reached.
fn kill_pulls(before: &Folder, words: &[&str], restart: impl Fn(&Folder, usize) -> Outcome + Sync) -> (usize, usize) {
    let counted = Folder::copy_of(before);
    let points = sample(count(&counted, |strace| counted.command_under(strace, words), false), 12);
    let stood = snapshots_anywhere(before);
    let (wrong, killed) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let numbered: Vec<(usize, Point)> = points.into_iter().enumerate().collect();
    for_each_in_parallel(&numbered, |(index, point)| {
        let (folder, died) = kill_pull(before, words, point);
        killed.fetch_add(usize::from(died.was_killed()), Ordering::Relaxed);
        let mut found = problems(&folder, &stood);
        // Whoever was told of a pull finds its snapshot.
        let is_a_sources = |line: &&str| line.contains(" deals, ") && !line.starts_with("all: ");
        let told = died.stdout.lines().filter(is_a_sources).count();
        if snapshots_anywhere(&folder).len() < stood.len() + told {
            found.push("a pull was acknowledged and its snapshot is not there".to_owned());
        }
        let acknowledged = snapshots_anywhere(&folder);
        let next = restart(&folder, *index);
        if next.code() != Some(0) {
            found.push(format!("the next start fails: {next:?}"));
        }
        found.extend(problems_in_order(&folder, &acknowledged));
        if !found.is_empty() {
            wrong.lock().unwrap().push((point.clone(), found));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
    (numbered.len(), killed.into_inner())
}

#[test]
fn a_pull_killed_before_any_of_its_calls_loses_and_tears_nothing() {
    if !has_strace() {
        return;
    }
    let begun = Instant::now();
    let (points, killed) = kill_pulls(&after_one_pull(), &["pull", "--demo"], |folder, index| {
        if index % 2 == 0 { folder.run(&["pull", "--demo"]) } else { start_and_stop(folder, &["run", "--demo"]) }
    });
    assert!(killed * 10 >= points * 7, "only {killed} of {points} points were reached");
    print_figure(&format!("pull killed at {killed} of {points} points in {:.1} s", begun.elapsed().as_secs_f64()));
}

#[test]
fn a_pull_of_two_sources_killed_before_any_of_its_calls_loses_and_tears_nothing() {
    if !has_strace() {
        return;
    }
    let begun = Instant::now();
    let (points, killed) = kill_pulls(&before_two_sources(), &["pull"], |folder, _| folder.run(&["pull"]));
    assert!(killed * 10 >= points * 7, "only {killed} of {points} points were reached");
    print_figure(&format!(
        "pull of two sources killed at {killed} of {points} points in {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
}

/// `strace` on the threads of a daemon that do its file work; ends with them.
fn trace_workers(daemon: &Running, words: &[&str]) -> Running {
    let tasks = PathBuf::from(format!("/proc/{}/task", daemon.id()));
    let task_file = |thread: &str, name: &str| fs::read_to_string(tasks.join(thread).join(name)).unwrap_or_default();
    let workers: Vec<String> =
        names(&tasks).into_iter().filter(|thread| task_file(thread, "comm").trim() == "tokio-rt-worker").collect();
    assert!(!workers.is_empty(), "the daemon has threads for its file work");
    let mut command = Command::new("strace");
    command.args(words).stdin(Stdio::null());
    for worker in &workers {
        command.args(["-p", worker]);
    }
    let strace = Running::start(command);
    for worker in &workers {
        wait_for("strace to attach", || {
            let status = task_file(worker, "status");
            (status.is_empty() || status.lines().any(|line| line == format!("TracerPid:\t{}", strace.id())))
                .then_some(())
        });
    }
    strace
}

/// A daemon that has published once, so that its working thread is there.
fn publishing_daemon(folder: &Folder) -> Running {
    let mut daemon = folder.start(&["run", "--demo"]);
    daemon.wait_for("\"Running\"");
    daemon.signal(Signal::USR1);
    daemon.wait_for("Published 5 deals");
    daemon
}

/// The points of the thread that publishes in the daemon.
fn points_of_publishing(before: &Folder, of_folder: bool) -> Vec<Point> {
    let folder = Folder::copy_of(before);
    let mut daemon = publishing_daemon(&folder);
    let trace = folder.join("trace").display().to_string();
    let strace = trace_workers(&daemon, &["-y", "-o", &trace, "-e", CALLS]);
    daemon.signal(Signal::USR1);
    daemon.wait_for("Published 5 deals");
    daemon.stop().assert_code(0);
    strace.outcome();
    points(&folder.read("trace"), folder.path(), of_folder)
}

#[test]
fn a_daemon_killed_before_any_call_of_its_publishing_thread_loses_and_tears_nothing() {
    if !has_strace() {
        return;
    }
    let begun = Instant::now();
    let before = after_one_pull();
    let points = sample(points_of_publishing(&before, false), 8);
    let (wrong, killed) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    for_each_in_parallel(&points, |point| {
        let folder = Folder::copy_of(&before);
        let mut daemon = publishing_daemon(&folder);
        let acknowledged = snapshots_anywhere(&folder);
        let (kill, trace) = (point.inject("signal=SIGKILL"), format!("trace={}", point.call));
        let strace = trace_workers(&daemon, &["-o", "/dev/null", "-e", &trace, "-e", &kill]);
        // The work may go to any of the threads, so the n-th call may come with a later publish.
        for publish in 2..10 {
            daemon.signal(Signal::USR1);
            let published = |daemon: &Running| daemon.log().matches("Published 5 deals").count() >= publish;
            wait_for("death or a publish", || (!daemon.is_alive() || published(&daemon)).then_some(()));
        }
        killed.fetch_add(usize::from(!daemon.is_alive()), Ordering::Relaxed);
        daemon.signal(Signal::KILL);
        let died = daemon.outcome();
        strace.outcome();
        let mut found = problems(&folder, &acknowledged);
        let told = died.stderr.matches("Published 5 deals").count();
        if snapshots_anywhere(&folder).len() < 1 + told {
            found.push("a pull was logged as published and its snapshot is not there".to_owned());
        }
        let acknowledged = snapshots_anywhere(&folder);
        let next = start_and_stop(&folder, &["run", "--demo"]);
        if next.code() != Some(0) {
            found.push(format!("the next start fails: {next:?}"));
        }
        found.extend(problems_in_order(&folder, &acknowledged));
        if !found.is_empty() {
            wrong.lock().unwrap().push((point.clone(), found));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let killed = killed.into_inner();
    assert!(killed * 10 >= points.len() * 8, "only {killed} of {} points were reached", points.len());
    print_figure(&format!(
        "daemon's publishing thread killed at {killed} of {} points in {:.1} s",
        points.len(),
        begun.elapsed().as_secs_f64()
    ));
}

/// The control: a writer in place must not pass the same judge.
#[test]
fn a_writer_in_place_is_found_out_by_the_same_judge() {
    if !has_strace() {
        return;
    }
    let before = after_one_pull();
    let in_place = |folder: &Folder, strace: &[&str]| {
        let mut command = Command::new(strace[0]);
        let writer = "dd if=new.json of=output/sales_pipeline.json bs=512 status=none";
        command.args(&strace[1..]).args(["sh", "-c", writer]).current_dir(folder.path()).stdin(Stdio::null());
        fs::copy(folder.join("output/sales_pipeline.json"), folder.join("new.json")).expect("a file can be copied");
        command
    };
    let counted = Folder::copy_of(&before);
    let points = count(&counted, |strace| in_place(&counted, strace), false);
    let stood = snapshots_anywhere(&before);
    let torn = points.iter().filter(|point| {
        let folder = Folder::copy_of(&before);
        let (kill, trace) = (point.inject("signal=SIGKILL"), format!("trace={}", point.call));
        run(in_place(&folder, &["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &kill]));
        problems(&folder, &stood).iter().any(|problem| problem.contains("sales_pipeline.json is torn"))
    });
    let torn = torn.count();
    assert!(torn > 0, "killed at {} points, and the judge saw nothing", points.len());
    print_figure(&format!("control: a writer in place is torn at {torn} of {} points", points.len()));
}

/// What the disk and the kernel say at each kind of call.
fn errors_of(call: &str) -> &'static [&'static str] {
    match call {
        "openat" => &["EMFILE", "EACCES", "ENOSPC"],
        "write" | "copy_file_range" => &["ENOSPC", "EIO"],
        "fsync" => &["EIO", "ENOSPC"],
        "renameat" | "renameat2" | "rename" => &["ENOSPC", "EACCES"],
        "flock" => &["ENOLCK"],
        "mkdir" | "mkdirat" => &["EROFS"],
        _ => &["EIO"],
    }
}

#[test]
fn a_call_that_fails_anywhere_in_a_pull_is_told_and_leaves_the_old_data_whole() {
    if !has_strace() {
        return;
    }
    let begun = Instant::now();
    let before = after_one_pull();
    let counted = Folder::copy_of(&before);
    let words = ["pull", "--demo"];
    let points = sample(count(&counted, |strace| counted.command_under(strace, &words), true), 12);
    let stood = snapshots_anywhere(&before);
    let faults: Vec<(&Point, &str)> =
        points.iter().flat_map(|point| errors_of(&point.call).iter().map(move |error| (point, *error))).collect();
    let wrong = Mutex::new(Vec::new());
    let (felt, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for_each_in_parallel(&faults, |(point, error)| {
        let folder = Folder::copy_of(&before);
        let (fault, calls) = (point.inject(&format!("error={error}")), format!("trace={}", point.call));
        let trace = folder.join("trace").display().to_string();
        let ended =
            run(folder.command_under(&["strace", "-f", "-y", "-o", &trace, "-e", &calls, "-e", &fault], &words));
        if !failed_in(&folder) {
            // It was, for one, the message that could not be written.
            return;
        }
        felt.fetch_add(1, Ordering::Relaxed);
        let mut found = problems(&folder, &stood);
        match ended.code() {
            // What does not matter is passed over, and then everything is there.
            Some(0) => found.extend(problems_in_order(&folder, &stood)),
            Some(73) if ended.stderr.contains("error: ") && ended.stderr.contains("hint: ") => {
                refused.fetch_add(1, Ordering::Relaxed);
                let is_full = *error == "ENOSPC";
                if ended.stderr.contains("explain disk-full") != is_full {
                    found.push(format!("the advice does not fit: {}", ended.stderr));
                }
            }
            _ => found.push(format!("{ended:?}")),
        }
        let next = folder.run(&words);
        if next.code() != Some(0) {
            found.push(format!("the next pull fails: {next:?}"));
        }
        found.extend(problems_in_order(&folder, &stood));
        if !found.is_empty() {
            wrong.lock().unwrap().push((point.inject(error), found));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} faults: {wrong:#?}", wrong.len());
    let (felt, refused) = (felt.into_inner(), refused.into_inner());
    assert!(felt * 2 > faults.len() && refused > 0, "only {felt} of {} faults were felt", faults.len());
    print_figure(&format!(
        "pull with {felt} failing calls, {refused} of them told with 73, in {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
}

/// Whether something was made to fail, and nothing but calls on the folder: each thread has an n-th call.
fn failed_in(folder: &Folder) -> bool {
    let (path, trace) = (folder.join("output").display().to_string(), folder.read("trace"));
    let mut failed = trace.lines().filter(|line| line.contains("(INJECTED)")).peekable();
    failed.peek().is_some() && failed.all(|line| line.contains(&path))
}

#[test]
fn a_call_that_fails_anywhere_in_a_daemons_publish_is_logged_and_the_next_one_works() {
    if !has_strace() {
        return;
    }
    let begun = Instant::now();
    let before = after_one_pull();
    let points = sample(points_of_publishing(&before, true), 6);
    let faults: Vec<(&Point, &str)> =
        points.iter().flat_map(|point| errors_of(&point.call).iter().map(move |error| (point, *error))).collect();
    let (wrong, told) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    for_each_in_parallel(&faults, |(point, error)| {
        let folder = Folder::copy_of(&before);
        let mut daemon = publishing_daemon(&folder);
        let acknowledged = snapshots_anywhere(&folder);
        let (fault, calls) = (point.inject(&format!("error={error}")), format!("trace={}", point.call));
        let strace = trace_workers(&daemon, &["-o", "/dev/null", "-e", &calls, "-e", &fault]);
        daemon.signal(Signal::USR1);
        let failed = "Pulling `demo` failed";
        wait_for("the end of a pull", || {
            let log = daemon.log();
            (log.matches("Published 5 deals").count() > 1 || log.contains(failed)).then_some(())
        });
        let mut found = problems(&folder, &acknowledged);
        if daemon.log().contains(failed) {
            told.fetch_add(1, Ordering::Relaxed);
            daemon.wait_for(failed);
        } else {
            daemon.wait_for("Published 5 deals");
        }
        // It lets go of the daemon, for another thread may have an n-th call yet.
        strace.stop();
        daemon.signal(Signal::USR1);
        daemon.wait_for("Published 5 deals");
        daemon.stop().assert_code(0);
        // A draft that could not be removed stays until then.
        start_and_stop(&folder, &["run", "--demo"]).assert_code(0);
        found.extend(problems_in_order(&folder, &acknowledged));
        if !found.is_empty() {
            wrong.lock().unwrap().push((point.inject(error), found));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} faults: {wrong:#?}", wrong.len());
    let told = told.into_inner();
    assert!(told > 0, "no fault was felt");
    print_figure(&format!(
        "daemon with {} failing calls, {told} of them told, in {:.1} s",
        faults.len(),
        begun.elapsed().as_secs_f64()
    ));
}

/// A file system of 1 MiB in the folder; unmounted when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir(&at).expect("a folder can be made");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&at).status();
        assert!(mounted.is_ok_and(|status| status.success()), "root can mount a tmpfs");
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_and_once_it_is_freed_the_daemon_goes_on() {
    if !is_root() {
        could_not_run("a full disk", "only root can mount a small one");
        return;
    }
    let folder = Folder::new();
    let _disk = SmallDisk::mount(folder.join("output"));
    let mut daemon = folder.start(&["run", "--demo"]);
    daemon.wait_for("Published 5 deals");
    let latest = folder.read("output/sales_pipeline.json");

    let filler = folder.join("output/filler");
    assert!(fs::write(&filler, vec![0; 2 << 20]).is_err(), "the disk is full by now");
    daemon.signal(Signal::USR1);
    let failed = daemon.wait_for("Pulling `demo` failed");
    assert!(failed.contains("No space left on device") && failed.contains("free space or inodes"), "{failed}");
    let refused = folder.run(&["pull", "--demo"]);
    refused.assert_code(73);
    assert!(refused.stderr.contains("No space left on device"), "{refused:?}");
    assert!(refused.stderr.contains("explain disk-full"), "{refused:?}");
    assert_eq!(folder.read("output/sales_pipeline.json"), latest, "the old data stays");

    fs::remove_file(&filler).expect("a file can be removed");
    daemon.signal(Signal::USR1);
    daemon.wait_for("Published 5 deals");
    daemon.stop().assert_code(0);
}
