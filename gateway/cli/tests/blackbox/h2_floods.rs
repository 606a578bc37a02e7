//! HTTP/2 clients that ask for work and no answers: each loses its connection, and nobody else notices.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::response_h2::{Http2, PREFACE};
use crate::samples::CALLS;
use crate::support::frames::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame,
};
use crate::support::{Config, Directory, Gate, Gateway, Key, Reply, Upstream, waiting};

const CONTINUATION: u8 = 9;

/// Frames that a client sends unless it is stopped.
const FRAMES: u32 = 200_000;
/// What the process may grow by, whatever it is sent. A debug build's freed memory counts too.
const GROWTH_BYTES_MAX: u64 = 96 << 20;

fn serving(upstream: &Upstream, members: &str) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read"]);
    let config = Config::with_upstream(upstream)
        .upstream_with("calls", upstream.address(), members)
        .section("listeners", "\n  - { address: 127.0.0.1:0, h2c: true }")
        .section("bounds", "{ failed_authentications: 1000000 }");
    let limits = json!({ "minute": { "requests": 1_000_000, "window": "1m" } });
    (Gateway::start(&config, &Directory::of([key.clone().with("limits", limits)])), key)
}

/// A request's fields, of literals alone (RFC 7541 §6.2.2).
fn fields(key: &str) -> Vec<u8> {
    let bearer = format!("Bearer {key}");
    let all = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/api/calls"),
        (":authority", "gateway.test"),
        ("authorization", bearer.as_str()),
    ];
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    all.iter().flat_map(|(name, value)| [&[0x10][..], &text(name), &text(value)].concat()).collect()
}

/// Sends a beginning, then frames, reading what comes. Whether the gateway ended it before the last.
fn is_stopped(address: SocketAddr, frames: impl Fn(u32) -> Vec<u8>) -> bool {
    let mut socket = TcpStream::connect_timeout(&address, waiting::DEADLINE).unwrap();
    socket.set_write_timeout(Some(waiting::DEADLINE)).unwrap();
    socket.set_read_timeout(Some(waiting::DEADLINE)).unwrap();
    let mut reader = socket.try_clone().unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut piece = vec![0; 64 << 10];
            while matches!(reader.read(&mut piece), Ok(1..)) {}
            ended.store(true, Ordering::SeqCst);
        });
        // Our SETTINGS are never acknowledged: what a client has not agreed to must hold all the same.
        let mut batch = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        for n in 0..FRAMES {
            batch.extend(frames(n));
            if batch.len() > 16 << 10 || n + 1 == FRAMES {
                if socket.write_all(&batch).is_err() || ended.load(Ordering::SeqCst) {
                    let _ = socket.shutdown(Shutdown::Both);
                    return true;
                }
                batch.clear();
            }
        }
        // All is sent: the end may be on its way still.
        let stopped =
            waiting::within(waiting::DEADLINE / 2, || ended.load(Ordering::SeqCst).then_some(()));
        let _ = socket.shutdown(Shutdown::Both);
        stopped.is_some()
    })
}

fn peak_bytes(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// What a client sends again and again, by its number.
type Frames<'a> = &'a (dyn Fn(u32) -> Vec<u8> + Sync);

/// Runs floods, each on a connection after the other, while another client is served; they all must
/// end, and memory must stay.
fn weather(gateway: &Gateway, key: &Key, floods: &[(&str, Frames<'_>)]) {
    let mut client = Http2::open(gateway.address());
    let served = |client: &mut Http2| {
        let asked = client.get("/api/calls", &key.text);
        let answer = client.answer(asked);
        assert!(answer.is_ended && answer.body.starts_with(b"{"), "{answer:?}");
    };
    served(&mut client);
    let before = peak_bytes(gateway);
    for (what, frames) in floods {
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| is_stopped(gateway.address(), frames));
            while !flood.is_finished() {
                served(&mut client);
            }
            assert!(flood.join().unwrap(), "{what} goes on for ever");
        });
        served(&mut client);
        assert_eq!(gateway.get("/api/calls").bearer(key).send().status, 200, "behind {what}");
    }
    let growth = peak_bytes(gateway).saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "{} MiB more", growth >> 20);
}

#[test]
fn frames_that_ask_for_nothing_end_their_connection() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "");
    weather(
        &gateway,
        &key,
        &[
            ("PING", &|_| frame(PING, 0, 0, &[7; 8])),
            ("SETTINGS", &|n| {
                let window = (n % 60_000).to_be_bytes();
                frame(SETTINGS, 0, 0, &[&[0, 4], &window[..]].concat())
            }),
            ("WINDOW_UPDATE", &|_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
            ("PRIORITY", &|n| frame(2, 0, 2 * n + 1, &[0, 0, 0, 0, 1])),
            ("an unknown kind", &|_| frame(0x7a, 0, 0, &[0; 64])),
        ],
    );
    let counted = gateway.metric("colonnade_shed_total", &[("bound", "http2_flood")]);
    assert_eq!(counted, 5.0, "each of them is counted");
}

/// CVE-2024-27316 and its kin: a head without an end, or one that unpacks to far more than it is.
#[test]
fn heads_without_an_end_end_their_connection() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "");
    let empty = |n: u32| match n {
        0 => frame(HEADERS, END_STREAM, 1, &[0x82]),
        _ => frame(CONTINUATION, 0, 1, &[]),
    };
    let full = |n: u32| match n {
        0 => frame(HEADERS, END_STREAM, 1, &[0x82]),
        _ => frame(
            CONTINUATION,
            0,
            1,
            &[&[0x10, 1, b'n', 100][..], &[b'v'; 100]].concat().repeat(150),
        ),
    };
    // An entry of the table of 3 KB, named by one byte.
    let entry = [&[0x40, 1, b'n', 0x7f, 0xb9, 0x16][..], &[b'v'; 3_000]].concat();
    let bomb = |n: u32| match n {
        0 => frame(HEADERS, END_STREAM, 1, &entry),
        _ => frame(CONTINUATION, 0, 1, &[0xbe; 16_000]),
    };
    weather(
        &gateway,
        &key,
        &[("empty CONTINUATIONs", &empty), ("full CONTINUATIONs", &full), ("a bomb", &bomb)],
    );
}

/// CVE-2023-44487: requests that are reset at once.
#[test]
fn requests_that_are_reset_at_once_end_their_connection() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "");
    let rapid = |fields: Vec<u8>| {
        move |n: u32| {
            let request = frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &fields);
            [request, frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes())].concat()
        }
    };
    let (right, wrong) = (rapid(fields(&key.text)), rapid(fields("avoca_wrong")));
    let mut client = Http2::open(gateway.address());
    for flood in [&right, &wrong] {
        assert!(is_stopped(gateway.address(), flood), "it goes on for ever");
        let asked = client.get("/api/calls", &key.text);
        assert!(client.answer(asked).is_ended);
    }
    // Far fewer requests went up than were sent, and none is left.
    assert!(upstream.requests_seen() < 5_000, "{}", upstream.requests_seen());
    waiting::until("an end of all requests", || {
        (gateway.metric("colonnade_inflight_requests", &[]) == 0.0).then_some(())
    });
}

/// A request that is taken back gives its place at the upstream back, answered or not.
#[test]
fn a_request_that_is_reset_holds_no_place() {
    let upstream = Upstream::replying(Reply::silence());
    let (gateway, key) = serving(&upstream, "connections_max: 1");
    let mut client = Http2::open(gateway.address());
    let half = Reply::raw(&b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{\"data\":["[..]);
    for turn in 1..=4 {
        // Once nothing comes of the answer, then half of it.
        if turn == 3 {
            upstream.now_replies(half.clone().wait(&Gate::new()));
        }
        let asked = client.get("/api/calls", &key.text);
        waiting::until("the request at the upstream", || {
            (upstream.requests_seen() == turn).then_some(())
        });
        let refused = gateway.get("/api/calls").bearer(&key).send();
        assert_eq!(refused.code(), "overloaded", "the only place is taken");
        client.reset(asked);
        waiting::until("the place", || {
            (gateway.metric("colonnade_inflight_requests", &[]) == 0.0).then_some(())
        });
    }
    upstream.now_replies(Reply::json(CALLS));
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
}

/// Bodies of frames without bytes end their connection too, which `h2` sees to.
#[test]
fn empty_data_frames_end_their_connection() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "");
    let fields = fields(&key.text);
    let flood = |n: u32| match n {
        0 => frame(HEADERS, END_HEADERS, 1, &fields),
        _ => frame(DATA, 0, 1, &[]),
    };
    assert!(is_stopped(gateway.address(), flood));
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
}
