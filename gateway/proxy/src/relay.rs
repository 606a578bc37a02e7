//! From an admitted request to the upstream's answer in the client's hands.
//!
//! The request body is read whole first (it is bounded and small), so a slow or oversized one is
//! refused before the upstream hears of it. One deadline covers all that follows.
//!
//! Nothing of an upstream's error text, reason phrase, 1xx or trailer is passed on or logged.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gateway_policy::{Admission, Bounds, Problem, ProblemCode};
use http::{Version, header};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::time::timeout;

use crate::arrival::Arrival;
use crate::carry::carry;
use crate::clock::waited;
use crate::exchange::{Exchange, Failure, Fault};
use crate::reach::reach;
use crate::respond::ClientGone;
use crate::upstream::{Permit, Shed, Upstream};

impl From<ClientGone> for Failure {
    fn from(_: ClientGone) -> Failure {
        Failure::ClientGone
    }
}

/// What stays the same on the whole way.
pub(crate) struct Way<'a> {
    pub(crate) admission: &'a Admission,
    pub(crate) arrival: &'a Arrival<'a>,
}

impl Way<'_> {
    pub(crate) fn is_filtered(&self) -> bool {
        !self.admission.grant().job().is_identity()
    }
}

/// Forwards an admitted request and streams its answer back.
pub(crate) async fn relay(
    way: &Way<'_>,
    session: &mut ServerSession,
    exchange: &mut Exchange,
) -> Result<(), Failure> {
    let serving = Arc::clone(&exchange.serving);
    let bounds = serving.snapshot.rules.bounds;
    if way.is_filtered() && way.arrival.head.version < Version::HTTP_11 {
        return Err(Failure::told(Problem::new(ProblemCode::VersionNotSupported), Fault::Client));
    }
    let body = request_body(session, way.arrival.head, &bounds).await?;
    let upstream = serving
        .upstreams
        .find(way.admission.grant().route().upstream)
        .ok_or_else(|| told(ProblemCode::InternalError, Fault::Gateway))?;
    exchange.upstream = Some(upstream.name().into());
    let permit = {
        let (entered, spent) = waited(async {
            tokio::select! {
                biased;
                entered = upstream.enter() => Some(entered),
                () = is_reset(session) => None,
            }
        })
        .await;
        exchange.upstream_us += spent.as_micros() as u64;
        entered.ok_or(Failure::ClientGone)?.map_err(|shed| overloaded(upstream, shed))?
    };
    let total = upstream.timeouts().total;
    let result = {
        // Pinned where it is made: it is large, and every owner in between would move it once more.
        let exchanged = pin!(exchanged(way, session, exchange, upstream, permit, body));
        timeout(total, exchanged).await
    };
    if let (Err(_), Some(trial)) = (&result, exchange.trial.take()) {
        trial.ran_out_of_time(upstream);
    }
    match result {
        Ok(result) => result,
        Err(_) if session.response_written().is_some() => Err(Failure::Cut(Fault::Upstream)),
        Err(_) => Err(told(ProblemCode::UpstreamTimeout, Fault::Upstream)),
    }
}

pub(crate) fn told(code: ProblemCode, fault: Fault) -> Failure {
    Failure::told(Problem::new(code), fault)
}

/// Nothing was sent up. Who is to blame: the upstream that fails, or the bound that is too low for what comes.
fn overloaded(upstream: &Upstream, shed: Shed) -> Failure {
    let problem = Problem::new(ProblemCode::Overloaded).retry_after_s(upstream.retry_after_s(shed));
    let fault = match shed {
        Shed::NoPlace(_) => Fault::Gateway,
        Shed::BreakerOpen | Shed::Unhealthy => Fault::Upstream,
    };
    Failure::told(problem, fault)
}

/// The request's body, whole; `None` when it has none.
async fn request_body(
    session: &mut ServerSession,
    head: &RequestHeader,
    bounds: &Bounds,
) -> Result<Option<Bytes>, Failure> {
    let too_large = || told(ProblemCode::BodyTooLarge, Fault::Client);
    let declared = head.headers.get(header::CONTENT_LENGTH);
    let length =
        declared.and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
    if length.is_some_and(|length| length > bounds.request_body_bytes) {
        return Err(too_large());
    }
    if session.is_body_empty() {
        return Ok(declared.map(|_| Bytes::new()));
    }
    let limit = Duration::from_millis(bounds.body_time_ms);
    let read = async {
        if head.headers.contains_key(header::EXPECT) {
            session.write_continue_response().await.map_err(|_| Failure::ClientGone)?;
        }
        let mut whole = BytesMut::new();
        while let Some(piece) =
            session.read_request_body().await.map_err(|error| broken_body(&error))?
        {
            if (whole.len() + piece.len()) as u64 > bounds.request_body_bytes {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole.freeze()))
    };
    match timeout(limit, read).await {
        Ok(result) => result,
        Err(_) => Err(told(ProblemCode::RequestTimeout, Fault::Client)),
    }
}

fn broken_body(error: &pingora::Error) -> Failure {
    match error.etype() {
        pingora::ErrorType::ReadTimedout => told(ProblemCode::RequestTimeout, Fault::Client),
        pingora::ErrorType::ConnectionClosed => Failure::ClientGone,
        _ => told(ProblemCode::BadRequest, Fault::Client),
    }
}

async fn exchanged(
    way: &Way<'_>,
    session: &mut ServerSession,
    exchange: &mut Exchange,
    upstream: &Arc<Upstream>,
    permit: Permit,
    body: Option<Bytes>,
) -> Result<(), Failure> {
    let mut answer = {
        let reached = pin!(reach(way, exchange, upstream, permit, body));
        tokio::select! {
            biased;
            answer = reached => answer?,
            () = is_reset(session) => return Err(Failure::ClientGone),
        }
    };
    let result = carry(way, session, exchange, &mut answer).await;
    // An error told in our words: its own are read away while the client reads ours.
    if matches!(&result, Err(Failure::Told(..))) && answer.is_error() {
        tokio::spawn(answer.give_back_drained());
    }
    result
}

/// Waits until the client has taken its request back, which only HTTP/2 can say. A request that is reset
/// is off its connection's count at once, so it may hold no place at the upstream either (CVE-2023-44487).
pub(crate) async fn is_reset(session: &mut ServerSession) {
    match session {
        ServerSession::H2(session) => {
            let _ = session.idle().await;
        }
        _ => pending().await,
    }
}
