//! Clients that drip or do not read: each has its time in all, however it spends it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::response_h2::{Http2, PREFACE};
use crate::samples::CALLS;
use crate::support::answer::refusal;
use crate::support::{Config, Connection, Directory, Gateway, Key, Reply, Upstream, waiting};
use crate::tls;

/// A head's time, and what a test waits for at most: a gap timeout would never come.
const HEADER_TIME: Duration = Duration::from_millis(1_500);
const BOUNDS: &str = "{ header_time: 1500ms }";
/// Between two bytes of a client that drips.
const DRIP: Duration = Duration::from_millis(100);

fn serving(upstream: &Upstream, bounds: &str, members: &str) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read", "coach:read"]);
    let config = Config::with_upstream(upstream)
        .upstream_with("coach", upstream.address(), members)
        .section("listeners", "\n  - { address: 127.0.0.1:0, h2c: true }")
        .section("bounds", bounds);
    (Gateway::start(&config, &Directory::of([key.clone()])), key)
}

/// Sends a byte now and then until the other side has ended, and what it said until then.
fn drip(
    socket: &mut (impl Read + Write),
    bytes: impl IntoIterator<Item = u8>,
) -> (Vec<u8>, Duration) {
    let began = Instant::now();
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    for byte in bytes {
        assert!(began.elapsed() < waiting::DEADLINE, "still open: {said:?}");
        if socket.write_all(&[byte]).and_then(|()| socket.flush()).is_err() {
            break;
        }
        match socket.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => said.extend_from_slice(&piece[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    (said, began.elapsed())
}

/// A socket whose reads end after a drip's pause.
fn dripping(gateway: &Gateway) -> TcpStream {
    let socket = TcpStream::connect_timeout(&gateway.address(), waiting::DEADLINE).unwrap();
    socket.set_read_timeout(Some(DRIP)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

fn endless(start: &[u8], more: u8) -> impl Iterator<Item = u8> {
    start.iter().copied().chain(std::iter::repeat_n(more, 100_000))
}

#[test]
fn a_head_that_drips_is_given_up_over_http_1() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, BOUNDS, "");
    let start = b"GET /api/calls HTTP/1.1\r\nHost: a\r\nX: ";
    let (said, took) = drip(&mut dripping(&gateway), endless(start, b'x'));
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(took >= HEADER_TIME, "{took:?}");
    assert_eq!(upstream.requests_seen(), 0);
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
}

/// Also while another request of the connection is under way, which keeps it from idling.
#[test]
fn a_head_that_drips_is_given_up_over_http_2() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, BOUNDS, "");
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // HEADERS of a stream, 16 KiB long, without END_HEADERS; then a literal field with a long value.
    let head = [0, 0x40, 0, 1, 0, 0, 0, 0, 1, 0x10, 1, b'n', 0x7f, 0x80, 0x7f];
    for begun in [&head[..], &head[..9]] {
        let mut socket = dripping(&gateway);
        socket.write_all(&[PREFACE, &settings].concat()).unwrap();
        let (_, took) = drip(&mut socket, endless(begun, b'v'));
        assert!(took >= HEADER_TIME, "{took:?}");
    }
    // A frame's own head that is never whole, and no drip.
    let mut socket = dripping(&gateway);
    socket.write_all(&[PREFACE, &settings, &[0, 0, 8, 6]].concat()).unwrap();
    socket.set_read_timeout(Some(waiting::DEADLINE)).unwrap();
    let began = Instant::now();
    let ended = socket.read_to_end(&mut Vec::new());
    assert!(ended.is_ok() || began.elapsed() < waiting::DEADLINE, "{ended:?}");
    waiting::until("them to be counted", || {
        let late = gateway.metric("colonnade_shed_total", &[("bound", "header_time")]);
        (late == 3.0).then_some(())
    });
    // Requests one after the other, each quick, may take as long as they like in all.
    let mut client = Http2::open(gateway.address());
    let began = Instant::now();
    while began.elapsed() < 2 * HEADER_TIME {
        let asked = client.get("/api/calls", &key.text);
        assert!(client.answer(asked).is_ended);
        std::thread::sleep(DRIP);
    }
}

#[test]
fn a_handshake_that_drips_is_given_up() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, _) = tls::serving(&upstream, BOUNDS);
    // The head of a record of 512 bytes, and of a ClientHello that fills it.
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let (_, took) = drip(&mut dripping(&gateway), endless(&hello, 7));
    assert!(took >= HEADER_TIME, "{took:?}");
    assert_eq!(gateway.metric("colonnade_shed_total", &[("bound", "header_time")]), 1.0);
    assert_eq!(gateway.telemetry("/readyz").status, 200);
}

#[test]
fn a_head_that_drips_under_tls_is_given_up() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, _) = tls::serving(&upstream, BOUNDS);
    let mut stream = tls::shaken(&gateway, "gateway.test", &["http/1.1"]).unwrap();
    stream.sock.set_read_timeout(Some(DRIP)).unwrap();
    let start = b"GET /api/calls HTTP/1.1\r\nHost: a\r\nX: ";
    let (said, took) = drip(&mut stream, endless(start, b'x'));
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(took >= HEADER_TIME, "{took:?}");
}

/// What no buffer on the way holds.
fn endless_list() -> Vec<u8> {
    let row = format!("{{\"id\":\"{}\"}}", "x".repeat(1 << 10));
    format!("{{\"data\":[{}]}}", vec![row; 40 << 10].join(",")).into_bytes()
}

const READER: &str = "{ write_time: 1s }";
/// The only thing that can end a stalled answer in these tests is `write_time`.
const ONE_PLACE: &str = "connections_max: 1, timeouts: { total: 10m, idle: 10m }";

fn asking(key: &Key) -> String {
    format!(
        "GET /api/coach/rubrics HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
        key.text
    )
}

fn await_place(gateway: &Gateway, upstream: &Upstream, key: &Key) {
    let refused = gateway.get("/api/coach/rubrics").bearer(key).send();
    assert_eq!(refused.verdict(), refusal(503, "overloaded"), "the only place is taken");
    upstream.now_replies(Reply::json(CALLS));
    waiting::until("the place", || {
        (gateway.get("/api/coach/rubrics").bearer(key).send().status == 200).then_some(())
    });
    waiting::until("the end of the request", || {
        (gateway.metric("colonnade_inflight_requests", &[]) == 0.0).then_some(())
    });
}

/// A client that stops reading is cut, its connection is closed, and the place at the upstream is free.
#[test]
fn a_client_that_does_not_read_is_cut_over_http_1() {
    let upstream = Upstream::replying(Reply::json(endless_list()));
    let (gateway, key) = serving(&upstream, READER, ONE_PLACE);
    let mut stalled = Connection::open_narrow(gateway.address());
    stalled.send(asking(&key)).await_head();
    await_place(&gateway, &upstream, &key);
    waiting::until("the end of the connection", || {
        (gateway.metric("colonnade_connections", &[]) == 0.0).then_some(())
    });
    let answer = stalled.answer();
    assert_eq!(answer.ending, crate::support::answer::Ending::Cut);
}

#[test]
fn a_client_that_does_not_read_is_cut_over_tls() {
    let upstream = Upstream::replying(Reply::json(endless_list()));
    let key = Key::new("k", &["calls:read", "coach:read"]);
    let config =
        tls::config(&upstream, READER).upstream_with("coach", upstream.address(), ONE_PLACE);
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let mut stalled = tls::shaken(&gateway, "gateway.test", &["http/1.1"]).unwrap();
    stalled.write_all(asking(&key).as_bytes()).unwrap();
    stalled.read_exact(&mut [0; 100]).unwrap();
    let other = || {
        let mut stream = tls::shaken(&gateway, "gateway.test", &["http/1.1"]).unwrap();
        stream.write_all(asking(&key).as_bytes()).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        String::from_utf8_lossy(&start).into_owned()
    };
    assert_eq!(other(), "HTTP/1.1 503", "the only place is taken");
    upstream.now_replies(Reply::json(CALLS));
    waiting::until("the place", || (other() == "HTTP/1.1 200").then_some(()));
    waiting::until("the end of all connections", || {
        (gateway.metric("colonnade_connections", &[]) == 0.0).then_some(())
    });
}

#[test]
fn a_client_that_gives_no_window_is_cut_over_http_2() {
    let upstream = Upstream::replying(Reply::json(endless_list()));
    let (gateway, key) = serving(&upstream, READER, ONE_PLACE);
    let mut stalled = Http2::without_window(gateway.address());
    let asked = stalled.get("/api/coach/rubrics", &key.text);
    stalled.await_head(asked);
    await_place(&gateway, &upstream, &key);
    assert!(stalled.answer(asked).is_reset, "it sees that it got no whole answer");
}

/// Windows as wide as can be, and nothing read from the socket.
#[test]
fn a_client_that_does_not_read_its_connection_is_cut_over_http_2() {
    let upstream = Upstream::replying(Reply::json(endless_list()));
    let (gateway, key) = serving(&upstream, READER, ONE_PLACE);
    let mut stalled = Http2::open(gateway.address());
    let asked = stalled.get("/api/coach/rubrics", &key.text);
    stalled.await_data(asked, 1);
    await_place(&gateway, &upstream, &key);
}
