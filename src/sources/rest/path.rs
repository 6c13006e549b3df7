//! Where a value is: the singular queries of RFC 9535 (`$.account.name`, `$['@odata.nextLink']`, `$.owner[0]`).
//!
//! Parsed when the configuration is read. No filters and no wildcards in fields: the cost is constant, there are never
//! two results, and an error can name the step that failed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::sources::rest::json::{Json, Node};

/// A path to one value; the leading `$` is optional.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(i64),
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => formatter.write_str(key),
            Self::Index(index) => write!(formatter, "[{index}]"),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Why a path finds nothing: the step, and whether it is null or missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PathMiss {
    pub(super) step: usize,
    pub(super) null: bool,
}

impl Path {
    /// The value there; `None` if it or a step before it is null or missing.
    pub(super) fn find<'a>(&self, node: &Node<'a>) -> Option<Json<'a>> {
        self.resolve(node).ok()
    }

    /// The value there, or the step at which it is null or missing.
    pub(super) fn resolve<'a>(&self, node: &Node<'a>) -> Result<Json<'a>, PathMiss> {
        let last = self.steps.len().saturating_sub(1);
        let found = self.follow(node)?.json().filter(|found| !found.is_null());
        found.ok_or(PathMiss { step: last, null: true })
    }

    /// The node there, which may be null.
    pub(super) fn follow<'n, 'a>(&self, node: &'n Node<'a>) -> Result<&'n Node<'a>, PathMiss> {
        let mut here = node;
        for (index, step) in self.steps.iter().enumerate() {
            let next = match step {
                Step::Key(key) => here.member(key),
                Step::Index(index) => here.item(*index),
            };
            here = next.ok_or_else(|| match here.json() {
                Some(json) if index > 0 && json.is_null() => PathMiss { step: index - 1, null: true },
                _ => PathMiss { step: index, null: false },
            })?;
        }
        Ok(here)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// For example: `` `$.account.name`: `account` is null ``.
    pub(super) fn describe_miss(&self, miss: PathMiss) -> String {
        format!("`{self}`: `{}` {}", self.step_name(miss.step), if miss.null { "is null" } else { "is missing" })
    }

    pub(super) fn step_name(&self, step: usize) -> String {
        self.steps.get(step).map_or_else(|| "$".to_owned(), ToString::to_string)
    }
}

/// Why a text is not a path.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at column {column}")]
pub(super) struct NotAPath {
    what: &'static str,
    column: usize,
}

impl FromStr for Path {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let mut reader = Reader::new(text);
        let steps = reader.steps()?;
        match reader.rest() {
            "" => Ok(Self { text: text.to_owned(), steps }),
            rest if rest.starts_with("[*]") => {
                Err(reader.wrong("expected one value, and `[*]` names many, as `records` alone may,"))
            }
            _ => Err(reader.wrong("expected `.name`, `['name']` or `[0]`")),
        }
    }
}

/// Splits a path at `[*]`: the path of the list, and the path inside each item.
pub(super) fn through_a_list(text: &str) -> Result<(Path, Option<Path>), NotAPath> {
    let mut reader = Reader::new(text);
    let list = Path { text: text.to_owned(), steps: reader.steps()? };
    let mut each = None;
    if reader.take("[*]") {
        each = Some(Path { text: text.to_owned(), steps: reader.more_steps(Vec::new())? });
    }
    match reader.rest() {
        "" => Ok((list, each)),
        rest if rest.starts_with("[*]") => {
            Err(reader.wrong("expected one `[*]` at most, since one list holds the records,"))
        }
        _ => Err(reader.wrong("expected `.name`, `['name']`, `[0]` or `[*]`")),
    }
}

/// Reads a path from left to right and knows the column.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn wrong(&self, what: &'static str) -> NotAPath {
        NotAPath { what, column: self.text[..self.at].chars().count() + 1 }
    }

    fn steps(&mut self) -> Result<Vec<Step>, NotAPath> {
        let mut steps = Vec::new();
        if !self.take("$") && !self.rest().starts_with('[') {
            steps.push(self.name()?);
        }
        self.more_steps(steps)
    }

    fn more_steps(&mut self, mut steps: Vec<Step>) -> Result<Vec<Step>, NotAPath> {
        loop {
            if self.take(".") {
                steps.push(self.name()?);
            } else if self.rest().starts_with('[') && !self.rest().starts_with("[*]") {
                self.at += 1;
                steps.push(self.bracketed()?);
            } else {
                return Ok(steps);
            }
        }
    }

    /// RFC 9535 §2.5.1.1: letters, digits, `_` and all beyond ASCII, not a digit first.
    fn name(&mut self) -> Result<Step, NotAPath> {
        let in_name = |character: char| character.is_ascii_alphanumeric() || character == '_' || !character.is_ascii();
        let rest = self.rest();
        let end = rest.find(|character| !in_name(character)).unwrap_or(rest.len());
        if end == 0 || rest.starts_with(|character: char| character.is_ascii_digit()) {
            return Err(self.wrong("expected a name (others than letters, digits and `_` as ['…'])"));
        }
        self.at += end;
        Ok(Step::Key(rest[..end].to_owned()))
    }

    fn bracketed(&mut self) -> Result<Step, NotAPath> {
        let step = match self.rest().chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
            _ => self.index()?,
        };
        if self.take("]") { Ok(step) } else { Err(self.wrong("expected `]`")) }
    }

    fn index(&mut self) -> Result<Step, NotAPath> {
        let rest = self.rest();
        let end = rest.find(|character: char| !character.is_ascii_digit() && character != '-').unwrap_or(rest.len());
        let index = rest[..end].parse::<i64>().ok().filter(|index| index.to_string() == rest[..end]);
        let index = index.ok_or_else(|| self.wrong("expected a whole number or a name in quotes"))?;
        self.at += end;
        Ok(Step::Index(index))
    }

    /// A text in either quote, with the escapes of JSON.
    fn quoted(&mut self, quote: char) -> Result<Step, NotAPath> {
        let inner = &self.rest()[1..];
        let mut json = String::from('"');
        let mut escaped = false;
        for (place, character) in inner.char_indices() {
            match character {
                _ if escaped => {
                    if character != '\'' {
                        json.push('\\');
                    }
                    json.push(character);
                }
                '\\' => {}
                _ if character == quote => {
                    json.push('"');
                    let key = serde_json::from_str(&json).map_err(|_| self.wrong("a name with an unknown escape"))?;
                    self.at += 1 + place + 1;
                    return Ok(Step::Key(key));
                }
                '"' => json.push_str("\\\""),
                _ => json.push(character),
            }
            escaped = character == '\\' && !escaped;
        }
        Err(self.wrong("a name whose quote is not closed"))
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|why: NotAPath| de::Error::custom(format!("is no path: {why}")))
    }
}

/// One path or a list of them.
#[derive(Debug, Clone)]
pub(super) struct Paths(pub(super) Vec<Path>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = Paths;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a path or a list of paths")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Paths, E> {
                Path::deserialize(de::value::StrDeserializer::new(text)).map(|path| Paths(vec![path]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Paths, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = items.next_element()? {
                    paths.push(path);
                }
                Ok(Paths(paths))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"a":{"b c":[10,{"x":null}],"@odata.next":"n","it's":1,"q\"":2},"n":null,"ü":3}"#;

    fn found(path: &str) -> Option<String> {
        let node = Node::document(RECORD).unwrap();
        path.parse::<Path>().unwrap().find(&node).map(|json| json.text().to_owned())
    }

    #[test]
    fn every_way_to_write_a_step_finds_its_value() {
        for (path, value) in [
            ("$.a['b c'][0]", "10"),
            ("a[\"b c\"][-2]", "10"),
            ("$['a']['@odata.next']", "\"n\""),
            (r"$.a['it\'s']", "1"),
            (r#"$.a['q"']"#, "2"),
            (r#"$.a["q\""]"#, "2"),
            (r"$['\u0061']['b c'][0]", "10"),
            ("ü", "3"),
        ] {
            assert_eq!(found(path).as_deref(), Some(value), "{path}");
        }
        for path in
            ["$.n", "$.n.deeper", "$.missing", "$.a['b c'][2]", "$.a['b c'][-3]", "$.a['b c'][1].x", "$.a.b[0]", "$[0]"]
        {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn a_wrong_path_is_told_with_its_column() {
        for (path, column) in [
            ("", 1),
            ("$.", 3),
            ("$.a..b", 5),
            ("$.1a", 3),
            ("$.a[", 5),
            ("$.a[01]", 5),
            ("$['a'", 6),
            ("$['a", 3),
            ("$.a b", 4),
            ("$.ü[*]", 4),
            ("$x", 2),
            ("$[-0]", 3),
            ("$['\\x']", 3),
        ] {
            let why = path.parse::<Path>().unwrap_err();
            assert_eq!(why.column, column, "{path}: {why}");
        }
    }
}
