//! One list of the CRM, read page by page: the deals, or the table of a look-up.

use std::collections::BTreeMap;

use reqwest::Url;
use serde::Deserialize;

use crate::http::{Http, HttpError};
use crate::settings::Problem;
use crate::sources::rest::client::{Answer, Client, Headers, check_headers};
use crate::sources::rest::json::{Constants, Json, Node};
use crate::sources::rest::paging::{Next, Paging, Seen};
use crate::sources::rest::records::Records;
use crate::sources::source::SourceError;

/// What is asked for; `[sources.x.request]`, and the same keys of a look-up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    #[serde(default)]
    path: String,
    #[serde(default)]
    query: BTreeMap<String, Constants>,
    #[serde(default)]
    headers: Headers,
}

/// A list and how it is paged.
pub(super) struct List {
    path: String,
    query: Vec<(String, String)>,
    headers: Headers,
    paging: Paging,
    /// Where its records are.
    pub(super) records: Records,
}

/// One page of a list.
pub(super) struct Batch<'a> {
    /// The records, wanted or not.
    pub(super) records: Vec<Json<'a>>,
    /// How many the CRM says there are in all.
    pub(super) total: Option<u64>,
    /// Where the next page is.
    pub(super) next: Option<String>,
}

impl List {
    /// Puts a list together; what one part sets, another may not.
    pub(super) fn new(request: Request, paging: Paging, records: Records) -> Result<Self, Vec<Problem>> {
        let mut problems = check_headers(&request.headers);
        for param in paging.params() {
            if request.query.contains_key(param) {
                let path = vec!["query".to_owned(), param.to_owned()];
                problems.push(Problem { path, message: "is set by `paging` too".to_owned(), hint: None });
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let pairs = request.query.iter().flat_map(|(key, values)| {
            values.all().iter().filter_map(move |value| Some((key.clone(), value.0.text()?.to_owned())))
        });
        Ok(Self { path: request.path, query: pairs.collect(), headers: request.headers, paging, records })
    }

    /// Whether the list's address is one of this CRM.
    pub(super) fn check_address(&self, http: &Http) -> Option<Problem> {
        match http.url(&self.path) {
            Ok(_) => None,
            Err(HttpError::ForeignOrigin { .. }) => {
                Some(Problem::at("path", "is on another host than `endpoint`").hint("credentials go nowhere else"))
            }
            Err(_) => Some(Problem::at("path", "makes no URL")),
        }
    }

    /// The list's own headers.
    pub(super) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Asks for the page at `after`.
    pub(super) async fn ask(&self, client: &Client, after: Option<&str>) -> Result<Answer, SourceError> {
        client.get(self.url(&client.http, after)?, &self.headers).await
    }

    fn url(&self, http: &Http, after: Option<&str>) -> Result<Url, HttpError> {
        if let (Paging::NextUrl(_), Some(after)) = (&self.paging, after) {
            // Letter by letter as the server gave it.
            return http.url(after);
        }
        let mut url = http.url(&self.path)?;
        let paging = self.paging.query(after);
        let pairs = self.query.iter().chain(&paging);
        if pairs.clone().next().is_some() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        Ok(url)
    }

    /// Finds the records of an answer, and where the next page is.
    pub(super) fn split<'a>(
        &self,
        client: &Client,
        answer: &'a Answer,
        document: &Node<'a>,
        after: Option<&str>,
    ) -> Result<Batch<'a>, SourceError> {
        let records = if answer.is_nothing() { Vec::new() } else { self.records.all(document)? };
        let seen = Seen { document, records: records.len() as u64, after };
        let next = match self.paging.next(&seen).map_err(SourceError::Paging)? {
            None => None,
            Some(Next::Position(position)) => Some(position),
            Some(Next::Link(link)) => {
                let mut url = client.http.join(&answer.url, &link)?;
                client.auth.strip(&mut url);
                Some(url.into())
            }
        };
        Ok(Batch { records, total: self.paging.total(document), next })
    }
}
