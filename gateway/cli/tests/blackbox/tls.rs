//! Listeners with TLS: who shakes hands gets HTTP, and who does not holds nothing up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::response_h2::Http2;
use crate::samples::CALLS;
use crate::support::{Config, Directory, Gateway, Key, Upstream, waiting};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls");
/// The bound on a head, and on a handshake.
const SHORT: &str = "{ header_time: 400ms }";
/// Far beyond that bound, far below any other.
const SOON: Duration = Duration::from_secs(5);

pub(crate) fn serving(upstream: &Upstream, bounds: &str) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read"]);
    (Gateway::start(&config(upstream, bounds), &Directory::of([key.clone()])), key)
}

pub(crate) fn config(upstream: &Upstream, bounds: &str) -> Config {
    let listener = format!(
        "\n  - {{ address: 127.0.0.1:0, tls: {{ certificate: {FOLDER}/certificate.pem, key: {FOLDER}/key.pem }} }}"
    );
    Config::with_upstream(upstream).section("listeners", &listener).section("bounds", bounds)
}

fn connected(gateway: &Gateway) -> TcpStream {
    let socket = TcpStream::connect_timeout(&gateway.address(), waiting::DEADLINE).unwrap();
    socket.set_read_timeout(Some(waiting::DEADLINE)).unwrap();
    socket
}

pub(crate) type Shaken = StreamOwned<ClientConnection, TcpStream>;

/// A day on which the certificate of these tests is valid.
#[derive(Debug)]
struct Day;

impl TimeProvider for Day {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(1_900_000_000)))
    }
}

pub(crate) fn shaken(gateway: &Gateway, name: &str, protocols: &[&str]) -> std::io::Result<Shaken> {
    let mut roots = RootCertStore::empty();
    let file = format!("{FOLDER}/certificate.pem");
    roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(Day))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, connected(gateway));
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

fn get(key: &Key) -> String {
    format!(
        "GET /api/calls HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        key.text
    )
}

/// Everything until the end, which may be a reset: what counts is that it came.
fn rest(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "no end in time");
                break;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What was agreed on is spoken; without an agreement HTTP/1.1. A name of the server is not needed.
#[test]
fn a_client_gets_the_protocol_that_was_agreed_on() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{}");
    for (name, offered, agreed) in [
        ("gateway.test", &[][..], None),
        ("127.0.0.1", &[], None),
        ("gateway.test", &["http/1.1"], Some("http/1.1")),
        ("gateway.test", &["http/1.1", "h2"], Some("h2")),
        ("gateway.test", &["h2"], Some("h2")),
        ("gateway.test", &["spdy/3", "H2", "http/1.1"], Some("http/1.1")),
    ] {
        let mut stream = shaken(&gateway, name, offered).unwrap();
        let told =
            stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        assert_eq!(told.as_deref(), agreed, "{offered:?}");
        if agreed == Some("h2") {
            let mut client = Http2::over(stream);
            let asked = client.get("/api/calls", &key.text);
            let answer = client.answer(asked);
            assert!(answer.is_ended && answer.body.starts_with(b"{"), "{answer:?}");
        } else {
            stream.write_all(get(&key).as_bytes()).unwrap();
            let answer = rest(&mut stream);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{offered:?}: {answer}");
        }
        assert_eq!(upstream.last().header("x-forwarded-proto").as_deref(), Some("https"));
    }
}

/// No agreement is the end, not another protocol (RFC 7301 §3.2).
#[test]
fn a_client_that_offers_nothing_known_is_refused() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, _) = serving(&upstream, "{}");
    for offered in [&["spdy/3"][..], &["H2"], &["http/1.1 "], &["h2c"]] {
        assert!(shaken(&gateway, "gateway.test", offered).is_err(), "{offered:?}");
    }
}

/// Silence, halves and drips: a handshake has the time of a head, and then its connection is closed.
#[test]
fn a_handshake_that_does_not_end_is_ended() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, _) = serving(&upstream, SHORT);
    // A handshake record that announces 512 bytes of a greeting.
    let greeting = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    for (sent, drips) in [(0, false), (1, false), (greeting.len(), false), (greeting.len(), true)] {
        let began = Instant::now();
        let mut socket = connected(&gateway);
        socket.write_all(&greeting[..sent]).unwrap();
        if drips {
            waiting::within(Duration::from_millis(700), || {
                let _ = socket.write_all(&[0]);
                None::<()>
            });
        }
        assert_eq!(rest(&mut socket), "", "{sent} bytes");
        assert!(began.elapsed() < SOON, "{sent} bytes: {:?}", began.elapsed());
    }
}

/// The same once hands are shaken: before the preface of HTTP/2, and within a head of HTTP/1.
#[test]
fn a_client_that_falls_silent_behind_its_handshake_is_let_go() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, _) = serving(&upstream, SHORT);
    for (offered, sent, told) in [
        ("h2", "PRI * HTTP/2.0\r\n", ""),
        ("h2", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""),
        ("http/1.1", "GET / HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1 408"),
        ("http/1.1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400"),
    ] {
        let began = Instant::now();
        let mut stream = shaken(&gateway, "gateway.test", &[offered]).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let said = rest(&mut stream);
        assert!(said.starts_with(told) && said.is_empty() == told.is_empty(), "{sent:?}: {said}");
        assert!(began.elapsed() < SOON, "{sent:?}: {:?}", began.elapsed());
    }
    assert_eq!(upstream.requests_seen(), 0);
}

/// Clear text, noise and greetings without measure: nobody is served, and the next client is.
#[test]
fn what_is_no_handshake_is_served_nothing() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = serving(&upstream, "{}");
    let endless = [&[0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 1 << 20]].concat();
    for bytes in [
        get(&key).as_bytes(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0; 100],
        &[0xff; 100],
        &[0x16, 3, 1, 0xff, 0xff, 1, 0, 0, 0],
        &endless,
        // An alert instead of a greeting.
        &[0x15, 3, 3, 0, 2, 2, 40],
    ] {
        let began = Instant::now();
        let mut socket = connected(&gateway);
        // It may be closed before all is written.
        let _ = socket.write_all(bytes);
        let said = rest(&mut socket);
        assert!(!said.contains("HTTP"), "{said}");
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        let mut stream = shaken(&gateway, "gateway.test", &[]).unwrap();
        stream.write_all(get(&key).as_bytes()).unwrap();
        assert!(rest(&mut stream).starts_with("HTTP/1.1 200 "));
    }
}
