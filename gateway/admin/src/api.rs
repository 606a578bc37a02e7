//! The admin API as far as a directory in a file needs it: status and reload. Everything that
//! would change the directory answers 409: the file is the place to change it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::json;

use crate::auth::{AdminToken, Permission, Tokens, Unauthorised};

/// What this node serves.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub version: &'static str,
    pub revision: u64,
    pub keys: usize,
    pub draining: bool,
    pub last_reload: ReloadOutcome,
}

/// How the last reload went.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReloadOutcome {
    pub ok: bool,
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Why nothing was changed.
    pub faults: Vec<String>,
    /// Records that were left out of what is served.
    pub left_out: Vec<String>,
}

type Reloading = Pin<Box<dyn Future<Output = ReloadOutcome> + Send>>;

/// What the admin API shows and sets off.
#[derive(Clone)]
pub struct AdminParts {
    pub tokens: Arc<dyn Fn() -> Tokens + Send + Sync>,
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    pub reload: Arc<dyn Fn() -> Reloading + Send + Sync>,
}

impl std::fmt::Debug for AdminParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminParts")
    }
}

/// The routes of the admin listener.
pub fn router(parts: AdminParts) -> Router {
    Router::new()
        .route("/admin/v1/status", get(status))
        .route("/admin/v1/reload", post(reload))
        .fallback(elsewhere)
        .with_state(parts)
}

async fn status(State(parts): State<AdminParts>, headers: HeaderMap) -> Response {
    match admitted(&parts, &headers) {
        Ok(_) => axum::Json((parts.status)()).into_response(),
        Err(refusal) => *refusal,
    }
}

async fn reload(State(parts): State<AdminParts>, headers: HeaderMap) -> Response {
    let token = match admitted(&parts, &headers) {
        Ok(token) => token,
        Err(refusal) => return *refusal,
    };
    if token.permissions.iter().all(|permission| *permission == Permission::Read) {
        let detail = "A token that may only read cannot reload.";
        return problem(StatusCode::FORBIDDEN, "permission_missing", detail);
    }
    let outcome = (parts.reload)().await;
    let status = if outcome.ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    (status, axum::Json(outcome)).into_response()
}

async fn elsewhere(State(parts): State<AdminParts>, request: Request) -> Response {
    if let Err(refusal) = admitted(&parts, request.headers()) {
        return *refusal;
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads || !request.uri().path().starts_with("/admin/v1/") {
        return problem(StatusCode::NOT_FOUND, "not_found", "Nothing is found here.");
    }
    let detail = "The directory is a file and is changed there; this API only reads it.";
    problem(StatusCode::CONFLICT, "read_only_store", detail)
}

fn admitted(parts: &AdminParts, headers: &HeaderMap) -> Result<AdminToken, Box<Response>> {
    match (parts.tokens)().authenticate(headers) {
        Ok(token) => Ok(token),
        Err(Unauthorised::NoTokenConfigured) => Err(Box::new(problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_admin_token",
            "No admin token is configured. Set `admin.tokens`, or start with COLONNADE_ADMIN_TOKEN.",
        ))),
        Err(Unauthorised::NoSuchToken) => {
            let mut response = problem(
                StatusCode::UNAUTHORIZED,
                "invalid_admin_token",
                "The admin token is missing or wrong.",
            );
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            Err(Box::new(response))
        }
    }
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let body = json!({
        "type": format!("urn:colonnade:admin-problem:{code}"),
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
    });
    let headers =
        [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}
