//! `/metrics`, `/livez`, `/readyz`, `/healthz`: for scrapers, orchestrators and load balancers.
//!
//! `/livez` says that the process answers; `/readyz` that a first snapshot is loaded and the
//! gateway is not draining. A store that is away fails neither.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Whether the gateway should get traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    Ready,
    Starting,
    Draining,
}

/// What the telemetry listener shows.
#[derive(Clone)]
pub struct TelemetryParts {
    /// The metrics in the Prometheus text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    pub probe: Arc<dyn Fn() -> Probe + Send + Sync>,
}

impl std::fmt::Debug for TelemetryParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TelemetryParts")
    }
}

/// The routes of the telemetry listener.
pub fn router(parts: TelemetryParts) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/healthz", get(ready))
        .with_state(parts)
}

async fn metrics(State(parts): State<TelemetryParts>) -> Response {
    let text = (parts.metrics)();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn ready(State(parts): State<TelemetryParts>) -> Response {
    match (parts.probe)() {
        Probe::Ready => (StatusCode::OK, "ok\n"),
        Probe::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting: no snapshot is loaded\n"),
        Probe::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
    .into_response()
}
