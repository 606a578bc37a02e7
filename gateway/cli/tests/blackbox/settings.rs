//! Settings whose effect is seen from outside: variables, files, peppers, reserved paths, caps.

use crate::samples::CALLS;
use crate::support::answer::refusal;
use crate::support::directory::{hmac_sha256, sha256};
use crate::support::gateway::Launch;
use crate::support::request::Request;
use crate::support::{Config, Directory, Gate, Gateway, Key, Reply, Upstream};

fn reader(id: &str) -> Key {
    Key::new(id, &["calls:read"])
}

/// X8: values come from variables and files, with defaults; the text of a secret is in no report.
#[test]
fn values_come_from_variables_and_files() {
    let upstream = Upstream::answering(200, CALLS);
    let key = reader("k");
    let config = Config::with_upstream(&upstream)
        .section("errors", "{ style: \"${STYLE:-flat}\" }")
        .section("drain", "{ delay: \"${file:delay}\" }")
        .section("listeners", "\n  - { address: \"${HOST}:${PORT:-0}\" }");
    let launch = |style: Option<&str>| {
        let launch = Launch::files(&config.text(), &Directory::of([key.clone()]).text())
            .variable("HOST", "127.0.0.1");
        launch.write("delay", "0s\n");
        match style {
            Some(style) => launch.variable("STYLE", style),
            None => launch,
        }
    };
    for (style, member) in [(None, "error"), (Some("detail"), "detail")] {
        let gateway = launch(style).start();
        let answer = gateway.get("/api/calls").send();
        assert!(answer.json()[member].is_string(), "{}", answer.text());
        assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
    }
    let text = config.text().replace("${file:delay}", "${file:absent}");
    let (code, said) =
        Launch::files(&text, &Directory::of([key]).text()).variable("HOST", "127.0.0.1").refused();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("absent"), "{said}");
}

/// A configuration in JSON syntax loads, too.
#[test]
fn a_configuration_in_json_loads() {
    let upstream = Upstream::answering(200, CALLS);
    let key = reader("k");
    let address = upstream.address();
    let text = serde_json::json!({
        "version": 1,
        "listeners": [{ "address": "127.0.0.1:0" }],
        "admin": { "address": "127.0.0.1:0" },
        "telemetry": { "address": "127.0.0.1:0" },
        "store": { "file": "directory.yaml" },
        "upstreams": { "calls": { "servers": [address.to_string()] } },
        "plans": { "enterprise": { "limits": { "minute": { "requests": 10, "window": "1m" } } } },
        "scopes": { "calls:read": "Calls" },
        "resources": { "calls": { "columns": { "call_id": {} } } },
        "routes": [{ "match": "GET /api/calls", "upstream": "calls", "scope": "calls:read", "resource": "calls", "rows": "data[]" }],
    });
    let gateway = Launch::files(&text.to_string(), &Directory::of([key.clone()]).text()).start();
    let answer = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!(answer.text(), r#"{"data":[{"call_id":"call_1"}]}"#);
}

/// Under a pepper a key is known by its HMAC, and still by a plain digest that was there before.
#[test]
fn a_pepper_hashes_keys() {
    let upstream = Upstream::answering(200, CALLS);
    let pepper = "a pepper of more than sixteen bytes";
    let key = reader("k");
    let digest = format!("hmac-sha256:{}", hmac_sha256(pepper.as_bytes(), key.text.as_bytes()));
    let other = format!(
        "hmac-sha256:{}",
        hmac_sha256(b"another pepper of some length", reader("other").text.as_bytes())
    );
    let directory =
        Directory::of([key.clone().with("digest", digest), reader("other").with("digest", other)]);
    let config = Config::with_upstream(&upstream)
        .section("keys", "{ prefix: avoca_, accept: [bearer], pepper: \"${file:pepper}\" }");
    let launch = Launch::files(&config.text(), &directory.text());
    launch.write("pepper", pepper);
    let mut gateway = launch.start();
    gateway.keep_secret(&directory);
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
    assert_eq!(
        gateway.get("/api/calls").bearer(&reader("other")).send().verdict(),
        refusal(401, "invalid_api_key")
    );
    assert_ne!(sha256(key.text.as_bytes()), hmac_sha256(pepper.as_bytes(), key.text.as_bytes()));
}

/// The path that tells a key who it is can be moved, or switched off and routed.
#[test]
fn the_reserved_path_can_be_moved_or_given_up() {
    let upstream = Upstream::answering(200, CALLS);
    let key = reader("k");
    let moved = Config::with_upstream(&upstream).section("reserved", "{ key: /who/am/i }");
    let gateway = Gateway::start(&moved, &Directory::of([key.clone()]));
    assert_eq!(gateway.get("/who/am/i").bearer(&key).send().json()["account"], "acme");
    assert_eq!(gateway.get("/api/key").bearer(&key).send().status, 404);
    let off = Config::with_upstream(&upstream).section("reserved", "{ key: \"off\" }");
    let gateway = Gateway::start(&off, &Directory::of([key.clone()]));
    assert_eq!(gateway.get("/api/key").bearer(&key).send().status, 404);
    assert_eq!(upstream.requests_seen(), 0);
}

/// Beyond an upstream's connections a request is 503 with the time to come back, and is not queued.
#[test]
fn an_upstream_at_its_cap_is_503() {
    let gate = Gate::new();
    let upstream = Upstream::replying(Reply::json(CALLS).behind(&gate));
    let key = reader("k");
    let config = Config::with_upstream(&upstream).upstream_with(
        "calls",
        upstream.address(),
        "connections_max: 2",
    );
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let mut under_way: Vec<_> = (0..2).map(|_| gateway.connect()).collect();
    for connection in &mut under_way {
        connection.send(gateway.get("/api/calls").bearer(&key).bytes());
    }
    gate.await_reached(2);
    let refused = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!(refused.verdict(), refusal(503, "overloaded"));
    assert!(refused.number("retry-after") >= 1);
    assert!(refused.header("x-ratelimit-limit").is_some());
    gate.open();
    for connection in &mut under_way {
        assert_eq!(connection.answer().status, 200);
    }
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
}

/// K23: without a token the admin API is closed and says how to open it; the gateway serves.
#[test]
fn without_an_admin_token_the_admin_api_is_closed() {
    let upstream = Upstream::answering(200, CALLS);
    let key = reader("k");
    let config = Config::with_upstream(&upstream).text();
    let gateway =
        Launch::files(&config, &Directory::of([key.clone()]).text()).without_admin_token().start();
    for token in ["", "Bearer ", "Bearer anything"] {
        let answer = Request::new(gateway.admin_address(), "GET", "/admin/v1/status")
            .header("Authorization", token)
            .send();
        assert_eq!(answer.status, 503, "{token:?}");
        assert!(answer.text().contains("COLONNADE_ADMIN_TOKEN"), "{}", answer.text());
    }
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
}
