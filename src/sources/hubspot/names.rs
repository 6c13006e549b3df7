//! Names of owners and companies. Active owners are asked for beforehand, everybody else once all deals are in.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::sources::hubspot::client::Client;
use crate::sources::hubspot::wire::Listed;
use crate::sources::source::SourceError;
use crate::sources::wire::{Id, text};

/// The most companies of one request.
pub(super) const COMPANIES_AT_ONCE: usize = 100;

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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    inputs: Vec<Input<'a>>,
    properties: [&'static str; 2],
    properties_with_history: [&'static str; 0],
}

#[derive(Serialize)]
struct Input<'a> {
    id: &'a str,
}

/// The answer for a batch: 200 or 207, the same shape.
#[derive(Deserialize)]
struct Answer {
    status: String,
    results: Vec<Company>,
    #[serde(default)]
    errors: Vec<Missing>,
}

#[derive(Deserialize)]
struct Company {
    id: Id,
    properties: HashMap<String, Box<RawValue>>,
}

#[derive(Deserialize)]
struct Missing {
    category: Option<String>,
    #[serde(default)]
    context: Context,
}

#[derive(Default, Deserialize)]
struct Context {
    #[serde(default)]
    ids: Vec<Id>,
}

impl Company {
    /// Its name, else its domain.
    fn name(&self) -> Option<String> {
        let property = |name: &str| self.properties.get(name).and_then(|value| text(value).ok().flatten());
        property("name").or_else(|| property("domain"))
    }
}

/// The names of at most [`COMPANIES_AT_ONCE`] companies; a deleted one has none.
///
/// A company that was merged answers under the id of the other one, so that nothing says whose answer it is: such a
/// one is asked for alone.
pub(super) async fn companies(
    client: &Client,
    wanted: &BTreeSet<String>,
) -> Result<HashMap<String, String>, SourceError> {
    let mut names = HashMap::new();
    let ids = wanted.iter().map(String::as_str).collect();
    for id in ask(client, ids).await?.take(wanted, &mut names)? {
        let alone = ask(client, vec![&id]).await?;
        if let [company] = alone.results.as_slice() {
            names.extend(company.name().map(|name| (id, name)));
        } else if !alone.take(&BTreeSet::from([id]), &mut names)?.is_empty() {
            return Err(SourceError::Malformed("the batch of companies says nothing of one".to_owned()));
        }
    }
    Ok(names)
}

async fn ask(client: &Client, ids: Vec<&str>) -> Result<Answer, SourceError> {
    let inputs = ids.into_iter().map(|id| Input { id }).collect();
    let question = Question { inputs, properties: ["name", "domain"], properties_with_history: [] };
    client.post(client.paths.companies, &question).await
}

impl Answer {
    /// Adds the names found; the ids that are neither found nor reported missing.
    fn take(self, wanted: &BTreeSet<String>, names: &mut HashMap<String, String>) -> Result<Vec<String>, SourceError> {
        if self.status != "COMPLETE" {
            return Err(SourceError::Cut("the batch of companies is not complete".to_owned()));
        }
        let mut waiting = wanted.clone();
        for missing in &self.errors {
            if missing.category.as_deref() != Some("OBJECT_NOT_FOUND") {
                return Err(SourceError::Malformed("the batch of companies has an error of its own".to_owned()));
            }
            for id in &missing.context.ids {
                waiting.remove(&id.0);
            }
        }
        for company in self.results {
            waiting.remove(&company.id.0);
            names.extend(company.name().map(|name| (company.id.0, name)));
        }
        Ok(waiting.into_iter().collect())
    }
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

    fn taken(json: &str, ids: &[&str]) -> Result<(HashMap<String, String>, Vec<String>), SourceError> {
        let mut names = HashMap::new();
        let wanted = ids.iter().map(|id| (*id).to_owned()).collect();
        let waiting = serde_json::from_str::<Answer>(json).unwrap().take(&wanted, &mut names)?;
        Ok((names, waiting))
    }

    const ANSWER: &str = r#"{"status": "COMPLETE", "results": [
            {"id": "1", "properties": {"name": "Nordwind GmbH", "domain": "nordwind.example"}},
            {"id": "2", "properties": {"name": null, "domain": "two.example"}},
            {"id": "3", "properties": {}}],
        "numErrors": 1, "errors": [{"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": ["4"]}}]}"#;

    #[test]
    fn a_company_is_called_by_name_then_domain_and_a_deleted_one_has_no_name() {
        let (names, waiting) = taken(ANSWER, &["1", "2", "3", "4", "5"]).unwrap();
        let expected = [("1", "Nordwind GmbH"), ("2", "two.example")];
        assert_eq!(names, expected.map(|(id, name)| (id.to_owned(), name.to_owned())).into());
        assert_eq!(waiting, ["5"], "neither found nor missing: it may have been merged");
    }

    #[test]
    fn a_batch_that_is_not_complete_or_has_an_error_of_its_own_is_a_failure() {
        assert!(taken(r#"{"status": "PENDING", "results": []}"#, &[]).unwrap_err().is_transient());
        let other = ANSWER.replace("OBJECT_NOT_FOUND", "RATE_LIMITS");
        assert!(matches!(taken(&other, &["1"]), Err(SourceError::Malformed(_))));
    }
}
