//! From a request to an upstream's answer whose head has been read.
//!
//! Tries again only where that cannot do harm: another server when one did not accept, a new
//! connection when a pooled one had died and the method may be repeated (RFC 9110 §9.2.2). No error
//! text of the upstream is kept: it may quote what the upstream sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_policy::ProblemCode;
use http::StatusCode;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::exchange::{Exchange, Failure, Fault};
use crate::head::Outbound;
use crate::relay::{Way, told};
use crate::upstream::{Picked, Upstream};
use crate::watched::{FramingFault, answer_begins, watched};

/// Tries over reused connections that turn out dead, and over servers that do not accept.
const TRIES_MAX: usize = 3;
/// Pooled connections that are passed over because something waits on them.
const POOLED_MAX: usize = 64;
/// What is read of an unwanted answer to keep its connection.
const DRAIN_BYTES_MAX: usize = 64 << 10;
const DRAIN_TIME: Duration = Duration::from_millis(200);

/// An upstream's answer whose head has been read.
pub(crate) struct Answer {
    session: HttpSession,
    picked: Picked,
    peer: HttpPeer,
    pub(crate) status: StatusCode,
    sent_whole: bool,
    framing: Result<(), FramingFault>,
    idle: Duration,
}

impl Answer {
    pub(crate) fn head(&self) -> Option<&ResponseHeader> {
        self.session.response_header()
    }

    /// Whether the answer's framing was found wrong before any of its body was read.
    pub(crate) fn is_misframed(&self) -> bool {
        self.framing.is_err()
    }

    /// The next piece of the body, or its end.
    pub(crate) async fn piece(
        &mut self,
        exchange: &mut Exchange,
    ) -> Result<Option<Bytes>, BodyFault> {
        let began = Stopwatch::start();
        let read = timeout(self.idle, self.session.read_response_body()).await;
        exchange.upstream_us += began.elapsed().as_micros() as u64;
        match read {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(_)) => Err(BodyFault::Broken),
            Err(_) => Err(BodyFault::Slow),
        }
    }

    /// Closes the connection.
    pub(crate) async fn close(mut self) {
        self.session.shutdown().await;
    }

    pub(crate) fn is_error(&self) -> bool {
        self.status.is_client_error() || self.status.is_server_error()
    }

    /// Gives the connection back; Pingora closes it unless its answer has ended cleanly.
    pub(crate) async fn release(self) {
        if !self.sent_whole || self.is_misframed() {
            return self.close().await;
        }
        let idle = self.peer.options.idle_timeout;
        self.picked.connector().release_http_session(self.session, &self.peer, idle).await;
    }

    pub(crate) async fn release_drained(mut self) {
        let drain = async {
            let mut seen = 0;
            while let Ok(Some(piece)) = self.session.read_response_body().await {
                seen += piece.len();
                if seen > DRAIN_BYTES_MAX {
                    return false;
                }
            }
            self.session.response_done()
        };
        if timeout(DRAIN_TIME, drain).await.unwrap_or(false) {
            self.release().await;
        } else {
            self.session.shutdown().await;
        }
    }
}

/// Why an answer's body stopped coming.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BodyFault {
    Broken,
    Slow,
}

/// Why no answer's head came.
struct Unreached {
    problem: ProblemCode,
    /// Nothing can have reached the application behind the upstream.
    untouched: bool,
    /// A pooled connection that had died meanwhile.
    stale: bool,
}

/// Sends the request and reads the answer's head; tries again where that cannot do harm.
pub(crate) async fn reach(
    way: &Way<'_>,
    exchange: &mut Exchange,
    upstream: &Arc<Upstream>,
    body: Option<Bytes>,
) -> Result<Answer, Failure> {
    let repeatable =
        matches!(way.arrival.head.method.as_str(), "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS");
    let mut tried = Vec::new();
    let mut last = ProblemCode::UpstreamUnavailable;
    for _ in 0..TRIES_MAX {
        let Some(picked) = upstream.pick(&tried) else { break };
        let index = picked.index;
        let began = Stopwatch::start();
        let result = attempt(way, exchange, picked, upstream, body.clone()).await;
        exchange.upstream_us += began.elapsed().as_micros() as u64;
        match result {
            Ok(answer) => return Ok(answer),
            Err(Unreached { problem, untouched, stale }) => {
                last = problem;
                if !(untouched || (stale && repeatable)) {
                    break;
                }
                if untouched && tried.len() + 1 < upstream.servers() {
                    tried.push(index);
                } else if !stale {
                    break;
                }
            }
        }
    }
    Err(told(
        last,
        if last == ProblemCode::InternalError { Fault::Gateway } else { Fault::Upstream },
    ))
}

async fn attempt(
    way: &Way<'_>,
    exchange: &Exchange,
    picked: Picked,
    upstream: &Arc<Upstream>,
    body: Option<Bytes>,
) -> Result<Answer, Unreached> {
    let timeouts = upstream.timeouts();
    let teams = &exchange.serving.snapshot.rules.teams;
    let outbound = Outbound {
        admission: way.admission,
        arrival: way.arrival,
        body_bytes: body.as_ref().map(Bytes::len),
        exchange,
        team_header: teams.header.as_ref(),
    };
    let unwritable =
        |_| Unreached { problem: ProblemCode::InternalError, untouched: false, stale: false };
    let head = outbound.build(picked.host()).map_err(unwritable)?;
    let peer = picked.peer();
    let (mut session, reused) = connected(upstream, &peer).await.map_err(|error| Unreached {
        problem: code_of(&error),
        untouched: true,
        stale: false,
    })?;
    session.set_read_timeout(Some(timeouts.first_byte));
    session.set_write_timeout(Some(timeouts.idle));
    match timeout(timeouts.first_byte + timeouts.idle, asked(&mut session, head, body)).await {
        Ok(Ok(Asked { status, sent_whole, framing })) => {
            session.set_read_timeout(Some(timeouts.idle));
            Ok(Answer { session, picked, peer, status, idle: timeouts.idle, sent_whole, framing })
        }
        Ok(Err(error)) => {
            session.shutdown().await;
            let stale = reused && is_closed(&error);
            Err(Unreached { problem: code_of(&error), untouched: false, stale })
        }
        Err(_) => {
            session.shutdown().await;
            Err(Unreached { problem: ProblemCode::UpstreamTimeout, untouched: false, stale: false })
        }
    }
}

/// A connection that nothing has been said on since its last answer; the flag tells a pooled one.
///
/// Whatever waits on an idle connection, a forged answer above all, would be taken for the answer
/// to the next request. Pingora's own look asks what tokio has noticed so far; this asks the kernel.
async fn connected(upstream: &Upstream, peer: &HttpPeer) -> pingora::Result<(HttpSession, bool)> {
    for _ in 0..POOLED_MAX {
        let (session, reused) = upstream.connector().get_http_session(peer).await?;
        let mut session = watched(session, peer);
        if !reused || is_silent(&session) {
            return Ok((session, reused));
        }
        session.shutdown().await;
    }
    pingora::Error::e_explain(
        pingora::ErrorType::ConnectError,
        "every pooled connection had spoken",
    )
}

fn is_silent(session: &HttpSession) -> bool {
    let Some(stream) = session.stream() else { return false };
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    matches!(recv(stream.id(), &mut [0], flags), Err(Errno::EAGAIN))
}

/// What came of writing a request.
struct Asked {
    status: StatusCode,
    /// Otherwise the upstream still waits for a body, and would take the next request for it.
    sent_whole: bool,
    framing: Result<(), FramingFault>,
}

/// Writes the request and reads the first final head.
async fn asked(
    session: &mut HttpSession,
    head: Box<RequestHeader>,
    body: Option<Bytes>,
) -> pingora::Result<Asked> {
    session.write_request_header(head).await?;
    let mut sent_whole = true;
    // An upstream may answer before it has read all; its answer counts, not the failed write.
    if let Some(body) = body.filter(|body| !body.is_empty()) {
        sent_whole &= session.write_request_body(body, true).await.is_ok();
    }
    sent_whole &= session.finish_request_body().await.is_ok();
    let mut heads_bytes = 0;
    loop {
        session.read_response_header().await?;
        heads_bytes +=
            session.as_http1().map_or(0, |session| session.get_headers_raw_bytes().len());
        let status = session.response_header().map_or(StatusCode::BAD_GATEWAY, |head| head.status);
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            let framing = answer_begins(session, heads_bytes);
            return Ok(Asked { status, sent_whole, framing });
        }
    }
}

fn is_closed(error: &pingora::Error) -> bool {
    use pingora::ErrorType as T;
    matches!(error.etype(), T::ConnectionClosed | T::ReadError | T::WriteError)
}

fn code_of(error: &pingora::Error) -> ProblemCode {
    use pingora::ErrorType as T;
    match error.etype() {
        T::ReadTimedout | T::WriteTimedout | T::ConnectTimedout | T::TLSHandshakeTimedout => {
            ProblemCode::UpstreamTimeout
        }
        _ => ProblemCode::UpstreamUnavailable,
    }
}
