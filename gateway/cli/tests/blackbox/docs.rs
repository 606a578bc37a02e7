//! The documentation that is served beside the API: routes, never data (X2, X3, X4).

use std::collections::BTreeSet;

use crate::samples::CALLS;
use crate::support::{Config, Directory, Gateway, Key, Upstream};

/// X2, X4: the OpenAPI document lists the routes that are served, from the same table, without a key.
#[test]
fn the_api_document_lists_the_live_routes() {
    let upstream = Upstream::answering(200, CALLS);
    let directory = Directory::of([Key::new("k", &["calls:read"])]);
    let config = Config::with_upstream(&upstream);
    let mut gateway = Gateway::start(&config, &directory);
    let operations = |gateway: &Gateway| -> BTreeSet<String> {
        let answer = gateway.get("/api-docs/openapi.json").send();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let document = answer.json();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{document}");
        let paths = document["paths"].as_object().unwrap().clone();
        let of = |path: &str, methods: &serde_json::Value| -> Vec<String> {
            methods.as_object().unwrap().keys().map(|method| format!("{method} {path}")).collect()
        };
        paths.iter().flat_map(|(path, methods)| of(path, methods)).collect()
    };
    let listed = operations(&gateway);
    for operation in [
        "get /api/calls",
        "get /api/calls/{id}",
        "get /api/calls/{id}/transcript",
        "get /api/coach/rubrics",
        "get /api/leads",
        "get /api/contacts",
        "post /api/contacts",
        "delete /api/contacts/{id}",
    ] {
        assert!(listed.contains(operation), "{operation} in {listed:?}");
    }
    let one = r#"
  - { match: GET /only/this, upstream: calls, scope: calls:read, resource: open, rows: $ }"#;
    gateway.reload(&config.section("routes", one), &directory);
    let listed = operations(&gateway);
    assert!(listed.contains("get /only/this") && !listed.contains("get /api/calls"), "{listed:?}");
    assert_eq!(upstream.requests_seen(), 0);
}

/// X3: people get a page, without a key; it names no account, no key and no upstream.
#[test]
fn the_reference_is_a_public_page() {
    let upstream = Upstream::answering(200, CALLS);
    let gateway = Gateway::start(
        &Config::with_upstream(&upstream),
        &Directory::of([Key::new("key_crm", &["calls:read"])]),
    );
    for target in ["/api-docs", "/api-docs/openapi.json"] {
        let answer = gateway.get(target).send();
        assert_eq!(answer.status, 200, "{target}");
        for private in ["acme", "key_crm", &upstream.address().to_string(), "is_private"] {
            assert!(!answer.text().contains(private), "{target} names {private}");
        }
        assert_eq!(gateway.request("POST", target).send().status, 405, "{target}");
    }
    assert!(
        gateway.get("/api-docs").send().header("content-type").unwrap().starts_with("text/html")
    );
}

/// The reference can be moved, or switched off; then its path is like any other.
#[test]
fn the_reference_can_be_moved_or_switched_off() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]);
    for (place, here, gone) in [
        ("/docs", Some("/docs/openapi.json"), "/api-docs"),
        ("\"off\"", None, "/api-docs/openapi.json"),
    ] {
        let config =
            Config::with_upstream(&upstream).section("reserved", &format!("{{ docs: {place} }}"));
        let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
        if let Some(here) = here {
            assert_eq!(gateway.get(here).send().status, 200, "{here}");
        }
        assert_eq!(gateway.get(gone).send().status, 401, "{gone}");
        assert_eq!(gateway.get(gone).bearer(&key).send().status, 404, "{gone}");
    }
}
