//! More than there is room for: connections, requests and wrong keys beyond their bounds.

use crate::response_h2::Http2;
use crate::samples::CALLS;
use crate::support::answer::refusal;
use crate::support::{Config, Connection, Directory, Gate, Gateway, Key, Reply, Upstream, waiting};

fn serving(upstream: &Upstream, bounds: &str) -> (Gateway, Key) {
    serving_on(upstream, bounds, "\n  - { address: 127.0.0.1:0 }")
}

fn serving_on(upstream: &Upstream, bounds: &str, listener: &str) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read"]);
    let config =
        Config::with_upstream(upstream).section("bounds", bounds).section("listeners", listener);
    (Gateway::start(&config, &Directory::of([key.clone()])), key)
}

fn get(key: &Key) -> String {
    format!("GET /api/calls HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", key.text)
}

fn shed(gateway: &Gateway, bound: &str) -> f64 {
    gateway.metric("colonnade_shed_total", &[("bound", bound)])
}

fn await_connections(gateway: &Gateway, count: f64) {
    waiting::until("the connections to be counted", || {
        (gateway.metric("colonnade_connections", &[]) == count).then_some(())
    });
}

/// One beyond the bound is told so and closed; the others are served, and a place that is given back is
/// there for the next.
#[test]
fn connections_beyond_the_bound_are_turned_away() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{ connections: 3 }");
    let mut kept: Vec<Connection> = (0..3).map(|_| gateway.connect()).collect();
    for connection in &mut kept {
        assert_eq!(connection.exchange(get(&key)).status, 200);
    }
    for _ in 0..5 {
        let mut beyond = gateway.connect();
        let answer = beyond.answer();
        assert_eq!(answer.verdict(), refusal(503, "overloaded"));
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(beyond.is_closed());
    }
    assert_eq!(shed(&gateway, "connections"), 5.0);
    assert_eq!(gateway.metric("colonnade_connections", &[]), 3.0);
    assert_eq!(kept[0].exchange(get(&key)).status, 200, "who is connected is served");
    assert_eq!(gateway.telemetry("/readyz").status, 200);
    kept.pop();
    await_connections(&gateway, 2.0);
    assert_eq!(gateway.connect().exchange(get(&key)).status, 200);
    assert_eq!(shed(&gateway, "connections"), 5.0);
}

/// An address has its own bound, and other addresses do not notice.
#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{ connections_per_address: 2 }");
    let mut kept: Vec<Connection> = (0..2).map(|_| gateway.connect()).collect();
    kept.iter_mut().for_each(|kept| assert_eq!(kept.exchange(get(&key)).status, 200));
    let mut beyond = gateway.connect();
    assert_eq!(beyond.answer().verdict(), refusal(503, "overloaded"));
    assert!(beyond.is_closed());
    let mut other = Connection::open_from("127.0.0.2", gateway.address());
    assert_eq!(other.exchange(get(&key)).status, 200, "another address");
    assert_eq!(shed(&gateway, "connections_per_address"), 1.0);
    drop(kept);
    await_connections(&gateway, 1.0);
    assert_eq!(gateway.connect().exchange(get(&key)).status, 200);
}

/// What comes from a trusted proxy is many clients': only the bound in all holds.
#[test]
fn a_trusted_proxy_is_not_held_to_the_bound_of_an_address() {
    let upstream = Upstream::answering(200, CALLS);
    let listener = "\n  - { address: 127.0.0.1:0, trusted_proxies: [127.0.0.2] }";
    let bounds = "{ connections: 8, connections_per_address: 2 }";
    let (gateway, key) = serving_on(&upstream, bounds, listener);
    let mut proxied: Vec<Connection> =
        (0..6).map(|_| Connection::open_from("127.0.0.2", gateway.address())).collect();
    proxied.iter_mut().for_each(|proxied| assert_eq!(proxied.exchange(get(&key)).status, 200));
    let mut direct: Vec<Connection> = (0..2).map(|_| gateway.connect()).collect();
    direct.iter_mut().for_each(|direct| assert_eq!(direct.exchange(get(&key)).status, 200));
    let mut beyond = Connection::open_from("127.0.0.2", gateway.address());
    assert_eq!(beyond.answer().verdict(), refusal(503, "overloaded"), "of all");
    assert_eq!(
        (shed(&gateway, "connections"), shed(&gateway, "connections_per_address")),
        (1.0, 0.0)
    );
}

/// Requests beyond the bound get 503 at once and keep their connections; those under way finish.
#[test]
fn requests_beyond_the_bound_are_shed_while_others_finish() {
    let gate = Gate::new();
    let upstream = Upstream::replying(Reply::json(CALLS).behind(&gate));
    let (gateway, key) = serving(&upstream, "{ requests_in_flight: 3 }");
    let mut under_way: Vec<Connection> = (0..3).map(|_| gateway.connect()).collect();
    for connection in &mut under_way {
        connection.send(get(&key));
    }
    gate.await_reached(3);
    let mut beyond = gateway.connect();
    // A key is not even looked at.
    for request in [get(&key), get(&key).replace("avoca_", "wrong_")] {
        let answer = beyond.exchange(request);
        assert_eq!(answer.verdict(), refusal(503, "overloaded"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(shed(&gateway, "requests_in_flight"), 2.0);
    assert_eq!(upstream.requests_seen(), 3, "nothing more went up");
    gate.open();
    for connection in &mut under_way {
        assert_eq!(connection.answer().status, 200);
    }
    waiting::until("a seat", || (beyond.exchange(get(&key)).status == 200).then_some(()));
}

/// A client without a window takes no refusal: it holds no seat of those who are served, and only so many of its
/// requests wait.
#[test]
fn refusals_that_nobody_takes_hold_no_seat() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving_on(
        &upstream,
        "{ requests_in_flight: 3 }",
        "\n  - { address: 127.0.0.1:0, h2c: true }",
    );
    let mut stalled = Http2::without_window(gateway.address());
    let refused: Vec<u32> = (0..3).map(|_| stalled.get("/api/calls", "avoca_wrong")).collect();
    for stream in &refused {
        stalled.await_head(*stream);
    }
    for _ in 0..20 {
        assert_eq!(gateway.connect().exchange(get(&key)).status, 200);
    }
    let beyond = stalled.get("/api/calls", "avoca_wrong");
    assert!(stalled.answer(beyond).is_reset, "as many wait as may");
    for stream in refused {
        assert!(stalled.answer(stream).is_reset, "it had its time");
    }
    let keyless = "GET /api/calls HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = gateway.connect().exchange(keyless);
    assert_eq!(
        answer.verdict(),
        refusal(401, "missing_api_key"),
        "there is room for refusals again"
    );
}

/// Who guesses is told to wait; the right key from the same address is served all the while.
#[test]
fn wrong_keys_are_throttled_and_the_right_one_passes() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{ failed_authentications: 5 }");
    let mut connection = gateway.connect();
    let wrong = |n: u32| get(&key).replace(&key.text, &format!("avoca_{n:064x}"));
    for n in 0..5 {
        let answer = connection.exchange(wrong(n));
        assert_eq!(answer.verdict(), refusal(401, "invalid_api_key"));
    }
    for n in 5..25 {
        let request = wrong(n).replace("\r\n\r\n", &format!("\r\nX-Request-Id: guess-{n}\r\n\r\n"));
        let answer = connection.exchange(request);
        assert_eq!(answer.verdict(), refusal(429, "too_many_failures"), "guess {n}");
        let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(answer.header("www-authenticate"), None);
        assert_eq!(connection.exchange(get(&key)).status, 200, "the right key behind guess {n}");
    }
    let keyless = "GET /api/calls HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(connection.exchange(keyless).verdict(), refusal(401, "missing_api_key"));
    assert_eq!(shed(&gateway, "failed_authentications"), 20.0);
    let refused = [("result", "refused"), ("reason", "unknown")];
    assert_eq!(gateway.metric("colonnade_auth_total", &refused), 25.0, "all of them are counted");
    let other = Connection::open_from("127.0.0.2", gateway.address()).exchange(wrong(0));
    assert_eq!(other.verdict(), refusal(401, "invalid_api_key"), "another address");
    // The last right one has its line; by then those before it would have theirs.
    let last = gateway.get("/api/calls").header("X-Request-Id", "last").bearer(&key).send();
    assert_eq!(last.status, 200);
    gateway.access_line("last");
    let logged = gateway.access.json();
    let guesses = logged.iter().filter(|line| line["status"] == 429).count();
    assert_eq!(guesses, 0, "the log is not flooded");
    assert_eq!(logged.iter().filter(|line| line["code"] == "invalid_api_key").count(), 6);
}

/// Behind a trusted proxy a client is counted by its own address.
#[test]
fn a_client_behind_a_proxy_is_throttled_alone() {
    let upstream = Upstream::answering(200, CALLS);
    let listener = "\n  - { address: 127.0.0.1:0, trusted_proxies: [127.0.0.1] }";
    let (gateway, _) = serving_on(&upstream, "{ failed_authentications: 2 }", listener);
    let guess = |from: &str| {
        let guess = gateway.get("/api/calls").header("X-Forwarded-For", from);
        guess.header("Authorization", "Bearer avoca_nobodys").send().status
    };
    let guesses: Vec<u16> = (0..4).map(|_| guess("192.0.2.1")).collect();
    assert_eq!(guesses, [401, 401, 429, 429]);
    assert_eq!(guess("192.0.2.2"), 401);
    // A forged list moves nobody: its last entry is what the proxy saw.
    assert_eq!(guess("192.0.2.3, 192.0.2.1"), 429);
    assert_eq!([guess("2001:db8::1"), guess("2001:db8::2"), guess("2001:db8::3")], [401, 401, 429]);
}
