//! What every kind of source is built with and built into: context, common keys of a section, scope and retry.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;

use crate::clock::Clock;
use crate::http::{self, Clients};
use crate::memory::Memory;
use crate::model::deal::{Deal, MANDATORY, PAGING, STATUS, Status, WHERE};
use crate::secret::{Keyring, Secret};
use crate::settings::{Problem, Section, Span, Words, both, nearest_key};
use crate::sources::source::Source;

/// What every source is built with.
#[derive(Clone)]
pub struct Context {
    /// The shared HTTP clients.
    pub clients: Arc<Clients>,
    /// Where secrets are.
    pub keyring: Arc<Keyring>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The configured zone: days are days there.
    pub zone: Tz,
    /// What this source remembers across restarts.
    pub memory: Arc<dyn Memory>,
}

/// A source, ready to be pulled.
#[derive(Clone)]
pub struct Built {
    /// The CRM behind it.
    pub source: Arc<dyn Source>,
    /// Which of its deals are wanted.
    pub scope: Scope,
    /// How stubbornly it is asked.
    pub retry: Retry,
    /// What the gate lets pass.
    pub allow: Allow,
    /// A hash of what the source is asked for; a change starts a new baseline.
    pub scope_hash: String,
    /// Whether its deals are invented.
    pub demo: bool,
    /// Its secrets and their keys, for `check`.
    pub secrets: Vec<(String, Secret)>,
    /// Warnings for the user.
    pub warnings: Vec<Problem>,
}

/// The keys that every section has, whatever its kind.
pub const OWN_KEYS: [&str; 2] = ["kind", "schedule"];

/// Which deals of a source are wanted; keys of every CRM's section.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Ids or labels of pipelines; empty: all.
    pub pipelines: Vec<String>,
    /// How far back closed deals are wanted; `None`: all. Open ones always.
    pub closed_within: Option<Duration>,
}

impl Scope {
    /// Whether the deal is wanted. A closed deal without a closing time counts by its last change.
    pub fn wants(&self, deal: &Deal, now: DateTime<Utc>) -> bool {
        let in_pipeline = self.pipelines.is_empty()
            || self.pipelines.iter().any(|wanted| {
                [&deal.pipeline_id, &deal.pipeline].into_iter().any(|pipeline| pipeline.as_ref() == Some(wanted))
            });
        let recent = match (self.closed_within, deal.status) {
            (None, _) | (_, None | Some(Status::Open)) => true,
            (Some(within), Some(Status::Won | Status::Lost)) => deal
                .closed_at
                .or(deal.updated_at)
                .is_none_or(|closed| (now - closed).to_std().is_ok_and(|age| age <= within) || closed > now),
        };
        in_pipeline && recent
    }
}

/// What the gate lets pass for a source; `allow_empty` and `allow_unmatched` of its section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow {
    /// No deals, where there were some.
    pub empty: bool,
    /// Fields that may match nothing: `name`, `stage`, `value`.
    pub unmatched: Vec<String>,
}

/// How often a failed request is tried, and how long between; `retry` of a source's section.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Tries of one request, the first included.
    #[serde(default = "default_attempts")]
    pub attempts: usize,
    /// The first wait; each further one is twice as long, with jitter.
    #[serde(default = "default_base")]
    pub base: Span,
    /// The longest wait.
    #[serde(default = "default_max")]
    pub max: Span,
    /// How long one request is tried in all, its waits included; `None`: as long as the pull may take.
    pub total: Option<Span>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: default_attempts(), base: default_base(), max: default_max(), total: None }
    }
}

fn default_attempts() -> usize {
    4
}

fn default_base() -> Span {
    Span(Duration::from_secs(1))
}

fn default_max() -> Span {
    Span(Duration::from_secs(60))
}

/// The keys of [`Common`].
pub const COMMON_KEYS: [&str; 11] = [
    "endpoint",
    "pipelines",
    "closed_within",
    "allow_empty",
    "allow_unmatched",
    "timeout",
    "max_body",
    "allow_http",
    "proxy",
    "ca_file",
    "retry",
];

/// What every section of a CRM can say beside its own keys.
#[derive(Debug)]
pub struct Common {
    /// The address, as configured.
    pub endpoint: Option<String>,
    /// Which deals are wanted.
    pub scope: Scope,
    /// How requests are sent.
    pub http: http::Settings,
    /// How stubbornly.
    pub retry: Retry,
    /// What the gate lets pass.
    pub allow: Allow,
}

/// A closed deal's age that is still wanted: a length of time, or `all`.
#[derive(Debug, Clone, Copy)]
struct ClosedWithin(Option<Duration>);

impl<'de> Deserialize<'de> for ClosedWithin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "all" {
            return Ok(Self(None));
        }
        humantime::parse_duration(&text)
            .map(|within| Self(Some(within)))
            .map_err(|_| serde::de::Error::custom("expected a length of time such as `90d`, or `all`"))
    }
}

impl Common {
    /// Splits the common keys off a section and reads them; `kind_keys` are the kind's own, for hints.
    pub fn split_off(section: &mut Section) -> Result<Self, Vec<Problem>> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Asked {
            endpoint: Option<String>,
            #[serde(default)]
            pipelines: Words,
            #[serde(default = "ninety_days")]
            closed_within: ClosedWithin,
            #[serde(default)]
            retry: Retry,
            #[serde(default)]
            allow_empty: bool,
            #[serde(default)]
            allow_unmatched: Words,
        }
        fn ninety_days() -> ClosedWithin {
            ClosedWithin(Some(Duration::from_secs(90 * 24 * 3600)))
        }
        let mut asked = section.split_off(&COMMON_KEYS);
        let http = asked.split_off(&["timeout", "max_body", "allow_http", "proxy", "ca_file"]);
        let asked = asked.read::<Asked>(&[]).and_then(|asked| check_unmatched(&asked.allow_unmatched).map(|()| asked));
        let http = http.read::<http::Settings>(&[]).and_then(|http| {
            let problem = || Problem::at("timeout", "must be longer than nothing").hint("for instance `\"120s\"`");
            if http.timeout.0.is_zero() { Err(vec![problem()]) } else { Ok(http) }
        });
        let (asked, http) = both(asked, http)?;
        Ok(Self {
            endpoint: asked.endpoint,
            scope: Scope { pipelines: asked.pipelines.0, closed_within: asked.closed_within.0 },
            http,
            retry: asked.retry,
            allow: Allow { empty: asked.allow_empty, unmatched: asked.allow_unmatched.0 },
        })
    }

    /// The source that was built with these keys and these secrets, by key.
    pub fn into_built(self, source: Arc<dyn Source>, secrets: Vec<(String, Secret)>) -> Built {
        Built {
            source,
            scope: self.scope,
            retry: self.retry,
            allow: self.allow,
            scope_hash: String::new(),
            demo: false,
            secrets,
            warnings: Vec::new(),
        }
    }
}

/// Reads the three parts of a built-in CRM's section: `fields`, the common keys and the CRM's own settings.
pub(super) fn read_section<M, S>(
    mut section: Section,
    read_mapping: impl FnOnce(Section) -> Result<M, Vec<Problem>>,
    read_settings: impl FnOnce(&Section, &[&str]) -> Result<S, Vec<Problem>>,
) -> Result<(M, Common, S), Vec<Problem>> {
    let under = |found: Vec<Problem>| found.into_iter().map(|problem| problem.under(&["fields"])).collect();
    let mapping = section.table("fields").and_then(|table| read_mapping(table).map_err(under));
    let common = Common::split_off(&mut section);
    let known: Vec<&str> = OWN_KEYS.iter().chain(&COMMON_KEYS).chain(&["fields"]).copied().collect();
    let settings = read_settings(&section, &known);
    let ((mapping, common), settings) = both(both(mapping, common), settings)?;
    Ok((mapping, common, settings))
}

/// Only what would hold a pull can be allowed to match nothing. No problem shows a value.
fn check_unmatched(fields: &Words) -> Result<(), Vec<Problem>> {
    let holding: Vec<&str> = MANDATORY.into_iter().chain([PAGING, WHERE, STATUS]).collect();
    let unknown = fields.0.iter().filter(|field| !holding.contains(&field.as_str()));
    let problems: Vec<Problem> = unknown
        .map(|field| {
            let hint = nearest_key(field, holding.iter()).unwrap_or_else(|| format!("one of {}", holding.join(", ")));
            Problem::at("allow_unmatched", "names a field that holds no pull").hint(hint)
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    #[test]
    fn a_field_that_may_be_empty_anyway_need_not_be_allowed_to() {
        let read = |toml: &str| Common::split_off(&mut section(toml));
        assert_eq!(read("allow_unmatched = ['name', 'stage', 'value']").unwrap().allow.unmatched, MANDATORY);
        let beside = read("allow_unmatched = ['paging', 'where', 'status']").unwrap().allow.unmatched;
        assert_eq!(beside, [PAGING, WHERE, STATUS]);
        let problems = read("allow_unmatched = ['stgae', 'canary']").err().unwrap();
        let hints: Vec<&str> = problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
        assert_eq!(hints, ["did you mean `stage`?", "one of name, stage, value, paging, where, status"]);
        assert!(
            problems.iter().all(|problem| problem.path == ["allow_unmatched"] && !problem.message.contains("canary"))
        );
    }

    #[test]
    fn open_deals_are_always_wanted_and_closed_ones_for_a_while() {
        let scope = Scope { pipelines: Vec::new(), closed_within: Some(Duration::from_secs(90 * 86_400)) };
        let now: DateTime<Utc> = "2026-11-22T00:00:00Z".parse().unwrap();
        let old = Some(now - chrono::TimeDelta::days(91));
        let deal = |status, closed_at, updated_at| Deal { updated_at, status, closed_at, ..Deal::default() };
        assert!(scope.wants(&deal(Some(Status::Open), None, old), now));
        assert!(scope.wants(&deal(None, old, old), now), "without a status nothing is left out");
        assert!(!scope.wants(&deal(Some(Status::Won), old, Some(now)), now));
        assert!(!scope.wants(&deal(Some(Status::Lost), None, old), now), "no closing time: by its last change");
        assert!(scope.wants(&deal(Some(Status::Lost), None, None), now));
    }
}
