//! Pipedrive as its version 2 answers: cursors, ids beside names, and success as a word of the body.

use serde_json::{Value, json};

use crate::crms::sales::{PEOPLE, Phase, Sale, company, instant, person_name};
use crate::crms::served::{Asked, Reply, cut};
use crate::crms::{Crm, SECRET};

pub(super) const CRM: Crm = Crm {
    name: "pipedrive",
    variables: &["PIPEDRIVE_API_TOKEN"],
    count: 1_001,
    answer,
    deal,
    pages: &[("/api/v2/deals", 3), ("/api/v2/stages", 2), ("/api/v2/organizations", 6)],
};

/// Stages of other pipelines, so that the table has two pages.
const OTHER_STAGES: u64 = 600;
const STAGES: [(&str, u64); 4] = [("Qualified", 10), ("Proposal", 60), ("Contract", 90), ("Contract", 90)];

fn answer(sales: &[Sale], asked: &Asked) -> Reply {
    if !asked.has("x-api-token", SECRET) {
        return Reply::refused();
    }
    match asked.path.as_str() {
        "/api/v2/deals" if asked.param("sort_by") == Some("id") => {
            page(asked, &sales.iter().map(record).collect::<Vec<_>>())
        }
        "/api/v2/stages" => {
            let own = (1..=4).map(|id: u64| {
                let (name, chance) = STAGES[usize::try_from(id - 1).unwrap()];
                json!({"id": id, "name": name, "pipeline_id": 1, "deal_probability": chance})
            });
            let others =
                (5..OTHER_STAGES).map(|id| json!({"id": id, "name": "Other", "pipeline_id": 2, "deal_probability": 1}));
            page(asked, &others.chain(own).collect::<Vec<_>>())
        }
        "/api/v1/users" => {
            let user = |id| json!({"id": id, "name": person_name(id), "active_flag": true});
            Reply::of(json!({"success": true, "data": (0..PEOPLE).map(user).collect::<Vec<_>>()}))
        }
        "/api/v2/organizations" => {
            let ids: Vec<u64> =
                asked.param("ids").unwrap_or_default().split(',').filter_map(|id| id.parse().ok()).collect();
            if ids.len() > 100 {
                return Reply::failed(400);
            }
            let named: Vec<Value> = ids.into_iter().map(|id| json!({"id": id, "name": company(id)})).collect();
            Reply::of(json!({"success": true, "data": named, "additional_data": {"next_cursor": null}}))
        }
        _ => Reply::failed(404),
    }
}

fn page(asked: &Asked, records: &[Value]) -> Reply {
    let limit = asked.number("limit").unwrap_or(100).min(500);
    let from = asked.param("cursor").map_or(0, |cursor| cursor.trim_start_matches("eyJ+/=").parse().unwrap());
    let (page, until) = cut(records, from, limit);
    let next = (until < records.len() as u64).then(|| format!("eyJ+/={until}"));
    Reply::of(json!({"success": true, "data": page, "additional_data": {"next_cursor": next}}))
}

/// What somebody set for the deal, else nothing.
fn set(sale: &Sale) -> Option<u64> {
    sale.number.is_multiple_of(3).then_some(sale.percent())
}

fn record(sale: &Sale) -> Value {
    let lost = sale.phase() == Phase::Lost;
    json!({
        "id": sale.number, "title": sale.name(), "org_id": sale.company(), "stage_id": 1 + sale.phase_number(),
        "pipeline_id": 1, "value": sale.number_of_value(), "currency": "EUR", "probability": set(sale),
        "owner_id": sale.owner(), "add_time": instant(sale.created()), "update_time": instant(sale.updated()),
        "stage_change_time": instant(sale.updated()), "expected_close_date": sale.closes(),
        "close_time": sale.closed().map(instant), "lost_reason": lost.then_some("Price"), "status": sale.status(),
    })
}

fn deal(sale: &Sale) -> Value {
    let (stage, chance) = STAGES[sale.phase_number()];
    json!({
        "id": sale.number.to_string(), "company": company(sale.company()), "stage": stage,
        "stage_id": (1 + sale.phase_number()).to_string(), "pipeline_id": "1", "currency": "EUR",
        "probability": sale.chance(set(sale).unwrap_or(chance)), "owner": person_name(sale.owner()),
        "owner_id": sale.owner().to_string(), "created_at": instant(sale.created()),
        "updated_at": instant(sale.updated()), "stage_entered_at": instant(sale.updated()),
        "close_date": sale.closes(), "closed_at": sale.closed().map(instant),
        "lost_reason": (sale.phase() == Phase::Lost).then_some("Price"),
    })
}
