//! `deals`: the deals of the last snapshots, to read or to export.

use std::io::{self, Write};

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::commands::exit::Exit;
use crate::commands::table::{self, Format, Lean, Output};
use crate::commands::targets::choose;
use crate::commands::{complain, load_or_demo};
use crate::config::Inputs;
use crate::model::money::Currency;
use crate::model::number;
use crate::store::format;
use crate::telemetry::in_one_line;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The sources to list [default: all]
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Another way to name a source
    #[arg(long = "source", value_name = "SOURCE")]
    more_sources: Vec<String>,
    /// List only deals in this stage; repeatable
    #[arg(long)]
    stage: Vec<String>,
    /// List only deals of this owner, a name or an id; repeatable
    #[arg(long)]
    owner: Vec<String>,
    /// List only deals with this status; repeatable
    #[arg(long, value_parser = ["open", "won", "lost"])]
    status: Vec<String>,
    /// List only open deals whose close date has passed
    #[arg(long)]
    overdue: bool,
    #[command(flatten)]
    output: Output,
}

/// The fields that filters, table and CSV read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Deal {
    id: String,
    name: Option<String>,
    company: Option<String>,
    stage: Option<String>,
    stage_id: Option<String>,
    pipeline: Option<String>,
    #[serde(with = "number::optional")]
    value: Option<Decimal>,
    currency: Option<Currency>,
    #[serde(with = "number::optional")]
    probability: Option<Decimal>,
    owner: Option<String>,
    owner_id: Option<String>,
    status: Option<String>,
    close_date: Option<NaiveDate>,
    created_at: Option<String>,
    updated_at: Option<String>,
    url: Option<String>,
}

impl Arguments {
    fn matches(&self, deal: &Deal, today: NaiveDate) -> bool {
        is_one_of(&self.stage, [&deal.stage, &deal.stage_id])
            && is_one_of(&self.owner, [&deal.owner, &deal.owner_id])
            && is_one_of(&self.status, [&deal.status, &None])
            && (!self.overdue || deal.is_overdue(today))
    }
}

fn is_one_of(wanted: &[String], found: [&Option<String>; 2]) -> bool {
    let matches = |wanted: &String| found.iter().any(|text| text.as_ref().is_some_and(|text| same(text, wanted)));
    wanted.is_empty() || wanted.iter().any(matches)
}

fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

impl Deal {
    fn is_overdue(&self, today: NaiveDate) -> bool {
        self.status.as_deref() == Some("open") && self.close_date.is_some_and(|day| day < today)
    }

    fn table_row(self, source: &str) -> Vec<String> {
        let value = self.value.map(|value| table::money(value, self.currency));
        let cells = [self.name.map(|text| table::cut(&text, 17)), self.stage.map(|text| table::cut(&text, 11)), value];
        let owner = self.owner.map(|text| table::cut(&text, 10));
        let close = self.close_date.map(|day| day.to_string());
        let rest = cells.into_iter().chain([owner, close]).map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
        [source.to_owned(), self.id].into_iter().chain(rest).collect()
    }

    fn csv_row(self, source: &str) -> Vec<String> {
        let text = Option::unwrap_or_default;
        vec![
            source.to_owned(),
            self.id,
            text(self.name),
            text(self.company),
            text(self.pipeline),
            text(self.stage),
            text(self.status),
            text(self.value.map(number::text)),
            text(self.currency.map(|currency| currency.to_string())),
            text(self.probability.map(number::text)),
            text(self.owner),
            text(self.close_date.map(|day| day.to_string())),
            text(self.created_at),
            text(self.updated_at),
            text(self.url),
        ]
    }
}

const CSV_HEADINGS: [&str; 15] = [
    "source",
    "id",
    "name",
    "company",
    "pipeline",
    "stage",
    "status",
    "value",
    "currency",
    "probability",
    "owner",
    "close_date",
    "created_at",
    "updated_at",
    "url",
];

pub(super) fn run(inputs: Inputs, arguments: &Arguments, out: &mut impl Write) -> io::Result<Exit> {
    let (inputs, config) = match load_or_demo(inputs) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let jobs = app::jobs(&config, &inputs, &CancellationToken::new());
    let wanted = [arguments.sources.as_slice(), &arguments.more_sources].concat();
    let targets = match choose(&jobs, &wanted) {
        Ok(targets) => targets,
        Err(exit) => return Ok(exit),
    };
    let today = jobs.clock.now().with_timezone(&config.prune_schedule.zone()).date_naive();
    let format = arguments.output.format();
    let mut rows = Vec::new();
    let mut found = 0_u64;
    for target in &targets {
        let newest = match jobs.newest(target) {
            Ok(newest) => newest,
            Err(error) => return Ok(complain(&in_one_line(&error), Some(error.advice()), Exit::CannotWrite)),
        };
        let Some(newest) = newest else { continue };
        let path = jobs.store.layout.snapshot(&target.place, newest.id);
        let source = target.name.as_str();
        let mut take = |lead: &RawValue| {
            let deal: Deal = serde_json::from_str(lead.get())?;
            if !arguments.matches(&deal, today) {
                return Ok(());
            }
            found += 1;
            match format {
                Format::Json => write_lead(source, lead, found == 1, out)?,
                Format::Csv => rows.push(deal.csv_row(source)),
                Format::Table => rows.push(deal.table_row(source)),
            }
            Ok(())
        };
        if let Err(error) = format::read(&path, &mut take) {
            if error.kind() == io::ErrorKind::BrokenPipe {
                return Err(error);
            }
            return Ok(complain(&format!("read `{}`: {error}", path.display()), None, Exit::CannotWrite));
        }
    }
    match format {
        Format::Json => writeln!(out, "{}", if found == 0 { "[]" } else { "\n]" })?,
        Format::Csv => table::write_csv(&CSV_HEADINGS, &rows, out)?,
        Format::Table => {
            let left = ["SOURCE", "ID", "NAME", "STAGE", "VALUE", "OWNER", "CLOSE DATE"];
            let lean = |heading| if heading == "VALUE" { Lean::Right } else { Lean::Left };
            let mut headings: Vec<(&str, Lean)> = left.into_iter().map(|heading| (heading, lean(heading))).collect();
            if targets.len() == 1 {
                headings.remove(0);
                for row in &mut rows {
                    row.remove(0);
                }
            }
            table::write(&headings, &rows, out)?;
            writeln!(out, "\n{found} {}", if found == 1 { "deal" } else { "deals" })?;
        }
    }
    Ok(Exit::Ok)
}

/// Writes a deal as the snapshot has it, with its source.
fn write_lead(source: &str, lead: &RawValue, is_first: bool, out: &mut impl Write) -> io::Result<()> {
    let fields = lead.get().trim_start().trim_start_matches('{');
    let before = if is_first { "[\n" } else { ",\n" };
    write!(out, "{before}  {{\"source\": \"{source}\", {fields}")
}
