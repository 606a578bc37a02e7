//! From an upstream's answer to the client's hands.
//!
//! The answer's head waits until its body has ended or [`Bounds::hold_bytes`] of judged output lie
//! ready: a fault until then is a clean error however the bytes arrive; one later cuts the answer.

use bytes::Bytes;
use gateway_policy::{BodyPlan, Bounds, Problem, ProblemCode, ResponseFacts, plan_body};
use gateway_rewrite::Rewriter;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;

use crate::coding::{Coding, Decoder};
use crate::exchange::{Exchange, Failure, Fault};
use crate::filter::{Filter, FilterError};
use crate::head::{method_up, returned};
use crate::reach::{Answer, BodyFault};
use crate::relay::{Way, told};
use crate::respond::{self, Framing};

/// Brings the answer to the client as its plan says.
pub(crate) async fn carry(
    way: &Way<'_>,
    session: &mut ServerSession,
    exchange: &mut Exchange,
    answer: &mut Answer,
) -> Result<(), Failure> {
    let head =
        answer.head().ok_or_else(|| told(ProblemCode::UpstreamUnavailable, Fault::Upstream))?;
    let facts = ResponseFacts { status: answer.status, headers: &head.headers };
    match plan_body(way.admission, method_up(way.arrival, way.admission), &facts) {
        BodyPlan::Replace => Err(replaced(head)),
        BodyPlan::Refuse(why) => Err(unfilterable(exchange, why.label())),
        _ if answer.is_misframed() => Err(unfilterable(exchange, "framing")),
        BodyPlan::HeadOnly { content_type } => {
            let mut out = answer_head(way, exchange, answer, Framing::None, true)?;
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
    if head.status == StatusCode::METHOD_NOT_ALLOWED {
        problem.allow = allowed(&head.headers);
    }
    let fault = if head.status.is_client_error() { Fault::Client } else { Fault::Upstream };
    Failure::told(problem, fault)
}

/// The methods that an upstream's `Allow` names, in our own words; a 405 owes its client a list.
fn allowed(headers: &HeaderMap) -> Option<Box<str>> {
    const KNOWN: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    let lines = || headers.get_all(header::ALLOW).iter().filter_map(|line| line.to_str().ok());
    let named = |known: &&str| lines().any(|line| line.split(',').any(|one| one.trim() == *known));
    let methods: Vec<&str> = KNOWN.into_iter().filter(named).collect();
    (!methods.is_empty()).then(|| methods.join(", ").into())
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
    let mut out = respond::head_for(exchange, way.arrival.head.version, answer.status, framing)
        .ok_or_else(broken)?;
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
    let head =
        answer.head().ok_or_else(|| told(ProblemCode::UpstreamUnavailable, Fault::Upstream))?;
    let bodiless =
        way.arrival.head.method == Method::HEAD || matches!(answer.status.as_u16(), 204 | 304);
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let framing = match length.and_then(|text| text.parse().ok()) {
        _ if bodiless => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Unknown,
    };
    if framing == Framing::Unknown && way.arrival.head.version < Version::HTTP_11 {
        return passed_whole(way, session, exchange, answer).await;
    }
    let mut out = answer_head(way, exchange, answer, framing, false)?;
    for encoding in head.headers.get_all(header::CONTENT_ENCODING) {
        let _ = out.append_header(header::CONTENT_ENCODING, encoding.clone());
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

/// A body of unknown length for an HTTP/1.0 client, who could not tell a cut from an end: whole
/// with its length if it fits what may be held, else not at all.
async fn passed_whole(
    way: &Way<'_>,
    session: &mut ServerSession,
    exchange: &mut Exchange,
    answer: &mut Answer,
) -> Result<(), Failure> {
    let hold_bytes = exchange.serving.snapshot.rules.bounds.hold_bytes;
    let mut whole = Vec::new();
    loop {
        match answer.piece(exchange).await {
            Ok(Some(piece)) if whole.len() + piece.len() > hold_bytes => {
                return Err(told(ProblemCode::VersionNotSupported, Fault::Client));
            }
            Ok(Some(piece)) => whole.extend_from_slice(&piece),
            Ok(None) => break,
            Err(BodyFault::Slow) => {
                return Err(told(ProblemCode::UpstreamTimeout, Fault::Upstream));
            }
            Err(BodyFault::Broken) => {
                return Err(told(ProblemCode::UpstreamUnavailable, Fault::Upstream));
            }
        }
    }
    let framing = Framing::Length(whole.len() as u64);
    let mut out = answer_head(way, exchange, answer, framing, false)?;
    if let Some(head) = answer.head() {
        for encoding in head.headers.get_all(header::CONTENT_ENCODING) {
            let _ = out.append_header(header::CONTENT_ENCODING, encoding.clone());
        }
    }
    respond::write_head(session, out).await?;
    Ok(respond::write_body(session, Bytes::from(whole), true).await?)
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
    let head_only = way.arrival.head.method == Method::HEAD;
    let mut sender = Sender {
        way,
        content_type,
        hold_bytes,
        held: Vec::new(),
        head_sent: false,
        head_only,
        forgotten: false,
    };
    let result = filtered(session, exchange, answer, &mut filter, &mut sender).await;
    exchange.totals = Some(*filter.totals());
    result
}

/// A single row that may turn out hidden must be judged before the head goes: 404 or 200.
fn hold_bytes(job: &gateway_rewrite::Job, bounds: &Bounds) -> usize {
    if job.shape.is_single() && job.rows.is_in_force() {
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
    /// The body is judged, and only its length is told.
    head_only: bool,
    /// A body that is only judged became longer than is held; its length is not known any more.
    forgotten: bool,
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
        if self.head_only {
            self.held.clear();
            self.forgotten = true;
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
        let mut piece = Bytes::from(std::mem::take(&mut self.held));
        if !self.head_sent {
            let whole = Framing::Length(piece.len() as u64);
            let framing = if self.forgotten { Framing::None } else { whole };
            self.send_head(session, exchange, answer, framing).await?;
        }
        if self.head_only {
            piece.clear();
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
