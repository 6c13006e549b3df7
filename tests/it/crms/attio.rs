//! Attio: POST queries by offset, and every attribute a list of its versions.

use serde_json::{Value, json};

use crate::crms::Crm;
use crate::crms::sales::{COMPANIES, Phase, Sale, company, instant, person, person_name};
use crate::crms::served::{Asked, Reply, cut};

pub(super) const CRM: Crm = Crm {
    name: "attio",
    variables: &["ATTIO_ACCESS_TOKEN"],
    count: 1_000,
    answer,
    deal,
    pages: &[("/v2/objects/deals/records/query", 3), ("/v2/objects/companies/records/query", 2)],
};

const STAGES: [&str; 4] = ["Lead", "In Progress", "Won 🎉", "Lost"];

fn answer(sales: &[Sale], asked: &Asked) -> Reply {
    if !asked.is_borne() {
        return Reply::refused();
    }
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/v2/objects/deals/records/query") => page(asked, &sales.iter().map(record).collect::<Vec<_>>()),
        ("POST", "/v2/objects/companies/records/query") => {
            let named = |number| json!({"id": {"record_id": format!("company-{number}")}, "values": {"name": [{"value": company(number)}]}});
            page(asked, &(0..COMPANIES).map(named).collect::<Vec<_>>())
        }
        ("GET", "/v2/workspace_members") => {
            let member = |number| {
                let (first, last) = person(number);
                json!({"id": {"workspace_member_id": format!("member-{number}")}, "first_name": first, "last_name": last})
            };
            Reply::of(json!({"data": (0..7).map(member).collect::<Vec<_>>()}))
        }
        _ => Reply::failed(404),
    }
}

fn page(asked: &Asked, records: &[Value]) -> Reply {
    let body = asked.json();
    let limit = body["limit"].as_u64().unwrap_or(500).min(500);
    let (page, _) = cut(records, body["offset"].as_u64().unwrap_or(0), limit);
    Reply::of(json!({"data": page}))
}

fn record(sale: &Sale) -> Value {
    let value = json!([{"active_from": "2023-01-01T00:00:00.000000000Z", "currency_value": sale.number_of_value(),
        "currency_code": "EUR"}, {"currency_value": 1, "currency_code": "USD"}]);
    let company = json!([{"target_object": "companies", "target_record_id": format!("company-{}", sale.company())}]);
    json!({
        "id": {"object_id": "deals", "record_id": format!("deal-{}", sale.number)},
        "created_at": sale.created().format("%Y-%m-%dT%H:%M:%S.123456789Z").to_string(),
        "values": {
            "name": [{"value": sale.name()}], "value": value,
            "stage": [{"status": {"title": STAGES[sale.phase_number()]}}, {"status": {"title": "Lead"}}],
            "associated_company": if sale.number.is_multiple_of(10) { json!([]) } else { company },
            "owner": [{"referenced_actor_type": "workspace-member",
                "referenced_actor_id": format!("member-{}", sale.number % 7)}],
        },
    })
}

fn deal(sale: &Sale) -> Value {
    let chance = match sale.phase() {
        Phase::New => 0.1,
        Phase::Proposal => 0.5,
        Phase::Won => 1.0,
        Phase::Lost => 0.0,
    };
    let company = (!sale.number.is_multiple_of(10)).then(|| company(sale.company()));
    json!({
        "id": format!("deal-{}", sale.number), "company": company, "stage": STAGES[sale.phase_number()], "currency": "EUR",
        "probability": chance, "owner": person_name(sale.number % 7),
        "owner_id": format!("member-{}", sale.number % 7), "updated_at": null,
        "created_at": instant(sale.created()).replace('Z', ".123456789Z"),
    })
}
