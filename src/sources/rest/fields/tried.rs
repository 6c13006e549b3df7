//! A mapping tried on one record, for the tests of this folder.

use std::collections::{BTreeMap, HashMap};

use chrono_tz::Tz;

use crate::model::deal::Deal;
use crate::model::finding::{Finding, Findings};
use crate::settings::{Problem, section};
use crate::sources::rest::fields::{Gaps, Mapping, Reading, Refusal};
use crate::sources::rest::lookup::{About, Missing, Mode};
use crate::sources::rest::record::Record;
use crate::sources::source::Names;

fn tables() -> BTreeMap<String, About> {
    let about = |missing, mode| About { missing, mode };
    [
        ("stages", about(Missing::Keep, Mode::List)),
        ("users", about(Missing::Null, Mode::List)),
        ("orgs", about(Missing::Keep, Mode::Ids)),
        ("words", about(Missing::Keep, Mode::Static)),
    ]
    .map(|(name, about)| (name.to_owned(), about))
    .into()
}

/// A mapping of these lines.
pub(super) fn read(toml: &str) -> Result<Mapping, Vec<Problem>> {
    Mapping::read(section(toml), &tables(), Tz::Europe__Berlin)
}

/// What becomes of a record by these lines, and what is odd about it.
pub(super) fn deal_of(toml: &str, record: &str) -> (Result<Deal, Refusal>, Vec<Finding>) {
    let stages = HashMap::from([("0".to_owned(), "New".to_owned()), ("7".to_owned(), "Won".to_owned())]);
    let chances = HashMap::from([("7".to_owned(), "70".to_owned())]);
    let tables = [("stages", stages), ("stages $.chance", chances), ("users", HashMap::new())];
    let names = Names(tables.map(|(name, names)| (name.to_owned(), names)).into());
    let mut findings = Findings::default();
    let mapping = read(&format!("id = '$.id'\n{toml}")).unwrap();
    (mapped(&mapping, record, &names, &mut findings), findings.into_list())
}

/// What a mapping makes of a record.
pub(super) fn mapped(mapping: &Mapping, record: &str, names: &Names, findings: &mut Findings) -> Result<Deal, Refusal> {
    let record = Record::of(serde_json::from_str(record).unwrap());
    let (page, mut gaps) = (Names::default(), Gaps::new());
    let (id, gaps) = (String::new(), &mut gaps);
    mapping.deal(&mut Reading { record: &record, names, page: &page, id, findings, gaps })
}

/// The deal of a record about which nothing is odd.
pub(super) fn good(toml: &str, record: &str) -> Deal {
    let (deal, findings) = deal_of(toml, record);
    assert!(findings.is_empty(), "{findings:?}");
    deal.unwrap()
}
