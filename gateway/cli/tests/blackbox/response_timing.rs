//! Upstreams that take their time, and those that hang up (E13).

use std::io::Write;
use std::time::{Duration, Instant};

use crate::response_source::Source;
use crate::response_support::{
    LIST, LIST_SHOWN, Rig, Watching, assert_cut, assert_own_words, assert_refused, chunks, config,
    json_head,
};
use crate::support::answer::refusal;
use crate::support::{Gate, Reply, Upstream};

/// Between the shortest timeout here and what a busy machine adds to the longest.
const SOON: Duration = Duration::from_secs(6);

fn rig(timeouts: &str) -> Rig {
    let upstream = Upstream::replying(Reply::json(LIST));
    let members = format!("timeouts: {{ {timeouts} }}");
    let config = config(&upstream).upstream_with("calls", upstream.address(), &members);
    Rig::on(upstream, &config)
}

/// A source as the upstream, with these timeouts.
fn slow(source: &Source, timeouts: &str) -> Rig {
    let members = format!("timeouts: {{ {timeouts} }}");
    Rig::with(|config| config.upstream_with("calls", source.address(), &members))
}

/// The end of a rig asks for one more answer.
fn good_again(source: &Source) {
    source.now_pieces(&[json_head("Content-Length: 11\r\n").as_bytes(), br#"{"data":[]}"#], true);
}

/// Writes a piece again and again, as long as somebody takes it.
fn without_end(start: impl Into<Vec<u8>>, piece: &'static [u8], pause: Duration) -> Source {
    let start = start.into();
    Source::playing(move |stream| {
        stream.write_all(&start)?;
        while stream.write_all(piece).is_ok() {
            std::thread::sleep(pause);
        }
        Ok(false)
    })
}

/// More judged output than is held, in one chunk and without its end.
fn beyond_hold() -> Vec<u8> {
    let text = format!(r#"{{"data":[{{"note":"{}"#, "a".repeat(256 << 10));
    [json_head("Transfer-Encoding: chunked\r\n").into_bytes(), chunks([text.as_bytes()])].concat()
}

/// E13: silence at any place before the hold's end is 504, in the gateway's words, and in time.
#[test]
fn silence_is_504() {
    let rig = rig("first_byte: 300ms, idle: 300ms, total: 30s");
    let head = json_head(&format!("Content-Length: {}\r\n", LIST.len()));
    for (what, bytes) in [
        ("before the answer", String::new()),
        ("behind an interim answer", "HTTP/1.1 103 c4n4ry\r\nLink: c4n4ry\r\n\r\n".to_owned()),
        ("in the status line", "HTTP/1.1 20".to_owned()),
        ("in the head", head[..head.len() - 3].to_owned()),
        ("behind the head", head.clone()),
        ("in the body", head.clone() + &LIST[..30]),
        ("before the last byte", head.clone() + &LIST[..LIST.len() - 1]),
        (
            "before the last chunk",
            json_head("Transfer-Encoding: chunked\r\n")
                + &format!("{:x}\r\n{LIST}\r\n", LIST.len()),
        ),
        ("where only the end is missing", json_head("") + LIST),
    ] {
        let gate = Gate::new();
        let began = Instant::now();
        let answer = rig.of("/list", Reply::raw(bytes).wait(&gate).then_close());
        let took = began.elapsed();
        gate.open();
        assert_eq!(answer.verdict(), refusal(504, "upstream_timeout"), "{what}");
        assert_own_words(what, &answer);
        assert!((Duration::from_millis(280)..SOON).contains(&took), "{what}: {took:?}");
        rig.still_good(what);
    }
}

/// E13: an answer that always moves and never ends meets the total.
#[test]
fn an_answer_without_end_meets_the_total() {
    let pause = Duration::from_millis(20);
    let chunked = json_head("Transfer-Encoding: chunked\r\n");
    for (what, source) in [
        ("interim answers", without_end("", b"HTTP/1.1 103 c4n4ry\r\n\r\n", pause)),
        ("a slow head", without_end("HTTP/1.1 200 OK\r\n", b"X: c\r\n", pause)),
        ("a slow line of the head", without_end("HTTP/1.1 200 OK\r\nX: ", b"c", pause)),
        ("white space", without_end(json_head(""), b" ", pause)),
        ("a hidden value", without_end(json_head("") + r#"{"x":""#, b"c4n4ry", pause)),
        ("chunks", without_end(chunked.clone() + "c\r\n{\"data\":[{}]\r\n", b"1\r\n \r\n", pause)),
        ("the size of a chunk", without_end(chunked.clone(), b"0", pause)),
        (
            "trailers",
            without_end(
                chunked + "2c\r\n{\"data\":[{\"call_id\":\"one\"},{\"call_id\":\"t\"}]}\r\n0\r\n",
                b"X: c4n4ry\r\n",
                pause,
            ),
        ),
    ] {
        let rig = slow(&source, "first_byte: 2s, idle: 2s, total: 600ms");
        let began = Instant::now();
        let answer = rig.get("/list");
        assert!([504, 502].contains(&answer.status), "{what}: {}", answer.status);
        assert_own_words(what, &answer);
        assert!(began.elapsed() < SOON, "{what}: {:?}", began.elapsed());
        good_again(&source);
        assert_eq!(rig.get("/list").text(), r#"{"data":[]}"#, "{what}");
    }
}

/// E13: behind the hold silence and the total both cut.
#[test]
fn a_timeout_behind_the_hold_cuts() {
    let idle = rig("idle: 300ms, total: 30s");
    let gate = Gate::new();
    idle.upstream.now_replies(Reply::raw(beyond_hold()).wait(&gate));
    assert_cut("silence", &Watching::get(&idle, "/list").rest());
    gate.open();
    idle.still_good("silence");
    let source = without_end(beyond_hold(), b"1\r\na\r\n", Duration::from_millis(20));
    let total = slow(&source, "idle: 10s, total: 600ms");
    let began = Instant::now();
    assert_cut("the total", &Watching::get(&total, "/list").rest());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    good_again(&source);
}

/// E13: slow and steady is no fault.
#[test]
fn a_slow_answer_within_its_time_is_whole() {
    let wire = json_head(&format!("Content-Length: {}\r\n", LIST.len())) + LIST;
    let source = Source::playing(move |stream| {
        for piece in wire.as_bytes().chunks(23) {
            stream.write_all(piece)?;
            std::thread::sleep(Duration::from_millis(60));
        }
        Ok(true)
    });
    let rig = slow(&source, "first_byte: 5s, idle: 5s, total: 20s");
    let answer = rig.get("/list");
    assert_eq!((answer.status, answer.text().as_str()), (200, LIST_SHOWN));
}

/// E13: a reset anywhere is told as what it is, or cuts; never an answer that looks whole.
#[test]
fn a_reset_is_502_or_a_cut() {
    let half = json_head(&format!("Content-Length: {}\r\n", LIST.len())) + &LIST[..40];
    let unended =
        json_head("Transfer-Encoding: chunked\r\n") + &format!("{:x}\r\n{LIST}\r\n", LIST.len());
    for (what, bytes) in [
        ("before the answer", Vec::new()),
        ("in the head", b"HTTP/1.1 200 OK\r\nX-A: c4n4ry".to_vec()),
        ("behind the head", json_head("Content-Length: 20\r\n").into_bytes()),
        ("in the body", half.into_bytes()),
        ("before the last chunk", unended.into_bytes()),
        ("where the close is the end", (json_head("") + LIST).into_bytes()),
        ("behind the hold", beyond_hold()),
    ] {
        let broken = Upstream::resetting(bytes.leak());
        let rig = Rig::with(|config| {
            config.upstream("broken", broken.address()).also(
                "routes",
                r#"  - { match: GET /broken, upstream: broken, scope: calls:read, resource: calls, rows: "data[]" }"#,
            )
        });
        let answer = rig.get("/broken");
        match answer.status {
            200 => assert_cut(what, &answer),
            _ => {
                assert_eq!(answer.status, 502, "{what}");
                assert_own_words(what, &answer);
            }
        }
        rig.still_good(what);
    }
}

/// E13: heads and hidden values without end are bounded in memory, not by patience.
#[test]
fn a_head_without_end_is_refused_at_once() {
    for (what, source) in [
        ("lines", without_end("HTTP/1.1 200 OK\r\n", b"X-A: c4n4ry\r\n", Duration::ZERO)),
        (
            "a line",
            without_end("HTTP/1.1 200 OK\r\nX-A: ", b"c4n4ry-c4n4ry-c4n4ry", Duration::ZERO),
        ),
        ("a status line", without_end("HTTP/1.1 200 ", b"c4n4ry-c4n4ry-c4n4ry", Duration::ZERO)),
    ] {
        let rig = slow(&source, "first_byte: 15s, idle: 15s, total: 15s");
        let began = Instant::now();
        let answer = rig.get("/list");
        assert_eq!(answer.status, 502, "{what}");
        assert_own_words(what, &answer);
        assert!(began.elapsed() < SOON, "{what}: {:?}", began.elapsed());
        good_again(&source);
    }
}

/// C7: a body whose rows never end their first row meets the row's bound where rows are judged.
#[test]
fn a_row_without_end_is_refused_where_rows_are_judged() {
    let upstream = Upstream::replying(Reply::json(LIST));
    let judged = r#"
  calls: { columns: { call_id: {}, note: {} }, visibility: { team: team_id } }"#;
    let routes = r#"
  - { match: GET /list, upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }"#;
    let config = config(&upstream)
        .section("resources", judged)
        .section("routes", routes)
        .section("bounds", "{ row: 64KiB, hold: 1KiB }");
    let directory = crate::response_support::directory().acme("teams", [101]);
    let gateway = crate::support::Gateway::start(&config, &directory);
    let key = crate::response_support::key();
    let row =
        |size: usize| format!(r#"{{"call_id":"c","team_id":101,"note":"{}"}}"#, "a".repeat(size));
    for (what, size, good) in
        [("within", 60_000, true), ("beyond", 66_000, false), ("far beyond", 3_000_000, false)]
    {
        let body = format!(r#"{{"data":[{}]}}"#, row(size));
        upstream.now_replies(Reply::json(&body));
        let answer = gateway.get("/list").bearer(&key).send();
        if good {
            assert_eq!(answer.status, 200, "{what}: {}", answer.text());
            assert_eq!(answer.json()["data"][0]["note"].as_str().map(str::len), Some(size));
        } else {
            assert_refused(what, &answer);
        }
    }
}
