//! `check --connect`: tries the sources for real, and shows what their fields hold, before the first run.

use std::io::{self, Write};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::time::timeout;

use crate::commands::complain;
use crate::commands::exit::Exit;
use crate::commands::table::{self, Lean};
use crate::http::{Clients, HttpError};
use crate::jobs::{Jobs, Target, names};
use crate::model::deal::{Deal, Status, UNTITLED};
use crate::model::finding::Finding;
use crate::model::snapshot::Head;
use crate::redact::Redactor;
use crate::secret::Keyring;
use crate::settings::Span;
use crate::sources::fetch::apply_scope;
use crate::sources::source::{Attempt, Cost, Mapped, Names, Opened, Page, Session, SourceError, Wanted};
use crate::telemetry::{Escaped, in_one_line};

/// How wide a sample is shown.
const SAMPLE: usize = 40;

/// One field over the first page.
#[derive(Debug, Default)]
struct Column {
    matched: u64,
    empty: u64,
    errors: u64,
    sample: String,
}

/// Asks each target for its first page and prints what came; the highest exit code of all.
pub(super) fn run(
    jobs: &Jobs,
    targets: &[Arc<Target>],
    keyring: &Keyring,
    clients: &Clients,
    out: &mut impl Write,
) -> io::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut exit = Exit::Ok;
    for target in targets {
        writeln!(out, "\n{} ({})", target.name, if target.built.demo { "invented deals" } else { "live" })?;
        out.flush()?;
        let answered = runtime.block_on(first_page(target, jobs.pull_deadline, jobs.clock.now()));
        let secrets = target.built.secrets.iter().map(|(_, secret)| secret);
        let mut redactor = Redactor::new(secrets, keyring);
        clients.taken().iter().for_each(|exchange| redactor.learn(&exchange.headers));
        match answered {
            Ok((session, page, names)) => write_page(jobs, target, (session.opened(), page, names), &redactor, out)?,
            Err(error) => {
                let what = format!("connect to `{}`: {}", target.name, in_one_line(&error));
                exit = exit.max(complain(&what, Some(error.advice()), Exit::of_source(&error)));
            }
        }
    }
    runtime.shutdown_background();
    Ok(exit)
}

/// The first page as a pull would take it.
pub(super) async fn first_page(
    target: &Target,
    deadline: Span,
    now: DateTime<Utc>,
) -> Result<(Box<dyn Session + '_>, Page, Names), SourceError> {
    let crm = &target.built.source;
    let asking = async {
        let session = crm.open(Attempt::First).await?;
        let page = session.page(None).await;
        session.close().await;
        let mut page = page?;
        apply_scope(&mut page, &target.built.scope, session.opened(), now, |_| ());
        let mut wanted = Wanted::default();
        page.deals.iter().for_each(|deal| wanted.add(deal));
        let mut names = Names::default();
        for piece in wanted.pieces(|table| crm.names_at_once(table)) {
            names.extend(session.names(&piece).await?);
        }
        Ok((session, page, names))
    };
    timeout(deadline.0, asking).await.unwrap_or(Err(SourceError::Http(HttpError::TimedOut(deadline))))
}

fn write_page(
    jobs: &Jobs,
    target: &Target,
    (opened, page, names): (&Opened, Page, Names),
    redactor: &Redactor,
    out: &mut impl Write,
) -> io::Result<()> {
    let account = redactor.text(opened.account.as_deref().unwrap_or("not told"));
    let currency = opened.currency.map_or_else(|| "not told".to_owned(), |currency| currency.to_string());
    let doubt = page.end.doubt().filter(|_| page.next.is_none()).map(ToOwned::to_owned);
    let more = match (&page.next, &doubt) {
        (Some(_), _) => "there are more",
        (None, Some(_)) => "perhaps all there are",
        (None, None) => "all there are",
    };
    writeln!(out, "  credentials  accepted")?;
    writeln!(out, "  account      {}, currency {currency}", Escaped(&account))?;
    let (came, left_out, skipped) = (page.fetched(), page.tally.filtered, page.tally.skipped.count);
    writeln!(
        out,
        "  first page   {came} records, {left_out} left out by the configuration, {skipped} skipped, {more}"
    )?;
    let last_good = jobs.newest(target).map_err(io::Error::other)?;
    let last_good = last_good.as_ref().map(|newest| newest.head.as_ref());
    writeln!(out, "  cost         {}", cost(opened.cost, last_good))?;
    if let (Some(now), Some(before)) = (&opened.account, last_good.and_then(|head| head.account.as_ref()))
        && now != before
    {
        writeln!(
            out,
            "  warning      the last good snapshot is of account {}: the next pull is held",
            Escaped(before)
        )?;
    }
    let absent = page.tally.rule_paths.absent().filter(|_| came > 0);
    let absent: Vec<String> =
        absent.map(|(key, place)| format!("`{key}` goes by `{place}`, which is in no record")).collect();
    if let Some(standing) = standing(&page.deals) {
        writeln!(out, "  status       {standing}")?;
    }
    for warning in opened.warnings.iter().chain(&doubt).chain(&absent) {
        writeln!(out, "  warning      {}", Escaped(&redactor.text(warning)))?;
    }
    let mapping = target.built.source.mapping();
    if mapping.is_empty() { Ok(()) } else { write_fields(&mapping, page, &names, redactor, out) }
}

/// How many deals are open, won and lost; `None` where none has a status.
fn standing(deals: &[Deal]) -> Option<String> {
    let of = |status: Status| deals.iter().filter(|deal| deal.status == Some(status)).count();
    let (open, won, lost) = (of(Status::Open), of(Status::Won), of(Status::Lost));
    (open + won + lost > 0).then(|| format!("{open} open, {won} won, {lost} lost"))
}

/// What a run costs: by the source's own reckoning, else as the last one did.
fn cost(told: Option<Cost>, last_good: Option<&Head>) -> String {
    let last = last_good.and_then(|head| head.run.as_ref()).map(|run| run.requests);
    match (told, last) {
        (Some(Cost { requests, tokens, daily_limit }), _) => {
            let spends = tokens.map(|tokens| format!(", {tokens} tokens")).unwrap_or_default();
            let limit = daily_limit.filter(|limit| *limit > 0);
            let share = limit.map(|limit| share_of_day(tokens.unwrap_or(requests), limit)).unwrap_or_default();
            format!("{requests} requests a run{spends}{share}")
        }
        (None, Some(requests)) => format!("{requests} requests in the last run"),
        (None, None) => "known after the first pull".to_owned(),
    }
}

fn share_of_day(part: u64, limit: u64) -> String {
    let share = 100.0 * as_share(part, limit);
    let share = if share < 0.01 { "under 0.01".to_owned() } else { format!("{share:.2}") };
    format!(", {share} % of the {limit} a day")
}

#[expect(clippy::cast_precision_loss, reason = "a share for people, two decimals of a per cent")]
fn as_share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn write_fields(
    mapping: &[Mapped],
    mut page: Page,
    names: &Names,
    redactor: &Redactor,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut leads: Vec<Value> = Vec::with_capacity(page.deals.len());
    for deal in &page.deals {
        let record = names::record(deal)?;
        let lead = serde_json::from_slice(&names::lead(&record, names, &mut page.tally.findings)?)?;
        // A server may send back what it was sent, and a sample is shown to people.
        leads.push(redactor.value(&lead));
    }
    let (findings, records) = (page.tally.findings.into_list(), page.deals.len());
    let headings = [
        ("  FIELD", Lean::Left),
        ("FROM", Lean::Left),
        ("MATCHED", Lean::Right),
        ("NULL", Lean::Right),
        ("CAST ERRORS", Lean::Right),
        ("SAMPLE", Lean::Left),
    ];
    let rows: Vec<Vec<String>> = mapping.iter().map(|mapped| row(mapped, &leads, &findings)).collect();
    writeln!(out)?;
    table::write(&headings, &rows, out)?;
    for finding in findings.iter().filter(|finding| !finding.rule.is_cast()) {
        let Finding { rule, field, message, count, .. } = finding;
        writeln!(out, "  {rule:?} {}: {message}, in {count} deals", Escaped(field))?;
    }
    for ((field, why), count) in &page.tally.missing_paths.0 {
        writeln!(out, "  {}: {}, in {count} of {records} deals", Escaped(field), Escaped(why))?;
    }
    Ok(())
}

fn row(mapped: &Mapped, leads: &[Value], findings: &[Finding]) -> Vec<String> {
    let mut column = Column::default();
    for lead in leads {
        let value = field(lead, &mapped.field);
        if value.is_null() || value == UNTITLED {
            column.empty += 1;
        } else {
            column.matched += 1;
            if column.sample.is_empty() {
                column.sample = sample(value);
            }
        }
    }
    let is_cast = |finding: &&Finding| finding.field == mapped.field && finding.rule.is_cast();
    column.errors = findings.iter().filter(is_cast).map(|finding| finding.count).sum();
    vec![
        format!("  {}", mapped.field),
        mapped.from.clone(),
        column.matched.to_string(),
        column.empty.to_string(),
        column.errors.to_string(),
        column.sample,
    ]
}

fn field<'a>(lead: &'a Value, name: &str) -> &'a Value {
    match name.strip_prefix("custom.") {
        Some(custom) => &lead["custom"][custom],
        None => &lead[name],
    }
}

fn sample(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let shown = Escaped(&text).to_string();
    if shown.chars().count() > SAMPLE { shown.chars().take(SAMPLE - 1).chain(['…']).collect() } else { shown }
}
