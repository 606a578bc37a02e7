//! The gateway as the outside meets it: the real binary, real upstreams, bytes on sockets.
//!
//! One crate, so that it is linked once. Each test names the rows of the checklist that it proves.
//! The support of these tests is in `../support`; nothing here knows the product's crates.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod authentication;
mod avoca;
mod chunked_bodies;
mod commands;
mod connections;
mod credential_forms;
mod data_scopes;
mod descriptors;
mod desync;
mod docs;
mod failures;
mod fleets;
mod forwarding;
mod h2_floods;
mod h2c;
mod handover;
mod hostile_heads;
mod kept_connections;
mod lifecycle;
mod limits;
#[cfg(not(feature = "otel"))]
mod no_traces;
mod observability;
mod overload;
mod paths;
mod places;
mod query;
mod reload;
mod reload_files;
mod repeats;
mod resilience;
mod resilience_servers;
mod response_assistants;
mod response_chunks;
mod response_codings;
mod response_columns;
mod response_framing;
mod response_h2;
mod response_heads;
mod response_hold;
mod response_json;
mod response_large;
mod response_lines;
mod response_rows;
mod response_source;
mod response_statuses;
mod response_support;
mod response_timing;
mod samples;
mod scopes;
mod service_manager;
mod settings;
mod slow_clients;
mod stopping;
mod stored_keys;
mod stored_restarts;
mod teams;
mod tls;
mod tls_clients;
mod tls_names;
mod tls_renewal;
#[cfg(feature = "otel")]
mod traces;
mod upstream_frames;
mod upstream_h2;
mod upstream_tls;
mod upstream_versions;
