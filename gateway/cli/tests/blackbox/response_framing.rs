//! How an upstream may cut its body, and how it may not (C7, C8).

use crate::response_source::Source;
use crate::response_support::{
    LIST, LIST_SHOWN, Rig, assert_clean, assert_refused, chunks, json_head,
};
use crate::support::{Gate, Reply};

/// The three framings of a body, as whole answers; and whether the connection outlives them.
fn framings(body: &[u8]) -> [(&'static str, Vec<u8>, bool); 3] {
    let length = format!("Content-Length: {}\r\n", body.len());
    let chunked = [chunks(body.chunks(7)), b"0\r\n\r\n".to_vec()].concat();
    [
        ("length", [json_head(&length).as_bytes(), body].concat(), true),
        (
            "chunked",
            [json_head("Transfer-Encoding: chunked\r\n").as_bytes(), &chunked].concat(),
            true,
        ),
        ("until close", [json_head("").as_bytes(), body].concat(), false),
    ]
}

fn dripping() -> (Source, Rig) {
    let source = Source::pieces::<&[u8]>(&[]);
    let rig = Rig::with(|config| config.upstream("calls", source.address()));
    (source, rig)
}

/// The end of a rig asks for one more list.
fn good_again(source: &Source) {
    source.now_pieces(&framings(LIST.as_bytes())[0].1.chunks(4096).collect::<Vec<_>>(), true);
}

/// C7, C8: the same bytes for any cut of the answer in two, head and body alike, in every framing.
#[test]
fn a_cut_anywhere_changes_nothing() {
    let (source, rig) = dripping();
    for (framing, wire, kept) in framings(LIST.as_bytes()) {
        for cut in 1..wire.len() {
            source.now_pieces(&[&wire[..cut], &wire[cut..]], kept);
            let answer = rig.get("/list");
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, LIST_SHOWN),
                "{framing} cut at {cut}"
            );
            assert_eq!(
                answer.number("content-length"),
                LIST_SHOWN.len() as u64,
                "{framing} cut at {cut}"
            );
        }
    }
    good_again(&source);
}

/// C7: wherever it is cut, an answer with a fault in its last byte is a clean 502.
#[test]
fn a_fault_in_the_last_byte_is_seen_for_any_cut() {
    let (source, rig) = dripping();
    let body = [&LIST.as_bytes()[..LIST.len() - 1], b"]"].concat();
    for (framing, wire, kept) in framings(&body) {
        for cut in (1..wire.len()).rev().step_by(2) {
            source.now_pieces(&[&wire[..cut], &wire[cut..]], kept);
            assert_refused(&format!("{framing} cut at {cut}"), &rig.get("/list"));
        }
    }
    good_again(&source);
}

/// C7: byte by byte, good and bad.
#[test]
fn an_answer_that_comes_byte_by_byte() {
    let (source, rig) = dripping();
    for (framing, wire, kept) in framings(LIST.as_bytes()) {
        source.now_pieces(&wire.chunks(1).collect::<Vec<_>>(), kept);
        let answer = rig.get("/list");
        assert_eq!((answer.status, answer.text().as_str()), (200, LIST_SHOWN), "{framing}");
    }
    for (framing, wire, kept) in framings([LIST.as_bytes(), b"c4n4ry"].concat().as_slice()) {
        source.now_pieces(&wire.chunks(1).collect::<Vec<_>>(), kept);
        assert_refused(framing, &rig.get("/list"));
    }
    good_again(&source);
}

/// C7: a body that ends with its connection before its framing says so, at every byte.
#[test]
fn an_answer_that_breaks_off_at_any_byte_is_502() {
    let (source, rig) = dripping();
    for (framing, wire, _) in framings(LIST.as_bytes()) {
        let head = wire.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        for end in 1..wire.len() {
            source.now_pieces(&[&wire[..end]], false);
            let answer = rig.get("/list");
            assert_eq!(answer.status, 502, "{framing} ends at {end}: {}", answer.text());
            assert_clean(framing, &answer);
            let codes = if end < head {
                ["upstream_unavailable", ""]
            } else {
                ["response_not_filterable", "upstream_unavailable"]
            };
            assert!(
                codes.contains(&answer.code().as_str()),
                "{framing} ends at {end}: {}",
                answer.code()
            );
        }
    }
    good_again(&source);
}

/// C8: what chunks may carry besides the body does not pass.
#[test]
fn chunk_extensions_and_trailers_stay_behind() {
    let rig = Rig::new();
    let (first, second) = LIST.as_bytes().split_at(40);
    let sized = |size: &str, piece: &[u8]| [size.as_bytes(), b"\r\n", piece, b"\r\n"].concat();
    for (what, sizes, end) in [
        (
            "extensions",
            ["28;a=c4n4ry", &format!("{:x};b=\"c4n4ry\"", second.len())],
            "0;c4n4ry\r\n\r\n",
        ),
        ("capital digits and zeros", ["028", &format!("00{:X}", second.len())], "0000\r\n\r\n"),
        (
            "trailers",
            ["28", &format!("{:x}", second.len())],
            "0\r\nX-Trailer: c4n4ry\r\nContent-MD5: c4n4ry\r\n\r\n",
        ),
    ] {
        let head = json_head("Transfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n");
        let wire =
            [head.as_bytes(), &sized(sizes[0], first), &sized(sizes[1], second), end.as_bytes()]
                .concat();
        let answer = rig.of("/list", Reply::raw(wire));
        assert_eq!((answer.status, answer.text().as_str()), (200, LIST_SHOWN), "{what}");
        assert_eq!(answer.values("trailer").count(), 0, "{what}");
        assert_clean(what, &answer);
        rig.still_good(what);
    }
}

/// C7: chunks that are none. The body is whole JSON as far as it comes, so nothing else can refuse it.
#[test]
fn broken_chunks_are_refused() {
    let rig = Rig::new();
    let body = LIST;
    let size = format!("{:x}", body.len());
    let chunk = format!("{size}\r\n{body}\r\n");
    for (what, framed) in [
        ("no last chunk", chunk.clone()),
        ("an unfinished last chunk", format!("{chunk}0\r\n")),
        ("half a line end", format!("{chunk}0\r\n\r")),
        ("unfinished trailers", format!("{chunk}0\r\nX-A: c4n4ry\r\n")),
        ("no size", format!("\r\n{body}\r\n0\r\n\r\n")),
        ("no number", format!("c4n4ry\r\n{body}\r\n0\r\n\r\n")),
        ("a sign", format!("+{size}\r\n{body}\r\n0\r\n\r\n")),
        ("below nothing", format!("-1\r\n{body}\r\n0\r\n\r\n")),
        ("a prefix", format!("0x{size}\r\n{body}\r\n0\r\n\r\n")),
        ("beyond any memory", format!("ffffffffffffffff\r\n{body}\r\n0\r\n\r\n")),
        ("beyond any number", format!("1{}\r\n{body}\r\n0\r\n\r\n", "0".repeat(40))),
        ("longer than it says", format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len() - 1)),
        ("shorter than it says", format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len() + 1)),
        ("no line end behind it", format!("{size}\r\n{body}0\r\n\r\n")),
        ("an endless size line", format!("{}\r\n{body}\r\n0\r\n\r\n", "0".repeat(1 << 20))),
        (
            "an endless extension",
            format!("{size};{}\r\n{body}\r\n0\r\n\r\n", "c4n4ry".repeat(1 << 18)),
        ),
    ] {
        let wire =
            [json_head("Transfer-Encoding: chunked\r\n").as_bytes(), framed.as_bytes()].concat();
        let answer = rig.of("/list", Reply::raw(wire).then_close());
        assert_refused(what, &answer);
        rig.still_good(what);
    }
}

/// C7, C8: lengths that do not fit the body.
#[test]
fn a_wrong_length_is_refused() {
    let rig = Rig::new();
    for (what, length, sent) in [
        ("more than comes", LIST.len() + 1, LIST),
        ("far more than comes", usize::MAX >> 1, LIST),
        ("less than the document", LIST.len() - 1, LIST),
        ("nothing", 0, ""),
        ("nothing, and something comes", 0, LIST),
    ] {
        let wire =
            [json_head(&format!("Content-Length: {length}\r\n")).as_bytes(), sent.as_bytes()]
                .concat();
        let answer = rig.of("/list", Reply::raw(wire).then_close());
        assert_refused(what, &answer);
        rig.still_good(what);
    }
}

/// What an upstream may say out of turn.
fn surplus() -> [(&'static str, String); 3] {
    let body = r#"{"data":[{"call_id":"c4n4ry"}]}"#;
    let forged = json_head(&format!("Content-Length: {}\r\n", body.len())) + body;
    [
        ("a forged answer", forged),
        ("an empty one", "HTTP/1.1 204 No Content\r\nX: c4n4ry\r\n\r\n".to_owned()),
        ("garbage", "c4n4ry".to_owned()),
    ]
}

/// C7: bytes behind an answer belong to nobody: the next one, perhaps another client's, is its own.
#[test]
fn an_answer_that_nobody_asked_for_is_never_told() {
    let rig = Rig::new();
    for (framing, wire, _) in &framings(LIST.as_bytes())[..2] {
        for (what, surplus) in surplus() {
            let what = format!("{framing}, {what}");
            let answer = rig.of("/list", Reply::raw([&wire[..], surplus.as_bytes()].concat()));
            assert_eq!((answer.status, answer.text().as_str()), (200, LIST_SHOWN), "{what}");
            for _ in 0..3 {
                rig.still_good(&what);
            }
        }
    }
}

/// C7: the same when the bytes come while the connection waits for its next request.
#[test]
fn what_comes_while_a_connection_is_idle_is_never_told() {
    let rig = Rig::new();
    for _ in 0..20 {
        for (framing, wire, _) in &framings(LIST.as_bytes())[..2] {
            for (what, surplus) in surplus() {
                let gate = Gate::new();
                let reply = Reply::raw(wire.clone()).more(surplus).wait(&gate);
                let answer = rig.of("/list", reply);
                assert_eq!((answer.status, answer.text().as_str()), (200, LIST_SHOWN), "{what}");
                // They have been written, so the kernel has them ready for the gateway to find.
                gate.await_reached(1);
                rig.still_good(&format!("{framing}, {what}"));
                gate.open();
            }
        }
    }
}
