//! Which version of HTTP an upstream is spoken to in.

use std::time::{Duration, Instant};

use crate::samples::CALLS;
use crate::support::answer::refusal;
use crate::support::certificates::Authority;
use crate::support::gateway::Launch;
use crate::support::modern::Modern;
use crate::support::{Directory, Gateway, Upstream};
use crate::upstream_h2::{config, key};

const NAME: &str = "calls.internal";

/// What is agreed on in the handshake is spoken; `only` does not fall back, and `off` does not ask.
#[test]
fn the_version_is_the_one_that_was_agreed_on() {
    let authority = Authority::new();
    for (http2, protocols, spoken) in [
        ("auto", &["h2", "http/1.1"][..], Some(true)),
        ("auto", &["http/1.1"], Some(false)),
        ("auto", &[], Some(false)),
        ("only", &["h2"], Some(true)),
        ("only", &["http/1.1"], None),
        ("only", &[], None),
        ("\"off\"", &["h2", "http/1.1"], Some(false)),
    ] {
        let upstream = Modern::tls(authority.certify(NAME), protocols, CALLS);
        let key = key();
        let members = format!("http2: {http2}, tls: {{ sni: {NAME}, ca: ca.pem }}");
        let directory = Directory::of([key.clone()]);
        let launch = Launch::files(&config(upstream.address(), &members).text(), &directory.text());
        launch.write("ca.pem", &authority.pem());
        let gateway = launch.start();
        for _ in 0..2 {
            let answer = gateway.get("/api/calls").bearer(&key).send();
            let expected = if spoken.is_some() { 200 } else { 502 };
            assert_eq!(answer.status, expected, "{http2} {protocols:?}");
        }
        let asked = upstream.asked();
        assert_eq!(asked.first().map(|asked| asked.is_http2), spoken, "{http2} {protocols:?}");
        if let Some(first) = asked.first().filter(|asked| asked.is_http2) {
            assert!(first.uri.starts_with("https://127.0.0.1:"), "{}", first.uri);
        }
        if spoken.is_some() {
            assert_eq!(upstream.accepted(), 1, "{http2} {protocols:?}: kept");
        }
    }
}

/// A server that speaks no HTTP/2 has accepted nothing, so nothing was sent to it.
#[test]
fn a_server_without_http_2_is_as_one_that_does_not_accept() {
    let upstream = Upstream::answering(200, CALLS);
    let key = key();
    let gateway =
        Gateway::start(&config(upstream.address(), "http2: only"), &Directory::of([key.clone()]));
    let answer = gateway.request("POST", "/api/contacts").bearer(&key).body("{}").send();
    assert_eq!(answer.verdict(), refusal(502, "upstream_unavailable"));
    let labels = [("upstream", "leads"), ("reason", "not_accepted")];
    assert_eq!(gateway.metric("colonnade_upstream_failures_total", &labels), 1.0);
}

/// Those who wait for a connection share its failure: none waits for as many attempts as there are requests.
#[test]
fn requests_that_wait_for_one_connection_fail_with_it() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let members = "http2: only, timeouts: { connect: 500ms }, breaker: { consecutive_failures: 0 }";
    let key = key();
    let gateway = Gateway::start(&config(address, members), &Directory::of([key.clone()]));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let ask = || gateway.get("/api/calls").bearer(&key).send().verdict();
        let asking: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        for asked in asking {
            assert_eq!(asked.join().unwrap(), refusal(504, "upstream_timeout"));
        }
    });
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}
