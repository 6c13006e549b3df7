//! Exit codes, after sysexits. Of several sources the highest number counts.

use std::process::ExitCode;

use crate::advice::Advice;
use crate::jobs::assemble::AssembleError;
use crate::jobs::outcome::PullFailure;
use crate::signals::ENDED_BY_SIGNAL;
use crate::sources::fetch::FetchError;
use crate::sources::source::SourceError;

/// How a command ended, in ascending order of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Exit {
    /// All is well.
    Ok = 0,
    /// `status --exit-code`: some data is too old.
    Stale = 1,
    /// The command line is wrong.
    Usage = 64,
    /// A complete pull was held.
    Held = 65,
    /// A source is unavailable: transport, limits, broken paging.
    Unavailable = 69,
    /// Something cannot be written, or belongs to somebody else.
    CannotWrite = 73,
    /// Another instance works here.
    Busy = 75,
    /// Credentials or permission refused.
    Refused = 77,
    /// The configuration is wrong.
    Config = 78,
    /// A signal ended it before it was done.
    Interrupted = ENDED_BY_SIGNAL,
}

impl Exit {
    /// How a failed pull ends the command.
    pub(super) fn of(failure: &PullFailure) -> Self {
        match failure {
            PullFailure::Busy => Self::Busy,
            PullFailure::Fetch(FetchError::Stopped) => Self::Interrupted,
            PullFailure::Fetch(FetchError::Source { source, .. }) => Self::of_source(source),
            PullFailure::Fetch(FetchError::Spool(_))
            | PullFailure::Store(_)
            | PullFailure::Assemble(AssembleError::Io(_) | AssembleError::Store(_)) => Self::CannotWrite,
            PullFailure::Elsewhere(_)
            | PullFailure::Fetch(FetchError::Deadline(_))
            | PullFailure::Assemble(_)
            | PullFailure::Panicked => Self::Unavailable,
        }
    }

    /// How an answer of a CRM ends the command.
    pub(super) fn of_source(error: &SourceError) -> Self {
        match error.root() {
            SourceError::Refused { .. } | SourceError::Forbidden { .. } => Self::Refused,
            SourceError::Secret(_) => Self::Config,
            _ => Self::Unavailable,
        }
    }

    /// How a refusal of the store ends the command.
    pub(super) fn of_advice(advice: Advice) -> Self {
        match advice {
            Advice::StopOtherInstance => Self::Busy,
            Advice::KeepDemoApart => Self::Config,
            _ => Self::CannotWrite,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
