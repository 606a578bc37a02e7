//! Chunked bodies held to their grammar: one that two parsers could read differently reaches nobody.

use crate::samples::CONTACTS;
use crate::support::answer::refusal;
use crate::support::{Config, Directory, Gateway, Key, Upstream};

/// Sizes, extensions, data ends and trailers that RFC 9112 §7.1 does not have.
const UNSOUND: [&str; 24] = [
    "\r\n\r\n",
    "3\r\nabc\r\n\r\n\r\n",
    ";x\r\n\r\n",
    " \r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    "3\t\r\nabc\r\n0\r\n\r\n",
    " 3\r\nabc\r\n0\r\n\r\n",
    "+3\r\nabc\r\n0\r\n\r\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "00000000000000003\r\nabc\r\n0\r\n\r\n",
    "3\nabc\r\n0\r\n\r\n",
    "3;x\n\r\nabc\r\n0\r\n\r\n",
    "2;\nxx\r\n4c\r\n0\r\n\r\n",
    "3;ext\nX\r\nabc\r\n0\r\n\r\n",
    "3;\0\r\nabc\r\n0\r\n\r\n",
    "3;\rX\r\nabc\r\n0\r\n\r\n",
    "3;a=\"b\r\nabc\r\n0\r\n\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "3\r\nabc\n0\r\n\r\n",
    "0\r\nbad\r\n\r\n",
    "0\r\nX: y\nZ: w\r\n\r\n",
    "0\r\nX: \0\r\n\r\n",
    "0\r\nX : y\r\n\r\n",
    "0\r\n X: y\r\n\r\n",
];

fn serving(upstream: &Upstream) -> (Gateway, Key) {
    let key = Key::new("k", &["contacts:read", "contacts:write"]);
    (Gateway::start(&Config::with_upstream(upstream), &Directory::of([key.clone()])), key)
}

fn post(key: &Key, fields: &str) -> String {
    format!(
        "POST /api/contacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n{fields}\r\n",
        key.text
    )
}

/// Whether it comes with its head or behind it: 400, the end of the connection, and silence upstream.
#[test]
fn an_unsound_chunked_body_is_refused_and_reaches_nobody() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream);
    let smuggled = format!(
        "GET /api/contacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
        key.text
    );
    for body in UNSOUND {
        for waits in [false, true] {
            let mut connection = gateway.connect();
            if waits {
                // The gateway asks for the body only once it reads it, so the body comes alone.
                connection.send(post(&key, "Expect: 100-continue\r\n")).await_interim();
                connection.send(format!("{body}{smuggled}"));
            } else {
                connection.send(format!("{}{body}{smuggled}", post(&key, "")));
            }
            let answer = connection.answer();
            assert_eq!(answer.verdict(), refusal(400, "bad_request"), "{body:?} {waits}");
            assert!(connection.is_closed(), "{body:?} {waits}: the connection goes on");
            assert_eq!(upstream.requests_seen(), 0, "{body:?} {waits}: {:?}", upstream.requests());
        }
    }
    assert_eq!(gateway.get("/api/contacts").bearer(&key).send().status, 200);
}

/// What the grammar has is taken, its extensions and trailers dropped, and what follows is the next
/// request, in one segment or byte by byte.
#[test]
fn a_sound_chunked_body_goes_on_whole_and_ends_where_it_ends() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream);
    for (body, data) in [
        ("0\r\n\r\n", ""),
        ("000\r\n\r\n", ""),
        ("03\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", "abc0123456789"),
        ("3;a;b=c;d=\"e;\\\"\"\r\nabc\r\n0;f\r\n\r\n", "abc"),
        ("3\r\nabc\r\n0\r\nX-Colonnade-Account: evil\r\nContent-Length: 9\r\n\r\n", "abc"),
    ] {
        for drips in [false, true] {
            upstream.forget();
            let mut connection = gateway.connect();
            let bytes = format!("{}{body}", post(&key, "")).repeat(2);
            if drips {
                for byte in bytes.bytes() {
                    connection.send([byte]);
                }
            } else {
                connection.send(&bytes);
            }
            for _ in 0..2 {
                assert_eq!(connection.answer().status, 200, "{body:?} {drips}");
            }
            for seen in upstream.requests() {
                assert_eq!(seen.body, data.as_bytes(), "{body:?} {drips}");
                assert!(!seen.head.contains("evil"), "{}", seen.head);
            }
            assert_eq!(upstream.requests_seen(), 2, "{body:?} {drips}");
        }
    }
}

/// Framing costs a sender nothing, so it has bounds of its own.
#[test]
fn extensions_and_trailers_without_end_are_refused() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream);
    for body in [
        format!("1;{}", "x".repeat(4 << 10)),
        format!("1;{}\r\na\r\n", "x".repeat(200)).repeat(100),
        format!("0\r\nX: {}", "x".repeat(16 << 10)),
        "0\r\n".to_owned() + &"X: y\r\n".repeat(4 << 10),
    ] {
        let mut connection = gateway.connect();
        let answer = connection.send(format!("{}{body}", post(&key, ""))).answer();
        assert_eq!(answer.verdict(), refusal(400, "bad_request"), "{}", body.len());
        assert!(connection.is_closed());
    }
    assert_eq!(upstream.requests_seen(), 0);
}
