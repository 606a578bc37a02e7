#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Condvar;
use std::time::Instant;

fn record() -> AccessRecord<'static> {
    AccessRecord {
        at_ms: 1_793_234_096_007,
        request_id: "req-1",
        method: "GET",
        path: b"/api/calls/7",
        route: Some("/api/calls/{id}"),
        status: Some(200),
        code: Some("not_found"),
        key_id: Some("key_crm"),
        account: Some("acme"),
        team: Some("101"),
        upstream: Some("calls"),
        duration: Duration::from_micros(12_034),
        upstream_duration: Some(Duration::from_micros(11_000)),
        overhead: Some(Duration::from_nanos(1_034_900)),
        bytes_in: 0,
        bytes_out: u64::MAX,
        columns_hidden: Some(8),
        rows_hidden: Some(0),
        revision: Some(3),
        client_ip: Some("2001:db8::1".parse().unwrap()),
        user_agent: Some(b"curl/8.5.0"),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
    }
}

fn line(record: &AccessRecord<'_>) -> String {
    let mut line = Vec::new();
    record.write_line(&mut line);
    String::from_utf8(line).unwrap()
}

fn parsed(record: &AccessRecord<'_>) -> Value {
    serde_json::from_str(&line(record)).unwrap()
}

#[test]
fn every_field_of_the_contract_is_there_in_its_order() {
    let expected = json!({
        "time": "2026-10-29T00:34:56.007Z", "request_id": "req-1", "method": "GET", "path": "/api/calls/7",
        "route": "/api/calls/{id}", "status": 200, "code": "not_found", "key_id": "key_crm", "account": "acme",
        "team": "101", "upstream": "calls", "duration_ms": 12.034, "upstream_ms": 11.0, "overhead_ms": 1.034,
        "bytes_in": 0, "bytes_out": u64::MAX, "columns_hidden": 8, "rows_hidden": 0, "revision": 3,
        "client_ip": "2001:db8::1", "user_agent": "curl/8.5.0", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    });
    let value = parsed(&record());
    assert_eq!(value, expected);
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&value), names(&expected));
}

#[test]
fn what_is_absent_is_null_and_still_there() {
    let value = parsed(&AccessRecord::default());
    for (name, expected) in [
        ("time", json!("1970-01-01T00:00:00.000Z")),
        ("request_id", json!("")),
        ("status", Value::Null),
        ("code", Value::Null),
        ("team", Value::Null),
        ("duration_ms", json!(0.0)),
        ("upstream_ms", Value::Null),
        ("columns_hidden", Value::Null),
        ("client_ip", Value::Null),
        ("user_agent", Value::Null),
    ] {
        assert_eq!(value.get(name), Some(&expected), "{name}");
    }
    assert_eq!(value.as_object().unwrap().len(), 22);
    let beyond = AccessRecord { at_ms: u64::MAX, ..AccessRecord::default() };
    assert_eq!(parsed(&beyond)["time"], Value::Null);
}

#[test]
fn a_query_string_is_never_in_the_log() {
    for (path, logged) in [
        (&b"/a?key=secret"[..], "/a"),
        (b"/a", "/a"),
        (b"/a#x?y", "/a"),
        (b"?x", ""),
        (b"/a%3Fb?c", "/a%3Fb"),
    ] {
        assert_eq!(parsed(&AccessRecord { path, ..record() })["path"], logged);
    }
}

/// A stranger's text stays one string on one line, for a terminal and a lenient reader too.
#[test]
fn no_text_forges_a_line_or_steers_a_terminal() {
    for text in [
        "a\nb",
        "a\r\n{\"time\":1}",
        "\"}\n{\"status\":200,\"x\":\"",
        "\\\"",
        "\u{1b}[31mred",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{9b}31m",
        "a\u{2028}b\u{2029}c",
        "\u{b}\u{c}\u{1c}",
        "\u{feff}",
        "\u{1f600} \u{e9}",
    ] {
        let hostile = AccessRecord {
            path: text.as_bytes(),
            user_agent: Some(text.as_bytes()),
            request_id: text,
            method: text,
            route: Some(text),
            code: Some(text),
            key_id: Some(text),
            account: Some(text),
            team: Some(text),
            upstream: Some(text),
            trace_id: Some(text),
            ..record()
        };
        let line = line(&hostile);
        let body = line.strip_suffix('\n').unwrap();
        let breaks =
            |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
        assert!(!body.contains(breaks), "{body:?}");
        let value: Value = serde_json::from_str(body).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 22, "{text:?}");
        for name in [
            "user_agent",
            "request_id",
            "method",
            "route",
            "code",
            "key_id",
            "account",
            "team",
            "upstream",
            "trace_id",
        ] {
            assert_eq!(value[name], text, "{name}");
        }
    }
}

#[test]
fn long_values_are_cut_between_letters_and_the_line_stays_in_its_bound() {
    for (unit, each, written) in
        [("a", 1, 1), ("\u{1f600}", 4, 4), ("\n", 1, 6), ("\"", 1, 2), ("\u{e9}", 2, 2)]
    {
        let long = unit.repeat(9000);
        let value = parsed(&AccessRecord {
            path: long.as_bytes(),
            user_agent: Some(long.as_bytes()),
            account: Some(&long),
            ..record()
        });
        for (name, bytes_max) in [
            ("path", PATH_BYTES_MAX),
            ("user_agent", USER_AGENT_BYTES_MAX),
            ("account", NAME_BYTES_MAX),
        ] {
            let kept = value[name].as_str().unwrap();
            assert_eq!(kept.len(), bytes_max / written * each, "{name} of {unit:?}");
            assert!(long.starts_with(kept));
        }
    }
    let long = "\u{1}".repeat(9000);
    let text = Some(long.as_str());
    let longest = AccessRecord {
        at_ms: 253_402_207_199_999,
        request_id: &long,
        method: &long,
        path: long.as_bytes(),
        route: text,
        status: Some(u16::MAX),
        code: text,
        key_id: text,
        account: text,
        team: text,
        upstream: text,
        duration: Duration::MAX,
        upstream_duration: Some(Duration::MAX),
        overhead: Some(Duration::MAX),
        bytes_in: u64::MAX,
        bytes_out: u64::MAX,
        columns_hidden: Some(u64::MAX),
        rows_hidden: Some(u64::MAX),
        revision: Some(u64::MAX),
        client_ip: Some("1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap()),
        user_agent: Some(long.as_bytes()),
        trace_id: text,
    };
    let length = line(&longest).len();
    assert!((3500..=LINE_BYTES_MAX).contains(&length), "{length}");
    assert_eq!(parsed(&longest)["time"], "9999-12-30T21:59:59.999Z");
}

proptest! {
    /// Whatever a client sends, its line parses, and says what was sent as far as it goes.
    #[test]
    fn any_bytes_make_one_sound_line(path in prop::collection::vec(any::<u8>(), 0..1500), agent in prop::collection::vec(any::<u8>(), 0..400), account in any::<String>()) {
        let record = AccessRecord { path: &path, user_agent: Some(&agent), account: Some(&account), ..record() };
        let line = line(&record);
        prop_assert!(line.len() <= LINE_BYTES_MAX && line.find('\n') == Some(line.len() - 1));
        let value: Value = serde_json::from_str(&line).unwrap();
        let sent_path = path.split(|byte| b"?#".contains(byte)).next().unwrap();
        for (name, sent) in [("path", sent_path), ("user_agent", &agent), ("account", account.as_bytes())] {
            let sent = String::from_utf8_lossy(sent);
            let logged = value[name].as_str().unwrap();
            prop_assert!(sent.starts_with(logged), "{}: {:?}", name, logged);
            prop_assert!(sent.len() * 6 > NAME_BYTES_MAX || sent == logged, "{}: cut early", name);
        }
    }
}

/// A sink whose writes wait until the gate is open, or do what the script says.
#[derive(Clone, Default)]
struct Sink {
    written: Arc<std::sync::Mutex<Vec<u8>>>,
    gate: Arc<(std::sync::Mutex<bool>, Condvar)>,
    script: Arc<std::sync::Mutex<Vec<io::Result<usize>>>>,
}

impl Sink {
    fn opened() -> Sink {
        let sink = Sink::default();
        sink.open();
        sink
    }

    fn open(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }

    fn ids(&self) -> Vec<String> {
        let text = String::from_utf8(self.written.lock().unwrap().clone()).unwrap();
        let id = |line| {
            Some(serde_json::from_str::<Value>(line).ok()?["request_id"].as_str()?.to_string())
        };
        text.lines().map(|line| id(line).unwrap_or(format!("torn {}", line.len()))).collect()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let open = self.gate.1.wait_while(self.gate.0.lock().unwrap(), |open| !*open).unwrap();
        drop(open);
        let mut script = self.script.lock().unwrap();
        let count =
            if script.is_empty() { bytes.len() } else { script.remove(0)?.min(bytes.len()) };
        self.written.lock().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log_to(sink: &Sink) -> AccessLog {
    AccessLog::start(Box::new(sink.clone()), None).unwrap()
}

fn write_id(log: &AccessLog, id: &str) {
    log.write(&AccessRecord { request_id: id, ..record() });
}

/// Waits for something the writer's thread does, ten seconds at most.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let give_up_at = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < give_up_at, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_line_is_out_before_the_log_is_closed() {
    let sink = Sink::opened();
    let log = log_to(&sink);
    write_id(&log, "a");
    eventually("idle lines are written", || sink.ids() == ["a"]);
    write_id(&log, "b");
    eventually("and those after a pause", || sink.ids() == ["a", "b"]);
    assert_eq!(log.dropped(), 0);
}

#[test]
fn a_stalled_writer_costs_lines_and_holds_nobody_up() {
    let sink = Sink::default();
    let log = log_to(&sink);
    let total = QUEUE_LINES_MAX + 3000;
    for _ in 0..total {
        write_id(&log, "a");
    }
    let dropped = log.dropped() as usize;
    // What the writer had taken when it stalled is one batch at most.
    let in_batch = BATCH_BYTES / line(&AccessRecord { request_id: "a", ..record() }).len() + 2;
    assert!((3000 - in_batch..=3000).contains(&dropped), "{dropped}");
    sink.open();
    assert!(log.close());
    assert_eq!(sink.ids().len() + dropped, total);
    assert_eq!(log.dropped() as usize, dropped, "the queue was written out");
    write_id(&log, "late");
    assert_eq!(log.dropped() as usize, dropped + 1, "after the end it counts as lost");
}

#[test]
fn closing_does_not_wait_for_a_stalled_writer_for_ever() {
    let sink = Sink::default();
    let log = log_to(&sink);
    write_id(&log, "a");
    let began = Instant::now();
    assert!(!log.close());
    assert!(!log.close(), "and not twice");
    drop(log);
    assert!(began.elapsed() < CLOSE_WAIT * 2);
    sink.open();
    eventually("the line was not lost", || sink.ids() == ["a"]);
}

#[test]
fn lines_of_many_threads_come_out_whole_and_all() {
    let sink = Sink::opened();
    let log = log_to(&sink);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = &log;
            scope.spawn(move || (0..500).for_each(|n| write_id(log, &format!("{thread}-{n}"))));
        }
    });
    drop(log);
    let mut ids = sink.ids();
    ids.sort();
    let mut expected: Vec<_> =
        (0..8).flat_map(|thread| (0..500).map(move |n| format!("{thread}-{n}"))).collect();
    expected.sort();
    assert_eq!(ids, expected);
}

#[test]
fn a_failed_write_loses_its_lines_and_the_log_comes_back() {
    let sink = Sink::opened();
    *sink.script.lock().unwrap() = vec![
        Err(ErrorKind::Interrupted.into()),
        Err(ErrorKind::WouldBlock.into()),
        Ok(10),
        Err(ErrorKind::StorageFull.into()),
    ];
    let log = log_to(&sink);
    write_id(&log, "torn");
    eventually("the failure is counted", || log.dropped() == 1);
    write_id(&log, "during");
    eventually("no line goes out while it waits", || log.dropped() == 2);
    std::thread::sleep(RETRY_AFTER);
    write_id(&log, "after");
    assert!(log.close());
    assert_eq!(sink.ids(), ["torn 10", "after"], "the torn line swallows no other");
    assert_eq!(log.dropped(), 2);
}

#[test]
fn a_full_disk_and_a_closed_pipe_are_survived() {
    let (reader, pipe) = io::pipe().unwrap();
    drop(reader);
    for log in [
        AccessLog::file(Path::new("/dev/full")).unwrap(),
        AccessLog::start(Box::new(pipe), None).unwrap(),
    ] {
        write_id(&log, "a");
        write_id(&log, "b");
        eventually("both are counted", || log.dropped() == 2);
        assert!(log.close());
    }
}

#[test]
fn a_file_is_appended_to_and_opened_anew_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let ids = |path: &Path| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let id = |line| {
            serde_json::from_str::<Value>(line).unwrap()["request_id"].as_str().unwrap().to_string()
        };
        text.lines().map(id).collect()
    };
    for id in ["first", "second"] {
        let log = AccessLog::file(&path).unwrap();
        write_id(&log, id);
        assert!(log.close());
    }
    assert_eq!(ids(&path), ["first", "second"]);

    let log = AccessLog::file(&path).unwrap();
    std::fs::rename(&path, &moved).unwrap();
    write_id(&log, "third");
    eventually("the moved file is written on", || ids(&moved).len() == 3);
    log.reopen();
    write_id(&log, "fourth");
    drop(log);
    assert_eq!(ids(&path), ["fourth"]);
    assert!(AccessLog::file(folder.path()).is_err(), "a folder is no log file");
}

#[test]
fn a_log_that_is_off_counts_and_keeps_nothing() {
    let log = AccessLog::off();
    write_id(&log, "a");
    log.reopen();
    assert!(log.close());
    assert_eq!(log.dropped(), 0);
}
