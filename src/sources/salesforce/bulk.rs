//! The deals as an export: a job that Salesforce works through by itself, and its result as tables.
//!
//! For accounts so large that pages would cost too many requests. The job is deleted at the end, whatever became of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use csv::{ReaderBuilder, StringRecord};
use form_urlencoded::Serializer;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

use crate::http::Reply;
use crate::model::finding::Findings;
use crate::sources::answer::part;
use crate::sources::salesforce::client::Client;
use crate::sources::salesforce::columns::Columns;
use crate::sources::salesforce::errors::{code_of, is_without_exports};
use crate::sources::salesforce::fields::Reader;
use crate::sources::salesforce::list::take;
use crate::sources::salesforce::rows::Row;
use crate::sources::source::{Page, SourceError};

/// The most deals of one page.
const PAGE: u64 = 50_000;
/// The most lines of a page that are read, whoever chose its size: all its deals are in memory at once.
const MOST_LINES: u64 = 2 * PAGE;
/// How many pages one list of them names.
const LISTED: u64 = 5;
/// The longest wait between two looks at a job; each look is a request.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The most lists of pages of one job.
const MOST_LISTS: usize = 2_000;

/// The message for a failed job.
const FAILED: &str = "the CRM's export job ended as Failed";

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
    /// Why it failed.
    #[serde(default)]
    error_message: Option<String>,
}

/// Some pages of a result.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    result_pages: Vec<Place>,
    /// Whether there are no more of them.
    #[serde(default)]
    done: Option<bool>,
    /// The next page; the vendor's documents use both names.
    #[serde(default, alias = "nextRecordUrl")]
    next_records_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    result_url: String,
}

/// One walk's export.
pub(super) struct Export {
    soql: String,
    /// With what is in the recycle bin.
    with_deleted: bool,
    job: Mutex<Option<Job>>,
    /// A page that was read together with the one before it, by its path.
    ahead: Mutex<Option<(String, Reply)>>,
}

/// An export that was ordered.
#[derive(Debug, Clone)]
struct Job {
    id: String,
    /// How many records it holds, once it is done.
    total: Option<u64>,
    /// The paths of its pages in order, once they are asked for; none where each page says by itself where the next is.
    pages: Option<Arc<[String]>>,
}

impl Export {
    /// One that is not ordered yet.
    pub(super) fn new(soql: String, with_deleted: bool) -> Self {
        Self { soql, with_deleted, job: Mutex::default(), ahead: Mutex::default() }
    }

    /// Whether the list may be read in its stead: the account does not take the order, or gave the job up. That a job
    /// cannot be looked at is another matter.
    pub(super) fn is_given_up(&self, error: &SourceError) -> bool {
        match error.root() {
            SourceError::Unexpected { .. } => self.job().is_none() || is_without_exports(error),
            SourceError::Paging(told) => told.starts_with(FAILED),
            _ => false,
        }
    }

    /// A page, the first one once the job is done; `after` and the page's `next` are paths.
    pub(super) async fn page(
        &self,
        client: &Client,
        first_wait: Duration,
        after: Option<&str>,
        reader: &Reader<'_>,
    ) -> Result<Page, SourceError> {
        let (id, total, pages) = self.done(client, first_wait).await.map_err(part("order an export of the deals"))?;
        let path = after.or(pages.first().map(String::as_str));
        let path = path.map_or_else(|| place(client, &id, None), ToOwned::to_owned);
        let behind = pages.iter().skip_while(|page| **page != path).nth(1);
        let reply = self.fetch(client, &path, behind.map(String::as_str)).await?;
        let mut page = read(&reply, MOST_LINES, reader)?;
        let told = reply.header("sforce-numberofrecords").and_then(|count| count.parse::<u64>().ok());
        if told.is_some_and(|told| told != page.fetched()) {
            return Err(SourceError::Cut(format!("it holds {} records, and not as many as it says", page.fetched())));
        }
        page.total = Some(total);
        // The last page has the word itself in its place, and others leave it out.
        let locator = reply.header("sforce-locator").filter(|locator| *locator != "null" && pages.is_empty());
        page.next = behind.cloned().or_else(|| locator.map(|locator| place(client, &id, Some(locator))));
        Ok(page)
    }

    /// Deletes the job, ended first if it is not done; the server would in a week.
    pub(super) async fn close(&self, client: &Client) {
        let Some(job) = self.job().take() else { return };
        let path = client.path(&format!("jobs/query/{}", job.id));
        if job.total.is_none() {
            // A job that failed by itself has ended too.
            let _ = client.patch(&path, &End { state: "Aborted" }).await;
        }
        if let Err(error) = client.delete(&path).await {
            tracing::warn!("The export's job stays with the CRM for up to a week: {error}");
        }
    }

    /// The walk's own job, done: what was ordered before a failure is not ordered again. Its id, how many records it
    /// holds and, where they are more than a page, the pages.
    async fn done(&self, client: &Client, wait: Duration) -> Result<(String, u64, Arc<[String]>), SourceError> {
        let ordered = self.job().clone();
        let mut job = match ordered {
            Some(job) => job,
            None => Job { id: self.create(client).await?, total: None, pages: None },
        };
        *self.job() = Some(job.clone());
        let total = match job.total {
            Some(total) => total,
            None => self::wait(client, &job.id, wait).await?,
        };
        job.total = Some(total);
        *self.job() = Some(job.clone());
        let pages = match job.pages.take() {
            Some(pages) => pages,
            None if total > PAGE => pages(client, &job.id).await?.into(),
            None => Arc::default(),
        };
        *self.job() = Some(Job { pages: Some(Arc::clone(&pages)), ..job.clone() });
        Ok((job.id, total, pages))
    }

    /// Orders the export; the id of its job.
    async fn create(&self, client: &Client) -> Result<String, SourceError> {
        let order = Order {
            operation: if self.with_deleted { "queryAll" } else { "query" },
            query: &self.soql,
            content_type: "CSV",
            column_delimiter: "COMMA",
            line_ending: "LF",
        };
        let job: Told = client.post(&client.path("jobs/query"), &order).await?;
        let is_id = !job.id.is_empty() && job.id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_id.then_some(job.id).ok_or_else(|| SourceError::Malformed("the answer is no job of an export".to_owned()))
    }

    /// A page, and at once the one behind it, which is there when it is wanted.
    async fn fetch(&self, client: &Client, path: &str, behind: Option<&str>) -> Result<Reply, SourceError> {
        if let Some((_, reply)) = self.ahead().take_if(|(ahead, _)| ahead == path) {
            return Ok(reply);
        }
        let is_there = |path: &str| self.ahead().as_ref().is_some_and(|(ahead, _)| ahead == path);
        let Some(behind) = behind.filter(|behind| !is_there(behind)) else { return client.table(path).await };
        let (reply, next) = tokio::join!(client.table(path), client.table(behind));
        // If it failed it is asked for again, and its failure told, when it is wanted.
        *self.ahead() = next.ok().map(|next| (behind.to_owned(), next));
        reply
    }

    fn job(&self) -> MutexGuard<'_, Option<Job>> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ahead(&self) -> MutexGuard<'_, Option<(String, Reply)>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many requests a result of this many records takes.
pub(super) fn requests(total: u64) -> u64 {
    match total.div_ceil(PAGE) {
        0 | 1 => 1,
        pages => pages.div_ceil(LISTED) + pages,
    }
}

/// Waits until the job is done, ever longer between two looks; how many records it holds.
async fn wait(client: &Client, job: &str, first: Duration) -> Result<u64, SourceError> {
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
            "Aborted" => return Err(SourceError::Paging("the CRM's export job ended as Aborted".to_owned())),
            "Failed" => {
                let code = told.error_message.as_deref().and_then(code_of);
                let why = code.map(|code| format!(" ({code})")).unwrap_or_default();
                return Err(SourceError::Paging(format!("{FAILED}{why}")));
            }
            _ => return Err(SourceError::Malformed("the answer is no state of an export".to_owned())),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// The paths of all pages of a result, which may be read at once; none where the account does not tell them as it
/// should: each page says where the next one is, too.
async fn pages(client: &Client, job: &str) -> Result<Vec<String>, SourceError> {
    let (mut path, mut pages) = (client.path(&format!("jobs/query/{job}/resultPages")), Vec::new());
    for _ in 0..MOST_LISTS {
        let (told, next, done) = match listed(client, &path).await {
            Err(error) if is_untold(&error) => return Ok(Vec::new()),
            listed => listed?,
        };
        pages.extend(told);
        path = match next {
            Some(next) => next,
            None if done == Some(false) => return Ok(Vec::new()),
            None => return Ok(pages),
        };
    }
    Err(SourceError::Paging(format!("the export's pages fill more than {MOST_LISTS} lists")))
}

/// The paths of one list of pages, that of the next list, and whether it is the last one.
async fn listed(client: &Client, path: &str) -> Result<(Vec<String>, Option<String>, Option<bool>), SourceError> {
    let list: List = client.get(path).await?;
    let follow = |url: &String| client.follow(path, url);
    let pages = list.result_pages.iter().map(|place| follow(&place.result_url)).collect::<Result<_, _>>()?;
    Ok((pages, list.next_records_url.as_ref().map(follow).transpose()?, list.done))
}

/// Whether an answer says nothing of where the pages are, rather than that no more may be asked.
fn is_untold(error: &SourceError) -> bool {
    use SourceError::{Forbidden, Malformed, Paging, Unexpected};
    matches!(error.root(), Unexpected { .. } | Forbidden { .. } | Malformed(_) | Paging(_))
}

/// The path of a page; without a locator that of the first.
fn place(client: &Client, job: &str, locator: Option<&str>) -> String {
    let mut parameters = Serializer::new(String::new());
    parameters.append_pair("maxRecords", &PAGE.to_string());
    parameters.extend_pairs(locator.map(|locator| ("locator", locator)));
    client.path(&format!("jobs/query/{job}/results?{}", parameters.finish()))
}

/// Reads a page of at most `most` lines.
fn read(reply: &Reply, most: u64, reader: &Reader<'_>) -> Result<Page, SourceError> {
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
        if place > most {
            return Err(SourceError::Paging(format!("a page of the export is longer than {most} deals")));
        }
        // A text can hold the byte zero, which no program likes.
        let cells: Vec<String> = line.iter().map(|cell| cell.replace('\0', "")).collect();
        let row = Row::of_csv(cells.iter().map(String::as_str), reader.columns);
        take(reader.read(&row, &mut findings), place, &mut page);
    }
    page.tally.findings = findings;
    Ok(page)
}

fn is_head(line: &StringRecord, columns: &Columns) -> bool {
    let names = columns.fields().iter().map(|field| field.path.as_str());
    line.len() == columns.fields().len() && line.iter().zip(names).all(|(cell, name)| cell.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use chrono_tz::Tz;
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::settings::section;
    use crate::sources::salesforce::describe::Described;
    use crate::sources::salesforce::mapping::Mapping;

    #[test]
    fn one_page_needs_no_list_of_pages_and_each_list_names_five() {
        for (total, expected) in [(0, 1), (1, 1), (50_000, 1), (50_001, 3), (250_000, 6), (250_001, 8)] {
            assert_eq!(requests(total), expected, "{total}");
        }
    }

    #[test]
    fn a_page_is_read_as_far_as_its_lines_may_be_many() {
        let mapping = Mapping::read(section(""), Tz::UTC).unwrap();
        let described = Described::of(&[("Id", "id"), ("Name", "string"), ("StageName", "picklist")]);
        let (columns, _) = Columns::choose(&mapping, &described).unwrap();
        let (stages, record_types) = (HashMap::new(), BTreeMap::new());
        let (mapping, columns, record_types) = (&mapping, &columns, &record_types);
        let reader = Reader { mapping, columns, stages, record_types, currency: None, origin: "" };
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=UTF-8"))].into_iter().collect();
        let body = b"Id,Name,StageName\n1,a,b\n,a,b\n2,a,b\n".to_vec();
        let reply = Reply { status: 200, headers, body, url: "https://acme.my.salesforce.com".parse().unwrap() };
        let page = read(&reply, 3, &reader).unwrap();
        assert_eq!((page.deals.len(), page.tally.skipped.count), (2, 1));
        assert!(matches!(read(&reply, 2, &reader), Err(SourceError::Paging(_))));
    }

    #[test]
    fn the_list_of_pages_goes_on_under_either_of_its_names() {
        for key in ["nextRecordsUrl", "nextRecordUrl"] {
            let list: List =
                serde_json::from_str(&format!(r#"{{"resultPages": [{{"resultUrl": "/a"}}], "{key}": "/b"}}"#)).unwrap();
            assert_eq!((list.result_pages.len(), list.next_records_url.as_deref()), (1, Some("/b")));
        }
        assert_eq!(serde_json::from_str::<List>(r#"{"resultPages": []}"#).unwrap().next_records_url, None);
    }
}
