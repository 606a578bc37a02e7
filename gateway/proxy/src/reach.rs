//! From a request to an upstream's answer whose head has been read.
//!
//! Tries again only where that cannot do harm. A server that does not accept has seen nothing, so
//! another one is asked, whatever the method. A connection that dies under a request, before one
//! byte of an answer, is a different matter, since the upstream may have acted: then a request whose
//! method may be repeated (RFC 9110 §9.2.2) goes up once more, over a new connection, to another server
//! if there is one, `max` times and within the budget that the upstream's `retries` allow. With that spent
//! such a request takes no kept connection, so that an upstream that drops its connections costs
//! connections, not answers. What is never idempotent is sent once. No error text of the upstream is
//! kept: it may quote what the upstream sent.
//!
//! What came of each try is told to the upstream (`Trial`), whose breaker and ejections live on it.
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
use crate::breaker::Pass;
use crate::clock::waited;
use crate::endpoint::Endpoint;
use crate::exchange::{Exchange, Failure, Fault};
use crate::head::{Outbound, method_up};
use crate::relay::{Way, told};
use crate::tally::Count;
use crate::upstream::{Permit, Picked, Symptom, Upstream};
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
    /// A connection died before a byte of an answer; a kept one may just have been too old.
    Silent {
        kept: bool,
    },
    /// Something came, and was no head.
    Broken,
    Slow,
    /// Our own fault: the request cannot be written.
    Unwritable,
}

impl Unreached {
    /// Whether not one byte came, so that the upstream may be away.
    fn is_silence(&self) -> bool {
        !matches!(self, Unreached::Broken | Unreached::Unwritable)
    }

    fn told(&self) -> Failure {
        match self {
            Unreached::NotAccepted(problem) => told(*problem, Fault::Upstream),
            Unreached::Silent { .. } | Unreached::Broken => {
                told(ProblemCode::UpstreamUnavailable, Fault::Upstream)
            }
            Unreached::Slow => told(ProblemCode::UpstreamTimeout, Fault::Upstream),
            Unreached::Unwritable => told(ProblemCode::InternalError, Fault::Gateway),
        }
    }
}

/// Which connection a try may take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    AnyKept,
    New,
}

/// A server that is being asked, and what has to be told to its upstream.
#[derive(Debug)]
pub(crate) struct Trial {
    endpoint: Arc<Endpoint>,
    pass: Pass,
}

impl Trial {
    /// Any answer is one: to refuse requests because a resource is answered with 503 would put our 503 in
    /// the place of the upstream's. Another server may do better all the same.
    fn answered(self, upstream: &Upstream, status: StatusCode) {
        match status {
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                upstream.server_failed(&self.endpoint, Symptom::Gateway);
            }
            _ => upstream.server_answered(&self.endpoint, self.pass),
        }
        upstream.request_answered(self.pass);
    }

    /// The server alone: another one may still answer.
    fn failed(self, upstream: &Upstream, unreached: &Unreached) {
        let symptom = match unreached {
            Unreached::Silent { kept: true } | Unreached::Unwritable => return,
            Unreached::NotAccepted(ProblemCode::UpstreamTimeout) | Unreached::Slow => Symptom::Slow,
            Unreached::NotAccepted(_) => Symptom::NotAccepted,
            Unreached::Silent { kept: false } | Unreached::Broken => Symptom::Died,
        };
        upstream.server_failed(&self.endpoint, symptom);
    }

    /// The whole exchange's time was over before a head came.
    pub(crate) fn ran_out_of_time(self, upstream: &Upstream) {
        upstream.server_failed(&self.endpoint, Symptom::Slow);
        upstream.request_failed(self.pass);
    }
}

/// Whom a request asked already, and what may still be tried.
struct Tries {
    /// Did not accept.
    refused: Vec<Arc<Endpoint>>,
    /// Took the request and died under it; another is better asked, and it itself if there is none.
    died: Option<Arc<Endpoint>>,
    connection: Connection,
    repeats_left: u32,
}

impl Tries {
    fn pick(&self, upstream: &Arc<Upstream>, pass: Pass) -> Option<Picked> {
        let Some(died) = &self.died else { return upstream.pick(pass, &self.refused) };
        let mut tried = self.refused.clone();
        tried.push(Arc::clone(died));
        upstream.pick(pass, &tried).or_else(|| upstream.pick(pass, &self.refused))
    }

    /// Whether one more try can do no harm, and may be made.
    fn go_on(&mut self, why: &Unreached, endpoint: Arc<Endpoint>, upstream: &Upstream) -> bool {
        match why {
            Unreached::NotAccepted(_) => {
                self.refused.push(endpoint);
                self.refused.len() < SERVERS_MAX
            }
            Unreached::Silent { kept } if self.repeats_left > 0 && upstream.may_repeat() => {
                self.repeats_left -= 1;
                self.connection = Connection::New;
                self.died = (!kept).then_some(endpoint);
                true
            }
            _ => false,
        }
    }
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
    let pass = permit.pass;
    let mut tries = Tries {
        refused: Vec::new(),
        died: None,
        // A kept connection is a risk that the budget covers; when it is spent, none is taken.
        connection: if repeatable && upstream.has_spent_its_repeats() {
            Connection::New
        } else {
            Connection::AnyKept
        },
        repeats_left: if repeatable { upstream.retries().max } else { 0 },
    };
    // Where no name resolves nobody is asked.
    let mut last = Unreached::NotAccepted(ProblemCode::UpstreamUnavailable);
    while let Some(picked) = tries.pick(upstream, pass) {
        if !tries.refused.is_empty() {
            upstream.tally().count(Count::AnotherServer);
        }
        exchange.asks(method, picked.endpoint.address);
        exchange.trial = Some(Trial { endpoint: Arc::clone(&picked.endpoint), pass });
        let (result, spent) = {
            // Pinned where it is made, for its size.
            let attempt = pin!(attempt(way, exchange, &picked, upstream, tries.connection, &body));
            waited(attempt).await
        };
        exchange.upstream_us += spent.as_micros() as u64;
        exchange.hears(result.as_ref().ok().map(|(_, asked)| asked.status));
        let trial = exchange.trial.take();
        match result {
            Ok((session, Asked { status, sent_whole, framing })) => {
                trial.into_iter().for_each(|trial| trial.answered(upstream, status));
                let line = Line { session, picked, permit, sent_whole, asked_head, framing };
                return Ok(Answer::new(status, line, upstream.timeouts().idle));
            }
            Err(unreached) => {
                trial.into_iter().for_each(|trial| trial.failed(upstream, &unreached));
                last = unreached;
                if !tries.go_on(&last, Arc::clone(&picked.endpoint), upstream) {
                    break;
                }
            }
        }
    }
    if last.is_silence() {
        upstream.request_failed(pass);
    }
    Err(last.told())
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
    let head = outbound.build(picked.host()).map_err(|_| Unreached::Unwritable)?;
    let (mut session, reused) = connected(picked, connection)
        .await
        .map_err(|error| Unreached::NotAccepted(code_of(&error)))?;
    session.write_timeout = Some(upstream.timeouts().idle);
    match asked(&mut session, upstream, head, body).await {
        Ok(asked) => Ok((session, asked)),
        Err(error) => Err(match error {
            Unasked::Died { silently: true } => Unreached::Silent { kept: reused },
            Unasked::Died { .. } => Unreached::Broken,
            Unasked::Slow => Unreached::Slow,
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
