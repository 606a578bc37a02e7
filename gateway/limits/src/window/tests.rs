//! The arithmetic against tables with the edge in the middle.
#![allow(clippy::unwrap_used)]

use super::*;

pub(super) fn rule(requests: u32, window_ms: u64, kind: QuotaKind) -> Rule {
    Rule::of(&Quota { name: "minute".into(), requests, window_ms, kind })
}

/// One key at one limit, as a single thread sees it.
pub(super) struct Key {
    pub(super) rule: Rule,
    pub(super) phase_ms: u64,
    pub(super) word: u64,
}

impl Key {
    fn new(requests: u32, window_ms: u64, kind: QuotaKind, phase_ms: u64) -> Key {
        Key { rule: rule(requests, window_ms, kind), phase_ms, word: 0 }
    }

    /// The state after an admission, or the wait in milliseconds and the state of a refusal.
    pub(super) fn ask(&mut self, at_ms: u64) -> Result<LimitState, (u64, LimitState)> {
        match self.rule.judge(self.word, self.phase_ms, at_ms) {
            Verdict::Admit { next, after } => {
                self.word = next;
                Ok(after)
            }
            Verdict::Refuse { wait_ms, state } => Err((wait_ms, state)),
        }
    }

    fn admitted(&mut self, attempts: u32, at_ms: u64) -> u32 {
        (0..attempts).filter(|_| self.ask(at_ms).is_ok()).count() as u32
    }
}

pub(super) const DAY_0: u64 = 1_711_699_980_000; // a whole minute

/// R1 R4 R5: a window ends where its phase says, not on the clock's minute, and then all is free.
#[test]
fn a_window_ends_at_its_phase_and_not_before() {
    // Phase 40 s: windows end at second 20 of each clock minute.
    let end = DAY_0 + 20_000;
    for (at, admitted) in
        [(end - 60_000, 3), (end - 1, 3), (end, 6), (end + 59_999, 6), (end + 60_000, 6)]
    {
        let mut key = Key::new(3, 60_000, QuotaKind::Window, 40_000);
        let first = key.admitted(5, end - 60_000);
        assert_eq!(first + key.admitted(5, at), admitted, "at={at}");
    }
}

/// R4 R5 R8: the numbers of each answer inside one window.
#[test]
fn remaining_falls_by_one_to_zero_and_reset_stays_the_windows_end() {
    let mut key = Key::new(3, 60_000, QuotaKind::Window, 40_000);
    let end = DAY_0 + 20_000;
    for (at, remaining) in [(end - 59_000, 2), (end - 30_500, 1), (end - 1, 0)] {
        let state = key.ask(at).unwrap();
        let resets_in_s = (end - at).div_ceil(1_000);
        assert_eq!(
            state,
            LimitState { limit: 3, remaining, reset_at_s: end / 1_000, resets_in_s },
            "at={at}"
        );
    }
    let (wait_ms, state) = key.ask(end - 1).unwrap_err();
    assert_eq!((wait_ms, state.remaining, state.reset_at_s), (1, 0, end / 1_000));
}

/// R5: windows that are not whole seconds show the next whole second, after their end.
#[test]
fn the_reset_of_an_odd_window_is_rounded_up() {
    let key = Key::new(1, 1_250, QuotaKind::Window, 0);
    for (at, reset_at_s) in
        [(0, 2), (1_249, 2), (1_250, 3), (2_499, 3), (2_500, 4), (3_750, 5), (5_000, 7)]
    {
        let state = key.rule.look(0, 0, at);
        assert_eq!(state.reset_at_s, reset_at_s, "at={at}");
        assert!(state.reset_at_s * 1_000 > at, "at={at}");
    }
}

#[test]
fn a_phase_is_whole_seconds_below_the_window() {
    for (window_ms, seed, phase_ms) in [
        (1_000, 77, 0),
        (1_999, 77, 0),
        (2_000, 77, 1_000),
        (60_000, 59, 59_000),
        (60_000, 60, 0),
        (2_678_400_000, u32::MAX, u64::from(u32::MAX % 2_678_400) * 1_000),
    ] {
        assert_eq!(
            rule(1, window_ms, QuotaKind::Window).phase_ms(seed),
            phase_ms,
            "{window_ms} {seed}"
        );
    }
}

/// R12: numbers may change in mid-window; the count stays.
#[test]
fn another_number_is_compared_with_the_same_count() {
    for kind in [QuotaKind::Window, QuotaKind::Sliding] {
        let mut key = Key::new(10, 60_000, kind, 0);
        assert_eq!(key.admitted(8, DAY_0), 8);
        for (requests, remaining) in [(10, 2), (9, 1), (8, 0), (7, 0), (300, 292)] {
            key.rule = rule(requests, 60_000, kind);
            assert_eq!(
                key.rule.look(key.word, 0, DAY_0).remaining,
                remaining,
                "{kind:?} {requests}"
            );
            let mut copy = Key { word: key.word, ..key };
            assert_eq!(copy.admitted(400, DAY_0), remaining, "{kind:?} {requests}");
        }
    }
}

#[test]
fn a_full_window_weighs_less_and_less_in_the_next_one() {
    // 60 in the first minute; at the start of the next one all of them weigh, at its end none.
    for (after_ms, free) in
        [(0, 0), (999, 0), (1_000, 1), (30_000, 30), (59_999, 59), (60_000, 60), (120_000, 60)]
    {
        let mut key = Key::new(60, 60_000, QuotaKind::Sliding, 0);
        assert_eq!(key.admitted(100, DAY_0 + 59_999), 60);
        assert_eq!(key.admitted(100, DAY_0 + 60_000 + after_ms), free, "after={after_ms}");
    }
}

#[test]
fn a_bucket_gives_its_burst_at_once_and_then_its_rate() {
    // 60 a minute, burst 10: one a second.
    for (after_ms, free) in
        [(0, 0), (999, 0), (1_000, 1), (5_500, 5), (9_999, 9), (10_000, 10), (3_600_000, 10)]
    {
        let mut key = Key::new(60, 60_000, QuotaKind::Gcra { burst: 10 }, 0);
        assert_eq!(key.admitted(100, DAY_0), 10);
        assert_eq!(key.admitted(100, DAY_0 + after_ms), free, "after={after_ms}");
    }
}

#[test]
fn a_bucket_says_what_is_left_and_when_it_is_full_again() {
    let mut key = Key::new(60, 60_000, QuotaKind::Gcra { burst: 2 }, 0);
    let full_in = |s: u64, remaining| LimitState {
        limit: 60,
        remaining,
        reset_at_s: DAY_0 / 1_000 + s,
        resets_in_s: s,
    };
    assert_eq!(key.rule.look(key.word, 0, DAY_0), full_in(0, 2));
    assert_eq!(key.ask(DAY_0), Ok(full_in(1, 1)));
    assert_eq!(key.ask(DAY_0), Ok(full_in(2, 0)));
    assert_eq!(key.ask(DAY_0), Err((1_000, full_in(2, 0))));
    assert_eq!(key.rule.look(key.word, 0, DAY_0 + 1_000).remaining, 1);
}

/// A thread that slept must not reopen a window; a clock that was wrong must not lock a key out.
#[test]
fn a_late_reading_counts_in_the_words_window_and_a_wrong_clock_is_corrected() {
    for (window_ms, late_ms, reopened) in [
        (60_000, 1, false),
        (60_000, 60_000, false), // one window: tolerated whatever its length
        (60_000, 119_999, true), // two windows, and the start of the word's is far ahead
        (60_000, 3_600_000, true),
        (1_000, 10_000, false), // ten windows, but only ten seconds
        (1_000, 11_001, true),
    ] {
        for kind in [QuotaKind::Window, QuotaKind::Sliding] {
            let mut key = Key::new(5, window_ms, kind, 0);
            assert_eq!(key.admitted(9, DAY_0), 5);
            let reset_at_s = key.rule.look(key.word, 0, DAY_0).reset_at_s;
            let late = DAY_0 - late_ms;
            let admitted = key.admitted(9, late);
            assert_eq!(admitted, u32::from(reopened), "{kind:?} {window_ms} {late_ms}");
            let state = key.rule.look(key.word, 0, late);
            assert_eq!(state.reset_at_s == reset_at_s, !reopened, "{kind:?} {window_ms} {late_ms}");
            // Corrected or not, the key is wholly free three windows and the tolerance later.
            assert_eq!(
                key.admitted(9, late + 3 * window_ms + LATE_MS_MAX + 1_000),
                5,
                "{kind:?} {window_ms} {late_ms}"
            );
        }
    }
}

#[test]
fn a_bucket_far_in_the_future_admits_one_and_goes_on_at_its_rate() {
    for (ahead_ms, at_once, a_second_later) in
        [(0, 0, 1), (9_999, 0, 0), (10_000, 0, 0), (10_001, 1, 1), (3_600_000, 1, 1)]
    {
        let mut key = Key::new(60, 60_000, QuotaKind::Gcra { burst: 10 }, 0);
        assert_eq!(key.admitted(99, DAY_0 + ahead_ms), 10);
        assert_eq!(key.admitted(99, DAY_0), at_once, "ahead={ahead_ms}");
        assert_eq!(key.admitted(99, DAY_0 + 1_000), a_second_later, "ahead={ahead_ms}");
    }
}

/// Window numbers of one second wrap in 24 bits every 194 days; both sides of the wrap.
#[test]
fn the_sliding_windows_number_wraps_without_a_jump() {
    let wrap = (1 << 24) * 1_000_u64 * 100;
    for before_ms in [3_000, 2_000, 1_000, 1, 0] {
        let mut key = Key::new(5, 1_000, QuotaKind::Sliding, 0);
        let mut passed = Vec::new();
        for second in 0..6 {
            passed.push(key.admitted(9, wrap - before_ms + second * 2_000));
        }
        assert_eq!(passed, [5; 6], "before={before_ms}");
    }
    // A count from months ago is old, also where its number looks newer.
    for idle_windows in [2, 1 << 22, (1 << 23) - 1, (1 << 24) - 100] {
        let mut key = Key::new(5, 1_000, QuotaKind::Sliding, 0);
        assert_eq!(key.admitted(2, DAY_0), 2);
        let at = DAY_0 + idle_windows * 1_000;
        assert!(key.admitted(9, at) >= 3, "{idle_windows}");
        assert_eq!(key.admitted(9, at + 2_000), 5, "{idle_windows}");
    }
}

#[test]
fn what_was_reserved_is_taken_out_of_the_window_it_was_made_in() {
    let window = |number: u64, count: u64| number << 20 | count;
    let sliding =
        |number: u64, prev: u64, count: u64| (number & 0xff_ffff) << 40 | prev << 20 | count;
    let (w, s) = (rule(9, 60_000, QuotaKind::Window), rule(9, 60_000, QuotaKind::Sliding));
    let g = rule(60, 60_000, QuotaKind::Gcra { burst: 5 });
    for (rule, written, seen, less) in [
        (w, window(7, 3), window(7, 3), Some(window(7, 2))),
        (w, window(7, 3), window(7, 9), Some(window(7, 8))),
        (w, window(7, 3), window(8, 3), None),
        (w, window(7, 1), window(7, 0), None),
        (s, sliding(7, 5, 3), sliding(7, 5, 4), Some(sliding(7, 5, 3))),
        (s, sliding(7, 5, 3), sliding(8, 3, 1), Some(sliding(8, 2, 1))),
        (s, sliding(7, 5, 3), sliding(8, 0, 1), None),
        (s, sliding(7, 5, 3), sliding(9, 3, 1), None),
        (s, sliding(0xff_ffff, 5, 3), sliding(0, 3, 1), Some(sliding(0, 2, 1))),
        (g, 5_000, 5_000, Some(4_000)),
        (g, 5_000, 6_000, None),
    ] {
        assert_eq!(rule.give_back(4_000, written, seen), less, "{rule:?} {written:x} {seen:x}");
    }
}
