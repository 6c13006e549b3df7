//! Servers that others wrote, each with a list of deals: what they send is not what we think of.
//!
//! Deal `id` is worth `100 + id / 4` euros; every third is won.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rust_decimal::Decimal;

use crate::program::Folder;
use crate::skip::could_not_run;

/// A server of another program; it ends when it is dropped.
pub(crate) struct RealServer {
    server: Child,
    origin: String,
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl RealServer {
    /// Starts a command that says where it listens, after `words`.
    fn start(
        mut command: Command,
        words: &str,
        said: impl FnOnce(&mut Child) -> Box<dyn std::io::Read + Send>,
    ) -> Self {
        let mut server = command.stdin(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(said(&mut server)).lines().map_while(Result::ok);
        let origin = log.find_map(|line| Some(line.split_once(words)?.1.split(' ').next()?.to_owned()));
        // Whoever stops reading stops the server.
        std::thread::spawn(move || log.for_each(drop));
        Self { server, origin: origin.expect("it says where it listens") }
    }

    /// Datasette on a table of so many deals; `None` where it is not installed.
    pub(crate) fn datasette(folder: &Folder, count: u64) -> Option<Self> {
        let program = part("Datasette", "PIPELINE_TEST_DATASETTE")?;
        let database = folder.join("crm.db");
        fill(&database, count);
        let mut command = Command::new(program);
        command.args(["serve", "--host", "127.0.0.1", "--port", "0"]).arg(&database);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        Some(Self::start(command, "running on ", |server| Box::new(server.stderr.take().unwrap())))
    }

    /// json-server on so many deals; `None` where it is not installed.
    pub(crate) fn json_server(count: u64) -> Option<Self> {
        part("json-server", "PIPELINE_TEST_NODE_MODULES")?;
        Some(Self::of_ours(OsStr::new("node"), "json_server.mjs", count))
    }

    /// Django REST framework on so many deals; `None` where it is not installed.
    pub(crate) fn django(count: u64) -> Option<Self> {
        let python = part("Django REST framework", "PIPELINE_TEST_DJANGO")?;
        Some(Self::of_ours(python.as_os_str(), "django_deals.py", count))
    }

    /// A few lines of ours that start a library of others.
    fn of_ours(program: &OsStr, file: &str, count: u64) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(file);
        let mut command = Command::new(program);
        command.arg(file).arg(count.to_string()).env("PYTHONDONTWRITEBYTECODE", "1").stdout(Stdio::piped());
        Self::start(command, "listening on ", |server| Box::new(server.stdout.take().unwrap()))
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }
}

fn part(what: &str, variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from);
    if found.is_none() {
        could_not_run(&format!("a real server: {what}"), "it is not installed (tests/run does)");
    }
    found
}

/// A table of deals, by the one tool that is wherever Datasette is.
fn fill(database: &Path, count: u64) {
    let program = format!(
        "import sqlite3, sys\n\
         crm = sqlite3.connect(sys.argv[1])\n\
         crm.execute('create table deals (id integer primary key, title, stage, state, amount, chance, created)')\n\
         crm.executemany('insert into deals values (?, ?, ?, ?, ?, ?, ?)', [\n\
             (i, f'Deal {{i}} \\u00e4 \"quoted\"', ['New', 'Proposal', 'Done'][i % 3], ['open', 'open', 'won'][i % 3],\n\
              f'{{100 + i // 4}}.{{i % 4 * 25:02}}', i % 101, '2026-01-31T10:00:00Z') for i in range(1, {count} + 1)])\n\
         crm.commit()\n"
    );
    let made = Command::new("python3").args(["-c", &program]).arg(database).status().unwrap();
    assert!(made.success());
}

/// What the deals are worth, to the cent: those whose id is `wanted`.
pub(crate) fn worth(count: u64, wanted: fn(u64) -> bool) -> Decimal {
    let amount = |id: u64| Decimal::from(100 + id / 4) + Decimal::new((id % 4 * 25).cast_signed(), 2);
    (1..=count).filter(|id| wanted(*id)).map(amount).sum()
}
