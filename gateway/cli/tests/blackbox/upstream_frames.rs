//! HTTP/2 upstreams that refuse, leave, break off and break the rules, frame by frame.

use crate::samples::{CALLS, CONTACTS};
use crate::support::answer::{Ending, refusal};
use crate::support::frames::{
    Arrived, DATA, END_STREAM, Frames, HEADERS, RST_STREAM, Written, answer, frame, go_away, head,
    windows,
};
use crate::support::{Directory, Gateway, Key, waiting};
use crate::upstream_h2::{config, key};

const REFUSED_STREAM: u32 = 7;
const PRIORITY: u8 = 2;
/// A kind of frame that no standard knows.
const UNKNOWN: u8 = 0x2a;

struct Rig {
    upstream: Frames,
    gateway: Gateway,
    key: Key,
}

impl Rig {
    fn new(script: impl Fn(Arrived) -> Written + Send + Sync + 'static) -> Rig {
        Rig::with("http2: only", script)
    }

    fn with(members: &str, script: impl Fn(Arrived) -> Written + Send + Sync + 'static) -> Rig {
        Rig::on(Frames::playing(script), members)
    }

    fn on(upstream: Frames, members: &str) -> Rig {
        let key = key();
        let config = config(upstream.address(), members);
        let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
        Rig { upstream, gateway, key }
    }

    fn get(&self, target: &str) -> crate::support::Answer {
        self.gateway.get(target).bearer(&self.key).send()
    }

    fn post(&self) -> crate::support::Answer {
        self.gateway.request("POST", "/api/contacts").bearer(&self.key).body("{}").send()
    }
}

fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// `REFUSED_STREAM` says that nothing was done: even a POST goes up again, on another connection, and no
/// repeat is paid for it. There is an end to it.
#[test]
fn a_refused_stream_is_sent_again_whatever_its_method() {
    let rig = Rig::with("http2: only, retries: { max: 0 }", |arrived| {
        let bytes = match arrived.connection {
            0 => reset(arrived.stream, REFUSED_STREAM),
            _ => answer(arrived.stream, CONTACTS),
        };
        (bytes, false)
    });
    assert_eq!(rig.post().status, 200);
    let connections: Vec<usize> =
        rig.upstream.arrived().iter().map(|arrived| arrived.connection).collect();
    assert_eq!(connections, [0, 1]);

    let rig = Rig::new(|arrived| (reset(arrived.stream, REFUSED_STREAM), false));
    assert_eq!(rig.post().verdict(), refusal(502, "upstream_unavailable"));
    assert_eq!(rig.upstream.arrived().len(), 3);
}

/// The same of a stream above the last one that a GOAWAY names.
#[test]
fn a_stream_that_a_leaving_server_did_not_take_is_sent_again() {
    for code in [0, 2, 11] {
        let rig = Rig::with("http2: only, retries: { max: 0 }", move |arrived| {
            match arrived.connection {
                0 => (go_away(0, code), true),
                _ => (answer(arrived.stream, CONTACTS), false),
            }
        });
        assert_eq!(rig.post().status, 200, "{code}");
        assert_eq!((rig.upstream.arrived().len(), rig.upstream.accepted()), (2, 2));
        assert_eq!(
            rig.gateway.metric("colonnade_upstream_failures_total", &[("upstream", "leads")]),
            0.0
        );
    }
}

/// A stream that the GOAWAY covers may have been acted on.
#[test]
fn a_stream_that_a_leaving_server_took_follows_the_rules_of_repeats() {
    let rig = Rig::new(|arrived| match arrived.connection {
        0 | 2 => (go_away(arrived.stream, 0), true),
        _ => (answer(arrived.stream, CALLS), arrived.connection == 1),
    });
    assert_eq!(rig.get("/api/calls").status, 200);
    assert_eq!(rig.upstream.arrived().len(), 2);
    assert_eq!(rig.post().verdict(), refusal(502, "upstream_unavailable"));
    assert_eq!(rig.upstream.arrived().len(), 3);
}

/// An answer that is under way when the server says it leaves is brought over; the next request has a
/// new connection, and costs nobody anything.
#[test]
fn an_answer_under_way_outlives_the_goodbye() {
    let rig = Rig::new(|arrived| {
        ([go_away(arrived.stream, 0), answer(arrived.stream, CALLS)].concat(), false)
    });
    for round in 1..4 {
        let answer = rig.get("/api/calls");
        assert_eq!((answer.status, answer.ending), (200, Ending::Whole), "{round}");
        assert_eq!((rig.upstream.arrived().len(), rig.upstream.accepted()), (round, round));
    }
}

/// Reset, or the connection lost, before a byte of an answer: sent again where HTTP/1 would be.
#[test]
fn a_request_without_an_answer_is_repeated_where_its_method_allows() {
    for lost in [true, false] {
        let rig = Rig::new(move |arrived| match arrived.connection {
            0 if lost => (Vec::new(), true),
            0 => (reset(arrived.stream, 2), false),
            _ => (answer(arrived.stream, CALLS), false),
        });
        assert_eq!(rig.get("/api/calls").status, 200, "{lost}");
        assert_eq!(rig.upstream.arrived().len(), 2, "{lost}");
        let rig = Rig::new(move |arrived| (reset(arrived.stream, 2), lost));
        assert_eq!(rig.post().verdict(), refusal(502, "upstream_unavailable"), "{lost}");
        assert_eq!(rig.upstream.arrived().len(), 1, "{lost}");
    }
}

/// A connection that dies while it idles costs no request.
#[test]
fn a_connection_that_died_idle_is_not_used() {
    let rig = Rig::new(|arrived| (answer(arrived.stream, CONTACTS), true));
    for round in 1..6 {
        assert_eq!(rig.post().status, 200, "{round}");
        assert_eq!(rig.upstream.arrived().len(), round);
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// A body that is not as long as was said is no answer, whichever way.
#[test]
fn a_body_of_another_length_than_was_said_is_a_fault() {
    for said in [CALLS.len() - 1, CALLS.len() + 1, 0] {
        let rig = Rig::new(move |arrived| {
            let length = said.to_string();
            let head = head(0, arrived.stream, "200", &[JSON, ("content-length", &length)]);
            let data = frame(DATA, END_STREAM, arrived.stream, CALLS.as_bytes());
            ([head, data].concat(), false)
        });
        assert_eq!(rig.get("/api/calls").status, 502, "{said}");
        let answer = rig.get("/api/coach/rubrics");
        assert!(answer.status == 502 || answer.ending != Ending::Whole, "{said}: {answer:?}");
    }
}

/// What HTTP/2 does not have, or has no measure. It is asked for once, but for faults that end the connection: these
/// may have been those of another stream.
#[test]
fn an_answer_that_breaks_the_rules_is_a_fault() {
    type Broken = fn(u32) -> Vec<u8>;
    const ENDS_CONNECTION: [&str; 1] = ["a status of letters"];
    let broken: [(&str, Broken); 9] = [
        ("101", |stream| head(0, stream, "101", &[])),
        ("101 and more", |stream| [head(0, stream, "101", &[]), answer(stream, CALLS)].concat()),
        ("no status", |stream| frame(HEADERS, 4, stream, &[0x00, 1, b'a', 1, b'b'])),
        ("a connection's header", |stream| {
            head(0, stream, "200", &[JSON, ("transfer-encoding", "chunked")])
        }),
        ("a status of letters", |stream| head(0, stream, "abc", &[JSON])),
        ("two lengths", |stream| {
            head(0, stream, "200", &[JSON, ("content-length", "1"), ("content-length", "2")])
        }),
        ("a length in words", |stream| head(0, stream, "200", &[JSON, ("content-length", "1, 1")])),
        ("a head without end", |stream| {
            let value = "x".repeat(100);
            let names: Vec<String> = (0..900).map(|number| format!("x-{number}")).collect();
            let mut fields = vec![JSON];
            fields.extend(names.iter().map(|name| (name.as_str(), value.as_str())));
            let whole = head(0, stream, "200", &fields);
            let mut pieces = whole[9..].chunks(16_000).enumerate().peekable();
            let mut frames = Vec::new();
            while let Some((number, piece)) = pieces.next() {
                let kind = if number == 0 { HEADERS } else { 9 };
                let flags = if pieces.peek().is_none() { 4 } else { 0 };
                frames.extend(frame(kind, flags, stream, piece));
            }
            frames
        }),
        ("interim heads without end", |stream| {
            (0..100).flat_map(|_| head(0, stream, "103", &[])).collect()
        }),
    ];
    for (what, bytes) in broken {
        let rig = Rig::new(move |arrived| (bytes(arrived.stream), false));
        let answer = rig.get("/api/calls");
        assert_eq!(answer.verdict(), refusal(502, "upstream_unavailable"), "{what}");
        let asked_for = 1 + usize::from(ENDS_CONNECTION.contains(&what));
        assert_eq!(rig.upstream.arrived().len(), asked_for, "{what}");
    }
}

/// A faulty stream of a connection leaves its others and its successors alone.
#[test]
fn a_fault_of_one_stream_does_not_end_its_connection() {
    let rig = Rig::new(|arrived| match arrived.stream {
        1 => (head(0, 1, "200", &[JSON, ("content-length", "x")]), false),
        stream => (answer(stream, CALLS), false),
    });
    assert_eq!(rig.get("/api/calls").status, 502);
    assert_eq!(rig.get("/api/calls").status, 200);
    assert_eq!(rig.upstream.accepted(), 1);
}

/// A server that lets no more than the first window of a body come may answer before it has all of it; one
/// that does not is given up.
#[test]
fn a_body_that_is_not_taken_holds_nothing_up() {
    let body = format!("{{\"name\":\"{}\"}}", "x".repeat(300_000));
    type Written = fn(u32) -> Vec<u8>;
    let (early, silent): (Written, Written) = (|stream| answer(stream, CONTACTS), |_| Vec::new());
    for (bytes, expected) in
        [(early, (200, String::new())), (silent, refusal(504, "upstream_timeout"))]
    {
        let upstream = Frames::playing_early(move |arrived| (bytes(arrived.stream), false));
        let rig = Rig::on(upstream, "http2: only, timeouts: { idle: 300ms }");
        for _ in 0..2 {
            let request = rig.gateway.request("POST", "/api/contacts").bearer(&rig.key);
            assert_eq!(request.body(&body).send().verdict(), expected);
        }
        assert_eq!((rig.upstream.arrived().len(), rig.upstream.accepted()), (2, 1));
    }
}

/// Requests that one connection lets down go up again on one other, and the server is blamed once.
#[test]
fn requests_that_are_let_down_together_share_the_next_connection() {
    const TOGETHER: u32 = 8;
    for (leaves, died) in [(true, 0.0), (false, 1.0)] {
        let rig = Rig::new(move |arrived| match arrived.connection {
            0 if arrived.stream < 2 * TOGETHER - 1 => (Vec::new(), false),
            0 if leaves => (go_away(0, 0), true),
            0 => (Vec::new(), true),
            _ => (answer(arrived.stream, CALLS), false),
        });
        std::thread::scope(|scope| {
            let asking: Vec<_> =
                (0..TOGETHER).map(|_| scope.spawn(|| rig.get("/api/calls").status)).collect();
            asking.into_iter().for_each(|asked| assert_eq!(asked.join().unwrap(), 200));
        });
        let arrived = rig.upstream.arrived().len();
        assert_eq!((arrived, rig.upstream.accepted()), (2 * TOGETHER as usize, 2), "{leaves}");
        let labels = [("upstream", "calls"), ("reason", "died")];
        let failures = rig.gateway.metric("colonnade_upstream_failures_total", &labels);
        assert_eq!(failures, died, "{leaves}");
    }
}

/// With an empty DATA frame before its last one, as servers send that relay a body of unknown length.
fn answer_with_empty_frames(stream: u32, count: usize) -> Vec<u8> {
    let empty = frame(DATA, 0, stream, &[]).repeat(count);
    let last = frame(DATA, END_STREAM, stream, CALLS.as_bytes());
    [head(0, stream, "200", &[JSON]), empty, last].concat()
}

/// However many such answers there are: one connection is left for another before it has had too many.
#[test]
fn an_empty_frame_an_answer_costs_no_request() {
    let rig = Rig::new(|arrived| (answer_with_empty_frames(arrived.stream, 1), false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..70 {
                    assert_eq!(rig.get("/api/calls").status, 200, "{round}");
                }
            });
        }
    });
    assert_eq!(rig.upstream.arrived().len(), 280, "none was repeated");
    let accepted = rig.upstream.accepted();
    assert!((5..20).contains(&accepted), "{accepted}");
}

/// What one answer does to the connection is not held against the others on it.
#[test]
fn a_connection_that_is_ended_here_is_a_lost_one_to_its_other_streams() {
    let rig = Rig::new(|arrived| match (arrived.connection, arrived.stream) {
        (0, 1) => (Vec::new(), false),
        (0, stream) => (answer_with_empty_frames(stream, 200), false),
        (_, stream) => (answer(stream, CALLS), false),
    });
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| rig.get("/api/calls").verdict());
        waiting::until("the first request", || (rig.upstream.arrived().len() == 1).then_some(()));
        let _ = rig.get("/api/calls");
        assert_eq!(waits.join().unwrap(), (200, String::new()));
    });
    let labels = [("upstream", "calls"), ("reason", "died")];
    let failures = rig.gateway.metric("colonnade_upstream_failures_total", &labels);
    assert_eq!(failures, 1.0, "by the one that opened it");
}

/// A server that goes on with frames nobody asked for loses its connection, and takes no core with it.
#[test]
fn a_flood_of_frames_behind_an_answer_ends_its_connection() {
    const FLOODS: [fn(u32) -> Vec<u8>; 4] = [
        |stream| frame(RST_STREAM, 0, stream, &[0; 4]),
        |stream| frame(PRIORITY, 0, stream, &[0; 5]),
        |_| windows(0, 1),
        |_| frame(UNKNOWN, 0, 0, &[0; 8]),
    ];
    for flood in FLOODS {
        let rig = Rig::new(move |Arrived { stream, .. }| {
            let frames: Vec<u8> = (0..2_000).flat_map(|_| flood(stream)).collect();
            ([answer(stream, CALLS), frames].concat(), false)
        });
        for asked in 1..=3 {
            assert_eq!(rig.get("/api/calls").verdict(), (200, String::new()), "{asked}");
            waiting::until("the end of the connection", || {
                (rig.upstream.ended() == asked).then_some(())
            });
        }
    }
}

/// More streams are reset here in a second than `h2` remembers by itself, and frames that were under way come late. It
/// bears 1,024 of those whose streams are forgotten.
#[test]
fn late_frames_of_streams_that_were_reset_do_no_harm() {
    const LATE_BY: u32 = 2 * 20;
    let rig = Rig::new(|Arrived { stream, .. }| {
        // The rest of an error is not read.
        let error = head(0, stream, "404", &[JSON]);
        let late = match stream.checked_sub(LATE_BY) {
            Some(late) => frame(DATA, 0, late, b"late"),
            None => Vec::new(),
        };
        ([late, error].concat(), false)
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..500 {
                    assert_eq!(rig.get("/api/calls").status, 404, "{round}");
                }
            });
        }
    });
    assert_eq!((rig.upstream.arrived().len(), rig.upstream.accepted()), (2_000, 1));
}

const MAX_CONCURRENT_STREAMS: u8 = 3;

/// A server may allow no further stream once it has had one: what it leaves idle is closed, and not kept beside others.
#[test]
fn connections_that_allow_no_stream_are_not_kept() {
    let rig = Rig::new(|arrived| {
        let none = frame(4, 0, 0, &[0, MAX_CONCURRENT_STREAMS, 0, 0, 0, 0]);
        ([none, answer(arrived.stream, CALLS)].concat(), false)
    });
    for round in 1..=20 {
        assert_eq!(rig.get("/api/calls").status, 200, "{round}");
        assert_eq!(rig.upstream.accepted(), round);
    }
    waiting::until("them to be closed", || (rig.upstream.ended() >= 19).then_some(()));
}

/// A server may send its head first and then read the body to its end.
#[test]
fn a_body_goes_up_to_its_end_behind_an_early_head() {
    let body = format!("{{\"name\":\"{}\"}}", "x".repeat(300_000));
    let upstream = Frames::playing_each(|Arrived { stream, data, ends, .. }| {
        let bytes = match data {
            None => head(0, stream, "200", &[JSON]),
            Some(_) if ends => frame(DATA, END_STREAM, stream, CONTACTS.as_bytes()),
            Some(length) => windows(stream, length),
        };
        (bytes, false)
    });
    let rig = Rig::on(upstream, "http2: only, timeouts: { idle: 2s }");
    for _ in 0..2 {
        let request = rig.gateway.request("POST", "/api/contacts").bearer(&rig.key);
        assert_eq!(request.body(&body).send().verdict(), (200, String::new()));
    }
    assert_eq!(rig.upstream.accepted(), 1);
}

/// `connections_max` bounds shared connections of all servers together: an idle one makes room for another.
#[test]
fn idle_connections_make_room_for_others() {
    let server = || Frames::playing(|arrived| (answer(arrived.stream, CALLS), false));
    let (one, other) = (server(), server());
    let servers = format!("[\"{}\", \"{}\"]", one.address(), other.address());
    let (members, key) = ("http2: only, connections_max: 1", key());
    let config = config(one.address(), "http2: only").upstream_of("calls", &servers, members);
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    for round in 0..8 {
        assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200, "{round}");
    }
    let accepted = || one.accepted() + other.accepted();
    assert!(!one.arrived().is_empty() && !other.arrived().is_empty());
    waiting::until("all but one to be closed", || {
        (one.ended() + other.ended() == accepted() - 1).then_some(())
    });
}
