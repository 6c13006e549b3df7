//! What the fake's SOQL finds and refuses, and how its answers look, page by page.
//!
//! Apart, because every condition and every refusal is a row of a table.

use super::*;

#[tokio::test]
async fn soql_that_is_not_known_is_refused_and_never_passed_over() {
    let crm = FakeSalesforce::start(deals(3)).await.with(|org| {
        org.hide("Opportunity", "Amount");
        org.hide_object("Account");
    });
    let long = "x".repeat(4_001);
    let where_clauses = [
        ("", "MALFORMED_QUERY"),
        ("Name", "MALFORMED_QUERY"),
        ("Name = ", "MALFORMED_QUERY"),
        ("Name = 'a", "MALFORMED_QUERY"),
        ("Name = 'a\\x'", "MALFORMED_QUERY"),
        ("Name = \"a\"", "MALFORMED_QUERY"),
        ("Name = 'a' AND IsWon = true OR IsClosed = true", "MALFORMED_QUERY"),
        ("Name = 'a' OR IsWon = true AND IsClosed = true", "MALFORMED_QUERY"),
        ("(Name = 'a'", "MALFORMED_QUERY"),
        ("Name = 'a')", "MALFORMED_QUERY"),
        ("Name IN 'a'", "MALFORMED_QUERY"),
        ("Name IN ()", "MALFORMED_QUERY"),
        ("Name NOT LIKE 'a'", "MALFORMED_QUERY"),
        ("Name CONTAINS 'a'", "MALFORMED_QUERY"),
        ("CreatedDate = LAST_N_DAYS:30", "MALFORMED_QUERY"),
        ("CreatedDate >= 2026-11-20T12:00:00 00:00", "MALFORMED_QUERY"),
        ("CreatedDate >= 2026-13-20T12:00:00Z", "MALFORMED_QUERY"),
        ("AccountId IN (SELECT Id FROM Account)", "MALFORMED_QUERY"),
        ("Name = 'a' WITH SECURITY_ENFORCED", "MALFORMED_QUERY"),
        ("Name = 'a' ALL ROWS", "MALFORMED_QUERY"),
        ("Name = 'a' GROUP BY Name", "MALFORMED_QUERY"),
        (&format!("Name = '{long}'"), "MALFORMED_QUERY"),
        ("Nothing = 'a'", "INVALID_FIELD"),
        ("Amount > 5", "INVALID_FIELD"),
        ("Account.Name = 'a'", "INVALID_FIELD"),
        ("Probability = '5'", "INVALID_FIELD"),
        ("Name = 5", "INVALID_FIELD"),
        ("IsWon = 'true'", "INVALID_FIELD"),
        ("CloseDate > 2026-11-20T12:00:00Z", "INVALID_FIELD"),
        ("CreatedDate > 2026-11-20", "INVALID_FIELD"),
        ("Description = 'a'", "INVALID_FIELD"),
        ("IsWon > true", "INVALID_QUERY_FILTER_OPERATOR"),
        ("Probability LIKE '5%'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("Id = '0065g'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("Id > '0065g'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("OwnerId > '0055g00000XyZ12'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("OwnerId = '0055g00000XyZ12AAA'", "INVALID_QUERY_FILTER_OPERATOR"),
    ];
    let queries = [
        ("SELECT FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT Id, FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT * FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT FIELDS(ALL) FROM Opportunity LIMIT 200", "MALFORMED_QUERY"),
        ("SELECT toLabel(StageName) FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT COUNT(Id) FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT Id, id FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT Id Name FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity o", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity ORDER Id", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity ORDER BY Id NULLS", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity ORDER BY Description", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity LIMIT -1", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity LIMIT 1.5", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity FOR VIEW", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
        ("SELECT Id, CurrencyIsoCode FROM Opportunity", "INVALID_FIELD"),
        ("SELECT Id, Owner.Nothing FROM Opportunity", "INVALID_FIELD"),
        ("SELECT Id, Amount FROM Opportunity", "INVALID_FIELD"),
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Id FROM Account", "INVALID_TYPE"),
        ("SELECT Id FROM CurrencyType", "INVALID_TYPE"),
        ("SELECT Id FROM DatedConversionRate", "INVALID_TYPE"),
    ];
    let all = where_clauses.map(|(clause, code)| (format!("SELECT Id FROM Opportunity WHERE {clause}"), code));
    let all = all.into_iter().chain(queries.map(|(query, code)| (query.to_owned(), code)));
    for (soql, expected) in all {
        let (status, answer) = query(&crm, &soql).await;
        assert_eq!((status, code(&answer)), (400, expected), "{soql}: {answer}");
    }
    let (_, answer) = query(&crm, "SELECT Id, Amount FROM Opportunity").await;
    let told = answer[0]["message"].as_str().unwrap();
    assert!(told.contains("ERROR at Row:1:Column:12\nNo such column 'Amount' on entity 'Opportunity'."), "{told}");
    assert_eq!(get(&crm, &format!("{BASE}/query")).await.0, 400);
}

/// Deals with ids of their own, so that answers can be written down.
fn held() -> Vec<Deal> {
    let deal = |number: u64| bare_deal(&deal_id(number));
    let day = |day: &str| Cell::Instant(DateTime::parse_from_rfc3339(day).unwrap().to_utc());
    vec![
        deal(0).with("Name", Cell::text("Blue whale's 100% \\ day")).with("Amount", Cell::number("30")),
        deal(1).with("Name", Cell::text("blue_whale")).with("AccountId", Cell::text(account_id(4))),
        deal(2).with("Name", Cell::text("Red")).with("Amount", Cell::number("4.5")).with("Type", Cell::text("New")),
        deal(3).with("CreatedDate", day("2026-11-20T11:00:00+00:00")).with("OwnerId", Cell::text(user_id(4))),
    ]
}

#[tokio::test]
async fn a_query_finds_what_its_conditions_say_in_the_order_it_names() {
    let crm = FakeSalesforce::start(held()).await.with(|org| org.delete(&deal_id(2)));
    let fifth = format!("Id = '{}'", &deal_id(3)[..15]);
    let behind = format!("Id > '{}'", deal_id(0));
    for (clause, expected) in [
        ("Name = 'BLUE WHALE\\'S 100% \\\\ DAY'", vec![0]),
        ("Name LIKE 'blue%'", vec![0, 1]),
        ("Name LIKE '%100\\%%'", vec![0]),
        ("Name LIKE 'blue\\_whale'", vec![1]),
        ("Name LIKE 'blue_whale%'", vec![0, 1]),
        ("Name IN ('blue_whale', 'Red', 'A deal')", vec![1, 3]),
        ("Name NOT IN ('blue_whale')", vec![0, 3]),
        ("Amount = 30.00", vec![0]),
        ("Amount != 30", vec![1, 3]),
        ("Amount <> 30", vec![1, 3]),
        ("Amount > 29.99", vec![0]),
        ("Amount <= 3E1", vec![0]),
        ("Amount < 30", vec![]),
        ("Amount = null", vec![1, 3]),
        ("Amount != NULL", vec![0]),
        ("Account.Name = 'Account 4 GmbH, & Co.'", vec![1]),
        ("AccountId = null AND Owner.IsActive = false", vec![3]),
        ("CreatedDate >= 2026-11-20T12:00:00+01:00", vec![3]),
        ("CreatedDate < 2026-11-20T11:00:00Z", vec![0, 1]),
        ("CloseDate = 2026-12-31", vec![0, 1, 3]),
        (fifth.as_str(), vec![3]),
        (behind.as_str(), vec![1, 3]),
        ("NOT (Amount = 30 OR Owner.Name = 'eve gone')", vec![1]),
        ("(Amount = 30 OR Name = 'A deal') AND (NOT IsClosed = true)", vec![0, 3]),
        ("IsDeleted = true", vec![]),
    ] {
        let (status, found) = query(&crm, &format!("SELECT Id FROM Opportunity WHERE {clause} ORDER BY Id")).await;
        assert_eq!(status, 200, "{clause}: {found}");
        assert_eq!(ids(&found), expected.iter().map(|number| deal_id(*number)).collect::<Vec<_>>(), "{clause}");
        assert_eq!(found["totalSize"], expected.len());
    }
    for (order, expected) in [
        ("ORDER BY Amount, Id DESC", vec![3, 1, 0]),
        ("ORDER BY Amount DESC NULLS LAST, Name ASC", vec![0, 3, 1]),
        ("ORDER BY Amount NULLS FIRST, Account.Name NULLS LAST LIMIT 2", vec![1, 3]),
        ("ORDER BY Id LIMIT 1 OFFSET 1", vec![1]),
    ] {
        let (_, found) = query(&crm, &format!("select id from opportunity {order}")).await;
        assert_eq!(ids(&found), expected.iter().map(|number| deal_id(*number)).collect::<Vec<_>>(), "{order}");
    }
    let (_, counted) = query(&crm, "SELECT COUNT() FROM Opportunity WHERE Name LIKE '%whale%'").await;
    assert_eq!(counted, json!({"totalSize": 2, "done": true, "records": []}));
    let (_, all) = get(&crm, &path("queryAll", "SELECT Id FROM Opportunity WHERE IsDeleted = true")).await;
    assert_eq!(ids(&all), [deal_id(2)]);
    let many = FakeSalesforce::start(deals(50)).await;
    let (_, found) = query(&many, "SELECT Id FROM Opportunity").await;
    assert!(!ids(&found).is_sorted(), "nobody has promised an order that was not asked for");
}

#[tokio::test]
async fn a_record_has_the_keys_of_the_query_and_values_in_salesforces_notation() {
    let deal = bare_deal(&deal_id(0))
        .with("Amount", Cell::number("10000000"))
        .with("Probability", Cell::number("62.5"))
        .with("AccountId", Cell::text(account_id(0)));
    let crm = FakeSalesforce::start(vec![deal, bare_deal(&deal_id(1)).with("Amount", Cell::number("-0.05"))]).await;
    let soql = "SELECT Name, Owner.Name, Amount, Account.Name, Account.Id, Probability, IsWon, CreatedDate, CloseDate \
        FROM Opportunity ORDER BY Id LIMIT 1";
    let text = request(&crm, Method::GET, &path("query", soql)).send().await.unwrap().text().await.unwrap();
    let expected = format!(
        r#"{{"totalSize":1,"done":true,"records":[{{"attributes":{{"type":"Opportunity","url":"{BASE}/sobjects/Opportunity/{}"}},"Name":"A deal","Owner":{{"attributes":{{"type":"User","url":"{BASE}/sobjects/User/{}"}},"Name":"Ann Lee"}},"Amount":1.0E7,"Account":{{"attributes":{{"type":"Account","url":"{BASE}/sobjects/Account/{}"}},"Name":"Account 0 GmbH, & Co.","Id":"{}"}},"Probability":62.5,"IsWon":false,"CreatedDate":"2026-05-04T12:00:00.000+0000","CloseDate":"2026-12-31"}}]}}"#,
        deal_id(0),
        user_id(0),
        account_id(0),
        account_id(0),
    );
    assert_eq!(text, expected);
    let (_, found) = query(&crm, "SELECT Account.Name, Amount FROM Opportunity ORDER BY Id DESC LIMIT 1").await;
    assert_eq!((&found["records"][0]["Account"], &found["records"][0]["Amount"]), (&Value::Null, &json!(-0.05)));
    let crm = crm.habit(Habit::WritesPlainNumbers).habit(Habit::AddsKeys).habit(Habit::OmitsDone);
    let soql = "SELECT Amount FROM Opportunity ORDER BY Id LIMIT 1";
    let text = request(&crm, Method::GET, &path("query", soql)).send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#""Amount":10000000.00,"Canary__x":"#) && !text.contains("done"), "{text}");
    for (short, whole) in [("0065g00000XyZ12", "0065g00000XyZ12AAF"), ("ABCDEaBcDe00000", "ABCDEaBcDe000005KA")] {
        assert_eq!(suffixed(short), whole);
    }
    let neighbours = [deal_id(0), deal_id(2)].map(|id| id[..15].to_lowercase());
    assert_eq!(neighbours[0], neighbours[1], "ids of 15 characters may differ in case alone");
}

#[tokio::test]
async fn pages_follow_each_other_while_the_org_changes() {
    let mut pages = 0;
    let crm = FakeSalesforce::start(deals(7)).await.page_size(3).after_each(move |org, _| {
        pages += 1;
        if pages == 1 {
            org.set(&deal_id(3), "Amount", Cell::number("1"));
            org.purge(&deal_id(4));
            org.delete(&deal_id(5));
        }
    });
    for (resource, left) in [("query", vec![3]), ("queryAll", vec![3, 5])] {
        let soql = "SELECT Id, Amount FROM Opportunity ORDER BY Id";
        let (_, first) = get(&crm, &path(resource, soql)).await;
        let next = first["nextRecordsUrl"].as_str().unwrap();
        assert!(next.starts_with(&format!("{BASE}/query/0r8")) && next.ends_with("-3"), "{next}");
        if resource == "query" {
            let (_, second) = get(&crm, next).await;
            assert_eq!(ids(&second), left.iter().map(|number| deal_id(*number)).collect::<Vec<_>>());
            assert_eq!((&second["totalSize"], &second["records"][0]["Amount"]), (&json!(7), &json!(1.0)));
            let (_, third) =
                get(&crm, &second["nextRecordsUrl"].as_str().unwrap().replace("/query/", "/queryAll/")).await;
            assert_eq!((ids(&third).len(), &third["done"]), (1, &json!(true)));
        } else {
            assert_eq!((&first["totalSize"], ids(&first).len()), (&json!(6), 3));
            let (_, second) = get(&crm, next).await;
            assert_eq!(ids(&second), [deal_id(3), deal_id(5), deal_id(6)]);
        }
    }
    let sized = |options: &'static str| {
        let soql = path("query", "SELECT Id FROM Opportunity");
        request(&crm, Method::GET, &soql).header("sforce-query-options", options).send()
    };
    for (options, expected) in
        [("batchSize=200", 200), ("batchSize=199", 400), ("batchSize=2001", 400), ("size=5", 400)]
    {
        assert_eq!(sized(options).await.unwrap().status().as_u16(), expected, "{options}");
    }
    for locator in ["0r85g0000000099AAA-0", "0r85g0000000000AAA-99", "0r85g0000000000AAA-x", "x"] {
        let (status, answer) = get(&crm, &format!("{BASE}/query/{locator}")).await;
        assert_eq!((status, code(&answer)), (400, "INVALID_QUERY_LOCATOR"), "{locator}");
    }
}
