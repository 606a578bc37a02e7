//! The services behind the gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{Duration, ServerAddress};

/// A service behind the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamSettings {
    /// Where it listens: `host:port`, or `{ address, weight }`.
    #[schemars(length(min = 1))]
    pub(crate) servers: Vec<ServerSettings>,
    /// How requests are spread over the servers.
    #[serde(default)]
    pub(crate) balance: BalanceSettings,
    /// How long the upstream may take.
    #[serde(default)]
    pub(crate) timeouts: TimeoutSettings,
    /// Active health checks: each server is asked by itself, and gets requests while it passes. Where a
    /// name has several addresses, each of them is a server. Without `health`, live requests alone judge.
    /// When no server passes, requests get 503 at once, and each is checked every second at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<HealthSettings>,
    /// Outlier ejection: a server that fails live requests in a row gets none for a while, the
    /// others take them. A failure is a connection that is not accepted or dies before the answer's head, a
    /// head that does not come in time, and an answer of 502, 503 or 504. The last server in service
    /// is never ejected.
    #[serde(default)]
    pub(crate) outlier: OutlierSettings,
    /// The circuit breaker of the whole upstream: when requests in a row get no answer, whichever servers
    /// were asked, further ones get 503 at once, but for one probe every `probe_interval`. A probe that is
    /// answered closes it. An answer of any status is an answer: what it says is passed on as ever.
    #[serde(default)]
    pub(crate) breaker: BreakerSettings,
    /// When a request is tried again. Idempotent methods only, and never after a byte was sent on.
    /// What may be repeated is a request whose connection died before a byte of the answer came; it
    /// goes up again over a new connection, to another server if there is one. Asking another server
    /// because one did not accept is no retry: nothing was sent. Nor is it one, whatever the method, when an
    /// HTTP/2 server says that it did nothing of a request.
    #[serde(default)]
    pub(crate) retries: RetrySettings,
    /// Most requests under way to this upstream at a time; beyond them requests wait where `pending_max` lets them, else they get 503. Each has a connection
    /// of its own, but over HTTP/2, where up to 100 share one, or as many as the server allows.
    #[serde(default = "connections_max")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections_max: u32,
    /// Most requests that wait for one of these places; beyond them requests get 503. None wait by
    /// default: where all places are taken the service has a queue of its own, and
    /// another one in front of it makes every answer later. A few help a service that takes one request a time.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000))]
    pub(crate) pending_max: u32,
    /// Longest that one of them waits; then it gets 503.
    #[serde(default = "pending_time")]
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1m"))]
    pub(crate) pending_time: Duration,
    /// `Host` sent up. Default: the server's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) host: Option<String>,
    /// Speak TLS to the servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<UpstreamTlsSettings>,
    /// Whether the servers are spoken to in HTTP/2, where requests share connections. Health checks do as
    /// requests do.
    #[serde(default)]
    pub(crate) http2: Http2Settings,
}

pub(crate) fn connections_max() -> u32 {
    512
}

fn pending_time() -> Duration {
    Duration(100)
}

/// One server of an upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ServerSettings {
    /// `host:port`.
    Address(ServerAddress),
    /// With a weight.
    Weighted(WeightedServerSettings),
}

/// A server with a weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WeightedServerSettings {
    /// `host:port`.
    pub(crate) address: ServerAddress,
    /// Share of the requests, against the other servers' weights.
    #[serde(default = "weight")]
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) weight: u32,
}

fn weight() -> u32 {
    1
}

/// How requests are spread over servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BalanceSettings {
    /// In turn, by weight.
    #[default]
    RoundRobin,
    /// To the server with the fewest requests under way.
    LeastConnections,
    /// By lot, by weight.
    Random,
}

/// When HTTP/2 is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Http2Settings {
    /// Never: HTTP/1.1.
    #[default]
    Off,
    /// With a server that agrees to it in the TLS handshake (ALPN), else HTTP/1.1. Needs `tls`.
    Auto,
    /// Always. With `tls` a server that does not agree is not used; without, it must speak HTTP/2 from
    /// the first byte (h2c with prior knowledge).
    Only,
}

/// How long an upstream may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TimeoutSettings {
    /// Until a connection stands, TLS included.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "10m"))]
    pub(crate) connect: Duration,
    /// From the request's end to the answer's first byte.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub(crate) first_byte: Duration,
    /// Between two pieces of an answer.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub(crate) idle: Duration,
    /// The whole exchange.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1d"))]
    pub(crate) total: Duration,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        TimeoutSettings {
            connect: Duration(1_000),
            first_byte: Duration(30_000),
            idle: Duration(60_000),
            total: Duration(120_000),
        }
    }
}

/// Active health checks: `GET` of a path on a new connection, 2xx is healthy. A check fails when it takes
/// longer than `interval`, counted as 1 s at least and 2 s at most. A server begins healthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HealthSettings {
    /// What is asked for.
    #[schemars(length(min = 1))]
    pub(crate) path: String,
    /// Time between two checks of a server.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(crate) interval: Duration,
    /// Failures in a row after which a server gets no requests.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) unhealthy_after: u32,
    /// Successes in a row after which it gets requests again.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) healthy_after: u32,
}

impl Default for HealthSettings {
    fn default() -> Self {
        HealthSettings {
            path: "/healthz".into(),
            interval: Duration(5_000),
            unhealthy_after: 3,
            healthy_after: 2,
        }
    }
}

/// When a server is ejected for failing live requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OutlierSettings {
    /// Failures in a row that eject a server; 0 switches ejection off.
    #[schemars(range(min = 0, max = 1000))]
    pub(crate) consecutive_failures: u32,
    /// How long the first ejection lasts; the second lasts twice as long, and so on. Each such time
    /// without an ejection forgives one. Back from it, one failure ejects again.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(crate) base_ejection: Duration,
    /// Longest that an ejection lasts.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1d"))]
    pub(crate) max_ejection: Duration,
    /// Most servers that are ejected at a time, in percent; above 0 it is one at least, and never all.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) max_ejected_percent: u32,
}

impl Default for OutlierSettings {
    fn default() -> Self {
        OutlierSettings {
            consecutive_failures: 5,
            base_ejection: Duration(30_000),
            max_ejection: Duration(300_000),
            max_ejected_percent: 50,
        }
    }
}

/// When an upstream is given up for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BreakerSettings {
    /// Requests in a row without an answer that open it; 0 switches it off.
    #[schemars(range(min = 0, max = 100_000))]
    pub(crate) consecutive_failures: u32,
    /// Time between two probes while it is open. Their answers go to the clients that asked.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(crate) probe_interval: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        BreakerSettings { consecutive_failures: 5, probe_interval: Duration(1_000) }
    }
}

/// When a request is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetrySettings {
    /// Most further tries of one request; 0 switches them off.
    #[schemars(range(min = 0, max = 10))]
    pub(crate) max: u32,
    /// Most retries, in percent of the requests, so that a sick upstream is not drowned.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) budget_percent: u32,
}

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings { max: 1, budget_percent: 10 }
    }
}

/// TLS towards an upstream. Certificates are always verified, those of health checks too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamTlsSettings {
    /// Name that the server's certificate must be for, and that it is told (SNI). An IP address is verified too,
    /// but not told: SNI has names alone.
    #[schemars(length(min = 1))]
    pub(crate) sni: String,
    /// PEM file of the authorities that are believed, instead of the system's. Relative to this file. It is
    /// watched and read at each reload; where it cannot be used the reload fails and changes nothing, and a start ends with
    /// exit code 78.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) ca: Option<String>,
    /// PEM file of the certificate that the gateway shows to a server that asks for one (mutual TLS), its
    /// chain behind it. Needs `key`. Read as `ca` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) certificate: Option<String>,
    /// PEM file of its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) key: Option<String>,
}
