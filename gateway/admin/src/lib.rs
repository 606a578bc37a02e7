//! The control plane's HTTP: the telemetry listener and the admin API.
//!
//! Knows nothing of the proxy: what it tells and what it sets off is handed in as functions.

mod api;
mod auth;
mod listener;
mod telemetry;

pub use api::{AdminParts, ReloadOutcome, Status, router as admin_router};
pub use auth::{AdminToken, Permission, Tokens};
pub use listener::serve;
pub use telemetry::{Probe, TelemetryParts, router as telemetry_router};
