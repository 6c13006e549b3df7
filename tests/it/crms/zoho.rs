//! Zoho: OAuth by refresh token under its own scheme, page tokens, ids of nineteen digits.

use serde_json::{Value, json};

use crate::crms::sales::{Sale, company, instant, person_name};
use crate::crms::served::{Asked, Reply, cut};
use crate::crms::{Crm, SECRET};

pub(super) const CRM: Crm = Crm {
    name: "zoho",
    variables: &["ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN"],
    count: 410,
    answer,
    deal,
    pages: &[("/oauth/v2/token", 1), ("/crm/v8/Deals", 3)],
};

const STAGES: [&str; 4] = ["Qualification", "Proposal/Price Quote", "Closed Won", "Closed Lost"];

fn answer(sales: &[Sale], asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/oauth/v2/token" => token(asked),
        "/crm/v8/Deals" if !asked.has("authorization", "Zoho-oauthtoken access") => Reply::refused(),
        "/crm/v8/Deals" => deals(sales, asked),
        _ => Reply::failed(404),
    }
}

fn token(asked: &Asked) -> Reply {
    let is = |field: &str, value: &str| asked.form(field).as_deref() == Some(value);
    let is_known = is("grant_type", "refresh_token")
        && is("refresh_token", SECRET)
        && is("client_id", SECRET)
        && is("client_secret", SECRET);
    // Zoho says 200 to wrong credentials too.
    let body =
        if is_known { json!({"access_token": "access", "expires_in": 3600}) } else { json!({"error": "invalid_code"}) };
    Reply::of(body)
}

fn deals(sales: &[Sale], asked: &Asked) -> Reply {
    let Some(fields) = asked.param("fields") else { return Reply::failed(400) };
    let size = asked.number("per_page").unwrap_or(200).min(200);
    let from = asked.param("page_token").map_or(0, |token| token.trim_start_matches("token.").parse().unwrap());
    let (page, until) = cut(sales, from, size);
    let more = until < sales.len() as u64;
    let data: Vec<Value> = page.iter().map(|sale| only(&record(sale), fields)).collect();
    let next = more.then(|| format!("token.{until}"));
    Reply::of(json!({"data": data, "info": {"per_page": size, "count": data.len(), "more_records": more,
        "next_page_token": next}}))
}

/// The record with the fields that were asked for; its id comes unasked.
fn only(record: &Value, fields: &str) -> Value {
    let wanted: Vec<&str> = fields.split(',').chain(["id"]).collect();
    let kept = record.as_object().unwrap().iter().filter(|(key, _)| wanted.contains(&key.as_str()));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn id(sale: &Sale) -> String {
    format!("4150868{:012}", sale.number)
}

fn record(sale: &Sale) -> Value {
    let offset = chrono::FixedOffset::east_opt(3_600).unwrap();
    let at = |at: chrono::DateTime<chrono::Utc>| at.with_timezone(&offset).to_rfc3339();
    json!({
        "id": id(sale), "Deal_Name": sale.name(), "Stage": STAGES[sale.phase_number()], "Amount": sale.number_of_value(),
        "Account_Name": {"name": company(sale.company()), "id": sale.company().to_string()},
        "Currency": if sale.number.is_multiple_of(2) { json!("USD") } else { Value::Null }, "Probability": sale.percent(),
        "Owner": {"name": person_name(sale.owner()), "id": sale.owner().to_string(), "email": "a@example.com"},
        "Created_Time": at(sale.created()), "Modified_Time": at(sale.updated()), "Closing_Date": sale.closes(),
        "Pipeline": "Standard (Standard)",
    })
}

fn deal(sale: &Sale) -> Value {
    json!({
        "id": id(sale), "company": company(sale.company()), "stage": STAGES[sale.phase_number()],
        "pipeline": "Standard (Standard)", "currency": if sale.number.is_multiple_of(2) { "USD" } else { "EUR" },
        "probability": sale.chance(sale.percent()), "owner": person_name(sale.owner()),
        "owner_id": sale.owner().to_string(), "created_at": instant(sale.created()),
        "updated_at": instant(sale.updated()), "close_date": sale.closes(),
    })
}
