//! How a column writes dates, if it does.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use rust_decimal::Decimal;

use crate::model::number;
use crate::sources::probe::records::{Column, Leaf};
use crate::sources::probe::section::{Line, inline, quoted};

/// How dates are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// ISO 8601: no cast is needed.
    Iso,
    /// The same without a zone.
    Local,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// By a pattern.
    Pattern(&'static str),
}

/// Day and month in figures, with the patterns that read them; the first that reads all of a column.
const PATTERNS: [&str; 8] = [
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%Y%m%d",
];

/// Seconds of the years 1990 to 2100: numbers beyond are something else.
const SECONDS: (u64, u64) = (631_152_000, 4_102_444_800);

/// How all values of the column are dates; `None` if they are not.
pub(super) fn kind(column: &Column) -> Option<Kind> {
    let is_all = |test: &dyn Fn(&str) -> bool| column.is_all(|leaf| test(leaf.text()));
    let in_texts = |test: &dyn Fn(&str) -> bool| column.is_text() && is_all(test);
    let within = |text: &str, factor: u64| {
        let (least, most) = (Decimal::from(SECONDS.0 * factor), Decimal::from(SECONDS.1 * factor));
        number::exact(text).is_some_and(|number| (least..most).contains(&number))
    };
    if in_texts(&|text| is_instant(text) || is_day(text)) {
        Some(Kind::Iso)
    } else if in_texts(&|text| is_instant(text) || is_day(text) || is_local(text)) {
        Some(Kind::Local)
    } else if column.is_all(|leaf| !matches!(leaf, Leaf::Bool(_))) && is_all(&|text| within(text, 1)) {
        Some(Kind::Seconds)
    } else if is_all(&|text| within(text, 1_000)) {
        Some(Kind::Milliseconds)
    } else {
        PATTERNS.iter().find(|pattern| in_texts(&|text| reads(pattern, text))).map(|pattern| Kind::Pattern(pattern))
    }
}

/// Whether the column holds dates whatever its name; numbers could be anything.
pub(super) fn is_certain(column: &Column) -> bool {
    matches!(kind(column), Some(Kind::Iso | Kind::Local | Kind::Pattern(_)))
}

fn is_instant(text: &str) -> bool {
    DateTime::parse_from_rfc3339(text).is_ok() || DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z").is_ok()
}

fn is_day(text: &str) -> bool {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

fn is_local(text: &str) -> bool {
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .any(|pattern| NaiveDateTime::parse_from_str(text, pattern).is_ok())
}

fn reads(pattern: &str, text: &str) -> bool {
    NaiveDate::parse_from_str(text, pattern).is_ok() || NaiveDateTime::parse_from_str(text, pattern).is_ok()
}

/// The line of a field of dates.
pub(super) fn line(field: &'static str, column: &Column) -> Option<Line> {
    let with =
        |key: &str, text: &str| inline(&[("path".to_owned(), column.path.clone()), (key.to_owned(), text.to_owned())]);
    let reason = column.reason();
    Some(match kind(column)? {
        Kind::Iso => Line::new(field, quoted(&column.path), reason),
        Kind::Local => {
            let reason = format!("{reason}; read as UTC, else add timezone = \"Europe/Berlin\"");
            Line::new(field, with("timezone", "UTC"), reason)
        }
        Kind::Seconds => Line::new(field, with("cast", "epoch_s"), format!("{reason}: seconds since 1970")),
        Kind::Milliseconds => Line::new(field, with("cast", "epoch_ms"), format!("{reason}: milliseconds since 1970")),
        Kind::Pattern(pattern) if is_ambiguous(column, pattern) => {
            let reason = format!("{reason}; day or month first: \"%d/%m/%Y\" or \"%m/%d/%Y\"?");
            Line::question(field, with("format", pattern), reason)
        }
        Kind::Pattern(pattern) => Line::new(field, with("format", pattern), reason),
    })
}

/// Whether every value could be read with day and month swapped.
fn is_ambiguous(column: &Column, pattern: &str) -> bool {
    let changed = pattern.replace("%d/%m/", "%m/%d/");
    changed != pattern && column.is_all(|leaf| reads(&changed, leaf.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(texts: &[&str]) -> Column {
        let values = texts.iter().map(|text| Leaf::Text((*text).to_owned())).collect();
        Column { path: "$.at".to_owned(), name: "at".to_owned(), values, records: texts.len() }
    }

    #[test]
    fn dates_are_known_by_how_all_of_them_are_written() {
        for (texts, expected) in [
            (["2026-01-31T10:00:00.123Z", "2026-01-31"], Some(Kind::Iso)),
            (["2026-01-31T10:00:00+0100", ""], Some(Kind::Iso)),
            (["2026-01-31 10:00:00", "2026-01-31"], Some(Kind::Local)),
            (["1700000000", "1700000001"], Some(Kind::Seconds)),
            (["1700000000123", "1700000001123"], Some(Kind::Milliseconds)),
            (["31.01.2026", "01.02.2026"], Some(Kind::Pattern("%d.%m.%Y"))),
            (["01/31/2026", "02/01/2026"], Some(Kind::Pattern("%m/%d/%Y"))),
            (["2026-01-31", "soon"], None),
            (["7", "8"], None),
            (["", ""], None),
        ] {
            assert_eq!(kind(&column(&texts)), expected, "{texts:?}");
        }
    }

    #[test]
    fn a_date_whose_day_could_be_its_month_is_a_question() {
        let told = |texts: &[&str]| line("close_date", &column(texts)).unwrap().text(0);
        assert!(told(&["01/02/2026", "03/04/2026"]).starts_with("# close_date = "));
        assert!(
            told(&["01/02/2026", "30/04/2026"]).starts_with("close_date = { path = \"$.at\", format = \"%d/%m/%Y\" }")
        );
    }
}
