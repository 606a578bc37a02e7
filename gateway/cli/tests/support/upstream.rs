//! A scripted upstream: records requests byte for byte and answers with the bytes it is given.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::reply::{Reply, Step, Then};
use super::waiting::{self, DEADLINE};

/// States of a connection in `/proc/net/tcp` (`include/net/tcp_states.h` of Linux).
const ESTABLISHED: &str = "01";
const CLOSE_WAIT: &str = "08";

/// A request as it reached the upstream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Which connection brought it; two requests on one connection have the same.
    pub(crate) connection: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    /// From the request line to the empty line.
    pub(crate) head: String,
    /// Without its framing.
    pub(crate) body: Vec<u8>,
    /// Every byte of it, framing included.
    pub(crate) wire: Vec<u8>,
}

impl Seen {
    /// The values of a header, joined; `None` when there is none.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join("|"))
    }

    /// Names in lower case, sorted.
    pub(crate) fn header_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    }
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

struct State {
    script: Mutex<Arc<Script>>,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<Vec<TcpStream>>,
    accepted: AtomicUsize,
    /// New connections hold a second write back until the first is acknowledged.
    nagles: AtomicBool,
    stop: AtomicBool,
}

/// A listening upstream; it goes with the value.
pub(crate) struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Answers every request the same.
    pub(crate) fn answering(status: u16, body: &str) -> Upstream {
        Upstream::replying(Reply::status(status, body))
    }

    pub(crate) fn replying(reply: Reply) -> Upstream {
        Upstream::scripted(move |_| reply.clone())
    }

    pub(crate) fn scripted(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Upstream {
        Upstream::listen((Ipv4Addr::LOCALHOST, 0).into(), script, true, serve)
    }

    /// On an address of its own of the loopback network, so that nobody takes the port while nobody listens
    /// there, and [`Upstream::replying_at`] can come back to it. `host` is the address's last two bytes; no
    /// other test has them.
    pub(crate) fn replying_on(host: [u8; 2], reply: Reply) -> Upstream {
        Upstream::replying_at((Ipv4Addr::new(127, 77, host[0], host[1]), 0).into(), reply)
    }

    pub(crate) fn replying_at(address: SocketAddr, reply: Reply) -> Upstream {
        Upstream::listen(address, move |_| reply.clone(), true, serve)
    }

    /// Writes `bytes` once a request head has come, and resets the connection.
    pub(crate) fn resetting(bytes: &'static [u8]) -> Upstream {
        Upstream::listen(
            (Ipv4Addr::LOCALHOST, 0).into(),
            |_| Reply::nothing(),
            false,
            move |mut stream, state, _| {
                // Closing a socket with unread bytes makes the kernel send a reset.
                let mut peeked = [0; 4096];
                waiting::within(DEADLINE, || {
                    let length = stream.peek(&mut peeked).unwrap_or(0);
                    peeked[..length].windows(4).any(|four| four == b"\r\n\r\n").then_some(())
                });
                record(state, Seen::default());
                let _ = stream.write_all(bytes);
            },
        )
    }

    /// `kept`: connections are kept in a list and ended with the upstream, not by their own thread's drop.
    fn listen(
        address: SocketAddr,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
        kept: bool,
        serve: impl Fn(TcpStream, &State, usize) + Send + Sync + 'static,
    ) -> Upstream {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            script: Mutex::new(Arc::new(script)),
            seen: Mutex::default(),
            connections: Mutex::default(),
            accepted: AtomicUsize::new(0),
            nagles: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        let serve = Arc::new(serve);
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
                let _ = stream.set_nodelay(!shared.nagles.load(Ordering::SeqCst));
                if let (true, Ok(clone)) = (kept, stream.try_clone()) {
                    shared.connections.lock().unwrap_or_else(PoisonError::into_inner).push(clone);
                }
                let (state, serve) = (Arc::clone(&shared), Arc::clone(&serve));
                std::thread::spawn(move || {
                    let closer = kept.then(|| stream.try_clone());
                    serve(stream, &state, number);
                    // The list above holds another handle, so dropping ours would not end it.
                    if let Some(Ok(closer)) = closer {
                        let _ = closer.shutdown(Shutdown::Both);
                    }
                });
            }
        });
        Upstream { address, state, acceptor: Some(acceptor) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next request on.
    pub(crate) fn now_replies(&self, reply: Reply) {
        self.now_plays(move |_| reply.clone());
    }

    pub(crate) fn now_plays(&self, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        *self.state.script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    /// As servers do that do not care: what is written in two parts arrives in two (RFC 896).
    pub(crate) fn nagle(&self) {
        self.state.nagles.store(true, Ordering::SeqCst);
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn requests_seen(&self) -> usize {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The last request; there must be one.
    pub(crate) fn last(&self) -> Seen {
        self.requests().pop().expect("a request that reached the upstream")
    }

    /// Ends all connections, as a server does that they idle at for too long. When this returns, the
    /// kernel has told the other side.
    pub(crate) fn end_connections(&self) {
        self.shut_down_all();
        waiting::until("the news that the connections are over", || {
            (!self.far_ends().iter().any(|state| state == ESTABLISHED)).then_some(())
        });
    }

    /// The states of what is open towards this upstream, as the kernel writes them.
    pub(crate) fn far_ends(&self) -> Vec<String> {
        let remote = format!("0100007F:{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().map(|row| row.split_whitespace().skip(2));
        rows.filter_map(|mut cells| (cells.next()? == remote).then(|| cells.next())?)
            .filter(|state| [ESTABLISHED, CLOSE_WAIT].contains(state))
            .map(str::to_owned)
            .collect()
    }

    fn shut_down_all(&self) {
        for stream in
            self.state.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..)
        {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn forget(&self) {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.shut_down_all();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// An address on which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).unwrap()
}

fn record(state: &State, seen: Seen) {
    state.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
}

fn serve(mut stream: TcpStream, state: &State, number: usize) {
    let mut ahead = Vec::new();
    while let Some(mut seen) = read_request(&mut stream, &mut ahead) {
        seen.connection = number;
        record(state, seen.clone());
        let script = Arc::clone(&state.script.lock().unwrap_or_else(PoisonError::into_inner));
        let reply = script(&seen);
        for step in reply.steps {
            match step {
                Step::Write(bytes) if stream.write_all(&bytes).is_err() => return,
                Step::Write(_) => {}
                Step::Wait(gate) => gate.pass(),
            }
        }
        if reply.then == Then::Close {
            return;
        }
    }
}

fn read_request(stream: &mut TcpStream, ahead: &mut Vec<u8>) -> Option<Seen> {
    let end =
        fill(stream, ahead, |bytes| bytes.windows(4).position(|four| four == b"\r\n\r\n"))? + 4;
    let head = String::from_utf8_lossy(&ahead[..end]).into_owned();
    let mut wire: Vec<u8> = ahead.drain(..end).collect();
    let mut lines = head.split("\r\n");
    let mut line = lines.next().unwrap_or_default().split(' ');
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut seen = Seen {
        method: line.next().unwrap_or_default().into(),
        target: line.next().unwrap_or_default().into(),
        headers,
        ..Seen::default()
    };
    if seen.header("transfer-encoding").is_some() {
        read_chunks(stream, ahead, &mut seen.body, &mut wire)?;
    } else if let Some(length) = seen.header("content-length") {
        let length: usize = length.parse().ok()?;
        fill(stream, ahead, |bytes| (bytes.len() >= length).then_some(0))?;
        seen.body = ahead.drain(..length).collect();
        wire.extend(&seen.body);
    }
    Some(Seen { head, wire, ..seen })
}

fn read_chunks(
    stream: &mut TcpStream,
    ahead: &mut Vec<u8>,
    body: &mut Vec<u8>,
    wire: &mut Vec<u8>,
) -> Option<()> {
    loop {
        let end = fill(stream, ahead, |bytes| bytes.windows(2).position(|two| two == b"\r\n"))? + 2;
        let line: Vec<u8> = ahead.drain(..end).collect();
        let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).ok()?;
        fill(stream, ahead, |bytes| (bytes.len() >= size + 2).then_some(0))?;
        let chunk: Vec<u8> = ahead.drain(..size + 2).collect();
        wire.extend(&line);
        wire.extend(&chunk);
        body.extend(&chunk[..size]);
        if size == 0 {
            return Some(());
        }
    }
}

/// Reads until `found` answers; `None` when the connection ends before.
fn fill(
    stream: &mut TcpStream,
    ahead: &mut Vec<u8>,
    found: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    let mut piece = [0; 16 * 1024];
    loop {
        if let Some(at) = found(ahead) {
            return Some(at);
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(bytes) => ahead.extend(&piece[..bytes]),
        }
    }
}
