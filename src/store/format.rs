//! The snapshot file: head, one lead a line, rest of the head. Reads any JSON of that shape, the original's too.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::model::money::{Currency, Fx};
use crate::model::number;
use crate::model::pipeline::Stage;
use crate::model::snapshot::{self, Completeness, Head, JoinedSource, Quality, Run, StageBreakdown, Totals};

/// What stands before the leads.
#[derive(Serialize)]
struct Opening<'a> {
    #[serde(serialize_with = "snapshot::microseconds")]
    timestamp: DateTime<Utc>,
    total_leads: u64,
    #[serde(with = "number")]
    total_value: Decimal,
    #[serde(with = "number")]
    weighted_value: Decimal,
    stage_breakdown: &'a StageBreakdown,
}

/// What stands after them.
#[derive(Serialize)]
struct Closing<'a> {
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: &'a Option<String>,
    demo: bool,
    schema_version: u32,
    currency: Option<Currency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fx: &'a Option<Fx>,
    totals: &'a Totals,
    stages: &'a [Stage],
    completeness: &'a Completeness,
    quality: &'a Quality,
    run: &'a Option<Run>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sources: &'a [JoinedSource],
    #[serde(skip_serializing_if = "Option::is_none")]
    leads_omitted: &'a Option<String>,
}

/// Writes a file's text: the head around `leads`, which are lines that [`lead_line`] made.
pub fn write<W: Write>(head: &Head, out: &mut W, leads: impl FnOnce(&mut W) -> io::Result<()>) -> io::Result<()> {
    let opening = serde_json::to_string_pretty(&Opening {
        timestamp: head.timestamp,
        total_leads: head.total_leads,
        total_value: head.total_value,
        weighted_value: head.weighted_value,
        stage_breakdown: &head.stage_breakdown,
    })?;
    let closing = serde_json::to_string_pretty(&Closing {
        source: &head.source,
        account: &head.account,
        demo: head.demo,
        schema_version: head.schema_version,
        currency: head.currency,
        fx: &head.fx,
        totals: &head.totals,
        stages: &head.stages,
        completeness: &head.completeness,
        quality: &head.quality,
        run: &head.run,
        sources: &head.sources,
        leads_omitted: &head.leads_omitted,
    })?;
    let opening = opening.strip_suffix("\n}").expect("a pretty object ends so");
    let closing = closing.strip_prefix('{').expect("an object begins so");
    write!(out, "{opening},\n  \"leads\": [")?;
    leads(out)?;
    writeln!(out, "\n  ],{closing}")
}

/// Writes one lead on its own line; `first` has no comma before it.
pub fn lead_line(out: &mut impl Write, lead: &[u8], first: bool) -> io::Result<()> {
    out.write_all(if first { b"\n    " } else { b",\n    " })?;
    out.write_all(lead)
}

/// Reads a file, handing over each lead's JSON; fails on anything that is not one whole snapshot.
pub fn read(path: &Path, lead: &mut dyn FnMut(&RawValue) -> io::Result<()>) -> io::Result<Head> {
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(64 << 10, File::open(path)?));
    let (head, leads) = json.deserialize_map(Document { lead })?;
    json.end()?;
    if head.total_leads != leads && head.leads_omitted.is_none() {
        let text = format!("holds {leads} leads and says {}", head.total_leads);
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(head)
}

/// Reads a file's head; the leads are counted and checked for form, no more.
pub fn read_head(path: &Path) -> io::Result<Head> {
    match skim(BufReader::with_capacity(64 << 10, File::open(path)?))? {
        Some(head) => Ok(head),
        None => read(path, &mut |_| Ok(())),
    }
}

/// Reads the head of a file of our own making by its lines, ten times as fast; `None` for any other.
fn skim(mut file: impl BufRead) -> io::Result<Option<Head>> {
    let (mut around, mut line) = (Vec::new(), Vec::new());
    let (mut leads, mut inside) = (0, false);
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        match line.as_slice() {
            b"  \"leads\": [\n" => inside = true,
            b"  ],\n" if inside => inside = false,
            lead if inside && lead.starts_with(b"    {") && (lead.ends_with(b"},\n") || lead.ends_with(b"}\n")) => {
                leads += 1;
            }
            _ if inside => return Ok(None),
            other => around.extend_from_slice(other),
        }
    }
    let head: Option<Head> = serde_json::from_slice(&around).ok();
    Ok(head.filter(|head| head.total_leads == leads || (leads == 0 && head.leads_omitted.is_some())))
}

struct Document<'a> {
    lead: &'a mut dyn FnMut(&RawValue) -> io::Result<()>,
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = (Head, u64);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a snapshot")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut rest: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
        let mut leads = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "leads" {
                leads = Some(map.next_value_seed(Leads { lead: &mut *self.lead })?);
            } else {
                rest.insert(key, map.next_value()?);
            }
        }
        let leads = leads.ok_or_else(|| A::Error::missing_field("leads"))?;
        // Typed from text once more, so that money keeps every digit.
        let text = serde_json::to_string(&rest).map_err(A::Error::custom)?;
        Ok((serde_json::from_str(&text).map_err(A::Error::custom)?, leads))
    }
}

struct Leads<'a> {
    lead: &'a mut dyn FnMut(&RawValue) -> io::Result<()>,
}

impl<'de> DeserializeSeed<'de> for Leads<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Leads<'_> {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of leads")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut count = 0;
        while let Some(lead) = items.next_element::<Box<RawValue>>()? {
            (self.lead)(&lead).map_err(A::Error::custom)?;
            count += 1;
        }
        items.next_element::<IgnoredAny>()?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINAL: &str = r#"{"timestamp": "2025-12-10T20:21:45.039161+00:00", "total_leads": 1, "total_value": 150000.05,
        "weighted_value": 45000.015, "stage_breakdown": {"Qualification": 1}, "leads": [{"id": "lead-001", "value": 150000.05}],
        "source": "hubspot"}"#;

    fn written(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_of_the_original_format_is_read_as_it_is() {
        let (_folder, path) = written(ORIGINAL);
        let mut leads = Vec::new();
        let head = read(&path, &mut |lead| {
            leads.push(lead.get().to_owned());
            Ok(())
        })
        .unwrap();
        assert!(head.is_original_format());
        assert_eq!((head.total_leads, head.total_value), (1, Decimal::new(15_000_005, 2)));
        assert_eq!(leads, [r#"{"id": "lead-001", "value": 150000.05}"#]);
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        let (_folder, path) = written(ORIGINAL);
        let mut head = read_head(&path).unwrap();
        head.schema_version = snapshot::SCHEMA_VERSION;
        let mut text = Vec::new();
        write(&head, &mut text, |out| lead_line(out, br#"{"id":"lead-001"}"#, true)).unwrap();
        std::fs::write(&path, &text).unwrap();
        assert_eq!(read_head(&path).unwrap(), head);
        assert_eq!(read(&path, &mut |_| Ok(())).unwrap(), head);
    }

    #[test]
    fn a_file_of_our_own_is_skimmed_and_any_other_read_whole() {
        let (_folder, path) = written(ORIGINAL);
        let mut head = read_head(&path).unwrap();
        head.total_leads = 2;
        let mut text = Vec::new();
        let lines = |out: &mut Vec<u8>| {
            lead_line(out, br#"{"id":"1"}"#, true)?;
            lead_line(out, br#"{"id":"2"}"#, false)
        };
        write(&head, &mut text, lines).unwrap();
        assert_eq!(skim(&text[..]).unwrap(), Some(head));
        for cut in 0..text.len() - 1 {
            assert_eq!(skim(&text[..cut]).unwrap(), None, "cut at {cut}");
        }
        let fewer = String::from_utf8(text).unwrap().replace("    {\"id\":\"1\"},\n", "");
        assert_eq!(skim(fewer.as_bytes()).unwrap(), None, "a lead is gone");
        assert_eq!(skim(ORIGINAL.as_bytes()).unwrap(), None);
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_and_never_a_smaller_snapshot() {
        for cut in 0..ORIGINAL.len() {
            let (_folder, path) = written(&ORIGINAL[..cut]);
            assert!(read_head(&path).is_err(), "cut at {cut}");
        }
        let (_folder, path) = written(&ORIGINAL.replace("\"total_leads\": 1", "\"total_leads\": 2"));
        assert!(read_head(&path).is_err());
    }
}
