//! One list of the CRM, read page by page: the deals, or the table of a look-up.

use serde_json::Value;

use crate::http::Http;
use crate::settings::Problem;
use crate::sources::fetch::Guards;
use crate::sources::rest::auth::strip;
use crate::sources::rest::client::{Answer, Client};
use crate::sources::rest::headers::Secrets;
use crate::sources::rest::json::Node;
use crate::sources::rest::paging::{Next, Paging, Place};
use crate::sources::rest::path::Path;
use crate::sources::rest::record::Record;
use crate::sources::rest::records::Records;
use crate::sources::rest::request::{PageOverrides, Request};
use crate::sources::source::{End, SourceError};

/// A list and how it is paged.
pub(super) struct List {
    request: Request,
    paging: Paging,
    pub(super) records: Records,
}

/// One page of a list.
pub(super) struct Batch<'a> {
    /// The records, wanted or not.
    pub(super) records: Vec<Record<'a>>,
    /// How many the CRM says there are in all.
    pub(super) total: Option<u64>,
    /// Where the next page is.
    pub(super) next: Option<String>,
    /// At the end: how it is known.
    pub(super) end: End,
}

/// Where a request names the rows that it wants.
pub(super) enum Asked {
    /// Parameters of the query.
    Query(Vec<(String, String)>),
    /// A place of the body.
    Body(Path, Value),
}

impl Asked {
    /// Names the rows in a request, unless the CRM gave the address.
    fn put(&self, page: &mut PageOverrides) {
        match self {
            _ if page.link.is_some() => {}
            Self::Query(pairs) => page.query.extend(pairs.iter().cloned()),
            Self::Body(place, ids) => page.body.push((place.clone(), ids.clone())),
        }
    }
}

impl List {
    /// Fails if two parts set the same place.
    pub(super) fn new(request: Request, paging: Paging, records: Records) -> Result<Self, Vec<Problem>> {
        let problems: Vec<Problem> = paging.places().filter_map(|place| clash(place, &request)).collect();
        if problems.is_empty() { Ok(Self { request, paging, records }) } else { Err(problems) }
    }

    pub(super) fn paging(&self) -> &Paging {
        &self.paging
    }

    /// Reports an address on another host than the endpoint's.
    pub(super) fn check_address(&self, http: &Http) -> Option<Problem> {
        self.request.check_address(http)
    }

    /// The secrets of its requests, each with its key.
    pub(super) fn secrets(&self) -> Secrets {
        self.request.secrets()
    }

    /// Requests the page at `after`.
    pub(super) async fn ask(&self, client: &Client, after: Option<&str>) -> Result<Answer, SourceError> {
        self.send(client, &self.paging.overrides(after)).await
    }

    /// Reads a table to its end, all rows or those `asked` for. Returns how the end is known. Fails if fewer rows came
    /// than the list counts.
    pub(super) async fn walk(
        &self,
        client: &Client,
        asked: Option<&Asked>,
        mut take: impl FnMut(&[Record<'_>]),
    ) -> Result<End, SourceError> {
        let mut guards = Guards::new(self.paging.bounds());
        let mut total = None;
        let mut rows = 0;
        let mut after: Option<String> = None;
        let end = loop {
            let mut page = self.paging.overrides(after.as_deref());
            if let Some(asked) = asked {
                asked.put(&mut page);
            }
            let answer = self.send(client, &page).await?;
            let document = answer.document()?;
            let batch = self.split(client, &answer, &document, after.as_deref())?;
            let prints: Vec<String> = batch.records.iter().map(Record::fingerprint).collect();
            rows += prints.len() as u64;
            guards.check(&prints, prints.len() as u64, batch.next.as_deref()).map_err(SourceError::Paging)?;
            take(&batch.records);
            total = batch.total.or(total);
            after = batch.next;
            if after.is_none() {
                break batch.end;
            }
        };
        match total.filter(|total| rows.saturating_add(self.paging.total_tolerance()) < *total) {
            Some(total) => Err(SourceError::Paging(format!("the table ends after {rows} of {total} rows"))),
            None => Ok(if total.is_some() { end.counted() } else { end }),
        }
    }

    async fn send(&self, client: &Client, page: &PageOverrides) -> Result<Answer, SourceError> {
        let http = client.http().await?;
        let draft = self.request.draft(&http, &client.keyring, &client.headers, page)?;
        client.send(&http, &draft).await
    }

    /// Finds the records of an answer, and where the next page is.
    pub(super) fn split<'a>(
        &self,
        client: &Client,
        answer: &'a Answer,
        document: &Node<'a>,
        after: Option<&str>,
    ) -> Result<Batch<'a>, SourceError> {
        let records = if answer.is_nothing() {
            Vec::new()
        } else {
            client.check(document)?;
            self.records.all(document)?
        };
        let page = self.paging.answer(document, (answer.status, &answer.headers), &records, after);
        let total = page.total();
        if answer.is_end {
            return Ok(Batch { records, total, next: None, end: End::Said });
        }
        let next = match self.paging.next(&page).map_err(SourceError::Paging)? {
            None => None,
            Some(Next::Position(position)) => Some(position),
            Some(Next::Link(link)) => {
                let mut url = answer.http.join(&answer.url, &link)?;
                let own: Vec<&str> = self.request.hidden().chain(client.credentials.param()).collect();
                strip(&mut url, &own);
                Some(url.into())
            }
        };
        let end = match &next {
            Some(_) => End::default(),
            None if answer.is_nothing() => self.paging.end_without_a_body(answer.status, after),
            None => self.paging.end(&page),
        };
        Ok(Batch { records, total, next, end })
    }
}

/// Reports a place of `paging` that the request sets too, or does not have.
fn clash(place: &Place, request: &Request) -> Option<Problem> {
    let at = |table: &str, name: String| vec![table.to_owned(), name];
    let (path, is_set) = match place {
        Place::Query(name) => (at("query", name.clone()), request.sets_param(name)),
        Place::Header(name) => (at("headers", name.clone()), request.sets_header(name)),
        Place::Body(_) if !request.has_body() => {
            let problem = Problem::at("paging.in", "`body` needs a request with a body");
            return Some(problem.hint("`method = \"POST\"` of the request, or `in = \"query\"`"));
        }
        Place::Body(place) if !request.takes_place(place) => {
            let message = format!("has no place `{place}`, which `paging` sets");
            let hint = Some("write the table or list there that is to hold it".to_owned());
            return Some(Problem { path: vec!["body".to_owned()], message, hint });
        }
        Place::Body(place) => (at("body", place.to_string()), request.sets_place(place)),
    };
    is_set.then(|| Problem {
        path,
        message: "is set by `paging` too".to_owned(),
        hint: Some("one of the two".to_owned()),
    })
}
