//! What a source remembers across restarts, a file a key beside its snapshots, for the owner's eyes alone.
//!
//! Read again at each use: another process may have pulled the source meanwhile. What cannot be written is kept while
//! the process lasts, and so is what a command notes that only tries a source.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::memory::{InProcess, Memory};
use crate::store::atomic;
use crate::store::error::StoreError;
use crate::store::layout::{Layout, Place};
use crate::telemetry::in_one_line;

/// The longest text that is read back, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// The memory of the source whose snapshots stand in a place.
pub struct SourceMemory {
    layout: Layout,
    place: Place,
    /// Whether the source is only tried.
    trial: bool,
    /// What could not be written, or is not to be.
    unwritten: InProcess,
    /// Whether it was said that something cannot be read: it is asked for at each request.
    is_told: AtomicBool,
}

impl SourceMemory {
    /// The memory of a place; nothing is touched yet. On a `trial` it only reads, except for what
    /// [replaces](Memory::replace) something.
    pub fn new(layout: Layout, place: Place, trial: bool) -> Self {
        Self { layout, place, trial, unwritten: InProcess::default(), is_told: AtomicBool::new(false) }
    }

    fn read(&self, key: &str) -> Result<Option<String>, StoreError> {
        let path = self.layout.memory(&self.place, key);
        let mut text = String::new();
        match File::open(&path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text)) {
            Ok(_) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::on("read", &path)(error)),
        }
    }

    fn write(&self, key: &str, text: &str) -> Result<(), StoreError> {
        atomic::make_folder(&self.layout.folder(&self.place))?;
        let path = self.layout.memory(&self.place, key);
        // Written without the write lock, for which others would wait: a start of another process may sweep it away.
        atomic::replace_private(&path, text.as_bytes()).or_else(|_| atomic::replace_private(&path, text.as_bytes()))
    }
}

impl Memory for SourceMemory {
    fn get(&self, key: &'static str) -> Option<String> {
        self.unwritten.get(key).or_else(|| {
            self.read(key).unwrap_or_else(|error| {
                if !self.is_told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(error = in_one_line(&error), "What is remembered as `{key}` cannot be read");
                }
                None
            })
        })
    }

    fn put(&self, key: &'static str, text: &str) {
        if self.trial { self.unwritten.put(key, text) } else { self.replace(key, text) }
    }

    fn replace(&self, key: &'static str, text: &str) {
        match self.write(key, text) {
            Ok(()) => self.unwritten.forget(key),
            Err(error) => {
                let error = in_one_line(&error);
                tracing::warn!(error, "What is to be remembered as `{key}` is lost when this process ends");
                self.unwritten.put(key, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn memory(folder: &std::path::Path) -> SourceMemory {
        of(folder, false)
    }

    fn of(folder: &std::path::Path, trial: bool) -> SourceMemory {
        let layout = Layout { output: folder.to_owned(), cache: folder.join("cache") };
        SourceMemory::new(layout, Place::Folder("crm".parse().unwrap()), trial)
    }

    #[test]
    fn what_is_put_is_there_for_the_next_process_and_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(memory(folder.path()).get("key"), None);
        let one = memory(folder.path());
        one.put("key", "first");
        memory(folder.path()).put("key", "second");
        assert_eq!(one.get("key").as_deref(), Some("second"), "another process may have put it");
        assert_eq!(one.get("other"), None);
        let mode = fs::metadata(folder.path().join("cache/crm/.memory-key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_written_is_kept_while_the_process_lasts() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cache"), "no folder").unwrap();
        let one = memory(folder.path());
        one.put("key", "text");
        assert_eq!(one.get("key").as_deref(), Some("text"));
        assert_eq!(memory(folder.path()).get("key"), None);
        fs::remove_file(folder.path().join("cache")).unwrap();
        one.put("key", "later");
        assert_eq!(memory(folder.path()).get("key").as_deref(), Some("later"));
    }

    #[test]
    fn a_trial_reads_what_is_there_and_writes_nothing_but_what_replaces_something() {
        let folder = tempfile::tempdir().unwrap();
        let trial = of(folder.path(), true);
        trial.put("key", "tried");
        assert_eq!(trial.get("key").as_deref(), Some("tried"));
        assert!(!folder.path().join("cache").exists());
        memory(folder.path()).put("key", "pulled");
        assert_eq!(of(folder.path(), true).get("key").as_deref(), Some("pulled"));
        trial.replace("token", "new");
        assert_eq!(memory(folder.path()).get("token").as_deref(), Some("new"));
        assert_eq!(memory(folder.path()).get("key").as_deref(), Some("pulled"));
    }
}
