//! Whole admissions, grouped by what the client is told (CONTRACT section 4).

#![allow(clippy::unwrap_used)]

mod ask;
mod reach;
mod teams;
mod world;

use ask::{Ask, KEY, outcome};
use gateway_policy::{Admitted, DataScope, Reading, RequestHead, RouteConflict, UnixMs, admit};
use http::Method;
use world::World;

/// The order of the decision: each request is wrong in one stage and in every later one that it can be.
#[test]
fn the_earliest_stage_that_refuses_decides() {
    let world = World::new();
    let (snapshot, meters) = world.snapshot();
    for (target, headers, expected) in [
        ("/api//calls?email=x", &[][..], "400 bad_request"),
        ("/nope?email=x", &[], "401 missing_api_key"),
        ("/nope?email=x", &[("authorization", "Bearer nobody")], "401 invalid_api_key"),
        ("/nope", &[("authorization", "Bearer revoked")], "401 invalid_api_key"),
        ("/nope", &[("authorization", "Bearer bob")], "403 owner_deactivated"),
        ("/nope", &[("authorization", "Bearer office")], "403 ip_not_allowed"),
        ("/nope?email=x", &[KEY], "404 not_found"),
        (
            "/api/calls?email=x",
            &[("authorization", "Bearer scopeless"), ("x-team-id", "9")],
            "400 column_not_allowed",
        ),
        (
            "/api/calls",
            &[("authorization", "Bearer scopeless"), ("x-team-id", "9")],
            "403 insufficient_scope",
        ),
        (
            "/api/whole",
            &[("authorization", "Bearer ann"), ("x-team-id", "9")],
            "403 team_not_allowed",
        ),
        ("/api/whole", &[("authorization", "Bearer ann")], "403 reach_not_allowed"),
        (
            "/api/plain",
            &[("authorization", "Bearer ann"), ("x-team-id", "101")],
            "403 data_scope_not_supported",
        ),
        ("/api/calls", &[KEY], "forward"),
        ("/api/key", &[KEY], "whoami"),
    ] {
        assert_eq!(
            outcome(&snapshot, meters, &Ask::get(target, headers)),
            expected,
            "{target} {headers:?}"
        );
    }
}

/// A2: whatever is wrong with a key, the client is told one thing.
#[test]
fn every_dead_key_is_told_the_same() {
    let world = World::new();
    let (snapshot, meters) = world.snapshot();
    let told = |headers: &[(&str, &str)]| {
        let problem = Ask::get("/api/calls", headers).of(&snapshot, meters).unwrap_err();
        problem.render(Default::default(), "id")
    };
    let unknown = told(&[("authorization", "Bearer nobody")]);
    for headers in [
        &[("authorization", "Bearer revoked")][..],
        &[("authorization", "Bearer expired")],
        &[("authorization", "Bearer a,b")],
        &[("authorization", "Bearer full"), ("x-api-key", "full")],
    ] {
        assert_eq!(told(headers), unknown, "{headers:?}");
    }
}

/// K17: the clock of the request decides, to the millisecond.
#[test]
fn a_key_is_refused_from_the_instant_it_expires() {
    let world = World::new();
    let (snapshot, meters) = world.snapshot();
    let expiry = world::EXPIRY.0;
    for (at, expected) in [
        (expiry - 1, "forward"),
        (expiry, "401 invalid_api_key"),
        (expiry + 1, "401 invalid_api_key"),
    ] {
        let ask = Ask {
            at: UnixMs(at),
            ..Ask::get("/api/calls", &[("authorization", "Bearer expires")])
        };
        assert_eq!(outcome(&snapshot, meters, &ask), expected, "at {at}");
    }
}

/// An end that a clock has reached once stays reached when the clock is set back; limits count by the time
/// as it is.
#[test]
fn a_key_that_has_expired_does_not_live_again() {
    let world = World::new();
    let (snapshot, meters) = world.snapshot();
    let (headers, method) = (ask::headers(&[("authorization", "Bearer expires")]), Method::GET);
    let head = RequestHead {
        method: &method,
        target: b"/api/calls",
        headers: &headers,
        client: "192.0.2.1".parse().unwrap(),
        padded_credential: false,
    };
    let expiry = world::EXPIRY.0;
    for (latest, passes) in [(expiry - 1, true), (expiry, false), (expiry + 3_600_000, false)] {
        let at = Reading { now: UnixMs(expiry - 1_000), latest: UnixMs(latest) };
        let admitted = admit(&snapshot, meters, &head, at);
        assert_eq!(admitted.is_ok(), passes, "latest at {latest}");
    }
}

/// S4 to S6, S14: verbs by scope; `write` never implies `read`, `manage` covers every method.
#[test]
fn verbs_follow_the_scope() {
    let world = World::new();
    let (snapshot, meters) = world.snapshot();
    let refused = "403 insufficient_scope";
    for (key, method, path, expected) in [
        ("reader", "GET", "/api/contacts", "forward"),
        ("reader", "HEAD", "/api/contacts", "forward"),
        ("reader", "POST", "/api/contacts", refused),
        ("writer", "POST", "/api/contacts", "forward"),
        ("writer", "PUT", "/api/contacts", "forward"),
        ("writer", "PATCH", "/api/contacts", "forward"),
        ("writer", "DELETE", "/api/contacts", "forward"),
        ("writer", "GET", "/api/contacts", refused),
        ("writer", "HEAD", "/api/contacts", refused),
        ("manager", "GET", "/api/webhooks", "forward"),
        ("manager", "POST", "/api/webhooks", "forward"),
        ("manager", "GET", "/api/contacts", refused),
        ("full", "GET", "/api/webhooks", refused),
        ("full", "OPTIONS", "/api/contacts", "405 method_not_allowed"),
    ] {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        let ask = Ask { method, ..Ask::get(path, &headers) };
        assert_eq!(outcome(&snapshot, meters, &ask), expected, "{key} {method} {path}");
    }
}

/// P1 to P6: which rows a data scope hides, and where it cannot be kept.
#[test]
fn a_data_scope_becomes_a_row_rule_or_a_refusal() {
    let world = World::new();
    let (snapshot, meters) = world.snapshot();
    let none = (false, false);
    for (scope, judged) in [
        (DataScope::UserNonPrivate, (true, true)),
        (DataScope::UserFull, (false, true)),
        (DataScope::OrgNonPrivate, (true, false)),
        (DataScope::OrgFull, none),
        (DataScope::Legacy, none),
    ] {
        let bearer = format!("Bearer {}", scope.as_str());
        let headers = [("authorization", bearer.as_str())];
        let rule = |target: &str| match Ask::get(target, &headers).of(&snapshot, meters) {
            Ok(Admitted::Forward(admission)) => {
                let rows = &admission.grant().job().rows;
                Ok((rows.hide_private, rows.owner.is_some()))
            }
            Ok(_) => panic!("whoami"),
            Err(problem) => Err(problem.code.as_str()),
        };
        assert_eq!(rule("/api/calls"), Ok(judged), "{scope:?}");
        assert_eq!(rule("/api/contacts"), Ok(none), "{scope:?}: the upstream enforces it");
        let kept = if judged == none { Ok(none) } else { Err("data_scope_not_supported") };
        assert_eq!(rule("/api/plain"), kept, "{scope:?}");
    }
}

/// R2, R6, R7: what is refused after the limit was paid for; a 429 is free and names its limit.
#[test]
fn the_limit_comes_before_the_route() {
    let world = World::new();
    let (snapshot, meters) = world.snapshot();
    let poor = [("authorization", "Bearer poor")];
    assert_eq!(outcome(&snapshot, meters, &Ask::get("/nope", &poor)), "404 not_found");
    assert_eq!(outcome(&snapshot, meters, &Ask::get("/api/calls", &poor)), "forward");
    for _ in 0..3 {
        let problem = Ask::get("/api/calls", &poor).of(&snapshot, meters).unwrap_err();
        assert_eq!((problem.status, problem.code.as_str()), (429, "rate_limited"));
        assert_eq!(problem.members, [("limit", "minute".to_owned())]);
        assert!(problem.retry_after_s.unwrap() >= 1);
    }
    assert_eq!(
        outcome(&snapshot, meters, &Ask::get("/api/calls", &[KEY])),
        "forward",
        "another key"
    );
}

/// X12, S3, S15: one broken record is named and left out, and nobody else.
#[test]
fn a_broken_record_is_left_out_alone() {
    let world = World::new();
    let compiled = world.compiled();
    let mut paths: Vec<&str> = compiled.left_out.iter().map(|fault| fault.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "accounts.acme.keys.broken_empty.scopes",
            "accounts.acme.keys.broken_scope.scopes[0]",
            "accounts.acme.keys.broken_team.teams[0]",
            "accounts.acme.keys.broken_twin.digest",
            "accounts.acme.keys.broken_user",
            "accounts.broken_columns.columns.calls[1]",
            "accounts.broken_plan.plan",
        ]
    );
    let (snapshot, meters) = world.snapshot();
    for (key, expected) in [
        ("full", "forward"),
        ("broken_empty", "401 invalid_api_key"),
        ("broken_scope", "401 invalid_api_key"),
        ("of_broken_columns", "401 invalid_api_key"),
        ("of_broken_plan", "401 invalid_api_key"),
    ] {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        assert_eq!(
            outcome(&snapshot, meters, &Ask::get("/api/calls", &headers)),
            expected,
            "{key}"
        );
    }
}

/// K4: one change copies one shard; every other key keeps its very entry.
#[test]
fn an_index_changes_by_one_key_at_a_time() {
    let world = World::new();
    let compiled = world.compiled();
    let before = compiled.keys;
    let (digest, entry) = before.entries().find(|(_, entry)| entry.id.as_str() == "full").unwrap();
    let without = before.changed([*digest], []);
    assert!(without.find(digest).is_none());
    assert_eq!(without.len() + 1, before.len());
    for (other, kept) in before.entries().filter(|(other, _)| *other != digest) {
        assert!(std::sync::Arc::ptr_eq(without.find(other).unwrap(), kept), "{other}");
    }
    let back = without.changed([], [(*digest, std::sync::Arc::clone(entry))]);
    assert_eq!(back.len(), before.len());
    assert_eq!(
        back.changed([], [(*digest, std::sync::Arc::clone(entry))]).len(),
        before.len(),
        "no new key"
    );
    assert!(before.find(digest).is_some(), "the first index is as it was");
}

#[test]
fn two_routes_that_cannot_be_told_apart_are_a_conflict() {
    let error = world::conflicting_routes().unwrap_err();
    assert!(matches!(error.as_slice(), [RouteConflict { first: 0, second: 1, .. }]), "{error:?}");
}
