//! One decision of the limiter: warm key, many keys, a refusal, several limits, two threads on one
//! key. The clock is a number that the loop counts up; reading a real one costs about 25 ns more,
//! once a request, wherever the limiter comes from.
//!
//! `cargo bench -p colonnade-benches --bench limits`

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::Criterion;
use gateway_limits::{Meters, Quota, QuotaKind, Quotas, REQUESTS_MAX, Slot, UnixMs};

const NOW: u64 = 1_711_700_012_345;

fn quota(name: &str, requests: u32, window_ms: u64, kind: QuotaKind) -> Quota {
    Quota { name: name.into(), requests, window_ms, kind }
}

fn quotas<const N: usize>(declared: [Quota; N]) -> Quotas {
    Quotas::new(declared.into()).expect("valid limits")
}

/// One limit that no loop here exhausts: the clock moves on by a millisecond a decision.
fn minute() -> Quotas {
    quotas([quota("minute", REQUESTS_MAX, 60_000, QuotaKind::Window)])
}

fn assigned(meters: &Meters, keys: usize, quotas: &Quotas) -> Vec<Slot> {
    let slot = |key| meters.assign(&format!("key_{key}"), quotas).expect("room for all keys");
    let mut slots: Vec<Slot> = (0..keys).map(slot).collect();
    // Requests do not come in the order in which keys were made.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..slots.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        slots.swap(last, (state % (last as u64 + 1)) as usize);
    }
    slots
}

/// Admissions of one minute limit, keys taken in turn.
fn admit_by_keys(c: &mut Criterion) {
    let mut group = c.benchmark_group("limits/admit");
    for keys in [1, 10_000, 1_000_000] {
        let (meters, quotas) = (Meters::new(), minute());
        let slots = assigned(&meters, keys, &quotas);
        let (mut at, mut turn) = (NOW, slots.iter().cycle());
        group.bench_function(format!("{keys}_keys"), |b| {
            b.iter(|| {
                at += 1;
                let slot = turn.next().copied().expect("at least one key");
                meters.take(black_box(slot), &quotas, UnixMs(at)).is_ok()
            });
        });
    }
    group.finish();
}

/// One key, by kind and number of limits.
fn admit_by_limits(c: &mut Criterion) {
    let sliding = quota("minute", REQUESTS_MAX, 60_000, QuotaKind::Sliding);
    let burst = || quota("burst", REQUESTS_MAX, 60_000, QuotaKind::Gcra { burst: 60 });
    let window = |name, window_ms| quota(name, REQUESTS_MAX, window_ms, QuotaKind::Window);
    let mut group = c.benchmark_group("limits/admit_one_key");
    for (name, quotas) in [
        ("sliding", quotas([sliding])),
        ("gcra", quotas([burst()])),
        ("minute_and_burst", quotas([window("minute", 60_000), burst()])),
        ("minute_and_day", quotas([window("minute", 60_000), window("day", 86_400_000)])),
    ] {
        let meters = Meters::new();
        let slot = meters.assign("key", &quotas).expect("room for one key");
        let mut at = NOW;
        group.bench_function(name, |b| {
            b.iter(|| {
                // A day's limit lasts for a million decisions, so the clock runs faster here.
                at += 100;
                meters.take(black_box(slot), &quotas, UnixMs(at)).is_ok()
            });
        });
    }
    group.finish();
}

/// A flood beyond the limit: plain loads, no write.
fn refuse(c: &mut Criterion) {
    let mut group = c.benchmark_group("limits/refuse");
    let window = |name, requests, window_ms| quota(name, requests, window_ms, QuotaKind::Window);
    for (name, quotas) in [
        ("minute", quotas([window("minute", 1, 60_000)])),
        ("minute_and_day", quotas([window("minute", 1, 60_000), window("day", 9, 86_400_000)])),
    ] {
        let meters = Meters::new();
        let slot = meters.assign("key", &quotas).expect("room for one key");
        meters.take(slot, &quotas, UnixMs(NOW)).expect("the first passes");
        group.bench_function(name, |b| {
            b.iter(|| meters.take(black_box(slot), &quotas, black_box(UnixMs(NOW))).is_err());
        });
    }
    group.finish();
}

/// Time of one thread's decisions while another asks as fast as it can.
fn two_threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("limits/two_threads");
    let spent = quotas([quota("minute", 1, 60_000, QuotaKind::Window)]);
    let open = minute();
    for (name, quotas, same_key) in [
        ("admit_one_key", &open, true),
        ("admit_a_key_each", &open, false),
        ("refuse_one_key", &spent, true),
    ] {
        let meters = Meters::new();
        let mine = meters.assign("mine", quotas).expect("room for two keys");
        let other = if same_key { mine } else { meters.assign("other", quotas).expect("room") };
        group.bench_function(name, |b| {
            b.iter_custom(|decisions| beside_a_rival(&meters, quotas, mine, other, decisions));
        });
    }
    group.finish();
}

fn beside_a_rival(
    meters: &Meters,
    quotas: &Quotas,
    mine: Slot,
    other: Slot,
    decisions: u64,
) -> Duration {
    let (start, done) = (Barrier::new(2), AtomicBool::new(false));
    let ask = |slot, step| {
        let at = UnixMs(NOW + step / 16);
        black_box(meters.take(black_box(slot), quotas, at).is_ok());
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            let mut step = 0;
            while !done.load(Ordering::Relaxed) {
                ask(other, step);
                step += 1;
            }
        });
        start.wait();
        let began = Instant::now();
        (0..decisions).for_each(|step| ask(mine, step));
        let took = began.elapsed();
        done.store(true, Ordering::Relaxed);
        took
    })
}

/// The cold path: a reload asks for the slots of all keys again.
fn assign_again(c: &mut Criterion) {
    let (meters, quotas) = (Meters::new(), minute());
    let ids: Vec<String> = (0..10_000).map(|key| format!("key_{key}")).collect();
    let assign = |id: &String| meters.assign(id, &quotas).is_ok();
    ids.iter().for_each(|id| assert!(assign(id), "room for all keys"));
    c.bench_function("limits/assign_again/10000_keys", |b| {
        b.iter(|| ids.iter().filter(|id| assign(id)).count());
    });
}

colonnade_benches::measure!(admit_by_keys, admit_by_limits, refuse, two_threads, assign_again);
