//! Listeners, admin, telemetry, store, cluster, drain: how the process meets its surroundings.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{
    DigestText, Duration, ListenAddress, Network, Secret, postgres_schema, redis_schema,
};
use super::{Named, TracesSettings};

/// How many further certificates a listener may have. Each is read again with every reload.
const CERTIFICATES_MAX: usize = 1_000;

fn local(port: u16) -> ListenAddress {
    ListenAddress(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// One address that serves the customers' API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ListenerSettings {
    /// IP address and port. Port 0 lets the kernel choose one.
    pub(crate) address: ListenAddress,
    /// Certificate and key; with them HTTPS is served, HTTP/2 included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<TlsSettings>,
    /// Networks of proxies before the gateway, whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<Network>,
    /// HTTP/2 without TLS beside HTTP/1.1; for listeners behind a proxy that speaks it.
    pub(crate) h2c: bool,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        ListenerSettings {
            address: local(8080),
            tls: None,
            trusted_proxies: Vec::new(),
            h2c: false,
        }
    }
}

/// Certificates of a listener, and who may connect. All of it but whether there is TLS at all comes into
/// force with a reload, and so do files that have changed; connections that stand go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsSettings {
    /// PEM file of the certificate, with its chain. Relative to this file. Clients get it that name no
    /// server, or one that no certificate is for.
    #[schemars(length(min = 1))]
    pub(crate) certificate: String,
    /// PEM file of the private key. Relative to this file.
    #[schemars(length(min = 1))]
    pub(crate) key: String,
    /// Further certificates. A client gets the one that is for the name it asks for; where several are,
    /// the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = CERTIFICATES_MAX))]
    pub(crate) certificates: Vec<CertificateSettings>,
    /// Oldest version of TLS that is spoken. Clients of before 2018 may need `"1.2"`.
    #[serde(default)]
    pub(crate) min_version: TlsVersionSettings,
    /// Certificates that clients have to show. Keys are demanded all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_certificates: Option<ClientCertificatesSettings>,
}

/// One more certificate of a listener. It is for the DNS names among its subject alternative names;
/// `*.example.com` is for all names with one label more than `example.com`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateSettings {
    /// PEM file of the certificate, with its chain. Relative to this file.
    #[schemars(length(min = 1))]
    pub(crate) certificate: String,
    /// PEM file of its private key. Relative to this file.
    #[schemars(length(min = 1))]
    pub(crate) key: String,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) enum TlsVersionSettings {
    #[default]
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

/// Whose certificates clients have to show. They open the connection and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientCertificatesSettings {
    /// PEM file of the authorities that sign them. Relative to this file.
    #[schemars(length(min = 1))]
    pub(crate) ca: String,
    /// Whether a client without a certificate is refused. One with a certificate that is not good is
    /// refused either way.
    #[serde(default = "yes")]
    pub(crate) required: bool,
}

fn yes() -> bool {
    true
}

/// The admin API under `/admin/v1`: accounts, users, keys, status, reload. The dashboard is not in this version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminSettings {
    /// IP address and port. Keep it on loopback, or behind something that speaks TLS: tokens cross
    /// it as they are.
    pub(crate) address: ListenAddress,
    /// Who may use the admin API, by name. Without any, and without COLONNADE_ADMIN_TOKEN, it answers 503.
    pub(crate) tokens: Named<TokenSettings>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        AdminSettings { address: local(8081), tokens: Named::default() }
    }
}

/// An admin token, by its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenSettings {
    /// `sha256:` and 64 hex digits, of the token's text: `printf %s "$TOKEN" | sha256sum`.
    pub(crate) digest: DigestText,
    /// What the token may do. Every token may read.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub(crate) permissions: Vec<PermissionSettings>,
}

/// What an admin token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PermissionSettings {
    Keys,
    Data,
    Accounts,
    Read,
}

/// Metrics at `/metrics`, health at `/livez`, `/readyz` and `/healthz`, and the access log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TelemetrySettings {
    /// IP address and port.
    pub(crate) address: ListenAddress,
    /// One JSON line a request: `stdout`, `off`, or a file, relative to this one.
    pub(crate) access_log: AccessLogSettings,
    /// Spans of requests for a collector of OpenTelemetry, which speaks OTLP over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) traces: Option<TracesSettings>,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        TelemetrySettings {
            address: local(9090),
            access_log: AccessLogSettings("stdout".into()),
            traces: None,
        }
    }
}

/// `stdout`, `off` or the path of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AccessLogSettings(#[schemars(length(min = 1))] pub(crate) String);

/// Where accounts, users and keys are kept. Exactly one member; a new one takes the place of the
/// default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(crate) struct StoreSettings {
    /// A SQLite database of this node, made when absent. Relative to this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) sqlite: Option<String>,
    /// A directory file, watched; the admin API is read-only then. Relative to this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) file: Option<String>,
    /// A PostgreSQL database that several gateways share. Keep the password out of this file:
    /// `"${DATABASE_URL}"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "postgres_schema")]
    pub(crate) postgres: Option<Secret>,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings { sqlite: Some("colonnade.db".into()), file: None, postgres: None }
    }
}

/// What a gateway keeps on its own disk of a store that others share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SnapshotSettings {
    /// A file that the gateway writes: every account and key as it last knew them, digests and no keys.
    /// It starts from it while the store is away. Relative to this file.
    #[schemars(length(min = 1))]
    pub(crate) file: String,
}

impl Default for SnapshotSettings {
    fn default() -> Self {
        SnapshotSettings { file: "colonnade.snapshot".into() }
    }
}

/// What a fleet of gateways shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterSettings {
    /// A Redis server through which the gateways share their counts, so that limits hold
    /// fleet-wide. A request never waits for it.
    #[schemars(schema_with = "redis_schema")]
    pub(crate) redis: Secret,
}

/// What happens on SIGTERM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DrainSettings {
    /// How long `/readyz` fails before the listeners close, so that load balancers look away first.
    #[schemars(extend("x-maximum" = "10m"))]
    pub(crate) delay: Duration,
    /// How long requests under way may take to finish.
    #[schemars(extend("x-maximum" = "1h"))]
    pub(crate) grace: Duration,
}

impl Default for DrainSettings {
    fn default() -> Self {
        DrainSettings { delay: Duration(5_000), grace: Duration(20_000) }
    }
}
