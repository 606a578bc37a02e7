//! The whole request-side decision, and its first two stages alone, by the number of keys.
//!
//! Requests come from many keys in an order of chance, each with a header map of its own, so that
//! with a million keys the look-up misses the caches as it would in service. Time is a number that
//! the loop counts up: reading a clock is the proxy's cost.
//!
//! `cargo bench -p colonnade-benches --bench admission`

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use colonnade_benches::directory::{headers, snapshot};
use colonnade_benches::draw::Draw;
use criterion::Criterion;
use gateway_policy::{
    Meters, PresentedKey, RequestHead, Snapshot, UnixMs, admit, authenticate, extract,
};
use http::{HeaderMap, Method};

const KEYS: [usize; 3] = [10, 10_000, 1_000_000];
/// Callers that take turns. More would be header maps that fill the memory, not more misses.
const CALLERS_MAX: usize = 100_000;
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NOW: u64 = 1_711_700_012_345;

const LIST: &[u8] = b"/api/calls?limit=100&offset=200&start_date=2026-11-01";
const GUARDED: &[u8] = b"/api/calls/1f0c?expand=transfers";
const TEAM: &[u8] = b"/api/v1/teams/101/calls";

fn callers(keys: usize) -> Vec<HeaderMap> {
    let mut numbers: Vec<usize> = (0..keys).collect();
    let count = keys.min(CALLERS_MAX);
    Draw::new(1).shuffle(&mut numbers, count);
    numbers[..count].iter().map(|number| headers(*number)).collect()
}

fn admission(c: &mut Criterion) {
    for keys in KEYS {
        let (snapshot, meters) = snapshot(keys);
        let callers = callers(keys);
        whole(c, &snapshot, &meters, &callers);
        stages(c, &snapshot, &callers);
    }
}

/// `admit` from the head to the proof, by the kind of route.
fn whole(c: &mut Criterion, snapshot: &Snapshot, meters: &Meters, callers: &[HeaderMap]) {
    let mut group = c.benchmark_group("admission/admit");
    let keys = snapshot.keys.len();
    for (name, target) in [("list", LIST), ("guarded_query", GUARDED), ("team_in_path", TEAM)] {
        let (mut at, mut turn) = (NOW, callers.iter().cycle());
        let first = head(&callers[0], target);
        assert!(admit(snapshot, meters, &first, UnixMs(at).into()).is_ok(), "{name} is admitted");
        group.bench_function(format!("{name}/{keys}_keys"), |b| {
            b.iter(|| {
                at += 1;
                let headers = turn.next().expect("at least one caller");
                admit(snapshot, meters, black_box(&head(headers, target)), UnixMs(at).into())
            });
        });
    }
    group.finish();
}

fn head<'a>(headers: &'a HeaderMap, target: &'a [u8]) -> RequestHead<'a> {
    RequestHead { method: &Method::GET, target, headers, client: CLIENT, padded_credential: false }
}

/// Finding the credential, its digest included; and the key behind the digest.
fn stages(c: &mut Criterion, snapshot: &Snapshot, callers: &[HeaderMap]) {
    let keys = snapshot.keys.len();
    let rules = &snapshot.rules.credentials;
    let mut turn = callers.iter().cycle();
    c.bench_function(&format!("admission/extract/{keys}_keys"), |b| {
        b.iter(|| extract(rules, black_box(turn.next().expect("at least one caller"))));
    });
    let presented: Vec<PresentedKey> =
        callers.iter().map(|headers| extract(rules, headers).expect("a credential")).collect();
    let mut turn = presented.iter().cycle();
    c.bench_function(&format!("admission/authenticate/{keys}_keys"), |b| {
        b.iter(|| {
            let presented = turn.next().expect("at least one caller");
            authenticate(&snapshot.keys, black_box(presented), CLIENT, UnixMs(NOW)).is_ok()
        });
    });
}

/// What a flood without a key, or with a wrong one, costs.
fn refusals(c: &mut Criterion) {
    let (snapshot, meters) = snapshot(10_000);
    let mut group = c.benchmark_group("admission/refuse");
    for (name, headers) in [("no_key", HeaderMap::new()), ("unknown_key", headers(99_999_999))] {
        let head = head(&headers, LIST);
        assert!(admit(&snapshot, &meters, &head, UnixMs(NOW).into()).is_err(), "{name} is refused");
        group.bench_function(name, |b| {
            b.iter(|| admit(&snapshot, &meters, black_box(&head), UnixMs(NOW).into()).is_err());
        });
    }
    group.finish();
}

colonnade_benches::measure!(admission, refusals);
