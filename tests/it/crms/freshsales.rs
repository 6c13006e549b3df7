//! Freshsales: pages that are counted, with the tables of their names beside the deals.

use serde_json::{Value, json};

use crate::crms::sales::{Sale, company, instant, person_name};
use crate::crms::served::{Asked, Reply, cut};
use crate::crms::{Crm, SECRET};

pub(super) const CRM: Crm = Crm {
    name: "freshsales",
    variables: &["FRESHSALES_API_KEY"],
    count: 230,
    answer,
    deal,
    pages: &[("/crm/sales/api/deals/view/4001234567", 3)],
};

const STAGES: [&str; 4] = ["New", "Proposal", "Won", "Lost"];

fn answer(sales: &[Sale], asked: &Asked) -> Reply {
    if !asked.has("authorization", &format!("Token token={SECRET}")) {
        return Reply::refused();
    }
    let is_included = asked.param("include") == Some("owner,deal_stage,sales_account");
    if asked.path != "/crm/sales/api/deals/view/4001234567" || !is_included {
        return Reply::failed(404);
    }
    let size = asked.number("per_page").unwrap_or(25).min(100);
    let (page, _) = cut(sales, (asked.number("page").unwrap_or(1) - 1) * size, size);
    let total = sales.len() as u64;
    let accounts = page.iter().map(|sale| json!({"id": 7_000 + sale.company(), "name": company(sale.company())}));
    let users = page.iter().map(|sale| json!({"id": 100 + sale.owner(), "display_name": person_name(sale.owner())}));
    let stages = (0..4).map(|number| json!({"id": 20 + number, "name": STAGES[number]}));
    Reply::of(json!({
        "deals": page.iter().map(record).collect::<Vec<_>>(), "sales_accounts": accounts.collect::<Vec<_>>(),
        "users": users.collect::<Vec<_>>(), "deal_stages": stages.collect::<Vec<_>>(),
        "meta": {"total_pages": total.div_ceil(size), "total": total},
    }))
}

fn id(sale: &Sale) -> u64 {
    // Beyond what a float holds.
    90_071_992_547_400_000 + sale.number
}

fn record(sale: &Sale) -> Value {
    let offset = chrono::FixedOffset::east_opt(19_800).unwrap();
    json!({
        "id": id(sale), "name": sale.name(), "amount": sale.text_of_value(), "probability": sale.percent(),
        "sales_account_id": 7_000 + sale.company(), "deal_stage_id": 20 + sale.phase_number(),
        "owner_id": 100 + sale.owner(), "created_at": sale.created().with_timezone(&offset).to_rfc3339(),
        "updated_at": sale.updated().with_timezone(&offset).to_rfc3339(), "expected_close": sale.closes(),
    })
}

fn deal(sale: &Sale) -> Value {
    json!({
        "id": id(sale).to_string(), "company": company(sale.company()), "stage": STAGES[sale.phase_number()],
        "stage_id": (20 + sale.phase_number()).to_string(), "currency": "USD",
        "probability": sale.chance(sale.percent()), "owner": person_name(sale.owner()),
        "owner_id": (100 + sale.owner()).to_string(), "created_at": instant(sale.created()),
        "updated_at": instant(sale.updated()), "close_date": sale.closes(),
    })
}
