//! Bounded waits for an effect.

use std::time::{Duration, Instant};

/// Long enough for a debug build on a busy machine, short enough to notice.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How often an effect is looked for.
const INTERVAL: Duration = Duration::from_millis(5);

/// Looks until `seen` answers, and panics with `what` when it does not in time.
pub(crate) fn until<T>(what: &str, seen: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, seen).unwrap_or_else(|| panic!("waited {DEADLINE:?} in vain for {what}"))
}

/// Looks until `seen` answers or `limit` has passed.
pub(crate) fn within<T>(limit: Duration, mut seen: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = seen() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(INTERVAL);
    }
}
