//! From a request to an upstream's answer whose head has been read.
//!
//! Tries again only where that cannot do harm. A server that does not accept has seen nothing, so
//! another one is asked, whatever the method. A kept connection that dies under a request, before one
//! byte of an answer, is a different matter, since the upstream may have acted: then a request whose
//! method may be repeated (RFC 9110 §9.2.2) goes up once more, over a new connection, within the budget
//! that the upstream's `retries` allow. With that spent such a request takes no kept connection, so
//! that an upstream that drops its connections costs connections, not answers. Nothing is ever sent a
//! third time. No error text of the upstream is kept: it may quote what the upstream sent.
//!
//! Not here: connections that were dead before a request, which are never used (`pool`).

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use gateway_policy::ProblemCode;
use http::{Method, StatusCode};
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::time::timeout;
use pingora::{ErrorType, RetryType};

use crate::answer::{Answer, Line};
use crate::clock::waited;
use crate::exchange::{Exchange, Failure, Fault};
use crate::head::{Outbound, method_up};
use crate::relay::{Way, told};
use crate::upstream::{Permit, Picked, Upstream};
use crate::watched::{FramingFault, answer_begins};

/// Servers that are asked to accept one request.
const SERVERS_MAX: usize = 3;

/// Heads that one answer may have, interim ones (RFC 9110 §15.2) included.
const HEADS_MAX: usize = 17;
/// Most bytes of them together, where there are several. One alone is bounded by Pingora.
const HEADS_BYTES_MAX: usize = 64 << 10;

/// Why no answer's head came.
enum Unreached {
    /// The server did not accept; nothing of the request was sent.
    NotAccepted(ProblemCode),
    /// A kept connection died before a byte of an answer.
    Stale,
    Failed(ProblemCode),
}

/// Which connection a try may take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    AnyKept,
    New,
}

/// Sends the request and reads the answer's head; tries again where that cannot do harm.
pub(crate) async fn reach(
    way: &Way<'_>,
    exchange: &mut Exchange,
    upstream: &Arc<Upstream>,
    permit: Permit,
    body: Option<Bytes>,
) -> Result<Answer, Failure> {
    let method = method_up(way.arrival, way.admission);
    let (repeatable, asked_head) = (may_be_repeated(method), *method == Method::HEAD);
    // A kept connection is a risk that the budget covers; when it is spent, none is taken.
    let mut connection = if repeatable && upstream.has_spent_its_repeats() {
        Connection::New
    } else {
        Connection::AnyKept
    };
    let mut refused = Vec::new();
    let mut last = ProblemCode::UpstreamUnavailable;
    while refused.len() < SERVERS_MAX {
        let Some(picked) = upstream.pick(&refused) else { break };
        let index = picked.index;
        let (result, spent) = {
            // Pinned where it is made, for its size.
            let attempt = pin!(attempt(way, exchange, &picked, upstream, connection, &body));
            waited(attempt).await
        };
        exchange.upstream_us += spent.as_micros() as u64;
        match result {
            Ok((session, Asked { status, sent_whole, framing })) => {
                let line = Line { session, picked, permit, sent_whole, asked_head, framing };
                return Ok(Answer::new(status, line, upstream.timeouts().idle));
            }
            Err(Unreached::NotAccepted(problem)) => {
                last = problem;
                refused.push(index);
            }
            // Only a kept connection is stale, and the repeat never takes one: this happens once.
            Err(Unreached::Stale) if repeatable && upstream.may_repeat() => {
                connection = Connection::New;
            }
            Err(Unreached::Stale) => break,
            Err(Unreached::Failed(problem)) => {
                last = problem;
                break;
            }
        }
    }
    let ours = last == ProblemCode::InternalError;
    Err(told(last, if ours { Fault::Gateway } else { Fault::Upstream }))
}

/// Whether a request of this method means the same once or twice (RFC 9110 §9.2.2).
fn may_be_repeated(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS)
}

async fn attempt(
    way: &Way<'_>,
    exchange: &Exchange,
    picked: &Picked,
    upstream: &Upstream,
    connection: Connection,
    body: &Option<Bytes>,
) -> Result<(HttpSession, Asked), Unreached> {
    let outbound = Outbound {
        admission: way.admission,
        arrival: way.arrival,
        body_bytes: body.as_ref().map(Bytes::len),
        exchange,
        team_header: exchange.serving.snapshot.rules.teams.header.as_ref(),
    };
    let head =
        outbound.build(picked.host()).map_err(|_| Unreached::Failed(ProblemCode::InternalError))?;
    let (mut session, reused) = connected(picked, connection)
        .await
        .map_err(|error| Unreached::NotAccepted(code_of(&error)))?;
    session.write_timeout = Some(upstream.timeouts().idle);
    match asked(&mut session, upstream, head, body).await {
        Ok(asked) => Ok((session, asked)),
        Err(error) => Err(match error {
            Unasked::Died { silently: true } if reused => Unreached::Stale,
            Unasked::Died { .. } => Unreached::Failed(ProblemCode::UpstreamUnavailable),
            Unasked::Slow => Unreached::Failed(ProblemCode::UpstreamTimeout),
        }),
    }
}

/// A connection to write on; the flag tells a kept one.
async fn connected(
    picked: &Picked,
    connection: Connection,
) -> pingora::Result<(HttpSession, bool)> {
    let kept = if connection == Connection::AnyKept { picked.take_kept() } else { None };
    match kept {
        Some(session) => Ok((session, true)),
        None => Ok((picked.connect_anew().await?, false)),
    }
}

/// What came of writing a request.
struct Asked {
    status: StatusCode,
    sent_whole: bool,
    framing: Result<(), FramingFault>,
}

/// Why a request got no answer's head.
enum Unasked {
    /// The connection ended; `silently` where not one byte had come.
    Died {
        silently: bool,
    },
    Slow,
}

/// Writes the request and reads the first final head, which must come whole within `first_byte`.
async fn asked(
    session: &mut HttpSession,
    upstream: &Upstream,
    head: Box<RequestHeader>,
    body: &Option<Bytes>,
) -> Result<Asked, Unasked> {
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
    let status = timeout(upstream.timeouts().first_byte, final_head).await;
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

fn code_of(error: &pingora::Error) -> ProblemCode {
    match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => {
            ProblemCode::UpstreamTimeout
        }
        _ => ProblemCode::UpstreamUnavailable,
    }
}
