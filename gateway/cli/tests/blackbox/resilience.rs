//! An upstream that is away, hangs, or is full: what its clients get, and that no other upstream notices (E13).

use std::time::Instant;

use crate::samples::{CALLS, CONTACT};
use crate::support::answer::refusal;
use crate::support::{Config, Directory, Gate, Gateway, Key, Reply, Upstream, waiting};

/// What opens the breaker, by default.
const FAILURES: usize = 5;

fn key() -> Key {
    Key::new("k", &["calls:read", "coach:read", "contacts:read", "contacts:write"])
}

/// A gateway on one upstream, whose `calls` has these members.
fn serving(upstream: &Upstream, members: &str) -> (Gateway, Key) {
    let key = key();
    let config =
        Config::with_upstream(upstream).upstream_with("calls", upstream.address(), members);
    (Gateway::start(&config, &Directory::of([key.clone()])), key)
}

pub(crate) fn calls(gateway: &Gateway, name: &str) -> f64 {
    gateway.metric(name, &[("upstream", "calls")])
}

/// An upstream that goes and comes back, again and again: the first to notice get 502, the others 503 at
/// once, of which one a second goes up to see; then all is as before. Its only server is never ejected.
#[test]
fn an_upstream_that_dies_is_given_up_and_found_again() {
    let mut upstream = Upstream::replying_on([1, 1], Reply::json(CALLS));
    let address = upstream.address();
    let (gateway, key) = serving(&upstream, "");
    let ask = || gateway.get("/api/calls").bearer(&key).send();
    for round in 1..=3_u32 {
        assert_eq!(ask().status, 200, "round {round}");
        drop(upstream);
        for _ in 0..FAILURES {
            assert_eq!(ask().verdict(), refusal(502, "upstream_unavailable"), "round {round}");
        }
        let open = waiting::until("an answer of the open breaker", || {
            Some(ask()).filter(|answer| answer.status == 503)
        });
        assert_eq!(open.verdict(), refusal(503, "overloaded"), "round {round}");
        assert_eq!(open.number("retry-after"), 1);
        assert!(open.header("x-ratelimit-limit").is_some());
        let tried = || calls(&gateway, "colonnade_upstream_failures_total");
        let (before, began) = (tried(), Instant::now());
        let probes = waiting::until("a probe", || {
            ask();
            Some(tried() - before).filter(|probes| *probes >= 1.0)
        });
        let seconds = began.elapsed().as_secs_f64();
        assert!(probes <= seconds + 1.0, "{probes} in {seconds} s");
        assert_eq!(calls(&gateway, "colonnade_upstream_breaker_open"), 1.0);
        assert_eq!(calls(&gateway, "colonnade_upstream_healthy"), 0.0);
        upstream = Upstream::replying_at(address, Reply::json(CALLS));
        waiting::until("an answer of the upstream that is back", || {
            (ask().status == 200).then_some(())
        });
        assert_eq!(ask().status, 200, "no half-open state is left behind");
        assert_eq!(calls(&gateway, "colonnade_upstream_breaker_open"), 0.0);
        assert_eq!(calls(&gateway, "colonnade_upstream_healthy"), 1.0);
        assert_eq!(calls(&gateway, "colonnade_upstream_breaker_opened_total"), f64::from(round));
        assert_eq!(calls(&gateway, "colonnade_upstream_ejections_total"), 0.0);
    }
}

/// It accepts and says nothing. The whole exchange's time runs out as early as that for the head here.
#[test]
fn an_upstream_that_hangs_is_given_up_and_found_again() {
    let upstream = Upstream::replying(Reply::silence());
    let members =
        "timeouts: { first_byte: 200ms, total: 200ms }, breaker: { probe_interval: 200ms }";
    let (gateway, key) = serving(&upstream, members);
    let ask = || gateway.get("/api/calls").bearer(&key).send();
    for _ in 0..FAILURES {
        assert_eq!(ask().verdict(), refusal(504, "upstream_timeout"));
    }
    assert_eq!(calls(&gateway, "colonnade_upstream_breaker_opened_total"), 1.0);
    waiting::until("an answer of the open breaker", || (ask().status == 503).then_some(()));
    upstream.now_replies(Reply::json(CALLS));
    waiting::until("the upstream that is back", || (ask().status == 200).then_some(()));
}

/// Answers of any status are answers; and the breaker can be switched off.
#[test]
fn an_upstream_that_answers_is_never_given_up() {
    let upstream = Upstream::answering(503, "{}");
    let (gateway, key) = serving(&upstream, "");
    for _ in 0..4 * FAILURES {
        let answer = gateway.get("/api/calls").bearer(&key).send();
        assert_eq!(answer.verdict(), refusal(503, "upstream_error"));
    }
    let (gateway, key) = serving(&upstream, "breaker: { consecutive_failures: 0 }");
    upstream.now_replies(Reply::nothing());
    for _ in 0..4 * FAILURES {
        let answer = gateway.get("/api/calls").bearer(&key).send();
        assert_eq!(answer.verdict(), refusal(502, "upstream_unavailable"));
    }
}

/// One upstream is full of requests that hang, the others do not notice.
#[test]
fn a_full_upstream_costs_another_nothing() {
    let (gate, good) = (Gate::new(), Upstream::answering(200, CALLS));
    let sick = Upstream::replying(Reply::json("{}").behind(&gate));
    let key = key();
    let config =
        Config::with_upstream(&good).upstream_with("coach", sick.address(), "connections_max: 3");
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let mut hanging: Vec<_> = (0..3).map(|_| gateway.connect()).collect();
    for connection in &mut hanging {
        connection.send(gateway.get("/api/coach/rubrics").bearer(&key).bytes());
    }
    gate.await_reached(3);
    for _ in 0..50 {
        let refused = gateway.get("/api/coach/rubrics").bearer(&key).send();
        assert_eq!(refused.verdict(), refusal(503, "overloaded"));
        assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
    }
    assert_eq!(sick.requests_seen(), 3, "its cap");
    let shed = [("upstream", "coach"), ("reason", "full")];
    assert_eq!(gateway.metric("colonnade_upstream_shed_total", &shed), 50.0);
    gate.open();
    for connection in &mut hanging {
        assert_eq!(connection.answer().status, 200);
    }
}

/// Where a queue is asked for: so many wait, and get the place that becomes free; the next is refused.
#[test]
fn so_many_wait_for_a_place_and_no_more() {
    let gate = Gate::new();
    let upstream = Upstream::replying(Reply::json(CALLS).behind(&gate));
    let (gateway, key) = serving(&upstream, "connections_max: 1, pending_max: 1, pending_time: 1m");
    let bytes = gateway.get("/api/calls").bearer(&key).bytes();
    let (mut first, mut second) = (gateway.connect(), gateway.connect());
    first.send(&bytes);
    gate.await_reached(1);
    second.send(&bytes);
    // A look at settled metrics would wait in vain for both to end.
    waiting::until("a request that waits", || {
        let text = gateway.telemetry("/metrics").text();
        text.contains("colonnade_upstream_pending{upstream=\"calls\"} 1").then_some(())
    });
    let refused = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!(refused.verdict(), refusal(503, "overloaded"));
    assert_eq!(upstream.requests_seen(), 1);
    gate.open();
    assert_eq!((first.answer().status, second.answer().status), (200, 200));
    assert_eq!(calls(&gateway, "colonnade_upstream_pending"), 0.0);
}

/// And no longer than they may.
#[test]
fn who_waits_too_long_for_a_place_is_refused() {
    let gate = Gate::new();
    let upstream = Upstream::replying(Reply::json(CALLS).behind(&gate));
    let members = "connections_max: 1, pending_max: 9, breaker: { probe_interval: 1m }";
    let (gateway, key) = serving(&upstream, members);
    let mut first = gateway.connect();
    first.send(gateway.get("/api/calls").bearer(&key).bytes());
    gate.await_reached(1);
    let refused = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!(refused.verdict(), refusal(503, "overloaded"));
    assert_eq!(
        refused.header("retry-after"),
        Some("1"),
        "a place is free sooner than the breaker probes"
    );
    gate.open();
    assert_eq!(first.answer().status, 200);
    let waited = [("upstream", "calls"), ("reason", "waited")];
    assert_eq!(gateway.metric("colonnade_upstream_shed_total", &waited), 1.0);
}

/// Every second connection dies under its request: idempotent requests go up again within the budget, so
/// the upstream gets a fifth more than it was asked for at most; the others never.
#[test]
fn repeats_do_not_drown_an_upstream_that_drops_connections() {
    const REQUESTS: usize = 200;
    // Says that it closes: a connection that was kept and is closing may swallow a request unseen.
    let headers = [("Content-Type", "application/json"), ("Connection", "close")];
    let good = Reply::with_headers(200, &headers, CONTACT).then_close();
    let upstream = Upstream::scripted(move |seen| match seen.connection % 2 {
        0 => good.clone(),
        _ => Reply::nothing(),
    });
    let key = key();
    let config = Config::with_upstream(&upstream);
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    for (method, most, twice) in [("GET", REQUESTS * 12 / 10, 2), ("PATCH", REQUESTS, 1)] {
        upstream.forget();
        let mut good = 0;
        for nonce in 0..REQUESTS {
            let request = gateway.request(method, "/api/contacts/contact_1").bearer(&key);
            let request = request.header("X-Request-Id", &format!("{method}-{nonce}"));
            let request = if method == "GET" { request } else { request.body("{}") };
            good += usize::from(request.send().status == 200);
        }
        let seen = upstream.requests();
        let times = |nonce: usize| {
            let id = format!("{method}-{nonce}");
            seen.iter().filter(|seen| seen.header("x-request-id").as_deref() == Some(&id)).count()
        };
        let most_times = (0..REQUESTS).map(times).max().unwrap();
        assert!((REQUESTS..=most).contains(&seen.len()), "{method}: {} of {REQUESTS}", seen.len());
        assert_eq!(most_times, twice, "{method}");
        assert!(good >= REQUESTS / 2, "{method}: {good}");
    }
    let denied = [("upstream", "leads"), ("kind", "over_budget")];
    assert!(gateway.metric("colonnade_upstream_retries_total", &denied) > 0.0);
}
