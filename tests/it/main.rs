//! The integration tests: one binary, since each one links every dependency again. One module a topic.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::format_push_string, reason = "tests build texts piece by piece")]

mod bad_input;
mod config;
mod connect;
mod crms;
mod daemon;
mod deals;
mod documents;
mod dry_run;
mod fake;
mod fake_hubspot;
mod fake_hubspot_honest;
mod fake_pipedrive;
mod fake_pipedrive_honest;
mod fake_rest;
mod fake_salesforce;
mod fake_salesforce_honest;
mod gate;
mod hostile;
mod hubspot;
mod kill;
mod layers;
mod life;
mod many;
mod packaging;
mod pipedrive;
mod probe;
mod program;
mod reconnect;
mod rest;
mod rest_lookups;
mod rest_mistakes;
mod rest_oauth;
mod rest_paging;
mod rest_rules;
mod rest_volume;
mod salesforce;
mod schedule;
mod schedule_dst;
mod schedule_library;
mod schema;
mod servers;
mod skip;
mod together;
mod vanished;
mod window;
