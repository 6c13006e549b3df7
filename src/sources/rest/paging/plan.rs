//! How one list is paged; `[sources.x.paging]`.

use reqwest::header::HeaderMap;

use crate::sources::rest::json::Node;
use crate::sources::rest::paging::answer::{PageAnswer, is_usual_size};
use crate::sources::rest::paging::pager::{Next, Pager};
use crate::sources::rest::paging::place::{PageSize, Place};
use crate::sources::rest::paging::total::Spot;
use crate::sources::rest::path::Path;
use crate::sources::rest::record::Record;
use crate::sources::rest::request::PageOverrides;
use crate::sources::source::{Bounds, End};

const NO_CONTENT: u16 = 204;

/// How one list is paged.
pub(in crate::sources::rest) struct Paging {
    pub(super) pager: Box<dyn Pager>,
    pub(super) size: Option<PageSize>,
    pub(super) total: Option<Spot>,
    pub(super) total_tolerance: u64,
    pub(super) has_more: Option<Path>,
    pub(super) bounds: Bounds,
}

impl Paging {
    /// The places that paging sets, so that nothing else may.
    pub(in crate::sources::rest) fn places(&self) -> impl Iterator<Item = &Place> {
        self.pager.place().into_iter().chain(self.size.iter().map(|size| &size.place))
    }

    /// A page's own part of the request; `None` is the first page.
    pub(in crate::sources::rest) fn overrides(&self, after: Option<&str>) -> PageOverrides {
        let mut request = PageOverrides::default();
        self.pager.set(after, &mut request);
        // An address from the server has its own query.
        if let Some(size) = &self.size
            && (request.link.is_none() || !matches!(size.place, Place::Query(_)))
        {
            size.set(&mut request);
        }
        request
    }

    /// How long the list may be.
    pub(in crate::sources::rest) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// By how many records the total may be wrong.
    pub(in crate::sources::rest) fn total_tolerance(&self) -> u64 {
        self.total_tolerance
    }

    /// Reads what paging needs from an answer; `status` and headers come from its head.
    pub(in crate::sources::rest) fn answer<'n, 'a>(
        &'n self,
        document: &'n Node<'a>,
        (status, headers): (u16, &'n HeaderMap),
        records: &'n [Record<'a>],
        after: Option<&'n str>,
    ) -> PageAnswer<'n, 'a> {
        let total = match &self.total {
            Some(spot) => spot.read(document, headers),
            None => self.pager.total(headers),
        };
        PageAnswer { document, status, headers, records, after, total, has_more: self.has_more.as_ref() }
    }

    /// Where the next page is; `None` at the end.
    pub(in crate::sources::rest) fn next(&self, answer: &PageAnswer<'_, '_>) -> Result<Option<Next>, String> {
        self.pager.next(answer)
    }

    /// How the end is known.
    pub(in crate::sources::rest) fn end(&self, answer: &PageAnswer<'_, '_>) -> End {
        self.doubt(answer).unwrap_or_else(|| self.pager.end(answer))
    }

    /// How the end is known at an answer without a body. Only 204 says that there is nothing: with any other status the
    /// body may be lost.
    pub(in crate::sources::rest) fn end_without_a_body(&self, status: u16, after: Option<&str>) -> End {
        let is_promised = after.is_some() && self.pager.marker().is_some();
        let why = match status {
            NO_CONTENT if !is_promised => return End::Said,
            NO_CONTENT => "the answer before the last one named a next page, and that has no content",
            _ => "the last answer has no body: is that the end?",
        };
        End::Unproven { why: why.to_owned(), blocks_publish: status != NO_CONTENT }
    }

    /// Returns why this may not be the last page: the total is missing, or a full first page has no next page marker.
    fn doubt(&self, answer: &PageAnswer<'_, '_>) -> Option<End> {
        if let (Some(spot), None) = (&self.total, answer.total) {
            return Some(End::Unproven { why: format!("`{spot}` is no count in any answer"), blocks_publish: true });
        }
        let rows = answer.rows();
        let is_full = self.size.as_ref().is_some_and(|size| rows >= size.size);
        // After a second page the marker is known to work.
        if answer.after.is_some() || answer.total.is_some() || !(is_full || is_usual_size(rows)) {
            return None;
        }
        let why = self.pager.describe_missing_marker(answer)?;
        let why = format!("{rows} records came in one answer, as many as a page may hold, and {why}: are these all?");
        Some(End::Unproven { why, blocks_publish: is_full })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    fn end(paging: &str, after: Option<&str>, records: usize, document: &str) -> End {
        let record = r#"{"id": "1"}"#;
        let records: Vec<Record<'_>> =
            (0..records).map(|_| Record::of(serde_json::from_str(record).unwrap())).collect();
        let (document, headers) = (Node::document(document).unwrap(), HeaderMap::new());
        let paging = Paging::read(section(paging)).unwrap();
        paging.end(&paging.answer(&document, (200, &headers), &records, after))
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
