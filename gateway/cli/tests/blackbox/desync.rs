//! Where one message ends and the next begins: nothing left over is ever read as another message.

use crate::samples::{CALL, CALLS, CONTACTS};
use crate::support::answer::{Ending, refusal};
use crate::support::{Config, Directory, Gate, Gateway, Key, Reply, Upstream};

const SMUGGLED: &str = "GET /api/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn serving(upstream: &Upstream) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read", "contacts:read", "contacts:write", "coach:read"]);
    (Gateway::start(&Config::with_upstream(upstream), &Directory::of([key.clone()])), key)
}

/// A refused request's body is not the next request: it is read away or the connection ends.
#[test]
fn the_body_of_a_refused_request_is_no_request() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream);
    let good = format!("Authorization: Bearer {}\r\n", key.text);
    let inner = format!("GET /api/contacts HTTP/1.1\r\nHost: a\r\n{good}\r\n");
    for (auth, method, target, status) in [
        ("", "POST", "/api/contacts", 401),
        ("Authorization: Bearer wrong\r\n", "POST", "/api/contacts", 401),
        (good.as_str(), "POST", "/api/nope", 404),
        (good.as_str(), "POST", "/api/calls", 405),
        (good.as_str(), "POST", "/api/contacts/../x", 400),
        (good.as_str(), "GET", "/api/leads", 403),
    ] {
        for framing in ["length", "chunked"] {
            upstream.forget();
            let (fields, body) = if framing == "length" {
                (format!("Content-Length: {}\r\n", inner.len()), inner.clone())
            } else {
                (
                    "Transfer-Encoding: chunked\r\n".to_owned(),
                    format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()),
                )
            };
            let mut connection = gateway.connect();
            connection
                .send(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{auth}{fields}\r\n{body}"));
            let answer = connection.answer_to(method);
            assert_eq!(answer.status, status, "{method} {target} {framing}");
            connection.send(SMUGGLED);
            if let Some(next) = connection.try_answer_to("GET") {
                assert_eq!(
                    next.status, 401,
                    "{method} {target} {framing}: the body was read as a request"
                );
                assert!(
                    connection
                        .send("X\r\n\r\n")
                        .try_answer_to("GET")
                        .is_none_or(|answer| answer.status == 400)
                );
            }
            assert_eq!(upstream.requests_seen(), 0, "{method} {target} {framing}");
        }
    }
}

/// GET with a body: the body belongs to it.
#[test]
fn the_body_of_a_get_belongs_to_it() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    let mut connection = gateway.connect();
    let auth = &key.text;
    let length = SMUGGLED.len();
    connection.send(format!("GET /api/calls HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {auth}\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}"));
    let answer = connection.answer();
    assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
    assert!(
        upstream.requests().iter().all(|seen| seen.target == "/api/calls"),
        "{:?}",
        upstream.requests()
    );
    connection.send(format!(
        "GET /api/calls HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {auth}\r\n\r\n"
    ));
    assert!(connection.try_answer_to("GET").is_none_or(|answer| answer.status == 200));
}

/// What an upstream writes beyond its answer is not the next answer.
#[test]
fn what_an_upstream_adds_is_not_the_next_answer() {
    let poison = r#"HTTP/1.1 200 OK
Content-Type: application/json
Content-Length: 29

{"data":[{"id":"poisonous"}]}"#
        .replace('\n', "\r\n");
    let length = CONTACTS.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream);
    for target in ["/api/contacts", "/api/coach/rubrics"] {
        for poisoned in [
            Reply::raw(format!("{head}{CONTACTS}{poison}")),
            Reply::raw(format!("{head}{CONTACTS}{poison}{poison}{poison}")),
            Reply::raw(format!("HTTP/1.1 204 No Content\r\n\r\n{poison}")),
            Reply::raw(format!("HTTP/1.1 304 Not Modified\r\n\r\n{poison}")),
        ] {
            upstream.now_replies(poisoned);
            let first = gateway.get(target).bearer(&key).send();
            assert!(!first.text().contains("poisonous"), "{}", first.text());
            upstream.now_replies(Reply::json(CONTACTS));
            for _ in 0..5 {
                let next = gateway.get(target).bearer(&key).send();
                assert_eq!(next.status, 200, "{target}");
                assert!(!next.text().contains("poisonous"), "{target}: {}", next.text());
            }
        }
    }
}

/// The same where it comes while the connection waits for its next request.
#[test]
fn what_an_upstream_adds_later_is_not_the_next_answer() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream);
    let poison = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 29\r\n\r\n{\"data\":[{\"id\":\"poisonous\"}]}";
    for _ in 0..5 {
        let (answered, written) = (Gate::new(), Gate::new());
        upstream.now_replies(Reply::json(CONTACTS).wait(&answered).more(poison).wait(&written));
        assert_eq!(gateway.get("/api/contacts").bearer(&key).send().status, 200);
        upstream.now_replies(Reply::json(CONTACTS));
        answered.open();
        written.await_reached(1);
        let next = gateway.get("/api/contacts").bearer(&key).send();
        assert!(next.status == 200 && !next.text().contains("poisonous"), "{}", next.text());
        written.open();
    }
}

/// The answer to HEAD has no body, whatever the upstream sends with it.
#[test]
fn a_body_after_head_is_not_the_next_answer() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    for _ in 0..3 {
        let head = gateway.request("HEAD", "/api/calls").bearer(&key).send();
        assert!(matches!(head.status, 200 | 502), "{}", head.status);
        assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
    }
}

/// An upstream that answers before it has read the request's body leaves nothing behind.
#[test]
fn an_early_answer_leaves_nothing_behind() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream);
    let auth = &key.text;
    upstream.now_replies(Reply::status(413, "{}").then_close());
    let mut connection = gateway.connect();
    connection.send(format!(
        "POST /api/contacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {auth}\r\nContent-Length: 200000\r\n\r\n{}",
        "x".repeat(200_000)
    ));
    let answer = connection.answer();
    assert!(answer.status >= 400, "{}", answer.status);
    upstream.now_replies(Reply::json(CONTACTS));
    assert_eq!(gateway.get("/api/contacts").bearer(&key).send().status, 200);
}

/// An upstream that closes idle connections costs no request: the next one gets a new connection.
#[test]
fn a_connection_that_the_upstream_closed_costs_no_request() {
    let upstream = Upstream::replying(Reply::json(CALLS).then_close());
    let (gateway, key) = serving(&upstream);
    for round in 0..20 {
        assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200, "round {round}");
    }
}

/// A POST that the upstream may have acted on is not sent twice.
#[test]
fn a_write_is_never_sent_twice() {
    let upstream = Upstream::replying(Reply::nothing());
    let (gateway, key) = serving(&upstream);
    let answer = gateway.request("POST", "/api/contacts").body("{}").bearer(&key).send();
    assert_eq!(answer.verdict(), refusal(502, "upstream_unavailable"));
    assert_eq!(upstream.requests_seen(), 1);
}

/// A fault that shows after the hold has been sent cuts the answer; it never ends as if it were whole.
#[test]
fn a_late_fault_cuts_the_answer() {
    let rows: Vec<String> = (0..4000)
        .map(|n| format!(r#"{{"call_id":"call_{n}","created_at":"2026-08-04T13:05:00Z","is_private":false,"team_id":101}}"#))
        .collect();
    let body = format!(r#"{{"data":[{},}}"#, rows.join(","));
    let upstream = Upstream::answering(200, &body);
    let (gateway, key) = serving(&upstream);
    let pieces: Vec<&[u8]> = body.as_bytes().chunks(9_000).collect();
    for reply in [Reply::json(&body), Reply::chunked(&pieces), Reply::until_close(&body)] {
        upstream.now_replies(reply);
        let mut connection = gateway.connect();
        let answer = gateway
            .get("/api/calls")
            .bearer(&key)
            .header("X-Request-Id", "late")
            .send_on(&mut connection);
        assert_eq!((answer.status, answer.ending), (200, Ending::Cut));
        assert!(connection.is_closed());
        assert!(!answer.text().contains(",}"));
    }
    upstream.now_replies(Reply::json(CALLS));
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
}

/// However the bytes arrive, a body that fits the hold is a clean answer: its length, or a whole 502.
#[test]
fn the_pieces_of_a_body_do_not_show() {
    let upstream = Upstream::answering(200, CALL);
    let (gateway, key) = serving(&upstream);
    let broken = CALL.replace("}}", "}");
    for body in [CALL, broken.as_str()] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut told = Vec::new();
        for cut in [1, 10, body.len() / 2, body.len() - 1] {
            let gate = Gate::new();
            upstream.now_replies(
                Reply::raw(format!("{head}{}", &body[..cut])).wait(&gate).more(&body[cut..]),
            );
            let mut connection = gateway.connect();
            connection.send(
                gateway.get("/api/calls/1").bearer(&key).header("X-Request-Id", "same").bytes(),
            );
            gate.await_reached(1);
            gate.open();
            let answer = connection.answer();
            assert_eq!(answer.ending, Ending::Whole);
            assert_eq!(answer.number("content-length"), answer.body.len() as u64);
            told.push((answer.status, answer.text()));
        }
        assert!(told.windows(2).all(|two| two[0] == two[1]), "{told:?}");
        assert_eq!(told[0].0, if body == CALL { 200 } else { 502 });
    }
}
