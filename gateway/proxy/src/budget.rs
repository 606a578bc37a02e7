//! How many requests may go up a second time: a share of all that go up.
//!
//! Not here: which request may be repeated at all (`reach`).

use std::sync::atomic::{AtomicU32, Ordering};

/// Repeats that a budget can save up, and begins with.
const REPEATS_SAVED_MAX: u32 = 10;
/// What one repeat costs; a request brings in the budget's percentage.
const REPEAT_COST: u32 = 100;

/// When a request may go up a second time; see `reach.rs` for which may at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Most further tries of one request; 0, and every request goes up once.
    pub max: u32,
    /// Most repeats, in percent of the requests.
    pub budget_percent: u32,
}

/// What repeats may be paid from: every request brings in a little, so a sick upstream gets a few
/// percent more than it was asked for, not double.
#[derive(Debug)]
pub(crate) struct Budget {
    percent: u32,
    saved: AtomicU32,
}

impl Budget {
    const SAVED_MAX: u32 = REPEATS_SAVED_MAX * REPEAT_COST;

    pub(crate) fn new(retries: Retries) -> Budget {
        let percent = if retries.max > 0 { retries.budget_percent } else { 0 };
        // Of no percent there is nothing to begin with either.
        Budget { percent, saved: AtomicU32::new(if percent == 0 { 0 } else { Budget::SAVED_MAX }) }
    }

    pub(crate) fn earn(&self) {
        if self.saved.load(Ordering::Relaxed) < Budget::SAVED_MAX {
            self.saved.fetch_add(self.percent, Ordering::Relaxed);
        }
    }

    /// Whether a repeat could not be paid for now, but could be later. Where repeats are switched
    /// off there is nothing to wait for, and nothing is spent.
    pub(crate) fn is_spent(&self) -> bool {
        self.percent > 0 && self.saved.load(Ordering::Relaxed) < REPEAT_COST
    }

    pub(crate) fn spend(&self) -> bool {
        let paid = |saved: u32| saved.checked_sub(REPEAT_COST);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_a_share_of_the_requests() {
        for (max, budget_percent, at_first, after_a_hundred) in
            [(1, 10, 10, 10), (3, 5, 10, 5), (1, 0, 0, 0), (0, 10, 0, 0)]
        {
            let budget = Budget::new(Retries { max, budget_percent });
            let spent = || (0..1_000).take_while(|_| budget.spend()).count();
            assert_eq!(spent(), at_first, "{max} {budget_percent}");
            assert_eq!(budget.is_spent(), at_first > 0, "{max} {budget_percent}");
            (0..100).for_each(|_| budget.earn());
            assert!(!budget.is_spent(), "{max} {budget_percent}");
            assert_eq!(spent(), after_a_hundred, "{max} {budget_percent}");
        }
    }
}
