//! Which rows leave, for every data scope and shape (P3 to P8).

use serde_json::json;

use crate::response_support::{CANARY, assert_clean, config};
use crate::support::answer::refusal;
use crate::support::{Config, Directory, Gateway, Key, Reply, Upstream};

const SCOPES: [&str; 5] =
    ["user_non_private", "user_full", "org_non_private", "org_full", "legacy"];

fn keys() -> [Key; 5] {
    SCOPES.map(|scope| {
        let key = Key::new(scope, &["calls:read"]).with("data_scope", scope);
        if scope.starts_with("user") { key.with("user", "u_ann") } else { key }
    })
}

/// One resource for each way to say whose a row is; all but the last filter columns too.
const RESOURCES: &str = r#"
  plain:
    columns: { id: { always: true } }
    visibility: { private: is_private, owner: user }
  dotted:
    columns: { id: {} }
    visibility: { private: meta.privacy.is_private, owner: [meta.owner.email, owner_id] }
  teams: { columns: { id: {} }, visibility: { team: team.id } }
  private: { columns: { id: {} }, visibility: { private: is_private } }
  owned: { columns: { id: {} }, visibility: { owner: user } }
  upstream: { columns: { id: {} }, visibility: upstream }
  silent: { columns: { id: {} } }
  all: { columns: all, visibility: { private: is_private, owner: user } }
  all_private: { columns: all, visibility: { private: is_private } }"#;

fn settings(upstream: &Upstream) -> Config {
    let mut routes = String::new();
    for name in
        ["plain", "dotted", "teams", "private", "owned", "upstream", "silent", "all", "all_private"]
    {
        for (shape, rows) in [("list", "data[]"), ("one", "data"), ("bare", "[]"), ("row", "$")] {
            routes += &format!(
                "\n  - {{ match: GET /{name}/{shape}, upstream: calls, scope: calls:read, resource: {name}, rows: \"{rows}\" }}"
            );
        }
    }
    config(upstream).section("resources", RESOURCES).section("routes", &routes)
}

fn serving(upstream: &Upstream) -> (Gateway, [Key; 5]) {
    let keys = keys();
    let directory = Directory::of(keys.clone()).acme(
        "users",
        json!({ "u_ann": { "email": "ann@acme.test", "active": true }, "u_bob": { "email": "bob@acme.test", "active": true } }),
    );
    (Gateway::start(&settings(upstream), &directory), keys)
}

/// A row, and whether each of [`SCOPES`] sees it.
type Case = (&'static str, &'static str, [bool; 5]);

/// P3 to P6: rows of all kinds in all shapes. What is not seen is gone; alone it does not exist.
fn check(upstream: &Upstream, gateway: &Gateway, keys: &[Key; 5], resource: &str, cases: &[Case]) {
    let shown = |row: &str| {
        if resource == "all" { row.to_owned() } else { r#"{"id":"the_row"}"#.to_owned() }
    };
    for (what, row, seen) in cases {
        let row = format!(r#"{{"id":"the_row",{row}}}"#);
        let edge = r#"{"id":"edge","is_private":true,"meta":{"privacy":{"is_private":true},"owner":{"email":"c4n4ry"}},"user":"c4n4ry","team":{"id":999}}"#;
        for (key, seen) in keys.iter().zip(seen) {
            let get = |shape: &str, body: String| {
                upstream.now_replies(Reply::json(body));
                gateway.get(&format!("/{resource}/{shape}")).bearer(key).send()
            };
            let told = format!("{what} for {} on {resource}", key.id);
            let list = get("list", format!(r#"{{"data":[{edge},{row},{edge}]}}"#));
            assert_eq!(list.status, 200, "{told}: {}", list.text());
            assert_eq!(list.text().contains("the_row"), *seen, "{told}: {}", list.text());
            assert!(list.json()["data"].is_array(), "{told}");
            let bare = get("bare", format!("[{row}]"));
            assert_eq!(
                bare.text(),
                if *seen { format!("[{}]", shown(&row)) } else { "[]".to_owned() },
                "{told}"
            );
            for (shape, body) in [("one", format!(r#"{{"data":{row}}}"#)), ("row", row.clone())] {
                let one = get(shape, body.clone());
                if *seen {
                    assert_eq!(
                        (one.status, one.text()),
                        (200, body.replace(&row, &shown(&row))),
                        "{told}"
                    );
                } else {
                    let nowhere = gateway.get("/nowhere").bearer(key).send();
                    assert_eq!(one.verdict(), refusal(404, "not_found"), "{told}: {}", one.text());
                    assert_eq!(one.anonymous(), nowhere.anonymous(), "{told}");
                    assert_eq!(
                        one.header("content-length"),
                        nowhere.header("content-length"),
                        "{told}"
                    );
                }
            }
        }
    }
}

/// P3 to P6: by columns of the row itself; only JSON's `false` is not private.
#[test]
fn rows_are_judged_by_their_columns() {
    let upstream = Upstream::answering(200, "{}");
    let (gateway, keys) = serving(&upstream);
    let (nobodys, anns, bobs) = (
        [false, false, false, true, true],
        [false, true, false, true, true],
        [false, false, true, true, true],
    );
    let everybodys = [true, true, true, true, true];
    let cases: Vec<Case> = vec![
        ("Ann's, by mail", r#""user":"ann@acme.test","is_private":false"#, everybodys),
        ("Ann's, by id", r#""is_private":false,"user":"u_ann""#, everybodys),
        ("Ann's, escaped", r#""us\u0065r":"u\u005fann","is\u005fprivate":false"#, everybodys),
        ("Ann's, and private", r#""user":"u_ann","is_private":true"#, anns),
        ("unsaid", r#""user":"u_ann""#, anns),
        ("null", r#""user":"u_ann","is_private":null"#, anns),
        ("quoted", r#""user":"u_ann","is_private":"false""#, anns),
        ("a number", r#""user":"u_ann","is_private":0"#, anns),
        ("an empty text", r#""user":"u_ann","is_private":"""#, anns),
        ("an array", r#""user":"u_ann","is_private":[false]"#, anns),
        ("an object", r#""user":"u_ann","is_private":{"is_private":false}"#, anns),
        ("doubled, and false", r#""user":"u_ann","is_private":false,"is_private":false"#, anns),
        ("doubled, first false", r#""user":"u_ann","is_private":false,"is_private":true"#, anns),
        ("doubled, last false", r#""user":"u_ann","is_private":true,"is_private":false"#, anns),
        (
            "doubled by an escape",
            r#""user":"u_ann","is_private":true,"is_privat\u0065":false"#,
            anns,
        ),
        ("another letter case", r#""user":"u_ann","Is_Private":false"#, anns),
        ("deeper down", r#""user":"u_ann","x":{"is_private":false}"#, anns),
        ("Bob's", r#""user":"bob@acme.test","is_private":false"#, bobs),
        ("Bob's, and private", r#""user":"bob@acme.test","is_private":true"#, nobodys),
        ("nobody's", r#""is_private":false"#, bobs),
        ("null's", r#""user":null,"is_private":false"#, bobs),
        ("longer", r#""user":"ann@acme.test.evil","is_private":false"#, bobs),
        ("shorter", r#""user":"ann@acme.tes","is_private":false"#, bobs),
        ("spaced", r#""user":" u_ann","is_private":false"#, bobs),
        ("an object's", r#""user":{"id":"u_ann"},"is_private":false"#, bobs),
        ("doubled, Ann's last", r#""user":"u_bob","user":"u_ann","is_private":false"#, bobs),
        ("doubled, Ann's first", r#""user":"u_ann","user":"u_bob","is_private":false"#, bobs),
    ];
    check(&upstream, &gateway, &keys, "plain", &cases);
    check(&upstream, &gateway, &keys, "all", &cases);
}

/// P3: columns that are dotted, and more than one that may name the owner.
#[test]
fn judged_columns_may_be_dotted() {
    let upstream = Upstream::answering(200, "{}");
    let (gateway, keys) = serving(&upstream);
    let everybodys = [true; 5];
    check(
        &upstream,
        &gateway,
        &keys,
        "dotted",
        &[
            (
                "Ann's, by mail",
                r#""meta":{"owner":{"email":"ann@acme.test"},"privacy":{"is_private":false}}"#,
                everybodys,
            ),
            (
                "Ann's, by the other column",
                r#""owner_id":"u_ann","meta":{"privacy":{"is_private":false}}"#,
                everybodys,
            ),
            (
                "Ann's, private",
                r#""owner_id":"u_ann","meta":{"privacy":{"is_private":true}}"#,
                [false, true, false, true, true],
            ),
            (
                "Ann's, half said",
                r#""owner_id":"u_ann","meta":{"privacy":{}}"#,
                [false, true, false, true, true],
            ),
            (
                "Ann's, at the wrong place",
                r#""owner_id":"u_ann","is_private":false"#,
                [false, true, false, true, true],
            ),
            (
                "Bob's",
                r#""owner_id":"u_bob","meta":{"owner":{"email":"bob@acme.test"},"privacy":{"is_private":false}}"#,
                [false, false, true, true, true],
            ),
        ],
    );
}

/// P5, T1: rows of foreign teams are hidden from every key, whatever its data scope.
#[test]
fn rows_of_foreign_teams_are_hidden_from_all() {
    let upstream = Upstream::answering(200, "{}");
    let (gateway, keys) = serving(&upstream);
    let org = [keys[3].clone(), keys[4].clone()];
    for (what, team, seen) in [
        ("a number", "101", true),
        ("a text", "\"102\"", true),
        ("an escaped text", "\"1\\u00302\"", true),
        ("a foreign one", "999", false),
        ("a longer one", "1011", false),
        ("a fraction", "101.0", false),
        ("null", "null", false),
        ("an object", r#"{"id":101}"#, false),
        ("doubled", r#"101,"id":999"#, false),
    ] {
        upstream.now_replies(Reply::json(format!(
            r#"{{"data":[{{"id":"the_row","team":{{"id":{team}}}}}]}}"#
        )));
        for key in &org {
            let answer = gateway.get("/teams/list").bearer(key).send();
            assert_eq!(
                answer.text().contains("the_row"),
                seen,
                "{what} for {}: {}",
                key.id,
                answer.text()
            );
        }
    }
    upstream.now_replies(Reply::json(r#"{"data":{"id":"the_row"}}"#));
    assert_eq!(
        gateway.get("/teams/one").bearer(&org[0]).send().status,
        404,
        "a row without a team"
    );
}

/// P7: a data scope that a resource cannot enforce closes it before the upstream is asked.
#[test]
fn a_scope_without_its_column_is_not_supported() {
    let upstream = Upstream::answering(200, r#"{"data":[]}"#);
    let (gateway, keys) = serving(&upstream);
    for (resource, passes) in [
        ("plain", [true, true, true, true, true]),
        ("private", [false, false, true, true, true]),
        ("owned", [false, true, false, true, true]),
        ("teams", [false, false, false, true, true]),
        ("silent", [false, false, false, true, true]),
        ("upstream", [true, true, true, true, true]),
    ] {
        for (key, passes) in keys.iter().zip(passes) {
            upstream.forget();
            let answer = gateway.get(&format!("/{resource}/list")).bearer(key).send();
            let verdict =
                if passes { refusal(200, "") } else { refusal(403, "data_scope_not_supported") };
            assert_eq!(answer.verdict(), verdict, "{resource} for {}", key.id);
            assert_eq!(upstream.requests_seen(), usize::from(passes), "{resource} for {}", key.id);
        }
    }
}

/// P3, P8: hidden rows leave no trace in either shape of answer: no bytes, no length, no gaps.
#[test]
fn hidden_rows_leave_no_trace() {
    let upstream = Upstream::answering(200, "{}");
    let (gateway, keys) = serving(&upstream);
    let hidden = format!(r#"{{"id":"{CANARY}","is_private":true,"user":"{CANARY}"}}"#);
    let public = r#"{"id":"public","is_private":false,"user":"u_bob"}"#;
    for (rows, expected) in [
        (vec![hidden.as_str()], r#"{"data":[]}"#),
        (vec![&hidden, &hidden, &hidden], r#"{"data":[]}"#),
        (vec![&hidden, public], r#"{"data":[{"id":"public"}]}"#),
        (vec![public, &hidden], r#"{"data":[{"id":"public"}]}"#),
        (
            vec![public, &hidden, &hidden, public, &hidden],
            r#"{"data":[{"id":"public"},{"id":"public"}]}"#,
        ),
    ] {
        upstream.now_replies(Reply::json(format!(
            r#"{{"data":[{}],"total":"{CANARY}"}}"#,
            rows.join(",")
        )));
        let answer = gateway.get("/plain/list").bearer(&keys[2]).send();
        assert_eq!(answer.text(), expected);
        assert_eq!(answer.number("content-length"), expected.len() as u64);
        assert_clean("hidden rows", &answer);
    }
    // A fault inside a hidden row is a fault of the body.
    upstream.now_replies(Reply::json(format!(
        r#"{{"data":[{public},{{"is_private":true,"id":01}}]}}"#
    )));
    assert_eq!(gateway.get("/plain/list").bearer(&keys[2]).send().status, 502);
    let said = [gateway.access.all(), gateway.log.all()].concat();
    assert!(!said.iter().any(|line| line.contains(CANARY)));
}

/// P3: HEAD must not tell that a hidden row exists: it answers as GET would, or not at all.
#[test]
fn head_does_not_tell_that_a_hidden_row_exists() {
    let upstream = Upstream::scripted(|seen| {
        let body = r#"{"data":{"id":"the_row","is_private":true,"user":"u_bob"}}"#;
        let status = if seen.target.ends_with("missing") { "404 Not Found" } else { "200 OK" };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Reply::raw(if seen.method == "HEAD" { head } else { head + body })
    });
    let (gateway, keys) = serving(&upstream);
    for key in &keys[..3] {
        let ask = |method: &str, target: &str| gateway.request(method, target).bearer(key).send();
        assert_eq!(ask("GET", "/plain/one").status, 404, "{}", key.id);
        assert_eq!(ask("GET", "/plain/one?missing").status, 404, "{}", key.id);
        let (hidden, missing) = (ask("HEAD", "/plain/one"), ask("HEAD", "/plain/one?missing"));
        assert_eq!((hidden.status, missing.status), (404, 404), "{}", key.id);
    }
}

/// P3: a user whose email changes or who has none is judged by what is true now.
#[test]
fn a_changed_email_counts_at_once() {
    let upstream = Upstream::answering(
        200,
        r#"{"data":[{"id":"old","is_private":false,"user":"ann@acme.test"},{"id":"new","is_private":false,"user":"ann@new.test"},{"id":"empty","is_private":false,"user":""},{"id":"by_id","is_private":false,"user":"u_ann"}]}"#,
    );
    let key = keys()[0].clone();
    let records = Directory::of([key.clone()]);
    let mut gateway = Gateway::start(&settings(&upstream), &records);
    for (user, expected) in [
        (json!({ "email": "ann@acme.test", "active": true }), ["old", "by_id"].as_slice()),
        (json!({ "email": "ann@new.test", "active": true }), &["new", "by_id"]),
        (json!({ "active": true }), &["by_id"]),
    ] {
        gateway.write_directory(&records.clone().acme("users", json!({ "u_ann": user })));
        let body = gateway.get("/plain/list").bearer(&key).send().json();
        let ids: Vec<&str> = body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, expected, "{user}");
    }
}

/// P3: a row is held until it is judged, however late it says what it is and however it is cut.
#[test]
fn a_row_that_says_late_whose_it_is_is_held_back() {
    let upstream = Upstream::answering(200, "{}");
    let (gateway, keys) = serving(&upstream);
    let key = &keys[2];
    let long = "a".repeat(500_000);
    let row = |private: bool| format!(r#"{{"id":"the_row","x":"{long}","is_private":{private}}}"#);
    let shown = |row: &str| format!(r#"{{"data":{row}}}"#);
    for resource in ["private", "all_private"] {
        for (private, status) in [(true, 404), (false, 200)] {
            let body = shown(&row(private));
            for reply in [
                Reply::json(&body),
                Reply::chunked(&body.as_bytes().chunks(1_000).collect::<Vec<_>>()),
            ] {
                upstream.now_replies(reply);
                let answer = gateway.get(&format!("/{resource}/one")).bearer(key).send();
                assert_eq!(
                    answer.status,
                    status,
                    "{resource} {private}: {} bytes",
                    answer.body.len()
                );
            }
        }
        let rows = format!("[{},{},{}]", row(true), row(false), row(true));
        upstream.now_replies(Reply::json(shown(&rows)));
        let answer = gateway.get(&format!("/{resource}/list")).bearer(key).send();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["data"].as_array().map(Vec::len), Some(1), "{resource}");
    }
    // Beyond `bounds.row` nobody can say.
    let endless = format!(r#"{{"id":"the_row","x":"{}","is_private":true}}"#, "a".repeat(2 << 20));
    upstream.now_replies(Reply::json(shown(&endless)));
    let answer = gateway.get("/all_private/one").bearer(key).send();
    assert_eq!(answer.verdict(), refusal(502, "response_not_filterable"));
}

/// P3: a row that comes twice is judged twice; no order of the two shows the hidden one.
#[test]
fn a_single_row_that_comes_twice_shows_nothing_hidden() {
    let upstream = Upstream::answering(200, "{}");
    let (gateway, keys) = serving(&upstream);
    let hidden = format!(r#"{{"id":"{CANARY}","is_private":true}}"#);
    let public = r#"{"id":"public","is_private":false}"#;
    for rows in [
        [public, &hidden],
        [&hidden, public],
        [&hidden, &hidden],
        ["null", &hidden],
        [&hidden, "null"],
    ] {
        upstream.now_replies(Reply::json(format!(r#"{{"data":{},"data":{}}}"#, rows[0], rows[1])));
        let answer = gateway.get("/private/one").bearer(&keys[2]).send();
        assert_clean(&rows.join(" then "), &answer);
        assert!([404, 502, 200].contains(&answer.status), "{}", answer.status);
        assert!(
            rows.contains(&public) || rows.contains(&"null") || answer.status != 200,
            "{}",
            answer.text()
        );
    }
}
