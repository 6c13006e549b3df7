//! What each duty did last, so that a restart neither forgets a run nor hammers a CRM.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::store::atomic;
use crate::store::error::StoreError;

/// One duty's memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DutyState {
    /// The due time that was last begun, UTC.
    pub last_due: Option<DateTime<Utc>>,
    /// When it last began, UTC.
    pub last_attempt: Option<DateTime<Utc>>,
    /// When it last ended well, UTC.
    pub last_success: Option<DateTime<Utc>>,
    /// How often in a row it has failed since.
    pub failures: u32,
    /// When the first of those failures began, UTC.
    pub failing_since: Option<DateTime<Utc>>,
    /// Why the last one failed, in words.
    pub error: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// The complete pull that is held, while nothing newer was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HeldState>,
    /// The held snapshot that somebody accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<AcceptedState>,
}

/// A held snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldState {
    /// Its name.
    pub snapshot: String,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// Since when pulls of this source are held, UTC.
    pub since: DateTime<Utc>,
}

/// A held snapshot that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedState {
    /// Its name.
    pub snapshot: String,
    /// Why, in the words of whoever did it.
    pub note: String,
    /// When, UTC.
    pub at: DateTime<Utc>,
}

impl DutyState {
    /// When it last was due or began, whichever is later: what a restart plans from.
    pub fn last(&self) -> Option<DateTime<Utc>> {
        self.last_due.max(self.last_attempt)
    }

    /// Since when there is no new data: the first failure or hold since the last success, UTC.
    pub fn stale_since(&self) -> Option<DateTime<Utc>> {
        let held = self.hold.as_ref().map(|held| held.since);
        [self.failing_since, held].into_iter().flatten().min()
    }

    /// Why there is no new data: held or failing, and what for.
    pub fn stale_because(&self) -> Option<String> {
        let failing = self.error.as_ref().map(|error| format!("failing: {error}"));
        failing.or_else(|| self.hold.as_ref().map(|held| format!("held: {}", held.reasons.join("; "))))
    }

    /// A run begins.
    pub fn begin(&mut self, due: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        self.last_due = due.or(self.last_due);
        self.last_attempt = Some(now);
    }

    /// A run ended well: what was wrong before is forgotten.
    pub fn succeed(&mut self, now: DateTime<Utc>) {
        *self = Self {
            last_due: self.last_due,
            last_attempt: self.last_attempt,
            last_success: Some(now),
            accepted: self.accepted.take(),
            ..Self::default()
        };
    }

    /// A complete pull was held: the source answers, so it does not fail.
    pub fn hold(&mut self, snapshot: String, reasons: Vec<String>, now: DateTime<Utc>) {
        let since = self.stale_since().unwrap_or(now);
        let hold = Some(HeldState { snapshot, reasons, since });
        *self = Self {
            last_due: self.last_due,
            last_attempt: self.last_attempt,
            last_success: self.last_success,
            accepted: self.accepted.take(),
            hold,
            ..Self::default()
        };
    }

    /// A run failed.
    pub fn fail(&mut self, now: DateTime<Utc>, error: String, advice: Option<String>) {
        self.failures += 1;
        self.failing_since.get_or_insert(self.last_attempt.unwrap_or(now));
        self.error = Some(error);
        self.advice = advice;
    }
}

/// The duties of one folder by name.
pub type Duties = BTreeMap<String, DutyState>;

/// Reads a state file. One that is missing or broken is an empty memory: at worst a pull runs once more.
pub fn read(path: &Path) -> Duties {
    fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Changes one duty's memory. The caller holds the write lock.
pub fn change(path: &Path, duty: &str, change: impl FnOnce(&mut DutyState)) -> Result<(), StoreError> {
    let mut duties = read(path);
    change(duties.entry(duty.to_owned()).or_default());
    let text = serde_json::to_vec_pretty(&duties)
        .map_err(|error| StoreError::on("write", path)(std::io::Error::new(ErrorKind::InvalidData, error)))?;
    atomic::replace_lightly(path, &text)
}
