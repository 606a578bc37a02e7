//! The 31 published operations, as a table that tests and documentation loop over.
//!
//! Sources: Avoca's OpenAPI document, version 1.3.0 (methods, paths, permissions).

use crate::Service::{self, Calls, Coach, Leads};

const CALLS: &str = "calls:read";
const TRANSCRIPTS: &str = "transcripts:read";
const TEAMS: &str = "teams:read";
const COACH: &str = "coach:read";
const LEADS: &str = "leads:read";
const SCHEDULER: &str = "scheduler_analytics:read";
const OUTBOUND: &str = "outbound:read";

/// Method, path pattern, permission as `resource:action`, and the service that answers.
pub const OPERATIONS: &[(&str, &str, &str, Service)] = &[
    ("GET", "/api/calls", CALLS, Calls),
    ("GET", "/api/calls/{id}", CALLS, Calls),
    ("GET", "/api/calls/{id}/transcript", TRANSCRIPTS, Calls),
    ("GET", "/api/calls/latest-by-phone", CALLS, Calls),
    ("GET", "/api/calls/pre-call-transfers", CALLS, Calls),
    ("GET", "/api/leads", LEADS, Leads),
    ("GET", "/api/teams", TEAMS, Calls),
    ("GET", "/api/coach", COACH, Coach),
    ("GET", "/api/coach/{id}", COACH, Coach),
    ("GET", "/api/coach/rubrics", COACH, Coach),
    ("GET", "/api/scheduler-analytics", SCHEDULER, Leads),
    ("GET", "/api/scheduler-analytics/summary", SCHEDULER, Leads),
    ("GET", "/api/simple_scheduler_booking_requests", SCHEDULER, Leads),
    ("GET", "/api/simple_scheduler_config", SCHEDULER, Leads),
    ("GET", "/api/v1/teams", TEAMS, Calls),
    ("GET", "/api/v1/teams/{teamId}/schedulers", SCHEDULER, Leads),
    ("GET", "/api/v1/teams/{teamId}/sessions", SCHEDULER, Leads),
    ("GET", "/api/v1/teams/{teamId}/sessions/{sessionId}", SCHEDULER, Leads),
    ("GET", "/api/v1/teams/{teamId}/bookings", SCHEDULER, Leads),
    ("GET", "/api/v1/teams/{teamId}/bookings/{bookingId}", SCHEDULER, Leads),
    ("GET", "/api/v1/teams/{teamId}/analytics/funnel", SCHEDULER, Leads),
    ("GET", "/api/v1/teams/{teamId}/analytics/utm", SCHEDULER, Leads),
    ("GET", "/api/v1/teams/{teamId}/analytics/service-areas", SCHEDULER, Leads),
    ("GET", "/api/v1/teams/{teamId}/analytics/issue-types", SCHEDULER, Leads),
    ("GET", "/api/v1/teams/{teamId}/leads", LEADS, Leads),
    ("GET", "/api/v1/teams/{teamId}/outbound/campaign-texts", OUTBOUND, Leads),
    ("GET", "/api/v1/teams/{teamId}/outbound/events", OUTBOUND, Leads),
    ("GET", "/api/v1/enterprise/{enterpriseId}/leads", LEADS, Leads),
    ("GET", "/api/v1/sessions", SCHEDULER, Leads),
    ("GET", "/api/v1/bookings", SCHEDULER, Leads),
    ("GET", "/api/v1/analytics/funnel", SCHEDULER, Leads),
];

/// A call of team 101 that is not private, belongs to `ann@acme.test` and has a transcript.
pub const EXAMPLE_CALL: &str = "7d9f1c52-3b6e-4a08-9c41-5e2f60a1b7d3";

/// A coach evaluation of team 101 that is not private and belongs to `ann@acme.test`.
pub const EXAMPLE_COACH_CALL: u64 = 48_000_013;

/// A booked session of team 101, so it answers as a session and as a booking.
pub const EXAMPLE_SESSION: &str = "sess_5b1e0c9d72f4";

/// A target that answers 200 for a pattern of [`OPERATIONS`], on team 101 of enterprise 7.
///
/// Targets without a team in the path work without a team header here; a gateway that asks
/// multi-team keys for one needs `x-team-id: 101` beside it.
pub fn example(pattern: &str) -> Option<&'static str> {
    Some(match pattern {
        "/api/calls" => "/api/calls?limit=5",
        "/api/calls/{id}" => "/api/calls/7d9f1c52-3b6e-4a08-9c41-5e2f60a1b7d3",
        "/api/calls/{id}/transcript" => {
            "/api/calls/7d9f1c52-3b6e-4a08-9c41-5e2f60a1b7d3/transcript"
        }
        "/api/calls/latest-by-phone" => "/api/calls/latest-by-phone?phone=%2B12025550123",
        "/api/calls/pre-call-transfers" => {
            "/api/calls/pre-call-transfers?rule_types=RECENT_CALLER,VIP_CUSTOMER"
        }
        "/api/leads" => "/api/leads?type=web_chat&limit=5",
        "/api/teams" => "/api/teams",
        "/api/coach" => "/api/coach?limit=5&timezone=America/Chicago",
        "/api/coach/{id}" => "/api/coach/48000013",
        "/api/coach/rubrics" => "/api/coach/rubrics",
        "/api/scheduler-analytics" => {
            "/api/scheduler-analytics?metrics=funnel,customer_events&limit=5"
        }
        "/api/scheduler-analytics/summary" => {
            "/api/scheduler-analytics/summary?timezone=America/New_York"
        }
        "/api/simple_scheduler_booking_requests" => {
            "/api/simple_scheduler_booking_requests?status=new&limit=5"
        }
        "/api/simple_scheduler_config" => "/api/simple_scheduler_config?team_id=101",
        "/api/v1/teams" => "/api/v1/teams?include_test_teams=true",
        "/api/v1/teams/{teamId}/schedulers" => "/api/v1/teams/101/schedulers",
        "/api/v1/teams/{teamId}/sessions" => "/api/v1/teams/101/sessions?status=booked&limit=5",
        "/api/v1/teams/{teamId}/sessions/{sessionId}" => {
            "/api/v1/teams/101/sessions/sess_5b1e0c9d72f4"
        }
        "/api/v1/teams/{teamId}/bookings" => "/api/v1/teams/101/bookings?limit=5",
        "/api/v1/teams/{teamId}/bookings/{bookingId}" => {
            "/api/v1/teams/101/bookings/sess_5b1e0c9d72f4"
        }
        "/api/v1/teams/{teamId}/analytics/funnel" => {
            "/api/v1/teams/101/analytics/funnel?start_date=2026-11-01"
        }
        "/api/v1/teams/{teamId}/analytics/utm" => "/api/v1/teams/101/analytics/utm",
        "/api/v1/teams/{teamId}/analytics/service-areas" => {
            "/api/v1/teams/101/analytics/service-areas"
        }
        "/api/v1/teams/{teamId}/analytics/issue-types" => "/api/v1/teams/101/analytics/issue-types",
        "/api/v1/teams/{teamId}/leads" => "/api/v1/teams/101/leads?include_raw=true&limit=5",
        "/api/v1/teams/{teamId}/outbound/campaign-texts" => {
            "/api/v1/teams/101/outbound/campaign-texts?campaign_name=winter-check"
        }
        "/api/v1/teams/{teamId}/outbound/events" => {
            "/api/v1/teams/101/outbound/events?action=outbound_message"
        }
        "/api/v1/enterprise/{enterpriseId}/leads" => "/api/v1/enterprise/7/leads?limit=5",
        "/api/v1/sessions" => "/api/v1/sessions?team_id=101&limit=5",
        "/api/v1/bookings" => "/api/v1/bookings?team_id=101&limit=5",
        "/api/v1/analytics/funnel" => "/api/v1/analytics/funnel?team_id=101",
        _ => return None,
    })
}
