//! Listeners: bound before anything is served, so that a taken port is a clear error and port 0
//! is known by its number.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use pingora::server::ShutdownWatch;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::accept::accept;
use crate::arrival::ListenerFacts;
use crate::connection::Connections;
use crate::gateway::Gateway;
use crate::moving::{Moved, adopt};
use crate::tls::Tls;

/// One listener as configured.
#[derive(Debug, Clone)]
pub struct ListenerSpec {
    /// Its number in the configuration, from 0.
    pub place: usize,
    pub address: String,
    pub tls: Option<Arc<Tls>>,
    pub trusted_proxies: Vec<IpNet>,
    /// HTTP/2 without TLS, by prior knowledge.
    pub h2c: bool,
}

/// A listener whose socket is ours.
#[derive(Debug)]
pub struct Bound {
    spec: ListenerSpec,
    socket: std::net::TcpListener,
    address: SocketAddr,
}

impl Bound {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same socket once more, for a process that is to go on with it.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn socket(&self) -> std::io::Result<std::net::TcpListener> {
        self.socket.try_clone()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: String, source: std::io::Error },
}

/// Takes the listener's address, or goes on with the socket of a process that had it.
///
/// # Errors
/// [`ListenError::Bind`] when it is taken or not ours.
pub fn bind(
    spec: ListenerSpec,
    inherited: Option<std::net::TcpListener>,
) -> Result<Bound, ListenError> {
    let failed = |source| ListenError::Bind { address: spec.address.clone(), source };
    let new = || std::net::TcpListener::bind(&spec.address);
    let socket = inherited.map_or_else(new, Ok).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(Bound { spec, socket, address })
}

/// Serves a bound listener until `shutdown`, and connections that another process moves here for as long as
/// they come. Connections under way go on after it.
pub async fn serve(
    gateway: Arc<Gateway>,
    bound: Bound,
    moved: mpsc::Receiver<Moved>,
    shutdown: ShutdownWatch,
) {
    let facts = ListenerFacts {
        place: bound.spec.place,
        trusted_proxies: bound.spec.trusted_proxies,
        tls: bound.spec.tls.is_some(),
        h2c: bound.spec.h2c,
    };
    let connections = Arc::new(Connections::new(gateway, facts, bound.spec.tls));
    tokio::spawn(adopt(moved, Arc::clone(&connections), shutdown.clone()));
    match TcpListener::from_std(bound.socket) {
        Ok(listener) => accept(listener, connections, shutdown).await,
        Err(error) => {
            tracing::error!(address = %bound.address, %error, "cannot accept connections")
        }
    }
}
