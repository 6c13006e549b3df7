//! Very many deals over `rest`: how long a pull takes, how often it asks, and that its memory is bounded.

use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Query;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use rust_decimal::Decimal;
use sales_pipeline::model::number;
use sales_pipeline::store::format::read_head;
use serde::Deserialize;

use crate::program::{Folder, Running, is_long, print_figure};
use crate::skip::could_not_run;

/// The most that may be resident, in KiB, whatever the number of deals …
const RESIDENT: u64 = 64 * 1024;
/// … and for each of them, in bytes: its place, its id and what tells pages apart, while lists grow by doubling.
const RESIDENT_A_DEAL: u64 = 100;
const PAGE: u64 = 1_000;

#[derive(Deserialize)]
struct Asked {
    offset: u64,
    limit: u64,
}

/// A page of a list of so many deals, each made as it is asked for.
fn page(count: u64, asked: &Asked) -> String {
    let rows = (asked.offset + 1..=count).take(usize::try_from(asked.limit).unwrap()).map(|id| {
        format!(
            r#"{{"id": {id}, "title": "Deal {id}", "stage": "Stage {}", "amount": "{}.25", "won": "{}", "at": "2026-01-31T10:00:00Z"}}"#,
            id % 9,
            id % 1_000,
            if id % 4 == 0 { "won" } else { "open" }
        )
    });
    format!(r#"{{"total": {count}, "data": [{}]}}"#, rows.collect::<Vec<_>>().join(","))
}

async fn start(count: u64) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move |Query(asked): Query<Asked>| async move {
        ([(header::CONTENT_TYPE, "application/json")], page(count, &asked)).into_response()
    };
    let router = Router::new().route("/deals", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_deals_are_pulled_in_bounded_memory() {
    let count = if is_long() { 1_000_000 } else { 20_000 };
    if !Path::new("/usr/bin/time").exists() {
        could_not_run("memory of a pull of very many deals", "GNU time is not installed (Debian: time)");
        return;
    }
    let endpoint = start(count).await;
    let folder = Folder::new();
    folder.write_config(&format!(
        r#"[sources.crm]
kind = "rest"
endpoint = "{endpoint}"
closed_within = "all"
request = {{ path = "/deals" }}
paging = {{ type = "offset", size_param = "limit", size = {PAGE}, total = "$.total" }}
records = {{ path = "$.data" }}
fields = {{ id = "$.id", name = "$.title", stage = "$.stage", value = "$.amount", currency = {{ value = "EUR" }}, updated_at = "$.at" }}
status = {{ path = "$.won", won = ["won"] }}
"#
    ));
    let peak = folder.join("peak");
    let wrapper = ["/usr/bin/time", "--quiet", "--format=%M", "--output", peak.to_str().unwrap()];
    let began = Instant::now();
    let pulled = Running::start(folder.command_under(&wrapper, &["pull"])).outcome_within(Duration::from_secs(1_200));
    let took = began.elapsed();
    pulled.assert_code(0);
    let head = read_head(&folder.join("output/sales_pipeline.json")).unwrap();
    let worth =
        (1..=count).map(|id| Decimal::from(id % 1_000)).sum::<Decimal>() + Decimal::from(count) / Decimal::from(4);
    assert_eq!((head.total_leads, head.totals.won.count), (count, count / 4));
    assert_eq!(number::text(head.total_value), number::text(worth));
    assert_eq!(head.completeness.pages, count / PAGE);
    let resident: u64 = folder.read("peak").trim().parse().unwrap();
    print_figure(&format!(
        "a pull of {count} deals over rest: {:.1} s, {} requests, {} MiB resident at most",
        took.as_secs_f64(),
        head.run.unwrap().requests,
        resident / 1024
    ));
    let most = RESIDENT + count * RESIDENT_A_DEAL / 1024;
    assert!(resident < most, "{resident} KiB were resident, and {most} may be");
}
