//! How long the head is held, and what a fault does before and after (C7, C8, E12).
//!
//! Up to `bounds.hold` bytes of judged output a fault is a clean 502; behind it the answer is cut so
//! that a client's library sees it. In no case does it look whole.

use std::io::Write;
use std::net::Shutdown;

use crate::response_h2::Http2;
use crate::response_source::Source;
use crate::response_support::{
    CANARY, Rig, Watching, assert_clean, assert_cut, assert_refused, chunks, json_head,
};
use crate::support::answer::Ending;
use crate::support::{Gate, Reply};

/// The default of `bounds.hold`.
const HOLD: usize = 64 << 10;

const OPENING: &str = r#"{"data":[{"note":""#;

/// The start of a list of which `judged` bytes may leave, and nothing else yet.
fn start(judged: usize) -> String {
    format!("{OPENING}{}", "a".repeat(judged - OPENING.len()))
}

/// All that may ever leave of it.
fn most(judged: usize) -> String {
    start(judged) + "\"}]}"
}

/// Ways to go wrong, behind a chunked start: bytes, and whether the connection then ends.
fn faults() -> Vec<(&'static str, Vec<u8>, bool)> {
    let chunk = |bytes: &[u8]| chunks([bytes]);
    let last = b"0\r\n\r\n";
    vec![
        ("a raw control byte", [chunk(b"\x01c4n4ry\"}]}"), last.to_vec()].concat(), false),
        ("not UTF-8", [chunk(b"\xffc4n4ry\"}]}"), last.to_vec()].concat(), false),
        ("a second document", [chunk(b"\"}]}{\"x\":\"c4n4ry\"}"), last.to_vec()].concat(), false),
        ("the document does not end", [chunk(b"\"}]"), last.to_vec()].concat(), false),
        ("the connection ends", Vec::new(), true),
        ("it ends behind the document", chunk(b"\"}]}"), true),
        ("it ends within a chunk", b"40\r\n\"}".to_vec(), true),
        ("a broken chunk", b"c4n4ry\r\n".to_vec(), false),
    ]
}

/// C7: whatever goes wrong at the bound, and however far apart it comes, it is a clean 502.
#[test]
fn a_fault_within_the_bound_is_a_clean_502() {
    let rig = Rig::new();
    let head = json_head("Transfer-Encoding: chunked\r\n");
    // Three bytes more may be judged before the fault.
    for judged in [OPENING.len() + 1, HOLD / 2, HOLD - 3] {
        for (what, bytes, ends) in faults() {
            for apart in [false, true] {
                let opening = [head.as_bytes(), &chunks([start(judged).as_bytes()])].concat();
                let gate = Gate::new();
                let reply = match apart {
                    false => Reply::raw([opening, bytes.clone()].concat()),
                    true => Reply::raw(opening).wait(&gate).more(bytes.clone()),
                };
                rig.upstream.now_replies(if ends { reply.then_close() } else { reply });
                let opener = apart.then(|| opened_once_reached(&gate));
                assert_refused(&format!("{what} behind {judged} bytes"), &rig.get("/list"));
                opener.map(std::thread::JoinHandle::join);
            }
            rig.still_good(what);
        }
    }
}

fn opened_once_reached(gate: &Gate) -> std::thread::JoinHandle<()> {
    let gate = gate.clone();
    std::thread::spawn(move || {
        gate.await_reached(1);
        gate.open();
    })
}

/// C7: behind the bound the head is out; then the answer is cut, and never looks whole.
#[test]
fn a_fault_behind_the_bound_cuts_the_answer() {
    let rig = Rig::new();
    let head = json_head("Transfer-Encoding: chunked\r\n");
    let judged = 4 * HOLD;
    for (what, bytes, ends) in faults() {
        let gate = Gate::new();
        let opening = [head.as_bytes(), &chunks([start(judged).as_bytes()])].concat();
        let reply = Reply::raw(opening).wait(&gate).more(bytes);
        rig.upstream.now_replies(if ends { reply.then_close() } else { reply });
        let mut client = Watching::get(&rig, "/list");
        // The start is there before the fault exists, so it streams.
        client.await_bytes(judged / 2);
        gate.open();
        let answer = client.rest();
        assert_cut(what, &answer);
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"), "{what}");
        let text = answer.text();
        assert!(
            most(judged).starts_with(&text) && text.len() >= HOLD,
            "{what}: {} bytes",
            text.len()
        );
        rig.still_good(what);
    }
}

/// C7: a length that is not kept is a cut behind the bound too, a reset like an end.
#[test]
fn a_short_body_behind_the_bound_cuts_the_answer() {
    let body = start(4 * HOLD);
    let length = format!("Content-Length: {}\r\n", body.len() + 100);
    for (what, head) in [("length", json_head(&length)), ("until close", json_head(""))] {
        let source = Source::pieces(&[head.as_bytes(), body.as_bytes()]);
        source.now_pieces(&[head.as_bytes(), body.as_bytes()], false);
        let rig = Rig::with(|config| config.upstream("calls", source.address()));
        assert_cut(what, &rig.get("/list"));
        source
            .now_pieces(&[json_head("Content-Length: 11\r\n").as_bytes(), br#"{"data":[]}"#], true);
    }
}

/// C8: at the bound a whole body has its exact length; beyond it the body is chunked, and the same.
#[test]
fn a_whole_body_has_its_length_or_chunks() {
    let rig = Rig::new();
    for (judged, framing) in
        [(HOLD / 2, "length"), (HOLD - 4, "length"), (3 * HOLD, "chunked"), (40 * HOLD, "chunked")]
    {
        let shown = format!("{}\"}}]}}", start(judged));
        let body = format!("{}\",\"x\":\"c4n4ry\"}}],\"y\":\"c4n4ry\"}}", start(judged));
        let pieces: Vec<&[u8]> = body.as_bytes().chunks(10_000).collect();
        for reply in [Reply::json(&body), Reply::chunked(&pieces), Reply::until_close(&body)] {
            let answer = rig.of("/list", reply);
            assert_eq!((answer.status, answer.ending), (200, Ending::Whole), "{judged}");
            assert!(
                answer.text() == shown,
                "{judged}: {} bytes instead of {}",
                answer.body.len(),
                shown.len()
            );
            let length = answer.header("content-length").map(str::to_owned);
            let coding = answer.header("transfer-encoding");
            match framing {
                "length" => {
                    assert_eq!((length, coding), (Some(shown.len().to_string()), None), "{judged}")
                }
                // Of a body that came at once the end may have been seen before the head was sent.
                _ => assert!(
                    length.is_none() && coding == Some("chunked"),
                    "{judged}: {:?}",
                    answer.headers
                ),
            }
        }
    }
}

/// C8: what is judged is what counts: a body of any size of which little may leave has its length.
#[test]
fn hidden_bytes_do_not_count_as_held() {
    let rig = Rig::new();
    let hidden = CANARY.repeat(2_000_000 / CANARY.len());
    let body = format!(
        r#"{{"data":[{{"call_id":"c","x":"{hidden}"}},{{"x":"{hidden}","call_id":"d"}}]}}"#
    );
    rig.shows(
        "4 MB hidden",
        "/list",
        Reply::json(&body),
        r#"{"data":[{"call_id":"c"},{"call_id":"d"}]}"#,
    );
    let wrong = format!("{}]", &body[..body.len() - 1]);
    rig.refuses("and a fault behind it", "/list", Reply::json(wrong));
}

/// C7: on a route without columns the upstream's cut is passed on as a cut.
#[test]
fn a_cut_on_an_unfiltered_route_is_a_cut() {
    let rig = Rig::new();
    let body = r#"{"data":[{"call_id":"one"}]}"#;
    for (what, wire) in [
        ("length", json_head(&format!("Content-Length: {}\r\n", body.len() + 1)) + body),
        (
            "chunked",
            json_head("Transfer-Encoding: chunked\r\n")
                + &format!("{:x}\r\n{body}\r\n", body.len()),
        ),
        ("within a chunk", json_head("Transfer-Encoding: chunked\r\n") + &format!("40\r\n{body}")),
    ] {
        let answer = rig.of("/plain", Reply::raw(wire).then_close());
        let seen = answer.ending == Ending::Cut || answer.status == 502;
        assert!(seen, "{what}: {} {:?} {}", answer.status, answer.ending, answer.text());
        rig.still_good(what);
    }
}

/// C7: over HTTP/2 a cut is a reset stream, never its end; up to the bound a clean 502.
#[test]
fn a_cut_over_http2_is_a_reset() {
    let rig = Rig::with(|config| {
        config.section("listeners", "\n  - { address: 127.0.0.1:0, h2c: true }")
    });
    let head = json_head("Transfer-Encoding: chunked\r\n");
    let mut client = Http2::open(rig.gateway().address());
    for (what, bytes, ends) in faults() {
        for judged in [HOLD / 2, 4 * HOLD] {
            let gate = Gate::new();
            let opening = [head.as_bytes(), &chunks([start(judged).as_bytes()])].concat();
            let reply = Reply::raw(opening).wait(&gate).more(bytes.clone());
            rig.upstream.now_replies(if ends { reply.then_close() } else { reply });
            let stream = client.get("/list", &rig.key.text);
            if judged > HOLD {
                client.await_data(stream, HOLD);
            } else {
                gate.await_reached(1);
            }
            gate.open();
            let answer = client.answer(stream);
            assert!(!String::from_utf8_lossy(&answer.body).contains(CANARY), "{what}");
            if judged > HOLD {
                assert!(answer.is_reset && !answer.is_ended, "{what}: {answer:?}");
                assert!(most(judged).as_bytes().starts_with(&answer.body), "{what}");
            } else {
                assert!(answer.is_ended && !answer.is_reset, "{what}: {answer:?}");
                assert!(
                    String::from_utf8_lossy(&answer.body).contains("response_not_filterable"),
                    "{what}: {answer:?}"
                );
            }
        }
        rig.upstream.now_replies(Reply::json(r#"{"data":[{"call_id":"c","x":"c4n4ry"}]}"#));
        let stream = client.get("/list", &rig.key.text);
        let answer = client.answer(stream);
        assert_eq!(
            answer.body, br#"{"data":[{"call_id":"c"}]}"#,
            "the same connection after {what}"
        );
        assert!(answer.is_ended && !answer.is_reset, "after {what}");
    }
}

/// C7: a client that goes away in the middle hurts nobody.
#[test]
fn a_client_that_leaves_is_let_go() {
    let source = Source::playing(|stream| {
        stream.write_all(json_head("").as_bytes())?;
        stream.write_all(start(4 * HOLD).as_bytes())?;
        // Ends when the gateway hangs up, which is the point.
        while stream.write_all(&[b'a'; 16 << 10]).is_ok() {}
        let _ = stream.shutdown(Shutdown::Both);
        Ok(false)
    });
    let rig = Rig::with(|config| config.upstream("calls", source.address()));
    for _ in 0..4 {
        let mut client = Watching::get(&rig, "/list");
        client.await_bytes(HOLD);
        drop(client);
    }
    let idle = crate::support::waiting::within(crate::support::waiting::DEADLINE, || {
        (rig.gateway().metric("colonnade_inflight_requests", &[]) == 0.0).then_some(())
    });
    assert!(idle.is_some(), "requests without a client are still under way");
    source.now_pieces(&[json_head("Content-Length: 11\r\n").as_bytes(), br#"{"data":[]}"#], true);
    let answer = rig.get("/list");
    assert_eq!(answer.text(), r#"{"data":[]}"#);
    assert_clean("after", &answer);
}
