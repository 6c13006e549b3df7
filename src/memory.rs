//! What a source remembers across restarts: small texts, such as a refresh token that the CRM gave in place of the
//! configured one.
//!
//! A seam: sources put and get, the store keeps. Nothing is wrong with a pull that remembers nothing but that it costs
//! more, or that credentials must be renewed by hand.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The memory of one source. Files may be asked behind it, so it is for what is rare or small.
pub trait Memory: Send + Sync {
    /// What was last put under `key`, by this process or another.
    fn get(&self, key: &'static str) -> Option<String>;

    /// Keeps `text`, at least until this process ends. That it cannot be kept longer is logged, not failed for. It may
    /// be a secret: nobody else can read it.
    fn put(&self, key: &'static str, text: &str);

    /// The same for what stands in place of something that is void by now, such as the refresh token that a CRM gave for
    /// the one before: a process that only tries things out, and remembers nothing else, keeps it as well.
    fn replace(&self, key: &'static str, text: &str);
}

/// A memory that ends with the process.
#[derive(Default)]
pub struct InProcess(Mutex<BTreeMap<&'static str, String>>);

impl InProcess {
    /// Forgets what was put under `key`.
    pub fn forget(&self, key: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Memory for InProcess {
    fn get(&self, key: &'static str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: &'static str, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, text.to_owned());
    }

    fn replace(&self, key: &'static str, text: &str) {
        self.put(key, text);
    }
}
