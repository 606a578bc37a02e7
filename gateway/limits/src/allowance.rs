//! What a decision tells the caller: one [`LimitState`] a limit, in the order of the quotas.
//!
//! Plain numbers in a fixed array, no heap, so that they can travel with the request to the place
//! that writes headers. Names and windows stay in `Quotas`; the caller has them.

use crate::quota::LIMITS_PER_KEY_MAX;

/// One limit right after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LimitState {
    /// Requests a window may hold: the quota's number.
    pub limit: u32,
    /// Whole requests that would still pass at this instant. For `window` it falls by one with each
    /// admitted request; for `sliding` and `gcra` it also grows by itself as time passes, and for
    /// `gcra` it is at most the burst.
    pub remaining: u32,
    /// Unix seconds, rounded up. `window`: the end of the window, constant inside it and in the
    /// future. `sliding`: the end of the next window, when nothing sent in this one weighs any
    /// more; constant inside a window. `gcra`: when the bucket is full again; moves with each
    /// request, since a bucket has no window.
    pub reset_at_s: u64,
    /// Seconds from the decision's time to that moment, rounded up.
    pub resets_in_s: u64,
}

/// The states of all limits of one key, in the order of its quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    states: [LimitState; LIMITS_PER_KEY_MAX],
    count: usize,
}

impl Allowance {
    /// Room for `count` states, all zero.
    pub(crate) fn of(count: usize) -> Allowance {
        Allowance { states: Default::default(), count: count.min(LIMITS_PER_KEY_MAX) }
    }

    pub(crate) fn set(&mut self, index: usize, state: LimitState) {
        if let Some(place) = self.states.get_mut(index) {
            *place = state;
        }
    }

    /// Same order and number as the quotas the request was judged by.
    pub fn states(&self) -> &[LimitState] {
        self.states.get(..self.count).unwrap_or_default()
    }
}

/// A refusal. Nothing was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limit {limit} is spent, {retry_after_s} s to wait")]
pub struct Spent {
    /// All limits as they stood; `remaining` of the refusing one is 0.
    pub allowance: Allowance,
    /// Index of the refusing limit; where several refuse, of the one that refuses longest.
    pub limit: usize,
    /// At least 1. A request sent that many seconds later passes every limit, if the key sends
    /// nothing else meanwhile.
    pub retry_after_s: u64,
}
