//! Filters filter, pages join without gap or duplicate, identity headers narrow.

#![allow(clippy::unwrap_used)]

mod wire;

use std::collections::HashSet;

use colonnade_upstream::{EXAMPLE_CALL, Service};
use serde_json::Value;
use wire::{Upstream, start};

/// More pages than any walk below needs: a walk that does not end fails instead of hanging.
const PAGES_MAX: usize = 60;

async fn walk_by_offset(upstream: &Upstream, target: &str, limit: usize) -> Vec<Value> {
    let mut rows = Vec::new();
    for page in 0..PAGES_MAX {
        let offset = page * limit;
        let body = upstream.get(&format!("{target}&limit={limit}&offset={offset}")).await.json();
        assert_eq!(body["pagination"]["limit"], limit);
        assert_eq!(body["pagination"]["offset"], offset);
        rows.extend(body["data"].as_array().unwrap().iter().cloned());
        if body["pagination"]["has_more"] == false {
            return rows;
        }
    }
    panic!("{target} has no last page");
}

/// `at` names where the envelope keeps the cursor.
async fn walk_by_cursor(upstream: &Upstream, target: &str, at: (&str, &str)) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let body = upstream.get(&format!("{target}&limit=17{cursor}")).await.json();
        rows.extend(body["data"].as_array().unwrap().iter().cloned());
        let envelope = &body[at.0];
        match envelope[at.1].as_str() {
            Some(next) => {
                cursor = format!("&cursor={}", next.replace('=', "%3D").replace('+', "%2B"))
            }
            None => {
                assert_eq!(envelope["has_more"], false);
                return rows;
            }
        }
        assert_eq!(envelope["has_more"], true);
    }
    panic!("{target} has no last page");
}

fn distinct(rows: &[Value], id: &str) -> usize {
    rows.iter().map(|row| row[id].to_string()).collect::<HashSet<_>>().len()
}

/// E1, E4, E7: the offset walk of each list gives every row once.
#[tokio::test]
async fn a_walk_by_offset_meets_every_row_once() {
    for (service, target, id, least) in [
        (Service::Calls, "/api/calls?start_date=2026-01-01", "call_id", 2_000),
        (Service::Calls, "/api/calls/pre-call-transfers?start_date=2026-01-01", "call_id", 200),
        (Service::Coach, "/api/coach?start_date=2026-01-01", "call_id", 500),
        (Service::Leads, "/api/leads?start_date=2026-01-01", "id", 350),
    ] {
        let upstream = start(service).await;
        let rows = walk_by_offset(&upstream, target, 97).await;
        assert!(rows.len() >= least, "{target}: {}", rows.len());
        assert_eq!(distinct(&rows, id), rows.len(), "{target}");
        let whole = walk_by_offset(&upstream, target, 1_000).await;
        assert_eq!(rows, whole, "{target}");
    }
}

/// E8: the cursor walk of each list gives every row once, and all of them.
#[tokio::test]
async fn a_walk_by_cursor_meets_every_row_once() {
    let leads = start(Service::Leads).await;
    let v1 = ("pagination", "cursor");
    for (target, id, at) in [
        ("/api/v1/teams/101/leads?start_date=2026-01-01", "id", v1),
        ("/api/v1/enterprise/7/leads?start_date=2026-01-01", "id", v1),
        ("/api/v1/teams/101/sessions?start_date=2026-01-01", "session_id", v1),
        ("/api/v1/sessions?start_date=2026-01-01", "session_id", v1),
        ("/api/v1/bookings?start_date=2026-01-01", "session_id", v1),
        ("/api/v1/teams/101/outbound/events?start_date=2026-01-01", "id", v1),
        (
            "/api/v1/teams/101/outbound/campaign-texts?start_date=2026-01-01&campaign_name=winter-check",
            "id",
            v1,
        ),
        ("/api/simple_scheduler_booking_requests?status=new", "id", ("meta", "next_cursor")),
    ] {
        let rows = walk_by_cursor(&leads, target, at).await;
        let whole = leads.rows(&format!("{target}&limit=500"), &[]).await;
        assert!(rows.len() > 17, "{target} fits one page");
        assert_eq!(distinct(&rows, id), rows.len(), "{target}");
        assert_eq!(rows, whole, "{target}");
    }
}

/// Each filter keeps some rows and drops some, and keeps only what it names.
#[tokio::test]
async fn filters_keep_what_they_name() {
    let (calls, leads) = (start(Service::Calls).await, start(Service::Leads).await);
    let all = "start_date=2026-01-01&limit=500";
    for (upstream, plain, filter, path, value) in [
        (&calls, "/api/calls/pre-call-transfers", "rule_types=SPAM", "/rule_type", "SPAM"),
        (&leads, "/api/leads", "type=text", "/type", "text"),
        (&leads, "/api/v1/teams/101/leads", "status=failed", "/status", "failed"),
        (&leads, "/api/v1/teams/101/leads", "medium=yelp", "/source/medium", "yelp"),
        (&leads, "/api/v1/teams/101/leads", "source=angi", "/source/name", "angi"),
        (&leads, "/api/v1/sessions", "status=pending", "/status", "pending"),
        (&leads, "/api/v1/sessions", "team_id=102", "/team_id", "102"),
        (&leads, "/api/v1/teams/101/sessions", "scheduler_id=1011", "/scheduler_id", "1011"),
        (
            &leads,
            "/api/v1/teams/101/outbound/events",
            "action=customer_subscribed",
            "/action",
            "customer_subscribed",
        ),
        (&leads, "/api/simple_scheduler_booking_requests", "status=done", "/status", "done"),
    ] {
        let every = upstream.rows(&format!("{plain}?{all}"), &[]).await;
        let kept = upstream.rows(&format!("{plain}?{all}&{filter}"), &[]).await;
        assert!(!kept.is_empty() && kept.len() < every.len(), "{plain} {filter}");
        for row in &kept {
            let found = row.pointer(path).unwrap().to_string();
            assert_eq!(found.trim_matches('"'), value, "{plain} {filter}");
        }
    }
}

#[tokio::test]
async fn dates_are_half_open_and_default_to_the_last_week() {
    let calls = start(Service::Calls).await;
    let days = |rows: &[Value]| -> Vec<String> {
        rows.iter().map(|row| row["created_at"].as_str().unwrap()[..10].to_owned()).collect()
    };
    let one = days(
        &calls.rows("/api/calls?start_date=2026-11-03&end_date=2026-11-04&limit=1000", &[]).await,
    );
    assert!(!one.is_empty() && one.iter().all(|day| day == "2026-11-03"), "{one:?}");
    let week = days(&calls.rows("/api/calls?limit=1000", &[]).await);
    assert!(week.iter().all(|day| day.as_str() >= "2026-11-13"));
    assert!(week.len() > 200);
}

#[tokio::test]
async fn switches_add_or_remove_what_they_say() {
    let (calls, leads) = (start(Service::Calls).await, start(Service::Leads).await);
    let v1 = "/api/v1/teams/101/leads?start_date=2026-01-01&limit=500";
    let plain = leads.rows(v1, &[]).await;
    assert!(plain.iter().all(|row| row["raw"]["Lead"].is_object()));
    let bare = leads.rows(&format!("{v1}&include_raw=false"), &[]).await;
    assert_eq!(bare.len(), plain.len());
    assert!(bare.iter().all(|row| row.get("raw").is_none()));
    for switch in ["include_ignored=true", "include_test_numbers=true"] {
        assert!(leads.rows(&format!("{v1}&{switch}"), &[]).await.len() > plain.len(), "{switch}");
    }
    let ids = |rows: Vec<Value>| -> Vec<u64> {
        rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(
        ids(calls.rows("/api/v1/teams", &[("x-colonnade-account", "7")]).await),
        [101, 102, 103]
    );
    let with_test = calls
        .rows("/api/v1/teams?include_test_teams=true", &[("x-colonnade-account", "acme")])
        .await;
    assert_eq!(ids(with_test), [101, 102, 103, 109]);
    let utm =
        leads.rows("/api/simple_scheduler_booking_requests?has_utm=true&limit=500", &[]).await;
    assert!(!utm.is_empty() && utm.iter().all(|row| row["request_data"]["utm"].is_object()));
}

/// T1 to T4: a team header, an account header, and two teams that disagree.
#[tokio::test]
async fn identity_headers_narrow_the_rows() {
    let (calls, leads) = (start(Service::Calls).await, start(Service::Leads).await);
    let all = "/api/calls?start_date=2026-01-01&limit=1000";
    for header in ["x-team-id", "x-colonnade-team"] {
        let rows = calls.rows(all, &[(header, "102")]).await;
        assert!(!rows.is_empty() && rows.iter().all(|row| row["team_id"] == 102), "{header}");
    }
    let rows = calls.rows(all, &[("x-team-id", "102"), ("x-colonnade-team", "101")]).await;
    assert!(rows.iter().all(|row| row["team_id"] == 101), "the gateway's header wins");
    let rows = calls.rows(all, &[("x-colonnade-account", "8")]).await;
    assert!(!rows.is_empty() && rows.iter().all(|row| row["team_id"].as_u64() > Some(200)));
    assert!(calls.rows(all, &[("x-colonnade-account", "nobody")]).await.is_empty());
    for (headers, status) in [
        ([("x-team-id", "999")], 404),
        ([("x-team-id", "north")], 400),
        ([("x-colonnade-account", "8")], 404),
        ([("x-team-id", "102")], 404),
        ([("x-team-id", "101")], 200),
    ] {
        let answer = leads.send("GET", "/api/v1/teams/101/leads", &headers).await;
        assert_eq!(answer.status, status, "{headers:?}");
    }
}

/// P3 to P7: where rows carry no flag, the upstream enforces the data scope it is told.
#[tokio::test]
async fn the_data_scope_decides_over_rows_without_flags() {
    let (calls, leads) = (start(Service::Calls).await, start(Service::Leads).await);
    let rows = calls.rows("/api/calls?start_date=2026-01-01&limit=1000", &[]).await;
    let mut private = None;
    for row in
        rows.iter().filter(|row| row["is_private"] == true && row["user_email"] == "ann@acme.test")
    {
        let target = format!("/api/calls/{}/transcript", row["call_id"].as_str().unwrap());
        if calls.get(&target).await.status == 200 {
            private = Some(target);
            break;
        }
    }
    let (private, public) = (private.unwrap(), format!("/api/calls/{EXAMPLE_CALL}/transcript"));
    for (scope, user, sees_private, sees_public) in [
        ("org_full", "", 200, 200),
        ("legacy", "", 200, 200),
        ("org_non_private", "", 404, 200),
        ("user_full", "u_ann", 200, 200),
        ("user_non_private", "ann@acme.test", 404, 200),
        ("user_full", "u_dan", 404, 404),
        ("user_full", "", 404, 404),
        ("all_of_it", "", 404, 404),
    ] {
        let headers = [("x-colonnade-data-scope", scope), ("x-colonnade-user", user)];
        for (target, expected) in [(&private, sees_private), (&public, sees_public)] {
            let status = calls.send("GET", target, &headers).await.status;
            assert_eq!(status, expected, "{scope} {user} {target}");
        }
    }
    let v1 = "/api/v1/teams/101/leads?start_date=2026-01-01&limit=500";
    let (full, limited) = (
        leads.rows(v1, &[]).await,
        leads.rows(v1, &[("x-colonnade-data-scope", "org_non_private")]).await,
    );
    assert!(!limited.is_empty() && limited.len() < full.len());
}
