//! The companies of a deal, and which of them is its company.
//!
//! A list gives them inline, as far as they fit; a search gives none. What is missing is read in batches, each of
//! each of whose inputs has its own pages.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use crate::sources::hubspot::batch::{Answer, Input, Question};
use crate::sources::hubspot::client::Client;
use crate::sources::hubspot::wire::{Link, Number, Paging};
use crate::sources::source::SourceError;
use crate::sources::wire::by_number;

/// The most deals of one request.
const BATCH: usize = 1_000;
/// HubSpot's number for "deal to primary company"; its label is a text that is translated.
const PRIMARY: i64 = 5;

/// A deal's company, and whether it could be another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice<'a> {
    pub(super) company: &'a str,
    pub(super) is_doubtful: bool,
}

/// The company marked primary; `property` (`hs_primary_associated_company`) where none is; the only one; of several
/// the lowest id. `None`: the deal has no company.
pub(super) fn choose<'a>(links: &'a [Link], property: Option<&'a str>) -> Option<Choice<'a>> {
    if let Some(company) = lowest_id(links.iter().filter(|link| link.is_primary)) {
        return Some(Choice { company, is_doubtful: property.is_some_and(|property| property != company) });
    }
    if let Some(company) = property {
        return Some(Choice { company, is_doubtful: false });
    }
    let company = lowest_id(links)?;
    Some(Choice { company, is_doubtful: links.iter().any(|link| link.company != company) })
}

fn lowest_id<'a>(links: impl IntoIterator<Item = &'a Link>) -> Option<&'a str> {
    links.into_iter().map(|link| link.company.as_str()).min_by(|one, other| by_number(one, other))
}

#[derive(Deserialize)]
struct Found {
    from: From,
    to: Option<Vec<To>>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct From {
    id: Number,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct To {
    to_object_id: Number,
    association_types: Option<Vec<Type>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Type {
    category: Option<String>,
    type_id: Option<i64>,
}

/// The companies of a number of deals, by deal id.
pub(super) async fn of_deals(client: &Client, deals: Vec<String>) -> Result<HashMap<String, Vec<Link>>, SourceError> {
    let mut found = HashMap::new();
    let mut asked: HashSet<(String, String)> = HashSet::new();
    let mut open: Vec<Input> = deals.into_iter().map(|id| Input { id, after: None }).collect();
    while !open.is_empty() {
        let batch: Vec<Input> = open.drain(..open.len().min(BATCH)).collect();
        let question = Question { inputs: &batch, properties: None };
        let answer: Answer = client.post(client.paths.associations, &question).await?;
        for more in take(answer, &batch, &mut found)? {
            let cursor = (more.id.clone(), more.after.clone().unwrap_or_default());
            if !asked.insert(cursor) {
                return Err(SourceError::Paging("the companies of a deal go in a circle".to_owned()));
            }
            open.push(more);
        }
    }
    Ok(found)
}

/// Adds the companies of the batch, each deal of which must be accounted for; what is still to be asked.
fn take(answer: Answer, batch: &[Input], found: &mut HashMap<String, Vec<Link>>) -> Result<Vec<Input>, SourceError> {
    let (results, missing) = answer.open()?;
    let mut waiting: HashSet<&str> = batch.iter().map(|input| input.id.as_str()).collect();
    for deal in &missing {
        waiting.remove(deal.as_str());
    }
    let mut open = Vec::new();
    for result in results.iter().filter_map(|json| serde_json::from_str::<Found>(json.get()).ok()) {
        let Found { from: From { id: Number(deal) }, to, paging } = result;
        waiting.remove(deal.as_str());
        if let Some(after) = paging.as_ref().and_then(Paging::after) {
            open.push(Input { id: deal.clone(), after: Some(after.to_owned()) });
        }
        found.entry(deal).or_default().extend(to.into_iter().flatten().map(To::link));
    }
    match waiting.len() {
        0 => Ok(open),
        count => Err(SourceError::Malformed(format!("the batch of associations says nothing of {count} deals"))),
    }
}

impl To {
    fn link(self) -> Link {
        let is_primary =
            |kind: &Type| kind.type_id == Some(PRIMARY) && kind.category.as_deref() == Some("HUBSPOT_DEFINED");
        Link { company: self.to_object_id.0, is_primary: self.association_types.iter().flatten().any(is_primary) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::hubspot::wire::Inline;

    fn link(company: &str, is_primary: bool) -> Link {
        Link { company: company.to_owned(), is_primary }
    }

    #[test]
    fn the_company_is_the_primary_one_then_the_propertys_then_the_only_one_then_the_lowest() {
        let choice = |links: &[Link], property: Option<&str>| {
            choose(links, property).map(|choice| (choice.company.to_owned(), choice.is_doubtful))
        };
        let is = |company: &str, is_doubtful: bool| Some((company.to_owned(), is_doubtful));
        let primary = [link("7", false), link("9", true), link("9", false)];
        let plain = [link("10", false), link("9", false)];
        assert_eq!(choice(&primary, None), is("9", false));
        assert_eq!(choice(&primary, Some("9")), is("9", false));
        assert_eq!(choice(&primary, Some("7")), is("9", true), "the association wins, and it is a finding");
        assert_eq!(choice(&plain, Some("10")), is("10", false), "none is marked");
        assert_eq!(choice(&plain, None), is("9", true), "9 is lower than 10");
        assert_eq!(choice(&[link("9", false), link("9", false)], None), is("9", false), "the same one twice");
        assert_eq!(choice(&[], Some("9")), is("9", false));
        assert_eq!(choice(&[], None), None);
    }

    #[test]
    fn the_primary_company_of_a_list_comes_twice_and_may_come_in_pages() {
        let inline: Inline = serde_json::from_str(
            r#"{"results": [{"id": "27712345001", "type": "deal_to_company"}, {"id": 27712345001, "type": "deal_to_company_unlabeled"},
                {"id": "27712345999", "type": "deal_to_company_unlabeled"}], "paging": {"next": {"after": "x"}}}"#,
        )
        .unwrap();
        assert!(inline.is_cut());
        assert_eq!(inline.links(), [link("27712345001", true), link("27712345001", false), link("27712345999", false)]);
    }

    type Links = HashMap<String, Vec<Link>>;

    fn taken(json: &str, ids: &[&str]) -> Result<(Links, Vec<Input>), SourceError> {
        let batch: Vec<Input> = ids.iter().map(|id| Input { id: (*id).to_owned(), after: None }).collect();
        let mut found = HashMap::new();
        let open = take(serde_json::from_str(json).unwrap(), &batch, &mut found)?;
        Ok((found, open))
    }

    const ANSWER: &str = r#"{"status": "COMPLETE", "results": [{"from": {"id": "1"}, "to": [
            {"toObjectId": 27712345001, "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 5, "label": "Primär"}, {"category": "HUBSPOT_DEFINED", "typeId": 341, "label": null}]},
            {"toObjectId": "27712345999", "associationTypes": [{"category": "USER_DEFINED", "typeId": 5, "label": "Primary"}]}],
            "paging": {"next": {"after": "MTAtNi0xODQ3", "link": "…"}}}],
        "numErrors": 1, "errors": [{"status": "error", "category": "OBJECT_NOT_FOUND", "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
            "message": "No company is associated with deal 2.", "context": {"fromObjectId": ["2"], "fromObjectType": ["deal"]}}]}"#;

    #[test]
    fn a_deal_without_a_company_is_not_an_error_and_a_cut_list_continues() {
        let (found, open) = taken(ANSWER, &["1", "2"]).unwrap();
        assert_eq!(found["1"], [link("27712345001", true), link("27712345999", false)]);
        assert!(!found.contains_key("2"));
        assert_eq!(open.len(), 1);
        assert_eq!((open[0].id.as_str(), open[0].after.as_deref()), ("1", Some("MTAtNi0xODQ3")));
    }

    #[test]
    fn a_batch_that_is_not_complete_or_leaves_a_deal_out_is_a_failure() {
        assert!(taken(ANSWER, &["1", "2", "3"]).unwrap_err().to_string().contains("says nothing of 1 deals"));
        let pending = taken(r#"{"status": "PENDING", "results": []}"#, &[]).unwrap_err();
        assert!(pending.is_transient());
        let odd = r#"{"status": "COMPLETE", "errors": null, "results": [{"from": {"id": 1}, "to": null}, {"from": {"id": 2},
            "to": [{"toObjectId": 7, "associationTypes": [{"category": null, "typeId": -1}]}]}]}"#;
        let (found, _) = taken(odd, &["1", "2"]).unwrap();
        assert_eq!((found["1"].as_slice(), found["2"].as_slice()), (&[][..], &[link("7", false)][..]));
        let other = ANSWER.replace("NO_ASSOCIATIONS_FOUND", "FORBIDDEN");
        assert!(matches!(taken(&other, &["1", "2"]), Err(SourceError::Malformed(_))));
    }
}
