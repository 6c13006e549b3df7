//! Any REST CRM, by configuration alone.

use crate::settings::{Problem, Section};
use crate::sources::{Built, Context};

pub(super) fn build(_section: &mut Section, _context: &Context) -> Result<Built, Vec<Problem>> {
    Err(vec![])
}
