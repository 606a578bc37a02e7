//! The circuit breaker of one upstream: when all of it fails, requests are refused at once.
//!
//! Closed, it counts requests in a row that the upstream was silent to, whichever servers were asked: none
//! accepted, or the connection died before a byte came, or no head came in time. An answer of any status
//! is one; half a head is neither. At the threshold it opens. Open, it lets one request through every
//! `probe_interval`, whose answer closes it; the others are refused without being sent up. Half-open
//! is that moment, not a state to get stuck in: a probe that hangs holds up no later one.
//!
//! Not here: the clock, and which server a probe goes to (`upstream`).
//!
//! Cost: one load while it is closed, one compare-and-swap a probe.
//! Sources: Nygard, *Release It!*, "Circuit Breaker"; Linkerd's failure accrual and its probation.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// When an upstream is given up, and how often it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRule {
    /// Requests in a row that open it; 0 switches it off.
    pub consecutive_failures: u32,
    pub probe_interval: Duration,
}

/// How a request was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Ordinary,
    /// The one that finds out whether the upstream is back.
    Probe,
}

/// Times are milliseconds of one clock, the upstream's.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: AtomicU32,
    /// When the next probe may go; 0 while it is closed.
    probe_at_ms: AtomicU64,
}

impl Breaker {
    pub(crate) fn is_open(&self) -> bool {
        self.probe_at_ms.load(Ordering::Relaxed) != 0
    }

    /// Whether a request would be refused now.
    pub(crate) fn refuses(&self, now_ms: impl FnOnce() -> u64) -> bool {
        match self.probe_at_ms.load(Ordering::Relaxed) {
            0 => false,
            probe_at_ms => now_ms() < probe_at_ms,
        }
    }

    /// Lets a request through, or not.
    pub(crate) fn admit(&self, now_ms: impl FnOnce() -> u64, rule: &BreakerRule) -> Option<Pass> {
        let probe_at_ms = self.probe_at_ms.load(Ordering::Relaxed);
        if probe_at_ms == 0 {
            return Some(Pass::Ordinary);
        }
        let now_ms = now_ms();
        if now_ms < probe_at_ms {
            return None;
        }
        // Of all who come now one wins; it need not be the first.
        let (now, next) = (Ordering::Relaxed, next_ms(now_ms, rule));
        self.probe_at_ms.compare_exchange(probe_at_ms, next, now, now).ok().map(|_| Pass::Probe)
    }

    /// Whether that closed it. What was under way when it opened says nothing of now.
    pub(crate) fn succeeded(&self, pass: Pass) -> bool {
        match pass {
            Pass::Ordinary => {
                if self.failures.load(Ordering::Relaxed) != 0 && !self.is_open() {
                    self.failures.store(0, Ordering::Relaxed);
                }
                false
            }
            Pass::Probe => {
                self.failures.store(0, Ordering::Relaxed);
                self.probe_at_ms.swap(0, Ordering::Relaxed) != 0
            }
        }
    }

    /// Whether that opened it. Where a probe failed the next one is due already.
    pub(crate) fn failed(&self, now_ms: u64, rule: &BreakerRule) -> bool {
        if rule.consecutive_failures == 0 || self.is_open() {
            return false;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let next = next_ms(now_ms, rule);
        failures >= rule.consecutive_failures
            && self
                .probe_at_ms
                .compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

fn next_ms(now_ms: u64, rule: &BreakerRule) -> u64 {
    now_ms.saturating_add(rule.probe_interval.as_millis() as u64).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Barrier;

    use super::*;

    const RULE: BreakerRule =
        BreakerRule { consecutive_failures: 3, probe_interval: Duration::from_secs(1) };

    fn opened_at(now_ms: u64) -> Breaker {
        let breaker = Breaker::default();
        let opened: Vec<bool> = (0..4).map(|_| breaker.failed(now_ms, &RULE)).collect();
        assert_eq!(opened, [false, false, true, false], "it opens once");
        breaker
    }

    #[test]
    fn one_request_a_second_goes_through_an_open_breaker() {
        let breaker = opened_at(0);
        let mut passed = Vec::new();
        for at_ms in (0..3_500).step_by(10) {
            if let Some(pass) = breaker.admit(|| at_ms, &RULE) {
                passed.push((at_ms, pass));
                assert!(!breaker.failed(at_ms, &RULE), "it is open");
            }
        }
        assert_eq!(passed, [1_000, 2_000, 3_000].map(|at_ms| (at_ms, Pass::Probe)));
    }

    #[test]
    fn only_a_probe_closes_it() {
        let breaker = opened_at(0);
        assert!(!breaker.succeeded(Pass::Ordinary), "a straggler");
        assert!(breaker.refuses(|| 999) && !breaker.refuses(|| 1_000));
        let probe = breaker.admit(|| 1_000, &RULE).unwrap();
        assert!(breaker.succeeded(probe));
        assert_eq!(breaker.admit(|| 1_001, &RULE), Some(Pass::Ordinary));
        assert!(!breaker.succeeded(probe), "another probe of the same time closes nothing");
        let again: Vec<bool> = (0..3).map(|_| breaker.failed(1_002, &RULE)).collect();
        assert_eq!(again, [false, false, true], "it begins to count anew");
    }

    #[test]
    fn failures_count_only_in_a_row() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            assert!(!breaker.failed(0, &RULE) && !breaker.failed(0, &RULE));
            breaker.succeeded(Pass::Ordinary);
        }
        assert!(!breaker.is_open());
        let off = BreakerRule { consecutive_failures: 0, ..RULE };
        assert!(!(0..100).any(|_| breaker.failed(0, &off)));
    }

    /// Whoever comes in the same moment, from however many threads: one goes through.
    #[test]
    fn one_of_many_threads_is_the_probe() {
        const THREADS: usize = 8;
        let breaker = opened_at(0);
        for second in 1..=200_u64 {
            let barrier = Barrier::new(THREADS);
            let ask = || {
                barrier.wait();
                breaker.admit(|| second * 1_000, &RULE)
            };
            let passed: Vec<_> = std::thread::scope(|scope| {
                let asking: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
                asking.into_iter().filter_map(|asked| asked.join().unwrap()).collect()
            });
            assert_eq!(passed, [Pass::Probe], "second {second}");
        }
    }
}
