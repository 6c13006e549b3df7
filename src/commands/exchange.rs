//! `--show-http`: each request and its answer in a few lines, without a secret.

use std::fmt::Write;

use reqwest::Url;
use secrecy::ExposeSecret;

use crate::http::Exchange;
use crate::secret::{Keyring, Secret};
use crate::telemetry::Escaped;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// Takes secrets out of what people see: a server may send back what it was sent.
pub(super) struct Redactor(Vec<String>);

impl Redactor {
    /// One that knows these secrets; what cannot be read now was not sent either.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>, keyring: &Keyring) -> Self {
        let texts = secrets.into_iter().filter_map(|secret| keyring.reveal(secret).ok());
        Self(texts.map(|text| text.expose_secret().to_owned()).filter(|text| !text.is_empty()).collect())
    }

    /// The text with every secret hidden.
    pub(super) fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    /// The URL with every secret hidden, however it is encoded there.
    pub(super) fn url(&self, url: &Url) -> String {
        let holds_secret = |text: &str| self.0.iter().any(|secret| text.contains(secret));
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

    /// The exchange as `--show-http` has it.
    pub(super) fn exchange(&self, exchange: &Exchange) -> String {
        let mut shown = format!("> {} {}\n", exchange.method, self.url(&exchange.url));
        for (name, value) in &exchange.headers {
            let text = value.to_str().ok().filter(|_| !value.is_sensitive()).map(|text| self.text(text));
            // Writing into a text never fails.
            let _ = writeln!(shown, ">   {name}: {}", Escaped(text.as_deref().unwrap_or(HIDDEN)));
        }
        let took = exchange.took.as_millis();
        match exchange.status {
            Some(status) => format!("{shown}< {status}, {} bytes, {took} ms\n", exchange.bytes),
            None => format!("{shown}< no answer, {took} ms\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::Method;
    use reqwest::header::{HeaderMap, HeaderValue};
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn no_secret_is_shown_however_it_is_sent() {
        let secrets = ["a key+1", "canary"].map(|text| Secret::Literal(SecretString::from(text)));
        let redactor = Redactor::new(&secrets, &Keyring::default());
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let mut token = HeaderValue::from_static("Bearer other");
        token.set_sensitive(true);
        headers.insert("authorization", token);
        let exchange = Exchange {
            method: Method::GET,
            url: "https://crm.example/canary/d?a=%2cb&key=a+key%2B1&t=x.canary".parse().unwrap(),
            headers,
            status: Some(200),
            bytes: 12,
            body: Vec::new(),
            took: Duration::from_millis(7),
        };
        assert_eq!(
            redactor.exchange(&exchange),
            "> GET https://crm.example/***/d?a=%2cb&key=***&t=***\n>   content-type: application/json\n\
             >   authorization: ***\n< 200, 12 bytes, 7 ms\n"
        );
        assert_eq!(redactor.text("{\"token\": \"canary\"}"), "{\"token\": \"***\"}");
    }
}
