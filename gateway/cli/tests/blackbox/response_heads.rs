//! Heads that upstreams should not send, and what they leave behind (E13, C7, C8).

use crate::response_support::{
    LIST, LIST_SHOWN, Rig, assert_clean, assert_own_words, config, json_head,
};
use crate::support::answer::Ending;
use crate::support::waiting::DEADLINE;
use crate::support::{Gate, Reply, Upstream};

/// E13: each is 502, tells nothing, and leaves a gateway that works.
#[test]
fn a_malformed_head_is_502() {
    let rig = Rig::new();
    let length = LIST.len();
    let lines = |lines: &str| json_head(lines) + LIST;
    let status = |line: &str| {
        format!(
            "{line}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{LIST}"
        )
    };
    for (what, bytes) in [
        ("garbage", "c4n4ry\r\n\r\n".to_owned()),
        ("binary", "\u{16}\u{3}\u{1}c4n4ry\u{0}\u{0}\r\n\r\n".to_owned()),
        ("an empty line", "\r\nc4n4ry\r\n\r\n".to_owned()),
        ("a body without a head", LIST.to_owned()),
        ("a request", "GET /c4n4ry HTTP/1.1\r\nHost: c4n4ry\r\n\r\n".to_owned()),
        ("no status", status("HTTP/1.1")),
        ("no status, a reason", status("HTTP/1.1 OK")),
        ("a status of words", status("HTTP/1.1 abc c4n4ry")),
        ("a status of two digits", status("HTTP/1.1 20 c4n4ry")),
        ("a status of four digits", status("HTTP/1.1 2000 c4n4ry")),
        ("a status below any", status("HTTP/1.1 099 c4n4ry")),
        ("a negative status", status("HTTP/1.1 -200 c4n4ry")),
        ("another protocol", status("ICY 200 c4n4ry")),
        ("another version", status("HTTP/3.7 200 c4n4ry")),
        ("HTTP/2 in clear", status("HTTP/2.0 200 c4n4ry")),
        ("small letters", status("http/1.1 200 c4n4ry")),
        ("a control byte in the reason", status("HTTP/1.1 200 c4n4ry\u{0}")),
        ("a line without a colon", lines("c4n4ry\r\n")),
        ("no name", lines(": c4n4ry\r\n")),
        ("a name of two words", lines("X c4n4ry: a\r\n")),
        ("NUL in a value", lines("X-A: c4n4ry\u{0}\r\n")),
        ("a lone carriage return in a value", lines("X-A: a\rX-B: c4n4ry\r\n")),
        ("a length of words", lines("Content-Length: c4n4ry\r\n")),
        ("a negative length", lines("Content-Length: -1\r\n")),
        ("a signed length", lines(&format!("Content-Length: +{length}\r\n"))),
        ("an empty length", lines("Content-Length: \r\n")),
        ("a length in hexadecimal", lines(&format!("Content-Length: 0x{length:x}\r\n"))),
        (
            "a length beyond any number",
            lines(&format!("Content-Length: {length}{}\r\n", "0".repeat(40))),
        ),
        ("two lengths", lines(&format!("Content-Length: {length}\r\nContent-Length: 5\r\n"))),
        (
            "two lengths, the other first",
            lines(&format!("Content-Length: 5\r\nContent-Length: {length}\r\n")),
        ),
        ("two lengths in one line", lines(&format!("Content-Length: {length}, 5\r\n"))),
        ("two numbers in a length", lines(&format!("Content-Length: {length} 5\r\n"))),
        (
            "chunked is not the last",
            json_head("Transfer-Encoding: chunked, gzip\r\n") + &whole_chunk(),
        ),
        ("nearly chunked", json_head("Transfer-Encoding: xchunked\r\n") + &whole_chunk()),
    ] {
        let answer = rig.of("/list", Reply::raw(bytes).then_close());
        assert_eq!(answer.status, 502, "{what}: {}", answer.text());
        let codes = ["upstream_unavailable", "response_not_filterable"];
        assert!(codes.contains(&answer.code().as_str()), "{what}: {}", answer.code());
        assert_own_words(what, &answer);
        assert!(rig.is_kept(), "{what}: the client's connection goes on");
        rig.still_good(what);
    }
}

/// C7: a transfer coding that is not undone is an unknown coding, whatever the body looks like.
#[test]
fn a_transfer_coding_besides_chunks_is_refused() {
    let rig = Rig::new();
    for (what, bytes) in [
        (
            "a coding before chunked",
            json_head("Transfer-Encoding: gzip, chunked\r\n") + &whole_chunk(),
        ),
        (
            "a coding in a line of its own",
            json_head("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n") + &whole_chunk(),
        ),
        ("an unknown coding", json_head("Transfer-Encoding: c4n4ry\r\n") + LIST),
        ("chunked twice", json_head("Transfer-Encoding: chunked, chunked\r\n") + &whole_chunk()),
    ] {
        let answer = rig.of("/list", Reply::raw(bytes).then_close());
        assert_eq!(answer.status, 502, "{what}: {}", answer.text());
        assert_own_words(what, &answer);
        rig.still_good(what);
    }
}

fn whole_chunk() -> String {
    format!("{:x}\r\n{LIST}\r\n0\r\n\r\n", LIST.len())
}

/// C8: framings that RFC 9112 lets a receiver mend or refuse: the right body or a 502, and in no
/// case something else for this client or the next one.
#[test]
fn a_doubtful_head_is_refused_or_right() {
    let rig = Rig::new();
    let length = LIST.len();
    for (what, bytes) in [
        (
            "the same length twice",
            json_head(&format!("Content-Length: {length}\r\nContent-Length: {length}\r\n")) + LIST,
        ),
        (
            "chunks and their length",
            json_head(&format!(
                "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
                whole_chunk().len()
            )) + &whole_chunk(),
        ),
        (
            "chunks and a shorter length",
            json_head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + &whole_chunk(),
        ),
        (
            "chunks and a longer length",
            json_head("Transfer-Encoding: chunked\r\nContent-Length: 5000\r\n") + &whole_chunk(),
        ),
        ("chunks in capitals", json_head("Transfer-Encoding: CHUNKED\r\n") + &whole_chunk()),
        // RFC 9112 §5.1: a proxy takes the space away.
        ("a space before the colon", json_head(&format!("Content-Length : {length}\r\n")) + LIST),
        (
            "lines that end in a line feed",
            format!(
                "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: {length}\n\n{LIST}"
            ),
        ),
        (
            "a folded line",
            json_head(&format!("X-A: a\r\n c4n4ry\r\nContent-Length: {length}\r\n")) + LIST,
        ),
        (
            "no reason",
            format!(
                "HTTP/1.1 200\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{LIST}"
            ),
        ),
        (
            "HTTP/1.0",
            format!(
                "HTTP/1.0 200 c4n4ry\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{LIST}"
            ),
        ),
        (
            "HTTP/1.0 until close",
            format!("HTTP/1.0 200 c4n4ry\r\nContent-Type: application/json\r\n\r\n{LIST}"),
        ),
        (
            "HTTP/1.0 with chunks",
            format!(
                "HTTP/1.0 200 c4n4ry\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                whole_chunk()
            ),
        ),
        (
            "no reason, 8 bits in a value",
            json_head(&format!("X-A: c4n4ry\u{e9}\r\nContent-Length: {length}\r\n")) + LIST,
        ),
    ] {
        let answer = rig.of("/list", Reply::raw(bytes).then_close());
        match answer.status {
            200 => assert_eq!(answer.text(), LIST_SHOWN, "{what}"),
            _ => assert_own_words(what, &answer),
        }
        assert!([200, 502].contains(&answer.status), "{what}: {}", answer.status);
        rig.still_good(what);
    }
}

/// C7: an answer in the middle of a connection's life that is both chunked and measured: the next
/// client gets its own.
#[test]
fn a_doubtful_framing_does_not_reach_the_next_client() {
    let rig = Rig::new();
    let forged = json_head("Content-Length: 31\r\n") + r#"{"data":[{"call_id":"c4n4ry1"}]}"#;
    for (what, bytes) in [
        (
            "a length over chunks",
            json_head(&format!(
                "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
                whole_chunk().len() - 5
            )) + &whole_chunk(),
        ),
        (
            "chunks over a length",
            json_head(&format!(
                "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n",
                whole_chunk().len() + forged.len()
            )) + &whole_chunk()
                + &forged,
        ),
        (
            "a first length",
            json_head(&format!("Content-Length: {0}\r\nContent-Length: {0}\r\n", LIST.len()))
                + LIST
                + &forged,
        ),
        (
            "nothing in 204",
            format!("HTTP/1.1 204 No Content\r\nContent-Length: {}\r\n\r\n{forged}", forged.len()),
        ),
        (
            "nothing in 304",
            format!(
                "HTTP/1.1 304 Not Modified\r\nContent-Length: {}\r\n\r\n{forged}",
                forged.len()
            ),
        ),
    ] {
        let answer = rig.of("/list", Reply::raw(bytes));
        assert!([200, 204, 502].contains(&answer.status), "{what}: {}", answer.status);
        for _ in 0..3 {
            rig.still_good(what);
        }
    }
}

/// C4, C8: on a route where every column passes the framing is the gateway's own as well: the client
/// gets the body or a cut, never bytes that look like another answer.
#[test]
fn a_doubtful_framing_on_an_unfiltered_route_does_no_harm() {
    let rig = Rig::new();
    let chunk = whole_chunk();
    let chunks_too = |length: usize| {
        let lines = format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n");
        json_head(&lines) + &chunk
    };
    for (what, bytes) in [
        ("chunks and a shorter length", chunks_too(5)),
        ("chunks and no length", chunks_too(0)),
        ("chunks and a longer length", chunks_too(LIST.len() + 100)),
        ("more than the length", json_head("Content-Length: 2\r\n") + "{}" + LIST),
        ("the length twice", json_head("Content-Length: 2\r\nContent-Length: 2\r\n") + "{}"),
        ("the length twice in a line", json_head("Content-Length: 2, 2\r\n") + "{}"),
        ("two lengths", json_head("Content-Length: 2\r\nContent-Length: 3\r\n") + "{}x"),
        ("a body behind 204", "HTTP/1.1 204 a\r\nContent-Length: 2\r\n\r\n{}".to_owned()),
        ("a body behind 304", "HTTP/1.1 304 a\r\nContent-Length: 2\r\n\r\n{}".to_owned()),
        (
            "trailers",
            json_head("Transfer-Encoding: chunked\r\n") + "2\r\n{}\r\n0\r\nX-A: c4n4ry\r\n\r\n",
        ),
    ] {
        rig.upstream.now_replies(Reply::raw(bytes).then_close());
        // Its own connection: where this ends is what is asked.
        let asks = rig.gateway().get("/plain").header("Connection", "close").bearer(&rig.key);
        let mut client = rig.gateway().connect();
        let answer = client.send(asks.bytes()).answer();
        assert!(client.is_closed(), "{what}: bytes behind the answer: {:?}", client.rest());
        let body = answer.text();
        let right = answer.status == 200 && [LIST, "{}"].contains(&body.as_str());
        let none = [204, 304].contains(&answer.status) && body.is_empty();
        let cut = answer.ending == Ending::Cut;
        assert!(right || none || cut || answer.status == 502, "{what}: {} {body}", answer.status);
        rig.still_good(what);
    }
}

/// E13: heads without measure are refused before they fill the memory.
#[test]
fn a_huge_head_is_502() {
    let rig = Rig::new();
    let many: String = (0..20_000).map(|n| format!("X-{n}: c4n4ry\r\n")).collect();
    for (what, bytes) in [
        ("a long value", json_head(&format!("X-A: {}\r\n", "c4n4ry".repeat(200_000))) + LIST),
        ("a long name", json_head(&format!("{}: a\r\n", "c4n4ry".repeat(200_000))) + LIST),
        ("many lines", json_head(&many) + LIST),
        ("a long reason", format!("HTTP/1.1 200 {}\r\n\r\n{LIST}", "c4n4ry".repeat(200_000))),
        ("a long status line", "c4n4ry".repeat(1_000_000)),
    ] {
        let answer = rig.of("/list", Reply::raw(bytes).then_close());
        assert_eq!(answer.status, 502, "{what}: {}", answer.text());
        assert_own_words(what, &answer);
        rig.still_good(what);
    }
}

/// C8: 1xx answers of the upstream stay behind; the one after them counts.
#[test]
fn interim_answers_stay_behind() {
    let rig = Rig::new();
    let last = json_head(&format!("Content-Length: {}\r\n", LIST.len())) + LIST;
    let early =
        |status: u16| format!("HTTP/1.1 {status} c4n4ry\r\nLink: </c4n4ry>\r\nX-A: c4n4ry\r\n\r\n");
    for (what, before) in [
        ("100", early(100)),
        ("102", early(102)),
        ("103", early(103)),
        ("an unknown one", early(199)),
        ("three of them", early(100) + &early(103) + &early(103)),
        (
            "with a length that means nothing",
            "HTTP/1.1 103 c4n4ry\r\nContent-Length: 20\r\n\r\n".to_owned(),
        ),
    ] {
        rig.shows(what, "/list", Reply::raw(before.clone() + &last), LIST_SHOWN);
        rig.shows(what, "/list", Reply::raw(before.clone()).more(last.clone()), LIST_SHOWN);
        let plain = rig
            .of("/plain", Reply::raw(before.clone() + &json_head("Content-Length: 2\r\n") + "{}"));
        assert_eq!((plain.status, plain.text().as_str()), (200, "{}"), "{what}");
        let answer = rig.of("/list", Reply::raw(before).then_close());
        assert_eq!(answer.status, 502, "{what} and nothing behind it");
        rig.still_good(what);
    }
}

/// C8: interim answers are few and small, or the upstream is given up: each is kept until the last head.
#[test]
fn interim_answers_without_end_are_502() {
    let rig = Rig::new();
    let last = json_head(&format!("Content-Length: {}\r\n", LIST.len())) + LIST;
    let interim =
        |bytes: usize| format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(bytes));
    for (heads, bytes, status) in [(16, 10, 200), (17, 10, 502), (1, 60_000, 200), (2, 60_000, 502)]
    {
        let reply = Reply::raw(interim(bytes).repeat(heads) + &last);
        let answer = rig.of("/list", reply);
        assert_eq!(answer.status, status, "{heads} of {bytes}");
        rig.still_good("interim answers");
    }
}

/// C8: nobody asked to switch protocols, so nobody does.
#[test]
fn switching_protocols_is_refused() {
    let rig = Rig::new();
    for lines in ["Upgrade: websocket\r\nConnection: Upgrade\r\n", "Upgrade: c4n4ry\r\n", ""] {
        for target in ["/list", "/plain"] {
            let answer = rig
                .of(target, Reply::raw(format!("HTTP/1.1 101 c4n4ry\r\n{lines}\r\nc4n4ry{LIST}")));
            assert_eq!(answer.status, 502, "{target} {lines}");
            assert_own_words(target, &answer);
            rig.still_good("101");
        }
    }
}

/// C8: a client that asks for a switch of protocols gets none either.
#[test]
fn an_upgrade_that_was_asked_for_is_not_passed_on() {
    let rig = Rig::new();
    rig.upstream.now_replies(Reply::raw(format!(
        "HTTP/1.1 101 c4n4ry\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n{LIST}"
    )));
    let asks = rig
        .gateway()
        .get("/plain")
        .bearer(&rig.key)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    let answer = asks.send();
    assert_ne!(answer.status, 101);
    assert_clean("101", &answer);
    assert!(rig.upstream.requests().iter().all(|seen| seen.header("upgrade").is_none()));
}

/// C8, A2: reason phrases are the gateway's own, on every status and route.
#[test]
fn reason_phrases_are_the_gateways_own() {
    let rig = Rig::new();
    for (status, reason) in [
        (200, "OK"),
        (201, "Created"),
        (202, "Accepted"),
        (404, "Not Found"),
        (503, "Service Unavailable"),
    ] {
        for target in ["/list", "/plain", "/errors"] {
            let body = format!(
                "Content-Type: application/json\r\nContent-Length: 11\r\n\r\n{}",
                r#"{"data":[]}"#
            );
            let answer = rig.of(target, Reply::raw(format!("HTTP/1.1 {status} c4n4ry\r\n{body}")));
            assert_eq!((answer.status, answer.reason.as_str()), (status, reason), "{target}");
        }
    }
}

/// C8: the upstream's `Date` comes back, in the one form that is written; what is no date does not. The
/// gateway's own answers tell their own time.
#[test]
fn the_upstreams_date_comes_back() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BODY: &str = r#"{"data":[]}"#;
    let rig = Rig::new();
    let lines = format!("Content-Length: {}\r\nDate: ", BODY.len());
    for (sent, told) in [
        (DATE, true),
        ("Sunday, 06-Nov-94 08:49:37 GMT", true),
        ("Sun Nov  6 08:49:37 1994", true),
        ("yesterday", false),
        ("Sun, 06 Nov 1994 08:49:37 GMT, Mon, 07 Nov 1994 08:49:37 GMT", false),
    ] {
        for target in ["/list", "/plain"] {
            let head = json_head(&format!("{lines}{sent}\r\n"));
            let answer = rig.of(target, Reply::raw(head.clone() + BODY));
            assert_eq!(answer.status, 200, "{sent}");
            let dates: Vec<&str> = answer.values("date").collect();
            assert_eq!(dates.len(), 1, "{sent} on {target}");
            assert_eq!(dates == [DATE], told, "{sent} on {target}: {dates:?}");
            assert_eq!(rig.ask("HEAD", target).values("date").count(), 1);
            let refused = rig.of(target, Reply::raw(head.replace("200 OK", "500 Oops") + BODY));
            assert_ne!(refused.values("date").next(), Some(DATE));
        }
        rig.still_good(sent);
    }
}

/// C7: an upstream that writes more than its answer, a forged one above all, is not believed: what it wrote
/// is nobody's answer, however late it comes, and later requests get their own.
#[test]
fn what_an_upstream_writes_behind_its_answer_is_nobodys() {
    const FORGED: &str = r#"{"data":[{"call_id":"forged"}]}"#;
    let whole = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let of = |target: &str| format!(r#"{{"data":[{{"call_id":"{target}"}}]}}"#);
    let head_alone = whole("204 No Content", FORGED).replace(FORGED, "");
    for (method, first) in [
        ("GET", whole("200 OK", r#"{"data":[]}"#)),
        ("GET", head_alone.clone()),
        ("GET", head_alone.replace("204 No Content", "304 Not Modified")),
        ("HEAD", head_alone.replace("204 No Content", "200 OK")),
        ("GET", whole("500 Oops", "{}")),
    ] {
        for behind in [whole("200 OK", FORGED), FORGED.to_owned()] {
            let (faulty, gate) = (first.clone(), Gate::new());
            gate.open();
            let written = gate.clone();
            let upstream = Upstream::scripted(move |seen| match seen.target.split_once("id=") {
                Some((_, "bad")) => Reply::raw(faulty.clone()).more(behind.clone()).wait(&written),
                Some((_, id)) => Reply::json(of(id)),
                None => Reply::json(LIST),
            });
            upstream.nagle();
            let config = config(&upstream);
            let rig = Rig::on(upstream, &config);
            let ask = |method: &str, id: &str| rig.ask(method, &format!("/list?id={id}"));
            // By then both kernels take the connection for one of questions and answers.
            (0..8).for_each(|turn| assert_eq!(ask("GET", &format!("w{turn}")).status, 200));
            ask(method, "bad");
            // The other half of the race, an upstream that writes later yet, nobody can win.
            gate.await_reached(1);
            for turn in 0..12 {
                let answer = ask("GET", &format!("r{turn}"));
                let shown = (answer.status, answer.text());
                assert_eq!(shown, (200, of(&format!("r{turn}"))), "{method} {first:?}");
            }
        }
    }
}

/// E13: an upstream that says it closes is believed, and the next request has a connection of its own.
#[test]
fn a_connection_that_closes_is_not_used_again() {
    let rig = Rig::new();
    let said =
        json_head(&format!("Connection: close\r\nContent-Length: {}\r\n", LIST.len())) + LIST;
    for _ in 0..5 {
        rig.shows("close", "/list", Reply::raw(said.clone()), LIST_SHOWN);
    }
    let mut connections: Vec<usize> =
        rig.upstream.requests().iter().map(|seen| seen.connection).collect();
    connections.dedup();
    assert_eq!(connections.len(), 5, "one each: {connections:?}");
    // And one that closes without a word costs no request, more often than repeats are saved up.
    for _ in 0..40 {
        let began = std::time::Instant::now();
        rig.shows("silently", "/list", Reply::json(LIST).then_close(), LIST_SHOWN);
        assert!(began.elapsed() < DEADLINE / 2);
    }
}
