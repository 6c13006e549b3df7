//! Names of owners and companies. Active owners are asked for beforehand, everybody else once all deals are in.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Deserialize;

use crate::sources::hubspot::batch::{self, Found, Record, Wish};
use crate::sources::hubspot::client::Client;
use crate::sources::hubspot::wire::Listed;
use crate::sources::source::SourceError;
use crate::sources::wire::Id;

/// The most owners of one page.
const OWNERS_AT_ONCE: &str = "500";

/// A user, a former one, or a queue.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    id: Id,
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
}

impl Owner {
    /// First and last name, else the address, else the id in words.
    fn name(&self) -> String {
        let part = |text: &Option<String>| text.as_deref().unwrap_or_default().trim().to_owned();
        let full = format!("{} {}", part(&self.first_name), part(&self.last_name));
        let known = [full.trim().to_owned(), part(&self.email)].into_iter().find(|name| !name.is_empty());
        known.unwrap_or_else(|| format!("Owner {}", self.id.0))
    }
}

/// The names of all active owners.
pub(super) async fn active_owners(client: &Client) -> Result<HashMap<String, String>, SourceError> {
    owners(client, false, |_| false).await
}

/// The names of those of `wanted` who were owners once; no further than they need be looked for.
pub(super) async fn archived_owners(
    client: &Client,
    wanted: &BTreeSet<String>,
) -> Result<HashMap<String, String>, SourceError> {
    let mut names = owners(client, true, |names| wanted.iter().all(|id| names.contains_key(id))).await?;
    names.retain(|id, _| wanted.contains(id));
    Ok(names)
}

async fn owners(
    client: &Client,
    archived: bool,
    is_enough: impl Fn(&HashMap<String, String>) -> bool,
) -> Result<HashMap<String, String>, SourceError> {
    let mut names = HashMap::new();
    let mut cursors = HashSet::new();
    let mut after: Option<String> = None;
    loop {
        let archived = if archived { "true" } else { "false" };
        let mut query = vec![("limit", OWNERS_AT_ONCE), ("archived", archived)];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page: Listed = client.get(client.paths.owners, &query).await?;
        for owner in page.results.iter().filter_map(|owner| serde_json::from_str::<Owner>(owner.get()).ok()) {
            names.insert(owner.id.0.clone(), owner.name());
        }
        let Some(next) = page.next().filter(|_| !is_enough(&names)) else { return Ok(names) };
        if !cursors.insert(next.to_owned()) {
            return Err(SourceError::Paging("the list of owners goes in a circle".to_owned()));
        }
        after = Some(next.to_owned());
    }
}

/// Its name, else its domain.
fn company_name(company: &Record) -> Option<String> {
    company.property("name").or_else(|| company.property("domain"))
}

/// The names of at most [`batch::AT_ONCE`] companies; a deleted one has none. One that was merged answers under another
/// id, so whoever is silent among others is asked for alone, halving them until nobody is left that answers.
pub(super) async fn companies(
    client: &Client,
    wanted: &BTreeSet<String>,
) -> Result<HashMap<String, String>, SourceError> {
    let wish = Wish { path: client.paths.companies, properties: &["name", "domain"], archived: false };
    let mut names = HashMap::new();
    let mut open = vec![wanted.clone()];
    while let Some(asked) = open.pop() {
        let Found { records, mut silent } = batch::read(client, wish, &asked).await?;
        if asked.len() == 1 {
            let answer = silent.pop_first().zip(records.first().and_then(company_name));
            names.extend(answer);
        } else if silent.len() < asked.len() {
            open.extend(Some(silent).filter(|silent| !silent.is_empty()));
        } else if !records.is_empty() {
            let middle = silent.iter().nth(silent.len() / 2).cloned();
            let half = middle.map(|middle| silent.split_off(&middle));
            open.extend([Some(silent), half].into_iter().flatten());
        }
        let its = records.into_iter().filter(|company| asked.contains(&company.id.0));
        names.extend(its.filter_map(|company| company_name(&company).map(|name| (company.id.0, name))));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_called_by_name_then_address_then_id() {
        for (json, name) in [
            (r#"{"id": "1", "firstName": "Ann", "lastName": "Lee", "email": "ann@example.com"}"#, "Ann Lee"),
            (r#"{"id": 1, "firstName": " ", "lastName": "Lee", "userId": null}"#, "Lee"),
            (r#"{"id": "1", "firstName": "", "lastName": "", "email": "ann@example.com"}"#, "ann@example.com"),
            (r#"{"id": "1", "firstName": null, "type": "QUEUE", "email": ""}"#, "Owner 1"),
        ] {
            assert_eq!(serde_json::from_str::<Owner>(json).unwrap().name(), name);
        }
    }

    #[test]
    fn a_company_is_called_by_name_then_domain() {
        for (json, name) in [
            (r#"{"id": "1", "properties": {"name": "Nordwind GmbH", "domain": "nordwind.example"}}"#, "Nordwind GmbH"),
            (r#"{"id": "2", "properties": {"name": null, "domain": "two.example"}}"#, "two.example"),
        ] {
            assert_eq!(company_name(&serde_json::from_str(json).unwrap()).as_deref(), Some(name));
        }
        assert_eq!(company_name(&serde_json::from_str(r#"{"id": "3", "properties": {}}"#).unwrap()), None);
    }
}
