//! `explain`: the runbook's entry of an advice or a rule.

use std::io::{self, Write};

use crate::advice::RUNBOOK;
use crate::commands::complain;
use crate::commands::exit::Exit;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The code in a hint, or a rule such as R02 [default: list all]
    code: Option<String>,
}

/// The code, the title and the text of each entry.
fn entries() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    RUNBOOK.split("\n## ").skip(1).filter_map(|section| {
        let (heading, text) = section.split_once('\n')?;
        let (code, title) = heading.split_once(": ")?;
        // A heading of level 1 begins the next part of the page.
        let text = text.split_once("\n# ").map_or(text, |(text, _)| text);
        Some((code, title, text.trim()))
    })
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<Exit> {
    let Some(wanted) = &arguments.code else {
        for (code, title, _) in entries() {
            writeln!(out, "{code:<20} {title}")?;
        }
        return Ok(Exit::Ok);
    };
    if let Some((code, title, text)) = entries().find(|(code, ..)| code.eq_ignore_ascii_case(wanted)) {
        writeln!(out, "{code}: {title}\n\n{}", text.replace("**", ""))?;
        return Ok(Exit::Ok);
    }
    let nearest = entries().map(|(code, ..)| code).max_by(|a, b| {
        let likeness = |code: &str| strsim::jaro_winkler(code, wanted);
        likeness(a).total_cmp(&likeness(b))
    });
    let nearest = nearest.map(|code| format!("; did you mean `{code}`?")).unwrap_or_default();
    let what = format!("no entry is called `{wanted}`{nearest} `sales-pipeline explain` lists all entries");
    Ok(complain(&what, None, Exit::Usage))
}
