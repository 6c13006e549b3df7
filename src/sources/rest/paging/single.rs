//! Lists that are one answer: by configuration, or because no `paging` is configured.

use crate::sources::link::relation;
use crate::sources::rest::paging::answer::PageAnswer;
use crate::sources::rest::paging::pager::{Next, Pager};
use crate::sources::rest::request::PageOverrides;
use crate::sources::source::End;

/// One answer holds everything.
pub(super) struct Single {
    pub(super) is_configured: bool,
}

impl Pager for Single {
    fn set(&self, _after: Option<&str>, _request: &mut PageOverrides) {}

    fn next(&self, answer: &PageAnswer<'_, '_>) -> Result<Option<Next>, String> {
        if relation(answer.headers, "next").is_some() {
            return Err("the answer is one page of several: its `Link` names a next one".to_owned());
        }
        match answer.has_more {
            Some(more) if answer.says_more() == Some(true) => {
                Err(format!("the answer is one page of several: `{more}` says there is more"))
            }
            _ => Ok(None),
        }
    }

    fn describe_missing_marker(&self, _answer: &PageAnswer<'_, '_>) -> Option<String> {
        (!self.is_configured).then(|| "no `paging` is configured".to_owned())
    }

    fn end(&self, _answer: &PageAnswer<'_, '_>) -> End {
        End::OneAnswer
    }
}
