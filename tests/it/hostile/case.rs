//! One bad answer and how a pull must end on it: the keys of `hostile_cases.toml`, whose head explains them.

use std::collections::BTreeMap;

use figment::Figment;
use figment::providers::{Format, Toml};
use sales_pipeline::advice::Advice;
use serde::Deserialize;

/// How a pull ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Class {
    #[serde(rename = "read")]
    Read,
    #[serde(rename = "held")]
    Held,
    #[serde(rename = "broken")]
    Broken,
    #[serde(rename = "timed out")]
    TimedOut,
    #[serde(rename = "too large")]
    TooLarge,
    #[serde(rename = "too many")]
    TooMany,
    #[serde(rename = "cut")]
    Cut,
    #[serde(rename = "malformed")]
    Malformed,
    #[serde(rename = "mapping")]
    Mapping,
    #[serde(rename = "foreign")]
    Foreign,
    #[serde(rename = "paging")]
    Paging,
    #[serde(rename = "deadline")]
    Deadline,
    #[serde(rename = "refused")]
    Refused,
    #[serde(rename = "forbidden")]
    Forbidden,
    #[serde(rename = "limit")]
    Limit,
    #[serde(rename = "server")]
    Server,
    #[serde(rename = "unexpected")]
    Unexpected,
}

impl Class {
    /// The exit code, words of the error that are the same for every kind of source, and the advice; nothing where the
    /// pull ends well.
    pub(super) fn ending(self) -> Option<(i32, &'static str, Advice)> {
        Some(match self {
            Self::Read => return None,
            Self::Held => (65, "held: ", Advice::AcceptOrMend),
            Self::Broken => (69, "no complete answer", Advice::CheckNetwork),
            Self::TimedOut => (69, "no answer within", Advice::CheckNetwork),
            Self::TooLarge => (69, "is larger than", Advice::RaiseCap),
            Self::TooMany => (69, "the answer has more than", Advice::AskForLess),
            Self::Cut => (69, "the answer is cut", Advice::CheckNetwork),
            Self::Malformed => (69, "the answer is ", Advice::CheckAddress),
            Self::Mapping => (69, "", Advice::CheckMapping),
            Self::Foreign => (69, "the address is not on", Advice::CheckPaging),
            Self::Paging => (69, "page", Advice::CheckPaging),
            Self::Deadline => (69, "took longer than", Advice::RaiseDeadline),
            Self::Refused => (77, "does not accept the credentials", Advice::RenewCredentials),
            Self::Forbidden => (77, "may not read this", Advice::GrantPermission),
            Self::Limit => (69, "too many requests", Advice::WaitForLimit),
            Self::Server => (69, "a failure of its own", Advice::CheckNetwork),
            Self::Unexpected => (69, "no answer to this request", Advice::CheckAddress),
        })
    }
}

/// How the body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Pack {
    #[serde(rename = "gzip")]
    Gzip,
    #[serde(rename = "cut gzip")]
    CutGzip,
}

/// From where on an answer comes a byte at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Drip {
    Head,
    Body,
}

/// What happens behind the last byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Then {
    #[default]
    Close,
    Reset,
    Hold,
    Endless,
}

/// How the client is to know the end of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Frame {
    /// By its length, and how much the head says too many.
    Length(usize),
    Chunked,
    EndOfConnection,
}

impl TryFrom<String> for Frame {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "length" => Ok(Self::Length(0)),
            "chunked" => Ok(Self::Chunked),
            "end" => Ok(Self::EndOfConnection),
            other => {
                let more = other.strip_prefix("length+").and_then(|more| more.parse().ok());
                more.map(Self::Length).ok_or_else(|| format!("`{other}` is no frame"))
            }
        }
    }
}

/// A case; the data file's head says what each key means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    class: Class,
    #[serde(default)]
    unlike: BTreeMap<String, Class>,
    pub(super) deals: Option<u64>,
    #[serde(default)]
    pub(super) heavy: bool,
    #[serde(default = "deadline")]
    pub(super) deadline: String,
    #[serde(default = "ok")]
    pub(super) status: String,
    #[serde(default)]
    pub(super) headers: Vec<String>,
    #[serde(default = "json", rename = "type")]
    pub(super) content_type: String,
    #[serde(default = "one_deal")]
    pub(super) body: String,
    #[serde(default)]
    pub(super) pages: Vec<String>,
    pub(super) pack: Option<Pack>,
    #[serde(default = "by_length")]
    pub(super) frame: Frame,
    pub(super) raw: Option<String>,
    pub(super) drip: Option<Drip>,
    #[serde(default)]
    pub(super) wait: u64,
    #[serde(default = "crlf")]
    pub(super) lines: String,
    #[serde(default)]
    pub(super) then: Then,
    #[serde(default = "first")]
    pub(super) from: usize,
}

fn deadline() -> String {
    "2m".to_owned()
}

fn ok() -> String {
    "200 OK".to_owned()
}

fn json() -> String {
    "application/json".to_owned()
}

fn one_deal() -> String {
    "<open><deal 1><close>".to_owned()
}

fn by_length() -> Frame {
    Frame::Length(0)
}

fn crlf() -> String {
    "crlf".to_owned()
}

fn first() -> usize {
    1
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

impl Case {
    /// Every case there is.
    pub(super) fn all() -> Vec<Self> {
        let cases = Figment::from(Toml::string(include_str!("../hostile_cases.toml"))).extract::<Cases>();
        cases.unwrap_or_else(|error| panic!("hostile_cases.toml: {error}")).case
    }

    /// No bad answer at all: one page.
    pub(super) fn well(page: &str) -> Self {
        let well = Figment::from(Toml::string("name = \"what it should\"\nclass = \"read\"")).extract::<Self>();
        Self { body: page.to_owned(), ..well.expect("nothing else must be given") }
    }

    /// How a pull of this kind of source ends.
    pub(super) fn class(&self, kind: &str) -> Class {
        self.unlike.get(kind).copied().unwrap_or(self.class)
    }

    /// Whether it ends well on any kind of source.
    pub(super) fn may_be_read(&self) -> bool {
        self.unlike.values().chain([&self.class]).any(|class| *class == Class::Read)
    }

    /// What the `number`th answer holds, counted from 0.
    pub(super) fn page(&self, number: usize) -> &str {
        let page = self.pages.get(number).or(self.pages.last());
        page.unwrap_or(&self.body)
    }

    /// The end of a line of the head.
    pub(super) fn line_end(&self) -> &'static str {
        if self.lines == "lf" { "\n" } else { "\r\n" }
    }
}
