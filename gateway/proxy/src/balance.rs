//! Which server is asked next: by turn, by lot, or the one with least to do, by weight.
//!
//! A turn that falls on a server out of service goes to the others by their weights, not to the next in
//! line, who would get a double share.
//!
//! Cost: one addition, and a look at one server; at all of them where that one is out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::endpoint::Endpoint;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
    LeastConnections,
    Random,
}

#[derive(Debug)]
pub(crate) struct Balancer {
    balance: Balance,
    weights: Vec<u32>,
    /// Server indices, each as often as its weight says, spread evenly.
    rotation: Vec<usize>,
    turn: AtomicUsize,
}

impl Balancer {
    pub(crate) fn new(balance: Balance, weights: Vec<u32>) -> Balancer {
        Balancer { balance, rotation: rotation(&weights), weights, turn: AtomicUsize::new(0) }
    }

    /// One of the servers' addresses that are `open`.
    pub(crate) fn choose<'a>(
        &self,
        servers: &'a [Vec<Arc<Endpoint>>],
        open: impl Fn(&Endpoint) -> bool,
    ) -> Option<&'a Arc<Endpoint>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match self.balance {
            Balance::LeastConnections => self.least(servers, turn, open),
            Balance::RoundRobin => self.slot(servers, turn, open),
            Balance::Random => self.slot(servers, scattered(turn), open),
        }
    }

    fn slot<'a>(
        &self,
        servers: &'a [Vec<Arc<Endpoint>>],
        turn: usize,
        open: impl Fn(&Endpoint) -> bool,
    ) -> Option<&'a Arc<Endpoint>> {
        let slots = self.rotation.len().max(1);
        let round = turn / slots;
        let at = |server: &usize| {
            let addresses = servers.get(*server)?;
            let (before, from) = addresses.split_at(round % addresses.len().max(1));
            from.iter().chain(before).find(|endpoint| open(endpoint))
        };
        at(self.rotation.get(turn % slots)?).or_else(|| {
            let left = self.rotation.iter().filter(|server| at(server).is_some()).count();
            let instead = round.checked_rem(left)?;
            self.rotation.iter().filter_map(at).nth(instead)
        })
    }

    /// The smallest share of its weight in use. Equals take turns.
    fn least<'a>(
        &self,
        servers: &'a [Vec<Arc<Endpoint>>],
        turn: usize,
        open: impl Fn(&Endpoint) -> bool,
    ) -> Option<&'a Arc<Endpoint>> {
        let (before, from) = servers.split_at(turn % servers.len().max(1));
        let rotated = from.iter().chain(before).flat_map(|addresses| {
            let (before, from) = addresses.split_at(turn % addresses.len().max(1));
            from.iter().chain(before).map(|endpoint| (endpoint, addresses.len()))
        });
        let load = |(endpoint, addresses): &(&Arc<Endpoint>, usize)| {
            let weight = self.weights.get(endpoint.server).copied().unwrap_or(1).max(1) as usize;
            (endpoint.in_flight() + 1).saturating_mul(addresses * 1_000) / weight
        };
        let best = rotated.filter(|(endpoint, _)| open(endpoint)).min_by_key(load);
        best.map(|(endpoint, _)| endpoint)
    }
}

/// Smooth weighted round robin, unrolled: of weights 2 and 1, `0 1 0`.
fn rotation(weights: &[u32]) -> Vec<usize> {
    const TURNS_MAX: u64 = 4_096;
    let divisor = weights.iter().copied().fold(0, common_divisor).max(1);
    let weights: Vec<u32> = weights.iter().map(|weight| weight / divisor).collect();
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut current = vec![0_i64; weights.len()];
    let mut turns = Vec::new();
    for _ in 0..total.min(TURNS_MAX) {
        for (value, weight) in current.iter_mut().zip(&weights) {
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

fn common_divisor(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { common_divisor(other, one % other) }
}

/// A turn scattered over the whole range (Knuth's multiplicative hashing).
fn scattered(turn: usize) -> usize {
    (turn as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) as usize >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_and_spread() {
        for (weights, expected) in [
            (&[1, 1][..], &[0, 1][..]),
            (&[2, 1], &[0, 1, 0]),
            (&[3, 1], &[0, 0, 1, 0]),
            (&[1], &[0]),
            (&[1_000, 500], &[0, 1, 0]),
        ] {
            assert_eq!(rotation(weights), expected, "{weights:?}");
        }
    }
}
