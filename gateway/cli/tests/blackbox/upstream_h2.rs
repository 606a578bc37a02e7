//! HTTP/2 towards upstreams: the same answers as over HTTP/1.1, on connections that are shared.

use h2::Reason;

use crate::response_large::resident_kib;
use crate::samples::{CALL, CALLS};
use crate::support::answer::{Ending, refusal};
use crate::support::modern::{Answering, Asked, Modern, Speech, Step};
use crate::support::{Config, Directory, Gate, Gateway, Key, Upstream, waiting};

pub(crate) fn config(address: std::net::SocketAddr, members: &str) -> Config {
    ["calls", "coach", "leads"]
        .iter()
        .fold(Config::new(), |config, name| config.upstream_with(name, address, members))
}

pub(crate) fn key() -> Key {
    Key::new("k", &["calls:read", "coach:read", "contacts:read", "contacts:write"])
}

struct Rig {
    upstream: Modern,
    gateway: Gateway,
    key: Key,
}

impl Rig {
    fn new(script: impl Fn(&Asked) -> Answering + Send + Sync + 'static) -> Rig {
        Rig::with(Modern::h2c(script), "http2: only")
    }

    fn with(upstream: Modern, members: &str) -> Rig {
        let key = key();
        let config = config(upstream.address(), members);
        let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
        Rig { upstream, gateway, key }
    }

    fn ask(&self, method: &str, target: &str) -> crate::support::Answer {
        self.gateway.request(method, target).bearer(&self.key).send()
    }
}

/// A list of about a megabyte, and one row of it.
fn long_list() -> String {
    let row = r#"{"call_id":"call_1","created_at":"2026-08-04T13:05:00.42763Z","duration_seconds":61,"is_private":false,"team_id":101,"phone_number":"+15550100"}"#;
    format!("{{\"data\":[{}]}}", vec![row; 8_000].join(","))
}

/// Byte for byte, whatever the length, the status and the method.
#[test]
fn an_answer_is_the_same_over_both_versions() {
    let long = long_list();
    for (method, target, status, body) in [
        ("GET", "/api/calls", 200, CALLS),
        ("GET", "/api/calls", 200, long.as_str()),
        ("HEAD", "/api/calls", 200, CALLS),
        ("GET", "/api/calls/call_1", 200, CALL),
        ("GET", "/api/coach/rubrics", 200, CALLS),
        ("GET", "/api/calls", 404, "{}"),
        ("GET", "/api/calls", 503, "{}"),
        ("GET", "/api/calls", 200, "no json"),
        ("DELETE", "/api/contacts/contact_1", 204, ""),
    ] {
        let old = Upstream::replying(crate::support::Reply::status(status, body));
        let key = key();
        let directory = Directory::of([key.clone()]);
        let gateway = Gateway::start(&config(old.address(), ""), &directory);
        let expected = gateway.request(method, target).bearer(&key).send();
        let text = body.to_owned();
        let rig = Rig::new(move |asked| {
            let answering = Answering::status(status).header("content-length", text.len());
            if asked.method == "HEAD" || text.is_empty() {
                answering
            } else {
                answering.data(&text)
            }
        });
        let answer = rig.ask(method, target);
        assert_eq!(answer.status, expected.status, "{method} {target} {status}");
        let told = |answer: &crate::support::Answer| {
            let mut headers = answer.headers.clone();
            headers.retain(|(name, _)| {
                !["x-request-id", "date", "x-ratelimit-reset", "ratelimit"].contains(&name.as_str())
            });
            headers
        };
        if answer.status < 400 {
            assert!(answer.body == expected.body, "{method} {target} {status}");
            assert_eq!(told(&answer), told(&expected), "{method} {target} {status}");
        } else {
            assert_eq!(answer.verdict(), expected.verdict());
        }
        assert_eq!(answer.ending, expected.ending);
        assert!(rig.upstream.asked()[0].is_http2);
    }
}

/// `:authority` is what `Host` would be, nothing that is for one connection goes up, and a body goes up whole, an
/// empty one too.
#[test]
fn a_request_goes_up_whole_and_in_the_form_of_http_2() {
    let upstream = Modern::h2c(|_| Answering::json(r#"{"data":{"id":"contact_1"}}"#));
    let rig = Rig::with(upstream, "http2: only, host: \"calls.internal:8443\"");
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(300_000));
    for body in ["{}", "", long.as_str()] {
        let request = rig
            .gateway
            .request("PUT", "/api/contacts/contact_1?x=%7B1%7D&y=a'b()*")
            .bearer(&rig.key);
        let answer = request
            .header("Connection", "keep-alive, accept-language")
            .header("Accept-Language", "de")
            .header("TE", "trailers")
            .header("Keep-Alive", "timeout=5")
            .body(body)
            .send();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let asked = rig.upstream.asked().pop().unwrap();
        assert_eq!(asked.method, "PUT");
        assert_eq!(
            asked.uri,
            "http://calls.internal:8443/api/contacts/contact_1?x=%7B1%7D&y=a'b()*"
        );
        assert!(asked.body == body.as_bytes(), "{} bytes of {}", asked.body.len(), body.len());
        let length = body.len().to_string();
        assert_eq!(asked.header("content-length"), Some(length.as_str()));
        for name in
            ["host", "connection", "te", "keep-alive", "accept-language", "transfer-encoding"]
        {
            assert_eq!(asked.header(name), None, "{name}");
        }
        assert_eq!(asked.header("x-colonnade-account"), Some("acme"));
    }
}

/// Every target that a client may send can go up as `:path`, unchanged.
#[test]
fn a_target_goes_up_byte_for_byte() {
    let rig = Rig::new(|_| Answering::json(r#"{"data":{"id":"contact_1"}}"#));
    for byte in 0x21..0x7f_u8 {
        for target in [
            format!("/api/contacts/a{}b", byte as char),
            format!("/api/contacts/ab?a={}", byte as char),
        ] {
            let before = rig.upstream.asked().len();
            let status = rig.ask("GET", &target).status;
            let asked = rig.upstream.asked();
            if status == 200 {
                assert!(
                    asked[before].uri.ends_with(&target),
                    "{target} became {}",
                    asked[before].uri
                );
            } else {
                assert!((400..500).contains(&status), "{target}: {status}");
                assert_eq!(asked.len(), before, "{target}");
            }
        }
    }
}

/// Requests at the same time share one connection, as many as the server allows.
#[test]
fn requests_share_a_connection() {
    for (streams_max, connections) in [(None, 1), (Some(4), 3)] {
        let gate = Gate::new();
        let behind = gate.clone();
        let speech = Speech { streams_max, ..Speech::default() };
        let upstream = Modern::speaking(speech, move |_| {
            let mut answering = Answering::json(CALLS);
            answering.steps.insert(0, Step::Wait(behind.clone()));
            answering
        });
        let rig = Rig::with(upstream, "http2: only");
        std::thread::scope(|scope| {
            let asking: Vec<_> =
                (0..12).map(|_| scope.spawn(|| rig.ask("GET", "/api/calls").status)).collect();
            gate.await_reached(12);
            gate.open();
            asking.into_iter().for_each(|asked| assert_eq!(asked.join().unwrap(), 200));
        });
        assert_eq!(rig.upstream.accepted(), connections, "{streams_max:?}");
        assert_eq!(rig.ask("GET", "/api/calls").status, 200);
        assert_eq!(rig.upstream.accepted(), connections, "{streams_max:?}: one is used again");
    }
}

/// `connections_max` bounds requests under way, not connections.
#[test]
fn requests_beyond_the_bound_are_refused_on_a_shared_connection_too() {
    let gate = Gate::new();
    let behind = gate.clone();
    let upstream = Modern::h2c(move |_| {
        let mut answering = Answering::json(CALLS);
        answering.steps.insert(0, Step::Wait(behind.clone()));
        answering
    });
    let rig = Rig::with(upstream, "http2: only, connections_max: 2");
    std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..2).map(|_| scope.spawn(|| rig.ask("GET", "/api/calls").status)).collect();
        gate.await_reached(2);
        assert_eq!(rig.ask("GET", "/api/calls").verdict(), refusal(503, "overloaded"));
        gate.open();
        asking.into_iter().for_each(|asked| assert_eq!(asked.join().unwrap(), 200));
    });
}

/// A body ends where its stream does, trailers or not, and these are not passed on.
#[test]
fn trailers_end_a_body_and_stay_behind() {
    let rig = Rig::new(|_| Answering::json(CALLS).then(Step::Trailers));
    for target in ["/api/calls", "/api/coach/rubrics"] {
        for _ in 0..2 {
            let answer = rig.ask("GET", target);
            assert_eq!((answer.status, answer.ending), (200, Ending::Whole));
            assert!(!String::from_utf8_lossy(&answer.wire).contains("x-trailer"));
        }
    }
    assert_eq!(rig.upstream.accepted(), 2, "one an upstream of the configuration");
}

#[test]
fn interim_heads_stay_behind() {
    let rig = Rig::new(|_| Answering { early: vec![103, 100, 102], ..Answering::json(CALLS) });
    let answer = rig.ask("GET", "/api/calls");
    assert_eq!((answer.status, answer.early.len()), (200, 0));
}

/// Reset or dropped behind what the client has got already: it is told that the answer is not whole. Before
/// that: a clean error.
#[test]
fn an_answer_that_breaks_off_never_looks_whole() {
    let long = long_list();
    for step in [
        Step::Reset(Reason::NO_ERROR),
        Step::Reset(Reason::INTERNAL_ERROR),
        Step::Reset(Reason::CANCEL),
        Step::Die,
    ] {
        for target in ["/api/calls", "/api/coach/rubrics"] {
            let (half, last) = (long[..long.len() / 2].to_owned(), step.clone());
            let rig = Rig::new(move |_| {
                Answering::json(&half).then(Step::Data(Vec::new())).then(last.clone())
            });
            let answer = rig.ask("GET", target);
            assert_ne!(answer.ending, Ending::Whole, "{target} {}", answer.status);
            assert_eq!(answer.status, 200);
            let (few, last) = (CALLS[..40].to_owned(), step.clone());
            rig.upstream.now_plays(move |_| {
                Answering::json(&few).then(Step::Data(Vec::new())).then(last.clone())
            });
            if target == "/api/calls" {
                let answer = rig.ask("GET", target);
                assert_eq!(answer.verdict(), refusal(502, "response_not_filterable"));
            }
        }
    }
}

/// A client that does not read holds its upstream back, and nobody else.
#[test]
fn a_slow_reader_holds_back_its_own_stream_alone() {
    let long = long_list();
    let text = long.clone();
    let rig = Rig::new(move |asked| {
        Answering::json(if asked.uri.contains("slow") { text.repeat(30) } else { CALLS.into() })
    });
    assert_eq!(rig.ask("GET", "/api/coach/rubrics").status, 200);
    let before = resident_kib(&rig.gateway);
    let slow: Vec<_> = (0..3)
        .map(|_| {
            let mut slow = crate::support::Connection::open_narrow(rig.gateway.address());
            slow.send(rig.gateway.get("/api/coach/rubrics?slow=1").bearer(&rig.key).bytes());
            slow
        })
        .collect();
    // Until nothing more is sent.
    let mut last = 0;
    waiting::until("the windows to be full", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let sent = rig.upstream.sent();
        (std::mem::replace(&mut last, sent) == sent && sent > CALLS.len()).then_some(())
    });
    assert!(last < 3 * 30 * long.len() / 2, "{last} bytes of {}", 3 * 30 * long.len());
    let grown = resident_kib(&rig.gateway).saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB");
    let answer = rig.ask("GET", "/api/coach/rubrics");
    assert_eq!((answer.status, answer.ending), (200, Ending::Whole));
    assert_eq!(rig.upstream.accepted(), 1);
    drop(slow);
    waiting::until("the streams to be reset", || (rig.upstream.resets() == 3).then_some(()));
}

/// An upstream stops when its client has gone.
#[test]
fn a_client_that_goes_takes_its_stream_with_it() {
    let gate = Gate::new();
    let behind = gate.clone();
    let rig = Rig::new(move |_| Answering {
        status: 0,
        ..Answering::json("").then(Step::Wait(behind.clone()))
    });
    let key = rig.key.clone();
    let config = config(rig.upstream.address(), "http2: only")
        .section("listeners", "\n  - { address: 127.0.0.1:0, h2c: true }");
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let mut client = crate::response_h2::Http2::open(gateway.address());
    client.get("/api/calls", &key.text);
    gate.await_reached(1);
    drop(client);
    waiting::until("the reset", || (rig.upstream.resets() == 1).then_some(()));
    gate.open();
}

#[test]
fn a_head_that_does_not_come_in_time_is_answered_504() {
    let rig_of = |step: Step, members: &str| {
        let upstream = Modern::h2c(move |_| Answering {
            status: 0,
            steps: vec![step.clone()],
            ..Answering::json("")
        });
        Rig::with(upstream, members)
    };
    let rig = rig_of(Step::Wait(Gate::new()), "http2: only, timeouts: { first_byte: 200ms }");
    assert_eq!(rig.ask("GET", "/api/calls").verdict(), refusal(504, "upstream_timeout"));
    let labels = [("upstream", "calls"), ("reason", "slow")];
    assert_eq!(rig.gateway.metric("colonnade_upstream_failures_total", &labels), 1.0);
    let rig = rig_of(
        Step::Wait(Gate::new()),
        "http2: only, timeouts: { first_byte: 300ms, total: 200ms }",
    );
    assert_eq!(rig.ask("GET", "/api/calls").verdict(), refusal(504, "upstream_timeout"));
}

/// `idle` is between two pieces: the reads of HTTP/2 have no time of their own.
#[test]
fn a_body_that_stops_coming_is_given_up() {
    let rig = Rig::with(
        Modern::h2c(|_| Answering::json(&CALLS[..40]).then(Step::Wait(Gate::new())).data("{}")),
        "http2: only, timeouts: { idle: 200ms }",
    );
    assert_eq!(rig.ask("GET", "/api/calls").verdict(), refusal(504, "upstream_timeout"));
    assert_ne!(rig.ask("GET", "/api/coach/rubrics").ending, Ending::Whole);
}

/// Checks are made in HTTP/2 where requests are, each on a connection of its own.
#[test]
fn a_health_check_speaks_as_requests_do() {
    let upstream = Modern::h2c(|_| Answering::json("{}"));
    let rig = Rig::with(upstream, "http2: only, health: { path: /up, interval: 100ms }");
    waiting::until("a check", || {
        rig.upstream.asked().iter().any(|asked| asked.uri.ends_with("/up")).then_some(())
    });
    let labels = [("upstream", "calls"), ("result", "passed")];
    waiting::until("its result", || {
        (rig.gateway.metric("colonnade_upstream_checks_total", &labels) > 0.0).then_some(())
    });
}
