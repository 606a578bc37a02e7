//! What comes on a connection before a request is known: first bytes, a version of HTTP, a head, each within its
//! time and size.
//!
//! Not here: what is done with it (`connection.rs`), what a head must look like (`raw_head.rs`).

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use gateway_policy::{Bounds, ProblemCode};
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use pingora::time::timeout;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use crate::arrival::WireFacts;
use crate::raw_head::{HeadBounds, HeadFault, Scan, scan};

/// How long a connection may idle between two requests.
pub(crate) const IDLE: Duration = Duration::from_secs(75);
/// What is read of a connection at a time.
pub(crate) const READ_BYTES: usize = 4 << 10;
/// How a client begins that speaks HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How a client begins.
pub(crate) enum Opening {
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

/// What a client begins with where it may speak either version; `None` when it has gone.
///
/// Read into a buffer of our own: Pingora's look at what waits on a connection has no end in
/// time, and loses bytes when it is given up.
pub(crate) async fn opening(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    header_time: Duration,
    shutdown: &ShutdownWatch,
) -> Option<Opening> {
    if buffer.is_empty() {
        match first_bytes(stream, buffer, shutdown).await {
            First::Bytes => {}
            First::Stopped => return Some(Opening::Stopped),
            First::Gone => return None,
        }
    }
    let deadline = Instant::now() + header_time;
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

/// A head that has been read.
pub(crate) struct Head {
    pub(crate) wire: WireFacts,
    pub(crate) bytes: usize,
    /// A chunked body follows.
    pub(crate) chunked: bool,
}

pub(crate) enum HeadRead {
    Whole(Head),
    /// The process stops, and nothing of a request came.
    Stopped,
    Gone,
    Refused(ProblemCode),
}

/// Reads until the head is whole: any time for its first byte, `header_time` from then on.
pub(crate) async fn read_head(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    deadline: Option<Instant>,
    bounds: &Bounds,
    shutdown: &ShutdownWatch,
) -> HeadRead {
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
    let deadline =
        deadline.unwrap_or_else(|| Instant::now() + Duration::from_millis(bounds.header_time_ms));
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

fn code_of(fault: HeadFault) -> ProblemCode {
    match fault {
        HeadFault::TargetTooLong => ProblemCode::TargetTooLong,
        HeadFault::HeadersTooLarge => ProblemCode::HeadersTooLarge,
        HeadFault::BadRequest { .. } | HeadFault::Expectation => ProblemCode::BadRequest,
    }
}

/// What a wait for a request ended with.
pub(crate) enum First {
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
    // Without a sender it is as if it did.
    let _ = shutdown.wait_for(|stops| *stops).await;
}
