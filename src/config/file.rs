//! Config files: which one is used, whether it may be, and on which line a key stands.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use figment::value::Dict;
use toml_edit::{ImDocument, Item, TableLike};

/// The file of a working directory.
const LOCAL: &str = "config/sales-pipeline.toml";
/// The file of a machine.
const SYSTEM: &str = "/etc/sales-pipeline/config.toml";
/// The variables of a working directory.
pub const DOTENV: &str = ".env.local";
/// No config is larger.
const MAX_BYTES: u64 = 4 << 20;

/// The configuration file: the named one, else the working directory's, else the machine's.
pub fn choose(named: Option<&Path>, working_directory: &Path) -> Option<(PathBuf, Found)> {
    if let Some(path) = named {
        return Some((path.to_owned(), Found::Named));
    }
    let local = working_directory.join(LOCAL);
    if local.symlink_metadata().is_ok() {
        return Some((PathBuf::from(LOCAL), Found::ByWorkingDirectory));
    }
    Path::new(SYSTEM).symlink_metadata().is_ok().then(|| (PathBuf::from(SYSTEM), Found::Named))
}

/// How a file came to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Somebody said so, or it is the machine's.
    Named,
    /// It lies where the program was started: used only if nobody else can have put it there.
    ByWorkingDirectory,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Somebody else owns it.
    #[error("belongs to another user, so it is not used")]
    Foreign,
    /// Others can write it.
    #[error("can be written by others, so it is not used")]
    Writable,
    /// It is not a config.
    #[error("is larger than 4 MiB, or not UTF-8")]
    NotText,
}

impl Unusable {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "check the path and its permissions",
            Self::Foreign => "make it your own (chown); a config that you trust as it is can be named with --config",
            Self::Writable => {
                "take the permission away (chmod go-w); a config that you trust as it is can be named with --config"
            }
            Self::NotText => "name another file with --config",
        }
    }
}

/// Reads a file's text, if it may be used by `user`.
pub fn read(path: &Path, found: Found, user: u32) -> Result<String, Unusable> {
    let metadata = fs::metadata(path)?;
    if found == Found::ByWorkingDirectory {
        if metadata.uid() != user && metadata.uid() != 0 {
            return Err(Unusable::Foreign);
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(Unusable::Writable);
        }
    }
    if metadata.len() > MAX_BYTES {
        return Err(Unusable::NotText);
    }
    String::from_utf8(fs::read(path)?).map_err(|_| Unusable::NotText)
}

/// A file's text with the lines of its keys.
#[derive(Debug)]
pub struct Located {
    document: ImDocument<String>,
    text: String,
}

/// The position of a TOML syntax error.
#[derive(Debug, PartialEq, Eq)]
pub struct Syntax {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there; never the line itself.
    pub message: String,
}

impl Located {
    /// Parses the text.
    pub fn parse(text: String) -> Result<Self, Syntax> {
        match ImDocument::parse(text.clone()) {
            Ok(document) => Ok(Self { document, text }),
            Err(error) => {
                let line = line_of(&text, error.span().map_or(0, |span| span.start));
                let message = error.message().lines().next().unwrap_or("is no TOML").to_owned();
                Err(Syntax { line, message })
            }
        }
    }

    /// The line of a key, or of the nearest table above it; `None` where the file says nothing of it.
    pub fn line(&self, path: &[String]) -> Option<usize> {
        let mut table: &dyn TableLike = self.document.as_table();
        let mut start = None;
        for step in path {
            let Some((key, item)) = table.get_key_value(step) else { break };
            start = key.span().or_else(|| item.span()).map(|span| span.start).or(start);
            match item.as_table_like() {
                Some(inner) => table = inner,
                None => break,
            }
        }
        start.map(|start| line_of(&self.text, start))
    }

    /// Whether the file itself sets the key.
    pub fn sets(&self, path: &[String]) -> bool {
        let mut item: &Item = self.document.as_item();
        path.iter().all(|step| {
            item.as_table_like().and_then(|table| table.get(step)).is_some_and(|inner| {
                item = inner;
                true
            })
        })
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or(text).matches('\n').count() + 1
}

/// Takes out of `lower` every secret that `upper` gives in another form, so that the two do not mix into one table.
pub fn shadow_secrets(lower: &mut Dict, upper: &Dict) {
    for (key, over) in upper {
        let Some(inner) = over.as_dict() else { continue };
        if is_secret(inner) {
            lower.remove(key);
        } else if let Some(figment::value::Value::Dict(_, under)) = lower.get_mut(key) {
            shadow_secrets(under, inner);
        }
    }
}

fn is_secret(table: &Dict) -> bool {
    table.len() == 1 && table.keys().all(|key| matches!(key.as_str(), "env" | "file" | "credential"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(key: &str) -> Vec<String> {
        key.split('.').map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_key_is_found_on_its_line_in_every_way_toml_writes_it() {
        let text = "a = 1\n[b.c]\nd = 2\n[e]\nf = { g = 3,\n h = 4 }\ni.j = 5\n";
        let file = Located::parse(text.replace(",\n h", ", h")).unwrap();
        for (key, line) in [
            ("a", Some(1)),
            ("b.c.d", Some(3)),
            ("e.f.h", Some(5)),
            ("e.i.j", Some(6)),
            ("b.c.missing", Some(2)),
            ("z", None),
        ] {
            assert_eq!(file.line(&path(key)), line, "{key}");
        }
        assert!(file.sets(&path("e.f.g")) && !file.sets(&path("e.f.x")));
    }

    #[test]
    fn a_syntax_error_names_its_line_and_shows_nothing_of_it() {
        let error = Located::parse("a = 1\napi_key = canary\n".to_owned()).unwrap_err();
        assert_eq!(error.line, 2);
        assert!(!error.message.contains("canary"), "{}", error.message);
    }
}
