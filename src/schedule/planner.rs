//! Decides which duties are due. Pure: it starts nothing and asks no clock.
//!
//! Apart from the loop so that every jump of the clock, missed run and overlap can be shown in a test without waiting.

mod job;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::cron::Cron;
pub use crate::schedule::planner::job::CronJob;
use crate::schedule::planner::job::delay;

/// A duty as the configuration and the records of earlier runs give it.
#[derive(Debug, Clone)]
pub struct Planned {
    /// `pull:<source>`, `summary`, `prune`, `deliver`; unique.
    pub name: String,
    /// When it is due.
    pub schedule: Cron,
    /// The latest known due time or attempt, UTC; `None` if it never ran. One in the future counts as now.
    pub last: Option<DateTime<Utc>>,
    /// Whether it is due at once if it never ran, as a source without a snapshot is.
    pub at_start: bool,
}

/// A run to be started, or one that is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The name of the duty.
    pub name: String,
    /// The due time it is for, UTC; of several missed ones the oldest; for a run out of turn, now.
    pub due_at: DateTime<Utc>,
    /// Why it is due.
    pub reason: Reason,
}

/// Why a run is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its time has come.
    Scheduled,
    /// Its time passed while nobody was there to start it; one run stands for all that were missed.
    Missed,
    /// It never ran before.
    First,
    /// Somebody asked for it.
    Requested,
}

/// What [`Planner::due`] decided. Everything in it is handed out once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Round {
    /// Runs to be started now; each counts as running until [`Planner::finished`].
    pub start: Vec<Due>,
    /// Due times that pass without a run because the last one has not ended.
    pub skipped: Vec<Due>,
}

/// How often the plan has to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// At second 0 of each minute.
    Minute,
    /// Each second.
    Second,
}

impl Cadence {
    /// The time between two looks.
    pub fn period(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::Second => Duration::from_secs(1),
        }
    }
}

/// What is due, when, and what is running.
#[derive(Debug)]
pub struct Planner {
    jobs: BTreeMap<String, CronJob>,
    /// Apart from the jobs: a run goes on when a new configuration drops its duty, and must still be known when the
    /// next one brings it back.
    running: BTreeSet<String>,
    jitter: Duration,
}

impl Planner {
    /// Plans every duty from `now` on.
    ///
    /// A duty whose due time passed since its `last` run is caught up once. `jitter` spreads the starts: each is put off
    /// by less than it, in whole seconds, by name and due time alone.
    pub fn new(now: DateTime<Utc>, jitter: Duration, planned: Vec<Planned>) -> Self {
        let mut empty = Self { jobs: BTreeMap::new(), running: BTreeSet::new(), jitter };
        empty.reload(now, jitter, planned);
        empty
    }

    /// The jobs to start at `now`, and those skipped because they still run.
    pub fn due(&mut self, now: DateTime<Utc>) -> Round {
        let mut round = Round::default();
        for job in self.jobs.values_mut() {
            let running = self.running.contains(&job.name);
            let has_come = job.starts_at <= now;
            if running && has_come {
                job.skipped += 1;
                round.skipped.push(job.pass(now, self.jitter, None));
            } else if !running && (has_come || job.wanted.is_some()) {
                let wanted = job.wanted.take();
                self.running.insert(job.name.clone());
                round.start.push(job.pass(now, self.jitter, wanted));
            }
        }
        round
    }

    /// Notes that the run of `name` has ended, however it ended.
    pub fn finished(&mut self, name: &str) {
        self.running.remove(name);
    }

    /// Makes every duty whose name begins with `prefix` due at once, or once more after its present run; requests before
    /// that run count as one.
    pub fn request_all(&mut self, prefix: &str) {
        for job in self.jobs.values_mut().filter(|job| job.name.starts_with(prefix)) {
            job.wanted = Some(Reason::Requested);
        }
    }

    /// Plans again after the wall clock jumped to `now`.
    ///
    /// What became due by the jump stays due, once. Everything else is planned from `now`, so a clock that was set back
    /// brings no silence; a due time that it passes again is run again.
    pub fn replan(&mut self, now: DateTime<Utc>) {
        for job in self.jobs.values_mut() {
            if job.next > now {
                job.plan(now, now, self.jitter);
            } else {
                job.starts_at = job.starts_at.min(now + delay(&job.name, job.next, self.jitter));
            }
        }
    }

    /// Takes over a new configuration at `now`. What runs goes on running; a duty whose schedule is the same keeps its
    /// place in the plan; one that is not `planned` any more is dropped.
    pub fn reload(&mut self, now: DateTime<Utc>, jitter: Duration, planned: Vec<Planned>) {
        let mut old = std::mem::take(&mut self.jobs);
        self.jitter = jitter;
        for planned in planned {
            let job = match old.remove(&planned.name) {
                Some(known) if known.schedule == planned.schedule => known.spread(now, jitter),
                known => CronJob::new(now, jitter, planned).heir_of(known),
            };
            self.jobs.insert(job.name.clone(), job);
        }
    }

    /// All duties, by name.
    pub fn jobs(&self) -> impl Iterator<Item = &CronJob> {
        self.jobs.values()
    }

    /// The names of the runs that have not ended.
    pub fn running(&self) -> impl Iterator<Item = &str> {
        self.running.iter().map(String::as_str)
    }

    /// The duty that starts next by schedule among those that do not run.
    pub fn next_due(&self) -> Option<&CronJob> {
        self.jobs.values().filter(|job| !self.running.contains(&job.name)).min_by_key(|job| job.starts_at)
    }

    /// How often the plan has to be looked at: each second only if a schedule or the jitter can name one.
    pub fn cadence(&self) -> Cadence {
        let by_the_second = self.jitter.as_secs() > 1 || self.jobs.values().any(|job| job.schedule.names_seconds());
        if by_the_second { Cadence::Second } else { Cadence::Minute }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use chrono_tz::Tz;
    use proptest::prelude::*;

    use super::*;

    const NONE: Duration = Duration::ZERO;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-05-04T{text}Z").parse().unwrap()
    }

    fn planned(name: &str, schedule: &str) -> Planned {
        Planned { name: name.into(), schedule: Cron::parse(schedule, Tz::UTC).unwrap(), last: None, at_start: false }
    }

    fn planned_with_last(schedule: &str, last: &str) -> Planned {
        Planned { last: Some(at(last)), at_start: true, ..planned("pull:a", schedule) }
    }

    fn hourly(now: &str) -> Planner {
        Planner::new(at(now), NONE, vec![planned("pull:a", "@hourly")])
    }

    fn run(due_at: &str, reason: Reason) -> Round {
        Round { start: vec![due("pull:a", due_at, reason)], skipped: vec![] }
    }

    fn due(name: &str, due_at: &str, reason: Reason) -> Due {
        Due { name: name.into(), due_at: at(due_at), reason }
    }

    fn next(planner: &Planner) -> DateTime<Utc> {
        planner.jobs().next().unwrap().next
    }

    #[test]
    fn a_duty_is_due_at_its_time_and_only_once() {
        let mut planner = hourly("09:30:00");
        assert_eq!(planner.due(at("09:59:59")), Round::default());
        assert_eq!(planner.due(at("10:00:00.4")), run("10:00:00", Reason::Scheduled));
        planner.finished("pull:a");
        assert_eq!(planner.due(at("10:00:00.9")), Round::default());
        assert_eq!(next(&planner), at("11:00:00"));
    }

    #[test]
    fn many_missed_times_are_one_run() {
        let mut planner = hourly("09:30:00");
        assert_eq!(planner.due(at("15:10:00")), run("10:00:00", Reason::Missed));
        assert_eq!(next(&planner), at("16:00:00"));
    }

    #[test]
    fn a_due_time_is_skipped_once_while_the_last_run_has_not_ended() {
        let mut planner = hourly("09:30:00");
        planner.due(at("10:00:00"));
        let skipped = Round { start: vec![], skipped: vec![due("pull:a", "11:00:00", Reason::Scheduled)] };
        assert_eq!(planner.due(at("11:00:00")), skipped);
        assert_eq!(planner.due(at("11:00:01")), Round::default());
        assert_eq!(planner.jobs().next().unwrap().skipped, 1);
        planner.finished("pull:a");
        assert_eq!(planner.due(at("11:30:00")), Round::default());
        assert_eq!(planner.due(at("12:00:00")), run("12:00:00", Reason::Scheduled));
    }

    #[test]
    fn a_run_missed_before_the_start_is_caught_up_once() {
        let mut planner = Planner::new(at("12:30:00"), NONE, vec![planned_with_last("@hourly", "09:00:00")]);
        assert_eq!(planner.due(at("12:30:00")), run("10:00:00", Reason::Missed));
        planner.finished("pull:a");
        assert_eq!(planner.due(at("12:59:59")), Round::default());
    }

    #[test]
    fn a_restart_does_not_repeat_what_was_tried_since_the_last_due_time() {
        let mut planner = Planner::new(at("12:30:00"), NONE, vec![planned_with_last("@hourly", "12:29:50")]);
        assert_eq!(planner.due(at("12:30:00")), Round::default());
        assert_eq!(next(&planner), at("13:00:00"));
    }

    #[test]
    fn a_last_run_in_the_future_counts_as_now() {
        let planner = Planner::new(at("12:30:00"), NONE, vec![planned_with_last("@hourly", "23:00:00")]);
        assert_eq!(next(&planner), at("13:00:00"));
    }

    #[test]
    fn what_never_ran_is_due_at_once_if_it_is_wanted_at_the_start() {
        let first = Planned { at_start: true, ..planned("pull:a", "@hourly") };
        let mut planner = Planner::new(at("12:30:00"), NONE, vec![first, planned("prune", "@daily")]);
        assert_eq!(planner.due(at("12:30:00")), run("12:30:00", Reason::First));
    }

    #[test]
    fn a_request_is_due_at_once_and_leaves_the_schedule_alone() {
        let mut planner = hourly("09:30:00");
        for prefix in ["pull:a", "pull:", "pull:b"] {
            planner.request_all(prefix);
        }
        assert_eq!(planner.due(at("09:31:00")), run("09:31:00", Reason::Requested));
        planner.finished("pull:a");
        assert_eq!(planner.due(at("09:32:00")), Round::default());
        assert_eq!(planner.due(at("10:00:00")), run("10:00:00", Reason::Scheduled));
    }

    #[test]
    fn requests_during_a_run_bring_exactly_one_more() {
        let mut planner = hourly("09:30:00");
        planner.due(at("10:00:00"));
        planner.request_all("pull:");
        planner.request_all("pull:a");
        assert_eq!(planner.due(at("10:01:00")), Round::default());
        planner.finished("pull:a");
        assert_eq!(planner.due(at("10:02:00")), run("10:02:00", Reason::Requested));
        planner.finished("pull:a");
        assert_eq!(planner.due(at("10:03:00")), Round::default());
    }

    #[test]
    fn a_request_for_all_pulls_leaves_the_other_duties_alone() {
        let mut planner = Planner::new(
            at("09:30:00"),
            NONE,
            vec![planned("pull:a", "@hourly"), planned("pull:b", "@hourly"), planned("prune", "@daily")],
        );
        planner.request_all("pull:");
        let names: Vec<_> = planner.due(at("09:30:01")).start.into_iter().map(|due| due.name).collect();
        assert_eq!(names, ["pull:a", "pull:b"]);
    }

    #[test]
    fn a_clock_that_is_set_back_brings_no_silence() {
        let mut planner = hourly("09:30:00");
        planner.due(at("10:00:00"));
        planner.finished("pull:a");
        planner.replan(at("04:20:00"));
        assert_eq!(next(&planner), at("05:00:00"));
    }

    #[test]
    fn a_clock_that_is_set_forward_brings_one_run() {
        let mut planner = hourly("09:30:00");
        let later = at("09:30:00") + TimeDelta::days(31);
        planner.replan(later);
        let round = planner.due(later);
        assert_eq!(round, run("10:00:00", Reason::Missed));
        planner.finished("pull:a");
        assert_eq!(planner.due(later + TimeDelta::minutes(29)), Round::default());
        assert_eq!(planner.due(later + TimeDelta::minutes(30)).start.len(), 1);
    }

    #[test]
    fn a_catch_up_that_waits_for_its_jitter_is_not_put_off_by_a_clock_set_back() {
        let jitter = Duration::from_secs(600);
        let mut planner = Planner::new(at("12:30:00"), jitter, vec![planned_with_last("@hourly", "01:00:00")]);
        planner.replan(at("06:30:00"));
        assert_eq!(planner.due(at("06:40:00")), run("02:00:00", Reason::Missed));
    }

    #[test]
    fn a_reload_keeps_what_runs_and_what_is_unchanged_and_drops_the_rest() {
        let mut planner = Planner::new(
            at("09:30:00"),
            NONE,
            vec![planned("pull:a", "@hourly"), planned("pull:b", "@hourly"), planned("pull:c", "@hourly")],
        );
        planner.due(at("10:00:00"));
        planner.reload(at("10:30:00"), NONE, vec![planned("pull:a", "@hourly"), planned("pull:b", "45 * * * *")]);
        let plan: Vec<_> = planner.jobs().map(|job| (job.name.as_str(), job.next)).collect();
        assert_eq!(plan, [("pull:a", at("11:00:00")), ("pull:b", at("10:45:00"))]);
        assert_eq!(planner.running().collect::<Vec<_>>(), ["pull:a", "pull:b", "pull:c"]);
        assert!(planner.due(at("11:00:00")).start.is_empty());
    }

    #[test]
    fn a_duty_that_comes_back_while_its_old_run_goes_on_does_not_overlap_it() {
        let mut planner = hourly("09:30:00");
        planner.due(at("10:00:00"));
        planner.reload(at("10:10:00"), NONE, vec![]);
        planner.reload(at("10:20:00"), NONE, vec![planned("pull:a", "@hourly")]);
        assert!(planner.due(at("11:00:00")).start.is_empty());
        planner.finished("pull:a");
        assert_eq!(planner.due(at("12:00:00")).start.len(), 1);
    }

    #[test]
    fn an_unchanged_duty_that_is_due_during_a_reload_is_not_lost() {
        let mut planner = hourly("09:30:00");
        planner.reload(at("10:00:01"), NONE, vec![planned("pull:a", "@hourly")]);
        assert_eq!(planner.due(at("10:00:01")), run("10:00:00", Reason::Scheduled));
    }

    #[test]
    fn jitter_spreads_a_thousand_sources_evenly_and_always_alike() {
        let jitter = Duration::from_secs(60);
        let sources = || (0..1000).map(|number| planned(&format!("pull:{number}"), "@hourly")).collect();
        let starts = |planner: &Planner| planner.jobs().map(|job| job.starts_at).collect::<Vec<_>>();
        let planner = Planner::new(at("09:30:00"), jitter, sources());
        assert_eq!(starts(&planner), starts(&Planner::new(at("09:30:00"), jitter, sources())));
        let mut per_second = [0_u32; 60];
        for job in planner.jobs() {
            let delay = (job.starts_at - at("10:00:00")).num_seconds();
            per_second[usize::try_from(delay).unwrap()] += 1;
        }
        assert!(per_second.iter().all(|&count| (1..60).contains(&count)), "{per_second:?}");
    }

    #[test]
    fn the_next_due_duty_is_the_first_to_start_that_does_not_run() {
        let mut planner = Planner::new(at("09:30:00"), NONE, vec![planned("a", "@hourly"), planned("b", "15 * * * *")]);
        assert_eq!(planner.next_due().unwrap().name, "a");
        planner.due(at("10:00:00"));
        assert_eq!(planner.next_due().unwrap().name, "b");
    }

    #[test]
    fn only_seconds_and_jitter_need_the_second_tick() {
        let cadence = |jitter, schedule| Planner::new(at("09:30:00"), jitter, vec![planned("a", schedule)]).cadence();
        assert_eq!(cadence(NONE, "*/5 * * * *"), Cadence::Minute);
        assert_eq!(cadence(NONE, "0 */5 * * * *"), Cadence::Minute);
        assert_eq!(cadence(NONE, "30 */5 * * * *"), Cadence::Second);
        assert_eq!(cadence(Duration::from_secs(30), "@hourly"), Cadence::Second);
    }

    const NAMES: [&str; 3] = ["pull:a", "pull:b", "prune"];
    const SCHEDULES: [&str; 4] = ["* * * * *", "*/7 * * * *", "@hourly", "30 2 * * *"];

    /// One thing that can happen to a planner.
    #[derive(Debug, Clone)]
    enum Step {
        Pass(i64),
        Jump(i64),
        Finish(usize),
        Request(usize),
        Reload(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1_i64..5000).prop_map(Step::Pass),
            1 => (-4_000_000_i64..4_000_000).prop_map(Step::Jump),
            3 => (0..NAMES.len()).prop_map(Step::Finish),
            1 => (0..NAMES.len()).prop_map(Step::Request),
            1 => ((0..NAMES.len()), (0..SCHEDULES.len())).prop_map(|(name, schedule)| Step::Reload(name, schedule)),
        ]
    }

    fn plan(schedules: &[usize; 3]) -> Vec<Planned> {
        NAMES.iter().zip(schedules).map(|(name, &schedule)| planned(name, SCHEDULES[schedule])).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_run_overlaps_no_due_time_is_run_twice_and_none_is_silent_longer_than_its_period(
            steps in prop::collection::vec(step(), 1..60),
            jitter in prop_oneof![Just(0_u64), 1_u64..600],
        ) {
            let jitter = Duration::from_secs(jitter);
            let mut schedules = [0, 2, 3];
            let mut now = at("00:00:30");
            let mut planner = Planner::new(now, jitter, plan(&schedules));
            let mut running = BTreeSet::new();
            let mut latest = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Pass(seconds) => now += TimeDelta::seconds(seconds),
                    Step::Jump(seconds) => {
                        now += TimeDelta::seconds(seconds);
                        planner.replan(now);
                        latest.clear();
                    }
                    Step::Finish(name) => {
                        planner.finished(NAMES[name]);
                        running.remove(NAMES[name]);
                    }
                    Step::Request(name) => planner.request_all(NAMES[name]),
                    Step::Reload(name, schedule) => {
                        schedules[name] = schedule;
                        planner.reload(now, jitter, plan(&schedules));
                    }
                }
                for due in planner.due(now).start {
                    prop_assert!(running.insert(due.name.clone()), "{} overlaps itself", due.name);
                    prop_assert!(due.due_at <= now);
                    if due.reason != Reason::Requested {
                        let before = latest.insert(due.name, due.due_at);
                        prop_assert!(before.is_none_or(|before| before < due.due_at));
                    }
                }
            }
            for name in NAMES {
                planner.finished(name);
            }
            planner.due(now);
            for name in NAMES {
                planner.finished(name);
            }
            for (name, schedule) in NAMES.iter().zip(schedules) {
                let next = planned(name, SCHEDULES[schedule]).schedule.next_after(now).unwrap();
                let mut planner = Planner { jobs: planner.jobs.clone(), running: BTreeSet::new(), jitter };
                let round = planner.due(next + TimeDelta::from_std(jitter).unwrap());
                prop_assert!(round.start.iter().any(|due| due.name == *name), "{name} is silent");
            }
        }

        #[test]
        fn a_start_catches_up_at_most_once_and_only_what_was_missed(
            last in 0_i64..400_000, down in 0_i64..400_000, schedule in 0..SCHEDULES.len(),
        ) {
            let last = at("00:00:00") + TimeDelta::seconds(last);
            let now = last + TimeDelta::seconds(down);
            let planned = Planned { last: Some(last), ..planned("pull:a", SCHEDULES[schedule]) };
            let missed = planned.schedule.next_after(last).unwrap() <= now;
            let mut planner = Planner::new(now, NONE, vec![planned]);
            prop_assert_eq!(planner.due(now).start.len(), usize::from(missed));
            planner.finished("pull:a");
            prop_assert_eq!(planner.due(now), Round::default());
        }
    }
}
