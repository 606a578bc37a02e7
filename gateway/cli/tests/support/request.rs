//! A request in the making.

use std::net::SocketAddr;

use super::{Answer, Connection, Key};

/// A request line, fields in order, a body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(address: SocketAddr, method: &str, target: &str) -> Request {
        Request {
            address,
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    #[must_use]
    pub(crate) fn bearer(self, key: &Key) -> Request {
        self.header("Authorization", &format!("Bearer {}", key.text))
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A JSON body with its length.
    #[must_use]
    pub(crate) fn body(mut self, body: &str) -> Request {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("Content-Type", "application/json").header("Content-Length", &length)
    }

    /// What goes over the wire, on a connection that stays open.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            format!("{} {} HTTP/1.1\r\nHost: gateway.test\r\n", self.method, self.target)
                .into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }

    /// Sends it on a connection of its own and reads the answer.
    pub(crate) fn send(&self) -> Answer {
        self.send_on(&mut Connection::open(self.address))
    }

    pub(crate) fn send_on(&self, connection: &mut Connection) -> Answer {
        connection.send(self.bytes()).answer_to(&self.method)
    }
}
