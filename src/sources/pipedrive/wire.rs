//! The envelope around every answer.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::sources::answer;
use crate::sources::source::SourceError;

/// The most records of a page of any list.
pub(super) const PAGE: &str = "500";

/// A record by key.
pub(super) type Record = HashMap<String, Box<RawValue>>;

#[derive(Deserialize)]
struct Envelope<T> {
    success: bool,
    data: Option<T>,
    additional_data: Option<Box<RawValue>>,
}

/// What an answer holds.
#[derive(Debug)]
pub(super) struct Answer<T> {
    /// `data`; `None` if it is null.
    pub(super) data: Option<T>,
    /// The cursor of the next page; `None` if it is null or missing.
    pub(super) next: Option<String>,
    /// How the answer marks the end of the list.
    pub(super) end: EndMarker,
}

/// Whether an answer without a cursor is the last one of its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndMarker {
    /// The cursor is null.
    Explicit,
    /// The answer has no cursor key.
    Absent,
    /// Another key says that there is more.
    Contradicted,
}

impl EndMarker {
    /// Reads the keys of version 2 of the API and those of version 1, which some answers of version 2 have.
    fn of(beside: &Record) -> Self {
        let is =
            |record: &Record, key: &str, json: fn(&str) -> bool| record.get(key).is_some_and(|value| json(value.get()));
        let older: Record = beside.get("pagination").map(|value| keys(value)).unwrap_or_default();
        let has_more = |record: &Record| is(record, "more_items_in_collection", |json| json == "true");
        if has_more(beside) || has_more(&older) || is(&older, "next_cursor", |json| json != "null") {
            Self::Contradicted
        } else if beside.contains_key("next_cursor") {
            Self::Explicit
        } else {
            Self::Absent
        }
    }
}

/// The keys of an object; none of other values, because the API writes some empty objects as lists.
fn keys(value: &RawValue) -> Record {
    serde_json::from_str(value.get()).unwrap_or_default()
}

/// Reads a whole answer. Broken JSON is a transient error, like a failure of the server.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<Answer<T>, SourceError> {
    if text.trim() == "null" {
        return Err(SourceError::Cut("it is null".to_owned()));
    }
    answer::check_parts(text)?;
    let envelope: Envelope<T> = serde_json::from_str(text).map_err(|error| {
        if error.is_syntax() {
            SourceError::Cut(format!("its JSON is broken (line {}, column {})", error.line(), error.column()))
        } else {
            answer::not_json(&error, text.len())
        }
    })?;
    if !envelope.success {
        return Err(SourceError::Malformed("the answer is an error, though its status says otherwise".to_owned()));
    }
    let beside = envelope.additional_data.as_deref().map(keys).unwrap_or_default();
    let next = beside.get("next_cursor").map(|cursor| serde_json::from_str::<Option<String>>(cursor.get())).transpose();
    let next = next.map_err(|error| answer::not_json(&error, text.len()))?.flatten();
    Ok(Answer { data: envelope.data, next, end: EndMarker::of(&beside) })
}

impl<T> Answer<T> {
    /// `data`, which must not be null.
    pub(super) fn data(self) -> Result<T, SourceError> {
        self.data.ok_or_else(|| SourceError::Malformed("the answer is empty where something must be".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(json: &str) -> Result<Option<String>, SourceError> {
        read::<Vec<Box<RawValue>>>(json).map(|answer| answer.next)
    }

    #[test]
    fn a_null_cursor_and_none_at_all_are_the_end_and_a_short_page_is_not() {
        for end in [
            r#"{"success": true, "data": [], "additional_data": {"next_cursor": null}}"#,
            r#"{"success": true, "data": [{}], "additional_data": {}}"#,
            r#"{"success": true, "data": [{}], "additional_data": null}"#,
            r#"{"success": true, "data": [{}], "additional_data": []}"#,
            r#"{"success": true, "data": [{}]}"#,
        ] {
            assert_eq!(next(end).unwrap(), None, "{end}");
        }
        let short = r#"{"success": true, "data": [], "additional_data": {"next_cursor": "eyJ9"}, "related": {}}"#;
        assert_eq!(next(short).unwrap().as_deref(), Some("eyJ9"));
    }

    #[test]
    fn an_end_that_is_said_is_told_from_one_that_is_not_and_from_none() {
        for (beside, end) in [
            (r#"{"next_cursor": null}"#, EndMarker::Explicit),
            ("{}", EndMarker::Absent),
            (r#"{"pagination": {"start": 0, "limit": 500, "more_items_in_collection": false}}"#, EndMarker::Absent),
            (r#"{"pagination": {"more_items_in_collection": true, "next_start": 500}}"#, EndMarker::Contradicted),
            (r#"{"pagination": {"next_cursor": "eyJ9"}}"#, EndMarker::Contradicted),
            (r#"{"next_cursor": null, "more_items_in_collection": true}"#, EndMarker::Contradicted),
        ] {
            let text = format!(r#"{{"success": true, "data": [], "additional_data": {beside}}}"#);
            assert_eq!(read::<Vec<Box<RawValue>>>(&text).unwrap().end, end, "{beside}");
        }
        assert!(next(r#"{"success": true, "data": [], "additional_data": {"next_cursor": 7}}"#).is_err());
    }

    #[test]
    fn success_false_is_an_error_and_no_empty_list() {
        for json in [r#"{"success": false, "data": null, "error": "canary"}"#, r#"{"success": false, "data": []}"#] {
            let error = next(json).unwrap_err();
            assert_eq!(error.to_string(), "the answer is an error, though its status says otherwise");
            assert!(!error.is_transient());
        }
        assert!(next(r#"{"data": []}"#).is_err(), "without a word it is nobody's answer");
        let nothing = read::<Vec<Box<RawValue>>>(r#"{"success": true, "data": null}"#).unwrap();
        assert!(matches!(nothing.data(), Err(SourceError::Malformed(_))));
    }

    #[test]
    fn broken_json_and_null_are_tried_again() {
        for text in ["null", " null\n", "", "{\"success\": tru", "{\"success\": true,, }", "oops"] {
            assert!(next(text).unwrap_err().is_transient(), "{text}");
        }
        for text in ["[]", "7", r#"{"success": true, "data": {}}"#] {
            assert!(!next(text).unwrap_err().is_transient(), "{text}");
        }
    }
}
