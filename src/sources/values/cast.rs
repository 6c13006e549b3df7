//! How a field's value is read, and why one does not fit.
//!
//! A value that does not fit is a fault the field decides about, never a guess.

use std::fmt;

use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::model::finding::Rule;
use crate::model::number;
use crate::sources::values::moment::{Format, Moment, by_pattern, epoch, iso};
use crate::sources::values::scalar::Scalar;
use crate::sources::values::separators::Separators;

/// How a value is read; `cast` of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cast {
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
    pub(crate) fn reads_dates(self) -> bool {
        matches!(self, Self::Datetime | Self::Date)
    }

    /// Whether `scale`, `decimal`, `thousands` and `strip` mean anything to it.
    pub(crate) fn reads_numbers(self) -> bool {
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
pub(crate) enum Unit {
    /// 0 to 100.
    Percent,
    /// 0 to 1.
    Fraction,
}

/// How a field's value is read.
#[derive(Debug, Clone)]
pub(crate) struct Casting {
    /// `None`: as it is, which only custom fields can be.
    pub(crate) cast: Option<Cast>,
    /// How numbers are written in texts.
    pub(crate) separators: Separators,
    /// What a number is multiplied with.
    pub(crate) scale: Option<Decimal>,
    pub(crate) unit: Unit,
    pub(crate) format: Option<Format>,
    /// The zone of a time that names none; UTC unless the field says so.
    pub(crate) zone: Option<Tz>,
    /// The zone in which an instant becomes a day.
    pub(crate) day_zone: Tz,
}

impl Casting {
    /// Reads by `cast` alone, as a default of the configuration is read.
    pub(crate) fn of(cast: Option<Cast>, day_zone: Tz) -> Self {
        let separators = Separators::default();
        Self { cast, separators, scale: None, unit: Unit::Fraction, format: None, zone: None, day_zone }
    }
}

/// Why a value does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Unreadable,
    OutOfRange,
    NotACurrency,
}

impl Fault {
    pub(crate) fn rule(self) -> Rule {
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
            Self::NotACurrency => "is not an ISO 4217 currency",
        })
    }
}

/// A type that a deal's field can have.
pub(crate) trait Target: Clone {
    /// The casts that produce it.
    const CASTS: &'static [Cast];
    /// The cast of a field that names none.
    const DEFAULT: Option<Cast>;
    /// Whether an unknown key can take the place of its name.
    const IS_TEXT: bool = false;

    /// The value; `None` if the CRM sends this for an empty field.
    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault>;

    /// Whether the value is ambiguous: a local time that occurs twice or never.
    fn is_doubtful(_value: &Scalar<'_>, _casting: &Casting) -> bool {
        false
    }
}

impl Casting {
    /// The exact number, scaled.
    pub(crate) fn number(&self, value: &Scalar<'_>) -> Result<Decimal, Fault> {
        let read = self.separators.plain(value).and_then(|text| number::exact(&text));
        read.and_then(|read| self.scaled(read)).ok_or(Fault::Unreadable)
    }

    /// The number times the field's factor, if the product is as exact.
    pub(crate) fn scaled(&self, read: Decimal) -> Option<Decimal> {
        match self.scale {
            None => Some(read),
            Some(scale) => read.checked_mul(scale).map(|scaled| scaled.normalize()).filter(number::is_bounded),
        }
    }

    /// What the value says about time.
    pub(crate) fn moment(&self, value: &Scalar<'_>) -> Option<Moment> {
        match self.cast {
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
                self.format.as_ref().map_or_else(|| iso(text), |format| by_pattern(text, format))
            }
        }
    }
}

/// A number without decimals.
pub(crate) fn whole(number: Decimal) -> Result<Decimal, Fault> {
    if number.is_integer() { Ok(number.normalize()) } else { Err(Fault::Unreadable) }
}
