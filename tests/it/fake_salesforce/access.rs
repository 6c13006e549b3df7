//! Who may ask: OAuth's three ways to a session, sessions that end, and the day's quota.
//!
//! Apart, because none of it needs to know what the org holds.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use sales_pipeline::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use super::answers::Answer;
use super::{
    CLIENT_ID, CLIENT_SECRET, Habit, PRIVATE_KEY, REFRESH_TOKEN, Salesforce, TOKEN, USERNAME, org_id, params, user_id,
};

/// The longest that a signed assertion may live, in seconds: three minutes, and one that clients round up.
const LIFETIME: i64 = 181;
/// Whom an assertion may be meant for, beside the host that is asked.
const AUDIENCES: [&str; 2] = ["https://login.salesforce.com", "https://test.salesforce.com"];

/// The sessions, and what buys new ones.
#[derive(Debug)]
pub(super) struct Access {
    /// Each session and how many requests it is still good for.
    sessions: HashMap<String, usize>,
    pub(super) good_for: usize,
    refresh_token: String,
    issued: u32,
    /// How far Salesforce's clock is ahead of this machine's, in seconds.
    pub(super) clock_ahead: i64,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            sessions: HashMap::from([(TOKEN.to_owned(), usize::MAX)]),
            good_for: usize::MAX,
            refresh_token: REFRESH_TOKEN.to_owned(),
            issued: 0,
            clock_ahead: 0,
        }
    }
}

impl Access {
    /// Whether a session is good; this is one request of it.
    pub(super) fn admits(&mut self, authorization: &str) -> bool {
        let session = authorization.strip_prefix("Bearer ").and_then(|token| self.sessions.get_mut(token));
        let Some(left) = session else { return false };
        let good = *left > 0;
        *left = left.saturating_sub(1);
        good
    }

    pub(super) fn end_sessions(&mut self) {
        self.sessions.clear();
    }
}

/// The requests of a day.
#[derive(Debug)]
pub(super) struct Quota {
    pub(super) most: u64,
    pub(super) used: u64,
}

impl Quota {
    /// Counts a request; false where there are none left.
    pub(super) fn admit(&mut self) -> bool {
        let free = self.used < self.most;
        self.used += u64::from(free);
        free
    }

    pub(super) fn answer(&self) -> Answer {
        let daily = json!({"Max": self.most, "Remaining": self.most.saturating_sub(self.used)});
        Answer::json(
            200,
            &json!({"DailyApiRequests": daily, "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 9_999}}),
        )
    }
}

fn denied(code: &str, description: &str) -> Answer {
    Answer::json(400, &json!({"error": code, "error_description": description}))
}

fn needs(holds: bool, code: &str, description: &str) -> Result<(), Answer> {
    if holds { Ok(()) } else { Err(denied(code, description)) }
}

/// A form, and who sent it: the client may also say so in the header.
struct Form {
    fields: Vec<(String, String)>,
}

impl Form {
    fn read(content_type: &str, body: &str, authorization: &str) -> Self {
        let is_form = content_type.starts_with("application/x-www-form-urlencoded");
        let mut fields = if is_form { params(body) } else { Vec::new() };
        let basic = authorization.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
        let basic = basic.and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some((client, secret)) = basic.as_deref().and_then(|text| text.split_once(':')) {
            fields
                .extend([("client_id".to_owned(), client.to_owned()), ("client_secret".to_owned(), secret.to_owned())]);
        }
        Self { fields }
    }

    fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn is_from_the_client(&self) -> Result<(), Answer> {
        needs(self.field("client_id") == CLIENT_ID, "invalid_client_id", "client identifier invalid")?;
        needs(self.field("client_secret") == CLIENT_SECRET, "invalid_client", "invalid client credentials")
    }
}

/// An assertion's claims, if the app's key signed it.
fn claims(assertion: &str) -> Option<Value> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let json = |part: &str| serde_json::from_slice::<Value>(&decoded(part)?).ok();
    let key = PrivatePkcs8KeyDer::from_pem_slice(PRIVATE_KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key());
    key.verify(signed.as_bytes(), &decoded(signature)?).ok()?;
    json(header).filter(|header| header["alg"] == "RS256")?;
    json(claims)
}

impl Salesforce {
    /// A session for a form.
    pub(super) fn token(&mut self, content_type: &str, authorization: &str, body: &str) -> Answer {
        let form = Form::read(content_type, body, authorization);
        let granted = match form.field("grant_type") {
            "client_credentials" => form.is_from_the_client(),
            "refresh_token" => form.is_from_the_client().and_then(|()| {
                let known = form.field("refresh_token") == self.access.refresh_token;
                needs(known, "invalid_grant", "expired access/refresh token")
            }),
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => self.asserted(form.field("assertion")),
            _ => Err(denied("unsupported_grant_type", "grant type not supported")),
        };
        match granted {
            Ok(()) => self.session(form.field("grant_type") == "refresh_token"),
            Err(refusal) => refusal,
        }
    }

    fn asserted(&self, assertion: &str) -> Result<(), Answer> {
        let claims = claims(assertion).ok_or_else(|| denied("invalid_grant", "invalid assertion"))?;
        needs(claims["iss"] == CLIENT_ID, "invalid_client_id", "client identifier invalid")?;
        needs(claims["sub"] == USERNAME, "invalid_grant", "user hasn't approved this consumer")?;
        let meant = claims["aud"].as_str().unwrap_or_default();
        let here = meant == self.login || AUDIENCES.contains(&meant);
        needs(here, "invalid_grant", "audience is invalid")?;
        let now = SystemClock.now().timestamp() + self.access.clock_ahead;
        // Some clients write the number as text.
        let end = claims["exp"].as_i64().or_else(|| claims["exp"].as_str()?.parse().ok());
        let left = end.map(|end| end - now);
        let fresh = left.is_some_and(|left| (1..=LIFETIME).contains(&left));
        needs(fresh, "invalid_grant", "expired authorization code")
    }

    fn session(&mut self, by_refresh: bool) -> Answer {
        self.access.issued += 1;
        let token = format!("00D5g0000001canary!AQ4AQ.{:04}", self.access.issued);
        let good_for = if self.has(Habit::IssuesDeadSessions) { 0 } else { self.access.good_for };
        self.access.sessions.insert(token.clone(), good_for);
        let mut body = json!({"access_token": token, "signature": "q3Jcanary=", "scope": "api", "token_type": "Bearer",
            "instance_url": self.instance, "issued_at": SystemClock.now().timestamp_millis().to_string(),
            "id": format!("https://login.salesforce.com/id/{}/{}", org_id(), user_id(0)),
            "api_instance_url": "https://api.salesforce.com"});
        if by_refresh && self.has(Habit::RotatesTokens) {
            self.access.refresh_token = format!("5Aep861canary{:04}", self.access.issued);
            body["refresh_token"] = json!(self.access.refresh_token);
        }
        Answer::json(200, &body)
    }
}
