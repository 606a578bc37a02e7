//! What the composition root needs of a configuration, parsed: units are in the names, addresses
//! are addresses, and paths are resolved against the file that named them.
//!
//! What decides requests is not here but in `gateway_policy::Rules`, which is compiled beside it.

use std::net::SocketAddr;
use std::path::PathBuf;

use gateway_policy::Digest;
use ipnet::IpNet;

pub use crate::model::scalar::Secret;
use crate::model::{KeysSettings, TracesSettings};

/// Everything but the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// At least one.
    pub listeners: Vec<Listener>,
    pub admin: Admin,
    pub telemetry: Telemetry,
    pub store: Store,
    /// Where what was last known of a shared store is kept.
    pub snapshot: PathBuf,
    /// Address of the Redis server through which a fleet shares its counts.
    pub cluster_redis: Option<Secret>,
    /// In the order of the file, which is the order of `gateway_policy::UpstreamId`.
    pub upstreams: Vec<Upstream>,
    pub keys: KeyForm,
    pub drain: Drain,
    /// In the order of `gateway_policy::Rules::resources`.
    pub resources: Vec<ResourceNotes>,
}

/// One address of the customers' API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    pub tls: Option<ListenerTls>,
    pub trusted_proxies: Vec<IpNet>,
    /// HTTP/2 without TLS.
    pub h2c: bool,
}

impl Listener {
    /// Whether a listener that is bound as this one says has to be bound anew for the other.
    pub fn needs_restart(&self, other: &Listener) -> bool {
        let bound = |listener: &Listener| (listener.address, listener.tls.is_some(), listener.h2c);
        bound(self) != bound(other) || self.trusted_proxies != other.trusted_proxies
    }
}

/// What a listener shakes hands with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// Also for clients who name no server, or one that no certificate is for.
    pub main: CertificateFiles,
    pub further: Vec<CertificateFiles>,
    pub min_version: TlsVersion,
    pub clients: Option<ClientCertificates>,
}

impl ListenerTls {
    /// The main pair of files and the further ones.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateFiles> {
        std::iter::once(&self.main).chain(&self.further)
    }
}

/// PEM files of a certificate with its chain, and of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    V12,
    V13,
}

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// PEM file of the authorities.
    pub ca: PathBuf,
    /// Without a certificate nobody is served.
    pub required: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    pub address: SocketAddr,
    pub tokens: Vec<AdminToken>,
}

/// An admin token by its digest, which is always plain SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminToken {
    pub name: String,
    pub digest: Digest,
    pub permissions: Permissions,
}

/// What an admin token may do beside reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    pub keys: bool,
    pub data: bool,
    pub accounts: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    pub address: SocketAddr,
    pub access_log: AccessLog,
    /// What the file says of them; `None` where it says nothing.
    pub traces: Option<Traces>,
}

/// Spans for a collector. What is `None` or empty here may come from the environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// Base address.
    pub endpoint: Option<String>,
    /// 0 to 1.
    pub sample_ratio: f64,
    pub service_name: Option<String>,
    pub headers: Vec<(String, Secret)>,
}

impl Default for Traces {
    /// What an empty section means.
    fn default() -> Traces {
        Traces {
            endpoint: None,
            sample_ratio: TracesSettings::default().sample_ratio,
            service_name: None,
            headers: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    Stdout,
    Off,
    File(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    Sqlite(PathBuf),
    File(PathBuf),
    /// Address, with its password.
    Postgres(Secret),
}

/// A service behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    pub name: String,
    /// At least one.
    pub servers: Vec<Server>,
    pub balance: Balance,
    pub timeouts: Timeouts,
    pub health: Option<Health>,
    pub outlier: Outlier,
    pub breaker: Breaker,
    pub retries: Retries,
    pub connections_max: u32,
    pub pending_max: u32,
    pub pending_ms: u64,
    /// `Host` sent up; `None`: the server's address.
    pub host: Option<String>,
    pub tls: Option<UpstreamTls>,
    pub http2: Http2,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `host:port`; a host may be a name, an IPv4 address or an IPv6 address in brackets.
    pub address: String,
    /// 1 to 1000.
    pub weight: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
    LeastConnections,
    Random,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect_ms: u64,
    pub first_byte_ms: u64,
    pub idle_ms: u64,
    pub total_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub path: String,
    pub interval_ms: u64,
    pub unhealthy_after: u32,
    pub healthy_after: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlier {
    /// 0: no ejection.
    pub consecutive_failures: u32,
    pub base_ejection_ms: u64,
    pub max_ejection_ms: u64,
    pub max_ejected_percent: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// 0: no breaker.
    pub consecutive_failures: u32,
    pub probe_interval_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    pub max: u32,
    pub budget_percent: u32,
}

/// Certificates are always verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    pub sni: String,
    /// PEM file of the authorities that are believed instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM files of the certificate to show and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// When HTTP/2 is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2 {
    Off,
    Auto,
    Only,
}

/// What new keys look like, and how many there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyForm {
    pub prefix: String,
    pub alphabet: Alphabet,
    /// Characters behind the prefix, checksum included.
    pub length: usize,
    /// `CLIENT_KEY:CLIENT_SECRET`, both of that body.
    pub pair: bool,
    pub live_max: u32,
    /// New keys must say their data scope.
    pub data_scope_required: bool,
    /// New keys are stored as HMAC-SHA-256 under this.
    pub pepper: Option<Secret>,
}

impl Default for KeyForm {
    /// What an empty configuration means.
    fn default() -> KeyForm {
        KeyForm::from(&KeysSettings::default())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    Hex,
    /// Ends in a CRC-32 checksum of six characters.
    Base62,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    pub delay_ms: u64,
    pub grace_ms: u64,
}

/// What people read about a resource's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceNotes {
    pub name: String,
    /// In the order of the catalogue; empty where everything passes.
    pub columns: Vec<ColumnNotes>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnNotes {
    pub path: String,
    pub label: Option<String>,
    pub personal: bool,
    pub shown_by_default: bool,
    pub always: bool,
    pub assistant: bool,
}
