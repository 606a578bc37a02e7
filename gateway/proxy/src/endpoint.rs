//! One address at which a server of an upstream is, and what is known of it.
//!
//! A name may stand for several addresses; each of them is connected to, checked and ejected by itself,
//! and they share the weight of their server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pingora::upstreams::peer::HttpPeer;

use crate::h2_lines::Http2Lines;
use crate::health::Health;
use crate::outlier::Outlier;
use crate::upstreams::{ServerState, UpstreamSpec};

/// Addresses of one name that are used; the others of a longer list are left.
pub(crate) const ADDRESSES_MAX: usize = 32;

/// The addresses of each server, in the order of the configuration; none until its name resolves.
pub(crate) type Servers = Vec<Vec<Arc<Endpoint>>>;

#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Its server's place in the configuration.
    pub(crate) server: usize,
    pub(crate) address: SocketAddr,
    /// How to connect there.
    pub(crate) peer: HttpPeer,
    /// Its shared connections.
    pub(crate) http2: Http2Lines,
    in_flight: AtomicUsize,
    pub(crate) health: Health,
    pub(crate) outlier: Outlier,
}

impl Endpoint {
    pub(crate) fn new(server: usize, address: SocketAddr, spec: &UpstreamSpec) -> Endpoint {
        Endpoint {
            server,
            address,
            peer: peer(address, spec),
            http2: Http2Lines::default(),
            in_flight: AtomicUsize::new(0),
            health: Health::default(),
            outlier: Outlier::default(),
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn state(&self, now_ms: u64) -> ServerState {
        if !self.health.is_healthy() {
            ServerState::Unhealthy
        } else if self.outlier.is_ejected(now_ms) {
            ServerState::Ejected
        } else {
            ServerState::InService
        }
    }

    /// Whether requests go there; `now_ms` is asked for only where it matters.
    pub(crate) fn is_in_service(&self, now_ms: impl FnOnce() -> u64) -> bool {
        self.health.is_healthy()
            && !(self.outlier.was_ejected() && self.outlier.is_ejected(now_ms()))
    }
}

/// The peer to connect to: TCP alone, within a time and under a TLS that are ours (`dial`).
fn peer(address: SocketAddr, spec: &UpstreamSpec) -> HttpPeer {
    let mut peer = HttpPeer::new(address, false, String::new());
    peer.options.read_timeout = Some(spec.timeouts.first_byte);
    peer.options.write_timeout = Some(spec.timeouts.idle);
    peer
}

/// The servers as their names resolve now. What is known of an address stays with it as long as its
/// name has it; a name that stops resolving keeps its last addresses, for the servers may well be there.
pub(crate) fn resolved(
    spec: &UpstreamSpec,
    before: &[Vec<Arc<Endpoint>>],
    look_up: impl Fn(&str) -> Vec<SocketAddr>,
) -> Servers {
    let servers = spec.servers.iter().enumerate();
    servers
        .map(|(server, written)| {
            let known = before.get(server).map(Vec::as_slice).unwrap_or_default();
            let mut found = look_up(&written.address);
            if found.is_empty() {
                return known.to_vec();
            }
            // A name server gives them in another order each time.
            found.sort_unstable();
            found.dedup();
            found.truncate(ADDRESSES_MAX);
            let endpoint = |address: SocketAddr| {
                let kept = known.iter().find(|endpoint| endpoint.address == address);
                kept.map_or_else(|| Arc::new(Endpoint::new(server, address, spec)), Arc::clone)
            };
            found.into_iter().map(endpoint).collect()
        })
        .collect()
}
