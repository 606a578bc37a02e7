//! Takes connections in, as many as there may be.
//!
//! Pingora's own loop has no bound, and where the machine has no more descriptors it turns in a circle, or
//! logs an error a second. Here a connection beyond its bound is told so in one write and closed, before
//! anything is allocated for it; and where none can be accepted, the loop waits and says so once a minute.
//!
//! Not here: what becomes of a connection (`connection.rs`), how many there may be (`capacity.rs`).

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use pingora::protocols::l4::stream::Stream as Connection;
use pingora::protocols::{GetSocketDigest, SocketDigest};
use pingora::server::ShutdownWatch;
use pingora_runtime::current_handle;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use crate::capacity::{Place, Shed, turned_away};
use crate::client_address::is_trusted;
use crate::connection::{Beginning, Connections};
use crate::incoming::stopped;
use crate::metrics::Counted;
use crate::respond::raw_problem;
use crate::trace::request_id;

/// How long to wait for descriptors when there are none left.
const RESPITE: Duration = Duration::from_millis(100);
/// How often the log says that there are none.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Accepts until `shutdown`. Connections under way go on after it.
pub(crate) async fn accept(
    listener: TcpListener,
    connections: Arc<Connections>,
    shutdown: ShutdownWatch,
) {
    let mut stopping = shutdown.clone();
    let mut complained: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stopping) => {
                if connections.gateway().successor.get().is_none() || !goes_on(&mut stopping).await {
                    return;
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match place_for(&connections, peer) {
                Ok(place) => {
                    begin(&connections, tuned(stream, peer), place, Beginning::default(), &shutdown)
                }
                Err(shed) => turn_away(&connections, &stream, shed),
            },
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                connections.gateway().parts.metrics.shed(Shed::Descriptors);
                if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
                    tracing::warn!(%error, "connections cannot be accepted; they wait");
                    complained = Some(Instant::now());
                }
                sleep(RESPITE).await;
            }
        }
    }
}

/// Whether this process accepts again: the one that was to follow may fail.
async fn goes_on(stopping: &mut ShutdownWatch) -> bool {
    stopping.wait_for(|stops| !stops).await.is_ok()
}

/// A connection that went before it was accepted (accept(2)).
fn is_the_clients(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn place_for(connections: &Connections, peer: SocketAddr) -> Result<Place, Shed> {
    let gateway = connections.gateway();
    let bounds = gateway.bounds();
    let proxied = is_trusted(peer.ip().to_canonical(), connections.trusted_proxies());
    gateway.capacity.connect(
        peer.ip(),
        bounds.connections.unwrap_or(gateway.parts.connections_default),
        (!proxied).then_some(bounds.connections_per_address),
    )
}

/// Goes on with a connection that another process began, if there is a place for it.
pub(crate) fn go_on(
    connections: &Arc<Connections>,
    connection: Connection,
    peer: SocketAddr,
    beginning: Beginning,
    shutdown: &ShutdownWatch,
) {
    match place_for(connections, peer) {
        Ok(place) => begin(connections, connection, place, beginning, shutdown),
        Err(shed) => connections.gateway().parts.metrics.shed(shed),
    }
}

/// A client's connection as Pingora knows it.
pub(crate) fn tuned(stream: TcpStream, peer: SocketAddr) -> Connection {
    // Heads and bodies are written whole; to wait for more of them only costs time.
    let _ = stream.set_nodelay(true);
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    known(Connection::from(stream), digest, peer)
}

/// A connection whose client is at `peer`.
pub(crate) fn known(
    mut connection: Connection,
    digest: SocketDigest,
    peer: SocketAddr,
) -> Connection {
    let _ = digest.peer_addr.set(Some(peer.into()));
    connection.set_socket_digest(digest);
    connection
}

fn begin(
    connections: &Arc<Connections>,
    connection: Connection,
    place: Place,
    beginning: Beginning,
    shutdown: &ShutdownWatch,
) {
    let (connections, mut shutdown) = (Arc::clone(connections), shutdown.clone());
    // Pingora waits for a change, not for the value: one that was taken back must be none.
    if *shutdown.borrow_and_update() {
        shutdown.mark_changed();
    }
    let counted = Counted::on(&connections.gateway().parts.metrics.connections);
    current_handle().spawn(async move {
        // Given back whatever ends the connection, a panic too.
        let _held = (place, counted);
        connections.serve(Box::new(connection), beginning, &shutdown).await;
    });
}

/// Says why in one write, if the client would understand it, and closes. What does not fit the socket's
/// buffer at once is not sent: nobody waits here for a client.
fn turn_away(connections: &Connections, stream: &TcpStream, shed: Shed) {
    let gateway = connections.gateway();
    gateway.parts.metrics.shed(shed);
    if connections.is_tls() {
        return;
    }
    let style = gateway.serving().snapshot.rules.errors;
    let id = request_id(std::iter::empty());
    let bytes = raw_problem(&turned_away(), style, &id, gateway.parts.clock.wall());
    let _ = stream.try_write(&bytes);
    // The end first: closing with a request unread would reset the answer away.
    let _ = SockRef::from(stream).shutdown(std::net::Shutdown::Write);
}
