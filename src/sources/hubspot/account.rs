//! The account behind the credentials, and whether it has the properties that the configuration names.
//!
//! Both are asked once a day. HubSpot says that not every key may ask for the account, so a pull does without.

use chrono_tz::Tz;
use serde::Deserialize;

use crate::model::money::Currency;
use crate::sources::hubspot::client::Client;
use crate::sources::source::SourceError;
use crate::sources::wire::Id;

/// Whose deals these are.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// The portal's id.
    pub(super) id: Option<String>,
    /// The company's own currency.
    pub(super) currency: Option<Currency>,
    /// Where its days end.
    pub(super) zone: Option<Tz>,
    /// Why nothing is known.
    pub(super) warning: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    portal_id: Id,
    company_currency: Option<String>,
    time_zone: Option<String>,
}

impl Account {
    /// Asks for the account; credentials that may not are no failure.
    pub(super) async fn ask(client: &Client) -> Result<Self, SourceError> {
        match client.get::<Details>(client.paths.account, &[]).await {
            Ok(details) => Ok(Self {
                id: Some(details.portal_id.0),
                currency: details.company_currency.and_then(|code| code.parse().ok()),
                zone: details.time_zone.and_then(|name| name.parse().ok()),
                warning: None,
            }),
            Err(error @ SourceError::Forbidden { .. }) => Ok(Self {
                warning: Some(format!(
                    "The account's id and currency are unknown: {error}. Deals without a currency are not priced, and \
                     another account's key would not be noticed"
                )),
                ..Self::default()
            }),
            Err(error) => Err(error),
        }
    }
}

#[derive(Deserialize)]
struct Properties {
    results: Vec<Property>,
}

#[derive(Deserialize)]
struct Property {
    name: String,
}

/// Which of the properties that the configuration names there are not, in words.
pub(super) async fn unknown_properties(
    client: &Client,
    named: &[(String, String)],
) -> Result<Vec<String>, SourceError> {
    match client.get::<Properties>(client.paths.properties, &[]).await {
        Ok(known) => Ok(named
            .iter()
            .filter(|(_, property)| !known.results.iter().any(|known| known.name == *property))
            .map(|(field, property)| {
                format!("The account's deals have no property `{property}`: `fields.{field}` stays empty")
            })
            .collect()),
        Err(error @ SourceError::Forbidden { .. }) => {
            Ok(vec![format!("Whether the account has the properties of `fields` is unknown: {error}")])
        }
        Err(error) => Err(error),
    }
}
