//! Zendesk Sell: next addresses in the body, each record in an envelope, names in three other lists.

use serde_json::{Value, json};

use crate::crms::Crm;
use crate::crms::sales::{PEOPLE, Sale, company, instant, person_name};
use crate::crms::served::{Asked, Reply, cut};

pub(super) const CRM: Crm = Crm {
    name: "zendesk_sell",
    variables: &["SELL_ACCESS_TOKEN"],
    count: 250,
    answer,
    deal,
    pages: &[("/v2/deals", 3), ("/v2/users", 3), ("/v2/contacts", 3), ("/v2/stages", 1)],
};

const STAGES: [(&str, u64); 4] = [("Incoming", 10), ("Qualified", 40), ("Won", 100), ("Lost", 0)];

fn answer(sales: &[Sale], asked: &Asked) -> Reply {
    if !asked.is_borne() {
        return Reply::refused();
    }
    match asked.path.as_str() {
        "/v2/deals" if asked.param("sort_by") == Some("id") => {
            page(asked, &sales.iter().map(record).collect::<Vec<_>>())
        }
        "/v2/stages" => {
            let stage = |id: u64| {
                let (name, likelihood) = STAGES[usize::try_from(id).unwrap()];
                json!({"id": id, "name": name, "likelihood": likelihood, "pipeline_id": 1})
            };
            page(asked, &(0..4).map(stage).collect::<Vec<_>>())
        }
        "/v2/users" => {
            let user = |id| json!({"id": id, "name": person_name(id)});
            page(asked, &(0..PEOPLE).map(user).collect::<Vec<_>>())
        }
        "/v2/contacts" => {
            let ids = asked.param("ids").unwrap_or_default().split(',').filter_map(|id| id.parse().ok());
            let contacts = ids.map(|id: u64| json!({"id": id, "is_organization": true, "name": company(id)}));
            page(asked, &contacts.collect::<Vec<_>>())
        }
        _ => Reply::failed(404),
    }
}

fn page(asked: &Asked, records: &[Value]) -> Reply {
    let size = asked.number("per_page").unwrap_or(25).min(100);
    let number = asked.number("page").unwrap_or(1);
    let (page, until) = cut(records, (number - 1) * size, size);
    let items: Vec<Value> = page.iter().map(|data| json!({"data": data, "meta": {"type": "item"}})).collect();
    let Asked { origin, path, .. } = asked;
    let next = format!("{origin}{path}?page={}&per_page={size}&sort_by=id", number + 1);
    let next = (until < records.len() as u64).then_some(next);
    let links = json!({"self": format!("{origin}{path}"), "next_page": next});
    Reply::of(json!({"items": items, "meta": {"type": "collection", "count": items.len(), "links": links}}))
}

/// What somebody set for the deal, else nothing.
fn set(sale: &Sale) -> Option<u64> {
    sale.number.is_multiple_of(3).then_some(sale.percent())
}

fn record(sale: &Sale) -> Value {
    let value = if sale.number.is_multiple_of(2) { json!(sale.text_of_value()) } else { sale.number_of_value() };
    json!({
        "id": sale.number, "name": sale.name(), "value": value, "currency": "EUR", "stage_id": sale.phase_number(),
        "organization_id": sale.company(), "owner_id": sale.owner(), "customized_win_likelihood": set(sale),
        "created_at": instant(sale.created()), "updated_at": instant(sale.updated()),
        "last_stage_change_at": instant(sale.updated()), "estimated_close_date": sale.closes(),
    })
}

fn deal(sale: &Sale) -> Value {
    let (stage, likelihood) = STAGES[sale.phase_number()];
    json!({
        "id": sale.number.to_string(), "company": company(sale.company()), "stage": stage,
        "stage_id": sale.phase_number().to_string(), "currency": "EUR",
        "probability": sale.chance(set(sale).unwrap_or(likelihood)), "owner": person_name(sale.owner()),
        "owner_id": sale.owner().to_string(), "created_at": instant(sale.created()),
        "updated_at": instant(sale.updated()), "stage_entered_at": instant(sale.updated()), "close_date": sale.closes(),
    })
}
