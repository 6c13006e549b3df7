//! Exact numbers: amounts, chances, and how CRMs write them in texts.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de};

use crate::model::number;
use crate::sources::rest::casts::{Cast, Casting, Fault, Target, Unit};
use crate::sources::rest::scalar::{Constant, Scalar};

/// How a number is written in a text: what stands before its decimals and between its thousands, and what is no part
/// of it. Numbers that are no texts are JSON's own.
#[derive(Debug, Clone, Default)]
pub(in crate::sources::rest) struct Separators {
    pub(in crate::sources::rest) decimal: Option<char>,
    pub(in crate::sources::rest) thousands: Option<char>,
    pub(in crate::sources::rest) strip: Option<Characters>,
}

impl Separators {
    /// The number's text as JSON would write it; `None` where it is no number, or its groups are none of thousands.
    pub(in crate::sources::rest) fn plain<'v>(&self, value: &'v Scalar<'_>) -> Option<Cow<'v, str>> {
        match value {
            Scalar::Number(text) => Some(Cow::Borrowed(text)),
            Scalar::Text(text) if self.decimal.is_none() && self.thousands.is_none() && self.strip.is_none() => {
                Some(Cow::Borrowed(text))
            }
            Scalar::Text(text) => self.written_plainly(text).map(Cow::Owned),
            Scalar::Bool(_) | Scalar::Other(_) => None,
        }
    }

    fn written_plainly(&self, text: &str) -> Option<String> {
        let kept: String =
            text.chars().filter(|letter| !self.strip.as_ref().is_some_and(|strip| strip.holds(*letter))).collect();
        let (whole, fraction) = match kept.trim().split_once(self.decimal.unwrap_or('.')) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (kept.trim(), None),
        };
        let digits = whole.trim_start_matches(['-', '+']);
        let groups: Vec<&str> = digits.split(|letter| self.is_between_thousands(letter)).collect();
        if !are_thousands(&groups) {
            return None;
        }
        let sign = &whole[..whole.len() - digits.len()];
        let whole = groups.concat();
        Some(fraction.map_or_else(|| format!("{sign}{whole}"), |fraction| format!("{sign}{whole}.{fraction}")))
    }

    /// A blank stands for all of them: CRMs write narrow ones that do not break.
    fn is_between_thousands(&self, letter: char) -> bool {
        self.thousands.is_some_and(|thousands| letter == thousands || (thousands == ' ' && letter.is_whitespace()))
    }
}

/// Whether a number's groups are those of thousands (or of lakhs): else it was written with other separators.
fn are_thousands(groups: &[&str]) -> bool {
    match groups {
        [] | [_] => true,
        [first, middle @ .., last] => {
            (1..=3).contains(&first.len())
                && last.len() == 3
                && middle.iter().all(|group| (2..=3).contains(&group.len()))
        }
    }
}

/// A class of characters, written as in a regular expression: `[^0-9,.-]`, `[€$ ]`.
#[derive(Debug, Clone)]
pub(in crate::sources::rest) struct Characters {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Characters {
    fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        let (negated, inner) = inner.strip_prefix('^').map_or((false, inner), |rest| (true, rest));
        let letters: Vec<char> = inner.chars().collect();
        let mut ranges = Vec::new();
        let mut rest = &letters[..];
        while let Some((first, behind)) = rest.split_first() {
            rest = if let ['-', last, behind @ ..] = behind {
                ranges.push((*first, *last));
                behind
            } else {
                ranges.push((*first, *first));
                behind
            };
        }
        let is_right = !ranges.is_empty() && ranges.iter().all(|(first, last)| first <= last);
        is_right.then_some(Self { negated, ranges })
    }

    fn holds(&self, letter: char) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter)) != self.negated
    }
}

impl<'de> Deserialize<'de> for Characters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("expected a class of characters such as `[^0-9,.-]`"))
    }
}

/// A factor: a number, or one in quotes, which is exact.
#[derive(Debug, Clone, Copy)]
pub(in crate::sources::rest) struct Factor(pub(in crate::sources::rest) Decimal);

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let factor = Constant::deserialize(deserializer)?.0.number().filter(|factor| !factor.is_zero());
        factor.map(Self).ok_or_else(|| de::Error::custom("expected a number such as `0.01`, other than 0"))
    }
}

impl Casting {
    /// The exact number, scaled.
    pub(in crate::sources::rest) fn number(&self, value: &Scalar<'_>) -> Result<Decimal, Fault> {
        let read = self.separators.plain(value).and_then(|text| number::exact(&text));
        read.and_then(|read| self.scaled(read)).ok_or(Fault::Unreadable)
    }

    /// The number times the field's factor, if the product is as exact.
    fn scaled(&self, read: Decimal) -> Option<Decimal> {
        match self.scale {
            None => Some(read),
            Some(scale) => read.checked_mul(scale).map(|scaled| scaled.normalize()).filter(number::is_bounded),
        }
    }
}

/// A number without decimals.
pub(in crate::sources::rest) fn whole(number: Decimal) -> Result<Decimal, Fault> {
    if number.is_integer() { Ok(number.normalize()) } else { Err(Fault::Unreadable) }
}

/// An amount of money, exact.
#[derive(Clone)]
pub(in crate::sources::rest) struct Amount(pub(in crate::sources::rest) Decimal);

impl Target for Amount {
    const CASTS: &'static [Cast] = &[Cast::Money, Cast::Decimal, Cast::Int];
    const DEFAULT: Option<Cast> = Some(Cast::Money);

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        let number = casting.number(value)?;
        let amount = if casting.cast == Some(Cast::Int) { whole(number)? } else { number };
        Ok(Some(Self(amount)))
    }
}

/// The digits of a probability that are kept; CRMs send doubles of fifty.
const CHANCE_DIGITS: u32 = 6;

/// A probability, 0 to 1.
#[derive(Clone)]
pub(in crate::sources::rest) struct Chance(pub(in crate::sources::rest) Decimal);

impl Target for Chance {
    const CASTS: &'static [Cast] = &[Cast::Decimal, Cast::Int];
    const DEFAULT: Option<Cast> = Some(Cast::Decimal);

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        let text = casting.separators.plain(value).ok_or(Fault::Unreadable)?;
        // Rounded once: 20 digits leave every tie of the last step where it was.
        let read = number::rounded(&text, 20).and_then(|read| casting.scaled(read)).ok_or(Fault::Unreadable)?;
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

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    fn casting(cast: Cast) -> Casting {
        Casting { unit: Unit::Percent, ..Casting::of(Some(cast), Tz::UTC) }
    }

    fn text(text: &str) -> Scalar<'_> {
        Scalar::Text(text.into())
    }

    fn number(text: &str) -> Scalar<'_> {
        Scalar::Number(text.into())
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
    fn separators_and_other_characters_are_read_as_the_field_says_and_never_guessed() {
        let read = |decimal, thousands, strip: Option<&str>, given: &str| {
            let strip = strip.map(|class| Characters::parse(class).unwrap());
            let casting = Casting { separators: Separators { decimal, thousands, strip }, ..casting(Cast::Money) };
            Amount::of(&text(given), &casting).ok().flatten().map(|amount| amount.0.to_string())
        };
        let (comma, point, blank) = (Some(','), Some('.'), Some(' '));
        for (decimal, thousands, strip, given, expected) in [
            (comma, point, Some("[^0-9,.-]"), "1.234,50 EUR", Some("1234.5")),
            (None, comma, None, "1,234.50", Some("1234.5")),
            (None, comma, None, "-12,34,567", Some("-1234567")),
            (comma, blank, None, "1\u{202f}234\u{a0}567,8", Some("1234567.8")),
            (comma, None, Some("[€ ]"), "€ 12,5", Some("12.5")),
            (comma, point, None, "1234.50", None),
            (comma, point, None, "1.234,50 EUR", None),
            (None, comma, None, "1,23", None),
            (None, comma, None, "1.234,50", None),
            (comma, None, None, "1,2,3", None),
        ] {
            assert_eq!(read(decimal, thousands, strip, given).as_deref(), expected, "{given}");
        }
        assert!(Characters::parse("[z-a]").is_none() && Characters::parse("[]").is_none());
    }

    #[test]
    fn cents_and_micros_become_amounts_without_a_float_on_the_way() {
        let scaled = |scale: &str, given: &Scalar<'_>| {
            let casting = Casting { scale: number::exact(scale), ..casting(Cast::Money) };
            Amount::of(given, &casting).map(|amount| amount.map(|amount| amount.0.to_string()))
        };
        assert_eq!(scaled("0.01", &number("123450")), Ok(Some("1234.5".to_owned())));
        assert_eq!(scaled("0.000001", &text("1234500000")), Ok(Some("1234.5".to_owned())));
        assert_eq!(scaled("1000", &number("1e27")), Err(Fault::Unreadable), "more digits than a decimal holds");
    }
}
