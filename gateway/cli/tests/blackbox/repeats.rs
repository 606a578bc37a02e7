//! How often one request reaches an upstream whose connections die (E13).

use crate::support::answer::refusal;
use crate::support::{self, Config, Directory, Gate, Gateway, Key, Reply, Upstream};

pub(crate) const CONTACT: &str = r#"{"data":{"id":"contact_1","name":"Ann"}}"#;
const TARGET: &str = "/api/contacts/contact_1";
/// Connections that wait in the pool when the upstream begins to fail.
pub(crate) const KEPT: usize = 4;

/// Where a request arrives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    Kept,
    New,
}

fn config(upstream: &Upstream, members: &str) -> Config {
    Config::with_upstream(upstream).upstream_with("leads", upstream.address(), members)
}

pub(crate) struct Rig {
    pub(crate) upstream: Upstream,
    pub(crate) gateway: Gateway,
    key: Key,
}

impl Rig {
    pub(crate) fn with(members: &str) -> Rig {
        let upstream = Upstream::answering(200, CONTACT);
        let key = Key::new("k", &["contacts:read", "contacts:write"]);
        let config = config(&upstream, members);
        let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
        Rig { upstream, gateway, key }
    }

    /// Another generation, whose upstream has other `members`.
    pub(crate) fn reload(&mut self, members: &str) {
        let config = config(&self.upstream, members);
        self.gateway.reload(&config, &Directory::of([self.key.clone()]));
    }

    /// Several answers at once, so that as many connections wait for the next request; those that
    /// they came on.
    pub(crate) fn fill_pool(&self) -> Vec<usize> {
        self.upstream.forget();
        let gate = Gate::new();
        self.upstream.now_replies(Reply::json(CONTACT).behind(&gate));
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..KEPT).map(|_| scope.spawn(|| self.ask("GET").0)).collect();
            gate.await_reached(KEPT);
            gate.open();
            for asked in asking {
                assert_eq!(asked.join().unwrap().0, 200);
            }
        });
        let used = self.upstream.requests().iter().map(|seen| seen.connection).collect();
        self.upstream.forget();
        used
    }

    /// What [`Rig::ask`] says of a request when connections are kept. The upstream answers as `reply_on`
    /// says for either kind of connection.
    fn ask_on_kept(
        &self,
        method: &str,
        reply_on: impl Fn(Connection) -> Reply + Send + Sync + 'static,
    ) -> ((u16, String), Vec<usize>) {
        self.fill_pool();
        let kept = self.upstream.accepted();
        self.upstream.now_plays(move |seen| {
            reply_on(if seen.connection < kept { Connection::Kept } else { Connection::New })
        });
        let asked = self.ask(method);
        assert!(asked.1[0] < kept, "{method}: {:?} of {kept}", asked.1);
        asked
    }

    /// What the client was told, and on which connections the request arrived.
    pub(crate) fn ask(&self, method: &str) -> ((u16, String), Vec<usize>) {
        self.ask_on(&mut self.gateway.connect(), method)
    }

    pub(crate) fn ask_on(
        &self,
        client: &mut support::Connection,
        method: &str,
    ) -> ((u16, String), Vec<usize>) {
        let request = self.gateway.request(method, TARGET).bearer(&self.key);
        let request = if method == "GET" { request } else { request.body("{}") };
        let answer = request.send_on(client);
        let connections = self.upstream.requests().iter().map(|seen| seen.connection).collect();
        (answer.verdict(), connections)
    }
}

/// A kept connection that dies without a word is excused once, for a method that may be repeated; the
/// repeat takes a new connection, and its failure is the answer.
#[test]
fn a_request_reaches_a_dying_upstream_twice_at_most() {
    let rig = Rig::with("");
    for (method, times) in [("GET", 2), ("PUT", 2), ("DELETE", 2), ("PATCH", 1)] {
        let (verdict, connections) = rig.ask_on_kept(method, |_| Reply::nothing());
        assert_eq!(verdict, refusal(502, "upstream_unavailable"), "{method}");
        assert_eq!(connections.len(), times, "{method}: {connections:?}");
        if let [first, second] = connections[..] {
            assert_ne!(first, second, "{method}");
        }
    }
}

/// The client of a repeated request sees nothing of it.
#[test]
fn a_connection_that_dies_under_a_request_costs_it_nothing() {
    let rig = Rig::with("");
    for method in ["GET", "PUT", "DELETE"] {
        let (verdict, connections) = rig.ask_on_kept(method, |on| match on {
            Connection::Kept => Reply::nothing(),
            Connection::New => Reply::json(CONTACT),
        });
        assert_eq!((verdict.0, connections.len()), (200, 2), "{method}: {connections:?}");
    }
}

/// One byte of an answer, an interim one included, says that the request was taken up: it is not
/// sent again.
#[test]
fn a_request_that_was_begun_to_be_answered_is_not_repeated() {
    let rig = Rig::with("");
    for (what, bytes) in [
        ("one byte", "H"),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-Type: appl"),
        ("an interim head", "HTTP/1.1 103 Early Hints\r\n\r\n"),
        (
            "half a body",
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{",
        ),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let (verdict, connections) =
                rig.ask_on_kept(method, move |_| Reply::raw(bytes).then_close());
            assert_eq!((verdict.0, connections.len()), (502, 1), "{method}, {what}");
        }
    }
}

/// Answers whose end cannot be trusted (C7): an empty last size, and two framings.
fn misframed(status: &str) -> [String; 2] {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    );
    let chunk = format!("{:x}\r\n{CONTACT}\r\n", CONTACT.len());
    [
        format!("{head}\r\n{chunk}\r\n\r\n"),
        format!("{head}Content-Length: {}\r\n\r\n{chunk}0\r\n\r\n", CONTACT.len()),
    ]
}

/// A wrong framing is an answer, not a death: nothing is sent again, and its connection is not kept,
/// whether the answer is refused or, being an error, told in other words.
#[test]
fn a_misframed_answer_is_neither_asked_for_again_nor_followed_by_another() {
    for (status, code) in
        [("200 OK", "response_not_filterable"), ("502 Bad Gateway", "upstream_error")]
    {
        for bytes in misframed(status) {
            let rig = Rig::with("");
            let answer = bytes.clone();
            let (verdict, connections) =
                rig.ask_on_kept("GET", move |_| Reply::raw(answer.clone()));
            assert_eq!((verdict, connections.len()), (refusal(502, code), 1), "{bytes}");
            let next = rig.fill_pool();
            assert!(!next.contains(&connections[0]), "{next:?} behind {bytes}");
        }
    }
}

/// The connection of a repeat is watched like any other.
#[test]
fn a_misframed_answer_to_the_repeat_is_refused() {
    let rig = Rig::with("");
    for bytes in misframed("200 OK") {
        let answer = bytes.clone();
        let (verdict, connections) = rig.ask_on_kept("GET", move |on| match on {
            Connection::Kept => Reply::nothing(),
            Connection::New => Reply::raw(answer.clone()),
        });
        assert_eq!(verdict, refusal(502, "response_not_filterable"), "{bytes}");
        assert_eq!(connections.len(), 2, "{bytes}: {connections:?}");
    }
}

/// `retries` can be switched off. An upstream that keeps dropping its connections uses up its
/// budget, and then each request has a connection of its own: none is lost, and none goes up twice.
#[test]
fn repeats_are_kept_to_what_is_configured() {
    for members in ["retries: { max: 0 }", "retries: { budget_percent: 0 }"] {
        let rig = Rig::with(members);
        assert_eq!(rig.ask_on_kept("GET", |_| Reply::nothing()).1.len(), 1, "{members}");
    }
    let rig = Rig::with("retries: { budget_percent: 1 }");
    // What is saved up at first.
    for round in 0..10 {
        assert_eq!(rig.ask_on_kept("GET", |_| Reply::nothing()).1.len(), 2, "{round}");
    }
    rig.fill_pool();
    let kept = rig.upstream.accepted();
    rig.upstream.now_plays(move |seen| {
        if seen.connection < kept { Reply::nothing() } else { Reply::json(CONTACT).then_close() }
    });
    for round in 0..10 {
        rig.upstream.forget();
        let (verdict, connections) = rig.ask("GET");
        assert_eq!((verdict.0, connections.len()), (200, 1), "{round}: {connections:?}");
        assert!(connections[0] >= kept, "{round}: {connections:?}");
    }
}
