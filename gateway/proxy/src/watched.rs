//! A connection whose chunked bodies are held to the grammar while Pingora reads them.
//!
//! Pingora's reader of chunked bodies is laxer than the grammar, and cannot be exchanged without its
//! sessions. So it reads through this: the same bytes, looked at by [`ChunkedReader`] first. From
//! the first wrong byte on a read fails, and Pingora never sees that byte. Reads may begin with
//! bytes that were read from the connection before and are given back.
//!
//! The other way Pingora writes its own `Date` into each head, which `redated.rs` puts right here.
//!
//! Not here: heads (`raw_head.rs` looks at a client's), bodies with a length or without one.
//!
//! Cost: a look at the framing of a chunked body; of an upstream's answer also a copy of its head, for
//! where it ends is known only once Pingora has read it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread::ThreadId;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use http::header;
use parking_lot::Mutex;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::chunked::{ChunkFault, ChunkedReader, Progress};
use crate::h2_guard::GuardFault;
use crate::h2_watch::Http2Watch;
use crate::outbox::Outbox;
use crate::redated::Redated;

/// A connection, what was read of it too early, and the body that comes on it.
pub(crate) struct Watched {
    inner: Stream,
    given_back: BytesMut,
    /// The thread that opened it, whose runtime hears first when something arrives.
    home: ThreadId,
    /// Behind a lock because a session shows its connection, but lends it to nobody.
    watch: Mutex<Watch>,
    /// Behind a lock for the same reason.
    redated: Mutex<Option<Redated>>,
    /// Towards an HTTP/1 client.
    outbox: Option<Outbox>,
}

/// What the next bytes are.
enum Watch {
    /// Nothing that is looked at.
    Off,
    /// Heads of an upstream, kept: behind the last of them a body may have begun.
    Heads(Vec<u8>),
    Body(ChunkedReader),
    /// All of an HTTP/2 connection.
    Http2(Box<Http2Watch>),
}

impl Watched {
    /// Reads of an HTTP/2 connection, of which `given_back` is the beginning.
    pub(crate) fn http2(inner: Stream, given_back: BytesMut, watch: Http2Watch) -> Watched {
        Watched::new(inner, given_back, Watch::Http2(Box::new(watch)))
    }

    /// Reads of a chunked body, of which `given_back` is the beginning.
    pub(crate) fn chunked(inner: Stream, given_back: BytesMut) -> Watched {
        Watched::new(inner, given_back, Watch::Body(ChunkedReader::default())).writing_together()
    }

    /// A client's connection on which no body comes, or one with a length.
    pub(crate) fn plain(inner: Stream) -> Watched {
        Watched::new(inner, BytesMut::new(), Watch::Off).writing_together()
    }

    /// A connection to an upstream, which speaks in heads first.
    pub(crate) fn answering(inner: Stream) -> Watched {
        Watched::new(inner, BytesMut::new(), Watch::Heads(Vec::new()))
    }

    fn new(inner: Stream, given_back: BytesMut, watch: Watch) -> Watched {
        let home = std::thread::current().id();
        let (watch, redated) = (Mutex::new(watch), Mutex::new(None));
        Watched { inner, given_back, home, watch, redated, outbox: None }
    }

    fn writing_together(self) -> Watched {
        Watched { outbox: Some(Outbox::default()), ..self }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = match &mut self.outbox {
            Some(outbox) => outbox.poll_write(cx, &mut self.inner, parts),
            None => Pin::new(&mut self.inner).poll_write_vectored(cx, parts),
        };
        if let (Poll::Ready(Ok(bytes)), Watch::Http2(watch)) = (&sent, self.watch.get_mut()) {
            watch.answered(*bytes);
        }
        sent
    }

    /// Sends what waits to be sent together with more.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.outbox {
            Some(outbox) => outbox.poll_send(cx, &mut self.inner),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Whether this thread opened it.
    pub(crate) fn is_at_home(&self) -> bool {
        self.home == std::thread::current().id()
    }

    /// Heads follow, on a connection that is used again.
    pub(crate) fn await_heads(&self) {
        *self.watch.lock() = Watch::Heads(Vec::new());
    }

    /// The heads, so many bytes of them, are over. What was read behind them is looked at now.
    fn end_heads(&self, head_bytes: usize, chunked: bool) -> Result<(), WatchFault> {
        let mut watch = self.watch.lock();
        let Watch::Heads(mut kept) = std::mem::replace(&mut *watch, Watch::Off) else {
            return Ok(());
        };
        if chunked {
            *watch = Watch::Body(ChunkedReader::default());
            watch.see(kept.get_mut(head_bytes..).unwrap_or_default())?;
        }
        Ok(())
    }

    /// The head that is written next tells this `Date`, whatever it says.
    pub(crate) fn redate(&self, date: SystemTime) {
        *self.redated.lock() = Some(Redated::new(date));
    }

    /// The connection itself, and what was given back to it and not yet read again.
    ///
    /// `None` is a connection that cannot be had back, and is closed.
    pub(crate) fn unwrap(stream: Stream) -> Option<(Stream, BytesMut)> {
        if !stream.as_any().is::<Watched>() {
            return Some((stream, BytesMut::new()));
        }
        let watched = Watched::of(stream)?;
        Some((watched.inner, watched.given_back))
    }

    /// The watched connection that Pingora was lent; `None`, and closed, if it is none.
    pub(crate) fn of(stream: Stream) -> Option<Box<Watched>> {
        stream.into_any().downcast().ok()
    }
}

/// Judges the framing of an answer whose last head has been read, and has its body watched.
/// `heads_bytes`: all heads together, interim ones included.
///
/// # Errors
/// [`FramingFault`] of the head or of what came with it.
pub(crate) fn answer_begins(
    session: &mut HttpSession,
    heads_bytes: usize,
) -> Result<(), FramingFault> {
    let has_body = !session.is_body_done();
    let Some(head) = session.resp_header() else { return Ok(()) };
    let chunked = head.headers.contains_key(header::TRANSFER_ENCODING);
    // Pingora takes the length away where it reads chunks; the bytes still show it.
    if chunked && names_length(&session.get_headers_raw_bytes()) {
        return Err(FramingFault::Two);
    }
    match session.stream().as_any().downcast_ref::<Watched>() {
        Some(connection) => Ok(connection.end_heads(heads_bytes, chunked && has_body)?),
        None => Ok(()),
    }
}

fn names_length(head: &[u8]) -> bool {
    head.split(|&byte| byte == b'\n').any(|line| {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(header::CONTENT_LENGTH.as_str().as_bytes())
    })
}

/// Why the end of an answer cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingFault {
    /// RFC 9112 §6.3: an attempt at response splitting, perhaps.
    #[error("both Transfer-Encoding and Content-Length")]
    Two,
    #[error(transparent)]
    Chunks(#[from] WatchFault),
}

/// What was wrong with the bytes that were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WatchFault {
    #[error(transparent)]
    Chunks(#[from] ChunkFault),
    #[error(transparent)]
    Frames(#[from] GuardFault),
}

impl Watch {
    fn see(&mut self, bytes: &mut [u8]) -> Result<(), WatchFault> {
        match self {
            Watch::Off => {}
            Watch::Heads(kept) => kept.extend_from_slice(bytes),
            Watch::Http2(watch) => watch.see(bytes)?,
            Watch::Body(reader) => {
                if let Progress::End { .. } = reader.push(bytes, |_| {})? {
                    // What follows is the next message's, and not looked at here.
                    *self = Watch::Off;
                }
            }
        }
        Ok(())
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if this.given_back.is_empty() {
            match (Pin::new(&mut this.inner).poll_read(cx, buf), this.watch.get_mut()) {
                (Poll::Ready(read), _) => read?,
                (Poll::Pending, Watch::Http2(watch)) => return watch.poll_late(cx).map(Err),
                (Poll::Pending, _) => return Poll::Pending,
            }
        } else {
            let length = this.given_back.len().min(buf.remaining());
            buf.put_slice(&this.given_back[..length]);
            this.given_back.advance(length);
        }
        let seen = this.watch.get_mut().see(&mut buf.filled_mut()[before..]);
        Poll::Ready(seen.map_err(|fault| {
            buf.set_filled(before);
            io::Error::new(io::ErrorKind::InvalidData, fault)
        }))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let redated = this.redated.get_mut();
        let Some(changed) = redated.as_mut().and_then(|redated| redated.changed(bytes)) else {
            *redated = None;
            return this.poll_send(cx, &[io::IoSlice::new(bytes)]);
        };
        let written = ready!(this.poll_send(cx, &[io::IoSlice::new(&changed)]))?;
        let redated = this.redated.get_mut();
        *redated = redated.take().and_then(|redated| redated.behind(written));
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_waiting(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_waiting(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Watched {
    async fn shutdown(&mut self) {
        let _ = poll_fn(|cx| self.poll_waiting(cx)).await;
        Shutdown::shutdown(&mut *self.inner).await;
    }
}

impl UniqueID for Watched {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for Watched {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for Watched {
    /// Nobody reads it, and each session over this connection would copy it.
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.inner.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.inner.get_write_pending_time()
    }
}

impl GetProxyDigest for Watched {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.inner.set_proxy_digest(digest);
    }
}

impl GetSocketDigest for Watched {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.inner.set_socket_digest(digest);
    }
}

/// Nothing can be peeked at: bytes that were read too early are given back instead.
impl Peek for Watched {}

/// Without its bytes: they may hold a key.
impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("inner", &self.inner).finish_non_exhaustive()
    }
}
