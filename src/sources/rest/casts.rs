//! What a value becomes: text, exact number, chance, currency, instant, day.
//!
//! A value that does not fit is a fault the field decides about, never a guess.

use std::fmt;

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::model::finding::Rule;
use crate::model::money::Currency;
use crate::model::number;
use crate::sources::rest::json::{Scalar, compact};

/// How a value is read; `cast` of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cast {
    String,
    Int,
    Decimal,
    Money,
    Bool,
    Datetime,
    Date,
    EpochS,
    EpochMs,
    EpochAuto,
}

const INSTANTS: [Cast; 5] = [Cast::Datetime, Cast::Date, Cast::EpochS, Cast::EpochMs, Cast::EpochAuto];

impl Cast {
    /// Whether `format` and `timezone` mean anything to it.
    pub(super) fn reads_dates(self) -> bool {
        matches!(self, Self::Datetime | Self::Date)
    }
}

impl fmt::Display for Cast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Decimal => "decimal",
            Self::Money => "money",
            Self::Bool => "bool",
            Self::Datetime => "datetime",
            Self::Date => "date",
            Self::EpochS => "epoch_s",
            Self::EpochMs => "epoch_ms",
            Self::EpochAuto => "epoch_auto",
        })
    }
}

/// How a probability is written: `1` alone could be either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    /// 0 to 100.
    Percent,
    /// 0 to 1.
    Fraction,
}

/// A zone by its name in the IANA database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zone(pub(super) Tz);

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map(Self).map_err(|_| de::Error::custom("expected a time zone such as `Europe/Berlin`"))
    }
}

/// A pattern of strftime's letters.
#[derive(Debug, Clone)]
pub(super) struct Format(Vec<Item<'static>>);

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = String::deserialize(deserializer)?;
        StrftimeItems::new(&pattern)
            .parse_to_owned()
            .map(Self)
            .map_err(|_| de::Error::custom("expected a pattern such as `%d.%m.%Y %H:%M`"))
    }
}

/// Everything a field says about how its value is read.
#[derive(Debug, Clone)]
pub(super) struct Casting {
    /// `None`: as it is, which only custom fields can be.
    pub(super) cast: Option<Cast>,
    pub(super) format: Option<Format>,
    /// The zone of a time that names none; UTC unless the field says so.
    pub(super) zone: Option<Tz>,
    /// The zone in which an instant becomes a day.
    pub(super) day_zone: Tz,
    pub(super) unit: Unit,
}

/// Why a value does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Unreadable,
    OutOfRange,
    NotACurrency,
}

impl Fault {
    pub(super) fn rule(self) -> Rule {
        match self {
            Self::Unreadable => Rule::D26,
            Self::OutOfRange => Rule::D06,
            Self::NotACurrency => Rule::D09,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unreadable => "cannot be read",
            Self::OutOfRange => "is outside 0 to 1",
            Self::NotACurrency => "is no currency of ISO 4217",
        })
    }
}

/// What a field of a deal is made of.
pub(super) trait Target: Clone {
    /// The casts that lead to it.
    const CASTS: &'static [Cast];
    /// The one that is meant where the field names none.
    const DEFAULT: Option<Cast>;

    /// The value; `None` where the CRM means an empty field by it.
    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault>;
}

impl Target for String {
    const CASTS: &'static [Cast] = &[Cast::String, Cast::Int];
    const DEFAULT: Option<Cast> = Some(Cast::String);

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        let text = match casting.cast {
            Some(Cast::Int) => Some(whole(value)?.to_string()),
            _ => value.text().map(ToOwned::to_owned),
        };
        text.map(Some).ok_or(Fault::Unreadable)
    }
}

/// An amount of money, exact.
#[derive(Clone)]
pub(super) struct Amount(pub(super) Decimal);

impl Target for Amount {
    const CASTS: &'static [Cast] = &[Cast::Money, Cast::Decimal, Cast::Int];
    const DEFAULT: Option<Cast> = Some(Cast::Money);

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        let amount = match casting.cast {
            Some(Cast::Int) => whole(value)?,
            _ => value.number().ok_or(Fault::Unreadable)?,
        };
        Ok(Some(Self(amount)))
    }
}

/// The digits of a probability that are kept; CRMs send doubles of fifty.
const CHANCE_DIGITS: u32 = 6;

/// A probability, 0 to 1.
#[derive(Clone)]
pub(super) struct Chance(pub(super) Decimal);

impl Target for Chance {
    const CASTS: &'static [Cast] = &[Cast::Decimal, Cast::Int];
    const DEFAULT: Option<Cast> = Some(Cast::Decimal);

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        let (Scalar::Text(text) | Scalar::Number(text)) = value else { return Err(Fault::Unreadable) };
        // Rounded once: 20 digits leave every tie of the last step where it was.
        let read = number::rounded(text, 20).ok_or(Fault::Unreadable)?;
        let chance = match casting.unit {
            Unit::Percent => read / Decimal::ONE_HUNDRED,
            Unit::Fraction => read,
        };
        if (Decimal::ZERO..=Decimal::ONE).contains(&chance) {
            Ok(Some(Self(chance.round_dp(CHANCE_DIGITS))))
        } else {
            Err(Fault::OutOfRange)
        }
    }
}

impl Target for Currency {
    const CASTS: &'static [Cast] = &[Cast::String];
    const DEFAULT: Option<Cast> = Some(Cast::String);

    fn of(value: &Scalar<'_>, _casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        value.text().and_then(|text| text.parse().ok()).map(Some).ok_or(Fault::NotACurrency)
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
        instant.filter(|instant| has_four_digits(instant.date_naive())).map(Some).ok_or(Fault::Unreadable)
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
        day.filter(|day| has_four_digits(*day)).map(Some).ok_or(Fault::Unreadable)
    }
}

/// Exact JSON, for custom fields.
impl Target for Box<RawValue> {
    const CASTS: &'static [Cast] = &[
        Cast::String,
        Cast::Int,
        Cast::Decimal,
        Cast::Money,
        Cast::Bool,
        Cast::Datetime,
        Cast::Date,
        Cast::EpochS,
        Cast::EpochMs,
        Cast::EpochAuto,
    ];
    const DEFAULT: Option<Cast> = None;

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        let json = match (casting.cast, value) {
            (None, Scalar::Other(json)) => compact(json),
            (None, Scalar::Number(number)) => number.clone().into_owned(),
            (None, Scalar::Bool(value)) => value.to_string(),
            (None | Some(Cast::String), _) => quoted(value.text().ok_or(Fault::Unreadable)?),
            _ if value.is_blank() => return Ok(None),
            (Some(Cast::Int), _) => whole(value)?.to_string(),
            (Some(Cast::Decimal | Cast::Money), _) => number::text(value.number().ok_or(Fault::Unreadable)?),
            (Some(Cast::Bool), _) => truth(value)?.to_string(),
            (Some(Cast::Date), _) => {
                let Some(day) = NaiveDate::of(value, casting)? else { return Ok(None) };
                quoted(&day.to_string())
            }
            (Some(Cast::Datetime | Cast::EpochS | Cast::EpochMs | Cast::EpochAuto), _) => {
                let Some(instant) = DateTime::<Utc>::of(value, casting)? else { return Ok(None) };
                quoted(&instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
            }
        };
        RawValue::from_string(json).map(Some).map_err(|_| Fault::Unreadable)
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn whole(value: &Scalar<'_>) -> Result<Decimal, Fault> {
    value.number().filter(Decimal::is_integer).map(|number| number.normalize()).ok_or(Fault::Unreadable)
}

fn truth(value: &Scalar<'_>) -> Result<bool, Fault> {
    match value.text() {
        Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        _ => Err(Fault::Unreadable),
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

/// RFC 3339 with any number of decimals, and what CRMs make of it: offsets without a colon, no offset, no time.
fn iso(text: &str) -> Option<Moment> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(Moment::Instant(without_leap_second(instant.to_utc())));
    }
    if let Ok(instant) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z") {
        return Some(Moment::Instant(without_leap_second(instant.to_utc())));
    }
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
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

fn has_four_digits(day: NaiveDate) -> bool {
    (0..=9999).contains(&day.year())
}

/// The instant a text means, for comparing dates with dates; times without a zone are in UTC.
pub(super) fn instant(value: &Scalar<'_>) -> Option<DateTime<Utc>> {
    let casting =
        Casting { cast: Some(Cast::Datetime), format: None, zone: None, day_zone: Tz::UTC, unit: Unit::Fraction };
    DateTime::<Utc>::of(value, &casting).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn casting(cast: Cast) -> Casting {
        Casting { cast: Some(cast), format: None, zone: None, day_zone: Tz::UTC, unit: Unit::Percent }
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
    fn money_is_exact_or_nothing() {
        let amount = |value: &Scalar<'_>| {
            Amount::of(value, &casting(Cast::Money)).map(|amount| amount.map(|amount| amount.0.to_string()))
        };
        assert_eq!(amount(&number("1e3")), Ok(Some("1000".to_owned())));
        assert_eq!(amount(&text("1234.50")), Ok(Some("1234.5".to_owned())));
        assert_eq!(amount(&text("  ")), Ok(None), "CRMs send an empty text for an empty field");
        for value in [
            text("1,234.50"),
            text("NaN"),
            number("1e400"),
            number("1234567890123456789012345678901"),
            Scalar::Bool(true),
            Scalar::Other("[]"),
        ] {
            assert_eq!(amount(&value), Err(Fault::Unreadable), "{value:?}");
        }
    }

    #[test]
    fn a_probability_is_read_by_its_unit_and_never_rescaled_by_guess() {
        let chance = |unit, value: &Scalar<'_>| {
            let casting = Casting { unit, ..casting(Cast::Decimal) };
            Chance::of(value, &casting).map(|chance| chance.map(|chance| chance.0.normalize().to_string()))
        };
        for (unit, given, expected) in [
            (Unit::Percent, "30", Ok(Some("0.3".to_owned()))),
            (Unit::Percent, "1", Ok(Some("0.01".to_owned()))),
            (Unit::Fraction, "1", Ok(Some("1".to_owned()))),
            (Unit::Fraction, "0.59999999999999997779553950749686919152736663818359375", Ok(Some("0.6".to_owned()))),
            (Unit::Fraction, "30", Err(Fault::OutOfRange)),
            (Unit::Percent, "130", Err(Fault::OutOfRange)),
            (Unit::Percent, "-1", Err(Fault::OutOfRange)),
            (Unit::Percent, "30%", Err(Fault::Unreadable)),
        ] {
            assert_eq!(chance(unit, &text(given)), expected, "{given}");
        }
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
            ("2026-01-31", Some("2026-01-31T00:00:00Z")),
            ("2016-12-31T23:59:60Z", Some("2017-01-01T00:00:00Z")),
            ("31.01.2026", None),
            ("2026-02-30", None),
            ("+12026-01-31T10:00:00Z", None),
            ("yesterday", None),
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
    fn a_custom_field_keeps_the_exact_json() {
        let custom = |value: &Scalar<'_>, cast| {
            let casting = Casting { cast, ..casting(Cast::String) };
            Box::<RawValue>::of(value, &casting).map(|json| json.map(|json| json.get().to_owned()))
        };
        assert_eq!(custom(&number("1.50"), None), Ok(Some("1.50".to_owned())));
        assert_eq!(custom(&Scalar::Other("[ 1,\n 2 ]"), None), Ok(Some("[1,2]".to_owned())));
        assert_eq!(custom(&text("a \"b\""), None), Ok(Some(r#""a \"b\"""#.to_owned())));
        assert_eq!(custom(&text("7.0"), Some(Cast::Int)), Ok(Some("7".to_owned())));
        assert_eq!(custom(&text("7.5"), Some(Cast::Int)), Err(Fault::Unreadable));
        assert_eq!(custom(&number("1"), Some(Cast::Bool)), Ok(Some("true".to_owned())));
        assert_eq!(custom(&number("0"), Some(Cast::EpochS)), Ok(Some("\"1970-01-01T00:00:00Z\"".to_owned())));
        assert_eq!(custom(&text(""), Some(Cast::Money)), Ok(None));
    }
}
