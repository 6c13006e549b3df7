//! How it is known that an answer without a next page is the last one.

use crate::sources::link::relation;
use crate::sources::rest::paging::{Paging, Seen, Way};
use crate::sources::rest::path::Path;
use crate::sources::source::End;

/// The page sizes that servers fall back on.
pub(super) const PAGE_SIZES: [u64; 12] = [10, 15, 20, 25, 30, 50, 60, 100, 200, 250, 500, 1000];
/// The status that says that there is nothing to say.
const NO_CONTENT: u16 = 204;

/// What leads from one answer to the next.
pub(super) enum Lead<'a> {
    /// A place in the answer: the next one, or whether there is one.
    Path(&'a Path),
    /// A header of its own.
    Header(&'a str),
    /// A relation in `Link`.
    Relation(&'a str),
}

impl Lead<'_> {
    /// Where it ends, where the answer has nothing of it. Null is a word: there is no more.
    fn is_absent(&self, seen: &Seen<'_, '_>) -> Option<String> {
        match self {
            Self::Path(path) => path
                .reach(seen.document)
                .err()
                .filter(|stop| !stop.null)
                .map(|stop| format!("{} in it", path.ends(stop))),
            Self::Header(name) => {
                (!seen.headers.contains_key(*name)).then(|| format!("the header `{name}` is missing"))
            }
            Self::Relation(rel) => {
                relation(seen.headers, rel).is_none().then(|| format!("its `Link` names no `{rel}` page"))
            }
        }
    }
}

impl Paging {
    /// How the end is known.
    pub(in crate::sources::rest) fn end(&self, seen: &Seen<'_, '_>) -> End {
        let total = self.total(seen.document, seen.headers);
        if let Some(doubt) = self.doubt(seen, total) {
            return doubt;
        }
        match &self.way {
            Way::One | Way::Unsaid => End::OneAnswer,
            Way::Counted(counted) if self.has_more.is_none() && counted.ends_by(total, seen) => End::Counted,
            _ => End::Said,
        }
    }

    /// The same of an answer without a body. Only with 204 a server says that there is nothing (contract §2.1): any
    /// other may have lost it on the way.
    pub(in crate::sources::rest) fn end_without_a_body(&self, status: u16, after: Option<&str>) -> End {
        let is_promised = after.is_some() && self.way.lead().is_some();
        let why = match status {
            NO_CONTENT if !is_promised => return End::Said,
            NO_CONTENT => "the answer before the last one named a next page, and that has no content",
            _ => "the last answer has no body: is that the end?",
        };
        End::Unproven { why: why.to_owned(), blocks_publish: status != NO_CONTENT }
    }

    /// A total that was to be found and was not; or on a first page that may be cut, nothing that leads on.
    fn doubt(&self, seen: &Seen<'_, '_>, total: Option<u64>) -> Option<End> {
        if let (Some(spot), None) = (&self.total, total) {
            return Some(End::Unproven { why: format!("`{spot}` is no count in any answer"), blocks_publish: true });
        }
        let rows = seen.records.len() as u64;
        let is_full = self.size.as_ref().is_some_and(|size| rows >= size.size);
        // Who went on once has found the way.
        if seen.after.is_some() || total.is_some() || !(is_full || PAGE_SIZES.contains(&rows)) {
            return None;
        }
        let why = self.without_a_lead(seen)?;
        let why = format!("{rows} records came in one answer, as many as a page may hold, and {why}: are these all?");
        Some(End::Unproven { why, blocks_publish: is_full })
    }

    /// Why nothing leads on from an answer, where nothing in it says that there is no more.
    fn without_a_lead(&self, seen: &Seen<'_, '_>) -> Option<String> {
        match &self.way {
            Way::Unsaid => return Some("no `paging` is configured".to_owned()),
            Way::One | Way::Range(_) => return None,
            Way::Counted(_) | Way::Cursor(_) | Way::Link(_) => {}
        }
        // Whether there is more may be said in either place.
        let has_more = self.has_more.as_ref().map(Lead::Path);
        let leads: Vec<Lead<'_>> = has_more.into_iter().chain(self.way.lead()).collect();
        let absent: Vec<String> = leads.iter().map_while(|lead| lead.is_absent(seen)).collect();
        (!leads.is_empty() && absent.len() == leads.len()).then(|| absent.join(", and "))
    }
}

impl Way {
    /// What names the next page in an answer, where anything does.
    fn lead(&self) -> Option<Lead<'_>> {
        match self {
            Self::One | Self::Unsaid | Self::Counted(_) | Self::Range(_) => None,
            Self::Cursor(cursor) => cursor.lead(),
            Self::Link(link) => Some(link.lead()),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::settings::section;
    use crate::sources::rest::json::Node;
    use crate::sources::rest::record::Record;

    fn end(paging: &str, after: Option<&str>, records: usize, document: &str) -> End {
        let record = r#"{"id": "1"}"#;
        let records: Vec<Record<'_>> =
            (0..records).map(|_| Record::of(serde_json::from_str(record).unwrap())).collect();
        let (document, headers) = (Node::document(document).unwrap(), HeaderMap::new());
        let seen = Seen { document: &document, status: 200, headers: &headers, records: &records, after };
        Paging::read(section(paging)).unwrap().end(&seen)
    }

    /// Whether the end is doubtful, and then whether gravely.
    fn grave(end: &End) -> Option<bool> {
        match end {
            End::Unproven { blocks_publish, .. } => Some(*blocks_publish),
            _ => None,
        }
    }

    const CURSOR: &str = "type = 'cursor'\ncursor = '$.meta.next'\nparam = 'after'";
    const SIZED: &str = "size_param = 'limit'\nsize = 3";

    #[test]
    fn a_full_first_page_from_which_nothing_leads_on_may_be_one_of_several() {
        for way in [
            CURSOR,
            "type = 'cursor'\ncursor = 'X-Next'\ncursor_from = 'header'\nparam = 'after'",
            "type = 'next_url'\nnext = '$.meta.next'",
            "type = 'link_header'",
            "type = 'page'\nhas_more = '$.meta.more'",
            "type = 'cursor'\ncursor = '$.meta.next'\nparam = 'after'\nhas_more = '$.meta.more'",
        ] {
            let sized = format!("{way}\n{SIZED}");
            assert_eq!(grave(&end(&sized, None, 3, r#"{"meta": {"weiter": 1}}"#)), Some(true), "{way}");
            assert_eq!(grave(&end(&sized, None, 2, r#"{"meta": {}}"#)), None, "{way}: no full page");
            assert_eq!(grave(&end(&sized, Some("x"), 3, r#"{"meta": {}}"#)), None, "{way}: the way was found before");
            assert_eq!(grave(&end(way, None, 20, r#"{"meta": {}}"#)), Some(false), "{way}: as servers fall back on");
            assert_eq!(grave(&end(way, None, 21, r#"{"meta": {}}"#)), None, "{way}");
        }
        let End::Unproven { why, .. } = end(&format!("{CURSOR}\n{SIZED}"), None, 3, r#"{"meta": {}}"#) else {
            panic!()
        };
        assert_eq!(
            why,
            "3 records came in one answer, as many as a page may hold, and `$.meta.next`: `next` is missing in it: are \
             these all?"
        );
    }

    #[test]
    fn only_204_says_without_a_body_that_the_list_has_ended() {
        let paging = |toml: &str| Paging::read(section(toml)).unwrap();
        let (page, cursor) = (paging("type = 'page'"), paging(CURSOR));
        let last = paging("type = 'cursor'\ncursor = '$.id'\ncursor_from = 'last_record'\nparam = 'after'");
        for (paging, after) in [(&page, None), (&page, Some("3/2/0/1")), (&cursor, None), (&last, Some("x"))] {
            assert_eq!(paging.end_without_a_body(204, after), End::Said, "{after:?}");
            assert_eq!(grave(&paging.end_without_a_body(200, after)), Some(true), "{after:?}");
        }
        assert_eq!(grave(&cursor.end_without_a_body(204, Some("x"))), Some(false), "it was promised");
    }

    #[test]
    fn a_word_of_the_end_is_believed() {
        let sized = format!("{CURSOR}\nhas_more = '$.more'\n{SIZED}");
        for answer in
            [r#"{"meta": {"next": null}}"#, r#"{"meta": {"next": ""}}"#, r#"{"meta": null}"#, r#"{"more": false}"#]
        {
            assert_eq!(end(&sized, None, 3, answer), End::Said, "{answer}");
        }
        assert_eq!(end(&format!("{CURSOR}\ntotal = '$.n'\n{SIZED}"), None, 3, r#"{"n": 3}"#), End::Said, "counted");
    }

    #[test]
    fn a_total_that_no_answer_has_is_missed_and_one_that_ended_the_walk_is_named() {
        let paging = "type = 'page'\ntotal = '$.n'";
        for answer in ["{}", r#"{"n": "1,007"}"#, r#"{"n": null}"#] {
            assert_eq!(grave(&end(paging, Some("2/2/0/1"), 0, answer)), Some(true), "{answer}");
        }
        assert_eq!(end(paging, None, 2, r#"{"n": 2}"#), End::Counted);
        assert_eq!(end(paging, None, 0, r#"{"n": 2}"#), End::Said, "nobody believed the count");
    }

    #[test]
    fn one_answer_of_a_usual_page_size_is_doubted_only_where_no_paging_is_configured() {
        assert_eq!(grave(&end("", None, 100, "[]")), Some(false));
        assert_eq!(end("", None, 101, "[]"), End::OneAnswer);
        assert_eq!(end("type = 'none'", None, 100, "[]"), End::OneAnswer);
    }
}
