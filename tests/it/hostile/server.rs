//! A CRM that answers as a case says, byte for byte, and a host that nobody may ask.
//!
//! Raw sockets: a proper HTTP server would mend what is to be broken.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::case::{Case, Drip, Frame, Pack, Then};
use super::kinds::Kind;
use super::template::Words;

/// A page as it should be.
pub(super) const WELL: &str = "<open><deals 3><close>";

/// The CRM; it ends when it is dropped.
pub(super) struct Hostile {
    pub(super) address: SocketAddr,
    answers: Arc<Served>,
    server: JoinHandle<()>,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Served {
    kind: &'static Kind,
    case: Case,
    own: SocketAddr,
    foreign: SocketAddr,
    /// Whether it answers as it should, whatever the case.
    is_well: AtomicBool,
    /// How often the list was asked for.
    lists: AtomicUsize,
    /// Every head that came.
    heads: Mutex<Vec<String>>,
}

impl Hostile {
    pub(super) async fn start(kind: &'static Kind, case: Case, foreign: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Served {
            kind,
            case,
            own: address,
            foreign,
            is_well: AtomicBool::new(false),
            lists: AtomicUsize::new(0),
            heads: Mutex::new(Vec::new()),
        });
        let server = tokio::spawn({
            let answers = Arc::clone(&answers);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(Arc::clone(&answers), stream));
                }
            }
        });
        Self { address, answers, server }
    }

    /// Answers as it should for a while, or no longer.
    pub(super) fn be_well(&self, is_well: bool) {
        self.answers.is_well.store(is_well, Ordering::Relaxed);
    }

    /// Whether these bytes came in the head of any request.
    pub(super) fn was_sent(&self, text: &str) -> bool {
        self.answers.heads.lock().unwrap().iter().any(|head| head.contains(text))
    }
}

/// A host that must never be asked; it counts who does.
pub(super) struct Foreign {
    pub(super) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Foreign {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let server = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { address, asked, server }
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Answers one connection: all that is asked aside, then the list once. Errors are the client's leaving.
async fn serve(served: Arc<Served>, mut stream: TcpStream) {
    while let Some(head) = read_head(&mut stream).await {
        served.heads.lock().unwrap().push(head.clone());
        let path = head.split(' ').nth(1).unwrap_or_default();
        let Some(aside) = (served.kind.aside)(path) else {
            let _ = served.spoil(&head, &mut stream).await;
            return;
        };
        if stream.write_all(&whole(aside.as_bytes())).await.is_err() {
            return;
        }
    }
}

/// The head of a request, its body read and forgotten; `None` at the end of the connection.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while read.len() < end + length {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

/// An answer as it should be. Its limits are HubSpot's and Pipedrive's way of saying that nobody need wait between
/// requests.
fn whole(body: &[u8]) -> Vec<u8> {
    let limit = "X-HubSpot-RateLimit-Max: 100000\r\nX-HubSpot-RateLimit-Interval-Milliseconds: 10000\r\n\
        X-RateLimit-Limit: 100000\r\n";
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    [format!("{head}{limit}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

impl Served {
    /// The page of a better day.
    fn well(&self, path: &str) -> Vec<u8> {
        Words { kind: self.kind, path, number: 0, echo: "", own: "", foreign: "" }.fill(WELL)
    }

    /// Sends what the case says.
    async fn spoil(&self, request: &str, stream: &mut TcpStream) -> std::io::Result<()> {
        if self.is_well.load(Ordering::Relaxed) {
            let path = request.split(' ').nth(1).unwrap_or_default();
            return stream.write_all(&whole(&self.well(path))).await;
        }
        let number = self.lists.fetch_add(1, Ordering::Relaxed);
        let (own, foreign) = (self.own.to_string(), self.foreign.to_string());
        let sent = header(request, "authorization").or_else(|| header(request, "x-api-token"));
        let echo = sent.unwrap_or_default();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let words = Words { kind: self.kind, path, number, echo, own: &own, foreign: &foreign };
        let case = &self.case;
        if number + 1 < case.from {
            return stream.write_all(&whole(&words.fill(case.page(number)))).await;
        }
        tokio::time::sleep(Duration::from_millis(case.wait)).await;
        let (head, body) = match &case.raw {
            Some(raw) => (words.fill(raw), Vec::new()),
            None => answer(case, &words, number),
        };
        match case.drip {
            Some(Drip::Head) => drip(stream, &[head, body].concat()).await?,
            Some(Drip::Body) => {
                stream.write_all(&head).await?;
                drip(stream, &body).await?;
            }
            None => {
                stream.write_all(&head).await?;
                stream.write_all(&body).await?;
            }
        }
        match case.then {
            Then::Close => stream.shutdown().await,
            Then::Reset => stream.set_zero_linger(),
            Then::Hold => until_the_client_leaves(stream).await,
            Then::Endless => endless(stream).await,
        }
    }
}

/// The head and the body of an answer of the usual kind.
fn answer(case: &Case, words: &Words<'_>, number: usize) -> (Vec<u8>, Vec<u8>) {
    let mut body = words.fill(case.page(number));
    if let Some(pack) = case.pack {
        body = packed(&body);
        if pack == Pack::CutGzip {
            body.truncate(body.len() / 2);
        }
    }
    let mut lines = vec![format!("HTTP/1.1 {}", case.status).into_bytes()];
    lines.push(format!("Content-Type: {}", case.content_type).into_bytes());
    lines.extend(case.headers.iter().map(|header| words.fill(header)));
    let frame = if case.then == Then::Endless { Frame::Chunked } else { case.frame };
    match frame {
        Frame::Length(more) => lines.push(format!("Content-Length: {}", body.len() + more).into_bytes()),
        Frame::Chunked => lines.push(b"Transfer-Encoding: chunked".to_vec()),
        Frame::EndOfConnection => lines.push(b"Connection: close".to_vec()),
    }
    if frame == Frame::Chunked {
        let end: &[u8] = if case.then == Then::Endless { b"" } else { b"0\r\n\r\n" };
        body = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n", end].concat();
    }
    let end = case.line_end().as_bytes();
    let head = [lines.join(end), end.to_vec(), end.to_vec()].concat();
    (head, body)
}

fn packed(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

async fn drip(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn until_the_client_leaves(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 64];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn endless(stream: &mut TcpStream) -> std::io::Result<()> {
    let spaces = vec![b' '; 0x1_0000];
    loop {
        stream.write_all(b"10000\r\n").await?;
        stream.write_all(&spaces).await?;
        stream.write_all(b"\r\n").await?;
    }
}
