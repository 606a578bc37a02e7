//! SIGUSR2: the program, started anew, goes on with what the process before it served.

use std::io::{Read, Write};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::response_h2::Http2;
use crate::samples::CALLS;
use crate::support::answer::Ending;
use crate::support::gateway::{ADMIN_TOKEN, Launch};
use crate::support::request::Request;
use crate::support::stored::Stored;
use crate::support::{Config, Connection, Directory, Gate, Gateway, Key, Reply, Upstream, waiting};
use crate::tls;

const DRAIN: &str = "{ delay: 0s, grace: 20s }";

fn serving(upstream: &Upstream, key: &Key) -> Gateway {
    let config = Config::with_upstream(upstream).section("drain", DRAIN);
    Gateway::start(&config, &Directory::of([key.clone()]))
}

fn remaining(answer: &crate::support::Answer) -> u32 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-ratelimit-remaining").expect("what is left").parse().unwrap()
}

/// Whatever a connection is in the middle of, it goes on: idle, new, half a head, an answer under way.
/// R7: what was counted before counts on, to the request.
#[test]
fn connections_and_counts_go_on() {
    let gate = Gate::new();
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]).limited(20, "1h");
    let mut gateway = serving(&upstream, &key);
    let get = gateway.get("/api/calls").bearer(&key).bytes();
    let (mut kept, mut silent, mut half, mut slow) =
        (gateway.connect(), gateway.connect(), gateway.connect(), gateway.connect());
    assert_eq!(remaining(&kept.exchange(&get)), 19);
    half.send(&get[..get.len() / 2]);
    upstream.now_replies(Reply::json(CALLS).behind(&gate));
    slow.send(&get);
    gate.await_reached(1);
    upstream.now_replies(Reply::json(CALLS));
    let before = gateway.pid();

    gateway.exchange();
    assert_ne!(gateway.pid(), before);
    assert_eq!(remaining(&kept.exchange(&get)), 17, "two were taken before");
    assert_eq!(remaining(&silent.exchange(&get)), 16);
    assert_eq!(remaining(&half.exchange(&get[get.len() / 2..])), 15);
    assert_eq!(remaining(&gateway.connect().exchange(&get)), 14);
    gate.open();
    assert_eq!(remaining(&slow.answer()), 18, "it was judged before");
    assert_eq!(remaining(&slow.exchange(&get)), 13, "and its connection goes on, too");
    let status = gateway.await_first_end();
    assert_eq!(status.code(), Some(0), "the process before ends when nothing is left there");
    for left in (0..13).rev() {
        assert_eq!(remaining(&kept.exchange(&get)), left);
    }
    assert_eq!(kept.exchange(&get).status, 429);
    assert_eq!(gateway.telemetry("/readyz").status, 200);
}

/// Under load, again and again: every request is answered, no limit is exceeded, and none is cut short.
#[test]
fn nothing_fails_and_nothing_is_counted_twice_under_load() {
    const LIMIT: u32 = 3_000;
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]).limited(LIMIT, "1h");
    let mut gateway = serving(&upstream, &key);
    let (admitted, refused, stop) =
        (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let get = gateway.get("/api/calls").bearer(&key).bytes();
    let address = gateway.address();
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (admitted, refused, stop, get) = (&admitted, &refused, &stop, &get);
            scope.spawn(move || {
                let mut kept = Connection::open(address);
                while !stop.load(Ordering::Relaxed) {
                    if client % 2 == 0 {
                        kept = Connection::open(address);
                    }
                    let answer = kept.exchange(get);
                    assert_eq!(answer.ending, Ending::Whole);
                    match answer.status {
                        200 => admitted.fetch_add(1, Ordering::Relaxed),
                        429 => refused.fetch_add(1, Ordering::Relaxed),
                        status => panic!("{status}: {}", answer.text()),
                    };
                }
            });
        }
        for round in 0..4 {
            let enough = round * LIMIT as usize / 4;
            waiting::until("more requests", || {
                (admitted.load(Ordering::Relaxed) >= enough).then_some(())
            });
            gateway.exchange();
        }
        waiting::until("the limit", || (refused.load(Ordering::Relaxed) > 50).then_some(()));
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(admitted.into_inner(), LIMIT as usize);
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 429);
}

/// TLS cannot be moved: a kept connection gets its next answer all the same, by what was counted before, and
/// ends with it; streams of HTTP/2 are finished.
#[test]
fn connections_under_tls_get_their_next_answer() {
    let gate = Gate::new();
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]).limited(20, "1h");
    let config = tls::config(&upstream, "{}").section("drain", DRAIN);
    let mut gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let get = gateway.get("/api/calls").bearer(&key).bytes();
    let mut kept = tls::shaken(&gateway, "gateway.test", &["http/1.1"]).unwrap();
    let ask = |stream: &mut tls::Shaken| {
        stream.write_all(&get).unwrap();
        let mut seen = Vec::new();
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&seen).ends_with("}") {
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&piece[..read]);
        }
        String::from_utf8_lossy(&seen).to_ascii_lowercase()
    };
    assert!(ask(&mut kept).contains("x-ratelimit-remaining: 19\r\n"));
    let mut streams = Http2::over(tls::shaken(&gateway, "gateway.test", &["h2"]).unwrap());
    upstream.now_replies(Reply::json(CALLS).behind(&gate));
    let under_way = streams.get("/api/calls", &key.text);
    gate.await_reached(1);
    upstream.now_replies(Reply::json(CALLS));

    gateway.exchange();
    let last = ask(&mut kept);
    assert!(last.contains("x-ratelimit-remaining: 17\r\n"), "{last}");
    assert!(last.contains("connection: close\r\n"), "{last}");
    assert_eq!(kept.read(&mut [0; 64]).unwrap_or(0), 0);
    assert_eq!(upstream.last().header("x-forwarded-proto").as_deref(), Some("https"));
    gate.open();
    let answer = streams.answer(under_way);
    assert!(answer.is_ended && answer.body.starts_with(b"{"), "{answer:?}");
    assert!(streams.is_going, "and told to come again elsewhere");
    let mut fresh = tls::shaken(&gateway, "gateway.test", &["http/1.1"]).unwrap();
    assert!(ask(&mut fresh).contains("x-ratelimit-remaining: 16\r\n"));
    assert_eq!(gateway.await_first_end().code(), Some(0));
}

/// A program that cannot start leaves the one that serves as it is; the next try may succeed.
#[test]
fn a_successor_that_fails_changes_nothing() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]).limited(20, "1h");
    let mut gateway = serving(&upstream, &key);
    let mut kept = gateway.connect();
    let get = gateway.get("/api/calls").bearer(&key).bytes();
    assert_eq!(remaining(&kept.exchange(&get)), 19);
    let file = gateway.folder().join("gateway.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    gateway.write_file("gateway.yaml", "version: 2\n");
    gateway.signal("USR2");
    gateway.log.await_json("the failure", |line| {
        line["fields"]["error"].as_str().is_some_and(|error| error.contains("exit status: 78"))
    });
    assert_eq!(remaining(&kept.exchange(&get)), 18);
    assert_eq!(gateway.telemetry("/readyz").status, 200);
    assert_eq!(gateway.admin("GET", "/admin/v1/status").send().status, 200);
    gateway.write_file("gateway.yaml", &good);
    gateway.exchange();
    assert_eq!(remaining(&kept.exchange(&get)), 17);
}

/// One that fails at the last moment, when connections are already on their way to it: each goes on here, and
/// none is told to go.
#[test]
fn a_successor_that_fails_at_the_last_moment_changes_nothing() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]).limited(50, "1h");
    let config = Config::with_upstream(&upstream)
        .section("drain", DRAIN)
        .section("listeners", "\n  - { address: 127.0.0.1:0, h2c: true }");
    let launch = Launch::files(&config.text(), &Directory::of([key.clone()]).text()).replaceable();
    let mut gateway = launch.start();
    let get = gateway.get("/api/calls").bearer(&key).bytes();
    let mut kept: Vec<Connection> = (0..10).map(|_| gateway.connect()).collect();
    for (number, connection) in kept.iter_mut().enumerate() {
        assert_eq!(remaining(&connection.exchange(&get)), 49 - number as u32);
    }
    // Hears the greeting, says that it could serve, hears of counts, and is gone.
    let script = "#!/bin/sh\nread() { dd bs=200000 count=1 of=/dev/null 2>/dev/null; }\n\
        read; printf P >&0; read; sleep 1; exit 3\n";
    let program = gateway.folder().join("colonnade");
    let real = std::fs::read_link(&program).unwrap();
    gateway.write_file("colonnade", script);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executable).unwrap();
    gateway.signal("USR2");
    // Asked while it hears of counts.
    std::thread::sleep(Duration::from_millis(300));
    for connection in &mut kept {
        connection.send(&get);
    }
    gateway.log.await_json("the failure", |line| {
        line["fields"]["error"].as_str().is_some_and(|error| error.contains("exit status: 3"))
    });
    let mut left: Vec<u32> = kept.iter_mut().map(|kept| remaining(&kept.answer())).collect();
    left.sort_unstable();
    assert_eq!(left, (30..40).collect::<Vec<_>>());
    assert_eq!(remaining(&gateway.connect().exchange(&get)), 29);
    assert_eq!(gateway.telemetry("/readyz").status, 200);
    let mut streams = Http2::open(gateway.address());
    for _ in 0..3 {
        let asked = streams.get("/api/calls", &key.text);
        assert!(streams.answer(asked).is_ended);
    }
    assert!(!streams.is_going, "nobody is told to go any more");

    std::fs::remove_file(&program).unwrap();
    std::os::unix::fs::symlink(real, &program).unwrap();
    gateway.exchange();
    assert_eq!(remaining(&kept[0].exchange(&get)), 25);
}

/// A connection goes on at the listener that has its address now, wherever the file names it.
#[test]
fn a_connection_keeps_its_listener() {
    let upstream = Upstream::answering(200, CALLS);
    let key = Key::new("k", &["calls:read"]).with("allowed_ips", json!(["192.0.2.7"]));
    let ports = [free_port(), free_port()];
    let listeners = |order: [usize; 2], proxies: &str| {
        let line = |place: usize| {
            let proxies = if place == 1 { proxies } else { "[]" };
            format!("\n  - {{ address: 127.0.0.1:{}, trusted_proxies: {proxies} }}", ports[place])
        };
        let config = Config::with_upstream(&upstream).section("drain", DRAIN);
        config.section("listeners", &order.map(line).concat())
    };
    let config = listeners([0, 1], "[127.0.0.0/8]");
    let mut gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let forged =
        gateway.get("/api/key").bearer(&key).header("X-Forwarded-For", "192.0.2.7").bytes();
    let mut kept = ports.map(|port| Connection::open(([127, 0, 0, 1], port).into()));
    assert_eq!(kept.each_mut().map(|kept| kept.exchange(&forged).status), [403, 200]);
    gateway.write_file("gateway.yaml", &listeners([1, 0], "[127.0.0.0/8]").text());
    gateway.exchange();
    assert_eq!(kept.each_mut().map(|kept| kept.exchange(&forged).status), [403, 200]);
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A client of HTTP/2 that does not go is refused after a while: its key is counted elsewhere.
#[test]
fn a_stream_that_comes_late_is_refused() {
    let gate = Gate::new();
    let upstream = Upstream::replying(Reply::json(CALLS).behind(&gate));
    let key = Key::new("k", &["calls:read"]);
    let config = Config::with_upstream(&upstream)
        .section("drain", DRAIN)
        .section("listeners", "\n  - { address: 127.0.0.1:0, h2c: true }");
    let mut gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    let mut streams = Http2::open(gateway.address());
    let under_way = streams.get("/api/calls", &key.text);
    gate.await_reached(1);
    gateway.exchange();
    std::thread::sleep(Duration::from_millis(1_200));
    // Nothing was read since, so the client has not answered that it heard.
    let late = streams.get("/api/calls", &key.text);
    assert!(streams.answer(late).is_reset);
    gate.open();
    assert!(streams.answer(under_way).is_ended, "what was begun is finished");
}

/// Two in a row, with an answer under way in the first: its connection goes through the second to the third.
#[test]
fn a_connection_outlives_two_exchanges() {
    let gate = Gate::new();
    let upstream = Upstream::replying(Reply::json(CALLS).behind(&gate));
    let key = Key::new("k", &["calls:read"]).limited(20, "1h");
    let mut gateway = serving(&upstream, &key);
    let get = gateway.get("/api/calls").bearer(&key).bytes();
    let mut slow = gateway.connect();
    slow.send(&get);
    gate.await_reached(1);
    // The next request is there before the answer.
    slow.send(&get);
    upstream.now_replies(Reply::json(CALLS));
    gateway.exchange();
    gateway.exchange();
    // Who is followed is not cut short by a signal that its group got.
    let first = gateway.first_pid();
    assert!(Command::new("kill").arg(first.to_string()).status().unwrap().success());
    gate.open();
    assert_eq!(remaining(&slow.answer()), 19);
    assert_eq!(remaining(&slow.answer()), 18);
    assert_eq!(remaining(&slow.exchange(&get)), 17);
    assert_eq!(gateway.await_first_end().code(), Some(0));
}

/// SIGTERM while the next one loads stops both.
#[test]
fn a_stop_ends_a_successor_that_loads() {
    let upstream = Upstream::answering(200, CALLS);
    let mut gateway = serving(&upstream, &Key::new("k", &["calls:read"]));
    let address = gateway.address();
    gateway.signal("USR2");
    gateway.signal("TERM");
    gateway.await_first_end();
    waiting::until("nobody to listen", || {
        std::net::TcpStream::connect(address).is_err().then_some(())
    });
}

/// A revocation that was acknowledged before holds after, and usage is not lost on the way.
#[test]
fn what_was_acknowledged_and_counted_goes_on() {
    let upstream = Upstream::answering(200, CALLS);
    let mut stored = Stored::start(&upstream);
    let (key, dead) = (stored.create_reader("kept"), stored.create_reader("revoked"));
    let mut asked = 0;
    for _ in 0..3 {
        (0..7).for_each(|_| assert_eq!(stored.status(&key), 200));
        asked += 7;
        let dying = stored.create_reader("dying");
        assert_eq!(stored.status(&dying), 200);
        let revoke = format!("/keys/{}/revoke", dying.id);
        let admin = stored.gateway.admin_address();
        stored.gateway.exchange_during(|| {
            let token = format!("Bearer {ADMIN_TOKEN}");
            let revoke = Request::new(admin, "POST", &format!("/admin/v1{revoke}"));
            assert_eq!(revoke.header("Authorization", &token).send().status, 200);
        });
        for _ in 0..20 {
            assert_eq!(stored.status(&dying), 401, "whoever is asked");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    stored.good("POST", &format!("/keys/{}/revoke", dead.id), &json!({}));
    stored.gateway.exchange();
    assert_eq!(stored.status(&dead), 401);
    waiting::until("all usage", || {
        let usage = stored.read(&format!("/keys/{}/usage", key.id));
        let total = usage["total"].as_u64().unwrap();
        assert!(total <= asked, "{total} of {asked}");
        (total == asked).then_some(())
    });
}

/// Only who is told to takes over, and says so plainly where nobody is to be followed.
#[test]
fn a_handover_without_a_process_before_is_refused() {
    let launch = Launch::files("version: 1\n", "version: 1\n").variable("COLONNADE_HANDOVER", "1");
    let (code, text) = launch.refused();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("COLONNADE_HANDOVER is set, but standard input is not"), "{text}");
}
