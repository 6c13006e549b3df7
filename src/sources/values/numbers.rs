//! Amounts and probabilities, exact.

use rust_decimal::Decimal;

use crate::model::number;
use crate::sources::values::cast::{Cast, Casting, Fault, Target, Unit, whole};
use crate::sources::values::scalar::Scalar;

/// An amount of money, exact.
#[derive(Clone)]
pub(crate) struct Amount(pub(crate) Decimal);

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
pub(crate) struct Chance(pub(crate) Decimal);

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
    use crate::sources::values::separators::{Characters, Separators};

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
