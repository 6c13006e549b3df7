//! Jobs of the Bulk API 2.0: queries whose whole result is made first and then fetched as CSV.
//!
//! Apart, because a job has its own life: created, polled, read, deleted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use super::answers::{Answer, Wish, error, not_found, refused};
use super::schema::Cell;
use super::{Fault, Habit, Salesforce, id, soql, user_id};

/// How many pages of a result are named at once.
const PAGES: usize = 5;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobState {
    UploadComplete,
    InProgress,
    JobComplete,
    Aborted,
    Failed,
}

impl JobState {
    fn is_over(self) -> bool {
        matches!(self, Self::JobComplete | Self::Aborted | Self::Failed)
    }
}

/// A job and its result.
#[derive(Debug)]
pub(super) struct Job {
    version: String,
    operation: String,
    object: &'static str,
    created: Cell,
    state: JobState,
    /// How often it will still be asked for before it is done.
    polls_left: usize,
    header: String,
    lines: Vec<String>,
}

impl Job {
    fn shown(&self, id: &str) -> Value {
        json!({"id": id, "operation": self.operation, "object": self.object, "createdById": user_id(0),
            "createdDate": self.instant(), "systemModstamp": self.instant(), "state": format!("{:?}", self.state),
            "concurrencyMode": "Parallel", "contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA",
            "apiVersion": self.version.trim_start_matches('v').parse::<f64>().unwrap()})
    }

    fn instant(&self) -> Value {
        serde_json::from_str(&self.created.json(super::schema::Kind::Instant, false)).unwrap()
    }
}

/// A place in a result; nobody can count it up.
fn locator(offset: usize) -> String {
    STANDARD_NO_PAD.encode(offset.to_string())
}

fn offset(locator: &str) -> Option<usize> {
    let digits = String::from_utf8(STANDARD_NO_PAD.decode(locator).ok()?).ok()?;
    digits.parse().ok()
}

fn wrong_state() -> Answer {
    refused("INVALIDJOBSTATE", "canary: the job is in another state")
}

impl Salesforce {
    /// A job of the wish's version; 409 where it was made with another.
    fn job_of(&mut self, wish: &Wish<'_>) -> Result<&mut Job, Answer> {
        let job = self.jobs.get_mut(&wish.place.key).ok_or_else(not_found)?;
        if job.version == wish.place.version {
            Ok(job)
        } else {
            Err(error(409, "INVALIDVERSION", "canary: the job was created with another version"))
        }
    }

    pub(super) fn create_job(&mut self, wish: &Wish<'_>) -> Result<Answer, Answer> {
        let body = wish.json()?;
        let text = |key: &str, default: &str| body[key].as_str().unwrap_or(default).to_owned();
        let operation = text("operation", "");
        let fits = matches!(operation.as_str(), "query" | "queryAll")
            && text("contentType", "CSV") == "CSV"
            && text("columnDelimiter", "COMMA") == "COMMA"
            && text("lineEnding", "LF") == "LF";
        if !fits {
            return Err(refused("INVALIDJOB", "canary: operation, contentType, columnDelimiter or lineEnding"));
        }
        let query = soql::read(&text("query", ""), &self.org)?;
        let Some(paths) = query.select.as_ref().filter(|_| query.offset == 0) else {
            return Err(refused("API_ERROR", "Aggregate Relationships and OFFSET are not supported in Bulk Query"));
        };
        let header: Vec<String> = paths.iter().map(|path| format!("\"{}\"", path.name())).collect();
        let plain = self.has(Habit::WritesPlainNumbers);
        let found = self.org.find(&query, operation == "queryAll");
        let job = Job {
            version: wish.place.version.clone(),
            operation,
            object: query.object,
            created: Cell::Instant(self.org.now),
            state: JobState::UploadComplete,
            polls_left: self.polls,
            header: header.join(",") + "\n",
            lines: found.iter().map(|id| self.org.csv(&query, id, plain)).collect(),
        };
        self.jobs_made += 1;
        let key = id("750", self.jobs_made);
        let answer = Answer::json(200, &job.shown(&key));
        self.jobs.insert(key, job);
        Ok(answer)
    }

    pub(super) fn job(&mut self, wish: &Wish<'_>) -> Result<Answer, Answer> {
        let job = self.job_of(wish)?;
        if !job.state.is_over() {
            job.state = match wish.fault {
                Some(Fault::JobEnds(state)) => *state,
                _ if job.polls_left == 0 => JobState::JobComplete,
                _ => JobState::InProgress,
            };
            job.polls_left = job.polls_left.saturating_sub(1);
        }
        let mut shown = job.shown(&wish.place.key);
        let done = if job.state == JobState::JobComplete { job.lines.len() } else { 0 };
        let more = json!({"jobType": "V2Query", "numberRecordsProcessed": done, "retries": 0,
            "totalProcessingTime": 12, "isPkChunkingSupported": true});
        shown.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        if job.state == JobState::Failed {
            shown["errorMessage"] = json!("QUERY_TIMEOUT: canary");
        }
        Ok(Answer::json(200, &shown))
    }

    /// A page of a result, and where the next one begins; behind the last one that is the word `null`.
    pub(super) fn results(&mut self, wish: &Wish<'_>) -> Result<Answer, Answer> {
        let (most, one_header) = (self.result_page, self.has(Habit::WritesOneHeader));
        let job = self.job_of(wish)?;
        if job.state != JobState::JobComplete {
            return Err(wrong_state());
        }
        let size = wish.number("maxRecords")?.unwrap_or(most).min(most);
        let from = wish.param("locator").map_or(Some(0), offset).filter(|from| *from <= job.lines.len());
        let from = from.ok_or_else(|| refused("INVALID_LOCATOR", "canary: no such locator"))?;
        let until = (from + size).min(job.lines.len());
        let next = if until < job.lines.len() { locator(until) } else { "null".to_owned() };
        let header = if one_header && from > 0 { "" } else { &job.header };
        let taken = until - from;
        let kept = taken - usize::from(wish.fault == Some(&Fault::LostRecord) && taken > 0);
        let body = format!("{header}{}", job.lines[from..from + kept].concat());
        let answer =
            Answer::text(200, "text/csv; charset=UTF-8", &body).header("sforce-numberofrecords", &taken.to_string());
        Ok(match wish.fault {
            Some(Fault::NoLocator) => answer,
            Some(Fault::RepeatedCursor) => answer.header("sforce-locator", &locator(from)),
            _ => answer.header("sforce-locator", &next),
        })
    }

    /// Where the next five pages of a result are.
    pub(super) fn result_pages(&mut self, wish: &Wish<'_>) -> Result<Answer, Answer> {
        let size = self.result_page;
        let key = if self.has(Habit::NamesOneRecord) { "nextRecordUrl" } else { "nextRecordsUrl" };
        let job = self.job_of(wish)?;
        if job.state != JobState::JobComplete {
            return Err(wrong_state());
        }
        if wish.fault == Some(&Fault::NoPages) {
            return Ok(Answer::json(200, &json!({"done": true})));
        }
        let from = wish.param("locator").map_or(Some(0), offset);
        let from = from.ok_or_else(|| refused("INVALID_LOCATOR", "canary: no such locator"))?;
        let base = format!("/services/data/{}/jobs/query/{}", job.version, wish.place.key);
        let mut places = (from..job.lines.len().max(1)).step_by(size);
        let page = |place: usize| json!({"resultUrl": format!("{base}/results?locator={}", locator(place))});
        let pages: Vec<Value> = places.by_ref().take(PAGES).map(page).collect();
        let next = places.next();
        let mut body = json!({"resultPages": pages, "done": next.is_none()});
        if let Some(next) = next {
            body[key] = json!(format!("{base}/resultPages?locator={}", locator(next)));
        }
        Ok(Answer::json(200, &body))
    }

    pub(super) fn abort_job(&mut self, wish: &Wish<'_>) -> Result<Answer, Answer> {
        let body = wish.json()?;
        let job = self.job_of(wish)?;
        if job.state.is_over() || body != json!({"state": "Aborted"}) {
            return Err(wrong_state());
        }
        job.state = JobState::Aborted;
        Ok(Answer::json(200, &job.shown(&wish.place.key)))
    }

    pub(super) fn delete_job(&mut self, wish: &Wish<'_>) -> Result<Answer, Answer> {
        if !self.job_of(wish)?.state.is_over() {
            return Err(wrong_state());
        }
        self.jobs.remove(&wish.place.key);
        Ok(Answer::text(204, "text/plain", ""))
    }
}
