//! Which sources a configuration names, in the short form or by sections, and how they are built.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use figment::value::Value;
use secrecy::ExposeSecret;

use crate::config::report::Report;
use crate::config::{Inputs, Top, take_schedule};
use crate::cron::Cron;
use crate::jobs::Target;
use crate::memory::{InProcess, Memory};
use crate::model::name::SourceName;
use crate::secret::Secret;
use crate::settings::{Problem, Section};
use crate::sources::{self, Built, Context, KINDS};
use crate::store::layout::{Layout, Place};
use crate::store::memory::SourceMemory;

/// The kind whose deals are invented.
const DEMO: &str = "demo";
/// How often `--demo` is pulled under `run`.
const DEMO_SCHEDULE: &str = "* * * * *";

/// A source's section and where its snapshots stand; `prefix` is where its keys stand in the config.
pub(super) struct Chosen {
    name: SourceName,
    place: Place,
    section: Section,
    prefix: Vec<String>,
}

pub(super) fn choose_sources(
    inputs: &Inputs,
    top: Option<&Top>,
    section: &Section,
    named: Section,
    report: &mut Report,
) -> Vec<Chosen> {
    if inputs.demo {
        let demo = [("kind", DEMO), ("schedule", DEMO_SCHEDULE)];
        let section = Section(demo.map(|(key, text)| (key.to_owned(), Value::from(text))).into());
        return vec![flat(DEMO, section)];
    }
    let short = top.filter(|top| top.source.is_some() || top.api_key.is_some() || top.endpoint.is_some());
    match (short, named.0.is_empty()) {
        (Some(_), false) => {
            let problem = Problem::at("source", "the short form does not stand beside [sources.*]");
            report.add(problem.hint("make it a section of its own"));
            Vec::new()
        }
        (Some(top), true) => short_form(top, section, report).into_iter().collect(),
        // Something is configured, and what is wrong with it is told already.
        (None, true) if report.has_problem_under("sources") || top.is_none() && names_short_form(section) => Vec::new(),
        (None, true) => {
            report.no_source = true;
            let problem = Problem::at("", "no source is configured");
            report.add(problem.hint("name one under [sources.*] (README, \"First real source\"), or try --demo"));
            Vec::new()
        }
        (None, false) => named_sources(named, report),
    }
}

fn names_short_form(section: &Section) -> bool {
    ["source", "api_key", "endpoint"].iter().any(|key| section.0.contains_key(*key))
}

fn named_sources(named: Section, report: &mut Report) -> Vec<Chosen> {
    let mut chosen = Vec::new();
    for (key, value) in named.0 {
        let prefix = vec!["sources".to_owned(), key.clone()];
        match (key.parse::<SourceName>(), value) {
            (Ok(name), Value::Dict(_, dict)) => {
                chosen.push(Chosen { place: Place::Folder(name.clone()), name, section: Section(dict), prefix });
            }
            (Err(error), _) => report.add(Problem { path: prefix, message: error.to_string(), hint: None }),
            (Ok(_), _) => report.add(Problem { path: prefix, message: "expected a table".to_owned(), hint: None }),
        }
    }
    keep_demo_apart(&chosen, report);
    chosen
}

/// Invented deals never stand beside live ones (rule R14).
fn keep_demo_apart(chosen: &[Chosen], report: &mut Report) {
    let kind = |chosen: &Chosen| chosen.section.text("kind").map(ToOwned::to_owned);
    let is_demo = |chosen: &&Chosen| kind(chosen).as_deref() == Some(DEMO);
    let is_live =
        |chosen: &Chosen| kind(chosen).is_some_and(|kind| kind != DEMO && KINDS.iter().any(|known| known.name == kind));
    if !chosen.iter().any(is_live) {
        return;
    }
    for demo in chosen.iter().filter(is_demo) {
        let problem = Problem::at("kind", "invented deals do not stand beside live ones");
        let prefix: Vec<&str> = demo.prefix.iter().map(String::as_str).collect();
        report.add(problem.hint("try the demo apart: `--demo --output DIR`").under(&prefix));
    }
}

fn flat(kind: &str, section: Section) -> Chosen {
    let name = kind.parse().expect("a kind's word is a source's name");
    Chosen { name, place: Place::Flat, section, prefix: Vec::new() }
}

/// The one source of the four original variables, named after its kind; its keys stand at the top.
fn short_form(top: &Top, section: &Section, report: &mut Report) -> Option<Chosen> {
    let Some(word) = &top.source else {
        report.add(Problem::at("source", "is missing").hint("`api_key` and `endpoint` belong to a source"));
        return None;
    };
    let Some(keys) = KINDS.iter().find(|kind| kind.name == word).and_then(|kind| kind.short) else {
        let endpoint = top.endpoint.as_deref().filter(|endpoint| !endpoint.contains('@'));
        report.add(Problem::at("source", "is no kind with a short form").hint(ready_section(endpoint)));
        return None;
    };
    let kind = ("kind".to_owned(), Value::from(word.as_str()));
    let given = keys.iter().filter_map(|key| section.0.get_key_value(*key));
    Some(flat(word, Section(given.map(|(key, value)| (key.clone(), value.clone())).chain([kind]).collect())))
}

/// A `rest` section to begin with.
fn ready_section(endpoint: Option<&str>) -> String {
    let (endpoint, path) = endpoint.and_then(cut_deals).unwrap_or_else(|| {
        let usual = "https://api.mycrm.example/v2";
        (endpoint.filter(|endpoint| !endpoint.contains('?')).unwrap_or(usual).to_owned(), "/deals".to_owned())
    });
    let short: Vec<&str> = KINDS.iter().filter(|kind| kind.short.is_some()).map(|kind| kind.name).collect();
    format!(
        "{} have one; for any other CRM put this into config/sales-pipeline.toml (docs/rest.md says more), set \
         MYCRM_API_KEY, and unset SALES_PIPELINE_SOURCE, _API_KEY and _ENDPOINT:\n\
         \x20   [sources.mycrm]\n\
         \x20   kind     = \"rest\"\n\
         \x20   endpoint = \"{endpoint}\"\n\
         \x20   auth     = {{ type = \"bearer\", token = {{ env = \"MYCRM_API_KEY\" }} }}\n\
         \x20   request  = {{ path = \"{path}\" }}\n\
         \x20   records  = {{ path = \"$.data\" }}\n\
         \x20   fields   = {{ id = \"$.id\", name = \"$.name\", stage = \"$.stage\", value = \"$.amount\", currency = \"$.currency\" }}",
        short.join(", "),
    )
}

/// The address of a list of deals as endpoint and path, as the built-in CRMs take it too: look-ups are mostly beside
/// the deals. A query may hold a key and is left out.
fn cut_deals(address: &str) -> Option<(String, String)> {
    let place = address.split(['?', '#']).next().unwrap_or(address);
    let (endpoint, list) = place.trim_end_matches('/').rsplit_once('/')?;
    let is_list = ["deal", "opportunit", "lead"].iter().any(|word| list.to_lowercase().contains(word));
    (is_list && endpoint.contains("://")).then(|| (endpoint.to_owned(), place[endpoint.len()..].to_owned()))
}

pub(super) fn build_sources(
    chosen: Vec<Chosen>,
    context: &Context,
    layout: Option<&Layout>,
    inputs: &Inputs,
    usual: Option<&Cron>,
    report: &mut Report,
) -> BTreeMap<SourceName, Arc<Target>> {
    let (mut sources, mut asked) = (BTreeMap::new(), Vec::new());
    for Chosen { name, place, mut section, prefix } in chosen {
        let prefix: Vec<&str> = prefix.iter().map(String::as_str).collect();
        let names_one = section.0.contains_key("schedule");
        let own = take_schedule(&mut section, context.zone, &prefix, report);
        let schedule = if names_one { own } else { usual.cloned() };
        let context = &Context { memory: memory(inputs, layout, &place), ..context.clone() };
        match sources::build(&section, context) {
            Ok(built) => {
                built.warnings.iter().for_each(|warning| report.warn(warning.clone().under(&prefix)));
                check_secrets(&built.secrets, context, inputs.strict, &prefix, report);
                if !built.demo {
                    let own = Asked::new(&name, &section, &built, context);
                    warn_of_twins(&own, &asked, &prefix, report);
                    asked.push(own);
                }
                if let Some(schedule) = schedule {
                    let target = Arc::new(Target { name: name.clone(), place, schedule, built });
                    sources.insert(name, target);
                }
            }
            Err(problems) => {
                check_secrets(&sources::named_secrets(&section), context, inputs.strict, &prefix, report);
                for problem in problems {
                    report.add(problem.under(&prefix));
                }
            }
        }
    }
    sources
}

/// Keys of a section that say whom it asks for which records, whatever becomes of them.
const ASKS: [&str; 8] = ["kind", "endpoint", "login_url", "request", "records", "vars", "where", "archived"];

/// Whom a source asks, with which credentials, and for which deals.
struct Asked {
    name: SourceName,
    section: Section,
    /// Nothing where one cannot be read now: which account it would be is not known.
    secrets: Option<BTreeSet<String>>,
    pipelines: Vec<String>,
}

impl Asked {
    fn new(name: &SourceName, section: &Section, built: &Built, context: &Context) -> Self {
        let revealed =
            |(_, secret): &(String, Secret)| Some(context.keyring.reveal(secret).ok()?.expose_secret().to_owned());
        Self {
            name: name.clone(),
            section: section.clone().split_off(&ASKS),
            secrets: built.secrets.iter().map(revealed).collect(),
            pipelines: built.scope.pipelines.clone(),
        }
    }

    /// Whether the deals of one are, at least in part, those of the other.
    fn is_twin_of(&self, other: &Self) -> bool {
        let (own, others) = (&self.pipelines, &other.pipelines);
        let share = own.is_empty() || others.is_empty() || own.iter().any(|pipeline| others.contains(pipeline));
        share && self.section.0 == other.section.0 && self.secrets.is_some() && self.secrets == other.secrets
    }
}

/// The joined file adds up all sources.
fn warn_of_twins(own: &Asked, others: &[Asked], prefix: &[&str], report: &mut Report) {
    if let Some(twin) = others.iter().find(|other| own.is_twin_of(other)) {
        let problem =
            Problem::at("", format!("asks the same account for the same deals as `{}`: they count twice", twin.name));
        report.warn(problem.hint("keep one of the two, or tell them apart by `pipelines` or `request`").under(prefix));
    }
}

/// What the source of a place remembers; nothing where the folders are not known, and nothing is pulled.
fn memory(inputs: &Inputs, layout: Option<&Layout>, place: &Place) -> Arc<dyn Memory> {
    match layout {
        Some(layout) => Arc::new(SourceMemory::new(layout.clone(), place.clone(), inputs.trial)),
        None => Arc::new(InProcess::default()),
    }
}

/// A secret that is not there is a problem now, not at the first pull; one that stands in the file is warned of.
fn check_secrets(secrets: &[(String, Secret)], context: &Context, strict: bool, prefix: &[&str], report: &mut Report) {
    for (key, secret) in secrets {
        let at = |message: String| Problem::at(key, message).under(prefix);
        match (secret, context.keyring.reveal(secret)) {
            (Secret::Literal(_), _) => {
                let problem = at("the secret stands in the file".to_owned());
                if report.origins.is_in_file(&problem.path) {
                    report
                        .warn(problem.hint("move it out: { env = \"X\" }, { file = \"…\" } or { credential = \"…\" }"));
                }
            }
            // Only the service itself sees its credentials; `check` beside it does not.
            (Secret::Credential(_), Err(error)) if !strict => {
                report.warn(at(error.to_string()).hint("only the service itself can read its credentials"));
            }
            (_, Err(error)) => report.add(at(error.to_string()).hint(error.advice().text())),
            (_, Ok(_)) => {}
        }
    }
}
