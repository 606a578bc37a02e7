//! Serves a router on a socket within bounds that no client can stretch.
//!
//! `axum::serve` has none: a connection may be silent for ever, and there may be as many as the
//! process has descriptors, which the proxy's clients need too. So hyper is driven here.
//!
//! Not here: time limits of handlers, which the admin API's `guard` sets; those of telemetry answer from
//! memory.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::guard::ClientAddress;

/// What one listener's clients may take.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Connections at once. Further ones wait to be accepted.
    connections: usize,
    /// From the end of an answer, or the beginning, to the end of the next head.
    head_time: Duration,
    /// A connection's whole life. What is under way then may still be finished in `head_time`.
    connection_time: Duration,
}

const BOUNDS: Bounds = Bounds {
    connections: 64,
    head_time: Duration::from_secs(10),
    connection_time: Duration::from_secs(300),
};
/// A request head; beyond it 431.
const HEAD_BYTES_MAX: usize = 32 << 10;
const HEADERS_MAX: usize = 100;
/// How long to wait for descriptors when there are none left.
const RESPITE: Duration = Duration::from_millis(100);

/// Serves until `stop` says so, finishes what is under way then, each within its bounds, and gives the
/// socket back. Without a `stop` that says so it serves until the process ends.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: watch::Receiver<bool>,
) -> TcpListener {
    serve_within(listener, router, stop, BOUNDS).await
}

async fn serve_within(
    listener: TcpListener,
    router: Router,
    stop: watch::Receiver<bool>,
    bounds: Bounds,
) -> TcpListener {
    let places = Arc::new(Semaphore::new(bounds.connections));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = stopped(stop.clone()) => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, stop) = (router.clone(), stop.clone());
                tokio::spawn(async move {
                    converse(stream, ClientAddress(peer.ip()), router, stop, bounds).await;
                    drop(place);
                });
            }
            Err(_) => sleep(RESPITE).await,
        }
    }
    let all = u32::try_from(bounds.connections).unwrap_or(u32::MAX);
    let _ = places.acquire_many(all).await;
    listener
}

/// Waits until somebody says stop; for ever where nobody can.
async fn stopped(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending().await
    }
}

/// One connection from its first head to its end. Its errors are its client's.
async fn converse(
    stream: TcpStream,
    client: ClientAddress,
    router: Router,
    stop: watch::Receiver<bool>,
    bounds: Bounds,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.head_time)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(client);
        router.call(request)
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(bounds.connection_time) => {}
        () = stopped(stop) => {}
    }
    // What is under way may still be finished.
    connection.as_mut().graceful_shutdown();
    let _ = timeout(bounds.head_time, connection).await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Instant;

    use axum::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const SHORT: Duration = Duration::from_millis(150);
    /// Far beyond the bounds of these tests.
    const SOON: Duration = Duration::from_secs(5);
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// Nobody can say stop any more.
    fn never() -> watch::Receiver<bool> {
        watch::channel(false).1
    }

    async fn serving(bounds: Bounds) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/", get(|| async { "served" }));
        tokio::spawn(serve_within(listener, router, never(), bounds));
        Ok(address)
    }

    /// All that comes until the end, which must come soon.
    async fn rest(mut stream: TcpStream) -> std::io::Result<String> {
        let mut said = Vec::new();
        timeout(SOON, stream.read_to_end(&mut said)).await??;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    #[tokio::test]
    async fn a_request_knows_where_it_comes_from() -> std::io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let told = |Extension(ClientAddress(from)): Extension<ClientAddress>| async move {
            from.to_string()
        };
        let router = Router::new().route("/", get(told));
        tokio::spawn(serve_within(listener, router, never(), BOUNDS));
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
        assert!(rest(stream).await?.ends_with("\r\n127.0.0.1"));
        Ok(())
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_is_given_up() -> std::io::Result<()> {
        let bounds = Bounds { head_time: SHORT, ..BOUNDS };
        let address = serving(bounds).await?;
        for begun in [&b""[..], b"G", b"GET / HTTP/1.1\r\nHost: a\r\n"] {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(begun).await?;
            assert!(!rest(stream).await?.contains("served"), "{begun:?}");
        }
        let mut idle = TcpStream::connect(address).await?;
        idle.write_all(GET).await?;
        assert!(rest(idle).await?.ends_with("served"), "an answer, and an end behind it");
        Ok(())
    }

    #[tokio::test]
    async fn a_head_that_drips_gets_no_more_time() -> std::io::Result<()> {
        let address = serving(Bounds { head_time: SHORT, ..BOUNDS }).await?;
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await?;
        while stream.write_all(b"x").await.is_ok() {
            assert!(began.elapsed() < SOON, "still open");
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    #[tokio::test]
    async fn connections_beyond_the_bound_wait_and_are_served() -> std::io::Result<()> {
        let address = serving(Bounds { connections: 2, head_time: SHORT, ..BOUNDS }).await?;
        let silent = [TcpStream::connect(address).await?, TcpStream::connect(address).await?];
        let mut third = TcpStream::connect(address).await?;
        third.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
        assert!(rest(third).await?.ends_with("served"), "once the silent ones are let go");
        drop(silent);
        Ok(())
    }

    #[tokio::test]
    async fn a_connection_does_not_live_for_ever() -> std::io::Result<()> {
        let address = serving(Bounds { connection_time: SHORT, ..BOUNDS }).await?;
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).await?;
        let mut piece = [0; 1024];
        while stream.write_all(GET).await.is_ok() && stream.read(&mut piece).await? > 0 {
            assert!(began.elapsed() < SOON, "still open");
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_head_beyond_its_bound_is_refused() -> std::io::Result<()> {
        let address = serving(BOUNDS).await?;
        for fields in [format!("X: {}\r\n", "x".repeat(64 << 10)), "X: y\r\n".repeat(101)] {
            let mut stream = TcpStream::connect(address).await?;
            stream
                .write_all(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
                .await?;
            let mut piece = [0; 1024];
            let read = timeout(SOON, stream.read(&mut piece)).await??;
            let said = String::from_utf8_lossy(&piece[..read]);
            assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_stop_finishes_what_is_under_way_and_gives_the_socket_back() -> std::io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let slow = || async {
            sleep(SHORT).await;
            "served"
        };
        let router = Router::new().route("/", get(slow));
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(serve_within(listener, router.clone(), stopping, BOUNDS));
        let mut idle = TcpStream::connect(address).await?;
        idle.write_all(GET).await?;
        assert!(idle.read(&mut [0; 1024]).await? > 0);
        let mut under_way = TcpStream::connect(address).await?;
        under_way.write_all(GET).await?;
        sleep(SHORT / 3).await;
        assert!(stop.send(true).is_ok());
        let listener = timeout(SOON, serving).await??;
        assert!(rest(under_way).await?.ends_with("served"));
        assert_eq!(rest(idle).await?, "", "it is closed, not left to time out");
        // Who came meanwhile waits for whoever serves next.
        let mut waiting = TcpStream::connect(address).await?;
        waiting.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
        tokio::spawn(serve_within(listener, router, never(), BOUNDS));
        assert!(rest(waiting).await?.ends_with("served"));
        Ok(())
    }
}
