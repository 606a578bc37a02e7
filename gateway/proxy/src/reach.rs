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

use crate::answer::{Answer, Line};
use crate::asked::{Asked, Because, Unasked, asked};
use crate::breaker::Pass;
use crate::clock::waited;
use crate::dial::Unconnected;
use crate::endpoint::Endpoint;
use crate::exchange::{Exchange, Failure, Fault};
use crate::h2_lines::Serial;
use crate::head::{Outbound, method_up};
use crate::relay::{Way, told};
use crate::session::Session;
use crate::tally::Count;
use crate::upstream::{Permit, Picked, Symptom, Upstream};

/// Servers that are asked to accept one request.
const SERVERS_MAX: usize = 3;

/// Why no answer's head came.
enum Unreached {
    /// The server did not accept; nothing of the request was sent.
    NotAccepted(ProblemCode),
    /// A connection died before a byte of an answer; a kept one may just have been too old.
    Silent {
        kept: bool,
    },
    /// It took the request on a shared connection, and did nothing of it.
    Unprocessed(Because),
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
            Unreached::Silent { .. } | Unreached::Unprocessed(_) | Unreached::Broken => {
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
            Unreached::Silent { kept: true }
            | Unreached::Unprocessed(Because::Leaving)
            | Unreached::Unwritable => return,
            Unreached::NotAccepted(ProblemCode::UpstreamTimeout) | Unreached::Slow => Symptom::Slow,
            Unreached::NotAccepted(_) | Unreached::Unprocessed(Because::Refused) => {
                Symptom::NotAccepted
            }
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
    /// The shared connection that let the request down, and the server that it is to.
    let_down: Option<(Arc<Endpoint>, Serial)>,
    unprocessed: usize,
    repeats_left: u32,
}

impl Tries {
    /// Of the shared connections to a server those are taken that were opened after this one.
    fn behind(&self, endpoint: &Arc<Endpoint>) -> Serial {
        let let_down = self.let_down.as_ref().filter(|(by, _)| Arc::ptr_eq(by, endpoint));
        let_down.map(|(_, serial)| *serial).unwrap_or_default()
    }

    fn pick(&self, upstream: &Arc<Upstream>, pass: Pass) -> Option<Picked> {
        let Some(died) = &self.died else { return upstream.pick(pass, &self.refused) };
        let mut tried = self.refused.clone();
        tried.push(Arc::clone(died));
        upstream.pick(pass, &tried).or_else(|| upstream.pick(pass, &self.refused))
    }

    /// Whether one more try can do no harm, and may be made.
    fn go_on(&mut self, failed: &Failed, endpoint: Arc<Endpoint>, upstream: &Upstream) -> bool {
        self.let_down = Some((Arc::clone(&endpoint), failed.on));
        match &failed.why {
            Unreached::NotAccepted(_) => {
                self.refused.push(endpoint);
                self.refused.len() < SERVERS_MAX
            }
            // Nothing was done of it, so its method does not matter, and it costs no repeat.
            Unreached::Unprocessed(because) => {
                self.unprocessed += 1;
                // A server that leaves is there under a new connection; one that refuses is full.
                self.died = (*because == Because::Refused).then_some(endpoint);
                self.unprocessed < SERVERS_MAX
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
        let_down: None,
        unprocessed: 0,
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
            let attempt = pin!(attempt(way, exchange, &picked, upstream, &tries, &body));
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
            Err(failed) => {
                trial.into_iter().for_each(|trial| trial.failed(upstream, &failed.why));
                let goes_on = tries.go_on(&failed, Arc::clone(&picked.endpoint), upstream);
                last = failed.why;
                if !goes_on {
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

/// Why a try came to nothing.
struct Failed {
    why: Unreached,
    /// The shared connection it was made on.
    on: Serial,
}

async fn attempt(
    way: &Way<'_>,
    exchange: &Exchange,
    picked: &Picked,
    upstream: &Upstream,
    tries: &Tries,
    body: &Option<Bytes>,
) -> Result<(Session, Asked), Failed> {
    let outbound = Outbound {
        admission: way.admission,
        arrival: way.arrival,
        body_bytes: body.as_ref().map(Bytes::len),
        exchange,
        team_header: exchange.serving.snapshot.rules.teams.header.as_ref(),
    };
    let behind = tries.behind(&picked.endpoint);
    let (mut session, reused) = connected(picked, tries.connection, behind)
        .await
        .map_err(|why| Failed { why: Unreached::NotAccepted(code_of(why)), on: behind })?;
    let on = session.serial();
    let unwritable = |_| Failed { why: Unreached::Unwritable, on };
    let timeouts = upstream.timeouts();
    let asked = match &mut session {
        Session::Http1(session) => {
            let head = outbound.build(picked.host()).map_err(unwritable)?;
            asked(session, timeouts, head, body).await
        }
        Session::Http2(session) => {
            let head = outbound.build_http2(picked.host(), picked.scheme()).map_err(unwritable)?;
            session.ask(head, body.as_ref(), timeouts.idle, timeouts.first_byte).await
        }
    };
    match asked {
        Ok(asked) => Ok((session, asked)),
        Err(error) => Err(Failed { why: unreached(error, reused), on }),
    }
}

fn unreached(error: Unasked, reused: bool) -> Unreached {
    match error {
        Unasked::Died { silently: true } => Unreached::Silent { kept: reused },
        // The connection is well: it was not too old.
        Unasked::Reset => Unreached::Silent { kept: false },
        Unasked::Died { silently: false } => Unreached::Broken,
        Unasked::Unprocessed(because) => Unreached::Unprocessed(because),
        Unasked::Slow => Unreached::Slow,
    }
}

/// A session to write on; the flag tells that others had its connection before.
async fn connected(
    picked: &Picked,
    connection: Connection,
    behind: Serial,
) -> Result<(Session, bool), Unconnected> {
    let kept = if connection == Connection::AnyKept { picked.take_kept(behind) } else { None };
    match kept {
        Some(session) => Ok((session, true)),
        None => picked.connect_anew(behind).await,
    }
}

fn code_of(why: Unconnected) -> ProblemCode {
    match why {
        Unconnected::Late => ProblemCode::UpstreamTimeout,
        Unconnected::Refused => ProblemCode::UpstreamUnavailable,
    }
}
