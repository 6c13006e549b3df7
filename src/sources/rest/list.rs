//! One list of the CRM, read page by page: the deals, or the table of a look-up.

use serde_json::Value;

use crate::http::Http;
use crate::settings::Problem;
use crate::sources::fetch::Guards;
use crate::sources::rest::auth::strip;
use crate::sources::rest::client::{Answer, Client};
use crate::sources::rest::headers::Secrets;
use crate::sources::rest::json::Node;
use crate::sources::rest::paging::{Next, Paging, Seen, Turn};
use crate::sources::rest::path::Path;
use crate::sources::rest::record::Record;
use crate::sources::rest::records::Records;
use crate::sources::rest::request::Request;
use crate::sources::source::{End, SourceError};

/// A list and how it is paged.
pub(super) struct List {
    request: Request,
    paging: Paging,
    /// Where its records are.
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

/// What a request for single rows names them by.
pub(super) enum Asked {
    /// Parameters of the query.
    Query(Vec<(String, String)>),
    /// A place of the body.
    Body(Path, Value),
}

impl Asked {
    /// Names the rows in a request; an address that the CRM gave names them itself.
    fn put(&self, turn: &mut Turn) {
        match self {
            _ if turn.link.is_some() => {}
            Self::Query(pairs) => turn.query.extend(pairs.iter().cloned()),
            Self::Body(place, ids) => turn.body.push((place.clone(), ids.clone())),
        }
    }
}

impl List {
    /// Puts a list together; what one part sets, another may not.
    pub(super) fn new(request: Request, paging: Paging, records: Records) -> Result<Self, Vec<Problem>> {
        let problems: Vec<Problem> = paging.places().filter_map(|place| place.clashes(&request)).collect();
        if problems.is_empty() { Ok(Self { request, paging, records }) } else { Err(problems) }
    }

    /// How it is paged.
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

    /// Asks for the page at `after`.
    pub(super) async fn ask(&self, client: &Client, after: Option<&str>) -> Result<Answer, SourceError> {
        self.send(client, &self.paging.turn(after)).await
    }

    /// Reads the table behind it to its end, all rows or those `asked` for; how the end is known. Fails where fewer came
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
            let mut turn = self.paging.turn(after.as_deref());
            if let Some(asked) = asked {
                asked.put(&mut turn);
            }
            let answer = self.send(client, &turn).await?;
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

    async fn send(&self, client: &Client, turn: &Turn) -> Result<Answer, SourceError> {
        let http = client.http().await?;
        let draft = self.request.draft(&http, &client.keyring, &client.headers, turn)?;
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
        let total = self.paging.total(document, &answer.headers);
        if answer.is_end {
            return Ok(Batch { records, total, next: None, end: End::Said });
        }
        let seen = Seen { document, status: answer.status, headers: &answer.headers, records: &records, after };
        let next = match self.paging.next(&seen).map_err(SourceError::Paging)? {
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
            None => self.paging.end(&seen),
        };
        Ok(Batch { records, total, next, end })
    }
}
