//! Exact decimals between JSON text and `Decimal`; no float on the way.
//!
//! JSON numbers are read and written as raw text, because `serde_json` alone would pass them through `f64`.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Reads a decimal from the text of a JSON number or string, exactly.
///
/// `None` for anything that a decimal of 28 significant digits cannot hold exactly: `1e400`, `NaN`, words,
/// thirty digits. Scientific notation (`1.0E7`) is read.
pub fn exact(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    if !is_plain(mantissa) {
        return None;
    }
    // Zeros at the end of a fraction say nothing, and would count as digits.
    let short = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    shift(Decimal::from_str_exact(short).ok()?, exponent).filter(is_bounded)
}

/// Whether a decimal has at most 28 significant digits, so that its text is read back as it was written.
pub fn is_bounded(value: &Decimal) -> bool {
    value.normalize().mantissa().unsigned_abs() < 10_u128.pow(28)
}

/// Reads a decimal and rounds it half-even to `digits` places, however long the text is.
///
/// For fractions such as a probability, which `HubSpot` sends as an expanded double of 55 digits.
/// `None` for text that is not a number.
pub fn rounded(text: &str, digits: u32) -> Option<Decimal> {
    let text = text.trim();
    let value = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) if is_plain(mantissa) => shift(mantissa.parse().ok()?, exponent.parse().ok()?)?,
        None if is_plain(text) => text.parse::<Decimal>().ok()?,
        _ => return None,
    };
    Some(value.round_dp(digits))
}

/// Digits with at most one sign in front and one point between: what JSON calls a number, less the exponent.
fn is_plain(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    !whole.is_empty() && [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn shift(value: Decimal, exponent: i32) -> Option<Decimal> {
    if value.is_zero() || exponent == 0 {
        return Some(value);
    }
    if exponent.unsigned_abs() > 28 {
        return None;
    }
    let factor = Decimal::from_i128_with_scale(10_i128.pow(exponent.unsigned_abs()), 0);
    if exponent > 0 {
        value.checked_mul(factor)
    } else {
        let quotient = value.checked_div(factor)?;
        (quotient.checked_mul(factor) == Some(value)).then_some(quotient)
    }
}

/// The JSON text of a decimal: no exponent, no trailing zeros, at least one decimal (`462000.0`).
pub fn text(value: Decimal) -> String {
    let value = value.normalize();
    if value.scale() == 0 { format!("{value}.0") } else { value.to_string() }
}

/// `#[serde(with = "number")]` for a `Decimal`: exact JSON text both ways.
pub fn serialize<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(text(*value)).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// The other half of `#[serde(with = "number")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    exact(raw.get()).ok_or_else(|| serde::de::Error::custom("not an exact decimal number"))
}

/// The same for `Option<Decimal>`: `null` both ways.
pub mod optional {
    use super::{Decimal, Deserialize, Deserializer, RawValue, Serializer};

    /// Writes the exact text, or `null`.
    pub fn serialize<S: Serializer>(value: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the exact text; `null` and what no decimal holds are `None`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
        let raw = Option::<Box<RawValue>>::deserialize(deserializer)?;
        Ok(raw.and_then(|raw| super::exact(raw.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_keeps_every_digit_the_wire_had() {
        for (wire, file) in [
            ("150000", "150000.0"),
            ("0.10", "0.1"),
            ("1.0E7", "10000000.0"),
            ("-12.345", "-12.345"),
            ("25e-2", "0.25"),
            ("9000000000000000000000000000.0", "9000000000000000000000000000.0"),
        ] {
            assert_eq!(exact(wire).map(text).as_deref(), Some(file), "{wire}");
        }
    }

    #[test]
    fn what_no_decimal_can_hold_is_not_rounded_by_guess() {
        for wire in [
            "1e400",
            "NaN",
            "",
            "twelve",
            "123456789012345678901234567890",
            "1e-40",
            "79000000000000000000000000000",
            "1_000",
            "0x10",
            "1,5",
        ] {
            assert_eq!(exact(wire), None, "{wire}");
        }
    }

    #[test]
    fn a_probability_of_any_length_is_rounded_to_six_places() {
        let expanded = "0.59999999999999997779553950749686919152736663818359375";
        assert_eq!(rounded(expanded, 6).map(text).as_deref(), Some("0.6"));
    }
}
