//! The body of an answer: bounded in bytes as it comes and as it unpacks, and known to be whole.
//!
//! Unpacked here rather than by the client, which tells neither whether a packed body had an end nor reads a plain one
//! under the label `gzip` (contract `rest` §8.15).

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};

use crate::http::HttpError;

/// How a gzip stream begins (RFC 1952 §2.3.1), and no JSON does.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A body as it comes.
pub(super) struct Body {
    limit: u64,
    form: Form,
}

enum Form {
    /// Labelled gzip, and too short yet to tell.
    Labelled(Vec<u8>),
    Plain(Capped),
    Packed(Box<MultiGzDecoder<Capped>>),
}

impl Body {
    /// A body of at most `limit` bytes, unpacked.
    pub(super) fn new(headers: &HeaderMap, limit: u64) -> Self {
        let labelled =
            headers.get(CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
        let form = if labelled { Form::Labelled(Vec::new()) } else { Form::Plain(Capped::new(limit)) };
        Self { limit, form }
    }

    /// The next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        match &mut self.form {
            Form::Labelled(begun) => {
                begun.extend_from_slice(bytes);
                if begun.len() < MAGIC.len() {
                    return Ok(());
                }
                let begun = std::mem::take(begun);
                let out = Capped::new(self.limit);
                let packed = begun.starts_with(&MAGIC);
                self.form = if packed { Form::Packed(Box::new(MultiGzDecoder::new(out))) } else { Form::Plain(out) };
                self.take(&begun)
            }
            Form::Plain(out) => out.write_all(bytes).map_err(|_| HttpError::TooLarge(self.limit)),
            Form::Packed(decoder) => decoder.write_all(bytes).map_err(|_| broken(decoder.get_ref())),
        }
    }

    /// All of it, once the last bytes are in.
    pub(super) fn end(self) -> Result<Vec<u8>, HttpError> {
        match self.form {
            Form::Labelled(bytes) => Ok(bytes),
            Form::Plain(out) => Ok(out.bytes),
            Form::Packed(mut decoder) => {
                decoder.try_finish().map_err(|_| broken(decoder.get_ref()))?;
                Ok(std::mem::take(&mut decoder.get_mut().bytes))
            }
        }
    }
}

/// Why unpacking stopped: the cap, or the stream itself.
fn broken(out: &Capped) -> HttpError {
    if out.is_full { HttpError::TooLarge(out.limit) } else { HttpError::Incomplete("its gzip stream is broken") }
}

/// Bytes up to a limit.
struct Capped {
    bytes: Vec<u8>,
    limit: u64,
    is_full: bool,
}

impl Capped {
    fn new(limit: u64) -> Self {
        Self { bytes: Vec::new(), limit, is_full: false }
    }
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + bytes.len()) as u64 > self.limit {
            self.is_full = true;
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the head says how to know the body's end: by a length, by chunks, or because there is not one. Where only the
/// end of the connection would tell, a cut answer looks whole.
pub(super) fn has_known_end(status: u16, headers: &HeaderMap) -> bool {
    let is_chunked = |value: &[u8]| value.trim_ascii_end().to_ascii_lowercase().ends_with(b"chunked");
    let chunked =
        headers.get_all(TRANSFER_ENCODING).iter().next_back().is_some_and(|value| is_chunked(value.as_bytes()));
    status == 204 || chunked || headers.contains_key(CONTENT_LENGTH)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Reads a body labelled gzip in pieces of `size` bytes.
    fn read(bytes: &[u8], size: usize, limit: u64) -> Result<Vec<u8>, HttpError> {
        let mut body = Body::new(&headers(&[(CONTENT_ENCODING, "GZip")]), limit);
        bytes.chunks(size).try_for_each(|piece| body.take(piece))?;
        body.end()
    }

    #[test]
    fn a_packed_body_is_unpacked_however_its_bytes_come_and_a_plain_one_stays_as_it_is() {
        let twice = [packed(b"{\"a\":"), packed(b"1}")].concat();
        for size in [1, 2, 3, 1000] {
            assert_eq!(read(&packed(b"{\"a\":1}"), size, 100).unwrap(), b"{\"a\":1}");
            assert_eq!(read(&twice, size, 100).unwrap(), b"{\"a\":1}", "a stream of several members");
            assert_eq!(read(b"{\"a\":1}", size, 100).unwrap(), b"{\"a\":1}");
            assert_eq!(read(b"7", size, 100).unwrap(), b"7");
            assert_eq!(read(b"", size, 100).unwrap(), b"");
        }
    }

    #[test]
    fn a_cut_or_corrupt_stream_is_an_error() {
        let whole = packed(b"{\"deals\": [1, 2, 3]}");
        for length in 2..whole.len() {
            assert!(matches!(read(&whole[..length], 5, 100), Err(HttpError::Incomplete(_))), "{length}");
        }
        let mut spoilt = whole;
        spoilt[14] ^= 0x55;
        let read = read(&spoilt, 5, 1 << 20);
        assert!(matches!(read, Err(HttpError::Incomplete(_))), "{read:?}");
    }

    #[test]
    fn the_cap_counts_unpacked_bytes() {
        let bomb = packed(&vec![b' '; 10_000]);
        assert!(bomb.len() < 100);
        assert!(matches!(read(&bomb, 7, 9_999), Err(HttpError::TooLarge(9_999))));
        assert_eq!(read(&bomb, 7, 10_000).unwrap().len(), 10_000);
        assert!(matches!(read(b"{}", 1, 1), Err(HttpError::TooLarge(1))));
    }

    #[test]
    fn only_a_length_or_chunks_tell_a_whole_body_from_a_cut_one() {
        assert!(has_known_end(200, &headers(&[(CONTENT_LENGTH, "7")])));
        assert!(has_known_end(200, &headers(&[(TRANSFER_ENCODING, "gzip, Chunked")])));
        assert!(has_known_end(204, &headers(&[])));
        assert!(!has_known_end(200, &headers(&[])));
        assert!(!has_known_end(200, &headers(&[(TRANSFER_ENCODING, "identity")])));
    }
}
