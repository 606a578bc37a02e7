//! Counts failed authentications by where they come from.
//!
//! Whoever guesses is answered 429 instead of 401 after [`FAILURES_MAX`] failures a minute. A good token
//! from the same address is let in all the same: behind one address may be an office, and locking it
//! out would be the attack. So every token is compared, whatever the count; a comparison is a hash.
//!
//! A v6 client has its whole /64, so that is what is counted. The table is bounded: when it is full of
//! young counts, further addresses share one.
//!
//! Not here: what a token may do (`auth`).
//! Cost: one look-up a failure, nothing for who has a token; about 50 bytes an address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use gateway_limits::UnixMs;

/// Failures of one address a minute that are answered as what they are.
pub(crate) const FAILURES_MAX: u32 = 20;
const WINDOW_MS: u64 = 60_000;
/// Addresses that are counted each for itself.
const ADDRESSES_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Throttle {
    counts: Mutex<HashMap<IpAddr, Count>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    began: UnixMs,
}

impl Throttle {
    /// Counts one failure. `Err`: there were too many, and how many seconds until they are forgotten.
    pub(crate) fn failed(&self, from: IpAddr, now: UnixMs) -> Result<(), u32> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = network(from);
        if !counts.contains_key(&place) && counts.len() >= ADDRESSES_MAX {
            counts.retain(|_, count| age_ms(count, now) < WINDOW_MS);
            if counts.len() >= ADDRESSES_MAX {
                // Nobody's address, and so everybody's who has no place of their own.
                place = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        let count = counts.entry(place).or_insert(Count { failures: 0, began: now });
        if age_ms(count, now) >= WINDOW_MS {
            *count = Count { failures: 0, began: now };
        }
        count.failures = count.failures.saturating_add(1);
        if count.failures <= FAILURES_MAX {
            return Ok(());
        }
        let left_ms = WINDOW_MS.saturating_sub(age_ms(count, now));
        Err(u32::try_from(left_ms.div_ceil(1_000)).unwrap_or(1).max(1))
    }
}

fn age_ms(count: &Count, now: UnixMs) -> u64 {
    now.0.saturating_sub(count.began.0)
}

fn network(address: IpAddr) -> IpAddr {
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

    #[test]
    fn failures_beyond_the_bound_are_told_to_wait_and_are_forgotten_in_a_minute() {
        let throttle = Throttle::default();
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..FAILURES_MAX {
            assert_eq!(throttle.failed(from, UnixMs(1_000)), Ok(()));
        }
        assert_eq!(throttle.failed(from, UnixMs(1_000)), Err(60));
        assert_eq!(throttle.failed(from, UnixMs(60_500)), Err(1));
        assert_eq!(throttle.failed("192.0.2.2".parse().unwrap(), UnixMs(1_000)), Ok(()));
        assert_eq!(throttle.failed(from, UnixMs(61_000)), Ok(()));
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
        let address = |n: u32| IpAddr::V4(n.into());
        for n in 0..2 * ADDRESSES_MAX as u32 {
            let _ = throttle.failed(address(n), UnixMs(1_000));
        }
        assert_eq!(throttle.counts.lock().unwrap().len(), ADDRESSES_MAX + 1);
        assert!(throttle.failed(address(1 << 30), UnixMs(1_000)).is_err(), "shared by the rest");
        assert_eq!(throttle.failed(address(0), UnixMs(1_000)), Ok(()), "has its own");
        assert_eq!(throttle.failed(address(1 << 30), UnixMs(62_000)), Ok(()), "old ones made room");
    }
}
