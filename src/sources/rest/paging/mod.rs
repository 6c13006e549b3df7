//! How a list is cut into pages: what the next request asks for, and which answer was the last.
//!
//! Pure. A short page is not the end unless the configuration says so, because servers send short pages in the middle.
//! If an answer says whether there is more, that decides before any count.

mod answer;
mod counted;
mod cursor;
mod link;
mod pager;
mod place;
mod plan;
mod range;
mod settings;
mod single;
mod total;

pub(super) use crate::sources::rest::paging::pager::Next;
pub(super) use crate::sources::rest::paging::place::Place;
pub(super) use crate::sources::rest::paging::plan::Paging;

#[cfg(test)]
mod tests;
