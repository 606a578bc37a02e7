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
    /// Active health checks. Read and checked, not yet carried out by this version: a server is
    /// judged by the requests it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<HealthSettings>,
    /// When a request is tried again. Idempotent methods only, and never after a byte was sent on.
    /// What may be repeated is a request on a kept connection that died before a byte of the answer
    /// came; it goes up once more, over a new connection. Asking another server because one did not
    /// accept is no retry: nothing was sent.
    #[serde(default)]
    pub(crate) retries: RetrySettings,
    /// Most connections to this upstream at a time; beyond them requests get 503.
    #[serde(default = "connections_max")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections_max: u32,
    /// `Host` sent up. Default: the server's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) host: Option<String>,
    /// Speak TLS to the servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<UpstreamTlsSettings>,
}

pub(crate) fn connections_max() -> u32 {
    512
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

/// Active health checks: `GET` of a path, 2xx is healthy.
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

/// When a request is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetrySettings {
    /// Most further tries of one request; 0 switches them off. More than 1 is as 1: the second try
    /// takes a new connection, which no further try could better.
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

/// TLS towards an upstream. Certificates are always verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamTlsSettings {
    /// Name that the server's certificate must be for.
    #[schemars(length(min = 1))]
    pub(crate) sni: String,
    /// PEM file of the authorities that are believed, instead of the system's. Relative to this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) ca: Option<String>,
}
