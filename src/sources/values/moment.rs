//! Dates and times in the texts that CRMs send: ISO 8601 and its variants, patterns, and seconds since 1970.

use std::fmt::Write;

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, de};

/// A zone by its name in the IANA database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zone(pub(crate) Tz);

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map(Self).map_err(|_| de::Error::custom("expected a time zone such as `Europe/Berlin`"))
    }
}

/// A pattern of strftime's letters.
#[derive(Debug, Clone)]
pub(crate) struct Format(Vec<Item<'static>>);

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = String::deserialize(deserializer)?;
        let items = StrftimeItems::new(&pattern).parse_to_owned();
        let format = items.map(Self).map_err(|_| de::Error::custom("expected a pattern such as `%d.%m.%Y %H:%M`"))?;
        if format.names_a_day() {
            Ok(format)
        } else {
            Err(de::Error::custom(
                "the pattern lacks the day, month or year, so it gives no date; for instance `%d.%m.%Y`",
            ))
        }
    }
}

impl Format {
    /// Whether what it writes can be read as a date again. A pattern that can only be read counts as one.
    fn names_a_day(&self) -> bool {
        let some_day = DateTime::<Utc>::from_timestamp(1_767_225_600, 0).expect("it is a day of 2026");
        let mut text = String::new();
        write!(text, "{}", some_day.format_with_items(self.0.iter())).is_err() || by_pattern(&text, self).is_some()
    }
}

/// A point in time as a text gives it: an instant, a local time without a zone, or a day.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Instant(DateTime<Utc>),
    Local(NaiveDateTime),
    Day(NaiveDate),
}

pub(crate) fn epoch(number: Decimal, per_second: Decimal) -> Option<Moment> {
    let nanoseconds = number.checked_mul(Decimal::from(1_000_000_000) / per_second)?.trunc().to_i128()?;
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    let rest = u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).ok()?;
    DateTime::from_timestamp(seconds, rest).map(Moment::Instant)
}

/// RFC 3339 with any number of decimals, and what CRMs make of it: offsets without a colon, no offset, no seconds, no time.
pub(crate) fn iso(text: &str) -> Option<Moment> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(Moment::Instant(without_leap_second(instant.to_utc())));
    }
    let instant = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"]
        .iter()
        .find_map(|pattern| DateTime::parse_from_str(text, pattern).ok());
    if let Some(instant) = instant {
        return Some(Moment::Instant(without_leap_second(instant.to_utc())));
    }
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|pattern| NaiveDateTime::parse_from_str(text, pattern).ok());
    local.map(Moment::Local).or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(Moment::Day))
}

pub(crate) fn by_pattern(text: &str, format: &Format) -> Option<Moment> {
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, format.0.iter()).ok()?;
    if let Ok(instant) = parsed.to_datetime() {
        return Some(Moment::Instant(without_leap_second(instant.to_utc())));
    }
    match parsed.to_naive_datetime_with_offset(0) {
        Ok(local) => Some(Moment::Local(local)),
        Err(_) => parsed.to_naive_date().ok().map(Moment::Day),
    }
}

/// Second 60 becomes the next second, as POSIX counts: many programs cannot read second 60.
fn without_leap_second(instant: DateTime<Utc>) -> DateTime<Utc> {
    match instant.timestamp_subsec_nanos() {
        nanoseconds @ 1_000_000_000.. => {
            DateTime::from_timestamp(instant.timestamp() + 1, nanoseconds - 1_000_000_000).unwrap_or(instant)
        }
        _ => instant,
    }
}

/// The instant of a local time. One that occurs twice means the earlier; one that never occurs is shifted forward
/// by the gap.
pub(crate) fn instant_of(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let resolve = |local: NaiveDateTime| zone.from_local_datetime(&local).earliest();
    let instant = resolve(local).or_else(|| {
        // The longest gap there was is the day that Apia left out.
        (1..=25).map(TimeDelta::hours).find_map(|back| Some(resolve(local - back)? + back))
    })?;
    Some(without_leap_second(instant.to_utc()))
}

/// Whether a deal can have such a day. A pattern with four digits of a year reads `26` as the year 26, and databases
/// write their first day, of the year 1 or 1753, for an empty field.
pub(crate) fn is_likely(day: NaiveDate) -> bool {
    (1900..=9999).contains(&day.year())
}
