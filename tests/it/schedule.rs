//! The loop over paused time, with ticks fired by hand; and the true tick once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use sales_pipeline::clock::{Clock, SimulatedClock};
use sales_pipeline::cron::Cron;
use sales_pipeline::schedule::planner::{Cadence, Due, Planned, Planner, Reason};
use sales_pipeline::schedule::run::{Event, Running, Scheduler};
use sales_pipeline::schedule::tick;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep, timeout};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn planned(name: &str, schedule: &str) -> Planned {
    Planned { name: name.into(), schedule: Cron::parse(schedule, Tz::UTC).unwrap(), last: None, at_start: false }
}

/// The hand on a tick, and the cadence it was begun with.
type Hand = (Cadence, mpsc::Sender<()>);

/// A loop at work, the hand on its tick, and what it started. Runs go on until a test ends them.
struct Bench {
    clock: Arc<SimulatedClock>,
    events: mpsc::Sender<Event>,
    started: Arc<Mutex<Vec<(Due, Running)>>>,
    ticks: Arc<Mutex<Vec<Hand>>>,
    beats: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Bench {
    async fn at(now: &str, duties: Vec<Planned>) -> Self {
        let clock = Arc::new(SimulatedClock::starting_at(at(now)));
        let planner = Planner::new(clock.now(), Duration::ZERO, duties);
        let (events, receiver) = mpsc::channel(8);
        let (started, ticks) = (Arc::new(Mutex::new(vec![])), Arc::new(Mutex::new(vec![])));
        let beats = Arc::new(AtomicUsize::new(0));
        let scheduler = Scheduler { planner, clock: clock.clone(), events: receiver };
        let task = tokio::spawn(scheduler.run(
            {
                let ticks = ticks.clone();
                move |cadence| {
                    let (sender, receiver) = mpsc::channel(1);
                    ticks.lock().unwrap().push((cadence, sender));
                    receiver
                }
            },
            {
                let started = started.clone();
                move |due, running| started.lock().unwrap().push((due, running))
            },
            {
                let beats = beats.clone();
                move |_: &Planner| {
                    beats.fetch_add(1, Ordering::Relaxed);
                }
            },
        ));
        let bench = Self { clock, events, started, ticks, beats, task };
        bench.settle().await;
        bench
    }

    /// Lets the loop do what it has to do now, without time passing.
    async fn settle(&self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    async fn tick_after(&self, seconds: u64) {
        advance(Duration::from_secs(seconds)).await;
        self.ticks.lock().unwrap().last().unwrap().1.try_send(()).unwrap();
        self.settle().await;
    }

    /// Lets time pass with no tick; the loop's own pulse goes on.
    async fn pass(&self, seconds: u64) {
        for _ in 0..seconds {
            advance(Duration::from_secs(1)).await;
            self.settle().await;
        }
    }

    async fn ask(&self, event: Event) {
        self.events.send(event).await.unwrap();
        self.settle().await;
    }

    /// Ends the runs that go on and tells what they were.
    async fn end_runs(&self) -> Vec<(String, String, Reason)> {
        let started = std::mem::take(&mut *self.started.lock().unwrap());
        let tell = |(due, _): (Due, Running)| (due.name, due.due_at.format("%d %H:%M:%S").to_string(), due.reason);
        let ended = started.into_iter().map(tell).collect();
        self.settle().await;
        ended
    }
}

fn run(name: &str, due_at: &str, reason: Reason) -> (String, String, Reason) {
    (name.into(), due_at.into(), reason)
}

#[tokio::test(start_paused = true)]
async fn a_tick_starts_what_is_due() {
    let bench = Bench::at("2026-05-04T09:59:57Z", vec![planned("pull:a", "@hourly"), planned("prune", "@daily")]).await;
    bench.tick_after(2).await;
    assert_eq!(bench.end_runs().await, []);
    bench.tick_after(1).await;
    assert_eq!(bench.end_runs().await, [run("pull:a", "04 10:00:00", Reason::Scheduled)]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_sources_due_in_one_second_all_start_on_one_thread() {
    let sources = (0..1000).map(|number| planned(&format!("pull:{number}"), "0 10 * * *")).collect();
    let bench = Bench::at("2026-05-04T09:59:57Z", sources).await;
    bench.tick_after(3).await;
    let mut names: Vec<_> = bench.end_runs().await.into_iter().map(|(name, ..)| name).collect();
    names.dedup();
    assert_eq!(names.len(), 1000);
    bench.ask(Event::RequestAll("pull:".into())).await;
    assert_eq!(bench.end_runs().await.len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_not_ended_is_not_doubled_and_is_due_again_after_it() {
    let bench = Bench::at("2026-05-04T09:59:57Z", vec![planned("pull:a", "* * * * *")]).await;
    bench.tick_after(3).await;
    bench.tick_after(60).await;
    bench.tick_after(60).await;
    assert_eq!(bench.end_runs().await, [run("pull:a", "04 10:00:00", Reason::Scheduled)]);
    bench.tick_after(60).await;
    assert_eq!(bench.end_runs().await, [run("pull:a", "04 10:03:00", Reason::Scheduled)]);
}

#[tokio::test(start_paused = true)]
async fn requests_during_a_run_bring_one_more_as_soon_as_it_ends() {
    let bench = Bench::at("2026-05-04T09:59:57Z", vec![planned("pull:a", "@hourly")]).await;
    bench.tick_after(3).await;
    bench.ask(Event::RequestAll("pull:a".into())).await;
    bench.ask(Event::RequestAll("pull:".into())).await;
    assert_eq!(bench.end_runs().await, [run("pull:a", "04 10:00:00", Reason::Scheduled)]);
    assert_eq!(bench.end_runs().await, [run("pull:a", "04 10:00:00", Reason::Requested)]);
    assert_eq!(bench.end_runs().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_panics_has_ended() {
    let bench = Bench::at("2026-05-04T09:59:57Z", vec![planned("pull:a", "* * * * *")]).await;
    bench.tick_after(3).await;
    let (_, running) = bench.started.lock().unwrap().pop().unwrap();
    let task = tokio::spawn(async move {
        let _running = running;
        panic!("the run went wrong");
    });
    assert!(task.await.unwrap_err().is_panic());
    bench.tick_after(60).await;
    assert_eq!(bench.end_runs().await, [run("pull:a", "04 10:01:00", Reason::Scheduled)]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_an_hour_is_noticed_within_ten_seconds_and_brings_no_silence() {
    let bench = Bench::at("2026-05-04T10:30:00Z", vec![planned("pull:a", "*/5 * * * *")]).await;
    bench.clock.jump(TimeDelta::hours(-1));
    bench.pass(10).await;
    assert_eq!(bench.ticks.lock().unwrap().len(), 2, "the tick was not begun anew");
    bench.pass(290).await;
    assert_eq!(bench.end_runs().await, [run("pull:a", "04 09:35:00", Reason::Scheduled)]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_forward_an_hour_or_a_month_brings_one_run() {
    for (jump, next) in [(TimeDelta::hours(1), "04 12:00:00"), (TimeDelta::days(31), "04 11:00:00")] {
        let bench = Bench::at("2026-05-04T10:30:00Z", vec![planned("pull:a", "@hourly")]).await;
        bench.clock.jump(jump);
        bench.pass(10).await;
        assert_eq!(bench.ticks.lock().unwrap().len(), 2, "the tick was not begun anew");
        let caught_up = bench.end_runs().await;
        assert_eq!(caught_up.len(), 1);
        assert_eq!(caught_up[0].1, "04 11:00:00");
        bench.pass(1790).await;
        let next_run = bench.end_runs().await;
        assert_eq!(next_run.len(), 1);
        assert_eq!(next_run[0].1, next);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_here_and_there_is_no_jump() {
    let bench = Bench::at("2026-05-04T10:30:00Z", vec![planned("pull:a", "@hourly")]).await;
    bench.clock.jump(TimeDelta::seconds(-4));
    bench.pass(10).await;
    bench.clock.jump(TimeDelta::seconds(4));
    bench.pass(10).await;
    assert_eq!(bench.ticks.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_stays_away_is_begun_anew_and_nothing_is_lost_meanwhile() {
    let bench = Bench::at("2026-05-04T10:30:00Z", vec![planned("pull:a", "* * * * *")]).await;
    bench.pass(60).await;
    assert_eq!(bench.end_runs().await, [run("pull:a", "04 10:31:00", Reason::Scheduled)]);
    assert_eq!(bench.ticks.lock().unwrap().len(), 1);
    bench.pass(70).await;
    assert_eq!(bench.ticks.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_heart_beats_at_least_every_ten_seconds() {
    let bench = Bench::at("2026-05-04T10:30:00Z", vec![]).await;
    let before = bench.beats.load(Ordering::Relaxed);
    bench.pass(60).await;
    assert_eq!(bench.beats.load(Ordering::Relaxed) - before, 6);
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_the_plan_and_the_cadence_and_cuts_no_run() {
    let bench = Bench::at("2026-05-04T09:59:57Z", vec![planned("pull:a", "@hourly")]).await;
    bench.tick_after(3).await;
    let planned = vec![planned("pull:a", "@hourly"), planned("pull:b", "*/10 * * * * *")];
    bench.ask(Event::Reload { jitter: Duration::ZERO, planned }).await;
    let cadences: Vec<_> = bench.ticks.lock().unwrap().iter().map(|(cadence, _)| *cadence).collect();
    assert_eq!(cadences, [Cadence::Minute, Cadence::Second]);
    bench.tick_after(10).await;
    assert_eq!(
        bench.end_runs().await,
        [run("pull:a", "04 10:00:00", Reason::Scheduled), run("pull:b", "04 10:00:10", Reason::Scheduled)]
    );
}

#[tokio::test(start_paused = true)]
async fn the_loop_ends_when_nobody_can_ask_it_anything_any_more_and_runs_may_end_after_it() {
    let bench = Bench::at("2026-05-04T09:59:57Z", vec![planned("pull:a", "@hourly")]).await;
    bench.tick_after(3).await;
    drop(bench.events);
    bench.task.await.unwrap();
    drop(bench.started);
}

#[tokio::test]
async fn the_true_tick_comes_each_second_and_its_thread_ends_with_its_receiver() {
    let mut ticks = tick::ticks(Cadence::Second);
    for _ in 0..2 {
        timeout(Duration::from_secs(5), ticks.recv()).await.expect("no tick came").unwrap();
    }
    assert_eq!(tick_threads(), 1);
    drop(ticks);
    let ended = async {
        while tick_threads() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), ended).await.expect("the thread goes on");
}

/// How many threads of this process beat; one that ends while we look does not.
fn tick_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "tick").count()
}
