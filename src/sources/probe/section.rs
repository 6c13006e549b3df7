//! The proposed section as TOML, a reason beside each line.

use std::fmt::Write;

use reqwest::Url;
use serde_json::Value;

use crate::http;
use crate::secret::Secret;
use crate::sources::probe::asking::Credentials;
use crate::telemetry::Escaped;

/// One key of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) key: &'static str,
    value: String,
    reason: String,
    /// Written as a comment: the user must decide.
    commented_out: bool,
}

impl Line {
    /// A key that is set.
    pub(super) fn new(key: &'static str, value: String, reason: String) -> Self {
        Self { key, value, reason, commented_out: false }
    }

    /// A key that is commented out: the user must decide.
    pub(super) fn question(key: &'static str, value: String, reason: String) -> Self {
        Self { key, value, reason, commented_out: true }
    }

    /// The same line, commented out.
    pub(super) fn commented_out(self) -> Self {
        Self { commented_out: true, ..self }
    }

    /// Whether its value names this path.
    pub(super) fn names(&self, path: &str) -> bool {
        self.value.contains(&quoted(path))
    }

    /// The line, its reason from this column on.
    pub(super) fn text(&self, column: usize) -> String {
        let mark = if self.commented_out { "# " } else { "" };
        let setting = format!("{mark}{} = {}", self.key, self.value);
        if self.reason.is_empty() {
            return setting;
        }
        format!("{setting:column$}  # {}", Escaped(&self.reason))
    }

    fn width(&self) -> usize {
        self.text(0).split("  # ").next().map_or(0, |setting| setting.chars().count())
    }
}

/// A section under construction.
pub(super) struct Section {
    name: String,
    text: String,
}

impl Section {
    pub(super) fn new(name: &str, url: &Url, records: usize, settings: &http::Settings) -> Self {
        let (endpoint, _) = split_address(url);
        let mut text = format!(
            "# Proposed from {records} records: look at each line and its reason, then run `sales-pipeline check`.\n\
             [sources.{name}]\nkind = \"rest\"\nendpoint = {}\n",
            quoted(&endpoint)
        );
        if settings.allow_http {
            text.push_str("allow_http = true\n");
        }
        let ca_file = settings.ca_file.as_ref().map(|path| path.to_string_lossy().into_owned());
        for (key, value) in [("proxy", settings.proxy.clone()), ("ca_file", ca_file)] {
            text.extend(value.map(|value| format!("{key} = {}\n", quoted(&value))));
        }
        Self { name: name.to_owned(), text }
    }

    /// Adds a table; its header is commented out too if all its lines are.
    pub(super) fn table(&mut self, table: &str, lines: Vec<Line>) {
        if lines.is_empty() {
            return;
        }
        let mark = if lines.iter().all(|line| line.commented_out) { "# " } else { "" };
        let column = lines.iter().map(Line::width).filter(|width| *width < 72).max().unwrap_or(0);
        // Writing into a text never fails.
        let _ = writeln!(self.text, "\n{mark}[sources.{}.{table}]", self.name);
        for line in lines {
            let _ = writeln!(self.text, "{}", line.text(column));
        }
    }

    pub(super) fn text(self) -> String {
        self.text
    }
}

/// The lines of `auth`: where the secret is, and never the secret.
pub(super) fn auth(credentials: &Credentials) -> Vec<Line> {
    let line = |key, value: String| Line::new(key, value, String::new());
    match credentials {
        Credentials::None => vec![line("type", quoted("none"))],
        Credentials::Bearer(secret) => vec![line("type", quoted("bearer")), line("token", place(secret))],
        Credentials::Header(name, secret) => {
            vec![line("type", quoted("header")), line("name", quoted(name)), line("value", place(secret))]
        }
        Credentials::Basic(None, secret) => vec![line("type", quoted("basic")), line("username", place(secret))],
        Credentials::Basic(Some(name), secret) => {
            vec![line("type", quoted("basic")), line("username", quoted(name)), line("password", place(secret))]
        }
        Credentials::Query(name, secret) => {
            vec![line("type", quoted("query")), line("param", quoted(name)), line("value", place(secret))]
        }
    }
}

fn place(secret: &Secret) -> String {
    let (form, place) = match secret {
        Secret::Literal(_) => return quoted(""),
        Secret::Env(name) => ("env", name.clone()),
        Secret::File(path) => ("file", path.to_string_lossy().into_owned()),
        Secret::Credential(name) => ("credential", name.clone()),
    };
    inline(&[(form.to_owned(), place)])
}

/// A URL as endpoint and path: look-ups are mostly beside the deals.
pub(super) fn split_address(url: &Url) -> (String, String) {
    let path = url.path().trim_end_matches('/');
    let end = path.rfind('/').unwrap_or(0);
    let mut endpoint = url.clone();
    endpoint.set_query(None);
    endpoint.set_fragment(None);
    endpoint.set_path(&path[..end]);
    (endpoint.as_str().trim_end_matches('/').to_owned(), url.path()[end..].to_owned())
}

/// A text of TOML.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// An inline table of texts.
pub(super) fn inline(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{} = {}", key(name), quoted(value))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// The parameters of a URL; a repeated one becomes a list.
pub(super) fn query(pairs: &[(String, String)]) -> String {
    let mut params: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, value) in pairs {
        match params.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => params.push((name, vec![value])),
        }
    }
    let written = params.iter().map(|(name, values)| match values[..] {
        [value] => format!("{} = {}", key(name), quoted(value)),
        _ => format!("{} = {}", key(name), list(values)),
    });
    format!("{{ {} }}", written.collect::<Vec<_>>().join(", "))
}

/// The lines of `success` for GraphQL, which answers 200 to a failure too.
pub(super) fn without_errors() -> Vec<Line> {
    let why = "GraphQL answers 200 to a failure too".to_owned();
    vec![Line::new("path", quoted("$.errors"), why), Line::new("absent", "true".to_owned(), String::new())]
}

/// JSON as a value of TOML, null as a `rest` section writes it.
pub(super) fn json(value: &Value) -> String {
    match value {
        Value::Null => "{ null = true }".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{} = {}", key(name), json(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
    }
}

/// A key of TOML.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// A list of texts.
pub(super) fn list(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_before_its_last_word() {
        for (url, endpoint, path) in [
            ("https://crm.example/v2/deals?a=1", "https://crm.example/v2", "/deals"),
            ("https://crm.example/api/v1/opportunity/", "https://crm.example/api/v1", "/opportunity/"),
            ("https://crm.example:8443/deals", "https://crm.example:8443", "/deals"),
            ("https://crm.example", "https://crm.example", "/"),
        ] {
            let (told_endpoint, told_path) = split_address(&url.parse().unwrap());
            assert_eq!((told_endpoint.as_str(), told_path.as_str()), (endpoint, path));
        }
    }

    #[test]
    fn no_text_of_a_crm_leaves_its_place() {
        let line = Line::new("name", quoted("a\"\n[evil]\u{7f}"), "such as \n[evil] \u{1b}[31m".to_owned());
        let text = line.text(0);
        assert!(!text.contains(['\n', '\u{1b}', '\u{7f}']), "{text}");
        assert!(format!("x = 1\n{text}").parse::<toml_edit::DocumentMut>().is_ok());
        let pairs = [("$top", "5"), ("s", "a"), ("s", "b")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(query(&pairs), "{ \"$top\" = \"5\", s = [\"a\", \"b\"] }");
    }
}
