//! Writes heads and the gateway's own answers to the client.

use std::time::Duration;

use bytes::Bytes;
use gateway_policy::{ErrorStyle, Paid, Problem, UnixMs};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;

use crate::clock::http_date;
use crate::exchange::Exchange;
use crate::head::X_REQUEST_ID;
use crate::plain_text::push_number;
use crate::watched::Watched;

const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// How long an HTTP/2 client may leave no window for one of the gateway's own answers.
const OWN_ANSWER_TIME: Duration = Duration::from_secs(5);

/// For answers that are one caller's own.
pub(crate) const NEVER_STORED: HeaderValue = HeaderValue::from_static("private, no-store");

/// What an answer usually has, with room for what Pingora adds.
const HEADERS: usize = 24;

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

/// A head in the making: what every answer carries, and what its kind adds.
///
/// Collected in a plain map: Pingora's own heads look every name up for the letter case to write it
/// in, and keep a second map of that.
#[derive(Debug)]
pub(crate) struct Draft {
    version: Version,
    status: StatusCode,
    headers: HeaderMap,
}

impl Draft {
    /// With request id, limits and `nosniff`.
    pub(crate) fn new(exchange: &Exchange, version: Version, status: StatusCode) -> Draft {
        let mut draft = Draft { version, status, headers: HeaderMap::with_capacity(HEADERS) };
        draft.set_text(X_REQUEST_ID, &exchange.request_id);
        draft.set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(paid) = &exchange.paid {
            draft.limits(paid);
        }
        draft
    }

    /// Adds a header; one of the same name stays.
    pub(crate) fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.append(name, value);
    }

    /// The same for words of our own making, which stay away where no header can carry them.
    fn set_text(&mut self, name: HeaderName, text: &str) {
        if let Ok(value) = HeaderValue::from_str(text) {
            self.set(name, value);
        }
    }

    /// Sends it. The status goes into the exchange's record.
    pub(crate) async fn send(
        self,
        session: &mut ServerSession,
        exchange: &mut Exchange,
        framing: Framing,
    ) -> Result<(), ClientGone> {
        exchange.status = self.status.as_u16();
        if let Some(date) = self.headers.get(header::DATE) {
            tell_date(session, date);
        }
        let head = Box::new(self.framed(framing));
        session.write_response_header(head).await.map_err(|_| ClientGone)
    }

    fn framed(mut self, framing: Framing) -> ResponseHeader {
        match framing {
            Framing::Length(bytes) => self.set(header::CONTENT_LENGTH, bytes.into()),
            Framing::Unknown if self.version == Version::HTTP_11 => {
                self.set(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            Framing::Unknown | Framing::None => {}
        }
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.version = self.version;
        parts.status = self.status;
        parts.headers = self.headers;
        ResponseHeader::from(parts)
    }

    /// The X- trio of the shown limit, and the IETF pair of all
    /// (draft-ietf-httpapi-ratelimit-headers).
    fn limits(&mut self, paid: &Paid) {
        let states = paid.allowance.states();
        if let Some(shown) = states.get(paid.quotas.shown()) {
            self.set(X_RATELIMIT_LIMIT, shown.limit.into());
            self.set(X_RATELIMIT_REMAINING, shown.remaining.into());
            self.set(X_RATELIMIT_RESET, shown.reset_at_s.into());
        }
        let (mut policy, mut state) = (String::with_capacity(48), String::with_capacity(48));
        for (quota, now) in paid.quotas.iter().zip(states) {
            let window_s = quota.window_ms.div_ceil(1_000);
            let allowed = [("q", u64::from(quota.requests)), ("w", window_s)];
            let left = [("r", u64::from(now.remaining)), ("t", now.resets_in_s)];
            push_item(&mut policy, &quota.name, allowed);
            push_item(&mut state, &quota.name, left);
        }
        self.set_text(RATELIMIT_POLICY, &policy);
        self.set_text(RATELIMIT, &state);
    }
}

/// Has the next head say when the upstream answered. Over HTTP/2, or where that is no date, it says when
/// it is written.
fn tell_date(session: &ServerSession, date: &HeaderValue) {
    let connection = session.stream().and_then(|stream| stream.as_any().downcast_ref::<Watched>());
    let date = date.to_str().ok().and_then(|text| httpdate::parse_http_date(text).ok());
    if let (Some(connection), Some(date)) = (connection, date) {
        connection.redate(date);
    }
}

/// An item of a list with its parameters, `"name";a=1;b=2` (RFC 9651 §3.1).
fn push_item(list: &mut String, name: &str, parameters: [(&str, u64); 2]) {
    list.push_str(if list.is_empty() { "\"" } else { ", \"" });
    list.push_str(name);
    list.push('"');
    for (key, value) in parameters {
        list.push(';');
        list.push_str(key);
        list.push('=');
        push_number(list, value);
    }
}

/// Answers with a problem. Its code goes into the exchange's record.
pub(crate) async fn problem(
    session: &mut ServerSession,
    exchange: &mut Exchange,
    problem: &Problem,
) -> Result<(), ClientGone> {
    let style = exchange.serving.snapshot.rules.errors;
    exchange.code = Some(problem.code.as_str());
    let body = problem.render(style, &exchange.request_id);
    if problem.close {
        session.set_keepalive(None);
    }
    let status = StatusCode::from_u16(problem.status).map_err(|_| ClientGone)?;
    let mut draft = Draft::new(exchange, session.req_header().version, status);
    draft.set(header::CONTENT_TYPE, HeaderValue::from_static(body.content_type));
    draft.set(header::CACHE_CONTROL, NEVER_STORED);
    if let Some(challenge) = problem.challenge() {
        draft.set_text(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = problem.retry_after_s {
        draft.set(header::RETRY_AFTER, seconds.into());
    }
    if let Some(allow) = &problem.allow {
        draft.set_text(header::ALLOW, allow);
    }
    own(session, exchange, draft, Bytes::from(body.body)).await
}

/// Answers 200 with a body of the gateway's own.
pub(crate) async fn page(
    session: &mut ServerSession,
    exchange: &mut Exchange,
    headers: &[(HeaderName, HeaderValue)],
    body: Bytes,
) -> Result<(), ClientGone> {
    let mut draft = Draft::new(exchange, session.req_header().version, StatusCode::OK);
    for (name, value) in headers {
        draft.set(name.clone(), value.clone());
    }
    own(session, exchange, draft, body).await
}

/// Sends one of the gateway's own answers whole.
async fn own(
    session: &mut ServerSession,
    exchange: &mut Exchange,
    draft: Draft,
    body: Bytes,
) -> Result<(), ClientGone> {
    let bodiless = session.req_header().method == Method::HEAD;
    // Over HTTP/1 the kernel takes it. Here a client may have left no room for it, and it is worth no longer wait.
    if session.req_header().version == Version::HTTP_2 {
        session.set_write_timeout(Some(OWN_ANSWER_TIME));
    }
    draft.send(session, exchange, Framing::Length(body.len() as u64)).await?;
    let body = if bodiless { Bytes::new() } else { body };
    write_body(session, body, true).await
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
    let retry_after = problem
        .retry_after_s
        .map_or_else(String::new, |seconds| format!("retry-after: {seconds}\r\n"));
    let mut bytes = format!(
        "HTTP/1.1 {} {}\r\n{retry_after}content-type: {}\r\ncontent-length: {}\r\nx-request-id: {request_id}\r\n\
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
