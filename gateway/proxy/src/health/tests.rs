#![allow(clippy::unwrap_used)]
use pingora::protocols::l4::stream::Stream as Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::test_tls;
use crate::upstream_tls::UpstreamTls;
use crate::upstreams::UpstreamSpec;

fn rule() -> HealthRule {
    HealthRule {
        path: "/healthz".into(),
        interval: Duration::from_secs(5),
        unhealthy_after: 3,
        healthy_after: 2,
    }
}

#[test]
fn a_run_of_checks_takes_a_server_out_and_back() {
    let health = Health::default();
    // + passes, - fails; the states behind each.
    for (checks, states) in
        [("+--+--", "++++++"), ("-", "-"), ("-+-+-", "-----"), ("++", "-+"), ("--+---", "+++++-")]
    {
        let seen: String = checks
            .chars()
            .map(|check| {
                let before = health.is_healthy();
                let changed = health.ended(check == '+', &rule());
                assert_eq!(changed, (before != health.is_healthy()).then_some(!before));
                if health.is_healthy() { '+' } else { '-' }
            })
            .collect();
        assert_eq!(seen, states, "{checks}");
    }
}

#[test]
fn a_check_begins_when_it_is_due_and_none_is_under_way() {
    let (health, every) = (Health::default(), Duration::from_secs(5));
    assert!(health.begins(0, every), "the first at once");
    assert!(!health.begins(9_000, every), "that one is under way");
    health.ended(true, &rule());
    for (now_ms, begins) in [(4_999, false), (5_000, true)] {
        assert_eq!(health.begins(now_ms, every), begins, "{now_ms}");
    }
    health.ended(true, &rule());
    assert!(health.begins(6_000, rule().every(false)), "sooner where nobody is healthy");
    assert_eq!(rule().every(true), every);
}

fn spec(tls: Option<UpstreamTls>) -> UpstreamSpec {
    let example = UpstreamSpec::example(Duration::from_secs(20));
    UpstreamSpec { health: Some(rule()), tls, ..example }
}

fn asked<'a>(dialer: &'a Dialer, peer: &'a HttpPeer) -> Asked<'a> {
    Asked { dialer, peer, host: &HOST, scheme: Scheme::HTTP }
}

static HOST: HeaderValue = HeaderValue::from_static("calls.internal:8443");

/// Reads one head and writes `answer`; what was read.
async fn answer_with(mut far: impl AsyncReadExt + AsyncWriteExt + Unpin, answer: &str) -> String {
    let (mut seen, mut piece) = (Vec::new(), [0; 1_024]);
    while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = far.read(&mut piece).await.unwrap();
        seen.extend(&piece[..read]);
    }
    far.write_all(answer.as_bytes()).await.unwrap();
    far.flush().await.unwrap();
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn any_2xx_passes_and_nothing_else_does() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = HttpPeer::new(listener.local_addr().unwrap(), false, String::new());
    let dialer = Dialer::new(&spec(None));
    for (answer, passed) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nthe rest is not read", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\n\r\n", true),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 302 Found\r\nLocation: /healthy\r\n\r\n", false),
        ("HTTP/1.1 401 Unauthorized\r\n\r\n", false),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
        ("HTTP/1.1 20", false),
        ("SSH-2.0-OpenSSH\r\n", false),
        ("", false),
    ] {
        let served = async {
            let (far, _) = listener.accept().await.unwrap();
            answer_with(far, answer).await
        };
        let (rule, asked) = (rule(), asked(&dialer, &peer));
        let (saw, seen) = tokio::join!(passes(&asked, &rule), served);
        assert_eq!(saw, passed, "{answer:?}");
        assert!(seen.starts_with("GET /healthz HTTP/1.1\r\n"), "{seen}");
        assert!(seen.to_ascii_lowercase().contains("host: calls.internal:8443\r\n"), "{seen}");
    }
}

#[tokio::test]
async fn a_check_has_its_time_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = HttpPeer::new(listener.local_addr().unwrap(), false, String::new());
    let dialer = Dialer::new(&spec(None));
    let short = HealthRule { interval: Duration::from_millis(100), ..rule() };
    assert!(!passes(&asked(&dialer, &peer), &short).await, "it accepts and says nothing");
    assert_eq!((short.time_max(), rule().time_max()), (CHECK_TIME_MIN, CHECK_TIME_MAX));
}

/// TLS as for requests: the name and who vouches for it are verified.
#[tokio::test]
async fn a_server_that_speaks_tls_is_checked_over_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = HttpPeer::new(listener.local_addr().unwrap(), false, String::new());
    for (sni, believed, passed) in [
        ("gateway.test", true, true),
        ("another.test", true, false),
        ("gateway.test", false, false),
    ] {
        let (tls, up) = test_tls::server("gateway.test", sni);
        let (_, of_another) = test_tls::server("gateway.test", sni);
        let dialer = Dialer::new(&spec(Some(if believed { up } else { of_another })));
        let served = async {
            let (connection, _) = listener.accept().await.unwrap();
            let far = tls.handshake(Box::new(Connection::from(connection)), CHECK_TIME_MAX).await;
            if let Ok(far) = far
                && passed
            {
                answer_with(far, "HTTP/1.1 200 OK\r\n\r\n").await;
            }
        };
        let rule = rule();
        let asked = asked(&dialer, &peer);
        let (saw, ()) = tokio::join!(passes(&asked, &rule), served);
        assert_eq!(saw, passed, "{sni}");
    }
}
