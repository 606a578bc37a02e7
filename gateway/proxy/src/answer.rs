//! An upstream's answer under way, and what becomes of its connection.
//!
//! The connection and the place it takes are given back the moment the answer's body has ended, not
//! when the client has read it: a client that stalls costs its own memory, not the upstream's places.
//! An exchange that is given up is dropped with its connection: to close TLS in form is to write, and an
//! upstream that does not read would keep its place as long as it likes.
//! A connection goes back to its pool only after a cleanly framed answer; a shared one never left it, and of
//! that the stream alone is dropped.
//!
//! Not here: how the answer was got (`reach`), what is done with its bytes (`carry`), when a kept
//! connection is used again (`pool`).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pingora::time::timeout;

use crate::clock::waited;
use crate::exchange::Exchange;
use crate::session::Session;
use crate::upstream::{Permit, Picked};
use crate::watched::FramingFault;

/// What is read of an unwanted answer to keep its connection.
const DRAIN_BYTES_MAX: usize = 64 << 10;
const DRAIN_TIME: Duration = Duration::from_millis(200);

/// An upstream's answer whose head has been read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// `None` once it is given back: the body has ended.
    line: Option<Line>,
}

/// A connection in use, and its place at the upstream.
pub(crate) struct Line {
    pub(crate) session: Session,
    pub(crate) picked: Picked,
    pub(crate) permit: Permit,
    /// Otherwise the upstream still waits for a body, and would take the next request for it.
    pub(crate) sent_whole: bool,
    /// HEAD was asked for: an upstream that answers with a body all the same does it behind the head.
    pub(crate) asked_head: bool,
    /// Of the answer, as its head and what came with it show it.
    pub(crate) framing: Result<(), FramingFault>,
}

/// Why an answer's body stopped coming.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BodyFault {
    Broken,
    Slow,
}

impl Answer {
    /// `line` has read the head of `status`, and waits for pieces of the body no longer than `idle`.
    pub(crate) fn new(status: StatusCode, mut line: Line, idle: Duration) -> Answer {
        line.session.wait_for_pieces(idle);
        Answer { status, line: Some(line) }
    }

    /// The upstream's headers; `None` once the body has ended.
    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        self.line.as_ref()?.session.headers()
    }

    /// Whether the answer's framing was found wrong before any of its body was read.
    pub(crate) fn is_misframed(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.framing.is_err())
    }

    /// The next piece of the body, or its end, when connection and place are given back.
    pub(crate) async fn piece(
        &mut self,
        exchange: &mut Exchange,
    ) -> Result<Option<Bytes>, BodyFault> {
        let Some(line) = &mut self.line else { return Ok(None) };
        let (read, spent) = waited(line.session.piece()).await;
        exchange.upstream_us += spent.as_micros() as u64;
        self.give_back_if_ended();
        read
    }

    /// The next piece of the body where the connection has read it, or its end. Call
    /// [`Answer::give_back_if_ended`] when done with it.
    pub(crate) async fn piece_in_place<'a>(
        &'a mut self,
        exchange: &mut Exchange,
    ) -> Result<Option<&'a [u8]>, BodyFault> {
        let Some(line) = &mut self.line else { return Ok(None) };
        let (read, spent) = waited(line.session.piece_in_place()).await;
        exchange.upstream_us += spent.as_micros() as u64;
        exchange.hears(None);
        read
    }

    /// Gives back connection and place if nothing of the body is to come.
    pub(crate) fn give_back_if_ended(&mut self) {
        if let Some(line) = self.line.take_if(|line| line.session.is_body_done()) {
            line.give_back();
        }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.status.is_client_error() || self.status.is_server_error()
    }

    /// Reads away the little that an error's body has left, to keep its connection.
    pub(crate) async fn give_back_drained(self) {
        let Some(mut line) = self.line else { return };
        if let Session::Http2(_) = line.session {
            // The connection is well without: the stream is reset.
            return;
        }
        let drain = async {
            let mut seen = 0;
            while let Ok(Some(piece)) = line.session.piece_in_place().await {
                seen += piece.len();
                if seen > DRAIN_BYTES_MAX {
                    return false;
                }
            }
            line.session.is_body_done()
        };
        if timeout(DRAIN_TIME, drain).await.unwrap_or(false) {
            line.give_back();
        }
    }
}

impl Line {
    /// Into the pool if another request may follow here. The place is free after it.
    fn give_back(self) {
        match self.session {
            Session::Http1(session)
                if self.sent_whole && self.framing.is_ok() && !self.asked_head =>
            {
                self.picked.release(session);
            }
            // A shared connection is kept by those who share it.
            Session::Http1(_) | Session::Http2(_) => {}
        }
        drop(self.permit);
    }
}
