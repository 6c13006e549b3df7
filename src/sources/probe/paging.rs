//! The signs of more pages, each with the request that tests it: a name alone proves nothing.

use crate::sources::link::relation;
use crate::sources::probe::question::{Answer, Question};
use crate::sources::probe::records::Found;
use crate::sources::probe::roles::role;
use crate::sources::probe::section::{Line, quoted};
use crate::sources::probe::signs::{Sign, signs};
use crate::sources::probe::sizes::Sizes;
use crate::sources::probe::totals::Totals;

/// Parameters that hold a page number.
const PAGES: [&str; 4] = ["page", "_page", "page_number", "pageNumber"];
/// Parameters that hold an offset.
const OFFSETS: [&str; 5] = ["offset", "skip", "_skip", "_start", "start"];
/// Parameters that hold a cursor, beside the name of the cursor itself.
const CURSORS: [&str; 4] = ["cursor", "after", "starting_after", "page_token"];
/// Parameters that take the id of the last record, if the answer says that there is more and has no cursor.
const LASTS: [&str; 5] = ["starting_after", "after", "after_id", "since_id", "last_id"];
/// Words of keys that hold the next cursor.
const CURSOR_WORDS: [&str; 7] = ["next", "cursor", "after", "continuation", "offset", "bookmark", "token"];
const TOTAL_PAGES: [&str; 6] = ["total_pages", "page_count", "last_page", "num_pages", "pages", "total_page_count"];
const MORE: [&str; 6] = ["has_more", "has_next", "has_next_page", "more", "more_records", "more_items_in_collection"];

/// Compares another answer's records with those of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// No such list came.
    Refused,
    /// No records.
    Empty,
    /// None of the first ones.
    Others,
    /// The first ones, less the very first.
    ShiftedByOne,
    /// The first ones again.
    Same,
    /// Some of them.
    Mixed,
}

/// What an answer says about a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// One more request is needed.
    AskAgain,
    /// The list is not paged like this.
    No,
    /// The list is paged like this.
    Yes(Paging),
}

/// How the list is paged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paging {
    strategy: Strategy,
    /// Whether other records came; `None`: that could not be seen.
    has_more: Option<bool>,
    /// Whether a request confirmed it.
    is_proven: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Strategy {
    Link,
    NextUrl {
        path: String,
        url: Option<String>,
    },
    Cursor {
        path: String,
        param: String,
        cursor: Option<String>,
    },
    /// The next page starts after the id of the last record.
    Last {
        path: String,
        param: String,
        id: String,
    },
    Page {
        param: String,
        start: u64,
    },
    Offset {
        param: String,
    },
}

/// One strategy to test, and how many requests tested it.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    strategy: Strategy,
    asked: u32,
}

/// The candidates, the most certain first; those that cannot be tested last.
pub(super) fn candidates(first: &Answer, found: &Found) -> Vec<Candidate> {
    let signs = signs(first, found);
    let mut kinds = Vec::new();
    if relation(&first.headers, "next").is_some() {
        kinds.push(Strategy::Link);
    }
    kinds.extend(signs.iter().filter(|sign| sign.says("next")).filter_map(|sign| {
        let url = sign.text().filter(|text| is_address(text))?;
        Some(Strategy::NextUrl { path: sign.path(), url: Some(url) })
    }));
    for sign in &signs {
        let is_cursor = CURSOR_WORDS.iter().any(|word| sign.name().split('_').any(|part| part == *word));
        let Some(cursor) = sign.text().filter(|text| is_cursor && !is_address(text)) else { continue };
        let cursors = params_of(&sign.keys).into_iter();
        kinds.extend(cursors.map(|param| Strategy::Cursor { path: sign.path(), param, cursor: Some(cursor.clone()) }));
    }
    if !kinds.iter().any(|kind| matches!(kind, Strategy::Cursor { .. })) && says_more(&signs).is_some() {
        kinds.extend(behind_the_last(found));
    }
    kinds.extend(asked_first(&first.asked, &PAGES).map(|param| Strategy::Page { param, start: 1 }));
    kinds.extend(asked_first(&first.asked, &OFFSETS).map(|param| Strategy::Offset { param }));
    let candidate = |strategy| Candidate { strategy, asked: 0 };
    // A link to another host is not followed.
    let tried = kinds.into_iter().map(candidate).filter(|candidate| candidate.question(first).is_some());
    tried.chain(untried(&signs).map(candidate)).collect()
}

/// The sign that there is more.
fn says_more<'s, 'a>(signs: &'s [Sign<'a>]) -> Option<&'s Sign<'a>> {
    signs.iter().find(|sign| MORE.contains(&sign.name().as_str()) && sign.value.as_bool() == Some(true))
}

/// Strategies that continue after the last record.
fn behind_the_last(found: &Found) -> impl Iterator<Item = Strategy> {
    let id = role(&found.columns, "id");
    let last = id.and_then(|id| Some((id.path.clone(), id.values.last()?.text().to_owned())));
    let lasts = LASTS.map(ToOwned::to_owned).into_iter();
    last.into_iter().flat_map(move |(path, id)| {
        lasts.clone().map(move |param| Strategy::Last { path: path.clone(), param, id: id.clone() })
    })
}

/// A key for the next page that is null because all records came at once.
fn untried(signs: &[Sign<'_>]) -> Option<Strategy> {
    let sign = signs.iter().find(|sign| sign.value.is_null() && sign.says("next"))?;
    let has_previous = signs.iter().any(|sign| sign.says("previous") || sign.says("prev"));
    let is_link = has_previous || ["url", "link", "href"].iter().any(|word| sign.says(word));
    let param = params_of(&sign.keys).into_iter().next()?;
    Some(if is_link {
        Strategy::NextUrl { path: sign.path(), url: None }
    } else {
        Strategy::Cursor { path: sign.path(), param, cursor: None }
    })
}

/// The names, those that the request already uses first.
fn asked_first(asked: &Question, names: &[&str]) -> impl Iterator<Item = String> {
    let params = asked.params();
    let is_said = |name: &str| params.iter().any(|(key, _)| key == name);
    let (mut first, rest): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| is_said(name));
    first.extend(rest);
    first.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>().into_iter()
}

/// Whether a text is the address of another page.
fn is_address(text: &str) -> bool {
    ["http://", "https://", "/", "?"].iter().any(|start| text.starts_with(start))
}

/// The parameters that the cursor under these keys may go into: `nextPageToken` into `pageToken`.
fn params_of(keys: &[String]) -> Vec<String> {
    let key = keys.last().map_or("", String::as_str);
    let bare = ["next", "end"].iter().find_map(|word| key.strip_prefix(word)).map(|rest| rest.trim_start_matches('_'));
    let mut letters = bare.unwrap_or_default().chars();
    let bare: String = letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect();
    let mut params: Vec<String> =
        [bare.as_str()].iter().chain(&CURSORS).chain(&[key]).map(ToString::to_string).collect();
    params.retain(|param| !param.is_empty());
    let mut known = Vec::new();
    params.retain(|param| {
        !known.contains(param) && {
            known.push(param.clone());
            true
        }
    });
    params
}

impl Candidate {
    /// The request that tests it; `None` if it cannot be tested.
    pub(super) fn question(&self, first: &Answer) -> Option<Question> {
        let asked = &first.asked;
        let on_origin = |next: &str| asked.url.join(next).ok().filter(|url| url.origin() == asked.url.origin());
        let joined = |next: &str| on_origin(next).map(|url| asked.at(url));
        match &self.strategy {
            Strategy::Link => joined(&relation(&first.headers, "next")?),
            Strategy::NextUrl { url, .. } => joined(url.as_deref()?),
            Strategy::Cursor { param, cursor, .. } => Some(asked.with(param, cursor.as_deref()?)),
            Strategy::Last { param, id, .. } => Some(asked.with(param, id.as_str())),
            Strategy::Page { param, .. } => Some(asked.with(param, self.asked + 1)),
            Strategy::Offset { param } => Some(asked.with(param, 1)),
        }
    }

    /// Judges the answer to the question.
    pub(super) fn judge(&mut self, seen: Compared) -> Verdict {
        self.asked += 1;
        let yes = |strategy: &Strategy, has_more| {
            Verdict::Yes(Paging { strategy: strategy.clone(), has_more, is_proven: true })
        };
        match (&mut self.strategy, seen) {
            // If pages count from 0, page 1 is the second one.
            (Strategy::Page { start, .. }, Compared::Others) if self.asked == 1 => {
                *start = 0;
                yes(&self.strategy, Some(true))
            }
            (Strategy::Page { .. }, Compared::Same) if self.asked == 1 => Verdict::AskAgain,
            (Strategy::Page { .. }, Compared::Empty) if self.asked == 2 => yes(&self.strategy, Some(false)),
            // An unknown parameter changes nothing or empties the list; an offset of 1 skips exactly one record.
            (Strategy::Offset { .. }, Compared::ShiftedByOne) => yes(&self.strategy, None),
            (Strategy::Offset { .. }, _) => Verdict::No,
            (_, Compared::Others) => yes(&self.strategy, Some(true)),
            _ => Verdict::No,
        }
    }

    /// The paging that is proposed when it could not be tested.
    pub(super) fn unproven(&self) -> Paging {
        Paging { strategy: self.strategy.clone(), has_more: Some(false), is_proven: false }
    }
}

impl Paging {
    pub(super) fn param(&self) -> Option<&str> {
        match &self.strategy {
            Strategy::Link | Strategy::NextUrl { .. } => None,
            Strategy::Cursor { param, .. }
            | Strategy::Last { param, .. }
            | Strategy::Page { param, .. }
            | Strategy::Offset { param } => Some(param),
        }
    }

    /// Whether pages shift when deals are added or deleted.
    pub(super) fn is_counted(&self) -> bool {
        matches!(self.strategy, Strategy::Page { .. } | Strategy::Offset { .. })
    }

    fn lines(&self, asked: &Question) -> Vec<Line> {
        let line = |key, text: &str| Line::new(key, quoted(text), String::new());
        let typed = |word: &str, why: &str| Line::new("type", quoted(word), why.to_owned());
        let unproven = "not tested: all records came at once";
        match &self.strategy {
            Strategy::Link => vec![typed("link_header", "the header Link names the next page")],
            Strategy::NextUrl { path, .. } => {
                let why = if self.is_proven { "its address led to other records" } else { unproven };
                vec![typed("next_url", why), line("next", path)]
            }
            Strategy::Cursor { path, param, .. } => {
                let why = if self.is_proven { "sent back, it led to other records" } else { unproven };
                let guess = if self.is_proven { "" } else { "a guess: see the CRM's docs" };
                vec![
                    typed("cursor", why),
                    line("cursor", path),
                    Line::new("param", quoted(&asked.place(param)), guess.to_owned()),
                ]
            }
            Strategy::Last { path, param, .. } => vec![
                typed("cursor", "the id of the last record, sent back, led to other records"),
                line("cursor", path),
                line("cursor_from", "last_record"),
                line("param", &asked.place(param)),
            ],
            Strategy::Page { param, start } => {
                let why = match (start, self.has_more) {
                    (0, _) => "page 1 held other records: it counts from 0",
                    (_, Some(false)) => "page 1 held the same records, page 2 none",
                    _ => "page 1 held the same records, page 2 others",
                };
                let start = (*start == 0).then(|| Line::new("start", "0".to_owned(), String::new()));
                [typed("page", why), line("param", &asked.place(param))].into_iter().chain(start).collect()
            }
            Strategy::Offset { param } => {
                vec![typed("offset", "an offset of 1 left out the first record"), line("param", &asked.place(param))]
            }
        }
    }

    /// The keys that mark the end of the list, as far as they agree with what was seen.
    fn ends(&self, first: &Answer, found: &Found, totals: &Totals) -> Vec<Line> {
        let signs = signs(first, found);
        let named =
            |names: &[&str]| signs.iter().filter(|sign| names.contains(&sign.name().as_str())).collect::<Vec<_>>();
        let agrees = |more: bool| self.has_more.is_none_or(|seen| seen == more);
        let count = found.count as u64;
        let mut lines = Vec::new();
        let more = named(&MORE).into_iter().find(|sign| sign.value.as_bool().is_some_and(agrees));
        let pages = named(&TOTAL_PAGES).into_iter().find(|sign| sign.count().is_some_and(|pages| agrees(pages > 1)));
        let by_number = matches!(self.strategy, Strategy::Page { .. });
        match (more, pages.filter(|_| by_number)) {
            (_, Some(pages)) => lines.push(Line::new("total_pages", quoted(&pages.path()), String::new())),
            (Some(more), None) if !matches!(self.strategy, Strategy::Link) => {
                lines.push(Line::new("has_more", quoted(&more.path()), String::new()));
            }
            _ => {}
        }
        lines.extend(totals.line(|total| agrees(total > count)));
        lines
    }
}

/// The lines of `paging`.
pub(super) fn lines(
    paging: Option<&Paging>,
    sizes: Option<&Sizes>,
    totals: &Totals,
    first: &Answer,
    found: &Found,
) -> Vec<Line> {
    let Some(paging) = paging else { return alone(totals, first, found) };
    let mut lines = paging.lines(&first.asked);
    let size = sizes.and_then(Sizes::chosen);
    if first.asked.body.is_some() && (paging.param().is_some() || size.is_some()) {
        lines.push(Line::new("in", quoted("body"), String::new()));
    }
    if let Some((param, size)) = size {
        lines.push(Line::new("size_param", quoted(&first.asked.place(param)), String::new()));
        lines.push(Line::new("size", size.to_string(), String::new()));
    }
    lines.extend(paging.ends(first, found, totals));
    lines
}

/// The paging of a list that seems to be one answer. If a total or `has_more` says otherwise, that key is written too,
/// so that a pull fails; if it is uncertain, the line is commented out.
fn alone(totals: &Totals, first: &Answer, found: &Found) -> Vec<Line> {
    let none = |reason: String| Line::new("type", quoted("none"), reason);
    let (count, signs) = (found.count, signs(first, found));
    if let Some(total) = totals.line(|total| total > count as u64) {
        return vec![
            none(format!("{count} records came, and nothing tells how to read the others: see the CRM's docs")),
            total,
        ];
    }
    if let Some(more) = says_more(&signs) {
        let why = "true: there is more, and nothing tells how to read it: see the CRM's docs".to_owned();
        return vec![none(format!("{count} records came")), Line::new("has_more", quoted(&more.path()), why)];
    }
    if totals.told().is_none() && count % 10 == 0 {
        let why = format!("no sign of more pages; {count} is a round number: are these all?");
        return vec![none(why).commented_out()];
    }
    vec![none("no sign of more pages".to_owned())]
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::sources::probe::roles::find;

    fn asked() -> Question {
        Question { url: "https://crm.example/v1/deals?a=1".parse().unwrap(), body: None }
    }

    fn answer(body: Value) -> Answer {
        Answer { asked: asked(), headers: HeaderMap::new(), body }
    }

    fn kinds(body: Value) -> Vec<Strategy> {
        let answer = answer(body);
        let found = find(&answer.body).unwrap();
        candidates(&answer, &found).into_iter().map(|candidate| candidate.strategy).collect()
    }

    #[test]
    fn signs_outside_of_the_records_are_tried_before_mere_names() {
        let records = json!([{"id": 1, "next": "https://crm.example/x"}, {"id": 2, "next": null}]);
        let found = kinds(json!({"data": records, "meta": {"nextPageToken": "abc", "has_more": true}}));
        assert!(
            matches!(&found[0], Strategy::Cursor { path, param, .. } if path == "$.meta.nextPageToken" && param == "pageToken")
        );
        let found = kinds(json!({"data": records, "links": {"next": "/v1/deals?p=2"}, "next": "abc"}));
        assert!(matches!(&found[0], Strategy::NextUrl { path, .. } if path == "$.links.next"));
        let found = kinds(json!({"data": records, "next": null, "previous": null}));
        assert!(matches!(found.last(), Some(Strategy::NextUrl { url: None, .. })));
    }

    #[test]
    fn a_way_is_believed_only_if_other_records_came_of_it() {
        let judged = |strategy: Strategy, seen: &[Compared]| {
            let mut candidate = Candidate { strategy, asked: 0 };
            let mut last = Verdict::No;
            for seen in seen {
                last = candidate.judge(*seen);
            }
            match last {
                Verdict::Yes(paging) => {
                    Some(paging.lines(&asked()).iter().map(|line| line.text(0)).collect::<Vec<_>>().join(" "))
                }
                Verdict::No => None,
                Verdict::AskAgain => Some("go on".to_owned()),
            }
        };
        let page = || Strategy::Page { param: "page".to_owned(), start: 1 };
        assert_eq!(judged(page(), &[Compared::Same]).as_deref(), Some("go on"));
        assert!(judged(page(), &[Compared::Same, Compared::Others]).is_some_and(|lines| !lines.contains("start")));
        assert!(judged(page(), &[Compared::Others]).is_some_and(|lines| lines.contains("start = 0")));
        // Servers that take an unknown parameter for a filter.
        assert_eq!(judged(page(), &[Compared::Empty]), None);
        assert_eq!(judged(page(), &[Compared::Same, Compared::Same]), None);
        let offset = || Strategy::Offset { param: "offset".to_owned() };
        assert!(judged(offset(), &[Compared::ShiftedByOne]).is_some());
        for seen in [Compared::Same, Compared::Empty, Compared::Others, Compared::Refused] {
            assert_eq!(judged(offset(), &[seen]), None, "{seen:?}");
        }
        assert_eq!(judged(Strategy::Link, &[Compared::Same]), None);
    }

    #[test]
    fn a_total_that_does_not_agree_with_what_was_seen_is_not_taken() {
        let ends = |meta: Value, has_more| {
            let answer = answer(json!({"data": [{"id": 1}, {"id": 2}], "meta": meta}));
            let found = find(&answer.body).unwrap();
            let strategy = Strategy::Page { param: "page".to_owned(), start: 1 };
            let paging = Paging { strategy, has_more: Some(has_more), is_proven: true };
            let totals = Totals::of(&answer, &found);
            paging.ends(&answer, &found, &totals).iter().map(|line| line.key).collect::<Vec<_>>()
        };
        assert_eq!(ends(json!({"total": 9, "last_page": 5}), true), ["total_pages", "total"]);
        assert_eq!(ends(json!({"count": 2, "pages": 1, "has_more": true}), true), ["has_more"]);
        assert_eq!(ends(json!({"count": 2, "has_more": false}), false), ["has_more"]);
        assert_eq!(ends(json!({"total": 1, "has_more": false}), true), Vec::<&str>::new());
    }
}
