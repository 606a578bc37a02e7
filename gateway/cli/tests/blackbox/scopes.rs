//! A key does only what it was granted: every route against every single scope (S1, S4, S5, S6, S8 to S14).

use crate::samples::{CALL, CALLS, CONTACT, CONTACTS, TRANSCRIPT};
use crate::support::answer::refusal;
use crate::support::request::Request;
use crate::support::upstream::Seen;
use crate::support::{Config, Directory, Gateway, Key, Reply, Upstream};

/// Answers each route of the default configuration in its shape.
fn shapes(seen: &Seen) -> Reply {
    Reply::json(match seen.target.as_str() {
        "/api/calls" => CALLS,
        "/api/calls/1" => CALL,
        "/api/calls/1/transcript" => TRANSCRIPT,
        "/api/contacts" => CONTACTS,
        "/api/contacts/1" => CONTACT,
        "/api/leads" => r#"{"data":[{"id":1,"is_private":false}]}"#,
        _ => r#"{"data":[{"id":1}]}"#,
    })
}

fn ask(gateway: &Gateway, method: &str, target: &str) -> Request {
    let request = gateway.request(method, target);
    if matches!(method, "POST" | "PUT" | "PATCH") {
        request.body("{\"name\":\"x\"}")
    } else {
        request
    }
}

/// One key a scope; each route is open to the keys of its scope and 403 to all others.
fn matrix(
    gateway: &Gateway,
    upstream: &Upstream,
    keys: &[(String, Key)],
    operations: &[(&str, &str, &[&str])],
) {
    for (method, target, open_to) in operations {
        for (scope, key) in keys {
            upstream.forget();
            let answer = ask(gateway, method, target).bearer(key).send();
            let what = format!("{method} {target} with {scope}");
            if open_to.contains(&scope.as_str()) {
                assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                assert_eq!(upstream.requests_seen(), 1, "{what}");
                assert_eq!(upstream.last().method, *method, "{what}");
            } else {
                assert_eq!(answer.status, 403, "{what}: {}", answer.text());
                assert!(
                    *method == "HEAD" || answer.code() == "insufficient_scope",
                    "{what}: {}",
                    answer.text()
                );
                assert_eq!(upstream.requests_seen(), 0, "{what}");
            }
        }
    }
}

fn a_key_each(scopes: &[&str]) -> Vec<(String, Key)> {
    let key = |scope: &&str| {
        ((*scope).to_owned(), Key::new(&format!("k_{}", scope.replace(':', "_")), &[scope]))
    };
    scopes.iter().map(key).collect()
}

/// S1: each route of the contract's example, each method, each single scope.
#[test]
fn a_route_is_open_to_its_scope_alone() {
    let upstream = Upstream::scripted(shapes);
    let keys = a_key_each(&[
        "calls:read",
        "transcripts:read",
        "coach:read",
        "leads:read",
        "contacts:read",
        "contacts:write",
    ]);
    let directory = Directory::of(keys.iter().map(|(_, key)| key.clone()));
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &directory);
    matrix(
        &gateway,
        &upstream,
        &keys,
        &[
            ("GET", "/api/calls", &["calls:read"]),
            ("HEAD", "/api/calls", &["calls:read"]),
            ("GET", "/api/calls/1", &["calls:read"]),
            ("GET", "/api/calls/1/transcript", &["transcripts:read"]),
            ("HEAD", "/api/calls/1/transcript", &["transcripts:read"]),
            ("GET", "/api/coach/rubrics", &["coach:read"]),
            ("GET", "/api/leads", &["leads:read"]),
            ("GET", "/api/contacts", &["contacts:read"]),
            ("HEAD", "/api/contacts", &["contacts:read"]),
            ("POST", "/api/contacts", &["contacts:write"]),
            ("GET", "/api/contacts/1", &["contacts:read"]),
            ("PUT", "/api/contacts/1", &["contacts:write"]),
            ("PATCH", "/api/contacts/1", &["contacts:write"]),
            ("DELETE", "/api/contacts/1", &["contacts:write"]),
        ],
    );
}

/// S1: the refusal names the scope that is missing, in every spelling the key was given in.
#[test]
fn the_missing_scope_is_named() {
    let upstream = Upstream::scripted(shapes);
    let key = Key::new("k", &["read:coach"]);
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    let answer = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!(answer.verdict(), refusal(403, "insufficient_scope"));
    assert!(answer.text().contains("calls:read"), "{}", answer.text());
    assert_eq!(
        gateway.get("/api/coach/rubrics").bearer(&key).send().status,
        200,
        "action:resource means the same"
    );
}

/// S3: a record that grants nothing is left out by name; its key is unknown, the others' are not.
#[test]
fn a_key_that_grants_nothing_is_left_out() {
    let upstream = Upstream::scripted(shapes);
    let (empty, good) = (Key::new("key_empty", &[]), Key::new("key_good", &["calls:read"]));
    let directory = Directory::of([empty.clone(), good.clone()]);
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &directory);
    assert_eq!(
        gateway.get("/api/calls").bearer(&empty).send().verdict(),
        refusal(401, "invalid_api_key")
    );
    assert_eq!(gateway.get("/api/calls").bearer(&good).send().status, 200);
    let left_out = gateway.admin("GET", "/admin/v1/status").send().json();
    let left_out = left_out["last_reload"]["left_out"].to_string();
    assert!(left_out.contains("key_empty") && left_out.contains("scope"), "{left_out}");
    assert!(!left_out.contains("key_good"), "{left_out}");
}

/// S4, S5, S6, S8: seven resources, `read` for GET and HEAD, `write` for the rest, neither implies
/// the other.
#[test]
fn write_is_not_read_and_read_is_not_write() {
    let upstream = Upstream::answering(200, "{}");
    let resources = ["calls", "leads", "agents", "contacts", "knowledge_base", "integrations"];
    let mut scopes: Vec<String> =
        resources.iter().flat_map(|r| [format!("{r}:read"), format!("{r}:write")]).collect();
    scopes.push("analytics:read".into());
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let mut routes: Vec<(String, String)> = Vec::new();
    for resource in resources {
        routes.push((format!("GET|POST /v1/{resource}"), resource.into()));
        routes.push((format!("GET|PUT|PATCH|DELETE /v1/{resource}/{{id}}"), resource.into()));
    }
    routes.push(("GET /v1/analytics/overview".into(), "analytics:read".into()));
    let routes: Vec<(&str, &str)> =
        routes.iter().map(|(pattern, scope)| (pattern.as_str(), scope.as_str())).collect();
    let keys = a_key_each(&scopes);
    let config = Config::with_upstream(&upstream).scopes(&scopes).open_routes("calls", &routes);
    let config = config.section("resources", "\n  open: { columns: all, visibility: upstream }");
    let gateway = Gateway::start(&config, &Directory::of(keys.iter().map(|(_, key)| key.clone())));
    for resource in resources {
        let (list, one) = (format!("/v1/{resource}"), format!("/v1/{resource}/7"));
        let (read, write) = (format!("{resource}:read"), format!("{resource}:write"));
        matrix(
            &gateway,
            &upstream,
            &keys,
            &[
                ("GET", &list, &[&read]),
                ("HEAD", &one, &[&read]),
                ("POST", &list, &[&write]),
                ("PUT", &one, &[&write]),
                ("PATCH", &one, &[&write]),
                ("DELETE", &one, &[&write]),
            ],
        );
    }
    matrix(&gateway, &upstream, &keys, &[("GET", "/v1/analytics/overview", &["analytics:read"])]);
    // S7's other half: nothing writes analytics, whatever the key.
    for (scope, key) in &keys {
        upstream.forget();
        let answer = ask(&gateway, "POST", "/v1/analytics/overview").bearer(key).send();
        assert_eq!(answer.verdict(), refusal(405, "method_not_allowed"), "{scope}");
        assert_eq!(upstream.requests_seen(), 0);
    }
}

/// S9, S10, S11, S12, S13, S14: the eleven scopes of the fifth vendor. One scope opens several groups of routes, and
/// `manage` is needed for reading, too.
#[test]
fn eleven_scopes_open_what_they_say() {
    let upstream = Upstream::answering(200, "{}");
    let scopes = [
        "calls:read",
        "calls:write",
        "knowledge:read",
        "knowledge:write",
        "appointments:read",
        "appointments:write",
        "contacts:read",
        "contacts:write",
        "account:read",
        "account:write",
        "webhooks:manage",
    ];
    let keys = a_key_each(&scopes);
    let config = Config::with_upstream(&upstream).scopes(&scopes).open_routes(
        "calls",
        &[
            ("GET|POST /api/v1/calls", "calls"),
            ("GET|PATCH /api/v1/calls/{id}", "calls"),
            ("GET /api/v1/calls/{id}/transcript", "calls:read"),
            ("GET /api/v1/analytics", "calls:read"),
            ("GET|POST|PATCH|DELETE /api/v1/knowledge", "knowledge"),
            ("GET|POST|PATCH|DELETE /api/v1/appointments", "appointments"),
            ("GET|POST|PATCH|DELETE /api/v1/contacts", "contacts"),
            ("GET|PATCH /api/v1/account", "account"),
            ("GET|POST|DELETE /api/v1/account/team", "account"),
            ("GET|POST|PUT|PATCH|DELETE /api/v1/webhooks", "webhooks:manage"),
        ],
    );
    let config = config.section("resources", "\n  open: { columns: all, visibility: upstream }");
    let gateway = Gateway::start(&config, &Directory::of(keys.iter().map(|(_, key)| key.clone())));
    matrix(
        &gateway,
        &upstream,
        &keys,
        &[
            ("GET", "/api/v1/calls", &["calls:read"]),
            ("GET", "/api/v1/calls/1/transcript", &["calls:read"]),
            ("GET", "/api/v1/analytics", &["calls:read"]),
            ("POST", "/api/v1/calls", &["calls:write"]),
            ("PATCH", "/api/v1/calls/1", &["calls:write"]),
            ("GET", "/api/v1/account", &["account:read"]),
            ("GET", "/api/v1/account/team", &["account:read"]),
            ("PATCH", "/api/v1/account", &["account:write"]),
            ("POST", "/api/v1/account/team", &["account:write"]),
            ("DELETE", "/api/v1/account/team", &["account:write"]),
        ],
    );
    for resource in ["knowledge", "appointments", "contacts"] {
        let target = format!("/api/v1/{resource}");
        let (read, write) = (format!("{resource}:read"), format!("{resource}:write"));
        matrix(
            &gateway,
            &upstream,
            &keys,
            &[
                ("GET", &target, &[&read]),
                ("POST", &target, &[&write]),
                ("PATCH", &target, &[&write]),
                ("DELETE", &target, &[&write]),
            ],
        );
    }
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        matrix(&gateway, &upstream, &keys, &[(method, "/api/v1/webhooks", &["webhooks:manage"])]);
    }
}

/// S14: `manage` covers every method of a resource whose routes ask for `read` and `write`.
#[test]
fn manage_covers_read_and_write() {
    let upstream = Upstream::answering(200, "{}");
    let scopes = ["contacts:read", "contacts:write", "contacts:manage", "calls:manage"];
    let keys = a_key_each(&scopes);
    let config = Config::with_upstream(&upstream)
        .scopes(&scopes)
        .open_routes("calls", &[("GET|POST|PUT|PATCH|DELETE /api/contacts", "contacts")])
        .section("resources", "\n  open: { columns: all, visibility: upstream }");
    let gateway = Gateway::start(&config, &Directory::of(keys.iter().map(|(_, key)| key.clone())));
    for (method, scope) in [
        ("GET", "contacts:read"),
        ("POST", "contacts:write"),
        ("PUT", "contacts:write"),
        ("DELETE", "contacts:write"),
    ] {
        matrix(
            &gateway,
            &upstream,
            &keys,
            &[(method, "/api/contacts", &[scope, "contacts:manage"])],
        );
    }
}

/// S16: the least that three integrations need is enough for them, and nothing more.
#[test]
fn least_privilege_sets_work() {
    let upstream = Upstream::answering(200, "{}");
    let scopes = [
        "calls:read",
        "contacts:read",
        "contacts:write",
        "appointments:read",
        "appointments:write",
    ];
    let config = Config::with_upstream(&upstream)
        .scopes(&scopes)
        .open_routes(
            "calls",
            &[
                ("GET /calls", "calls:read"),
                ("GET|POST /contacts", "contacts"),
                ("GET|POST /appointments", "appointments"),
            ],
        )
        .section("resources", "\n  open: { columns: all, visibility: upstream }");
    let dashboard = Key::new("dashboard", &["calls:read"]);
    let crm = Key::new("crm", &["contacts:write", "calls:read"]);
    let scheduler = Key::new("scheduler", &["appointments:read", "appointments:write"]);
    let gateway = Gateway::start(
        &config,
        &Directory::of([dashboard.clone(), crm.clone(), scheduler.clone()]),
    );
    for (method, target, statuses) in [
        ("GET", "/calls", [200, 200, 403]),
        ("GET", "/contacts", [403, 403, 403]),
        ("POST", "/contacts", [403, 200, 403]),
        ("GET", "/appointments", [403, 403, 200]),
        ("POST", "/appointments", [403, 403, 200]),
    ] {
        for (key, status) in [&dashboard, &crm, &scheduler].into_iter().zip(statuses) {
            let answer = ask(&gateway, method, target).bearer(key).send();
            assert_eq!(answer.status, status, "{method} {target} with {}", key.id);
        }
    }
}

/// E11: OPTIONS is a method like any other, no preflight is answered, and other methods are 405.
#[test]
fn a_method_that_is_not_routed_is_405_with_allow() {
    let upstream = Upstream::scripted(shapes);
    let key = Key::new("k", &["calls:read", "contacts:read"]);
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    for (method, target, allow) in [
        ("POST", "/api/calls", &["GET", "HEAD"][..]),
        ("OPTIONS", "/api/calls", &["GET", "HEAD"]),
        ("DELETE", "/api/contacts", &["GET", "HEAD", "POST"]),
        ("BREW", "/api/calls", &["GET", "HEAD"]),
        ("get", "/api/calls", &["GET", "HEAD"]),
    ] {
        let answer = gateway
            .request(method, target)
            .header("Origin", "https://app.test")
            .header("Access-Control-Request-Method", "GET")
            .bearer(&key)
            .send();
        assert_eq!(answer.verdict(), refusal(405, "method_not_allowed"), "{method} {target}");
        let mut told: Vec<&str> =
            answer.header("allow").unwrap().split(',').map(str::trim).collect();
        told.sort_unstable();
        assert_eq!(told, allow, "{method} {target}");
        assert_eq!(
            answer.values("access-control-allow-origin").count(),
            0,
            "K31: no CORS unless asked for"
        );
    }
    assert_eq!(upstream.requests_seen(), 0);
}
