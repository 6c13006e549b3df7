//! `pull`: once, now; progress on a terminal, one line a source.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::advice::Advice;
use crate::app;
use crate::commands::dry_run::DryRun;
use crate::commands::exit::Exit;
use crate::commands::targets::choose;
use crate::commands::{complain, dry_run, left_out, load, table, together};
use crate::config::Inputs;
use crate::jobs::outcome::{Outcome, Published, PullFailure};
use crate::jobs::pull::pull;
use crate::jobs::status::vanished_in_words;
use crate::jobs::{Jobs, Target, recover, summarize};
use crate::model::snapshot::not_in_totals;
use crate::signals::{Handlers, Request};
use crate::sources::fetch::{FetchError, Progress};
use crate::store::error::StoreError;
use crate::store::state::DutyState;
use crate::telemetry::in_one_line;

/// How often a lock that somebody holds is tried again.
pub(super) const TRY_AGAIN: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The sources to pull [default: all]
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Arguments {
    /// Whether it writes nothing.
    pub(super) fn is_dry(&self) -> bool {
        self.dry_run.is_wanted
    }
}

/// Shows what a pull would write.
pub(super) fn try_out(inputs: &Inputs, arguments: &Arguments, out: &mut impl Write) -> io::Result<Exit> {
    dry_run::run(inputs, &arguments.dry_run, &arguments.sources, out)
}

pub(super) fn run(
    inputs: &Inputs,
    arguments: &Arguments,
    handlers: Handlers,
    out: &mut impl Write,
) -> io::Result<Exit> {
    let stop = CancellationToken::new();
    let config = match load(inputs) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let jobs = Arc::new(app::jobs(&config, inputs, &stop));
    let targets = match choose(&jobs, &arguments.sources) {
        Ok(targets) => targets,
        Err(exit) => return Ok(exit),
    };
    if let Err(error) = jobs.store.prepare() {
        return Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite));
    }
    if let Err(error) = app::refuse_demo_over_live(&jobs) {
        return Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::of_advice(error.advice())));
    }
    let (sender, requests) = mpsc::unbounded_channel();
    handlers.forward(sender)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exit = runtime.block_on(async {
        tokio::spawn(stop_on_signal(requests, stop));
        let recovering = {
            let jobs = Arc::clone(&jobs);
            tokio::task::spawn_blocking(move || recover::recover(&jobs, jobs.clock.now()))
        };
        tokio::select! {
            _ = recovering => pull_all(&jobs, targets, out).await,
            () = jobs.stop.cancelled() => Ok(Exit::Interrupted),
        }
    });
    runtime.shutdown_background();
    exit
}

async fn stop_on_signal(mut requests: mpsc::UnboundedReceiver<Request>, stop: CancellationToken) {
    while let Some(request) = requests.recv().await {
        if request == Request::Stop {
            stop.cancel();
        }
    }
}

async fn pull_all(jobs: &Arc<Jobs>, targets: Vec<Arc<Target>>, out: &mut impl Write) -> io::Result<Exit> {
    let bars = Bars::new();
    let mut running = tokio::task::JoinSet::new();
    for target in targets {
        let (jobs, bar) = (Arc::clone(jobs), bars.add(&target));
        running.spawn(async move {
            let shown = bar.clone();
            let outcome = pull_or_wait(&jobs, &target, move |progress| Bars::show(&shown, progress)).await;
            bar.finish_and_clear();
            (target, outcome)
        });
    }
    let mut exit = Exit::Ok;
    while let Some(ended) = running.join_next().await {
        let Ok((target, ended)) = ended else {
            exit = exit.max(complain("a pull ended in a panic", None, Exit::Unavailable));
            continue;
        };
        exit = exit.max(bars.suspend(|| report(&target, &ended, out))?);
    }
    if jobs.targets.len() > 1 || exit != Exit::Ok {
        let now = jobs.clock.now();
        match summarize::refresh(jobs, now) {
            Ok(Some(summary)) if jobs.targets.len() > 1 => writeln!(out, "{}", together::line(&summary, now))?,
            Ok(_) => {}
            Err(error) => exit = exit.max(complain(&in_one_line(&error), None, Exit::CannotWrite)),
        }
    }
    Ok(exit)
}

/// Pulls, or waits for another process's pull of this source and reports its outcome.
async fn pull_or_wait(
    jobs: &Arc<Jobs>,
    target: &Arc<Target>,
    progress: impl Fn(Progress) + Clone + Send + Sync + 'static,
) -> Outcome {
    let before = memory(jobs, target);
    let patience = jobs.clock.instant() + jobs.pull_deadline.0;
    loop {
        match pull(jobs, target, None, progress.clone()).await {
            Outcome::Failed(PullFailure::Busy) if jobs.stop.is_cancelled() => {
                return Outcome::Failed(PullFailure::Fetch(FetchError::Stopped));
            }
            Outcome::Failed(PullFailure::Busy) if jobs.clock.instant() < patience => {}
            outcome => return outcome,
        }
        tokio::time::sleep(TRY_AGAIN).await;
        match ended_elsewhere(jobs, target, &before) {
            Ok(None) => {}
            Ok(Some(outcome)) => return outcome,
            Err(error) => return Outcome::Failed(error.into()),
        }
    }
}

/// What is remembered of the target's pulls.
fn memory(jobs: &Jobs, target: &Target) -> DutyState {
    jobs.store.duties(&target.place).remove(&target.duty()).unwrap_or_default()
}

/// The outcome of another process's pull, once it has ended.
fn ended_elsewhere(jobs: &Jobs, target: &Target, before: &DutyState) -> Result<Option<Outcome>, StoreError> {
    let now = memory(jobs, target);
    if now.last_success != before.last_success {
        return Ok(jobs.newest(target)?.map(|newest| {
            Outcome::Published(Published { before: None, id: newest.id, head: newest.head, took: Duration::ZERO })
        }));
    }
    let held = now.hold.as_ref().filter(|_| now.hold != before.hold).map(|held| held.reasons.join("; "));
    let failed = now.error.filter(|_| now.failures != before.failures);
    Ok(held.or(failed).map(|why| Outcome::Failed(PullFailure::Elsewhere(why))))
}

fn report(target: &Target, outcome: &Outcome, out: &mut impl Write) -> io::Result<Exit> {
    match outcome {
        Outcome::Published(published) => {
            let head = &published.head;
            let open = &head.totals.open;
            let noted = |words: Option<String>| words.map_or_else(String::new, |words| format!("; {words}"));
            let filtered = noted(left_out(head.completeness.filtered));
            let totals = &head.totals;
            let missing = noted(not_in_totals(totals.unpriced, &totals.without_rate, totals.unweighted));
            let vanished = noted(vanished_in_words(head));
            let demo = if head.demo { " (invented deals)" } else { "" };
            writeln!(
                out,
                "{}: {} deals, {}; open {} deals, {}, weighted {}{missing}; {}{filtered}{vanished}{demo}",
                target.name,
                head.total_leads,
                table::money(head.total_value, head.currency),
                open.count,
                table::money(open.value, head.currency),
                table::money(open.weighted, head.currency),
                head.completeness.proof,
            )?;
            Ok(Exit::Ok)
        }
        Outcome::Held(held) => {
            out.flush()?;
            Ok(complain(&format!("pull `{}`: {held}", target.name), Some(Advice::AcceptOrMend), Exit::Held))
        }
        Outcome::Failed(failure) => {
            out.flush()?;
            let what = format!("pull `{}`: {}", target.name, in_one_line(failure));
            Ok(complain(&what, failure.advice(), Exit::of(failure)))
        }
    }
}

/// Progress on stderr, if that is a terminal.
struct Bars(MultiProgress);

impl Bars {
    fn new() -> Self {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self(MultiProgress::with_draw_target(target))
    }

    fn add(&self, target: &Target) -> ProgressBar {
        let style = ProgressStyle::with_template("{spinner} {prefix}: {pos} deals{msg}, {elapsed}")
            .expect("the template is written above");
        let bar = self.0.add(ProgressBar::no_length().with_style(style).with_prefix(target.name.to_string()));
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn show(bar: &ProgressBar, progress: Progress) {
        let of = progress.expected.map_or_else(String::new, |expected| {
            let percent = (progress.fetched * 100).checked_div(expected).unwrap_or(100).min(100);
            let left = u128::from(expected.saturating_sub(progress.fetched));
            // At the average speed until now.
            let seconds = (bar.elapsed().as_millis() * left).checked_div(u128::from(progress.fetched) * 1_000);
            let left = seconds.map_or_else(String::new, |seconds| format!(", {seconds} s left"));
            format!(" of {expected} ({percent} %){left}")
        });
        let pages = if progress.pages == 1 { "1 page".to_owned() } else { format!("{} pages", progress.pages) };
        bar.set_message(format!("{of}, {pages}"));
        bar.set_position(progress.fetched);
    }

    fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        self.0.suspend(write)
    }
}
