//! Which sources a command is for.

use std::sync::Arc;

use crate::commands::complain;
use crate::commands::exit::Exit;
use crate::jobs::{Jobs, Target};
use crate::model::name::SourceName;

/// The targets of the named sources; all where none is named.
pub(super) fn choose(jobs: &Jobs, wanted: &[String]) -> Result<Vec<Arc<Target>>, Exit> {
    if wanted.is_empty() {
        return Ok(jobs.targets.values().cloned().collect());
    }
    let mut chosen = Vec::new();
    for name in wanted {
        let Some(target) = name.parse().ok().and_then(|name| jobs.targets.get(&name)) else {
            let known: Vec<&str> = jobs.targets.keys().map(SourceName::as_str).collect();
            let are = if known.len() == 1 { "is" } else { "are" };
            let what = format!("no source is called `{name}`; there {are}: {}", known.join(", "));
            return Err(complain(&what, None, Exit::Usage));
        };
        chosen.push(Arc::clone(target));
    }
    Ok(chosen)
}
