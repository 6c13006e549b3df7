//! The header `Link` (RFC 8288), by which servers name the next page.
//!
//! Apart from the sources, since `rest` follows it and `probe` looks for it.

use reqwest::header::{HeaderMap, LINK};

/// The first target of a relation in all `Link` headers.
pub(super) fn relation(headers: &HeaderMap, rel: &str) -> Option<String> {
    let texts = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(links).find(|(_, rels)| rels.iter().any(|word| word.eq_ignore_ascii_case(rel))).map(|(url, _)| url)
}

/// The links of one header, each with its relations.
fn links(text: &str) -> Vec<(String, Vec<String>)> {
    let mut links = Vec::new();
    let mut rest = text;
    while let Some((_, from)) = rest.split_once('<') {
        let Some((url, behind)) = from.split_once('>') else { break };
        let (parameters, behind) = parameters(behind);
        // The first `rel` counts (RFC 8288 §3.3).
        let rel = parameters.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("rel")).map(|(_, value)| value);
        let rels = rel.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        links.push((url.trim().to_owned(), rels));
        rest = behind;
    }
    links
}

/// The parameters up to the comma that ends a link, unquoted, and what is behind it.
fn parameters(text: &str) -> (Vec<(String, String)>, &str) {
    let mut parameters = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    let mut end = text.len();
    for (at, letter) in text.char_indices() {
        match letter {
            '\\' if quoted && !escaped => {
                escaped = true;
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted => {
                end = at + 1;
                break;
            }
            ';' if !quoted => parameters.push(String::new()),
            _ if letter.is_whitespace() && !quoted => {}
            _ => parameters.last_mut().into_iter().for_each(|parameter| parameter.push(letter)),
        }
        escaped = false;
    }
    // No name holds an equals sign.
    let named = parameters.iter().filter_map(|parameter| parameter.split_once('='));
    (named.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[&'static str], rel: &str) -> Option<String> {
        let pairs = values.iter().map(|value| (LINK, value.parse().unwrap()));
        relation(&pairs.collect::<HeaderMap>(), rel)
    }

    #[test]
    fn the_next_link_is_found_however_it_is_written() {
        for header in [
            r#"<https://c.example/d?page=2>; rel="next", <https://c.example/d?page=9>; rel="last""#,
            r#"<https://c.example/d?page=9>; rel="last",<https://c.example/d?page=2>;rel=next"#,
            r#"<https://c.example/d?page=2>; REL="prefetch NEXT"; title="a, b; c=\"<d>\"""#,
            r#"<https://c.example/d?page=2>; title="x, <y>"; rel = "next""#,
        ] {
            assert_eq!(found(&[header], "next").as_deref(), Some("https://c.example/d?page=2"), "{header}");
        }
        let with_commas = r#"</d?ids=1,2,3>; rel="next""#;
        assert_eq!(found(&[r#"</d>; rel="first""#, with_commas], "next").as_deref(), Some("/d?ids=1,2,3"));
    }

    #[test]
    fn another_relation_is_no_next_page() {
        for header in [
            r#"<https://c.example/d?page=9>; rel="last""#,
            r#"<https://c.example/d>; title="rel=next""#,
            r#"<https://c.example/d>; rel="prev"; rel="next""#,
            "next",
            "<https://c.example/d",
            "",
        ] {
            assert_eq!(found(&[header], "next"), None, "{header}");
        }
    }
}
