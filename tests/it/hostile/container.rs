//! Runs the program as a small container would: so much memory, and not a page more.
//!
//! By a control group of its own (version 1 or 2), which only root can make. Elsewhere by the limit of address space,
//! which is a poor measure and is told aloud. What a program used at most is told by `time`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::skip::could_not_run;

/// Where control groups can be made, and what the files for the limit and the members are called.
const GROUPS: [(&str, &str, &str); 2] =
    [("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "tasks"), ("/sys/fs/cgroup", "memory.max", "cgroup.procs")];

/// The address space where no control group can be made, in KiB: threads reserve far more than they use.
const ADDRESS_SPACE: u64 = 1 << 20;

/// A control group; it goes when it is dropped.
struct Group {
    folder: PathBuf,
    members: PathBuf,
}

impl Drop for Group {
    fn drop(&mut self) {
        // One that still has a member stays, and is empty soon.
        let _ = fs::remove_dir(&self.folder);
    }
}

impl Group {
    fn new(limit: u64) -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("sales-pipeline-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        GROUPS.iter().find_map(|(root, limit_file, members)| {
            if !Path::new(root).join(members).exists() {
                return None;
            }
            let folder = Path::new(root).join(&name);
            fs::create_dir(&folder).ok()?;
            let group = Self { members: folder.join(members), folder };
            fs::write(group.folder.join(limit_file), limit.to_string()).is_ok().then_some(group)
        })
    }
}

/// How the program ended.
pub(super) struct Ended {
    pub(super) output: Output,
    /// The most memory that was resident, in KiB; none where there is no `time`.
    pub(super) memory: Option<u64>,
}

/// Runs the command with at most `limit` bytes of memory, where one is given; `scratch` holds a file for a moment.
pub(super) fn run(command: &Command, limit: Option<u64>, scratch: &Path) -> Ended {
    let group = limit.and_then(Group::new);
    let confine = match (limit, &group) {
        (None, _) => "",
        (Some(_), Some(_)) => "echo $$ > \"$GROUP\" && ",
        (Some(_), None) => {
            could_not_run("a limit of memory by a control group", "only root can make one, where memory is counted");
            "ulimit -v \"$SPACE\" && "
        }
    };
    let peak = scratch.join("peak");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{confine}exec \"$@\"")).arg("sh");
    if Path::new("/usr/bin/time").exists() {
        shell.args(["/usr/bin/time", "--quiet", "--format=%M", "--output"]).arg(&peak);
    }
    shell.arg(command.get_program()).args(command.get_args());
    // The developer's own settings are not those of the program under test.
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(group) = &group {
        shell.env("GROUP", &group.members);
    }
    let output = shell.env("SPACE", ADDRESS_SPACE.to_string()).output().expect("there is a shell");
    let memory = fs::read_to_string(&peak).ok().and_then(|peak| peak.trim().parse().ok());
    Ended { output, memory }
}
