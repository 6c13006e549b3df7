//! Records as rows of cells, one for each column, whether they come as JSON or in an export.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::sources::salesforce::columns::Columns;
use crate::sources::salesforce::describe::Kind;
use crate::sources::wire::Unreadable;

/// One record: a cell for each column, `None` if empty.
#[derive(Debug)]
pub(super) struct Row(Vec<Option<Box<RawValue>>>);

impl Row {
    /// A record of a list; `None` if it is not an object.
    pub(super) fn of_json(json: &RawValue, columns: &Columns) -> Option<Self> {
        let record: HashMap<String, &RawValue> = serde_json::from_str(json.get()).ok()?;
        let cells = columns.fields().iter().map(|field| cell(&record, &field.path));
        cells.collect::<Result<Vec<_>, _>>().ok().map(Self)
    }

    /// A line of an export; an empty text is an empty cell.
    pub(super) fn of_csv<'a>(cells: impl Iterator<Item = &'a str>, columns: &Columns) -> Self {
        let fields = columns.fields().iter();
        Self(fields.zip(cells).map(|(field, text)| typed(text, field.kind)).collect())
    }

    /// The cell of a column.
    pub(super) fn cell(&self, place: usize) -> Option<&RawValue> {
        self.0.get(place)?.as_deref()
    }
}

fn present(value: &RawValue) -> Option<&RawValue> {
    Some(value).filter(|value| value.get() != "null")
}

/// The cell at the end of a path. A missing parent is null; any other value without fields is an error.
fn cell(record: &HashMap<String, &RawValue>, path: &str) -> Result<Option<Box<RawValue>>, Unreadable> {
    match path.split_once('.') {
        None => Ok(record.get(path).copied().and_then(present).map(ToOwned::to_owned)),
        Some((parent, rest)) => match record.get(parent).copied().and_then(present) {
            Some(parent) => cell(&serde_json::from_str(parent.get()).map_err(|_| Unreadable)?, rest),
            None => Ok(None),
        },
    }
}

/// A text of an export as the list would have sent it.
fn typed(text: &str, kind: Kind) -> Option<Box<RawValue>> {
    if text.is_empty() {
        return None;
    }
    let is_bare = match kind {
        Kind::Number | Kind::Percent => text.starts_with(|first: char| first == '-' || first.is_ascii_digit()),
        Kind::Truth => matches!(text, "true" | "false"),
        _ => false,
    };
    let bare = is_bare.then(|| RawValue::from_string(text.to_owned()).ok()).flatten();
    bare.or_else(|| serde_json::value::to_raw_value(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_an_export_is_what_the_list_would_have_sent() {
        for (text, kind, json) in [
            ("50000.0", Kind::Number, Some("50000.0")),
            ("1.0E7", Kind::Number, Some("1.0E7")),
            ("-5", Kind::Number, Some("-5")),
            ("50000.0", Kind::Text, Some("\"50000.0\"")),
            ("007", Kind::Number, Some("\"007\"")),
            ("true", Kind::Truth, Some("true")),
            ("true", Kind::Text, Some("\"true\"")),
            ("a \"b\"\n,c", Kind::Text, Some(r#""a \"b\"\n,c""#)),
            ("", Kind::Text, None),
        ] {
            assert_eq!(typed(text, kind).as_deref().map(RawValue::get), json, "{text}");
        }
    }
}
