//! What a pull costs: 10,000 and 100,000 deals from a local server, gzip, beside the least program that fetches,
//! decodes typed, sums and writes the same pages. Prints CPU seconds, peak memory, requests and the ratio.
//!
//! `cargo bench --bench pull [DEALS]`. The two run in turn, five times each; the medians count.

#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark prints figures, small ones")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use nix::sys::resource::{UsageWho, getrusage};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const PAGE: usize = 100;
const RUNS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", deals] => serve(deals.parse().expect("a number of deals")),
        ["baseline", port, output] => baseline(port, output),
        ["measure", ref program @ ..] => measure(program),
        [deals] => compare(deals.parse().expect("a number of deals")),
        _ => [10_000, 100_000].into_iter().for_each(compare),
    }
}

/// Runs both programs in turn and prints the medians.
fn compare(deals: usize) {
    let itself = std::env::current_exe().expect("the benchmark itself");
    let itself = itself.to_str().expect("a path of text");
    let mut server = Command::new(itself)
        .args(["serve", &deals.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut port = String::new();
    BufReader::new(server.stdout.take().expect("its output is piped")).read_line(&mut port).expect("a port");
    let port = port.trim();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("config.toml");
    fs::write(&config, config_text(port)).expect("the configuration is written");
    let output = folder.path().join("output");
    let (config, output) = (config.to_str().expect("text"), output.to_str().expect("text"));
    let baseline_file = format!("{output}.baseline.json");
    let program = [env!("CARGO_BIN_EXE_sales-pipeline"), "--config", config, "--output", output, "pull"];
    let least = [itself, "baseline", port, &baseline_file];
    let mut costs: [Vec<Cost>; 2] = Default::default();
    for _ in 0..=RUNS {
        for (costs, program) in costs.iter_mut().zip([&program[..], &least[..]]) {
            costs.push(cost(itself, program));
        }
    }
    server.kill().expect("the server ends");
    server.wait().expect("the server ends");
    report(deals, &costs, output);
}

fn report(deals: usize, costs: &[Vec<Cost>; 2], output: &str) {
    let text = fs::read_to_string(format!("{output}/sales_pipeline.json")).expect("the latest file");
    let latest: serde_json::Value = serde_json::from_str(&text).expect("the latest file is JSON");
    assert_eq!(latest["total_leads"], deals, "all deals came");
    println!("{deals} deals, pages of {PAGE}, gzip, plain http on loopback; medians of {RUNS} (least-most)");
    let mut cpu = Vec::new();
    for (name, costs) in ["sales-pipeline pull", "the least program"].into_iter().zip(costs) {
        // The first run warms the caches.
        let column = |figure: fn(&Cost) -> f64| {
            let mut figures: Vec<f64> = costs[1..].iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            (figures[0], figures[figures.len() / 2], figures[figures.len() - 1])
        };
        let (seconds, memory, wall) = (column(|cost| cost.cpu), column(|cost| cost.memory), column(|cost| cost.wall));
        println!(
            "  {name:20} CPU {:.3} s ({:.3}-{:.3})  wall {:.3} s  peak {:.1} MB",
            seconds.1, seconds.0, seconds.2, wall.1, memory.1
        );
        cpu.push(costs[1..].iter().map(|cost| cost.cpu).collect::<Vec<f64>>());
    }
    let mut ratios: Vec<f64> = cpu[0].iter().zip(&cpu[1]).map(|(ours, least)| ours / least).collect();
    ratios.sort_by(f64::total_cmp);
    println!("  ratio of CPU, pair by pair: {:.2} ({:.2}-{:.2})", ratios[RUNS / 2], ratios[0], ratios[RUNS - 1]);
    println!("  requests: {}", latest["run"]["requests"]);
}

/// What a finished process cost.
#[derive(Debug, Serialize, Deserialize)]
struct Cost {
    /// User and system seconds.
    cpu: f64,
    /// Seconds by the clock.
    wall: f64,
    /// Peak resident megabytes.
    memory: f64,
}

/// Measures in a separate process whose only child is the program.
fn cost(itself: &str, program: &[&str]) -> Cost {
    let measured = Command::new(itself).arg("measure").args(program).output().expect("the measurement runs");
    assert!(measured.status.success(), "{program:?}: {}", String::from_utf8_lossy(&measured.stderr));
    serde_json::from_slice(&measured.stdout).expect("a cost")
}

fn measure(program: &[&str]) {
    let begun = Instant::now();
    let status = Command::new(program[0]).args(&program[1..]).stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{program:?} ended with {status}");
    let wall = begun.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system tells");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cost = Cost {
        cpu: seconds(usage.user_time()) + seconds(usage.system_time()),
        wall,
        memory: usage.max_rss() as f64 / 1024.0,
    };
    println!("{}", serde_json::to_string(&cost).expect("a cost is JSON"));
}

fn config_text(port: &str) -> String {
    format!(
        r#"[sources.bench]
kind     = "rest"
endpoint = "http://127.0.0.1:{port}"
auth     = {{ type = "none" }}
request  = {{ path = "/deals" }}
paging   = {{ type = "cursor", cursor = "$.paging.next.after", param = "after" }}
records  = {{ path = "$.results" }}
closed_within = "all"
[sources.bench.fields]
id          = "$.id"
name        = "$.properties.dealname"
stage       = "$.properties.dealstage"
value       = "$.properties.amount"
currency    = "$.properties.deal_currency_code"
probability = {{ path = "$.properties.hs_deal_stage_probability", unit = "fraction" }}
owner_id    = "$.properties.hubspot_owner_id"
pipeline_id = "$.properties.pipeline"
created_at  = "$.createdAt"
updated_at  = "$.updatedAt"
[sources.bench.status]
path = "$.properties.dealstage"
won  = ["closedwon"]
lost = ["closedlost"]
"#
    )
}

/// Serves the deals in pages, rendered and compressed beforehand, until it is killed.
fn serve(deals: usize) {
    let pages: Arc<Vec<Vec<u8>>> = Arc::new((0..deals).step_by(PAGE).map(|first| page(first, deals)).collect());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    for stream in listener.incoming().map_while(Result::ok) {
        let pages = Arc::clone(&pages);
        thread::spawn(move || answer(stream, &pages));
    }
}

fn answer(mut stream: TcpStream, pages: &[Vec<u8>]) {
    let mut requests = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut line = String::new();
    while requests.read_line(&mut line).is_ok_and(|read| read > 0) {
        let after = line.split("after=").nth(1).and_then(|rest| rest.split([' ', '&']).next());
        let index = after.map_or(0, |after| after.parse::<usize>().expect("a cursor of ours") / PAGE);
        while line != "\r\n" {
            line.clear();
            if requests.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
        }
        line.clear();
        if stream.write_all(&pages[index]).is_err() {
            return;
        }
    }
}

fn page(first: usize, deals: usize) -> Vec<u8> {
    let last = deals.min(first + PAGE);
    let mut json = String::from("{\"results\":[");
    for deal in first..last {
        let comma = if deal == first { "" } else { "," };
        let (id, stage) =
            (38_124_000_000_u64 + deal as u64, ["appointment", "proposal", "closedwon", "closedlost"][deal % 4]);
        let _ = write!(
            json,
            r#"{comma}{{"id":"{id}","properties":{{"amount":"{}.{:02}","closedate":"2026-12-31T22:59:59.999Z","createdate":"2026-03-02T09:14:05.118Z","deal_currency_code":"EUR","dealname":"Deal number {deal} of the benchmark","dealstage":"{stage}","hs_deal_stage_probability":"0.59999999999999997779553950749686919152736663818359375","hs_is_closed":"false","hs_is_closed_won":"false","hs_lastmodifieddate":"2026-11-20T15:02:44.061Z","hs_object_id":"{id}","hs_primary_associated_company":"27712345001","hubspot_owner_id":"41629779","pipeline":"default"}},"createdAt":"2026-03-02T09:14:05.118Z","updatedAt":"2026-11-20T15:02:44.061Z","archived":false,"url":"https://app.example/contacts/12345678/record/0-3/{id}"}}"#,
            deal * 7 % 90_000,
            deal % 100,
        );
    }
    json.push(']');
    if last < deals {
        let _ = write!(json, r#","paging":{{"next":{{"after":"{last}"}}}}"#);
    }
    json.push('}');
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(4));
    encoder.write_all(json.as_bytes()).expect("memory takes it");
    let body = encoder.finish().expect("memory takes it");
    let mut reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    reply.extend_from_slice(&body);
    reply
}

/// The least that does the job: one blocking connection, borrowed types, exact sums, one file.
fn baseline(port: &str, output: &str) {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the server listens");
    let mut answers = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut out = BufWriter::new(File::create(output).expect("the file can be made"));
    let (mut after, mut total, mut weighted) = (String::new(), Decimal::ZERO, Decimal::ZERO);
    let mut body = Vec::new();
    loop {
        let query = if after.is_empty() { String::new() } else { format!("?after={after}") };
        let request = format!("GET /deals{query} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept-encoding: gzip\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the server reads");
        read_body(&mut answers, &mut body);
        let mut json = Vec::with_capacity(128 << 10);
        GzDecoder::new(&body[..]).read_to_end(&mut json).expect("gzip");
        let page: FloorPage<'_> = serde_json::from_slice(&json).expect("a page");
        for deal in &page.results {
            let amount: Decimal = deal.properties.amount.parse().expect("an amount");
            let probability: Decimal = deal.properties.hs_deal_stage_probability.parse().expect("a probability");
            total += amount;
            weighted += amount * probability.round_dp(6);
            serde_json::to_writer(&mut out, deal).expect("the file takes it");
            out.write_all(b"\n").expect("the file takes it");
        }
        match page.paging {
            Some(paging) => paging.next.after.clone_into(&mut after),
            None => break,
        }
    }
    writeln!(out, "{{\"total\":{total},\"weighted\":{weighted}}}").expect("the file takes it");
    out.into_inner().expect("the file takes it").sync_all().expect("the disk takes it");
}

fn read_body(answers: &mut impl BufRead, body: &mut Vec<u8>) {
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        answers.read_line(&mut line).expect("a head");
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    body.resize(length, 0);
    answers.read_exact(body).expect("a body");
}

#[derive(Deserialize)]
struct FloorPage<'a> {
    #[serde(borrow)]
    results: Vec<FloorDeal<'a>>,
    #[serde(borrow)]
    paging: Option<FloorPaging<'a>>,
}

#[derive(Deserialize)]
struct FloorPaging<'a> {
    #[serde(borrow)]
    next: FloorNext<'a>,
}

#[derive(Deserialize)]
struct FloorNext<'a> {
    after: &'a str,
}

#[derive(Serialize, Deserialize)]
struct FloorDeal<'a> {
    id: &'a str,
    #[serde(borrow)]
    properties: FloorProperties<'a>,
    #[serde(rename = "createdAt")]
    created_at: &'a str,
    #[serde(rename = "updatedAt")]
    updated_at: &'a str,
    #[serde(borrow, skip_serializing)]
    _url: Option<&'a RawValue>,
}

#[derive(Serialize, Deserialize)]
struct FloorProperties<'a> {
    amount: &'a str,
    dealname: &'a str,
    dealstage: &'a str,
    deal_currency_code: &'a str,
    hs_deal_stage_probability: &'a str,
    hubspot_owner_id: &'a str,
    pipeline: &'a str,
}
