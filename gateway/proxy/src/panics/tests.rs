#![allow(clippy::unwrap_used)]
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_policy::{
    Bounds, Carrier, CredentialRules, ErrorStyle, KeyIndex, Meters, Published, Reserved,
    RouteTable, Rules, ScopeTable, Snapshot, TeamNaming,
};
use http::StatusCode;
use pingora::protocols::http::ServerSession;
use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::accept::accept;
use crate::access_log::AccessLog;
use crate::arrival::ListenerFacts;
use crate::clock::Clock;
use crate::connection::Connections;
use crate::docs::Docs;
use crate::exchange::Exchange;
use crate::gateway::{Gateway, GatewayParts, Serving};
use crate::metrics::ProxyMetrics;
use crate::respond::{Draft, Framing};
use crate::upstreams::Upstreams;

/// Targets that panic: before anything was answered, and behind the first bytes of a body.
const EARLY: &str = "/panics";
const LATE: &str = "/panics-late";

/// Called in the midst of every request, in tests alone.
pub(crate) async fn inject(session: &mut ServerSession, exchange: &mut Exchange, target: &[u8]) {
    if target == LATE.as_bytes() {
        let version = session.req_header().version;
        let head = Draft::new(exchange, version, StatusCode::OK);
        head.send(session, exchange, Framing::Unknown).await.unwrap();
        session.write_response_body(Bytes::from_static(b"begun"), false).await.unwrap();
    }
    assert!(target != EARLY.as_bytes() && target != LATE.as_bytes(), "injected");
}

fn gateway() -> Arc<Gateway> {
    let rules = Rules {
        credentials: CredentialRules { accept: vec![Carrier::Bearer], pepper: None },
        scopes: ScopeTable::default(),
        resources: Vec::new(),
        plans: HashMap::new(),
        routes: RouteTable::build(Vec::new()).unwrap(),
        teams: TeamNaming::default(),
        errors: ErrorStyle::default(),
        bounds: Bounds::default(),
        reserved: Reserved::default(),
        data_scope_required: false,
    };
    let docs = Arc::new(Docs::build(&rules));
    let snapshot =
        Snapshot { revision: 1, rules: Arc::new(rules), keys: KeyIndex::build(Vec::new()) };
    let upstreams = Arc::new(Upstreams::build(Vec::new(), None));
    let metrics = ProxyMetrics::register(&Registry::new()).unwrap();
    Arc::new(Gateway::new(GatewayParts {
        published: Arc::new(Published::new(Serving { snapshot, upstreams, docs })),
        meters: Arc::new(Meters::new()),
        metrics: Arc::new(metrics),
        access_log: AccessLog::off(),
        clock: Arc::new(Clock::default()),
        traces: None,
        connections_default: 100,
    }))
}

/// A gateway that serves, and who keeps it so.
async fn serving() -> (Arc<Gateway>, std::net::SocketAddr, watch::Sender<bool>) {
    let gateway = gateway();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let facts = ListenerFacts { h2c: true, ..ListenerFacts::default() };
    let connections = Arc::new(Connections::new(Arc::clone(&gateway), facts, None));
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(accept(listener, connections, stopping));
    (gateway, address, stop)
}

async fn ask(stream: &mut TcpStream, target: &str) {
    let head = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}

async fn to_the_end(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut seen).await;
    String::from_utf8_lossy(&seen).into_owned()
}

/// Nothing is left of any request; the connections go a moment later than their clients see it.
async fn all_is_given_back(gateway: &Gateway) {
    let gone = async {
        while gateway.in_flight() + gateway.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test]
async fn a_request_that_panics_is_answered_500_or_cut_and_harms_no_other() {
    let (gateway, address, _stop) = serving().await;
    let mut beside = TcpStream::connect(address).await.unwrap();
    for (target, begins, ends) in [
        (EARLY, "HTTP/1.1 500 ", "}"),
        // No last chunk: the client must see that it is cut.
        (LATE, "HTTP/1.1 200 ", "5\r\nbegun\r\n"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask(&mut stream, target).await;
        let answer = to_the_end(&mut stream).await;
        assert!(answer.starts_with(begins) && answer.ends_with(ends), "{target}: {answer}");
        assert_eq!(answer.contains("internal_error"), target == EARLY, "{answer}");
        assert!(!answer.contains("injected"), "{answer}");
        ask(&mut beside, "/").await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert_ne!(beside.read_buf(&mut answer).await.unwrap(), 0, "it goes on");
        }
        assert!(answer.starts_with(b"HTTP/1.1 401 "), "a connection beside it goes on");
    }
    drop(beside);
    assert_eq!(gateway.parts.metrics.panics.get(), 2);
    all_is_given_back(&gateway).await;
}

/// A head in HPACK: method and scheme are of its table, path and authority are spelt out.
fn h2_head(stream: u8, path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    for (name, value) in [(0x04, path), (0x01, "x")] {
        block.extend([name, value.len() as u8]);
        block.extend(value.as_bytes());
    }
    let mut frame = vec![0, 0, block.len() as u8, 1, 5, 0, 0, 0, stream];
    frame.extend(block);
    frame
}

/// The next frame of a request's stream: its type, its flags, and what is in it.
async fn h2_frame(stream: &mut TcpStream, of: u8) -> (u8, u8, Vec<u8>) {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        if head[8] == of {
            return (head[3], head[4], payload);
        }
    }
}

#[tokio::test]
async fn over_http2_it_is_answered_or_its_stream_is_reset_and_the_connection_goes_on() {
    const HEADERS: u8 = 1;
    const RESET: u8 = 3;
    let (gateway, address, _stop) = serving().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend(h2_head(1, EARLY));
    stream.write_all(&bytes).await.unwrap();
    // Of HPACK's table: 14 is `:status: 500`.
    let (kind, _, block) = h2_frame(&mut stream, 1).await;
    assert_eq!((kind, block[0]), (HEADERS, 0x80 | 14));
    stream.write_all(&h2_head(3, LATE)).await.unwrap();
    // Frames that waited for their turn go with the stream.
    let mut frame = h2_frame(&mut stream, 3).await;
    while frame.0 != RESET {
        assert_eq!(frame.1 & 1, 0, "it is not ended as if it were whole");
        frame = h2_frame(&mut stream, 3).await;
    }
    stream.write_all(&h2_head(5, "/")).await.unwrap();
    assert_eq!(h2_frame(&mut stream, 5).await.0, HEADERS, "the connection goes on");
    assert_eq!(gateway.parts.metrics.panics.get(), 2);
    drop(stream);
    all_is_given_back(&gateway).await;
}
