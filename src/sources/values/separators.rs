//! How numbers are written in texts: separators, groups and characters that are not part of the number.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de};

use crate::sources::values::scalar::{Constant, Scalar};

/// How a number is written in a text: the decimal and thousands separators, and characters to remove. JSON numbers
/// have none of these.
#[derive(Debug, Clone, Default)]
pub(crate) struct Separators {
    pub(crate) decimal: Option<char>,
    pub(crate) thousands: Option<char>,
    pub(crate) strip: Option<Characters>,
}

impl Separators {
    /// The number's text as JSON would write it; `None` if it is not a number or its groups are not thousands.
    pub(crate) fn plain<'v>(&self, value: &'v Scalar<'_>) -> Option<Cow<'v, str>> {
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

    /// A blank matches every kind of blank: CRMs write narrow and non-breaking ones.
    fn is_between_thousands(&self, letter: char) -> bool {
        self.thousands.is_some_and(|thousands| letter == thousands || (thousands == ' ' && letter.is_whitespace()))
    }
}

/// Whether the groups are thousands or lakhs. If not, the number uses other separators.
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
pub(crate) struct Characters {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Characters {
    pub(crate) fn parse(text: &str) -> Option<Self> {
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
pub(crate) struct Factor(pub(crate) Decimal);

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let factor = Constant::deserialize(deserializer)?.0.number().filter(|factor| !factor.is_zero());
        factor.map(Self).ok_or_else(|| de::Error::custom("expected a number such as `0.01`, other than 0"))
    }
}
