//! The deals as an export: a job that Salesforce works through by itself, and its result as tables (contract §1.7).
//!
//! For accounts so large that pages would cost too many requests. The job is deleted at the end, whatever became of it.

use std::time::Duration;

use csv::{ReaderBuilder, StringRecord};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

use crate::http::Reply;
use crate::model::finding::Findings;
use crate::sources::salesforce::client::Client;
use crate::sources::salesforce::columns::Columns;
use crate::sources::salesforce::fields::Reader;
use crate::sources::salesforce::list::take;
use crate::sources::salesforce::rows::Row;
use crate::sources::source::{Page, SourceError};

/// The most deals of one page.
pub(super) const PAGE: u64 = 50_000;
/// The longest wait between two looks at a job; each look is a request.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Order<'a> {
    operation: &'static str,
    query: &'a str,
    content_type: &'static str,
    column_delimiter: &'static str,
    line_ending: &'static str,
}

#[derive(Serialize)]
struct End {
    state: &'static str,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    state: String,
    #[serde(default)]
    number_records_processed: Option<u64>,
}

/// Orders an export; the id of its job.
pub(super) async fn create(client: &Client, soql: &str) -> Result<String, SourceError> {
    let order =
        Order { operation: "queryAll", query: soql, content_type: "CSV", column_delimiter: "COMMA", line_ending: "LF" };
    let job: Told = client.post(&client.path("jobs/query"), &order).await?;
    let is_id = !job.id.is_empty() && job.id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then_some(job.id).ok_or_else(|| SourceError::Malformed("the answer is no job of an export".to_owned()))
}

/// Waits until the job is done, ever longer between two looks; how many records it holds.
pub(super) async fn wait(client: &Client, job: &str, first: Duration) -> Result<u64, SourceError> {
    let mut wait = first.min(LONGEST_WAIT);
    loop {
        let told: Told = client.get(&client.path(&format!("jobs/query/{job}"))).await?;
        match told.state.as_str() {
            "JobComplete" => {
                let malformed = || SourceError::Malformed("the answer does not say how large the export is".to_owned());
                return told.number_records_processed.ok_or_else(malformed);
            }
            "UploadComplete" | "InProgress" => {}
            // Both are its end; the next pull orders another one.
            word @ ("Aborted" | "Failed") => {
                return Err(SourceError::Paging(format!("the CRM's export job ended as {word}")));
            }
            _ => return Err(SourceError::Malformed("the answer is no state of an export".to_owned())),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// A page of the result; `after` is the locator of the page before. `next` is a locator.
pub(super) async fn page(
    client: &Client,
    job: &str,
    after: Option<&str>,
    reader: &Reader<'_>,
) -> Result<Page, SourceError> {
    let mut parameters = Url::parse("form:").expect("a scheme alone is a URL");
    parameters.query_pairs_mut().append_pair("maxRecords", &PAGE.to_string());
    parameters.query_pairs_mut().extend_pairs(after.map(|locator| ("locator", locator)));
    let query = parameters.query().unwrap_or_default();
    let reply = client.table(&client.path(&format!("jobs/query/{job}/results?{query}"))).await?;
    // The last page has the word itself in its place, and others leave it out.
    let next = reply.header("sforce-locator").filter(|locator| *locator != "null").map(ToOwned::to_owned);
    let told = reply.header("sforce-numberofrecords").and_then(|count| count.parse::<u64>().ok());
    let mut page = read(&reply, reader)?;
    if told.is_some_and(|told| told != page.fetched()) {
        return Err(SourceError::Cut(format!("it holds {} records, and not as many as it says", page.fetched())));
    }
    page.next = next;
    Ok(page)
}

/// Deletes the job, ended first if it is not done; the server would in a week.
pub(super) async fn delete(client: &Client, job: &str, is_done: bool) {
    let path = client.path(&format!("jobs/query/{job}"));
    if !is_done {
        // A job that failed by itself has ended too.
        let _ = client.patch(&path, &End { state: "Aborted" }).await;
    }
    if let Err(error) = client.delete(&path).await {
        tracing::warn!("The export's job stays with the CRM for up to a week: {error}");
    }
}

fn read(reply: &Reply, reader: &Reader<'_>) -> Result<Page, SourceError> {
    let kind = reply.header(CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    if !kind.starts_with("text/csv") {
        return Err(SourceError::Malformed("the answer is not labelled as a table".to_owned()));
    }
    let mut lines = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(reply.body.as_slice());
    let (mut page, mut findings) = (Page::default(), Findings::default());
    let (mut line, mut place) = (StringRecord::new(), 0);
    let mut is_first = true;
    while lines.read_record(&mut line).map_err(|_| SourceError::Malformed("the answer is no table".to_owned()))? {
        // Each page has the head of the table; if one had not, its first line would be a deal.
        if std::mem::take(&mut is_first) && is_head(&line, reader.columns) {
            continue;
        }
        if line.len() != reader.columns.fields().len() {
            return Err(SourceError::Cut(format!("a line of the table has {} columns", line.len())));
        }
        place += 1;
        // A text can hold the byte zero, which no program likes.
        let cells: Vec<String> = line.iter().map(|cell| cell.replace('\0', "")).collect();
        let row = Row::of_csv(cells.iter().map(String::as_str), reader.columns);
        take(reader.read(&row, &mut findings), place, &mut page);
    }
    page.findings = findings;
    Ok(page)
}

fn is_head(line: &StringRecord, columns: &Columns) -> bool {
    let names = columns.fields().iter().map(|field| field.path.as_str());
    line.len() == columns.fields().len() && line.iter().zip(names).all(|(cell, name)| cell.eq_ignore_ascii_case(name))
}
