//! Look-ups of any kind over any records: the names are those that the tables hold.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sales_pipeline::model::deal::{Deal, MissingName, NameField};
use sales_pipeline::sources::fetch::Fetched;
use serde_json::{Value, json};

use crate::fake_rest::{FakeRest, Paging};
use crate::rest::{pulled, with};

/// People by key: first and last name.
type People = BTreeMap<u64, (Option<String>, Option<String>)>;

/// How a table is come by.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// A list, read by this way of paging.
    List(Paging),
    /// By ids, so many at a time, behind each other or as one text.
    Ids(usize, bool),
    /// Beside the records: here, in them.
    Page,
    /// Written in the configuration.
    Static,
}

/// A record: the keys of its owner and its company, and whether they are texts.
#[derive(Debug, Clone)]
struct Row {
    owner: Option<u64>,
    company: Option<u64>,
    is_text: bool,
}

/// A table and what becomes of keys that it does not know.
#[derive(Debug, Clone, Copy)]
struct Table {
    mode: Mode,
    keeps: bool,
}

impl Table {
    /// Its line, for the field whose key stands in `<field>_id`.
    fn line(self, field: &str, people: &People) -> String {
        let rows = r#"records = "$.data", key = "$.id", value = ["$.first", "$.last"]"#;
        let keys = match self.mode {
            Mode::List(paging) => {
                format!(r#"path = "/{}/users", paging = {{ {} }}, {rows}"#, way(paging), paging.keys(3))
            }
            Mode::Ids(chunk, is_repeated) => {
                let join = if is_repeated { "repeat" } else { "comma" };
                format!(
                    r#"mode = "ids", path = "/none/users", ids_param = "ids", chunk = {chunk}, join = "{join}", {rows}"#
                )
            }
            Mode::Page => format!(
                r#"mode = "page", records = "$.data", key = "$.{field}_id", value = ["$.{field}.first", "$.{field}.last"]"#
            ),
            Mode::Static => {
                let named = people.keys().filter_map(|key| Some(format!("{key} = {:?}", name(people, *key)?)));
                format!("entries = {{ {} }}", named.collect::<Vec<_>>().join(", "))
            }
        };
        format!(r#"lookup.{field} = {{ {keys}, missing = "{}" }}"#, if self.keeps { "keep" } else { "null" })
    }

    /// What the field must hold.
    fn expected(self, key: Option<u64>, people: &People) -> Option<String> {
        let key = key?;
        name(people, key).or_else(|| self.keeps.then(|| key.to_string()))
    }
}

fn way(paging: Paging) -> &'static str {
    match paging {
        Paging::Page => "page",
        Paging::Offset => "offset",
        Paging::Cursor => "cursor",
        Paging::Link => "link_header",
        _ => "none",
    }
}

/// The model: first and last name, as far as there are some.
fn name(people: &People, key: u64) -> Option<String> {
    let (first, last) = people.get(&key)?;
    let parts: Vec<&str> = [first, last].into_iter().flatten().map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn person(people: &People, key: Option<u64>) -> Value {
    let (first, last) = key.and_then(|key| people.get(&key)).cloned().unwrap_or_default();
    json!({"first": first, "last": last})
}

fn record(id: usize, row: &Row, people: &People) -> String {
    let key = |key: Option<u64>| key.map(|key| if row.is_text { json!(key.to_string()) } else { json!(key) });
    json!({
        "id": id, "owner_id": key(row.owner), "company_id": key(row.company),
        "owner": person(people, row.owner), "company": person(people, row.company),
    })
    .to_string()
}

/// A field once the names that came after the last page are in.
fn named(deal: &Deal, field: NameField, fetched: &Fetched) -> Option<String> {
    let own = if field == NameField::Owner { &deal.owner } else { &deal.company };
    let Some(wanted) = deal.wanted.iter().find(|wanted| wanted.field == field) else { return own.clone() };
    let found = fetched.names.get(&wanted.table, &wanted.key).map(ToOwned::to_owned);
    found.or_else(|| (wanted.missing == MissingName::Key).then(|| wanted.key.clone()))
}

fn tables() -> impl Strategy<Value = Table> {
    let lists = vec![Paging::None, Paging::Page, Paging::Offset, Paging::Cursor, Paging::Link];
    let mode = prop_oneof![
        proptest::sample::select(lists).prop_map(Mode::List),
        (1_usize..5, any::<bool>()).prop_map(|(chunk, is_repeated)| Mode::Ids(chunk, is_repeated)),
        Just(Mode::Page),
        Just(Mode::Static),
    ];
    (mode, any::<bool>()).prop_map(|(mode, keeps)| Table { mode, keeps })
}

fn people() -> impl Strategy<Value = People> {
    let part = || proptest::option::of("[A-Za-zäöü'-]{1,8}");
    proptest::collection::btree_map(0_u64..15, (part(), part()), 0..12).prop_map(|mut people| {
        // A table that holds nothing is an error of its own.
        people.insert(99, (Some("Ann".to_owned()), None));
        people
    })
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let key = || proptest::option::of(0_u64..18);
    let row = (key(), key(), any::<bool>()).prop_map(|(owner, company, is_text)| Row { owner, company, is_text });
    proptest::collection::vec(row, 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_records_and_however_two_tables_are_come_by_every_name_is_the_tables_own(
        people in people(),
        rows in rows(),
        owners in tables(),
        companies in tables(),
        size in 1_usize..8,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (deals, fetched) = runtime.block_on(async {
            let records = rows.iter().enumerate().map(|(id, row)| record(id, row, &people)).collect();
            let crm = FakeRest::start(records).await.page_size(size);
            let user = |(key, (first, last)): (&u64, &(Option<String>, Option<String>))| {
                json!({"id": key, "first": first, "last": last}).to_string()
            };
            let users: Vec<String> = people.iter().map(user).collect();
            crm.hold("users", users);
            let fields = r#"fields = { id = "$.id", owner = { path = "$.owner_id", lookup = "owner" }, company = { path = "$.company_id", lookup = "company" } }"#;
            let mut toml = with(&crm.section(Paging::Cursor), "fields", fields);
            toml = with(&with(&toml, "lookup.users", ""), "lookup.stages", "");
            toml = with(&toml, "status", "status = {}");
            for (field, table) in [("owner", owners), ("company", companies)] {
                toml = format!("{toml}\n{}", table.line(field, &people));
            }
            pulled(&toml).await.unwrap()
        });
        prop_assert_eq!(deals.len(), rows.len());
        for (deal, row) in deals.iter().zip(&rows) {
            prop_assert_eq!(named(deal, NameField::Owner, &fetched), owners.expected(row.owner, &people), "{:?}", owners);
            prop_assert_eq!(named(deal, NameField::Company, &fetched), companies.expected(row.company, &people));
            prop_assert_eq!(&deal.owner_id, &row.owner.map(|key| key.to_string()));
        }
    }
}
