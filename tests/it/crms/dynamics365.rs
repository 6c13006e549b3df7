//! Dynamics 365: OAuth by client credentials, OData links, and a header that every page needs.

use serde_json::{Value, json};

use crate::crms::sales::{Phase, Sale, company, instant, person_name};
use crate::crms::served::{Asked, Reply, cut};
use crate::crms::{Crm, SECRET};

pub(super) const CRM: Crm = Crm {
    name: "dynamics365",
    variables: &["DYNAMICS_CLIENT_ID", "DYNAMICS_CLIENT_SECRET"],
    count: 1_003,
    answer,
    deal,
    pages: &[("/TENANT/oauth2/v2.0/token", 1), ("/api/data/v9.2/opportunities", 3)],
};

const STATES: [&str; 4] = ["Open", "Open", "Won", "Lost"];

fn answer(sales: &[Sale], asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/TENANT/oauth2/v2.0/token" => token(asked),
        "/api/data/v9.2/opportunities" if !asked.has("authorization", "Bearer access") => Reply::refused(),
        "/api/data/v9.2/opportunities" => opportunities(sales, asked),
        _ => Reply::failed(404),
    }
}

fn token(asked: &Asked) -> Reply {
    let is = |field: &str, value: &str| asked.form(field).as_deref() == Some(value);
    let is_known = is("grant_type", "client_credentials")
        && is("client_id", SECRET)
        && is("client_secret", SECRET)
        // The scope is the environment's address, which here is the model's.
        && is("scope", &format!("{}/.default", asked.origin));
    if !is_known {
        return Reply::failed(400);
    }
    Reply::of(json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "access"}))
}

fn opportunities(sales: &[Sale], asked: &Asked) -> Reply {
    // Without the header the pages have another size and no names.
    if !asked.has("prefer", "odata.maxpagesize=500,odata.include-annotations=\"*\"")
        || !asked.has("odata-version", "4.0")
    {
        return Reply::failed(400);
    }
    let from = match asked.param("$skiptoken") {
        Some(token) => token.trim_start_matches("<cookie>").parse().unwrap(),
        None if asked.param("$orderby") != Some("opportunityid") => return Reply::failed(400),
        None => 0,
    };
    let (page, until) = cut(sales, from, 500);
    let mut body = json!({"@odata.context": "…", "value": page.iter().map(record).collect::<Vec<_>>()});
    if until < sales.len() as u64 {
        body["@odata.nextLink"] =
            json!(format!("{}{}?$select=name&$skiptoken=%3Ccookie%3E{until}", asked.origin, asked.path));
    }
    Reply::of(body)
}

fn id(sale: &Sale) -> String {
    format!("00000000-0000-4000-8000-{:012}", sale.number)
}

fn record(sale: &Sale) -> Value {
    let state = match sale.phase() {
        Phase::New | Phase::Proposal => 0,
        Phase::Won => 1,
        Phase::Lost => 2,
    };
    json!({
        "@odata.etag": "W/\"1\"", "opportunityid": id(sale), "name": sale.name(),
        "estimatedvalue": sale.number_of_value(), "estimatedvalue@OData.Community.Display.V1.FormattedValue": "1 €",
        "closeprobability": sale.percent(), "createdon": instant(sale.created()), "modifiedon": instant(sale.updated()),
        "estimatedclosedate": sale.closes(), "actualclosedate": sale.closed().map(|at| at.date_naive()),
        "statecode": state, "statecode@OData.Community.Display.V1.FormattedValue": STATES[sale.phase_number()],
        "stepname": (sale.phase() == Phase::Proposal).then_some("3-Propose"),
        "_ownerid_value": format!("owner-{}", sale.owner()),
        "_ownerid_value@OData.Community.Display.V1.FormattedValue": person_name(sale.owner()),
        "_customerid_value": format!("customer-{}", sale.company()),
        "_customerid_value@OData.Community.Display.V1.FormattedValue": company(sale.company()),
        "transactioncurrencyid": {"isocurrencycode": "CHF"},
    })
}

fn deal(sale: &Sale) -> Value {
    let stage = if sale.phase() == Phase::Proposal { "3-Propose" } else { STATES[sale.phase_number()] };
    json!({
        "id": id(sale), "company": company(sale.company()), "stage": stage, "currency": "CHF",
        "probability": sale.chance(sale.percent()), "owner": person_name(sale.owner()),
        "owner_id": format!("owner-{}", sale.owner()), "created_at": instant(sale.created()),
        "updated_at": instant(sale.updated()), "close_date": sale.closes(),
        "closed_at": sale.closed().map(|at| format!("{}T00:00:00Z", at.date_naive())),
    })
}
