//! `daily_summary.json`, which other programs write into too: our keys are replaced, theirs stay as they are.
//!
//! Objects keep their order and every value its text: another program's numbers do not pass through a float of ours.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::ordered::Ordered;
use crate::store::atomic;
use crate::store::error::StoreError;
use crate::store::layout::{Layout, broken_summary_prefix, name_of};
use crate::store::lock::Lock;

/// The block that says which parts of the file are alive.
const METADATA: &str = "metadata";
/// Our block.
const OURS: &str = "sales_pipeline_summary";

/// A JSON object whose values keep their text.
pub type Object = Ordered<Box<RawValue>>;

/// Sets a key, in place where it stands already.
pub fn set(object: &mut Object, key: &str, value: &impl Serialize) -> io::Result<()> {
    let value = indented(value)?;
    match object.0.iter_mut().find(|(known, _)| known == key) {
        Some((_, place)) => *place = value,
        None => object.0.push((key.to_owned(), value)),
    }
    Ok(())
}

/// The object that stands at `key`, empty where none does.
fn inner(object: &Object, key: &str) -> Object {
    let raw = object.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.get());
    raw.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Our values are for people too: one key a line, a level deeper than the key they stand at.
fn indented(value: &impl Serialize) -> io::Result<Box<RawValue>> {
    let text = serde_json::to_string_pretty(value)?.replace('\n', "\n  ");
    Ok(RawValue::from_string(text)?)
}

/// What was done with the file that stood there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// Our keys were replaced in it.
    Into,
    /// It could not be read and was set aside under this name.
    SetAside(PathBuf),
}

/// Replaces our keys: `metadata` key by key, and our block whole. A file that is not a JSON object is set aside first.
pub fn merge(
    layout: &Layout,
    metadata: &Object,
    ours: &impl Serialize,
    now: DateTime<Utc>,
) -> Result<Merged, StoreError> {
    let path = layout.summary();
    let _lock = Lock::take(&layout.summary_lock())?;
    let (mut file, merged) = match fs::read(&path) {
        Ok(bytes) => match serde_json::from_slice::<Object>(&bytes) {
            Ok(file) => (file, Merged::Into),
            Err(_) => (Object::default(), Merged::SetAside(set_aside(layout, now)?)),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => (Object::default(), Merged::Into),
        Err(error) => return Err(StoreError::on("read", &path)(error)),
    };
    let text = compose(&mut file, metadata, ours).map_err(StoreError::on("write", &path))?;
    atomic::replace(&path, &text)?;
    Ok(merged)
}

fn compose(file: &mut Object, metadata: &Object, ours: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut kept = inner(file, METADATA);
    for (key, value) in &metadata.0 {
        set(&mut kept, key, value)?;
    }
    set(file, METADATA, &kept)?;
    set(file, OURS, ours)?;
    let mut text = b"{".to_vec();
    for (index, (key, value)) in file.0.iter().enumerate() {
        text.extend_from_slice(if index == 0 { b"\n  " } else { b",\n  " });
        text.extend_from_slice(serde_json::to_string(key)?.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.get().as_bytes());
    }
    text.extend_from_slice(b"\n}\n");
    Ok(text)
}

/// Renames the broken file; it is somebody's, so it is never deleted and never overwritten.
fn set_aside(layout: &Layout, now: DateTime<Utc>) -> Result<PathBuf, StoreError> {
    let path = layout.summary();
    let first = layout.broken_summary(now);
    let mut aside = first.clone();
    let mut number = 1;
    while aside.symlink_metadata().is_ok() {
        number += 1;
        aside = PathBuf::from(format!("{}_{number}", first.display()));
    }
    fs::rename(&path, &aside).map_err(StoreError::on("set aside", &path))?;
    Ok(aside)
}

/// The files that were set aside and are still there.
pub fn broken(layout: &Layout) -> Vec<PathBuf> {
    let prefix = broken_summary_prefix();
    let entries = fs::read_dir(&layout.output).into_iter().flatten().filter_map(Result::ok);
    let mut broken: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| name_of(path).starts_with(&prefix)).collect();
    broken.sort();
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout { output: folder.path().to_owned(), cache: folder.path().join("cache") };
        (folder, layout)
    }

    fn metadata() -> Object {
        let mut metadata = Object::default();
        set(&mut metadata, "sales_pipeline_enabled", &true).unwrap();
        metadata
    }

    #[test]
    fn other_programs_keys_stay_to_the_letter_and_in_their_order() {
        let (_folder, layout) = layout();
        let theirs = r#"{"weather": {"t": 1.10e2}, "metadata": {"weather_enabled": true, "n": 12345678901234567890123}, "z": [1,  2]}"#;
        fs::write(layout.summary(), theirs).unwrap();
        let now = "2026-11-22T08:00:00Z".parse().unwrap();
        assert_eq!(merge(&layout, &metadata(), &serde_json::json!({"total_leads": 5}), now).unwrap(), Merged::Into);
        let text = fs::read_to_string(layout.summary()).unwrap();
        let expected = "{\n  \"weather\": {\"t\": 1.10e2},\n  \"metadata\": {\n    \"weather_enabled\": true,\n    \"n\": 12345678901234567890123,\n    \"sales_pipeline_enabled\": true\n  },\n  \"z\": [1,  2],\n  \"sales_pipeline_summary\": {\n    \"total_leads\": 5\n  }\n}\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_broken_summary_is_set_aside_and_publishing_goes_on() {
        let (_folder, layout) = layout();
        let now = "2026-11-22T08:00:00Z".parse().unwrap();
        for broken in ["{\"a\": ", "[]"] {
            fs::write(layout.summary(), broken).unwrap();
            let Merged::SetAside(aside) = merge(&layout, &metadata(), &1, now).unwrap() else {
                panic!("merged into {broken}")
            };
            assert_eq!(fs::read_to_string(aside).unwrap(), broken);
        }
        let names: Vec<String> = broken(&layout).iter().map(|path| name_of(path).to_owned()).collect();
        assert_eq!(names, ["daily_summary.json.broken-20261122_080000", "daily_summary.json.broken-20261122_080000_2"]);
    }
}
