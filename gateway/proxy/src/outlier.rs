//! Outlier ejection: a server that keeps failing gets no requests for a while.
//!
//! What counts is what live requests met: a connection that was not accepted, one that died before the
//! answer's head, a head that did not come in time, and the statuses by which a server in between says that
//! it got none (502, 503, 504). A body that breaks off later does not count: one resource may do that,
//! and a client would choose it.
//!
//! An ejection lasts `base` times the number of those before it that are not forgiven yet, `max` at most;
//! each `base` without one forgives one. A server that comes back is on probation: one failure ejects it
//! again, one success ends that.
//!
//! Not here: how many may be ejected at a time and which server is asked instead (`upstream`), checks
//! that ask without a request (`health`), the clock.
//!
//! Cost: one load for a server that is well; a lock for the one failure that ejects.
//! Sources: Envoy's outlier detection (`consecutive_gateway_failure`, `base_ejection_time`,
//! `max_ejection_percent`), Linkerd's failure accrual.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// When a server is ejected, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutlierRule {
    /// Failures in a row that eject; 0 switches ejection off.
    pub consecutive_failures: u32,
    pub base_ejection: Duration,
    pub max_ejection: Duration,
    /// Of the servers of an upstream; one at least, never the last.
    pub max_ejected_percent: u32,
}

impl OutlierRule {
    /// How many of so many servers may be out at a time.
    fn ejected_max(&self, servers: usize) -> usize {
        if self.max_ejected_percent == 0 {
            return 0;
        }
        let share = servers.saturating_mul(self.max_ejected_percent as usize) / 100;
        share.max(1).min(servers.saturating_sub(1))
    }

    /// Whether one more may be ejected, where `in_service` get requests now, that one included.
    pub(crate) fn may_eject(&self, servers: usize, ejected: usize, in_service: usize) -> bool {
        in_service > 1 && ejected < self.ejected_max(servers)
    }

    fn base_ms(&self) -> u64 {
        (self.base_ejection.as_millis() as u64).max(1)
    }

    /// More ejections than this would be no longer.
    fn count_max(&self) -> u64 {
        (self.max_ejection.as_millis() as u64).div_ceil(self.base_ms()).max(1)
    }
}

/// What live requests say of one server. Times are milliseconds of one clock, the upstream's.
#[derive(Debug, Default)]
pub(crate) struct Outlier {
    failures: AtomicU32,
    /// Until when it gets no requests; in the past, or 0, where it does.
    until_ms: AtomicU64,
    /// Ejections that are not forgiven.
    ejections: Mutex<u64>,
}

impl Outlier {
    /// Whether an ejection is in force or was of late: only then the time matters.
    pub(crate) fn was_ejected(&self) -> bool {
        self.until_ms.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn is_ejected(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms.load(Ordering::Relaxed)
    }

    /// What was under way when it was ejected says nothing of what it will be.
    pub(crate) fn succeeded(&self, now_ms: impl FnOnce() -> u64) {
        if self.failures.load(Ordering::Relaxed) == 0 {
            return;
        }
        if !self.was_ejected() || !self.is_ejected(now_ms()) {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a failure. Whether it is one too many: then [`Outlier::eject`], if that may be.
    pub(crate) fn failed(&self, now_ms: u64, rule: &OutlierRule) -> bool {
        if rule.consecutive_failures == 0 || self.is_ejected(now_ms) {
            return false;
        }
        // Stops at the threshold: where nothing may be ejected it is reached again and again.
        let counted =
            self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |failures| {
                (failures < rule.consecutive_failures).then_some(failures + 1)
            });
        counted.map_or(true, |before| before + 1 >= rule.consecutive_failures)
    }

    /// Takes it out, and says for how long.
    pub(crate) fn eject(&self, now_ms: u64, rule: &OutlierRule) -> Duration {
        let mut ejections = self.ejections.lock();
        let quiet_ms = now_ms.saturating_sub(self.until_ms.load(Ordering::Relaxed));
        let kept = ejections.saturating_sub(quiet_ms / rule.base_ms());
        *ejections = (kept + 1).min(rule.count_max());
        let longest_ms = rule.max_ejection.as_millis() as u64;
        let length_ms = ejections.saturating_mul(rule.base_ms()).min(longest_ms);
        self.until_ms.store(now_ms.saturating_add(length_ms).max(1), Ordering::Relaxed);
        // Probation: the first failure behind it is one too many.
        self.failures.store(rule.consecutive_failures - 1, Ordering::Relaxed);
        Duration::from_millis(length_ms)
    }

    /// Ends an ejection early: it is known to be well again.
    pub(crate) fn readmit(&self, now_ms: u64) {
        if self.is_ejected(now_ms) {
            self.until_ms.store(now_ms, Ordering::Relaxed);
        }
        self.failures.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: OutlierRule = OutlierRule {
        consecutive_failures: 3,
        base_ejection: Duration::from_secs(30),
        max_ejection: Duration::from_secs(100),
        max_ejected_percent: 50,
    };

    /// Ejected at `now_ms` if so many failures say so.
    fn failing(outlier: &Outlier, times: u32, now_ms: u64) -> Vec<bool> {
        (0..times).map(|_| outlier.failed(now_ms, &RULE)).collect()
    }

    #[test]
    fn failures_count_only_in_a_row() {
        let outlier = Outlier::default();
        assert_eq!(failing(&outlier, 2, 0), [false, false]);
        outlier.succeeded(|| 0);
        assert_eq!(failing(&outlier, 4, 0), [false, false, true, true]);
    }

    #[test]
    fn an_ejection_grows_to_its_bound_and_is_forgiven_by_quiet() {
        let outlier = Outlier::default();
        let mut now_ms = 5;
        // How long after the end of the one before the next begins, and how long it lasts.
        for (quiet_s, seconds) in
            [(0, 30), (0, 60), (0, 90), (0, 100), (30, 100), (60, 90), (60, 60), (1_000, 30)]
        {
            now_ms += quiet_s * 1_000;
            let length = outlier.eject(now_ms, &RULE);
            assert_eq!(length.as_secs(), seconds, "after {quiet_s} s");
            let end_ms = now_ms + seconds * 1_000;
            for (at_ms, ejected) in [(now_ms, true), (end_ms - 1, true), (end_ms, false)] {
                assert_eq!(outlier.is_ejected(at_ms), ejected, "at {at_ms} of {end_ms}");
            }
            now_ms = end_ms;
        }
    }

    #[test]
    fn a_server_that_comes_back_is_on_probation() {
        let outlier = Outlier::default();
        assert_eq!(failing(&outlier, 3, 0), [false, false, true]);
        outlier.eject(0, &RULE);
        // What was under way when it was ejected changes nothing.
        assert!(!outlier.failed(10, &RULE));
        outlier.succeeded(|| 10);
        assert!(outlier.failed(30_000, &RULE), "one failure is enough now");
        outlier.succeeded(|| 30_000);
        assert_eq!(failing(&outlier, 3, 30_001), [false, false, true], "one success ends it");
    }

    #[test]
    fn who_is_known_to_be_well_is_back_at_once() {
        let outlier = Outlier::default();
        outlier.eject(7, &RULE);
        outlier.readmit(8);
        assert!(!outlier.is_ejected(8));
        assert_eq!(failing(&outlier, 3, 9), [false, false, true], "and on no probation");
    }

    #[test]
    fn one_may_always_be_ejected_and_the_last_never() {
        for (percent, servers, max) in [
            (50, 1, 0),
            (50, 2, 1),
            (50, 3, 1),
            (50, 4, 2),
            (10, 2, 1),
            (10, 19, 1),
            (10, 20, 2),
            (100, 2, 1),
            (100, 5, 4),
            (0, 5, 0),
            (50, 0, 0),
        ] {
            let rule = OutlierRule { max_ejected_percent: percent, ..RULE };
            assert_eq!(rule.ejected_max(servers), max, "{percent} % of {servers}");
        }
        for (ejected, in_service, may) in [(0, 4, true), (1, 3, true), (2, 2, false), (0, 1, false)]
        {
            assert_eq!(RULE.may_eject(4, ejected, in_service), may, "{ejected} {in_service}");
        }
    }

    #[test]
    fn no_threshold_means_no_ejection() {
        let off = OutlierRule { consecutive_failures: 0, ..RULE };
        let outlier = Outlier::default();
        assert!(!(0..100).any(|_| outlier.failed(0, &off)));
    }
}
