//! Asks Salesforce: credentials, the account's host, the day's limit and the class of a refusal, the same for every
//! request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::Url;
use reqwest::header::{ACCEPT, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::http::{self, Clients, Http, Reply, Request};
use crate::settings::Problem;
use crate::sources::answer;
use crate::sources::auth::{Authenticator, Token};
use crate::sources::common::Context;
use crate::sources::day::DayLimit;
use crate::sources::salesforce::errors::Refusal;
use crate::sources::salesforce::settings::Settings;
use crate::sources::salesforce::usage::Usage;
use crate::sources::source::SourceError;

/// How long nothing is asked once the day's limit is reached: it counts the last 24 hours, so nobody knows better.
const PAUSE: TimeDelta = TimeDelta::hours(1);
/// Where tokens are given.
const TOKEN: &str = "/services/oauth2/token";
/// Salesforce's own hosts.
const OWN_DOMAINS: [&str; 3] = [".salesforce.com", ".force.com", ".salesforce.mil"];

/// One Salesforce account, asked with its credentials.
pub(super) struct Client {
    clients: Arc<Clients>,
    settings: http::Settings,
    /// The configured host.
    endpoint: Url,
    /// Where the account is asked: the configured host, or the one that a token named.
    instance: Mutex<Arc<Http>>,
    /// Requests to hosts that the account has left.
    sent_before: AtomicU64,
    auth: Authenticator,
    clock: Arc<dyn Clock>,
    day: DayLimit,
    usage: Mutex<Option<Usage>>,
    version: String,
}

/// A request that is not yet on any host.
struct Ask<'a> {
    method: Method,
    path: &'a str,
    body: Option<Vec<u8>>,
    accept: Option<&'static str>,
    /// Whether it ends what this program made, which is done whatever is left of the limit.
    is_end: bool,
}

impl Client {
    /// A client for what the section says.
    pub(super) fn new(http: &http::Settings, settings: &Settings, context: &Context) -> Result<Self, Problem> {
        let instance = Http::new(&context.clients, &settings.endpoint, http, None)?;
        let auth = settings.auth.clone().with_token_url(format!("{}{TOKEN}", settings.login));
        let auth = Authenticator::new(auth, http, context)
            .map_err(|problem| Problem { path: vec!["login_url".to_owned()], ..problem })?;
        Ok(Self {
            clients: Arc::clone(&context.clients),
            settings: http.clone(),
            endpoint: instance.url("/").map_err(|error| Problem::at("endpoint", error.to_string()))?,
            instance: Mutex::new(Arc::new(instance)),
            sent_before: AtomicU64::new(0),
            auth,
            clock: Arc::clone(&context.clock),
            day: DayLimit::new(Arc::clone(&context.memory)),
            usage: Mutex::default(),
            version: settings.version.clone(),
        })
    }

    /// How many requests have been sent since the start; those for tokens count, though not in Salesforce's own reckoning.
    pub(super) fn requests(&self) -> u64 {
        self.instance().requests() + self.sent_before.load(Ordering::Relaxed) + self.auth.requests()
    }

    /// What the account may send in a day, where an answer said so.
    pub(super) fn daily_limit(&self) -> Option<u64> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner).map(|usage| usage.limit)
    }

    /// A number that is another one for other credentials, which can be another account's.
    pub(super) fn identity(&self) -> Result<u64, SourceError> {
        self.auth.identity()
    }

    /// Where people see the account.
    pub(super) fn origin(&self) -> Result<String, SourceError> {
        Ok(self.instance().url("/")?.origin().ascii_serialization())
    }

    /// A path of the configured version of the API.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/services/data/v{}/{rest}", self.version)
    }

    /// The path of an address that an answer to `asked` gives: on the same host, and nothing else is followed.
    pub(super) fn follow(&self, asked: &str, next: &str) -> Result<String, SourceError> {
        let http = self.instance();
        let url = http.join(&http.url(asked)?, next)?;
        Ok(url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path())))
    }

    /// GETs a path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, SourceError> {
        read(&self.text(path).await?)
    }

    /// GETs a path as text that should be JSON.
    pub(super) async fn text(&self, path: &str) -> Result<String, SourceError> {
        json(self.ask(&Ask { method: Method::GET, path, body: None, accept: None, is_end: false }).await?)
    }

    /// GETs a path as a table.
    pub(super) async fn table(&self, path: &str) -> Result<Reply, SourceError> {
        self.ask(&Ask { method: Method::GET, path, body: None, accept: Some("text/csv"), is_end: false }).await
    }

    /// POSTs a question: nothing of the account's is changed by it.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, SourceError> {
        let body = serde_json::to_vec(body).expect("texts, numbers and lists are JSON");
        let ask = Ask { method: Method::POST, path, body: Some(body), accept: None, is_end: false };
        read(&json(self.ask(&ask).await?)?)
    }

    /// Ends what this program made.
    pub(super) async fn patch(&self, path: &str, body: &impl Serialize) -> Result<(), SourceError> {
        let body = serde_json::to_vec(body).expect("texts, numbers and lists are JSON");
        self.ask(&Ask { method: Method::PATCH, path, body: Some(body), accept: None, is_end: true }).await.map(drop)
    }

    /// DELETEs what this program made.
    pub(super) async fn delete(&self, path: &str) -> Result<(), SourceError> {
        self.ask(&Ask { method: Method::DELETE, path, body: None, accept: None, is_end: true }).await.map(drop)
    }

    async fn ask(&self, ask: &Ask<'_>) -> Result<Reply, SourceError> {
        if !ask.is_end {
            self.check_the_day()?;
        }
        let (mut reply, token) = self.send(ask, None).await?;
        if let Some(token) = token
            && (is_elsewhere(&reply) || Refusal::of(&reply, self.clock.now()).is_expired)
        {
            // Once: a refused new session stays refused.
            (reply, _) = self.send(ask, Some(&token)).await?;
        }
        if reply.is_success() { Ok(reply) } else { Err(self.refused(&reply)) }
    }

    async fn send(&self, ask: &Ask<'_>, refused: Option<&Token>) -> Result<(Reply, Option<Token>), SourceError> {
        // The token first: it may name another host.
        let token = self.auth.token(refused).await?;
        self.settle(token.as_ref().and_then(|token| token.endpoint.as_deref()))?;
        let http = self.instance();
        let url = http.url(ask.path)?;
        let mut request = match &ask.body {
            Some(body) => Request::post(url, "application/json", body.clone()),
            None => Request::get(url),
        };
        request.method = ask.method.clone();
        if let Some(accept) = ask.accept {
            request.headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        self.auth.apply(&mut request, token.as_ref())?;
        let reply = http.send(request).await?;
        self.note(&reply)?;
        Ok((reply, token))
    }

    fn instance(&self) -> Arc<Http> {
        Arc::clone(&self.instance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the host that a token names from now on, if it is one that a token may go to.
    fn settle(&self, place: Option<&str>) -> Result<(), SourceError> {
        let Some(place) = place.map_or(Ok(None), |place| place_of(place, &self.endpoint))? else { return Ok(()) };
        let mut instance = self.instance.lock().unwrap_or_else(PoisonError::into_inner);
        if instance.url("/").is_ok_and(|url| url.origin() == place.origin()) {
            return Ok(());
        }
        let origin = place.origin().ascii_serialization();
        if let Ok(moved) = Http::new(&self.clients, &origin, &self.settings, None) {
            self.sent_before.fetch_add(instance.requests(), Ordering::Relaxed);
            *instance = Arc::new(moved);
        }
        Ok(())
    }

    /// Takes over what the answer says of the limit, and remembers when so much is used that others need the rest.
    fn note(&self, reply: &Reply) -> Result<(), SourceError> {
        let Some(usage) = Usage::of(reply) else { return Ok(()) };
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner) = Some(usage);
        if usage.is_spent() {
            self.day.spare(self.identity()?, self.clock.now() + PAUSE, usage.used, usage.limit);
        }
        Ok(())
    }

    /// Nothing is asked for a while once the limit is near.
    fn check_the_day(&self) -> Result<(), SourceError> {
        match self.day.check(self.identity()?, self.clock.now()) {
            Err(SourceError::DailyLimit { resets, .. }) => Err(SourceError::DailyLimit { status: 403, resets }),
            checked => checked,
        }
    }

    fn refused(&self, reply: &Reply) -> SourceError {
        let error = Refusal::of(reply, self.clock.now()).error;
        self.heed(&error);
        error
    }

    /// Keeps to the limit of the day, if that is what a refusal says, of an answer or of a part of one.
    pub(super) fn heed(&self, refusal: &SourceError) {
        if let (SourceError::DailyLimit { .. }, Ok(identity)) = (refusal, self.identity()) {
            self.day.pause(identity, self.clock.now() + PAUSE);
        }
    }
}

/// Whether the account has left this host: a new session says where it is, and that is judged; an answer is not.
fn is_elsewhere(reply: &Reply) -> bool {
    matches!(reply.status, 301 | 302 | 307 | 308)
}

/// Where a token says that the account is; nothing where the configuration names a host that is not Salesforce's: that
/// one stands for the account, wherever it is.
fn place_of(told: &str, endpoint: &Url) -> Result<Option<Url>, SourceError> {
    let place = Url::parse(told).ok().filter(|place| may_be_asked(place, endpoint));
    if place.is_none() && is_own(endpoint) {
        return Err(SourceError::Malformed("the answer names an `instance_url` that is not Salesforce's".to_owned()));
    }
    Ok(place)
}

/// Whether a token may go to `place`: the configured host, or one of Salesforce's own for another of them.
fn may_be_asked(place: &Url, endpoint: &Url) -> bool {
    let is_plain = place.username().is_empty() && place.password().is_none();
    let is_configured = place.scheme() == endpoint.scheme() && place.host_str() == endpoint.host_str();
    is_plain && (is_configured || (is_own(place) && is_own(endpoint)))
}

/// Whether a host is Salesforce's own.
fn is_own(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https" && url.port().is_none() && OWN_DOMAINS.iter().any(|domain| host.ends_with(domain))
}

fn json(reply: Reply) -> Result<String, SourceError> {
    let text = answer::text(reply)?;
    answer::check_parts(&text)?;
    Ok(text)
}

/// Reads a text that should be JSON of a certain shape.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, SourceError> {
    serde_json::from_str(text).map_err(|error| answer::not_json(&error, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_only_to_hosts_of_salesforce_and_from_those_alone() {
        let may = |place: &str, endpoint: &str| may_be_asked(&place.parse().unwrap(), &endpoint.parse().unwrap());
        let acme = "https://acme.my.salesforce.com";
        for place in
            ["https://na139.salesforce.com", "https://acme.my.salesforce.mil", "https://acme.lightning.force.com"]
        {
            assert!(may(place, acme), "{place}");
        }
        for place in [
            "https://evil.example",
            "https://salesforce.com.evil.example",
            "https://evilsalesforce.com",
            "http://acme2.my.salesforce.com",
            "https://na139.salesforce.com:8443",
            "https://user:pass@na139.salesforce.com",
        ] {
            assert!(!may(place, acme), "{place}");
            let told = place_of(place, &acme.parse().unwrap()).unwrap_err().to_string();
            assert_eq!(told, "the answer names an `instance_url` that is not Salesforce's");
        }
        assert_eq!(place_of(acme, &"https://proxy.example".parse().unwrap()).unwrap(), None);
        assert!(!may(acme, "https://proxy.example"), "a proxy is asked for everything");
        assert!(may("http://127.0.0.1:2", "http://127.0.0.1:1") && !may("http://127.0.0.2:1", "http://127.0.0.1:1"));
    }
}
