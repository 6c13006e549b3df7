//! The demo: the original's five deals, always the same totals.
//!
//! It is asked for by name and never stood in for a CRM that fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::model::deal::{Deal, Status};
use crate::model::money::Currency;
use crate::settings::{Problem, Section};
use crate::sources::common::{Allow, Built, Context, OWN_KEYS, Retry, Scope};
use crate::sources::source::{Attempt, Expected, Mapped, Opened, Page, Session, Source, SourceError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

/// The demo source; it has no settings.
#[expect(clippy::needless_pass_by_value, reason = "the signature of every kind")]
pub(super) fn build(section: Section, _context: &Context) -> Result<Built, Vec<Problem>> {
    let Settings {} = section.read(&OWN_KEYS)?;
    Ok(Built {
        source: Arc::new(Demo),
        scope: Scope::default(),
        retry: Retry::default(),
        allow: Allow::default(),
        scope_hash: String::new(),
        demo: true,
        secrets: Vec::new(),
        warnings: Vec::new(),
    })
}

struct Demo;

#[async_trait]
impl Source for Demo {
    async fn open(&self, _attempt: Attempt) -> Result<Box<dyn Session + '_>, SourceError> {
        let expected = Some(Expected { count: 5, exact: true });
        Ok(Box::new(DemoSession(Opened { currency: Some(usd()), expected, ..Opened::default() })))
    }

    fn mapping(&self) -> Vec<Mapped> {
        Vec::new()
    }

    fn requests(&self) -> u64 {
        0
    }
}

struct DemoSession(Opened);

#[async_trait]
impl Session for DemoSession {
    fn opened(&self) -> &Opened {
        &self.0
    }

    async fn page(&self, _after: Option<&str>) -> Result<Page, SourceError> {
        let deals = five_deals();
        let ids = deals.iter().map(|deal| deal.id.clone()).collect();
        Ok(Page { deals, ids, ..Page::default() })
    }
}

fn usd() -> Currency {
    "USD".parse().expect("three letters")
}

/// One row of the demo: id, name, company, stage, value, probability in percent, owner, created, updated, closing day.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    i64,
    i64,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const ROWS: [Row; 5] = [
    (
        "lead-001",
        "Enterprise Integration Project",
        "TechCorp Solutions",
        "Qualification",
        150_000,
        30,
        "Sales Rep A",
        "2025-11-15T10:00:00Z",
        "2025-12-09T14:30:00Z",
        "2026-01-31",
    ),
    (
        "lead-002",
        "Cloud Migration",
        "Global Industries",
        "Proposal",
        110_000,
        50,
        "Sales Rep B",
        "2025-11-01T09:00:00Z",
        "2025-12-08T11:15:00Z",
        "2026-01-15",
    ),
    (
        "lead-003",
        "Analytics Platform",
        "DataFlow Systems",
        "Negotiation",
        120_000,
        75,
        "Sales Rep A",
        "2025-10-20T08:30:00Z",
        "2025-12-10T09:45:00Z",
        "2025-12-31",
    ),
    (
        "lead-004",
        "Starter Package",
        "StartupXYZ",
        "Qualification",
        25_000,
        30,
        "Sales Rep C",
        "2025-12-01T13:00:00Z",
        "2025-12-07T16:20:00Z",
        "2026-02-28",
    ),
    (
        "lead-005",
        "Support Contract",
        "Acme Corporation",
        "Closed Won",
        57_000,
        100,
        "Sales Rep B",
        "2025-10-05T10:00:00Z",
        "2025-12-05T17:00:00Z",
        "2025-12-05",
    ),
];

fn five_deals() -> Vec<Deal> {
    ROWS.iter()
        .map(|(id, name, company, stage, value, percent, owner, created, updated, close)| {
            let updated_at = Some(updated.parse().expect("written above as RFC 3339"));
            let won = *percent == 100;
            Deal {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                company: Some((*company).to_owned()),
                stage: Some((*stage).to_owned()),
                value: Some(Decimal::from(*value)),
                probability: Some(Decimal::new(*percent, 2)),
                owner: Some((*owner).to_owned()),
                created_at: Some(created.parse().expect("written above as RFC 3339")),
                updated_at,
                status: Some(if won { Status::Won } else { Status::Open }),
                currency: Some(usd()),
                pipeline: Some("default".to_owned()),
                pipeline_id: Some("default".to_owned()),
                stage_id: Some(stage.to_lowercase().replace(' ', "_")),
                close_date: Some(close.parse().expect("written above as a day")),
                closed_at: if won { updated_at } else { None },
                owner_id: Some(owner.to_lowercase().replace("sales ", "").replace(' ', "-")),
                custom: BTreeMap::new(),
                ..Deal::default()
            }
        })
        .collect()
}
