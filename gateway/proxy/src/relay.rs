//! From an admitted request to the upstream's answer in the client's hands.
//!
//! The request body is read whole first (it is bounded and small), so a slow or oversized one is
//! refused before the upstream hears of it. The answer's head waits until its body has ended or
//! [`Bounds::hold_bytes`](gateway_policy::Bounds) of judged output lie ready: a fault until then is
//! a clean error however the bytes arrive; one later cuts the answer.
//!
//! Nothing of an upstream's error text, reason phrase, 1xx or trailer is passed on or logged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use gateway_policy::{
    Admission, BodyPlan, Bounds, Problem, ProblemCode, ResponseFacts, plan_body,
};
use gateway_rewrite::Rewriter;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::client::HttpSession;
use tokio::time::timeout;

use crate::coding::{Coding, Decoder};
use crate::exchange::{Exchange, Failure, Fault};
use crate::filter::{Filter, FilterError};
use crate::head::{ListenerFacts, Outbound, returned};
use crate::respond::{self, ClientGone, Framing};
use crate::upstream::{Picked, Upstream};

/// Tries over reused connections that turn out dead, and over servers that do not accept.
const TRIES_MAX: usize = 3;
/// What is read of an unwanted answer to keep its connection.
const DRAIN_BYTES_MAX: usize = 64 << 10;
const DRAIN_TIME: Duration = Duration::from_millis(200);

impl From<ClientGone> for Failure {
    fn from(_: ClientGone) -> Failure {
        Failure::ClientGone
    }
}

/// What stays the same on the whole way.
pub(crate) struct Way<'a> {
    pub(crate) admission: &'a Admission,
    pub(crate) head: &'a RequestHeader,
    pub(crate) target: &'a [u8],
    pub(crate) peer: SocketAddr,
    pub(crate) listener: &'a ListenerFacts,
}

impl Way<'_> {
    fn is_filtered(&self) -> bool {
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
    if way.is_filtered() && way.head.version < Version::HTTP_11 {
        return Err(Failure::told(Problem::new(ProblemCode::VersionNotSupported), Fault::Client));
    }
    let body = request_body(session, way.head, &bounds).await?;
    let upstream = serving
        .upstreams
        .find(way.admission.grant().route().upstream)
        .ok_or_else(|| told(ProblemCode::InternalError, Fault::Gateway))?;
    exchange.upstream = Some(upstream.name().into());
    let overloaded = || Problem::new(ProblemCode::Overloaded).retry_after_s(1);
    let _permit = upstream.enter().ok_or_else(|| Failure::told(overloaded(), Fault::Gateway))?;
    let total = upstream.timeouts().total;
    match timeout(total, exchanged(way, session, exchange, upstream, body)).await {
        Ok(result) => result,
        Err(_) if session.response_written().is_some() => Err(Failure::Cut(Fault::Upstream)),
        Err(_) => Err(told(ProblemCode::UpstreamTimeout, Fault::Upstream)),
    }
}

fn told(code: ProblemCode, fault: Fault) -> Failure {
    Failure::told(Problem::new(code), fault)
}

/// The request's body, whole; `None` when it has none.
async fn request_body(
    session: &mut ServerSession,
    head: &RequestHeader,
    bounds: &Bounds,
) -> Result<Option<Bytes>, Failure> {
    let too_large = || told(ProblemCode::BodyTooLarge, Fault::Client);
    let declared = head.headers.get(header::CONTENT_LENGTH);
    let length = declared.and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
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
        while let Some(piece) = session.read_request_body().await.map_err(broken_body)? {
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

fn broken_body(error: Box<pingora::Error>) -> Failure {
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
    body: Option<Bytes>,
) -> Result<(), Failure> {
    let mut answer = reach(way, exchange, upstream, body).await?;
    let result = carry(way, session, exchange, &mut answer).await;
    match &result {
        Ok(()) => answer.release().await,
        // An error told in our words: its own are read away while the client reads ours.
        Err(Failure::Told(..)) if answer.is_error() => {
            tokio::spawn(answer.release_drained());
        }
        Err(_) => answer.session.shutdown().await,
    }
    result
}

/// An upstream's answer whose head has been read.
struct Answer {
    session: HttpSession,
    picked: Picked,
    status: StatusCode,
    idle: Duration,
}

impl Answer {
    fn head(&self) -> Option<&ResponseHeader> {
        self.session.response_header()
    }

    /// The next piece of the body, or its end.
    async fn piece(&mut self, exchange: &mut Exchange) -> Result<Option<Bytes>, BodyFault> {
        let began = Instant::now();
        let read = timeout(self.idle, self.session.read_response_body()).await;
        exchange.upstream_us += began.elapsed().as_micros() as u64;
        match read {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(_)) => Err(BodyFault::Broken),
            Err(_) => Err(BodyFault::Slow),
        }
    }

    fn is_error(&self) -> bool {
        self.status.is_client_error() || self.status.is_server_error()
    }

    /// Gives the connection back; Pingora closes it unless its answer has ended cleanly.
    async fn release(self) {
        let peer = self.picked.peer();
        let connector = self.picked.connector();
        connector.release_http_session(self.session, &peer, peer.options.idle_timeout).await;
    }

    async fn release_drained(mut self) {
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
enum BodyFault {
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
async fn reach(
    way: &Way<'_>,
    exchange: &mut Exchange,
    upstream: &Arc<Upstream>,
    body: Option<Bytes>,
) -> Result<Answer, Failure> {
    let repeatable = matches!(way.head.method.as_str(), "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS");
    let mut tried = Vec::new();
    let mut last = ProblemCode::UpstreamUnavailable;
    for _ in 0..TRIES_MAX {
        let Some(picked) = upstream.pick(&tried) else { break };
        let index = picked.index;
        let began = Instant::now();
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
    Err(told(last, if last == ProblemCode::InternalError { Fault::Gateway } else { Fault::Upstream }))
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
        head: way.head,
        target: way.target,
        body_bytes: body.as_ref().map(Bytes::len),
        peer: way.peer,
        listener: way.listener,
        exchange,
        team_header: teams.header.as_ref(),
    };
    let unwritable = |_| Unreached { problem: ProblemCode::InternalError, untouched: false, stale: false };
    let head = outbound.build(picked.host()).map_err(unwritable)?;
    let peer = picked.peer();
    let (mut session, reused) =
        upstream.connector().get_http_session(&peer).await.map_err(|error| Unreached {
            problem: code_of(&error),
            untouched: true,
            stale: false,
        })?;
    session.set_read_timeout(Some(timeouts.first_byte));
    session.set_write_timeout(Some(timeouts.idle));
    match timeout(timeouts.first_byte + timeouts.idle, asked(&mut session, head, body)).await {
        Ok(Ok(status)) => {
            session.set_read_timeout(Some(timeouts.idle));
            Ok(Answer { session, picked, status, idle: timeouts.idle })
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

/// Writes the request and reads the first final head.
async fn asked(
    session: &mut HttpSession,
    head: Box<RequestHeader>,
    body: Option<Bytes>,
) -> pingora::Result<StatusCode> {
    session.write_request_header(head).await?;
    // An upstream may answer before it has read all; its answer counts, not the failed write.
    if let Some(body) = body.filter(|body| !body.is_empty()) {
        let _ = session.write_request_body(body, true).await;
    }
    let _ = session.finish_request_body().await;
    loop {
        session.read_response_header().await?;
        let status = session.response_header().map_or(StatusCode::BAD_GATEWAY, |head| head.status);
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(status);
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

/// Brings the answer to the client as its plan says.
async fn carry(
    way: &Way<'_>,
    session: &mut ServerSession,
    exchange: &mut Exchange,
    answer: &mut Answer,
) -> Result<(), Failure> {
    let head = answer.head().ok_or_else(|| told(ProblemCode::UpstreamUnavailable, Fault::Upstream))?;
    let facts = ResponseFacts { status: answer.status, headers: &head.headers };
    match plan_body(way.admission, &way.head.method, &facts) {
        BodyPlan::Replace => Err(replaced(head)),
        BodyPlan::Refuse(why) => Err(unfilterable(exchange, why.label())),
        BodyPlan::HeadOnly { content_type } => {
            let mut out = answer_head(way, exchange, answer, Framing::None, content_type.is_some())?;
            if let Some(content_type) = content_type {
                set_type(&mut out, content_type);
            }
            respond::write_head(session, out).await?;
            Ok(respond::write_body(session, Bytes::new(), true).await?)
        }
        BodyPlan::Pass => passed(way, session, exchange, answer).await,
        BodyPlan::Rewrite { content_type } => {
            let codings = head.headers.get_all(header::CONTENT_ENCODING).iter();
            let coding = Coding::from_headers(codings.map(HeaderValue::as_bytes))
                .map_err(|error| unfilterable(exchange, error.label()))?;
            rewritten(way, session, exchange, answer, coding, content_type).await
        }
    }
}

/// The gateway's own words for an upstream's error status.
fn replaced(head: &ResponseHeader) -> Failure {
    let mut problem = Problem::upstream_status(head.status.as_u16());
    if problem.code != ProblemCode::NotFound {
        let seconds = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        problem.retry_after_s = seconds.and_then(|text| text.parse().ok());
    }
    let fault = if head.status.is_server_error() { Fault::Upstream } else { Fault::Client };
    Failure::told(problem, fault)
}

fn unfilterable(exchange: &mut Exchange, reason: &'static str) -> Failure {
    exchange.filter_failure = Some(reason);
    told(ProblemCode::ResponseNotFilterable, Fault::Upstream)
}

fn set_type(head: &mut ResponseHeader, content_type: HeaderValue) {
    // Building from a checked value cannot fail; if it did, the answer would lack its type.
    let _ = head.insert_header(header::CONTENT_TYPE, content_type);
}

/// The head of an answer that comes from the upstream.
fn answer_head(
    way: &Way<'_>,
    exchange: &mut Exchange,
    answer: &Answer,
    framing: Framing,
    rewritten: bool,
) -> Result<ResponseHeader, Failure> {
    let broken = || told(ProblemCode::InternalError, Fault::Gateway);
    let mut out = respond::head_for(exchange, way.head.version, answer.status, framing).ok_or_else(broken)?;
    let head = answer.head().ok_or_else(broken)?;
    for (name, value) in returned(&head.headers, way.admission, rewritten) {
        out.append_header(name.clone(), value.clone()).map_err(|_| broken())?;
    }
    exchange.status = answer.status.as_u16();
    Ok(out)
}

/// Every byte as it is: a route that hides nothing.
async fn passed(
    way: &Way<'_>,
    session: &mut ServerSession,
    exchange: &mut Exchange,
    answer: &mut Answer,
) -> Result<(), Failure> {
    let head = answer.head().ok_or_else(|| told(ProblemCode::UpstreamUnavailable, Fault::Upstream))?;
    let bodiless = way.head.method == Method::HEAD || matches!(answer.status.as_u16(), 204 | 304);
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let framing = match length.and_then(|text| text.parse().ok()) {
        _ if bodiless => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Unknown,
    };
    let encoding = head.headers.get(header::CONTENT_ENCODING).cloned();
    let mut out = answer_head(way, exchange, answer, framing, false)?;
    if let Some(encoding) = encoding {
        let _ = out.insert_header(header::CONTENT_ENCODING, encoding);
    }
    if framing == Framing::Unknown && way.head.version < Version::HTTP_11 {
        session.set_keepalive(None);
    }
    respond::write_head(session, out).await?;
    if bodiless {
        return Ok(respond::write_body(session, Bytes::new(), true).await?);
    }
    loop {
        match answer.piece(exchange).await {
            Ok(Some(piece)) => respond::write_body(session, piece, false).await?,
            Ok(None) => return Ok(respond::write_body(session, Bytes::new(), true).await?),
            Err(_) => return Err(Failure::Cut(Fault::Upstream)),
        }
    }
}

/// Through decoder and rewriter, the head held back as long as its bound allows.
async fn rewritten(
    way: &Way<'_>,
    session: &mut ServerSession,
    exchange: &mut Exchange,
    answer: &mut Answer,
    coding: Coding,
    content_type: HeaderValue,
) -> Result<(), Failure> {
    let bounds = exchange.serving.snapshot.rules.bounds;
    let job = way.admission.grant().job().clone();
    let hold_bytes = hold_bytes(&job, &bounds);
    let decoder = Decoder::new(coding, bounds.decoded_body_bytes);
    let mut filter = Filter::new(decoder, Rewriter::new(job));
    let mut sender = Sender { way, content_type, hold_bytes, held: Vec::new(), head_sent: false };
    let result = filtered(session, exchange, answer, &mut filter, &mut sender).await;
    exchange.totals = filter.totals().clone();
    result
}

/// A single row that may turn out hidden must be judged before the head goes: 404 or 200.
fn hold_bytes(job: &gateway_rewrite::Job, bounds: &Bounds) -> usize {
    let rows = &job.rows;
    let judged = rows.hide_private || rows.owner.is_some() || rows.teams.is_some();
    if job.shape.is_single() && judged {
        bounds.hold_bytes.saturating_add(bounds.row_bytes)
    } else {
        bounds.hold_bytes
    }
}

async fn filtered(
    session: &mut ServerSession,
    exchange: &mut Exchange,
    answer: &mut Answer,
    filter: &mut Filter,
    sender: &mut Sender<'_>,
) -> Result<(), Failure> {
    loop {
        match answer.piece(exchange).await {
            Ok(Some(piece)) => {
                let mut rest: &[u8] = &piece;
                while filter
                    .step(&mut rest, &mut sender.held)
                    .map_err(|error| sender.fault(exchange, &error))?
                {
                    sender.flush(session, exchange, answer).await?;
                }
            }
            Ok(None) => break,
            Err(BodyFault::Slow) if !sender.head_sent => {
                return Err(told(ProblemCode::UpstreamTimeout, Fault::Upstream));
            }
            Err(BodyFault::Broken) if !sender.head_sent => {
                return Err(unfilterable(exchange, "truncated"));
            }
            Err(_) => return Err(Failure::Cut(Fault::Upstream)),
        }
    }
    let totals = filter.end(&mut sender.held).map_err(|error| sender.fault(exchange, &error))?;
    if totals.single_row_hidden {
        // A row that may not be seen does not exist.
        return Err(if sender.head_sent {
            Failure::Cut(Fault::Gateway)
        } else {
            told(ProblemCode::NotFound, Fault::None)
        });
    }
    sender.finish(session, exchange, answer).await
}

/// Judged output on its way to the client.
struct Sender<'a> {
    way: &'a Way<'a>,
    content_type: HeaderValue,
    hold_bytes: usize,
    held: Vec<u8>,
    head_sent: bool,
}

impl Sender<'_> {
    fn fault(&self, exchange: &mut Exchange, error: &FilterError) -> Failure {
        let failure = unfilterable(exchange, error.label());
        if self.head_sent { Failure::Cut(Fault::Upstream) } else { failure }
    }

    /// Sends what is judged, once it is more than may be held.
    async fn flush(
        &mut self,
        session: &mut ServerSession,
        exchange: &mut Exchange,
        answer: &Answer,
    ) -> Result<(), Failure> {
        if self.held.is_empty() || (!self.head_sent && self.held.len() <= self.hold_bytes) {
            return Ok(());
        }
        if !self.head_sent {
            self.send_head(session, exchange, answer, Framing::Unknown).await?;
        }
        let piece = Bytes::from(std::mem::take(&mut self.held));
        Ok(respond::write_body(session, piece, false).await?)
    }

    async fn finish(
        &mut self,
        session: &mut ServerSession,
        exchange: &mut Exchange,
        answer: &Answer,
    ) -> Result<(), Failure> {
        let piece = Bytes::from(std::mem::take(&mut self.held));
        if !self.head_sent {
            self.send_head(session, exchange, answer, Framing::Length(piece.len() as u64)).await?;
        }
        Ok(respond::write_body(session, piece, true).await?)
    }

    async fn send_head(
        &mut self,
        session: &mut ServerSession,
        exchange: &mut Exchange,
        answer: &Answer,
        framing: Framing,
    ) -> Result<(), Failure> {
        let mut out = answer_head(self.way, exchange, answer, framing, true)?;
        set_type(&mut out, self.content_type.clone());
        self.head_sent = true;
        Ok(respond::write_head(session, out).await?)
    }
}
