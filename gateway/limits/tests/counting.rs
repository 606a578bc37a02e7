//! What a caller sees: one key, several keys, several limits, reloads. The clock is a number.
#![allow(clippy::unwrap_used)]

use gateway_limits::{LimitState, Meters, Quota, QuotaKind, Quotas, Slot, UnixMs};

const NOW: u64 = 1_711_700_012_345;
const MINUTE: u64 = 60_000;

fn quota(name: &str, requests: u32, window_ms: u64, kind: QuotaKind) -> Quota {
    Quota { name: name.into(), requests, window_ms, kind }
}

fn window(name: &str, requests: u32, window_ms: u64) -> Quota {
    quota(name, requests, window_ms, QuotaKind::Window)
}

fn quotas<const N: usize>(declared: [Quota; N]) -> Quotas {
    Quotas::new(declared.into()).unwrap()
}

fn minute(requests: u32) -> Quotas {
    quotas([window("minute", requests, MINUTE)])
}

fn admitted(meters: &Meters, slot: Slot, quotas: &Quotas, attempts: u32, at: u64) -> u32 {
    (0..attempts).filter(|_| meters.take(slot, quotas, UnixMs(at)).is_ok()).count() as u32
}

fn remaining(states: &[LimitState]) -> Vec<u32> {
    states.iter().map(|state| state.remaining).collect()
}

/// R1: the plans' numbers; N pass, the next does not.
#[test]
fn a_plan_admits_its_number_a_minute_and_not_one_more() {
    for requests in [1, 60, 300, 3_000] {
        let (meters, quotas) = (Meters::new(), minute(requests));
        let slot = meters.assign("k", &quotas).unwrap();
        assert_eq!(admitted(&meters, slot, &quotas, requests, NOW), requests);
        assert_eq!(admitted(&meters, slot, &quotas, 1, NOW), 0, "{requests}");
        assert_eq!(admitted(&meters, slot, &quotas, requests + 1, NOW + MINUTE), requests);
    }
}

/// R2: keys do not share, whatever slots they have.
#[test]
fn a_spent_key_leaves_others_alone() {
    let (meters, quotas) = (Meters::new(), minute(5));
    let slots: Vec<Slot> =
        (0..5_000).map(|key| meters.assign(&format!("k{key}"), &quotas).unwrap()).collect();
    for &slot in slots.iter().step_by(2) {
        assert_eq!(admitted(&meters, slot, &quotas, 9, NOW), 5);
    }
    for &slot in slots.iter().skip(1).step_by(2) {
        assert_eq!(admitted(&meters, slot, &quotas, 9, NOW), 5);
    }
}

/// R4 R5 R8: limit, remaining, reset and wait of a whole window, as headers show them.
#[test]
fn remaining_counts_down_reset_stands_still_and_waiting_as_told_succeeds() {
    let (meters, quotas) = (Meters::new(), minute(3));
    let slot = meters.assign("key_crm", &quotas).unwrap();
    let first = meters.take(slot, &quotas, UnixMs(NOW)).unwrap().states()[0];
    assert!(first.reset_at_s > NOW / 1_000 && first.resets_in_s <= 60);
    let end = first.reset_at_s * 1_000;
    for (at, left) in [(NOW + (end - NOW) / 2, 1), (end - 1, 0)] {
        let state = meters.take(slot, &quotas, UnixMs(at)).unwrap().states()[0];
        let resets_in_s = (end - at).div_ceil(1_000);
        assert_eq!(
            state,
            LimitState { limit: 3, remaining: left, reset_at_s: end / 1_000, resets_in_s }
        );
    }
    for at in [end - 1_001, end - 1_000, end - 999, end - 1] {
        let spent = meters.take(slot, &quotas, UnixMs(at)).unwrap_err();
        assert_eq!(spent.allowance.states()[0].remaining, 0);
        assert_eq!(spent.retry_after_s, (end - at).div_ceil(1_000), "at={at}");
        assert_eq!(spent.allowance.states()[0].reset_at_s, end / 1_000);
    }
    assert!(meters.take(slot, &quotas, UnixMs(end)).is_ok());
}

/// R5: windows shorter than a phase's second too; the reset is an exact second in the future.
#[test]
fn resets_lie_in_the_future_for_windows_of_any_length() {
    for window_ms in [1_000, 1_250, 2_000, 15_000, 16_000, 61_000, 86_400_000, 2_678_400_000] {
        let (meters, quotas) = (Meters::new(), quotas([window("w", 1_000, window_ms)]));
        for key in 0..40 {
            let slot = meters.assign(&format!("k{key}"), &quotas).unwrap();
            for step in 0..20 {
                let at = NOW + step * 137;
                let state = meters.take(slot, &quotas, UnixMs(at)).unwrap().states()[0];
                assert!(state.reset_at_s * 1_000 > at, "{window_ms} {key} {step}");
                assert!(state.reset_at_s * 1_000 <= (at + window_ms).next_multiple_of(1_000));
                assert!((1..=window_ms.div_ceil(1_000)).contains(&state.resets_in_s));
            }
        }
    }
}

/// R7: a flood of refusals by one limit costs the other nothing.
#[test]
fn a_refused_request_changes_no_count() {
    let declared = quotas([window("hour", 100, 3_600_000), window("minute", 10, MINUTE)]);
    let meters = Meters::new();
    let slot = meters.assign("k", &declared).unwrap();
    assert_eq!(admitted(&meters, slot, &declared, 10, NOW), 10);
    let mut last = None;
    for _ in 0..10_000 {
        let spent = meters.take(slot, &declared, UnixMs(NOW)).unwrap_err();
        assert_eq!(spent.limit, 1);
        assert_eq!(*last.get_or_insert(spent), spent);
    }
    assert_eq!(last.map(|spent| remaining(spent.allowance.states())), Some(vec![90, 0]));
}

/// R8: where several limits refuse, the longest wait is told, and keeping it succeeds.
#[test]
fn the_wait_is_that_of_the_limit_that_refuses_longest() {
    let declared = quotas([
        quota("burst", 60, MINUTE, QuotaKind::Gcra { burst: 3 }),
        window("minute", 3, MINUTE),
        quota("hour", 3, 3_600_000, QuotaKind::Sliding),
    ]);
    let meters = Meters::new();
    for key in 0..50 {
        let slot = meters.assign(&format!("k{key}"), &declared).unwrap();
        assert_eq!(admitted(&meters, slot, &declared, 9, NOW), 3);
        let spent = meters.take(slot, &declared, UnixMs(NOW)).unwrap_err();
        assert_eq!((spent.limit, remaining(spent.allowance.states())), (2, vec![0, 0, 0]));
        let at = NOW + spent.retry_after_s * 1_000;
        assert!(meters.take(slot, &declared, UnixMs(at - 1_000)).is_err(), "{key}");
        assert!(meters.take(slot, &declared, UnixMs(at)).is_ok(), "{key}");
    }
}

/// R1: the contract's starter plan, sixty a minute with bursts of ten.
#[test]
fn a_burst_beside_a_minute_admits_ten_at_once_and_sixty_in_all() {
    let declared = quotas([
        window("minute", 60, MINUTE),
        quota("burst", 60, MINUTE, QuotaKind::Gcra { burst: 10 }),
    ]);
    let meters = Meters::new();
    let slot = meters.assign("k", &declared).unwrap();
    let start = meters.take(slot, &declared, UnixMs(NOW)).unwrap().states()[0].reset_at_s * 1_000;
    let mut sum = 0;
    for (after_ms, passes) in
        [(0, 10), (999, 0), (1_000, 1), (40_000, 10), (48_000, 8), (58_000, 10), (59_999, 1)]
    {
        let passed = admitted(&meters, slot, &declared, 99, start + after_ms);
        assert_eq!(passed, passes, "after={after_ms}");
        sum += passed;
    }
    assert!(sum <= 60, "{sum}");
}

/// R12: a reload, a rename of the limit or a new number refills nothing; a new window starts anew.
#[test]
fn counts_survive_every_change_but_that_of_kind_and_window() {
    let hour = || window("hour", 50, 3_600_000);
    for (now, left, note) in [
        (minute(10), vec![2], "same again"),
        (quotas([window("per minute", 10, MINUTE)]), vec![2], "renamed"),
        (minute(20), vec![12], "raised"),
        (minute(8), vec![0], "lowered to just above the count"),
        (minute(7), vec![0], "lowered to the count: refused"),
        (minute(5), vec![0], "lowered below the count: refused"),
        (quotas([hour(), window("minute", 10, MINUTE)]), vec![49, 2], "one put before it"),
        (quotas([quota("minute", 10, MINUTE, QuotaKind::Sliding)]), vec![9], "another kind"),
        (quotas([window("minute", 10, 30_000)]), vec![9], "another window"),
    ] {
        let (meters, before) = (Meters::new(), minute(10));
        let old = meters.assign("k", &before).unwrap();
        assert_eq!(admitted(&meters, old, &before, 7, NOW), 7);
        let new = meters.assign("k", &now).unwrap();
        let states = match meters.take(new, &now, UnixMs(NOW)) {
            Ok(allowance) => allowance,
            Err(spent) => spent.allowance,
        };
        assert_eq!(remaining(states.states()), left, "{note}");
        assert_eq!(meters.assign("k", &now), Ok(new), "{note}");
        // A configuration that failed after all, or is taken back, finds its count.
        assert_eq!(meters.assign("k", &before), Ok(old), "{note}");
        assert!(admitted(&meters, old, &before, 9, NOW) <= 3, "{note}");
    }
}

/// R12: a request that still holds the snapshot before counts in the same words.
#[test]
fn requests_of_two_snapshots_share_the_limits_both_have() {
    let meters = Meters::new();
    let before = minute(10);
    let after = quotas([
        quota("burst", 60, MINUTE, QuotaKind::Gcra { burst: 60 }),
        window("minute", 10, MINUTE),
    ]);
    let old = meters.assign("k", &before).unwrap();
    let new = meters.assign("k", &after).unwrap();
    let mut sum = 0;
    for _ in 0..20 {
        sum += admitted(&meters, old, &before, 1, NOW) + admitted(&meters, new, &after, 1, NOW);
    }
    assert_eq!(sum, 10);
}

/// A key that was removed and put back at once finds its counts; one that comes long after does not.
#[test]
fn a_slot_is_another_keys_only_after_the_quarantine_and_then_starts_at_nothing() {
    for (gone_ms, left_of_ten) in [(0, 3), (10 * MINUTE - 1, 10), (10 * MINUTE, 10)] {
        let (meters, quotas) = (Meters::new(), minute(10));
        let slot = meters.assign("k", &quotas).unwrap();
        assert_eq!(admitted(&meters, slot, &quotas, 7, NOW), 7);
        meters.retain(&|_| false, UnixMs(NOW));
        meters.retain(&|_| false, UnixMs(NOW + gone_ms));
        let other = meters.assign("other", &quotas).unwrap();
        assert_ne!(other, slot, "phases differ, so slots do");
        let back = meters.assign("k", &quotas).unwrap();
        assert_eq!(admitted(&meters, other, &quotas, 99, NOW + gone_ms), 10);
        assert_eq!(admitted(&meters, back, &quotas, 99, NOW + gone_ms), left_of_ten, "{gone_ms}");
    }
}
