//! The `vars` of a section: words such as an account's or a view's id, named once and put where `{name}` stands in
//! what is asked for. Nothing else is computed.

use std::collections::{BTreeMap, BTreeSet};

use figment::value::{Dict, Value};

use crate::settings::{Problem, Section};
use crate::sources::rest::request;
use crate::sources::values::scalar::Constant;

/// The values by name.
pub(super) type Vars = BTreeMap<String, Constant>;

/// The keys of `auth` that may hold words.
const OF_AUTH: [&str; 3] = ["audience", "scope", "token_url"];

/// The result of filling a section.
#[derive(Default)]
pub(super) struct Filled {
    /// Undefined names.
    pub(super) problems: Vec<Problem>,
    /// Values that no request uses.
    pub(super) unused: Vec<String>,
}

/// Puts the values into the requests of a section; an undefined name is a problem.
pub(super) fn fill(section: &mut Section, vars: &Vars) -> Filled {
    let mut filling = Filling { vars, used: BTreeSet::new(), place: Vec::new(), problems: Vec::new() };
    let Section(tables) = section;
    filling.table(tables, "request", &request::KEYS);
    filling.table(tables, "auth", &OF_AUTH);
    if let Some(Value::Dict(_, paging)) = tables.get_mut("paging") {
        filling.place = vec!["paging".to_owned()];
        filling.table(paging, "total", &request::KEYS);
        filling.place.clear();
    }
    if let Some(Value::Dict(_, lookups)) = tables.get_mut("lookup") {
        filling.place = vec!["lookup".to_owned()];
        let names: Vec<String> = lookups.keys().cloned().collect();
        for name in names {
            filling.table(lookups, &name, &request::KEYS);
        }
    }
    let unused = vars.keys().filter(|name| !filling.used.contains(*name)).cloned().collect();
    Filled { problems: filling.problems, unused }
}

struct Filling<'v> {
    vars: &'v Vars,
    used: BTreeSet<String>,
    place: Vec<String>,
    problems: Vec<Problem>,
}

impl Filling<'_> {
    /// Fills some keys of one table.
    fn table(&mut self, tables: &mut Dict, name: &str, keys: &[&str]) {
        let Some(Value::Dict(_, table)) = tables.get_mut(name) else { return };
        self.place.push(name.to_owned());
        for (key, value) in table.iter_mut().filter(|(key, _)| keys.contains(&key.as_str())) {
            self.value(key, value);
        }
        self.place.pop();
    }

    fn value(&mut self, key: &str, value: &mut Value) {
        self.place.push(key.to_owned());
        match value {
            Value::String(_, text) => *text = self.text(text),
            Value::Dict(_, members) => members.iter_mut().for_each(|(key, member)| self.value(key, member)),
            Value::Array(_, items) => {
                items.iter_mut().enumerate().for_each(|(index, item)| self.value(&index.to_string(), item));
            }
            _ => {}
        }
        self.place.pop();
    }

    fn text(&mut self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            let (before, from) = rest.split_at(start);
            filled.push_str(before);
            let Some(name) = from[1..].split_once('}').map(|(name, _)| name).filter(|name| is_name(name)) else {
                filled.push('{');
                rest = &from[1..];
                continue;
            };
            match self.vars.get(name).and_then(|word| word.0.text()) {
                Some(word) => {
                    filled.push_str(word);
                    self.used.insert(name.to_owned());
                }
                None => self.problems.push(Problem {
                    path: self.place.clone(),
                    message: format!("`{{{name}}}` is not defined"),
                    hint: Some(format!("`vars = {{ {name} = \"…\" }}`, or `{{ {name} }}` for braces of its own")),
                }),
            }
            rest = &from[name.len() + 2..];
        }
        filled + rest
    }
}

fn is_name(text: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    text.starts_with(|letter: char| letter.is_ascii_lowercase()) && text.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    #[test]
    fn words_are_put_into_requests_and_an_undefined_one_is_told_with_its_place() {
        let mut section = section(
            "fields = { id = '{view}' }\nrequest = { path = '/deals/view/{view}', body = { a = ['x {view} y', '{ view }', '{'] } }\n\
            lookup = { t = { path = '/t/{acount}', key = '{view}' } }",
        );
        let word = |text: &str| serde_json::from_str(text).unwrap();
        let vars = Vars::from([("view".to_owned(), word("4001234567")), ("veiw".to_owned(), word("7"))]);
        let Filled { problems, unused } = fill(&mut section, &vars);
        assert_eq!(unused, ["veiw"]);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, ["lookup", "t", "path"]);
        assert!(problems[0].message.contains("{acount}"));
        let text = serde_json::to_string(&section.0).unwrap();
        for part in ["/deals/view/4001234567", "x 4001234567 y", "{ view }", r#""id":"{view}""#, r#""key":"{view}""#] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }
}
