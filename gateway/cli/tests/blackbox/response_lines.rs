//! Routes whose rows are lines: what of JSON Lines passes, and what is refused (C1, C7, P3, P8).

use crate::response_support::{
    LIST, Rig, assert_clean, assert_cut, assert_refused, chunks, config, directory,
};
use crate::support::gateway::Launch;
use crate::support::{Directory, Gateway, Key, Reply, Upstream};

const ROUTES: &str = r#"
  - { match: GET /lines, upstream: calls, scope: calls:read, resource: calls, rows: "$*" }
  - { match: GET /named-lines, upstream: calls, scope: calls:read, resource: named, rows: "$*" }
  - { match: GET /plain-lines, upstream: calls, scope: calls:read, resource: plain, rows: "$*" }"#;

const NDJSON: &str = "application/x-ndjson";
const JSONL: &str = "application/jsonl";

/// Hidden columns in each of their places, line ends of both kinds, and a last line without one.
const LINES: &str = concat!(
    "{\"call_id\":\"one\",\"email\":\"c4n4ry\"}\n",
    "\r\n{\"trace\":{\"}\":[\"c4n4ry\"]},\"call_id\":\"two\",\"blob\":{ \"x\":1 }}\r\n",
    "{\"call_id\":\"three\",\"assistant_id\":\"asst_1\"}"
);

/// What is shown of [`LINES`].
const LINES_SHOWN: &str = concat!(
    "{\"call_id\":\"one\"}\n",
    "{\"call_id\":\"two\",\"blob\":{ \"x\":1 }}\n",
    "{\"call_id\":\"three\",\"assistant_id\":\"Front desk\"}\n"
);

fn rig() -> Rig {
    Rig::with(|config| config.also("routes", ROUTES))
}

fn lines(media_type: &str, body: impl AsRef<[u8]>) -> Reply {
    Reply::with_headers(200, &[("Content-Type", media_type)], body)
}

/// C1: both types, in any spelling, with the type written anew; in one piece and cut anywhere.
#[test]
fn lines_are_filtered_line_by_line() {
    let rig = rig();
    for (told, expected) in [
        (NDJSON, NDJSON),
        (JSONL, JSONL),
        ("Application/X-NDJSON; charset=UTF-8", NDJSON),
        ("application/jsonl;charset=\"utf-8\"; v=c4n4ry", JSONL),
    ] {
        rig.shows(told, "/lines", lines(told, LINES), LINES_SHOWN);
        assert_eq!(rig.get("/lines").header("content-type"), Some(expected));
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {told}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        for len in [1, 7, 40] {
            let body = chunks(LINES.as_bytes().chunks(len));
            let reply = Reply::raw([head.as_bytes(), &body, b"0\r\n\r\n"].concat());
            rig.shows(told, "/lines", reply, LINES_SHOWN);
        }
        let head = rig.ask("HEAD", "/lines");
        assert_eq!((head.status, head.header("content-type")), (200, Some(expected)));
    }
    rig.still_good("lines");
}

/// No row is a body too: who sees none of the rows and who asks for rows that are not there get the same.
#[test]
fn no_line_is_a_body_of_no_rows() {
    let rig = rig();
    for body in ["", "\n", "\r\n \n"] {
        rig.shows("no row", "/lines", lines(NDJSON, body), "");
    }
    rig.refuses("elsewhere it is none", "/list", Reply::json(""));
}

/// C7: whatever is no row in a line of its own.
#[test]
fn lines_that_are_no_rows_are_refused() {
    let rig = rig();
    for body in [
        "null\n",
        "[]\n",
        "\"c4n4ry\"\n",
        "{}{}\n",
        "{\"call_id\":1},{\"call_id\":2}\n",
        "{\"call_id\":\"one\",\"email\":[\n\"c4n4ry\"]}\n",
        "{\"email\":\"c4n4ry\n\"}\n",
        "{\n\"call_id\":1}\n",
        "{\"call_id\":1}\n{\"call_id\":",
        "{\"call_id\":1}\n{\"email\":\"c4n4ry\"",
        "{\"call_id\":1}\nc4n4ry\n",
        "\u{feff}{\"call_id\":1}\n",
        "\u{1e}{\"call_id\":1}\n",
        LIST.split_at(20).0,
        "{\"data\":[\n{\"call_id\":1}\n]}\n",
    ] {
        rig.refuses(body, "/lines", lines(NDJSON, body));
    }
    let rows = "{\"call_id\":\"one\",\"email\":\"c4n4ry\"}\n".repeat(8_000);
    assert_cut("late", &rig.of("/lines", lines(NDJSON, rows + "{\"email\":\"c4n4ry\n\"}")));
    rig.still_good("a late fault");
}

/// C7: the form of the route and that of the answer must be the same.
#[test]
fn a_type_of_another_form_is_refused() {
    let rig = rig();
    let row = "{\"call_id\":1}\n";
    for other in [
        "application/json",
        "application/vnd.api+json",
        "application/json-seq",
        "application/ndjson",
        "application/x-jsonlines",
        "text/plain",
        "application/jsonl; charset=utf-16",
        "application/jsonl, application/json",
    ] {
        rig.refuses(other, "/lines", lines(other, row));
    }
    let twice = [("Content-Type", JSONL), ("Content-Type", JSONL)];
    rig.refuses("twice", "/lines", Reply::with_headers(200, &twice, row));
    for line_type in [NDJSON, JSONL] {
        for (target, body) in [("/list", LIST), ("/bare", "[]"), ("/row", row), ("/named", LIST)] {
            rig.refuses(line_type, target, lines(line_type, body));
        }
    }
}

/// C7: lines that end with their connection could have been more.
#[test]
fn lines_of_which_nothing_says_where_they_end_are_refused() {
    let rig = rig();
    for body in ["", "{\"call_id\":1}\n"] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {NDJSON}\r\n\r\n{body}");
        let answer = rig.of("/lines", Reply::raw(head).then_close());
        assert_refused("until the connection ends", &answer);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {NDJSON}\r\nContent-Length: 99\r\n\r\n{body}"
        );
        let answer = rig.of("/lines", Reply::raw(head).then_close());
        assert_refused("shorter than its length", &answer);
        rig.still_good("no end");
    }
    let whole = LIST.replace("c4n4ry", "x");
    let answer = rig.of("/list", Reply::until_close(whole));
    assert_eq!(answer.status, 200, "a document says itself that it is whole");
}

/// C4: where every column passes, ids are still replaced, or the body passes as it is.
#[test]
fn lines_of_which_every_column_passes() {
    let rig = rig();
    let row = "{ \"agent\" : {\"id\":\"asst_1\"}, \"x\":[ ] }";
    let mapped = row.replace("asst_1", "Front desk");
    let body = format!("{row}\r\n\n{row}");
    rig.shows("ids", "/named-lines", lines(NDJSON, &body), format!("{mapped}\n{mapped}\n"));
    rig.refuses("ids", "/named-lines", lines(NDJSON, "{\"x\":\n1}\n"));
    rig.refuses("ids", "/named-lines", Reply::json(row));
    rig.shows("all", "/plain-lines", lines(NDJSON, &body), &body);
    rig.shows("all", "/plain-lines", Reply::json(row), row);
}

/// P3, P8: hidden rows leave no line, and a body of them alone is no 404.
#[test]
fn private_rows_leave_no_line() {
    let upstream = Upstream::answering(200, "{}");
    let resources = r#"
  calls: { columns: { id: { always: true } }, visibility: { private: is_private } }"#;
    let routes = r#"
  - { match: GET /lines, upstream: calls, scope: calls:read, resource: calls, rows: "$*" }"#;
    let config = config(&upstream).section("resources", resources).section("routes", routes);
    let keys = ["org_full", "org_non_private"]
        .map(|scope| Key::new(scope, &["calls:read"]).with("data_scope", scope));
    let gateway = Gateway::start(&config, &Directory::of(keys.clone()));
    let (no, yes) = ("{\"id\":\"c4n4ry\",\"is_private\":true}", "{\"is_private\":false,\"id\":1}");
    for (rows, seen) in
        [(vec![no], 0), (vec![yes], 1), (vec![no, yes, no, "{\"id\":\"c4n4ry\"}", yes, no], 2)]
    {
        upstream.now_replies(lines(NDJSON, rows.join("\n")));
        let of = |key: &Key| gateway.get("/lines").bearer(key).send();
        assert_eq!(of(&keys[0]).text().matches('\n').count(), rows.len());
        let answer = of(&keys[1]);
        assert_eq!((answer.status, answer.text()), (200, "{\"id\":1}\n".repeat(seen)));
        assert_clean("hidden rows", &answer);
    }
    assert_eq!(gateway.metric("colonnade_rows_hidden_total", &[("resource", "calls")]), 5.0);
}

/// What `explain` tells of lines is what it tells of an array.
#[test]
fn explain_tells_what_becomes_of_lines() {
    let upstream = Upstream::answering(200, "{}");
    let config = config(&upstream).also("routes", ROUTES);
    let launch = Launch::files(&config.text(), &directory().text());
    let arguments = ["explain", "--format", "json", "--key-id", "reader", "GET", "/lines"];
    let output = launch.command(&arguments, LINES.as_bytes());
    assert_eq!(output.code, Some(0), "{}", output.text);
    let said: serde_json::Value = serde_json::from_str(&output.said).unwrap();
    assert_eq!(said["body"]["after"], LINES_SHOWN);
    assert_eq!(said["body"]["dropped"], serde_json::json!({ "[].email": 1, "[].trace": 1 }));
    assert_eq!(said["body"]["mapped"][0]["path"], "[].assistant_id");
}
