//! How amounts are written.

use crate::model::number;
use crate::sources::probe::records::{Column, Leaf};

/// How amounts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amounts {
    Plain,
    /// `1,234.50`
    Commas,
    /// `1.234,50`
    Points,
}

impl Amounts {
    pub(super) fn of(column: &Column) -> Option<Self> {
        let is_plain = |leaf: &Leaf| !matches!(leaf, Leaf::Bool(_)) && number::exact(leaf.text()).is_some();
        if column.is_all(is_plain) {
            return Some(Self::Plain);
        }
        let is_grouped = |thousands, point| column.is_all(|leaf| is_grouped(leaf.text(), thousands, point));
        [(Self::Commas, ',', '.'), (Self::Points, '.', ',')]
            .into_iter()
            .find_map(|(amounts, thousands, point)| is_grouped(thousands, point).then_some(amounts))
    }

    /// The keys of a field that reads them.
    pub(super) fn keys(self) -> Vec<(String, String)> {
        let keys: &[(&str, &str)] = match self {
            Self::Plain => &[],
            Self::Commas => &[("thousands", ",")],
            Self::Points => &[("decimal", ","), ("thousands", ".")],
        };
        keys.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
    }
}

/// Whether a text is a number in groups of three digits.
fn is_grouped(text: &str, thousands: char, point: char) -> bool {
    let (whole, fraction) = text.split_once(point).unwrap_or((text, "0"));
    let is_figures = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut groups = whole.strip_prefix('-').unwrap_or(whole).split(thousands);
    let first = groups.next().unwrap_or_default();
    is_figures(first) && is_figures(fraction) && groups.all(|group| group.len() == 3 && is_figures(group))
}
