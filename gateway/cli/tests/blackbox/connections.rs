//! Good requests in unusual clothes: pipelined, HTTP/1.0, HEAD, expecting 100, half-closed.

use crate::samples::{CALLS, CONTACTS};
use crate::support::answer::{Ending, refusal};
use crate::support::{Config, Directory, Gate, Gateway, Key, Reply, Upstream};

fn serving(upstream: &Upstream) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read", "contacts:read", "contacts:write", "coach:read"]);
    (Gateway::start(&Config::with_upstream(upstream), &Directory::of([key.clone()])), key)
}

fn get(key: &Key, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", key.text)
}

/// Requests sent together are answered in their order, each judged for itself.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::scripted(|seen| {
        if seen.target == "/api/calls" { Reply::json(CALLS) } else { Reply::json(CONTACTS) }
    });
    let (gateway, key) = serving(&upstream);
    let mut connection = gateway.connect();
    let keyless = "GET /api/calls HTTP/1.1\r\nHost: a\r\n\r\n".to_owned();
    let all = [
        get(&key, "/api/calls"),
        keyless,
        get(&key, "/api/contacts"),
        get(&key, "/api/nope"),
        get(&key, "/api/calls"),
    ];
    connection.send(all.concat());
    let statuses: Vec<u16> = (0..5).map(|_| connection.answer().status).collect();
    assert_eq!(statuses, [200, 401, 200, 404, 200]);
    let targets: Vec<String> = upstream.requests().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/api/calls", "/api/contacts", "/api/calls"]);
}

/// A connection is kept after good and after refused requests, and the upstream's is used again.
#[test]
fn connections_are_kept() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    let mut connection = gateway.connect();
    for _ in 0..5 {
        assert_eq!(connection.exchange(get(&key, "/api/calls")).status, 200);
        assert_eq!(connection.exchange("GET /api/calls HTTP/1.1\r\nHost: a\r\n\r\n").status, 401);
    }
    let used: std::collections::BTreeSet<usize> =
        upstream.requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(used.len(), 1, "one upstream connection: {used:?}");
    let last = connection
        .exchange(get(&key, "/api/calls").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    assert_eq!(last.status, 200);
    assert!(connection.is_closed(), "a client that wants to close is let go");
}

/// HEAD asks the upstream with HEAD, brings no body, and leaves the connection usable.
#[test]
fn head_has_no_body() {
    let upstream = Upstream::scripted(|seen| {
        if seen.method == "HEAD" {
            Reply::raw(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                CALLS.len()
            ))
        } else {
            Reply::json(CALLS)
        }
    });
    let (gateway, key) = serving(&upstream);
    let mut connection = gateway.connect();
    for target in ["/api/calls", "/api/coach/rubrics", "/api/nope", "/api/key"] {
        let answer = connection.exchange(get(&key, target).replace("GET ", "HEAD "));
        assert_eq!(answer.status, if target == "/api/nope" { 404 } else { 200 }, "{target}");
        assert_eq!(connection.exchange(get(&key, "/api/calls")).status, 200, "after HEAD {target}");
    }
}

/// An HTTP/1.0 client cannot see a cut, so a filtered route is closed to it; an open one is not.
#[test]
fn http_1_0_is_505_on_filtered_routes() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    for (target, status) in [("/api/calls", 505), ("/api/coach/rubrics", 200), ("/api/nope", 404)] {
        let mut connection = gateway.connect();
        let request = format!(
            "GET {target} HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
            key.text
        );
        let answer = connection.exchange(request);
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert_eq!(
            (answer.version.as_str(), answer.header("transfer-encoding")),
            ("HTTP/1.0", None),
            "{target}"
        );
        assert!(connection.is_closed(), "{target}");
    }
    let chunked = [&CALLS.as_bytes()[..20], &CALLS.as_bytes()[20..]];
    upstream.now_replies(Reply::chunked(&chunked));
    let request = format!(
        "GET /api/coach/rubrics HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
        key.text
    );
    let answer = gateway.raw(request);
    assert_eq!((answer.status, answer.header("transfer-encoding")), (200, None));
    assert_eq!(answer.text(), CALLS);
}

/// A client that waits for 100 is told to go on when the request is admitted, and refused at once
/// when it is not.
#[test]
fn expect_100_continue_is_answered_by_the_verdict() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream);
    let head = |auth: &str| {
        format!(
            "POST /api/contacts HTTP/1.1\r\nHost: a\r\n{auth}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
    };
    let mut connection = gateway.connect();
    // The client holds its body back until 100 comes; the answer then shows that it did.
    connection.send(head(&format!("Authorization: Bearer {}\r\n", key.text)));
    connection.await_interim();
    let answer = connection.send("{}").answer();
    assert_eq!((answer.status, answer.early.as_slice()), (200, &[100][..]));
    assert_eq!(upstream.last().body, b"{}");
    assert_eq!(upstream.last().header("expect"), None);
    let refused = gateway.connect().send(head("")).answer();
    assert_eq!(
        (refused.verdict(), refused.early.as_slice()),
        (refusal(401, "missing_api_key"), &[][..])
    );
}

/// A client that has said all it will say still gets its answer.
#[test]
fn a_half_closed_client_gets_its_answer() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream);
    let mut connection = gateway.connect();
    let answer = connection.send(get(&key, "/api/contacts")).end_sending().try_answer_to("GET");
    // Leaving is a client's right; what must not be is half an answer.
    if let Some(answer) = answer {
        assert_eq!((answer.status, answer.ending), (200, Ending::Whole));
    }
    assert!(connection.is_closed());
    assert_eq!(gateway.get("/api/contacts").bearer(&key).send().status, 200);
}

/// A head that comes byte by byte is the same head.
#[test]
fn a_head_may_come_in_any_pieces() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    let mut connection = gateway.connect();
    for byte in get(&key, "/api/calls").bytes() {
        connection.send([byte]);
    }
    assert_eq!(connection.answer().status, 200);
}

/// An upgrade is not granted, whatever the upstream says.
#[test]
fn no_connection_is_ever_upgraded() {
    let upstream = Upstream::replying(Reply::raw(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nsecret tunnel bytes",
    ));
    let (gateway, key) = serving(&upstream);
    for fields in [
        "",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ] {
        for target in ["/api/calls", "/api/coach/rubrics"] {
            let request = get(&key, target).replace("\r\n\r\n", &format!("\r\n{fields}\r\n"));
            let mut connection = gateway.connect();
            let answer = connection.exchange(request);
            assert_eq!(answer.status, 502, "{target} {fields:?}");
            assert!(!String::from_utf8_lossy(&answer.wire).contains("tunnel"));
            let seen = upstream.last();
            assert_eq!(
                (seen.header("upgrade"), seen.header("http2-settings")),
                (None, None),
                "{}",
                seen.head
            );
        }
    }
}

/// A client that leaves in the middle of an answer harms nobody.
#[test]
fn a_client_that_leaves_harms_nobody() {
    let gate = Gate::new();
    let upstream = Upstream::replying(Reply::json(CALLS).behind(&gate));
    let (gateway, key) = serving(&upstream);
    for _ in 0..5 {
        let mut connection = gateway.connect();
        connection.send(get(&key, "/api/calls"));
        drop(connection);
    }
    gate.open();
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
    crate::support::waiting::until("nothing in flight", || {
        (gateway.metric("colonnade_inflight_requests", &[]) == 0.0).then_some(())
    });
}
