//! A service on a port of the kernel's choice, and requests to it over a plain socket.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::net::SocketAddr;
use std::time::Duration;

use colonnade_upstream::{Journal, Service, serve};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// No test waits longer for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

pub struct Upstream {
    pub address: SocketAddr,
    pub journal: Journal,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let line = self
            .head
            .lines()
            .find(|line| line.split_once(':').is_some_and(|(n, _)| n.eq_ignore_ascii_case(name)))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    }
}

pub async fn start(service: Service) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, journal) = (listener.local_addr().unwrap(), Journal::default());
    tokio::spawn(serve(listener, service, journal.clone()));
    Upstream { address, journal }
}

impl Upstream {
    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[]).await
    }

    pub async fn rows(&self, target: &str, headers: &[(&str, &str)]) -> Vec<Value> {
        let answer = self.send("GET", target, headers).await;
        assert_eq!(answer.status, 200, "{target}");
        let body = answer.json();
        let rows = body.get("data").or_else(|| body.get("teams")).unwrap();
        rows.as_array().unwrap().clone()
    }

    pub async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nhost: upstream\r\nconnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        tokio::time::timeout(ANSWER_TIME_MAX, read).await.unwrap().unwrap();
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: bytes[end + 4..].to_vec() }
    }
}
