//! The HTTP/1 connections of one upstream that are kept between requests.
//!
//! A kept connection waits in a stack of its address. Of those used last one that the same thread opened
//! goes out first: the others get old and go. Nobody watches it meanwhile. Before its next use the
//! kernel is asked whether it lives and has said nothing, so a connection that was closed before a
//! request costs that request nothing. What dies or gets old where no request comes by is dropped by
//! [`Pool::sweep`].
//!
//! Pingora's own pool starts a task for each kept connection, and loses the connection whose task is
//! late in letting go.
//!
//! An upstream that is found to have said something unasked is not trusted for a while: none of its
//! connections is kept. What it says between that look and the next request cannot be told from an answer.
//!
//! Not here: new connections (`dial`), shared ones (`h2_lines`), whether another request may follow on a
//! connection (`answer`), repeats (`reach`).
//!
//! Cost: a lock for a push or a pop, two readings of the monotonic clock and one `recv`; a look of the
//! sweep holds the lock for one `recv`. A connection stays with the runtime that opened it; on another
//! thread each arrival costs a wake-up.
//!
//! Sources: RFC 9112 §9.3 and §9.6 (persistence, closing), RFC 2068 §19.7.1.1 (`Keep-Alive`).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::header::{self, HeaderName};
use http::{HeaderMap, StatusCode};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use parking_lot::Mutex;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::protocols::{Ssl, UniqueID};
use pingora::upstreams::peer::{HttpPeer, Peer};
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::task::unconstrained;

use crate::clock::Stopwatch;
use crate::dial::Dialer;
use crate::upstreams::UpstreamSpec;
use crate::watched::Watched;

/// How long a connection may idle where the upstream does not say. Below what servers commonly keep
/// (nginx: 75 s); of those that keep less and say so (Node: 5 s), see [`lasts`].
const IDLE_MAX: Duration = Duration::from_secs(55);
/// What is used of each second that an upstream says it keeps idle connections. It begins to count
/// when it has sent, and closes while a request is under way to it.
const IDLE_OF_A_SECOND: Duration = Duration::from_millis(750);
/// Kept connections that one request looks at before it opens its own.
const LOOKS_MAX: usize = 64;

/// Kept connections, those used last, among which one that this thread opened is preferred.
const HOME_LOOKS_MAX: usize = 8;

/// For how long no connection is kept to an upstream that spoke without being asked.
const DISTRUST: Duration = Duration::from_secs(60);

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// The upstream's own connections, idle ones kept: one upstream's load cannot push out another's.
pub(crate) struct Pool {
    dialer: Dialer,
    idle: Mutex<Vec<Stack>>,
    /// Most connections that idle at all addresses together.
    idle_max: usize,
    /// When the upstream spoke last without being asked.
    distrusted: Mutex<Option<Stopwatch>>,
    /// The upstream's name.
    upstream: String,
}

/// Idle connections to one address, the one used last at the back.
struct Stack {
    address: SocketAddr,
    kept: VecDeque<Kept>,
}

/// An idle connection that owes no answer.
struct Kept {
    connection: Box<Watched>,
    since: Stopwatch,
    lasts: Duration,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

impl Pool {
    pub(crate) fn new(spec: &UpstreamSpec) -> Pool {
        Pool {
            dialer: Dialer::new(spec),
            idle: Mutex::default(),
            idle_max: spec.connections_max,
            distrusted: Mutex::default(),
            upstream: spec.name.clone(),
        }
    }

    /// The kept connection that was used last, if one lives and has said nothing since.
    pub(crate) fn take(&self, peer: &HttpPeer) -> Option<HttpSession> {
        let address = *peer.address().as_inet()?;
        for _ in 0..LOOKS_MAX {
            let kept = pop(&mut self.idle.lock(), address)?;
            match kept.state() {
                State::Sound => {
                    kept.connection.await_heads();
                    return Some(HttpSession::new_with_options(kept.connection, peer));
                }
                State::Gone => {}
                State::Spoke => self.distrust(&kept.connection),
            }
        }
        None
    }

    /// Opens new connections, whatever is kept.
    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// Keeps a connection for the next request; drops it where its answer did not end cleanly, or was
    /// one behind which a faulty upstream writes a body that nobody reads.
    pub(crate) fn keep(&self, peer: &HttpPeer, mut session: HttpSession) {
        session.respect_keepalive();
        let Some(head) = session.resp_header() else { return };
        if says_close(&head.headers) || may_be_followed_by_a_body(head.status, &head.headers) {
            return;
        }
        let lasts = lasts(&head.headers);
        // Does not wait for anything where the connection may be used again, and else is given up.
        let reused = pin!(session.reuse()).poll(&mut Context::from_waker(Waker::noop()));
        let (Poll::Ready(Some(stream)), Some(address)) =
            (reused, peer.address().as_inet().copied())
        else {
            return;
        };
        let Some(mut connection) = Watched::of(stream) else { return };
        acknowledge(&connection);
        match spoken_above(&mut connection) {
            State::Sound if !self.is_distrusted() => {
                let kept = Kept { connection, since: Stopwatch::start(), lasts };
                // What had to make room is closed behind the lock.
                let _pushed_out = push(&mut self.idle.lock(), address, kept, self.idle_max);
            }
            State::Spoke => self.distrust(&connection),
            State::Sound | State::Gone => {}
        }
    }

    /// Closes idle connections until one more beside `in_flight` is within the bound of all.
    pub(crate) fn make_room(&self, in_flight: usize) {
        // Declared before the lock, so that they are closed behind it.
        let mut closed = Vec::new();
        let mut idle = self.idle.lock();
        while idle_count(&idle) + in_flight > self.idle_max
            && let Some(oldest) = oldest_of_fullest(&mut idle)
        {
            closed.push(oldest);
        }
    }

    /// The upstream spoke when it owed no answer. What it says next might be taken for the answer to
    /// another request, so for a while each request has a connection of its own.
    ///
    /// Nothing is concluded under TLS, where a ticket or the end of the session speaks too.
    fn distrust(&self, connection: &Watched) {
        if connection.get_ssl().is_some() || connection.get_ssl_digest().is_some() {
            return;
        }
        if !self.is_distrusted() {
            tracing::warn!(
                upstream = self.upstream,
                seconds = DISTRUST.as_secs(),
                "spoke without being asked; its connections are not kept for a while"
            );
        }
        *self.distrusted.lock() = Some(Stopwatch::start());
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle);
    }

    fn is_distrusted(&self) -> bool {
        self.distrusted.lock().is_some_and(|since| since.elapsed() < DISTRUST)
    }

    /// Drops what died or got old. One look at a time, so that requests need not wait for all.
    pub(crate) fn sweep(&self) {
        let (mut stack, mut place) = (0, 0);
        loop {
            let mut idle = self.idle.lock();
            let Some(of_address) = idle.get_mut(stack) else { break };
            let Some(kept) = of_address.kept.get(place) else {
                (stack, place) = (stack + 1, 0);
                continue;
            };
            let state = kept.state();
            if state == State::Sound {
                place += 1;
                continue;
            }
            let gone = of_address.kept.remove(place);
            drop(idle);
            if let (State::Spoke, Some(gone)) = (state, &gone) {
                self.distrust(&gone.connection);
            }
        }
        self.idle.lock().retain(|stack| !stack.kept.is_empty());
    }
}

/// The connection used last, or one soon before it that this thread opened.
fn pop(idle: &mut [Stack], address: SocketAddr) -> Option<Kept> {
    let kept = &mut idle.iter_mut().find(|stack| stack.address == address)?.kept;
    let last = kept.len().checked_sub(1)?;
    let mut newest = kept.iter().rev().take(HOME_LOOKS_MAX);
    kept.remove(last - newest.position(|kept| kept.connection.is_at_home()).unwrap_or(0))
}

/// Puts a connection on top. Where `idle_max` are kept already, the address that has most of them
/// gives the oldest of its own.
fn push(idle: &mut Vec<Stack>, address: SocketAddr, kept: Kept, idle_max: usize) -> Option<Kept> {
    let mut pushed_out = None;
    if idle_count(idle) >= idle_max {
        pushed_out = oldest_of_fullest(idle);
    }
    match idle.iter_mut().find(|stack| stack.address == address) {
        Some(stack) => stack.kept.push_back(kept),
        None => idle.push(Stack { address, kept: VecDeque::from([kept]) }),
    }
    pushed_out
}

fn idle_count(idle: &[Stack]) -> usize {
    idle.iter().map(|stack| stack.kept.len()).sum()
}

/// The address that has most gives the one that was used longest ago.
fn oldest_of_fullest(idle: &mut [Stack]) -> Option<Kept> {
    idle.iter_mut().max_by_key(|stack| stack.kept.len())?.kept.pop_front()
}

/// What became of an idle connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sound,
    /// Closed, or too old.
    Gone,
    /// Something waits on it that nobody asked for.
    Spoke,
}

impl Kept {
    fn state(&self) -> State {
        match spoken(&self.connection) {
            State::Sound if self.since.elapsed() >= self.lasts => State::Gone,
            state => state,
        }
    }
}

/// Whether something waits to be read from a connection that owes no answer, its end perhaps.
///
/// Whatever waits there, a forged answer above all, would be taken for the answer to the next
/// request. A look through tokio would show what tokio has noticed so far; this asks the kernel.
fn spoken(connection: &Watched) -> State {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    match recv(connection.id(), &mut [0], flags) {
        Err(Errno::EAGAIN) => State::Sound,
        Ok(1..) => State::Spoke,
        Ok(0) | Err(_) => State::Gone,
    }
}

/// Has the kernel acknowledge at once what has come. It would do so with the next request, and a server
/// that writes more than its answer would be made to hold the rest back until then (Nagle's
/// algorithm, RFC 1122 §4.2.3.2 and §4.2.3.4): behind every look that is taken here.
#[allow(unsafe_code)]
fn acknowledge(connection: &Watched) {
    // SAFETY: the descriptor is open while the connection lives, which is borrowed for longer.
    let socket = unsafe { BorrowedFd::borrow_raw(connection.id()) };
    // Where it fails the connection has ended, which the next look shows.
    let _ = SockRef::from(&socket).set_tcp_quickack(true);
}

/// Whether any of the lines says that the upstream closes. Pingora reads one.
fn says_close(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::CONNECTION).iter();
    let mut options = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// Answers that have no body, whatever their head says, and that faulty upstreams send one behind.
fn may_be_followed_by_a_body(status: StatusCode, headers: &HeaderMap) -> bool {
    match status {
        StatusCode::NOT_MODIFIED => true,
        StatusCode::NO_CONTENT => {
            headers.contains_key(header::TRANSFER_ENCODING)
                || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        }
        _ => false,
    }
}

/// The same of the buffers above the kernel, where [`spoken`] does not look.
fn spoken_above(connection: &mut Watched) -> State {
    let mut byte = [0];
    // A task that has used up its turn would be told that nothing is there.
    let read = pin!(unconstrained(connection.read(&mut byte)));
    match read.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => State::Sound,
        Poll::Ready(Ok(1..)) => State::Spoke,
        Poll::Ready(_) => State::Gone,
    }
}

/// How long the connection of this answer may idle.
fn lasts(headers: &HeaderMap) -> Duration {
    let lines = headers.get_all(KEEP_ALIVE).iter().filter_map(|line| line.to_str().ok());
    let stated = lines.flat_map(|line| line.split(',')).filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let seconds: u32 = value.trim().parse().ok()?;
        name.trim().eq_ignore_ascii_case("timeout").then_some(IDLE_OF_A_SECOND * seconds)
    });
    stated.fold(IDLE_MAX, Duration::min)
}

#[cfg(test)]
mod tests;
