//! Request heads that two parsers could read differently, that are too large, or that never end.

use std::time::{Duration, Instant};

use crate::samples::{CALLS, CONTACTS};
use crate::support::answer::refusal;
use crate::support::{Answer, Config, Directory, Gateway, Key, Upstream, waiting};

const SMUGGLED: &str = "GET /api/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn serving(upstream: &Upstream, bounds: &str) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read", "contacts:read", "contacts:write"]);
    let config = Config::with_upstream(upstream).section("bounds", bounds);
    (Gateway::start(&config, &Directory::of([key.clone()])), key)
}

/// After each refusal: nothing reached the upstream, the connection ends, and a good request works.
fn assert_refused(
    gateway: &Gateway,
    upstream: &Upstream,
    key: &Key,
    what: &str,
    bytes: &[u8],
    verdicts: &[(u16, &str)],
) {
    upstream.forget();
    let mut connection = gateway.connect();
    let answer = connection.send(bytes).answer();
    let verdict = answer.verdict();
    assert!(
        verdicts.iter().any(|(status, code)| verdict == refusal(*status, code)),
        "{what}: {verdict:?}"
    );
    assert_eq!(upstream.requests_seen(), 0, "{what}: {:?}", upstream.requests());
    assert!(connection.is_closed(), "{what}: the connection goes on");
    assert_eq!(
        gateway.get("/api/calls").bearer(key).send().status,
        200,
        "the good request after: {what}"
    );
}

/// Two framings, odd lengths, odd codings: 400 and the end of the connection.
#[test]
fn ambiguous_framing_is_refused() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{}");
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: five\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
    ] {
        let head = format!(
            "POST /api/contacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n{fields}\r\n",
            key.text
        );
        let bytes = format!("{head}0\r\n\r\n{SMUGGLED}");
        assert_refused(
            &gateway,
            &upstream,
            &key,
            fields,
            bytes.as_bytes(),
            &[(400, "bad_request"), (413, "body_too_large")],
        );
    }
}

/// Line ends, blanks, folds, control bytes, hosts and versions: one form only.
#[test]
fn an_odd_head_is_refused() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{}");
    let auth = format!("Authorization: Bearer {}\r\n", key.text);
    let get = "GET /api/calls HTTP/1.1\r\n";
    let heads: Vec<(&str, Vec<u8>)> = vec![
        ("two hosts", format!("{get}Host: a\r\nHost: b\r\n{auth}\r\n").into()),
        ("the same host twice", format!("{get}Host: a\r\nHost: a\r\n{auth}\r\n").into()),
        ("no host", format!("{get}{auth}\r\n").into()),
        ("a host list", format!("{get}Host: a, b\r\n{auth}\r\n").into()),
        ("userinfo in the host", format!("{get}Host: u@a\r\n{auth}\r\n").into()),
        ("a path in the host", format!("{get}Host: a/b\r\n{auth}\r\n").into()),
        ("bare LF", format!("{get}Host: a\n{auth}\r\n").into()),
        ("all bare LF", format!("{get}Host: a\r\n{auth}\r\n").replace("\r\n", "\n").into()),
        ("bare CR", format!("{get}Host: a\rX: b\r\n{auth}\r\n").into()),
        ("a folded line", format!("{get}Host: a\r\nX-A: b\r\n c\r\n{auth}\r\n").into()),
        ("a blank before the colon", format!("{get}Host: a\r\nX-A : b\r\n{auth}\r\n").into()),
        ("no colon", format!("{get}Host: a\r\nnonsense\r\n{auth}\r\n").into()),
        ("no name", format!("{get}Host: a\r\n: b\r\n{auth}\r\n").into()),
        ("NUL in a value", format!("{get}Host: a\r\nX-A: b\0c\r\n{auth}\r\n").into()),
        ("a control byte in a value", format!("{get}Host: a\r\nX-A: b\x01c\r\n{auth}\r\n").into()),
        ("a blank in a name", format!("{get}Host: a\r\nX A: b\r\n{auth}\r\n").into()),
        ("a name beyond ASCII", [get.as_bytes(), b"Host: a\r\nX-\xe9: b\r\n", auth.as_bytes(), b"\r\n"].concat()),
        ("a first empty line", format!("\r\n{get}Host: a\r\n{auth}\r\n").into()),
        ("a first blank", format!(" {get}Host: a\r\n{auth}\r\n").into()),
        ("two blanks", format!("GET  /api/calls HTTP/1.1\r\nHost: a\r\n{auth}\r\n").into()),
        ("a tab", format!("GET\t/api/calls HTTP/1.1\r\nHost: a\r\n{auth}\r\n").into()),
        ("a blank in the target", format!("GET /api/calls /x HTTP/1.1\r\nHost: a\r\n{auth}\r\n").into()),
        ("no version", format!("GET /api/calls\r\nHost: a\r\n{auth}\r\n").into()),
        ("another version", format!("GET /api/calls HTTP/1.2\r\nHost: a\r\n{auth}\r\n").into()),
        ("version 2 in words", format!("GET /api/calls HTTP/2.0\r\nHost: a\r\n{auth}\r\n").into()),
        ("a small version", format!("GET /api/calls http/1.1\r\nHost: a\r\n{auth}\r\n").into()),
        ("another protocol", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("CONNECT", format!("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n{auth}\r\n").into()),
        ("a method that is no token", format!("GE(T /api/calls HTTP/1.1\r\nHost: a\r\n{auth}\r\n").into()),
        ("an odd expectation", format!("{get}Host: a\r\nExpect: 200-maybe\r\n{auth}\r\n").into()),
        ("HTTP/1.0 with chunks", format!("POST /api/contacts HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{auth}\r\n0\r\n\r\n").into()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on\r\n\r\n".to_vec()),
    ];
    for (what, bytes) in heads {
        let verdicts = [
            (400, "bad_request"),
            (405, "method_not_allowed"),
            (417, "bad_request"),
            (505, "http_version_not_supported"),
        ];
        assert_refused(&gateway, &upstream, &key, what, &bytes, &verdicts);
    }
}

/// Target, headers and body have bounds; one byte less passes.
#[test]
fn what_is_too_large_is_refused_with_its_own_status() {
    let upstream = Upstream::answering(200, CONTACTS);
    let bounds = "{ target: 256B, header: 2KiB, headers: 12, request_body: 100B }";
    let (gateway, key) = serving(&upstream, bounds);
    let get = |target: &str, fields: &str| {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n{fields}\r\n",
            key.text
        );
        gateway.raw(head)
    };
    let target = |length: usize| {
        format!("/api/contacts?q={}", "a".repeat(length - "/api/contacts?q=".len()))
    };
    let fields = |number: usize| (0..number).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    for (answer, verdict) in [
        (get(&target(256), ""), (200, "")),
        (get(&target(257), ""), (414, "target_too_long")),
        (get(&target(20_000), ""), (414, "target_too_long")),
        (get("/api/contacts", &fields(10)), (200, "")),
        (get("/api/contacts", &fields(11)), (431, "headers_too_large")),
        (get("/api/contacts", &format!("X: {}\r\n", "y".repeat(1800))), (200, "")),
        (get("/api/contacts", &format!("X: {}\r\n", "y".repeat(2100))), (431, "headers_too_large")),
        (
            get("/api/contacts", &format!("X: {}\r\n", "y".repeat(200_000))),
            (431, "headers_too_large"),
        ),
    ] {
        assert_eq!(answer.verdict(), refusal(verdict.0, verdict.1));
    }
}

/// A body beyond its bound is 413, announced or not, and its end never reaches the upstream as one.
#[test]
fn a_body_that_is_too_large_is_413() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream, "{ request_body: 100B }");
    let post = |framing: &str, body: &str| -> Answer {
        let auth = &key.text;
        gateway.raw(format!("POST /api/contacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {auth}\r\n{framing}\r\n{body}"))
    };
    let chunks = |sizes: &[usize]| {
        let chunks: String =
            sizes.iter().map(|size| format!("{size:x}\r\n{}\r\n", "b".repeat(*size))).collect();
        format!("{chunks}0\r\n\r\n")
    };
    assert_eq!(post("Content-Length: 100\r\n", &"b".repeat(100)).status, 200);
    assert_eq!(upstream.last().body.len(), 100);
    assert_eq!(post("Transfer-Encoding: chunked\r\n", &chunks(&[60, 40])).status, 200);
    assert_eq!(upstream.last().body, "b".repeat(100).as_bytes());
    upstream.forget();
    assert_eq!(
        post("Content-Length: 101\r\n", &"b".repeat(101)).verdict(),
        refusal(413, "body_too_large")
    );
    assert_eq!(
        post("Content-Length: 9999999999\r\n", "").verdict(),
        refusal(413, "body_too_large")
    );
    assert_eq!(
        upstream.requests_seen(),
        0,
        "an announced one is refused before the upstream is asked"
    );
    assert_eq!(
        post("Transfer-Encoding: chunked\r\n", &chunks(&[60, 41])).verdict(),
        refusal(413, "body_too_large")
    );
    assert_eq!(upstream.requests_seen(), 0, "a body that was cut never looks like a whole one");
    assert_eq!(post("Content-Length: 2\r\n", "{}").status, 200);
}

/// Chunk framing is strict, too.
#[test]
fn broken_chunks_are_refused() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream, "{ body_time: 2s }");
    for body in [
        "zz\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}x\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
    ] {
        upstream.forget();
        let head = format!(
            "POST /api/contacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n",
            key.text
        );
        let mut connection = gateway.connect();
        let answer = connection.send(format!("{head}{body}{SMUGGLED}")).answer();
        assert!(
            matches!(answer.status, 400 | 413),
            "{body:?}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(connection.is_closed(), "{body:?}");
        assert_eq!(upstream.requests_seen(), 0, "{body:?}");
    }
    assert_eq!(gateway.get("/api/contacts").bearer(&key).send().status, 200);
}

/// A head that never ends is 408, however it drips; the bound is on the whole of it.
#[test]
fn a_slow_head_is_408() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{ header_time: 400ms }");
    for dripping in [false, true] {
        let began = Instant::now();
        let mut connection = gateway.connect();
        connection.send("GET /api/calls HTTP/1.1\r\nHost: a\r\nX-Drip: ");
        if dripping {
            // Each byte resets a per-read timer; only a bound on the whole head ends this.
            waiting::within(Duration::from_millis(700), || {
                connection.send("x");
                None::<()>
            });
        }
        let answer = connection.answer();
        assert_eq!(answer.verdict(), refusal(408, "request_timeout"), "dripping: {dripping}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(connection.is_closed());
    }
    assert_eq!(upstream.requests_seen(), 0);
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
}

/// A body that never comes is 408.
#[test]
fn a_slow_body_is_408() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream, "{ body_time: 300ms }");
    let began = Instant::now();
    let mut connection = gateway.connect();
    let head = format!(
        "POST /api/contacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: 10\r\n\r\n{{",
        key.text
    );
    let answer = connection.send(head).answer();
    assert_eq!(answer.verdict(), refusal(408, "request_timeout"));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(upstream.requests_seen(), 0, "half a body never looks like a whole one");
}
