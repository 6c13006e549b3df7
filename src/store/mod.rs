//! The files: snapshots that are never overwritten, the latest one, the summary, and what each duty did last.
//!
//! A concrete type on a folder. Readers need no lock, for every file is whole; writers hold [`Store::lock_write`].

pub mod atomic;
pub mod error;
pub mod format;
pub mod index;
pub mod layout;
pub mod lock;
pub mod memory;
pub mod retention;
pub mod spool;
pub mod state;
pub mod summary;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::advice::Advice;
use crate::model::name::SourceName;
use crate::model::snapshot::Head;
use crate::store::atomic::Draft;
use crate::store::error::StoreError;
use crate::store::index::Entries;
use crate::store::layout::{Layout, Place, SnapshotId, name_of};
use crate::store::lock::Lock;
use crate::store::spool::Spool;
use crate::store::state::{Duties, DutyState};
use crate::telemetry::in_one_line;

/// How many held snapshots of a source stay.
const KEEP_HELD: usize = 10;

/// Why the folders cannot be written into.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    /// A folder cannot be made or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else's folder: what this user writes, its owner could not replace.
    #[error("`{}` belongs to user {owner}, and this runs as user {user}", path.display())]
    Owner {
        /// The folder.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// This process's.
        user: u32,
    },
}

impl NotOurs {
    /// What to do.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Store(error) => error.advice(),
            Self::Owner { .. } => Advice::RunAsOwner,
        }
    }
}

/// The files of one output folder.
#[derive(Debug, Clone)]
pub struct Store {
    /// Where everything is.
    pub layout: Layout,
}

impl Store {
    /// The store of these folders; nothing is touched yet.
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }

    /// Makes the folders, and refuses those of another user and those that cannot be written.
    pub fn prepare(&self) -> Result<(), NotOurs> {
        let Layout { output, cache } = &self.layout;
        for folder in [output, cache] {
            atomic::make_folder(folder)?;
        }
        self.refuse_foreign()?;
        atomic::make_folder(&self.layout.locks())?;
        for folder in [output, cache] {
            tempfile::tempfile_in(folder).map_err(StoreError::on("write into", folder))?;
        }
        Ok(())
    }

    /// Refuses a cache of another user; one that is not there yet is nobody's.
    pub fn refuse_foreign(&self) -> Result<(), NotOurs> {
        let cache = &self.layout.cache;
        let owner = match fs::metadata(cache) {
            Ok(found) => found.uid(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::on("look at", cache)(error).into()),
        };
        let user = rustix::process::geteuid().as_raw();
        if owner == user { Ok(()) } else { Err(NotOurs::Owner { path: cache.clone(), owner, user }) }
    }

    /// The lock that `run` holds for life. Whoever only asks who holds it has it for an instant, so it is tried again.
    pub fn lock_run(&self) -> Result<Option<Lock>, StoreError> {
        for _ in 0..10 {
            if let Some(lock) = Lock::try_take(&self.run_lock())? {
                return Ok(Some(lock));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(None)
    }

    /// The process of the daemon that works here, if one does.
    pub fn daemon(&self) -> Option<u32> {
        lock::holder(&self.run_lock())
    }

    fn run_lock(&self) -> PathBuf {
        self.layout.locks().join("run")
    }

    /// The lock that a pull of `source` holds, if nobody pulls it.
    pub fn lock_source(&self, source: &SourceName) -> Result<Option<Lock>, StoreError> {
        Lock::try_take(&self.layout.locks().join(format!("pull-{source}")))
    }

    /// The short lock around every publish and prune.
    pub fn lock_write(&self) -> Result<Lock, StoreError> {
        Lock::take(&self.layout.locks().join("write"))
    }

    /// A spool for a pull.
    pub fn spool(&self) -> Result<Spool, StoreError> {
        Spool::create_in(&self.layout.cache).map_err(StoreError::on("spool in", &self.layout.cache))
    }

    /// A file without a name in the cache, for what is assembled.
    pub fn scratch(&self) -> Result<File, StoreError> {
        tempfile::tempfile_in(&self.layout.cache).map_err(StoreError::on("write into", &self.layout.cache))
    }

    /// The places that hold snapshots: the cache itself and the folders in it.
    pub fn places(&self) -> Result<Vec<Place>, StoreError> {
        let mut places = vec![Place::Flat];
        for entry in entries(&self.layout.cache)? {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if let Ok(name) = name_of(&entry.path()).parse::<SourceName>()
                && is_folder
            {
                places.push(Place::Folder(name));
            }
        }
        places.sort();
        Ok(places)
    }

    /// The snapshots of a place, oldest first: regular files whose names are exactly ours.
    pub fn list(&self, place: &Place) -> Result<Vec<SnapshotId>, StoreError> {
        list(&self.layout.folder(place))
    }

    /// The held snapshots of a source, oldest first.
    pub fn list_held(&self, source: &SourceName) -> Result<Vec<SnapshotId>, StoreError> {
        list(&self.layout.held(source))
    }

    /// A snapshot's head: from its index, or else from itself, its leads checked for form.
    pub fn head(&self, place: &Place, id: SnapshotId) -> Result<Head, StoreError> {
        let path = self.layout.snapshot(place, id);
        match index::open(&self.layout.index(place, id), &path) {
            Some((head, _)) => Ok(head),
            None => format::read_head(&path).map_err(StoreError::on("read snapshot", &path)),
        }
    }

    /// Writes a snapshot: head and leads whole, under a name that nothing had before; then its index, without which it
    /// is as good.
    pub fn publish(
        &self,
        place: &Place,
        head: &Head,
        leads: &mut File,
        index: &mut File,
    ) -> Result<SnapshotId, StoreError> {
        let _lock = self.lock_write()?;
        let id = Self::write_new(&self.layout.folder(place), head, leads)?;
        if let Err(error) = self.write_index(place, id, head, index) {
            tracing::warn!(
                error = in_one_line(&error),
                "The index of snapshot {id} is not there and is made when needed"
            );
        }
        Ok(id)
    }

    /// Hands the deals of a snapshot's index to `read`, in id order. An index that is lost, or turns out to be broken, is
    /// rebuilt, and `read` begins again.
    pub fn with_index<T>(
        &self,
        place: &Place,
        id: SnapshotId,
        mut read: impl FnMut(Entries) -> io::Result<T>,
    ) -> Result<T, StoreError> {
        let (path, snapshot) = (self.layout.index(place, id), self.layout.snapshot(place, id));
        if let Some((_, entries)) = index::open(&path, &snapshot)
            && let Ok(done) = read(entries)
        {
            return Ok(done);
        }
        let made = index::lines_of(&snapshot, self.scratch()?);
        let (head, mut lines) = made.map_err(StoreError::on("read snapshot", &snapshot))?;
        {
            let _lock = self.lock_write()?;
            self.write_index(place, id, &head, &mut lines)?;
        }
        let made = index::open(&path, &snapshot).ok_or_else(|| io::Error::from(ErrorKind::InvalidData));
        made.and_then(|(_, entries)| read(entries)).map_err(StoreError::on("read", &path))
    }

    fn write_index(&self, place: &Place, id: SnapshotId, head: &Head, lines: &mut File) -> Result<(), StoreError> {
        let path = self.layout.index(place, id);
        let mut draft = Draft::begin(&self.layout.folder(place))?;
        io::Seek::rewind(lines)
            .and_then(|()| index::write_heading(&self.layout.snapshot(place, id), head, &mut draft))
            .and_then(|()| draft.append(lines))
            .map_err(StoreError::on("write", &path))?;
        draft.commit_lightly(&path)
    }

    /// Sets a snapshot aside, where no reader takes it for data; of many only the newest few stay.
    pub fn hold(&self, source: &SourceName, head: &Head, leads: &mut File) -> Result<SnapshotId, StoreError> {
        let _lock = self.lock_write()?;
        let folder = self.layout.held(source);
        atomic::make_folder(&folder)?;
        let id = Self::write_new(&folder, head, leads)?;
        let all = list(&folder)?;
        for old in all.iter().rev().skip(KEEP_HELD) {
            let path = folder.join(old.file_name());
            fs::remove_file(&path).map_err(StoreError::on("delete", &path))?;
        }
        Ok(id)
    }

    /// The head of a held snapshot.
    pub fn held_head(&self, source: &SourceName, id: SnapshotId) -> Result<Head, StoreError> {
        let path = self.layout.held(source).join(id.file_name());
        format::read_head(&path).map_err(StoreError::on("read snapshot", &path))
    }

    /// Puts a held snapshot among the good ones, under the first free name of its second.
    pub fn accept(&self, source: &SourceName, place: &Place, held: SnapshotId) -> Result<SnapshotId, StoreError> {
        let _lock = self.lock_write()?;
        let from = self.layout.held(source).join(held.file_name());
        atomic::make_folder(&self.layout.folder(place))?;
        let mut id = SnapshotId::first_of(held.time);
        while !atomic::move_new(&from, &self.layout.snapshot(place, id))? {
            id = id.next();
        }
        Ok(id)
    }

    fn write_new(folder: &Path, head: &Head, leads: &mut File) -> Result<SnapshotId, StoreError> {
        let mut id = SnapshotId::first_of(head.timestamp);
        loop {
            let draft = Self::draft(folder, head, leads)?;
            if draft.commit_new(&folder.join(id.file_name()))? {
                return Ok(id);
            }
            id = id.next();
        }
    }

    /// Writes a joined latest file.
    pub fn replace_latest(&self, head: &Head, leads: &mut File) -> Result<(), StoreError> {
        Self::draft(&self.layout.output, head, leads)?.commit_over(&self.layout.latest())
    }

    fn draft(folder: &Path, head: &Head, leads: &mut File) -> Result<Draft, StoreError> {
        let mut draft = Draft::begin(folder)?;
        io::Seek::rewind(leads)
            .and_then(|()| format::write(head, &mut draft, |out| out.append(leads).map(|_| ())))
            .map_err(StoreError::on("write a file in", folder))?;
        Ok(draft)
    }

    /// Makes the latest file a copy of a snapshot. A copy, not a link: a program that writes into the latest file
    /// must not reach the snapshot.
    pub fn copy_to_latest(&self, place: &Place, id: SnapshotId) -> Result<(), StoreError> {
        let snapshot = self.layout.snapshot(place, id);
        let mut draft = Draft::begin(&self.layout.output)?;
        let mut file = File::open(&snapshot).map_err(StoreError::on("open", &snapshot))?;
        draft.append(&mut file).map_err(StoreError::on("write", &self.layout.latest()))?;
        draft.commit_over(&self.layout.latest())
    }

    /// Whether the latest file is, byte for byte, this snapshot, and a summary stands beside it. The latest is written
    /// last, so all is as it should be then.
    pub fn is_latest(&self, place: &Place, id: SnapshotId) -> bool {
        let same = || -> io::Result<bool> {
            let snapshot = self.layout.snapshot(place, id);
            let (mut one, mut other) = (File::open(snapshot)?, File::open(self.layout.latest())?);
            if one.metadata()?.len() != other.metadata()?.len() {
                return Ok(false);
            }
            let (mut left, mut right) = (vec![0; 64 << 10], vec![0; 64 << 10]);
            loop {
                let read = one.read(&mut left)?;
                if read == 0 {
                    return Ok(true);
                }
                other.read_exact(&mut right[..read])?;
                if left[..read] != right[..read] {
                    return Ok(false);
                }
            }
        };
        self.layout.summary().is_file() && same().unwrap_or(false)
    }

    /// Deletes snapshots and continues after single failures; skips what is not a regular file.
    pub fn remove(&self, place: &Place, ids: impl IntoIterator<Item = SnapshotId>) -> (u64, Vec<StoreError>) {
        let (mut removed, mut errors) = (0, Vec::new());
        for id in ids {
            let path = self.layout.snapshot(place, id);
            if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
                continue;
            }
            // First, so that no index is left behind; a snapshot without one is as good.
            let _ = fs::remove_file(self.layout.index(place, id));
            match fs::remove_file(&path) {
                Ok(()) => removed += 1,
                Err(error) => errors.push(StoreError::on("delete", &path)(error)),
            }
        }
        (removed, errors)
    }

    /// Moves the flat files of a source, written before it had a section, into its folder. A file
    /// whose name stands there already stays where it is.
    pub fn adopt(&self, name: &SourceName) -> Result<u64, StoreError> {
        let place = Place::Folder(name.clone());
        let folder = self.layout.folder(&place);
        atomic::make_folder(&folder)?;
        self.move_where(&Place::Flat, &folder, |head| head.source == name.as_str())
    }

    /// Moves the invented snapshots of a place aside, so that live data never stands among them.
    pub fn set_demo_aside(&self, place: &Place) -> Result<u64, StoreError> {
        let mut folder = self.layout.demo();
        if let Place::Folder(name) = place {
            folder.push(name.as_str());
        }
        self.move_where(place, &folder, |head| head.demo)
    }

    /// Moves the snapshots of a place whose heads are as wanted.
    fn move_where(&self, place: &Place, to: &Path, wanted: impl Fn(&Head) -> bool) -> Result<u64, StoreError> {
        let _lock = self.lock_write()?;
        let mut moved = 0;
        for id in self.list(place)? {
            if self.head(place, id).is_ok_and(|head| wanted(&head)) {
                atomic::make_folder(to)?;
                moved += u64::from(atomic::move_new(&self.layout.snapshot(place, id), &to.join(id.file_name()))?);
                let _ = fs::remove_file(self.layout.index(place, id));
            }
        }
        Ok(moved)
    }

    /// Removes the drafts that a killed process left. Drafts are written only under the write lock.
    pub fn sweep(&self) -> Result<u64, StoreError> {
        let _lock = self.lock_write()?;
        let mut swept = atomic::sweep(&self.layout.output)?;
        for place in self.places()? {
            swept += atomic::sweep(&self.layout.folder(&place))?;
            self.sweep_indexes(&place)?;
            if let Place::Folder(name) = &place {
                swept += atomic::sweep(&self.layout.held(name))?;
            }
        }
        Ok(swept)
    }

    /// Removes the indexes whose snapshots are gone.
    fn sweep_indexes(&self, place: &Place) -> Result<(), StoreError> {
        for entry in entries(&self.layout.folder(place))? {
            let id = entry.file_name().to_str().and_then(SnapshotId::of_index_name);
            if id.is_some_and(|id| self.layout.snapshot(place, id).symlink_metadata().is_err()) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// What the duties of a place did last.
    pub fn duties(&self, place: &Place) -> Duties {
        state::read(&self.layout.state(place))
    }

    /// Changes what is remembered of a duty.
    pub fn remember(&self, place: &Place, duty: &str, change: impl FnOnce(&mut DutyState)) -> Result<(), StoreError> {
        atomic::make_folder(&self.layout.folder(place))?;
        let _lock = self.lock_write()?;
        state::change(&self.layout.state(place), duty, change)
    }
}

/// The snapshots of a folder, oldest first: regular files whose names are exactly ours.
fn list(folder: &Path) -> Result<Vec<SnapshotId>, StoreError> {
    let mut found: Vec<SnapshotId> = entries(folder)?
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| SnapshotId::of_file_name(entry.file_name().to_str()?))
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// A folder's entries; none where there is no folder.
fn entries(folder: &Path) -> Result<impl Iterator<Item = fs::DirEntry> + use<>, StoreError> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::on("list", folder)(error)),
    }
    .map(|entries| entries.into_iter().flatten().filter_map(Result::ok))
}
