//! The suggested fix for each error: a slug, which `explain` takes, and one sentence.
//!
//! `docs/runbook.md` has an entry for each slug and is part of the program.

use std::fmt;
use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// The runbook; `explain` prints its entries.
pub const RUNBOOK: &str = include_str!("../docs/runbook.md");

/// A suggested fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// The CRM refuses the credentials.
    RenewCredentials,
    /// The credentials may not read this.
    GrantPermission,
    /// A configured secret is missing.
    ProvideSecret,
    /// No connection, no answer, or an error of the server.
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
    /// The answer does not come from this CRM's API.
    CheckAddress,
    /// The CRM reports an error.
    HearTheCrm,
    /// The pages of the list do not add up.
    CheckPaging,
    /// A field of the mapping does not fit what the CRM sends.
    CheckMapping,
    /// An answer or a pull is larger than its cap.
    RaiseCap,
    /// One answer has more records or keys than fit into memory.
    AskForLess,
    /// A pull took longer than its deadline.
    RaiseDeadline,
    /// The configuration is wrong.
    FixConfig,
    /// A file or directory cannot be written.
    MakeWritable,
    /// Expected a file, found a folder, or the reverse.
    ClearTheWay,
    /// The process may open no more files.
    AllowMoreFiles,
    /// The disk is full.
    FreeDisk,
    /// Another user owns the cache.
    RunAsOwner,
    /// Another instance uses this cache.
    StopOtherInstance,
    /// A summary could not be read and was renamed.
    InspectSetAside,
    /// The clock looks wrong, so nothing was deleted.
    CheckClock,
    /// A complete pull is held.
    AcceptOrMend,
    /// Demo deals would replace live ones.
    KeepDemoApart,
}

/// What is known about an [`Advice`].
#[derive(Debug, Clone, Copy)]
struct Entry {
    advice: Advice,
    slug: &'static str,
    text: &'static str,
}

const fn entry(advice: Advice, slug: &'static str, text: &'static str) -> Entry {
    Entry { advice, slug, text }
}

/// In the order of the variants; a test holds it to that.
#[rustfmt::skip]
const TABLE: [Entry; 27] = [
    entry(Advice::RenewCredentials, "credentials-refused", "renew the key in the CRM and put it where the config points"),
    entry(Advice::GrantPermission, "permission-missing", "give the key the missing permission in the CRM"),
    entry(Advice::ProvideSecret, "secret-missing", "provide the secret where the config points, or change the config"),
    entry(Advice::CheckNetwork, "crm-unreachable", "check the endpoint, the network and the CRM's status page; the next run tries again"),
    entry(Advice::CheckCertificate, "certificate", "check the host name and the clock, or name your own authority with `ca_file`"),
    entry(Advice::WaitForLimit, "rate-limit", "wait for the limit to reset, or pull less often"),
    entry(Advice::WaitForMove, "account-moving", "wait until the CRM has moved the account; the next run tries again"),
    entry(Advice::PayAccount, "account-unpaid", "pay the CRM's bill, or end its trial; the last good data stays"),
    entry(Advice::WaitForBlock, "blocked", "wait until the CRM accepts requests again; pull less often, and check what else uses the key"),
    entry(Advice::CheckAddress, "wrong-address", "check `endpoint`, `path` and `proxy`: the answer does not come from this CRM"),
    entry(Advice::HearTheCrm, "crm-error", "read the answer with `sales-pipeline pull SOURCE --dry-run --show-http`; if it is not an error, fix `success` of the source"),
    entry(Advice::CheckPaging, "paging", "let the next run try again; if it stays, fix `paging` of a `rest` source, or ask the CRM's support"),
    entry(Advice::CheckMapping, "mapping", "compare `fields`, `records` and `pipelines` of the source with the CRM"),
    entry(Advice::RaiseCap, "answer-too-large", "ask for smaller pages; if the size is right, raise `max_body`"),
    entry(Advice::AskForLess, "answer-too-complex", "ask for smaller pages (`paging.size`) or for a part of the list; no setting raises this limit"),
    entry(Advice::RaiseDeadline, "deadline", "raise `limits.pull_deadline`, or find out why the CRM is slow"),
    entry(Advice::FixConfig, "config", "run `sales-pipeline check` and fix what it lists"),
    entry(Advice::MakeWritable, "not-writable", "make the folder writable for the user who runs this"),
    entry(Advice::ClearTheWay, "wrong-file-type", "move the file or folder at this path away"),
    entry(Advice::AllowMoreFiles, "open-files", "let the process open more files (`ulimit -n`, `LimitNOFILE=`)"),
    entry(Advice::FreeDisk, "disk-full", "free space or inodes; the last good data is untouched"),
    entry(Advice::RunAsOwner, "other-owner", "run the command as the user who owns the cache"),
    entry(Advice::StopOtherInstance, "other-instance", "stop the other instance, or give this one its own --output"),
    entry(Advice::InspectSetAside, "broken-summary", "look at the renamed file, then delete it"),
    entry(Advice::CheckClock, "clock", "set the clock; if it is right, run `sales-pipeline snapshots prune --force`"),
    entry(Advice::AcceptOrMend, "held", "fix the source, or accept the held snapshot if it is right: `sales-pipeline snapshots accept SOURCE --note TEXT`"),
    entry(Advice::KeepDemoApart, "demo-over-live", "choose --output DIR: demo deals do not replace live data"),
];

impl Advice {
    /// The advice for a file that cannot be read or written.
    pub fn on_io(error: &io::Error) -> Self {
        match (error.kind(), Errno::from_io_error(error)) {
            (ErrorKind::StorageFull | ErrorKind::QuotaExceeded, _) => Self::FreeDisk,
            (ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::AlreadyExists, _) => Self::ClearTheWay,
            (_, Some(Errno::MFILE | Errno::NFILE)) => Self::AllowMoreFiles,
            _ => Self::MakeWritable,
        }
    }

    fn entry(self) -> &'static Entry {
        let entry = &TABLE[self as usize];
        debug_assert_eq!(entry.advice, self, "the table is in the order of the variants");
        entry
    }

    /// The slug of every advice.
    pub fn slugs() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|entry| entry.slug)
    }

    /// The code that `explain` takes.
    pub fn slug(self) -> &'static str {
        self.entry().slug
    }

    /// One sentence, imperative.
    pub fn text(self) -> &'static str {
        self.entry().text
    }
}

/// The whole hint: the sentence, and the command that explains it.
impl fmt::Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; run `sales-pipeline explain {}`", self.text(), self.slug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_the_system_has_its_advice() {
        for (errno, advice) in [
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
            assert_eq!(Advice::on_io(&errno.into()), advice, "{errno}");
        }
    }

    #[test]
    fn the_table_is_in_the_order_of_the_variants() {
        for (index, entry) in TABLE.iter().enumerate() {
            assert_eq!(entry.advice as usize, index, "{}", entry.slug);
        }
    }
}
