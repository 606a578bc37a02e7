//! The 31 published operations: they answer, in the published envelopes, the same bytes each time.

#![allow(clippy::unwrap_used)]

mod wire;

use colonnade_upstream::{
    EXAMPLE_CALL, EXAMPLE_COACH_CALL, EXAMPLE_SESSION, OPERATIONS, Service, example,
};
use wire::{Upstream, start};

/// Members of the envelope, from the published document.
fn envelope(pattern: &str) -> &'static [&'static str] {
    match pattern {
        "/api/calls/{id}" | "/api/calls/{id}/transcript" | "/api/calls/latest-by-phone" => {
            &["data"]
        }
        "/api/coach/{id}" | "/api/coach/rubrics" | "/api/v1/teams" | "/api/v1/analytics/funnel" => {
            &["data"]
        }
        "/api/simple_scheduler_config" => &["data"],
        "/api/teams" => &["teams"],
        "/api/calls" | "/api/calls/pre-call-transfers" | "/api/leads" | "/api/coach" => {
            &["data", "pagination"]
        }
        "/api/v1/sessions" | "/api/v1/bookings" => &["data", "pagination"],
        "/api/scheduler-analytics" => &["data", "metadata", "pagination"],
        "/api/scheduler-analytics/summary" => &["data", "metadata"],
        "/api/simple_scheduler_booking_requests" => &["data", "meta"],
        "/api/v1/teams/{teamId}/sessions/{sessionId}" => &["data", "meta"],
        "/api/v1/teams/{teamId}/bookings/{bookingId}" => &["data", "meta"],
        p if p.ends_with("/schedulers") || p.contains("/teams/{teamId}/analytics/") => {
            &["data", "meta"]
        }
        _ => &["data", "meta", "pagination"],
    }
}

async fn all() -> [(Service, Upstream); 3] {
    let of = |service| async move { (service, start(service).await) };
    [of(Service::Calls).await, of(Service::Coach).await, of(Service::Leads).await]
}

fn pick(upstreams: &[(Service, Upstream); 3], service: Service) -> &Upstream {
    let (_, upstream) = upstreams.iter().find(|(s, _)| *s == service).unwrap();
    upstream
}

/// E1 to E9: every operation answers in its envelope, with rows, from its own service alone.
#[tokio::test]
async fn every_operation_answers_in_its_published_envelope() {
    let upstreams = all().await;
    assert_eq!(OPERATIONS.len(), 31);
    for &(method, pattern, _, service) in OPERATIONS {
        let target = example(pattern).unwrap_or_else(|| panic!("{pattern} has no example"));
        let answer = pick(&upstreams, service).send(method, target, &[("x-team-id", "101")]).await;
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(answer.header("content-type").as_deref(), Some("application/json"), "{target}");
        assert_eq!(
            answer.header("content-length"),
            Some(answer.body.len().to_string()),
            "{target}"
        );
        let body = answer.json();
        let mut members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, envelope(pattern), "{target}");
        let rows = body.get("data").or_else(|| body.get("teams")).unwrap();
        let empty = rows.as_array().is_some_and(Vec::is_empty)
            || rows.as_object().is_some_and(|o| o.is_empty());
        assert!(!empty, "{target} shows nothing");
        for (other, upstream) in &upstreams {
            let expected = if *other == service { 200 } else { 404 };
            assert_eq!(upstream.get(target).await.status, expected, "{target} at {other:?}");
        }
    }
}

#[tokio::test]
async fn the_same_request_gets_the_same_bytes_from_every_start_and_build() {
    let (first, second) = (all().await, all().await);
    for &(_, pattern, _, service) in OPERATIONS {
        let target = example(pattern).unwrap();
        let a = pick(&first, service).get(target).await;
        let b = pick(&second, service).get(target).await;
        assert_eq!(a.body, b.body, "{target}");
    }
    // A hash of one page holds the bytes against accidental change from build to build.
    let page =
        pick(&first, Service::Calls).get("/api/calls?limit=1000&start_date=2026-01-01").await;
    assert_eq!(sha256(&page.body), CALLS_PAGE_SHA256);
}

/// Of the 1,000 newest calls. Changes when the generator does; then review what else changed.
const CALLS_PAGE_SHA256: &str = "d1efe20a452351cead3bfceaaeaf4e73d42b4f68fa9fd5ef63c162dbb48a97e3";

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_example_rows_are_public_and_belong_to_ann_in_team_101() {
    let upstreams = all().await;
    for (service, target, id) in [
        (Service::Calls, format!("/api/calls/{EXAMPLE_CALL}"), EXAMPLE_CALL.to_owned()),
        (
            Service::Coach,
            format!("/api/coach/{EXAMPLE_COACH_CALL}"),
            EXAMPLE_COACH_CALL.to_string(),
        ),
    ] {
        let row = pick(&upstreams, service).get(&target).await.json()["data"].clone();
        assert_eq!(row["call_id"].to_string().trim_matches('"'), id);
        assert_eq!((&row["team_id"], &row["is_private"]), (&101.into(), &false.into()), "{target}");
        assert_eq!(row["user_email"], "ann@acme.test");
    }
    let target = format!("/api/v1/teams/101/bookings/{EXAMPLE_SESSION}");
    assert_eq!(
        pick(&upstreams, Service::Leads).get(&target).await.json()["data"]["status"],
        "booked"
    );
}

/// C1, M1: the columns beyond the published ones, the odd spellings, and every kind of flag occur.
#[tokio::test]
async fn calls_hold_what_a_filter_must_cope_with() {
    let calls = start(Service::Calls).await;
    let answer = calls.get("/api/calls?limit=1000&start_date=2026-01-01").await;
    let text = String::from_utf8(answer.body).unwrap();
    for token in [
        "\"is_private\":true",
        "\"is_private\":false",
        "\"is_private\":null",
        "\"is_private\":\"false\"",
        "\"cost\":1.0,",
        "\"cost\":-0,",
        "\"cost\":1E5,",
        "\"cost\":123456789012345678901234567890,",
        "asst_retired_2024",
        "\"user_email\":null",
        "\u{7389}\u{82f1}",
        "\\\"quoted\\\"",
    ] {
        assert!(text.contains(token), "{token}");
    }
    let body: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = body["data"].as_array().unwrap();
    assert!(rows.iter().any(|row| row.get("is_private").is_none()));
    let mut fractions: Vec<usize> = rows
        .iter()
        .map(|row| {
            row["created_at"].as_str().unwrap().split_once('.').map_or(0, |(_, f)| f.len() - 1)
        })
        .collect();
    fractions.sort_unstable();
    fractions.dedup();
    assert_eq!(fractions, [0, 1, 2, 3, 4, 5, 6], "fractional digits of created_at");
}

#[tokio::test]
async fn what_does_not_exist_is_a_flat_json_error() {
    let upstreams = all().await;
    for (service, method, target, status, message) in [
        (
            Service::Calls,
            "GET",
            "/api/calls/00000000-0000-4000-8000-000000000000",
            404,
            "Call not found",
        ),
        (
            Service::Calls,
            "GET",
            "/api/calls?limit=0",
            400,
            "limit must be an integer from 1 to 1000",
        ),
        (
            Service::Calls,
            "GET",
            "/api/calls?limit=1001",
            400,
            "limit must be an integer from 1 to 1000",
        ),
        (
            Service::Calls,
            "GET",
            "/api/calls?start_date=soon",
            400,
            "start_date must be a date or an RFC 3339 time",
        ),
        (Service::Calls, "GET", "/api/calls/latest-by-phone", 400, "phone is required"),
        (Service::Calls, "GET", "/api/calls?team_id=999", 404, "Team not found"),
        (Service::Calls, "POST", "/api/calls", 405, "This path does not serve that method"),
        (Service::Calls, "GET", "/api/nope", 404, "Path not found"),
        (Service::Coach, "GET", "/api/coach/1", 404, "Coach call not found"),
        (Service::Leads, "GET", "/api/v1/teams/999/leads", 404, "Team not found"),
        (Service::Leads, "GET", "/api/v1/enterprise/9/leads", 404, "Enterprise not found"),
        (
            Service::Leads,
            "GET",
            "/api/v1/teams/101/leads?cursor=x",
            400,
            "cursor must be one that an earlier page gave",
        ),
        (
            Service::Leads,
            "GET",
            "/api/v1/teams/103/sessions",
            403,
            "Team 103 does not use Simple Scheduler",
        ),
        (
            Service::Leads,
            "GET",
            "/api/v1/teams/101/outbound/campaign-texts",
            400,
            "campaign_name is required",
        ),
    ] {
        let answer = pick(&upstreams, service).send(method, target, &[]).await;
        assert_eq!(answer.status, status, "{target}");
        let body = answer.json();
        assert_eq!(body["message"], message, "{target}");
        assert!(body["error"].is_string(), "{target}");
    }
    let answer = pick(&upstreams, Service::Calls).send("DELETE", "/api/calls", &[]).await;
    assert_eq!(answer.header("allow").as_deref(), Some("GET,HEAD"));
}
