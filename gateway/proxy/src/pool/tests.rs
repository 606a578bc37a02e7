#![allow(clippy::unwrap_used)]
use std::ops::RangeBounds;

use pingora::http::RequestHeader;
use pingora::protocols::l4::stream::Stream as Connection;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::dial::Dialed;
use crate::test_tls;
use crate::watched::answer_begins;

const DEADLINE: Duration = Duration::from_secs(20);
const LASTING: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

fn pool(connections_max: usize) -> Pool {
    Pool::new(&spec(connections_max))
}

fn spec(connections_max: usize) -> UpstreamSpec {
    UpstreamSpec { connections_max, ..UpstreamSpec::example(Duration::from_secs(1)) }
}

async fn opened(pool: &Pool, peer: &HttpPeer) -> HttpSession {
    match pool.dialer().dial(peer).await {
        Ok(Dialed::Http1(session)) => session,
        Ok(Dialed::Http2(_)) => panic!("HTTP/2"),
        Err(why) => panic!("{why:?}"),
    }
}

/// A listening server, and how it is reached.
struct Server {
    listener: TcpListener,
    peer: HttpPeer,
}

impl Server {
    async fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = HttpPeer::new(listener.local_addr().unwrap(), false, String::new());
        Server { listener, peer }
    }

    /// A new connection that has got `answer`, and the server's end of it.
    async fn answered(&self, pool: &Pool, answer: &str) -> (HttpSession, TcpStream) {
        let mut session = opened(pool, &self.peer).await;
        let (mut far, _) = self.listener.accept().await.unwrap();
        self.exchange(&mut session, &mut far, answer).await;
        (session, far)
    }

    async fn exchange(
        &self,
        session: &mut HttpSession,
        far: &mut (impl AsyncRead + AsyncWrite + Unpin),
        answer: &str,
    ) {
        let head = Box::new(RequestHeader::build("GET", b"/", None).unwrap());
        let request_bytes = session.write_request_header(head).await.unwrap();
        far.read_exact(&mut vec![0; request_bytes]).await.unwrap();
        far.write_all(answer.as_bytes()).await.unwrap();
        session.read_response().await.unwrap();
        let head_bytes = session.get_headers_raw_bytes().len();
        answer_begins(session, head_bytes).unwrap();
        while session.read_body_ref().await.unwrap().is_some() {}
    }

    /// The server's ends of so many kept connections, in the order in which they were kept.
    async fn kept(&self, pool: &Pool, count: usize) -> Vec<TcpStream> {
        let mut fars = Vec::new();
        for _ in 0..count {
            let (session, far) = self.answered(pool, LASTING).await;
            pool.keep(&self.peer, session);
            fars.push(far);
        }
        fars
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

fn count(pool: &Pool) -> usize {
    idle_count(&pool.idle.lock())
}

fn port(far: &TcpStream) -> u16 {
    far.peer_addr().unwrap().port()
}

fn port_taken(pool: &Pool, server: &Server) -> Option<u16> {
    let session = pool.take(&server.peer)?;
    Some(session.client_addr()?.as_inet()?.port())
}

async fn sees_end(far: &mut TcpStream) -> bool {
    matches!(timeout(DEADLINE, far.read(&mut [0])).await, Ok(Ok(0) | Err(_)))
}

/// Waits until the kernel knows of something on each of these connections.
async fn until_not_silent(pool: &Pool, places: impl RangeBounds<usize> + Clone) {
    let waiting = async {
        while pool.idle.lock()[0]
            .kept
            .range(places.clone())
            .any(|kept| spoken(&kept.connection) == State::Sound)
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, waiting).await.unwrap();
}

#[tokio::test]
async fn the_connection_used_last_is_taken_first_and_once() {
    let (pool, server) = (pool(9), Server::start().await);
    let fars = server.kept(&pool, 3).await;
    for far in fars.iter().rev() {
        assert_eq!(port_taken(&pool, &server), Some(port(far)));
    }
    assert_eq!(port_taken(&pool, &server), None);
}

#[tokio::test]
async fn a_kept_connection_carries_the_next_exchange() {
    let (pool, server) = (pool(9), Server::start().await);
    let mut fars = server.kept(&pool, 1).await;
    for _ in 0..3 {
        let mut session = pool.take(&server.peer).unwrap();
        server.exchange(&mut session, &mut fars[0], LASTING).await;
        pool.keep(&server.peer, session);
    }
    assert_eq!(count(&pool), 1);
}

/// The next request may be served by a thread that did not open it.
#[test]
fn a_connection_kept_on_one_runtime_is_used_on_another() {
    let (first, second) = (runtime(), runtime());
    let pool = pool(9);
    let (server, mut fars) = first.block_on(async {
        let server = Server::start().await;
        let fars = server.kept(&pool, 1).await;
        (server, fars)
    });
    second.block_on(async {
        let mut session = pool.take(&server.peer).unwrap();
        server.exchange(&mut session, &mut fars[0], LASTING).await;
        pool.keep(&server.peer, session);
    });
    assert_eq!(count(&pool), 1);
}

/// Of those used last, one that wakes this thread first.
#[test]
fn a_thread_prefers_what_it_opened_unless_that_lies_deep() {
    for (others, is_found) in [(HOME_LOOKS_MAX - 1, true), (HOME_LOOKS_MAX, false)] {
        let (first, second) = (runtime(), runtime());
        let pool = pool(2 * HOME_LOOKS_MAX);
        let (server, own) = first.block_on(async {
            let server = Server::start().await;
            let own = server.kept(&pool, 1).await;
            (server, own)
        });
        let others = std::thread::scope(|scope| {
            let opened = scope.spawn(|| second.block_on(server.kept(&pool, others)));
            opened.join().unwrap()
        });
        let expected = if is_found { &own[0] } else { others.last().unwrap() };
        assert_eq!(port_taken(&pool, &server), Some(port(expected)));
    }
}

#[tokio::test]
async fn an_address_gets_none_of_anothers() {
    let (pool, one, other) = (pool(9), Server::start().await, Server::start().await);
    let _fars = one.kept(&pool, 1).await;
    assert_eq!(port_taken(&pool, &other), None);
    assert_eq!(count(&pool), 1);
}

#[tokio::test]
async fn what_died_is_passed_over_and_closed() {
    let (pool, server) = (pool(9), Server::start().await);
    let mut fars = server.kept(&pool, 3).await;
    drop(fars.drain(1..));
    until_not_silent(&pool, 1..).await;
    assert_eq!(port_taken(&pool, &server), Some(port(&fars[0])));
    assert_eq!(count(&pool), 0);
    let _fars = server.kept(&pool, 1).await;
    assert_eq!(count(&pool), 1, "to die is no reason for distrust");
}

/// C7: what it says next might come behind the look before the next request, and be its answer.
#[tokio::test]
async fn an_upstream_that_spoke_unasked_is_not_trusted_with_kept_connections() {
    for is_swept in [false, true] {
        let (pool, server) = (pool(9), Server::start().await);
        let mut fars = server.kept(&pool, 3).await;
        fars[2].write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        until_not_silent(&pool, 2..).await;
        if is_swept {
            pool.sweep();
        }
        assert_eq!(port_taken(&pool, &server), None);
        for far in &mut fars {
            assert!(sees_end(far).await);
        }
        let (session, mut far) = server.answered(&pool, LASTING).await;
        pool.keep(&server.peer, session);
        assert!(sees_end(&mut far).await, "none is kept for a while");
        *pool.distrusted.lock() = None;
        let _fars = server.kept(&pool, 1).await;
        assert_eq!(count(&pool), 1, "and then again");
    }
}

/// The bound counts those in use too.
#[tokio::test]
async fn idle_connections_make_room_for_new_ones() {
    let (pool, server) = (pool(3), Server::start().await);
    let mut fars = server.kept(&pool, 3).await;
    for (in_flight, left) in [(0, 3), (1, 2), (1, 2), (3, 0), (9, 0)] {
        pool.make_room(in_flight);
        assert_eq!(count(&pool), left, "{in_flight}");
    }
    for far in &mut fars {
        assert!(sees_end(far).await);
    }
}

#[tokio::test]
async fn looks_at_kept_connections_are_bounded() {
    let (pool, server) = (pool(LOOKS_MAX + 1), Server::start().await);
    let mut fars = server.kept(&pool, LOOKS_MAX + 1).await;
    fars.truncate(1);
    until_not_silent(&pool, 1..).await;
    assert_eq!(port_taken(&pool, &server), None, "a new one is opened");
    assert_eq!(port_taken(&pool, &server), Some(port(&fars[0])));
}

/// Bytes behind the answer may have been read with it, where the kernel does not know of them.
#[tokio::test]
async fn a_connection_is_kept_only_after_a_clean_end() {
    for (answer, kept) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 1),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}H", 0),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 1),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nH", 0),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 0),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 0),
        (
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n{}",
            0,
        ),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive , close\r\nContent-Length: 2\r\n\r\n{}", 0),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive, x-close\r\nContent-Length: 2\r\n\r\n{}", 1),
        ("HTTP/1.1 204 No Content\r\n\r\n", 1),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 1),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", 0),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 0),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", 0),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=9\r\nContent-Length: 2\r\n\r\n{}", 1),
    ] {
        let (pool, server) = (pool(9), Server::start().await);
        let (session, mut far) = server.answered(&pool, answer).await;
        pool.keep(&server.peer, session);
        assert_eq!(count(&pool), kept, "{answer:?}");
        assert!(kept == 1 || sees_end(&mut far).await, "{answer:?}");
    }
}

#[tokio::test]
async fn at_the_bound_the_fullest_address_gives_its_oldest() {
    let (pool, one, other) = (pool(3), Server::start().await, Server::start().await);
    let mut fars = one.kept(&pool, 4).await;
    assert_eq!(count(&pool), 3);
    assert!(sees_end(&mut fars[0]).await);
    let _other = other.kept(&pool, 1).await;
    assert_eq!(count(&pool), 3);
    assert!(sees_end(&mut fars[1]).await);
    for far in fars[2..].iter().rev() {
        assert_eq!(port_taken(&pool, &one), Some(port(far)));
    }
}

/// An answer may end where a read of Pingora's does. What came behind it then lies decrypted in the TLS
/// session's buffer, and the kernel does not know of it.
#[tokio::test]
async fn what_was_decrypted_behind_an_answer_is_never_the_next_one() {
    let (tls, tls_up) = test_tls::server("gateway.test", "gateway.test");
    let server = Server::start().await;
    let spec = UpstreamSpec { tls: Some(tls_up), ..spec(9) };
    for (answer_bytes, behind) in [(4_000, ""), (4_096, ""), (4_096, "H"), (4_096, LASTING)] {
        let pool = Pool::new(&spec);
        let accepted = async {
            let (connection, _) = server.listener.accept().await.unwrap();
            tls.handshake(Box::new(Connection::from(connection)), DEADLINE).await
        };
        let (session, far) = tokio::join!(opened(&pool, &server.peer), accepted);
        let (mut session, mut far) = (session, far.unwrap());
        let padded = |pad: &str| LASTING.replace("\r\n\r\n", &format!("\r\nX: {pad}\r\n\r\n"));
        let answer = padded(&"x".repeat(answer_bytes - padded("").len()));
        server.exchange(&mut session, &mut far, &format!("{answer}{behind}")).await;
        pool.keep(&server.peer, session);
        let is_kept = port_taken(&pool, &server).is_some();
        assert_eq!(is_kept, behind.is_empty(), "{answer_bytes} {behind:?}");
    }
}

const OLD: &str = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\n{}";

#[tokio::test]
async fn an_old_connection_is_not_used() {
    let (pool, server) = (pool(9), Server::start().await);
    let (session, mut far) = server.answered(&pool, OLD).await;
    pool.keep(&server.peer, session);
    assert_eq!(port_taken(&pool, &server), None);
    assert!(sees_end(&mut far).await);
}

#[tokio::test]
async fn a_sweep_drops_the_dead_and_the_old_alone() {
    let (pool, server) = (pool(9), Server::start().await);
    let mut fars = server.kept(&pool, 4).await;
    drop(fars.drain(1..3));
    until_not_silent(&pool, 1..3).await;
    let (old, mut old_far) = server.answered(&pool, OLD).await;
    pool.keep(&server.peer, old);
    pool.sweep();
    assert_eq!(count(&pool), 2);
    assert!(sees_end(&mut old_far).await);
    for far in fars.iter().rev() {
        assert_eq!(port_taken(&pool, &server), Some(port(far)));
    }
    pool.sweep();
    assert!(pool.idle.lock().is_empty(), "no stack is left of an address without connections");
}

#[tokio::test]
async fn kept_connections_go_with_their_pool() {
    let (pool, server) = (pool(9), Server::start().await);
    let mut fars = server.kept(&pool, 2).await;
    drop(pool);
    for far in &mut fars {
        assert!(sees_end(far).await);
    }
}

#[test]
fn the_upstreams_word_shortens_how_long_a_connection_lasts() {
    for (lines, expected_ms) in [
        (&[][..], 55_000),
        (&["timeout=60"], 45_000),
        (&["timeout=5, max=100"], 3_750),
        (&["max=100 , Timeout = 4"], 3_000),
        (&["timeout=1"], 750),
        (&["timeout=0"], 0),
        (&["timeout=8", "timeout=4"], 3_000),
        (&["timeout=74"], 55_000),
        (&["timeout=4294967295"], 55_000),
        (&["timeout=4294967296"], 55_000),
        (&["timeout=-1"], 55_000),
        (&["timeout"], 55_000),
        (&["timeouts=1"], 55_000),
        (&[""], 55_000),
    ] {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(KEEP_ALIVE, line.parse().unwrap());
        }
        assert_eq!(lasts(&headers), Duration::from_millis(expected_ms), "{lines:?}");
    }
}
