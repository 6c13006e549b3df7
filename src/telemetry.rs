//! Logs: text on a terminal, JSON otherwise, always on stderr.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt as format};

/// How much of a text from a CRM a log line shows, in characters.
const EXCERPT: usize = 200;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, else JSON
    Auto,
    /// Text
    Text,
    /// One JSON object a line
    Json,
}

/// Whether to print colors: on a terminal, unless `NO_COLOR` has a value or `TERM` is `dumb`.
pub fn wants_colors(is_terminal: bool) -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    is_terminal && !is_dumb && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Reads `level` or `target=level,…`. A word that is not a level is an error, not the name of a target.
fn parse_filter(text: &str) -> Result<Targets, String> {
    let wrong = || {
        format!(
            "SALES_PIPELINE_LOG: `{text}` is not a level (error, warn, info, debug, trace, off) or `target=level,…`"
        )
    };
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        level.parse::<LevelFilter>().map_err(|_| wrong())?;
    }
    text.parse::<Targets>().map_err(|_| wrong())
}

/// Starts logging at `level`, or as `filter` (`SALES_PIPELINE_LOG`) says.
pub fn start(filter: Option<&str>, level: LevelFilter, form: LogFormat) -> Result<(), String> {
    let targets = match filter.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => parse_filter(text)?,
        // The scheduler library logs its own housekeeping.
        None => Targets::new().with_default(level).with_target("tokio_cron_scheduler", LevelFilter::ERROR),
    };
    let is_terminal = io::stderr().is_terminal();
    let layer = if form == LogFormat::Text || (form == LogFormat::Auto && is_terminal) {
        format::layer().with_writer(io::stderr).with_ansi(wants_colors(is_terminal)).with_target(false).boxed()
    } else {
        format::layer().with_writer(io::stderr).json().flatten_event(true).with_span_list(false).boxed()
    };
    // In tests, logging may have started before.
    let _ = tracing_subscriber::registry().with(layer.with_filter(targets)).try_init();
    Ok(())
}

/// An error with its causes, in one line.
pub fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // A transparent error says what its cause says.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// A text from outside, fit for one line: control and direction characters escaped, cut to 200 characters.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, character) in self.0.chars().enumerate() {
            if index == EXCERPT {
                return formatter.write_char('…');
            }
            if character.is_control() || is_direction(character) {
                write!(formatter, "{}", character.escape_unicode())?;
            } else {
                formatter.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// The invisible characters that turn a line around, and the separators some terminals break lines at.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::{Escaped, parse_filter};

    #[test]
    fn a_filter_of_an_unknown_word_is_refused() {
        assert!(parse_filter("foo").is_err() && parse_filter("a=loud").is_err());
        assert!(parse_filter("debug").is_ok() && parse_filter("info,hyper=off").is_ok());
    }

    #[test]
    fn a_deal_name_cannot_forge_a_log_line_or_colour_a_terminal() {
        let hostile = "Deal\n2026-11-22 ERROR all lost \u{1b}[31m\u{202e}";
        let shown = Escaped(hostile).to_string();
        assert!(!shown.contains('\n') && !shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
        assert!(Escaped(&"x".repeat(1_000)).to_string().chars().count() == 201);
    }
}
