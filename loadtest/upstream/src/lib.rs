//! Stand-in upstreams: the services `calls`, `coach` and `leads` that Colonnade stands in front of.
//!
//! They serve made-up but realistic data in the shapes of Avoca's published enterprise API, 31
//! operations with their filters and both kinds of pagination. The demo embeds this library, tests
//! start it on a port of the kernel's choice, and load runs use the binary, so all three see the
//! same bytes: rows come from a small seeded generator and "now" is a constant
//! (2026-11-20T12:00:00Z). No clock is read.
//!
//! What the upstream honours, because `visibility: upstream` and team rules rely on it:
//!
//! | header | effect |
//! | --- | --- |
//! | `X-Colonnade-Team`, else `x-team-id` | only that team's rows; 400 when no integer, 404 when unknown |
//! | `X-Colonnade-Account` | only the teams of that enterprise, by id (`7`) or slug (`acme`); none when unknown |
//! | `X-Colonnade-Data-Scope`, `X-Colonnade-User` | rows without flags in the body (transcripts, transfers, leads v1, scheduler) |
//!
//! Rows of `/api/calls`, `/api/coach` and `/api/leads` carry `is_private`, `user_email` and
//! `team_id`: hiding them is left to the gateway on purpose.
//!
//! Beside the operations every service answers `GET /healthz`, `GET /bench/{bytes}`,
//! `GET /_slow/{ms}`, `GET /_journal` and `DELETE /_journal`.
//!
//! Not here: credentials, scopes, limits. An upstream trusts its gateway.
//!
//! Cost: the tables take a few megabytes once a process; an ordinary answer is one scan of a table of at
//! most 2,400 rows and one copy of the page.

mod analytics;
mod answer;
mod ask;
mod bench;
mod calls;
mod coach;
mod draw;
mod journal;
mod json;
mod leads;
mod leads_v1;
mod moment;
mod operations;
mod outbound;
mod page;
mod scheduler;
mod scheduler_setup;
mod teams;
mod world;

pub use journal::{Journal, Recorded};
pub use operations::{EXAMPLE_CALL, EXAMPLE_COACH_CALL, EXAMPLE_SESSION, OPERATIONS, example};
pub use world::{ASSISTANTS, UNNAMED_ASSISTANTS};

use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

/// Which of the three upstreams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// `/api/calls*`, `/api/teams`, `/api/v1/teams`.
    Calls,
    /// `/api/coach*`.
    Coach,
    /// Leads v0 and v1, outbound, and everything of Simple Scheduler.
    Leads,
}

/// The service's routes, recording into `journal`.
///
/// The journal sees a request before its handler runs, so whoever holds an answer finds the request
/// in it. Requests to `/_journal` itself are not recorded.
pub fn router(service: Service, journal: Journal) -> Router {
    let operations = match service {
        Service::Calls => calls::routes().merge(teams::routes()),
        Service::Coach => coach::routes(),
        Service::Leads => leads::routes()
            .merge(leads_v1::routes())
            .merge(outbound::routes())
            .merge(scheduler::routes())
            .merge(scheduler_setup::routes())
            .merge(analytics::routes()),
    };
    operations
        .route("/healthz", get(answer::healthy))
        .route("/bench/{bytes}", get(bench::body))
        .route("/_slow/{ms}", get(answer::slow))
        .fallback(answer::no_such_path)
        .method_not_allowed_fallback(answer::no_such_method)
        .layer(axum::middleware::from_fn_with_state(journal.clone(), journal::record))
        .merge(journal::routes(journal))
}

/// Serves until the task is dropped. The caller binds, so it knows the port before the first request.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    journal: Journal,
) -> std::io::Result<()> {
    // Small answers must not wait for the peer's delayed ACK; load figures would show it as latency.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, router(service, journal)).await
}
