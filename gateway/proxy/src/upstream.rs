//! Upstreams: which server, which peer, how many at once.
//!
//! One table a generation, built when the configuration is published. Names are resolved then and
//! again every [`RESOLVE_EVERY`]; a name that does not resolve makes that server unavailable, not
//! the gateway.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway_policy::UpstreamId;
use http::HeaderValue;
use parking_lot::RwLock;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;

use crate::budget::{Budget, Retries};
use crate::pool::Pool;

/// How often the names of servers are looked up again, and kept connections looked through.
pub const RESOLVE_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
    LeastConnections,
    Random,
}

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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Never empty: Pingora would not verify the certificate then.
    pub sni: String,
    pub ca: Option<PathBuf>,
}

/// One upstream as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSpec {
    pub name: String,
    pub servers: Vec<ServerSpec>,
    pub balance: Balance,
    pub timeouts: Timeouts,
    pub retries: Retries,
    pub connections_max: usize,
    pub host: Option<String>,
    pub tls: Option<UpstreamTls>,
}

/// All upstreams of one generation; the order gives the [`UpstreamId`]s.
#[derive(Debug, Default)]
pub struct Upstreams {
    table: Vec<Arc<Upstream>>,
}

impl Upstreams {
    /// Builds the table and resolves its names; blocks on name resolution, so call it off the
    /// request path. Upstreams that `before` has unchanged are taken over, counts and all.
    pub fn build(specs: Vec<UpstreamSpec>, before: Option<&Upstreams>) -> Upstreams {
        let table = specs
            .into_iter()
            .map(|spec| {
                let kept =
                    before.and_then(|before| before.table.iter().find(|old| old.spec == spec));
                kept.map_or_else(|| Arc::new(Upstream::new(spec)), Arc::clone)
            })
            .collect();
        Upstreams { table }
    }

    pub(crate) fn find(&self, id: UpstreamId) -> Option<&Arc<Upstream>> {
        self.table.get(id.index())
    }

    /// Drops kept connections that died or got old. Waits for nobody, but may close many.
    pub fn sweep(&self) {
        self.table.iter().for_each(|upstream| upstream.pool.sweep());
    }

    /// Looks all names up again. Blocks.
    pub fn resolve(&self) {
        for upstream in &self.table {
            upstream.servers.iter().for_each(|server| server.resolve(&upstream.spec));
        }
    }
}

/// One upstream in service.
#[derive(Debug)]
pub(crate) struct Upstream {
    spec: UpstreamSpec,
    servers: Vec<Server>,
    /// Server indices, each as often as its weight says, spread evenly.
    rotation: Vec<usize>,
    turn: AtomicUsize,
    in_flight: AtomicUsize,
    budget: Budget,
    pool: Pool,
}

#[derive(Debug)]
struct Server {
    address: String,
    /// The `Host` to send; `None` when no header can carry it.
    host: Option<HeaderValue>,
    weight: u32,
    /// Where it is and how to connect there, with every timeout set. `None` until its name resolves.
    peer: RwLock<Option<Arc<HttpPeer>>>,
    in_flight: AtomicUsize,
}

impl Server {
    fn new(server: &ServerSpec, spec: &UpstreamSpec) -> Server {
        let host = spec.host.as_deref().unwrap_or(&server.address);
        let server = Server {
            address: server.address.clone(),
            host: HeaderValue::from_str(host).ok(),
            weight: server.weight.max(1),
            peer: RwLock::new(None),
            in_flight: AtomicUsize::new(0),
        };
        server.resolve(spec);
        server
    }

    fn resolve(&self, spec: &UpstreamSpec) {
        // A name that stops resolving keeps its last address: the server may well be there.
        if let Some(found) = self.address.to_socket_addrs().ok().and_then(|mut all| all.next()) {
            *self.peer.write() = Some(Arc::new(peer(found, spec)));
        }
    }
}

/// The peer to connect to, with every timeout set: Pingora's own defaults are none.
fn peer(address: SocketAddr, spec: &UpstreamSpec) -> HttpPeer {
    let sni = spec.tls.as_ref().map(|tls| tls.sni.clone()).unwrap_or_default();
    let mut peer = HttpPeer::new(address, spec.tls.is_some(), sni);
    peer.options.connection_timeout = Some(spec.timeouts.connect);
    peer.options.total_connection_timeout = Some(spec.timeouts.connect);
    peer.options.read_timeout = Some(spec.timeouts.first_byte);
    peer.options.write_timeout = Some(spec.timeouts.idle);
    peer
}

impl Upstream {
    fn new(spec: UpstreamSpec) -> Upstream {
        let servers: Vec<Server> =
            spec.servers.iter().map(|server| Server::new(server, &spec)).collect();
        Upstream {
            rotation: rotation(&servers.iter().map(|server| server.weight).collect::<Vec<_>>()),
            servers,
            turn: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            budget: Budget::new(spec.retries),
            pool: Pool::new(&spec),
            spec,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.spec.timeouts
    }

    /// Takes one repeat out of the budget; `false` when there is none left.
    pub(crate) fn may_repeat(&self) -> bool {
        self.budget.spend()
    }

    /// Whether a request that might have to be repeated must do without.
    pub(crate) fn has_spent_its_repeats(&self) -> bool {
        self.budget.is_spent()
    }

    /// Takes one of the upstream's places, given back when the permit goes.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Permit> {
        let taken = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < self.spec.connections_max).then_some(count + 1)
        });
        taken.ok()?;
        self.budget.earn();
        Some(Permit { upstream: Arc::clone(self) })
    }

    /// The next server by the balance rule, passing over `tried`.
    pub(crate) fn pick(self: &Arc<Self>, tried: &[usize]) -> Option<Picked> {
        let open =
            |index: &usize| !tried.contains(index) && self.servers[*index].peer.read().is_some();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let index = match self.spec.balance {
            Balance::LeastConnections => (0..self.servers.len()).filter(open).min_by_key(|index| {
                let server = &self.servers[*index];
                (server.in_flight.load(Ordering::Relaxed) + 1) * 1_000 / server.weight as usize
            }),
            Balance::RoundRobin => self.from(turn).find(open),
            Balance::Random => self.from(scattered(turn)).find(open),
        }?;
        let peer = self.servers[index].peer.read().clone()?;
        self.servers[index].in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Picked { upstream: Arc::clone(self), index, peer })
    }

    fn from(&self, turn: usize) -> impl Iterator<Item = usize> + '_ {
        let length = self.rotation.len().max(1);
        (0..self.rotation.len()).map(move |step| self.rotation[(turn + step) % length])
    }
}

/// A place in an upstream.
#[derive(Debug)]
pub(crate) struct Permit {
    upstream: Arc<Upstream>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.upstream.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A server chosen for one try.
#[derive(Debug)]
pub(crate) struct Picked {
    upstream: Arc<Upstream>,
    pub(crate) index: usize,
    peer: Arc<HttpPeer>,
}

impl Picked {
    /// The `Host` to send.
    pub(crate) fn host(&self) -> Option<&HeaderValue> {
        self.upstream.servers[self.index].host.as_ref()
    }

    /// A watched connection that was kept, if one can be used.
    pub(crate) fn take_kept(&self) -> Option<HttpSession> {
        self.upstream.pool.take(&self.peer)
    }

    /// A new watched connection, whatever is kept; idle ones make room for it.
    pub(crate) async fn connect_anew(&self) -> pingora::Result<HttpSession> {
        self.upstream.pool.make_room(self.upstream.in_flight.load(Ordering::Relaxed));
        self.upstream.pool.open(&self.peer).await
    }

    /// Keeps a connection for the next request, or closes it where its answer did not end cleanly.
    pub(crate) fn release(&self, session: HttpSession) {
        self.upstream.pool.keep(&self.peer, session);
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.upstream.servers[self.index].in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Smooth weighted round robin, unrolled: of weights 2 and 1, `0 1 0`.
fn rotation(weights: &[u32]) -> Vec<usize> {
    const TURNS_MAX: u64 = 4_096;
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut current = vec![0_i64; weights.len()];
    let mut turns = Vec::new();
    for _ in 0..total.min(TURNS_MAX) {
        for (value, weight) in current.iter_mut().zip(weights) {
            *value += i64::from(*weight);
        }
        let Some(best) =
            (0..current.len()).max_by_key(|index| (current[*index], std::cmp::Reverse(*index)))
        else {
            break;
        };
        current[best] -= total as i64;
        turns.push(best);
    }
    turns
}

/// A turn scattered over the whole range (Knuth's multiplicative hashing).
fn scattered(turn: usize) -> usize {
    (turn as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) as usize >> 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn upstream(balance: Balance, weights: &[u32], connections_max: usize) -> Arc<Upstream> {
        let second = Duration::from_secs(1);
        let servers = weights
            .iter()
            .enumerate()
            .map(|(index, weight)| ServerSpec {
                address: format!("127.0.0.1:{}", 9000 + index),
                weight: *weight,
            })
            .collect();
        Arc::new(Upstream::new(UpstreamSpec {
            name: "calls".into(),
            servers,
            balance,
            timeouts: Timeouts { connect: second, first_byte: second, idle: second, total: second },
            retries: Retries { enabled: true, budget_percent: 10 },
            connections_max,
            host: None,
            tls: None,
        }))
    }

    #[test]
    fn weights_are_kept_and_spread() {
        for (weights, expected) in [
            (&[1, 1][..], &[0, 1][..]),
            (&[2, 1], &[0, 1, 0]),
            (&[3, 1], &[0, 0, 1, 0]),
            (&[1], &[0]),
        ] {
            assert_eq!(rotation(weights), expected, "{weights:?}");
        }
    }

    #[test]
    fn a_tried_server_is_passed_over_and_all_tried_is_none() {
        for balance in [Balance::RoundRobin, Balance::LeastConnections, Balance::Random] {
            let upstream = upstream(balance, &[5, 1], 10);
            for _ in 0..20 {
                assert_eq!(upstream.pick(&[0]).unwrap().index, 1, "{balance:?}");
            }
            assert!(upstream.pick(&[0, 1]).is_none());
        }
    }

    #[test]
    fn least_connections_takes_the_idle_one_and_permits_come_back() {
        let upstream = upstream(Balance::LeastConnections, &[1, 1], 2);
        let first = upstream.pick(&[]).unwrap();
        let second = upstream.pick(&[]).unwrap();
        assert_ne!(first.index, second.index);
        let permits = (upstream.enter().unwrap(), upstream.enter().unwrap());
        assert!(upstream.enter().is_none(), "the third is over connections_max");
        drop(permits);
        assert!(upstream.enter().is_some());
    }
}
