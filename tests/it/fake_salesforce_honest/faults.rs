//! What can go wrong with the fake's answers, once each and where it was planned.
//!
//! Apart, because the list is long and grows.

use super::*;

#[tokio::test]
async fn what_goes_wrong_goes_wrong_once_and_where_it_was_planned() {
    let soql = path("query", "SELECT Id FROM Opportunity");
    for (fault, status, expected) in [
        (Fault::Error(503, "SERVER_UNAVAILABLE"), 503, "SERVER_UNAVAILABLE"),
        (Fault::Error(500, "UNABLE_TO_LOCK_ROW"), 500, "UNABLE_TO_LOCK_ROW"),
        (Fault::Expired, 401, "INVALID_SESSION_ID"),
        (Fault::NotForRest, 401, "INVALID_SESSION_ID"),
        (Fault::Limit(Refusal::Total), 403, "REQUEST_LIMIT_EXCEEDED"),
        (Fault::Limit(Refusal::Concurrent), 403, "REQUEST_LIMIT_EXCEEDED"),
        (Fault::Limit(Refusal::LongTransactions), 403, "REQUEST_LIMIT_EXCEEDED"),
        (Fault::Wait(503, "3"), 503, "SERVER_UNAVAILABLE"),
        (Fault::Empty(406), 406, ""),
        (Fault::Html(420), 420, ""),
    ] {
        let crm = FakeSalesforce::start(deals(1)).await.fail_at(Route::Query, 2, fault.clone());
        let mut answers = Vec::new();
        for path in [&soql, &format!("{BASE}/limits"), &soql, &soql] {
            answers.push(get(&crm, path).await);
        }
        assert_eq!((answers[2].0, code(&answers[2].1)), (status, expected), "{fault:?}");
        answers.remove(2);
        assert!(answers.iter().all(|(status, _)| *status == 200), "{fault:?}");
        assert_eq!(crm.requests()[2].status, status);
        assert_eq!(crm.requests()[2].param("q").as_deref(), Some("SELECT Id FROM Opportunity"));
    }
    let crm = FakeSalesforce::start(deals(1)).await.fail(Fault::Oauth("inactive_org", "canary"));
    let (status, answer) = sign_in(&crm, &[("grant_type", "client_credentials"), CLIENT[0], CLIENT[1]]).await;
    assert_eq!((status, &answer["error"]), (400, &json!("inactive_org")));
    assert_eq!(crm.requests()[0].route, Some(Route::Token));
    for fault in [Fault::Cut, Fault::Reset, Fault::Stall] {
        let crm = FakeSalesforce::start(deals(9)).await.fail(fault.clone()).habit(Habit::NeverPacks);
        let whole = match request(&crm, Method::GET, &soql).header("accept-encoding", "gzip").send().await {
            Ok(head) => head.bytes().await.is_ok(),
            Err(_) => false,
        };
        assert!(!whole, "{fault:?}");
        let plain = request(&crm, Method::GET, &soql).header("accept-encoding", "gzip").send().await.unwrap();
        assert!(!plain.headers().contains_key("content-encoding"));
    }
    let crm = FakeSalesforce::start(deals(1)).await;
    let packed = request(&crm, Method::GET, &soql).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    ask(&crm, Method::POST, &format!("{BASE}/composite"), parts(&[soql])).await;
    assert!(crm.requests()[1].json()["compositeRequest"].is_array());
}

#[tokio::test]
async fn a_page_can_be_odd_in_every_way_that_a_reader_must_notice() {
    let soql = path("query", "SELECT Id FROM Opportunity ORDER BY Id");
    for (fault, total, records, next) in [
        (Fault::ShortPage, 9, 2, Some("-2")),
        (Fault::EmptyPage, 9, 0, Some("-0")),
        (Fault::RepeatedCursor, 9, 4, Some("-0")),
        (Fault::ForeignCursor("https://example.com/steal"), 9, 4, Some("https://example.com/steal")),
        (Fault::DuplicateRecord, 9, 5, Some("-4")),
        (Fault::LostRecord, 9, 3, Some("-4")),
        (Fault::WrongTotal, 10, 4, Some("-4")),
    ] {
        let crm = FakeSalesforce::start(deals(9)).await.page_size(4).fail(fault.clone());
        let (_, page) = get(&crm, &soql).await;
        let found = page["nextRecordsUrl"].as_str().unwrap_or_default();
        assert_eq!((&page["totalSize"], ids(&page).len()), (&json!(total), records), "{fault:?}");
        assert!(next.is_some_and(|next| found.ends_with(next)), "{fault:?}: {found}");
    }
    let crm = FakeSalesforce::start(deals(9)).await.page_size(4).fail_at(Route::More, 1, Fault::LostCursor);
    let (_, page) = get(&crm, &soql).await;
    for _ in 0..2 {
        let (status, answer) = get(&crm, page["nextRecordsUrl"].as_str().unwrap()).await;
        assert_eq!((status, code(&answer)), (400, "INVALID_QUERY_LOCATOR"), "what is lost stays lost");
    }
}
