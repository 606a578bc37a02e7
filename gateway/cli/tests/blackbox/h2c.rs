//! A listener with `h2c`: HTTP/2 by prior knowledge beside HTTP/1, told apart by the first bytes.

use std::time::{Duration, Instant};

use crate::response_h2::{Http2, PREFACE};
use crate::samples::CALLS;
use crate::support::answer::refusal;
use crate::support::{Config, Directory, Gateway, Key, Upstream, waiting};

fn serving(upstream: &Upstream, bounds: &str) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read"]);
    let config = Config::with_upstream(upstream)
        .section("listeners", "\n  - { address: 127.0.0.1:0, h2c: true }")
        .section("bounds", bounds);
    (Gateway::start(&config, &Directory::of([key.clone()])), key)
}

/// No byte is lost, however slowly and in whatever pieces they come.
#[test]
fn http_1_is_read_from_its_first_byte_on() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{}");
    let get =
        format!("GET /api/calls HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", key.text);
    for cut in [1, 9, 23, 24, 25, get.len() - 1] {
        let mut connection = gateway.connect();
        connection.send(&get[..cut]);
        // Longer than any time that a look at the first bytes may be given.
        waiting::within(Duration::from_millis(800), || None::<()>);
        assert_eq!(connection.send(&get[cut..]).answer().status, 200, "cut at {cut}");
        assert_eq!(connection.exchange(&get).status, 200, "the next after a cut at {cut}");
    }
    let mut connection = gateway.connect();
    for byte in get.bytes() {
        connection.send([byte]);
    }
    assert_eq!(connection.answer().status, 200, "byte by byte");
    // Shorter than the preface, and never longer.
    assert_eq!(gateway.raw("GET / HTTP/1.0\r\n\r\n").verdict(), refusal(401, "missing_api_key"));
    let pri = gateway.raw("PRI * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(pri.verdict(), refusal(400, "bad_request"), "HTTP/1 as long as it can be");
}

#[test]
fn http_2_is_served_beside_it() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{}");
    let mut client = Http2::open(gateway.address());
    for _ in 0..3 {
        let asked = client.get("/api/calls", &key.text);
        let answer = client.answer(asked);
        assert!(answer.is_ended && answer.body.starts_with(b"{"), "{answer:?}");
    }
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
}

/// What may become a preface has the time of a head.
#[test]
fn half_a_preface_is_408() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, _) = serving(&upstream, "{ header_time: 400ms }");
    for half in [&PREFACE[..1], &PREFACE[..16], &PREFACE[..23], b"GET /", b"PRI * HTTP/1.1\r\n"] {
        let began = Instant::now();
        let mut connection = gateway.connect();
        let answer = connection.send(half).answer();
        assert_eq!(answer.verdict(), refusal(408, "request_timeout"), "{half:?}");
        assert!(connection.is_closed());
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    assert_eq!(upstream.requests_seen(), 0);
}

/// A request that HTTP/1 could not carry is refused here too, with the same problem, and its
/// neighbours on the connection are served.
#[test]
fn what_http_1_refuses_http_2_refuses() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{}");
    let bearer = format!("Bearer {}", key.text);
    let mut client = Http2::open(gateway.address());
    // The last five never come as far as a problem of ours: the stream is reset, or answered without one.
    for (by_us, what, scheme, authority, more) in [
        (true, "a list of hosts", "http", Some("gw,evil"), None),
        (true, "a long port", "http", Some("gw:123456"), None),
        (true, "an odd scheme", "ftp", Some("gw"), None),
        (true, "an unknown expectation", "http", Some("gw"), Some(("expect", "x"))),
        (true, "a name that passes for another", "http", Some("gw"), Some(("x_api_key", "a"))),
        (false, "no host", "http", None, None),
        (false, "a user", "http", Some("u@gw"), None),
        (false, "another host", "http", Some("gw"), Some(("host", "evil"))),
        (false, "a list of hosts beside none", "http", None, Some(("host", "gw, evil"))),
        (false, "a list of lengths", "http", Some("gw"), Some(("content-length", "0, 0"))),
    ] {
        let mut fields = vec![(":method", "GET"), (":scheme", scheme), (":path", "/api/calls")];
        fields.extend(authority.map(|authority| (":authority", authority)));
        fields.push(("authorization", &bearer));
        fields.extend(more);
        let asked = client.ask(&fields);
        let answer = client.answer(asked);
        let told = String::from_utf8_lossy(&answer.body);
        if by_us {
            assert!(answer.is_ended && told.contains(r#""code":"bad_request""#), "{what}: {told}");
        }
        assert!(!told.contains("data"), "{what}: {told}");
        assert_eq!(upstream.requests_seen(), 0, "{what}");
    }
    let asked = client.get("/api/calls", &key.text);
    let answer = client.answer(asked);
    assert!(String::from_utf8_lossy(&answer.body).contains("data"), "{answer:?}");
    let with_host = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/api/calls"),
        (":authority", "gw:443"),
        ("host", "gw:443"),
        ("authorization", &bearer),
    ];
    let asked = client.ask(&with_host);
    let answer = client.answer(asked);
    assert!(String::from_utf8_lossy(&answer.body).contains("data"), "{answer:?}");
}

/// A path with a fragment is not cut to a path without one: the stream is refused, its neighbours
/// are not. Elsewhere the sign is a byte like others.
#[test]
fn a_fragment_is_never_cut_off() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{}");
    let mut client = Http2::open(gateway.address());
    for path in ["/api/calls#", "/api/calls#x", "/api/calls?limit=1#x", "#", "/#/api/calls"] {
        let odd = client.get(path, &key.text);
        let good = client.get("/api/calls", &key.text);
        let answer = client.answer(odd);
        assert!(answer.is_reset && answer.body.is_empty(), "{path}: {answer:?}");
        let answer = client.answer(good);
        assert!(String::from_utf8_lossy(&answer.body).contains("data"), "{path}: {answer:?}");
    }
    let bearer = format!("Bearer {}", key.text);
    let asked = client.ask(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/api/calls"),
        (":authority", "gw"),
        ("user-agent", "a#b"),
        ("authorization", &bearer),
    ]);
    assert!(client.answer(asked).is_ended);
    assert_eq!(upstream.last().header("user-agent").as_deref(), Some("a#b"));
    assert!(upstream.requests().iter().all(|seen| seen.target == "/api/calls"));
    assert_eq!(upstream.requests_seen(), 6);
}
