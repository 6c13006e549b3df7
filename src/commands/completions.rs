//! `completions`: a shell's completions on stdout.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::commands::exit::Exit;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<Exit> {
    let mut command = super::Arguments::command();
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "sales-pipeline", &mut text);
    out.write_all(&text)?;
    Ok(Exit::Ok)
}
