//! One request from its head to its record, in order, on one snapshot and one clock reading.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gateway_limits::Throttle;
use gateway_policy::{
    Admission, Admitted, Bounds, Denial, Meters, Paid, Principal, Problem, ProblemCode, Published,
    Refusal, Snapshot, Use, admit,
};
use http::Method;
use http::header::{self, HeaderName, HeaderValue};
use pingora::protocols::http::ServerSession;
use pingora::time::timeout;
use tokio::sync::mpsc;

use crate::access_log::AccessLog;
use crate::account;
use crate::arrival::{Arrival, ListenerFacts, WireFacts, peer_of, target_of};
use crate::capacity::{Capacity, Shed, turned_away};
use crate::clock::Clock;
use crate::docs::{CONTENT_SECURITY_POLICY, Docs, Page};
use crate::exchange::{AuthResult, Exchange, Failure, Fault};
use crate::head::{TRACEPARENT, X_REQUEST_ID};
use crate::metrics::{Counted, ProxyMetrics};
use crate::moving::{Moved, Successor};
use crate::panics::{Panicked, contained};
use crate::relay;
use crate::respond::{self, ClientGone, NEVER_STORED};
use crate::spans::Traces;
use crate::trace::{TraceContext, request_id};
use crate::upstreams::Upstreams;
use crate::whoami;

/// How long the last bytes of an answer that is cut may take.
const FAREWELL: Duration = Duration::from_millis(250);

/// One published state: decisions, and the upstreams that their ids mean.
#[derive(Debug)]
pub struct Serving {
    pub snapshot: Snapshot,
    pub upstreams: Arc<Upstreams>,
    pub docs: Arc<Docs>,
}

/// How an exchange left its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The answer is out whole.
    Whole,
    /// The answer was cut, or nobody is there to read it: nothing more may be written.
    Cut,
}

/// What a gateway is made of.
#[derive(Debug)]
pub struct GatewayParts {
    pub published: Arc<Published<Serving>>,
    pub meters: Arc<Meters>,
    pub metrics: Arc<ProxyMetrics>,
    pub access_log: AccessLog,
    pub clock: Arc<Clock>,
    /// `None`: no exchange has spans.
    pub traces: Option<Traces>,
    /// Client connections at once where the configuration does not say.
    pub connections_default: usize,
}

/// The data plane of one process.
pub struct Gateway {
    pub(crate) parts: GatewayParts,
    pub(crate) capacity: Arc<Capacity>,
    /// Wrong keys.
    throttle: Throttle,
    draining: AtomicBool,
    /// Who goes on with connections that owe no answer.
    pub(crate) successor: Successor,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("draining", &self.draining).finish_non_exhaustive()
    }
}

impl Gateway {
    pub fn new(parts: GatewayParts) -> Gateway {
        Gateway {
            parts,
            capacity: Arc::default(),
            throttle: Throttle::default(),
            draining: AtomicBool::new(false),
            successor: Successor::default(),
        }
    }

    /// From now on a connection is moved where its next request would be judged; with `None` no longer.
    /// What is being judged on another thread at this moment is still judged here.
    pub fn move_connections(&self, successor: Option<mpsc::Sender<Moved>>) {
        self.successor.set(successor);
    }

    /// Client connections that are open.
    pub fn connections(&self) -> usize {
        usize::try_from(self.parts.metrics.connections.get()).unwrap_or(0)
    }

    /// From now on every answer closes its connection.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Follows the system clock; to be called about once a second.
    pub fn tick(&self) {
        let behind = i64::try_from(self.parts.clock.tick()).unwrap_or(i64::MAX);
        self.parts.metrics.clock_behind.set(behind);
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.parts.metrics.inflight.get()).unwrap_or(0)
    }

    /// Starts the access log's file anew, after it was moved away.
    pub fn reopen_access_log(&self) {
        self.parts.access_log.reopen();
    }

    /// Flushes the access log and the spans.
    pub fn close(&self) {
        self.parts.access_log.close();
        if let Some(traces) = &self.parts.traces {
            traces.close();
        }
    }

    pub(crate) fn serving(&self) -> Arc<Serving> {
        self.parts.published.current()
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.serving().snapshot.rules.bounds
    }

    /// Serves one request whose head has been read.
    pub(crate) async fn serve(
        &self,
        session: &mut ServerSession,
        listener: &ListenerFacts,
        wire: WireFacts,
    ) -> Ending {
        let _in_flight = Counted::on(&self.parts.metrics.inflight);
        let head = session.req_header().clone();
        let target = target_of(&head);
        let arrival =
            Arrival { head: &head, target: &target, peer: peer_of(session), listener, wire };
        let mut exchange = self.begin(&arrival);
        if self.is_draining() {
            session.set_keepalive(None);
        }
        let requests_max = exchange.serving.snapshot.rules.bounds.requests_in_flight;
        let result = match self.capacity.seat(requests_max) {
            Some(seat) => {
                let walked = {
                    let walk = pin!(self.answer(session, &mut exchange, &arrival));
                    contained(walk).await
                };
                drop(seat);
                walked.unwrap_or_else(|Panicked| Err(self.panicked(session, &exchange)))
            }
            None => Err(self.shed()),
        };
        // Who is refused and does not take the answer holds no seat of those who are served, and there
        // may not be any number of them either.
        let ending = match result {
            Ok(()) => Ending::Whole,
            Err(failure) => {
                let seat = self.capacity.refusal(requests_max);
                if seat.is_none() {
                    self.parts.metrics.shed(Shed::RequestsInFlight);
                }
                let failure = if seat.is_some() { failure } else { Failure::Cut(Fault::Gateway) };
                conclude(session, &mut exchange, failure).await
            }
        };
        account::account(self, &exchange, &arrival, session);
        ending
    }

    fn begin(&self, arrival: &Arrival<'_>) -> Exchange {
        let (began_at, began) = self.parts.clock.now();
        let all = |name: &HeaderName| {
            arrival.head.headers.get_all(name).iter().map(HeaderValue::as_bytes)
        };
        let offered = all(&TRACEPARENT).next();
        let (trace, recording) = match &self.parts.traces {
            None => (TraceContext::continued(offered), None),
            Some(traces) => traces.begin(offered, arrival.is_from_trusted_proxy(), began_at),
        };
        Exchange {
            serving: self.serving(),
            began_at,
            began,
            request_id: request_id(all(&X_REQUEST_ID)),
            trace,
            client: arrival.client(),
            principal: None,
            presented_key: None,
            paid: None,
            route: None,
            team: None,
            upstream: None,
            upstream_us: 0,
            trial: None,
            status: 0,
            code: None,
            fault: Fault::None,
            auth: AuthResult::NotJudged,
            filter_failure: None,
            totals: None,
            cut: false,
            logged: true,
            recording,
        }
    }

    /// What unwound may have read half of the request, so its connection ends in any case.
    fn panicked(&self, session: &mut ServerSession, exchange: &Exchange) -> Failure {
        self.parts.metrics.panics.inc();
        session.set_keepalive(None);
        match exchange.status {
            0 => Failure::told(Problem::new(ProblemCode::InternalError), Fault::Gateway),
            _ => Failure::Cut(Fault::Gateway),
        }
    }

    /// There are as many requests under way as there may be. Nothing is asked of this one, not even its key.
    fn shed(&self) -> Failure {
        self.parts.metrics.shed(Shed::RequestsInFlight);
        Failure::told(turned_away(), Fault::Gateway)
    }

    async fn answer(
        &self,
        session: &mut ServerSession,
        exchange: &mut Exchange,
        arrival: &Arrival<'_>,
    ) -> Result<(), Failure> {
        if let Some(code) = arrival.over_bounds(&exchange.serving.snapshot.rules.bounds) {
            return Err(Failure::told(Problem::new(code), Fault::Client));
        }
        #[cfg(test)]
        crate::panics::tests::inject(session, exchange, arrival.target).await;
        let serving = Arc::clone(&exchange.serving);
        if let Some(page) = reference(&serving, arrival) {
            return published(session, exchange, page).await;
        }
        let meters = &self.parts.meters;
        let at = self.parts.clock.reading(exchange.began_at);
        match admit(&serving.snapshot, meters, &arrival.request(), at) {
            Ok(Admitted::Forward(admission)) => {
                self.admitted(exchange, &admission);
                let way = relay::Way { admission: &admission, arrival };
                relay::relay(&way, session, exchange).await
            }
            Ok(Admitted::WhoAmI { principal, paid }) => {
                let body = whoami::body(principal.key(), &paid.quotas, &serving.snapshot.rules);
                known(exchange, principal, paid);
                self.count(exchange, Use::Admitted);
                let headers = [
                    (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                    (header::CACHE_CONTROL, NEVER_STORED),
                ];
                Ok(respond::page(session, exchange, &headers, Bytes::from(body)).await?)
            }
            Err(denial) => {
                let is_limit = matches!(denial.refusal, Refusal::Limit(_));
                let wrong_key = denial.is_wrong_key();
                let failure = refused(exchange, denial);
                if wrong_key && let Some(failure) = self.throttled(exchange) {
                    return Err(failure);
                }
                self.count(exchange, if is_limit { Use::Limited } else { Use::Refused });
                Err(failure)
            }
        }
    }

    /// What to answer instead of 401 where too many wrong keys came from one address. It is not logged, for
    /// a flood of lines would push others out of the log; the first ones of each minute are in it.
    fn throttled(&self, exchange: &mut Exchange) -> Option<Failure> {
        let failures_max = exchange.serving.snapshot.rules.bounds.failed_authentications;
        let failed = self.throttle.failed(exchange.client, failures_max, exchange.began_at);
        let seconds = failed.err()?;
        self.parts.metrics.shed(Shed::FailedAuthentications);
        exchange.logged = false;
        let problem = Problem::new(ProblemCode::TooManyFailures)
            .detail("Too many wrong API keys came from this address. A right one is accepted at any time.")
            .retry_after_s(seconds.into());
        Some(Failure::told(problem, Fault::Client))
    }

    /// Counts the request for its key, if it is one's. A 401 is nobody's.
    fn count(&self, exchange: &Exchange, what: Use) {
        if let Some(principal) = exchange.principal.as_ref().filter(|_| exchange.paid.is_some()) {
            self.parts.meters.count(principal.key().slot, what, exchange.began_at);
        }
    }

    fn admitted(&self, exchange: &mut Exchange, admission: &Admission) {
        let grant = admission.grant();
        known(exchange, grant.principal().clone(), admission.paid().clone());
        exchange.team = grant.team().cloned();
        exchange.route = Some(grant.shared_route());
        self.count(exchange, Use::Admitted);
    }
}

fn known(exchange: &mut Exchange, principal: Principal, paid: Paid) {
    exchange.auth = AuthResult::Accepted;
    exchange.principal = Some(principal);
    exchange.paid = Some(paid);
}

fn refused(exchange: &mut Exchange, denial: Denial) -> Failure {
    let problem = Problem::of(&denial, &exchange.serving.snapshot.rules.scopes);
    exchange.auth = match denial.auth_reason() {
        Some(reason) => AuthResult::Refused(reason),
        None if denial.principal.is_some() => AuthResult::Accepted,
        None => AuthResult::NotJudged,
    };
    exchange.presented_key = denial.key().cloned();
    exchange.principal = denial.principal;
    exchange.route = denial.route;
    exchange.paid = denial.paid;
    // A rule that names what is not there is no fault of who asks.
    let is_ours = problem.code == ProblemCode::InternalError;
    Failure::told(problem, if is_ours { Fault::Gateway } else { Fault::Client })
}

/// The document of the public reference that is asked for, if it is one.
fn reference(serving: &Serving, arrival: &Arrival<'_>) -> Option<Page> {
    let path = arrival.target.split(|byte| *byte == b'?').next()?;
    serving.docs.find(std::str::from_utf8(path).ok()?)
}

async fn published(
    session: &mut ServerSession,
    exchange: &mut Exchange,
    page: Page,
) -> Result<(), Failure> {
    if !matches!(session.req_header().method, Method::GET | Method::HEAD) {
        let mut problem = Problem::new(ProblemCode::MethodNotAllowed);
        problem.allow = Some("GET, HEAD".into());
        return Err(Failure::told(problem, Fault::Client));
    }
    let headers = [
        (header::CONTENT_TYPE, page.content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)));
    Ok(respond::page(session, exchange, &headers, page.body).await?)
}

/// Tells, cuts or leaves.
async fn conclude(
    session: &mut ServerSession,
    exchange: &mut Exchange,
    failure: Failure,
) -> Ending {
    let (fault, cut) = match failure {
        Failure::Told(problem, fault) => {
            exchange.fault = fault;
            return match respond::problem(session, exchange, &problem).await {
                Ok(()) => Ending::Whole,
                Err(ClientGone) => Ending::Cut,
            };
        }
        Failure::Cut(fault) => (fault, true),
        Failure::ClientGone => (Fault::Client, false),
    };
    exchange.fault = fault;
    exchange.cut = cut;
    // No last chunk, no END_STREAM: the client's library must see that the answer is cut.
    // To end it in form is to write, which a client that does not read could hold up for ever.
    let _ = timeout(FAREWELL, session.shutdown()).await;
    Ending::Cut
}
