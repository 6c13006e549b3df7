//! The shapes that several answers share: a page of records, and where the next one is.
//!
//! Unknown keys are ignored.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::sources::wire::Id;

/// A list: its records unread, so that one that cannot be read loses no other.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) results: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(super) total: Option<u64>,
    #[serde(default)]
    paging: Option<Paging>,
}

impl Listed {
    /// The cursor of the next page. HubSpot gives a link too, which can lead anywhere and is not followed.
    pub(super) fn next(&self) -> Option<&str> {
        self.paging.as_ref()?.after()
    }
}

/// Where the next page is.
#[derive(Debug, Deserialize)]
pub(super) struct Paging {
    #[serde(default)]
    next: Option<Next>,
}

#[derive(Debug, Deserialize)]
struct Next {
    after: Id,
}

impl Paging {
    /// The cursor, unless this is the last page.
    pub(super) fn after(&self) -> Option<&str> {
        self.next.as_ref().map(|next| next.after.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_told_by_the_cursor_alone() {
        let next = |json: &str| serde_json::from_str::<Listed>(json).unwrap().next().map(ToOwned::to_owned);
        let link = r#"{"results":[],"paging":{"next":{"after":200,"link":"https://evil.example/"}},"unknown":1}"#;
        assert_eq!(next(link).as_deref(), Some("200"));
        assert_eq!(next(r#"{"results":[{}]}"#), None);
        assert_eq!(next(r#"{"results":[],"paging":null}"#), None);
        assert_eq!(next(r#"{"results":[],"paging":{}}"#), None);
        assert!(serde_json::from_str::<Listed>("{}").is_err(), "no list is no empty list");
    }
}
