//! Whether the time of a refusal tells why a key was refused: Welch's t-test between the kinds of
//! refusal that one body hides (unknown, revoked, expired, malformed).
//!
//! Each sample is one `admit` and the rendering of its body, of a kind drawn anew each time and a key
//! of its own. As `dudect` does it the test is made on all samples and on those below a number of
//! percentiles, for the long tail of a busy machine hides small differences; the largest |t| counts.
//! By convention |t| > 4.5 says that a difference is there, never that it is large: t grows with the
//! root of the number of samples, so the difference in nanoseconds stands beside it. One pair is of
//! the same kind twice, and shows what the method finds where there is nothing.
//!
//! Not here: what of it a network lets through. A bench that prints, no gate.
//! Source: Reparaz, Balasch, Verbauwhede, "Dude, is my code constant time?", DATE 2017.
//!
//! `cargo bench -p colonnade-benches --bench refusal_timing [-- SAMPLES]`

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use colonnade_benches::directory::{directory, headers, key_text, snapshot_of};
use colonnade_benches::draw::Draw;
use gateway_policy::{
    Denial, Directory, ErrorStyle, Meters, Problem, RequestHead, Snapshot, UnixMs, admit,
};
use http::{HeaderMap, HeaderValue, Method, header::AUTHORIZATION};

const SAMPLES: usize = 4_000_000;
/// When it is only asked whether it runs.
const SAMPLES_TRIED: usize = 5_000;
const KEYS: usize = 10_000;
/// Callers of one kind that take turns.
const CALLERS: usize = 3_000;
const NOW: UnixMs = UnixMs(1_711_700_012_345);
/// Percentiles at which samples are cropped; the last one takes all.
const CROPS: [f64; 9] = [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.0];

/// What is compared. `Twin` is `Unknown` under another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Twin,
    Revoked,
    Expired,
    Malformed,
}

const KINDS: [Kind; 5] = [Kind::Unknown, Kind::Twin, Kind::Revoked, Kind::Expired, Kind::Malformed];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_measured = arguments.iter().any(|argument| argument == "--bench");
    let told = arguments.iter().find_map(|argument| argument.parse().ok());
    let count = told.unwrap_or(if is_measured { SAMPLES } else { SAMPLES_TRIED });

    let (snapshot, meters) = snapshot_of(&records());
    let callers = callers();
    check_bodies(&snapshot, &meters, &callers);
    let samples = measure(&snapshot, &meters, &callers, count);
    println!("{count} samples of a refusal: `admit` and the rendering of its body");
    for (kind, samples) in KINDS.iter().zip(&samples) {
        println!("  {kind:?}: median {} ns", percentile(samples, 0.5));
    }
    println!("pair | largest |t| | at the percentile | difference of means there, ns");
    for (one, first) in samples.iter().enumerate() {
        for (other, second) in samples.iter().enumerate().skip(one + 1) {
            let (t, crop, difference) = worst(first, second);
            let (one, other) = (KINDS[one], KINDS[other]);
            println!("{one:?}, {other:?} | {t:.1} | {crop} | {difference:+.1}");
        }
    }
}

/// The first keys are revoked, those behind them have ended, and the others live.
fn records() -> Directory {
    let mut directory = directory(KEYS);
    let keys = directory.accounts.iter_mut().flat_map(|account| &mut account.keys);
    for (number, key) in keys.enumerate() {
        match number / CALLERS {
            0 => key.revoked_at = Some(UnixMs(1)),
            1 => key.expires_at = Some(UnixMs(1)),
            _ => {}
        }
    }
    directory
}

/// Made by turns, so that no kind lies in memory of its own.
fn callers() -> [Vec<HeaderMap>; KINDS.len()] {
    let mut callers = KINDS.map(|_| Vec::with_capacity(CALLERS));
    for number in 0..CALLERS {
        for (kind, callers) in KINDS.into_iter().zip(&mut callers) {
            callers.push(caller(kind, number));
        }
    }
    callers
}

fn caller(kind: Kind, number: usize) -> HeaderMap {
    match kind {
        Kind::Revoked => headers(number),
        Kind::Expired => headers(CALLERS + number),
        Kind::Unknown => headers(10 * KEYS + number),
        Kind::Twin => headers(20 * KEYS + number),
        Kind::Malformed => {
            let mut headers = headers(30 * KEYS + number);
            // As long as a key, and none: a comma in the middle.
            let text = format!("Bearer {}", key_text(number).replacen("00", "0,", 1));
            let value = HeaderValue::from_str(&text).expect("visible characters");
            headers.insert(AUTHORIZATION, value);
            headers
        }
    }
}

fn refused(snapshot: &Snapshot, meters: &Meters, headers: &HeaderMap) -> (Denial, Vec<u8>) {
    let target = b"/api/calls?limit=100";
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let head =
        RequestHead { method: &Method::GET, target, headers, client, padded_credential: false };
    match admit(snapshot, meters, &head, NOW.into()) {
        Err(denial) => {
            let problem = Problem::of(&denial, &snapshot.rules.scopes);
            let body = problem.render(ErrorStyle::Problem, "1a9gk1bg14px1z3z7kgw").body;
            (denial, body)
        }
        Ok(_) => panic!("a key that must be refused was let in"),
    }
}

/// Each kind is refused for its own reason, and with the bytes of all the others.
fn check_bodies(snapshot: &Snapshot, meters: &Meters, callers: &[Vec<HeaderMap>; KINDS.len()]) {
    let reasons = ["unknown", "unknown", "revoked", "expired", "malformed"];
    let (_, body) = refused(snapshot, meters, &callers[0][0]);
    for (headers, reason) in callers.iter().zip(reasons) {
        for headers in headers {
            let (denial, its) = refused(snapshot, meters, headers);
            assert_eq!((denial.auth_reason(), &its), (Some(reason), &body));
        }
    }
}

/// Nanoseconds, by kind, sorted.
fn measure(
    snapshot: &Snapshot,
    meters: &Meters,
    callers: &[Vec<HeaderMap>; KINDS.len()],
    count: usize,
) -> [Vec<u32>; KINDS.len()] {
    let mut draw = Draw::new(1);
    let mut samples = KINDS.map(|_| Vec::with_capacity(count / KINDS.len() * 11 / 10));
    for _ in 0..count {
        let kind = draw.below(KINDS.len());
        let headers = &callers[kind][draw.below(CALLERS)];
        let began = Instant::now();
        black_box(refused(snapshot, meters, black_box(headers)));
        let took = began.elapsed().as_nanos();
        samples[kind].push(u32::try_from(took).unwrap_or(u32::MAX));
    }
    samples.each_mut().map(|samples| {
        samples.sort_unstable();
        std::mem::take(samples)
    })
}

fn percentile(sorted: &[u32], share: f64) -> u32 {
    let place = (share * sorted.len() as f64) as usize;
    sorted[place.min(sorted.len() - 1)]
}

/// The largest |t| over the crops, where it was, and by how much the second is slower there.
fn worst(one: &[u32], other: &[u32]) -> (f64, f64, f64) {
    let of = |crop| {
        // One bound for both, so that cropping prefers neither.
        let bound = percentile(one, crop).max(percentile(other, crop));
        let (first, second) = (moments(one, bound), moments(other, bound));
        let error = (first.variance / first.count + second.variance / second.count).sqrt();
        let difference = second.mean - first.mean;
        ((difference / error).abs(), crop, difference)
    };
    CROPS.map(of).into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default()
}

struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

/// Of the samples up to a bound; two passes, so that nothing large is subtracted from its like.
fn moments(sorted: &[u32], bound: u32) -> Moments {
    let taken = &sorted[..sorted.partition_point(|sample| *sample <= bound)];
    let count = taken.len() as f64;
    let mean = taken.iter().map(|sample| f64::from(*sample)).sum::<f64>() / count;
    let squares: f64 = taken.iter().map(|sample| (f64::from(*sample) - mean).powi(2)).sum();
    Moments { count, mean, variance: squares / (count - 1.0) }
}
