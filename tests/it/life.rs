//! The daemon's life: signals at any moment, reload, PID 1, and the commands that work beside it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::program::{
    Folder, Outcome, Running, Signal, catches_all, for_each_in_parallel, is_long, is_quick, is_root, print_figure,
    send, wait_for,
};
use crate::skip::could_not_run;

/// The default of `[limits] grace`.
const GRACE: Duration = Duration::from_secs(20);

/// A config of one source that is pulled once a year.
fn yearly() -> String {
    "[sources.a]\nkind = \"demo\"\nschedule = \"0 0 1 1 *\"\n".to_owned()
}

fn running_daemon(folder: &Folder, words: &[&str]) -> Running {
    let mut daemon = folder.start(words);
    daemon.wait_for("\"Running\"");
    daemon
}

/// Holds a lock of the program's, as another process would.
fn hold(folder: &Folder, lock: &str) -> File {
    let path = folder.join("output/sales_cache/.locks").join(lock);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).expect("a lock can be opened");
    file.lock().expect("a lock can be taken");
    file
}

/// Moments spread over `span`, the same in every run.
fn moments(count: u32, span: Duration) -> Vec<Duration> {
    // The golden ratio's multiples fill the span evenly in no order.
    (0..count).map(|index| span.mul_f64((f64::from(index) * 0.618_033_988_75).fract())).collect()
}

fn wait_until(moment: Instant) {
    while Instant::now() < moment {
        thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn the_handlers_stand_before_the_config_is_read() {
    let folder = Folder::new();
    let config = folder.join("config.toml");
    mknodat(CWD, &config, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe can be made");
    // Nobody has written into the pipe, so whoever reads the config waits.
    let mut daemon = folder.start(&["run", "--config", "config.toml"]);
    daemon.wait_for_handlers();
    daemon.signal(Signal::USR1);
    daemon.signal(Signal::USR1);
    assert!(daemon.is_alive());
    let mut pipe = OpenOptions::new().write(true).open(&config).expect("the daemon reads");
    pipe.write_all(yearly().as_bytes()).expect("the daemon reads");
    drop(pipe);
    daemon.wait_for("\"Running\"");
    daemon.wait_for("Asked to pull every source now");
    daemon.stop().assert_code(0);
}

#[test]
fn usr1_and_hup_in_the_first_50_ms_kill_nobody() {
    let begun = Instant::now();
    let moments = moments(if is_quick() { 10 } else { 50 }, Duration::from_millis(50));
    for_each_in_parallel(&moments, |moment| {
        let folder = Folder::new();
        let started = Instant::now();
        let mut daemon = folder.start(&["run", "--demo"]);
        daemon.wait_for_handlers();
        wait_until(started + moment.div_f64(2.0));
        daemon.signal(Signal::USR1);
        daemon.signal(Signal::HUP);
        wait_until(started + *moment);
        daemon.signal(Signal::HUP);
        daemon.signal(Signal::USR1);
        let served = ["Published 5 deals", "Following the new configuration", "Asked to pull every source now"];
        wait_for("what was asked", || served.iter().all(|line| daemon.log().contains(line)).then_some(()));
        daemon.stop().assert_code(0);
    });
    print_figure(&format!(
        "{} starts under USR1 and HUP, none died, in {:.1} s",
        moments.len(),
        begun.elapsed().as_secs_f64()
    ));
}

#[test]
fn term_at_any_moment_ends_the_daemon_well_and_within_grace() {
    let begun = Instant::now();
    let moments = moments(if is_quick() { 20 } else { 200 }, Duration::from_millis(200));
    let longest = AtomicUsize::new(0);
    for_each_in_parallel(&moments, |moment| {
        let folder = Folder::new();
        let started = Instant::now();
        let mut daemon = folder.start(&["run", "--demo"]);
        daemon.wait_for_handlers();
        wait_until(started + *moment);
        let told = Instant::now();
        let ended = daemon.stop();
        let took = told.elapsed();
        assert_eq!(ended.code(), Some(0), "TERM after {moment:?}: {ended:#?}");
        assert!(took < GRACE, "TERM after {moment:?} took {took:?}");
        longest.fetch_max(usize::try_from(took.as_millis()).unwrap_or(usize::MAX), Ordering::Relaxed);
        if folder.join("output/sales_pipeline.json").exists() {
            assert_eq!(folder.json("output/sales_pipeline.json")["total_leads"], 5);
        }
    });
    print_figure(&format!(
        "{} times TERM, each ended with 0, the slowest in {} ms, in {:.1} s",
        moments.len(),
        longest.into_inner(),
        begun.elapsed().as_secs_f64()
    ));
}

/// A daemon whose pull cannot end, since the write lock is held; it has been told to end once.
fn ending_daemon(folder: &Folder) -> (Running, File) {
    folder.run(&["pull"]).assert_code(0);
    let mut daemon = running_daemon(folder, &["run"]);
    let lock = hold(folder, "write");
    daemon.signal(Signal::USR1);
    // Whoever pulls a source writes its number into the source's lock.
    let number = daemon.id().to_string();
    wait_for("the pull to begin", || (folder.read("output/sales_cache/.locks/pull-a").trim() == number).then_some(()));
    daemon.signal(Signal::TERM);
    daemon.wait_for("\"Ending\"");
    (daemon, lock)
}

#[test]
fn a_second_term_ends_the_daemon_at_once() {
    let folder = Folder::new();
    folder.write_config(&yearly());
    let (mut daemon, _lock) = ending_daemon(&folder);
    assert!(daemon.is_alive());
    let told = Instant::now();
    daemon.stop().assert_code(130);
    assert!(told.elapsed() < GRACE / 4, "it took {:?}", told.elapsed());
}

/// A server that takes connections and never answers; gives its address.
fn silent_server() -> (TcpListener, String) {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    server.set_nonblocking(true).expect("a socket can be set so");
    let address = format!("http://{}", server.local_addr().expect("it is bound"));
    (server, address)
}

#[test]
fn a_crm_that_never_answers_keeps_nobody_from_ending() {
    let (server, address) = silent_server();
    let folder = Folder::new();
    folder.write_config(&format!(
        "[sources.silent]\nkind = \"rest\"\nendpoint = \"{address}\"\nrequest = {{ path = \"/deals\" }}\n\
         records = {{ path = \"$.data\" }}\nauth = {{ type = \"none\" }}\n\
         fields = {{ id = \"$.id\", name = \"$.name\", stage = \"$.stage\", value = \"$.amount\" }}\n"
    ));
    let mut daemon = running_daemon(&folder, &["run"]);
    let asking = wait_for("the daemon to ask", || server.accept().ok());
    daemon.signal(Signal::TERM);
    daemon.wait_for("\"Ending\"");
    let told = Instant::now();
    daemon.stop().assert_code(130);
    assert!(told.elapsed() < Duration::from_secs(2), "a second TERM took {:?}", told.elapsed());
    drop(asking);

    let daemon = running_daemon(&folder, &["run"]);
    folder.run(&["status"]).assert_code(0);
    let told = Instant::now();
    daemon.stop().assert_code(0);
    assert!(told.elapsed() < GRACE, "one TERM took {:?}", told.elapsed());
    assert!(folder.snapshots("silent").is_empty() && !folder.join("output/sales_pipeline.json").exists());
}

#[test]
fn a_pull_that_cannot_end_is_cut_when_the_grace_is_over() {
    let folder = Folder::new();
    folder.write_config(&format!("limits.grace = \"500ms\"\n{}", yearly()));
    let (daemon, _lock) = ending_daemon(&folder);
    let ended = daemon.outcome();
    ended.assert_code(0);
    assert!(ended.stderr.contains("were cut; nothing half is published"), "{ended:#?}");
    assert_eq!(folder.snapshots("a").len(), 1);
    let newest = format!("output/sales_cache/a/{}", folder.snapshots("a")[0]);
    assert_eq!(folder.read("output/sales_pipeline.json"), folder.read(&newest));
}

#[test]
fn term_ends_a_start_that_waits_for_another_process() {
    let folder = Folder::new();
    folder.run(&["pull", "--demo"]).assert_code(0);
    let _lock = hold(&folder, "write");
    for (words, code) in [(["run", "--demo"], 0), (["pull", "--demo"], 130)] {
        let mut waiting = folder.start(&words);
        waiting.wait_for_handlers();
        waiting.stop().assert_code(code);
    }
}

#[test]
fn a_reload_swaps_the_schedule_or_keeps_the_old_one_whole() {
    let folder = Folder::new();
    folder.write_config(&yearly());
    let mut daemon = running_daemon(&folder, &["run"]);
    daemon.wait_for("Published 5 deals");

    folder.write_config(&yearly().replace("0 0 1 1 *", "* * * * * *"));
    daemon.signal(Signal::HUP);
    daemon.wait_for("Following the new configuration");
    daemon.wait_for("Published 5 deals");
    daemon.wait_for("Published 5 deals");

    folder.write_config("shedule = \"@hourly\"\n[sources.b]\nkind = \"demo\"\nschedule = \"often\"\n");
    daemon.signal(Signal::HUP);
    let problems = [daemon.wait_for("the old one stays"), daemon.wait_for("the old one stays")].join("\n");
    for wanted in ["config/sales-pipeline.toml:1: shedule", "config/sales-pipeline.toml:4: sources.b.schedule"] {
        assert!(problems.contains(wanted), "{problems}");
    }
    daemon.wait_for("Published 5 deals of `a`");
    daemon.wait_for("Published 5 deals of `a`");
    let ended = daemon.stop();
    ended.assert_code(0);
    assert!(!ended.stderr.contains("of `b`"), "{ended:#?}");
}

#[test]
fn a_second_run_is_refused_until_the_first_is_gone_even_by_a_kill() {
    let folder = Folder::new();
    let first = running_daemon(&folder, &["run", "--demo"]);
    let mut second = folder.run(&["run", "--demo"]);
    second.stderr = second.stderr.replace(&first.id().to_string(), "[process]");
    insta::assert_snapshot!(second.assert_code(75).told(&folder));
    first.signal(Signal::KILL);
    assert!(first.outcome().was_killed());
    running_daemon(&folder, &["run", "--demo"]).stop().assert_code(0);
}

#[test]
fn status_beside_the_daemon_tells_the_truth() {
    let folder = Folder::new();
    let mut daemon = running_daemon(&folder, &["run", "--demo"]);
    daemon.wait_for("Published 5 deals");
    let status =
        || serde_json::from_str::<serde_json::Value>(&folder.run(&["status", "--demo", "--json"]).stdout).unwrap();
    let beside = status();
    assert_eq!(beside["daemon"], daemon.id());
    assert_eq!(beside["ready"], true);
    let source = &beside["sources"][0];
    let newest = folder.snapshots("").pop().unwrap();
    assert_eq!(format!("sales_pipeline_{}.json", source["snapshot"].as_str().unwrap()), newest);
    assert_eq!((&source["health"], &source["total_leads"]), (&"ok".into(), &5.into()));
    assert_eq!((&source["open"]["count"], &source["open"]["value"]), (&4.into(), &405_000.0.into()));
    folder.run(&["status", "--demo", "--exit-code"]).assert_code(0);
    daemon.signal(Signal::KILL);
    daemon.outcome();
    assert_eq!(status()["daemon"], serde_json::Value::Null);
}

#[test]
fn a_pull_beside_the_daemon_publishes_once_and_the_daemon_goes_on() {
    let folder = Folder::new();
    folder.write_config(&yearly());
    let mut daemon = running_daemon(&folder, &["run"]);
    daemon.wait_for("Published 5 deals");
    folder.run(&["pull"]).assert_code(0);
    assert_eq!(folder.snapshots("a").len(), 2);
    let newest = folder.snapshots("a").pop().unwrap();
    assert_eq!(folder.read("output/sales_pipeline.json"), folder.read(&format!("output/sales_cache/a/{newest}")));
    daemon.signal(Signal::USR1);
    daemon.wait_for("Published 5 deals");
    assert_eq!(folder.snapshots("a").len(), 3);
    daemon.stop().assert_code(0);
}

#[test]
fn a_running_pull_of_the_same_source_is_waited_for_and_not_doubled() {
    let folder = Folder::new();
    folder.write_config(&format!("limits.pull_deadline = \"700ms\"\n{}", yearly()));
    folder.run(&["pull"]).assert_code(0);
    let lock = hold(&folder, "pull-a");

    let mut daemon = running_daemon(&folder, &["run"]);
    daemon.signal(Signal::USR1);
    daemon.wait_for("Skipped `a`: another process is pulling it");
    insta::assert_snapshot!(folder.run(&["pull"]).assert_code(75).told(&folder));
    assert_eq!(folder.snapshots("a").len(), 1);

    // Whoever holds the lock publishes; the one that waits reports that.
    let mut waiting = folder.start(&["pull"]);
    waiting.wait_for_handlers();
    drop(lock);
    assert!(waiting.outcome().assert_code(0).stdout.contains("a: 5 deals"));
    assert_eq!(folder.snapshots("a").len(), 2);
    daemon.stop().assert_code(0);
}

#[test]
fn a_pull_that_is_told_to_end_while_it_waits_says_so() {
    let folder = Folder::new();
    folder.run(&["pull", "--demo"]).assert_code(0);
    let _lock = hold(&folder, "pull-demo");
    let mut waiting = folder.start(&["pull", "--demo"]);
    waiting.wait_for_handlers();
    waiting.stop().assert_code(130);
}

/// The program as PID 1 of its own namespace.
struct Contained {
    outer: Running,
    inner: u32,
}

impl Contained {
    fn start(folder: &Folder, words: &[&str]) -> Self {
        let outer = Running::start(Self::command(folder, words));
        let children = PathBuf::from(format!("/proc/{0}/task/{0}/children", outer.id()));
        let inner = wait_for("the first process of the namespace", || {
            let inner = fs::read_to_string(&children).ok()?.trim().parse().ok()?;
            // Before it is the program, it is `unshare` itself.
            catches_all(inner).then_some(inner)
        });
        Self { outer, inner }
    }

    fn command(folder: &Folder, words: &[&str]) -> Command {
        folder.command_under(&["unshare", "--fork", "--kill-child", "--pid", "--mount-proc"], words)
    }

    fn stop(self) -> Outcome {
        send(self.inner, Signal::TERM);
        self.outer.outcome()
    }
}

fn can_be_pid_1() -> bool {
    let mut command = Command::new("unshare");
    let can = is_root()
        && Path::new("/proc/self/ns/pid").exists()
        && command.args(["--fork", "--pid", "--mount-proc", "true"]).status().is_ok_and(|status| status.success());
    if !can {
        could_not_run("life as PID 1", "only root can make a namespace of processes, with unshare");
    }
    can
}

#[test]
fn term_ends_pid_1_well() {
    if !can_be_pid_1() {
        return;
    }
    let folder = Folder::new();
    let mut daemon = Contained::start(&folder, &["run", "--demo"]);
    daemon.outer.wait_for("Published 5 deals");
    send(daemon.inner, Signal::USR1);
    daemon.outer.wait_for("Published 5 deals");
    daemon.stop().assert_code(0);
}

#[test]
fn a_config_error_of_pid_1_waits_and_term_does_not() {
    if !can_be_pid_1() {
        return;
    }
    let folder = Folder::new();
    let mut daemon = Contained::start(&folder, &["run"]);
    daemon.outer.wait_for("no source is configured");
    // What does not wait is gone by then.
    let told = Instant::now();
    wait_until(told + Duration::from_millis(500));
    assert!(daemon.outer.is_alive());
    send(daemon.inner, Signal::HUP);
    send(daemon.inner, Signal::USR1);
    let told = Instant::now();
    daemon.stop().assert_code(78);
    assert!(told.elapsed() < Duration::from_secs(5), "it took {:?}", told.elapsed());
    // Else it ends at once: whoever starts it again waits by itself.
    folder.run(&["run"]).assert_code(78);
}

#[test]
fn a_config_error_of_pid_1_waits_30_s() {
    if !is_long() || !can_be_pid_1() {
        return;
    }
    let folder = Folder::new();
    let begun = Instant::now();
    let daemon = Contained::start(&folder, &["run"]);
    daemon.outer.outcome_within(Duration::from_secs(60)).assert_code(78);
    let took = begun.elapsed();
    assert!((29..45).contains(&took.as_secs()), "it took {took:?}");
}
