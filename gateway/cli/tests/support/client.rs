//! A raw HTTP/1.1 client: sends exactly the bytes it is given, and tells a whole answer from a cut one.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::answer::{Answer, Ending};
use super::waiting::DEADLINE;

/// One connection to the gateway. Answers are read one after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Read and not yet used.
    ahead: Vec<u8>,
    /// The other side has ended.
    ended: bool,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Connection {
        Connection::over(
            TcpStream::connect_timeout(&address, DEADLINE)
                .expect("the gateway accepts connections"),
        )
    }

    /// From another address of the loopback network.
    pub(crate) fn open_from(from: &str, address: SocketAddr) -> Connection {
        let from: SocketAddr = format!("{from}:0").parse().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect_timeout(&address.into(), DEADLINE).expect("the gateway accepts connections");
        Connection::over(socket.into())
    }

    /// With little room for what is not read.
    pub(crate) fn open_narrow(address: SocketAddr) -> Connection {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        socket.connect_timeout(&address.into(), DEADLINE).expect("the gateway accepts connections");
        Connection::over(socket.into())
    }

    fn over(stream: TcpStream) -> Connection {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { stream, ahead: Vec::new(), ended: false }
    }

    /// Sends bytes as they are. A peer that has closed already is no fault here: it may have answered.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Connection {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub(crate) fn end_sending(&mut self) -> &mut Connection {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Sends a request and reads its answer.
    pub(crate) fn exchange(&mut self, request: impl AsRef<[u8]>) -> Answer {
        let request = request.as_ref();
        self.send(request);
        self.answer_to(if request.starts_with(b"HEAD ") { "HEAD" } else { "GET" })
    }

    /// The next answer, to a request other than HEAD.
    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    pub(crate) fn answer_to(&mut self, method: &str) -> Answer {
        self.try_answer_to(method).expect("an answer before the connection ends")
    }

    /// The next answer; `None` when the connection ends before its first byte.
    pub(crate) fn try_answer_to(&mut self, method: &str) -> Option<Answer> {
        let mut early = Vec::new();
        loop {
            let head = self.head()?;
            let mut answer = Answer::of_head(&head);
            if (100..200).contains(&answer.status) && answer.status != 101 {
                early.push(answer.status);
                continue;
            }
            answer.early = early;
            self.body(&mut answer, method);
            return Some(answer);
        }
    }

    /// Waits until the head of an answer has come; it is read with the rest of it.
    pub(crate) fn await_head(&mut self) {
        while !self.ahead.windows(4).any(|four| four == b"\r\n\r\n") {
            assert!(self.more(), "the connection ends before a head");
        }
    }

    /// Waits until the head of an interim answer has come; it is read with the final one.
    pub(crate) fn await_interim(&mut self) {
        self.await_head();
        let text = String::from_utf8_lossy(&self.ahead);
        assert!(text.starts_with("HTTP/1.1 1"), "not an interim answer: {text:?}");
    }

    /// Whether the peer ends the connection, and sends nothing more before.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.ahead.is_empty() && !self.more()
    }

    /// All bytes until the peer ends the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.ahead)
    }

    fn head(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                return Some(self.take(at + 4));
            }
            if !self.more() {
                assert!(
                    self.ahead.is_empty(),
                    "a head was cut: {:?}",
                    String::from_utf8_lossy(&self.ahead)
                );
                return None;
            }
        }
    }

    fn body(&mut self, answer: &mut Answer, method: &str) {
        if method == "HEAD" || matches!(answer.status, 204 | 304) {
            return;
        }
        let coding = answer.header("transfer-encoding").map(str::to_owned);
        let length =
            answer.header("content-length").map(|length| length.parse().expect("a length"));
        assert!(coding.is_none() || length.is_none(), "two framings: {:?}", answer.headers);
        match (coding, length) {
            (Some(coding), _) => {
                assert_eq!(coding, "chunked");
                self.chunked(answer);
            }
            (None, Some(length)) => {
                self.exactly(length, answer, |answer, bytes| answer.body.extend(bytes))
            }
            (None, None) => {
                answer.body = self.rest();
                answer.wire.extend(&answer.body);
                answer.ending = Ending::Close;
            }
        }
    }

    fn chunked(&mut self, answer: &mut Answer) {
        while answer.ending == Ending::Whole {
            let Some(line) = self.line(answer) else { return answer.ending = Ending::Cut };
            let size = usize::from_str_radix(line.trim(), 16)
                .unwrap_or_else(|_| panic!("chunk size {line:?}"));
            if size == 0 {
                let Some(last) = self.line(answer) else { return answer.ending = Ending::Cut };
                assert_eq!(last, "", "trailers never pass");
                return;
            }
            self.exactly(size, answer, |answer, bytes| answer.body.extend(bytes));
            if answer.ending == Ending::Whole {
                self.exactly(2, answer, |_, bytes| assert_eq!(bytes, b"\r\n"));
            }
        }
    }

    /// Reads `length` bytes; fewer of them when the connection ends before, which makes a cut.
    fn exactly(&mut self, length: usize, answer: &mut Answer, keep: impl Fn(&mut Answer, &[u8])) {
        while self.ahead.len() < length && self.more() {}
        if self.ahead.len() < length {
            answer.ending = Ending::Cut;
        }
        let bytes = self.take(length.min(self.ahead.len()));
        answer.wire.extend(&bytes);
        if answer.ending == Ending::Whole || !bytes.is_empty() {
            keep(answer, &bytes);
        }
    }

    fn line(&mut self, answer: &mut Answer) -> Option<String> {
        loop {
            if let Some(at) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line = self.take(at + 2);
                answer.wire.extend(&line);
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        self.ahead.drain(..bytes).collect()
    }

    /// Waits for bytes; false when there will be none.
    fn more(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => self.ended = true,
            Ok(bytes) => self.ahead.extend(&piece[..bytes]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("no byte for {DEADLINE:?} behind {:?}", String::from_utf8_lossy(&self.ahead))
            }
            Err(_) => self.ended = true,
        }
        !self.ended
    }
}
