//! What to do about an error: one sentence, and the heading of the runbook that says more.
//!
//! Errors belong to their modules; the cures are shared, so that stderr, log and page say the same and a test can
//! hold every one against `docs/runbook.md`.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// A cure. Each has a heading in `docs/runbook.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// The CRM does not know the credentials.
    RenewCredentials,
    /// The credentials may not read this.
    GrantPermission,
    /// A secret that the config points at is not there.
    ProvideSecret,
    /// No connection, no answer, or a server's own failure.
    CheckNetwork,
    /// The server's certificate is not trusted.
    CheckCertificate,
    /// The CRM's limit is reached.
    WaitForLimit,
    /// The CRM is moving the account's data.
    WaitForMove,
    /// The account is not paid for.
    PayAccount,
    /// The CRM blocks all requests for a while.
    WaitForBlock,
    /// The address answers, but not as this CRM does.
    CheckAddress,
    /// The CRM answers that it failed.
    HearTheCrm,
    /// The pages of the list do not add up.
    CheckPaging,
    /// A field of the mapping does not fit what the CRM sends.
    CheckMapping,
    /// An answer or a pull is larger than its cap.
    RaiseCap,
    /// One answer holds more records or keys than fit into memory.
    AskForLess,
    /// A pull took longer than its deadline.
    RaiseDeadline,
    /// The configuration is wrong.
    FixConfig,
    /// A file or directory cannot be written.
    MakeWritable,
    /// Something of another kind stands where a file or folder should: a folder for a file, or the reverse.
    ClearTheWay,
    /// The process may open no more files.
    AllowMoreFiles,
    /// The disk is full.
    FreeDisk,
    /// Another user owns the cache.
    RunAsOwner,
    /// Another instance works here.
    StopOtherInstance,
    /// A file of ours was set aside because it could not be read.
    InspectSetAside,
    /// The clock looks wrong, so nothing was deleted.
    CheckClock,
    /// A complete pull is held.
    AcceptOrMend,
    /// Invented deals would stand over live ones.
    KeepDemoApart,
}

impl Advice {
    /// The cure for a file that cannot be read or written.
    pub fn on_io(error: &io::Error) -> Self {
        match (error.kind(), Errno::from_io_error(error)) {
            (ErrorKind::StorageFull | ErrorKind::QuotaExceeded, _) => Self::FreeDisk,
            (ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::AlreadyExists, _) => Self::ClearTheWay,
            (_, Some(Errno::MFILE | Errno::NFILE)) => Self::AllowMoreFiles,
            _ => Self::MakeWritable,
        }
    }

    /// Every cure, for the runbook's test.
    pub const ALL: [Self; 27] = [
        Self::RenewCredentials,
        Self::GrantPermission,
        Self::ProvideSecret,
        Self::CheckNetwork,
        Self::CheckCertificate,
        Self::WaitForLimit,
        Self::WaitForMove,
        Self::PayAccount,
        Self::WaitForBlock,
        Self::CheckAddress,
        Self::HearTheCrm,
        Self::CheckPaging,
        Self::CheckMapping,
        Self::RaiseCap,
        Self::AskForLess,
        Self::RaiseDeadline,
        Self::FixConfig,
        Self::MakeWritable,
        Self::ClearTheWay,
        Self::AllowMoreFiles,
        Self::FreeDisk,
        Self::RunAsOwner,
        Self::StopOtherInstance,
        Self::InspectSetAside,
        Self::CheckClock,
        Self::AcceptOrMend,
        Self::KeepDemoApart,
    ];

    /// The heading in `docs/runbook.md`.
    pub fn heading(self) -> &'static str {
        match self {
            Self::RenewCredentials => "The CRM refuses the credentials",
            Self::GrantPermission => "The credentials lack a permission",
            Self::ProvideSecret => "A secret is not there",
            Self::CheckNetwork => "The CRM cannot be reached",
            Self::CheckCertificate => "The certificate is not trusted",
            Self::WaitForLimit => "The CRM's limit is reached",
            Self::WaitForMove => "The CRM is moving the account",
            Self::PayAccount => "The account is not paid for",
            Self::WaitForBlock => "The CRM blocks the requests",
            Self::CheckAddress => "The address answers with something else",
            Self::HearTheCrm => "The CRM says that it failed",
            Self::CheckPaging => "The pages do not add up",
            Self::CheckMapping => "A field does not fit",
            Self::RaiseCap => "An answer is too large",
            Self::AskForLess => "An answer has too many parts",
            Self::RaiseDeadline => "A pull takes too long",
            Self::FixConfig => "The configuration is wrong",
            Self::MakeWritable => "A file cannot be written",
            Self::ClearTheWay => "Something else stands in the way",
            Self::AllowMoreFiles => "Too many open files",
            Self::FreeDisk => "The disk is full",
            Self::RunAsOwner => "Another user owns the cache",
            Self::StopOtherInstance => "Another instance works here",
            Self::InspectSetAside => "A broken file was set aside",
            Self::CheckClock => "The clock looks wrong",
            Self::AcceptOrMend => "A pull is held",
            Self::KeepDemoApart => "The folder holds live data",
        }
    }

    /// What to do now, in a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::RenewCredentials => "renew the key in the CRM and put it where the config points",
            Self::GrantPermission => {
                "give the key the permission in the CRM; the source's page in docs/ lists all it needs"
            }
            Self::ProvideSecret => "provide the secret where the config points, or point the config elsewhere",
            Self::CheckNetwork => "check the endpoint, the network and the CRM's status page; the next run tries again",
            Self::CheckCertificate => "check the host name and the clock, or name your authority with `ca_file`",
            Self::WaitForLimit => "wait for the limit to reset, or pull less often",
            Self::WaitForMove => "wait until the CRM has moved the account; the next run tries again",
            Self::PayAccount => "pay the CRM's bill, or end its trial; the last good data stays until then",
            Self::WaitForBlock => {
                "wait until the CRM lets requests through again; pull less often, and look who else uses the key"
            }
            Self::CheckAddress => {
                "check where the requests go (`endpoint`, `path`, `proxy`): the answer is not this CRM's"
            }
            Self::HearTheCrm => {
                "read what it says with `pull NAME --dry-run --show-http`; if it is no failure, mend `success` of the source"
            }
            Self::CheckPaging => {
                "let the next run try again; if it stays so, tell the CRM's support, or mend `paging` of a `rest` source"
            }
            Self::CheckMapping => "check `fields`, `records` and `pipelines` of the source against what the CRM has",
            Self::RaiseCap => "ask for smaller pages; if the size is right, raise `max_body`",
            Self::AskForLess => {
                "ask for smaller pages (`paging.size`), or for a part of the list; no setting raises this cap"
            }
            Self::RaiseDeadline => "raise `limits.pull_deadline`, or find out why the CRM is slow",
            Self::FixConfig => "run `sales-pipeline check` and mend what it lists",
            Self::MakeWritable => "make the directory writable for the user who runs this",
            Self::ClearTheWay => "move away what stands there: a folder where a file should be, or the reverse",
            Self::AllowMoreFiles => "let the process open more files (`ulimit -n`, `LimitNOFILE=`)",
            Self::FreeDisk => "free space or inodes; the last good data is untouched",
            Self::RunAsOwner => "run the command as the user who owns the cache",
            Self::StopOtherInstance => "stop the other instance, or give this one its own --output",
            Self::InspectSetAside => "look at the file that was set aside, then delete it",
            Self::AcceptOrMend => {
                "mend the source, or look at what is held and run `snapshots accept SOURCE --note TEXT` if it is right"
            }
            Self::KeepDemoApart => "choose --output DIR: a demo does not replace live data",
            Self::CheckClock => "set the clock right; if it is right, run `snapshots prune --force`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_of_a_file_has_a_cure_of_its_own() {
        for (errno, cure) in [
            (Errno::NOSPC, Advice::FreeDisk),
            (Errno::DQUOT, Advice::FreeDisk),
            (Errno::ISDIR, Advice::ClearTheWay),
            (Errno::NOTDIR, Advice::ClearTheWay),
            (Errno::EXIST, Advice::ClearTheWay),
            (Errno::MFILE, Advice::AllowMoreFiles),
            (Errno::NFILE, Advice::AllowMoreFiles),
            (Errno::ACCESS, Advice::MakeWritable),
            (Errno::ROFS, Advice::MakeWritable),
        ] {
            assert_eq!(Advice::on_io(&errno.into()), cure, "{errno}");
        }
    }
}
