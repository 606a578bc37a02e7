//! Heads on their way up: the request as it goes on, and the answer's as it comes back.
//!
//! What goes up is built from nothing: the route's target byte for byte, a short list of the
//! client's headers, and the gateway's own. A header that is not named here stays behind, and
//! with it the credential, every hop-by-hop header and any copy of the gateway's identity headers.

use gateway_policy::Admission;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Scheme;
use http::{Method, Request, Uri, Version};
use pingora::http::RequestHeader;

use crate::arrival::Arrival;
use crate::client_address::forwarded_for;
use crate::exchange::Exchange;

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_COLONNADE_KEY_ID: HeaderName = HeaderName::from_static("x-colonnade-key-id");
const X_COLONNADE_ACCOUNT: HeaderName = HeaderName::from_static("x-colonnade-account");
const X_COLONNADE_DATA_SCOPE: HeaderName = HeaderName::from_static("x-colonnade-data-scope");
const X_COLONNADE_SCOPES: HeaderName = HeaderName::from_static("x-colonnade-scopes");
const X_COLONNADE_TEAM: HeaderName = HeaderName::from_static("x-colonnade-team");
const X_COLONNADE_USER: HeaderName = HeaderName::from_static("x-colonnade-user");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What a request that goes up usually has.
const HEADERS_UP: usize = 24;

/// The method that goes up. Whether a row that stands alone is hidden shows in its body alone, so
/// HEAD asks there as GET does: it must not tell of rows that GET hides.
pub(crate) fn method_up<'a>(arrival: &Arrival<'a>, admission: &Admission) -> &'a Method {
    let job = admission.grant().job();
    match &arrival.head.method {
        &Method::HEAD if job.shape.is_single() && job.rows.is_in_force() => &Method::GET,
        method => method,
    }
}

/// Client headers that always go up.
static FORWARDED: [HeaderName; 5] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::USER_AGENT,
    HeaderName::from_static("idempotency-key"),
];

/// Never up on a filtered route: they ask for a part, a coding, or a comparison with an answer that
/// another policy may have made.
static NEVER_WHEN_FILTERED: [HeaderName; 6] = [
    header::RANGE,
    header::IF_RANGE,
    header::ACCEPT_ENCODING,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::TE,
];

/// Why a request could not be written for the upstream: an id that no header may carry.
#[derive(Debug, thiserror::Error)]
#[error("an identity cannot be written as a header")]
pub(crate) struct UnwritableHead;

/// What the outbound head is made from.
pub(crate) struct Outbound<'a> {
    pub(crate) admission: &'a Admission,
    pub(crate) arrival: &'a Arrival<'a>,
    pub(crate) body_bytes: Option<usize>,
    pub(crate) exchange: &'a Exchange,
    pub(crate) team_header: Option<&'a HeaderName>,
}

impl Outbound<'_> {
    /// Builds the head for a server whose `Host` is `host`.
    ///
    /// # Errors
    /// [`UnwritableHead`]; the text of `host` included, which is `None` where no header can carry it.
    pub(crate) fn build(
        &self,
        host: Option<&HeaderValue>,
    ) -> Result<Box<RequestHeader>, UnwritableHead> {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = method_up(self.arrival, self.admission).clone();
        parts.version = Version::HTTP_11;
        parts.headers = self.headers(host.ok_or(UnwritableHead)?.clone())?;
        let mut up = RequestHeader::from(parts);
        up.set_raw_path(self.arrival.target).map_err(|_| UnwritableHead)?;
        Ok(Box::new(up))
    }

    /// The same for HTTP/2, where `Host` is said as `:authority` (RFC 9113 §8.3.1). Nothing that is meant for
    /// one connection is among the headers.
    ///
    /// # Errors
    /// [`UnwritableHead`]
    pub(crate) fn build_http2(
        &self,
        host: Option<&HeaderValue>,
        scheme: Scheme,
    ) -> Result<Request<()>, UnwritableHead> {
        let host = host.ok_or(UnwritableHead)?;
        let mut headers = self.headers(host.clone())?;
        headers.remove(header::HOST);
        request_http2(
            method_up(self.arrival, self.admission),
            self.arrival.target,
            host,
            scheme,
            headers,
        )
    }

    /// In a plain map: Pingora's own heads look every name up for the letter case to write it in.
    fn headers(&self, host: HeaderValue) -> Result<HeaderMap, UnwritableHead> {
        let mut headers = HeaderMap::with_capacity(HEADERS_UP);
        headers.append(header::HOST, host);
        if let Some(length) = self.body_bytes {
            headers.append(header::CONTENT_LENGTH, length.into());
        }
        for (name, value) in self.forwarded() {
            headers.append(name, value.clone());
        }
        let mut set = |name: HeaderName, text: &str| -> Result<(), UnwritableHead> {
            headers.append(name, HeaderValue::from_str(text).map_err(|_| UnwritableHead)?);
            Ok(())
        };
        self.identity(&mut set)?;
        self.hops(&mut set)?;
        Ok(headers)
    }

    /// The client's headers that go on.
    fn forwarded(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let route = self.admission.grant().route();
        let filtered = !self.admission.grant().job().is_identity();
        let writes =
            !matches!(self.arrival.head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let team = self.team_header;
        let usual = FORWARDED.iter().chain(writes.then_some(&header::IF_MATCH));
        each_once(usual, &route.forward_headers)
            .flat_map(|name| {
                self.arrival.head.headers.get_all(name).iter().map(move |value| (name, value))
            })
            .filter(move |(name, _)| {
                !(filtered && NEVER_WHEN_FILTERED.contains(name))
                    && Some(*name) != team
                    && may_be_forwarded(name)
                    && !is_for_this_hop(&self.arrival.head.headers, name)
            })
    }

    /// Who asks, in our words.
    fn identity(&self, set: &mut impl SetText) -> Result<(), UnwritableHead> {
        let grant = self.admission.grant();
        let key = grant.principal().key();
        set(X_COLONNADE_KEY_ID, key.id.as_str())?;
        set(X_COLONNADE_ACCOUNT, key.account.id.as_str())?;
        set(X_COLONNADE_DATA_SCOPE, key.data_scope.as_str())?;
        set(X_COLONNADE_SCOPES, &key.scopes_text)?;
        set(X_REQUEST_ID, &self.exchange.request_id)?;
        set(TRACEPARENT, self.exchange.trace.header())?;
        if let Some(user) = &key.user {
            set(X_COLONNADE_USER, user.id.as_str())?;
        }
        let Some(team) = grant.team() else { return Ok(()) };
        set(X_COLONNADE_TEAM, team.as_str())?;
        self.team_header.map_or(Ok(()), |name| set(name.clone(), team.as_str()))
    }

    /// `X-Forwarded-*`: our own words, or a trusted proxy's with ours behind them.
    fn hops(&self, set: &mut impl SetText) -> Result<(), UnwritableHead> {
        let trusted = &self.arrival.listener.trusted_proxies;
        let peer = self.arrival.peer.ip();
        let believed = self.arrival.is_from_trusted_proxy();
        let own_proto = if self.arrival.listener.tls { "https" } else { "http" };
        let from_proxy = |name: &HeaderName| {
            self.arrival.head.headers.get(name).filter(|_| believed)?.to_str().ok()
        };
        let hops = forwarded_for(peer, self.arrival.forwarded_for(), trusted);
        set(X_FORWARDED_FOR, &hops)?;
        set(X_FORWARDED_PROTO, from_proxy(&X_FORWARDED_PROTO).unwrap_or(own_proto))?;
        let own_host = || host_of(self.arrival.head);
        set(X_FORWARDED_HOST, from_proxy(&X_FORWARDED_HOST).unwrap_or_else(own_host))
    }
}

/// # Errors
/// [`UnwritableHead`] where host or target cannot be a part of a URI.
pub(crate) fn request_http2(
    method: &Method,
    target: &[u8],
    host: &HeaderValue,
    scheme: Scheme,
    headers: HeaderMap,
) -> Result<Request<()>, UnwritableHead> {
    let uri = Uri::builder().scheme(scheme).authority(host.as_bytes()).path_and_query(target);
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method.clone();
    parts.version = Version::HTTP_2;
    parts.uri = uri.build().map_err(|_| UnwritableHead)?;
    parts.headers = headers;
    Ok(Request::from_parts(parts, ()))
}

/// Adds a header of the gateway's own words.
trait SetText: FnMut(HeaderName, &str) -> Result<(), UnwritableHead> {}
impl<F: FnMut(HeaderName, &str) -> Result<(), UnwritableHead>> SetText for F {}

/// The usual headers and a route's own; one that is both goes on once.
fn each_once<'a>(
    usual: impl Iterator<Item = &'a HeaderName> + Clone,
    own: &'a [HeaderName],
) -> impl Iterator<Item = &'a HeaderName> {
    let known = usual.clone();
    usual.chain(own.iter().filter(move |name| known.clone().all(|known| known != *name)))
}

/// Whether a `Connection` line says that a header is meant for its receiver alone (RFC 9110 §7.6.1).
fn is_for_this_hop(headers: &HeaderMap, name: &HeaderName) -> bool {
    let lines = headers.get_all(header::CONNECTION).iter().map(HeaderValue::as_bytes);
    lines
        .flat_map(|line| line.split(|&byte| byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// A second lock behind the configuration's own check of `forward_headers`.
fn may_be_forwarded(name: &HeaderName) -> bool {
    let name = name.as_str();
    !(name.starts_with("x-colonnade-")
        || name.starts_with("x-forwarded-")
        || name.starts_with("proxy-")
        || matches!(
            name,
            "authorization"
                | "x-api-key"
                | "connection"
                | "keep-alive"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
                | "host"
                | "content-length"
                | "expect"
                | "x-request-id"
                | "traceparent"
        ))
}

fn host_of(head: &RequestHeader) -> &str {
    let named = head.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    named.or_else(|| head.uri.authority().map(|authority| authority.as_str())).unwrap_or("")
}

/// Upstream headers that come back on every answer.
static RETURNED: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    header::CACHE_CONTROL,
    header::DATE,
    header::RETRY_AFTER,
    header::ALLOW,
];

/// Never back, whatever `return_headers` says, once a body was rewritten: they describe the
/// upstream's own bytes, and change when a hidden column changes.
static NEVER_WHEN_REWRITTEN: [HeaderName; 11] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// The upstream's headers that come back.
pub(crate) fn returned<'a>(
    headers: &'a HeaderMap,
    admission: &'a Admission,
    rewritten: bool,
) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
    each_once(RETURNED.iter(), &admission.grant().route().return_headers)
        // Most of the names are not there: what is there is judged.
        .flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)))
        .filter(move |(name, _)| {
            !(rewritten && NEVER_WHEN_REWRITTEN.contains(name))
                && may_be_returned(name)
                && !is_for_this_hop(headers, name)
        })
}

fn may_be_returned(name: &HeaderName) -> bool {
    let name = name.as_str();
    !(name.starts_with("x-ratelimit-")
        || name.starts_with("ratelimit")
        || name.starts_with("x-colonnade-")
        || name.starts_with("proxy-")
        || matches!(
            name,
            "connection"
                | "keep-alive"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
                | "content-length"
                | "www-authenticate"
                | "x-request-id"
                | "x-content-type-options"
                | "server"
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_usual_and_listed_goes_on_once() {
        let own = [header::ACCEPT, header::IF_MATCH, HeaderName::from_static("x-mode")];
        let names: Vec<&str> =
            each_once([header::ACCEPT, header::USER_AGENT, header::IF_MATCH].iter(), &own)
                .map(HeaderName::as_str)
                .collect();
        assert_eq!(names, ["accept", "user-agent", "if-match", "x-mode"]);
    }
}
