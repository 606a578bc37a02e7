//! The upstreams of one generation, as configured and in service.
//!
//! The table is built when the configuration is published. Names are resolved then and again every
//! [`RESOLVE_EVERY`]; a name that does not resolve makes that server unavailable, not the gateway. Nothing
//! is shared between upstreams, so a sick one costs another nothing.
//!
//! Not here: the clock of these rounds, which is whoever calls.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use gateway_policy::UpstreamId;

use crate::balance::Balance;
use crate::breaker::BreakerRule;
use crate::budget::Retries;
use crate::health::HealthRule;
use crate::outlier::OutlierRule;
use crate::upstream::Upstream;
use crate::upstream_tls::UpstreamTls;

/// How often the names of servers are looked up again, and kept connections looked through.
pub const RESOLVE_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSpec {
    /// `host:port`.
    pub address: String,
    pub weight: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
    pub total: Duration,
}

/// Which version of HTTP an upstream is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Http2 {
    /// HTTP/1.1.
    #[default]
    Off,
    /// HTTP/2 where a server agrees to it in the TLS handshake, else HTTP/1.1.
    Auto,
    /// HTTP/2; without TLS the server is known to speak it.
    Only,
}

/// One upstream as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSpec {
    pub name: String,
    pub servers: Vec<ServerSpec>,
    pub balance: Balance,
    pub timeouts: Timeouts,
    pub health: Option<HealthRule>,
    pub outlier: OutlierRule,
    pub breaker: BreakerRule,
    pub retries: Retries,
    pub connections_max: usize,
    /// Requests that may wait for one of the places, and how long.
    pub pending_max: usize,
    pub pending_time: Duration,
    pub host: Option<String>,
    pub tls: Option<UpstreamTls>,
    pub http2: Http2,
}

/// How an upstream is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundUpstream {
    pub name: String,
    pub breaker_open: bool,
    pub servers: Vec<FoundServer>,
}

/// How one address of a server is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundServer {
    /// As configured.
    pub server: String,
    /// `None` where its name does not resolve.
    pub address: Option<SocketAddr>,
    pub state: ServerState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    InService,
    Ejected,
    /// It fails its checks.
    Unhealthy,
    Unresolved,
}

impl ServerState {
    pub fn label(self) -> &'static str {
        match self {
            ServerState::InService => "in_service",
            ServerState::Ejected => "ejected",
            ServerState::Unhealthy => "unhealthy",
            ServerState::Unresolved => "unresolved",
        }
    }
}

#[cfg(test)]
impl UpstreamSpec {
    /// Without servers; every time in it is this one.
    pub(crate) fn example(time: Duration) -> UpstreamSpec {
        UpstreamSpec {
            name: "calls".into(),
            servers: Vec::new(),
            balance: Balance::RoundRobin,
            timeouts: Timeouts { connect: time, first_byte: time, idle: time, total: time },
            health: None,
            outlier: OutlierRule {
                consecutive_failures: 5,
                base_ejection: time,
                max_ejection: time,
                max_ejected_percent: 50,
            },
            breaker: BreakerRule { consecutive_failures: 5, probe_interval: time },
            retries: Retries { max: 1, budget_percent: 10 },
            connections_max: 10,
            pending_max: 0,
            pending_time: time,
            host: None,
            tls: None,
            http2: Http2::Off,
        }
    }
}

/// All upstreams of one generation; the order gives the [`UpstreamId`]s.
#[derive(Debug, Default)]
pub struct Upstreams {
    table: Vec<Arc<Upstream>>,
}

impl Upstreams {
    /// Builds the table and resolves its names; blocks on name resolution, so call it off the
    /// request path. Upstreams that `before` has unchanged are taken over, with all that is known of
    /// them; of a changed one what was counted goes on.
    pub fn build(specs: Vec<UpstreamSpec>, before: Option<&Upstreams>) -> Upstreams {
        Upstreams::built(specs, before, &look_up)
    }

    pub(crate) fn built(
        specs: Vec<UpstreamSpec>,
        before: Option<&Upstreams>,
        look_up: &impl Fn(&str) -> Vec<SocketAddr>,
    ) -> Upstreams {
        let old = |name: &str| before?.table.iter().find(|old| old.name() == name);
        let upstream = |spec: UpstreamSpec| match old(&spec.name) {
            Some(old) if old.is(&spec) => Arc::clone(old),
            old => {
                let upstream = Upstream::new(spec, old.map(|old| &**old));
                // A name that does not resolve now keeps the addresses that it had before the change.
                upstream.resolve(&|server: &str| match (look_up(server), old) {
                    (found, Some(old)) if found.is_empty() => old.known(server),
                    (found, _) => found,
                });
                Arc::new(upstream)
            }
        };
        Upstreams { table: specs.into_iter().map(upstream).collect() }
    }

    pub(crate) fn find(&self, id: UpstreamId) -> Option<&Arc<Upstream>> {
        self.table.get(id.index())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.table.iter()
    }

    /// How they are now.
    pub fn found(&self) -> impl Iterator<Item = FoundUpstream> {
        self.table.iter().map(|upstream| upstream.found())
    }

    /// Drops kept connections that died or got old. Waits for nobody, but may close many.
    pub fn sweep(&self) {
        self.table.iter().for_each(|upstream| upstream.sweep());
    }

    /// Has all names looked up again, each upstream's on a thread of its own: a name server may take
    /// its time, and an upstream that still waits for it is passed over. Call it in a runtime.
    pub fn resolve(&self) {
        for upstream in &self.table {
            if let Some(turn) = upstream.begin_resolving() {
                tokio::task::spawn_blocking(move || turn.resolve(&look_up));
            }
        }
    }

    /// Begins the health checks that are due. Call it in a runtime, every
    /// [`HEALTH_EVERY`](crate::HEALTH_EVERY).
    pub fn check_health(&self) {
        self.table.iter().for_each(Upstream::check_health);
    }
}

/// The addresses of a `host:port`; none where it does not resolve. Blocks on names.
fn look_up(address: &str) -> Vec<SocketAddr> {
    address.to_socket_addrs().map(Iterator::collect).unwrap_or_default()
}
