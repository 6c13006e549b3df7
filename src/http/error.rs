//! Why a request got no answer, and what of it is worth another try.

use std::error::Error;
use std::io::{self, ErrorKind};

use crate::settings::Span;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Refused, reset, no such host, or cut in the middle: worth another try.
    #[error("no complete answer")]
    Broken(#[source] reqwest::Error),
    /// An answer that may be cut, or whose packing is broken: worth another try.
    #[error("no complete answer: {0}")]
    Incomplete(&'static str),
    /// It took longer than its timeout: worth another try.
    #[error("no answer within {0}")]
    TimedOut(Span),
    /// The certificate is not trusted: another try changes nothing.
    #[error("the server's certificate is not trusted")]
    Certificate(#[source] reqwest::Error),
    /// More bytes than allowed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    /// A URL on another host, scheme or port: no credential goes there.
    #[error("the address is not on {origin}")]
    ForeignOrigin {
        /// The source's own origin.
        origin: String,
    },
    /// A path that makes no URL.
    #[error("the address is not a URL")]
    NotAUrl,
}

/// rustls' own error stands somewhere in the chain where a certificate was the matter.
pub(super) fn is_certificate(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause.is::<rustls::Error>() || inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
    })
}

/// Whether the connection was there and ended before the head of an answer. hyper itself asks again only where not a
/// byte of the request had been written.
pub(super) fn has_ended_unanswered(error: &reqwest::Error) -> bool {
    let is_end = |cause: &(dyn Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
            || io.is_some_and(|kind| ENDS.contains(&kind))
    };
    error.is_request() && !error.is_connect() && causes(error).any(is_end)
}

/// How the system says that the other side ended a connection.
const ENDS: [ErrorKind; 4] = [
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
    // TLS, without a farewell.
    ErrorKind::UnexpectedEof,
];

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Error::source(error), |&cause| cause.source())
}
