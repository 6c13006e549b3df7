//! Layers of configuration (defaults, file, `.env.local`, environment) become typed settings, all problems at once.
//!
//! Every module owns its own settings; this one stacks the layers, composes, and says where a problem stands. Nobody
//! below imports it.

pub mod environment;
pub mod file;
pub mod report;
mod sources;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono_tz::Tz;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider};
use rust_decimal::Decimal;
use serde::de::{self, DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};

use crate::clock::Clock;
use crate::config::environment::{BEFORE_FILES, Environment, PREFIX};
use crate::config::file::{DOTENV, Found, Located};
use crate::config::report::{Origins, Report};
use crate::config::sources::{build_sources, choose_sources};
use crate::cron::Cron;
use crate::http::Clients;
use crate::jobs::Target;
use crate::memory::InProcess;
use crate::model::money::{Currency, Rates};
use crate::model::name::SourceName;
use crate::model::number;
use crate::secret::{Keyring, Secret};
use crate::settings::{Problem, Section, Span};
use crate::sources::Context;
use crate::store::layout::Layout;
use crate::store::retention::Policy;

/// The compiled-in defaults: the reference of every setting.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The tables of the config that other modules own.
const TABLES: [&str; 5] = ["sources", "retention", "summary", "limits", "fx"];

/// Where the configuration comes from: everything the world hands in.
#[derive(Clone)]
pub struct Inputs {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--output`.
    pub output: Option<PathBuf>,
    /// `--demo`.
    pub demo: bool,
    /// The process's environment.
    pub environment: BTreeMap<String, String>,
    /// Where relative paths start.
    pub working_directory: PathBuf,
    /// The user's number, whose files may be used.
    pub user: u32,
    /// Whether a credential that cannot be read is a problem: it is for `run`, which the service manager starts.
    pub strict: bool,
    /// Whether sources are only tested: they save nothing for the next pull, except a rotated refresh token.
    pub trial: bool,
    /// The clients that sources share, over every reload.
    pub clients: Arc<Clients>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// The whole configuration, typed and checked.
#[derive(Clone)]
pub struct Config {
    /// Where the files are.
    pub layout: Layout,
    /// The sources by name.
    pub sources: BTreeMap<SourceName, Arc<Target>>,
    /// The base currency and the rates into it.
    pub rates: Rates,
    /// How long snapshots are kept.
    pub retention: Policy,
    /// When they are pruned.
    pub prune_schedule: Cron,
    /// When the day is closed.
    pub summary_schedule: Cron,
    /// How much at once, and how long.
    pub limits: Limits,
    /// Where secrets are looked up.
    pub keyring: Arc<Keyring>,
}

/// `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How long a pull may take.
    pub pull_deadline: Span,
    /// How many pulls run at once.
    #[serde(deserialize_with = "at_least_one")]
    pub parallel: u32,
    /// How much later than due a pull may start.
    pub jitter: Span,
    /// How long running pulls may take to end after TERM.
    pub grace: Span,
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        0 => Err(de::Error::custom("must be at least 1")),
        number => Ok(number),
    }
}

/// What stands at the top of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Top {
    output: PathBuf,
    cache: Option<PathBuf>,
    currency: Option<Currency>,
    source: Option<String>,
    api_key: Option<Secret>,
    endpoint: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retention {
    #[serde(deserialize_with = "at_least_one")]
    days: u32,
    keep_at_least: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Summary {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    rates: BTreeMap<String, Rate>,
}

/// An exchange rate: a number, or its text where every digit counts.
#[derive(Debug, Clone, Copy)]
struct Rate(Decimal);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Rate;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number above 0, such as 0.92")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
                let rate = number::exact(text).filter(|rate| *rate > Decimal::ZERO);
                rate.map(Rate).ok_or_else(|| E::custom("expected a number above 0, such as 0.92"))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Rate, E> {
                // The shortest text that means this float is what stood in the file.
                self.visit_str(&number.to_string())
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Rate, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Rate, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Reads everything. The report holds the files used, every problem and every warning; there is a config exactly when
/// there is no problem.
pub fn load(inputs: &Inputs) -> (Option<Config>, Report) {
    let mut report = Report::default();
    let Some(layers) = Layers::read(inputs, &mut report) else { return (None, report) };
    report.origins = layers.origins;
    warn_of_unheard(inputs, &mut report);
    let config = compose(inputs, Section(layers.merged), &layers.keyring, &mut report);
    report.sort();
    (config.filter(|_| report.problems.is_empty()), report)
}

/// Variables in `.env.local` that only the environment can say.
fn warn_of_unheard(inputs: &Inputs, report: &mut Report) {
    for key in BEFORE_FILES {
        let name = format!("{PREFIX}{key}");
        let Some(line) = report.origins.dotenv.get(&name).copied() else { continue };
        if !inputs.environment.contains_key(&name) {
            let problem = Problem::at("", format!("`{name}` says nothing here: it is read before this file is"));
            report.warn_at_file(Path::new(DOTENV), line, problem.hint("set it in the environment"));
        }
    }
}

/// The layers, merged, and where each key stands.
struct Layers {
    merged: Dict,
    origins: Origins,
    keyring: Keyring,
}

impl Layers {
    fn read(inputs: &Inputs, report: &mut Report) -> Option<Self> {
        let file = read_file(inputs, report);
        let dotenv = read_dotenv(inputs, report);
        if !report.problems.is_empty() {
            return None;
        }
        let environment = Environment { name: "environment", variables: inputs.environment.clone() };
        let below = Environment {
            name: DOTENV,
            variables: dotenv.iter().map(|(name, (text, _))| (name.clone(), text.clone())).collect(),
        };
        let mut keyring = Keyring {
            environment: below.variables.clone(),
            credentials: inputs.environment.get("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        };
        keyring.environment.extend(inputs.environment.clone());
        let file_text = file.as_ref().map_or("", |(_, text, _)| text.as_str());
        let merged = merge(&[&Toml::string(DEFAULTS), &Toml::string(file_text), &below, &environment]);
        let origins = Origins {
            file: file.map(|(path, _, located)| (path, located)),
            dotenv: dotenv.into_iter().map(|(name, (_, line))| (name, line)).collect(),
            environment: environment.keys().map(|(path, _)| path).collect(),
        };
        let Ok(merged) = merged else {
            report.add(Problem::at("", "the layers of the configuration cannot be read"));
            return None;
        };
        Some(Self { merged, origins, keyring })
    }
}

/// Merges the layers, later ones above; a secret that a later layer gives in another form replaces the earlier whole.
fn merge(layers: &[&dyn Provider]) -> Result<Dict, Box<figment::Error>> {
    let mut merged = Dict::new();
    for layer in layers {
        let upper = layer.data()?.remove(&Profile::Default).unwrap_or_default();
        file::shadow_secrets(&mut merged, &upper);
        let figment = Figment::from(Serialized::defaults(&merged)).merge(Serialized::defaults(&upper));
        merged = figment.data()?.remove(&Profile::Default).unwrap_or_default();
    }
    Ok(merged)
}

fn read_file(inputs: &Inputs, report: &mut Report) -> Option<(PathBuf, String, Located)> {
    let named = inputs.environment.get("SALES_PIPELINE_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = inputs.file.clone().or(named);
    let (path, found) = file::choose(named.as_deref(), &inputs.working_directory)?;
    let text = match file::read(&inputs.working_directory.join(&path), found, inputs.user) {
        Ok(text) => text,
        Err(why) => {
            report.at_file(&path, None, Problem::at("", why.to_string()).hint(why.hint()));
            return None;
        }
    };
    report.files.push(path.clone());
    match Located::parse(text.clone()) {
        Ok(located) => Some((path, text, located)),
        Err(error) => {
            report.at_file(&path, Some(error.line), Problem::at("", error.message));
            None
        }
    }
}

fn read_dotenv(inputs: &Inputs, report: &mut Report) -> BTreeMap<String, (String, usize)> {
    let path = Path::new(DOTENV);
    let full = inputs.working_directory.join(path);
    if full.symlink_metadata().is_err() {
        return BTreeMap::new();
    }
    report.files.push(path.to_owned());
    match file::read(&full, Found::ByWorkingDirectory, inputs.user) {
        Ok(text) => environment::parse_dotenv(&text).unwrap_or_else(|bad| {
            let problem =
                Problem::at("", "is no `NAME=value`").hint("quote values with blanks; no substitution is done");
            report.at_file(path, Some(bad.0), problem);
            BTreeMap::new()
        }),
        Err(why) => {
            report.at_file(path, None, Problem::at("", why.to_string()).hint(why.hint()));
            BTreeMap::new()
        }
    }
}

/// Types every section, each problem recorded and the rest gone on with.
fn compose(inputs: &Inputs, mut section: Section, keyring: &Keyring, report: &mut Report) -> Option<Config> {
    let mut tables = section.split_off(&TABLES);
    let zone = take_zone(&mut section, report);
    let usual = take_schedule(&mut section, zone, &[], report);
    let top: Option<Top> = read(&section, &[], &[&TABLES[..], &["schedule", "timezone"]].concat(), report);
    let (prune_schedule, retention) = duty::<Retention>(&mut tables, "retention", zone, report);
    let (summary_schedule, summary) = duty::<Summary>(&mut tables, "summary", zone, report);
    let limits: Option<Limits> = read(&table(&mut tables, "limits", report), &["limits"], &[], report);
    let exchange: Option<Exchange> = read(&table(&mut tables, "fx", report), &["fx"], &[], report);
    // Sources are read whatever is wrong above, so that their problems show as well.
    let context = Context {
        clients: Arc::clone(&inputs.clients),
        keyring: Arc::new(keyring.clone()),
        clock: Arc::clone(&inputs.clock),
        zone,
        memory: Arc::new(InProcess::default()),
    };
    let layout = top.as_ref().map(|top| layout(inputs, top));
    let named = table(&mut tables, "sources", report);
    let sections = choose_sources(inputs, top.as_ref(), &section, named, report);
    let sources = build_sources(sections, &context, layout.as_ref(), inputs, usual.as_ref(), report);
    let (top, Summary {}) = (top?, summary?);
    let rates = rates(top.currency, exchange?, report);
    Some(Config {
        layout: layout?,
        sources,
        rates,
        retention: retention.map(|section| Policy { days: section.days, keep_at_least: section.keep_at_least })?,
        prune_schedule: prune_schedule?,
        summary_schedule: summary_schedule?,
        limits: limits?,
        keyring: Arc::clone(&context.keyring),
    })
}

/// The table of a job: its schedule, and its other keys.
fn duty<T: DeserializeOwned>(
    tables: &mut Section,
    name: &str,
    zone: Tz,
    report: &mut Report,
) -> (Option<Cron>, Option<T>) {
    let mut section = table(tables, name, report);
    let schedule = take_schedule(&mut section, zone, &[name], report);
    (schedule, read(&section, &[name], &["schedule"], report))
}

fn read<T: DeserializeOwned>(section: &Section, prefix: &[&str], also: &[&str], report: &mut Report) -> Option<T> {
    match section.read(also) {
        Ok(settings) => Some(settings),
        Err(problems) => {
            for problem in problems {
                report.add(problem.under(prefix));
            }
            None
        }
    }
}

/// A table of the configuration; another type of value is a problem.
fn table(tables: &mut Section, name: &str, report: &mut Report) -> Section {
    match tables.0.remove(name) {
        Some(Value::Dict(_, dict)) => Section(dict),
        None => Section::default(),
        Some(_) => {
            report.add(Problem::at(name, "expected a table"));
            Section::default()
        }
    }
}

/// Takes the zone out and parses it: schedules are read in it, whatever else is wrong.
fn take_zone(section: &mut Section, report: &mut Report) -> Tz {
    let zone = section.0.remove("timezone").and_then(|name| name.as_str()?.parse().ok());
    zone.unwrap_or_else(|| {
        let problem = Problem::at("timezone", "expected the IANA name of a zone, such as `Europe/Berlin`");
        report.add(problem);
        Tz::UTC
    })
}

/// Takes a section's schedule out and parses it; `None` where it names none, or a bad one.
fn take_schedule(section: &mut Section, zone: Tz, prefix: &[&str], report: &mut Report) -> Option<Cron> {
    let value = section.0.remove("schedule")?;
    let parsed = match value.as_str() {
        Some(text) => Cron::parse(text, zone).map_err(|error| error.to_string()),
        None => Err("expected a text in quotes".to_owned()),
    };
    parsed.map_err(|message| report.add(Problem::at("schedule", message).under(prefix))).ok()
}

fn rates(base: Option<Currency>, exchange: Exchange, report: &mut Report) -> Rates {
    if base.is_none() && !exchange.rates.is_empty() {
        report.add(Problem::at("fx.rates", "says what currencies are worth, but not in which").hint("set `currency`"));
    }
    let mut worth = BTreeMap::new();
    for (code, rate) in exchange.rates {
        // The environment's keys are lowercase.
        match code.parse::<Currency>() {
            Ok(currency) if base == Some(currency) && rate.0 != Decimal::ONE => {
                let problem =
                    Problem::at(&format!("fx.rates.{code}"), "is the base currency, which is worth 1 of itself");
                report.add(problem.hint("leave it out, or set another `currency`"));
            }
            Ok(currency) => {
                worth.insert(currency, rate.0);
            }
            Err(error) => report.add(Problem::at(&format!("fx.rates.{code}"), error.to_string())),
        }
    }
    Rates { base, worth }
}

fn layout(inputs: &Inputs, top: &Top) -> Layout {
    let output = inputs.output.clone().unwrap_or_else(|| top.output.clone());
    let output = inputs.working_directory.join(output);
    // A cache configured for the usual output does not follow another one.
    let cache = if inputs.output.is_some() { None } else { top.cache.as_ref() };
    let cache = cache.map_or_else(|| output.join("sales_cache"), |cache| inputs.working_directory.join(cache));
    Layout { output, cache }
}
