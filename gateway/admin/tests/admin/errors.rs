//! Requests that are none, and how every answer looks.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::Admin;

fn post(path: &str, content_type: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut request =
        Request::post(format!("/admin/v1{path}")).header("authorization", "Bearer root");
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn a_body_is_json_of_a_bounded_size() {
    let admin = Admin::with_acme().await;
    let json = Some("application/json");
    let sound = r#"{"name":"CRM","scopes":["calls:read"]}"#;
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(1 << 20));
    let keys = "/accounts/acme/keys";
    for (content_type, body, code) in [
        (json, sound, (201, "")),
        (Some("application/json; charset=UTF-8"), sound, (201, "")),
        (Some("Application/JSON"), sound, (201, "")),
        (Some("application/json; charset=latin1"), sound, (415, "unsupported_media_type")),
        (Some("text/plain"), sound, (415, "unsupported_media_type")),
        (Some("application/x-www-form-urlencoded"), sound, (415, "unsupported_media_type")),
        (None, sound, (415, "unsupported_media_type")),
        (json, "", (400, "malformed_json")),
        (json, "{", (400, "malformed_json")),
        (json, "{}{}", (400, "malformed_json")),
        (json, "{'name': 1}", (400, "malformed_json")),
        (json, deep.as_str(), (400, "malformed_json")),
        (json, large.as_str(), (413, "body_too_large")),
        (json, "null", (422, "invalid_body")),
        (json, "[]", (422, "invalid_body")),
    ] {
        let answer = admin.send(post(keys, content_type, body.to_owned())).await;
        let start: String = body.chars().take(40).collect();
        assert_eq!(answer.code(), code, "{content_type:?} {start}");
    }
    let answer = admin.send(post(keys, json, b"{\"name\":\"\xff\"}".to_vec())).await;
    assert_eq!(answer.code(), (400, "malformed_json"));
}

#[tokio::test]
async fn what_there_is_not_is_not_found() {
    let admin = Admin::with_acme().await;
    for (method, path, code) in [
        ("GET", "/nothing", (404, "not_found")),
        ("POST", "/nothing", (404, "not_found")),
        ("GET", "/accounts/acme/", (404, "not_found")),
        ("GET", "/keys/key_none", (404, "key_not_found")),
        ("GET", "/keys/key_none/usage", (404, "key_not_found")),
        ("POST", "/keys/key_none/revoke", (404, "key_not_found")),
        ("POST", "/keys/key_none/regenerate", (404, "key_not_found")),
        ("GET", "/accounts/nobody", (404, "account_not_found")),
        ("GET", "/accounts/nobody/columns", (404, "account_not_found")),
        ("GET", "/accounts/nobody/assistants", (404, "account_not_found")),
        ("GET", "/keys/%FF", (400, "bad_request")),
        ("DELETE", "/accounts/acme", (405, "method_not_allowed")),
        ("OPTIONS", "/accounts", (405, "method_not_allowed")),
    ] {
        assert_eq!(admin.ask("root", method, path, None).await.code(), code, "{method} {path}");
    }
    let answer = admin.ask("root", "DELETE", "/accounts/acme", None).await;
    assert_eq!(answer.header("allow"), Some("GET,HEAD,PATCH"));
    assert_eq!(admin.ask("root", "HEAD", "/accounts/acme", None).await.status, 200);
}

/// K31: answers are not kept, not guessed at, and not for pages of other origins.
#[tokio::test]
async fn every_answer_has_the_same_armour() {
    let admin = Admin::with_acme().await;
    for (method, path, token) in [
        ("GET", "/status", "root"),
        ("GET", "/status", "wrong"),
        ("GET", "/nothing", "root"),
        ("OPTIONS", "/accounts", "root"),
        ("POST", "/accounts", "read"),
        ("GET", "/openapi.json", "read"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(format!("/admin/v1{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("origin", "https://elsewhere.test")
            .header("access-control-request-method", "POST")
            .header("x-request-id", "req-1");
        let answer = admin.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-request-id"), Some("req-1"));
        let cors = answer.headers.keys().any(|name| name.as_str().starts_with("access-control"));
        assert!(!cors, "{method} {path}");
        if !answer.status.is_success() {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(answer.json["request_id"], json!("req-1"));
            assert_eq!(answer.json["status"], json!(answer.status.as_u16()));
            for member in ["type", "title", "detail", "code"] {
                assert!(answer.json[member].is_string(), "{member}");
            }
        }
    }
    let odd = Request::get("/admin/v1/status")
        .header("authorization", "Bearer root")
        .header("x-request-id", "a b");
    let answer = admin.send(odd.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header("x-request-id").unwrap().len(), 20, "a new one");
}
