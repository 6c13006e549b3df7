//! Copper: pages in the body, three headers, the total in a header, stages as lists in a list.

use serde_json::{Value, json};

use crate::crms::sales::{PEOPLE, Phase, Sale, company, instant, person_name};
use crate::crms::served::{Asked, Reply, cut};
use crate::crms::{Crm, SECRET};

pub(super) const CRM: Crm = Crm {
    name: "copper",
    variables: &["COPPER_API_KEY", "COPPER_EMAIL"],
    count: 401,
    answer,
    deal,
    pages: &[("/developer_api/v1/opportunities/search", 3), ("/developer_api/v1/users/search", 2)],
};

const STAGES: [&str; 4] = ["Qualified", "Proposal", "Contract", "Gone"];

fn answer(sales: &[Sale], asked: &Asked) -> Reply {
    let is_known = asked.has("x-pw-accesstoken", SECRET)
        && asked.has("x-pw-application", "developer_api")
        && asked.has("x-pw-useremail", SECRET);
    if !is_known {
        return Reply::refused();
    }
    match (asked.method.as_str(), asked.path.strip_prefix("/developer_api/v1")) {
        ("POST", Some("/opportunities/search")) if asked.json()["sort_by"] == "date_created" => {
            page(asked, &sales.iter().map(record).collect::<Vec<_>>())
        }
        ("POST", Some("/users/search")) => {
            let user = |number| json!({"id": 900_000 + number, "name": person_name(number)});
            page(asked, &(0..PEOPLE).map(user).collect::<Vec<_>>())
        }
        ("GET", Some("/pipelines")) => {
            let stage = |number: usize| json!({"id": 50 + number, "name": STAGES[number]});
            Reply::of(json!([
                {"id": 1, "name": "Sales", "stages": [stage(0), stage(1)]},
                {"id": 2, "name": "Renewals", "stages": [stage(2), stage(3)]},
            ]))
        }
        _ => Reply::failed(404),
    }
}

fn page(asked: &Asked, records: &[Value]) -> Reply {
    let body = asked.json();
    let size = body["page_size"].as_u64().unwrap_or(20).min(200);
    let (page, _) = cut(records, (body["page_number"].as_u64().unwrap_or(1) - 1) * size, size);
    Reply::of(json!(page)).header("X-PW-TOTAL", records.len().to_string())
}

fn status(sale: &Sale) -> &'static str {
    match sale.phase() {
        Phase::New | Phase::Proposal => "Open",
        Phase::Won => "Won",
        Phase::Lost if sale.number % 8 == 3 => "Lost",
        Phase::Lost => "Abandoned",
    }
}

fn record(sale: &Sale) -> Value {
    json!({
        "id": sale.number, "name": sale.name(), "company_id": sale.company(), "company_name": company(sale.company()),
        "pipeline_id": 1 + sale.phase_number() / 2, "pipeline_stage_id": 50 + sale.phase_number(),
        "monetary_value": sale.number_of_value(), "monetary_unit": null, "win_probability": sale.percent(),
        "assignee_id": 900_000 + sale.owner(), "date_created": sale.created().timestamp(),
        "date_modified": sale.updated().timestamp(), "close_date": sale.closes().format("%-m/%-d/%Y").to_string(),
        "status": status(sale),
    })
}

fn deal(sale: &Sale) -> Value {
    json!({
        "id": sale.number.to_string(), "company": company(sale.company()), "stage": STAGES[sale.phase_number()],
        "stage_id": (50 + sale.phase_number()).to_string(), "currency": "USD",
        "pipeline": if sale.phase_number() < 2 { "Sales" } else { "Renewals" },
        "pipeline_id": (1 + sale.phase_number() / 2).to_string(), "probability": sale.chance(sale.percent()),
        "owner": person_name(sale.owner()), "owner_id": (900_000 + sale.owner()).to_string(),
        "created_at": instant(sale.created()), "updated_at": instant(sale.updated()), "close_date": sale.closes(),
    })
}
