//! What a value becomes: text, exact number, chance, currency, instant, day.
//!
//! A value that does not fit is a fault the field decides about, never a guess.

pub(super) mod dates;
pub(super) mod numbers;

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::finding::Rule;
use crate::model::money::Currency;
use crate::model::number;
use crate::sources::rest::casts::dates::Format;
use crate::sources::rest::casts::numbers::{Separators, whole};
use crate::sources::rest::scalar::{Scalar, compact, depth};

/// How many lists and objects of a custom field may stand in each other: other programs read files only so deep.
const DEEPEST: usize = 64;

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

impl Cast {
    /// Whether `format` and `timezone` mean anything to it.
    pub(super) fn reads_dates(self) -> bool {
        matches!(self, Self::Datetime | Self::Date)
    }

    /// Whether `scale`, `decimal`, `thousands` and `strip` mean anything to it.
    pub(super) fn reads_numbers(self) -> bool {
        matches!(self, Self::Int | Self::Decimal | Self::Money)
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

/// Everything a field says about how its value is read.
#[derive(Debug, Clone)]
pub(super) struct Casting {
    /// `None`: as it is, which only custom fields can be.
    pub(super) cast: Option<Cast>,
    /// How numbers are written in texts.
    pub(super) separators: Separators,
    /// What a number is multiplied with.
    pub(super) scale: Option<Decimal>,
    pub(super) unit: Unit,
    pub(super) format: Option<Format>,
    /// The zone of a time that names none; UTC unless the field says so.
    pub(super) zone: Option<Tz>,
    /// The zone in which an instant becomes a day.
    pub(super) day_zone: Tz,
}

impl Casting {
    /// Reads by `cast` alone, as a default of the configuration is read.
    pub(super) fn of(cast: Option<Cast>, day_zone: Tz) -> Self {
        let separators = Separators::default();
        Self { cast, separators, scale: None, unit: Unit::Fraction, format: None, zone: None, day_zone }
    }
}

/// Why a value does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Whether a key can stand for a name here.
    const IS_TEXT: bool = false;

    /// The value; `None` where the CRM means an empty field by it.
    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault>;

    /// Whether the value fits and yet may mean something else: a local time that the clocks showed twice or never.
    fn is_doubtful(_value: &Scalar<'_>, _casting: &Casting) -> bool {
        false
    }
}

impl Target for String {
    const CASTS: &'static [Cast] = &[Cast::String, Cast::Int];
    const DEFAULT: Option<Cast> = Some(Cast::String);
    const IS_TEXT: bool = true;

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        let text = match casting.cast {
            Some(Cast::Int) => Some(whole(casting.number(value)?)?.to_string()),
            _ => value.text().map(ToOwned::to_owned),
        };
        text.map(Some).ok_or(Fault::Unreadable)
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
    const IS_TEXT: bool = true;

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        let json = match (casting.cast, value) {
            (None, Scalar::Other(json)) if depth(json) > DEEPEST => return Err(Fault::Unreadable),
            (None, Scalar::Other(json)) => compact(json),
            (None, Scalar::Number(number)) => number.clone().into_owned(),
            (None, Scalar::Bool(value)) => value.to_string(),
            (None | Some(Cast::String), _) => quoted(value.text().ok_or(Fault::Unreadable)?),
            _ if value.is_blank() => return Ok(None),
            (Some(Cast::Int), _) => whole(casting.number(value)?)?.to_string(),
            (Some(Cast::Decimal | Cast::Money), _) => number::text(casting.number(value)?),
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

fn truth(value: &Scalar<'_>) -> Result<bool, Fault> {
    match value.text() {
        Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        _ => Err(Fault::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Scalar<'_> {
        Scalar::Text(text.into())
    }

    fn number(text: &str) -> Scalar<'_> {
        Scalar::Number(text.into())
    }

    #[test]
    fn a_custom_field_keeps_the_exact_json() {
        let custom = |value: &Scalar<'_>, cast| {
            let casting = Casting::of(cast, Tz::UTC);
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
        let nested = |depth: usize| format!("{}\"]\\\"[[\"{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(custom(&Scalar::Other(&nested(DEEPEST)), None), Ok(Some(nested(DEEPEST))));
        assert_eq!(custom(&Scalar::Other(&nested(DEEPEST + 1)), None), Err(Fault::Unreadable));
    }
}
