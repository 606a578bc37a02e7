//! The least HTTP/2 client that tells an ended stream from a reset one (RFC 9113).
//!
//! Requests are written with literal fields (RFC 7541 §6.2.2), so no table is needed; of answers
//! only frames are read, not fields. It grants as much flow as there is.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame,
};
use crate::support::waiting::DEADLINE;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The widest window of a stream.
const WIDEST: u32 = 0x7fff_ffff;

/// What came on one stream.
#[derive(Debug, Default, Clone)]
pub(crate) struct Streamed {
    pub(crate) body: Vec<u8>,
    /// The last frame said that nothing follows.
    pub(crate) is_ended: bool,
    pub(crate) is_reset: bool,
}

/// What a connection goes over.
pub(crate) trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

/// One connection.
pub(crate) struct Http2 {
    socket: Box<dyn Wire>,
    streams: HashMap<u32, Streamed>,
    next: u32,
    /// The other side takes no further request.
    pub(crate) is_going: bool,
}

impl Http2 {
    pub(crate) fn open(address: SocketAddr) -> Http2 {
        Http2::with_window(address, WIDEST)
    }

    /// Lets no byte of a body come until [`Http2::widen`].
    pub(crate) fn without_window(address: SocketAddr) -> Http2 {
        Http2::with_window(address, 0)
    }

    fn with_window(address: SocketAddr, window: u32) -> Http2 {
        let socket = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Http2::over_with_window(socket, window)
    }

    pub(crate) fn over(socket: impl Wire + 'static) -> Http2 {
        Http2::over_with_window(socket, WIDEST)
    }

    fn over_with_window(socket: impl Wire + 'static, window: u32) -> Http2 {
        let mut client =
            Http2 { socket: Box::new(socket), streams: HashMap::new(), next: 1, is_going: false };
        // In pieces: a preface is one however it arrives.
        for piece in PREFACE.chunks(7) {
            client.socket.write_all(piece).unwrap();
        }
        // SETTINGS_INITIAL_WINDOW_SIZE, and as much as there is for the connection.
        client.write(SETTINGS, 0, 0, &[&[0, 4], &window.to_be_bytes()[..]].concat());
        client.write(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes());
        client
    }

    /// Sends a GET and says on which stream.
    pub(crate) fn get(&mut self, path: &str, key: &str) -> u32 {
        let bearer = format!("Bearer {key}");
        self.ask(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "gateway.test"),
            ("authorization", &bearer),
        ])
    }

    /// Sends a request of these fields and no body, and says on which stream.
    pub(crate) fn ask(&mut self, all: &[(&str, &str)]) -> u32 {
        let mut fields = Vec::new();
        for (name, value) in all {
            fields.push(0x10);
            for text in [name, value] {
                assert!(text.len() < 127, "a length of one byte");
                fields.push(text.len() as u8);
                fields.extend(text.as_bytes());
            }
        }
        let stream = self.next;
        self.next += 2;
        self.write(HEADERS, END_HEADERS | END_STREAM, stream, &fields);
        stream
    }

    /// Gives a stream all the window there is.
    pub(crate) fn widen(&mut self, stream: u32) {
        self.write(WINDOW_UPDATE, 0, stream, &WIDEST.to_be_bytes());
    }

    /// Waits until the head of an answer has come.
    pub(crate) fn await_head(&mut self, stream: u32) {
        while !self.streams.contains_key(&stream) {
            self.frame();
        }
    }

    /// Waits until a stream has brought that many bytes.
    pub(crate) fn await_data(&mut self, stream: u32, bytes: usize) {
        while self.streams.get(&stream).is_none_or(|streamed| streamed.body.len() < bytes) {
            self.frame();
        }
    }

    /// Waits for the end of a stream, of whichever kind.
    pub(crate) fn answer(&mut self, stream: u32) -> Streamed {
        while self
            .streams
            .get(&stream)
            .is_none_or(|streamed| !streamed.is_ended && !streamed.is_reset)
        {
            self.frame();
        }
        self.streams[&stream].clone()
    }

    /// Takes a request back.
    pub(crate) fn reset(&mut self, stream: u32) {
        self.write(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.socket.write_all(&frame(kind, flags, stream, payload)).unwrap();
    }

    fn frame(&mut self) {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        self.socket.read_exact(&mut payload).unwrap();
        match kind {
            SETTINGS if flags & ACK == 0 => self.write(SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => self.write(PING, ACK, 0, &payload),
            // With no error (RFC 9113 §6.8) what was begun is finished.
            GOAWAY if payload[4..8] == [0; 4] => self.is_going = true,
            GOAWAY => panic!("the whole connection was ended: {payload:?}"),
            DATA | HEADERS => {
                let streamed = self.streams.entry(stream).or_default();
                streamed.is_ended |= flags & END_STREAM != 0;
                if kind == DATA {
                    streamed.body.extend(payload);
                }
            }
            RST_STREAM => self.streams.entry(stream).or_default().is_reset = true,
            _ => {}
        }
    }
}
