//! Routes and what applies to all of them: teams, errors, bounds, reserved paths.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{Duration, HeaderText, Size};

/// What is served under one pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-partial" = true))]
pub(crate) struct RouteSettings {
    /// `METHOD[|METHOD] /literal/{name}/{name:int}/{name:uuid}/**`. A literal beats a typed parameter beats a
    /// parameter beats `**`. `GET` serves `HEAD`.
    #[serde(rename = "match")]
    #[schemars(required)]
    pub(crate) pattern: Option<String>,
    /// Name of the upstream that answers.
    #[schemars(required)]
    pub(crate) upstream: Option<String>,
    /// What a key needs: `resource:action`, or `resource`, which is its `read` for GET and HEAD and
    /// its `write` for POST, PUT, PATCH and DELETE; both must be in `scopes`, whatever the methods.
    #[schemars(required)]
    pub(crate) scope: Option<String>,
    /// Name of the resource that the body is made of.
    #[schemars(required)]
    pub(crate) resource: Option<String>,
    /// Where the rows are: `data[]`, `data`, `[]` (the body is an array of rows), `$` (it is one row),
    /// `$*` (JSON Lines: each line is one), or deeper, `result.items[]`. Needed unless the resource
    /// lets everything pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<String>,
    /// The query parameters that are allowed; any other is refused. Without it, parameters that
    /// name hidden columns are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("uniqueItems" = true))]
    pub(crate) query: Option<Vec<String>>,
    /// Instead of the top-level `query_columns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) query_columns: Option<Vec<String>>,
    /// Whether a request must name a team. Default: `optional` where `teams` is set, else `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) team: Option<TeamRuleSettings>,
    /// `account` refuses keys that do not reach the whole account.
    #[serde(default)]
    pub(crate) reach: ReachSettings,
    /// A parameter of the pattern that must equal the account's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<AccountParamSettings>,
    /// `pass` sends the upstream's error bodies on as they are. Default: they are replaced.
    #[serde(default)]
    pub(crate) errors: RouteErrorsSettings,
    /// Request headers that go up beside the usual ones. Validators and `accept-encoding` only where
    /// `columns: all` lets bodies pass as they are; credentials, `range` and framing never.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub(crate) forward_headers: Vec<HeaderText>,
    /// Answer headers that come back beside the usual ones. Validators and digests of a body only
    /// where `columns: all` lets bodies pass as they are; framing and rate limits never.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub(crate) return_headers: Vec<HeaderText>,
}

/// Whether a request must name a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TeamRuleSettings {
    Required,
    Optional,
    None,
}

/// How much of the account a key must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReachSettings {
    /// Whatever it reaches.
    #[default]
    Any,
    /// All of it.
    Account,
}

/// Which parameter names the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountParamSettings {
    /// Name of a parameter of the pattern.
    #[schemars(length(min = 1))]
    pub(crate) param: String,
}

/// What becomes of the upstream's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RouteErrorsSettings {
    /// The gateway's own error takes their place; none of their bytes pass.
    #[default]
    Replace,
    /// They pass as they are.
    Pass,
}

/// Where a request may name its team; the chosen one goes up in the header and in `X-Colonnade-Team`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub(crate) struct TeamsSettings {
    /// A header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) header: Option<HeaderText>,
    /// A query parameter. It counts in any letter case and with any separators; on a route with
    /// `query` just as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) query: Option<String>,
    /// A parameter of the route's pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) param: Option<String>,
}

/// The form of the gateway's own errors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ErrorsSettings {
    /// Which form.
    pub(crate) style: ErrorStyleSettings,
}

/// The form of an error body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorStyleSettings {
    /// RFC 9457, `application/problem+json`.
    #[default]
    Problem,
    /// `{"error": code, "message": …}`.
    Flat,
    /// `{"error": {"code", "message", "status"}}`.
    Nested,
    /// `{"detail": message}`.
    Detail,
}

/// The bounds of one exchange, and of how many there may be at once. What is beyond them is refused,
/// never cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BoundsSettings {
    /// Client connections at once, on all listeners together; a further one gets 503 and is closed, under
    /// TLS without a word. Without it, what the process has descriptors for beside its upstreams and
    /// itself, and at most 50,000: the log says how many at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections: Option<u32>,
    /// Client connections of one address at once, of a /64 in IPv6; a further one gets 503 and is closed.
    /// The addresses in `trusted_proxies` are not held to it: many clients come from there. Raise it where
    /// proxies stand before the gateway that are not listed there.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections_per_address: u32,
    /// Requests under way at once, from the end of their heads to the end of their answers; beyond it 503
    /// with `Retry-After`. Lower it where memory is short: each may hold a body of `request_body`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) requests_in_flight: u32,
    /// Wrong keys of one address a minute, of a /64 in IPv6, that are answered 401 and logged; further ones
    /// get 429 and are only counted. A right key from there is served at any time. The address is the
    /// client's, also behind `trusted_proxies`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) failed_authentications: u32,
    /// Path and query; beyond it 414.
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "64KiB"))]
    pub(crate) target: Size,
    /// All request headers together; beyond it 431.
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "1MiB"))]
    pub(crate) header: Size,
    /// Number of request headers; beyond it 431.
    #[schemars(range(min = 1, max = 256))]
    pub(crate) headers: u32,
    /// How long a client may take for its headers, however they drip in; beyond it 408, and over HTTP/2 the
    /// connection is closed. A TLS handshake may take as long.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub(crate) header_time: Duration,
    /// How long a client may take for its whole body; beyond it 408.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub(crate) body_time: Duration,
    /// How long one piece of an answer, at most about 64 KiB, may take on its way to a client that does not
    /// read it; beyond it the answer is cut, and its place at the upstream is free. An answer as a whole has
    /// the `timeouts.total` of its upstream.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub(crate) write_time: Duration,
    /// A request's body; beyond it 413.
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "64GiB"))]
    pub(crate) request_body: Size,
    /// An upstream's body after decoding, on filtered routes.
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "64GiB"))]
    pub(crate) decoded_body: Size,
    /// Nesting of an upstream's body, on filtered routes.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) depth: u32,
    /// One row while it is judged.
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "1GiB"))]
    pub(crate) row: Size,
    /// Judged output that is held while a fault can still become a clean 502.
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "1GiB"))]
    pub(crate) hold: Size,
}

impl Default for BoundsSettings {
    fn default() -> Self {
        BoundsSettings {
            connections: None,
            connections_per_address: 1_000,
            requests_in_flight: 4_096,
            failed_authentications: 6_000,
            target: Size(8 << 10),
            header: Size(32 << 10),
            headers: 100,
            header_time: Duration(10_000),
            body_time: Duration(30_000),
            write_time: Duration(30_000),
            request_body: Size(1 << 20),
            decoded_body: Size(256 << 20),
            depth: 64,
            row: Size(1 << 20),
            hold: Size(64 << 10),
        }
    }
}

/// Paths of the proxy listeners that the gateway answers itself; `off` gives one up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReservedSettings {
    /// Who am I: answers any live key.
    #[schemars(length(min = 1))]
    pub(crate) key: String,
    /// The interactive reference; its OpenAPI document is below it.
    #[schemars(length(min = 1))]
    pub(crate) docs: String,
}

impl Default for ReservedSettings {
    fn default() -> Self {
        ReservedSettings { key: "/api/key".into(), docs: "/api-docs".into() }
    }
}
