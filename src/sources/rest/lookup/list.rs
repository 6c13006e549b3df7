//! A table that is a list of the CRM, read to its end before the first page.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use tokio::time::Instant;

use crate::settings::{Problem, Section, Span, both};
use crate::sources::rest::client::Client;
use crate::sources::rest::list::List;
use crate::sources::rest::lookup::rows::{Rows, Taken, is_empty};
use crate::sources::rest::paging::Paging;
use crate::sources::rest::request::{self, Request};
use crate::sources::source::{Names, SourceError};

/// What a table of a list says beside its rows.
pub(super) struct Keys {
    request: Request,
    paging: Paging,
    ttl: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnKeys {
    ttl: Option<Span>,
}

pub(super) struct ListTable {
    pub(super) list: List,
    pub(super) rows: Rows,
    ttl: Option<Span>,
    kept: Mutex<Option<(Instant, Names)>>,
}

/// Reads the request and the paging of a table; a table needs a path.
pub(super) fn read_request(section: &mut Section) -> Result<(Request, Paging), Vec<Problem>> {
    let under = |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.under(&["paging"])).collect();
    let paging = section.table("paging").and_then(|table| Paging::read(table).map_err(under));
    let has_path = section.0.contains_key("path");
    let request = section.split_off(&request::KEYS);
    let request = if has_path {
        request.read::<request::Keys>(&[]).and_then(request::Keys::check)
    } else {
        Err(vec![Problem::at("path", "is missing").hint("where the table is, or `entries` for one written here")])
    };
    let (paging, request) = both(paging, request)?;
    Ok((request, paging))
}

impl Keys {
    /// Reads them; `also` are the keys that stand beside them.
    pub(super) fn read(section: &mut Section, also: &[&str]) -> Result<Self, Vec<Problem>> {
        let asked = read_request(section);
        let own = section.read::<OwnKeys>(also);
        let ((request, paging), OwnKeys { ttl }) = both(asked, own)?;
        Ok(Self { request, paging, ttl })
    }

    /// The table of these rows.
    pub(super) fn table(self, rows: Rows) -> Result<ListTable, Vec<Problem>> {
        let list = List::new(self.request, self.paging, rows.records.clone())?;
        Ok(ListTable { list, rows, ttl: self.ttl, kept: Mutex::default() })
    }
}

impl ListTable {
    /// Fetches the table, or returns the cached copy within `ttl`; also warnings about it.
    pub(super) async fn fetch(&self, client: &Client) -> Result<(Names, Vec<String>), SourceError> {
        let now = client.clock.instant();
        {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(Span(ttl)), Some((read, names))) = (self.ttl, &*kept)
                && now.duration_since(*read) < ttl
            {
                return Ok((names.clone(), Vec::new()));
            }
        }
        let (names, warnings) = self.walk(client).await?;
        if self.ttl.is_some() {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, names.clone()));
        }
        Ok((names, warnings))
    }

    async fn walk(&self, client: &Client) -> Result<(Names, Vec<String>), SourceError> {
        let (mut names, mut taken) = (Names::default(), Taken::default());
        let end = self.list.walk(client, None, |rows| taken.add(self.rows.take(rows, &mut names))).await?;
        if is_empty(&names) {
            return Err(SourceError::Mapping(taken.nothing()));
        }
        let mut warnings = Vec::new();
        warnings.extend(end.doubt().map(|why| format!("may be cut: {why}")));
        if taken.renamed > 0 {
            warnings.push(format!("gives keys another name later, {} in all: the last one counts", taken.renamed));
        }
        Ok((names, warnings))
    }
}
