//! From an upstream's answer to the client's hands.
//!
//! The answer's head waits until its body has ended or [`Bounds::hold_bytes`] of judged output lie
//! ready: a fault until then is a clean error however the bytes arrive; one later cuts the answer.

use bytes::Bytes;
use gateway_policy::{BodyPlan, Bounds, Problem, ProblemCode, ResponseFacts, plan_body};
use gateway_rewrite::Rewriter;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Version};
use pingora::protocols::http::ServerSession;

use crate::answer::{Answer, BodyFault};
use crate::coding::{Coding, Decoder};
use crate::exchange::{Exchange, Failure, Fault};
use crate::filter::{Filter, FilterError};
use crate::head::{method_up, returned};
use crate::relay::{Way, is_reset, told};
use crate::respond::{self, Draft, Framing};

/// Brings the answer to the client as its plan says.
pub(crate) async fn carry(
    way: &Way<'_>,
    session: &mut ServerSession,
    exchange: &mut Exchange,
    answer: &mut Answer,
) -> Result<(), Failure> {
    let headers = answer.headers().ok_or_else(headless)?;
    let facts = ResponseFacts { status: answer.status, headers };
    match plan_body(way.admission, method_up(way.arrival, way.admission), &facts) {
        BodyPlan::Replace => Err(replaced(answer.status, headers)),
        BodyPlan::Refuse(why) => Err(unfilterable(exchange, why.label())),
        _ if answer.is_misframed() => Err(unfilterable(exchange, "framing")),
        BodyPlan::HeadOnly { content_type } => {
            let mut draft = draft(way, exchange, answer, true)?;
            if let Some(content_type) = content_type {
                draft.set(header::CONTENT_TYPE, content_type);
            }
            answer.give_back_if_ended();
            draft.send(session, exchange, Framing::None).await?;
            Ok(respond::write_body(session, Bytes::new(), true).await?)
        }
        BodyPlan::Pass => passed(way, session, exchange, answer).await,
        BodyPlan::Rewrite { content_type } => {
            let codings = headers.get_all(header::CONTENT_ENCODING).iter();
            let coding = Coding::from_headers(codings.map(HeaderValue::as_bytes))
                .map_err(|error| unfilterable(exchange, error.label()))?;
            rewritten(way, session, exchange, answer, coding, content_type).await
        }
    }
}

fn headless() -> Failure {
    told(ProblemCode::UpstreamUnavailable, Fault::Upstream)
}

/// The gateway's own words for an upstream's error status.
fn replaced(status: StatusCode, headers: &HeaderMap) -> Failure {
    let mut problem = Problem::upstream_status(status.as_u16());
    if problem.code != ProblemCode::NotFound {
        let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        problem.retry_after_s = seconds.and_then(|text| text.parse().ok());
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        problem.allow = allowed(headers);
    }
    let fault = if status.is_client_error() { Fault::Client } else { Fault::Upstream };
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

/// The head of an answer that comes from the upstream, but for its framing. Made before the body is
/// read: the upstream's own head goes with its connection.
fn draft(
    way: &Way<'_>,
    exchange: &mut Exchange,
    answer: &Answer,
    rewritten: bool,
) -> Result<Draft, Failure> {
    let headers = answer.headers().ok_or_else(headless)?;
    let mut draft = Draft::new(exchange, way.arrival.head.version, answer.status);
    for (name, value) in returned(headers, way.admission, rewritten) {
        draft.set(name.clone(), value.clone());
    }
    if !rewritten {
        for encoding in headers.get_all(header::CONTENT_ENCODING) {
            draft.set(header::CONTENT_ENCODING, encoding.clone());
        }
    }
    Ok(draft)
}

/// Every byte as it is: a route that hides nothing.
async fn passed(
    way: &Way<'_>,
    session: &mut ServerSession,
    exchange: &mut Exchange,
    answer: &mut Answer,
) -> Result<(), Failure> {
    let headers = answer.headers().ok_or_else(headless)?;
    let bodiless = way.arrival.head.method == Method::HEAD
        || matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let framing = match length.and_then(|text| text.parse().ok()) {
        _ if bodiless => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Unknown,
    };
    let draft = draft(way, exchange, answer, false)?;
    if framing == Framing::Unknown && way.arrival.head.version < Version::HTTP_11 {
        return passed_whole(session, exchange, answer, draft).await;
    }
    if framing == Framing::Length(0) {
        nothing(exchange, answer).await?;
    }
    answer.give_back_if_ended();
    draft.send(session, exchange, framing).await?;
    if bodiless {
        return Ok(respond::write_body(session, Bytes::new(), true).await?);
    }
    loop {
        let piece = tokio::select! {
            biased;
            piece = answer.piece(exchange) => piece,
            () = is_reset(session) => return Err(Failure::ClientGone),
        };
        match piece {
            Ok(Some(piece)) => respond::write_body(session, piece, false).await?,
            Ok(None) => return Ok(respond::write_body(session, Bytes::new(), true).await?),
            Err(_) => return Err(Failure::Cut(Fault::Upstream)),
        }
    }
}

/// The end of a body that was said to be empty. Over HTTP/2 it may come behind its head, or not be one, and who
/// has been told of no byte would take that for whole.
async fn nothing(exchange: &mut Exchange, answer: &mut Answer) -> Result<(), Failure> {
    match answer.piece(exchange).await {
        Ok(None) => Ok(()),
        Err(BodyFault::Slow) => Err(told(ProblemCode::UpstreamTimeout, Fault::Upstream)),
        Ok(Some(_)) | Err(BodyFault::Broken) => {
            Err(told(ProblemCode::UpstreamUnavailable, Fault::Upstream))
        }
    }
}

/// A body of unknown length for an HTTP/1.0 client, who could not tell a cut from an end: whole
/// with its length if it fits what may be held, else not at all.
async fn passed_whole(
    session: &mut ServerSession,
    exchange: &mut Exchange,
    answer: &mut Answer,
    draft: Draft,
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
    draft.send(session, exchange, Framing::Length(whole.len() as u64)).await?;
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
    let mut draft = draft(way, exchange, answer, true)?;
    draft.set(header::CONTENT_TYPE, content_type);
    let mut sender = Sender {
        draft: Some(draft),
        hold_bytes: hold_bytes(&job, &bounds),
        held: Vec::new(),
        head_only: way.arrival.head.method == Method::HEAD,
        forgotten: false,
    };
    let decoder = Decoder::new(coding, bounds.decoded_body_bytes);
    let mut filter = Filter::new(decoder, Rewriter::new(job));
    filtered(session, exchange, answer, &mut filter, &mut sender).await
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
    sender: &mut Sender,
) -> Result<(), Failure> {
    loop {
        let piece = tokio::select! {
            biased;
            piece = answer.piece_in_place(exchange) => piece,
            () = is_reset(session) => return Err(Failure::ClientGone),
        };
        match piece {
            Ok(Some(mut rest)) => {
                // What is kept of a plain body is no longer than it was.
                sender.held.reserve(rest.len());
                loop {
                    let step = filter.step(&mut rest, &mut sender.held);
                    // At once: whatever ends the exchange from here on, what was hidden counts.
                    exchange.totals = Some(*filter.totals());
                    let stepped = step.map_err(|error| sender.fault(exchange, &error))?;
                    if !stepped || !filter.has_more(rest) {
                        break;
                    }
                    sender.flush(session, exchange).await?;
                }
            }
            Ok(None) => break,
            Err(BodyFault::Slow) if !sender.has_sent_head() => {
                return Err(told(ProblemCode::UpstreamTimeout, Fault::Upstream));
            }
            Err(BodyFault::Broken) if !sender.has_sent_head() => {
                return Err(unfilterable(exchange, "truncated"));
            }
            Err(_) => return Err(Failure::Cut(Fault::Upstream)),
        }
        // Before the client may keep us waiting.
        answer.give_back_if_ended();
        sender.flush(session, exchange).await?;
    }
    answer.give_back_if_ended();
    let end = filter.end(&mut sender.held);
    exchange.totals = Some(*filter.totals());
    let totals = end.map_err(|error| sender.fault(exchange, &error))?;
    if totals.single_row_hidden {
        // A row that may not be seen does not exist.
        return Err(if sender.has_sent_head() {
            Failure::Cut(Fault::Gateway)
        } else {
            told(ProblemCode::NotFound, Fault::None)
        });
    }
    sender.finish(session, exchange).await
}

/// Judged output on its way to the client.
struct Sender {
    /// `None` once it is sent.
    draft: Option<Draft>,
    hold_bytes: usize,
    held: Vec<u8>,
    /// The body is judged, and only its length is told.
    head_only: bool,
    /// A body that is only judged became longer than is held; its length is not known any more.
    forgotten: bool,
}

impl Sender {
    fn has_sent_head(&self) -> bool {
        self.draft.is_none()
    }

    fn fault(&self, exchange: &mut Exchange, error: &FilterError) -> Failure {
        let failure = unfilterable(exchange, error.label());
        if self.has_sent_head() { Failure::Cut(Fault::Upstream) } else { failure }
    }

    /// Sends what is judged, once it is more than may be held.
    async fn flush(
        &mut self,
        session: &mut ServerSession,
        exchange: &mut Exchange,
    ) -> Result<(), Failure> {
        let waits = !self.has_sent_head() && self.held.len() <= self.hold_bytes;
        if self.held.is_empty() || waits {
            return Ok(());
        }
        if self.head_only {
            self.held.clear();
            self.forgotten = true;
            return Ok(());
        }
        if let Some(draft) = self.draft.take() {
            draft.send(session, exchange, Framing::Unknown).await?;
        }
        let piece = Bytes::from(std::mem::take(&mut self.held));
        Ok(respond::write_body(session, piece, false).await?)
    }

    async fn finish(
        &mut self,
        session: &mut ServerSession,
        exchange: &mut Exchange,
    ) -> Result<(), Failure> {
        let mut piece = Bytes::from(std::mem::take(&mut self.held));
        if let Some(draft) = self.draft.take() {
            let whole = Framing::Length(piece.len() as u64);
            draft
                .send(session, exchange, if self.forgotten { Framing::None } else { whole })
                .await?;
        }
        if self.head_only {
            piece.clear();
        }
        Ok(respond::write_body(session, piece, true).await?)
    }
}
