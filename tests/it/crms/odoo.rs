//! Odoo: offsets in the body, pairs of id and name, and false for what is empty.

use serde_json::{Value, json};

use crate::crms::Crm;
use crate::crms::sales::{Phase, Sale, company, instant, person_name};
use crate::crms::served::{Asked, Reply, cut};

pub(super) const CRM: Crm = Crm {
    name: "odoo",
    variables: &["ODOO_API_KEY"],
    count: 1_010,
    answer,
    deal,
    pages: &[("/json/2/crm.lead/search_read", 3)],
};

const STAGES: [&str; 4] = ["New", "Proposition", "Won", "Negotiation"];

fn answer(sales: &[Sale], asked: &Asked) -> Reply {
    if !asked.is_borne() || !asked.has("x-odoo-database", "acme") {
        return Reply::refused();
    }
    let body = asked.json();
    let is_whole = body["context"]["active_test"] == false && body["order"] == "id asc";
    if asked.method != "POST" || asked.path != "/json/2/crm.lead/search_read" || !is_whole {
        return Reply::failed(404);
    }
    let (page, _) = cut(sales, body["offset"].as_u64().unwrap_or(0), body["limit"].as_u64().unwrap_or(80));
    Reply::of(page.iter().map(record).collect())
}

fn has_owner(sale: &Sale) -> bool {
    !sale.number.is_multiple_of(6)
}

fn record(sale: &Sale) -> Value {
    let at = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
    let won = match sale.phase() {
        Phase::New | Phase::Proposal => "pending",
        Phase::Won => "won",
        Phase::Lost => "lost",
    };
    json!({
        "id": sale.number, "name": sale.name(), "partner_id": [sale.company(), company(sale.company())],
        "stage_id": [sale.phase_number(), STAGES[sale.phase_number()]], "expected_revenue": sale.number_of_value(),
        "company_currency": [1, "EUR"], "probability": sale.percent(), "create_date": at(sale.created()),
        "user_id": if has_owner(sale) { json!([sale.owner(), person_name(sale.owner())]) } else { json!(false) },
        "write_date": at(sale.updated()), "date_deadline": sale.closes(),
        "date_closed": sale.closed().map_or(json!(false), |closed| json!(at(closed))), "won_status": won,
    })
}

fn deal(sale: &Sale) -> Value {
    json!({
        "id": sale.number.to_string(), "company": company(sale.company()), "stage": STAGES[sale.phase_number()],
        "stage_id": sale.phase_number().to_string(), "currency": "EUR", "probability": sale.chance(sale.percent()),
        "owner": has_owner(sale).then(|| person_name(sale.owner())),
        "owner_id": has_owner(sale).then(|| sale.owner().to_string()), "created_at": instant(sale.created()),
        "updated_at": instant(sale.updated()), "close_date": sale.closes(), "closed_at": sale.closed().map(instant),
    })
}
