//! A table that is asked for by ids, once all pages are in: only what deals name, many at a time.

use serde::Deserialize;
use serde_json::Value;

use crate::settings::{Problem, Section};
use crate::sources::rest::client::Client;
use crate::sources::rest::list::{Asked, List};
use crate::sources::rest::lookup::Rows;
use crate::sources::rest::lookup::list::read_request;
use crate::sources::rest::paging::Paging;
use crate::sources::rest::path::Path;
use crate::sources::rest::request::{Array, Request};
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
    #[serde(default)]
    ids_as: IdsAs,
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

/// What an id in a list of a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum IdsAs {
    #[default]
    String,
    Int,
}

/// The table.
pub(super) struct ByIds {
    pub(super) list: List,
    pub(super) rows: Rows,
    /// How many ids stand in one request.
    pub(super) chunk: usize,
    place: Place,
}

enum Place {
    Query(String, Array),
    Body(Path, Join, IdsAs),
}

impl Keys {
    /// Reads them; `also` are the keys that stand beside them.
    pub(super) fn read(section: &mut Section, also: &[&str]) -> Result<Self, Vec<Problem>> {
        let asked = read_request(section);
        let own = section.read::<OwnKeys>(also);
        match (asked, own) {
            (Ok((request, paging)), Ok(own)) => Ok(Self { request, paging, own }),
            (asked, own) => Err([asked.err(), own.err()].into_iter().flatten().flatten().collect()),
        }
    }

    /// The table of these rows.
    pub(super) fn table(self, rows: Rows) -> Result<ByIds, Vec<Problem>> {
        let OwnKeys { ids_param, chunk, join, place, ids_as } = self.own;
        if chunk == 0 {
            return Err(vec![Problem::at("chunk", "must be at least 1")]);
        }
        let place = match (place, join) {
            (In::Query, _) if self.request.sets_param(&ids_param) => {
                return Err(vec![Problem::at("ids_param", "is set by `query` too")]);
            }
            (In::Query, Join::Comma) => Place::Query(ids_param, Array::Comma),
            (In::Query, Join::Repeat) => Place::Query(ids_param, Array::Repeat),
            (In::Body, _) => match ids_param.parse::<Path>() {
                Ok(path) if self.request.takes_place(&path) => Place::Body(path, join, ids_as),
                Ok(_) => return Err(vec![Problem::at("ids_param", "is no place in the request's body")]),
                Err(why) => return Err(vec![Problem::at("ids_param", format!("is no place in a body: {why}"))]),
            },
        };
        let list = List::new(self.request, self.paging, rows.records.clone())?;
        Ok(ByIds { list, rows, chunk, place })
    }
}

impl ByIds {
    /// The names of some ids; an id that the CRM does not know has none.
    pub(super) async fn fetch(&self, client: &Client, ids: Vec<String>) -> Result<Names, SourceError> {
        let asked = match &self.place {
            Place::Query(param, array) => Asked::Query(array.pairs(param, ids, true)),
            Place::Body(place, Join::Comma, _) => Asked::Body(place.clone(), Value::from(ids.join(","))),
            Place::Body(place, Join::Repeat, ids_as) => {
                Asked::Body(place.clone(), ids.into_iter().map(|id| ids_as.value(id)).collect())
            }
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

impl IdsAs {
    /// An id that is no whole number stays a text.
    fn value(self, id: String) -> Value {
        match self {
            Self::Int => id.parse::<u64>().map_or_else(|_| Value::from(id), Value::from),
            Self::String => Value::from(id),
        }
    }
}
