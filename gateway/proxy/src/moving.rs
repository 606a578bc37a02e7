//! Connections on their way to another process, which goes on with them.
//!
//! When the binary is exchanged under load, nobody should find a connection closed that he was about to use.
//! So a connection that owes no answer is not closed here but moved: the successor gets the socket itself, and
//! what was read of the next request. Behind TLS the keys cannot be moved; there the successor gets one end of
//! a pair of sockets, and bytes are carried between it and the client until the next answer ends the
//! connection in form.
//!
//! Either way the next request is judged over there, by counts that went there before.
//!
//! Not here: how sockets reach another process; connections of HTTP/2, which are told to go away (RFC 9113
//! §6.8).

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use pingora::protocols::l4::stream::Stream as Connection;
use pingora::protocols::{SocketDigest, Stream};
use pingora::server::ShutdownWatch;
use tokio::io::{AsyncWriteExt, copy, split};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::accept::{go_on, known, tuned};
use crate::clock::Stopwatch;
use crate::connection::{Beginning, Connections};

/// Most bytes of a request that move with its connection; one that sent more ahead is closed.
const READ_BYTES_MAX: usize = 128 << 10;
/// Connections that wait to be moved, beyond which each waits with its own task.
pub const MOVING_MAX: usize = 64;

/// In what time a client of HTTP/2 hears that it is to go; one that asks later is refused.
const HEARD: Duration = Duration::from_secs(1);
/// How long the end of a tunnel may take.
const FAREWELL: Duration = Duration::from_millis(250);

/// Who goes on with the connections of this process, if anybody does.
#[derive(Debug, Default)]
pub(crate) struct Successor {
    sender: Mutex<Option<(mpsc::Sender<Moved>, Stopwatch)>>,
    /// Whether there is one; what each request looks at.
    is_there: AtomicBool,
}

impl Successor {
    pub(crate) fn set(&self, sender: Option<mpsc::Sender<Moved>>) {
        let is_there = sender.is_some();
        *self.sender.lock() = sender.map(|sender| (sender, Stopwatch::start()));
        self.is_there.store(is_there, Ordering::Release);
    }

    pub(crate) fn get(&self) -> Option<mpsc::Sender<Moved>> {
        if !self.is_there.load(Ordering::Acquire) {
            return None;
        }
        self.sender.lock().as_ref().map(|(sender, _)| sender.clone())
    }

    /// Whether it has been there for longer than a client needs to hear of it.
    pub(crate) fn is_known(&self) -> bool {
        self.is_there.load(Ordering::Acquire)
            && self.sender.lock().as_ref().is_some_and(|(_, since)| since.elapsed() > HEARD)
    }
}

/// A client's connection that owes no answer.
#[derive(Debug)]
pub struct Moved {
    /// The place of the listener that accepted it.
    pub listener: usize,
    /// The connection, or for a tunnel one end of it.
    pub socket: OwnedFd,
    pub peer: SocketAddr,
    /// The client speaks TLS with the process that accepted it.
    pub is_tunnel: bool,
    /// What was read of the next request.
    pub read: Bytes,
}

/// How a connection is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// As it is; one end of another process's tunnel, too.
    Itself { is_tunnel: bool },
    /// TLS is spoken here.
    Tunnel,
}

/// Moves a connection; `read` are the bytes that were read of the next request. Returns when nothing of it
/// is left here.
pub(crate) async fn move_on(
    stream: Stream,
    read: BytesMut,
    listener: usize,
    means: Means,
    successor: &mpsc::Sender<Moved>,
) {
    let Some(peer) = peer_of(&stream).filter(|_| read.len() <= READ_BYTES_MAX) else { return };
    let read = read.freeze();
    match means {
        Means::Tunnel => {
            let moved = |socket| Moved { listener, socket, peer, is_tunnel: true, read };
            tunnel(stream, successor, moved).await;
        }
        Means::Itself { is_tunnel } => {
            let Ok(socket) = duplicate(&stream) else { return };
            // The successor may have it only once this process has let go of it.
            drop(stream);
            let _ = successor.send(Moved { listener, socket, peer, is_tunnel, read }).await;
        }
    }
}

/// Carries bytes between the client and a successor that sees them in clear.
async fn tunnel(
    stream: Stream,
    successor: &mpsc::Sender<Moved>,
    moved: impl FnOnce(OwnedFd) -> Moved,
) {
    let pair = UnixStream::pair().and_then(|(here, there)| Ok((here, there.into_std()?)));
    let Ok((here, there)) = pair else { return };
    if successor.send(moved(there.into())).await.is_err() {
        return;
    }
    let (mut from_client, mut to_client) = split(stream);
    let (mut from_successor, mut to_successor) = here.into_split();
    let requests = async {
        let _ = copy(&mut from_client, &mut to_successor).await;
        // Who sends no more may still want the answer.
        let _ = to_successor.shutdown().await;
        pending::<()>().await
    };
    tokio::select! {
        () = requests => {}
        _ = copy(&mut from_successor, &mut to_client) => {}
    }
    // A client that does not read holds up nobody.
    let _ = timeout(FAREWELL, to_client.shutdown()).await;
}

#[allow(unsafe_code)]
fn duplicate(stream: &Stream) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open while the connection lives, which is borrowed for longer.
    unsafe { BorrowedFd::borrow_raw(stream.id()) }.try_clone_to_owned()
}

pub(crate) fn peer_of(stream: &Stream) -> Option<SocketAddr> {
    stream.get_socket_digest()?.peer_addr()?.as_inet().copied()
}

/// Goes on with connections of another process for as long as they come.
pub(crate) async fn adopt(
    mut moved: mpsc::Receiver<Moved>,
    connections: Arc<Connections>,
    shutdown: ShutdownWatch,
) {
    while let Some(moved) = moved.recv().await {
        // What one of the two takes for clear text would be cipher text to the other.
        if moved.is_tunnel != connections.is_tls() {
            continue;
        }
        let peer = moved.peer;
        let beginning =
            Beginning { read: BytesMut::from(&moved.read[..]), is_tunnel: moved.is_tunnel };
        if let Ok(connection) = taken_over(moved.socket, peer, moved.is_tunnel) {
            go_on(&connections, connection, peer, beginning, &shutdown);
        }
    }
}

fn taken_over(socket: OwnedFd, peer: SocketAddr, is_tunnel: bool) -> io::Result<Connection> {
    if is_tunnel {
        let stream = std::os::unix::net::UnixStream::from(socket);
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        return Ok(known(Connection::from(stream), digest, peer));
    }
    let stream = std::net::TcpStream::from(socket);
    stream.set_nonblocking(true)?;
    Ok(tuned(TcpStream::from_std(stream)?, peer))
}
