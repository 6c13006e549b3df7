//! A request of a probe: a GET with parameters in the URL, or a POST with parameters in its JSON.

use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value};

/// A request, without credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The address.
    pub url: Url,
    /// The JSON of a POST; `None`: a GET.
    pub body: Option<Map<String, Value>>,
}

impl Question {
    /// The same request to another address.
    pub(super) fn at(&self, url: Url) -> Self {
        Self { url, body: self.body.clone() }
    }

    /// The same request with a parameter set.
    pub(super) fn with(&self, param: &str, value: impl Into<Value>) -> Self {
        let (mut asked, value) = (self.without(&[param]), value.into());
        match asked.table() {
            Some(table) => drop(table.insert(param.to_owned(), value)),
            None => drop(asked.url.query_pairs_mut().append_pair(param, &text(&value).unwrap_or_default())),
        }
        asked
    }

    /// The same request without some parameters.
    pub(super) fn without(&self, params: &[&str]) -> Self {
        let mut asked = self.clone();
        if let Some(table) = asked.table() {
            table.retain(|key, _| !params.contains(&key.as_str()));
            return asked;
        }
        let mut pairs: Vec<(String, String)> = self.url.query_pairs().into_owned().collect();
        pairs.retain(|(key, _)| !params.contains(&key.as_str()));
        asked.url.set_query(None);
        if !pairs.is_empty() {
            asked.url.query_pairs_mut().extend_pairs(pairs);
        }
        asked
    }

    pub(super) fn params(&self) -> Vec<(String, String)> {
        match self.clone().table() {
            Some(table) => table.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect(),
            None => self.url.query_pairs().into_owned().collect(),
        }
    }

    /// The name of a parameter as a `rest` section writes it.
    pub(super) fn place(&self, param: &str) -> String {
        if self.is_graphql() { format!("variables.{param}") } else { param.to_owned() }
    }

    /// Whether it is a query of GraphQL, whose parameters are its variables.
    pub(super) fn is_graphql(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.get("query").is_some_and(Value::is_string))
    }

    /// The object of the body that holds the parameters; `None` without a body.
    fn table(&mut self) -> Option<&mut Map<String, Value>> {
        let is_graphql = self.is_graphql();
        let body = self.body.as_mut()?;
        if !is_graphql {
            return Some(body);
        }
        let variables = body.entry("variables").or_insert_with(|| Map::new().into());
        if !variables.is_object() {
            *variables = Map::new().into();
        }
        variables.as_object_mut()
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An answer of the CRM.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The request.
    pub asked: Question,
    /// The response headers.
    pub headers: HeaderMap,
    /// The response body.
    pub body: Value,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(body: &Value) -> Question {
        Question { url: "https://crm.example/v1/deals?a=1".parse().unwrap(), body: body.as_object().cloned() }
    }

    #[test]
    fn a_parameter_stands_in_the_url_the_body_or_among_the_variables() {
        let get = asked(&Value::Null);
        assert_eq!(get.with("page", 2).with("page", 3).url.query(), Some("a=1&page=3"));
        assert_eq!(get.without(&["a"]).url.query(), None);
        let post = asked(&json!({"sort": "id"})).with("offset", 5);
        assert_eq!(
            (post.url.query(), post.body.clone().map(Value::from)),
            (Some("a=1"), Some(json!({"sort": "id", "offset": 5})))
        );
        assert_eq!((post.params().len(), post.place("offset").as_str()), (2, "offset"));
        let graph = asked(&json!({"query": "{ deals { id } }", "variables": null})).with("after", "x");
        assert_eq!(graph.body.clone().unwrap()["variables"], json!({"after": "x"}));
        assert_eq!(
            (graph.params(), graph.place("after")),
            (vec![("after".to_owned(), "x".to_owned())], "variables.after".to_owned())
        );
    }
}
