//! What the user may see of the fake's org: composite requests, describe, and the model's own words.
//!
//! Apart, because here the org's rules are on trial, not its queries.

use super::*;

#[tokio::test]
async fn a_composite_request_answers_part_by_part_and_counts_once() {
    let crm = FakeSalesforce::start(deals(5)).await.page_size(2);
    let composite = format!("{BASE}/composite/");
    let describe = format!("{BASE}/sobjects/Opportunity/describe");
    let paths =
        [path("query", "SELECT Id FROM Opportunity"), path("query", "SELECT Id FROM Nothing"), describe.clone()];
    let (status, answer) = ask(&crm, Method::POST, &composite, parts(&paths)).await;
    let answers = &answer["compositeResponse"];
    let statuses: Vec<_> = answers.as_array().unwrap().iter().map(|part| &part["httpStatusCode"]).collect();
    assert_eq!((status, statuses), (200, vec![&json!(200), &json!(400), &json!(200)]));
    assert_eq!((&answers[1]["referenceId"], code(&answers[1]["body"])), (&json!("p1"), "INVALID_TYPE"));
    assert_eq!(answers[0]["body"]["records"].as_array().unwrap().len(), 2);
    let (_, rest) = get(&crm, answers[0]["body"]["nextRecordsUrl"].as_str().unwrap()).await;
    assert_eq!(ids(&rest).len(), 2);
    let (_, limits) = get(&crm, &format!("{BASE}/limits")).await;
    assert_eq!(limits["DailyApiRequests"], json!({"Max": 100_000, "Remaining": 100_000 - 3}));

    let last = answers[2]["httpHeaders"]["last-modified"].as_str().unwrap();
    let mut again = parts(&[describe]);
    again["compositeRequest"][0]["httpHeaders"] = json!({"If-Modified-Since": last});
    let (_, answer) = ask(&crm, Method::POST, &composite, again.clone()).await;
    assert_eq!(answer["compositeResponse"][0]["httpStatusCode"], 304);
    crm.change(|org| org.hide("Opportunity", "Amount"));
    let (_, answer) = ask(&crm, Method::POST, &composite, again).await;
    assert_eq!(answer["compositeResponse"][0]["httpStatusCode"], 200);

    let one = path("query", "SELECT Id FROM Opportunity");
    let mut twice = parts(&[one.clone(), one.clone()]);
    twice["compositeRequest"][1]["referenceId"] = json!("p0");
    let limits = format!("{BASE}/limits");
    for body in [
        parts(&vec![one.clone(); 6]),
        parts(&vec![limits; 26]),
        parts(&[one.replace("v66", "v65")]),
        parts(&[format!("{BASE}/jobs/query")]),
        twice,
        json!({}),
        json!("x"),
    ] {
        let (status, answer) = ask(&crm, Method::POST, &composite, body.clone()).await;
        assert_eq!(status, 400, "{body}: {answer}");
    }
    let crm = crm.fail_at(Route::Composite, 12, Fault::Part(1, 500, "UNKNOWN_EXCEPTION"));
    for expected in [200, 500, 200] {
        let (_, answer) = ask(&crm, Method::POST, &composite, parts(&[one.clone(), one.clone()])).await;
        let parts = &answer["compositeResponse"];
        assert_eq!((&parts[0]["httpStatusCode"], &parts[1]["httpStatusCode"]), (&json!(200), &json!(expected)));
    }
}

#[tokio::test]
async fn describe_shows_what_the_user_may_see() {
    let crm = FakeSalesforce::start(deals(1)).await.with(|org| {
        org.add_field("Segment__c", Kind::Picklist);
        org.hide("Opportunity", "Probability");
    });
    let describe = |object: &str| format!("{BASE}/sobjects/{object}/describe");
    let (_, described) = get(&crm, &describe("Opportunity")).await;
    let field =
        |name: &str| described["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).cloned();
    assert_eq!(field("Amount").unwrap()["type"], "currency");
    assert_eq!(field("Segment__c").unwrap()["custom"], true);
    assert_eq!(field("OwnerId").unwrap()["referenceTo"], json!(["User"]));
    assert_eq!(field("StageName").unwrap()["picklistValues"][1]["label"], "Angebot \"fest\"");
    assert_eq!(described["recordTypeInfos"][1]["developerName"], "Renewals");
    assert_eq!(field("Probability").or_else(|| field("CurrencyIsoCode")), None);
    crm.change(|org| {
        org.multi_currency = true;
        org.without_record_types();
    });
    let (_, described) = get(&crm, &describe("Opportunity")).await;
    let names: Vec<_> = described["fields"].as_array().unwrap().iter().map(|field| &field["name"]).collect();
    assert!(names.contains(&&json!("CurrencyIsoCode")) && !names.contains(&&json!("RecordTypeId")));
    assert_eq!(get(&crm, &describe("Nothing")).await.0, 404);
    crm.change(|org| org.date_rate("USD", "1.08", "2026-01-01", "9999-12-31"));
    let dated = "SELECT IsoCode, ConversionRate FROM DatedConversionRate WHERE StartDate <= 2026-05-01 AND NextStartDate > 2026-05-01";
    let (_, rates) = query(&crm, dated).await;
    assert_eq!(
        (&rates["records"][0]["IsoCode"], &rates["records"][0]["ConversionRate"]),
        (&json!("USD"), &json!(1.08))
    );
    let (_, currencies) =
        query(&crm, "SELECT IsoCode, DecimalPlaces, IsCorporate FROM CurrencyType ORDER BY IsoCode").await;
    assert_eq!((&currencies["totalSize"], &currencies["records"][1]["DecimalPlaces"]), (&json!(4), &json!(0)));
    let (_, organization) = query(&crm, "SELECT Id, Name, DefaultCurrencyIsoCode FROM Organization").await;
    assert_eq!(organization["records"][0]["DefaultCurrencyIsoCode"], "EUR");
}

#[tokio::test]
async fn the_model_says_nothing_of_what_is_hidden_and_takes_the_orgs_own_currency() {
    let held = deals(8);
    let crm = FakeSalesforce::start(held).await;
    let one = |crm: &FakeSalesforce, number: usize| crm.model(Tz::Europe__Berlin).remove(number);
    let won = one(&crm, 3);
    assert_eq!((won.status, won.currency.as_str()), (Status::Won, "EUR"), "one currency is the org's own");
    assert_eq!((won.pipeline.as_deref(), won.closed_at), (Some("New Business"), won.stage_entered_at));
    assert_eq!(won.url, format!("{}/lightning/r/Opportunity/{}/view", crm.endpoint(), deal_id(3)));
    assert_eq!(one(&crm, 1).stage.as_deref(), Some("Angebot \"fest\""));
    crm.change(|org| {
        org.multi_currency = true;
        org.set(&deal_id(3), "LastStageChangeDate", Cell::Null);
        org.set(&deal_id(3), "CloseDate", Cell::day("2026-07-01"));
        org.set(&deal_id(3), "Name", Cell::text(" "));
        org.set(&deal_id(3), "Probability", Cell::number("101"));
        org.hide("Opportunity", "Amount");
        org.hide("Opportunity", "AccountId");
        org.hide_object("OpportunityStage");
        org.hide_object("User");
    });
    let (deal, other) = (one(&crm, 3), one(&crm, 1));
    assert_eq!((deal.name.as_str(), deal.currency.as_str(), deal.probability), ("(untitled)", "KWD", None));
    assert_eq!(deal.closed_at.unwrap().to_rfc3339(), "2026-06-30T22:00:00+00:00", "the day begins in the zone");
    assert_eq!((deal.value, deal.company, deal.owner), (None, None, None));
    assert_eq!((deal.owner_id, other.stage.as_deref()), (Some(user_id(3)), Some("Proposal/Price Quote")));
}
