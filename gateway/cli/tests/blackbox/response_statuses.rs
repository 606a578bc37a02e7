//! Statuses and headers of upstreams: which come back (C7, C8, C10, R13, A2).

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::response_support::{
    LIST, LIST_SHOWN, Rig, assert_clean, assert_own_words, assert_refused, json_head,
};
use crate::support::answer::{Ending, refusal};
use crate::support::{Answer, Reply};

/// The names of the headers; whether the connection goes on is between the gateway and its client.
fn names(answer: &Answer) -> BTreeSet<&str> {
    answer
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| *name != "connection")
        .collect()
}

/// What the gateway itself says on every answer to a known key.
const OWN: [&str; 7] = [
    "ratelimit",
    "ratelimit-policy",
    "x-content-type-options",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
];

/// Upstream headers that never come back from a filtered route, with a value that would be seen.
const NEVER: [(&str, &str); 42] = [
    ("Server", "c4n4ry"),
    ("Via", "1.1 c4n4ry"),
    ("X-Powered-By", "c4n4ry"),
    ("Set-Cookie", "session=c4n4ry"),
    ("Location", "http://c4n4ry/"),
    ("Content-Location", "/c4n4ry"),
    ("Refresh", "0;url=http://c4n4ry/"),
    ("Link", "</c4n4ry>; rel=next"),
    ("ETag", "\"c4n4ry\""),
    ("Last-Modified", "c4n4ry"),
    ("Content-MD5", "c4n4ry"),
    ("Digest", "sha-256=c4n4ry"),
    ("Content-Digest", "sha-256=:c4n4ry:"),
    ("Repr-Digest", "sha-256=:c4n4ry:"),
    ("Want-Repr-Digest", "c4n4ry"),
    ("Accept-Ranges", "c4n4ry"),
    ("Content-Disposition", "attachment; filename=c4n4ry"),
    ("Vary", "c4n4ry"),
    ("Age", "c4n4ry"),
    ("Expires", "c4n4ry"),
    ("Pragma", "c4n4ry"),
    ("Warning", "199 c4n4ry"),
    ("Alt-Svc", "h2=\"c4n4ry\""),
    ("Strict-Transport-Security", "c4n4ry"),
    ("Content-Security-Policy", "report-uri c4n4ry"),
    ("Access-Control-Allow-Origin", "c4n4ry"),
    ("Timing-Allow-Origin", "c4n4ry"),
    ("Server-Timing", "c4n4ry"),
    ("WWW-Authenticate", "Basic realm=c4n4ry"),
    ("Proxy-Authenticate", "Basic realm=c4n4ry"),
    ("Authentication-Info", "c4n4ry"),
    ("Connection", "x-c4n4ry"),
    ("Keep-Alive", "c4n4ry"),
    ("Upgrade", "c4n4ry"),
    ("X-RateLimit-Limit", "1"),
    ("X-RateLimit-Remaining", "c4n4ry"),
    ("X-RateLimit-Reset", "c4n4ry"),
    ("RateLimit", "c4n4ry"),
    ("RateLimit-Policy", "c4n4ry"),
    ("X-Request-Id", "c4n4ry"),
    ("X-Colonnade-Key-Id", "c4n4ry"),
    ("X-Content-Type-Options", "c4n4ry"),
];

const LISTED: [(&str, &str); 4] = [
    ("Content-Language", "de"),
    ("Cache-Control", "private, max-age=5"),
    ("Retry-After", "7"),
    ("Allow", "GET"),
];

/// C8, R13: headers come back by a list, once, and the gateway's own are its own.
#[test]
fn headers_come_back_by_a_list() {
    let rig = Rig::new();
    let more =
        [("Content-Type", "application/json"), ("X-Next-Cursor", "abc"), ("X-Served-By", "node 7")];
    let headers: Vec<(&str, &str)> = NEVER.iter().chain(&LISTED).chain(&more).copied().collect();
    for (target, added) in [("/list", &[][..]), ("/back", &["x-next-cursor", "x-served-by"])] {
        let answer = rig.of(target, Reply::with_headers(200, &headers, LIST));
        assert_eq!((answer.status, answer.text().as_str()), (200, LIST_SHOWN), "{target}");
        let mut expected: BTreeSet<&str> =
            OWN.into_iter().chain(["content-type", "content-length"]).collect();
        expected.extend(["content-language", "cache-control", "date", "retry-after", "allow"]);
        expected.extend(added);
        assert_eq!(names(&answer), expected, "{target}");
        for (name, value) in LISTED {
            assert_eq!(answer.header(name), Some(value), "{target}");
        }
        assert_eq!(answer.header("x-ratelimit-limit"), Some("3000"), "{target}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
    }
    // Where every column passes the gateway's own words are its own too.
    let answer = rig.of("/plain", Reply::with_headers(200, &headers, "{}"));
    for name in OWN {
        assert_eq!(answer.values(name).count(), 1, "{name} once");
    }
    for name in [
        "server",
        "via",
        "set-cookie",
        "location",
        "www-authenticate",
        "upgrade",
        "keep-alive",
        "x-colonnade-key-id",
    ] {
        assert_eq!(answer.values(name).count(), 0, "{name}");
    }
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

/// C8: a listed header that no client could read is not made worse.
#[test]
fn odd_values_of_listed_headers_do_no_harm() {
    let rig = Rig::new();
    for (name, value) in [
        ("Content-Language", ""),
        ("Cache-Control", "\u{e9}\u{ff}"),
        ("Retry-After", "never"),
        ("Date", "yesterday"),
        ("Allow", "\t"),
    ] {
        let headers = [("Content-Type", "application/json"), (name, value), (name, value)];
        let answer = rig.of("/list", Reply::with_headers(200, &headers, LIST));
        assert_eq!((answer.status, answer.text().as_str()), (200, LIST_SHOWN), "{name}");
        assert!(answer.values("date").count() <= 2, "{name}");
    }
}

/// C7: a success of another number is filtered all the same; one without a body has none.
#[test]
fn other_successes_are_filtered() {
    let rig = Rig::new();
    for status in [200, 201, 202, 203, 207, 226, 299] {
        let answer = rig.of("/list", Reply::status(status, LIST));
        assert_eq!((answer.status, answer.text().as_str()), (status, LIST_SHOWN));
    }
    for reply in [
        Reply::raw("HTTP/1.1 204 c4n4ry\r\nETag: c4n4ry\r\n\r\n"),
        Reply::raw(
            "HTTP/1.1 204 c4n4ry\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\nc4n4ry",
        ),
        Reply::raw(
            "HTTP/1.1 204 c4n4ry\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nc4n4ry\r\n0\r\n\r\n",
        ),
    ] {
        let answer = rig.of("/list", reply);
        assert_eq!((answer.status, answer.reason.as_str()), (204, "No Content"));
        assert_eq!(
            (answer.header("content-length"), answer.header("transfer-encoding")),
            (None, None)
        );
        rig.still_good("204");
        rig.still_good("204");
    }
}

/// C7: statuses that carry something else than the resource, or nothing.
#[test]
fn other_statuses_are_refused() {
    let rig = Rig::new();
    let html = ("Content-Type", "text/html");
    let json = ("Content-Type", "application/json");
    for status in [205, 206, 300, 301, 302, 303, 304, 305, 307, 308, 399] {
        for kind in [html, json] {
            let headers = [kind, ("Location", "http://c4n4ry/"), ("ETag", "\"c4n4ry\"")];
            let body = if status == 304 { "" } else { LIST };
            rig.refuses(
                &format!("{status} {}", kind.1),
                "/list",
                Reply::with_headers(status, &headers, body),
            );
        }
    }
    for (what, headers) in [
        ("a part as 206", vec![json, ("Content-Range", "bytes 0-9/100")]),
        ("a part as 200", vec![json, ("Content-Range", "bytes 0-9/100")]),
        ("parts", vec![("Content-Type", "multipart/byteranges; boundary=c4n4ry")]),
    ] {
        let status = if what.ends_with("206") { 206 } else { 200 };
        rig.refuses(what, "/list", Reply::with_headers(status, &headers, LIST));
    }
    for reply in [
        Reply::json(""),
        Reply::chunked(&[]),
        Reply::until_close(""),
        Reply::raw("HTTP/1.1 200 c4n4ry\r\nContent-Length: 0\r\n\r\n"),
    ] {
        rig.refuses("an empty 200", "/list", reply);
    }
}

/// C10: another status from 400 on is told without a byte of the upstream, on filtered routes and
/// on those where every column passes.
#[test]
fn errors_are_told_in_the_gateways_words() {
    let rig = Rig::new();
    let body = r#"{"error":"c4n4ry","data":[{"call_id":"c4n4ry"}]}"#;
    for status in [
        400_u16, 401, 403, 406, 407, 408, 413, 416, 417, 421, 426, 429, 431, 500, 502, 503, 504,
        505, 507, 599,
    ] {
        for target in ["/list", "/plain", "/named"] {
            let headers: Vec<(&str, &str)> = NEVER
                .iter()
                .copied()
                .chain([("Content-Type", "application/json"), ("Content-Encoding", "c4n4ry")])
                .collect();
            let answer = rig.of(target, Reply::with_headers(status, &headers, body));
            let what = format!("{status} on {target}");
            assert_eq!(answer.verdict(), refusal(status, "upstream_error"), "{what}");
            assert_own_words(&what, &answer);
            assert_eq!(answer.values("www-authenticate").count(), 0, "{what}");
            assert_eq!(answer.header("x-ratelimit-limit"), Some("3000"), "{what}");
        }
    }
    rig.still_good("all of them");
    for target in ["/list", "/plain"] {
        let theirs = rig.of(target, Reply::status(404, body));
        let ours = rig.get("/nowhere");
        assert_eq!(theirs.verdict(), refusal(404, "not_found"), "{target}");
        assert_eq!(
            (theirs.anonymous(), names(&theirs)),
            (ours.anonymous(), names(&ours)),
            "{target}"
        );
        assert_eq!(theirs.header("content-length"), ours.header("content-length"), "{target}");
    }
}

/// C10: an error whose body never ends, is huge or malformed is told at once all the same.
#[test]
fn an_errors_body_is_not_waited_for() {
    let rig = Rig::new();
    let gate = crate::support::Gate::new();
    let head = "HTTP/1.1 500 c4n4ry\r\nContent-Type: application/json\r\n";
    for (what, reply) in [
        ("it never comes", Reply::raw(format!("{head}Content-Length: 100\r\n\r\n")).wait(&gate)),
        (
            "it breaks off",
            Reply::raw(format!("{head}Content-Length: 100\r\n\r\nc4n4ry")).then_close(),
        ),
        (
            "it is huge",
            Reply::raw([format!("{head}\r\n").as_bytes(), &b"c4n4ry".repeat(1 << 20)].concat())
                .then_close(),
        ),
        (
            "it is in broken chunks",
            Reply::raw(format!("{head}Transfer-Encoding: chunked\r\n\r\nc4n4ry\r\n")),
        ),
        (
            "it is in a coding",
            Reply::raw(format!("{head}Content-Encoding: gzip\r\nContent-Length: 6\r\n\r\nc4n4ry")),
        ),
    ] {
        let answer = rig.of("/list", reply);
        assert_eq!(answer.verdict(), refusal(500, "upstream_error"), "{what}");
        assert_own_words(what, &answer);
        rig.still_good(what);
        rig.still_good(what);
    }
    gate.open();
}

/// C10: a route that says so passes errors, and filters the rest.
#[test]
fn errors_pass_on_a_route_that_says_so() {
    let rig = Rig::new();
    for (status, kind, body) in [
        (
            404,
            "application/json",
            r#"{"error":"Not Found","message":"Transcript not available for this call"}"#,
        ),
        (422, "text/plain", "wrong"),
        (500, "application/problem+json", "{}"),
    ] {
        let answer = rig.of(
            "/errors",
            Reply::with_headers(
                status,
                &[
                    ("Content-Type", kind),
                    ("Server", "c4n4ry"),
                    ("WWW-Authenticate", "Basic c4n4ry"),
                ],
                body,
            ),
        );
        assert_eq!((answer.status, answer.text().as_str()), (status, body));
        assert_eq!(answer.header("content-type"), Some(kind));
        assert_eq!(answer.values("www-authenticate").count(), 0);
        assert_clean("passed", &answer);
    }
    rig.shows("and the rest", "/errors", Reply::json(LIST), LIST_SHOWN);
    rig.refuses(
        "and is closed",
        "/errors",
        Reply::with_headers(302, &[("Location", "http://c4n4ry/")], ""),
    );
}

/// C8: HEAD says nothing of the upstream's length and has no body; the connection goes on.
#[test]
fn head_has_neither_body_nor_the_upstreams_length() {
    let rig = Rig::new();
    let bare = json_head(&format!("Content-Length: {}\r\nETag: \"c4n4ry\"\r\n", LIST.len()));
    for (what, reply) in [
        ("a head alone", Reply::raw(bare.clone())),
        ("chunks announced", Reply::raw(json_head("Transfer-Encoding: chunked\r\n"))),
        ("a body all the same", Reply::raw(bare + LIST)),
    ] {
        rig.upstream.now_replies(reply);
        let answer = rig.ask("HEAD", "/list");
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{what}");
        let length = LIST.len().to_string();
        assert_ne!(answer.header("content-length"), Some(length.as_str()), "{what}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
        for _ in 0..3 {
            rig.still_good(what);
        }
    }
    for (status, expected) in [(404, 404), (500, 500), (302, 502), (206, 502)] {
        rig.upstream.now_replies(Reply::raw(format!(
            "HTTP/1.1 {status} c4n4ry\r\nLocation: c4n4ry\r\nContent-Length: 9\r\n\r\n"
        )));
        let answer = rig.ask("HEAD", "/list");
        assert_eq!((answer.status, answer.body.len()), (expected, 0));
        rig.still_good("an error to HEAD");
    }
    rig.upstream.now_replies(Reply::raw(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n",
    ));
    assert_eq!(rig.ask("HEAD", "/list").status, 502);
    rig.still_good("a page to HEAD");
}

fn http10(rig: &Rig, target: &str) -> Answer {
    let request = format!(
        "GET {target} HTTP/1.0\r\nHost: gateway.test\r\nAuthorization: Bearer {}\r\n\r\n",
        rig.key.text
    );
    rig.gateway().raw(request)
}

/// C8: a client of HTTP/1.0 cannot see a cut, so what is filtered is not for it.
#[test]
fn http_1_0_is_refused_where_bodies_are_filtered() {
    let rig = Rig::new();
    for target in ["/list", "/one", "/named", "/errors"] {
        let answer = http10(&rig, target);
        assert_eq!(answer.status, 505, "{target}: {}", answer.text());
        assert_clean(target, &answer);
        assert_eq!(rig.upstream.requests_seen(), 0, "{target}: nobody was asked");
    }
    for (what, reply) in [
        ("with its length", Reply::json("{}")),
        ("in chunks", Reply::chunked(&[b"{", b"}"])),
        ("until close", Reply::until_close("{}")),
    ] {
        rig.upstream.now_replies(reply);
        let answer = http10(&rig, "/plain");
        assert_eq!((answer.status, answer.text().as_str()), (200, "{}"), "{what}");
        assert_eq!(answer.header("transfer-encoding"), None, "{what}: HTTP/1.0 knows no chunks");
        assert_ne!(answer.ending, Ending::Cut, "{what}");
    }
    rig.upstream.now_replies(Reply::json(LIST));
    assert_refused_or_gone(&rig);
}

/// C8: nobody can tell a cut from an end in HTTP/1.0, so there a broken body must not end in peace.
#[test]
fn a_cut_over_http_1_0_is_no_clean_end() {
    let rig = Rig::new();
    let wire = json_head("Transfer-Encoding: chunked\r\n") + "b\r\n{\"data\":[{}\r\n";
    rig.upstream.now_replies(Reply::raw(wire).then_close());
    let mut stream = TcpStream::connect(rig.gateway().address()).unwrap();
    let request =
        format!("GET /plain HTTP/1.0\r\nAuthorization: Bearer {}\r\nHost: a\r\n\r\n", rig.key.text);
    stream.write_all(request.as_bytes()).unwrap();
    let mut seen = Vec::new();
    let ended = stream.read_to_end(&mut seen);
    let text = String::from_utf8_lossy(&seen).into_owned();
    assert!(ended.is_err() || text.contains(" 502 "), "{text}");
}

/// The key's limit and the order of refusals hold for HTTP/1.0 as well.
fn assert_refused_or_gone(rig: &Rig) {
    let nowhere = http10(rig, "/nowhere");
    assert_eq!(nowhere.verdict(), refusal(404, "not_found"));
    let answer = rig.of("/list", Reply::json("[]"));
    assert_refused("a body of another shape", &answer);
}
