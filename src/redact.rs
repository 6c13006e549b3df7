//! Takes secrets out of what people see: a server may send back what it was sent.

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use rust_decimal::Decimal;
use secrecy::ExposeSecret;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::number;
use crate::secret::{Keyring, Secret};

/// What stands for a secret.
pub const HIDDEN: &str = "***";

/// Knows secrets, and every way in which a server may write them.
#[derive(Default)]
pub struct Redactor {
    /// As they are and as a URL has them, the longest first: a shorter one may be a part of it.
    texts: Vec<String>,
    /// Those that are numbers: a server may write them otherwise.
    numbers: Vec<Decimal>,
}

impl Redactor {
    /// One that knows these secrets; what cannot be read now was not sent either.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>, keyring: &Keyring) -> Self {
        let mut redactor = Self::default();
        for secret in secrets {
            if let Ok(text) = keyring.reveal(secret) {
                redactor.add(text.expose_secret());
            }
        }
        redactor
    }

    /// Learns what a request was signed with: a token that the CRM issued stands in no configuration.
    pub fn learn(&mut self, headers: &HeaderMap) {
        for value in headers.get_all(AUTHORIZATION).iter().filter_map(|value| value.to_str().ok()) {
            self.add(value.split_once(' ').map_or(value, |(_scheme, token)| token));
        }
    }

    fn add(&mut self, secret: &str) {
        let in_form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for text in [secret, &in_form, &in_form.replace('+', "%20")] {
            if !text.is_empty() && !self.texts.iter().any(|known| known == text) {
                self.texts.push(text.to_owned());
            }
        }
        self.texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        self.numbers.extend(number::exact(secret));
    }

    /// The text with every secret hidden.
    pub fn text(&self, text: &str) -> String {
        self.texts.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    /// The URL with every secret hidden, however it is encoded there.
    pub fn url(&self, url: &Url) -> String {
        let holds_secret = |text: &str| self.texts.iter().any(|secret| text.contains(secret));
        let written = url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = written.zip(url.query_pairs()).map(|(written, (key, value))| {
            if holds_secret(&value) { format!("{key}={HIDDEN}") } else { written.to_owned() }
        });
        let query = pairs.collect::<Vec<_>>().join("&");
        let mut place = url.clone();
        place.set_query(None);
        let mark = if query.is_empty() { "" } else { "?" };
        self.text(&format!("{place}{mark}{query}"))
    }

    /// The JSON with every secret hidden, however its texts are escaped; all else stays as it was written. Of any depth.
    pub fn json(&self, json: &RawValue) -> Box<RawValue> {
        let mut shown = String::with_capacity(json.get().len());
        let mut rest = json.get();
        while let Some(first) = rest.bytes().next() {
            let (token, behind) = rest.split_at(token_length(rest));
            match first {
                b'"' => shown.push_str(&self.json_text(token)),
                b'0'..=b'9' | b'-' if self.is_number(token) => shown.push_str(&quoted(HIDDEN)),
                _ => shown.push_str(token),
            }
            rest = behind;
        }
        RawValue::from_string(shown).expect("a text stands for a text or a number, so it is JSON as before")
    }

    /// JSON text; text that is not Unicode cannot be inspected and is hidden whole.
    fn json_text(&self, written: &str) -> String {
        match serde_json::from_str::<String>(written) {
            Ok(text) => {
                let shown = self.text(&text);
                if shown == text { written.to_owned() } else { quoted(&shown) }
            }
            Err(_) if self.texts.is_empty() => written.to_owned(),
            Err(_) => quoted(HIDDEN),
        }
    }

    fn is_number(&self, written: &str) -> bool {
        let number = number::exact(written);
        self.texts.iter().any(|secret| secret == written) || number.is_some_and(|number| self.numbers.contains(&number))
    }

    /// The value with every secret hidden; keys stay, for paths lead through them.
    pub fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::from(self.text(text)),
            Value::Number(number) if self.is_number(&number.to_string()) => Value::from(HIDDEN),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), self.value(value))).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// How many bytes the text, the number or what stands between them has at the start of well-formed JSON.
fn token_length(json: &str) -> usize {
    let bytes = json.as_bytes();
    let is_in_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let starts_token = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'"');
    let until = |found: Option<usize>| found.unwrap_or(bytes.len());
    match bytes[0] {
        b'"' => {
            let mut escaped = false;
            let end = bytes.iter().skip(1).position(|byte| {
                let is_end = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                is_end
            });
            end.map_or(bytes.len(), |end| end + 2)
        }
        b'0'..=b'9' | b'-' => until(bytes.iter().position(|byte| !is_in_number(byte))),
        _ => until(bytes.iter().position(starts_token)),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use secrecy::SecretString;

    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::Literal(SecretString::from(*text))).collect();
        Redactor::new(&secrets, &Keyring::default())
    }

    fn shown(secrets: &[&str], json: &str) -> String {
        redactor(secrets).json(&RawValue::from_string(json.to_owned()).unwrap()).get().to_owned()
    }

    #[test]
    fn a_secret_is_hidden_in_json_however_it_is_escaped() {
        for json in [r#""a se\"k\/ü z""#, r#""a se\"k/\u00fc z""#, r#""a \u0073e\u0022k\/\u00FC z""#] {
            assert_eq!(shown(&["se\"k/ü"], json), "\"a *** z\"", "{json}");
        }
        assert_eq!(shown(&["a b"], r#"{"x": "/?k=a+b", "a b": "/?k=a%20b"}"#), r#"{"x": "/?k=***", "***": "/?k=***"}"#);
        assert_eq!(shown(&["key"], r#"["\ud800key", "\ud800"]"#), r#"["***", "***"]"#);
        assert_eq!(shown(&["key", "key-2"], r#""key-2""#), "\"***\"");
    }

    #[test]
    fn a_secret_of_figures_is_hidden_as_a_number_and_the_json_stays_json() {
        let record = r#"{"a": 42, "b": [42.0, -42, 142, 4.2e1], "c": true, "d": "no 42"}"#;
        assert_eq!(shown(&["42"], record), r#"{"a": "***", "b": ["***", -42, 142, "***"], "c": true, "d": "no ***"}"#);
        assert_eq!(shown(&["true", "null"], "[true, null, 1.50]"), "[true, null, 1.50]");
    }

    #[test]
    fn json_without_a_secret_stays_letter_by_letter_however_deep_it_is() {
        let deep = format!("{}1.50{}", "[".repeat(100_000), "]".repeat(100_000));
        for json in [deep.as_str(), r#"{ "a\/b" : [ "\ud800", 1e400 ] }"#] {
            assert_eq!(shown(&[], json), json);
        }
        assert_eq!(shown(&["x"], &deep), deep);
    }

    #[test]
    fn a_token_that_was_issued_is_known_once_it_was_sent() {
        let mut redactor = redactor(&[]);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Zoho-oauthtoken canary/1"));
        redactor.learn(&headers);
        assert_eq!(redactor.text("canary/1 by Zoho-oauthtoken"), "*** by Zoho-oauthtoken");
        let link = "https://crm.example/d?page=2&access_token=canary%2F1".parse().unwrap();
        assert_eq!(redactor.url(&link), "https://crm.example/d?page=2&access_token=***");
    }

    #[test]
    fn values_are_hidden_and_keys_stay() {
        let value = serde_json::json!({"canary": ["a canary", 7, null, true]});
        let expected = serde_json::json!({"canary": ["a ***", "***", null, true]});
        assert_eq!(redactor(&["canary", "7"]).value(&value), expected);
    }
}
