//! Who may ask the fake: forms, assertions, limits, versions, and a host that has moved.
//!
//! Apart, because none of it needs to know what the org holds.

use super::*;

#[tokio::test]
async fn client_credentials_and_refresh_tokens_buy_sessions_and_wrong_ones_do_not() {
    let crm = FakeSalesforce::start(deals(1)).await.habit(Habit::RotatesTokens).sessions_good_for(2);
    let grant = |kind: &'static str| ("grant_type", kind);
    let (status, answer) = sign_in(&crm, &[grant("client_credentials"), CLIENT[0], CLIENT[1]]).await;
    assert_eq!((status, &answer["instance_url"]), (200, &json!(crm.endpoint())));
    assert_eq!((answer.get("refresh_token"), answer.get("expires_in")), (None, None));
    let token = answer["access_token"].as_str().unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let request = client().get(format!("{}{BASE}/limits/", crm.endpoint())).bearer_auth(token);
        statuses.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 401], "a session ends");
    let form = client().post(format!("{}/services/oauth2/token", crm.endpoint()));
    let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    let form = form.header("authorization", format!("Basic {basic}"));
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("grant_type=client_credentials");
    assert_eq!(form.send().await.unwrap().status().as_u16(), 200, "credentials may stand in the header");

    let refresh = [grant("refresh_token"), CLIENT[0], CLIENT[1], ("refresh_token", REFRESH_TOKEN)];
    let (_, answer) = sign_in(&crm, &refresh).await;
    let rotated = answer["refresh_token"].as_str().unwrap();
    assert_eq!(sign_in(&crm, &refresh).await.1["error"], "invalid_grant", "the old one is dead");
    let (status, _) = sign_in(&crm, &[refresh[0], refresh[1], refresh[2], ("refresh_token", rotated)]).await;
    assert_eq!(status, 200);

    for (fields, error) in [
        (vec![], "unsupported_grant_type"),
        (vec![grant("password"), CLIENT[0], CLIENT[1]], "unsupported_grant_type"),
        (vec![grant("client_credentials"), CLIENT[0], ("client_secret", "x")], "invalid_client"),
        (vec![grant("client_credentials"), ("client_id", "x"), CLIENT[1]], "invalid_client_id"),
        (vec![grant("refresh_token"), CLIENT[0], CLIENT[1], ("refresh_token", "x")], "invalid_grant"),
    ] {
        let (status, answer) = sign_in(&crm, &fields).await;
        assert_eq!((status, &answer["error"]), (400, &json!(error)), "{fields:?}");
    }
    let crm = crm.habit(Habit::IssuesDeadSessions);
    let (_, answer) = sign_in(&crm, &[grant("client_credentials"), CLIENT[0], CLIENT[1]]).await;
    let request = client().get(format!("{}{BASE}/limits", crm.endpoint()));
    let request = request.bearer_auth(answer["access_token"].as_str().unwrap());
    assert_eq!(answered(request.send().await.unwrap()).await.1[0]["errorCode"], "INVALID_SESSION_ID");
    crm.end_sessions();
    assert_eq!(get(&crm, &format!("{BASE}/limits")).await.0, 401);
}

/// A signed assertion with these claims.
fn assertion(claims: &Value) -> String {
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encoded(&json!({"alg": "RS256"})), encoded(claims));
    let key = PrivatePkcs8KeyDer::from_pem_slice(PRIVATE_KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn an_assertion_counts_if_the_key_signed_it_and_every_claim_holds() {
    let crm = FakeSalesforce::start(deals(1)).await;
    let now = SystemClock.now().timestamp();
    let good = json!({"iss": CLIENT_ID, "sub": USERNAME, "aud": "https://login.salesforce.com", "exp": now + 120});
    let changed = |claim: &str, value: Value| {
        let mut claims = good.clone();
        claims[claim] = value;
        assertion(&claims)
    };
    let whole = assertion(&good);
    let forged =
        format!("{}.{}", whole.rsplit_once('.').unwrap().0, changed("sub", json!("x")).rsplit_once('.').unwrap().1);
    for (assertion, expected) in [
        (whole.clone(), None),
        (changed("aud", json!(crm.endpoint())), None),
        (forged, Some("invalid assertion")),
        ("x".to_owned(), Some("invalid assertion")),
        (changed("iss", json!("x")), Some("client identifier invalid")),
        (changed("sub", json!("x")), Some("user hasn't approved this consumer")),
        (changed("aud", json!("https://example.com")), Some("audience is invalid")),
        (changed("exp", json!((now + 120).to_string())), None),
        (changed("exp", json!(now - 1)), Some("expired authorization code")),
        (changed("exp", json!(now + 400)), Some("expired authorization code")),
        (changed("exp", json!((now + 120) * 1000)), Some("expired authorization code")),
    ] {
        let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let (status, answer) = sign_in(&crm, &[grant, ("assertion", &assertion)]).await;
        assert_eq!(status, if expected.is_some() { 400 } else { 200 }, "{answer}");
        assert_eq!(answer["error_description"].as_str(), expected);
    }
    let crm = crm.clock_ahead(600);
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!(sign_in(&crm, &[grant, ("assertion", &whole)]).await.0, 400, "clocks must agree");
}

#[tokio::test]
async fn what_stands_before_the_org_refuses_in_its_own_words() {
    let mut crm = FakeSalesforce::start(deals(1)).await.daily(2).habit(Habit::CountsBursts);
    for (path, status, expected) in [
        ("/services/data/v66.0/limits", 200, ""),
        ("/services/data/v30.0/limits", 410, "UNSUPPORTED_API_VERSION"),
        ("/services/data/v99.0/limits", 404, "NOT_FOUND"),
        ("/services/data/latest/limits", 404, "NOT_FOUND"),
        ("/services/data/v66.0/nothing", 404, "NOT_FOUND"),
        ("/services/data/v66.0/limits/", 200, ""),
        ("/services/data/v66.0/limits", 403, "REQUEST_LIMIT_EXCEEDED"),
    ] {
        let response = request(&crm, Method::GET, path).send().await.unwrap();
        let usage = response.headers().get("sforce-limit-info").map(|value| value.to_str().unwrap().to_owned());
        let (answered, body) = answered(response).await;
        assert_eq!((answered, code(&body)), (status, expected), "{path}");
        assert_eq!(
            usage.is_some_and(|usage| usage.starts_with("api-usage=") && usage.ends_with("; api-bursts=1/750")),
            !path.contains("nothing"),
            "{path}"
        );
    }
    crm.next_day();
    let versions = client().get(format!("{}/services/data/", crm.endpoint())).send().await.unwrap();
    assert!(!versions.headers().contains_key("sforce-limit-info"), "they are for everybody");
    assert!(answered(versions).await.1.as_array().unwrap().iter().any(|version| version["version"] == "66.0"));
    for (path, expected) in [("x".repeat(16_400), 414), ("x".repeat(16_300), 431)] {
        assert_eq!(query(&crm, &path).await.0, expected);
    }
    let long = format!("SELECT Id FROM Opportunity WHERE Name = 'x'{}", " ".repeat(100_000));
    let body = json!({"operation": "query", "query": long});
    assert_eq!(code(&ask(&crm, Method::POST, &format!("{BASE}/jobs/query"), body).await.1), "MALFORMED_QUERY");

    crm.move_away().await;
    let old = request(&crm, Method::GET, &format!("{BASE}/limits")).send().await.unwrap();
    let (_, answer) = sign_in(&crm, &[("grant_type", "client_credentials"), CLIENT[0], CLIENT[1]]).await;
    let instance = answer["instance_url"].as_str().unwrap();
    assert_ne!(instance, crm.endpoint());
    assert_eq!(old.status().as_u16(), 301);
    assert!(old.headers()["location"].to_str().unwrap().starts_with(instance));
    let there = client().get(format!("{instance}{BASE}/limits")).bearer_auth(TOKEN);
    assert_eq!(there.send().await.unwrap().status().as_u16(), 200);
    assert!(crm.model(Tz::UTC)[0].url.starts_with(instance));
}
