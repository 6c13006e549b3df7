//! Capsule: pages that the header Link names, and parties that are organisations or people.

use serde_json::{Value, json};

use crate::crms::Crm;
use crate::crms::sales::{Phase, Sale, company, instant, person, person_name};
use crate::crms::served::{Asked, Reply, cut};

pub(super) const CRM: Crm = Crm {
    name: "capsule",
    variables: &["CAPSULE_TOKEN"],
    count: 205,
    answer,
    deal,
    pages: &[("/api/v2/opportunities", 3)],
};

const MILESTONES: [&str; 4] = ["New", "Proposal", "Won", "Lost"];

fn answer(sales: &[Sale], asked: &Asked) -> Reply {
    if !asked.is_borne() {
        return Reply::refused();
    }
    if asked.path != "/api/v2/opportunities" || asked.param("embed") != Some("party,milestone") {
        return Reply::failed(404);
    }
    let size = asked.number("perPage").unwrap_or(50).min(100);
    let number = asked.number("page").unwrap_or(1);
    let (page, until) = cut(sales, (number - 1) * size, size);
    let reply = Reply::of(json!({"opportunities": page.iter().map(record).collect::<Vec<_>>()}));
    let link = |page: u64, rel: &str| {
        let Asked { origin, path, .. } = asked;
        format!("<{origin}{path}?page={page}&perPage={size}&embed=party,milestone>; rel=\"{rel}\"")
    };
    let first = link(1, "first");
    if until == sales.len() as u64 {
        return reply.header("Link", first);
    }
    reply.header("Link", format!("{first}, {}", link(number + 1, "next")))
}

fn is_person(sale: &Sale) -> bool {
    sale.number.is_multiple_of(5)
}

fn record(sale: &Sale) -> Value {
    let (first, last) = person(sale.number);
    let party = if is_person(sale) {
        json!({"id": sale.number, "type": "person", "firstName": first, "lastName": last})
    } else {
        json!({"id": sale.company(), "type": "organisation", "name": company(sale.company())})
    };
    json!({
        "id": sale.number, "name": sale.name(), "party": party, "probability": sale.percent(),
        "value": {"amount": sale.number_of_value(), "currency": "GBP"},
        "milestone": {"id": sale.phase_number(), "name": MILESTONES[sale.phase_number()]},
        "owner": {"id": sale.owner(), "username": "ann", "name": person_name(sale.owner())},
        "createdAt": instant(sale.created()), "updatedAt": instant(sale.updated()),
        "expectedCloseOn": sale.closes(), "closedOn": sale.closed().map(|at| at.date_naive()),
        "lostReason": (sale.phase() == Phase::Lost).then(|| json!({"id": 1, "name": "Price"})),
    })
}

fn deal(sale: &Sale) -> Value {
    let company = if is_person(sale) { person_name(sale.number) } else { company(sale.company()) };
    json!({
        "id": sale.number.to_string(), "company": company, "stage": MILESTONES[sale.phase_number()],
        "stage_id": sale.phase_number().to_string(), "currency": "GBP", "probability": sale.chance(sale.percent()),
        "owner": person_name(sale.owner()), "owner_id": sale.owner().to_string(),
        "created_at": instant(sale.created()), "updated_at": instant(sale.updated()), "close_date": sale.closes(),
        "closed_at": sale.closed().map(|at| format!("{}T00:00:00Z", at.date_naive())),
        "lost_reason": (sale.phase() == Phase::Lost).then_some("Price"),
    })
}
