//! A deal's record in the spool: its lead, and on a second line the names that are still open.
//!
//! Most leads pass from the spool into the file without being read again; an open name is put into its place in the
//! text, for the key of an empty field stands in a lead exactly once unescaped.

use std::borrow::Cow;
use std::io;

use crate::model::deal::{Deal, Figures, MissingName, NameField, WantedName};
use crate::model::finding::{Findings, Rule};
use crate::sources::source::Names;

/// A deal as the spool keeps it.
pub fn record(deal: &Deal) -> io::Result<Vec<u8>> {
    let mut record = serde_json::to_vec(deal)?;
    if !deal.wanted.is_empty() {
        // No lead holds a bare line feed: JSON escapes it.
        record.push(b'\n');
        serde_json::to_writer(&mut record, &deal.wanted)?;
    }
    Ok(record)
}

/// The lead of a record, its open names filled in; a name that nobody knows is counted as a finding.
pub fn lead<'a>(record: &'a [u8], names: &Names, findings: &mut Findings) -> io::Result<Cow<'a, [u8]>> {
    let Some(end) = record.iter().position(|byte| *byte == b'\n') else { return Ok(Cow::Borrowed(record)) };
    let wanted: Vec<WantedName> = serde_json::from_slice(&record[end + 1..])?;
    let mut lead = String::from_utf8(record[..end].to_vec()).map_err(io::Error::other)?;
    let id = serde_json::from_str::<Figures<'_>>(&lead)?.id.into_owned();
    for name in wanted {
        let known = names.get(&name.table, &name.key);
        if known.is_none() {
            findings.add(Rule::R09, name.field.key(), &id);
        }
        let text = match (known, name.missing) {
            (Some(known), _) => known,
            (None, MissingName::Key) => &name.key,
            (None, MissingName::Null) => continue,
        };
        fill(&mut lead, name.field, text)?;
    }
    Ok(Cow::Owned(lead.into_bytes()))
}

fn fill(lead: &mut String, field: NameField, text: &str) -> io::Result<()> {
    let empty = format!(",\"{}\":null,", field.key());
    if let Some(start) = lead.find(&empty) {
        let null = start + empty.len() - "null,".len();
        lead.replace_range(null..null + "null".len(), &serde_json::to_string(text)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deal(missing: MissingName) -> Deal {
        let wanted = |field, key: &str| WantedName { field, table: "t".into(), key: key.to_owned(), missing };
        Deal {
            id: "1".to_owned(),
            // A name that looks like the place to be filled.
            name: "a,\"company\":null,\n".to_owned(),
            wanted: vec![wanted(NameField::Company, "7"), wanted(NameField::Owner, "unknown")],
            ..Deal::default()
        }
    }

    fn filled(deal: &Deal) -> (Deal, Findings) {
        let names = Names([("t".to_owned(), [("7".to_owned(), "Nord \"wind\"".to_owned())].into())].into());
        let mut findings = Findings::default();
        let record = record(deal).unwrap();
        let lead = lead(&record, &names, &mut findings).unwrap();
        (serde_json::from_slice(&lead).unwrap(), findings)
    }

    #[test]
    fn open_names_are_filled_in_and_unknown_ones_counted() {
        let (lead, findings) = filled(&deal(MissingName::Key));
        assert_eq!((lead.company.as_deref(), lead.owner.as_deref()), (Some("Nord \"wind\""), Some("unknown")));
        assert_eq!(lead.name, deal(MissingName::Key).name);
        assert_eq!(findings.into_list().len(), 1);
        let (lead, _) = filled(&deal(MissingName::Null));
        assert_eq!(lead.owner, None);
    }
}
