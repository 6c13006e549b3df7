//! Which words of the records may say that a deal is won or lost.

use crate::sources::probe::records::{Column, shown};
use crate::sources::probe::roles::role;
use crate::sources::probe::section::{Line, list, quoted};

const WON: [&str; 9] =
    ["won", "closed won", "closedwon", "win", "success", "successful", "gewonnen", "gagné", "ganado"];
const LOST: [&str; 14] = [
    "lost",
    "closed lost",
    "closedlost",
    "lose",
    "dead",
    "abandoned",
    "rejected",
    "cancelled",
    "canceled",
    "verloren",
    "perdu",
    "perdido",
    "unsuccessful",
    "disqualified",
];
const DELETED: [&str; 3] = ["deleted", "trashed", "removed"];

/// The lines of `status`: by its own column if that has such words, else by the stage, else commented out.
pub(super) fn lines(columns: &[Column]) -> Vec<Line> {
    let status = role(columns, "status");
    let stage = role(columns, "stage");
    if let Some(column) = status.filter(|column| has_words(column)) {
        let mut lines = vec![Line::new("path", quoted(&column.path), values(column))];
        lines.extend(words(column));
        return lines;
    }
    if let Some(column) = stage.filter(|column| has_words(column)) {
        let mut lines = vec![Line::new("by", "\"stage\"".to_owned(), values(column))];
        lines.extend(words(column));
        return lines;
    }
    let column = status.or(stage);
    let seen = column.map_or_else(|| "nothing looks like a status".to_owned(), values);
    let path = status.map(|column| Line::question("path", quoted(&column.path), String::new()));
    let question = Line::question("won", "[]".to_owned(), format!("{seen}: which are won, and which are lost?"));
    path.into_iter().chain([question, Line::question("lost", "[]".to_owned(), String::new())]).collect()
}

fn has_words(column: &Column) -> bool {
    !picked(column, &WON).is_empty() || !picked(column, &LOST).is_empty()
}

fn words(column: &Column) -> Vec<Line> {
    let line = |key: &'static str, words: &[&str]| {
        let picked = picked(column, words);
        let reason = if picked.is_empty() { "none seen yet" } else { "" };
        Line::new(key, list(&picked), reason.to_owned())
    };
    let deleted = picked(column, &DELETED);
    let deleted = (!deleted.is_empty()).then(|| Line::new("deleted", list(&deleted), String::new()));
    [line("won", &WON), line("lost", &LOST)].into_iter().chain(deleted).collect()
}

/// The column's values that are one of the words, as the column writes them.
fn picked<'a>(column: &'a Column, words: &[&str]) -> Vec<&'a str> {
    let is_one = |value: &&str| words.contains(&value.to_lowercase().replace(['_', '-'], " ").as_str());
    column.distinct().into_iter().filter(is_one).collect()
}

/// The values that were seen.
fn values(column: &Column) -> String {
    let distinct = column.distinct();
    let more = if distinct.len() > 8 { ", …" } else { "" };
    let seen: Vec<String> = distinct.iter().take(8).map(|value| shown(value)).collect();
    format!("seen: {}{more}", seen.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sources::probe::roles::find;

    fn told(records: &serde_json::Value) -> String {
        let found = find(records).unwrap();
        lines(&found.columns).iter().map(|line| line.text(0)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_status_of_known_words_is_matched_by_its_path_and_else_by_the_stage() {
        let by_path =
            told(&json!([{"id": 1, "status": "WON"}, {"id": 2, "status": "open"}, {"id": 3, "status": "lost"}]));
        assert_eq!(by_path, "path = \"$.status\"  # seen: WON, lost, open\nwon = [\"WON\"]\nlost = [\"lost\"]");
        let by_stage = told(&json!([{"id": 1, "stage": "Closed Won", "status": "A"}, {"id": 2, "stage": "New"}]));
        assert_eq!(
            by_stage,
            "by = \"stage\"  # seen: Closed Won, New\nwon = [\"Closed Won\"]\nlost = []  # none seen yet"
        );
    }

    #[test]
    fn values_that_say_nothing_are_a_question() {
        let question = told(&json!([{"id": 1, "statecode": 0}, {"id": 2, "statecode": 1}]));
        assert_eq!(
            question,
            "# path = \"$.statecode\"\n# won = []  # seen: 0, 1: which are won, and which are lost?\n# lost = []"
        );
    }
}
