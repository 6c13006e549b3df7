//! Close: offsets, cents, and the key as a user name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::crms::sales::{Phase, Sale, company, instant, person_name};
use crate::crms::served::{Asked, Reply, cut};
use crate::crms::{Crm, SECRET};

pub(super) const CRM: Crm = Crm {
    name: "close",
    variables: &["CLOSE_API_KEY"],
    count: 250,
    answer,
    deal,
    pages: &[("/api/v1/opportunity/", 3)],
};

const STATUSES: [&str; 4] = ["Active", "Proposal", "Won", "Lost"];

fn answer(sales: &[Sale], asked: &Asked) -> Reply {
    if !asked.has("authorization", &format!("Basic {}", STANDARD.encode(format!("{SECRET}:")))) {
        return Reply::refused();
    }
    if asked.path != "/api/v1/opportunity/" || asked.param("_order_by") != Some("date_created") {
        return Reply::failed(404);
    }
    let limit = asked.number("_limit").unwrap_or(100).min(100);
    let (page, until) = cut(sales, asked.number("_skip").unwrap_or(0), limit);
    let total = sales.len() as u64;
    let data: Vec<Value> = page.iter().map(record).collect();
    Reply::of(json!({"data": data, "has_more": until < total, "total_results": total}))
}

fn record(sale: &Sale) -> Value {
    let at = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%dT%H:%M:%S.250000+00:00").to_string();
    let status = match sale.phase() {
        Phase::New | Phase::Proposal => "active",
        Phase::Won => "won",
        Phase::Lost => "lost",
    };
    json!({
        "id": format!("oppo_{}", sale.number), "note": sale.name(), "lead_id": format!("lead_{}", sale.company()),
        "lead_name": company(sale.company()), "status_id": format!("stat_{}", sale.phase_number()),
        "status_label": STATUSES[sale.phase_number()], "status_type": status, "value": sale.cents(),
        "value_period": "one_time", "value_currency": "USD", "confidence": sale.percent(),
        "user_id": format!("user_{}", sale.owner()), "user_name": person_name(sale.owner()),
        "date_created": at(sale.created()), "date_updated": at(sale.updated()),
    })
}

fn deal(sale: &Sale) -> Value {
    json!({
        "id": format!("oppo_{}", sale.number), "company": company(sale.company()), "stage": STATUSES[sale.phase_number()],
        "stage_id": format!("stat_{}", sale.phase_number()), "currency": "USD",
        "probability": sale.chance(sale.percent()), "owner": person_name(sale.owner()),
        "owner_id": format!("user_{}", sale.owner()), "created_at": instant(sale.created()).replace('Z', ".250Z"),
        "updated_at": instant(sale.updated()).replace('Z', ".250Z"),
    })
}
