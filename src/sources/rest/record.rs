//! One record of an answer: the values at its paths.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::sources::rest::json::{Json, Node};
use crate::sources::rest::path::{Path, PathMiss};
use crate::sources::values::scalar::Scalar;

/// One record of an answer.
pub(super) struct Record<'a> {
    /// What is inside, unwrapped.
    pub(super) node: Node<'a>,
    /// As it came.
    pub(super) json: Json<'a>,
    /// Whether this CRM writes `false` for null.
    pub(super) false_is_null: bool,
}

impl<'a> Record<'a> {
    #[cfg(test)]
    pub(super) fn of(json: Json<'a>) -> Self {
        Self { node: Node::of(json), json, false_is_null: false }
    }

    /// Identifies a record whose id cannot be read.
    pub(super) fn fingerprint(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.json.text().hash(&mut hasher);
        format!("#{:016x}", hasher.finish())
    }

    /// The value at a path, unless it is null.
    pub(super) fn value(&self, path: &Path) -> Option<Scalar<'a>> {
        self.resolve(path).ok()
    }

    /// Whether the path exists; its value may be null.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.resolve(path).map_or_else(|miss| miss.null, |_| true)
    }

    /// The value, or the step at which it is null or missing.
    pub(super) fn resolve(&self, path: &Path) -> Result<Scalar<'a>, PathMiss> {
        let null = PathMiss { step: path.steps().len().saturating_sub(1), null: true };
        let value = path.resolve(&self.node)?.scalar().ok_or(null)?;
        if self.false_is_null && value == Scalar::Bool(false) { Err(null) } else { Ok(value) }
    }
}
