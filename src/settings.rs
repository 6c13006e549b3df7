//! What settings are made of: durations, sizes, lists, and a section of the config that tells all its problems.
//!
//! Each module owns its settings struct; this module reads one from a section.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use figment::error::Kind;
use figment::providers::Serialized;
use figment::value::{Dict, Value};
use figment::{Figment, Profile};
use serde::de::{self, DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// No setting is longer; clocks overflow beyond.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// A length of time, written `30s`, `15m`, `90d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let span = humantime::parse_duration(&text).ok().filter(|span| *span <= LONGEST);
        span.map(Self).ok_or_else(|| de::Error::custom("expected a length of time such as `30s`, `15m` or `90d`"))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", humantime::format_duration(self.0))
    }
}

/// A number of bytes, written `64MiB`, `512KiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
        let unit: u64 = match text[digits.len()..].as_ref() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 0,
        };
        let count = digits.trim().parse::<u64>().ok().filter(|count| *count > 0 && unit > 0);
        count
            .and_then(|count| count.checked_mul(unit))
            .map(Self)
            .ok_or_else(|| de::Error::custom("expected a size such as `512KiB` or `64MiB`"))
    }
}

/// A list of words: an array, or one text with commas (as an environment variable has it).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Words;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Words, E> {
                let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                Ok(Words(words.map(ToOwned::to_owned).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = items.next_element()? {
                    words.push(word);
                }
                Ok(Words(words))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// One thing wrong with the settings. It never shows a value: a secret may stand in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, from the section's own level down.
    pub path: Vec<String>,
    /// What is wrong, lowercase.
    pub message: String,
    /// What to do, where it is not plain.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path.join("."))?;
        }
        formatter.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(formatter, "; {hint}"))
    }
}

/// Both values, or the problems of both.
pub fn both<A, B>(one: Result<A, Vec<Problem>>, other: Result<B, Vec<Problem>>) -> Result<(A, B), Vec<Problem>> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (one, other) => {
            let mut problems = one.err().unwrap_or_default();
            problems.extend(other.err().unwrap_or_default());
            Err(problems)
        }
    }
}

impl Problem {
    /// A problem at `key` (dots go down).
    pub fn at(key: &str, message: impl Into<String>) -> Self {
        let path = key.split('.').filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect();
        Self { path, message: message.into(), hint: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts the section's own place in front.
    #[must_use]
    pub fn under(mut self, prefix: &[&str]) -> Self {
        self.path.splice(0..0, prefix.iter().map(|part| (*part).to_owned()));
        self
    }
}

/// A table of the merged configuration, not yet typed.
#[derive(Debug, Clone, Default)]
pub struct Section(pub Dict);

impl Section {
    /// Splits off the named keys.
    #[must_use]
    pub fn split_off(&mut self, keys: &[&str]) -> Self {
        Self(keys.iter().filter_map(|key| self.0.remove_entry(*key)).collect())
    }

    /// Splits off a table; an empty one where the key is not there.
    pub fn table(&mut self, key: &str) -> Result<Self, Vec<Problem>> {
        match self.0.remove(key) {
            None => Ok(Self::default()),
            Some(Value::Dict(_, table)) => Ok(Self(table)),
            Some(_) => Err(vec![Problem::at(key, "expected a table")]),
        }
    }

    /// A text at the top of the section.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    /// Types the section. All problems at once: each is recorded, its value taken out, and the reading goes on.
    /// `also` are keys that stand in the same table but belong to somebody else, for the nearest-key hint.
    pub fn read<T: DeserializeOwned>(&self, also: &[&str]) -> Result<T, Vec<Problem>> {
        let mut dict = self.0.clone();
        let mut problems: Vec<Problem> = Vec::new();
        let mut stand_ins: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        // Each round takes one value out or tries another stand-in, so the rounds are bounded by the values.
        for _ in 0..1_000 {
            let figment = Figment::from(Serialized::from(&dict, Profile::Default));
            let error = match figment.extract_lossy::<T>() {
                Ok(settings) if problems.is_empty() => return Ok(settings),
                Ok(_) => break,
                Err(error) => error,
            };
            let place = place(&error);
            if let Some(tried) = stand_ins.get_mut(&place) {
                let Some(value) = stand_in(&error, *tried) else { break };
                *tried += 1;
                insert(&mut dict, &place, value);
                continue;
            }
            if !problems.iter().any(|known| known.path == place) {
                problems.push(problem(&error, place.clone(), also));
            }
            if matches!(error.kind, Kind::MissingField(_)) {
                insert(&mut dict, &place, Value::from(STAND_IN_TEXTS[0]));
                stand_ins.insert(place, 1);
            } else if !remove(&mut dict, &place) {
                break;
            }
        }
        Err(problems)
    }
}

/// Where an error belongs: the key itself, also for a key that is missing or unknown.
fn place(error: &figment::Error) -> Vec<String> {
    let mut place = error.path.clone();
    match &error.kind {
        Kind::MissingField(name) => place.push(name.to_string()),
        Kind::UnknownField(name, _) if place.last() != Some(name) => place.push(name.clone()),
        _ => {}
    }
    place
}

fn problem(error: &figment::Error, path: Vec<String>, also: &[&str]) -> Problem {
    let (message, hint) = match &error.kind {
        Kind::Message(message) => (message.clone(), None),
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            (format!("expected {}", plain(expected)), None)
        }
        Kind::InvalidLength(_, expected) => (format!("expected {expected}"), None),
        Kind::UnknownVariant(_, known) => ("unknown word".to_owned(), Some(format!("one of {}", known.join(", ")))),
        Kind::UnknownField(name, known) => {
            let top = if path.len() == 1 { also } else { &[] };
            let known = || known.iter().chain(top);
            let all = || (known().next().is_some()).then(|| format!("known are {}", listed(known())));
            ("unknown key".to_owned(), nearest_key(name, known()).or_else(all))
        }
        Kind::MissingField(_) => ("is missing".to_owned(), None),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => ("number out of range".to_owned(), None),
        _ => ("cannot be read".to_owned(), None),
    };
    Problem { path, message, hint }
}

/// Serde's names of types, in a user's words.
fn plain(expected: &str) -> &str {
    match expected {
        "a string" | "a borrowed string" => "a text in quotes",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "a boolean" | "bool" => "true or false",
        "a sequence" => "a list in [ ]",
        "a map" => "a table",
        other => other.strip_prefix("struct ").map_or(other, |_| "a table"),
    }
}

fn listed<'a>(known: impl Iterator<Item = &'a &'a str>) -> String {
    known.copied().collect::<Vec<_>>().join(", ")
}

/// `did you mean …`, where one of the known keys is near.
pub fn nearest_key<'a>(name: &str, known: impl Iterator<Item = &'a &'a str>) -> Option<String> {
    let (distance, key) = known.map(|key| (strsim::damerau_levenshtein(name, key), *key)).min()?;
    (distance <= 1 + name.len() / 3).then(|| format!("did you mean `{key}`?"))
}

fn parent<'a>(dict: &'a mut Dict, path: &'a [String]) -> Option<(&'a mut Dict, &'a String)> {
    let (last, way) = path.split_last()?;
    let mut dict = dict;
    for step in way {
        match dict.get_mut(step) {
            Some(Value::Dict(_, inner)) => dict = inner,
            _ => return None,
        }
    }
    Some((dict, last))
}

/// Takes a value out; of a list that holds it, the whole list.
fn remove(dict: &mut Dict, path: &[String]) -> bool {
    (1..=path.len())
        .rev()
        .any(|length| parent(dict, &path[..length]).is_some_and(|(table, key)| table.remove(key).is_some()))
}

fn insert(dict: &mut Dict, path: &[String], value: Value) {
    if let Some((table, key)) = parent(dict, path) {
        table.insert(key.clone(), value);
    }
}

/// One text of each kind that some setting reads: a length of time, a size, a path, a currency.
const STAND_IN_TEXTS: [&str; 4] = ["1s", "1KiB", "$", "XXX"];

/// What stands in for a missing value after `tried` others did not fit, so that the rest of the section can be read.
fn stand_in(error: &figment::Error, tried: usize) -> Option<Value> {
    if let Kind::UnknownVariant(_, [first, ..]) = &error.kind {
        return (tried < 10).then(|| Value::from(*first));
    }
    let others = [Value::from(1_u8), Value::from(Dict::new()), Value::from(Vec::<Value>::new())];
    STAND_IN_TEXTS.iter().map(|text| Value::from(*text)).chain(others).nth(tried)
}

/// A section as a test writes it.
#[cfg(test)]
pub(crate) fn section(toml: &str) -> Section {
    use figment::Provider;
    use figment::providers::{Format, Toml};
    Section(Toml::string(toml).data().expect("the test writes TOML").remove(&Profile::Default).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tried")]
    struct Sample {
        name: String,
        size: Size,
        inner: Inner,
        #[serde(default)]
        words: Words,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tried")]
    struct Inner {
        count: u32,
        wait: Span,
    }

    #[test]
    fn all_problems_of_a_section_come_at_once_and_none_shows_its_value() {
        let section = section("size = \"canary\"\nsizee = 1\n[inner]\nwait = 7\ncount = \"many\"\n");
        let problems = section.read::<Sample>(&[]).unwrap_err();
        let shown: Vec<String> = problems
            .iter()
            .map(|problem| format!("{}: {} {:?}", problem.path.join("."), problem.message, problem.hint))
            .collect();
        let shown = shown.join("\n");
        for part in [
            "name: is missing",
            "size: expected a size",
            "sizee: unknown key",
            "did you mean `size`?",
            "inner.count: expected a whole number",
            "inner.wait: expected",
        ] {
            assert!(shown.contains(part), "no `{part}` in\n{shown}");
        }
        assert!(!shown.contains("canary") && !shown.contains("many"), "{shown}");
    }

    #[test]
    fn raw_texts_of_the_environment_become_numbers_and_lists_only_where_those_are_wanted() {
        let section =
            section("name = \"007\"\nsize = \"1KiB\"\nwords = \"a, b\"\n[inner]\ncount = \"8\"\nwait = \"2m\"\n");
        let sample = section.read::<Sample>(&[]).unwrap();
        assert_eq!((sample.name.as_str(), sample.inner.count), ("007", 8));
        assert_eq!(sample.words, Words(vec!["a".to_owned(), "b".to_owned()]));
    }
}
