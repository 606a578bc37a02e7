//! A connection to an upstream in use, or the stream of one that is shared.
//!
//! The one place that knows both versions of HTTP on the way up. What is asked of a session is decided by a match on
//! two variants: nothing is boxed or called through a table for HTTP/1.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use pingora::ErrorType;
use pingora::protocols::http::v1::client::HttpSession;

use crate::answer::BodyFault;
use crate::h2_exchange::Http2Exchange;
use crate::h2_lines::Serial;

/// Whom an answer is read from.
#[expect(clippy::large_enum_variant, reason = "an allocation less for each request over HTTP/1")]
pub(crate) enum Session {
    Http1(HttpSession),
    Http2(Box<Http2Exchange>),
}

impl Session {
    /// Longest time between two pieces of a body.
    pub(crate) fn wait_for_pieces(&mut self, idle: Duration) {
        match self {
            Session::Http1(session) => session.read_timeout = Some(idle),
            Session::Http2(exchange) => exchange.wait_for_pieces(idle),
        }
    }

    /// The number of a shared connection.
    pub(crate) fn serial(&self) -> Serial {
        match self {
            Session::Http1(_) => Serial::default(),
            Session::Http2(exchange) => exchange.serial(),
        }
    }

    /// Of the final head.
    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        match self {
            Session::Http1(session) => Some(&session.resp_header()?.headers),
            Session::Http2(exchange) => exchange.headers(),
        }
    }

    /// The next piece of the body where it was read, or the end. The one before is done with.
    pub(crate) async fn piece_in_place(&mut self) -> Result<Option<&[u8]>, BodyFault> {
        match self {
            Session::Http1(session) => {
                session.read_body_ref().await.map_err(|error| match error.etype() {
                    ErrorType::ReadTimedout => BodyFault::Slow,
                    _ => BodyFault::Broken,
                })
            }
            Session::Http2(exchange) => Ok(exchange.piece().await?.map(|piece| piece.as_ref())),
        }
    }

    /// The same to keep.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, BodyFault> {
        match self {
            Session::Http1(_) => Ok(self.piece_in_place().await?.map(Bytes::copy_from_slice)),
            Session::Http2(exchange) => Ok(exchange.piece().await?.cloned()),
        }
    }

    /// Whether nothing of the body is to come.
    pub(crate) fn is_body_done(&mut self) -> bool {
        match self {
            Session::Http1(session) => session.is_body_done(),
            Session::Http2(exchange) => exchange.is_body_done(),
        }
    }
}
