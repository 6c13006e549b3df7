//! A model behind real HTTP, and what was asked of it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::crms::SECRET;
use crate::crms::sales::Sale;

/// A request as a model sees it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) origin: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: String,
}

impl Asked {
    /// A parameter of the query.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A whole number of the query.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.param(name)?.parse().ok()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether a header holds exactly this.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.header(name) == Some(value)
    }

    /// Whether it comes with the secret as a bearer token.
    pub(super) fn is_borne(&self) -> bool {
        self.has("authorization", &format!("Bearer {SECRET}"))
    }

    /// The body, JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A field of the body, a form.
    pub(super) fn form(&self, name: &str) -> Option<String> {
        let uri = format!("http://localhost/?{}", self.body).parse().ok()?;
        let Query(fields) = Query::<Vec<(String, String)>>::try_from_uri(&uri).ok()?;
        fields.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Reply {
    /// 200 with this.
    pub(super) fn of(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: Some(body) }
    }

    /// 401: not the credentials.
    pub(super) fn refused() -> Self {
        Self::failed(401)
    }

    /// Another status, with words that nobody may repeat.
    pub(super) fn failed(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Some(json!({"error": "canary of the body"})) }
    }

    pub(super) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// The items of a page, and how many there are before and in it.
pub(super) fn cut<T>(items: &[T], from: u64, size: u64) -> (&[T], u64) {
    let from = usize::try_from(from).unwrap().min(items.len());
    let until = (from + usize::try_from(size).unwrap()).min(items.len());
    (&items[from..until], until as u64)
}

type Answer = fn(&[Sale], &Asked) -> Reply;

struct Model {
    sales: Vec<Sale>,
    answer: Answer,
    asked: Mutex<Vec<Asked>>,
    origin: String,
}

/// The served model; it ends when it is dropped.
pub(super) struct Served {
    model: Arc<Model>,
    server: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Served {
    pub(super) async fn start(sales: Vec<Sale>, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let model = Arc::new(Model { sales, answer, asked: Mutex::default(), origin });
        let router = Router::new().fallback(respond).with_state(Arc::clone(&model));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { model, server }
    }

    pub(super) fn origin(&self) -> String {
        self.model.origin.clone()
    }

    /// How often a path was asked for.
    pub(super) fn requests_of(&self, path: &str) -> usize {
        self.model.asked.lock().unwrap().iter().filter(|asked| asked.path == path).count()
    }
}

async fn respond(State(model): State<Arc<Model>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Query(query) = Query::try_from_uri(&parts.uri).unwrap_or_default();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        origin: model.origin.clone(),
        query,
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = (model.answer)(&model.sales, &asked);
    model.asked.lock().unwrap().push(asked);
    let response = Response::builder().status(reply.status).header(header::CONTENT_TYPE, "application/json");
    let response = reply.headers.into_iter().fold(response, |response, (name, value)| response.header(name, value));
    response.body(reply.body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).unwrap()
}
