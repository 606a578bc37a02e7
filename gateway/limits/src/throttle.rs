//! Counts failed authentications by where they come from.
//!
//! Whoever guesses is told to wait once so many have failed within a minute. Only failures come here: who
//! has the right key or token is let in whatever stands in the table. Behind one address may be an office,
//! and locking it out would be the attack. So every credential is looked at; a look is a hash.
//!
//! A v6 client has its whole /64, so that is what is counted. The table is bounded: where a shard is full
//! of young counts, further addresses share one.
//!
//! Not here: what a failure is, and what is answered (`gateway-proxy`, `gateway-admin`).
//!
//! Cost: one look-up a failure, behind the lock of one shard of [`SHARDS`]; nothing for who has the right
//! credential. About 60 bytes an address, [`ADDRESSES_MAX`] addresses.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use parking_lot::Mutex;

use crate::time::UnixMs;

const WINDOW_MS: u64 = 60_000;
/// Addresses that are counted each for itself.
pub const ADDRESSES_MAX: usize = 16_384;
/// So that a flood from many addresses waits for itself on one of them, not on all.
const SHARDS: usize = 16;
/// How often a full shard is searched for counts that are over.
const SWEEP_EVERY_MS: u64 = 1_000;
/// Nobody's address, and so everybody's who has no place of their own.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Failures by address.
#[derive(Debug, Default)]
pub struct Throttle {
    /// Seeded at random: nobody can choose addresses that fall into one shard.
    places: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    counts: HashMap<IpAddr, Count>,
    swept: UnixMs,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    began: UnixMs,
}

impl Throttle {
    /// Counts one failure. `Err`: there were more than `failures_max` within a minute, and how many
    /// seconds until they are forgotten.
    pub fn failed(&self, from: IpAddr, failures_max: u32, now: UnixMs) -> Result<(), u32> {
        let place = network(from);
        let shard = self.places.hash_one(place) as usize % SHARDS;
        self.shards[shard].lock().failed(place, failures_max, now)
    }
}

impl Shard {
    fn failed(&mut self, mut place: IpAddr, failures_max: u32, now: UnixMs) -> Result<(), u32> {
        if !self.counts.contains_key(&place) && self.is_full(now) {
            place = OTHERS;
        }
        let count = self.counts.entry(place).or_insert(Count { failures: 0, began: now });
        if age_ms(count.began, now) >= WINDOW_MS {
            *count = Count { failures: 0, began: now };
        }
        count.failures = count.failures.saturating_add(1);
        if count.failures <= failures_max {
            return Ok(());
        }
        let left_ms = WINDOW_MS.saturating_sub(age_ms(count.began, now));
        Err(u32::try_from(left_ms.div_ceil(1_000)).unwrap_or(1).max(1))
    }

    /// Whether there is no room for one more address, once old counts have made room.
    fn is_full(&mut self, now: UnixMs) -> bool {
        let is_full = |counts: &HashMap<IpAddr, Count>| counts.len() >= ADDRESSES_MAX / SHARDS;
        // A search looks at the whole shard, and who floods must not have one with each failure.
        if is_full(&self.counts) && age_ms(self.swept, now) >= SWEEP_EVERY_MS {
            self.swept = now;
            self.counts.retain(|_, count| age_ms(count.began, now) < WINDOW_MS);
        }
        is_full(&self.counts)
    }
}

fn age_ms(began: UnixMs, now: UnixMs) -> u64 {
    now.0.saturating_sub(began.0)
}

/// What counts as one client: a v4 address, or the /64 that a v6 client has to choose from.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MAX: u32 = 20;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    fn known(throttle: &Throttle) -> usize {
        throttle.shards.iter().map(|shard| shard.lock().counts.len()).sum()
    }

    #[test]
    fn failures_beyond_the_bound_are_told_to_wait_and_are_forgotten_in_a_minute() {
        let throttle = Throttle::default();
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..MAX {
            assert_eq!(throttle.failed(from, MAX, UnixMs(1_000)), Ok(()));
        }
        assert_eq!(throttle.failed(from, MAX, UnixMs(1_000)), Err(60));
        assert_eq!(throttle.failed(from, MAX, UnixMs(60_500)), Err(1));
        assert_eq!(throttle.failed("192.0.2.2".parse().unwrap(), MAX, UnixMs(1_000)), Ok(()));
        assert_eq!(throttle.failed(from, MAX, UnixMs(61_000)), Ok(()));
    }

    #[test]
    fn a_network_of_v6_is_one_client_and_v4_in_its_clothes_is_v4() {
        let place = |text: &str| network(text.parse().unwrap());
        assert_eq!(place("2001:db8::1"), place("2001:db8::ffff:1"));
        assert_ne!(place("2001:db8::1"), place("2001:db8:0:1::1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
    }

    #[test]
    fn the_table_does_not_grow_beyond_its_bound() {
        let throttle = Throttle::default();
        for n in 0..4 * ADDRESSES_MAX as u32 {
            let _ = throttle.failed(address(n), MAX, UnixMs(10_000));
        }
        assert_eq!(known(&throttle), ADDRESSES_MAX + SHARDS, "and one of each shard's others");
        assert!(
            throttle.failed(address(1 << 30), MAX, UnixMs(10_000)).is_err(),
            "shared by the rest"
        );
        assert_eq!(throttle.failed(address(0), MAX, UnixMs(10_000)), Ok(()), "has its own");
        assert_eq!(
            throttle.failed(address(1 << 30), MAX, UnixMs(71_000)),
            Ok(()),
            "old ones made room"
        );
    }

    #[test]
    fn a_flood_of_addresses_searches_a_full_shard_once_a_second() {
        let mut shard = Shard::default();
        for n in 0..ADDRESSES_MAX as u32 {
            let _ = shard.failed(address(n), MAX, UnixMs(10_000));
        }
        // All of them are over by now, but the shard has just been looked through.
        shard.swept = UnixMs(80_000);
        let before = shard.counts.len();
        let _ = shard.failed(address(1 << 30), MAX, UnixMs(80_500));
        assert_eq!(shard.counts.len(), before);
        let _ = shard.failed(address(1 << 30), MAX, UnixMs(81_000));
        assert!(shard.counts.len() <= 2, "{}", shard.counts.len());
    }
}
