//! SIGTERM drains: what is under way is finished, nothing new is promised; a second one stops at once.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::samples::CALLS;
use crate::support::answer::Ending;
use crate::support::{Config, Directory, Gate, Gateway, Key, Reply, Upstream, waiting};

fn serving(upstream: &Upstream, drain: &str) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read"]);
    let config = Config::with_upstream(upstream).section("drain", drain);
    (Gateway::start(&config, &Directory::of([key.clone()])), key)
}

/// No new connection is served: it is refused, closed unanswered, or told that the gateway stops.
fn await_closed_door(gateway: &Gateway) {
    waiting::until("the listener to close", || {
        TcpStream::connect(gateway.address()).is_err().then_some(())
    });
}

/// A slow answer under way is finished, whole, and the process ends with 0.
#[test]
fn a_slow_answer_is_finished_before_the_end() {
    let gate = Gate::new();
    let upstream = Upstream::replying(Reply::json(CALLS).behind(&gate));
    let (mut gateway, key) = serving(&upstream, "{ delay: 0s, grace: 20s }");
    let mut connection = gateway.connect();
    connection.send(gateway.get("/api/calls").bearer(&key).bytes());
    gate.await_reached(1);
    gateway.signal("TERM");
    await_closed_door(&gateway);
    assert!(gateway.is_running(), "it waits for what is under way");
    gate.open();
    let answer = connection.answer();
    assert_eq!((answer.status, answer.ending), (200, Ending::Whole));
    assert!(connection.is_closed(), "and is not promised another");
    assert_eq!(gateway.await_end().code(), Some(0));
    assert_eq!(gateway.access.json().len(), 1, "the last line is written before the end");
}

/// A body that streams is finished, too.
#[test]
fn a_streaming_body_is_finished_before_the_end() {
    let gate = Gate::new();
    let rows: Vec<String> = (0..4000)
        .map(|n| format!(r#"{{"call_id":"call_{n}","created_at":"2026-08-04T13:05:00Z","is_private":false,"team_id":101}}"#))
        .collect();
    let body = format!(r#"{{"data":[{}]}}"#, rows.join(","));
    let (first, last) = body.split_at(body.len() - 50);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let upstream = Upstream::replying(Reply::raw(head + first).wait(&gate).more(last));
    let (mut gateway, key) = serving(&upstream, "{ delay: 0s, grace: 20s }");
    let mut connection = gateway.connect();
    connection.send(gateway.get("/api/calls").bearer(&key).bytes());
    gate.await_reached(1);
    gateway.signal("TERM");
    await_closed_door(&gateway);
    gate.open();
    let answer = connection.answer();
    assert_eq!((answer.status, answer.ending), (200, Ending::Whole));
    assert_eq!(answer.json()["data"].as_array().unwrap().len(), 4000);
    assert_eq!(gateway.await_end().code(), Some(0));
}

/// While it delays it is not ready and still serves; a second signal stops it at once.
#[test]
fn a_second_signal_stops_at_once() {
    let gate = Gate::new();
    let upstream = Upstream::answering(200, CALLS);
    let (mut gateway, key) = serving(&upstream, "{ delay: 60s, grace: 60s }");
    assert_eq!(gateway.telemetry("/readyz").status, 200);
    gateway.signal("TERM");
    waiting::until("not ready", || (gateway.telemetry("/readyz").status == 503).then_some(()));
    assert_eq!(gateway.telemetry("/healthz").status, 503);
    assert_eq!(gateway.telemetry("/livez").status, 200);
    assert_eq!(
        gateway.get("/api/calls").bearer(&key).send().status,
        200,
        "load balancers need time to look away"
    );
    upstream.now_replies(Reply::json(CALLS).behind(&gate));
    let mut connection = gateway.connect();
    connection.send(gateway.get("/api/calls").bearer(&key).bytes());
    gate.await_reached(1);
    let began = Instant::now();
    gateway.signal("TERM");
    gateway.await_end();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    gate.open();
}

/// What does not finish within the grace is cut, and seen to be cut.
#[test]
fn the_grace_has_an_end() {
    let gate = Gate::new();
    let upstream = Upstream::replying(Reply::json(CALLS).behind(&gate));
    let (mut gateway, key) = serving(&upstream, "{ delay: 0s, grace: 500ms }");
    let mut connection = gateway.connect();
    connection.send(gateway.get("/api/calls").bearer(&key).bytes());
    gate.await_reached(1);
    let began = Instant::now();
    gateway.signal("TERM");
    gateway.await_end();
    let took = began.elapsed();
    assert!((Duration::from_millis(400)..Duration::from_secs(8)).contains(&took), "{took:?}");
    if let Some(answer) = connection.try_answer_to("GET") {
        assert!(answer.status >= 500, "{}", answer.status);
    }
    gate.open();
}

/// Idle connections do not hold up the end.
#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let upstream = Upstream::answering(200, CALLS);
    let (mut gateway, key) = serving(&upstream, "{ delay: 0s, grace: 30s }");
    let mut used = gateway.connect();
    assert_eq!(gateway.get("/api/calls").bearer(&key).send_on(&mut used).status, 200);
    let mut fresh = gateway.connect();
    let mut half = gateway.connect();
    half.send("GET /api/calls HTTP/1.1\r\nHost");
    let began = Instant::now();
    gateway.signal("TERM");
    assert_eq!(gateway.await_end().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(used.is_closed() && fresh.is_closed());
}

/// Ctrl-C stops like SIGTERM.
#[test]
fn an_interrupt_stops_cleanly() {
    let upstream = Upstream::answering(200, CALLS);
    let (mut gateway, _) = serving(&upstream, "{ delay: 0s, grace: 5s }");
    gateway.signal("INT");
    assert_eq!(gateway.await_end().code(), Some(0));
}
