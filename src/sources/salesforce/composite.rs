//! Up to five queries in one request, each with its own answer.

use std::collections::HashMap;

use form_urlencoded::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::sources::salesforce::client::{Client, read};
use crate::sources::salesforce::errors::Refusal;
use crate::sources::source::SourceError;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    all_or_none: bool,
    composite_request: Vec<Part>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    method: &'static str,
    url: String,
    reference_id: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    composite_response: Vec<PartAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartAnswer {
    body: Box<RawValue>,
    http_status_code: u16,
    reference_id: String,
}

/// A query and the name that its answer has.
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) soql: String,
    /// With what is in the recycle bin.
    pub(super) with_deleted: bool,
}

/// The answers by name.
pub(super) struct Answers(HashMap<String, (u16, Box<RawValue>)>);

/// Asks them all: the whole is answered well even where a part is refused.
pub(super) async fn ask(client: &Client, queries: Vec<Query>) -> Result<Answers, SourceError> {
    let part = |query: Query| {
        let resource = if query.with_deleted { "queryAll" } else { "query" };
        let parameters = Serializer::new(String::new()).append_pair("q", &query.soql).finish();
        let url = format!("{}?{parameters}", client.path(resource));
        Part { method: "GET", url, reference_id: query.name }
    };
    let question = Question { all_or_none: false, composite_request: queries.into_iter().map(part).collect() };
    let answer: Answer = client.post(&client.path("composite"), &question).await?;
    let parts = answer.composite_response.into_iter();
    let answers = Answers(parts.map(|part| (part.reference_id, (part.http_status_code, part.body))).collect());
    answers.0.keys().filter_map(|name| answers.of(name).err()).for_each(|refusal| client.heed(&refusal.error));
    Ok(answers)
}

impl Answers {
    /// The answer to one query, as it came.
    pub(super) fn of(&self, name: &str) -> Result<&RawValue, Refusal> {
        match self.0.get(name) {
            Some((200, body)) => Ok(body),
            Some((status, body)) => Err(Refusal::read(*status, body.get().as_bytes(), None)),
            None => Err(Refusal {
                error: SourceError::Malformed(format!("the answer holds none to the query `{name}`")),
                code: None,
                name: None,
                is_expired: false,
            }),
        }
    }

    /// Whether a query was answered at all, well or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The records of one answer, and where more of them are.
    pub(super) fn records<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Result<(Vec<T>, Option<String>), Refusal> {
        let body = self.of(name)?;
        let listed: Listed<T> = serde_json::from_str(body.get()).map_err(|_| Refusal {
            error: SourceError::Malformed(format!("the answer to the query `{name}` is of another shape")),
            code: None,
            name: None,
            is_expired: false,
        })?;
        Ok((listed.records, listed.next_records_url))
    }
}

/// The records of a page of any object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed<T> {
    pub(super) records: Vec<T>,
    #[serde(default = "Option::default")]
    pub(super) next_records_url: Option<String>,
}

/// All records from a page on; the pages of look-ups are few.
pub(super) async fn rest<T: serde::de::DeserializeOwned>(
    client: &Client,
    mut next: Option<String>,
) -> Result<Vec<T>, SourceError> {
    let mut all = Vec::new();
    for _ in 0..MAX_PAGES {
        let Some(url) = next else { return Ok(all) };
        let path = client.follow(&client.path("composite"), &url)?;
        let page: Listed<T> = read(&client.text(&path).await?)?;
        all.extend(page.records);
        next = page.next_records_url;
    }
    Err(SourceError::Paging(format!("a look-up is longer than {MAX_PAGES} pages")))
}

/// The most pages of a look-up.
const MAX_PAGES: usize = 100;
