//! How often each key was used since somebody last asked.
//!
//! A line of counters a key, at the same number as its line of limits, so that a request finds it
//! without a look-up. Whoever drains takes what is there and leaves nothing; what a request adds
//! meanwhile is there for the next.
//!
//! Not here: adding up over time and gateways, which a store does.
//!
//! Cost: 32 bytes a key; an addition and a store a request; a drain looks at every open line.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::time::UnixMs;

/// What became of a request of a live key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It went on, or was answered by the gateway.
    Admitted,
    /// A limit refused it.
    Limited,
    /// It was refused behind the limit.
    Refused,
}

/// What was counted of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    pub admitted: u64,
    pub limited: u64,
    pub refused: u64,
    pub last: UnixMs,
}

#[derive(Debug, Default)]
#[repr(align(32))]
struct Line {
    admitted: AtomicU64,
    limited: AtomicU64,
    refused: AtomicU64,
    last_ms: AtomicU64,
}

/// The counters of all lines, in segments that are never moved.
#[derive(Debug)]
pub(crate) struct Tally {
    segments: Box<[OnceLock<Box<[Line]>>]>,
    lines: usize,
}

impl Tally {
    /// So many segments of so many lines.
    pub(crate) fn new(segments: usize, lines: usize) -> Tally {
        Tally { segments: (0..segments).map(|_| OnceLock::new()).collect(), lines }
    }

    /// Makes room for a line.
    pub(crate) fn open(&self, line: u32) {
        if let Some(segment) = self.segments.get(line as usize / self.lines) {
            segment.get_or_init(|| (0..self.lines).map(|_| Line::default()).collect());
        }
    }

    /// Counts one request. Of a line that was never opened nothing is counted.
    #[inline]
    pub(crate) fn add(&self, line: u32, what: Use, at: UnixMs) {
        let segment = self.segments.get(line as usize / self.lines).and_then(OnceLock::get);
        let Some(line) = segment.and_then(|lines| lines.get(line as usize % self.lines)) else {
            return;
        };
        let counter = match what {
            Use::Admitted => &line.admitted,
            Use::Limited => &line.limited,
            Use::Refused => &line.refused,
        };
        // In this order: who drains the count finds the time.
        line.last_ms.fetch_max(at.0, Ordering::Relaxed);
        counter.fetch_add(1, Ordering::Release);
    }

    /// Takes what every line has counted.
    pub(crate) fn drain(&self, mut taken: impl FnMut(u32, Used)) {
        for (segment, lines) in self.segments.iter().enumerate() {
            for (number, line) in lines.get().into_iter().flatten().enumerate() {
                // Most lines have nothing: three loads, and no write to a line that requests write to.
                let counters = [&line.admitted, &line.limited, &line.refused];
                if counters.iter().all(|counter| counter.load(Ordering::Relaxed) == 0) {
                    continue;
                }
                let [admitted, limited, refused] =
                    counters.map(|counter| counter.swap(0, Ordering::Acquire));
                let last = UnixMs(line.last_ms.load(Ordering::Relaxed));
                let used = Used { admitted, limited, refused, last };
                taken((segment * self.lines + number) as u32, used);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// U2, U8
    #[test]
    fn what_is_counted_is_taken_once_and_told_apart() {
        let tally = Tally::new(2, 4);
        tally.open(1);
        tally.open(6);
        for (line, what, at) in [
            (1, Use::Admitted, 10),
            (1, Use::Admitted, 30),
            (1, Use::Limited, 20),
            (6, Use::Refused, 5),
            (400, Use::Refused, 5),
        ] {
            tally.add(line, what, UnixMs(at));
        }
        let taken = || {
            let mut all = Vec::new();
            tally.drain(|line, used| all.push((line, used)));
            all
        };
        let one = Used { admitted: 2, limited: 1, refused: 0, last: UnixMs(30) };
        let six = Used { refused: 1, last: UnixMs(5), ..Used::default() };
        assert_eq!(taken(), [(1, one), (6, six)]);
        assert_eq!(taken(), []);
    }

    /// U2
    #[test]
    fn nothing_is_lost_or_counted_twice_while_others_count() {
        let tally = Tally::new(1, 4);
        tally.open(0);
        let mut sum = 0;
        std::thread::scope(|scope| {
            let counting: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..20_000).for_each(|at| tally.add(0, Use::Admitted, UnixMs(at)));
                    })
                })
                .collect();
            while counting.iter().any(|thread| !thread.is_finished()) {
                tally.drain(|_, used| sum += used.admitted);
            }
        });
        tally.drain(|_, used| sum += used.admitted);
        assert_eq!(sum, 80_000);
    }
}
