//! One client connection: its handshake, and requests one after another.
//!
//! The head of an HTTP/1 request is read by [`incoming`](crate::incoming), not by Pingora: its reader has no
//! total deadline, takes a mebibyte, and repairs what should be refused. Bytes go on to Pingora only
//! once they were found whole and sound. HTTP/2 connections run in Pingora's own loop.

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
use tokio::task::unconstrained;
use tokio::time::Instant;

use crate::arrival::ListenerFacts;
use crate::capacity::Shed;
use crate::gateway::{Ending, Gateway};
use crate::h2_connection::Http2;
use crate::incoming::{HeadRead, IDLE, Opening, READ_BYTES, opening, read_head};
use crate::moving::{Means, move_on, peer_of};
use crate::respond::raw_problem;
use crate::tls::{Tls, Unshaken};
use crate::trace::request_id;
use crate::watched::Watched;

/// How long the rest of a refused request is listened to, so that its answer is not lost in a reset.
const LINGER: Duration = Duration::from_millis(250);
const LINGER_BYTES_MAX: usize = 256 << 10;

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
        let Next { mut stream, mut buffer, deadline, is_tunnel } = next;
        let head =
            match read_head(&mut stream, &mut buffer, deadline, &self.bounds(), shutdown).await {
                HeadRead::Whole(head) => head,
                HeadRead::Stopped => {
                    self.leave(stream, buffer, is_tunnel).await;
                    return None;
                }
                HeadRead::Gone => return None,
                HeadRead::Refused(code) => {
                    self.refuse(&mut stream, code).await;
                    return None;
                }
            };
        // Looked at once more where the head is whole: from here to the judgement nothing waits.
        if self.gateway.successor.get().is_some() {
            self.leave(stream, buffer, is_tunnel).await;
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
        if !matches!(unconstrained(session.read_request()).await, Ok(true)) {
            // Our own look found nothing wrong; where Pingora differs, the stricter one wins.
            if let ServerSession::H1(session) = session
                && let Some((mut stream, _)) = Watched::unwrap(session.into_inner())
            {
                self.refuse(&mut stream, ProblemCode::BadRequest).await;
            }
            return None;
        }
        // Behind the head, which would say otherwise.
        if is_tunnel || *shutdown.borrow() {
            session.set_keepalive(None);
        }
        match (self.gateway.serve(&mut session, &self.listener, head.wire).await, session) {
            (Ending::Whole, ServerSession::H1(session)) => {
                timeout(self.write_time(), finished(session)).await.ok().flatten()
            }
            _ => None,
        }
    }

    /// Answers bytes that never became a request, and closes.
    async fn refuse(&self, stream: &mut Stream, code: ProblemCode) {
        let style = self.gateway.serving().snapshot.rules.errors;
        let id = request_id(std::iter::empty());
        let bytes = raw_problem(&Problem::new(code), style, &id, self.gateway.parts.clock.wall());
        let peer = peer_of(stream).map(|peer| peer.ip());
        self.gateway.account_unread(code, &id, peer);
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

/// A connection on which a request may come.
struct Next {
    stream: Stream,
    /// What was read of it.
    buffer: BytesMut,
    /// For the head, if part of it came already.
    deadline: Option<Instant>,
    /// As of its [`Beginning`].
    is_tunnel: bool,
}

/// What is known of a connection that another process began; of a new one nothing.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    /// What was read of the next request.
    pub(crate) read: BytesMut,
    /// TLS is spoken by that process, and the next answer ends the connection.
    pub(crate) is_tunnel: bool,
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
        return Some(Next { stream, buffer, deadline: None, is_tunnel: false });
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
        let Beginning { read: mut buffer, is_tunnel } = beginning;
        let mut stream = match &self.tls {
            Some(tls) if !is_tunnel => self.shaken(tls, stream).await?,
            _ => stream,
        };
        let mut deadline = None;
        let agreed = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
        if agreed || (self.listener.h2c && !self.listener.tls) {
            match opening(&mut stream, &mut buffer, self.header_time(), shutdown).await? {
                Opening::Stopped if !agreed => {
                    self.leave(stream, buffer, is_tunnel).await;
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
        Some(Next { stream, buffer, deadline, is_tunnel })
    }

    /// The process stops: a connection that owes no answer goes to its successor, or ends.
    async fn leave(&self, stream: Stream, read: BytesMut, is_tunnel: bool) {
        if let Some(successor) = self.gateway.successor.get() {
            let means = match self.tls {
                Some(_) if !is_tunnel => Means::Tunnel,
                _ => Means::Itself { is_tunnel },
            };
            move_on(stream, read, self.listener.place, means, &successor).await;
        }
    }
}
