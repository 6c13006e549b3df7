//! Why a file could not be read or written.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::advice::Advice;

/// A failed action on a file.
#[derive(Debug, thiserror::Error)]
#[error("{deed} `{}`", path.display())]
pub struct StoreError {
    deed: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl StoreError {
    /// For `map_err`: the action and its path.
    pub fn on(deed: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { deed, path, source }
    }

    /// What to do.
    pub fn advice(&self) -> Advice {
        Advice::on_io(&self.source)
    }

    /// What the system said.
    pub fn kind(&self) -> ErrorKind {
        self.source.kind()
    }
}
