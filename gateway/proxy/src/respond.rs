//! Writes heads and the gateway's own answers to the client.

use bytes::Bytes;
use gateway_policy::{ErrorStyle, Paid, Problem, UnixMs};
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use std::fmt::Write;

use crate::clock::http_date;
use crate::exchange::Exchange;

/// How a body will be framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    /// Chunked on HTTP/1.1, frames on HTTP/2, until close on HTTP/1.0.
    Unknown,
    /// No body and no length: 204, or the answer to HEAD.
    None,
}

/// The client could not be written to.
#[derive(Debug, thiserror::Error)]
#[error("the client is gone")]
pub(crate) struct ClientGone;

/// A head with what every answer carries: request id, limits, `nosniff`, framing.
pub(crate) fn head_for(
    exchange: &Exchange,
    version: Version,
    status: StatusCode,
    framing: Framing,
) -> Option<ResponseHeader> {
    let mut head = ResponseHeader::build_no_case(status, Some(16)).ok()?;
    head.set_version(version);
    let id = HeaderValue::from_str(&exchange.request_id).ok()?;
    head.append_header(HeaderName::from_static("x-request-id"), id).ok()?;
    head.append_header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")).ok()?;
    if let Some(paid) = &exchange.paid {
        limits(&mut head, paid)?;
    }
    match framing {
        Framing::Length(bytes) => {
            head.append_header(header::CONTENT_LENGTH, HeaderValue::from(bytes)).ok()?;
        }
        Framing::Unknown if version == Version::HTTP_11 => {
            head.append_header(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))
                .ok()?;
        }
        Framing::Unknown | Framing::None => {}
    }
    Some(head)
}

/// The X- trio of the shown limit, and the IETF pair of all (draft-ietf-httpapi-ratelimit-headers).
fn limits(head: &mut ResponseHeader, paid: &Paid) -> Option<()> {
    let states = paid.allowance.states();
    let shown = states.get(paid.quotas.shown())?;
    let trio = [
        ("x-ratelimit-limit", u64::from(shown.limit)),
        ("x-ratelimit-remaining", u64::from(shown.remaining)),
        ("x-ratelimit-reset", shown.reset_at_s),
    ];
    for (name, value) in trio {
        head.append_header(HeaderName::from_static(name), HeaderValue::from(value)).ok()?;
    }
    let (mut policy, mut state) = (String::with_capacity(48), String::with_capacity(48));
    for (quota, now) in paid.quotas.iter().zip(states) {
        let comma = if policy.is_empty() { "" } else { ", " };
        let window_s = quota.window_ms.div_ceil(1_000);
        write!(policy, "{comma}\"{}\";q={};w={window_s}", quota.name, quota.requests).ok()?;
        write!(state, "{comma}\"{}\";r={};t={}", quota.name, now.remaining, now.resets_in_s)
            .ok()?;
    }
    head.append_header(
        HeaderName::from_static("ratelimit-policy"),
        HeaderValue::from_str(&policy).ok()?,
    )
    .ok()?;
    head.append_header(HeaderName::from_static("ratelimit"), HeaderValue::from_str(&state).ok()?)
        .ok()?;
    Some(())
}

/// Answers with a problem. The status and code go into the exchange's record.
pub(crate) async fn problem(
    session: &mut ServerSession,
    exchange: &mut Exchange,
    problem: &Problem,
) -> Result<(), ClientGone> {
    let style = exchange.serving.snapshot.rules.errors;
    exchange.code = Some(problem.code.as_str());
    exchange.status = problem.status;
    let body = problem.render(style, &exchange.request_id);
    let head = problem_head(
        exchange,
        session.req_header().version,
        problem,
        body.content_type,
        body.body.len(),
    );
    if problem.close {
        session.set_keepalive(None);
    }
    let head = head.ok_or(ClientGone)?;
    own(session, exchange, head, Bytes::from(body.body)).await
}

fn problem_head(
    exchange: &Exchange,
    version: Version,
    problem: &Problem,
    content_type: &'static str,
    length: usize,
) -> Option<ResponseHeader> {
    let status = StatusCode::from_u16(problem.status).ok()?;
    let mut head = head_for(exchange, version, status, Framing::Length(length as u64))?;
    let mut set = |name: HeaderName, value: &str| -> Option<()> {
        head.append_header(name, HeaderValue::from_str(value).ok()?).ok().map(|_| ())
    };
    set(header::CONTENT_TYPE, content_type)?;
    set(header::CACHE_CONTROL, "private, no-store")?;
    if let Some(challenge) = problem.challenge() {
        set(header::WWW_AUTHENTICATE, challenge)?;
    }
    if let Some(seconds) = problem.retry_after_s {
        set(header::RETRY_AFTER, &seconds.to_string())?;
    }
    if let Some(allow) = &problem.allow {
        set(header::ALLOW, allow)?;
    }
    Some(head)
}

/// Sends one of the gateway's own answers whole.
pub(crate) async fn own(
    session: &mut ServerSession,
    exchange: &Exchange,
    mut head: ResponseHeader,
    body: Bytes,
) -> Result<(), ClientGone> {
    let date = HeaderValue::from_str(&http_date(exchange.began_at)).map_err(|_| ClientGone)?;
    head.append_header(header::DATE, date).map_err(|_| ClientGone)?;
    let bodiless = session.req_header().method == Method::HEAD;
    write_head(session, head).await?;
    let body = if bodiless { Bytes::new() } else { body };
    write_body(session, body, true).await
}

pub(crate) async fn write_head(
    session: &mut ServerSession,
    head: ResponseHeader,
) -> Result<(), ClientGone> {
    session.write_response_header(Box::new(head)).await.map_err(|_| ClientGone)
}

pub(crate) async fn write_body(
    session: &mut ServerSession,
    piece: Bytes,
    end: bool,
) -> Result<(), ClientGone> {
    session.write_response_body(piece, end).await.map_err(|_| ClientGone)
}

/// A refusal for bytes that never became a request: HTTP/1.1, and the connection is closed.
pub(crate) fn raw_problem(
    problem: &Problem,
    style: ErrorStyle,
    request_id: &str,
    at: UnixMs,
) -> Vec<u8> {
    let body = problem.render(style, request_id);
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut bytes = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nx-request-id: {request_id}\r\n\
         x-content-type-options: nosniff\r\ncache-control: private, no-store\r\ndate: {}\r\nconnection: close\r\n\r\n",
        status.as_str(),
        status.canonical_reason().unwrap_or("Error"),
        body.content_type,
        body.body.len(),
        http_date(at),
    )
    .into_bytes();
    bytes.extend_from_slice(&body.body);
    bytes
}
