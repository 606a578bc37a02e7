//! Answers that are no page: errors in Avoca's flat form, and the routes every service has.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::json;

/// Longest pause `/_slow` makes: above every time-out a gateway would sensibly have.
const SLOW_MS_MAX: u64 = 600_000;

/// Why an upstream does not answer 200.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{name} is required")]
    Missing { name: &'static str },
    #[error("{name} must be {rule}")]
    Parameter { name: &'static str, rule: String },
    #[error("the query is not readable")]
    Query,
    #[error("{what} not found")]
    NotFound { what: &'static str },
    #[error("Transcript not available for this call")]
    NoTranscript,
    #[error("Team {team} does not use Simple Scheduler")]
    NoScheduler { team: u32 },
    #[error("This path does not serve that method")]
    Method,
    #[error("The body is longer than {bytes_max} bytes")]
    BodyTooLarge { bytes_max: usize },
}

impl Fault {
    fn status(&self) -> StatusCode {
        match self {
            Fault::Missing { .. } | Fault::Parameter { .. } | Fault::Query => {
                StatusCode::BAD_REQUEST
            }
            Fault::NotFound { .. } | Fault::NoTranscript => StatusCode::NOT_FOUND,
            Fault::NoScheduler { .. } => StatusCode::FORBIDDEN,
            Fault::Method => StatusCode::METHOD_NOT_ALLOWED,
            Fault::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = json::object(|o| {
            o.text("error", status.canonical_reason().unwrap_or("Error"));
            o.text("message", &self.to_string());
        });
        (status, json_body(body)).into_response()
    }
}

/// A 200 whose body is this JSON text. Its length is known, so `Content-Length` is set.
pub(crate) fn json_body(text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(crate) async fn healthy() -> Response {
    json_body(r#"{"status":"ok"}"#)
}

/// Sleeps, then answers: for time-outs and draining.
pub(crate) async fn slow(Path(ms): Path<String>) -> Result<Response, Fault> {
    let fault =
        || Fault::Parameter { name: "ms", rule: format!("an integer from 0 to {SLOW_MS_MAX}") };
    let ms: u64 = ms.parse().map_err(|_| fault())?;
    if ms > SLOW_MS_MAX {
        return Err(fault());
    }
    tokio::time::sleep(Duration::from_millis(ms)).await;
    Ok(json_body(format!(r#"{{"data":{{"slept_ms":{ms}}}}}"#)))
}

pub(crate) async fn no_such_path() -> Fault {
    Fault::NotFound { what: "Path" }
}

pub(crate) async fn no_such_method() -> Fault {
    Fault::Method
}
