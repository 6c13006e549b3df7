//! Instants and days, in every shape that CRMs send them.

use std::fmt::Write;

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, de};

use crate::sources::rest::casts::{Cast, Casting, Fault, Target};
use crate::sources::rest::scalar::Scalar;

const INSTANTS: [Cast; 5] = [Cast::Datetime, Cast::Date, Cast::EpochS, Cast::EpochMs, Cast::EpochAuto];

/// A zone by its name in the IANA database.
#[derive(Debug, Clone, Copy)]
pub(in crate::sources::rest) struct Zone(pub(in crate::sources::rest) Tz);

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map(Self).map_err(|_| de::Error::custom("expected a time zone such as `Europe/Berlin`"))
    }
}

/// A pattern of strftime's letters.
#[derive(Debug, Clone)]
pub(in crate::sources::rest) struct Format(Vec<Item<'static>>);

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = String::deserialize(deserializer)?;
        let items = StrftimeItems::new(&pattern).parse_to_owned();
        let format = items.map(Self).map_err(|_| de::Error::custom("expected a pattern such as `%d.%m.%Y %H:%M`"))?;
        if format.names_a_day() {
            Ok(format)
        } else {
            Err(de::Error::custom(
                "the pattern names no day with its month and year, so that no date comes of it; for instance `%d.%m.%Y`",
            ))
        }
    }
}

impl Format {
    /// Whether what it writes can be read as a date again. What can only be read is taken for one.
    fn names_a_day(&self) -> bool {
        let some_day = DateTime::<Utc>::from_timestamp(1_767_225_600, 0).expect("it is a day of 2026");
        let mut text = String::new();
        write!(text, "{}", some_day.format_with_items(self.0.iter())).is_err() || by_pattern(&text, self).is_some()
    }
}

impl Target for DateTime<Utc> {
    const CASTS: &'static [Cast] = &INSTANTS;
    const DEFAULT: Option<Cast> = Some(Cast::Datetime);

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        let zone = casting.zone.unwrap_or(Tz::UTC);
        let instant = moment(value, casting).and_then(|moment| match moment {
            Moment::Instant(instant) => Some(instant),
            Moment::Local(local) => instant_of(local, zone),
            Moment::Day(day) => instant_of(day.and_time(NaiveTime::MIN), zone),
        });
        instant.filter(|instant| is_likely(instant.date_naive())).map(Some).ok_or(Fault::Unreadable)
    }

    fn is_doubtful(value: &Scalar<'_>, casting: &Casting) -> bool {
        is_doubtful(value, casting)
    }
}

impl Target for NaiveDate {
    const CASTS: &'static [Cast] = &INSTANTS;
    const DEFAULT: Option<Cast> = Some(Cast::Date);

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        let day_of = |instant: DateTime<Utc>| instant.with_timezone(&casting.day_zone).date_naive();
        let day = moment(value, casting).and_then(|moment| match (moment, casting.zone) {
            (Moment::Day(day), _) => Some(day),
            (Moment::Instant(instant), _) => Some(day_of(instant)),
            (Moment::Local(local), Some(zone)) => instant_of(local, zone).map(day_of),
            (Moment::Local(local), None) => Some(local.date()),
        });
        day.filter(|day| is_likely(*day)).map(Some).ok_or(Fault::Unreadable)
    }

    fn is_doubtful(value: &Scalar<'_>, casting: &Casting) -> bool {
        is_doubtful(value, casting)
    }
}

/// What a text says about time: an instant, a local time without its zone, or a day.
#[derive(Debug, PartialEq, Eq)]
enum Moment {
    Instant(DateTime<Utc>),
    Local(NaiveDateTime),
    Day(NaiveDate),
}

fn moment(value: &Scalar<'_>, casting: &Casting) -> Option<Moment> {
    match casting.cast {
        Some(Cast::EpochS) => epoch(value.number()?, Decimal::ONE),
        Some(Cast::EpochMs) => epoch(value.number()?, Decimal::ONE_THOUSAND),
        Some(Cast::EpochAuto) => {
            let number = value.number()?;
            // 10^11 seconds are the year 5138, 10^11 milliseconds 1973.
            let in_seconds = number.abs() < Decimal::from(100_000_000_000_u64);
            epoch(number, if in_seconds { Decimal::ONE } else { Decimal::ONE_THOUSAND })
        }
        _ => {
            let Scalar::Text(text) = value else { return None };
            let text = text.trim();
            casting.format.as_ref().map_or_else(|| iso(text), |format| by_pattern(text, format))
        }
    }
}

fn epoch(number: Decimal, per_second: Decimal) -> Option<Moment> {
    let nanoseconds = number.checked_mul(Decimal::from(1_000_000_000) / per_second)?.trunc().to_i128()?;
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    let rest = u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).ok()?;
    DateTime::from_timestamp(seconds, rest).map(Moment::Instant)
}

/// RFC 3339 with any number of decimals, and what CRMs make of it: offsets without a colon, no offset, no seconds, no time.
fn iso(text: &str) -> Option<Moment> {
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

fn by_pattern(text: &str, format: &Format) -> Option<Moment> {
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

/// A second 60 is the next second, as POSIX counts; files are to be read by programs that know no second 60.
fn without_leap_second(instant: DateTime<Utc>) -> DateTime<Utc> {
    match instant.timestamp_subsec_nanos() {
        nanoseconds @ 1_000_000_000.. => {
            DateTime::from_timestamp(instant.timestamp() + 1, nanoseconds - 1_000_000_000).unwrap_or(instant)
        }
        _ => instant,
    }
}

/// The instant of a local time. One that occurs twice is the earlier, one that never occurs is shifted as clocks are
/// (contract §8.10).
fn instant_of(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let resolve = |local: NaiveDateTime| zone.from_local_datetime(&local).earliest();
    let instant = resolve(local).or_else(|| {
        // The longest gap there was is the day that Apia left out.
        (1..=25).map(TimeDelta::hours).find_map(|back| Some(resolve(local - back)? + back))
    })?;
    Some(without_leap_second(instant.to_utc()))
}

/// Whether the value is a local time that its zone's clocks showed twice or never.
fn is_doubtful(value: &Scalar<'_>, casting: &Casting) -> bool {
    let Some(zone) = casting.zone else { return false };
    let Some(Moment::Local(local)) = moment(value, casting) else { return false };
    zone.from_local_datetime(&local).single().is_none()
}

/// Whether a deal can have such a day. A pattern with four digits of a year reads `26` as the year 26, and databases
/// write the first day they know, of the year 1 or 1753, for none.
fn is_likely(day: NaiveDate) -> bool {
    (1900..=9999).contains(&day.year())
}

/// The instant a text means, for comparing dates with dates; times without a zone are in UTC.
pub(in crate::sources::rest) fn instant(value: &Scalar<'_>) -> Option<DateTime<Utc>> {
    DateTime::<Utc>::of(value, &Casting::of(Some(Cast::Datetime), Tz::UTC)).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn casting(cast: Cast) -> Casting {
        Casting::of(Some(cast), Tz::UTC)
    }

    fn text(text: &str) -> Scalar<'_> {
        Scalar::Text(text.into())
    }

    fn number(text: &str) -> Scalar<'_> {
        Scalar::Number(text.into())
    }

    fn instant_by(casting: &Casting, value: &Scalar<'_>) -> Option<String> {
        let instant = DateTime::<Utc>::of(value, casting).ok()??;
        Some(instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }

    #[test]
    fn dates_of_every_shape_are_read() {
        for (given, expected) in [
            ("2026-01-31T10:00:00Z", Some("2026-01-31T10:00:00Z")),
            ("2026-01-31T10:00:00.123456789+02:00", Some("2026-01-31T08:00:00.123456789Z")),
            ("2026-01-31T10:00:00.12345678987Z", Some("2026-01-31T10:00:00.123456789Z")),
            ("2026-01-31T10:00:00.000+0000", Some("2026-01-31T10:00:00Z")),
            ("2026-01-31 10:00:00", Some("2026-01-31T10:00:00Z")),
            ("2026-01-31T10:00:00", Some("2026-01-31T10:00:00Z")),
            ("2026-01-31T10:00", Some("2026-01-31T10:00:00Z")),
            ("2026-01-31 10:00", Some("2026-01-31T10:00:00Z")),
            ("2026-01-31T10:00+02:00", Some("2026-01-31T08:00:00Z")),
            ("2026-01-31T10:00Z", Some("2026-01-31T10:00:00Z")),
            ("2026-01-31", Some("2026-01-31T00:00:00Z")),
            ("2016-12-31T23:59:60Z", Some("2017-01-01T00:00:00Z")),
            ("31.01.2026", None),
            ("2026-02-30", None),
            ("+12026-01-31T10:00:00Z", None),
            ("yesterday", None),
            ("0001-01-01T00:00:00Z", None),
            ("9999-12-31", Some("9999-12-31T00:00:00Z")),
        ] {
            assert_eq!(instant_by(&casting(Cast::Datetime), &text(given)).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn epochs_are_read_in_seconds_milliseconds_or_by_size_as_number_or_text() {
        for (cast, given, expected) in [
            (Cast::EpochS, "1700000000", "2023-11-14T22:13:20Z"),
            (Cast::EpochS, "1700000000.5", "2023-11-14T22:13:20.500Z"),
            (Cast::EpochMs, "1700000000123", "2023-11-14T22:13:20.123Z"),
            (Cast::EpochAuto, "1700000000", "2023-11-14T22:13:20Z"),
            (Cast::EpochAuto, "1700000000123", "2023-11-14T22:13:20.123Z"),
            (Cast::EpochS, "-1", "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(instant_by(&casting(cast), &number(given)).as_deref(), Some(expected));
            assert_eq!(instant_by(&casting(cast), &text(given)).as_deref(), Some(expected));
        }
        assert_eq!(instant_by(&casting(Cast::EpochS), &number("1e27")), None);
    }

    #[test]
    fn a_local_time_is_read_in_its_zone_also_when_the_clocks_change() {
        let berlin = Casting { zone: Some(Tz::Europe__Berlin), ..casting(Cast::Datetime) };
        for (given, expected) in [
            ("2026-07-01 12:00:00", "2026-07-01T10:00:00Z"),
            ("2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),
            ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),
        ] {
            assert_eq!(instant_by(&berlin, &text(given)).as_deref(), Some(expected), "{given}");
            let changes = !given.starts_with("2026-07");
            assert_eq!(DateTime::<Utc>::is_doubtful(&text(given), &berlin), changes, "{given}");
        }
    }

    #[test]
    fn a_pattern_reads_what_no_standard_knows() {
        let by = |pattern: &str| {
            let format = Format(StrftimeItems::new(pattern).parse_to_owned().unwrap());
            Casting { format: Some(format), zone: Some(Tz::Europe__Berlin), ..casting(Cast::Datetime) }
        };
        assert_eq!(
            instant_by(&by("%d.%m.%Y %H:%M"), &text("31.01.2026 10:00")).as_deref(),
            Some("2026-01-31T09:00:00Z")
        );
        assert_eq!(instant_by(&by("%d/%m/%Y"), &text("31/01/2026")).as_deref(), Some("2026-01-30T23:00:00Z"));
        assert_eq!(
            instant_by(&by("%Y%m%d %H%M%S %z"), &text("20260131 100000 -0100")).as_deref(),
            Some("2026-01-31T11:00:00Z")
        );
        assert_eq!(instant_by(&by("%d.%m.%Y"), &text("2026-01-31")), None);
        assert_eq!(instant_by(&by("%d/%m/%Y %H:%M"), &text("31/12/26 09:30")), None, "no deal of the year 26");
        assert_eq!(instant_by(&by("%d/%m/%y %H:%M"), &text("31/12/26 09:30")).as_deref(), Some("2026-12-31T08:30:00Z"));
    }

    #[test]
    fn a_pattern_that_names_no_day_is_a_mistake() {
        let is_right = |pattern: &str| serde_json::from_value::<Format>(pattern.into()).is_ok();
        for pattern in ["%d/%m/%Y", "%s", "%Y-%jT%H", "%c", "%Y-%m-%dT%H:%M:%S%.f%#z", "%d. %B %y", "%G-W%V-%u"] {
            assert!(is_right(pattern), "{pattern}");
        }
        for pattern in ["%H:%M", "%Y-%m", "%d.%m.", "%Z", "date", ""] {
            assert!(!is_right(pattern), "{pattern}");
        }
    }

    #[test]
    fn a_closing_day_is_a_day_in_the_configured_zone() {
        let day = |value: &Scalar<'_>, cast, zone| {
            let casting = Casting { zone, day_zone: Tz::Europe__Berlin, ..casting(cast) };
            NaiveDate::of(value, &casting).unwrap().map(|day| day.to_string())
        };
        assert_eq!(day(&text("2026-01-31"), Cast::Date, None).as_deref(), Some("2026-01-31"));
        assert_eq!(day(&text("2026-01-31T23:30:00Z"), Cast::Date, None).as_deref(), Some("2026-02-01"));
        assert_eq!(day(&text("2026-01-31T23:30:00"), Cast::Date, None).as_deref(), Some("2026-01-31"));
        assert_eq!(day(&text("2026-01-31T23:30:00"), Cast::Date, Some(Tz::UTC)).as_deref(), Some("2026-02-01"));
        assert_eq!(day(&number("1769902200"), Cast::EpochS, None).as_deref(), Some("2026-02-01"));
    }
}
