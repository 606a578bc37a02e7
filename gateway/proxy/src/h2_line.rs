//! One HTTP/2 connection to a server, which requests share.
//!
//! A task reads and writes it for as long as it lasts, so that its end is known when it comes and not when the
//! next request does. It lasts as long as the pool or a stream has it, and is then given a moment to
//! take its leave.
//!
//! Bounds. A stream may send [`STREAM_WINDOW`] ahead of its client, and the connection as much for every stream it may
//! have, so that a client who does not read holds up nobody else's. Of what an upstream may do beside, the `h2`
//! crate keeps the measure: heads of [`HEAD_BYTES_MAX`] and the continuation frames that these can take, empty data frames
//! ([`EMPTY_FRAMES_MAX`]) and tiny ones that wait ([`SMALL_FRAMES_BUDGET`]), streams that it must reset
//! (`max_local_error_reset_streams`), one unacknowledged SETTINGS and one PING answer waiting. What goes beyond ends the
//! connection, with every stream on it, so what honest servers do must stay within: [`RESETS_REMEMBERED`], and a
//! connection is left before its empty frames are used up.
//!
//! Not here: which connection a request takes (`h2_lines`), what goes over a stream (`h2_exchange`).
//!
//! Sources: RFC 9113 §5.1.2 (streams), §5.2 (windows), §6.7 (PING), §6.8 (GOAWAY).

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use parking_lot::Mutex;
use pingora::protocols::{Stream, UniqueIDType};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::clock::Stopwatch;
use crate::h2_frames::{Counted, Counts};

/// Streams of one connection at a time, where the server allows more.
pub(crate) const STREAMS_MAX: usize = 100;
/// What a server may send on one stream before its client has taken any.
const STREAM_WINDOW: u32 = 64 << 10;
/// The same on all of them together: no stream waits for the window of another.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS_MAX as u32;
/// What of a request's body waits in the connection to be sent.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Names and values of an answer's head, as HPACK counts them.
pub(crate) const HEAD_BYTES_MAX: u32 = 64 << 10;

/// Streams that were reset here and are remembered for a second, in which frames that were under way may come.
/// Later ones of a stream that is forgotten are counted as faults of the server. A client that goes resets a stream, so
/// there are many where many go at once.
const RESETS_REMEMBERED: usize = 1_024;
/// Empty DATA frames that end no stream which `h2` bears in a connection's life (`MAX_RECV_EMPTY_DATA_FRAMES`).
const EMPTY_FRAMES_MAX: usize = 100;
/// With so many of them no more streams are opened on a connection.
const EMPTY_FRAMES_ENOUGH: usize = EMPTY_FRAMES_MAX / 2;
/// Frames as small as this may fill all windows, of clients who do not read.
const SMALL_FRAME_BYTES: usize = 64;
/// What `h2` reckons a DATA frame should have; it counts what is missing in those that wait.
const FULL_FRAME_BYTES: usize = 256;
/// Of those missing bytes. Frames of one byte may wait to a number of 77,000, at about a hundred bytes each.
const SMALL_FRAMES_BUDGET: usize =
    CONNECTION_WINDOW as usize / SMALL_FRAME_BYTES * (FULL_FRAME_BYTES - SMALL_FRAME_BYTES);

/// How long a connection without a stream is kept, as one of HTTP/1 is.
const IDLE_MAX: Duration = Duration::from_secs(55);
/// Seldom enough for servers that count PINGs, often enough for a request's time.
const PACE: Pace = Pace { ping_every: Duration::from_secs(15), pong_time: Duration::from_secs(5) };
/// For the last frames of a connection that is done with.
const LEAVE_TIME: Duration = Duration::from_secs(1);

/// How often a connection that requests wait on is asked whether it lives, and how long it may take to say so.
#[derive(Debug, Clone, Copy)]
struct Pace {
    ping_every: Duration,
    pong_time: Duration,
}

/// A connection that speaks HTTP/2.
pub(crate) struct Http2Line {
    sender: SendRequest<Bytes>,
    state: Arc<State>,
    descriptor: UniqueIDType,
    /// The connection's task hears when this goes.
    _held: oneshot::Sender<()>,
}

struct State {
    streams: AtomicUsize,
    is_over: AtomicBool,
    frames: Arc<Counts>,
    /// Since when there is no stream.
    idle: Mutex<Stopwatch>,
}

impl State {
    fn new(frames: Arc<Counts>) -> State {
        State {
            streams: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            frames,
            idle: Mutex::new(Stopwatch::start()),
        }
    }
}

impl std::fmt::Debug for Http2Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http2Line")
    }
}

impl Http2Line {
    /// Greets, and waits until the server has answered a PING: it speaks HTTP/2, and its SETTINGS, which come
    /// first, are in force before a request is sent. `None` where it does not.
    pub(crate) async fn open(stream: Stream) -> Option<Http2Line> {
        Http2Line::open_at(PACE, stream).await
    }

    async fn open_at(pace: Pace, stream: Stream) -> Option<Http2Line> {
        let descriptor = stream.id();
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEAD_BYTES_MAX)
            .max_send_buffer_size(SEND_BUFFER_BYTES)
            .max_concurrent_reset_streams(RESETS_REMEMBERED)
            .data_frame_budget(SMALL_FRAMES_BUDGET);
        let frames = Arc::default();
        let stream = Counted::new(stream, Arc::clone(&frames));
        let (sender, mut connection) = builder.handshake(stream).await.ok()?;
        let pings = connection.ping_pong()?;
        let state = Arc::new(State::new(frames));
        let (ready, is_ready) = oneshot::channel();
        let (held, is_left) = oneshot::channel();
        let asked = asked_whether_it_lives(pace, pings, ready, Arc::clone(&state));
        tokio::spawn(drive(connection, asked, is_left, Arc::clone(&state)));
        is_ready.await.ok()?;
        Some(Http2Line { sender, state, descriptor, _held: held })
    }

    /// Whether no request may be sent on it any more: it has ended, was idle for too long, or has no room that any
    /// stream's end would give back.
    ///
    /// Its task is asked first: had it panicked, `h2` would panic over its own lock.
    pub(crate) fn is_over(&self) -> bool {
        self.has_ended()
            || self.state.frames.empty.load(Ordering::Acquire) >= EMPTY_FRAMES_ENOUGH
            || (self.is_idle() && self.state.idle.lock().elapsed() >= IDLE_MAX)
            || (self.is_idle() && self.sender.current_max_send_streams() == 0)
            || self.takes_its_leave()
    }

    fn has_ended(&self) -> bool {
        self.state.is_over.load(Ordering::Acquire)
    }

    /// Whether the server has said that it takes no more streams.
    fn takes_its_leave(&self) -> bool {
        let asked = self.sender().poll_ready(&mut Context::from_waker(Waker::noop()));
        matches!(asked, Poll::Ready(Err(_)))
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state.streams.load(Ordering::Acquire) == 0
    }

    fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }

    /// A place for one more stream, if there is one. Not to be called for one connection by two at a time.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Place> {
        if self.has_ended() {
            return None;
        }
        // Each answer may have one empty frame.
        let answers_max =
            EMPTY_FRAMES_MAX.saturating_sub(self.state.frames.empty.load(Ordering::Acquire));
        let streams_max = self.sender.current_max_send_streams().min(STREAMS_MAX).min(answers_max);
        if self.state.streams.load(Ordering::Acquire) >= streams_max || self.may_have_ended() {
            return None;
        }
        self.state.streams.fetch_add(1, Ordering::AcqRel);
        self.state.frames.requests.fetch_add(1, Ordering::AcqRel);
        Some(Place { line: Arc::clone(self) })
    }

    /// Whether something waits on an idle connection that its task has not seen yet: its end, perhaps.
    fn may_have_ended(&self) -> bool {
        if !self.is_idle() {
            return false;
        }
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(self.descriptor, &mut [0], flags) != Err(Errno::EAGAIN)
    }
}

/// Says that the connection has ended, even where its task panics.
struct Ending(Arc<State>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

/// Reads and writes until the connection ends, falls silent, or nobody has it any more.
async fn drive(
    connection: Connection<Counted<Stream>>,
    asked_in_vain: impl Future<Output = ()>,
    is_left: oneshot::Receiver<()>,
    state: Arc<State>,
) {
    let mut connection = pin!(connection);
    let _ending = Ending(state);
    let is_left = async {
        // Never sent: the other end goes.
        let _ = is_left.await;
    };
    tokio::select! {
        _ = &mut connection => {}
        () = asked_in_vain => {}
        () = is_left => {
            let _ = timeout(LEAVE_TIME, &mut connection).await;
        }
    }
}

/// Returns when a connection that streams wait on does not answer. Without it, one that was lost on the way
/// would take each new request in, and let it wait for the whole of its time.
async fn asked_whether_it_lives(
    pace: Pace,
    mut pings: PingPong,
    ready: oneshot::Sender<()>,
    state: Arc<State>,
) {
    if pings.ping(Ping::opaque()).await.is_err() {
        return pending().await;
    }
    let _ = ready.send(());
    loop {
        sleep(pace.ping_every).await;
        if state.streams.load(Ordering::Acquire) == 0 {
            continue;
        }
        match timeout(pace.pong_time, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            // The connection's own end, which it tells itself.
            Ok(Err(_)) => return pending().await,
            Err(_) => return,
        }
    }
}

/// The right to one stream of a connection, given back when it goes.
#[derive(Debug)]
pub(crate) struct Place {
    line: Arc<Http2Line>,
}

impl Place {
    pub(crate) fn sender(&self) -> SendRequest<Bytes> {
        self.line.sender()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let state = &self.line.state;
        if state.streams.fetch_sub(1, Ordering::AcqRel) == 1 {
            *state.idle.lock() = Stopwatch::start();
        }
    }
}

#[cfg(test)]
mod tests;
