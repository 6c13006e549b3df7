//! `probe`: inspects a list of deals, tests how it is paged, and prints a section that reads it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderName;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::advice::Advice;
use crate::app;
use crate::commands::complain;
use crate::commands::connect::first_page;
use crate::commands::exit::Exit;
use crate::config::{self, Inputs};
use crate::http::{self, Http, Pace};
use crate::jobs::Jobs;
use crate::model::name::SourceName;
use crate::redact::Redactor;
use crate::secret::{Keyring, Secret, is_secret_name};
use crate::settings::Section;
use crate::sources::probe::asking::{Client, Credentials};
use crate::sources::probe::proposal::{NoProposal, Probe};
use crate::sources::probe::question::Question;
use crate::sources::source::SourceError;
use crate::telemetry::{Escaped, in_one_line};

/// The most requests after the first one. The test of the section adds two pages and one look-up each for owners,
/// stages and companies: 46 in all.
const MOST_REQUESTS: usize = 40;
/// The longest total wait for rate limits, if the CRM says how long.
const MOST_WAITING: Duration = Duration::from_secs(30);
/// A rate that every CRM allows.
const PACE: Pace = Pace { requests: 5, per: Duration::from_secs(1) };

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Address of the list of deals, without the key
    url: String,
    /// Send the secret as `Authorization: Bearer …`
    #[arg(long, group = "credentials")]
    bearer: bool,
    /// Send the secret in this header
    #[arg(long, value_name = "NAME", group = "credentials")]
    header: Option<String>,
    /// Send the secret as the password of USER; without USER, as the user
    #[arg(long, value_name = "USER", group = "credentials", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    basic: Option<String>,
    /// Send the secret in this URL parameter
    #[arg(long, value_name = "NAME", group = "credentials")]
    query: Option<String>,
    /// Read the secret from this variable [default: MYCRM_API_KEY, by --name]
    #[arg(long, value_name = "VARIABLE", requires = "credentials", conflicts_with = "file")]
    env: Option<String>,
    /// Read the secret from this file
    #[arg(long, value_name = "FILE", requires = "credentials")]
    file: Option<PathBuf>,
    /// Send a POST with this JSON
    #[arg(long, value_name = "JSON", value_parser = table)]
    body: Option<Map<String, Value>>,
    /// Use this proxy; proxies of the environment are ignored
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Also trust the certificate authorities in this file
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Allow plain http to other hosts
    #[arg(long)]
    allow_http: bool,
    /// Name the source
    #[arg(long, value_name = "NAME", default_value = "mycrm")]
    name: SourceName,
}

pub(super) fn run(inputs: &Inputs, arguments: &Arguments, out: &mut impl Write) -> io::Result<Exit> {
    let url = match address(&arguments.url) {
        Ok(url) => url,
        Err(why) => return Ok(complain(&why, None, Exit::Usage)),
    };
    let client = match client(inputs, arguments, &url) {
        Ok(client) => client,
        Err(why) => return Ok(complain(&why, None, Exit::Usage)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let probe = match runtime.block_on(explore(&client, Question { url: url.clone(), body: arguments.body.clone() })) {
        Ok(Ok(probe)) => probe,
        Ok(Err(nothing)) => return Ok(complain(&format!("probe: {nothing}"), None, Exit::Unavailable)),
        Err(error) => {
            let what = format!("probe: {}{}", in_one_line(&error), hint_at_slash(&error, &url));
            return Ok(complain(&what, Some(error.advice()), Exit::of_source(&error)));
        }
    };
    let section = probe.section(arguments.name.as_str(), &client.credentials, &client.settings);
    write!(out, "{section}")?;
    out.flush()?;
    let tried = runtime.block_on(try_out(inputs, &section));
    runtime.shutdown_background();
    let mut err = io::stderr().lock();
    match tried {
        Ok(told) => {
            let sent = client.http.requests();
            writeln!(
                err,
                "asked {sent} times; {told}\nnext: put this into config/sales-pipeline.toml, look at each line, \
                 then `sales-pipeline pull --dry-run`"
            )?;
            Ok(Exit::Ok)
        }
        Err((what, advice, exit)) => {
            drop(err);
            Ok(complain(&format!("the proposed section does not work yet: {what}"), Some(advice), exit))
        }
    }
}

/// Refuses an address that contains a secret: other users of the machine see command lines.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "not a URL; expected for instance https://api.mycrm.example/v2/deals")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL contains a user name or password: remove it and use --header or --bearer".to_owned());
    }
    if let Some((key, _)) = url.query_pairs().find(|(key, _)| is_secret_name(key)) {
        let key = Escaped(&key);
        return Err(format!("the URL seems to contain a key in `{key}`: remove it and use --query {key}"));
    }
    Ok(url)
}

/// The body of a POST, which is an object.
fn table(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("is not a JSON object (column {})", error.column()))
}

fn client(inputs: &Inputs, arguments: &Arguments, url: &Url) -> Result<Client, String> {
    let variable = || format!("{}_API_KEY", arguments.name.as_str().to_uppercase());
    let secret = match (&arguments.file, &arguments.env) {
        (Some(path), _) => Secret::File(path.clone()),
        (None, Some(name)) => Secret::Env(name.clone()),
        (None, None) => Secret::Env(variable()),
    };
    let credentials = match (&arguments.header, &arguments.query) {
        (Some(name), _) if name.parse::<HeaderName>().is_err() => {
            return Err("--header: not a header name".to_owned());
        }
        (Some(name), _) => Credentials::Header(name.clone(), secret),
        (None, Some(name)) => Credentials::Query(name.clone(), secret),
        (None, None) if arguments.basic.is_some() => {
            Credentials::Basic(arguments.basic.clone().filter(|user| !user.is_empty()), secret)
        }
        (None, None) if arguments.bearer => Credentials::Bearer(secret),
        (None, None) => Credentials::None,
    };
    let usual: http::Settings = Section::default().read(&[]).expect("every setting of a client has a default");
    let Arguments { proxy, ca_file, allow_http, .. } = arguments;
    if proxy.as_ref().is_some_and(|proxy| proxy.contains('@')) {
        return Err("--proxy: contains a user name or password, which other users of this machine could see".to_owned());
    }
    let settings = http::Settings { proxy: proxy.clone(), ca_file: ca_file.clone(), allow_http: *allow_http, ..usual };
    let http = Http::new(&inputs.clients, &url.origin().ascii_serialization(), &settings, Some(PACE));
    let http = http.map_err(|problem| match &problem.path[..] {
        [key] if key != "endpoint" => format!("--{}: {}", key.replace('_', "-"), problem.message),
        _ => format!("the URL {}", problem.message),
    })?;
    let keyring = Keyring { environment: inputs.environment.clone(), credentials: None };
    Ok(Client { http, settings, credentials, keyring, clock: Arc::clone(&inputs.clock) })
}

/// Sends the probe's requests. A refused request is an answer too; at a rate limit, waits and tries again.
async fn explore(client: &Client, asked: Question) -> Result<Result<Probe, NoProposal>, SourceError> {
    let first = client.ask(&asked).await?;
    let mut probe = match Probe::new(first, Redactor::new(client.credentials.secret(), &client.keyring)) {
        Ok(probe) => probe,
        Err(nothing) => return Ok(Err(nothing)),
    };
    let mut patience = MOST_WAITING;
    for _ in 0..MOST_REQUESTS {
        let Some(question) = probe.question() else { break };
        match client.ask(&question).await {
            Ok(answer) => probe.learn(Some(&answer)),
            // The same question comes again.
            Err(SourceError::Limit { wait: Some(wait), .. }) if wait <= patience => {
                patience -= wait;
                tokio::time::sleep(wait).await;
            }
            Err(error @ (SourceError::Limit { .. } | SourceError::DailyLimit { .. })) => return Err(error),
            Err(_) => probe.learn(None),
        }
    }
    Ok(Ok(probe))
}

/// Reads two pages with the section, as `check --connect` does, and returns what was found or what is wrong.
async fn try_out(inputs: &Inputs, section: &str) -> Result<String, (String, Advice, Exit)> {
    let cannot = |error: io::Error| (error.to_string(), Advice::on_io(&error), Exit::CannotWrite);
    let mut file = tempfile::NamedTempFile::new().map_err(cannot)?;
    file.write_all(section.as_bytes()).map_err(cannot)?;
    let mut environment: BTreeMap<String, String> = inputs.environment.clone();
    environment.retain(|name, _| !name.starts_with("SALES_PIPELINE_"));
    let inputs = Inputs { file: Some(file.path().to_owned()), environment, demo: false, ..inputs.clone() };
    let (config, report) = config::load(&inputs);
    let Some(config) = config else {
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        let told = problems.join("; ").replace(&*file.path().to_string_lossy(), "line");
        return Err((told, Advice::FixConfig, Exit::Config));
    };
    let jobs = app::jobs(&config, &inputs, &CancellationToken::new());
    match read_two_pages(&jobs).await {
        // The section may still be right.
        Err(error @ SourceError::Limit { .. }) => Ok(format!("the section was not tested: {}", in_one_line(&error))),
        Err(error) => Err((in_one_line(&error), error.advice(), Exit::of_source(&error))),
        Ok(told) => Ok(told),
    }
}

async fn read_two_pages(jobs: &Jobs) -> Result<String, SourceError> {
    let target = jobs.targets.values().next().expect("the section is a source");
    let (session, page, _) = first_page(target, jobs.pull_deadline, jobs.clock.now()).await?;
    let mut told = vec![format!("with this section the first page has {} records", page.fetched())];
    if let Some(next) = &page.next {
        let second = session.page(Some(next)).await?;
        if second.ids.iter().any(|id| page.ids.contains(id)) {
            return Err(SourceError::Paging("the second page contains records of the first".to_owned()));
        }
        told.push(format!("the second {} others", second.fetched()));
    }
    let findings = page.tally.findings.into_list();
    told.extend(findings.iter().map(|finding| format!("{} × {}: {}", finding.count, finding.field, finding.message)));
    Ok(told.join(", "))
}

/// Many servers distinguish a final slash.
fn hint_at_slash(error: &SourceError, url: &Url) -> String {
    match error {
        SourceError::Unexpected { status: 301 | 302 | 307 | 308, .. } if url.path().ends_with('/') => {
            " (it redirects: try the URL without the final slash)".to_owned()
        }
        SourceError::Unexpected { status: 301 | 302 | 307 | 308, .. } => {
            " (it redirects: try the URL with a final slash)".to_owned()
        }
        _ => String::new(),
    }
}
