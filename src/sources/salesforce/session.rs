//! One pull: the pages of the list, or of an export.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::sources::salesforce::bulk::Export;
use crate::sources::salesforce::errors::{is_lost_place, is_without_exports};
use crate::sources::salesforce::fields::Reader;
use crate::sources::salesforce::query::Order;
use crate::sources::salesforce::source::{Known, Salesforce};
use crate::sources::salesforce::{list, opening};
use crate::sources::source::{Opened, Page, Session, SourceError};
use crate::telemetry::in_one_line;

/// Precedes the path of a page of an export in `Page::next`.
const EXPORTED: &str = "export ";

/// How the deals are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    /// Page by page.
    List,
    /// As an export.
    Export,
}

/// One pull.
pub(super) struct SalesforceSession<'a> {
    source: &'a Salesforce,
    opened: Opened,
    strategy: Strategy,
    known: Arc<Known>,
    /// The first page, which came with the opening.
    first: Option<String>,
    export: Export,
    so_far: Mutex<SoFar>,
}

/// How far the list is read.
#[derive(Debug, Default)]
struct SoFar {
    records: u64,
    /// The id of the last record.
    last: String,
    /// How many records came before the list was queried again; `None` if it was not.
    before: Option<u64>,
}

#[async_trait]
impl Session for SalesforceSession<'_> {
    fn opened(&self) -> &Opened {
        &self.opened
    }

    async fn page(&self, after: Option<&str>) -> Result<Page, SourceError> {
        let origin = self.source.client.origin()?;
        let stages = self.opened.stages.iter().filter(|stage| stage.pipeline_id.is_empty());
        let reader = Reader {
            mapping: &self.source.mapping,
            columns: &self.known.columns,
            stages: stages.map(|stage| (stage.id.as_str(), stage)).collect(),
            record_types: &self.known.record_types,
            currency: self.opened.currency,
            origin: &origin,
        };
        match after {
            None if self.strategy == Strategy::Export => self.first_of_export(&reader).await,
            None => self.listed(self.first.as_deref().unwrap_or_default(), "", &reader),
            Some(after) => match after.strip_prefix(EXPORTED) {
                Some(path) => self.exported(Some(path), &reader).await,
                None => self.listed(&self.list(after).await?, after, &reader),
            },
        }
    }

    async fn close(&self) {
        self.export.close(&self.source.client).await;
    }
}

impl<'a> SalesforceSession<'a> {
    pub(super) fn new(
        source: &'a Salesforce,
        opened: Opened,
        strategy: Strategy,
        known: Arc<Known>,
        first: Option<String>,
        export: Export,
    ) -> Self {
        Self { source, opened, strategy, known, first, export, so_far: Mutex::default() }
    }

    /// A further page of the list as it comes. If the CRM forgot the cursor, the rest of the list is queried again, once
    /// per session.
    async fn list(&self, path: &str) -> Result<String, SourceError> {
        let refused = match self.source.client.text(path).await {
            Err(error) if is_lost_place(&error) => error,
            answered => return answered,
        };
        let last = self.so_far().last.clone();
        let is_id = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_id || self.so_far().before.is_some() {
            return Err(refused);
        }
        tracing::warn!("{refused}: the deals after `{last}` are queried again");
        let page = opening::deals(&self.source.client, self.source.query(&self.known, Order::Behind(&last))?).await?;
        let mut so_far = self.so_far();
        so_far.before = Some(so_far.records);
        Ok(page)
    }

    fn listed(&self, text: &str, asked: &str, reader: &Reader<'_>) -> Result<Page, SourceError> {
        let mut page = list::page(text, reader)?;
        let asked = if asked.is_empty() { self.source.client.path("query") } else { asked.to_owned() };
        page.next = page.next.map(|next| self.source.client.follow(&asked, &next)).transpose()?;
        let mut so_far = self.so_far();
        page.total = page.total.map(|total| total + so_far.before.unwrap_or_default());
        so_far.records += page.fetched();
        if let Some(last) = page.ids.last() {
            so_far.last.clone_from(last);
        }
        Ok(page)
    }

    /// The first page of an export, or of the list after all where the account has no exports, does not take the order
    /// of this one, or gave it up.
    async fn first_of_export(&self, reader: &Reader<'_>) -> Result<Page, SourceError> {
        let error = match self.exported(None, reader).await {
            Err(error) if self.export.is_given_up(&error) => error,
            exported => return exported,
        };
        if is_without_exports(&error) {
            self.source.has_no_exports.store(true, Ordering::Relaxed);
        }
        let Some(first) = &self.first else {
            // The list took too long for this pull and exports do not help; the next pull tries the list again.
            self.source.timeouts.store(0, Ordering::Relaxed);
            return Err(error);
        };
        tracing::warn!("{}: the deals are read page by page", in_one_line(&error));
        self.listed(first, "", reader)
    }

    async fn exported(&self, after: Option<&str>, reader: &Reader<'_>) -> Result<Page, SourceError> {
        let mut page = self.export.page(&self.source.client, self.source.first_wait, after, reader).await?;
        page.next = page.next.map(|path| format!("{EXPORTED}{path}"));
        Ok(page)
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
