//! What a credential may look like: shapes, pairs, carriers, and odd headers (A3, A4, A5, A7).

use crate::samples::CALLS;
use crate::support::answer::refusal;
use crate::support::{Config, Directory, Gateway, Key, Upstream};

fn serving(upstream: &Upstream, accept: &str, keys: impl IntoIterator<Item = Key>) -> Gateway {
    let config = Config::with_upstream(upstream)
        .section("keys", &format!("{{ prefix: avoca_, accept: {accept} }}"));
    Gateway::start(&config, &Directory::of(keys))
}

/// A3: the key is what it is, to the byte.
#[test]
fn a_key_of_another_shape_is_refused() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]);
    let gateway = serving(&upstream, "[bearer, x-api-key]", [key.clone()]);
    let text = key.text.as_str();
    assert_eq!(text.len(), 70);
    let mut accepted = Vec::new();
    for (what, presented) in [
        ("one short", text[..69].to_owned()),
        ("one more", format!("{text}0")),
        ("upper-case hex", format!("avoca_{}", text[6..].to_ascii_uppercase())),
        ("upper-case prefix", format!("AVOCA_{}", &text[6..])),
        ("pasted twice", format!("{text}{text}")),
        ("no prefix", text[6..].to_owned()),
        ("trailing colon", format!("{text}:")),
        ("quoted", format!("\"{text}\"")),
        ("two blanks before", format!(" {text}")),
        ("a second word", format!("{text} more")),
        ("a trailing space", format!("{text} ")),
        ("a trailing tab", format!("{text}\t")),
        ("very long", "a".repeat(4096)),
    ] {
        let answer = gateway
            .get("/api/calls")
            .header("Authorization", &format!("Bearer {presented}"))
            .send();
        if answer.verdict() != refusal(401, "invalid_api_key") {
            accepted.push((what, answer.verdict()));
        }
    }
    assert!(accepted.is_empty(), "{accepted:?}");
    assert_eq!(upstream.requests_seen(), 0);
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
}

/// A4: both halves of a pair must match, and the whole of it is what is looked up.
#[test]
fn both_halves_of_a_pair_must_match() {
    let upstream = Upstream::answering(200, CALLS);
    let pair = Key::with_text("pair", "CLIENT_KEY:CLIENT_SECRET", &["calls:read"]);
    let other = Key::with_text("other", "OTHER_KEY:OTHER_SECRET", &["calls:read"]);
    let gateway = serving(&upstream, "[bearer, x-api-key]", [pair, other]);
    for (presented, status) in [
        ("CLIENT_KEY:CLIENT_SECRET", 200),
        ("OTHER_KEY:OTHER_SECRET", 200),
        ("CLIENT_KEY:OTHER_SECRET", 401),
        ("OTHER_KEY:CLIENT_SECRET", 401),
        ("CLIENT_KEY", 401),
        ("CLIENT_KEY:", 401),
        (":CLIENT_SECRET", 401),
        (":", 401),
        ("CLIENT_SECRET:CLIENT_KEY", 401),
        ("CLIENT_KEY:CLIENT_SECRET:", 401),
        ("client_key:CLIENT_SECRET", 401),
    ] {
        let bearer = gateway
            .get("/api/calls")
            .header("Authorization", &format!("Bearer {presented}"))
            .send();
        assert_eq!(bearer.status, status, "Bearer {presented}");
        assert_eq!(
            gateway.get("/api/calls").header("X-API-Key", presented).send().status,
            status,
            "{presented}"
        );
    }
}

/// A5: the halves given apart work as HTTP Basic where that is accepted, and nowhere else.
#[test]
fn basic_carries_the_halves_where_it_is_accepted() {
    let upstream = Upstream::answering(200, CALLS);
    let pair = Key::with_text("pair", "half_one:half_two", &["calls:read"]);
    let accepting = serving(&upstream, "[basic]", [pair.clone()]);
    for (value, status, code) in [
        ("Basic aGFsZl9vbmU6aGFsZl90d28=", 200, ""),
        ("basic aGFsZl9vbmU6aGFsZl90d28=", 200, ""),
        ("Basic aGFsZl9vbmU6d3Jvbmc=", 401, "invalid_api_key"), // half_one:wrong
        ("Basic aGFsZl9vbmU=", 401, "invalid_api_key"),         // half_one
        ("Basic aGFsZl9vbmU6aGFsZl90d28", 401, "invalid_api_key"), // no padding
        ("Basic aGFsZl9vbmU6aGFsZl90d28=x", 401, "invalid_api_key"),
        ("Basic", 401, "invalid_api_key"),
        ("Bearer half_one:half_two", 401, "missing_api_key"), // not accepted here
    ] {
        let answer = accepting.get("/api/calls").header("Authorization", value).send();
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{value}");
    }
    let not_accepting = serving(&upstream, "[bearer]", [pair.clone()]);
    let answer = not_accepting
        .get("/api/calls")
        .header("Authorization", "Basic aGFsZl9vbmU6aGFsZl90d28=")
        .send();
    assert_eq!(answer.verdict(), refusal(401, "missing_api_key"));
    assert_eq!(not_accepting.get("/api/calls").header("X-API-Key", &pair.text).send().status, 401);
    assert_eq!(not_accepting.get("/api/calls").bearer(&pair).send().status, 200);
}

/// A7: more than one credential is refused even when each of them is right.
#[test]
fn more_than_one_credential_is_refused() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]);
    let gateway = serving(&upstream, "[bearer, x-api-key]", [key.clone()]);
    let text = &key.text;
    for lines in [
        format!("Authorization: Bearer {text}\r\nAuthorization: Bearer {text}\r\n"),
        format!("Authorization: Bearer {text}\r\nauthorization: Bearer nonsense\r\n"),
        format!("Authorization: Basic eA==\r\nAuthorization: Bearer {text}\r\n"),
        format!("Authorization: Bearer {text}\r\nX-API-Key: {text}\r\n"),
        format!("X-API-Key: {text}\r\nX-Api-Key: {text}\r\n"),
        format!("Authorization: Bearer {text}, Bearer {text}\r\n"),
        format!("Authorization: Bearer {text},{text}\r\n"),
        format!("X-API-Key: {text},{text}\r\n"),
        format!("X-API-Key: {text}, other\r\n"),
    ] {
        let answer = gateway.raw(format!("GET /api/calls HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
        assert_eq!(answer.verdict(), refusal(401, "invalid_api_key"), "{lines}");
    }
    assert_eq!(upstream.requests_seen(), 0);
}

/// A7: a folded line, an empty value or foreign bytes never become a key.
#[test]
fn odd_credential_headers_are_refused() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]);
    let gateway = serving(&upstream, "[bearer, x-api-key]", [key.clone()]);
    let text = &key.text;
    for (line, statuses) in [
        (format!("Authorization: Bearer\r\n {text}\r\n"), &[400][..]),
        (format!("Authorization: Bearer {}\r\n\t{}\r\n", &text[..30], &text[30..]), &[400]),
        (format!("Authorization : Bearer {text}\r\n"), &[400]),
        ("Authorization:\r\n".to_owned(), &[401]),
        ("Authorization: \r\n".to_owned(), &[401]),
        ("X-API-Key:\r\n".to_owned(), &[401]),
        (format!("Authorization: Bearer\t{text}\r\n"), &[400, 401]),
        (format!("Authorization: Bearer {text}\u{e9}\r\n"), &[400, 401]),
        (format!("Authorization: Bearer {text}\0\r\n"), &[400]),
        (format!("Authorization: Bearer=\"{text}\"\r\n"), &[401]),
        (format!("Authorization: BearerBearer {text}\r\n"), &[401]),
    ] {
        let answer = gateway.raw(format!("GET /api/calls HTTP/1.1\r\nHost: a\r\n{line}\r\n"));
        assert!(statuses.contains(&answer.status), "{line:?}: {}", answer.status);
    }
    assert_eq!(upstream.requests_seen(), 0);
    assert_eq!(
        gateway.get("/api/calls").bearer(&key).send().status,
        200,
        "the good request after them works"
    );
}
