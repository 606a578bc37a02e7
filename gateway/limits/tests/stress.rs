//! Threads, real cores, and readings of the clock that come late: what no single thread can show.
//! The clock is virtual, so each run passes through hundreds of windows in a moment.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;

use gateway_limits::{Meters, Quota, QuotaKind, Quotas, UnixMs};

const THREADS: u64 = 4;
const START: u64 = 1_711_700_012_345;

fn quotas(limits: &[(u32, u64, QuotaKind)]) -> Quotas {
    let quota = |(index, &(requests, window_ms, kind)): (usize, &(u32, u64, QuotaKind))| Quota {
        name: format!("limit-{index}").into(),
        requests,
        window_ms,
        kind,
    };
    Quotas::new(limits.iter().enumerate().map(quota).collect()).unwrap()
}

/// Small and repeatable; only has to be uneven.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[derive(Default)]
struct Tally {
    admitted: u32,
    refused: u32,
    /// What `remaining` said to each admitted request.
    remaining: Vec<u32>,
}

/// A clock that everybody reads and pushes on, but never further than `REACH_MS` beyond the oldest
/// reading still in use: a thread that the scheduler put to sleep would otherwise wake up hours late.
struct Clock {
    now: AtomicU64,
    read: [AtomicU64; THREADS as usize],
}

const REACH_MS: u64 = 400;

impl Clock {
    fn read(&self, thread: usize, step_ms: u64) -> u64 {
        let mut now = self.now.load(Ordering::Acquire);
        self.read[thread].store(now, Ordering::Release);
        while self.read.iter().any(|read| read.load(Ordering::Acquire) + REACH_MS < now + step_ms) {
            thread::yield_now();
            now = self.now.load(Ordering::Acquire);
            self.read[thread].store(now, Ordering::Release);
        }
        self.now.fetch_add(step_ms, Ordering::AcqRel)
    }

    /// Lets the others go on.
    fn leave(&self, thread: usize) {
        self.read[thread].store(u64::MAX / 2, Ordering::Release);
    }
}

/// All threads ask for one key until the clock has run its course; readings are up to `late_ms`
/// old, or `REACH_MS` more. Counted by the window that the answers name.
fn storm(quotas: &Quotas, late_ms: u64, run_ms: u64) -> BTreeMap<u64, Tally> {
    let meters = Meters::new();
    let slot = meters.assign("k", quotas).unwrap();
    let clock =
        Clock { now: START.into(), read: [const { AtomicU64::new(START) }; THREADS as usize] };
    let ask = |thread: usize| {
        let mut dice = Dice((thread as u64 + 1) * 0x9e37_79b9);
        let mut windows: BTreeMap<u64, Tally> = BTreeMap::new();
        loop {
            let now = clock.read(thread, dice.roll(2));
            if now > START + run_ms {
                clock.leave(thread);
                return windows;
            }
            let taken = meters.take(slot, quotas, UnixMs(now - dice.roll(late_ms + 1)));
            let states = taken.unwrap_or_else(|spent| spent.allowance);
            let state = states.states()[0];
            let tally = windows.entry(state.reset_at_s).or_default();
            if taken.is_ok() {
                tally.admitted += 1;
                tally.remaining.push(state.remaining);
            } else {
                tally.refused += 1;
            }
        }
    };
    let by_thread = thread::scope(|scope| {
        let ask = &ask;
        let threads: Vec<_> =
            (0..THREADS as usize).map(|thread| scope.spawn(move || ask(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let mut all: BTreeMap<u64, Tally> = BTreeMap::new();
    for (window, tally) in by_thread.into_iter().flatten() {
        let sum = all.entry(window).or_default();
        sum.admitted += tally.admitted;
        sum.refused += tally.refused;
        sum.remaining.extend(tally.remaining);
    }
    all
}

/// R4 R7: never more than N; exactly N wherever anybody was refused; and each number of remaining
/// requests is told once. Late readings cross window boundaries, at one second by up to ten windows.
#[test]
fn racing_threads_with_late_clocks_share_out_exactly_the_limit() {
    for (requests, window_ms, late_ms) in
        [(300, 1_000, 500), (60, 1_000, 9_000), (7, 2_000, 500), (1, 1_000, 0)]
    {
        let windows = storm(&quotas(&[(requests, window_ms, QuotaKind::Window)]), late_ms, 300_000);
        assert!(windows.len() >= (300_000 / window_ms) as usize, "{} windows", windows.len());
        let mut full = 0;
        for (window, tally) in &windows {
            let mut told = tally.remaining.clone();
            told.sort_unstable();
            let expected: Vec<u32> = (requests - tally.admitted.min(requests)..requests).collect();
            assert_eq!(told, expected, "{requests} in the window that ends at {window}");
            if tally.refused > 0 {
                assert_eq!(tally.admitted, requests, "refused before the window was full");
                full += 1;
            }
        }
        assert!(
            full * 2 > windows.len(),
            "{requests}: demand was too low to prove anything: {full}"
        );
    }
}

/// R7: the sliding count never exceeds N in a window either, and refuses nothing lightly.
#[test]
fn a_sliding_limit_never_exceeds_its_number_in_a_window_under_threads() {
    let windows = storm(&quotas(&[(300, 1_000, QuotaKind::Sliding)]), 500, 200_000);
    let counts: Vec<u32> = windows.values().map(|tally| tally.admitted).collect();
    assert!(counts.iter().all(|&count| count <= 300), "{counts:?}");
    // Under steady demand the estimate lets through about N a window.
    let sum: u32 = counts.iter().sum();
    assert!(sum as usize > counts.len() * 200, "{sum} in {} windows", counts.len());
}

/// R7: a bucket admits its burst and what refilled, to the request, whoever asks.
#[test]
fn a_bucket_under_threads_never_exceeds_burst_and_rate() {
    let (requests, burst, run_ms) = (600, 20, 60_000);
    let windows = storm(&quotas(&[(requests, 60_000, QuotaKind::Gcra { burst })]), 500, run_ms);
    let admitted: u32 = windows.values().map(|tally| tally.admitted).sum();
    // Ten a second; the oldest reading is a second before the first.
    assert!(admitted <= burst + requests + 10, "{admitted}");
    assert!(admitted >= requests - burst, "{admitted}");
}

/// R7: with several limits the scarcest decides, and the others hold exactly what was admitted: no
/// reservation of a refused request stays behind.
#[test]
fn nothing_stays_reserved_in_one_limit_for_a_request_that_another_refused() {
    const DAY: u64 = 86_400_000;
    for kinds in [
        [(1_000_000, DAY, QuotaKind::Window), (40, 60_000, QuotaKind::Window)],
        [(1_000_000, DAY, QuotaKind::Sliding), (40, 60_000, QuotaKind::Window)],
        [(1_000_000, DAY, QuotaKind::Window), (40, 60_000, QuotaKind::Sliding)],
        [(1_000_000, DAY, QuotaKind::Window), (40, 60_000, QuotaKind::Gcra { burst: 40 })],
    ] {
        let declared = quotas(&kinds);
        let meters = Meters::new();
        for round in 0..200 {
            let slot = meters.assign(&format!("k{round}"), &declared).unwrap();
            let (admitted, go) = (AtomicU32::new(0), AtomicBool::new(false));
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        while !go.load(Ordering::Acquire) {
                            thread::yield_now();
                        }
                        for _ in 0..25 {
                            let passed = meters.take(slot, &declared, UnixMs(START)).is_ok();
                            admitted.fetch_add(u32::from(passed), Ordering::Relaxed);
                        }
                    });
                }
                go.store(true, Ordering::Release);
            });
            assert_eq!(admitted.into_inner(), 40, "{kinds:?}");
            let spent = meters.take(slot, &declared, UnixMs(START)).unwrap_err();
            let left: Vec<u32> =
                spent.allowance.states().iter().map(|state| state.remaining).collect();
            assert_eq!(left, [1_000_000 - 40, 0], "{kinds:?}");
        }
    }
}

/// R12: reloads in the middle of a storm, with and without the limit's neighbours, lose nothing.
#[test]
fn reloads_in_a_storm_refill_nothing() {
    let plain = quotas(&[(5_000, 60_000, QuotaKind::Window)]);
    let more =
        quotas(&[(1_000_000, 3_600_000, QuotaKind::Sliding), (5_000, 60_000, QuotaKind::Window)]);
    let meters = Meters::new();
    let admitted = AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (meters, plain, more, admitted) = (&meters, &plain, &more, &admitted);
            scope.spawn(move || {
                for round in 0..2_000 {
                    let quotas = if (round + thread) % 2 == 0 { plain } else { more };
                    let slot = meters.assign("k", quotas).unwrap();
                    let passed =
                        (0..3).filter(|_| meters.take(slot, quotas, UnixMs(START)).is_ok());
                    admitted.fetch_add(passed.count() as u32, Ordering::Relaxed);
                    if round % 100 == 0 {
                        meters.retain(&|id| id == "k", UnixMs(START + round * 60_000));
                    }
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 5_000);
}
