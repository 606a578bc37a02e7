//! What every request of the admin API goes through, whatever its path.
//!
//! The token first, then the route: who has no token learns nothing, not even which paths there are. A
//! handler's time is bounded, a problem is written down with the request's id, and every answer says
//! that it is not to be kept and is what its type says. There is no CORS header: pages of other
//! origins cannot read an answer.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use crate::api::Api;
use crate::auth::{AdminToken, Permission, Unauthorised};
use crate::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 128;
/// Wrong tokens of one address a minute that are answered as what they are; further ones get 429.
const FAILURES_MAX: u32 = 20;
/// Longest time that a request may take, its body, its store and all waiting included.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Where the connection comes from; the listener puts it into each request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Who asks, proved: `guard` is its only constructor.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    token: AdminToken,
    address: IpAddr,
    request_id: String,
}

impl Caller {
    pub(crate) fn name(&self) -> &str {
        &self.token.name
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// # Errors
    /// The token has not this permission.
    pub(crate) fn may(&self, permission: Permission) -> Result<(), Problem> {
        if self.token.permissions.contains(&permission) {
            return Ok(());
        }
        let detail = format!("This token lacks the permission `{}`.", permission.as_str());
        Err(Problem::new(StatusCode::FORBIDDEN, "permission_missing", detail))
    }

    /// # Errors
    /// The token may only read.
    pub(crate) fn may_change_something(&self) -> Result<(), Problem> {
        if self.token.permissions.iter().any(|held| *held != Permission::Read) {
            return Ok(());
        }
        let detail =
            "A token that may only read cannot reload: it needs `keys`, `data` or `accounts`.";
        Err(Problem::new(StatusCode::FORBIDDEN, "permission_missing", detail))
    }
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Caller, Problem> {
        // The guard stands before every route.
        parts.extensions.get::<Caller>().cloned().ok_or_else(wrong_token)
    }
}

/// Lets requests with a token through.
pub(crate) async fn guard(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response {
    let request_id = request_id(request.headers());
    let address = request.extensions().get::<ClientAddress>();
    let address = address.map_or(Ipv4Addr::UNSPECIFIED.into(), |address| address.0);
    let response = match admitted(&api, request.headers(), address) {
        Ok(token) => {
            let request_id = request_id.clone();
            request.extensions_mut().insert(Caller { token, address, request_id });
            match timeout(ANSWER_WITHIN, next.run(request)).await {
                Ok(response) => response,
                Err(_) => took_too_long().into_response(),
            }
        }
        Err(problem) => problem.into_response(),
    };
    finished(response, &request_id)
}

fn admitted(api: &Api, headers: &HeaderMap, from: IpAddr) -> Result<AdminToken, Problem> {
    match api.node().tokens().authenticate(headers) {
        Ok(token) => Ok(token),
        Err(Unauthorised::NoTokenConfigured) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_admin_token",
            "No admin token is configured. Set `admin.tokens`, or start with COLONNADE_ADMIN_TOKEN.",
        )),
        Err(Unauthorised::NoToken) => Err(wrong_token()),
        Err(Unauthorised::WrongToken) => match failed(api, from) {
            Ok(()) => Err(wrong_token()),
            Err(seconds) => Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_failures",
                "Too many wrong tokens came from this address. A right one is accepted at any time.",
            )
            .retry_after(seconds)),
        },
    }
}

fn failed(api: &Api, from: IpAddr) -> Result<(), u32> {
    api.throttle().failed(from, FAILURES_MAX, api.node().now())
}

fn wrong_token() -> Problem {
    let detail = "The admin token is missing or wrong.";
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_admin_token", detail)
}

fn took_too_long() -> Problem {
    let detail = "This took too long and was given up. A change may have been made: look before it is \
                  made again.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timed_out", detail).retry_after(5)
}

fn finished(mut response: Response, request_id: &str) -> Response {
    let mut problem = response.extensions_mut().remove::<Problem>();
    if problem.is_none() && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        // The router's own, which has the methods.
        problem = Some(Problem::method_not_allowed(response.headers_mut().remove(header::ALLOW)));
    }
    if let Some(problem) = problem {
        response = problem.written(request_id);
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// The client's where it has the form of one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let mut values = headers.get_all(REQUEST_ID).iter();
    let single = values.next().filter(|_| values.next().is_none());
    let is_good = |text: &&str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        (1..=REQUEST_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
    };
    let given = single.and_then(|value| value.to_str().ok()).filter(is_good);
    given.map_or_else(|| random_id("").unwrap_or_default(), str::to_owned)
}

/// A prefix and 20 characters of a random number: 100 bits.
pub(crate) fn random_id(prefix: &str) -> Option<String> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).ok()?;
    let digits = bytes.iter().map(|b| char::from(ALPHABET[usize::from(b & 31)]));
    Some(prefix.chars().chain(digits).collect())
}
