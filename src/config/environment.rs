//! The environment as a layer of the config: raw texts, nested by `__`, and `.env.local` just below it.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

/// What every variable of ours begins with.
pub const PREFIX: &str = "SALES_PIPELINE_";

/// Variables by name; a figment provider of those that are keys.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// What the layer is called in messages.
    pub name: &'static str,
    /// Every variable, ours or not.
    pub variables: BTreeMap<String, String>,
}

impl Environment {
    /// The variable that sets a key.
    pub fn variable(path: &[String]) -> String {
        format!("{PREFIX}{}", path.join("__").to_uppercase())
    }

    /// The keys it sets, each with its path.
    pub fn keys(&self) -> impl Iterator<Item = (Vec<String>, &String)> {
        self.variables.iter().filter_map(|(name, text)| {
            let key = name.strip_prefix(PREFIX)?;
            let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
            (!is_no_key(key) && path.iter().all(|part| !part.is_empty())).then_some((path, text))
        })
    }
}

/// Variables of ours that are read before any file is: in `.env.local` they say nothing.
pub const BEFORE_FILES: [&str; 2] = ["CONFIG", "LOG"];

/// `CONFIG` and `LOG` are read elsewhere; Kubernetes sets `…_SERVICE_HOST`, `…_PORT_8710_TCP` for a service of our name.
fn is_no_key(key: &str) -> bool {
    BEFORE_FILES.contains(&key)
        || key == "PORT"
        || key.starts_with("PORT_")
        || key.starts_with("SERVICE_HOST")
        || key.starts_with("SERVICE_PORT")
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let mut dict = Dict::new();
        for (path, text) in self.keys() {
            insert(&mut dict, &path, Value::from(text.as_str()));
        }
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

fn insert(dict: &mut Dict, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        dict.insert(first.clone(), value);
        return;
    }
    let inner = dict.entry(first.clone()).or_insert_with(|| Value::from(Dict::new()));
    if let Value::Dict(_, inner) = inner {
        insert(inner, rest, value);
    } else {
        *inner = Value::from(Dict::new());
        insert(dict, path, value);
    }
}

/// A line of `.env.local` that is not an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine(pub usize);

/// Reads `.env.local`: `NAME=value` lines, `export` and quotes allowed, no substitution. Gives each name its value and
/// line.
pub fn parse_dotenv(text: &str) -> Result<BTreeMap<String, (String, usize)>, BadLine> {
    let mut variables = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=').ok_or(BadLine(index + 1))?;
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(BadLine(index + 1));
        }
        let value = unquoted(value.trim()).ok_or(BadLine(index + 1))?;
        variables.insert(name.to_owned(), (value.to_owned(), index + 1));
    }
    Ok(variables)
}

/// The value less its quotes, or less a comment behind a bare one; `None` for a quote that does not end.
fn unquoted(value: &str) -> Option<&str> {
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            return quoted.split_once(quote).map(|(inside, _)| inside);
        }
    }
    Some(value.split_once(" #").map_or(value, |(bare, _)| bare.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_looks_like_a_number_stays_text() {
        let variables = [
            ("SALES_PIPELINE_API_KEY", "007"),
            ("SALES_PIPELINE_SOURCES__CRM__API_KEY__FILE", "/run/x"),
            ("HOME", "/root"),
        ];
        let variables = variables.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let data = Environment { name: "environment", variables }.data().unwrap().remove(&Profile::Default).unwrap();
        assert_eq!(data["api_key"].as_str(), Some("007"));
        assert_eq!(data["sources"].find_ref("crm.api_key.file").and_then(Value::as_str), Some("/run/x"));
        assert_eq!(data.len(), 2);
    }

    #[test]
    fn what_kubernetes_and_we_ourselves_set_is_no_key() {
        let names = ["CONFIG", "LOG", "SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT", "PORT_8710_TCP_ADDR"];
        let variables = names.map(|name| (format!("{PREFIX}{name}"), "x".to_owned())).into();
        assert_eq!(Environment { name: "environment", variables }.keys().count(), 0);
    }

    #[test]
    fn dotenv_lines_are_taken_as_they_stand() {
        let text = "# the CRM\nexport SALES_PIPELINE_SOURCE=rest\nSALES_PIPELINE_API_KEY='a$b # c'\nX = \"1\" # one\nY=plain # two\n";
        let parsed = parse_dotenv(text).unwrap();
        let shown: Vec<(&str, &str, usize)> =
            parsed.iter().map(|(name, (value, line))| (name.as_str(), value.as_str(), *line)).collect();
        assert_eq!(
            shown,
            [
                ("SALES_PIPELINE_API_KEY", "a$b # c", 3),
                ("SALES_PIPELINE_SOURCE", "rest", 2),
                ("X", "1", 4),
                ("Y", "plain", 5)
            ]
        );
        for (text, line) in [("A=1\nB", 2), ("A B=1", 1), ("A=\"open", 1)] {
            assert_eq!(parse_dotenv(text), Err(BadLine(line)), "{text}");
        }
    }
}
