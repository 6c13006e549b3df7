//! Instants and days.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use crate::sources::values::cast::{Cast, Casting, Fault, Target};
use crate::sources::values::moment::{Moment, instant_of, is_likely};
use crate::sources::values::scalar::Scalar;

const INSTANTS: [Cast; 5] = [Cast::Datetime, Cast::Date, Cast::EpochS, Cast::EpochMs, Cast::EpochAuto];

impl Target for DateTime<Utc> {
    const CASTS: &'static [Cast] = &INSTANTS;
    const DEFAULT: Option<Cast> = Some(Cast::Datetime);

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        let zone = casting.zone.unwrap_or(Tz::UTC);
        let instant = casting.moment(value).and_then(|moment| match moment {
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
        let day = casting.moment(value).and_then(|moment| match (moment, casting.zone) {
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

/// Whether the value is a local time that its zone's clocks showed twice or never.
fn is_doubtful(value: &Scalar<'_>, casting: &Casting) -> bool {
    let Some(zone) = casting.zone else { return false };
    let Some(Moment::Local(local)) = casting.moment(value) else { return false };
    zone.from_local_datetime(&local).single().is_none()
}

/// The instant that a text names; times and days without a zone are in `zone`.
pub(crate) fn instant(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let casting = Casting { zone: Some(zone), ..Casting::of(Some(Cast::Datetime), Tz::UTC) };
    DateTime::<Utc>::of(&Scalar::Text(text.into()), &casting).ok()?
}

/// The day of a text in `day_zone`; times without a zone are in UTC.
pub(crate) fn day(text: &str, day_zone: Tz) -> Option<NaiveDate> {
    let casting = Casting { zone: Some(Tz::UTC), ..Casting::of(Some(Cast::Date), day_zone) };
    NaiveDate::of(&Scalar::Text(text.into()), &casting).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::values::moment::Format;

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
            ("2026-01-31T11:00:00.000+0100", Some("2026-01-31T10:00:00Z")),
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
            let format: Format = serde_json::from_value(pattern.into()).unwrap();
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

    #[test]
    fn an_instant_without_a_zone_is_in_the_given_one_and_a_day_has_no_zone() {
        for text in
            ["2026-08-03T09:12:44Z", "2026-08-03 09:12:44", "2026-08-03T11:12:44+02:00", "2026-08-03T09:12:44.000Z"]
        {
            assert_eq!(instant(text, Tz::UTC), "2026-08-03T09:12:44Z".parse().ok(), "{text}");
        }
        assert_eq!(instant("2026-08-03", Tz::UTC), "2026-08-03T00:00:00Z".parse().ok());
        for text in ["", "soon", "0000-00-00 00:00:00", "2026-13-01"] {
            assert_eq!(instant(text, Tz::UTC), None, "{text}");
        }
        assert_eq!(day("2026-12-31", Tz::Asia__Tokyo).unwrap().to_string(), "2026-12-31", "a day has no zone");
        assert_eq!(day("2026-12-31T20:00:00Z", Tz::Asia__Tokyo).unwrap().to_string(), "2027-01-01");
        for (zone, expected) in [(Tz::Europe__Berlin, "2026-08-02T22:00:00Z"), (Tz::UTC, "2026-08-03T00:00:00Z")] {
            assert_eq!(instant("2026-08-03", zone), expected.parse().ok());
        }
    }
}
