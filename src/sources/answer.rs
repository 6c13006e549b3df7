//! What makes an answer of a CRM a whole one: its label, its text, its JSON.
//!
//! Apart from the sources, since all of them ask for JSON. No text of an answer is ever part of an error.

use std::collections::HashMap;

use reqwest::header::CONTENT_TYPE;

use crate::http::Reply;
use crate::sources::source::SourceError;

/// The text of an answer that should be JSON, without a byte order mark; empty for 204 and where there is no body.
pub(super) fn text(reply: Reply) -> Result<String, SourceError> {
    let kind = reply.header(CONTENT_TYPE.as_str()).map(essence).filter(|_| !is_nothing(&reply));
    if kind.is_some_and(|kind| !is_page(&kind) && !is_json(&kind)) {
        return Err(SourceError::Malformed("the answer is not labelled as JSON".to_owned()));
    }
    any_text(reply)
}

/// The same for an unknown CRM: many label JSON as plain text or bytes. HTML is refused.
pub(super) fn any_text(reply: Reply) -> Result<String, SourceError> {
    if is_nothing(&reply) {
        return Ok(String::new());
    }
    if reply.header(CONTENT_TYPE.as_str()).map(essence).is_some_and(|kind| is_page(&kind)) {
        return Err(SourceError::Malformed("the answer is an HTML page, not JSON".to_owned()));
    }
    let mut text =
        String::from_utf8(reply.body).map_err(|_| SourceError::Malformed("the answer is not UTF-8".to_owned()))?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// The most parts of an answer that is read at once, key by key: each takes about a hundred bytes of memory, and a page
/// of a CRM that ignores the page size has some thousands.
const MAX_IN_ALL: usize = 500_000;

/// Refuses an answer that fits into its cap and not into memory when it is read: twenty million empty objects do.
pub(super) fn check_parts(text: &str) -> Result<(), SourceError> {
    let (mut parts, mut in_text, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => parts += 1,
            _ => {}
        }
    }
    if parts > MAX_IN_ALL { Err(SourceError::TooManyParts(MAX_IN_ALL)) } else { Ok(()) }
}

/// Why a text of `bytes` bytes is not the expected JSON. The parser's own message may quote the answer, so it is left out.
pub(super) fn not_json(error: &serde_json::Error, bytes: usize) -> SourceError {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        SourceError::Cut(format!("its JSON ends in the middle, after {bytes} bytes"))
    } else if error.is_data() {
        SourceError::Malformed(format!("the answer is JSON of another shape (line {line}, column {column})"))
    } else {
        SourceError::Malformed(format!("the answer is not JSON (line {line}, column {column})"))
    }
}

/// Says in which part of a step something failed.
pub(super) fn part(what: &'static str) -> impl FnOnce(SourceError) -> SourceError {
    move |source| SourceError::Part { part: what.to_owned(), source: Box::new(source) }
}

/// The ids of the wanted pipelines, each named by id or label.
pub(super) fn pipeline_ids(labels: &HashMap<String, String>, wanted: &[String]) -> Result<Vec<String>, SourceError> {
    let mut ids = Vec::new();
    for name in wanted {
        let before = ids.len();
        ids.extend(labels.iter().filter(|(id, label)| *id == name || *label == name).map(|(id, _)| id.clone()));
        if ids.len() == before {
            return Err(SourceError::Mapping(format!("the account has no pipeline `{name}`")));
        }
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// A media type without its parameters.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_nothing(reply: &Reply) -> bool {
    reply.status == 204 || reply.body.is_empty()
}

fn is_page(essence: &str) -> bool {
    matches!(essence, "text/html" | "application/xhtml+xml")
}

fn is_json(essence: &str) -> bool {
    essence.rsplit(['/', '+']).next().is_some_and(|kind| kind == "json")
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    fn reply(status: u16, content_type: &'static str, body: &str) -> Reply {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let url = "https://crm.example".parse().unwrap();
        Reply { status, headers, body: body.as_bytes().to_vec(), url }
    }

    fn read(status: u16, content_type: &'static str, body: &str) -> Result<String, SourceError> {
        text(reply(status, content_type, body))
    }

    #[test]
    fn an_answer_of_too_many_parts_is_refused_and_commas_in_texts_are_none() {
        let list = |item: &str, times: usize| format!("[{}0]", item.repeat(times));
        assert!(check_parts(&list("0,", MAX_IN_ALL - 1)).is_ok());
        assert!(check_parts(&list("\"a,[{\\\",\",", MAX_IN_ALL - 1)).is_ok());
        for text in [list("0,", MAX_IN_ALL), list("{},", MAX_IN_ALL / 2), "[".repeat(MAX_IN_ALL + 1)] {
            assert!(matches!(check_parts(&text), Err(SourceError::TooManyParts(MAX_IN_ALL))));
        }
    }

    #[test]
    fn json_is_known_by_its_label() {
        for kind in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
            "application/vnd.api+json",
            "text/json",
            "",
        ] {
            assert!(read(200, kind, "{}").is_ok(), "{kind}");
        }
        for kind in ["text/plain", "application/xml", "application/jsonp"] {
            assert!(matches!(read(200, kind, "{}"), Err(SourceError::Malformed(_))), "{kind}");
        }
        for kind in ["text/plain; charset=utf-8", "application/octet-stream", "text/javascript", "application/json", ""]
        {
            assert_eq!(any_text(reply(200, kind, "{}")).unwrap(), "{}", "{kind}");
        }
        for read in [text, any_text] {
            let page = read(reply(200, "text/html; charset=utf-8", "<html>canary</html>")).unwrap_err();
            assert_eq!(page.to_string(), "the answer is an HTML page, not JSON");
        }
    }

    #[test]
    fn nothing_and_a_byte_order_mark_are_no_reason_to_fail() {
        assert_eq!(read(204, "", "").unwrap(), "");
        assert_eq!(read(200, "text/html", "").unwrap(), "");
        assert_eq!(read(200, "application/json", "\u{feff}[1]").unwrap(), "[1]");
    }

    #[test]
    fn pipelines_are_named_by_id_or_label_and_an_unknown_one_is_an_error() {
        let labels = [("default", "Sales"), ("7654321", "Partner")];
        let labels = labels.map(|(id, label)| (id.to_owned(), label.to_owned())).into();
        let found = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            pipeline_ids(&labels, &wanted).map_err(|error| error.to_string())
        };
        assert_eq!(found(&["Partner", "default", "7654321"]), Ok(vec!["7654321".to_owned(), "default".to_owned()]));
        assert_eq!(found(&["Sale"]), Err("the account has no pipeline `Sale`".to_owned()));
    }
}
