//! Frames of HTTP/2 (RFC 9113 §4.1), and an upstream that writes them one by one, as no library would.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A request of which a frame has come, the last one but where a script plays earlier; its head is not decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived {
    pub(crate) connection: usize,
    pub(crate) stream: u32,
    /// Of the frame's payload, where it is DATA.
    pub(crate) data: Option<u32>,
    pub(crate) ends: bool,
}

/// Bytes to write, and whether the connection ends behind them.
pub(crate) type Written = (Vec<u8>, bool);

/// A listening upstream.
pub(crate) struct Frames {
    address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    accepted: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Frames {
    pub(crate) fn playing(script: impl Fn(Arrived) -> Written + Send + Sync + 'static) -> Frames {
        Frames::playing_at(END_STREAM, script)
    }

    /// Plays behind the head of a request already, and reads its body without opening a window for it.
    pub(crate) fn playing_early(
        script: impl Fn(Arrived) -> Written + Send + Sync + 'static,
    ) -> Frames {
        Frames::playing_at(END_HEADERS, script)
    }

    /// Plays behind each frame of a request.
    pub(crate) fn playing_each(
        script: impl Fn(Arrived) -> Written + Send + Sync + 'static,
    ) -> Frames {
        Frames::playing_at(0, script)
    }

    /// `flag`: of the frame that is answered.
    fn playing_at(flag: u8, script: impl Fn(Arrived) -> Written + Send + Sync + 'static) -> Frames {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let arrived: Arc<Mutex<Vec<Arrived>>> = Arc::default();
        let (accepted, ended): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let over = Arc::clone(&ended);
        let (shared, count, script) =
            (Arc::clone(&arrived), Arc::clone(&accepted), Arc::new(script));
        // Ends with the process: nothing waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let connection = count.fetch_add(1, Ordering::SeqCst);
                let (arrived, script) = (Arc::clone(&shared), Arc::clone(&script));
                let over = Arc::clone(&over);
                std::thread::spawn(move || {
                    serve(stream, connection, flag, &arrived, &*script);
                    over.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Frames { address, arrived, accepted, ended }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are over.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `:status` and literal fields (RFC 7541 §6.2.2).
pub(crate) fn head(flags: u8, stream: u32, status: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [(":status", status)].iter().chain(fields) {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "a length of one byte");
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}

/// A whole answer of JSON.
pub(crate) fn answer(stream: u32, body: &str) -> Vec<u8> {
    let head = head(0, stream, "200", &[("content-type", "application/json")]);
    [head, frame(DATA, END_STREAM, stream, body.as_bytes())].concat()
}

/// Lets `bytes` more come on the stream.
pub(crate) fn windows(stream: u32, bytes: u32) -> Vec<u8> {
    let window = |stream| frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes());
    [window(0), window(stream)].concat()
}

/// No streams above `last`.
pub(crate) fn go_away(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    flag: u8,
    arrived: &Mutex<Vec<Arrived>>,
    script: &dyn Fn(Arrived) -> Written,
) {
    let _ = stream.set_nodelay(true);
    let mut preface = [0; 24];
    if stream.read_exact(&mut preface).is_err()
        || stream.write_all(&frame(SETTINGS, 0, 0, &[])).is_err()
    {
        return;
    }
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).is_err() {
            return;
        }
        let (kind, flags) = (head[3], head[4]);
        let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let (bytes, ends) = match kind {
            SETTINGS if flags & ACK == 0 => (frame(SETTINGS, ACK, 0, &[]), false),
            PING if flags & ACK == 0 => (frame(PING, ACK, 0, &payload), false),
            HEADERS | DATA if flags & flag == flag => {
                let data = (kind == DATA).then_some(length as u32);
                let ends = flags & END_STREAM != 0;
                let request = Arrived { connection, stream: number, data, ends };
                arrived.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                script(request)
            }
            _ => continue,
        };
        if stream.write_all(&bytes).is_err() || ends {
            return;
        }
    }
}
