//! Twenty: cursors that are there on the last page too, and amounts in millionths.

use serde_json::{Value, json};

use crate::crms::Crm;
use crate::crms::sales::{Phase, Sale, company, instant, person, person_name};
use crate::crms::served::{Asked, Reply, cut};

pub(super) const CRM: Crm = Crm {
    name: "twenty",
    variables: &["TWENTY_API_KEY"],
    count: 125,
    answer,
    deal,
    pages: &[("/rest/opportunities", 3)],
};

const STAGES: [&str; 4] = ["NEW", "PROPOSAL", "CUSTOMER", "LOST"];

fn answer(sales: &[Sale], asked: &Asked) -> Reply {
    if !asked.is_borne() {
        return Reply::refused();
    }
    if asked.path != "/rest/opportunities" || asked.param("depth") != Some("1") {
        return Reply::failed(404);
    }
    let limit = asked.number("limit").unwrap_or(60).min(60);
    let from = asked.param("starting_after").map_or(0, |cursor| cursor.trim_start_matches("after-").parse().unwrap());
    let (page, until) = cut(sales, from, limit);
    let total = sales.len() as u64;
    Reply::of(json!({
        "data": {"opportunities": page.iter().map(record).collect::<Vec<_>>()}, "totalCount": total,
        "pageInfo": {"hasNextPage": until < total, "startCursor": format!("after-{from}"),
            "endCursor": format!("after-{until}")},
    }))
}

fn record(sale: &Sale) -> Value {
    let micros = sale.cents() * 10_000;
    let (first, last) = person(sale.owner());
    json!({
        "id": format!("opportunity-{}", sale.number), "name": sale.name(), "stage": STAGES[sale.phase_number()],
        "amount": {"amountMicros": if sale.number.is_multiple_of(2) { json!(micros) } else { json!(micros.to_string()) },
            "currencyCode": "USD"},
        "company": {"id": "company", "name": company(sale.company())},
        "owner": {"id": format!("member-{}", sale.owner()), "name": {"firstName": first, "lastName": last}},
        "createdAt": sale.created().format("%Y-%m-%dT%H:%M:%S.000Z").to_string(), "updatedAt": instant(sale.updated()),
        "closeDate": format!("{}T00:00:00.000Z", sale.closes()),
    })
}

fn deal(sale: &Sale) -> Value {
    let (stage, chance) = match sale.phase() {
        Phase::New => ("New", 0.1),
        Phase::Proposal => ("Proposal", 0.6),
        Phase::Won => ("Customer", 1.0),
        Phase::Lost => ("LOST", 0.0),
    };
    json!({
        "id": format!("opportunity-{}", sale.number), "company": company(sale.company()), "stage": stage,
        "currency": "USD", "probability": chance, "owner": person_name(sale.owner()),
        "owner_id": format!("member-{}", sale.owner()), "created_at": instant(sale.created()),
        "updated_at": instant(sale.updated()), "close_date": sale.closes(),
    })
}
