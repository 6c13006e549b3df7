//! Servers that end connections without a word: a kept one that has ended is not a fault of the CRM, one after another is.
//!
//! Raw sockets: a proper HTTP server would say that it closes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sales_pipeline::http::{Http, HttpError, Request};
use sales_pipeline::settings::Section;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::rest::{context, failure, ids, pulled};

/// How many deals stand on a page.
const PAGE: usize = 100;

/// How a connection ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Closed once the next request has come.
    Closed,
    /// Reset once the next request has come.
    Reset,
}

/// A list of deals behind connections that end after so many answers.
struct Forgetful {
    address: SocketAddr,
    served: Arc<Served>,
    server: JoinHandle<()>,
}

struct Served {
    deals: usize,
    end: End,
    /// How many answers a connection is good for.
    answers_each: usize,
    /// How many connections get any.
    good: usize,
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Forgetful {
    async fn start(deals: usize, end: End, answers_each: usize, good: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let served = Arc::new(Served { deals, end, answers_each, good, connections, requests });
        let serving = Arc::clone(&served);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&serving), stream));
            }
        });
        Self { address, served, server: task }
    }

    fn section(&self) -> String {
        format!(
            "kind = \"rest\"\nendpoint = \"http://{}\"\nclosed_within = \"all\"\n\
             retry = {{ base = \"1ms\", max = \"2ms\" }}\nrequest = {{ path = \"/deals\" }}\nrecords = {{ path = \"$\" }}\n\
             paging = {{ type = \"page\", param = \"page\", size_param = \"size\", size = {PAGE} }}\n\
             fields = {{ id = \"$.id\", name = \"$.id\", stage = \"$.id\", value = \"$.id\" }}\n",
            self.address
        )
    }

    fn connections(&self) -> usize {
        self.served.connections.load(Ordering::Relaxed)
    }

    fn requests(&self) -> usize {
        self.served.requests.load(Ordering::Relaxed)
    }
}

/// Answers one connection until it has had enough, then ends it on the next request.
async fn serve(served: Arc<Served>, mut stream: TcpStream) {
    let is_good = served.connections.fetch_add(1, Ordering::Relaxed) < served.good;
    for number in 0.. {
        let Some(head) = read_head(&mut stream).await else { return };
        served.requests.fetch_add(1, Ordering::Relaxed);
        if !is_good || number >= served.answers_each {
            if matches!(served.end, End::Reset) {
                stream.set_zero_linger().unwrap();
            }
            return;
        }
        let body = served.page(&head);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: keep-alive\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }
}

impl Served {
    fn page(&self, head: &str) -> String {
        let page = head.split(['?', '&', ' ']).find_map(|part| part.strip_prefix("page=")?.parse::<usize>().ok());
        let before = page.map_or(0, |page| (page - 1) * PAGE);
        let rows: Vec<String> = (before..self.deals.min(before + PAGE)).map(|id| format!("{{\"id\": {id}}}")).collect();
        format!("[{}]", rows.join(","))
    }
}

/// The head of a request; `None` at the end of the connection. No request here has a body.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&read).into_owned())
}

#[tokio::test]
async fn a_long_pull_outlives_connections_that_end_after_each_answer_without_a_word() {
    for end in [End::Closed, End::Reset] {
        let crm = Forgetful::start(10_001, end, 1, usize::MAX).await;
        let (deals, fetched) = pulled(&crm.section()).await.unwrap_or_else(|error| panic!("{end:?}: {error:?}"));
        assert_eq!((ids(&deals).len(), fetched.pages), (10_001, 102), "{end:?}: the last is empty");
        assert_eq!(crm.requests(), 102 + 101, "{end:?}: each but the first is asked twice");
        assert_eq!(fetched.requests, 203, "{end:?}: all are counted");
    }
}

#[tokio::test]
async fn connections_that_end_one_after_another_end_the_pull_soon() {
    for end in [End::Closed, End::Reset] {
        let silent = Forgetful::start(500, end, 1, 0).await;
        assert!(failure(&silent.section()).await.contains("no complete answer"), "{end:?}");
        assert_eq!(silent.connections(), 4, "{end:?}: as often as a request is tried");

        let dying = Forgetful::start(500, end, 1, 2).await;
        assert!(failure(&dying.section()).await.contains("read page 3"), "{end:?}");
        assert_eq!(dying.connections(), 2 + 4, "{end:?}: a kept one that has ended does not count, the new ones do");
    }
}

#[tokio::test]
async fn only_what_may_be_asked_twice_is_asked_again() {
    let settings = Section::default().read(&[]).unwrap();
    for (request, asked, is_answered) in [(Request::post as fn(_, _, _) -> _, 2, false), (Request::question, 3, true)] {
        let crm = Forgetful::start(1, End::Closed, 1, usize::MAX).await;
        let http = Http::new(&context().clients, &format!("http://{}", crm.address), &settings, None).unwrap();
        http.send(Request::get(http.url("/deals").unwrap())).await.unwrap();
        let answer = http.send(request(http.url("/deals").unwrap(), "text/plain", Vec::new())).await;
        assert_eq!((crm.requests(), answer.is_ok()), (asked, is_answered), "{answer:?}");
        assert!(is_answered || matches!(answer, Err(HttpError::Broken(_))), "{answer:?}");
    }
}
