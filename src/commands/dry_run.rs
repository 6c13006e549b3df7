//! `pull --dry-run`: a few deals as they would be written, beside the records they are made of; nothing is written.

use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::commands::exchange;
use crate::commands::exit::Exit;
use crate::commands::table::{self, Lean};
use crate::commands::targets::choose;
use crate::commands::{complain, load};
use crate::config::Inputs;
use crate::http::{Clients, Exchange, HttpError};
use crate::jobs::{Jobs, Target, names};
use crate::model::deal::Deal;
use crate::model::finding::{Finding, Findings};
use crate::model::ordered::Ordered;
use crate::redact::Redactor;
use crate::sources::fetch::apply_scope;
use crate::sources::raw;
use crate::sources::source::{Attempt, Names, Opened, Page, Session, SourceError, Wanted};
use crate::telemetry::{Escaped, in_one_line};

/// How many pages are read in search of deals that the configuration wants.
const MOST_PAGES: u64 = 10;
/// How wide a mapped value and a line of a record are shown, in characters.
const WIDEST: usize = 48;
/// How many lines of a record are shown.
const TALLEST: usize = 60;
/// How many objects of a record that stand in each other are shown in lines of their own.
const DEEPEST: usize = 12;

#[derive(Debug, clap::Args)]
pub(super) struct DryRun {
    /// Write nothing: show a few deals as they would be written, beside the records they are made of
    ///
    /// One thing is kept: a refresh token that the CRM gives in place of the one it was asked with, which is void by then.
    #[arg(long = "dry-run", id = "dry_run")]
    pub(super) is_wanted: bool,
    /// How many deals are shown of each source [default: 5]
    #[arg(long, value_name = "N", requires = "dry_run", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    limit: Option<u64>,
    /// Also show each request and its answer's size, on stderr, secrets as ***
    #[arg(long, requires = "dry_run")]
    show_http: bool,
    /// How to print the deals
    #[arg(long, value_enum, default_value_t = Format::Table, requires = "dry_run")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Columns for people
    Table,
    /// A list of objects, one a source
    Json,
}

/// What the first pages of a source hold.
#[derive(Serialize)]
struct Sample {
    source: String,
    demo: bool,
    pages: u64,
    fetched: u64,
    filtered: u64,
    skipped: u64,
    /// Whether the list goes on.
    more: bool,
    /// Why it may go on all the same, where nothing says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<String>,
    deals: Vec<Shown>,
    findings: Vec<Finding>,
    #[serde(skip)]
    mapped: Vec<String>,
}

/// A deal as it would be written, and the record it is made of.
#[derive(Serialize)]
struct Shown {
    deal: Box<RawValue>,
    /// `None` where the record came in no JSON.
    raw: Option<Box<RawValue>>,
}

pub(super) fn run(inputs: &Inputs, arguments: &DryRun, sources: &[String], out: &mut impl Write) -> io::Result<Exit> {
    let clients = Clients::recording();
    let inputs = Inputs { clients: Arc::clone(&clients), ..inputs.clone() };
    let config = match load(&inputs) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let jobs = app::jobs(&config, &inputs, &CancellationToken::new());
    // A refresh token that the CRM replaces is kept.
    if let Err(error) = jobs.store.refuse_foreign() {
        return Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite));
    }
    let targets = match choose(&jobs, sources) {
        Ok(targets) => targets,
        Err(exit) => return Ok(exit),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut exit, mut samples) = (Exit::Ok, Vec::new());
    for target in &targets {
        let secrets = target.built.secrets.iter().map(|(_, secret)| secret);
        let redactor = Redactor::new(secrets, &config.keyring);
        let mut watch = Watch { clients: &clients, redactor, show: arguments.show_http };
        let limit = usize::try_from(arguments.limit.unwrap_or(5)).unwrap_or(usize::MAX);
        match runtime.block_on(sample(&jobs, target, limit, &mut watch))? {
            Ok(sample) if arguments.format == Format::Table => write_sample(&sample, out)?,
            Ok(sample) => samples.push(sample),
            Err(error) => {
                out.flush()?;
                let what = format!("try `{}`: {}", target.name, in_one_line(&error));
                exit = exit.max(complain(&what, Some(error.advice()), Exit::of_source(&error)));
            }
        }
    }
    if arguments.format == Format::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(&samples)?)?;
    }
    runtime.shutdown_background();
    Ok(exit)
}

/// Looks at what is exchanged while a source works.
struct Watch<'a> {
    clients: &'a Clients,
    redactor: Redactor,
    show: bool,
}

impl Watch<'_> {
    /// Does one step, and hands over its answer with what was exchanged for it.
    async fn step<T>(
        &mut self,
        asking: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<(T, Vec<Exchange>), SourceError> {
        let answer = asking.await;
        let exchanges = self.clients.taken();
        for exchange in &exchanges {
            self.redactor.learn(&exchange.headers);
        }
        if self.show {
            let mut err = io::stderr().lock();
            // Nobody is left to tell where even stderr is closed.
            for exchange in &exchanges {
                let _ = write!(err, "{}", exchange::shown(exchange, &self.redactor));
            }
        }
        Ok((answer?, exchanges))
    }
}

/// Reads pages until there are enough deals, and their names.
async fn sample(
    jobs: &Jobs,
    target: &Target,
    limit: usize,
    watch: &mut Watch<'_>,
) -> io::Result<Result<Sample, SourceError>> {
    let mut reading = Reading::new(jobs, target);
    let deadline = jobs.pull_deadline;
    match timeout(deadline.0, reading.read(limit, watch)).await {
        Ok(Ok(names)) => reading.into_sample(&names, limit, &watch.redactor).map(Ok),
        Ok(Err(error)) => Ok(Err(error)),
        Err(_) => Ok(Err(SourceError::Http(HttpError::TimedOut(deadline)))),
    }
}

/// A few pages, while they are read.
struct Reading<'a> {
    jobs: &'a Jobs,
    target: &'a Target,
    sample: Sample,
    deals: Vec<(Deal, Option<Box<RawValue>>)>,
    findings: Findings,
    /// What was exchanged for the step before: it may have brought the next page along.
    before: Vec<Exchange>,
}

impl<'a> Reading<'a> {
    fn new(jobs: &'a Jobs, target: &'a Target) -> Self {
        let sample = Sample {
            source: target.name.to_string(),
            demo: target.built.demo,
            pages: 0,
            fetched: 0,
            filtered: 0,
            skipped: 0,
            more: false,
            doubt: None,
            deals: Vec::new(),
            findings: Vec::new(),
            mapped: target.built.source.mapping().into_iter().map(|mapped| mapped.field).collect(),
        };
        Self { jobs, target, sample, deals: Vec::new(), findings: Findings::default(), before: Vec::new() }
    }

    async fn read(&mut self, limit: usize, watch: &mut Watch<'_>) -> Result<Names, SourceError> {
        let crm = &self.target.built.source;
        let (session, exchanges) = watch.step(crm.open(Attempt::First)).await?;
        self.before = exchanges;
        let read = self.read_pages(session.as_ref(), limit, watch).await;
        let closed = async {
            session.close().await;
            Ok(())
        };
        watch.step(closed).await?;
        read?;
        self.deals.truncate(limit);
        let mut wanted = Wanted::default();
        self.deals.iter().for_each(|(deal, _)| wanted.add(deal));
        let mut names = Names::default();
        for piece in wanted.pieces(|table| crm.names_at_once(table)) {
            names.extend(watch.step(session.names(&piece)).await?.0);
        }
        Ok(names)
    }

    async fn read_pages(
        &mut self,
        session: &dyn Session,
        limit: usize,
        watch: &mut Watch<'_>,
    ) -> Result<(), SourceError> {
        let mut after: Option<String> = None;
        loop {
            let (page, exchanges) = watch.step(session.page(after.as_deref())).await?;
            after.clone_from(&page.next);
            self.sample.more = after.is_some();
            if after.is_none() {
                self.sample.doubt = page.end.doubt().map(ToOwned::to_owned);
            }
            self.take(page, session.opened(), exchanges);
            if after.is_none() || self.deals.len() >= limit || self.sample.pages == MOST_PAGES {
                return Ok(());
            }
        }
    }

    fn take(&mut self, mut page: Page, opened: &Opened, exchanges: Vec<Exchange>) {
        let now = self.jobs.clock.now();
        let fetched = page.fetched();
        apply_scope(&mut page, &self.target.built.scope, opened, now, |_| ());
        self.sample.pages += 1;
        self.sample.fetched += fetched;
        self.sample.skipped += page.tally.skipped.count;
        self.sample.filtered += page.tally.filtered;
        self.findings.merge(page.tally.findings);
        let both = exchanges.iter().chain(&self.before);
        let answers: Vec<&str> = both.filter_map(|exchange| std::str::from_utf8(&exchange.body).ok()).collect();
        let ids: Vec<&str> = page.deals.iter().map(|deal| deal.id.as_str()).collect();
        let mut records = raw::behind(&ids, &answers);
        for deal in page.deals {
            let record = records.remove(&deal.id);
            self.deals.push((deal, record));
        }
        self.before = exchanges;
    }

    fn into_sample(mut self, names: &Names, limit: usize, redactor: &Redactor) -> io::Result<Sample> {
        for (deal, record) in self.deals.into_iter().take(limit) {
            let lead = names::record(&deal)?;
            let lead = names::lead(&lead, names, &mut self.findings)?;
            let lead = String::from_utf8(lead.into_owned()).map_err(io::Error::other)?;
            let deal = redactor.json(&RawValue::from_string(lead)?);
            self.sample.deals.push(Shown { deal, raw: record.map(|record| redactor.json(&record)) });
        }
        self.sample.findings = self.findings.into_list();
        for id in self.sample.findings.iter_mut().flat_map(|finding| &mut finding.sample_ids) {
            *id = redactor.text(id);
        }
        Ok(self.sample)
    }
}

fn write_sample(sample: &Sample, out: &mut impl Write) -> io::Result<()> {
    let Sample { pages, fetched, filtered, skipped, .. } = sample;
    let source = Escaped(&sample.source);
    writeln!(out, "{source} ({}): nothing is written", if sample.demo { "invented deals" } else { "live" })?;
    let of = if *pages == 1 { "the first page".to_owned() } else { format!("the first {pages} pages") };
    let more = match (sample.more, &sample.doubt) {
        (true, _) => "there are more".to_owned(),
        (false, Some(doubt)) => format!("perhaps all there are: {}", Escaped(doubt)),
        (false, None) => "all there are".to_owned(),
    };
    writeln!(out, "  {of}: {fetched} records, {filtered} filtered, {skipped} skipped; {more}")?;
    for (index, shown) in sample.deals.iter().enumerate() {
        writeln!(out, "\ndeal {} of {}", index + 1, sample.deals.len())?;
        write_deal(shown, &sample.mapped, out)?;
    }
    if !sample.findings.is_empty() {
        writeln!(out)?;
    }
    for finding in &sample.findings {
        let ids = finding.sample_ids.join(", ");
        writeln!(
            out,
            "{} × {}: {} ({})",
            finding.count,
            finding.field,
            finding.message,
            cut(&Escaped(&ids).to_string())
        )?;
    }
    writeln!(out)
}

/// The fields on the left, the record's lines on the right.
fn write_deal(shown: &Shown, mapped: &[String], out: &mut impl Write) -> io::Result<()> {
    let fields = fields(&shown.deal, mapped)?;
    let lines = shown.raw.as_deref().map(lines).transpose()?.unwrap_or_default();
    let nothing = (String::new(), String::new());
    let rows: Vec<Vec<String>> = (0..fields.len().max(lines.len()))
        .map(|row| {
            let (field, value) = fields.get(row).unwrap_or(&nothing);
            let line = lines.get(row).map_or("", String::as_str);
            vec![format!("  {field}"), cut(value), cut(line)]
        })
        .collect();
    let raw = if shown.raw.is_some() { "RECORD" } else { "" };
    table::write(&[("  FIELD", Lean::Left), ("MAPPED", Lean::Left), (raw, Lean::Left)], &rows, out)
}

/// The deal's fields in the file's order: those that hold something, and the mapped ones that do not.
fn fields(deal: &RawValue, mapped: &[String]) -> io::Result<Vec<(String, String)>> {
    let Ordered(members) = serde_json::from_str::<Ordered<&RawValue>>(deal.get())?;
    let mut fields = Vec::new();
    for (key, value) in members {
        if key == "custom" {
            let Ordered(custom) = serde_json::from_str::<Ordered<&RawValue>>(value.get())?;
            fields.extend(custom.into_iter().map(|(key, value)| (format!("custom.{key}"), plain(value))));
        } else if value.get() != "null" || mapped.contains(&key) {
            fields.push((key, plain(value)));
        }
    }
    Ok(fields)
}

/// A value as people write it: a text without its quotes.
fn plain(value: &RawValue) -> String {
    serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

/// A record in lines, every number as it came.
fn lines(record: &RawValue) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    indent(record, 0, "", &mut lines)?;
    if lines.len() > TALLEST {
        lines.truncate(TALLEST);
        lines.push("… more lines (--format json has them)".to_owned());
    }
    Ok(lines)
}

/// Adds the lines of a value, but no more than are shown: a record may be of any depth and length.
fn indent(value: &RawValue, depth: usize, before: &str, lines: &mut Vec<String>) -> io::Result<()> {
    if lines.len() > TALLEST {
        return Ok(());
    }
    let (text, indentation) = (value.get(), "  ".repeat(depth));
    let is_short = text.len() + before.len() + indentation.len() <= WIDEST;
    if !text.starts_with('{') || is_short || depth == DEEPEST {
        lines.push(cut(&format!("{indentation}{before}{}", beginning(text))));
        return Ok(());
    }
    lines.push(format!("{indentation}{before}{{"));
    for (key, value) in serde_json::from_str::<Ordered<&RawValue>>(text)?.0 {
        let before = format!("{}: ", serde_json::to_string(&key)?);
        indent(value, depth + 1, &before, lines)?;
    }
    lines.push(format!("{indentation}}}"));
    Ok(())
}

/// As much of a text as can be shown, and a little more, so that it is seen to be cut.
fn beginning(text: &str) -> &str {
    text.char_indices().nth(WIDEST + 1).map_or(text, |(end, _)| &text[..end])
}

fn cut(text: &str) -> String {
    if text.chars().count() > WIDEST { text.chars().take(WIDEST - 1).chain(['…']).collect() } else { text.to_owned() }
}
