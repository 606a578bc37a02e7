//! What the tests of the answers' way stand on: one gateway in front of one upstream that writes
//! hostile bytes, and a look for what must never get out.
//!
//! Every value that the client may not see holds [`CANARY`]. A [`Rig`] looks for it in each answer's
//! bytes, and when it goes, in everything that the gateway said and measured.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::support::answer::{Ending, refusal};
use crate::support::gateway::Launch;
use crate::support::waiting::DEADLINE;
use crate::support::{Answer, Config, Connection, Directory, Gateway, Key, Reply, Upstream};

/// In every hidden value; shorter than any piece that could get out by accident.
pub(crate) const CANARY: &str = "c4n4ry";

/// A list with one hidden column in each of its places.
pub(crate) const LIST: &str = r#"{"trace":"c4n4ry","data":[{"call_id":"one","phone_number":"c4n4ry"},{"email":"c4n4ry","call_id":"two"}],"pagination":{"has_more":false}}"#;

/// What is shown of [`LIST`].
pub(crate) const LIST_SHOWN: &str =
    r#"{"data":[{"call_id":"one"},{"call_id":"two"}],"pagination":{"has_more":false}}"#;

/// One shape a route, the same columns on most of them.
pub(crate) const RESOURCES: &str = r#"
  calls:
    beside: [pagination, meta.team_id]
    columns:
      call_id: { always: true }
      note: {}
      n: {}
      tags: {}
      customer.name: {}
      blob: { whole: true }
      email: { shown: false }
      assistant_id: { assistant: true }
  bare: { columns: { call_id: { always: true }, note: {}, email: { shown: false } } }
  plain: { columns: all }
  named: { columns: all, assistants: [agent.id] }"#;

pub(crate) const ROUTES: &str = r#"
  - { match: GET /list, upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }
  - { match: GET /one, upstream: calls, scope: calls:read, resource: calls, rows: data }
  - { match: GET /bare, upstream: calls, scope: calls:read, resource: bare, rows: "[]" }
  - { match: GET /row, upstream: calls, scope: calls:read, resource: bare, rows: $ }
  - { match: GET /deep, upstream: calls, scope: calls:read, resource: calls, rows: "result.items[]" }
  - { match: GET /back, upstream: calls, scope: calls:read, resource: calls, rows: "data[]", return_headers: [x-next-cursor, x-served-by] }
  - { match: GET /errors, upstream: calls, scope: calls:read, resource: calls, rows: "data[]", errors: pass }
  - { match: "GET|POST /plain", upstream: calls, scope: calls, resource: plain, rows: "data[]" }
  - { match: GET /named, upstream: calls, scope: calls:read, resource: named, rows: "data[]" }"#;

/// The configuration of these tests.
pub(crate) fn config(upstream: &Upstream) -> Config {
    Config::new()
        .upstream("calls", upstream.address())
        .section("teams", "")
        .section("scopes", "\n  calls:read: Call records\n  calls:write: Changes of call records")
        .section("resources", RESOURCES)
        .section("routes", ROUTES)
}

pub(crate) fn key() -> Key {
    Key::new("reader", &["calls:read", "calls:write"])
}

/// The names that every directory here has.
pub(crate) fn directory() -> Directory {
    Directory::of([key()])
        .acme("teams", serde_json::Value::Null)
        .acme("assistants", serde_json::json!({ "names": { "asst_1": "Front desk" } }))
}

/// A gateway and its upstream. When it goes, nothing that the gateway said may hold [`CANARY`].
pub(crate) struct Rig {
    pub(crate) upstream: Upstream,
    pub(crate) key: Key,
    gateway: Option<Gateway>,
    /// The client connection that is kept from answer to answer.
    kept: RefCell<Option<Connection>>,
}

impl Rig {
    pub(crate) fn new() -> Rig {
        Rig::with(|config| config)
    }

    /// With changes to [`config`].
    pub(crate) fn with(change: impl FnOnce(Config) -> Config) -> Rig {
        let upstream = Upstream::replying(Reply::json(LIST));
        let config = change(config(&upstream));
        Rig::on(upstream, &config)
    }

    /// The log is as loud as it gets: what peers sent must not be in it at any level.
    pub(crate) fn on(upstream: Upstream, config: &Config) -> Rig {
        let launch =
            Launch::files(&config.text(), &directory().text()).variable("COLONNADE_LOG", "trace");
        let mut gateway = launch.start();
        gateway.keep_secret(&directory());
        Rig { upstream, key: key(), gateway: Some(gateway), kept: RefCell::new(None) }
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    /// GET on the kept connection, which is opened anew only if it has gone.
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.ask("GET", target)
    }

    pub(crate) fn ask(&self, method: &str, target: &str) -> Answer {
        let mut connection =
            self.kept.borrow_mut().take().unwrap_or_else(|| self.gateway().connect());
        let answer =
            self.gateway().request(method, target).bearer(&self.key).send_on(&mut connection);
        let goes_on =
            matches!(answer.ending, Ending::Whole) && answer.header("connection") != Some("close");
        if goes_on {
            *self.kept.borrow_mut() = Some(connection);
        }
        assert_clean(target, &answer);
        answer
    }

    /// The same, of an upstream that writes `reply` from now on.
    pub(crate) fn of(&self, target: &str, reply: Reply) -> Answer {
        self.upstream.now_replies(reply);
        self.get(target)
    }

    /// Whether the connection of the last answer is still there.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.borrow().is_some()
    }

    /// The good request after a hostile one, on the same client connection if that was kept.
    pub(crate) fn still_good(&self, what: &str) {
        let answer = self.of("/list", Reply::json(LIST));
        assert_eq!((answer.status, answer.text().as_str()), (200, LIST_SHOWN), "after {what}");
    }

    /// A refusal in the gateway's own words on a connection that goes on, and the next request works.
    pub(crate) fn refuses(&self, what: &str, target: &str, reply: Reply) {
        let answer = self.of(target, reply);
        assert_refused(what, &answer);
        assert!(self.is_kept(), "{what}: the client's connection goes on");
        self.still_good(what);
    }

    /// A 200 with exactly this body and its length.
    pub(crate) fn shows(&self, what: &str, target: &str, reply: Reply, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let answer = self.of(target, reply);
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let told = String::from_utf8_lossy(expected);
        assert_eq!(answer.text(), told, "{what}");
        assert_eq!(answer.body, expected, "{what}");
        assert_eq!(
            answer.header("content-length"),
            Some(expected.len().to_string().as_str()),
            "{what}"
        );
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.upstream.now_replies(Reply::json(LIST));
        let gateway = self.gateway.take().unwrap();
        let last = gateway.get("/list").header("X-Request-Id", "the-last").bearer(&self.key).send();
        assert_eq!(last.status, 200, "the process still serves: {}", last.text());
        gateway.access_line("the-last");
        let metrics = gateway.telemetry("/metrics").text();
        assert!(!metrics.contains(CANARY), "in the metrics: {metrics}");
        let (access, log) = (gateway.access.clone(), gateway.log.clone());
        drop(gateway);
        for line in access.all().iter().chain(&log.all()) {
            assert!(!line.contains(CANARY), "in a log: {line}");
        }
    }
}

/// Not one hidden byte, in head or body or framing.
pub(crate) fn assert_clean(what: &str, answer: &Answer) {
    let wire = String::from_utf8_lossy(&answer.wire);
    assert!(!wire.contains(CANARY), "{what}: {wire}");
    assert!(answer.early.is_empty(), "{what}: an interim answer of the upstream");
}

/// A clean 502 in the gateway's own words, whole and framed.
pub(crate) fn assert_refused(what: &str, answer: &Answer) {
    assert_eq!(
        answer.verdict(),
        refusal(502, "response_not_filterable"),
        "{what}: {}",
        answer.text()
    );
    assert_own_words(what, answer);
}

/// What every answer of the gateway's own has from the limit on.
pub(crate) fn assert_own_words(what: &str, answer: &Answer) {
    assert_eq!(answer.ending, Ending::Whole, "{what}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    assert_eq!(answer.number("content-length"), answer.body.len() as u64, "{what}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{what}");
    for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
        assert!(answer.header(name).is_some(), "{what}: no {name}");
    }
    assert_clean(what, answer);
}

/// An answer that a client's library must see as broken off.
pub(crate) fn assert_cut(what: &str, answer: &Answer) {
    assert_eq!(
        (answer.status, answer.ending),
        (200, Ending::Cut),
        "{what}: {} bytes",
        answer.body.len()
    );
    assert_clean(what, answer);
}

/// The head of a 200 with JSON and these further header lines.
pub(crate) fn json_head(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{lines}\r\n")
}

/// A body in chunks, without the last one.
pub(crate) fn chunks<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        bytes.extend(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// A client that looks at an answer while it comes.
pub(crate) struct Watching {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Watching {
    /// Sends a GET on a connection of its own.
    pub(crate) fn get(rig: &Rig, target: &str) -> Watching {
        let mut stream = TcpStream::connect_timeout(&rig.gateway().address(), DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(&rig.gateway().get(target).bearer(&rig.key).bytes()).unwrap();
        Watching { stream, seen: Vec::new() }
    }

    /// Waits until that many bytes have come, head included.
    pub(crate) fn await_bytes(&mut self, bytes: usize) {
        while self.seen.len() < bytes {
            assert!(self.more(), "it ends after {} bytes", self.seen.len());
        }
    }

    /// Everything until the connection ends; the answer must be in chunks and nothing may follow it.
    pub(crate) fn rest(mut self) -> Answer {
        while self.more() {}
        let end = self.seen.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let mut answer = Answer::of_head(&self.seen[..end]);
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        answer.ending = Ending::Cut;
        let mut rest = &self.seen[end..];
        while let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
            let size = usize::from_str_radix(&String::from_utf8_lossy(&rest[..at]), 16)
                .expect("a chunk's size");
            rest = &rest[at + 2..];
            answer.body.extend(&rest[..size.min(rest.len())]);
            if size == 0 {
                assert_eq!(rest, b"\r\n", "nothing follows");
                answer.ending = Ending::Whole;
                break;
            }
            let Some(behind) = rest.get(size + 2..) else { break };
            rest = behind;
        }
        answer.wire = self.seen;
        answer
    }

    fn more(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece) {
            Ok(bytes @ 1..) => self.seen.extend(&piece[..bytes]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("no byte for {DEADLINE:?} behind {} bytes", self.seen.len())
            }
            _ => return false,
        }
        true
    }
}
