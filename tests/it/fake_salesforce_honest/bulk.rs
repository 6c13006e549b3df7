//! The fake's bulk jobs, good and bad.
//!
//! Apart, because a job has its own life.

use super::*;

/// A job's id.
async fn job(crm: &FakeSalesforce, operation: &str, soql: &str) -> String {
    let body = json!({"operation": operation, "query": soql, "contentType": "CSV", "columnDelimiter": "COMMA",
        "lineEnding": "LF"});
    let (status, job) = ask(crm, Method::POST, &format!("{BASE}/jobs/query"), body).await;
    assert_eq!((status, &job["state"]), (200, &json!("UploadComplete")), "{job}");
    job["id"].as_str().unwrap().to_owned()
}

/// A page of a result, and what its headers say of its length and the next one.
async fn result(crm: &FakeSalesforce, path: &str) -> (String, String, Option<String>) {
    let response = request(crm, Method::GET, path).send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (count, locator) = (header("sforce-numberofrecords").unwrap_or_default(), header("sforce-locator"));
    (response.text().await.unwrap(), count, locator)
}

#[tokio::test]
async fn a_bulk_job_is_made_polled_read_page_by_page_and_deleted() {
    let crm = FakeSalesforce::start(deals(25)).await.with(|org| org.delete(&deal_id(4))).polls(2).result_page(4);
    let job = job(&crm, "queryAll", "SELECT Id, Account.Name, Amount, CreatedDate FROM Opportunity").await;
    let at = |rest: &str| format!("{BASE}/jobs/query/{job}{rest}");
    assert_eq!(get(&crm, &at("/results")).await.0, 400, "there is no result yet");
    assert_eq!(ask(&crm, Method::DELETE, &at(""), Value::Null).await.0, 400, "it runs still");
    for state in ["InProgress", "InProgress", "JobComplete", "JobComplete"] {
        assert_eq!(get(&crm, &at("")).await.1["state"], state);
    }
    let (_, shown) = get(&crm, &at("")).await;
    assert_eq!((&shown["numberRecordsProcessed"], &shown["apiVersion"]), (&json!(25), &json!(66.0)));

    let (first, count, locator) = result(&crm, &at("/results?maxRecords=3")).await;
    assert_eq!((first.lines().count(), count.as_str()), (4, "3"));
    assert_eq!(first.lines().next(), Some(r#""Id","Account.Name","Amount","CreatedDate""#));
    let (again, _, _) = result(&crm, &at(&format!("/results?maxRecords=3&locator={}", locator.unwrap()))).await;
    assert_ne!(again, first);

    let (mut lines, mut pages) = (Vec::new(), at("/resultPages"));
    loop {
        let (_, named) = get(&crm, &pages).await;
        for page in named["resultPages"].as_array().unwrap() {
            let (text, _, _) = result(&crm, page["resultUrl"].as_str().unwrap()).await;
            lines.extend(text.lines().skip(1).map(ToOwned::to_owned));
        }
        match named["nextRecordsUrl"].as_str() {
            Some(next) => pages = next.to_owned(),
            None => break,
        }
    }
    lines.sort();
    let expected = format!(r#""{}","Account 0 GmbH, & Co.","0.07","2026-01-24T12:00:00.000Z""#, deal_id(0));
    assert_eq!((lines.len(), &lines[0]), (25, &expected));
    assert!(lines[9].ends_with(r#","","","2026-01-24T12:09:00.000Z""#), "{}", lines[9]);
    let (_, _, end) = result(&crm, &at("/results?maxRecords=4&locator=MjQ")).await;
    assert_eq!(end.as_deref(), Some("null"), "the last page says so in a word");

    assert_eq!(get(&crm, &at("").replace("v66", "v65")).await.0, 409);
    assert_eq!(get(&crm, &at("/results?locator=x")).await.0, 400);
    assert_eq!(crm.jobs_left(), 1);
    assert_eq!(ask(&crm, Method::DELETE, &at(""), Value::Null).await.0, 204);
    assert_eq!((crm.jobs_left(), get(&crm, &at("")).await.0), (0, 404));
}

#[tokio::test]
async fn a_bulk_job_can_end_badly_and_its_result_can_be_odd() {
    let crm = FakeSalesforce::start(deals(6)).await.result_page(3);
    let soql = "SELECT Id FROM Opportunity";
    for (state, message) in [(JobState::Failed, true), (JobState::Aborted, false)] {
        let nth = crm.requests_of(Route::Job) + 1;
        let crm = &crm;
        crm.plan(Route::Job, nth, Fault::JobEnds(state));
        let job = job(crm, "query", soql).await;
        let (_, shown) = get(crm, &format!("{BASE}/jobs/query/{job}")).await;
        assert_eq!(shown["state"], format!("{state:?}"));
        assert_eq!(shown.get("errorMessage").is_some(), message);
    }
    let aborted = job(&crm, "query", soql).await;
    let at = format!("{BASE}/jobs/query/{aborted}");
    assert_eq!(ask(&crm, Method::PATCH, &at, json!({"state": "Open"})).await.0, 400);
    assert_eq!(ask(&crm, Method::PATCH, &at, json!({"state": "Aborted"})).await.1["state"], "Aborted");

    let crm = crm.habit(Habit::WritesOneHeader).habit(Habit::NamesOneRecord).result_page(1);
    let done = job(&crm, "query", soql).await;
    let at = format!("{BASE}/jobs/query/{done}");
    get(&crm, &at).await;
    for (fault, lines, locator) in [
        (None, 2, Some("MQ")),
        (Some(Fault::NoLocator), 2, None),
        (Some(Fault::RepeatedCursor), 2, Some("MA")),
        (Some(Fault::LostRecord), 1, Some("MQ")),
    ] {
        let nth = crm.requests_of(Route::Results) + 1;
        if let Some(fault) = fault {
            crm.plan(Route::Results, nth, fault);
        }
        let (text, count, next) = result(&crm, &format!("{at}/results")).await;
        assert_eq!((text.lines().count(), count.as_str(), next.as_deref()), (lines, "1", locator));
    }
    let (second, _, _) = result(&crm, &format!("{at}/results?locator=MQ")).await;
    assert_eq!(second.lines().count(), 1, "no header");
    let (_, pages) = get(&crm, &format!("{at}/resultPages")).await;
    assert!(pages["nextRecordUrl"].is_string() && pages.get("nextRecordsUrl").is_none());

    for (soql, operation) in [
        ("SELECT COUNT() FROM Opportunity", "query"),
        ("SELECT Id FROM Opportunity OFFSET 5", "query"),
        ("SELECT Id FROM", "query"),
        ("SELECT Id FROM Opportunity", "insert"),
    ] {
        let body = json!({"operation": operation, "query": soql});
        assert_eq!(ask(&crm, Method::POST, &format!("{BASE}/jobs/query"), body).await.0, 400, "{soql}");
    }
}
