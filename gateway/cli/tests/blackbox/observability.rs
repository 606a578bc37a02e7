//! What operators see: ids, traces, the access log, metrics, health; and no key in any of it (A6).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::samples::CALLS;
use crate::support::request::Request;
use crate::support::{Config, Connection, Directory, Gateway, Key, Reply, Upstream, waiting};

fn serving(upstream: &Upstream) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read", "contacts:write"]);
    (Gateway::start(&Config::with_upstream(upstream), &Directory::of([key.clone()])), key)
}

/// A client's id is kept when it is plain, replaced when not, and is the same everywhere.
#[test]
fn every_answer_carries_a_request_id() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    let long = "a".repeat(128);
    for (id, kept) in [
        ("abc-123_X.y", true),
        (long.as_str(), true),
        (&format!("{long}a"), false),
        ("has space", false),
        ("semi;colon", false),
        ("<script>", false),
        ("é", false),
        ("", false),
    ] {
        let answer = gateway.get("/api/calls").header("X-Request-Id", id).bearer(&key).send();
        assert_eq!(answer.status, 200, "{id}");
        let told = answer.header("x-request-id").unwrap();
        assert_eq!(told == id, kept, "{id} became {told}");
        assert!(
            !told.is_empty()
                && told.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
            "{told}"
        );
        assert_eq!(
            upstream.last().header("x-request-id").as_deref(),
            Some(told),
            "the upstream knows it by the same id"
        );
        assert_eq!(gateway.access_line(told)["request_id"], told);
    }
    let fresh: BTreeSet<String> = (0..50)
        .map(|_| gateway.get("/api/nope").send().header("x-request-id").unwrap().to_owned())
        .collect();
    assert_eq!(fresh.len(), 50, "new ids are unique");
}

/// A trace goes on through the gateway; a broken one is started anew.
#[test]
fn a_trace_goes_on() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let zero = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
    for (offered, continued) in [
        (Some(parent.as_str()), true),
        (None, false),
        (Some("00-xyz"), false),
        (Some(zero.as_str()), false),
    ] {
        let request = gateway
            .get("/api/calls")
            .header("X-Request-Id", &format!("trace-{continued}-{}", offered.map_or(0, str::len)))
            .bearer(&key);
        let request =
            offered.map_or(request.clone(), |parent| request.header("traceparent", parent));
        let answer = request.send();
        let up = upstream.last().header("traceparent").unwrap();
        let parts: Vec<&str> = up.split('-').collect();
        assert_eq!(
            (parts.len(), parts[0].len(), parts[1].len(), parts[2].len(), parts[3].len()),
            (4, 2, 32, 16, 2),
            "{up}"
        );
        assert_eq!(parts[1] == trace, continued, "{offered:?} became {up}");
        assert_ne!(parts[2], "b7ad6b7169203331", "a span of its own");
        if continued {
            assert_eq!(parts[3], "01", "the decision to sample is kept");
        }
        let line = gateway.access_line(answer.header("x-request-id").unwrap());
        assert_eq!(line["trace_id"], parts[1], "{line}");
    }
}

const FIELDS: [&str; 22] = [
    "time",
    "request_id",
    "method",
    "path",
    "route",
    "status",
    "code",
    "key_id",
    "account",
    "team",
    "upstream",
    "duration_ms",
    "upstream_ms",
    "overhead_ms",
    "bytes_in",
    "bytes_out",
    "columns_hidden",
    "rows_hidden",
    "revision",
    "client_ip",
    "user_agent",
    "trace_id",
];

/// One JSON line a request with these fields and no other, and no query string.
#[test]
fn the_access_log_has_one_line_a_request() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    let answer = gateway
        .get("/api/calls?start_date=2026-08-04&token=hidden-in-the-query")
        .header("X-Request-Id", "good")
        .header("User-Agent", "crm \"quoted\"/1")
        .header("x-team-id", "101")
        .bearer(&key)
        .send();
    gateway
        .get("/api/nope?x=hidden-in-the-query")
        .header("X-Request-Id", "unrouted")
        .bearer(&key)
        .send();
    gateway.get("/api/calls").header("X-Request-Id", "keyless").send();

    let line = gateway.access_line("good");
    let names: BTreeSet<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(FIELDS));
    for (name, value) in [
        ("method", Value::from("GET")),
        ("path", "/api/calls".into()),
        ("status", 200.into()),
        ("key_id", "k".into()),
        ("account", "acme".into()),
        ("team", "101".into()),
        ("upstream", "calls".into()),
        ("user_agent", "crm \"quoted\"/1".into()),
        ("client_ip", "127.0.0.1".into()),
        ("rows_hidden", 0.into()),
        ("bytes_out", (answer.body.len() as u64).into()),
    ] {
        assert_eq!(line[name], value, "{name} in {line}");
    }
    assert!(line["route"].as_str().unwrap().contains("/api/calls"), "{line}");
    assert!(line["columns_hidden"].as_u64().unwrap() >= 2, "{line}");
    assert!(line["revision"].as_u64().unwrap() >= 1, "{line}");
    assert!(line["time"].as_str().unwrap().starts_with("20"), "{line}");
    for name in ["duration_ms", "upstream_ms", "overhead_ms"] {
        assert!(line[name].as_f64().is_some_and(|ms| ms >= 0.0), "{name} in {line}");
    }
    let unrouted = gateway.access_line("unrouted");
    assert_eq!(
        (&unrouted["status"], &unrouted["code"], &unrouted["route"]),
        (&404.into(), &"not_found".into(), &Value::Null)
    );
    assert_eq!(unrouted["key_id"], "k");
    let keyless = gateway.access_line("keyless");
    assert_eq!((&keyless["code"], &keyless["key_id"]), (&"missing_api_key".into(), &Value::Null));
    let lines = gateway.access.all();
    assert_eq!(lines.iter().filter(|line| line.contains("\"good\"")).count(), 1);
    assert!(!lines.iter().any(|line| line.contains("hidden-in-the-query")), "{lines:?}");
}

/// What never became a request has its line, too: who knocked, and what it was told.
#[test]
fn a_malformed_request_has_its_line() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, _) = serving(&upstream);
    gateway.raw("GET /api/calls?hidden-in-the-query HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!(gateway.metric("colonnade_requests_total", &[("code", "bad_request")]), 1.0);
    let line = gateway
        .access
        .await_json("a line for what never was a request", |line| line["status"] == 400);
    assert_eq!((&line["code"], &line["client_ip"]), (&"bad_request".into(), &"127.0.0.1".into()));
    assert!(!gateway.access.all().iter().any(|line| line.contains("hidden-in-the-query")));
}

/// A stranger's bytes can neither forge a line nor break one.
#[test]
fn nobody_can_forge_a_log_line() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    let agent = "x\",\"status\":999,\"a\":\"\t\u{9b}31m é";
    gateway
        .get("/api/calls")
        .header("X-Request-Id", "forged")
        .header("User-Agent", agent)
        .bearer(&key)
        .send();
    let line = gateway.access_line("forged");
    assert_eq!(line["status"], 200, "{line}");
    let raw = gateway.access.all().into_iter().find(|line| line.contains("forged")).unwrap();
    assert!(!raw.chars().any(char::is_control), "{raw:?}");
}

/// The access log may go to a file, or nowhere.
#[test]
fn the_access_log_goes_where_it_is_told() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]);
    for place in ["access.jsonl", "off"] {
        let config = Config::with_upstream(&upstream)
            .section("telemetry", &format!("{{ address: 127.0.0.1:0, access_log: {place} }}"));
        let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
        assert_eq!(
            gateway.get("/api/calls").header("X-Request-Id", "here").bearer(&key).send().status,
            200
        );
        if place == "off" {
            assert!(!gateway.folder().join("off").exists());
        } else {
            let path = gateway.folder().join(place);
            waiting::until("a line in the file", || {
                std::fs::read_to_string(&path).ok().filter(|text| text.contains("\"here\""))
            });
        }
        assert!(
            !gateway.access.all().iter().any(|line| line.contains("here")),
            "nothing on standard output"
        );
    }
}

/// The names and labels of the contract, with closed sets: no path, no key.
#[test]
fn metrics_have_the_names_of_the_contract() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    gateway.get("/api/calls").bearer(&key).send();
    gateway.get("/api/unheard-of-path").bearer(&key).send();
    gateway.get("/api/calls").send();
    gateway.request("BREW-UNHEARD-OF", "/api/calls").bearer(&key).send();
    upstream.now_replies(Reply::json("[1"));
    gateway.get("/api/calls").bearer(&key).send();
    // An exchange is recorded when it is over, a moment after its answer has arrived.
    let answer = waiting::until("the last request's record", || {
        let answer = gateway.telemetry("/metrics");
        answer.text().contains("colonnade_filter_failures_total{").then_some(answer)
    });
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    let text = answer.text();
    for name in [
        "colonnade_requests_total{",
        "colonnade_request_duration_seconds_bucket{",
        "colonnade_upstream_duration_seconds_count{",
        "colonnade_overhead_seconds_count",
        "colonnade_auth_total{",
        "colonnade_ratelimit_total{",
        "colonnade_columns_total{",
        "colonnade_columns_new{",
        "colonnade_filter_failures_total{",
        "colonnade_revision ",
        "colonnade_reloads_total{",
        "colonnade_keys",
        "colonnade_inflight_requests ",
        "colonnade_build_info",
        "process_",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "no {name} in\n{text}");
    }
    for foreign in ["unheard-of", "UNHEARD", &key.text, "key_id", "call_1"] {
        assert!(!text.contains(foreign), "{foreign} in the metrics");
    }
    let total = |labels: &[(&str, &str)]| gateway.metric("colonnade_requests_total", labels);
    assert_eq!(total(&[("status", "200"), ("fault", "none"), ("method", "GET")]), 1.0);
    assert_eq!(total(&[("code", "not_found"), ("fault", "client")]), 1.0);
    assert_eq!(total(&[("code", "missing_api_key"), ("fault", "client")]), 1.0);
    assert_eq!(total(&[("code", "response_not_filterable"), ("fault", "upstream")]), 1.0);
    assert_eq!(
        gateway.metric("colonnade_columns_total", &[("resource", "calls"), ("action", "fallback")]),
        0.0
    );
    assert!(
        gateway.metric("colonnade_columns_total", &[("resource", "calls"), ("action", "hidden")])
            > 0.0
    );
    assert!(gateway.metric("colonnade_keys", &[]) >= 1.0);
    assert!(gateway.metric("colonnade_revision", &[]) >= 1.0);
}

/// Health answers on the telemetry listener alone, and so do metrics.
#[test]
fn health_and_metrics_are_on_their_own_listener() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    for path in ["/livez", "/readyz", "/healthz", "/metrics"] {
        assert_eq!(gateway.telemetry(path).status, 200, "{path}");
        assert_eq!(
            gateway.get(path).bearer(&key).send().status,
            404,
            "{path} on the proxy listener"
        );
    }
    assert_eq!(gateway.telemetry("/api/calls").status, 404);
    assert_eq!(gateway.telemetry("/admin/v1/status").status, 404);
    assert_eq!(Request::new(gateway.telemetry_address(), "POST", "/livez").send().status, 405);
}

/// K23: a data key opens nothing on the admin listener, and an admin token nothing on the proxy's.
#[test]
fn keys_and_admin_tokens_are_not_alike() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    let with_key =
        Request::new(gateway.admin_address(), "GET", "/admin/v1/status").bearer(&key).send();
    assert!(matches!(with_key.status, 401 | 403), "{}", with_key.status);
    assert_eq!(Request::new(gateway.admin_address(), "GET", "/admin/v1/status").send().status, 401);
    assert_eq!(gateway.admin("GET", "/admin/v1/status").send().status, 200);
    let token = crate::support::gateway::ADMIN_TOKEN;
    let on_proxy =
        gateway.get("/api/calls").header("Authorization", &format!("Bearer {token}")).send();
    assert_eq!(on_proxy.status, 401);
}

/// A6: whatever becomes of a request, its key is in no log, no metric and no answer. (That standard
/// output and error hold none is checked after every test.)
#[test]
fn no_key_is_told_anywhere() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("good", &["calls:read"]);
    let bad = Key::new("never-registered", &["calls:read"]);
    let mut gateway =
        Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    gateway.keep_secret(&Directory::of([bad.clone()]));
    let mut answers = Vec::new();
    for key in [&key, &bad] {
        let text = &key.text;
        for bytes in [
            format!("GET /api/calls HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {text}\r\n\r\n"),
            format!("GET /api/calls?key={text} HTTP/1.1\r\nHost: a\r\nX-API-Key: {text}\r\n\r\n"),
            format!(
                "GET /api/calls HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: Bearer {text}\r\n\r\n"
            ),
            format!("GET /api/calls HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {text}\r\n\r\n"),
            format!("GET /api/calls HTTP/1.1\nHost: a\nAuthorization: Bearer {text}\n\n"),
            format!(
                "GET /api/calls?sort={text} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {text}\r\n\r\n"
            ),
            format!(
                "GET /api/calls?{text}=1 HTTP/1.1\r\nHost: {text}\r\nAuthorization: Bearer {text}\r\n\r\n"
            ),
        ] {
            answers.push(gateway.raw(bytes));
        }
    }
    upstream.now_replies(Reply::raw("HTTP/1.1 nonsense\r\n\r\n").then_close());
    answers.push(gateway.get("/api/calls").bearer(&key).send());
    answers.push(gateway.telemetry("/metrics"));
    answers.push(gateway.admin("GET", "/admin/v1/status").send());
    for answer in &answers {
        for secret in [&key.text, &bad.text] {
            let wire = String::from_utf8_lossy(&answer.wire);
            // A parameter's own name is told back to who sent it, in the one case that names it so.
            let own_words = answer.code() == "column_not_allowed";
            assert!(own_words || !wire.contains(secret.as_str()), "{wire}");
        }
    }
}

/// Admin and telemetry stay reachable whoever is silent on them: heads and idling have ten seconds.
#[test]
fn a_slow_client_of_admin_and_telemetry_is_let_go() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, _) = serving(&upstream);
    let half = "GET /livez HTTP/1.1\r\nHost: a\r\n";
    let mut slow = Vec::new();
    // More than are served at once.
    for address in [gateway.admin_address(), gateway.telemetry_address()] {
        for begun in ["", half].repeat(40) {
            let mut connection = Connection::open(address);
            connection.send(begun);
            slow.push(connection);
        }
    }
    assert_eq!(gateway.telemetry("/livez").status, 200, "behind all of them");
    assert_eq!(gateway.admin("GET", "/admin/v1/status").send().status, 200);
    for connection in &mut slow {
        assert!(!String::from_utf8_lossy(&connection.rest()).contains("200 OK"));
    }
}
