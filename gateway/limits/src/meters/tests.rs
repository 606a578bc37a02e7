//! What only the inside can show: a race stopped between judging and writing, and foreign slots.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::quota::{Quota, QuotaKind};

const NOW: UnixMs = UnixMs(1_711_700_012_345);

fn quotas(limits: &[(u32, u64, QuotaKind)]) -> Quotas {
    let quota = |(index, &(requests, window_ms, kind)): (usize, &(u32, u64, QuotaKind))| Quota {
        name: format!("limit-{index}").into(),
        requests,
        window_ms,
        kind,
    };
    Quotas::new(limits.iter().enumerate().map(quota).collect()).unwrap()
}

fn words(meters: &Meters, slot: Slot) -> Vec<u64> {
    let Line(words) = meters.line(slot.line).unwrap();
    words.iter().map(|word| word.load(Ordering::Relaxed)).collect()
}

/// R7: a request that loses the last place to a rival, after it was judged and before it wrote,
/// leaves every word as the rival left it.
#[test]
fn a_request_that_loses_a_race_gives_back_what_it_had_reserved() {
    let gcra = QuotaKind::Gcra { burst: 5 };
    for limits in [
        [(100, 60_000, QuotaKind::Window), (2, 60_000, QuotaKind::Window)],
        [(100, 60_000, QuotaKind::Sliding), (2, 60_000, QuotaKind::Window)],
        [(100, 60_000, QuotaKind::Window), (2, 60_000, QuotaKind::Sliding)],
        [(100, 60_000, gcra), (2, 60_000, QuotaKind::Window)],
        [(100, 60_000, QuotaKind::Window), (60, 60_000, QuotaKind::Gcra { burst: 2 })],
    ] {
        let quotas = quotas(&limits);
        let meters = Meters::new();
        let slot = meters.assign("k", &quotas).unwrap();
        meters.take(slot, &quotas, NOW).unwrap();
        let request =
            Request { line: meters.line(slot.line).unwrap(), slot, quotas: &quotas, at_ms: NOW.0 };
        let mut plan = Plan::of(2);
        assert!(request.judge_all(&mut plan).is_ok());
        let rival = meters.take(slot, &quotas, NOW).unwrap();
        let left = words(&meters, slot);

        let spent =
            request.reserve(&mut plan).map_err(|refusal| request.spent(refusal)).unwrap_err();

        assert_eq!(words(&meters, slot), left, "{limits:?}");
        assert_eq!(spent.limit, 1, "{limits:?}");
        assert_eq!(spent.allowance.states(), rival.states(), "{limits:?}");
    }
}

/// Two buckets: the first is put back where nobody has touched it since.
#[test]
fn a_bucket_is_put_back_as_it_was() {
    let gcra = |burst| QuotaKind::Gcra { burst };
    let quotas = quotas(&[(60, 60_000, gcra(9)), (60, 60_000, gcra(2))]);
    let meters = Meters::new();
    let slot = meters.assign("k", &quotas).unwrap();
    let request =
        Request { line: meters.line(slot.line).unwrap(), slot, quotas: &quotas, at_ms: NOW.0 };
    let mut plan = Plan::of(2);
    assert!(request.judge_all(&mut plan).is_ok());
    // A rival has filled the second bucket and not yet reached the first.
    let full = NOW.0 + 2_000;
    request.word(1).store(full << 20, Ordering::Relaxed);

    assert!(request.reserve(&mut plan).is_err_and(|refusal| refusal.limit == 1));
    assert_eq!(request.word(0).load(Ordering::Relaxed), 0);
}

#[test]
fn a_slot_of_other_meters_admits_nothing() {
    let quotas = quotas(&[(7, 60_000, QuotaKind::Window)]);
    let slot = Meters::new().assign("k", &quotas).unwrap();
    let spent = Meters::new().take(slot, &quotas, NOW).unwrap_err();
    assert_eq!((spent.limit, spent.retry_after_s), (0, 1));
    let expected = LimitState { limit: 7, remaining: 0, reset_at_s: 1_711_700_013, resets_in_s: 1 };
    assert_eq!(spent.allowance.states(), [expected]);
}

/// Nodes of a fleet must agree, also across versions: these numbers never change.
#[test]
fn the_phase_of_a_key_is_fixed_for_ever_and_spreads_keys() {
    for (id, seed) in [("", 2_238_767_700), ("key_crm", 2_138_627_456)] {
        assert_eq!(seed_of(id), seed, "{id}");
    }
    let mut seconds = [0_u32; 60];
    for key in 0..6_000 {
        seconds[seed_of(&format!("key_{key}")) as usize % 60] += 1;
    }
    assert!(seconds.iter().all(|&keys| (50..=150).contains(&keys)), "{seconds:?}");
}

#[test]
fn lines_stand_alone_on_their_cache_lines() {
    assert_eq!((size_of::<Line>(), align_of::<Line>()), (64, 64));
    assert!(size_of::<Slot>() <= 12);
}

/// An old slot with new quotas, or the reverse, and times at the ends: never a panic, never more
/// than either number.
#[test]
fn any_slot_with_any_quotas_is_safe() {
    let small = quotas(&[(2, 1_000, QuotaKind::Window)]);
    let large = quotas(&[
        (3, 60_000, QuotaKind::Sliding),
        (60, 60_000, QuotaKind::Gcra { burst: 4 }),
        (9, 1_250, QuotaKind::Window),
        (1_048_575, 2_678_400_000, QuotaKind::Gcra { burst: 1_048_575 }),
    ]);
    let meters = Meters::new();
    let slots = [meters.assign("k", &small).unwrap(), meters.assign("k", &large).unwrap()];
    for at in [0, 1, NOW.0, NOW.0 - 1, u64::MAX, 0, NOW.0, u64::MAX - 1] {
        for slot in slots {
            for quotas in [&small, &large] {
                let admitted = (0..20).filter(|_| meters.take(slot, quotas, UnixMs(at)).is_ok());
                let most = quotas.iter().map(|quota| quota.requests).min().unwrap_or(0);
                assert!(admitted.count() <= most as usize, "{at}");
            }
        }
    }
}
