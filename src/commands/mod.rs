//! One file a command: what it prints, and how it exits.

mod check;
mod completions;
mod connect;
mod deals;
mod dry_run;
mod exchange;
mod exit;
mod explain;
mod probe;
mod pull;
mod run;
mod snapshots;
mod status;
mod summary;
mod table;
mod targets;
mod together;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use crate::advice::Advice;
use crate::clock::{Clock, SystemClock};
use crate::commands::exit::Exit;
use crate::config::report::Report;
use crate::config::{self, Config, Inputs};
use crate::http::Clients;
use crate::signals::Handlers;
use crate::store::Store;
use crate::store::layout::Place;
use crate::telemetry::{self, LogFormat};

/// Pulls the sales pipeline out of any CRM on a schedule and publishes a complete snapshot or none at all.
#[derive(Debug, Parser)]
#[command(name = "sales-pipeline", version, max_term_width = 100, propagate_version = false, after_help = AFTER_HELP)]
struct Arguments {
    /// The configuration file [default: $SALES_PIPELINE_CONFIG, config/sales-pipeline.toml, then
    /// /etc/sales-pipeline/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where sales_pipeline.json and daily_summary.json go; the snapshots go into sales_cache below it
    #[arg(long, global = true, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Use five demo deals instead of the configured sources
    #[arg(long, global = true)]
    demo: bool,

    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Log more; twice for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Choose the form of the log; auto is text on a terminal, else JSON
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Auto, value_name = "FORMAT")]
    log_format: LogFormat,

    #[command(subcommand)]
    command: Command,
}

impl Arguments {
    fn log_level(&self) -> LevelFilter {
        let usual = u8::from(matches!(self.command, Command::Run));
        match (self.quiet, usual + self.verbose) {
            (true, _) => LevelFilter::ERROR,
            (false, 0) => LevelFilter::WARN,
            (false, 1) => LevelFilter::INFO,
            (false, _) => LevelFilter::DEBUG,
        }
    }
}

const AFTER_HELP: &str = "\
Try it:         sales-pipeline pull --demo
Run it:         sales-pipeline run
Is it right?    sales-pipeline check
How is it?      sales-pipeline status

Exit codes: 0 ok, 1 data too old (status --exit-code), 64 usage, 65 held, 69 a source unavailable,
73 cannot write, 75 another instance, 77 credentials refused, 78 configuration, 130 ended by a signal.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground
    ///
    /// TERM or INT ends it, HUP reads the configuration again, USR1 pulls every source now.
    Run,
    /// Pull once, now, and write everything a scheduled pull writes
    Pull(pull::Arguments),
    /// Check the configuration and show the next runs, without the network
    Check(check::Arguments),
    /// Show each source: last snapshot, age, deals, value, next run, health
    Status(status::Arguments),
    /// List or export the deals of the last snapshots
    Deals(deals::Arguments),
    /// Rebuild the daily summary and print it
    Summary(summary::Arguments),
    /// List, accept or delete snapshots
    #[command(subcommand)]
    Snapshots(snapshots::Command),
    /// Inspect an API and write a source section for it
    ///
    /// Sends at most 46 requests to find out how the list is paged. The secret comes from a variable or a file, never from
    /// the command line.
    Probe(probe::Arguments),
    /// Explain a hint's code or a rule, and how to fix it
    Explain(explain::Arguments),
    /// Print completions for a shell
    Completions(completions::Arguments),
}

impl Command {
    /// Whether its pulls are stored. All other commands that contact a CRM only test it.
    fn keeps_pulls(&self) -> bool {
        match self {
            Self::Run => true,
            Self::Pull(arguments) => !arguments.is_dry(),
            _ => false,
        }
    }
}

/// Reads the command line, does what it says, and gives the exit code.
pub fn run(handlers: io::Result<Handlers>) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are not errors.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _ = error.print();
            return code.into();
        }
    };
    let handlers = match handlers {
        Ok(handlers) => handlers,
        Err(error) => return complain(&format!("signals cannot be handled: {error}"), None, Exit::Config).into(),
    };
    let filter = std::env::var("SALES_PIPELINE_LOG").ok();
    if let Err(error) = telemetry::start(filter.as_deref(), arguments.log_level(), arguments.log_format) {
        return complain(&error, None, Exit::Config).into();
    }
    match dispatch(arguments, handlers) {
        Ok(exit) => exit.into(),
        // Whoever read our output has enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Ok.into(),
        Err(error) => complain(&format!("print: {error}"), None, Exit::CannotWrite).into(),
    }
}

fn dispatch(arguments: Arguments, handlers: Handlers) -> io::Result<Exit> {
    let inputs = inputs(&arguments);
    let out = &mut io::stdout().lock();
    // `run` and `pull` have something to finish; the others end at the first TERM.
    match arguments.command {
        Command::Run => return Ok(run::run(inputs, handlers)),
        Command::Pull(arguments) if !arguments.is_dry() => return pull::run(&inputs, &arguments, handlers, out),
        _ => handlers.end_on_stop()?,
    }
    match arguments.command {
        Command::Run => unreachable!("it has returned above"),
        Command::Pull(arguments) => pull::try_out(&inputs, &arguments, out),
        Command::Check(arguments) => check::run(&inputs, &arguments, out),
        Command::Status(arguments) => status::run(inputs, &arguments, out),
        Command::Deals(arguments) => deals::run(inputs, &arguments, out),
        Command::Summary(arguments) => summary::run(inputs, &arguments, out),
        Command::Snapshots(command) => snapshots::run(inputs, &command, out),
        Command::Probe(arguments) => probe::run(&inputs, &arguments, out),
        Command::Explain(arguments) => explain::run(&arguments, out),
        Command::Completions(arguments) => completions::run(&arguments, out),
    }
}

/// What the world hands in, read once.
fn inputs(arguments: &Arguments) -> Inputs {
    // Text that is not UTF-8 is converted: a wrong path is reported, a missing variable would not be.
    let text = |text: OsString| text.to_string_lossy().into_owned();
    let environment: BTreeMap<String, String> =
        std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Inputs {
        file: arguments.config.clone(),
        output: arguments.output.clone(),
        demo: arguments.demo,
        environment,
        working_directory: std::env::current_dir().unwrap_or_default(),
        user: rustix::process::geteuid().as_raw(),
        strict: false,
        trial: !arguments.command.keeps_pulls(),
        clients: Clients::new(),
        clock,
    }
}

/// Reads the configuration; what is wrong with it goes to stderr, all at once.
fn load(inputs: &Inputs) -> Result<Config, Exit> {
    let (config, report) = config::load(inputs);
    config.ok_or_else(|| {
        tell_problems(&report);
        Exit::Config
    })
}

/// Whether nothing is wrong but that no source is configured; beside other problems that may only follow from them.
fn lacks_only_a_source(report: &Report) -> bool {
    report.no_source && report.problems.len() == 1
}

/// The configuration. Without one, the demo's, if the output folder holds a demo pull.
fn load_or_demo(inputs: Inputs) -> Result<(Inputs, Config), Exit> {
    let (config, report) = config::load(&inputs);
    if let Some(config) = config {
        return Ok((inputs, config));
    }
    if lacks_only_a_source(&report) {
        let demo = Inputs { demo: true, ..inputs.clone() };
        if let (Some(config), _) = config::load(&demo) {
            let store = Store::new(config.layout.clone());
            let pulled = config.sources.values().any(|target| store.duties(&Place::Flat).contains_key(&target.duty()));
            if pulled {
                return Ok((demo, config));
            }
        }
    }
    tell_problems(&report);
    Err(Exit::Config)
}

fn tell_problems(report: &Report) {
    if lacks_only_a_source(report) {
        let ways = "no source is configured\n  \
             to try it:          sales-pipeline --demo pull\n  \
             to pull your CRM:   put a [sources.<name>] section into config/sales-pipeline.toml\n                      \
             (every setting: config/default.toml; README, \"First real source\")";
        complain(ways, None, Exit::Config);
        return;
    }
    for problem in &report.problems {
        complain(&problem.to_string(), None, Exit::Config);
    }
    let count = report.problems.len();
    let problems = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
    complain(&format!("the configuration has {problems}"), Some(Advice::FixConfig), Exit::Config);
}

/// Says on stderr what went wrong and what to do, and gives the code back.
fn complain(what: &str, advice: Option<Advice>, exit: Exit) -> Exit {
    let mut err = io::stderr().lock();
    let (red, bold, plain) = if colours() { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    // Nobody is left to tell where even stderr is closed.
    let _ = writeln!(err, "{red}error{plain}: {what}");
    if let Some(advice) = advice {
        let _ = writeln!(err, "{bold}hint{plain}: {advice}");
    }
    exit
}

/// How many records the configuration left out, where there are any.
fn left_out(filtered: u64) -> Option<String> {
    (filtered > 0).then(|| format!("{filtered} left out by the configuration"))
}

/// Colours only for a person: on a terminal that wants them.
fn colours() -> bool {
    telemetry::wants_colors(io::stderr().is_terminal())
}
