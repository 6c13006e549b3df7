//! A table that is written down: in the configuration, or in a file of two columns.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::settings::{Problem, Section};
use crate::sources::rest::lookup::rows::{Missing, column};
use crate::sources::source::Names;
use crate::sources::values::scalar::Constant;

/// The largest file, in bytes.
const MAX_BYTES: u64 = 8 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    entries: Option<BTreeMap<String, Constant>>,
    file: Option<PathBuf>,
    #[serde(default)]
    missing: Missing,
}

/// Reads the section and, where it names one, the file.
pub(super) fn read(name: &str, section: &Section) -> Result<(Names, Missing), Vec<Problem>> {
    let Keys { entries, file, missing } = section.read(&["mode"])?;
    let rows: HashMap<String, String> = match (entries, file) {
        (Some(_), Some(_)) => {
            return Err(vec![Problem::at("file", "stands beside `entries`").hint("one of the two")]);
        }
        (None, None) => {
            return Err(vec![Problem::at("entries", "is missing").hint("`{ \"1\" = \"New\" }`, or `file`")]);
        }
        (Some(entries), None) => {
            let text = |(key, value): (String, Constant)| Some((key, value.0.text()?.to_owned()));
            entries.into_iter().filter_map(text).collect()
        }
        (None, Some(file)) => read_file(&file).map_err(|why| vec![Problem::at("file", why)])?,
    };
    if rows.is_empty() {
        return Err(vec![Problem::at("entries", "is empty")]);
    }
    Ok((Names([(column(name, None), rows)].into()), missing))
}

fn read_file(path: &Path) -> Result<HashMap<String, String>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text)).map_err(cannot)?;
    if text.len() as u64 > MAX_BYTES {
        return Err("is larger than 8 MiB".to_owned());
    }
    rows(text.trim_start_matches('\u{feff}'))
}

/// Lines of two fields: the key and the name (RFC 4180, one line a row).
fn rows(text: &str) -> Result<HashMap<String, String>, String> {
    let mut rows = HashMap::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = || format!("line {}: expected two fields, the key and the name", index + 1);
        let [key, name] = <[String; 2]>::try_from(fields(line).ok_or_else(wrong)?).map_err(|_| wrong())?;
        rows.insert(key, name);
    }
    Ok(rows)
}

fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let (mut quoted, mut letters) = (false, line.chars().peekable());
    while let Some(letter) = letters.next() {
        let field = fields.last_mut()?;
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => field.push(letter),
        }
    }
    let trimmed = fields.into_iter().map(|field| field.trim().to_owned()).collect();
    (!quoted).then_some(trimmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_key_and_a_name_on_each_line() {
        let read = rows("1,New\r\n\n\"2\", \"Proposal, \"\"big\"\"\"\n").unwrap();
        assert_eq!(read["1"], "New");
        assert_eq!(read["2"], "Proposal, \"big\"");
        assert_eq!(rows("1,New\n2"), Err("line 2: expected two fields, the key and the name".to_owned()));
        assert!(rows("1,\"New").is_err() && rows("1,2,3").is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_told_when_the_configuration_is_read() {
        let section = crate::settings::section("file = '/no/such/file.csv'");
        assert_eq!(read("t", &section).unwrap_err()[0].path, ["file"]);
    }
}
