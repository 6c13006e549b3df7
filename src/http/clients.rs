//! The clients beneath every source: closed to redirects, to the environment's proxies and to endless waits.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Proxy};

use crate::http::Settings;
use crate::http::record::{Exchange, Record};
use crate::settings::Problem;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const POOL_IDLE: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("sales-pipeline/", env!("CARGO_PKG_VERSION"));

/// The clients there are, shared by sources with the same proxy and authorities: each one loads all certificates.
#[derive(Debug, Default)]
pub struct Clients {
    clients: Mutex<HashMap<Trust, Client>>,
    pub(super) record: Option<Arc<Record>>,
}

/// What tells two clients apart: the proxy and the file of authorities.
type Trust = (Option<String>, Option<PathBuf>);

impl Clients {
    /// No clients yet.
    pub fn new() -> Arc<Self> {
        // Taken by the first caller; later ones find it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Arc::new(Self::default())
    }

    /// No clients yet; what they exchange is kept until [`taken`](Self::taken).
    pub fn recording() -> Arc<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Arc::new(Self { clients: Mutex::default(), record: Some(Arc::default()) })
    }

    /// What was exchanged since this was last asked, in the order of the answers; nothing where nothing is kept.
    pub fn taken(&self) -> Vec<Exchange> {
        self.record.as_ref().map(|record| record.take()).unwrap_or_default()
    }

    pub(super) fn client(&self, settings: &Settings) -> Result<Client, Problem> {
        let key = (settings.proxy.clone(), settings.ca_file.clone());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(settings)?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(settings: &Settings) -> Result<Client, Problem> {
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .http1_only()
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_max_idle_per_host(2)
        .pool_idle_timeout(POOL_IDLE);
    if let Some(proxy) = &settings.proxy {
        let proxy = Proxy::all(proxy).map_err(|_| Problem::at("proxy", "is not a proxy URL"))?;
        builder = builder.proxy(proxy);
    }
    if let Some(path) = &settings.ca_file {
        for certificate in authorities(path).map_err(|why| Problem::at("ca_file", why.to_string()))? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|_| {
        Problem::at("ca_file", "no certificates to trust were found on this machine")
            .hint("install the package `ca-certificates`")
    })
}

fn authorities(path: &PathBuf) -> io::Result<Vec<Certificate>> {
    let found = Certificate::from_pem_bundle(&fs::read(path)?).map_err(io::Error::other)?;
    if found.is_empty() { Err(io::Error::other("holds no certificate in PEM")) } else { Ok(found) }
}
