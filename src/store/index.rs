//! The small index beside a snapshot: its head, and of each deal what comparing two pulls needs, in id order.
//!
//! It only saves time: it is known to be of its snapshot by that file's size and time, and one that is lost, cut or of
//! another file is rebuilt from the snapshot. So it is written without a sync.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::deal::{Figures, Status};
use crate::model::money::Currency;
use crate::model::number;
use crate::model::snapshot::Head;
use crate::store::format;

/// The version of the index; another version is rebuilt.
const FORMAT: u32 = 1;

/// What tells a snapshot's file from any other that may come to stand in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    format: u32,
    bytes: u64,
    /// When the file was last written: seconds since 1970, and nanoseconds.
    written: (i64, i64),
}

impl Stamp {
    fn of(snapshot: &Path) -> io::Result<Self> {
        let found = fs::metadata(snapshot)?;
        Ok(Self { format: FORMAT, bytes: found.len(), written: (found.mtime(), found.mtime_nsec()) })
    }
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Heading<'a> {
    stamp: Stamp,
    head: Cow<'a, Head>,
}

/// A deal's line as it is written: the lead's own text.
type Written<'a> = (&'a str, Option<&'a RawValue>, Option<Status>, Option<&'a RawValue>, Option<Currency>);

/// One deal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The CRM's id.
    pub id: String,
    /// When the CRM last changed it, UTC: its version.
    pub updated_at: Option<DateTime<Utc>>,
    /// Open, won or lost.
    pub status: Option<Status>,
    /// The amount in `currency`.
    pub value: Option<Decimal>,
    /// The currency of the value.
    pub currency: Option<Currency>,
}

/// Lines being gathered, while the leads pass.
#[derive(Debug)]
pub struct Lines(BufWriter<File>);

impl Lines {
    /// Lines into an empty file.
    pub fn into(file: File) -> Self {
        Self(BufWriter::with_capacity(64 << 10, file))
    }

    /// The next deal's.
    pub fn add(&mut self, lead: &Figures<'_>) -> io::Result<()> {
        let line: Written<'_> = (&lead.id, lead.updated_at, lead.status, lead.raw_value(), lead.currency);
        serde_json::to_writer(&mut self.0, &line)?;
        self.0.write_all(b"\n")
    }

    /// The file with all lines.
    pub fn finish(self) -> io::Result<File> {
        self.0.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// The lines of a snapshot that is there already.
pub(super) fn lines_of(snapshot: &Path, scratch: File) -> io::Result<(Head, File)> {
    let mut lines = Lines::into(scratch);
    let head = format::read(snapshot, &mut |lead| lines.add(&serde_json::from_str(lead.get())?))?;
    Ok((head, lines.finish()?))
}

/// Writes the first line of the index of `snapshot`; the lines follow.
pub(super) fn write_heading(snapshot: &Path, head: &Head, out: &mut impl Write) -> io::Result<()> {
    let heading = Heading { stamp: Stamp::of(snapshot)?, head: Cow::Borrowed(head) };
    serde_json::to_writer(&mut *out, &heading)?;
    out.write_all(b"\n")
}

/// Opens the index of `snapshot`, if it is one: the head, and the deals to come.
pub(super) fn open(index: &Path, snapshot: &Path) -> Option<(Head, Entries)> {
    let mut file = BufReader::with_capacity(64 << 10, File::open(index).ok()?);
    let mut line = Vec::new();
    file.read_until(b'\n', &mut line).ok()?;
    let Heading { stamp, head } = serde_json::from_slice(&line).ok()?;
    let head = head.into_owned();
    let is_its = Stamp::of(snapshot).is_ok_and(|found| found == stamp);
    is_its.then(|| (head.clone(), Entries { file, line, left: head.total_leads }))
}

/// The deals of an index, in id order.
#[derive(Debug)]
pub struct Entries {
    file: BufReader<File>,
    line: Vec<u8>,
    left: u64,
}

impl Entries {
    fn read(&mut self) -> io::Result<Entry> {
        self.line.clear();
        self.file.read_until(b'\n', &mut self.line)?;
        let (id, updated_at, status, value, currency): (String, _, _, Option<Box<RawValue>>, _) =
            serde_json::from_slice(&self.line).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok(Entry { id, updated_at, status, value: value.and_then(|value| number::exact(value.get())), currency })
    }
}

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.read())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::layout::{Layout, Place, SnapshotId};

    const LEADS: [&str; 2] = [
        r#"{"id":"1","name":"a","value":150000.05,"status":"open","currency":"EUR","updated_at":"2026-11-20T15:02:44.061Z"}"#,
        r#"{"id":"2 \"x\"","name":"b","value":null,"status":null,"updated_at":null}"#,
    ];

    /// A store with one snapshot of two deals.
    fn published() -> (tempfile::TempDir, Store, SnapshotId) {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Store::new(Layout { output: folder.path().join("output"), cache: folder.path().join("output/cache") });
        store.prepare().unwrap();
        let head = r#"{"timestamp": "2026-11-22T08:00:00+00:00", "total_leads": 2, "total_value": 150000.05,
            "weighted_value": 0.0, "stage_breakdown": {}, "source": "demo"}"#;
        let head: Head = serde_json::from_str(head).unwrap();
        let (mut leads, mut lines) = (store.scratch().unwrap(), Lines::into(store.scratch().unwrap()));
        for (index, lead) in LEADS.iter().enumerate() {
            format::lead_line(&mut leads, lead.as_bytes(), index == 0).unwrap();
            lines.add(&serde_json::from_str(lead).unwrap()).unwrap();
        }
        let id = store.publish(&Place::Flat, &head, &mut leads, &mut lines.finish().unwrap()).unwrap();
        (folder, store, id)
    }

    fn deals(store: &Store, id: SnapshotId) -> Vec<Entry> {
        store.with_index(&Place::Flat, id, Iterator::collect).unwrap()
    }

    fn expected() -> Vec<Entry> {
        let first = Entry {
            id: "1".to_owned(),
            updated_at: "2026-11-20T15:02:44.061Z".parse().ok(),
            status: Some(Status::Open),
            value: "150000.05".parse().ok(),
            currency: "EUR".parse().ok(),
        };
        let second = Entry { id: "2 \"x\"".to_owned(), updated_at: None, status: None, value: None, currency: None };
        vec![first, second]
    }

    #[test]
    fn the_index_of_a_publish_and_one_that_is_made_anew_say_the_same() {
        let (_folder, store, id) = published();
        let path = store.layout.index(&Place::Flat, id);
        let written = fs::read(&path).unwrap();
        assert_eq!(deals(&store, id), expected());
        fs::remove_file(&path).unwrap();
        assert_eq!(deals(&store, id), expected());
        assert_eq!(fs::read(&path).unwrap(), written);
    }

    #[test]
    fn an_index_that_is_cut_anywhere_is_made_anew() {
        let (_folder, store, id) = published();
        let path = store.layout.index(&Place::Flat, id);
        let written = fs::read(&path).unwrap();
        for cut in (0..written.len() - 1).step_by(7) {
            fs::write(&path, &written[..cut]).unwrap();
            assert_eq!(deals(&store, id), expected(), "cut at {cut}");
            assert_eq!(store.head(&Place::Flat, id).unwrap().total_leads, 2, "cut at {cut}");
        }
    }

    #[test]
    fn a_head_is_read_from_the_index_while_the_snapshot_is_the_same() {
        let (_folder, store, id) = published();
        let (path, snapshot) = (store.layout.index(&Place::Flat, id), store.layout.snapshot(&Place::Flat, id));
        let source = || store.head(&Place::Flat, id).unwrap().source;
        let marked = fs::read_to_string(&path).unwrap().replace("\"demo\",", "\"mark\",");
        assert!(marked.contains("mark"));
        fs::write(&path, marked).unwrap();
        assert_eq!(source(), "mark");
        File::options().append(true).open(&snapshot).unwrap().write_all(b"\n").unwrap();
        assert_eq!(source(), "demo", "the snapshot itself is read");
    }
}
