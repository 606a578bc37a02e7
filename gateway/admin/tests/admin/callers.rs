//! Who may ask: tokens, permissions, failures.

use axum::body::Body;
use axum::http::Request;
use gateway_admin::Tokens;
use serde_json::{Value, json};

use crate::node::TOKENS;
use crate::support::Admin;

/// Every operation of the document: method, path with parameters filled in, its tag.
fn operations() -> Vec<(String, String, String)> {
    let document: Value = serde_json::from_str(&gateway_admin::openapi()).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path
                .strip_prefix("/admin/v1")
                .unwrap()
                .replace("{account}", "nobody")
                .replace("{key}", "key_none")
                .replace("{user}", "u_none");
            let tag = operation["tags"][0].as_str().unwrap().to_owned();
            all.push((method.to_uppercase(), path, tag));
        }
    }
    assert!(all.len() > 20);
    all
}

/// K23, K24: every token reads; a change needs its permission, and the answer names it.
#[tokio::test]
async fn a_token_does_what_it_may() {
    let admin = Admin::with_acme().await;
    for (method, path, tag) in operations() {
        for (token, _) in TOKENS {
            // With what no operation takes, so that a body is judged after the permission.
            let body = (method != "GET").then(|| json!([]));
            let answer = admin.ask(token, &method, &path, body).await;
            let may = method == "GET"
                || token == "root"
                || match tag.as_str() {
                    "node" => token != "read",
                    tag => token == tag,
                };
            if may {
                assert!(![401, 403].contains(&answer.status.as_u16()), "{token} {method} {path}");
            } else {
                assert_eq!(answer.code(), (403, "permission_missing"), "{token} {method} {path}");
                let named = format!("`{tag}`");
                let detail = answer.json["detail"].as_str().unwrap();
                assert!(tag == "node" || detail.contains(&named), "{detail}");
            }
        }
    }
}

/// K23: no token, no answer, wherever it is asked for.
#[tokio::test]
async fn without_a_token_nothing_is_told() {
    let admin = Admin::with_acme().await;
    let key = admin.key("CRM").await;
    let text = admin.node.made.lock().unwrap()[0].clone();
    let headers: [&[(&str, &str)]; 8] = [
        &[],
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Basic root")],
        &[("authorization", "root")],
        &[("x-api-key", "root")],
        &[("authorization", "Bearer root"), ("authorization", "Bearer root")],
        &[("authorization", &format!("Bearer {text}"))],
    ];
    for headers in headers {
        for (method, path) in [
            ("GET", "/status".to_owned()),
            ("POST", format!("/keys/{key}/revoke")),
            ("GET", "/nope".into()),
        ] {
            let mut request = Request::builder().method(method).uri(format!("/admin/v1{path}"));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = admin.send(request.body(Body::empty()).unwrap()).await;
            let failed = [(401, "invalid_admin_token"), (429, "too_many_failures")];
            assert!(failed.contains(&answer.code()), "{headers:?} {method} {path}");
        }
    }
    assert_eq!(admin.get(&format!("/keys/{key}")).await.good()["status"], json!("active"));
}

/// Who guesses is slowed; who has the token is not, from the same address.
#[tokio::test]
async fn failures_are_throttled_and_good_tokens_are_not() {
    let admin = Admin::empty();
    for n in 1..=30 {
        let answer = admin.ask("wrong", "GET", "/status", None).await;
        if n <= 20 {
            assert_eq!(answer.code(), (401, "invalid_admin_token"), "failure {n}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        } else {
            assert_eq!(answer.code(), (429, "too_many_failures"), "failure {n}");
            assert_eq!(answer.header("retry-after"), Some("60"));
        }
        assert_eq!(admin.get("/status").await.status, 200);
    }
    let none = Request::get("/admin/v1/status").body(Body::empty()).unwrap();
    let none = admin.send(none).await;
    assert_eq!(none.code(), (401, "invalid_admin_token"), "no token is no guess");
    admin.node.pass(60_000);
    assert_eq!(admin.ask("wrong", "GET", "/status", None).await.status, 401);
}

#[tokio::test]
async fn without_any_token_configured_it_says_how_to_set_one() {
    let admin = Admin::empty();
    *admin.node.tokens.lock().unwrap() = Tokens::default();
    let answer = admin.get("/status").await;
    assert_eq!(answer.code(), (503, "no_admin_token"));
    assert!(answer.json["detail"].as_str().unwrap().contains("admin.tokens"));
}
