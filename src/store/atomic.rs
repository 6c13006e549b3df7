//! A file that is there whole or not at all: temporary file, fsync, rename, fsync of the folder.
//!
//! `tempfile` does the naming and the renaming; syncing file and folder is ours, for it promises neither.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use tempfile::NamedTempFile;

use crate::store::error::StoreError;
use crate::store::layout::TEMPORARY;

/// Files can be read by the group, so that a program of the same group can.
const FILE_MODE: u32 = 0o640;
const PRIVATE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o750;

/// A file being written; dropped before it is committed, it is gone.
#[derive(Debug)]
pub struct Draft {
    file: BufWriter<NamedTempFile>,
}

impl Draft {
    /// Begins a file that will stand in `folder`.
    pub fn begin(folder: &Path) -> Result<Self, StoreError> {
        Self::begin_as(folder, FILE_MODE)
    }

    fn begin_as(folder: &Path, mode: u32) -> Result<Self, StoreError> {
        tempfile::Builder::new()
            .prefix(TEMPORARY)
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)
            .map(|file| Self { file: BufWriter::new(file) })
            .map_err(StoreError::on("create a file in", folder))
    }

    /// Copies the whole of `from` in, by the kernel where it can.
    pub fn append(&mut self, from: &mut File) -> io::Result<u64> {
        self.file.flush()?;
        io::copy(from, self.file.get_mut().as_file_mut())
    }

    /// Makes it stand as `path`, where nothing may stand yet: `false` if something does.
    pub fn commit_new(self, path: &Path) -> Result<bool, StoreError> {
        match self.synced(path)?.persist_noclobber(path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(StoreError::on("write", path)(error.error)),
        }
        sync_folder(path)?;
        Ok(true)
    }

    /// Makes it stand as `path`, in place of what stood there.
    pub fn commit_over(self, path: &Path) -> Result<(), StoreError> {
        self.synced(path)?.persist(path).map_err(|error| StoreError::on("replace", path)(error.error))?;
        sync_folder(path)
    }

    /// The same without a sync, for what may be lost in a power cut: then the old content stands, or none.
    pub fn commit_lightly(self, path: &Path) -> Result<(), StoreError> {
        let file = self.file.into_inner().map_err(|error| StoreError::on("write", path)(error.into_error()))?;
        file.persist(path).map_err(|error| StoreError::on("replace", path)(error.error))?;
        Ok(())
    }

    /// A failed fsync is never tried again on the same file: the kernel has dropped the pages.
    fn synced(self, path: &Path) -> Result<NamedTempFile, StoreError> {
        let file = self.file.into_inner().map_err(|error| StoreError::on("write", path)(error.into_error()))?;
        file.as_file().sync_all().map_err(StoreError::on("sync", path))?;
        Ok(file)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Replaces the file `path` by `bytes`, whole or not at all.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut draft = Draft::begin(parent(path))?;
    draft.write_all(bytes).map_err(StoreError::on("write", path))?;
    draft.commit_over(path)
}

/// The same for what only the owner may read.
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut draft = Draft::begin_as(parent(path), PRIVATE_MODE)?;
    draft.write_all(bytes).map_err(StoreError::on("write", path))?;
    draft.commit_over(path)
}

/// The same as [`replace`] without a sync: for a small file that is written often and whose loss costs nothing.
pub fn replace_lightly(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut draft = Draft::begin(parent(path))?;
    draft.write_all(bytes).map_err(StoreError::on("write", path))?;
    draft.commit_lightly(path)
}

/// Moves a file to where nothing may stand yet: `false` if something does. Both folders are synced.
pub fn move_new(from: &Path, to: &Path) -> Result<bool, StoreError> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => return Ok(false),
        Err(error) => return Err(StoreError::on("move", from)(error.into())),
    }
    sync_folder(to)?;
    sync_folder(from)?;
    Ok(true)
}

/// Makes the folder and those above it.
pub fn make_folder(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path).map_err(StoreError::on("create folder", path))
}

/// Syncs the folder that `path` stands in, so that a new or lost name survives a power cut.
pub fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = parent(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::on("sync folder", folder))
}

/// Removes the temporary files that a killed process left in `folder`.
pub fn sweep(folder: &Path) -> Result<u64, StoreError> {
    let on_read = StoreError::on("list", folder);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(on_read(error)),
    };
    let mut swept = 0;
    for entry in entries.filter_map(Result::ok) {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        if ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            fs::remove_file(entry.path()).map_err(StoreError::on("remove", &entry.path()))?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
