//! Lists of version 2, page by page: a cursor names the first record of the next page.
//!
//! Apart because every list pages alike; the cursor's form is that of the contract's §3.1.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::answers::{Answer, invalid};
use super::wish::Wish;

/// The most records of a page; whoever asks for more gets so many.
const MOST: usize = 500;

/// What a list is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Place {
    Number(u64),
    /// An instant: its text sorts like it.
    Text(String),
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cursor {
    field: String,
    field_value: Place,
    sort_direction: String,
    id: u64,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }

    pub(super) fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("it has only texts and numbers"))
    }

    /// One that leads to the same records and is another.
    pub(super) fn before(&self) -> Self {
        let id = self.id.saturating_sub(1);
        let field_value = if self.field == "id" { Place::Number(id) } else { self.field_value.clone() };
        Self { field_value, id, ..self.clone() }
    }

    /// One that leads behind this record, where there is nothing.
    fn behind(self) -> Self {
        let id = self.id + 1;
        let field_value = if self.field == "id" { Place::Number(id) } else { self.field_value };
        Self { field_value, id, ..self }
    }
}

/// A page and where the next one begins.
pub(super) struct Paged<T> {
    pub(super) items: Vec<T>,
    /// Where this one begins, if it holds anything.
    pub(super) here: Option<Cursor>,
    pub(super) next: Option<Cursor>,
}

/// The page that was asked for. `place` gives an item's id and where it stands in the order by a field; none where the
/// list cannot be sorted by it. With `promises_more`, the last page names a next one if it is full.
pub(super) fn page<T>(
    items: impl Iterator<Item = T>,
    wish: &Wish,
    place: impl Fn(&T, &str) -> Option<(Place, u64)>,
    promises_more: bool,
) -> Result<Paged<T>, Answer> {
    let field = wish.param("sort_by").unwrap_or("id");
    let direction = wish.param("sort_direction").unwrap_or("asc");
    let descends = match direction {
        "asc" => false,
        "desc" => true,
        _ => return Err(invalid("sort_direction must be one of [asc, desc]")),
    };
    let sorted = |item: T| place(&item, field).map(|place| (place, item));
    let all: Option<Vec<_>> = items.map(sorted).collect();
    let mut all = all.ok_or_else(|| invalid(&format!("cannot sort by {field}")))?;
    all.sort_by(|(one, _), (other, _)| if descends { other.cmp(one) } else { one.cmp(other) });
    if let Some(cursor) = wish.param("cursor") {
        let from = Cursor::read(cursor).filter(|from| from.field == field && from.sort_direction == direction);
        let from = from.ok_or_else(|| invalid("Invalid cursor"))?;
        let from = (from.field_value, from.id);
        all.retain(|(place, _)| if descends { *place <= from } else { *place >= from });
    }
    let limit = wish.number("limit")?.unwrap_or(100);
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0).ok_or_else(|| invalid("limit is too small"))?;
    let limit = limit.min(MOST);
    let cursor = |(field_value, id): &(Place, u64)| Cursor {
        field: field.to_owned(),
        field_value: field_value.clone(),
        sort_direction: direction.to_owned(),
        id: *id,
    };
    let here = all.first().map(|(place, _)| cursor(place));
    let more = all.get(limit).map(|(place, _)| cursor(place));
    all.truncate(limit);
    let promised = all.last().filter(|_| promises_more && all.len() == limit);
    let next = more.or_else(|| promised.map(|(place, _)| cursor(place).behind()));
    Ok(Paged { items: all.into_iter().map(|(_, item)| item).collect(), here, next })
}
