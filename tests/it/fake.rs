//! What the fake CRMs share: which request goes wrong, and what becomes of an answer on its way.

use std::collections::VecDeque;
use std::io::{Error, Result, Write};

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, stream};

/// What goes wrong, each once.
pub(crate) struct Faults<R, F> {
    next: VecDeque<F>,
    planned: Vec<(R, usize, F)>,
}

impl<R, F> Default for Faults<R, F> {
    fn default() -> Self {
        Self { next: VecDeque::new(), planned: Vec::new() }
    }
}

impl<R: PartialEq, F> Faults<R, F> {
    /// The next request fails so; called again, the one after it.
    pub(crate) fn add(&mut self, fault: F) {
        self.next.push_back(fault);
    }

    /// The request to `route` that is the `nth` since the start, counted from 1, fails so.
    pub(crate) fn plan(&mut self, route: R, nth: usize, fault: F) {
        self.planned.push((route, nth, fault));
    }

    /// How the request to `route` that is the `nth` fails, if it does.
    pub(crate) fn due(&mut self, route: Option<&R>, nth: usize) -> Option<F> {
        let is_due = |(on, when, _): &(R, usize, F)| route == Some(on) && *when == nth;
        let planned = self.planned.iter().position(is_due);
        planned.map(|place| self.planned.swap_remove(place).2).or_else(|| self.next.pop_front())
    }
}

/// What becomes of an answer on its way.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Whole,
    /// Its first half, as if it were all.
    Half,
    /// Its first half, and the connection ends.
    Cut,
    /// Its first half, and then nothing for as long as the client waits.
    Stall,
    /// The connection ends before the first byte.
    Reset,
}

/// An answer as it goes over the wire.
pub(crate) fn sent(
    (status, content_type): (u16, &'static str),
    headers: Vec<(&'static str, String)>,
    body: String,
    packs: bool,
    way: Way,
) -> Response {
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, content_type);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    let mut body = body.into_bytes();
    if packs {
        response = response.header(header::CONTENT_ENCODING, "gzip");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&body).unwrap();
        body = encoder.finish().unwrap();
    }
    let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
    let end = || Err(Error::other("the fake ends the connection"));
    let body = match way {
        Way::Whole => Body::from(body),
        Way::Half => Body::from(half),
        Way::Cut => Body::from_stream(stream::iter([Ok(half), end()])),
        Way::Stall => Body::from_stream(stream::iter([Result::Ok(half)]).chain(stream::pending())),
        Way::Reset => Body::from_stream(stream::iter([end() as Result<Bytes>])),
    };
    response.body(body).unwrap()
}
