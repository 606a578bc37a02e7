//! Paths: the routing order, and tricks with spelling that must not widen a scope (S17, E2, E6, E11).

use crate::support::answer::refusal;
use crate::support::{Config, Directory, Gateway, Key, Upstream};

fn routed(upstream: &Upstream, routes: &[(&str, &str)], scopes: &[&str], keys: &[Key]) -> Gateway {
    let config = Config::with_upstream(upstream)
        .scopes(scopes)
        .open_routes("calls", routes)
        .section("resources", "\n  open: { columns: all, visibility: upstream }");
    Gateway::start(&config, &Directory::of(keys.iter().cloned()))
}

/// Targets that some reader would take for another path.
const ODD: [&str; 43] = [
    "/api/leads/../calls",
    "/api/leads/..",
    "/api/leads/.",
    "/api/./leads",
    "/api//leads",
    "//api/leads",
    "/api/leads//",
    "/api/leads/%2e%2e/calls",
    "/api/leads/%2E%2E/calls",
    "/api/leads/.%2e/calls",
    "/api/leads/..%2fcalls",
    "/api/leads%2f..%2fcalls",
    "/api/leads/a%2Fb",
    "/api/leads/a%5cb",
    "/api/leads/a%5Cb",
    "/api/leads/..\\calls",
    "/api/leads\\..\\calls",
    "/api/leads;x=y",
    "/api/leads;/../calls",
    "/api/leads/..;/calls",
    "/api/leads/a;b",
    "/api/leads/%00",
    "/api/leads/%0d%0aX-Evil:%201",
    "/api/leads/%7f",
    "/api/%6ceads",
    "/api/leads/%41",
    "/api/leads/%2d",
    "/api/leads/%7E",
    "/api/leads/%zz",
    "/api/leads/%",
    "/api/leads/%4",
    "/api/leads/%252e%252e/calls",
    "/api/leads/%c0%ae%c0%ae/calls",
    "/api/leads/\u{e9}",
    "/api/leads#fragment",
    "/api/leads/a#/../calls",
    "/api/leads?limit=1#fragment",
    "/api/leads?#",
    "http://evil.test/api/leads",
    "https://gateway.test:1/api/leads",
    "api/leads",
    "*",
    "?x=1",
];

/// S17: a path that tidying would change is refused, never tidied, and never forwarded.
#[test]
fn an_odd_path_is_400_and_goes_nowhere() {
    let upstream = Upstream::answering(200, "{}");
    let key = Key::new("k", &["leads:read"]);
    let routes = [
        ("GET /api/leads", "leads:read"),
        ("GET /api/leads/**", "leads:read"),
        ("GET /api/calls", "calls:read"),
    ];
    let gateway =
        routed(&upstream, &routes, &["leads:read", "calls:read"], std::slice::from_ref(&key));
    let mut taken = Vec::new();
    for target in ODD {
        let answer = gateway.get(target).bearer(&key).send();
        let closes = answer.header("connection") == Some("close");
        if answer.verdict() != refusal(400, "bad_request") || !closes {
            taken.push((target, answer.verdict(), closes));
        }
    }
    assert!(taken.is_empty(), "neither refused nor closed: {taken:#?}");
    assert_eq!(upstream.requests_seen(), 0);
    for target in [
        "/api/leads",
        "/api/leads/a%20b",
        "/api/leads/caf%C3%A9",
        "/api/leads/a:b@c!$&'()*+,=~",
        "/api/leads/...",
    ] {
        let answer = gateway.get(target).bearer(&key).send();
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(upstream.last().target, target, "what is accepted goes on byte for byte");
    }
}

/// S17: letter case and the trailing slash count, and a pattern matches whole segments.
#[test]
fn a_path_that_is_nearly_a_route_is_404() {
    let upstream = Upstream::answering(200, "{}");
    let key = Key::new("k", &["calls:read"]);
    let routes = [
        ("GET /api/calls", "calls:read"),
        ("GET /v1/meetings/", "calls:read"),
        ("GET /n/{id:int}", "calls:read"),
    ];
    let gateway = routed(&upstream, &routes, &["calls:read"], std::slice::from_ref(&key));
    for (target, status) in [
        ("/api/calls", 200),
        ("/api/calls/", 404),
        ("/api/Calls", 404),
        ("/API/calls", 404),
        ("/api/callsecrets", 404),
        ("/api/call", 404),
        ("/api/calls/x", 404),
        ("/api", 404),
        ("/api/calls%20", 404),
        ("/v1/meetings/", 200),
        ("/v1/meetings", 404),
        ("/n/12", 200),
        ("/n/twelve", 404),
        ("/n/0x12", 404),
        ("/n/", 404),
    ] {
        assert_eq!(gateway.get(target).bearer(&key).send().status, status, "{target}");
    }
    assert_eq!(upstream.requests_seen(), 3);
}

/// E2, E5, E6: at each segment a literal beats a typed parameter beats a parameter beats `**`,
/// whatever the order in the file, going back when a branch dead-ends.
#[test]
fn the_more_literal_pattern_wins() {
    let upstream = Upstream::answering(200, "{}");
    let scopes =
        ["all:read", "any:read", "int:read", "uuid:read", "lit:read", "sub:read", "back:read"];
    let routes = [
        ("GET /api/**", "all:read"),
        ("GET /api/coach/{id}", "any:read"),
        ("GET /api/coach/{id:int}", "int:read"),
        ("GET /api/coach/{id:uuid}", "uuid:read"),
        ("GET /api/coach/rubrics", "lit:read"),
        ("GET /api/coach/{id}/notes", "sub:read"),
        ("GET /api/coach/rubrics/{id:int}", "back:read"),
    ];
    let keys: Vec<Key> = scopes.iter().map(|scope| Key::new(scope, &[scope])).collect();
    let gateway = routed(&upstream, &routes, &scopes, &keys);
    for (target, scope) in [
        ("/api/coach/rubrics", "lit:read"),
        ("/api/coach/12", "int:read"),
        ("/api/coach/3f2b8c1e-9a47-4d6f-8b20-5c1d7e9f0a34", "uuid:read"),
        ("/api/coach/rubric", "any:read"),
        ("/api/coach/Rubrics", "any:read"),
        ("/api/coach/12/notes", "sub:read"),
        ("/api/coach/rubrics/notes", "sub:read"), // the literal branch dead-ends
        ("/api/coach/rubrics/7", "back:read"),
        ("/api/coach/12/other", "all:read"),
        ("/api/coach", "all:read"),
        ("/api/x/y/z", "all:read"),
    ] {
        for key in &keys {
            let status = gateway.get(target).bearer(key).send().status;
            assert_eq!(
                status,
                if key.id == *scope { 200 } else { 403 },
                "{target} with {}",
                key.id
            );
        }
    }
    let key = &keys[0];
    assert_eq!(gateway.get("/api").bearer(key).send().status, 404, "`**` is one segment or more");
}

/// S17: an absolute form of the same host is the path it names; of another host it is refused.
#[test]
fn an_absolute_form_must_name_the_same_host() {
    let upstream = Upstream::answering(200, "{}");
    let key = Key::new("k", &["calls:read"]);
    let gateway = routed(
        &upstream,
        &[("GET /api/calls", "calls:read")],
        &["calls:read"],
        std::slice::from_ref(&key),
    );
    for (target, status) in [
        ("http://gateway.test/api/calls", 200),
        ("http://gateway.test/api/calls?limit=1", 200),
        ("http://other.test/api/calls", 400),
        ("http://user@gateway.test/api/calls", 400),
        ("http:///api/calls", 400),
        ("ftp://gateway.test/api/calls", 400),
    ] {
        upstream.forget();
        assert_eq!(gateway.get(target).bearer(&key).send().status, status, "{target}");
        assert_eq!(upstream.requests_seen(), usize::from(status == 200), "{target}");
        if status == 200 {
            assert!(upstream.last().target.starts_with("/api/calls"), "{}", upstream.last().target);
        }
    }
}
