//! A scripted upstream that speaks HTTP/2, TLS or both, by the `h2` crate and not by the product's code.
//!
//! Under TLS HTTP/1.1 too, where that is agreed on, just enough of it to tell what was asked for.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::accepting::acceptor;
use super::certificates::Pair;
use super::reply::Gate;

/// Until what was written before has gone out.
const WRITTEN_WITHIN: Duration = Duration::from_millis(50);

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With scheme and authority over HTTP/2.
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) is_http2: bool,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Clone)]
pub(crate) enum Step {
    Data(Vec<u8>),
    Wait(Gate),
    Reset(Reason),
    /// Ends the stream.
    Trailers,
    /// Drops the connection.
    Die,
}

/// What is answered.
#[derive(Clone)]
pub(crate) struct Answering {
    pub(crate) early: Vec<u16>,
    /// 0: no head.
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
}

impl Answering {
    pub(crate) fn json(body: impl AsRef<[u8]>) -> Answering {
        Answering::status(200).data(body)
    }

    pub(crate) fn status(status: u16) -> Answering {
        let headers = vec![("content-type".into(), "application/json".into())];
        Answering { early: Vec::new(), status, headers, steps: Vec::new() }
    }

    pub(crate) fn data(mut self, body: impl AsRef<[u8]>) -> Answering {
        self.steps.push(Step::Data(body.as_ref().into()));
        self
    }

    pub(crate) fn then(mut self, step: Step) -> Answering {
        self.steps.push(step);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl ToString) -> Answering {
        self.headers.push((name.into(), value.to_string()));
        self
    }
}

type Script = dyn Fn(&Asked) -> Answering + Send + Sync;

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    names: Mutex<Vec<Option<String>>>,
    accepted: AtomicUsize,
    /// Bytes of bodies that their windows let through.
    sent: AtomicUsize,
    /// Streams that the other side reset.
    resets: AtomicUsize,
}

/// How the upstream is spoken to.
#[derive(Default)]
pub(crate) struct Speech {
    /// `None`: HTTP/2 in clear text.
    pub(crate) tls: Option<Pair>,
    /// What is agreed on under TLS, the better first.
    pub(crate) protocols: Vec<&'static str>,
    /// The authority that a client must have its certificate from.
    pub(crate) clients: Option<String>,
    pub(crate) streams_max: Option<u32>,
}

/// A listening upstream; it goes with the value.
pub(crate) struct Modern {
    address: SocketAddr,
    seen: Arc<Seen>,
    script: Arc<Mutex<Arc<Script>>>,
    runtime: Option<Runtime>,
}

impl Modern {
    pub(crate) fn h2c(script: impl Fn(&Asked) -> Answering + Send + Sync + 'static) -> Modern {
        Modern::speaking(Speech::default(), script)
    }

    pub(crate) fn tls(certified: Pair, protocols: &[&'static str], body: &str) -> Modern {
        let speech =
            Speech { tls: Some(certified), protocols: protocols.to_vec(), ..Speech::default() };
        let body = body.to_owned();
        Modern::speaking(speech, move |_| Answering::json(&body))
    }

    pub(crate) fn speaking(
        speech: Speech,
        script: impl Fn(&Asked) -> Answering + Send + Sync + 'static,
    ) -> Modern {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let script: Arc<Mutex<Arc<Script>>> = Arc::new(Mutex::new(Arc::new(script)));
        let seen = Arc::new(Seen::default());
        let serving = Serving {
            tls: speech
                .tls
                .as_ref()
                .map(|certified| acceptor(certified, &speech.protocols, speech.clients.as_deref())),
            streams_max: speech.streams_max,
            seen: Arc::clone(&seen),
            script: Arc::clone(&script),
        };
        runtime.spawn(accept(listener, Arc::new(serving)));
        Modern { address, seen, script, runtime: Some(runtime) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next request on.
    pub(crate) fn now_plays(&self, script: impl Fn(&Asked) -> Answering + Send + Sync + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The names that were asked for in handshakes.
    pub(crate) fn names(&self) -> Vec<Option<String>> {
        self.seen.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.seen.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn sent(&self) -> usize {
        self.seen.sent.load(Ordering::SeqCst)
    }

    pub(crate) fn resets(&self) -> usize {
        self.seen.resets.load(Ordering::SeqCst)
    }
}

impl Drop for Modern {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

struct Serving {
    tls: Option<TlsAcceptor>,
    streams_max: Option<u32>,
    seen: Arc<Seen>,
    script: Arc<Mutex<Arc<Script>>>,
}

impl Serving {
    fn answer(&self, asked: Asked) -> Answering {
        let script = Arc::clone(&self.script.lock().unwrap_or_else(PoisonError::into_inner));
        let answering = script(&asked);
        self.seen.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        answering
    }
}

async fn accept(listener: TcpListener, serving: Arc<Serving>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        serving.seen.accepted.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(stream, Arc::clone(&serving)));
    }
}

async fn serve(stream: TcpStream, serving: Arc<Serving>) {
    let Some(tls) = &serving.tls else { return http2(stream, serving).await };
    let Ok(stream) = tls.accept(stream).await else { return };
    let session = stream.get_ref().1;
    let name = session.server_name().map(str::to_owned);
    serving.seen.names.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    if session.alpn_protocol() == Some(b"h2") {
        http2(stream, serving).await;
    } else {
        http1(stream, serving).await;
    }
}

/// One request after the other, none with a body.
async fn http1(mut stream: impl AsyncRead + AsyncWrite + Unpin, serving: Arc<Serving>) {
    let mut ahead = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read_buf(&mut ahead).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let head = String::from_utf8_lossy(&ahead.drain(..end).collect::<Vec<_>>()).into_owned();
        let mut line = head.split(' ').map(str::to_owned);
        let asked = Asked {
            method: line.next().unwrap_or_default(),
            uri: line.next().unwrap_or_default(),
            ..Asked::default()
        };
        let answering = serving.answer(asked);
        let data = answering.steps.iter().filter_map(|step| match step {
            Step::Data(data) => Some(data.as_slice()),
            _ => None,
        });
        let body = data.collect::<Vec<_>>().concat();
        let head = format!(
            "HTTP/1.1 {} OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answering.status,
            body.len()
        );
        if stream.write_all(&[head.as_bytes(), &body].concat()).await.is_err() {
            return;
        }
    }
}

async fn http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    serving: Arc<Serving>,
) {
    let mut builder = h2::server::Builder::new();
    if let Some(streams_max) = serving.streams_max {
        builder.max_concurrent_streams(streams_max);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let (die, mut dies) = tokio::sync::mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            _ = dies.recv() => return,
        };
        let Some(Ok((request, respond))) = accepted else { return };
        let (serving, die) = (Arc::clone(&serving), die.clone());
        tokio::spawn(async move {
            let Some(asked) = read(request).await else { return };
            let answering = serving.answer(asked);
            if answer(respond, answering, &serving.seen).await {
                let _ = die.send(()).await;
            }
        });
    }
}

async fn read(request: http::Request<h2::RecvStream>) -> Option<Asked> {
    let (head, mut body) = request.into_parts();
    let mut whole = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.ok()?;
        let _ = body.flow_control().release_capacity(piece.len());
        whole.extend_from_slice(&piece);
    }
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter();
    Some(Asked {
        method: head.method.to_string(),
        uri: head.uri.to_string(),
        headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: whole,
        is_http2: true,
    })
}

/// Whether the connection is to die.
async fn answer(mut respond: SendResponse<Bytes>, answering: Answering, seen: &Seen) -> bool {
    for status in &answering.early {
        let _ = respond.send_informational(head(*status, &[]));
    }
    let mut stream = None;
    if answering.status != 0 {
        let ends = answering.steps.is_empty();
        stream = respond.send_response(head(answering.status, &answering.headers), ends).ok();
    }
    let last = answering.steps.len();
    for (number, step) in answering.steps.into_iter().enumerate() {
        match (step, &mut stream) {
            (Step::Data(data), Some(stream)) => {
                if !send(stream, data, number + 1 == last, seen).await {
                    return false;
                }
            }
            (Step::Wait(gate), _) => {
                let passed = tokio::task::spawn_blocking(move || gate.pass());
                tokio::select! {
                    _ = passed => {}
                    _ = poll_fn(|cx| respond.poll_reset(cx)), if stream.is_none() => {
                        seen.resets.fetch_add(1, Ordering::SeqCst);
                        return false;
                    }
                }
            }
            (Step::Reset(reason), _) => {
                sleep(WRITTEN_WITHIN).await;
                respond.send_reset(reason);
            }
            (Step::Trailers, Some(stream)) => {
                let mut trailers = http::HeaderMap::new();
                trailers.insert("x-trailer", "secret".parse().unwrap());
                let _ = stream.send_trailers(trailers);
            }
            (Step::Die, _) => {
                sleep(WRITTEN_WITHIN).await;
                return true;
            }
            (Step::Data(_) | Step::Trailers, None) => {}
        }
    }
    false
}

async fn send(stream: &mut SendStream<Bytes>, data: Vec<u8>, ends: bool, seen: &Seen) -> bool {
    let mut data = Bytes::from(data);
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else {
            seen.resets.fetch_add(1, Ordering::SeqCst);
            return false;
        };
        let piece = data.split_to(room.min(data.len()));
        let length = piece.len();
        if stream.send_data(piece, ends && data.is_empty()).is_err() {
            return false;
        }
        seen.sent.fetch_add(length, Ordering::SeqCst);
    }
    true
}

fn head(status: u16, headers: &[(String, String)]) -> http::Response<()> {
    let mut builder = http::Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    builder.body(()).unwrap()
}
