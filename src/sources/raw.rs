//! The record behind each deal, found in the answers it came in: for people who look at a mapping.
//!
//! Pure, and apart from the sources, none of which keeps what it has read. Nothing is guessed: the records are the list
//! in which one and the same key holds the deals' ids.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use csv::{ReaderBuilder, StringRecord};
use serde_json::value::{RawValue, to_raw_value};

use crate::model::ordered::Ordered;

/// How deep lists and ids are looked for.
const DEEPEST: usize = 4;

/// The records of the deals with these ids, as they came, a line of a table as an object of texts; without those that no
/// answer holds.
pub fn behind(ids: &[&str], answers: &[&str]) -> HashMap<String, Box<RawValue>> {
    let mut best = HashMap::new();
    for answer in answers {
        let found = match serde_json::from_str::<&RawValue>(answer) {
            Ok(answer) => in_lists(ids, answer),
            Err(_) => in_table(ids, answer),
        };
        if found.len() > best.len() {
            best = found;
        }
    }
    best
}

fn in_lists(ids: &[&str], answer: &RawValue) -> HashMap<String, Box<RawValue>> {
    let (mut lists, mut best) = (Vec::new(), HashMap::new());
    find_lists(answer, DEEPEST, &mut lists);
    for list in lists {
        let found = most_ids(&list, ids);
        if found.len() > best.len() {
            best = found;
        }
    }
    best.into_iter().map(|(id, record)| (id, record.to_owned())).collect()
}

/// The lines of a table, by the column that holds most of the ids.
fn in_table(ids: &[&str], answer: &str) -> HashMap<String, Box<RawValue>> {
    let mut lines = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(answer.as_bytes());
    let Ok(lines) = lines.records().collect::<Result<Vec<StringRecord>, _>>() else { return HashMap::new() };
    let Some((head, lines)) = lines.split_first() else { return HashMap::new() };
    let of_column = |column: usize| {
        let with_id = lines.iter().filter_map(|line| Some((line.get(column).filter(|cell| ids.contains(cell))?, line)));
        with_id.collect::<HashMap<&str, &StringRecord>>()
    };
    // Of several most ones, `max_by_key` would take the last.
    let best = (0..head.len()).rev().map(of_column).max_by_key(HashMap::len).unwrap_or_default();
    let object = |line: &StringRecord| {
        let cells = head.iter().zip(line.iter()).map(|(name, cell)| (name.to_owned(), cell.to_owned()));
        to_raw_value(&Ordered(cells.collect::<Vec<_>>())).ok()
    };
    best.into_iter().filter_map(|(id, line)| Some((id.to_owned(), object(line)?))).collect()
}

/// Every list of the answer, outer ones first.
fn find_lists<'a>(value: &'a RawValue, depth: usize, lists: &mut Vec<Vec<&'a RawValue>>) {
    match value.get().as_bytes().first() {
        Some(b'[') => {
            let list = serde_json::from_str::<Vec<&RawValue>>(value.get()).unwrap_or_default();
            lists.push(list.clone());
            for value in list.into_iter().filter(|_| depth > 0) {
                find_lists(value, depth - 1, lists);
            }
        }
        Some(b'{') if depth > 0 => members(value).into_iter().for_each(|(_, value)| {
            find_lists(value, depth - 1, lists);
        }),
        _ => {}
    }
}

fn members(value: &RawValue) -> Vec<(String, &RawValue)> {
    serde_json::from_str::<Ordered<&RawValue>>(value.get()).map(|object| object.0).unwrap_or_default()
}

/// The records of a list by the key that holds most of the ids; the shortest of equal keys.
fn most_ids<'a>(list: &[&'a RawValue], ids: &[&str]) -> HashMap<String, &'a RawValue> {
    let mut by_key: BTreeMap<(usize, String), HashMap<String, &'a RawValue>> = BTreeMap::new();
    for record in list {
        let mut scalars = Vec::new();
        find_scalars(record, String::new(), DEEPEST, &mut scalars);
        for (key, text) in scalars {
            if ids.contains(&text.as_ref()) {
                by_key.entry((key.len(), key)).or_default().insert(text.into_owned(), record);
            }
        }
    }
    // Of several most ones, `max_by_key` would take the last.
    by_key.into_values().rev().max_by_key(HashMap::len).unwrap_or_default()
}

fn find_scalars<'a>(value: &'a RawValue, key: String, depth: usize, scalars: &mut Vec<(String, Cow<'a, str>)>) {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'{') if depth > 0 => {
            for (name, value) in members(value) {
                find_scalars(value, format!("{key}.{name}"), depth - 1, scalars);
            }
        }
        Some(b'"') => {
            let text = serde_json::from_str::<String>(text).map_or(Cow::Borrowed(text), Cow::Owned);
            scalars.push((key, text));
        }
        Some(b'0'..=b'9' | b'-') => scalars.push((key, Cow::Borrowed(text))),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ids: &[&str], answers: &[&str]) -> Vec<(String, String)> {
        let mut found: Vec<_> =
            behind(ids, answers).into_iter().map(|(id, record)| (id, record.get().to_owned())).collect();
        found.sort();
        found
    }

    #[test]
    fn the_records_are_those_whose_one_key_holds_the_ids() {
        // The owner of the first deal has the id of the second.
        let answer =
            r#"{"users": [{"id": 2, "deal": 1}], "page": {"data": [{"owner": 2, "id": 1}, {"owner": 9, "id": 2}]}}"#;
        let expected = [("1", r#"{"owner": 2, "id": 1}"#), ("2", r#"{"owner": 9, "id": 2}"#)];
        let expected = expected.map(|(id, record)| (id.to_owned(), record.to_owned()));
        assert_eq!(found(&["1", "2"], &[answer]), expected);
        assert_eq!(found(&["1", "2"], &["no JSON", answer]), expected);
    }

    #[test]
    fn the_answers_of_several_questions_at_once_are_looked_into_each() {
        let answer =
            r#"{"parts": [{"body": {"records": [{"Id": "a"}]}, "id": "a"}, {"body": [{"Id": "b"}, {"Id": "a"}]}]}"#;
        let expected = [("a", r#"{"Id": "a"}"#), ("b", r#"{"Id": "b"}"#)];
        assert_eq!(found(&["a", "b"], &[answer]), expected.map(|(id, record)| (id.to_owned(), record.to_owned())));
    }

    #[test]
    fn a_line_of_a_table_is_an_object_of_texts_by_the_names_at_its_head() {
        let table = "\"Owner\",\"Id\",\"Name\"\n\"b\",\"a\",\"1 \"\"x\"\"\n\"\n\"c\",\"b\",\"\"\n";
        let expected =
            [("a", r#"{"Owner":"b","Id":"a","Name":"1 \"x\"\n"}"#), ("b", r#"{"Owner":"c","Id":"b","Name":""}"#)];
        assert_eq!(found(&["a", "b"], &[table]), expected.map(|(id, record)| (id.to_owned(), record.to_owned())));
        assert_eq!(found(&["a"], &["", "a", "<html>a</html>"]), []);
    }

    #[test]
    fn an_id_is_found_below_its_record_as_text_or_as_a_number_of_any_size() {
        for answer in [
            r#"[{"id": {"record_id": "90071992547409931"}}]"#,
            r#"{"items": [{"data": {"id": 90071992547409931}, "n": 1.50}]}"#,
        ] {
            assert_eq!(found(&["90071992547409931"], &[answer]).len(), 1, "{answer}");
        }
        assert!(found(&["7"], &[r#"{"data": [{"id": 8}]}"#, "[7]", "{}"]).len() <= 1);
        assert_eq!(found(&["7"], &[r#"{"data": [{"id": 8}], "id": 7}"#]), []);
    }
}
