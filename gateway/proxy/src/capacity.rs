//! How many connections and requests there may be at once, and what is turned away beyond that.
//!
//! A connection takes a place when it is accepted, a request a seat once its head has been read. Both are
//! counted before any work is done for them, so what is over costs next to nothing. Each gives its place
//! back on drop, whatever ends it.
//!
//! A v6 client has its whole /64, so that is what an address is here. What comes from a trusted proxy is
//! many clients' and not counted by address; who they are shows only in their requests, and holding a
//! proxy's connections against it would turn away the clients that behave.
//!
//! Not here: the bounds themselves (`Bounds`), the time that a connection may take (`connection.rs`),
//! places at an upstream.
//!
//! Cost: an atomic for each request and connection; for a connection also one look-up behind the lock
//! of one shard, when it begins and when it ends. An entry for each address that is connected.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway_limits::network;
use gateway_policy::{Problem, ProblemCode};
use parking_lot::Mutex;

/// So that connections that begin and end do not wait for each other.
const SHARDS: usize = 16;

/// What was met when something was turned away: the closed set of labels of `colonnade_shed_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shed {
    Connections,
    ConnectionsPerAddress,
    RequestsInFlight,
    FailedAuthentications,
    /// A connection could not be accepted: the process or the machine has no more.
    Descriptors,
    /// A handshake of TLS, or a head of HTTP/2, that took too long.
    HeaderTime,
    /// An HTTP/2 connection that asked for more work than its requests are worth.
    Http2Flood,
}

impl Shed {
    pub(crate) const ALL: [Shed; 7] = [
        Shed::Connections,
        Shed::ConnectionsPerAddress,
        Shed::RequestsInFlight,
        Shed::FailedAuthentications,
        Shed::Descriptors,
        Shed::HeaderTime,
        Shed::Http2Flood,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Shed::Connections => "connections",
            Shed::ConnectionsPerAddress => "connections_per_address",
            Shed::RequestsInFlight => "requests_in_flight",
            Shed::FailedAuthentications => "failed_authentications",
            Shed::Descriptors => "descriptors",
            Shed::HeaderTime => "header_time",
            Shed::Http2Flood => "http2_flood",
        }
    }
}

/// What a client is told that is turned away.
pub(crate) fn turned_away() -> Problem {
    Problem::new(ProblemCode::Overloaded).retry_after_s(1)
}

/// What there is at the moment.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    connections: AtomicUsize,
    requests: AtomicUsize,
    refusals: AtomicUsize,
    places: RandomState,
    by_address: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
}

impl Capacity {
    /// A place for a connection. `per_address`: how many its address may have, if it is held to that.
    ///
    /// # Errors
    /// Which bound it would be beyond.
    pub(crate) fn connect(
        self: &Arc<Self>,
        peer: IpAddr,
        connections_max: usize,
        per_address: Option<usize>,
    ) -> Result<Place, Shed> {
        if !take(&self.connections, connections_max) {
            return Err(Shed::Connections);
        }
        // From here on the place gives back what it took.
        let mut place = Place { capacity: Arc::clone(self), counted: None };
        if let Some(per_address) = per_address {
            let address = network(peer);
            let mut counts = self.counts(address).lock();
            let count = counts.entry(address).or_insert(0);
            if *count >= per_address.max(1) {
                drop(counts);
                return Err(Shed::ConnectionsPerAddress);
            }
            *count += 1;
            place.counted = Some(address);
        }
        Ok(place)
    }

    /// A seat for a request; `None` when there are so many under way already.
    pub(crate) fn seat(&self, requests_max: usize) -> Option<Seat<'_>> {
        take(&self.requests, requests_max).then(|| Seat(&self.requests))
    }

    /// A seat for a refusal while it is written, of as many as there are for requests.
    pub(crate) fn refusal(&self, requests_max: usize) -> Option<Seat<'_>> {
        take(&self.refusals, requests_max).then(|| Seat(&self.refusals))
    }

    fn counts(&self, address: IpAddr) -> &Mutex<HashMap<IpAddr, usize>> {
        &self.by_address[self.places.hash_one(address) as usize % SHARDS]
    }
}

fn take(count: &AtomicUsize, max: usize) -> bool {
    let more = |count: usize| (count < max).then_some(count + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

/// A connection's place.
#[derive(Debug)]
pub(crate) struct Place {
    capacity: Arc<Capacity>,
    /// The address it is counted for.
    counted: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.capacity.connections.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.counted else { return };
        let mut counts = self.capacity.counts(address).lock();
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// A request's seat.
#[derive(Debug)]
pub(crate) struct Seat<'a>(&'a AtomicUsize);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn known(capacity: &Capacity) -> usize {
        capacity.by_address.iter().map(|counts| counts.lock().len()).sum()
    }

    fn connections(capacity: &Capacity) -> usize {
        capacity.connections.load(Ordering::Relaxed)
    }

    #[test]
    fn connections_are_counted_in_all_and_by_address() {
        let capacity = Arc::new(Capacity::default());
        let connect = |from: &str| capacity.connect(at(from), 4, Some(2));
        let first = [connect("192.0.2.1").unwrap(), connect("192.0.2.1").unwrap()];
        assert_eq!(connect("192.0.2.1").unwrap_err(), Shed::ConnectionsPerAddress);
        assert_eq!(connections(&capacity), 2, "what was turned away holds nothing");
        let _others = [connect("192.0.2.2").unwrap(), connect("2001:db8::1").unwrap()];
        assert_eq!(connect("192.0.2.3").unwrap_err(), Shed::Connections);
        drop(first);
        assert_eq!((connections(&capacity), known(&capacity)), (2, 2));
        assert!(connect("192.0.2.1").is_ok());
        assert_eq!(known(&capacity), 2, "an address without connections is forgotten");
    }

    #[test]
    fn a_v6_network_is_one_address_and_a_proxy_none() {
        let capacity = Arc::new(Capacity::default());
        let _place = capacity.connect(at("2001:db8::1"), 10, Some(1)).unwrap();
        let same = capacity.connect(at("2001:db8::ffff:2"), 10, Some(1));
        assert_eq!(same.unwrap_err(), Shed::ConnectionsPerAddress);
        assert!(capacity.connect(at("2001:db8:0:1::1"), 10, Some(1)).is_ok());
        let proxied = [(); 5].map(|()| capacity.connect(at("10.0.0.1"), 10, None).unwrap());
        assert_eq!((connections(&capacity), known(&capacity)), (6, 1));
        drop(proxied);
        assert_eq!(connections(&capacity), 1);
    }

    #[test]
    fn who_gets_no_seat_gives_none_back() {
        let capacity = Capacity::default();
        let seats = [capacity.seat(2), capacity.seat(2)];
        for _ in 0..3 {
            assert!(capacity.seat(2).is_none());
        }
        drop(seats);
        assert_eq!(capacity.requests.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn no_more_requests_are_seated_than_the_bound_however_many_come_at_once() {
        let capacity = Capacity::default();
        let most = AtomicUsize::new(0);
        let barrier = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    for _ in 0..2_000 {
                        if let Some(seat) = capacity.seat(3) {
                            most.fetch_max(
                                capacity.requests.load(Ordering::Relaxed),
                                Ordering::Relaxed,
                            );
                            drop(seat);
                        }
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
        assert_eq!(capacity.requests.into_inner(), 0);
    }

    #[test]
    fn labels_are_a_closed_set() {
        let labels: std::collections::BTreeSet<_> = Shed::ALL.map(Shed::label).into();
        assert_eq!(labels.len(), Shed::ALL.len());
    }
}
