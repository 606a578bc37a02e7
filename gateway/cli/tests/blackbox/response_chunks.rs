//! Chunked answers held to their grammar, on filtered routes and on those that hide nothing (C7, C8).

use crate::response_support::{Rig, assert_cut, json_head};
use crate::support::answer::refusal;
use crate::support::{Gate, Reply};

/// Nothing in it is hidden, so both kinds of route show it alike.
const BODY: &str = r#"{"data":[{"call_id":"call_1"}]}"#;

/// Framings of a whole document that RFC 9112 §7.1 does not have, each cut where its fault begins:
/// what comes before is sound, and alone it shows nothing.
fn unsound() -> Vec<(&'static str, String, &'static str)> {
    let size = format!("{:x}", BODY.len());
    let chunk = format!("{size}\r\n{BODY}\r\n");
    vec![
        ("an empty last size", chunk.clone(), "\r\n\r\n"),
        ("an extension without a size", chunk.clone(), ";a\r\n\r\n"),
        ("a blank for a size", chunk.clone(), " \r\n\r\n"),
        ("a blank behind a size", chunk.clone(), "0 \r\n\r\n"),
        ("a line feed for a line end", chunk.clone(), "0\n\r\n"),
        ("a line feed in an extension", chunk.clone(), "0;a\nb\r\n\r\n"),
        ("a NUL in an extension", chunk.clone(), "0;\0\r\n\r\n"),
        ("an extension of blanks", chunk.clone(), "0; \r\n\r\n"),
        ("a trailer without a colon", format!("{chunk}0\r\n"), "c4n4ry\r\n\r\n"),
        ("a line feed in a trailer", format!("{chunk}0\r\n"), "X-A: c4n4ry\nX-B: b\r\n\r\n"),
        ("a NUL in a trailer", format!("{chunk}0\r\n"), "X-A: c4n4ry\0\r\n\r\n"),
    ]
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// When the fault comes with the head nothing has been sent, so both kinds of route say so.
#[test]
fn an_unsound_framing_that_comes_with_the_head_is_502() {
    let rig = Rig::new();
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </c4n4ry>\r\n\r\n";
    for (what, sound, fault) in unsound() {
        for before in ["", early] {
            let wire = format!("{before}{}{sound}{fault}", json_head(CHUNKED));
            for target in ["/list", "/plain"] {
                rig.refuses(&format!("{what} on {target}"), target, Reply::raw(wire.clone()));
            }
        }
    }
}

/// When it comes later the filtered route holds its head back still; the other has sent its own, and
/// its client must see that the answer does not end.
#[test]
fn an_unsound_framing_that_comes_later_is_never_an_end() {
    let rig = Rig::new();
    for (what, sound, fault) in unsound() {
        for target in ["/list", "/plain"] {
            let gate = Gate::new();
            let reply = Reply::raw(json_head(CHUNKED) + &sound).wait(&gate).more(fault);
            rig.upstream.now_replies(reply);
            let mut client = rig.gateway().connect();
            client.send(rig.gateway().get(target).bearer(&rig.key).bytes());
            gate.await_reached(1);
            if target == "/plain" {
                // The gateway may be slower than the upstream; then the fault would come with the head.
                client.await_head();
            }
            gate.open();
            let answer = client.answer();
            if target == "/list" {
                assert_eq!(answer.verdict(), refusal(502, "response_not_filterable"), "{what}");
            } else {
                assert_eq!(answer.status, 200, "{what}");
                assert_cut(what, &answer);
            }
            rig.still_good(what);
        }
    }
}

/// RFC 9112 §6.3: an answer with both framings may be an attempt to split it in two.
#[test]
fn chunks_and_a_length_together_are_502() {
    let rig = Rig::new();
    let chunk = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
    for lines in [
        format!("Content-Length: {}\r\n{CHUNKED}", chunk.len()),
        format!("{CHUNKED}content-length:5\r\n"),
        format!("Content-Length : 5\r\n{CHUNKED}"),
    ] {
        for target in ["/list", "/plain"] {
            let reply = Reply::raw(json_head(&lines) + &chunk);
            rig.refuses(&format!("{lines} on {target}"), target, reply);
            rig.upstream.now_replies(Reply::raw(json_head(&lines)).then_close());
            assert_eq!(rig.ask("HEAD", target).status, 502, "{lines} on HEAD {target}");
        }
    }
}

/// What the grammar has goes through, and leaves its connection usable.
#[test]
fn a_sound_framing_goes_through() {
    let rig = Rig::new();
    let (first, second) = BODY.split_at(20);
    for (sizes, end) in [
        (["14".to_owned(), format!("{:x}", second.len())], "0\r\n\r\n"),
        (["014;a=b".to_owned(), format!("{:X};c=\"d;\"", second.len())], "000;e\r\n\r\n"),
        (["14".to_owned(), format!("{:x}", second.len())], "0\r\nX-A: c4n4ry\r\nX-B:\r\n\r\n"),
    ] {
        let body = format!("{}\r\n{first}\r\n{}\r\n{second}\r\n{end}", sizes[0], sizes[1]);
        for target in ["/list", "/plain"] {
            for _ in 0..3 {
                let answer = rig.of(target, Reply::raw(json_head(CHUNKED) + &body));
                assert_eq!((answer.status, answer.text().as_str()), (200, BODY), "{end:?}");
            }
        }
    }
    let used: std::collections::BTreeSet<usize> =
        rig.upstream.requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(used.len(), 1, "one upstream connection: {used:?}");
}
