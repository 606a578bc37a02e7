//! The control plane's HTTP: the telemetry listener and the admin API.
//!
//! Knows nothing of the proxy: what it tells and what it sets off is asked of a trait, [`ThisNode`].

mod accounts;
mod api;
mod audit;
mod auth;
mod data;
mod guard;
mod input;
mod keys;
mod limits;
mod listener;
mod node;
mod openapi;
mod ordered;
mod preview;
mod problem;
mod read;
mod scalar;
mod schema;
mod secrecy;
mod status;
mod telemetry;
mod time;
mod usage;
mod write;

pub use api::{openapi, router as admin_router};
pub use auth::{AdminToken, Permission, Tokens};
pub use listener::serve;
pub use node::{
    AdminParts, ColumnNotes, DirectoryStatus, KeyRules, KeyText, NewKey, NoRandomness, Preview,
    PreviewAsk, PreviewOf, Records, ReloadOutcome, ResourceNotes, ServerStatus, Status, ThisNode,
    UpstreamStatus,
};
pub use telemetry::{Probe, TelemetryParts, router as telemetry_router};
