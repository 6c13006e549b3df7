//! Tables for people, and how figures and ages are written in them.

use std::borrow::Cow;
use std::io::{self, Write};

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use crate::model::money::Currency;
use crate::model::number;
use crate::telemetry::Escaped;

/// The options of every command that prints a table.
#[derive(Debug, clap::Args)]
pub(super) struct Output {
    /// Choose how to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print JSON, the same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl Output {
    pub(super) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Columns for people
    Table,
    /// JSON
    Json,
    /// Comma-separated values with a heading
    Csv,
}

/// Writes comma-separated values; no cell is a formula for a spreadsheet.
pub(super) fn write_csv(headings: &[&str], rows: &[Vec<String>], out: &mut impl Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(headings)?;
    for row in rows {
        table.write_record(row.iter().map(|cell| defused(cell).into_owned()))?;
    }
    table.flush()
}

/// A leading apostrophe, unless the text is a number or cannot be a formula.
fn defused(text: &str) -> Cow<'_, str> {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<Decimal>().is_err();
    if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The first `width` characters.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

/// Which way a column leans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lean {
    Left,
    Right,
}

/// Writes rows under their headings, columns as wide as they need.
pub(super) fn write(headings: &[(&str, Lean)], rows: &[Vec<String>], out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| Escaped(cell).to_string()).collect()).collect();
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, (heading, _))| {
            rows.iter().map(|row| row[column].chars().count()).chain([heading.len()]).max().unwrap_or(0)
        })
        .collect();
    let heading: Vec<String> = headings.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    for row in std::iter::once(&heading).chain(&rows) {
        let cells = row.iter().zip(&widths).zip(headings).map(|((cell, width), (_, lean))| match lean {
            Lean::Left => format!("{cell:<width$}"),
            Lean::Right => format!("{cell:>width$}"),
        });
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// An amount with its currency, in groups of three digits: `462,000.00 USD`.
pub(super) fn money(amount: Decimal, currency: Option<Currency>) -> String {
    let Some(currency) = currency else { return number::text(amount) };
    let digits = currency.minor_digits() as usize;
    let text = format!("{:.digits$}", currency.round(amount));
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut grouped = String::new();
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{fraction} {currency}")
}

/// How long ago, in the largest unit that fits: `3 h`, `2 d`.
pub(super) fn age(since: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let age = now - since;
    if age < TimeDelta::zero() {
        "in the future".to_owned()
    } else if age < TimeDelta::minutes(2) {
        format!("{} s", age.num_seconds())
    } else if age < TimeDelta::hours(2) {
        format!("{} min", age.num_minutes())
    } else if age < TimeDelta::days(2) {
        format!("{} h", age.num_hours())
    } else {
        format!("{} d", age.num_days())
    }
}

/// An instant to the second, UTC.
pub(super) fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_csv_is_never_a_formula() {
        for (text, written) in
            [("=1+1", "'=1+1"), ("@a", "'@a"), ("-5.0", "-5.0"), ("-a", "'-a"), ("\tx", "'\tx"), ("a=", "a=")]
        {
            assert_eq!(defused(text), written);
        }
    }

    #[test]
    fn money_is_grouped_and_has_its_currencys_decimals() {
        let eur = "EUR".parse().ok();
        for (amount, currency, shown) in [
            ("1234567.5", eur, "1,234,567.50 EUR"),
            ("-999", eur, "-999.00 EUR"),
            ("1000", "JPY".parse().ok(), "1,000 JPY"),
            ("0.5", None, "0.5"),
        ] {
            assert_eq!(money(amount.parse().unwrap(), currency), shown);
        }
    }
}
