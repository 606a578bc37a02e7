//! The arithmetic against logs and buckets that anybody can check by eye, over random histories.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::tests::{DAY_0, Key, rule};
use super::*;

/// Limits of any kind and number, and gaps between requests that often land on an edge.
fn histories(
    kind: impl Strategy<Value = QuotaKind>,
) -> impl Strategy<Value = (Rule, u64, Vec<u64>)> {
    let gap = prop_oneof![4 => 0..200_u64, 2 => 0..4_000_u64, 1 => 0..20_000_u64, 1 => Just(1_000), 1 => Just(5_000)];
    let window_ms = prop_oneof![1_000..10_000_u64, Just(1_000), Just(5_000), Just(60_000)];
    (1..40_u32, window_ms, kind, any::<u32>(), prop::collection::vec(gap, 1..400)).prop_map(
        |(requests, window_ms, kind, seed, gaps)| {
            let rule = rule(requests, window_ms, kind);
            let times = gaps.iter().scan(DAY_0, |at, gap| {
                *at += gap;
                Some(*at)
            });
            (rule, rule.phase_ms(seed), times.collect())
        },
    )
}

/// Feeds a history; the times that were admitted, and for each request the verdict's wait.
fn run(rule: Rule, phase_ms: u64, times: &[u64]) -> (Vec<u64>, Vec<Option<u64>>) {
    let mut key = Key { rule, phase_ms, word: 0 };
    let mut log = Vec::new();
    let mut waits = Vec::new();
    for &at in times {
        match key.ask(at) {
            Ok(_) => {
                log.push(at);
                waits.push(None);
            }
            Err((wait_ms, _)) => {
                // R8: as told, and not a millisecond sooner.
                let passes =
                    |at| matches!(rule.judge(key.word, phase_ms, at), Verdict::Admit { .. });
                assert!(
                    passes(at + wait_ms) && !passes(at + wait_ms - 1),
                    "wait={wait_ms} at={at}"
                );
                assert!(passes(at + wait_ms.div_ceil(1_000).max(1) * 1_000));
                waits.push(Some(wait_ms));
            }
        }
    }
    (log, waits)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// R1 R7 R8: the log of admissions, counted by aligned window, decides the same.
    #[test]
    fn a_window_admits_what_a_log_of_it_admits((rule, phase_ms, times) in histories(Just(QuotaKind::Window))) {
        let (log, _) = run(rule, phase_ms, &times);
        let mut naive: Vec<u64> = Vec::new();
        for &at in &times {
            let number = |t: u64| (t + phase_ms) / rule.window_ms;
            if naive.iter().filter(|&&t| number(t) == number(at)).count() < rule.requests as usize {
                naive.push(at);
            }
        }
        prop_assert_eq!(log, naive);
    }

    /// R8: the estimate by a log; and against a true sliding log never above N(1 + f) + 1.
    #[test]
    fn a_sliding_window_admits_what_its_estimate_admits((rule, phase_ms, times) in histories(Just(QuotaKind::Sliding))) {
        let (log, _) = run(rule, phase_ms, &times);
        let (n, w) = (u64::from(rule.requests), rule.window_ms);
        let mut naive: Vec<u64> = Vec::new();
        for &at in &times {
            let number = |t: u64| (t + phase_ms) / w;
            let count = |k: u64| naive.iter().filter(|&&t| number(t) == k).count() as u64;
            let inside = (at + phase_ms) % w;
            // count + before · (1 − inside / w) + 1 ≤ n, without division; the estimate rounds up,
            // which no whole number of requests can tell.
            if (count(number(at)) + 1) * w + count(number(at) - 1) * (w - inside) <= n * w {
                naive.push(at);
                let trailing = naive.iter().filter(|&&t| t + w > at).count() as u64;
                prop_assert!(trailing * w <= n * (w + inside) + w, "{} in the last window at {}", trailing, at);
            }
        }
        prop_assert_eq!(log, naive);
    }

    /// R8: a bucket that leaks `requests` a window, in exact integers. The step is rounded up to
    /// 2^-20 ms, so the rule may lag by that much, never lead.
    #[test]
    fn a_bucket_admits_what_an_exact_bucket_admits((rule, phase_ms, times) in histories((1..30_u32).prop_map(|burst| QuotaKind::Gcra { burst }))) {
        let Pace::Gcra { step, depth } = rule.pace else { unreachable!("the strategy makes buckets") };
        let burst = depth / step;
        let (log, _) = run(rule, phase_ms, &times);
        let (n, w) = (u64::from(rule.requests), rule.window_ms);
        // Level in 1/w requests: each millisecond leaks n, each request adds w.
        let (mut level, mut last, mut naive) = (0_u64, DAY_0, Vec::new());
        for &at in &times {
            level = level.saturating_sub((at - last) * n);
            last = at;
            if level + w <= burst * w {
                level += w;
                naive.push(at);
            }
        }
        if (w << FINE_BITS).is_multiple_of(n) {
            prop_assert_eq!(&log, &naive);
        }
        for (i, &from) in log.iter().enumerate() {
            for (j, &to) in log.iter().enumerate().skip(i) {
                let seen = (j - i + 1) as u64;
                prop_assert!(seen * w <= burst * w + (to - from) * n, "{} from {} to {}", seen, from, to);
            }
        }
    }

    /// No word, phase or time makes the arithmetic panic, and every refusal has an end.
    #[test]
    fn any_word_is_safe_to_judge(word: u64, seed: u32, at in 0..=AT_MS_MAX, n in 1..=crate::REQUESTS_MAX, window_ms in crate::WINDOW_MS_MIN..=crate::WINDOW_MS_MAX, choice in 0..3_u8) {
        let kind = [QuotaKind::Window, QuotaKind::Sliding, QuotaKind::Gcra { burst: 1 + n / 7 }][usize::from(choice)];
        let rule = rule(n, window_ms, kind);
        let phase_ms = rule.phase_ms(seed);
        let state = rule.look(word, phase_ms, at);
        prop_assert!(state.reset_at_s * 1_000 >= at);
        if let Verdict::Refuse { wait_ms, state } = rule.judge(word, phase_ms, at) {
            prop_assert_eq!(state.remaining, 0);
            let (wait_max, told_at) = (2 * window_ms.max(fine_to_ms(match rule.pace { Pace::Gcra { depth, .. } => depth, _ => 0 })) + LATE_MS_MAX, at + wait_ms);
            prop_assert!((1..=wait_max).contains(&wait_ms), "{}", wait_ms);
            let admitted = matches!(rule.judge(word, phase_ms, told_at), Verdict::Admit { .. });
            prop_assert!(admitted);
        }
        prop_assert!(rule.give_back(word, word, word).is_none_or(|less| less <= word));
    }
}
