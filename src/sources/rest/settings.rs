//! Reads a section with `kind = "rest"`: each module reads its part, and all problems are reported at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use figment::value::Value;
use serde::Deserialize;

use crate::http::Http;
use crate::secret::Secret;
use crate::settings::{Problem, Section};
use crate::sources::auth::Auth;
use crate::sources::common::Context;
use crate::sources::rest::auth;
use crate::sources::rest::fields::Mapping;
use crate::sources::rest::headers::{Headers, check_headers, header_secrets};
use crate::sources::rest::limits::Limits;
use crate::sources::rest::list::List;
use crate::sources::rest::lookup::{About, Lookup, Lookups};
use crate::sources::rest::paging::Paging;
use crate::sources::rest::records;
use crate::sources::rest::request;
use crate::sources::rest::status::StatusRule;
use crate::sources::rest::success::Success;
use crate::sources::rest::vars::{self, Vars};

/// The keys that only a `rest` section has.
pub(super) const KEYS: [&str; 12] = [
    "auth",
    "request",
    "paging",
    "records",
    "fields",
    "lookup",
    "status",
    "success",
    "rate",
    "headers",
    "vars",
    "follow_redirects",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnKeys {
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    follow_redirects: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VarsKeys {
    #[serde(default)]
    vars: Vars,
}

/// Everything a section says, checked.
pub(super) struct Settings {
    pub(super) auth: Auth,
    pub(super) headers: Headers,
    pub(super) follow_redirects: bool,
    /// Whether the section has `paging`.
    is_paging_said: bool,
    pub(super) deals: List,
    pub(super) mapping: Mapping,
    pub(super) lookups: Lookups,
    pub(super) status: Option<StatusRule>,
    pub(super) success: Option<Success>,
    pub(super) limits: Limits,
    /// Names in `vars` that no request uses.
    unused_vars: Vec<String>,
}

/// Returns the part, or records its problems.
pub(super) fn keep<T>(part: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    part.map_err(|found| problems.extend(found)).ok()
}

/// Puts problems under a key.
fn under<T>(key: &str, read: Result<T, Vec<Problem>>) -> Result<T, Vec<Problem>> {
    read.map_err(|found| found.into_iter().map(|problem| problem.under(&[key])).collect())
}

/// Reads one table of the section, its problems under the table's name.
fn part<T>(
    section: &mut Section,
    key: &str,
    problems: &mut Vec<Problem>,
    read: impl FnOnce(Section) -> Result<T, Vec<Problem>>,
) -> Option<T> {
    let table = keep(section.table(key), problems)?;
    keep(under(key, read(table)), problems)
}

impl Settings {
    /// Takes the keys of this kind out of the section and reads them.
    pub(super) fn read(section: &mut Section, context: &Context, problems: &mut Vec<Problem>) -> Option<Self> {
        let vars = keep(section.split_off(&["vars"]).read::<VarsKeys>(&[]), problems);
        let vars = vars.map(|VarsKeys { vars }| vars::fill(section, &vars)).unwrap_or_default();
        problems.extend(vars.problems);
        let auth = part(section, "auth", problems, auth::read);
        let own = keep(read_own(section), problems);
        let is_paging_said = section.0.contains_key("paging");
        let deals = read_deals(section, problems);
        let (lookups, tables) = read_lookups(section, problems);
        let mapping = part(section, "fields", problems, |table| Mapping::read(table, &tables, context.zone));
        let status = read_status(section, mapping.as_ref(), problems);
        let success = part(section, "success", problems, |table| Success::read(&table));
        let limits = part(section, "rate", problems, |table| Limits::read(table, Arc::clone(&context.memory)));
        if let (Some(auth), Some(own)) = (&auth, &own) {
            problems.extend(own.headers.keys().filter_map(|name| sent_twice(name, auth)));
        }
        let (mut lookups, mapping, OwnKeys { headers, follow_redirects }) = (lookups?, mapping?, own?);
        for (name, table, paths) in mapping.columns() {
            if let Some(lookup) = lookups.get_mut(table) {
                lookup.add_column(name.clone(), paths.clone());
            }
        }
        Some(Self {
            auth: auth?,
            headers,
            follow_redirects,
            is_paging_said,
            deals: deals?,
            mapping,
            lookups,
            status,
            success: success?,
            limits: limits?,
            unused_vars: vars.unused,
        })
    }

    /// Reports addresses on another host.
    pub(super) fn wrong_addresses(&self, http: &Http) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.deals.check_address(http).map(|problem| problem.under(&["request"])));
        for (name, lookup) in &self.lookups {
            let wrong = lookup.list().and_then(|list| list.check_address(http));
            problems.extend(wrong.map(|problem| problem.under(&["lookup", name])));
        }
        problems
    }

    /// The secrets and their keys.
    pub(super) fn secrets(&self) -> Vec<(String, Secret)> {
        let mut secrets: Vec<(String, Secret)> =
            self.auth.secrets().into_iter().map(|(key, secret)| (format!("auth.{key}"), secret)).collect();
        secrets.extend(header_secrets(&self.headers));
        let mut add = |place: &str, found: Vec<(String, Secret)>| {
            secrets.extend(found.into_iter().map(|(key, secret)| (format!("{place}.{key}"), secret)));
        };
        add("request", self.deals.secrets());
        for (name, list) in self.lookups.iter().filter_map(|(name, lookup)| Some((name, lookup.list()?))) {
            add(&format!("lookup.{name}"), list.secrets());
        }
        secrets
    }

    /// Problems that do not stop a pull.
    pub(super) fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        if self.status.is_none() {
            let warning = Problem::at("status", "is not set: its deals count in none of open, won and lost");
            warnings
                .push(warning.hint("say which stages or values are won and lost; `status = {}` if all deals are open"));
        }
        if !self.is_paging_said {
            let warning = Problem::at("paging", "is not set: only one answer is read");
            warnings.push(warning.hint("`paging = { type = \"none\" }` if this CRM sends all deals at once"));
        }
        if self.mapping.lacks_currency() {
            let warning = Problem::at("fields.currency", "is not mapped: deals are counted and not priced");
            warnings.push(warning.hint("a path, or `{ value = \"EUR\" }` if all deals are in one currency"));
        }
        let unused = self.unused_vars.iter();
        warnings.extend(unused.map(|name| Problem::at("", "stands in no request").under(&["vars", name])));
        let used = self.mapping.tables();
        for name in self.lookups.keys().filter(|name| !used.contains(name.as_str())) {
            warnings.push(Problem::at("", "no field looks into it, so it is not read").under(&["lookup", name]));
        }
        warnings
    }
}

fn read_own(section: &mut Section) -> Result<OwnKeys, Vec<Problem>> {
    let own: OwnKeys = section.split_off(&["headers", "follow_redirects"]).read(&[])?;
    let problems = check_headers(&own.headers);
    if problems.is_empty() { Ok(own) } else { Err(problems) }
}

/// A header that `auth` sends too.
fn sent_twice(name: &str, auth: &Auth) -> Option<Problem> {
    auth.header().filter(|sent| sent.eq_ignore_ascii_case(name)).map(|_| Problem {
        path: vec!["headers".to_owned(), name.to_owned()],
        message: "is what `auth` sends too".to_owned(),
        hint: Some("one of the two".to_owned()),
    })
}

fn read_deals(section: &mut Section, problems: &mut Vec<Problem>) -> Option<List> {
    let request = part(section, "request", problems, |table| table.read::<request::Keys>(&[])?.check());
    let paging = part(section, "paging", problems, Paging::read);
    let records = part(section, "records", problems, |table| table.read::<records::Keys>(&[])?.check());
    // A problem with paging is reported at `paging`, all others at `request`.
    let list = List::new(request?, paging?, records?).map_err(|found| {
        let at_request = |problem: &Problem| problem.path.first().is_none_or(|key| key != "paging");
        let placed =
            found.into_iter().map(|problem| if at_request(&problem) { problem.under(&["request"]) } else { problem });
        placed.collect()
    });
    keep(list, problems)
}

/// The tables, and what fields need to know about them. A table with mistakes is known too.
fn read_lookups(section: &mut Section, problems: &mut Vec<Problem>) -> (Option<Lookups>, BTreeMap<String, About>) {
    let Some(Section(tables)) = keep(section.table("lookup"), problems) else { return (None, BTreeMap::new()) };
    let mut lookups = Lookups::new();
    let mut known = BTreeMap::new();
    let before = problems.len();
    for (name, value) in tables {
        let read = match value {
            // A blank separates a table from its column.
            _ if name.contains(char::is_whitespace) => Err(vec![Problem::at("", "has a blank in its name")]),
            Value::Dict(_, table) => Lookup::read(&name, Section(table)),
            _ => Err(vec![Problem::at("", "expected a table")]),
        };
        let read = keep(under("lookup", under(&name, read)), problems);
        known.insert(name.clone(), read.as_ref().map(|lookup| lookup.about).unwrap_or_default());
        lookups.extend(read.map(|lookup| (name, lookup)));
    }
    ((problems.len() == before).then_some(lookups), known)
}

fn read_status(section: &mut Section, mapping: Option<&Mapping>, problems: &mut Vec<Problem>) -> Option<StatusRule> {
    if !section.0.contains_key("status") {
        return None;
    }
    let rule = part(section, "status", problems, |table| StatusRule::read(&table))?;
    if rule.is_by_stage() && mapping.is_some_and(|mapping| !mapping.has_stage()) {
        let problem = Problem::at("status", "goes by the stage, and the fields say nothing of it");
        problems.push(problem.hint("map `fields.stage`, or set `status.path`"));
    }
    Some(rule)
}
