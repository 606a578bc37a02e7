//! Listeners: bound before anything is served, so that a taken port is a clear error and port 0
//! is known by its number.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use pingora::listeners::tls::TlsSettings;
use pingora::server::{Fds, ShutdownWatch};
use pingora::services::Service as _;
use pingora::services::listening::Service;
use pingora::tls::{ServerConfig, install_default_crypto_provider, load_certs_and_key_files};

use crate::connection::Connections;
use crate::gateway::Gateway;
use crate::head::ListenerFacts;

/// Accept loops per listening socket.
const LOOPS: usize = 1;

/// Certificate chain and key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// One listener as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
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
    socket: TcpListener,
    address: SocketAddr,
}

impl Bound {
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: String, source: std::io::Error },
    #[error("cannot use the certificate {certificate} with the key {key}")]
    Tls { certificate: PathBuf, key: PathBuf },
}

/// Takes the listener's address.
///
/// # Errors
/// [`ListenError::Bind`] when it is taken or not ours; [`ListenError::Tls`] when certificate and key
/// cannot be used.
pub fn bind(spec: ListenerSpec) -> Result<Bound, ListenError> {
    // Pingora panics over them later, in a task of its own, where nobody would hear of it.
    spec.tls.as_ref().map_or(Ok(()), try_tls)?;
    let failed = |source| ListenError::Bind { address: spec.address.clone(), source };
    let socket = TcpListener::bind(&spec.address).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(Bound { spec, socket, address })
}

/// Serves a bound listener until `shutdown`. Connections under way go on after it.
///
/// # Errors
/// [`ListenError::Tls`] when certificate and key cannot be used.
pub async fn serve(
    gateway: Arc<Gateway>,
    bound: Bound,
    shutdown: ShutdownWatch,
) -> Result<(), ListenError> {
    let facts = ListenerFacts {
        trusted_proxies: bound.spec.trusted_proxies.clone(),
        tls: bound.spec.tls.is_some(),
        h2c: bound.spec.h2c,
    };
    let address = bound.address.to_string();
    let mut service = Service::new(format!("proxy {address}"), Connections::new(gateway, facts));
    match &bound.spec.tls {
        None => service.add_tcp(&address),
        Some(files) => service.add_tls_with_settings(&address, None, tls_settings(files)?),
    }
    let mut fds = Fds::new();
    fds.add(address, bound.socket.into_raw_fd());
    service.start_service(Some(Arc::new(fds.into())), shutdown, LOOPS).await;
    Ok(())
}

impl TlsFiles {
    fn unusable(&self) -> ListenError {
        ListenError::Tls { certificate: self.certificate.clone(), key: self.key.clone() }
    }
}

fn try_tls(files: &TlsFiles) -> Result<(), ListenError> {
    let unusable = || files.unusable();
    let certificate = files.certificate.to_str().ok_or_else(unusable)?;
    let key = files.key.to_str().ok_or_else(unusable)?;
    let pair = load_certs_and_key_files(certificate, key).ok().flatten();
    let (chain, key) = pair.ok_or_else(unusable)?;
    install_default_crypto_provider();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    config.map(|_| ()).map_err(|_| unusable())
}

fn tls_settings(files: &TlsFiles) -> Result<TlsSettings, ListenError> {
    let unusable = || files.unusable();
    let certificate = files.certificate.to_str().ok_or_else(unusable)?;
    let key = files.key.to_str().ok_or_else(unusable)?;
    let mut settings = TlsSettings::intermediate(certificate, key).map_err(|_| unusable())?;
    settings.enable_h2();
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_cannot_be_used_is_told_before_anything_is_served() {
        let tls = TlsFiles { certificate: "missing.crt".into(), key: "missing.key".into() };
        let spec = ListenerSpec {
            address: "127.0.0.1:0".into(),
            tls: Some(tls),
            trusted_proxies: Vec::new(),
            h2c: false,
        };
        assert!(matches!(bind(spec), Err(ListenError::Tls { .. })));
    }
}
