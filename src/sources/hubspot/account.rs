//! The account behind the credentials, and whether it has the properties that the configuration names.
//!
//! Both are asked once a day. HubSpot says that not every key may ask for the account, so a pull does without.

use chrono_tz::Tz;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::money::Currency;
use crate::sources::hubspot::client::Client;
use crate::sources::hubspot::wire::Number;
use crate::sources::source::SourceError;
use crate::sources::wire::said;

/// Whose deals these are.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// The portal's id.
    pub(super) id: Option<String>,
    /// The company's own currency.
    pub(super) currency: Option<Currency>,
    /// Where its days end.
    pub(super) zone: Option<Tz>,
    /// Where its deals are shown; a deal's id goes behind it.
    pub(super) pages: Option<String>,
    /// What is not known, and why.
    pub(super) warning: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    portal_id: Number,
    company_currency: Option<Box<RawValue>>,
    time_zone: Option<Box<RawValue>>,
    ui_domain: Option<Box<RawValue>>,
}

impl Account {
    /// Asks for the account.
    pub(super) async fn ask(client: &Client) -> Result<Self, SourceError> {
        client.get::<Details>(client.paths.account, &[]).await.map(Self::from)
    }

    /// Whether credentials that read deals may all the same not ask for the account: which kinds may is documented
    /// nowhere. Whatever is wrong with them beside that, the next request tells.
    pub(super) fn is_denied(error: &SourceError) -> bool {
        lacks_a_scope(error)
            || matches!(error, SourceError::Refused { status: 401 } | SourceError::Unexpected { status: 404, .. })
    }

    /// What is left where the credentials may not ask: perhaps the currency that was last known.
    pub(super) fn unknown(why: &SourceError, currency: Option<Currency>) -> Self {
        let priced = currency.map_or_else(
            || "Deals without a currency are not priced".to_owned(),
            |currency| format!("Deals without a currency are in {currency}, as last known"),
        );
        let warning = format!(
            "The account's id and currency are unknown: {why}. {priced}, and another account's key would not be noticed"
        );
        Self { currency, warning: Some(warning), ..Self::default() }
    }
}

impl From<Details> for Account {
    fn from(details: Details) -> Self {
        let said = |value: &Option<Box<RawValue>>| said(value.as_deref());
        let id = details.portal_id.0;
        let currency = said(&details.company_currency).and_then(|code| code.parse().ok());
        let domain = said(&details.ui_domain).filter(|domain| is_hubspots(domain));
        let domain = domain.as_deref().unwrap_or("app.hubspot.com");
        Self {
            currency,
            zone: said(&details.time_zone).and_then(|name| name.parse().ok()),
            pages: Some(format!("https://{domain}/contacts/{id}/record/0-3/")),
            id: Some(id),
            warning: currency.is_none().then(|| {
                "The account names no currency of ISO 4217: deals without one of their own are not priced".to_owned()
            }),
        }
    }
}

/// Whether HubSpot says that the credentials lack a scope.
fn lacks_a_scope(error: &SourceError) -> bool {
    matches!(error, SourceError::Forbidden { lacking, .. } if !lacking.is_empty())
}

/// Accounts are shown on `app.hubspot.com`, `app-eu1.hubspot.com` and their like.
fn is_hubspots(domain: &str) -> bool {
    let name = domain.strip_suffix(".hubspot.com").unwrap_or_default();
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether the account has the properties that the configuration names.
#[derive(Debug)]
pub(super) enum Checked {
    /// What is wrong with them, in words.
    Known(Vec<String>),
    /// The credentials may not ask: in words.
    Denied(String),
}

#[derive(Deserialize)]
struct Properties {
    results: Vec<Property>,
}

#[derive(Deserialize)]
struct Property {
    name: Option<Box<RawValue>>,
}

/// Which of the properties that the configuration names there are not.
pub(super) async fn unknown_properties(client: &Client, named: &[(String, String)]) -> Result<Checked, SourceError> {
    match client.get::<Properties>(client.paths.properties, &[]).await {
        Ok(known) => {
            let is_unknown = |property: &String| {
                !known.results.iter().any(|known| said(known.name.as_deref()).as_ref() == Some(property))
            };
            let unknown = named.iter().filter(|(_, property)| is_unknown(property)).map(|(field, property)| {
                format!("The account's deals have no property `{property}`: `fields.{field}` stays empty")
            });
            Ok(Checked::Known(unknown.collect()))
        }
        Err(error) if lacks_a_scope(&error) => {
            Ok(Checked::Denied(format!("Whether the account has the properties of `fields` is unknown: {error}")))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(details: &str) -> Account {
        serde_json::from_str::<Details>(details).unwrap().into()
    }

    #[test]
    fn an_account_without_a_currency_that_can_be_read_says_so() {
        let known = account(r#"{"portalId": 7, "companyCurrency": "EUR", "timeZone": "US/Eastern"}"#);
        assert_eq!((known.currency.map(|code| code.to_string()).as_deref(), known.warning), (Some("EUR"), None));
        for details in [r#"{"portalId": 7}"#, r#"{"portalId": 7, "companyCurrency": "EURO"}"#] {
            assert!(account(details).warning.unwrap().contains("names no currency"), "{details}");
        }
        let odd = account(r#"{"portalId": "7", "companyCurrency": 5, "timeZone": null, "uiDomain": {}}"#);
        assert_eq!((odd.id.as_deref(), odd.currency, odd.zone), (Some("7"), None, None));
        assert!(serde_json::from_str::<Details>(r#"{"portalId": "\u001b[31m"}"#).is_err());
    }

    #[test]
    fn deals_are_shown_where_the_account_is_and_nowhere_else() {
        for (domain, host) in [
            ("app.hubspot.com", "app.hubspot.com"),
            ("app-eu1.hubspot.com", "app-eu1.hubspot.com"),
            ("evil.example", "app.hubspot.com"),
            ("evil.example/.hubspot.com", "app.hubspot.com"),
            (".hubspot.com", "app.hubspot.com"),
        ] {
            let pages = account(&format!(r#"{{"portalId": 7, "uiDomain": "{domain}"}}"#)).pages;
            assert_eq!(pages, Some(format!("https://{host}/contacts/7/record/0-3/")), "{domain}");
        }
    }
}
