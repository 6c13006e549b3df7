//! Logs: text on a terminal, JSON otherwise, always on stderr.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt as format};

/// How much of a text from a CRM a log line shows, in characters.
const EXCERPT: usize = 200;

/// Starts logging. `filter` is `level` or `target=level,…` (`SALES_PIPELINE_LOG`), default `default`; one that
/// cannot be read is said and passed over.
pub fn start(filter: Option<&str>, default: LevelFilter) {
    // The scheduler library narrates its own housekeeping.
    let usual = Targets::new().with_default(default).with_target("tokio_cron_scheduler", LevelFilter::ERROR);
    let (targets, refused) = match filter.map(str::parse::<Targets>) {
        Some(Ok(targets)) => (targets, false),
        Some(Err(_)) => (usual, true),
        None => (usual, false),
    };
    let layer = if io::stderr().is_terminal() {
        let colours = std::env::var_os("NO_COLOR").is_none();
        format::layer().with_writer(io::stderr).with_ansi(colours).with_target(false).boxed()
    } else {
        format::layer().with_writer(io::stderr).json().flatten_event(true).with_span_list(false).boxed()
    };
    // A second start is a test's; the first one stays.
    let _ = tracing_subscriber::registry().with(layer.with_filter(targets)).try_init();
    if refused {
        tracing::warn!("SALES_PIPELINE_LOG is not `level` or `target=level,…`; logging at {default}");
    }
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
    use super::Escaped;

    #[test]
    fn a_deal_name_cannot_forge_a_log_line_or_colour_a_terminal() {
        let hostile = "Deal\n2026-11-22 ERROR all lost \u{1b}[31m\u{202e}";
        let shown = Escaped(hostile).to_string();
        assert!(!shown.contains('\n') && !shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
        assert!(Escaped(&"x".repeat(1_000)).to_string().chars().count() == 201);
    }
}
