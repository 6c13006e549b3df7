//! What was asked and what came back, kept for those who want to look at it: `pull --dry-run` and `probe`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use crate::http::{HttpError, Reply, Request};

/// The most bytes of bodies that are kept until somebody takes them; later bodies are counted and not kept.
const MOST_KEPT: usize = 64 << 20;

/// One request and its answer.
#[derive(Debug)]
pub struct Exchange {
    /// GET, POST or HEAD.
    pub method: Method,
    /// Where it went, credentials in its query included: to be shown only with them taken out.
    pub url: Url,
    /// The request's own headers, secrets marked sensitive.
    pub headers: HeaderMap,
    /// The answer's status; `None` where none came.
    pub status: Option<u16>,
    /// How many bytes the answer had, decompressed.
    pub bytes: usize,
    /// The answer; empty if there was none or it was too large.
    pub body: Vec<u8>,
    /// From the first byte of the request to the last of the answer.
    pub took: Duration,
}

/// The exchanges since they were last taken.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Vec<Exchange>>);

impl Exchange {
    /// A request that is about to be sent.
    pub(super) fn asked(request: &Request) -> Self {
        Self {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            status: None,
            bytes: 0,
            body: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// The same with what came of it.
    pub(super) fn answered(self, answer: &Result<Reply, HttpError>, took: Duration) -> Self {
        match answer {
            Ok(reply) => {
                Self { status: Some(reply.status), bytes: reply.body.len(), body: reply.body.clone(), took, ..self }
            }
            Err(_) => Self { took, ..self },
        }
    }
}

impl Record {
    /// Keeps an exchange.
    pub(super) fn add(&self, mut exchange: Exchange) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: usize = kept.iter().map(|exchange| exchange.body.len()).sum();
        if bytes + exchange.body.len() > MOST_KEPT {
            exchange.body = Vec::new();
        }
        kept.push(exchange);
    }

    /// Hands over what is kept.
    pub(super) fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
