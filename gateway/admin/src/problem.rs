//! The errors of the admin API (RFC 9457), and the only place that gives them a status.
//!
//! A handler returns a [`Problem`]; the guard around all routes writes it down, because only there
//! the request's id is known.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gateway_store::{Refused, StoreError, WriteError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::input::bad_parameter;

/// Most faults of one body that are told.
const FAULTS_TOLD_MAX: usize = 50;
/// When a store that is away should be asked again.
const STORE_RETRY_S: u32 = 5;

/// A refusal, before it is written down.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Facts>);

#[derive(Debug, Clone)]
struct Facts {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<BodyFault>,
    retry_after_s: Option<u32>,
    allow: Option<HeaderValue>,
}

/// One thing that is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct BodyFault {
    /// Where (RFC 6901); empty for the body as a whole.
    pub(crate) pointer: String,
    /// What is wrong, and what would be right.
    pub(crate) detail: String,
}

impl BodyFault {
    pub(crate) fn new(pointer: impl Into<String>, detail: impl Into<String>) -> BodyFault {
        BodyFault { pointer: pointer.into(), detail: detail.into() }
    }
}

/// An error as it is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    #[serde(rename = "type")]
    uri: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// What programs tell errors apart by.
    code: &'static str,
    request_id: String,
    /// Everything that is wrong with the body; with 422 only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<BodyFault>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Problem(Box::new(Facts {
            status,
            code,
            detail,
            errors: Vec::new(),
            retry_after_s: None,
            allow: None,
        }))
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub(crate) fn not_found(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, code, detail)
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, code, detail)
    }

    /// All that is wrong with a body, in the order of the body.
    pub(crate) fn invalid(mut faults: Vec<BodyFault>) -> Problem {
        let detail = match faults.len() {
            1 => "One thing is wrong with the body.".to_owned(),
            count if count > FAULTS_TOLD_MAX => {
                format!("{count} things are wrong with the body; the first are told.")
            }
            count => format!("{count} things are wrong with the body."),
        };
        faults.truncate(FAULTS_TOLD_MAX);
        let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail);
        problem.0.errors = faults;
        problem
    }

    pub(crate) fn fault(pointer: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem::invalid(vec![BodyFault::new(pointer, detail)])
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Problem {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Of a response that the router made: a wrong method, with what is allowed.
    pub(crate) fn method_not_allowed(allow: Option<HeaderValue>) -> Problem {
        let detail = "This is not done with this method here; `Allow` says which are.";
        let mut problem =
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        problem.0.allow = allow;
        problem
    }

    /// The answer with its body.
    pub(crate) fn written(self, request_id: &str) -> Response {
        let Facts { status, code, detail, errors, retry_after_s, allow } = *self.0;
        let document = ProblemDocument {
            uri: format!("urn:colonnade:admin-problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail,
            code,
            request_id: request_id.to_owned(),
            errors,
        };
        let body = serde_json::to_string(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let problem_json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem_json);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = allow {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

/// Not yet written: the guard does it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.status;
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let detail = sentence(&refused);
        match refused {
            // The id is not repeated: people put keys there.
            Refused::NoSuchAccount(_) => {
                Problem::not_found("account_not_found", "There is no such account.")
            }
            Refused::NoSuchKey(_) => {
                let detail =
                    "There is no key of this id. A key's id is not the key: it begins with `key_`.";
                Problem::not_found("key_not_found", detail)
            }
            // They went away since the body was looked at.
            Refused::NoSuchUser(_) => Problem::fault("/user", "the account has no such user"),
            Refused::NoSuchTeam(_) => Problem::fault("/teams", "the account has no such team"),
            Refused::TeamHasColumns(_) => {
                Problem::fault("/teams", "a team that is left out has columns of its own")
            }
            Refused::AccountExists(_) => Problem::conflict("account_exists", detail),
            Refused::KeyExists(_) => Problem::conflict("key_exists", detail),
            Refused::DigestKnown => Problem::conflict("digest_known", detail),
            Refused::TooManyLiveKeys { .. } => Problem::conflict("too_many_live_keys", detail),
            Refused::Revoked => Problem::conflict("key_revoked", detail),
            Refused::Expired => Problem::conflict("key_expired", detail),
            Refused::Legacy => Problem::conflict("legacy_key", detail),
            Refused::RetryDiffers => Problem::conflict("idempotency_conflict", detail),
        }
    }
}

impl From<StoreError> for Problem {
    /// The cause is the operator's and goes to the log.
    fn from(error: StoreError) -> Problem {
        let unreadable = "The store holds what this version cannot read; the log says what.";
        let problem = match &error {
            StoreError::Cursor(_) => {
                return bad_parameter("cursor", "is what `next` of the page before says");
            }
            StoreError::Unreachable(_) => {
                let detail = "The store does not answer. Whether what was asked for was done is not \
                              certain; keys go on being judged by what is known.";
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Problem::new(status, "store_unavailable", detail).retry_after(STORE_RETRY_S)
            }
            StoreError::Full | StoreError::ReadOnly => {
                let detail = match error {
                    StoreError::Full => "The disk of the store is full; nothing was changed.",
                    _ => "The store may only be read; nothing was changed.",
                };
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Problem::new(status, "store_unavailable", detail).retry_after(STORE_RETRY_S)
            }
            StoreError::Corrupt(_) | StoreError::Schema(_) => {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store_unreadable", unreadable)
            }
        };
        tracing::warn!(%error, "an admin request failed at the store");
        problem
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Problem {
        match error {
            WriteError::Refused(refused) => refused.into(),
            WriteError::Store(error) => error.into(),
        }
    }
}

/// With a capital letter and a full stop.
fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => text,
    }
}
