//! What the client is told when the upstream fails, and in which words (E13, C10, A2).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::samples::CALLS;
use crate::support::answer::{Ending, refusal};
use crate::support::upstream::nobody;
use crate::support::{Config, Directory, Gateway, Key, Reply, Upstream};

const SECRET: &str = "upstream-internal-detail";

fn key() -> Key {
    Key::new("k", &["calls:read", "coach:read", "contacts:read", "contacts:write"])
}

fn serving(upstream: &Upstream) -> (Gateway, Key) {
    let key = key();
    let timeouts = "timeouts: { connect: 500ms, first_byte: 300ms, idle: 400ms, total: 5s }";
    let config =
        Config::with_upstream(upstream).upstream_with("calls", upstream.address(), timeouts);
    (Gateway::start(&config, &Directory::of([key.clone()])), key)
}

/// E13: nobody listens there.
#[test]
fn an_upstream_that_is_down_is_502() {
    let config = ["calls", "coach", "leads"]
        .iter()
        .fold(Config::new(), |config, name| config.upstream(name, nobody()));
    let key = key();
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let began = Instant::now();
    let answer = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!(answer.verdict(), refusal(502, "upstream_unavailable"));
    assert!(answer.header("x-ratelimit-limit").is_some());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!answer.text().contains("127.0.0.1"), "no upstream detail: {}", answer.text());
    assert_eq!(
        gateway.telemetry("/readyz").status,
        200,
        "an upstream that is away does not fail the gateway"
    );
}

/// E13: it takes the request and closes, resets, or speaks no HTTP; and the good request after works.
#[test]
fn an_upstream_that_breaks_off_is_502() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    for (what, reply) in [
        ("closes", Reply::nothing()),
        ("half a status line", Reply::raw("HTTP/1.1 20").then_close()),
        ("half a head", Reply::raw("HTTP/1.1 200 OK\r\nContent-Type: appl").then_close()),
        ("no HTTP", Reply::raw(format!("{SECRET}\r\n\r\n")).then_close()),
        ("another version", Reply::raw(format!("SIP/2.0 200 OK\r\nX: {SECRET}\r\n\r\n")).then_close()),
        ("two lengths", Reply::raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x").then_close()),
    ] {
        upstream.now_replies(reply);
        let answer = gateway.get("/api/calls").bearer(&key).send();
        assert_eq!(answer.status, 502, "{what}: {}", answer.text());
        assert!(["upstream_unavailable", "response_not_filterable"].contains(&answer.code().as_str()), "{what}");
        assert_eq!(answer.ending, Ending::Whole, "{what}");
        assert!(!answer.text().contains(SECRET), "{what}");
        assert!(answer.header("x-ratelimit-remaining").is_some(), "{what}");
        upstream.now_replies(Reply::json(CALLS));
        assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200, "after {what}");
    }
    assert!(
        !gateway.log.all().iter().any(|line| line.contains(SECRET)),
        "upstream bytes in the log"
    );
}

/// E13: a reset before any answer.
#[test]
fn a_reset_of_the_upstream_is_502() {
    let upstream = Upstream::resetting(b"");
    let (gateway, key) = serving(&upstream);
    let answer = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!(answer.verdict(), refusal(502, "upstream_unavailable"));
}

/// E13: a body that ends early is a clean 502 as long as it is held back.
#[test]
fn a_body_that_ends_early_is_a_clean_502() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    let half = &CALLS[..CALLS.len() / 2];
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    for (what, bytes) in [
        ("length", format!("{head}Content-Length: {}\r\n\r\n{half}", CALLS.len())),
        (
            "chunked",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n", half.len()),
        ),
        ("close", format!("{head}\r\n{half}")),
    ] {
        upstream.now_replies(Reply::raw(bytes).then_close());
        let answer = gateway.get("/api/calls").bearer(&key).send();
        assert_eq!(answer.status, 502, "{what}: {}", answer.text());
        assert!(!answer.text().contains("call_1"), "{what}");
    }
}

/// E13: silence before the first byte and in the middle of a body are both 504 or a clean 502.
#[test]
fn a_silent_upstream_is_504() {
    let upstream = Upstream::replying(Reply::silence());
    let (gateway, key) = serving(&upstream);
    let began = Instant::now();
    let answer = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!(answer.verdict(), refusal(504, "upstream_timeout"));
    assert!(answer.header("x-ratelimit-limit").is_some());
    assert!(
        (Duration::from_millis(250)..Duration::from_secs(4)).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    let gate = crate::support::Gate::new();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"data\":[";
    upstream.now_replies(Reply::raw(head).wait(&gate));
    let answer = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!(answer.verdict(), refusal(504, "upstream_timeout"), "in the middle of a body");
    gate.open();
}

/// C10: an upstream's error is told by its status alone; not one of its bytes or challenges.
#[test]
fn an_upstreams_error_is_replaced() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    for status in [
        400_u16, 401, 402, 403, 409, 410, 418, 422, 429, 451, 499, 500, 501, 502, 503, 504, 511,
        599,
    ] {
        let headers = [
            ("Content-Type", "text/html"),
            ("WWW-Authenticate", "Basic realm=\"upstream-internal-detail\""),
            ("Set-Cookie", "session=upstream-internal-detail"),
            ("Location", "http://upstream-internal-detail/"),
            ("Server", "upstream-internal-detail"),
        ];
        let body = format!("<html>{SECRET} {CALLS}</html>");
        upstream.now_replies(Reply::with_headers(status, &headers, &body));
        for target in ["/api/calls", "/api/coach/rubrics", "/api/contacts"] {
            let answer = gateway.get(target).bearer(&key).send();
            assert_eq!(answer.verdict(), refusal(status, "upstream_error"), "{target}");
            assert_eq!(answer.json()["status"], json!(status));
            let wire = String::from_utf8_lossy(&answer.wire).into_owned();
            assert!(
                !wire.contains(SECRET) && !wire.contains("Own Words"),
                "{target} {status}: {wire}"
            );
            assert_eq!(
                answer.values("www-authenticate").count(),
                0,
                "{target} {status}: the challenge is not ours"
            );
        }
    }
}

/// The same bytes tell of an upstream's 404, and of a path that is not routed.
#[test]
fn an_upstreams_404_looks_like_any_other() {
    let upstream = Upstream::answering(404, r#"{"detail":"upstream-internal-detail"}"#);
    let (gateway, key) = serving(&upstream);
    let theirs = gateway.get("/api/calls/nobody").bearer(&key).send();
    let ours = gateway.get("/api/nope").bearer(&key).send();
    assert_eq!(theirs.verdict(), refusal(404, "not_found"));
    assert_eq!(theirs.anonymous(), ours.anonymous());
    let names = |answer: &crate::support::Answer| -> Vec<String> {
        let mut names: Vec<String> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&theirs), names(&ours));
}

/// A route may say that errors pass; then they do, and a good answer is filtered all the same.
#[test]
fn errors_pass_where_the_route_says_so() {
    let upstream = Upstream::answering(422, r#"{"field":["is wrong"]}"#);
    let routes = r#"
  - { match: GET /api/calls, upstream: calls, scope: calls:read, resource: calls, rows: "data[]", errors: pass }"#;
    let key = key();
    let config = Config::with_upstream(&upstream).section("routes", routes);
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let answer = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!((answer.status, answer.text().as_str()), (422, r#"{"field":["is wrong"]}"#));
    upstream.now_replies(Reply::json(CALLS));
    assert!(!gateway.get("/api/calls").bearer(&key).send().text().contains("Hidden Person"));
}

/// The four styles: one refusal, four bodies, one status.
#[test]
fn errors_come_in_the_configured_style() {
    let upstream = Upstream::answering(200, CALLS);
    let key = key();
    for style in ["problem", "flat", "nested", "detail"] {
        let config =
            Config::with_upstream(&upstream).section("errors", &format!("{{ style: {style} }}"));
        let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
        for (target, key, status, code) in [
            ("/api/calls", None, 401, "missing_api_key"),
            ("/api/nope", Some(&key), 404, "not_found"),
            ("/api/leads", Some(&key), 403, "insufficient_scope"),
            ("/api//calls", Some(&key), 400, "bad_request"),
        ] {
            let request = gateway.get(target).header("X-Request-Id", "my-id");
            let answer = key.map_or(request.clone(), |key| request.bearer(key)).send();
            assert_eq!(answer.status, status, "{style} {target}");
            let body = answer.json();
            let media = answer.header("content-type").unwrap();
            let message = match style {
                "problem" => {
                    assert_eq!(media, "application/problem+json");
                    assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(status)));
                    assert_eq!(body["request_id"], "my-id");
                    assert!(body["type"].is_string() && body["title"].is_string(), "{body}");
                    &body["detail"]
                }
                "flat" => {
                    assert_eq!(body["error"], code);
                    &body["message"]
                }
                "nested" => {
                    assert_eq!(
                        (&body["error"]["code"], &body["error"]["status"]),
                        (&json!(code), &json!(status))
                    );
                    &body["error"]["message"]
                }
                _ => &body["detail"],
            };
            assert!(style == "problem" || media.starts_with("application/json"), "{media}");
            assert!(message.as_str().is_some_and(|message| !message.is_empty()), "{style}: {body}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("x-request-id"), Some("my-id"));
        }
    }
}

/// A request that never was one is refused in the configured style too, and has an id.
#[test]
fn a_malformed_request_is_refused_in_the_configured_style() {
    let upstream = Upstream::answering(200, CALLS);
    let config = Config::with_upstream(&upstream).section("errors", "{ style: flat }");
    let gateway = Gateway::start(&config, &Directory::of([key()]));
    let answer = gateway.raw("GET /api/calls HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("bad_request")));
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()));
}
