//! Why a CRM did not answer as it should, and what to do about it.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::advice::Advice;
use crate::http::{HttpError, Reply};
use crate::secret::SecretError;
use crate::settings::Span;
use crate::telemetry::in_one_line;

/// Why a CRM did not answer as it should. The variants are the pull's decisions.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A secret is not there.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// 429: too many requests.
    #[error("the CRM answers {status}: too many requests{}", asking(*.wait))]
    Limit {
        /// The status code.
        status: u16,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// 429 until the day ends: no other try before that.
    #[error("the CRM answers {status}: its limit for the day is reached{}", until(*.resets))]
    DailyLimit {
        /// The status code.
        status: u16,
        /// When the count resets, if known, UTC.
        resets: Option<DateTime<Utc>>,
    },
    /// An answer after which the configuration leaves the CRM alone for a while.
    #[error("the CRM answered {status} and is left alone until {}", until.to_rfc3339_opts(SecondsFormat::Secs, true))]
    LeftAlone {
        /// The status code.
        status: u16,
        /// Until when, UTC.
        until: DateTime<Utc>,
    },
    /// The configuration reserves requests for other programs.
    #[error("the CRM leaves {left} requests, and {floor} are kept for others")]
    Quota {
        /// How many are left.
        left: u64,
        /// How many are reserved.
        floor: u64,
    },
    /// An answer of 2xx that says in its body that it is a failure.
    #[error("{what}")]
    Failed {
        /// What it says, in words of the configuration.
        what: String,
    },
    /// So much of the day's limit is used that the rest is left to others.
    #[error("{used} of the account's {limit} requests a day are used: the rest is left to others{}", until(Some(*.resets)))]
    Spared {
        /// Requests of all programs in the last 24 hours.
        used: u64,
        /// How many there may be.
        limit: u64,
        /// Before this nothing is asked, UTC.
        resets: DateTime<Utc>,
    },
    /// The CRM moves the account's data from one place to another.
    #[error("the CRM answers {status}: it is moving this account{}", asking(*.wait))]
    Moving {
        /// The status code.
        status: u16,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// A failure of the server's own: worth another try.
    #[error("the CRM answers {status}: a failure of its own{}", asking(*.wait))]
    Server {
        /// The status code.
        status: u16,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// 401: it does not know the credentials.
    #[error("the CRM answers {status}: it does not accept the credentials")]
    Refused {
        /// The status code.
        status: u16,
    },
    /// 402: the account is not paid for.
    #[error("the CRM answers {status}: the account is not paid for")]
    Unpaid {
        /// The status code.
        status: u16,
    },
    /// The proxy in front of the CRM lets nobody of the account through: every further try makes it longer.
    #[error("the CRM answers {status}: it blocks this account's requests{}", until(*.ends))]
    Blocked {
        /// The status code.
        status: u16,
        /// Until when nothing is asked, UTC.
        ends: Option<DateTime<Utc>>,
    },
    /// 403: it knows them, and they may not.
    #[error("{}the credentials may not read this{}", refusing(*.status), listed(.lacking))]
    Forbidden {
        /// The status code; one of success where the answer is good and lacks what is needed.
        status: u16,
        /// The permissions of which one is needed, where the CRM names them.
        lacking: Vec<String>,
    },
    /// Any other status.
    #[error("the CRM answers {status}{}, which is no answer to this request", bracketed(.category.as_deref()))]
    Unexpected {
        /// The status code.
        status: u16,
        /// The CRM's own word for it, where that is one of a known list.
        category: Option<String>,
    },
    /// An answer that was cut in the middle: worth another try.
    #[error("the answer is cut: {0}")]
    Cut(String),
    /// An answer that is not what this CRM sends.
    #[error("{0}")]
    Malformed(String),
    /// An answer with too many records and keys to fit into memory.
    #[error("the answer has more than {0} parts")]
    TooManyParts(usize),
    /// The pages do not add up.
    #[error("{0}")]
    Paging(String),
    /// A field does not fit the mapping, and the configuration wants that to fail.
    #[error("{0}")]
    Mapping(String),
    /// Several parts of a step failed, each for want of a permission: all of them, so that they are granted at once.
    #[error("{}", together(.0))]
    Several(Vec<Self>),
    /// A part of a step failed: a look-up, a count.
    #[error("{part}")]
    Part {
        /// What was being read.
        part: String,
        /// Why it failed.
        source: Box<Self>,
    },
}

fn until(resets: Option<DateTime<Utc>>) -> String {
    resets.map(|at| format!(", until {}", at.to_rfc3339_opts(SecondsFormat::Secs, true))).unwrap_or_default()
}

fn refusing(status: u16) -> String {
    if (200..300).contains(&status) { String::new() } else { format!("the CRM answers {status}: ") }
}

fn asking(wait: Option<Duration>) -> String {
    match wait {
        None => String::new(),
        Some(wait) if wait > Duration::from_secs(24 * 3600) => " and asks to wait longer than a day".to_owned(),
        Some(wait) => {
            let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            format!(" and asks to wait {}", Span(Duration::from_secs(whole)))
        }
    }
}

fn listed(lacking: &[String]) -> String {
    match lacking {
        [] => String::new(),
        [one] => format!("; it needs {one}"),
        several => format!("; it needs one of {}", several.join(", ")),
    }
}

fn together(errors: &[SourceError]) -> String {
    errors.iter().map(|error| in_one_line(error)).collect::<Vec<_>>().join("; and ")
}

fn bracketed(category: Option<&str>) -> String {
    category.map(|category| format!(" ({category})")).unwrap_or_default()
}

impl SourceError {
    /// The class of an answer that is not 2xx.
    pub fn of_reply(reply: &Reply, now: DateTime<Utc>) -> Self {
        Self::of_status(reply.status, reply.retry_after(now))
    }

    /// The class of a status that is not 2xx; `wait` is how long the CRM asks to wait.
    pub fn of_status(status: u16, wait: Option<Duration>) -> Self {
        match status {
            401 => Self::Refused { status },
            403 => Self::Forbidden { status, lacking: Vec::new() },
            429 => Self::Limit { status, wait },
            408 | 423 | 425 | 500 | 502..=504 | 520..=524 => Self::Server { status, wait },
            _ => Self::Unexpected { status, category: None },
        }
    }

    /// Several failures as one.
    pub fn together(mut errors: Vec<Self>) -> Self {
        match errors.pop() {
            Some(only) if errors.is_empty() => only,
            last => Self::Several(errors.into_iter().chain(last).collect()),
        }
    }

    /// The part of the step that failed, where it has several.
    pub fn part(&self) -> Option<&str> {
        match self {
            Self::Part { part, .. } => Some(part),
            _ => None,
        }
    }

    /// The failure itself, below the parts it happened in; of several the first.
    pub fn root(&self) -> &Self {
        match self {
            Self::Part { source, .. } => source.root(),
            Self::Several(errors) => errors.first().map_or(self, Self::root),
            itself => itself,
        }
    }

    /// Whether another try may help.
    pub fn is_transient(&self) -> bool {
        match self.root() {
            Self::Http(error) => {
                matches!(error, HttpError::Broken(_) | HttpError::Incomplete(_) | HttpError::TimedOut(_))
            }
            Self::Limit { .. } | Self::Server { .. } | Self::Cut(_) => true,
            _ => false,
        }
    }

    /// How long the CRM asks to wait.
    pub fn wait(&self) -> Option<Duration> {
        match self.root() {
            Self::Limit { wait, .. } | Self::Server { wait, .. } => *wait,
            _ => None,
        }
    }

    /// What to do.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Http(HttpError::Broken(_) | HttpError::Incomplete(_) | HttpError::TimedOut(_))
            | Self::Server { .. }
            | Self::Cut(_) => Advice::CheckNetwork,
            Self::Http(HttpError::Certificate(_)) => Advice::CheckCertificate,
            Self::Http(HttpError::TooLarge(_)) => Advice::RaiseCap,
            Self::TooManyParts(_) => Advice::AskForLess,
            Self::Http(HttpError::ForeignOrigin { .. } | HttpError::NotAUrl) | Self::Paging(_) => Advice::CheckPaging,
            Self::Secret(error) => error.advice(),
            Self::Limit { .. }
            | Self::DailyLimit { .. }
            | Self::Spared { .. }
            | Self::LeftAlone { .. }
            | Self::Quota { .. } => Advice::WaitForLimit,
            Self::Moving { .. } => Advice::WaitForMove,
            Self::Unpaid { .. } => Advice::PayAccount,
            Self::Blocked { .. } => Advice::WaitForBlock,
            Self::Refused { .. } => Advice::RenewCredentials,
            Self::Forbidden { .. } | Self::Several(_) => Advice::GrantPermission,
            Self::Unexpected { .. } | Self::Malformed(_) => Advice::CheckAddress,
            Self::Failed { .. } => Advice::HearTheCrm,
            Self::Mapping(_) => Advice::CheckMapping,
            Self::Part { source, .. } => source.advice(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_as_less_than_was_asked() {
        let told = |millis| SourceError::of_status(429, Some(Duration::from_millis(millis))).to_string();
        assert!(told(997).ends_with("asks to wait 1s") && told(3_600_001).ends_with("asks to wait 1h 1s"));
        assert!(told(86_400_001).ends_with("asks to wait longer than a day"));
    }
}
