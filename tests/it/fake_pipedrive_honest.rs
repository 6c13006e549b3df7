//! Keeps the fake Pipedrive honest.
