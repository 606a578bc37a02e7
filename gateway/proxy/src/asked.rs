//! A request written, and its answer's head read, over HTTP/1.
//!
//! Not here: the same over HTTP/2 (`h2_exchange`), what is made of a failure (`reach`).

use bytes::Bytes;
use http::StatusCode;
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::time::timeout;
use pingora::{ErrorType, RetryType};

use crate::upstreams::Timeouts;
use crate::watched::{FramingFault, answer_begins};

/// Heads that one answer may have, interim ones (RFC 9110 §15.2) included.
pub(crate) const HEADS_MAX: usize = 17;
/// Most bytes of them together, where there are several. One alone is bounded by Pingora.
const HEADS_BYTES_MAX: usize = 64 << 10;

/// What came of writing a request.
pub(crate) struct Asked {
    pub(crate) status: StatusCode,
    pub(crate) sent_whole: bool,
    pub(crate) framing: Result<(), FramingFault>,
}

/// Why a request got no answer's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// The connection ended; `silently` where not one byte had come.
    Died {
        silently: bool,
    },
    /// The request alone was given up by the server, without an answer (HTTP/2).
    Reset,
    /// The server has said, or it is plain, that it did nothing of the request (HTTP/2).
    Unprocessed(Because),
    Slow,
}

/// How it is known that a request was not processed (RFC 9113 §8.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    /// `REFUSED_STREAM`.
    Refused,
    /// The connection takes no more requests, which is nobody's failure.
    Leaving,
}

/// Writes the request and reads the first final head, which must come whole within `first_byte`.
pub(crate) async fn asked(
    session: &mut HttpSession,
    timeouts: Timeouts,
    head: Box<RequestHeader>,
    body: &Option<Bytes>,
) -> Result<Asked, Unasked> {
    session.write_timeout = Some(timeouts.idle);
    session.write_request_header(head).await.map_err(|error| unasked(&error, true))?;
    let mut sent_whole = true;
    // An upstream may answer before it has read all; its answer counts, not the failed write.
    if let Some(body) = body.as_ref().filter(|body| !body.is_empty()) {
        sent_whole &= session.write_body(body).await.is_ok();
    }
    sent_whole &= session.finish_body().await.is_ok();
    let (mut heads, mut heads_bytes) = (0, 0);
    let final_head = async {
        loop {
            let silent_so_far = heads_bytes == 0;
            session.read_response().await.map_err(|error| unasked(&error, silent_so_far))?;
            heads_bytes += session.get_headers_raw_bytes().len();
            heads += 1;
            if heads > HEADS_MAX || (heads > 1 && heads_bytes > HEADS_BYTES_MAX) {
                return Err(Unasked::Died { silently: false });
            }
            let status = session.get_status().unwrap_or(StatusCode::BAD_GATEWAY);
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(status);
            }
        }
    };
    let status = timeout(timeouts.first_byte, final_head).await;
    let status = status.unwrap_or(Err(Unasked::Slow))?;
    Ok(Asked { status, sent_whole, framing: answer_begins(session, heads_bytes) })
}

fn unasked(error: &pingora::Error, silent_so_far: bool) -> Unasked {
    match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => Unasked::Slow,
        _ => Unasked::Died { silently: silent_so_far && died_silently(error) },
    }
}

/// How Pingora ends its words on a read that failed before anything had come.
const NOTHING_READ: &str = "bytes already read: 0";

/// Whether a connection ended without a byte of the head that was awaited. Pingora marks what a reused
/// connection may be excused for, but says only in words how much had arrived; other words are
/// not taken for silence.
fn died_silently(error: &pingora::Error) -> bool {
    match error.etype() {
        ErrorType::WriteError => true,
        ErrorType::ConnectionClosed | ErrorType::ReadError => {
            matches!(error.retry, RetryType::ReusedOnly)
                && error
                    .context
                    .as_ref()
                    .is_some_and(|words| words.as_str().ends_with(NOTHING_READ))
        }
        _ => false,
    }
}
