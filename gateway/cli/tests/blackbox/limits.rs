//! Rate limits of each key (R1 to R13).

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::samples::CALLS;
use crate::support::answer::refusal;
use crate::support::upstream::nobody;
use crate::support::{Answer, Config, Directory, Gateway, Key, Reply, Upstream, waiting};

fn key(id: &str) -> Key {
    Key::new(id, &["calls:read"])
}

/// A key whose window does not end while a test runs.
fn limited(id: &str, requests: u32) -> Key {
    key(id).limited(requests, "30d")
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn shown(answer: &Answer) -> (u64, u64) {
    (answer.number("x-ratelimit-limit"), answer.number("x-ratelimit-remaining"))
}

/// R1, R3, R4, R7: exactly as many pass as the limit says; the next one is 429, is not forwarded
/// and is not counted.
#[test]
fn the_request_after_the_last_is_429() {
    let upstream = Upstream::answering(200, CALLS);
    let key = limited("k", 5);
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    for left in (0..5).rev() {
        let answer = gateway.get("/api/calls").bearer(&key).send();
        assert_eq!((answer.status, shown(&answer)), (200, (5, left)));
    }
    for _ in 0..3 {
        let answer = gateway.get("/api/calls").bearer(&key).send();
        assert_eq!(answer.verdict(), refusal(429, "rate_limited"));
        assert_eq!(shown(&answer), (5, 0), "a refusal costs nothing and shows nothing negative");
        assert!(answer.number("retry-after") >= 1);
        assert!(answer.text().contains("minute"), "the limit is named: {}", answer.text());
        assert_ne!(
            answer.header("connection"),
            Some("close"),
            "R9: a refusal does not cost a new connection"
        );
    }
    assert_eq!(upstream.requests_seen(), 5);
    let over = [("plan", "enterprise"), ("result", "over")];
    assert_eq!(gateway.metric("colonnade_ratelimit_total", &over), 3.0);
}

/// R1: the plan's number holds where the key has none of its own.
#[test]
fn a_plan_limits_its_keys() {
    let upstream = Upstream::answering(200, CALLS);
    let key = key("k");
    let directory = |plan: &str| Directory::of([key.clone()]).acme("plan", plan);
    let mut gateway = Gateway::start(&Config::with_upstream(&upstream), &directory("starter"));
    for (plan, limit) in [("starter", 60), ("professional", 300), ("enterprise", 3000)] {
        gateway.write_directory(&directory(plan));
        let answer = gateway.get("/api/calls").bearer(&key).send();
        assert_eq!(answer.number("x-ratelimit-limit"), limit, "{plan}");
    }
}

/// R2, R11: keys do not share a window, not even within an account, and one's flood is not another's.
#[test]
fn two_keys_do_not_share_a_window() {
    let upstream = Upstream::answering(200, CALLS);
    let (a, b) = (limited("a", 3), limited("b", 3));
    let gateway =
        Gateway::start(&Config::with_upstream(&upstream), &Directory::of([a.clone(), b.clone()]));
    for _ in 0..10 {
        gateway.get("/api/calls").bearer(&a).send();
    }
    let answer = gateway.get("/api/calls").bearer(&b).send();
    assert_eq!((answer.status, shown(&answer)), (200, (3, 2)));
}

/// R2: one key in another carrier, on another route, from another connection is one window.
#[test]
fn one_key_has_one_window_however_it_comes() {
    let upstream = Upstream::answering(200, CALLS);
    let key = limited("k", 4);
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    let left = [
        gateway.get("/api/calls").bearer(&key).send(),
        gateway.get("/api/calls?limit=1").header("X-API-Key", &key.text).send(),
        gateway.get("/api/key").header("Authorization", &format!("bearer {}", key.text)).send(),
        gateway.get("/api/nope").bearer(&key).send(),
    ]
    .map(|answer| answer.number("x-ratelimit-remaining"));
    assert_eq!(left, [3, 2, 1, 0]);
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 429);
}

/// R4, R7: however many connections ask at once, exactly the limit passes, and each remaining
/// number is handed out once.
#[test]
fn never_more_than_the_limit_passes_at_any_concurrency() {
    const LIMIT: u32 = 50;
    let upstream = Upstream::answering(200, CALLS);
    let key = limited("k", LIMIT);
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    let (passed, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    let mut left: Vec<u64> = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = gateway.connect();
                    let mut left = Vec::new();
                    for _ in 0..3 {
                        let answer =
                            gateway.get("/api/calls").bearer(&key).send_on(&mut connection);
                        match answer.status {
                            200 => {
                                passed.fetch_add(1, Ordering::Relaxed);
                                left.push(answer.number("x-ratelimit-remaining"));
                            }
                            429 => {
                                refused.fetch_add(1, Ordering::Relaxed);
                                assert_eq!(answer.number("x-ratelimit-remaining"), 0);
                            }
                            other => panic!("{other}: {}", answer.text()),
                        }
                    }
                    left
                })
            })
            .collect();
        askers.into_iter().flat_map(|asker| asker.join().unwrap()).collect()
    });
    assert_eq!((passed.into_inner(), refused.into_inner()), (LIMIT, 64 * 3 - LIMIT));
    assert_eq!(upstream.requests_seen(), LIMIT as usize);
    left.sort_unstable();
    assert_eq!(left, (0..u64::from(LIMIT)).collect::<Vec<_>>());
}

/// R5: Reset is a Unix second, ahead of now, the same all through a window and a phase of each key.
#[test]
fn reset_is_a_constant_second_ahead() {
    let upstream = Upstream::answering(200, CALLS);
    let keys = ["a", "b", "c", "d"].map(|id| key(id).limited(3, "1h"));
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of(keys.clone()));
    let mut resets = Vec::new();
    for key in &keys {
        // An hour's window may end between two requests, but not twice.
        let sample =
            || (0..4).map(|_| gateway.get("/api/calls").bearer(key).send()).collect::<Vec<_>>();
        let mut answers = sample();
        if answers.iter().any(|answer| {
            answer.header("x-ratelimit-reset") != answers[0].header("x-ratelimit-reset")
        }) {
            answers = sample();
        }
        let reset = answers[0].number("x-ratelimit-reset");
        assert!(
            answers.iter().all(|answer| answer.number("x-ratelimit-reset") == reset),
            "{}",
            key.id
        );
        assert!(
            (now_s()..=now_s() + 3601).contains(&reset),
            "{reset} is not within an hour of {}",
            now_s()
        );
        resets.push(reset);
    }
    resets.dedup();
    assert!(resets.len() > 1, "keys have phases of their own: {resets:?}");
}

/// R6: the headers are on every answer from the limit on, whatever its status; not on 401.
#[test]
fn every_answer_to_a_known_key_shows_its_limit() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read", "coach:read", "leads:read"]).limited(100, "30d");
    let config = Config::with_upstream(&upstream).upstream("coach", nobody()).upstream_with(
        "leads",
        upstream.address(),
        "timeouts: { first_byte: 100ms }",
    );
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let mut left = 100;
    for (reply, method, target, status) in [
        (Reply::json(CALLS), "GET", "/api/calls", 200),
        (Reply::json(CALLS), "HEAD", "/api/calls", 200),
        (Reply::json("not json"), "GET", "/api/calls", 502),
        (Reply::status(404, "{}"), "GET", "/api/calls", 404),
        (Reply::status(500, "{}"), "GET", "/api/calls", 500),
        (Reply::status(401, "{}"), "GET", "/api/calls", 401),
        (Reply::silence(), "GET", "/api/leads", 504),
        (Reply::json(CALLS), "GET", "/api/coach/rubrics", 502),
        (Reply::json(CALLS), "GET", "/api/nope", 404),
        (Reply::json(CALLS), "POST", "/api/calls", 405),
        (Reply::json(CALLS), "GET", "/api/contacts", 403),
        (Reply::json(CALLS), "GET", "/api/leads?x=1", 400),
        (Reply::json(CALLS), "GET", "/api/calls?sort=phone_number", 400),
        (Reply::json(CALLS), "GET", "/api/key", 200),
    ] {
        upstream.now_replies(reply);
        let answer =
            gateway.request(method, target).header("X-Request-Id", "limits").bearer(&key).send();
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
        left -= 1;
        assert_eq!(shown(&answer), (100, left), "{method} {target} {status}");
        assert!(answer.number("x-ratelimit-reset") > now_s(), "{status}");
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"minute\";q=100;w=2592000"),
            "{status}"
        );
        assert!(
            answer.header("ratelimit").unwrap().starts_with(&format!("\"minute\";r={left};t=")),
            "{status}"
        );
    }
    let unknown = gateway.get("/api/calls").header("Authorization", "Bearer nobody").send();
    assert_eq!(unknown.status, 401);
    assert!(
        !unknown.headers.iter().any(|(name, _)| name.contains("ratelimit")),
        "{:?}",
        unknown.headers
    );
}

/// R8: after the seconds that Retry-After says, the key passes again, and not before its window ends.
#[test]
fn waiting_as_told_succeeds() {
    let upstream = Upstream::answering(200, CALLS);
    let key = key("k").limited(2, "2s");
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    let asks = || gateway.get("/api/calls").bearer(&key).send();
    let refused =
        waiting::until("a refusal", || Some(asks()).filter(|answer| answer.status == 429));
    let told = Instant::now();
    let wait = refused.number("retry-after");
    assert!((1..=2).contains(&wait), "{wait}");
    let reset = refused.number("x-ratelimit-reset");
    waiting::until("an answer after the wait", || (asks().status == 200).then_some(()));
    assert!(
        told.elapsed() <= Duration::from_secs(wait) + Duration::from_millis(900),
        "{:?} for {wait} s",
        told.elapsed()
    );
    assert!(now_s() + 1 >= reset, "not before the window ended");
}

/// R10, R12, K9: a key's limit can be raised at run time; its count goes on, through renames and
/// reloads of either file.
#[test]
fn a_reload_never_refills_a_window() {
    let upstream = Upstream::answering(200, CALLS);
    let key = limited("k", 10);
    let config = Config::with_upstream(&upstream);
    let mut gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let asks = |gateway: &Gateway| {
        let answer = gateway.get("/api/calls").bearer(&key).send();
        (answer.status, shown(&answer))
    };
    assert_eq!(asks(&gateway), (200, (10, 9)));
    gateway.write_directory(&Directory::of([key.clone().with("name", "Renamed – twice")]));
    assert_eq!(asks(&gateway), (200, (10, 8)), "after a rename");
    gateway.reload(
        &config.clone().section("errors", "{ style: flat }"),
        &Directory::of([key.clone()]),
    );
    assert_eq!(asks(&gateway), (200, (10, 7)), "after a reload");
    gateway.write_directory(&Directory::of([limited("k", 20)]));
    assert_eq!(asks(&gateway), (200, (20, 16)), "raised: three were used, this is the fourth");
    gateway.write_directory(&Directory::of([limited("k", 4)]));
    assert_eq!(asks(&gateway).0, 429, "lowered below what was used");
    gateway.write_directory(&Directory::of([limited("k", 5)]));
    assert_eq!(asks(&gateway), (200, (5, 0)));
}

/// R13: the upstream's own limit headers never overwrite or join the gateway's.
#[test]
fn the_upstreams_limits_do_not_show() {
    let headers = [
        ("Content-Type", "application/json"),
        ("X-RateLimit-Limit", "999999"),
        ("x-ratelimit-remaining", "888888"),
        ("X-RateLimit-Reset", "777777"),
        ("RateLimit", "\"theirs\";r=1"),
        ("RateLimit-Policy", "\"theirs\";q=1"),
        ("X-Rate-Limit-Limit", "666666"),
    ];
    let upstream = Upstream::replying(Reply::with_headers(200, &headers, CALLS));
    let key = limited("k", 5);
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    let answer = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!(shown(&answer), (5, 4));
    let head: Vec<String> =
        answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    for foreign in ["999999", "888888", "777777", "666666", "theirs"] {
        assert!(!head.iter().any(|line| line.contains(foreign)), "{head:?}");
    }
}

/// R1: all limits of a key must agree; the lists show all, the trio the one named `minute`.
#[test]
fn several_limits_must_all_agree() {
    let upstream = Upstream::answering(200, CALLS);
    let limits = json!({
        "day": { "requests": 100, "window": "30d" },
        "minute": { "requests": 50, "window": "30d" },
        "burst": { "requests": 60, "window": "1h", "kind": "gcra", "burst": 3 },
    });
    let key = key("k").with("limits", limits);
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    let answers: Vec<Answer> =
        (0..5).map(|_| gateway.get("/api/calls").bearer(&key).send()).collect();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429], "the burst is spent first");
    assert_eq!(shown(&answers[2]), (50, 47), "the one named minute");
    assert_eq!(shown(&answers[4]), (50, 47), "the others were not charged for a refusal");
    let policy = answers[0].header("ratelimit-policy").unwrap();
    for name in ["\"day\";q=100", "\"minute\";q=50", "\"burst\""] {
        assert!(policy.contains(name), "{policy}");
    }
    assert!(
        answers[4].text().contains("burst"),
        "the limit that refused is named: {}",
        answers[4].text()
    );
}

/// R11: a flood of one key leaves another's answers as they were.
#[test]
fn a_flood_of_one_key_does_not_refuse_another() {
    let upstream = Upstream::answering(200, CALLS);
    let (flood, calm) = (limited("flood", 1), limited("calm", 1000));
    let gateway = Gateway::start(
        &Config::with_upstream(&upstream),
        &Directory::of([flood.clone(), calm.clone()]),
    );
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = gateway.connect();
                (0..100).for_each(|_| {
                    drop(gateway.get("/api/calls").bearer(&flood).send_on(&mut connection))
                });
            });
        }
        let mut connection = gateway.connect();
        for _ in 0..100 {
            assert_eq!(
                gateway.get("/api/calls").bearer(&calm).send_on(&mut connection).status,
                200
            );
        }
    });
    assert_eq!(upstream.requests_seen(), 101);
}
