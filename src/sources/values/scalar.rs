//! Single values: of a record, of a look-up, or of the configuration.

use std::borrow::Cow;
use std::fmt;

use rust_decimal::Decimal;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::number;

/// A value that is not null: of a record, of a look-up, or of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    /// A number as it was written.
    Number(Cow<'a, str>),
    Bool(bool),
    /// JSON that is not a single value: a list, an object, or a text that is not valid Unicode.
    Other(&'a str),
}

impl Scalar<'_> {
    /// The value as people would write it; `None` for lists and objects.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Other(_) => None,
        }
    }

    /// The exact number, also where it is sent as text.
    pub(crate) fn number(&self) -> Option<Decimal> {
        match self {
            Self::Text(text) | Self::Number(text) => number::exact(text),
            Self::Bool(_) | Self::Other(_) => None,
        }
    }

    /// A text of nothing but blanks, which CRMs send for an empty field.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim().is_empty())
    }

    /// Whether the value means yes: true, a number above 0, or a text that is not empty.
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            Self::Number(_) => self.number().is_none_or(|number| number > Decimal::ZERO),
            Self::Text(text) => !text.is_empty(),
            Self::Other(_) => true,
        }
    }

    /// Whether both are the same value; a number or truth value also as text, because the environment has only texts.
    pub(crate) fn is(&self, other: &Scalar<'_>) -> bool {
        match (self, other) {
            (Self::Other(_), _) | (_, Scalar::Other(_)) => false,
            (Self::Number(_), _) | (_, Scalar::Number(_)) => {
                self.number().is_some_and(|number| Some(number) == other.number()) || self.text() == other.text()
            }
            _ => self.text() == other.text(),
        }
    }
}

/// A single value of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Constant(pub(crate) Scalar<'static>);

impl<'de> Deserialize<'de> for Constant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneConstant)
    }
}

struct OneConstant;

impl Visitor<'_> for OneConstant {
    type Value = Constant;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number, true or false")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Constant, E> {
        Ok(Constant(Scalar::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Constant, E> {
        Ok(Constant(Scalar::Bool(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Constant, E> {
        Ok(Constant(Scalar::Number(Cow::Owned(value.to_string()))))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Constant, E> {
        Ok(Constant(Scalar::Number(Cow::Owned(value.to_string()))))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Constant, E> {
        Ok(Constant(Scalar::Number(Cow::Owned(value.to_string()))))
    }
}

/// One value of the configuration or a list of them.
#[derive(Debug, Clone)]
pub(crate) enum Constants {
    One(Constant),
    List(Vec<Constant>),
}

impl Constants {
    pub(crate) fn all(&self) -> &[Constant] {
        match self {
            Self::One(constant) => std::slice::from_ref(constant),
            Self::List(constants) => constants,
        }
    }
}

impl<'de> Deserialize<'de> for Constants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Constants;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text, a number, true or false, or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Constants, E> {
                OneConstant.visit_str(text).map(Constants::One)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Constants, E> {
                OneConstant.visit_bool(value).map(Constants::One)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Constants, E> {
                OneConstant.visit_i64(value).map(Constants::One)
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Constants, E> {
                OneConstant.visit_u64(value).map(Constants::One)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Constants, E> {
                OneConstant.visit_f64(value).map(Constants::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Constants, A::Error> {
                let mut constants = Vec::new();
                while let Some(constant) = items.next_element()? {
                    constants.push(constant);
                }
                Ok(Constants::List(constants))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The JSON text of a list or object without the blanks between its parts, on one line.
pub(crate) fn compact(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let (mut in_text, mut escaped) = (false, false);
    for character in text.chars() {
        if in_text || !character.is_ascii_whitespace() {
            compact.push(character);
        }
        in_text ^= character == '"' && !escaped;
        escaped = in_text && character == '\\' && !escaped;
    }
    compact
}

/// The deepest nesting of lists and objects.
pub(crate) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_value_is_put_on_one_line_and_its_texts_stay() {
        assert_eq!(compact("{ \"a b\" : [ 1.50 ,\n \"c \\\" d\" ] }"), "{\"a b\":[1.50,\"c \\\" d\"]}");
    }
}
