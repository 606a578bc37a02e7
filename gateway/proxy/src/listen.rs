//! Listeners: bound before anything is served, so that a taken port is a clear error and port 0
//! is known by its number.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use pingora::server::ShutdownWatch;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::accept::accept;
use crate::connection::Connections;
use crate::gateway::Gateway;
use crate::head::ListenerFacts;
use crate::moving::{Moved, adopt};
use crate::tls::Tls;

/// Certificate chain and key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// One listener as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// Its number in the configuration, from 0.
    pub place: usize,
    pub address: String,
    pub tls: Option<TlsFiles>,
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
    tls: Option<Tls>,
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
    #[error("cannot use the certificate {certificate} with the key {key}")]
    Tls { certificate: PathBuf, key: PathBuf },
}

/// Takes the listener's address, or goes on with the socket of a process that had it.
///
/// # Errors
/// [`ListenError::Bind`] when it is taken or not ours; [`ListenError::Tls`] when certificate and key
/// cannot be used.
pub fn bind(
    spec: ListenerSpec,
    inherited: Option<std::net::TcpListener>,
) -> Result<Bound, ListenError> {
    let tls = spec.tls.as_ref().map(Tls::load).transpose()?;
    let failed = |source| ListenError::Bind { address: spec.address.clone(), source };
    let new = || std::net::TcpListener::bind(&spec.address);
    let socket = inherited.map_or_else(new, Ok).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(Bound { spec, socket, address, tls })
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
        tls: bound.tls.is_some(),
        h2c: bound.spec.h2c,
    };
    let connections = Arc::new(Connections::new(gateway, facts, bound.tls));
    tokio::spawn(adopt(moved, Arc::clone(&connections), shutdown.clone()));
    match TcpListener::from_std(bound.socket) {
        Ok(listener) => accept(listener, connections, shutdown).await,
        Err(error) => {
            tracing::error!(address = %bound.address, %error, "cannot accept connections")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_cannot_be_used_is_told_before_anything_is_served() {
        let tls = TlsFiles { certificate: "missing.crt".into(), key: "missing.key".into() };
        let spec = ListenerSpec {
            place: 0,
            address: "127.0.0.1:0".into(),
            tls: Some(tls),
            trusted_proxies: Vec::new(),
            h2c: false,
        };
        assert!(matches!(bind(spec, None), Err(ListenError::Tls { .. })));
    }
}
