//! Where the pages of a pull wait until all are in: records on disk, 32 bytes each in memory.
//!
//! The file has no name, so a killed process leaves nothing behind. In memory stand the first 16 bytes of each id, the
//! version and the place; ids that share those bytes are told apart by reading them back, while they are sorted.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use chrono::{DateTime, Utc};

const KEY: usize = 16;
/// Before each record: the id's length and the record's, little endian.
const LENGTHS: usize = 8;
/// How much is read at once while records are read in the order they were written, and else.
const WINDOW: usize = 256 << 10;
const GLANCE: usize = 4 << 10;

/// A record's place in memory.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: [u8; KEY],
    /// The version, in microseconds; a record without one is older than any.
    updated_at: i64,
    offset: u64,
}

/// A spool being filled.
#[derive(Debug)]
pub struct Spool {
    file: BufWriter<File>,
    entries: Vec<Entry>,
    end: u64,
}

impl Spool {
    /// An empty spool on the file system of `folder`.
    pub fn create_in(folder: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(64 << 10, tempfile::tempfile_in(folder)?);
        Ok(Self { file, entries: Vec::new(), end: 0 })
    }

    /// Adds a record. Of several with the same id the newest `updated_at` wins, then the last added.
    pub fn push(&mut self, id: &str, updated_at: Option<DateTime<Utc>>, record: &[u8]) -> io::Result<()> {
        let length = |bytes: usize| u32::try_from(bytes).map_err(|_| io::Error::other("a record is larger than 4 GiB"));
        self.file.write_all(&length(id.len())?.to_le_bytes())?;
        self.file.write_all(&length(record.len())?.to_le_bytes())?;
        self.file.write_all(id.as_bytes())?;
        self.file.write_all(record)?;
        let mut key = [0; KEY];
        let shared = id.len().min(KEY);
        key[..shared].copy_from_slice(&id.as_bytes()[..shared]);
        let updated_at = updated_at.map_or(i64::MIN, |instant| instant.timestamp_micros());
        self.entries.push(Entry { key, updated_at, offset: self.end });
        self.end += (LENGTHS + id.len() + record.len()) as u64;
        Ok(())
    }

    /// Puts the records in the byte order of their ids and drops the superseded ones.
    pub fn sort(self) -> io::Result<Sorted> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut records = Records { file, window: Vec::new(), start: 0 };
        let mut entries = self.entries;
        let added = entries.len();
        entries.sort_unstable_by_key(|entry| (entry.key, entry.updated_at, entry.offset));
        let mut kept: Vec<Entry> = Vec::with_capacity(added);
        for run in entries.chunk_by(|one, other| one.key == other.key) {
            match run {
                [single] => kept.push(*single),
                several => kept.extend(newest_of_each_id(several, &mut records)?),
            }
        }
        Ok(Sorted { records, duplicates: (added - kept.len()) as u64, entries: kept })
    }
}

/// Entries that share a key, by their whole id; the last of each id is its newest.
fn newest_of_each_id(run: &[Entry], records: &mut Records) -> io::Result<Vec<Entry>> {
    let mut named = Vec::with_capacity(run.len());
    for entry in run {
        named.push((records.id(entry.offset)?, *entry));
    }
    // Stable: within an id the entries stay in the order of their versions.
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    let last_of_each = named.chunk_by(|(one, _), (other, _)| one == other).filter_map(<[_]>::last);
    Ok(last_of_each.map(|(_, entry)| *entry).collect())
}

/// A full spool in id order.
#[derive(Debug)]
pub struct Sorted {
    records: Records,
    entries: Vec<Entry>,
    /// How many records a newer one of the same id replaced.
    pub duplicates: u64,
}

impl Sorted {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Hands each record over, in id order.
    pub fn for_each<E: From<io::Error>>(mut self, mut visit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        for entry in &self.entries {
            visit(self.records.record(entry.offset)?)?;
        }
        Ok(())
    }
}

/// The records on disk, read through a window: in the common case a CRM lists in id order.
#[derive(Debug)]
struct Records {
    file: File,
    window: Vec<u8>,
    start: u64,
}

impl Records {
    fn id(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        let (id, _) = self.lengths(offset)?;
        self.bytes(offset + LENGTHS as u64, id).map(<[u8]>::to_vec)
    }

    fn record(&mut self, offset: u64) -> io::Result<&[u8]> {
        let (id, record) = self.lengths(offset)?;
        self.bytes(offset + (LENGTHS + id) as u64, record)
    }

    fn lengths(&mut self, offset: u64) -> io::Result<(usize, usize)> {
        let bytes = self.bytes(offset, LENGTHS)?;
        let length = |range: Range<usize>| {
            u32::from_le_bytes(bytes[range].try_into().expect("four bytes were asked for")) as usize
        };
        Ok((length(0..4), length(4..8)))
    }

    fn bytes(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let inside =
            |start: u64, window: &[u8]| offset >= start && offset + length as u64 <= start + window.len() as u64;
        if !inside(self.start, &self.window) {
            let goes_on = (self.start..=self.start + self.window.len() as u64).contains(&offset);
            self.window.resize(length.max(if goes_on { WINDOW } else { GLANCE }), 0);
            let mut filled = 0;
            while filled < self.window.len() {
                match self.file.read_at(&mut self.window[filled..], offset + filled as u64)? {
                    0 => break,
                    read => filled += read,
                }
            }
            self.window.truncate(filled);
            self.start = offset;
            if filled < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let from = usize::try_from(offset - self.start).expect("inside the window");
        Ok(&self.window[from..from + length])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(records: &[(String, Option<i64>)]) -> (Vec<String>, u64) {
        let mut spool = Spool::create_in(&std::env::temp_dir()).unwrap();
        for (index, (id, version)) in records.iter().enumerate() {
            let updated_at = version.map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap());
            spool.push(id, updated_at, format!("{id}@{index}").as_bytes()).unwrap();
        }
        let sorted = spool.sort().unwrap();
        let duplicates = sorted.duplicates;
        let mut seen = Vec::new();
        sorted
            .for_each::<io::Error>(|record| {
                seen.push(String::from_utf8(record.to_vec()).unwrap());
                Ok(())
            })
            .unwrap();
        (seen, duplicates)
    }

    #[test]
    fn of_two_records_with_one_id_the_newer_stays_and_of_equals_the_later() {
        let records =
            [("a", Some(2)), ("a", Some(1)), ("b", None), ("b", None)].map(|(id, version)| (id.to_owned(), version));
        assert_eq!(sorted(&records), (vec!["a@0".to_owned(), "b@3".to_owned()], 2));
    }

    proptest! {
        #[test]
        fn records_come_in_the_byte_order_of_their_ids_each_once(
            records in prop::collection::vec(("(0123456789abcdef)?[ab0-3]{0,3}", prop::option::of(0_i64..4)), 0..60)
        ) {
            let mut newest = std::collections::BTreeMap::new();
            for (index, (id, version)) in records.iter().enumerate() {
                let version = (version.map_or(i64::MIN, |seconds| seconds), index);
                newest.entry(id.clone()).and_modify(|known: &mut (i64, usize)| *known = version.max(*known)).or_insert(version);
            }
            let expected: Vec<String> = newest.iter().map(|(id, (_, index))| format!("{id}@{index}")).collect();
            let duplicates = (records.len() - expected.len()) as u64;
            prop_assert_eq!(sorted(&records), (expected, duplicates));
        }
    }
}
