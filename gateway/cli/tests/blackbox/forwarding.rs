//! What goes up and what comes back beside the body: allow-lists both ways (E10, E12, C8, A6).

use serde_json::json;

use crate::samples::{CALLS, CONTACT, CONTACTS};
use crate::support::answer::Ending;
use crate::support::{Config, Directory, Gateway, Key, Reply, Upstream};

fn serving(upstream: &Upstream) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read", "contacts:read", "contacts:write", "coach:read"]);
    (Gateway::start(&Config::with_upstream(upstream), &Directory::of([key.clone()])), key)
}

/// What every upstream request may hold, on any route.
const KNOWN: [&str; 22] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-type",
    "content-length",
    "transfer-encoding",
    "connection",
    "host",
    "idempotency-key",
    "if-match",
    "user-agent",
    "traceparent",
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-colonnade-key-id",
    "x-colonnade-account",
    "x-colonnade-team",
    "x-colonnade-user",
    "x-colonnade-data-scope",
    "x-colonnade-scopes",
];

/// Of the client's headers only those on the list go up.
#[test]
fn request_headers_go_up_by_a_list() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream);
    let fields = [
        ("Accept", "application/json"),
        ("Accept-Language", "es"),
        ("User-Agent", "crm/1.0"),
        ("Accept-Encoding", "gzip, br"),
        ("Range", "bytes=0-10"),
        ("If-Range", "\"etag\""),
        ("If-None-Match", "\"etag\""),
        ("If-Modified-Since", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("If-Match", "\"etag\""),
        ("Cookie", "session=1"),
        ("X-Custom", "1"),
        ("X-Org-Id", "7"),
        ("Referer", "https://app.test/"),
        ("Origin", "https://app.test"),
        ("Via", "1.1 somebody"),
        ("TE", "trailers"),
        ("Trailer", "X-T"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("X-Method-Override", "DELETE"),
        ("Baggage", "user=ann"),
        ("Tracestate", "a=b"),
    ];
    let request = fields
        .iter()
        .fold(gateway.get("/api/calls").bearer(&key), |r, (name, value)| r.header(name, value));
    assert_eq!(request.send().status, 200);
    let seen = upstream.last();
    for name in seen.header_names() {
        assert!(
            KNOWN.contains(&name.as_str()) || name == "tracestate",
            "{name} went up: {}",
            seen.head
        );
    }
    for (name, value) in
        [("accept", "application/json"), ("accept-language", "es"), ("user-agent", "crm/1.0")]
    {
        assert_eq!(seen.header(name).as_deref(), Some(value));
    }
    for name in ["range", "if-range", "if-none-match", "if-modified-since", "if-match", "cookie"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    let coding = seen.header("accept-encoding").unwrap_or_else(|| "identity".into());
    assert!(!coding.contains("deflate") || !coding.is_empty(), "{coding}");
}

/// A write brings its body, its type and its conditions, byte for byte.
#[test]
fn a_body_goes_up_byte_for_byte() {
    let upstream = Upstream::answering(200, CONTACT);
    let (gateway, key) = serving(&upstream);
    let body = "{\"name\" :  \"Zo\\u00eb\",\r\n \"n\": 1.0e0}\n";
    let answer = gateway
        .request("PUT", "/api/contacts/7")
        .bearer(&key)
        .header("Idempotency-Key", "once-7")
        .header("If-Match", "\"v1\"")
        .body(body)
        .send();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = upstream.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", "/api/contacts/7"));
    assert_eq!(seen.body, body.as_bytes());
    for (name, value) in [
        ("content-type", "application/json"),
        ("idempotency-key", "once-7"),
        ("if-match", "\"v1\""),
    ] {
        assert_eq!(seen.header(name).as_deref(), Some(value), "{}", seen.head);
    }
    assert_eq!(seen.header("content-length").as_deref(), Some(body.len().to_string().as_str()));
}

/// Chunks go up as one body; their extensions and trailers stay behind, or are refused.
#[test]
fn a_chunked_body_goes_up_without_its_ornaments() {
    let upstream = Upstream::answering(200, CONTACTS);
    let (gateway, key) = serving(&upstream);
    for (body, plain) in [
        ("3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n", true),
        ("03\r\n{\"a\r\n004\r\n\":1}\r\n000\r\n\r\n", true),
        ("3;x=y\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n", false),
        ("7\r\n{\"a\":1}\r\n0\r\nX-Trailer: t\r\n\r\n", false),
        ("7\r\n{\"a\":1}\r\n0\r\nAuthorization: t\r\n\r\n", false),
    ] {
        upstream.forget();
        let auth = &key.text;
        let head = format!(
            "POST /api/contacts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {auth}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let answer = gateway.raw(head + body);
        if answer.status == 200 {
            let seen = upstream.last();
            assert_eq!(seen.body, b"{\"a\":1}", "{body:?}");
            let wire = String::from_utf8_lossy(&seen.wire).into_owned();
            assert!(!wire.contains("x=y") && !wire.contains("X-Trailer"), "{wire}");
        } else {
            assert!(
                !plain && answer.status == 400,
                "{body:?}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
}

/// DELETE and GET without a body bring none up.
#[test]
fn a_request_without_a_body_has_none_upstream() {
    let upstream = Upstream::answering(200, CONTACT);
    let (gateway, key) = serving(&upstream);
    for (method, target) in [("DELETE", "/api/contacts/7"), ("GET", "/api/contacts/7")] {
        assert_eq!(gateway.request(method, target).bearer(&key).send().status, 200, "{method}");
        let seen = upstream.last();
        assert!(seen.body.is_empty(), "{}", seen.head);
        assert_eq!(seen.header("transfer-encoding"), None, "{}", seen.head);
    }
}

/// C8, C10: of the upstream's headers only those on the list come back; framing and validators are
/// the gateway's own affair, reason phrases and 1xx never pass.
#[test]
fn answer_headers_come_back_by_a_list() {
    let headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Content-Language", "en"),
        ("Cache-Control", "private, max-age=5"),
        ("Date", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("ETag", "\"upstream\""),
        ("Last-Modified", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("Content-MD5", "upstream"),
        ("Digest", "sha-256=upstream"),
        ("Accept-Ranges", "bytes"),
        ("Server", "upstream/1.0"),
        ("X-Powered-By", "upstream"),
        ("Set-Cookie", "upstream=1"),
        ("X-Request-Id", "upstream-id"),
        ("X-Internal-Host", "upstream.internal"),
        ("Location", "http://upstream.internal/"),
        ("Link", "<http://upstream.internal/>; rel=next"),
        ("Access-Control-Allow-Origin", "*"),
        ("Content-Security-Policy", "upstream"),
        ("Trailer", "X-Upstream"),
    ];
    let upstream = Upstream::replying(Reply::with_headers(200, &headers, CALLS));
    let (gateway, key) = serving(&upstream);
    let answer = gateway.get("/api/calls").header("X-Request-Id", "mine").bearer(&key).send();
    assert_eq!((answer.status, answer.reason.as_str()), (200, "OK"));
    assert_eq!(answer.header("content-language"), Some("en"));
    assert_eq!(answer.header("cache-control"), Some("private, max-age=5"));
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("x-request-id"), Some("mine"));
    assert_eq!(
        answer.number("content-length"),
        answer.body.len() as u64,
        "a body that ended early carries its length"
    );
    let head: String =
        answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    for foreign in [
        "etag",
        "content-md5",
        "digest",
        "accept-ranges",
        "upstream",
        "last-modified",
        "set-cookie",
        "location",
    ] {
        assert!(!head.contains(foreign), "{foreign} came back: {head}");
    }
    upstream.now_replies(Reply::raw(
        [b"HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n".as_slice(),
         format!("HTTP/1.1 200 Fine\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{CALLS}", CALLS.len()).as_bytes()].concat(),
    ));
    let answer = gateway.get("/api/calls").bearer(&key).send();
    assert_eq!((answer.status, answer.early.as_slice()), (200, &[][..]), "no 1xx passes");
}

/// A route may forward and return more headers by name.
#[test]
fn a_route_may_list_more_headers() {
    let upstream = Upstream::replying(Reply::with_headers(
        200,
        &[("Content-Type", "application/json"), ("X-Back", "b"), ("X-Other", "o")],
        CALLS,
    ));
    let routes = r#"
  - { match: GET /api/calls, upstream: calls, scope: calls:read, resource: calls, rows: "data[]", forward_headers: [x-up], return_headers: [x-back] }"#;
    let key = Key::new("k", &["calls:read"]);
    let config = Config::with_upstream(&upstream).section("routes", routes);
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let answer =
        gateway.get("/api/calls").header("X-Up", "u").header("X-Down", "d").bearer(&key).send();
    assert_eq!((answer.header("x-back"), answer.header("x-other")), (Some("b"), None));
    let seen = upstream.last();
    assert_eq!((seen.header("x-up").as_deref(), seen.header("x-down")), (Some("u"), None));
}

/// RFC 9110 §7.6.1: what `Connection` names is for the next hop alone, even when a list has it; the
/// gateway's own words are not the sender's to take away.
#[test]
fn what_connection_names_goes_no_further() {
    let upstream = Upstream::answering(200, CALLS);
    let routes = r#"
  - { match: GET /api/calls, upstream: calls, scope: calls:read, resource: calls, rows: "data[]", forward_headers: [x-up], return_headers: [x-back] }
  - { match: GET /api/coach/rubrics, upstream: coach, scope: coach:read, resource: rubrics, rows: "data[]", forward_headers: [x-up], return_headers: [x-back] }"#;
    let key = Key::new("k", &["calls:read", "coach:read"]);
    let config = Config::with_upstream(&upstream).section("routes", routes);
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    for target in ["/api/calls", "/api/coach/rubrics"] {
        for (lines, kept) in [
            (&["x-up"][..], false),
            (&["X-UP"], false),
            (&["keep-alive, X-Up"], false),
            (&["keep-alive ,\tx-up\t,, te"], false),
            (&["keep-alive", "x-up"], false),
            (&["x-u", "x-up-2", "x-up x-up"], true),
            (&["keep-alive, upgrade, te, x-colonnade-account, x-request-id, host"], true),
        ] {
            let mut back = vec![("Content-Type", "application/json"), ("X-Back", "b")];
            let named: Vec<String> =
                lines.iter().map(|line| line.to_lowercase().replace("x-up", "X-Back")).collect();
            back.extend(named.iter().map(|line| ("Connection", line.as_str())));
            upstream.now_replies(Reply::with_headers(200, &back, CALLS));
            let request =
                gateway.get(target).bearer(&key).header("X-Up", "u").header("TE", "trailers");
            let request =
                lines.iter().fold(request, |request, line| request.header("Connection", line));
            let answer = request.header("Upgrade", "h2c").send();
            let seen = upstream.last();
            assert_eq!(answer.status, 200, "{lines:?}");
            assert_eq!(seen.header("x-up").is_some(), kept, "{target} {lines:?}: {}", seen.head);
            assert_eq!(answer.header("x-back").is_some(), kept, "{target} {lines:?}");
            assert_eq!((seen.header("te"), seen.header("upgrade")), (None, None));
            assert_eq!(seen.header("x-colonnade-account").as_deref(), Some("acme"));
            assert!(seen.header("x-request-id").is_some() && seen.header("host").is_some());
        }
    }
}

/// Host is the server's address, or what the upstream's `host` says; never the client's.
#[test]
fn the_upstream_gets_a_host_of_its_own() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read", "contacts:read"]);
    let config = Config::with_upstream(&upstream).upstream_with(
        "calls",
        upstream.address(),
        "host: calls.internal",
    );
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    gateway.get("/api/calls").bearer(&key).send();
    assert_eq!(upstream.last().header("host").as_deref(), Some("calls.internal"));
    gateway.get("/api/contacts").bearer(&key).send();
    assert_eq!(upstream.last().header("host"), Some(upstream.address().to_string()));
    assert_eq!(upstream.last().header("x-forwarded-host").as_deref(), Some("gateway.test"));
}

/// A trusted proxy's word about the client is believed and passed on with its own address.
#[test]
fn forwarded_addresses_are_believed_from_trusted_proxies_alone() {
    let upstream = Upstream::answering(200, CALLS);
    let near = Key::new("near", &["calls:read"]).with("allowed_ips", json!(["127.0.0.0/8"]));
    let far = Key::new("far", &["calls:read"]).with("allowed_ips", json!(["203.0.113.0/24"]));
    let directory = Directory::of([near.clone(), far.clone()]);
    let plain = Gateway::start(&Config::with_upstream(&upstream), &directory);
    let behind = Config::with_upstream(&upstream)
        .section("listeners", "\n  - { address: 127.0.0.1:0, trusted_proxies: [127.0.0.0/8] }");
    let behind = Gateway::start(&behind, &directory);
    for (gateway, key, status, up) in [
        (&plain, &near, 200, "127.0.0.1"),
        (&plain, &far, 403, ""),
        (&behind, &near, 403, ""),
        (&behind, &far, 200, "203.0.113.9, 127.0.0.1"),
    ] {
        upstream.forget();
        let answer =
            gateway.get("/api/calls").header("X-Forwarded-For", "203.0.113.9").bearer(key).send();
        assert_eq!(answer.status, status, "{}", key.id);
        if status == 403 {
            assert_eq!(answer.code(), "ip_not_allowed");
            assert_eq!(upstream.requests_seen(), 0);
        } else {
            assert_eq!(upstream.last().header("x-forwarded-for").as_deref(), Some(up));
        }
    }
}

/// E10: a vendor with trailing slashes and full-URL paging links.
#[test]
fn meetings_are_served_in_their_vendors_shape() {
    let body = r#"{"count":2,"next":"https://api.vendor.test/v1/meetings/?page=2","previous":null,"results":[{"uuid":"m1","subject":"a","is_private":false},{"uuid":"m2","subject":"b","is_private":true}],"debug":{"host":"internal"}}"#;
    let upstream = Upstream::answering(200, body);
    let key = Key::with_text("meet", "CLIENT_KEY:CLIENT_SECRET", &["meetings:read"])
        .with("data_scope", "org_non_private");
    let config = Config::with_upstream(&upstream)
        .scopes(&["meetings:read"])
        .section("resources", "\n  meetings: { beside: [count, next, previous], columns: { uuid: {}, subject: {} }, visibility: { private: is_private } }")
        .section("routes", "\n  - { match: GET /v1/meetings/, upstream: calls, scope: meetings:read, resource: meetings, rows: \"results[]\" }")
        .section("errors", "{ style: detail }");
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let answer = gateway.get("/v1/meetings/?page_size=20").bearer(&key).send();
    let expected = json!({ "count": 2, "next": "https://api.vendor.test/v1/meetings/?page=2", "previous": null,
        "results": [{ "uuid": "m1", "subject": "a" }] });
    assert_eq!(answer.json(), expected);
    assert_eq!(upstream.last().target, "/v1/meetings/?page_size=20");
    let slashless = gateway.get("/v1/meetings?page_size=20").bearer(&key).send();
    assert_eq!((slashless.status, slashless.json().get("detail").is_some()), (404, true));
}

/// E12: a page of a thousand rows and more than a megabyte comes through whole.
#[test]
fn a_large_page_comes_through_whole() {
    let filler = "x".repeat(1200);
    let rows: Vec<String> = (0..1000)
        .map(|n| format!(r#"{{"call_id":"call_{n}","created_at":"{filler}","phone_number":"+1","is_private":false,"team_id":101}}"#))
        .collect();
    let body = format!(r#"{{"data":[{}],"pagination":{{"has_more":true}}}}"#, rows.join(","));
    let upstream = Upstream::answering(200, &body);
    let (gateway, key) = serving(&upstream);
    let pieces: Vec<&[u8]> = body.as_bytes().chunks(7_001).collect();
    for reply in [Reply::json(&body), Reply::chunked(&pieces), Reply::until_close(&body)] {
        upstream.now_replies(reply);
        let answer = gateway.get("/api/calls?limit=1000").bearer(&key).send();
        assert_eq!((answer.status, answer.ending), (200, Ending::Whole));
        let told = answer.json();
        assert_eq!(told["data"].as_array().unwrap().len(), 1000);
        assert_eq!(told["data"][999], json!({ "call_id": "call_999", "created_at": filler }));
        assert_eq!(told["pagination"], json!({ "has_more": true }));
    }
    upstream.now_replies(Reply::json(CONTACTS));
    assert_eq!(
        gateway.get("/api/contacts").bearer(&key).send().json(),
        json!({ "data": [{ "id": "contact_1", "name": "Zoë" }] })
    );
}
