//! `--show-http`: each request and its answer in a few lines, without a secret.

use std::fmt::Write;

use crate::http::Exchange;
use crate::redact::{HIDDEN, Redactor};
use crate::telemetry::Escaped;

/// The exchange as `--show-http` has it.
pub(super) fn shown(exchange: &Exchange, redactor: &Redactor) -> String {
    let mut shown = format!("> {} {}\n", exchange.method, redactor.url(&exchange.url));
    for (name, value) in &exchange.headers {
        let text = value.to_str().ok().filter(|_| !value.is_sensitive()).map(|text| redactor.text(text));
        // Writing into a text never fails.
        let _ = writeln!(shown, ">   {name}: {}", Escaped(text.as_deref().unwrap_or(HIDDEN)));
    }
    let took = exchange.took.as_millis();
    match exchange.status {
        Some(status) => format!("{shown}< {status}, {} bytes, {took} ms\n", exchange.bytes),
        None => format!("{shown}< no answer, {took} ms\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::Method;
    use reqwest::header::{HeaderMap, HeaderValue};
    use secrecy::SecretString;

    use super::*;
    use crate::secret::{Keyring, Secret};

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
            shown(&exchange, &redactor),
            "> GET https://crm.example/***/d?a=%2cb&key=***&t=***\n>   content-type: application/json\n\
             >   authorization: ***\n< 200, 12 bytes, 7 ms\n"
        );
    }
}
