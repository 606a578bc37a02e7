//! One client connection: heads read within their bounds, requests one after another.
//!
//! The head of an HTTP/1 request is read here, not by Pingora: its reader has no total deadline,
//! takes a mebibyte, and repairs what should be refused. Bytes go on to Pingora only once
//! [`raw_head`] has found them whole and sound. HTTP/2 connections run in Pingora's own loop.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use gateway_policy::{Bounds, Problem, ProblemCode};
use ipnet::IpNet;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v1::server::HttpSession;
use pingora::protocols::{ALPN, Stream};
use pingora::server::ShutdownWatch;
use pingora::time::timeout;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::capacity::Shed;
use crate::gateway::{Ending, Gateway};
use crate::h2_connection::Http2;
use crate::head::{ListenerFacts, WireFacts};
use crate::moving::move_on;
use crate::raw_head::{HeadBounds, HeadFault, Scan, scan};
use crate::respond::raw_problem;
use crate::tls::{Tls, Unshaken};
use crate::trace::request_id;
use crate::watched::Watched;

/// How long a connection may idle between two requests.
pub(crate) const IDLE: Duration = Duration::from_secs(75);
/// How long the rest of a refused request is listened to, so that its answer is not lost in a reset.
const LINGER: Duration = Duration::from_millis(250);
const LINGER_BYTES_MAX: usize = 256 << 10;
/// How a client begins that speaks HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const READ_BYTES: usize = 4 << 10;

/// What serves the connections of one listener.
pub(crate) struct Connections {
    gateway: Arc<Gateway>,
    listener: ListenerFacts,
    tls: Option<Arc<Tls>>,
    http2: Arc<Http2>,
}

impl Connections {
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        listener: ListenerFacts,
        tls: Option<Arc<Tls>>,
    ) -> Connections {
        let http2 = Http2::new(Arc::clone(&gateway), listener.clone());
        Connections { gateway, listener, tls, http2: Arc::new(http2) }
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(crate) fn trusted_proxies(&self) -> &[IpNet] {
        &self.listener.trusted_proxies
    }

    fn bounds(&self) -> Bounds {
        self.gateway.bounds()
    }

    fn header_time(&self) -> Duration {
        Duration::from_millis(self.bounds().header_time_ms)
    }

    fn write_time(&self) -> Duration {
        write_time(&self.bounds())
    }

    /// What a client begins with where it may speak either version; `None` when it has gone.
    ///
    /// Read into a buffer of our own: Pingora's look at what waits on a connection has no end in
    /// time, and loses bytes when it is given up.
    async fn opening(
        &self,
        stream: &mut Stream,
        buffer: &mut BytesMut,
        shutdown: &ShutdownWatch,
    ) -> Option<Opening> {
        if buffer.is_empty() {
            match first_bytes(stream, buffer, shutdown).await {
                First::Bytes => {}
                First::Stopped => return Some(Opening::Stopped),
                First::Gone => return None,
            }
        }
        let deadline = Instant::now() + self.header_time();
        loop {
            let seen = buffer.len().min(PREFACE.len());
            if buffer[..seen] != PREFACE[..seen] {
                return Some(Opening::Http1 { deadline });
            }
            if seen == PREFACE.len() {
                return Some(Opening::Http2);
            }
            match timeout_at(deadline, stream.read_buf(buffer)).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return None,
                Err(_) => return Some(Opening::Late),
            }
        }
    }

    async fn shaken(&self, tls: &Tls, stream: Stream) -> Option<Stream> {
        let shaken = tls.handshake(stream, self.header_time()).await;
        self.gateway.parts.metrics.handshake(shaken.as_ref().map(drop).map_err(|why| *why));
        if matches!(shaken, Err(Unshaken::Late)) {
            self.gateway.parts.metrics.shed(Shed::HeaderTime);
        }
        shaken.ok()
    }

    /// One request on `stream`; the stream and what was read beyond it when it can go on.
    async fn request(&self, next: Next, shutdown: &ShutdownWatch) -> Option<Next> {
        let Next { mut stream, mut buffer, deadline, is_last } = next;
        let head = match self.read_head(&mut stream, &mut buffer, deadline, shutdown).await {
            HeadRead::Whole(head) => head,
            HeadRead::Stopped => {
                self.leave(stream, buffer, is_last).await;
                return None;
            }
            HeadRead::Gone => return None,
            HeadRead::Refused(code) => {
                self.refuse(&mut stream, code).await;
                return None;
            }
        };
        // Looked at once more where the head is whole: from here to the judgement nothing waits.
        if self.gateway.successor().is_some() && !is_last {
            self.leave(stream, buffer, is_last).await;
            return None;
        }
        let watched = if head.chunked {
            let body = buffer.split_off(head.bytes);
            Watched::chunked(stream, body)
        } else {
            Watched::plain(stream)
        };
        let mut session = ServerSession::new_http1(Box::new(watched));
        session.set_pipelining_enabled(true);
        session.set_pipelined_prefix(buffer);
        session.set_abort_on_close(false);
        session.set_write_timeout(Some(self.write_time()));
        session.set_keepalive(Some(IDLE.as_secs()));
        if !matches!(session.read_request().await, Ok(true)) {
            // Our own look found nothing wrong; where Pingora differs, the stricter one wins.
            if let ServerSession::H1(session) = session
                && let Some((mut stream, _)) = Watched::unwrap(session.into_inner())
            {
                self.refuse(&mut stream, ProblemCode::BadRequest).await;
            }
            return None;
        }
        // Behind the head, which would say otherwise.
        if is_last || *shutdown.borrow() {
            session.set_keepalive(None);
        }
        match (self.gateway.serve(&mut session, &self.listener, head.wire).await, session) {
            (Ending::Whole, ServerSession::H1(session)) => {
                timeout(self.write_time(), finished(session)).await.ok().flatten()
            }
            _ => None,
        }
    }

    /// Reads until the head is whole: any time for its first byte, `header_time` from then on.
    async fn read_head(
        &self,
        stream: &mut Stream,
        buffer: &mut BytesMut,
        deadline: Option<Instant>,
        shutdown: &ShutdownWatch,
    ) -> HeadRead {
        let bounds = self.bounds();
        let limits = HeadBounds {
            target_bytes: bounds.target_bytes,
            header_bytes: bounds.header_bytes,
            headers: bounds.headers,
        };
        if buffer.is_empty() {
            match first_bytes(stream, buffer, shutdown).await {
                First::Bytes => {}
                First::Stopped => return HeadRead::Stopped,
                First::Gone => return HeadRead::Gone,
            }
        }
        let deadline = deadline.unwrap_or_else(|| Instant::now() + self.header_time());
        let mut seen = 0;
        loop {
            match scan(buffer, seen, &limits) {
                Ok(Scan::Complete { head_bytes, padded_credential, chunked }) => {
                    let wire = WireFacts { padded_credential };
                    return HeadRead::Whole(Head { wire, bytes: head_bytes, chunked });
                }
                Ok(Scan::Partial) => seen = buffer.len(),
                Err(fault) => return HeadRead::Refused(code_of(fault)),
            }
            buffer.reserve(READ_BYTES);
            match timeout_at(deadline, stream.read_buf(buffer)).await {
                Ok(Ok(0)) | Ok(Err(_)) => return HeadRead::Gone,
                Ok(Ok(_)) => {}
                Err(_) => return HeadRead::Refused(ProblemCode::RequestTimeout),
            }
        }
    }

    /// Answers bytes that never became a request, and closes.
    async fn refuse(&self, stream: &mut Stream, code: ProblemCode) {
        let style = self.gateway.serving().snapshot.rules.errors;
        let id = request_id(std::iter::empty());
        let bytes = raw_problem(&Problem::new(code), style, &id, self.gateway.parts.clock.wall());
        self.gateway.account_unread(code, &id, peer_of(stream));
        let answered = timeout(self.write_time(), async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        });
        if matches!(answered.await, Ok(Ok(()))) {
            let _ = timeout(LINGER, linger(stream)).await;
        }
        let _ = timeout(LINGER, stream.shutdown()).await;
    }
}

pub(crate) fn write_time(bounds: &Bounds) -> Duration {
    Duration::from_millis(bounds.write_time_ms)
}

/// How a client begins.
enum Opening {
    Http2,
    /// The time for the first head has begun.
    Http1 {
        deadline: Instant,
    },
    /// Its time for a head passed within what may become the preface.
    Late,
    /// The process stops, and nothing came.
    Stopped,
}

/// A connection on which a request may come.
struct Next {
    stream: Stream,
    /// What was read of it.
    buffer: BytesMut,
    /// For the head, if part of it came already.
    deadline: Option<Instant>,
    /// Its answer ends the connection.
    is_last: bool,
}

/// What is known of a connection that another process began; of a new one nothing.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    /// What was read of the next request.
    pub(crate) read: BytesMut,
    /// TLS is spoken elsewhere.
    pub(crate) is_shaken: bool,
    /// Its next answer ends the connection.
    pub(crate) is_last: bool,
}

fn peer_of(stream: &Stream) -> Option<IpAddr> {
    let digest = stream.get_socket_digest()?;
    digest.peer_addr()?.as_inet().map(|address| address.ip())
}

/// Reads away what is still coming: closing on unread bytes would reset the answer away.
async fn linger(stream: &mut Stream) {
    let mut sink = [0; READ_BYTES];
    let mut seen = 0;
    while let Ok(read @ 1..) = stream.read(&mut sink).await {
        seen += read;
        if seen > LINGER_BYTES_MAX {
            return;
        }
    }
}

/// Ends an exchange: the stream for the next one, with what was read beyond this.
async fn finished(mut session: HttpSession) -> Option<Next> {
    session.finish_body().await.ok()?;
    if session.will_keepalive() {
        let (stream, rest) = session.reuse().await.ok()??.into_parts();
        let (stream, later) = Watched::unwrap(stream)?;
        let mut buffer = rest.unwrap_or_default();
        buffer.unsplit(later);
        return Some(Next { stream, buffer, deadline: None, is_last: false });
    }
    let unread = !session.is_body_done();
    let (mut stream, _) = Watched::unwrap(session.into_inner())?;
    // Half a close first, so that the client reads the answer and stops sending.
    let _ = timeout(LINGER, stream.shutdown()).await;
    if unread {
        let _ = timeout(LINGER, linger(&mut stream)).await;
    }
    None
}

/// What a wait for a request ended with.
enum First {
    Bytes,
    /// The process stops, and nothing came.
    Stopped,
    Gone,
}

/// Waits for the first bytes of the next request.
async fn first_bytes(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    shutdown: &ShutdownWatch,
) -> First {
    let mut stopping = shutdown.clone();
    let read = poll_fn(|cx| {
        buffer.reserve(READ_BYTES);
        let read = pin!(stream.read_buf(buffer)).poll(cx);
        if read.is_pending() {
            // Most connections idle most of the time, and hold nothing meanwhile.
            *buffer = BytesMut::new();
        }
        read
    });
    tokio::select! {
        biased;
        read = timeout(IDLE, read) => match read {
            Ok(Ok(1..)) => First::Bytes,
            _ => First::Gone,
        },
        () = stopped(&mut stopping) => First::Stopped,
    }
}

/// Waits until the process stops.
pub(crate) async fn stopped(shutdown: &mut ShutdownWatch) {
    while !*shutdown.borrow_and_update() {
        if shutdown.changed().await.is_err() {
            return;
        }
    }
}

/// A head that has been read.
struct Head {
    wire: WireFacts,
    bytes: usize,
    /// A chunked body follows.
    chunked: bool,
}

enum HeadRead {
    Whole(Head),
    /// The process stops, and nothing of a request came.
    Stopped,
    Gone,
    Refused(ProblemCode),
}

fn code_of(fault: HeadFault) -> ProblemCode {
    match fault {
        HeadFault::TargetTooLong => ProblemCode::TargetTooLong,
        HeadFault::HeadersTooLarge => ProblemCode::HeadersTooLarge,
        HeadFault::BadRequest { .. } | HeadFault::Expectation => ProblemCode::BadRequest,
    }
}

impl Connections {
    /// Serves one connection to its end, or to where another process goes on with it.
    pub(crate) async fn serve(
        &self,
        stream: Stream,
        beginning: Beginning,
        shutdown: &ShutdownWatch,
    ) {
        if let Some(next) = self.begin(stream, beginning, shutdown).await {
            let mut next = Some(next);
            while let Some(connection) = next {
                next = self.request(connection, shutdown).await;
            }
        }
    }

    /// The handshake, and what the client speaks; `None` where no HTTP/1 follows.
    async fn begin(
        &self,
        stream: Stream,
        beginning: Beginning,
        shutdown: &ShutdownWatch,
    ) -> Option<Next> {
        let Beginning { read: mut buffer, is_shaken, is_last } = beginning;
        let mut stream = match &self.tls {
            Some(tls) if !is_shaken => self.shaken(tls, stream).await?,
            _ => stream,
        };
        let mut deadline = None;
        let agreed = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
        if agreed || (self.listener.h2c && !self.listener.tls) {
            match self.opening(&mut stream, &mut buffer, shutdown).await? {
                Opening::Stopped if !agreed => {
                    self.leave(stream, buffer, is_last).await;
                    return None;
                }
                // Who agreed on it is told to go by frames, not by an end.
                Opening::Http2 | Opening::Stopped => {
                    self.http2.serve(stream, buffer, shutdown).await;
                    return None;
                }
                // Nothing that HTTP/1 says would be understood.
                _ if agreed => return None,
                Opening::Late => {
                    self.refuse(&mut stream, ProblemCode::RequestTimeout).await;
                    return None;
                }
                Opening::Http1 { deadline: begun } => deadline = Some(begun),
            }
        }
        Some(Next { stream, buffer, deadline, is_last })
    }

    /// The process stops: a connection that owes no answer goes to its successor, or ends.
    async fn leave(&self, stream: Stream, read: BytesMut, is_last: bool) {
        if let Some(successor) = self.gateway.successor().filter(|_| !is_last) {
            let (place, is_tls) = (self.listener.place, self.tls.is_some());
            move_on(stream, read, place, is_tls, &successor).await;
        }
    }
}
