//! The HTTP/2 connections to one address, and which of them a request takes.
//!
//! The oldest that has room, so that those opened in a rush fall idle and go. Where none has, one request
//! opens another and the rest wait for it: they share its connection, or its failure.
//!
//! A server that agreed on HTTP/1.1 is believed to do so again, and nobody waits: each request has a connection of
//! its own there. Each new one asks again.
//!
//! Cost: a lock for each request, held for a look at the connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pingora::upstreams::peer::HttpPeer;
use tokio::sync::Mutex as Turn;

use crate::dial::{Dialed, Dialer, Unconnected};
use crate::h2_exchange::Http2Exchange;
use crate::h2_line::{Http2Line, Place};
use crate::session::Session;

/// Connections that streams share, to one address.
#[derive(Debug, Default)]
pub(crate) struct Http2Lines {
    open: Mutex<Open>,
    /// Who has it opens a connection.
    turn: Turn<()>,
    failure: Mutex<Failure>,
    speaks_http1: AtomicBool,
}

#[derive(Debug, Default)]
struct Open {
    /// In the order in which they were opened, which is that of their numbers.
    lines: Vec<(Serial, Arc<Http2Line>)>,
    last: Serial,
}

/// The number of a connection among those to an address; the first is greater than the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Serial(u64);

/// The last connection that did not come about.
#[derive(Debug, Default)]
struct Failure {
    count: u64,
    why: Option<Unconnected>,
}

impl Http2Lines {
    /// A stream on a connection that is open, if one that was opened after `behind` has room. Whoever was let
    /// down by one asks behind that.
    pub(crate) fn join(&self, behind: Serial) -> Option<Session> {
        // Closed behind the lock.
        let mut over = Vec::new();
        let mut open = self.open.lock();
        over.extend(open.lines.extract_if(.., |(_, line)| line.is_over()));
        let mut behind = open.lines.iter().filter(|(serial, _)| *serial > behind);
        behind.find_map(|(serial, line)| Some(session(line.enter()?, *serial)))
    }

    /// A stream or a connection of its own; the flag says that others use the connection already.
    pub(crate) async fn connect(
        &self,
        dialer: &Dialer,
        peer: &HttpPeer,
        behind: Serial,
    ) -> Result<(Session, bool), Unconnected> {
        if self.speaks_http1.load(Ordering::Relaxed) {
            return self.dial(dialer, peer).await;
        }
        let failures = self.failure.lock().count;
        let turn = self.turn.lock().await;
        if let Some(session) = self.join(behind) {
            return Ok((session, true));
        }
        let failed = {
            let failure = self.failure.lock();
            failure.why.filter(|_| failure.count != failures)
        };
        if let Some(why) = failed {
            return Err(why);
        }
        if self.speaks_http1.load(Ordering::Relaxed) {
            drop(turn);
        }
        self.dial(dialer, peer).await
    }

    async fn dial(&self, dialer: &Dialer, peer: &HttpPeer) -> Result<(Session, bool), Unconnected> {
        let dialed = dialer.dial(peer).await;
        if let Err(why) = dialed {
            let mut failure = self.failure.lock();
            *failure = Failure { count: failure.count + 1, why: Some(why) };
        }
        match dialed? {
            Dialed::Http1(session) => {
                self.speaks_http1.store(true, Ordering::Relaxed);
                Ok((Session::Http1(session), false))
            }
            Dialed::Http2(line) => {
                self.speaks_http1.store(false, Ordering::Relaxed);
                let line = Arc::new(line);
                // A server may allow no stream at all.
                let place = line.enter().ok_or(Unconnected::Refused)?;
                let mut open = self.open.lock();
                open.last = Serial(open.last.0 + 1);
                let serial = open.last;
                open.lines.push((serial, line));
                Ok((session(place, serial), false))
            }
        }
    }

    /// Connections that are open, idle ones included.
    pub(crate) fn count(&self) -> usize {
        self.open.lock().lines.len()
    }

    /// Closes up to so many idle connections, the newest first: the oldest are those that requests take.
    pub(crate) fn close_idle(&self, count: usize) -> usize {
        // Closed behind the lock.
        let mut closed = Vec::new();
        let mut open = self.open.lock();
        while closed.len() < count
            && let Some(place) = open.lines.iter().rposition(|(_, line)| line.is_idle())
        {
            closed.push(open.lines.remove(place));
        }
        drop(open);
        closed.len()
    }

    /// Drops connections that have ended or were idle for too long.
    pub(crate) fn sweep(&self) {
        let over: Vec<_> =
            self.open.lock().lines.extract_if(.., |(_, line)| line.is_over()).collect();
        drop(over);
    }
}

fn session(place: Place, serial: Serial) -> Session {
    Session::Http2(Box::new(Http2Exchange::on(place, serial)))
}
