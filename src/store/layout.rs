//! The only place that knows file names.
//!
//! Names are in UTC, and nothing whose name is not exactly ours is ever touched.

use std::fmt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};

use crate::model::name::SourceName;

/// The latest data.
pub const LATEST: &str = "sales_pipeline.json";
/// The day's figures, shared with other programs.
pub const SUMMARY: &str = "daily_summary.json";
/// Temporary files of ours start so; a sweep removes them, and nobody else's.
pub const TEMPORARY: &str = ".tmp-sales_pipeline-";
/// What a duty did last, beside the files it wrote.
pub const STATE: &str = ".state.json";
/// What a source remembers across restarts; the key follows.
const MEMORY: &str = ".memory-";

const PREFIX: &str = "sales_pipeline_";
const SUFFIX: &str = ".json";
const INDEX: &str = ".index";
const TIME: &str = "%Y%m%d_%H%M%S";
/// The length of the time in a name.
const TIME_LENGTH: usize = 15;

/// A snapshot's name: its second in UTC, and a number where a second has more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId {
    /// The second, UTC.
    pub time: DateTime<Utc>,
    /// 1 for the first of its second.
    pub sequence: u32,
}

impl SnapshotId {
    /// The first name of the second of `instant`.
    pub fn first_of(instant: DateTime<Utc>) -> Self {
        Self { time: instant.trunc_subsecs(0), sequence: 1 }
    }

    /// The next name of the same second.
    #[must_use]
    pub fn next(self) -> Self {
        Self { sequence: self.sequence + 1, ..self }
    }

    /// The file's name.
    pub fn file_name(self) -> String {
        format!("{PREFIX}{self}{SUFFIX}")
    }

    /// The name of the index beside the file.
    pub fn index_name(self) -> String {
        format!(".{PREFIX}{self}{INDEX}")
    }

    /// Whose index a file's name says it is, as strictly.
    pub fn of_index_name(name: &str) -> Option<Self> {
        let stem = name.strip_prefix('.')?.strip_suffix(INDEX)?;
        Self::of_file_name(&format!("{stem}{SUFFIX}"))
    }

    /// Reads a file's name, strictly: what this does not write, it does not read.
    pub fn of_file_name(name: &str) -> Option<Self> {
        let stem = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let time = NaiveDateTime::parse_from_str(stem.get(..TIME_LENGTH)?, TIME).ok()?.and_utc();
        let sequence = match &stem[TIME_LENGTH..] {
            "" => 1,
            more => more.strip_prefix('_')?.parse().ok()?,
        };
        let id = Self { time, sequence };
        (id.file_name() == name).then_some(id)
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.time.format(TIME))?;
        if self.sequence > 1 { write!(formatter, "_{}", self.sequence) } else { Ok(()) }
    }
}

/// Where a source's snapshots stand: in the cache itself (short form, `--demo`), or in a folder of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In the cache itself.
    Flat,
    /// In a folder named after the source.
    Folder(SourceName),
}

/// The folders.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Where the latest file and the summary are.
    pub output: PathBuf,
    /// Where the snapshots are.
    pub cache: PathBuf,
}

impl Layout {
    /// The folder of a source's snapshots.
    pub fn folder(&self, place: &Place) -> PathBuf {
        match place {
            Place::Flat => self.cache.clone(),
            Place::Folder(name) => self.cache.join(name.as_str()),
        }
    }

    /// A snapshot's file.
    pub fn snapshot(&self, place: &Place, id: SnapshotId) -> PathBuf {
        self.folder(place).join(id.file_name())
    }

    /// The index beside a snapshot.
    pub fn index(&self, place: &Place, id: SnapshotId) -> PathBuf {
        self.folder(place).join(id.index_name())
    }

    /// The folder of a source's held snapshots.
    pub fn held(&self, source: &SourceName) -> PathBuf {
        self.cache.join("held").join(source.as_str())
    }

    /// Where demo snapshots go when the first live pull comes.
    pub fn demo(&self) -> PathBuf {
        self.cache.join(".demo")
    }

    /// The latest file.
    pub fn latest(&self) -> PathBuf {
        self.output.join(LATEST)
    }

    /// The summary.
    pub fn summary(&self) -> PathBuf {
        self.output.join(SUMMARY)
    }

    /// The lock that other programs can take too, around a change of the summary.
    pub fn summary_lock(&self) -> PathBuf {
        self.output.join(format!("{SUMMARY}.lock"))
    }

    /// Where a broken summary is set aside at `now`.
    pub fn broken_summary(&self, now: DateTime<Utc>) -> PathBuf {
        self.output.join(format!("{}{}", broken_summary_prefix(), now.format(TIME)))
    }

    /// What the duties did last whose files stand in `place`.
    pub fn state(&self, place: &Place) -> PathBuf {
        self.folder(place).join(STATE)
    }

    /// What the source remembers as `key` whose files stand in `place`.
    pub fn memory(&self, place: &Place, key: &str) -> PathBuf {
        self.folder(place).join(format!("{MEMORY}{key}"))
    }

    /// The folder of the locks.
    pub fn locks(&self) -> PathBuf {
        self.cache.join(".locks")
    }
}

/// How a summary's name begins that was set aside.
pub fn broken_summary_prefix() -> String {
    format!("{SUMMARY}.broken-")
}

/// The name of a path, as text.
pub fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_only_if_it_is_exactly_ours() {
        let id = SnapshotId { time: "2025-12-10T20:21:45Z".parse().unwrap(), sequence: 1 };
        assert_eq!(id.file_name(), "sales_pipeline_20251210_202145.json");
        assert_eq!(SnapshotId::of_file_name(&id.file_name()), Some(id));
        assert_eq!(SnapshotId::of_file_name(&id.next().file_name()), Some(id.next()));
        assert_eq!(id.index_name(), ".sales_pipeline_20251210_202145.index");
        assert_eq!(SnapshotId::of_index_name(&id.index_name()), Some(id));
        assert_eq!(SnapshotId::of_index_name(".sales_pipeline_20251210_2021.index"), None);
        for foreign in [
            "sales_pipeline_20251310_202145.json",
            "sales_pipeline_20251210_202145_1.json",
            "sales_pipeline_20251210_202145_02.json",
            "sales_pipeline_20251210_202145.json.bak",
            "sales_pipeline_20251210_2021.json",
            "sales_pipeline_20250230_000000.json",
            "sales_pipeline_+0251210_202145.json",
            "Sales_pipeline_20251210_202145.json",
            "sales_pipeline.json",
            "sales_pipeline_äöü.json",
        ] {
            assert_eq!(SnapshotId::of_file_name(foreign), None, "{foreign}");
        }
    }
}
