//! A table that is asked for by ids, once all pages are in: only what deals name, many at a time.

use serde::Deserialize;
use serde_json::Value;

use crate::settings::{Problem, Section, both};
use crate::sources::rest::client::Client;
use crate::sources::rest::list::{Asked, List};
use crate::sources::rest::lookup::list::read_request;
use crate::sources::rest::lookup::rows::Rows;
use crate::sources::rest::paging::Paging;
use crate::sources::rest::path::Path;
use crate::sources::rest::request::Request;
use crate::sources::source::{Names, SourceError};

/// What a table of ids says beside its rows.
pub(super) struct Keys {
    request: Request,
    paging: Paging,
    own: OwnKeys,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnKeys {
    ids_param: String,
    #[serde(default = "hundred")]
    chunk: usize,
    #[serde(default)]
    join: Join,
    #[serde(default, rename = "in")]
    place: In,
}

fn hundred() -> usize {
    100
}

/// How several ids stand in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Join {
    /// `ids=1,2`
    #[default]
    Comma,
    /// `ids=1&ids=2`; in a body, a list.
    Repeat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum In {
    #[default]
    Query,
    Body,
}

/// The table.
pub(super) struct ByIds {
    pub(super) list: List,
    pub(super) rows: Rows,
    /// How many ids stand in one request.
    pub(super) chunk: usize,
    place: Place,
    join: Join,
}

enum Place {
    Query(String),
    Body(Path),
}

impl Keys {
    /// Reads them; `also` are the keys that stand beside them.
    pub(super) fn read(section: &mut Section, also: &[&str]) -> Result<Self, Vec<Problem>> {
        let asked = read_request(section);
        let own = section.read::<OwnKeys>(also);
        let ((request, paging), own) = both(asked, own)?;
        Ok(Self { request, paging, own })
    }

    /// The table of these rows.
    pub(super) fn table(self, rows: Rows) -> Result<ByIds, Vec<Problem>> {
        let OwnKeys { ids_param, chunk, join, place } = self.own;
        if chunk == 0 {
            return Err(vec![Problem::at("chunk", "must be at least 1")]);
        }
        let place = match place {
            In::Query if self.request.sets_param(&ids_param) => {
                return Err(vec![Problem::at("ids_param", "is set by `query` too")]);
            }
            In::Query => Place::Query(ids_param),
            In::Body => match ids_param.parse::<Path>() {
                Ok(path) if self.request.takes_place(&path) => Place::Body(path),
                Ok(_) => return Err(vec![Problem::at("ids_param", "is no place in the request's body")]),
                Err(why) => return Err(vec![Problem::at("ids_param", format!("is no place in a body: {why}"))]),
            },
        };
        let list = List::new(self.request, self.paging, rows.records.clone())?;
        Ok(ByIds { list, rows, chunk, place, join })
    }
}

impl ByIds {
    /// The names of some ids; an id that the CRM does not know has none.
    pub(super) async fn fetch(&self, client: &Client, ids: Vec<String>) -> Result<Names, SourceError> {
        let asked = match (&self.place, self.join) {
            (Place::Query(param), Join::Comma) => Asked::Query(vec![(param.clone(), ids.join(","))]),
            (Place::Query(param), Join::Repeat) => {
                Asked::Query(ids.into_iter().map(|id| (param.clone(), id)).collect())
            }
            (Place::Body(place), Join::Comma) => Asked::Body(place.clone(), Value::from(ids.join(","))),
            (Place::Body(place), Join::Repeat) => Asked::Body(place.clone(), Value::from(ids)),
        };
        let mut names = Names::default();
        self.list
            .walk(client, Some(&asked), |rows| {
                self.rows.take(rows, &mut names);
            })
            .await?;
        Ok(names)
    }
}
